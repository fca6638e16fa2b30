#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Goal: which task begins when, and how often: `when`, fan-outs, retries, timeouts and limits, as
contract.md has them. Method: small dags whose commands leave marks; kill -9 where a wait must
survive it; large dags against the clock where a walk could be slow."""
import time

from harness import equal, has, main, statuses, task_of, wait_until


def start(case, text, *args):
    case.file("dag.yaml", text)
    return case.start("run", "dag.yaml", *args)


def run(case, text, *args, code=0, **more):
    case.file("dag.yaml", text)
    return case.m("run", "dag.yaml", "-o", "json", *args, **more).exits(code).json()


def times(case, name="times"):
    """The moments that commands have written with `date +%s.%N`."""
    return [float(line) for line in case.read(name).split()]


# ---- when -----------------------------------------------------------------------------------------

WHENS = """
  - {id: %(p)s-success, dependOn: [%(p)s], run: 'echo %(p)s-success >>marks'}
  - {id: %(p)s-always, when: always, dependOn: [%(p)s], run: 'echo %(p)s-always >>marks'}
  - {id: %(p)s-failed, when: failed, dependOn: [%(p)s], run: 'echo %(p)s-failed >>marks'}
"""


def whens(run_document, parent):
    got = statuses(run_document)
    return tuple(got[f"{parent}-{when}"] for when in ("success", "always", "failed"))


def test_when(case):
    """Below each way in which a parent can end."""
    owner = start(case, "tasks:\n  - {id: good}\n  - {id: bad, run: exit 1}\n  - {id: skipped, skipIf: 'true'}\n"
                  "  - {id: dead, dependOn: [bad]}\n  - {id: canceled, run: sleep 60}\n  - {id: blocked, blockIf: 'true'}\n"
                  + "".join(WHENS % {"p": p} for p in ("good", "bad", "skipped", "dead", "canceled", "blocked")))
    run_id = owner.run_id()
    wait_until(lambda: statuses(case.show(run_id))["canceled"] == "running", "the task")
    case.m("cancel", run_id, "canceled").exits(0)
    owner.end().exits(1)
    document = case.show(run_id)
    equal(document["status"], "failed", "failed wins over blocked")
    equal({p: whens(document, p) for p in ("good", "bad", "skipped", "dead", "canceled", "blocked")}, {
        "good": ("success", "success", "skipped"),
        "bad": ("init", "success", "success"),
        "skipped": ("success", "success", "skipped"),
        "dead": ("init", "success", "success"),
        "canceled": ("init", "success", "success"),
        "blocked": ("init", "init", "init")})
    equal(sorted(case.read("marks").split()), sorted(
        ["good-success", "good-always", "bad-always", "bad-failed", "skipped-success", "skipped-always", "dead-always",
         "dead-failed", "canceled-always", "canceled-failed"]))


def test_when_waits_for_all_parents(case):
    """Also if one has failed already; a failure far above counts."""
    document = run(case, """
tasks:
  - {id: bad, run: exit 1}
  - {id: slow, run: 'sleep 0.4; echo slow >>marks'}
  - {id: fine}
  - {id: always, when: always, dependOn: [bad, slow], run: echo always >>marks}
  - {id: failed, when: failed, dependOn: [slow, always, fine], run: echo failed >>marks}
  - {id: never, when: failed, dependOn: [slow, fine]}
  - {id: below, dependOn: [never], run: echo below >>marks}
  - {id: last, dependOn: [always], run: echo last >>marks}
""", code=1)
    equal(document["status"], "failed", "what runs after a failure does not mend it")
    equal(statuses(document), {"bad": "failed", "slow": "success", "fine": "success", "always": "success", "failed": "success",
                               "never": "skipped", "below": "success", "last": "success"})
    marks = case.read("marks").split()
    assert marks.index("slow") < marks.index("always") < marks.index("failed"), marks


def test_a_canceled_run_starts_none(case):
    owner = start(case, "tasks:\n  - {id: a, run: sleep 60}\n" + WHENS % {"p": "a"})
    run_id = owner.run_id()
    wait_until(case.children, "the task")
    case.m("cancel", run_id).exits(0)
    owner.end().exits(1)
    document = case.show(run_id)
    equal((document["status"], set(statuses(document).values()), case.read("marks")), ("canceled", {"canceled"}, ""))


def test_a_retry_that_mends_a_parent(case):
    """What `when: failed` began because of the failure stays as it is; what waited begins."""
    text = "tasks:\n  - {id: a, run: test -e good}\n" + WHENS % {"p": "a"}
    equal(whens(run(case, text, code=1), "a"), ("init", "success", "success"))
    case.file("good", "")
    document = case.m("retry", "-", "a", "-o", "json").exits(0).json()
    equal(whens(document, "a"), ("success", "success", "success"))
    equal(sorted(case.read("marks").split()), ["a-always", "a-failed", "a-success"])


# ---- fan-outs -------------------------------------------------------------------------------------


def test_for_each(case):
    """Children stand behind their parent, in order; so do their outputs, whoever ends first."""
    case.file("list.json", '[{"n": "x", "w": 0.3}, {"n": "y", "w": 0}]')
    document = run(case, """
vars: {l: {type: list, defaultValue: [c, a, b]}}
tasks:
  - {id: list, run: cat list.json, output: json}
  - {id: roll, dependOn: [list], forEach: tasks.list.output, as: host, key: host.n, env: {N: "{{host.n}}", W: "{{ host.w }}"}, run: 'sleep $W; echo "$N of $MILLRACE_TASK"'}
  - {id: plain, forEach: "{{l}}", env: {I: "{{item}}"}, run: echo $I}
  - {id: numbers, forEach: "{10, 20, 30}", lua: return item * 2}
  - {id: gates, forEach: "vars.l"}
  - {id: after, dependOn: [roll, numbers], lua: "return {tasks.roll.output[2], #tasks.numbers.output}"}
""")
    equal([t["id"] for t in document["tasks"]],
          ["list", "roll", "roll[x]", "roll[y]", "plain", "plain[0]", "plain[1]", "plain[2]", "numbers", "numbers[0]",
           "numbers[1]", "numbers[2]", "gates", "gates[0]", "gates[1]", "gates[2]", "after"])
    equal(task_of(document, "roll")["output"], ["x of roll[x]", "y of roll[y]"])
    equal(task_of(document, "plain")["output"], ["c", "a", "b"])
    equal(task_of(document, "numbers")["output"], [20, 40, 60])
    equal(task_of(document, "gates")["output"], [None, None, None])
    equal(task_of(document, "after")["output"], ["y of roll[y]", 3])
    has(case.m("logs", "-", "roll[y]").exits(0).out, "y of roll[y]")


def test_for_each_of_nothing_and_of_what_is_no_list(case):
    document = run(case, """
vars: {l: {type: list, defaultValue: []}, s: {defaultValue: abc}}
tasks:
  - {id: empty, forEach: vars.l, run: exit 1}
  - {id: below, dependOn: [empty], lua: return tasks.empty.output}
  - {id: text, forEach: vars.s}
  - {id: map, forEach: "{a = 1}"}
  - {id: nothing, forEach: share.x}
  - {id: twice, forEach: "{'a', 'b', 'a'}", key: item, run: echo >>marks}
  - {id: badKey, forEach: "{'a b'}", key: item, run: echo >>marks}
  - {id: tableKey, forEach: "{{1}}", key: item, run: echo >>marks}
""".replace('"{{1}}"', '"{ {1} }"'), code=1)
    got = statuses(document)
    equal((got["empty"], task_of(document, "empty")["output"], task_of(document, "below")["output"]), ("success", [], []))
    for task, word in (("text", "a string, not a list"), ("map", "a map, not a list"), ("nothing", "nothing, not a list"),
                       ("twice", 'the key "a"'), ("badKey", '"a b"'), ("tableKey", "not text")):
        equal(got[task], "failed", task)
        has(task_of(document, task)["reason"], word)
    equal(case.read("marks"), "", "no child has begun")


def test_for_each_max_parallel(case):
    """Never more than two at once, and two as long as there are enough."""
    document = run(case, """
tasks:
  - id: a
    forEach: "{1,2,3,4,5,6}"
    maxParallel: 2
    run: |
      echo + >>count; n=$(grep -c + count); m=$(grep -c - count || true); echo $((n - m)) >>seen
      sleep 0.15; echo - >>count
""")
    equal(statuses(document)["a"], "success")
    equal(max(int(n) for n in case.read("seen").split()), 2)


def test_failing_children(case):
    """All others go on; then the task is failed; a retry keeps its list and its good children."""
    text = """
tasks:
  - {id: a, forEach: "{'x', 'y', 'z'}", key: item, env: {I: "{{item}}"}, run: 'echo $I >>marks; test $I != y || test -e good; echo done-$I'}
  - {id: b, dependOn: [a], lua: return tasks.a.output}
"""
    document = run(case, text, code=1)
    equal(statuses(document), {"a": "failed", "a[x]": "success", "a[y]": "failed", "a[z]": "success", "b": "init"})
    equal(task_of(document, "a")["reason"], "1 of 3 failed: a[y]: exit 1")
    case.file("good", "")
    case.m("retry", "-", "a[x]").exits(6).says("a[x]", "success")
    case.m("retry", "-", "a[w]").exits(5).says("a[w]")
    document = case.m("retry", "-", "a[y]", "-o", "json").exits(0).json()
    equal(set(statuses(document).values()), {"success"})
    equal(task_of(document, "b")["output"], ["done-x", "done-y", "done-z"])
    equal(sorted(case.read("marks").split()), ["x", "y", "y", "z"])
    equal((task_of(document, "a[y]")["attempts"], task_of(document, "a[x]")["attempts"]), (2, 1))


def test_retry_of_a_fan_out_retries_its_bad_children(case):
    text = """
tasks:
  - {id: a, forEach: "{1, 2, 3}", run: 'echo $MILLRACE_TASK >>marks; test $MILLRACE_TASK = "a[1]" || test -e good'}
"""
    run(case, text, code=1)
    case.file("good", "")
    for words in (["-", "a"], []):
        document = case.m("retry", *words, "-o", "json")
        if words:
            equal(set(statuses(document.exits(0).json()).values()), {"success"})
        else:
            document.exits(6)
    equal(sorted(case.read("marks").split()), ["a[0]", "a[0]", "a[1]", "a[2]", "a[2]"])


def test_cancel_of_one_child(case):
    owner = start(case, """
tasks:
  - {id: a, forEach: "{1, 2}", run: 'echo >>marks; until test -e go; do sleep 0.05; done'}
  - {id: b, dependOn: [a], when: failed, run: echo b >>after}
""")
    run_id = owner.run_id()
    wait_until(lambda: case.read("marks").count("\n") == 2, "both children")
    case.m("cancel", run_id, "a[1]").exits(0)
    wait_until(lambda: statuses(case.show(run_id))["a[1]"] == "canceled", "its end")
    equal(statuses(case.show(run_id))["a"], "running")
    case.file("go", "")
    owner.end().exits(1)
    equal(statuses(case.show(run_id)), {"a": "failed", "a[0]": "success", "a[1]": "canceled", "b": "success"})


def test_a_fan_out_survives_kill(case):
    """What has ended stays ended; the list is not made anew. (A child's action was once looked up beyond its dag's.)"""
    owner = start(case, """
tasks:
  - {id: list, lua: "share.n = (share.n or 0) + 1 return {'x', 'y'}"}
  - {id: a, dependOn: [list], forEach: tasks.list.output, key: item, onLost: retry, env: {I: "{{item}}"}, run: 'echo $I >>marks; test $I = x || until test -e go; do sleep 0.05; done; echo $I'}
""")
    run_id = owner.run_id()
    wait_until(lambda: statuses(case.show(run_id)).get("a[x]") == "success" and "y" in case.read("marks"), "x to end")
    owner.kill()
    case.file("go", "")
    document = case.m("run", "--resume", "-o", "json").exits(0).json()
    equal((task_of(document, "a")["output"], document["share"]), (["x", "y"], {"n": 1}))
    equal(sorted(case.read("marks").split()), ["x", "y", "y"])


def test_ten_thousand_items(case):
    """Gates and a loop action: seconds, not minutes; all of it in the document."""
    list_of = "(function() local l = {} for i = 1, 10000 do l[i] = i end return l end)()"
    started = time.monotonic()
    document = run(case, f"""
tasks:
  - {{id: gates, forEach: "{list_of}"}}
  - {{id: noops, dependOn: [gates], forEach: "{list_of}", action: noop, maxParallel: 100}}
  - {{id: after, dependOn: [noops], lua: "return #tasks.noops.output"}}
""")
    seconds = time.monotonic() - started
    equal((document["status"], len(document["tasks"]), task_of(document, "after")["output"]), ("success", 20003, 10000))
    assert seconds < 20, f"took {seconds:.1f} s"


# ---- retries --------------------------------------------------------------------------------------


def gaps(case):
    at = times(case)
    return [b - a for a, b in zip(at, at[1:])]


def test_retry_waits(case):
    """fixed, exponential up to maxDelay, and without a delay; `max` counts after the first."""
    for policy, wanted in (("max: 2, delay: 300ms", [0.3, 0.3]),
                           ("max: 3, backoff: exponential, delay: 200ms, maxDelay: 500ms", [0.2, 0.4, 0.5]),
                           ("max: 2, backoff: fixed", None), ("max: 2, backoff: exponential, delay: 0s", None)):
        case.file("times", "")
        document = run(case, f"tasks: [{{id: a, retry: {{{policy}}}, run: 'date +%s.%N >>times; exit 7'}}]\n", code=1)
        count = len(wanted or [0, 0]) + 1
        equal((task_of(document, "a")["attempts"], task_of(document, "a")["reason"]), (count, "exit 7"))
        got = gaps(case)
        equal(len(got), count - 1)
        for gap, want in zip(got, wanted or []):
            assert want <= gap + 0.01 and gap < want + 1.5, (policy, got)


def test_retry_with_jitter(case):
    """The wait lies between what is left without the jitter and all of it; not all are the same."""
    document = run(case, """
tasks:
  - {id: a, retry: {max: 4, delay: 400ms, jitter: 0.5}, run: 'date +%s.%N >>times; exit 7'}
""", code=1)
    equal(task_of(document, "a")["attempts"], 5)
    got = gaps(case)
    assert all(0.19 < gap < 1.5 for gap in got), got


def test_retry_if(case):
    """error.exit, error.attempt and error.reason; what is false or wrong ends it."""
    document = run(case, """
tasks:
  - {id: code, retry: {max: 5, if: error.exit == 7}, run: 'echo >>code; test $MILLRACE_ATTEMPT -lt 3 && exit 7; exit 8'}
  - {id: attempt, retry: {max: 9, if: error.attempt < 3}, run: exit 1}
  - {id: reason, retry: {max: 9, if: "error.reason == 'exit 9' and error.attempt <= 2"}, run: exit 9}
  - {id: never, retry: {max: 9, if: 'false'}, run: exit 1}
  - {id: wrong, retry: {max: 9, if: nil + 1}, run: exit 1}
  - {id: loop, retry: {max: 9, if: "(function() while true do end end)()"}, run: exit 1}
  - {id: mended, retry: {max: 9}, run: test $MILLRACE_ATTEMPT = 3}
  - {id: script, retry: {max: 2, if: "error.attempt == 1"}, lua: "error('no')"}
""", code=1)
    equal({t["id"]: (t["attempts"], t["status"]) for t in document["tasks"]},
          {"code": (3, "failed"), "attempt": (3, "failed"), "reason": (3, "failed"), "never": (1, "failed"),
           "wrong": (1, "failed"), "loop": (1, "failed"), "mended": (3, "success"), "script": (2, "failed")})
    equal(task_of(document, "code")["reason"], "exit 8")


def test_a_manual_retry_starts_the_count_anew(case):
    run(case, "tasks: [{id: a, retry: {max: 2}, run: 'echo >>marks; exit 1'}]\n", code=1)
    equal(case.read("marks").count("\n"), 3)
    document = case.m("retry", "-o", "json").exits(1).json()
    equal((case.read("marks").count("\n"), task_of(document, "a")["attempts"]), (6, 6))


def test_a_retry_wait_survives_kill(case):
    """It goes on with what is left of it, and the count of attempts too."""
    owner = start(case, "tasks: [{id: a, retry: {max: 1, delay: 2s}, run: 'date +%s.%N >>times; exit 7'}]\n")
    run_id = owner.run_id()
    wait_until(lambda: statuses(case.show(run_id))["a"] == "retrying", "the wait")
    time.sleep(0.5)
    owner.kill()
    document = case.m("run", "--resume", "-o", "json").exits(1).json()
    equal(task_of(document, "a")["attempts"], 2)
    assert 1.9 < gaps(case)[0] < 5, gaps(case)


def test_cancel_of_a_task_that_waits_for_its_retry(case):
    owner = start(case, "tasks: [{id: a, retry: {max: 9, delay: 1h}, run: 'exit 7'}, {id: b, run: 'until test -e go; do sleep 0.05; done'}]\n")
    run_id = owner.run_id()
    wait_until(lambda: statuses(case.show(run_id))["a"] == "retrying", "the wait")
    case.m("cancel", run_id, "a").exits(0)
    wait_until(lambda: statuses(case.show(run_id))["a"] == "canceled", "its end", 5)
    case.file("go", "")
    owner.end().exits(1)


# ---- timeouts and limits --------------------------------------------------------------------------


def test_timeouts_with_retries(case):
    """A task's timeout is of each attempt; the run's of all of them, waits too."""
    document = run(case, "tasks: [{id: a, timeout: 400ms, retry: {max: 2}, run: 'echo >>marks; sleep 60'}]\n", code=1)
    equal((task_of(document, "a")["attempts"], task_of(document, "a")["reason"]), (3, "timed out after 400ms"))
    started = time.monotonic()
    document = run(case, """
timeout: 1s
tasks:
  - {id: a, retry: {max: 99, delay: 300ms}, run: exit 1}
  - {id: b, dependOn: [a], when: always, run: echo b >>after}
  - {id: c, run: sleep 60}
""", code=1)
    assert 0.9 < time.monotonic() - started < 8
    equal((document["status"], case.read("after")), ("failed", ""))
    has(document["reason"], "timed out after 1s")
    assert 2 <= task_of(document, "a")["attempts"] <= 4
    equal(statuses(document)["c"], "canceled")


def test_max_parallel_counts_no_retry_waits(case):
    """A task that waits for its next attempt leaves its place to another; one that waits does not."""
    started = time.monotonic()
    document = run(case, """
maxParallel: 1
tasks:
  - {id: a, retry: {max: 1, delay: 1s}, run: 'echo a >>marks; test $MILLRACE_ATTEMPT = 2'}
  - {id: b, run: 'echo b >>marks; sleep 0.1'}
  - {id: c, wait: 500ms}
  - {id: d, run: echo d >>marks}
""")
    equal(set(statuses(document).values()), {"success"})
    equal(case.read("marks").split(), ["a", "b", "d", "a"])
    assert time.monotonic() - started < 8


def test_gates_with_conditions(case):
    document = run(case, """
vars: {go: {type: bool, defaultValue: false}}
tasks:
  - {id: a, runIf: vars.go}
  - {id: b, dependOn: [a], skipIf: "tasks.a.status == 'skipped'"}
  - {id: c, dependOn: [b], runIf: "tasks.b.status == 'skipped'"}
  - {id: d, dependOn: [c], blockIf: not vars.go}
  - {id: e, dependOn: [d]}
""", code=8)
    equal(statuses(document), {"a": "skipped", "b": "skipped", "c": "success", "d": "blocked", "e": "init"})
    equal(case.m("continue", "-o", "json").exits(0).json()["status"], "success")


def test_stacked_diamonds(case):
    """2^30 ways through them: fastflow's walk never came back from 18."""
    for count in (18, 30):
        text = "tasks:\n  - {id: t0}\n"
        for i in range(count):
            text += (f"  - {{id: l{i}, dependOn: [t{i}]}}\n  - {{id: r{i}, dependOn: [t{i}]}}\n"
                     f"  - {{id: t{i + 1}, dependOn: [l{i}, r{i}]}}\n")
        for bad in ("", "  - {id: z, dependOn: [t%d], run: exit 1}\n  - {id: y, when: failed, dependOn: [z]}\n" % count):
            started = time.monotonic()
            run(case, text + bad, code=1 if bad else 0)
            assert time.monotonic() - started < 3, f"{count} diamonds took {time.monotonic() - started:.1f} s"


if __name__ == "__main__":
    main()
