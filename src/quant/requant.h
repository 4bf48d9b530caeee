/* SPDX-License-Identifier: Apache-2.0
 *
 * Thresholds as one multiplication. With thresholds T_1 <= ... <= T_L of one channel,
 *
 *     number of T_j <= sum  =  clamp((sum * mul + add) >> shift, 0, L)
 *
 * holds for every sum in [min, max] if and only if each T_j that lies in there is the first sum
 * that reaches j * 2^shift, what is reached at min is reached by the formula, and what is not
 * reached at max is not. For a given shift these are lines that bound `add` from below and above;
 * the room between them is a concave function of mul, so cutting planes either find a pair that
 * satisfies all of them or show that there is none. */
#ifndef NB_QUANT_REQUANT_H
#define NB_QUANT_REQUANT_H

#include <stdbool.h>
#include <stdint.h>

enum { NB_REQUANT_LEVELS = 255 }; /* most thresholds: 8-bit codes */

typedef struct NbRequant {
    int32_t mul; /* >= 0 */
    int64_t add;
    int shift;
} NbRequant;

/* threshold [levels] ascending, levels in [0, NB_REQUANT_LEVELS]; INT32_MIN is always reached,
 * INT32_MAX never. min <= max, both within int32. bits: 32 (add and every sum * mul + add fit
 * int32, the product alone may wrap; shift <= 30) or 64 (all within 2^62; shift <= 50). The
 * smallest shift that works is taken: the smallest constants. False when there are none; *out is
 * then unspecified. */
bool nb_requant_solve(const int32_t *threshold, int levels, int64_t min, int64_t max, int bits,
                      NbRequant *out);

/* floor(value / 2^shift), for negative values too. */
static inline int64_t nb_requant_shift(int64_t value, int shift) {
    return value >= 0 ? value >> shift : ~(~value >> shift);
}

/* The right side of the equation above. */
static inline int32_t nb_requant_count(const NbRequant *r, int levels, int32_t sum) {
    const int64_t count = nb_requant_shift((int64_t)sum * r->mul + r->add, r->shift);
    return count < 0 ? 0 : count > levels ? levels : (int32_t)count;
}

#endif
