/* SPDX-License-Identifier: Apache-2.0
 *
 * ADD: two or more tensors. Coded inputs that share one scale have one shape and give a coded sum;
 * all others are broadcast and added as real numbers, left to right. */
#include "graph/broadcast.h"
#include "graph/run.h"

static NB_FALLIBLE infer(const NbGraph *g, const NbNode *node, NbShape *out, NbError *err) {
    char a[96];
    char b[96];
    *out = *nb_in_shape(g, node, 0);
    for (int i = 0; i < node->n_in; i++) {
        const NbNode *x = &g->node[node->in[i]];
        if (x->kind == NB_VALUE_SUM)
            return nb_fail(NB_ERR_ARGUMENT, err, "'%s' is integers without a scale", x->name);
        const bool fits = node->kind == NB_VALUE_REAL ? nb_broadcast_shape(out, &x->shape, out)
                                                      : nb_shape_equal(out, &x->shape);
        if (!fits)
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
        const NbView view = nb_view_broadcast(nb_in_shape(run->g, node, k), &node->shape);
        const float *x = nb_run_data(run, id, k);
        if (!v->coded)
            NB_TRY(nb_run_real(run, id, k, &x, err));
        for (size_t i = 0; i < count; i++)
            y[i] = k == 0 ? x[nb_view_at(&view, i)] : y[i] + x[nb_view_at(&view, i)];
    }
    return NB_OK;
}

static NB_FALLIBLE backward(NbRun *run, NbNodeId id, const float *dy, float *const dx[],
                            NbError *err) {
    const NbNode *node = &run->g->node[id];
    const size_t count = nb_shape_count(&node->shape);
    for (int k = 0; k < node->n_in; k++) {
        const NbShape *in = nb_in_shape(run->g, node, k);
        const NbView view = nb_view_broadcast(in, &node->shape);
        const size_t n = nb_shape_count(in);
        double *sum = dx[k] ? NB_NEW(run->arena, double, n) : NULL;
        if (dx[k] && !sum)
            return nb_fail_memory(err, "gradient of a sum");
        for (size_t i = 0; sum && i < count; i++)
            sum[nb_view_at(&view, i)] += (double)dy[i];
        for (size_t i = 0; sum && i < n; i++)
            dx[k][i] += (float)sum[i];
    }
    return NB_OK;
}

const NbOpDef nb_op_add = {.name = "ADD",
                           .min_in = 2,
                           .max_in = NB_ANY_INPUTS,
                           .infer = infer,
                           .forward = forward,
                           .backward = backward};
