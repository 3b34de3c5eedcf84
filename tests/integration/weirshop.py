"""A shop whose events are made by hand, one slide of 10 s at a time, so that each step of a rule is
known; and a webhook. The events lie in the half hour before now."""

import json
import os
import subprocess
import sys
import time
from datetime import datetime, timezone

import weirtest as t

SLIDE = 10000
SECRET = "a secret of the test"


def iso(ms):
    text = datetime.fromtimestamp(ms // 1000, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{ms % 1000:03d}Z"


class Shop:
    """A topic of one partition, the config that reads it, and its time."""

    def __init__(self, label, *rules, **parts):
        parts.setdefault("time", {"out_of_orderness": "0s", "idle_timeout": "10m"})
        parts.setdefault("alerts", {})
        parts["alerts"] = {"rules_files": ["rules.yaml"], "suspect_lag": "2h", **parts["alerts"]}
        self.config = t.Config(t.topic(label, 1), windows=["10s", "1m", "2m"],
                               commit={"interval": "50ms"},
                               events={"dimensions": {"country": "country"}}, **parts)
        self.config.rules(*rules)
        self.now = (int(time.time() * 1000) - 1800000) // SLIDE * SLIDE
        self.redis = t.Redis()
        self.number = 0
        self.weir = None

    def start(self):
        self.weir = t.Weir(self.config).wait_log("partition claimed")
        return self.weir

    def session(self, at, country, buys):
        self.number += 1
        name = f"s{self.number}"
        events = [{"type": "page_view", "session": name, "country": country, "time": iso(at)}]
        if buys:
            events.append({"type": "purchase", "session": name, "order_id": name, "value": 20,
                           "time": iso(at + 1)})
        return [json.dumps(event).encode() for event in events]

    def slide(self, share=0.5, sessions=20, times=1, more=(), wait=True, **by_country):
        """Slides with as many sessions, of which a share buys; by country where one is named."""
        for _ in range(times):
            lines = []
            for country, its_share in (by_country or {"DE": share}).items():
                for n in range(sessions):
                    lines += self.session(self.now + n * 100, country, n < its_share * sessions)
            lines += more
            self.now += SLIDE
            clock = {"type": "session_end", "session": "clock", "time": iso(self.now)}
            lines.append(json.dumps(clock).encode())
            t.produce(self.config.topic, lines, 0)
            if wait:
                t.wait_window(self.redis, self.config, "10s", self.now)
        return self

    def told(self):
        """The stream: (status, alert) in their order."""
        stream = self.redis.stream(self.config.key("alerts"))
        alerts = [json.loads(fields["alert"]) for _, fields in stream]
        return [(alert["status"], alert) for alert in alerts]

    def statuses(self):
        return [status for status, _ in self.told()]

    def firing(self):
        return [json.loads(text) for text in self.redis.hash(self.config.key("firing")).values()]


def rule(name="ConversionDown", **parts):
    return {"alert": name, "metric": "conversion_rate", "window": "10s", "below": 0.2,
            "min_sample": 10, **parts}


class Webhook:
    """webhook_server.py of this folder, and what it has got."""

    def __init__(self, script=(), port=0):
        self.dir = t.folder()
        self.record = os.path.join(self.dir, "record")
        with open(os.path.join(self.dir, "script"), "w", encoding="utf-8") as out:
            out.writelines(json.dumps(line) + "\n" for line in script)
        server = os.path.join(t.TESTS, "integration", "webhook_server.py")
        self.process = subprocess.Popen(
            [sys.executable, server, self.record, "--script", os.path.join(self.dir, "script"),
             "--secret", SECRET, "--port", str(port)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        t.at_end(self.end)
        self.port = int(self.process.stdout.readline().split()[1])
        self.url = f"http://127.0.0.1:{self.port}/hook"

    def end(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()

    def got(self):
        try:
            with open(self.record, encoding="utf-8") as lines:
                return [json.loads(line) for line in lines]
        except FileNotFoundError:
            return []

    def wait(self, count, seconds=15):
        t.wait_until(seconds, lambda: len(self.got()) >= count, f"{count} webhooks")
        return self.got()


def labels_of(request):
    return json.loads(request["body"])["alerts"][0]["labels"]
