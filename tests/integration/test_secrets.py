#!/usr/bin/env python3
"""No secret is ever seen: not in a log, an error, an answer over HTTP, a file of the demo's, or a
command line. Secrets are put wherever weir takes one, rightly and wrongly; services fail; and all
that weir says is searched for them."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.parse

import weirtest as t
from weirsecrets import Secrets, nothing_in, read

LOUD = {"level": "debug", "format": "logfmt"}


def secret_file(config, name, value):
    config.write(name, value + "\n")
    return name


# ---- a service that runs, and whose services fail ----

PATHS = ("/", "/metrics", "/-/healthy", "/-/ready", "/api/v1/windows", "/api/v1/segments",
         "/api/v1/series?window=1m", "/api/v1/alerts", "/api/v1/partitions", "/api/v1/nothing",
         "/api/v1/windows?window=7m")


def hook_server(status, body_of_headers):
    """A receiver that answers with all that it was sent, as some do in their error pages."""
    code = ("import http.server,sys\n"
            "class H(http.server.BaseHTTPRequestHandler):\n"
            "    def log_message(self, *_): pass\n"
            "    def do_POST(self):\n"
            "        body = self.rfile.read(int(self.headers['Content-Length']))\n"
            f"        answer = (str(self.path) + str(self.headers)).encode() if {body_of_headers}"
            " else b''\n"
            f"        self.send_response({status})\n"
            "        self.send_header('Content-Length', str(len(answer)))\n"
            "        self.end_headers()\n"
            "        self.wfile.write(answer)\n"
            "s = http.server.HTTPServer(('127.0.0.1', 0), H)\n"
            "print(s.server_port, flush=True)\n"
            "s.serve_forever()\n")
    server = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    t.at_end(lambda: (server.kill(), server.wait()))
    return int(server.stdout.readline())


def alarming(config):
    """A rule that fires on the first window."""
    config.rules({"alert": "Always", "metric": "sessions", "window": "10s", "below": 1e9})


def half_an_hour_ago():
    begun = int(time.time()) - 1800
    return [json.dumps({"type": "page_view", "session": f"s{n}",
                        "time": (begun + 5 * n) * 1000}).encode() for n in range(40)]


def secret_config(secrets, redis, echo_port):
    """Secrets in every place that takes one: in the text, in files and in the environment."""
    config = t.Config(t.topic("secrets", 1))
    os.environ["WEIR_TEST_HOOK"] = secrets.new("webhook secret from the environment")
    config.change(
        redis={"url": redis},
        alerts={"rules_files": ["rules.yaml"], "warm_up": "0s", "suspect_lag": "2h"},
        windows=["10s", "1m"], time={"out_of_orderness": "0s", "idle_timeout": "10m"},
        kafka={"rdkafka": {"debug": "all", "sasl.username": "shop", **t.FAST_GROUP,
                           "sasl.password": secrets.new("sasl.password"),
                           "ssl.key.password_file": secret_file(
                               config, "key", secrets.new("ssl.key.password_file"))}},
        sinks=[
            {"type": "webhook", "name": "echo", "secret": "${WEIR_TEST_HOOK}",
             "url": f"http://u:{secrets.new('webhook url')}@127.0.0.1:{echo_port}/"
                    f"{secrets.new('path of a webhook')}?k={secrets.new('query of a webhook')}"},
            {"type": "webhook", "name": "nobody",
             "url_file": secret_file(config, "url", "http://127.0.0.1:1/"
                                     + secrets.new("url_file")),
             "secret_file": secret_file(config, "secret", secrets.new("secret_file"))},
            {"type": "alertmanager", "name": "am",
             "url": f"http://u:{secrets.new('alertmanager url')}@127.0.0.1:{echo_port}"},
            {"type": "webhook", "name": "dns",
             "url": f"https://u:{secrets.new('url of no host')}@nowhere.invalid/"
                    f"{secrets.new('path of no host')}"},
        ],
        log=LOUD)
    alarming(config)
    return config


def ask_all(weir):
    return "\n".join(weir.http(path, timeout=20)[1] for path in PATHS)


def service_that_runs(checks):
    secrets = Secrets()
    private = t.Service("redis")
    redis = t.Redis(private.env["REDIS_URL"])
    password = secrets.new("redis password")
    redis.do("CONFIG", "SET", "requirepass", password)
    t.at_end(lambda: redis.do("CONFIG", "SET", "requirepass", "")) # so that it can be stopped
    address = private.env["REDIS_URL"].replace("redis://", f"redis://default:{password}@")
    config = secret_config(secrets, address, hook_server(401, True))
    t.produce(config.topic, half_an_hour_ago())
    weir = t.Weir(config).ready()
    for sink in ("echo", "nobody", "am", "dns"):
        weir.wait_log(f"sink {sink}: ", 30)
    nothing_in(checks, secrets, ask_all(weir), "the answers over HTTP")
    for what in ("cmdline", "environ"): # a core dump is kept with both
        nothing_in(checks, secrets, read(f"/proc/{weir.process.pid}/{what}"), f"the {what} of weir")
    weir.signal(signal.SIGHUP)
    weir.wait_log("are taken over") # the variables of the environment are there still

    redis.do("CONFIG", "SET", "requirepass", "another") # it is not let in any more
    redis.do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    weir.wait_log("WRONGPASS", 30)
    nothing_in(checks, secrets, ask_all(weir), "the answers while Redis lets nobody in")
    redis.do("CONFIG", "SET", "requirepass", password)
    t.wait_until(20, lambda: weir.http("/-/ready")[0] == 200, "weir is ready again")
    wrong = secrets.new("redis.password beside a url that has one")
    config.change(redis={"password": wrong})
    weir.signal(signal.SIGHUP)
    weir.wait_log("the config has mistakes")
    checks.equal(weir.stop(), 0, "exit code")
    nothing_in(checks, secrets, weir.log(), "the log")
    checks.that(len(weir.log()) > 2000, "there is a log")
    del os.environ["WEIR_TEST_HOOK"]


def services_that_refuse(checks):
    """Brokers and Redis that do not take the password, with librdkafka as loud as it can be."""
    secrets = Secrets()
    password = secrets.new("sasl.password")
    config, started = t.Config(t.topic("sasl", 1), log=LOUD), []
    for protocol, mechanism, more in (
            # librdkafka writes the whole of its configuration to the log
            ("SASL_PLAINTEXT", "PLAIN", {"client.rack": f"http://u:{secrets.new('a rack')}@h/"}),
            ("SASL_SSL", "SCRAM-SHA-256", {})):
        way = t.Config(config.topic, log=LOUD)
        way.change(kafka={"rdkafka": {
            "debug": "all", "security.protocol": protocol, "sasl.mechanisms": mechanism,
            "sasl.username": "shop", "sasl.password": password, **more}})
        started.append((mechanism, t.Weir(way)))
    for mechanism, weir in started: # 20 s, beside each other
        checks.equal(weir.wait_exit(60), 3, f"exit code with {mechanism}")
        checks.contains(weir.log(), "sasl.password = [redacted]", "the log")
        nothing_in(checks, secrets, weir.log(), f"the log with {mechanism}")
    port = os.environ["REDIS_PORT"]
    for url in (f"redis://:{secrets.new('redis url')}@127.0.0.1:{port}/0",
                f"redis://u:{secrets.new('redis url of a user')}@127.0.0.1:{port}/0",
                f"redis://u:{secrets.new('redis url of nobody')}@127.0.0.1:1/0",
                f"rediss://u:{secrets.new('rediss url')}@127.0.0.1:{port}/0",
                f"redis://:{secrets.new('redis url of no host')}@nowhere.invalid/0",
                f"redis://u:{secrets.new('url of a cluster')}@127.0.0.1:1,127.0.0.1:{port}",
                f"redis+sentinel://u:{secrets.new('sentinel url')}@127.0.0.1:{port}/shop",
                f"redis+sentinel://u:{secrets.new('sentinel url of nobody')}@127.0.0.1:1/shop",
                f"rediss://u:{secrets.new('url with files')}@127.0.0.1:1/0?ca_file=/nowhere",
                f"unix://u:{secrets.new('unix url')}@/nowhere/redis.sock"):
        config = t.Config("nothing", redis=url, log=LOUD)
        for arguments in (["run"], ["get", "windows"], ["silence", "list"]):
            code, out, err = t.command(*arguments, "--config", config.path)
            checks.that(code != 0, f"weir {arguments[0]} fails")
            nothing_in(checks, secrets, out + err, f"what weir {arguments[0]} says")
        code, out, err = t.command("get", "windows", "--redis", url, "--group", "g")
        checks.that(code != 0, "weir get --redis fails")
        nothing_in(checks, secrets, out + err, "what weir get --redis says")


# ---- mistakes ----


def mistakes(secrets):
    """(what is wrong, the config's text). In a place for secrets it is never shown; elsewhere a
    value that comes from the environment is not."""
    def new(place):
        return secrets.new(place)

    env = "${WEIR_TEST_SECRET}"
    urls = ["http://:{}@h", "redis://{}@h", "redis://u:{}%zz@h", "redis://:a/{}@h:6379",
            "redis://:a#{}@h:x", "redis://:a?{}@h:99999", "redis://u:{}@", "redis://h/{}",
            "redis://u:{}@h:6379/db", "redis://[u:{}@h", "{}", "redis//:{}@h", "unix://{}",
            "redis://h:{}", "redis://u:{}@a:1,b:x", "redis://u:{}@a:1,,b:2", "redis://a:1,u:{}@b:2",
            "redis+sentinel://u:{}@a:1", "redis+sentinel://u:{}@a:1/x/y", "rediss://u:{}@a:1?{}=x",
            "rediss://u:{}@a:1?ca_file=", "redis://h?password={}", "rediss://h?{}"]
    for url in urls:
        yield f"redis.url {url}", {"redis": {"url": url.replace("{}", new(f"redis.url {url}"))}}
    for url in ("ftp://u:{}@h/x", "u:{}@h/x", "http://u:{}@/x", "https://h:99999/{}", "{}"):
        for kind in ("webhook", "alertmanager"):
            text = url.format(new(f"{kind} url {url}"))
            yield f"{kind} url {url}", {"sinks": [{"type": kind, "url": text}]}
    hidden = new("a secret of the wrong sort")
    for value in ([hidden], {hidden: 1}, {"a": hidden}, [[hidden]]):
        yield "secret of the wrong sort", {"sinks": [{"type": "webhook", "url": "http://h/",
                                                      "secret": value}]}
        yield "password of the wrong sort", {"redis": {"url": "redis://h", "password": value}}
        yield "url of the wrong sort", {"redis": {"url": value}}
    yield "two passwords", {"redis": {"url": f"redis://:{new('one of two')}@h",
                                      "password": new("two of two")}}
    yield "secret of a log", {"sinks": [{"type": "log", "secret": new("secret of a log")}]}
    yield "secret and file", {"sinks": [{"type": "webhook", "url": "http://h/",
                                         "secret": new("beside a file"), "secret_file": "x"}]}
    yield "a file's name", {"redis": {"url_file": "missing"}}
    for name in ("sasl.password", "ssl.key.password", "sasl.oauthbearer.config", "ssl.key.pem",
                 "sasl.oauthbearer.client.secret", "sasl.jaas.config", "ssl.keystore.password"):
        yield name, {"kafka": {"rdkafka": {"security.protocol": "SASL_SSL",
                                           "sasl.mechanisms": "OAUTHBEARER",
                                           name: new(name)}}}
    yield "broker with a password", {"kafka": {"brokers": [f"u:{new('a broker')}@h:9092"]}}
    for part in ({"workers": env}, {"http": {"listen": env}}, {"windows": [env]},
                 {"commit": {"interval": env}}, {"log": {"level": env}},
                 {"kafka": {"start": env}}, {"kafka": {"brokers": [env + ":x"]}},
                 {"kafka": {"topics": [env + "/"]}}, {"kafka": {"group": env + "{"}},
                 {"events": {"preset": env}}, {"events": {"fields": {"time": env + "["}}},
                 {"events": {"types": {"a": env + " "}}}, {"sessions": {"gap": env}},
                 {"events": {"currency": {"to": env, "rates": {"USD": env}}}},
                 {"sinks": [{"type": env}]}, {"sinks": [{"type": "log", "name": env + "/"}]},
                 {"sinks": [{"type": "kafka", "topic": env + "/"}]}, {"redis": {"url": env}},
                 {"metrics": {"m": {"ratio": [{"count": env + " "}, {"sum": env, "of": "a"}]}}},
                 {"alerts": {"rules_files": [env]}}, {"alerts": {"outbox_max": env}},
                 {"kafka": {"rdkafka": {"security.protocol": env}}},
                 {"kafka": {"rdkafka": {"enable.auto.commit": env}}},
                 {"kafka": {"rdkafka": {"isolation.level": env}}},
                 {"kafka": {"rdkafka": {"check.crcs": env}}},
                 {"kafka": {"rdkafka": {"session.timeout.ms": env}}},
                 {"kafka": {"rdkafka": {"partition.assignment.strategy": env + ",cooperative"}}}):
        yield f"{json.dumps(part)}", part


def say_nothing(checks, secrets, what, *arguments):
    code, out, err = t.command(*arguments)
    nothing_in(checks, secrets, out + err, f"what weir {arguments[0]} says of {what}")
    checks.that(code in (0, 1, 3, 4), f"weir {arguments[0]} on {what}: exit {code}")
    return code


def wrong_configs(checks):
    """Redis answers, so that what is wrong only for Kafka comes as far as librdkafka."""
    secrets, started = Secrets(), []
    os.environ["WEIR_TEST_SECRET"] = secrets.new("the environment")
    for what, part in mistakes(secrets):
        config = t.Config("t", brokers="127.0.0.1:1", log=LOUD, http={"listen": "off"})
        tree = config.tree
        for name, value in part.items():
            tree[name] = {**tree.get(name, {}), **value} if isinstance(value, dict) else value
        config.write("weir.yaml", json.dumps(tree, indent=1))
        code = say_nothing(checks, secrets, what, "check", "config", config.path)
        say_nothing(checks, secrets, what, "get", "windows", "--config", config.path)
        if code == 0 and "rdkafka" in part.get("kafka", {}):
            started.append((what, t.Weir(config)))
        elif code == 1:
            say_nothing(checks, secrets, what, "run", "--config", config.path)
    checks.that(started, "some come as far as librdkafka")
    for what, weir in started: # beside each other: they wait for Kafka
        checks.that(weir.wait_exit(60) in (1, 3), f"the exit code of weir run on {what}")
        nothing_in(checks, secrets, weir.log(), f"what weir run says of {what}")
    hidden = secrets.new("a line that is no YAML")
    for text in (f"redis: {{ url: 'redis://:{hidden}@h\n", f"redis:\n  password: \"{hidden}\n",
                 f"redis:\n password: {hidden}: {hidden}\n", f"redis:\n\tpassword: {hidden}\n",
                 f"redis: {{ pasword: {hidden} }}\n", f"redis: {{ password: *{hidden} }}\n",
                 f"redis: {{ password: !{hidden} x }}\n", f"sinks: {{ secret: {hidden} }}\n",
                 f"redis: {{ password: {hidden}, password: {hidden} }}\n"):
        config = t.Config("t")
        config.write("weir.yaml", text)
        say_nothing(checks, secrets, repr(text), "check", "config", config.path)
    del os.environ["WEIR_TEST_SECRET"]


# ---- command lines ----


def command_lines(checks):
    """What a user gives as --redis is overwritten; what weir starts itself never has it."""
    secrets = Secrets()
    private = t.Service("redis")
    redis = t.Redis(private.env["REDIS_URL"])
    password = secrets.new("--redis")
    redis.do("CONFIG", "SET", "requirepass", password)
    t.at_end(lambda: redis.do("CONFIG", "SET", "requirepass", ""))
    url = private.env["REDIS_URL"].replace("redis://", f"redis://:{password}@")
    scratch = t.folder()
    demo = subprocess.Popen(
        [os.environ["WEIR"], "demo", "--redis", url, "--brokers", os.environ["KAFKA_BROKERS"],
         "--seconds", "60"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        stdin=subprocess.DEVNULL, env={**os.environ, "TMPDIR": scratch})
    t.at_end(lambda: (demo.kill(), demo.wait()))

    def children():
        found = []
        for tid in os.listdir(f"/proc/{demo.pid}/task"):
            try:
                found += read(f"/proc/{demo.pid}/task/{tid}/children").split()
            except FileNotFoundError: # a thread that has ended
                continue
        return [int(pid) for pid in found]

    service = t.wait_until(30, children, "the demo's service")
    logs = t.wait_until(30, lambda: [os.path.join(root, name) for root, _, names in
                                     os.walk(scratch) for name in names if name == "run.log"],
                        "the service's log")
    t.wait_until(30, lambda: "started" in read(logs[0]), "the service has started")
    line = read(f"/proc/{demo.pid}/cmdline")
    nothing_in(checks, secrets, line, "the demo's command line")
    nothing_in(checks, secrets, read(f"/proc/{demo.pid}/environ"), "the demo's environment")
    checks.contains(line, "redis://" + "x" * (len(password) + 1) + "@", "the demo's command line")
    for pid in service:
        nothing_in(checks, secrets, read(f"/proc/{pid}/cmdline"), "the service's command line")
        nothing_in(checks, secrets, read(f"/proc/{pid}/environ"), "the service's environment")
    for root, _, names in os.walk(scratch):
        for name in names:
            nothing_in(checks, secrets, read(os.path.join(root, name)), f"the demo's {name}")
    demo.send_signal(signal.SIGINT)
    nothing_in(checks, secrets, demo.communicate(timeout=30)[0], "what the demo shows")
    raw = secrets.new("a password that is not encoded")
    run = subprocess.Popen([os.environ["WEIR"], "generate", "--events", "100000000", "--to",
                            f"kafka://u:/{raw}@127.0.0.1:1/t"], stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True)
    try:
        out = run.communicate(timeout=60)[0]
    finally:
        run.kill()
    nothing_in(checks, secrets, out.replace(urllib.parse.quote(raw), ""), "what generate says")


def main():
    t.need_services("kcat")
    checks = t.Checks("secrets")
    checks.run(service_that_runs, services_that_refuse, wrong_configs, command_lines)
    checks.finish()


if __name__ == "__main__":
    main()
