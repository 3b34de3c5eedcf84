"""What may include what: main > app > io > core > base, and each library has one user."""

import re
import subprocess

from source import includes, without_comments

LAYERS = ("base", "core", "io", "app")

# The layer of each public header. A new header is entered here with its layer.
HEADERS = {
    "base": ("err", "log", "clock", "buf", "number", "memory", "table", "stats",
             "crash", "shown"),
    "core": ("event", "decode", "metric", "plan", "bucket", "footprint", "partition", "rule",
             "traffic", "rollup", "overlap", "session", "window", "baseline", "detect", "explain"),
    "io": ("kafka", "copy", "redis", "redis_hash", "http", "notify", "file",
           "supervisor"),
    "app": ("config",),
}
HEADER_LAYER = {f"weir/{name}.h": layer for layer, names in HEADERS.items() for name in names}

# What the C library itself provides, for public headers.
STANDARD = {"assert", "ctype", "errno", "float", "inttypes", "limits", "math", "stdalign",
            "stdarg", "stdatomic", "stdbool", "stddef", "stdint", "stdio", "stdlib", "string"}
FOREIGN_NAMES = re.compile(r"\b(rd_kafka_\w+|redis(Reply|Context|Async)\w*|json_t|json_error_t|"
                           r"MHD_\w+|CURL\w*|curl_\w+|yaml_\w+|simdjson\w*|XXH\w+|EVP_\w+|HMAC\w*)")

# A library's header: where alone it may be included (a path below src/).
USERS = {
    "librdkafka/": r"io/kafka\w*\.[ch]",
    "hiredis/": r"io/redis\w*\.[ch]",
    "microhttpd.h": r"io/http\w*\.[ch]",
    "curl/": r"io/notify\w*\.[ch]",
    "simdjson": r"core/\w+\.cc",
    "yaml.h": r"app/(config|yaml)\w*\.[ch]",
}

IMPURE = re.compile(r"\b(time|clock_gettime|gettimeofday|clock|fopen|open|read|write|printf|puts|"
                    r"getenv|rand|random|srand|sleep|usleep|nanosleep|socket|pthread_\w+|"
                    r"weir_log|weir_clock_\w+)\s*\(")
STREAMS = re.compile(r"\b(stdout|stderr|stdin)\b")


def layer_of(path):
    """The layer of a file of the tree, or None for tests and benches."""
    if path.parts[0] == "include":
        return HEADER_LAYER.get("/".join(path.parts[1:]))
    if path.parts[0] == "src" and len(path.parts) > 2:
        return path.parts[1]
    return None


def included_layer(path, name):
    """The layer that an include reaches, or None for a library's header."""
    if name.startswith("weir/"):
        return HEADER_LAYER.get(name, "unknown")
    first = name.split("/")[0]
    if "/" in name and first in LAYERS:
        return first
    return None if path.parts[0] != "src" else path.parts[1]


def upward_includes(tree, _build):
    findings = []
    for path in tree.c_files("src", "include"):
        own = layer_of(path)
        if own is None:
            if path.parts[0] == "include":
                findings.append(f"{path}:1: enter its layer in tests/style/layers.py")
            continue
        if own not in LAYERS:
            findings.append(f"{path}:1: there is no layer '{own}'")
            continue
        for line, name, bracket in includes(tree.lines(path)):
            if bracket:
                continue
            other = included_layer(path, name)
            if other == "unknown":
                findings.append(f"{path}:{line}: enter the layer of {name} in tests/style/layers.py")
            elif other in LAYERS and LAYERS.index(other) > LAYERS.index(own):
                findings.append(f"{path}:{line}: {own} includes {name}, which is of {other}")
    return findings


def foreign_headers(tree, _build):
    findings = []
    for path in tree.c_files("include"):
        for line, name, bracket in includes(tree.lines(path)):
            known = name.removesuffix(".h") in STANDARD if bracket else name.startswith("weir/")
            if not known:
                findings.append(f"{path}:{line}: includes {name}")
        for line, text in enumerate(without_comments(tree.text(path)).splitlines(), 1):
            match = FOREIGN_NAMES.search(text)
            if match:
                findings.append(f"{path}:{line}: names {match.group(0)}")
    return findings


def foreign_users(tree, _build):
    findings = []
    for path in tree.c_files("src"):
        inside = "/".join(path.parts[1:])
        for line, name, _bracket in includes(tree.lines(path)):
            for library, users in USERS.items():
                if name.startswith(library) and not re.fullmatch(users, inside):
                    findings.append(f"{path}:{line}: includes {name}; only src/{users} may")
    return findings


def pure_core(tree, build):
    findings = []
    for path in tree.c_files("src"):
        if path.parts[1] != "core":
            continue
        for line, text in enumerate(without_comments(tree.text(path)).splitlines(), 1):
            match = IMPURE.search(text) or STREAMS.search(text)
            if match:
                findings.append(f"{path}:{line}: core uses {match.group(0).rstrip('( ')}")
        for line, name, _bracket in includes(tree.lines(path)):
            if name in ("weir/clock.h", "weir/log.h", "pthread.h", "unistd.h"):
                findings.append(f"{path}:{line}: core includes {name}")
    return findings + core_globals(build)


def core_globals(build):
    """Writable data in core's object files, as the linker sees it."""
    folder = build / "CMakeFiles" / "weir_core.dir"
    findings = []
    for item in sorted(folder.rglob("*.c.o")) if folder.is_dir() else []:
        table = subprocess.run(["objdump", "-t", str(item)], capture_output=True, text=True,
                               check=True).stdout
        for row in table.splitlines():
            match = re.match(r"\w+ .{7} (\.data|\.bss|\*COM\*)\S*\s+(\w+)\s+(\S+)$", row)
            if match and int(match.group(2), 16) > 0 and ".rel.ro" not in row:
                findings.append(f"src/core/{item.stem}: {match.group(3)} is a global")
    return findings
