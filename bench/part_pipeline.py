"""Kafka to Redis: the consumer that only counts, weir, and the same work in other engines, one
after the other on the same topic, again and again."""

import json
import subprocess

import machine
import topics
import weir_run

PEERS = ("streams-memory", "streams-rocksdb", "flink-heap", "flink-rocksdb")
MILLION = 1e6


def count(bench, events, **more):
    args = [word for pair in more.items() for word in (f"--{pair[0]}", pair[1])]
    return machine.program(bench, "bench_consume", "--brokers", bench.topics.brokers, "--topic",
                           events.name, *args)


def put_consumer(table, group, figures):
    put = table.adder(group, "consumer that only counts")
    put("events per CPU second", "M/s", figures["events"] / figures["cpu_s"] / MILLION)
    put("events per second, wall clock", "M/s", figures["events"] / figures["wall_s"] / MILLION)
    put("resident memory", "MB", figures["rss_mb"])


def put_weir(table, group, figures):
    put = table.adder(group, "weir run")
    events = figures["events"]
    put("events per CPU second", "M/s", events / figures["cpu_s"] / MILLION)
    put("events per second, wall clock", "M/s", events / figures["wall_s"] / MILLION)
    put("resident memory", "MB", figures["rss_mb"])
    put("CPU of Redis beside it", "of weir's", figures["redis_cpu_s"] / figures["cpu_s"])
    put("CPU of Redis's server alone, without writing its file anew", "of weir's",
        figures["server_cpu_s"] / figures["cpu_s"])
    put("memory of Redis, at most", "MB", figures["redis_mb"])
    put("bytes to Redis per event", "bytes", figures["redis_bytes"] / events)
    put("commit, mean", "ms", figures["commit_s"] / figures["commits"] * 1000)
    put("commit, longest", "ms", figures["commit_max_s"] * 1000)
    put("evaluator's step, mean", "ms", figures["step_s"] / max(figures["steps"], 1) * 1000)
    for name, spent in sorted(figures["threads"].items(), key=lambda item: -item[1]):
        if spent >= 0.02 * figures["cpu_s"]:
            put(f"CPU of the thread {name}", "ns per event", spent / events * 1e9)


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


def peers(bench, events, group, own_rate, chosen):
    service = weir_run.Service(bench, events.name)
    try:
        summary = bench.topics.summary(events, service.config.path, closed=True)
        (bench.scratch / "summary.json").write_text(json.dumps(summary))
        url = service.config.redis.removeprefix("redis://").removesuffix("/0")
        for peer in chosen:
            service.redis.do("FLUSHALL")
            figures = run_peer(bench, events, peer, url)
            if figures:
                put_peer(bench.table, group, peer, figures)
                rate = figures["events_measured"] / figures["cpu_s"]
                bench.table.add(group, f"weir run / {peer}", "per CPU second", "times",
                                own_rate / rate)
    finally:
        service.stop()


def once(bench, events, group, chosen=()):
    """Consumer and weir, one behind the other, and their ratio."""
    consumer = count(bench, events)
    put_consumer(bench.table, group, consumer)
    figures = weir_run.measure(bench, events, group)
    put_weir(bench.table, group, figures)
    rate = figures["events"] / figures["cpu_s"]
    bench.table.add(group, "weir run / consumer", "per CPU second", "of the consumer's",
                    rate / (consumer["events"] / consumer["cpu_s"]))
    bench.say(f"{group}: consumer {consumer['events'] / consumer['cpu_s'] / MILLION:.2f} M, "
              f"weir {rate / MILLION:.2f} M events per CPU second")
    if chosen:
        peers(bench, events, group, rate, chosen)


def pipeline(bench):
    events = bench.topics.main()
    with_peers = bench.peers and (bench.root / "bench" / "peers" / "run").exists()
    if not with_peers:
        bench.table.note("the peers were left out")
    count(bench, events)  # so that the broker is warm
    for repetition in range(bench.repetitions(5, 3)):
        chosen = [peer for peer in PEERS
                  if repetition < bench.repetitions(2 if "rocksdb" in peer else 5, 1)]
        once(bench, events, "million sessions, lz4", chosen if with_peers else ())
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
        bench.table.note("ten million sessions: not in --quick")
        return
    events = bench.topics.get("large", 43000000, 5500)
    for _ in range(2):
        once(bench, events, "ten million sessions, lz4")
    bench.table.note(f"ten million sessions: {events.events} events in {events.started} sessions")
    bench.topics.forget("large")
