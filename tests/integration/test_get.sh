#!/usr/bin/env bash
# weir get and weir silence against a real Redis (REDIS_URL) with hand-written keys.
. "$(dirname "$0")/../lib.sh"
unset WEIR_CONFIG

if [ -z "${REDIS_URL:-}" ] || [ ! -x "$WEIR" ]; then
    skip "REDIS_URL is not set, or there is no $WEIR"
    check_done get
fi
dir=$(mktemp -d)
at_exit rm -rf "$dir"
group='test[get]' # a pattern's characters: they must mean themselves
tag="weir:{$group}:"
from=(--redis "$REDIS_URL" --group "$group")

redis() { redis-cli -u "$REDIS_URL" "$@" >/dev/null; }
forget() {
    redis-cli -u "$REDIS_URL" --scan --pattern 'weir:{test\[get\]*' | while IFS= read -r key; do
        redis del "$key"
    done
    redis del 'weir:{testg}:now:7m'
}
at_exit forget

# weir ARGUMENTS...: sets $out, $errors and $code
weir() {
    code=0
    out=$("$WEIR" "$@" 2>"$dir/errors") || code=$?
    errors=$(cat "$dir/errors")
}

nothing_yet() {
    local what
    for what in windows segments alerts partitions; do
        weir get $what "${from[@]}"
        check_equal "exit of get $what without data" "$code" 0
        check_contains "get $what without data" "$out" "No "
        weir get $what --json "${from[@]}"
        check_contains "get $what --json without data" "$out" '[]'
    done
    weir get windows --redis redis://127.0.0.1:1 --group "$group"
    check_equal "exit when Redis is away" "$code" 3
    check_contains "what it says then" "$errors" "127.0.0.1:1"
    weir get windows --redis nonsense --group "$group"
    check_equal "exit of a malformed URL" "$code" 1
}

write_keys() {
    local now
    now=$(($(date +%s) * 1000))
    redis hset "${tag}now:1h" as_of $((now - 14000)) computed_at "$now" partitions 4 \
        conversion_rate 0.018300 conversion_rate.num 412 conversion_rate.den 22514 sessions 22514 \
        revenue 1259442.63 session_duration 152.36 settled.sessions 20000 settled.bounce_rate 1 \
        custom 3 visitors 18321
    redis hset "${tag}now:5m" as_of $((now - 4000)) sessions 7 conversion_rate 0
    redis hset "weir:{testg}:now:7m" sessions 1 # the pattern, unescaped, would match this
    redis zadd "${tag}top:5m:country" 50 DE 5 $'a\x1b[31m'
    redis zadd "${tag}top:5m:device" 5 mobile
    redis hset "${tag}now:5m:country:DE" as_of $((now - 4000)) sessions 50 conversion_rate 0.5
    redis hset "${tag}now:5m:country:"$'a\x1b[31m' sessions 5
    redis hset "${tag}now:5m:device:mobile" sessions 5
    redis hset "${tag}firing" f00d '{"status":"firing","rule":"ConversionDown","metric":"conversion_rate","segment":{"country":"DE"},"value":0.0183,"threshold":0.025,"starts_at":"2026-01-31T12:00:00Z","summary":"Conversion fell"}'
    redis xadd "${tag}alerts" 1-0 alert '{"status":"pending","rule":"ConversionDown","metric":"conversion_rate","segment":{}}'
    redis sadd "${tag}partitions" shop.events.10 shop.events.9
    redis hset "weir:{$group.shop.events.9}:meta" owner 0123456789abcdef epoch 3 offset 1234567 lag 0 \
        watermark 1700000000000 wall $((now - 3000)) idle 0
}

windows() {
    weir get windows "${from[@]}"
    check_equal "exit of get windows" "$code" 0
    check_equal "the header" "$(sed -n 's/  */ /gp' <<<"$out" | head -n 1)" "group $group 5m 1h"
    local line
    while IFS= read -r line; do
        check_contains "the table" "$(sed 's/  */ /g' <<<"$out")" "$line"
    done <<'LINES'
conversion_rate 0.00 % 1.83 %
sessions 7 22,514
revenue - 1,259,442.63
session_duration - 152.4 s
settled.bounce_rate - 100.00 %
visitors - 18,321
custom - 3
LINES
    check_equal "parts of a ratio are no rows" "$(grep -c '\.num\|\.den' <<<"$out")" 0
    weir get windows --window 1h --json "${from[@]}"
    check_equal "a figure in JSON" "$(python3 -c 'import json, sys
window, = json.load(sys.stdin)["windows"]
print(window["window"], window["revenue"], window["conversion_rate.den"])' <<<"$out")" \
        "1h 1259442.63 22514"
    weir get windows --window 7m "${from[@]}"
    check_equal "exit of a window that is none" "$code" 1
    check_contains "what it says then" "$errors" "there is no window 7m; there are: 5m 1h"
}

segments() {
    weir get segments "${from[@]}"
    check_contains "segments" "$(sed 's/  */ /g' <<<"$out")" "DE 50 50.00 %"
    check_contains "the other dimension" "$out" "mobile"
    check_contains "no escape reaches the terminal" "$out" "a?[31m"
    weir get segments --dimension device --window 5m "${from[@]}"
    check_equal "one dimension only" "$(grep -c DE <<<"$out")" 0
    weir get segments --dimension planet "${from[@]}"
    check_equal "exit of a dimension that is none" "$code" 1
    check_contains "what it says then" "$errors" "there are: country device"
}

alerts_and_partitions() {
    weir get alerts "${from[@]}"
    check_contains "a firing alert" "$(sed 's/  */ /g' <<<"$out")" \
        "firing ConversionDown country DE 2026-01-31T12:00:00Z 1.83 % 2.50 % Conversion fell"
    check_contains "a recent change" "$(sed 's/  */ /g' <<<"$out")" "pending ConversionDown total"
    weir get partitions "${from[@]}"
    check_contains "a partition" "$(sed 's/  */ /g' <<<"$out")" \
        "shop.events 9 01234567 3 1,234,567 0 2023-11-14 22:13:20 UTC"
    check_contains "a partition that was only claimed" "$(sed 's/  */ /g' <<<"$out")" \
        "shop.events 10 - - - - - - no"
}

by_config() {
    cat >"$dir/weir.yaml" <<YAML
kafka: { brokers: [localhost:9092], topics: [shop.events], group: shop-of-test-get }
redis: { url: "$REDIS_URL" }
events: { preset: weir, dimensions: { country: country } }
windows: [5m, 1h]
YAML
    weir get segments --config "$dir/weir.yaml"
    check_equal "exit by a config" "$code" 0
    check_contains "by a config" "$out" "group shop-of-test-get"
    # as README.md shows it: the config is found
    WEIR_CONFIG=$dir/weir.yaml weir get windows
    check_contains "by WEIR_CONFIG" "$out" "group shop-of-test-get"
    cd "$dir" || exit 1
    weir silence list
    check_equal "by ./weir.yaml" "$out" "No alert of group shop-of-test-get is silenced."
    weir silence add alertname=ConversionDown country=DE --for 2h --comment known
    check_equal "exit of silence add by ./weir.yaml" "$code" 0
    weir silence expire "$out"
    check_equal "exit of silence expire by ./weir.yaml" "$code" 0
    weir get windows "${from[@]}"
    check_contains "--redis and --group beside ./weir.yaml" "$out" "group $group"
    weir get windows --group "$group"
    check_equal "exit of --group alone beside ./weir.yaml" "$code" 2
    cd - >/dev/null || exit 1
    weir get segments --window 7m --config "$dir/weir.yaml"
    check_contains "the config's windows" "$errors" "there are: 5m 1h"
    echo 'windoes: [1m]' >>"$dir/weir.yaml"
    weir get windows --config "$dir/weir.yaml"
    check_equal "exit by a bad config" "$code" 1
    check_contains "the mistake" "$errors" "windoes"
}

silences() {
    local id
    weir silence add country=DE 'severity!=info' --for 2h --comment 'the "provider"' "${from[@]}"
    check_equal "exit of silence add" "$code" 0
    id=$out
    check "an id of 16 digits" grep -qxE '[0-9a-f]{16}' <<<"$id"
    check_contains "it is in Redis" "$(redis-cli -u "$REDIS_URL" hget "${tag}silences" "$id")" \
        '"label":"country","op":"=","value":"DE"'
    redis hset "${tag}silences" old '{"id":"old","comment":"","created_by":"x","created_at_ms":1,"expires_at_ms":2,"matchers":[{"label":"a","op":"=","value":"b"}]}'
    redis hset "${tag}silences" bad 'damaged'
    weir silence list "${from[@]}"
    check_contains "the list" "$(sed 's/  */ /g' <<<"$out")" "$id in 1"
    check_contains "its matchers" "$out" "country=DE severity!=info"
    check_contains "a damaged one is told" "$errors" "1 entries"
    check_equal "what has expired is removed" "$(redis-cli -u "$REDIS_URL" hexists "${tag}silences" old)" 0
    weir silence expire "$id" "${from[@]}"
    check_equal "exit of silence expire" "$code" 0
    weir silence expire "$id" "${from[@]}"
    check_equal "exit of expiring it again" "$code" 1
    weir silence list "${from[@]}"
    check_contains "an empty list" "$out" "No alert of group $group is silenced."
    weir silence add 'country=~D.*' --for 2h --comment x "${from[@]}"
    check_equal "exit of a matcher that is none" "$code" 1
    weir silence add a=b --for 2 --comment x "${from[@]}"
    check_equal "exit of a duration that is none" "$code" 1
    weir silence add a=b --for 2h --comment $'\xff' "${from[@]}"
    check_equal "exit of a comment that is not UTF-8" "$code" 1
    weir silence add a=b --for 2h --comment x --redis redis://127.0.0.1:1 --group g
    check_equal "exit when Redis is away" "$code" 3
}

forget
nothing_yet
write_keys
windows
segments
alerts_and_partitions
by_config
silences
check_done get
