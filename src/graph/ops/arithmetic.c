/* SPDX-License-Identifier: Apache-2.0
 *
 * SUB, MUL, DIV: two tensors of real numbers, broadcast against each other. */
#include "graph/broadcast.h"
#include "graph/run.h"

static NB_FALLIBLE infer(const NbGraph *g, const NbNode *node, NbShape *out, NbError *err) {
    char a[96];
    char b[96];
    for (int i = 0; i < 2; i++)
        NB_TRY(nb_infer_numbers(g, node, i, err));
    const NbShape *x = nb_in_shape(g, node, 0);
    const NbShape *y = nb_in_shape(g, node, 1);
    if (!nb_broadcast_shape(x, y, out))
        return nb_fail(NB_ERR_ARGUMENT, err, "%s and %s cannot be broadcast to one shape",
                       nb_shape_text(x, a, sizeof a), nb_shape_text(y, b, sizeof b));
    return NB_OK;
}

static float apply(NbOp op, float a, float b) {
    return op == NB_OP_SUB ? a - b : op == NB_OP_MUL ? a * b : a / b;
}

static NB_FALLIBLE forward(NbRun *run, NbNodeId id, NbError *err) {
    const NbNode *node = &run->g->node[id];
    const float *x[2] = {NULL, NULL};
    NbView v[2];
    for (int k = 0; k < 2; k++) {
        NB_TRY(nb_run_real(run, id, k, &x[k], err));
        v[k] = nb_view_broadcast(nb_in_shape(run->g, node, k), &node->shape);
    }
    NB_TRY(nb_run_new(run, id, NB_F32, err));
    float *y = nb_f32(&run->value[id].t);
    const size_t count = nb_shape_count(&node->shape);
    for (size_t i = 0; i < count; i++)
        y[i] = apply(node->op, x[0][nb_view_at(&v[0], i)], x[1][nb_view_at(&v[1], i)]);
    return NB_OK;
}

/* d (a op b) / d a for k = 0, / d b for k = 1. */
static double slope(NbOp op, int k, double a, double b) {
    if (op == NB_OP_SUB)
        return k ? -1.0 : 1.0;
    if (op == NB_OP_MUL)
        return k ? a : b;
    return k ? -a / (b * b) : 1.0 / b;
}

static NB_FALLIBLE backward(NbRun *run, NbNodeId id, const float *dy, float *const dx[],
                            NbError *err) {
    const NbNode *node = &run->g->node[id];
    const size_t count = nb_shape_count(&node->shape);
    const float *x[2] = {NULL, NULL};
    NbView v[2];
    for (int k = 0; k < 2; k++) {
        NB_TRY(nb_run_real(run, id, k, &x[k], err));
        v[k] = nb_view_broadcast(nb_in_shape(run->g, node, k), &node->shape);
    }
    for (int k = 0; k < 2; k++) {
        const size_t n = nb_shape_count(nb_in_shape(run->g, node, k));
        double *sum = dx[k] ? NB_NEW(run->arena, double, n) : NULL;
        if (dx[k] && !sum)
            return nb_fail_memory(err, "gradient of a broadcast");
        for (size_t i = 0; sum && i < count; i++) {
            const int64_t at[2] = {nb_view_at(&v[0], i), nb_view_at(&v[1], i)};
            sum[at[k]] +=
                (double)dy[i] * slope(node->op, k, (double)x[0][at[0]], (double)x[1][at[1]]);
        }
        for (size_t i = 0; sum && i < n; i++)
            dx[k][i] += (float)sum[i];
    }
    return NB_OK;
}

#define ARITHMETIC(constant, symbol)                                                               \
    const NbOpDef nb_op_##symbol = {.name = #constant,                                             \
                                    .min_in = 2,                                                   \
                                    .max_in = 2,                                                   \
                                    .infer = infer,                                                \
                                    .forward = forward,                                            \
                                    .backward = backward}

ARITHMETIC(SUB, sub);
ARITHMETIC(MUL, mul);
ARITHMETIC(DIV, div);
