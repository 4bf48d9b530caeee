/* SPDX-License-Identifier: Apache-2.0
 *
 * One function for each kind of reference case; each returns whether everything compared well. */
#ifndef NB_TESTS_QUANT_BREVITAS_H
#define NB_TESTS_QUANT_BREVITAS_H

#include "quant/quantizer.h"
#include "support/vectors.h"

#include <stdbool.h>
#include <stddef.h>

typedef bool BrevitasCase(const NbCase *c);

BrevitasCase brevitas_weight_stats;
BrevitasCase brevitas_weight_transposed;
BrevitasCase brevitas_weight_learned;
BrevitasCase brevitas_weight_shifted;
BrevitasCase brevitas_weight_mse;
BrevitasCase brevitas_weight_binary;
BrevitasCase brevitas_weight_ternary_int;
BrevitasCase brevitas_weight_ternary;
BrevitasCase brevitas_learned_round;
BrevitasCase brevitas_act_parameter;
BrevitasCase brevitas_act_binary;
BrevitasCase brevitas_act_ternary;
BrevitasCase brevitas_act_runtime;
BrevitasCase brevitas_rounding;
BrevitasCase brevitas_layer_conv;
BrevitasCase brevitas_trunc_avgpool;
BrevitasCase brevitas_upsample;
BrevitasCase brevitas_eltwise_add;
BrevitasCase brevitas_block;
BrevitasCase brevitas_thresholds;

/* Specification from the parameters every quantizer case has. */
NbQuantSpec brevitas_spec(const NbCase *c, NbScaleFrom from);

/* Memory that lives as long as the case; fails the test when there is none. */
float *brevitas_floats(const NbCase *c, size_t n);

/* An array and how it splits into rows with one scale each. */
typedef struct BrevitasRows {
    float *x;
    size_t count; /* all of it */
    size_t rows;
    size_t n; /* of one row */
} BrevitasRows;

BrevitasRows brevitas_rows(const NbCase *c, const char *array, bool per_channel);

/* "name" + step number, in static memory until the next call. */
const char *brevitas_step(const char *name, int step);

/* Like nb_case_compare for results that may lie one code off where a sum meets a rounding edge: at
 * most `share` of the elements may differ from the reference by up to `step`. */
bool brevitas_compare_codes(const NbCase *c, const char *array, const float *got, size_t n,
                            double step, double share);

#endif
