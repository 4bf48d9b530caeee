/* SPDX-License-Identifier: Apache-2.0
 *
 * What the CPU can do, as levels that contain each other. */
#ifndef NB_BASE_CPU_H
#define NB_BASE_CPU_H

#include "base/status.h"

typedef enum NbIsa {
    NB_ISA_C = 0,      /* plain C, everywhere */
    NB_ISA_AVX2,       /* AVX2 and FMA */
    NB_ISA_AVX512,     /* AVX-512 F, BW, DQ, VL */
    NB_ISA_AVX512VNNI, /* the same and VNNI */
} NbIsa;

/* The highest level of this CPU and operating system. */
NbIsa nb_isa_detect(void);

/* "c", "avx2", "avx512", "avx512vnni". */
const char *nb_isa_name(NbIsa isa);

/* Parses such a name; NB_ERR_ARGUMENT names the known ones. */
NB_FALLIBLE nb_isa_parse(const char *name, NbIsa *out, NbError *err);

/* The level to use: the lower of nb_isa_detect and `cap` (a name; NULL or "": the environment
 * variable NIBBLE_ISA if set, else no cap). */
NB_FALLIBLE nb_isa_choose(const char *cap, NbIsa *out, NbError *err);

#endif
