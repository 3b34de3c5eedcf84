#!/usr/bin/env bash
# weir replay as a user runs it: where the config is found, and what is said of late events.
. "$(dirname "$0")/../lib.sh"

if [ ! -x "$WEIR" ]; then
    skip "there is no $WEIR"
    check_done replay
fi
dir=$(mktemp -d)
at_exit rm -rf "$dir"
cd "$dir" || exit 1
unset WEIR_CONFIG

# weir ARGUMENTS...: sets $out, $errors and $code
weir() {
    code=0
    out=$("$WEIR" "$@" 2>errors) || code=$?
    errors=$(cat errors)
}

views() { # TIME...: a page view at each
    local time
    for time in "$@"; do
        printf '{"type":"page_view","session":"s","time":"%s"}\n' "$time"
    done
}

echo 'events: { preset: weir }' >good.yaml

late() {
    views 2026-01-05T09:00:0{0..9}Z >sorted.jsonl
    weir replay --config good.yaml sorted.jsonl
    check_equal "exit without a late event" "$code" 0
    check_equal "what is said then" "$errors" ""

    # one of the far future makes all that follow late
    views 2026-01-05T09:00:00Z 2099-01-05T09:00:00Z 2026-01-05T09:00:0{1,2}Z >ahead.jsonl
    weir replay --config good.yaml ahead.jsonl
    check_equal "exit with late events" "$code" 0
    check_contains "what is counted" "$out" "records 4, events 2, late 2"
    check_contains "the warning" "$errors" "2 of 4 events are late"
    check_contains "what may help" "$errors" "--sort"
    weir replay --config good.yaml --summary json ahead.jsonl
    check_contains "the warning beside JSON" "$errors" "2 of 4 events are late"
    weir replay --config good.yaml --sort ahead.jsonl
    check_contains "what is counted in order" "$out" "records 4, events 4, late 0"
    check_equal "what is said in order" "$errors" ""

    # a tenth is no reason yet, one more is
    views 2026-01-05T0{0..8}:00:00Z 2026-01-01T09:00:00Z >tenth.jsonl
    weir replay --config good.yaml tenth.jsonl
    check_contains "a tenth is late" "$out" "events 9, late 1"
    check_equal "what is said of a tenth" "$errors" ""
    views 2026-01-01T09:00:00Z >>tenth.jsonl
    weir replay --config good.yaml tenth.jsonl
    check_contains "the warning of more" "$errors" "2 of 11 events are late"
}

late
check_done replay
