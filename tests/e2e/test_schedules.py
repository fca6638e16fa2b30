#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Goal: schedules run while somebody serves: each nominal time once, under the overlap and catch-up
rules, across kill -9 too. Method: dags with a time every second, which return the nominal time that
their run is for."""
import signal
import time

from harness import equal, has, main, wait_until

# Outputs of a run are its nominal time in Unix milliseconds.
FAST = "schedule: {cron: '@every 1s', overlap: queue, catchup: %s}\ntasks: [{id: a, lua: return run.scheduledAt}]\n"
SLOW = ("schedule: {cron: '* * * * * *', overlap: %s}\ntasks:\n  - {id: a, lua: return run.scheduledAt}\n"
        "  - {id: b, dependOn: [a], run: 'while [ ! -e go ]; do sleep 0.05; done'}\n")
NEVER = "schedule: {cron: '0 7 * * 1-5', timezone: %s}\ntasks: [{id: a, run: echo}]\n"


def serve(case, *args):
    process = case.start("serve", *args)
    wait_until(lambda: "serving " in process.err() or not process.running(), "serve to be ready")
    assert process.running(), process.err()
    return process


def push(case, name, text):
    case.file(f"{name}.yaml", text)
    case.m("push", f"{name}.yaml").exits(0)


def runs(case, dag):
    """Oldest first."""
    return case.m("runs", "--dag", dag, "--limit", "0", "-o", "json").exits(0).json()[::-1]


def nominal(case, run):
    return case.task("a", run["id"])["output"]


def nominals(case, dag):
    """The nominal times of its runs, in the order in which they were created; none of them twice."""
    times = [nominal(case, run) for run in runs(case, dag) if run["startedAt"]]
    times = [time for time in times if time is not None]
    equal(times, sorted(set(times)), "the nominal times")
    return times


def row(case, dag):
    return {d["id"]: d for d in case.m("dags", "-o", "json").exits(0).json()}[dag]


def test_a_run_at_each_time(case):
    serve(case)
    push(case, "fast", FAST % "skip")
    next_time = row(case, "fast")["next"]
    assert next_time.endswith(".000Z"), next_time
    wait_until(lambda: len(runs(case, "fast")) >= 3, "three runs")
    case.m("stop", "fast").exits(0)
    times = nominals(case, "fast")
    equal([b - a for a, b in zip(times, times[1:])], [1000] * (len(times) - 1))
    first = runs(case, "fast")[0]
    equal(first["trigger"], "schedule")
    # Neither early nor late: a loaded machine may take a moment.
    created = case.show(first["id"])["createdAt"]
    equal(created[:19], time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(times[0] / 1000)))
    # A stopped dag's times pass by, and are not caught up with.
    count = len(runs(case, "fast"))
    equal(row(case, "fast")["next"], None)
    time.sleep(1.5)
    equal(len(runs(case, "fast")), count)
    started = time.time() * 1000
    case.m("start", "fast").exits(0)
    wait_until(lambda: len(runs(case, "fast")) > count, "a run after the start")
    assert nominals(case, "fast")[count] > started
    # An unscheduled run does not count.
    case.m("run", "fast", "-o", "json").exits(0)
    case.m("store", "check").exits(0)


def test_overlap(case):
    for overlap in ("skip", "queue", "replace", "allow"):
        push(case, overlap, SLOW % overlap)
    process = serve(case)
    wait_until(lambda: row(case, "skip")["skipped"] >= 2, "times to be skipped")
    wait_until(lambda: row(case, "queue")["waiting"] >= 2, "times to wait")
    wait_until(lambda: len(runs(case, "replace")) >= 2, "runs to be replaced")
    wait_until(lambda: len(runs(case, "allow")) >= 3, "runs side by side")
    has(process.err(), 'dag "skip": no run for the scheduled time ', "an earlier run is unfinished")
    equal((len(runs(case, "skip")), len(runs(case, "queue"))), (1, 1))
    assert row(case, "skip")["skippedAt"].endswith(".000Z")
    equal(len([r for r in runs(case, "replace") if r["status"] == "running"]) <= 1, True)
    equal(runs(case, "replace")[0]["status"], "canceled")
    case.m("stop", "allow").exits(0)
    case.m("stop", "replace").exits(0)
    # What waited runs in its order, one after the other.
    case.file("go", "")
    wait_until(lambda: len([r for r in runs(case, "queue") if r["status"] == "success"]) >= 3, "the queue to move")
    case.m("stop", "queue").exits(0)
    equal(row(case, "queue")["waiting"], 0) # what waits when its dag is stopped gets no run
    case.m("stop", "skip").exits(0)
    times = nominals(case, "queue")
    equal(times, list(range(times[0], times[0] + 1000 * len(times), 1000)))
    nominals(case, "allow")
    nominals(case, "replace")
    case.m("store", "check").exits(0)


def test_kill_and_catch_up(case):
    for catchup in ("skip", "latest", "all"):
        push(case, catchup, FAST % catchup)
    push(case, "hold", "onLost: retry\n" + SLOW % "skip")
    process = serve(case)
    down, up = [], []
    for _ in range(2):
        wait_until(lambda: all(len(runs(case, d)) > 3 * len(up) for d in ("skip", "latest", "all")), "runs")
        process.kill()
        down.append(time.time() * 1000)
        time.sleep(3.2)
        up.append(time.time() * 1000)
        process = serve(case)
    wait_until(lambda: len(runs(case, "skip")) > 6, "runs after the last start")
    process.kill(signal.SIGTERM).end().exits(143)
    for catchup in ("skip", "latest", "all"):
        times = nominals(case, catchup)
        for begin, end in zip(down, up):
            missed = [t for t in times if begin <= t < end]
            wanted = [t for t in range(int(begin // 1000 + 1) * 1000, int(end), 1000)]
            if catchup == "skip":
                equal(missed, [], f"{catchup}: what was missed")
            elif catchup == "all":
                equal(missed, wanted, f"{catchup}: what was missed")
            else: # one, which may have come while the process began
                assert len([t for t in times if begin <= t < end + 1500]) >= 1 and len(missed) <= 1, (missed, wanted)
    # A run that is gone on with after the kill is still the earlier one.
    equal([run["status"] for run in runs(case, "hold")], ["running"])
    # With all caught up no time was ever left out.
    times = nominals(case, "all")
    equal(times, list(range(times[0], times[0] + 1000 * len(times), 1000)))
    has(process.err(), "were missed: ")
    case.m("store", "check").exits(0)


def test_next(case):
    case.file("ny.yaml", NEVER % "America/New_York")
    result = case.m("schedule", "next", "./ny.yaml", "-n", "8", "-o", "json").exits(0).json()
    equal((result["dag"], result["cron"], result["timezone"]), ("ny", "0 7 * * 1-5", "America/New_York"))
    equal(len(result["next"]), 8)
    for local in result["local"]:
        assert local[10:] in ("T07:00:00-05:00", "T07:00:00-04:00"), local
    text = case.m("schedule", "next", "./ny.yaml", "-n", "2").exits(0).says("ny: 0 7 * * 1-5  America/New_York")
    equal(text.out.count("T07:00:00-0"), 2)
    push(case, "ny", NEVER % "America/New_York")
    equal(case.m("schedule", "next", "ny", "-n", "8", "-o", "json").exits(0).json()["next"], result["next"])
    equal(len(case.m("schedule", "next", "ny", "-n", "1000", "-o", "json").exits(0).json()["next"]), 1000)
    case.m("schedule", "next", "ny", "-n", "1001").exits(2)
    case.m("stop", "ny").exits(0)
    case.m("schedule", "next", "ny").exits(0).says("stopped")
    push(case, "plain", "tasks: [{id: a}]\n")
    case.m("schedule", "next", "plain").exits(5).says('dag "plain" has no schedule')
    case.m("schedule", "next", "plan").exits(5).says('did you mean "plain"')
    case.file("bad.yaml", NEVER % "America/New_york")
    for verb in (("validate",), ("push",), ("schedule", "next")):
        case.m(*verb, "./bad.yaml").exits(3).says("bad.yaml:1:43: error[E353]", 'did you mean "America/New_York"?')
    case.file("needs.yaml", "vars: {a: {required: true}}\n" + NEVER % "UTC")
    case.m("validate", "needs.yaml").exits(3).says("needs.yaml:1:8: error[E354]")


if __name__ == "__main__":
    main()
