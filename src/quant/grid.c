/* SPDX-License-Identifier: Apache-2.0
 *
 * Integer ranges and rounding to them. Source: Brevitas 0.12.1. */
#include "quant/grid.h"

#include <assert.h>
#include <math.h>
#include <stddef.h>
#include <strings.h>

int64_t nb_grid_lo(NbGrid grid) {
    assert(grid.bits >= 1 && grid.bits <= 32);
    if (!grid.is_signed)
        return 0;
    return -((int64_t)1 << (grid.bits - 1)) + (grid.narrow ? 1 : 0);
}

int64_t nb_grid_hi(NbGrid grid) {
    assert(grid.bits >= 1 && grid.bits <= 32);
    if (grid.is_signed)
        return ((int64_t)1 << (grid.bits - 1)) - 1;
    return ((int64_t)1 << grid.bits) - (grid.narrow ? 2 : 1);
}

static float round_dpu(float v) {
    const float up = ceilf(v);
    return v < 0.0F && up - v == 0.5F ? up : rintf(v);
}

float nb_round(NbRound mode, float v) {
    switch (mode) {
    case NB_ROUND_HALF_EVEN: return rintf(v);
    case NB_ROUND_FLOOR: return floorf(v);
    case NB_ROUND_CEIL: return ceilf(v);
    case NB_ROUND_TO_ZERO: return truncf(v);
    case NB_ROUND_DPU: return round_dpu(v);
    }
    assert(false && "rounding mode");
    return v;
}

float nb_round_stochastic(float v, double unit) {
    const float down = floorf(v);
    return unit < (double)(v - down) ? down + 1.0F : down;
}

static const struct {
    const char *name;
    const char *brevitas;
} names[] = {
    [NB_ROUND_HALF_EVEN] = {"half_even", "round"},
    [NB_ROUND_FLOOR] = {"floor", "floor"},
    [NB_ROUND_CEIL] = {"ceil", "ceil"},
    [NB_ROUND_TO_ZERO] = {"to_zero", "round_to_zero"},
    [NB_ROUND_DPU] = {"dpu", "dpu"},
};

const char *nb_round_name(NbRound mode) { return names[mode].name; }

bool nb_round_parse(const char *name, NbRound *out) {
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcasecmp(name, names[i].name) == 0 || strcasecmp(name, names[i].brevitas) == 0) {
            *out = (NbRound)i;
            return true;
        }
    }
    return false;
}
