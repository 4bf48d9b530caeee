/* SPDX-License-Identifier: Apache-2.0
 *
 * Steps of a quantizer. */
#include "quant/thresholds.h"

#include <math.h>

size_t nb_thresholds_count(const NbQuantSpec *spec) {
    if (spec->kind == NB_QUANT_BINARY)
        return 1;
    if (spec->kind == NB_QUANT_TERNARY)
        return 2;
    return (size_t)(nb_grid_hi(spec->grid) - nb_grid_lo(spec->grid));
}

float nb_thresholds_bias(const NbQuantSpec *spec) {
    if (spec->kind == NB_QUANT_BINARY)
        return -0.5F;
    return spec->kind == NB_QUANT_TERNARY ? -1.0F : (float)nb_grid_lo(spec->grid);
}

/* The lowest threshold of a signed quantizer in the exporter's order of operations. */
static float lowest(const NbQuantSpec *spec, float s, float half, size_t count) {
    if (!spec->grid.is_signed)
        return half;
    const size_t middle = count / 2;
    const float below = s * ((float)middle - 1.0F);
    const float narrow = -half - below;
    return spec->grid.narrow ? narrow : narrow - s;
}

/* The smallest number from which on the code is k or more, for roundings other than to even. */
static float step_to(NbRound round, float k, float scale) {
    switch (round) {
    case NB_ROUND_HALF_EVEN:
    case NB_ROUND_DPU: return (k - 0.5F) * scale;
    case NB_ROUND_FLOOR: return k * scale;
    case NB_ROUND_CEIL: return nextafterf((k - 1.0F) * scale, INFINITY);
    case NB_ROUND_TO_ZERO: return k > 0.0F ? k * scale : nextafterf((k - 1.0F) * scale, INFINITY);
    }
    return 0.0F;
}

void nb_thresholds_of(const NbQuantSpec *spec, float scale, float *t) {
    const size_t count = nb_thresholds_count(spec);
    const float s = fabsf(scale);
    const float half = s / 2.0F;
    if (spec->kind == NB_QUANT_BINARY) {
        t[0] = 0.0F;
        return;
    }
    if (spec->kind == NB_QUANT_TERNARY) {
        t[0] = -spec->cut * s;
        t[1] = nextafterf(spec->cut * s, INFINITY);
        return;
    }
    const int64_t lo = nb_grid_lo(spec->grid);
    const bool nearest = spec->round == NB_ROUND_HALF_EVEN || spec->round == NB_ROUND_DPU;
    const float start = lowest(spec, s, half, count);
    for (size_t i = 0; i < count; i++) {
        const float up = s * (float)i;
        t[i] = nearest ? start + up : step_to(spec->round, (float)(lo + 1 + (int64_t)i), s);
    }
}

int32_t nb_thresholds_reached(const float *t, size_t count, float x) {
    int32_t reached = 0;
    for (size_t i = 0; i < count; i++)
        reached += x >= t[i];
    return reached;
}
