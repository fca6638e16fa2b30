/* SPDX-License-Identifier: MIT
 *
 * The messages between the engine and a host process (core/host), in which a plugin's action runs
 * apart: their kinds and their bytes. Pure; any thread.
 *
 * A message is a length (32 bits, little-endian), a kind, then numbers (zigzag varints) and texts
 * (a varint of the length and its NUL, then both; 0: absent), as many as its kind has. What is read
 * was written by a process that a plugin may have spoilt: nothing is believed but what is checked
 * here, and what it means is checked by whoever acts on it.
 */
#ifndef MR__WIRE_H
#define MR__WIRE_H

#include "core/base/buf.h"

#define MR__WIRE_VERSION     1
#define MR__WIRE_DESCRIPTOR  3   /* the host's end of the socket */
#define MR__WIRE_EXIT_CLOSED 125 /* of a host whose plugin has closed that */
#define MR__WIRE_NUMBERS_MAX 7u
#define MR__WIRE_TEXTS_MAX   9u

/* X(name, who sends it, numbers, texts). The order is the number on the wire. */
#define MR__WIRE_MAP(X)                                                          \
    X(HELLO, ENGINE, 3, 1)  /* version, memory, files; the plugin's file */      \
    X(START, ENGINE, 7, 9)  /* a phase of an attempt: enum mr__wire_start */     \
    X(CANCEL, ENGINE, 1, 0) /* why: MR_BY_USER, ... */                           \
    X(ANSWER, ENGINE, 3, 2) /* to CALL: its number, status, fence; value, why */ \
    X(LOCKED, ENGINE, 3, 0) /* a lock waited for: its number, status, fence */   \
    X(TRACE, HOST, 0, 1)    /* a line */                                         \
    X(LOG, HOST, 1, 1)      /* the stream; bytes */                              \
    X(LINE, HOST, 1, 1)     /* mr_logf: the level; a line */                     \
    X(PROGRESS, HOST, 1, 1) /* millionths, -1: not known; the note */            \
    X(HEARTBEAT, HOST, 0, 0)                                                     \
    X(CALL, HOST, 4, 2) /* number, enum mr__wire_call, ttl, wait; key, JSON */   \
    X(END, HOST, 3, 1)  /* of the phase: status, wait or -1, spoilt; why */

enum mr__wire_kind {
    MR__WIRE_NONE = 0,
#define MR__WIRE_KIND(name, sender, numbers, texts) MR__WIRE_##name,
    MR__WIRE_MAP(MR__WIRE_KIND)
#undef MR__WIRE_KIND
        MR__WIRE_KINDS
};

enum mr__wire_sender { MR__WIRE_FROM_ENGINE, MR__WIRE_FROM_HOST };

/* The numbers and texts of START. */
enum mr__wire_start {
    MR__START_PHASE = 0, /* enum mr__phase */
    MR__START_RETRY,     /* 1: retry_before comes first */
    MR__START_FRESH,     /* 1: another attempt begins; else the same goes on */
    MR__START_CPU_S,     /* what it may use of the processor; 0: any */
    MR__START_ATTEMPT,
    MR__START_STARTED_MS,
    MR__START_DEADLINE_MS
};
enum mr__wire_start_text {
    MR__START_ACTION = 0,
    MR__START_RUN,
    MR__START_DAG,
    MR__START_TASK,
    MR__START_KEY, /* for idempotency */
    MR__START_FOLDER,
    MR__START_STORE,
    MR__START_PARAMS, /* JSON; of a fresh attempt */
    MR__START_VARS
};

/* What a host asks for and waits for the answer of. */
enum mr__wire_call {
    MR__CALL_OUTPUT = 0, /* key or absent, JSON */
    MR__CALL_DETAIL,
    MR__CALL_SHARE_GET,  /* key */
    MR__CALL_SHARE_NEXT, /* key or absent */
    MR__CALL_SHARE_SET,  /* key, JSON or absent */
    MR__CALL_SHARE_FLUSH,
    MR__CALL_LOCK, /* key, ttl, wait */
    MR__CALL_LOCK_THEN,
    MR__CALL_LOCK_RENEW,
    MR__CALL_UNLOCK,
    MR__CALLS
};

struct mr__wire {
    enum mr__wire_kind kind;
    int64_t number[MR__WIRE_NUMBERS_MAX];
    struct mr__blob
        text[MR__WIRE_TEXTS_MAX]; /* NUL-terminated where it was read; data NULL: absent */
};

/* A text that ends in NUL, or NULL, as one of a message. */
struct mr__blob mr__wire_text(const char *text);

/* Adds a message. MR_ELIMIT: more than MR__WIRE_BYTES_MAX, nothing was added; MR_ENOMEM. */
mr_status mr__wire_write(struct mr__buf *out, const struct mr__wire *message);

/* Reads the message at the beginning of `bytes`, whose texts it borrows. MR_PENDING: it is not yet
 * all there; MR_EFORMAT: this is no message of that sender. */
mr_status mr__wire_read(const uint8_t *bytes, size_t len, enum mr__wire_sender sender,
                        struct mr__wire *ret_message, size_t *ret_used);

#endif
