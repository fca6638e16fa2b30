#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Goal: finished runs can be removed, by age, number, dag and status, and nothing else is touched.
Method: many runs are submitted through the socket, so that they share parts of the history; some are
pruned, also while others go on and while the pruning process is killed; the store's check has the
last word."""
import json
import os
import random
import signal
import socket
import sys
import time

from harness import equal, has, main, wait_until

HOLD = "onLost: retry\ntasks: [{id: a, run: 'echo up >>trace; while [ ! -e go ]; do sleep 0.02; done; echo done'}]\n"


def serve(case, *args):
    process = case.start("serve", *args)
    wait_until(lambda: "serving " in process.err() or not process.running(), "serve to be ready")
    assert process.running(), process.err()
    return process


def stop(process):
    process.kill(signal.SIGTERM).end().exits(143)


def ask(case, requests):
    """Sends requests all at once; returns their last answers in order."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(os.path.join(case.store, "sock"))
        lines = sock.makefile("rw", encoding="utf-8", newline="\n")
        lines.readline()  # who it is
        for number, request in enumerate(requests):
            lines.write(json.dumps(dict({"id": number}, **request)) + "\n")
        lines.flush()
        answers = {}
        while len(answers) < len(requests):
            answer = json.loads(lines.readline())
            if answer.get("end"):
                assert "error" not in answer, f"{answer}"
                answers[answer["id"]] = answer
    return [answers[number] for number in range(len(requests))]


def push(case):
    """Dags whose runs end at once: good and other succeed, bad fails."""
    case.file("good.yaml", "tags: {kind: easy}\ntasks: [{id: a}]\n")
    case.file("other.yaml", "tasks: [{id: a}, {id: b, dependOn: [a]}]\n")
    case.file("bad.yaml", "tasks: [{id: a, run: exit 3}]\n")
    case.m("push", "good.yaml", "other.yaml", "bad.yaml").exits(0)


def submit(case, names):
    """Runs of these dags, which end together; their ids."""
    ids = [answer["run"] for answer in ask(case, [{"op": "submit", "dag": name} for name in names])]
    for i in range(0, len(ids), 500):  # an owner reads for so many at a time
        ask(case, [{"op": "wait", "run": run} for run in ids[i:i + 500]])
    return ids


def listed(case, *args):
    """The ids that a listing shows, oldest first."""
    return [run["id"] for run in case.m("runs", "--limit", 0, "-o", "jsonl", *args).exits(0).lines()][::-1]


def prune(case, *args):
    return case.m("prune", *args, "-o", "json").exits(0).json()["runs"]


def check(case):
    """The store is sound; how many runs its history holds."""
    document = case.m("store", "check", "-o", "json").exits(0).json()
    equal(document["errors"], [])
    return document["finished"]


def test_everything(case):
    process = serve(case)
    push(case)
    ids = submit(case, ["good", "other"] * 200)
    equal(prune(case, "--older", "0s", "--dry-run"), 400)
    equal(listed(case), sorted(ids))
    equal(prune(case, "--older", "1h"), 0)
    has(case.m("prune", "--older", "0s").exits(0).out, "400 runs removed")
    equal(listed(case), [])
    equal(listed(case, "--dag", "good"), [])
    equal(listed(case, "--status", "success"), [])
    equal(listed(case, "--tag", "kind=easy"), [])
    equal(check(case), 0)
    case.m("show", ids[0]).exits(5)
    case.m("show", ids[0][-8:]).exits(5)
    stop(process)
    # The dags are still there, and new runs are as before.
    case.m("run", "good").exits(0)
    equal(len(listed(case)), 1)
    equal(check(case), 1)


def test_some_of_those_that_share_a_place(case):
    """Runs of one dag are taken out from between the others, twice."""
    process = serve(case)
    push(case)
    names = ["good", "other", "bad", "good"] * 60
    ids = submit(case, names)
    by_name = {name: [run for run, n in zip(ids, names) if n == name] for name in set(names)}
    equal(prune(case, "--dag", "other"), 60)
    equal(listed(case), sorted(by_name["good"] + by_name["bad"]))
    equal(prune(case, "--dag", "other"), 0)
    equal(prune(case, "--status", "failed"), 60)
    equal(listed(case), sorted(by_name["good"]))
    equal(listed(case, "--tag", "kind=easy"), sorted(by_name["good"]))
    equal(check(case), 120)
    for run in by_name["good"][:3] + by_name["good"][-3:]:
        equal((case.show(run)["id"], case.show(run)["dag"]), (run, "good"))
    for name in ("other", "bad"):
        case.m("show", by_name[name][30]).exits(5)
    stop(process)
    equal(listed(case), sorted(by_name["good"]))
    equal(prune(case, "--older", "0s"), 120)
    equal(check(case), 0)


def test_the_last_ones_are_kept(case):
    process = serve(case)
    push(case)
    names = ["good", "other", "good"] * 100
    ids = submit(case, names)
    equal(prune(case, "--keep", 1000), 0)
    equal(prune(case, "--keep", 7, "--dag", "good"), 193)
    equal((len(listed(case, "--dag", "good")), len(listed(case, "--dag", "other"))), (7, 100))
    equal(prune(case, "--keep", 5, "--older", "1h"), 0)
    equal(prune(case, "--keep", 5, "--dry-run"), 2 + 95)
    equal(prune(case, "--keep", 5), 2 + 95)
    equal((len(listed(case, "--dag", "good")), len(listed(case, "--dag", "other"))), (5, 5))
    last = case.m("run", "good", "-o", "json").exits(0).json()["id"]
    equal(prune(case, "--keep", 1), 5 + 4)
    equal(listed(case, "--dag", "good"), [last])
    equal(check(case), 2)
    assert set(listed(case)) <= set(ids + [last])
    stop(process)


def test_unfinished_runs_are_never_removed(case):
    process = serve(case)
    push(case)
    case.file("hold.yaml", HOLD)
    case.file("gate.yaml", "tasks: [{id: a, preCheck: {p: {act: block, conditions: [{source: vars, key: v, op: in, values: [x]}]}}}]\nvars: {v: {defaultValue: x}}\n")
    held = case.m("run", "hold.yaml", "--detach").exits(0).run_id()
    wait_until(lambda: case.read("trace"), "the run")
    submit(case, ["good"] * 20)
    equal(prune(case, "--older", "0s"), 20)
    equal(listed(case), [held])
    stop(process)
    equal(prune(case, "--older", "0s"), 0)  # dormant now
    equal(listed(case), [held])
    case.file("go", "")
    case.m("run", "--resume").exits(0)
    equal(prune(case, "--older", "0s"), 1)
    equal(check(case), 0)


def test_a_retried_run(case):
    """While it goes on again it is unfinished; afterwards its first end is nowhere."""
    case.file("flaky.yaml", "tasks: [{id: a, run: 'echo try >>trace; [ -e go ] || exit 4; while [ ! -e end ]; do sleep 0.02; done'}]\n")
    process = serve(case)
    run = case.m("run", "flaky.yaml", "--detach").exits(0).run_id()
    case.m("wait", run).exits(1)
    equal(prune(case, "--status", "success"), 0)  # its entries are in the index now
    case.file("go", "")
    retry = case.start("retry", run)
    wait_until(lambda: case.read("trace").count("try") == 2, "the second attempt")
    equal(prune(case, "--older", "0s"), 0)
    equal(listed(case), [run])
    case.file("end", "")
    retry.end().exits(0)
    equal(prune(case, "--status", "failed"), 0)
    equal(case.show(run)["status"], "success")
    equal(prune(case, "--status", "success"), 1)
    equal(listed(case), [])
    equal(check(case), 0)
    stop(process)


def test_output_and_keys_go_too(case):
    case.file("talk.yaml", "tasks: [{id: a, run: 'for i in 1 2 3; do echo line $i; done'}]\n")
    first = case.m("run", "talk.yaml", "--key", "k").exits(0).run_id()
    case.m("run", "talk.yaml", "--key", "k").exits(6)
    assert case.m("store", "stats", "-o", "json").exits(0).json()["keys"]["log"] > 0
    equal(prune(case, "--dag", "talk"), 1)
    equal(case.m("store", "stats", "-o", "json").exits(0).json()["keys"]["log"], 0)
    case.m("logs", first).exits(5)
    second = case.m("run", "talk.yaml", "--key", "k").exits(0).run_id()
    assert second != first
    case.m("run", "talk.yaml", "--key", "k").exits(6).says(second)
    check(case)


def test_much_output_goes_in_steps(case):
    """More chunks than one step removes."""
    case.file("loud.yaml", "tasks:\n" + "".join(
        f"  - {{id: t{i}, run: 'for i in 1 2 3 4 5 6; do head -c 40000 /dev/zero | tr \"\\0\" x; sleep 0.01; done'}}\n" for i in range(120)))
    case.m("run", "loud.yaml", "-q").exits(0)
    case.m("run", "loud.yaml", "-q").exits(0)
    before = case.m("store", "stats", "-o", "json").exits(0).json()["keys"]["log"]
    assert before > 1200, f"only {before} chunks: the test has lost its point"
    equal(prune(case, "--keep", 1), 1)
    after = case.m("store", "stats", "-o", "json").exits(0).json()["keys"]["log"]
    assert 0 < after < before, (before, after)
    equal(case.m("logs", "-", "t7").exits(0).out.count("x"), 240000)
    equal(prune(case, "--older", "0s"), 1)
    equal(case.m("store", "stats", "-o", "json").exits(0).json()["keys"]["log"], 0)
    equal(check(case), 0)


def test_a_killed_prune(case):
    """Whenever it is killed: the store is sound, what is listed is whole, and the next prune ends it."""
    seed = int(os.environ.get("MILLRACE_TEST_SEED", random.randrange(1 << 30)))
    print(f"        seed {seed}", file=sys.stderr)
    chance = random.Random(seed)
    process = serve(case)
    push(case)
    ids = submit(case, ["good", "other", "other", "good"] * 500)
    stop(process)
    left = set(ids)
    for _ in range(6):
        victim = case.start("prune", "--older", "0s", "--dag", chance.choice(["good", "other"]))
        time.sleep(chance.uniform(0.01, 0.08))
        victim.kill()
        check(case)
        now = set(listed(case))
        assert now <= left, "a run is back"
        left = now
        for run in chance.sample(sorted(left), min(3, len(left))):
            equal(case.show(run)["status"], "success")
    equal(prune(case, "--older", "0s"), len(left))
    equal(listed(case), [])
    equal(check(case), 0)


def test_a_prune_beside_work(case):
    """Runs come and end while others are removed; nothing that is kept is lost."""
    process = serve(case)
    push(case)
    submit(case, ["good"] * 600)
    pruning = [case.start("prune", "--dag", "good") for _ in range(2)]
    kept = submit(case, ["other"] * 300)
    for background in pruning:
        background.end().exits(0)
    equal(listed(case), sorted(kept))
    stop(process)
    equal(listed(case), sorted(kept))
    check(case)


def test_serve_keeps_the_history_short(case):
    process = serve(case, "--retain", "1s")
    push(case)
    submit(case, ["good"] * 10)
    equal(len(listed(case)), 10)
    wait_until(lambda: "10 old runs removed" in process.err(), "the retention")
    equal(listed(case), [])
    stop(process)
    check(case)


def test_words(case):
    case.m("prune").exits(2).says("which runs?")
    case.m("prune", "--status", "running").exits(2).says("success, failed or canceled")
    case.m("prune", "--keep", 0).exits(2)
    case.m("prune", "--older", "soon").exits(2)
    has(case.m("prune", "--older", "1d", "--dry-run").exits(0).out, "0 runs would be removed")
    equal(case.m("prune", "--older", "1d", "-o", "json").exits(0).json(), {"runs": 0, "dryRun": False})


if __name__ == "__main__":
    main()
