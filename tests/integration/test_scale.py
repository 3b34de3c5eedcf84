#!/usr/bin/env python3
"""Ten workers in one process and ten processes of one worker count the same, byte for byte, and
when the process that publishes is killed another does so within five seconds."""

import os
import re
import time

import weirtest as t
from weirstream import (
    Feeder,
    Sampler,
    buckets,
    closers_at,
    differences,
    dump,
    feed_closers,
    lately,
    ms_of,
    replay,
    same_buckets,
    same_figures,
    same_lines,
    stream_config,
    traffic,
    wait_for_slide,
)

LONG = bool(os.environ.get("WEIR_LONG"))
TEN = 10


def sibling(config, **parts):
    """Another group over the same topic."""
    tree = {name: part for name, part in config.tree.items() if name not in ("kafka", "redis")}
    other = t.Config(config.topic, **{**tree, **parts})
    other.partitions = config.partitions
    return other


def sharing(weir):
    """The workers of a process that were assigned partitions."""
    return set(re.findall(r'msg="partitions assigned" worker=(\d+) partitions=[1-9]', weir.log()))


def started(config, processes, what):
    """So many processes, each of whose workers has a partition."""
    all_of_it = [t.Weir(config) for _ in range(processes)]
    workers = config.tree.get("workers", 1)
    for weir in all_of_it:
        weir.wait_log("partition claimed", 60)
        t.wait_until(60, lambda: len(sharing(weir)) == workers,  # noqa: B023
                     f"{what}: each of {workers} workers has a partition")
    print(f"{what}: partitions claimed "
          f"{[weir.log().count('partition claimed') for weir in all_of_it]}")
    return all_of_it


def counted(checks, config, all_of_it, total, end, what):
    """Everything counted by those processes: the total of a day, the bytes of every bucket, and
    what all keys mean."""
    redis = t.Redis()
    t.wait_counted(redis, config, config.partitions, total, 120, watch=all_of_it[0])
    found = wait_for_slide(redis, config, "24h", ms_of(end), 60000)
    for weir in all_of_it:
        weir.process.terminate()
    checks.equal({weir.wait_exit() for weir in all_of_it}, {0}, f"{what}: exit codes")
    return found, buckets(redis, config), dump(config)


def ten_and_ten(checks):
    """All have their partitions before the first record, so that none can count it all alone."""
    partitions = 20
    one = stream_config("scale", partitions)
    groups = [(config, what, started(config, processes, what)) for config, processes, what in (
        (one, 1, "one worker"),
        (sibling(one, workers=TEN), 1, "ten workers in one process"),
        (sibling(one), TEN, "ten processes of one worker"))]
    path, end = traffic(checks, one, 400000 if LONG else 60000, begin=lately())
    total = Feeder(one, path, 2).finish() + partitions
    feed_closers(one, closers_at(end, partitions))
    results = [counted(checks, config, all_of_it, total, end, what)
               for config, what, all_of_it in groups]
    want, want_buckets, want_dump = results[0]
    for (_, what, _), (got, got_buckets, got_dump) in list(zip(groups, results))[1:]:
        same_figures(checks, got, want, what)
        same_buckets(checks, got_buckets, want_buckets, what)
        same_lines(checks, got_dump, want_dump, what)
    checks.equal(differences(want, replay(one, path)), [], "one worker and weir replay")


def leader_of(processes):
    for weir in processes:
        if weir.alive() and weir.metric("weir_evaluator_leader") == 1:
            return weir
    return None


def lease_moves(checks):
    """kill -9 of whoever publishes, in turn."""
    kills = 3 if LONG else 1
    config = stream_config("lease", http={"listen": "127.0.0.1:0"})
    path, _ = traffic(checks, config, 60000)
    processes = [t.Weir(config).ready() for _ in range(kills + 1)]
    feeder, sampler = Feeder(config, path, 8 * kills), Sampler(config)
    redis = t.Redis()
    t.wait_until(20, lambda: redis.hash(config.key("now:1m")), "a window is published")
    slowest = 0
    for _ in range(kills):
        leader = t.wait_until(20, lambda: leader_of(processes), "one holds the lease")
        token = redis.do("GET", config.key("lease"))
        leader.kill()
        begun = time.monotonic()
        t.wait_until(20, lambda old=token: redis.do("GET", config.key("lease")) not in (None, old),
                     "another takes the lease")
        slowest = max(slowest, time.monotonic() - begun)
        processes.remove(leader)
    checks.that(slowest <= 5, f"the lease moved after {slowest:.2f} s")
    number = int(redis.do("HGET", config.key("published"), "number"))
    t.wait_until(20, lambda: int(redis.do("HGET", config.key("published"), "number")) > number,
                 f"the new one publishes: {processes[0].tail()}")
    feeder.finish()
    looks = sampler.finish(checks, "the lease moves")
    print(f"the lease moved within {slowest:.2f} s; {looks} looks at what is published")


def main():
    t.need_services("kcat")
    checks = t.Checks("scale")
    checks.run(ten_and_ten, lease_moves)
    checks.finish()


if __name__ == "__main__":
    main()
