"""The bars: what must hold, and whether the medians of this run hold it."""

import table

MAIN = "million sessions, lz4"


def median(found):
    return found.three()[1] if found else None


class Judge:
    def __init__(self, rows):
        self.rows, self.bars = rows, []

    def value(self, *key):
        return median(self.rows.find(*key))

    def add(self, bar, value, unit, holds):
        measured = "" if value is None else f"{table.shown(value)} {unit}"
        self.bars.append({"bar": bar, "measured": measured, "value": value,
                          "holds": None if value is None else bool(holds(value))})

    def at_least(self, bar, limit, unit, value):
        self.add(bar, value, unit, lambda v: v >= limit)

    def at_most(self, bar, limit, unit, value):
        self.add(bar, value, unit, lambda v: v <= limit)


def best_peer(judge, names):
    """The ratio to the better one, so the lower ratio."""
    ratios = [judge.value(MAIN, f"weir run / {name}", "per CPU second") for name in names]
    ratios = [ratio for ratio in ratios if ratio is not None]
    return min(ratios) if ratios else None


def quotient(left, right):
    return left / right if left and right else None


def pipeline(judge):
    judge.at_least("weir at least 0.5 of the consumer per CPU second", 0.5, "of it",
                   judge.value(MAIN, "weir run / consumer", "per CPU second"))
    consumer = judge.value(MAIN, "consumer that only counts", "events per CPU second")
    weir = judge.value(MAIN, "weir run", "events per CPU second")
    share = quotient(weir, consumer)
    judge.add("weir at least 1.2 M events per CPU second where the consumer reaches 2.4 M (in "
              "proportion where it does not)", weir,
              f"M/s, consumer {table.shown(consumer or 0)} M/s",
              lambda v: v >= 1.2 or ((consumer or 0) < 2.4 and share >= 0.5))
    judge.at_least("at least 6 times the better peer in memory, per CPU second", 6, "times",
                   best_peer(judge, ("streams-memory", "flink-heap")))
    judge.at_least("at least 15 times the better peer with RocksDB, per CPU second", 15, "times",
                   best_peer(judge, ("streams-rocksdb", "flink-rocksdb")))
    judge.at_most("CPU of Redis at most 0.15 of weir's", 0.15, "of weir's",
                  judge.value(MAIN, "weir run", "CPU of Redis beside it"))
    judge.at_most("at most 60 bytes to Redis per event with a million open sessions", 60, "bytes",
                  judge.value(MAIN, "weir run", "bytes to Redis per event"))


def whole_event(judge):
    """What differs by the number of sessions is step and commit: of the run with a million the rest
    is what they leave, and the same whatever is open."""
    rate = judge.value(MAIN, "weir run", "events per CPU second")
    small, middle, most = (
        judge.value(f"{size} open sessions", "one event", "step and commit")
        for size in ("10 thousand", "1 million", "10 million"))
    if not (rate and small and middle and most):
        return None
    rest = 1000 / rate - middle
    return (rest + most) / (rest + small)


def in_process(judge):
    judge.at_least("weir replay of JSONL at least 2.2 M events per second of one core", 2.2, "M/s",
                   judge.value("file", "weir replay", "events per CPU second"))
    judge.at_most("an event at 10 million open sessions at most 1.5 times one at 10 thousand: all "
                  "that weir run does, computed by the stages' difference", 1.5, "times",
                  whole_event(judge))
    judge.at_most("the same of step and commit alone", 1.5, "times",
                  quotient(*(judge.value(f"{size} open sessions", "one event", "step and commit")
                             for size in ("10 million", "10 thousand"))))
    judge.at_most("the same of all that weir run does, against that with one million", 1.5,
                  "times", quotient(judge.value(MAIN, "weir run", "events per CPU second"),
                                    judge.value("ten million sessions, lz4", "weir run",
                                                "events per CPU second")))
    for size in ("1 million", "10 million"):
        judge.at_most(f"at most 100 bytes resident per open session, {size} of them", 100, "bytes",
                      judge.value(f"{size} open sessions", "an open session", "resident"))


def live(judge):
    judge.at_most("event to Redis, p99, at most 1 s at 80 % of the load", 1000, "ms",
                  judge.value("80 % of the load", "event to Redis", "p99"))
    judge.at_most("the evaluator's step over 8 partitions and 4,000 values at most 20 ms", 20, "ms",
                  judge.value("24 hours, 4 x 1,000 values", "evaluator", "one step"))
    judge.at_most("start to first commit at most 300 ms", 300, "ms",
                  judge.value("an empty Redis", "weir run", "start to first commit"))
    judge.at_most("default config with 100 thousand open sessions at most 200 MB resident", 200,
                  "MB", judge.value("100 thousand sessions", "weir run", "resident memory"))
    for which in ("the distribution's librdkafka", "a current librdkafka"):
        judge.at_least(f"no collapse when the reader is slower than the fetcher, {which}", 0.9,
                       "of what its own speed allows",
                       judge.value("slow reader", which, "wall clock speed"))


def command(judge):
    judge.at_most("`bench/run --quick` in under 5 minutes, its set-up apart", 300, "s",
                  judge.value("bench/run --quick", "with peers", "all parts"))


def judge(rows):
    found = Judge(rows)
    pipeline(found)
    in_process(found)
    live(found)
    command(found)
    return found.bars
