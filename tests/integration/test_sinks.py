#!/usr/bin/env python3
"""Sinks over a real broker and Redis: one that is dead, a queue that is full, an Alertmanager."""

import json
import os
import socket
import subprocess
import time
import urllib.request

import weirtest as t
from weirshop import SECRET, Shop, Webhook, rule


def free_port():
    with socket.socket() as some:
        some.bind(("127.0.0.1", 0))
        return some.getsockname()[1]


def alertmanager(checks):
    """A real Alertmanager shows it, tells its receiver, and no longer shows it once it is over."""
    port, home, hook = free_port(), t.folder(), Webhook()
    config = {"route": {"receiver": "hook", "group_by": ["alertname", "country"],
                        "group_wait": "1s", "group_interval": "1s", "repeat_interval": "1h"},
              "receivers": [{"name": "hook", "webhook_configs": [{"url": hook.url}]}]}
    with open(os.path.join(home, "config.yml"), "w", encoding="utf-8") as out:
        json.dump(config, out)
    with open(os.path.join(home, "log"), "wb") as log:
        manager = subprocess.Popen(
            ["prometheus-alertmanager", f"--config.file={home}/config.yml",
             f"--storage.path={home}/data", f"--web.listen-address=127.0.0.1:{port}",
             "--cluster.listen-address="], stdout=log, stderr=log)
    t.at_end(lambda: (manager.terminate(), manager.wait()))

    def shown():
        try:
            url = f"http://127.0.0.1:{port}/api/v2/alerts"
            with urllib.request.urlopen(url, timeout=5) as answer:
                return json.loads(answer.read())
        except OSError:
            return None

    t.wait_until(20, lambda: shown() is not None, "Alertmanager answers")
    shop = Shop("manager", rule(labels={"severity": "page"}, by=["country"]),
                sinks=[{"type": "alertmanager", "url": f"http://127.0.0.1:{port}"}])
    shop.start()
    shop.slide(0.5, times=2).slide(0.05)
    found = t.wait_until(15, shown, "the alert in Alertmanager")
    checks.equal(len(found), 1, "alerts in Alertmanager")
    labels = found[0]["labels"]
    want = {"alertname": "ConversionDown", "severity": "page", "country": "DE"}
    checks.equal({name: labels.get(name) for name in want}, want, "labels in Alertmanager")
    checks.equal(found[0]["status"]["state"], "active", "state in Alertmanager")
    checks.that(found[0]["annotations"].get("summary"), "a summary in Alertmanager")
    hook.wait(1)
    shop.slide(0.5)
    t.wait_until(15, lambda: shown() == [], "the alert has left Alertmanager")
    bodies = [json.loads(request["body"]) for request in hook.wait(2)]
    checks.equal([body["status"] for body in bodies], ["firing", "resolved"],
                 "what Alertmanager told its receiver")
    for body in bodies:
        alert = body["alerts"][0]
        checks.equal(len(body["alerts"]), 1, "alerts in one notification")
        checks.equal({name: alert["labels"].get(name) for name in want}, want, "labels told")
        checks.equal(alert["annotations"], found[0]["annotations"] if alert["status"] == "firing"
                     else alert["annotations"], "annotations told")
    ends = [body["alerts"][0]["endsAt"] for body in bodies]
    starts = {body["alerts"][0]["startsAt"] for body in bodies}
    checks.equal(len(starts), 1, f"one start: {starts}")
    checks.that(ends[0].startswith("0001") and ends[1] > min(starts), f"ends told: {ends}")
    checks.equal(shop.statuses(), ["firing", "resolved"], "alerts in the stream")


def dead_sink(checks):
    """Nobody listens: counting goes on, and the alert arrives when somebody does."""
    port = free_port()
    shop = Shop("dead", rule(),
                sinks=[{"type": "webhook", "name": "dead", "url": f"http://127.0.0.1:{port}/",
                        "secret": SECRET}])
    weir = shop.start()
    shop.slide(0.5, times=2).slide(0.05)
    begun = time.monotonic()
    shop.slide(0.05, times=3)
    checks.that(time.monotonic() - begun < 10, "a dead sink does not delay counting")
    checks.equal(weir.metric("weir_sink_waiting", sink="dead"), 1, "weir_sink_waiting")
    status, body = weir.http("/-/ready")
    checks.equal(status, 200, f"/-/ready with a dead sink: {body}")
    weir.kill()
    shop.start()
    hook = Webhook(port=port)
    got = hook.wait(1, 20)
    checks.equal(got[0]["headers"]["idempotency-key"], shop.told()[0][1]["id"], "what arrives late")
    t.wait_until(10, lambda: shop.weir.metric("weir_sink_waiting", sink="dead") == 0,
                 "the queue is empty")


def full_queue(checks):
    """A sink is dead for long: its queue keeps the newest `outbox_max`, the others are counted."""
    port = free_port()
    countries = ["AT", "BE", "CH", "DE", "ES", "FR", "GB", "IT"]
    shop = Shop("full", rule(by=["country"]), alerts={"outbox_max": 5},
                sinks=[{"type": "webhook", "name": "dead", "url": f"http://127.0.0.1:{port}/",
                        "secret": SECRET}])
    weir = shop.start()
    good, bad = dict.fromkeys(countries, 0.5), dict.fromkeys(countries, 0.05)
    shop.slide(times=2, **good).slide(**bad)
    checks.equal(len(shop.told()), 8, "alerts in the stream")
    queue = shop.config.key("outbox:dead")
    checks.equal(shop.redis.do("XLEN", queue), 5, "alerts in the queue")
    checks.equal(weir.metric("weir_sink_dropped_total", sink="dead"), 3, "dropped at once")
    for _ in range(10):
        shop.slide(**good).slide(**bad)
    shop.slide(**good)
    told = [alert for _, alert in shop.told()]
    checks.equal(len(told), 176, "alerts in the stream at the end")
    checks.equal(shop.redis.do("XLEN", queue), 5, "alerts in the queue at the end")
    checks.equal(weir.metric("weir_sink_dropped_total", sink="dead"), 171, "dropped at the end")
    checks.equal(weir.log().count("the queue of a sink is full"), 1, "warnings within a minute")
    weir.kill()  # it may wait for up to a minute before the next try
    shop.start()
    got = Webhook(port=port).wait(5, 20)
    checks.equal([request["headers"]["idempotency-key"] for request in got],
                 [alert["id"] for alert in told[-5:]], "the newest arrive")


def main():
    t.need_services("kcat")
    checks = t.Checks("sinks")
    parts = [dead_sink, full_queue]
    if t.shutil.which("prometheus-alertmanager"):
        parts.append(alertmanager)
    else:
        checks.skip("there is no prometheus-alertmanager: apt-get install prometheus-alertmanager")
    checks.run(*parts)
    checks.finish()


if __name__ == "__main__":
    main()
