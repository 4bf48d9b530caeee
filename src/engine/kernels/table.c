/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/kernels/kernels.h"

const NbKernels *nb_kernels_for(NbIsa isa) {
#if defined(__x86_64__)
    if (isa >= NB_ISA_AVX512VNNI)
        return &nb_kernels_vnni;
    if (isa >= NB_ISA_AVX2)
        return &nb_kernels_avx2;
#else
    (void)isa;
#endif
    return &nb_kernels_c;
}
