#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Does what was built against yesterday's headers fit today's?

Goal: no field of a public struct moves, no number changes, no call changes its form or is gone, unseen.
Method: layout.txt beside this file says where each one stood. The headers are read for names and forms,
a small C program made from them says offsets, sizes and numbers, nm says what libmillrace exports. A line
of the list that does not hold is a break, with its name, and so is one of the headers of a released minor
(v1_0 ...); something new must be added to the list, which --update does (it changes nothing that stands
there). The check is tried on headers with one break of each kind.

usage: test_layout.py ROOT LIBRARY [--update]; LP64 alone (exit 77 elsewhere)
"""
import glob
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile

OF_PLUGINS = ("status.h", "value.h", "plugin.h")
HEADERS = OF_PLUGINS + ("engine.h",)
LIST = os.path.join(os.path.dirname(os.path.abspath(__file__)), "layout.txt")
GROWS = {"MR_ABI_MINOR"}  # a number that is there to change
ROWS = {"mr_param"}  # whose size the struct that points to them carries


def compact(text):
    return " ".join(text.split()).replace("( ", "(")


def split_at(text, separator):
    """The parts of `text` between separators that stand in no brackets."""
    parts, depth = [""], 0
    for char in text:
        depth += (char in "({[") - (char in ")}]")
        if char == separator and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    return [part.strip() for part in parts if part.strip()]


def fields_of(body):
    """(name, form) of each field of a struct's body."""
    for declaration in split_at(body, ";"):
        first, *others = split_at(declaration, ",")
        base = re.sub(r"[*\s]*\w+(\[[^]]*\])?$", " ", first)
        for declarator in [first] + [base + other for other in others]:
            called = re.search(r"\(\*(\w+)\)\(", declarator) or re.search(r"(\w+)(\[[^]]*\])?$", declarator)
            yield called[1], compact(declarator)


def read_headers(folder, headers=HEADERS):
    """(structs, numbers, calls): {struct: {field: form}}, names, {call: form}."""
    structs, numbers, calls = {}, [], {}
    for header in headers:
        with open(os.path.join(folder, "millrace", header), encoding="utf-8") as file:
            text = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.S).replace("\\\n", " ")
        numbers += re.findall(r"^ *X\((MR_\w+), *-?\d+,", text, re.M)
        numbers += re.findall(r"X\((MR_\w+), -?\d+, \"", text)
        numbers += re.findall(r"^#define (MR_\w+) +\(?-?(?:0x)?[0-9a-f]+u?\)?\s*$", text, re.M)
        text = re.sub(r"^ *#.*$", "", text, flags=re.M)
        for body in re.findall(r"enum \{([^}]*)\}", text):
            numbers += re.findall(r"\b(MR_[A-Z0-9_]+) =", body)
        for name, body in re.findall(r"^(?:typedef )?struct (\w+) \{(.*?)^\}", text, re.S | re.M):
            structs[name] = dict(fields_of(body))
        for form, name in re.findall(r"MR_API ([^;]*?(\bmr_\w+)\([^;]*\));", text):
            calls[name] = compact(form)
        for form, name in re.findall(r"static inline ([^;{]*?(\bmr_\w+)\([^;{]*\))\s*\{", text):
            calls[name] = "inline " + compact(form)
        for form, name in re.findall(r"^typedef ([^;{]*\(\*(mr_\w+)\)\([^;]*\));", text, re.M):
            calls[name] = "typedef " + compact(form)
    return structs, sorted(set(numbers) - GROWS), calls


def measure(folder, headers, structs, numbers):
    """What a compiler makes of them: lines of text."""
    lines = []
    for name, fields in structs.items():
        lines.append(f'printf("struct {name} %zu\\n", sizeof(struct {name}));')
        for field in fields:
            lines.append(f'printf("field {name}.{field} %zu %zu\\n", offsetof(struct {name}, {field}), '
                         f"sizeof(((struct {name} *)0)->{field}));")
    lines += [f'printf("number {name} %lld\\n", (long long){name});' for name in numbers]
    program = "#include <stdio.h>\n" + "".join(f"#include <millrace/{h}>\n" for h in headers)
    program += "int main(void)\n{\n" + "\n".join(lines) + "\nreturn 0;\n}\n"
    with tempfile.TemporaryDirectory() as temp:
        binary = os.path.join(temp, "layout")
        subprocess.run(["cc", "-std=c11", "-w", "-I" + folder, "-x", "c", "-", "-o", binary], input=program,
                       encoding="utf-8", check=True)
        return subprocess.check_output([binary], encoding="utf-8").splitlines()


def exported(library):
    text = subprocess.check_output(["nm", "-D", "--defined-only", library], encoding="utf-8")
    return re.findall(r" T (mr_\w+)", text)


def describe(folder, symbols, headers=HEADERS):
    """The list of these headers. A struct that has a `size` may grow: its own is not listed."""
    structs, numbers, calls = read_headers(folder, headers)
    lines = []
    for line in measure(folder, headers, structs, numbers):
        kind, name, *_ = line.split()
        if kind == "struct" and ("size" in structs[name] or name in ROWS):
            continue
        if kind == "field":
            owner, field = name.split(".")
            line += " " + structs[owner][field]
        lines.append(line)
    lines += [f"call {name} {form}" for name, form in calls.items()]
    lines += [f"symbol {name}" for name in symbols]
    return lines


def compare(listed, found):
    """(breaks, news): what of the list does not hold, and lines that it does not have."""
    def key(line):
        return tuple(line.split(" ", 2)[:2])
    now = {key(line): line for line in found}
    breaks = []
    for line in listed:
        other = now.get(key(line))
        if other is None:
            breaks.append(f"gone: {line}")
        elif other != line:
            breaks.append(f"changed: {line}\n     now: {other}")
    known = {key(line) for line in listed}
    return breaks, [line for line in found if key(line) not in known]


def try_itself(folder, listed, symbols):
    """One break of each kind must be seen, by its name; growth must not be one."""
    def seen(header, before, after):
        with tempfile.TemporaryDirectory() as temp:
            shutil.copytree(folder, temp, dirs_exist_ok=True)
            path = os.path.join(temp, "millrace", header)
            with open(path, encoding="utf-8") as file:
                text = file.read()
            assert text.count(before) == 1, f"{header}: {before!r} stands there {text.count(before)} times"
            with open(path, "w", encoding="utf-8") as file:
                file.write(text.replace(before, after))
            return compare(listed, describe(temp, symbols))

    breaks, _ = seen("plugin.h", "    uint32_t attempt; /*", "    uint32_t added, attempt; /*")
    assert any("mr_task_info.attempt " in line for line in breaks), f"a field that moved: {breaks}"
    breaks, _ = seen("plugin.h", "    mr_status (*sleep)(mr_task *t, int64_t ms);",
                     "    mr_status (*sleep)(mr_task *t, double ms);")
    assert [line for line in breaks if "mr_host.sleep " in line], f"a call of the host with another form: {breaks}"
    breaks, _ = seen("plugin.h", "MR_BY_USER = 1,", "MR_BY_USER = 4,")
    assert len(breaks) == 1 and "MR_BY_USER" in breaks[0], f"a number that changed: {breaks}"
    breaks, _ = seen("value.h", "    } u;\n", "    } u;\n    int64_t added;\n")
    assert any("struct mr_value " in line for line in breaks), f"a frozen struct that grew: {breaks}"
    breaks, news = seen("engine.h", "    void *loop;\n} mr_options;", "    void *loop;\n    int64_t added;\n} mr_options;")
    assert not breaks and any("mr_options.added " in line for line in news), f"a struct that may grow: {breaks} {news}"
    breaks, _ = compare(listed, [line for line in listed if line != "symbol mr_open"])
    assert breaks == ["gone: symbol mr_open"], breaks


def main():
    root, library = sys.argv[1:3]
    folder = os.path.join(root, "sdk/include")
    if struct.calcsize("P") != 8 or shutil.which("cc") is None or shutil.which("nm") is None:
        print("skipped: the list is of 64-bit machines, and needs cc and nm")
        return 77
    symbols = exported(library)
    found = describe(folder, symbols)
    with open(LIST, encoding="utf-8") as file:
        listed = [line for line in file.read().splitlines() if line and not line.startswith("#")]
    breaks, news = compare(listed, found)
    for folder_of_minor in sorted(glob.glob(os.path.join(os.path.dirname(LIST), "v*"))):
        of_minor, _ = compare(describe(folder_of_minor, [], OF_PLUGINS), found)
        breaks += [f"{os.path.basename(folder_of_minor)}: {line}" for line in of_minor]
    for line in breaks:
        print(line)
    if "--update" in sys.argv:
        with open(LIST, "a", encoding="utf-8") as file:
            file.writelines(line + "\n" for line in news)
        print(f"{len(news)} lines added, {len(breaks)} that do not hold are as they were")
        return 1 if breaks else 0
    for line in news:
        print(f"not in layout.txt, see --update: {line}")
    if not breaks and not news:
        try_itself(folder, listed, symbols)
    print(f"{len(found)} lines, {len(breaks)} do not hold, {len(news)} are new")
    return 1 if breaks or news or len(listed) < 100 else 0


if __name__ == "__main__":
    sys.exit(main())
