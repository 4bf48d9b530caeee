/* SPDX-License-Identifier: Apache-2.0
 *
 * Thresholds and zero points found by trying: the smallest sum of squared errors on a grid. */
#include "quant/statistics.h"

#include "quant/zero.h"

#include <float.h>
#include <math.h>

enum { BLOCK = 512 };

static double squared_error(const NbQuantSpec *spec, const float *x, size_t n, float scale,
                            float zero) {
    double sum = 0.0;
    float y[BLOCK];
    for (size_t at = 0; at < n; at += BLOCK) {
        const size_t m = n - at < BLOCK ? n - at : BLOCK;
        nb_quant_codes(spec, x + at, 1, m, &scale, &zero, y);
        nb_quant_values(y, 1, m, &scale, &zero, y);
        for (size_t i = 0; i < m; i++) {
            const float off = x[at + i] - y[i];
            sum += (double)off * (double)off;
        }
    }
    return sum;
}

static float scale_of(const NbQuantSpec *spec, float threshold) {
    const float bounded = nb_quant_bound(threshold, spec->scale_min);
    const float value = nb_quant_value_of(spec, bounded);
    const float s = nb_quant_threshold_of(spec, value) / nb_quant_int_threshold(spec);
    return s < FLT_MIN ? FLT_MIN : s;
}

float nb_stat_mse_threshold(const NbQuantSpec *spec, const float *x, size_t n, NbMseGrid grid) {
    const NbInterval ends = nb_stat_interval(x, n, 0.0, 100.0);
    const float start = grid.shifted ? fabsf(ends.high - ends.low) : nb_stat_max(x, n);
    const float base = start / (float)grid.steps;
    float best = base;
    double least = HUGE_VAL;
    for (int i = 2; i <= grid.steps; i++) {
        const float candidate = base * (float)i;
        const float scale = scale_of(spec, candidate);
        const float zero = grid.shifted ? nb_zero_point(spec, ends.low, scale) : 0.0F;
        const double loss = squared_error(spec, x, n, scale, zero);
        if (loss < least) {
            least = loss;
            best = candidate;
        }
    }
    return best;
}

float nb_stat_mse_low(const NbQuantSpec *spec, const float *x, size_t n, float scale, int steps) {
    const float base = nb_stat_interval(x, n, 0.0, 100.0).low / (float)steps;
    float best = base;
    double least = HUGE_VAL;
    for (int i = 2; i <= steps; i++) {
        const float candidate = base * (float)i;
        const double loss = squared_error(spec, x, n, scale, nb_zero_point(spec, candidate, scale));
        if (loss < least) {
            least = loss;
            best = candidate;
        }
    }
    return best;
}
