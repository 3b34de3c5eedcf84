"""The peers of the bench (bench/peers) count what weir counts.

In the default run only the comparer and the command line are tried. With WEIR_LONG=1 all four peers
read a topic of records of every kind, good and bad, and their totals must be those of `weir replay`,
to the cent; also when they are killed in the middle and go on from their changelog or checkpoint.
"""

import copy
import json
import os
import subprocess
from decimal import Decimal

from weirtest import (TESTS, Checks, Failure, command, folder, need_services, produce, topic)

PEERS = os.path.join(TESTS, "..", "bench", "peers")
NAMES = ("streams-memory", "streams-rocksdb", "flink-heap", "flink-rocksdb")
DIMENSIONS = ("country", "device", "channel", "category")
EVENTS = 200_000
PARTITIONS = 8
TRAFFIC = ("--events", EVENTS, "--seed", 11, "--start", "2026-01-05T12:00:00Z", "--faults",
           "disorder=2%,delayed=1%,duplicates=1%,malformed=1%")
PEER_SECONDS = 240
KILLED = 128 + 9


def weir(*args):
    code, out, err = command(*args, timeout=120)
    if code != 0:
        raise Failure(f"weir {args[0]}: {err[-500:]}")
    return out


def write(path, value):
    with open(path, "w", encoding="utf-8") as out:
        json.dump(value, out)
    return path


def summary_of(place, traffic, before=()):
    """What weir counts of these records and then of this traffic: the path of its summary."""
    config = {
        "kafka": {"brokers": ["localhost:9092"], "topics": ["t"]},
        "redis": {"url": "redis://localhost"},
        "events": {"preset": "weir", "dimensions": {name: name for name in DIMENSIONS}},
    }
    config_path = write(os.path.join(place, "weir.yaml"), config)
    events = os.path.join(place, "events.jsonl")
    weir("generate", *traffic, "--truth", "none", "--to", events)
    first = os.path.join(place, "before.jsonl")
    with open(first, "wb") as out:
        out.write(b"".join(record + b"\n" for record in before))
    path = os.path.join(place, "summary.json")
    with open(path, "w", encoding="utf-8") as out:
        out.write(weir("replay", "--config", config_path, "--summary", "json", first, events))
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


# ---- records of every kind ----

START = "2026-01-05T11:50:00Z"  # 1767613800
TIMES = (START, "2026-01-05T11:50:07.25Z", "2026-01-05 11:50:07 UTC", "2026-01-05T13:50:07,1+02:00",
         "2026-01-05T11:50:07.123456", "2026-01-05t11:51z", "2026-01-05T06:50:07-0500",
         1767613807, 1767613807250, 1767613807250000, 1767613807.25, 1767613807250.0,
         "1767613807", "1767613807250", "1767613807.5",
         "yesterday", True, -5, 1e30, "2026-02-30T00:00:00Z", "2026-01-05T25:00:00Z", {}, 12, "",
         None, "2026-01-05T11:50:07.Z", "2026-01-05T11:50:07 CET", "2026-01-05x11:50:07Z")
VALUES = ("19.90", 19.9, 10.0, "1e1", 0.005, 1234567.891, 0, "", None, 0.1, 7, "0.0000005", 1e6,
          "abc", -1, "-1", True, [], {"a": 1}, 2000000000, "1,50", "+1", ".5", "5.", "01")
QUANTITIES = (2, 2.7, "3", 0, None, "", 1000000, -1, "x", 1000001, False)
SESSIONS = (12345, "12345", None, "", True, 1.5, {}, ["a"])
VISITORS = ("v-1", 99, None, "", True, [])
ORDERS = ("o-7", 7, "7", None, "", True, 1.5)
TYPES = ("wishlist", 7, None, "", True, {}, "Purchase", "session_start", "refund")
WORDS = ("DE", 5, True, False, None, "", {"a": 1}, ["DE"], "x" * 128, "x" * 129, "\u00e9\u20ac", "_none")
AGENTS = (None, 5, True, "curl/8.0", "Examplebot/1.0", "EXAMPLEBOT", "", "Mozilla/5.0", [])
TEXTS = (b"nothing", b"{", b"{}", b"null", b"[]", b'"text"', b"7",
         b'{"type":"page_view","time":"%s","session":"t-1"',
         b'{"type":"page_view","time":"%s","session":"t-2"} {}',
         b'{"type":"page_view","time":"%s","session":"t-3","session":"t-3"}',
         b'{"type":"page_view","time":"%s","session":"t-4","x":{"session":"other"},"y":[1,{"z":2}]}',
         b'{"type":"page_view","time":"%s","session":"t-5","x":' + b"[" * 15 + b"]" * 15 + b"}",
         b'{"type":"page_view","time":"%s","session":"t-6","x":' + b"[" * 16 + b"]" * 16 + b"}",
         b'{"type":"page_view","time":"%s","session":"\xff\xfe"}',
         b' { "session" : "t-7" , "time" : "%s" , "type" : "page_view" } ')


def records_of_every_kind():
    """Each of the values above in events of a session of its own."""
    records = []

    def add(session, fields, *types):
        for kind in types:
            event = {"session": session, "type": kind, "time": START, "device": "tv"}
            event |= {"value": "12.34"} | (fields if kind == types[-1] else {})
            records.append(json.dumps(event).encode())

    kinds = {"time": TIMES, "value": VALUES, "quantity": QUANTITIES, "session": SESSIONS,
             "order_id": ORDERS, "type": TYPES, "country": WORDS, "user_agent": AGENTS}
    for name, values in kinds.items():
        for number, value in enumerate(values):
            for kind in ("page_view", "purchase", "refund", "add_to_cart", "session_end"):
                add(f"{kind}-{name}-{number}", {name: value}, kind)
            add(f"bought-{name}-{number}", {name: value}, "add_to_cart", "purchase")
            add(f"emptied-{name}-{number}", {name: value}, "add_to_cart", "remove_from_cart")
    for number, visitor in enumerate(VISITORS):
        add(None, {"visitor": visitor}, "purchase")
        add(f"visitor-{number}", {"visitor": visitor}, "purchase")
    return records + [text.replace(b"%s", START.encode()) for text in TEXTS]


# ---- the peers ----


def start_peer(name, topic_name, place, *more):
    redis = os.environ["REDIS_URL"].split("//")[1].split("/")[0].split("@")[-1]
    arguments = {"--brokers": os.environ["KAFKA_BROKERS"], "--topic": topic_name,
                 "--partitions": str(PARTITIONS), "--redis": redis,
                 "--state": os.path.join(place, name), "--warm-events": "50000"}
    arguments |= dict(zip(more[::2], more[1::2]))
    words = [word for pair in arguments.items() for word in pair]
    return subprocess.run([os.path.join(PEERS, "run"), name, *words], capture_output=True,
                          text=True, check=False, timeout=PEER_SECONDS)


def run_peer(name, topic_name, place, *more, code=0):
    run = start_peer(name, topic_name, place, *more)
    if run.returncode != code:
        raise Failure(f"{name} ended with {run.returncode}, not {code}: {run.stderr[-1500:]}")
    return json.loads(run.stdout) if code == 0 else None


def left_out(checks):
    if not os.environ.get("WEIR_LONG") or os.environ.get("WEIR_SANITIZED"):
        checks.skip("the peers themselves: only with --long, and with the release build")
        return True
    return False


def fill():
    """A folder with the summary of what is now in a topic: both their names."""
    place, name = folder(), topic("peers", PARTITIONS)
    records = records_of_every_kind()
    produce(name, records, partition=0)  # some share a session
    weir("generate", *TRAFFIC, "--to", f"kafka://{os.environ['KAFKA_BROKERS']}/{name}")
    return place, name, summary_of(place, TRAFFIC, records)


def says_the_same(checks, place, summary, peer):
    code, text = agree(summary, write(os.path.join(place, "peer.json"), peer))
    checks.equal((code, text), (0, ""), f"what the comparer says of {peer['peer']}")


def totals_agree(checks):
    if left_out(checks):
        return
    place, topic_name, summary = fill()
    for name in NAMES:
        peer = run_peer(name, topic_name, place, "--commit-ms", "500")
        says_the_same(checks, place, summary, peer)
        checks.equal(peer["peer"], name, "the peer's name")
        checks.that(0 < peer["events_measured"] < EVENTS, f"{name} leaves out the warm-up")
        checks.that(peer["cpu_s"] > 0 and peer["rss_mb"] > 0, f"{name} says what it cost")
        checks.that(peer["commits"] > 0, f"{name} commits on its way")
        checks.equal(peer["restored_events"], 0, f"{name} begins anew")


def one_that_was_killed_goes_on(checks):
    if left_out(checks):
        return
    place, topic_name, summary = fill()
    for name in NAMES:
        more = ("--name", f"killed-{topic_name}", "--commit-ms", "300")
        run_peer(name, topic_name, place, *more, "--kill-after", str(EVENTS // 2), code=KILLED)
        peer = run_peer(name, topic_name, place, *more)
        says_the_same(checks, place, summary, peer)
        checks.that(0 < peer["restored_events"] < EVENTS, f"{name} goes on from its last commit")
        checks.equal(os.listdir(os.path.join(place, name)), [], f"what {name} leaves behind")


def mistakes_are_named(checks):
    run = subprocess.run([os.path.join(PEERS, "run"), "streams"], capture_output=True, text=True,
                         check=False, timeout=30)
    checks.equal(run.returncode, 2, "exit code without a peer")
    checks.contains(run.stderr, "bench/peers/run PEER --brokers", "the usage")
    if left_out(checks):
        return
    place, topic_name = folder(), topic("peers-empty", PARTITIONS)
    for name in ("streams-memory", "flink-heap"):
        for more, words in ((("--partitions", "3"), "has 8 partitions, not 3"),
                            (("--brokers", "127.0.0.1:1"), "Kafka at 127.0.0.1:1: "),
                            (("--redis", "127.0.0.1:1"), "Redis at 127.0.0.1:1: "),
                            (("--warm-events", "some"), "it takes a whole number"),
                            (("--speed", "1"), "knows no --speed"), ((), "is empty")):
            run = start_peer(name, topic_name, place, *more)
            checks.equal(run.returncode, 1, f"exit code of {name} {more}")
            checks.contains(run.stderr, words, f"{name} {more}")


need_services("kcat")
CHECKS = Checks("test_peers")
CHECKS.run(a_cent_is_a_difference, mistakes_are_named, totals_agree, one_that_was_killed_goes_on)
CHECKS.finish()
