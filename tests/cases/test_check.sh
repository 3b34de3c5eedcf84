#!/usr/bin/env bash
# weir check, version, manual and the command line itself: what they print and how they exit.
. "$(dirname "$0")/../lib.sh"

if [ ! -x "$WEIR" ]; then
    skip "there is no $WEIR"
    check_done check
fi
dir=$(mktemp -d)
at_exit rm -rf "$dir"
unset WEIR_CONFIG

# weir ARGUMENTS...: sets $out, $errors and $code
weir() {
    code=0
    out=$("$WEIR" "$@" 2>"$dir/errors") || code=$?
    errors=$(cat "$dir/errors")
}

cat >"$dir/weir.yaml" <<'YAML'
kafka: { brokers: [localhost:9092], topics: [shop.events, shop.more], group: shop }
redis: { url: redis://localhost:6379/0 }
events: { preset: weir, dimensions: { country: country, device: device } }
windows: [5m, 1m, 24h]
alerts: { rules_files: [rules.yaml] }
sinks: [ { type: log }, { type: webhook, name: pager, url: "https://example.com/" } ]
YAML
cat >"$dir/rules.yaml" <<'YAML'
groups:
  - name: shop
    rules:
      - { alert: ConversionDown, metric: conversion_rate, window: 5m, by: [country], below: 0.02 }
      - { alert: FewOrders, metric: orders, reading: settled, window: 24h, below: 10 }
YAML

good_config() {
    weir check config "$dir/weir.yaml"
    check_equal "exit of a good config" "$code" 0
    check_equal "the digest" "$out" "ok
  group       shop
  topics      shop.events shop.more
  windows     1m 5m 24h
  dimensions  country device
  sinks       log-1 pager
  rules       2
    shop/ConversionDown: conversion_rate over 5m by country
    shop/FewOrders: settled orders over 24h"
    check_equal "errors of a good config" "$errors" ""
}

good_rules() {
    weir check rules "$dir/rules.yaml"
    check_equal "exit of good rules" "$code" 0
    check_contains "rules alone" "$out" "with --config FILE"
    weir check rules "$dir/rules.yaml" --config "$dir/weir.yaml"
    check_equal "exit of good rules with a config" "$code" 0
    check_equal "rules with a config begin with" "$(head -n 1 <<<"$out")" ok
}

# What is enough for the one command and not for the other, and what is hardly meant.
doubts() {
    sed '/^redis:/d' "$dir/weir.yaml" >"$dir/half.yaml"
    weir check config "$dir/half.yaml"
    check_equal "exit without redis" "$code" 0
    check_equal "the verdict without redis" "$(head -n 1 <<<"$out")" \
        "ok for weir replay; for weir run add the section redis"
    sed '/^kafka:/d; /^redis:/d' "$dir/weir.yaml" >"$dir/half.yaml"
    weir check config "$dir/half.yaml"
    check_equal "the verdict without both" "$(head -n 1 <<<"$out")" \
        "ok for weir replay; for weir run add the sections kafka and redis"
    sed 's/rules_files: .*/rules_files: [rules.yaml, "none-*.yaml"] }/' "$dir/weir.yaml" >"$dir/none.yaml"
    weir check config "$dir/none.yaml"
    check_equal "exit of a pattern without files" "$code" 0
    check_equal "its warning" "$(tail -n 1 <<<"$out")" "warning: $dir/none.yaml:5:37:\
 alerts.rules_files[1]: \`none-*.yaml\` matches no file, so no rule comes from it; correct it, or\
 remove it"
    sed 's/rules_files: .*/rules_files: [none.yml] }/' "$dir/weir.yaml" >"$dir/none.yaml"
    weir check config "$dir/none.yaml"
    check_equal "exit of a rules file that is not there" "$code" 1
}

mistakes() {
    sed 's/windows: .*/windoes: [1m]/; s/preset: weir/preset: wier/' "$dir/weir.yaml" >"$dir/bad.yaml"
    weir check config "$dir/bad.yaml"
    check_equal "exit of a bad config" "$code" 1
    check_contains "an unknown key" "$out" "$dir/bad.yaml:4:1: windoes: "
    check_contains "a wrong preset" "$out" "$dir/bad.yaml:3:"
    check_contains "how many there are" "$(tail -n 1 <<<"$out")" " mistakes"
    weir check rules "$dir/rules.yaml" --config "$dir/bad.yaml"
    check_equal "exit of good rules with a bad config" "$code" 1
    sed 's/window: 24h/window: 7m/' "$dir/rules.yaml" >"$dir/bad_rules.yaml"
    weir check rules "$dir/bad_rules.yaml" --config "$dir/weir.yaml"
    check_equal "exit of a rule over a window that is none" "$code" 1
    check_contains "the window" "$out" "7m"
    weir check rules "$dir/bad_rules.yaml"
    check_equal "exit of the same without a config" "$code" 0
    weir check config "$dir/missing.yaml"
    check_equal "exit of a missing file" "$code" 1
    check_contains "a missing file" "$out" "cannot be read"
    weir check rules "$dir/missing.yaml"
    check_equal "exit of a missing rules file" "$code" 1
}

# What librdkafka says only of a whole client.
clients() {
    local properties
    while IFS='|' read -r properties words; do
        sed "s#group: shop }#group: shop, rdkafka: { $properties } }#" "$dir/weir.yaml" >"$dir/client.yaml"
        weir check config "$dir/client.yaml"
        check_equal "exit with $properties" "$code" 1
        check_contains "what is said of $properties" "$out" "$words"
        check_equal "where $properties stands" "$(head -n 1 <<<"$out" | cut -d' ' -f1,2)" \
            "$dir/client.yaml:1:93: kafka.rdkafka:"
        check_equal "how many with $properties" "$(tail -n 1 <<<"$out")" "1 mistake"
        local checked=${out%$'\n'1 mistake}
        weir run --config "$dir/client.yaml" # there is no Redis, which would be 3 and tried again
        check_equal "exit of weir run with $properties" "$code" 1
        check_equal "what weir run says of $properties" "$(tail -n 1 <<<"$errors")" "$checked"
    done <<-'LIST'
	security.protocol: SASL_PLAINTEXT, sasl.mechanism: PLAIN|sasl.username and sasl.password must be set
	security.protocol: SSL, ssl.ca.location: /nowhere.pem|ssl.ca.location failed
	session.timeout.ms: 70000, max.poll.interval.ms: 60000|`max.poll.interval.ms`must be >= `session.timeout.ms`
	LIST
}

wrong_usage() {
    local arguments
    while IFS= read -r arguments; do
        # shellcheck disable=SC2086 # words on purpose
        weir $arguments
        check_equal "exit of 'weir $arguments'" "$code" 2
        check_equal "output of 'weir $arguments'" "$out" ""
        check_contains "errors of 'weir $arguments'" "$errors" "weir"
    done <<'LINES'

check
check config
check config a b
check conf a
check rules a --config
check rules a --conf b
version now
manual
manual nothing
get
get nothing
get windows
get windows --config
get windows --redis redis://localhost
get windows --group shop
get windows --config a --redis b
get windows --dimension country --redis redis://localhost --group shop
get alerts --window 5m --redis redis://localhost --group shop
get windows --frob
silence
silence nothing
silence add a=b --comment x --redis redis://localhost --group shop
silence add a=b --for 2h --redis redis://localhost --group shop
silence add a=b --for
silence list x --redis redis://localhost --group shop
silence expire --redis redis://localhost --group shop
silence list --frob
LINES
    weir chekc
    check_equal "exit of an unknown command" "$code" 2
    check_contains "the nearest command" "$errors" "did you mean check?"
    weir qqqqqq
    check_equal "no near command" "$errors" "weir: there is no command qqqqqq; weir --help lists them"
}

# Without --config: $WEIR_CONFIG, else ./weir.yaml, else a sentence.
found_config() {
    local arguments here=$dir/here
    mkdir "$here"
    while IFS= read -r arguments; do
        cd "$here" || exit 1
        rm -f weir.yaml
        # shellcheck disable=SC2086 # words on purpose
        weir $arguments
        check_equal "exit of 'weir $arguments' without any config" "$code" 2
        check_contains "what it says" "$errors" 'write --config FILE'
        check_contains "what it looked for" "$errors" "WEIR_CONFIG or ./weir.yaml is taken, and there is neither"
        export WEIR_CONFIG=$dir/missing.yaml
        weir $arguments
        check_equal "exit of 'weir $arguments' with WEIR_CONFIG" "$code" 1
        check_contains "the file of WEIR_CONFIG" "$errors" "$dir/missing.yaml:1:1: file: "
        unset WEIR_CONFIG
        echo 'windoes: [1m]' >weir.yaml
        weir $arguments
        check_equal "exit of 'weir $arguments' with ./weir.yaml" "$code" 1
        check_contains "the file that is here" "$errors" "weir.yaml:1:1: windoes: "
        WEIR_CONFIG='' weir $arguments
        check_contains "an empty WEIR_CONFIG is none" "$errors" "weir.yaml:1:1: windoes: "
        weir $arguments --config "$dir/missing.yaml"
        check_contains "--config goes first" "$errors" "$dir/missing.yaml:1:1: file: "
        echo 'windows: [1m]' >weir.yaml
        case $arguments in replay*) continue ;; esac
        weir $arguments
        check_equal "exit of 'weir $arguments' with a config that lacks services" "$code" 1
        check_contains "what it lacks" "$errors" "weir.yaml: "
        check_contains "what to do" "$errors" " missing; add "
    done <<'LINES'
run
replay -
rekey --to x
get windows
silence list
silence expire x
silence add a=b --for 2h --comment x
LINES
    cp "$dir/weir.yaml" "$dir/rules.yaml" .
    weir check rules rules.yaml
    check_equal "exit of rules with the config that is here" "$code" 0
    check_equal "which config it was" "$(head -n 1 <<<"$out")" "ok (by the config weir.yaml)"
    weir check rules "$dir/bad_rules.yaml"
    check_equal "exit of a window that it lacks" "$code" 1
    check_contains "the windows, as they are called elsewhere" "$out" "write one of 1m, 5m, 24h,"
    cd - >/dev/null || exit 1
}

help_and_version() {
    local command
    for command in --help -h help; do
        weir $command
        check_equal "exit of weir $command" "$code" 0
        check_contains "weir $command" "$out" "usage: weir COMMAND"
    done
    for command in check get silence; do
        weir $command --help
        check_equal "exit of weir $command --help" "$code" 0
        check_contains "weir $command --help" "$out" "usage: weir $command"
    done
    weir version
    check_equal "exit of weir version" "$code" 0
    check_contains "weir version" "$out" "librdkafka 2."
    check_equal "its first line" "$(head -n 1 <<<"$out" | sed 's/[0-9.]*$//')" "weir "
    check_equal "weir --version" "$("$WEIR" --version)" "$out"
    weir manual config
    check_contains "weir manual config" "$out" "| \`kafka.brokers\` |"
    weir manual metrics
    local name
    for name in conversion_rate settled.bounce_rate revenue settled.abandoned_carts visitors \
        weir_events_total weir_partition_lag process_open_fds; do
        check_contains "weir manual metrics" "$out" "| \`$name\` |"
    done
    code=0
    "$WEIR" manual metrics >/dev/full 2>"$dir/errors" || code=$?
    check_equal "exit when the results cannot be written" "$code" 1
    check_contains "what it says then" "$(cat "$dir/errors")" "cannot write the results"
}

good_config
good_rules
doubts
mistakes
clients
wrong_usage
found_config
help_and_version
check_done check
