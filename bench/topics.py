"""The sets of events, in Kafka, and what weir replay says of the same records."""

import json
import os
import socket
import struct
import subprocess
from datetime import datetime, timezone
from pathlib import Path

import machine
import weirtest as t

PARTITIONS = 8
MAX_OPEN = 2000000  # sessions.max_open, as it is by default
START_MS = 1767603600000  # 2026-01-05T09:00:00Z
CLOSE_MS = 7200000  # after the last event: every session has ended
DIMENSIONS = {name: name for name in ("device", "country", "channel", "category")}


class Set:
    """A topic: how it was filled, and what bench_fill said of it."""

    def __init__(self, name, events, sessions, codec, filled):
        self.name, self.events, self.sessions, self.codec = name, events, sessions, codec
        self.records, self.last_ms = filled["records"], filled["last_ms"]
        self.started = filled["sessions"]
        self.bytes = filled["bytes"] / filled["events"]

    @property
    def close_ms(self):
        return self.last_ms + CLOSE_MS

    def generator(self):
        return ["generate", "--level", "--events", self.events, "--sessions-per-second",
                self.sessions, "--seed", 1, "--start", "2026-01-05T09:00:00Z"]


class Topics:
    """One broker for the whole bench; sets are made when they are first asked for."""

    def __init__(self, bench):
        self.bench, self.kafka, self.sets, self.summaries = bench, None, {}, {}

    @property
    def brokers(self):
        if self.kafka is None:
            self.bench.say("starts Apache Kafka")
            self.kafka = t.Service("kafka")
            os.environ["KAFKA_BROKERS"] = self.kafka.env["KAFKA_BROKERS"]
        return self.kafka.env["KAFKA_BROKERS"]

    def get(self, name, events, sessions, codec="lz4"):
        if name not in self.sets:
            filled = machine.program(
                self.bench, "bench_fill", "--brokers", self.brokers, "--topic", name,
                "--partitions", PARTITIONS, "--events", events, "--sessions", sessions,
                "--codec", codec, "--start", START_MS, "--close", CLOSE_MS)
            self.sets[name] = Set(name, events, sessions, codec, filled)
            self.bench.say(f"topic {name}: {events} events in {filled['sessions']} sessions, "
                           f"{self.sets[name].bytes:.0f} bytes each, {codec}, filled in "
                           f"{filled['wall_s']:.0f} s")
        return self.sets[name]

    def main(self):
        """A million sessions are open in the second half, and they begin and end all the time."""
        return self.get("main", 2000000 if self.bench.quick else 8000000, 600)

    def summary(self, events, config_path, closed):
        """What weir replay says of the set, with the closing records or without."""
        key = (events.name, closed)
        if key not in self.summaries:
            self.summaries[key] = self.replay(events, config_path, closed)
        return self.summaries[key]

    def replay(self, events, config_path, closed):
        """In one partition, which must hold the sessions that are open in all of the topic's."""
        weir = os.environ["WEIR"]
        tree = json.loads(Path(config_path).read_text(encoding="utf-8"))
        tree["sessions"] = {**tree.get("sessions", {}), "max_open": PARTITIONS * MAX_OPEN}
        config = self.bench.scratch / f"{events.name}-replay.yaml"
        config.write_text(json.dumps(tree), encoding="utf-8")
        when = datetime.fromtimestamp(events.close_ms / 1000, timezone.utc)
        lines = [json.dumps({"type": "page_view", "time": when.isoformat(timespec="milliseconds"),
                             "session": f"closer-{p}"}) + "\n" for p in range(PARTITIONS)]
        closers = self.bench.scratch / f"{events.name}-closers.jsonl"
        closers.write_text("".join(lines) if closed else "")
        with subprocess.Popen([weir, *map(str, events.generator()), "--to", "-"],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as made:
            with subprocess.Popen(["cat", "-", str(closers)], stdin=made.stdout,
                                  stdout=subprocess.PIPE) as joined:
                made.stdout.close()
                run = subprocess.run([weir, "replay", "--config", str(config), "--summary", "json",
                                      "-"], stdin=joined.stdout, capture_output=True, check=False)
        if run.returncode != 0:
            raise ValueError(f"weir replay ended with {run.returncode}: {run.stderr[-500:]}")
        return json.loads(run.stdout)

    def forget(self, name):
        """A set that no other part uses."""
        if self.sets.pop(name, None):
            self.delete(name)

    def delete(self, name):
        """DeleteTopics, version 1 of the request: the disk space comes back."""
        host, port = self.brokers.rsplit(":", 1)
        client, topic = b"bench", name.encode()
        body = struct.pack(">hhih", 20, 1, 1, len(client)) + client
        body += struct.pack(">ih", 1, len(topic)) + topic + struct.pack(">i", 10000)
        with socket.create_connection((host, int(port)), 15) as kafka:
            kafka.sendall(struct.pack(">i", len(body)) + body)
            kafka.recv(4)
