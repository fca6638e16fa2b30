#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Goal: serve holds the store, goes on with what is unfinished, and keeps a folder of dags pushed.
Method: files are written, spoiled, moved and removed under a serving process, which is also killed,
terminated and run beside another one."""
import os
import shutil
import signal

from harness import equal, has, main, wait_until

ONE = "id: deploy\ntasks: [{id: a, run: echo one}]\n"
TWO = "id: deploy\ntasks: [{id: a, run: echo two}]\n"
BAD = "id: deploy\ntasks: [{id: a, run: echo, dependon: [b]}]\n"
HOLD = "onLost: retry\ntasks: [{id: a, run: 'echo up >>trace; while [ ! -e go ]; do sleep 0.02; done; echo done'}]\n"


def folder(case, **files):
    """A folder of dag files: name -> text."""
    os.makedirs(case.path("work/dags"), exist_ok=True)
    for name, text in files.items():
        case.file(f"dags/{name}.yaml", text)


def serve(case, *args):
    """A serving process that is ready."""
    process = case.start("serve", *args)
    wait_until(lambda: "serving " in process.err() or not process.running(), "serve to be ready")
    assert process.running(), process.err()
    return process


def dags(case):
    return {dag["id"]: dag for dag in case.m("dags", "-o", "json").exits(0).json()}


def output(case, dag):
    return case.m("run", dag, "-o", "json").exits(0).json()["tasks"][0]["output"]


def test_the_folder_at_the_start(case):
    folder(case, deploy=ONE)
    os.makedirs(case.path("work/dags/deep/deeper"))
    case.file("dags/deep/deeper/inner.yml", "tasks: [{id: a, run: pwd}]\n")
    case.file("dags/deep/third.json", '{"tasks": [{"id": "a", "run": "echo json"}]}')
    case.file("dags/notes.txt", "not a dag\n")
    case.file("dags/.hidden.yaml", ONE)
    process = serve(case, "--dags", "dags")
    has(process.err(), "3 dags, 0 unfinished runs")
    rows = dags(case)
    equal(sorted(rows), ["deploy", "inner", "third"])
    equal((rows["deploy"]["file"], rows["deploy"]["folder"], rows["deploy"]["problem"]),
          (case.path("work/dags/deploy.yaml"), case.path("work/dags"), None))
    equal(output(case, "inner"), case.path("work/dags/deep/deeper"))
    equal(output(case, "third"), "json")
    process.kill(signal.SIGTERM).end().exits(143)
    # What was pushed stays.
    equal(output(case, "deploy"), "one")
    case.m("store", "check").exits(0)


def test_a_changed_file(case):
    folder(case, deploy=ONE)
    process = serve(case, "--dags", "dags")
    first = dags(case)["deploy"]["version"]
    folder(case, deploy=TWO)
    wait_until(lambda: dags(case)["deploy"]["version"] != first, "the new version")
    equal(output(case, "deploy"), "two")
    # As editors do it: written beside, and renamed over the old one.
    case.file("dags/.deploy.yaml.new", ONE)
    os.rename(case.path("work/dags/.deploy.yaml.new"), case.path("work/dags/deploy.yaml"))
    wait_until(lambda: dags(case)["deploy"]["version"] == first, "the first version again")
    equal(process.err().count("new version"), 3)


def test_new_files_and_folders(case):
    folder(case)
    process = serve(case, "--dags", "dags")
    has(process.err(), "0 dags")
    folder(case, one=ONE)
    wait_until(lambda: "deploy" in dags(case), "the first dag")
    os.makedirs(case.path("work/dags/sub/deep"))
    case.file("dags/sub/deep/two.yaml", "tasks: [{id: a, run: echo two}]\n")
    wait_until(lambda: "two" in dags(case), "a file in a new folder")
    case.file("dags/sub/deep/three.yaml", "tasks: [{id: a, run: echo three}]\n")
    wait_until(lambda: "three" in dags(case), "another one, later")
    # A whole folder that comes from elsewhere.
    os.makedirs(case.path("work/moved"))
    case.file("moved/four.yaml", "tasks: [{id: a, run: echo four}]\n")
    os.rename(case.path("work/moved"), case.path("work/dags/moved"))
    wait_until(lambda: "four" in dags(case), "a folder that was moved here")
    case.file("dags/moved/five.yaml", "tasks: [{id: a, run: echo five}]\n")
    wait_until(lambda: "five" in dags(case), "a file in it")


def test_a_bad_file_leaves_the_last_good_version(case):
    folder(case, deploy=ONE, other=BAD.replace("deploy", "other"))
    process = serve(case, "--dags", "dags")
    place = case.path("work/dags/other.yaml")
    has(process.err(), f"{place}:2:28: error[E102]", "did you mean")
    rows = case.m("dags", "-o", "json").exits(0).json()
    equal([(r["id"], r["file"]) for r in rows if r["problem"]], [(None, place)])
    folder(case, deploy=BAD)
    row = wait_until(lambda: dags(case)["deploy"]["problem"] and dags(case)["deploy"], "the problem")
    has(row["problem"], case.path("work/dags/deploy.yaml:2:28: unknown key"))
    has(case.m("dags").exits(0).out, "unknown key")
    equal(output(case, "deploy"), "one")
    folder(case, deploy=TWO, other=ONE.replace("deploy", "other"))
    wait_until(lambda: all(r["problem"] is None for r in case.m("dags", "-o", "json").json()), "all well again")
    equal(output(case, "deploy"), "two")
    equal(output(case, "other"), "one")


def test_a_removed_file(case):
    folder(case, deploy=ONE)
    process = serve(case, "--dags", "dags")
    os.unlink(case.path("work/dags/deploy.yaml"))
    wait_until(lambda: "is gone: dag deploy stays" in process.err(), "the notice")
    equal(output(case, "deploy"), "one")
    assert process.running()


def test_two_files_of_one_dag(case):
    """The one that came first counts, until it is gone."""
    folder(case, deploy=ONE)
    process = serve(case, "--dags", "dags")
    folder(case, second=TWO)
    wait_until(lambda: "stands in" in process.err(), "the problem")
    equal(output(case, "deploy"), "one")
    os.unlink(case.path("work/dags/deploy.yaml"))
    wait_until(lambda: dags(case)["deploy"]["file"].endswith("second.yaml"), "the second file")
    equal(output(case, "deploy"), "two")


def test_stop_outlives_serve(case):
    """What a person said of a dag is not undone because its unchanged file is read again."""
    folder(case, deploy=ONE)
    process = serve(case, "--dags", "dags")
    case.m("stop", "deploy").exits(0)
    process.kill(signal.SIGTERM).end().exits(143)
    process = serve(case, "--dags", "dags")
    equal(dags(case)["deploy"]["status"], "stopped")
    case.m("run", "deploy").exits(6)
    assert "new version" not in process.err(), process.err()


def test_detach_and_other_terminals(case):
    case.file("hold.yaml", HOLD)
    case.m("run", "hold.yaml", "--detach").exits(7)
    serve(case)
    run = case.m("run", "hold.yaml", "--detach").exits(0).run_id()
    wait_until(lambda: case.read("trace"), "the run")
    equal([r["id"] for r in case.m("ps", "-o", "json").exits(0).json()], [run])
    follower = case.start("wait", run)
    case.file("go", "")
    follower.end().exits(0)
    equal(case.show(run)["tasks"][0]["output"], "done")


def test_a_killed_serve_goes_on_when_it_is_started_again(case):
    folder(case, hold=HOLD)
    process = serve(case, "--dags", "dags")
    run = case.m("run", "hold", "--detach").exits(0).run_id()
    wait_until(lambda: case.read("dags/trace"), "the run")
    process.kill()
    process = serve(case, "--dags", "dags")
    has(process.err(), "1 unfinished run\n")
    wait_until(lambda: case.read("dags/trace").count("up") == 2, "the second attempt")
    case.file("dags/go", "")
    case.m("wait", run).exits(0)
    process.kill(signal.SIGTERM).end().exits(143)
    case.m("store", "check").exits(0)


def test_signals_leave_runs_resumable(case):
    case.file("hold.yaml", HOLD)
    for number, code in ((signal.SIGTERM, 143), (signal.SIGHUP, 143), (signal.SIGINT, 130)):
        process = serve(case)
        run = case.m("run", "hold.yaml", "--detach").exits(0).run_id()
        wait_until(case.shells, "the run")
        process.kill(number).end().exits(code).says("unfinished runs stay resumable")
        equal(case.children(), [])
        case.file("go", "")
        process = serve(case)
        case.m("wait", run).exits(0)
        process.kill(signal.SIGTERM).end().exits(143)
        os.unlink(case.path("work/go"))


def test_a_folder_that_is_made_again(case):
    """The served folder itself, one in it, and a link that is swapped for another."""
    folder(case, deploy=ONE)
    process = serve(case, "--dags", "dags")
    shutil.rmtree(case.path("work/dags"))
    wait_until(lambda: "No such file or directory" in process.err(), "the folder to be missed")
    folder(case, deploy=TWO)
    wait_until(lambda: output(case, "deploy") == "two", "the folder to be read again")
    for text in ("one", "two"):  # of one name, within a moment
        os.makedirs(case.path("work/fresh"))
        case.file("fresh/inner.yaml", f"tasks: [{{id: a, run: echo {text}}}]\n")
        shutil.rmtree(case.path("work/dags/sub"), ignore_errors=True)
        os.rename(case.path("work/fresh"), case.path("work/dags/sub"))
        wait_until(lambda: "inner" in dags(case) and output(case, "inner") == text, "the folder in it")
    case.file("dags/sub/inner.yaml", "tasks: [{id: a, run: echo three}]\n")
    wait_until(lambda: output(case, "inner") == "three", "a file in the folder of that name")
    process.kill(signal.SIGTERM).end().exits(143)

    for name in ("blue", "green"):
        os.makedirs(case.path(f"work/{name}"))
        case.file(f"{name}/which.yaml", f"tasks: [{{id: a, run: echo {name}}}]\n")
    os.symlink("blue", case.path("work/current"))
    process = serve(case, "--dags", "current")
    equal(output(case, "which"), "blue")
    os.symlink("green", case.path("work/next"))
    os.rename(case.path("work/next"), case.path("work/current"))
    wait_until(lambda: output(case, "which") == "green", "the other folder")
    case.file("green/which.yaml", "tasks: [{id: a, run: echo red}]\n")
    wait_until(lambda: output(case, "which") == "red", "a change in the other folder")
    process.kill(signal.SIGTERM).end().exits(143)


def test_serve_waits_for_its_turn(case):
    """Beside another owner, and beside another serve, it takes over as soon as it can."""
    case.file("hold.yaml", HOLD)
    folder(case, deploy=ONE)
    owner = case.start("run", "hold.yaml")
    wait_until(lambda: case.read("trace"), "the run")
    process = case.start("serve", "--dags", "dags")
    wait_until(lambda: f"process {owner.pid} holds the store" in process.err(), "the notice")
    case.file("go", "")
    owner.end().exits(0)
    wait_until(lambda: "serving " in process.err(), "its turn")
    equal(output(case, "deploy"), "one")
    second = case.start("serve", "--dags", "dags")
    wait_until(lambda: f"process {process.pid} holds the store" in second.err(), "the second notice")
    process.kill()
    wait_until(lambda: "serving " in second.err(), "the second one's turn")
    equal(output(case, "deploy"), "one")
    second.kill(signal.SIGTERM).end().exits(143)


def test_lines_of_json(case):
    folder(case, deploy=ONE, bad=BAD)
    process = case.start("serve", "--dags", "dags", "-o", "jsonl")
    wait_until(lambda: '"serving"' in process.out(), "serve to be ready")
    process.kill(signal.SIGTERM)
    lines = process.end().exits(143).lines()
    equal(sorted(key for line in lines for key in line), ["problem", "pushed", "serving"])
    problem = next(line["problem"] for line in lines if "problem" in line)
    equal((problem["file"], problem["errors"][0]["code"]), (case.path("work/dags/bad.yaml"), "E102"))


def test_what_cannot_be_served(case):
    case.m("serve", "--dags", "nowhere").exits(5).says("nowhere")
    case.m("serve", "--listen", "x").exits(2)
    case.m("serve", "extra").exits(2)
    case.file("plain", "")
    case.m("serve", "--dags", "plain").exits(5).says("plain: Not a directory")


if __name__ == "__main__":
    main()
