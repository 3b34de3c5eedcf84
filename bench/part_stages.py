"""What runs in process: the stages alone, replay, and the cost by the number of open sessions."""

import json
import os
import re
import resource
import subprocess

import machine
import weir_run

SAMPLE = 20000  # records for the decoder
STAGES = {"prepare and apply": "session and window (step)", "export": "encode of a commit",
          "committed": "end of a commit", "merge": "merge of partitions"}


def allocator():
    """The one that weir is linked with, for programs that are not; None where there is none."""
    linked = machine.output("ldd", os.environ["WEIR"])
    found = re.search(r"libmimalloc\S* => (\S+)", linked)
    return found.group(1) if found else None


def generate(path, events):
    run = subprocess.run([os.environ["WEIR"], "generate", "--level", "--events", str(events),
                          "--sessions-per-second", "600", "--truth", "none", "--to", str(path)],
                         capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise ValueError(f"weir generate ended with {run.returncode}: {run.stderr[-500:]}")


def decode_ns(bench, path):
    run = subprocess.run([str(bench.build / "bench_decode"), "weir", str(path)],
                         capture_output=True, text=True, check=False)
    found = re.search(r"^decode weir: ([\d.]+) ns", run.stdout, re.MULTILINE)
    if not found:
        raise ValueError(f"bench_decode ended with {run.returncode}: {run.stderr[-500:]}")
    return float(found.group(1))


def put_stages(table, group, figures):
    for stage, what in STAGES.items():
        table.add(group, what, "CPU", "ns per event", figures[stage][0])


def stages(bench):
    path = bench.scratch / "sample.jsonl"
    generate(path, SAMPLE)
    for _ in range(bench.repetitions(5, 3)):
        bench.table.add("in process", "decode", "CPU", "ns per event", decode_ns(bench, path))
        figures = machine.program(
            bench, "bench_step", "--events", bench.repetitions(4000000, 1000000), "--warm", 500000,
            "--gap", 300, "--rounds", 1, "--json", 1, preload=allocator())
        put_stages(bench.table, "in process", figures)
        bench.table.note(f"in process: {figures['open_sessions']} sessions open at the end")
    path.unlink()


def replay_cpu_s(config, path):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = subprocess.run([os.environ["WEIR"], "replay", "--config", str(config), "--summary",
                          "json", str(path)], capture_output=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if run.returncode != 0:
        raise ValueError(f"weir replay ended with {run.returncode}: {run.stderr[-500:]}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def replay(bench):
    events = bench.repetitions(2000000, 1000000)
    path, config = bench.scratch / "replay.jsonl", bench.scratch / "replay.yaml"
    generate(path, events)
    config.write_text(json.dumps({"events": weir_run.parts(bench)["events"],
                                  "windows": weir_run.WINDOWS}))
    for _ in range(bench.repetitions(7, 3)):
        bench.table.add("file", "weir replay", "events per CPU second", "M/s",
                        events / replay_cpu_s(config, path) / 1e6)
    path.unlink()


def sizes(bench):
    """One event each ms of event time; the gap is so long that this many stay open."""
    wanted = [("10 thousand", 10000), ("1 million", 1000000)]
    if not bench.quick:
        wanted.append(("10 million", 10000000))
    for _ in range(bench.repetitions(2, 1)):
        for name, sessions in wanted:
            within_gap = int(sessions * 4.3)
            figures = machine.program(
                bench, "bench_step", "--sessions", sessions // 4, "--gap", within_gap // 1000,
                "--warm", int(within_gap * 1.2), "--events", bench.repetitions(4000000, 1000000),
                "--rounds", 1, "--json", 1, preload=allocator())
            group = f"{name} open sessions"
            total = sum(figures[stage][0] for stage in ("prepare and apply", "export",
                                                        "committed"))
            bench.table.add(group, "one event", "step and commit", "ns", total)
            put_stages(bench.table, group, figures)
            if sessions >= 1000000:  # of few, the partition's fixed tables are the most
                bench.table.add(group, "an open session", "resident", "bytes",
                                figures["resident_bytes"] / figures["open_sessions"])
            bench.table.note(f"{group}: {figures['open_sessions']} at the end")
