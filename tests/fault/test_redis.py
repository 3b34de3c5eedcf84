#!/usr/bin/env python3
"""Redis answers late, never, wrongly or not at all, dies, loses writes and fills up: what is counted
stays what one undisturbed run counts. The proxy of this folder stands between weir and Redis."""

import os
import subprocess
import time

import weirfault as f
import weirtest as t

# What Redis may answer instead of executing a command, and for how long here.
ERRORS = [
    "NOSCRIPT No matching script. Please use EVAL.",
    "LOADING Redis is loading the dataset in memory",
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
    "READONLY You can't write against a read only replica.",
    "MOVED 3999 127.0.0.1:6381",
    "ASK 3999 127.0.0.1:6381",
    "TRYAGAIN Multiple keys request during rehashing of slot",
    "CLUSTERDOWN The cluster is down",
    "OOM command not allowed when used memory > 'maxmemory'.",
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist.",
    "NOREPLICAS Not enough good replicas to write.",
    "NOAUTH Authentication required.",
    "WRONGPASS invalid username-password pair or user is disabled.",
    "NOPERM this user has no permissions to run the 'evalsha' command",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "UNKILLABLE Sorry the script already executed write commands against the dataset.",
    "ERR something that no one has thought of",
]


class Run:
    """One weir behind a proxy, with sinks; `finish` holds it against the undisturbed run."""

    def __init__(self, name, service=None, rdkafka=None, **parts):
        self.name = name
        self.port = (service.env if service else os.environ)["REDIS_PORT"]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.proxy = f.Proxy(self.port)
        self.log = f.the_log()
        self.sinks = f.Sinks()
        self.config = self.log.config("redis", rdkafka, self.sinks.config(),
                                      redis=self.proxy.url, **parts)
        self.figures = f.Figures(name)
        self.weir = None

    def start(self):
        self.weir = t.Weir(self.config).wait_log("partition claimed", times=f.PARTITIONS)
        f.wait_progress(self.config, self.weir)
        return self

    def counted(self):
        return sum(t.offsets(t.Redis(self.config.redis), self.config, f.PARTITIONS))

    def recover(self):
        self.figures.recovered.append(f.wait_progress(self.config, self.weir))

    def finish(self, checks, lost=False, **more):
        self.log.wait_counted(self.config, self.weir)
        f.settle(self.config)
        self.sinks.wait_empty(self.config)
        checks.equal(self.weir.stop(), 0, f"{self.name}: exit code")
        self.figures.take(self.weir)
        f.same_dump(checks, self.log, self.config, self.name)
        again = f.dead_letters(checks, self.log, self.config, self.name)
        told = self.sinks.check(checks, self.config, self.name, lost)
        answered = int(self.proxy.order("duplicates"))  # also to the script that publishes
        self.figures.show(self.log.total, DUP_at_the_proxy=answered, alerts=told,
                          dead_letters_told_again=again, **more)
        duplicates = int(self.weir.metric("weir_duplicates_total"))
        checks.that(duplicates <= self.figures.duplicates <= answered,
                    f"{self.name}: DUP in /metrics {duplicates}, in logs {self.figures.duplicates}, "
                    f"at the proxy {answered}")
        return duplicates, answered


def disturbed(checks, name, action, piece, count, command):
    """Every other command of a kind, so many times, from the start on."""
    run = Run(f"{name} at {command}", rdkafka=f.STEADILY)
    run.proxy.order(action, 1, count, piece)
    run.start()
    t.wait_until(90, lambda: run.proxy.count() == count, f"{run.name}: {run.weir.tail()}")
    run.figures.injected = count
    hits = {hit.replace("EVAL:", "EVALSHA:") for hit in run.proxy.order("hits").split()}
    checks.equal(hits, {command}, f"{run.name}: what was disturbed")
    duplicates, answered = run.finish(checks)
    if action == "drop" and piece == f.COMMIT:  # some of these answers may be dropped in turn
        checks.that(answered >= count and duplicates > 0,
                    f"{run.name}: {duplicates} of {answered} were there already")


def done(run):
    return run.counted() >= run.log.total


def replies_dropped(checks):
    """The command is executed, its reply never arrives: the same commit comes again (DUP)."""
    for piece, command in ((f.COMMIT, "EVALSHA:meta,t,ticks"),
                           (f.PUBLISH, "EVALSHA:lease,published,schema"),
                           (f.LEASE, "EVALSHA:lease"), ("XDEL&:hook", "XDEL:outbox:hook"),
                           ("XRANGE&:topic", "XRANGE:outbox:topic")):
        disturbed(checks, "replies dropped", "drop", piece, 3, command)


def replies_never(checks):
    """The connection stays up and nothing comes any more: weir's own time-out."""
    disturbed(checks, "a reply that never comes", "mute", f.COMMIT, 1, "EVALSHA:meta,t,ticks")


def late_commits(checks):
    """A commit is held back, sent anew by weir, and delivered when it is old: nothing is written."""
    run = Run("an old commit", rdkafka=f.STEADILY).start()
    answers = []
    for _ in range(5):
        before = run.proxy.count()
        run.proxy.order("hold", 2, 1, f.COMMIT)
        t.wait_until(20, lambda: run.proxy.count() > before or done(run), "held")  # noqa: B023
        run.recover()
        answers.append(run.proxy.order("deliver"))
    before = run.proxy.count()
    run.proxy.order("hold", 2, 1, f.COMMIT)
    t.wait_until(20, lambda: run.proxy.count() > before or done(run), "held for the next owner")
    run.weir.kill()
    run.figures.take(run.weir)
    run.start()
    answers.append(run.proxy.order("deliver"))
    checks.contains(answers[-1], "FENCED", "a dead owner's commit")
    run.figures.injected = run.proxy.count()
    counts = {word: sum(word in answer for answer in answers)
              for word in ("DUP", "ROLLEDBACK", "FENCED")}
    checks.equal(sum(counts.values()), len(answers), f"answers {answers}")
    run.finish(checks, answered=counts)


def errors_at_commits(checks):
    """Each error of Redis, with some commits between, so that no two meet the same round of them."""
    every_error(checks, "commits", 6, f.COMMIT, "EVALSHA:meta,t,ticks")


def errors_at_lease(checks):
    """What was published is read with the lease."""
    every_error(checks, "the lease", 0, "HGETALL&:published", "HGETALL:published")


def errors_at_looks(checks):
    """The evaluator's look at the partitions: all are asked at once, one gets the error."""
    every_error(checks, "looks", 0, "HMGET&.0}:meta", "HMGET:meta")


def errors_at_steps(checks):
    """What the step before published is read."""
    every_error(checks, "steps", 0, "HMGET&:published", "HMGET:published")


def errors_at_publications(checks):
    """The script that publishes."""
    every_error(checks, "publications", 0, f.PUBLISH, "EVALSHA:lease,published,schema")


def every_error(checks, name, skip, piece, command):
    run = Run(f"Redis's errors at {name}", rdkafka=f.STEADILY)
    run.proxy.order("error", skip, len(ERRORS), piece, "|".join(ERRORS))
    run.start()
    t.wait_until(120, lambda: run.proxy.count() == len(ERRORS),
                 f"{run.name}: {run.proxy.count()} were given: {run.weir.tail()}")
    run.figures.injected = len(ERRORS)
    all_hit(checks, run, command)
    checks.that(run.weir.alive(), f"weir lives on: {run.weir.tail()}")
    if piece == f.COMMIT:
        checks.contains(run.weir.log(), ERRORS[0][:30], "what weir says")
    run.finish(checks)


def all_hit(checks, run, command):
    """Each error was the answer to that command; to NOSCRIPT weir sends the script's text."""
    whole = command.replace("EVALSHA", "EVAL")
    wanted = [f"{command}={error.split()[0]}" for error in ERRORS]
    hits = run.proxy.order("hits").replace(f"{whole}=", f"{command}=").split()
    checks.equal(hits, wanted, f"{run.name}: what was answered by errors")


def errors_at_claims(checks):
    """The same where a partition is claimed and its state loaded."""
    run = Run("Redis's errors at claims").start()
    for piece, command in ((f.CLAIM, "EVALSHA:meta"), (":s:100", "GET:s:100")):
        run.weir.kill()
        run.figures.take(run.weir)
        run.proxy.order("error", 0, len(ERRORS), piece, "|".join(ERRORS))
        run.weir = t.Weir(run.config).wait_log("partition claimed", 60, times=f.PARTITIONS)
        run.figures.injected += len(ERRORS)
        all_hit(checks, run, command)
    checks.equal(run.proxy.count(), run.figures.injected, "errors that were given")
    run.finish(checks)


# ---- Redis itself ----


def redis_killed(checks):
    """kill -9 under appendfsync everysec, again and again."""
    private = t.Service("redis")
    run = Run("kill -9 of Redis", private).start()
    for _ in range(20 if f.LONG else 3):
        private.kill()
        run.figures.injected += 1
        private.resume()
        if done(run):
            break
        run.recover()
    run.finish(checks, lost=True)


def replica_promoted(checks):
    """The primary dies; its replica, which has missed the last half second, takes its place."""
    private = t.Service("redis")
    run = Run("a lagging replica promoted", private)
    replica = t.Service("redis", "--replicaof", f"127.0.0.1 {private.env['REDIS_PORT']}")
    second = t.Redis(replica.env["REDIS_URL"])
    t.wait_until(20, lambda: b"master_link_status:up" in second.do("INFO", "replication"), "a replica")
    run.start()
    t.wait_until(20, lambda: min(t.offsets(second, run.config, f.PARTITIONS)) > 0,
                 "the replica has a commit of each partition")  # without one weir rightly halts
    second.do("REPLICAOF", "127.0.0.1", "1")
    behind = sum(t.offsets(second, run.config, f.PARTITIONS))
    t.wait_until(20, lambda: run.counted() > behind + 2000 or done(run), "the replica lags")
    lost = run.counted() - behind
    checks.that(lost > 0, f"records whose commits are lost: {lost} after {behind}")
    private.kill()
    second.do("REPLICAOF", "NO", "ONE")
    run.proxy.order("upstream", replica.env["REDIS_PORT"])
    run.figures.injected = 1
    run.weir.wait_log("Redis lost writes", 20)
    run.recover()
    run.finish(checks, lost=True, records_rolled_back=lost)


def disk_full(checks):
    """Redis cannot write its append-only file, then it can again."""
    private = f.LimitedRedis()
    run = Run("disk full under Redis", private).start()
    files = os.path.join(private.dir, "appendonlydir")
    size = max(os.path.getsize(os.path.join(files, name)) for name in os.listdir(files))
    private.limit_files(size + 100000)
    run.figures.injected = 1
    run.weir.wait_log("MISCONF", 30)
    time.sleep(1)
    checks.that(run.weir.alive(), "weir outlives a full disk")
    private.limit_files(-1)
    run.recover()
    run.finish(checks)


def memory_full(checks):
    """maxmemory is reached, again and again: no write is taken, then they are."""
    private = t.Service("redis")
    run = Run("maxmemory reached", private).start()
    redis = t.Redis(run.url)
    for _ in range(10 if f.LONG else 2):
        said = run.weir.log().count("maxmemory")
        redis.do("CONFIG", "SET", "maxmemory", "1mb")
        run.figures.injected += 1
        run.weir.wait_log("maxmemory", 30, said + 1)
        redis.do("CONFIG", "SET", "maxmemory", "0")
        if done(run):
            break
        run.recover()
    run.finish(checks)


# ---- the append-only file, cut ----


def commands_of(data):
    """[(start, end, words)] of an append-only file."""
    found, at = [], 0
    while at < len(data):
        start = at
        end = data.index(b"\r\n", at)
        if data[at : at + 1] == b"#":  # a timestamp
            at = end + 2
            continue
        count, at, words = int(data[at + 1 : end]), end + 2, []
        for _ in range(count):
            end = data.index(b"\r\n", at)
            length = int(data[at + 1 : end])
            words.append(data[end + 2 : end + 2 + length])
            at = end + 2 + length + 2
        found.append((start, at, words))
    return found


def last_commit(data, key):
    """(start, end, ends of its commands) of the last transaction that sets that meta key."""
    start, ends, ours, found = 0, [], False, None
    for begin, end, words in commands_of(data):
        verb = words[0].upper()
        if verb == b"MULTI":
            start, ends, ours = begin, [], False
        ends.append(end)
        ours |= verb == b"HSET" and words[1] == key and b"seq" in words
        if verb == b"EXEC" and ours:
            found = start, end, ends
    return found


def aof_cut(checks):
    """The append-only file ends at any byte of the last commit: the old state whole, or the new."""
    private = t.Service("redis", *t.ONE_FILE)
    log, sinks = f.Log(10000), f.Sinks()
    config = log.config("aof", redis=private.env["REDIS_URL"], sinks=sinks.config())
    weir = t.Weir(config)
    log.wait_counted(config, weir)
    f.settle(config)
    sinks.wait_empty(config)
    checks.equal(weir.stop(), 0, "exit code")
    old = f.dump(config)
    # nobody publishes the last commit, as its alerts would be told and then lost with who told them
    t.Redis(config.redis).do("SET", config.key("lease"), "nobody", "PX", 3600000)
    log.one_more()
    weir = t.Weir(config)
    log.wait_counted(config, weir)
    weir.kill()
    new = f.dump(config)
    checks.that(old != new, "the last commit changes something")
    private.order("halt")
    files = os.path.join(private.dir, "appendonlydir")
    path = next(os.path.join(files, n) for n in os.listdir(files) if n.endswith(".incr.aof"))
    with open(path, "rb") as whole:
        data = whole.read()
    begin, end, ends = last_commit(data, config.tag(0, "meta").encode())
    figures, counts = f.Figures("the append-only file cut"), [0, 0]
    middle = ends[len(ends) // 2] - 3

    def look(cut):
        got = f.dump(config)
        counts[got == new] += 1
        figures.injected += 1
        if got not in (old, new):
            checks.that(False, f"cut at {cut} of {begin}..{end}: neither the old nor the new state")
        return got in (old, new)

    for cut in sorted({begin, begin + 1, middle, end - 1, *ends}):
        write(path, data[:cut])
        private.resume()
        if look(cut) and cut in (begin, middle, end):
            # sinks hear of what follows once, not after each cut
            config.change(sinks=sinks.config() if cut == middle else [])
            went_on(checks, log, config, cut - begin, figures)
            if cut == middle:
                sinks.wait_empty(config)
                told = sinks.check(checks, config, "the append-only file cut")
        private.order("halt")
    for cut in range(begin, end + 1) if f.LONG else ():
        write(path, data[:cut])
        with subprocess.Popen(["redis-server", os.path.join(private.dir, "redis.conf")],
                              stdout=subprocess.DEVNULL) as server:
            t.wait_until(10, lambda: answers(config.redis), f"a Redis with {cut} bytes")
            look(cut)
            server.kill()  # without the pauses of an end in order: these are thousands
    checks.that(counts[0] > 0 and counts[1] > 0, f"old and new states: {counts}")
    figures.show(bytes_of_the_commit=end - begin, old_states=counts[0], new_states=counts[1],
                 alerts=told)


def answers(url):
    try:
        return t.Redis(url).do("PING") in (b"PONG", "PONG")
    except (OSError, t.RedisError):  # also while it loads
        return False


def write(path, data):
    with open(path, "wb") as out:
        out.write(data)


def went_on(checks, log, config, cut, figures):
    t.Redis(config.redis).do("DEL", config.key("lease"))
    begun = time.monotonic()
    weir = t.Weir(config).ready()
    log.wait_counted(config, weir)
    figures.recovered.append(time.monotonic() - begun)
    f.settle(config)
    checks.equal(weir.stop(), 0, f"cut after {cut} bytes: exit code")
    figures.take(weir)
    f.same_dump(checks, log, config, f"cut after {cut} bytes")


def main():
    f.need_tools("kcat", "redis-server")
    checks = t.Checks("redis")
    f.run_beside(checks, 5, errors_at_lease, errors_at_looks, errors_at_steps,
                 errors_at_publications, errors_at_commits, aof_cut, replies_dropped,
                 replies_never, late_commits, errors_at_claims, redis_killed, replica_promoted,
                 disk_full, memory_full)
    checks.finish()


if __name__ == "__main__":
    main()
