#!/usr/bin/env bash
# The third tier of tests: memory, cost and punctuality over minutes, on a machine with two cores and nothing else to do.
# Prints a line per figure and fails when one is out of bounds. Needs bash, awk and taskset, and installs wrk and nginx
# from Debian where they are missing; takes about 9 minutes.
set -euo pipefail
cd "$(dirname "$0")/.."
. benches/common.sh

debian wrk wrk
cargo build --release --quiet
program=$PWD/target/release/patchload
place=$(mktemp -d)
simulator=
trap 'if [ -n "$simulator" ]; then kill "$simulator" || true; fi; rm -rf "$place"' EXIT
failures=0

# judge NAME VALUE BOUND UNIT: a line, and a failure when the value is above the bound.
judge() {
  local word=ok
  awk -v value="$2" -v bound="$3" 'BEGIN { exit !(value <= bound) }' || { word=FAILED; failures=$((failures + 1)); }
  printf '%-58s %10s %-6s at most %-8s %s\n' "$1" "$2" "$4" "$3" "$word"
}

memory() { awk -v key="$2:" '$1 == key { printf "%.1f", $2 / 1024 }' "/proc/$1/status"; }

# column FILE NAME: the last row's cell of a column.
column() { awk -F, -v name="$2" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) at = i } END { print $at }' "$1"; }

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
  THINK=$3 CONNECTIONS=$4 taskset -c 0 "$program" run "$place/load.toml" -u "$1" -d "$2s" -q --out "$place/out" >/dev/null &
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

for connections in shared per-user; do
  load 5000 20 1s $connections
  sleep 18 && peak=$(memory $run VmHWM)
  wait $run
  rate=$(column "$(echo "$place"/out/load-*/summary.csv)" achieved_per_s)
  printf '5,000 users with 1 s think time, %s connections: %s PATCH/s\n' $connections "$rate"
  judge "memory of 5,000 users, $connections connections" "$peak" "$([ $connections = shared ] && echo 150 || echo 250)" MiB
  rm -rf "$place/out"
done
kill "$simulator" && wait "$simulator" || true
simulator=

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

for round in 1 2 3; do
  cargo test --release --quiet --test limit >"$place/limit.txt" 2>&1 && missed=0 || { missed=1; cat "$place/limit.txt"; }
  judge "the limit is exact and fair, round $round: claims that failed" "$missed" 0 ""
done

echo "$failures figures out of bounds"
[ "$failures" = 0 ]
