#!/usr/bin/env python3
"""What systemd hears of weir run, on a real datagram socket in its place: ready, reloading,
stopping, and a sign of life while every thread that counts or publishes moves."""

import ctypes
import os
import signal
import socket
import threading
import time

import weirtest as t

PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH, WALL = 0x4206, 0x4207, 17, 0x40000000
SLOW = 4 if os.environ.get("WEIR_SANITIZED") else 1


class Supervisor:
    """Reads NOTIFY_SOCKET; a message is a dict with the time of its arrival."""

    def __init__(self, abstract=False):
        self.name = ("@weir-" + t.SUFFIX if abstract else os.path.join(t.folder(), "notify"))
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + self.name[1:] if abstract else self.name)
        self.messages = []
        t.at_end(self.socket.close)
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        while True:
            try:
                text = self.socket.recv(4096).decode()
            except OSError:
                return
            message = dict(line.split("=", 1) for line in text.split("\n") if line)
            self.messages.append(message | {"at": time.monotonic()})

    def find(self, name, after=0):
        return [m for m in self.messages[after:] if name in m]

    def wait(self, holds, what, seconds=20):
        try:
            return t.wait_until(seconds, lambda: self.messages and holds(self.messages), what)
        except t.Failure as failure:
            raise t.Failure(f"{failure}: {self.messages[-5:]}") from None


def start(config, supervisor, watchdog_s, **environment):
    environment = {"NOTIFY_SOCKET": supervisor if isinstance(supervisor, str) else supervisor.name,
                   "WATCHDOG_USEC": str(int(watchdog_s * 1e6)), **environment}
    os.environ.update(environment)
    try:
        return t.Weir(config)
    finally:
        for name in environment:
            del os.environ[name]


def config_for(label, **parts):
    return t.Config(t.topic(label, 2), **parts)


def life(checks):
    supervisor = Supervisor()
    config = config_for("supervised")
    weir = start(config, supervisor, 4 * SLOW).ready()
    supervisor.wait(lambda m: any("READY" in x for x in m), "READY=1")
    supervisor.wait(lambda m: len(supervisor.find("WATCHDOG")) >= 4, "signs of life")
    supervisor.wait(lambda m: any(x.get("STATUS", "").startswith("2 partitions, 0 records")
                                  for x in m), "a status of two partitions")
    before, clock = len(supervisor.messages), time.clock_gettime(time.CLOCK_MONOTONIC)
    weir.signal(signal.SIGHUP)
    supervisor.wait(lambda m: any("READY" in x for x in m[before:]), "READY=1 after a reload")
    reloading = supervisor.find("RELOADING", before)
    checks.equal(len(reloading), 1, "RELOADING=1 after SIGHUP")
    begun = int(reloading[0]["MONOTONIC_USEC"]) / 1e6
    checks.that(clock <= begun <= time.clock_gettime(time.CLOCK_MONOTONIC), "MONOTONIC_USEC")
    checks.that(reloading[0]["at"] <= supervisor.find("READY", before)[0]["at"],
                "READY=1 comes after RELOADING=1")
    checks.equal(weir.stop(), 0, "exit code")
    supervisor.wait(lambda m: any("STOPPING" in x for x in m), "STOPPING=1")
    checks.equal(len(supervisor.find("STOPPING")), 1, "STOPPING=1")
    names = {name for m in supervisor.messages for name in m}
    checks.equal(names - {"at", "READY", "WATCHDOG", "STATUS", "RELOADING", "MONOTONIC_USEC",
                          "STOPPING"}, set(), "other words")


def other_sockets(checks):
    """An abstract name; a watchdog that is meant for another process; a socket that is none."""
    supervisor = Supervisor(abstract=True)
    config = config_for("abstract")
    weir = start(config, supervisor, 1, WATCHDOG_PID="1").ready()
    supervisor.wait(lambda m: any("READY" in x for x in m), "READY=1 on an abstract socket")
    supervisor.wait(lambda m: any("STATUS" in x for x in m), "a status on an abstract socket")
    checks.equal(weir.stop(), 0, "exit code")
    checks.equal(supervisor.find("WATCHDOG"), [], "signs of life for another process")
    for name in ("nowhere", "/nowhere/notify", "/" + 200 * "x"):
        weir = start(config, name, 1).ready()
        checks.contains(weir.log(), "cannot use NOTIFY_SOCKET", f"log with NOTIFY_SOCKET={name}")
        checks.equal(weir.stop(), 0, f"exit code with NOTIFY_SOCKET={name}")
    supervisor = Supervisor()
    weir = start(config_for("refused", redis="redis://127.0.0.1:1/0"), supervisor, 1)
    checks.equal(weir.wait_exit(), 3, "exit code without Redis")
    checks.equal(supervisor.find("READY"), [], "READY=1 without Redis")


def frozen_redis(checks):
    """Weir waits for a Redis that does not answer: no reason to kill it."""
    private = t.Service("redis")
    supervisor = Supervisor()
    config = config_for("frozen", redis=private.env["REDIS_URL"])
    weir = start(config, supervisor, 24).ready()
    weir.wait_log("partition claimed", times=2)
    private.signal(signal.SIGSTOP)
    t.at_end(lambda: private.signal(signal.SIGCONT))
    begun = time.monotonic()
    supervisor.wait(lambda m: "waits for Redis" in m[-1].get("STATUS", ""), "stands still", 30)
    weir.wait_log("cannot go on until Redis answers")
    t.produce(config.topic, [b"no event"], 0)
    weir.wait_log("cannot commit; consuming stops")
    supervisor.wait(lambda m: m[-1]["at"] > begun + 16, "16 s of a frozen Redis", 60)
    signs = [m["at"] for m in supervisor.messages if "WATCHDOG" in m and m["at"] >= begun]
    gaps = [b - a for a, b in zip([begun] + signs, signs)]
    checks.that(len(gaps) >= 3 and max(gaps) < 8, f"signs of life while Redis is frozen: {gaps}")
    checks.equal([m for m in supervisor.messages if m["at"] > begun and "WATCHDOG" not in m], [],
                 "messages without a sign of life")
    private.signal(signal.SIGCONT)
    weir.wait_log("Redis answers again")
    checks.equal(weir.stop(), 0, "exit code")


class Stopped:
    """One thread of a process, stopped as a debugger does it, from its name."""

    def __init__(self, pid, name):
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
        self.tid = next(int(tid) for tid in os.listdir(f"/proc/{pid}/task")
                        if read(f"/proc/{pid}/task/{tid}/comm") == name)
        self.call(PTRACE_SEIZE)
        self.call(PTRACE_INTERRUPT)
        os.waitpid(self.tid, WALL)

    def call(self, request):
        if self.libc.ptrace(request, self.tid, None, None) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    def resume(self):
        self.call(PTRACE_DETACH)


def read(path):
    with open(path, encoding="utf-8") as text:
        return text.read().strip()


def hung_thread(checks):
    for name, words in (("worker 1", "worker 1 gave no sign of life"),
                        ("evaluator", "the evaluator gave no sign of life")):
        supervisor = Supervisor()
        weir = start(config_for("hung", workers=2), supervisor, 6 * SLOW).ready()
        supervisor.wait(lambda m: "WATCHDOG" in m[-1], "a sign of life")
        try:
            thread = Stopped(weir.process.pid, name)
        except PermissionError as error:
            checks.skip(f"no thread may be stopped here: {error}")
            return
        supervisor.wait(lambda m: words in m[-1].get("STATUS", ""), f"'{words}'", 60)
        at = len(supervisor.messages) - 1
        supervisor.wait(lambda m: len(m) >= at + 4, "more of its status", 60)
        checks.equal(supervisor.find("WATCHDOG", at), [], f"signs of life while {name} hangs")
        checks.contains(weir.log(), "a thread hangs", "log")
        checks.that(supervisor.messages[-1]["at"] > 0 and weir.alive(), "weir lives")
        thread.resume()
        supervisor.wait(lambda m: "WATCHDOG" in m[-1], "a sign of life when it goes on", 30)
        checks.equal(weir.stop(60), 0, "exit code")


def main():
    t.need_services("kcat")
    checks = t.Checks("supervisor")
    checks.run(life, other_sockets, frozen_redis, hung_thread)
    checks.finish()


if __name__ == "__main__":
    main()
