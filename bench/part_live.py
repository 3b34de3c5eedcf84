"""Under load: two workers, a slow reader, and how long an event takes to Redis."""

import machine
import part_pipeline
import process
import weir_run
import weirtest as t
from topics import PARTITIONS

SLOW_NS = 1500
LOADS = (20, 50, 80)
BEHIND_MAX_MS = 500


def workers(bench):
    events = bench.topics.main()
    group = "million sessions, lz4"
    for _ in range(bench.repetitions(3, 1)):
        speeds = []
        for number in (1, 2):
            figures = weir_run.measure(bench, events, f"{number} workers", workers=number)
            speeds.append(figures["events"] / figures["wall_s"])
            bench.table.add(group, f"workers: {number}", "events per second, wall clock", "M/s",
                            speeds[-1] / 1e6)
        bench.table.add(group, "workers: 2 / workers: 1", "wall clock", "times",
                        speeds[1] / speeds[0])


def slow(bench):
    """The trap of full queues: a reader that takes 1.5 us a record cannot have more than 667
    thousand a second; how much of that does it get?"""
    events = bench.topics.main()
    libraries = [("the distribution's librdkafka", None)]
    current = bench.libraries.current()
    if current:
        libraries.append(("a current librdkafka", current))
    for _ in range(bench.repetitions(3, 1)):
        for name, library in libraries:
            figures = machine.program(
                bench, "bench_consume", "--brokers", bench.topics.brokers, "--topic", events.name,
                "--slow", SLOW_NS, library=library)
            put = bench.table.adder("slow reader", name)
            share = figures["events"] / figures["wall_s"] / (1e9 / SLOW_NS)
            put("wall clock speed", "of what its own speed allows", share)
            put("resident memory", "MB", figures["rss_mb"])
            bench.table.note(f"{name}: {figures['librdkafka']}")
            run = weir_run.measure(bench, events, name, library=library)
            part_pipeline.put_weir(bench.table, f"million sessions, {name}", run)


def one_load(bench, rate, seconds, **more):
    """A topic and a weir of its own, and what bench_latency says, with weir's CPU: that of reading
    the topic back, when weir is idle, is in it."""
    name = t.topic("latency", PARTITIONS, bench.topics.brokers)
    service = weir_run.Service(bench, name, **more)
    try:
        service.begin().wait_log("partition claimed", 30, PARTITIONS)
        pid = service.weir.process.pid
        before_s = process.own_cpu_s(pid)
        figures = machine.program(
            bench, "bench_latency", "--brokers", bench.topics.brokers, "--topic", name, "--redis",
            service.config.redis, "--group", service.config.group, "--rate", int(rate),
            "--seconds", seconds, "--skip", min(5, seconds // 2), timeout=seconds + 600)
        figures["cores"] = ((process.own_cpu_s(pid) - before_s) * figures["per_s"] /
                            figures["records"])
        return figures
    finally:
        service.stop()
        bench.topics.delete(name)


def latency(bench):
    """The load that it can hold: what passes when the producer, the broker, Redis and weir share
    this machine and the producer goes as fast as it can."""
    most = one_load(bench, 0, bench.repetitions(20, 8))
    put = bench.table.adder("100 % of the load", "producer, broker, Redis and weir together")
    put("events per second", "M/s", most["per_s"] / 1e6)
    put("CPU of weir", "of one core", most["cores"])
    for _ in range(bench.repetitions(3, 1)):
        for load in LOADS if not bench.quick else LOADS[-1:]:
            rate = most["per_s"] * load / 100
            figures = one_load(bench, rate, bench.repetitions(30, 10))
            put = bench.table.adder(f"{load} % of the load", "event to Redis")
            put("the producer behind its clock, at most", "ms", figures["behind_ms"])
            if figures["behind_ms"] > BEHIND_MAX_MS:
                bench.fail(f"{load} % of the load: the producer was {figures['behind_ms']} ms "
                           "behind, and events that wait there are not seen to wait")
                continue
            for name, key in (("p50", "p50"), ("p99", "p99"), ("p99.9", "p999")):
                put(name, "ms", figures[key])
            put("events per second", "M/s", figures["per_s"] / 1e6)
            put("CPU of weir", "of one core", figures["cores"])
