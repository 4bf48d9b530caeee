/* SPDX-License-Identifier: Apache-2.0
 *
 * Batch norm folded into the weights before it: f = gamma / sqrt(var + eps), w *= f for each output
 * channel, bias = bias * f + (beta - mean * f), in float32. */
#ifndef NB_LOWER_PTQ_FOLD_NORM_H
#define NB_LOWER_PTQ_FOLD_NORM_H

#include "lower/ptq/channels.h"

typedef struct NbNorm {
    const float *gamma; /* each [channels] */
    const float *beta;
    const float *mean;
    const float *var;
    float eps;
} NbNorm;

/* w: output channels of the weights; bias [w->channels], zero where there was none. */
void nb_ptq_fold_norm(const NbNorm *norm, const NbChannels *w, float *bias);

#endif
