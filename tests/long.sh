#!/usr/bin/env bash
# The third tier of tests: memory, cost and punctuality over minutes, on a machine with two cores and nothing else to do.
# Prints a line per figure and fails when one is out of bounds. Needs bash, awk and taskset; takes about 6 minutes.
set -euo pipefail
cd "$(dirname "$0")/.."

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

cat >"$place/fast.toml" <<'TOML'
name = "fast"
[target]
simulator = { quota = "none", latency = { median = "0s", p99 = "0s" }, visible_after = "0s" }
[[variant]]
name = "unused"
path = "/"
expect = [202]
[load]
stages = [{ for = "1s", users = 1 }]
TOML
taskset -c 1 "$program" sim "$place/fast.toml" --port 0 --data "$place/participants.csv" >"$place/simulator.txt" &
simulator=$!
until grep -q '^token' "$place/simulator.txt"; do sleep 0.1; done
TARGET=$(awk '/^serving/ { print $3 }' "$place/simulator.txt")
TOKEN=$(awk '/^token/ { print $2 }' "$place/simulator.txt")
export TARGET TOKEN

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

ROUNDS=${ROUNDS:-7} cargo bench --quiet --bench attempt | tee "$place/attempt.txt"
judge "CPU per PATCH against bare reqwest" "$(awk '/^medians/ { print $NF }' "$place/attempt.txt")" 1.25 times

for round in 1 2 3; do
  cargo test --release --quiet --test limit >"$place/limit.txt" 2>&1 && missed=0 || { missed=1; cat "$place/limit.txt"; }
  judge "the limit is exact and fair, round $round: claims that failed" "$missed" 0 ""
done

echo "$failures figures out of bounds"
[ "$failures" = 0 ]
