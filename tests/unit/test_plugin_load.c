/* SPDX-License-Identifier: MIT
 *
 * Goal: a plugin that does not keep the ABI is refused with a message that names its file and says
 * why, before anything in it is called; one that may come from a later time is taken; a place that
 * others may write is refused. Method: the plugins of tests/abi, and copies of them in folders of
 * other modes.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "core/exec/plugin_load.h"
#include "temp_store.h"

#include <cmocka.h> /* last: its macros take plain words */

#define FOUND_MAX 32

struct found {
    char file[512];
    const mr_plugin *plugin;
    mr_error refusal;
};

static struct found found[FOUND_MAX];
static uint32_t found_count;
static char folder[64];

static int set_up(void **state)
{
    found_count = 0;
    temp_store_make(folder);
    return 0;
}

static int tear_down(void **state)
{
    temp_store_remove(folder);
    return 0;
}

static mr_status on_found(void *user, const char *file, const mr_plugin *plugin,
                          const mr_error *refusal)
{
    assert_true(found_count < FOUND_MAX);
    struct found *at = &found[found_count++];
    (void)snprintf(at->file, sizeof at->file, "%s", file);
    at->plugin = plugin;
    if (plugin == NULL) {
        at->refusal = *refusal;
    }
    return user == NULL ? MR_OK : MR_ECANCELED;
}

static const char *built(const char *below)
{
    static char path[1024];
    const char *build = getenv("MILLRACE_TEST_BUILD");
    (void)snprintf(path, sizeof path, "%s/tests/abi%s", build == NULL ? "build" : build, below);
    return path;
}

static void copy(const char *from, const char *name, mode_t mode)
{
    char to[128], bytes[65536];
    (void)snprintf(to, sizeof to, "%s/%s", folder, name);
    FILE *in = fopen(from, "r"), *out = fopen(to, "w");
    assert_non_null(in);
    assert_non_null(out);
    for (size_t len; (len = fread(bytes, 1, sizeof bytes, in)) > 0;) {
        assert_int_equal(fwrite(bytes, 1, len, out), len);
    }
    (void)fclose(in);
    (void)fclose(out);
    assert_int_equal(chmod(to, mode), 0);
}

static const mr_error *refusal_of(const char *name)
{
    for (uint32_t i = 0; i < found_count; i++) {
        const char *base = strrchr(found[i].file, '/') + 1;
        if (strcmp(base, name) == 0) {
            assert_null(found[i].plugin);
            assert_non_null(strstr(found[i].refusal.message, found[i].file));
            return &found[i].refusal;
        }
    }
    fail_msg("%s was not found", name);
    return NULL;
}

static void loader__refuses_what_breaks_the_abi(void **state)
{
    static const struct {
        const char *name, *why;
    } bad[] = {
        {"bad_default.so", ": action \"bad\": the default of param \"n\" is no int"},
        {"bad_name.so", ": an action without a valid name"},
        {"duplicate_name.so", ": two actions named \"twice\""},
        {"isolated_spawns.so", ": action \"bad\": where 1 with flags 6 is unknown"},
        {"newer_minor.so", ": built for the newer plugin ABI 1.3, this is 1.2"},
        {"no_run.so", ": action \"bad\" has no run"},
        {"no_symbol.so", ": no millrace plugin: it has no mr_plugin_entry()"},
        {"null_entry.so", ": mr_plugin_entry() returned nothing"},
        {"other_major.so", ": built for plugin ABI 2.0, this is 1.2"},
        {"short_action.so", ": an action's table has "},
        {"short_struct.so", ": its table has "},
        {"wrong_magic.so", ": no millrace plugin: magic 0x12345678, not 0x4d524143"},
    };
    mr_error error;
    assert_int_equal(mr__plugin_load_folder(built(""), on_found, NULL, NULL, &error), MR_OK);
    assert_int_equal(found_count, MR__COUNT(bad));
    for (uint32_t i = 0; i < MR__COUNT(bad); i++) {
        assert_string_equal(strrchr(found[i].file, '/') + 1, bad[i].name); /* by name */
        const mr_error *refusal = refusal_of(bad[i].name);
        assert_int_equal(refusal->status, MR_EABI);
        if (strstr(refusal->message, bad[i].why) == NULL) {
            fail_msg("%s", refusal->message);
        }
    }
}

static void loader__takes_structs_that_have_grown(void **state)
{
    mr_error error;
    assert_int_equal(mr__plugin_load_folder(built("/good"), on_found, NULL, NULL, &error), MR_OK);
    assert_int_equal(found_count, 1);
    assert_non_null(found[0].plugin);
    assert_string_equal(found[0].plugin->name, "wide");
    /* The same file once more is the same object. */
    assert_int_equal(mr__plugin_load_folder(built("/good"), on_found, NULL, NULL, &error), MR_OK);
    assert_ptr_equal(found[0].plugin, found[1].plugin);
}

static void loader__never_takes_one_file_for_another(void **state)
{
    /* The descriptors of these loads have the same number each time. */
    char source[1024];
    mr_error error;
    (void)snprintf(source, sizeof source, "%s", built("/good/wide_rows.so"));
    copy(source, "a.so", 0644);
    assert_int_equal(mr__plugin_load_folder(folder, on_found, NULL, NULL, &error), MR_OK);
    (void)snprintf(source, sizeof source, "%s", built("/same/same_action.so"));
    copy(source, "b.so", 0644);
    assert_int_equal(mr__plugin_load_folder(folder, on_found, NULL, NULL, &error), MR_OK);
    assert_int_equal(found_count, 3);
    assert_string_equal(found[0].plugin->name, "wide");
    assert_string_equal(found[1].plugin->name, "wide");
    assert_string_equal(found[2].plugin->name, "same");
}

static void loader__refuses_places_that_others_may_write(void **state)
{
    char source[1024], path[128];
    mr_error error;
    (void)snprintf(source, sizeof source, "%s", built("/good/wide_rows.so"));
    copy(source, "open.so", 0666);
    copy(source, "text.so", 0644);
    (void)snprintf(path, sizeof path, "%s/text.so", folder);
    FILE *text = fopen(path, "w");
    assert_non_null(text);
    (void)fputs("no object at all", text);
    (void)fclose(text);
    (void)snprintf(path, sizeof path, "%s/pipe.so", folder);
    assert_int_equal(mkfifo(path, 0644), 0);
    (void)snprintf(path, sizeof path, "%s/folder.so", folder);
    assert_int_equal(mkdir(path, 0755), 0);
    (void)snprintf(path, sizeof path, "%s/dangling.so", folder);
    assert_int_equal(symlink("nowhere", path), 0);
    (void)snprintf(path, sizeof path, "%s/.so", folder);
    (void)close(open(path, O_CREAT | O_WRONLY, 0644)); /* no plugin's name */
    assert_int_equal(mr__plugin_load_folder(folder, on_found, NULL, NULL, &error), MR_OK);
    assert_int_equal(found_count, 5);
    assert_int_equal(refusal_of("open.so")->status, MR_EPERM);
    assert_non_null(strstr(refusal_of("open.so")->message, "others may write to it"));
    assert_int_equal(refusal_of("pipe.so")->status, MR_EPERM);
    assert_int_equal(refusal_of("folder.so")->status, MR_EPERM);
    assert_int_equal(refusal_of("text.so")->status, MR_EABI);
    assert_int_equal(refusal_of("dangling.so")->status, MR_ENOTFOUND);
    assert_int_equal(chmod(folder, 0777), 0);
    assert_int_equal(mr__plugin_load_folder(folder, on_found, NULL, NULL, &error), MR_EPERM);
    assert_int_equal(found_count, 5);
    assert_int_equal(mr__plugin_load_folder("/no/such/folder", on_found, NULL, NULL, &error),
                     MR_ENOTFOUND);
}

static void loader__refuses_a_link_into_an_open_folder(void **state)
{
    char source[1024], inside[128], link[128];
    mr_error error;
    (void)snprintf(source, sizeof source, "%s", built("/good/wide_rows.so"));
    (void)snprintf(inside, sizeof inside, "%s/open", folder);
    assert_int_equal(mkdir(inside, 0755), 0);
    copy(source, "open/real.so", 0644);
    (void)snprintf(link, sizeof link, "%s/link.so", folder);
    assert_int_equal(symlink("open/real.so", link), 0);
    assert_int_equal(mr__plugin_load_folder(folder, on_found, NULL, NULL, &error), MR_OK);
    assert_int_equal(found_count, 1);
    assert_non_null(found[0].plugin);
    assert_int_equal(chmod(inside, 0777), 0);
    assert_int_equal(mr__plugin_load_folder(folder, on_found, NULL, NULL, &error), MR_OK);
    assert_int_equal(found_count, 2);
    assert_null(found[1].plugin);
    assert_int_equal(found[1].refusal.status, MR_EPERM);
}

static void loader__stops_when_told(void **state)
{
    mr_error error;
    assert_int_equal(mr__plugin_load_folder(built(""), on_found, NULL, &error, &error),
                     MR_ECANCELED);
    assert_int_equal(found_count, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(loader__refuses_what_breaks_the_abi),
        TEST(loader__takes_structs_that_have_grown),
        TEST(loader__never_takes_one_file_for_another),
        TEST(loader__refuses_places_that_others_may_write),
        TEST(loader__refuses_a_link_into_an_open_folder),
        TEST(loader__stops_when_told),
    };
    return cmocka_run_group_tests_name("plugin_load", tests, NULL, NULL);
}
