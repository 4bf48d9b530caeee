/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "format/safetensors.h"

#include <string.h>

static void expect_equal(const NbSafetensors *a, const NbSafetensors *b) {
    NB_FUZZ_ASSERT(a->n_tensors == b->n_tensors && a->n_metadata == b->n_metadata);
    for (size_t i = 0; i < a->n_tensors; i++) {
        const NbTensor *const t = &a->tensor[i].tensor;
        const NbTensor *const u = nb_safetensors_find(b, a->tensor[i].name);
        NB_FUZZ_ASSERT(u && u->dtype == t->dtype && nb_shape_equal(&u->shape, &t->shape));
        const size_t bytes = nb_tensor_count(t) * nb_dtype_size(t->dtype);
        NB_FUZZ_ASSERT(bytes == 0 || memcmp(t->data, u->data, bytes) == 0);
        NB_FUZZ_ASSERT((uintptr_t)t->data % nb_dtype_size(t->dtype) == 0);
    }
    for (size_t i = 0; i < a->n_metadata; i++) {
        NB_FUZZ_ASSERT(strcmp(a->metadata[i].key, b->metadata[i].key) == 0);
        NB_FUZZ_ASSERT(strcmp(a->metadata[i].value, b->metadata[i].value) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    NbArena arena = {.limit = NB_FUZZ_LIMIT};
    NbError err = {0};
    NbSafetensors file = {0};
    if (nb_safetensors_read("f", (NbBytes){data, size}, &arena, &file, &err) != NB_OK) {
        NB_FUZZ_ASSERT(strncmp(err.message, "f: ", 3) == 0);
        nb_arena_release(&arena);
        return 0;
    }
    char path[64];
    (void)nb_fuzz_scratch(".safetensors", path, sizeof path);
    NbBytes bytes = {0};
    NbBytes bytes2 = {0};
    NbSafetensors again = {0};
    NB_FUZZ_ASSERT(nb_safetensors_write(path, &file, &err) == NB_OK);
    NB_FUZZ_ASSERT(nb_file_read(path, 0, &arena, &bytes, &err) == NB_OK);
    NB_FUZZ_ASSERT(nb_safetensors_read(path, bytes, &arena, &again, &err) == NB_OK);
    expect_equal(&file, &again);
    /* once in our order, the same bytes for ever */
    NB_FUZZ_ASSERT(nb_safetensors_write(path, &again, &err) == NB_OK);
    NB_FUZZ_ASSERT(nb_file_read(path, 0, &arena, &bytes2, &err) == NB_OK);
    NB_FUZZ_ASSERT(bytes.size == bytes2.size && memcmp(bytes.data, bytes2.data, bytes.size) == 0);
    (void)unlink(path);
    nb_arena_release(&arena);
    return 0;
}
