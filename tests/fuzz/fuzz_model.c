/* SPDX-License-Identifier: Apache-2.0
 *
 * Model files and the bits grammar. What is accepted has shapes, a cost, and is built again alike;
 * what is refused says where. */
#include "fuzz.h"

#include "graph/print.h"
#include "model/model.h"

#include <string.h>

static void check_bits(const uint8_t *data, size_t size) {
    NbArena arena = {.limit = NB_FUZZ_LIMIT};
    NbError err = {0};
    NbBits bits = {0};
    const size_t n = strnlen((const char *)data, size < 128 ? size : 128);
    const char *text = nb_arena_string_n(&arena, (const char *)data, n);
    if (text && nb_bits_parse(text, &arena, &bits, &err) == NB_OK) {
        const char *again = nb_bits_text(&bits, &arena);
        NB_FUZZ_ASSERT(again && nb_bits_parse(again, &arena, &bits, &err) == NB_OK);
        NB_FUZZ_ASSERT(strcmp(nb_bits_text(&bits, &arena), again) == 0);
    }
    nb_arena_release(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    NbError err = {0};
    NbModel m;
    NbModel again;
    NbModelCost cost;
    check_bits(data, size);
    const NbModelOptions o = {.memory_limit = NB_FUZZ_LIMIT};
    const NbStatus status = nb_model_from_yaml("f", (const char *)data, size, &o, &m, &err);
    if (status != NB_OK) {
        NB_FUZZ_ASSERT(!m.graph.node && err.message[0]);
        NB_FUZZ_ASSERT(status == NB_ERR_NOMEM || strncmp(err.message, "f:", 2) == 0);
        return 0;
    }
    NB_FUZZ_ASSERT(nb_model_cost(&m, 256, 256, &cost, &err) == NB_OK);
    NB_FUZZ_ASSERT(cost.params >= 0 && cost.macs >= cost.deploy_macs);
    NB_FUZZ_ASSERT(nb_model_from_yaml("f", m.yaml, strlen(m.yaml), &o, &again, &err) == NB_OK);
    NbText a = {0};
    NbText b = {0};
    nb_graph_print(&m.graph, &a);
    nb_graph_print(&again.graph, &b);
    NB_FUZZ_ASSERT(a.size == b.size && memcmp(a.data, b.data, a.size) == 0);
    nb_text_release(&a);
    nb_text_release(&b);
    nb_model_release(&again);
    nb_model_release(&m);
    return 0;
}
