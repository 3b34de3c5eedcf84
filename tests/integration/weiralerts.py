"""Alerts on their way to sinks: rules that keep firing and resolving, a webhook and a topic that write
down what they get, and what must have been told at the end."""

import json
import os
import subprocess
import sys
from datetime import datetime

import weirtest as t
import weirtopics

# They fire and resolve all the time, so that a fault always finds some on their way.
RULES = [
    {"alert": "Many", "metric": "sessions", "window": "1m", "above": 440, "by": ["device"]},
    {"alert": "Few", "metric": "sessions", "window": "1m", "below": 100, "by": ["country"]},
    {"alert": "Busy", "metric": "sessions", "window": "1m", "above": 720},
]
# changes only and no reminders; data may be as old as that
ALERTS = {"rules_files": ["rules.yaml"], "suspect_lag": "90d", "repeat_interval": "90d"}
PER_SECOND = 12  # sessions, for these rules


def due(slides, above):
    """What a rule for the total changes over the slides that were published, as (time, status): a
    slide and what it brings of alerts are written in one step."""
    found, fires = [], False
    for fields in slides:
        if (int(fields["sessions"]) > above) != fires:
            fires = not fires
            found.append((int(fields["as_of"]), "firing" if fires else "resolved"))
    return found


def none_is_missing(checks, told, firing, what):
    """The changes of each alert in the stream are numbered without a gap from where it begins to
    where it ends, and one that has not ended is held as firing under its last id."""
    last = {}
    for alert in told:
        fingerprint, starts, number = alert["id"].split("-")
        before = last.get(fingerprint)
        wanted = (before[0], before[1] + 1) if before else (starts, 1)
        checks.equal((starts, int(number)), wanted, f"{what}: number of a change in {alert['id']}")
        last[fingerprint] = (starts, int(number))
        if alert["status"] == "resolved":
            del last[fingerprint]
    open_ids = {f"{fingerprint}-{starts}-{number}" for fingerprint, (starts, number) in last.items()}
    checks.equal(sorted(json.loads(text)["id"] for text in firing.values()), sorted(open_ids),
                 f"{what}: alerts held as firing")


def all_that_was_due(checks, told, slides, what):
    """The changes of the rule for the total are those that the published figures ask for."""
    rule = next(rule for rule in RULES if "by" not in rule)
    got = [(ms_of(alert["as_of"]), alert["status"])
           for alert in told if alert["rule"] == rule["alert"]]
    checks.equal(got, due(slides, rule["above"]),
                 f"{what}: changes of {rule['alert']}, and what the figures ask for")


def ms_of(text):
    return round(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1000)


class Sinks:
    """A webhook and a topic for the alerts of one run."""

    def __init__(self, brokers=None, replication=1):
        self.brokers = brokers
        self.topic = t.topic("alerts", replication, brokers, replication)
        self.dir = t.folder()
        self.record, self.orders = (os.path.join(self.dir, name) for name in ("record", "orders"))
        self.hook = subprocess.Popen(
            [sys.executable, os.path.join(t.TESTS, "integration", "webhook_server.py"),
             self.record, "--script", self.orders],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
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

    def refuse(self):
        """Neither the webhook nor the topic takes anything until accept()."""
        with open(self.orders, "w", encoding="utf-8") as orders:
            orders.write('{"status": 503}\n' * 10000)
        weirtopics.set_max_message_bytes(self.topic, 100, self.brokers)

    def accept(self):
        os.remove(self.orders)
        weirtopics.set_max_message_bytes(self.topic, 1000000, self.brokers)

    def hooked(self, status=None):
        """{idempotency key: the different bodies under it}; `status`: where that was answered."""
        found = {}
        if os.path.exists(self.record):
            with open(self.record, encoding="utf-8") as lines:
                for line in lines:
                    seen = json.loads(line)
                    key = seen["headers"].get("idempotency-key")
                    if status in (None, seen["status"]):
                        found.setdefault(key, set()).add(seen["body"])
        return found

    def in_topic(self):
        """The ids in the topic, in the order of each partition."""
        return [headers.get("idempotency-key")
                for _, _, headers, _, _ in t.consume(self.topic, self.brokers, "read_committed")]

    def told(self, config):
        """How many changes the stream in Redis has."""
        return t.connect(config.redis).do("XLEN", config.key("alerts"))

    def wait_empty(self, config, seconds=30):
        redis = t.connect(config.redis)
        t.wait_until(seconds, lambda: not redis.do("XLEN", config.key("outbox:hook"))
                     and not redis.do("XLEN", config.key("outbox:topic")), "the sinks are served")

    def check(self, checks, config, what, lost=False):
        """Every change once in the stream, once in the topic, at least once at the webhook. `lost`:
        Redis went back, and with it slides whose alerts were told again."""
        redis = t.connect(config.redis)
        told = [json.loads(fields["alert"]) for _, fields in redis.stream(config.key("alerts"))]
        ids = [alert["id"] for alert in told]
        checks.equal(len(ids), len(set(ids)), f"{what}: ids in the stream, each once")
        none_is_missing(checks, told, redis.hash(config.key("firing")), what)
        if not lost:
            warm = int(redis.hash(config.key("published"))["first"]) + 60000
            slides = [fields for _, fields in redis.stream(config.key("series:1m"))]
            all_that_was_due(checks, told,
                             [slide for slide in slides if int(slide["as_of"]) >= warm], what)
        want = {alert["id"] for alert in told if alert["status"] in ("firing", "resolved")}
        checks.that(len(want) > 2, f"{what}: alerts were told: {len(want)}")
        topic = self.in_topic()
        twice = sorted(name for name in set(topic) if topic.count(name) > 1)
        checks.equal(twice, [], f"{what}: ids more than once in the topic")
        hooked = self.hooked()
        for name, found in (("topic", set(topic)), ("webhook", set(self.hooked(200)))):
            checks.equal(sorted(want - found), [], f"{what}: alerts missing at the {name}")
            checks.equal(sorted(found - want), [], f"{what}: alerts only at the {name}")
        changed = [name for name, bodies in hooked.items() if len(bodies) > 1]
        checks.equal(changed, [], f"{what}: keys with two bodies at the webhook")
        return len(want)
