#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Goal: file-write, file-copy and file-checksum do what plugins/file/README.md says; what is written is there whole
or not at all, also after a cancel, a full disk and `kill -9`. Method: through the program; the sums are
Python's own; large files are sparse ones."""
import hashlib
import json
import os
import resource
import signal
import subprocess

from harness import Skip, equal, has, main, statuses, task_of, wait_until

GIB = 1 << 30


def do(case, tasks, env=None):
    """Runs the tasks beside each other; {id: (action, params)}. Returns them as they ended."""
    dag = {"tasks": [{"id": i, "action": "file-" + action, "params": params} for i, (action, params) in tasks.items()]}
    result = case.m("run", case.file("dag.json", json.dumps(dag)), "-o", "json", env=env)
    assert result.code in (0, 1), result
    return {task["id"]: task for task in result.json()["tasks"]}


def output(task):
    equal(task["status"], "success", f"the status of {task}")
    return task["output"]


def failed(tasks, wanted):
    for name, reason in wanted.items():
        equal(tasks[name]["status"], "failed", f"{name}, {tasks[name]}")
        has(tasks[name]["reason"], reason)


def told(case, name, content):
    return {"path": os.path.join(case.work, name), "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def content(case, name):
    with open(os.path.join(case.work, name), "rb") as file:
        return file.read()


def mode(case, name):
    return os.stat(os.path.join(case.work, name)).st_mode & 0o7777


def litter(case):
    return [n for n in os.listdir(case.work) if n.startswith(".millrace-")]


def sparse(case, name, size):
    path = case.file(name, "")
    os.truncate(path, size)
    return path


def test_write(case):
    case.file("old", "a longer text that was there before")
    os.chmod(os.path.join(case.work, "old"), 0o640)
    value = {"n": 9007199254740993, "list": [1.5, None, "ä\n"], "empty": {}}
    tasks = do(case, {
        "text": ("write", {"path": "text", "text": "käse\n"}), "empty": ("write", {"path": "empty", "text": ""}),
        "json": ("write", {"path": "json", "json": value}), "false": ("write", {"path": "false", "json": False}),
        "old": ("write", {"path": case.work + "/old", "text": "short"}), "number": ("write", {"path": "number", "text": 7}),
        "mode": ("write", {"path": "mode", "text": "x", "mode": "0600"}),
        "digits": ("write", {"path": "digits", "text": "x", "mode": 755}),
    })
    for name, text in (("text", "käse\n"), ("empty", ""), ("old", "short"), ("number", "7"), ("false", "false\n")):
        equal(content(case, name), text.encode(), name)
        equal(output(tasks[name]), told(case, name, text.encode()))
    equal(json.loads(content(case, "json")), value)
    equal(output(tasks["json"]), told(case, "json", content(case, "json")))
    equal([mode(case, n) for n in ("old", "mode", "digits")], [0o640, 0o600, 0o755])
    equal(litter(case), [])


def test_mode_as_yaml_writes_it(case):
    case.file("dag.yaml", "tasks: [{id: a, action: file-write, params: {path: a, text: x, mode: 0604}}]\n")
    case.m("run", "dag.yaml").exits(0)
    equal(mode(case, "a"), 0o604)


def test_copy_and_checksum(case):
    data = os.urandom(3 * (1 << 20) + 1)
    with open(os.path.join(case.work, "from"), "wb") as file:
        file.write(data)
    os.chmod(os.path.join(case.work, "from"), 0o640)
    os.symlink("from", os.path.join(case.work, "link"))
    case.file("old", "old")
    os.chmod(os.path.join(case.work, "old"), 0o604)
    good, bad = hashlib.sha256(data).hexdigest(), "0" * 64
    tasks = do(case, {
        "new": ("copy", {"from": "link", "to": "new"}), "old": ("copy", {"from": "from", "to": "old", "expect": good.upper()}),
        "wrong": ("copy", {"from": "from", "to": "wrong", "expect": bad}), "self": ("copy", {"from": "from", "to": "from"}),
        "sum": ("checksum", {"path": "link", "expect": good}), "other": ("checksum", {"path": "from", "expect": bad}),
        "empty": ("checksum", {"path": "dag.json"}),
    })
    for name in ("new", "old"):
        equal(output(tasks[name]), told(case, name, data))
        assert content(case, name) == data, name
    equal(output(tasks["self"]), told(case, "from", data))
    equal([mode(case, n) for n in ("new", "old")], [0o640, 0o604])
    equal(output(tasks["sum"]), told(case, "link", data))
    equal(output(tasks["empty"])["sha256"], hashlib.sha256(content(case, "dag.json")).hexdigest())
    failed(tasks, dict.fromkeys(("wrong", "other"), f"has the SHA-256 {good}, not {bad}"))
    assert not os.path.exists(os.path.join(case.work, "wrong"))
    equal(litter(case), [])


def test_what_is_refused(case):
    case.file("file", "kept")
    os.mkdir(os.path.join(case.work, "sub"))
    os.symlink("file", os.path.join(case.work, "link"))
    os.mkfifo(os.path.join(case.work, "fifo"))
    tasks = do(case, {
        "folder": ("write", {"path": "sub", "text": "x"}), "link": ("copy", {"from": "file", "to": "link"}),
        "parent": ("write", {"path": "none/a", "text": "x"}), "gone": ("copy", {"from": "none", "to": "a"}),
        "fifo": ("copy", {"from": "fifo", "to": "a"}), "from": ("checksum", {"path": "sub"}),
        "device": ("checksum", {"path": "/dev/zero"}), "full": ("write", {"path": "/dev/full", "text": "x"}),
        "no": ("write", {"path": "", "text": "x"}),
        "both": ("write", {"path": "a", "text": "x", "json": 1}), "neither": ("write", {"path": "a"}),
        "mode": ("write", {"path": "a", "text": "x", "mode": "rw"}), "long": ("write", {"path": "a", "text": "x", "mode": "00644"}),
        "expect": ("checksum", {"path": "file", "expect": "abc"}),
    })
    failed(tasks, {
        "folder": "/sub is a folder", "link": "is a symbolic link: name the file that it leads to",
        "parent": "none/a cannot be written: its folder is not there", "gone": "none cannot be read: No such file",
        "fifo": "fifo is no regular file", "from": "/sub is a folder", "device": "/dev/zero is no regular file",
        "full": "/dev/full is no regular file", "no": "path: is empty",
        "both": "one of text and json", "neither": "one of text and json", "mode": "no mode such as 0644",
        "long": "no mode such as 0644", "expect": "no SHA-256",
    })
    equal(content(case, "file"), b"kept")
    assert not os.path.exists(os.path.join(case.work, "a"))
    equal(litter(case), [])


def test_a_limit_of_file_sizes(case):
    """The owner's own files are smaller than the limit; SIGXFSZ ends nobody."""
    case.file("old", "old")
    sparse(case, "from", 300 << 20)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200 << 20, hard))
    try:
        tasks = do(case, {"a": ("copy", {"from": "from", "to": "old"})})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    failed(tasks, {"a": "/old cannot be written: File too large"})
    equal((content(case, "old"), litter(case)), (b"old", []))


def test_a_full_disk(case):
    disk = os.path.join(case.work, "disk")
    os.mkdir(disk)
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", disk], check=False,
                                           stderr=subprocess.DEVNULL).returncode != 0:
        raise Skip("a small disk cannot be mounted")
    try:
        case.file("disk/old", "old")
        sparse(case, "from", 2 << 20)
        tasks = do(case, {"copy": ("copy", {"from": "from", "to": "disk/old"}),
                          "write": ("write", {"path": "disk/new", "text": "x" * (2 << 20)})})
        failed(tasks, {"copy": "disk/old cannot be written: No space left", "write": "disk/new cannot be written: No space left"})
        equal(os.listdir(disk), ["old"])
        equal(content(case, "disk/old"), b"old")
    finally:
        subprocess.run(["umount", disk], check=True)


def test_cancel(case):
    """A timeout ends a long copy soon; the old content stays, and nothing else does."""
    case.file("old", "old")
    sparse(case, "from", 64 * GIB)
    case.file("dag.yaml", "tasks: [{id: a, timeout: 300ms, action: file-copy, params: {from: from, to: old}}]\n")
    result = case.m("run", "dag.yaml", "-o", "json").exits(1)
    equal(task_of(result.json(), "a")["reason"], "timed out after 300ms")
    assert result.seconds < 20, result.seconds
    equal((content(case, "old"), litter(case)), (b"old", []))


def test_progress(case):
    sparse(case, "from", 64 * GIB)
    case.file("dag.yaml", "tasks: [{id: a, action: file-checksum, params: {path: from}, heartbeat: 10s}]\n")
    run = case.start("run", "dag.yaml")
    fraction = wait_until(lambda: run.out() and task_of(case.show(run.run_id()), "a").get("progress", {}).get("fraction"),
                          "its progress")
    assert 0 < fraction < 1, fraction
    run.kill(signal.SIGINT).end().exits(130)


def test_killed_while_it_copies(case):
    """The old content stays until the next attempt has the new one; what the first left is gone then."""
    case.file("old", "old")
    sparse(case, "from", 512 << 20)
    case.file("dag.yaml", "tasks: [{id: a, action: file-copy, params: {from: from, to: old}}]\n")
    case.file(".millrace-somebody.tmp", "")
    owner = case.start("run", "dag.yaml")
    wait_until(lambda: len(litter(case)) == 2, "the new file")
    owner.kill()
    equal((content(case, "old"), len(litter(case))), (b"old", 2))
    run = case.m("run", "--resume", "-o", "json").exits(0).json()
    equal((task_of(run, "a")["attempts"], task_of(run, "a")["output"]["bytes"]), (2, 512 << 20))
    equal((os.path.getsize(os.path.join(case.work, "old")), litter(case)), (512 << 20, [".millrace-somebody.tmp"]))


def test_in_a_dag(case):
    """Outputs are there for templates; all three may be repeated."""
    case.file("dag.yaml", """tasks:
  - {id: write, action: file-write, params: {path: a.json, json: {list: "{{ {1, 2} }}"}}}
  - {id: copy, dependOn: [write], action: file-copy, params: {from: "{{ tasks.write.output.path }}", to: b.json, expect: "{{ tasks.write.output.sha256 }}"}}
""")
    equal(set(statuses(case.m("run", "dag.yaml", "-o", "json").exits(0).json()).values()), {"success"})
    equal(content(case, "b.json"), b'{"list":[1,2]}\n')
    for name in ("file-write", "file-copy", "file-checksum"):
        equal(case.m("actions", name, "-o", "json").exits(0).json()[0]["idempotent"], True)


if __name__ == "__main__":
    main()
