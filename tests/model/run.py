#!/usr/bin/env python3
"""The model test: seeded random streams through the C partition and through reference.py.

    run.py [--streams N] [--seed S] [--only SEED] [--driver PATH]

Every counter of every bucket, segment, window and total must agree, at places in mid-stream and at
the end. Each stream also runs a second time without its commits, reloads and crashes, and must
give the same bytes in every bucket, and a third time with the ticks that were recorded instead of
those that came, which must end the same. On a mismatch the stream is shrunk and printed.
"""

import argparse
import multiprocessing
import os
import subprocess
import sys
import time
from collections import Counter

import reference
import streams

BATCH = 40  # streams in one driver process
LEAST, SECONDS = 2000, 55  # without --streams: at least so many, and for about so long
HERE = os.path.dirname(os.path.abspath(__file__))


# ---- the driver ----------------------------------------------------------------------------------


def text_of(value):
    return "-" if value is None else str(value)


def plan_line(plan):
    fields = [plan.gap, plan.cap, plan.recovery, streams.BOUNCE.index(plan.bounce)]
    fields += [streams.CART.index(plan.cart), plan.sessions_max, plan.out_of_orderness]
    fields += [plan.allowed_lateness, plan.max_ahead, plan.dimensions, plan.values_max]
    fields += [plan.bot_events_max, int(plan.bot_user_agents), len(plan.windows), *plan.windows]
    for type_, what in plan.custom_counters:
        fields += [streams.TYPES.index(type_), streams.WHAT.index(what)]
    return "\t".join(["plan", *map(str, fields)])


def event_line(event):
    kafka = -1 if event.kafka is None else event.kafka
    fields = ["e", event.time, kafka, streams.TYPES.index(event.type), event.reason, event.value]
    fields += [event.quantity, event.session, event.visitor, event.order, event.user_agent, None]
    return "\t".join(map(text_of, [*fields, *event.dimensions]))


def command_lines(command):
    name, *rest = command
    if name == "record":
        offset, reason, events = rest
        return [*map(event_line, events), f"o\t{offset}\t{reason}"]
    if name == "tick":
        return [f"t\t{rest[0]}"]
    return [{"finish": "f", "commit": "x", "reload": "r", "crash": "c", "look": "p"}[name]]


def script(name, plan, commands):
    lines = [f"stream {name}", plan_line(plan)]
    for command in commands:
        lines += command_lines(command)
    return "\n".join(lines) + "\n"


def drive(driver, text):
    """{stream's name: its lines}, and what went wrong with the driver itself."""
    run = subprocess.run([driver], input=text.encode(), capture_output=True, check=False)
    outputs = {}
    for line in run.stdout.decode(errors="replace").splitlines():
        if line.startswith("stream "):
            lines = outputs[line[7:]] = []
        else:
            lines.append(line)
    wrong = None
    if run.returncode != 0:
        said = run.stderr.decode(errors="replace").strip()[-3000:]
        wrong = f"the driver ended with {run.returncode}: {said}"
    return outputs, wrong


def undisturbed(commands):
    return [c for c in commands if c[0] not in ("commit", "reload", "crash")]


def with_recorded(commands, recorded):
    """The same without its ticks, and with those on record where they say; one look, at the end."""
    ticks = {}
    for text in recorded:
        offset, watermark = text.split(":")
        ticks.setdefault(int(offset), []).append(("tick", int(watermark)))
    made = []
    for command in commands:
        if command[0] == "record":
            made += [command, *ticks.pop(command[1] + 1, [])]
        elif command[0] == "finish":
            made.append(command)
    return None if ticks else [*made, ("look",)]


def recorded_in(lines):
    return [line.split("\t")[1] for line in lines or () if line.startswith("t\t")]


def last_point(lines):
    """The lines of the last look."""
    ends = [at for at, line in enumerate(lines) if line == "end"]
    return sorted(lines[ends[-2] + 1 if len(ends) > 1 else 0 : ends[-1]])


def drive_streams(driver, jobs):
    """jobs: [(seed, plan, commands)]. {seed: (lines, lines undisturbed, ticks on record, lines with
    those)}, wrong."""
    scripts = []
    for seed, plan, commands in jobs:
        scripts.append(script(f"{seed} full", plan, commands) + "k\n")
        scripts.append(script(f"{seed} plain", plan, undisturbed(commands)))
    outputs, wrong = drive(driver, "".join(scripts))
    again, replays = {}, []
    for seed, plan, commands in jobs:
        again[seed] = recorded_in(outputs.get(f"{seed} full"))
        replay = with_recorded(commands, again[seed])
        if again[seed] and replay:
            replays.append(script(f"{seed} replay", plan, replay))
    if replays and not wrong:
        replayed, wrong = drive(driver, "".join(replays))
        outputs.update(replayed)
    runs = {}
    for seed, _, _ in jobs:
        full = outputs.get(f"{seed} full")
        full = full and [line for line in full if not line.startswith("t\t")]
        runs[seed] = full, outputs.get(f"{seed} plain"), again[seed], outputs.get(f"{seed} replay")
    return runs, wrong


# ---- what the two say of one point --------------------------------------------------------------


def counters_in(fields):
    pairs = (field.rsplit("=", 1) for field in fields)
    return {name: int(value) for name, value in pairs}


def points_of(lines):
    """The driver's lines as one dictionary a look."""
    point = {"visitors": {}, "cells": {}, "totals": {}, "status": {}}
    for line in lines:
        kind, *fields = line.split("\t")
        if kind == "b":
            point["visitors"][int(fields[0]), int(fields[1])] = float(fields[2])
        elif kind == "c":
            cell = int(fields[0]), int(fields[1]), fields[2]
            point["cells"][cell] = counters_in(fields[3:])
        elif kind == "a":
            point["totals"][fields[0]] = counters_in(fields[1:])
        elif kind == "s":
            point["status"] = counters_in(fields)
        elif kind == "end":
            yield point
            point = {"visitors": {}, "cells": {}, "totals": {}, "status": {}}


def expected_status(partition, offset, returned):
    none = -(2**63)
    total = partition.totals().get(reference.TOTAL, {})
    status = {
        "offset": offset + 1 if partition.records else -1,
        "newest": none if partition.newest is None else partition.newest,
        "watermark": none if partition.watermark is None else partition.watermark,
        "records": partition.records,
        "late": partition.rejected["late"],
        "open_sessions": len(partition.sessions),
        "unknown_types": total.get("unknown", 0),
        "bots": total.get("bot_events", 0),
        "sample_hour": none if partition.newest_hour is None else partition.newest_hour,
        "sample_now": partition.sampled(0),
        "sample_before": partition.sampled(1),
    }
    for reason, times in partition.rejected.items():
        status[f"rejected_{reason}"] = times
    for reason, times in returned.items():
        status[f"returned_{reason}"] = times
    return status


def windows_differ(partition, cells, rng):
    """Windows summed from the program's buckets, against sums straight from the ledger."""
    if partition.watermark is None:
        return
    for window in partition.plan.windows:
        level = reference.level_of(window)
        slide = reference.LEVELS[level]
        newest_end = partition.watermark // slide * slide
        at = newest_end - slide * rng.randrange(window // slide)
        got = reference.summed(
            (segment, counter, amount)
            for (of, start, segment), counters in cells.items()
            if of == level and at - window <= start < at
            for counter, amount in counters.items()
        )
        want = partition.window(window, at)
        yield from differ(f"window {window} at {at}", got, want)


def differ(what, got, want):
    """One sentence a key; of two cells only the counters that differ."""
    for key in sorted(set(got) | set(want), key=str):
        ours, theirs = got.get(key), want.get(key)
        if isinstance(ours, dict) and isinstance(theirs, dict):
            yield from differ(f"{what} {key}", ours, theirs)
        elif ours != theirs:
            yield f"{what} {key}: the program says {ours}, the reference {theirs}"


def visitors_differ(got, want, cells):
    """The estimate is what HyperLogLog promises; a bucket that holds anything is there."""
    for key in sorted(set(got) | set(want)):
        estimate, exact = got.get(key, 0.0), len(want.get(key, ()))
        if abs(estimate - exact) > 3 + 0.08 * exact or (exact == 0) != (estimate == 0):
            yield f"visitors of bucket {key}: the program says {estimate}, the reference {exact}"
    for key in sorted({cell[:2] for cell in cells} - set(got)):
        yield f"bucket {key} is not there"


def without_bins(cell):
    """The program's totals have no sketch."""
    return {counter: amount for counter, amount in cell.items() if not counter.startswith("bin")}


def point_differs(partition, point, offset, returned, rng):
    cells, visitors = {}, {}
    for level in range(len(reference.LEVELS)):
        for (start, segment), counters in partition.buckets(level).items():
            cells[level, start, segment] = counters
        for start, names in partition.visitors(level).items():
            visitors[level, start] = names
    yield from differ("bucket", point["cells"], cells)
    yield from visitors_differ(point["visitors"], visitors, cells)
    yield from windows_differ(partition, point["cells"], rng)
    totals = {name: without_bins(cell) for name, cell in partition.totals().items()}
    yield from differ("total", {k: v for k, v in point["totals"].items() if v}, totals)
    status = expected_status(partition, offset, returned)
    got = {name: point["status"].get(name) for name in status}
    yield from differ("status", got, status)


def record_differs(plan, commands, plain, recorded, replayed):
    """The ticks on record make the same state, and are no more than needed."""
    if not recorded:
        return
    if not replayed:
        yield f"no replay of the ticks on record: {recorded}"
        return
    ours, theirs = Counter(last_point(replayed)), Counter(last_point(plain))
    yield from (f"with the ticks on record: {line!r}" for line in ours - theirs)
    yield from (f"with the ticks that came: {line!r}" for line in theirs - ours)
    offsets = [text.split(":")[0] for text in recorded]
    if plan.sessions_max >= 1000 and not any(c[0] in ("reload", "crash") for c in commands):
        if len(set(offsets)) < len(offsets):
            yield f"ticks on record for nothing: {recorded}"


def check(seed, plan, commands, full, plain, recorded, replayed):
    """The differences between the program's output and the reference, as sentences."""
    if full is None or plain is None:
        return ["the driver printed nothing"]
    if sorted(full) != sorted(plain):
        what = "commits, reloads or crashes change the result"
        ours, theirs = Counter(full), Counter(plain)
        return [f"{what}: {line!r}" for line in (ours - theirs)] + [
            f"undisturbed: {line!r}" for line in (theirs - ours)
        ]
    wrong = list(record_differs(plan, commands, plain, recorded, replayed))
    if wrong:
        return wrong
    partition = reference.Partition(plan)
    points = points_of(full)
    offset, returned = -1, {"ok": 0}
    rng = streams.random.Random(str(seed))
    for command in commands:
        if command[0] == "record":
            _, offset, reason, events = command
            for event in events:
                why = partition.event(event)
                returned[why] = returned.get(why, 0) + 1
            partition.record(reason)
        elif command[0] == "tick":
            partition.tick(command[1])
        elif command[0] == "finish":
            partition.finish()
        elif command[0] == "look":
            point = next(points, None)
            if point is None:
                return ["the driver's output ends early"]
            wrong = list(point_differs(partition, point, offset, returned, rng))
            if wrong:
                return wrong
    return []


# ---- shrinking ----------------------------------------------------------------------------------


def differences(driver, plan, commands):
    pairs, wrong = drive_streams(driver, [(0, plan, commands)])
    return [wrong] if wrong else check(0, plan, commands, *pairs[0])


def shrink_list(items, still_wrong):
    """Delta debugging: takes away ever smaller pieces as long as it stays wrong."""
    size = max(1, len(items) // 2)
    while True:
        at, smaller = 0, False
        while at < len(items):
            fewer = items[:at] + items[at + size :]
            if fewer and still_wrong(fewer):
                items, smaller = fewer, True
            else:
                at += size
        if size == 1 and not smaller:
            return items
        size = max(1, size // 2)


def shrink(driver, plan, commands):
    def wrong(fewer):
        return fewer[-1][0] == "look" and bool(differences(driver, plan, fewer))

    commands = shrink_list(commands, wrong)
    for at, command in enumerate(commands):  # then single events of a record
        if command[0] == "record" and len(command[3]) > 1:

            def with_events(events, at=at, command=command):
                return commands[:at] + [(*command[:3], events)] + commands[at + 1 :]

            events = shrink_list(command[3], lambda events, make=with_events: wrong(make(events)))
            commands = with_events(events)
    return commands


def describe(event):
    shown = {k: v for k, v in vars(event).items() if v not in (None, "ok", ())}
    return " ".join(f"{k}={v}" for k, v in shown.items())


def report(driver, seed, plan, commands, wrong):
    lines = [f"seed {seed}: {wrong[0]}"]
    try:
        commands = shrink(driver, plan, commands)
        wrong = differences(driver, plan, commands) or wrong
    except OSError as error:
        lines.append(f"  (cannot shrink: {error})")
    lines.append(f"  {plan}")
    for command in commands:
        if command[0] != "record":
            lines.append("  " + " ".join(map(str, command)))
            continue
        lines += [f"  event {describe(event)}" for event in command[3]]
        lines.append(f"  record {command[1]} {command[2]}")
    lines += [f"  {line}" for line in wrong[:20]]
    if len(wrong) > 20:
        lines.append(f"  and {len(wrong) - 20} more")
    return "\n".join(lines)


# ---- all of it ----------------------------------------------------------------------------------


def run_batch(job):
    """(passed, [(seed, plan, commands, wrong)]) for the seeds of one driver process."""
    driver, seeds = job
    jobs = [(seed, *streams.make_stream(seed)) for seed in seeds]
    pairs, died = drive_streams(driver, jobs)
    if died and len(jobs) > 1:  # find out which by itself
        results = [run_batch((driver, [seed])) for seed in seeds]
        return sum(p for p, _ in results), [f for _, failed in results for f in failed]
    failed = []
    for seed, plan, commands in jobs:
        wrong = [died] if died else check(seed, plan, commands, *pairs[seed])
        if wrong:
            failed.append((seed, plan, commands, wrong))
    return len(jobs) - len(failed), failed


def find_driver():
    build = os.path.join(HERE, "..", "..", "build")
    found = []
    for folder in sorted(os.listdir(build)) if os.path.isdir(build) else []:
        path = os.path.join(build, folder, "model_driver")
        if os.path.isfile(path):
            found.append(path)
    return max(found, key=os.path.getmtime, default=None)


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--streams", type=int, help="how many; default: 60 s, at least 2000")
    options.add_argument("--seed", type=int, default=1, help="the first one")
    options.add_argument("--only", type=int, help="this seed alone, shrunk if it fails")
    options.add_argument("--driver", help="model_driver; default: the newest under build/")
    options.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    args = options.parse_args()
    driver = args.driver or find_driver()
    if not driver or not os.access(driver, os.X_OK):
        sys.exit("model: no model_driver; ninja -C build/<preset> model_driver, or give --driver")

    first, count = (args.only, 1) if args.only is not None else (args.seed, args.streams)
    started, passed, failed = time.monotonic(), 0, []

    def batches():
        seed = first
        while len(failed) < 20:
            last = seed + BATCH
            if count is not None:
                last = min(last, first + count)
            elif seed >= first + LEAST and time.monotonic() - started > SECONDS:
                return
            if seed >= last:
                return
            yield driver, list(range(seed, last))
            seed = last

    with multiprocessing.Pool(max(1, args.jobs)) as pool:
        work = batches()
        pending = []
        while True:
            while len(pending) < 2 * args.jobs and (job := next(work, None)):
                pending.append(pool.apply_async(run_batch, (job,)))
            if not pending:
                break
            more, wrong = pending.pop(0).get()
            passed += more
            failed += wrong

    for seed, plan, commands, wrong in failed[:3]:
        print(report(driver, seed, plan, commands, wrong))
    if len(failed) > 3:
        print("failed seeds:", " ".join(str(seed) for seed, *_ in failed))
    if failed:
        print(f"again: {os.path.relpath(__file__)} --only {failed[0][0]}")
    print(f"model: {passed} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
