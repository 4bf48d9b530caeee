/* SPDX-License-Identifier: Apache-2.0
 *
 * Steps that put numbers elsewhere: SLICE, TRANSPOSE, RESHAPE, CONCAT. Values of pictures are NHWC
 * and others row-major, so that where an element lies is a matter of strides. */
#include "nn/internal.h"

#include "nn/walk.h"

#include <string.h>

void nb_nn_strides(const NbExecutor *x, NbNodeId id, ptrdiff_t stride[NB_MAX_RANK]) {
    const NbShape *const s = &x->g->node[id].shape;
    ptrdiff_t step = 1;
    if (x->value[id].image) {
        const ptrdiff_t c = (ptrdiff_t)s->dim[1];
        const ptrdiff_t row = (ptrdiff_t)s->dim[3] * c;
        memcpy(stride, (const ptrdiff_t[]){0, 1, row, c}, 4 * sizeof *stride);
        return;
    }
    for (int d = s->rank - 1; d >= 0; d--) {
        stride[d] = step;
        step *= (ptrdiff_t)s->dim[d];
    }
}

/* A tensor as one picture holds it. */
typedef struct Place {
    NbShape shape;
    ptrdiff_t stride[NB_MAX_RANK];
    ptrdiff_t first;
} Place;

static Place place_of(const NbExecutor *x, NbNodeId id) {
    Place p = {.shape = x->g->node[id].shape};
    nb_nn_strides(x, id, p.stride);
    return p;
}

/* Cuts both shapes into common factors; false: there are none. Dimension 0 is the picture. */
static bool common_factors(const Place *a, const Place *b, NbNnWalk *w) {
    int64_t rest[2] = {1, 1};
    int at[2] = {0, 0};
    const Place *const p[2] = {a, b};
    for (;;) {
        for (int k = 0; k < 2; k++)
            while (rest[k] == 1 && at[k] < p[k]->shape.rank - 1)
                rest[k] = p[k]->shape.dim[++at[k]];
        const int64_t f = rest[0] < rest[1] ? rest[0] : rest[1];
        if (f == 1)
            return rest[0] == rest[1];
        if (rest[0] % f || rest[1] % f || w->rank == NB_NN_WALK_RANK)
            return false;
        rest[0] /= f;
        rest[1] /= f;
        nb_nn_walk_dim(w, (size_t)f,
                       (const ptrdiff_t[NB_NN_WALK_SETS]){a->stride[at[0]] * rest[0],
                                                          b->stride[at[1]] * rest[1]});
    }
}

/* The element of a picture with this row-major number. */
static ptrdiff_t element(const Place *p, size_t i) {
    ptrdiff_t at = p->first;
    for (int d = p->shape.rank - 1; d > 0; d--) {
        at += (ptrdiff_t)(i % (size_t)p->shape.dim[d]) * p->stride[d];
        i /= (size_t)p->shape.dim[d];
    }
    return at;
}

/* to (+)= from, where the two have one row-major order. */
static void move_in_order(const Place *to, const Place *from, bool add, const float *x, float *y) {
    NbNnWalk w = {0};
    if (common_factors(to, from, &w)) {
        nb_nn_walk_order(&w);
        (add ? nb_nn_walk_add : nb_nn_walk_copy)(&w, x + from->first, y + to->first);
        return;
    }
    size_t count = 1;
    for (int d = 1; d < to->shape.rank; d++)
        count *= (size_t)to->shape.dim[d];
    for (size_t i = 0; i < count; i++) {
        float *const target = y + element(to, i);
        const float value = x[element(from, i)];
        *target = add ? *target + value : value;
    }
}

/* Input `input` of a node of this file, as the part of itself or of the output that it is: *in is
 * set in the shape of what moves, *out too. */
static void places(const NbExecutor *x, NbNodeId id, int input, Place *in, Place *out) {
    const NbNode *const node = &x->g->node[id];
    *in = place_of(x, node->in[input]);
    *out = place_of(x, id);
    const Place whole = *in;
    if (node->op == NB_OP_SLICE) {
        const NbSliceAttr *const a = &node->attr.slice;
        in->first = (ptrdiff_t)a->start * in->stride[a->axis];
        in->stride[a->axis] *= (ptrdiff_t)a->step;
        in->shape = out->shape;
    } else if (node->op == NB_OP_TRANSPOSE) {
        for (int d = 0; d < out->shape.rank; d++)
            in->stride[d] = whole.stride[node->attr.transpose.perm[d]];
        in->shape = out->shape;
    } else if (node->op == NB_OP_CONCAT) {
        const int axis = node->attr.concat.axis;
        for (int i = 0; i < input; i++)
            out->first += (ptrdiff_t)x->g->node[node->in[i]].shape.dim[axis] * out->stride[axis];
        out->shape = in->shape;
    }
}

static NbNnValue *input_of(const NbNnTask *task, const NbNnStep *step, int i) {
    NbExecutor *const x = task->x;
    return &x->value[x->value[x->g->node[step->node].in[i]].source];
}

void nb_nn_move_forward(const NbNnTask *task, const NbNnStep *step) {
    const NbExecutor *const x = task->x;
    Place in;
    Place out;
    places(x, step->node, 0, &in, &out);
    move_in_order(&out, &in, false, nb_nn_at(task, input_of(task, step, 0)->value),
                  nb_nn_at(task, x->value[step->node].value));
}

/* step.unit: the input. What a SLICE leaves out has no gradient. */
void nb_nn_move_backward(const NbNnTask *task, const NbNnStep *step) {
    const NbExecutor *const x = task->x;
    float *const to = nb_nn_at(task, step->b);
    Place in;
    Place out;
    places(x, step->node, step->unit, &in, &out);
    const bool part = x->g->node[step->node].op == NB_OP_SLICE && step->a != NB_NN_PART_OF_WHOLE;
    if (part && !step->add)
        memset(to, 0, input_of(task, step, 0)->count * sizeof *to);
    move_in_order(&in, &out, step->add, nb_nn_at(task, x->value[step->node].grad), to);
}

void nb_nn_concat_forward(const NbNnTask *task, const NbNnStep *step) {
    const NbExecutor *const x = task->x;
    const NbNnValue *const v = &x->value[step->node];
    for (int i = 0; i < x->g->node[step->node].n_in; i++) {
        const NbNnValue *const from = input_of(task, step, i);
        NbNnWalk w = {0};
        Place in;
        Place out;
        places(x, step->node, i, &in, &out);
        (void)common_factors(&out, &in, &w); /* the same shape */
        nb_nn_walk_order(&w);
        float *const to = (float *)nb_nn_at(task, v->value) + out.first;
        if (from->coded && !v->coded)
            nb_nn_walk_scale(&w, nb_nn_at(task, from->value), from->scale, to);
        else
            nb_nn_walk_copy(&w, nb_nn_at(task, from->value), to);
    }
}

void nb_nn_value_in_order(const NbNnTask *task, NbNodeId id, bool image, float *out) {
    const NbExecutor *const x = task->x;
    const Place from = place_of(x, id);
    Place to = from;
    if (image && from.shape.rank == 4) {
        const ptrdiff_t c = (ptrdiff_t)from.shape.dim[1];
        memcpy(to.stride, (const ptrdiff_t[]){0, 1, (ptrdiff_t)from.shape.dim[3] * c, c},
               4 * sizeof *to.stride);
    }
    move_in_order(&to, &from, false, nb_nn_at(task, x->value[x->value[id].source].value), out);
}
