"""What a process costs: its CPU, its memory, from /proc."""

import os

CLIENT = "rdk:*"
TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def stat(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as text:
        return text.read().rsplit(")", 1)[1].split()


def own_cpu_s(pid):
    fields = stat(pid)
    return (int(fields[11]) + int(fields[12])) * TICK_S


def cpu_s(pid):
    """User and system time of the process and of its children, dead or alive."""
    fields = stat(pid)
    total = sum(int(fields[i]) for i in (11, 12, 13, 14)) * TICK_S
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as text:
                total += sum(own_cpu_s(child) for child in text.read().split())
        except OSError:
            pass  # ended meanwhile: its time comes with the dead ones
    return total


def threads_cpu_s(pid):
    """{name: CPU} of the threads; those of Kafka's client together, as CLIENT."""
    found = {}
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/comm", encoding="utf-8") as text:
                name = text.read().strip()
            spent = own_cpu_s(f"{pid}/task/{task}")
        except OSError:
            continue  # ended meanwhile
        if name.startswith("rdk:"):
            name = CLIENT
        found[name] = found.get(name, 0) + spent
    return found


def memory_mb(pid, field="VmHWM"):
    with open(f"/proc/{pid}/status", encoding="utf-8") as text:
        for line in text:
            if line.startswith(field + ":"):
                return int(line.split()[1]) / 1024
    return 0.0
