#!/usr/bin/env bash
# The quickstart as a newcomer runs it: an alert comes and goes, and nothing stays behind.
. "$(dirname "$0")/../lib.sh"

if [ -n "${WEIR_FAST:-}" ]; then
    skip "it takes two minutes"
    check_done quickstart
fi

folder=$(mktemp -d "${TMPDIR:-/tmp}/weir-test.XXXXXX")
at_exit rm -rf "$folder"
mkdir "$folder/tmp"
quickstart=$WEIR_ROOT/deploy/quickstart

# What this test's own quickstart left: processes with its temporary folder in their environment.
left_behind() {
    local pid found=
    for pid in /proc/[0-9]*; do
        [ "$pid" = "/proc/$$" ] && continue
        { tr '\0' '\n' <"$pid/environ"; } 2>/dev/null | grep -qxE "TMPDIR=$folder/tmp(/.*)?" || continue
        grep -q '^State:.Z' "$pid/status" 2>/dev/null && continue
        found+="$({ tr '\0' ' ' <"$pid/cmdline"; } 2>/dev/null); "
    done
    echo "$found"
}

# The right options are asked for before anything is installed or built.
"$quickstart" --what >"$folder/usage" 2>&1
check_equal "the exit code of a wrong option" $? 2
check_contains "its usage" "$(cat "$folder/usage")" "--seconds N"

# An alert fires, resolves, and it ends by itself.
TMPDIR=$folder/tmp timeout 400 "$quickstart" --seconds 100 >"$folder/out" 2>&1
check_equal "the exit code after an alert" $? 0
out=$(cat "$folder/out")
check_contains "the output" "$out" "API http://127.0.0.1:"
check_contains "the output" "$out" "conversion"
check_contains "the output" "$out" "alert firing: ConversionDown  country DE"
check_contains "the output" "$out" "alert resolved: ConversionDown  country DE"
fired=$(grep -oE 'the alert fired: [0-9]+' "$folder/out" | grep -oE '[0-9]+$')
check "it fired within 60 s of the incident's start" [ "${fired:-999}" -le 60 ]
check_equal "alerts of other countries" "$(grep 'alert firing' "$folder/out" | grep -vc 'country DE')" 0
check_equal "what stayed in the temporary folder" "$(ls -A "$folder/tmp")" ""
check_equal "what still runs" "$(left_behind)" ""
[ $check_failed = 0 ] || tail -n 60 "$folder/out"

# start FILE: one in a group of its own; $leader is its process
start() {
    TMPDIR=$folder/tmp setsid "$quickstart" >"$1" 2>&1 &
    leader=$!
    if wait_for 60 grep -q 'API http' "$1"; then
        pass
    else
        fail "it does not start"
        cat "$1"
    fi
}

# Ctrl-C in the middle: SIGINT to the whole group, as a terminal sends it.
start "$folder/interrupted"
# setsid forks only when it must, and then the script is its only child
group=$(ps -o pgid= -p "$leader" | tr -d ' ')
began=$SECONDS
kill -INT -- "-$group"
wait "$leader"
check "it ends within 20 s of a Ctrl-C" [ $((SECONDS - began)) -le 20 ]
check_equal "what stayed in the temporary folder" "$(ls -A "$folder/tmp")" ""
check_equal "what still runs" "$(left_behind)" ""

# Killed, its Redis and its service follow.
start "$folder/killed"
kill -KILL "$leader"
wait "$leader" 2>/dev/null
nothing_left() { [ -z "$(left_behind)" ]; }
check "everything ends when it is killed" wait_for 25 nothing_left

check_done quickstart
