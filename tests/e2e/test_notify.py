#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Goal: notify sends what plugins/notify/README.md says, signed so that another implementation of Standard
Webhooks takes it, and its secret is nowhere to be found afterwards. Method: a server of our own; the
signature is made anew by Python, whose way is tried on the published example first."""
import base64
import hashlib
import hmac
import json
import os
import time

from harness import equal, has, main, task_of, wait_until
from http_servers import Hostile

ENCODED = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PLAIN = "no Base64, but long enough"


def signature(secret, webhook_id, timestamp, body):
    key = base64.b64decode(secret.removeprefix("whsec_")) if secret.startswith("whsec_") else secret.encode()
    return "v1," + base64.b64encode(hmac.new(key, f"{webhook_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()).decode()


def notify(case, tasks, code=0, env=None):
    """Runs one notify for each of {id: params}; returns the run."""
    dag = {"id": "news", "tasks": [{"id": i, "action": "notify", "params": params} for i, params in tasks.items()]}
    return case.m("run", case.file("dag.json", json.dumps(dag)), "-o", "json", env=env).exits(code).json()


def assert_signed(request, secret):
    headers = request.headers
    equal(headers["webhook-signature"], signature(secret, headers["webhook-id"], headers["webhook-timestamp"], request.body))
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 300, headers


def test_the_judge(_case):
    """The example by which implementations of Standard Webhooks are tested."""
    equal(signature(ENCODED, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}'),
          "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")


def test_what_is_sent(case):
    server = Hostile()
    run = notify(case, {
        "text": {"url": server.url + "/echo?text", "text": "käse"},
        "body": {"url": server.url + "/echo?body", "body": {"n": 9007199254740993}, "headers": {"X-A": "b", "content-type": "application/x"}},
        "false": {"url": server.url + "/echo?false", "body": False},
    })
    asked = {request.target.split("?")[1]: request for request in server.requests}
    equal({request.method for request in server.requests}, {"POST"})
    equal(json.loads(asked["text"].body), {"text": "käse", "dag": "news", "run": run["id"], "task": "text", "attempt": 1})
    equal(asked["text"].headers["content-type"], "application/json")
    equal((asked["body"].body, asked["false"].body), (b'{"n":9007199254740993}', b"false"))
    equal((asked["body"].headers["x-a"], asked["body"].headers["content-type"]), ("b", "application/x"))
    equal([name for request in server.requests for name in request.headers if name.startswith("webhook-")], [])
    output = task_of(run, "text")["output"]
    equal((output["status"], output["headers"]["content-type"], "body" in output), (200, "application/json", False))


def test_signatures(case):
    server = Hostile()
    run = notify(case, {
        "encoded": {"url": server.url + "/echo?encoded", "text": "käse\n", "secretEnv": "HOOK_A", "headers": {"X-A": "b"}},
        "plain": {"url": server.url + "/echo?plain", "body": [1, {"a": None}], "secretEnv": "HOOK_B"},
    }, env={"HOOK_A": ENCODED, "HOOK_B": PLAIN})
    asked = {request.target.split("?")[1]: request for request in server.requests}
    assert_signed(asked["encoded"], ENCODED)
    assert_signed(asked["plain"], PLAIN)
    assert asked["encoded"].headers["webhook-id"] != asked["plain"].headers["webhook-id"]
    # Nowhere is the secret, in whatever form: not in the run, its events and logs, nor in the store.
    kept = json.dumps(run) + case.m("events").out + case.m("logs").out
    for where, _, names in os.walk(case.store):
        for name in names:
            with open(os.path.join(where, name), "rb") as file:
                kept += file.read().decode("latin-1")
    has(kept, "HOOK_A")
    for secret in (ENCODED, ENCODED.removeprefix("whsec_"), PLAIN, base64.b64decode(ENCODED[6:]).decode("latin-1")):
        assert secret not in kept, secret


def test_further_attempts(case):
    """The id is the task's, so that the receiver knows it again; each attempt is signed anew."""
    server = Hostile()
    task = {"id": "a", "action": "notify", "retry": {"max": 1, "if": "error.status == 503"},
            "params": {"url": server.url + "/flaky", "text": "x", "secretEnv": "HOOK"}}
    case.m("run", case.file("dag.json", json.dumps({"tasks": [task]})), env={"HOOK": PLAIN}).exits(0)
    first, second = server.requests
    equal(first.headers["webhook-id"], second.headers["webhook-id"])
    equal([json.loads(request.body)["attempt"] for request in server.requests], [1, 2])
    for request in server.requests:
        assert_signed(request, PLAIN)


def test_killed_while_it_waits(case):
    """It may be repeated: the next attempt has the same id."""
    server = Hostile()
    task = {"id": "a", "action": "notify", "timeout": "1s", "params": {"url": server.url + "/stall", "text": "x", "secretEnv": "HOOK"}}
    owner = case.start("run", case.file("dag.json", json.dumps({"tasks": [task]})), env={"HOOK": PLAIN})
    wait_until(lambda: server.requests, "the request")
    owner.kill()
    run = case.m("run", "--resume", "-o", "json", env={"HOOK": PLAIN}).exits(1).json()
    equal((task_of(run, "a")["reason"], task_of(run, "a")["attempts"]), ("timed out after 1s", 2))
    equal(len({request.headers["webhook-id"] for request in server.requests}), 1)
    equal(len(server.requests), 2)


def test_failures(case):
    server = Hostile()
    url = server.url + "/echo"
    env = {"GOOD": PLAIN, "EMPTY": "", "BROKEN": "whsec_!!!", "SHORT": "whsec_TWF", "NOTHING": "whsec_", "MILLRACE_HTTP_DENY": "127.9.0.0/16"}
    wanted = {
        "both": ({"url": url, "text": "x", "body": 1}, "one of text and body"),
        "neither": ({"url": url}, "one of text and body"),
        "unset": ({"url": url, "text": "x", "secretEnv": "NO_SUCH"}, "secretEnv: the variable NO_SUCH is not set"),
        "empty": ({"url": url, "text": "x", "secretEnv": "EMPTY"}, "EMPTY is not set"),
        "broken": ({"url": url, "text": "x", "secretEnv": "BROKEN"}, "whsec_ in BROKEN is no Base64"),
        "short": ({"url": url, "text": "x", "secretEnv": "SHORT"}, "whsec_ in SHORT is no Base64"),
        "nothing": ({"url": url, "text": "x", "secretEnv": "NOTHING"}, "whsec_ in NOTHING is no Base64"),
        "header": ({"url": url, "text": "x", "headers": {"Webhook-Id": "mine"}}, "Webhook-Id is for secretEnv to set"),
        "scheme": ({"url": "ftp://host/", "text": "x"}, "only http"),
        "timeout": ({"url": url, "text": "x", "timeout": "soon"}, "no duration"),
        "denied": ({"url": "http://127.9.0.1:9/", "text": "x"}, "127.9.0.1"),
        "status": ({"url": server.url + "/status?code=410", "text": "x", "secretEnv": "GOOD"}, "HTTP 410"),
        "redirect": ({"url": server.url + "/redirect?to=/echo", "text": "x", "secretEnv": "GOOD"}, "HTTP 302"),
        "slow": ({"url": server.url + "/stall", "text": "x", "timeout": "300ms"}, "within 300ms"),
    }
    run = notify(case, {name: params for name, (params, _) in wanted.items()}, code=1, env=env)
    for name, (_, reason) in wanted.items():
        equal(task_of(run, name)["status"], "failed", name)
        has(task_of(run, name)["reason"], reason)
    equal(sorted(request.path for request in server.requests), ["/redirect", "/stall", "/status"])


def test_cancel(case):
    server = Hostile()
    task = {"id": "a", "action": "notify", "params": {"url": server.url + "/stall", "text": "x"}}
    process = case.start("run", case.file("dag.json", json.dumps({"tasks": [task]})))
    run = process.run_id()
    wait_until(lambda: server.requests, "the request")
    case.m("cancel", run).exits(0)
    equal(process.end(10).code, 1)
    assert server.requests[0].closed.wait(5), "the connection is closed"


if __name__ == "__main__":
    main()
