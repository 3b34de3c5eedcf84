"""Alerts on their way to sinks: rules that keep firing and resolving, a webhook and a topic that write
down what they get, and what must have been told at the end."""

import json
import os
import subprocess
import sys

import weirtest as t

# They fire and resolve all the time, so that a fault always finds some on their way.
RULES = [
    {"alert": "Many", "metric": "sessions", "window": "1m", "above": 440, "by": ["device"]},
    {"alert": "Few", "metric": "sessions", "window": "1m", "below": 100, "by": ["country"]},
]
# changes only and no reminders; data may be as old as that
ALERTS = {"rules_files": ["rules.yaml"], "suspect_lag": "90d", "repeat_interval": "90d"}
PER_SECOND = 12  # sessions, for these rules


class Sinks:
    """A webhook and a topic for the alerts of one run."""

    def __init__(self, brokers=None):
        self.brokers = brokers
        self.topic = t.topic("alerts", 1, brokers)
        self.dir = t.folder()
        self.record = os.path.join(self.dir, "record")
        self.hook = subprocess.Popen(
            [sys.executable, os.path.join(t.TESTS, "integration", "webhook_server.py"),
             self.record], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        t.at_end(self.end)
        self.url = f"http://127.0.0.1:{self.hook.stdout.readline().split()[1]}/hook"

    def end(self):
        self.hook.stdin.close()
        self.hook.stdout.close()
        self.hook.wait()

    def parts(self):
        """Of a config, which then needs config.rules(*RULES)."""
        return {"alerts": ALERTS, "sinks": self.config()}

    def config(self):
        return [{"type": "webhook", "name": "hook", "url": self.url},
                {"type": "kafka", "name": "topic", "topic": self.topic}]

    def hooked(self):
        """{idempotency key: the different bodies under it}."""
        found = {}
        if os.path.exists(self.record):
            with open(self.record, encoding="utf-8") as lines:
                for line in lines:
                    seen = json.loads(line)
                    found.setdefault(seen["headers"].get("idempotency-key"), set()).add(seen["body"])
        return found

    def in_topic(self):
        """The ids in the topic, in their order."""
        return [headers.get("idempotency-key")
                for _, _, headers, _, _ in t.consume(self.topic, self.brokers, "read_committed")]

    def told(self, config):
        """How many changes the stream in Redis has."""
        return t.connect(config.redis).do("XLEN", config.key("alerts"))

    def wait_empty(self, config, seconds=30):
        redis = t.connect(config.redis)
        t.wait_until(seconds, lambda: not redis.do("XLEN", config.key("outbox:hook"))
                     and not redis.do("XLEN", config.key("outbox:topic")), "the sinks are served")

    def check(self, checks, config, what):
        """Every change once in the stream, once in the topic, at least once at the webhook."""
        stream = t.connect(config.redis).stream(config.key("alerts"))
        told = [json.loads(fields["alert"]) for _, fields in stream]
        ids = [alert["id"] for alert in told]
        checks.equal(len(ids), len(set(ids)), f"{what}: ids in the stream, each once")
        want = {alert["id"] for alert in told if alert["status"] in ("firing", "resolved")}
        checks.that(len(want) > 2, f"{what}: alerts were told: {len(want)}")
        topic = self.in_topic()
        twice = sorted(name for name in set(topic) if topic.count(name) > 1)
        checks.equal(twice, [], f"{what}: ids more than once in the topic")
        hooked = self.hooked()
        for name, found in (("topic", set(topic)), ("webhook", set(hooked))):
            checks.equal(sorted(want - found), [], f"{what}: alerts missing at the {name}")
            checks.equal(sorted(found - want), [], f"{what}: alerts only at the {name}")
        changed = [name for name, bodies in hooked.items() if len(bodies) > 1]
        checks.equal(changed, [], f"{what}: keys with two bodies at the webhook")
        return len(want)
