/* SPDX-License-Identifier: Apache-2.0
 *
 * Bounds of integer sums. */
#include "quant/bound.h"

#include "base/size.h"

#include <assert.h>

static int64_t product(int64_t a, int64_t b) {
    int64_t out;
    if (!__builtin_mul_overflow(a, b, &out))
        return out;
    return (a < 0) == (b < 0) ? INT64_MAX : -INT64_MAX;
}

static int64_t sum(int64_t a, int64_t b) {
    int64_t out;
    if (!__builtin_add_overflow(a, b, &out))
        return out;
    return a < 0 ? -INT64_MAX : INT64_MAX;
}

static NbRange with_zero(NbRange r) {
    return (NbRange){.min = nb_min_i64(r.min, 0), .max = nb_max_i64(r.max, 0)};
}

NbRange nb_range_of_grid(NbGrid grid) {
    return with_zero((NbRange){.min = nb_grid_lo(grid), .max = nb_grid_hi(grid)});
}

NbRange nb_range_of_products(NbRange x, NbRange w, int64_t fan_in) {
    assert(fan_in >= 0);
    const NbRange a = with_zero(x);
    const NbRange b = with_zero(w);
    const int64_t most = nb_max_i64(product(a.min, b.min), product(a.max, b.max));
    const int64_t least = nb_min_i64(product(a.min, b.max), product(a.max, b.min));
    return (NbRange){.min = product(least, fan_in), .max = product(most, fan_in)};
}

static NbRange plus_weight(NbRange so_far, NbRange x, int64_t w) {
    const int64_t a = product(x.min, w);
    const int64_t b = product(x.max, w);
    return (NbRange){.min = sum(so_far.min, nb_min_i64(a, b)),
                     .max = sum(so_far.max, nb_max_i64(a, b))};
}

NbRange nb_range_of_row(NbRange x, const float *w, size_t n) {
    const NbRange codes = with_zero(x);
    NbRange r = {0, 0};
    for (size_t i = 0; i < n; i++)
        r = plus_weight(r, codes, (int64_t)w[i]);
    return r;
}

NbRange nb_range_of_row_i8(NbRange x, const int8_t *w, size_t n) {
    const NbRange codes = with_zero(x);
    NbRange r = {0, 0};
    for (size_t i = 0; i < n; i++)
        r = plus_weight(r, codes, w[i]);
    return r;
}

int64_t nb_range_size(NbRange r) {
    const int64_t below = r.min == INT64_MIN ? INT64_MAX : -r.min;
    return nb_max_i64(below, r.max);
}
