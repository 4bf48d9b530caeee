/* SPDX-License-Identifier: Apache-2.0
 *
 * The kernels of kernels.h in vectors of 4 floats, or whatever the compiler makes of them. */
#define NB_VECTOR 0
#define NB_TABLE nb_float_kernels_c
#define NB_TABLE_ISA NB_ISA_C
#include "nn/float/kernels/body.inc"
