"""What others' tools say of the code."""

import ast
import json
import os
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor


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


def cppcheck(tree, build):
    need("cppcheck")
    cache = build / "cppcheck"
    cache.mkdir(parents=True, exist_ok=True)
    result = run(tree, "cppcheck", "--enable=warning,performance,portability", "--inline-suppr",
                 "--error-exitcode=1", "--quiet", "--platform=unix64", "-j", str(jobs()),
                 f"--cppcheck-build-dir={cache}", "-Iinclude", "-Isrc", "-D_GNU_SOURCE",
                 '-DWEIR_VERSION="0"', "--template={file}:{line}: {message} [{id}]", "src")
    return result.stderr.splitlines() if result.returncode != 0 else []


def clang_tidy(tree, build):
    need("clang-tidy")
    database = build / "compile_commands.json"
    if not database.exists():
        raise Missing(f"{database} is not there: build first")
    known = {os.path.realpath(entry["file"]) for entry in json.loads(database.read_text())}
    files = [path for path in tree.c_files("src") if path.suffix != ".h"]
    findings = [f"{path}: is not in the build" for path in files
                if os.path.realpath(tree.root / path) not in known]

    def one(path):
        return run(tree, "clang-tidy", "-p", str(build), "--quiet", "--warnings-as-errors=*",
                   "--extra-arg=-Wno-unknown-warning-option", str(path))

    # the largest first, so that both cores end together
    files.sort(key=lambda path: -(tree.root / path).stat().st_size)
    with ThreadPoolExecutor(jobs()) as pool:
        for path, result in zip(files, pool.map(one, files)):
            found = re.findall(r"^(\S+?:\d+):\d+: (?:error|warning): (.*)$", result.stdout, re.M)
            for place, what in found:
                text = f"{os.path.relpath(place, tree.root)}: {what}"
                if text not in findings:
                    findings.append(text)
            if result.returncode != 0 and not found:
                findings.append(f"{path}: {result.stderr.strip()[-500:]}")
    return findings
