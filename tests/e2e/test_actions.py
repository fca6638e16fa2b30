#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Goal: an action's phases are called as fastflow's table has them, also after `kill -9` in each of
them; share data from C; actions that are Lua files. Method: a plugin that writes down its calls
(native/phases.c), killed where it was told to stay."""
import os

from harness import BUILD, equal, has, main, statuses, task_of, wait_until

PLUGINS = os.path.join(BUILD, "tests/e2e/native")
LOST = "lost: the engine stopped while it ran"


def dag(more="", params=""):
    return f"tasks: [{{id: a, action: phases, params: {{{params}}}{more}}}, {{id: b, dependOn: [a]}}]\n"


def calls(case):
    return [tuple(line.split()[:2]) for line in case.read("calls").splitlines()]


def of(attempt, *phases):
    return [(phase, str(attempt)) for phase in phases]


def run(case, text, *args, code=0):
    case.file("dag.yaml", text)
    return case.m("run", "dag.yaml", "--plugins", PLUGINS, "-o", "json", *args).exits(code).json()


def killed_in(case, text, phase):
    """Runs it until the phase has begun, and kills the engine."""
    case.file("dag.yaml", text)
    owner = case.start("run", "dag.yaml", "--plugins", PLUGINS)
    run_id = owner.run_id()
    wait_until(lambda: phase in [c[0] for c in calls(case)], phase)
    status = statuses(case.show(run_id))["a"]
    owner.kill()
    case.file("go", "")
    case.file("calls", "")
    return status


def resume(case, code=0):
    return case.m("run", "--resume", "--plugins", PLUGINS, "-o", "json").exits(code).json()


def retry(case, code=0):
    return case.m("retry", "--plugins", PLUGINS, "-o", "json").exits(code).json()


ALL = ("run_before", "run", "run_after")


def test_phases_in_order(case):
    """What one leaves in memory the next one finds."""
    document = run(case, dag())
    equal(case.read("calls").splitlines(), ["run_before 1 -", "run 1 run_before", "run_after 1 run"])
    equal((task_of(document, "a")["output"], task_of(document, "a")["attempts"]), ({"from": "run"}, 1))


def test_a_failure_in_each_phase(case):
    """Fails the task with its reason; what would come after is not called; a retry begins with retry_before."""
    for last, phase in enumerate(ALL):
        case.file("calls", "")
        document = run(case, dag(params=f"fail: {phase}"), code=1)
        equal(calls(case), of(1, *ALL[:last + 1]), phase)
        equal((task_of(document, "a")["status"], task_of(document, "a")["reason"], statuses(document)["b"]),
              ("failed", f"no luck in {phase}", "init"))
        equal(task_of(document, "a")["output"], None, phase)
        case.file("calls", "")
        case.file("good", "")
        document = retry(case)
        equal(calls(case), of(2, "retry_before", *ALL), f"the retry after {phase}")
        equal((set(statuses(document).values()), task_of(document, "a")["attempts"]), ({"success"}, 2))
        os.unlink(os.path.join(case.work, "good"))


def test_automatic_retries(case):
    """An automatic retry goes the way of a manual one."""
    document = run(case, dag(more=", retry: {max: 1}", params="fail: run"), code=1)
    equal(task_of(document, "a")["attempts"], 2)
    equal(calls(case), of(1, "run_before", "run") + of(2, "retry_before", "run_before", "run"))
    case.file("calls", "")
    document = run(case, dag(more=", retry: {max: 1}", params="fail: run_before"), code=1)
    equal(calls(case), of(1, "run_before") + of(2, "retry_before", "run_before"))
    # In retry_before itself: the second attempt has failed before it began.
    case.file("calls", "")
    case.file("dag.yaml", "tasks: [{id: a, action: phases, params: {fail: retry_before, stay: run}, timeout: 300ms, retry: {max: 1}}]\n")
    document = case.m("run", "dag.yaml", "--plugins", PLUGINS, "-o", "json").exits(1).json()
    equal(calls(case), of(1, "run_before", "run") + of(2, "retry_before"))
    equal((task_of(document, "a")["attempts"], task_of(document, "a")["reason"]), (2, "no luck in retry_before"))


def test_killed_in_run_before(case):
    """It has not begun: it is called again, in the same attempt."""
    killed_in(case, dag(params="stay: run_before"), "run_before")
    document = resume(case)
    equal(calls(case), of(1, *ALL))
    equal(task_of(document, "a")["attempts"], 1)


def test_killed_in_run(case):
    """It is never called a second time in one attempt: lost, and onLost decides."""
    equal(killed_in(case, dag(params="stay: run"), "run"), "running")
    document = resume(case, 1)
    equal((calls(case), task_of(document, "a")["reason"]), ([], LOST))
    document = retry(case)
    equal(calls(case), of(2, "retry_before", *ALL))


def test_killed_in_run_with_on_lost_retry(case):
    """A lost attempt neither failed nor was canceled; the next one begins with what the header says."""
    killed_in(case, dag(more=", onLost: retry", params="stay: run"), "run")
    document = resume(case)
    equal([c for c in calls(case) if c[0] != "retry_before"], of(2, *ALL))
    equal(task_of(document, "a")["attempts"], 2)


def test_killed_in_run_after(case):
    """`run` is through and its output stands: run_after alone is called again."""
    equal(killed_in(case, dag(params="stay: run_after"), "run_after"), "ending")
    document = resume(case)
    equal(case.read("calls").splitlines(), ["run_after 1 -"])
    equal((task_of(document, "a")["output"], task_of(document, "a")["attempts"], statuses(document)["b"]),
          ({"from": "run"}, 1, "success"))


def test_killed_in_retry_before(case):
    run(case, dag(params="fail: run, stay: retry_before"), code=1)
    case.file("calls", "")
    owner = case.start("retry", "--plugins", PLUGINS)
    wait_until(lambda: calls(case), "retry_before")
    owner.kill()
    case.file("calls", "")
    case.file("go", "")
    case.file("good", "")
    document = resume(case)
    equal(calls(case), of(2, "retry_before", *ALL))
    equal(task_of(document, "a")["attempts"], 2)


def test_cancel_and_timeout_in_each_phase(case):
    for phase in ALL:
        case.file("calls", "")
        document = run(case, dag(more=", timeout: 300ms", params=f"stay: {phase}"), code=1)
        equal((task_of(document, "a")["status"], task_of(document, "a")["reason"]), ("failed", "timed out after 300ms"), phase)
        case.file("calls", "")
        case.file("dag.yaml", dag(params=f"stay: {phase}"))
        owner = case.start("run", "dag.yaml", "--plugins", PLUGINS)
        run_id = owner.run_id()
        wait_until(lambda: calls(case) and calls(case)[-1][0] == phase, phase)
        case.m("cancel", run_id).exits(0)
        assert owner.end().exits(1).seconds < 10
        equal(set(statuses(case.show(run_id)).values()), {"canceled"}, phase)


# ---- share data from C ------------------------------------------------------------------------------

SHARING = """
tasks:
  - {id: first, lua: "share.old = 1 share.other = 2"}
  - {id: a, dependOn: [first], action: sharing, params: {stay: %s}}
  - {id: b, dependOn: [a], lua: "return {share.set.big + 1, share.flushed, share.old == nil}"}
"""


def test_share_data_from_c(case):
    document = run(case, SHARING % "''")
    equal(task_of(document, "a")["traces"][0]["message"], "first key old, old gone, flushed kept, set there")
    equal(task_of(document, "b")["output"], [9007199254740994, "kept", True])
    equal(document["share"], {"flushed": "kept", "other": 2, "set": {"big": 9007199254740993}})


def test_share_data_from_c_after_kill(case):
    """What was flushed stands; what was only set is gone with its attempt."""
    killed_in(case, SHARING % "run", "run")
    document = resume(case, 1)
    equal(document["share"], {"flushed": "kept", "other": 2})
    equal(task_of(document, "a")["reason"], LOST)


# ---- actions that are Lua files ---------------------------------------------------------------------

GREET = """
return {
  name = "greet",
  help = "greets",
  params = {
    {name = "who", type = "string", default = "world", help = "whom"},
    {name = "times", type = "int", required = true},
  },
  run_before = function(task) task.trace("before") end,
  run = function(task)
    share.greeted = task.params.who
    return {text = ("hello %s "):format(task.params.who):rep(task.params.times)}
  end,
  run_after = function(task) task.trace("after") end,
  retry_before = function(task) task.trace("again") end,
}
"""


def plugin_file(case, name, text, mode=0o644):
    folder = case.path("plugins")
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, mode)
    return folder


def test_a_lua_file_is_an_action(case):
    folder = plugin_file(case, "greet.lua", GREET)
    case.file("dag.yaml", "tasks: [{id: a, action: greet, params: {who: you, times: 2}}]\n")
    document = case.m("run", "dag.yaml", "--plugins", folder, "-o", "json").exits(0).json()
    equal((task_of(document, "a")["output"], document["share"]), ({"text": "hello you hello you "}, {"greeted": "you"}))
    equal([t["message"] for t in task_of(document, "a")["traces"]], ["before", "after"])
    has(case.m("actions", "greet", "--plugins", folder).exits(0).out, "who", "whom", "world", "times")
    case.file("bad.yaml", "tasks: [{id: a, action: greet, params: {woh: you}}]\n")
    errors = case.m("validate", "bad.yaml", "--plugins", folder, "-o", "json").exits(3).json()["errors"]
    equal(sorted((e["message"].split(" of ")[0], e["suggestion"]) for e in errors),
          [('param "times"', None), ('unknown param "woh"', "who")])


def test_lua_files_that_are_refused(case):
    """Each names its file, and what is wrong with it."""
    case.file("dag.yaml", "tasks: [{id: a}]\n")
    for text, words in (("return {", "bad.lua:"), ("return 1", "a number"), ("return {name = 'x'}", "run"),
                        ("return {name = 'a b', run = function() end}", "a b"), ("while true do end", "steps"),
                        ("error('boom')", "boom"), ("return {name = 'x', run = function() end, rum = 1}", "rum"),
                        ("return {name = 'x', run = function() end, params = {{name = 'p', type = 'nothing'}}}", "p")):
        folder = plugin_file(case, "bad.lua", text)
        result = case.m("run", "dag.yaml", "--plugins", folder)
        result.exits(3).says("bad.lua:", words)


def test_plugin_check_of_a_lua_file(case):
    case.file("good.lua", "return {name = 'mine', help = 'does it', run = function() end}\n")
    has(case.m("plugin", "check", "good.lua").exits(0).out, "good.lua: ok", "mine", "does it")
    case.file("bad.lua", "return {\n  run = function() x +  end}\n")
    has(case.m("plugin", "check", "bad.lua").exits(3).err, "bad.lua:2: ")


def test_a_lua_file_that_others_may_write_is_refused(case):
    case.file("dag.yaml", "tasks: [{id: a}]\n")
    folder = plugin_file(case, "greet.lua", GREET, 0o666)
    case.m("run", "dag.yaml", "--plugins", folder).exits(4).says("greet.lua")
    os.chmod(os.path.join(folder, "greet.lua"), 0o644)
    case.m("run", "dag.yaml", "--plugins", folder).exits(0)
    os.chmod(folder, 0o777)
    case.m("run", "dag.yaml", "--plugins", folder).exits(4).says("plugins")


def test_errors_in_a_lua_file_name_its_line(case):
    folder = plugin_file(case, "bad.lua", "return {\n  name = 'bad',\n  run = function(task)\n    error('boom')\n  end,\n}\n")
    case.file("dag.yaml", "tasks: [{id: a, action: bad}]\n")
    document = case.m("run", "dag.yaml", "--plugins", folder, "-o", "json").exits(1).json()
    has(task_of(document, "a")["reason"], "bad.lua:4: boom")


if __name__ == "__main__":
    main()
