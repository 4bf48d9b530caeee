/* SPDX-License-Identifier: Apache-2.0
 *
 * Steps of weights, one for each output channel, with the least squared error of the layer's
 * output as far as its inputs are independent: errors count by the energy of their input. */
#ifndef NB_LOWER_PTQ_WEIGHT_STEP_H
#define NB_LOWER_PTQ_WEIGHT_STEP_H

#include "quant/quantizer.h"

#include <stddef.h>

/* w [columns] of one output channel; energy [columns]: mean squares of its inputs, NULL: all alike.
 * Weights that are all 0 give a step of 1. spec: NB_QUANT_INT with NB_RESTRICT_STEP. */
float nb_ptq_weight_step(const NbQuantSpec *spec, const float *w, size_t columns,
                         const double *energy);

/* w becomes its quantized values (code * step). */
void nb_ptq_weight_round(const NbQuantSpec *spec, float step, float *w, size_t columns);

#endif
