/* SPDX-License-Identifier: Apache-2.0
 *
 * Steps of ADD, SUB, MUL and DIV with broadcasting. */
#include "nn/internal.h"

#include "nn/walk.h"

#include <string.h>

/* An operand broadcast to the output: where its elements lie, and what makes them real. */
typedef struct Operand {
    const float *data;
    float scale;
    ptrdiff_t stride[NB_MAX_RANK]; /* of the output's dimensions */
} Operand;

static Operand operand_of(const NbNnTask *task, NbNodeId id, int i) {
    const NbExecutor *const x = task->x;
    const NbNode *const node = &x->g->node[id];
    const NbNode *const in = &x->g->node[node->in[i]];
    const NbNnValue *const v = &x->value[x->value[node->in[i]].source];
    Operand o = {.scale = 1.0F};
    ptrdiff_t stride[NB_MAX_RANK];
    nb_nn_strides(x, node->in[i], stride);
    const int missing = node->shape.rank - in->shape.rank;
    for (int d = 0; d < in->shape.rank; d++)
        o.stride[missing + d] = in->shape.dim[d] == 1 ? 0 : stride[d];
    o.data = in->op == NB_OP_PARAM ? nb_f32(&in->param) : nb_nn_at(task, v->value);
    if (v->is_activation && v->coded)
        o.scale = v->scale;
    return o;
}

/* Over the elements of the output of one picture. */
static NbNnWalk walk_of(const NbExecutor *x, NbNodeId id, const ptrdiff_t *const stride[],
                        int sets) {
    const NbShape *const s = &x->g->node[id].shape;
    NbNnWalk w = {0};
    for (int d = 1; d < s->rank; d++) {
        ptrdiff_t step[NB_NN_WALK_SETS] = {0};
        for (int k = 0; k < sets; k++)
            step[k] = stride[k][d];
        nb_nn_walk_dim(&w, (size_t)s->dim[d], step);
    }
    nb_nn_walk_order(&w);
    return w;
}

typedef struct Rows {
    NbOp op;
    const float *x[2];
    float scale[2];
    float *y;
    int k; /* the operand whose gradient is wanted */
    const float *dy;
    double *sum;
} Rows;

static inline float apply(NbOp op, float a, float b) {
    return op == NB_OP_ADD ? a + b : op == NB_OP_SUB ? a - b : op == NB_OP_MUL ? a * b : a / b;
}

static void forward_row(void *user, const ptrdiff_t *at, size_t n, const ptrdiff_t *stride) {
    const Rows *const r = user;
    for (size_t i = 0; i < n; i++) {
        const ptrdiff_t k = (ptrdiff_t)i;
        r->y[at[0] + k * stride[0]] = apply(r->op, r->x[0][at[1] + k * stride[1]] * r->scale[0],
                                            r->x[1][at[2] + k * stride[2]] * r->scale[1]);
    }
}

void nb_nn_arithmetic_forward(const NbNnTask *task, const NbNnStep *step) {
    const NbExecutor *const x = task->x;
    const NbNode *const node = &x->g->node[step->node];
    float *const y = nb_nn_at(task, x->value[step->node].value);
    ptrdiff_t stride[NB_MAX_RANK];
    nb_nn_strides(x, step->node, stride);
    const Operand a = operand_of(task, step->node, 0);
    for (int i = 1; i < node->n_in; i++) {
        const Operand b = operand_of(task, step->node, i);
        Rows r = {.op = node->op,
                  .x = {i == 1 ? a.data : y, b.data},
                  .scale = {i == 1 ? a.scale : 1.0F, b.scale},
                  .y = y};
        const NbNnWalk w =
            walk_of(x, step->node,
                    (const ptrdiff_t *const[]){stride, i == 1 ? a.stride : stride, b.stride}, 3);
        nb_nn_walk_run(&w, forward_row, &r);
    }
}

/* d (a op b) / d a for k = 0, / d b for k = 1. */
static inline double slope(NbOp op, int k, double a, double b) {
    if (op == NB_OP_ADD || op == NB_OP_SUB)
        return op == NB_OP_SUB && k ? -1.0 : 1.0;
    if (op == NB_OP_MUL)
        return k ? a : b;
    return k ? -a / (b * b) : 1.0 / b;
}

static void backward_row(void *user, const ptrdiff_t *at, size_t n, const ptrdiff_t *stride) {
    const Rows *const r = user;
    for (size_t i = 0; i < n; i++) {
        const ptrdiff_t j = (ptrdiff_t)i;
        const double a = (double)(r->x[0][at[2] + j * stride[2]] * r->scale[0]);
        const double b = (double)(r->x[1][at[3] + j * stride[3]] * r->scale[1]);
        r->sum[at[0] + j * stride[0]] +=
            (double)r->dy[at[1] + j * stride[1]] * slope(r->op, r->k, a, b);
    }
}

size_t nb_nn_arithmetic_scratch(const NbNnValue *input) { return input->count * sizeof(double); }

/* step.unit: the input. */
void nb_nn_arithmetic_backward(const NbNnTask *task, const NbNnStep *step) {
    const NbExecutor *const x = task->x;
    const NbNode *const node = &x->g->node[step->node];
    const size_t count = x->value[node->in[step->unit]].count;
    double *const sum = (double *)(void *)x->scratch[task->worker];
    float *const to = nb_nn_at(task, step->b);
    const int k = step->unit > 0;
    const bool linear = node->op == NB_OP_ADD || node->op == NB_OP_SUB;
    ptrdiff_t stride[NB_MAX_RANK];
    nb_nn_strides(x, step->node, stride);
    const Operand own = operand_of(task, step->node, step->unit);
    const float *const dy = nb_nn_at(task, x->value[step->node].grad);
    Operand ab[2] = {{.data = dy}, {.data = dy}}; /* the slope of a sum reads neither */
    for (int i = 0; i < 2 && !linear; i++)
        ab[i] = operand_of(task, step->node, i);
    Rows r = {.op = node->op,
              .x = {ab[0].data, ab[1].data},
              .scale = {ab[0].scale, ab[1].scale},
              .k = k,
              .dy = dy,
              .sum = sum};
    const NbNnWalk w =
        walk_of(x, step->node,
                (const ptrdiff_t *const[]){own.stride, stride, ab[0].stride, ab[1].stride}, 4);
    memset(sum, 0, count * sizeof *sum);
    nb_nn_walk_run(&w, backward_row, &r);
    for (size_t i = 0; i < count; i++)
        to[i] = step->add ? to[i] + (float)sum[i] : (float)sum[i];
}
