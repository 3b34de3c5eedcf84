#!/usr/bin/env python3
"""The dashboard in a real browser before a real weir, Kafka and Redis: what it shows is what Redis
holds, it follows what is chosen, runs nothing that came with an event, asks nobody but weir, and says
when it cannot go on. WEIR_SHOTS=FOLDER keeps pictures of it."""

import json
import os
import subprocess
import time
from datetime import datetime, timezone

import weirbrowser as b
import weirtest as t

WIDTHS = (390, 1600)
WINDOWS = ["1m", "5m", "1h"]
PIECE_MS = 10000  # a slide
HOSTILE = "<img src=x onerror=\"document.title='run'\"><script>alert(1)</script>"
# the partition does not fall idle, so that figures stand still once nothing more is fed
PARTS = {"windows": WINDOWS,
         "time": {"idle_timeout": "1h", "allowed_lateness": "400d"},
         "events": {"dimensions": {"country": "country", "device": "device"}},
         "metrics": {"views_per_cart": {"ratio": [{"count": "page_view"},
                                                  {"count": "add_to_cart"}]}},
         "alerts": {"rules_files": ["rules.yaml"], "suspect_lag": "90d"}}
RULE = {"alert": "TooMany", "metric": "sessions", "window": "1m", "above": 3,
        "labels": {"severity": "page"}}
CARDS = {"conversion_rate": True, "bounce_rate": True, "cart_abandonment_rate": True,
         "session_duration": True, "views_per_cart": True, "orders": False, "revenue": False,
         "sessions": False, "visitors": False}  # whether it is a ratio


# ---- a shop whose traffic ends now ----


def hostile_session(start):
    """A session of a country that is a piece of HTML."""
    moments = [datetime.fromtimestamp(start + i, timezone.utc).isoformat() for i in range(3)]
    kinds = ("page_view", "add_to_cart", "purchase")
    return [json.dumps({"type": kind, "time": moment, "session": "hostile", "visitor": "hostile",
                        "order_id": "h-1", "value": 66.5, "device": "mobile",
                        "country": HOSTILE}).encode() for kind, moment in zip(kinds, moments)]


def traffic(config):
    """Of the last minutes, in the order of its time: [(ms, record)]."""
    path = os.path.join(config.dir, "input.jsonl")
    start = datetime.fromtimestamp(time.time() - 400, timezone.utc).isoformat()
    code, _, err = t.command("generate", "--sessions-per-second", 4, "--duration", "390s", "--level",
                             "--warm-up", "5m", "--speed", "max", "--start", start, "--to", path)
    if code != 0:
        raise t.Failure(f"weir generate exits with {code}: {err[-500:]}")
    with open(path, "rb") as lines:
        records = [line.rstrip(b"\n") for line in lines] + hostile_session(time.time() - 60)
    times = [datetime.fromisoformat(json.loads(record)["time"].replace("Z", "+00:00"))
             for record in records]
    return sorted((int(moment.timestamp() * 1000), record)
                  for moment, record in zip(times, records))


class Shop:
    """A weir with a Redis of its own, and a browser."""

    def __init__(self, **parts):
        self.service = t.Service("redis")
        self.config = t.Config(t.topic("dashboard", 1), redis=self.service.env["REDIS_URL"],
                               **{**PARTS, **parts})
        self.config.rules(RULE)
        self.weir = t.Weir(self.config).ready()
        self.weir.wait_log("partition claimed")
        self.origin = f"http://127.0.0.1:{self.weir.port()}"
        self.browser = b.Browser()

    def page(self, place="", width=1600, dark=False):
        return b.Page(self.browser, width, dark).open(f"{self.origin}/{place}")

    def feed(self, timed):
        """Some seconds of them after the other, so that the windows slide as they do by and by."""
        redis, fed = t.Redis(self.config.redis), 0
        while fed < len(timed):
            until = timed[fed][0] // PIECE_MS * PIECE_MS + PIECE_MS
            piece = [record for ms, record in timed[fed:] if ms < until]
            fed += len(piece)
            t.produce(self.config.topic, piece)
            t.wait_counted(redis, self.config, 1, fed, watch=self.weir)
            if fed < len(timed):
                t.wait_window(redis, self.config, "5m", until - 2 * PIECE_MS)
        watermark = int(redis.do("HGET", self.config.tag(0, "meta"), "watermark"))
        t.wait_window(redis, self.config, "5m", watermark // 10000 * 10000)

    def now(self, rest):
        return t.Redis(self.config.redis).hash(self.config.key(f"now:{rest}"))


# ---- what is expected of a page ----


def number(value, decimals):
    return f"{float(value):,.{decimals}f}"


def shown(name, text):
    """A figure as the page writes it: `–` where Redis has none."""
    if text in (None, ""):
        return "–"
    if name.endswith("_rate"):
        return f"{number(float(text) * 100, 2)} %"
    if "duration" in name:
        return f"{number(text, 1)} s"
    if name == "revenue":
        return number(text, 2)
    whole = float(text).is_integer()
    return number(text, 0 if whole else 4 if abs(float(text)) < 1 else 2)


def side(text):
    return number(text, 0 if float(text).is_integer() else 2)


def close(got, want):
    """The same text, but for a last place in which two roundings of a half may differ."""
    def bare(text):
        return float(text.replace(",", "").split()[0])
    if got == want:
        return True
    try:
        places = len(want.split()[0].partition(".")[2])
        return got.split()[1:] == want.split()[1:] and \
            abs(bare(got) - bare(want)) < 1.01 * 10 ** -places
    except (ValueError, IndexError):
        return False


def check_figures(checks, page, fields, what):
    for name, is_ratio in CARDS.items():
        card = f"[data-metric='{name}']"
        got = page.text(f"{card} .value")
        checks.that(close(got, shown(name, fields.get(name))),
                    f"{what}: {name} is shown as {got!r}, Redis has {fields.get(name)}")
        if is_ratio:
            parts = page.text(f"{card} .sides").split(" / ")
            want = [side(fields[f"{name}.num"]), side(fields[f"{name}.den"])]
            checks.that(len(parts) == 2 and all(map(close, parts, want)),
                        f"{what}: {name} is shown as {parts}, Redis has {want}")
    settled = page.text("[data-metric='conversion_rate'] .settled")
    want = shown("conversion_rate", fields.get("settled.conversion_rate"))
    checks.contains(settled, f"settled {want}", f"{what}: the settled reading")


def check_age(checks, page):
    """Red from 60 s on beyond two slides, of 10 s here; within a second of that either may be."""
    age, kind = page.value("[(Date.now() - asOf) / 1000, document.querySelector('#age').className]")
    if abs(age - 80) > 3:
        checks.equal(kind, "bad" if age > 80 else "", f"the kind of figures {age} s old")


def rows(page, table):
    """{first cell: the others}, in their order."""
    cells = page.value(f"[...document.querySelectorAll('#{table} tbody tr')]"
                       ".map((row) => [...row.cells].map((cell) => cell.textContent))")
    return {row[0]: row[1:] for row in cells}


def check_segments(checks, shop, page, window, dimension):
    """The table and what Redis has of that dimension."""
    found = rows(page, "segments-table")
    redis, key = t.Redis(shop.config.redis), shop.config.key(f"top:{window}:{dimension}")
    top = [value.decode() for value in redis.do("ZREVRANGE", key, 0, -1)]
    checks.equal(sorted(set(found) - {"_other"}), sorted(set(top) - {"_other"}),
                 f"values of {dimension} in {window}")
    sizes = [int(cells[0].replace(",", "")) for value, cells in found.items() if value != "_other"]
    checks.equal(sizes, sorted(sizes, reverse=True), f"sessions by {dimension}")
    for value, cells in found.items():
        fields = shop.now(f"{window}:{dimension}:{value}")
        names = ("sessions", "conversion_rate", "bounce_rate", "cart_abandonment_rate", "revenue",
                 "orders")
        for name, got in zip(names, cells):
            checks.that(close(got, shown(name, fields.get(name)).replace(" %", "")),
                        f"{dimension} {value}: {name} is {got!r}, Redis has {fields.get(name)}")
    return found


def check_looks(checks, shop, label, place=""):
    """At every width, light and dark: nothing sticks out, nothing goes wrong, nobody is asked."""
    for width in WIDTHS:
        for dark in (False, True):
            page = shop.page(place, width, dark)
            page.wait(lambda page=page: page.text("#age") != "asking …", "it has asked")
            page.wait(lambda page=page: page.text("#segments-table"), "segments are shown")
            page.wait(lambda page=page: page.text("#partitions-sum"), "all parts are shown")
            what = f"{label}, {width} px, {'dark' if dark else 'light'}"
            sizes = page.value("[document.documentElement.scrollWidth, innerWidth]")
            checks.that(sizes[0] <= sizes[1] == width, f"{what}: it is {sizes} px wide")
            cut = page.value("[...document.querySelectorAll('.scroll')]"
                             ".filter((one) => one.scrollWidth > one.clientWidth)"
                             ".map((one) => `${one.id} ${one.scrollWidth}/${one.clientWidth}`)")
            checks.equal(cut, [], f"{what}: tables that stick out")
            check_clean(checks, shop, page, what)
            if os.environ.get("WEIR_SHOTS"):
                name = what.replace(", ", "-").replace(" ", "")
                page.shoot(os.path.join(os.environ["WEIR_SHOTS"], f"{name}.png"))


def check_clean(checks, shop, page, what):
    page.browser.listen()
    checks.equal(page.errors, [], f"{what}: errors")
    foreign = [url for url in page.requests
               if not url.startswith((f"{shop.origin}/", "data:", "about:"))]
    checks.equal(foreign, [], f"{what}: requests of others")
    checks.that(len(page.requests) > 4, f"{what}: it asks weir: {page.requests}")


# ---- the tests ----


def empty(checks, shop):
    page = shop.page()
    page.wait(lambda: "Nothing counted yet" in page.text("#figures"), "it says that nothing is")
    checks.equal(page.text("#age"), "nothing counted yet", "its time")
    checks.equal(page.texts(".card"), [], "figures without data")
    page.wait(lambda: "nothing counted yet" in page.text("#segments-table"), "no segments")
    checks.equal(page.text("#firing-count"), "nothing fires", "alerts without data")
    checks.equal(page.value("[...document.querySelector('#window').options].map((o) => o.value)"),
                 WINDOWS, "the windows to choose from")
    checks.equal(page.value("document.querySelector('#window').value"), "5m", "the window at first")
    links = page.value("[...document.querySelectorAll('footer a')].map((a) => a.pathname)")
    checks.contains(links, "/metrics", "the links")
    checks.contains(links, "/api/v1/partitions", "the links")
    check_clean(checks, shop, page, "without data")
    check_looks(checks, shop, "empty")


def figures(checks, shop):
    """A page that is open when the first events come: no reload is needed."""
    page = shop.page()
    page.wait(lambda: page.text("#age") == "nothing counted yet", "it is empty")
    shop.feed(traffic(shop.config))
    page.wait(lambda: page.text("[data-metric='sessions'] .value"), "figures come by themselves")

    def settled():
        """The page's time is that of Redis: nothing more comes."""
        as_of = int(shop.now("5m")["as_of"])
        return page.value("asOf") == as_of and as_of
    as_of = page.wait(settled, "the page has the last figures")
    checks.that(page.text("#age").startswith("as of "), f"its time: {page.text('#age')}")
    stamp = page.value(f"new Date({as_of}).toLocaleTimeString('en-GB')")
    checks.contains(page.text("#age"), stamp, "its time")
    check_age(checks, page)
    check_figures(checks, page, shop.now("5m"), "5m")
    page.wait(lambda: page.text("#quality") == "data good", "the state of the data")
    redis, key = t.Redis(shop.config.redis), shop.config.key("series:5m")
    page.wait(lambda: page.value("series.entries.length") == redis.do("XLEN", key), "the series")
    found = page.value("[...document.querySelectorAll('.card')].filter((c) => "
                       "c.querySelector('svg') || /next slides/.test(c.innerText))"
                       ".map((c) => c.dataset.metric)")
    checks.equal(found, ["conversion_rate", "bounce_rate", "cart_abandonment_rate", "sessions"],
                 "cards with a line")
    lag, age, _, owner = rows(page, "partitions-table")[f"{shop.config.topic}/0"]
    checks.equal(lag, "0", "the partition's lag")
    checks.that(age.split()[0].isdigit(), f"its watermark's age: {age}")
    checks.equal(owner, redis.do("HGET", shop.config.tag(0, "meta"), "owner").decode()[:8],
                 "its owner")
    check_clean(checks, shop, page, "with data")


def choices(checks, shop):
    page = shop.page()
    page.wait(lambda: HOSTILE in rows(page, "segments-table"), "the table of countries")
    check_segments(checks, shop, page, "5m", "country")
    checks.that(page.value("document.title !== 'run'"), "the hostile value ran")
    checks.equal(page.value("document.querySelectorAll('img').length"), 0, "images")
    checks.equal(page.value("document.querySelectorAll('script').length"), 1, "scripts")
    page.choose("#dimension", "device")
    page.wait(lambda: "mobile" in rows(page, "segments-table"), "the table of devices")
    found = check_segments(checks, shop, page, "5m", "device")
    page.choose("#window", "1h")
    page.wait(lambda: page.value("asOf") == int(shop.now("1h")["as_of"])
              and " 1h" in page.text("#segments-table caption"), "the window of an hour")
    check_figures(checks, page, shop.now("1h"), "1h")
    hour = check_segments(checks, shop, page, "1h", "device")
    checks.that(hour["mobile"][0] != found["mobile"][0], "an hour has other figures than 5 minutes")
    check_clean(checks, shop, page, "after choices")
    kept = page.value("location.hash")
    again = shop.page(kept)
    again.wait(lambda: "device in 1h" in again.text("#segments-table caption"),
               f"the address keeps what is chosen: {kept}")
    check_looks(checks, shop, "data")


def alerts(checks, shop):
    """An open page shows it as soon as it fires; and each change of it."""
    page = shop.page()
    page.wait(lambda: page.text("#firing-count") == "1 alert fires: TooMany", "it fires")
    item = page.text("#firing li.firing")
    for part in ("TooMany", "firing", "page", "sessions of all"):
        checks.contains(item, part, "the alert")
    told = t.Redis(shop.config.redis).stream(shop.config.key("alerts"))
    checks.equal(len(page.texts("#recent li")), min(10, len(told)), "changes that are shown")
    summary = json.loads(told[-1][1]["alert"])["summary"]
    checks.contains(page.text("#recent li"), summary, "the last change")
    checks.that(page.value("document.title").startswith("(1) weir"), "the title counts it")
    checks.equal(page.value("document.querySelector('#firing-count').ariaLive"), "polite",
                 "a screen reader says it")


def away(checks, shop):
    """Without Redis the old figures stay, it is said that they do, and it ends by itself."""
    page = shop.page()
    page.wait(lambda: page.text("[data-metric='sessions'] .value"), "figures")
    before = page.text("[data-metric='sessions'] .value")
    page.browser.listen()
    checks.equal(page.errors, [], "errors before")
    shop.service.kill()
    page.wait(lambda: "Not up to date: cannot connect to Redis" in page.text("#failure"), "the failure is said")
    checks.equal(page.text("[data-metric='sessions'] .value"), before, "figures meanwhile")
    if os.environ.get("WEIR_SHOTS"):
        page.shoot(os.path.join(os.environ["WEIR_SHOTS"], "away.png"))
    shop.service.resume()
    page.wait(lambda: not page.text("#failure"), "it goes on")
    page.wait(lambda: ": old" in page.text("#age"), "figures that no longer come are old")
    check_age(checks, page)
    shop.weir.stop()
    page.wait(lambda: "weir cannot be reached" in page.text("#failure"), "a dead weir is said")
    others = [text for text in page.errors if not text.startswith("network: Failed to load")]
    checks.equal(others, [], "errors that are more than a failed request")


def headers(checks, shop):
    run = subprocess.run(["curl", "-sSD-", "-o/dev/null", f"{shop.origin}/"], capture_output=True,
                         text=True, check=False)
    for part in ("Content-Type: text/html; charset=utf-8", "X-Content-Type-Options: nosniff",
                 "Cache-Control: no-store", "Content-Security-Policy: default-src 'none'"):
        checks.contains(run.stdout, part, "the headers")
    run = subprocess.run(["curl", "-sSD-", f"{shop.origin}/api/v1/alerts"], capture_output=True,
                         text=True, check=False)
    checks.that("Content-Security-Policy" not in run.stdout, f"no page, no policy: {run.stdout}")


def dashboard(checks):
    shop = Shop()
    for part in (headers, empty, figures, choices, alerts, away):
        part(checks, shop)


def main():
    t.need_services("kcat", "curl", "bash")
    b.need_chromium()
    checks = t.Checks("test_dashboard")
    checks.run(dashboard)
    checks.finish()


if __name__ == "__main__":
    main()
