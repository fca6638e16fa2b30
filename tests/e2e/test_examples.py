#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Goal: each file in examples/ works as its comments say. Method: run it, then look at what it made."""
import json
import os
import re
import signal
import subprocess

from harness import BUILD, EXAMPLES, SOURCE, TIMEOUT, Skip, equal, has, main, statuses, task_of, wait_until
from http_servers import Hostile


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


def test_conditions(case):
    document = case.m("run", example("conditions.yaml"), "-o", "json").exits(0).json()
    equal(statuses(document), {"measure": "success", "test": "success", "thorough": "skipped", "approve": "success",
                               "release": "success", "announce": "skipped"})
    equal(task_of(document, "announce")["reason"], 'skipped by preCheck "quiet"')


def test_conditions_block_until_continued(case):
    case.m("run", example("conditions.yaml"), "-v", "stage=prod").exits(8)
    has(case.m("why", "approve").exits(0).out, "blocked by blockIf", "continue")
    case.m("continue").exits(0)
    equal(set(statuses(case.show()).values()), {"success"})


def test_glue(case):
    document = case.m("run", example("glue.yaml"), "-o", "json").exits(0).json()
    equal(task_of(document, "judge")["output"]["worst"], 91)
    equal(task_of(document, "report")["output"], "2 disks are full (sda, sdc), the worst to 91 %")
    equal(document["share"], {"names": ["sda", "sdc"]})


def test_fan_out(case):
    document = case.m("run", example("fan-out.yaml"), "-v", "count=5", "-o", "json").exits(0).json()
    equal([t["id"] for t in document["tasks"]],
          ["numbers", "square"] + [f"square[{n}]" for n in range(1, 6)] + ["sum"], "children follow their parent")
    equal(task_of(document, "square")["output"], [1, 4, 9, 16, 25])
    equal(task_of(document, "sum")["output"], 55)
    equal(case.m("logs", "square[3]").exits(0).out, "9\n")


def test_retry(case):
    document = case.m("run", example("retry.yaml"), "-v", "work=out", "-o", "json").exits(0).json()
    equal(task_of(document, "flaky")["attempts"], 3)
    equal(task_of(document, "count")["output"], 3)


def test_retry_gives_up(case):
    result = case.m("run", example("retry.yaml"), "-v", "work=out", "-v", "good=9", "-o", "json").exits(1)
    equal(task_of(result.json(), "flaky")["attempts"], 5, "the first and four further ones")


def test_hooks(case):
    case.m("run", example("hooks.yaml")).exits(0)
    has(case.m("logs").exits(0).out, "begins at ", "all is well", 'ends as success {"success":2}')
    case.m("run", example("hooks.yaml"), "-v", "fail=true").exits(1)
    logs = case.m("logs").exits(0).out
    has(logs, "failed: work: exit 1", 'ends as failed {"failed":1,"init":1}')
    assert "all is well" not in logs, logs


def test_cleanup(case):
    document = case.m("run", example("cleanup.yaml"), "-v", "work=out", "-o", "json").exits(0).json()
    equal(task_of(document, "alarm")["status"], "skipped")
    assert not os.path.exists(case.path("work/out")), "it was removed"
    document = case.m("run", example("cleanup.yaml"), "-v", "work=out", "-v", "fail=true", "-o", "json").exits(1).json()
    equal(statuses(document), {"prepare": "success", "build": "failed", "publish": "init", "alarm": "success",
                               "clean": "success"})
    assert not os.path.exists(case.path("work/out")), "it was removed after the failure"


def test_share(case):
    document = case.m("run", example("share.yaml"), "-o", "json").exits(0).json()
    equal(document["share"], {"order": {"number": 4711, "items": ["tea", "cups"]}, "paid": True})
    equal(task_of(document, "pack")["output"], "order 4711 has tea and cups")
    equal(task_of(document, "send")["output"], "paid true")


def test_scheduled(case):
    document = case.m("run", example("scheduled.yaml"), "-o", "json").exits(0).json()
    equal(task_of(document, "day")["output"], {"trigger": "manually", "day": document["createdAt"][:10]})


def test_files(case):
    document = case.m("run", example("files.yaml"), "-v", "stage=prod", "-o", "json").exits(0).json()
    equal(task_of(document, "same")["output"], True)
    equal(json.loads(case.read("release/settings.backup.json")), {"stage": "prod", "run": document["id"]})
    equal(sorted(os.listdir(case.path("work/release"))), ["settings.backup.json", "settings.json"])


def test_notify(case):
    server = Hostile()
    run = case.m("run", example("notify.yaml"), "-v", f"url={server.url}/echo", "-o", "json", env={"SECRET": "whsec_c2VjcmV0"}).exits(0).json()
    equal(statuses(run), {"work": "success", "good": "success", "bad": "skipped"})
    run = case.m("run", example("notify.yaml"), "-v", f"url={server.url}/echo", "-v", "fail=true", "-o", "json",
                 env={"SECRET": "whsec_c2VjcmV0"}).exits(1).json()
    equal(statuses(run), {"work": "failed", "good": "init", "bad": "success"})
    bodies = [json.loads(request.body) for request in server.requests]
    equal((bodies[0]["type"], bodies[1]["text"]), ("work.done", "work: exit 1"))
    equal([request.headers["webhook-signature"][:3] for request in server.requests], ["v1,", "v1,"])


def test_sqlite(case):
    if not os.path.exists(os.path.join(BUILD, "plugins/sqlite/sqlite.so")):
        raise Skip("built without SQLite")
    for times in (1, 2):
        document = case.m("run", example("sqlite.yaml"), "-o", "json").exits(0).json()
        equal(task_of(document, "sum")["output"]["rows"], [{"city": "Oslo", "n": times, "total": 7.5 * times},
                                                           {"city": "Rome", "n": 2 * times, "total": 30.0 * times}])
    equal(task_of(document, "report")["output"], "Oslo 15.0, Rome 60.0")


def test_lua_action(case):
    folder = example("actions")
    document = case.m("run", "--plugins", folder, os.path.join(folder, "greet.yaml"), "-o", "json").exits(0).json()
    equal(task_of(document, "first")["output"], {"lines": ["hello Ada", "hello Grace"]})
    equal(task_of(document, "second")["output"], {"lines": ["good evening everybody"]})
    equal(document["share"], {"greeted": 3})
    equal([t["message"].split(" took ")[0] for t in task_of(document, "second")["traces"]], ["second"])
    has(case.m("actions", "greet", "--plugins", folder).exits(0).out, "who", "whom to greet", '"hello"')


def test_dags_of_the_documents(case):
    """Every yaml block of these documents is a whole dag file that ends well."""
    count = 0
    for name in ("dag-file.md", "lua.md"):
        with open(os.path.join(SOURCE, "docs", name), encoding="utf-8") as file:
            blocks = re.findall(r"^```yaml\n(.*?)^```", file.read(), re.S | re.M)
        for block in blocks:
            case.m("run", "-", stdin=block).exits(0)
        count += len(blocks)
    assert count > 5, f"only {count} blocks"


def test_every_example_is_tried(case):
    """A file in examples/ that no test names would rot unseen."""
    with open(os.path.abspath(__file__), encoding="utf-8") as file:
        tests = file.read()
    found = 0
    for where, _, names in os.walk(EXAMPLES):
        for name in names:
            word = name if "fastflow" not in where else name.removesuffix(".yaml")
            if name.endswith((".yaml", ".sh")):
                found += 1
                assert f'{word}"' in tests, os.path.join(where, name)
    assert found > 10, f"only {found} files in {EXAMPLES}; {case.work}"


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


def plugin_example(case, name, dag, *more, code=0):
    """The run of a plugin's own dag, with the plugin that the build made of its source."""
    plugins = os.path.join(BUILD, f"examples/plugin-{name}")
    if not any(file.endswith(".so") for file in os.listdir(plugins)):
        raise Skip(f"plugin-{name} was not built: its compiler is missing")
    path = example(f"plugin-{name}/{dag}")
    return case.m("--plugins", plugins, "run", path, "-o", "json", *more).exits(code).json()


def test_plugin_async(case):
    run = plugin_example(case, "async", "async.yaml", "-v", "numbers=100")
    equal([task["output"] for task in run["tasks"]], [{"sum": 5050}, {"sum": 55}, 5105])
    equal([t["message"] for t in task_of(run, "one")["traces"]], ["summed up 100 numbers"])


def test_plugin_async_is_canceled(case):
    """By a timeout, in its thread and in its queue; by a user; and at the end of the engine."""
    plugins = os.path.join(BUILD, "examples/plugin-async")
    case.file("slow.yaml", """
tasks:
  - {id: works, action: slow-sum, params: {numbers: 1000000}, timeout: 200ms}
  - {id: waits, action: slow-sum, params: {numbers: 1000000}, timeout: 200ms}
""")
    run = case.m("run", "slow.yaml", "--plugins", plugins, "-o", "json").exits(1).json()
    equal({task["reason"] for task in run["tasks"]}, {"timed out after 200ms"})
    case.file("slow.yaml", "tasks: [{id: works, action: slow-sum, params: {numbers: 1000000}}]\n")
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        owner = case.start("run", "slow.yaml", "--plugins", plugins)
        run_id = owner.run_id()
        wait_until(lambda: statuses(case.show(run_id))["works"] == "running", "its begin")
        result = owner.kill(number).end()
        equal(result.code, code)
        assert result.seconds < 8, f"it took {result.seconds:.0f} s to end"


def test_plugin_async_holds_no_worker(case):
    """Two hundred wait while one worker at a time may run."""
    plugins = os.path.join(BUILD, "examples/plugin-async")
    tasks = ", ".join(f"{{id: t{i}, action: slow-sum, params: {{numbers: 1}}}}" for i in range(200))
    case.file("many.yaml", f"tasks: [{tasks}]\n")
    run = case.m("run", "many.yaml", "-j", "1", "--plugins", plugins, "-o", "json").exits(0).json()
    equal({task["output"]["sum"] for task in run["tasks"]}, {1})


def test_plugin_cpp(case):
    run = plugin_example(case, "cpp", "words.yaml")
    equal(task_of(run, "count")["output"], {"counts": {"be": 2, "not": 1, "or": 1, "to": 2}})
    equal(task_of(plugin_example(case, "cpp", "words.yaml", "-v", "text= ", code=1), "count")["reason"],
          "a text without words")
    file = os.path.join(BUILD, "examples/plugin-cpp/words.so")
    has(case.m("plugin", "check", file).exits(0).out, "words.so: ok, self-test passed")


def test_plugin_rust(case):
    run = plugin_example(case, "rust", "backwards.yaml", "-v", "text=Gr\u00fc\u00dfe")
    equal([task["output"] for task in run["tasks"]], [{"text": "e\u00df\u00fcrG"}, {"text": "Gr\u00fc\u00dfe"}])
    case.file("empty.yaml", """
tasks:
  - {id: turn, action: backwards, params: {text: ""}, retry: {max: 1, if: "error.why == 'an empty text has no other end'"}}
""")
    plugins = os.path.join(BUILD, "examples/plugin-rust")
    run = case.m("--plugins", plugins, "run", "empty.yaml", "-o", "json").exits(1).json()
    equal((task_of(run, "turn")["reason"], task_of(run, "turn")["attempts"]), ("failed", 2), "its detail was seen")
    has(case.m("logs", "-", "turn").exits(0).out, "an empty text has no other end")


def test_plugin_counter(case):
    """Two runs at once count in one file: nothing is lost, and the last writer's number is the greatest."""
    arguments = ["run", example("plugin-counter/counter.yaml"), "--plugins", os.path.join(BUILD, "examples/plugin-counter")]
    runs = [case.start(*arguments) for _ in range(2)]
    for run in runs:
        run.end().exits(0)
        document = case.show(run.run_id())
        equal(document["share"], {"counted": 40})
    count, fence = re.fullmatch(r"(\d+) written by (\d+)\n", case.read("counter.txt")).groups()
    equal(count, "80")
    assert int(fence) % 2 ** 40 >= 40, fence
    has(case.m("logs", "count[0]").exits(0).out, "/counter.txt: ok\n")
    case.file("counter.txt", f"{count} written by {int(fence) + 2 ** 50}\n")
    document = case.m(*arguments, "-o", "json").exits(1).json()
    has(task_of(document, "count[0]")["reason"], "was written by a later holder")
    has(case.m("logs", "count[0]").exits(0).out, "error: ")


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


def test_embed_uv(case):
    program = os.path.join(BUILD, "examples/embed-uv/embed_uv")
    done = subprocess.run([program, case.store], cwd=case.work, env=case.env, check=False, capture_output=True,
                          encoding="utf-8", timeout=TIMEOUT)
    equal((done.returncode, done.stderr), (0, ""))
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    equal(lines[-1]["run"]["status"], "success")
    equal(task_of(lines[-1]["run"], "thank")["output"], {"text": "hello hello loop"})
    equal(os.listdir(case.work), [], "nothing is left beside the store")
    # Without the program nobody has its action; the run is in its store all the same.
    equal(statuses(case.show()), {"greet": "success", "thank": "success"})


def test_embed_cpp(case):
    program = os.path.join(BUILD, "examples/embed-cpp/embed_cpp")
    if not os.path.exists(program):
        raise Skip("no C++ compiler")
    done = subprocess.run([program, case.store], cwd=case.work, env=case.env, check=False, capture_output=True,
                          encoding="utf-8", timeout=TIMEOUT)
    equal((done.returncode, done.stdout, done.stderr), (0, "success\n", ""))
    equal(task_of(case.show(), "seven")["output"], {"squared": "49"})


if __name__ == "__main__":
    main()
