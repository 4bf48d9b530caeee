/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "format/onnx.h"
#include "model/onnx/import.h"

#include <string.h>

/* Every pointer that the header promises may be read. */
static size_t touch_tensor(const NbOnnxTensor *t) {
    size_t sum = strlen(t->name);
    if (t->type == NB_ONNX_STRING)
        for (size_t i = 0; i < nb_shape_count(&t->shape); i++)
            sum += t->string[i].size;
    const unsigned char *const bytes = t->data;
    for (size_t i = 0; i < t->size; i++)
        sum += bytes[i];
    NB_FUZZ_ASSERT(t->type == NB_ONNX_STRING ||
                   t->size * 8 <
                       8 + nb_shape_count(&t->shape) * (size_t)nb_onnx_type_bits(t->type));
    return sum;
}

static size_t touch_graph(const NbOnnxGraph *g) {
    size_t sum = strlen(g->name);
    for (size_t i = 0; i < g->n_initializers; i++)
        sum += touch_tensor(&g->initializer[i]);
    for (size_t i = 0; i < g->n_nodes; i++) {
        const NbOnnxNode *const n = &g->node[i];
        sum += strlen(n->op) + strlen(n->domain);
        for (size_t k = 0; k < n->n_in; k++)
            sum += strlen(n->in[k]);
        for (size_t k = 0; k < n->n_attrs; k++) {
            const NbOnnxAttr *const a = &n->attr[k];
            sum += strlen(a->name) + a->s.size;
            for (size_t j = 0; j < a->n; j++)
                sum += a->kind == NB_ONNX_ATTR_INTS      ? (size_t)a->ints[j]
                       : a->kind == NB_ONNX_ATTR_STRINGS ? a->strings[j].size
                                                         : a->floats[j] > 0.0F;
            if (a->kind == NB_ONNX_ATTR_TENSOR && a->t)
                sum += touch_tensor(a->t);
            if (a->kind == NB_ONNX_ATTR_GRAPH && a->g)
                sum += touch_graph(a->g);
        }
    }
    return sum;
}

/* What comes in as a graph infers again; what does not is refused in one sentence. */
static void import(const NbOnnxModel *model) {
    NbArena arena = {.limit = NB_FUZZ_LIMIT};
    NbError err = {0};
    NbOnnxNet net;
    const NbOnnxImportOptions options = {.height = 32, .width = 32};
    if (nb_onnx_import("f", model, &options, &arena, &net, &err) == NB_OK)
        NB_FUZZ_ASSERT(nb_graph_infer(&net.graph, 1, 32, 32, &err) == NB_OK);
    else
        NB_FUZZ_ASSERT(strncmp(err.message, "f: ", 3) == 0);
    nb_arena_release(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    NbArena arena = {.limit = NB_FUZZ_LIMIT};
    NbError err = {0};
    NbOnnxModel model = {0};
    static volatile size_t sink;
    if (nb_onnx_read("f", (NbBytes){data, size}, &arena, &model, &err) == NB_OK) {
        sink = touch_graph(&model.graph);
        import(&model);
    } else {
        NB_FUZZ_ASSERT(strncmp(err.message, "f: ", 3) == 0);
    }
    (void)sink;
    nb_arena_release(&arena);
    return 0;
}
