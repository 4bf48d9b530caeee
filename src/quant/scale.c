/* SPDX-License-Identifier: Apache-2.0
 *
 * From statistics and learned values to thresholds and scales. Logarithms and powers are taken in
 * double and rounded once, so that they do not depend on a libm's last float bit. */
#include "quant/quantizer.h"

#include "quant/statistics.h"

#include <assert.h>
#include <float.h>
#include <math.h>

static float log2_once(float x) { return (float)log2((double)x); }

static float exp2_once(float x) { return (float)exp2((double)x); }

static float integer_threshold(const NbQuantSpec *spec) {
    if (spec->kind != NB_QUANT_INT || spec->restrict_to == NB_RESTRICT_STEP)
        return 1.0F;
    const NbGrid grid = spec->grid;
    if (spec->restrict_to == NB_RESTRICT_POT)
        return (float)((int64_t)1 << (grid.is_signed ? grid.bits - 1 : grid.bits));
    const int64_t t = grid.is_signed ? -nb_grid_lo(grid) : nb_grid_hi(grid);
    return t > 0 ? (float)t : 1.0F;
}

float nb_quant_int_threshold(const NbQuantSpec *spec) {
    const float t = integer_threshold(spec);
    const bool by_log = spec->restrict_to == NB_RESTRICT_LOG_FP && spec->log_int_threshold;
    return by_log ? exp2_once(log2_once(t)) : t;
}

float nb_quant_bound(float x, float bound) {
    const float size = fabsf(x) < bound ? bound : fabsf(x);
    return x < 0.0F ? -size : size;
}

static bool is_linear(const NbQuantSpec *spec) {
    return spec->restrict_to == NB_RESTRICT_FP || spec->restrict_to == NB_RESTRICT_STEP;
}

float nb_quant_value_of(const NbQuantSpec *spec, float threshold) {
    return is_linear(spec) ? threshold : log2_once(threshold);
}

static float restricted(const NbQuantSpec *spec, float value) {
    switch (spec->restrict_to) {
    case NB_RESTRICT_FP:
    case NB_RESTRICT_STEP: return value;
    case NB_RESTRICT_LOG_FP: return exp2_once(value);
    case NB_RESTRICT_POT: return exp2_once(ceilf(value));
    }
    assert(false && "restriction");
    return value;
}

float nb_quant_threshold_of(const NbQuantSpec *spec, float value) {
    return fabsf(nb_quant_bound(restricted(spec, value), spec->scale_min));
}

double nb_quant_threshold_slope(const NbQuantSpec *spec, float value) {
    if (is_linear(spec))
        return value < 0.0F ? -1.0 : 1.0;
    return (double)restricted(spec, value) * 0.69314718055994530942; /* ln 2 */
}

static float largest(const float *x, size_t n) {
    float top = 0.0F;
    for (size_t i = 0; i < n; i++) {
        const float size = fabsf(x[i]);
        top = size > top ? size : top;
    }
    return top;
}

static float threshold(const NbQuantSpec *spec, const float *row, size_t n, const float *value) {
    switch (spec->scale_from) {
    case NB_SCALE_CONST: return nb_quant_threshold_of(spec, nb_quant_value_of(spec, spec->init));
    case NB_SCALE_STATS:
    case NB_SCALE_MEAN: {
        const bool mean = spec->scale_from == NB_SCALE_MEAN;
        const float measured = mean ? nb_stat_mean(row, n) : largest(row, n);
        const float stat = nb_quant_bound(measured, spec->scale_min);
        return nb_quant_threshold_of(spec, nb_quant_value_of(spec, stat));
    }
    case NB_SCALE_PARAMETER: return nb_quant_threshold_of(spec, *value);
    }
    assert(false && "source of the scale");
    return 1.0F;
}

void nb_quant_scale(const NbQuantSpec *spec, const float *x, size_t channels, size_t n,
                    const float *value, float *scale) {
    const bool reads_x = spec->scale_from == NB_SCALE_STATS || spec->scale_from == NB_SCALE_MEAN;
    const bool reads_value = spec->scale_from == NB_SCALE_PARAMETER;
    assert((x || !reads_x) && (value || !reads_value));
    const float divisor = nb_quant_int_threshold(spec);
    for (size_t c = 0; c < channels; c++) {
        const float *const row = reads_x ? x + c * n : NULL;
        const float s = threshold(spec, row, n, reads_value ? value + c : NULL) / divisor;
        scale[c] = s < FLT_MIN ? FLT_MIN : s;
    }
}
