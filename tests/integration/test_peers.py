"""The peers of the bench (bench/peers) count what weir counts.

In the default run only the comparer is tried. With WEIR_LONG=1 all four peers read a topic of
200,000 events, and their totals must be those of `weir replay`, to the cent.
"""

import copy
import json
import os
import subprocess
from decimal import Decimal

from weirtest import SUFFIX, TESTS, Checks, Failure, command, folder, need_services

PEERS = os.path.join(TESTS, "..", "bench", "peers")
NAMES = ("streams-memory", "streams-rocksdb", "flink-heap", "flink-rocksdb")
DIMENSIONS = ("country", "device", "channel", "category")
EVENTS = 200_000
PARTITIONS = 8
TRAFFIC = ("--events", EVENTS, "--seed", 11, "--start", "2026-01-05T12:00:00Z")
PEER_SECONDS = 240


def weir(*args):
    code, out, err = command(*args, timeout=120)
    if code != 0:
        raise Failure(f"weir {args[0]}: {err[-500:]}")
    return out


def write(path, value):
    with open(path, "w", encoding="utf-8") as out:
        json.dump(value, out)
    return path


def summary_of(place, traffic):
    """What weir counts of this traffic: the path of its summary."""
    config = {
        "kafka": {"brokers": ["localhost:9092"], "topics": ["t"]},
        "redis": {"url": "redis://localhost"},
        "events": {"preset": "weir", "dimensions": {name: name for name in DIMENSIONS}},
    }
    config_path = write(os.path.join(place, "weir.yaml"), config)
    events = os.path.join(place, "events.jsonl")
    weir("generate", *traffic, "--truth", "none", "--to", events)
    path = os.path.join(place, "summary.json")
    with open(path, "w", encoding="utf-8") as out:
        out.write(weir("replay", "--config", config_path, "--summary", "json", events))
    return path


def agree(summary_path, peer_path):
    run = subprocess.run([os.path.join(PEERS, "agree"), summary_path, peer_path],
                         capture_output=True, text=True, check=False)
    return run.returncode, run.stdout + run.stderr


# ---- the comparer ----

COUNTERS = ("events", "page_views", "sessions", "orders", "session_seconds", "revenue")
SETTLED = ("sessions", "bounced_sessions", "cart_sessions", "session_seconds", "orders", "revenue")


def as_peer(segment):
    row = {name: str(segment["live"][name]) for name in COUNTERS}
    row.update({f"settled.{name}": str(segment["settled"][name]) for name in SETTLED})
    return row


def made_up_peer(summary_path):
    """A peer that counted what weir counted."""
    with open(summary_path, encoding="utf-8") as text:
        summary = json.load(text, parse_float=Decimal)
    totals = as_peer(summary)
    totals["dimensions"] = {
        dimension: {value: as_peer(segment) for value, segment in values.items()}
        for dimension, values in summary["segments"].items()
    }
    return {"events": summary["records"], "totals": totals}


def a_cent_is_a_difference(checks):
    place = folder()
    summary = summary_of(place, ("--events", 5000, "--seed", 3))
    right = made_up_peer(summary)

    def answer(peer):
        return agree(summary, write(os.path.join(place, "peer.json"), peer))

    checks.equal(answer(right), (0, ""), "what it says of the same totals")

    def refused(change, words, what):
        wrong = copy.deepcopy(right)
        change(wrong, wrong["totals"]["dimensions"]["country"])
        code, text = answer(wrong)
        checks.equal(code, 1, f"exit code of {what}")
        checks.contains(text, words, what)

    def one_cent_more(_, countries):
        countries["DE"]["revenue"] = str(Decimal(countries["DE"]["revenue"]) + Decimal("0.01"))

    refused(one_cent_more, "country DE: revenue is", "one cent more")
    refused(lambda peer, _: peer["totals"].update({"settled.bounced_sessions": 1}),
            "total: settled.bounced_sessions is 1", "other bounced sessions")
    refused(lambda peer, _: peer["totals"].pop("orders"), "the peer has no orders", "no orders")
    refused(lambda _, countries: countries.pop("DE"), "country DE: only weir", "no DE")
    refused(lambda _, countries: countries.update(XX=countries["DE"]), "country XX: only the peer",
            "a country too many")
    refused(lambda peer, _: peer.update(events=1), "records: 1", "other records")


# ---- the peers ----


def run_peer(name, topic, place):
    redis = os.environ["REDIS_URL"].split("//")[1].split("/")[0].split("@")[-1]
    arguments = ["--brokers", os.environ["KAFKA_BROKERS"], "--topic", topic,
                 "--partitions", str(PARTITIONS), "--redis", redis,
                 "--state", os.path.join(place, name), "--warm-events", "50000"]
    run = subprocess.run([os.path.join(PEERS, "run"), name, *arguments], capture_output=True,
                         text=True, check=False, timeout=PEER_SECONDS)
    if run.returncode != 0:
        raise Failure(f"{name} ended with {run.returncode}: {run.stderr[-1500:]}")
    return json.loads(run.stdout)


def totals_agree(checks):
    if not os.environ.get("WEIR_LONG") or os.environ.get("WEIR_SANITIZED"):
        checks.skip("the peers themselves: only with --long, and with the release build")
        return
    place = folder()
    summary = summary_of(place, TRAFFIC)
    topic = f"peers-{SUFFIX}"
    weir("generate", *TRAFFIC, "--partitions", PARTITIONS,
         "--to", f"kafka://{os.environ['KAFKA_BROKERS']}/{topic}")
    for name in NAMES:
        peer = run_peer(name, topic, place)
        code, text = agree(summary, write(os.path.join(place, f"{name}.json"), peer))
        checks.equal((code, text), (0, ""), f"what the comparer says of {name}")
        checks.equal(peer["peer"], name, "the peer's name")
        checks.that(0 < peer["events_measured"] < EVENTS, f"{name} leaves out the warm-up")
        checks.that(peer["cpu_s"] > 0 and peer["rss_mb"] > 0, f"{name} says what it cost")
        if name.startswith("streams"): # Flink's first checkpoint may come after so few events
            checks.that(peer["commits"] > 0, f"{name} commits on its way")


need_services()
CHECKS = Checks("test_peers")
CHECKS.run(a_cent_is_a_difference, totals_agree)
CHECKS.finish()
