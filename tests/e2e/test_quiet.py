#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Goal: whoever wants to see nothing of a run but its end gets the same end. With -q or --progress none the
program waits for the run instead of following it. Method: each end that a run can have, and each that the
command can have before it, with -q, with --progress none, and with lines of progress beside them."""
import os
import signal

from harness import equal, has, main, statuses, wait_until

SILENT = (["-q"], ["--progress", "none"])
HOLD = """
id: hold
onLost: retry
tasks:
  - {id: a, run: 'echo begun; while [ ! -e go ]; do sleep 0.05; done'}
  - {id: b, dependOn: [a], run: echo after}
"""
# They fail in another order than they stand in, and more than are shown.
FAILS = "tasks:\n" + "".join(
    f"  - {{id: t{i}, run: 'while [ ! -e {i + 1} ]; do sleep 0.02; done; sleep 0.1; : > {i}; exit {i + 1}'}}\n" for i in range(6)
) + "  - {id: last, run: 'sleep 0.2; : > 6; exit 7'}\n"


def hold(case, *args):
    owner = case.start("run", case.file("hold.yaml", HOLD), *args)
    run = owner.run_id()
    wait_until(lambda: "begun" in case.m("logs", run, "a").out, "task a")
    return owner, run


def failures(text):
    """The lines that name what failed, without their tails."""
    return [line for line in text.splitlines() if line.startswith(("failed   ", "and "))]


def clear(case):
    for i in range(7):
        if os.path.exists(case.path(f"work/{i}")):
            os.remove(case.path(f"work/{i}"))


def test_what_failed_is_told_in_the_same_order(case):
    case.file("fails.yaml", FAILS)
    told = case.m("run", "fails.yaml", "--progress", "plain").exits(1)
    told = failures(told.err)[-6:]
    equal([line.split()[1] for line in told[:5]], ["last", "t5", "t4", "t3", "t2"], "the order")
    equal(told[5], "and 2 more")
    for silent in SILENT:
        clear(case)
        result = case.m("run", "fails.yaml", *silent).exits(1)
        equal(failures(result.err), told)
        result.run_id()
    clear(case)
    equal(case.m("run", "fails.yaml", "-q").exits(1).err.splitlines(), told, "all that -q says")


def test_other_ends(case):
    """Documents, exit codes and what is to be typed next."""
    blocked = case.file("blocked.yaml", "tasks: [{id: a, run: echo one, blockIf: true}, {id: b, run: echo two}]\n")
    good = case.file("good.yaml", "tasks: [{id: a, run: echo one}]\n")
    for silent in SILENT:
        document = case.m("run", good, "-o", "json", *silent).exits(0).json()
        equal(document["status"], "success")
        equal(document, case.show(document["id"]))
        result = case.m("run", blocked, *silent).exits(8)
        equal("continue" in result.err, silent != ["-q"], f"what is typed next in {result}")
        case.m("continue", "-", *silent).exits(0)
        equal(case.m("watch", "-", *silent).exits(0).err, "")
        equal(case.m("run", good, "-o", "jsonl", *silent).exits(0).lines()[0]["status"], "success")


def test_the_lines_of_watch_are_data(case):
    """`watch -o jsonl` is asked for its events, however quiet stderr is to be."""
    owner, run = hold(case, "-q")
    watch = case.start("watch", run, "-q", "-o", "jsonl")
    wait_until(lambda: watch.out().count("\n") > 0, "the first document")
    case.file("go", "")
    owner.end().exits(0)
    lines = watch.end().exits(0).lines()
    assert sum("event" in line for line in lines) >= 3, lines
    equal(lines[-1]["run"]["status"], "success")


def test_interrupts_and_timeouts(case):
    for silent in SILENT:
        owner, run = hold(case, *silent)
        other = case.start("run", case.file("two.yaml", HOLD.replace("id: hold", "id: two")), *silent)
        attached = other.run_id()
        wait_until(lambda: statuses(case.show(attached))["a"] == "running", "the attached one's run")
        other.kill(signal.SIGINT)
        has(other.end().exits(130).err, "detached", attached[-8:])
        case.m("watch", run, "--timeout", "200ms", *silent).exits(124).says(run[-8:])
        case.m("cancel", attached).exits(0)
        owner.kill(signal.SIGINT)
        owner.end().exits(130)
        equal(case.show(run)["status"], "canceled")
        case.m("run", "hold.yaml", "--timeout", "300ms", *silent).exits(124)
        equal(case.show()["status"], "canceled")


def test_an_attached_one_takes_over(case):
    owner, run = hold(case, "-q")
    others = [case.start("run", case.file(f"o{i}.yaml", HOLD.replace("id: hold", f"id: o{i}")), *SILENT[i]) for i in range(2)]
    ids = [other.run_id() for other in others]
    wait_until(lambda: all(statuses(case.show(i))["a"] == "running" for i in ids), "both")
    owner.kill()
    case.file("go", "")
    for other in others:
        other.end().exits(0)
    equal([case.show(i)["status"] for i in [run] + ids], ["success"] * 3)


if __name__ == "__main__":
    main()
