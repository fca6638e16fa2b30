#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Goal: sqlite-read and sqlite-write do what plugins/sqlite/README.md says; a statement that fails, is
canceled or dies has changed nothing. Method: through the program; the databases are made and looked at
with Python's own sqlite3."""
import base64
import json
import os
import signal
import sqlite3
import time

from harness import BUILD, Skip, equal, has, main, statuses, task_of, wait_until

FOR_EVER = "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c) SELECT max(i) FROM c"


def database(case, *statements):
    if not os.path.exists(os.path.join(BUILD, "plugins/sqlite/sqlite.so")):
        raise Skip("built without SQLite")
    db = sqlite3.connect(os.path.join(case.work, "x.db"), isolation_level=None)
    for statement in statements:
        db.execute(statement)
    return db


def dag_of(tasks):
    """One task for each of {id: (verb, query, params)}, one after the other."""
    ids = list(tasks)
    return json.dumps({"tasks": [
        {"id": i, "when": "always", "dependOn": ids[max(n - 1, 0):n], "action": "sqlite-" + verb,
         "params": {"db": "x.db", "query": query, **params}} for n, (i, (verb, query, params)) in enumerate(tasks.items())]})


def do(case, tasks):
    result = case.m("run", case.file("dag.json", dag_of(tasks)), "-o", "json")
    assert result.code in (0, 1), result
    return {task["id"]: task for task in result.json()["tasks"]}


def output(task):
    equal(task["status"], "success", f"the status of {task}")
    return task["output"]


def failed(tasks, wanted):
    for name, reason in wanted.items():
        equal(tasks[name]["status"], "failed", f"{name}, {tasks[name]}")
        has(tasks[name]["reason"], reason)


def test_values(case):
    """Out of the database and into it, with nothing lost."""
    db = database(case, "CREATE TABLE t (v)")
    blob = bytes(range(256))
    db.executemany("INSERT INTO t VALUES (?)", [(9007199254740993,), (-2**63,), (0.1,), (1e300,), ("käse\n\"",), (None,), (blob,), (b"",), ("",)])
    db.execute("INSERT INTO t VALUES (CAST(x'63ff00' AS TEXT))")
    tasks = do(case, {
        "read": ("read", "SELECT v FROM t", {}), "types": ("read", "SELECT 1.0 AS one, 2 AS \"a \"\"b\"", {}),
        "none": ("read", "SELECT v FROM t WHERE 0", {}), "write": ("write", "INSERT INTO t VALUES (1), (2)", {}),
        "list": ("read", "SELECT ? AS a, ? AS b, ?2 AS c", {"bind": [9007199254740993, "x"]}),
        "map": ("read", "SELECT :a AS a, @b AS b, $c AS c, :d AS d, typeof(:e) AS e, :f AS f, typeof(:f) AS g, typeof(:h) AS h",
                {"bind": {"a": True, "b": None, "c": 0.5, "d": {"x": [1]}, "e": {"base64": "AAE="}, "f": {"base64": base64.b64encode(blob).decode()}, "h": 7}}),
        "quote": ("read", "SELECT :a AS a", {"bind": {"a": "'; DROP TABLE t; --"}}),
    })
    values = [row["v"] for row in output(tasks["read"])["rows"]]
    equal(values, [9007199254740993, -2**63, 0.1, 1e300, "käse\n\"", None, {"base64": base64.b64encode(blob).decode()}, {"base64": ""}, "", "c\ufffd\ufffd"])
    has(case.m("show", "-o", "json").out, "9007199254740993", "-9223372036854775808")
    equal(output(tasks["types"])["rows"], [{"one": 1.0, 'a "b': 2}])
    equal((output(tasks["none"]), output(tasks["write"])), ({"rows": []}, {"changes": 2, "lastId": 12}))
    equal(output(tasks["list"])["rows"], [{"a": 9007199254740993, "b": "x", "c": "x"}])
    equal(output(tasks["map"])["rows"], [{"a": 1, "b": None, "c": 0.5, "d": '{"x":[1]}', "e": "blob",
                                          "f": {"base64": base64.b64encode(blob).decode()}, "g": "blob", "h": "integer"}])
    equal(output(tasks["quote"])["rows"], [{"a": "'; DROP TABLE t; --"}])


def test_writes(case):
    db = database(case, "CREATE TABLE t (id INTEGER PRIMARY KEY, v UNIQUE, p REFERENCES t(id))", "INSERT INTO t VALUES (1, 'a', NULL)")
    tasks = do(case, {
        "returning": ("write", "INSERT INTO t (v) VALUES ('b'), ('c') RETURNING id, v", {}),
        "update": ("write", "UPDATE t SET v = v || :x WHERE id > 1; -- and no more", {"bind": {"x": "!"}}),
        "unique": ("write", "INSERT INTO t (v) VALUES ('z'), ('a')", {}),
        "parent": ("write", "INSERT INTO t (v, p) VALUES ('y', 99)", {}),
        "many": ("write", "INSERT INTO t (v) VALUES ('k'), ('l') RETURNING id", {"maxRows": 1}),
        "delete": ("write", "DELETE FROM t WHERE v = 'c!'", {}),
        "table": ("write", "CREATE TABLE u (a)", {}), "vacuum": ("write", "VACUUM", {}),
    })
    equal(output(tasks["returning"]), {"rows": [{"id": 2, "v": "b"}, {"id": 3, "v": "c"}], "changes": 2, "lastId": 3})
    equal((output(tasks["update"]), output(tasks["delete"])), ({"changes": 2}, {"changes": 1}))
    equal((output(tasks["table"]), tasks["vacuum"]["status"]), ({"changes": 0}, "success"))
    failed(tasks, {"unique": "UNIQUE constraint failed: t.v", "parent": "FOREIGN KEY constraint failed", "many": "more than 1 rows"})
    equal(db.execute("SELECT v FROM t").fetchall(), [("a",), ("b!",)])


def test_what_is_refused(case):
    db = database(case, "CREATE TABLE t (v)")
    case.file("text.db", "this is no database, but long enough to look at its first hundred bytes" * 9)
    tasks = do(case, {
        "syntax": ("read", "SELECT v FORM t", {}), "table": ("read", "SELECT v FROM nobody", {}),
        "two": ("write", "DELETE FROM t; DROP TABLE t", {}), "comment": ("read", "-- nothing", {}), "rest": ("read", "SELECT 1; what", {}),
        "writes": ("read", "INSERT INTO t VALUES (1)", {}), "same": ("read", "SELECT 1 AS a, 2 AS a", {}),
        "few": ("read", "SELECT ? AS a, ? AS b", {"bind": [1]}), "many": ("read", "SELECT 1", {"bind": [1]}), "missing": ("read", "SELECT ?", {}),
        "lacks": ("read", "SELECT :a, :b", {"bind": {"a": 1}}), "unused": ("read", "SELECT :a", {"bind": {"a": 1, "b": 2}}),
        "unnamed": ("read", "SELECT ?", {"bind": {"a": 1}}), "scalar": ("read", "SELECT ?", {"bind": 1}),
        "base64": ("read", "SELECT ?", {"bind": [{"base64": "!"}]}), "rows": ("read", "SELECT 1 UNION SELECT 2", {"maxRows": 1}),
        "exact": ("read", "SELECT 1 AS a UNION SELECT 2", {"maxRows": 2}), "limit": ("read", "SELECT 1", {"maxRows": -1}),
        "infinite": ("read", "SELECT 9e999 AS big", {}), "large": ("read", "SELECT zeroblob(16777217)", {}),
        "bytes": ("read", "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c LIMIT 20) SELECT i, printf('%.*c', 1000000, 'x') AS x FROM c", {}),
        "gone": ("read", "SELECT 1", {"db": "none.db"}), "gone2": ("write", "CREATE TABLE a (b)", {"db": "none.db"}),
        "folder": ("read", "SELECT 1", {"db": "."}), "text": ("read", "SELECT * FROM sqlite_schema", {"db": "text.db"}),
        "extension": ("read", "SELECT load_extension('x')", {}), "empty": ("read", "SELECT 1", {"db": ""}),
    })
    failed(tasks, {
        "syntax": 'near "t": syntax error', "table": "no such table: nobody", "two": "more than one statement", "comment": "no statement",
        "rest": "more than one statement", "writes": "for sqlite-write", "same": 'two columns are called "a"',
        "few": "has 1 values, the query 2 parameters", "many": "has 1 values, the query 0", "missing": "has 0 values, the query 1",
        "lacks": 'lacks "b"', "unused": '"b" is not in the query', "unnamed": "parameter 1 has no name", "scalar": "a list or a map",
        "base64": "base64 of parameter 1", "rows": "more than 1 rows", "limit": "maxRows: must be 0 to",
        "infinite": '"big" has an infinite number', "large": "too big", "bytes": "more than 16777216 bytes",
        "gone": "none.db is not there", "gone2": "none.db is not there", "folder": "Is a directory", "text": "not a database",
        "extension": "not authorized", "empty": "db: is empty",
    })
    equal(output(tasks["exact"])["rows"], [{"a": 1}, {"a": 2}])
    equal((db.execute("SELECT count(*) FROM t").fetchone(), os.path.exists(os.path.join(case.work, "none.db"))), ((0,), False))


def test_a_file_is_made_where_it_is_asked_for(case):
    database(case)
    output(do(case, {"a": ("write", "CREATE TABLE t (v)", {"db": "new.db", "create": True})})["a"])
    equal(sqlite3.connect(os.path.join(case.work, "new.db")).execute("SELECT name FROM sqlite_schema").fetchall(), [("t",)])


def test_another_writer(case):
    """It is waited for; the wait ends with the timeout of the task, or a cancel."""
    db = database(case, "CREATE TABLE t (v)")
    db.execute("BEGIN IMMEDIATE")
    task = {"id": "a", "action": "sqlite-write", "params": {"db": "x.db", "query": "INSERT INTO t VALUES (1)"}}
    case.file("dag.json", json.dumps({"tasks": [{**task, "timeout": "300ms"}]}))
    result = case.m("run", "dag.json", "-o", "json").exits(1)
    equal(task_of(result.json(), "a")["reason"], "timed out after 300ms")
    assert result.seconds < 5, result.seconds
    case.file("dag.json", json.dumps({"tasks": [task]}))
    owner = case.start("run", "dag.json")
    run = owner.run_id()
    wait_until(lambda: case.task("a", run)["traces"], "the wait")
    equal(case.task("a", run)["traces"][0]["message"], "waits for another writer")
    db.execute("COMMIT")
    equal(owner.end().code, 0)
    equal(db.execute("SELECT count(*) FROM t").fetchone(), (1,))


def test_cancel(case):
    """A statement without end is stopped; one that writes has written nothing."""
    db = database(case, "CREATE TABLE t (v)")
    tasks = {"read": FOR_EVER, "write": "INSERT INTO t " + FOR_EVER.replace("max(i)", "i")}
    for verb, query in tasks.items():
        task = {"id": "a", "timeout": "300ms", "action": "sqlite-" + verb, "params": {"db": "x.db", "query": query}}
        result = case.m("run", case.file("dag.json", json.dumps({"tasks": [task]})), "-o", "json").exits(1)
        equal(task_of(result.json(), "a")["reason"], "timed out after 300ms")
        assert result.seconds < 10, result.seconds
    equal(db.execute("SELECT count(*) FROM t").fetchone(), (0,))


def test_killed_while_it_works(case):
    """A read is made again, a write is not, and has changed nothing."""
    db = database(case, "CREATE TABLE t (v)")
    slow = FOR_EVER.replace("FROM c)", "FROM c LIMIT 10000000)")
    case.file("dag.json", dag_of({"read": ("read", slow, {})})[:-2] + "," + dag_of(
        {"write": ("write", "INSERT INTO t " + slow, {})}).removeprefix('{"tasks": ['))
    owner = case.start("run", "dag.json")
    run = owner.run_id()
    wait_until(lambda: set(statuses(case.show(run)).values()) == {"running"}, "both")
    time.sleep(0.2)
    owner.kill()
    document = case.m("run", "--resume", "-o", "json").exits(1).json()
    equal((task_of(document, "read")["status"], task_of(document, "read")["attempts"]), ("success", 2))
    equal((task_of(document, "write")["status"], task_of(document, "write")["attempts"]), ("failed", 1))
    equal(db.execute("SELECT count(*) FROM t").fetchone(), (0,))


def test_reads_after_a_killed_writer(case):
    """Its journal is to be rolled back first: that failed as an attempt to write a readonly database."""
    database(case, "CREATE TABLE t (a, b)", "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 2000) "
             "INSERT INTO t SELECT 1, hex(zeroblob(500)) FROM c").close()
    if (pid := os.fork()) == 0:
        db = sqlite3.connect(os.path.join(case.work, "x.db"), isolation_level=None)
        for statement in ("PRAGMA cache_size = 10", "BEGIN IMMEDIATE", "UPDATE t SET a = 2, b = b || 'y'"):
            db.execute(statement)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    assert os.path.getsize(os.path.join(case.work, "x.db-journal")) > 0, "nothing was left"
    tasks = do(case, {"read": ("read", "SELECT sum(a) AS a, sum(length(b)) AS b FROM t", {})})
    equal(output(tasks["read"])["rows"], [{"a": 2000, "b": 2000000}])


def test_another_file_is_not_there(case):
    """Of ATTACH: it was said of the file that is there."""
    database(case, "CREATE TABLE t (a)")
    failed(do(case, {"attach": ("read", "ATTACH 'none/other.db' AS other", {})}), {"attach": "none/other.db"})


def test_retry_by_number(case):
    db = database(case, "CREATE TABLE t (v UNIQUE)", "INSERT INTO t VALUES (1)")
    task = {"id": "a", "action": "sqlite-write", "retry": {"max": 2, "if": "error.sqlite == 2067 and error.attempt == 1"},
            "params": {"db": "x.db", "query": "INSERT INTO t VALUES (1)"}}
    run = case.m("run", case.file("dag.json", json.dumps({"tasks": [task]})), "-o", "json").exits(1).json()
    equal(task_of(run, "a")["attempts"], 2)
    equal(db.execute("SELECT count(*) FROM t").fetchone(), (1,))


def test_the_query_is_no_template(case):
    database(case, "CREATE TABLE t (v)")
    case.file("dag.yaml", """vars: {who: {defaultValue: "o'hara"}}
tasks:
  - {id: a, action: sqlite-write, params: {db: x.db, query: "INSERT INTO t VALUES (:who || '{{x}}')", bind: {who: "{{who}}"}}}
  - {id: b, dependOn: [a], action: sqlite-read, params: {db: "{{ 'x.db' }}", query: SELECT v FROM t}}
""")
    equal(task_of(case.m("run", "dag.yaml", "-o", "json").exits(0).json(), "b")["output"], {"rows": [{"v": "o'hara{{x}}"}]})
    case.file("dag.yaml", """vars: {who: }
tasks: [{id: a, action: sqlite-read, params: {db: x.db, query: "SELECT '{{who}}'"}}]
""")
    case.m("run", "dag.yaml").exits(3).says("E404", '"query" has no templates: pass "{{who}}" through "bind"')


if __name__ == "__main__":
    main()
