#!/usr/bin/env python3
"""SIGHUP and /-/reload: what they take over, and what stays until a restart."""

import os
import re
import signal

import weirtest as t
from weirshop import SECRET, Shop, Webhook, labels_of, rule

SANITIZED = bool(os.environ.get("WEIR_SANITIZED"))  # what is freed is kept for a while


def reload(checks):
    """SIGHUP and /-/reload take rules; a mistake changes nothing; a rule that is gone resolves."""
    shop = Shop("reload", rule("First"))
    weir = shop.start()
    shop.slide(0.5, times=2).slide(0.15)
    checks.equal(len(shop.firing()), 1, "firing before the reload")
    shop.config.rules(rule("First"), rule("Second", below=0.3))
    weir.signal(signal.SIGHUP)
    weir.wait_log("are taken over")
    shop.slide(0.15)
    names = sorted(alert["rule"] for alert in shop.firing())
    checks.equal(names, ["First", "Second"], "firing after SIGHUP")
    shop.config.write("rules.yaml", "groups: [{name: test, rules: [{alert: Third, metrik: x}]}]")
    weir.signal(signal.SIGHUP)
    weir.wait_log("nothing was changed")
    checks.contains(weir.log(), "metrik", "the log on a mistake")
    shop.slide(0.15)
    checks.equal(len(shop.firing()), 2, "firing after a mistake")
    shop.config.rules(rule("Second", below=0.3))
    for headers in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        status, _ = weir.http("/-/reload", method="POST", headers=headers)
        checks.equal(status, 403, f"POST /-/reload of a page elsewhere ({headers})")
    own = {"Origin": f"http://127.0.0.1:{weir.port()}"}
    status, _ = weir.http("/-/reload", method="POST", headers=own)
    checks.equal(status, 202, "POST /-/reload")
    weir.wait_log("are taken over", times=2)
    shop.slide(0.15)
    checks.equal([a["rule"] for a in shop.firing()], ["Second"], "firing without the first rule")
    first = [status for status, alert in shop.told() if alert["rule"] == "First"]
    checks.equal(first, ["firing", "resolved"], "what was told of the rule that is gone")
    shop.config.rules(rule("Second", below=0.3, by=["country"]))
    weir.signal(signal.SIGHUP)
    weir.wait_log("are taken over", times=3)
    shop.slide(0.15)
    checks.equal([a["segment"] for a in shop.firing()], [{"country": "DE"}], "firing by country")
    total = [status for status, alert in shop.told()
             if alert["rule"] == "Second" and not alert.get("segment")]
    checks.equal(total, ["firing", "resolved"], "what was told of the rule without a dimension")
    checks.equal(weir.stop(), 0, "exit code")


def reload_of_the_rest(checks):
    """What needs a restart stays as it was at the start, and each reload says so again."""
    hook = Webhook()
    ratio = {"ratio": [{"count": "purchase"}, {"count": "page_view"}]}
    shop = Shop("rest", rule("First"), metrics={"per_view": ratio},
                alerts={"rules_files": ["rules.yaml", "none-*.yaml"]},
                sinks=[{"type": "webhook", "url": hook.url, "secret": SECRET}])
    weir = shop.start()
    shop.slide(DE=0.5, FR=0.5)
    topics, group = shop.config.tree["kafka"]["topics"], shop.config.group + "-other"
    elsewhere = re.sub(r"/\d+$", "", shop.config.redis) + "/9"
    for times in (1, 2):
        rules = [rule("First"), rule("Second", below=0.3)][:times]
        shop.config.change(kafka={"group": group, "topics": [*topics, "no-such-topic"]},
                           redis={"url": elsewhere}, publish={"top": 1},
                           time={"out_of_orderness": "0s", "idle_timeout": "1s"})
        shop.config.rules(*rules)
        weir.signal(signal.SIGHUP)
        weir.wait_log("are taken over", times=times)
        said = [line for line in weir.log().splitlines() if "which a reload does not take" in line]
        checks.equal(len(said), times, "warnings of what is not taken")
        for name in ("kafka.topics", "kafka.group", "redis.url", "time.idle_timeout", "publish.top"):
            checks.contains(said[-1], f"`{name}`", "the warning")
        checks.equal(weir.log().count("matches no file"), 1 + times, "warnings of a pattern")
        shop.slide(DE=0.15, FR=0.15)
    checks.equal([labels_of(request)["alertname"] for request in hook.wait(2)],
                 ["First", "Second"], "what the webhook got")
    top = shop.redis.do("ZRANGE", shop.config.key("top:10s:country"), 0, -1)
    checks.that({b"DE", b"FR"} <= set(top), f"segments that are published: {top}")
    for redis in (shop.redis, t.Redis(elsewhere)):
        checks.equal(redis.keys(f"weir:{{{group}*"), [], "keys of the group that is not taken")
    checks.equal(t.Redis(elsewhere).keys(shop.config.key("*")), [], "keys in the other Redis")
    checks.equal(weir.http("/-/ready")[0], 200, "/-/ready")
    # a rule can only look at what the process has, though the file is in order
    shop.config.change(metrics={"by_view": ratio})
    shop.config.rules(rule("Second", metric="by_view"))
    code, out, _ = t.command("check", "config", shop.config.path)
    checks.equal(code, 0, f"exit code of check config: {out[-300:]}")
    weir.signal(signal.SIGHUP)
    weir.wait_log("nothing was changed; the config has mistakes")
    checks.contains(weir.log(), "rules.yaml:1:", "the log on a rule over what is not taken")
    shop.slide(DE=0.15, FR=0.15)
    checks.equal(sorted(a["rule"] for a in shop.firing()), ["First", "Second"],
                 "firing after a rule over a metric that needs a restart")
    checks.equal(weir.stop(), 0, "exit code")


def reload_often(checks):
    """Configs that a later reload has replaced are let go of."""
    many = [rule(f"Rule{i}", annotations={"summary": "x" * 1500}) for i in range(500)]
    shop = Shop("often", *many)
    weir = shop.start()
    resident = []
    for times in range(1, 5 if SANITIZED else 25):
        weir.signal(signal.SIGHUP)
        weir.wait_log("are taken over", times=times)
        resident.append(weir.metric("process_resident_memory_bytes") / 2**20)
    grown = resident[-1] - resident[3]
    checks.that(grown < 10, f"20 reloads of 500 rules took {grown:.1f} MiB")
    checks.equal(weir.stop(), 0, "exit code")


def main():
    t.need_services("kcat")
    checks = t.Checks("reload")
    checks.run(reload, reload_of_the_rest, reload_often)
    checks.finish()


if __name__ == "__main__":
    main()
