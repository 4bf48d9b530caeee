/* SPDX-License-Identifier: Apache-2.0
 *
 * How large a sum of products of codes can get. Sums that stay within 2^24 are exact in float32 in
 * any order, because every partial sum stays within the same bounds: an input code may always be 0
 * (padding), so leaving terms out is one of the cases. */
#ifndef NB_QUANT_BOUND_H
#define NB_QUANT_BOUND_H

#include "quant/grid.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Least and largest value; always min <= 0 <= max. */
typedef struct NbRange {
    int64_t min;
    int64_t max;
} NbRange;

/* Of the codes of a grid, 0 included. */
NbRange nb_range_of_grid(NbGrid grid);

/* Of sums of `fan_in` products x * w with any codes of those ranges; saturates at INT64_MAX. */
NbRange nb_range_of_products(NbRange x, NbRange w, int64_t fan_in);

/* Of sums with these weight codes (integers held in float32, or int8) and any x of the range. */
NbRange nb_range_of_row(NbRange x, const float *w, size_t n);
NbRange nb_range_of_row_i8(NbRange x, const int8_t *w, size_t n);

/* The larger of -min and max. */
int64_t nb_range_size(NbRange r);

static inline bool nb_range_fits_f32(NbRange r) { return nb_range_size(r) <= (1 << 24); }
static inline bool nb_range_fits_i32(NbRange r) { return nb_range_size(r) <= INT32_MAX; }

#endif
