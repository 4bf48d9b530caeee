/* SPDX-License-Identifier: Apache-2.0
 *
 * An activation quantizer that measures first and learns then. During the first `collect`
 * training forwards each batch's own percentile makes its scale, and a running value of them is
 * kept; the next training forward turns the running value into a learned one, which is used from
 * then on. At inference the running value is used until there is a learned one.
 *
 * Where Brevitas would let a learned value below 0 give a negative scale while training, its size
 * is used here, as at inference. An object belongs to one thread. Cannot fail.
 * Source: Brevitas 0.12.1, ParameterFromRuntimeStatsScaling and ...ZeroPoint. */
#ifndef NB_QUANT_RUNTIME_H
#define NB_QUANT_RUNTIME_H

#include "quant/quantizer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct NbRuntimeSpec {
    NbQuantSpec quant;     /* scale_from and init are not read; one scale */
    int64_t collect;       /* training forwards that measure; Brevitas: 300 */
    double momentum;       /* share of the newest batch, 0.1; below 0: the plain average of all */
    double percentile;     /* of |x|, or of x when shifted; 99.999 */
    bool shifted;          /* with a zero point */
    double low_percentile; /* of x, shifted only; 0.001 */
} NbRuntimeSpec;

/* The state that training keeps; value and low_value are what checkpoints hold. */
typedef struct NbRuntime {
    int64_t forwards; /* training forwards so far */
    float running;    /* of the thresholds */
    float running_low;
    float value;     /* learned, in the restricted domain; once forwards > collect */
    float low_value; /* learned, <= 0 */
} NbRuntime;

NbRuntime nb_runtime_start(void);

/* Continues from a checkpoint that holds learned values: no more measuring. */
NbRuntime nb_runtime_resume(const NbRuntimeSpec *spec, float value, float low_value);

/* What one forward uses. */
typedef struct NbRuntimeStep {
    bool measured; /* scale (and zero) come from the batch itself */
    float scale;
    float zero;   /* 0 unless shifted */
    float top;    /* measured: the number whose size, or the upper end that, makes the scale */
    float bottom; /* shifted: the lower end, <= 0, that the zero point was made from */
} NbRuntimeStep;

/* Training forward over x [n], n >= 1; moves the state. */
NbRuntimeStep nb_runtime_train(const NbRuntimeSpec *spec, NbRuntime *state, const float *x,
                               size_t n);

/* Inference; does not move the state. Before any training the threshold is 1. */
NbRuntimeStep nb_runtime_infer(const NbRuntimeSpec *spec, const NbRuntime *state);

/* Gradient of sum(g * y) of the training forward that gave `step` (state as it left it): dx [n] is
 * WRITTEN (may be g itself); d_values [2] (of value, of low_value; may be NULL) get ADDED to. While
 * measuring, the gradients of scale and zero point go to the first elements that hold top and
 * bottom instead. */
void nb_runtime_backward(const NbRuntimeSpec *spec, const NbRuntime *state,
                         const NbRuntimeStep *step, const float *x, size_t n, const float *g,
                         float *dx, float *d_values);

#endif
