"""Kafka to Redis: the consumer that only counts, weir, and the same work in other engines, one
after the other on the same topic, again and again."""

import json
import subprocess

import machine
import process
import topics
import weir_run

PEERS = ("streams-memory", "flink-heap", "streams-rocksdb", "flink-rocksdb")
MILLION = 1e6
COUNTS = "consumer that only counts"
TOUCHES = "consumer that reads each byte's line"
CLIENT_CPU = "CPU of the client's threads"


def count(bench, events, **more):
    args = [word for pair in more.items() for word in (f"--{pair[0]}", pair[1])]
    return machine.program(bench, "bench_consume", "--brokers", bench.topics.brokers, "--topic",
                           events.name, *args)


def warm_rate(figures):
    """Events per CPU second from a quarter of the records on."""
    return figures["warm_events"] / figures["warm_cpu_s"]


def put_rates(put, figures):
    put("events per CPU second", "M/s", warm_rate(figures) / MILLION)
    put("events per CPU second, from its start", "M/s",
        figures["events"] / figures["cpu_s"] / MILLION)
    put("events per second, wall clock", "M/s", figures["events"] / figures["wall_s"] / MILLION)
    put("resident memory", "MB", figures["rss_mb"])


def put_consumer(table, group, figures, what=COUNTS):
    put = table.adder(group, what)
    put_rates(put, figures)
    reader_ns = figures["warm_reader_s"] / figures["warm_events"] * 1e9
    put("CPU of the reading thread", "ns per event", reader_ns)
    put(CLIENT_CPU, "ns per event", 1e9 / warm_rate(figures) - reader_ns)


def put_weir(table, group, figures):
    put = table.adder(group, "weir run")
    events = figures["events"]
    put_rates(put, figures)
    put("CPU of Redis beside it", "of weir's", figures["redis_cpu_s"] / figures["cpu_s"])
    put("CPU of Redis's server alone, without writing its file anew", "of weir's",
        figures["server_cpu_s"] / figures["cpu_s"])
    put("memory of Redis, at most", "MB", figures["redis_mb"])
    put("bytes to Redis per event", "bytes", figures["redis_bytes"] / events)
    put("commit, mean", "ms", figures["commit_s"] / figures["commits"] * 1000)
    put("commit, longest", "ms", figures["commit_max_s"] * 1000)
    put("evaluator's step, mean", "ms", figures["step_s"] / max(figures["steps"], 1) * 1000)
    put_threads(put, figures)


def put_threads(put, figures):
    """Its own threads by name and the client's: together all of the CPU after the first quarter."""
    per_event_ns = 1e9 / figures["warm_events"]
    rest_s = figures["warm_cpu_s"]
    for name, spent in sorted(figures["threads"].items(), reverse=True):
        if name == process.CLIENT:
            row = CLIENT_CPU
        elif name.startswith("worker ") or name == "evaluator":
            row = f"CPU of the thread {name}"
        else:
            continue
        put(row, "ns per event", spent * per_event_ns)
        rest_s -= spent
    put("CPU of all other threads", "ns per event", max(round(rest_s, 6), 0) * per_event_ns)


def put_peer(table, group, peer, figures):
    put = table.adder(group, peer)
    measured = figures["events_measured"]
    put("events per CPU second", "M/s", measured / figures["cpu_s"] / MILLION)
    put("events per second, wall clock", "M/s", measured / figures["wall_s"] / MILLION)
    put("resident memory", "MB", figures["rss_mb"])


def run_peer(bench, events, peer, redis):
    """Its figures, or None when it failed or counted otherwise than weir replay."""
    here = bench.root / "bench" / "peers"
    state = bench.scratch / f"state-{peer}"
    machine.fresh(state)
    command = [str(here / "run"), peer, "--brokers", bench.topics.brokers, "--topic", events.name,
               "--partitions", str(topics.PARTITIONS), "--redis", redis, "--state", str(state),
               "--warm-events", str(events.events // 4),
               "--commit-ms", "2500" if bench.quick else "10000"]
    run = machine.run_group(command, 1800)
    machine.remove(state)
    if run.returncode != 0:
        bench.fail(f"{peer} ended with {run.returncode}: {run.stderr.strip()[-500:]}")
        return None
    line = run.stdout.strip().split("\n")[-1]
    if json.loads(line)["commits"] == 0:
        bench.fail(f"{peer} committed nothing: the run is shorter than its --commit-ms")
        return None
    (bench.scratch / "peer.json").write_text(line)
    agree = subprocess.run([str(here / "agree"), str(bench.scratch / "summary.json"),
                            str(bench.scratch / "peer.json")],
                           capture_output=True, text=True, check=False)
    if agree.returncode != 0:
        bench.fail(f"{peer}: totals do not agree with weir replay: "
                   f"{(agree.stdout + agree.stderr).strip()[-500:]}")
        return None
    return json.loads(line)


def write_summary(bench, events):
    """For bench/peers/agree; made before the runs, so that nothing comes between neighbours."""
    service = weir_run.Service(bench, events.name)
    try:
        summary = bench.topics.summary(events, service.config.path, closed=True)
        (bench.scratch / "summary.json").write_text(json.dumps(summary))
    finally:
        service.stop()


def run_weir(bench, events, group):
    """Events per CPU second."""
    figures = weir_run.measure(bench, events, group)
    put_weir(bench.table, group, figures)
    return warm_rate(figures)


def peers(bench, events, group, own_rate, chosen):
    """Each behind a run of weir's; the first one's is there already. With --quick one run of weir
    has two peers behind it."""
    service = weir_run.Service(bench, events.name)
    url = service.config.redis.removeprefix("redis://").removesuffix("/0")
    try:
        for number, peer in enumerate(chosen):
            service.redis.do("FLUSHALL")
            if number > 0 and number % bench.repetitions(1, 2) == 0:
                own_rate = run_weir(bench, events, group)
            figures = run_peer(bench, events, peer, url)
            if figures:
                put_peer(bench.table, group, peer, figures)
                rate = figures["events_measured"] / figures["cpu_s"]
                bench.table.add(group, f"weir run / {peer}", "per CPU second", "times",
                                own_rate / rate)
    finally:
        service.stop()


def once(bench, events, group):
    """Consumer and weir, one behind the other, and their ratio; weir's events per CPU second."""
    consumer = count(bench, events)
    put_consumer(bench.table, group, consumer)
    rate = run_weir(bench, events, group)
    bench.table.add(group, "weir run / consumer", "per CPU second", "of the consumer's",
                    rate / warm_rate(consumer))
    bench.say(f"{group}: consumer {warm_rate(consumer) / MILLION:.2f} M, "
              f"weir {rate / MILLION:.2f} M events per CPU second")
    return rate


def put_machine(bench):
    """Beside every round of the runs, as it changes under a hypervisor."""
    figures = machine.program(bench, "bench_machine")
    put = bench.table.adder("the machine itself", "memory")
    if figures["between_cores_ns"] is not None:
        put("a cache line from core to core", "ns", figures["between_cores_ns"])
    put("first touch", "us per MB", figures["first_touch_us"])


def pipeline(bench):
    events, group = bench.topics.main(), "million sessions, lz4"
    with_peers = bench.peers and (bench.root / "bench" / "peers" / "run").exists()
    if with_peers:
        write_summary(bench, events)
    else:
        bench.table.leave_out("Kafka Streams and Flink")
    count(bench, events)  # so that the broker is warm
    for repetition in range(bench.repetitions(5, 3)):
        chosen = [peer for peer in PEERS
                  if repetition < bench.repetitions(2 if "rocksdb" in peer else 5, 1)]
        put_machine(bench)
        put_consumer(bench.table, group, count(bench, events, touch=1), TOUCHES)
        rate = once(bench, events, group)
        if with_peers and chosen:
            peers(bench, events, group, rate, chosen)
    bench.table.note(f"million sessions: {events.events} events of {events.bytes:.0f} bytes in "
                     f"{events.started} sessions, {topics.PARTITIONS} partitions")


def codecs(bench):
    size = 1000000 if bench.quick else 4000000
    for codec in ("zstd", "none"):
        events = bench.topics.get(codec, size, 600, codec)
        count(bench, events)
        for _ in range(bench.repetitions(3, 1)):
            once(bench, events, codec)
        bench.topics.forget(codec)


def large(bench):
    if bench.quick:
        bench.table.leave_out("ten million sessions (large): not in --quick")
        return
    events = bench.topics.get("large", 43000000, 5500)
    for _ in range(2):
        once(bench, events, "ten million sessions, lz4")
    bench.table.note(f"ten million sessions: {events.events} events in {events.started} sessions")
    bench.topics.forget("large")
