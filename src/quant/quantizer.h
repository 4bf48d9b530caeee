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
    NB_SCALE_MEAN,      /* mean |x| of each channel, computed anew from x in every forward */
    NB_SCALE_PARAMETER, /* a learned value per channel, stored in the restricted domain */
} NbScaleFrom;

/* In which domain a learned value lives and what the threshold is restricted to. */
typedef enum NbRestrict {
    NB_RESTRICT_FP,     /* threshold = value */
    NB_RESTRICT_LOG_FP, /* threshold = 2^value */
    NB_RESTRICT_POT,    /* threshold = 2^ceil(value) */
    NB_RESTRICT_STEP,   /* threshold = value, and the scale is the threshold itself: the only way to
                         * have a given scale to the bit, and what asymmetric quantizers use */
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
    float cut;         /* TERNARY: |x| <= cut * scale becomes 0 */
    float zero; /* INT: the code of the real number 0, an integer of the grid; 0: symmetric */
    bool log_int_threshold; /* LOG_FP: divide by 2^fl(log2 T) as Brevitas 0.12 does; it is T exactly
                             * but for T = 31, 63, 255. false: divide by T, as before 0.12 */
} NbQuantSpec;

/* The integer that divides the threshold: -lo if signed, hi if not; 2^(b-1) or 2^b with
 * NB_RESTRICT_POT; 1 with NB_RESTRICT_STEP, for binary and ternary, and for the grid that holds
 * nothing but 0. */
float nb_quant_int_threshold(const NbQuantSpec *spec);

/* scale[channels], each >= FLT_MIN, or NaN or infinite when value or x is. x [channels][n] is read
 * for NB_SCALE_STATS (NaN elements are passed over) and NB_SCALE_MEAN only, value [channels] for
 * NB_SCALE_PARAMETER only (either may be NULL otherwise). A learned value below 0 counts by its
 * size. Cannot fail. */
void nb_quant_scale(const NbQuantSpec *spec, const float *x, size_t channels, size_t n,
                    const float *value, float *scale);

/* Codes, as integers held in float32; a code of 0 is +0 or -0. zero [channels] may be NULL
 * (spec->zero). q may be x itself. NaN stays NaN, infinities saturate. */
void nb_quant_codes(const NbQuantSpec *spec, const float *x, size_t channels, size_t n,
                    const float *scale, const float *zero, float *q);

/* y = (q - z) * scale, each step rounded to float32. y may be q itself. */
void nb_quant_values(const float *q, size_t channels, size_t n, const float *scale,
                     const float *zero, float *y);

/* x = clamp(x, -scale, scale), as binary nets do to their float weights after each step; NaN stays.
 */
void nb_quant_clip(float *x, size_t n, float scale);

/* What a learned value starts with so that its threshold is `threshold` (> 0). */
float nb_quant_value_of(const NbQuantSpec *spec, float threshold);

/* The threshold that a stored value stands for, and what scales are made of: restricted, bounded by
 * scale_min, never below 0. */
float nb_quant_threshold_of(const NbQuantSpec *spec, float value);

/* d threshold / d value; the rounding of the exponent and the lower bound are straight-through. */
double nb_quant_threshold_slope(const NbQuantSpec *spec, float value);

/* Lower bound that keeps the sign: (x >= 0 ? 1 : -1) * max(|x|, bound). */
float nb_quant_bound(float x, float bound);

/* From g = d loss / d y: dx [channels][n] is WRITTEN (may be g itself, NULL: not wanted), and
 * d_value [channels] gets ADDED to (PARAMETER only, may be NULL). With NB_SCALE_STATS the gradient
 * of the scale goes to the element that holds the maximum (ties: per channel the first, per tensor
 * shared), with NB_SCALE_MEAN sign(x) / n of it to each. Sums are in double, in an order that
 * depends on n only. */
void nb_quant_backward(const NbQuantSpec *spec, const float *x, size_t channels, size_t n,
                       const float *value, const float *g, float *dx, float *d_value);

/* One row with a given scale and zero point: the gradients that every other one is made of. */
typedef struct NbQuantGrad {
    double scale; /* d loss / d scale */
    double zero;  /* d loss / d zero; 0 with ste_clamp */
} NbQuantGrad;

/* dx [n] is WRITTEN (may be g itself, NULL: not wanted); the statistic behind the scale is not part
 * of it. */
NbQuantGrad nb_quant_backward_row(const NbQuantSpec *spec, const float *x, size_t n, float scale,
                                  float zero, const float *g, float *dx);

#endif
