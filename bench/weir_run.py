"""One run of `weir run` as a user would have it, from an empty Redis to the topic's end, measured."""

import os
import re
import subprocess
import time
from datetime import datetime

import machine
import process
import topics
import weirtest as t
from weirstream import differences

WINDOWS = ["1m", "5m", "15m", "1h", "24h"]
LOOK_S = 0.02
WARM_LOOK_S = 0.01
APART_S = 0.1  # no commit lasts that long without a partition of it in Redis; the next is later
TOP = 20  # publish.top, as it is by default
REDIS = ("--auto-aof-rewrite-min-size", "512mb")  # as README advises


def parts(bench, **more):
    """The config but for the services. Only idle_timeout differs from the defaults: no tick by the
    clock comes between the counts and their comparison."""
    tree = {
        "events": {"dimensions": topics.DIMENSIONS},
        "time": {"idle_timeout": "10m"},
        "windows": WINDOWS,
        "commit": {"interval": "500ms"},
        "workers": 1,
        "alerts": {"rules_files": [str(bench.root / "deploy" / "rules" / "*.yaml")]},
        "sinks": [{"type": "log"}],
    }
    tree.update(more)
    return tree


def offsets(redis, config, partitions):
    """What is counted of each partition, in one round trip."""
    for p in range(partitions):
        redis.send("HGET", config.tag(p, "meta"), "offset")
    return [int(redis.read() or 0) for _ in range(partitions)]


class Running(t.Weir):
    """`weir run` with any librdkafka."""

    def __init__(self, config, library=None):
        self.config = config
        self.log_path = os.path.join(config.dir, f"log-{time.monotonic_ns()}")
        self.begun = time.time()
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [os.environ["WEIR"], "run", "--config", config.path], stdout=log, stderr=log,
                stdin=subprocess.DEVNULL, env=machine.environment(library))
        t.at_end(self.kill)

    def log_time(self, part, which=0):
        """When the which-th line with these words was written, in seconds since 1970."""
        lines = [line for line in self.log().split("\n") if part in line]
        if not lines:
            raise t.Failure(f"no line with {part!r} in weir's log: {self.tail()}")
        moment = re.match(r"ts=(\S+)Z", lines[which]).group(1)
        return datetime.fromisoformat(moment + "+00:00").timestamp()


class Service:
    """A Redis, a config and a weir; all ended by stop()."""

    def __init__(self, bench, topic, library=None, rdkafka=None, **more):
        self.redis_service = t.Service("redis", *REDIS)
        self.redis_pid = self.redis_service.pid()
        self.config = t.Config(topic, brokers=bench.topics.brokers,
                               redis=self.redis_service.env["REDIS_URL"], **parts(bench, **more))
        self.config.tree["kafka"]["rdkafka"] = rdkafka or {}
        self.config.change()
        self.library = library
        self.redis = t.Redis(self.config.redis, timeout=60)
        self.weir = None

    def begin(self):
        self.weir = Running(self.config, self.library)
        return self.weir

    def counted(self):
        return sum(offsets(self.redis, self.config, topics.PARTITIONS))

    def wait_counted(self, records, seconds):
        """Waits for that many records; the times and counts of the commits that were seen."""
        seen, last = [], 0
        deadline = time.monotonic() + seconds
        while last < records:
            now = self.counted()
            if now != last:
                seen.append((time.time(), now))
                last = now
            elif time.monotonic() > deadline or not self.weir.alive():
                raise t.Failure(f"weir counted {last} of {records} records: {self.weir.tail()}")
            else:
                time.sleep(LOOK_S)
        return seen

    def info(self, name):
        text = self.redis.do("INFO", "everything").decode()
        return int(re.search(rf"^{name}:(\d+)", text, re.MULTILINE).group(1))

    def stop(self):
        if self.weir and self.weir.alive():
            self.weir.stop(60)
        self.redis.close()
        self.redis_service.order("stop")


def to_publish(values):
    """Of a dimension in the replay's summary: the largest values by sessions, as weir ranks them,
    and `_other` where more of them counted something."""

    def size(name):
        live = values[name]["live"]
        return -live["sessions"], -live["events"], name

    counted = [name for name in values if name != "_other"
               and (values[name]["live"]["events"] or values[name]["settled"]["sessions"])]
    counted.sort(key=size)
    return set(counted[:TOP]) | ({"_other"} if counted[TOP:] or "_other" in values else set())


def segments_that_differ(service, window, summary):
    """Every segment that is published against the replay's, and every one that should be."""
    wrong = []
    for dimension, values in summary["segments"].items():
        top = service.redis.do("ZRANGE", service.config.key(f"top:{window}:{dimension}"), 0, -1)
        published, wanted = {name.decode() for name in top}, to_publish(values)
        wrong += [f"{dimension} {name}: not in Redis" for name in sorted(wanted - published)]
        wrong += [f"{dimension} {name}: only in Redis" for name in sorted(published - wanted)]
        for name in sorted(published & wanted - {"_other"}):  # a rest is not in the summary
            found = service.redis.hash(service.config.key(f"now:{window}:{dimension}:{name}"))
            wrong += [f"{dimension} {name}: {text}" for text in differences(found, values[name])]
    return wrong


def compare(bench, events, service, what):
    """The totals in Redis against weir replay over the same records."""
    as_of = (events.close_ms - 5000) // 60000 * 60000
    found = t.wait_window(service.redis, service.config, "24h", as_of, 60)
    summary = bench.topics.summary(events, service.config.path, closed=False)
    wrong = differences(found, summary) + segments_that_differ(service, "24h", summary)
    if wrong:
        bench.fail(f"{what}: totals do not agree with weir replay: {'; '.join(wrong[:5])}")


def warm_base(bench, service, records):
    """What is counted at the first commit at or beyond a quarter of the records, and the CPU that
    this had cost. A commit comes partition by partition; when no more of it comes it was whole,
    and its last change is the moment. Nothing where no such moment came before the end."""
    pid = service.weir.process.pid
    base, moved = (0, 0.0, {}), time.monotonic()
    while base[0] < records:
        counted, now = service.counted(), time.monotonic()
        if counted != base[0]:
            base, moved = (counted, process.own_cpu_s(pid), process.threads_cpu_s(pid)), now
        elif counted >= records // 4 and now - moved > APART_S:
            return base
        elif now - moved > 600 or not service.weir.alive():
            raise t.Failure(f"weir counted {counted} of {records} records: "
                            f"{service.weir.tail()}")
        time.sleep(WARM_LOOK_S)
    bench.table.note("a run of weir with no commit between a quarter and the end counts from the "
                     "start of its process")
    return 0, 0.0, {}


def measure(bench, events, what, check=True, library=None, **more):
    """The figures of one run. `cpu_s` is from the start of the process to the last record's commit,
    so with its start and its prefetch; what is warm, from a quarter of the records on, as of the
    peers. Wall clock from the first claim."""
    service = Service(bench, events.name, library, **more)
    try:
        redis_before_s = process.cpu_s(service.redis_pid)
        server_before_s = process.own_cpu_s(service.redis_pid)
        bytes_before = service.info("total_net_input_bytes")
        weir = service.begin()
        base, base_cpu_s, base_threads = warm_base(bench, service, events.records)
        seen = service.wait_counted(events.records, 600)
        pid = weir.process.pid
        cpu_s, redis_s = process.own_cpu_s(pid), process.cpu_s(service.redis_pid)
        server_s = process.own_cpu_s(service.redis_pid)
        threads = {name: spent - base_threads.get(name, 0)
                   for name, spent in process.threads_cpu_s(pid).items()}
        wall_s = seen[-1][0] - weir.log_time("partition claimed")
        sent = service.info("total_net_input_bytes") - bytes_before
        figures = {
            "events": events.records, "cpu_s": cpu_s, "wall_s": wall_s,
            "warm_events": events.records - base, "warm_cpu_s": cpu_s - base_cpu_s,
            "redis_cpu_s": redis_s - redis_before_s, "server_cpu_s": server_s - server_before_s,
            "rss_mb": process.memory_mb(pid),
            "redis_bytes": sent, "redis_mb": service.info("used_memory_peak") / 2**20,
            "commits": float(weir.metric("weir_commits_total")),
            "commit_s": float(weir.metric("weir_commit_seconds_sum")),
            "commit_max_s": float(weir.metric("weir_commit_seconds_max")),
            "steps": float(weir.metric("weir_evaluator_steps_total")),
            "step_s": float(weir.metric("weir_evaluator_step_seconds_sum")),
            "threads": threads,
        }
        if check:
            compare(bench, events, service, what)
        return figures
    finally:
        service.stop()
