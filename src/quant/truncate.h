/* SPDX-License-Identifier: Apache-2.0
 *
 * Truncation of wide codes to narrow ones by dropping low bits, and quantized average pooling,
 * which is a sum of codes followed by a truncation:
 *
 *     t = 2^(in_bits - out_bits),  c = clamp(round(fl(q / t)), lo, hi)
 *     scale' = fl(scale * t),  zero' = fl(zero / t),  y = fl(fl(c - zero') * scale')
 *
 * Source: Brevitas 0.12.1, TruncIntQuant and TruncAvgPool2d. */
#ifndef NB_QUANT_TRUNCATE_H
#define NB_QUANT_TRUNCATE_H

#include "quant/grid.h"

#include <stddef.h>
#include <stdint.h>

typedef struct NbTruncate {
    int in_bits;
    NbGrid out;
    NbRound round;
} NbTruncate;

/* q [n] are integers held in float32; c [n] (may be q itself). Cannot fail. */
void nb_truncate_codes(const NbTruncate *spec, const float *q, size_t n, float *c);

float nb_truncate_scale(const NbTruncate *spec, float scale);
float nb_truncate_zero(const NbTruncate *spec, float zero);

/* Bits that hold the sum of `taps` codes of `bits` bits: ceil(log2((2^bits - 1) * taps)). */
int nb_truncate_sum_bits(int bits, int64_t taps);

/* Average pooling of codes, square kernel and stride `kernel`, NCHW planes: q [planes][h][w] to
 * c [planes][h / kernel][w / kernel]. spec->in_bits counts the bits of the sum. The scale of the
 * sum is scale / kernel^2; of c it is nb_truncate_scale of that. */
void nb_truncate_average(const NbTruncate *spec, const float *q, size_t planes, int64_t h,
                         int64_t w, int64_t kernel, float *c);

#endif
