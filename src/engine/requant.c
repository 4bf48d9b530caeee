/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/requant.h"

enum { MOST_SHIFT_32 = 30, MOST_SHIFT_64 = 50, MOST_MUL_BITS = 30 };

/* What is asked for. Thresholds at or below `min` are always reached, those above `max` never. */
typedef struct Steps {
    const int32_t *threshold;
    int levels;
    int64_t min;
    int64_t max;
} Steps;

/* The values of `add` for which every threshold is where it should be; false: there is none. */
static bool find_add(const Steps *s, int64_t mul, int shift, int64_t *add) {
    int64_t low = INT64_MIN;
    int64_t high = INT64_MAX;
    for (int j = 1; j <= s->levels; j++) {
        const int64_t t = s->threshold[j - 1];
        const int64_t goal = (int64_t)j << shift;
        if (t <= s->max) { /* reached at t */
            const int64_t at_least = goal - (t < s->min ? s->min : t) * mul;
            low = at_least > low ? at_least : low;
        }
        if (t > s->min) { /* not reached just before */
            const int64_t at_most = goal - 1 - (t > s->max ? s->max : t - 1) * mul;
            high = at_most < high ? at_most : high;
        }
    }
    if (low > high)
        return false;
    /* Any value will do; the one nearest to 0 is the least likely to leave the word. */
    *add = low > 0 ? low : high < 0 ? high : 0;
    return true;
}

static bool fits(const Steps *s, int64_t mul, int64_t add, int bits) {
    if (bits == 64)
        return true; /* by the limits of shift and mul */
    return s->min * mul + add >= INT32_MIN && s->max * mul + add <= INT32_MAX;
}

/* Levels per sum, as a fraction, between the outermost thresholds that can be met. */
static void find_slope(const Steps *s, int64_t *rise, int64_t *run) {
    int first = 0;
    int last = 0;
    for (int j = 1; j <= s->levels; j++) {
        const int64_t t = s->threshold[j - 1];
        if (t > s->min && t <= s->max) {
            first = first ? first : j;
            last = j;
        }
    }
    *rise = 1;
    *run = s->max - s->min + 1;
    if (last > first) {
        *run = (int64_t)s->threshold[last - 1] - s->threshold[first - 1];
        *rise = *run > 0 ? last - first : s->levels + 1;
        *run = *run > 0 ? *run : 1;
    }
}

bool nb_requant_find(const int32_t *threshold, int levels, int64_t min, int64_t max, int bits,
                     NbRequant *out) {
    const Steps s = {.threshold = threshold, .levels = levels, .min = min, .max = max};
    int64_t rise = 1;
    int64_t run = 1;
    find_slope(&s, &rise, &run);
    for (int shift = bits == 32 ? MOST_SHIFT_32 : MOST_SHIFT_64; shift >= 0; shift--) {
        const int64_t down = (rise << shift) / run;
        for (int64_t mul = down; mul <= down + 1; mul++) {
            int64_t add = 0;
            if (mul >= (int64_t)1 << MOST_MUL_BITS || !find_add(&s, mul, shift, &add) ||
                !fits(&s, mul, add, bits))
                continue;
            *out = (NbRequant){.mul = (int32_t)mul, .add = add, .shift = shift};
            return true;
        }
    }
    return false;
}
