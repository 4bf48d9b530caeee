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
#include "quant/statistics.h"

#include <math.h>
#include <string.h>

enum { BLOCK = 512, LANES = 8 };

/* Sums of doubles in a fixed order: element i goes to lane i mod 8. */
typedef struct Sum {
    double lane[LANES];
} Sum;

static double total(const Sum *s) {
    const double *const l = s->lane;
    return ((l[0] + l[1]) + (l[2] + l[3])) + ((l[4] + l[5]) + (l[6] + l[7]));
}

static void add_to(Sum *s, const float *term, size_t n) {
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t k = 0; k < LANES; k++)
            s->lane[k] += (double)term[i + k];
    for (size_t k = 0; i + k < n; k++)
        s->lane[k] += (double)term[i + k];
}

/* One scale, one zero point, one range. */
typedef struct Row {
    float scale;
    float zero;
    float lo;
    float hi;
} Row;

/* Terms of one block of an integer quantizer. */
typedef struct Block {
    float r[BLOCK]; /* rounded numbers, cut off one step outside of the range */
    float code[BLOCK];
    float scale[BLOCK]; /* x / scale, then terms of d scale */
    float zero[BLOCK];  /* terms of -d zero */
    float dx[BLOCK];
} Block;

/* Each of these is a loop with at most one choice in it: a compiler that sees several moves the
 * divisions into a branch and does not vectorise. */
static void common_block(const Row *row, const float *x, const float *g, size_t n, Block *b) {
    const Row v = *row;
    for (size_t i = 0; i < n; i++) {
        const float through = g[i] * v.scale;
        b->scale[i] = x[i] / v.scale;
        b->zero[i] = through;
        b->dx[i] = through / v.scale;
    }
    for (size_t i = 0; i < n; i++) {
        const float c = b->r[i] > v.hi ? v.hi : b->r[i];
        b->code[i] = c < v.lo ? v.lo : c;
    }
}

/* What was cut off neither moves with x nor passes its gradient on; it feeds the zero point. */
static void mask_block(size_t n, Block *b) {
    for (size_t i = 0; i < n; i++) {
        const float u = b->scale[i];
        b->scale[i] = b->code[i] == b->r[i] ? u : 0.0F;
    }
    for (size_t i = 0; i < n; i++) {
        const float back = b->dx[i];
        b->dx[i] = b->code[i] == b->r[i] ? back : 0.0F;
    }
    for (size_t i = 0; i < n; i++) {
        const float through = b->zero[i];
        b->zero[i] = b->code[i] == b->r[i] ? 0.0F : through;
    }
}

static void scale_block(const Row *row, const float *g, size_t n, Block *b) {
    const float zero = row->zero;
    for (size_t i = 0; i < n; i++)
        b->scale[i] = g[i] * ((b->code[i] - zero) - b->scale[i]);
}

static NbQuantGrad int_row(const NbQuantSpec *spec, const float *x, size_t n, float scale,
                           float zero, const float *g, float *dx) {
    const Row row = {.scale = scale,
                     .zero = zero,
                     .lo = (float)nb_grid_lo(spec->grid),
                     .hi = (float)nb_grid_hi(spec->grid)};
    Block b;
    Sum d_scale = {{0}};
    Sum d_zero = {{0}};
    for (size_t at = 0; at < n; at += BLOCK) {
        const size_t m = n - at < BLOCK ? n - at : BLOCK;
        nb_core_round(spec->round, x + at, m, scale, zero, row.lo - 1.0F, row.hi + 1.0F, b.r);
        common_block(&row, x + at, g + at, m, &b);
        if (!spec->ste_clamp) {
            mask_block(m, &b);
            add_to(&d_zero, b.zero, m);
        }
        scale_block(&row, g + at, m, &b);
        add_to(&d_scale, b.scale, m);
        if (dx)
            memcpy(dx + at, b.dx, m * sizeof *dx);
    }
    return (NbQuantGrad){.scale = total(&d_scale), .zero = -total(&d_zero)};
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

/* d threshold / d statistic: 1, or what rounding the exponent up makes of it. */
static double domain_factor(const NbQuantSpec *spec, float statistic) {
    if (spec->restrict_to == NB_RESTRICT_FP || spec->restrict_to == NB_RESTRICT_STEP)
        return 1.0;
    const float bounded = nb_quant_bound(statistic, spec->scale_min);
    const float value = nb_quant_value_of(spec, bounded);
    return nb_quant_threshold_slope(spec, value) / (0.69314718055994530942 * (double)bounded);
}

/* Hands the gradient of the threshold to the elements it was measured on. An all-zero row gets
 * none: the sign of 0 is 0. */
static void statistic_backward(const NbQuantSpec *spec, const float *x, size_t n,
                               double d_threshold, float *dx) {
    const Peak p = peak(x, n);
    if (p.size == 0.0F)
        return;
    const double d = d_threshold * domain_factor(spec, p.size);
    const size_t last = spec->per_channel ? p.first + 1 : n;
    const double share = spec->per_channel ? d : d / (double)p.count;
    for (size_t i = p.first; i < last; i++)
        if (fabsf(x[i]) == p.size)
            dx[i] = (float)((double)dx[i] + (x[i] > 0.0F ? share : -share));
}

/* Every element has its part in the mean of the sizes. */
static void mean_backward(const NbQuantSpec *spec, const float *x, size_t n, double d_threshold,
                          float *dx) {
    const double share = d_threshold * domain_factor(spec, nb_stat_mean(x, n)) / (double)n;
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
            nb_quant_backward_row(spec, row, n, scale, spec->zero, g + c * n, dx_row);
        const double d_threshold = grad.scale / divisor;
        if (spec->scale_from == NB_SCALE_STATS && dx_row)
            statistic_backward(spec, row, n, d_threshold, dx_row);
        if (spec->scale_from == NB_SCALE_MEAN && dx_row)
            mean_backward(spec, row, n, d_threshold, dx_row);
        if (spec->scale_from == NB_SCALE_PARAMETER && d_value && v)
            d_value[c] += (float)(d_threshold * nb_quant_threshold_slope(spec, *v) *
                                  learning_factor(spec, n));
    }
}
