#!/usr/bin/env python3
"""A topic without keys: weir run says that its sessions are split, and weir rekey copies it into one
that is keyed, each record once, whatever kills it."""

import json
import os
import random
import signal
import threading
import time
from datetime import datetime, timezone

import weirtest as t
import weirtopics
from weirrekey import (
    Rekey,
    check_copy,
    committed,
    generated,
    produce_in_turn,
    rekey_once,
    session_of,
    stamps,
    time_of,
)
from weirstream import (
    PARTITIONS,
    closers_at,
    differences,
    feed_closers,
    ms_of,
    replay,
    stream_config,
    wait_for_slide,
)

LONG = bool(os.environ.get("WEIR_LONG")) and not os.environ.get("WEIR_SANITIZED")
END = datetime(2026, 1, 5, 20, tzinfo=timezone.utc)
SPLIT = "spread over several partitions, and each part"


def behind(records):
    """By how many seconds a record is at most older than one before it in its partition."""
    newest, most = {}, 0
    for partition, _, value in records:
        moment = time_of(value)
        newest[partition] = max(newest.get(partition, 0), moment)
        most = max(most, newest[partition] - moment)
    return most


def partitions_of(config, *args):
    code, out, err = t.command("get", "partitions", "--config", config.path, *args)
    if code != 0:
        raise t.Failure(f"weir get partitions exits with {code}: {err[-500:]}")
    return out


def ratio(weir):
    """The share that /metrics tells, None before it is known."""
    for line in weir.http("/metrics")[1].splitlines():
        if line.startswith("weir_split_sessions_ratio "):
            return float(line.split()[1])
    return None


def ratio_is(weir, low, high):
    share = ratio(weir)
    return share is not None and low <= share <= high


def split_shares(config):
    tree = json.loads(partitions_of(config, "--json"))
    return [partition["split_sessions"] for partition in tree["partitions"]]


def noticed(checks):
    """Without keys it is said everywhere, with keys nowhere."""
    config = stream_config("split", http={"listen": "127.0.0.1:0"})
    _, lines = generated(config, 40000)
    keyed = t.Config(t.topic("whole", PARTITIONS), time=config.tree["time"])
    produce_in_turn(config.topic, lines)
    t.produce(keyed.topic, [(session_of(line), line) for line in lines])
    redis = t.Redis()
    for source, low, high in ((config, 0.6, 1), (keyed, 0, 0)):
        weir = t.Weir(source)
        t.wait_counted(redis, source, PARTITIONS, len(lines), watch=weir)
        wanted = f"between {low} and {high}"
        t.wait_until(20, lambda: ratio_is(weir, low, high), f"a ratio {wanted}, {ratio(weir)}")
        shares = split_shares(source)
        checks.equal(len(shares), PARTITIONS, "partitions that tell their share")
        checks.that(all(share is not None and low <= share <= high for share in shares),
                    f"shares of the partitions {wanted}: {shares}")
        checks.equal(SPLIT in weir.log(), low > 0, f"the log says so (ratio {wanted})")
        checks.that(weir.log().count(SPLIT) <= 1, "it is said once")
        if low > 0:
            checks.contains(weir.log(), "weir rekey", "what to do")
            checks.contains(partitions_of(source).splitlines()[0], "split", "the table's header")
            again = t.Weir(source)  # the share survives, as it is part of the state
            again.wait_log("started")
            checks.equal(weir.stop(), 0, "exit code")
            again.wait_log(SPLIT, 30)
            checks.equal(split_shares(source), shares, "shares after another has taken over")
            weir = again
        checks.equal(weir.stop(), 0, "exit code")


class UnkeyedFeeder:
    """Produces lines at a steady rate, the next one to the next partition."""

    def __init__(self, topic, lines, seconds):
        self.thread = threading.Thread(target=self.work, args=(topic, lines, seconds), daemon=True)
        self.failure = None
        self.thread.start()

    def work(self, topic, lines, seconds):
        steps, begun = int(seconds * 4), time.monotonic()
        try:
            for step in range(steps):
                produce_in_turn(topic, lines[len(lines) * step // steps :
                                             len(lines) * (step + 1) // steps])
                time.sleep(max(0, begun + (step + 1) / 4 - time.monotonic()))
        except t.Failure as failure:
            self.failure = failure

    def finish(self):
        self.thread.join(120)
        if self.failure:
            raise self.failure


def copy_and_kill(config, copy, kills_max):
    """Copies a backlog, killed at random up to so often; gives how often it was."""
    for kills in range(kills_max):
        run = Rekey(config, copy, "--once").wait_log("group=")
        time.sleep(random.uniform(0.05, 0.5))
        if run.process.poll() is not None:
            if run.process.returncode != 0:
                raise t.Failure(f"exit {run.process.returncode}: {run.log()[-1000:]}")
            return kills
        run.kill()
    rekey_once(config, copy)
    return kills_max


def killed(checks):
    """kill -9 at random while a backlog is copied; then weir run on the copy counts what replay
    counts."""
    config = stream_config("killed")
    path, lines = generated(config, 1000000 if LONG else 120000)
    copy = f"{config.topic}.keyed"
    produce_in_turn(config.topic, lines)
    begun = time.monotonic()
    kills = copy_and_kill(config, copy, 80 if LONG else 8)
    took = time.monotonic() - begun
    records = check_copy(checks, copy, lines, f"after {kills} kills")
    undone = len(stamps(copy, "read_uncommitted")) - len(records)
    print(f"rekey: killed {kills} times in {took:.1f} s, {undone} records were written and undone "
          f"beside {len(records)}")
    checks.that(kills >= 1, f"kills: {kills}")
    checks.equal(behind(records), 0, "disorder, as the source has none")
    counted = t.Config(copy, time={"idle_timeout": "10m", "allowed_lateness": "400d"},
                       windows=["24h"])
    feed_closers(counted, closers_at(END))
    weir = t.Weir(counted)
    found = wait_for_slide(t.Redis(), counted, "24h", ms_of(END), 60000)
    checks.equal(differences(found, replay(counted, path)), [], "the copy and replay of the file")
    checks.equal(weir.stop(), 0, "exit code")


def in_order(checks):
    """A backlog of two topics, one twenty times the other: the copy is as much in order as they are,
    so that weir run finds nothing late with its default settings, and a quiet copy is idle."""
    config = stream_config("order", http={"listen": "127.0.0.1:0"})
    path, lines = generated(config, 200000 if LONG else 60000)
    small = t.topic("order-small", 1)
    config.change(kafka={"topics": [config.topic, small]})
    t.produce(small, lines[::20], 0)
    produce_in_turn(config.topic, [line for number, line in enumerate(lines) if number % 20])
    copy = f"{config.topic}.keyed"
    out = rekey_once(config, copy)
    checks.contains(out, f"copied {len(lines)} records into {copy}", "what it says")
    records = check_copy(checks, copy, lines, "two topics")
    checks.that(behind(records) <= 1, f"the copy is in order but for {behind(records)} s")
    counted = t.Config(copy, time={"idle_timeout": "2s"}, windows=["24h"])
    weir = t.Weir(counted)

    def all_idle():
        tree = json.loads(partitions_of(counted, "--json"))
        return all(p["idle"] and p["lag"] == 0 for p in tree["partitions"]) and tree["partitions"]

    try:
        t.wait_until(30, all_idle, "every partition of the copy is idle, without a lag")
    except t.Failure as failure:
        raise t.Failure(f"{failure}: {partitions_of(counted)} {weir.tail()}") from None
    checks.equal(weir.metric("weir_late_events_total"), 0, "late events")
    checks.equal(weir.metric("weir_events_total"), replay(counted, path)["events"], "events")
    checks.equal(weir.metric("weir_worker_caught_up"), 1, "weir_worker_caught_up")
    checks.that(SPLIT not in weir.log(), "nothing is said of split sessions")
    checks.equal(weir.stop(), 0, "exit code")


def shut_out(checks):
    """One that was frozen in the middle of a transaction and wakes up writes nothing more."""
    config = stream_config("frozen")
    _, lines = generated(config, 60000)
    copy = f"{config.topic}.keyed"
    feeder = UnkeyedFeeder(config.topic, lines, 4)
    first = Rekey(config, copy).wait_log("group=")
    time.sleep(random.uniform(1.0, 2.0))
    first.process.send_signal(signal.SIGSTOP)
    feeder.finish()
    rekey_once(config, copy)
    first.process.send_signal(signal.SIGCONT)
    checks.equal(first.wait_exit(), 4, f"exit code of the first: {first.log()[-500:]}")
    checks.contains(first.log(), "has taken over", "what the first says")
    check_copy(checks, copy, lines, "frozen")
    last = Rekey(config, copy).wait_log("group=")
    last.process.send_signal(signal.SIGTERM)
    checks.equal(last.wait_exit(), 0, "exit code after SIGTERM")
    checks.contains(last.log(), "copied 0 records", "what it says at the end")


def outage(checks):
    """Partitions are added; the broker dies with a transaction open and comes back; it dies again,
    and SIGTERM meets no broker at all. Each record is in the copy once."""
    if os.environ.get("WEIR_SANITIZED") == "tsan":
        checks.skip("an outage under the thread sanitizer: its waits take minutes")
        return
    private = t.Service("kafka")
    config = stream_config("outage", brokers=private.env["KAFKA_BROKERS"])
    _, lines = generated(config, 80000)
    parts = [lines[n * len(lines) // 4 : (n + 1) * len(lines) // 4] for n in range(4)]
    copy, brokers = f"{config.topic}.keyed", config.brokers
    run = Rekey(config, copy).wait_log("group=")

    def wait_copied(many, seconds):
        begun = time.monotonic()
        wanted = sum(map(len, parts[:many]))
        run.wait(seconds, lambda: len(committed(copy, brokers)) >= wanted, f"{wanted} copied")
        return time.monotonic() - begun

    produce_in_turn(config.topic, parts[0], brokers)
    weirtopics.add_partitions(config.topic, PARTITIONS + 2, brokers)
    for number in range(2):
        t.produce(config.topic, parts[1][number::2], PARTITIONS + number, brokers)
    run.wait_log("a partition was added", 40, times=2)
    wait_copied(2, 20)
    produce_in_turn(config.topic, parts[2], brokers)
    private.kill()
    # the reader or the transaction notices first
    run.wait(60, lambda: "Kafka reports trouble" in run.log() or "transport failure" in run.log(),
             "it notices that the broker is away")
    private.resume()
    recovered = wait_copied(3, 90)
    produce_in_turn(config.topic, parts[3], brokers)
    private.kill()
    run.process.send_signal(signal.SIGTERM)
    begun = time.monotonic()
    code = run.wait_exit(60)
    ended = time.monotonic() - begun
    checks.that(code in (0, 3), f"exit code {code}: {run.log()[-800:]}")
    checks.that(ended <= 10, f"it ended {ended:.1f} s after SIGTERM")
    private.resume()
    rekey_once(config, copy)
    check_copy(checks, copy, lines, "an outage", brokers)
    print(f"rekey: all was copied {recovered:.1f} s after the broker was back; without a broker "
          f"SIGTERM ended it in {ended:.1f} s with exit code {code}")


def frozen_broker(checks):
    """The broker takes connections and answers nothing, for which librdkafka may wait without end:
    SIGTERM ends it all the same. Each record is in the copy once."""
    if os.environ.get("WEIR_SANITIZED"):
        checks.skip("a frozen broker under a sanitizer: nothing is left to find, it mostly waits")
        return
    private = t.Service("kafka")
    config = stream_config("answers-nothing", brokers=private.env["KAFKA_BROKERS"])
    _, lines = generated(config, 12000)
    copy, brokers, rounds = f"{config.topic}.keyed", config.brokers, 9 if LONG else 3
    shown = []
    for number in range(rounds):
        produce_in_turn(config.topic, lines[number * len(lines) // rounds :
                                            (number + 1) * len(lines) // rounds], brokers)
        run = Rekey(config, copy).wait_log("group=")
        time.sleep(random.uniform(0, 1))
        private.signal(signal.SIGSTOP)
        time.sleep(random.uniform(0, 1))
        begun = time.monotonic()
        run.process.send_signal(signal.SIGTERM)
        code = run.wait_exit(60)
        took = time.monotonic() - begun
        checks.that(code in (0, 3), f"exit code {code}: {run.log()[-800:]}")
        checks.that(took <= 10, f"round {number}: ended {took:.1f} s after SIGTERM")
        shown.append(f"{took:.1f}")
        private.signal(signal.SIGCONT)
    rekey_once(config, copy)
    check_copy(checks, copy, lines, "a frozen broker", brokers)
    print(f"rekey: a frozen broker: SIGTERM ended it in {', '.join(shown)} s")


def refusals(checks):
    config = stream_config("refused")
    t.produce(config.topic, [b"{}"], 0)
    other = t.topic("taken", 1)
    t.produce(other, [b"{}"], 0)

    def says(code, part, *args):
        got, _, err = t.command("rekey", *args)
        checks.equal(got, code, f"exit code of rekey {args}")
        checks.contains(err, part, f"what rekey {args} says")

    file = ("--config", config.path)
    says(2, "usage: weir rekey", *file)
    says(2, "which config?", "--to", "x")
    says(1, "would copy itself", *file, "--to", config.topic)
    says(4, "holds records already", *file, "--to", other, "--once")
    checks.contains(rekey_once(config, other, "--append"), "copied 1 records", "--append")
    checks.contains(rekey_once(config, other), "copied 0 records", "what was begun goes on")
    says(1, "cannot make the Kafka topic", *file, "--to", "no topic", "--once")
    config.change(kafka={"topics": [f"{config.topic}-none"]})
    says(1, "does not exist", *file, "--to", "x", "--once")
    config.change(kafka={"topics": [config.topic], "start": "latest"})
    out = rekey_once(config, f"{config.topic}.latest")
    checks.contains(out, "copied 0 records", "kafka.start: latest")


def main():
    t.need_services("kcat")
    checks = t.Checks("rekey")
    checks.run(noticed, killed, in_order, shut_out, outage, frozen_broker, refusals)
    checks.finish()


if __name__ == "__main__":
    main()
