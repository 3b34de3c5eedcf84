#!/usr/bin/env python3
"""The process that leads is frozen past its lease, its session and its transaction, another takes
over, and the first wakes up: it counts nothing, and every change of an alert is told once. The same
while members of the group come and go. And one that is only slow is not taken for dead."""

import os
import random
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import weirfault as f
import weirtest as t

# Where it is frozen, and at the how manyth time that it comes there; what it says when it wakes up
# with something that is not its own any more.
POINTS = {
    "sink_begin": (4, None),  # about to tell an alert that the other tells meanwhile
    "sink_kafka_put": (3, "not sent; it is tried again"),  # in a transaction that is still open
    "sink_kafka_committed": (3, None),  # told, and still in its queue
    "publish_begin": (3, None),
    "commit_put": (12, "fenced: somebody else"),
}
LEASE_S = 4
SLOW_MS = 2500  # two partitions' buckets: those of all take longer than the lease
# a group whose dead are missed soon, and transactions that Kafka gives up soon
ALONE = {**f.SLOWLY, "transaction.timeout.ms": 5000}
STEADILY = {**ALONE, "queued.max.messages.kbytes": 512}


def is_frozen(weir):
    with open(f"/proc/{weir.process.pid}/stat", encoding="utf-8") as stat:
        return stat.read().rsplit(")", 1)[1].split()[0] == "T"


def leads(weir):
    return weir.metric("weir_evaluator_leader") == 1


def agree(both):
    """One leads, and each partition is one's."""
    t.wait_until(40, lambda: sum(map(leads, both)) == 1, "one of the two leads")
    t.wait_until(40, lambda: sum(weir.metric("weir_worker_partitions") for weir in both)
                 == f.PARTITIONS, "each partition belongs to one of the two")


def finish(checks, log, config, sinks, both, figures):
    log.wait_counted(config, both[0])
    agree(both)
    f.finish(checks, log, config, sinks, both, figures)


def every_point(checks):
    """Frozen by itself right there, and woken when the other one has done all that was to do."""
    program = f.crashing_weir()
    if not program:
        checks.skip("no weir with crash points: build the preset asan or debug")
        return
    log = f.Log(20000)
    log.undisturbed()
    f.beside(checks, 5, [(point, lambda point=point: frozen_at(checks, log, program, point))
                         for point in POINTS])


def frozen_at(checks, log, program, point):
    times, says = POINTS[point]
    sinks = f.Sinks()
    config = log.config("frozen", ALONE, sinks.config())
    figures = f.Figures(f"frozen at {point}")
    first = t.Weir(config, program=program,
                   env={"WEIR_CRASH_POINT": f"{point}:{times}", "WEIR_CRASH_FREEZES": 1})
    t.wait_until(60, lambda: is_frozen(first), f"{point} is reached: {first.tail()}")
    figures.injected, begun = 1, time.monotonic()
    says = says or "partitions assigned"
    said = first.log().count(says)
    second = t.Weir(config).wait_log("partition claimed", 30, times=f.PARTITIONS)
    t.wait_until(30, lambda: leads(second), f"the second leads: {second.tail()}")
    figures.recovered.append(time.monotonic() - begun)
    log.wait_counted(config, second)
    f.settle(config)
    sinks.wait_empty(config, 60)
    time.sleep(max(0, begun + 8 - time.monotonic()))  # past all of it
    first.signal(signal.SIGCONT)
    first.wait_log(says, 60, said + 1)
    t.wait_until(60, lambda: not leads(first), f"the first learns of it: {first.tail()}")
    finish(checks, log, config, sinks, (second, first), figures)


def by_turns(checks):
    """At random moments while records come, whichever leads."""
    turns = 20 if f.LONG else 3
    log = f.Log(10000)
    sinks = f.Sinks()
    config = log.config("turns", STEADILY, sinks.config())
    figures = f.Figures(f"the leader frozen {turns} times")
    both = [t.Weir(config).ready(), t.Weir(config).ready()]
    agree(both)
    for _ in range(turns):
        leader, other = sorted(both, key=leads, reverse=True)
        with ThreadPoolExecutor(1) as beside:
            feeder = beside.submit(log.more, 20000)
            time.sleep(random.uniform(0.5, 2.5))
            leader.signal(signal.SIGSTOP)
            begun = time.monotonic()
            feeder.result()
        t.wait_until(30, lambda: leads(other), f"the other leads: {other.tail()}")  # noqa: B023
        t.wait_until(30, lambda: other.metric("weir_worker_partitions")  # noqa: B023
                     == f.PARTITIONS, "the other has every partition")
        figures.recovered.append(time.monotonic() - begun)
        log.wait_counted(config, other)
        figures.injected += 1
        time.sleep(random.uniform(0, 4))  # within and past the transaction
        leader.signal(signal.SIGCONT)
        agree(both)
    finish(checks, log, config, sinks, both, figures)


def members_come_and_go(checks):
    """Others join and leave every second, by SIGTERM and by kill -9, also those that lead."""
    turns = 25 if f.LONG else 6
    log = f.Log(60000)
    sinks = f.Sinks()
    config = log.config("members", STEADILY, sinks.config())
    figures = f.Figures(f"{turns} members joined and left")
    members = [t.Weir(config).ready()]
    for turn in range(turns):
        left = log.total - sum(t.offsets(t.Redis(), config, f.PARTITIONS))
        if left < 20000 and log.may_grow():
            log.more(40000)
        begun = time.monotonic()
        members.append(t.Weir(config).wait_log("partition claimed", 40))
        figures.recovered.append(time.monotonic() - begun)
        time.sleep(random.uniform(0.2, 1.0))
        leaver = members.pop(0)  # the eldest, who leads
        if turn % 2:
            leaver.kill()
        else:
            checks.equal(leaver.stop(), 0, "exit code of the one that leaves")
        figures.take(leaver).injected += 1
    f.finish(checks, log, config, sinks, members, figures)


def long_step(checks):
    """The first look at all buckets takes longer than the lease lasts: who began it publishes."""
    log = f.Log(40000)
    log.undisturbed()
    proxy = f.Proxy(os.environ["REDIS_PORT"])
    sinks, figures = f.Sinks(), f.Figures("a step longer than the lease", 1)
    config = log.config("slow", ALONE, sinks.config(), redis=proxy.url)
    redis, lease = t.Redis(), config.key("lease")
    redis.do("SET", lease, "nobody", "PX", 600000)  # until all is counted
    both = [t.Weir(config).ready(), t.Weir(config).ready()]
    log.wait_counted(config, both[0])
    t.wait_until(40, lambda: all(weir.metric("weir_worker_partitions") for weir in both),
                 "each of the two has partitions")
    proxy.order("slow", 0, 1000000, ":b:", SLOW_MS)
    redis.do("DEL", lease)
    holder = t.wait_until(20, lambda: redis.do("GET", lease), "one of the two has the lease")
    begun, holders = time.monotonic(), {holder}

    def published():
        holders.add(redis.do("GET", lease))
        return redis.do("HGET", config.key("published"), "number")

    t.wait_until(60, published, f"it publishes: {both[0].tail()} {both[1].tail()}")
    took = time.monotonic() - begun
    checks.that(took > LEASE_S + 0.5, f"the step took only {took:.1f} s")
    checks.equal(holders, {holder}, "who held the lease during the step")
    checks.equal(sum(weir.log().count("holds the lease") for weir in both), 1, "leases taken")
    print(f"a step of {took:.1f} s under a lease of {LEASE_S} s")
    proxy.order("slow", 0, 0, ":b:", 0)
    f.finish(checks, log, config, sinks, both, figures)


def frozen_broker(checks):
    """Kafka takes connections and answers nothing, for which librdkafka would wait without end: a
    stop comes to its end all the same, and the next start counts on."""
    private = t.Service("kafka")
    log = f.Log(20000, private.env["KAFKA_BROKERS"])
    log.undisturbed()
    sinks, figures = f.Sinks(log.brokers), f.Figures("stopped before a frozen broker", 1)
    config = log.config("stopped", f.SLOWLY, sinks.config())
    first = t.Weir(config)
    f.wait_progress(config, first)
    private.signal(signal.SIGSTOP)
    begun = time.monotonic()
    first.signal(signal.SIGTERM)
    checks.equal(first.wait_exit(60), 0, "exit code of a stop without Kafka")
    took = time.monotonic() - begun
    checks.that(took <= 20, f"the stop took {took:.1f} s")
    private.signal(signal.SIGCONT)
    begun = time.monotonic()
    second = t.Weir(config).ready()
    f.wait_progress(config, second)
    figures.recovered.append(time.monotonic() - begun)
    f.finish(checks, log, config, sinks, [second], figures.take(first), stopped_s=round(took, 1))


def main():
    f.need_tools("kcat")
    checks = t.Checks("frozen")
    checks.run(every_point, by_turns, members_come_and_go, long_step, frozen_broker)
    checks.finish()


if __name__ == "__main__":
    main()
