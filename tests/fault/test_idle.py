#!/usr/bin/env python3
"""A partition's watermark follows the clock while nothing comes, and never past a record that waits
in Kafka: not where weir stood still meanwhile, and not where Redis did. The session goes on with it
as if nobody had been away."""

import json
import signal
import time

import weirfault as f
import weirtest as t

PARTITIONS = 2
GAP_S, IDLE_S = 16, 2


class Shop:
    """One session that goes on after a pause that is shorter than the gap."""

    def __init__(self, label, redis=None):
        self.config = t.Config(
            t.topic(f"idle-{label}", PARTITIONS), redis=redis, windows=["1h"],
            sessions={"gap": f"{GAP_S}s"}, commit={"interval": "200ms"},
            time={"idle_timeout": f"{IDLE_S}s", "out_of_orderness": "0s"})
        # so that nobody else takes the partitions over: the same process finds the record
        self.config.tree["kafka"]["rdkafka"]["session.timeout.ms"] = 45000
        self.config.change()
        self.redis = t.connect(self.config.redis)
        self.weir = t.Weir(self.config).wait_log("partition claimed", times=PARTITIONS)

    def event(self):
        text = {"type": "page_view", "time": int(time.time() * 1000), "session": "a"}
        t.produce(self.config.topic, [json.dumps(text).encode()], 0)
        return time.monotonic()

    def wait_idle(self):
        meta = self.config.tag(0, "meta")
        t.wait_until(30, lambda: self.redis.do("HGET", meta, "idle") == b"1", "it is idle")

    def check(self, checks, what):
        t.wait_counted(self.redis, self.config, PARTITIONS, 2, watch=self.weir)
        self.wait_idle()
        end_ms = int((time.time() + GAP_S) * 1000) // 10000 * 10000 + 10000
        found = t.wait_window(self.redis, self.config, "1h", end_ms, 60)
        checks.equal({name: found.get(name) for name in (
            "events", "sessions", "settled.sessions", "settled.bounced_sessions")}, {
                "events": "2", "sessions": "1", "settled.sessions": "1",
                "settled.bounced_sessions": "0"}, f"{what}: the session is one")


def beside_a_pause(checks, label, victim):
    """Stands still from the first record on, until the gap is long over."""
    shop = Shop(label, redis=victim.env["REDIS_URL"] if victim else None)
    begun = shop.event()
    shop.wait_idle()
    pause = (victim or shop.weir).signal
    pause(signal.SIGSTOP)
    time.sleep(max(0, begun + GAP_S / 2 - time.monotonic()))
    shop.event()
    time.sleep(max(0, begun + GAP_S * 1.75 - time.monotonic()))
    pause(signal.SIGCONT)
    shop.check(checks, label)


def weir_frozen(checks):
    beside_a_pause(checks, "weir", None)


def redis_frozen(checks):
    beside_a_pause(checks, "redis", t.Service("redis"))


def nobody_away(checks):
    """The clock does go on: an hour's window ends a session that nothing follows."""
    shop = Shop("calm")
    shop.event()
    time.sleep(GAP_S / 2)
    shop.event()
    shop.check(checks, "calm")


def main():
    t.need_services("kcat")
    checks = t.Checks("idle")
    f.beside(checks, 3, [(part.__name__, lambda part=part: part(checks))
                         for part in (weir_frozen, redis_frozen, nobody_away)])
    checks.finish()


if __name__ == "__main__":
    main()
