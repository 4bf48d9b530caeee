/* SPDX-License-Identifier: Apache-2.0
 *
 * Bilinear resizing of quantized values, as Brevitas' QuantUpsample does it: interpolate, divide by
 * the scale, round to even, multiply. */
#ifndef NB_QUANT_BILINEAR_H
#define NB_QUANT_BILINEAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* x [planes][h][w] to y [planes][h * factor][w * factor]; float32 in PyTorch's order of operations
 * (rows of two taps, then two rows, half-pixel centres unless align_corners). */
void nb_bilinear_upsample(const float *x, size_t planes, int64_t h, int64_t w, int factor,
                          bool align_corners, float *y);

/* y[i] = rint(y[i] / scale) * scale. */
void nb_bilinear_requantize(float *y, size_t n, float scale);

#endif
