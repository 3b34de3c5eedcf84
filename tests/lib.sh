# For shell tests: source it, CHECK things, and end with `check_done NAME`. The last line is what
# tests/run adds up. Everything that a test starts, it registers with at_exit, and it is stopped.
#   . "$(dirname "$0")/../lib.sh"
# shellcheck shell=bash
set -u
export LC_ALL=C.UTF-8

WEIR_TESTS=${WEIR_TESTS:-$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)}
WEIR_ROOT=$(dirname "$WEIR_TESTS")
WEIR=${WEIR:-$WEIR_ROOT/build/release/weir}
WEIR_SHARED=${WEIR_SHARED:-$WEIR_ROOT/../shared}
check_passed=0 check_failed=0 check_skipped=0
at_exit_commands=()

# at_exit COMMAND...: run when the test ends, however it ends; the last one first.
at_exit() { at_exit_commands=("$(printf '%q ' "$@")" "${at_exit_commands[@]+"${at_exit_commands[@]}"}"); }
at_exit_run() {
    local command
    for command in "${at_exit_commands[@]+"${at_exit_commands[@]}"}"; do eval "$command"; done
    at_exit_commands=()
}
trap at_exit_run EXIT
trap 'exit 143' TERM
trap 'exit 130' INT

# stop PID: asks it to end, waits up to 10 s, then insists.
stop() {
    local pid=$1 i
    kill "$pid" 2>/dev/null || return 0
    for ((i = 0; i < 100; i++)); do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    kill -KILL "$pid" 2>/dev/null
    wait "$pid" 2>/dev/null
    return 0
}

pass() { check_passed=$((check_passed + 1)); }
fail() {
    check_failed=$((check_failed + 1))
    echo "failed: $*"
}
# skip WHY: one check that cannot be made here
skip() {
    check_skipped=$((check_skipped + 1))
    echo "skipped: $*"
}

# check "what must hold" COMMAND...: holds when the command's result is 0
check() {
    local what=$1
    shift
    if "$@"; then pass; else fail "$what"; fi
}
# check_equal "what" GOT WANT
check_equal() {
    if [ "$2" = "$3" ]; then pass; else fail "$1 is '$2', not '$3'"; fi
}
# check_contains "what" TEXT PART
check_contains() {
    if [[ $2 == *"$3"* ]]; then pass; else fail "$1 has no '$3' in: ${2:0:2000}"; fi
}
# wait_for SECONDS COMMAND...: 0 as soon as the command holds, 1 when the time is over
wait_for() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $deadline ] || return 1
        sleep 0.2
    done
}

# Ends the test: 77 when all of it was skipped.
check_done() {
    local tail=
    [ $check_skipped = 0 ] || tail=", $check_skipped skipped"
    at_exit_run
    echo "$1: $check_passed passed, $check_failed failed$tail"
    [ $check_failed = 0 ] || exit 1
    [ $check_passed != 0 ] || exit 77
    exit 0
}
