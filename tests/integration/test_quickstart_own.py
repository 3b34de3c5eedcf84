#!/usr/bin/env python3
"""deploy/quickstart on one's own Kafka and Redis: with traffic that it makes, and on a topic that is
there already. Afterwards both services hold what they held before."""

import os
import re
import subprocess
import time

import weirtest as t

QUICKSTART = os.path.join(os.path.dirname(t.TESTS), "deploy", "quickstart")


def topics():
    listing = subprocess.run(["kcat", "-L", "-b", os.environ["KAFKA_BROKERS"]],
                             capture_output=True, text=True, timeout=30, check=True).stdout
    return set(re.findall(r'topic "([^"]+)"', listing))


def quickstart(*args, brokers=None):
    own = ("--brokers", brokers or os.environ["KAFKA_BROKERS"], "--redis", os.environ["REDIS_URL"])
    return subprocess.run([QUICKSTART, *own, *args], capture_output=True, text=True, timeout=240,
                          stdin=subprocess.DEVNULL, check=False)


def nothing_left(checks, redis, ran, made, what):
    """The topics that it made are those that it told of; other tests may run a demo meanwhile."""
    checks.equal(redis.keys("weir:{weir-demo*"), [], f"keys of the demo {what}")
    told = set(re.findall(r"make the topic (weir-demo-\S+)", ran.stdout))
    checks.equal(len(told), made, f"topics made {what}")
    checks.equal(told & topics(), set(), f"topics of the demo {what}")


def made_traffic(checks):
    """The traffic goes through the user's Kafka: the alert fires, and all is removed."""
    redis = t.Redis()
    ran = quickstart("--seconds", "90")
    checks.equal(ran.returncode, 0, f"exit code; {ran.stdout[-600:]} {ran.stderr[-600:]}")
    checks.contains(ran.stdout, "alert firing: ConversionDown  country DE", "the alert")
    checks.that("start Redis" not in ran.stdout, "no Redis of its own is started")
    nothing_left(checks, redis, ran, 1, "after made traffic")


def own_topic(checks):
    """No traffic is made: a topic of generated events is read as it is, and kept."""
    redis, name = t.Redis(), t.topic("shop")
    code, _, errors = t.command("generate", "--events", "30000", "--sessions-per-second", "100",
                     "--start", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 900)),
                     "--to", f"kafka://{os.environ['KAFKA_BROKERS']}/{name}")
    checks.equal(code, 0, f"weir generate: {errors}")
    ran = quickstart("--topic", name, "--preset", "weir", "--seconds", "12")
    checks.equal(ran.returncode, 0, f"exit code; {ran.stdout[-600:]} {ran.stderr[-600:]}")
    checks.that(re.search(r"5m +sessions [1-9]", ran.stdout), f"sessions: {ran.stdout[-600:]}")
    checks.that(name in topics(), "the topic is kept")
    nothing_left(checks, redis, ran, 0, "after a topic of one's own")


def nobody_there(checks):
    """A broker that does not answer is named, and the exit code says it."""
    ran = quickstart("--seconds", "5", brokers="127.0.0.1:1")
    checks.equal(ran.returncode, 3, f"exit code; {ran.stderr[-300:]}")
    checks.contains(ran.stderr, "check the brokers' addresses", "what it says")


def main():
    t.need_services("kcat", "java")
    checks = t.Checks("quickstart_own")
    if os.environ.get("WEIR_SANITIZED"):
        checks.skip("the quickstart runs the release build")
    else:
        checks.run(made_traffic, own_topic, nobody_there)
    checks.finish()


if __name__ == "__main__":
    main()
