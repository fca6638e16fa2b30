#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Goal: rerun begins a new run of what another was: its version, variables, tags and folder; tasks
that nobody knows are told by name. Method: dags whose commands write into the folder where they
run, called from another one."""
from harness import RUN_ID, equal, has, main, statuses, task_of, wait_until

DAG = """
vars: {n: {type: int, defaultValue: 1}, list: {type: list}, name: {defaultValue: world}}
tags: {team: web}
tasks:
  - {id: build, run: 'echo b >>built; echo one'}
  - {id: test, dependOn: [build], env: {N: "{{n}}", L: "{{list}}", NAME: "{{name}}"}, run: 'echo "$N $L $NAME" >>tested; test -e good'}
  - {id: push, dependOn: [test], run: echo p >>pushed}
"""


def first(case, *args, code=1):
    """A run that fails in `test` unless the file `good` is there."""
    result = case.m("run", case.file("dag.yaml", DAG), "-v", "n=7", "-v", "list=[1,2]", "--tag", "k=v", *args)
    return result.exits(code).out.strip()


def test_same_version_vars_tags_and_folder(case):
    """Also if the file has changed meanwhile, and from whatever folder it is asked for."""
    old = first(case)
    case.file("dag.yaml", "tasks: [{id: other, run: 'true'}]\n")
    case.file("good", "")
    new = case.m("rerun", old[-8:], cwd=case.folder).exits(0).run_id()
    assert new != old and RUN_ID.fullmatch(new), new
    was, now = case.show(old), case.show(new)
    for key in ("dag", "version", "vars", "tags"):
        equal(now[key], was[key], key)
    equal(now["vars"], {"n": 7, "list": [1, 2], "name": "world"})
    equal(now["tags"], {"team": "web", "k": "v"})
    equal(set(statuses(now).values()), {"success"})
    equal(case.read("built"), "b\nb\n")
    equal(case.read("tested"), "7 [1,2] world\n7 [1,2] world\n")
    equal(was["status"], "failed", "the old run stays as it was")


def test_its_exit_code_and_document_are_the_new_runs(case):
    old = first(case)
    document = case.m("rerun", "-o", "json").exits(1).json()
    assert document["id"] != old
    equal(statuses(document), {"build": "success", "test": "failed", "push": "init"})
    case.file("good", "")
    equal(case.m("rerun", old, "-o", "json").exits(0).json()["status"], "success")
    equal(len(case.m("runs", "-o", "json").exits(0).json()), 3)


def test_of_a_run_that_goes_on(case):
    """Through the owner; both go on."""
    case.file("slow.yaml", "vars: {x: {}}\ntasks: [{id: a, run: 'test -e stop || { echo a >marks; sleep 60; }'}]\n")
    running = case.start("run", "slow.yaml", "-v", "x=1")
    old = running.run_id()
    wait_until(lambda: case.read("marks"), "the first run's task")
    case.file("stop", "")
    new = case.m("rerun", old).exits(0).run_id()
    equal(case.show(new)["vars"], {"x": "1"})
    equal(case.show(old)["status"], "running")
    case.m("cancel", old).exits(0)
    running.end()


def test_from_needs_what_is_above_it(case):
    old = first(case)
    result = case.m("rerun", old, "--from", "push").exits(6).says('"test"', "failed", old)
    equal(result.out, "")
    equal(len(case.m("runs", "-o", "json").exits(0).json()), 1)


def test_from_keeps_what_is_done(case):
    """With its output; only the task and what is below it run again."""
    old = first(case)
    case.file("good", "")
    document = case.m("rerun", old, "--from", "test", "-o", "json").exits(0).json()
    equal(statuses(document), {"build": "success", "test": "success", "push": "success"})
    kept = task_of(document, "build")
    equal((kept["attempts"], kept["output"], kept["reason"]), (0, "one", f"kept from run {old[-8:]}"))
    equal((case.read("built"), case.read("pushed")), ("b\n", "p\n"))
    # What was kept is kept again, from the run that it was kept in last.
    again = case.m("rerun", "--from", "push", "-o", "json").exits(0).json()
    equal(task_of(again, "build")["output"], "one")
    equal(task_of(again, "build")["reason"], f"kept from run {document['id'][-8:]}")
    equal((case.read("built"), case.read("pushed")), ("b\n", "p\np\n"))
    # And all of it runs once more if nothing is to be kept.
    case.m("rerun", "--from", "build").exits(0)
    equal(case.read("built"), "b\nb\n")


def test_only_skips_the_others(case):
    """Also what is above: whoever says so knows that it is done."""
    case.file("good", "")
    for words in (["--only", "test,push"], ["--only", "test", "--only", "push"], ["--only", "test", "push"]):
        document = case.m("run", case.file("dag.yaml", DAG), *words, "-o", "json").exits(0).json()
        equal(statuses(document), {"build": "skipped", "test": "success", "push": "success"}, words)
        equal(task_of(document, "build")["reason"], "not among --only")
    equal(case.read("built"), "")
    equal(case.read("pushed"), "p\np\np\n")
    # A rerun from a task keeps what was skipped; a plain one runs all.
    document = case.m("rerun", "--from", "push", "-o", "json").exits(0).json()
    equal(statuses(document), {"build": "skipped", "test": "success", "push": "success"})
    case.m("rerun").exits(0)
    equal(case.read("built"), "b\n")
    # What is skipped in the middle keeps up nobody either.
    document = case.m("run", "dag.yaml", "--only", "build,push", "-o", "json").exits(0).json()
    equal(statuses(document), {"build": "success", "test": "skipped", "push": "success"})


def test_tasks_that_are_none_are_named(case):
    first(case)
    case.m("rerun", "--from", "tset").exits(5).says('"tset"', 'did you mean "test"?')
    case.m("retry", "biuld", "push", "nothing").exits(5).says('"biuld" (did you mean "build"?)', '"nothing"')
    case.m("cancel", "-", "pusj").exits(5).says('"pusj"', 'did you mean "push"?')
    case.m("continue", "-", "x", "y[1]").exits(5).says('"x", "y[1]"')
    case.m("logs", "pusj").exits(5).says('"pusj"', 'did you mean "push"?')
    for words in (["--only", "build,tset"], ["--only", "build", "--only", "tset"], ["--only", "build", "tset"]):
        result = case.m("run", "dag.yaml", *words).exits(5).says('"tset"', 'did you mean "test"?')
        assert '"build"' not in result.err, result
    document = case.m("retry", "tset", "-o", "json").exits(5).json()
    has(document["errors"][0]["message"], '"tset"')
    equal(len(case.m("runs", "-o", "json").exits(0).json()), 1, "nothing was begun")


def test_a_finished_run_is_not_changed(case):
    case.file("good", "")
    first(case, code=0)
    for verb in ("cancel", "continue", "pause", "unpause", "retry"):
        case.m(verb).exits(6).says("success")
    case.m("rerun", "0000beef").exits(5).says("0000beef")


def test_only_belongs_to_a_new_run(case):
    case.file("dag.yaml", DAG)
    case.m("run", "--resume", "--only", "build").exits(2)
    case.m("run", "dag.yaml", "push").exits(2).says('"push" is too much')
    case.m("run", "dag.yaml", "--only", "build,").exits(2)


def test_commands_come_in_their_order(case):
    """Two retries at once: the second one finds the run that the first one brought back."""
    case.file("dag.yaml", "tasks: [{id: a, run: 'test -e good; sleep 60'}]\n")
    old = case.m("run", "dag.yaml").exits(1).run_id()
    case.file("good", "")
    owner = case.start("run", case.file("hold.yaml", "tasks: [{id: z, run: sleep 60}]\n"))
    owner.run_id()
    both = [case.start("retry", old), case.start("retry", old)]
    refused = wait_until(lambda: [p for p in both if not p.running()], "the end of one of them")[0]
    refused.end().exits(6).says("no task of the run is failed or canceled")
    equal(case.show(old)["status"], "running")
    case.m("cancel", old).exits(0)
    for process in both:
        process.end()
    case.m("cancel", owner.run_id()).exits(0)
    owner.end()
    equal(task_of(case.show(old), "a")["attempts"], 2)


if __name__ == "__main__":
    main()
