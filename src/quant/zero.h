/* SPDX-License-Identifier: Apache-2.0
 *
 * Shifted (asymmetric) quantizers: a zero point moves the codes so that the lower end of the
 * numbers meets the lowest code. The scale is made from max(x) - min(min(x), 0).
 * Source: Brevitas 0.12.1's Shifted... quantizers. */
#ifndef NB_QUANT_ZERO_H
#define NB_QUANT_ZERO_H

#include "quant/quantizer.h"

#include <stdbool.h>
#include <stddef.h>

/* z = clamp(round(|low| / scale + lo), lo, hi); low is a number <= 0 that shall meet the lowest
 * code. */
float nb_zero_point(const NbQuantSpec *spec, float low, float scale);

/* The same without rounding and clamp: |low| / scale + lo. */
float nb_zero_point_real(const NbQuantSpec *spec, float low, float scale);

/* Whether the clamp left that zero point alone: only then does its gradient reach low and scale. */
bool nb_zero_point_is_free(const NbQuantSpec *spec, float low, float scale);

/* Scale and zero point of each row from its minimum and maximum. spec->scale_from is not read.
 * x [channels][n], scale and zero [channels]; rounded false leaves the zero point real. */
void nb_shifted_scale(const NbQuantSpec *spec, const float *x, size_t channels, size_t n,
                      bool rounded, float *scale, float *zero);

/* Gradient of sum(g * y) with those scales and zero points; dx [channels][n] is WRITTEN. The
 * gradient of the scale goes to the maximum and, negated, to the minimum if that is <= 0 (ties: per
 * channel the first, per tensor shared). For the masked clamp the zero point's share is added. */
void nb_shifted_backward(const NbQuantSpec *spec, const float *x, size_t channels, size_t n,
                         const float *g, float *dx);

#endif
