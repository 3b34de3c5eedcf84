#!/usr/bin/env bash
# weir generate as a user runs it: files and pipes, real time, signals, and every wrong usage.
. "$(dirname "$0")/../lib.sh"

if [ ! -x "$WEIR" ]; then
    skip "$WEIR is not built"
    check_done generate
fi
folder=$(mktemp -d "${TMPDIR:-/tmp}/weir-test.XXXXXX")
at_exit rm -rf "$folder"
cd "$folder" || exit 1
spec=metric=conversion,segment=country:DE,size=80%,start=10m,duration=15m,shape=step

# A file and its truth; the same seed gives the same bytes, another seed others.
"$WEIR" generate --events 20k --seed 7 --incident "$spec" --to one.jsonl 2>log
check_equal "the exit code for a file" $? 0
check_contains "the log" "$(cat log)" "events=20000"
check_equal "the lines of a file" "$(wc -l <one.jsonl)" 20000
"$WEIR" generate --events=20000 --seed=7 --incident="$spec" --to - >two.jsonl 2>log
check "standard output has the same bytes as a file" cmp -s one.jsonl two.jsonl
check "and its truth" cmp -s weir-truth.json one.jsonl.truth.json
check_equal "where it is said" "$(grep -c 'truth=weir-truth.json' log)" 2
check_contains "what it is" "$(head -n 1 log)" "what the incidents really do"
rm weir-truth.json
"$WEIR" generate --events 20k --seed 8 >three.jsonl 2>log
check "without incidents standard output leaves no file" [ ! -e weir-truth.json ]
check "another seed gives other bytes" [ "$(cmp -s one.jsonl three.jsonl; echo $?)" = 1 ]
check_equal "truths beside standard output" "$(ls ./*.truth.json)" ./one.jsonl.truth.json

check "every line is JSON, in the order of time, and the truth counts them" python3 - <<'PYTHON'
import json
events = [json.loads(line) for line in open("one.jsonl")]
truth = json.load(open("one.jsonl.truth.json"))
times = [event["time"] for event in events]
assert times == sorted(times)
assert times[0].startswith("2026-01-05T00:00:0"), times[0]
assert truth["seed"] == 7 and truth["totals"]["events"] == len(events)
assert truth["last"] == times[-1]
for name, count in truth["totals"]["types"].items():
    assert count == sum(event["type"] == name for event in events), name
one, = truth["incidents"]
assert (one["metric"], one["segment"], one["size"]) == ("conversion", {"country": "DE"}, 0.8)
assert (one["start"], one["end"]) == ("2026-01-05T00:10:00.000Z", "2026-01-05T00:25:00.000Z")
bought = sum(event["type"] == "purchase" and event["country"] == "DE"
             and one["start"] <= event["time"] < one["end"]
             and "bot" not in event["user_agent"].lower() for event in events)
assert bought == one["seen"]["purchases"] == one["actual"], (bought, one)
assert 410 <= sum(len(line) for line in open("one.jsonl")) / len(events) <= 450
PYTHON

# Bounds, rates and starts.
"$WEIR" generate --duration 1h --sessions-per-second 2 --speed max --level \
    --start 2026-03-01T12:00:00Z --to hour.jsonl --truth hour.json 2>log
check_equal "the exit code of an hour" $? 0
check "the truth is where it was asked for" [ -s hour.json ] && [ ! -e hour.jsonl.truth.json ]
check_contains "the first event" "$(head -n 1 hour.jsonl)" '"time":"2026-03-01T12:00:'
check_contains "the last event" "$(tail -n 1 hour.jsonl)" '"time":"2026-03-01T12:59:'
sessions=$(grep -o '"session":"[^"]*"' hour.jsonl | sort -u | wc -l)
check "2 sessions a second are about 7200 in an hour" \
    [ "$sessions" -gt 6700 ] && [ "$sessions" -lt 7700 ]
"$WEIR" generate --events 10 --to no-truth.jsonl --truth none 2>log
check "--truth none writes none" [ ! -e no-truth.jsonl.truth.json ]

"$WEIR" generate >default.jsonl 2>log
check_equal "the exit code without an amount" $? 0
check_equal "the lines without an amount" "$(wc -l <default.jsonl)" 100000

"$WEIR" generate --events 10 --incident "$spec" --truth none >again.jsonl 2>log
check "--truth none writes none of an incident" [ ! -e weir-truth.json ]
"$WEIR" generate --events 10 --incident "$spec" --truth own.json >again.jsonl 2>log
check "--truth FILE is the only one" [ -s own.json ] && [ ! -e weir-truth.json ]
mkdir -p taken/weir-truth.json
(cd taken && "$WEIR" generate --events 10 --incident "$spec" >/dev/null 2>../log)
check_equal "the exit code where it cannot be written" $? 1
check_contains "what to do then" "$(cat log)" "--truth names another file, or none"

# Faults come beside the good events, and are counted.
"$WEIR" generate --events 20k --seed 7 --faults late=1%,disorder=5%,duplicates=1%,malformed=0.5% \
    --to faulty.jsonl 2>log
check_equal "the exit code with faults" $? 0
check "the faults are those of the truth" python3 - <<'PYTHON'
import json
truth = json.load(open("faulty.jsonl.truth.json"))
good, bad = [], 0
for line in open("faulty.jsonl", "rb"):
    try:
        good += [line] if "event_id" in json.loads(line) else []
        bad += "event_id" not in json.loads(line)
    except ValueError:
        bad += 1
faults = {name: fault["records"] for name, fault in truth["faults"].items()}
assert bad == faults["malformed"] == sum(truth["faults"]["malformed"]["reasons"].values())
assert len(good) == 20000 + faults["duplicates"] and len(set(good)) == 20000
assert 100 < faults["late"] < 300 and 800 < faults["disorder"] < 1200, faults
PYTHON

# In real time: at the pace that was asked for, and until a signal.
began=$(date +%s%N)
"$WEIR" generate --sessions-per-second 100 --level --duration 60s --speed 30 --to live.jsonl 2>log
check_equal "the exit code in real time" $? 0
took=$((($(date +%s%N) - began) / 1000000))
check "60 s at speed 30 take 2 s, not $took ms" [ $took -ge 1900 ] && [ $took -lt 8000 ]
lines=$(wc -l <live.jsonl)
check "the warm-up gives the full rate at once: $lines lines" \
    [ "$lines" -gt 20000 ] && [ "$lines" -lt 32000 ]
for signal in INT TERM; do
    rm -f stopped.jsonl
    "$WEIR" generate --rate 2000 --seed 3 --to stopped.jsonl 2>log &
    pid=$!
    check "lines come" wait_for 20 [ -s stopped.jsonl ]
    # the truth is there from the start, for who watches a live run
    check "the truth is there from the start" [ -s stopped.jsonl.truth.json ]
    kill -$signal $pid
    wait $pid
    check_equal "the exit code after SIG$signal" $? 0
    check_equal "the last byte after SIG$signal" "$(tail -c 1 stopped.jsonl | od -An -c | tr -d ' ')" '\n'
    check_contains "the truth after SIG$signal" "$(grep '"events"' stopped.jsonl.truth.json)" \
        "\"events\": $(wc -l <stopped.jsonl)"
done
"$WEIR" generate --rate 5000 2>log | head -n 100 >head.jsonl
check_equal "the exit codes when the reader goes" "${PIPESTATUS[*]}" "0 0"
check_equal "what the reader got" "$(wc -l <head.jsonl)" 100

# Nothing to draw on when piped.
check "no progress without a terminal" [ "$("$WEIR" generate --events 2M --truth none 2>&1 >/dev/null |
    grep -c $'\r')" = 0 ]

# Wrong usage: exit 2, a sentence, a short usage, nothing on standard output.
refused() {
    local part=$1
    shift
    "$WEIR" generate "$@" >out 2>log
    check_equal "the exit code of: $*" $? 2
    check_contains "the message of: $*" "$(cat log)" "$part"
    check_contains "the usage of: $*" "$(cat log)" "usage: weir generate"
    check_equal "standard output of: $*" "$(cat out)" ""
}
refused "there is no option \"--evnts\"" --evnts 5
refused "there is no option \"5\"" 5
refused "needs a value" --events
refused "takes no value" --events 5 --level=yes
refused "given twice" --events 5 --events 6
refused "at least 1" --events 0
refused "at least 1" --events -5
refused "at least 1" --events 99999999999999999999
refused "say the same" --rate 5 --sessions-per-second 5
refused "events a second" --rate 0
refused "events a second" --rate nan
refused "outside of" --rate 1000M
refused "write a duration" --duration 5
refused "more than nothing" --duration 0s
refused "whole number" --events 5 --seed -1
refused "a time" --events 5 --start yesterday
refused "between 1980 and 2999" --events 5 --start 3000-01-01T00:00:00Z
refused "or max" --rate 5 --speed 0
refused "needs --rate" --events 5 --speed 2
refused "from 0 to 10000" --events 5 --partitions -1
refused "kafka://host:port/topic" --events 5 --to kafka://localhost
refused "kafka://host:port/topic" --events 5 --to kafka:///topic
refused "kafka://host:port/topic" --events 5 --to "kafka://localhost/to pic"
refused "kafka://host/topic" --events 5 --to redis://localhost
refused "write late, delayed" --events 5 --faults early=1%
refused "write a share" --events 5 --faults late=200%
for bad in metric=sales,size=80%,start=10m metric=conversion,size=80,start=10m "" \
    metric=conversion,size=80%,start=10m,segment=country:XX metric=cart,size=80%,start=5m,shape=dip; do
    refused "metric=conversion|checkout|cart|traffic|bounce|value[,segment=" --events 5 --incident "$bad"
done
"$WEIR" generate --help >out 2>log
check_equal "the exit code of --help" $? 0
check_contains "--help" "$(cat out)" "--sessions-per-second S"

# What cannot be written or reached.
"$WEIR" generate --events 5 --to missing/folder.jsonl 2>log
check_equal "the exit code for a folder that is missing" $? 1
check_contains "its message" "$(cat log)" "cannot write missing/folder.jsonl: No such file"
"$WEIR" generate --events 100k --to /dev/full 2>log
check_equal "the exit code for a full disk" $? 1
check_contains "its message" "$(cat log)" "No space left"
if [ -n "${WEIR_FAST:-}" ]; then
    skip "a Kafka that is away takes 20 s to give up"
else
    timeout 60 "$WEIR" generate --events 5 --to kafka://127.0.0.1:1/shop 2>log
    check_equal "the exit code without a Kafka" $? 3
fi

check_done generate
