"""How long, and how often the same."""

import re
from collections import defaultdict

from source import without_comments

FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 70
SAME_LINES = 12


def file_length(tree, _build):
    findings = []
    for path in tree.code() + tree.pages():
        length = len(tree.lines(path))
        if length > FILE_LINES_MAX:
            findings.append(f"{path}: {length} lines, at most {FILE_LINES_MAX}")
    return findings


def function_length(tree, _build):
    findings = []
    for path in tree.code():
        for function in tree.functions(path):
            length = function.last - function.first + 1
            if length > FUNCTION_LINES_MAX:
                findings.append(f"{path}:{function.first}: {function.name} has {length} lines, "
                                f"at most {FUNCTION_LINES_MAX}")
    return findings


def body_lines(tree, function, texts):
    """(line number, text) of a function's body, blanks and comments left out."""
    if function.path not in texts:
        text = tree.text(function.path)
        if function.path.suffix in (".c", ".h", ".cc"):
            blanked = without_comments(text).splitlines()
            # strings are compared as they are: tables of texts are not duplicates
            texts[function.path] = [full if bare.strip() else ""
                                    for bare, full in zip(blanked, text.splitlines())]
        else:
            texts[function.path] = [re.sub(r"^\s*#.*", "", line) for line in text.splitlines()]
    lines = texts[function.path]
    rows = []
    for number in range(function.first + 1, function.last):
        text = re.sub(r"\s+", " ", lines[number - 1].split(" /*")[0]).strip()
        if text:
            rows.append((number, text))
    return rows


def duplicates(tree, _build):
    seen, texts = defaultdict(list), {}
    for path in tree.code():
        for function in tree.functions(path):
            rows = body_lines(tree, function, texts)
            for at in range(len(rows) - SAME_LINES + 1):
                window = tuple(text for _, text in rows[at:at + SAME_LINES])
                seen[window].append((function, rows[at][0]))
    pairs = {}
    for places in seen.values():
        first, line = places[0]
        for other, other_line in places[1:]:
            key = (first.path, first.name, other.path, other.name)
            if (first.path, first.first) != (other.path, other.first):
                pairs.setdefault(key, f"{first.path}:{line}: {first.name} and "
                                      f"{other.path}:{other_line}: {other.name}")
    return list(pairs.values())
