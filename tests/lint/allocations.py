#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Does the library allocate through core/base/alloc.h alone?

Goal: a program that sets an allocator gets all memory of the library from it, and none goes back to
another. Method: the calls of the C library's allocator in core, lua and sdk, but not in the program
sdk/cli, are looked for in the text without comments and strings. Before that the pattern is tried.

usage: allocations.py [--fix] [ROOT]; --fix writes the calls of alloc.h in their place
"""
import os
import re
import sys

FOLDERS = ["core", "lua", "sdk"]
EXEMPT = ("core/base/alloc.", "sdk/cli/", "sdk/include/")
FIXABLE = r"malloc|calloc|realloc|free|strdup|strndup"
# These give memory that only the C library's free takes; they have another form, or none is needed.
OTHERS = r"asprintf|vasprintf|getline|getdelim|reallocarray|aligned_alloc|posix_memalign|realpath\([^;]*, NULL\)"
CALL = re.compile(rf"(?<![\w.>])({FIXABLE})(?=\()")
OTHER = re.compile(rf"(?<![\w.>])({OTHERS})")
# A comment, a string or a character: left as it is.
TEXT = re.compile(r'/\*.*?\*/|"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\'', re.S)


def blank(match):
    return re.sub(r"[^\n]", " ", match[0])


def try_patterns():
    for bad in ("x = malloc(3);", "free(x);", "(void)strdup(x)", "p = (char *)calloc(1, 2);"):
        assert CALL.search(bad), bad
    for good in ("mr__free(x);", "ops->free(x);", "x.malloc(3);", "node_free(x);"):
        assert not CALL.search(good), good
    assert OTHER.search("realpath(path, NULL)") and not OTHER.search("realpath(path, buf)")
    assert not CALL.search(TEXT.sub(blank, '/* free(x) */ "malloc(3)"'))


def main():
    arguments = [a for a in sys.argv[1:] if a != "--fix"]
    root, fix = (arguments or ["."])[0], "--fix" in sys.argv
    try_patterns()
    files = faults = 0
    for folder in FOLDERS:
        for where, _, names in sorted(os.walk(os.path.join(root, folder))):
            for name in sorted(names):
                path = os.path.relpath(os.path.join(where, name), root)
                if not name.endswith((".c", ".h")) or path.startswith(EXEMPT):
                    continue
                files += 1
                with open(os.path.join(root, path), encoding="utf-8") as file:
                    text = file.read()
                code = TEXT.sub(blank, text)
                found = [m.start() for m in CALL.finditer(code)]
                others = [m.start() for m in OTHER.finditer(code)]
                if fix and found:
                    for at in reversed(found):
                        text = text[:at] + "mr__" + text[at:]
                    with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                        file.write(text)
                    found = []
                for at in sorted(found + others):
                    line = code.count("\n", 0, at) + 1
                    print(f"{path}:{line}: {code.splitlines()[line - 1].strip()}: not through core/base/alloc.h")
                    faults += 1
    print(f"{files} files, {faults} calls beside core/base/alloc.h")
    return 1 if faults or files < 50 else 0


if __name__ == "__main__":
    sys.exit(main())
