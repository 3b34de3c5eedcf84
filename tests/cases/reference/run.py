#!/usr/bin/env python3
"""The reference figures of real data, through `weir replay`.

    run.py --weir PATH        where the data are: WEIR_SHARED, else ../shared beside the repo

For each row of the table in shared/data/README.md: the figures are computed here from the data in a
few lines of Python, held against the table, and then against both readings of weir's summary.
Prices are summed as decimals, so revenue is exact to the cent.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from datetime import datetime, timezone
from decimal import Decimal

HERE = os.path.dirname(os.path.abspath(__file__))
REPO = os.path.join(HERE, "..", "..", "..")
COSMETICS = [
    f"rees46/cosmetics-{month}.jsonl"
    for month in ("2022-oct", "2022-nov", "2022-dec", "2023-jan", "2023-feb")
]

# As the table gives them; None: the table leaves it open. Ratios to as many places as it shows.
CASES = [
    {
        "name": "rees46 multicategory",
        "files": ["rees46/multicategory-2019-10-01.jsonl"],
        "config": "rees46.yaml",
        "table": {
            "events": "17434",
            "sessions": "5066",
            "conversion_rate": "0.039479",
            "bounce_rate": "0.408014",
            "session_duration": "135.514",
            "cart_sessions": "118",
            "cart_abandonment_rate": "0.449153",
            "orders": "214",
            "revenue": "59442.63",
        },
        "segments": True,
    },
    {
        "name": "cosmetics oct",
        "files": COSMETICS[:1],
        "config": "rees46.yaml",
        "table": {
            "events": "999",
            "sessions": "135",
            "conversion_rate": "0.059259",
            "bounce_rate": "0.548148",
            "session_duration": "253.422",
            "cart_sessions": "47",
            "cart_abandonment_rate": "0.851064",
            "orders": "141",
        },
        "segments": True,
    },
    {
        "name": "cosmetics, five files",
        "files": sorted(COSMETICS),  # by name, so not by time: needs --sort
        "config": "rees46.yaml",
        "sort": True,
        "table": {
            "events": "4995",
            "sessions": "1263",
            "conversion_rate": "0.0206",
            "bounce_rate": "0.695",
            "session_duration": "149.0",
            "cart_abandonment_rate": "0.916",
            "orders": "323",
        },
    },
    {
        "name": "otto",
        "files": ["otto/events.jsonl"],
        "config": "otto.yaml",
        "table": {
            "events": "862",
            "sessions": "20",
            "conversion_rate": "0.15",
            "bounce_rate": "0",
            "cart_abandonment_rate": "0.57",
            "orders": "10",
        },
    },
]
SHARED_FIGURES = (  # in both readings of a summary
    "sessions",
    "conversion_rate",
    "bounce_rate",
    "session_duration",
    "cart_abandonment_rate",
    "orders",
    "revenue",
)


# ---- the figures, from the data ------------------------------------------------------------------


def rows_of(path):
    """(session, ms, kind, price, brand) of each line."""
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line, parse_float=Decimal)
            if "ts" in row:
                kind = {"carts": "cart", "orders": "purchase"}.get(row["type"], "view")
                yield row["session"], row["ts"], kind, Decimal(0), None
            else:
                at = datetime.strptime(row["event_time"], "%Y-%m-%d %H:%M:%S UTC")
                ms = int(at.replace(tzinfo=timezone.utc).timestamp()) * 1000
                price = Decimal(row["price"])
                yield row["user_session"], ms, row["event_type"], price, row.get("brand")


def figures(sessions):
    """The table's figures over a list of sessions, each a list of rows in order of time."""
    carts = [s for s in sessions if any(kind == "cart" for _, _, kind, _, _ in s)]
    bought = [s for s in sessions if any(kind == "purchase" for _, _, kind, _, _ in s)]
    left = [s for s in carts if s not in bought]
    prices = [price for s in sessions for _, _, kind, price, _ in s if kind == "purchase"]
    span = sum(s[-1][1] - s[0][1] for s in sessions)
    return {
        "events": sum(map(len, sessions)),
        "sessions": len(sessions),
        "conversion_rate": len(bought) / len(sessions),
        "bounce_rate": sum(len(s) == 1 for s in sessions) / len(sessions),
        "session_duration": span / 1000 / len(sessions),
        "cart_sessions": len(carts),
        "cart_abandonment_rate": len(left) / len(carts) if carts else None,
        "orders": len(prices),
        "revenue": sum(prices, Decimal(0)),
    }


def sessions_of(paths):
    sessions = defaultdict(list)
    for row in sorted((r for path in paths for r in rows_of(path)), key=lambda r: r[1]):
        sessions[row[0]].append(row)
    return list(sessions.values())


# ---- held against each other ---------------------------------------------------------------------


class Checks:
    def __init__(self):
        self.passed = self.failed = 0

    def that(self, holds, text):
        self.passed += bool(holds)
        self.failed += not holds
        if not holds:
            print(f"reference: {text}")

    def figure(self, where, name, got, want):
        """Whole numbers and money exactly; a ratio to the last digits of a double."""
        if want is None:
            same = got is None
        elif not isinstance(got, (int, float)) or isinstance(got, bool):
            same = False
        elif name == "revenue":
            same = round(Decimal(got), 2) == want and abs(Decimal(got) - want) < Decimal("1e-6")
        elif isinstance(want, int):
            same = got == want
        else:
            same = abs(got - want) <= 1e-9 * max(1.0, abs(want))
        self.that(same, f"{where}: {name} is {got}, the data say {want}")


def as_printed(value, text):
    """`value` with as many decimal places as `text` has."""
    places = len(text.partition(".")[2])
    return f"{Decimal(value):.{places}f}"


def replay(weir, case, paths):
    command = [weir, "replay", "--config", os.path.join(HERE, case["config"]), "--summary", "json"]
    command += ["--sort"] if case.get("sort") else []
    with tempfile.TemporaryDirectory() as folder:
        run = subprocess.run(
            command + paths, capture_output=True, text=True, check=False, cwd=folder
        )
    if run.returncode != 0:
        return None, f"exit {run.returncode}: {run.stderr.strip()[-2000:]}"
    try:
        return json.loads(run.stdout), None
    except ValueError as error:
        return None, f"the summary is not JSON ({error}): {run.stdout[:500]!r}"


def check_reading(checks, where, summary, reading, want):
    got = summary.get(reading, {})
    for name in SHARED_FIGURES:
        checks.figure(f"{where}, {reading}", name, got.get(name), want[name])
    if reading == "settled":
        checks.figure(where, "cart_sessions", got.get("cart_sessions"), want["cart_sessions"])


def check_segments(checks, case, summary, sessions):
    """Each brand's figures: a session belongs to the brand of its first event."""
    by_brand = defaultdict(list)
    for session in sessions:
        by_brand[session[0][4] or "_none"].append(session)
    got = summary.get("segments", {}).get("brand", {})
    seen = {brand for brand, both in got.items() if both.get("live", {}).get("sessions")}
    checks.that(
        seen == set(by_brand),
        f"{case['name']}: brands only in one of the two: {sorted(seen ^ set(by_brand))[:10]}",
    )
    for brand, of_brand in sorted(by_brand.items()):
        for reading in ("live", "settled"):
            where = f"{case['name']}, brand {brand}"
            check_reading(checks, where, got.get(brand, {}), reading, figures(of_brand))


def check_case(checks, weir, case, data):
    paths = [os.path.join(data, file) for file in case["files"]]
    sessions = sessions_of(paths)
    want = figures(sessions)
    for name, text in case["table"].items():
        printed = as_printed(want[name], text)
        checks.that(
            printed == text, f"{case['name']}: {name} of the data is {printed}, the table's {text}"
        )
    summary, wrong = replay(weir, case, paths)
    checks.that(summary is not None, f"{case['name']}: weir replay: {wrong}")
    if summary is None:
        return
    for name in ("records", "events"):
        checks.figure(case["name"], name, summary.get(name), want["events"])
    checks.figure(case["name"], "late", summary.get("late"), 0)
    letters = {reason: n for reason, n in summary.get("dead_letters", {}).items() if n}
    checks.that(not letters, f"{case['name']}: dead letters {letters}")
    for reading in ("live", "settled"):
        check_reading(checks, case["name"], summary, reading, want)
    for name in SHARED_FIGURES:
        live, settled = summary["live"].get(name), summary["settled"].get(name)
        checks.that(
            live == settled, f"{case['name']}: {name} is {live} live but {settled} settled"
        )
    if case.get("segments"):
        check_segments(checks, case, summary, sessions)


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--weir", required=True, help="the program to test")
    args = options.parse_args()
    data = os.path.join(os.environ.get("WEIR_SHARED", os.path.join(REPO, "..", "shared")), "data")
    if not os.path.isdir(data):
        print(f"reference: skipped, the real data are not at {os.path.normpath(data)}")
        print(f"reference: 0 passed, 0 failed, {len(CASES)} skipped")
        return 0
    checks, skipped = Checks(), 0
    weir = os.path.abspath(args.weir)
    if not os.access(weir, os.X_OK):
        sys.exit(f"reference: no program at {weir}; build it, or give --weir PATH")
    for case in CASES:
        missing = [f for f in case["files"] if not os.path.isfile(os.path.join(data, f))]
        if missing:
            print(f"reference: {case['name']} skipped, no {missing[0]}")
            skipped += 1
            continue
        check_case(checks, weir, case, data)
    tail = f", {skipped} skipped" if skipped else ""
    print(f"reference: {checks.passed} passed, {checks.failed} failed{tail}")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
