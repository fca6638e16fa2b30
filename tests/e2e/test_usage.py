#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Goal: wrong command lines and wrong variables end with the right code and a clear word; right ones
are understood in any order. Method: a table, then single cases."""
import json
import os

from harness import equal, has, main, task_of

DAG = """
vars:
  name: {defaultValue: world}
  stage: {enum: [dev, prod], defaultValue: dev}
  n: {type: int, defaultValue: 3}
  x: {type: number}
  on: {type: bool, defaultValue: false}
  list: {type: list}
  map: {type: map}
tasks:
  - id: show
    env: {NAME: "{{name}}", N: "{{n}}", X: "{{x}}", B: "{{on}}", LIST: "{{list}}", MAP: "{{map}}", MIX: "<{{name}} {{n}}>"}
    run: printf '%s|' "$NAME" "$N" "$X" "$B" "$LIST" "$MAP" "$MIX"
"""
NEEDS = "vars: {who: {required: true}}\ntasks: [{id: a, run: 'true'}]\n"

# arguments, exit code, words on stderr
WRONG = [
    (["frobnicate"], 2, ["frobnicate"]),
    (["rnu", "dag.yaml"], 2, ["run"]),
    (["run"], 2, []),
    (["run", "dag.yaml", "--frob"], 2, ["--frob"]),
    (["run", "dag.yaml", "-Z"], 2, ["-Z"]),
    (["--frob", "ps"], 2, ["--frob"]),
    (["ps", "-o", "xml"], 2, ["xml"]),
    (["ps", "-o"], 2, ["-o"]),
    (["ps", "--color", "maybe"], 2, ["maybe"]),
    (["ps", "--progress", "maybe"], 2, ["maybe"]),
    (["run", "dag.yaml", "-j", "many"], 2, ["many"]),
    (["run", "dag.yaml", "-j", "0"], 2, []),
    (["run", "dag.yaml", "--timeout", "soon"], 2, ["soon"]),
    (["runs", "--limit", "-3"], 2, []),
    (["runs", "--status", "sucess"], 2, ["sucess"]),
    (["run", "dag.yaml", "-v", "nmae=Ada"], 2, ["nmae", "name"]),
    (["run", "dag.yaml", "-v", "name"], 2, ["name"]),
    (["run", "dag.yaml", "-v", "stage=test"], 2, ["stage", "dev", "prod"]),
    (["run", "dag.yaml", "-v", "n=abc"], 2, ["n", "int"]),
    (["run", "dag.yaml", "-v", "n=1.5"], 2, ["n", "int"]),
    (["run", "dag.yaml", "-v", "n=9223372036854775808"], 2, ["n"]),
    (["run", "dag.yaml", "-v", "on=perhaps"], 2, ["on", "bool"]),
    (["run", "dag.yaml", "-v", "list={}"], 2, ["list"]),
    (["run", "dag.yaml", "-v", "map=[1]"], 2, ["map"]),
    (["run", "dag.yaml", "--vars", "vars.json"], 2, ["nobody"]),
    (["run", "dag.yaml", "--vars", "missing.json"], 5, ["missing.json"]),
    (["run", "needs.yaml"], 2, ["who"]),
    (["run", "missing.yaml"], 5, ["missing.yaml"]),
    (["run", "./missing"], 5, ["missing"]),
    (["run", "nobody"], 5, ["nobody"]),
    (["validate", "missing.yaml"], 5, ["missing.yaml"]),
    (["run", "dag.yaml", "--detach"], 7, []),
    (["show"], 5, []),
    (["show", "0123abcd"], 5, ["0123abcd"]),
    (["logs", "nothing"], 5, []),
    (["cancel"], 5, []),
    (["retry"], 5, []),
    (["continue"], 5, []),
    (["wait"], 5, []),
    (["actions", "nobody"], 5, ["nobody"]),
]


def files(case):
    case.file("dag.yaml", DAG)
    case.file("needs.yaml", NEEDS)
    case.file("vars.json", '{"nobody": 1}')


def test_wrong_lines(case):
    files(case)
    faults = []
    for args, code, words in WRONG:
        result = case.m(*args)
        if result.code != code or result.out != "" or not all(w in result.err for w in words) or not result.err:
            faults.append(f"wanted exit {code} and {words}:\n{result}")
    assert not faults, f"{len(faults)} of {len(WRONG)}:\n" + "\n".join(faults)


def test_wrong_lines_as_json(case):
    """Every error that leaves no run document is one object, null where there is no place."""
    files(case)
    faults = []
    for args, code, _ in WRONG:
        if "-o" in args:
            continue
        result = case.m("-o", "json", *args)
        try:
            equal(result.code, code)
            for error in result.json()["errors"]:
                equal(list(error)[:6], ["file", "line", "column", "code", "message", "suggestion"])
                equal((error["line"], error["column"]), (None, None))
                assert error["message"], error
        except (AssertionError, KeyError, TypeError) as error:
            faults.append(f"{error}\n{result}")
    assert not faults, f"{len(faults)}:\n" + "\n".join(faults)


def show(case, *args, **more):
    return task_of(case.m("run", "dag.yaml", "-o", "json", *args, **more).exits(0).json(), "show")["output"]


def test_values(case):
    """Defaults, every type, `-v x=`, text inside longer text, and no value is ever expanded or run."""
    files(case)
    equal(show(case), "world|3||false|||<world 3>|")
    equal(show(case, "-v", "name=Ada", "-v", "n=-7", "-v", "x=1.5", "-v", "on=true", "-v", "list=[1,2]",
               "-v", 'map={"a": 1}'), 'Ada|-7|1.5|true|[1,2]|{"a":1}|<Ada -7>|')
    equal(show(case, "-v", "name=", "-v", "n="), "world|3||false|||<world 3>|")
    equal(show(case, "-v", "n=9223372036854775807"), "world|9223372036854775807||false|||<world 9223372036854775807>|")
    equal(show(case, "-v", "name={{n}} $(touch oops) `touch oops`; touch oops"),
          "{{n}} $(touch oops) `touch oops`; touch oops|3||false|||<{{n}} $(touch oops) `touch oops`; touch oops 3>|")
    equal(case.read("oops"), "")
    equal(show(case, "-v", "name=a=b"), "a=b|3||false|||<a=b 3>|")


def test_vars_file(case):
    """YAML or JSON; -v wins."""
    files(case)
    case.file("good.json", '{"name": "Ada", "n": 5, "list": [1]}')
    case.file("good.yaml", "name: Bob\nstage: prod\n")
    equal(show(case, "--vars", "good.json"), "Ada|5||false|[1]||<Ada 5>|")
    equal(show(case, "--vars", "good.yaml", "-v", "name=Cy"), "Cy|3||false|||<Cy 3>|")


def test_options_stand_anywhere(case):
    files(case)
    for args in (["-o", "json", "run", "dag.yaml"], ["run", "-o", "json", "dag.yaml"], ["run", "dag.yaml", "-ojson"],
                 ["run", "-v", "n=4", "dag.yaml", "-o", "json"], ["-q", "run", "-o", "json", "--", "dag.yaml"]):
        equal(case.m(*args).exits(0).json()["status"], "success")


def test_environment_twins(case):
    files(case)
    case.file("slow.yaml", "tasks: [{id: a, run: sleep 30}]\n")
    other = case.path("other")
    case.stores.append(other)
    case.m("run", "dag.yaml", env={"MILLRACE_STORE": other}).exits(0)
    case.m("show").exits(5)
    case.m("show", "--store", other).exits(0)
    case.m("run", "slow.yaml", env={"MILLRACE_TIMEOUT": "300ms"}).exits(124)


def test_default_store(case):
    files(case)
    for env, folder in (({"XDG_STATE_HOME": case.path("state")}, case.path("state/millrace")),
                        ({}, case.path(".local/state/millrace"))):
        case.env.pop("MILLRACE_STORE", None)
        case.stores.append(folder)
        run = case.m("run", "dag.yaml", env=env).exits(0).run_id()
        equal(case.m("show", "--store", folder, "-o", "json").exits(0).json()["id"], run)


def test_names_of_runs(case):
    files(case)
    first = case.m("run", "dag.yaml").exits(0).run_id()
    second = case.m("run", "dag.yaml").exits(0).run_id()
    for name, wanted in ((first, first), (first[-8:], first), (first[-4:], first), (second[-8:], second), ("-", second)):
        if name == first[-4:] and first[-4:] == second[-4:]:
            continue
        equal(case.show(name)["id"], wanted, f"the run named {name}")
    equal(case.m("show", "-o", "json").exits(0).json()["id"], second)
    # Both begin alike: the clock's upper bits.
    case.m("show", first[:4]).exits(2).says(first, second)
    case.m("show", first[-3:]).exits(5)
    # A first word that names no run is a task of the latest one.
    has(case.m("logs", "show").exits(0).out, "world|")


def test_quiet_and_plain(case):
    """Off a terminal there is no escape code and no animation; -q says nothing at all."""
    files(case)
    for args in ([], ["--progress", "plain"], ["--progress", "tree"], ["--progress", "none"]):
        result = case.m("run", "dag.yaml", *args).exits(0)
        result.run_id()
        assert "\x1b" not in result.err, f"{result}"
    quiet = case.m("run", "dag.yaml", "-q").exits(0)
    equal(quiet.err, "")
    quiet.run_id()
    colored = case.m("runs", "--color", "always").exits(0)
    has(colored.out, "\x1b[")
    plain = case.m("runs", "--color", "auto", env={"NO_COLOR": "1"}).exits(0)
    assert "\x1b" not in plain.out, f"{plain}"


def test_help_and_version(case):
    for verb in ("run", "validate", "ps", "runs", "show", "watch", "wait", "logs", "events", "retry", "cancel",
                 "continue", "actions", "bench", "store", "version"):
        result = case.m(verb, "--help").exits(0)
        has(result.out, verb)
    has(case.m("--help").exits(0).out, "run", "ps", "logs")
    # The first word of two has the help of its verbs; it was an unknown verb, or all of the help.
    for args in (("help", "plugin"), ("plugin", "--help")):
        out = case.m(*args).exits(0).out
        has(out, "millrace plugin new NAME", "millrace plugin check FILE")
        assert "millrace store" not in out and "exit codes" not in out, out
    case.m("help", "plugins").exits(2).says('unknown verb "plugins"')
    case.m("plugin").exits(2).says("see millrace help plugin")


def test_a_folder_is_no_dag_file(case):
    """It was said twice, the second time that it is not there."""
    os.mkdir(case.path("folder"))
    for verb in ("validate", "push"):
        result = case.m(verb, case.path("folder")).exits(5).says("folder: Is a directory")
        assert "no such file" not in result.err, result.err
        case.m(verb, case.path("none.yaml")).exits(5).says("none.yaml: no such file")
    has(case.m("version").exits(0).out, "0.1.0")


def test_actions(case):
    listed = case.m("actions", "-o", "json").exits(0).json()
    names = [a["name"] for a in (listed["actions"] if isinstance(listed, dict) else listed)]
    for name in ("sh", "wait", "ff-waiting"):
        assert name in names, f"{name} not in {names}"
    has(case.m("actions", "wait").exits(0).out, "for")


def test_bench(case):
    """Its document, on a small load; the folder it works in is gone afterwards."""
    document = case.m("bench", "--runs", "2000", "-o", "json", timeout=240).exits(0).json()
    missing = {"shape", "runs", "in_flight", "tasks", "seconds", "tasks_per_second", "commits",
                          "bytes_per_task", "fsync", "limit_tasks_per_second", "ratio"} - set(document)
    equal((missing, "end" in document), (set(), False), "missing keys, and one of the protocol's")
    equal(document["runs"], 2000)
    equal(document["fsync"], True)
    equal(document["tasks"], document["runs"] * 10)
    assert json.dumps(document["ratio"]) and document["ratio"] > 0, document
    left = os.listdir(case.store) if os.path.isdir(case.store) else []
    assert not any("bench" in n for n in left), f"left behind: {left}"


if __name__ == "__main__":
    main()
