#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Goal: what the verbs that make something promise, holds for what they made. Method: make it, then
use it as a user would: build, validate, run, ask again."""
import json
import os
import re
import shutil
import subprocess

from harness import BUILD, SOURCE, TIMEOUT, Skip, equal, has, main, statuses

INCLUDE = os.path.join(SOURCE, "sdk/include")


def sh(case, args, cwd, **env):
    """Another program than millrace, which must succeed."""
    done = subprocess.run(args, cwd=cwd, env=dict(case.env, **env), timeout=TIMEOUT, encoding="utf-8",
                          errors="replace", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert done.returncode == 0, f"{args}: exit {done.returncode}\n{done.stdout[-4000:]}"
    return done.stdout


def listed(folder):
    return sorted(os.listdir(folder))


# ---- plugin new ------------------------------------------------------------------------------------


def test_plugin_new(case):
    """The folder's own README tells how to build it; under 30 lines of C are one's own."""
    made = case.m("plugin", "new", "greet-them").exits(0)
    folder = os.path.join(case.work, "greet-them")
    equal(sorted(made.out.split()), ["greet-them/" + name for name in
                                     ("README.md", "greet-them.c", "meson.build", "test.yaml")])
    with open(os.path.join(folder, "README.md"), encoding="utf-8") as file:
        line = re.search(r"^ {4}(cc .*)$", file.read(), re.M)[1]
    # The tree's headers in the place of installed ones.
    sh(case, ["sh", "-c", line + " -Wall -Wextra -Werror"], folder, CPATH=INCLUDE)
    has(case.m("plugin", "check", "greet-them.so", cwd=folder).exits(0).out, "greet-them.so: ok", "greet-them")
    run = case.m("run", "--plugins", ".", "test.yaml", "-o", "json", cwd=folder).exits(0).json()
    equal([task["output"] for task in run["tasks"]], [{"text": "hello world"}, {"text": "hello Ada"}])
    has(case.m("actions", "greet-them", "--plugins", folder).exits(0).out, "who", "whom to greet")
    with open(os.path.join(folder, "greet-them.c"), encoding="utf-8") as file:
        assert len(file.read().splitlines()) < 30


def test_plugin_new_with_meson(case):
    if shutil.which("meson") is None or shutil.which("pkg-config") is None:
        raise Skip("no meson or no pkg-config")
    case.m("plugin", "new", "mine").exits(0)
    folder = os.path.join(case.work, "mine")
    sh(case, ["meson", "setup", "build", "--fatal-meson-warnings"], folder,
       PKG_CONFIG_PATH=os.path.join(BUILD, "meson-uninstalled"))
    sh(case, ["meson", "compile", "-C", "build"], folder)
    case.m("plugin", "check", "build/mine.so", cwd=folder).exits(0)
    case.m("run", "test.yaml", "--plugins", "build", cwd=folder).exits(0)


def test_plugin_new_is_usable_under_any_umask(case):
    """A plugin that others may write is refused, its folder too."""
    sh(case, ["sh", "-c", f"umask 000; {os.path.join(BUILD, 'sdk/cli/millrace')} plugin new open"], case.work)
    folder = os.path.join(case.work, "open")
    sh(case, ["sh", "-c", "umask 022; cc -shared -fPIC -o open.so open.c"], folder, CPATH=INCLUDE)
    case.m("run", "--plugins", ".", "test.yaml", cwd=folder).exits(0)


def test_plugin_new_refuses(case):
    os.mkdir(os.path.join(case.work, "there"))
    case.file("a-file", "kept")
    for name, code in (("there", 6), ("a-file", 6), ("", 2), ("../up", 2), ("a b", 2), ("7up", 2), ("-x", 2),
                       ("ä", 2), ("a" * 65, 2), ("sh", 6), ("wait", 6), ("lua", 6)):
        case.m("plugin", "new", "--", name).exits(code)
    equal(listed(case.work), ["a-file", "there"])
    equal((case.read("a-file"), listed(os.path.join(case.work, "there"))), ("kept", []))
    equal(case.m("plugin", "new", "a" * 64, "-o", "json").exits(0).json()["plugin"], "a" * 64)


# ---- init ------------------------------------------------------------------------------------------


def test_init(case):
    """What it writes validates, runs as it stands, and is never written over."""
    for args, name in (([], "dag.yaml"), (["deploy"], "deploy.yaml"), (["it.yml"], "it.yml"), (["sub/x"], "sub/x.yaml")):
        os.makedirs(os.path.join(case.work, "sub"), exist_ok=True)
        equal(case.m("init", *args).exits(0).out, name + "\n")
        case.m("validate", name).exits(0)
        run = case.m("run", name, "-o", "json").exits(0).json()
        equal((run["dag"], set(statuses(run).values())), (re.sub(r".*/|\.ya?ml", "", name), {"success"}))
        before = case.read(name)
        case.m("init", *args).exits(6).says(name)
        equal(case.read(name), before)
    equal(statuses(case.m("run", "dag.yaml", "-v", "who=nobody", "-o", "json").exits(0).json())["report"], "skipped")
    equal(case.m("init", "other", "-o", "json").exits(0).json(), {"file": "other.yaml"})


def test_init_refuses(case):
    for name, code in (("a b", 2), ("a[1]", 2), ("a,b", 2), ("", 2), ("x/", 2), ("a" * 129, 2), ("missing/x", 5)):
        case.m("init", name).exits(code)
    equal(listed(case.work), [])


if __name__ == "__main__":
    main()
