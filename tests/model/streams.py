"""Seeded random streams: a plan, and what happens to one partition in order.

A stream is a list of commands: ("record", offset, reason, [events]), ("tick", time), ("finish",),
("commit",), ("reload",), ("crash",), ("look",). The same seed gives the same stream. Limits are
tiny and times sit on, just before and just behind every boundary, because that is where two
programs differ.
"""

import random
from dataclasses import replace

from reference import HOUR, MICROS, MINUTE, SECOND, Event, Plan

DAY = 24 * HOUR
TYPES = [
    "page_view",
    "interaction",
    "add_to_cart",
    "remove_from_cart",
    "begin_checkout",
    "purchase",
    "refund",
    "session_start",
    "session_end",
    "unknown",
] + [f"custom:{n}" for n in range(4)]
BOUNCE = ["ga4", "single_page", "single_event"]
CART = ["non_empty", "any"]
WHAT = ["events", "value", "quantity"]
BAD = ["no_type", "no_time", "bad_time", "no_session", "bad_id", "bad_value", "bad_quantity"]
UNREADABLE = ["bad_json", "too_large", "too_deep", "empty", "tombstone", "too_many"]
WINDOWS = [
    [10 * SECOND],
    [MINUTE],
    [MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, DAY],
    [5 * MINUTE, 2 * HOUR],
    [DAY],
    [2 * DAY],
    [MINUTE, 7 * DAY],
    [HOUR, 6 * HOUR, 2 * DAY],
]
AGENTS = [
    None,
    "Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
]
LONG = "v" * 128, "w" * 129, "\u00e9" * 64, "\u00e9" * 65  # bytes: 128, 129, 128, 130
YEAR_2900 = 29348006400000


def make_stream(seed):
    return Generator(seed).stream()


def make_plan(rng):
    gap = rng.choice([700, SECOND, 7 * SECOND, 10 * SECOND, 12345, MINUTE, 30 * MINUTE])
    cap = rng.choice([gap, gap + 1, gap * 2, gap * 3 + 500, gap * 10, 24 * HOUR])
    customs = rng.choice([0, 0, 1, 3, 16])
    return Plan(
        gap=gap,
        cap=max(cap, gap),
        recovery=rng.choice([0, 0, 1, gap, 3 * gap, 24 * HOUR]),
        bounce=rng.choice(BOUNCE),
        cart=rng.choice(CART),
        sessions_max=rng.choice([1, 2, 3, 5, 17, 33, 1000, 1000, 1000]),
        out_of_orderness=rng.choice([0, 0, 500, 999, 1500, 5 * SECOND, MINUTE]),
        allowed_lateness=rng.choice([0, 300, SECOND, gap, 10 * MINUTE, DAY]),
        max_ahead=rng.choice([0, SECOND, MINUTE]),
        dimensions=rng.choice([0, 1, 1, 2, 3, 8]),
        values_max=rng.choice([1, 2, 3, 1000]),
        bot_events_max=rng.choice([1, 3, 10, 10000, 10000, 10000]),
        bot_user_agents=rng.random() < 0.5,
        custom_counters=[(rng.choice(TYPES), rng.choice(WHAT)) for _ in range(customs)],
        windows=rng.choice(WINDOWS),
    )


class Generator:
    def __init__(self, seed):
        self.rng = rng = random.Random(seed)
        self.plan = make_plan(rng)
        self.idle = seed % 25 == 7
        self.large = seed % 50 == 0  # enough sessions at once to fill tables and wheels
        self.clock = rng.choice([315532800000, 1_600_000_000_000, 1_700_000_000_000]) + DAY
        self.clock += rng.randrange(DAY)
        self.pace = 1 if not self.large else rng.choice([1, 20, 200])
        self.newest = self.clock
        self.ids = 700 if self.large else rng.choice([1, 2, 4, 10, 50])
        self.values = rng.choice([1, 2, 4, 8])
        self.has_kafka = rng.random() < 0.5
        self.visitors = rng.choice(["none", "some", "mixed", "mixed", "own"])
        self.disorder = rng.choice([0, 0.1, 0.4])
        self.odd = rng.choice([0, 0.05, 0.2])  # duplicates, boundaries, rejects, jumps
        self.weights = self.type_weights()
        self.seen = {}  # id: (first, last time), about
        self.past = []  # events, to repeat
        self.offset = rng.choice([0, 0, 7, 1 << 40])

    def type_weights(self):
        """Mostly a shop's mix; sometimes carts and purchases only, so that they meet often."""
        if self.rng.random() < 0.4:
            return [1, 0, 6, 5, 1, 4, 1, 0, 1, 0, 0, 0, 0, 0]
        return [8, 2, 3, 2, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1]

    def idle_with_carts(self):
        """Ticks that make more abandoned carts than may wait, then purchases by their visitors: the
        one thing by which many ticks in a row differ from the last of them."""
        rng, commands = self.rng, []
        self.plan = replace(self.plan, sessions_max=17, recovery=DAY, gap=MINUTE, cap=DAY,
                            out_of_orderness=0, allowed_lateness=HOUR, bot_events_max=10000,
                            dimensions=0)
        for _ in range(rng.randrange(3, 12)):
            for type_, count in (("add_to_cart", 16), ("purchase", rng.randrange(9))):
                for _ in range(count):
                    self.clock += rng.randrange(4 * SECOND)
                    self.offset += 1
                    n = rng.randrange(60)
                    event = Event(self.clock, type_, f"s{n}", f"v{n}")
                    commands.append(("record", self.offset, "ok", [event]))
                for _ in range(rng.choice([0, 1, 30])):
                    self.clock += rng.randrange(5 * SECOND)
                    commands.append(("tick", self.clock))
                    commands += [("commit",)] * (rng.random() < 0.2)
        return self.plan, [*commands, ("finish",), ("look",)]

    def stream(self):
        if self.idle:
            return self.idle_with_carts()
        rng = self.rng
        commands = []
        commits = rng.choice([0.01, 0.05] if self.large else [0, 0.02, 0.2, 0.5])
        ticks = rng.choice([0, 0.02, 0.1])
        if rng.random() < 0.02:
            commands.append(("tick", self.clock - rng.randrange(DAY)))
        for _ in range(1500 if self.large else rng.choice([10, 30, 60, 120, 200])):
            commands.append(self.record())
            if rng.random() < ticks:
                commands += self.ticks()
            if rng.random() < commits:
                commands.append((rng.choice(["commit", "commit", "reload", "crash", "look"]),))
        if rng.random() < 0.7:
            commands.append(("finish",))
        if rng.random() < 0.3:
            commands.append((rng.choice(["reload", "crash"]),))
        commands.append(("look",))
        return self.plan, commands

    # ---- commands ----

    def ticks(self):
        """One, or the many of a partition that stays idle, with its commits."""
        rng = self.rng
        if rng.random() < 0.7:
            return [self.tick()]
        made, watermark = [], self.newest - self.plan.out_of_orderness
        for _ in range(rng.randrange(2, 20)):
            watermark += rng.choice([1, SECOND, SECOND, self.plan.gap // 2, self.plan.gap])
            made.append(("tick", watermark))
            made += [("commit",)] * (rng.random() < 0.3)
        return made

    def tick(self):
        rng, gap = self.rng, self.plan.gap
        watermark = self.newest - self.plan.out_of_orderness
        steps = [-gap, 0, 1, gap // 2, gap, 2 * gap, self.plan.cap]
        if rng.random() < 0.05:
            steps = [DAY, 3 * DAY, 400 * DAY]
        return ("tick", watermark + rng.choice(steps) + rng.randrange(2 * SECOND))

    def record(self):
        rng = self.rng
        self.offset += 1 if rng.random() < 0.9 else rng.randrange(1, 100)
        if rng.random() < 0.1 * self.odd:
            return ("record", self.offset, rng.choice(UNREADABLE), [])
        count = 1 if rng.random() < 0.8 else rng.randrange(2, 6)
        return ("record", self.offset, "ok", [self.event() for _ in range(count)])

    def event(self):
        rng = self.rng
        if self.past and rng.random() < 0.5 * self.odd:  # a duplicate, perhaps under another type
            event = rng.choice(self.past[-10:])
            return event if rng.random() < 0.7 else replace(event, type=self.type())
        self.advance()
        session, visitor = self.who()
        event = Event(
            time=self.time(session or visitor),
            type=self.type(),
            session=session,
            visitor=visitor,
            value=rng.choice([0, 1, 10_000, 19_990_000, rng.randrange(10**9), 10**15]),
            quantity=self.quantity(),
            order=rng.choice([None, None, "o1", "o2", f"o{rng.randrange(9)}"]),
            user_agent=rng.choice(AGENTS[:2] if rng.random() < 0.9 else AGENTS),
            dimensions=tuple(self.value() for _ in range(self.plan.dimensions)),
        )
        event = self.with_kafka(event)
        if rng.random() < 0.1 * self.odd:
            event = replace(event, reason=rng.choice(BAD))
        elif event.kafka is None or event.time <= event.kafka + self.plan.max_ahead:
            self.newest = max(self.newest, event.time)
            first, last = self.seen.get(session or visitor, (event.time, event.time))
            if event.time >= last + self.plan.gap:
                first = event.time
            self.seen[session or visitor] = min(first, event.time), max(last, event.time)
        self.past.append(event)
        return event

    # ---- what an event is made of ----

    def advance(self):
        rng, gap = self.rng, self.plan.gap
        if rng.random() < 0.05 * self.odd:
            self.clock += rng.choice([DAY, 3 * DAY, 400 * DAY, 3000 * DAY]) + rng.randrange(DAY)
            if self.clock > YEAR_2900:
                self.clock = self.newest
        elif rng.random() < 0.05:
            self.clock += rng.choice([gap, gap * 2, self.plan.cap]) + rng.randrange(-1, 2)
        else:
            step = rng.choice([0, 0, 1, rng.randrange(gap // 3 + 1), rng.randrange(gap)])
            self.clock += step // self.pace

    def time(self, who):
        rng, plan = self.rng, self.plan
        behind = plan.out_of_orderness + plan.allowed_lateness
        if rng.random() < self.disorder:
            time = self.clock - rng.randrange(1 + rng.choice([plan.gap, behind, behind * 2, 100]))
        elif rng.random() < self.odd:
            first, last = self.seen.get(who, (self.clock, self.clock))
            edges = [
                self.newest - behind,
                first - plan.gap,
                last - plan.cap,
                last + plan.gap,
                first + plan.cap,
                first + 10 * SECOND,
                self.clock // (10 * SECOND) * 10 * SECOND,
            ]
            time = rng.choice(edges) + rng.choice([-1, 0, 1])
        else:
            time = self.clock
        return max(time, 315532800000)

    def with_kafka(self, event):
        rng = self.rng
        if not self.has_kafka:
            return event
        if rng.random() < self.odd:
            edge = event.time - self.plan.max_ahead + rng.choice([-1, 0, 1])
            return replace(event, kafka=max(0, edge))
        if rng.random() < 0.1 * self.odd:
            ahead = replace(event, time=event.time + rng.choice([HOUR, 4000 * DAY]))
            return replace(ahead, kafka=event.time)
        return replace(event, kafka=event.time + rng.randrange(MINUTE))

    def who(self):
        rng = self.rng
        n = rng.randrange(self.ids)
        session, visitor = f"s{n}", f"v{n % (250 if self.large else 3)}"
        if rng.random() < 0.02:  # an id that is in both name spaces, or a long one
            session = rng.choice([visitor, "x" * 256])
        if self.visitors == "none":
            return session, None
        if self.visitors == "own":
            return None, visitor
        if self.visitors == "some":
            return session, visitor if n % 2 else None
        visitor = rng.choice([visitor, visitor, None, "v0"])
        return (session if visitor is None or rng.random() < 0.8 else None), visitor

    def type(self):
        return self.rng.choices(TYPES, self.weights)[0]

    def quantity(self):
        rng = self.rng
        usual = [MICROS, MICROS, 2 * MICROS, 3 * MICROS]
        return rng.choice(usual if rng.random() < 0.9 else [0, 500_000, 2_500_000, 10**12])

    def value(self):
        rng = self.rng
        if rng.random() < 0.05:
            return rng.choice([None, "", *LONG, "with space", "a=b", "\u00fc"])
        return f"d{rng.randrange(self.values)}"
