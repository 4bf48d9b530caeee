/* SPDX-License-Identifier: Apache-2.0
 *
 * Tiles only stay in registers when their loops are unrolled and their sizes are constants. */
#ifndef NB_ENGINE_KERNELS_UNROLL_H
#define NB_ENGINE_KERNELS_UNROLL_H

#define NB_INLINE inline __attribute__((always_inline))

#if defined(__clang__)
#define NB_UNROLL _Pragma("clang loop unroll(full)")
#else
#define NB_UNROLL _Pragma("GCC unroll 32")
#endif

#endif
