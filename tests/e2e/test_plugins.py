#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Goal: who writes a plugin gets from `plugin new` to a task that ran it, with installed headers alone, and
`plugin check` survives whatever a plugin does and says what it was. Method: build what a user would build,
in folders outside of the tree."""
import json
import os
import shutil
import signal
import subprocess
import time

from harness import BUILD, PROGRAM, SOURCE, TIMEOUT, Skip, equal, has, main, sanitized, wait_until

INCLUDE = os.path.join(SOURCE, "sdk/include")

PLUGIN = r"""
#include <millrace/plugin.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
__attribute__((constructor)) static void load(void) { %s; }
static mr_status self_test(mr_error *reterr) { (void)reterr; %s; return MR_OK; }
static mr_status run(mr_task *t) { (void)t; return MR_OK; }
static const mr_action action = MR_ACTION(.name = "tried", .run = run);
MR_PLUGIN_TESTED("tried", "1", self_test, &action);
"""


def sh(case, args, cwd, **env):
    """Another program than millrace, which must succeed."""
    done = subprocess.run(args, cwd=cwd, env=dict(case.env, **env), timeout=2 * TIMEOUT, encoding="utf-8",
                          errors="replace", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert done.returncode == 0, f"{args}: exit {done.returncode}\n{done.stdout[-4000:]}"
    return done.stdout


def check(case, load="", test="", code=0, *more):
    """plugin check of a plugin that does this while it is loaded, and that in its self-test."""
    source = case.file("tried.c", PLUGIN % (load, test))
    sh(case, ["cc", "-shared", "-fPIC", "-I", INCLUDE, "-o", "tried.so", source], case.work)
    return case.m("plugin", "check", "tried.so", *more).exits(code)


# ---- plugin check ------------------------------------------------------------------------------------


def test_check_of_a_good_one(case):
    has(check(case).out, "tried.so: ok, self-test passed\n", "tried")
    document = case.m("plugin", "check", "tried.so", "-o", "json").exits(0).json()
    equal((document["file"], document["plugin"], document["version"], document["selfTest"]),
          ("tried.so", "tried", "1", True))
    equal([action["name"] for action in document["actions"]], ["tried"])
    greet = os.path.join(BUILD, "examples/plugin-greet/greet.so")
    has(case.m("plugin", "check", greet).exits(0).out, "greet.so: ok\n")
    equal(case.m("plugin", "check", greet, "-o", "json").exits(0).json()["selfTest"], False)


def test_check_survives_loading(case):
    """It took the program along, and left a folder in /tmp."""
    if sanitized():
        raise Skip("the sanitizer takes the crash for itself")
    before = set(os.listdir("/tmp"))
    for load, what in (("raise(SIGSEGV)", "killed by SIGSEGV while it was loaded"),
                       ("abort()", "killed by SIGABRT while it was loaded"),
                       ("exit(3)", "ended its process with exit 3 while it was loaded"),
                       ("exit(0)", "ended its process, or closed descriptors"),
                       ("for (int fd = 3; fd < 1000; fd++) close(fd)", "closed descriptors that are not its own")):
        check(case, load, "", 3).says("millrace: tried.so: ", what)
        errors = case.m("plugin", "check", "tried.so", "-o", "json").exits(3).json()["errors"]
        has(errors[0]["message"], what)
        equal(errors[0]["code"], "incompatible plugin")
    equal([name for name in set(os.listdir("/tmp")) - before if name.startswith("millrace-plugin")], [])


def test_check_has_a_time(case):
    for load, test, when in (("for (;;) { }", "", "while it was loaded"), ("", "for (;;) { }", "in its self-test")):
        result = check(case, load, test, 124, "--timeout", "2s")
        result.says("tried.so: its time of ", when)
        assert result.seconds < 10, result.seconds


def test_check_says_what_failed(case):
    for test, what in (("MR_EXPECT(reterr, 1 + 1 == 3)", "tried.so: self-test: "),
                       ("return MR_EBUSY", "tried.so: self-test: in use"),
                       ("exit(4)", "tried.so: ended its process with exit 4 in its self-test")):
        check(case, "", test, 1).says(what)
    if not sanitized():
        check(case, "", "*(volatile int *)0 = 1", 1).says("tried.so: killed by SIGSEGV in its self-test")
    check(case, "", "MR_EXPECT(reterr, 1 + 1 == 3)", 1).says("tried.c:", "expected 1 + 1 == 3")


def test_check_keeps_stdout_for_its_own(case):
    result = check(case, '(void)!write(1, "noise\\n", 6)', "", 0, "-o", "json")
    equal(result.json()["selfTest"], True)
    has(result.err, "noise\n")
    # What stdio keeps back is not lost with the process.
    has(check(case, "", 'fputs("kept back", stdout)').err, "kept back")


def test_check_leaves_no_process(case):
    """What the plugin started goes with it."""
    check(case, "", 'if (fork() == 0) { for (;;) { sleep(1); } } (void)!write(2, "", 0)')
    wait_until(lambda: not processes_in(case.work), "the end of what it started")


def processes_in(folder):
    """Living processes whose current folder this is."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{pid}/cwd") == folder and int(pid) != os.getpid():
                found.append(int(pid))
        except OSError:
            pass  # it has ended, or is another user's
    return found


def test_check_ends_with_its_terminal(case):
    """A process that was ended while it tried a plugin leaves none behind."""
    check(case, "if (getenv(\"LOOP\") != NULL) { for (;;) { } }")
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)):
        trying = case.start("plugin", "check", "tried.so", env={"LOOP": "yes"})
        wait_until(lambda: len(processes_in(case.work)) == 2, "the child")
        equal(trying.kill(number).end().code, code)
        wait_until(lambda: not processes_in(case.work), "its end")


def test_a_crash_while_an_engine_loads_touches_no_run(case):
    """It cannot be survived there; what is in the store stands as it was."""
    if sanitized():
        raise Skip("the sanitizer takes the crash for itself")
    case.file("dag.yaml", "tasks: [{id: a, run: 'true'}]\n")
    run_id = case.m("run", "dag.yaml").exits(0).run_id()
    check(case, "raise(SIGSEGV)", "", 3)
    case.m("run", "dag.yaml", "--plugins", ".").exits(-signal.SIGSEGV)
    equal([run["id"] for run in case.m("runs", "-o", "json").exits(0).json()], [run_id])
    case.m("store", "check").exits(0)
    case.m("run", "dag.yaml").exits(0)


# ---- from nothing to a task --------------------------------------------------------------------------


def installed(case):
    """(prefix, environment): the build, installed into a folder of the test's own."""
    if any(shutil.which(name) is None for name in ("meson", "pkg-config", "cc")):
        raise Skip("no meson, pkg-config or cc")
    root = case.path("root")
    sh(case, ["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", root], case.work)
    pc = next(os.path.join(where, "millrace.pc") for where, _, names in os.walk(root) if "millrace.pc" in names)
    libraries = os.path.dirname(os.path.dirname(pc))
    binary = next(os.path.join(where, "millrace") for where, _, names in os.walk(root)
                  if where.endswith("/bin") and "millrace" in names)
    env = {"PKG_CONFIG_PATH": os.path.dirname(pc), "PKG_CONFIG_SYSROOT_DIR": root, "LD_LIBRARY_PATH": libraries,
           "PATH": os.path.dirname(binary) + ":" + case.env["PATH"]}
    return root, env


def own_lines(path):
    """Lines of code: neither blank nor of a comment."""
    with open(path, encoding="utf-8") as file:
        lines = [line.strip() for line in file]
    return [line for line in lines if line and not line.startswith(("/*", "*"))]


def test_from_new_to_a_task(case):
    """Under two minutes and 30 lines, out of the tree, against what was installed; no rebuild of the engine."""
    started = time.monotonic()
    _, env = installed(case)
    sh(case, ["millrace", "plugin", "new", "mine"], case.work, **env)
    folder = os.path.join(case.work, "mine")
    lines = own_lines(os.path.join(folder, "mine.c"))
    assert len(lines) < 35 and len([line for line in lines if len(line) > 1]) <= 30, f"{len(lines)} lines"
    # With one line of cc …
    flags = sh(case, ["pkg-config", "--cflags", "millrace"], case.work, **env).split()
    assert flags and all(case.folder in flag for flag in flags), flags
    sh(case, ["cc", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror"] + flags + ["-o", "mine.so", "mine.c"], folder)
    has(sh(case, ["millrace", "plugin", "check", "mine.so"], folder, **env), "mine.so: ok, self-test passed")
    has(sh(case, ["millrace", "run", "test.yaml", "--plugins", "."], folder, **env), "success")
    # … and with meson, whose tests are the self-test and the dag.
    sh(case, ["meson", "setup", "build", "--fatal-meson-warnings"], folder, **env)
    has(sh(case, ["meson", "test", "-C", "build"], folder, **env), "self-test", "dag", "Ok:                 2")
    # It is installed where the engine looks, whatever the prefix of the plugin's own project is.
    there = sh(case, ["pkg-config", "--variable=plugindir", "millrace"], case.work, **env).strip()
    equal(list(json.loads(sh(case, ["meson", "introspect", "--installed", "build"], folder, **env)).values()),
          [os.path.join(there, "mine.so")])
    took = time.monotonic() - started
    assert took < 120, f"it took {took:.0f} s"


def test_a_self_test_that_fails_is_seen_by_meson(case):
    _, env = installed(case)
    sh(case, ["millrace", "plugin", "new", "mine"], case.work, **env)
    path = os.path.join(case.work, "mine/mine.c")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.replace('"hello %s"', '"hullo %s"'))
    sh(case, ["meson", "setup", "build"], os.path.dirname(path), **env)
    done = subprocess.run(["meson", "test", "-C", "build", "--print-errorlogs"], cwd=os.path.dirname(path), check=False,
                          env=dict(case.env, **env), timeout=TIMEOUT, capture_output=True, encoding="utf-8")
    assert done.returncode != 0, done.stdout
    has(done.stdout, "self-test: ", "expected greeting")


def test_the_program_is_the_one_of_the_build(case):
    """That the tests above try what was built, and not something else that is installed."""
    root, env = installed(case)
    found = shutil.which("millrace", path=env["PATH"])
    assert found.startswith(root), found
    equal(sh(case, [found, "version"], case.work, **env), sh(case, [PROGRAM, "version"], case.work))


if __name__ == "__main__":
    main()
