/* SPDX-License-Identifier: Apache-2.0
 *
 * The engine as its users see it. */
#include "engine/engine.h"

#include "base/clock.h"
#include "engine/plan.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A copy of the caller's graph in the memory of the plan, so that shapes can be filled in. */
static NB_FALLIBLE build(NbEngine *e, const NbGraph *g, const NbEngineOptions *options,
                         NbArena *scratch, NbError *err) {
    NB_TRY(nb_graph_copy(g, e->keep || e->profile ? &e->arena : scratch, &e->graph, err));
    NB_TRY(nb_graph_infer(&e->graph, 1, options->height, options->width, err));
    return nb_plan_build(e, scratch, err);
}

NbStatus nb_engine_new(const NbGraph *integer_graph, const NbEngineOptions *options, NbEngine **out,
                       NbError *err) {
    *out = NULL;
    if (options->height < 1 || options->width < 1)
        return nb_fail(NB_ERR_ARGUMENT, err, "pictures of %dx%d, at least 1x1 expected",
                       options->height, options->width);
    NbEngine *e = calloc(1, sizeof *e);
    if (!e)
        return nb_fail_memory(err, "an engine");
    NbArena scratch = {0};
    e->kernels = nb_kernels_for(options->isa);
    e->pool = options->pool;
    e->threads = options->pool ? nb_pool_threads(options->pool) : 1;
    e->keep = options->keep;
    e->profile = options->profile;
    const NbStatus status = build(e, integer_graph, options, &scratch, err);
    nb_arena_release(&scratch);
    if (status != NB_OK) {
        nb_engine_free(e);
        return status;
    }
    if (!e->keep && !e->profile)
        e->graph = (NbGraph){0};
    *out = e;
    return NB_OK;
}

void nb_engine_free(NbEngine *e) {
    if (!e)
        return;
    nb_arena_release(&e->arena);
    free(e);
}

NbStatus nb_engine_run(NbEngine *e, const uint8_t *image, NbError *err) {
    if (!image)
        return nb_fail(NB_ERR_ARGUMENT, err, "no picture was given");
    e->image = image;
    for (int i = 0; i < e->n_steps; i++) {
        NbStep *s = &e->step[i];
        const double start = e->profile ? nb_clock_seconds() : 0.0;
        nb_pool_run(s->items > 1 ? e->pool : NULL, s->items, s->work, s);
        if (e->profile)
            s->seconds += nb_clock_seconds() - start;
    }
    e->image = NULL;
    e->ran = true;
    return NB_OK;
}

const float *nb_engine_output(const NbEngine *e, int i, int64_t dim[3]) {
    memcpy(dim, e->output[i].dim, sizeof e->output[i].dim);
    return e->output[i].real;
}

bool nb_engine_profile(const NbEngine *e, int i, NbEngineProfile *out) {
    static const struct {
        NbPoolWork *work;
        const char *name;
    } kinds[] = {
        {nb_step_input, "input"},         {nb_step_conv, "conv"},     {nb_step_maxpool, "pool"},
        {nb_step_upsample, "upsample"},   {nb_step_concat, "concat"}, {nb_step_pad, "pad"},
        {nb_step_threshold, "threshold"}, {nb_step_add, "add"},       {nb_step_dequant, "output"}};
    if (!e->profile || i < 0 || i >= e->n_steps)
        return false;
    const NbStep *const s = &e->step[i];
    const NbNodeId node = s->conv >= 0 ? s->conv : s->node;
    *out =
        (NbEngineProfile){.node = e->graph.node[node].name, .what = "step", .seconds = s->seconds};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        if (kinds[k].work == s->work)
            out->what = kinds[k].name;
    return true;
}

size_t nb_engine_bytes(const NbEngine *e) { return sizeof *e + e->arena.total; }
