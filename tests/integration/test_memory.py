#!/usr/bin/env python3
"""What `memory` promises: floods stay below it, too much is refused or told, a state is back soon.

With WEIR_LONG=1, but under no sanitizer, floods are of ten million sessions, a state of a million.
"""

import json
import os
import re
import resource
import subprocess
import tempfile
import time
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import weirtest as t
from weirflood import START_MS, feed, made
from weirgroup import MemoryGroup
from weirstream import (
    PARTITIONS,
    SLOW_TICKS,
    buckets,
    closers_at,
    feed_closers,
    ms_of,
    same_buckets,
    same_figures,
    wait_for_slide,
)

SANITIZED = bool(os.environ.get("WEIR_SANITIZED"))
LONG = os.environ.get("WEIR_LONG") == "1" and not SANITIZED
MIB = 1 << 20
ADDRESSES = 1024 * MIB  # of a process under test: a limit that malloc meets, as a cgroup's is

def limited():
    if not SANITIZED:
        resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))


def replayed(checks, config, events, kind, limit_mib):
    """A flood through weir replay: its summary, and the most that was resident."""
    maker = made(0, events, 5000, kind)
    begun = time.monotonic()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        weir = subprocess.Popen(
            [os.environ["WEIR"], "replay", "--config", config.path, "--summary", "json", "-"],
            stdin=maker.stdout, stdout=out, stderr=err, preexec_fn=limited)
        _, status, usage = os.wait4(weir.pid, 0)
        weir.returncode = status
        out.seek(0)
        err.seek(0)
        checks.equal(status, 0, f"end of the replay ({err.read()[-300:]})")
        summary = json.loads(out.read() or b"{}")
    seconds = time.monotonic() - begun
    resident = usage.ru_maxrss * 1024
    print(f"memory: replay of {events} sessions ({kind}): {resident / MIB:.0f} MiB resident at most,"
          f" limit {limit_mib} MiB, {events / seconds:.0f} events/s")
    if not SANITIZED:
        checks.that(resident < limit_mib * MIB, f"{resident / MIB:.0f} MiB were resident")
    return summary


def resident_most(weir):
    with open(f"/proc/{weir.process.pid}/status", encoding="ascii") as lines:
        return int(re.search(r"VmHWM:\s+(\d+)", lines.read()).group(1)) * 1024


def flood_config(label, **parts):
    parts.setdefault("windows", ["1m", "1h", "24h"])
    parts.setdefault("events", {"dimensions": {"country": "country"}})
    return t.Config(t.topic(label, PARTITIONS), memory="256MiB", time={"idle_timeout": "1d"},
                    **parts)


# ---- replay ----


def flood_of_sessions(checks):
    events = 10_000_000 if LONG else 1_000_000
    config = flood_config("memory-replay")
    summary = replayed(checks, config, events, "views", 256)
    checks.equal(summary["live"]["sessions"], events, "sessions")
    checks.that(summary["settled"]["evicted_sessions"] > events // 2, "sessions ended early")


def flood_of_values(checks):
    """A million values of a dimension: a thousand are kept, and what is beyond is in _other."""
    events = 1_000_000
    summary = replayed(checks, flood_config("memory-values"), events, "views", 256)
    countries = summary["segments"]["country"]
    checks.equal(len(countries), 1001, "values of the dimension, with _other")
    checks.equal(countries["_other"]["live"]["sessions"], events - 1000, "sessions of _other")


def flood_of_carts(checks):
    """Each session leaves a cart or an order behind."""
    events = 10_000_000 if LONG else 1_000_000
    summary = replayed(checks, flood_config("memory-carts"), events, "carts", 256)
    checks.equal(summary["live"]["orders"], events // 2, "orders")
    checks.equal(summary["settled"]["abandoned_carts"], events // 2, "abandoned carts")


# ---- run ----


def flood_of_a_topic(checks):
    """Killed in the flood, with other workers: the same buckets, below the limit."""
    each = 2_500_000 if LONG else 200_000
    config = flood_config("memory-run")
    for partition in range(PARTITIONS):
        feed(config, partition, partition * each, (partition + 1) * each, 5000, "carts")
    redis = t.Redis()
    weir = t.Weir(config)
    t.wait_counted(redis, config, PARTITIONS, each, seconds=120, watch=weir)
    first = resident_most(weir)
    weir.kill()
    begun = time.monotonic()
    weir = t.Weir(config)
    t.wait_counted(redis, config, PARTITIONS, PARTITIONS * each, seconds=600, watch=weir)
    seconds = time.monotonic() - begun
    checks.equal(weir.metric("weir_memory_limit_bytes"), 256 * MIB, "limit in /metrics")
    checks.equal(weir.metric("weir_memory_fits"), 1, "the partitions fit")
    t.wait_until(30, lambda: weir.metric("weir_evaluator_steps_total") > 0, "a window is published")
    most = max(first, resident_most(weir))
    print(f"memory: run over {PARTITIONS * each} sessions: {most / MIB:.0f} MiB resident at most, "
          f"limit 256 MiB, {(PARTITIONS - 1) * each / seconds:.0f} events/s or more")
    if not SANITIZED:
        checks.that(most < 256 * MIB, f"{most / MIB:.0f} MiB were resident")
    checks.equal(weir.stop(), 0, "exit code")
    calm = sibling(config)
    weir = t.Weir(calm)
    t.wait_counted(redis, calm, PARTITIONS, PARTITIONS * each, seconds=600, watch=weir)
    checks.equal(weir.stop(), 0, "exit code of the undisturbed run")
    same_buckets(checks, buckets(redis, config), buckets(redis, calm), "one worker and two")


def evicted_by_rule(first, last, rate, most):
    """How many sessions of one event each end early by the rule of include/weir/partition.h: the
    next to end first, whole seconds at a time, until a sixteenth is free."""
    counts, seconds, evicted, open_now = {}, [], 0, 0
    for number in range(first, last):
        if open_now == most:
            while open_now > most - 1 - most // 16:
                gone = counts.pop(seconds.pop(0))
                open_now -= gone
                evicted += gone
        second = -(-(START_MS + number * 1000 // rate) // 1000)
        if second not in counts:
            counts[second] = 0
            seconds.append(second)
        counts[second] += 1
        open_now += 1
    return evicted


def flood_in_a_group(checks):
    """The kernel kills whatever takes more than `memory`: nothing is killed, as many sessions end
    early as the rule says, and the totals are those of a run without that limit."""
    each, rate, limit = 2_500_000 if LONG else 250_000, 5000, 256 * MIB
    group = MemoryGroup(limit)
    if not group.folder or SANITIZED:
        checks.skip(f"a flood in a control group: {group.why if not SANITIZED else SANITIZED}")
        return
    config = flood_config("memory-group")
    config.partitions = PARTITIONS
    for partition in range(PARTITIONS):
        feed(config, partition, partition * each, (partition + 1) * each, rate, "views")
    redis, total = t.Redis(), PARTITIONS * (each + 1)
    end = datetime.fromtimestamp(START_MS / 1000 + 8 * 3600, timezone.utc)
    feed_closers(config, closers_at(end))
    weir = t.Weir(config, program=group.program(config, os.environ["WEIR"]))
    t.wait_counted(redis, config, PARTITIONS, total, seconds=600, watch=weir)
    found = wait_for_slide(redis, config, "24h", ms_of(end), 60000)
    most, resident = group.most(), resident_most(weir)
    checks.equal(group.kills(), 0, "processes killed for want of memory")
    checks.equal(weir.stop(), 0, "exit code")
    checks.equal(group.kills(), 0, "processes killed for want of memory at the end")
    open_most = int(re.search(r"max_open=(\d+)", weir.log()).group(1))
    evicted = sum(evicted_by_rule(p * each, (p + 1) * each, rate, open_most)
                  for p in range(PARTITIONS))
    print(f"memory: run over {PARTITIONS * each} sessions in a control group of {limit // MIB} MiB: "
          f"{(most or 0) / MIB:.0f} MiB charged, {resident / MIB:.0f} MiB resident at most, "
          f"{evicted} sessions ended early by rule, none killed")
    checks.that(evicted > PARTITIONS * each // 2, f"sessions that end early: {evicted}")
    for name, want in (("sessions", PARTITIONS * each), ("settled.sessions", PARTITIONS * each),
                       ("settled.evicted_sessions", evicted)):
        checks.equal(int(found.get(name, -1)), want, name)
    free = sibling(config)
    weir = t.Weir(free)
    t.wait_counted(redis, free, PARTITIONS, total, seconds=600, watch=weir)
    same_figures(checks, found, wait_for_slide(redis, free, "24h", ms_of(end), 60000), "the limit")
    checks.equal(weir.stop(), 0, "exit code of the run without the limit")
    same_buckets(checks, buckets(redis, config), buckets(redis, free), "the limit")


def group_too_small(checks):
    """What the group leaves is known before partitions are claimed."""
    group = MemoryGroup(32 * MIB)
    if not group.folder or SANITIZED:
        checks.skip(f"a small control group: {group.why if not SANITIZED else SANITIZED}")
        return
    config = t.Config(t.topic("memory-small", PARTITIONS))
    weir = t.Weir(config, program=group.program(config, os.environ["WEIR"]))
    checks.equal(weir.wait_exit(), 4, f"exit code: {weir.tail()}")
    checks.contains(weir.log(), "4 partitions need at least 32 MiB", "the log")


def sibling(config, **parts):
    """Another group over the same topic, counted by two workers; a part that is None is left out."""
    tree = {name: part for name, part in config.tree.items() if name not in ("kafka", "redis")}
    tree = {**tree, "workers": 2, **parts}
    return t.Config(config.topic, **{name: part for name, part in tree.items() if part is not None})


def too_many_partitions(checks):
    config = flood_config("memory-many", sessions={"max_open": 150_000})
    weir = t.Weir(config).wait_log("more partitions are assigned here than fit in `memory`")
    checks.contains(weir.log(), "assigned=4 fit=2", "the log")
    checks.equal(weir.metric("weir_memory_fits"), 0, "weir_memory_fits")
    checks.equal(weir.metric("weir_memory_partitions"), 2, "weir_memory_partitions")
    checks.equal(weir.stop(), 0, "exit code")


def changed_limit(checks):
    """sessions.max_open follows from it, and with that how is counted: said, not done silently."""
    config = flood_config("memory-changed")
    feed(config, 0, 0, 100, 100, "views")
    weir = t.Weir(config)
    t.wait_counted(t.Redis(), config, PARTITIONS, 100, watch=weir)
    checks.equal(weir.stop(), 0, "exit code")
    config.change(memory="512MiB")
    weir = t.Weir(config)
    checks.equal(weir.wait_exit(), 4, "exit code with another limit")
    checks.contains(weir.log(), "`memory` from which sessions.max_open follows", "the log")


# ---- the windows over all partitions ----

WIDE = "abcdef"  # 900 values of each
WIDE_PARTITIONS = 2
WIDE_RATE = 2  # events a second: a day of them is few enough to make, and a minute has 120
WIDE_START = (int(time.time()) // 60 - 2 * 24 * 60) * 60000


def published(redis, config, window):
    """The total, and the segments of each dimension by value."""
    segments = {}
    for name in WIDE:
        values = redis.do("ZRANGE", config.key(f"top:{window}:{name}"), 0, -1)
        segments[name] = {value.decode(): redis.hash(
            config.key(f"now:{window}:{name}:{value.decode()}")) for value in values}
    return redis.hash(config.key(f"now:{window}")), segments


def same_but_coarser(checks, few, all_of_them):
    """The values that are left have the same figures, and `_other` what is missing."""
    total, segments = few
    same_figures(checks, total, all_of_them[0], "the share of the windows: total")
    for name in WIDE:
        checks.that(1 < len(segments[name]) < len(all_of_them[1][name]), f"values left of {name}")
        left = dict(all_of_them[1][name])
        for value in set(segments[name]) - {"_other"}:
            same_figures(checks, segments[name][value], left.pop(value), f"{name}={value}")
        for field in ("sessions", "page_views"):
            checks.equal(int(segments[name]["_other"][field]),
                         sum(int(figures[field]) for figures in left.values()),
                         f"{field} of _other of {name}")


def wide_config():
    config = t.Config(
        t.topic("memory-windows", WIDE_PARTITIONS), memory="128MiB", windows=["1m", "24h"],
        time={"idle_timeout": "10m"}, sessions={"max_open": 20_000},
        events={"dimensions": {name: name for name in WIDE}, "max_values": 910},
        publish={"top": 113},  # the most that this memory has room for
        alerts={"rules_files": ["rules.yaml"], "suspect_lag": "90d"})
    config.rules({"alert": "Many", "metric": "sessions", "window": "1m", "by": ["a"], "above": 300,
                  "keep_firing_for": "30d"})
    return config


def feed_wide(config, first, last):
    for partition in range(WIDE_PARTITIONS):
        feed(config, partition, first, last, WIDE_RATE, "wide", WIDE_START)


def alert_of_a_late_value(checks, redis, config, weir):
    """More values than will be kept, then one that fires."""
    feed_wide(config, 0, 1500)
    at = WIDE_START + 1500 * 1000 // WIDE_RATE
    t.produce(config.topic, [
        json.dumps({"type": "page_view", "time": at + i, "session": f"hot-{i}", "a": "hot"}).encode()
        for i in range(400)], 0)
    feed_wide(config, 1530, 1600)
    alert = t.wait_until(20, lambda: redis.hash(config.key("firing")), "the alert fires")
    checks.equal([json.loads(text)["segment"] for text in alert.values()], [{"a": "hot"}],
                 "alerts that fire")
    checks.equal(weir.metric("weir_evaluator_values_kept"), Decimal("Infinity"), "no limit so far")
    return 1600


def windows_at_their_share(checks):
    """A day of many values is more than the windows may take: fewer values are kept apart, all other
    figures are those of a run without a limit, and the process stays below it, restarted too."""
    config, redis = wide_config(), t.Redis()
    share, last = 128 * MIB // 8, 86_400 * WIDE_RATE
    weir = t.Weir(config)
    first = alert_of_a_late_value(checks, redis, config, weir)
    feed_wide(config, first, last)
    end = WIDE_START + (last - 1) * 1000 // WIDE_RATE
    t.wait_until(300 if SANITIZED else 60,
                 lambda: int(redis.hash(config.key("now:24h")).get("as_of", 0))
                 >= (end - 5000) // 60000 * 60000, "the day is published")
    few = published(redis, config, "24h")
    kept, size = (int(weir.metric(f"weir_evaluator_{name}"))
                  for name in ("values_kept", "memory_bytes"))
    most = resident_most(weir)
    checks.contains(weir.log(), "the windows over all partitions met their eighth", "the log")
    checks.equal(redis.hash(config.key("firing")), {}, "alerts that fire")
    ended = json.loads(redis.do("XREVRANGE", config.key("alerts"), "+", "-", "COUNT", 1)[0][1][1])
    checks.equal((ended["status"], ended["segment"]), ("resolved", {"a": "hot"}), "the last alert")
    checks.contains(ended["data_quality"], "no longer watched", "why it ended")
    checks.equal(weir.stop(), 0, "exit code")
    weir = t.Weir(config)
    t.wait_until(30, lambda: weir.metric("weir_evaluator_values_kept") <= 450, "the limit is back")
    again = max(size, int(weir.metric("weir_evaluator_memory_bytes")))
    most = max(most, resident_most(weir))
    checks.equal(weir.stop(), 0, "exit code after the restart")
    print(f"memory: windows of a day with 6 x 900 values: {again / MIB:.1f} MiB of {share // MIB}, "
          f"{kept} values kept apart, {most / MIB:.0f} MiB resident at most, limit 128 MiB")
    checks.that(again <= share, f"the windows took {again} bytes")
    checks.that(100 <= kept <= 450, f"{kept} values kept")
    if not SANITIZED:
        checks.that(most < 128 * MIB, f"{most / MIB:.0f} MiB were resident")
    config.rules()
    free = sibling(config, memory=None, alerts=None, publish={"top": 1000})
    weir = t.Weir(free)
    t.wait_window(redis, free, "24h", (end - 5000) // 60000 * 60000, seconds=60)
    checks.equal(weir.metric("weir_evaluator_values_kept"), Decimal("Infinity"), "no limit")
    same_but_coarser(checks, few, published(redis, free, "24h"))
    checks.that(weir.metric("weir_evaluator_memory_bytes") > share, "it would be more")
    checks.equal(weir.stop(), 0, "exit code without a limit")


# ---- recovery ----


CLAIMS = 5  # the best counts: the processors are others' too


def claim_again(config, sessions):
    """The next process after a kill, what it took of the processor, and the ms of the claim."""
    weir = t.Weir(config).wait_log(f"open_sessions={sessions}", 30)
    spent = t.cpu_ms(weir.process.pid)
    return weir, spent, int(re.search(r"open_sessions=\d+ took_ms=(\d+)", weir.log()).group(1))


def waiting_for_a_processor():
    """How many want each processor of this machine, at least 1."""
    return max(1, os.getloadavg()[0] / os.cpu_count())


def recovery(checks):
    """Open sessions after kill -9: a million are back within 1 s of the claim, fewer in proportion.
    Where more run than there are processors, a claim has its share of them only."""
    sessions = 1_000_000 if LONG else 200_000
    config = t.Config(t.topic("memory-recovery", 1), time=SLOW_TICKS,
                      windows=["1m", "1h", "24h"], events={"dimensions": {"country": "country"}})
    feed(config, 0, 0, sessions, sessions // 1000, "views")
    weir = t.Weir(config)
    t.wait_counted(t.Redis(), config, 1, sessions, seconds=120, watch=weir)
    slow = 20 if SANITIZED else 1
    claims, most = [], 0
    while not claims or (len(claims) < CLAIMS and min(claims) > most):
        weir.kill()
        weir, spent, took = claim_again(config, sessions)
        claims.append(took)
        most = slow * sessions / 1000 * waiting_for_a_processor()
    t.wait_until(20, lambda: "weir_partition_memory_bytes{" in weir.http("/metrics")[1],
                 "the partition's figures")
    size = weir.metric("weir_partition_memory_bytes") / sessions
    print(f"memory: {sessions} open sessions are back {min(claims)} ms after the claim (of {claims},"
          f" {most:.0f} allowed), {spent:.0f} ms of the processor since the start; "
          f"{size:.0f} bytes a session with all of the partition")
    checks.that(min(claims) <= most, f"{sessions} sessions took {claims} ms, {most:.0f} allowed")
    checks.that(spent <= 1000 * max(1, slow // 2), f"they took {spent:.0f} ms of the processor")
    checks.equal(weir.stop(), 0, "exit code")


# ---- a day ----

CATCH_UP = 20_000  # records a second at least: they came as four or, with WEIR_LONG=1, forty


def a_day_behind(checks):
    """A backlog of 24 hours: read at full speed, and no alert while it is caught up."""
    config = t.Config(t.topic("memory-day", PARTITIONS), windows=["5m", "1h"], memory="256MiB",
                      events={"dimensions": {"country": "country", "device": "device"}},
                      alerts={"rules_files": ["rules.yaml"]})
    config.rules({"alert": "AnySessions", "metric": "sessions", "window": "5m", "above": 0})
    begun = datetime.now(timezone.utc) - timedelta(hours=24)
    code, _, err = t.command(
        "generate", "--start", begun.strftime("%Y-%m-%dT%H:%M:%SZ"), "--duration", "24h",
        "--sessions-per-second", "10" if LONG else "1", "--speed", "max", "--level",
        "--truth", "none", "--to", f"kafka://{config.brokers}/{config.topic}", timeout=300)
    checks.equal(code, 0, f"exit code of generate: {err[-300:]}")
    redis = t.Redis()
    started = time.monotonic()
    weir = t.Weir(config).ready()
    t.wait_until(120, lambda: weir.metric("weir_worker_caught_up") == 1
                 and weir.metric("weir_records_total") > 0
                 and weir.metric("weir_partition_lag") == 0, "all is read")
    seconds = time.monotonic() - started
    records = int(weir.metric("weir_records_total"))
    end_ms = max(int(redis.do("HGET", config.tag(p, "meta"), "watermark"))
                 for p in range(PARTITIONS))
    print(f"memory: 24 hours and {records} records behind: caught up in {seconds:.1f} s,"
          f" {records / seconds:.0f} records/s with the start of the program,"
          f" {resident_most(weir) / MIB:.0f} MiB resident at most, limit 256 MiB")
    if not SANITIZED:
        checks.that(records / seconds > CATCH_UP, f"{records / seconds:.0f} records a second")
        checks.that(resident_most(weir) < 256 * MIB, f"{resident_most(weir)} bytes were resident")
    key = config.key("alerts")

    def raised_at():
        alerts = [json.loads(fields[1]) for _, fields in redis.do("XRANGE", key, "-", "+")]
        return [ms_of_text(alert["as_of"]) for alert in alerts
                if alert["status"] in ("pending", "firing")]

    raised = t.wait_until(60, raised_at, "the rule is met once the data are of now")
    early = [at for at in raised if at < end_ms - 70_000]
    checks.equal(early, [], "alerts raised while catching up")
    checks.equal(weir.stop(), 0, "exit code")


def a_day_idle(checks):
    """The others' windows go on without a partition that is silent for a day, also over a restart;
    its next event ends what was open, and is counted."""
    config = t.Config(t.topic("memory-idle", PARTITIONS), windows=["1m", "24h"],
                      time={"idle_timeout": "1s"})

    def send(partition, ago_s, session):
        at = int((time.time() - ago_s) * 1000)
        t.produce(config.topic, [b'{"type":"page_view","time":%d,"session":"%s-%d"}'
                                 % (at, session.encode(), partition)], partition)

    def follows_the_clock():
        at = int(redis.hash(config.key("now:1m")).get("as_of", 0))
        return at > (time.time() - 40) * 1000

    redis = t.Redis()
    send(0, 25 * 3600, "old")
    for partition in range(1, PARTITIONS):
        send(partition, 0, "new")
    weir = t.Weir(config)
    t.wait_counted(redis, config, PARTITIONS, PARTITIONS, watch=weir)
    t.wait_until(60, follows_the_clock, "the window is of now, whatever partition 0 says")
    checks.equal(weir.metric("weir_partition_idle", partition="0"), 1, "partition 0 is idle")
    weir.kill()
    weir = t.Weir(config)
    send(1, 0, "newer")
    t.wait_counted(redis, config, PARTITIONS, PARTITIONS + 1, watch=weir)
    t.wait_until(60, follows_the_clock, "the window is of now after a restart")
    send(0, 0, "back")
    t.wait_counted(redis, config, PARTITIONS, PARTITIONS + 2, watch=weir)
    t.wait_until(20, lambda: weir.metric("weir_open_sessions", partition="0") == 1,
                 "the old session has ended, the new one is open")
    checks.equal(weir.metric("weir_late_events_total"), 0, "late events")
    checks.equal(weir.stop(), 0, "exit code")


def ms_of_text(text):
    return int(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1000)


def main():
    t.need_services("kcat")
    checks = t.Checks("memory")
    checks.run(flood_of_sessions, flood_of_values, flood_of_carts, flood_of_a_topic,
               flood_in_a_group, group_too_small, too_many_partitions, changed_limit,
               windows_at_their_share, recovery, a_day_behind, a_day_idle)
    checks.finish()


main()
