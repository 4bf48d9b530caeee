/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/float/kernels/kernels.h"

const NbFloatKernels *nb_float_kernels(NbIsa isa) {
#if defined(__x86_64__)
    if (isa >= NB_ISA_AVX512)
        return &nb_float_kernels_avx512;
    if (isa >= NB_ISA_AVX2)
        return &nb_float_kernels_avx2;
#else
    (void)isa;
#endif
    return &nb_float_kernels_c;
}
