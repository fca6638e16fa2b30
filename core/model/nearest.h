/* SPDX-License-Identifier: MIT
 *
 * Did you mean: the nearest of many words, within a distance that grows with the word.
 */
#ifndef MR__NEAREST_H
#define MR__NEAREST_H

#include "core/base/base.h"

/* Steps of comparison that one file's suggestions may cost together: many unknown names among many
 * tasks must not make its check slow. */
#define MR__NEAREST_BUDGET UINT64_C(50000000)

struct mr__nearest {
    const char *word;
    size_t word_len;
    uint64_t *budget; /* what is left of it, or NULL: no limit */
    unsigned distance_max;
    const char *found; /* the nearest so far, or NULL; borrowed */
    uint64_t number;   /* what was given with it */
};

void mr__nearest_init(struct mr__nearest *nearest, const char *word, uint64_t *budget);
/* Looks at one more word; of equally near ones the first stays. */
void mr__nearest_try(struct mr__nearest *nearest, const char *candidate, uint64_t number);

#endif
