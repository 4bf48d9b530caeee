/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "format/npy.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    NbArena arena = {.limit = NB_FUZZ_LIMIT};
    NbError err = {0};
    NbTensor t = {0};
    if (nb_npy_read("f", (NbBytes){data, size}, &arena, &t, &err) != NB_OK) {
        NB_FUZZ_ASSERT(strncmp(err.message, "f: ", 3) == 0);
        nb_arena_release(&arena);
        return 0;
    }
    char path[64];
    (void)nb_fuzz_scratch(".npy", path, sizeof path);
    NbTensor again = {0};
    NB_FUZZ_ASSERT(nb_npy_write(path, &t, &err) == NB_OK);
    NB_FUZZ_ASSERT(nb_npy_read_file(path, &arena, &again, &err) == NB_OK);
    (void)unlink(path);
    NB_FUZZ_ASSERT(again.dtype == t.dtype && nb_shape_equal(&again.shape, &t.shape));
    const size_t bytes = nb_tensor_count(&t) * nb_dtype_size(t.dtype);
    NB_FUZZ_ASSERT(bytes <= size && memcmp(again.data, t.data, bytes) == 0);
    nb_arena_release(&arena);
    return 0;
}
