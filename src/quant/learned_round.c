/* SPDX-License-Identifier: Apache-2.0
 *
 * Soft and hard rounding by a learned number. */
#include "quant/learned_round.h"

#include <math.h>

static double sigmoid(double v) { return 1.0 / (1.0 + exp(-v)); }

/* How far above the integer below: in [0, 1]. */
static double offset_of(const NbLearnedRound *spec, float v) {
    if (spec->kind == NB_LEARNED_SIGMOID)
        return sigmoid((double)v / (double)spec->temperature);
    const double width = (double)spec->zeta - (double)spec->gamma;
    const double h = width * sigmoid((double)v) + (double)spec->gamma;
    return h < 0.0 ? 0.0 : h > 1.0 ? 1.0 : h;
}

/* Its derivative; 0 where it is cut off. */
static double slope_of(const NbLearnedRound *spec, float v) {
    if (spec->kind == NB_LEARNED_SIGMOID) {
        const double s = sigmoid((double)v / (double)spec->temperature);
        return s * (1.0 - s) / (double)spec->temperature;
    }
    const double width = (double)spec->zeta - (double)spec->gamma;
    const double s = sigmoid((double)v);
    const double h = width * s + (double)spec->gamma;
    return h < 0.0 || h > 1.0 ? 0.0 : width * s * (1.0 - s);
}

void nb_learned_round_start(const NbLearnedRound *spec, const float *x, size_t n, float scale,
                            float *v) {
    for (size_t i = 0; i < n; i++) {
        if (spec->kind == NB_LEARNED_IDENTITY) {
            v[i] = 0.0F;
            continue;
        }
        const float u = x[i] / scale;
        const double part = (double)(u - floorf(u));
        const double width = (double)spec->zeta - (double)spec->gamma;
        v[i] = (float)-log(width / (part - (double)spec->gamma) - 1.0);
    }
}

static float unclamped(const NbLearnedRound *spec, float u, float v, bool hard) {
    if (spec->kind == NB_LEARNED_IDENTITY) {
        const float low = v < -0.5F ? -0.5F : v;
        const float moved = u + (low > 0.5F ? 0.5F : low);
        return rintf(moved);
    }
    if (!hard)
        return floorf(u) + (float)offset_of(spec, v);
    const bool up = spec->kind == NB_LEARNED_SIGMOID ? v > 0.0F : (float)offset_of(spec, v) > 0.5F;
    return floorf(u) + (up ? 1.0F : 0.0F);
}

void nb_learned_round_codes(const NbLearnedRound *spec, NbGrid grid, const NbLearnedRow *row,
                            bool hard, float *q) {
    const float lo = (float)nb_grid_lo(grid);
    const float hi = (float)nb_grid_hi(grid);
    for (size_t i = 0; i < row->n; i++) {
        const float u = row->x[i] / row->scale;
        float r = unclamped(spec, u, row->v[i], hard);
        r = r > hi ? hi : r;
        q[i] = r < lo ? lo : r;
    }
}

void nb_learned_round_backward(const NbLearnedRound *spec, const NbQuantSpec *quant,
                               const NbLearnedRow *row, const float *g, float *dv) {
    const float lo = (float)nb_grid_lo(quant->grid);
    const float hi = (float)nb_grid_hi(quant->grid);
    for (size_t i = 0; i < row->n; i++) {
        const float u = row->x[i] / row->scale;
        const float r = unclamped(spec, u, row->v[i], false);
        const bool passes = quant->ste_clamp || !(r > hi || r < lo);
        const double slope = spec->kind == NB_LEARNED_IDENTITY ? 1.0 : slope_of(spec, row->v[i]);
        dv[i] = passes ? (float)((double)g[i] * (double)row->scale * slope) : 0.0F;
    }
}
