/* SPDX-License-Identifier: MIT
 *
 * How often a task of a dag file is tried again: `retry`, a number or a map. Pure, as parse.c.
 */
#include "core/model/parse_task.h"

#define EXPONENTIAL_DELAY_MS 1000 /* where `delay` is not given: 0 doubled would be 0 */

enum { RETRY_MAX, RETRY_BACKOFF, RETRY_DELAY, RETRY_MAX_DELAY, RETRY_JITTER, RETRY_IF };
static const struct mr__key retry_keys[] = {
    [RETRY_MAX] = {.name = "max",
                   .help = "further attempts after the first; lost ones do not count",
                   .schema = "{\"type\":\"integer\",\"minimum\":0,\"maximum\":1000000}"},
    [RETRY_BACKOFF] = {.name = "backoff",
                       .help = "fixed (default), or exponential: each delay twice the one before",
                       .schema = MR__SCHEMA_WORDS("\"fixed\",\"exponential\"")},
    [RETRY_DELAY] =
        {.name = "delay",
         .help = "how long before the next attempt, such as 1s; default 0s, with exponential 1s",
         .schema = MR__SCHEMA_OR_NULL(MR__SCHEMA_REF("wait"))},
    [RETRY_MAX_DELAY] = {.name = "maxDelay",
                         .help = "the longest delay",
                         .schema = MR__SCHEMA_REF("duration")},
    [RETRY_JITTER] = {.name = "jitter",
                      .help = "0 to 1: each delay is taken between delay * (1 - jitter) and delay",
                      .schema = "{\"type\":[\"number\",\"null\"],\"minimum\":0,\"maximum\":1}"},
    [RETRY_IF] = {.name = "if",
                  .help = "Lua over error: only if it is true there is another attempt",
                  .schema = MR__SCHEMA_REF("expression")},
};

const struct mr__key_table mr__key_table_retry = {"retry", retry_keys, MR__COUNT(retry_keys),
                                                  ",\"required\":[\"max\"]"};

static void read_delays(struct mr__parse *p, struct mr__retry *retry, const struct mr__found *found)
{
    static const char *const backoffs[] = {"fixed", "exponential"};
    retry->backoff = (uint8_t)mr__parse_word(p, &found[RETRY_BACKOFF], backoffs,
                                             MR__COUNT(backoffs), MR__BACKOFF_FIXED);
    retry->delay_ms = mr__parse_duration(p, &found[RETRY_DELAY], 0);
    if (!mr__parse_is_given(&found[RETRY_DELAY]) && retry->backoff == MR__BACKOFF_EXPONENTIAL) {
        retry->delay_ms = EXPONENTIAL_DELAY_MS;
    }
    retry->max_delay_ms = mr__parse_duration(p, &found[RETRY_MAX_DELAY], 1);
    if (retry->max_delay_ms > 0 && retry->max_delay_ms < retry->delay_ms) {
        mr__problem_add(p->problems, "E323", mr__yaml_pos(found[RETRY_MAX_DELAY].value), NULL,
                        "\"maxDelay\" is shorter than the delay it limits");
    }
    retry->jitter = (float)mr__parse_number(p, &found[RETRY_JITTER], 0, 1);
}

void mr__parse_retry(struct mr__parse *p, struct mr__dag_task *task, const struct mr__found *found)
{
    const struct mr__found *given = &found[MR__TASK_RETRY];
    if (!mr__parse_is_given(given)) {
        return;
    }
    if (given->value->kind == MR__YAML_SCALAR) {
        task->retry.max = (uint32_t)mr__parse_integer(p, given, 0, MR__RETRIES_MAX);
        return;
    }
    if (given->value->kind != MR__YAML_MAP) {
        mr__parse_add_type_problem(p, given, "a number or a map");
        return;
    }
    struct mr__found keys[MR__COUNT(retry_keys)];
    mr__parse_keys(p, given->value, retry_keys, MR__COUNT(retry_keys),
                   (struct mr__place){.what = "\"retry\""}, keys);
    if (!mr__parse_is_given(&keys[RETRY_MAX])) {
        mr__problem_add(p->problems, "E324", mr__yaml_pos(given->key), NULL,
                        "\"retry\" needs \"max\", the number of further attempts");
    }
    task->retry.max = (uint32_t)mr__parse_integer(p, &keys[RETRY_MAX], 0, MR__RETRIES_MAX);
    read_delays(p, &task->retry, keys);
    task->retry.filter = mr__parse_script(p, &keys[RETRY_IF], MR__SCRIPT_EXPRESSION, p->item);
}
