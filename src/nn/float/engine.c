/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/float/float.h"

#include "nn/float/internal.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

static NB_FALLIBLE check_options(const NbGraph *g, NbFloatOptions *o, NbError *err) {
    if (o->n_outputs == 0)
        o->n_outputs = g->n_outputs - o->first_output;
    if (o->batch == 0)
        o->batch = 1;
    if (o->first_output < 0 || o->n_outputs < 1 || o->n_outputs > g->n_outputs - o->first_output)
        return nb_fail(NB_ERR_ARGUMENT, err, "outputs %d to %d of %d are wanted", o->first_output,
                       o->first_output + o->n_outputs - 1, g->n_outputs);
    if (o->batch < 1)
        return nb_fail(NB_ERR_ARGUMENT, err, "a batch of %d, at least 1 expected", o->batch);
    return NB_OK;
}

static NB_FALLIBLE find_inputs(NbFloatEngine *x, NbError *err) {
    for (NbNodeId id = 0; id < x->g->n_nodes; id++)
        x->n_inputs += x->g->node[id].op == NB_OP_INPUT;
    x->input = NB_NEW(&x->arena, NbNodeId, (size_t)x->n_inputs);
    if (!x->input)
        return nb_fail_memory(err, "inputs");
    int n = 0;
    for (NbNodeId id = 0; id < x->g->n_nodes; id++)
        if (x->g->node[id].op == NB_OP_INPUT)
            x->input[n++] = id;
    return NB_OK;
}

static NB_FALLIBLE take_outputs(NbFloatEngine *x, NbError *err) {
    x->n_outputs = x->options.n_outputs;
    x->output = NB_NEW(&x->arena, NbFloatPlace, (size_t)x->n_outputs);
    x->output_count = NB_NEW(&x->arena, size_t, (size_t)x->n_outputs);
    x->output_shape = NB_NEW(&x->arena, NbShape, (size_t)x->n_outputs);
    x->kept = NB_NEW(&x->arena, float *, (size_t)x->n_outputs);
    return x->output && x->output_count && x->output_shape && x->kept
               ? NB_OK
               : nb_fail_memory(err, "outputs");
}

static NB_FALLIBLE keep_outputs(NbFloatEngine *x, NbError *err) {
    for (int i = 0; x->options.batch > 1 && i < x->n_outputs; i++) {
        x->kept[i] = NB_NEW(&x->arena, float, x->output_count[i] * (size_t)x->options.batch);
        if (!x->kept[i])
            return nb_fail_memory(err, "outputs");
    }
    return NB_OK;
}

static NB_FALLIBLE build(NbFloatEngine *x, NbError *err) {
    NB_TRY(check_options(x->g, &x->options, err));
    NB_TRY(nb_graph_infer(x->g, 1, x->options.height, x->options.width, err));
    x->k = nb_float_kernels(x->options.isa);
    x->threads = nb_pool_threads(x->options.pool);
    NB_TRY(take_outputs(x, err));
    NB_TRY(find_inputs(x, err));
    NB_TRY(nb_float_analyse(x, err));
    for (int i = 0; i < x->n_convs; i++)
        NB_TRY_IN(nb_float_conv_shape(x, &x->conv[i], err), err, "'%s'",
                  x->g->node[x->conv[i].node].name);
    NB_TRY(nb_float_place_concats(x, err));
    NB_TRY(nb_float_make_steps(x, err));
    NB_TRY(nb_float_plan_memory(x, err));
    NB_TRY(nb_float_prepare_generic(x, err));
    NB_TRY(keep_outputs(x, err));
    return nb_float_pack(x, err);
}

NbStatus nb_float_new(NbGraph *g, const NbFloatOptions *options, NbFloatEngine **out,
                      NbError *err) {
    *out = NULL;
    NbFloatEngine *const x = calloc(1, sizeof *x);
    if (!x)
        return nb_fail_memory(err, "a float engine");
    x->g = g;
    x->options = *options;
    const NbStatus status = build(x, err);
    if (status == NB_OK)
        *out = x;
    else
        nb_float_free(x);
    return status;
}

void nb_float_free(NbFloatEngine *x) {
    if (!x)
        return;
    nb_arena_release(&x->arena);
    nb_arena_release(&x->generic_arena);
    free(x);
}

typedef struct Job {
    NbFloatEngine *x;
    const NbFloatStep *step;
} Job;

static void run_item(void *user, int index, int worker) {
    const Job *const job = user;
    job->step->run(job->x, job->step, index, worker);
}

static void run_step(NbFloatEngine *x, NbFloatStep *step) {
    Job job = {.x = x, .step = step};
    const double start = x->options.profile ? nb_clock_seconds() : 0.0;
    nb_pool_run(x->options.pool, step->items, run_item, &job);
    if (x->options.profile)
        step->seconds += nb_clock_seconds() - start;
}

static NB_FALLIBLE run_pictures(NbFloatEngine *x, int count, NbError *err) {
    if (count < 1 || count > x->options.batch)
        return nb_fail(NB_ERR_ARGUMENT, err, "%d pictures, 1 to %d expected", count,
                       x->options.batch);
    for (x->picture = 0; x->picture < count; x->picture++) {
        for (int s = 0; s < x->n_steps; s++) {
            run_step(x, &x->step[s]);
            if (x->status != NB_OK) {
                const NbStatus status = x->status;
                x->status = NB_OK;
                return nb_fail(status, err, "'%s': %s", x->g->node[x->step[s].node].name,
                               x->error.message);
            }
        }
        for (int i = 0; i < x->n_outputs; i++)
            if (x->kept[i])
                memcpy(x->kept[i] + (size_t)x->picture * x->output_count[i], x->output[i].data,
                       x->output_count[i] * sizeof(float));
    }
    return NB_OK;
}

NbStatus nb_float_run(NbFloatEngine *x, const uint8_t *images, int count, NbError *err) {
    if (x->n_inputs != 1 || x->g->node[x->input[0]].attr.input.real)
        return nb_fail(NB_ERR_ARGUMENT, err,
                       "the graph has %d inputs of real numbers, one picture expected",
                       x->n_inputs);
    x->image = images;
    x->real = NULL;
    return run_pictures(x, count, err);
}

NbStatus nb_float_run_real(NbFloatEngine *x, const float *const *inputs, int count, NbError *err) {
    x->image = NULL;
    x->real = inputs;
    return run_pictures(x, count, err);
}

const float *nb_float_output(const NbFloatEngine *x, int i) {
    return x->kept[i] ? x->kept[i] : x->output[i].data;
}

NbShape nb_float_output_shape(const NbFloatEngine *x, int i) { return x->output_shape[i]; }

bool nb_float_profile(const NbFloatEngine *x, int i, NbFloatProfile *out) {
    if (i < 0 || i >= x->n_steps)
        return false;
    const NbFloatStep *const s = &x->step[i];
    const int conv = x->value[s->node].conv;
    *out =
        (NbFloatProfile){.node = x->g->node[s->node].name, .what = s->what, .seconds = s->seconds};
    if (conv >= 0 && s->unit == (const void *)&x->conv[conv]) {
        out->node = x->g->node[x->conv[conv].node].name;
        out->macs = x->conv[conv].macs;
    }
    return true;
}

size_t nb_float_bytes(const NbFloatEngine *x) { return x->arena.total + x->generic_arena.total; }
