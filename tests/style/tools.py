"""What others' tools say of the code."""

import ast
import hashlib
import json
import os
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


class Missing(Exception):
    """A tool or a file that a check needs is not here."""


def need(name):
    if not shutil.which(name):
        raise Missing(f"{name} is not installed: deploy/setup packages check")
    return name


def jobs():
    return len(os.sched_getaffinity(0))


def run(tree, *command):
    return subprocess.run(command, cwd=tree.root, capture_output=True, text=True, check=False)


def scripts(tree, _build):
    findings = []
    for path in tree.files:
        if tree.is_python(path):
            try:
                ast.parse(tree.text(path), str(path))
            except SyntaxError as wrong:
                findings.append(str(wrong))
        elif tree.is_shell(path):
            result = run(tree, "bash", "-n", str(path))
            if result.returncode != 0:
                findings.append(result.stderr.strip())
    return findings


def clang_format(tree, _build):
    need("clang-format")
    files = [str(path) for path in tree.c_files("src", "include", "tests", "bench")]
    result = run(tree, "clang-format", "--dry-run", "-Werror", *files) if files else None
    if not result or result.returncode == 0:
        return []
    places = re.findall(r"^(\S+?:\d+):\d+: error", result.stderr, re.M)
    wrong = {}
    for place in places:
        wrong.setdefault(place.split(":")[0], place)
    return [f"{place}: run clang-format -i" for place in wrong.values()] or [result.stderr]


# unknownEvaluationOrder: takes the fields of a compound literal for one expression
# varFuncNullUB: NULL is a pointer in every C library that weir is built with
# shiftTooManyBitsSigned: gcc and clang define a right shift of a negative number
# identicalInnerCondition: does not see that a call between two looks at *slot changes it
CPPCHECK_OFF = ("unknownEvaluationOrder", "varFuncNullUB", "shiftTooManyBitsSigned",
                "identicalInnerCondition")
CPPCHECK_LIBRARY = Path(__file__).resolve().parent / "cppcheck.cfg"


def cppcheck(tree, build):
    need("cppcheck")
    cache = build / "cppcheck"
    cache.mkdir(parents=True, exist_ok=True)
    result = run(tree, "cppcheck", "--enable=warning,performance,portability", "--inline-suppr",
                 "--error-exitcode=1", "--quiet", "--platform=unix64", "-j", str(jobs()),
                 f"--cppcheck-build-dir={cache}", *(f"--suppress={name}" for name in CPPCHECK_OFF),
                 f"--library={CPPCHECK_LIBRARY}",
                 "-Iinclude", "-Isrc", "-D_GNU_SOURCE",
                 '-DWEIR_VERSION="0"', "--template={file}:{line}: {message} [{id}]", "src")
    return result.stderr.splitlines() if result.returncode != 0 else []


# The analyzer follows paths up to a number of nodes in each function. Its default, twice as
# many, takes three minutes of two cores for the same findings: that is for tests/run --long.
TIDY_ARGUMENTS = ["--quiet", "--warnings-as-errors=*", "--extra-arg=-Wno-unknown-warning-option"]
if not os.environ.get("WEIR_LONG"):
    for word in ("-Xclang", "-analyzer-config", "-Xclang", "max-nodes=100000"):
        TIDY_ARGUMENTS.append(f"--extra-arg={word}")


class Verdicts:
    """Files that were clean before, with the same headers, options and tool: a second run is fast.
    A finding is never kept."""

    def __init__(self, tree, build):
        self.tree, self.folder = tree, build / "clang-tidy"
        self.folder.mkdir(parents=True, exist_ok=True)
        common = hashlib.sha256(run(tree, "clang-tidy", "--version").stdout.encode())
        common.update(" ".join(TIDY_ARGUMENTS).encode())
        common.update((tree.root / ".clang-tidy").read_bytes())
        for path in tree.c_files("src", "include"):
            if path.suffix == ".h":
                common.update(str(path).encode() + b"\0" + tree.text(path).encode())
        self.common = common.digest()

    def _mark(self, path, command):
        own = hashlib.sha256(self.common + command.encode() + b"\0"
                             + self.tree.text(path).encode())
        return self.folder / own.hexdigest()

    def clean(self, path, command):
        return self._mark(path, command).exists()

    def keep(self, path, command):
        self._mark(path, command).touch()


def tidy_one(tree, build, path):
    """The findings in a file, as "place: what"."""
    result = run(tree, "clang-tidy", "-p", str(build), *TIDY_ARGUMENTS, str(path))
    found = re.findall(r"^(\S+?:\d+):\d+: (?:error|warning): (.*)$", result.stdout, re.M)
    if result.returncode != 0 and not found:
        return [f"{path}: {result.stderr.strip()[-500:]}"]
    return [f"{os.path.relpath(place, tree.root)}: {what.replace(',-warnings-as-errors', '')}"
            for place, what in found]


def clang_tidy(tree, build):
    need("clang-tidy")
    database = build / "compile_commands.json"
    if not database.exists():
        raise Missing(f"{database} is not there: build first")
    entries = json.loads(database.read_text())
    for entry in entries:  # clang does not know gcc's forms of these
        entry["command"] = re.sub(r" -f(lto=auto|(no-)?fat-lto-objects)", "", entry["command"])
    commands = {os.path.realpath(entry["file"]): entry["command"] for entry in entries}
    verdicts = Verdicts(tree, build)
    (verdicts.folder / "compile_commands.json").write_text(json.dumps(entries))

    def one(path):
        command = commands.get(os.path.realpath(tree.root / path))
        if command is None:
            return [f"{path}: is not in the build"]
        if verdicts.clean(path, command):
            return []
        found = tidy_one(tree, verdicts.folder, path)
        if not found:
            verdicts.keep(path, command)
        return found

    # the largest first, so that both cores end together
    files = [path for path in tree.c_files("src") if path.suffix != ".h"]
    files.sort(key=lambda path: -(tree.root / path).stat().st_size)
    with ThreadPoolExecutor(jobs()) as pool:
        findings = [text for found in pool.map(one, files) for text in found]
    return list(dict.fromkeys(findings))
