/* SPDX-License-Identifier: Apache-2.0
 *
 * ADD: two or more tensors of one shape. Coded inputs that share one scale give a coded sum; all
 * others are added as real numbers, left to right. */
#include "graph/run.h"

static NB_FALLIBLE infer(const NbGraph *g, const NbNode *node, NbShape *out, NbError *err) {
    char a[96];
    char b[96];
    *out = *nb_in_shape(g, node, 0);
    for (int i = 0; i < node->n_in; i++) {
        const NbNode *x = &g->node[node->in[i]];
        if (x->kind == NB_VALUE_SUM)
            return nb_fail(NB_ERR_ARGUMENT, err, "'%s' is integers without a scale", x->name);
        if (!nb_shape_equal(out, &x->shape))
            return nb_fail(NB_ERR_ARGUMENT, err, "input %d ('%s') is %s, the first is %s", i,
                           x->name, nb_shape_text(&x->shape, a, sizeof a),
                           nb_shape_text(out, b, sizeof b));
    }
    return NB_OK;
}

static NB_FALLIBLE forward(NbRun *run, NbNodeId id, NbError *err) {
    const NbNode *node = &run->g->node[id];
    const size_t count = nb_shape_count(&node->shape);
    NB_TRY(nb_run_new_like(run, id, err));
    const NbValue *v = &run->value[id];
    float *y = nb_f32(&v->t);
    for (int k = 0; k < node->n_in; k++) {
        const float *x = nb_run_data(run, id, k);
        if (!v->coded)
            NB_TRY(nb_run_real(run, id, k, &x, err));
        for (size_t i = 0; i < count; i++)
            y[i] = k == 0 ? x[i] : y[i] + x[i];
    }
    return NB_OK;
}

static NB_FALLIBLE backward(NbRun *run, NbNodeId id, const float *dy, float *const dx[],
                            NbError *err) {
    (void)err;
    const NbNode *node = &run->g->node[id];
    const size_t count = nb_shape_count(&node->shape);
    for (int k = 0; k < node->n_in; k++)
        for (size_t i = 0; dx[k] && i < count; i++)
            dx[k][i] += dy[i];
    return NB_OK;
}

const NbOpDef nb_op_add = {.name = "ADD",
                           .min_in = 2,
                           .max_in = NB_ANY_INPUTS,
                           .infer = infer,
                           .forward = forward,
                           .backward = backward};
