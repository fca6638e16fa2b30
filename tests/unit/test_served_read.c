/* SPDX-License-Identifier: MIT
 *
 * Goal: of a served folder exactly the dag files and folders are seen, and nothing in it can hold
 * up or mislead the one who reads it. Method: a folder with one of each kind.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>

#include "core/engine/served_read.h"
#include "temp_store.h"

static char root[64];

static const char *in_root(const char *name)
{
    static char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s", root, name);
    return path;
}

static void write_file(const char *name, const char *text, size_t len)
{
    int fd = open(in_root(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, len), len);
    assert_int_equal(close(fd), 0);
}

static int make_root(void **state)
{
    temp_store_make(root);
    return 0;
}

static int remove_root(void **state)
{
    temp_store_remove(root);
    return 0;
}

/* ---- names and folders -------------------------------------------------------------------------
 */

static void scan__knows_dag_files_by_their_names(void **state)
{
    static const char *const files[] = {"a.yaml", "a.yml", "a.json", "a.b.yaml", "-.yml"};
    static const char *const others[] = {"a.txt",   ".yaml",  ".a.yaml", "yaml",
                                         "a.yaml~", "a.YAML", ""};
    for (size_t i = 0; i < MR__COUNT(files); i++) {
        assert_true(mr__scan_is_dag_file(files[i]));
    }
    for (size_t i = 0; i < MR__COUNT(others); i++) {
        assert_false(mr__scan_is_dag_file(others[i]));
    }
}

static const struct mr__scan_entry *entry_of(const struct mr__scan *scan, const char *name)
{
    for (size_t i = 0; i < scan->count; i++) {
        if (strcmp(scan->entries[i].path, in_root(name)) == 0) {
            return &scan->entries[i];
        }
    }
    return NULL;
}

static void scan__sees_files_links_and_folders(void **state)
{
    struct mr__scan scan;
    write_file("a.yaml", "12345", 5);
    write_file("notes.txt", "", 0);
    write_file(".hidden.yaml", "", 0);
    assert_int_equal(mkdir(in_root("sub"), 0700), 0);
    assert_int_equal(mkdir(in_root(".git"), 0700), 0);
    assert_int_equal(mkdir(in_root("folder.yaml"), 0700), 0);
    assert_int_equal(mkfifo(in_root("pipe.yaml"), 0600), 0);
    assert_int_equal(symlink("a.yaml", in_root("link.yaml")), 0);
    assert_int_equal(symlink(".", in_root("circle")), 0);
    assert_int_equal(symlink("nowhere", in_root("broken.yaml")), 0);
    mr__scan_folder(root, &scan);
    assert_int_equal(scan.error, 0);
    assert_int_equal(scan.count, 4);
    assert_int_equal(entry_of(&scan, "a.yaml")->stamp.bytes, 5);
    assert_int_equal(entry_of(&scan, "link.yaml")->stamp.bytes, 5);
    assert_false(entry_of(&scan, "link.yaml")->is_folder);
    assert_true(entry_of(&scan, "sub")->is_folder);
    assert_true(entry_of(&scan, "folder.yaml")->is_folder);
    mr__scan_finish(&scan);
}

static void scan__says_why_there_is_none(void **state)
{
    struct mr__scan scan;
    mr__scan_folder(in_root("nowhere"), &scan);
    assert_int_equal(scan.error, ENOENT);
    mr__scan_finish(&scan);
    mr__scan_folder(in_root("a.yaml"), &scan);
    assert_int_equal(scan.error, ENOTDIR);
    mr__scan_finish(&scan);
}

/* ---- files -------------------------------------------------------------------------------------
 */

static int read_file(const char *name, size_t *ret_len)
{
    struct mr__buf text;
    struct mr__file_stamp stamp;
    mr__buf_init(&text);
    int error = mr__scan_read_file(in_root(name), &text, &stamp);
    *ret_len = text.len;
    if (error == 0) {
        assert_true(stamp.inode != 0);
    }
    mr__buf_finish(&text);
    return error;
}

static void read__gives_a_whole_file(void **state)
{
    size_t len;
    char *large = calloc(1, 1000000);
    assert_non_null(large);
    write_file("large.yaml", large, 1000000);
    free(large);
    write_file("empty.yaml", "", 0);
    assert_int_equal(read_file("large.yaml", &len), 0);
    assert_int_equal(len, 1000000);
    assert_int_equal(read_file("empty.yaml", &len), 0);
    assert_int_equal(len, 0);
}

static void read__stops_past_the_limit(void **state)
{
    size_t len;
    write_file("huge.yaml", "", 0);
    assert_int_equal(truncate(in_root("huge.yaml"), INT64_C(10) << 30), 0);
    assert_int_equal(read_file("huge.yaml", &len), 0);
    assert_true(len > MR__DAG_FILE_BYTES_MAX && len < MR__DAG_FILE_BYTES_MAX + (1u << 20));
}

static void read__refuses_what_is_no_file(void **state)
{
    size_t len;
    assert_int_equal(read_file("nowhere.yaml", &len), ENOENT);
    assert_int_equal(read_file("folder.yaml", &len), EISDIR);
    assert_int_equal(read_file("pipe.yaml", &len), EINVAL); /* and does not wait for a writer */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scan__knows_dag_files_by_their_names),
        cmocka_unit_test(scan__sees_files_links_and_folders),
        cmocka_unit_test(scan__says_why_there_is_none),
        cmocka_unit_test(read__gives_a_whole_file),
        cmocka_unit_test(read__stops_past_the_limit),
        cmocka_unit_test(read__refuses_what_is_no_file),
    };
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
