#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Do the documents that stand there in two languages say the same, and do their links lead somewhere?

Goal: NAME.md and NAME.zh-CN.md are changed together. Method: plain text. Both have the same headings by
level, the same code blocks but for comments, the same links in the same order, and tables of the same
size. Every link of any document to a file of this repository names one that is there, and README names
every example.

usage: readmes.py [ROOT]
"""
import os
import re
import sys

SECOND = ".zh-CN.md"
FENCE = re.compile(r"^```")
HEADING = re.compile(r"^(#+) ")
LINK = re.compile(r"\]\(([^)\s]+)\)")
COMMENT = re.compile(r"(^|\s+)(#|--) .*$")


def without_comment(line):
    return COMMENT.sub("", line).rstrip()


def parts_of(text):
    """(headings, blocks, links, rows): levels, lists of lines, targets, cells of each row of a table."""
    headings, blocks, links, rows = [], [], [], []
    block, fenced, before = None, False, ""
    for line in text.splitlines():
        if FENCE.match(line):
            fenced = not fenced
            if fenced:
                blocks.append([line])
            block = None
        elif fenced:
            blocks[-1].append(without_comment(line))
        elif line.startswith("    ") and (block is not None or before == ""):
            if block is None:
                block = []
                blocks.append(block)
            block.append(without_comment(line))
        else:
            if line != "":
                block = None
            heading = HEADING.match(line)
            if heading:
                headings.append(len(heading.group(1)))
            if line.startswith("|"):
                rows.append(line.replace("\\|", "").count("|"))
            links += LINK.findall(line)
        before = line
    return headings, blocks, [link.replace(SECOND, ".md") for link in links], rows


def differences(first, second):
    names = ("headings", "code blocks", "links", "tables")
    for name, a, b in zip(names, parts_of(first), parts_of(second)):
        if a == b:
            continue
        at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
        here = a[at] if at < len(a) else "nothing"
        there = b[at] if at < len(b) else "nothing"
        yield f"{name} differ, {len(a)} and {len(b)}, first number {at + 1}:\n  {here}\n  {there}"


def dead_links(root, path, text):
    for link in LINK.findall(text):
        target = link.split("#")[0]
        if target == "" or re.match(r"[a-z]+:", target):
            continue
        if not os.path.exists(os.path.join(root, os.path.dirname(path), target)):
            yield f"a link to {link}, which is not there"


def unnamed_examples(root, readme):
    for where, _, names in os.walk(os.path.join(root, "examples")):
        for name in names:
            path = os.path.relpath(os.path.join(where, name), root)
            named = f"({path})" in readme or f"({os.path.dirname(path)})" in readme
            if name.endswith(".yaml") and not named:
                yield f"{path} is an example that it does not name"


def documents(root):
    for folder in (".", "docs", "docs/adr"):
        for name in sorted(os.listdir(os.path.join(root, folder))):
            if name.endswith(".md"):
                yield os.path.normpath(os.path.join(folder, name))


def try_itself():
    """One of each fault, so that the check is known to see them."""
    text = "# a\n\n[b](c)\n\n    run   # why\n\n```yaml\nx: 1   # one\n```\n\n| a | b |\n"
    assert not list(differences(text, text.replace("why", "wozu").replace("one", "eins").replace("b](c", "d](c")))
    faults = (("# a", "## a"), ("    run", "    ran"), ("x: 1", "x: 2"), ("(c)", "(d)"), ("| b |", "|"))
    for fault in faults:
        assert len(list(differences(text, text.replace(*fault)))) == 1, f"not seen: {fault}"


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else "."
    try_itself()
    texts = {}
    for path in documents(root):
        with open(os.path.join(root, path), encoding="utf-8") as file:
            texts[path] = file.read()
    faults, pairs = [], 0
    for path, text in texts.items():
        faults += [(path, fault) for fault in dead_links(root, path, text)]
        if path.endswith(SECOND):
            pairs += 1
            first = path[:-len(SECOND)] + ".md"
            faults += [(path, fault) for fault in differences(texts[first], text)]
    faults += [("README.md", fault) for fault in unnamed_examples(root, texts["README.md"])]
    for path, fault in faults:
        print(f"{path}: {fault}")
    print(f"{len(texts)} documents, {pairs} in two languages, {len(faults)} faults")
    return 1 if faults or pairs == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
