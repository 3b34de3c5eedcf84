#!/usr/bin/env python3
"""A primary with a replica under Sentinel: the primary is killed, frozen or told to hand over, the
replica takes its place, also one that has missed the last second, and what is counted stays what one
undisturbed run counts; every change of an alert is told once, also those that were lost with the old primary."""

import os
import signal
import time

import weirtest as t
from weiralerts import PER_SECOND, RULES, Sinks
from weirstream import (
    PARTITIONS,
    Feeder,
    Figures,
    Sampler,
    closers_at,
    feed_closers,
    finish_and_compare,
    lately,
    ms_of,
    stream_config,
    traffic,
)

LONG = bool(os.environ.get("WEIR_LONG"))
NAME = "shop"
ALONE_S = 1


class Watched:
    """The two servers and their Sentinel."""

    def __init__(self):
        self.service = t.Service("redis", form="sentinel")
        self.url = self.service.env["REDIS_URL"]
        self.servers = {}
        for name in ("primary", "replica"):
            server = self.service.member(name)
            self.servers[server.env["REDIS_PORT"]] = server
        port = self.service.member("sentinel").env["REDIS_PORT"]
        self.sentinel = t.Redis(f"redis://127.0.0.1:{port}")

    def port(self):
        """Of the primary, as the Sentinel says."""
        return self.sentinel.do("SENTINEL", "get-master-addr-by-name", NAME)[1].decode()

    def wait_other(self, before):
        t.wait_until(30, lambda: self.port() != before, "the Sentinel promotes the replica")
        return self.port()

    def wait_pair(self):
        """The one that was away follows the other, so that the next fault has somewhere to go."""
        port = self.port()
        redis = t.Redis(f"redis://127.0.0.1:{port}")
        t.wait_until(40, lambda: b"state=online" in redis.do("INFO", "replication"),
                     "the old primary follows the new one")
        other = t.Redis(f"redis://127.0.0.1:{next(name for name in self.servers if name != port)}")
        t.wait_until(40, lambda: b"master_link_status:up" in other.do("INFO", "replication"),
                     "it has loaded what the new one sent")


def kill(watched, port):
    """Dead: gone until the test brings it back."""
    watched.servers[port].kill()
    return watched.servers[port].resume


def kill_alone(watched, port):
    """Dead, and its replica has heard nothing for a while: what was acknowledged meanwhile is lost."""
    replica = next(other for other in watched.servers if other != port)
    t.Redis(f"redis://127.0.0.1:{replica}").do("REPLICAOF", "127.0.0.1", "1")
    time.sleep(ALONE_S)
    return kill(watched, port)


def freeze(watched, port):
    """It takes connections and answers nothing; thawed it believes for a moment that it is still
    the primary."""
    watched.servers[port].signal(signal.SIGSTOP)
    return lambda: watched.servers[port].signal(signal.SIGCONT)


def hand_over(watched, port):
    watched.sentinel.do("SENTINEL", "FAILOVER", NAME)
    return lambda: None


def lost(weir):
    """Commits by which it learnt that Redis lost writes: the last ones, or also its claim."""
    return weir.metric("weir_rollbacks_total") + weir.metric("weir_fenced_total")


def run(checks, faults, label, events, seconds):
    watched, sinks = Watched(), Sinks()
    config = stream_config(label, redis=watched.url, http={"listen": "127.0.0.1:0"},
                           **sinks.parts())
    config.rules(*RULES)
    path, end = traffic(checks, config, events, "--sessions-per-second", PER_SECOND,
                        begin=lately())
    weir = t.Weir(config).wait_log("partition claimed", times=PARTITIONS)
    feeder, sampler = Feeder(config, path, seconds), Sampler(config)
    figures = Figures(f"fail-over by Sentinel, {label}")
    time.sleep(1.5)
    for fault in faults:
        port, found = watched.port(), len(sampler.back)
        lost_before = lost(weir)
        before = sum(t.offsets(t.connect(watched.url), config, PARTITIONS))
        begun = time.monotonic()
        mend = fault(watched, port)
        watched.wait_other(port)
        promoted = time.monotonic() - begun
        there = t.offsets(t.connect(watched.url), config, PARTITIONS)

        def counts_on(low=before, there=there):
            """Each partition, on the new primary: weir has met there whatever that has lost."""
            now = t.offsets(t.connect(watched.url), config, PARTITIONS)
            return sum(now) > low and all(map(int.__gt__, now, there))

        t.wait_until(30, counts_on, f"weir counts on after {fault.__name__}: {weir.tail()}")
        figures.recovered.append(time.monotonic() - begun)
        figures.injected += 1
        print(f"{fault.__name__}: promoted after {promoted:.1f} s, weir counts on after "
              f"{figures.recovered[-1]:.1f} s, {lost(weir) - lost_before} commits met lost writes "
              f"(fenced {weir.metric('weir_fenced_total')} so far), "
              f"what is published went back {len(sampler.back) - found} times")
        if lost(weir) > lost_before:
            sampler.forgive(found)  # Redis itself lost its last writes, and what was published then
        if fault is not faults[-1]:
            mend()
            watched.wait_pair()
    total = feeder.finish() + PARTITIONS
    feed_closers(config, closers_at(end))
    finish_and_compare(checks, config, total, ms_of(end), label, weir, whole=True)
    rollbacks = weir.metric("weir_rollbacks_total")
    looks = sampler.finish(checks, label)
    sinks.wait_empty(config)
    told = sinks.check(checks, config, label, lost=True)
    figures.take(weir).show(total, records=total, alerts=told, looks_at_what_is_published=looks,
                            commits_tried_again=weir.metric("weir_redis_errors_total"))
    if kill_alone in faults:
        checks.that(rollbacks > 0, f"{label}: what the replica has missed is counted again")
    checks.equal(weir.stop(), 0, "exit code")
    return watched, config


def primary_killed(checks):
    watched, config = run(checks, [hand_over, kill], "killed", 180000, 14)
    sentinel = watched.url.split("://")[1].split("/")[0]
    for url, code, part in [(f"redis+sentinel://{sentinel}/other", 3, "knows no primary called"),
                            (f"redis://{sentinel}", 4, "is a Sentinel"),
                            ("redis+sentinel://127.0.0.1:1/shop", 3, "127.0.0.1:1")]:
        weir = t.Weir(config.change(redis={"url": url}))
        checks.equal(weir.wait_exit(), code, f"exit code for {url}")
        checks.contains(weir.log(), part, f"what weir says to {url}")
    one_away = f"redis+sentinel://127.0.0.1:1,{sentinel}/shop"
    code, out, err = t.command("get", "partitions", "--redis", one_away, "--group", config.group)
    checks.equal(code, 0, f"exit code with one Sentinel of two away: {err}")
    checks.contains(out, config.topic, "get partitions")


def lagging_replica(checks):
    run(checks, [kill_alone], "lagging", 100000, 6)


def many_faults(checks):
    run(checks, [hand_over, freeze, kill, kill_alone, hand_over], "promoted", 400000, 45)


def main():
    t.need_services("kcat")
    checks = t.Checks("sentinel")
    checks.run(primary_killed, lagging_replica, *[many_faults] * LONG)
    checks.finish()


if __name__ == "__main__":
    main()
