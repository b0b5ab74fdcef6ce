# What the measuring scripts share; sourced, from the root of the sources.

# debian PROGRAM PACKAGE...: installs the packages from Debian where the program is missing.
debian() {
  command -v "$1" >/dev/null || { apt-get update -q >/dev/null && apt-get install -qy "${@:2}" >/dev/null; }
}

# median FILE: of lines with a number each; of an even count the lower one.
median() { sort -n "$1" | awk '{ value[NR] = $1 } END { print value[int((NR + 1) / 2)] }'; }

# serve PROGRAM PLACE: starts a simulator on core 1 that refuses nothing. $simulator is its
# process, TARGET and TOKEN say how to use it, and its 400 participants stand in PLACE/participants.csv. It remembers the
# latest TRUTH requests, 100,000 unless told, and answers after LATENCY, at once unless told.
serve() {
  cat >"$2/simulator.toml" <<TOML
conversations = 200
quota = "none"
latency = "${LATENCY:-0s}"
visible_after = "0s"
truth = ${TRUTH:-100000}
TOML
  taskset -c 1 "$1" sim --config "$2/simulator.toml" --port 0 --data "$2/participants.csv" >"$2/simulator.txt" &
  simulator=$!
  until grep -q '^token' "$2/simulator.txt"; do
    kill -0 $simulator 2>/dev/null || exit 1
    sleep 0.1
  done
  TARGET=$(awk '/^serving/ { print $3 }' "$2/simulator.txt")
  TOKEN=$(awk '/^token/ { print $2 }' "$2/simulator.txt")
  export TARGET TOKEN
}

# wrk_patches PLACE SECONDS TARGET: PATCHes from core 0 on 100 connections that stay open; prints their number and how
# many there were in a second. Fails where anything but a success was answered.
wrk_patches() {
  taskset -c 0 wrk -t 1 -c 100 -d "$2s" -s benches/patch.lua "$3" -- "$1/participants.csv" "$TOKEN" >"$1/wrk.txt"
  if grep -E 'Non-2xx|Socket errors' "$1/wrk.txt" >&2; then return 1; fi
  awk '/requests in/ { requests = $1 } /Requests\/sec/ { print requests, int($2) }' "$1/wrk.txt"
}

# column FILE NAME: the last row's cell of a column.
column() { awk -F, -v name="$2" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) at = i } END { print $at }' "$1"; }
