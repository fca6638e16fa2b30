# SPDX-License-Identifier: MIT
"""What every end-to-end test needs: a folder of its own, the program, and an orderly end.

A test file defines functions `test_…(case)` and calls main(). Each gets a Case: an empty folder, a
store in it, and an environment with nothing of millrace's. When it has ended, whatever it started is
killed by process id, its store's children too, and the folder is removed. Nothing waits without a
bound: a command gets TIMEOUT seconds, a condition that is waited for likewise.
"""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

SOURCE = os.environ.get("MILLRACE_TEST_SOURCE", os.path.abspath(os.path.join(os.path.dirname(__file__), "../..")))
BUILD = os.environ.get("MILLRACE_TEST_BUILD", os.path.join(SOURCE, "build"))
PROGRAM = os.path.join(BUILD, "sdk/cli/millrace")
EXAMPLES = os.path.join(SOURCE, "examples")
# A sanitized or loaded machine is slower; what is promised in seconds is still promised in seconds.
TIMEOUT = 60

RUN_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def sanitized():
    """Whether the program was built with a sanitizer, which takes crashes and large allocations for itself."""
    with open(os.path.join(BUILD, "meson-info/intro-buildoptions.json"), encoding="utf-8") as file:
        return any(o["name"] == "b_sanitize" and o["value"] not in ("none", []) for o in json.load(file))


class Skip(Exception):
    """This machine cannot run the test: the reason is shown."""


class Result:
    """How a command ended."""

    def __init__(self, args, code, out, err, seconds):
        self.args, self.code, self.out, self.err, self.seconds = args, code, out, err, seconds

    def __str__(self):
        return (f"$ millrace {' '.join(self.args)}\nexit {self.code} after {self.seconds:.2f} s\n"
                f"--- stdout\n{self.out[-4000:]}\n--- stderr\n{self.err[-4000:]}")

    def exits(self, code):
        """The result itself, once its exit code has been checked."""
        assert self.code == code, f"exit {self.code}, not {code}:\n{self}"
        return self

    def says(self, *texts):
        """Each text stands on stderr."""
        for text in texts:
            assert text in self.err, f"stderr lacks {text!r}:\n{self}"
        return self

    def json(self):
        """stdout is exactly one JSON document."""
        try:
            return json.loads(self.out)
        except ValueError as error:
            raise AssertionError(f"stdout is no JSON ({error}):\n{self}") from None

    def lines(self):
        """stdout is one JSON document a line."""
        return [json.loads(line) for line in self.out.splitlines()]

    def run_id(self):
        """stdout is a run's full id, alone on one line."""
        assert RUN_ID.fullmatch(self.out.rstrip("\n")) and self.out.count("\n") == 1, f"no run id:\n{self}"
        return self.out.strip()


class Background:
    """A command that runs beside the test; its output goes to files, so that it never blocks."""

    def __init__(self, case, args, env, cwd, stdin):
        self.args, self.started = args, time.monotonic()
        self.out_path = case.path(f"out.{len(case.background)}")
        self.err_path = case.path(f"err.{len(case.background)}")
        with open(self.out_path, "wb") as out, open(self.err_path, "wb") as err:
            self.process = subprocess.Popen(
                [PROGRAM] + args, stdin=stdin, stdout=out, stderr=err, env=env, cwd=cwd)

    @property
    def pid(self):
        return self.process.pid

    def out(self):
        with open(self.out_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def err(self):
        with open(self.err_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def running(self):
        return self.process.poll() is None

    def kill(self, signal_number=signal.SIGKILL):
        """Sends a signal; after SIGKILL waits for the end."""
        self.process.send_signal(signal_number)
        if signal_number == signal.SIGKILL:
            self.process.wait(TIMEOUT)
        return self

    def end(self, timeout=TIMEOUT):
        """Waits for its end and returns the Result. A signal's end is the negative code."""
        code = self.process.wait(timeout)
        return Result(self.args, code, self.out(), self.err(), time.monotonic() - self.started)

    def run_id(self):
        """Its run's id, as soon as it has printed it."""
        wait_until(lambda: "\n" in self.out() or not self.running(), "the run's id")
        match = RUN_ID.match(self.out())
        assert match, f"no run id: {self.out()!r} {self.err()!r}"
        return match[0]


class Case:
    """One test's own place."""

    def __init__(self):
        # A short name: a socket's path has at most 107 bytes.
        self.folder = os.path.realpath(tempfile.mkdtemp(prefix="mr-e2e-"))
        self.store = self.path("store")
        self.work = self.path("work")
        os.mkdir(self.work)
        self.background = []
        self.stores = [self.store]
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("MILLRACE_", "XDG_"))}
        self.env["HOME"] = self.folder
        self.env["MILLRACE_STORE"] = self.store
        self.env.pop("NO_COLOR", None)

    def path(self, name):
        return os.path.join(self.folder, name)

    def file(self, name, text):
        """Writes a file into the working folder; returns its path."""
        path = os.path.join(self.work, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def read(self, name):
        """A file of the working folder; "" if there is none."""
        try:
            with open(os.path.join(self.work, name), encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def m(self, *args, stdin=None, env=None, cwd=None, timeout=TIMEOUT):
        """Runs the program to its end. `stdin` is text."""
        args = [str(a) for a in args]
        started = time.monotonic()
        process = subprocess.run(
            [PROGRAM] + args, input=stdin if stdin is not None else "", env=dict(self.env, **(env or {})),
            cwd=cwd or self.work, timeout=timeout, encoding="utf-8", errors="replace",
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        return Result(args, process.returncode, process.stdout, process.stderr, time.monotonic() - started)

    def start(self, *args, env=None, cwd=None):
        """Runs the program in the background."""
        process = Background(self, [str(a) for a in args], dict(self.env, **(env or {})),
                             cwd or self.work, subprocess.DEVNULL)
        self.background.append(process)
        return process

    def show(self, run="-", *args):
        """A run's document."""
        return self.m("show", run, "-o", "json", *args).exits(0).json()

    def task(self, task_id, run="-"):
        return task_of(self.show(run), task_id)

    def children(self):
        """The processes that run for tasks of this case's stores."""
        return [pid for store in self.stores for pid in store_children(store)]

    def shells(self):
        """Those of them that stand from the beginning of an attempt to its end: the group leaders."""
        return sorted(pid for pid in self.children() if os.getpgid(pid) == pid)

    def close(self):
        for process in self.background:
            if process.running():
                process.process.kill()
        for process in self.background:
            process.process.wait(TIMEOUT)
        for pid in self.children():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        shutil.rmtree(self.folder, ignore_errors=True)


def store_children(store):
    """Living processes whose environment names this store as a task's does. The program itself, which
    may have the variable too, has no MILLRACE_RUN."""
    wanted = b"MILLRACE_STORE=" + os.fsencode(os.path.realpath(store))
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                names = file.read().split(b"\0")
        except OSError:
            continue
        if wanted in names and any(n.startswith(b"MILLRACE_RUN=") for n in names):
            found.append(int(name))
    return found


def task_of(run, task_id):
    for task in run["tasks"]:
        if task["id"] == task_id:
            return task
    raise AssertionError(f"no task {task_id} in {[t['id'] for t in run['tasks']]}")


def statuses(run):
    return {task["id"]: task["status"] for task in run["tasks"]}


def wait_until(condition, what, timeout=TIMEOUT):
    """Waits for the condition; returns what it gave."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"waited {timeout} s in vain for {what}"
        time.sleep(0.02)


def equal(value, wanted, what="value"):
    assert value == wanted, f"{what} is {value!r}, not {wanted!r}"


def has(text, *parts):
    for part in parts:
        assert part in text, f"{part!r} is missing in:\n{text}"


def main():
    """Runs the calling file's tests, or those whose names are given."""
    module = sys.modules["__main__"]
    tests = [(n, f) for n, f in vars(module).items() if n.startswith("test_") and callable(f)]
    if len(sys.argv) > 1:
        tests = [(n, f) for n, f in tests if any(word in n for word in sys.argv[1:])]
    # Whoever runs the tests may ignore a signal (nohup does): what they start must not.
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    passed, failed, skipped = 0, [], 0
    for name, function in tests:
        case, started = Case(), time.monotonic()
        try:
            function(case)
            passed += 1
            print(f"ok      {name} ({time.monotonic() - started:.1f} s)", flush=True)
        except Skip as reason:
            skipped += 1
            print(f"skipped {name}: {reason}", flush=True)
        except Exception:  # pylint: disable=broad-except # whatever it is, the next test goes on
            failed.append(name)
            print(f"FAILED  {name}\n{traceback.format_exc()}", flush=True)
            for process in case.background:
                print(f"  {process.args}: out {process.out()[-2000:]!r}\n  err {process.err()[-2000:]!r}", flush=True)
        finally:
            case.close()
    print(f"{passed} passed, {len(failed)} failed, {skipped} skipped: {os.path.basename(sys.argv[0])}")
    sys.exit(1 if failed or not tests else 77 if not passed else 0)
