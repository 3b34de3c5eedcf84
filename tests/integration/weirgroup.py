"""A control group of Linux for memory, of the first version of its interface or of the second."""

import os
import re
import stat

import weirtest as t

GROUPS = "/sys/fs/cgroup"


def places():
    """(version, folder) where a group might be made: below the one that this process is in, beside
    it, at the root."""
    with open("/proc/self/cgroup", encoding="ascii") as lines:
        own = dict(line.rstrip("\n").split(":", 2)[1:] for line in lines)
    for version, root, path in ((1, f"{GROUPS}/memory", own.get("memory")), (2, GROUPS, own.get(""))):
        if path is None:
            continue
        for folder in (root + path, os.path.dirname(root + path.rstrip("/")), root):
            if folder.startswith(root) and os.path.exists(f"{folder}/cgroup.procs"):
                yield version, folder


class MemoryGroup:
    """With a hard limit; ended with the test. `why` says why there is none."""

    def __init__(self, limit):
        self.folder, self.why = None, "no control groups for memory are mounted"
        for self.version, parent in places():
            folder = f"{parent}/weir-{t.SUFFIX}"
            try:
                os.mkdir(folder)
                t.at_end(lambda folder=folder: os.rmdir(folder))
                self.write(folder, self.name("limit_in_bytes", "max"), limit)
                self.folder = folder
                return
            except OSError as error:
                self.why = f"no control group with a limit can be made: {error}"

    def name(self, first, second):
        return f"memory.{first if self.version == 1 else second}"

    def write(self, folder, name, value):
        with open(f"{folder}/{name}", "w", encoding="ascii") as out:
            out.write(str(value))

    def read(self, name):
        with open(f"{self.folder}/{name}", encoding="ascii") as text:
            return text.read()

    def program(self, config, weir):
        """A file to start in place of weir: it enters the group first."""
        path = os.path.join(config.dir, "weir-in-group")
        with open(path, "w", encoding="ascii") as out:
            out.write(f'#!/bin/sh\necho $$ >{self.folder}/cgroup.procs && exec "{weir}" "$@"\n')
        os.chmod(path, os.stat(path).st_mode | stat.S_IXUSR)
        return path

    def kills(self):
        """Processes that were killed for want of memory."""
        text = self.read(self.name("oom_control", "events"))
        return int(re.search(r"^oom_kill (\d+)$", text, re.M).group(1))

    def most(self):
        """Bytes at most; None where the kernel does not say."""
        name = self.name("max_usage_in_bytes", "peak")
        return int(self.read(name)) if os.path.exists(f"{self.folder}/{name}") else None
