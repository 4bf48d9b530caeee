/* SPDX-License-Identifier: Apache-2.0
 *
 * The YAML of a data set. */
#include "fuzz.h"

#include "data/dataset.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    NbArena arena = {.limit = NB_FUZZ_LIMIT};
    NbError err = {0};
    NbDataset d;
    const NbStatus status =
        nb_dataset_parse("/nowhere/data.yaml", (NbBytes){data, size}, &arena, &d, &err);
    if (status == NB_OK) {
        NB_FUZZ_ASSERT(d.nc >= 1 && d.root);
        for (int i = 0; i < d.nc; i++)
            NB_FUZZ_ASSERT(d.names[i]);
        int given = 0;
        for (int k = 0; k < 3; k++) {
            NB_FUZZ_ASSERT((d.n_paths[k] > 0) == (d.split_path[k] != NULL));
            for (int i = 0; i < d.n_paths[k]; i++)
                NB_FUZZ_ASSERT(d.paths[k][i] && *d.paths[k][i]);
            given += d.n_paths[k] > 0;
        }
        NB_FUZZ_ASSERT(given > 0);
    } else {
        NB_FUZZ_ASSERT(err.message[0]);
    }
    nb_arena_release(&arena);
    return 0;
}
