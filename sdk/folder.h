/* SPDX-License-Identifier: MIT
 *
 * The store's folder as a place that processes meet in: found or made, checked, locked, and with a
 * socket in it. DIR/lock is held (flock) by the owner for its life and has its pid in it; DIR/sock
 * is bound by the holder of the lock alone. What else lies in the folder is the store's own.
 *
 * No thread of its own; one thread at a time per struct. Every descriptor is close-on-exec.
 */
#ifndef MR__FOLDER_H
#define MR__FOLDER_H

#include "core/base/base.h"

struct mr__folder {
    char *path;  /* absolute and real, owned */
    int dir_fd;  /* the folder itself: it stays the same one if its name is given to another */
    int lock_fd; /* -1: the lock is not ours */
};

/* Finds the folder (NULL: the default place), makes it with its parents (0700) if `make`, and
 * checks that nobody else owns it or may write to it. MR_ENOTFOUND (only without `make`),
 * MR_ESTORE, MR_ENOMEM. On failure there is nothing to close. */
mr_status mr__folder_open(const char *store, bool make, struct mr__folder *ret_folder,
                          mr_error *reterr);
/* Lets go of the lock too, and unlinks the socket if the lock was ours. */
void mr__folder_close(struct mr__folder *folder);

/* Takes the lock. MR_EBUSY: another handle has it; `ret_pid` says which process, 0: unknown. */
mr_status mr__folder_lock(struct mr__folder *folder, int64_t *ret_pid, mr_error *reterr);
/* Unlinks the socket and lets go. */
void mr__folder_unlock(struct mr__folder *folder);
/* Whether somebody holds the lock now, without taking it: MR_EBUSY or MR_OK. */
mr_status mr__folder_probe(struct mr__folder *folder, int64_t *ret_pid, mr_error *reterr);

/* Makes the socket (0600) in place of any old one, listening. Only while the lock is ours. */
mr_status mr__folder_listen(struct mr__folder *folder, int *ret_fd, mr_error *reterr);
/* Connects to the owner, after checks of the socket and of the peer. MR_EBUSY: nobody listens there
 * yet, try again. MR_EPERM: it is not to be trusted. The descriptor does not block. */
mr_status mr__folder_connect(struct mr__folder *folder, int *ret_fd, mr_error *reterr);

#endif
