/* SPDX-License-Identifier: Apache-2.0
 *
 * Moving elements in any rank: GATHER, EXPAND, PAD_ND. */
#include "graph/broadcast.h"
#include "graph/run.h"

#include <inttypes.h>

static NB_FALLIBLE infer_slices(const NbShape *x, const NbShape *i, int axis, NbShape *out,
                                NbError *err) {
    if (x->rank - 1 + i->rank > NB_MAX_RANK)
        return nb_fail(NB_ERR_ARGUMENT, err, "%d dimensions, at most %d expected",
                       x->rank - 1 + i->rank, NB_MAX_RANK);
    out->rank = 0;
    for (int d = 0; d < axis; d++)
        out->dim[out->rank++] = x->dim[d];
    for (int d = 0; d < i->rank; d++)
        out->dim[out->rank++] = i->dim[d];
    for (int d = axis + 1; d < x->rank; d++)
        out->dim[out->rank++] = x->dim[d];
    return NB_OK;
}

static NB_FALLIBLE infer_nd(const NbShape *x, const NbShape *i, NbShape *out, NbError *err) {
    const int64_t depth = i->rank ? i->dim[i->rank - 1] : 0;
    if (depth < 1 || depth > x->rank || i->rank - 1 + x->rank - depth > NB_MAX_RANK)
        return nb_fail(NB_ERR_ARGUMENT, err, "indices of %" PRId64 " numbers into %d dimensions",
                       depth, x->rank);
    out->rank = 0;
    for (int d = 0; d < i->rank - 1; d++)
        out->dim[out->rank++] = i->dim[d];
    for (int d = (int)depth; d < x->rank; d++)
        out->dim[out->rank++] = x->dim[d];
    return NB_OK;
}

static NB_FALLIBLE infer_gather(const NbGraph *g, const NbNode *node, NbShape *out, NbError *err) {
    const NbShape *x = nb_in_shape(g, node, 0);
    const NbShape *i = nb_in_shape(g, node, 1);
    NB_TRY(nb_infer_numbers(g, node, 0, err));
    NB_TRY(nb_infer_numbers(g, node, 1, err));
    if (node->attr.gather.kind == NB_GATHER_ND)
        return infer_nd(x, i, out, err);
    NB_TRY(nb_infer_axis(g, node, node->attr.gather.axis, err));
    if (node->attr.gather.kind == NB_GATHER_SLICES)
        return infer_slices(x, i, node->attr.gather.axis, out, err);
    for (int d = 0; d < x->rank; d++)
        if (i->rank != x->rank || (d != node->attr.gather.axis && i->dim[d] > x->dim[d]))
            return nb_fail(NB_ERR_ARGUMENT, err, "indices of another shape than x");
    *out = *i;
    return NB_OK;
}

/* A whole number as an index into n; negative ones count from the end. */
static NB_FALLIBLE index_of(float number, int64_t n, int64_t *out, NbError *err) {
    if (!(number >= (float)-n && number < (float)n))
        return nb_fail(NB_ERR_ARGUMENT, err, "index %g into %" PRId64 " elements", (double)number,
                       n);
    *out = (int64_t)number < 0 ? (int64_t)number + n : (int64_t)number;
    return NB_OK;
}

/* What the loops of GATHER need. */
typedef struct Gather {
    const NbShape *in, *at, *out;
    const float *x, *i;
    float *y;
    int axis;
} Gather;

static NB_FALLIBLE gather_slices(const Gather *g, NbError *err) {
    const int64_t n = g->in->dim[g->axis];
    const size_t indices = nb_shape_count(g->at);
    size_t inner = 1;
    size_t outer = 1;
    for (int d = 0; d < g->axis; d++)
        outer *= (size_t)g->in->dim[d];
    for (int d = g->axis + 1; d < g->in->rank; d++)
        inner *= (size_t)g->in->dim[d];
    float *y = g->y;
    for (size_t o = 0; o < outer; o++)
        for (size_t k = 0; k < indices; k++) {
            int64_t at = 0;
            NB_TRY(index_of(g->i[k], n, &at, err));
            const float *from = g->x + (o * (size_t)n + (size_t)at) * inner;
            for (size_t j = 0; j < inner; j++)
                *y++ = from[j];
        }
    return NB_OK;
}

static NB_FALLIBLE gather_elements(const Gather *g, NbError *err) {
    NbView in = nb_view_broadcast(g->in, g->in);
    const int64_t along = in.stride[g->axis];
    in.stride[g->axis] = 0;
    in.shape = *g->out;
    const size_t count = nb_shape_count(g->out);
    for (size_t k = 0; k < count; k++) {
        int64_t at = 0;
        NB_TRY(index_of(g->i[k], g->in->dim[g->axis], &at, err));
        g->y[k] = g->x[nb_view_at(&in, k) + at * along];
    }
    return NB_OK;
}

static NB_FALLIBLE gather_nd(const Gather *g, NbError *err) {
    const int depth = (int)g->at->dim[g->at->rank - 1];
    const size_t tuples = nb_shape_count(g->at) / (size_t)depth;
    const size_t inner = tuples ? nb_shape_count(g->out) / tuples : 0;
    for (size_t k = 0; k < tuples; k++) {
        size_t from = 0;
        for (int d = 0; d < depth; d++) {
            int64_t at = 0;
            NB_TRY(index_of(g->i[k * (size_t)depth + (size_t)d], g->in->dim[d], &at, err));
            from = from * (size_t)g->in->dim[d] + (size_t)at;
        }
        for (size_t j = 0; j < inner; j++)
            g->y[k * inner + j] = g->x[from * inner + j];
    }
    return NB_OK;
}

static NB_FALLIBLE forward_gather(NbRun *run, NbNodeId id, NbError *err) {
    const NbNode *node = &run->g->node[id];
    Gather g = {.in = nb_in_shape(run->g, node, 0),
                .at = nb_in_shape(run->g, node, 1),
                .out = &node->shape,
                .axis = node->attr.gather.axis};
    NB_TRY(nb_run_real(run, id, 0, &g.x, err));
    NB_TRY(nb_run_real(run, id, 1, &g.i, err));
    NB_TRY(nb_run_new(run, id, NB_F32, err));
    g.y = nb_f32(&run->value[id].t);
    switch (node->attr.gather.kind) {
    case NB_GATHER_SLICES: return gather_slices(&g, err);
    case NB_GATHER_ELEMENTS: return gather_elements(&g, err);
    case NB_GATHER_ND: break;
    }
    return gather_nd(&g, err);
}

static NB_FALLIBLE infer_expand(const NbGraph *g, const NbNode *node, NbShape *out, NbError *err) {
    const NbReshapeAttr *a = &node->attr.expand;
    char text[2][96];
    NB_TRY(nb_infer_numbers(g, node, 0, err));
    if (a->n < 0 || a->n > NB_MAX_RANK)
        return nb_fail(NB_ERR_ARGUMENT, err, "%d dimensions, at most %d expected", a->n,
                       NB_MAX_RANK);
    const NbShape wanted = nb_shape(a->n, a->dim);
    for (int d = 0; d < a->n; d++)
        if (a->dim[d] < 0)
            return nb_fail(NB_ERR_ARGUMENT, err, "dimension %d is %" PRId64, d, a->dim[d]);
    if (!nb_broadcast_shape(nb_in_shape(g, node, 0), &wanted, out))
        return nb_fail(NB_ERR_ARGUMENT, err, "%s cannot be broadcast to %s",
                       nb_shape_text(nb_in_shape(g, node, 0), text[0], sizeof text[0]),
                       nb_shape_text(&wanted, text[1], sizeof text[1]));
    return NB_OK;
}

static NB_FALLIBLE forward_expand(NbRun *run, NbNodeId id, NbError *err) {
    const NbNode *node = &run->g->node[id];
    const NbView v = nb_view_broadcast(nb_in_shape(run->g, node, 0), &node->shape);
    const size_t count = nb_shape_count(&node->shape);
    const float *x = NULL;
    NB_TRY(nb_run_real(run, id, 0, &x, err));
    NB_TRY(nb_run_new(run, id, NB_F32, err));
    for (size_t i = 0; i < count; i++)
        nb_f32(&run->value[id].t)[i] = x[nb_view_at(&v, i)];
    return NB_OK;
}

static NB_FALLIBLE infer_pad(const NbGraph *g, const NbNode *node, NbShape *out, NbError *err) {
    const NbPadAttr *a = &node->attr.pad_nd;
    const int64_t most = (int64_t)1 << 31;
    NB_TRY(nb_infer_numbers(g, node, 0, err));
    *out = *nb_in_shape(g, node, 0);
    for (int d = 0; d < out->rank; d++) {
        const int64_t n = out->dim[d];
        if (a->before[d] < -most || a->before[d] > most || a->after[d] < -most ||
            a->after[d] > most || n + a->before[d] + a->after[d] < 0)
            return nb_fail(NB_ERR_ARGUMENT, err,
                           "padding %" PRId64 " and %" PRId64 " of a dimension of %" PRId64,
                           a->before[d], a->after[d], n);
        if (a->mode == NB_PAD_REFLECT && (a->before[d] >= n || a->after[d] >= n) && n > 0)
            return nb_fail(NB_ERR_ARGUMENT, err, "%" PRId64 " elements cannot be reflected so far",
                           n);
        if (a->mode != NB_PAD_CONSTANT && n == 0)
            return nb_fail(NB_ERR_ARGUMENT, err, "nothing to repeat along dimension %d", d);
        out->dim[d] = n + a->before[d] + a->after[d];
    }
    return NB_OK;
}

/* Where position i of a padded dimension of n comes from; -1: the constant. */
static int64_t source_of(const NbPadAttr *a, int64_t i, int64_t n) {
    if (i >= 0 && i < n)
        return i;
    switch (a->mode) {
    case NB_PAD_EDGE: return i < 0 ? 0 : n - 1;
    case NB_PAD_REFLECT: return i < 0 ? -i : 2 * (n - 1) - i;
    case NB_PAD_WRAP: return ((i % n) + n) % n;
    case NB_PAD_CONSTANT: break;
    }
    return -1;
}

static NB_FALLIBLE forward_pad(NbRun *run, NbNodeId id, NbError *err) {
    const NbNode *node = &run->g->node[id];
    const NbPadAttr *a = &node->attr.pad_nd;
    const NbShape *in = nb_in_shape(run->g, node, 0);
    const NbView dense = nb_view_broadcast(in, in);
    const size_t count = nb_shape_count(&node->shape);
    const float *x = NULL;
    NB_TRY(nb_run_real(run, id, 0, &x, err));
    NB_TRY(nb_run_new(run, id, NB_F32, err));
    for (size_t i = 0; i < count; i++) {
        int64_t rest = (int64_t)i;
        int64_t from = 0;
        for (int d = in->rank - 1; d >= 0 && from >= 0; d--) {
            const int64_t at = source_of(a, rest % node->shape.dim[d] - a->before[d], in->dim[d]);
            from = at < 0 ? -1 : from + at * dense.stride[d];
            rest /= node->shape.dim[d];
        }
        nb_f32(&run->value[id].t)[i] = from < 0 ? a->value : x[from];
    }
    return NB_OK;
}

const NbOpDef nb_op_gather = {
    .name = "GATHER", .min_in = 2, .max_in = 2, .infer = infer_gather, .forward = forward_gather};
const NbOpDef nb_op_expand = {
    .name = "EXPAND", .min_in = 1, .max_in = 1, .infer = infer_expand, .forward = forward_expand};
const NbOpDef nb_op_pad_nd = {
    .name = "PAD_ND", .min_in = 1, .max_in = 1, .infer = infer_pad, .forward = forward_pad};
