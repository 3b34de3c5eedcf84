#!/usr/bin/env python3
"""weir run against a real broker and a real Redis: what it counts is what weir replay counts."""

import json
import os
import random
import time
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import weirtest as t
from weirstream import (
    GENERATED,
    PARTITIONS,
    SLOW_TICKS,
    Feeder,
    buckets,
    closers_at,
    feed_closers,
    finish_and_compare,
    ms_of,
    same_buckets,
    same_figures,
    stream_config,
    traffic,
    undisturbed,
    wait_for_slide,
)

DATA = os.path.join(t.SHARED, "data")
# a visitor's cart and later purchase may lie in two partitions, but replay has only one
ACROSS_PARTITIONS = ("recovered_carts", "recovery_rate")


def has_data(checks, *files):
    for file in files:
        if not os.path.isfile(os.path.join(DATA, file)):
            checks.skip(f"the real data are not there: {file}")
            return False
    return True


def check_segments(checks, redis, config, window, summary, dimension):
    """The published ones singly, and in `_other` the sum of all others."""
    names = redis.do("ZRANGE", config.key(f"top:{window}:{dimension}"), 0, -1)
    values = summary["segments"][dimension]
    names = {name.decode() for name in names}
    checks.that(len(names) >= min(20, len(values)), f"{dimension}: only {len(names)} are published")
    wrong = []
    for name in names - {"_other"}:
        found = redis.hash(config.key(f"now:{window}:{dimension}:{name}"))
        wrong += [f"{name}: {text}" for text in t.differences(found, values[name], ACROSS_PARTITIONS)]
    checks.equal(wrong, [], f"{window} by {dimension}")
    if "_other" not in names:
        missing = [v for v in values if v not in names and values[v]["live"]["events"]]
        checks.equal(missing, [], f"{dimension}: not published")
        return
    found = redis.hash(config.key(f"now:{window}:{dimension}:_other"))
    for name in ("events", "sessions", "revenue", "orders"):
        rest = sum(Decimal(repr(values[v]["live"][name])) for v in values if v not in names - {"_other"})
        checks.that(
            Decimal(found[name]) == round(rest, 6),
            f"{dimension}, _other: {name} is {found[name]}, the rest of the replay has {rest}",
        )


def feed(config, keyed, closers):
    """Records by key, then one record in each partition so much later that every session has ended.
    It lies beyond the windows, which end out_of_orderness before it."""
    t.produce(config.topic, keyed)
    for partition, closer in enumerate(closers):
        t.produce(config.topic, [closer], partition)
    return len(keyed) + len(closers)


def write_lines(config, lines):
    path = os.path.join(config.dir, "input.jsonl")
    with open(path, "wb") as out:
        out.write(b"\n".join(lines) + b"\n")
    return path


def rees46(files):
    records = []
    for file in files:
        with open(os.path.join(DATA, file), "rb") as lines:
            records += [line.rstrip(b"\n") for line in lines]
    return [(json.loads(line)["user_session"] or "", line) for line in records]


def rees46_closers(moment):
    text = moment.strftime("%Y-%m-%d %H:%M:%S UTC")
    return [
        json.dumps({"event_time": text, "event_type": "close", "user_session": f"closer-{p}",
                    "user_id": p}).encode()
        for p in range(PARTITIONS)
    ]


def count_and_compare(checks, config, keyed, closers, close_ms, window, slide_ms, what):
    """Everything through Kafka, and the same as a file through replay."""
    redis = t.Redis()
    weir = t.Weir(config)
    total = feed(config, keyed, closers)
    t.wait_counted(redis, config, PARTITIONS, total, watch=weir)
    found = wait_for_slide(redis, config, window, close_ms, slide_ms)
    summary = t.replay(config, write_lines(config, [line for _, line in keyed]))
    checks.equal(t.differences(found, summary, ACROSS_PARTITIONS), [], f"{what}, {window}")
    return redis, weir, found, summary


def totals_multicategory(checks):
    file = "rees46/multicategory-2019-10-01.jsonl"
    if not has_data(checks, file):
        return
    events = {"preset": "rees46", "dimensions": {"brand": "brand"}, "max_values": 10000,
              "types": {"close": "session_end"}}
    config = t.Config(t.topic("multicategory", PARTITIONS), events=events, time=SLOW_TICKS,
                      sessions={"gap": "4h", "bounce": "single_event", "cart": "any"},
                      windows=["1m", "1h", "24h"])
    end = datetime(2019, 10, 1, 8, tzinfo=timezone.utc)
    redis, weir, found, summary = count_and_compare(
        checks, config, rees46([file]), rees46_closers(end), ms_of(end), "24h", 60000, "multicategory")
    # the table of shared/data/README.md, with the closing events
    table = {"sessions": "5066", "conversion_rate.num": "200", "orders": "214",
             "revenue": "59442.63", "bounce_rate.num": "2067", "settled.sessions": "5066",
             "settled.conversion_rate.num": "200", "settled.cart_sessions": "118",
             "settled.revenue": "59442.63", "events": "17434",
             "partitions": str(PARTITIONS), "bounce_rate.den": "5066"}
    for name, want in table.items():
        checks.equal(found.get(name), want, f"multicategory: {name}")
    check_segments(checks, redis, config, "24h", summary, "brand")
    empty = redis.hash(config.key("now:1m"))
    checks.equal(empty.get("sessions"), "0", "multicategory: sessions of the last minute")
    checks.equal(weir.stop(), 0, "exit code after SIGTERM")


def totals_cosmetics(checks):
    """Three months; five would not fit into the longest window."""
    files = [f"rees46/cosmetics-{month}.jsonl" for month in ("2022-dec", "2023-jan", "2023-feb")]
    if not has_data(checks, *files):
        return
    events = {"preset": "rees46", "dimensions": {"brand": "brand"}, "types": {"close": "session_end"}}
    config = t.Config(t.topic("cosmetics", PARTITIONS), events=events, time=SLOW_TICKS,
                      workers=2, windows=["10m", "24h", "90d"])
    end = datetime(2023, 2, 1, 5, tzinfo=timezone.utc)
    redis, _, found, summary = count_and_compare(
        checks, config, rees46(files), rees46_closers(end), ms_of(end), "90d", 3600000, "cosmetics")
    checks.equal(found["events"], str(3 * 999), "cosmetics: events in 90 days")
    check_segments(checks, redis, config, "90d", summary, "brand")
    day = redis.hash(config.key("now:24h"))
    checks.equal(day["events"], "999", "cosmetics: events of the last day")


def totals_otto(checks):
    file = "otto/events.jsonl"
    if not has_data(checks, file):
        return
    with open(os.path.join(DATA, file), "rb") as lines:
        records = [line.rstrip(b"\n") for line in lines]
    keyed = [(str(json.loads(line)["session"]), line) for line in records]
    config = t.Config(t.topic("otto", PARTITIONS), time=SLOW_TICKS, windows=["1h", "90d"],
                      events={"preset": "otto", "types": {"close": "session_end"}},
                      sessions={"gap": "30d", "cap": "60d", "bounce": "single_event", "cart": "any"})
    end = datetime(2022, 10, 1, tzinfo=timezone.utc)
    closers = [json.dumps({"session": 900000 + p, "aid": 1, "ts": ms_of(end), "type": "close"}).encode()
               for p in range(PARTITIONS)]
    _, _, found, _ = count_and_compare(
        checks, config, keyed, closers, ms_of(end), "90d", 3600000, "otto")
    for name, want in {"sessions": "20", "orders": "10", "settled.conversion_rate": "0.150000"}.items():
        checks.equal(found.get(name), want, f"otto: {name}")


DIMENSIONS = {name: name for name in ("device", "country", "channel", "category")}


def generated(checks, config, events, seed):
    """Generated traffic into the topic and, the same bytes, into a file."""
    path = os.path.join(config.dir, "input.jsonl")
    size = ("--events", events, "--seed", seed, *GENERATED)
    code, _, err = t.command("generate", *size, "--to", path)
    checks.equal(code, 0, f"exit code of generate: {err[-300:]}")
    target = f"kafka://{os.environ['KAFKA_BROKERS']}/{config.topic}"
    code, _, err = t.command("generate", *size, "--to", target)
    checks.equal(code, 0, f"exit code of generate to Kafka: {err[-300:]}")
    with open(path, "rb") as lines:
        last = max(json.loads(line)["time"] for line in lines)
    end = datetime.fromisoformat(last.replace("Z", "+00:00")) + timedelta(hours=2)
    return path, end


def totals_generated(checks):
    config = t.Config(t.topic("generated", PARTITIONS), time=SLOW_TICKS,
                      events={"dimensions": DIMENSIONS}, windows=["1m", "5m", "1h", "24h"])
    path, end = generated(checks, config, 200000, 7)
    closers = closers_at(end)
    total = 200000 + len(feed_closers(config, closers))
    redis = t.Redis()
    weir = t.Weir(config)
    t.wait_counted(redis, config, PARTITIONS, total, watch=weir)
    found = wait_for_slide(redis, config, "24h", ms_of(end), 60000)
    summary = t.replay(config, path)
    checks.equal(t.differences(found, summary, ACROSS_PARTITIONS), [], "generated, 24h")
    for dimension in DIMENSIONS:
        check_segments(checks, redis, config, "24h", summary, dimension)
    checks.equal(weir.metric("weir_records_total"), total, "weir_records_total")
    check_published(checks, redis, config, weir)


def check_published(checks, redis, config, weir):
    """Series, schema, and what weir get and the API say of them."""
    checks.equal(redis.do("GET", config.key("schema")), b"1", "the schema key")
    for window in ("1m", "5m", "1h", "24h"):
        entries = redis.stream(config.key(f"series:{window}"))
        ids = [number for number, _ in entries]
        checks.that(len(ids) >= 1 and len(set(ids)) == len(ids), f"series:{window}: ids {ids[:9]}")
        wrong = [number for number, fields in entries if number != fields["as_of"] + "-0"]
        checks.equal(wrong, [], f"series:{window}: ids that are not as_of")
        now, last = redis.hash(config.key(f"now:{window}")), entries[-1][1]
        wrong = [f"{name}: {last.get(name)}, now {now.get(name)}"
                 for name in sorted({*now, *last}) if now.get(name) != last.get(name)]
        checks.equal(wrong, [], f"where the last of series:{window} is not what is now ({ids})")
    for subject in ("windows", "segments", "alerts", "partitions"):
        code, out, err = t.command("get", subject, "--config", config.path)
        checks.equal(code, 0, f"exit code of get {subject}: {err[-300:]}")
        code, out, err = t.command("get", subject, "--config", config.path, "--json")
        try:
            json.loads(out)
        except ValueError:
            checks.that(False, f"get {subject} --json is not JSON: {out[:300]!r}")
    code, out, _ = t.command("get", "windows", "--config", config.path, "--window", "24h")
    sessions = redis.do("HGET", config.key("now:24h"), "sessions").decode()
    checks.contains(out.replace(",", ""), sessions, "get windows --window 24h")
    status, body = weir.http("/api/v1/windows")
    checks.equal(status, 200, "/api/v1/windows")
    checks.contains(body, sessions, "/api/v1/windows")


# ---- restarts ----


def restart_by_sigterm(checks):
    """SIGTERM in the middle of a backlog, three times."""
    config = stream_config("sigterm")
    path, end = traffic(checks, config, 200000)
    redis = t.Redis()
    feeder = Feeder(config, path, 6)
    middle = 0
    for _ in range(3):
        weir = t.Weir(config).wait_log("partition claimed", times=PARTITIONS)
        time.sleep(1)
        checks.equal(weir.stop(), 0, "exit code after SIGTERM")
        middle += 0 < sum(t.offsets(redis, config, PARTITIONS)) < feeder.total
    feeder.finish()
    feed_closers(config, closers_at(end))
    checks.that(middle >= 2, f"only {middle} of 3 ends came in the middle")
    finish_and_compare(checks, config, feeder.total + PARTITIONS, ms_of(end), "SIGTERM")


def restart_by_kill(checks):
    """kill -9 ten times at random; a static member of the group, so that it is back at once."""
    config = stream_config("kill")
    config.change(kafka={"rdkafka": {**t.FAST_GROUP, "group.instance.id": "one"}})
    path, end = traffic(checks, config, 300000)
    redis = t.Redis()
    feeder = Feeder(config, path, 16)
    places = []
    for _ in range(10):
        weir = t.Weir(config).wait_log("partition claimed", times=PARTITIONS)
        time.sleep(random.uniform(0.05, 1.0))
        weir.kill()
        places.append(sum(t.offsets(redis, config, PARTITIONS)))
    feeder.finish()
    feed_closers(config, closers_at(end))
    middle = sum(0 < place < feeder.total for place in places)
    checks.that(middle >= 5, f"kills in the middle: {middle} of {places}")
    config.change(kafka={"rdkafka": {**t.FAST_GROUP, "group.instance.id": "one"}})
    finish_and_compare(checks, config, feeder.total + PARTITIONS, ms_of(end), "kill -9")


def processes_and_workers(checks):
    """Two processes of one worker, one of two: the same."""
    config = stream_config("processes")
    path, end = traffic(checks, config, 150000)
    with open(path, "rb") as lines:
        keyed = [(json.loads(line)["session"], line.rstrip(b"\n")) for line in lines]
    first = t.Weir(config).wait_log("partition claimed", times=PARTITIONS)
    second = t.Weir(config).wait_log("partition claimed", times=PARTITIONS // 2)
    total = feed(config, keyed, closers_at(end))
    redis = t.Redis()
    t.wait_counted(redis, config, PARTITIONS, total, watch=first)
    two = wait_for_slide(redis, config, "24h", ms_of(end), 60000)
    got = buckets(redis, config)
    leaders = sum("holds the lease" in weir.log() for weir in (first, second))
    checks.equal(leaders, 1, "processes that evaluate")
    checks.equal(first.stop(), 0, "exit code of the first")
    checks.equal(second.stop(), 0, "exit code of the second")

    config.change(workers=2)
    one, want = undisturbed(checks, config, total, ms_of(end))
    same_figures(checks, two, one, "two processes and two workers")
    same_buckets(checks, got, want, "two processes and two workers")
    summary = t.replay(config, write_lines(config, [line for _, line in keyed]))
    checks.equal(t.differences(two, summary, ACROSS_PARTITIONS), [], "two processes and replay")


# ---- bad records ----


BAD = [
    (b"this is not JSON", "bad_json"),
    (b'{"type":"page_view","time":"2026-01-05T09:00:00Z","session":"s', "bad_json"),
    (b"", None),  # a tombstone
    (b'{"type":"page_view","time":"2026-01-05T09:00:00Z"}', None),
    (b'{"type":"page_view","session":"x"}', None),
    (b'{"type":"page_view","session":"x","time":"yesterday"}', None),
    (b'{"type":"page_view","session":"x","time":"2026-01-05T09:00:00Z","pad":"' + b"x" * 70000 + b'"}',
     "too_large"),
    (b'{"type":"page_view","session":"x","time":"2126-01-05T09:00:00Z"}', "too_far_ahead"),
    (b"\xff\xfe\x00\x01 bytes", None),
    (b"[{}," * 2000 + b"{}]", None),
]


def dead_letters(checks):
    letters = t.topic("dlq", 1)
    config = t.Config(t.topic("bad", PARTITIONS), time=SLOW_TICKS, kafka={"dead_letter_topic": letters},
                      windows=["1m", "24h"])
    good = b'{"type":"page_view","session":"good","time":"2026-01-05T09:00:00Z"}'
    for number, (record, _) in enumerate(BAD):
        t.produce_one(config.topic, record, number % PARTITIONS, f"key-{number}")
    t.produce(config.topic, [good], 0)
    redis = t.Redis()
    weir = t.Weir(config)
    t.wait_counted(redis, config, PARTITIONS, len(BAD) + 1, watch=weir)
    found = t.consume(letters)
    checks.equal(len(found), len(BAD), "dead letters")
    for number, (record, reason) in enumerate(BAD):
        match = [letter for letter in found if letter[3] == b"key-%d" % number]
        if not checks.equal(len(match), 1, f"dead letters of record {number}"):
            continue
        _, _, headers, _, value = match[0]
        checks.equal(value, record, f"bytes of dead letter {number}")
        checks.equal(headers.get("weir-topic"), config.topic, f"topic of dead letter {number}")
        checks.equal(headers.get("weir-partition"), str(number % PARTITIONS), f"partition of {number}")
        checks.equal(headers.get("weir-offset"), str(number // PARTITIONS), f"offset of {number}")
        checks.that(headers.get("weir-reason"), f"a reason of dead letter {number}: {headers}")
        if reason:
            checks.equal(headers.get("weir-reason"), reason, f"reason of dead letter {number}")
    t.wait_until(5, lambda: weir.metric("weir_records_total") == len(BAD) + 1, "records in /metrics")
    checks.equal(weir.metric("weir_dead_letters_total"), len(BAD), "weir_dead_letters_total")
    checks.equal(weir.metric("weir_dead_letters_total", reason="bad_json") >= 2, True, "bad_json >= 2")
    checks.equal(weir.metric("weir_dead_letters_sent_total"), len(BAD), "weir_dead_letters_sent_total")
    checks.equal(weir.metric("weir_events_total"), 1, "weir_events_total")
    checks.equal(weir.stop(), 0, "exit code")
    again = t.Weir(config).wait_log("partition claimed", times=PARTITIONS)
    time.sleep(1)
    checks.equal(again.stop(), 0, "exit code of the second run")
    checks.equal(len(t.consume(letters)), len(BAD), "dead letters after a restart")


# ---- refusals ----


def refused(checks, config, code, *words, args=(), seconds=30):
    weir = t.Weir(config, *args)
    got = weir.wait_exit(seconds)
    checks.equal(got, code, f"exit code ({words[0]}): {weir.tail()}")
    for word in words:
        checks.contains(weir.log(), word, f"what weir says (exit {code})")


def refusals(checks):
    nothing = f"nothing-{t.SUFFIX}"
    refused(checks, t.Config(nothing), 1, nothing, "does not exist")
    topic = t.topic("refused", 1)
    refused(checks, t.Config(topic, redis="redis://127.0.0.1:1/0"), 3, "127.0.0.1:1")
    refused(checks, t.Config(topic, brokers="127.0.0.1:1"), 3, "127.0.0.1:1", seconds=60)
    evicting = t.Service("redis", "--maxmemory-policy", "allkeys-lru")
    refused(checks, t.Config(topic, redis=evicting.env["REDIS_URL"]), 4, "allkeys-lru", "noeviction")
    weir = t.Weir(t.Config(topic)).ready()
    taken = t.Config(topic, http={"listen": f"127.0.0.1:{weir.port()}"})
    other = t.Weir(taken)
    checks.that(other.wait_exit() != 0, "a port that is taken ends weir")
    checks.contains(other.log(), str(weir.port()), "what weir says of a port that is taken")


def changed_definitions(checks):
    """Another list of windows under the same group: refused, until --rebuild."""
    config = stream_config("changed")
    path, end = traffic(checks, config, 20000)
    with open(path, "rb") as lines:
        keyed = [(json.loads(line)["session"], line.rstrip(b"\n")) for line in lines]
    total = feed(config, keyed, closers_at(end))
    redis = t.Redis()
    weir = t.Weir(config)
    t.wait_counted(redis, config, PARTITIONS, total, watch=weir)
    before = wait_for_slide(redis, config, "24h", ms_of(end), 60000)
    checks.equal(weir.stop(), 0, "exit code")
    config.change(windows=["1m", "2h", "24h"], sessions={"gap": "20m"})
    refused(checks, config, 4, "kafka.group", "--rebuild")
    checks.equal(redis.hash(config.key("now:24h")), before, "the total after the refusal")

    weir = t.Weir(config, "--rebuild")
    wait_for_slide(redis, config, "2h", ms_of(end), 60000)
    t.wait_counted(redis, config, PARTITIONS, total, watch=weir)
    summary = t.replay(config, write_lines(config, [line for _, line in keyed]))
    t.wait_until(10, lambda: not t.differences(redis.hash(config.key("now:24h")), summary,
                                               ACROSS_PARTITIONS),
                 "the total after --rebuild is the replay's")
    checks.that(True, "rebuilt")
    checks.equal(weir.stop(), 0, "exit code after --rebuild")
    weir = t.Weir(config).wait_log("partition claimed", times=PARTITIONS)
    checks.equal(weir.stop(), 0, "exit code of the run after --rebuild")
    checks.equal(sum(t.offsets(redis, config, PARTITIONS)), total, f"offsets at the end: {weir.tail()}")


def missing_state(checks):
    """Redis is empty, but Kafka's group has offsets."""
    private = t.Service("redis")
    url = private.env["REDIS_URL"]
    config = t.Config(t.topic("missing", PARTITIONS), redis=url, time=SLOW_TICKS, windows=["1m", "24h"])
    redis = t.Redis(url)
    good = b'{"type":"page_view","session":"s%d","time":"2026-01-05T09:00:00Z"}'
    t.produce(config.topic, [(f"s{n}", good % n) for n in range(1000)])
    weir = t.Weir(config)
    t.wait_counted(redis, config, PARTITIONS, 1000, watch=weir)
    checks.equal(weir.stop(), 0, "exit code")
    redis.do("FLUSHALL")
    refused(checks, config, 4, "Redis holds no state", "--rebuild", "kafka.group")
    refused(checks, config, 4, "Redis holds no state", "--rebuild", "kafka.group")
    weir = t.Weir(config, "--rebuild")
    t.wait_counted(redis, config, PARTITIONS, 1000, watch=weir)
    checks.equal(weir.stop(), 0, "exit code after --rebuild")

    # an empty partition has no counts to lose: not a reason to refuse
    empty = t.Config(t.topic("empty", 2), redis=url)
    for _ in range(2):
        weir = t.Weir(empty).wait_log("partition claimed", times=2)
        time.sleep(0.5)
        checks.equal(weir.stop(), 0, "exit code of a run on an empty topic")


def main():
    t.need_services("kcat")
    checks = t.Checks("run")
    checks.run(totals_multicategory, totals_cosmetics, totals_otto, totals_generated,
               restart_by_sigterm, restart_by_kill, processes_and_workers, dead_letters, refusals,
               changed_definitions, missing_state)
    checks.finish()


if __name__ == "__main__":
    main()
