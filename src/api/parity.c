/* SPDX-License-Identifier: Apache-2.0 */
#include "api/parity.h"

#include "api/rt/build.h"
#include "engine/engine.h"
#include "graph/interpret.h"
#include "lower/integer/integer.h"
#include "nn/executor.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 16 }; /* pictures interpreted at once, one a thread */

struct NbParity {
    NbParts needed; /* what integers compute of the model */
    NbGraph graph;  /* a copy, inferred for one picture: the interpreter's */
    NbArena arena;
    NbExecutor *executor; /* keeps every value, fuses nothing */
    NbExecutor *fused;    /* as validation runs it: its outputs are compared */
    NbEngine *engine;
    NbPool *pool;
    int height, width;
    float *expected; /* one tensor, NHWC */
    float *sim;
    int32_t *integer;
    size_t largest; /* values in the largest tensor */
    NbParityCount count[NB_PARITY_REPRESENTATIONS];
    int images;
};

/* One picture's interpretation. */
typedef struct Slot {
    NbArena arena;
    NbValue *value;
    NbStatus status;
    NbError error;
} Slot;

typedef struct Chunk {
    NbParity *parity;
    const uint8_t *images;
    Slot slot[CHUNK];
} Chunk;

static bool is_activation_quantizer(const NbGraph *g, NbNodeId id) {
    const NbNode *const node = &g->node[id];
    return node->op == NB_OP_QUANT && g->node[node->in[0]].op != NB_OP_PARAM;
}

static NbStatus make_engines(NbParity *p, NbModel *model, NbIsa isa, NbError *err) {
    NB_TRY(nb_model_parts(model, &p->arena, &p->needed, err));
    NbGraph *const g = &p->needed.graph;
    NB_TRY(nb_graph_infer(g, 1, p->height, p->width, err));
    NB_TRY(nb_graph_copy(g, &p->arena, &p->graph, err));
    NB_TRY(nb_graph_infer(&p->graph, 1, p->height, p->width, err));
    NbArena scratch = {0};
    NbGraph integer;
    NbStatus status = nb_lower_integer(&p->graph, &scratch, &integer, err);
    const NbEngineOptions options = {
        .height = p->height, .width = p->width, .isa = isa, .pool = p->pool, .keep = true};
    if (status == NB_OK)
        status = nb_engine_new(&integer, &options, &p->engine, err);
    nb_arena_release(&scratch);
    NB_TRY(status);
    NbExecutorOptions sim = {.batch = 1,
                             .height = p->height,
                             .width = p->width,
                             .quantizers = true,
                             .keep = true,
                             .pool = p->pool};
    NB_TRY(nb_executor_new(g, &sim, &p->executor, err));
    sim.keep = false;
    return nb_executor_new(g, &sim, &p->fused, err);
}

static NbStatus take_buffers(NbParity *p, NbError *err) {
    for (NbNodeId id = 0; id < p->graph.n_nodes; id++) {
        const size_t n = nb_shape_count(&p->graph.node[id].shape);
        if (p->graph.node[id].op != NB_OP_PARAM && n > p->largest)
            p->largest = n;
    }
    p->expected = NB_NEW(&p->arena, float, p->largest);
    p->sim = NB_NEW(&p->arena, float, p->largest);
    p->integer = NB_NEW(&p->arena, int32_t, p->largest);
    return p->expected && p->sim && p->integer ? NB_OK : nb_fail_memory(err, "parity");
}

NbStatus nb_parity_new(NbModel *model, int height, int width, NbIsa isa, NbPool *pool,
                       NbParity **out, NbError *err) {
    *out = NULL;
    NbParity *const p = calloc(1, sizeof *p);
    if (!p)
        return nb_fail_memory(err, "parity");
    *p = (NbParity){.pool = pool, .height = height, .width = width};
    p->count[0].name = "sim";
    p->count[1].name = "int";
    NbStatus status = make_engines(p, model, isa, err);
    if (status == NB_OK)
        status = take_buffers(p, err);
    if (status != NB_OK) {
        nb_parity_free(p);
        return status;
    }
    *out = p;
    return NB_OK;
}

void nb_parity_free(NbParity *p) {
    if (!p)
        return;
    nb_executor_free(p->executor);
    nb_executor_free(p->fused);
    nb_engine_free(p->engine);
    nb_arena_release(&p->arena);
    free(p);
}

static void interpret_one(void *user, int index, int worker) {
    (void)worker;
    Chunk *const chunk = user;
    NbParity *const p = chunk->parity;
    Slot *const slot = &chunk->slot[index];
    const size_t area = (size_t)p->height * (size_t)p->width;
    const uint8_t *const image = chunk->images + (size_t)index * area * 3;
    uint8_t *const planes = NB_NEW(&slot->arena, uint8_t, area * 3);
    slot->value = NB_NEW(&slot->arena, NbValue, (size_t)p->graph.n_nodes);
    if (!planes || !slot->value) {
        slot->status = nb_fail_memory(&slot->error, "the interpreter");
        return;
    }
    for (size_t i = 0; i < area; i++)
        for (size_t c = 0; c < 3; c++)
            planes[c * area + i] = image[i * 3 + c];
    slot->status = nb_interpret(&p->graph, planes, NB_RUN_OUTPUTS, true, &slot->arena, slot->value,
                                &slot->error);
}

/* The interpreter's NCHW value as NHWC. */
static size_t expect(NbParity *p, const NbValue *v) {
    const int64_t *const d = v->t.shape.dim;
    const float *const x = nb_f32(&v->t);
    const size_t area = (size_t)(d[2] * d[3]);
    const size_t channels = (size_t)d[1];
    for (size_t c = 0; c < channels; c++)
        for (size_t i = 0; i < area; i++)
            p->expected[i * channels + c] = x[c * area + i];
    return area * channels;
}

static void note(NbParity *p, NbParityCount *count, const char *tensor, size_t i, double got) {
    const double diff = fabs(got - (double)p->expected[i]);
    if (!count->first_tensor) {
        count->first_tensor = tensor;
        count->first_image = p->images;
        count->first_index = (int64_t)i;
    }
    count->mismatches++;
    if (!(diff <= count->max_diff))
        count->max_diff = diff;
}

static void compare_floats(NbParity *p, NbParityCount *count, const char *tensor, const float *got,
                           size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!(got[i] == p->expected[i])) /* -0 equals 0; NaN equals nothing */
            note(p, count, tensor, i, (double)got[i]);
    count->values += (int64_t)n;
    count->tensors++;
}

static NbStatus compare_codes(NbParity *p, const NbValue *value, NbNodeId id, NbError *err) {
    const char *const name = p->graph.node[id].name;
    const size_t n = expect(p, value);
    bool coded = false;
    const NbStatus status = nb_executor_tap(p->executor, id, p->sim, &coded, err);
    if (status == NB_OK && coded)
        compare_floats(p, &p->count[0], name, p->sim, n);
    else if (status != NB_OK && status != NB_ERR_UNSUPPORTED)
        return status;
    size_t found = 0;
    NB_TRY(nb_engine_tap(p->engine, name, p->integer, p->largest, &found, err));
    if (found != n)
        return nb_fail(NB_ERR_CHECK, err, "%s: expected %zu integers, the engine has %zu", name, n,
                       found);
    for (size_t i = 0; i < n; i++)
        if (p->integer[i] != (int32_t)p->expected[i])
            note(p, &p->count[1], name, i, (double)p->integer[i]);
    p->count[1].values += (int64_t)n;
    p->count[1].tensors++;
    return NB_OK;
}

static NbStatus compare_picture(NbParity *p, const uint8_t *image, const NbValue *value,
                                NbError *err) {
    NB_TRY(nb_executor_forward(p->executor, image, 1, false, err));
    NB_TRY(nb_executor_forward(p->fused, image, 1, false, err));
    NB_TRY(nb_engine_run(p->engine, image, err));
    p->count[0].tensors = 0;
    p->count[1].tensors = 0;
    for (NbNodeId id = 0; id < p->graph.n_nodes; id++)
        if (is_activation_quantizer(&p->graph, id) && value[id].t.data)
            NB_TRY(compare_codes(p, &value[id], id, err));
    for (int i = 0; i < p->graph.n_outputs; i++) {
        const NbNodeId id = p->graph.output[i];
        const NbValue *const v = &value[id];
        size_t n = expect(p, v);
        if (v->coded) /* outputs are compared as real numbers */
            for (size_t k = 0; k < n; k++)
                p->expected[k] = (p->expected[k] - v->zero) * v->scale[0];
        int64_t dim[3];
        const char *const name = p->graph.node[id].name;
        compare_floats(p, &p->count[0], name, nb_executor_output(p->executor, i), n);
        compare_floats(p, &p->count[0], name, nb_executor_output(p->fused, i), n);
        compare_floats(p, &p->count[1], name, nb_engine_output(p->engine, i, dim), n);
    }
    p->images++;
    return NB_OK;
}

NbStatus nb_parity_add(NbParity *p, const uint8_t *images, int count, NbError *err) {
    const size_t picture = (size_t)p->height * (size_t)p->width * 3;
    NbStatus status = NB_OK;
    for (int at = 0; at < count && status == NB_OK; at += CHUNK) {
        const int n = count - at < CHUNK ? count - at : CHUNK;
        Chunk chunk = {.parity = p, .images = images + (size_t)at * picture};
        nb_pool_run(p->pool, n, interpret_one, &chunk);
        for (int i = 0; i < n; i++) {
            Slot *const slot = &chunk.slot[i];
            if (status == NB_OK && slot->status != NB_OK)
                status = nb_fail(slot->status, err, "%s", slot->error.message);
            if (status == NB_OK)
                status = compare_picture(p, chunk.images + (size_t)i * picture, slot->value, err);
            nb_arena_release(&slot->arena);
        }
    }
    return status;
}

const NbParityCount *nb_parity_counts(const NbParity *p, int *images) {
    *images = p->images;
    return p->count;
}
