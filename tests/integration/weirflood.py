"""Floods: events of sessions that have one event each, as many and as fast as wanted."""

import subprocess
import sys

import weirtest as t

START_MS = 1767600000000  # 2026-01-05T08:00:00Z

MAKE = """
import sys
first, last, rate, start = map(int, sys.argv[1:5])
kind = sys.argv[5]
lines = []
for i in range(first, last):
    more = ''
    if kind == 'carts':
        more = ',"type":"add_to_cart"' if i % 2 else ',"type":"purchase","order_id":"o-%d","value":1' % i
    elif kind == 'wide':
        more = ',"type":"page_view"' + ''.join(
            ',"%s":"%d"' % (name, i * 7 ** k % 900) for k, name in enumerate('abcdef'))
    lines.append('{"time":%d,"session":"s-%d","visitor":"v-%d","country":"c%d"%s}\\n' % (
        start + i * 1000 // rate, i, i, i % 1000000, more or ',"type":"page_view"'))
    if len(lines) == 20000:
        sys.stdout.write(''.join(lines))
        lines = []
sys.stdout.write(''.join(lines))
"""


def made(first, last, rate, kind, start=START_MS):
    """Events of sessions that have one event each: a process that writes them."""
    maker = subprocess.Popen(
        [sys.executable, "-c", MAKE, str(first), str(last), str(rate), str(start), kind],
        stdout=subprocess.PIPE)
    t.at_end(lambda: (maker.kill(), maker.wait()))
    return maker


def feed(config, partition, first, last, rate, kind, start=START_MS):
    maker = made(first, last, rate, kind, start)
    subprocess.run(
        ["kcat", "-P", "-q", "-b", config.brokers, "-t", config.topic, "-p", str(partition),
         "-X", "enable.idempotence=true", "-z", "lz4"],
        stdin=maker.stdout, check=True)
