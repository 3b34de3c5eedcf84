#!/usr/bin/env python3
"""Rules over a real broker and Redis: from a drop to the sinks and out again, through kill -9."""

import json
import os
import signal
import time

import weirtest as t
from weirshop import SECRET, SLIDE, Shop, Webhook, iso, labels_of, rule


def life_cycle(checks):
    """pending, firing, resolved: in Redis, by pub/sub, webhook, Kafka, log; each id once."""
    hook = Webhook(script=[{"status": 503}])
    letters = t.topic("alerts", 1)
    shop = Shop("life", rule(**{"for": "20s"}, keep_firing_for="10s", labels={"severity": "page"},
                             annotations={"summary": "Conversion {{value}} ({{num}}/{{den}})"}),
                sinks=[{"type": "webhook", "name": "hook", "url": hook.url, "secret": SECRET},
                       {"type": "kafka", "topic": letters}, {"type": "log"}])
    listener = t.Redis()
    listener.do("SUBSCRIBE", shop.config.key("alerts"))
    weir = shop.start()
    shop.slide(0.5, times=3)
    checks.equal(shop.statuses(), [], "alerts while all is well")
    shop.slide(0.05)
    checks.equal(shop.statuses(), ["pending"], "alerts after one bad slide")
    checks.equal(shop.firing(), [], "firing while it is pending")
    checks.equal(len(hook.got()), 0, "webhooks while it is pending")
    shop.slide(0.05, times=2)
    checks.equal(shop.statuses(), ["pending", "firing"], "alerts after `for`")
    check_alert(checks, shop)
    shop.slide(0.05)
    checks.equal(shop.statuses(), ["pending", "firing"], "alerts while it goes on")
    checks.equal(len(shop.firing()), 1, "firing while it goes on")
    shop.slide(0.5)
    checks.equal(shop.statuses(), ["pending", "firing"], "alerts within keep_firing_for")
    shop.slide(0.5)
    checks.equal(shop.statuses(), ["pending", "firing", "resolved"], "alerts at the end")
    checks.equal(shop.firing(), [], "firing at the end")
    shop.slide(0.5, times=2)
    told = [alert for _, alert in shop.told()]
    checks.equal(len({alert["id"] for alert in told}), 3, "different ids of three alerts")
    checks.equal(len({alert["fingerprint"] for alert in told}), 1, "fingerprints of one alert")
    checks.that(told[2]["ends_at"] > told[1]["starts_at"], "it ends after it started")
    check_listener(checks, listener, told)
    check_webhook(checks, hook, told[1:])
    t.wait_until(10, lambda: len(t.consume(letters)) >= 2, "alerts in Kafka")
    sent = t.consume(letters)
    checks.equal([json.loads(value) for *_, value in sent], told[1:], "alerts in Kafka")
    checks.equal([headers.get("idempotency-key") for _, _, headers, *_ in sent],
                 [alert["id"] for alert in told[1:]], "idempotency keys in Kafka")
    checks.contains(weir.log(), "area=alert msg=firing", "the log")
    checks.contains(weir.log(), "area=alert msg=resolved", "the log")
    checks.equal(weir.metric("weir_sink_sent_total", sink="hook"), 2, "weir_sink_sent_total")
    checks.that(weir.metric("weir_sink_failures_total", sink="hook") >= 1, "the 503 is counted")
    code, out, err = t.command("get", "alerts", "--config", shop.config.path)
    checks.equal(code, 0, f"exit code of get alerts: {err[-300:]}")
    checks.contains(out, "ConversionDown", "weir get alerts")
    checks.equal(weir.stop(), 0, "exit code")


def check_alert(checks, shop):
    """As design/interface.md has it."""
    found = shop.firing()
    if not checks.equal(len(found), 1, "firing alerts"):
        return
    alert = found[0]
    want = {"status": "firing", "rule": "ConversionDown", "metric": "conversion_rate",
            "reading": "live", "window": "10s", "segment": {}, "value": 0.05, "num": 1, "den": 20,
            "threshold": 0.2, "ends_at": None, "labels": {"severity": "page"},
            "as_of": iso(shop.now),
            "starts_at": iso(shop.now - 2 * SLIDE), "data_quality": "good"}
    for name, value in want.items():
        checks.equal(alert.get(name), value, f"firing alert: {name}")
    checks.equal(alert["annotations"], {"summary": "Conversion 5.00 % (1/20)"}, "annotations")
    low, high = alert["interval"]
    checks.that(low < 0.05 < high, f"interval {alert['interval']}")
    checks.that(alert["summary"] and "\n" not in alert["summary"], f"summary {alert['summary']!r}")
    key = list(shop.redis.hash(shop.config.key("firing")))
    checks.equal(key, [alert["fingerprint"]], "field of the hash of firing alerts")
    status, body = shop.weir.http("/api/v1/alerts")
    checks.equal(status, 200, "/api/v1/alerts")
    checks.contains(body, alert["fingerprint"], "/api/v1/alerts")


def check_listener(checks, listener, told):
    heard = [json.loads(listener.read()[2]) for _ in told]
    checks.equal(heard, told, "alerts by pub/sub")


def check_webhook(checks, hook, told):
    got = hook.wait(len(told) + 1)
    checks.equal(len(got), len(told) + 1, "requests, the one that got 503 twice")
    keys = [request["headers"].get("idempotency-key") for request in got]
    checks.equal(keys, [told[0]["id"]] + [alert["id"] for alert in told], "idempotency keys")
    checks.equal({request.get("signature_ok") for request in got}, {True}, "signatures")
    for request, alert in zip(got[1:], told):
        body = json.loads(request["body"])
        checks.equal(body["version"], "4", "webhook: version")
        checks.equal(body["status"], alert["status"], "webhook: status")
        labels = body["alerts"][0]["labels"]
        checks.equal(labels.get("alertname"), alert["rule"], "webhook: alertname")
        checks.equal(labels.get("severity"), "page", "webhook: a label of the rule")


def survives_kill(checks):
    """kill -9 while pending and while firing: one message of each, on the old identity."""
    hook = Webhook()
    shop = Shop("kill", rule(**{"for": "20s"}),
                sinks=[{"type": "webhook", "url": hook.url, "secret": SECRET}])
    shop.start()
    shop.slide(0.5, times=2).slide(0.05)
    checks.equal(shop.statuses(), ["pending"], "alerts before the first kill")
    shop.weir.kill()
    shop.slide(0.05, wait=False)
    shop.start()
    shop.slide(0.05)
    checks.equal(shop.statuses(), ["pending", "firing"], "alerts after the first kill")
    hook.wait(1)
    shop.weir.kill()
    shop.slide(0.05, wait=False)
    shop.start()
    shop.slide(0.05, times=2)
    checks.equal(shop.statuses(), ["pending", "firing"], "alerts after the second kill")
    checks.equal(len(shop.firing()), 1, "firing after the second kill")
    shop.slide(0.5)
    checks.equal(shop.statuses(), ["pending", "firing", "resolved"], "alerts at the end")
    shop.weir.kill()
    shop.start()
    shop.slide(0.5)
    checks.equal(shop.statuses(), ["pending", "firing", "resolved"], "alerts after the last kill")
    told = [alert for _, alert in shop.told()]
    checks.equal(len({alert["fingerprint"] for alert in told}), 1, "fingerprints")
    checks.equal({alert["starts_at"] for alert in told}, {told[0]["starts_at"]}, "starts_at")

    def keys():  # one may have come twice: weir was killed when it had been sent
        return {request["headers"]["idempotency-key"] for request in hook.got()}

    t.wait_until(15, lambda: len(keys()) >= 2, "both are at the webhook")
    checks.equal(keys(), {told[1]["id"], told[2]["id"]}, "idempotency keys at the webhook")
    shop.slide(0.05, times=3).slide(0.5)
    again = [alert for _, alert in shop.told()][3:]
    statuses = [alert["status"] for alert in again]
    checks.equal(statuses, ["pending", "firing", "resolved"], "the next incident")
    checks.equal({a["id"] for a in again} & {a["id"] for a in told}, set(), "ids of both incidents")


def wakes(checks):
    """The first record after a quiet time ends it: nothing is `suspect` for want of data."""
    shop = Shop("wakes", rule())
    shop.start()
    shop.slide(0.5, times=2)
    shop.weir.kill()
    shop.start()  # nothing came for longer than idle_timeout, by the times of the records
    meta = shop.config.tag(0, "meta")
    t.wait_until(10, lambda: shop.redis.do("HGET", meta, "idle") == b"1", "the partition is idle")
    shop.slide(0.05)
    checks.equal(shop.statuses(), ["firing"], "alerts of the first slide after a quiet time")


def silences(checks):
    """A silence keeps an alert from the sinks, not from the stream; what fires beyond its end is
    told then, and what nobody was told of ends without a word."""
    hook = Webhook()
    shop = Shop("silence", rule(), rule("Other", below=0.1),
                sinks=[{"type": "webhook", "url": hook.url, "secret": SECRET}])
    shop.start()
    shop.slide(0.5, times=2)
    code, out, err = t.command("silence", "add", "alertname=ConversionDown", "--for", "1h",
                               "--comment", "a test", "--config", shop.config.path)
    checks.equal((code, err), (0, ""), "exit code and complaints of silence add")
    code, typo, err = t.command("silence", "add", "alertnmae=ConversionDown", "country=DE",
                                "window!=1m", "--for", "1h", "--comment", "a slip", "--config",
                                shop.config.path)
    checks.equal(code, 0, f"exit code of silence add with a slip: {err[-300:]}")
    checks.contains(err, "has the label `alertnmae`; is it misspelt?", "what it says of the slip")
    checks.equal(err.count("misspelt"), 1, "slips")
    t.command("silence", "expire", typo.split()[0], "--config", shop.config.path)
    shop.slide(0.15)
    checks.equal(shop.statuses(), ["firing"], "alerts in the stream")
    checks.that(shop.told()[0][1].get("silenced_by"), "the alert names its silence")
    shop.slide(0.05)
    got = hook.wait(1)
    time.sleep(1)
    names = [labels_of(request)["alertname"] for request in hook.got()]
    checks.equal(names, ["Other"], f"alerts at the webhook of {len(got)}")
    shop.slide(0.5)
    hook.wait(2)
    shop.slide(0.15)
    code, listed, _ = t.command("silence", "list", "--config", shop.config.path)
    checks.contains(listed, "a test", "silence list")
    code, _, err = t.command("silence", "expire", out.split()[0], "--config", shop.config.path)
    checks.equal(code, 0, f"exit code of silence expire: {err[-300:]}")
    shop.slide(0.15)
    request = hook.wait(3)[2]
    checks.equal(labels_of(request)["alertname"], "ConversionDown", "the alert after the silence")
    checks.equal(json.loads(request["body"])["status"], "firing", "its status")
    told = [alert["id"] for _, alert in shop.told()]
    checks.that(request["headers"]["idempotency-key"] not in told, "an id of its own")
    shop.slide(0.15, times=2).slide(0.5)
    got = hook.wait(4)
    time.sleep(1)
    statuses = [(labels_of(r)["alertname"], json.loads(r["body"])["status"]) for r in hook.got()]
    checks.equal(statuses, [("Other", "firing"), ("Other", "resolved"),
                            ("ConversionDown", "firing"), ("ConversionDown", "resolved")],
                 f"all that the webhook got, {len(got)}")
    t.command("silence", "add", "alertname=ConversionDown", "--for", "1h", "--comment", "again",
              "--config", shop.config.path)
    shop.slide(0.15)
    shop.config.rules(rule("Other", below=0.1))
    shop.weir.signal(signal.SIGHUP)
    shop.weir.wait_log("are taken over")
    shop.slide(0.15)
    last = [(status, alert["rule"]) for status, alert in shop.told()][-2:]
    checks.equal(last, [("firing", "ConversionDown"), ("resolved", "ConversionDown")],
                 "a silenced alert whose rule is gone")
    time.sleep(1)
    checks.equal(len(hook.got()), 4, "webhooks of what nobody was told of")


def conditions(checks):
    """min_sample, drops_by, rises_by, by: each fires where it should and nowhere else."""
    shop = Shop("conditions",
                rule("Small", min_sample=1000),
                rule("Drop", below=None, drops_by="50%", against="previous_window", min_sample=10),
                rule("ByCountry", by=["country"], below=0.3, **{"for": "10s"}),
                rule("Minute", window="1m", below=0.2),
                {"alert": "Few", "metric": "sessions", "window": "10s", "below": 30},
                {"alert": "Settled", "metric": "bounce_rate", "reading": "settled", "window": "2m",
                 "above": 0.01, "min_sample": 5})
    # what is not a condition of a rule must not be named there
    tree = json.loads(open(os.path.join(shop.config.dir, "rules.yaml"), encoding="utf-8").read())
    for one in tree["groups"][0]["rules"]:
        for name in [name for name, value in one.items() if value is None]:
            del one[name]
    shop.config.write("rules.yaml", json.dumps(tree))
    shop.start()
    shop.slide(DE=0.6, FR=0.6, times=4)
    checks.equal(shop.statuses(), [], "alerts while all is well")
    shop.slide(DE=0.6, FR=0.1, times=2)
    told = [(a["rule"], a["status"], a["segment"]) for _, a in shop.told()]
    checks.equal(told, [("ByCountry", "pending", {"country": "FR"}),
                        ("ByCountry", "firing", {"country": "FR"})], "alerts of one country")
    shop.slide(DE=0.6, FR=0.6)
    shop.slide(DE=0.25, FR=0.25)
    told = [(a["rule"], a["status"]) for _, a in shop.told()][2:]
    checks.equal(sorted(told), [("ByCountry", "pending"), ("ByCountry", "pending"),
                                ("ByCountry", "resolved"), ("Drop", "firing")], "alerts of a drop")
    drop = [a for _, a in shop.told() if a["rule"] == "Drop"][0]
    checks.contains(drop["summary"], "down by more than 50 %", "summary of the drop")
    shop.slide(DE=0.6, FR=0.6)
    shop.slide(DE=0.6, sessions=20)
    told = [(a["rule"], a["status"]) for _, a in shop.told()]
    checks.that(("Few", "firing") in told, f"a counter below its number fires: {told}")
    checks.that(all(name not in ("Small", "Minute", "Settled") for name, _ in told),
                f"rules with too small a sample or a cold window are silent: {told}")


def suspect(checks):
    """A jump in dead letters or unknown types, a producer that stalls: suspect, not firing."""
    hook = Webhook()
    sinks = [{"type": "webhook", "url": hook.url, "secret": SECRET}]
    shop = Shop("junk", rule(), sinks=sinks)
    shop.start()
    shop.slide(0.5, sessions=30, times=8)
    shop.slide(0.05, sessions=30, more=[b"junk"] * 60)
    told = shop.told()
    checks.equal([status for status, _ in told], ["suspect"], "alerts when dead letters jump")
    checks.contains(told[0][1]["data_quality"] if told else "", "dead letters", "why it is suspect")
    quality = shop.redis.do("HGET", shop.config.key("published"), "data_quality").decode()
    checks.contains(quality, "dead letters", "what the dashboard says of the data")
    checks.equal(shop.firing(), [], "firing when dead letters jump")

    shop = Shop("unknown", rule(), sinks=sinks)
    shop.start()
    shop.slide(0.5, sessions=30, times=8)
    renamed = {"type": "bought", "session": "u", "country": "DE", "time": iso(shop.now)}
    shop.slide(0, sessions=30, more=[json.dumps(renamed).encode()] * 15)
    checks.equal(shop.statuses(), ["firing"], "alerts with a few unknown types")
    shop.slide(0.5, sessions=30)
    renamed["time"] = iso(shop.now)
    shop.slide(0, sessions=30, more=[json.dumps(renamed).encode()] * 100)
    told = shop.told()[2:]
    checks.equal([status for status, _ in told], ["suspect"], "alerts when unknown types jump")
    checks.contains(told[0][1]["data_quality"] if told else "", "unknown event types",
                    "why it is suspect")
    checks.equal(shop.firing(), [], "firing when unknown types jump")

    few = {"alert": "NoSessions", "metric": "sessions", "window": "10s", "below": 1}
    stalled = Shop("stall", few, sinks=sinks, time={"out_of_orderness": "0s", "idle_timeout": "2s"})
    stalled.start()
    stalled.slide(0.5, times=3)
    t.wait_until(30, lambda: stalled.statuses(), "an alert of a stalled producer")
    checks.equal(stalled.statuses(), ["suspect"], "alerts when the producer stalls")
    checks.contains(stalled.told()[0][1]["data_quality"], "no data", "why it is suspect")
    checks.equal(stalled.firing(), [], "firing when the producer stalls")
    time.sleep(1)
    kinds = [json.loads(request["body"])["status"] for request in hook.got()]
    checks.equal(kinds, ["firing", "resolved"], "webhooks: of the few unknown types only")


def catching_up(checks):
    """After a downtime the figures are behind the clock: suspect, until the end is reached."""
    slow = {"fetch.message.max.bytes": "1", "fetch.min.bytes": "1000000", "fetch.wait.max.ms": "300"}
    shop = Shop("behind", rule(), alerts={"suspect_lag": "60s"}, kafka={"rdkafka": {**t.FAST_GROUP, **slow}})
    shop.start()
    shop.slide(0.5, times=3)
    shop.slide(0.05).slide(0.5)
    checks.equal(shop.statuses(), ["firing", "resolved"], "alerts of old data without a lag")
    shop.weir.stop()
    shop.slide(0.05, times=10, wait=False)  # 3 seconds' worth, as the broker waits with each
    shop.start()
    t.wait_window(shop.redis, shop.config, "10s", shop.now)
    told = shop.told()[2:]
    checks.equal([status for status, _ in told], ["suspect", "firing"], "alerts while catching up")
    checks.contains(told[0][1]["data_quality"], "catching up", "why it is suspect")
    checks.equal(told[-1][1]["as_of"], iso(shop.now), "it fires at the end and not before")


def main():
    t.need_services("kcat")
    checks = t.Checks("alerts")
    parts = [life_cycle, survives_kill, wakes, silences, conditions, suspect, catching_up]
    checks.run(*parts)
    checks.finish()


if __name__ == "__main__":
    main()
