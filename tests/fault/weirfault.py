"""Faults: a log that is read once in peace, and any number of times under a fault; what is in Redis
afterwards must mean the same, and every change of an alert must have been told."""

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

import weirtest as t  # noqa: E402 its folder is known only now
from weiralerts import ALERTS, PER_SECOND, RULES, Sinks  # noqa: E402,F401 for the tests
from weirstream import BUILD, Figures, dump, same_lines, tool  # noqa: E402,F401 for the tests

PARTITIONS = 4
LONG = bool(os.environ.get("WEIR_LONG"))
# as many records at a time as kcat put into a batch: a log is then read in seconds, not at once
SMALL_BATCHES = 20
SLOWLY = {"fetch.message.max.bytes": 1, "message.max.bytes": 1000, "fetch.max.bytes": 1000,
          "fetch.wait.max.ms": 10, **t.FAST_GROUP}
# a dead process's successor takes its place in the group at once; the session is long, as a member
# that missed it on a busy machine would be refused for good under its own name
STATIC = {**SLOWLY, "group.instance.id": "one", "session.timeout.ms": 30000}
# the client's queue fills at once and is looked at again a second later: some thousands a second
STEADILY = {**STATIC, "queued.max.messages.kbytes": 512}


# So lately that no partition passes for idle at its claim (its watermark would move by the clock),
# and so long ago that no event lies ahead of the clock.
HOURS = 20
START = time.time() - HOURS * 3600
NO_TICKS = {"idle_timeout": "1d", "allowed_lateness": "400d"}
# hostile records, some of them too late to count
FAULTS = "late=2%,delayed=4%,disorder=10%,duplicates=3%,malformed=2%"
LATENESS = {"idle_timeout": "1d", "allowed_lateness": "10m"}


def need_tools(*services):
    t.need_services(*services)
    wanted = ("redis_proxy", "state_dump", "transactions", "clock_off.so")
    missing = [name for name in wanted if not os.path.exists(tool(name))]
    if missing:
        print(f"skipped: {BUILD} has no {', '.join(missing)}: build it first")
        sys.exit(77)


def crashing_weir():
    """A weir that is built with crash points, or None."""
    for preset in ("asan", "debug"):
        path = os.path.join(t.TESTS, "..", "build", preset, "weir")
        if os.path.exists(path):
            return os.path.realpath(path)
    return None


# ---- a log ----


def generated(events, after=0.0, *more):
    """Keyed records of a shop, from so many hours after START on: 40,000 are half an hour, at any
    time of the day, so that what comes later is later."""
    path = os.path.join(t.folder(), "events.jsonl")
    start = datetime.fromtimestamp(START + after * 3600, timezone.utc)
    code, _, err = t.command("generate", "--level", "--events", events,
                             "--seed", int(after * 100) + 1,
                             "--start", start.strftime("%Y-%m-%dT%H:%M:%SZ"),
                             "--sessions-per-second", PER_SECOND, "--truth", "none", *more, "--to", path)
    if code != 0:
        raise t.Failure(f"weir generate exits with {code}: {err[-300:]}")
    keyed = []
    with open(path, "rb") as lines:
        for line in lines:
            keyed.append((session_in(line) or keyed[-1][0], line.rstrip(b"\n")))
    return keyed


def session_in(line):
    """None where it does not say, as a record of FAULTS."""
    try:
        return json.loads(line).get("session")
    except ValueError:
        return None


def cannot_be_counted(line):
    """Whether it is one of the damaged records of FAULTS."""
    try:
        event = json.loads(line)
    except ValueError:
        return True
    return (not {"type", "time", "session"} <= event.keys() or event["time"] == "yesterday"
            or event.get("value", 0) < 0)


def feed(topic, keyed, brokers=None):
    """By key, in small batches."""
    lines = b"".join(key.encode() + b"\t" + line + b"\n" for key, line in keyed)
    run = subprocess.run(
        ["kcat", "-P", "-q", "-b", brokers or os.environ["KAFKA_BROKERS"], "-t", topic, "-K", "\t",
         "-X", "enable.idempotence=true", "-X", "linger.ms=5", "-z", "lz4",
         "-X", f"batch.num.messages={SMALL_BATCHES}"], input=lines, capture_output=True, check=False)
    if run.returncode != 0:
        raise t.Failure(f"kcat: {run.stderr.decode()[-500:]}")


class Log:
    """A topic, the number of its records, and what one undisturbed run over it leaves in Redis.
    `hostile`: with late, repeated and damaged records; each group has a topic for the last."""

    def __init__(self, events=40000, brokers=None, replication=1, hostile=False):
        self.brokers, self.partitions, self.hostile = brokers, PARTITIONS, hostile
        self.topic = t.topic("fault", PARTITIONS, brokers, replication)
        self.total, self.hours, self.newest = 0, 0.0, None
        self.wanted = None
        self.more(events)

    def more(self, events):
        """What comes later; never after an undisturbed run."""
        assert not self.wanted and self.may_grow()
        if events == 0:
            return
        parts = [(events, ())]
        if self.hostile:  # but for the end: or the last windows would say when they were looked at
            end = min(2000, events // 2)
            parts = [(events - end, ("--faults", FAULTS)), (end, ())]
        for part, faults in parts:
            keyed = generated(part, self.hours, *faults)
            feed(self.topic, keyed, self.brokers)
            self.newest = json.loads(keyed[-1][1])["time"]
            self.total += len(keyed)
            self.hours += 0.6 * part / 40000 + 0.1

    def may_grow(self):
        """Else what comes later would lie ahead of the clock."""
        return self.hours < HOURS - 1.5

    def one_more(self):
        """A single record, so that the next commit is small; it moves the windows by a slide."""
        later = datetime.fromisoformat(self.newest.replace("Z", "+00:00")) + timedelta(seconds=11)
        event = json.dumps({"type": "page_view", "session": "one", "device": "mobile",
                            "time": later.isoformat()})
        t.produce(self.topic, [event.encode()], 0, self.brokers)
        self.total += 1

    def config(self, label, rdkafka=None, sinks=(), **parts):
        """A group of its own; alerts go to Redis and the sinks, changes only and no reminders."""
        kafka = {"rdkafka": rdkafka or STATIC}
        if self.hostile:
            kafka["dead_letter_topic"] = t.topic("letters", 1, self.brokers)
        config = t.Config(
            self.topic, f"{label}-{t.SUFFIX}-{random.randrange(1 << 20):x}", self.brokers,
            time=parts.pop("time", LATENESS if self.hostile else NO_TICKS), windows=["1m", "1h", "24h"], commit={"interval": "20ms"},
            events={"dimensions": {"country": "country", "device": "device"}},
            sessions={"gap": "10m"}, http={"listen": "127.0.0.1:0"},
            alerts=ALERTS, sinks=list(sinks),
            kafka=kafka, **parts)
        config.rules(*RULES)
        return config

    def undisturbed(self):
        """(dump, what is published) of one run in peace, made once."""
        if not self.wanted:
            calm = self.config("calm", rdkafka=t.FAST_GROUP)
            weir = t.Weir(calm)
            self.wait_counted(calm, weir)
            settle(calm)
            if weir.stop() != 0:
                raise t.Failure(f"the undisturbed run fails: {weir.tail()}")
            self.wanted = dump(calm), published(calm)
        return self.wanted

    def wait_counted(self, config, weir, seconds=60):
        t.wait_counted(t.Redis(config.redis), config, self.partitions, self.total, seconds, weir)


_log = []


def the_log(events=30000):
    """Read by every part of a test; made once."""
    if not _log:
        _log.append(Log(events, hostile=True))
        _log[0].undisturbed()
    return _log[0]


# ---- what is in Redis ----


def firing(redis, config):
    """The alerts that are held, without what depends on which slides were looked at before: since
    when. These rules look at the last slide alone."""
    alerts = [json.loads(text) for text in redis.hash(config.key("firing")).values()]
    return {alert["fingerprint"]: {name: value for name, value in alert.items()
                                   if name not in ("id", "starts_at", "summary")} for alert in alerts}


def published(config):
    """Every window, segment and alert that readers see now, without when that was computed."""
    redis = t.Redis(config.redis)
    found = {}
    for key in redis.keys(config.key("now:*").replace("[", "\\[")):
        name = key.decode().split("}:", 1)[1]
        found[name] = {field: value for field, value in redis.hash(key.decode()).items()
                       if field != "computed_at"}
    found["firing"] = firing(redis, config)
    return found


def settle(config, seconds=30):
    """Waits until the windows are as far as the counters."""
    redis = t.Redis(config.redis)

    def there():
        marks = [redis.do("HGET", config.tag(p, "meta"), "watermark") for p in range(PARTITIONS)]
        as_of = redis.hash(config.key("now:1m")).get("as_of")
        return None not in marks and as_of and int(as_of) >= min(map(int, marks)) // 10000 * 10000

    t.wait_until(seconds, there, "the windows are as far as the counters")


def same_dump(checks, log, config, what, alerts=True):
    """`alerts`: not after a rebuild, which leaves those of the past as they were."""
    want, want_published = log.undisturbed()
    got, got_published = dump(config), published(config)
    same_lines(checks, got, want, what, 500)
    wrong = [name for name in sorted(set(got_published) | set(want_published))
             if got_published.get(name) != want_published.get(name) and (alerts or name != "firing")]
    checks.equal(wrong, [], f"{what}: published windows that differ")
    for name in wrong[:2]:
        got, want = got_published.get(name, {}), want_published.get(name, {})
        print(f"{name}:", {field: (got.get(field), want.get(field))
                           for field in sorted(set(got) | set(want)) if got.get(field) != want.get(field)})


def dead_letters(checks, log, config, what):
    """Every record that cannot be counted is in the topic for them, at least once and as it was, and
    nothing else is. Returns how many are there twice: those were read again."""
    if not log.hostile:
        return 0
    want = {(partition, offset): value
            for partition, offset, _, _, value in t.consume(log.topic, log.brokers)
            if cannot_be_counted(value)}
    found = [((int(headers["weir-partition"]), int(headers["weir-offset"])), value)
             for _, _, headers, _, value in t.consume(config.tree["kafka"]["dead_letter_topic"],
                                                      log.brokers)]
    checks.that(len(want) > 100, f"{what}: records that cannot be counted: {len(want)}")
    checks.equal(sorted(set(found) ^ set(want.items())), [], f"{what}: dead letters that differ")
    return len(found) - len(set(found))


# ---- the end ----


def finish(checks, log, config, sinks, weirs, figures, **shown):
    """To the end of the log with those that are left, and all that must hold then."""
    log.wait_counted(config, weirs[0])
    settle(config)
    sinks.wait_empty(config, 60)
    for weir in weirs:
        weir.ready()  # one that is only being started ends by the signal itself
        checks.equal(weir.stop(), 0, f"{figures.name}: exit code")
        figures.take(weir)
    same_dump(checks, log, config, figures.name)
    again = dead_letters(checks, log, config, figures.name)
    if log.hostile:
        shown["dead_letters_told_again"] = again
    if figures.again is not None:
        figures.again = max(figures.again, again)
    figures.show(log.total, **shown, alerts=sinks.check(checks, config, figures.name))


# ---- the proxy ----


class Proxy:
    """redis_proxy before a Redis; see there for its orders."""

    def __init__(self, port):
        self.process = subprocess.Popen([tool("redis_proxy"), str(port)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, bufsize=1)
        t.at_end(self.end)
        self.url = f"redis://127.0.0.1:{self.process.stdout.readline().split()[1]}/0"

    def end(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()

    def order(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        return self.process.stdout.readline().strip()

    def count(self):
        return int(self.order("count"))


# by which the proxy knows a script; it may be sent by its hash or as a whole
COMMIT = "EVAL&:ticks"
PUBLISH = "EVAL&:schema"
LEASE = "EVAL&:lease&!:published"
CLAIM = "EVAL&:meta&!:ticks"


class LimitedRedis(t.Service):
    """A Redis whose files may be forbidden to grow, as on a full disk."""

    def __init__(self):
        super().__init__("redis")

    def order(self, verb, *args):
        if verb == "start":  # or the signal would kill it: so write() fails instead
            script = 'trap "" XFSZ; exec sh "$0" "$@"'
            run = subprocess.run(["sh", "-c", script, self.script, verb, self.dir, *args],
                                 stderr=subprocess.PIPE, check=False)
            if run.returncode != 0:
                raise t.Failure(f"redis: {run.stderr.decode()[-800:]}")
        else:
            super().order(verb, *args)

    def limit_files(self, size):
        resource.prlimit(self.pid(), resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


# ---- parts beside each other ----


def run_beside(checks, lanes, *parts):
    """All parts, several at a time, as they mostly wait; or by turns those that are named."""

    def all_parts(everything):
        the_log()
        beside(everything, lanes, [(part.__name__, lambda part=part: part(everything))
                                   for part in parts])

    if sys.argv[1:]:
        checks.run(*parts)
    else:
        checks.run(all_parts)


def beside(checks, lanes, works):
    """Runs (name, function) several at a time; a Failure ends that one only."""
    with ThreadPoolExecutor(lanes) as pool:
        for name, work in [(name, pool.submit(work)) for name, work in works]:
            try:
                work.result()
            except t.Failure as failure:
                checks.that(False, f"{name}: {failure}")


def wait_progress(config, weir, seconds=60, before=None):
    """Waits for one more commit than now or than `before`, offsets that were taken earlier; returns
    how long that took."""
    redis, begun = t.Redis(config.redis), time.monotonic()
    before = before or t.offsets(redis, config, PARTITIONS)

    def moved():
        if not weir.alive():
            raise t.Failure(f"weir ended with {weir.process.returncode}: {weir.tail()}")
        return t.offsets(redis, config, PARTITIONS) != before

    try:
        t.wait_until(seconds, moved, "a commit")
    except t.Failure as failure:
        raise t.Failure(f"{failure} after offsets {before}: {weir.tail()}") from None
    return time.monotonic() - begun


def died(weir, seconds=30):
    """It was killed by -9, not by anything else; its /metrics are kept until then."""

    def gone():
        weir.look()
        return not weir.alive()

    t.wait_until(seconds, gone, f"weir dies: {weir.tail()}")
    code = weir.wait_exit()
    if code != -signal.SIGKILL:
        raise t.Failure(f"weir ended with {code}, not by SIGKILL: {weir.tail()}")
