#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Do the references for users name all that there is?

Goal: no key of a dag file, name of Lua, error code or event is added without a line for users. Method:
plain text. The names are read from the tables in the code; each must stand in its document in backticks
(error codes: in the table of docs/errors.md).

usage: references.py [ROOT]
"""
import glob
import os
import re
import sys


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as file:
        return file.read()


def keys_of_dag_files(root):
    """Of all tables of `struct mr__key`, and the names of hooks."""
    found = set()
    for path in glob.glob(os.path.join(root, "core/model/*.c")):
        text = read(root, path)
        for table in re.findall(r"struct mr__key \w+\[[^]]*\] = \{(.*?)\n?\};", text, re.S):
            found |= set(re.findall(r'\.name = "([^"]+)"', table))
        for table in re.findall(r"mr__hook_names\[MR__HOOKS\] = \{(.*?)\};", text, re.S):
            found |= set(re.findall(r'"([^"]+)"', table))
    return found


def names_of_lua(root):
    text = read(root, "lua/api.h").replace("\\\n", "")
    return set(re.findall(r'X\((?:PURE|ACTING),\s*"([^"]+)"', text))


def error_codes(root):
    found = set()
    for folder in ("core/model", "core/exec", "core/engine"):
        for path in glob.glob(os.path.join(root, folder, "*.c")):
            found |= set(re.findall(r'"([EW]\d{3})"', read(root, path)))
    return found


def events(root):
    return set(re.findall(r'X\([A-Z_]+, \d+, "(\w+)"\)', read(root, "core/scheduler/event.h")))


REFERENCES = [
    ("key of a dag file", keys_of_dag_files, "docs/dag-file.md", r"`{}`"),
    ("name of Lua", names_of_lua, "docs/lua.md", r"`{}(?:\([^`]*\))?`"),
    ("error code", error_codes, "docs/errors.md", r"\| [^|]*\b{}\b"),
    ("event", events, "docs/requests.md", r"`{}`"),
]


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else "."
    faults = 0
    for what, collect, path, form in REFERENCES:
        names, document = collect(root), read(root, path)
        missing = [n for n in sorted(names) if not re.search(form.format(re.escape(n)), document)]
        for name in missing:
            print(f"{path}: the {what} {name} is not there")
        faults += len(missing)
        if len(names) < 10:
            print(f"only {len(names)} of: {what}: its table is not where it was")
            faults += 1
        if re.search(form.format("noSuchName"), document):
            print(f"{path}: the form {form} is found whatever the name")
            faults += 1
    print(f"{len(REFERENCES)} references, {faults} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
