#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Is every call of plugin.h described, and does something use it?

Goal: no call of the plugin interface without a comment in the header, a row in docs/plugins.md, and a user
among tests, examples and plugins, so that it has run. Method: plain text. A comment that stands right over a
function counts, and so does its own paragraph over several; one that says "since" or "host older" must
stand in the header's part of that version.

usage: plugin_header.py [ROOT]
"""
import os
import re
import sys

HEADER = "sdk/include/millrace/plugin.h"
DOCUMENT = "docs/plugins.md"
USERS = ("tests", "examples", "plugins")
SOURCES = (".c", ".h", ".cc", ".rs")

FUNCTION = re.compile(r"^(?:MR_PRINTF_FORMAT\(\d, \d\)\s+)?static inline [^;{]*?\b(mr_\w+)\([^{]*\)\s*\{", re.M | re.S)
COMMENT_BEFORE = re.compile(r"/\*(?:(?!\*/).)*\*/\s*(?:#ifdef __cplusplus\s*)?\Z", re.S)
PART = re.compile(r"/\* ---- since (\d+\.\d+) -+ \*/")


def functions_of(text):
    """(name, comment or "", version of the header's part or "") of each inline function."""
    for match in FUNCTION.finditer(text):
        comment = COMMENT_BEFORE.search(text[:match.start()])
        parts = [part for part in PART.finditer(text) if part.start() < match.start()]
        said = " ".join(comment[0].replace(" * ", " ").split()) if comment else ""
        yield match[1], "" if said.startswith("/* ----") else said, parts[-1][1] if parts else ""


def problems(header, document, used):
    for name, comment, part in functions_of(header):
        if len(comment) < 30:
            yield f"{HEADER}: {name} has no comment"
        if part and name.startswith(("mr_share", "mr_lock", "mr_unlock", "mr_detail")) and "ENOSYS" not in comment \
                and "older than" not in comment and not comment.startswith("/* mr_"):
            yield f"{HEADER}: {name} does not say what a host older than {part} does"
        if f"`{name}`" not in document:
            yield f"{DOCUMENT}: {name} has no row"
        if name not in used:
            yield f"{HEADER}: {name} is used by no test, example or plugin"


def names_used(root):
    found = set()
    for folder in USERS:
        for where, _, names in os.walk(os.path.join(root, folder)):
            for name in names:
                if name.endswith(SOURCES) and not where.endswith("/millrace"):
                    with open(os.path.join(where, name), encoding="utf-8") as file:
                        found |= set(re.findall(r"\b(mr_\w+)\(", file.read()))
                        file.seek(0)
                        found |= {"mr_self_test_failed"} if "MR_EXPECT(" in file.read() else set()
    return found


def try_itself():
    """One of each fault, so that the check is known to see them."""
    good = "/* ---- since 1.1 ---- */\n\n/* Says what it does, in a whole sentence; MR_ENOSYS. */\n" \
           "static inline void mr_share_x(mr_task *t)\n{\n}\n"
    assert not list(problems(good, "`mr_share_x`", {"mr_share_x"}))
    bad = [(good.replace("/* Says what it does, in a whole sentence; MR_ENOSYS. */\n", ""), "`mr_share_x`", {"mr_share_x"}),
           (good.replace("; MR_ENOSYS", ""), "`mr_share_x`", {"mr_share_x"}), (good, "", {"mr_share_x"}),
           (good, "`mr_share_x`", set())]
    for header, document, used in bad:
        assert list(problems(header, document, used)), f"not seen: {header!r} {document!r} {used}"


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else "."
    try_itself()
    texts = []
    for path in (HEADER, DOCUMENT):
        with open(os.path.join(root, path), encoding="utf-8") as file:
            texts.append(file.read())
    faults = list(problems(*texts, names_used(root)))
    for fault in faults:
        print(fault)
    count = len(list(functions_of(texts[0])))
    print(f"{count} calls, {len(faults)} faults")
    return 1 if faults or count < 40 else 0


if __name__ == "__main__":
    sys.exit(main())
