#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Goal: a store that cannot be used is refused with exit 7 and a reason, and never harmed; a full one
takes no new run but loses nothing. Method: spoil a store's folder in every way, then use it."""
import contextlib
import os
import shutil
import stat
import subprocess

from harness import Skip, equal, has, main, statuses, store_children, wait_until

DAG = "tasks: [{id: a, run: echo fine}]\n"
HOLD = "onLost: retry\ntasks: [{id: a, run: 'echo up >>trace; while [ ! -e go ]; do sleep 0.05; done; echo done'}, {id: b, dependOn: [a]}]\n"


def refused(case, *words, store=None):
    """`run` and `ps` both end with 7, say why and print nothing."""
    file = case.file("dag.yaml", DAG)
    for args in (["run", file], ["ps"]):
        result = case.m("--store", store or case.store, *args).exits(7).says(*words)
        equal(result.out, "")
    case.m("--store", store or case.store, "run", file, "-o", "json").exits(7).json()


@contextlib.contextmanager
def mounted(case, options):
    """A file system of its own in the case's folder; needs root."""
    place = case.path("mount")
    os.mkdir(place)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "millrace-test", place], check=False,
                      stderr=subprocess.DEVNULL).returncode != 0:
        raise Skip("cannot mount")
    try:
        yield place
    finally:
        for process in case.background:
            if process.running():
                process.kill()
        subprocess.run(["umount", "-l", place], check=False)


def test_a_file(case):
    with open(case.store, "w", encoding="utf-8") as file:
        file.write("not a folder")
    refused(case, case.store)
    with open(case.store, encoding="utf-8") as file:
        equal(file.read(), "not a folder")


def test_a_folder_that_others_may_write(case):
    case.m("run", case.file("dag.yaml", DAG)).exits(0)
    os.chmod(case.store, 0o777)
    refused(case, case.store)
    os.chmod(case.store, 0o700)
    case.m("show").exits(0)


def test_a_read_only_folder(case):
    if os.geteuid() == 0:
        with mounted(case, "size=4m,mode=0755") as place:
            subprocess.run(["mount", "-o", "remount,ro", place], check=True)
            refused(case, "store", store=os.path.join(place, "store"))
    else:
        os.mkdir(case.store)
        os.chmod(case.store, 0o500)
        refused(case, "store")
        os.chmod(case.store, 0o700)


def test_garbage(case):
    case.m("run", case.file("dag.yaml", DAG)).exits(0)
    data = os.path.join(case.store, "data.mdb")
    for content in (b"x" * 65536, os.urandom(65536), b"\0" * 65536, b"short"):
        with open(data, "wb") as file:
            file.write(content)
        refused(case, "data.mdb")
        with open(data, "rb") as file:
            equal(file.read(), content, "the refused file")


def test_a_cut_off_store(case):
    """Half of the file is gone: an error, never a crash."""
    case.m("run", case.file("dag.yaml", "tasks:\n" + "".join(f"  - {{id: t{i}, run: echo {i}}}\n" for i in range(100)))).exits(0)
    data = os.path.join(case.store, "data.mdb")
    with open(data, "r+b") as file:
        file.truncate(os.path.getsize(data) // 2 // 4096 * 4096)
    result = case.m("show", "-o", "json")
    assert result.code in (0, 7), f"{result}"
    assert case.m("store", "check").code in (1, 7), "the check finds nothing"


def test_flipped_bits_are_found(case):
    """A byte of a stored text is changed behind the engine's back: the checksum says so."""
    case.m("run", case.file("dag.yaml", "tasks: [{id: a, run: echo needle-in-a-haystack}]\n")).exits(0)
    case.m("store", "check").exits(0)
    data = os.path.join(case.store, "data.mdb")
    with open(data, "rb") as file:
        content = bytearray(file.read())
    place, count = content.find(b"needle-in-a-haystack"), 0
    while place >= 0:
        content[place] ^= 1
        count += 1
        place = content.find(b"needle-in-a-haystack", place)
    assert count > 0
    with open(data, "wb") as file:
        file.write(content)
    result = case.m("store", "check", "-o", "json")
    assert result.code == 7 and "error" in result.out, f"{result}"


def test_a_folder_without_a_home(case):
    case.env.pop("MILLRACE_STORE")
    result = case.m("run", case.file("dag.yaml", DAG), env={"HOME": "", "XDG_STATE_HOME": ""})
    assert result.code in (0, 7), f"{result}"


def test_a_long_path(case):
    """A socket's path has 107 bytes at most; a store's may be longer, or is refused in words."""
    store = case.path("/".join(["a-rather-long-name-of-a-folder"] * 6))
    case.stores.append(store)
    result = case.m("--store", store, "run", case.file("dag.yaml", DAG))
    assert result.code in (0, 7) and result.err, f"{result}"
    if result.code == 0:
        case.start("--store", store, "run", case.file("hold.yaml", HOLD))
        wait_until(lambda: case.read("trace"), "the run")
        equal(len(case.m("--store", store, "ps", "-o", "json").exits(0).json()), 1)


def test_a_relative_store(case):
    case.stores.append(case.path("work/near"))
    document = case.m("--store", "near", "run", case.file("dag.yaml", "tasks: [{id: a, run: 'echo $MILLRACE_STORE'}]\n"),
                      "-o", "json").exits(0).json()
    equal(document["tasks"][0]["output"], case.path("work/near"))


def test_rights_of_new_files(case):
    os.umask(0)
    try:
        case.m("run", case.file("dag.yaml", DAG)).exits(0)
    finally:
        os.umask(0o022)
    for path in [case.store] + [os.path.join(case.store, n) for n in os.listdir(case.store)]:
        equal(stat.S_IMODE(os.stat(path).st_mode) & 0o077, 0, f"rights of others on {path}")


def test_stats_and_check(case):
    case.m("run", case.file("dag.yaml", DAG)).exits(0)
    stats = case.m("store", "stats", "-o", "json").exits(0).json()
    has(str(stats), "LMDB", case.store)
    has(case.m("store", "stats").exits(0).out, "LMDB")
    case.m("store", "check").exits(0)
    case.m("store", "check", case.store).exits(0)
    case.m("store", "check", case.path("nowhere")).exits(5)


def test_stats_and_check_while_in_use(case):
    case.start("run", case.file("hold.yaml", HOLD)).run_id()
    wait_until(lambda: case.read("trace"), "the run")
    has(str(case.m("store", "stats", "-o", "json").exits(0).json()), "LMDB")
    case.m("store", "check").exits(0)


def test_a_stale_socket(case):
    """What a dead owner left in the folder is in nobody's way."""
    owner = case.start("run", case.file("hold.yaml", HOLD))
    owner.run_id()
    wait_until(lambda: case.read("trace"), "the run")
    owner.kill()
    assert os.path.exists(os.path.join(case.store, "sock"))
    case.m("ps").exits(0)
    case.m("run", case.file("dag.yaml", DAG)).exits(0)


def test_a_copied_store(case):
    """A store that was copied after a clean end is a store."""
    run = case.m("run", case.file("dag.yaml", DAG)).exits(0).run_id()
    copy = case.path("copy")
    case.stores.append(copy)
    shutil.copytree(case.store, copy, ignore=shutil.ignore_patterns("sock"))
    os.chmod(copy, 0o700)
    equal(case.m("--store", copy, "show", "-o", "json").exits(0).json()["id"], run)


def test_a_full_disk(case):
    """New runs are refused, what was accepted comes to its end, and room makes it work again."""
    if os.geteuid() != 0:
        raise Skip("needs root")
    with mounted(case, "size=64m,mode=0700") as place:
        store = os.path.join(place, "store")
        os.mkdir(store, 0o700)
        case.env["MILLRACE_STORE"] = store
        case.stores.append(store)
        owner = case.start("run", case.file("hold.yaml", HOLD))
        run = owner.run_id()
        wait_until(lambda: case.read("trace"), "the run")
        filler = os.path.join(place, "filler")
        with open(filler, "wb") as file:
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"x" * 65536)
                    file.flush()
        # What was kept free is used up by runs with large variables, until one is refused.
        large = case.file("large.yaml", "vars: {text: {}}\ntasks: [{id: a}]\n")
        case.file("vars.json", '{"text": "%s"}' % ("x" * 900000))
        codes = []
        while len(codes) < 100 and 7 not in codes:
            codes.append(case.m("run", large, "--vars", "vars.json").code)
        equal((set(codes[:-1]) <= {0}, codes[-1]), (True, 7), "all runs before the refused one succeed")
        case.m("run", large, "--vars", "vars.json").exits(7).says("full")
        equal(case.m("show", run, "-o", "json").exits(0).json()["status"], "running")
        case.file("go", "")
        owner.end().exits(0)
        # With nobody there and a full disk the store can still be read.
        equal(statuses(case.m("show", run, "-o", "json").exits(0).json()), {"a": "success", "b": "success"})
        os.unlink(filler)
        case.m("run", case.file("dag.yaml", DAG)).exits(0)
        case.m("store", "check").exits(0)
        equal(store_children(store), [])


def test_a_disk_too_small(case):
    if os.geteuid() != 0:
        raise Skip("needs root")
    with mounted(case, "size=200k,mode=0700") as place:
        result = case.m("--store", os.path.join(place, "store"), "run", case.file("dag.yaml", DAG)).exits(7)
        assert result.err, f"{result}"


if __name__ == "__main__":
    main()
