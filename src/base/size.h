/* SPDX-License-Identifier: Apache-2.0
 *
 * Sizes that come from outside: every product and sum is checked. */
#ifndef NB_BASE_SIZE_H
#define NB_BASE_SIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* *out = a * b (or a + b); false when it does not fit, *out is then unspecified. */
static inline bool nb_mul_size(size_t a, size_t b, size_t *out) {
    return !__builtin_mul_overflow(a, b, out);
}

static inline bool nb_add_size(size_t a, size_t b, size_t *out) {
    return !__builtin_add_overflow(a, b, out);
}

static inline int64_t nb_min_i64(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t nb_max_i64(int64_t a, int64_t b) { return a > b ? a : b; }

/* ceil(a / b) for a >= 0, b > 0. */
static inline int64_t nb_ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

#endif
