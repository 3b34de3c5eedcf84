"""Streams: made, fed, disturbed, and held against the same stream in peace or as a file."""

import json
import os
import re
import subprocess
import threading
import time
from collections import Counter
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import weirtest as t

PARTITIONS = 4
BUILD = os.environ.get("WEIR_BUILD") or os.path.join(t.TESTS, "..", "build", "release")
# no tick by the clock, and nothing is late however old the data are
SLOW_TICKS = {"idle_timeout": "1d", "allowed_lateness": "400d"}
DAY = datetime(2026, 1, 5, tzinfo=timezone.utc)
MORNING = "%Y-%m-%dT09:00:00Z"
GENERATED = ("--start", DAY.strftime(MORNING))


# a visitor's cart and later purchase may lie in two partitions, but replay has only one
ACROSS_PARTITIONS = ("recovered_carts", "recovery_rate")


def ms_of(moment):
    return int(moment.timestamp()) * 1000


def lately():
    """So lately that no partition passes for idle at its claim, as with data that are older than
    the idle_timeout: then its watermark moves by the clock, and two runs are not the same."""
    return datetime.now(timezone.utc).replace(second=0, microsecond=0) - timedelta(hours=20)


def tool(name):
    return os.path.join(BUILD, name)


def dump(config):
    """The lines of state_dump: what all keys of the partitions mean, without the group's name."""
    run = subprocess.run([tool("state_dump"), config.path], capture_output=True, text=True,
                         check=False)
    if run.returncode != 0:
        raise t.Failure(f"state_dump: {run.stderr[-800:]}")
    return sorted(run.stdout.splitlines())


def same_lines(checks, got, want, what, least=100):
    checks.that(len(want) >= least, f"{what}: the undisturbed dump has only {len(want)} lines")
    more, less = Counter(got) - Counter(want), Counter(want) - Counter(got)
    wrong = [f"+ {line}" for line in more.elements()] + [f"- {line}" for line in less.elements()]
    shown = wrong[:3] + wrong[-3:]
    checks.that(not wrong, f"{what}: {len(wrong)} lines of the dump differ: {shown}")


def wait_for_slide(redis, config, window, close_ms, slide_ms):
    """The window as of the closing events, less out_of_orderness."""
    return t.wait_window(redis, config, window, (close_ms - 5000) // slide_ms * slide_ms)


def closers_at(end, partitions=PARTITIONS):
    closer = {"type": "session_end", "time": end.isoformat()}
    return [json.dumps({**closer, "session": f"closer-{p}"}).encode() for p in range(partitions)]


def feed_closers(config, closers):
    for partition, closer in enumerate(closers):
        t.produce(config.topic, [closer], partition, config.brokers)
    return closers


def feed(config, keyed, closers):
    """Records by key, then one record in each partition so much later that every session has ended.
    It lies beyond the windows, which end out_of_orderness before it."""
    t.produce(config.topic, keyed)
    for partition, closer in enumerate(closers):
        t.produce(config.topic, [closer], partition)
    return len(keyed) + len(closers)


def write_lines(config, lines):
    path = os.path.join(config.dir, "input.jsonl")
    with open(path, "wb") as out:
        out.write(b"\n".join(lines) + b"\n")
    return path


def buckets(redis, config):
    """The bytes of every bucket, by partition and place."""
    prefix = f"weir:{{{config.group}.{config.topic}."
    return {key.decode().replace(prefix, ""): value
            for key, value in redis.dump(f"{prefix}*}}:b:*").items()}


def calm_config(config):
    """Another group over the same topic."""
    tree = {name: part for name, part in config.tree.items()
            if name not in ("kafka", "redis", "alerts", "sinks")}
    return t.Config(config.topic, brokers=config.brokers, **tree)


def undisturbed(checks, config, total, close_ms, calm=None):
    """The total and the buckets of one run in peace, by `calm` or another group over the topic."""
    redis = t.Redis()
    calm = calm or calm_config(config)
    weir = t.Weir(calm)
    t.wait_counted(redis, calm, config.partitions, total, watch=weir)
    found = wait_for_slide(redis, calm, "24h", close_ms, 60000)
    checks.equal(weir.stop(), 0, "exit code of the undisturbed run")
    return found, buckets(redis, calm)


def same_figures(checks, got, want, what):
    left = {name for name in set(got) | set(want) if name not in ("computed_at", "as_of")}
    wrong = [f"{name}: {got.get(name)} instead of {want.get(name)}"
             for name in sorted(left) if got.get(name) != want.get(name)]
    checks.equal(wrong, [], f"{what}: figures that differ")


def same_buckets(checks, got, want, what):
    checks.that(len(want) > 0, f"{what}: there are buckets")
    wrong = [key for key in sorted(set(got) | set(want)) if got.get(key) != want.get(key)]
    checks.equal(wrong, [], f"{what}: buckets that differ")


class Feeder:
    """Produces a file line by line while the test goes on: half of it at a steady rate, and then
    thinner and thinner, so that there is always more to count until finish()."""

    STEP_S = 0.05

    def __init__(self, config, path, seconds):
        with open(path, "rb") as lines:
            self.records = [line.rstrip(b"\n") for line in lines]
        self.total, self.sent = len(self.records), 0
        self.finishing = threading.Event()
        self.kcat = subprocess.Popen(
            ["kcat", "-P", "-q", "-b", config.brokers, "-t", config.topic, "-K", "\t",
             "-X", "enable.idempotence=true",
             "-X", "linger.ms=20"], stdin=subprocess.PIPE)
        t.at_end(lambda: (self.kcat.kill(), self.kcat.wait()))
        self.thread = threading.Thread(target=self.work, args=(seconds,), daemon=True)
        self.thread.start()

    def send(self, until):
        part, self.sent = self.records[self.sent:until], until
        lines = [json.loads(line)["session"].encode() + b"\t" + line for line in part]
        self.kcat.stdin.write(b"".join(line + b"\n" for line in lines))
        self.kcat.stdin.flush()

    def work(self, seconds):
        steps, begun = int(seconds / self.STEP_S), time.monotonic()
        try:
            for step in range(steps):
                self.send(self.total * (step + 1) // steps // 2)
                time.sleep(max(0, begun + (step + 1) * self.STEP_S - time.monotonic()))
            while self.sent < self.total and not self.finishing.wait(self.STEP_S):
                self.send(self.sent + (self.total - self.sent) // 500)
            self.send(self.total)
        except OSError:
            return
        self.kcat.stdin.close()

    def finish(self):
        self.finishing.set()
        self.thread.join(120)
        if self.kcat.wait(60) != 0:
            raise t.Failure("kcat failed")
        return self.total


class Sampler:
    """Reads what is published over and over: no time and no id may ever be lower than before."""

    def __init__(self, config):
        self.config, self.samples, self.back = config, 0, []
        self.lock = threading.Lock()  # of what was found
        self.best, self.stopping = {}, threading.Event()
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()
        t.at_end(self.stopping.set)

    def look(self, redis):
        """A hash's as_of and when it was computed, and a stream's last id."""
        for window in ("1m", "1h"):
            found = redis.do("HMGET", self.config.key(f"now:{window}"), "as_of", "computed_at")
            last = redis.do("XREVRANGE", self.config.key(f"series:{window}"), "+", "-", "COUNT", 1)
            ids = [tuple(map(int, last[0][0].split(b"-")))] if last else []
            with self.lock:
                for name, value in [("as_of", found[0]), ("id", ids[0] if ids else None)]:
                    value = int(value) if isinstance(value, bytes) else value
                    self.note(f"{name} of {window}", value)
        self.samples += 1

    def forgive(self, since):
        """Redis itself lost what was published: what went back after the first `since` findings is
        none, and from now on nothing may be lower than it is now."""
        seen = self.samples
        t.wait_until(30, lambda: self.samples > seen + 2, "looks at the Redis of now")
        with self.lock:
            del self.back[since:]
            self.best = {}

    def note(self, what, value):
        before = self.best.get(what)
        if value is None:
            if before is not None:
                self.back.append(f"{what} is gone after {before}")
            return
        if before is not None and value < before:
            self.back.append(f"{what} is {value} after {before}")
        self.best[what] = max(value, before) if before is not None else value

    def work(self):
        redis = None
        while not self.stopping.wait(0.01):
            try:
                redis = redis or t.connect(self.config.redis)
                self.look(redis)
            except (OSError, t.RedisError):
                redis = None  # away; looked for again

    def finish(self, checks, what):
        self.stopping.set()
        self.thread.join(20)
        checks.that(self.samples >= 50, f"{what}: only {self.samples} looks at what is published")
        checks.equal(self.back, [], f"{what}: what is published goes back")
        return self.samples


def stream_config(label, partitions=PARTITIONS, **parts):
    parts.setdefault("http", {"listen": "off"})
    config = t.Config(t.topic(label, partitions, parts.get("brokers")), time=SLOW_TICKS,
                      windows=["1m", "1h", "24h"], commit={"interval": "50ms"},
                      events={"dimensions": {"country": "country", "device": "device"}}, **parts)
    config.partitions = partitions
    return config


def traffic(checks, config, events, *more, begin=DAY.replace(hour=9)):
    """All of it lies before the time that is returned."""
    path = os.path.join(config.dir, "input.jsonl")
    code, _, err = t.command("generate", "--events", events, "--start",
                             begin.strftime("%Y-%m-%dT%H:%M:%SZ"), *more, "--to", path)
    checks.equal(code, 0, f"exit code of generate: {err[-300:]}")
    return path, begin + timedelta(hours=11)


def finish_and_compare(checks, config, total, close_ms, what, weir=None, whole=False):
    """`whole`: also the dump, of data that are of lately()."""
    redis = t.connect(config.redis)
    weir = weir or t.Weir(config)
    t.wait_counted(redis, config, config.partitions, total, watch=weir)
    found = wait_for_slide(redis, config, "24h", close_ms, 60000)
    got = buckets(redis, config)
    calm = calm_config(config)
    want_found, want = undisturbed(checks, config, total, close_ms, calm)
    same_figures(checks, found, want_found, what)
    same_buckets(checks, got, want, what)
    if whole:
        same_lines(checks, dump(config), dump(calm), what)


def replay(config, *args):
    code, out, err = t.command("replay", "--config", config.path, "--summary", "json", *args)
    if code != 0:
        raise t.Failure(f"weir replay exits with {code}: {err[-500:]}")
    return json.loads(out)


def same_number(text, number, name=""):
    """Ratios are published with six places, quantiles of durations with three."""
    tolerance = "0.0006" if re.search(r"\.p\d\d$", name) else "0.0000006"
    return text is not None and abs(Decimal(text) - Decimal(repr(number))) <= Decimal(tolerance)


def differences(found, summary):
    """Where a hash in Redis and the replay's summary of the same data do not agree."""
    wrong = []
    for prefix, reading in (("", summary["live"]), ("settled.", summary["settled"])):
        for name, want in reading.items():
            got = found.get(prefix + name)
            if name in ACROSS_PARTITIONS or (want is None and got is None):
                continue
            if want is None or not same_number(got, want, name):
                wrong.append(f"{prefix}{name}: Redis {got}, replay {want}")
    return wrong


# ---- figures ----


class Figures:
    """What a test prints of its fault."""

    def __init__(self, name, injected=0):
        self.name, self.injected = name, injected
        self.fenced = self.rolled_back = self.duplicates = 0
        self.records = self.processes = 0
        self.again = None  # by the lives of which it is known what they counted
        self.recovered = []

    def take(self, weir, counted=None):
        """Of a process that has done its part, what its log says and what its /metrics last said; the log
        has the duplicates also of one that was killed, as they only come after a stall. `counted`:
        the records that it has counted; what it is known to have read beyond is read again."""
        weir.look()
        text = weir.log()
        self.fenced += text.count("fenced: somebody else")
        self.rolled_back += text.count("Redis lost writes")
        said = dict(re.findall(r"Redis answers again.* worker=(\d+) duplicates=(\d+)", text))
        self.duplicates += sum(map(int, said.values()))
        self.processes += 1
        if weir.seen:
            self.records += int(weir.metric("weir_records_total"))
        if counted is not None:
            read = int(weir.metric("weir_records_total")) if weir.seen else 0
            self.again = (self.again or 0) + max(0, read - counted)
        return self

    def show(self, total=None, **more):
        """`total`: the records that there were. One that was killed read more than it last said, so
        with several processes the figure is the least, or none."""
        words = [f"injected {self.injected}"]
        if self.processes:  # or nobody was asked
            words += [f"fenced {self.fenced}", f"DUP {self.duplicates}",
                      f"ROLLEDBACK {self.rolled_back}"]
        again = self.records - (total or 0)
        if self.again is not None:
            words.append(f"read again at least {self.again}")
        elif total is not None and again >= 0:
            words.append(f"read again {'at least ' * (self.processes > 1)}{again}")
        elif total is not None:
            words.append("read again: those killed no longer say")
        words += [f"{name.replace('_', ' ')} {value}" for name, value in more.items()]
        if self.recovered:
            words.append(f"recovered in {sum(self.recovered) / len(self.recovered):.2f} s, "
                         f"at most {max(self.recovered):.2f} s")
        print(f"figures: {self.name}: {', '.join(words)}", flush=True)
