#!/usr/bin/env python3
"""Redis, Kafka and weir itself stop, die and come back: what is counted stays what one undisturbed
run counts, bucket for bucket, and meanwhile /-/ready says why it is not."""

import json
import os
import random
import shutil
import signal
import subprocess
import time

import weirtest as t
from weirstream import (
    PARTITIONS,
    Feeder,
    Figures,
    closers_at,
    feed_closers,
    finish_and_compare,
    lately,
    ms_of,
    stream_config,
    traffic,
)

HTTP = {"listen": "127.0.0.1:0"}


def not_ready(checks, weir, part, seconds, what):
    """/-/ready answers 503 and names the reason."""

    def said():
        status, body = weir.http("/-/ready", timeout=20)
        return body if status == 503 else None

    try:
        body = t.wait_until(seconds, said, f"/-/ready is 503 ({what})")
    except t.Failure as failure:
        raise t.Failure(f"{failure}: {weir.tail()}") from None
    checks.contains(body, part, f"/-/ready ({what})")
    reasons = json.loads(body).get("reasons")
    checks.that(reasons, f"/-/ready gives reasons ({what}): {body}")
    checks.equal(weir.http("/-/healthy")[0], 200, f"/-/healthy ({what})")


def ready(weir, seconds, what):
    """How long it took."""
    begun = time.monotonic()
    try:
        t.wait_until(seconds, lambda: weir.http("/-/ready")[0] == 200, f"/-/ready is 200 {what}")
    except t.Failure as failure:
        raise t.Failure(f"{failure}: {weir.http('/-/ready')[1]} {weir.tail()}") from None
    return time.monotonic() - begun


def show(figures, weir, total):
    """Of one process that has counted so many records."""
    figures.take(weir).show(total)


def redis_away(checks):
    """Redis frozen for 3 s, then killed and started again on its append-only file."""
    private = t.Service("redis")
    config = stream_config("redis", redis=private.env["REDIS_URL"], http=HTTP)
    path, end = traffic(checks, config, 100000, begin=lately())
    weir = t.Weir(config).wait_log("partition claimed", times=PARTITIONS)
    ready(weir, 10, "before")
    feeder = Feeder(config, path, 14)
    time.sleep(1)
    private.signal(signal.SIGSTOP)
    begun = time.monotonic()
    not_ready(checks, weir, "Redis", 10, "Redis is frozen")
    time.sleep(max(0, 3 - (time.monotonic() - begun)))
    private.signal(signal.SIGCONT)
    figures = Figures("Redis frozen, then killed")
    figures.recovered.append(ready(weir, 15, "after the freeze"))
    private.kill()
    not_ready(checks, weir, "Redis", 10, "Redis is dead")
    checks.that(weir.alive(), "weir outlives Redis")
    time.sleep(1)
    private.resume()
    figures.recovered.append(ready(weir, 20, "after the crash"))
    figures.injected = 2
    feeder.finish()
    feed_closers(config, closers_at(end))
    finish_and_compare(checks, config, feeder.total + PARTITIONS, ms_of(end), "Redis away", weir,
                       whole=True)
    show(figures, weir, feeder.total + PARTITIONS)
    checks.equal(weir.stop(), 0, "exit code")


def redis_rolled_back(checks):
    """Redis comes back without its last seconds, as after a fail-over to a lagging replica."""
    private = t.Service("redis", *t.ONE_FILE)
    config = stream_config("rollback", redis=private.env["REDIS_URL"], http=HTTP)
    path, end = traffic(checks, config, 100000, begin=lately())
    redis = t.Redis(config.redis)
    weir = t.Weir(config).wait_log("partition claimed", times=PARTITIONS)
    feeder = Feeder(config, path, 8)
    time.sleep(2)
    kept, files = os.path.join(private.dir, "kept"), os.path.join(private.dir, "appendonlydir")
    shutil.copytree(files, kept)
    then = sum(t.offsets(redis, config, PARTITIONS))
    time.sleep(2)
    lost = sum(t.offsets(redis, config, PARTITIONS)) - then
    checks.that(then > 0 and lost > 0, f"writes that Redis will lose: {lost} after {then}")
    private.kill()
    shutil.rmtree(files)
    os.rename(kept, files)
    private.resume()
    begun, figures = time.monotonic(), Figures(f"Redis back without {lost} records")
    weir.wait_log("Redis lost writes", 20)
    figures.recovered.append(time.monotonic() - begun)
    feeder.finish()
    feed_closers(config, closers_at(end))
    finish_and_compare(checks, config, feeder.total + PARTITIONS, ms_of(end), "a rollback", weir,
                       whole=True)
    figures.injected = 1
    show(figures, weir, feeder.total + PARTITIONS)
    checks.that(weir.metric("weir_rollbacks_total") >= 1, "weir_rollbacks_total")
    checks.equal(weir.stop(), 0, "exit code")


def redis_full(checks):
    """Redis takes no writes for want of memory, then it does again."""
    private = t.Service("redis")
    config = stream_config("full", redis=private.env["REDIS_URL"], http=HTTP)
    path, end = traffic(checks, config, 60000, begin=lately())
    redis = t.Redis(config.redis)
    weir = t.Weir(config).wait_log("partition claimed", times=PARTITIONS)
    feeder = Feeder(config, path, 5)
    time.sleep(1)
    redis.do("CONFIG", "SET", "maxmemory", "1mb")
    not_ready(checks, weir, "Redis", 15, "Redis is full")
    weir.wait_log("maxmemory")
    redis.do("CONFIG", "SET", "maxmemory", "0")
    figures = Figures("maxmemory reached")
    figures.recovered.append(ready(weir, 15, "with memory again"))
    figures.injected = 1
    feeder.finish()
    feed_closers(config, closers_at(end))
    finish_and_compare(checks, config, feeder.total + PARTITIONS, ms_of(end), "a full Redis", weir,
                       whole=True)
    show(figures, weir, feeder.total + PARTITIONS)


def kafka_away(checks):
    """The broker is killed with records on their way, and started again."""
    private = t.Service("kafka")
    config = stream_config("kafka", brokers=private.env["KAFKA_BROKERS"], http=HTTP)
    path, end = traffic(checks, config, 200000, begin=lately())
    halves = split(path)
    weir = t.Weir(config).wait_log("partition claimed", times=PARTITIONS)
    ready(weir, 10, "before")
    total = Feeder(config, halves[0], 1).finish()
    private.kill()
    not_ready(checks, weir, "Kafka", 15, "Kafka is dead")
    checks.that(weir.alive(), "weir outlives Kafka")
    private.resume()
    figures = Figures("the broker down and up")
    figures.recovered.append(ready(weir, 30, "with Kafka again"))
    figures.injected = 1
    total += Feeder(config, halves[1], 1).finish()
    feed_closers(config, closers_at(end))
    finish_and_compare(checks, config, total + PARTITIONS, ms_of(end), "Kafka away", weir,
                       whole=True)
    show(figures, weir, total + PARTITIONS)
    checks.equal(weir.stop(), 0, "exit code")


def split(path):
    """A file's two halves."""
    with open(path, "rb") as lines:
        records = lines.readlines()
    halves = []
    for number, part in enumerate((records[: len(records) // 2], records[len(records) // 2 :])):
        halves.append(f"{path}.{number}")
        with open(halves[-1], "wb") as out:
            out.writelines(part)
    return halves


def frozen(checks):
    """SIGSTOP past the session time-out, another takes over, SIGCONT: the first writes nothing."""
    config = stream_config("frozen", http=HTTP)
    path, end = traffic(checks, config, 100000, begin=lately())
    redis = t.Redis()
    first = t.Weir(config).wait_log("partition claimed", times=PARTITIONS)
    feeder = Feeder(config, path, 14)
    time.sleep(random.uniform(1.0, 2.0))
    first.signal(signal.SIGSTOP)
    begun, figures = time.monotonic(), Figures("SIGSTOP, another takes over, SIGCONT")
    second = t.Weir(config).wait_log("partition claimed", 30, times=PARTITIONS)
    second.wait_log("holds the lease", 15)
    figures.recovered.append(time.monotonic() - begun)
    figures.injected = 1
    time.sleep(0.5)
    epochs = [int(redis.do("HGET", config.tag(p, "meta"), "epoch")) for p in range(PARTITIONS)]
    checks.that(min(epochs) >= 2, f"the second has claimed all: epochs {epochs}")
    first.signal(signal.SIGCONT)
    t.wait_until(20, lambda: "fenced" in first.log() or "partitions lost" in first.log(),
                 f"the first learns that it is not the owner: {first.tail()}")
    checks.that(first.alive() and second.alive(), "both live on")
    feeder.finish()
    feed_closers(config, closers_at(end))
    finish_and_compare(checks, config, feeder.total + PARTITIONS, ms_of(end), "a frozen process",
                       second, whole=True)
    leaders = sum(weir.metric("weir_evaluator_leader") for weir in (first, second))
    checks.equal(leaders, 1, "processes that hold the lease")
    series = [number for number, _ in redis.stream(config.key("series:1m"))]
    checks.equal(len(series), len(set(series)), "ids in the series")
    checks.equal(first.stop(), 0, "exit code of the first")
    checks.equal(second.stop(), 0, "exit code of the second")
    figures.take(first).take(second).show(feeder.total + PARTITIONS)


def members_come_and_go(checks):
    """A second and a third process join and leave by turns, by SIGTERM and by kill -9; for minutes
    with --long."""
    turns = 40 if os.environ.get("WEIR_LONG") else 4
    config = stream_config("members", http=HTTP)
    path, end = traffic(checks, config, 100000, begin=lately())
    steady = t.Weir(config).wait_log("partition claimed", times=PARTITIONS)
    figures = Figures("members join and leave")
    feeder = Feeder(config, path, 4.5 * turns)
    for turn in range(turns):
        begun = time.monotonic()
        other = t.Weir(config).wait_log("partition claimed", 30)
        figures.recovered.append(time.monotonic() - begun)
        figures.injected += 1
        time.sleep(random.uniform(0.2, 1.0))
        if turn % 2:
            other.kill()
        else:
            checks.equal(other.stop(), 0, "exit code of the one that leaves")
        figures.take(other)
    feeder.finish()
    feed_closers(config, closers_at(end))
    checks.that(steady.alive(), f"the one that stays lives: {steady.tail()}")
    finish_and_compare(checks, config, feeder.total + PARTITIONS, ms_of(end), "members", steady,
                       whole=True)
    figures.take(steady).show(feeder.total + PARTITIONS)


def flushed(checks):
    """FLUSHALL under a running weir: it says so and ends, instead of counting from the middle."""
    private = t.Service("redis")
    config = stream_config("flushed", redis=private.env["REDIS_URL"])
    path, end = traffic(checks, config, 60000, begin=lately())
    redis = t.Redis(config.redis)
    weir = t.Weir(config).wait_log("partition claimed", times=PARTITIONS)
    feeder = Feeder(config, path, 4)
    time.sleep(1.5)
    redis.do("FLUSHALL")
    checks.equal(weir.wait_exit(20), 4, "exit code after FLUSHALL")
    checks.contains(weir.log(), "Redis holds no state", "what weir says after FLUSHALL")
    checks.contains(weir.log(), "--rebuild", "what weir says after FLUSHALL")
    feeder.finish()
    again = t.Weir(config)
    checks.equal(again.wait_exit(20), 4, f"exit code of the next start: {again.tail()}")
    feed_closers(config, closers_at(end))
    again = t.Weir(config, "--rebuild")
    finish_and_compare(checks, config, feeder.total + PARTITIONS, ms_of(end), "FLUSHALL", again,
                       whole=True)
    checks.equal(again.stop(), 0, "exit code after --rebuild")
    Figures("FLUSHALL", 1).take(weir).show(refused=2)


def restored(checks):
    """Backed up while weir counts, lost, and restored as deploy/OPERATIONS.md says: it goes on."""
    private = t.Service("redis")
    config = stream_config("restored", redis=private.env["REDIS_URL"])
    path, end = traffic(checks, config, 60000, begin=lately())
    redis, folder = t.Redis(config.redis), private.dir
    weir = t.Weir(config).wait_log("partition claimed", times=PARTITIONS)
    feeder = Feeder(config, path, 4)
    time.sleep(1.5)
    tell_redis(private, "--rdb", os.path.join(folder, "backup.rdb"))
    backed_up = sum(t.offsets(redis, config, PARTITIONS))
    feeder.finish()
    t.wait_counted(redis, config, PARTITIONS, feeder.total, watch=weir)
    checks.equal(weir.stop(), 0, "exit code")
    redis.do("FLUSHALL")
    private.order("halt")
    os.rename(os.path.join(folder, "appendonlydir"), os.path.join(folder, "appendonlydir.old"))
    os.rename(os.path.join(folder, "backup.rdb"), os.path.join(folder, "dump.rdb"))
    edit(private, "appendonly yes", "appendonly no")
    private.resume()
    redis = t.Redis(config.redis)
    counted = sum(t.offsets(redis, config, PARTITIONS))
    checks.that(0 < counted <= backed_up < feeder.total, f"{counted} records are in the backup, "
                f"{backed_up} were counted when it was taken, of {feeder.total}")
    tell_redis(private, "CONFIG", "SET", "appendonly", "yes")
    t.wait_until(20, lambda: all(f"\n{line}\n" in tell_redis(private, "INFO", "persistence")
                                 for line in ("aof_enabled:1", "aof_rewrite_in_progress:0",
                                              "aof_rewrite_scheduled:0",
                                              "aof_last_bgrewrite_status:ok")),
                 "the append-only files are written")
    tell_redis(private, "CONFIG", "REWRITE")
    private.kill()
    private.resume() # on those files, as it would after any crash from now on
    begun, figures = time.monotonic(), Figures("lost, and restored from a backup", 1)
    weir = t.Weir(config).wait_log("partition claimed", times=PARTITIONS)
    figures.recovered.append(time.monotonic() - begun)
    feed_closers(config, closers_at(end))
    finish_and_compare(checks, config, feeder.total + PARTITIONS, ms_of(end), "a restored Redis",
                       weir, whole=True)
    figures.take(weir).show(restored_at=counted)
    checks.equal(weir.stop(), 0, "exit code")


def tell_redis(private, *words):
    run = subprocess.run(["redis-cli", "-e", "-p", private.env["REDIS_PORT"], *words],
                         capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise t.Failure(f"redis-cli {words}: {run.stdout} {run.stderr}")
    return run.stdout


def edit(private, old, new):
    path = os.path.join(private.dir, "redis.conf")
    with open(path, encoding="utf-8") as conf:
        text = conf.read()
    with open(path, "w", encoding="utf-8") as conf:
        conf.write(text.replace(old, new))


def main():
    t.need_services("kcat", "java")
    checks = t.Checks("faults")
    checks.run(redis_away, redis_rolled_back, redis_full, kafka_away, frozen, members_come_and_go,
               flushed, restored)
    checks.finish()


if __name__ == "__main__":
    main()
