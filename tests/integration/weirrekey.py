"""`weir rekey` for its tests: what it copies, and whether each record is there once."""

import json
import os
import random
import subprocess
from collections import Counter
from datetime import datetime

import weirtest as t
from weirstream import GENERATED, PARTITIONS


def generated(config, events, *more):
    """The lines of made-up traffic, and the file that holds them."""
    path = os.path.join(config.dir, "input.jsonl")
    code, _, err = t.command("generate", "--events", events, *GENERATED, *more, "--to", path)
    if code != 0:
        raise t.Failure(f"weir generate exits with {code}: {err[-300:]}")
    with open(path, "rb") as lines:
        return path, [line.rstrip(b"\n") for line in lines]


def session_of(line):
    return json.loads(line)["session"]


def time_of(line):
    return datetime.fromisoformat(json.loads(line)["time"].replace("Z", "+00:00")).timestamp()


def produce_in_turn(topic, lines, brokers=None):
    """As a producer without keys does: the next record to the next partition."""
    for partition in range(PARTITIONS):
        t.produce(topic, lines[partition::PARTITIONS], partition, brokers)


def committed(topic, brokers=None):
    """[(partition, key, value)]: what a reader of committed records finds."""
    command = ["kcat", "-C", "-e", "-q", "-b", brokers or os.environ["KAFKA_BROKERS"], "-t", topic,
               "-o", "beginning", "-X", "isolation.level=read_committed", "-f", "%p\t%k\t%s\n"]
    run = subprocess.run(command, capture_output=True, check=False, timeout=60)
    if run.returncode != 0:
        raise t.Failure(f"kcat: {run.stderr.decode()[-500:]}")
    records = (line.split(b"\t", 2) for line in run.stdout.splitlines())
    return [(int(partition), key.decode(), value) for partition, key, value in records]


def check_copy(checks, topic, lines, what, brokers=None):
    """Every line once, under the key of its session, and a session in one partition."""
    records = committed(topic, brokers)
    found, want = Counter(value for _, _, value in records), Counter(lines)
    checks.equal(len(records), len(lines), f"{what}: records")
    checks.equal(sum((found - want).values()), 0, f"{what}: records too many")
    checks.equal(sum((want - found).values()), 0, f"{what}: records missing")
    wrong = [key for _, key, value in records if key != session_of(value)]
    checks.equal(wrong[:3], [], f"{what}: keys that are not the session's id")
    homes = {}
    for partition, key, _ in records:
        homes.setdefault(key, set()).add(partition)
    checks.equal(max(map(len, homes.values())), 1, f"{what}: partitions of one session")
    return records


def stamps(topic, isolation="read_committed"):
    """(time, length of the value; -1: none) of every record."""
    command = ["kcat", "-C", "-e", "-q", "-b", os.environ["KAFKA_BROKERS"], "-t", topic, "-o",
               "beginning", "-X", f"isolation.level={isolation}", "-f", "%T %S\n"]
    run = subprocess.run(command, capture_output=True, check=False, timeout=60)
    return [tuple(map(int, line.split())) for line in run.stdout.splitlines()]


class Rekey:
    """`weir rekey`, its log in a file."""

    def __init__(self, config, to, *args):
        self.log_path = os.path.join(config.dir, f"rekey-{random.randrange(1 << 32):x}")
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [os.environ["WEIR"], "rekey", "--config", config.path, "--to", to, *args],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        t.at_end(self.kill)

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as text:
            return text.read()

    def wait_log(self, part, seconds=20, times=1):
        self.wait(seconds, lambda: self.log().count(part) >= times, f"{part!r} in its log")
        return self

    def wait(self, seconds, holds, what):
        def found():
            if holds():
                return True
            if self.process.poll() is not None:
                raise t.Failure(f"weir rekey ended before {what}: {self.log()[-1500:]}")
            return False

        try:
            t.wait_until(seconds, found, what)
        except t.Failure as failure:
            raise t.Failure(f"{failure}: {self.log()[-1500:]}") from None

    def wait_exit(self, seconds=60):
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise t.Failure(f"weir rekey does not end: {self.log()[-1500:]}") from None

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def rekey_once(config, to, *args):
    code, out, err = t.command("rekey", "--config", config.path, "--to", to, "--once", *args)
    if code != 0:
        raise t.Failure(f"weir rekey exits with {code}: {err[-1000:]}")
    return out
