/* SPDX-License-Identifier: MIT
 *
 * The broken dag files of test_parse_tasks.c and what is said about each.
 */
#ifndef PARSE_BROKEN_TASKS_H
#define PARSE_BROKEN_TASKS_H

#include "parse_fixture.h"

#define VARS "vars: {stage: {}, n: {type: int}, my-var: {}}\n"

static const struct broken broken_tasks[] = {
    {"http that is text", TEXT("tasks: [{id: a, http: 'https://x'}]\n"),
     "E104 1:23+11 \"http\" must be a map"},
    {"http of nothing", TEXT("tasks: [{id: a, http: }]\n"),
     "E308 1:17+4 \"http\" needs params, such as {url: ...}"},
    {"lua of nothing", TEXT("tasks: [{id: a, lua: '  '}, {id: b, lua: }]\n"),
     "E308 1:17+3 \"lua\" needs a script\n"
     "E308 1:37+3 \"lua\" needs a script"},
    {"lua that is a map", TEXT("tasks: [{id: a, lua: {b: c}}]\n"),
     "E104 1:22+1 \"lua\" must be text"},
    {"three actions", TEXT("tasks: [{id: a, lua: return 1, http: {url: x}, run: y}]\n"),
     "E304 1:48+3 a task has one action, this one has \"http\" and \"run\"\n"
     "E304 1:48+3 a task has one action, this one has \"lua\" and \"run\""},
    {"params beside lua", TEXT("tasks: [{id: a, lua: return 1, params: {b: c}}]\n"),
     "E306 1:32+6 \"params\" cannot stand beside \"lua\", which has its own"},
    {"env beside http", TEXT("tasks: [{id: a, http: {url: x}, env: {A: b}}]\n"),
     "E305 1:33+3 \"env\" belongs to \"run\", which this task does not have"},

    {"templates in a query",
     TEXT(
         "vars: {n: }\ntasks: [{id: a, action: sqlite-read, params: {db: x, query: \"SELECT {{n}}, "
         "'{{x}}'\", bind: [\"{{n}}\"]}}]\n"),
     "E404 2:69+5 \"query\" has no templates: pass \"{{n}}\" through \"bind\""},
    {"query of nothing",
     TEXT("tasks: [{id: a, action: sqlite-write, params: {db: x, query: ' '}}]\n"),
     "E308 1:55+5 \"query\" needs a statement"},
    {"when", TEXT("tasks: [{id: a, when: never}]\n"),
     "E105 1:23+5 \"when\" must be one of success, always, failed, not \"never\""},
    {"retry that is a word", TEXT("tasks: [{id: a, retry: often}]\n"),
     "E104 1:24+5 \"retry\" must be an integer"},
    {"retry that is a list", TEXT("tasks: [{id: a, retry: [1]}]\n"),
     "E104 1:24+1 \"retry\" must be a number or a map"},
    {"retry below 0", TEXT("tasks: [{id: a, retry: -1}]\n"),
     "E107 1:24+2 \"retry\" must be an integer from 0 to 1000000"},
    {"retry past its limit", TEXT("tasks: [{id: a, retry: {max: 1000001}}]\n"),
     "E107 1:30+7 \"max\" must be an integer from 0 to 1000000"},
    {"retry without max", TEXT("tasks: [{id: a, retry: {delay: 1s}}]\n"),
     "E324 1:17+5 \"retry\" needs \"max\", the number of further attempts"},
    {"keys of retry",
     TEXT("tasks: [{id: a, retry: {max: 1, dely: 1s, backoff: linear, jitter: 1.5, if: }}]\n"),
     "E102 1:33+4 unknown key \"dely\" in \"retry\" [delay@0]\n"
     "E105 1:52+6 \"backoff\" must be one of fixed, exponential, not \"linear\"\n"
     "E107 1:68+3 \"jitter\" must be a number from 0 to 1"},
    {"delay without a unit", TEXT("tasks: [{id: a, retry: {max: 1, delay: 0}}]\n"),
     "E106 1:40+1 \"delay\" must be a duration of up to 100 years with a unit, such as "
     "300ms, 10s, 5m, 2h or 1d, not \"0\""},
    {"maxDelay of nothing", TEXT("tasks: [{id: a, retry: {max: 1, maxDelay: 0s}}]\n"),
     "E106 1:43+2 \"maxDelay\" must be a duration above 0 and up to 100 years with a unit, "
     "such as 300ms, 10s, 5m, 2h or 1d, not \"0s\""},
    {"jitter that is text", TEXT("tasks: [{id: a, retry: {max: 1, jitter: some}}]\n"),
     "E104 1:41+4 \"jitter\" must be a number"},
    {"maxDelay below delay", TEXT("tasks: [{id: a, retry: {max: 1, delay: 5s, maxDelay: 4s}}]\n"),
     "E323 1:54+2 \"maxDelay\" is shorter than the delay it limits"},
    {"maxDelay below the default delay",
     TEXT("tasks: [{id: a, retry: {max: 1, backoff: exponential, maxDelay: 999ms}}]\n"),
     "E323 1:65+5 \"maxDelay\" is shorter than the delay it limits"},

    {"condition of nothing", TEXT("tasks: [{id: a, skipIf: ''}]\n"),
     "E308 1:17+6 \"skipIf\" needs a Lua expression"},
    {"condition that is a list", TEXT("tasks: [{id: a, blockIf: [true]}]\n"),
     "E104 1:26+1 \"blockIf\" must be a Lua expression"},
    {"both spellings of preCheck", TEXT("tasks: [{id: a, preChecks: {}, preCheck: {}}]\n"),
     "E307 1:32+8 a task has \"preCheck\" or \"preChecks\", not both"},
    {"preCheck that is text", TEXT("tasks: [{id: a, preCheck: skip}]\n"),
     "E104 1:27+4 \"preCheck\" must be a map of checks"},
    {"check that is text", TEXT("tasks: [{id: a, preCheck: {c: skip}}]\n"),
     "E104 1:31+4 check \"c\" must be a map with \"act\" and \"conditions\""},
    {"check without act",
     TEXT(VARS "tasks:\n"
               "- id: a\n"
               "  preCheck:\n"
               "    c: {conditions: [{source: vars, key: n, op: in, values: [1]}]}\n"),
     "E331 5:5+1 check \"c\" needs \"act\": skip or block"},
    {"acts and conditions",
     TEXT("tasks: [{id: a, preCheck: {c: {act: skipp, condition: [], conditions: x}}}]\n"),
     "E105 1:37+5 \"act\" must be one of skip, block, not \"skipp\" [skip@0]\n"
     "E102 1:44+9 unknown key \"condition\" in check \"c\" [conditions@0]\n"
     "E104 1:71+1 \"conditions\" must be a list of conditions"},
    {"condition that is text",
     TEXT("tasks: [{id: a, preCheck: {c: {act: skip, conditions: [x]}}}]\n"),
     "E104 1:56+1 a condition must be a map"},
    {"condition of nothing at all",
     TEXT("tasks: [{id: a, preCheck: {c: {act: skip, conditions: [{}]}}}]\n"),
     "E331 1:56+1 a condition needs \"source\"\n"
     "E331 1:56+1 a condition needs \"key\"\n"
     "E331 1:56+1 a condition needs \"op\""},
    {"source and operator",
     TEXT("tasks:\n"
          "- id: a\n"
          "  preCheck:\n"
          "    c: {act: skip, conditions: [{source: share, key: n, op: notin, values: [1]}]}\n"),
     "E105 4:42+5 \"source\" must be one of vars, share-data, not \"share\"\n"
     "E105 4:61+5 \"op\" must be one of in, not-in, ==, !=, <, >, matches, exists, not \"notin\" "
     "[not-in@0]"},
    {"values",
     TEXT(VARS "tasks:\n"
               "- id: a\n"
               "  preCheck:\n"
               "    c:\n"
               "      act: block\n"
               "      conditions:\n"
               "      - {source: vars, key: n, op: in}\n"
               "      - {source: vars, key: n, op: in, values: 3}\n"
               "      - {source: vars, key: n, op: in, values: [3], value: 3}\n"
               "      - {source: vars, key: n, op: ==, values: [3, 4]}\n"
               "      - {source: vars, key: n, op: <, values: []}\n"
               "      - {source: vars, key: n, op: exists, value: 3}\n"
               "      - {source: vars, key: n, op: matches, value: 3}\n"),
     "E331 8:9+1 a condition with \"in\" needs \"values\"\n"
     "E104 9:48+1 \"values\" must be a list\n"
     "E307 10:53+5 a condition has \"values\" or \"value\", not both\n"
     "E332 11:9+1 \"==\" takes one value\n"
     "E332 12:9+1 \"<\" takes one value\n"
     "E332 13:9+1 \"exists\" takes true or false\n"
     "E332 14:9+1 \"matches\" takes a Lua pattern, which is text"},
    {"undeclared variable and an error",
     TEXT(VARS "tasks:\n"
               "- id: a\n"
               "  preCheck:\n"
               "    c: {act: skip, conditions: [{source: vars, key: stge, op: exists}]}\n"
               "    d: {act: skip}\n"
               "  skipif: true\n"),
     "W334 5:53+4 no variable \"stge\" is declared: this condition is never true [stage@1]\n"
     "W333 6:5+1 check \"d\" has no conditions: it always acts\n"
     "E102 7:3+6 unknown key \"skipif\" in task \"a\" [skipIf@0]"},

    {"what belongs to forEach", TEXT("tasks: [{id: a, as: x, key: 'x', maxParallel: 2}]\n"),
     "E321 1:17+2 \"as\" needs \"forEach\"\n"
     "E321 1:24+3 \"key\" needs \"forEach\"\n"
     "E321 1:34+11 \"maxParallel\" needs \"forEach\""},
    {"forEach of nothing", TEXT("tasks: [{id: a, forEach: }, {id: b, forEach: ''}]\n"),
     "E308 1:17+7 \"forEach\" needs a Lua expression\n"
     "E308 1:37+7 \"forEach\" needs a Lua expression"},
    {"forEach that is a list", TEXT("tasks: [{id: a, forEach: [1, 2]}]\n"),
     "E104 1:26+1 \"forEach\" must be a Lua expression"},
    {"names of items",
     TEXT("tasks:\n"
          "- {id: a, forEach: share.l, as: 'a b'}\n"
          "- {id: b, forEach: share.l, as: end}\n"
          "- {id: c, forEach: share.l, as: vars}\n"
          "- {id: d, forEach: share.l, as: 1st}\n"
          "- {id: e, forEach: share.l, as: [x]}\n"),
     "E322 2:33+5 \"a b\" cannot be what an item is called: letters, digits and _, and no word "
     "that Lua knows\n"
     "E322 3:33+3 \"end\" cannot be what an item is called: letters, digits and _, and no word "
     "that Lua knows\n"
     "E322 4:33+4 \"vars\" cannot be what an item is called: letters, digits and _, and no word "
     "that Lua knows\n"
     "E322 5:33+3 \"1st\" cannot be what an item is called: letters, digits and _, and no word "
     "that Lua knows\n"
     "E104 6:33+1 \"as\" must be text"},
    {"maxParallel of a fan-out", TEXT("tasks: [{id: a, forEach: share.l, maxParallel: 0}]\n"),
     "E107 1:48+1 \"maxParallel\" must be an integer from 1 to 1000000"},
    {"variables of forEach",
     TEXT(VARS "tasks:\n"
               "- {id: a, forEach: '{{stag}}'}\n"
               "- {id: b, forEach: '{{.vars.stag.Value}}'}\n"
               "- {id: c, forEach: stage}\n"),
     "E402 3:21+8 no variable \"stag\" is declared [stage@1]\n"
     "E402 4:21+20 no variable \"stag\" is declared [stage@1]\n"
     "E602 5:20+5 \"stage\" is a variable, which Lua finds in \"vars\" [vars.stage@0]"},
    {"items where none is",
     TEXT("tasks:\n"
          "- {id: a, skipIf: item == 1}\n"
          "- {id: b, forEach: item, skipIf: item == 1}\n"
          "- {id: c, forEach: share.l, as: host, key: item}\n"
          "- {id: d, http: {url: '{{item}}'}}\n"),
     "E601 2:19+4 Lua knows no \"item\" here\n"
     "E601 3:20+4 Lua knows no \"item\" here\n"
     "E601 3:34+4 Lua knows no \"item\" here\n"
     "E601 4:44+4 Lua knows no \"item\" here\n"
     "E402 5:24+8 no variable \"item\" is declared"},
    {"the item in run",
     TEXT("tasks:\n"
          "- {id: a, forEach: share.l, as: host, run: 'a {{host}} b {{ host.name }} {{ho}}'}\n"),
     "E404 2:47+8 \"run\" has no templates: pass \"{{host}}\" through \"env\"\n"
     "E404 2:58+15 \"run\" has no templates: pass \"{{ host.name }}\" through \"env\""},

    {"hooks that are text", TEXT("hooks: x\ntasks: [{id: a}]\n"),
     "E104 1:8+1 \"hooks\" must be a map of hooks"},
    {"hook that is text", TEXT("hooks: {onExit: x}\ntasks: [{id: a}]\n"),
     "E104 1:17+1 \"onExit\" must be a map, such as {lua: ...}"},
    {"hook without lua", TEXT("hooks: {onExit: {}}\ntasks: [{id: a}]\n"),
     "E308 1:9+6 the hook \"onExit\" needs \"lua\""},
    {"unknown hooks", TEXT("hooks: {onFailed: {lua: x()}, onExit: {luа: x}}\ntasks: [{id: a}]\n"),
     "E102 1:9+8 unknown key \"onFailed\" in \"hooks\" [onFailure@0]\n"
     "E308 1:31+6 the hook \"onExit\" needs \"lua\"\n"
     "E102 1:40+3 unknown key \"luа\" in hook \"onExit\" [lua@0]"},
    {"schedule that is text", TEXT("schedule: daily\ntasks: [{id: a}]\n"),
     "E104 1:11+5 \"schedule\" must be a map, such as {cron: \"0 7 * * 1-5\"}"},
    {"schedule without cron", TEXT("schedule: {timezone: UTC}\ntasks: [{id: a}]\n"),
     "E352 1:1+8 \"schedule\" needs \"cron\""},
    {"words of a schedule",
     TEXT("schedule: {cron: '', overlap: skp, catchup: last, zone: UTC}\ntasks: [{id: a}]\n"),
     "E351 1:18+2 \"\" is no cron expression: 0 fields; a cron expression has 5 (minute hour "
     "day-of-month "
     "month day-of-week), or 6 with seconds in front\n"
     "E105 1:31+3 \"overlap\" must be one of skip, queue, replace, allow, not \"skp\" [skip@0]\n"
     "E105 1:45+4 \"catchup\" must be one of skip, latest, all, not \"last\" [latest@0]\n"
     "E102 1:51+4 unknown key \"zone\" in \"schedule\""},
    {"schedule with a variable that nobody gives",
     TEXT("vars: {a: {required: true}, b: {required: true, defaultValue: x}}\ncron: '@daily'\n"
          "tasks: [{id: a}]\n"),
     "E354 1:8+1 variable \"a\" is required, but a run by schedule gives it no value: it needs a "
     "\"defaultValue\""},
    {"schedule and cron", TEXT("cron: 0 7 * * *\nschedule: {cron: 0 8 * * *}\ntasks: [{id: a}]\n"),
     "E307 2:1+8 a dag has \"schedule\" or \"cron\", not both"},

    {"Go's templates",
     TEXT(VARS "tasks: [{id: a, action: x, params: {k: '{{.vars.stge.Value}} {{.vars.stage}} "
               "{{.}} {{.foo}}'}}]\n"),
     "E402 2:41+20 no variable \"stge\" is declared [stage@1]\n"
     "E405 2:62+15 of Go's templates there are {{.vars.NAME.Value}} and {{.shareData.KEY}}; all "
     "else is Lua\n"
     "E405 2:78+5 of Go's templates there are {{.vars.NAME.Value}} and {{.shareData.KEY}}; all "
     "else is Lua\n"
     "E405 2:84+8 of Go's templates there are {{.vars.NAME.Value}} and {{.shareData.KEY}}; all "
     "else is Lua"},
    {"functions are no variables",
     TEXT(VARS "tasks: [{id: a, action: x, params: {k: '{{date}} {{my-vra}}'}}]\n"),
     "E402 2:41+8 no variable \"date\" is declared\n"
     "E402 2:50+10 no variable \"my-vra\" is declared [my-var@1]"},
    {"unknown variables in Lua",
     TEXT(VARS "tasks:\n"
               "- id: a\n"
               "  skipIf: vars.stge == 'x' or vars[\"sta\"]\n"
               "  action: x\n"
               "  params: {k: '\303\244 {{ vars.m * 2 }}', l: [\"{{ vars['nn'] }}\"]}\n"),
     "E402 4:16+4 no variable \"stge\" is declared [stage@1]\n"
     "E402 4:37+3 no variable \"sta\" is declared\n"
     "E402 6:26+1 no variable \"m\" is declared\n"
     "E402 6:51+2 no variable \"nn\" is declared [n@1]"},
    {"bare variables in Lua",
     TEXT(VARS "tasks:\n"
               "- {id: a, skipIf: stage == 'prod' and n > 3}\n"
               "- {id: b, runIf: stage}\n"),
     "E602 3:19+5 \"stage\" is a variable, which Lua finds in \"vars\" [vars.stage@0]\n"
     "E602 3:39+1 \"n\" is a variable, which Lua finds in \"vars\" [vars.n@0]\n"
     "E602 4:18+5 \"stage\" is a variable, which Lua finds in \"vars\" [vars.stage@0]"},
    {"dashes in Lua",
     TEXT(VARS "tasks:\n"
               "- {id: fetch-data}\n"
               "- {id: a, skipIf: tasks.fetch-data.output, runIf: vars.my-var == 1}\n"
               "- {id: b, skipIf: tasks.fetch-date.output}\n"),
     "E603 4:25+10 Lua reads the dash in \"tasks.fetch-data\" as minus [tasks[\"fetch-data\"]@0]\n"
     "E402 4:56+6 Lua reads the dash in \"vars.my-var\" as minus [vars[\"my-var\"]@0]\n"
     "E603 5:25+5 no task \"fetch\" in this dag"},
    {"unknown tasks in Lua",
     TEXT("tasks:\n"
          "- {id: b, runIf: \"tasks['bild'].status == 'success'\"}\n"
          "- {id: build, forEach: tasks.c.output, key: tasks.buil.x}\n"),
     "E603 2:26+4 no task \"bild\" in this dag [build@3]\n"
     "E603 3:30+1 no task \"c\" in this dag\n"
     "E603 3:51+4 no task \"buil\" in this dag [build@3]"},
    {"unknown names in Lua",
     TEXT("tasks:\n"
          "- {id: a, skipIf: var.x, runIf: os.time() > 0, blockIf: now() > 0}\n"
          "- {id: b, retry: {max: 1, if: erorr.status}}\n"
          "- {id: c, lua: x = 1}\n"),
     "E601 2:19+3 Lua knows no \"var\" here [vars@0]\n"
     "E601 2:33+2 Lua knows no \"os\" here\n"
     "E601 2:57+3 \"now\" acts: it is for \"lua\" and hooks, not for expressions\n"
     "E601 3:31+5 Lua knows no \"erorr\" here [error@0]\n"
     "E601 4:16+1 Lua knows no \"x\" here"},
    {"places in a block",
     TEXT("tasks:\n"
          "- id: a\n"
          "  lua: |\n"
          "\n"
          "    -- \303\244\n"
          "    local x = 1\n"
          "      return \"\303\244\", x, y\n"
          "- id: b\r\n"
          "  lua: |2\r\n"
          "    return 1\r\n"
          "    , z\r\n"),
     "E601 7:22+1 Lua knows no \"y\" here\n"
     "E601 11:7+1 Lua knows no \"z\" here"},
    {"places in a hook",
     TEXT("hooks:\n"
          "  onExit:\n"
          "    lua: |-\n"
          "      trace(run.id)\n"
          "      trace(tasks.b.output)\n"
          "tasks: [{id: a}]\n"),
     "E603 5:19+1 no task \"b\" in this dag"},
    {"places of text that is not as it is written",
     TEXT("tasks:\n"
          "- {id: a, lua: \"local x = 1\\n  return y\"}\n"
          "- id: b\n"
          "  lua: >\n"
          "    return\n"
          "    z\n"
          "- {id: c, lua: &l return w, skipIf: *l}\n"),
     "E601 2:16+25 Lua knows no \"y\" here\n"
     "E601 4:8+1 Lua knows no \"z\" here\n"
     "E601 7:16+11 Lua knows no \"w\" here\n"
     "E601 7:37+2 Lua knows no \"w\" here"},
    {"places of many in one text",
     TEXT("tasks:\n"
          "- id: a\n"
          "  action: x\n"
          "  params:\n"
          "    k: |\n"
          "      {{ p.q }} {{share.x}}\n"
          "      \303\244{{ share.y }}{{ r.s }}\n"),
     "E601 6:10+1 Lua knows no \"p\" here\n"
     "E601 7:24+1 Lua knows no \"r\" here"},
    {"isolation and limits",
     TEXT("isolation: yes\n"
          "limits: [memory]\n"
          "tasks:\n"
          "- {id: a, isolation: process}\n"
          "- {id: b, limits: {cpu: 1s}}\n"
          "- {id: c, action: x, isolation: nine, limits: {memry: 1GiB}}\n"),
     "E105 1:12+3 \"isolation\" must be one of none, process, not \"yes\"\n"
     "E104 2:9+1 \"limits\" must be a map, such as {memory: 256MiB}\n"
     "E316 4:11+9 \"isolation\" needs an action\n"
     "E316 5:11+6 \"limits\" needs an action\n"
     "E105 6:33+4 \"isolation\" must be one of none, process, not \"nine\" [none@0]\n"
     "E102 6:48+5 unknown key \"memry\" in \"limits\" [memory@0]"},
    {"limits that are none",
     TEXT("tasks:\n"
          "- {id: d, action: x, limits: {memory: 1MiB, files: 15}}\n"
          "- {id: e, action: x, limits: {memory: 64MB, cpu: 5, files: many}}\n"
          "- {id: f, action: x, limits: {memory: 99999999999999999999GiB, files: 1048577}}\n"),
     "E107 2:39+4 \"memory\" must be a size of at least 16 MiB, such as 256MiB or 1GiB, not "
     "\"1MiB\"\n"
     "E107 2:52+2 \"files\" must be an integer from 16 to 1048576\n"
     "E107 3:39+4 \"memory\" must be a size of at least 16 MiB, such as 256MiB or 1GiB, not "
     "\"64MB\"\n"
     "E106 3:50+1 \"cpu\" must be a duration above 0 and up to 100 years with a unit, such as "
     "300ms, 10s, 5m, 2h or 1d, not \"5\"\n"
     "E104 3:60+4 \"files\" must be an integer\n"
     "E107 4:39+23 \"memory\" must be a size of at least 16 MiB, such as 256MiB or 1GiB, not "
     "\"99999999999999999999GiB\"\n"
     "E107 4:71+7 \"files\" must be an integer from 16 to 1048576"},
};

#endif
