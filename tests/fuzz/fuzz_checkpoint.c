/* SPDX-License-Identifier: Apache-2.0
 *
 * Checkpoints. What is accepted survives writing and reading. */
#include "fuzz.h"

#include "model/checkpoint.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    NbError err = {0};
    NbModel m;
    NbModel again;
    const NbModelOptions o = {.memory_limit = NB_FUZZ_LIMIT};
    char path[64];
    if (nb_model_from_checkpoint("f", (NbBytes){data, size}, &o, &m, &err) != NB_OK) {
        NB_FUZZ_ASSERT(!m.graph.node && strncmp(err.message, "f", 1) == 0);
        return 0;
    }
    (void)nb_fuzz_scratch(".safetensors", path, sizeof path);
    NB_FUZZ_ASSERT(nb_model_write(path, &m, &err) == NB_OK);
    NB_FUZZ_ASSERT(nb_model_read(path, NULL, 0, &again, &err) == NB_OK);
    (void)unlink(path);
    NB_FUZZ_ASSERT(again.graph.n_nodes == m.graph.n_nodes);
    for (NbNodeId id = 0; id < m.graph.n_nodes; id++) {
        const NbTensor *t = &m.graph.node[id].param;
        if (m.graph.node[id].op == NB_OP_PARAM)
            NB_FUZZ_ASSERT(memcmp(t->data, again.graph.node[id].param.data,
                                  nb_tensor_count(t) * sizeof(float)) == 0);
    }
    nb_model_release(&m);
    nb_model_release(&again);
    return 0;
}
