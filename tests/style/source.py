"""The project's own source as values: files, functions, includes. Reads; judges nothing."""

import ast
import re
import subprocess
from pathlib import Path

C_SUFFIXES = {".c", ".h", ".cc"}
SCRIPT_SUFFIXES = {".py", ".sh"}
FOLDERS = ("src", "include", "tests", "bench", "deploy", ".ci")


class Function:
    """Lines `first` to `last` (from 1, both included) of a file."""

    def __init__(self, path, name, first, last):
        self.path, self.name, self.first, self.last = path, name, first, last


class Tree:
    """A checkout. Files that git knows or would add; without git, what lies in the folders."""

    def __init__(self, root):
        self.root = Path(root)
        self.files = sorted(self._files())
        self._texts = {}

    def _files(self):
        try:
            out = subprocess.run(
                ["git", "-C", str(self.root), "ls-files", "-z", "-c", "-o", "--exclude-standard"],
                capture_output=True, check=True).stdout.decode()
            found = [Path(name) for name in out.split("\0") if name]
        except (OSError, subprocess.CalledProcessError):
            found = [p.relative_to(self.root) for p in self.root.rglob("*") if p.is_file()]
            found = [p for p in found if p.parts[0] not in (".git", "build", ".cache")
                     and "__pycache__" not in p.parts]
        return [p for p in found if (self.root / p).is_file()]

    def text(self, path):
        if path not in self._texts:
            self._texts[path] = (self.root / path).read_bytes().decode("utf-8", "replace")
        return self._texts[path]

    def lines(self, path):
        return self.text(path).splitlines()

    def is_text(self, path):
        return b"\0" not in (self.root / path).read_bytes()[:8192]

    def c_files(self, *folders):
        return [p for p in self.files
                if p.suffix in C_SUFFIXES and (not folders or p.parts[0] in folders)]

    def is_python(self, path):
        return path.suffix == ".py" or self._shebang(path, "python")

    def is_shell(self, path):
        return path.suffix == ".sh" or self._shebang(path, "sh")

    def _shebang(self, path, word):
        if path.suffix or path.parts[0] not in FOLDERS:
            return False
        with open(self.root / path, "rb") as file:
            first = file.readline(80)
        return first.startswith(b"#!") and first.rstrip().endswith(word.encode()) \
            or first.startswith(b"#!") and word.encode() in first.split(b"/")[-1]

    def code(self):
        """Everything that is written as a program."""
        return [p for p in self.files if p.suffix in C_SUFFIXES
                or self.is_python(p) or self.is_shell(p)]

    def pages(self):
        """What a browser runs, with its script and style in it."""
        return [p for p in self.files if p.suffix == ".html"]

    def functions(self, path):
        if path.suffix in C_SUFFIXES:
            return c_functions(path, self.lines(path))
        if self.is_python(path):
            return python_functions(path, self.text(path))
        if self.is_shell(path):
            return shell_functions(path, self.lines(path))
        return []


def c_functions(path, lines):
    """By clang-format's layout: a body opens at the end of a line that began in column 0 (or goes
    on from one), and closes with a brace alone in column 0."""
    found, start, i = [], None, 0
    while i < len(lines):
        line = lines[i]
        if not line.strip() or line[0] in "#/}*":
            start = None
        elif line[0] not in " \t" and start is None:
            start = i
        opens = re.sub(r"\s*/[/*].*", "", line).endswith("{")
        if start is None or not opens:
            if start is not None and line.rstrip().endswith(";"):
                start = None
            i += 1
            continue
        if re.match(r'(extern "C"|namespace)', lines[start]):
            start, i = None, i + 1
            continue
        end = i + 1
        while end < len(lines) and not lines[end].startswith("}"):
            end += 1
        head = " ".join(lines[start:i + 1])
        name = re.search(r"(\w+)\s*\(", head)
        if end < len(lines) and name and re.match(r"}\s*(/[/*].*)?$", lines[end]):
            found.append(Function(path, name.group(1), start + 1, end + 1))
        start, i = None, end + 1
    return found


def python_functions(path, text):
    return [Function(path, node.name, node.lineno, node.end_lineno)
            for node in ast.walk(ast.parse(text))
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]


def shell_functions(path, lines):
    found, start, name = [], None, ""
    for number, line in enumerate(lines, 1):
        match = re.match(r"(\w+)\(\) *[{(](.*)$", line)
        if match and not re.search(r"[})]\s*$", match.group(2)):
            start, name = number, match.group(1)
        elif start and re.match(r"[})]", line):
            found.append(Function(path, name, start, number))
            start = None
    return found


def includes(lines):
    """(line number, text between the quotes or brackets, is in brackets)"""
    for number, line in enumerate(lines, 1):
        match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)', line)
        if match:
            yield number, match.group(2), match.group(1) == "<"


def without_comments(text):
    """The same lines, comments and the insides of strings blanked."""
    def blank(match):
        found = match.group(0)
        if found.startswith("/"):
            return re.sub(r"[^\n]", " ", found)
        return found[0] + " " * (len(found) - 2) + found[-1]
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'',
                  blank, text, flags=re.S)
