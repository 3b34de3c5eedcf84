#!/usr/bin/env python3
"""weir rekey where the records are odd or large, or retention has passed what was copied."""

import json
import os
import signal
import subprocess
import time
from collections import Counter
from datetime import timedelta

import weirtest as t
import weirtopics
from weirrekey import Rekey, committed, generated, produce_in_turn, rekey_once, stamps
from weirstream import DAY, PARTITIONS, stream_config

SANITIZED = bool(os.environ.get("WEIR_SANITIZED"))
MIB = 1 << 20

def produce_large(config, data):
    path = os.path.join(config.dir, "large")
    with open(path, "wb") as out:
        out.write(data)
    run = subprocess.run(
        ["kcat", "-P", "-b", config.brokers, "-t", config.topic, "-p", "0", "-k", "large", "-X",
         "message.max.bytes=8000000", path], capture_output=True, check=False)
    if run.returncode != 0:
        raise t.Failure(f"kcat: {run.stderr}")


def too_large(checks):
    """A record that the target does not take: nothing of its transaction is there, and with a
    larger limit it goes on. The same with one that the producer's queue does not take."""
    config = stream_config("large")

    def queue(kib):
        properties = {**config.tree["kafka"]["rdkafka"], "queue.buffering.max.kbytes": kib}
        config.change(kafka={"rdkafka": properties})

    queue(4096)
    copy = t.make_topic(f"{config.topic}.keyed", PARTITIONS)
    weirtopics.set_max_message_bytes(config.topic, 8000000)
    _, lines = generated(config, 2000)
    produce_in_turn(config.topic, lines)
    large = os.urandom(1000000).hex().encode()  # nothing that compresses well
    produce_large(config, large)

    def refused(*parts):
        begun = time.monotonic()
        code, _, err = t.command("rekey", "--config", config.path, "--to", copy, "--once")
        checks.equal(code, 1, f"exit code: {err[-500:]}")
        for part in parts:
            checks.contains(err, part, "what it says, and to do")
        checks.that(time.monotonic() - begun < 40, "it says so at once")

    refused(f"a record is larger than topic {copy} takes", "max.message.bytes")
    checks.equal(len(committed(copy)), 0, "records of a transaction that was given up")
    weirtopics.set_max_message_bytes(copy, 8000000)
    checks.contains(rekey_once(config, copy), f"copied {len(lines) + 1} records", "the next start")
    larger = os.urandom(2500000).hex().encode()
    produce_in_turn(config.topic, lines)
    produce_large(config, larger)
    refused(f"a record of {len(larger) + len('large')} bytes is larger than the queue to topic {copy}",
            "raise `memory`, or queue.buffering.max.kbytes in kafka.rdkafka")
    checks.equal(len(committed(copy)), len(lines) + 1, "nothing of that transaction")
    queue(8192)
    checks.contains(rekey_once(config, copy), f"copied {len(lines) + 1} records", "a larger queue")
    found = Counter(value for _, _, value in committed(copy))
    checks.that(found == Counter([*lines, *lines, large, larger]), f"each once: {len(found)} values")


ODD = [
    (b"", "key-of-a-tombstone"),
    (b"{not json", "key-of-no-json"),
    (b'{"type":"page_view","time":"2026-01-05T10:00:00Z","visitor":"v-1"}', "other"),
    (b'[{"type":"page_view","time":"2026-01-05T10:00:00Z","session":"s-1"},'
     b'{"type":"page_view","time":"2026-01-05T10:00:01Z","session":"s-2"}]', "other"),
]


def odd_records(checks):
    """Whatever cannot be read goes on as it is; headers, times and nothing else come along."""
    config = stream_config("odd")
    copy = f"{config.topic}.keyed"
    for number, (data, key) in enumerate(ODD):
        t.produce_one(config.topic, data, number % PARTITIONS, key)
    run = subprocess.run(
        ["kcat", "-P", "-b", config.brokers, "-t", config.topic, "-p", "0", "-k", "other",
         "-H", "trace=1-2", "-H", "shop=de"],
        input=b'{"type":"page_view","time":"2026-01-05T10:00:02Z","session":"s-9"}\n',
        capture_output=True, check=False)
    checks.equal(run.returncode, 0, f"kcat: {run.stderr}")
    out = rekey_once(config, copy)
    checks.contains(out, "copied 5 records", "what it says")
    checks.contains(out, "3 keyed by session, 2 without one", "what it says")
    checks.contains(out, "1 records hold events of several sessions", "what it says of the list")
    found = {key.decode(): (headers, value) for _, _, headers, key, value in t.consume(copy)}
    checks.equal(sorted(found), ["key-of-a-tombstone", "key-of-no-json", "s-1", "s-9", "v-1"],
                 "keys")
    checks.equal(found["key-of-no-json"], ({}, b"{not json"), "a record that is not JSON")
    checks.equal(found["s-1"][1], ODD[3][0], "a record with two sessions")
    checks.equal(found["s-9"][0], {"trace": "1-2", "shop": "de"}, "headers")
    times = [sorted(stamps(topic)) for topic in (config.topic, copy)]
    checks.equal(times[1], times[0], "times of the records, and which have no value")


def in_transactions(topic, lines, partitions=range(PARTITIONS)):
    """As many partitions share them, each in a transaction: behind it lies what is no record."""
    for number, partition in enumerate(partitions):
        run = subprocess.run(
            ["kcat", "-P", "-q", "-b", os.environ["KAFKA_BROKERS"], "-t", topic, "-p",
             str(partition), "-X", f"transactional.id={topic}-{partition}"],
            input=b"\n".join(lines[number::len(partitions)]) + b"\n", capture_output=True,
            check=False)
        if run.returncode != 0:
            raise t.Failure(f"kcat: {run.stderr.decode()[-500:]}")


def retention_takes_all(topic, partitions=PARTITIONS):
    weirtopics.delete_records(topic, dict.fromkeys(range(partitions), -1))


def retention(checks):
    """What it deletes behind the last record was never a record: no reason to refuse, neither where
    a copy goes on nor where one runs. A record more is one."""
    config = stream_config("behind")
    copy = f"{config.topic}.keyed"
    _, lines = generated(config, 4000)
    parts = [lines[n::4] for n in range(4)]
    run = Rekey(config, copy).wait_log("group=")

    def wait_copied(many):
        wanted = sum(map(len, parts[:many]))
        run.wait(20, lambda: len(committed(copy)) == wanted, f"{wanted} copied")

    in_transactions(config.topic, parts[0])
    wait_copied(1)
    time.sleep(1)  # the ends are met
    retention_takes_all(config.topic)
    weirtopics.add_partitions(config.topic, PARTITIONS + 1)
    run.wait_log("a partition was added", 40)  # so all partitions are assigned anew
    in_transactions(config.topic, parts[1], range(PARTITIONS + 1))
    wait_copied(2)
    time.sleep(1)
    run.process.send_signal(signal.SIGTERM)
    checks.equal(run.wait_exit(), 0, f"exit code after SIGTERM: {run.log()[-500:]}")
    for more in (None, parts[2]):
        if more:
            in_transactions(config.topic, more, range(PARTITIONS + 1))
            checks.contains(rekey_once(config, copy), f"copied {len(more)} records", "what it says")
        retention_takes_all(config.topic, PARTITIONS + 1)
        checks.contains(rekey_once(config, copy), "copied 0 records", "nothing is missed")
    in_transactions(config.topic, parts[3])
    retention_takes_all(config.topic)
    code, _, err = t.command("rekey", "--config", config.path, "--to", copy, "--once")
    checks.equal(code, 4, f"exit code with records gone: {err[-500:]}")
    checks.contains(err, "was copied up to offset", "what it says")
    checks.equal(len(committed(copy)), sum(map(len, parts[:3])), "records of the copy")


def bulky(begin, count):
    """Records of 8 kB, one a second, nothing that compresses well."""
    for number in range(count):
        event = {"type": "page_view", "time": (begin + timedelta(seconds=number)).isoformat(),
                 "session": f"s-{number % 50}", "pad": os.urandom(4000).hex()}
        yield json.dumps(event).encode()


def within_memory(checks):
    """One partition is a day behind eleven others: what of these waits stays within `memory`, and
    is read again when its turn comes."""
    limit, partitions, count = 128, 12, 100 if SANITIZED else 1500
    config = stream_config("behind-others", partitions, memory=f"{limit}MiB",
                           sessions={"max_open": 1000})
    config.change(time={"idle_timeout": "1d"})  # counters of 400 days would want more
    for partition in range(partitions):
        begin = DAY + timedelta(days=partition > 0)
        t.produce(config.topic, list(bulky(begin, count)), partition)
    run = Rekey(config, f"{config.topic}.keyed", "--once")
    _, status, usage = os.wait4(run.process.pid, 0)
    run.process.returncode = os.waitstatus_to_exitcode(status)
    checks.equal(run.process.returncode, 0, f"exit code: {run.log()[-500:]}")
    checks.contains(run.log(), f"copied {partitions * count} records", "what it says")
    resident = usage.ru_maxrss / 1024
    print(f"rekey: {partitions * count * 8000 / MIB:.0f} MiB, one partition behind: {resident:.0f} "
          f"MiB resident at most, limit {limit} MiB")
    if not SANITIZED:
        checks.that(resident < limit, f"{resident:.0f} MiB were resident")


def main():
    t.need_services("kcat")
    checks = t.Checks("rekey-edges")
    checks.run(retention, within_memory, too_large, odd_records)
    checks.finish()


if __name__ == "__main__":
    main()
