#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Are files and functions short enough to be read, and is nothing left half done?

Goal: the bounds of CONTRIBUTING.md. Method: plain text. A file has at most 900 lines, a C function at
most 110, C code begins with its licence, no line has a tab or a blank at its end, no word that marks
unfinished work stands anywhere, and every test file is named in a meson.build, so that it is run.

usage: shape.py [ROOT]
"""
import os
import re
import sys

FILE_LINES_MAX = 900
FUNCTION_LINES_MAX = 110
FOLDERS = ["core", "lua", "sdk", "plugins", "tests", "examples"]
ALSO = ["dev", ".ci/run", "meson.build", "meson_options.txt"]
SOURCES = (".c", ".h", ".lua", ".py", ".sh", "meson.build")
GENERATED = {"examples/fanout-1000.yaml"}

# Put together here, so that this file does not find itself.
LEFT_OVER = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X"]) + r")\b")
FUNCTION_HEAD = re.compile(r"^[A-Za-z_].*\)\s*\{?\s*$")


def source_files(root):
    for folder in FOLDERS:
        for where, _, names in os.walk(os.path.join(root, folder)):
            for name in names:
                path = os.path.relpath(os.path.join(where, name), root)
                if path.endswith(SOURCES) and path not in GENERATED:
                    yield path
    for path in ALSO:
        if os.path.exists(os.path.join(root, path)):
            yield path


def long_functions(lines):
    """(line, length) of each function above the bound. A function's head and its closing brace stand
    in column one; its head may have several lines, of which the last ends with its brackets."""
    start = None
    for number, line in enumerate(lines, 1):
        if FUNCTION_HEAD.match(line) or (start is None and line.rstrip() == "{"):
            start = number
        elif line.startswith("}"):
            if start is not None and number - start > FUNCTION_LINES_MAX:
                yield start, number - start
            start = None


def problems(path, text):
    lines = text.splitlines()
    if len(lines) > FILE_LINES_MAX:
        yield 1, f"{len(lines)} lines: more than {FILE_LINES_MAX}"
    if not text.endswith("\n"):
        yield len(lines), "no newline at the end of the file"
    for number, line in enumerate(lines, 1):
        if LEFT_OVER.search(line):
            yield number, "unfinished work: " + line.strip()
        if line != line.rstrip():
            yield number, "blanks at the end of the line"
        if "\t" in line and path.endswith((".c", ".h", ".py")):
            yield number, "a tab"
    if path.endswith((".c", ".h")):
        if "SPDX-License-Identifier: MIT" not in "\n".join(lines[:2]):
            yield 1, "the file does not begin with its licence"
        for number, length in long_functions(lines):
            yield number, f"a function of {length} lines: more than {FUNCTION_LINES_MAX}"


def forgotten_tests(root):
    """Test files that no meson.build of the tests names."""
    builds, tests = "", []
    for where, _, names in os.walk(os.path.join(root, "tests")):
        for name in names:
            path = os.path.join(where, name)
            if name == "meson.build":
                with open(path, encoding="utf-8") as file:
                    builds += file.read()
            elif re.fullmatch(r"test_.*\.(c|py|sh)", name):
                tests.append(os.path.relpath(path, root))
    for path in sorted(tests):
        name = os.path.basename(path)
        short = os.path.splitext(name)[0][len("test_"):]
        if f"'{short}'" not in builds and name not in builds:
            yield path


def try_itself():
    """A file with one of each fault, so that the check is known to see them."""
    body = "    x();\n" * (FUNCTION_LINES_MAX + 1)
    bad = "int f(void)\n{\n" + body + "}\n\nint g(int a,\n      int b)\n{\n" + body + "}\n"
    bad += "/* TO" + "DO */ \n\tx" + "\n" * FILE_LINES_MAX + "y"
    found = [text for _, text in problems("a.c", bad)]
    for word in ("lines: more", "no newline", "unfinished", "blanks", "a tab", "licence", "a function"):
        assert any(word in text for text in found), f"not seen: {word}"
    assert sum("a function" in text for text in found) == 2, "not seen: both functions"


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else "."
    try_itself()
    files = faults = 0
    for path in sorted(source_files(root)):
        files += 1
        with open(os.path.join(root, path), encoding="utf-8") as file:
            for number, problem in problems(path, file.read()):
                faults += 1
                print(f"{path}:{number}: {problem}")
    for path in forgotten_tests(root):
        faults += 1
        print(f"{path}:1: no meson.build names it, so it is never run")
    print(f"{files} files, {faults} faults")
    return 1 if faults or files == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
