#!/usr/bin/env bash
# The instructions per event of the hot path against bench/instructions.json (bench/guard).
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)

skip() {
    echo "instructions: skipped: $1"
    echo "instructions: 0 passed, 0 failed, 1 skipped"
    exit 77
}

[ -z "${WEIR_SANITIZED:-}" ] || skip "a build with sanitizers has other figures"
command -v valgrind >/dev/null || skip "valgrind is missing: apt-get install valgrind"

log=$(mktemp)
trap 'rm -f "$log"' EXIT
code=0
"$root/bench/guard" --build "${WEIR_BUILD:-$root/build/release}" >"$log" 2>&1 || code=$?
sed 's/^guard:/instructions:/' "$log"
exit "$code"
