#!/usr/bin/env python3
"""A Redis Cluster of three primaries: what is counted there is byte for byte what one Redis holds,
also while slots move from one primary to another and while a primary is away, what is published
never goes back, and every change of an alert is told."""

import os
import random
import re
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
MEMBERS = ("1", "2", "3")


class Nodes:
    """The primaries, by their ids."""

    def __init__(self, service):
        self.service, self.redis, self.ports = service, {}, {}
        for name in MEMBERS:
            port = service.member(name).env["REDIS_PORT"]
            node = t.Redis(f"redis://127.0.0.1:{port}")
            number = node.do("CLUSTER", "MYID").decode()
            self.redis[number], self.ports[number] = node, port

    def owner(self, slot, seconds=30):
        """As its owner itself says: for a moment after a move there may be none that says so."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for number, node in self.redis.items():
                for first, last, place, *_ in node.do("CLUSTER", "SLOTS"):
                    if first <= slot <= last and place[2].decode() == number:
                        return number
            time.sleep(0.2)
        raise t.Failure(f"nobody serves slot {slot}")

    def errors(self):
        """How often each redirect was answered, over all."""
        found = dict.fromkeys(("MOVED", "ASK", "TRYAGAIN"), 0)
        for node in self.redis.values():
            text = node.do("INFO", "errorstats").decode()
            for name, count in re.findall(r"errorstat_(\w+):count=(\d+)", text):
                if name in found:
                    found[name] += int(count)
        return found

    def move(self, slot, pause):
        """A slot with its keys, as redis-cli does it but slowly: `pause` seconds before each few
        keys, so that weir meets a slot that lies half here and half there."""
        source = self.owner(slot)
        target = random.choice([number for number in self.redis if number != source])
        here, there = self.redis[source], self.redis[target]
        there.do("CLUSTER", "SETSLOT", slot, "IMPORTING", source)
        here.do("CLUSTER", "SETSLOT", slot, "MIGRATING", target)
        moved = 0
        while True:
            time.sleep(pause)
            keys = here.do("CLUSTER", "GETKEYSINSLOT", slot, 20)
            if not keys:
                break
            here.do("MIGRATE", "127.0.0.1", self.ports[target], "", 0, 10000, "KEYS", *keys)
            moved += len(keys)
        for node in (there, here, *self.redis.values()):
            node.do("CLUSTER", "SETSLOT", slot, "NODE", target)
        return moved


def start(checks, label, events, **parts):
    service = t.Service("redis", form="cluster")
    config = stream_config(label, redis=service.env["REDIS_URL"], **parts)
    config.rules(*RULES)
    path, end = traffic(checks, config, events, "--sessions-per-second", PER_SECOND,
                        begin=lately())
    weir = t.Weir(config).wait_log("partition claimed", times=config.partitions)
    return service, config, path, end, weir


def slots_of(config):
    """Of every partition and of what is published."""
    cluster = t.connect(config.redis)
    keys = [config.tag(p, "meta") for p in range(config.partitions)] + [config.key("lease")]
    return [cluster.slot(key) for key in keys]


def faults(checks):
    """Every slot that holds something of weir's moves, some more than once, while weir counts; then
    a primary is killed and comes back on its append-only file."""
    seconds, rounds = (40, 4) if LONG else (6, 1)
    partitions = 12
    sinks = Sinks()
    service, config, path, end, weir = start(
        checks, "slots", 20000 * seconds, partitions=partitions, http={"listen": "127.0.0.1:0"},
        **sinks.parts())
    nodes, slots = Nodes(service), slots_of(config)
    feeder, sampler = Feeder(config, path, seconds), Sampler(config)
    t.wait_until(10, lambda: sampler.samples > 20, "something is published")
    keys, moves, before = 0, 0, sinks.told(config)
    latest = time.monotonic() + seconds + 30  # on a slow machine the first alert comes late
    while moves < rounds * len(slots) or (sinks.told(config) == before
                                          and time.monotonic() < latest):
        for slot in random.sample(slots, len(slots)):
            keys += nodes.move(slot, random.choice((0, 0.02, 0.05)))
            moves += 1
    told = sinks.told(config) - before
    checks.that(told > 0, f"changes of alerts while slots move: {told}")
    looks = sampler.finish(checks, "slots that move")
    errors = nodes.errors()
    print(f"{moves} moves of slots with {keys} keys; redirects {errors}; "
          f"{weir.metric('weir_redis_errors_total')} commits tried again; {told} changes of alerts; "
          f"{looks} looks at what is published")
    for name, count in errors.items():
        checks.that(count > 0, f"weir or the test met {name}")
    checks.equal(weir.metric("weir_rollbacks_total"), 0, "weir_rollbacks_total")
    figures = Figures("slots moved, then a primary killed")
    figures.injected = moves + 1
    figures.recovered.append(primary_away(service, weir))
    total = feeder.finish() + partitions
    feed_closers(config, closers_at(end, partitions))
    finish_and_compare(checks, config, total, ms_of(end), "slots that move", weir, whole=True)
    sinks.wait_empty(config)
    told = sinks.check(checks, config, "slots that move", lost=True)
    checks.equal(weir.stop(), 0, "exit code")
    figures.take(weir).show(total, alerts=told)


def primary_away(service, weir):
    """What it lost of its last second is counted again from Kafka. Returns how long weir took once
    it was there again."""

    def stalls():
        return weir.log().count("cannot commit"), weir.log().count("Redis answers again")

    before = t.wait_until(20, lambda: stalls() if stalls()[0] == stalls()[1] else None,
                          "no commit is tried again")
    victim = service.member(random.choice(MEMBERS))
    victim.kill()
    weir.wait_log("cannot commit", 20, before[0] + 1)
    begun = time.monotonic()
    victim.resume()
    weir.wait_log("Redis answers again", 30, before[1] + 1)
    return time.monotonic() - begun


def every_command(checks):
    """get, silence, replay and --rebuild do on a cluster what they do on one Redis."""
    service, config, path, _, weir = start(checks, "commands", 20000)
    total = Feeder(config, path, 1).finish()
    cluster = t.connect(config.redis)
    t.wait_counted(cluster, config, PARTITIONS, total, watch=weir)
    t.wait_until(20, lambda: cluster.hash(config.key("now:1m")), "a window is published")
    place = ("--redis", config.redis, "--group", config.group)
    for what, part in [("windows", "conversion_rate"), ("segments", "country"),
                       ("partitions", config.topic), ("alerts", config.group)]:
        code, out, err = t.command("get", what, *place)
        checks.equal(code, 0, f"exit code of get {what}: {err}")
        checks.contains(out, part, f"get {what}")
    code, out, _ = t.command("silence", "add", "country=DE", "--for", "1h", "--comment", "x", *place)
    checks.equal(code, 0, "exit code of silence add")
    checks.contains(t.command("silence", "list", *place)[1], out.strip(), "silence list")
    checks.equal(weir.stop(), 0, "exit code")
    again = t.Weir(config, "--rebuild").wait_log("partition claimed", times=PARTITIONS)
    t.wait_counted(cluster, config, PARTITIONS, total, watch=again)
    checks.equal(again.stop(), 0, "exit code after --rebuild")
    config.change(kafka={"group": f"{config.group}-replay"})
    code, _, err = t.command("replay", "--config", config.path, "--redis", config.redis, path)
    checks.equal(code, 0, f"exit code of replay: {err}")
    lone = service.member("1").env["REDIS_URL"]
    code, _, err = t.command("replay", "--config", config.path, "--redis", lone, path)
    checks.equal(code, 4, "exit code for one node of a cluster")
    checks.contains(err, "commas between them", "what to write instead")
    refusals(checks, service)


def refusals(checks, service):
    """Every primary is looked at, not only the first; and what is no cluster is told so."""
    config = t.Config("none", redis=service.env["REDIS_URL"])
    node = t.Redis(f"redis://127.0.0.1:{service.member('3').env['REDIS_PORT']}")
    node.do("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    weir = t.Weir(config)
    checks.equal(weir.wait_exit(), 4, "exit code where one primary may evict")
    checks.contains(weir.log(), service.member("3").env["REDIS_PORT"], "which of them may")
    place = os.environ["REDIS_URL"].removeprefix("redis://").split("/")[0]
    weir = t.Weir(config.change(redis={"url": f"redis://{place},{place}"}))
    checks.equal(weir.wait_exit(), 3, "exit code where there is no cluster")
    checks.contains(weir.log(), "write one host where there is none", "what weir says then")


def main():
    t.need_services("kcat")
    checks = t.Checks("cluster")
    checks.run(faults, every_command)
    checks.finish()


if __name__ == "__main__":
    main()
