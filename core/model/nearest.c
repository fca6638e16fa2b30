/* SPDX-License-Identifier: MIT
 *
 * Did you mean. Pure, any thread.
 */
#include "core/model/nearest.h"

void mr__nearest_init(struct mr__nearest *nearest, const char *word, uint64_t *budget)
{
    size_t len = strlen(word);
    *nearest = (struct mr__nearest){.word = word, .word_len = len, .budget = budget};
    nearest->distance_max = len <= 1 ? 0 : len <= 3 ? 1 : len <= 7 ? 2 : 3;
}

/* Two neighbours in the wrong order, the commonest slip of all, count as one change. */
static bool is_swap(const char *a, const char *b, size_t len)
{
    size_t i = 0;
    while (i < len && a[i] == b[i]) {
        i++;
    }
    return i + 2 <= len && a[i] == b[i + 1] && a[i + 1] == b[i] &&
           memcmp(a + i + 2, b + i + 2, len - i - 2) == 0;
}

void mr__nearest_try(struct mr__nearest *nearest, const char *candidate, uint64_t number)
{
    size_t len = strlen(candidate);
    size_t apart = len > nearest->word_len ? len - nearest->word_len : nearest->word_len - len;
    if (nearest->distance_max == 0 || apart > nearest->distance_max) {
        return;
    }
    uint64_t cost = (uint64_t)len * nearest->word_len;
    if (nearest->budget != NULL) {
        if (*nearest->budget < cost) {
            return;
        }
        *nearest->budget -= cost;
    }
    unsigned distance = mr__edit_distance(nearest->word, candidate, nearest->distance_max);
    if (apart == 0 && distance > 1 && is_swap(nearest->word, candidate, len)) {
        distance = 1;
    }
    if (distance <= nearest->distance_max) {
        nearest->found = candidate;
        nearest->number = number;
        nearest->distance_max =
            distance == 0 ? 0 : distance - 1; /* only a nearer one from here on */
    }
}
