/* SPDX-License-Identifier: MIT
 *
 * Goal: a dag file, and a habit, from fastflow works here as it did there, or better where
 * README.md says so; and none of fastflow's bugs is ours. Method: cases/ has at least one case for
 * each row of README.md's table; each is played on the store in memory and on LMDB, and on both
 * once more for each of its commits with the engine killed right before it and right after it.
 *
 * `fastflow NAME...` plays only the cases of these names.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/conformance/cases.h"
#include "tests/support/temp_store.h"

#include <cmocka.h>

static struct cases all;
static char readme[256 << 10];
static const char *tables; /* in it: the lines that name rows and cases */

/* liblmdb finds these. Nobody pulls the plug here: what an engine that was killed had written is
 * there for the next one, synced or not, and thousands of syncs are minutes on some disks. What
 * must be synced, and when, is for test_store_lmdb.c. */
__attribute__((visibility("default"))) int fdatasync(int fd)
{
    return 0;
}

__attribute__((visibility("default"))) int fsync(int fd)
{
    return 0;
}

static void play_on_disk(const struct one_case *one, struct world_crash crash)
{
    char folder[64];
    temp_store_make(folder);
    (void)case_play(one, folder, crash);
    temp_store_remove(folder);
}

static void fastflow__case(void **state)
{
    const struct one_case *one = *state;
    uint64_t commits = case_play(one, NULL, (struct world_crash){0});
    play_on_disk(one, (struct world_crash){0});
    for (uint64_t i = 1; i <= commits && case_may_crash(one); i++) {
        (void)case_play(one, NULL, (struct world_crash){.at = i, .before = true});
        (void)case_play(one, NULL, (struct world_crash){.at = i});
        play_on_disk(one, (struct world_crash){.at = i, .before = true});
        play_on_disk(one, (struct world_crash){.at = i});
    }
}

/* ---- README.md ------------------------------------------------------------------------------ */

/* Whether a line of the table stands for the row and names the case. */
static bool table_has(const char *row, const char *name)
{
    char begin[128], quoted[256];
    (void)snprintf(begin, sizeof begin, "\n| `%s` |", row);
    (void)snprintf(quoted, sizeof quoted, "`%s`", name);
    const char *line = strstr(tables, begin);
    const char *end = line == NULL ? NULL : strchr(line + 1, '\n');
    const char *found = line == NULL ? NULL : strstr(line, quoted);
    return found != NULL && (end == NULL || found < end);
}

static bool stands_for(const struct one_case *one, const char *row, size_t len)
{
    const mr_value *rows = mr_value_get(one->value, "row");
    uint32_t count = rows != NULL && rows->type == MR_LIST ? rows->len : 1;
    for (uint32_t i = 0; rows != NULL && i < count; i++) {
        const char *it = mr_value_str(rows->type == MR_LIST ? &rows->u.list[i] : rows, "");
        if (strlen(it) == len && memcmp(it, row, len) == 0) {
            return true;
        }
    }
    return false;
}

static void fastflow__each_case_stands_in_the_table(void **state)
{
    unsigned missing = 0;
    for (size_t i = 0; i < all.count; i++) {
        const mr_value *rows = mr_value_get(all.list[i].value, "row");
        uint32_t count = rows != NULL && rows->type == MR_LIST ? rows->len : 1;
        for (uint32_t k = 0; k < count; k++) {
            const char *row =
                mr_value_str(rows != NULL && rows->type == MR_LIST ? &rows->u.list[k] : rows, "");
            if (!table_has(row, all.list[i].name)) {
                print_error("README.md: no line \"%s\" with the case %s\n", row, all.list[i].name);
                missing++;
            }
        }
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(all.list[i].name, all.list[k].name);
        }
    }
    assert_int_equal(missing, 0);
}

static void fastflow__each_line_of_the_table_has_its_cases(void **state)
{
    unsigned lines = 0, missing = 0;
    for (const char *line = strstr(tables, "\n| `"); line != NULL;
         line = strstr(line + 1, "\n| `")) {
        const char *row = line + 4, *end = strchr(line + 1, '\n');
        size_t len = strcspn(row, "`"), cases = 0;
        lines++;
        for (size_t i = 0; i < all.count; i++) {
            char quoted[256];
            (void)snprintf(quoted, sizeof quoted, "`%s`", all.list[i].name);
            const char *found = strstr(row + len, quoted);
            bool named = found != NULL && (end == NULL || found < end);
            cases += named;
            if (named && !stands_for(&all.list[i], row, len)) {
                print_error("README.md: %.*s: %s does not say that it stands for it\n", (int)len,
                            row, all.list[i].name);
                missing++;
            }
        }
        if (cases == 0) {
            print_error("README.md: no case stands for %.*s\n", (int)len, row);
            missing++;
        }
    }
    assert_true(lines > 0);
    assert_int_equal(missing, 0);
}

static void read_readme(const char *folder)
{
    char path[1024];
    (void)snprintf(path, sizeof path, "%s/README.md", folder);
    FILE *file = fopen(path, "rbe");
    size_t len = file == NULL ? 0 : fread(readme, 1, sizeof readme - 1, file);
    readme[len] = '\0';
    tables = strstr(readme, "\n## What stands for what\n");
    if (file == NULL || len == sizeof readme - 1 || tables == NULL) {
        (void)fprintf(stderr, "%s cannot be read, or has no tables\n", path);
        exit(1);
    }
    (void)fclose(file);
}

static bool is_asked_for(const char *name, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], name) == 0) {
            return true;
        }
    }
    return argc < 2;
}

int main(int argc, char **argv)
{
    static struct CMUnitTest tests[CASES_MAX + 2] = {
        cmocka_unit_test(fastflow__each_case_stands_in_the_table),
        cmocka_unit_test(fastflow__each_line_of_the_table_has_its_cases),
    };
    char folder[512], path[600];
    size_t count = argc < 2 ? 2 : 0;
    const char *source = getenv("MILLRACE_TEST_SOURCE");
    (void)snprintf(folder, sizeof folder, "%s/tests/conformance", source == NULL ? "." : source);
    (void)snprintf(path, sizeof path, "%s/cases", folder);
    read_readme(folder);
    cases_load(&all, path);
    for (size_t i = 0; i < all.count; i++) {
        if (is_asked_for(all.list[i].name, argc, argv)) {
            tests[count++] = (struct CMUnitTest){.name = all.list[i].name,
                                                 .test_func = fastflow__case,
                                                 .initial_state = &all.list[i]};
        }
    }
    int failed = _cmocka_run_group_tests("fastflow", tests, count, NULL, NULL);
    cases_free(&all);
    return failed;
}
