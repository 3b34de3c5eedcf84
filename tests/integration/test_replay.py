#!/usr/bin/env python3
"""weir replay --redis: what it leaves is what its summary says, as often as it is run, and nothing
of what `weir run` counts is touched."""

import json
import os
import time
from datetime import timedelta

import weirtest as t
from weirstream import (DAY, closers_at, differences, feed, ms_of, replay, same_figures,
                        stream_config, traffic, wait_for_slide)

ALWAYS = {"alert": "Always", "metric": "sessions", "window": "1h", "below": 1000}
STATE = "00000000000000aa 2 0 1 1 0 1 1 1"  # an alert of that rule fires


def replay_config(label):
    config = stream_config(label, alerts={"rules_files": ["rules.yaml"], "warm_up": "0s"})
    config.rules(ALWAYS, {**ALWAYS, "alert": "Each", "by": ["country"]})
    return config


def shop(checks, config, events, day, *more):
    """A day's file, one with an event so much later that every session has ended, and its time."""
    path, end = traffic(checks, config, events, *more, begin=day.replace(hour=9))
    kept = os.path.join(config.dir, f"{day:%m-%d}.jsonl")
    os.replace(path, kept)
    with open(kept + ".closer", "wb") as out:
        out.write(closers_at(end, 1)[0] + b"\n")
    return kept, kept + ".closer", ms_of(end)


def into_redis(config, *paths):
    return t.command("replay", "--config", config.path, "--summary", "json", "--redis",
                     config.redis, *paths)


def published(redis, config):
    """The hashes of windows and segments, and the lists of the largest."""
    hashes = {key.decode(): redis.hash(key) for key in redis.keys(config.key("now:*"))}
    return hashes, {key.decode(): redis.do("ZRANGE", key, 0, -1, "WITHSCORES")
                    for key in redis.keys(config.key("top:*"))}


def check_one(checks, redis, config, files, what):
    """One replay, and whether Redis holds what it says."""
    path, closer, close_ms = files
    code, out, err = into_redis(config, path, closer)
    if not checks.equal(code, 0, f"{what}: exit code ({err[-300:]})"):
        return
    checks.equal(json.loads(out), replay(config, path, closer), f"{what}: the summary")
    found = wait_for_slide(redis, config, "24h", close_ms, 60000)
    checks.equal(found["as_of"], str((close_ms - 5000) // 60000 * 60000), f"{what}: as_of of 24h")
    checks.equal(differences(found, replay(config, path)), [], f"{what}: window 24h and summary")
    for window in ("1m", "1h", "24h"):
        as_of = redis.do("HGET", config.key(f"now:{window}"), "as_of").decode()
        ids = [number for number, _ in redis.stream(config.key(f"series:{window}"))]
        checks.equal(ids, [f"{as_of}-0"], f"{what}: the series of {window}")
    for kind in ("alerts", "alertstate", "firing"):
        checks.equal(redis.do("TYPE", config.key(kind)), b"none", f"{what}: {kind}")
    checks.equal(redis.do("SMEMBERS", config.key("partitions")), [b"replay.0"], f"{what}: partitions")


def again_and_again(checks):
    """Twice the same, then an earlier day with fewer countries: of the first nothing is left."""
    redis, config = t.Redis(), replay_config("replay-again")
    late = shop(checks, config, 20000, DAY + timedelta(days=1))
    early = shop(checks, config, 200, DAY)
    check_one(checks, redis, config, late, "the first replay")
    first = published(redis, config)
    check_one(checks, redis, config, late, "the second replay")
    second = published(redis, config)
    checks.equal(sorted(second[0]), sorted(first[0]), "the second replay: keys")
    for key, fields in first[0].items():
        same_figures(checks, second[0].get(key, {}), fields, f"the second replay: {key}")
    checks.equal(second[1], first[1], "the second replay: the lists of the largest")
    # as a weir that still raised alerts in a replay left it
    redis.do("HSET", config.key("alertstate"), "00000000000000ab", STATE)
    check_one(checks, redis, config, early, "an earlier day")
    alone = replay_config("replay-alone")
    alone.tree["kafka"]["topics"] = config.tree["kafka"]["topics"]
    check_one(checks, redis, alone.change(), early, "the earlier day alone")
    checks.equal(sorted(key.replace(config.group, "") for key in published(redis, config)[0]),
                 sorted(key.replace(alone.group, "") for key in published(redis, alone)[0]),
                 "keys of the earlier day")


def nothing_to_publish(checks):
    """An input without an event is no reason to wait."""
    redis, config = t.Redis(), replay_config("replay-empty")
    path = os.path.join(config.dir, "empty.jsonl")
    with open(path, "wb"):
        pass
    begun = time.monotonic()
    code, out, err = into_redis(config, path)
    checks.equal(code, 0, f"exit code without an event ({err[-300:]})")
    checks.equal(json.loads(out)["events"], 0, "events")
    checks.that(time.monotonic() - begun < 10, f"it took {time.monotonic() - begun:.1f} s")
    checks.equal(redis.keys(config.key("now:*")), [], "windows")


def refused(checks, redis, config, path, what, part):
    """At once, before the file is read, and nothing is written."""
    before = {key: redis.do("DUMP", key) for key in redis.keys(f"weir:{{{config.group}*")}
    begun = time.monotonic()
    code, out, err = into_redis(config, path)
    checks.equal(code, 4, f"{what}: exit code ({err[-300:]})")
    checks.contains(err, part, f"{what}: what it says")
    checks.contains(err, "a kafka.group of its own", f"{what}: what to do")
    checks.equal(out, "", f"{what}: nothing was read")
    checks.that(time.monotonic() - begun < 10, f"{what}: it took {time.monotonic() - begun:.1f} s")
    after = {key: redis.do("DUMP", key) for key in redis.keys(f"weir:{{{config.group}*")}
    checks.equal(sorted(after), sorted(before), f"{what}: keys")
    checks.equal([key for key in before if after.get(key) != before[key]], [], f"{what}: values")


def groups_of_run(checks):
    redis, config = t.Redis(), replay_config("replay-run")
    path, end = traffic(checks, config, 2000)
    with open(path, "rb") as lines:
        keyed = [(json.loads(line)["session"], line.rstrip(b"\n")) for line in lines]
    total = feed(config, keyed, closers_at(end))
    weir = t.Weir(config)
    t.wait_counted(redis, config, config.partitions, total, watch=weir)
    wait_for_slide(redis, config, "24h", ms_of(end), 60000)
    code, out, err = into_redis(config, path)
    checks.equal((code, out), (4, ""), f"beside a weir run ({err[-300:]})")
    checks.equal(weir.stop(), 0, "exit code of run")
    refused(checks, redis, config, path, "what run has counted", f"partition {config.topic}.")
    again = t.Weir(config)
    again.wait_log("partition claimed", times=config.partitions)
    checks.equal(sum(t.offsets(redis, config, config.partitions)), total, "what run goes on from")
    checks.equal(again.stop(), 0, "exit code of run afterwards")

    # a topic that is called as the replay's own
    named = replay_config("replay-named")
    redis.do("SADD", named.key("partitions"), "replay.0")
    redis.do("HSET", f"weir:{{{named.group}.replay.0}}:meta", "mark", "1:2:03", "seq", "0")
    refused(checks, redis, named, path, "a topic called replay", "replay.0")
    alerts = replay_config("replay-alerts")
    redis.do("HSET", alerts.key("alertstate"), "00000000000000ab", STATE)
    refused(checks, redis, alerts, path, "alerts of a run", "alerts")


def lease_of_another(checks):
    """Somebody takes the group while the file is read: the totals are told all the same."""
    redis, config = t.Redis(), replay_config("replay-lease")
    path, _ = traffic(checks, config, 2000)
    redis.do("SET", config.key("lease"), "another", "PX", 60000)
    code, out, err = into_redis(config, path)
    checks.equal(code, 4, f"exit code beside another's lease ({err[-300:]})")
    checks.contains(err, "another weir publishes in the group", "what it says")
    checks.equal(json.loads(out), replay(config, path), "the summary beside another's lease")
    checks.equal(redis.keys(config.key("now:*")), [], "windows beside another's lease")


def main():
    t.need_services("kcat")
    checks = t.Checks("test_replay")
    checks.run(again_and_again, nothing_to_publish, groups_of_run, lease_of_another)
    checks.finish()


if __name__ == "__main__":
    main()
