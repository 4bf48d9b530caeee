/* SPDX-License-Identifier: Apache-2.0
 *
 * Gradients of a quantizer. With m = 1, or with a clamp that masks m = [lo <= round(v) <= hi]:
 *
 *     dx      = fl(fl(m * g * s) / s)
 *     d scale = sum g * ((c - z) - m * x / s)
 *     d zero  = -sum (1 - m) * g * s
 *
 * Source: what automatic differentiation makes of Brevitas 0.12.1's forward. */
#include "quant/quantizer.h"

#include "quant/core.h"

#include <float.h>
#include <math.h>

enum { BLOCK = 512, LANES = 4 };

typedef struct Sums {
    double scale[LANES];
    double zero[LANES];
} Sums;

static double total(const double lane[LANES]) { return (lane[0] + lane[1]) + (lane[2] + lane[3]); }

static void add_to(double lane[LANES], const float *term, size_t n) {
    for (size_t i = 0; i < n; i++)
        lane[i % LANES] += (double)term[i];
}

typedef struct Range {
    float lo;
    float hi;
} Range;

/* One block of an integer quantizer. r holds the rounded numbers, cut off one step outside of the
 * range, so that what lies outside can still be told; it becomes the terms of d scale. */
static void int_block(bool ste, const float *x, size_t n, float scale, float zero, Range range,
                      const float *g, float *dx, float *r, float *zero_term) {
    for (size_t i = 0; i < n; i++) {
        const bool above = r[i] > range.hi;
        const bool below = r[i] < range.lo;
        const bool inside = ste || !(above || below);
        float c = above ? range.hi : r[i];
        c = below ? range.lo : c;
        const float u = inside ? x[i] / scale : 0.0F;
        const float through = g[i] * scale;
        r[i] = g[i] * ((c - zero) - u);
        zero_term[i] = inside ? 0.0F : -through;
        dx[i] = inside ? through / scale : 0.0F;
    }
}

static NbQuantGrad int_row(const NbQuantSpec *spec, const float *x, size_t n, float scale,
                           float zero, const float *g, float *dx) {
    const Range range = {(float)nb_grid_lo(spec->grid), (float)nb_grid_hi(spec->grid)};
    float r[BLOCK];
    float zero_term[BLOCK];
    float unwanted[BLOCK];
    Sums sums = {{0}, {0}};
    for (size_t at = 0; at < n; at += BLOCK) {
        const size_t m = n - at < BLOCK ? n - at : BLOCK;
        nb_core_round(spec->round, x + at, m, scale, zero, range.lo - 1.0F, range.hi + 1.0F, r);
        int_block(spec->ste_clamp, x + at, m, scale, zero, range, g + at, dx ? dx + at : unwanted,
                  r, zero_term);
        add_to(sums.scale, r, m);
        if (!spec->ste_clamp)
            add_to(sums.zero, zero_term, m);
    }
    return (NbQuantGrad){total(sums.scale), total(sums.zero)};
}

/* y = sgn(clamp(x, -s, s)) * s: what the clamp cuts off feeds the scale through its bounds. */
static NbQuantGrad binary_row(bool ste, const float *x, size_t n, float scale, const float *g,
                              float *dx) {
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) {
        const bool inside = ste || !(x[i] > scale || x[i] < -scale);
        const double sign = x[i] >= 0.0F ? 1.0 : -1.0;
        const float through = g[i] * scale;
        sum += sign * ((double)g[i] + (inside ? 0.0 : (double)through));
        if (dx)
            dx[i] = inside ? through : 0.0F;
    }
    return (NbQuantGrad){.scale = sum};
}

static NbQuantGrad ternary_row(const NbQuantSpec *spec, const float *x, size_t n, float scale,
                               const float *g, float *dx) {
    const float cut = spec->cut * scale;
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) {
        const bool kept = fabsf(x[i]) > cut;
        const float through = g[i] * scale;
        if (kept)
            sum += x[i] > 0.0F ? (double)g[i] : -(double)g[i];
        if (dx)
            dx[i] = kept ? through : 0.0F;
    }
    return (NbQuantGrad){.scale = sum};
}

NbQuantGrad nb_quant_backward_row(const NbQuantSpec *spec, const float *x, size_t n, float scale,
                                  float zero, const float *g, float *dx) {
    switch (spec->kind) {
    case NB_QUANT_INT: return int_row(spec, x, n, scale, zero, g, dx);
    case NB_QUANT_BINARY: return binary_row(spec->ste_clamp, x, n, scale, g, dx);
    case NB_QUANT_TERNARY: return ternary_row(spec, x, n, scale, g, dx);
    }
    return (NbQuantGrad){0};
}

typedef struct Peak {
    float size;
    size_t first;
    size_t count;
} Peak;

static Peak peak(const float *x, size_t n) {
    Peak p = {.size = 0.0F};
    for (size_t i = 0; i < n; i++) {
        const float size = fabsf(x[i]);
        if (size > p.size)
            p = (Peak){size, i, 1};
        else if (size == p.size)
            p.count++;
    }
    return p;
}

/* Hands the gradient of the threshold to the elements it was measured on. An all-zero row gets
 * none: the sign of 0 is 0. */
static void statistic_backward(const NbQuantSpec *spec, const float *x, size_t n,
                               double d_threshold, float *dx) {
    const Peak p = peak(x, n);
    if (p.size == 0.0F)
        return;
    double d = d_threshold;
    if (spec->restrict_to != NB_RESTRICT_FP) {
        const float stat = nb_quant_bound(p.size, spec->scale_min);
        const float value = nb_quant_value_of(spec, stat);
        d *= nb_quant_threshold_slope(spec, value) / (0.69314718055994530942 * (double)stat);
    }
    const size_t last = spec->per_channel ? p.first + 1 : n;
    const double share = spec->per_channel ? d : d / (double)p.count;
    for (size_t i = p.first; i < last; i++)
        if (fabsf(x[i]) == p.size)
            dx[i] = (float)((double)dx[i] + (x[i] > 0.0F ? share : -share));
}

/* Every element has its part in the mean of the sizes. */
static void mean_backward(const NbQuantSpec *spec, const float *x, size_t n, double d_threshold,
                          float scale, float *dx) {
    double share = d_threshold / (double)n;
    if (spec->restrict_to != NB_RESTRICT_FP) {
        const double stat = (double)scale * (double)nb_quant_int_threshold(spec);
        const float value = nb_quant_value_of(spec, (float)stat);
        share *= nb_quant_threshold_slope(spec, value) / (0.69314718055994530942 * stat);
    }
    for (size_t i = 0; i < n; i++)
        if (x[i] != 0.0F)
            dx[i] = (float)((double)dx[i] + (x[i] > 0.0F ? share : -share));
}

static double learning_factor(const NbQuantSpec *spec, size_t n) {
    if (!spec->lsq_gradient)
        return 1.0;
    const int64_t hi = spec->kind == NB_QUANT_INT ? nb_grid_hi(spec->grid) : 1;
    return 1.0 / sqrt((double)n * (double)(hi > 0 ? hi : 1));
}

void nb_quant_backward(const NbQuantSpec *spec, const float *x, size_t channels, size_t n,
                       const float *value, const float *g, float *dx, float *d_value) {
    const double divisor = (double)nb_quant_int_threshold(spec);
    for (size_t c = 0; c < channels; c++) {
        const float *const row = x + c * n;
        const float *const v = value ? value + c : NULL;
        float *const dx_row = dx ? dx + c * n : NULL;
        float scale;
        nb_quant_scale(spec, row, 1, n, v, &scale);
        const NbQuantGrad grad =
            nb_quant_backward_row(spec, row, n, scale, 0.0F, g + c * n, dx_row);
        const double d_threshold = grad.scale / divisor;
        if (spec->scale_from == NB_SCALE_STATS && dx_row)
            statistic_backward(spec, row, n, d_threshold, dx_row);
        if (spec->scale_from == NB_SCALE_MEAN && dx_row)
            mean_backward(spec, row, n, d_threshold, scale, dx_row);
        if (spec->scale_from == NB_SCALE_PARAMETER && d_value)
            d_value[c] += (float)(d_threshold * nb_quant_threshold_slope(spec, *v) *
                                  learning_factor(spec, n));
    }
}
