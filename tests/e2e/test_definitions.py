#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Goal: every kind of wrong dag file is refused with its place, all errors at once, and nothing runs.

Method: a table of wrong files with the place and words that must be named; then the two forms in
which errors are shown, and files that look wrong but are not.
"""
from harness import equal, has, main

# name: (text, [(line, column or None, part of the message, suggestion or None)])
WRONG = {
    "unknown key at the top": ("id: a\ntaks: []\ntasks: [{id: b, run: x}]\n", [(2, 1, "taks", "tasks")]),
    "unknown key in a task": (
        "tasks:\n  - id: build\n    run: make\n  - id: push\n    dependon: [build]\n    run: x\n",
        [(5, 5, "dependon", "dependOn")]),
    "unknown key of a variable": ("vars:\n  a: {defaultvalue: 1}\ntasks: [{id: b, run: x}]\n",
                                  [(2, 7, "defaultvalue", "defaultValue")]),
    "unknown parent": ("tasks:\n  - {id: build, run: x}\n  - {id: b, dependOn: [biuld], run: x}\n",
                       [(3, 24, "biuld", "build")]),
    "cycle": ("tasks:\n  - {id: aa, dependOn: [cc], run: x}\n  - {id: bb, dependOn: [aa], run: x}\n"
              "  - {id: cc, dependOn: [bb], run: x}\n", [(None, None, "bb", None)]),
    "cycle beside a good root": ("tasks:\n  - {id: root, run: x}\n  - {id: aa, dependOn: [bb], run: x}\n"
                                 "  - {id: bb, dependOn: [aa], run: x}\n", [(None, None, "aa", None)]),
    "task that waits for itself": ("tasks:\n  - {id: aa, dependOn: [aa], run: x}\n", [(2, None, "aa", None)]),
    "task id twice": ("tasks:\n  - {id: aa, run: x}\n  - {id: aa, run: y}\n", [(3, 10, "aa", None)]),
    "key twice": ("tasks:\n  - id: aa\n    run: x\n    run: y\n", [(4, 5, "run", None)]),
    "two actions": ("tasks:\n  - {id: aa, run: x, wait: 1s}\n", [(2, None, "action", None)]),
    "variable in run": ("vars: {name: {}}\ntasks:\n  - {id: aa, run: 'echo {{name}}'}\n", [(3, None, "env", None)]),
    "vars in run": ("tasks:\n  - {id: aa, run: 'echo {{ vars.x }}'}\n", [(2, None, "env", None)]),
    "share data in run": ("tasks:\n  - {id: aa, run: 'echo {{.shareData.x}}'}\n", [(2, None, "env", None)]),
    "unknown name in a template": ("vars: {name: {}}\ntasks:\n  - {id: aa, env: {A: '{{nmae}}'}, run: x}\n",
                                   [(3, None, "nmae", "name")]),
    "unknown duration": ("tasks:\n  - {id: aa, run: x, timeout: 5 parsecs}\n", [(2, None, "5 parsecs", None)]),
    "wait for what": ("tasks:\n  - {id: aa, wait: banana}\n", [(2, None, "banana", None)]),
    "unknown onLost": ("tasks:\n  - {id: aa, run: x, onLost: rety}\n", [(2, None, "rety", "retry")]),
    "unknown type": ("vars:\n  a: {type: itn}\ntasks: [{id: aa, run: x}]\n", [(2, None, "itn", "int")]),
    "default of another type": ("vars:\n  a: {type: int, defaultValue: many}\ntasks: [{id: aa, run: x}]\n",
                                [(2, None, "a", None)]),
    "default outside its enum": ("vars:\n  a: {enum: [x, y], defaultValue: z}\ntasks: [{id: aa, run: x}]\n",
                                 [(2, None, "a", None)]),
    "id with a blank": ("tasks:\n  - {id: a b, run: x}\n", [(2, None, "a b", None)]),
    "id with a slash": ("tasks:\n  - {id: a/b, run: x}\n", [(2, None, "a/b", None)]),
    "id that is too long": ("tasks:\n  - {id: " + "a" * 129 + ", run: x}\n", [(2, None, "128", None)]),
    "task without id": ("tasks:\n  - {run: x}\n", [(2, None, "id", None)]),
    "env without a shell": ("tasks:\n  - {id: aa, wait: 1s, env: {A: b}}\n", [(2, None, "env", None)]),
    "unknown output": ("tasks:\n  - {id: aa, run: x, output: xml}\n", [(2, None, "xml", None)]),
    "unknown action": ("tasks:\n  - {id: aa, action: wiat, params: {for: 1s}}\n", [(2, 22, "wiat", "wait")]),
    "unknown param": ("tasks:\n  - {id: aa, action: wait, params: {fro: 1s}}\n", [(2, None, "fro", "for")]),
    "param of another type": ("tasks:\n  - {id: aa, action: sh, params: {run: [a]}}\n", [(2, None, "run", None)]),
    "not a list": ("tasks: {id: aa}\n", [(1, None, "tasks", None)]),
    "no tasks": ("id: aa\n", [(None, None, "tasks", None)]),
    "not a map": ("- aa\n- bb\n", [(1, None, "", None)]),
    "empty file": ("", [(None, None, "", None)]),
    "no YAML": ("tasks:\n  - {id: aa, run: x\n  - id: b\n", [(None, None, "", None)]),
    "a tab": ("tasks:\n\t- id: aa\n", [(2, None, "", None)]),
    "no JSON": ('{"tasks": [{"id": "aa", "run": "x"]}\n', [(1, None, "", None)]),
    "unknown anchor": ("tasks:\n  - {id: aa, run: *nobody}\n", [(2, None, "nobody", None)]),
    "too deep": ("x-deep: " + "[" * 100 + "]" * 100 + "\ntasks: [{id: aa, run: x}]\n", [(None, None, "64", None)]),
    "columns are characters": ("tasks:\n  - {id: größe, dependon: [b], run: x}\n", [(2, 17, "dependon", "dependOn")]),
    "isolation of what is a process": ("tasks:\n  - {id: aa, run: x, isolation: process}\n",
                                       [(2, 33, "starts processes itself", None)]),
    "isolation of Lua": ("tasks:\n  - {id: aa, lua: x = 1, isolation: process}\n", [(2, 37, "cannot be isolated", None)]),
    "isolation of a gate": ("tasks:\n  - {id: aa, isolation: process}\n", [(2, 14, "isolation", None)]),
    "an unknown isolation": ("tasks:\n  - {id: aa, action: noop, isolation: proces}\n", [(2, 39, "proces", "process")]),
    "limits without isolation": ("tasks:\n  - {id: aa, action: noop, limits: {files: 64}}\n",
                                 [(2, 28, "isolation: process", None)]),
    "a dag's limits without isolation": ("limits: {cpu: 1s}\ntasks:\n  - {id: aa, action: noop}\n",
                                         [(1, 1, "isolation: process", None)]),
    "a limit without a unit": ("isolation: process\ntasks:\n  - {id: aa, action: noop, limits: {memory: 256}}\n",
                               [(3, 45, "256", None)]),
    "a schedule's word": ("schedule: {cron: '* * * * *', overlap: skp}\ntasks: [{id: aa, run: x}]\n",
                          [(1, 40, "skp", "skip")]),
    "a hook": ("hooks: {onFail: {lua: x}}\ntasks: [{id: aa, run: x}]\n", [(1, 9, "onFail", None)]),
    "when": ("tasks:\n  - {id: aa, run: x, when: alway}\n", [(2, 28, "alway", "always")]),
    "what belongs to forEach": ("tasks:\n  - {id: aa, run: x, as: x}\n", [(2, 22, "forEach", None)]),
    "a retry policy": ("tasks:\n  - {id: aa, run: x, retry: {mx: 2}}\n", [(2, 30, "mx", "max"), (2, 22, "max", None)]),
    "a variable in a Lua template": ("vars: {n: {}}\ntasks:\n  - {id: aa, run: x, env: {A: '{{ vars.m * 2 }}'}}\n",
                                     [(3, 40, "m", None)]),
    "a variable's bare name in Lua": ("vars: {n: {}}\ntasks:\n  - {id: aa, run: x, skipIf: n == 3}\n",
                                      [(3, 30, "n", "vars.n")]),
    "a task that Lua names": ("tasks:\n  - {id: aa, run: x, skipIf: tasks.ab.output}\n", [(2, 36, "ab", "aa")]),
    "the item in run": ("tasks:\n  - {id: aa, forEach: share.l, run: 'x {{item}}'}\n", [(2, 40, "item", None)]),
}

RIGHT = {
    "the shell's own braces": "tasks: [{id: a, run: \"docker ps --format '{{.Names}}'\"}]\n",
    "a key of one's own": "x-owner: {team: web}\ntasks: [{id: a, run: 'true'}]\n",
    "merge": "x-base: &base {timeout: 5s, run: 'true'}\ntasks: [{id: a, <<: *base}]\n",
    "a gate": "tasks: [{id: a}]\n",
    "what stands around": "cron: '0 7 * * 1-5'\nhooks: {onExit: {lua: trace(run.id)}}\ntasks: [{id: a, when: always, retry: 2}]\n",
    "conditions": "vars: {n: {}}\ntasks: [{id: a, runIf: true, skipIf: vars.n == 'x', preCheck: {c: {act: block, "
                  "conditions: [{source: vars, key: n, op: in, values: [a]}]}}}]\n",
    "a fan-out": "tasks: [{id: a, forEach: '{1, 2}', as: n, key: n, run: echo $N, env: {N: '{{n}} {{ n + 1 }}'}}]\n",
    "isolation": "isolation: process\nlimits: {memory: 256MiB}\ntasks:\n  - {id: a, action: noop, limits: "
                 "{cpu: 2s, files: 64}}\n  - {id: b, action: noop, isolation: none}\n  - {id: c, run: x}\n",
    "fastflow's keys": "tasks: [{id: a, actionName: ff-waiting, timeoutSecs: 5, params: {waitingTime: 1s}}]\n",
    "JSON": '{"tasks": [{"id": "a", "run": "true"}]}\n',
    "ids of any language": "id: Größe\ntasks: [{id: 日本, run: 'true'}]\n",
    "no is text": "vars: {a: {defaultValue: no}}\ntasks: [{id: a, env: {A: '{{a}}'}, run: 'test $A = no'}]\n",
}


def test_wrong_files(case):
    """All of the table, in the form for programs."""
    faults = []
    for name, (text, wanted) in WRONG.items():
        file = case.file("dag.yaml", text)
        try:
            result = case.m("validate", file, "-o", "json").exits(3)
            errors = result.json()["errors"]
            assert len(errors) >= len(wanted), f"too few errors:\n{result}"
            for line, column, words, suggestion in wanted:
                assert any(
                    (line is None or line == e["line"]) and (column is None or column == e["column"])
                    and words in e["message"] and (suggestion is None or e["suggestion"] == suggestion)
                    and e["file"] == file and e["code"].startswith("E")
                    for e in errors), f"none is {line}:{column} {words!r} {suggestion!r}:\n{result}"
        except AssertionError as error:
            faults.append(f"{name}: {error}")
    assert not faults, f"{len(faults)} of {len(WRONG)}:\n" + "\n".join(faults)


def test_right_files(case):
    for name, text in RIGHT.items():
        result = case.m("validate", case.file("dag.yaml", text))
        assert result.code == 0, f"{name}: {result}"


def test_run_refuses_and_stores_nothing(case):
    for name, (text, _) in WRONG.items():
        result = case.m("run", case.file("dag.yaml", text))
        assert result.code == 3 and result.out == "", f"{name}: {result}"
    equal(case.m("runs", "-o", "json").exits(0).json(), [])


def test_text_has_place_line_caret_and_suggestion(case):
    case.file("deploy.yaml", WRONG["unknown key in a task"][0])
    result = case.m("validate", "deploy.yaml").exits(3)
    equal(result.out, "")
    lines = result.err.splitlines()
    has(lines[0], "deploy.yaml:5:5: error[E", ']: unknown key "dependon" in task "push"')
    equal(lines[1], "   5 |     dependon: [build]")
    equal(lines[2], '     |     ^~~~~~~~ did you mean "dependOn"?')


def test_all_errors_at_once(case):
    file = case.file("dag.yaml", "taks: 1\ntasks:\n  - {id: a, run: x, timout: 1s}\n  - {id: b, dependOn: [c], run: x}\n")
    errors = case.m("run", file, "-o", "json").exits(3).json()["errors"]
    equal([e["line"] for e in errors], [1, 3, 4])
    result = case.m("validate", file).exits(3)
    equal(result.err.count("error[E"), 3)


def test_several_files(case):
    good = case.file("good.yaml", "tasks: [{id: a, run: 'true'}]\n")
    bad = case.file("bad.yaml", "tasks: [{id: a, rnu: 'true'}]\n")
    case.m("validate", good).exits(0)
    case.m("validate", good, bad).exits(3).says("bad.yaml:1:")
    case.m("validate", good, "missing.yaml").exits(5).says("missing.yaml")


def test_alias_bomb_is_refused_quickly(case):
    lines = ["x-0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"x-{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    file = case.file("bomb.yaml", "\n".join(lines) + "\ntasks: [{id: a, run: 'true'}]\n")
    result = case.m("validate", file).exits(3).says("bomb.yaml:")
    assert result.seconds < 5, f"{result.seconds:.1f} s"


def test_stacked_diamonds_are_checked_quickly(case):
    """Graph walks are not exponential."""
    text = "tasks:\n  - {id: j0}\n"
    for i in range(1, 200):
        text += f"  - {{id: a{i}, dependOn: [j{i - 1}]}}\n  - {{id: b{i}, dependOn: [j{i - 1}]}}\n"
        text += f"  - {{id: j{i}, dependOn: [a{i}, b{i}]}}\n"
    result = case.m("run", case.file("diamonds.yaml", text)).exits(0)
    assert result.seconds < 5, f"{result.seconds:.1f} s"


def test_bytes_that_are_no_text(case):
    path = case.file("dag.yaml", "")
    for content in (b"tasks: [{id: a, run: '\xff\xfe'}]\n", b"\0\0\0", b"\xef\xbb\xbf\xff"):
        with open(path, "wb") as file:
            file.write(content)
        case.m("validate", path).exits(3)


def test_stdin(case):
    run = case.m("run", "-", "-o", "json", stdin="tasks: [{id: a, run: 'true'}]\n").exits(0).json()
    equal(run["dag"], "stdin")
    result = case.m("run", "-", stdin="tasks: [{id: a, rnu: 'true'}]\n").exits(3)
    has(result.err, ":1:17: error[E", "did you mean")


if __name__ == "__main__":
    main()
