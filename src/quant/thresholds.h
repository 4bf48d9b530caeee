/* SPDX-License-Identifier: Apache-2.0
 *
 * A quantizer as a list of steps: code = lo + number of thresholds t with x >= t. This is FINN's
 * MultiThreshold; the float32 formulas are those of the FINN-ONNX exporters. Ties go up here and to
 * even in the quantizer. Source: FINN 0.10.1, Brevitas 0.9.1's FINN export. */
#ifndef NB_QUANT_THRESHOLDS_H
#define NB_QUANT_THRESHOLDS_H

#include "quant/quantizer.h"

#include <stddef.h>
#include <stdint.h>

/* How many: codes - 1; 1 for binary. */
size_t nb_thresholds_count(const NbQuantSpec *spec);

/* t [nb_thresholds_count] ascending, for scale > 0 and zero point 0. Integer quantizers that round
 * half to even (ties apart), and binary ones; other roundings move the steps as they should. */
void nb_thresholds_of(const NbQuantSpec *spec, float scale, float *t);

/* What is added to the count to get the code: the lowest code; -0.5, before doubling, if binary. */
float nb_thresholds_bias(const NbQuantSpec *spec);

/* Number of t with x >= t; t need not be sorted. NaN reaches none. */
int32_t nb_thresholds_reached(const float *t, size_t count, float x);

#endif
