/* SPDX-License-Identifier: Apache-2.0
 *
 * What every fuzz target uses. A target asserts more than "no crash": what was accepted must
 * survive writing and reading. Arenas have a limit, so that a small input that asks for much fails.
 */
#ifndef NB_TESTS_FUZZ_FUZZ_H
#define NB_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { NB_FUZZ_LIMIT = 64 << 20 }; /* bytes an arena of a target may hold */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ends the program, with or without NDEBUG, so that libFuzzer keeps the input. */
#define NB_FUZZ_ASSERT(condition)                                                                  \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                  \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* The name of a file of this process, in memory where there is such a folder. Written into out. */
static inline const char *nb_fuzz_scratch(const char *suffix, char *out, size_t size) {
    const char *const folder = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    (void)snprintf(out, size, "%s/nb_fuzz_%d%s", folder, (int)getpid(), suffix);
    return out;
}

#endif
