/* SPDX-License-Identifier: MIT
 *
 * Files that are named on the command line, read whole.
 */
#ifndef MR__FILES_H
#define MR__FILES_H

#include "sdk/cli/session.h"

/* Reads `path`, or standard input for "-". Returns an exit code; an error has been printed, except
 * that with `ret_missing` what is not there, or no file, is MR__EXIT_NOT_FOUND and why (static). */
int mr__files_read(struct mr__cli *cli, const char *path, const char **ret_missing,
                   struct mr__text *text);
/* What it is called in errors. */
const char *mr__files_name(const char *path);
/* Whether a dag file can be sent: what JSON cannot carry, or is too large, is refused by the parser
 * itself, which says where it stands. False: `failure` is as if the owner had refused it, its text
 * in `answer`. */
bool mr__files_sendable(struct mr__cli *cli, const char *path, const struct mr__text *file,
                        struct mr__text *answer, struct mr__failure *failure);
/* The folder that a file stands in, absolute, into `folder`; of "-" the current one. Returns an
 * exit code; an error has been printed. */
int mr__files_folder(struct mr__cli *cli, const char *path, struct mr__text *folder);
/* Whether the path's last part is a name of its own, not "." or "..". */
bool mr__files_has_name(const char *path);
/* The path from the root of something whose folder is there, into `absolute`; its last part stays
 * as it is, whether it exists, is a link or neither. Returns an exit code; an error has been
 * printed. */
int mr__files_absolute(struct mr__cli *cli, const char *path, struct mr__text *absolute);
/* Whether a word of `run` is a file, not a dag of the store (contract.md). */
bool mr__files_is_file(const char *word);

#endif
