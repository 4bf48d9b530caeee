/* SPDX-License-Identifier: Apache-2.0
 *
 * The integers a quantizer may produce, how real numbers are rounded to them, and the number that
 * turns a threshold into a scale. */
#ifndef NB_QUANT_GRID_H
#define NB_QUANT_GRID_H

#include <stdbool.h>
#include <stdint.h>

typedef struct NbGrid {
    int bits; /* 1 to 32 */
    bool is_signed;
    bool narrow; /* one code fewer: -2^(b-1) is left out, or 2^b - 1 when unsigned */
} NbGrid;

int64_t nb_grid_lo(NbGrid grid);
int64_t nb_grid_hi(NbGrid grid);

typedef enum NbRound {
    NB_ROUND_HALF_EVEN, /* Brevitas' ROUND, C's rintf */
    NB_ROUND_FLOOR,
    NB_ROUND_CEIL,
    NB_ROUND_TO_ZERO,
    NB_ROUND_DPU, /* half to even, but negative halves go up */
} NbRound;

/* Rounds v to an integer value (in float); NaN stays NaN, signed zeros as IEEE gives them. The
 * current rounding mode must be the default one. */
float nb_round(NbRound mode, float v);

/* floor(v) + 1 with probability v - floor(v), else floor(v); unit is uniform in [0, 1). Brevitas'
 * STOCHASTIC_ROUND while training; at inference it rounds half to even. */
float nb_round_stochastic(float v, double unit);

/* "half_even", "floor", ...; the names Brevitas gives them (ROUND, FLOOR, CEIL, ROUND_TO_ZERO, DPU)
 * are read too, in any case. False: *out is unchanged. */
const char *nb_round_name(NbRound mode);
bool nb_round_parse(const char *name, NbRound *out);

#endif
