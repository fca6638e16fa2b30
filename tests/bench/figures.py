#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""What things cost, in figures for a person; nothing here passes or fails.

    tests/bench/figures.py [BUILD] [--old OLD_PROGRAM] [--rounds N]

A Lua condition (100,000 noop tasks with a skipIf each beside the same without: the run itself from
its first task to its end, and the whole command with the check of the scripts), a fan-out of 10,000
items, and, with the program of an older commit, `bench` of both, alternately: ratios of
what was measured in the same minutes on the same machine.
"""
import argparse
import datetime
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time

TASKS = 100000
ITEMS = 10000


def run(program, folder, text, *words):
    """Seconds of the whole command, and of the run from its first task to its end."""
    path = os.path.join(folder, "dag.yaml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    shutil.rmtree(os.path.join(folder, "store"), ignore_errors=True)
    env = dict(os.environ, MILLRACE_STORE=os.path.join(folder, "store"))
    started = time.monotonic()
    subprocess.run([program, "run", path, "-q", "--progress", "none", *words], env=env, stdout=subprocess.DEVNULL, check=True)
    seconds = time.monotonic() - started
    out = subprocess.run([program, "runs", "-o", "json"], env=env, stdout=subprocess.PIPE, check=True).stdout
    at = [datetime.datetime.fromisoformat(json.loads(out)[0][key].replace("Z", "+00:00")) for key in ("startedAt", "endedAt")]
    return seconds, (at[1] - at[0]).total_seconds()


def bench(program, folder):
    """Tasks per second of the default shape."""
    env = dict(os.environ, MILLRACE_STORE=os.path.join(folder, "bench"))
    out = subprocess.run([program, "bench", "-o", "json"], env=env, stdout=subprocess.PIPE, check=True).stdout
    return json.loads(out)["tasks_per_second"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", nargs="?", default="build")
    parser.add_argument("--old")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    program = os.path.join(options.build, "sdk/cli/millrace")
    folder = tempfile.mkdtemp(prefix="mr-figures-")
    try:
        texts = {"no condition": "", "one skipIf": ", skipIf: vars.n == 4", "a skipIf of its own": ", skipIf: vars.n == %d"}
        seconds = {name: [] for name in texts}
        for _ in range(options.rounds):
            for name, more in texts.items():
                tasks = (f"  - {{id: t{i}, action: noop{more % (i + 4) if '%d' in more else more}}}\n" for i in range(TASKS))
                text = "vars: {n: {type: int, defaultValue: 3}}\ntasks:\n" + "".join(tasks)
                seconds[name].append(run(program, folder, text))
        base = [statistics.median(column) for column in zip(*seconds["no condition"])]
        for name, rows in seconds.items():
            whole, inside = (statistics.median(column) for column in zip(*rows))
            print(f"{TASKS} tasks, {name}: run {inside:.2f} s (+{inside - base[1]:.2f}), command {whole:.2f} s (+{whole - base[0]:.2f})")
        items = f"(function() local l = {{}} for i = 1, {ITEMS} do l[i] = i end return l end)()"
        for what, words in (("", ()), (", action: noop", ()), (", lua: return item", ("-j", "512"))):
            rows = [run(program, folder, f"tasks: [{{id: a, forEach: \"{items}\"{what}}}]\n", *words) for _ in range(options.rounds)]
            print(f"forEach of {ITEMS}{what or ', gates'} {' '.join(words)}: command {statistics.median(r[0] for r in rows):.2f} s")
        if options.old:
            pairs = [(bench(options.old, folder), bench(program, folder)) for _ in range(options.rounds)]
            print("bench, old and new:", ", ".join(f"{a / 1e6:.2f} M/s {b / 1e6:.2f} M/s" for a, b in pairs))
            print(f"ratio new to old: {statistics.median(b / a for a, b in pairs):.3f} "
                  f"({', '.join(f'{b / a:.2f}' for a, b in pairs)})")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
