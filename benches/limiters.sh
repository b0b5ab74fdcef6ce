#!/usr/bin/env bash
# limiters.sh [RUNS] [NAME,NAME...]: how often `patchload profile` is right about rate limiters that nobody here wrote:
# profiles each so often, 5 times unless told, two at once, and prints a table of how often each was right and the worst of
# it. Takes about 11 minutes for each run of all of them; needs what .ci/run installs, and a machine that does nothing else.
# Fails where any profile was wrong.
set -euo pipefail
cd "$(dirname "$0")/.."

export LIMITER_RUNS="${1:-5}"
if [ $# -gt 1 ]; then export LIMITERS="$2"; fi
cargo test --release --quiet --features external --test external_limiters -- --nocapture identified_and_what
