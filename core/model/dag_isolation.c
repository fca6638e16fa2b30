/* SPDX-License-Identifier: MIT
 *
 * Where a task's action runs, and what it may use there: `isolation` and `limits`, of the dag file
 * (the default of its tasks that name an action) and of a task. Pure, as parse.c.
 */
#include "core/model/parse_task.h"

enum { LIMIT_MEMORY, LIMIT_CPU, LIMIT_FILES };
static const struct mr__key limit_keys[] = {
    [LIMIT_MEMORY] = {.name = "memory",
                      .help = "of its address space, such as 256MiB",
                      .schema = "{\"type\":[\"string\",\"null\"],"
                                "\"pattern\":\"^0*[1-9][0-9]*(KiB|MiB|GiB)$\"}"},
    [LIMIT_CPU] = {.name = "cpu",
                   .help = "processor time of an attempt, such as 10s",
                   .schema = MR__SCHEMA_REF("duration")},
    [LIMIT_FILES] = {.name = "files",
                     .help = "open descriptors",
                     .schema =
                         "{\"type\":[\"integer\",\"null\"],\"minimum\":16,\"maximum\":1048576}"},
};
const struct mr__key_table mr__key_table_limits = {"limits", limit_keys, MR__COUNT(limit_keys), ""};

/* "256MiB". 0: it is none, or was none. */
static uint64_t read_bytes(struct mr__parse *p, const struct mr__found *found)
{
    static const struct {
        const char *name;
        unsigned shift;
    } units[] = {{"KiB", 10}, {"MiB", 20}, {"GiB", 30}};
    if (!mr__parse_is_given(found)) {
        return 0;
    }
    bool is_text = found->value->kind == MR__YAML_SCALAR;
    const char *text = is_text ? found->value->u.text : "", *at = text;
    uint64_t number = 0, bytes = 0;
    for (; *at >= '0' && *at <= '9' && number < UINT64_C(1) << 30; at++) {
        number = number * 10 + (uint64_t)(*at - '0');
    }
    for (size_t i = 0; i < MR__COUNT(units); i++) {
        if (strcmp(at, units[i].name) == 0) {
            bytes = number << units[i].shift;
        }
    }
    if (bytes < MR__LIMIT_BYTES_MIN) {
        mr__problem_add(p->problems, "E107", mr__yaml_pos(found->value), NULL,
                        "\"%s\" must be a size of at least %u MiB, such as 256MiB or 1GiB, not "
                        "\"%.140s\"",
                        found->key->u.text, MR__LIMIT_BYTES_MIN >> 20, text);
        return 0;
    }
    return bytes;
}

/* What is not given stays as it is. */
static void read_limits(struct mr__parse *p, const struct mr__found *found,
                        struct mr__action_limits *limits)
{
    struct mr__found keys[MR__COUNT(limit_keys)];
    if (found->value->kind != MR__YAML_MAP) {
        mr__parse_add_type_problem(p, found, "a map, such as {memory: 256MiB}");
        return;
    }
    mr__parse_keys(p, found->value, limit_keys, MR__COUNT(limit_keys),
                   (struct mr__place){.what = "\"limits\""}, keys);
    if (mr__parse_is_given(&keys[LIMIT_MEMORY])) {
        limits->memory_bytes = read_bytes(p, &keys[LIMIT_MEMORY]);
    }
    if (mr__parse_is_given(&keys[LIMIT_CPU])) {
        int64_t seconds = (mr__parse_duration(p, &keys[LIMIT_CPU], 1) + 999) / 1000;
        limits->cpu_s = (uint32_t)MR__MIN(seconds, UINT32_MAX);
    }
    if (mr__parse_is_given(&keys[LIMIT_FILES])) {
        limits->files = (uint32_t)mr__parse_integer(p, &keys[LIMIT_FILES], MR__LIMIT_FILES_MIN,
                                                    MR__LIMIT_FILES_MAX);
    }
}

const struct mr__isolation *mr__parse_isolation(struct mr__parse *p,
                                                const struct mr__isolation *inherited,
                                                const struct mr__found *isolation,
                                                const struct mr__found *limits)
{
    static const char *const words[] = {NULL, "none", "process"};
    bool has_word = mr__parse_is_given(isolation), has_limits = mr__parse_is_given(limits);
    if (!has_word && !has_limits) {
        return inherited;
    }
    struct mr__isolation *made = mr__parse_alloc(p, sizeof *made);
    if (made == NULL) {
        return NULL;
    }
    if (inherited != NULL) {
        *made = *inherited;
        made->own = made->own_limits = false;
    }
    if (has_word) {
        made->own = true;
        made->pos = mr__yaml_pos(isolation->value);
        made->word =
            (uint8_t)mr__parse_word(p, isolation, words, MR__COUNT(words), MR__ISOLATION_AS_ASKED);
    }
    if (has_limits) {
        made->own_limits = true;
        made->limits_pos = mr__yaml_pos(limits->key);
        read_limits(p, limits, &made->limits);
    }
    return made;
}

void mr__parse_task_isolation(struct mr__parse *p, struct mr__dag_task *task,
                              const struct mr__found *found)
{
    const struct mr__found *isolation = &found[MR__TASK_ISOLATION];
    const struct mr__found *limits = &found[MR__TASK_LIMITS];
    bool by_name = found[MR__TASK_ACTION].key != NULL || found[MR__TASK_ACTION_NAME].key != NULL;
    task->isolation = mr__parse_isolation(p, by_name ? p->dag->isolation : NULL, isolation, limits);
    if (task->action == NULL && (isolation->key != NULL || limits->key != NULL) && !by_name) {
        const struct mr__found *first = isolation->key != NULL ? isolation : limits;
        mr__problem_add(p->problems, "E316", mr__yaml_pos(first->key), NULL,
                        "\"%s\" needs an action", first->key->u.text);
    }
}
