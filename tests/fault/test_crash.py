#!/usr/bin/env python3
"""kill -9 at every named crash point and at random moments: nothing is counted twice or lost, and
every change of an alert is told once."""

import os
import random
import re
import time

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
    log = f.Log(20000)
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
        f.same_dump(checks, log, config, figures.name)
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
    config = log.config("crash", sinks=sinks.config())
    figures = f.Figures(f"kill -9 at {point}")
    redis = t.Redis()
    if point == "load_value":  # there must be a state to load
        first = t.Weir(config, program=program)
        f.wait_progress(config, first)
        first.kill()
    weir = t.Weir(config, program=program, env={"WEIR_CRASH_POINT": f"{point}:{POINTS[point]}"})
    f.died(weir)
    figures.injected = 1
    counted = sum(t.offsets(redis, config, f.PARTITIONS))
    figures.take(weir)
    second = t.Weir(config, program=program)
    if counted < log.total:
        figures.recovered.append(f.wait_progress(config, second))
    f.finish(checks, log, config, sinks, [second], figures, counted_before=counted)


def random_kills(checks):
    """20 kills, 200 with --long, over one log: each process counts on where Redis stands."""
    kills = 200 if f.LONG else 20
    log = f.Log(80000)
    sinks = f.Sinks()
    config = log.config("random", sinks=sinks.config())
    figures = f.Figures(f"{kills} random kills")
    redis = t.Redis()
    weir = t.Weir(config)
    for _ in range(kills):
        before = t.offsets(redis, config, f.PARTITIONS)
        if sum(before) == log.total:
            log.more(40000)  # weir may have counted them before this returns
        figures.recovered.append(f.wait_progress(config, weir, 60, before))
        time.sleep(random.uniform(0, 0.05))
        weir.kill()
        figures.injected += 1
        figures.take(weir)
        weir = t.Weir(config)
    left = log.total - sum(t.offsets(redis, config, f.PARTITIONS))
    f.finish(checks, log, config, sinks, [weir], figures, left_to_the_last=left)


def main():
    f.need_tools("kcat")
    checks = t.Checks("crash")
    checks.run(every_point_is_listed, every_crash_point, rebuild_killed, random_kills)
    checks.finish()


if __name__ == "__main__":
    main()
