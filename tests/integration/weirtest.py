"""Shared by the Python integration tests: services, topics, weir processes, checks.

From the environment: WEIR (the program), KAFKA_BROKERS, REDIS_URL, WEIR_SHARED, WEIR_TESTS.
Standard library only; records go to Kafka by kcat, topics are made by a request of Kafka's own.
Whatever a test starts is ended with it, by its own process id.
"""

import atexit
import json
import os
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from decimal import Decimal

from weirredis import Redis, RedisError, connect  # noqa: F401 for the tests

TESTS = os.environ.get("WEIR_TESTS") or os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SHARED = os.environ.get("WEIR_SHARED") or os.path.join(TESTS, "..", "..", "shared")
SUFFIX = f"{os.getpid():x}{random.randrange(1 << 24):06x}"
# a dead member of the group is missed soon
FAST_GROUP = {"session.timeout.ms": 3000, "heartbeat.interval.ms": 500}


class Failure(Exception):
    """Something did not come in time or ended in an unexpected way: the rest is void."""


class Checks:
    """Counts; the last line is what tests/run adds up."""

    def __init__(self, name):
        self.name, self.passed, self.failed, self.skipped = name, 0, 0, 0
        self.start = time.monotonic()

    def that(self, holds, text):
        self.passed += bool(holds)
        self.failed += not holds
        if not holds:
            print(f"failed: {text}", flush=True)
        return bool(holds)

    def equal(self, got, want, what):
        return self.that(got == want, f"{what} is {shorten(got)}, not {shorten(want)}")

    def contains(self, text, part, what):
        return self.that(part in text, f"{what} has no {part!r}: {shorten(text)}")

    def skip(self, text):
        self.skipped += 1
        print(f"skipped: {text}", flush=True)

    def run(self, *parts):
        """Each part is a function of the checks; a Failure ends the part, not the test. Names on
        the command line choose parts."""
        chosen = sys.argv[1:]
        for part in parts:
            if chosen and part.__name__ not in chosen:
                continue
            begun = time.monotonic()
            try:
                part(self)
            except Failure as failure:
                self.that(False, f"{part.__name__}: {failure}")
            finally:
                end_all()
            print(f"{self.name}: {part.__name__} took {time.monotonic() - begun:.1f} s", flush=True)

    def finish(self):
        tail = f", {self.skipped} skipped" if self.skipped else ""
        print(f"{self.name}: {self.passed} passed, {self.failed} failed{tail}", flush=True)
        sys.exit(1 if self.failed else 0 if self.passed else 77)


def shorten(value):
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 2000 else text[:2000] + " ..."


def need_services(*tools):
    """Ends the test with 77 where it cannot be made."""
    missing = [name for name in ("WEIR", "KAFKA_BROKERS", "REDIS_URL") if not os.environ.get(name)]
    missing += [tool for tool in tools if not shutil.which(tool)]
    if missing:
        print(f"skipped: needs {', '.join(missing)}")
        sys.exit(77)


def wait_until(seconds, holds, what):
    """The first true value of holds(); a Failure when none comes in time."""
    deadline = time.monotonic() + seconds
    while True:
        value = holds()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failure(f"after {seconds} s still not: {what}")
        time.sleep(0.05)


# ---- what must be ended ----

_ends = []


def at_end(function):
    _ends.append(function)


def end_all():
    while _ends:
        _ends.pop()()


atexit.register(end_all)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def folder():
    path = tempfile.mkdtemp(prefix="weir-test-")
    at_end(lambda: shutil.rmtree(path, ignore_errors=True))
    return path


# ---- Kafka ----


def make_topic(name, partitions=4, brokers=None, replication=1):
    """CreateTopics, version 2 of the request: no other client here can choose the partitions."""
    host, port = (brokers or os.environ["KAFKA_BROKERS"]).split(",")[0].rsplit(":", 1)

    def text(value):
        return struct.pack(">h", len(value)) + value.encode()

    body = struct.pack(">i", 1) + text(name) + struct.pack(">ihii", partitions, replication, 0, 0)
    body += struct.pack(">ib", 10000, 0)
    request = struct.pack(">hhi", 19, 2, 1) + text("weirtest") + body
    for _ in range(20):  # a broker that has just started may not be the controller yet
        with socket.create_connection((host, int(port)), 15) as kafka:
            kafka.sendall(struct.pack(">i", len(request)) + request)
            reply = kafka.makefile("rb")
            answer = reply.read(struct.unpack(">i", reply.read(4))[0])
        at = 12 + 2 + struct.unpack_from(">h", answer, 12)[0]
        code = struct.unpack_from(">h", answer, at)[0]
        if code in (0, 36):  # made, or there
            return name
        time.sleep(0.5)
    raise Failure(f"Kafka does not make the topic {name}: error {code}")


def topic(label, partitions=4, brokers=None, replication=1):
    name = f"{label}-{SUFFIX}-{random.randrange(1 << 20):x}"
    return make_topic(name, partitions, brokers, replication)


def produce(name, records, partition=None, brokers=None):
    """Records are bytes, or (key, bytes): then the key chooses the partition. Without a newline."""
    command = ["kcat", "-P", "-q", "-b", brokers or os.environ["KAFKA_BROKERS"], "-t", name]
    # idempotent: else a retry on a topic that is just being made can change the records' order
    command += ["-X", "linger.ms=5", "-X", "enable.idempotence=true", "-z", "lz4"]
    if partition is not None:
        command += ["-p", str(partition)]
    lines = []
    for record in records:
        if isinstance(record, tuple):
            lines.append(record[0].encode() + b"\t" + record[1])
        else:
            lines.append(record)
    if any(isinstance(record, tuple) for record in records):
        command += ["-K", "\t"]
    run = subprocess.run(command, input=b"\n".join(lines) + b"\n", capture_output=True, check=False)
    if run.returncode != 0:
        raise Failure(f"kcat: {run.stderr.decode()[-500:]}")


def produce_one(name, data, partition, key, brokers=None):
    """One record of any bytes; b"" becomes a tombstone."""
    command = ["kcat", "-P", "-b", brokers or os.environ["KAFKA_BROKERS"], "-t", name]
    command += ["-p", str(partition)]
    if data:
        path = os.path.join(folder(), "record")
        with open(path, "wb") as out:
            out.write(data)
        run = subprocess.run(command + ["-k", key, path], capture_output=True, check=False)
    else:
        run = subprocess.run(command + ["-Z", "-K", "\t"], input=key.encode() + b"\t\n",
                             capture_output=True, check=False)
    if run.returncode != 0:
        raise Failure(f"kcat: {run.stderr.decode()[-500:]}")


def consume(name, brokers=None, isolation="read_uncommitted"):
    """[(partition, offset, headers, key, value)] of a whole topic."""
    command = ["kcat", "-C", "-e", "-q", "-b", brokers or os.environ["KAFKA_BROKERS"], "-t", name]
    command += ["-o", "beginning", "-f", "%p %o %S %K %h\n%k%s\n"]
    command += ["-X", f"isolation.level={isolation}"]
    run = subprocess.run(command, capture_output=True, check=False, timeout=60)
    if run.returncode != 0:
        raise Failure(f"kcat: {run.stderr.decode()[-500:]}")
    records, data, at = [], run.stdout, 0
    while at < len(data):
        end = data.index(b"\n", at)
        words = data[at:end].decode().split(" ", 4)
        value_len, key_len = max(int(words[2]), 0), max(int(words[3]), 0)
        headers = dict(pair.split("=", 1) for pair in words[4].split(",") if "=" in pair)
        at = end + 1 + key_len + value_len
        key, value = data[end + 1 : end + 1 + key_len], data[at - value_len : at]
        at += 1
        records.append((int(words[0]), int(words[1]), headers, key, value))
    return records


# ---- private services ----


def is_gone(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def cpu_ms(pid):
    """What the process has taken so far, user and system."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


# of Redis: its append-only file is never written anew, as a test copies or cuts it meanwhile
ONE_FILE = ("--auto-aof-rewrite-percentage", "0")


class Service:
    """A broker or a Redis of the test's own, that may be stopped and killed."""

    def __init__(self, kind, *args, form="start", settings=None):
        self.settings = {**os.environ, **(settings or {})}
        self.script = os.path.join(TESTS, "services", f"{kind}.sh")
        self.dir = os.path.join(folder(), kind)
        at_end(lambda: subprocess.run(["sh", self.script, "stop", self.dir], check=False))
        self.order(form, *args)
        self.read_env()

    def read_env(self):
        with open(os.path.join(self.dir, "env"), encoding="utf-8") as lines:
            self.env = dict(line.strip().split("=", 1) for line in lines)

    def member(self, name):
        """One server of a cluster, or of what a Sentinel watches; ended with the whole."""
        member = object.__new__(Service)
        member.script, member.dir = self.script, os.path.join(self.dir, name)
        member.settings = self.settings
        member.read_env()
        return member

    def order(self, verb, *args):
        run = subprocess.run(
            ["sh", self.script, verb, self.dir, *args], stderr=subprocess.PIPE, check=False,
            env=self.settings)
        if run.returncode != 0:
            raise Failure(f"{self.script} {verb}: {run.stderr.decode()[-800:]}")

    def pid(self):
        with open(os.path.join(self.dir, "pid"), encoding="utf-8") as text:
            return int(text.read())

    def signal(self, number):
        os.kill(self.pid(), number)

    def kill(self):
        pid = self.pid()
        os.kill(pid, signal.SIGKILL)
        wait_until(10, lambda: is_gone(pid), f"{self.script}: process {pid} is gone")

    def resume(self):
        self.order("resume")


# ---- weir ----


def command(*args, timeout=60, **options):
    """Runs a command of weir to its end."""
    run = subprocess.run(
        [os.environ["WEIR"], *map(str, args)],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        **options,
    )
    return run.returncode, run.stdout, run.stderr


class Config:
    """A config file (JSON is YAML) in a folder of its own."""

    def __init__(self, topic_name, group=None, brokers=None, redis=None, **parts):
        self.group = group or f"g-{SUFFIX}-{random.randrange(1 << 24):x}"
        self.topic = topic_name
        self.brokers = brokers or os.environ["KAFKA_BROKERS"]
        self.redis = redis or os.environ["REDIS_URL"]
        self.dir = folder()
        self.path = os.path.join(self.dir, "weir.yaml")
        self.tree = {
            "kafka": {
                "brokers": self.brokers.split(","),
                "topics": [topic_name],
                "group": self.group,
                "rdkafka": dict(FAST_GROUP),
            },
            "redis": {"url": self.redis},
            "http": {"listen": "127.0.0.1:0"},
            "commit": {"interval": "100ms"},
        }
        self.change(**parts)

    def change(self, **parts):
        for name, value in parts.items():
            if name in ("kafka", "redis") and value is not None:
                self.tree[name].update(value)
            else:
                self.tree[name] = value
        self.write("weir.yaml", json.dumps(self.tree, indent=1))
        return self

    def write(self, name, text):
        path = os.path.join(self.dir, name)
        with open(path + ".new", "w", encoding="utf-8") as out:
            out.write(text)
        os.replace(path + ".new", path)

    def rules(self, *rules):
        self.write("rules.yaml", json.dumps({"groups": [{"name": "test", "rules": list(rules)}]}))

    def key(self, rest):
        return f"weir:{{{self.group}}}:{rest}"

    def tag(self, partition, rest):
        return f"weir:{{{self.group}.{self.topic}.{partition}}}:{rest}"


class Weir:
    """`weir run`, its log in a file."""

    def __init__(self, config, *args, program=None, env=None):
        self.config, self.seen = config, ""
        self.log_path = os.path.join(config.dir, f"log-{random.randrange(1 << 32):x}")
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [program or os.environ["WEIR"], "run", "--config", config.path, *args],
                env={**os.environ, **{name: str(value) for name, value in (env or {}).items()}},
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
        at_end(self.end)

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as text:
            return text.read()

    def tail(self):
        return self.log()[-1500:]

    def alive(self):
        return self.process.poll() is None

    def wait_log(self, part, seconds=20, times=1):
        def found():
            text = self.log()
            if text.count(part) >= times:
                return True
            if not self.alive():
                code = self.process.returncode
                raise Failure(f"weir ended with {code} before {part!r}: {text[-1500:]}")
            return False

        wait_until(seconds, found, f"{part!r} in weir's log: {self.tail()}")
        return self

    def ready(self, seconds=20):
        return self.wait_log("started", seconds)

    def port(self):
        self.wait_log("listening")
        return int(re.search(r"listening.*\bport=(\d+)", self.log()).group(1))

    def look(self):
        """Keeps what /metrics says, for when nobody answers any more."""
        if self.alive() and "listening" in self.log():
            try:
                self.seen = self.http("/metrics", timeout=2)[1]
            except OSError:
                pass  # it is frozen, or is just ending

    def http(self, path, timeout=10, method="GET", headers=None):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port()}{path}", method=method,
                                         headers=headers or {})
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metric(self, name, **labels):
        """The sum over all samples of that name and those labels; once it has ended, as last seen."""
        total, found = Decimal(0), False
        text = self.http("/metrics")[1] if self.alive() else self.seen
        for line in text.splitlines():
            match = re.fullmatch(rf"{name}(?:\{{(.*)\}})? (\S+)", line)
            if match and all(f'{k}="{v}"' in (match.group(1) or "") for k, v in labels.items()):
                total, found = total + Decimal(match.group(2)), True
        if not found:
            raise Failure(f"/metrics has no {name} {labels or ''}")
        return total

    def wait_metric(self, name, want, what, seconds=10):
        """Also of partitions, whose samples are there once one is claimed and shown."""
        wait_until(seconds, lambda: f"\n{name}" in re.sub("#.*", "", self.http("/metrics")[1])
                   and self.metric(name) == want, what)

    def wait_exit(self, seconds=20):
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f"weir did not end in {seconds} s: {self.tail()}") from None

    def stop(self, seconds=20):
        self.look()
        if self.alive():
            self.process.send_signal(signal.SIGTERM)
        return self.wait_exit(seconds)

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        self.look()
        self.end()

    def end(self):
        if self.alive():
            self.process.kill()
        self.process.wait()


# ---- how far it is ----


def offsets(redis, config, partitions):
    """What is counted of each partition."""
    return [int(redis.do("HGET", config.tag(p, "meta"), "offset") or 0) for p in range(partitions)]


def wait_counted(redis, config, partitions, records, seconds=60, watch=None):
    """Until all are counted; a Failure when for so long not one more is, as a sanitizer's build
    needs its time for many."""
    last, stalled_at = -1, time.monotonic() + seconds
    while True:
        if watch and not watch.alive():
            raise Failure(f"weir ended with {watch.process.returncode}: {watch.tail()}")
        found = offsets(redis, config, partitions)
        if sum(found) >= records:
            return
        if sum(found) != last:
            last, stalled_at = sum(found), time.monotonic() + seconds
        elif time.monotonic() > stalled_at:
            raise Failure(f"for {seconds} s nothing more of {records} records is counted; offsets "
                          f"{found} {watch.tail() if watch else ''}")
        time.sleep(0.05)


def wait_window(redis, config, window, as_of_ms, seconds=30):
    """The hash of the window, once it is true of that time."""

    def there():
        found = redis.hash(config.key(f"now:{window}"))
        return found if int(found.get("as_of", 0)) >= as_of_ms else None

    return wait_until(seconds, there, f"window {window} as of {as_of_ms}")
