/* SPDX-License-Identifier: MIT
 *
 * What stands around the tasks of a dag file: hooks and the schedule. Pure, as parse.c.
 */
#include "core/model/cron.h"
#include "core/model/parse.h"

enum { HOOK_LUA };
static const struct mr__key hook_keys[] = {[HOOK_LUA] = {.name = "lua",
                                                         .help = "a Lua script, sandboxed",
                                                         .schema = MR__SCHEMA_REF("command")}};

enum { SCHEDULE_CRON, SCHEDULE_TIMEZONE, SCHEDULE_OVERLAP, SCHEDULE_CATCHUP };
static const struct mr__key schedule_keys[] = {
    [SCHEDULE_CRON] =
        {.name = "cron",
         .help = "five fields, or six with seconds in front; or @daily, @every 5m and the like",
         .schema = MR__SCHEMA_REF("command")},
    [SCHEDULE_TIMEZONE] = {.name = "timezone",
                           .help = "a name of the tz database, such as Europe/Paris; default: UTC",
                           .schema = MR__SCHEMA_REF("text")},
    [SCHEDULE_OVERLAP] = {.name = "overlap",
                          .help = "while an earlier run is unfinished: skip (default), queue, "
                                  "replace (cancels it) or allow",
                          .schema = MR__SCHEMA_WORDS("\"skip\",\"queue\",\"replace\",\"allow\"")},
    [SCHEDULE_CATCHUP] = {.name = "catchup",
                          .help = "times that were missed: skip, latest or all",
                          .schema = MR__SCHEMA_WORDS("\"skip\",\"latest\",\"all\"")},
};

const struct mr__key_table mr__key_table_hook = {"hook", hook_keys, MR__COUNT(hook_keys),
                                                 ",\"required\":[\"lua\"]"};
const struct mr__key_table mr__key_table_schedule = {
    "schedule", schedule_keys, MR__COUNT(schedule_keys), ",\"required\":[\"cron\"]"};

/* ---- hooks --------------------------------------------------------------------------------- */

static uint32_t read_hook(struct mr__parse *p, const struct mr__found *hook)
{
    struct mr__found found[MR__COUNT(hook_keys)];
    if (hook->value->kind != MR__YAML_MAP) {
        mr__parse_add_type_problem(p, hook, "a map, such as {lua: ...}");
        return MR__NO_SCRIPT;
    }
    mr__parse_keys(p, hook->value, hook_keys, MR__COUNT(hook_keys),
                   (struct mr__place){.what = "hook", .id = hook->key->u.text}, found);
    if (!mr__parse_is_given(&found[HOOK_LUA])) {
        mr__problem_add(p->problems, "E308", mr__yaml_pos(hook->key), NULL,
                        "the hook \"%s\" needs \"lua\"", hook->key->u.text);
    }
    return mr__parse_script(p, &found[HOOK_LUA], MR__SCRIPT_CHUNK, NULL);
}

void mr__parse_hooks(struct mr__parse *p, const struct mr__found *hooks)
{
    struct mr__key keys[MR__HOOKS];
    struct mr__found found[MR__HOOKS];
    for (unsigned i = 0; i < MR__HOOKS; i++) {
        keys[i] = (struct mr__key){.name = mr__hook_names[i]};
        p->dag->hooks[i] = MR__NO_SCRIPT;
    }
    if (!mr__parse_is_given(hooks)) {
        return;
    }
    if (hooks->value->kind != MR__YAML_MAP) {
        mr__parse_add_type_problem(p, hooks, "a map of hooks");
        return;
    }
    mr__parse_keys(p, hooks->value, keys, MR__HOOKS, (struct mr__place){.what = "\"hooks\""},
                   found);
    for (unsigned i = 0; i < MR__HOOKS; i++) {
        if (!mr__parse_is_given(&found[i])) {
            continue;
        }
        p->dag->hooks[i] = read_hook(p, &found[i]);
        p->dag->hook_mask |= 1u << i;
    }
}

/* ---- schedule ------------------------------------------------------------------------------ */

static void read_cron(struct mr__parse *p, const struct mr__found *found)
{
    const char *text = mr__parse_text(p, found);
    struct mr__cron cron;
    mr_error error;
    if (text != NULL && mr__cron_parse(text, strlen(text), &cron, &error) != MR_OK) {
        mr__problem_add(p->problems, "E351", mr__yaml_pos(found->value), NULL,
                        "\"%.140s\" is no cron expression: %s", text, error.message);
    } else if (text != NULL) {
        p->dag->schedule.cron = text;
        p->dag->schedule.pos = mr__yaml_pos(found->value);
    }
}

static void read_schedule(struct mr__parse *p, const struct mr__found *schedule)
{
    static const char *const overlaps[] = {"skip", "queue", "replace", "allow"};
    static const char *const catchups[] = {"skip", "latest", "all"};
    struct mr__found found[MR__COUNT(schedule_keys)];
    if (schedule->value->kind != MR__YAML_MAP) {
        mr__parse_add_type_problem(p, schedule, "a map, such as {cron: \"0 7 * * 1-5\"}");
        return;
    }
    mr__parse_keys(p, schedule->value, schedule_keys, MR__COUNT(schedule_keys),
                   (struct mr__place){.what = "\"schedule\""}, found);
    if (!mr__parse_is_given(&found[SCHEDULE_CRON])) {
        mr__problem_add(p->problems, "E352", mr__yaml_pos(schedule->key), NULL,
                        "\"schedule\" needs \"cron\"");
    }
    read_cron(p, &found[SCHEDULE_CRON]);
    struct mr__schedule *row = &p->dag->schedule;
    row->timezone = mr__parse_text(p, &found[SCHEDULE_TIMEZONE]);
    if (row->timezone != NULL) {
        row->timezone_pos = mr__yaml_pos(found[SCHEDULE_TIMEZONE].value);
    }
    row->overlap = (uint8_t)mr__parse_word(p, &found[SCHEDULE_OVERLAP], overlaps,
                                           MR__COUNT(overlaps), MR__OVERLAP_SKIP);
    row->catchup = (uint8_t)mr__parse_word(p, &found[SCHEDULE_CATCHUP], catchups,
                                           MR__COUNT(catchups), MR__CATCHUP_SKIP);
}

/* Nobody is there to give it a value. */
static void check_vars(struct mr__parse *p)
{
    for (uint32_t i = 0; i < p->dag->var_count; i++) {
        const struct mr__var *var = &p->dag->vars[i];
        if (var->required && !var->has_default) {
            mr__problem_add(p->problems, "E354", var->pos, NULL,
                            "variable \"%.140s\" is required, but a run by schedule gives it no "
                            "value: it needs a \"defaultValue\"",
                            var->name);
        }
    }
}

void mr__parse_schedule(struct mr__parse *p, const struct mr__found *cron,
                        const struct mr__found *schedule)
{
    if (cron->key != NULL && schedule->key != NULL) {
        bool second = schedule->key > cron->key;
        mr__problem_add(p->problems, "E307", mr__yaml_pos(second ? schedule->key : cron->key), NULL,
                        "a dag has \"schedule\" or \"cron\", not both");
    }
    if (mr__parse_is_given(cron)) {
        read_cron(p, cron);
    }
    if (mr__parse_is_given(schedule)) {
        read_schedule(p, schedule);
    }
    if (p->dag->schedule.cron != NULL) {
        check_vars(p);
    }
}
