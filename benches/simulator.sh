#!/usr/bin/env bash
# What does a PATCH cost the simulator? CPU time (user and system) of the server per request on 100 connections that
# stay open, beside nginx that answers a constant; server on core 1, wrk on core 0, medians of ROUNDS alternating
# rounds. Needs taskset, and installs wrk and nginx from Debian where they are missing. Takes a minute and a build.
set -euo pipefail
cd "$(dirname "$0")/.."
. benches/common.sh
rounds=${ROUNDS:-7} seconds=${SECONDS_EACH:-4}

debian wrk wrk
debian nginx nginx-light
cargo build --release --quiet
place=$(mktemp -d)
simulator= nginx=
finish() {
  local process
  for process in $simulator $nginx; do
    kill "$process" 2>/dev/null || true
    wait "$process" || true
  done
  rm -rf "$place"
}
trap finish EXIT

cat >"$place/nginx.conf" <<NGINX
worker_processes 1;
daemon off;
pid $place/nginx.pid;
error_log $place/nginx.log;
events { worker_connections 1024; }
http {
  access_log off;
  keepalive_requests 1000000000;
  client_body_temp_path $place;
  proxy_temp_path $place;
  fastcgi_temp_path $place;
  uwsgi_temp_path $place;
  scgi_temp_path $place;
  server {
    listen 127.0.0.1:8099;
    location / { return 202 ""; }
  }
}
NGINX
taskset -c 1 nginx -e "$place/nginx.log" -c "$place/nginx.conf" &
nginx=$!
serve target/release/patchload "$place"
until worker=$(cat /proc/$nginx/task/$nginx/children) && [ -n "$worker" ]; do sleep 0.1; done

# ticks PROCESS: the CPU time of all its threads, in 10 ms.
ticks() { awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$1/stat"; }

# measure NAME PROCESS TARGET: a line, and its figures into files; $cost is the last one measured.
measure() {
  local before spent count rate
  before=$(ticks $2)
  wrk_patches "$place" "$seconds" "$3" >"$place/round"
  read -r count rate <"$place/round"
  spent=$(($(ticks $2) - before))
  cost=$(awk "BEGIN { printf \"%.2f\", $spent * 10000 / $count }")
  printf '%-10s %6s us per PATCH, %6s PATCH/s\n' "$1" "$cost" "$rate"
  echo "$cost" >>"$place/$1.costs"
  echo "$rate" >>"$place/$1.rates"
}

for ((round = 1; round <= rounds; round++)); do
  measure nginx $worker http://127.0.0.1:8099
  constant=$cost
  measure simulator $simulator "$TARGET"
  awk "BEGIN { print $cost / $constant }" >>"$place/ratios"
done
echo "medians"
for server in simulator nginx; do
  printf '%-10s %6s us per PATCH, %6s PATCH/s\n' $server \
    "$(median "$place/$server.costs")" "$(median "$place/$server.rates")"
done
printf 'the simulator costs %.2f times what nginx does\n' "$(median "$place/ratios")"
