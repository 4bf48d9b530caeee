/* SPDX-License-Identifier: Apache-2.0
 *
 * The loops of kernels.h for one ISA; the flags stand in CMakeLists.txt. */
#define TABLE nb_nn_kernels_avx512
#include "nn/kernels/elementwise.inc"
