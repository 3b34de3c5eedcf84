#!/usr/bin/env python3
"""weir run against a real broker and a real Redis: what it counts is what weir replay counts."""

import json
import os
import pty
import random
import re
import select
import signal
import subprocess
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
    differences,
    feed,
    feed_closers,
    finish_and_compare,
    ms_of,
    replay,
    same_buckets,
    same_figures,
    stream_config,
    traffic,
    undisturbed,
    wait_for_slide,
    write_lines,
)

DATA = os.path.join(t.SHARED, "data")
SLOW = 4 if os.environ.get("WEIR_SANITIZED") == "tsan" else 1


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
        wrong += [f"{name}: {text}" for text in differences(found, values[name])]
    checks.equal(wrong, [], f"{window} by {dimension}")
    if "_other" not in names:
        missing = [v for v in values if v not in names and values[v]["live"]["events"]]
        checks.equal(missing, [], f"{dimension}: not published")
        return
    found = redis.hash(config.key(f"now:{window}:{dimension}:_other"))
    for name in ("events", "sessions", "revenue", "orders"):
        others = [v for v in values if v not in names - {"_other"}]
        rest = sum(Decimal(repr(values[v]["live"][name])) for v in others)
        checks.that(
            Decimal(found[name]) == round(rest, 6),
            f"{dimension}, _other: {name} is {found[name]}, the rest of the replay has {rest}",
        )


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
    summary = replay(config, write_lines(config, [line for _, line in keyed]))
    checks.equal(differences(found, summary), [], f"{what}, {window}")
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
        checks, config, rees46([file]), rees46_closers(end), ms_of(end), "24h", 60000,
        "multicategory")
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
    events = {"preset": "rees46", "dimensions": {"brand": "brand"},
              "types": {"close": "session_end"}}
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
                      sessions={"gap": "30d", "cap": "60d", "bounce": "single_event",
                                "cart": "any"})
    end = datetime(2022, 10, 1, tzinfo=timezone.utc)
    closer = {"aid": 1, "ts": ms_of(end), "type": "close"}
    closers = [json.dumps({**closer, "session": 900000 + p}).encode() for p in range(PARTITIONS)]
    _, _, found, _ = count_and_compare(
        checks, config, keyed, closers, ms_of(end), "90d", 3600000, "otto")
    table = {"sessions": "20", "orders": "10", "settled.conversion_rate": "0.150000"}
    for name, want in table.items():
        checks.equal(found.get(name), want, f"otto: {name}")


DIMENSIONS = {name: name for name in ("device", "country", "channel", "category")}


def generated(checks, config, events, seed):
    """Generated traffic into the topic and, the same bytes, into a file; the truth beside both."""
    path = os.path.join(config.dir, "input.jsonl")
    size = ("--events", events, "--seed", seed, *GENERATED, "--incident",
            "metric=checkout,segment=country:DE,size=50%,start=10m,duration=15m")
    code, _, err = t.command("generate", *size, "--to", path)
    checks.equal(code, 0, f"exit code of generate: {err[-300:]}")
    target = f"kafka://{os.environ['KAFKA_BROKERS']}/{config.topic}"
    code, _, err = t.command("generate", *size, "--to", target, cwd=config.dir)
    checks.equal(code, 0, f"exit code of generate to Kafka: {err[-300:]}")
    checks.contains(err, "truth=weir-truth.json", "what generate to Kafka says")
    truths = []
    for name in (path + ".truth.json", os.path.join(config.dir, "weir-truth.json")):
        with open(name, encoding="utf-8") as text:
            truths.append(json.load(text))
    checks.equal(truths[1], truths[0], "the truth of what went to Kafka")
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
    summary = replay(config, path)
    checks.equal(differences(found, summary), [], "generated, 24h")
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
    path, end = traffic(checks, config, 200000 // SLOW)
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
    path, end = traffic(checks, config, 300000 // SLOW)
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
    path, end = traffic(checks, config, 150000 // SLOW)
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
    summary = replay(config, write_lines(config, [line for _, line in keyed]))
    checks.equal(differences(two, summary), [], "two processes and replay")


def quiet_partitions(checks):
    """One without any record holds nobody back; one that falls silent does, until idle_timeout."""
    config = t.Config(t.topic("quiet", PARTITIONS), windows=["10s", "24h"],
                      time={"idle_timeout": "8s", "out_of_orderness": "0s"})
    redis = t.Redis()
    start = int(time.time() * 1000) - 3600000
    start -= start % 10000

    def page_view(second, partition):
        event = {"type": "page_view", "session": f"s{second}", "time": iso(start + second * 1000)}
        t.produce(config.topic, [json.dumps(event).encode()], partition)

    page_view(0, 0)
    page_view(30, 0)
    t.Weir(config)
    begun = time.monotonic()
    t.wait_window(redis, config, "10s", start + 30000, 20)
    checks.that(time.monotonic() - begun < 8, "empty partitions are not waited for")
    page_view(40, 1)
    page_view(60, 0)
    t.wait_window(redis, config, "10s", start + 40000, 3)
    for _ in range(4):
        page_view(90, 0)
        time.sleep(0.5)
    as_of = int(redis.do("HGET", config.key("now:10s"), "as_of"))
    checks.that(as_of < start + 60000, f"a silent partition is waited for: {as_of - start}")
    for _ in range(8):
        time.sleep(1)
        page_view(90, 0)
    found = t.wait_window(redis, config, "10s", start + 90000, 10)
    checks.equal(found["partitions"], str(PARTITIONS), "partitions")


def ticks_on_record(checks):
    """A pause leaves one entry, however long it is, and one more where the partition is claimed anew
    in it."""
    config = t.Config(t.topic("ticks", 1), windows=["1m"], commit={"interval": "50ms"},
                      time={"idle_timeout": "1s", "out_of_orderness": "0s"})
    redis, now = t.Redis(), int(time.time() * 1000)
    event = {"type": "page_view", "session": "one", "time": iso(now)}
    t.produce(config.topic, [json.dumps(event).encode()], 0)

    def watermark():
        return int(redis.do("HGET", config.tag(0, "meta"), "watermark") or 0)

    for run in (1, 2):
        weir = t.Weir(config).wait_log("partition claimed")
        begun = max(watermark(), now)
        t.wait_until(20, lambda: watermark() >= begun + 4000, "ticks move it")  # noqa: B023
        checks.equal(weir.stop(), 0, "exit code")
        ticks = redis.do("LRANGE", config.tag(0, "ticks"), 0, -1)
        checks.equal(len(ticks), run, f"entries after run {run}: {ticks}")
        checks.equal(ticks[-1].decode(), f"1:{watermark()}", "the last entry")


def iso(ms):
    return datetime.fromtimestamp(ms / 1000, timezone.utc).isoformat()


def topic_taken_out(checks):
    """A topic that is no longer in the config does not hold the windows back."""
    first, second = t.topic("first", 1), t.topic("second", 1)
    config = t.Config(first, kafka={"topics": [first, second]}, time=SLOW_TICKS,
                      windows=["1m", "24h"])
    event = '{"type":"page_view","session":"s%d","time":"2026-01-05T%02d:00:00Z"}'
    redis = t.Redis()
    for name in (first, second):
        t.produce(name, [(event % (1, 9)).encode()], 0)
    weir = t.Weir(config)
    eight = ms_of(datetime(2026, 1, 5, 8, 59, tzinfo=timezone.utc))
    checks.equal(t.wait_window(redis, config, "1m", eight)["partitions"], "2", "partitions")
    checks.equal(weir.stop(), 0, "exit code")
    t.produce(first, [(event % (2, 10)).encode(), (event % (3, 12)).encode()], 0)
    config.change(kafka={"topics": [first]})
    t.Weir(config)
    found = t.wait_window(redis, config, "24h", eight + 3 * 3600000)
    checks.equal(found["partitions"], "1", "partitions without the second topic")


def many_partitions(checks):
    """Every partition is shown and committed for display, however many one worker has."""
    many, last = 300, 299
    topic = t.topic("many", many)
    ask = ["kcat", "-Q", "-b", os.environ["KAFKA_BROKERS"]]
    ask += [word for p in range(many) for word in ("-t", f"{topic}:{p}:-1")]
    t.wait_until(30, lambda: subprocess.run(ask, capture_output=True, check=False).returncode == 0,
                 "every partition has a leader")
    event = '{"type":"page_view","session":"s%d","time":"2026-01-05T09:00:00Z"}'
    t.produce(topic, [(event % n).encode() for n in range(3)], last)
    config, redis = t.Config(topic, time=SLOW_TICKS, windows=["1m"]), t.Redis()
    weir = t.Weir(config).wait_log("partition claimed", 60, times=many)
    t.wait_until(20, lambda: int(redis.do("HGET", config.tag(last, "meta"), "offset") or 0) == 3,
                 "the last partition is counted")
    time.sleep(0.5)
    checks.equal(weir.metric("weir_worker_partitions"), many, "weir_worker_partitions")
    checks.equal(weir.metric("weir_worker_caught_up"), 1, "weir_worker_caught_up")
    series = weir.http("/metrics")[1].count("\nweir_partition_offset{")
    checks.equal(series, many, "series of partitions")
    checks.equal(weir.metric("weir_partition_offset", partition=last), 3, "offset of the last")
    checks.equal(weir.stop(), 0, "exit code")
    redis.do("DEL", *redis.keys(config.tag(last, "*")))
    again = t.Weir(config)
    checks.equal(again.wait_exit(60), 4, "exit code without the state of the last partition")
    checks.contains(again.log(), "has read it up to offset 3", "the log then")


class Terminal:
    """weir run with a terminal for its log."""

    def __init__(self, *args):
        self.shown, ours_and_its = b"", pty.openpty()
        self.master = ours_and_its[0]
        self.process = subprocess.Popen([os.environ["WEIR"], "run", *args], stdout=ours_and_its[1],
                                        stderr=ours_and_its[1], stdin=subprocess.DEVNULL)
        os.close(ours_and_its[1])
        t.at_end(self.end)

    def wait(self, pattern, seconds=30):
        def found():
            while select.select([self.master], [], [], 0)[0]:
                try:
                    self.shown += os.read(self.master, 65536)
                except OSError:  # its end is closed
                    break
            return re.search(pattern, self.shown.decode())

        return t.wait_until(seconds, found, f"{pattern!r} on the terminal: {self.shown[-1500:]}")

    def end(self):
        self.process.kill()
        self.process.wait()
        os.close(self.master)


def rebuild_progress(checks):
    """How far --rebuild is: on a terminal, in no other log, and not amid a line of it."""
    config = t.Config(t.topic("again", 1), time=SLOW_TICKS, windows=["1m"])
    event = '{"type":"page_view","session":"s%d","time":"2026-01-05T09:00:00Z"}'
    for n in range(9):  # each a batch of its own, for which the broker waits until there is more
        t.produce(config.topic, [(event % n).encode()], 0)
    config.change(kafka={"rdkafka": {"fetch.message.max.bytes": 1, "fetch.min.bytes": 1000000,
                                     "fetch.wait.max.ms": 400, "queued.min.messages": 1}})
    terminal = Terminal("--config", config.path, "--rebuild")
    line = terminal.wait(r"rebuild  (\d) events  \d+/s  (\d+) %  \d+ s left")
    checks.equal(int(line.group(2)), int(line.group(1)) * 100 // 9, "the share of those events")
    terminal.process.send_signal(signal.SIGHUP)
    terminal.wait("\r\033\\[Kts=[^\r]+taken over")
    terminal.wait("rebuild  9 events  \\d+/s\033\\[K\r\n")
    terminal.process.terminate()
    checks.equal(terminal.process.wait(20), 0, "exit code")
    piped = t.Weir(config, "--rebuild").wait_log("partition claimed")
    t.wait_counted(t.Redis(), config, 1, 9)
    checks.equal(piped.stop(), 0, "exit code of the other")
    checks.that("rebuild  " not in piped.log() and "\r" not in piped.log(), "the other log is piped")


def main():
    t.need_services("kcat")
    checks = t.Checks("run")
    parts = [totals_multicategory, totals_cosmetics, totals_otto, totals_generated,
             restart_by_sigterm, restart_by_kill, processes_and_workers, quiet_partitions,
             ticks_on_record, topic_taken_out]
    if not os.environ.get("WEIR_SANITIZED"):  # they need a program that keeps up with the clock
        parts += [rebuild_progress, many_partitions]
    checks.run(*parts)
    checks.finish()


if __name__ == "__main__":
    main()
