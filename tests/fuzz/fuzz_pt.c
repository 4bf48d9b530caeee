/* SPDX-License-Identifier: Apache-2.0
 *
 * Files of torch.save. Every tensor of what is read can be read to its end; models are built. */
#include "fuzz.h"

#include "format/pt.h"
#include "model/import_pt.h"

#include <string.h>

static unsigned touch(const NbTensor *t) {
    const size_t bytes = nb_tensor_count(t) * nb_dtype_size(t->dtype);
    unsigned sum = 0;
    for (size_t i = 0; i < bytes; i++)
        sum += ((const unsigned char *)t->data)[i];
    return sum;
}

static void read_state(NbBytes bytes) {
    NbArena arena = {.limit = NB_FUZZ_LIMIT};
    NbError err = {0};
    NbPt pt = {0};
    if (nb_pt_read("f", bytes, &arena, &pt, &err) != NB_OK) {
        NB_FUZZ_ASSERT(strncmp(err.message, "f: ", 3) == 0);
        nb_arena_release(&arena);
        return;
    }
    volatile unsigned sum = 0;
    NB_FUZZ_ASSERT(pt.model && pt.root);
    for (size_t i = 0; i < pt.state.n_tensors; i++) {
        const NbTensor *const t = &pt.state.tensor[i].tensor;
        NB_FUZZ_ASSERT((uintptr_t)t->data % nb_dtype_size(t->dtype) == 0);
        sum += touch(t);
    }
    nb_arena_release(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    NbArena arena = {.limit = NB_FUZZ_LIMIT};
    NbError err = {0};
    NbModel m;
    NbLoadReport report;
    const NbModelOptions o = {.memory_limit = NB_FUZZ_LIMIT};
    read_state((NbBytes){data, size});
    if (nb_model_from_pt("f", (NbBytes){data, size}, &o, &arena, &report, &m, &err) == NB_OK) {
        NB_FUZZ_ASSERT(m.graph.n_nodes > 0 && m.head.levels > 0 && report.loaded > 0);
        nb_model_release(&m);
    } else {
        NB_FUZZ_ASSERT(!m.graph.node && strncmp(err.message, "f: ", 3) == 0);
    }
    nb_arena_release(&arena);
    return 0;
}
