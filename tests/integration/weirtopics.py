"""What only an administrator of Kafka does, by requests of its own protocol."""

import os
import socket
import struct

import weirtest as t

DELETE_TOPICS, DELETE_RECORDS, CREATE_PARTITIONS, ALTER_CONFIGS = 20, 21, 37, 44
TIMEOUT_MS = 15000


def text(value):
    return struct.pack(">h", len(value)) + value.encode()


def ask(key, version, body, brokers=None):
    """The answer behind its correlation id."""
    host, port = (brokers or os.environ["KAFKA_BROKERS"]).split(",")[0].rsplit(":", 1)
    request = struct.pack(">hhi", key, version, 1) + text("weirtopics") + body
    with socket.create_connection((host, int(port)), 20) as kafka:
        kafka.sendall(struct.pack(">i", len(request)) + request)
        reply = kafka.makefile("rb")
        return reply.read(struct.unpack(">i", reply.read(4))[0])[4:]


def delete_records(topic, before):
    """Deletes what lies before an offset, by partition, as retention does."""
    body = struct.pack(">i", 1) + text(topic) + struct.pack(">i", len(before))
    for partition, offset in before.items():
        body += struct.pack(">iq", partition, offset)
    answer = ask(DELETE_RECORDS, 0, body + struct.pack(">i", TIMEOUT_MS))
    at = 4 + 4 + 2 + len(topic) + 4
    codes = [struct.unpack_from(">iqh", answer, at + 14 * n)[2] for n in range(len(before))]
    if any(codes):
        raise t.Failure(f"Kafka does not delete records of {topic}: errors {codes}")


def add_partitions(topic, count, brokers=None):
    body = struct.pack(">i", 1) + text(topic) + struct.pack(">ii", count, -1)
    answer = ask(CREATE_PARTITIONS, 0, body + struct.pack(">ib", TIMEOUT_MS, 0), brokers)
    code = struct.unpack_from(">h", answer, 4 + 4 + 2 + len(topic))[0]
    if code:
        raise t.Failure(f"Kafka does not add partitions to {topic}: error {code}")


def delete_topic(topic):
    answer = ask(DELETE_TOPICS, 1, struct.pack(">i", 1) + text(topic) + struct.pack(">i", TIMEOUT_MS))
    code = struct.unpack_from(">h", answer, 4 + 4 + 2 + len(topic))[0]
    if code:
        raise t.Failure(f"Kafka does not delete {topic}: error {code}")


def set_max_message_bytes(topic, count, brokers=None):
    """How large a record, or a batch of them, the topic takes."""
    setting = text("max.message.bytes") + struct.pack(">b", 0) + text(str(count))
    body = struct.pack(">ib", 1, 2) + text(topic) + struct.pack(">i", 1) + setting
    answer = ask(ALTER_CONFIGS, 0, body + struct.pack(">b", 0), brokers)
    code = struct.unpack_from(">h", answer, 4 + 4)[0]
    if code:
        raise t.Failure(f"Kafka does not change {topic}: error {code}")
