"""What must be written down, and what must not."""

import re
import subprocess
from pathlib import Path

from source import without_comments
from tools import Missing

# One of these words says who owns, which thread, what limit, or that there is no state at all.
CONTRACT = re.compile(r"\b(own(s|ed|ership|er)?|borrow\w*|threads?|immutable|bounded|ceiling|"
                      r"limits?|no I/O|no clock|pure|no shared state)\b", re.I)
README = Path("README.md")
OPERATIONS = Path("deploy/OPERATIONS.md")
REASONS = Path("src/core/event.c")


def header_contracts(tree, _build):
    findings = []
    for path in tree.c_files("include"):
        text = tree.text(path)
        first = re.match(r"/\*(.*?)\*/", text, re.S)
        name = path.stem
        if not first:
            findings.append(f"{path}:1: must open with a comment: '{name}: <purpose> ...'")
            continue
        words = re.sub(r"\n \*", "\n", first.group(1))
        if not re.match(rf"\s*{name}: \w", words):
            findings.append(f"{path}:1: its first comment must begin with '{name}: <purpose>'")
        if not CONTRACT.search(words):
            findings.append(f"{path}:1: its first comment says nothing of ownership, thread or "
                            "limits")
        guard = f"WEIR_{name.upper()}_H"
        if f"#ifndef {guard}\n#define {guard}\n" not in text:
            findings.append(f"{path}:1: has no include guard {guard}")
    return findings


def paragraphs(lines):
    """(first line number, lines) of what blank lines separate."""
    start = None
    for number, line in enumerate([*lines, ""], 1):
        if line.strip() and start is None:
            start = number
        elif not line.strip() and start is not None:
            yield start, lines[start - 1:number - 1]
            start = None


def documented_functions(tree, _build):
    findings = []
    for path in tree.c_files("include"):
        bare = without_comments(tree.text(path)).splitlines()
        commented = False # a section's comment, alone in its paragraph, covers the next one
        for first, lines in paragraphs(tree.lines(path)):
            text = "\n".join(lines)
            body = "\n".join(bare[first - 1:first - 1 + len(lines)])
            declared = re.search(r"^[a-z].*?\b(weir_\w+)\s*\([^;{]*\)[^;{]*;", body, re.M | re.S)
            has_comment = "/*" in text or "*/" in text
            if declared and not has_comment and not commented:
                findings.append(f"{path}:{first}: {declared.group(1)} has no comment above it or "
                                "in its group")
            commented = has_comment and not body.strip()
    return findings


def manual(build, what):
    """The names in the first column of the table that `weir manual <what>` prints."""
    weir = build / "weir"
    if not weir.exists():
        raise Missing(f"{weir} is not there: build first")
    result = subprocess.run([str(weir), "manual", what], capture_output=True, text=True,
                            timeout=60, check=False)
    names = re.findall(r"^\|\s*`([^`|]+)`", result.stdout, re.M)
    if result.returncode != 0 or not names:
        return None, [f"weir manual {what}: exit {result.returncode}, {len(names)} names; it must "
                      f"print a table with a `name` in the first column. {result.stderr[:200]}"]
    return names, []


def named_in_readme(tree, build, what):
    names, findings = manual(build, what)
    if names is None:
        return findings
    if README not in tree.files:
        return ["README.md is not there"]
    readme = tree.text(README)
    for name in dict.fromkeys(names):
        if not re.search(rf"(?<![\w.]){re.escape(name)}(?![\w])", readme):
            findings.append(f"README.md does not name {name} (weir manual {what})")
    return findings


def config_keys(tree, build):
    return named_in_readme(tree, build, "config")


def metrics(tree, build):
    return named_in_readme(tree, build, "metrics")


def deployed_metrics(tree, build):
    """What the rules and dashboards in deploy/ ask Prometheus for, weir does say."""
    names, findings = manual(build, "metrics")
    for path in tree.files if names is not None else []:
        if path.parts[0] != "deploy" or not path.name.startswith(("prometheus", "grafana")):
            continue
        for number, line in enumerate(tree.lines(path), 1):
            for name in re.findall(r"\bweir_\w+", line):
                if re.sub("_(sum|count)$", "", name) not in names:
                    findings.append(f"{path}:{number}: weir has no metric {name}")
    return findings


# What an operator may read in the middle of the night: refusals, services that are away, warnings,
# what /-/ready answers; of mistakes those that are found only when the services are asked.
SAID = re.compile(r"\bWEIR_ERR_(?:REFUSED|UNREACHABLE)\b[^,;]*,"
                  r"|\bweir_log\([^,\"]*WEIR_LOG_(?:WARN|ERROR)[^,\"]*,\s*\"\w+\"\s*,"
                  r"|\badd_reason\(reasons,")
SAID_LATE = re.compile(SAID.pattern + r"|\bWEIR_ERR_INPUT\b[^,;]*,")
LATE = re.compile(r"^src/(io/(kafka|redis|notify)\w*|app/(worker|outbox)\w*)\.c$")
NOT_SERVICE = re.compile(r"/(demo|cmd_demo|generate|cmd_generate|replay|cmd_replay)\w*\.c$")
LITERAL = re.compile(r'"((?:[^"\\]|\\.)*)"')
CONVERSION = re.compile(r"%[-+ #0-9.*]*(?:hh?|ll?|[zjt])?[a-zA-Z]")
SAYING = 8 # letters that do not change, else there is nothing to look for


def expression(text, at):
    """What stands from there to the comma or the parenthesis that ends an argument."""
    depth, start, quoted = 0, at, False
    while at < len(text):
        char = text[at]
        if char == "\\":
            at += 1
        elif char == '"':
            quoted = not quoted
        elif not quoted and (char in "," and depth == 0 or char in ")" and depth == 0):
            break
        elif not quoted:
            depth += (char == "(") - (char == ")")
        at += 1
    return text[start:at]


def sentences(code):
    """The literals of an argument: joined where they are one sentence, apart where a ? chooses."""
    parts = re.sub(r"\bPRI\w+", '"d"', code)
    parts = re.sub(r'"\s+"', "", parts)
    return LITERAL.findall(parts)


def on_the_page(sentence):
    """The sentence as the page writes it, with ... for what changes, and what finds it there, with
    all that does not change in one cell of a table; None when hardly anything stays as it is."""
    text = " ".join(sentence.replace("\\n", " ").replace('\\"', '"').split()).strip(" :;,(")
    pieces = [piece.replace("%%", "%") for piece in CONVERSION.split(text)]
    if max(map(len, pieces)) < SAYING:
        return None
    shown = re.sub(r"(\.\.\.)+", "...", "...".join(pieces))
    return shown, re.compile(r"[^|]{1,300}?".join(map(re.escape, shown.split("..."))))


def unexplained_reasons(tree, page):
    names = tree.text(REASONS).split("reason_names", 1)[1]
    for name in re.findall(r'\[WEIR_\w+\] = "(\w+)"', names):
        if name != "ok" and not re.search(rf"[|,] `{name}`", page):
            yield f"{REASONS}: {OPERATIONS} does not explain the dead letters' reason {name}"


def refusals(tree, _build):
    """Every refusal, every warning and every reason of a dead letter has its place in the page for
    whoever is on call."""
    if OPERATIONS not in tree.files:
        return [f"{OPERATIONS} is not there"]
    page = " ".join(tree.text(OPERATIONS).split())
    findings = list(unexplained_reasons(tree, page))
    for path in tree.c_files("src"):
        if NOT_SERVICE.search(f"/{path}") or path.suffix != ".c":
            continue
        text = tree.text(path)
        said = SAID_LATE if LATE.match(str(path)) else SAID
        for match in said.finditer(text):
            for sentence in sentences(expression(text, match.end())):
                wanted = on_the_page(sentence)
                if wanted and "mock Kafka" not in sentence and not wanted[1].search(page):
                    line = text.count("\n", 0, match.start()) + 1
                    findings.append(f"{path}:{line}: {OPERATIONS} does not say what to do about "
                                    f"'{wanted[0]}'")
    return findings


def cut_tables(tree, _build):
    """A table's rows stand under its head: behind a blank line they are shown as they are typed."""
    findings = []
    for path in tree.files:
        if path.suffix != ".md":
            continue
        fenced, before = False, ""
        lines = tree.lines(path)
        for number, (line, after) in enumerate(zip(lines, [*lines[1:], ""]), 1):
            if line.lstrip().startswith("```"):
                fenced = not fenced
            begins = line.startswith("|") and not before.startswith("|")
            if begins and not fenced and not re.match(r"\|[ :|-]+\|$", after):
                findings.append(f"{path}:{number}: a row of a table without its head above it; "
                                "remove the blank line, or write the head")
            before = line
    return findings


def text_lines(tree):
    for path in tree.files:
        if tree.is_text(path):
            for number, line in enumerate(tree.lines(path), 1):
                yield path, number, line


def machine_paths(tree, _build):
    own = str(tree.root.resolve())
    home = str(Path.home())
    words = [re.escape(own)] if own.count("/") > 1 else []
    words += [re.escape(home) + "/"] if home.count("/") > 1 else []
    words += [r"/home/(?!weir\b)[a-z]\w*/", r"/Users/\w+/", r"/w[o]rk/\w", r"(?<![\w.])/ro[o]t/\w",
              r"/tmp/bash_jo[b]s", r"[A-Z]:\\\\?Users"]
    pattern = re.compile("|".join(words))
    findings = []
    for path, number, line in text_lines(tree):
        match = pattern.search(line)
        if match and not line.startswith("RUN "):
            findings.append(f"{path}:{number}: {match.group(0)}")
    return findings


def unfinished(tree, _build):
    marks = re.compile(r"\b(TO[D]O|FIX[M]E|X[X]X|HA[C]K|TB[D]|W[I]P)\b|[nN]ot (yet )?impl[e]mented"
                       r"|[cC]oming so[o]n|[lL]orem ips[u]m")
    findings = []
    for path, number, line in text_lines(tree):
        match = marks.search(line)
        if match:
            findings.append(f"{path}:{number}: {match.group(0)}")
    return findings
