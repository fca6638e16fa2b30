/* SPDX-License-Identifier: MIT
 *
 * What is read of a served folder: which dag files and folders stand in it, and the text of a file.
 * On the store's reader thread, since a disk may take its time; no engine state is touched.
 */
#ifndef MR__SERVED_READ_H
#define MR__SERVED_READ_H

#include "core/base/buf.h"

/* What tells one state of a file from another. */
struct mr__file_stamp {
    int64_t modified_ns, changed_ns;
    uint64_t bytes, inode;
};

struct mr__scan_entry {
    char *path; /* owned */
    bool is_folder;
    struct mr__file_stamp stamp; /* of a file */
};
struct mr__scan {
    int error; /* errno of what failed, or 0 */
    struct mr__scan_entry *entries;
    size_t count, cap;
};

/* Lists a folder: files with the ending of a dag file, or links to such, and folders. What begins
 * with a dot is passed over, and so are links to folders, which may lead in circles. */
void mr__scan_folder(const char *path, struct mr__scan *ret_scan);
void mr__scan_finish(struct mr__scan *scan);

/* Whether a name is that of a dag file: .yaml, .yml or .json, and no dot in front. */
bool mr__scan_is_dag_file(const char *name);

/* Reads a whole file, at most one byte more than a dag file may have, so that the parser refuses
 * it. Returns an errno, or 0; EISDIR, EINVAL: it is no file. */
int mr__scan_read_file(const char *path, struct mr__buf *text, struct mr__file_stamp *ret_stamp);

#endif
