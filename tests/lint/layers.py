#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Does every file include only its own layer and those below?

Goal: keep the layers that ARCHITECTURE.md draws. Method: read each #include line of core, lua, sdk,
plugins and examples and look it up in the tables below. Before that the tables themselves are tried
on includes that must be refused and on some that must not.

usage: layers.py [ROOT]
"""
import os
import re
import sys

PUBLIC = "sdk/include/millrace/"
VALUES = [PUBLIC + "status.h", PUBLIC + "value.h"]

# A place (the longest prefix of a file's path wins) and the project's files that it may include: a
# prefix of their paths. The order is that of the layers, from the bottom to the top.
LAYERS = [
    (PUBLIC, [PUBLIC]),
    ("core/base/", ["core/base/"] + VALUES),
    ("core/model/", ["core/model/", "core/base/"] + VALUES),
    # plugin.h for its numbers alone (MR_BY_USER …): the effects of the scheduler carry them.
    ("core/scheduler/", ["core/scheduler/", "core/model/", "core/base/", PUBLIC + "plugin.h"] + VALUES),
    ("core/store/", ["core/store/", "core/base/"] + VALUES),
    # What stands in the store is the events' own codec; the drivers know nothing of it.
    ("core/store/records", ["core/store/", "core/scheduler/event.h", "core/base/"] + VALUES),
    ("lua/", ["lua/", "core/model/", "core/base/"] + VALUES),
    ("core/exec/", ["core/exec/", "lua/", "core/model/", "core/base/", PUBLIC]),
    # The program in which plugins run apart: what it shares with the engine, and nothing of the loop.
    ("core/host/", ["core/host/", "core/exec/wire.h", "core/exec/task_json.h", "core/exec/plugin_load.h",
                    "core/base/", PUBLIC]),
    ("core/cluster/", ["core/cluster/", "core/store/", "core/base/"] + VALUES),
    ("core/engine/", ["core/", "lua/"] + VALUES + [PUBLIC + "plugin.h"]),
    ("sdk/", ["sdk/", "core/engine/", "core/exec/registry.h", "core/model/", "core/base/", "lua/annotations.h",
              PUBLIC]),
    ("sdk/cli/", ["sdk/cli/", PUBLIC]),
    ("plugins/", ["plugins/", PUBLIC]),
    ("examples/", ["examples/", PUBLIC]),
]

# A library's header (a pattern) and the files that alone may include it.
LIBRARIES = [
    (r"uv\.h|uv/.*", r"core/(exec|engine)/.*|sdk/handle_loop\.c|examples/embed-uv/.*"),
    (r"lmdb\.h", r"core/store/store_lmdb[^/]*"),
    (r"yaml\.h", r"core/model/(parse|yaml)[^/]*"),
    (r"xxhash\.h", r"core/base/hash\.c"),
    (r"(lua|lauxlib|lualib|luaconf).*\.h", r"lua/.*"),
    (r"dlfcn\.h", r"core/exec/plugin_[^/]*"),
    (r"(cjson/)?cJSON\.h", r"(sdk/cli|plugins|examples)/.*"),
    (r"curl/.*", r"plugins/.*"),
    (r"nettle/.*", r"plugins/.*"),
    (r"sqlite3\.h", r"plugins/sqlite/.*"),
    (r"microhttpd\.h", r"plugins/.*"),
]

# The pure layers have no input, output, clock, thread or process.
PURE = ("core/model/", "core/scheduler/")
IMPURE = (
    r"(sys|linux|arpa|net|netinet)/.*|unistd\.h|fcntl\.h|pthread\.h|threads\.h|semaphore\.h|time\.h|signal\.h"
    r"|poll\.h|dirent\.h|spawn\.h|dlfcn\.h|stdatomic\.h"
)

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
FOLDERS = ["core", "lua", "sdk", "plugins", "examples"]


def layer_of(path):
    """The row of LAYERS for a file of the project; None for one outside all layers."""
    rows = [row for row in LAYERS if path.startswith(row[0])]
    return max(rows, key=lambda row: len(row[0])) if rows else None


def resolve(root, path, name):
    """The project's file that `name` means in `path`, or None for a header of the system."""
    here = os.path.normpath(os.path.join(os.path.dirname(path), name))
    for candidate in (here, name, "sdk/include/" + name):
        if os.path.isfile(os.path.join(root, candidate)):
            return candidate
    if name.startswith("millrace/"):
        return "sdk/include/" + name
    return name if name.split("/")[0] in FOLDERS else None


def refusal(path, name, target):
    """Why `path` may not include `name` (in the project: `target`), or None."""
    if target is not None:
        layer = layer_of(path)
        if layer is None:
            return "the file stands in no layer"
        if not any(target.startswith(prefix) for prefix in layer[1]):
            return f"{layer[0]} must not see {target}"
        return None
    for header, places in LIBRARIES:
        if re.fullmatch(header, name) and not re.fullmatch(places, path):
            return f"{name} is for {places} alone"
    if path.startswith(PURE) and re.fullmatch(IMPURE, name):
        return f"{name} does not belong into a pure layer"
    return None


def try_tables():
    """Includes that must be refused, and some that must not."""
    bad = [
        ("core/base/buf.c", "core/model/dag.h"),
        ("core/model/dag.c", "core/scheduler/state.h"),
        ("core/scheduler/decide.c", "core/store/store.h"),
        ("core/scheduler/decide.c", "core/engine/engine.h"),
        ("core/scheduler/decide.c", "sdk/include/millrace/engine.h"),
        ("core/store/store_mem.c", "core/model/dag.h"),
        ("core/store/store_mem.c", "core/scheduler/event.h"),
        ("core/store/records.c", "core/scheduler/state.h"),
        ("core/exec/pool.c", "core/engine/engine.h"),
        ("core/exec/pool.c", "core/store/store.h"),
        ("core/host/calls.c", "core/exec/task_host.h"),
        ("sdk/engine.c", "core/scheduler/state.h"),
        ("sdk/engine.c", "core/exec/executor.h"),
        ("sdk/cli/main.c", "core/base/buf.h"),
        ("sdk/cli/main.c", "sdk/attach.h"),
        ("plugins/sh/sh.c", "core/exec/exec.h"),
        ("examples/embed/embed.c", "sdk/cli/cli.h"),
        ("sdk/include/millrace/plugin.h", "core/base/base.h"),
    ]
    bad_system = [
        ("core/scheduler/decide.c", "uv.h"),
        ("core/scheduler/decide.c", "lmdb.h"),
        ("core/scheduler/decide.c", "lauxlib.h"),
        ("core/scheduler/state.c", "dlfcn.h"),
        ("core/scheduler/state.c", "time.h"),
        ("core/model/dag.c", "sys/stat.h"),
        ("core/model/dag.c", "yaml.h"),
        ("core/store/store_mem.c", "lmdb.h"),
        ("core/engine/engine.c", "lmdb.h"),
        ("core/base/buf.c", "cjson/cJSON.h"),
        ("sdk/cli/main.c", "uv.h"),
        ("core/exec/pool.c", "curl/curl.h"),
    ]
    good = [
        ("core/engine/shard.c", "core/scheduler/state.h"),
        ("core/exec/pool.c", "sdk/include/millrace/plugin.h"),
        ("sdk/engine.c", "core/engine/engine.h"),
        ("plugins/sh/sh.c", "sdk/include/millrace/plugin.h"),
    ]
    good_system = [("core/exec/pool.c", "uv.h"), ("core/store/store_lmdb.c", "lmdb.h"), ("core/model/dag.c", "string.h")]
    for path, target in bad:
        assert refusal(path, target, target), f"the tables let {path} include {target}"
    for path, name in bad_system:
        assert refusal(path, name, None), f"the tables let {path} include {name}"
    for path, target in good:
        assert not refusal(path, target, target), f"the tables refuse {target} in {path}"
    for path, name in good_system:
        assert not refusal(path, name, None), f"the tables refuse {name} in {path}"


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else "."
    try_tables()
    files = refused = 0
    for folder in FOLDERS:
        for where, _, names in sorted(os.walk(os.path.join(root, folder))):
            for file_name in sorted(names):
                if not file_name.endswith((".c", ".h")):
                    continue
                path = os.path.relpath(os.path.join(where, file_name), root)
                files += 1
                with open(os.path.join(root, path), encoding="utf-8") as file:
                    for number, line in enumerate(file, 1):
                        match = INCLUDE.match(line)
                        if not match:
                            continue
                        reason = refusal(path, match[2], resolve(root, path, match[2]))
                        if reason:
                            refused += 1
                            print(f"{path}:{number}: {line.strip()}: {reason}")
    print(f"{files} files, {refused} includes refused")
    if files == 0:
        print("no file was found: is the folder right?")
    return 1 if refused or files == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
