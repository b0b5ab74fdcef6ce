#!/usr/bin/env bash
# What do checks cost the load beside which they go? Service p50 of the same load
# with 5 % of the writes looked for and 1 % repeated, and without, in ROUNDS alternating rounds; simulator on core 1, client
# on core 0. The simulator answers after LATENCY, 5 ms unless told. Needs taskset. Takes four minutes and a build.
set -euo pipefail
cd "$(dirname "$0")/.."
. benches/common.sh
rounds=${ROUNDS:-9} seconds=${SECONDS_EACH:-8}

cargo build --release --quiet
program=$PWD/target/release/patchload
place=$(mktemp -d)
simulator=
trap 'kill $simulator || true; rm -rf "$place"' EXIT
LATENCY=${LATENCY:-5ms} serve "$program" "$place"

cat >"$place/without.toml" <<'TOML'
name = "cost"
[target]
base_url = "${TARGET}"
[target.auth]
kind = "bearer"
tokens = ["${TOKEN}"]
[data.participants]
file = "participants.csv"
pick = "random"
[[variant]]
name = "attributes"
path = "/api/v2/conversations/{{ conversation_id }}/participants/{{ participant_id }}/attributes"
body = '{"attributes": {"k{{ user }}": "{{ unique }}"}}'
expect = [202]
[read]
path = "/api/v2/conversations/{{ conversation_id }}"
attributes = "$.participants[?@.id=='{{ participant_id }}'].attributes"
[load]
stages = [{ for = "1s", users = 100 }]
spread = "0s"
think_time = "95ms"
[limit]
rate = "2000/s"
burst = 20
TOML
cat "$place/without.toml" - >"$place/with.toml" <<'TOML'
[checks]
track = "k{{ user }}"
[checks.visibility]
share = "5%"
within = "1s"
recheck = "1s"
[checks.idempotency]
share = "1%"
settle = "500ms"
TOML

for round in $(seq "$rounds"); do
  for kind in without with; do
    taskset -c 0 "$program" run "$place/$kind.toml" -d "${seconds}s" -q --accept-invalid --out "$place/out" >/dev/null
    p50=$(column "$(echo "$place"/out/cost-*/summary.csv)" service_p50_us)
    rate=$(column "$(echo "$place"/out/cost-*/summary.csv)" achieved_per_s)
    printf 'round %s: %-8s service p50 %s us, %s PATCH/s\n' "$round" "$kind" "$p50" "$rate"
    echo "$p50" >>"$place/$kind.txt"
    rm -rf "$place/out"
  done
done
with=$(median "$place/with.txt") without=$(median "$place/without.txt")
awk -v with="$with" -v without="$without" \
  'BEGIN { printf "medians: service p50 %s us with checks, %s us without: %.3f times\n", with, without, with / without }'
