#!/usr/bin/env python3
"""Users, TLS and SASL for real: two shops on one Redis and one Kafka that cannot see each other's
keys, certificates made here, and no password in anything that weir writes."""

import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

import weirtest as t
from weiralerts import Sinks
from weirstream import (
    PARTITIONS,
    Feeder,
    closers_at,
    feed_closers,
    finish_and_compare,
    ms_of,
    stream_config,
    traffic,
)

HUSH = {"shop": "hush-of-the-shop", "other": "hush-of-the-other"}
README = os.path.join(t.TESTS, "..", "README.md")
RULE = {"alert": "AlwaysOn", "metric": "events", "window": "1m", "above": 0, "resolve": -1,
        "for": "0s"}


def says_nothing(checks, text, secrets, what):
    for secret in secrets:
        checks.that(secret not in text, f"{what} has a password in it: {text[-800:]}")


# ---- users of Redis ----


def acl_line(user):
    """The very line of the README, for that user."""
    with open(README, encoding="utf-8") as text:
        line = re.search(r"^ACL SETUSER shop .*$", text.read(), re.MULTILINE).group(0)
    return line.replace("PASSWORD", HUSH[user]).replace("shop", user, 1).replace(
        "{shop", "{" + user).split()


def shop_config(service, topic, user, sinks):
    place = service.env["REDIS_URL"].removeprefix("redis://")
    config = t.Config(topic, group=user, redis=f"redis://{user}@{place}",
                      events={"dimensions": {"country": "country"}}, windows=["1m", "1h"],
                      alerts={"rules_files": ["rules.yaml"]},
                      sinks=sinks.config())
    config.write("password", HUSH[user] + "\n")
    config.rules(RULE)
    return config.change(redis={"password_file": "password"})


def run_all(checks, service, config, path, sinks):
    """Every command that touches Redis, as the shop's user."""
    secrets = HUSH.values()
    weir = t.Weir(config).wait_log("partition claimed", times=PARTITIONS)
    total = Feeder(config, path, 1).finish()
    admin = t.Redis(service.env["REDIS_URL"])
    t.wait_counted(admin, config, PARTITIONS, total, watch=weir)
    t.wait_until(20, lambda: admin.hash(config.key("now:1m")), "a window is published")
    t.wait_until(20, lambda: admin.stream(config.key("alerts")), "an alert's change is published")
    t.wait_until(30, lambda: sinks.hooked() and sinks.in_topic() and not sum(
        admin.do("XLEN", config.key(f"outbox:{name}")) for name in ("hook", "topic")), "both are told")
    said = weir.log()
    place = ("--redis", config.redis.replace("@", f":{HUSH[config.group]}@"), "--group",
             config.group)
    for source in (("--config", config.path), place):
        for what in ("windows", "segments", "partitions", "alerts"):
            code, out, err = t.command("get", what, *source)
            checks.equal(code, 0, f"exit code of get {what}: {err}")
            said += out + err
        code, out, err = t.command("silence", "add", "country=DE", "--for", "1h", "--comment", "x",
                                   *source)
        checks.equal(code, 0, f"exit code of silence add: {err}")
        checks.equal(t.command("silence", "list", *source)[0], 0, "exit code of silence list")
        checks.equal(t.command("silence", "expire", out.strip(), *source)[0], 0,
                     "exit code of silence expire")
    for page in ("/metrics", "/-/ready", "/api/v1/windows", "/api/v1/segments?window=1m",
                 "/api/v1/series?window=1m", "/api/v1/alerts", "/api/v1/partitions"):
        status, text = weir.http(page)
        checks.equal(status, 200, f"status of {page}: {text[:300]}")
        said += text
    with open(f"/proc/{weir.process.pid}/cmdline", "rb") as words:
        said += words.read().decode()
    checks.equal(weir.stop(), 0, "exit code")
    again = t.Weir(config, "--rebuild").wait_log("partition claimed", times=PARTITIONS)
    t.wait_counted(admin, config, PARTITIONS, total, watch=again)
    checks.equal(again.stop(), 0, "exit code after --rebuild")
    says_nothing(checks, said + again.log(), secrets, f"what {config.group} sees")


def denied(checks, redis, *words):
    try:
        answer = redis.do(*words)
    except t.RedisError as error:
        checks.that(re.search("NOPERM|can't access", str(error)), f"{words[:2]}: {error}")
        return
    checks.that(False, f"{words[:2]} is allowed: {answer}")


def two_shops(checks):
    service = t.Service("redis")
    admin = t.Redis(service.env["REDIS_URL"])
    configs, sinks = {}, {}
    for user in HUSH:
        checks.equal(admin.do(*acl_line(user)), b"OK", f"the README's ACL line for {user}")
        sinks[user] = Sinks()
        configs[user] = shop_config(service, t.topic(user, PARTITIONS), user, sinks[user])
    path, _ = traffic(checks, configs["shop"], 20000)
    with ThreadPoolExecutor(2) as pool:  # at the same time
        for done in [pool.submit(run_all, checks, service, configs[user], path, sinks[user])
                     for user in HUSH]:
            done.result()
    log = admin.do("ACL", "LOG")
    checks.equal(log, [], "what was denied although the README's line should allow it")

    place = service.env["REDIS_URL"].removeprefix("redis://")
    shop = t.Redis(f"redis://shop:{HUSH['shop']}@{place}")
    theirs = configs["other"]
    checks.that(shop.do("HGET", configs["shop"].tag(0, "meta"), "offset"), "its own keys are there")
    for words in (("HGETALL", theirs.key("now:1m")), ("HGETALL", theirs.tag(0, "meta")),
                  ("DEL", theirs.key("lease")), ("PUBLISH", theirs.key("alerts"), "x"),
                  ("EVAL", "return redis.call('get', KEYS[1])", 1, theirs.key("lease")),
                  ("EVAL", f"return redis.call('get', '{theirs.key('lease')}')", 0),
                  ("SCAN", 0), ("KEYS", "*"), ("RANDOMKEY",), ("FLUSHALL",),
                  ("CONFIG", "GET", "*"), ("MONITOR",), ("DEBUG", "SLEEP", 0)):
        denied(checks, shop, *words)
    thief = t.Weir(configs["shop"].change(kafka={"group": "other"}))
    checks.that(thief.wait_exit() != 0, "a weir of the other's group does not start")
    checks.contains(thief.log(), "NOPERM", "what it says")
    configs["shop"].write("password", "hush-wrong")
    thief = t.Weir(configs["shop"].change(kafka={"group": "shop"}))
    checks.equal(thief.wait_exit(), 3, "exit code of a wrong password")
    checks.contains(thief.log(), "refused the user and password (WRONGPASS)", "what it says")
    says_nothing(checks, thief.log(), ("hush",), "what a wrong password brings")


# ---- TLS ----


def openssl(folder, *words):
    run = subprocess.run(["openssl", *words], cwd=folder, capture_output=True, check=False)
    if run.returncode != 0:
        raise t.Failure(f"openssl {words[0]}: {run.stderr.decode()[-500:]}")


def authority(folder, name):
    openssl(folder, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj",
            f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.crt")


def certificate(folder, name, signer, address="127.0.0.1"):
    with open(os.path.join(folder, "san"), "w", encoding="utf-8") as out:
        out.write(f"subjectAltName=IP:{address}\n")
    openssl(folder, "req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout",
            f"{name}.key", "-out", f"{name}.csr")
    openssl(folder, "x509", "-req", "-days", "30", "-in", f"{name}.csr", "-CA", f"{signer}.crt",
            "-CAkey", f"{signer}.key", "-CAcreateserial", "-extfile", "san", "-out", f"{name}.crt")


def tls_redis(folder, server):
    return t.Service("redis", "--tls-cert-file", os.path.join(folder, f"{server}.crt"),
                     "--tls-key-file", os.path.join(folder, f"{server}.key"),
                     "--tls-ca-cert-file", os.path.join(folder, "ca.crt"),
                     "--tls-auth-clients", "yes")


def redis_tls(checks):
    """Redis wants a certificate of weir's; each thing that can be wrong is said in a sentence."""
    config = stream_config("tls", http={"listen": "127.0.0.1:0"})
    for name in ("ca", "stranger"):
        authority(config.dir, name)
    certificate(config.dir, "redis", "ca")
    certificate(config.dir, "elsewhere", "ca", "192.0.2.1")
    certificate(config.dir, "weir", "ca")
    service = tls_redis(config.dir, "redis")
    files = {"ca_file": "ca.crt", "cert_file": "weir.crt", "key_file": "weir.key"}
    url = service.env["REDIS_TLS_URL"]
    config.redis = service.env["REDIS_URL"]  # where the test itself looks
    config.change(redis={"url": url, "tls": files})
    path, end = traffic(checks, config, 20000)
    weir = t.Weir(config).wait_log("partition claimed", times=PARTITIONS)
    total = Feeder(config, path, 1).finish() + PARTITIONS
    feed_closers(config, closers_at(end))
    finish_and_compare(checks, config, total, ms_of(end), "over TLS", weir)
    checks.equal(t.command("get", "windows", "--config", config.path)[0], 0, "get over TLS")
    from_url = "&".join(f"{name}={os.path.join(config.dir, file)}" for name, file in files.items())
    code, _, err = t.command("get", "windows", "--redis", f"{url}?{from_url}", "--group",
                             config.group)
    checks.equal(code, 0, f"get over TLS with the files in the url: {err}")
    checks.equal(weir.stop(), 0, "exit code")

    wrong = tls_redis(config.dir, "elsewhere")
    for what, change, part in (
        ("a stranger's authority", {"tls": {**files, "ca_file": "stranger.crt"}},
         "redis.tls.ca_file must name the authority"),
        ("the system's authorities", {"tls": {}}, "redis.tls.ca_file must name the authority"),
        ("no certificate", {"tls": {"ca_file": "ca.crt"}},
         "Redis asked for a certificate: set redis.tls.cert_file"),
        ("another's key", {"tls": {**files, "key_file": "ca.key"}}, "cannot read key_file"),
        ("no PEM", {"tls": {**files, "ca_file": "san"}}, "cannot read ca_file"),
        ("a certificate of another address", {"url": wrong.env["REDIS_TLS_URL"], "tls": files},
         "the certificate must name the host"),
    ):
        weir = t.Weir(config.change(redis={"url": url, **change}))
        checks.equal(weir.wait_exit(), 3, f"exit code with {what}")
        checks.contains(weir.log(), part, f"what weir says to {what}")


# ---- Kafka ----


def secure_kafka(checks):
    """SASL over TLS; the password comes from a file."""
    service = t.Service("kafka", settings={"KAFKA_SECURE": "1"})
    secret = service.env["KAFKA_PASSWORD"]
    config = stream_config("sasl", brokers=service.env["KAFKA_BROKERS"],
                           http={"listen": "127.0.0.1:0"})
    config.write("password", secret + "\n")
    config.write("wrong", "hush-wrong\n")
    sasl = {"security.protocol": "SASL_SSL", "ssl.ca.location": service.env["KAFKA_CA"],
            "sasl.mechanism": "PLAIN", "sasl.username": service.env["KAFKA_USER"],
            "sasl.password_file": "password", **t.FAST_GROUP}
    plain = dict(config.tree["kafka"])
    path, end = traffic(checks, config, 20000)
    config.change(kafka={"brokers": [service.env["KAFKA_SECURE_BROKERS"]], "rdkafka": sasl})
    weir = t.Weir(config).wait_log("partition claimed", times=PARTITIONS)
    total = Feeder(config, path, 1).finish() + PARTITIONS
    feed_closers(config, closers_at(end))
    finish_and_compare(checks, config, total, ms_of(end), "over SASL and TLS", weir)
    said = weir.log() + weir.http("/metrics")[1] + weir.http("/-/ready")[1]
    checks.equal(weir.stop(), 0, "exit code")
    checks.that(plain["brokers"] != config.tree["kafka"]["brokers"], "the secure listener was used")

    authority(config.dir, "stranger")
    for what, change, part in (
        ("a wrong password", {"sasl.password_file": "wrong"}, "Authentication failed"),
        ("a stranger's authority",
         {"ssl.ca.location": os.path.join(config.dir, "stranger.crt")}, "certificate verify failed"),
    ):
        weir = t.Weir(config.change(kafka={"rdkafka": {**sasl, **change}}))
        t.wait_until(20, lambda w=weir, p=part: p in w.log(), f"{part!r} with {what}: {weir.tail()}")
        said += weir.log()
        weir.kill()
    says_nothing(checks, said, (secret, "hush"), "what weir says with SASL")
    scram(checks, config, sasl)


def scram(checks, config, sasl):
    """Kafka 4 takes SCRAM from librdkafka 2.6.1 on."""
    version = re.search(r"librdkafka (\d+)\.(\d+)\.(\d+)", t.command("version")[1])
    numbers = tuple(map(int, version.groups())) if version else (0, 0, 0)
    config.change(kafka={"group": f"{config.group}-scram",
                         "rdkafka": {**sasl, "sasl.mechanism": "SCRAM-SHA-512"}})
    weir = t.Weir(config)
    if numbers >= (2, 6, 1):
        weir.wait_log("partition claimed", times=PARTITIONS)
        return
    weir.wait_log("needs librdkafka 2.6.1", 20)
    weir.kill()
    checks.skip(f"SCRAM with librdkafka {'.'.join(map(str, numbers))}: Kafka 4 does not take it")


def main():
    t.need_services("kcat", "openssl", "java")
    checks = t.Checks("secure")
    checks.run(two_shops, redis_tls, secure_kafka)
    checks.finish()


if __name__ == "__main__":
    main()
