/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cpu.h"

#include <stdlib.h>
#include <string.h>

static const char *const names[] = {"c", "avx2", "avx512", "avx512vnni"};

NbIsa nb_isa_detect(void) {
#if defined(__x86_64__)
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))
        return NB_ISA_C;
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
        !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512vl"))
        return NB_ISA_AVX2;
    return __builtin_cpu_supports("avx512vnni") ? NB_ISA_AVX512VNNI : NB_ISA_AVX512;
#else
    return NB_ISA_C;
#endif
}

const char *nb_isa_name(NbIsa isa) { return names[isa]; }

NbStatus nb_isa_parse(const char *name, NbIsa *out, NbError *err) {
    for (int i = 0; i < (int)(sizeof names / sizeof *names); i++) {
        if (strcmp(name, names[i]) == 0) {
            *out = (NbIsa)i;
            return NB_OK;
        }
    }
    return nb_fail(NB_ERR_ARGUMENT, err, "isa: expected c, avx2, avx512 or avx512vnni, found '%s'",
                   name);
}

NbStatus nb_isa_choose(const char *cap, NbIsa *out, NbError *err) {
    *out = nb_isa_detect();
    if (!cap || !*cap)
        cap = getenv("NIBBLE_ISA");
    if (!cap || !*cap)
        return NB_OK;
    NbIsa limit = NB_ISA_C;
    NB_TRY(nb_isa_parse(cap, &limit, err));
    if (limit < *out)
        *out = limit;
    return NB_OK;
}
