#!/usr/bin/env python3
"""A secret that stands where none belongs: in every place of a config and of a rules file, in every
shape, and in every word of a command line. Whatever weir says of it, it does not show it."""

import json
import os
import random
import re
import signal

import weirtest as t
from weirsecrets import Secrets, nothing_in


def places():
    """The paths of all options of a config, and of a rules file, from the program itself."""
    _, manual, _ = t.command("manual", "config")
    return [re.findall(r"^\| `([^`]+)`", part, re.M) for part in manual.split("A rules file")]


def sections(paths):
    """What holds options: `redis`, `redis.tls`, `sinks[]`."""
    found = {path.rpartition(".")[0] for path in paths} - {""}
    return sorted(found | {name.removesuffix("[]") for name in found} - {""})


def put(path, value):
    """A tree that has the value at the path, and what is needed for it to be read."""
    name, _, rest = path.partition(".")
    below = put(rest, value) if rest else value
    if name.endswith("[]"):
        if isinstance(below, dict) and name == "sinks[]" and rest != "type":
            below = {"type": "webhook", **below}
        return {name[:-2]: [below, below]}
    return {"m" if name == "<name>" else name: below}


def shapes(secrets, where):
    """Nobody takes these for anything but a secret, wherever they are."""
    def new(form):
        return secrets.new(f"{form} as {where}")

    yield f"redis://u:{new('a url')}@h:6379/0"
    yield f"https://hooks.example.com/{new('a webhook')}"
    yield f"sasl.password={new('a property')}"
    yield f"-----BEGIN PRIVATE KEY----- {new('PEM')}"
    yield f"redis://:{new('a long url')}@h/" + 5000 * "x"
    yield [f"u:{new('an item')}@h:9092"]
    yield [[f"redis://:{new('an item of a list')}@h"]]
    yield {f"redis://:{new('a key')}@h": 1}
    yield {"a": f"redis://:{new('a value')}@h"}
    yield {f"url redis://:{new('a key without colon')}@h": None}
    yield {f"password {new('a word without colon')}": None}
    yield [{f"secret {new('an item without colon')}": None}]
    yield {"a": {"b": [f"redis://:{new('a deep value')}@h"]}}


def words(secrets, where):
    """These are secrets by their place alone."""
    def new(form):
        return secrets.new(f"{form} as {where}")

    yield new("a word")
    yield [new("an item")]
    yield [[new("an item of a list")]]
    yield [{"secret": new("a value in a list")}]
    yield {"pasword": new("a value of a slip"), "passwords": [new("an item of a slip")]}
    yield 200 * new("a long word")


SECRET = ("redis.url", "redis.password", "sinks[].url", "sinks[].secret")
FILES = tuple(path + "_file" for path in SECRET)

TEXTS = ("redis: {{ password: *{} }}", "redis: {{ password: &{} x }}",
         "redis: {{ password: !{} x }}", "redis: {{ password: !!{} x }}",
         "redis: {{ password: !<{}> x }}", "redis: {{ *{} : 1 }}", "redis: {{ <<: *{} }}",
         "sinks: [ *{} ]", "sinks: [ &{} ]", "sinks: [ !{} ]", "&{} redis: 1",
         "redis: {{ password: {}: {} }}", "redis: {{ password: \"{}\\q\" }}",
         "%{} 1\n---\nredis: 1", "redis: {{ password: '{}", "redis: {{ password: {} ",
         "redis: {{ password: @{} }}", "redis: {{ password: `{} }}",
         "redis: {{ password: \"{}\\0\" }}", "redis: {{ ? [{}] : 1 }}", "redis:\n\tpassword: {}",
         "redis: |{}\n  x", "- redis://:{}@h", "redis://:{}@h",
         "redis: {{ password: a, password {}: 1 }}")


def base():
    return {"kafka": {"brokers": ["127.0.0.1:1"], "topics": ["t"]},
            "redis": {"url": "redis://127.0.0.1:1"}}


def joined(tree, part):
    return {**tree, **{name: {**tree.get(name, {}), **value} if isinstance(value, dict) else value
                       for name, value in part.items()}}


def wrong_values(secrets, of_config):
    """(path, value): everything in every place."""
    paths = places()[0 if of_config else 1]
    for path in (*paths, *sections(paths), *(FILES if of_config else ())):
        for value in shapes(secrets, path):
            if path != "kafka.group" or "sasl.password=" not in value: # a name like any other
                yield path, value
        if path in (*SECRET, *FILES, *sections(paths)) and path != "metrics.<name>":
            for value in words(secrets, path):
                yield path, value


def some(cases):
    """All of them, or what a sanitizer leaves time for."""
    return [*cases][::25 if os.environ.get("WEIR_SANITIZED") else 1]


def say_nothing(checks, secrets, what, text, *commands):
    """Each command ends, and shows no secret of the text; whether the first of them refused. The
    others say it by the same functions: it is enough to hear them now and then."""
    codes, secrets = [], secrets.among(text)
    checks.that(secrets.known, f"there is a secret in {text[:200]}")
    for arguments in commands if random.random() < 0.2 else commands[:1]:
        code, out, err = t.command(*arguments)
        codes.append(code)
        checks.that(code in (0, 1), f"weir {arguments[0]} on {what}: exit {code}")
        nothing_in(checks, secrets, out + err, f"what weir {arguments[0]} says of {what}")
        if code == 0: # nothing is wrong: `run` would begin
            break
    return codes[0] == 1


def most_are_refused(checks, refused, of_all):
    checks.that(4 * refused > 3 * of_all, f"{refused} of {of_all} are refused")


def everywhere_in_a_config(checks):
    secrets, config = Secrets(), t.Config("t")
    texts = [(f"{path}: {value!r:.200}", json.dumps(joined(base(), put(path, value))))
             for path, value in some(wrong_values(secrets, True))]
    texts += [(text, text.format(*2 * [secrets.new(text)]) + "\n") for text in TEXTS]
    refused = 0
    for what, text in texts:
        config.write("weir.yaml", text)
        refused += say_nothing(checks, secrets, what, text, ("check", "config", config.path),
                               ("run", "--config", config.path))
    most_are_refused(checks, refused, len(texts))


def rules_with(path, value):
    part = put(path, value)
    if path.startswith("groups[].rules[]."):
        part["groups"][0]["name"] = "shop"
    return json.dumps(part)


def everywhere_in_rules(checks):
    secrets, config = Secrets(), t.Config("t")
    config.write("weir.yaml", json.dumps({**base(), "alerts": {"rules_files": ["rules.yaml"]}}))
    rules = os.path.join(config.dir, "rules.yaml")
    texts = [(f"{path}: {value!r:.200}", rules_with(path, value))
             for path, value in some(wrong_values(secrets, False))]
    texts += [(text, text.format(*2 * [secrets.new(text)]) + "\n") for text in TEXTS]
    refused = 0
    for what, text in texts:
        config.write("rules.yaml", text)
        refused += say_nothing(checks, secrets, what, text,
                               ("check", "rules", rules, "--config", config.path),
                               ("check", "config", config.path), ("run", "--config", config.path))
    most_are_refused(checks, refused, len(texts))


def merged(tree, part):
    for name, value in part.items():
        if isinstance(value, dict) and isinstance(tree.get(name), dict):
            merged(tree[name], value)
        elif isinstance(value, list) and isinstance(tree.get(name), list) and value:
            tree[name] += value
        else:
            tree[name] = value


def a_reload(checks):
    """What a service that runs writes to its log of such configs, each with mistakes everywhere."""
    secrets = Secrets()
    config = t.Config(t.topic("places", 1), log={"level": "debug"},
                      alerts={"rules_files": ["rules.yaml"]})
    config.rules({"alert": "A", "metric": "sessions", "window": "1m", "below": 1})
    weir = t.Weir(config).ready()
    times = 0

    def reloaded():
        nonlocal times
        times += 1
        weir.signal(signal.SIGHUP)
        weir.wait_log("nothing was changed", times=times)

    def trees(paths): # one with the first shape everywhere, one with the second
        for values in zip(*(shapes(secrets, path) for path in paths)):
            tree = {}
            for path, value in zip(paths, values):
                merged(tree, put(path, value))
            yield json.dumps(tree)

    options, rules = places()
    for paths in ([path for path in options if path not in sections(options)], sections(options)):
        for tree in trees(paths):
            config.write("weir.yaml", tree)
            reloaded()
    config.change()
    for tree in trees(rules):
        config.write("rules.yaml", tree)
        reloaded()
    for text in TEXTS:
        config.write("weir.yaml", text.format(*2 * [secrets.new(text)]) + "\n")
        reloaded()
    log = weir.log()
    nothing_in(checks, secrets, log, "the log")
    checks.that(len(log.splitlines()) > 500, "it tells the mistakes")
    checks.equal(weir.stop(), 0, "exit code")


# ---- command lines ----


def usage_errors(checks):
    secrets = Secrets()

    def url():
        return f"redis://u:{secrets.new('a word')}@127.0.0.1:1/0"

    config = t.Config("t")
    for arguments in (
            ["--redis", url()], [url()], ["version", url()], ["help", url()], ["manual", url()],
            ["check", url()], ["check", "config", url()], ["check", "rules", url()],
            ["check", "rules", url(), f"--config={url()}"],
            ["check", "rules", "x", "--config", url()],
            ["run", url()], ["run", f"--redis={url()}"], ["run", "--config", url()],
            ["run", f"--rebuild={url()}"], ["run", f"--{url()}"], ["run", f"-{url()}"],
            ["replay", url()], ["replay", "--config", url(), "x"], ["replay", f"--redsi={url()}"],
            ["replay", f"--s={url()}"], ["replay", "--format", url(), "x"],
            ["replay", "--config", config.path, url()], ["replay", "--summary", url(), "x"],
            ["rekey", url()], ["rekey", "--config", config.path, "--to", url()],
            ["rekey", "--config", config.path, "--to", 30 * url()], ["rekey", f"--once={url()}"],
            ["generate", url()], ["generate", "--to", url()], ["generate", f"--redis={url()}"],
            ["generate", f"--to=kafka://u:{secrets.new('a broker')}@127.0.0.1:1/t"],
            ["generate", "--to", f"x/{url()}"], ["generate", "--truth", f"x/{url()}"],
            ["generate", "--seed", url()], ["generate", "--incident", url()],
            ["generate", "--start", url()], ["generate", "--faults", url()],
            ["demo", url()], ["demo", f"--redsi={url()}"], ["demo", "--seconds", url()],
            ["demo", "--redis", url(), "--brokers", f"u:{secrets.new('a broker')}@127.0.0.1:1"],
            ["demo", "--redis", url(), "--brokers", url()],
            ["get", url()], ["get", "windows", url()], ["get", "windows", f"--redsi={url()}"],
            ["get", "windows", "--config", url()], ["get", "alerts", "--window", url()],
            ["get", "windows", f"--redis={url()}", "--group=g"], ["get", "windows", f"--{url()}"],
            ["get", "windows", "--redis=g", f"--group={url()}"],
            ["silence", url()], ["silence", "add", f"--redsi={url()}"], ["silence", "list", url()],
            ["silence", "add", url(), "--for=2h", "--comment=c", f"--redis={url()}", "--group=g"],
            ["silence", "add", "a=b", "--for", url(), "--comment", "c", "--config", config.path],
            ["silence", "add", *20 * [url()]],
            ["silence", "expire", url(), f"--config={config.path}"],
            ["silence", "list", "--group=g", f"--redis={url()}"]):
        code, out, err = t.command(*arguments)
        checks.that(code in (1, 2, 3) or arguments[0] == "help",
                    f"weir {arguments[0]}: exit {code}")
        nothing_in(checks, secrets, out + err, f"what weir {arguments} says")


def values_behind_equals(checks):
    """--name=value is taken wherever --name value is."""
    config = t.Config("t")
    config.rules({"alert": "A", "metric": "sessions", "window": "1m", "below": 1})
    rules = os.path.join(config.dir, "rules.yaml")
    redis, group = f"--redis={config.redis}", f"--group={config.group}"
    for arguments in (["get", "windows", redis, group],
                      ["get", "alerts", f"--config={config.path}"],
                      ["silence", "add", "x=A", "--for=2h", "--comment=a = b", redis, group],
                      ["silence", "list", redis, group],
                      ["check", "rules", rules, f"--config={config.path}"]):
        code, out, err = t.command(*arguments)
        checks.equal(code, 0, f"exit code of weir {arguments}, which says {out + err}")
    code, out, err = t.command("silence", "list", redis, group)
    checks.contains(out, "a = b", "the silence")
    for arguments, message in ((["get", "windows", "--redis"], "--redis wants a value"),
                               (["silence", "list", "--for"], "--for wants a value"),
                               (["get", "windows", "--windows=1m"], "no option --windows=..."),
                               (["get", "alerts", "--window=1m"], "has no --window"),
                               (["run", "--config"], "--config wants a value"),
                               (["run", "--rebuild=x"], "--rebuild takes no value"),
                               (["run", "--rebild"], "there is no option --rebild"),
                               (["replay", "-x"], "there is no option -x")):
        code, out, err = t.command(*arguments)
        checks.equal(code, 2, f"exit code of weir {arguments}")
        checks.contains(err, message, f"what weir {arguments} says")


def main():
    t.need_services("kcat")
    checks = t.Checks("secret_places")
    checks.run(everywhere_in_a_config, everywhere_in_rules, a_reload, usage_errors,
               values_behind_equals)
    checks.finish()


if __name__ == "__main__":
    main()
