#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Goal: the JSON Schema says what the parser says. Method: what the parser takes, the schema must take
too (every example, every dag of other tests); what the parser refuses and a schema can see, it must
refuse (the broken files of the unit tests); the words of its enums are those of the parser's messages."""
import ast
import codecs
import glob
import json
import os
import re

from harness import EXAMPLES, SOURCE, Skip, equal, has, main

try:
    import jsonschema
    import yaml
except ImportError:
    jsonschema = yaml = None

# Errors in one place of the file: keys, types, words, numbers, ids, what needs what.
VISIBLE = {"E102", "E104", "E105", "E106", "E107", "E108", "E109", "E301", "E304", "E305", "E306", "E307",
           "E308", "E309", "E321", "E324", "E331", "E352", "E501", "E503", "E505"}
# What cannot be said of one place after all, by the test's name.
INVISIBLE = {"tags past their limit"}


class Loader(yaml.SafeLoader if yaml else object):
    """As millrace reads a file: no dates, and a key is text as it is written."""

    def construct_mapping(self, node, deep=False):
        self.flatten_mapping(node)
        return {key.value: self.construct_object(value, deep=True) for key, value in node.value}


if yaml:
    Loader.yaml_implicit_resolvers = {
        first: [(tag, rule) for tag, rule in rules if not tag.endswith((":timestamp", ":bool", ":value", ":int", ":float"))]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()}
    Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"(true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
    Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"[-+]?[0-9]+$"), list("-+0123456789"))
    Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$"),
                                 list("-+.0123456789"))
    Loader.add_constructor("tag:yaml.org,2002:map", Loader.construct_mapping)


def load(text):
    return yaml.load(text, Loader)  # a safe loader all the same


def validator(case, *args):
    if jsonschema is None:
        raise Skip("no python3-jsonschema or no python3-yaml")
    schema = case.m("schema", *args).exits(0).json()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def c_strings(text):
    """The C string literals of a text, each decoded and joined with its neighbours."""
    joined = re.sub(r'"\s*\n?\s*"', "", text)
    return [codecs.escape_decode(s.encode())[0] for s in re.findall(r'"((?:[^"\\]|\\.)*)"', joined)]


def broken_files():
    """(name, text, codes) of what test_parse.c refuses."""
    found = []
    for path in sorted(glob.glob(os.path.join(SOURCE, "tests/unit/parse_broken*.h"))):
        with open(path, encoding="utf-8") as file:
            text = file.read()
        for row in re.findall(r'^    \{("(?:[^"\\]|\\.)*",\s*TEXT\(.*?\)\s*,.*?)\},$', text, re.M | re.S):
            strings = c_strings(re.sub(r"\bTEXT\(", "", row))
            if len(strings) >= 3:
                found.append((strings[0].decode(), strings[1], re.findall(r"^([EW]\d{3}) \d", "\n".join(
                    s.decode("utf-8", "replace") for s in strings[2:]), re.M)))
    assert len(found) > 50, f"only {len(found)} broken files were found"
    return found


def test_every_reference_leads_somewhere(case):
    text = case.m("schema").exits(0).out
    schema = json.loads(text)
    for name in re.findall(r'"\$ref":"#/\$defs/([^"]*)"', text):
        assert name in schema["$defs"], name
    equal(schema["$schema"], "https://json-schema.org/draft/2020-12/schema")


def test_what_the_parser_takes(case):
    check = validator(case, "--plugins", os.path.join(os.environ.get("MILLRACE_TEST_BUILD", SOURCE + "/build"),
                                                      "examples/plugin-greet"))
    paths = glob.glob(os.path.join(EXAMPLES, "**/*.yaml"), recursive=True)
    assert len(paths) >= 4, paths
    case.m("init").exits(0)
    texts = {"init": case.read("dag.yaml")}
    for path in paths:
        with open(path, encoding="utf-8") as file:
            texts[path] = file.read()
    for path in glob.glob(os.path.join(SOURCE, "tests/e2e/test_*.py")):
        with open(path, encoding="utf-8") as file:
            for node in ast.walk(ast.parse(file.read())):
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and "tasks:" in node.value:
                    texts[f"{os.path.basename(path)}:{node.lineno}"] = node.value
    tried = 0
    for name, text in texts.items():
        if case.m("validate", "-", stdin=text).code != 0:
            continue  # a dag that is meant to be wrong, or a piece of one
        errors = [f"{list(e.absolute_path)}: {e.message[:200]}" for e in check.iter_errors(load(text))]
        assert not errors, f"{name}: {errors}"
        tried += 1
    assert tried >= 50, tried


def test_what_the_parser_refuses(case):
    check = validator(case)
    missed, seen = [], 0
    for name, raw, codes in broken_files():
        if not codes or codes[0] not in VISIBLE or name in INVISIBLE:
            continue
        try:
            dag = load(raw.decode())
        except (yaml.YAMLError, UnicodeDecodeError, ValueError, TypeError, AttributeError):
            continue
        seen += 1
        if check.is_valid(dag):
            missed.append(f"{codes[0]} {name}: {raw.decode()[:120]!r}")
    assert not missed, f"{len(missed)} of {seen}:\n" + "\n".join(missed)
    assert seen > 60, seen


def enum_of(schema, name, key):
    value = schema["$defs"][name]["properties"][key]
    return [w for w in value.get("enum", value.get("anyOf", [{}])[0].get("enum")) if w is not None]


def test_words_are_the_parsers(case):
    """One file with every word wrong: its messages list them all."""
    schema = case.m("schema").exits(0).json()
    text = """
status: zz
onLost: zz
isolation: zz
schedule: {cron: "0 0 * * *", overlap: zz, catchup: zz}
vars: {v: {type: zz}}
tasks:
  - {id: a, run: x, output: zz, when: zz, onLost: zz, isolation: zz, retry: {max: 1, backoff: zz}}
  - {id: b, run: x, preCheck: {c: {act: zz, conditions: [{source: zz, key: v, op: zz, values: [1]}]}}}
"""
    errors = case.m("validate", "-", "-o", "json", stdin=text).exits(3).json()["errors"]
    told = {}
    for error in errors:
        match = re.fullmatch(r'"(\w+)" must be one of (.*), not "zz"', error["message"])
        if match:
            told.setdefault(match[1], set()).add(match[2])
    for name, keys in {"dag": ["status", "onLost", "isolation"], "schedule": ["overlap", "catchup"], "variable": ["type"],
                       "task": ["output", "when", "onLost", "isolation"], "retry": ["backoff"], "check": ["act"],
                       "condition": ["source", "op"]}.items():
        for key in keys:
            equal({", ".join(enum_of(schema, name, key))}, told[key], f"{name}.{key}")


def test_keys_are_the_parsers(case):
    """The parser knows every key of the schema: none of them is an unknown key."""
    schema = case.m("schema").exits(0).json()["$defs"]
    places = {"dag": "{{{keys}, x-a: 1}}", "variable": "{{tasks: [], vars: {{v: {{{keys}}}}}}}", "task": "{{tasks: [{{{keys}}}]}}",
              "check": "{{tasks: [{{preCheck: {{c: {{{keys}}}}}}}]}}", "retry": "{{tasks: [{{retry: {{{keys}}}}}]}}",
              "condition": "{{tasks: [{{preCheck: {{c: {{conditions: [{{{keys}}}]}}}}}}]}}",
              "hook": "{{tasks: [], hooks: {{onExit: {{{keys}}}}}}}", "hooks": "{{tasks: [], hooks: {{{keys}}}}}",
              "schedule": "{{tasks: [], schedule: {{{keys}}}}}", "limits": "{{tasks: [], limits: {{{keys}}}}}"}
    for name, place in places.items():
        keys = ", ".join(f'"{key}": 1' for key in schema[name]["properties"])
        codes = {e["code"] for e in case.m("validate", "-", "-o", "json", stdin=place.format(keys=keys)).exits(3).json()["errors"]}
        assert "E102" not in codes, (name, codes)
        has(case.m("validate", "-", stdin=place.format(keys=keys + ', "zzz": 1')).exits(3).err, 'unknown key "zzz"')
    equal(set(places) | {n for n in schema if "properties" not in schema[n]}, set(schema), "every map of the schema is tried")


def test_editors_get_a_line_for_each_key_and_param(case):
    """What a language server shows and completes: a description, and the types where it looks for them."""
    text = case.m("schema").exits(0).out
    schema = json.loads(text)["$defs"]
    tables = [name for name in schema if "properties" in schema[name]]
    equal(len(tables), 10, "maps of the schema")
    for name in tables:
        for key, value in schema[name]["properties"].items():
            assert value.get("description"), f"{name}.{key}"
    actions = {a["name"]: a for a in case.m("actions", "-o", "json").exits(0).json()}
    seen = 0
    for part in schema["actions"]["allOf"][2:]:
        name = part["if"]["anyOf"][0]["properties"]["action"]["const"]
        params = part["then"]["properties"]["params"]["properties"]
        equal(list(params), [p["name"] for p in actions[name]["params"]], name)
        for param in actions[name]["params"]:
            described = params[param["name"]]
            has(described["description"], param["help"])
            assert isinstance(described["type"], list), (name, param)
            assert "default" not in described, "an editor would write it into the file"
            seen += 1
    assert seen > 20, seen


def test_names_of_lua(case):
    text = case.m("schema", "lua").exits(0).out
    assert text.startswith("---@meta\n")
    has(text, "function filter(", "function trace(", "vars")
    case.m("schema", "luau").exits(2).says('no schema of "luau"', 'did you mean "lua"')


def test_params_of_actions(case):
    check = validator(case)
    for task, good in (("action: wait, params: {for: 1s}", True), ("action: wait", False), ("action: wait, params: {fro: 1s}", False),
                       ("action: sh, params: {run: ls, env: {A: 1}}", True), ("action: sh, params: {env: {A: 1}}", False),
                       ("action: nobody", False), ("wait: 1s", True), ("wait: '{{x}}'", True), ("wait: 1", False), ("run: ls", True)):
        equal(check.is_valid(load("tasks: [{id: a, " + task + "}]")), good, task)


if __name__ == "__main__":
    main()
