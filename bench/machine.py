"""The machine: what must be installed on it, what it is, which client libraries there are."""

import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import zipfile

GROUPS = ("build", "redis", "bench")
TARGETS = ("weir", "bench_consume", "bench_fill", "bench_decode", "bench_step", "bench_commit",
           "bench_evaluator", "bench_latency", "bench_machine")


def set_up(root, peers):
    setup = str(root / "deploy" / "setup")
    for command in (["packages", *GROUPS], ["build", "release", *TARGETS]):
        run = subprocess.run([setup, *command], check=False)
        if run.returncode != 0:
            sys.exit(f"bench/run: deploy/setup {command[0]} failed")
    if peers:  # what Maven fetches is no part of the runs; where it fails, a run of them says so
        subprocess.run([str(root / "bench" / "peers" / "build")], check=False)
    tools = root / "build" / "tools"
    os.environ["PATH"] = f"{tools}{os.pathsep}{os.environ['PATH']}"


def remove(folder):
    shutil.rmtree(folder, ignore_errors=True)


def fresh(folder):
    remove(folder)
    folder.mkdir(parents=True)


def first(pattern, text, otherwise="?"):
    found = re.search(pattern, text, re.MULTILINE)
    return found.group(1).strip() if found else otherwise


def output(*command):
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return run.stdout + run.stderr


def memory_gib():
    with open("/proc/meminfo", encoding="ascii") as text:
        return round(int(first(r"^MemTotal:\s+(\d+)", text.read(), "0")) / 2**20, 1)


def kafka_version(root):
    pom = (root / "tests" / "services" / "pom.xml").read_text(encoding="utf-8")
    return first(r"<artifactId>kafka_[\d.]+</artifactId>\s*<version>([^<]+)<", pom)


def head(root):
    """The commit without git's help, of a plain clone."""
    try:
        name = (root / ".git" / "HEAD").read_text(encoding="ascii").strip()
        if name.startswith("ref: "):
            name = (root / ".git" / name[5:]).read_text(encoding="ascii").strip()
    except OSError:
        return "?"
    return name[:7]


def commit(root):
    """The commit, and whether files differ from it."""
    git = ("git", "-C", str(root))
    name = first(r"^([0-9a-f]{7,40})$", output(*git, "rev-parse", "--short", "HEAD"), head(root))
    changed = output(*git, "status", "--porcelain", "--untracked-files=no")
    return f"{name} with changes" if name != "?" and changed.strip() else name


def describe(bench):
    with open("/proc/cpuinfo", encoding="utf-8") as text:
        model = first(r"^model name\s*:\s*(.*)", text.read())
    with open("/etc/os-release", encoding="utf-8") as text:
        system = first(r'^PRETTY_NAME="(.*)"', text.read())
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": memory_gib(),
        "system": system,
        "kernel": platform.release(),
        "compiler": output("cc", "--version").split("\n")[0],
        "java": output("java", "-version").split("\n")[0],
        "redis": first(r"v=(\S+)", output("redis-server", "--version")),
        "kafka": kafka_version(bench.root),
        "weir": output(os.environ["WEIR"], "version").strip(),
        "commit": commit(bench.root),
    }


class Libraries:
    """The distribution's librdkafka, and a current one where it can be had."""

    def __init__(self, bench):
        self.bench, self.known = bench, None

    def current(self):
        """The folder with a current librdkafka.so.1, or None with words."""
        if self.known is None:
            self.known = self.fetch() or ""
        return self.known or None

    def missing(self, why):
        self.bench.table.note(f"no current librdkafka: {why}")
        self.bench.table.leave_out(f"a current librdkafka: {why}")
        return None

    def fetch(self):
        folder = self.bench.scratch / "librdkafka"
        folder.mkdir()
        pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:",
               "-d", str(folder), "confluent-kafka"]
        try:
            run = subprocess.run(pip, capture_output=True, text=True, check=False, timeout=120)
        except subprocess.TimeoutExpired:
            return self.missing("pip download took more than two minutes")
        wheels = list(folder.glob("*.whl"))
        if run.returncode != 0 or not wheels:
            why = run.stderr.strip().split("\n")[-1][:200]
            return self.missing(f"pip download failed ({why})")
        with zipfile.ZipFile(wheels[0]) as wheel:
            wheel.extractall(folder)
        found = list(folder.glob("confluent_kafka.libs/librdkafka-*.so*"))
        if not found:
            return self.missing("the wheel holds none")
        (found[0].parent / "librdkafka.so.1").symlink_to(found[0].name)
        return str(found[0].parent)


def environment(library):
    """The environment of a program that uses the librdkafka in that folder."""
    env = dict(os.environ)
    if library:
        env["LD_LIBRARY_PATH"] = library
    return env


def run_group(command, timeout):
    """Runs a command that starts others; they all end with it, whatever happens here."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          start_new_session=True) as run:
        try:
            out, err = run.communicate(timeout=timeout)
        finally:
            try:
                os.killpg(run.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
    return subprocess.CompletedProcess(command, run.returncode, out, err)


def program(bench, name, *args, library=None, timeout=900, preload=None):
    """Runs a bench program; the JSON of its last line."""
    env = environment(library)
    if preload:
        env["LD_PRELOAD"] = preload
    command = [str(bench.build / name), *map(str, args)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout,
                         env=env)
    if run.returncode != 0:
        raise ValueError(f"{name} ended with {run.returncode}: {run.stderr.strip()[-500:]}")
    return json.loads(run.stdout.strip().split("\n")[-1])
