/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/interpret.h"

#include "graph/run.h"

#include <assert.h>
#include <string.h>

NbStatus nb_value_real(const NbValue *v, NbArena *arena, const float **out, NbError *err) {
    if (v->t.dtype != NB_F32)
        return nb_fail(NB_ERR_ARGUMENT, err, "integers without a scale have no real value");
    *out = nb_f32(&v->t);
    if (!v->coded)
        return NB_OK;
    const size_t count = nb_tensor_count(&v->t);
    float *real = NB_NEW(arena, float, count);
    if (!real)
        return nb_fail_memory(err, "real values of codes");
    const size_t n = v->n_scale ? count / v->n_scale : 0;
    for (size_t c = 0; c < v->n_scale; c++)
        nb_quant_values(nb_f32(&v->t) + c * n, 1, n, &v->scale[c],
                        v->zero != 0.0F ? &v->zero : NULL, real + c * n);
    *out = real;
    return NB_OK;
}

NbStatus nb_run_real(NbRun *run, NbNodeId id, int i, const float **out, NbError *err) {
    const NbNodeId in = run->g->node[id].in[i];
    if (!run->real[in])
        NB_TRY(nb_value_real(&run->value[in], run->arena, &run->real[in], err));
    *out = run->real[in];
    return NB_OK;
}

NbStatus nb_run_new(NbRun *run, NbNodeId id, NbDtype dtype, NbError *err) {
    NbValue *v = &run->value[id];
    *v = (NbValue){0};
    return nb_tensor_new(run->arena, dtype, &run->g->node[id].shape, &v->t, err);
}

NbStatus nb_run_new_like(NbRun *run, NbNodeId id, NbError *err) {
    NB_TRY(nb_run_new(run, id, NB_F32, err));
    NbValue *v = &run->value[id];
    const NbValue *x = nb_run_in(run, id, 0);
    v->coded = nb_run_coded(run, id);
    if (!v->coded)
        return NB_OK;
    v->scale = x->scale;
    v->n_scale = x->n_scale;
    v->zero = x->zero;
    v->grid = run->g->node[id].grid;
    return NB_OK;
}

bool nb_run_coded(const NbRun *run, NbNodeId id) {
    const NbNode *node = &run->g->node[id];
    if (node->kind != NB_VALUE_CODED)
        return false;
    const int n = node->op == NB_OP_RESHAPE ? 1 : node->n_in; /* the second gives a shape only */
    for (int i = 0; i < n; i++)
        if (!run->value[node->in[i]].coded)
            return false;
    return true;
}

/* Which nodes are computed: those that outputs are made from, or all. */
static NB_FALLIBLE mark_needed(const NbGraph *g, bool all, NbArena *arena, bool **out,
                               NbError *err) {
    bool *const needed = NB_NEW(arena, bool, (size_t)g->n_nodes);
    if (!needed)
        return nb_fail_memory(err, "interpreter");
    for (int i = 0; i < g->n_outputs; i++)
        needed[g->output[i]] = true;
    for (NbNodeId id = g->n_nodes - 1; id >= 0; id--) {
        needed[id] = needed[id] || all;
        for (int i = 0; needed[id] && i < g->node[id].n_in; i++)
            needed[g->node[id].in[i]] = true;
    }
    *out = needed;
    return NB_OK;
}

static NB_FALLIBLE run_nodes(NbRun *run, bool all, NbError *err) {
    const NbGraph *g = run->g;
    bool *needed = NULL;
    run->real = NB_NEW(run->arena, const float *, (size_t)g->n_nodes);
    if (!run->real)
        return nb_fail_memory(err, "interpreter");
    NB_TRY(mark_needed(g, all, run->arena, &needed, err));
    for (NbNodeId id = 0; id < g->n_nodes; id++) {
        run->value[id] = (NbValue){0};
        if (needed[id])
            NB_TRY_IN(nb_op_def(g->node[id].op)->forward(run, id, err), err, "node %d (%s '%s')",
                      id, nb_op_name(g->node[id].op), g->node[id].name);
    }
    return NB_OK;
}

NbStatus nb_interpret(const NbGraph *g, const uint8_t *images, NbRunMode mode, bool quantizers,
                      NbArena *arena, NbValue *values, NbError *err) {
    NbRun run = {.g = g,
                 .images = images,
                 .mode = mode == NB_RUN_TRAIN ? NB_RUN_TRAIN : NB_RUN_EVAL,
                 .quantizers = quantizers,
                 .arena = arena,
                 .value = values};
    return run_nodes(&run, mode != NB_RUN_OUTPUTS, err);
}

NbStatus nb_interpret_tensors(const NbGraph *g, const NbTensor *inputs, bool quantizers,
                              NbArena *arena, NbValue *values, NbError *err) {
    NbRun run = {.g = g,
                 .inputs = inputs,
                 .mode = NB_RUN_EVAL,
                 .quantizers = quantizers,
                 .arena = arena,
                 .value = values};
    return run_nodes(&run, true, err);
}

/* Nodes whose gradient is asked for: trained parameters and everything between them and outputs. */
static bool leads_to_parameter(const NbGraph *g, NbNodeId id, const NbTensor *d) {
    const NbNode *node = &g->node[id];
    if (nb_param_trained(node))
        return true;
    for (int i = 0; i < node->n_in; i++)
        if (d[node->in[i]].data && nb_op_def(node->op)->backward)
            return true;
    return false;
}

static NB_FALLIBLE start_gradients(const NbGraph *g, const NbTensor *d_outputs, NbArena *arena,
                                   NbTensor *d, NbError *err) {
    for (NbNodeId id = 0; id < g->n_nodes; id++) {
        d[id] = (NbTensor){.dtype = NB_F32, .shape = g->node[id].shape};
        if (leads_to_parameter(g, id, d))
            NB_TRY(nb_tensor_new(arena, NB_F32, &g->node[id].shape, &d[id], err));
    }
    for (int o = 0; o < g->n_outputs; o++) {
        NbTensor *to = &d[g->output[o]];
        if (!nb_shape_equal(&to->shape, &d_outputs[o].shape))
            return nb_fail(NB_ERR_ARGUMENT, err, "gradient of output %d has another shape", o);
        const size_t count = to->data ? nb_tensor_count(to) : 0;
        for (size_t i = 0; i < count; i++)
            nb_f32(to)[i] += nb_f32(&d_outputs[o])[i];
    }
    return NB_OK;
}

static NB_FALLIBLE step_back(NbRun *run, NbNodeId id, NbTensor *d, NbError *err) {
    const NbNode *node = &run->g->node[id];
    const NbOpDef *def = nb_op_def(node->op);
    if (!d[id].data || !def->backward)
        return NB_OK;
    float **dx = NB_NEW(run->arena, float *, (size_t)node->n_in);
    if (!dx)
        return nb_fail_memory(err, "gradients");
    for (int i = 0; i < node->n_in; i++)
        dx[i] = nb_f32(&d[node->in[i]]);
    return def->backward(run, id, nb_f32(&d[id]), dx, err);
}

NbStatus nb_interpret_backward(const NbGraph *g, const NbValue *values, bool quantizers,
                               const NbTensor *d_outputs, NbArena *arena, NbTensor *d,
                               NbError *err) {
    NbRun run = {.g = g,
                 .mode = NB_RUN_TRAIN,
                 .quantizers = quantizers,
                 .arena = arena,
                 .value = NB_NEW(arena, NbValue, (size_t)g->n_nodes),
                 .real = NB_NEW(arena, const float *, (size_t)g->n_nodes)};
    if (!run.real || !run.value)
        return nb_fail_memory(err, "interpreter");
    memcpy(run.value, values, (size_t)g->n_nodes * sizeof *values);
    NB_TRY(start_gradients(g, d_outputs, arena, d, err));
    for (NbNodeId id = g->n_nodes - 1; id >= 0; id--)
        NB_TRY_IN(step_back(&run, id, d, err), err, "gradient of node %d (%s '%s')", id,
                  nb_op_name(g->node[id].op), g->node[id].name);
    return NB_OK;
}
