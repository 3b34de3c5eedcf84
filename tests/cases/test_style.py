#!/usr/bin/env python3
"""The style test can fail: every rule against a small tree that breaks it, and one that does not."""

import os
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "style"))
sys.dont_write_bytecode = True
import documents  # noqa: E402
import layers  # noqa: E402
import sizes  # noqa: E402
import tools  # noqa: E402
from source import Tree  # noqa: E402

HEADER = """/*
 * err: what went wrong. The caller owns it.
 */
#ifndef WEIR_ERR_H
#define WEIR_ERR_H

/* Says it. */
int weir_err_say(void);

#endif
"""
BODY = "\n".join(f"    x += {n} * x;" for n in range(12))
SAME = f"int weir_a(int x) {{\n{BODY}\n    return x;\n}}\n"
LONG = "int weir_a(int x) {\n" + "    x++;\n" * 69 + "}\n"
MANUAL = """#!/bin/sh
echo '| key |'; echo '|---|'; echo '| `kafka.brokers` | x |'; echo '| `windows` | x |'; echo '| `weir_a` | x |'
"""
MARK = "TO" + "DO"

# rule, files over the clean tree, words of its finding (None: there must be none)
CASES = (
    (layers.upward_includes, {"src/core/a.c": '#include "weir/kafka.h"\n'}, "core includes"),
    (layers.upward_includes, {"src/base/a.c": '#include "core/b.h"\n'}, "base includes"),
    (layers.upward_includes, {"include/weir/new.h": HEADER}, "enter its layer"),
    (layers.upward_includes, {"src/app/a.c": '#include "weir/err.h"\n'}, None),
    (layers.foreign_headers, {"include/weir/redis.h": "#include <hiredis/hiredis.h>\n"}, "includes"),
    (layers.foreign_headers, {"include/weir/redis.h": "json_t *weir_x(void);\n"}, "names json_t"),
    (layers.foreign_headers, {"include/weir/redis.h": "/* json_t */\n#include <stdint.h>\n"}, None),
    (layers.foreign_users, {"src/app/a.c": "#include <librdkafka/rdkafka.h>\n"}, "only src/io/kafka"),
    (layers.foreign_users, {"src/io/kafka_a.c": "#include <librdkafka/rdkafka.h>\n"}, None),
    (layers.pure_core, {"src/core/a.c": "int f(void) {\n    return (int)time(0);\n}\n"}, "core uses"),
    (layers.pure_core, {"src/core/a.c": '#include "weir/clock.h"\n'}, "core includes"),
    (layers.pure_core, {"src/core/a.c": "/* time(0) */\nint weir_time(int a);\n"}, None),
    (sizes.file_length, {"src/core/a.c": "\n" * 501}, "501 lines"),
    (sizes.file_length, {"src/core/a.c": "\n" * 500}, None),
    (sizes.file_length, {"src/app/a.html": "\n" * 501}, "501 lines"),
    (sizes.function_length, {"src/core/a.c": LONG}, "71 lines"),
    (sizes.function_length, {"src/core/a.c": LONG.replace("x++", "", 1)[:-10] + "}\n"}, None),
    (sizes.function_length, {"tests/a.py": "def f():\n" + "    g()\n" * 70}, "71 lines"),
    (sizes.function_length, {"tests/a.sh": "f() {\n" + "    g\n" * 69 + "}\n"}, "71 lines"),
    (sizes.duplicates, {"src/core/a.c": SAME, "src/core/b.c": SAME.replace("_a", "_b")}, "weir_b"),
    (sizes.duplicates, {"src/core/a.c": SAME}, None),
    (documents.header_contracts, {"include/weir/log.h": "int weir_log(void);\n"}, "must open with"),
    (documents.header_contracts,
     {"include/weir/log.h": HEADER.replace(" The caller owns it.", "").replace("err:", "log:")},
     "nothing of ownership"),
    (documents.header_contracts, {"include/weir/log.h": HEADER}, "must begin with 'log:"),
    (documents.header_contracts, {}, None),
    (documents.documented_functions, {"include/weir/err.h": HEADER.replace("/* Says it. */\n", "")},
     "weir_err_say has no comment"),
    (documents.documented_functions, {}, None),
    (documents.config_keys, {"README.md": "`kafka.brokers` only"}, "does not name windows"),
    (documents.config_keys, {"README.md": "`kafka.brokers`, `windows`, weir_a"}, None),
    (documents.deployed_metrics, {"deploy/prometheus.yaml": "expr: weir_nothing > 1"}, "weir_nothing"),
    (documents.deployed_metrics, {"deploy/prometheus.yaml": "expr: weir_a_sum / weir_a_count"}, None),
    (documents.cut_tables, {"README.md": "| a |\n|---|\n| b |\n\n| c |\n"}, "README.md:5: a row"),
    (documents.cut_tables, {"README.md": "| a |\n|---|\n| b |\n\n```\n| c |\n```\n"}, None),
    (documents.machine_paths, {"README.md": "see /ho" + "me/ann/weir"}, "README.md:1"),
    (documents.machine_paths, {"README.md": "see ../shared and /etc/weir"}, None),
    (documents.unfinished, {"src/core/a.c": f"/* {MARK}: later */\n"}, MARK),
    (documents.unfinished, {"src/core/a.c": "/* nothing to do */\n"}, None),
    (tools.scripts, {"tests/a.sh": "if true\n"}, "a.sh"),
    (tools.scripts, {"tests/a.py": "def f(:\n"}, "a.py"),
    (tools.scripts, {"tests/a.sh": "true\n"}, None),
    (tools.clang_format, {"src/core/a.c": "int  a ;\n"}, "src/core/a.c:1"),
    (tools.clang_format, {"src/core/a.c": "int weir_a;\n"}, None),
    (tools.cppcheck, {"src/core/a.c": "int f(void) {\n    int a[2] = {0};\n    return a[2];\n}\n"},
     "src/core/a.c:3"),
    (tools.cppcheck, {"src/core/a.c": "int f(void) {\n    return 1;\n}\n"}, None),
    (tools.clang_tidy, {"src/core/a.c": "int f(int a) {\n    if (a)\n        return *(int *)0;\n"
                                        "    return 0;\n}\n"}, "src/core/a.c:3"),
    (tools.clang_tidy, {"src/core/a.c": "int f(int a) {\n    return a + 1;\n}\n"}, None),
)


def make_tree(folder, files):
    build = folder / "build"
    clean = {"include/weir/err.h": HEADER, "README.md": "text\n", "build/weir": MANUAL}
    for name, text in {**clean, **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    os.chmod(build / "weir", 0o755)
    for name in (".clang-format", ".clang-tidy"):
        shutil.copy(ROOT / name, folder / name)
    entries = [f'{{"directory": "{folder}", "file": "{folder / name}", "command": "cc -c {name}"}}'
               for name in files if name.endswith(".c")]
    (build / "compile_commands.json").write_text("[" + ", ".join(entries) + "]")
    return Tree(folder), build


def main():
    passed = failed = skipped = 0
    for rule, files, words in CASES:
        with tempfile.TemporaryDirectory() as folder:
            tree, build = make_tree(Path(folder).resolve(), files)
            try:
                findings = rule(tree, build)
            except tools.Missing as missing:
                print(f"skipped: {missing}")
                skipped += 1
                continue
        good = not findings if words is None else any(words in found for found in findings)
        passed, failed = passed + good, failed + (not good)
        if not good:
            print(f"failed: {rule.__module__}.{rule.__name__} with {sorted(files)} "
                  f"should find {words!r}, found {findings}")
    tail = f", {skipped} skipped" if skipped else ""
    print(f"style_rules: {passed} passed, {failed} failed{tail}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
