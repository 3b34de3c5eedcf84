"""The state: what it costs to commit it, to add it up, to come back to it, to hold it."""

import json
import time

import machine
import process
import topics
import weir_run
import weirtest as t

OPEN, GAP_S = 100000, 1800  # a session stays open for half an hour after its last event


def commits(bench):
    sizes = [("10 thousand", 10000), ("100 thousand", 100000), ("1 million", 1000000)]
    for name, sessions in sizes[:bench.repetitions(3, 2)]:
        redis = t.Service("redis")
        figures = machine.program(bench, "bench_commit", "--redis", redis.env["REDIS_URL"],
                                  "--sessions", sessions, "--commits",
                                  bench.repetitions(60, 20))
        redis.order("stop")
        bench.table.add(f"{name} open sessions", "commit of 50,000 events",
                        "export, Redis and answer", "ms", *figures["ms"])
        bench.table.add(f"{name} open sessions", "commit of 50,000 events", "size", "MB",
                        figures["bytes"] / 1e6)


def evaluator(bench):
    redis = t.Service("redis")
    config = bench.scratch / "evaluator.yaml"
    tree = weir_run.parts(bench)
    tree["kafka"] = {"brokers": ["127.0.0.1:9"], "topics": ["made-up"], "group": "bench"}
    tree["redis"] = {"url": redis.env["REDIS_URL"]}
    tree["events"] = {"dimensions": topics.DIMENSIONS, "max_values": 1010}
    config.write_text(json.dumps(tree))
    minutes = bench.repetitions(1440, 60)
    figures = machine.program(bench, "bench_evaluator", "--config", config, "--minutes", minutes,
                              "--slides", bench.repetitions(30, 13))
    redis.order("stop")
    group = "24 hours, 4 x 1,000 values" if not bench.quick else "1 hour, 4 x 1,000 values"
    put = bench.table.adder(group, "evaluator")
    put("one step", "ms", *figures["ms"])
    for stage in ("gather", "sum", "write", "send"):
        put(f"one step: {stage}", "ms", figures[f"{stage}_ms"])
    put("first step: all that Redis holds", "ms", figures["first_ms"])
    put("memory of the windows", "MB", figures["memory_bytes"] / 1e6)
    bench.table.note(f"evaluator: {figures['segments']} segments over {figures['partitions']} "
                     f"partitions, 16,000 events a minute")


def ready_ms(weir):
    """From the assignment to the last partition that is claimed and loaded."""
    weir.wait_log("partition claimed", 60, topics.PARTITIONS)
    claimed = weir.log_time("partition claimed", -1)
    return (claimed - weir.log_time("partitions assigned")) * 1000


def recovery(bench):
    events = bench.topics.main()
    for _ in range(bench.repetitions(3, 1)):
        service = weir_run.Service(bench, events.name,
                                   rdkafka={"group.instance.id": "one"})
        try:
            service.begin()
            service.wait_counted(int(events.events * 0.75), 600)  # before any partition's end
            service.weir.kill()
            weir = service.begin()
            took_ms = ready_ms(weir)
            opened = sum(int(line.split("open_sessions=")[1].split()[0])
                         for line in weir.log().split("\n") if "partition claimed" in line)
            put = bench.table.adder("killed in the main set", "weir run")
            put("open sessions", "", opened)
            put("from assignment to ready", "ms", took_ms)
            service.wait_counted(events.records, 600)
            weir_run.compare(bench, events, service, "recovery")
        finally:
            service.stop()


def start(bench):
    events = bench.topics.main()
    for _ in range(bench.repetitions(10, 3)):
        service = weir_run.Service(bench, events.name)
        try:
            weir = service.begin()
            deadline = time.monotonic() + 20
            while service.counted() == 0:
                if time.monotonic() > deadline:
                    raise t.Failure(f"no commit: {weir.tail()}")
                time.sleep(0.001)
            put = bench.table.adder("an empty Redis", "weir run")
            put("start to first commit", "ms", (time.time() - weir.begun) * 1000)
            put("start to assignment", "ms",
                (weir.log_time("partitions assigned") - weir.begun) * 1000)
            put("start to claimed", "ms",
                (weir.log_time("partition claimed", -1) - weir.begun) * 1000)
            weir.kill()
        finally:
            service.stop()


def memory(bench):
    """A backlog of a shop with 100 thousand sessions open at once, read by the default config."""
    size = bench.repetitions(2000000, 700000)
    events = bench.topics.get("small", size, OPEN // GAP_S + 1)
    for _ in range(bench.repetitions(3, 1)):
        service = weir_run.Service(bench, events.name)
        try:
            weir = service.begin()
            service.wait_counted(int(events.events * 0.95), 300)
            put = bench.table.adder("100 thousand sessions", "weir run")
            put("open sessions", "", float(weir.metric("weir_open_sessions")))
            put("resident memory", "MB", process.memory_mb(weir.process.pid))
        finally:
            service.stop()
    bench.topics.forget("small")
