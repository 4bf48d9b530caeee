/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs the steps. */
#include "nn/internal.h"

#include <stdlib.h>
#include <string.h>

void nb_nn_failed(const NbNnTask *task, NbStatus status, const NbError *err) {
    NbExecutor *const x = task->x;
    if (status == NB_OK || x->status[task->worker] != NB_OK)
        return;
    x->status[task->worker] = status;
    x->error[task->worker] = *err;
}

NbStatus nb_nn_status(NbExecutor *x, NbError *err) {
    NbStatus first = NB_OK;
    for (int w = 0; w < x->workers; w++) {
        if (first == NB_OK && x->status[w] != NB_OK) {
            first = x->status[w];
            if (err)
                *err = x->error[w];
        }
        x->status[w] = NB_OK;
    }
    return first;
}

static NB_FALLIBLE check_options(const NbExecutorOptions *o, NbError *err) {
    if (o->first_output < 0)
        return nb_fail(NB_ERR_ARGUMENT, err, "outputs from %d on: 0 or more expected",
                       o->first_output);
    if (o->batch < 1 || o->height < 1 || o->width < 1 || o->shard < 0)
        return nb_fail(NB_ERR_ARGUMENT, err,
                       "an executor for %d pictures of %dx%d in shards of %d: positive numbers "
                       "expected",
                       o->batch, o->height, o->width, o->shard);
    return NB_OK;
}

static NB_FALLIBLE build(NbExecutor *x, NbError *err) {
    NbIsa isa;
    NB_TRY(nb_isa_choose(NULL, &isa, err));
    x->k = nb_nn_kernels(isa);
    NB_TRY(nb_dnnl_new(x->workers, &x->dnnl, err));
    x->status = NB_NEW(&x->arena, NbStatus, (size_t)x->workers);
    x->error = NB_NEW(&x->arena, NbError, (size_t)x->workers);
    if (!x->status || !x->error)
        return nb_fail_memory(err, "an executor");
    NB_TRY(nb_graph_infer(x->g, x->options.batch, x->options.height, x->options.width, err));
    NB_TRY(nb_nn_analyse(x, err));
    NB_TRY(nb_nn_make_steps(x, err));
    NB_TRY(nb_nn_place(x, err));
    if (x->options.profile)
        NB_TRY(nb_nn_profile_new(x, err));
    if (x->options.training && x->input >= 0) {
        x->images = nb_arena_take(&x->arena, (size_t)x->options.batch, x->value[x->input].count);
        if (!x->images)
            return nb_fail_memory(err, "the pictures of a batch");
    }
    return NB_OK;
}

NbStatus nb_executor_new(NbGraph *g, const NbExecutorOptions *options, NbExecutor **out,
                         NbError *err) {
    *out = NULL;
    NB_TRY(check_options(options, err));
    NbExecutor *const x = calloc(1, sizeof *x);
    if (!x)
        return nb_fail_memory(err, "an executor");
    x->g = g;
    x->options = *options;
    if (x->options.shard == 0)
        x->options.shard = 2;
    if (x->options.shard > x->options.batch)
        x->options.shard = x->options.batch;
    x->shards = (x->options.batch + x->options.shard - 1) / x->options.shard;
    x->workers = options->pool ? nb_pool_threads(options->pool) : 1;
    x->input = -1;
    x->scratch_bytes = NB_NN_TILE * sizeof(float);
    const NbStatus status = build(x, err);
    if (status == NB_OK)
        *out = x;
    else
        nb_executor_free(x);
    return status;
}

void nb_executor_free(NbExecutor *x) {
    if (!x)
        return;
    for (int i = 0; i < x->n_convs; i++)
        nb_nn_conv_free(&x->conv[i]);
    nb_dnnl_free(x->dnnl);
    nb_arena_release(&x->arena);
    free(x);
}

typedef struct PhaseRun {
    NbExecutor *x;
    int first;
    int end;
} PhaseRun;

/* One picture after the other through all steps: what one step makes is in cache for the next. */
static void run_shard(void *user, int index, int worker) {
    const PhaseRun *const run = user;
    NbExecutor *const x = run->x;
    const int first = index * x->options.shard;
    const int last = first + x->options.shard < x->count ? first + x->options.shard : x->count;
    NbNnTask task = {.x = x, .worker = worker, .shard = index};
    nb_dnnl_stay_in_thread(x->dnnl);
    for (task.picture = first; task.picture < last; task.picture++) {
        task.first = task.picture == first;
        for (int s = run->first; s < run->end && x->status[worker] == NB_OK; s++) {
            const double start = x->seconds ? nb_nn_thread_seconds() : 0.0;
            x->step[s].run(&task, &x->step[s]);
            if (x->seconds)
                x->seconds[worker][s] += nb_nn_thread_seconds() - start;
        }
    }
}

static NB_FALLIBLE run_phases(NbExecutor *x, int first, int end, NbError *err) {
    for (int p = first; p < end; p++) {
        const NbNnPhase before = p > 0 ? x->phase[p - 1] : (NbNnPhase){0};
        PhaseRun run = {.x = x, .first = before.end, .end = x->phase[p].end};
        if (run.end > run.first)
            nb_pool_run(x->options.pool, nb_nn_shards(x), run_shard, &run);
        NB_TRY(nb_nn_status(x, err));
        for (int r = before.reduction_end; r < x->phase[p].reduction_end; r++)
            NB_TRY(x->reduction[r].run(x, x->reduction[r].unit, err));
    }
    return NB_OK;
}

/* The scale of every coded value. */
static void set_scales(NbExecutor *x) {
    for (NbNodeId id = 0; id < x->g->n_nodes; id++) {
        const NbNode *const node = &x->g->node[id];
        NbNnValue *const v = &x->value[id];
        if (!v->live || !v->is_activation || !v->coded)
            continue;
        if (node->op == NB_OP_INPUT)
            v->scale = node->attr.input.scale;
        else if (node->op == NB_OP_QUANT)
            nb_quant_scale(&node->attr.quant, NULL, 1, v->count,
                           node->n_in == 2 ? nb_f32(&x->g->node[node->in[1]].param) : NULL,
                           &v->scale);
        else
            v->scale = x->value[node->scale_source].scale;
    }
}

NbStatus nb_executor_forward(NbExecutor *x, const uint8_t *images, int count, bool train,
                             NbError *err) {
    if (count < 1 || count > x->options.batch)
        return nb_fail(NB_ERR_ARGUMENT, err, "%d pictures, 1 to %d expected", count,
                       x->options.batch);
    if (train && !x->options.training)
        return nb_fail(NB_ERR_ARGUMENT, err, "a training forward of an executor for inference");
    x->count = count;
    x->train = train;
    x->ready = false;
    x->image_source = images;
    if (x->images) {
        memcpy(x->images, images, (size_t)count * x->value[x->input].count);
        x->image_source = x->images;
    }
    set_scales(x);
    nb_nn_chains_prepare(x);
    NB_TRY(nb_nn_convs_prepare(x, err));
    NB_TRY(run_phases(x, 0, x->n_forward_phases, err));
    x->ready = train;
    return NB_OK;
}

const float *nb_executor_output(const NbExecutor *x, int i) {
    NbNnTask task = {.x = NULL};
    memcpy(&task.x, &x, sizeof task.x); /* only reads */
    return x->output[i] < 0 ? NULL : nb_nn_at(&task, x->output[i]);
}

static void clear_gradients(const NbExecutor *x) {
    for (NbNodeId id = 0; id < x->g->n_nodes; id++)
        if (x->grad[id])
            memset(x->grad[id], 0, nb_tensor_count(&x->g->node[id].param) * sizeof(float));
}

NbStatus nb_executor_backward(NbExecutor *x, const float *const d_output[], NbError *err) {
    if (!x->ready)
        return nb_fail(NB_ERR_ARGUMENT, err, "a backward without a training forward before it");
    x->d_output = d_output;
    clear_gradients(x);
    NB_TRY(run_phases(x, x->n_forward_phases, x->n_phases, err));
    NB_TRY(nb_nn_convs_finish(x, err));
    nb_nn_chains_finish(x);
    return NB_OK;
}

float *nb_executor_grad(const NbExecutor *x, NbNodeId param) {
    return param >= 0 && param < x->g->n_nodes ? x->grad[param] : NULL;
}

NbStatus nb_executor_tap(NbExecutor *x, NbNodeId node, float *out, bool *coded, NbError *err) {
    if (node < 0 || node >= x->g->n_nodes)
        return nb_fail(NB_ERR_ARGUMENT, err, "node %d, 0 to %d expected", node, x->g->n_nodes - 1);
    const NbNnValue *const v = &x->value[x->value[node].source];
    if (!v->live || !v->is_activation || v->value < 0 || !x->memory[v->value].pinned)
        return nb_fail(NB_ERR_UNSUPPORTED, err,
                       "the value of '%s' is not kept (options.keep keeps all activations)",
                       x->g->node[node].name);
    for (NbNnTask task = {.x = x}; task.picture < x->count; task.picture++)
        nb_nn_value_in_order(&task, node, true, out + (size_t)task.picture * v->count);
    *coded = v->coded;
    const float zero = nb_graph_zero(x->g, node);
    for (size_t i = 0; zero != 0.0F && *coded && i < (size_t)x->count * v->count; i++)
        out[i] += zero;
    return NB_OK;
}

size_t nb_executor_bytes(const NbExecutor *x) { return x->arena.total; }
