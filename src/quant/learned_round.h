/* SPDX-License-Identifier: Apache-2.0
 *
 * Rounding that is learned for each weight (AdaRound and relatives): v decides whether a weight
 * goes to the integer below or above. Source: Nagel et al., "Up or Down? Adaptive Rounding for
 * Post-Training Quantization", ICML 2020; Brevitas 0.12.1. */
#ifndef NB_QUANT_LEARNED_ROUND_H
#define NB_QUANT_LEARNED_ROUND_H

#include "quant/quantizer.h"

#include <stdbool.h>
#include <stddef.h>

typedef enum NbLearnedRoundKind {
    NB_LEARNED_HARD_SIGMOID, /* floor(u) + clamp((zeta - gamma) * sigmoid(v) + gamma, 0, 1) */
    NB_LEARNED_SIGMOID,      /* floor(u) + sigmoid(v / temperature) */
    NB_LEARNED_IDENTITY,     /* round(u + clamp(v, -0.5, 0.5)) */
} NbLearnedRoundKind;

typedef struct NbLearnedRound {
    NbLearnedRoundKind kind;
    float zeta;        /* 1.1 */
    float gamma;       /* -0.1 */
    float temperature; /* 1 */
} NbLearnedRound;

/* A row of weights with one scale. */
typedef struct NbLearnedRow {
    const float *x; /* [n] */
    const float *v; /* [n] */
    size_t n;
    float scale;
} NbLearnedRow;

/* v [n] that reproduces x / scale while training: the fraction for the sigmoids, 0 for identity. */
void nb_learned_round_start(const NbLearnedRound *spec, const float *x, size_t n, float scale,
                            float *v);

/* q [n] = clamp(rounded, lo, hi). hard: the integers that inference uses
 * (h > 0.5, v > 0); otherwise the soft, real-valued codes of training. */
void nb_learned_round_codes(const NbLearnedRound *spec, NbGrid grid, const NbLearnedRow *row,
                            bool hard, float *q);

/* dv [n] is WRITTEN: gradient of sum(g * q * scale) while training; where the clamp of the codes
 * masks (ste_clamp false) clipped elements get none. */
void nb_learned_round_backward(const NbLearnedRound *spec, const NbQuantSpec *quant,
                               const NbLearnedRow *row, const float *g, float *dv);

#endif
