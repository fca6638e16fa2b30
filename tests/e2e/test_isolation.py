#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Goal: what a plugin breaks in a process of its own fails its attempt, with a reason that says what
it was, and nothing else; and what it sees there is what it sees in the engine. Method: a plugin that
breaks things (native/rude.c), and the phases of native/phases.c, isolated."""
import ctypes
import os
import signal
import sys
import time

from harness import BUILD, equal, has, main, statuses, task_of, wait_until, Skip

PLUGINS = os.path.join(BUILD, "tests/e2e/native")
HOST = os.path.join(BUILD, "core/host/millrace-host")


def sanitized():
    with open(HOST, "rb") as file:
        return b"__asan_init" in file.read()


def run(case, text, *args, code=0):
    case.file("dag.yaml", text)
    return case.m("run", "dag.yaml", "--plugins", PLUGINS, "-o", "json", *args).exits(code).json()


def one(case, params, more="", code=1):
    """A task that runs apart, beside one in the engine that ends well."""
    text = f"tasks: [{{id: a, action: rude, isolation: process, params: {{{params}}}{more}}}, {{id: b, action: noop}}]\n"
    document = run(case, text, code=code)
    equal(task_of(document, "b")["status"], "success")
    return task_of(document, "a")


def hosts(case):
    """Living host processes of this case's engines."""
    found = []
    for name in os.listdir("/proc"):
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                words = file.read().split(b"\0")
            with open(f"/proc/{name}/environ", "rb") as file:
                ours = os.fsencode("MILLRACE_STORE=" + case.store) in file.read().split(b"\0")
        except OSError:
            continue
        if name.isdigit() and ours and words[0].endswith(b"millrace-host"):
            found.append(int(name))
    return found


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_how_it_breaks(case):
    """The reason names the plugin and what has ended it; the engine goes on."""
    for what, reason in {
            "crash": "plugin rude: killed by SIGSEGV",
            "abort": "plugin rude: killed by SIGABRT",
            "exit": "plugin rude: its process ended with exit 3",
            "close": "plugin rude: its process closed its socket",
            "garbage": "plugin rude: its process sent what is no message"}.items():
        task = one(case, f"do: {what}")
        equal((task["status"], task["reason"]), ("failed", reason), what)
    equal(hosts(case), [])


def test_details_of_a_death(case):
    """error.signal and error.exit, as of sh."""
    text = ("tasks:\n  - {id: a, action: rude, isolation: process, params: {do: %s}, "
            "retry: {max: 1, if: 'error.%s == %d'}}\n")
    for what, name, number in [("crash", "signal", signal.SIGSEGV), ("exit", "exit", 3)]:
        equal(task_of(run(case, text % (what, name, number), code=1), "a")["attempts"], 2, what)


def test_an_end_that_comes_twice(case):
    """The first counts; the process is not used again."""
    text = ("isolation: process\ntasks:\n  - {id: a, action: rude, params: {do: twice}}\n"
            "  - {id: b, action: rude, dependOn: a}\n")
    document = run(case, text)
    equal(statuses(document), {"a": "success", "b": "success"})
    equal(task_of(document, "b")["output"]["calls"], 1)


def test_a_process_serves_many(case):
    """The same one, one after the other; not after it left descriptors open."""
    text = "isolation: process\ntasks:\n  - {id: t0, action: rude}\n"
    for i in range(1, 6):
        what = "leak" if i == 3 else "nothing"
        text += f"  - {{id: t{i}, action: rude, dependOn: t{i - 1}, params: {{do: {what}}}}}\n"
    document = run(case, text)
    outputs = [task_of(document, f"t{i}")["output"] for i in range(6)]
    equal([o["calls"] for o in outputs], [1, 2, 3, 4, 1, 2])
    equal(len({o["pid"] for o in outputs}), 2)
    equal(hosts(case), [])


def test_an_endless_loop(case):
    """Ends with its timeout, though it hears of nothing."""
    began = time.monotonic()
    task = one(case, "do: burn", ", timeout: 300ms")
    equal((task["status"], task["reason"]), ("failed", "timed out after 300ms"))
    assert time.monotonic() - began < 20


def test_limits(case):
    """Of processor time and descriptors."""
    task = one(case, "do: burn", ", limits: {cpu: 1s}")
    equal(task["reason"], "plugin rude: killed by SIGXCPU: more than limits.cpu, 1s")
    count = one(case, "do: open", ", limits: {files: 40}", 0)["output"]["count"]
    assert 20 <= count < 40, count


def test_limit_of_memory(case):
    """What is beyond it is not there."""
    if sanitized():
        raise Skip("a sanitizer needs more address space than there is a limit for")
    count = one(case, "do: hog", ", limits: {memory: 64MiB}", 0)["output"]["count"]
    assert 10 <= count < 64, count


def test_the_limit_of_processor_time_is_of_all_phases(case):
    """Each had it for itself."""
    case.file("dag.yaml", "tasks: [{id: a, action: early, isolation: process, params: {do: work}, limits: {cpu: 1s}}]\n")
    document = case.m("run", "dag.yaml", "--plugins", PLUGINS, "-o", "json").exits(1).json()
    equal(task_of(document, "a")["reason"], "plugin rude: killed by SIGXCPU: more than limits.cpu, 1s")


def test_limits_are_of_an_attempt(case):
    """Not of the process: each attempt may use that much."""
    text = "isolation: process\nlimits: {cpu: 1s, files: 50}\ntasks:\n  - {id: t0, action: rude}\n"
    for i in range(1, 30):
        text += f"  - {{id: t{i}, action: rude, dependOn: t{i - 1}, params: {{do: open}}, limits: {{cpu: 2s}}}}\n"
    document = run(case, text)
    equal(len({task_of(document, f"t{i}")["output"]["pid"] for i in range(30)}), 1)


def test_a_limit_ends_with_its_attempt(case):
    """The next one in that process may use what it likes."""
    document = run(case, "isolation: process\ntasks:\n  - {id: a, action: rude, limits: {cpu: 1s}}\n"
                         "  - {id: b, action: rude, params: {do: work}, dependOn: a}\n")
    equal(task_of(document, "a")["output"]["pid"], task_of(document, "b")["output"]["pid"])


def test_what_it_prints(case):
    """Stands in the task's log before the task has ended, with what it logs."""
    task = one(case, "do: talk")
    equal(task["reason"], "done talking")
    log = case.m("logs", "-", "a").exits(0).out
    has(log, "printed\n", "written\n", "logged\n")
    has(log + str(case.m("show", "-", "-o", "json").out), "a warning", "traced 1")


def test_what_it_sees(case):
    """Params, variables, what it is told and how it is refused: as in the engine."""
    text = ("id: seen\nvars: {n: {type: int, defaultValue: 9007199254740993}, l: {type: list, defaultValue: [1, a, null]}}\n"
            "tasks:\n")
    for name, isolation in [("a", "none"), ("b", "process")]:
        text += (f"  - {{id: {name}, action: tell, isolation: {isolation}, timeout: 50s, params: {{text: größe, "
                 "value: {x: [1, 2.5, -0.0, true, null, 'q\"\\\\'], y: {}}}}\n")
    document = run(case, text)
    a, b = task_of(document, "a"), task_of(document, "b")
    equal(a["output"]["var"], 9007199254740993)
    equal(a["output"]["text"], "größe-7")
    equal(b["output"], a["output"])
    equal([t["message"] for t in b["traces"]], [t["message"] for t in a["traces"]])


def test_it_asks_to_be_isolated(case):
    """MR_ISOLATED, unless the dag says otherwise."""
    text = ("tasks:\n  - {id: a, action: shy}\n  - {id: b, action: shy, isolation: none}\n  - {id: c, action: rude}\n"
            "  - {id: d, action: shy, limits: {files: 64}}\n")
    document = run(case, text)
    a, b, c, d = [task_of(document, i)["output"]["pid"] for i in "abcd"]
    equal((b, a != b, d not in (a, b)), (c, True, True))
    document = run(case, "isolation: none\n" + text.replace(", isolation: none", "").split("  - {id: d")[0])
    equal(len({task_of(document, i)["output"]["pid"] for i in "abc"}), 1)
    has(case.m("actions", "shy", "--plugins", PLUGINS).exits(0).out, "in a process of its own")


def test_phases(case):
    """All in one process, with one memory; a retry begins with retry_before."""
    text = "tasks: [{id: a, action: phases, isolation: process, params: {%s}}]\n"
    document = run(case, text % "")
    equal(case.read("calls").splitlines(), ["run_before 1 -", "run 1 run_before", "run_after 1 run"])
    equal(task_of(document, "a")["output"], {"from": "run"})
    for phase in ("run_before", "run", "run_after"):
        case.file("calls", "")
        document = run(case, text % f"fail: {phase}", code=1)
        equal(task_of(document, "a")["reason"], f"no luck in {phase}")
        case.file("calls", "")
        case.file("good", "")
        case.m("retry", "--plugins", PLUGINS, "-o", "json").exits(0)
        equal([line.split()[0] for line in case.read("calls").splitlines()],
              ["retry_before", "run_before", "run", "run_after"])
        os.unlink(os.path.join(case.work, "good"))


def test_share_data(case):
    """Set, read, removed and flushed from there."""
    text = ("tasks:\n  - {id: s, lua: \"share.old = 1\"}\n  - {id: a, action: sharing, isolation: process, dependOn: s}\n"
            "  - {id: b, dependOn: a, lua: \"return share.flushed .. tostring(share.old)\"}\n")
    document = run(case, text)
    equal(task_of(document, "b")["output"], "keptnil")
    has(str(task_of(document, "a")["traces"]), "first key old, old gone, flushed kept, set there")


def test_looking_at_share_data_takes_no_memory(case):
    """Each look took that of the value."""
    limits = "" if sanitized() else ", limits: {memory: 64MiB}"
    document = run(case, "tasks:\n  - {id: s, lua: \"share.long = string.rep('x', 100000)\"}\n"
                         "  - {id: a, action: rude, isolation: process, params: {do: look}, dependOn: s%s}\n" % limits)
    equal(task_of(document, "a")["reason"], "")


def test_a_retry_after_a_crash(case):
    task = one(case, "do: crash, until: 2", ", retry: {max: 3, delay: 1ms}", code=0)
    equal((task["status"], task["attempts"], task["output"]["calls"]), ("success", 3, 1))


def test_loop_actions(case):
    """Timers, posts, other threads, an end from within, and one that the engine keeps."""
    text = ("isolation: process\ntasks:\n  - {id: timer, action: pend, params: {by: timer}}\n"
            "  - {id: post, action: pend, params: {by: post}}\n  - {id: self, action: pend, params: {by: self}}\n"
            "  - {id: wait, action: wait, params: {for: 100ms}}\n")
    document = run(case, text)
    equal(set(statuses(document).values()), {"success"})
    equal([task_of(document, i)["output"] for i in ("timer", "post")], [{"by": "timer"}, {"by": "post"}])
    document = run(case, "tasks: [{id: a, action: pend, isolation: process, params: {by: thread}}]\n", code=1)
    equal(task_of(document, "a")["reason"], "conflict")


def test_cancel(case):
    """A pending action hears of it; one without `cancel` ends at once; a sleeping worker, too."""
    for action, params in [("pend", ""), ("stuck", ""), ("phases", "stay: run")]:
        case.file("dag.yaml", f"tasks: [{{id: a, action: {action}, isolation: process, params: {{{params}}}}}]\n")
        process = case.start("run", "dag.yaml", "--plugins", PLUGINS)
        run_id = process.run_id()
        wait_until(lambda: statuses(case.show(run_id))["a"] == "running" and hosts(case), "the attempt")
        began = time.monotonic()
        case.m("cancel", run_id).exits(0)
        process.end()
        assert time.monotonic() - began < 4, action
        task = task_of(case.show(run_id), "a")
        equal(task["status"], "canceled", action)
        if action == "pend":
            has(str(task["traces"]), "canceled for reason 1")


def test_the_default_of_a_dag_was_taken_for_the_word_of_each_task(case):
    """An action that cannot be isolated was an error under it, where it stays as it is."""
    plugins = case.path("lua")
    os.mkdir(plugins)
    with open(os.path.join(plugins, "one.lua"), "w", encoding="utf-8") as file:
        file.write('return {name = "one", run = function() return 1 end}')
    os.chmod(file.name, 0o644)
    text = ("isolation: process\nlimits: {memory: 256MiB}\ntasks:\n  - {id: a, action: one}\n"
            "  - {id: b, action: sh, params: {run: echo b}}\n  - {id: c, action: noop}\n"
            "  - {id: d, action: wait, params: {for: 1ms}}\n"
            "  - {id: e, action: with-lock, params: {name: x, run: echo e}}\n")
    case.file("dag.yaml", text)
    case.m("run", "dag.yaml", "--plugins", plugins).exits(0)
    for mine in ("isolation: process", "limits: {files: 64}"):
        case.file("dag.yaml", text.replace("action: one", f"action: one, {mine}"))
        case.m("validate", "dag.yaml", "--plugins", plugins).exits(3).says("dag.yaml:4:")


def test_nothing_survives_a_killed_engine(case):
    """Neither a process at work, however deaf, nor what it has started, nor one that waits."""
    case.file("dag.yaml", "isolation: process\ntasks:\n  - {id: deaf, action: rude, params: {do: burn}, onLost: fail}\n"
                          "  - {id: fork, action: rude, params: {do: fork}, onLost: fail}\n  - {id: idle, action: noop}\n")
    owner = case.start("run", "dag.yaml", "--plugins", PLUGINS, "-j", 8)
    run_id = owner.run_id()

    def child():
        traces = str(task_of(case.show(run_id), "fork").get("traces"))
        return int(traces.split("child ")[1].split("'")[0]) if "child " in traces else 0

    pid = wait_until(child, "the child of the plugin")
    wait_until(lambda: statuses(case.show(run_id))["idle"] == "success" and len(hosts(case)) == 3, "three processes")
    owner.kill()
    wait_until(lambda: len(hosts(case)) == 1 and not alive(pid), "the end of those that hear of it")
    document = case.m("run", "--resume", "--plugins", PLUGINS, "-o", "json").exits(1).json()
    equal(statuses(document), {"deaf": "failed", "fork": "failed", "idle": "success"})
    equal(hosts(case), [])


def test_what_prints_when_the_engine_is_killed(case):
    """Its process died of SIGPIPE, and the child that it had was nobody's, once init had reaped it."""
    case.file("dag.yaml", "tasks: [{id: a, action: rude, isolation: process, params: {do: chatter}, onLost: fail}]\n")
    owner = case.start("run", "dag.yaml", "--plugins", PLUGINS)
    run_id = owner.run_id()

    def child():
        traces = str(task_of(case.show(run_id), "a").get("traces"))
        return int(traces.split("child ")[1].split("'")[0]) if "child " in traces else 0

    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER: this is its init
    pid, [host] = wait_until(child, "the child of the plugin"), hosts(case)
    owner.kill()
    time.sleep(0.3)
    os.waitpid(host, os.WNOHANG)
    case.m("run", "--resume", "--plugins", PLUGINS, "-o", "json").exits(1)
    equal((hosts(case), alive(pid)), ([], False))


LIAR = """#!%s -SBE
import random, socket, sys
s = socket.socket(fileno=3)
begin = s.recv(65536)
while b"seed-" not in begin:
    begin += s.recv(65536)
seed = begin[begin.index(b"seed-"):].split(b"\\0")[0]
r = random.Random(seed)
def number():
    v = r.choice([0, 0, 1, 2, 3, 5, 7, 9, 12, 13, 1 << 40, (1 << 64) - 1, r.getrandbits(64)])
    out = bytearray()
    while v >= 128:
        out.append(v & 127 | 128)
        v >>= 7
    return bytes(out) + bytes([v])
def text():
    t = r.choice([None, b"", b"a", b"{}", b"[1", b"\\xff", b"x" * r.randrange(300), b"k\\0k", b"null"])
    return b"\\0" if t is None else bytes([len(t) + 1 & 127 | 128, len(t) + 1 >> 7]) + t + b"\\0"
SHAPES = {6: (0, 1), 7: (1, 1), 8: (1, 1), 9: (1, 1), 10: (0, 0), 11: (4, 2), 12: (3, 1)}
try:
    for i in range(200):
        kind = r.choice([6, 7, 8, 9, 10, 11, 11, 11, 11] + ([12] if i > 20 else []))
        numbers, texts = SHAPES[kind]
        body = bytes([kind]) + b"".join(number() for n in range(numbers)) + b"".join(text() for n in range(texts))
        if r.random() < 0.02:
            body = bytes(r.getrandbits(8) for n in range(20))
        whole = len(body).to_bytes(4, "little") + body
        cut = r.randrange(len(whole)) if r.random() < 0.2 else 0
        s.sendall(whole[:cut])
        s.sendall(whole[cut:])
finally:
    sys.exit(r.choice([0, 1, 2]))
"""


def test_a_host_that_lies(case):
    """Whatever it sends, in whatever order: its attempt ends, and the engine goes on. The seed is the task's id."""
    path = case.file("liar", LIAR % sys.executable)
    os.chmod(path, 0o755)
    case.env["MILLRACE_HOST"] = path
    text = "isolation: process\ntasks:\n  - {id: well, action: noop, isolation: none}\n"
    text += "".join(f"  - {{id: seed-{i}, action: {('phases', 'pend', 'tell', 'noop')[i % 4]}}}\n" for i in range(60))
    document = run(case, text, "-j", 4, code=1)
    found = statuses(document)
    equal((found["well"], set(found.values()) <= {"success", "failed"}), ("success", True), found)
    reasons = {t["reason"] for t in document["tasks"] if t["status"] == "failed"}
    assert any("sent what is no message" in r for r in reasons), reasons


def test_no_host_program(case):
    """Is said with its path; the engine goes on."""
    case.env["MILLRACE_HOST"] = "/nowhere/millrace-host"
    has(one(case, "do: nothing")["reason"], "/nowhere/millrace-host", "No such file")


if __name__ == "__main__":
    main()
