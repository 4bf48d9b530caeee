/* SPDX-License-Identifier: Apache-2.0
 *
 * Thresholds as one multiplication: code = clamp((sum * mul + add) >> shift, 0, levels), where that
 * is proved to count the same thresholds for every sum that can occur.
 *
 * With thresholds T_1 <= ... <= T_L the two are equal for all sums in [min, max] if and only if,
 * for every j, T_j is the first sum of the range that reaches j * 2^shift. Each j bounds `add` from
 * both sides; a constant exists when the intervals meet. */
#ifndef NB_ENGINE_REQUANT_H
#define NB_ENGINE_REQUANT_H

#include <stdbool.h>
#include <stdint.h>

typedef struct NbRequant {
    int32_t mul; /* >= 0 */
    int64_t add;
    int shift;
} NbRequant;

/* threshold [levels], ascending, levels 1 to 255; min <= max, both within int32. bits: 32 (every
 * sum * mul + add fits int32, the product may wrap) or 64 (product and sum fit int64, shift is at
 * most 50). False when nothing was found; *out is then unspecified. */
bool nb_requant_find(const int32_t *threshold, int levels, int64_t min, int64_t max, int bits,
                     NbRequant *out);

#endif
