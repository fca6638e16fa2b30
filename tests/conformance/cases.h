/* SPDX-License-Identifier: MIT
 *
 * The conformance cases: YAML files, each a list of cases, read with the project's own reader. What
 * a case may say is in README.md; a key that nobody reads is an error, so that no expectation can
 * be misspelt into silence.
 *
 * cases.c reads the files and plays a case in a world; expect.c holds what has become of it against
 * what the case expects.
 */
#ifndef MR__CONFORMANCE_CASES_H
#define MR__CONFORMANCE_CASES_H

#include "tests/conformance/world.h"

#define CASES_MAX 512

struct one_case {
    const char *file, *name;
    const mr_value *value; /* a map */
};

struct cases {
    struct mr__arena arena;
    struct one_case list[CASES_MAX];
    size_t count;
};

void cases_load(struct cases *cases, const char *folder);
void cases_free(struct cases *cases);

/* Plays a case from its beginning to its end. `folder`: of the LMDB store, or NULL. Returns how
 * many commits were made. */
uint64_t case_play(const struct one_case *one, const char *folder, struct world_crash crash);
/* Whether the engine may be killed at any of its commits. */
bool case_may_crash(const struct one_case *one);

/* ---- expectations (expect.c) ---------------------------------------------------------------- */

/* Where `a crash` is the variant of the case, attempts may be repeated, and calls and traces are
 * not looked at. False: `problem` says what is not as expected. */
bool expect_state(struct world *w, const mr_value *expected, bool crashes, struct mr__buf *problem);
bool expect_calls(struct world *w, const mr_value *expected, struct mr__buf *problem);
/* What the parser has found: of errors, or of warnings, exactly these. */
bool expect_problems(const struct mr__problems *problems, bool warnings, const mr_value *expected,
                     struct mr__buf *problem);
/* What the parser has read. */
bool expect_model(const struct mr__dag *dag, const mr_value *expected, struct mr__buf *problem);
/* "..." at either end of the expected text stands for anything. */
bool expect_text(const char *found, const char *expected);

#endif
