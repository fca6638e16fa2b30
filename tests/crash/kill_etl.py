#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Goal: whenever the engine is killed, the ETL example comes to its end, no finished task runs again,
no attempt runs twice, nobody survives, and a resume shows itself within a second.

Method: start the run, `kill -9` it after a random time, look at the store and at who is alive, resume,
and perhaps kill that too; then check the result. The seed is printed and is the second argument.

usage: kill_etl.py [KILLS] [SEED]        KILLS: 20, or MILLRACE_TEST_KILLS
"""
import os
import random
import statistics
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../e2e"))
from harness import EXAMPLES, Case, equal, task_of, wait_until  # noqa: E402 pylint: disable=wrong-import-position

LINES = 100000
FIRST_SIGN_S = 1.0
# Two resumed runs in three are let go on, so that most rounds have one kill and some have several.
KILL_AGAIN = 1 / 3
# The engine gives a task up that was lost three times; one is never lost that often here.
KILLS_IN_A_ROUND = 2


def start(case, *args):
    """Starts the program; returns it and how long its first sign of life took."""
    process = case.start(*args, "--progress", "plain")
    # Once a kill hit after the last task, there is nothing to say: the end is a sign of life too.
    wait_until(lambda: process.err() or process.out() or not process.running(), "a sign of life")
    return process, time.monotonic() - process.started


def attempts_in_trace(case):
    """(task, attempt) of each attempt that began, as the tasks themselves wrote them."""
    return [tuple(line.split()) for line in case.read("trace").splitlines() if len(line.split()) == 2]


def finished(case, run):
    """Attempts of the tasks that the store knows as finished. It is read without going on."""
    document = case.show(run)
    return {t["id"]: t["attempts"] for t in document["tasks"] if t["status"] == "success"}


def one_round(rng, length, slowest):
    """Returns the number of kills and of attempts that they cut short; raises what went wrong."""
    case = Case()
    kills = 0
    try:
        process, _ = start(case, "run", os.path.join(EXAMPLES, "etl.yaml"), "-v", f"lines={LINES}", "-v", "work=out",
                           "-v", "trace_file=trace")
        run = process.run_id()
        while kills < KILLS_IN_A_ROUND and (kills == 0 or rng.random() < KILL_AGAIN):
            time.sleep(rng.random() * length)
            if not process.running():
                break
            process.kill()
            kills += 1
            before = finished(case, run)
            survivors = case.children()
            process, seconds = start(case, "run", "--resume")
            slowest.append(seconds)
            assert seconds < FIRST_SIGN_S, f"the first sign of life came after {seconds:.2f} s"
            wait_until(lambda: not set(survivors) & set(case.children()), "the end of the survivors", 20)  # pylint: disable=cell-var-from-loop
            after = {t["id"]: t["attempts"] for t in case.show(run)["tasks"]}
            for task, attempts in before.items():
                equal(after[task], attempts, f"attempts of {task}, which had finished")
        process.end().exits(0)
        document = case.show(run)
        equal(document["status"], "success")
        began = attempts_in_trace(case)
        equal(len(began), len(set(began)), "attempts that began, and different ones")
        for task in document["tasks"]:
            # An attempt may be lost before its command has written its line, never the other way.
            for name, attempt in began:
                assert name != task["id"] or int(attempt) <= task["attempts"], (name, attempt, task)
            assert task["attempts"] <= 1 + kills, task
        regions = task_of(document, "merge")["output"]
        equal(sum(r["count"] for r in regions.values()), LINES)
        equal(sum(r["sum"] for r in regions.values()), LINES // 1000 * 499500)
        wait_until(lambda: not case.children(), "the end of all processes", 5)
        case.m("store", "check").exits(0)
        return kills, sum(task["attempts"] - 1 for task in document["tasks"])
    finally:
        case.close()


def main():
    wanted = int(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("MILLRACE_TEST_KILLS", "20"))
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(1 << 32)
    print(f"{wanted} kills, seed {seed}", flush=True)
    rng, slowest = random.Random(seed), []

    # How long a run takes here, so that the kills spread over all of it.
    case = Case()
    try:
        length = case.m("run", os.path.join(EXAMPLES, "etl.yaml"), "-v", f"lines={LINES}", "-v", "work=out").exits(0).seconds
    finally:
        case.close()
    kills = rounds = lost = 0
    while kills < wanted:
        rounds += 1
        assert rounds < 4 * wanted + 20, "most runs end before the kill"
        try:
            killed, cut = one_round(rng, length, slowest)
            kills, lost = kills + killed, lost + cut
        except AssertionError as error:
            print(f"FAILED in round {rounds} after {kills} kills, seed {seed}:\n{error}")
            return 1
    print(f"{rounds} runs of {length:.2f} s, {kills} kills, {lost} attempts cut short; first sign of life after a resume: "
          f"median {statistics.median(slowest) * 1000:.0f} ms, slowest {max(slowest) * 1000:.0f} ms")
    return 0


if __name__ == "__main__":
    sys.exit(main())
