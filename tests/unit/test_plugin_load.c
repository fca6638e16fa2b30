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
        {"bad_param.so", ": action \"bad\": param 1 has no valid name, type or flags"},
        {"duplicate_name.so", ": two actions named \"twice\""},
        {"isolated_spawns.so", ": action \"bad\": where 1 with flags 6 is unknown"},
        {"many_actions.so", ": more than 1024 actions"},
        {"many_params.so", ": action \"bad\": param 1025 has no valid name, type or flags"},
        {"newer_minor.so", ": built for the newer plugin ABI 1.3, this is 1.2"},
        {"no_name.so", ": its table lacks a name, version or actions, or has unknown flags"},
        {"no_run.so", ": action \"bad\" has no run"},
        {"no_symbol.so", ": no millrace plugin: it has no mr_plugin_entry()"},
        {"null_entry.so", ": mr_plugin_entry() returned nothing"},
        {"other_major.so", ": built for plugin ABI 2.0, this is 1.2"},
        {"short_action.so", ": an action's table has "},
        {"short_row.so", ": action \"bad\": a param's row has "},
        {"short_struct.so", ": its table has "},
        {"twice_param.so", ": action \"bad\": two params named \"n\""},
        {"undefined.so", ": cannot be loaded: undefined symbol: nobody_has_this"},
        {"unknown_flags.so", ": its table lacks a name, version or actions, or has unknown flags"},
        {"unknown_where.so", ": action \"bad\": where 2 with flags 0 is unknown"},
        {"worker_spawns.so", ": action \"bad\": where 0 with flags 2 is unknown"},
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

/* An object of another machine, and an executable. */
static void loader__refuses_objects_that_are_none(void **state)
{
    static const unsigned char other_machine[2] = {0, 0xf3}; /* big-endian 243: not this one's */
    char source[1024], path[128];
    mr_error error;
    (void)snprintf(source, sizeof source, "%s", built("/good/wide_rows.so"));
    copy(source, "machine.so", 0644);
    (void)snprintf(path, sizeof path, "%s/machine.so", folder);
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    assert_int_equal(fseek(file, 18, SEEK_SET), 0); /* e_machine of an ELF header */
    assert_int_equal(fwrite(other_machine, 1, 2, file), 2);
    (void)fclose(file);
    copy("/proc/self/exe", "program.so", 0755);
    assert_int_equal(mr__plugin_load_folder(folder, on_found, NULL, NULL, &error), MR_OK);
    assert_int_equal(found_count, 2);
    for (uint32_t i = 0; i < found_count; i++) {
        assert_null(found[i].plugin);
        assert_int_equal(found[i].refusal.status, MR_EABI);
        assert_non_null(strstr(found[i].refusal.message, ": cannot be loaded: "));
    }
}

/* The C library maps what the headers promise: a copy under way ended the process with SIGBUS. */
static void loader__survives_objects_that_were_cut(void **state)
{
    static const long lens[] = {0, 3, 63, 64, 200, 1000};
    char source[1024], path[128], name[32];
    struct stat whole;
    mr_error error;
    (void)snprintf(source, sizeof source, "%s", built("/good/wide_rows.so"));
    assert_int_equal(stat(source, &whole), 0);
    for (uint32_t i = 0; i < MR__COUNT(lens); i++) {
        (void)snprintf(name, sizeof name, "cut%u.so", i);
        copy(source, name, 0644);
        (void)snprintf(path, sizeof path, "%s/%s", folder, name);
        assert_true(lens[i] < whole.st_size);
        assert_int_equal(truncate(path, lens[i]), 0);
    }
    assert_int_equal(mr__plugin_load_folder(folder, on_found, NULL, NULL, &error), MR_OK);
    assert_int_equal(found_count, MR__COUNT(lens));
    for (uint32_t i = 0; i < found_count; i++) {
        assert_null(found[i].plugin);
        assert_int_equal(found[i].refusal.status, MR_EABI);
        assert_non_null(strstr(found[i].refusal.message, ": cannot be loaded: "));
    }
}

static void loader__takes_one_file(void **state)
{
    char source[1024], path[128];
    mr_error error;
    (void)snprintf(source, sizeof source, "%s", built("/good/wide_rows.so"));
    assert_int_equal(mr__plugin_load_file(source, on_found, NULL, NULL, &error), MR_OK);
    assert_int_equal(found_count, 1);
    assert_non_null(found[0].plugin);
    assert_string_equal(found[0].file, source);
    copy(source, "open.so", 0666);
    (void)snprintf(path, sizeof path, "%s/open.so", folder);
    assert_int_equal(mr__plugin_load_file(path, on_found, NULL, NULL, &error), MR_OK);
    assert_int_equal(refusal_of("open.so")->status, MR_EPERM);
    (void)snprintf(path, sizeof path, "%s/not-there.so", folder);
    assert_int_equal(mr__plugin_load_file(path, on_found, NULL, NULL, &error), MR_OK);
    assert_int_equal(refusal_of("not-there.so")->status, MR_ENOTFOUND);
    assert_int_equal(mr__plugin_load_file("/no/such/folder/a.so", on_found, NULL, NULL, &error),
                     MR_ENOTFOUND);
    assert_int_equal(mr__plugin_load_file("no-folder.so", on_found, NULL, &error, &error),
                     MR_ECANCELED);
}

/* Plugins of released minors are shorter than today's table. */
static void loader__takes_plugins_of_every_released_minor(void **state)
{
    mr_error error;
    assert_int_equal(mr__plugin_load_folder(built("/v1_0"), on_found, NULL, NULL, &error), MR_OK);
    assert_int_equal(mr__plugin_load_folder(built("/v1_1"), on_found, NULL, NULL, &error), MR_OK);
    for (uint32_t i = 0; i < found_count; i++) {
        assert_non_null(found[i].plugin);
        assert_true(found[i].plugin->size < sizeof(mr_plugin));
    }
    assert_int_equal(found_count, 3);
    assert_int_equal(found[0].plugin->abi_minor, 0);
    assert_int_equal(found[1].plugin->abi_minor, 0);
    assert_int_equal(found[2].plugin->abi_minor, 1);
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
        TEST(loader__refuses_objects_that_are_none),
        TEST(loader__survives_objects_that_were_cut),
        TEST(loader__takes_one_file),
        TEST(loader__takes_plugins_of_every_released_minor),
        TEST(loader__stops_when_told),
    };
    return cmocka_run_group_tests_name("plugin_load", tests, NULL, NULL);
}
