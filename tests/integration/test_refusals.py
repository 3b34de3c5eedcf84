#!/usr/bin/env python3
"""What weir run does not count, and when it refuses to go on: each with a reason and a remedy."""

import json
import time

import weirtest as t
from weirstream import (
    PARTITIONS,
    SLOW_TICKS,
    closers_at,
    differences,
    feed,
    ms_of,
    replay,
    stream_config,
    traffic,
    wait_for_slide,
    write_lines,
)

# ---- bad records ----


BAD = [
    (b"this is not JSON", "bad_json"),
    (b'{"type":"page_view","time":"2026-01-05T09:00:00Z","session":"s', "bad_json"),
    (b"", None),  # a tombstone
    (b'{"type":"page_view","time":"2026-01-05T09:00:00Z"}', None),
    (b'{"type":"page_view","session":"x"}', None),
    (b'{"type":"page_view","session":"x","time":"yesterday"}', None),
    (b'{"type":"page_view","session":"x","time":"2026-01-05T09:00:00Z"' + b" " * 70000 + b"}",
     "too_large"),
    (b'{"type":"page_view","session":"x","time":"2126-01-05T09:00:00Z"}', "too_far_ahead"),
    (b"\xff\xfe\x00\x01 bytes", None),
    (b"[{}," * 2000 + b"{}]", None),
]


def dead_letters(checks):
    letters = t.topic("dlq", 1)
    config = t.Config(t.topic("bad", PARTITIONS), time=SLOW_TICKS, windows=["1m", "24h"],
                      kafka={"dead_letter_topic": letters})
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
        partition, offset = str(number % PARTITIONS), str(number // PARTITIONS)
        checks.equal(headers.get("weir-partition"), partition, f"partition of {number}")
        checks.equal(headers.get("weir-offset"), offset, f"offset of {number}")
        checks.that(headers.get("weir-reason"), f"a reason of dead letter {number}: {headers}")
        if reason:
            checks.equal(headers.get("weir-reason"), reason, f"reason of dead letter {number}")
    t.wait_until(5, lambda: weir.metric("weir_records_total") == len(BAD) + 1,
                 "records in /metrics")
    checks.equal(weir.metric("weir_dead_letters_total"), len(BAD), "weir_dead_letters_total")
    checks.that(weir.metric("weir_dead_letters_total", reason="bad_json") >= 2, "bad_json >= 2")
    sent = weir.metric("weir_dead_letters_sent_total")
    checks.equal(sent, len(BAD), "weir_dead_letters_sent_total")
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
    config = t.Config(topic, redis=evicting.env["REDIS_URL"])
    refused(checks, config, 4, "allkeys-lru", "noeviction")
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
    summary = replay(config, write_lines(config, [line for _, line in keyed]))
    t.wait_until(10, lambda: not differences(redis.hash(config.key("now:24h")), summary),
                 "the total after --rebuild is the replay's")
    checks.that(True, "rebuilt")
    checks.equal(weir.stop(), 0, "exit code after --rebuild")
    weir = t.Weir(config).wait_log("partition claimed", times=PARTITIONS)
    checks.equal(weir.stop(), 0, "exit code of the run after --rebuild")
    checks.equal(sum(t.offsets(redis, config, PARTITIONS)), total, "offsets at the end")


def missing_state(checks):
    """Redis is empty, but Kafka's group has offsets."""
    private = t.Service("redis")
    url = private.env["REDIS_URL"]
    config = t.Config(t.topic("missing", PARTITIONS), redis=url, time=SLOW_TICKS,
                      windows=["1m", "24h"])
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


def stored_format(checks):
    """A state of a newer format, of none, or cut short: refused, and left as it is."""
    config = t.Config(t.topic("format", 1), time=SLOW_TICKS, windows=["1m", "24h"])
    redis = t.Redis()
    good = b'{"type":"page_view","session":"s%d","time":"2026-01-05T09:00:00Z"}'
    t.produce(config.topic, [good % n for n in range(100)], 0)
    weir = t.Weir(config)
    t.wait_counted(redis, config, 1, 100, watch=weir)
    checks.equal(weir.stop(), 0, "exit code")
    meta = config.tag(0, "meta")
    state = redis.do("HGET", meta, "state")
    checks.equal(state[0], 1, "the format of the stored state")
    for damaged, words in (
            (b"\x02" + state[1:], ("format 2", "reads format 1", "the weir that wrote it")),
            (b"\xff" + state[1:], ("format 255", "reads format 1")),
            (b"\x00" + state[1:], ("format 0", "reads format 1")),
            (state[:-1], ("damaged at meta", "backup", "--rebuild")),
            (state + b"\x00", ("damaged at meta",)),
            (b"", ("reads format 1",))):
        redis.do("HSET", meta, "state", damaged)
        before = sorted(redis.do("HGETALL", meta))
        refused(checks, config, 4, *words)
        if "reads format 1" in words:  # a newer weir may own it, and is not fenced
            checks.equal(sorted(redis.do("HGETALL", meta)), before, "the meta key after a refusal")
        checks.equal(redis.do("HGET", meta, "state"), damaged, "the state after a refusal")
        checks.equal(t.offsets(redis, config, 1), [100], "the offset after a refusal")
        code, _, err = t.command("get", "partitions", "--config", config.path)
        checks.that(code in (0, 4), f"weir get partitions: exit {code}: {err}")
    redis.do("HSET", meta, "state", state)
    t.produce(config.topic, [good % n for n in range(100, 150)], 0)
    weir = t.Weir(config)
    t.wait_counted(redis, config, 1, 150, watch=weir)
    checks.equal(weir.stop(), 0, "exit code with the state put back")


def unreadable_beside(checks):
    """Another process's partition whose state is of a newer format: no window leaves it out, however
    long that lasts, and it is said once."""
    config = t.Config(t.topic("unreadable", 1), time={**SLOW_TICKS, "idle_timeout": "1s"},
                      windows=["1m", "24h"])
    redis = t.Redis()
    event = b'{"type":"page_view","session":"s%d","time":"2026-01-05T09:%02d:00Z"}'
    t.produce(config.topic, [event % (n, 0) for n in range(100)], 0)
    weir = t.Weir(config)
    before = int(t.wait_window(redis, config, "1m", 1)["as_of"])
    checks.equal(weir.stop(), 0, "exit code")
    mine, other = config.tag(0, "meta"), config.tag(1, "meta")
    for field in ("seq", "owner", "idle", "lag", "wall", "fingerprint"):
        redis.do("HSET", other, field, redis.do("HGET", mine, field))
    redis.do("HSET", other, "state", b"\x02" + redis.do("HGET", mine, "state")[1:])
    redis.do("SADD", config.key("partitions"), f"{config.topic}.1")
    t.produce(config.topic, [event % (n, 30) for n in range(100)], 0)
    weir = t.Weir(config)
    t.wait_counted(redis, config, 1, 200, watch=weir)
    time.sleep(4)
    as_of = int(redis.hash(config.key("now:1m"))["as_of"])
    checks.equal(as_of, before, "the window while a partition is not readable")
    checks.equal(weir.log().count("not readable, by this version"), 1, "times that it is said")
    redis.do("HSET", other, "state", redis.do("HGET", mine, "state"))
    t.wait_window(redis, config, "1m", before + 1)
    checks.equal(weir.stop(), 0, "exit code")


def main():
    t.need_services("kcat")
    checks = t.Checks("refusals")
    checks.run(dead_letters, refusals, changed_definitions, missing_state, stored_format,
               unreadable_beside)
    checks.finish()


if __name__ == "__main__":
    main()
