#!/usr/bin/env python3
"""A real Prometheus scrapes a running weir and loads the rules that are deployed with it."""

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request

import weirtest as t

RULES = os.path.join(os.path.dirname(t.TESTS), "deploy", "prometheus-rules.yaml")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Prometheus:
    """Scrapes one address once a second."""

    def __init__(self, target):
        folder, self.port = t.folder(), free_port()
        config = os.path.join(folder, "prometheus.yml")
        with open(config, "w", encoding="utf-8") as out:
            json.dump({"global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
                       "rule_files": [RULES],
                       "scrape_configs": [{"job_name": "weir",
                                           "static_configs": [{"targets": [target]}]}]}, out)
        with open(os.path.join(folder, "prometheus.log"), "wb") as log:
            self.process = subprocess.Popen(
                ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder}/data",
                 f"--web.listen-address=127.0.0.1:{self.port}"], stdout=log, stderr=log)
        t.at_end(self.stop)

    def stop(self):
        self.process.terminate()
        self.process.wait(20)

    def api(self, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/{path}",
                                        timeout=5) as answer:
                return json.load(answer)["data"]
        except (urllib.error.URLError, ConnectionError):
            return None

    def value(self, query):
        found = self.api(f"query?query={query}") or {"result": []}
        return float(found["result"][0]["value"][1]) if found["result"] else None


def running_weir(checks):
    config = t.Config(t.topic("prom"), http={"listen": "127.0.0.1:0"})
    start = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 120))
    to = f"kafka://{os.environ['KAFKA_BROKERS']}/{config.topic}"
    code, _, errors = t.command("generate", "--events", "5000", "--start", start,
                                "--sessions-per-second", "20", "--to", to)
    checks.equal(code, 0, f"weir generate: {errors}")
    weir = t.Weir(config).ready()
    t.wait_until(20, lambda: weir.metric("weir_events_total") >= 5000, "the events are counted")
    return weir


def lint(checks, *args, stdin=None):
    ran = subprocess.run(["promtool", "check", *args], input=stdin, capture_output=True, text=True,
                         timeout=30, check=False)
    checks.equal((ran.returncode, ran.stderr), (0, ""), f"promtool check {args[0]}: {ran.stdout}")


def scraped(checks):
    weir = running_weir(checks)
    lint(checks, "rules", RULES)
    lint(checks, "metrics", stdin=weir.http("/metrics")[1])
    prometheus = Prometheus(f"127.0.0.1:{weir.port()}")
    t.wait_until(30, lambda: prometheus.value("up") == 1, "Prometheus has scraped weir")
    checks.equal(prometheus.value("sum(weir_events_total)"), 5000, "weir_events_total there")

    def evaluated():
        groups = (prometheus.api("rules") or {"groups": []})["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        return rules if rules and all(rule["health"] != "unknown" for rule in rules) else None

    for rule in t.wait_until(30, evaluated, "Prometheus has evaluated the rules"):
        checks.equal((rule["health"], rule.get("lastError")), ("ok", None), rule["name"])


def main():
    t.need_services("prometheus", "promtool")
    checks = t.Checks("prometheus")
    checks.run(scraped)
    checks.finish()


if __name__ == "__main__":
    main()
