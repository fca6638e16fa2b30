#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Goal: whatever a plugin does that it should not, there is a clear error or a documented limit, and the
engine lives and runs the next task; where the process dies, the next one knows what was lost. Method: the
plugin native/misbehave.c in each of its ways; the table in docs/plugins.md names the same ways."""
import os
import re
import signal
import subprocess

from harness import BUILD, SOURCE, TIMEOUT, Skip, equal, has, main, sanitized, statuses, task_of, wait_until

PLUGINS = os.path.join(BUILD, "tests/e2e/native")
LOST = "lost: the engine stopped while it ran"

# The task that misbehaves; one that comes after it, whatever it was; the mark that the engine lives.
DAG = """
tasks:
  - {{id: bad, action: {0}, params: {{{1}}}{2}}}
  - {{id: next, dependOn: [bad], when: always, action: sh, params: {{run: "true"}}}}
"""


def run(case, action, params, more="", code=0):
    case.file("dag.yaml", DAG.format(action, params, more))
    return case.m("run", "dag.yaml", "--plugins", PLUGINS, "-o", "json").exits(code)


def lives(case, action, params, more="", reason=None, says=()):
    """The next task runs; the bad one succeeds, or fails with this reason. Returns its part of the document."""
    result = run(case, action, params, more, 0 if reason is None else 1)
    document = result.says(*says).json()
    equal(statuses(document), {"bad": "success" if reason is None else "failed", "next": "success"}, str(document))
    bad = task_of(document, "bad")
    if reason is not None:
        assert re.fullmatch(reason, bad["reason"]), f"the reason is {bad['reason']!r}, not {reason!r}"
    return bad


# ---- ends --------------------------------------------------------------------------------------------


def test_finishing_twice(case):
    lives(case, "bad-loop", "how: finish-twice",
          says=['action "bad-loop" called mr_finish between its phases: refused'])


def test_a_pointer_that_died(case):
    case.file("dag.yaml", """
tasks:
  - {id: leave, action: bad-loop, params: {how: leave-a-pointer}}
  - {id: use, dependOn: [leave], action: bad-loop, params: {how: use-a-dead-pointer}}
""")
    document = case.m("run", "dag.yaml", "--plugins", PLUGINS, "-o", "json").exits(0).json()
    equal(statuses(document), {"leave": "success", "use": "success"})
    assert "grave" not in str(document) + case.m("logs").exits(0).out, "a late trace or log was taken"


def test_never_finishing(case):
    """Timeout, cancel and shutdown work without the plugin."""
    lives(case, "bad-loop", "how: never-finish", ", timeout: 100ms", reason="timed out after 100ms")
    case.file("dag.yaml", DAG.format("bad-loop", "how: never-finish", ""))
    for act in ("cancel", "terminate"):
        owner = case.start("run", "dag.yaml", "--plugins", PLUGINS)
        run_id = owner.run_id()
        wait_until(lambda: statuses(case.show(run_id))["bad"] == "running", "its begin")
        if act == "cancel":
            case.m("cancel", run_id).exits(0)
            equal(owner.end().code, 1)
        else:
            equal(owner.kill(signal.SIGTERM).end().code, 143)


def test_finishing_after_the_timeout(case):
    """What comes later is ignored; its memory is freed with it."""
    lives(case, "bad-loop", "how: finish-late", ", timeout: 100ms", reason="timed out after 100ms")


def test_a_worker_that_never_returns(case):
    """A thread cannot be ended: it is asked, then left behind at the end. The attempt is a lost one."""
    case.file("dag.yaml", DAG.format("bad-worker", "how: never-return", ", onLost: fail"))
    owner = case.start("run", "dag.yaml", "--plugins", PLUGINS)
    run_id = owner.run_id()
    wait_until(lambda: statuses(case.show(run_id))["bad"] == "running", "its begin")
    result = owner.kill(signal.SIGTERM).end()
    equal(result.code, 143)
    assert result.seconds < 40, f"it took {result.seconds:.0f} s"
    resumed = case.m("run", "--resume", "--plugins", PLUGINS, "-o", "json").exits(1).json()
    equal(statuses(resumed), {"bad": "failed", "next": "success"})
    equal(task_of(resumed, "bad")["reason"], LOST)


def test_a_worker_that_never_returned_outlived_the_timeout_of_the_command(case):
    case.file("dag.yaml", DAG.format("bad-worker", "how: never-return", ", onLost: fail"))
    result = case.m("run", "dag.yaml", "--plugins", PLUGINS, "--timeout", "1s").exits(124).says("run --resume")
    assert result.seconds < 60, f"it took {result.seconds:.0f} s"


def test_answers_that_are_none(case):
    lives(case, "bad-worker", "how: answer-pending", reason="the action answered 1 on a worker thread")
    lives(case, "bad-worker", "how: answer-positive", reason="the action answered 7 on a worker thread")
    lives(case, "bad-loop", "how: answer-positive", reason="the action answered 7")
    lives(case, "bad-loop", "how: answer-unknown", reason="unknown status")
    lives(case, "bad-loop", "before: answer-pending", reason="run_before answered MR_PENDING, as only run may")
    lives(case, "bad-worker", "after: answer-pending", reason="run_after answered MR_PENDING, as only run may")


# ---- the wrong thread, or moment ---------------------------------------------------------------------


def test_calls_from_a_foreign_thread(case):
    lives(case, "bad-loop", "how: foreign-thread", says=["called mr_timer ", "called mr_spawn "])


def test_calls_that_belong_elsewhere(case):
    lives(case, "bad-loop", "how: wrong-calls-on-loop")
    lives(case, "bad-worker", "how: wrong-calls-on-worker", says=["called mr_timer on a worker: refused"])
    lives(case, "bad-loop", "how: spawn-twice")
    lives(case, "bad-loop", "after: after-wrong")
    lives(case, "bad-worker", "after: after-wrong")


# ---- too much ----------------------------------------------------------------------------------------


def test_more_than_a_limit(case):
    lives(case, "bad-worker", "how: output-too-large", reason="output of more than 16777216 bytes")
    lives(case, "bad-worker", "how: share-too-large", reason="share data of more than 16777216 bytes")
    lives(case, "bad-loop", "how: timer-flood")
    lives(case, "bad-loop", "how: post-flood")
    if not sanitized():
        lives(case, "bad-worker", "how: huge-alloc")


def test_floods_cut_no_watcher_off(case):
    """They made an answer of each piece and line: a terminal that followed was cut off, and its runs with it."""
    for action in ("bad-worker", "bad-loop"):
        bad = lives(case, action, "how: trace-flood")
        assert 0 < len(bad["traces"]) <= 1100, f"{len(bad['traces'])} traces were kept"
        lives(case, action, "how: log-flood")
        kept = len(case.m("logs", "-", "bad").exits(0).out)
        assert 0 < kept < 200000 * 24, f"{kept} bytes of the log were kept"


def test_posting_for_ever(case):
    """The loop stays for others, and the timeout ends it."""
    lives(case, "bad-loop", "how: post-for-ever", ", timeout: 300ms", reason="timed out after 300ms")


# ---- what is no value --------------------------------------------------------------------------------


def test_values_that_are_none(case):
    lives(case, "bad-worker", "how: bad-json", reason="output is not one JSON value: .*")
    lives(case, "bad-worker", "how: bad-values")
    lives(case, "bad-loop", "how: no-child")


def test_names_and_texts_that_are_null(case):
    """They ended the process: the host compared them."""
    for action in ("bad-loop", "bad-worker"):
        lives(case, action, "how: no-names", reason=".*", says=["called mr_log with an unknown stream or without bytes"])


def test_text_that_is_no_utf8(case):
    """Every document stays JSON, and no control character reaches a terminal."""
    for action in ("bad-loop", "bad-worker"):
        bad = lives(case, action, "how: bad-utf8", reason="reason \ufffd\n?.*")
        equal(len(bad["traces"]), 1)
        has(bad["traces"][0]["message"], "trace \ufffd")
        shown = case.m("show", "-").exits(1 - 1).out + case.m("why").out
        assert "\x1b" not in shown, repr(shown)


# ---- the process of the engine -----------------------------------------------------------------------


def dies(case, how, code, action="bad-worker"):
    """The engine goes with it; the next one says what was lost, and runs the next task."""
    result = run(case, action, f"how: {how}", ", onLost: fail", code)
    resumed = case.m("run", "--resume", "--plugins", PLUGINS, "-o", "json").exits(1).json()
    equal(statuses(resumed), {"bad": "failed", "next": "success"})
    equal(task_of(resumed, "bad")["reason"], LOST)
    case.m("store", "check").exits(0)
    return result


def test_a_crash_takes_the_engine_along(case):
    if sanitized():
        raise Skip("the sanitizer takes the crash for itself")
    for action in ("bad-worker", "bad-loop"):
        dies(case, "crash", -signal.SIGSEGV, action)


def test_leaving_the_process_takes_the_engine_along(case):
    dies(case, "leave-the-process", 3)


def test_closed_descriptors_harm_no_store(case):
    """They were the engine's own: it cannot go on, and may hang; what was durable stands."""
    case.file("dag.yaml", DAG.format("bad-worker", "how: close-descriptors", ", onLost: fail"))
    owner = case.start("run", "dag.yaml", "--plugins", PLUGINS)
    try:
        owner.process.wait(3)
    except subprocess.TimeoutExpired:
        owner.kill()
    case.m("store", "check").exits(0)
    case.m("run", "--resume", "--plugins", PLUGINS, "-o", "json")
    equal(case.show()["status"] in ("failed", "success"), True, "the run's end")
    lives(case, "bad-loop", "")


def test_descriptors_that_leak_stay_out_of_children(case):
    case.file("dag.yaml", """
tasks:
  - {id: bad, action: bad-worker, params: {how: leak-descriptors}}
  - {id: count, dependOn: [bad], run: "ls /proc/self/fd | wc -l"}
""")
    document = case.m("run", "dag.yaml", "--plugins", PLUGINS, "-o", "json").exits(0).json()
    assert int(task_of(document, "count")["output"]) <= 4, task_of(document, "count")["output"]


def test_a_changed_process(case):
    """Folder and signals of the process mean nothing to tasks that follow; its environment they inherit."""
    case.file("dag.yaml", """
tasks:
  - {id: bad, action: bad-worker, params: {how: change-the-process}}
  - {id: sh, dependOn: [bad], run: 'pwd; echo "$CHANGED"; trap; kill -TERM $$; echo survived'}
  - {id: after, dependOn: [sh], when: always, run: exit 7}
""")
    document = case.m("run", "dag.yaml", "--plugins", PLUGINS, "-o", "json").exits(1).json()
    equal(task_of(document, "sh")["reason"], "killed by SIGTERM")
    equal(task_of(document, "after")["reason"], "exit 7")
    equal(case.m("logs", "-", "sh").exits(0).out, case.work + "\nyes\n")


def test_ignored_children(case):
    """The system then takes their exit statuses: sh says so, and a task that starts none is as before."""
    document = run(case, "bad-worker", "how: ignore-children", code=1).json()
    equal(task_of(document, "next")["reason"], "its exit status was taken by the program that runs millrace")


def test_a_lock_of_its_own_that_is_kept(case):
    """It stops nobody but the plugin itself."""
    case.file("dag.yaml", """
tasks:
  - {id: bad, action: bad-worker, params: {how: keep-own-lock}}
  - {id: again, dependOn: [bad], action: bad-worker, params: {how: want-own-lock}}
  - {id: next, dependOn: [again], when: always, run: "true"}
""")
    document = case.m("run", "dag.yaml", "--plugins", PLUGINS, "-o", "json").exits(1).json()
    equal(statuses(document), {"bad": "success", "again": "failed", "next": "success"})
    equal(task_of(document, "again")["reason"], "the plugin's own lock is held")


def test_an_exception_takes_the_engine_along(case):
    """C++ has no way through C: std::terminate. Built here, since nothing else needs a C++ compiler."""
    if sanitized():
        raise Skip("the sanitizer takes exceptions for itself")
    case.file("throws.cc", """
#include <millrace/plugin.h>
#include <stdexcept>
static mr_status run(mr_task *) { throw std::runtime_error("nobody catches this"); }
static const mr_action action = mr_action_make("throws", run, MR_ON_WORKER, nullptr);
MR_PLUGIN("throws", "1", &action);
""")
    try:
        subprocess.run(["c++", "-std=c++17", "-shared", "-fPIC", "-I", os.path.join(SOURCE, "sdk/include"), "-o",
                        "throws.so", "throws.cc"], cwd=case.work, check=True, timeout=TIMEOUT)
    except FileNotFoundError:
        raise Skip("no C++ compiler") from None
    case.file("dag.yaml", DAG.format("throws", "", ", onLost: fail"))
    case.m("run", "dag.yaml", "--plugins", case.work).exits(-signal.SIGABRT).says("nobody catches this")
    resumed = case.m("run", "--resume", "--plugins", case.work, "-o", "json").exits(1).json()
    equal(task_of(resumed, "bad")["reason"], LOST)


def test_every_way_is_tried_and_documented(case):
    with open(os.path.join(SOURCE, "tests/e2e/native/misbehave.c"), encoding="utf-8") as file:
        ways = re.findall(r'\{"([a-z0-9-]+)", \w+\},', file.read())
    with open(os.path.abspath(__file__), encoding="utf-8") as file:
        tests = file.read()
    with open(os.path.join(SOURCE, "docs/plugins.md"), encoding="utf-8") as file:
        documented = set(re.findall(r"`([a-z0-9-]+)`", file.read()))
    assert len(ways) > 30, f"only {len(ways)} ways; {case.work}"
    equal([way for way in ways if not re.search(f": {way}\\b|\"{way}\"", tests)], [], "untried ways")
    equal([way for way in ways if way not in documented], [], "ways that docs/plugins.md does not name")


if __name__ == "__main__":
    main()
