/* SPDX-License-Identifier: Apache-2.0
 *
 * The loops of kernels.h for one ISA; the flags stand in CMakeLists.txt. */
#define TABLE nb_nn_kernels_c
#include "nn/kernels/elementwise.inc"
