#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Goal: what the verbs that make something promise, holds for what they made. Method: make it, then
use it as a user would: build, validate, run, ask again."""
import json
import os
import re
import shutil
import subprocess
import time

from harness import BUILD, SOURCE, TIMEOUT, Skip, equal, has, main, statuses, wait_until

INCLUDE = os.path.join(SOURCE, "sdk/include")


def sh(case, args, cwd, **env):
    """Another program than millrace, which must succeed."""
    done = subprocess.run(args, cwd=cwd, env=dict(case.env, **env), timeout=TIMEOUT, encoding="utf-8",
                          errors="replace", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert done.returncode == 0, f"{args}: exit {done.returncode}\n{done.stdout[-4000:]}"
    return done.stdout


def listed(folder):
    return sorted(os.listdir(folder))


# ---- plugin new ------------------------------------------------------------------------------------


def test_plugin_new(case):
    """The folder's own README tells how to build it."""
    made = case.m("plugin", "new", "greet-them").exits(0)
    folder = os.path.join(case.work, "greet-them")
    equal(sorted(made.out.split()), ["greet-them/" + name for name in
                                     ("README.md", "greet-them.c", "meson.build", "test.yaml")])
    with open(os.path.join(folder, "README.md"), encoding="utf-8") as file:
        line = re.search(r"^ {4}(cc .*)$", file.read(), re.M)[1]
    # The tree's headers in the place of installed ones.
    sh(case, ["sh", "-c", line + " -Wall -Wextra -Werror"], folder, CPATH=INCLUDE)
    has(case.m("plugin", "check", "greet-them.so", cwd=folder).exits(0).out, "greet-them.so: ok", "greet-them")
    run = case.m("run", "--plugins", ".", "test.yaml", "-o", "json", cwd=folder).exits(0).json()
    equal([task["output"] for task in run["tasks"]], [{"text": "hello world"}, {"text": "hello Ada"}])
    has(case.m("actions", "greet-them", "--plugins", folder).exits(0).out, "who", "whom to greet")


def test_plugin_new_in_cpp(case):
    case.m("plugin", "new", "--lang", "c++", "mine").exits(0).says("c++ -std=c++17 -shared -fPIC -o mine.so mine.cc")
    folder = os.path.join(case.work, "mine")
    equal(listed(folder), ["README.md", "meson.build", "mine.cc", "test.yaml"])
    with open(os.path.join(folder, "README.md"), encoding="utf-8") as file:
        line = re.search(r"^ {4}(c\+\+ .*)$", file.read(), re.M)[1]
    sh(case, ["sh", "-c", line + " -Wall -Wextra -Werror"], folder, CPATH=INCLUDE)
    has(case.m("plugin", "check", "mine.so", cwd=folder).exits(0).out, "mine.so: ok, self-test passed", "says hello")
    run = case.m("run", "--plugins", ".", "test.yaml", "-o", "json", cwd=folder).exits(0).json()
    equal([task["output"] for task in run["tasks"]], [{"text": "hello world"}, {"text": "hello Ada"}])


def test_plugin_new_in_lua(case):
    made = case.m("plugin", "new", "--lang", "lua", "mine").exits(0).says("cd mine\n", "plugin check mine.lua")
    equal(sorted(made.out.split()), ["mine/README.md", "mine/mine.lua", "mine/test.yaml"])
    folder = os.path.join(case.work, "mine")
    has(case.m("plugin", "check", "mine.lua", cwd=folder).exits(0).out, "mine.lua: ok")
    run = case.m("run", "--plugins", ".", "test.yaml", "-o", "json", cwd=folder).exits(0).json()
    equal([task["output"] for task in run["tasks"]], [{"text": "hello world"}, {"text": "hello Ada"}])
    case.m("plugin", "new", "--lang", "cobol", "other").exits(2)


def test_plugin_new_with_meson(case):
    if shutil.which("meson") is None or shutil.which("pkg-config") is None:
        raise Skip("no meson or no pkg-config")
    case.m("plugin", "new", "mine").exits(0)
    folder = os.path.join(case.work, "mine")
    sh(case, ["meson", "setup", "build", "--fatal-meson-warnings"], folder,
       PKG_CONFIG_PATH=os.path.join(BUILD, "meson-uninstalled"))
    sh(case, ["meson", "compile", "-C", "build"], folder)
    case.m("plugin", "check", "build/mine.so", cwd=folder).exits(0)
    case.m("run", "test.yaml", "--plugins", "build", cwd=folder).exits(0)


def test_plugin_new_is_usable_under_any_umask(case):
    """A plugin that others may write is refused, its folder too."""
    sh(case, ["sh", "-c", f"umask 000; {os.path.join(BUILD, 'sdk/cli/millrace')} plugin new open"], case.work)
    folder = os.path.join(case.work, "open")
    sh(case, ["sh", "-c", "umask 022; cc -shared -fPIC -o open.so open.c"], folder, CPATH=INCLUDE)
    case.m("run", "--plugins", ".", "test.yaml", cwd=folder).exits(0)


def test_plugin_new_refuses(case):
    os.mkdir(os.path.join(case.work, "there"))
    case.file("a-file", "kept")
    for name, code in (("there", 6), ("a-file", 6), ("", 2), ("../up", 2), ("a b", 2), ("7up", 2), ("-x", 2),
                       ("ä", 2), ("a" * 65, 2), ("sh", 6), ("wait", 6), ("lua", 6)):
        case.m("plugin", "new", "--", name).exits(code)
    equal(listed(case.work), ["a-file", "there"])
    equal((case.read("a-file"), listed(os.path.join(case.work, "there"))), ("kept", []))
    equal(case.m("plugin", "new", "a" * 64, "-o", "json").exits(0).json()["plugin"], "a" * 64)


# ---- init ------------------------------------------------------------------------------------------


def test_init(case):
    """What it writes validates, runs as it stands, and is never written over."""
    for args, name in (([], "dag.yaml"), (["deploy"], "deploy.yaml"), (["it.yml"], "it.yml"), (["sub/x"], "sub/x.yaml")):
        os.makedirs(os.path.join(case.work, "sub"), exist_ok=True)
        equal(case.m("init", *args).exits(0).out, name + "\n")
        case.m("validate", name).exits(0)
        run = case.m("run", name, "-o", "json").exits(0).json()
        equal((run["dag"], set(statuses(run).values())), (re.sub(r".*/|\.ya?ml", "", name), {"success"}))
        before = case.read(name)
        case.m("init", *args).exits(6).says(name)
        equal(case.read(name), before)
    equal(statuses(case.m("run", "dag.yaml", "-v", "who=nobody", "-o", "json").exits(0).json())["report"], "skipped")
    equal(case.m("init", "other", "-o", "json").exits(0).json(), {"file": "other.yaml"})


def test_init_refuses(case):
    for name, code in (("a b", 2), ("a[1]", 2), ("a,b", 2), ("", 2), ("x/", 2), ("a" * 129, 2), ("missing/x", 5)):
        case.m("init", name).exits(code)
    equal(listed(case.work), [])


# ---- plan and graph --------------------------------------------------------------------------------

PLANNED = """
id: planned
vars:
  stage: {defaultValue: dev, enum: [dev, prod]}
  n: {type: int, defaultValue: 3}
  hosts: {type: list, defaultValue: [a, b]}
  none: {type: map}
tasks:
  - {id: build, run: "true"}
  - {id: fetch, wait: 1ms, skipIf: "vars.n > 2"}
  - {id: sum, dependOn: [fetch], lua: "share.sum = 1; return 1"}
  - {id: pattern, preCheck: {p: {act: skip, conditions: [{source: vars, key: stage, op: matches, values: ["^d"]}]}}}
  - {id: listed, dependOn: [build], output: json, run: 'echo "[1,2,3]"'}
  - {id: roll, dependOn: [listed], forEach: tasks.listed.output, run: 'echo "$H"', env: {H: "{{item}}"}}
  - {id: each, dependOn: [build], forEach: vars.hosts, run: 'echo "$H"', env: {H: "{{item}}"}}
  - {id: approve, dependOn: [sum], blockIf: "vars.stage == 'prod'"}
  - {id: push, dependOn: [roll, approve, build], run: "true", runIf: "share.sum == 1"}
  - {id: clean, dependOn: [push], when: always, run: "true"}
  - {id: alarm, dependOn: [push], when: failed, run: "true"}
  - {id: who, dependOn: [build], runIf: "run.trigger == 'manually'", run: "true"}
  - {id: either, runIf: "vars.stage == 'dev' or share.x", run: "true"}
  - {id: broken, runIf: "vars.none.x.y > 1", run: "true"}
  - {id: behind, dependOn: [broken], run: "true"}
  - {id: after-all, dependOn: [broken], when: failed, run: "true"}
"""


def planned(case, *args):
    return {task["id"]: task for task in case.m("plan", "planned.yaml", "-o", "json", *args).exits(0).json()["tasks"]}


def test_plan(case):
    """What looks at the variables alone is decided, and only that; nothing is run or stored."""
    case.file("planned.yaml", PLANNED)
    tasks = planned(case)
    undecided = {"push", "alarm", "who"}
    equal({i for i, t in tasks.items() if t["plan"] == "undecided"}, undecided)
    equal({i: t["plan"] for i, t in tasks.items() if t["plan"] not in ("run", "undecided")},
          {"fetch": "skip", "pattern": "skip", "broken": "fail", "behind": "never"})
    equal((tasks["each"]["items"], tasks["roll"]["items"], tasks["roll"]["forEach"]), (2, None, True))
    equal(tasks["fetch"]["reason"], "skipped by skipIf")
    equal([tasks[i]["layer"] for i in ("build", "listed", "roll", "push", "alarm")], [0, 1, 2, 3, 4])
    prod = planned(case, "-v", "stage=prod", "-v", "n=1")
    equal({i: t["plan"] for i, t in prod.items() if t["plan"] != "run"},
          {"approve": "block", "push": "wait", "clean": "wait", "alarm": "wait", "who": "undecided",
           "either": "undecided", "broken": "fail", "behind": "never"})
    assert not os.path.exists(case.store), "plan made a store"


def test_plan_tells_what_a_run_does(case):
    """Every task whose plan is decided ends as planned."""
    case.file("planned.yaml", PLANNED)
    ends = {"run": "success", "skip": "skipped", "block": "blocked", "fail": "failed", "wait": "init", "never": "init"}
    for args in ([], ["-v", "stage=prod"], ["-v", "n=1"], ["-v", "hosts=[]"]):
        run = statuses(case.m("run", "planned.yaml", "-o", "json", *args).exits(1).json())
        for name, task in planned(case, *args).items():
            if task["plan"] != "undecided":
                equal((name, run[name]), (name, ends[task["plan"]]), f"{args}: planned {task}")


def test_plan_as_text(case):
    case.file("planned.yaml", PLANNED)
    result = case.m("plan", "planned.yaml").exits(0).says("16 tasks: 9 run, 2 skipped, 1 fail")
    has(result.out, "skipped by skipIf", "runs, for each of 2", "decided when it runs: its conditions look at the run",
        'never begins: behind "broken"')
    case.file("vars.yaml", "stage: prod\nn: 9\n")
    has(case.m("plan", "planned.yaml", "--vars", "vars.yaml").exits(0).out, "blocked by blockIf", "skipped by skipIf")
    assert "skipped by skipIf" not in case.m("plan", "planned.yaml", "--vars", "vars.yaml", "-v", "n=1").exits(0).out
    case.m("plan", "planned.yaml", "-v", "n=x").exits(2).says('"n" must be of type int')
    case.m("plan", "planned.yaml", "-v", "nn=1").exits(2).says("nn")
    case.m("plan", "planned.yaml", "--vars", "missing.yaml").exits(5).says("missing.yaml")
    case.m("plan", "missing.yaml").exits(5)
    bad = case.file("bad.yaml", "tasks: [{id: a, dependOn: [b]}]\n")
    case.m("plan", bad).exits(3).says("E311", "bad.yaml:1:28")
    equal(case.m("plan", bad, "-o", "json").exits(3).json()["errors"][0]["code"], "E311")
    case.m("graph", bad).exits(3).says("E311")


def test_plan_and_graph_of_a_dag_of_the_store(case):
    file = case.file("planned.yaml", PLANNED)
    case.m("push", file).exits(0)
    equal(case.m("plan", "planned").exits(0).out, case.m("plan", file).exits(0).out)
    equal(case.m("graph", "planned").exits(0).out, case.m("graph", file).exits(0).out)
    case.m("graph", "nobody").exits(5)


TREE = """deploy
+- build  sh
|  +- test  sh  [when: always, skipIf]
|  |  `- "push"  sh  <- also after fetch, build
|  `- lint  -
`- fetch  wait  [forEach]
"""
GRAPH = """
id: deploy
tasks:
  - {id: '"push"', dependOn: [fetch, build, test], run: "true"}
  - {id: build, run: "true"}
  - {id: test, dependOn: [build], run: "true", skipIf: "false", when: always}
  - {id: lint, dependOn: [build]}
  - {id: fetch, action: wait, params: {for: 1s}, forEach: "{1}"}
"""


def test_graph(case):
    file = case.file("graph.yaml", GRAPH)
    for args in ([], ["--as", "ascii"]):
        equal(case.m("graph", file, *args).exits(0).out, TREE)
    dot = case.m("graph", file, "--as", "dot").exits(0).out
    has(dot, 'digraph "deploy" {', 'n4 [label="\\"push\\"\\nsh"];', "n2 -> n4;", "n0 -> n4;", "n1 -> n4;",
        "peripheries=2", "style=dashed", "shape=ellipse")
    if shutil.which("dot") is not None:
        subprocess.run(["dot", "-Tsvg"], input=dot, stdout=subprocess.DEVNULL, encoding="utf-8", check=True)
    mermaid = case.m("graph", file, "--as", "mermaid").exits(0).out
    has(mermaid, "flowchart TD", 'n4["#34;push#34;<br/>sh"]', "n2 --> n4")
    equal((dot.count("->"), mermaid.count("-->")), (5, 5))
    equal(len(case.m("graph", file, "-o", "json").exits(0).json()["tasks"]), 5)
    case.m("graph", file, "--as", "svg").exits(2).says("svg", "dot")


def test_graph_of_a_long_chain(case):
    """However deep: a line for each task, none of them wider than the drawing may be."""
    text = "tasks:\n" + "".join(
        f"  - {{id: t{i}, dependOn: [{'' if i == 0 else f't{i - 1}'}], run: 'true'}}\n" for i in range(3000))
    lines = case.m("graph", case.file("chain.yaml", text)).exits(0).out.splitlines()
    equal(len(lines), 3001)
    has(lines[3000], "(3000) t2999")
    assert max(map(len, lines)) < 200


# ---- exec ------------------------------------------------------------------------------------------

ECHO = "import json, sys; print(json.dumps(sys.argv[1:]))"
HARD = ["", " ", "a b", "'", '"', "\\", "\\n", "$HOME", "`id`", "$(id)", "{{run}}", "{{{vars.x}}}", "{{.vars.x.Value}}", "{{'{{'}}",
        "two\nlines", "\ttab\r", "tail\n\n", "-o", "--", "*", "~", "!", "#", ";", "&", "|", "é", "日本語", "😀", "\u00a0", "\u0085",
        "\u2028", "\u2029", "\ufeff", "\uffff", "\x01\x1f\x7f", "a: b", "- x", "%s", "A=1"]


def test_exec_passes_words_on_exactly(case):
    """No shell and no template touches them, whatever they hold."""
    run = case.m("exec", "-o", "json", "--", "python3", "-c", ECHO, *HARD).exits(0).json()
    equal((run["dag"], run["tasks"][0]["id"], run["tasks"][0]["action"]), ("exec", "exec", "sh"))
    equal(json.loads(run["tasks"][0]["output"]), HARD)
    # Every character that an argument may hold but the surrogates, which are none.
    every = ["".join(chr(c) for c in range(first, min(first + 4096, 0x110000)) if c != 0 and not 0xd800 <= c < 0xe000)
             for first in (0, 0x1000, 0x2000, 0xd000, 0xe000, 0xf000, 0x10000, 0x1f000, 0x10f000)]
    digest = "import hashlib, os, sys; print([hashlib.md5(os.fsencode(a)).hexdigest() for a in sys.argv[1:]])"
    wanted = subprocess.run(["python3", "-c", digest, *every], stdout=subprocess.PIPE, check=True, encoding="utf-8").stdout
    for word, one in zip(every, eval(wanted)):  # pylint: disable=eval-used # one by one: a command's text has 128 KiB
        run = case.m("exec", "-o", "json", "--", "python3", "-c", digest, word).exits(0).json()
        equal(run["tasks"][0]["output"], f"['{one}']")


def test_exec_ends_as_its_command(case):
    result = case.m("exec", "--", "true").exits(0)
    run = result.run_id()
    equal(case.show(run)["status"], "success")
    case.m("exec", "--tag", "a=b", "--", "sh", "-c", "echo out; echo err >&2; exit 7").exits(1)
    document = case.show()
    equal((document["status"], document["tasks"][0]["reason"], document["tags"]), ("failed", "exit 7", {"a": "b"}))
    has(case.m("logs").exits(0).out, "out", "err")
    case.m("exec", "--", "sh", "-c", "kill -9 $$").exits(1)
    equal(case.show()["tasks"][0]["reason"], "killed by SIGKILL")
    case.m("exec", "--", "no-such-command").exits(1)
    has(case.show()["tasks"][0]["reason"], "127")
    case.m("exec", "--timeout", "300ms", "--", "sleep", "60").exits(124)
    case.m("exec", "--key", "k", "--", "true").exits(0)
    case.m("exec", "--key", "k", "--", "true").exits(6)
    equal(case.m("exec", "-o", "json", "--", "pwd").exits(0).json()["tasks"][0]["output"], case.work)
    has(json.dumps(case.m("rerun", "-o", "json").exits(0).json()), case.work)


def test_exec_refuses(case):
    case.m("exec").exits(2)
    case.m("exec", "--").exits(2)
    case.m("exec", "--", "").exits(2)
    case.m("exec", "--", "-x").exits(2)
    case.m("exec", "ls", "-l").exits(2).says("-l")
    case.m("exec", "--", b"\xff".decode("utf-8", "surrogateescape")).exits(2).says("UTF-8")
    case.m("exec", "--detach", "--", "true").exits(7).says("serve")


def test_exec_detached(case):
    server = case.start("serve")
    wait_until(lambda: os.path.exists(os.path.join(case.store, "sock")) and case.m("ps").code == 0, "the owner")
    run = case.m("exec", "--detach", "--", "sh", "-c", "sleep 0.3; echo done").exits(0).run_id()
    equal(case.m("wait", run, "-o", "json").exits(0).json()["tasks"][0]["output"], "done")
    assert server.running()


# ---- doctor ----------------------------------------------------------------------------------------


def found(case, code, *args, **more):
    """What the doctor says of each thing: (status, message, advice)."""
    document = case.m("doctor", "-o", "json", *args, **more).exits(code).json()
    equal(document["ok"], code == 0)
    checks = {}
    for check in document["checks"]:
        equal(list(check), ["name", "status", "message", "advice"])
        assert (check["advice"] is None) == (check["status"] == "ok"), check
        checks.setdefault(check["name"], (check["status"], check["message"], check["advice"]))
    return checks


def test_doctor_of_a_store_that_is_not_there(case):
    """It is not made, and nothing is left where it would be."""
    checks = found(case, 0)
    equal((checks["store"][0], checks["plugins"][0], checks["sync"][0] in ("ok", "warn")), ("ok", "ok", True))
    has(checks["store"][1], case.store, "not there yet")
    assert "owner" not in checks
    assert not os.path.exists(case.store) and not [n for n in listed(case.folder) if "doctor" in n]
    has(found(case, 7, "--store", "/proc/none/store")["sync"][1], "cannot write")


def test_doctor_of_a_store(case):
    case.m("exec", "--", "true").exits(0)
    equal(found(case, 0)["owner"][1], "nobody holds the store")
    owner = case.start("run", case.file("dag.yaml", "tasks: [{id: a, run: sleep 60}]\n"))
    owner.run_id()
    has(found(case, 0)["owner"][1], f"process {owner.pid} holds the store", "0.1.0")
    owner.kill()
    checks = found(case, 0)
    equal(checks["runs"], ("warn", "1 unfinished that nobody goes on with", "millrace run --resume"))
    text = case.m("doctor").exits(0)
    has(text.out, "warn  runs", "-> millrace run --resume", "ok    store", "time-zones", "files", "clock")
    text.says("fit for runs")
    assert not [n for n in listed(case.store) if "doctor" in n]


def test_doctor_finds_what_is_wrong(case):
    case.m("exec", "--", "true").exits(0)
    os.chmod(case.store, 0o777)
    checks = found(case, 7)
    equal((checks["store"][0], checks["store"][2]), ("bad", "chmod go-w on it"))
    os.chmod(case.store, 0o700)
    plugins = case.path("plugins")
    os.mkdir(plugins)
    with open(os.path.join(plugins, "broken.so"), "w", encoding="utf-8") as file:
        file.write("no plugin")
    has(found(case, 7, "--plugins", plugins)["plugins"][1], "broken.so")
    os.unlink(os.path.join(plugins, "broken.so"))
    with open(os.path.join(plugins, "other.lua"), "w", encoding="utf-8") as file:
        file.write('return {name = "sh", run = function() end}')
    os.chmod(file.name, 0o644)
    has(found(case, 7, "--plugins", plugins)["plugins"][1], 'action "sh" is already that of')
    has(found(case, 0, env={"TZDIR": case.path("none")})["time-zones"][1], case.path("none"))
    equal(found(case, 0)["isolation"][0], "ok")
    has(found(case, 0, env={"MILLRACE_HOST": "/nowhere/host"})["isolation"][1], "/nowhere/host")
    equal(found(case, 0, env={"MILLRACE_HOST": plugins})["isolation"][0], "warn")
    few = subprocess.run(["sh", "-c", "ulimit -n 256; exec \"$0\" doctor -o json", os.path.join(BUILD, "sdk/cli/millrace")],
                         env=case.env, stdout=subprocess.PIPE, check=True, encoding="utf-8").stdout
    equal([c["status"] for c in json.loads(few)["checks"] if c["name"] == "files"], ["warn"])
    with open(os.path.join(case.store, "data.mdb"), "r+b") as file:
        file.write(b"x" * 8192)
    checks = found(case, 7)
    equal(checks["open"][0], "bad")
    # What the library itself says of a folder that is none.
    equal(found(case, 7, "--store", case.file("a-file", ""))["store"][0], "bad")


# ---- completion and man ----------------------------------------------------------------------------


def verbs(case):
    """The verbs of the program's own help."""
    return re.findall(r"^  (?!millrace)([a-z]+(?: (?:new|check|stats|next|backup)\b)?)", case.m("help").exits(0).out.split("options of")[0], re.M)


def completed(case, script, *words):
    """What bash offers for the last of the words."""
    line = " ".join("'" + w.replace("'", "'\\''") + "'" for w in ("millrace",) + words)
    return sh(case, ["bash", "-c", f'. "{script}"; COMP_WORDS=({line}); COMP_CWORD={len(words)}; _millrace;'
                     ' printf "%s\\n" "${COMPREPLY[@]}"'], case.work).split()


def test_completion_of_bash(case):
    script = case.file("completion.bash", case.m("completion", "bash").exits(0).out)
    sh(case, ["bash", "-n", script], case.work)
    if shutil.which("shellcheck") is not None:
        sh(case, ["shellcheck", "-s", "bash", script], case.work)
    equal(completed(case, script, "unp"), ["unpause"])
    equal(set(completed(case, script, "")), {v.split()[0] for v in verbs(case)})
    equal(completed(case, script, "store", ""), [v.split()[1] for v in verbs(case) if v.startswith("store ")])
    has(completed(case, script, "--store", "x", "run", "--"), "--var", "--resume", "--store")
    assert "--resume" not in completed(case, script, "show", "--")
    equal(completed(case, script, "graph", "--as", "m"), ["mermaid"])
    equal(completed(case, script, "-o", "j"), ["json", "jsonl"])
    case.file("deploy.yaml", "")
    equal(completed(case, script, "run", "dep"), ["deploy.yaml"])
    equal(completed(case, script, "run", "--vars", "dep"), ["deploy.yaml"])


def test_completion_of_other_shells(case):
    for shell, check in (("zsh", ["zsh", "-n"]), ("fish", ["fish", "--no-execute"])):
        text = case.m("completion", shell).exits(0).out
        for verb in verbs(case):
            has(text, verb.split()[-1])
        if shutil.which(shell) is not None:
            sh(case, check + [case.file("completion", text)], case.work)
    case.m("completion", "tcsh").exits(2).says("bash zsh fish")
    case.m("completion").exits(2)


def test_man(case):
    page = case.m("man").exits(0).out
    for verb in verbs(case):
        assert f'.SS "{verb}' in page, verb
    has(page, ".TH MILLRACE 1", "EXIT STATUS", "\\-\\-store", "MILLRACE_HOST", "MILLRACE_HTTP_ALLOW")
    file = case.file("millrace.1", page)
    if shutil.which("groff") is not None:
        equal(sh(case, ["groff", "-man", "-ww", "-z", "-Tutf8", file], case.work), "")
    if shutil.which("mandoc") is not None:
        sh(case, ["mandoc", "-Tlint", "-Wwarning", file], case.work)
    if shutil.which("man") is not None:
        has(sh(case, ["man", "--warnings", "-l", file], case.work, LC_ALL="C.UTF-8", MANWIDTH="100", PAGER="cat"),
            "millrace run deploy.yaml -v stage=prod", "EXIT STATUS")


def test_every_verb_has_help(case):
    """And none of contract.md's is only announced, but for those of a cluster."""
    for verb in verbs(case):
        has(case.m(*verb.split(), "--help").exits(0).out, f"millrace {verb}", "options of every verb")
    for verb in ("run", "exec", "validate", "plan", "init", "bench", "ps", "graph", "plugin new", "plugin check", "store stats",
                 "store check", "store backup", "doctor", "schema", "version", "schedule next"):
        assert verb in verbs(case), verb


# ---- store backup ----------------------------------------------------------------------------------

BUSY = "tasks:\n" + "".join(
    f"  - {{id: t{i}, dependOn: [{'' if i == 0 else f't{i - 1}'}], wait: 20ms}}\n" for i in range(150))


def good_copy(case, copy):
    """A copy is a store of its own, without fault, and only its owner may read it."""
    case.stores.append(copy)
    equal((oct(os.stat(copy).st_mode & 0o777), listed(copy)), ("0o700", ["data.mdb"]))
    assert case.m("store", "check", copy, "-o", "json").exits(0).json()["ok"]


def test_backup_of_a_store_that_nobody_holds(case):
    first = case.m("exec", "--tag", "a=b", "--", "echo", "kept").exits(0).run_id()
    case.m("push", case.file("planned.yaml", PLANNED)).exits(0)
    equal(case.m("store", "backup", "copy").exits(0).out, os.path.join(case.work, "copy") + "\n")
    good_copy(case, os.path.join(case.work, "copy"))
    equal(case.m("show", first, "-o", "json", "--store", "copy").exits(0).json(), case.show(first))
    equal(case.m("logs", first, "--store", "copy").exits(0).out, case.m("logs", first).exits(0).out)
    equal(case.m("graph", "planned", "--store", "copy").exits(0).out, case.m("graph", "planned").exits(0).out)
    # Each goes its own way.
    case.m("exec", "--store", "copy", "--", "true").exits(0)
    equal((len(case.m("runs", "-o", "json").json()), len(case.m("runs", "-o", "json", "--store", "copy").json())), (1, 2))
    document = case.m("store", "backup", "again/", "-o", "json").exits(0).json()
    equal((document["path"], document["bytes"]),
          (os.path.join(case.work, "again"), os.path.getsize(os.path.join(case.work, "again/data.mdb"))))


def test_backup_while_runs_go_on(case):
    """Every copy is good, also of what is written just then, and the owner goes on."""
    server = case.start("serve")
    wait_until(lambda: os.path.exists(os.path.join(case.store, "sock")) and case.m("ps").code == 0, "the owner")
    file = case.file("busy.yaml", BUSY)
    runs = [case.m("run", "--detach", file).exits(0).run_id() for _ in range(8)]
    sleeper = case.m("exec", "--detach", "--", "sleep", "60").exits(0).run_id()
    wait_until(lambda: case.task("exec", sleeper)["status"] == "running", "the sleeper")
    counts = []
    for i in range(5):
        copy = case.path(f"copy{i}")
        case.m("store", "backup", copy, cwd="/").exits(0)
        good_copy(case, copy)
        tasks = [t for r in case.m("ps", "-o", "json", "--store", copy).exits(0).json()
                 for t in case.show(r["id"], "--store", copy)["tasks"]]
        counts.append(sum(t["status"] == "success" for t in tasks))
    equal(sorted(counts), counts, "a later copy has no less")
    for run in runs:
        equal(case.m("wait", run, "-o", "json").exits(0).json()["status"], "success")
    # In a copy what ran is lost; its process, which is the other store's, is left alone.
    case.m("run", "--resume", "--store", case.path("copy4"), timeout=120).exits(1)
    lost = case.show(sleeper, "--store", case.path("copy4"))
    has(lost["tasks"][0]["reason"], "lost")
    equal((case.task("exec", sleeper)["status"], len(case.shells())), ("running", 1))
    assert server.running()


def test_backup_refuses(case):
    case.m("store", "backup", "copy").exits(5)
    case.m("exec", "--", "true").exits(0)
    os.mkdir(os.path.join(case.work, "there"))
    case.file("a-file", "kept")
    os.symlink("nowhere", os.path.join(case.work, "link"))
    for name, code in (("there", 6), ("a-file", 6), ("link", 6), ("missing/copy", 5), (".", 2), ("..", 2), ("x/..", 2), ("", 2),
                       ("/", 2), ("/proc/copy", None)):
        result = case.m("store", "backup", name)
        assert result.code == code if code is not None else result.code in (4, 5, 7), f"{name}: {result}"
    equal((listed(case.work), case.read("a-file")), (["a-file", "link", "there"], "kept"))
    case.m("store", "backup").exits(2)


def test_a_backup_that_is_cut_short_leaves_no_half_store(case):
    """kill -9 at any moment: DEST is there and good, or not there."""
    file = case.file("large.yaml", "tasks: [{id: a, run: 'seq 1 200000'}]\n")
    for _ in range(6):
        case.m("run", file).exits(0)
    whole, cut = 0, 0
    for i in range(12):
        copy = case.path(f"copy{i}")
        process = case.start("store", "backup", copy)
        time.sleep(0.004 * i)
        process.kill()
        if os.path.exists(copy):
            good_copy(case, copy)
            whole += 1
        else:
            cut += 1
    assert cut > 0, "no backup was cut short"
    case.m("store", "check").exits(0)
    print(f"  {whole} whole, {cut} cut", flush=True)


if __name__ == "__main__":
    main()
