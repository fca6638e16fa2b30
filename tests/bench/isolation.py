#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""What isolation costs a task.

Goal: the time of a task whose action does nothing, beyond what it takes in the engine. Method: the
same dag of TASKS tasks, isolated and not, one after the other, ROUNDS times, and the medians. The
store lies in memory (/dev/shm), since what is to be seen is not the disk: a worker's action and an
isolated one are begun when their start is durable, a loop's at once.

usage: isolation.py [TASKS [ROUNDS]]
"""
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

BUILD = os.environ.get("MILLRACE_TEST_BUILD", "build")
PROGRAM = os.path.join(BUILD, "sdk/cli/millrace")
PLUGINS = os.path.join(BUILD, "tests/e2e/native")


def measure(folder, action, isolation, jobs, tasks):
    """Seconds of one run, and of the processors that it took, host processes included."""
    path = os.path.join(folder, "dag.yaml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"id: bench\nisolation: {isolation}\ntasks:\n")
        file.writelines(f"  - {{id: t{i}, action: {action}}}\n" for i in range(tasks))
    store = os.path.join(folder, "store")
    used, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run([PROGRAM, "run", "-q", "-j", str(jobs), "--plugins", PLUGINS, "--store", store, path], check=True,
                   stdout=subprocess.DEVNULL)
    seconds = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    shutil.rmtree(store)
    return seconds, after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime


def main():
    tasks = int(sys.argv[1]) if len(sys.argv) > 1 else 10000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        for jobs in (1, 4, 64):
            kinds = [("noop", "none"), ("noop", "process"), ("idle", "none"), ("idle", "process")]
            times = {kind: [] for kind in kinds}
            for _ in range(rounds):
                for kind in kinds:
                    times[kind].append(measure(folder, *kind, jobs, tasks))
            for what, i in (("elapsed", 0), ("processor", 1)):
                noop, noop_apart, idle, idle_apart = [
                    statistics.median(t[i] for t in times[kind]) * 1e6 / tasks for kind in kinds]
                print(f"-j {jobs}: {what} us a task: loop {noop:.1f}, isolated {noop_apart:.1f} ({noop_apart - noop:+.1f}); "
                      f"worker {idle:.1f}, isolated {idle_apart:.1f} ({idle_apart - idle:+.1f})", flush=True)


if __name__ == "__main__":
    main()
