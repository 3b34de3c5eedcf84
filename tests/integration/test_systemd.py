#!/usr/bin/env python3
"""deploy/weir.service under a real systemd, the first process of namespaces of its own: what is
started again and what is not, that secrets of root reach a weir that is not root, and what
deploy/OPERATIONS.md says to type about it."""

import json
import os
import re
import shutil
import subprocess
import time

import weirtest as t

DEPLOY = os.path.join(os.path.dirname(t.TESTS), "deploy")
UNIT = os.path.join(DEPLOY, "weir.service")
PLAIN = "[Unit]\nDefaultDependencies=no\n"
# what systemd-run needs
BUS = {f"units/{name}.target": PLAIN for name in ("sysinit", "basic", "shutdown", "multi-user")} | {
    "units/dbus.socket": PLAIN + "[Socket]\nListenStream=/run/dbus/system_bus_socket\n",
    "units/dbus.service": PLAIN + "Requires=dbus.socket\n[Service]\nType=notify\n"
                          "ExecStart=dbus-daemon --system --address=systemd: --nofork --nopidfile\n"}

# Only its own mounts change, and nothing that lasts can be written: /run and /tmp are new, /etc and
# /usr/local/bin as if weir were installed.
INSIDE = r"""set -e
mount --make-rprivate /
mount -t proc proc /proc
mount -t tmpfs -o mode=755 tmpfs /run
cp -r "$1" /run/test
mkdir /run/over
mount -t overlay -o "lowerdir=/etc,upperdir=/run/test/etc,workdir=/run/over" overlay /etc
mount --bind /run/test/bin /usr/local/bin
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /var/tmp
umount -R /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
mount -o remount,bind,ro /
mount --make-rshared /
export container=weir-test SYSTEMD_UNIT_PATH=/run/test/units SYSTEMD_LOG_TARGET=null
exec /lib/systemd/systemd --system --unit=ready.target
"""
IN_GROUP = r"""echo $$ >"$1/cgroup.procs"
exec unshare --cgroup --pid --fork --mount --uts --kill-child=KILL sh -c "$2" - "$3"
"""


def group_root():
    with open("/proc/mounts", encoding="utf-8") as mounts:
        return next((line.split()[1] for line in mounts if line.split()[2] == "cgroup2"), None)


def remove_group(path):
    """Of what has ended; its processes are reaped a moment later."""
    def gone():
        for folder, _, _ in os.walk(path, topdown=False):
            try:
                os.rmdir(folder)
            except OSError:
                return False
        return True

    t.wait_until(10, gone, f"{path} can be removed")


class Systemd:
    """Knows weir.service and nothing else, which it does not start by itself."""

    def __init__(self, config, rest_s, files):
        self.dir = t.folder()
        for path, text in files.items():
            self.write(path, text)
        self.write("etc/weir/weir.yaml", json.dumps(config))
        for name in ("bin", "units"):
            os.makedirs(os.path.join(self.dir, name), exist_ok=True)
        shutil.copy(os.environ["WEIR"], os.path.join(self.dir, "bin"))
        shutil.copy(UNIT, os.path.join(self.dir, "units"))
        self.write("units/ready.target", PLAIN)
        self.write("units/weir.service.d/test.conf",
                   f"{PLAIN}[Service]\nRestartSec={rest_s}\n"
                   f"StandardError=append:/run/weir.log\n")
        self.group = os.path.join(group_root(), f"weir-{t.SUFFIX}")
        os.mkdir(self.group)
        t.at_end(lambda: remove_group(self.group))
        self.process = subprocess.Popen(
            ["sh", "-c", IN_GROUP, "-", self.group, INSIDE, self.dir], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=open(os.path.join(self.dir, "err"), "wb"))
        t.at_end(self.end)
        t.wait_until(20, self.runs, "systemd answers")

    def write(self, path, text):
        path = os.path.join(self.dir, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8", opener=lambda p, f: os.open(p, f, 0o600)) as out:
            out.write(text)
        if "/secrets/" not in path:
            os.chmod(path, 0o644)

    def runs(self):
        if self.process.poll() is not None:
            with open(os.path.join(self.dir, "err"), encoding="utf-8") as err:
                raise t.Failure(f"systemd does not run in namespaces here: {err.read()[-500:]}")
        return self.do("systemctl", "show", "-p", "Version").returncode == 0

    def do(self, *command):
        """In there."""
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children",
                  encoding="utf-8") as children:
            first = (children.read().split() or ["0"])[0]
        return subprocess.run(["nsenter", "-t", first, "-a", *command], capture_output=True,
                              text=True, check=False, timeout=60)

    def start(self):
        return self.do("systemctl", "start", "--no-block", "weir")

    def state(self):
        shown = self.do("systemctl", "show", "weir", "-p",
                        "ActiveState,NRestarts,ExecMainStatus,Result").stdout
        return dict(line.split("=", 1) for line in shown.splitlines())

    def log(self):
        return self.do("cat", "/run/weir.log").stdout

    def wait(self, holds, what, seconds=30):
        def there():
            state = self.state()
            return state if holds(state) else None

        try:
            return t.wait_until(seconds, there, what)
        except t.Failure as failure:
            raise t.Failure(f"{failure}: {self.state()} {self.log()[-1500:]}") from None

    def end(self):
        self.process.kill()
        self.process.wait()


def config(topic, url="redis://127.0.0.1:1/0", **redis):
    return {"kafka": {"brokers": os.environ["KAFKA_BROKERS"].split(","), "topics": [topic],
                      "group": f"g-{t.SUFFIX}"},
            "redis": {"url": url, **redis}, "http": {"listen": "127.0.0.1:0"}}


def wrong_config(checks):
    """A mistake of each kind that `weir check config` finds, with a Redis that is away: it stays down."""
    unknown, clients = config("none"), config("none")
    unknown["windoes"] = ["1m"]
    clients["kafka"]["rdkafka"] = {"security.protocol": "SASL_SSL", "sasl.mechanism": "PLAIN"}
    for tree, words in ((unknown, "windoes"), (clients, "sasl.username and sasl.password must")):
        systemd = Systemd(tree, 0.1, {})
        systemd.start()
        state = systemd.wait(lambda s: s["ActiveState"] == "failed", "weir.service has failed")
        checks.equal(state, {"ActiveState": "failed", "NRestarts": "0", "ExecMainStatus": "1",
                             "Result": "exit-code"}, f"the service with {words}")
        checks.contains(systemd.log(), words, "log")
        t.end_all()


def service_away(checks):
    """Redis cannot be reached: it is tried again, oftener than systemd would by itself."""
    systemd = Systemd(config("none"), 0.05, {})
    systemd.start()
    systemd.wait(lambda s: int(s["NRestarts"]) >= 8, "8 restarts")
    checks.contains(systemd.log(), "cannot connect to Redis", "log")


def on_the_page(pattern):
    with open(os.path.join(DEPLOY, "OPERATIONS.md"), encoding="utf-8") as page:
        return re.search(pattern, page.read(), re.M).group()


def secrets(checks):
    """In files of root: the password of Redis, and the key of a sink. The page's own `weir` has them
    too, and the environment as systemd reads it."""
    redis = t.Service("redis", "--requirepass", "geheim")
    url = redis.env["REDIS_URL"]
    tree = config(t.topic("systemd", 1), url, password_file="${CREDENTIALS_DIRECTORY}/secrets_redis")
    tree["sinks"] = [{"type": "webhook", "name": "hook", "url": "${HOOK}",
                      "secret_file": "${CREDENTIALS_DIRECTORY}/secrets_hook.key"}]
    systemd = Systemd(tree, 2, {"etc/weir/secrets/redis": "geheim\n",
                                "etc/weir/secrets/hook.key": "k\n", **BUS,
                                "etc/weir/environment": 'HOOK="http://127.0.0.1:1/a?b=$c&d;e"\n'})
    systemd.start()
    systemd.wait(lambda s: s["ActiveState"] == "active", "weir.service is active", 60)
    pid = systemd.do("systemctl", "show", "weir", "-p", "MainPID", "--value").stdout.strip()
    status = systemd.do("cat", f"/proc/{pid}/status").stdout
    checks.that(int(re.search(r"^Uid:\s+(\d+)", status, re.M).group(1)) > 0, "weir is not root")
    if shutil.which("dbus-daemon"):
        systemd.do("systemctl", "start", "dbus.socket", "dbus.service")
        got = systemd.do("bash", "-c", on_the_page(r"^weir\(\) \{.*\}$") +
                         "\nweir get partitions --config /etc/weir/weir.yaml")
        checks.equal(got.returncode, 0, f"exit code of the page's weir get: {got.stderr}")
        checks.contains(got.stdout, tree["kafka"]["topics"][0], "the page's weir get")
    else:
        checks.skip("there is no dbus-daemon, which systemd-run needs")
    checks.equal(systemd.do("systemctl", "stop", "weir").returncode, 0, "systemctl stop")
    checks.equal(systemd.state(), {"ActiveState": "inactive", "NRestarts": "0",
                                   "ExecMainStatus": "0", "Result": "success"}, "the service")


def killed(checks):
    """A weir that does not answer, as the page says: it ends at once and stays down."""
    systemd = Systemd(config(t.topic("killed", 1), os.environ["REDIS_URL"]), 0.1, {})
    systemd.start()
    systemd.wait(lambda s: s["ActiveState"] == "active", "weir.service is active", 60)
    systemd.do("systemctl", "kill", "-s", "STOP", "weir")
    systemd.do("sh", "-c", on_the_page(r"^systemctl stop .*-s KILL weir\b"))
    systemd.wait(lambda s: s["ActiveState"] == "failed", "weir.service is down", 10)
    time.sleep(0.5)
    checks.equal(systemd.state(), {"ActiveState": "failed", "NRestarts": "0",
                                   "ExecMainStatus": "9", "Result": "signal"}, "the service")


def possible():
    if os.geteuid() != 0 or not group_root() or not os.path.exists("/lib/systemd/systemd"):
        return False
    probe = os.path.join(group_root(), f"weir-probe-{t.SUFFIX}")
    try:
        os.mkdir(probe)
        os.rmdir(probe)
    except OSError:
        return False
    return subprocess.run(["unshare", "--cgroup", "--pid", "--fork", "--mount", "--uts", "true"],
                          capture_output=True, check=False).returncode == 0


def main():
    t.need_services("kcat", "unshare", "nsenter", "systemctl")
    checks = t.Checks("systemd")
    if possible():
        checks.run(wrong_config, service_away, secrets, killed)
    else:
        checks.skip("no systemd can be started here: it needs root, namespaces and a cgroup2")
    checks.finish()


if __name__ == "__main__":
    main()
