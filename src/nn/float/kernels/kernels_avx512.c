/* SPDX-License-Identifier: Apache-2.0
 *
 * The kernels of kernels.h in vectors of AVX-512. */
#define NB_VECTOR 16
#define NB_TABLE nb_float_kernels_avx512
#define NB_TABLE_ISA NB_ISA_AVX512
#include "nn/float/kernels/body.inc"
