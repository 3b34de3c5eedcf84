"""A client of Redis for the tests: one connection, RESP2, replies as they come."""

import os
import re
import socket


class RedisError(Exception):
    """What Redis answered, or that it did not."""


class Redis:
    """One connection; RESP2 in and out. Replies are bytes, int, list or None."""

    def __init__(self, url=None, timeout=10):
        match = re.fullmatch(r"redis://([^:/]+):(\d+)(?:/(\d+))?", url or os.environ["REDIS_URL"])
        if not match:
            raise RedisError("the tests want REDIS_URL as redis://host:port/db")
        self.url = match.group(0)
        self.socket = socket.create_connection((match.group(1), int(match.group(2))), timeout)
        self.file = self.socket.makefile("rb")
        if match.group(3) and match.group(3) != "0":
            self.do("SELECT", match.group(3))

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
