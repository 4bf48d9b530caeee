/* SPDX-License-Identifier: Apache-2.0
 *
 * The kernels of kernels.h in vectors of AVX2 and FMA. */
#define NB_VECTOR 8
#define NB_TABLE nb_float_kernels_avx2
#define NB_TABLE_ISA NB_ISA_AVX2
#include "nn/float/kernels/body.inc"
