"""A client of Redis for the tests: one connection, RESP2, replies as they come."""

import os
import re
import socket
import time

UP_SECONDS = 30  # for a cluster to say that it is whole again


class RedisError(Exception):
    """What Redis answered, or that it did not."""


def connect(url=None):
    """By the url: one server, a cluster, or what a Sentinel calls the primary."""
    url = url or os.environ["REDIS_URL"]
    if url.startswith("redis+sentinel://"):
        sentinel, name = url.removeprefix("redis+sentinel://").split("/", 1)
        asked = Redis(f"redis://{sentinel}")
        host, port = asked.do("SENTINEL", "get-master-addr-by-name", name)
        asked.close()
        return Redis(f"redis://{host.decode()}:{port.decode()}")
    return Cluster(url) if "," in url else Redis(url)


class Redis:
    """One connection; RESP2 in and out. Replies are bytes, int, list or None."""

    def __init__(self, url=None, timeout=10):
        match = re.fullmatch(r"redis://(?:([^:/@]+):([^/@]+)@)?([^:/@]+):(\d+)(?:/(\d+))?",
                             url or os.environ["REDIS_URL"])
        if not match:
            raise RedisError("the tests want REDIS_URL as redis://host:port/db")
        user, password, *match = match.groups()
        self.url = url
        self.socket = socket.create_connection((match[0], int(match[1])), timeout)
        self.file = self.socket.makefile("rb")
        if password:
            self.do("AUTH", user, password)
        if match[2] and match[2] != "0":
            self.do("SELECT", match[2])

    def close(self):
        self.file.close()
        self.socket.close()

    def send(self, *words):
        parts = [b"*%d\r\n" % len(words)]
        for word in words:
            data = word if isinstance(word, bytes) else str(word).encode()
            parts.append(b"$%d\r\n%s\r\n" % (len(data), data))
        self.socket.sendall(b"".join(parts))

    def read(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise RedisError("Redis closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest
        if kind == b"-":
            raise RedisError(rest.decode())
        if kind == b":":
            return int(rest)
        length = int(rest)
        if length < 0:
            return None
        if kind == b"$":
            return self.file.read(length + 2)[:-2]
        return [self.read() for _ in range(length)]

    def do(self, *words):
        self.send(*words)
        return self.read()

    def hash(self, key):
        flat = self.do("HGETALL", key)
        return {flat[i].decode(): flat[i + 1].decode() for i in range(0, len(flat), 2)}

    def keys(self, pattern):
        found, cursor = set(), b"0"
        while True:
            cursor, some = self.do("SCAN", cursor, "MATCH", pattern, "COUNT", 1000)
            found.update(some)
            if cursor == b"0":
                return sorted(found)

    def dump(self, pattern):
        """The strings that have such a name."""
        return {key: self.do("GET", key) for key in self.keys(pattern)}

    def stream(self, key):
        """(id, {field: text}) of every entry."""
        entries = []
        for number, flat in self.do("XRANGE", key, "-", "+"):
            texts = [item.decode() for item in flat]
            entries.append((number.decode(), dict(zip(texts[::2], texts[1::2]))))
        return entries


class Cluster(Redis):
    """A connection to every primary; a command goes where its first key's slot is, by redirects."""

    def __init__(self, url):  # pylint: disable=super-init-not-called
        self.url = url
        self.places = url.removeprefix("redis://").split(",")
        self.nodes = {place: Redis(f"redis://{place}") for place in self.places}
        self.owners = {}  # slot: place, as far as known

    def close(self):
        for node in self.nodes.values():
            node.close()

    def slot(self, key):
        return self.nodes[self.places[0]].do("CLUSTER", "KEYSLOT", key)

    def do(self, *words):
        slot = crc16(words[1]) % 16384
        place, asking = self.owners.get(slot, self.places[0]), False
        up_by = time.monotonic() + UP_SECONDS
        redirects = 0
        while redirects < 10:
            node = self.nodes[place]
            try:
                if asking:
                    node.do("ASKING")
                return node.do(*words)
            except RedisError as error:
                kind, *rest = str(error).split(" ")
                if kind == "CLUSTERDOWN" and time.monotonic() < up_by:
                    time.sleep(0.1)  # nodes of a busy machine lose sight of each other
                    continue
                if kind not in ("MOVED", "ASK"):
                    raise
                redirects += 1
                place, asking = rest[1], kind == "ASK"
                if not asking:
                    self.owners[slot] = place
        raise RedisError(f"redirects in a circle: {words[:2]}")

    def keys(self, pattern):
        return sorted({key for node in self.nodes.values() for key in node.keys(pattern)})


def crc16(key):
    """CRC-16/XMODEM of a key's hash tag."""
    data = key if isinstance(key, bytes) else str(key).encode()
    tag = re.search(rb"\{([^}]+)\}", data)
    crc = 0
    for byte in tag.group(1) if tag else data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc
