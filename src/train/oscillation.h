/* SPDX-License-Identifier: Apache-2.0
 *
 * Weights that flip between two codes. With straight-through gradients a weight whose best value
 * lies between two codes is pushed over the border and back again; the statistics of the batch
 * norms behind it are then never those of the network that is kept. Here each weight's flips are
 * counted, and on request hindered (dampening) or ended (freezing).
 *
 * An oscillation is a change of code against the direction of the change before. The rate of a
 * weight is the running mean of that, with momentum 0.01.
 * Source: Nagel et al., "Overcoming Oscillations in Quantization-Aware Training", ICML 2022. */
#ifndef NB_TRAIN_OSCILLATION_H
#define NB_TRAIN_OSCILLATION_H

#include "train/state.h"

/* Takes memory for the weights that have a quantizer; then nb_oscillation_restart. */
NB_FALLIBLE nb_oscillation_new(NbTrainState *s, NbError *err);

/* Codes are those of now; nothing has flipped, nothing is frozen. */
void nb_oscillation_restart(NbTrainState *s);

/* Dampening: adds the gradient of strength * |w - middle of its bin|^2 over weights inside the
 * range of codes to the gathered gradients. */
void nb_oscillation_dampen(NbTrainState *s, double strength);

/* After an optimizer step: counts. freeze_above: weights with a higher rate are fixed to their mean
 * code from now on; 0: none. Frozen weights go back to their code. */
void nb_oscillation_track(NbTrainState *s, double freeze_above);

/* Share of quantized weights with a rate above 0.005; 0 when there are none. */
double nb_oscillation_share(const NbTrainState *s);

/* Schedules, at `progress` in [0, 1] of the run: 0 while weights still have to find their codes,
 * then half a cosine. The strength of dampening goes from 0 to 1 over the second half, the
 * threshold of freezing from 0.04 down to 0.01 over the last eighth. */
double nb_dampen_at(double progress);
double nb_freeze_at(double progress);

#endif
