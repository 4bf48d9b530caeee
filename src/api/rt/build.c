/* SPDX-License-Identifier: Apache-2.0 */
#include "api/rt/build.h"

#include "lower/integer/integer.h"

#include <string.h>

/* Whether an output only joins real numbers, channel by channel. */
static bool joins_reals(const NbGraph *g, NbNodeId id) {
    const NbNode *const node = &g->node[id];
    return node->op == NB_OP_CONCAT && node->attr.concat.axis == 1 && node->kind == NB_VALUE_REAL;
}

NbStatus nb_model_parts(NbModel *m, NbArena *arena, NbParts *out, NbError *err) {
    const NbGraph g = nb_model_inference(m);
    int n = 0;
    for (int i = 0; i < g.n_outputs; i++)
        n += joins_reals(&g, g.output[i]) ? g.node[g.output[i]].n_in : 1;
    *out = (NbParts){.graph = g};
    out->graph.output = NB_NEW(arena, NbNodeId, (size_t)n);
    out->graph.n_outputs = 0;
    if (!out->graph.output)
        return nb_fail_memory(err, "outputs");
    for (int i = 0; i < g.n_outputs; i++) {
        const NbNode *const node = &g.node[g.output[i]];
        const bool joins = joins_reals(&g, g.output[i]);
        out->first[i] = out->graph.n_outputs;
        for (int k = 0; k < (joins ? node->n_in : 1); k++)
            out->graph.output[out->graph.n_outputs++] = joins ? node->in[k] : g.output[i];
    }
    out->first[g.n_outputs] = out->graph.n_outputs;
    return NB_OK;
}

/* Sizes of the levels, and room for those that are joined. */
static NB_FALLIBLE take_levels(NbHeadEngine *e, NbError *err) {
    for (int i = 0; i < e->levels; i++) {
        for (int part = e->first[i]; part < e->first[i + 1]; part++) {
            int64_t dim[3];
            (void)nb_engine_output(e->engine, part, dim);
            e->dim[i][0] = dim[0];
            e->dim[i][1] = dim[1];
            e->dim[i][2] += dim[2];
        }
        const size_t n = (size_t)(e->dim[i][0] * e->dim[i][1] * e->dim[i][2]);
        if (e->first[i + 1] - e->first[i] == 1)
            continue;
        e->joined[i] = NB_NEW(&e->arena, float, n);
        if (!e->joined[i])
            return nb_fail_memory(err, "outputs");
    }
    return NB_OK;
}

static NB_FALLIBLE build(NbModel *m, const NbEngineOptions *options, NbArena *scratch,
                         NbHeadEngine *e, NbError *err) {
    NbParts parts;
    NbGraph integer;
    NB_TRY(nb_model_parts(m, scratch, &parts, err));
    memcpy(e->first, parts.first, sizeof e->first);
    e->levels = m->head.levels;
    NB_TRY(nb_graph_infer(&parts.graph, 1, options->height, options->width, err));
    NB_TRY(nb_lower_integer(&parts.graph, scratch, &integer, err));
    NB_TRY(nb_engine_new(&integer, options, &e->engine, err));
    return take_levels(e, err);
}

NbStatus nb_head_engine_new(NbModel *m, const char *name, const NbEngineOptions *options,
                            NbHeadEngine *out, NbError *err) {
    *out = (NbHeadEngine){0};
    if (!m->bits.quantized)
        return nb_fail(NB_ERR_UNSUPPORTED, err,
                       "%s: the model has no quantizers, integers cannot compute it; train it with "
                       "quantize=",
                       name);
    NbArena scratch = {0};
    const NbStatus status = build(m, options, &scratch, out, err);
    nb_arena_release(&scratch);
    if (status == NB_OK)
        return NB_OK;
    nb_head_engine_release(out);
    return nb_fail_in(status, err, "%s", name);
}

void nb_head_engine_release(NbHeadEngine *e) {
    nb_engine_free(e->engine);
    nb_arena_release(&e->arena);
    *e = (NbHeadEngine){0};
}

static void join(NbHeadEngine *e, int level) {
    const size_t cells = (size_t)(e->dim[level][0] * e->dim[level][1]);
    const size_t channels = (size_t)e->dim[level][2];
    float *to = e->joined[level];
    for (int part = e->first[level]; part < e->first[level + 1]; part++) {
        int64_t dim[3];
        const float *from = nb_engine_output(e->engine, part, dim);
        const size_t n = (size_t)dim[2];
        for (size_t i = 0; i < cells; i++)
            memcpy(to + i * channels, from + i * n, n * sizeof *to);
        to += n;
    }
}

NbStatus nb_head_engine_run(NbHeadEngine *e, const uint8_t *image, NbError *err) {
    NB_TRY(nb_engine_run(e->engine, image, err));
    for (int i = 0; i < e->levels; i++)
        if (e->joined[i])
            join(e, i);
    return NB_OK;
}

const float *nb_head_engine_output(const NbHeadEngine *e, int level) {
    int64_t dim[3];
    return e->joined[level] ? e->joined[level] : nb_engine_output(e->engine, e->first[level], dim);
}
