"""Producers that give transactions up, and three brokers."""

import json
import os
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor

import weirfault as f
import weirtest as t


def transactions(topic, keyed, count):
    """Writes in transactions of so many; returns the records that were committed."""
    lines = b"".join(key.encode() + b"\t" + line + b"\n" for key, line in keyed)
    run = subprocess.run([f.tool("transactions"), os.environ["KAFKA_BROKERS"], topic, str(count)],
                         input=lines, capture_output=True, check=False)
    if run.returncode != 0:
        raise t.Failure(run.stderr.decode())
    pairs = [line.split(b"\t", 1) for line in run.stdout.splitlines()]
    return [(key.decode(), line) for key, line in pairs]


# ---- three brokers ----


class Node(t.Service):
    """A broker of a cluster; the first is its controller too, and stays."""

    def __init__(self, number, ports, controller, cluster):
        self.number, self.ports, self.controller, self.cluster = number, ports, controller, cluster
        super().__init__("kafka")

    def order(self, verb, *args):
        if verb == "start":
            os.makedirs(self.dir)
            self.write()
            verb = "resume"
        super().order(verb, *args)

    def write(self):
        own = f"PLAINTEXT://127.0.0.1:{self.ports[self.number]}"
        first = self.number == 0
        lines = [
            f"process.roles={'broker,controller' if first else 'broker'}", f"node.id={self.number}",
            f"controller.quorum.voters=0@127.0.0.1:{self.controller}",
            f"listeners={own}" + (f",CONTROLLER://127.0.0.1:{self.controller}" if first else ""),
            f"advertised.listeners={own}", "controller.listener.names=CONTROLLER",
            "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
            f"log.dirs={self.dir}/data", "log.retention.ms=-1", "min.insync.replicas=2",
            "offsets.topic.replication.factor=3", "offsets.topic.num.partitions=4",
            "transaction.state.log.replication.factor=3", "transaction.state.log.min.isr=2",
            "transaction.state.log.num.partitions=4", "group.initial.rebalance.delay.ms=0",
            "group.min.session.timeout.ms=1000", "broker.session.timeout.ms=3000",
            "broker.heartbeat.interval.ms=500", "auto.create.topics.enable=false"]
        path = os.path.join(self.dir, "server.properties")
        with open(path, "w", encoding="utf-8") as out:
            out.write("\n".join(lines) + "\n")
        with open(os.path.join(self.dir, "env"), "w", encoding="utf-8") as out:
            out.write(f"KAFKA_BROKERS=127.0.0.1:{self.ports[self.number]}\n")
        jars = subprocess.run(["sh", self.script, "fetch"], capture_output=True, text=True,
                              check=True).stdout.strip()
        run = subprocess.run(["java", "-cp", f"{jars}/*", "kafka.tools.StorageTool", "format", "-t",
                              self.cluster, "-c", path], capture_output=True, check=False)
        if run.returncode != 0:
            raise t.Failure(f"cannot format a broker: {run.stderr.decode()[-500:]}")


class Cluster:
    def __init__(self):
        ports = [free_port() for _ in range(4)]
        os.environ.setdefault("KAFKA_HEAP", "384m")
        with ThreadPoolExecutor(3) as pool:
            self.nodes = list(pool.map(
                lambda number: Node(number, ports[:3], ports[3], "d2Vpci10ZXN0LWNsdXN0ZQ"),
                range(3)))
        self.brokers = ",".join(f"127.0.0.1:{port}" for port in ports[:3])

    def leaders(self, topic):
        """[node's number] by partition."""
        run = subprocess.run(["kcat", "-L", "-J", "-b", self.brokers, "-t", topic],
                             capture_output=True, check=True)
        partitions = json.loads(run.stdout)["topics"][0]["partitions"]
        return [part["leader"] for part in sorted(partitions, key=lambda part: part["partition"])]


def free_port():
    """Below the kernel's own choices, so that no client takes it meanwhile."""
    while True:
        port = 20000 + int.from_bytes(os.urandom(2), "big") % 12000
        with socket.socket() as some:
            try:
                some.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
