/* SPDX-License-Identifier: Apache-2.0
 *
 * Zero points and the gradients that pass through them. */
#include "quant/zero.h"

#include "quant/statistics.h"

#include <float.h>
#include <math.h>

float nb_zero_point_real(const NbQuantSpec *spec, float low, float scale) {
    const float steps = fabsf(low) / scale;
    return steps + (float)nb_grid_lo(spec->grid);
}

static float rounded_zero(const NbQuantSpec *spec, float low, float scale) {
    return nb_round(spec->round, nb_zero_point_real(spec, low, scale));
}

float nb_zero_point(const NbQuantSpec *spec, float low, float scale) {
    const float lo = (float)nb_grid_lo(spec->grid);
    const float hi = (float)nb_grid_hi(spec->grid);
    float z = rounded_zero(spec, low, scale);
    z = z > hi ? hi : z;
    return z < lo ? lo : z;
}

bool nb_zero_point_is_free(const NbQuantSpec *spec, float low, float scale) {
    const float z = rounded_zero(spec, low, scale);
    return z >= (float)nb_grid_lo(spec->grid) && z <= (float)nb_grid_hi(spec->grid);
}

static float bounded_threshold(const NbQuantSpec *spec, NbInterval interval) {
    return nb_quant_bound(fabsf(interval.high - interval.low), spec->scale_min);
}

static float scale_of(const NbQuantSpec *spec, NbInterval interval) {
    const float value = nb_quant_value_of(spec, bounded_threshold(spec, interval));
    const float s = nb_quant_threshold_of(spec, value) / nb_quant_int_threshold(spec);
    return s < FLT_MIN ? FLT_MIN : s;
}

void nb_shifted_scale(const NbQuantSpec *spec, const float *x, size_t channels, size_t n,
                      bool rounded, float *scale, float *zero) {
    for (size_t c = 0; c < channels; c++) {
        const NbInterval interval = nb_stat_interval(x + c * n, n, 0.0, 100.0);
        scale[c] = scale_of(spec, interval);
        zero[c] = rounded ? nb_zero_point(spec, interval.low, scale[c])
                          : nb_zero_point_real(spec, interval.low, scale[c]);
    }
}

/* Adds d to the elements equal to `at`: the first one, or all of them, each an equal share. */
static void add_at(const float *x, size_t n, float at, bool first_only, double d, float *dx) {
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += x[i] == at;
    const double share = first_only ? d : d / (double)(count > 0 ? count : 1);
    for (size_t i = 0; i < n; i++) {
        if (x[i] != at)
            continue;
        dx[i] = (float)((double)dx[i] + share);
        if (first_only)
            return;
    }
}

static double domain_factor(const NbQuantSpec *spec, float threshold) {
    if (spec->restrict_to == NB_RESTRICT_FP)
        return 1.0;
    const float value = nb_quant_value_of(spec, threshold);
    return nb_quant_threshold_slope(spec, value) / (0.69314718055994530942 * (double)threshold);
}

static void shifted_row(const NbQuantSpec *spec, const float *x, size_t n, const float *g,
                        float *dx) {
    const NbInterval interval = nb_stat_interval(x, n, 0.0, 100.0);
    const float scale = scale_of(spec, interval);
    const float zero = nb_zero_point(spec, interval.low, scale);
    const NbQuantGrad grad = nb_quant_backward_row(spec, x, n, scale, zero, g, dx);
    double d_scale = grad.scale;
    double d_low = 0.0;
    if (nb_zero_point_is_free(spec, interval.low, scale)) {
        const double s = (double)scale;
        d_scale -= grad.zero * fabs((double)interval.low) / (s * s);
        d_low = interval.low < 0.0F ? -grad.zero / s : grad.zero / s;
    }
    const double d_threshold = d_scale / (double)nb_quant_int_threshold(spec) *
                               domain_factor(spec, bounded_threshold(spec, interval));
    const double up = interval.high > interval.low ? d_threshold : 0.0;
    add_at(x, n, interval.high, spec->per_channel, up, dx);
    const bool reaches_zero = interval.low < 0.0F || nb_stat_kth(x, n, 1, false) <= 0.0F;
    if (reaches_zero)
        add_at(x, n, interval.low, spec->per_channel, d_low - up, dx);
}

void nb_shifted_backward(const NbQuantSpec *spec, const float *x, size_t channels, size_t n,
                         const float *g, float *dx) {
    for (size_t c = 0; c < channels; c++)
        shifted_row(spec, x + c * n, n, g + c * n, dx + c * n);
}
