#!/usr/bin/env bash
# More partitions than memory allows: refused with a sentence, before anything is counted.
. "$(dirname "$0")/../lib.sh"

if [ -z "${REDIS_URL:-}" ] || [ -z "${KAFKA_BROKERS:-}" ] || [ ! -x "$WEIR" ]; then
    skip "KAFKA_BROKERS or REDIS_URL is not set, or there is no $WEIR"
    check_done limits
fi
dir=$(mktemp -d)
at_exit rm -rf "$dir"
topic=limits-$$-$RANDOM
"$WEIR" generate --events 100 --to "kafka://$KAFKA_BROKERS/$topic" --partitions 64 2>"$dir/generate"
cat >"$dir/weir.yaml" <<EOF
kafka: { brokers: [$KAFKA_BROKERS], topics: [$topic], group: $topic }
redis: { url: "$REDIS_URL" }
http: { listen: off }
EOF

# MiB that the address space may grow to: 64 partitions need 512 of them beside the program itself
if [ -n "${WEIR_SANITIZED:-}" ] || grep -aq __asan_init "$WEIR"; then
    skip "a limit of the address space does not work with a sanitizer"
else
    code=0
    (ulimit -v $((700 * 1024)) && timeout 30 "$WEIR" run --config "$dir/weir.yaml") 2>"$dir/errors" || code=$?
    check_equal "exit with too little memory" "$code" 4
    check_contains "what is said of it" "$(cat "$dir/errors")" "64 partitions need at least 512 MiB"
    check_contains "what to do" "$(cat "$dir/errors")" "run more processes on other machines"
fi

"$WEIR" run --config "$dir/weir.yaml" 2>"$dir/errors" &
pid=$!
at_exit stop $pid
for ((i = 0; i < 200; i++)); do
    [ "$(grep -sc 'partition claimed' "$dir/errors")" != 64 ] || break
    sleep 0.1
done
check_equal "partitions claimed without the limit" "$(grep -c 'partition claimed' "$dir/errors")" 64
check_done limits
