/* SPDX-License-Identifier: MIT
 *
 * The broken dag files of test_parse.c and what is said about each.
 */
#ifndef PARSE_BROKEN_H
#define PARSE_BROKEN_H

#include "parse_fixture.h"

static const struct broken broken_files[] = {
    {"empty file", TEXT(""), "E001 1:1+0 the file is empty"},
    {"only blanks", TEXT("\n   \n"), "E001 1:1+0 the file is empty"},
    {"only a comment", TEXT("# nothing\n"), "E001 1:1+0 the file is empty"},
    {"only a document mark", TEXT("---\n"), "E001 2:1+1 the file is empty"},
    {"a list", TEXT("- id: a\n"), "E104 1:1+1 a dag file must be a map with the key \"tasks\""},
    {"a word", TEXT("hello\n"), "E104 1:1+5 a dag file must be a map with the key \"tasks\""},
    {"not UTF-8", TEXT("id: x\nname: caf\351\n"), "E003 2:10+0 this byte is not UTF-8"},
    {"cut UTF-8 at the end", TEXT("id: x # \303"), "E003 1:9+0 this byte is not UTF-8"},
    {"UTF-16", TEXT("\377\376i\000d\000"), "E003 1:1+0 this byte is not UTF-8"},
    {"surrogate in UTF-8", TEXT("id: \355\240\200"), "E003 1:5+0 this byte is not UTF-8"},
    {"NUL byte", TEXT("id: x\nname: a\000b\n"), "E004 2:8+0 a NUL byte"},
    {"control character", TEXT("id: \007\n"),
     "E004 1:5+0 a control character (in double quotes it can be written as \\xNN)"},
    {"delete character in a column after umlauts", TEXT("name: \303\244\303\266\303\274\177\n"),
     "E004 1:10+0 a control character (in double quotes it can be written as \\xNN)"},
    {"line separator", TEXT("name: a\342\200\250b\n"),
     "E004 1:8+0 a line separator other than a newline (in double quotes it can be written"
     " as \\u0085, \\u2028 or \\u2029)"},
    {"next line character", TEXT("name: a\302\205b\n"),
     "E004 1:8+0 a line separator other than a newline (in double quotes it can be written"
     " as \\u0085, \\u2028 or \\u2029)"},
    {"byte order mark within", TEXT("name: a\357\273\277b\n"),
     "E004 1:8+0 a character that no text may hold"},
    {"noncharacter", TEXT("name: a\357\277\277b\n"),
     "E004 1:8+0 a character that no text may hold"},
    {"NUL escape", TEXT("name: \"a\\0b\"\ntasks: [{id: a, run: x}]\n"),
     "E004 1:7+6 text may not hold NUL"},
    {"two documents",
     TEXT("tasks: [{id: a, run: x}]\n"
          "---\n"
          "tasks: [{id: a, run: x}]\n"),
     "E007 2:1+1 a second document begins here: a file holds one dag"},
    {"text after the document", TEXT("--- {tasks: []}\nmore\n"),
     "E005 2:1+1 text after the end of the document"},
    {"tab indentation", TEXT("tasks:\n\t- id: a\n"), "E006 2:1+1 a tab cannot indent: use spaces"},
    {"tab indentation of a key",
     TEXT("tasks:\n"
          "  - id: a\n"
          "\t run: x\n"),
     "E006 3:1+1 a tab cannot indent: use spaces"},
    {"unclosed quote", TEXT("name: \"abc\ntasks: [{id: a, run: x}]\n"),
     "E005 1:7+1 this quote is never closed"},
    {"unclosed single quote", TEXT("name: 'abc\ntasks: [{id: a, run: x}]\n"),
     "E005 1:7+1 this quote is never closed"},
    {"unclosed bracket", TEXT("tasks: [{id: a, run: x}\n"),
     "E005 2:1+1 expected ',' or ']': a bracket above is not closed"},
    {"unclosed brace", TEXT("tasks: [{id: a, run: x]\n"),
     "E005 1:23+1 expected ',' or '}': a brace above is not closed"},
    {"missing space after colon",
     TEXT("tasks:\n"
          "  - id:a\n"
          "    run: x\n"),
     "E005 3:8+1 ':' is not allowed here: a quote is missing, or the indentation is wrong"},
    {"value that begins with @", TEXT("name: @home\n"),
     "E005 1:7+1 a value cannot begin with '@': put it in quotes"},
    {"value that begins with backtick", TEXT("name: `x`\n"),
     "E005 1:7+1 a value cannot begin with '`': put it in quotes"},
    {"value that begins with percent", TEXT("name: %x\n"),
     "E005 1:7+1 a value cannot begin with '%': put it in quotes"},
    {"two colons", TEXT("name: a: b\n"),
     "E005 1:8+1 ':' is not allowed here: a quote is missing, or the indentation is wrong"},
    {"wrong indentation",
     TEXT("tasks:\n"
          "  - id: a\n"
          "   run: x\n"),
     "E005 3:4+1 expected a list item ('- ') here: check the indentation"},
    {"item where a key is expected", TEXT("name: x\n- id: a\n"),
     "E005 2:1+1 expected a key here: check the indentation, and quotes and brackets above"},
    {"key without colon", TEXT("name: x\ntasks\n"),
     "E005 3:1+1 expected ':' after the key that begins here or above"},
    {"unknown escape", TEXT("name: \"a\\qb\"\n"),
     "E005 1:9+1 not an escape of double-quoted text (write \\\\ for a backslash, or use s"
     "ingle quotes)"},
    {"bad hexadecimal escape", TEXT("name: \"a\\xzz\"\n"),
     "E005 1:9+2 an escape with too few hexadecimal digits"},
    {"lone surrogate", TEXT("{\"name\": \"\\ud83d\", \"tasks\": []}"),
     "E005 1:11+2 half of a surrogate pair, or no Unicode character"},
    {"low surrogate first", TEXT("{\"name\": \"\\ude00\\ud83d\", \"tasks\": []}"),
     "E005 1:11+2 half of a surrogate pair, or no Unicode character"},
    {"text after a block mark", TEXT("name: | x\n"), "E005 1:9+1 only a comment may follow here"},
    {"anchor without name", TEXT("name: & x\n"),
     "E005 1:8+1 an anchor or alias needs a name of letters, digits, - and _ (to begin tex"
     "t with & or *, put it in quotes)"},
    {"undefined tag handle", TEXT("name: !x!y z\n"),
     "E005 1:7+1 an unknown tag (to begin text with !, put it in quotes)"},
    {"YAML 3",
     TEXT("%YAML 3.0\n"
          "---\n"
          "name: x\n"),
     "E005 1:1+1 this version of YAML is not known: 1.1 and 1.2 are"},
    {"repeated key",
     TEXT("name: a\n"
          "id: b\n"
          "name: c\n"
          "tasks: [{id: a, run: x}]\n"),
     "E101 3:1+4 the key \"name\" stands here twice, first in line 1"},
    {"repeated key among many",
     TEXT("vars:\n"
          "  v0: {}\n"
          "  v1: {}\n"
          "  v2: {}\n"
          "  v3: {}\n"
          "  v4: {}\n"
          "  v5: {}\n"
          "  v6: {}\n"
          "  v7: {}\n"
          "  v8: {}\n"
          "  v9: {}\n"
          "  v10: {}\n"
          "  v11: {}\n"
          "  v12: {}\n"
          "  v13: {}\n"
          "  v14: {}\n"
          "  v15: {}\n"
          "  v16: {}\n"
          "  v17: {}\n"
          "  v18: {}\n"
          "  v19: {}\n"
          "  v3: {}\n"
          "tasks: [{id: a, run: x}]\n"),
     "E101 22:3+2 the key \"v3\" stands here twice, first in line 5"},
    {"key that is a list",
     TEXT("? [a, b]\n"
          ": c\n"
          "tasks: [{id: a, run: x}]\n"),
     "E110 1:3+1 a key is text, not a list or map"},
    {"depth 65",
     TEXT("x-deep: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]"
          "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]\n"
          "tasks: [{id: a, run: x}]\n"),
     "E008 1:72+1 nested deeper than 64"},
    {"unknown alias", TEXT("name: *nobody\ntasks: [{id: a, run: x}]\n"),
     "E009 1:7+7 no anchor &nobody stands above"},
    {"alias to what it is in", TEXT("x-a: &a [*a]\ntasks: [{id: a, run: x}]\n"),
     "E009 1:10+2 the alias *a stands for what it is in"},
    {"alias bomb",
     TEXT("x-a: &a [x,x,x,x,x,x,x,x,x,x]\n"
          "x-b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
          "x-c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
          "x-d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\n"
          "x-e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\n"
          "x-f: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\n"
          "x-g: &g [*f,*f,*f,*f,*f,*f,*f,*f,*f,*f]\n"
          "x-h: &h [*g,*g,*g,*g,*g,*g,*g,*g,*g,*g]\n"
          "x-i: &i [*h,*h,*h,*h,*h,*h,*h,*h,*h,*h]\n"
          "tasks: [{id: a, run: x}]\n"),
     "E010 4:31+2 aliases make the file more than 10 times as large as it is written"},
    {"alias depth",
     TEXT("x-a: &a [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"
          "]]]]\n"
          "x-b: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[*a]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]\n"
          "tasks: [{id: a, run: x}]\n"),
     "E008 2:36+2 nested deeper than 64"},
    {"merge of text", TEXT("tasks:\n  - {id: a, <<: text}\n"),
     "E013 2:17+4 << merges a map or a list of maps"},
    {"merge of a list with text",
     TEXT("x-a: &a {run: x}\n"
          "tasks:\n"
          "  - {id: a, <<: [*a, b]}\n"),
     "E013 3:17+1 << merges a map or a list of maps"},
    {"unknown tag", TEXT("name: !thing x\ntasks: [{id: a, run: x}]\n"),
     "E011 1:7+8 the tag \"!thing\" is not supported here"},
    {"binary tag", TEXT("name: !!binary eA==\ntasks: [{id: a, run: x}]\n"),
     "E011 1:7+13 the tag \"tag:yaml.org,2002:binary\" is not supported here"},
    {"set tag", TEXT("tags: !!set {a}\ntasks: [{id: a, run: x}]\n"),
     "E011 1:7+1 the tag \"tag:yaml.org,2002:set\" is not supported here\n"
     "E104 1:15+1 tag \"a\" must be text"},
    {"value not of its tag", TEXT("name: !!int abc\ntasks: [{id: a, run: x}]\n"),
     "E011 1:7+9 \"abc\" is not a !!int"},
    {"infinity", TEXT("tasks:\n  - {id: a, action: x, params: {n: .inf}}\n"),
     "E012 2:36+4 infinity and NaN are no values here (in quotes it is text)"},
    {"NaN", TEXT("tasks:\n  - {id: a, action: x, params: {n: [.nan]}}\n"),
     "E012 2:37+4 infinity and NaN are no values here (in quotes it is text)"},
    {"integer of 65 bits",
     TEXT("tasks:\n  - {id: a, action: x, params: {n: 9223372036854775808}}\n"),
     "E012 2:36+19 an integer has at most 64 bits (in quotes it is text)"},
    {"number too large", TEXT("tasks:\n  - {id: a, action: x, params: {n: 1e999}}\n"),
     "E012 2:36+5 a number that is too large"},
    {"unknown key, contract's own",
     TEXT("id: deploy\n"
          "vars:\n"
          "  stage: {desc: where to, defaultValue: dev, enum: [dev, prod]}\n"
          "\n"
          "tasks:\n"
          "  - id: build\n"
          "    run: make\n"
          "  - id: test\n"
          "    run: make test\n"
          "    dependOn: [build]\n"
          "\n"
          "\n"
          "  - {id: push, run: x,\n"
          "    dependon: [build]}\n"),
     "E102 14:5+8 unknown key \"dependon\" in task \"push\" [dependOn@0]"},
    {"unknown key of the dag", TEXT("taks: []\ntasks: [{id: a, run: x}]\n"),
     "E102 1:1+4 unknown key \"taks\" in the dag [tasks@0]"},
    {"unknown key without a near one", TEXT("colour: red\ntasks: [{id: a, run: x}]\n"),
     "E102 1:1+6 unknown key \"colour\" in the dag"},
    {"x- key in a task", TEXT("tasks: [{id: a, x-note: y}]\n"),
     "E102 1:17+6 unknown key \"x-note\" in task \"a\""},
    {"unknown key in a variable", TEXT("vars: {a: {default: 3}}\ntasks: [{id: a, run: x}]\n"),
     "E102 1:12+7 unknown key \"default\" in variable \"a\""},
    {"swapped letters", TEXT("tasks: [{id: a, rnu: y}]\n"),
     "E102 1:17+3 unknown key \"rnu\" in task \"a\" [run@0]"},
    {"id that is a list", TEXT("id: [a]\ntasks: [{id: a, run: x}]\n"),
     "E104 1:5+1 \"id\" must be text"},
    {"id with a blank", TEXT("id: a b\ntasks: [{id: a, run: x}]\n"),
     "E109 1:5+3 the dag id \"a b\" is not allowed: 1 to 128 bytes without [ ] / , blanks "
     "or control characters"},
    {"id with a comma", TEXT("tasks: [{id: 'a,b'}]\n"),
     "E109 1:14+5 the task id \"a,b\" is not allowed: 1 to 128 bytes without [ ] / , blank"
     "s or control characters"},
    {"empty task id", TEXT("tasks: [{id: ''}]\n"),
     "E109 1:14+2 the task id \"\" is not allowed: 1 to 128 bytes without [ ] / , blanks o"
     "r control characters"},
    {"id with a no-break space", TEXT("tasks: [{id: \"a\\_b\"}]\n"),
     "E109 1:14+6 the task id \"a\302\240b\" is not allowed: 1 to 128 bytes without [ ] / "
     ", blanks or control characters"},
    {"id of 129 bytes",
     TEXT("tasks: [{id: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx}]\n"),
     "E109 1:14+129 the task id has 129 bytes; at most 128 are allowed"},
    {"control characters do not reach the message", TEXT("tasks: [{id: \"a\\e[31mb\"}]\n"),
     "E109 1:14+10 the task id \"a [31mb\" is not allowed: 1 to 128 bytes without [ ] / , "
     "blanks or control characters"},
    {"name that is a map", TEXT("name: {a: b}\ntasks: [{id: a, run: x}]\n"),
     "E104 1:7+1 \"name\" must be text"},
    {"status", TEXT("status: stoped\ntasks: [{id: a, run: x}]\n"),
     "E105 1:9+6 \"status\" must be one of normal, stopped, not \"stoped\" [stopped@0]"},
    {"onLost", TEXT("onLost: retries\ntasks: [{id: a, run: x}]\n"),
     "E105 1:9+7 \"onLost\" must be one of retry, fail, ask, not \"retries\""},
    {"onLost of a task", TEXT("tasks: [{id: a, onLost: never}]\n"),
     "E105 1:25+5 \"onLost\" must be one of retry, fail, ask, not \"never\""},
    {"timeout without a unit", TEXT("timeout: 10\ntasks: [{id: a, run: x}]\n"),
     "E106 1:10+2 \"timeout\" must be a duration above 0 and up to 100 years with a unit, "
     "such as 300ms, 10s, 5m, 2h or 1d, not \"10\""},
    {"timeout of 0", TEXT("tasks: [{id: a, timeout: 0s}]\n"),
     "E106 1:26+2 \"timeout\" must be a duration above 0 and up to 100 years with a unit, "
     "such as 300ms, 10s, 5m, 2h or 1d, not \"0s\""},
    {"timeout of 101 years", TEXT("timeout: 36526d\ntasks: [{id: a, run: x}]\n"),
     "E106 1:10+6 \"timeout\" must be a duration above 0 and up to 100 years with a unit, "
     "such as 300ms, 10s, 5m, 2h or 1d, not \"36526d\""},
    {"timeoutSecs with a unit", TEXT("tasks: [{id: a, timeoutSecs: 10s}]\n"),
     "E104 1:30+3 \"timeoutSecs\" must be an integer"},
    {"timeoutSecs below 0", TEXT("tasks: [{id: a, timeoutSecs: -1}]\n"),
     "E107 1:30+2 \"timeoutSecs\" must be an integer from 0 to 3155760000"},
    {"timeoutSecs that is a fraction", TEXT("tasks: [{id: a, timeoutSecs: 1.5}]\n"),
     "E107 1:30+3 \"timeoutSecs\" must be an integer from 0 to 3155760000"},
    {"heartbeat without a unit", TEXT("tasks: [{id: a, run: x, heartbeat: 10}]\n"),
     "E106 1:36+2 \"heartbeat\" must be a duration above 0 and up to 100 years with a unit, "
     "such as 300ms, 10s, 5m, 2h or 1d, not \"10\""},
    {"heartbeat of 0", TEXT("tasks: [{id: a, run: x, heartbeat: 0s}]\n"),
     "E106 1:36+2 \"heartbeat\" must be a duration above 0 and up to 100 years with a unit, "
     "such as 300ms, 10s, 5m, 2h or 1d, not \"0s\""},
    {"heartbeat that is a list", TEXT("tasks: [{id: a, run: x, heartbeat: [1s]}]\n"),
     "E106 1:36+1 \"heartbeat\" must be a duration above 0 and up to 100 years with a unit, "
     "such as 300ms, 10s, 5m, 2h or 1d, not a list"},
    {"heartbeat of a gate", TEXT("tasks: [{id: a, heartbeat: 1s}]\n"),
     "E325 1:17+9 a gate has no \"heartbeat\""},
    {"heartbeat of a wait", TEXT("tasks: [{id: a, wait: 1s, heartbeat: 1s}]\n"),
     "E325 1:27+9 a wait has no \"heartbeat\""},
    {"heartbeat of http", TEXT("tasks: [{id: a, http: {url: x}, heartbeat: 1s}]\n"),
     "E325 1:33+9 a request of http has no \"heartbeat\""},
    {"both timeouts", TEXT("tasks: [{id: a, timeout: 1s, timeoutSecs: 1}]\n"),
     "E307 1:30+11 a task has \"timeout\" or \"timeoutSecs\", not both"},
    {"maxParallel 0", TEXT("maxParallel: 0\ntasks: [{id: a, run: x}]\n"),
     "E107 1:14+1 \"maxParallel\" must be an integer from 1 to 1000000"},
    {"maxParallel past its limit", TEXT("maxParallel: 1000001\ntasks: [{id: a, run: x}]\n"),
     "E107 1:14+7 \"maxParallel\" must be an integer from 1 to 1000000"},
    {"maxParallel that is text", TEXT("maxParallel: many\ntasks: [{id: a, run: x}]\n"),
     "E104 1:14+4 \"maxParallel\" must be an integer"},
    {"wait of nothing", TEXT("tasks: [{id: a, wait: }]\n"),
     "E106 1:23+1 \"wait\" must be a duration of up to 100 years with a unit, such as "
     "300ms, 10s, 5m, 2h or 1d, not \"\""},
    {"wait without a unit", TEXT("tasks: [{id: a, wait: 10}]\n"),
     "E106 1:23+2 \"wait\" must be a duration of up to 100 years with a unit, such as "
     "300ms, 10s, 5m, 2h or 1d, not \"10\""},
    {"wait that is a map", TEXT("tasks: [{id: a, wait: {for: 10s}}]\n"),
     "E106 1:23+1 \"wait\" must be a duration of up to 100 years with a unit, such as "
     "300ms, 10s, 5m, 2h or 1d, not a map"},
    {"tags that are a list", TEXT("tags: [a]\ntasks: [{id: a, run: x}]\n"),
     "E104 1:7+1 \"tags\" must be a map of text"},
    {"tag that is a map", TEXT("tags: {a: {b: c}}\ntasks: [{id: a, run: x}]\n"),
     "E104 1:11+1 tag \"a\" must be text"},
    {"tag name with =", TEXT("tags: {a=b: c}\ntasks: [{id: a, run: x}]\n"),
     "E505 1:8+3 a tag's name is not empty and has no '='"},
    {"tags past their limit",
     TEXT("tags: {a: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxx}\n"
          "tasks: [{id: a, run: x}]\n"),
     "E505 1:7+1 the tags have 16385 bytes; at most 16384 are allowed"},
    {"vars that are a list", TEXT("vars: [a]\ntasks: [{id: a, run: x}]\n"),
     "E104 1:7+1 \"vars\" must be a map of variables"},
    {"variable that is text", TEXT("vars: {a: b}\ntasks: [{id: a, run: x}]\n"),
     "E104 1:11+1 variable \"a\" must be a map, such as {defaultValue: ...}"},
    {"variable name with a blank", TEXT("vars: {'a b': {}}\ntasks: [{id: a, run: x}]\n"),
     "E501 1:8+5 \"a b\" cannot be a variable's name: 1 to 128 bytes without blanks, quote"
     "s, control characters or any of [ ] { } / , ="},
    {"variable name with a brace", TEXT("vars: {'a{': {}}\ntasks: [{id: a, run: x}]\n"),
     "E501 1:8+4 \"a{\" cannot be a variable's name: 1 to 128 bytes without blanks, quotes"
     ", control characters or any of [ ] { } / , ="},
    {"unknown type", TEXT("vars: {a: {type: integer}}\ntasks: [{id: a, run: x}]\n"),
     "E105 1:18+7 \"type\" must be one of string, int, number, bool, list, map, not \"inte"
     "ger\""},
    {"default not of its type",
     TEXT("vars: {a: {type: int, defaultValue: many}}\ntasks: [{id: a, run: x}]\n"),
     "E502 1:37+4 this is no value of type int, which variable \"a\" has"},
    {"default list for a string",
     TEXT("vars: {a: {defaultValue: [1]}}\ntasks: [{id: a, run: x}]\n"),
     "E502 1:26+1 this is no value of type string, which variable \"a\" has"},
    {"default not in the enum",
     TEXT("vars: {a: {defaultValue: c, enum: [a, b]}}\ntasks: [{id: a, run: x}]\n"),
     "E504 1:26+1 the default of variable \"a\" is not one of its \"enum\""},
    {"enum that is no list", TEXT("vars: {a: {enum: x}}\ntasks: [{id: a, run: x}]\n"),
     "E503 1:18+1 \"enum\" must be a list with at least one value"},
    {"empty enum", TEXT("vars: {a: {enum: []}}\ntasks: [{id: a, run: x}]\n"),
     "E503 1:18+1 \"enum\" must be a list with at least one value"},
    {"enum value not of its type",
     TEXT("vars: {a: {type: int, enum: [1, x]}}\ntasks: [{id: a, run: x}]\n"),
     "E502 1:33+1 this is no value of type int, which variable \"a\" has"},
    {"required that is text", TEXT("vars: {a: {required: maybe}}\ntasks: [{id: a, run: x}]\n"),
     "E104 1:22+5 \"required\" must be true or false"},
    {"no tasks", TEXT("id: a\n"), "E301 1:1+0 the dag has no tasks"},
    {"empty tasks", TEXT("tasks: []\n"), "E301 1:1+5 the dag has no tasks"},
    {"null tasks", TEXT("id: a\ntasks:\n"), "E301 2:1+5 the dag has no tasks"},
    {"tasks that are a map", TEXT("tasks: {a: {run: x}}\n"),
     "E104 1:8+1 \"tasks\" must be a list of tasks"},
    {"task that is text", TEXT("tasks: [a]\n"), "E104 1:9+1 a task must be a map"},
    {"task without id", TEXT("tasks:\n  - run: x\n"), "E108 2:5+1 a task needs an \"id\""},
    {"task with a null id",
     TEXT("tasks:\n"
          "  - id:\n"
          "    run: x\n"),
     "E108 2:5+2 a task needs an \"id\""},
    {"repeated id",
     TEXT("tasks:\n"
          "  - {id: a, run: x}\n"
          "  - {id: b, run: x}\n"
          "  - {id: a, run: y}\n"),
     "E303 4:10+1 the task id \"a\" stands here twice, first in line 2"},
    {"two actions", TEXT("tasks: [{id: a, run: x, wait: 1s}]\n"),
     "E304 1:25+4 a task has one action, this one has \"run\" and \"wait\""},
    {"two spellings of one action", TEXT("tasks: [{id: a, actionName: x, action: y}]\n"),
     "E304 1:32+6 a task has one action, this one has \"actionName\" and \"action\""},
    {"three actions", TEXT("tasks: [{id: a, wait: 1s, action: y, run: z}]\n"),
     "E304 1:27+6 a task has one action, this one has \"wait\" and \"action\"\n"
     "E304 1:38+3 a task has one action, this one has \"action\" and \"run\""},
    {"env without run", TEXT("tasks: [{id: a, env: {A: b}}]\n"),
     "E305 1:17+3 \"env\" belongs to \"run\", which this task does not have"},
    {"output beside wait", TEXT("tasks: [{id: a, wait: 1s, output: json}]\n"),
     "E305 1:27+6 \"output\" belongs to \"run\", which this task does not have"},
    {"env beside action: sh", TEXT("tasks: [{id: a, action: sh, params: {run: x}, env: {A: b}}]\n"),
     "E305 1:47+3 \"env\" belongs to \"run\", which this task does not have: put it into \""
     "params\""},
    {"params beside run", TEXT("tasks: [{id: a, run: x, params: {output: json}}]\n"),
     "E306 1:25+6 \"params\" cannot stand beside \"run\", which has its own"},
    {"params without an action", TEXT("tasks: [{id: a, params: {x: y}}]\n"),
     "E306 1:17+6 \"params\" needs an \"action\""},
    {"params that are a list", TEXT("tasks: [{id: a, action: x, params: [y]}]\n"),
     "E104 1:36+1 \"params\" must be a map"},
    {"action without a name", TEXT("tasks: [{id: a, action: }]\n"),
     "E308 1:17+6 \"action\" needs the name of an action"},
    {"action name with a blank", TEXT("tasks: [{id: a, action: do it}]\n"),
     "E109 1:25+5 the action's name \"do it\" is not allowed: 1 to 128 bytes without [ ] /"
     " , blanks or control characters"},
    {"run without a command", TEXT("tasks: [{id: a, run: }]\n"),
     "E308 1:17+3 \"run\" needs a command"},
    {"run of blanks", TEXT("tasks: [{id: a, run: '  '}]\n"), "E308 1:17+3 \"run\" needs a command"},
    {"run that is a list", TEXT("tasks: [{id: a, run: [make, all]}]\n"),
     "E104 1:22+1 \"run\" must be text"},
    {"env that is a list", TEXT("tasks: [{id: a, run: x, env: [A=b]}]\n"),
     "E104 1:30+1 \"env\" must be a map of names and values"},
    {"env name with =", TEXT("tasks: [{id: a, run: x, env: {A=b: c}}]\n"),
     "E309 1:31+3 \"A=b\" cannot be the name of an environment variable"},
    {"output that is unknown", TEXT("tasks: [{id: a, run: x, output: jsn}]\n"),
     "E105 1:33+3 \"output\" must be one of text, json, none, not \"jsn\" [json@0]"},
    {"unknown dependency",
     TEXT("tasks:\n"
          "  - {id: test, run: x}\n"
          "  - {id: push, run: x, dependOn: [tset]}\n"),
     "E311 3:35+4 no task \"tset\" in this dag [test@2]"},
    {"unknown dependency as text",
     TEXT("tasks:\n"
          "  - {id: test, run: x}\n"
          "  - {id: push, run: x, dependOn: nobody}\n"),
     "E311 3:34+6 no task \"nobody\" in this dag"},
    {"dependOn that is a map", TEXT("tasks: [{id: a, dependOn: {b: c}}]\n"),
     "E104 1:27+1 \"dependOn\" must be a task's id or a list of them"},
    {"dependOn with a null", TEXT("tasks: [{id: a, dependOn: [null]}]\n"),
     "E104 1:28+4 \"dependOn\" must be a task's id or a list of them"},
    {"self-dependency",
     TEXT("tasks:\n"
          "  - {id: b}\n"
          "  - {id: a, dependOn: [a]}\n"),
     "E312 3:24+1 task \"a\" depends on itself"},
    {"cycle",
     TEXT("tasks:\n"
          "  - {id: s}\n"
          "  - {id: a, dependOn: [s, b]}\n"
          "  - {id: b, dependOn: [a]}\n"),
     "E313 3:27+1 tasks wait for each other: a -> b -> a"},
    {"cycle that no root reaches",
     TEXT("tasks:\n"
          "  - {id: root}\n"
          "  - {id: b, dependOn: [c]}\n"
          "  - {id: c, dependOn: [b]}\n"
          "  - {id: d, dependOn: [c]}\n"),
     "E313 3:24+1 tasks wait for each other: b -> c -> b"},
    {"no start task",
     TEXT("tasks:\n"
          "  - {id: a, dependOn: [c]}\n"
          "  - {id: b, dependOn: [a]}\n"
          "  - {id: c, dependOn: [b]}\n"),
     "E314 1:1+5 no task can begin: each one depends on another\n"
     "E313 2:24+1 tasks wait for each other: a -> c -> b -> a"},
    {"two cycles, one behind the other",
     TEXT("tasks:\n"
          "  - {id: s}\n"
          "  - {id: a, dependOn: [s, b]}\n"
          "  - {id: b, dependOn: [a]}\n"
          "  - {id: c, dependOn: [b, d]}\n"
          "  - {id: d, dependOn: [c]}\n"),
     "E313 3:27+1 tasks wait for each other: a -> b -> a\n"
     "E313 5:27+1 tasks wait for each other: c -> d -> c"},
    {"cycle of twelve",
     TEXT("tasks:\n"
          "  - {id: t0, dependOn: t1}\n"
          "  - {id: t1, dependOn: t2}\n"
          "  - {id: t2, dependOn: t3}\n"
          "  - {id: t3, dependOn: t4}\n"
          "  - {id: t4, dependOn: t5}\n"
          "  - {id: t5, dependOn: t6}\n"
          "  - {id: t6, dependOn: t7}\n"
          "  - {id: t7, dependOn: t8}\n"
          "  - {id: t8, dependOn: t9}\n"
          "  - {id: t9, dependOn: t10}\n"
          "  - {id: t10, dependOn: t11}\n"
          "  - {id: t11, dependOn: t0}\n"),
     "E314 1:1+5 no task can begin: each one depends on another\n"
     "E313 2:24+2 tasks wait for each other: t0 -> t1 -> t2 -> t3 -> t4 -> t5 -> t6 -> t7 "
     "-> t8 -> t9 -> ... (2 more) -> t0"},
    {"unknown name",
     TEXT("vars: {stage: {}, n: {type: int}}\n"
          "tasks:\n"
          "  - {id: a, action: x, params: {k: \"{{stge}}\"}}\n"),
     "E402 3:37+8 no variable \"stge\" is declared [stage@1]"},
    {"unknown name without a near one",
     TEXT("vars: {stage: {}, n: {type: int}}\n"
          "tasks:\n"
          "  - {id: a, action: x, params: {k: \"a {{other}} b\"}}\n"),
     "E402 3:39+9 no variable \"other\" is declared"},
    {"exact place behind umlauts",
     TEXT("vars: {stage: {}, n: {type: int}}\n"
          "tasks:\n"
          "  - {id: a, action: x, params: {k: '\303\244\303\266 {{ stgae }}'}}\n"),
     "E402 3:40+11 no variable \"stgae\" is declared [stage@1]"},
    {"empty template",
     TEXT("vars: {stage: {}, n: {type: int}}\n"
          "tasks:\n"
          "  - {id: a, action: x, params: {k: \"{{ }}\"}}\n"),
     "E402 3:37+5 a template must name a variable"},
    {"template without an end",
     TEXT("vars: {stage: {}, n: {type: int}}\n"
          "tasks:\n"
          "  - {id: a, action: x, params: {k: \"a {{stage\"}}\n"),
     "E401 3:39+2 this {{ has no }} (write {{'{{'}} for the braces themselves)"},
    {"end within a Lua string",
     TEXT("vars: {stage: {}, n: {type: int}}\n"
          "tasks:\n"
          "  - {id: a, action: x, params: {k: \"{{ stage .. '}}' }}\"}}\n"),
     "E602 3:40+5 \"stage\" is a variable, which Lua finds in \"vars\" [vars.stage@0]"},
    {"template in wait",
     TEXT("vars: {stage: {}, n: {type: int}}\ntasks: [{id: a, wait: \"{{nn}}\"}]\n"),
     "E402 2:24+6 no variable \"nn\" is declared [n@1]"},
    {"template in env",
     TEXT("vars: {stage: {}, n: {type: int}}\n"
          "tasks: [{id: a, run: x, env: {A: \"{{stages}}\"}}]\n"),
     "E402 2:35+10 no variable \"stages\" is declared [stage@1]"},
    {"all spellings in run",
     TEXT("vars: {stage: {}, n: {type: int}}\n"
          "tasks:\n"
          "  - id: a\n"
          "    run: |\n"
          "      echo {{stage}} {{ vars.n }} {{.vars.n.Value}} {{share.k}}\n"
          "      echo {{.shareData.k}} {{tasks.a.output}} {{run.id}} {{run}} {{ 2 * vars.n }}\n"),
     "E404 5:12+9 \"run\" has no templates: pass \"{{stage}}\" through \"env\"\n"
     "E404 5:22+12 \"run\" has no templates: pass \"{{ vars.n }}\" through \"env\"\n"
     "E404 5:35+17 \"run\" has no templates: pass \"{{.vars.n.Value}}\" through \"env\"\n"
     "E404 5:53+11 \"run\" has no templates: pass \"{{share.k}}\" through \"env\"\n"
     "E404 6:12+16 \"run\" has no templates: pass \"{{.shareData.k}}\" through \"env\"\n"
     "E404 6:29+18 \"run\" has no templates: pass \"{{tasks.a.output}}\" through \"env\"\n"
     "E404 6:48+10 \"run\" has no templates: pass \"{{run.id}}\" through \"env\"\n"
     "E404 6:59+7 \"run\" has no templates: pass \"{{run}}\" through \"env\"\n"
     "E404 6:67+16 \"run\" has no templates: pass \"{{ 2 * vars.n }}\" through \"env\""},
    {"variable in a one-line run",
     TEXT("vars: {stage: {}, n: {type: int}}\ntasks: [{id: a, run: 'echo {{ n }}'}]\n"),
     "E404 2:28+7 \"run\" has no templates: pass \"{{ n }}\" through \"env\""},
    {"variable in sh's params",
     TEXT("vars: {stage: {}, n: {type: int}}\n"
          "tasks: [{id: a, action: sh, params: {run: 'echo {{stage}}'}}]\n"),
     "E404 2:49+9 \"run\" has no templates: pass \"{{stage}}\" through \"env\""},
    {"everything at once",
     TEXT("id: a b\n"
          "status: on\n"
          "vars: {n: {type: int, defaultValue: x}}\n"
          "tasks:\n"
          "  - {id: a, rn: x}\n"
          "  - {id: a, dependOn: [z], timeout: 3}\n"
          "  - {id: c, dependOn: [c]}\n"),
     "E109 1:5+3 the dag id \"a b\" is not allowed: 1 to 128 bytes without [ ] / , blanks "
     "or control characters\n"
     "E105 2:9+2 \"status\" must be one of normal, stopped, not \"on\"\n"
     "E502 3:37+1 this is no value of type int, which variable \"n\" has\n"
     "E102 5:13+2 unknown key \"rn\" in task \"a\" [run@0]\n"
     "E303 6:10+1 the task id \"a\" stands here twice, first in line 5\n"
     "E311 6:24+1 no task \"z\" in this dag\n"
     "E106 6:37+1 \"timeout\" must be a duration above 0 and up to 100 years with a unit, "
     "such as 300ms, 10s, 5m, 2h or 1d, not \"3\"\n"
     "E312 7:24+1 task \"c\" depends on itself"},
    {"repeated dependency and an error",
     TEXT("tasks:\n"
          "  - {id: a, nme: x}\n"
          "  - {id: b, dependOn: [a, a]}\n"),
     "E102 2:13+3 unknown key \"nme\" in task \"a\" [name@0]\n"
     "W315 3:27+1 task \"b\" depends on \"a\" twice"},
};

#endif
