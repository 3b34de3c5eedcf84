"""What weir counts, written as plainly as it can be: the naive reference.

Slow, simple, and apart from the C program: nothing is shared with it but the words in
include/weir/partition.h. Read it as the specification of one Kafka partition.

The whole idea in three sentences. A partition reads events in the order of their records and
writes entries into a ledger: "at this event time, for this segment, this counter grew by so much".
Entries are never changed or taken back. A bucket, a window or a total is nothing but a sum over
the ledger.

Times are ms since 1970, money and quantities are micros (1 piece = 1,000,000 micros).
"""

import math
from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass, field

SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
MICROS = 1_000_000

SAMPLE_MAX = 64  # sessions of one hour that are sampled
LEVELS = (10 * SECOND, MINUTE, HOUR)  # the bucket widths
DIMENSION_VALUE_MAX = 128  # bytes
OTHER, NONE, TOTAL = "_other", "_none", "total"

ENGAGING = ("add_to_cart", "remove_from_cart", "begin_checkout", "purchase")
COUNTER_OF_TYPE = {
    "page_view": "page_views",
    "interaction": "interactions",
    "add_to_cart": "add_to_cart",
    "remove_from_cart": "remove_from_cart",
    "refund": "refunds",
    "unknown": "unknown",
}


@dataclass
class Plan:
    gap: int  # inactivity that ends a session
    cap: int  # the longest session
    recovery: int  # a purchase this soon recovers an abandoned cart; 0: off
    bounce: str  # ga4, single_page, single_event
    cart: str  # non_empty, any
    sessions_max: int
    out_of_orderness: int
    allowed_lateness: int
    max_ahead: int
    dimensions: int
    values_max: int
    bot_events_max: int
    bot_user_agents: bool
    custom_counters: list  # of (event type, "events" | "value" | "quantity")
    windows: list  # ms


@dataclass
class Event:
    time: int
    type: str  # page_view ... session_end, unknown, custom:0 ...
    session: str | None = None
    visitor: str | None = None
    kafka: int | None = None  # the Kafka timestamp of its record
    reason: str = "ok"  # or why the decoder says that it cannot be counted
    value: int = 0
    quantity: int = MICROS
    order: str | None = None
    user_agent: str | None = None
    dimensions: tuple = ()  # per dimension a text, or None


@dataclass
class Session:
    key: tuple  # ("session", id), or ("visitor", id) where there is no session id
    visitor: str | None  # of the event that started it
    segments: list  # "total", and per dimension "<dimension>=<value>"
    start: int
    last: int
    events: int = 0
    page_views: int = 0
    engaged: bool = False
    checkout: bool = False
    cart: bool = False
    pieces: int = 0  # in the cart
    order_ids: set = field(default_factory=set)
    orders: int = 0
    revenue: int = 0
    bot: bool = False


class Partition:
    def __init__(self, plan):
        self.plan = plan
        self.newest = None  # the highest event time admitted
        self.watermark = None
        self.sessions = {}  # the open ones, by key
        self.abandoned = {}  # visitor: when the latest abandoned cart's session ended
        self.values = [set() for _ in range(plan.dimensions)]  # what each dimension has seen
        self.rejected = defaultdict(int)  # reason: events (and records)
        self.records = 0
        self.started = defaultdict(set)  # hour: keys of the sessions that started in it
        self.newest_hour = None  # of any start; a start before the hour before it is forgotten
        self.ledger = []  # (time, segment, counter, amount)
        self.visits = []  # (time, visitor)

    # ---- what comes in ------------------------------------------------------------------------

    def record(self, reason):
        """A Kafka record was read; `reason` is not "ok" where it could not be read as a whole."""
        self.records += 1
        if reason != "ok":
            self.rejected[reason] += 1

    def event(self, event):
        """One event of a record. Returns "ok", or why it was not counted."""
        reason = self.why_not(event)
        if reason != "ok":
            self.rejected[reason] += 1
            return reason
        self.newest = event.time if self.newest is None else max(self.newest, event.time)
        self.time_passes(self.newest - self.plan.out_of_orderness)
        if self.plan.bot_user_agents and is_bot(event.user_agent):
            self.write(event.time, [TOTAL], "bot_events", 1)
        else:
            self.count(event)
        self.forget_carts()
        return "ok"

    def tick(self, watermark):
        """The partition was idle: time passes without an event."""
        if self.watermark is not None:  # before any event there is nothing that could end
            self.time_passes(watermark)
            self.forget_carts()

    def finish(self):
        """The end of all input: every session ends at its own end."""
        for session in list(self.sessions.values()):
            self.close(session, self.end_of(session))

    # ---- admission and the watermark ----------------------------------------------------------

    def why_not(self, event):
        plan = self.plan
        if event.reason != "ok":
            return event.reason
        if event.kafka is not None and event.time > event.kafka + plan.max_ahead:
            return "too_far_ahead"
        late_below = plan.out_of_orderness + plan.allowed_lateness
        if self.newest is not None and event.time < self.newest - late_below:
            return "late"
        return "ok"

    def time_passes(self, watermark):
        """Raises the watermark, and closes sessions whenever it has reached another second."""
        before = self.now()
        self.watermark = max(self.watermark, watermark) if self.watermark else watermark
        if self.now() != before:
            self.close_what_has_ended()

    def now(self):
        """Sessions are closed by whole seconds."""
        return self.watermark and self.watermark // SECOND * SECOND

    # ---- sessions begin and end ---------------------------------------------------------------

    def end_of(self, session):
        """When the session ends by itself: inactivity, or the longest that one may be."""
        return min(session.last + self.plan.gap, session.start + self.plan.cap)

    def close_what_has_ended(self):
        for session in list(self.sessions.values()):
            if self.end_of(session) <= self.now():
                self.close(session, self.end_of(session))

    def count(self, event):
        plan = self.plan
        key = ("session", event.session) if event.session else ("visitor", event.visitor)
        session = self.sessions.get(key)
        can_start = event.type != "session_end" and not event.type.startswith("custom:")

        # Newer than the end of the open session, which the watermark has not reached yet.
        if session and event.time >= self.end_of(session):
            self.close(session, self.end_of(session))
            session = None

        # Older than the open session by so much that the two cannot be one.
        too_old = session and (
            event.time < session.start - plan.gap or event.time <= session.last - plan.cap
        )

        if session and not too_old:
            self.count_in(session, event, starts=False)
            if event.type == "session_end":
                self.close(session, max(event.time, session.last))
        elif not can_start:
            self.count_without_session(event)
        elif too_old:  # a session of its own, beside the open one
            alone = self.new_session(key, event)
            self.count_in(alone, event, starts=True)
            self.settle(alone, self.end_of(alone))
        else:
            self.make_room()
            session = self.sessions[key] = self.new_session(key, event)
            self.enter_sample(key, event.time // HOUR)
            self.count_in(session, event, starts=True)

    def new_session(self, key, event):
        return Session(key, event.visitor, self.segments_of(event), event.time, event.time)

    def enter_sample(self, key, hour):
        self.newest_hour = hour if self.newest_hour is None else max(self.newest_hour, hour)
        if hour >= self.newest_hour - 1:
            self.started[hour].add(key)

    def sampled(self, hours_ago):
        """How many sessions the sample holds of the newest hour (0), or of the one before (1)."""
        if self.newest_hour is None:
            return 0
        return min(SAMPLE_MAX, len(self.started[self.newest_hour - hours_ago]))

    def make_room(self):
        """At the limit those that would end next, end now: all that end in the same second, until
        a sixteenth of the room is free."""
        limit = self.plan.sessions_max
        if len(self.sessions) < limit:
            return
        while len(self.sessions) > limit - 1 - limit // 16:
            next_second = min(self.end_second_of(s) for s in self.sessions.values())
            for session in list(self.sessions.values()):
                if self.end_second_of(session) == next_second:
                    end = max(session.last, self.now())
                    self.close(session, end, evicted=True)

    def end_second_of(self, session):
        return -(-self.end_of(session) // SECOND)  # rounded up

    # ---- what an event counts, in the bucket of its own time ------------------------------------

    def count_without_session(self, event):
        segments = self.segments_of(event)
        self.write(event.time, segments, "events", 1)
        self.visit(event)
        self.count_custom(segments, event)

    def count_in(self, session, event, starts):
        plan, time, type_ = self.plan, event.time, event.type

        def write(counter, amount=1):
            self.write(time, session.segments, counter, amount)

        length_before = session.last - session.start
        session.start = min(session.start, time)
        session.last = max(session.last, time)
        session.events += 1
        session.page_views += type_ == "page_view"

        if not session.bot and session.events > plan.bot_events_max:
            session.bot = True
            self.write(time, [TOTAL], "bot_sessions", 1)
        if session.bot:
            self.write(time, [TOTAL], "bot_events", 1)
            return

        if starts:
            write("sessions")
        write("events")
        self.visit(event)
        write("session_ms", session.last - session.start - length_before)
        if type_ in COUNTER_OF_TYPE:
            write(COUNTER_OF_TYPE[type_])
        if type_ == "refund":
            write("refunded", event.value)
        self.count_custom(session.segments, event)

        if not session.engaged and self.is_engaged_by(session, event):
            session.engaged = True
            write("engaged")
        if type_ == "begin_checkout" and not session.checkout:
            session.checkout = True
            write("checkouts")
        if type_ == "add_to_cart":
            self.add_to_cart(session, event, write)
        if type_ == "remove_from_cart":
            self.remove_from_cart(session, event, write)
        if type_ == "purchase":
            self.purchase(session, event, write)

    def is_engaged_by(self, session, event):
        if self.plan.bounce == "single_event":
            return session.events >= 2
        if self.plan.bounce == "single_page":
            return session.page_views >= 2
        long_enough = session.last - session.start >= 10 * SECOND
        return session.page_views >= 2 or event.type in ENGAGING or long_enough

    def add_to_cart(self, session, event, write):
        session.pieces += pieces_of(event)
        if session.cart:
            return
        session.cart = True
        write("carts_created")
        if session.orders:
            write("carts_bought")

    def remove_from_cart(self, session, event, write):
        session.pieces = max(0, session.pieces - pieces_of(event))
        forgets = self.plan.cart == "non_empty" and not session.orders
        if session.cart and session.pieces == 0 and forgets:
            session.cart = False
            write("carts_emptied")

    def purchase(self, session, event, write):
        if event.order is not None:
            if event.order in session.order_ids:
                return
            known = sum(len(other.order_ids) for other in self.sessions.values())
            if known < self.plan.sessions_max:
                session.order_ids.add(event.order)
        session.orders += 1
        session.revenue += event.value
        write("orders")
        write("revenue", event.value)
        if session.orders == 1:
            write("converted")
            if session.cart:
                write("carts_bought")
        ended = self.abandoned.get(session.visitor)
        if ended is not None and event.time <= ended + self.plan.recovery:
            del self.abandoned[session.visitor]
            write("recovered")

    def count_custom(self, segments, event):
        for n, (type_, what) in enumerate(self.plan.custom_counters):
            if type_ == event.type:
                amount = {"events": 1, "value": event.value, "quantity": event.quantity}[what]
                self.write(event.time, segments, f"custom{n}", amount)

    # ---- what a session's end counts, in the bucket of the end ----------------------------------

    def close(self, session, end, evicted=False):
        del self.sessions[session.key]
        self.settle(session, end, evicted)

    def settle(self, session, end, evicted=False):
        if session.bot:
            return

        def write(counter, amount=1):
            self.write(end, session.segments, counter, amount)

        duration = session.last - session.start
        abandoned = session.cart and not session.orders
        write("s_sessions")
        write("s_bounced", not session.engaged)
        write("s_converted", session.orders > 0)
        write("s_carts", session.cart)
        write("s_abandoned", abandoned)
        write("s_duration_ms", duration)
        write("s_orders", session.orders)
        write("s_revenue", session.revenue)
        self.write(end, [TOTAL], f"bin{sketch_bin(duration)}", 1)
        write("evicted", evicted)
        if abandoned and session.visitor and self.plan.recovery:
            known = self.abandoned.get(session.visitor, end)
            self.abandoned[session.visitor] = max(known, end)

    def forget_carts(self):
        """Of too many abandoned carts that may still be recovered, the first are forgotten."""
        plan, limit = self.plan, 2 * self.plan.sessions_max
        if self.newest is None:
            return
        floor = self.newest - plan.out_of_orderness - plan.allowed_lateness
        waiting = [v for v, end in self.abandoned.items() if end + plan.recovery >= floor]
        if len(waiting) <= limit:
            return
        while len(waiting) > limit - limit // 16:
            first = min(-(-self.abandoned[visitor] // SECOND) for visitor in waiting)
            for visitor in waiting[:]:
                if -(-self.abandoned[visitor] // SECOND) == first:
                    waiting.remove(visitor)
                    del self.abandoned[visitor]

    # ---- segments -------------------------------------------------------------------------------

    def segments_of(self, event):
        values = [self.admit(n, value) for n, value in enumerate(event.dimensions)]
        return [TOTAL] + [f"{n}={value}" for n, value in enumerate(values)]

    def admit(self, dimension, value):
        """A dimension takes new values until it is full; what is beyond goes to _other."""
        seen = self.values[dimension]
        if not value:
            return NONE
        if len(value.encode()) > DIMENSION_VALUE_MAX:
            return OTHER
        if value not in seen and len(seen) >= self.plan.values_max:
            return OTHER
        seen.add(value)
        return value

    # ---- the ledger and the sums over it --------------------------------------------------------

    def write(self, time, segments, counter, amount):
        if amount:
            for segment in segments:
                self.ledger.append((time, segment, counter, int(amount)))

    def visit(self, event):
        if event.visitor:
            self.visits.append((event.time, event.visitor))

    def totals(self):
        """{segment: {counter: sum}} over everything."""
        return summed((segment, counter, amount) for _, segment, counter, amount in self.ledger)

    def oldest_kept(self, level):
        """A level's buckets are kept while they end after the watermark less twice its largest
        window; none where no window uses the level. What falls into an older bucket is in the
        totals only."""
        windows = [window for window in self.plan.windows if level_of(window) == level]
        if not windows or self.watermark is None:
            return math.inf
        width = LEVELS[level]
        return (self.watermark - 2 * max(windows)) // width * width

    def buckets(self, level):
        """{(start of the bucket, segment): {counter: sum}} of all buckets still kept."""
        width, oldest = LEVELS[level], self.oldest_kept(level)
        return summed(
            ((time // width * width, segment), counter, amount)
            for time, segment, counter, amount in self.ledger
            if time >= oldest
        )

    def visitors(self, level):
        """{start of the bucket: its visitors}, for buckets with any."""
        width, oldest = LEVELS[level], self.oldest_kept(level)
        result = defaultdict(set)
        for time, visitor in self.visits:
            if time >= oldest:
                result[time // width * width].add(visitor)
        return result

    def window(self, window, at):
        """{segment: {counter: sum}} over the window that ends at `at`, a multiple of its slide."""
        return summed(
            (segment, counter, amount)
            for time, segment, counter, amount in self.ledger
            if at - window <= time < at
        )


def summed(entries):
    sums = defaultdict(lambda: defaultdict(int))
    for cell, counter, amount in entries:
        sums[cell][counter] += amount
    return {
        cell: kept
        for cell, counters in sums.items()
        if (kept := {name: value for name, value in counters.items() if value})
    }


def level_of(window):
    """The slide of a window: 10 s up to 1 h, 1 min up to 24 h, 1 h beyond."""
    if window <= HOUR:
        return 0
    return 1 if window <= 24 * HOUR else 2


def pieces_of(event):
    """Whole pieces, at least one."""
    return max(1, event.quantity // MICROS)


def is_bot(user_agent):
    """Of the user agents that the tests use; the program has a longer list."""
    return user_agent is not None and "bot" in user_agent.lower()


# The duration sketch. gamma = 1.01 / 0.99, so gamma^i = 101^i / 99^i: whole numbers, no rounding.
# _UPPER[i] is the largest whole ms in bin i.
_BINS = 1300
_UPPER = [0] + [101**i // 99**i for i in range(_BINS - 1)]


def sketch_bin(ms):
    """Bin 0 holds 0 ms; bin i: gamma^(i-2) < ms <= gamma^(i-1)."""
    return min(bisect_left(_UPPER, ms), _BINS - 1)
