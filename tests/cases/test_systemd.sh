#!/usr/bin/env bash
# deploy/weir.service as systemd itself judges it, without a systemd that runs.
. "$(dirname "$0")/../lib.sh"

unit=$WEIR_ROOT/deploy/weir.service
if ! command -v systemd-analyze >/dev/null; then
    skip "there is no systemd-analyze (Debian package systemd)"
    check_done systemd
fi
dir=$(mktemp -d)
at_exit rm -rf "$dir"

# "Overall exposure level for weir.service: 1.5 OK"
security=$(systemd-analyze security --offline=true --no-pager "$unit" 2>"$dir/errors")
level=$(sed -n 's/.*Overall exposure level for weir.service: \([0-9.]*\).*/\1/p' <<<"$security")
check "an exposure level is said: $(cat "$dir/errors")" test -n "$level"
check "the exposure level $level is below 2.0" awk -v "level=$level" 'BEGIN { exit !(level != "" && level < 2.0) }'

# Every line is understood, but for the one word that systemd learned with 253.
sed "s|/usr/local/bin/weir|$WEIR|" "$unit" >"$dir/weir.service"
errors=$(SYSTEMD_LOG_LEVEL=warning systemd-analyze verify --man=no "$dir/weir.service" 2>&1 |
    grep "^$dir/weir.service\|^weir.service" | grep -v 'ignoring: notify-reload$')
check_equal "what systemd says of the unit" "$errors" ""

# What the unit says of exit codes is what weir has.
check "only a person helps after 1, 2 and 4" grep -qx 'RestartPreventExitStatus=1 2 4' "$unit"
check "nothing before weir run can fail, as systemd would start that again for ever" \
    bash -c '! grep -E "^ExecStartPre=|^ExecCondition=" "$1"' - "$unit"
check "systemd before 253 falls back to notify" grep -Pzoq '\nType=notify\nType=notify-reload\n' "$unit"
check "the watchdog is on" grep -q '^WatchdogSec=' "$unit"
check_done systemd
