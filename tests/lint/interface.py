#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Is every public function documented, and called by a test?

Goal: what engine.h offers is explained where it stands and on the page about embedding, and has been
tried. Method: plain text. Each MR_API function needs a comment right before it, a line in the table
of docs/embedding.md, and a call in tests/ or examples/ (a call in sdk/cli, which the end-to-end tests
run, counts for those that only the program needs).

usage: interface.py [ROOT]
"""
import glob
import os
import re
import sys

HEADER = "sdk/include/millrace/engine.h"
PAGE = "docs/embedding.md"
# Called by verbs of the program, which tests/e2e runs: `bench`, `store check`, `plugin check`,
# `schema lua`.
OF_THE_PROGRAM = {"mr_bench", "mr_store_check", "mr_plugin_check", "mr_plugin_test", "mr_lua_annotations"}


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as file:
        return file.read()


def functions(header):
    """Name -> whether a comment ends right before its declaration."""
    found = {}
    for match in re.finditer(r"^MR_API [\w *]*?\b(mr_\w+)\(", header, re.M):
        before = header[: match.start()].rstrip(" ")
        found[match[1]] = bool(re.search(r"\*/\n(?:typedef [^;]*;\n)*$", before))
    return found


def called(root, folders):
    text = ""
    for folder in folders:
        for ending in ("c", "h", "cpp"):
            for path in sorted(glob.glob(os.path.join(root, folder, "**", "*." + ending), recursive=True)):
                text += read(root, os.path.relpath(path, root))
    return set(re.findall(r"\b(mr_\w+)\(", text))


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else "."
    assert functions("/* Text. */\nMR_API void mr_a(int b);\nMR_API char *mr_b(void);\n") == {"mr_a": True, "mr_b": False}
    header, page = read(root, HEADER), read(root, PAGE)
    listed = page[page.index("## Every call"):]
    tried, program = called(root, ["tests", "examples"]), called(root, ["sdk/cli"])
    faults = []
    all_functions = functions(header)
    for name, documented in all_functions.items():
        if not documented:
            faults.append(f"{HEADER}: {name} has no comment right before it")
        if f"`{name}`" not in listed:
            faults.append(f"{PAGE}: {name} is not in the table of all calls")
        if name not in tried and not (name in OF_THE_PROGRAM and name in program):
            faults.append(f"{name} is called by no test and no example")
    for name in sorted(set(re.findall(r"`(mr_\w+)`", listed)) - set(all_functions)):
        faults.append(f"{PAGE}: {name} is no function of the header")
    print("\n".join(faults + [f"{len(all_functions)} functions, {len(faults)} faults"]))
    return 1 if faults or len(all_functions) < 30 else 0


if __name__ == "__main__":
    sys.exit(main())
