/* SPDX-License-Identifier: Apache-2.0
 *
 * The same numbers seen otherwise: SLICE, TRANSPOSE, RESHAPE, DETACH. Codes stay codes. */
#include "graph/broadcast.h"
#include "graph/run.h"

#include <inttypes.h>

static NB_FALLIBLE infer_slice(const NbGraph *g, const NbNode *node, NbShape *out, NbError *err) {
    const NbSliceAttr *a = &node->attr.slice;
    NB_TRY(nb_infer_numbers(g, node, 0, err));
    NB_TRY(nb_infer_axis(g, node, a->axis, err));
    *out = *nb_in_shape(g, node, 0);
    const int64_t stop = a->stop == NB_SLICE_END ? out->dim[a->axis] : a->stop;
    if (a->start < 0 || a->start >= stop || stop > out->dim[a->axis] || a->step < 1)
        return nb_fail(NB_ERR_ARGUMENT, err,
                       "elements %" PRId64 " to %" PRId64 " in steps of %" PRId64
                       " of a dimension of %" PRId64 ": nothing or too much",
                       a->start, stop, a->step, out->dim[a->axis]);
    out->dim[a->axis] = (stop - a->start - 1) / a->step + 1;
    return NB_OK;
}

static NB_FALLIBLE infer_transpose(const NbGraph *g, const NbNode *node, NbShape *out,
                                   NbError *err) {
    const int *perm = node->attr.transpose.perm;
    bool seen[NB_MAX_RANK] = {false};
    NB_TRY(nb_infer_numbers(g, node, 0, err));
    const NbShape *x = nb_in_shape(g, node, 0);
    *out = *x;
    for (int d = 0; d < x->rank; d++) {
        if (perm[d] < 0 || perm[d] >= x->rank || seen[perm[d]])
            return nb_fail(NB_ERR_ARGUMENT, err,
                           "dimension %d comes from %d: each of 0 to %d once expected", d, perm[d],
                           x->rank - 1);
        seen[perm[d]] = true;
        out->dim[d] = x->dim[perm[d]];
    }
    return NB_OK;
}

/* attr.dim with the dimensions of `like` and the ones kept put in; -1 stays. */
static NB_FALLIBLE wanted_shape(const NbGraph *g, const NbNode *node, NbShape *out, NbError *err) {
    const NbReshapeAttr *a = &node->attr.reshape;
    const NbShape *x = nb_in_shape(g, node, 0);
    if (a->n < 0 || a->n > NB_MAX_RANK)
        return nb_fail(NB_ERR_ARGUMENT, err, "%d dimensions, at most %d expected", a->n,
                       NB_MAX_RANK);
    *out = nb_shape(a->n, a->dim);
    if (node->n_in == 2) {
        NB_TRY(nb_infer_rank4(g, node, 1, err));
        if (a->n != 4)
            return nb_fail(NB_ERR_ARGUMENT, err, "%d dimensions of an image, 4 expected", a->n);
        out->dim[2] = nb_in_shape(g, node, 1)->dim[2];
        out->dim[3] = nb_in_shape(g, node, 1)->dim[3];
    }
    for (int d = 0; d < (node->n_in == 2 ? 2 : a->n); d++) {
        if (a->dim[d] == 0 && d < x->rank)
            out->dim[d] = x->dim[d];
        if (a->dim[d] < -1 || (a->dim[d] == 0 && d >= x->rank))
            return nb_fail(NB_ERR_ARGUMENT, err, "dimension %d is %" PRId64 ", and x has %d", d,
                           a->dim[d], x->rank);
    }
    return NB_OK;
}

static NB_FALLIBLE infer_reshape(const NbGraph *g, const NbNode *node, NbShape *out, NbError *err) {
    char a[96];
    char b[96];
    NB_TRY(nb_infer_numbers(g, node, 0, err));
    NB_TRY(wanted_shape(g, node, out, err));
    const NbShape *x = nb_in_shape(g, node, 0);
    const NbShape wanted = *out;
    const int64_t count = (int64_t)nb_shape_count(x);
    int64_t known = 1;
    int rest = -1;
    for (int d = 0; d < out->rank; d++) {
        if (out->dim[d] < 0 && rest >= 0)
            return nb_fail(NB_ERR_ARGUMENT, err, "dimensions %d and %d are both -1", rest, d);
        if (out->dim[d] < 0)
            rest = d;
        else if (__builtin_mul_overflow(known, out->dim[d], &known))
            known = 0;
    }
    if (rest >= 0 && known > 0)
        out->dim[rest] = count / known;
    if (known < 1 || known * (rest < 0 ? 1 : out->dim[rest]) != count)
        return nb_fail(NB_ERR_ARGUMENT, err, "%s has other elements than %s",
                       nb_shape_text(x, a, sizeof a), nb_shape_text(&wanted, b, sizeof b));
    return NB_OK;
}

static NB_FALLIBLE infer_detach(const NbGraph *g, const NbNode *node, NbShape *out, NbError *err) {
    NB_TRY(nb_infer_numbers(g, node, 0, err));
    *out = *nb_in_shape(g, node, 0);
    return NB_OK;
}

/* Where the elements of the output lie in x. */
static NbView view_of(const NbGraph *g, const NbNode *node) {
    const NbShape *x = nb_in_shape(g, node, 0);
    const bool moved = node->op == NB_OP_SLICE || node->op == NB_OP_TRANSPOSE;
    NbView dense = nb_view_broadcast(moved ? x : &node->shape, moved ? x : &node->shape);
    NbView v = dense;
    v.shape = node->shape;
    if (node->op == NB_OP_SLICE) {
        const NbSliceAttr *a = &node->attr.slice;
        v.first = a->start * dense.stride[a->axis];
        v.stride[a->axis] *= a->step;
    }
    for (int d = 0; node->op == NB_OP_TRANSPOSE && d < x->rank; d++)
        v.stride[d] = dense.stride[node->attr.transpose.perm[d]];
    return v;
}

static NB_FALLIBLE forward(NbRun *run, NbNodeId id, NbError *err) {
    const NbNode *node = &run->g->node[id];
    const NbView v = view_of(run->g, node);
    const size_t count = nb_shape_count(&node->shape);
    NB_TRY(nb_run_new_like(run, id, err));
    const float *x = nb_run_data(run, id, 0);
    float *y = nb_f32(&run->value[id].t);
    for (size_t i = 0; i < count; i++)
        y[i] = x[nb_view_at(&v, i)];
    return NB_OK;
}

static NB_FALLIBLE backward(NbRun *run, NbNodeId id, const float *dy, float *const dx[],
                            NbError *err) {
    (void)err;
    const NbNode *node = &run->g->node[id];
    const NbView v = view_of(run->g, node);
    const size_t count = dx[0] ? nb_shape_count(&node->shape) : 0;
    for (size_t i = 0; i < count; i++)
        dx[0][nb_view_at(&v, i)] += dy[i];
    return NB_OK;
}

const NbOpDef nb_op_slice = {.name = "SLICE",
                             .min_in = 1,
                             .max_in = 1,
                             .infer = infer_slice,
                             .forward = forward,
                             .backward = backward};
const NbOpDef nb_op_transpose = {.name = "TRANSPOSE",
                                 .min_in = 1,
                                 .max_in = 1,
                                 .infer = infer_transpose,
                                 .forward = forward,
                                 .backward = backward};
const NbOpDef nb_op_reshape = {.name = "RESHAPE",
                               .min_in = 1,
                               .max_in = 2,
                               .infer = infer_reshape,
                               .forward = forward,
                               .backward = backward};
const NbOpDef nb_op_detach = {
    .name = "DETACH", .min_in = 1, .max_in = 1, .infer = infer_detach, .forward = forward};
