#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Goal: http does what docs/http.md says, whatever the other side does: each outcome is the right one,
soon, and with a reason that names it. Method: servers of our own on 127.0.0.1, a good one (nginx), one
that answers badly in every way we know, one that keeps 10,000 waiting; and a preloaded name server
that takes its time."""
import json
import os
import resource
import shutil
import socket
import ssl
import subprocess
import sys
import time
import warnings

from harness import BUILD, Skip, equal, has, main, task_of, wait_until
from http_servers import Hostile

HERE = os.path.dirname(os.path.abspath(__file__))


def dag(tasks):
    """A dag file as JSON. `tasks` is {id: params}, or {id: a whole task}."""
    return json.dumps({"tasks": [{"id": i, **(p if "http" in p else {"http": p})} for i, p in tasks.items()]})


def ask(case, tasks, env=None):
    """Runs the requests beside each other; returns {id: the task as it ended}, and how long it took."""
    begun = time.monotonic()
    result = case.m("run", case.file("dag.json", dag(tasks)), env=env)
    assert result.code in (0, 1), result
    run = case.show()
    return {i: task_of(run, i) for i in tasks}, time.monotonic() - begun


def output(task):
    equal(task["status"], "success", f"the status of {task}")
    return task["output"]


def refused(tasks, wanted):
    """Each of them failed, for a reason that holds the texts."""
    for name, parts in wanted.items():
        task = tasks[name]
        equal(task["status"], "failed", f"{name}, {task}")
        has(task["reason"], *([parts] if isinstance(parts, str) else parts))


# ---- what is asked ------------------------------------------------------------------------------

def test_what_is_sent(case):
    server = Hostile()
    echo = server.url + "/echo"
    tasks, _ = ask(case, {
        "get": {"url": echo + "?x=1#part", "query": {"a b": "ä&=", "list": [1, "two"], "none": None, "yes": True}},
        "post": {"url": echo, "json": {"n": 9007199254740993, "list": [1.5, None, "\u00e4\n"]}},
        "form": {"url": echo, "method": "put", "form": {"a": "x y", "b": [1, 2]}},
        "text": {"url": echo, "body": "plain", "headers": {"content-type": "text/csv", "X-Empty": "", "X-No": None}},
        "empty": {"url": echo, "method": "POST", "idempotencyKey": False},
        "search": {"url": echo, "method": "GET", "json": [1]},
        "delete": {"url": echo, "method": "DELETE", "headers": {"Idempotency-Key": "mine"}},
        "basic": {"url": echo, "auth": {"basic": {"user": "me", "password": "se:cret"}}},
        "bearer": {"url": echo, "auth": {"bearer": "token"}},
    })
    got = {name: output(task)["body"] for name, task in tasks.items()}
    equal(got["get"]["target"].lower(), "/echo?x=1&a%20b=%c3%a4%26%3d&list=1&list=two&yes=true")
    equal(got["get"]["method"], "GET")
    assert got["get"]["headers"]["user-agent"].startswith("millrace/"), got["get"]
    equal(json.loads(got["post"]["body"]), {"n": 9007199254740993, "list": [1.5, None, "\u00e4\n"]})
    has(got["post"]["body"], "9007199254740993")
    equal((got["post"]["method"], got["post"]["headers"]["content-type"]), ("POST", "application/json"))
    equal((got["form"]["method"], got["form"]["body"]), ("PUT", "a=x%20y&b=1&b=2"))
    equal(got["form"]["headers"]["content-type"], "application/x-www-form-urlencoded")
    equal((got["text"]["body"], got["text"]["headers"]["content-type"]), ("plain", "text/csv"))
    equal(got["text"]["headers"]["x-empty"], "")
    assert "x-no" not in got["text"]["headers"]
    equal((got["empty"]["body"], got["empty"]["headers"]["content-length"]), ("", "0"))
    equal((got["search"]["method"], got["search"]["body"]), ("GET", "[1]"))
    equal((got["delete"]["method"], got["delete"]["headers"]["idempotency-key"]), ("DELETE", "mine"))
    equal(got["basic"]["headers"]["authorization"], "Basic bWU6c2U6Y3JldA==")
    equal(got["bearer"]["headers"]["authorization"], "Bearer token")
    assert len(got["post"]["headers"]["idempotency-key"]) >= 16
    for name in ("get", "empty", "bearer"):
        assert "idempotency-key" not in got[name]["headers"], name
    for name in got:
        assert "expect" not in got[name]["headers"], name


def test_params_that_are_none(case):
    url = "http://127.0.0.1:9/"
    bad = {
        "scheme": ({"url": "ftp://host/"}, "only http"), "none": ({"url": "host/path"}, "http://"),
        "file": ({"url": "file:///etc/passwd"}, "only http"), "user": ({"url": "http://u:p@host/"}, "auth"),
        "method": ({"url": url, "method": "GET /x"}, "method"), "two": ({"url": url, "json": 1, "body": "x"}, "one of"),
        "split": ({"url": url, "headers": {"X": "a\r\nEvil: b"}}, "control character"),
        "length": ({"url": url, "headers": {"content-length": "5"}}, "follows from the body"),
        "name": ({"url": url, "headers": {"a b": "c"}}, "no name of a header"),
        "auth": ({"url": url, "auth": {"digest": {}}}, "auth: must be"),
        "timeout": ({"url": url, "timeout": "soon"}, "no duration"), "zero": ({"url": url, "timeout": "0s"}, "no duration"),
        "redirects": ({"url": url, "redirects": 51}, "0 to 50"), "bytes": ({"url": url, "maxBytes": 16777217}, "16777216"),
        "expect": ({"url": url, "expect": "good"}, "no status"), "output": ({"url": url, "output": "xml"}, "none of auto"),
        "head": ({"url": url, "method": "HEAD", "body": "x"}, "HEAD"), "proxy": ({"url": url, "proxy": "file:///x"}, "proxy"),
    }
    tasks, _ = ask(case, {name: params for name, (params, _) in bad.items()})
    refused(tasks, {name: text for name, (_, text) in bad.items()})


def test_one_key_for_all_attempts(case):
    """The key is the task's in its run; another run has another one."""
    server = Hostile()
    task = {"http": {"url": server.url + "/flaky", "method": "POST"},
            "retry": {"max": 1, "if": "error.status == 503"}}
    tasks, _ = ask(case, {"a": task})
    equal((tasks["a"]["status"], tasks["a"]["attempts"]), ("success", 2))
    ask(case, {"a": task})
    keys = [r.headers["idempotency-key"] for r in server.requests]
    equal(len(keys), 3)
    assert keys[0] == keys[1] != keys[2], keys


# ---- what is answered ---------------------------------------------------------------------------

def test_answers(case):
    server = Hostile()
    problem = server.url + "/json?body="
    tasks, _ = ask(case, {
        "twice": {"url": server.url + "/twice"},
        "text": {"url": server.url + "/text"},
        "json": {"url": problem + '{"a":[1,9007199254740993]}'},
        "asText": {"url": problem + '{"a":1}', "output": "text"},
        "broken": {"url": problem + "{oops"},
        "strict": {"url": problem + "{oops", "output": "json"},
        "plain": {"url": server.url + "/status?code=200&body=[1]"},
        "forced": {"url": server.url + "/status?code=200&body=[1]", "output": "json"},
        "empty": {"url": server.url + "/status?code=204", "output": "json"},
        "none": {"url": server.url + "/big?bytes=1000", "output": "none"},
        "head": {"url": server.url + "/head", "method": "HEAD"},
        "gzip": {"url": server.url + "/gzip"},
        "exact": {"url": server.url + "/big?bytes=1000", "maxBytes": 1000},
        "more": {"url": server.url + "/big?bytes=1001", "maxBytes": 1000},
        "largest": {"url": server.url + "/big?bytes=8000000", "maxBytes": 16777216},
    })
    twice = output(tasks["twice"])["headers"]
    equal((twice["x-two"], twice["set-cookie"], "x-early" in twice), ("a, b", ["a=1, b", "c=2"], False))
    equal(output(tasks["text"])["body"], "caf\ufffd \ufffd \U0001f600")
    has(case.m("show", "-", "-o", "json").out, "9007199254740993")
    equal(output(tasks["json"])["body"], {"a": [1, 9007199254740993]})
    equal(output(tasks["asText"])["body"], '{"a":1}')
    equal(output(tasks["broken"])["body"], "{oops")
    refused(tasks, {"strict": "no JSON", "more": "more than 1000 bytes"})
    equal(output(tasks["plain"])["body"], "[1]")
    equal(output(tasks["forced"])["body"], [1])
    equal((output(tasks["empty"])["status"], output(tasks["empty"])["body"]), (204, None))
    assert "body" not in output(tasks["none"])
    equal((output(tasks["head"])["body"], output(tasks["head"])["headers"]["content-length"]), ("", "1000"))
    equal(output(tasks["gzip"])["body"], "small")
    equal(len(output(tasks["exact"])["body"]), 1000)
    equal(len(output(tasks["largest"])["body"]), 8000000)


def test_statuses(case):
    server = Hostile()
    url = server.url + "/status?code="
    soon = time.strftime("%a,%%20%d%%20%b%%20%Y%%20%H:%M:%S%%20GMT", time.gmtime(time.time() + 100))
    tasks, _ = ask(case, {
        "bad": {"url": url + "503&body=try%20later%1b[2J"}, "missing": {"url": url + "404", "expect": [200, "404"]},
        "range": {"url": url + "410", "expect": "400-404, 410"}, "unexpected": {"url": url + "200", "expect": "3xx"},
        "not_followed": {"url": server.url + "/redirect?to=/echo", "redirects": 0},
        "wanted": {"url": server.url + "/redirect?to=/echo", "redirects": 0, "expect": "302"},
        "seconds": {"http": {"url": url + "429&after=7"}, "retry": {"max": 1, "delay": "1ms", "if": "error.retryAfter ~= 7"}},
        "date": {"http": {"url": url + "503&after=" + soon},
                 "retry": {"max": 1, "delay": "1ms", "if": "error.retryAfter > 60 and error.retryAfter <= 100 and error.attempt == 1"}},
    })
    refused(tasks, {"bad": "HTTP 503", "unexpected": "HTTP 200", "not_followed": "HTTP 302",
                    "seconds": "HTTP 429", "date": "HTTP 503"})
    equal([tasks[name]["attempts"] for name in ("seconds", "date")], [1, 2])
    equal(output(tasks["missing"])["status"], 404)
    equal(output(tasks["range"])["status"], 410)
    equal(output(tasks["wanted"])["headers"]["location"], "/echo")
    has(case.m("logs", "-", "bad").exits(0).out, "try later?[2J")


# ---- redirects ----------------------------------------------------------------------------------

def test_redirects(case):
    server, other = Hostile(), Hostile()
    secret = {"auth": {"bearer": "token"}, "headers": {"Cookie": "c=1", "X-Own": "kept"}}
    def to(url, code=302):
        return f"{server.url}/redirect?code={code}&to={url}"
    tasks, _ = ask(case, {
        "same": {"url": to("/echo"), **secret},
        "other": {"url": to(other.url + "/echo"), **secret},
        "name": {"url": to(f"http://localhost:{server.port}/echo"), "auth": {"basic": {"user": "u", "password": "p"}}},
        "post302": {"url": to("/echo"), "json": {"a": 1}},
        "put302": {"url": to("/echo"), "method": "PUT", "json": {"a": 1}},
        "put303": {"url": to("/echo", 303), "method": "PUT", "json": {"a": 1}},
        "post307": {"url": to("/echo", 307), "json": {"a": 1}},
        "head303": {"url": to("/head", 303), "method": "HEAD"},
        "loop": {"url": server.url + "/loop"},
        "once": {"url": server.url + "/loop", "redirects": 1},
        "file": {"url": to("file:///etc/passwd")}, "gopher": {"url": to("gopher://127.0.0.1/")},
        "metadata": {"url": to("http://169.254.169.254/latest/")}, "mapped": {"url": to("http://[::ffff:169.254.169.254]/")},
        "user": {"url": to("http://u:p@127.0.0.1/")},
    })
    headers = {name: output(tasks[name])["body"]["headers"] for name in ("same", "other", "name", "post302", "post307")}
    equal((headers["same"]["authorization"], headers["same"]["cookie"], headers["same"]["x-own"]),
          ("Bearer token", "c=1", "kept"))
    assert "authorization" not in headers["other"] and "cookie" not in headers["other"], headers["other"]
    equal(headers["other"]["x-own"], "kept")
    assert "authorization" not in headers["name"], headers["name"]
    methods = {name: output(tasks[name])["body"]["method"] for name in ("post302", "put302", "put303", "post307")}
    equal(methods, {"post302": "GET", "put302": "PUT", "put303": "GET", "post307": "POST"})
    equal([output(tasks[name])["body"]["body"] for name in ("post302", "put302", "post307")], ["", '{"a":1}', '{"a":1}'])
    assert "content-type" not in headers["post302"], headers["post302"]
    equal(output(tasks["head303"])["status"], 200)
    refused(tasks, {"loop": "more than 5 redirects", "once": "more than 1 redirects", "file": ["redirected", "only http"],
                    "gopher": ["redirected", "only http"], "metadata": ["169.254.169.254", "refused", "metadata"],
                    "mapped": ["refused", "metadata"], "user": "auth"})


# ---- addresses ----------------------------------------------------------------------------------

def test_addresses_refused_without_configuration(case):
    began = time.monotonic()
    tasks, _ = ask(case, {
        "metadata": {"url": "http://169.254.169.254/latest/meta-data/"}, "decimal": {"url": "http://2852039166/"},
        "hex": {"url": "http://0xa9fea9fe/"}, "short": {"url": "http://169.254.43518/"},
        "mapped": {"url": "http://[::ffff:a9fe:a9fe]/"}, "nat64": {"url": "http://[64:ff9b::a9fe:a9fe]/"},
        "v6": {"url": "http://[fd00:ec2::254]/"}, "local": {"url": "http://[fe80::1]/"},
        "zone": {"url": "http://[fe80::1%25lo]/"}, "zero": {"url": "http://0.0.0.0:1/"},
        "none": {"url": "http://[::]:1/"}, "multicast": {"url": "http://224.0.0.1/"}, "many": {"url": "http://[ff02::1]/"},
    })
    refused(tasks, {name: "is refused" for name in tasks})
    assert time.monotonic() - began < 5, "nothing may be sent there, so nothing is waited for"


def test_allow_and_deny(case):
    server = Hostile()
    url, by_name = server.url + "/echo", f"http://localhost:{server.port}/echo"
    def outcome(allow, deny):
        tasks, _ = ask(case, {"a": {"url": url}, "n": {"url": by_name}, "r": {"url": f"{server.url}/redirect?to={by_name}"}},
                       env={"MILLRACE_HTTP_ALLOW": allow, "MILLRACE_HTTP_DENY": deny})
        return [tasks[i]["status"] == "success" for i in "anr"], tasks
    equal(outcome("", "")[0], [True, True, True])
    denied, tasks = outcome("", "127.0.0.0/8, ::1")
    equal(denied, [False, False, False])
    has(tasks["n"]["reason"], "localhost has the address", "MILLRACE_HTTP_DENY")
    equal(outcome("127.0.0.1", "127.0.0.0/8")[0], [True, True, True])
    equal(outcome("127.0.0.0/8", "127.0.0.1,::1")[0], [False, False, False])
    equal(outcome("", "localhost")[0], [True, False, False])
    equal(outcome("localhost", "*")[0], [False, True, False])
    for bad in ("10.0.0/8", "10.0.0", "1.2.3.4/33", "a b/c", "fe80::/129"):
        tasks = outcome("", bad)[1]
        equal(tasks["a"]["status"], "failed")
        has(tasks["a"]["reason"], "MILLRACE_HTTP_DENY", "is no address")


# ---- a hostile server ---------------------------------------------------------------------------

def test_hostile_answers(case):
    """Each is over soon, although none of the servers ends the answer by itself."""
    server = Hostile()
    wanted = {
        "/short": "ended before it was complete", "/endless": "more than 4194304 bytes",
        "/endless-head": "headers", "/endless-line": "header of more than", "/endless-early": "headers", "/endless-trailer": "headers",
        "/bad-chunk": ["broke off", "chunk"], "/bomb": "more than 4194304 bytes", "/bad-gzip": "not well compressed",
        "/nothing": "without an answer", "/garbage": "no HTTP",
    }
    tasks, seconds = ask(case, {path[1:]: {"url": server.url + path} for path in wanted})
    refused(tasks, {path[1:]: text for path, text in wanted.items()})
    assert seconds < 15, seconds
    tasks, _ = ask(case, {"long": {"url": server.url + "/long"}})
    equal(output(tasks["long"])["body"], "01234")


def test_stalling_servers(case):
    """A whole request has its deadline, whatever drips in; the connection is closed at once."""
    server = Hostile()
    deaf = socket.create_server(("127.0.0.1", 0), backlog=0)
    place = deaf.getsockname()
    full = [socket.socket() for _ in range(4)]  # nobody accepts: further connections are not answered
    for one in full:
        one.setblocking(False)
        one.connect_ex(place)
    tasks, seconds = ask(case, {
        "stall": {"url": server.url + "/stall", "timeout": "700ms"},
        "body": {"url": server.url + "/stall-body", "timeout": "700ms"},
        "drip": {"url": server.url + "/drip", "timeout": "700ms"},
        "connect": {"url": f"http://127.0.0.1:{place[1]}/", "connectTimeout": "700ms"},
        "whole": {"http": {"url": server.url + "/stall"}, "timeout": "700ms"},
    })
    refused(tasks, {"stall": "no complete answer", "body": "no complete answer", "drip": "700ms", "connect": "no connection"})
    equal(tasks["whole"]["status"], "failed")
    has(tasks["whole"]["reason"], "700ms")
    assert seconds < 5, seconds
    wait_until(lambda: all(r.closed.is_set() for r in server.requests if r.path.startswith("/stall")), "closed connections", 5)
    for one in full + [deaf]:
        one.close()


def test_cancel(case):
    server = Hostile()
    text = json.dumps({"tasks": [{"id": "a", "http": {"url": server.url + "/stall"}}, {"id": "b", "wait": "1h"}]})
    process = case.start("run", case.file("dag.json", text))
    run = process.run_id()
    wait_until(lambda: server.requests, "the request")
    time.sleep(0.5)  # no timer of the connection's beginning is left that could wake the thread
    case.m("cancel", run, "a").exits(0)
    wait_until(lambda: case.task("a", run)["status"] == "canceled", "the task's end", 5)
    assert server.requests[0].closed.wait(5), "the connection must be closed while the run goes on"
    assert process.running()
    case.m("cancel", run).exits(0)
    process.end(10)


def test_the_owner_ends_while_requests_wait(case):
    """What is lost is not tried again by itself: it may have been done."""
    server = Hostile()
    process = case.start("run", case.file("dag.json", dag({"a": {"url": server.url + "/stall", "method": "POST"}})))
    run = process.run_id()
    wait_until(lambda: server.requests, "the request")
    process.kill()
    case.m("run", "--resume").exits(1)
    equal(case.task("a", run)["status"], "failed")
    equal(len(server.requests), 1)


# ---- names --------------------------------------------------------------------------------------

def slow_names(case, ms):
    return {"LD_PRELOAD": os.path.join(BUILD, "tests/e2e/slow_names.so"), "SLOW_NAMES_MS": str(ms),
            "SLOW_NAMES_FILE": case.path("names"), "ASAN_OPTIONS": "verify_asan_link_order=0"}


def test_look_ups_are_few_at_once(case):
    """100 names, 32 at a time; those that need no look-up do not wait for them."""
    server = Hostile()
    tasks = {f"n{i}": {"url": f"http://n{i}.slow:{server.port}/echo"} for i in range(100)}
    tasks["address"] = {"url": server.url + "/echo"}
    done, seconds = ask(case, tasks, env=slow_names(case, 300))
    for name in tasks:
        equal(output(done[name])["status"], 200)
    with open(case.path("names"), encoding="ascii") as file:
        most = int(file.read())
    assert 16 < most <= 32, most
    assert 1.2 <= seconds < 10, seconds
    equal(server.requests[0].headers["host"], f"127.0.0.1:{server.port}")


def test_look_ups_that_nobody_waits_for_count(case):
    """Their threads cannot be stopped: what comes after a timeout or cancel waits for their end."""
    server = Hostile()
    tasks = {f"n{i}": {"url": f"http://n{i}.slow:{server.port}/echo", "timeout": "200ms"} for i in range(64)}
    done, seconds = ask(case, tasks, env=slow_names(case, 1000))
    refused(done, {name: "no complete answer" for name in tasks})
    with open(case.path("names"), encoding="ascii") as file:
        equal(int(file.read()), 32, "look-ups at once")
    assert 1.1 <= seconds < 10, seconds


def test_a_look_up_holds_up_nobody(case):
    """Neither its own timeout, nor a cancel, nor other requests, nor the program's end."""
    server = Hostile()
    env = slow_names(case, 20000)
    tasks, seconds = ask(case, {
        "name": {"url": f"http://a.slow:{server.port}/echo", "timeout": "500ms"},
        "connect": {"url": f"http://b.slow:{server.port}/echo", "connectTimeout": "500ms"},
        "after": {"url": server.url + "/echo"},
    }, env)
    refused(tasks, {"name": "no complete answer", "connect": "no connection"})
    output(tasks["after"])
    assert seconds < 5, seconds
    process = case.start("run", case.file("dag.json", dag({"a": {"url": f"http://c.slow:{server.port}/echo"}})), env=env)
    run = process.run_id()
    wait_until(lambda: case.task("a", run)["status"] == "running", "the task")
    began = time.monotonic()
    case.m("cancel", run).exits(0)
    process.end(10)
    assert time.monotonic() - began < 5, "the program waited for a name server"
    equal(len(server.requests), 1)


def test_where_a_name_leads_is_looked_at_after_the_look_up(case):
    """Also behind a redirect; of several addresses those that may be reached are."""
    server = Hostile()
    tasks, _ = ask(case, {
        "one": {"url": f"http://cloud.metadata:{server.port}/latest"}, "two": {"url": f"http://cloud.both:{server.port}/echo"},
        "led": {"url": f"{server.url}/redirect?to=http://cloud.metadata:{server.port}/latest"},
    }, env=slow_names(case, 0))
    refused(tasks, {"one": ["cloud.metadata has the address 169.254.169.254", "refused", "metadata"],
                    "led": ["redirected: cloud.metadata has the address 169.254.169.254"]})
    equal(output(tasks["two"])["body"]["headers"]["host"], f"cloud.both:{server.port}")
    # A name that is allowed may lead anywhere; here nobody is there, or it cannot be reached.
    tasks, _ = ask(case, {"one": {"url": f"http://cloud.metadata:{server.port}/", "connectTimeout": "300ms"}},
                   env={**slow_names(case, 0), "MILLRACE_HTTP_ALLOW": "cloud.metadata"})
    refused(tasks, {"one": "no connection"})


# ---- TLS, proxy, nginx --------------------------------------------------------------------------

def certificate(case):
    """A file with a key and a certificate for 127.0.0.1, signed by itself."""
    if not shutil.which("openssl"):
        raise Skip("no openssl")
    path = case.path("cert.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-days", "2", "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1",
                    "-keyout", case.path("key.pem"), "-out", path], check=True, capture_output=True)
    with open(case.path("key.pem"), encoding="ascii") as key, open(path, "a", encoding="ascii") as file:
        file.write(key.read())
    return path


def test_tls_is_verified(case):
    path = certificate(case)
    server = Hostile(path)
    own = {"MILLRACE_HTTP_CA_FILE": path}
    urls = {"a": {"url": server.url + "/echo"}, "n": {"url": f"https://localhost:{server.port}/echo"}}
    tasks, _ = ask(case, urls)
    refused(tasks, {"a": "certificate of 127.0.0.1 is refused", "n": "certificate of localhost is refused"})
    equal(len(server.requests), 0)
    tasks, _ = ask(case, urls, own)
    equal(output(tasks["a"])["status"], 200)
    refused(tasks, {"n": "certificate of localhost is refused"})


def test_tls_is_1_2_at_least(case):
    path = certificate(case)
    old = Hostile(path)
    old.context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that it is old is the point
        old.context.minimum_version = old.context.maximum_version = ssl.TLSVersion.TLSv1_1
    # Whatever the system's own configuration of OpenSSL would allow.
    loose = case.file("openssl.cnf", "openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\n"
                                     "MinProtocol = TLSv1.1\nCipherString = ALL:@SECLEVEL=0\n")
    tasks, _ = ask(case, {"a": {"url": old.url + "/echo"}}, {"MILLRACE_HTTP_CA_FILE": path, "OPENSSL_CONF": loose})
    refused(tasks, {"a": "no TLS with 127.0.0.1"})
    equal(len(old.requests), 0)


def test_nothing_comes_from_netrc(case):
    server = Hostile()
    with open(os.path.join(case.folder, ".netrc"), "w", encoding="ascii") as file:
        file.write("default login me password secret\n")
    tasks, _ = ask(case, {"a": {"url": server.url + "/echo"}})
    assert "authorization" not in output(tasks["a"])["body"]["headers"]


def test_proxy(case):
    """Only where a param says so: nothing comes from the environment."""
    proxy, server = Hostile(), Hostile()
    nowhere = {"http_proxy": proxy.url, "all_proxy": proxy.url, "no_proxy": ""}
    tasks, _ = ask(case, {"a": {"url": server.url + "/echo"}}, nowhere)
    output(tasks["a"])
    equal(len(proxy.requests), 0)
    tasks, _ = ask(case, {
        "b": {"url": "http://some.invalid/echo", "proxy": proxy.url},
        "c": {"url": "http://169.254.169.254/", "proxy": proxy.url},
    }, {"no_proxy": "*"})
    equal(output(tasks["b"])["body"]["target"], "http://some.invalid/echo")
    refused(tasks, {"c": "is refused"})


NGINX = """
daemon off; master_process off; pid %(folder)s/nginx.pid; error_log %(folder)s/error.log;
events { worker_connections 512; }
http {
  access_log %(folder)s/access.log; client_max_body_size 1k; gzip on; gzip_types *; gzip_min_length 1;
  client_body_temp_path %(folder)s/body; proxy_temp_path %(folder)s/p; fastcgi_temp_path %(folder)s/f;
  uwsgi_temp_path %(folder)s/u; scgi_temp_path %(folder)s/s;
  server {
    listen 127.0.0.1:%(port)d; root %(folder)s/root;
    location /json { default_type application/json; return 200 '{"connection": $connection, "from": "nginx"}'; }
    location /private { auth_basic "x"; auth_basic_user_file %(folder)s/users; try_files /file.txt =404; }
    location /old { return 301 /file.txt; }
    location /busy { add_header Retry-After 3 always; return 503; }
  }
}
"""


def start_nginx(case):
    unpacked = os.path.join(os.environ.get("MILLRACE_TEST_BUILD", "build"), "tools/usr/sbin")  # by ./dev
    program = shutil.which("nginx", path=f"{unpacked}:/usr/sbin:{os.environ.get('PATH', '')}")
    if not program:
        raise Skip("no nginx")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    folder = case.path("nginx")
    os.makedirs(folder + "/root")
    for name, text in (("nginx.conf", NGINX % {"folder": folder, "port": port}), ("users", "me:{PLAIN}secret\n"),
                       ("root/file.txt", "from a file\n" * 1000)):
        with open(f"{folder}/{name}", "w", encoding="ascii") as file:
            file.write(text)
    os.chmod(case.folder, 0o755)  # its worker may be another user
    process = subprocess.Popen([program, "-c", folder + "/nginx.conf", "-p", folder], stderr=subprocess.DEVNULL)

    def listens():
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0
    wait_until(lambda: listens() or process.poll() is not None, "nginx")
    assert process.poll() is None, "nginx has ended"
    return process, f"http://127.0.0.1:{port}"


def test_nginx(case):
    process, url = start_nginx(case)
    try:
        me = {"basic": {"user": "me", "password": "secret"}}
        tasks, _ = ask(case, {
            "json": {"url": url + "/json"}, "file": {"url": url + "/file.txt"}, "old": {"url": url + "/old"},
            "private": {"url": url + "/private"}, "entered": {"url": url + "/private", "auth": me},
            "busy": {"url": url + "/busy"}, "large": {"url": url + "/file.txt", "body": "x" * 2000},
            "head": {"url": url + "/file.txt", "method": "HEAD"}, "missing": {"url": url + "/missing"},
        })
        equal(output(tasks["json"])["body"]["from"], "nginx")
        for name in ("file", "old", "entered"):
            equal(output(tasks[name])["body"], "from a file\n" * 1000)
        equal(output(tasks["file"])["headers"]["content-encoding"], "gzip")
        equal(output(tasks["head"])["body"], "")
        refused(tasks, {"private": "HTTP 401", "busy": "HTTP 503", "large": "HTTP 413", "missing": "HTTP 404"})
        chain = {f"n{i}": {"http": {"url": url + "/json"}, "dependOn": [f"n{i - 1}"] if i else []} for i in range(5)}
        tasks, _ = ask(case, chain)
        equal(len({output(tasks[name])["body"]["connection"] for name in chain}), 1, "connections for one request after another")
    finally:
        process.terminate()
        process.wait(10)


def http_threads(pid):
    """How many threads of the process are http's."""
    count = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{thread}/comm", encoding="ascii") as file:
                count += file.read() == "mr-http\n"
        except OSError:
            pass  # it has ended meanwhile
    return count


# ---- many ---------------------------------------------------------------------------------------

def test_10000_at_once_on_one_thread(case):
    """The server answers none before all are there. Where a process may not have 20,000 files, as
    many are at once as half of them are, and the others wait for their turn."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = 20000 if hard == resource.RLIM_INFINITY else min(hard, 20000)
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    count = files // 2
    crowd = subprocess.Popen([sys.executable, "-B", os.path.join(HERE, "http_servers.py"), str(count)], stdout=subprocess.PIPE)
    try:
        port = int(crowd.stdout.readline())
        path = case.file("dag.json", dag({f"t{i}": {"url": f"http://127.0.0.1:{port}/", "timeout": "5m"} for i in range(10000)}))
        began = time.monotonic()
        process = case.start("run", path, "-q", "-o", "json")
        wait_until(lambda: http_threads(process.pid), "the thread")
        threads = set()
        while process.running() and time.monotonic() - began < 100:
            threads.add(http_threads(process.pid))
            time.sleep(0.05)
        document = process.end(1).exits(0).json()
        seconds = time.monotonic() - began
        equal({task["status"] for task in document["tasks"]}, {"success"})
        equal(len(document["tasks"]), 10000)
        assert seconds < (20 if os.path.basename(BUILD) == "build" else 90), seconds
        equal(max(threads), 1, "threads")
    finally:
        crowd.kill()
        crowd.wait(10)
        resource.setrlimit(resource.RLIMIT_NOFILE, soft)


def test_the_thread_ends_and_comes_again(case):
    """After 2 idle seconds there is no thread, and the next request has one again."""
    server = Hostile()
    url = server.url + "/echo"
    text = json.dumps({"tasks": [{"id": "a", "http": {"url": url}}, {"id": "w", "wait": "4s", "dependOn": ["a"]},
                                 {"id": "b", "http": {"url": url}, "dependOn": ["w"]}]})
    process = case.start("run", case.file("dag.json", text))

    wait_until(lambda: server.requests, "the first request")
    equal(http_threads(process.pid), 1)
    wait_until(lambda: http_threads(process.pid) == 0, "the thread's end", 4)
    process.end().exits(0)
    equal(len(server.requests), 2)


def test_more_than_the_files_allow(case):
    """They wait for their turn, and their deadlines count from it."""
    server = Hostile()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)
    path = case.file("dag.json", dag({f"t{i}": {"url": server.url + "/echo", "timeout": "5s"} for i in range(300)}))
    resource.setrlimit(resource.RLIMIT_NOFILE, (80, hard))
    try:
        process = case.start("run", path, "-q")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, soft)
    process.end().exits(0)
    equal(len(server.requests), 300)


if __name__ == "__main__":
    main()
