#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Goal: Lua in a dag file does what contract.md says: conditions, templates, glue, and what it may
not. Method: dags whose tasks show what they were given; what runs for ever runs beside a run that
must not notice."""
import json
import time

from harness import equal, has, main, statuses, task_of, wait_until

BIG = 9007199254740993  # 2^53 + 1: no double has it


def run(case, text, *args, code=0):
    case.file("dag.yaml", text)
    return case.m("run", "dag.yaml", "-o", "json", *args).exits(code).json()


def start(case, text, *args):
    case.file("dag.yaml", text)
    return case.start("run", "dag.yaml", *args)


def outputs(document):
    return {t["id"]: t["output"] for t in document["tasks"]}


def reasons(document):
    return {t["id"]: t["reason"] for t in document["tasks"]}


def problems(case, text):
    """The errors of a definition as (line, column, message, suggestion)."""
    case.file("dag.yaml", text)
    result = case.m("validate", "dag.yaml", "-o", "json").exits(3)
    return [(e["line"], e["column"], e["message"], e["suggestion"]) for e in result.json()["errors"]]


# ---- conditions ---------------------------------------------------------------------------------


def test_conditions(case):
    """What Lua counts as true is true: 0 and "" too, nil and null not."""
    text = "vars: {n: {type: int, defaultValue: 3}, none: {type: int}}\ntasks:\n"
    wanted = {}
    for i, (expression, holds) in enumerate([
            ("vars.n == 3", True), ("vars.n > 3", False), ("0", True), ("''", True), ("nil", False), ("false", False),
            ("vars.none", False), ("vars.none == nil", True), ("share.x", False), ("run.dag == 'dag'", True)]):
        for key, on_true, on_false in (("runIf", "success", "skipped"), ("skipIf", "skipped", "success"),
                                       ("blockIf", "blocked", "success")):
            text += f"  - {{id: {key}{i}, {key}: \"{expression}\"}}\n"
            wanted[f"{key}{i}"] = on_true if holds else on_false
    document = run(case, text, code=8)
    equal(statuses(document), wanted)
    equal(document["status"], "blocked")
    equal((reasons(document)["runIf1"], reasons(document)["skipIf0"], reasons(document)["blockIf0"]),
          ("skipped by runIf", "skipped by skipIf", "blocked by blockIf"))


def test_order_of_conditions(case):
    """preCheck (file order), runIf, skipIf, blockIf: the first that acts decides."""
    always = "conditions: [{source: vars, key: x, op: in, values: [y]}]"
    document = run(case, f"""
vars: {{x: {{defaultValue: y}}}}
tasks:
  - {{id: checks, preCheck: {{z: {{act: block, {always}}}, a: {{act: skip, {always}}}}}}}
  - {{id: checkFirst, preCheck: {{a: {{act: skip, {always}}}}}, runIf: error('not reached')}}
  - {{id: runFirst, runIf: 'false', skipIf: error('not reached')}}
  - {{id: skipFirst, runIf: 'true', skipIf: 'true', blockIf: error('not reached')}}
  - {{id: last, runIf: 'true', skipIf: 'false', blockIf: 'true'}}
""", code=8)
    equal(statuses(document), {"checks": "blocked", "checkFirst": "skipped", "runFirst": "skipped", "skipFirst": "skipped",
                               "last": "blocked"})
    has(reasons(document)["checks"], "z")


def test_continue_passes_every_block(case):
    """And only blocks: the other conditions are evaluated anew."""
    always = "conditions: [{source: vars, key: x, op: in, values: [y]}]"
    run(case, f"""
vars: {{x: {{defaultValue: y}}}}
tasks:
  - {{id: a, preCheck: {{one: {{act: block, {always}}}, two: {{act: block, {always}}}}}, blockIf: 'true', run: echo ran}}
  - {{id: other, dependOn: [a], run: 'true'}}
  - id: setter
    lua: share.late = true
  - {{id: b, dependOn: [setter], blockIf: 'true', skipIf: 'share.again'}}
""", code=8)
    case.m("continue").exits(0)
    equal(statuses(case.show()), {"a": "success", "other": "success", "setter": "success", "b": "success"})
    equal(case.task("a")["output"], "ran")


def test_pre_checks(case):
    """Each source with each operator; a missing key is false for all of them but `exists: false`."""
    rows = [  # source, key, operator, value; holds
        ("vars", "s", "in: [dev, prod]", True), ("vars", "s", "in: [prod]", False),
        ("vars", "s", "not-in: [prod]", True), ("vars", "s", "not-in: [dev]", False),
        ("vars", "n", "in: ['3']", True), ("vars", "n", "in: [3]", True), ("vars", "n", "not-in: [4]", True),
        ("vars", "n", "'==': 3", True), ("vars", "n", "'!=': 3", False), ("vars", "n", "'<': 10", True),
        ("vars", "n", "'>': 10", False), ("vars", "s", "matches: '^d.v$'", True), ("vars", "s", "matches: '^x'", False),
        ("vars", "s", "exists: true", True), ("vars", "undeclared", "in: [x]", False),
        ("vars", "undeclared", "not-in: [x]", False),
        ("share-data", "k", "in: [v]", True), ("share-data", "k", "not-in: [v]", False),
        ("share-data", "k", "'==': v", True), ("share-data", "k", "'!=': v", False),
        ("share-data", "num", "'<': 10", True), ("share-data", "num", "'>': 10", False),
        ("share-data", "k", "matches: v", True), ("share-data", "k", "exists: true", True),
        ("share-data", "none", "in: [v]", False), ("share-data", "none", "not-in: [v]", False),
        ("share-data", "none", "'!=': v", False), ("share-data", "none", "exists: true", False),
        ("share-data", "none", "exists: false", True),
    ]
    text = "vars: {s: {defaultValue: dev}, n: {type: int, defaultValue: 3}}\ntasks:\n  - {id: set, lua: share.k = 'v' share.num = 5}\n"
    wanted = {"set": "success"}
    for i, (source, key, how, holds) in enumerate(rows):
        op, value = how.split(": ", 1)
        name = "values" if value.startswith("[") else "value"
        text += (f"  - {{id: t{i}, dependOn: [set], preCheck: {{c: {{act: skip, conditions: [{{source: {source}, key: {key}, "
                 f"op: {op}, {name}: {value}}}]}}}}}}\n")
        wanted[f"t{i}"] = "skipped" if holds else "success"
    document = run(case, text)
    got = statuses(document)
    wrong = [rows[int(k[1:])] + (got[k],) for k in wanted if k != "set" and got[k] != wanted[k]]
    equal(wrong, [], "conditions that came out wrong")
    case.m("validate", "dag.yaml").exits(0).says("undeclared", "never true")


def test_pre_checks_are_joined(case):
    """All conditions of one check must hold; of several checks any acts."""
    yes, no = ("{source: vars, key: s, op: in, values: [%s]}" % v for v in ("dev", "prod"))
    document = run(case, f"""
vars: {{s: {{defaultValue: dev}}}}
tasks:
  - {{id: both, preCheck: {{c: {{act: skip, conditions: [{yes}, {yes}]}}}}}}
  - {{id: one, preCheck: {{c: {{act: skip, conditions: [{yes}, {no}]}}}}}}
  - {{id: any, preChecks: {{c: {{act: block, conditions: [{no}]}}, d: {{act: skip, conditions: [{yes}]}}}}}}
""")
    equal(statuses(document), {"both": "skipped", "one": "success", "any": "skipped"})


def test_an_error_in_a_condition_fails_its_task(case):
    document = run(case, """
tasks:
  - {id: a, skipIf: "nil + 1"}
  - id: b
    runIf: |

      share.x.y
  - {id: c, blockIf: "error('told so')"}
  - {id: ok}
""", code=1)
    equal(statuses(document), {"a": "failed", "b": "failed", "c": "failed", "ok": "success"})
    has(reasons(document)["a"], "dag.yaml:3: attempt to perform arithmetic on a nil value")
    has(reasons(document)["b"], "dag.yaml:7: ")
    has(reasons(document)["c"], "dag.yaml:8: told so")


def test_conditions_are_pure(case):
    """They cannot act, and nothing that they change is seen by anybody."""
    found = problems(case, """
tasks:
  - {id: b, skipIf: "os.exit()"}
  - {id: c, skipIf: "io.open('/etc/passwd')"}
  - {id: d, skipIf: "require('x')"}
  - {id: e, skipIf: "trace('x')"}
""")
    equal([line for line, *_ in found], [3, 4, 5, 6])
    document = run(case, """
vars: {l: {type: list, defaultValue: [1]}}
tasks:
  - {id: a, skipIf: "(function() share.a = 1 end)()"}
  - {id: b, skipIf: "(function() vars.l[1] = 2 end)()"}
  - {id: c, skipIf: "(function() string.rep = nil end)()"}
""", code=1)
    equal((statuses(document)["a"], statuses(document)["c"], document["share"]), ("failed", "failed", {}))
    equal(document["vars"], {"l": [1]})


# ---- templates ----------------------------------------------------------------------------------


def test_templates(case):
    """One that is the whole string keeps its type; inside text, and in env, values are JSON or nothing."""
    document = run(case, """
vars:
  n: {type: int, defaultValue: 9007199254740993}
  f: {type: number, defaultValue: 1.5}
  b: {type: bool, defaultValue: true}
  l: {type: list, defaultValue: [1, "two", [3]]}
  m: {type: map, defaultValue: {k: 1}}
  none: {type: int}
  s: {defaultValue: "a {{n}} {{'x'}}"}
tasks:
  - {id: set, lua: "share.key = 's' share.braces = '{{n}}' return {deep = {list = {1, 2}}}"}
  - id: env
    dependOn: [set]
    env:
      A: "{{n}}"
      B: "{{b}}"
      C: "{{ l }}"
      D: "{{m}}"
      E: "{{none}}"
      F: "<{{none}}|{{l}}|{{n}}|{{f}}>"
      G: "{{.vars.n.Value}}"
      H: "{{.shareData.key}}"
      I: "{{ tasks.set.output.deep.list[2] + vars.n }}"
      J: "{{'{{'}}n}}"
      K: "{{s}}"
      L: "{{.shareData.braces}}"
      M: "{{ '}}' .. \\"}}\\" .. [[}}]] }}"
      N: "{{ ({a = {b = 1}}).a.b }}"
      O: "{{ run.dag }}-{{ tasks.set.status }}"
    run: 'for v in A B C D E F G H I J K L M N O; do eval "printf \\"%s=%s\\\\n\\" $v \\"\\$$v\\""; done'
""")
    got = dict(line.split("=", 1) for line in outputs(document)["env"].splitlines())
    equal(got, {"A": str(BIG), "B": "true", "C": '[1,"two",[3]]', "D": '{"k":1}', "E": "",
                "F": f'<|[1,"two",[3]]|{BIG}|1.5>', "G": str(BIG), "H": "s", "I": str(BIG + 2), "J": "{{n}}",
                "K": "a {{n}} {{'x'}}", "L": "{{n}}", "M": "}}}}}}", "N": "1", "O": "dag-success"})
    params = task_of(document, "env")["params"]["env"]
    equal((params["A"], params["B"], params["C"], params["E"]), (BIG, True, [1, "two", [3]], None))


def test_template_names(case):
    """The fan-out's item before a variable before Lua."""
    document = run(case, """
vars: {item: {defaultValue: variable}, math: {defaultValue: mine}}
tasks:
  - {id: a, forEach: "{'x'}", env: {A: "{{item}}", B: "{{ item }}", C: "{{vars.item}}", D: "{{math}}"}, run: 'echo "$A $B $C $D"'}
  - {id: b, env: {A: "{{item}}", B: "{{ math }}"}, run: 'echo "$A $B"'}
""")
    equal((outputs(document)["a"], outputs(document)["b"]), (["x x variable mine"], "variable mine"))


def test_unknown_names_are_seen_at_validation(case):
    found = problems(case, """
vars: {stage: {defaultValue: dev}}
tasks:
  - {id: build, runIf: "vars.stag == 'dev'"}
  - {id: b, dependOn: [build], skipIf: "tasks.biuld.status"}
  - {id: c, env: {A: "{{ stag }}"}, run: 'true'}
  - id: d
    lua: |
      local x = 1
      return vars.stagee
  - {id: e, env: {A: "x {{.vars.stge.Value}}"}, run: 'true'}
  - {id: f, forEach: "{1}", as: host, env: {A: "{{ hots.name }}"}, run: 'true'}
  - {id: g, lua: "return tosting(1)"}
""")
    equal([(line, suggestion) for line, _, _, suggestion in found],
          [(4, "stage"), (5, "build"), (6, "stage"), (10, "stage"), (11, "stage"), (12, "host"), (13, "tostring")])
    lines = case.read("dag.yaml").splitlines()
    for line, column, _, _ in found[:3]:  # the caret stands under the name, or its template
        has(lines[line - 1][column - 1:], *{4: ["stag "], 5: ["biuld"], 6: ["{{ stag }}"]}[line][:1])
        assert lines[line - 1][column - 1:].startswith({4: "stag ", 5: "biuld", 6: "{{ stag }}"}[line]), (line, column)
    case.m("validate", "dag.yaml").exits(3).says("dag.yaml:4:30: error[", 'did you mean "stage"', "^~~~")


def test_unknown_names_that_only_running_shows(case):
    document = run(case, """
vars: {m: {type: map, defaultValue: {a: 1}}}
tasks:
  - {id: a, env: {A: "{{.shareData.none}}"}, run: 'true'}
  - {id: b, env: {A: "{{ vars['no' .. 'ne'] }}"}, run: 'true'}
  - {id: ok, env: {A: "x{{ vars.m.none }}y"}, run: echo $A}
""", code=1)
    equal(statuses(document), {"a": "failed", "b": "failed", "ok": "success"})
    has(reasons(document)["a"], "dag.yaml:4: ", "none")
    equal(outputs(document)["ok"], "xy")


def test_run_is_never_templated(case):
    found = problems(case, """
vars: {n: {}}
tasks:
  - {id: a, run: "echo {{n}}"}
  - {id: b, run: "echo {{ vars.n }} {{ .vars.n.Value }} {{ share.x }} {{.shareData.x}} {{tasks.a.output}} {{run.id}}"}
  - {id: c, forEach: "{1}", as: it, run: "echo {{it}}"}
""")
    equal([line for line, *_ in found], [4] + [5] * 6 + [6])
    document = run(case, "tasks: [{id: a, run: \"echo '{{.Names}} {{x}}'\"}]\n")
    equal(outputs(document)["a"], "{{.Names}} {{x}}")


# ---- glue ---------------------------------------------------------------------------------------


def test_what_a_script_returns(case):
    values = {
        "text": ("'x\\ty'", "x\ty"), "int": (str(2**63 - 1), 2**63 - 1), "min": ("math.mininteger", -2**63),
        "float": ("1.5", 1.5), "whole": ("2.0", 2.0), "yes": ("true", True), "nothing": ("nil", None),
        "isNull": ("null", None), "empty": ("{}", []), "list": ("{1, {2}, {}}", [1, [2], []]),
        "map": ("{b = 1, a = {c = {}}}", {"a": {"c": []}, "b": 1}), "nulls": ("{1, null, 3}", [1, None, 3]),
        "utf8": ("'ü€'", "ü€"),
    }
    text = "tasks:\n" + "".join(f"  - {{id: {k}, lua: {json.dumps('return ' + v[0])}}}\n" for k, v in values.items())
    document = run(case, text)
    equal(outputs(document), {k: v[1] for k, v in values.items()})
    has(case.m("show", "-o", "json").exits(0).out, str(2**63 - 1), str(-2**63))


def test_what_a_script_may_not_return(case):
    document = run(case, """
tasks:
  - {id: cycle, lua: "local t = {} t.deep = {t} return t"}
  - {id: function, lua: "return {f = print}"}
  - {id: mixed, lua: "return {1, a = 2}"}
  - {id: hole, lua: "return {[1] = 1, [3] = 3}"}
  - {id: nan, lua: "return 0/0"}
  - {id: bytes, lua: "return '\\\\xff'"}
  - {id: share, lua: "share.f = print"}
  - {id: shareCycle, lua: "local t = {} t.t = t share.t = t"}
  - {id: ok, lua: "return 1"}
""", code=1)
    got = statuses(document)
    equal({k for k, v in got.items() if v == "success"}, {"ok"})
    why = reasons(document)
    for task, line, word in (("cycle", 3, "cycle"), ("function", 4, "function"), ("mixed", 5, "keys"), ("share", 9, "function"),
                             ("shareCycle", 10, "cycle")):
        has(why[task], f"dag.yaml:{line}: ", word)
    equal(document["share"], {})


def test_share(case):
    """What one task left the next one finds, exactly; with the end of the task, also a failing one."""
    document = run(case, f"""
tasks:
  - {{id: a, lua: "share.n = {BIG} share.l = {{{{}}, {{1}}}} share.m = {{k = {{{BIG}}}}} share.gone = 1"}}
  - {{id: b, dependOn: [a], lua: "share.gone = nil return {{n = share.n + 1, l = share.l, m = share.m, k = share.m.k[1]}}"}}
  - {{id: failing, dependOn: [b], lua: "share.failed = 'kept' error('no')"}}
  - {{id: after, dependOn: [failing], when: always, lua: "local k = {{}} for key in pairs(share) do k[#k+1] = key end return k"}}
""", code=1)
    equal(outputs(document)["b"], {"n": BIG + 1, "l": [[], [1]], "m": {"k": [BIG]}, "k": BIG})
    equal(document["share"], {"n": BIG, "l": [[], [1]], "m": {"k": [BIG]}, "failed": "kept"})
    equal(outputs(document)["after"], ["failed", "l", "m", "n"])
    equal(case.show(), document, "the same from the store")


def test_scripts_see_the_run(case):
    document = run(case, """
tasks:
  - {id: a, run: 'echo {\\"k\\":[1,2]}', output: json}
  - {id: bad, run: exit 3}
  - id: b
    dependOn: [a, bad]
    when: always
    lua: |
      trace('one', 2)
      return {tasks.a.output.k[2], tasks.a.status, tasks.bad.status, tasks.bad.reason, run.id, #tasks.a.output.k}
""", code=1)
    equal(outputs(document)["b"], [2, "success", "failed", "exit 3", document["id"], 2])
    equal([t["message"] for t in task_of(document, "b")["traces"]], ["one 2"])


def test_errors_name_the_files_own_line(case):
    text = """tasks:
  - id: block
    lua: |
      local x = nil

      return x.y
  - id: indented
    dependOn: []
    lua: |2
        -- two more blanks

        error('here')
  - id: kept
    lua: |+
      local function f() error('in f') end
      f()

  - {id: quoted, lua: "\\n\\nerror('quoted')"}
  - id: plain
    lua: error('plain')
  - id: object
    lua: "error({code = 1})"
  - id: template
    env:
      A: "x"
      B: "{{ share.a.b }}"
    run: "true"
  - id: each
    forEach: |
      share.x.y
    run: "true"
"""
    why = reasons(run(case, text, code=1))
    for task, line in (("block", 6), ("indented", 12), ("kept", 15), ("plain", 20), ("template", 26), ("each", 30)):
        assert why[task].startswith(f"dag.yaml:{line}: "), (task, why[task])
    has(why["block"], "index a nil value")
    has(why["kept"], "in f")
    has(why["quoted"], "dag.yaml:18: quoted")  # its lines are not the file's
    has(why["object"], "dag.yaml:22")


def test_syntax_errors_are_found_at_validation(case):
    found = problems(case, """
tasks:
  - {id: a, skipIf: "run.id =="}
  - id: b
    lua: |
      local x = 1
      if x then
        return (
      end
  - {id: c, env: {A: "{{ 1 + }}"}, run: 'true'}
""")
    equal([line for line, *_ in found], [3, 9, 10])


def test_syntax_errors_were_hidden_by_other_errors(case):
    """All errors of a file are shown at once."""
    found = problems(case, """
vars: {n: {}}
tasks:
  - {id: a, skipIf: "vars.m"}
  - {id: b, lua: "return ("}
  - {id: c, dependOn: [nobody], action: no-such-action}
  - {id: d, action: wait, params: {four: 1s}}
""")
    equal(sorted({line for line, *_ in found}), [4, 5, 6, 7])


# ---- what runs for ever ---------------------------------------------------------------------------

LOOP = "(function() while true do end end)()"
HOG = "(function() local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end end)()"


def progress(case, seconds):
    """How many tasks of a second run are done meanwhile: each waits 20 ms."""
    chain = "tasks:\n  - {id: t0, wait: 20ms}\n"
    chain += "".join(f"  - {{id: t{i}, dependOn: [t{i - 1}], wait: 20ms}}\n" for i in range(1, 20))
    started = time.monotonic()
    case.m("run", case.file("chain.yaml", chain)).exits(0)
    assert time.monotonic() - started < seconds, f"20 waits of 20 ms took {time.monotonic() - started:.2f} s"


def test_a_loop_in_a_condition_holds_up_nobody(case):
    """200 of them, beside a run that goes on."""
    text = "tasks:\n  - {id: hold, run: 'until test -e go; do sleep 0.05; done'}\n"
    for i in range(200):
        text += f"  - {{id: l{i}, skipIf: \"{LOOP if i % 2 == 0 else HOG}\"}}\n"
    owner = start(case, (text))
    owner.run_id()
    progress(case, 5)
    wait_until(lambda: sum(s == "failed" for s in statuses(case.show(owner.run_id())).values()) == 200, "all to fail")
    case.file("go", "")
    owner.end().exits(1)
    has(reasons(case.show(owner.run_id()))["l0"], "dag.yaml:3: ", "took more than")
    has(reasons(case.show(owner.run_id()))["l1"], "dag.yaml:4: ", "took more than")


def test_a_loop_in_a_task_holds_up_nobody(case):
    """It ends with its timeout, or when it is canceled; pcall does not help it."""
    owner = start(case, ("""
tasks:
  - {id: loop, timeout: 1500ms, lua: "while true do end"}
  - {id: caught, timeout: 1500ms, lua: "while true do pcall(function() while true do end end) end"}
  - {id: hog, timeout: 20s, lua: "local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end"}
  - {id: long, lua: "return #('x'):rep(1 << 40)"}
  - {id: match, timeout: 1500ms, lua: "return ('a'):rep(100000):find(('.-'):rep(20) .. 'b')"}
  - {id: canceled, lua: "while true do end"}
"""), "-j", "8")
    run_id = owner.run_id()
    progress(case, 5)
    case.m("cancel", run_id, "canceled").exits(0)
    result = owner.end(20).exits(1)
    document = case.show(run_id)
    why = reasons(document)
    equal((why["loop"], why["caught"]), ("timed out after 1500ms",) * 2)
    has(why["hog"], "dag.yaml:5: ", "memory")
    has(why["long"], "dag.yaml:6: ")
    equal(statuses(document)["match"], "failed")
    equal(statuses(document)["canceled"], "canceled")
    assert result.seconds < 15, result


def test_a_sleeping_script_is_canceled_at_once(case):
    owner = start(case, ("tasks: [{id: a, lua: sleep(3600000)}]\n"))
    run_id = owner.run_id()
    wait_until(lambda: statuses(case.show(run_id))["a"] == "running", "the task")
    case.m("cancel", run_id).exits(0)
    result = owner.end().exits(1)
    assert result.seconds < 5, result
    equal(statuses(case.show(run_id)), {"a": "canceled"})


def test_flushed_share_data_survives(case):
    """kill -9 in the middle of a script: what was flushed stands, what was only set is gone."""
    owner = start(case, ("""
tasks:
  - id: a
    onLost: fail
    lua: |
      share.kept = 'flushed'
      flush()
      share.gone = 'set'
      trace('set')
      while not canceled() do sleep(10) end
"""))
    run_id = owner.run_id()
    wait_until(lambda: [t["message"] for t in task_of(case.show(run_id), "a")["traces"]] == ["set"], "the script")
    owner.kill()
    document = case.m("run", "--resume", "-o", "json").exits(1).json()
    equal(document["share"], {"kept": "flushed"})
    equal(task_of(document, "a")["reason"], "lost: the engine stopped while it ran")


def test_flushed_share_data_was_gone_for_a_moment(case):
    """For the task that had flushed it, between its being durable and its being shown to all."""
    document = run(case, """
tasks:
  - id: a
    lua: |
      for i = 1, 200 do
        share.n = i
        share.old = i % 2 == 0 and i or nil
        flush()
        if share.n ~= i or (share.old ~= nil) ~= (i % 2 == 0) then error('set ' .. i .. ', read ' .. tostring(share.n)) end
      end
""")
    equal(document["share"], {"n": 200, "old": 200})


def test_pairs_goes_in_key_order(case):
    document = run(case, """
tasks:
  - id: a
    lua: |
      local t, out = {}, {}
      for i = 100, 1, -1 do t['k' .. i] = i end
      for k in pairs(t) do out[#out + 1] = k end
      return out
""")
    equal(outputs(document)["a"], sorted(f"k{i}" for i in range(1, 101)))


if __name__ == "__main__":
    main()
