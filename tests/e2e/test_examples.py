#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Goal: each file in examples/ works as its comments say. Method: run it, then look at what it made."""
import os
import subprocess

from harness import BUILD, EXAMPLES, TIMEOUT, equal, has, main, statuses, task_of


def example(name):
    return os.path.join(EXAMPLES, name)


def test_hello(case):
    result = case.m("run", example("hello.yaml")).exits(0)
    run = result.run_id()
    assert result.seconds < 5, f"hello took {result.seconds:.1f} s"
    document = case.show(run)
    equal(statuses(document), dict.fromkeys(["greet", "machine", "breathe", "goodbye"], "success"))
    equal(task_of(document, "greet")["output"], "hello, world\nhello, world")
    equal(task_of(document, "machine")["output"]["system"], os.uname().sysname)
    has(task_of(document, "goodbye")["output"], "task goodbye of run " + run)


def test_hello_takes_variables(case):
    case.m("run", example("hello.yaml"), "-v", "name=Ada", "-v", "times=3").exits(0)
    has(case.m("logs", "-", "greet").exits(0).out, "hello, Ada\n" * 3)


def test_build_c(case):
    case.m("run", example("build-c.yaml"), "-v", "work=out", timeout=300).exits(0).run_id()
    objects = [n for n in os.listdir(case.path("work/out")) if n.endswith(".o")]
    equal(len(objects), 201 - 1, "objects of parts")
    equal(subprocess.check_output([case.path("work/out/program"), "1"]), b"20100\n")
    # It may be run again, over what the first run left.
    case.m("run", example("build-c.yaml"), "-v", "work=out", timeout=300).exits(0)


def test_build_c_reports_a_failing_compile(case):
    result = case.m("run", example("build-c.yaml"), "-v", "work=out", "-v", "cflags=-no-such-flag", "-o", "json",
                    timeout=300).exits(1)
    run = result.json()
    equal(run["status"], "failed")
    equal(task_of(run, "compile-3")["status"], "failed")
    has(task_of(run, "compile-3")["reason"], "exit ")
    equal(task_of(run, "link")["status"], "init")
    has(case.m("logs", "-", "compile-3").exits(0).out, "no-such-flag")


def test_etl(case):
    result = case.m("run", example("etl.yaml"), "-v", "work=out", "-v", "trace_file=trace", "-o", "json",
                    timeout=300).exits(0)
    run = result.json()
    equal(run["vars"]["lines"], 1000000)
    report = task_of(run, "merge")["output"]
    equal(sum(region["count"] for region in report.values()), 1000000)
    equal(sum(region["sum"] for region in report.values()), 499500000)
    equal(case.read("out/report.csv").count("\n"), 4)
    equal(sorted(case.read("trace").split("\n")), sorted([""] + [t["id"] + " 1" for t in run["tasks"]]))


def test_fanout_1000(case):
    run = case.m("run", example("fanout-1000.yaml"), "-v", "work=out", "-o", "json", timeout=300).exits(0).json()
    equal(len(run["tasks"]), 1002)
    equal({t["status"] for t in run["tasks"]}, {"success"})
    equal(len(os.listdir(case.path("work/out"))), 1000)
    equal([t["id"] for t in run["tasks"]][:3], ["begin", "leaf-1", "leaf-2"], "file order")


def test_fanout_generator(case):
    """The committed file is what its generator writes, and a dag may come from a pipe."""
    script = example("fanout-1000.sh")
    with open(example("fanout-1000.yaml"), encoding="utf-8") as file:
        equal(subprocess.check_output(["sh", script], encoding="utf-8"), file.read(), "fanout-1000.yaml")
    small = subprocess.check_output(["sh", script, "7"], encoding="utf-8")
    case.m("run", "-", "-v", "work=out", stdin=small).exits(0)
    equal(len(os.listdir(case.path("work/out"))), 7)


def test_plugin(case):
    plugins = os.path.join(BUILD, "examples/plugin-greet")
    arguments = ["run", example("plugin-greet/greet.yaml"), "-v", "who=Ada", "-o", "json"]
    run = case.m("--plugins", plugins, *arguments).exits(0).json()
    equal(task_of(run, "default")["output"], {"text": "hello world"})
    equal(task_of(run, "named")["output"], {"text": "hello Ada and its plugins"})
    equal([t["message"] for t in task_of(run, "named")["traces"]], ["greeting Ada and its plugins"])
    has(case.m("actions", "greet", "--plugins", plugins).exits(0).out, "who", "whom to greet")
    # Its environment twin; and without it the action is unknown.
    case.m(*arguments, env={"MILLRACE_PLUGINS": plugins}).exits(0)
    has(case.m(*arguments).exits(3).out, "greet")


def fastflow(case, name, *more, code=0):
    """The run of one of the files that are written as fastflow has them, with the actions beside it."""
    actions = os.path.join(EXAMPLES, "fastflow/actions")
    return case.m("--plugins", actions, "run", example(f"fastflow/{name}.yaml"), "-o", "json", *more).exits(code).json()


def traces(run, task):
    return [t["message"] for t in task_of(run, task)["traces"]]


def test_fastflow_chain(case):
    run = fastflow(case, "chain")
    equal(statuses(run), dict.fromkeys(["first", "second", "third"], "success"))
    ends = [task_of(run, task) for task in ("first", "second", "third")]
    assert all(a["endedAt"] <= b["startedAt"] for a, b in zip(ends, ends[1:])), "one after the other"
    equal(case.m("logs", "-", "second").exits(0).out.count("second: is called\n"), 1)


def test_fastflow_variables(case):
    run = fastflow(case, "variables", "-v", "fileName=report.txt", "-v", "folder=")
    equal(task_of(run, "by-name")["output"], {"names": ["fileName", "folder"], "value": "report.txt"})
    has(case.m("logs", "-", "by-params").exits(0).out, "writes /var/tmp/report.txt\n")


def test_fastflow_skip(case):
    equal(statuses(fastflow(case, "skip", "-v", "level=quiet")), {"report": "skipped", "after": "success"})
    equal(statuses(fastflow(case, "skip")), {"report": "success", "after": "success"})


def test_fastflow_share(case):
    run = fastflow(case, "share")
    equal(run["share"], {"key": "value"})
    equal(task_of(run, "down")["output"], "value")
    equal(traces(run, "down"), ["the key is value"])
    has(case.m("logs", "-", "template").exits(0).out, "template: value from above\n")


def test_fastflow_diamond(case):
    run = fastflow(case, "diamond", "-v", "broken=left", code=1)
    equal(statuses(run), {"top": "success", "left": "failed", "right": "success", "bottom": "init"})
    equal(traces(run, "left"), ["prepares"])
    actions = os.path.join(EXAMPLES, "fastflow/actions")
    run = case.m("--plugins", actions, "retry", "-", "-o", "json").exits(0).json()
    equal(traces(run, "left"), ["prepares", "cleans up after attempt 1", "prepares", "runs", "is up"])
    equal(task_of(run, "left")["output"], {"prepared": 2})
    equal(traces(run, "bottom"), ["prepares", "runs", "is up"])


def test_fastflow_waiting(case):
    equal(statuses(fastflow(case, "waiting")), {"a-moment": "success", "then": "success"})


def test_fastflow_files_are_good_in_compatibility_too(case):
    folder = os.path.join(EXAMPLES, "fastflow")
    files = [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if name.endswith(".yaml")]
    equal(len(files), 6)
    case.m("--plugins", os.path.join(folder, "actions"), "validate", "--compat", "fastflow", *files).exits(0)


def test_embed(case):
    program = os.path.join(BUILD, "examples/embed/embed")
    plugins = ":".join(os.path.join(BUILD, "plugins", name) for name in ("noop", "sh", "wait"))
    done = subprocess.run([program, example("hello.yaml"), case.store, plugins], cwd=case.work, env=case.env, check=False,
                          capture_output=True, encoding="utf-8", timeout=TIMEOUT)
    equal((done.returncode, done.stdout, done.stderr), (0, "success\n", ""))
    # The program sees the run that the library made.
    equal(case.show()["status"], "success")
    bad = subprocess.run([program, "missing.yaml", case.store], cwd=case.work, env=case.env, check=False,
                         capture_output=True, encoding="utf-8", timeout=TIMEOUT)
    equal((bad.returncode, bad.stdout), (1, "not started\n"))
    has(bad.stderr, "missing.yaml")


if __name__ == "__main__":
    main()
