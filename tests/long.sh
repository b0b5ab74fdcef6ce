#!/usr/bin/env bash
# The third tier of tests: memory, cost and punctuality over minutes, on a machine with two cores and nothing else to do.
# Prints a line per figure and fails when one is out of bounds. Needs bash, awk and taskset, and installs wrk, nginx and
# openssl from Debian where they are missing; takes about an hour and ten minutes.
set -euo pipefail
ulimit -n "$(ulimit -Hn)"
cd "$(dirname "$0")/.."
. benches/common.sh

debian wrk wrk
debian nginx nginx-light
debian openssl openssl
cargo build --release --quiet
program=$PWD/target/release/patchload
place=$(mktemp -d)
simulator= nginx=
trap 'for server in $simulator $nginx; do kill "$server" || true; done; rm -rf "$place"' EXIT
failures=0

# judge NAME VALUE BOUND UNIT: a line, and a failure when the value is above the bound.
judge() {
  local word=ok
  awk -v value="$2" -v bound="$3" 'BEGIN { exit !(value <= bound) }' || { word=FAILED; failures=$((failures + 1)); }
  printf '%-58s %10s %-6s at most %-8s %s\n' "$1" "$2" "$4" "$3" "$word"
}

memory() { awk -v key="$2:" '$1 == key { printf "%.1f", $2 / 1024 }' "/proc/$1/status"; }

serve "$program" "$place"

# until_served COUNT: PATCHes in rounds of 5 s until the simulator has answered so many since its start.
served=0
until_served() {
  local count
  while [ "$served" -lt "$1" ]; do
    wrk_patches "$place" 5 "$TARGET" >"$place/round"
    read -r count _ <"$place/round"
    served=$((served + count))
  done
}

until_served 1000000
early=$(memory $simulator VmRSS)
until_served 10000000
late=$(memory $simulator VmRSS)
printf 'the simulator: %s MiB after 1 million PATCHes, %s MiB after %s\n' "$early" "$late" "$served"
judge "memory that 9 million PATCHes add to the simulator" "$(awk "BEGIN { print $late - $early }")" 5 MiB

cat >"$place/load.toml" <<'TOML'
name = "load"
[target]
base_url = "${TARGET}"
[target.auth]
kind = "bearer"
tokens = ["${TOKEN}"]
[data.participants]
file = "participants.csv"
[[variant]]
name = "attributes"
path = "/api/v2/conversations/{{ conversation_id }}/participants/{{ participant_id }}/attributes"
body = '{"attributes": {"tier": "gold", "ref": "{{ unique }}"}}'
expect = [202]
[load]
stages = [{ for = "1s", users = 1 }]
think_time = "${THINK}"
connections = "${CONNECTIONS}"
TOML

# load USERS SECONDS THINK CONNECTIONS: starts a run on core 0; its process is $run.
load() {
  THINK=$3 CONNECTIONS=$4 taskset -c 0 "$program" run "$place/load.toml" -u "$1" -d "$2s" -q \
    --accept-invalid --out "$place/out" >/dev/null &
  run=$!
}

load 100 62 0s per-user
sleep 10 && early=$(memory $run VmRSS)
sleep 50 && late=$(memory $run VmRSS)
wait $run
printf '100 users at full speed: %s MiB after 10 s, %s MiB after 60 s, %s PATCH/s\n' "$early" "$late" \
  "$(column "$(echo "$place"/out/load-*/summary.csv)" achieved_per_s)"
judge "memory that 50 s at full speed add" "$(awk "BEGIN { print $late - $early }")" 5 MiB
rm -rf "$place/out"

# peak USERS CONNECTIONS: runs users with 1 s think time; sets $peak to the most memory that they took, in KiB.
peak() {
  load "$1" 20 1s "$2"
  sleep 18 && peak=$(awk '$1 == "VmHWM:" { print $2 }' "/proc/$run/status")
  wait $run
  printf '%s users with 1 s think time, %s connections: %s KiB, %s PATCH/s\n' "$1" "$2" "$peak" \
    "$(column "$(echo "$place"/out/load-*/summary.csv)" achieved_per_s)"
  rm -rf "$place/out"
}
for connections in shared per-user; do
  peak 1 $connections && base=$peak
  peak 10000 $connections
  judge "memory of each of 10,000 users, $connections connections" "$(awk "BEGIN { print ($peak - $base) / 10000 }")" \
    "$([ $connections = shared ] && echo 20 || echo 32)" KiB
done

# The same at an nginx over TLS, whose certificate comes from an authority of its own, and without.
mkdir "$place/tls"
ec='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'
(
  cd "$place/tls"
  openssl req -x509 $ec -keyout ca.key -out ca.pem -days 2 -subj /CN=ca
  openssl req $ec -keyout server.key -out server.csr -subj /CN=localhost
  printf 'subjectAltName=DNS:localhost\nbasicConstraints=critical,CA:FALSE\n' >extensions
  openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile extensions -out server.pem
  cat >nginx.conf <<CONF
daemon off; master_process off; pid $PWD/pid; error_log $PWD/error.log;
events { worker_connections 4096; }
http {
  access_log off; keepalive_requests 1000000;
  $(for kind in client_body proxy fastcgi uwsgi scgi; do echo "${kind}_temp_path $PWD/$kind;"; done)
  server {
    listen 127.0.0.1:18080; listen 127.0.0.1:18443 ssl;
    ssl_certificate $PWD/server.pem; ssl_certificate_key $PWD/server.key;
    location / { return 202; }
  }
}
CONF
) 2>"$place/tls/openssl.log" || { cat "$place/tls/openssl.log"; exit 1; }
nginx -p "$place/tls" -e "$place/tls/error.log" -c "$place/tls/nginx.conf" &
nginx=$!
sleep 1
simulated=$TARGET
printf '[target.connection]\ntls = { ca_file = "tls/ca.pem" }\n' >>"$place/load.toml"
for TARGET in http://localhost:18080 https://localhost:18443; do
  peak 1 per-user && base=$peak
  peak 1000 per-user
  judge "memory of each of 1,000 users at ${TARGET%%:*}" "$(awk "BEGIN { print ($peak - $base) / 1000 }")" \
    "$([ "${TARGET%%:*}" = http ] && echo 40 || echo 52)" KiB
done
TARGET=$simulated
kill $nginx && nginx=
sed -i '/^\[target.connection\]/,$d' "$place/load.toml"

sed -e '/^stages/s/.*/model = "arrivals"\nstages = [{ for = "60s", rate = "20000\/s" }]/' -e '/^think_time/d' \
  "$place/load.toml" >"$place/arrivals.toml"
CONNECTIONS=shared taskset -c 0 "$program" run "$place/arrivals.toml" -q --accept-invalid --out "$place/out" >/dev/null &
run=$!
sleep 10 && early=$(memory $run VmRSS)
sleep 49 && late=$(memory $run VmRSS)
wait $run
rate=$(column "$(echo "$place"/out/load-*/summary.csv)" achieved_per_s)
printf '20,000 arrivals/s: %s MiB after 10 s, %s MiB after 59 s, %s PATCH/s\n' "$early" "$late" "$rate"
judge "memory that 49 s of 20,000 arrivals/s add" "$(awk "BEGIN { print $late - $early }")" 5 MiB
judge "arrivals of 20,000/s that are missing" "$(awk "BEGIN { print (20000 - $rate) / 200 }")" 1 %
rm -rf "$place/out"
kill "$simulator" && wait "$simulator" || true
simulator=

# twin NAME OF [ARGUMENT...]: ten runs that nothing disturbs; at most one of them may be anything but valid. What each of
# them is when it is disturbed stands in tests/verdict.rs.
twin() {
  local valid=0
  for i in 1 2 3 4 5 6 7 8 9 10; do
    "$program" run "tests/verdict/$1.toml" -q --accept-invalid --out "$place/out" >/dev/null
    if grep -q '"verdict": *"valid"' "$place"/out/*/run.json; then
      valid=$((valid + 1))
    else
      sed -n 's/^ *"text": "\(.*\)"$/  not valid: \1/p' "$place"/out/*/run.json
    fi
    rm -rf "$place/out"
  done
  judge "$2: of 10 undisturbed runs not valid" $((10 - valid)) 1 ""
}
twin steady "no busy loop, users enough, 2,000 samples"
twin connections "descriptors enough"
twin slowing "a server that stays as quick"

before=$(awk '{ print $16 + $17 }' /proc/$$/stat)
"$program" run scenarios/quickstart.toml --quiet --out "$place/out" >/dev/null
after=$(awk '{ print $16 + $17 }' /proc/$$/stat)
judge "quickstart with its simulator, of two cores" "$(awk "BEGIN { print ($after - $before) / 20 / 2 }")" 30 %

benches/simulator.sh | tee "$place/cost.txt"
# 20 us where nginx takes 12.
cost=$(awk '/^the simulator costs/ { print $4 }' "$place/cost.txt")
judge "CPU per PATCH of the simulator against nginx" "$cost" 1.67 times
judge "CPU per PATCH of the simulator" "$(awk '/^medians/ { is_median = 1 } is_median && $1 == "simulator" { print $2 }' "$place/cost.txt")" 20 us

ROUNDS=${ROUNDS:-7} cargo bench --quiet --bench attempt | tee "$place/attempt.txt"
judge "CPU per PATCH against bare reqwest" "$(awk '/^medians.* closed/ { print $NF }' "$place/attempt.txt")" 1.25 times

STALL_SECONDS=60 cargo test --release --quiet --test open -- --nocapture stall >"$place/stall.txt" 2>&1 && missed=0 || missed=1
grep '^p50' "$place/stall.txt" || cat "$place/stall.txt"
judge "stalls are felt as theory says: claims that failed" "$missed" 0 ""

for round in 1 2 3; do
  cargo test --release --quiet --test limit >"$place/limit.txt" 2>&1 && missed=0 || { missed=1; cat "$place/limit.txt"; }
  judge "the limit is exact and fair, round $round: claims that failed" "$missed" 0 ""
done

PUBLISHED_QUOTA=1 cargo test --release --quiet --test tokens -- --nocapture three_tokens >"$place/tokens.txt" 2>&1 && missed=0 || missed=1
grep 'requests a minute' "$place/tokens.txt" || cat "$place/tokens.txt"
judge "3 tokens at 99 % of 300/min for 3 minutes: claims that failed" "$missed" 0 ""

benches/checks.sh | tee "$place/checks.txt"
judge "service p50 with checks against without" "$(awk '/^medians/ { print $(NF - 1) }' "$place/checks.txt")" 1.03 times

# claims NAME TEST [VARIABLE=VALUE...]: a test in its long form; its figures, and a failure when it fails.
claims() {
  local -a test
  read -ra test <<<"$2"
  env "${@:3}" cargo test --release --quiet --test "${test[@]}" -- --nocapture >"$place/claims.txt" 2>&1 && missed=0 || missed=1
  [ $missed = 0 ] && grep -E '^(seed|findings|covered|[0-9]+ operations)|observable|: Tally' "$place/claims.txt" | tail -8 ||
    cat "$place/claims.txt"
  judge "$1: claims that failed" "$missed" 0 ""
}
claims "100,000 writes with all faults against the account" "checks detection" DETECTION_WRITES=100000 DETECTION_SEEDS=1
claims "intervals of 100 seeds" "checks detection" DETECTION_WRITES=4000 DETECTION_SEEDS=100
claims "100,000 checked operations of a server that keeps its word" "checks silence" SILENCE_CHECKED=100000
claims "20 limiters of each kind, quiet and noisy" profile PROFILE_ZOO=20

echo "$failures figures out of bounds"
[ "$failures" = 0 ]
