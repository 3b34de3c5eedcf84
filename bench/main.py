"""The whole bench in one command: set-up, runs, one table of what was measured.

    bench/run [--quick] [--no-peers] [--only PATTERN]... [--no-setup] [--readme] [--list]

  --quick      fewer events and repetitions: under 5 minutes
  --no-peers   without Kafka Streams and Flink
  --only       only the parts whose name holds the pattern (a regular expression); see --list
  --no-setup   neither installs packages nor builds
  --readme     prints the table of the last run again, to be pasted: the machine, all rows, the bars
  --list       names the parts

Installs what is missing (deploy/setup), builds, starts an Apache Kafka and a Redis of its own on
free ports, and ends all of it, also on Ctrl-C. What it writes lies in build/bench: table.md and
table.json. Exit code 1 when something failed or totals do not agree; a bar that is missed is said
and is no failure.
"""

import argparse
import fcntl
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.dont_write_bytecode = True
sys.path[:0] = [str(HERE), str(ROOT / "tests" / "integration")]
SCRATCH = ROOT / "build" / "bench" / "scratch"
os.environ["TMPDIR"] = str(SCRATCH)
os.environ["WEIR"] = str(ROOT / "build" / "release" / "weir")
os.environ.setdefault("KAFKA_HEAP", "1g")

import bars  # noqa: E402
import machine  # noqa: E402
import part_live  # noqa: E402
import part_pipeline  # noqa: E402
import part_stages  # noqa: E402
import part_state  # noqa: E402
import table  # noqa: E402
import topics  # noqa: E402
import weirtest as t  # noqa: E402
from weirredis import RedisError  # noqa: E402

PARTS = (
    ("pipeline", part_pipeline.pipeline, "consumer, weir and peers on a million sessions"),
    ("codecs", part_pipeline.codecs, "the same in zstd and without compression"),
    ("large", part_pipeline.large, "the same with ten million sessions"),
    ("stages", part_stages.stages, "decode, session, window, encode, merge: in process"),
    ("replay", part_stages.replay, "weir replay of a file, one thread"),
    ("sizes", part_stages.sizes, "cost per event by the number of open sessions"),
    ("commits", part_state.commits, "commit time by the number of open sessions"),
    ("evaluator", part_state.evaluator, "24 hours of windows, 4 dimensions of 1,000 values"),
    ("recovery", part_state.recovery, "kill -9 with a million open sessions"),
    ("start", part_state.start, "start to first commit"),
    ("memory", part_state.memory, "resident memory with 100 thousand open sessions"),
    ("workers", part_live.workers, "two workers against one"),
    ("slow", part_live.slow, "a reader that is slower than the fetcher"),
    ("latency", part_live.latency, "event to Redis under load"),
)


class Bench:
    """What every part is given."""

    def __init__(self, options):
        self.quick, self.peers = options.quick, not options.no_peers
        self.root, self.scratch = ROOT, SCRATCH
        self.out = ROOT / "build" / "bench"
        self.build = ROOT / "build" / "release"
        self.table = table.Table()
        self.failures = []
        self.topics = topics.Topics(self)
        self.libraries = machine.Libraries(self)

    def repetitions(self, full, quick):
        return quick if self.quick else full

    def say(self, text):
        print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)

    def fail(self, text):
        text = text.replace("\n", "; ")
        self.failures.append(text)
        self.say(f"FAILED: {text}")


def read_options():
    parser = argparse.ArgumentParser(prog="bench/run", description=__doc__, add_help=True,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("quick", "no-peers", "no-setup", "readme", "list"):
        parser.add_argument(f"--{name}", action="store_true")
    parser.add_argument("--only", action="append", default=[])
    return parser.parse_args()


def run_parts(bench, chosen):
    for name, part, what in chosen:
        bench.say(f"{name}: {what}")
        begun = time.monotonic()
        try:
            part(bench)
        except (t.Failure, RedisError, OSError, ValueError, KeyError,
                subprocess.SubprocessError) as failure:
            bench.fail(f"{name}: {failure}")
        bench.say(f"{name} took {time.monotonic() - begun:.0f} s")


def lock(folder):
    """Two benches beside each other would measure each other, and use one folder."""
    folder.mkdir(parents=True, exist_ok=True)
    held = open(folder / "lock", "w", encoding="ascii")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        sys.exit("bench/run: another bench/run is under way here; wait for its end")
    return held


def main():
    options = read_options()
    chosen = [part for part in PARTS
              if not options.only or any(re.search(p, part[0]) for p in options.only)]
    if options.list:
        for name, _, what in PARTS:
            print(f"{name:10} {what}")
        return 0
    if options.readme:
        last = ROOT / "build" / "bench" / "table.md"
        if not last.exists():
            print("bench/run: there is no table yet; run bench/run first", file=sys.stderr)
            return 2
        print(last.read_text(encoding="utf-8"), end="")
        return 0
    if not chosen:
        print("bench/run: no part has such a name; see bench/run --list", file=sys.stderr)
        return 2
    begun = time.monotonic()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    held = lock(ROOT / "build" / "bench")
    if not options.no_setup:
        machine.set_up(ROOT, not options.no_peers and PARTS[0] in chosen)
    ready = time.monotonic()
    machine.fresh(SCRATCH)
    bench = Bench(options)
    for name, _, what in [part for part in PARTS if part not in chosen]:
        bench.table.leave_out(f"{what} ({name}): not chosen")
    try:
        run_parts(bench, chosen)
        if bench.quick and len(chosen) == len(PARTS):
            put = bench.table.adder("bench/run --quick", "with peers" if bench.peers else
                                    "without peers")
            put("set-up: packages and build", "s", ready - begun)
            put("all parts", "s", time.monotonic() - ready)
    except (KeyboardInterrupt, SystemExit):
        bench.fail("interrupted")
    finally:
        t.end_all()
        machine.remove(SCRATCH)
    head = machine.describe(bench)
    head["what"] = "quick" if bench.quick else "full"
    head["took_s"] = round(time.monotonic() - begun)
    held.close()
    bench.table.write(bench.out, head, bars.judge(bench.table), bench.failures)
    print((bench.out / "table.md").read_text())
    return 1 if bench.failures else 0


if __name__ == "__main__":
    sys.exit(main())
