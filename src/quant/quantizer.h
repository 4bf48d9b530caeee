/* SPDX-License-Identifier: Apache-2.0
 *
 * A quantizer: real numbers x to codes q and back, y = (q - z) * scale, with
 *
 *     q = clamp(round(fl(fl(x / scale) + z)), lo, hi)
 *
 * one float32 rounding for each step, exactly as Brevitas 0.12.1 orders them. Here is the meaning
 * that the interpreter, the trainer and the search for thresholds all call.
 *
 * Values are seen as [channels][n]: one scale for each of `channels` rows (1 row: per tensor).
 * Source: Brevitas 0.12.1; Esser et al., "Learned Step Size Quantization", ICLR 2020. */
#ifndef NB_QUANT_QUANTIZER_H
#define NB_QUANT_QUANTIZER_H

#include "quant/grid.h"

#include <stddef.h>

typedef enum NbQuantKind {
    NB_QUANT_INT,     /* the formula above */
    NB_QUANT_BINARY,  /* y = x >= 0 ? scale : -scale; codes +1 and -1 */
    NB_QUANT_TERNARY, /* y = |x| > cut * scale ? sign(x) * scale : 0; codes -1, 0, +1 */
} NbQuantKind;

/* Where the threshold (the real number that the last code stands for) comes from. */
typedef enum NbScaleFrom {
    NB_SCALE_CONST,     /* spec.init */
    NB_SCALE_STATS,     /* max |x| of each channel, computed anew from x in every forward */
    NB_SCALE_PARAMETER, /* a learned value per channel, stored in the restricted domain */
} NbScaleFrom;

/* In which domain a learned value lives and what the threshold is restricted to. */
typedef enum NbRestrict {
    NB_RESTRICT_FP,     /* threshold = value */
    NB_RESTRICT_LOG_FP, /* threshold = 2^value */
    NB_RESTRICT_POT,    /* threshold = 2^ceil(value) */
} NbRestrict;

typedef struct NbQuantSpec {
    NbQuantKind kind;
    NbGrid grid;
    NbRound round;
    NbScaleFrom scale_from;
    NbRestrict restrict_to;
    bool per_channel;  /* one scale for each index of dimension 0 of a weight; else one scale */
    bool ste_clamp;    /* backward: clipped values keep their gradient (weights) */
    bool lsq_gradient; /* scale the gradient of a learned value by 1 / sqrt(n * hi) */
    float init;        /* CONST: the threshold; PARAMETER: its start, not yet restricted */
    float scale_min;   /* lower bound of statistic and threshold; 0: none */
} NbQuantSpec;

/* The integer that divides the threshold: -lo if signed, hi if not; 2^(b-1) or 2^b with
 * NB_RESTRICT_POT; 1 for binary and ternary. */
float nb_quant_int_threshold(const NbQuantSpec *spec);

/* scale[channels], each > 0. x [channels][n] is read for NB_SCALE_STATS only, value [channels] for
 * NB_SCALE_PARAMETER only (either may be NULL otherwise). Cannot fail. */
void nb_quant_scale(const NbQuantSpec *spec, const float *x, size_t channels, size_t n,
                    const float *value, float *scale);

/* Codes, as integers held in float32. zero [channels] may be NULL (all zero). q may be x itself. */
void nb_quant_codes(const NbQuantSpec *spec, const float *x, size_t channels, size_t n,
                    const float *scale, const float *zero, float *q);

/* What a learned value starts with so that its threshold is `threshold` (> 0). */
float nb_quant_value_of(const NbQuantSpec *spec, float threshold);

/* From g = d loss / d y: dx [channels][n] is WRITTEN (may be g itself, NULL: not wanted), and
 * d_value [channels] gets ADDED to (PARAMETER only, may be NULL). With NB_SCALE_STATS the gradient
 * of the scale goes to the element that holds the maximum (ties: per channel the first, per tensor
 * shared). Sums are in double, in index order. */
void nb_quant_backward(const NbQuantSpec *spec, const float *x, size_t channels, size_t n,
                       const float *value, const float *g, float *dx, float *d_value);

#endif
