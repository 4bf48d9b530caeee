/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/near.h"

#include "base/size.h"

enum { MOST_SHIFT = 50, MOST_MUL_BITS = 30 };

typedef struct Steps {
    const int32_t *threshold;
    int levels;
    int always; /* the first so many are reached at min */
    int end;    /* those from here on are never reached */
    int64_t min;
    int64_t max;
} Steps;

/* The largest mul below 2^30 for the slope between the outermost thresholds, and its shift. */
static void choose_slope(const Steps *s, NbRequant *r) {
    const int64_t rise = s->end - s->always > 1 ? s->end - s->always - 1 : 1;
    const int64_t run = s->end - s->always > 1
                            ? (int64_t)s->threshold[s->end - 1] - s->threshold[s->always]
                            : s->max - s->min + 1;
    r->shift = MOST_SHIFT;
    while (r->shift > 0 && (rise << r->shift) / (run > 0 ? run : 1) >= (int64_t)1 << MOST_MUL_BITS)
        r->shift--;
    r->mul = (int32_t)((rise << r->shift) / (run > 0 ? run : 1));
}

/* The largest add for which k is never above the code. */
static int64_t largest_add(const Steps *s, const NbRequant *r) {
    /* with all levels reached, being above them is cut off */
    int64_t add =
        (((int64_t)s->end + 1) << r->shift) - 1 - (s->end < s->levels ? s->max : s->min) * r->mul;
    for (int j = s->always; j < s->end; j++) {
        const int64_t most =
            (((int64_t)j + 1) << r->shift) - 1 - ((int64_t)s->threshold[j] - 1) * r->mul;
        add = most < add ? most : add;
    }
    return add;
}

static Steps steps_of(const int32_t *threshold, int levels, int64_t min, int64_t max) {
    Steps s = {.threshold = threshold, .levels = levels, .min = min, .max = max};
    while (s.always < levels && threshold[s.always] <= min && threshold[s.always] != INT32_MAX)
        s.always++;
    s.end = s.always;
    while (s.end < levels && threshold[s.end] <= max && threshold[s.end] != INT32_MAX)
        s.end++;
    return s;
}

bool nb_near_solve(const int32_t *threshold, int levels, int64_t min, int64_t max, NbRequant *out) {
    const Steps s = steps_of(threshold, levels, min, max);
    choose_slope(&s, out);
    out->add = largest_add(&s, out);
    if (nb_requant_count(out, levels, (int32_t)min) < s.always - 1)
        return false;
    for (int j = s.always; j < s.end; j++)
        if (nb_requant_count(out, levels, threshold[j]) < j) /* the code is j + 1 there */
            return false;
    return true;
}

bool nb_near_table(const int32_t *threshold, int levels, NbRange sums, int rows, int stride,
                   uint8_t *base, NbRequant *out) {
    const Steps s = steps_of(threshold, levels, sums.min, sums.max);
    const int64_t first = s.end > s.always ? threshold[s.always] : 0;
    const int64_t run = s.end > s.always ? threshold[s.end - 1] - first + 1 : 1;
    out->shift = MOST_SHIFT;
    while (out->shift > 0 && ((int64_t)rows << out->shift) / run >= (int64_t)1 << MOST_MUL_BITS)
        out->shift--;
    out->mul = (int32_t)(((int64_t)rows << out->shift) / run);
    out->add = -first * out->mul;
    int code = s.always; /* thresholds reached at the first sum of the row */
    for (int row = 0; row < rows; row++) {
        base[(ptrdiff_t)row * stride] = (uint8_t)code;
        /* the first sum of the next row: (sum - first) * mul >= (row + 1) << shift */
        const int64_t next = first + nb_ceil_div((int64_t)(row + 1) << out->shift, out->mul);
        const int64_t last = row == rows - 1 ? sums.max : next - 1;
        int after = code;
        while (after < s.end && threshold[after] <= last)
            after++;
        if (after > code + 1)
            return false;
        code = after < s.end && threshold[after] == next ? after + 1 : after;
    }
    return true;
}
