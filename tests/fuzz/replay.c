/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs a fuzz target over every file of the folders on the command line: its corpus as an ordinary
 * test. Each input lies in a block of its own size, so that reading past it is seen. */
#include "fuzz.h"

#include "base/file.h"

#include <string.h>

static void run(const unsigned char *data, size_t size) {
    unsigned char *const copy = calloc(1, size > 0 ? size : 1);
    NB_FUZZ_ASSERT(copy);
    if (size > 0)
        memcpy(copy, data, size);
    (void)LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

int main(int argc, char **argv) {
    NbArena arena = {0};
    NbError err = {0};
    size_t total = 0;
    run(NULL, 0);
    for (int i = 1; i < argc; i++) {
        char **path = NULL;
        size_t n = 0;
        if (nb_folder_list(argv[i], true, 100000, &arena, &path, &n, &err) != NB_OK) {
            (void)fprintf(stderr, "%s\n", err.message);
            return 1;
        }
        for (size_t k = 0; k < n; k++) {
            NbBytes bytes;
            if (nb_file_read(path[k], 0, &arena, &bytes, &err) != NB_OK) {
                (void)fprintf(stderr, "%s\n", err.message);
                return 1;
            }
            run(bytes.data, bytes.size);
        }
        total += n;
    }
    nb_arena_release(&arena);
    (void)printf("%zu inputs\n", total);
    return total > 0 ? 0 : 1;
}
