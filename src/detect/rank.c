/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/rank.h"

#include <string.h>

enum { DIGIT_BITS = 11, DIGITS = 3, BUCKETS = 1 << DIGIT_BITS, FEW = 48 };

/* A number that grows as the score falls, for every sign. */
static uint32_t falling_key(float score) {
    const float positive_zero = score + 0.0F;
    uint32_t bits;
    memcpy(&bits, &positive_zero, sizeof bits);
    return bits >> 31 ? bits : ~(bits | 0x80000000U);
}

static void insertion_sort(const float *score, size_t n, uint32_t *order) {
    for (size_t i = 0; i < n; i++) {
        size_t at = i;
        for (; at > 0 && score[order[at - 1]] < score[i]; at--)
            order[at] = order[at - 1];
        order[at] = (uint32_t)i;
    }
}

typedef struct Keyed {
    uint32_t key, index;
} Keyed;

static void sort_by_digit(const Keyed *from, Keyed *to, size_t n, int digit) {
    size_t start[BUCKETS] = {0};
    const int shift = digit * DIGIT_BITS;
    for (size_t i = 0; i < n; i++)
        start[from[i].key >> shift & (BUCKETS - 1)]++;
    size_t sum = 0;
    for (int b = 0; b < BUCKETS; b++) {
        const size_t count = start[b];
        start[b] = sum;
        sum += count;
    }
    for (size_t i = 0; i < n; i++)
        to[start[from[i].key >> shift & (BUCKETS - 1)]++] = from[i];
}

NbStatus nb_rank_scores(const float *score, size_t n, uint32_t *order, NbArena *scratch,
                        NbError *err) {
    if (n <= FEW) {
        insertion_sort(score, n, order);
        return NB_OK;
    }
    const NbArenaMark mark = nb_arena_mark(scratch);
    Keyed *a = NB_NEW(scratch, Keyed, n);
    Keyed *b = NB_NEW(scratch, Keyed, n);
    if (!a || !b)
        return nb_fail_memory(err, "ranking of scores");
    for (size_t i = 0; i < n; i++)
        a[i] = (Keyed){falling_key(score[i]), (uint32_t)i};
    for (int digit = 0; digit < DIGITS; digit++) {
        sort_by_digit(a, b, n, digit);
        Keyed *const t = a;
        a = b;
        b = t;
    }
    for (size_t i = 0; i < n; i++)
        order[i] = a[i].index;
    nb_arena_rewind(scratch, mark);
    return NB_OK;
}
