#!/usr/bin/env python3
"""kill -9 at every named crash point and at random moments: nothing is counted twice or lost, and
every change of an alert is told once."""

import os
import random
import re
import time
from collections import Counter

import weirfault as f
import weirtest as t

SOURCE = os.path.join(t.TESTS, "..", "src")

# Every crash point in the source stands here, with the times that it is reached before it kills: a
# new one without an entry fails the test.
POINTS = {
    "claim_begin": 1,
    "claim_answered": 2,
    "load_value": 300,
    "claim_done": 3,
    "commit_begin": 5,
    "commit_put": 6,
    "commit_answered": 9,
    "commit_done": 5,
    "commit_shown": 5,
    "lease_answered": 1,
    "lease_loaded": 1,
    "publish_begin": 2,
    "publish_answered": 2,
    "sink_begin": 2,
    "sink_answered": 2,
    "sink_deleted": 2,
    "sink_kafka_put": 2,
    "sink_kafka_committed": 2,
    "forget_condemned": 2,
    "forget_swept": 3,
}


def in_source():
    found = set()
    for folder, _, names in os.walk(SOURCE):
        for name in names:
            if name.endswith((".c", ".h")):
                with open(os.path.join(folder, name), encoding="utf-8") as text:
                    found.update(re.findall(r'weir_crash_point\("(\w+)"\)', text.read()))
    return found


def every_point_is_listed(checks):
    checks.equal(sorted(in_source()), sorted(POINTS), "crash points in the source")


def every_crash_point(checks):
    """One run over the log for each point: it dies there, a successor goes on to the end. Several
    beside each other, as most of their time passes until the dead one's lease ends."""
    program = f.crashing_weir()
    if not program:
        checks.skip("no weir with crash points: build the preset asan or debug")
        return
    log = f.Log(20000, hostile=True)
    log.undisturbed()
    f.beside(checks, 6, [(point, lambda point=point: crash_at(checks, log, program, point))
                         for point in POINTS if not point.startswith("forget")])


def rebuild_killed(checks):
    """--rebuild dies while it deletes, its oldest buckets first: what is left is no state, also
    where nothing of what is gone would be read again; a second --rebuild counts all."""
    program = f.crashing_weir()
    if not program:
        checks.skip("no weir with crash points: build the preset asan or debug")
        return
    log = f.Log(20000)
    settled = {**f.NO_TICKS, "allowed_lateness": "1m"}  # or every bucket is read at a claim
    calm = log.config("calm", t.FAST_GROUP, time=settled)
    count_all(checks, log, calm)
    log.wanted = f.dump(calm), f.published(calm)
    for point in (point for point in POINTS if point.startswith("forget")):
        config = log.config("rebuild", time=settled)
        figures = f.Figures(f"--rebuild killed at {point}")
        count_all(checks, log, config)
        weir = t.Weir(config, "--rebuild", program=program,
                      env={"WEIR_CRASH_POINT": f"{point}:{POINTS[point]}"})
        f.died(weir)
        figures.injected = 1
        refused = t.Weir(config)
        checks.equal(refused.wait_exit(), 4, f"{figures.name}: a start without: {refused.tail()}")
        checks.contains(refused.log(), "finish it with `weir run --rebuild`", figures.name)
        count_all(checks, log, config, "--rebuild")
        f.same_dump(checks, log, config, figures.name, alerts=False)
        figures.show(refused=1)


def count_all(checks, log, config, *args):
    weir = t.Weir(config, *args)
    if args:
        weir.wait_log("partition claimed", times=f.PARTITIONS)
    log.wait_counted(config, weir)
    f.settle(config)
    checks.equal(weir.stop(), 0, f"exit code of {config.group} {' '.join(args)}")


def crash_at(checks, log, program, point):
    sinks = f.Sinks()
    config = log.config("crash", f.STEADILY, sinks.config())
    figures = f.Figures(f"kill -9 at {point}")
    redis = t.Redis()
    if point.startswith(("claim_", "load_", "lease_")):  # there must be something to take over
        first = t.Weir(config, program=program)
        firing_somewhere(config, first)
        checks.equal(first.stop(), 0, f"{figures.name}: exit code of the first")
    before = sum(t.offsets(redis, config, f.PARTITIONS))
    weir = t.Weir(config, program=program, env={"WEIR_CRASH_POINT": f"{point}:{POINTS[point]}"})
    f.died(weir)
    figures.injected = 1
    counted = sum(t.offsets(redis, config, f.PARTITIONS))
    figures.take(weir, counted - before)
    second = t.Weir(config, program=program)
    if counted < log.total:
        figures.recovered.append(f.wait_progress(config, second))
    f.finish(checks, log, config, sinks, [second], figures, counted_before=counted)


def firing_somewhere(config, weir):
    """Waits for a state in each partition, and for a publication with alerts."""
    redis = t.Redis(config.redis)
    t.wait_until(60, lambda: min(t.offsets(redis, config, f.PARTITIONS)) > 0
                 and redis.do("HLEN", config.key("firing")), f"alerts that fire: {weir.tail()}")


def sinks_refuse(checks):
    """It dies while neither the webhook nor the topic takes an alert: when the webhook has refused
    one, and its successor when the topic has. The third one finds all of it in the queues."""
    log = f.Log(20000, hostile=True)
    sinks = f.Sinks()
    config = log.config("refused", f.STEADILY, sinks.config())
    figures, redis = f.Figures("kill -9 while the sinks refuse"), t.Redis()
    weir = t.Weir(config)
    t.wait_until(60, lambda: sinks.hooked(200) and sinks.in_topic(), f"alerts: {weir.tail()}")
    sinks.refuse()
    log.more(20000)

    def waiting():
        return min(redis.do("XLEN", config.key(f"outbox:{sink}")) for sink in ("hook", "topic"))

    for failed in ("hook", "topic"):
        t.wait_until(60, lambda: waiting() and sinks.hooked(503), f"alerts wait: {weir.tail()}")
        weir.wait_log(f'it is tried again" sink={failed}', 30)
        queued = waiting()
        weir.kill()
        figures.take(weir).injected += 1
        weir = t.Weir(config)
    checks.that(queued > 0, f"{figures.name}: alerts in both queues")
    sinks.accept()
    f.finish(checks, log, config, sinks, [weir], figures, queued=queued,
             refused=len(sinks.hooked(503)))


class Life:
    """What one process has done until it was killed."""

    def __init__(self, config, weir):
        self.config, self.weir, self.redis = config, weir, t.Redis(config.redis)
        self.before = self.look()

    def look(self):
        """Records that are counted, claims, publications."""
        metas = [self.redis.do("HMGET", self.config.tag(p, "meta"), "offset", "epoch")
                 for p in range(f.PARTITIONS)]
        number = self.redis.do("HGET", self.config.key("published"), "number")
        return [sum(int(value or 0) for value in values) for values in (*zip(*metas), [number])]

    def end(self, ends, figures):
        """Kills it, and notes under `ends` how far it came."""
        self.weir.kill()
        counted, claimed, told = (now - then for now, then in zip(self.look(), self.before))
        figures.take(self.weir, counted)
        figures.injected += 1
        ends["before a claim"] += claimed == 0
        ends["between claim and commit"] += claimed > 0 and counted == 0
        ends["after a commit"] += counted > 0
        ends["after a publication"] += told > 0


def starting(_, start_s):
    time.sleep(random.uniform(0, 1.2 * start_s))


def claiming(weir, _):
    claims = random.randint(1, f.PARTITIONS)
    while weir.alive() and weir.log().count("partition claimed") < claims:
        time.sleep(0.001)
    time.sleep(random.uniform(0, 0.01))


def at_work(*_):
    time.sleep(random.uniform(0, 4))


def random_kills(checks):
    """20 kills, 200 with --long, over one log, at any moment of a life of up to some seconds; the
    next process counts on where Redis stands. The lease of a dead one lasts for four seconds."""
    kills = 200 if f.LONG else 20
    log = f.Log(40000, hostile=True)
    sinks = f.Sinks()
    config = log.config("random", f.STEADILY, sinks.config())
    figures, ends = f.Figures(f"{kills} random kills"), Counter()
    redis, begun = t.Redis(), time.monotonic()
    life = Life(config, t.Weir(config))
    f.wait_progress(config, life.weir)
    start_s = time.monotonic() - begun  # as slow as the machine is now
    life.end(ends, figures)
    for number in range(kills - 1):
        left = log.total - sum(t.offsets(redis, config, f.PARTITIONS))
        if left < 5000 and log.may_grow():
            log.more(20000)
        life = Life(config, t.Weir(config))
        (starting, claiming, at_work)[number % 3](life.weir, start_s)
        life.end(ends, figures)
    for end, least in (("between claim and commit", 2), ("after a commit", 2),
                       ("after a publication", 1)):
        checks.that(ends[end] >= least, f"{figures.name}: {end}: {dict(ends)}")
    weir = t.Weir(config)
    left = log.total - sum(t.offsets(redis, config, f.PARTITIONS))
    if left:
        figures.recovered.append(f.wait_progress(config, weir))
    f.finish(checks, log, config, sinks, [weir], figures, records=log.total,
             left_to_the_last=left, died=dict(ends))


def main():
    f.need_tools("kcat")
    checks = t.Checks("crash")
    checks.run(every_point_is_listed, every_crash_point, rebuild_killed, sinks_refuse,
               random_kills)
    checks.finish()


if __name__ == "__main__":
    main()
