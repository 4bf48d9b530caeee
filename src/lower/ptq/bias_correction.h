/* SPDX-License-Identifier: Apache-2.0
 *
 * Bias correction: what quantizing a layer does to the mean of each of its output channels is given
 * back through the bias. For every calibration batch the layer's output is computed twice, with its
 * quantizers off and on. Source: Nagel et al., ICCV 2019; Brevitas 0.12.1. */
#ifndef NB_LOWER_PTQ_BIAS_CORRECTION_H
#define NB_LOWER_PTQ_BIAS_CORRECTION_H

#include "lower/ptq/channels.h"

typedef struct NbBiasCorrection {
    double *sum; /* [channels], zero to begin with, the caller's */
    int batches;
} NbBiasCorrection;

/* One batch: outputs of the same layer for the same input, quantizers off and on. */
void nb_ptq_bias_add(NbBiasCorrection *state, const NbChannels *real, const NbChannels *quantized);

/* bias [channels] += mean over the batches; nothing happens without batches. */
void nb_ptq_bias_correct(const NbBiasCorrection *state, size_t channels, float *bias);

#endif
