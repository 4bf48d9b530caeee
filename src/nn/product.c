/* SPDX-License-Identifier: Apache-2.0
 *
 * Steps of MATMUL and SOFTMAX. */
#include "nn/internal.h"

#include "graph/activation.h"
#include "nn/walk.h"

#include <string.h>

/* A matrix of one picture, somewhere: `batch` gives the leading dimensions of the product. */
typedef struct Matrix {
    float *data;
    float scale; /* to real numbers */
    size_t rows, columns;
    ptrdiff_t stride[NB_MAX_RANK]; /* of the product's dimensions; of the last two: its own */
} Matrix;

static size_t dim_of(const NbShape *s, int from_end) { return (size_t)s->dim[s->rank - from_end]; }

/* The operand or, for `id` itself, the product. Data is that of the value. */
static Matrix matrix_of(const NbNnTask *task, NbNodeId product, NbNodeId id) {
    const NbExecutor *const x = task->x;
    const NbShape *const s = &x->g->node[id].shape;
    const NbNnValue *const v = &x->value[x->value[id].source];
    const int missing = x->g->node[product].shape.rank - s->rank;
    Matrix m = {.scale = v->is_activation && v->coded ? v->scale : 1.0F,
                .rows = dim_of(s, 2),
                .columns = dim_of(s, 1)};
    ptrdiff_t stride[NB_MAX_RANK];
    nb_nn_strides(x, id, stride);
    for (int d = 0; d < s->rank; d++)
        m.stride[missing + d] = d < s->rank - 2 && s->dim[d] == 1 ? 0 : stride[d];
    m.data = x->g->node[id].op == NB_OP_PARAM ? nb_f32(&x->g->node[id].param)
             : v->value >= 0                  ? nb_nn_at(task, v->value)
                                              : NULL;
    return m;
}

static size_t matrices_of(const NbShape *product) {
    size_t n = 1;
    for (int d = 1; d < product->rank - 2; d++)
        n *= (size_t)product->dim[d];
    return n;
}

/* First element of matrix i. */
static float *matrix_at(const Matrix *m, const NbShape *product, size_t i) {
    ptrdiff_t at = 0;
    for (int d = product->rank - 3; d > 0; d--) {
        at += (ptrdiff_t)(i % (size_t)product->dim[d]) * m->stride[d];
        i /= (size_t)product->dim[d];
    }
    return m->data + at;
}

/* A matrix in dense rows, its transpose with `turned`: itself where it lies like that. */
static const float *dense(const Matrix *m, const NbShape *product, size_t i, bool turned, bool real,
                          float *room) {
    const ptrdiff_t row = m->stride[product->rank - 2];
    const ptrdiff_t column = m->stride[product->rank - 1];
    const float *const from = matrix_at(m, product, i);
    const bool as_is = !turned && (column == 1 || m->columns == 1) &&
                       (row == (ptrdiff_t)m->columns || m->rows == 1);
    const bool scaled = real && m->scale != 1.0F;
    if (as_is && !scaled)
        return from;
    const ptrdiff_t to[2] = {turned ? 1 : (ptrdiff_t)m->columns, turned ? (ptrdiff_t)m->rows : 1};
    NbNnWalk w = {0};
    nb_nn_walk_dim(&w, m->rows, (const ptrdiff_t[NB_NN_WALK_SETS]){to[0], row});
    nb_nn_walk_dim(&w, m->columns, (const ptrdiff_t[NB_NN_WALK_SETS]){to[1], column});
    nb_nn_walk_order(&w);
    if (scaled)
        nb_nn_walk_scale(&w, from, m->scale, room);
    else
        nb_nn_walk_copy(&w, from, room);
    return room;
}

static void put_back(const Matrix *m, const NbShape *product, size_t i, bool add,
                     const float *from) {
    const ptrdiff_t row = m->stride[product->rank - 2];
    const ptrdiff_t column = m->stride[product->rank - 1];
    float *const to = matrix_at(m, product, i);
    NbNnWalk w = {0};
    nb_nn_walk_dim(&w, m->rows, (const ptrdiff_t[NB_NN_WALK_SETS]){row, (ptrdiff_t)m->columns});
    nb_nn_walk_dim(&w, m->columns, (const ptrdiff_t[NB_NN_WALK_SETS]){column, 1});
    nb_nn_walk_order(&w);
    if (to != from)
        (add ? nb_nn_walk_add : nb_nn_walk_copy)(&w, from, to);
}

size_t nb_nn_matmul_scratch(const NbExecutor *x, NbNodeId id) {
    const NbNode *const node = &x->g->node[id];
    const NbShape *const a = &x->g->node[node->in[0]].shape;
    const size_t m = dim_of(&node->shape, 2);
    const size_t n = dim_of(&node->shape, 1);
    const size_t k = dim_of(a, 1);
    return (m * k + k * n + m * n) * sizeof(float);
}

/* Whether the sums of codes of both inputs are scaled once, as the interpreter does. */
static bool by_codes(const NbExecutor *x, NbNodeId id) {
    const NbNode *const node = &x->g->node[id];
    for (int i = 0; i < 2; i++) {
        const NbNnValue *const v = &x->value[x->value[node->in[i]].source];
        if (!v->is_activation || !v->coded)
            return false;
    }
    return true;
}

/* Training with statistics of the batch sums in float32, everything else as the interpreter. */
void nb_nn_matmul_forward(const NbNnTask *task, const NbNnStep *step) {
    const NbExecutor *const x = task->x;
    const NbNode *const node = &x->g->node[step->node];
    const NbShape *const s = &node->shape;
    const Matrix a = matrix_of(task, step->node, node->in[0]);
    const Matrix b = matrix_of(task, step->node, node->in[1]);
    const Matrix y = matrix_of(task, step->node, step->node);
    float *const room = (float *)(void *)x->scratch[task->worker];
    float *const room_b = room + a.rows * a.columns;
    float *const room_y = room_b + b.rows * b.columns;
    const size_t size[3] = {a.rows, a.columns, b.columns};
    const bool codes = by_codes(x, step->node);
    const bool quick = !codes && x->train && !x->options.fixed_norm;
    const bool straight = !x->value[step->node].image;
    for (size_t i = 0; i < matrices_of(s); i++) {
        const float *const left = dense(&a, s, i, false, !codes, room);
        const float *const right = dense(&b, s, i, false, !codes, room_b);
        float *const out = straight ? matrix_at(&y, s, i) : room_y;
        (quick ? x->k->matmul_quick : x->k->matmul)(left, right, size, out);
        if (codes)
            x->k->scale(out, a.scale * b.scale, a.rows * b.columns, out);
        put_back(&y, s, i, false, out);
    }
}

/* step.unit: the input. da = dy b', db = a' dy; a matrix that was repeated gets the sum. */
void nb_nn_matmul_backward(const NbNnTask *task, const NbNnStep *step) {
    const NbExecutor *const x = task->x;
    const NbNode *const node = &x->g->node[step->node];
    const NbShape *const s = &node->shape;
    const bool first = step->unit == 0;
    const Matrix other = matrix_of(task, step->node, node->in[first ? 1 : 0]);
    Matrix d = matrix_of(task, step->node, node->in[step->unit]);
    Matrix dy = matrix_of(task, step->node, step->node);
    d.data = nb_nn_at(task, step->b);
    dy.data = nb_nn_at(task, x->value[step->node].grad);
    float *const room = (float *)(void *)x->scratch[task->worker];
    float *const room_y = room + other.rows * other.columns;
    float *const room_d = room_y + dy.rows * dy.columns;
    if (!step->add)
        memset(d.data, 0, x->value[x->value[node->in[step->unit]].source].count * sizeof *d.data);
    for (size_t i = 0; i < matrices_of(s); i++) {
        const float *const turned = dense(&other, s, i, true, true, room);
        const float *const g = dense(&dy, s, i, false, false, room_y);
        if (first)
            x->k->matmul_quick(g, turned, (const size_t[]){dy.rows, dy.columns, d.columns}, room_d);
        else
            x->k->matmul_quick(turned, g, (const size_t[]){d.rows, dy.rows, dy.columns}, room_d);
        put_back(&d, s, i, true, room_d);
    }
}

/* Rows along the axis, as they lie in memory: n elements `step` apart; the walk visits the first
 * elements. */
typedef struct Rows {
    const NbNnKernels *k;
    const float *x; /* of a backward: y */
    float scale;
    const float *dy;
    float *y; /* of a backward: dx */
    size_t n;
    ptrdiff_t step;
    bool add;
    float *room;
} Rows;

static NbNnWalk walk_of(const NbExecutor *x, NbNodeId id, Rows *r) {
    const NbNode *const node = &x->g->node[id];
    const int axis = node->attr.softmax.axis;
    ptrdiff_t stride[NB_MAX_RANK];
    NbNnWalk w = {0};
    nb_nn_strides(x, id, stride);
    for (int d = 1; d < node->shape.rank; d++)
        if (d != axis)
            nb_nn_walk_dim(&w, (size_t)node->shape.dim[d],
                           (const ptrdiff_t[NB_NN_WALK_SETS]){stride[d]});
    nb_nn_walk_order(&w);
    r->n = (size_t)node->shape.dim[axis];
    r->step = stride[axis];
    return w;
}

static void softmax_row(void *user, const ptrdiff_t *at, size_t n, const ptrdiff_t *stride) {
    const Rows *const r = user;
    for (size_t i = 0; i < n; i++) {
        const ptrdiff_t first = at[0] + (ptrdiff_t)i * stride[0];
        for (size_t j = 0; j < r->n; j++)
            r->room[j] = r->x[first + (ptrdiff_t)j * r->step] * r->scale;
        r->k->softmax(r->room, r->n, r->room);
        for (size_t j = 0; j < r->n; j++)
            r->y[first + (ptrdiff_t)j * r->step] = r->room[j];
    }
}

size_t nb_nn_softmax_scratch(const NbExecutor *x, NbNodeId id) {
    const NbNode *const node = &x->g->node[id];
    return (size_t)node->shape.dim[node->attr.softmax.axis] * sizeof(float);
}

/* Input and output have one layout (plan.c). */
void nb_nn_softmax_forward(const NbNnTask *task, const NbNnStep *step) {
    const NbExecutor *const x = task->x;
    const NbNnValue *const in = &x->value[x->value[x->g->node[step->node].in[0]].source];
    Rows r = {.k = x->k,
              .x = nb_nn_at(task, in->value),
              .scale = in->coded ? in->scale : 1.0F,
              .y = nb_nn_at(task, x->value[step->node].value),
              .room = (float *)(void *)x->scratch[task->worker]};
    const NbNnWalk w = walk_of(x, step->node, &r);
    nb_nn_walk_run(&w, softmax_row, &r);
}

static void softmax_back_row(void *user, const ptrdiff_t *at, size_t n, const ptrdiff_t *stride) {
    const Rows *const r = user;
    for (size_t i = 0; i < n; i++) {
        const ptrdiff_t first = at[0] + (ptrdiff_t)i * stride[0];
        const float *const y = r->x + first;
        const float *const dy = r->dy + first;
        float *const dx = r->y + first;
        double sum = 0.0;
        for (size_t j = 0; j < r->n; j++)
            sum += (double)dy[(ptrdiff_t)j * r->step] * (double)y[(ptrdiff_t)j * r->step];
        const float mean = (float)sum;
        for (size_t j = 0; j < r->n; j++) {
            const ptrdiff_t k = (ptrdiff_t)j * r->step;
            const float g = y[k] * (dy[k] - mean);
            dx[k] = r->add ? dx[k] + g : g;
        }
    }
}

void nb_nn_softmax_backward(const NbNnTask *task, const NbNnStep *step) {
    const NbExecutor *const x = task->x;
    Rows r = {.x = nb_nn_at(task, x->value[step->node].value),
              .dy = nb_nn_at(task, x->value[step->node].grad),
              .y = nb_nn_at(task, step->b),
              .add = step->add};
    const NbNnWalk w = walk_of(x, step->node, &r);
    nb_nn_walk_run(&w, softmax_back_row, &r);
}
