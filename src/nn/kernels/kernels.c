/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/kernels/kernels.h"

const NbNnKernels *nb_nn_kernels(NbIsa isa) {
    switch (isa) {
    case NB_ISA_C: return &nb_nn_kernels_c;
#if defined(__x86_64__)
    case NB_ISA_AVX2: return &nb_nn_kernels_avx2;
    case NB_ISA_AVX512:
    case NB_ISA_AVX512VNNI: return &nb_nn_kernels_avx512;
#else
    case NB_ISA_AVX2:
    case NB_ISA_AVX512:
    case NB_ISA_AVX512VNNI: break;
#endif
    }
    return &nb_nn_kernels_c;
}
