#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Goal: the store keeps dags: push makes versions, runs keep theirs, stop and start are durable, names
that are nearly right are suggested. Method: push, run and list, from one terminal and from two."""
import os

from harness import equal, has, main, wait_until

ONE = "id: deploy\ntasks: [{id: a, run: echo one}]\n"
TWO = "id: deploy\ntasks: [{id: a, run: echo two}, {id: b, dependOn: [a]}]\n"
HOLD = "id: deploy\ntasks: [{id: a, run: 'echo up >trace; while [ ! -e go ]; do sleep 0.02; done; echo old'}]\n"
BAD = "id: deploy\ntasks: [{id: a, run: echo, dependon: [b]}]\n"


def dags(case):
    return {dag["id"]: dag for dag in case.m("dags", "-o", "json").exits(0).json()}


def output(case, *args):
    return case.m("run", *args, "-o", "json").exits(0).json()["tasks"][0]["output"]


def test_push_and_run(case):
    case.file("deploy.yaml", ONE)
    result = case.m("push", "deploy.yaml").exits(0)
    has(result.out, "deploy.yaml: deploy, new version ")
    dag = dags(case)["deploy"]
    equal((dag["status"], dag["file"], dag["folder"], dag["tasks"], dag["problem"]),
          ("normal", "deploy.yaml", case.work, 1, None))
    has(result.out, dag["version"][:8])
    document = case.m("run", "deploy", "-o", "json").exits(0).json()
    equal((document["dag"], document["version"], document["tasks"][0]["output"]), ("deploy", dag["version"], "one"))
    has(case.m("dags").exits(0).out, "DAG", "deploy", "normal")
    equal(len(case.m("dags", "-o", "jsonl").exits(0).lines()), 1)
    case.m("store", "check").exits(0)


def test_an_unchanged_text_is_no_new_version(case):
    case.file("deploy.yaml", ONE)
    case.m("push", "deploy.yaml").exits(0)
    before = dags(case)["deploy"]
    result = case.m("push", "deploy.yaml", "-o", "json").exits(0).json()
    equal([(d["file"], d["dag"], d["version"], d["new"], d["status"]) for d in result["dags"]],
          [("deploy.yaml", "deploy", before["version"], False, "normal")])
    equal(dags(case)["deploy"], before)


def test_a_changed_text_is_a_new_version(case):
    case.file("deploy.yaml", ONE)
    case.m("push", "deploy.yaml").exits(0)
    first = dags(case)["deploy"]["version"]
    case.file("deploy.yaml", TWO)
    equal(case.m("push", "deploy.yaml", "-o", "json").exits(0).json()["dags"][0]["new"], True)
    dag = dags(case)["deploy"]
    assert dag["version"] != first and dag["tasks"] == 2, f"{dag}"
    equal(output(case, "deploy"), "two")
    # And back again: the first text is the first version.
    case.file("deploy.yaml", ONE)
    equal(case.m("push", "deploy.yaml", "-o", "json").exits(0).json()["dags"][0]["version"], first)
    equal(output(case, "deploy"), "one")


def test_a_run_keeps_its_version(case):
    case.file("deploy.yaml", HOLD)
    case.m("push", "deploy.yaml").exits(0)
    old = dags(case)["deploy"]["version"]
    run = case.start("run", "deploy", "-o", "json")
    wait_until(lambda: case.read("trace"), "the run")
    case.file("deploy.yaml", ONE)
    case.m("push", "deploy.yaml").exits(0)  # through the owner
    equal(output(case, "deploy"), "one")
    case.file("go", "")
    document = run.end().exits(0).json()
    equal((document["version"], document["tasks"][0]["output"]), (old, "old"))
    case.m("store", "check").exits(0)


def test_a_bad_file_stores_nothing(case):
    case.file("deploy.yaml", ONE)
    case.m("push", "deploy.yaml").exits(0)
    before = dags(case)
    case.file("deploy.yaml", BAD)
    case.file("other.yaml", "tasks: [{id: a, run: echo other}]\n")
    result = case.m("push", "deploy.yaml", "other.yaml", "nowhere.yaml").exits(3)
    result.says("deploy.yaml:2:28: error[E102]", '^~~~~~~~ did you mean "dependOn"?', "nowhere.yaml: no such file")
    after = dags(case)
    equal(after["deploy"], before["deploy"])
    equal(sorted(after), ["deploy", "other"])
    equal(output(case, "other"), "other")
    document = case.m("push", "deploy.yaml", "other.yaml", "-o", "json").exits(3).json()
    equal([e["code"] for e in document["errors"]], ["E102"])
    equal([d["dag"] for d in document["dags"]], ["other"])
    case.m("push", "nowhere.yaml").exits(5)
    with open(os.path.join(case.work, "latin.yaml"), "wb") as file:
        file.write(b"tasks: [{id: a, run: echo \xe9}]\n")
    case.m("push", "latin.yaml").exits(3).says("latin.yaml:1:", "E003")


def test_names_that_are_nearly_right(case):
    case.m("run", "deploy").exits(5).says('no dag "deploy" in the store')
    case.file("deploy.yaml", ONE)
    case.m("run", "deploy").exits(5).says('did you mean "deploy.yaml"?')
    case.m("push", "deploy.yaml").exits(0)
    case.m("run", "deplyo").exits(5).says('did you mean "deploy"?')
    case.m("stop", "deplyo").exits(5).says('did you mean "deploy"?')
    error = case.m("run", "deplyo", "-o", "json").exits(5).json()["errors"][0]
    equal((error["code"], error["suggestion"]), ("not found", "deploy"))
    case.m("start", "something-else").exits(5)


def test_stop_and_start(case):
    case.file("deploy.yaml", ONE)
    case.m("push", "deploy.yaml").exits(0)
    case.m("stop", "deploy").exits(0)
    equal(case.m("stop", "deploy", "-o", "json").exits(0).json(), {"id": "deploy", "status": "stopped"})
    equal(dags(case)["deploy"]["status"], "stopped")
    case.m("run", "deploy").exits(6).says("stopped")
    case.m("run", "deploy.yaml").exits(6).says("stopped")  # a file of that dag, too
    # A new version is as stopped as the old one.
    case.file("deploy.yaml", TWO)
    case.m("push", "deploy.yaml").exits(0)
    case.m("run", "deploy").exits(6)
    equal(case.m("runs", "-o", "json").exits(0).json(), [])
    case.m("start", "deploy").exits(0)
    equal(output(case, "deploy"), "two")


def test_a_running_run_of_a_stopped_dag_goes_on(case):
    case.file("deploy.yaml", HOLD)
    case.m("push", "deploy.yaml").exits(0)
    run = case.start("run", "deploy")
    wait_until(lambda: case.read("trace"), "the run")
    case.m("stop", "deploy").exits(0)
    case.m("run", "deploy").exits(6)
    case.file("go", "")
    run.end().exits(0)


def test_a_text_that_says_stopped(case):
    case.file("deploy.yaml", "status: stopped\n" + ONE)
    case.m("push", "deploy.yaml").exits(0)
    equal(dags(case)["deploy"]["status"], "stopped")
    case.m("run", "deploy").exits(6)
    case.m("run", "deploy.yaml").exits(6)
    # What `start` says stands when the same text is pushed again,
    case.m("start", "deploy").exits(0)
    case.m("push", "deploy.yaml").exits(0)
    equal(output(case, "deploy"), "one")
    equal(output(case, "deploy.yaml"), "one")
    case.m("rerun").exits(0)
    # not over a new text that says it too; and one that no longer says it starts the dag.
    case.file("deploy.yaml", "status: stopped\n" + TWO)
    case.m("push", "deploy.yaml").exits(0)
    case.m("run", "deploy").exits(6)
    case.file("deploy.yaml", TWO)
    case.m("push", "deploy.yaml").exits(0)
    equal(output(case, "deploy"), "two")


def test_run_file_never_replaces_a_pushed_version(case):
    case.file("deploy.yaml", ONE)
    case.m("push", "deploy.yaml").exits(0)
    pushed = dags(case)
    case.file("deploy.yaml", TWO)
    equal(output(case, "deploy.yaml"), "two")
    equal(dags(case), pushed)
    equal(output(case, "deploy"), "one")


def test_a_pushed_dag_runs_in_its_files_folder(case):
    os.makedirs(case.path("work/flows"))
    case.file("flows/where.yaml", "tasks: [{id: a, run: pwd}]\n")
    case.m("push", "flows/where.yaml").exits(0)
    document = case.m("run", "where", "-o", "json", cwd=case.folder).exits(0).json()
    equal(document["tasks"][0]["output"], case.path("work/flows"))


def test_options_of_a_run(case):
    case.file("deploy.yaml", "vars: {stage: {defaultValue: dev}}\ntasks: [{id: a, run: 'echo $S', env: {S: '{{stage}}'}}]\n")
    case.m("push", "deploy.yaml").exits(0)
    document = case.m("run", "deploy", "-v", "stage=prod", "--tag", "team=web", "--key", "k", "-o", "json").exits(0).json()
    equal((document["tasks"][0]["output"], document["tags"]), ("prod", {"team": "web"}))
    case.m("run", "deploy", "--key", "k").exits(6).says(document["id"])
    case.m("run", "deploy", "-v", "stge=prod").exits(2)


def test_compat_is_of_the_version(case):
    """A dag that was pushed by fastflow's rules is run by them, and read back by them."""
    case.file("old.yaml", "id: old\ncron: '0 7 * * *'\nowner: somebody\nvars: {x: {defaultValue: one}}\n"
              "tasks: [{id: a, actionName: sh, params: {run: 'echo $A $B', env: {A: '{{x}}', B: '{{unknown}}'}}}]\n")
    case.m("push", "old.yaml").exits(3).says("owner")
    equal(dags(case), {})
    case.m("push", "old.yaml", "--compat", "fastflow").exits(0).says("owner")
    equal((dags(case)["old"]["cron"], dags(case)["old"]["timezone"]), ("0 7 * * *", None))
    equal(output(case, "old"), "one {{unknown}}")
    equal(case.m("push", "old.yaml", "--compat", "fastflow", "-o", "json").exits(0).json()["dags"][0]["new"], False)
    case.m("store", "check").exits(0)


def test_a_schedule_is_shown(case):
    case.file("morning.yaml", "schedule: {cron: '0 7 * * 1-5', timezone: Europe/Paris}\ntasks: [{id: a}]\n")
    case.m("push", "morning.yaml").exits(0)
    equal((dags(case)["morning"]["cron"], dags(case)["morning"]["timezone"]), ("0 7 * * 1-5", "Europe/Paris"))
    has(case.m("dags").exits(0).out, "0 7 * * 1-5 Europe/Paris")


def test_many_dags_survive(case):
    names = [f"dag-{i:03}" for i in range(60)]
    for name in names:
        case.file(f"{name}.yaml", f"tasks: [{{id: a, run: echo {name}}}]\n")
    result = case.m("push", *[f"{name}.yaml" for name in names], "-o", "json").exits(0).json()
    equal([d["dag"] for d in result["dags"]], names)
    equal([d["id"] for d in case.m("dags", "-o", "json").exits(0).json()], names)
    equal(output(case, names[33]), names[33])
    case.m("store", "check").exits(0)


if __name__ == "__main__":
    main()
