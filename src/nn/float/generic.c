/* SPDX-License-Identifier: Apache-2.0
 *
 * Operators without a kernel: computed by the interpreter's definitions, on plain values. */
#include "nn/float/internal.h"

#include <string.h>

NbStatus nb_float_interpret(NbFloatEngine *x, NbRun *run, NbNodeId id, float *const *data,
                            NbError *err) {
    const NbNode *const node = &x->g->node[id];
    memset(run->real, 0, (size_t)x->g->n_nodes * sizeof *run->real);
    for (int i = 0; i < node->n_in; i++) {
        const NbNode *const from = &x->g->node[x->value[node->in[i]].source];
        NbValue *const v = &run->value[node->in[i]];
        *v = (NbValue){
            .t = {.dtype = NB_F32, .shape = x->g->node[node->in[i]].shape, .data = data[i]}};
        if (from->op == NB_OP_PARAM)
            v->t = from->param;
    }
    NB_TRY(nb_op_def(node->op)->forward(run, id, err));
    NbValue *const out = &run->value[id];
    const float *real = NULL;
    NB_TRY(nb_value_real(out, run->arena, &real, err));
    memcpy(&out->t.data, &real, sizeof real); /* of codes: what they stand for */
    out->coded = false;
    return NB_OK;
}

/* An operator may give fewer rows than its shape says; the rest is zero. */
static void take_result(NbFloatEngine *x, const NbFloatStep *step) {
    const NbTensor *const t = &x->generic.value[step->node].t;
    const size_t room = x->value[step->node].count;
    const size_t n = nb_tensor_count(t) < room ? nb_tensor_count(t) : room;
    memcpy(step->out.data, t->data, n * sizeof(float));
    memset(step->out.data + n, 0, (room - n) * sizeof(float));
    for (int i = 0; i < x->n_outputs; i++)
        if (x->g->output[x->options.first_output + i] == step->node)
            x->output_shape[i] = t->shape;
}

static void run_generic(NbFloatEngine *x, const NbFloatStep *step, int item, int worker) {
    (void)item;
    (void)worker;
    nb_arena_rewind(&x->generic_arena, x->generic_mark);
    for (int i = 0; i < step->n_in; i++)
        x->generic_data[i] = step->in[i].data;
    x->status = nb_float_interpret(x, &x->generic, step->node, x->generic_data, &x->error);
    if (x->status == NB_OK)
        take_result(x, step);
}

static bool all_constant(const NbFloatEngine *x, const NbNode *node) {
    for (int i = 0; i < node->n_in; i++)
        if (!x->value[node->in[i]].constant)
            return false;
    return node->n_in > 0;
}

static NB_FALLIBLE fold_constant(NbFloatEngine *x, NbRun *run, NbNodeId id, NbError *err) {
    const NbNode *const node = &x->g->node[id];
    float **const data = NB_NEW(&x->arena, float *, (size_t)node->n_in);
    if (!data)
        return nb_fail_memory(err, "constants");
    for (int i = 0; i < node->n_in; i++)
        data[i] = nb_float_value(x, node->in[i])->plain.data;
    NB_TRY_IN(nb_float_interpret(x, run, id, data, err), err, "'%s'", node->name);
    NbFloatValue *const v = &x->value[id];
    v->plain = (NbFloatPlace){.buffer = NB_FLOAT_FIXED, .data = run->value[id].t.data};
    return NB_OK;
}

NbStatus nb_float_fold_constants(NbFloatEngine *x, NbError *err) {
    NbRun run = {.g = x->g,
                 .mode = NB_RUN_EVAL,
                 .arena = &x->arena,
                 .value = NB_NEW(&x->arena, NbValue, (size_t)x->g->n_nodes),
                 .real = NB_NEW(&x->arena, const float *, (size_t)x->g->n_nodes)};
    if (!run.value || !run.real)
        return nb_fail_memory(err, "constants");
    for (NbNodeId id = 0; id < x->g->n_nodes; id++) {
        NbFloatValue *const v = &x->value[id];
        const NbNode *const node = &x->g->node[id];
        v->constant = v->live && (node->op == NB_OP_PARAM || all_constant(x, node));
        if (v->constant && node->op != NB_OP_PARAM && v->source == id)
            NB_TRY(fold_constant(x, &run, id, err));
    }
    return NB_OK;
}

NbStatus nb_float_add_generic(NbFloatEngine *x, NbNodeId id, NbError *err) {
    const NbNode *const node = &x->g->node[id];
    NbFloatPlace out;
    size_t floats = x->value[id].count;
    for (int i = 0; i < node->n_in; i++) {
        if (x->g->node[x->value[node->in[i]].source].op != NB_OP_PARAM)
            NB_TRY(nb_float_plain(x, node->in[i], &out, err));
        floats += x->value[node->in[i]].count;
    }
    NbFloatStep *const s =
        nb_float_add_step(x, run_generic, "interpreter", id, node->n_in, sizeof(int));
    if (!s)
        return nb_fail_memory(err, "steps");
    for (int i = 0; i < node->n_in; i++)
        s->in[i] = nb_float_value(x, node->in[i])->plain;
    if (2 * floats * sizeof(float) > x->generic_bytes)
        x->generic_bytes = 2 * floats * sizeof(float);
    if (node->n_in > x->generic_inputs)
        x->generic_inputs = node->n_in;
    return nb_float_make_plain(x, id, &s->out, err);
}

NbStatus nb_float_prepare_generic(NbFloatEngine *x, NbError *err) {
    if (!x->generic_bytes)
        return NB_OK;
    x->generic = (NbRun){.g = x->g,
                         .mode = NB_RUN_EVAL,
                         .arena = &x->generic_arena,
                         .value = NB_NEW(&x->arena, NbValue, (size_t)x->g->n_nodes),
                         .real = NB_NEW(&x->arena, const float *, (size_t)x->g->n_nodes)};
    /* one chunk that is never given back: what operators take fits behind it */
    void *const room = nb_arena_take(&x->generic_arena, 1, x->generic_bytes + 4096);
    x->generic_data = NB_NEW(&x->arena, float *, (size_t)x->generic_inputs);
    if (!x->generic.value || !x->generic.real || !x->generic_data || !room)
        return nb_fail_memory(err, "the interpreter");
    x->generic_mark = nb_arena_mark(&x->generic_arena);
    x->generic_mark.used = 0;
    return NB_OK;
}
