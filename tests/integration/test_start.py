#!/usr/bin/env python3
"""Where counting begins: `kafka.start: latest` leaves out what was there when the group began, and
nothing that came later, in whichever partition and whether weir ran then or not."""

import json

import weirtest as t
import weirtopics

PARTITIONS = 2


def event(session):
    return json.dumps({"type": "page_view", "session": session, "time": "2026-01-05T09:00:00Z"}).encode()


def begin(config, partitions):
    return t.Weir(config).wait_log("partition claimed", 30, times=partitions)


def latest(checks):
    config = t.Config(t.topic("latest", PARTITIONS), kafka={"start": "latest"})
    config.tree["kafka"]["rdkafka"]["topic.metadata.refresh.interval.ms"] = 500
    config.change()
    redis = t.connect(config.redis)
    for partition in range(PARTITIONS):
        t.produce(config.topic, [event("old")] * 3, partition)
    weir = begin(config, PARTITIONS)
    t.wait_until(20, lambda: t.offsets(redis, config, PARTITIONS) == [3] * PARTITIONS, "its beginning")

    def add(number):
        weirtopics.add_partitions(config.topic, number + 1)
        t.produce(config.topic, [event(f"new-{number}")] * 2, number)

    add(PARTITIONS)
    t.wait_until(30, lambda: t.offsets(redis, config, PARTITIONS + 1)[-1] == 2,
                 "a partition that came under a running weir, from its first record")
    checks.equal(weir.stop(), 0, "exit code")
    add(PARTITIONS + 1)
    again = begin(config, PARTITIONS + 2)
    t.wait_until(30, lambda: t.offsets(redis, config, PARTITIONS + 2)[-1] == 2,
                 "a partition that came while weir was away, from its first record")
    t.wait_until(5, lambda: again.metric("weir_events_total") == 2, "events of the second run")
    checks.equal(again.stop(), 0, "exit code of the second run")
    checks.equal(t.offsets(redis, config, PARTITIONS + 2), [3] * PARTITIONS + [2, 2], "offsets")


def main():
    t.need_services("kcat")
    checks = t.Checks("start")
    checks.run(latest)
    checks.finish()


if __name__ == "__main__":
    main()
