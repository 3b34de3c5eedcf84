#!/usr/bin/env python3
"""What is published is the same, whether Redis takes hashes as it keeps them (RESTORE) or the user
may not do that and they are written field by field."""

import json

import weirtest as t
from weirstream import (closers_at, feed, ms_of, same_figures, stream_config, traffic,
                        wait_for_slide)

EVENTS = 20000
TOP = 5  # fewer than there are countries: some leave the list, and the rest is `_other`


def shop(checks):
    config = stream_config("publish", publish={"top": TOP})
    path, end = traffic(checks, config, EVENTS)
    with open(path, "rb") as lines:
        keyed = [(json.loads(line)["session"], line.rstrip(b"\n")) for line in lines]
    return config, feed(config, keyed, closers_at(end)), ms_of(end)


def without_restore(config):
    """The same shop with a Redis whose user may not."""
    service = t.Service("redis")
    t.Redis(service.env["REDIS_URL"]).do("ACL", "SETUSER", "default", "-restore")
    tree = {name: part for name, part in config.tree.items() if name not in ("kafka", "redis")}
    other = t.Config(config.topic, brokers=config.brokers, redis=service.env["REDIS_URL"], **tree)
    other.partitions = config.partitions
    return other


def published(redis, config):
    prefix = config.key("").encode()
    found = {}
    for key in redis.keys(config.key("now:*")):
        found[key.removeprefix(prefix).decode()] = redis.hash(key)
    tops = {key.removeprefix(prefix).decode(): redis.do("ZRANGE", key, 0, -1, "WITHSCORES")
            for key in redis.keys(config.key("top:*"))}
    return found, tops


def run(checks, config, total, close_ms):
    """What is published at the end, and whether it was said that Redis refuses."""
    redis = t.connect(config.redis)
    weir = t.Weir(config)
    t.wait_counted(redis, config, config.partitions, total, watch=weir)
    wait_for_slide(redis, config, "24h", close_ms, 60000)
    found = published(redis, config)
    checks.equal(weir.stop(), 0, "exit code")
    return found, "Redis does not take RESTORE" in weir.log()


def both_ways(checks):
    config, total, close_ms = shop(checks)
    restored, refused = run(checks, config, total, close_ms)
    checks.that(not refused, "Redis takes RESTORE")
    plain, refused = run(checks, without_restore(config), total, close_ms)
    checks.that(refused, "a refusal is said")
    (hashes, tops), (plain_hashes, plain_tops) = restored, plain
    checks.equal(sorted(plain_hashes), sorted(hashes), "the keys of windows and segments")
    checks.that(len(hashes) > TOP + 3, f"there are segments: {sorted(hashes)}")
    checks.that("now:24h:country:_other" in hashes, f"there is the rest: {sorted(hashes)}")
    for key, fields in hashes.items():
        same_figures(checks, plain_hashes.get(key, {}), fields, key)
    checks.equal(plain_tops, tops, "the lists of the largest")


def main():
    t.need_services("kcat")
    checks = t.Checks("test_publish")
    checks.run(both_ways)
    checks.finish()


if __name__ == "__main__":
    main()
