#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Goal: what a `run:` command is given, and what becomes of what it prints. Method: commands that
print what they see."""
import os

from harness import equal, has, main, task_of, wait_until


def run(case, text, *args, code=0, **more):
    return case.m("run", case.file("dag.yaml", text), "-o", "json", *args, **more).exits(code).json()


def output(case, command, mode="text", code=0):
    indented = "\n".join("      " + line for line in command.splitlines())
    return run(case, f"tasks:\n  - id: a\n    output: {mode}\n    run: |\n{indented}\n", code=code)["tasks"][0]["output"]


def test_folder(case):
    """The folder where `run` was called, wherever the file stands."""
    here = case.path("here")
    os.mkdir(here)
    file = case.file("dag.yaml", "tasks: [{id: a, run: pwd}]\n")
    equal(case.m("run", file, "-o", "json", cwd=here).exits(0).json()["tasks"][0]["output"], here)


def test_environment(case):
    """The owner's environment, then env:, then millrace's own."""
    document = run(case, """
tasks:
  - id: a
    env: {OWN: "set here", OVER: "by the task"}
    run: |
      printf '%s\\n' "$OWN" "$OVER" "$CALLER" "$MILLRACE_STORE" "$MILLRACE_RUN" "$MILLRACE_TASK" "$MILLRACE_ATTEMPT"
      test -n "$MILLRACE_IDEMPOTENCY_KEY"
""", env={"OVER": "by the caller", "CALLER": "seen"})
    equal(document["tasks"][0]["output"].split("\n"),
          ["set here", "by the task", "seen", case.store, document["id"], "a", "1"])


def test_idempotency_keys_differ_between_tasks(case):
    document = run(case, "tasks: [{id: a, run: 'echo $MILLRACE_IDEMPOTENCY_KEY'}, {id: b, run: 'echo $MILLRACE_IDEMPOTENCY_KEY'}]\n")
    assert task_of(document, "a")["output"] != task_of(document, "b")["output"]


def test_standard_input_is_empty(case):
    equal(output(case, "cat; echo end"), "end")


def test_process_group_and_signals(case):
    """A command has a group of its own and no signal is blocked or ignored in it."""
    equal(output(case, 'test "$(ps -o pgid= -p $$ 2>/dev/null || cut -d" " -f5 /proc/$$/stat)" -eq $$; '
                       "grep -E '^Sig(Blk|Ign)' /proc/self/status | tr -s '\\t ' ' '"),
          "SigBlk: 0000000000000000\nSigIgn: 0000000000000000")


def test_descriptors(case):
    """Nothing of the engine's is open in a command."""
    equal(output(case, "ls /proc/$$/fd | tr '\\n' ' '").split()[:3], ["0", "1", "2"])
    extra = [fd for fd in output(case, "ls -l /proc/$$/fd").split("\n") if "mdb" in fd or "sock" in fd or "/lock" in fd]
    equal(extra, [])


def test_output_as_text(case):
    """Standard output alone, without the newlines at its end."""
    equal(output(case, "printf 'a\\n\\nb\\n\\n\\n'; echo careful >&2"), "a\n\nb")
    equal(output(case, "true"), "")


def test_output_keeps_the_last_4_kib(case):
    text = output(case, "seq 1 20000")
    assert 4000 <= len(text.encode()) <= 4096, len(text)
    assert text.endswith("19999\n20000"), text[-20:]
    # Cut at a character, never inside one.
    euros = output(case, "for i in $(seq 3000); do printf '€'; done; printf x")
    assert len(euros.encode()) <= 4096 and set(euros[:-1]) == {"€"} and euros[-1] == "x", euros[:20]


def test_output_that_is_no_text(case):
    """Bytes that are no UTF-8, and NUL, which ends texts in C."""
    equal(output(case, "printf 'a\\377b\\000c\\303'"), "a\ufffdb\ufffdc\ufffd")


def test_output_as_json(case):
    equal(output(case, """printf ' {"a": [1, 2.5, "é", null, 9223372036854775807]} \\n'""", "json"),
          {"a": [1, 2.5, "é", None, 9223372036854775807]})
    equal(output(case, "echo 7", "json"), 7)
    for wrong in ("true", "echo '{} {}'", "echo '{'", "echo nothing"):
        document = run(case, f"tasks:\n  - id: a\n    output: json\n    run: {wrong!r}\n", code=1)
        task = document["tasks"][0]
        equal((task["status"], task["output"]), ("failed", None), wrong)
        has(task["reason"], "JSON")
    # What it printed is in the log all the same.
    has(case.m("logs", "-", "a").exits(0).out, "nothing")


def test_output_none(case):
    equal(output(case, "echo something", "none"), None)
    has(case.m("logs", "-", "a").exits(0).out, "something")


def test_a_failed_task_keeps_no_output(case):
    document = run(case, "tasks: [{id: a, run: 'echo something; exit 4'}]\n", code=1)
    equal(document["tasks"][0]["reason"], "exit 4")


def test_large_logs_are_bounded(case):
    """50 MB of output do not stop the command, and the end of it is kept."""
    case.m("run", case.file("dag.yaml", "tasks: [{id: a, run: 'seq 1 6000000'}]\n"), timeout=120).exits(0)
    log = case.m("logs", "-", "a").exits(0).out
    assert len(log) < 6 << 20, len(log)
    assert log.rstrip().endswith("6000000"), log[-100:]
    assert os.path.getsize(os.path.join(case.store, "data.mdb")) < 64 << 20


def test_both_streams_go_to_the_log_while_it_runs(case):
    case.start("run", case.file("dag.yaml", "tasks: [{id: a, run: 'echo one; echo two >&2; printf three; sleep 30'}]\n")).run_id()
    wait_until(lambda: all(w in case.m("logs", "-", "a").out for w in ("one", "two", "three")), "the log")


def test_many_processes(case):
    """2,000 short commands: none is lost, none is left, no descriptor leaks."""
    text = "tasks:\n" + "".join(f"  - {{id: t{i}, run: ':'}}\n" for i in range(2000))
    document = run(case, text, timeout=120)
    equal({t["status"] for t in document["tasks"]}, {"success"})
    equal(case.children(), [])


if __name__ == "__main__":
    main()
