/* SPDX-License-Identifier: MIT
 *
 * Reading the case files, and playing a case: its dag is parsed, a run is made of it, each step of
 * its script is done in a world.
 */
#include "tests/conformance/cases.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/model/yaml_tree.h"

#include <cmocka.h>

/* A case that is being played. */
struct play {
    const struct one_case *one;
    struct world *w;
    struct mr__arena arena;
    struct world_crash crash;
    unsigned step; /* from 1 */
};

/* ---- files ---------------------------------------------------------------------------------- */

static void add_file(struct cases *cases, const char *folder, const char *name)
{
    struct mr__problems problems;
    mr_value value = {0};
    char path[1024];
    static char text[256 << 10];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rbe");
    size_t len = file == NULL ? 0 : fread(text, 1, sizeof text - 1, file);
    if (file == NULL || len == sizeof text - 1) {
        fail_msg("%s cannot be read", path);
    }
    (void)fclose(file);
    text[len] = '\0';
    mr__problems_init(&problems);
    if (mr__yaml_value(text, len, &cases->arena, &problems, &value) != MR_OK ||
        problems.count > 0 || value.type != MR_LIST) {
        fail_msg("%s:%u: %s", path, problems.count > 0 ? problems.list[0].pos.line : 0,
                 problems.count > 0 ? problems.list[0].message : "not a list of cases");
    }
    mr__problems_finish(&problems);
    for (uint32_t i = 0; i < value.len; i++) {
        const char *title = mr_value_str(mr_value_get(&value.u.list[i], "name"), NULL);
        if (title == NULL || cases->count == CASES_MAX) {
            fail_msg("%s: case %u has no name, or there are too many", path, i + 1);
        }
        cases->list[cases->count++] = (struct one_case){
            mr__arena_dup(&cases->arena, name, strlen(name)), title, &value.u.list[i]};
    }
}

void cases_load(struct cases *cases, const char *folder)
{
    struct dirent **entries;
    memset(cases, 0, sizeof *cases);
    mr__arena_init(&cases->arena);
    int count = scandir(folder, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        const char *end = strrchr(entries[i]->d_name, '.');
        if (end != NULL && strcmp(end, ".yaml") == 0) {
            add_file(cases, folder, entries[i]->d_name);
        }
        free(entries[i]);
    }
    if (count < 0 || cases->count == 0) {
        fail_msg("there are no cases in %s", folder);
    }
    free(entries);
}

void cases_free(struct cases *cases)
{
    mr__arena_finish(&cases->arena);
}

bool case_may_crash(const struct one_case *one)
{
    const mr_value *value = one->value;
    return strcmp(mr_value_str(mr_value_get(value, "crashes"), ""), "none") != 0 &&
           mr_value_get(value, "problems") == NULL && mr_value_get(value, "refused") == NULL;
}

static void check_keys(const struct play *p, const mr_value *map, const char *const *known,
                       size_t count, const char *what)
{
    for (uint32_t i = 0; i < map->len; i++) {
        size_t k = 0;
        while (k < count && strcmp(known[k], map->u.map[i].key) != 0) {
            k++;
        }
        if (k == count) {
            world_broken(p->w, "nobody knows the key \"%s\" of %s", map->u.map[i].key, what);
        }
    }
}

/* ---- steps ---------------------------------------------------------------------------------- */

static const char *json_text(struct play *p, const mr_value *value)
{
    struct mr__buf buf;
    if (value == NULL) {
        return NULL;
    }
    mr__buf_init(&buf);
    mr__value_print(&buf, value);
    const char *text = mr__arena_dup(&p->arena, (const char *)buf.data, buf.len);
    mr__buf_finish(&buf);
    return text;
}

/* The task's attempt goes on as far as `until`. Where a crash has already decided otherwise there
 * is none any more: what has become of it is for the expectations to say. */
static void answer(struct play *p, const mr_value *step, const mr_value *arg,
                   enum world_phase until)
{
    const char *task = mr_value_str(arg, "");
    const mr_value *fails = mr_value_get(step, "fail");
    world_settle(p->w);
    const struct world_attempt *a = world_exec_find(p->w, task);
    if (a == NULL) {
        if (!p->w->crashed) {
            world_broken(p->w, "\"%s\" has no attempt that could go on", task);
        }
        return;
    }
    struct world_answer how = {
        .attempt = a->ref.attempt,
        .until = until,
        .fails_in = a->phase,
        .outcome = fails == NULL ? MR__OUTCOME_SUCCESS : MR__OUTCOME_FAILED,
        .reason = mr_value_str(fails, NULL),
        .json = json_text(p, mr_value_get(step, fails == NULL ? "ok" : "detail")),
        .sets = mr_value_get(step, "share"),
    };
    (void)snprintf(how.task, sizeof how.task, "%s", task);
    world_exec_answer(p->w, &how);
    world_settle(p->w);
}

static void do_began(struct play *p, const mr_value *step, const mr_value *arg)
{
    answer(p, step, arg, WORLD_IN_RUN);
}

static void do_ending(struct play *p, const mr_value *step, const mr_value *arg)
{
    answer(p, step, arg, WORLD_IN_AFTER);
}

static void do_end(struct play *p, const mr_value *step, const mr_value *arg)
{
    answer(p, step, arg, WORLD_OVER);
}

static void do_trace(struct play *p, const mr_value *step, const mr_value *arg)
{
    const struct world_attempt *a = world_exec_find(p->w, mr_value_str(arg, ""));
    const char *line = mr_value_str(mr_value_get(step, "line"), "");
    if (a != NULL) {
        p->w->events.trace(p->w->events.user, &a->ref, line, strlen(line));
    } else if (!p->w->crashed) {
        world_broken(p->w, "no attempt that could trace");
    }
    world_settle(p->w);
}

static void do_set(struct play *p, const mr_value *step, const mr_value *arg)
{
    uint32_t life;
    const char *json = json_text(p, mr_value_get(step, "value"));
    do {
        life = p->w->life;
        mr_status status = world_exec_set(p->w, mr_value_str(arg, ""),
                                          mr_value_str(mr_value_get(step, "key"), ""), json);
        if (status != MR_OK && !p->w->crashed) {
            world_broken(p->w, "no attempt that could set share data");
        }
        world_settle(p->w);
    } while (p->w->life != life && p->crash.before && !p->w->set_done);
    if (p->w->life == life && (!p->w->set_done || p->w->set_status != MR_OK)) {
        world_broken(p->w, "share data is not made durable");
    }
}

static int64_t milliseconds(const struct play *p, const mr_value *value)
{
    int64_t ms = -1;
    const char *text = mr_value_str(value, "");
    if (!mr__duration_parse(text, strlen(text), &ms)) {
        world_broken(p->w, "\"%s\" is no duration", text);
    }
    return ms;
}

static void do_advance(struct play *p, const mr_value *step, const mr_value *arg)
{
    world_advance(p->w, milliseconds(p, arg));
}

static void do_crash(struct play *p, const mr_value *step, const mr_value *arg)
{
    p->w->without = mr_value_str(mr_value_get(step, "without"), NULL);
    world_crash(p->w);
}

static void do_store(struct play *p, const mr_value *step, const mr_value *arg)
{
    const char *how = mr_value_str(arg, "");
    p->w->failing = strcmp(how, "fails") == 0;
    p->w->unknown = strcmp(how, "unknown") == 0;
    if (!p->w->failing && !p->w->unknown && strcmp(how, "works") != 0) {
        world_broken(p->w, "the store fails, works, or is unknown");
    }
}

static void check_answer(const struct play *p, mr_status status, const mr_value *error)
{
    const char *expected = mr_value_str(error, NULL);
    if (expected == NULL && status != MR_OK) {
        world_broken(p->w, "refused: %s", p->w->error.message);
    }
    if (expected != NULL && status == MR_OK) {
        world_broken(p->w, "not refused, expected: %s", expected);
    }
    if (expected != NULL && !expect_text(p->w->error.message, expected)) {
        world_broken(p->w, "refused: \"%s\", expected: \"%s\"", p->w->error.message, expected);
    }
}

/* `arg`: "all" or null for the whole run, else a list of tasks, or one. A command that is refused
 * changes nothing. */
static void command(struct play *p, const mr_value *step, const mr_value *arg,
                    enum mr__command command)
{
    const char *names[64];
    const mr_value *error = mr_value_get(step, "error");
    size_t run = (size_t)mr_value_int(mr_value_get(step, "of"), 0), log_len = 0;
    struct mr__command_of what = {.command = command, .tasks = names};
    if (arg->type == MR_STRING && strcmp(arg->u.s, "all") != 0) {
        names[what.task_count++] = arg->u.s;
    }
    for (uint32_t i = 0; arg->type == MR_LIST && i < arg->len && i < MR__COUNT(names); i++) {
        names[what.task_count++] = mr_value_str(&arg->u.list[i], "");
    }
    world_settle(p->w);
    if (error != NULL) {
        log_len = world_look(p->w, run)->log.len;
    }
    uint32_t life = p->w->life;
    check_answer(p, world_command(p->w, run, &what), error);
    if (error != NULL && life == p->w->life && world_look(p->w, run)->log.len != log_len) {
        world_broken(p->w, "the command is refused, and changes the run");
    }
}

static void do_cancel(struct play *p, const mr_value *step, const mr_value *arg)
{
    command(p, step, arg, MR__COMMAND_CANCEL);
}

static void do_retry(struct play *p, const mr_value *step, const mr_value *arg)
{
    command(p, step, arg, MR__COMMAND_RETRY);
}

static void do_continue(struct play *p, const mr_value *step, const mr_value *arg)
{
    command(p, step, arg, MR__COMMAND_CONTINUE);
}

static void do_pause(struct play *p, const mr_value *step, const mr_value *arg)
{
    command(p, step, arg, MR__COMMAND_PAUSE);
}

static void do_unpause(struct play *p, const mr_value *step, const mr_value *arg)
{
    command(p, step, arg, MR__COMMAND_UNPAUSE);
}

static void do_expect(struct play *p, const mr_value *step, const mr_value *arg)
{
    struct mr__buf problem;
    mr__buf_init(&problem);
    world_settle(p->w);
    bool good = expect_state(p->w, arg, p->w->crashed, &problem);
    const mr_value *otherwise = mr_value_get(step, "afterCrash");
    if (!good && otherwise != NULL && p->w->crashed) {
        mr__buf_reset(&problem);
        good = expect_state(p->w, otherwise, true, &problem);
    }
    if (!good) {
        world_broken(p->w, "%s", mr__buf_cstr(&problem));
    }
    mr__buf_finish(&problem);
}

static struct mr__dag *parse(struct play *p, const char *text, const char *file);
static void submit(struct play *p, const char *text, const char *file, const mr_value *vars,
                   const mr_value *refused);

/* Another dag of the case, and a run of it. */
static void do_submit(struct play *p, const mr_value *step, const mr_value *arg)
{
    const char *name = mr_value_str(arg, "");
    const char *text = mr_value_str(mr_value_get(mr_value_get(p->one->value, "dags"), name), NULL);
    if (text == NULL) {
        world_broken(p->w, "the case has no dag \"%s\"", name);
    }
    submit(p, text, name, mr_value_get(step, "vars"), mr_value_get(step, "error"));
}

static void do_take_over(struct play *p, const mr_value *step, const mr_value *arg)
{
    struct mr__dag *dag = parse(p, "tasks: [{id: theirs}]", "other.yaml");
    world_take_over(p->w, dag);
}

static const struct verb {
    const char *name;
    void (*run)(struct play *p, const mr_value *step, const mr_value *arg);
    const char *more[4]; /* other keys that the step may have */
} verbs[] = {
    {"end", do_end, {"ok", "fail", "detail", "share"}},
    {"began", do_began, {0}},
    {"ending", do_ending, {"ok", "share"}},
    {"trace", do_trace, {"line"}},
    {"set", do_set, {"key", "value"}},
    {"advance", do_advance, {0}},
    {"crash", do_crash, {"without"}},
    {"store", do_store, {0}},
    {"takeOver", do_take_over, {0}},
    {"submit", do_submit, {"vars", "error"}},
    {"cancel", do_cancel, {"error", "of"}},
    {"retry", do_retry, {"error", "of"}},
    {"continue", do_continue, {"error", "of"}},
    {"pause", do_pause, {"error", "of"}},
    {"unpause", do_unpause, {"error", "of"}},
    {"expect", do_expect, {"afterCrash"}},
};

/* A step is a map whose first key is its verb, or the verb alone. */
static void do_step(struct play *p, const mr_value *step)
{
    const mr_value nothing = {0};
    mr_member alone = {mr_value_str(step, ""), nothing};
    mr_value as_map = {.type = MR_MAP, .len = 1, .u.map = &alone};
    const mr_value *map = step->type == MR_MAP ? step : &as_map;
    for (size_t i = 0; map->len > 0 && i < MR__COUNT(verbs); i++) {
        if (strcmp(verbs[i].name, map->u.map[0].key) == 0) {
            const char *known[5] = {verbs[i].name};
            size_t count = 1;
            for (size_t k = 0; k < MR__COUNT(verbs[i].more) && verbs[i].more[k] != NULL; k++) {
                known[count++] = verbs[i].more[k];
            }
            check_keys(p, map, known, count, "a step");
            verbs[i].run(p, map, &map->u.map[0].value);
            return;
        }
    }
    world_broken(p->w, "nobody knows the step \"%s\"", map->len > 0 ? map->u.map[0].key : "");
}

/* ---- dags ----------------------------------------------------------------------------------- */

/* So many diamonds, one upon the other: each has one more task than ways through it. */
static const char *stack_diamonds(struct play *p, int64_t count)
{
    struct mr__buf text;
    mr__buf_init(&text);
    mr__buf_text(&text, "tasks:\n  - {id: top-0}\n");
    for (int64_t i = 1; i <= count; i++) {
        int at = (int)i;
        mr__buf_printf(&text, "  - {id: left-%d, dependOn: [top-%d]}\n", at, at - 1);
        mr__buf_printf(&text, "  - {id: right-%d, dependOn: [top-%d]}\n", at, at - 1);
        mr__buf_printf(&text, "  - {id: top-%d, dependOn: [left-%d, right-%d]}\n", at, at, at);
    }
    const char *copy = mr__arena_dup(&p->arena, (const char *)text.data, text.len);
    mr__buf_finish(&text);
    return copy;
}

static void check(const struct play *p, bool good, struct mr__buf *problem)
{
    if (!good) {
        world_broken(p->w, "%s", mr__buf_cstr(problem));
    }
}

/* The dag, or NULL where the case expects that there is none. */
static struct mr__dag *parse(struct play *p, const char *text, const char *file)
{
    const mr_value *value = p->one->value;
    const mr_value *expected = mr_value_get(value, "problems");
    struct mr__parse_options options = {.file = file,
                                        .compat = mr_value_int(mr_value_get(value, "compat"), 0)};
    struct mr__problems problems;
    struct mr__buf problem;
    struct mr__dag *dag = NULL;
    mr__problems_init(&problems);
    mr__buf_init(&problem);
    mr_status status = mr__dag_parse(text, strlen(text), &options, &problems, &dag);
    check(p, expect_problems(&problems, false, expected, &problem), &problem);
    check(p, expect_problems(&problems, true, mr_value_get(value, "warnings"), &problem), &problem);
    if ((status == MR_OK) != (expected == NULL)) {
        world_broken(p->w, "the parser says %s", mr_status_text(status));
    }
    mr__buf_finish(&problem);
    mr__problems_finish(&problems);
    return dag;
}

static void submit(struct play *p, const char *text, const char *file, const mr_value *vars,
                   const mr_value *refused)
{
    mr_value all;
    mr_error error = {0};
    const mr_value *model = mr_value_get(p->one->value, "model");
    struct mr__dag *dag = parse(p, text, file);
    if (dag == NULL) {
        return;
    }
    if (model != NULL) {
        struct mr__buf problem;
        mr__buf_init(&problem);
        check(p, expect_model(dag, model, &problem), &problem);
        mr__buf_finish(&problem);
    }
    mr_value none = {0};
    mr_status status = mr__dag_vars(dag, vars == NULL ? &none : vars, &p->arena, &all, &error);
    if (status == MR_OK) {
        const char *json = json_text(p, &all);
        status = world_submit(p->w, dag, (struct mr__blob){json, strlen(json)});
    } else {
        p->w->error = error;
        mr__dag_unref(dag);
    }
    check_answer(p, status, refused);
}

/* ---- cases ---------------------------------------------------------------------------------- */

static void set_context(const struct play *p, const char *store, const char *where)
{
    char crash[64] = "";
    if (p->crash.at > 0) {
        (void)snprintf(crash, sizeof crash, ", killed %s commit %llu",
                       p->crash.before ? "before" : "after", (unsigned long long)p->crash.at);
    }
    (void)snprintf(p->w->context, sizeof p->w->context, "%s: %s (%s%s)%s", p->one->file,
                   p->one->name, store, crash, where);
}

static bool all_over(struct world *w)
{
    for (size_t i = 0; i < w->run_count; i++) {
        const struct mr__run *run = w->runs[i].known ? world_look(w, i) : NULL;
        if (run != NULL && (run->flags & MR__RUNFLAG_SETTLED) == 0) {
            return false;
        }
    }
    return true;
}

static void play_script(struct play *p, const char *store)
{
    const mr_value *value = p->one->value, *script = mr_value_get(value, "script");
    const mr_value *expected = mr_value_get(value, "expect");
    char where[32];
    for (uint32_t i = 0; script != NULL && i < script->len; i++) {
        (void)snprintf(where, sizeof where, ", step %u", i + 1);
        set_context(p, store, where);
        do_step(p, &script->u.list[i]);
    }
    set_context(p, store, ", at the end");
    world_settle(p->w);
    if (expected != NULL) {
        do_expect(p, value, expected);
    }
    if (!p->w->broken && p->w->run_count > 0 && all_over(p->w)) {
        world_exec_check_idle(p->w);
    }
}

uint64_t case_play(const struct one_case *one, const char *folder, struct world_crash crash)
{
    static const char *const keys[] = {"name",     "row",      "dag",    "dags",    "file",
                                       "vars",     "script",   "expect", "crashes", "afterCrash",
                                       "problems", "warnings", "model",  "compat",  "refused",
                                       "diamonds", "quickMs"};
    struct world *w = malloc(sizeof *w);
    struct play play = {.one = one, .w = w, .crash = crash}, *p = &play;
    const mr_value *value = one->value;
    const char *store = folder == NULL ? "memory" : "LMDB";
    assert_non_null(w);
    mr__arena_init(&p->arena);
    world_init(w, folder, crash);
    set_context(p, store, "");
    check_keys(p, value, keys, MR__COUNT(keys), "a case");
    w->all_idempotent =
        crash.at > 0 && strcmp(mr_value_str(mr_value_get(value, "crashes"), ""), "lost") != 0;
    const mr_value *diamonds = mr_value_get(value, "diamonds");
    const char *text = mr_value_str(mr_value_get(value, "dag"), NULL);
    if (diamonds != NULL) {
        text = stack_diamonds(p, diamonds->u.i);
    }
    clock_t begin = clock();
    if (text != NULL) {
        submit(p, text, mr_value_str(mr_value_get(value, "file"), "case.yaml"),
               mr_value_get(value, "vars"), mr_value_get(value, "refused"));
    }
    play_script(p, store);
    int64_t quick_ms = mr_value_int(mr_value_get(value, "quickMs"), INT64_MAX);
    int64_t ms = (int64_t)(clock() - begin) * 1000 / CLOCKS_PER_SEC;
    if (ms > quick_ms) {
        world_broken(w, "it took %d ms", (int)ms);
    }
    uint64_t commits = w->commits;
    world_finish(w);
    free(w);
    mr__arena_finish(&p->arena);
    return commits;
}
