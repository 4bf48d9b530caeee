/* SPDX-License-Identifier: Apache-2.0
 *
 * REDUCE over any axes, TOPK along one. */
#include "graph/broadcast.h"
#include "graph/run.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

static NB_FALLIBLE infer_reduce(const NbGraph *g, const NbNode *node, NbShape *out, NbError *err) {
    const NbReduceAttr *a = &node->attr.reduce;
    NB_TRY(nb_infer_numbers(g, node, 0, err));
    const NbShape *x = nb_in_shape(g, node, 0);
    const bool place = a->kind == NB_REDUCE_ARGMIN || a->kind == NB_REDUCE_ARGMAX;
    if (a->axes >> x->rank || (place && __builtin_popcount(a->axes) != 1))
        return nb_fail(NB_ERR_ARGUMENT, err, "axes 0x%x of %d dimensions", a->axes, x->rank);
    out->rank = 0;
    for (int d = 0; d < x->rank; d++) {
        if (!(a->axes >> d & 1U))
            out->dim[out->rank++] = x->dim[d];
        else if (a->keep)
            out->dim[out->rank++] = 1;
        if (place && (a->axes >> d & 1U) && x->dim[d] == 0)
            return nb_fail(NB_ERR_ARGUMENT, err, "the largest of nothing along axis %d", d);
    }
    return NB_OK;
}

static double start_of(NbReduceKind kind) {
    switch (kind) {
    case NB_REDUCE_PROD: return 1.0;
    case NB_REDUCE_MIN:
    case NB_REDUCE_ARGMIN: return (double)INFINITY;
    case NB_REDUCE_MAX:
    case NB_REDUCE_ARGMAX: return (double)-INFINITY;
    case NB_REDUCE_SUM:
    case NB_REDUCE_MEAN:
    case NB_REDUCE_L1:
    case NB_REDUCE_L2:
    case NB_REDUCE_SQUARES: break;
    }
    return 0.0;
}

static double join(NbReduceKind kind, double so_far, double x) {
    switch (kind) {
    case NB_REDUCE_SUM:
    case NB_REDUCE_MEAN: return so_far + x;
    case NB_REDUCE_PROD: return so_far * x;
    case NB_REDUCE_MIN: return isnan(so_far) || so_far < x ? so_far : x;
    case NB_REDUCE_MAX: return isnan(so_far) || so_far > x ? so_far : x;
    case NB_REDUCE_L1: return so_far + fabs(x);
    case NB_REDUCE_L2:
    case NB_REDUCE_SQUARES: return so_far + x * x;
    case NB_REDUCE_ARGMIN:
    case NB_REDUCE_ARGMAX: break;
    }
    return so_far;
}

/* x as seen when its reduced dimensions come last: outer elements of `inner` each. */
typedef struct Fold {
    NbView outer, inner;
    size_t n_outer, n_inner;
} Fold;

static Fold fold_of(const NbShape *x, unsigned axes) {
    const NbView dense = nb_view_broadcast(x, x);
    Fold f = {0};
    for (int d = 0; d < x->rank; d++) {
        NbView *v = axes >> d & 1U ? &f.inner : &f.outer;
        v->stride[v->shape.rank] = dense.stride[d];
        v->shape.dim[v->shape.rank++] = x->dim[d];
    }
    f.n_outer = nb_shape_count(&f.outer.shape);
    f.n_inner = nb_shape_count(&f.inner.shape);
    return f;
}

static float place_of(const Fold *f, const NbReduceAttr *a, const float *x) {
    const bool largest = a->kind == NB_REDUCE_ARGMAX;
    size_t best = 0;
    for (size_t i = 1; i < f->n_inner; i++) {
        const float now = x[nb_view_at(&f->inner, i)];
        const float then = x[nb_view_at(&f->inner, best)];
        if ((largest ? now > then : now < then) || (a->last && now == then))
            best = i;
    }
    return (float)best;
}

static float value_of(const Fold *f, const NbReduceAttr *a, const float *x) {
    double sum = start_of(a->kind);
    for (size_t i = 0; i < f->n_inner; i++)
        sum = join(a->kind, sum, (double)x[nb_view_at(&f->inner, i)]);
    if (a->kind == NB_REDUCE_MEAN)
        sum /= (double)f->n_inner;
    return (float)(a->kind == NB_REDUCE_L2 ? sqrt(sum) : sum);
}

static NB_FALLIBLE forward_reduce(NbRun *run, NbNodeId id, NbError *err) {
    const NbNode *node = &run->g->node[id];
    const NbReduceAttr *a = &node->attr.reduce;
    const Fold f = fold_of(nb_in_shape(run->g, node, 0), a->axes);
    const bool place = a->kind == NB_REDUCE_ARGMIN || a->kind == NB_REDUCE_ARGMAX;
    const float *x = NULL;
    NB_TRY(nb_run_real(run, id, 0, &x, err));
    NB_TRY(nb_run_new(run, id, NB_F32, err));
    float *y = nb_f32(&run->value[id].t);
    for (size_t i = 0; i < f.n_outer; i++) {
        const float *row = x + nb_view_at(&f.outer, i);
        y[i] = place ? place_of(&f, a, row) : value_of(&f, a, row);
    }
    return NB_OK;
}

static NB_FALLIBLE infer_topk(const NbGraph *g, const NbNode *node, NbShape *out, NbError *err) {
    const int axis = node->attr.topk.axis;
    const int64_t k = node->attr.topk.k;
    NB_TRY(nb_infer_numbers(g, node, 0, err));
    NB_TRY(nb_infer_axis(g, node, axis, err));
    *out = *nb_in_shape(g, node, 0);
    if (k < 0 || k > out->dim[axis])
        return nb_fail(NB_ERR_ARGUMENT, err, "the %" PRId64 " largest of %" PRId64, k,
                       out->dim[axis]);
    out->dim[axis] = k;
    return NB_OK;
}

typedef struct Ranked {
    float value;
    int64_t at;
} Ranked;

/* Best first: larger, then earlier; NaN counts as largest. */
static int compare(const void *a, const void *b) {
    const Ranked *p = a;
    const Ranked *q = b;
    const bool p_nan = isnan(p->value);
    const bool q_nan = isnan(q->value);
    if (p_nan != q_nan)
        return p_nan ? -1 : 1;
    if (!p_nan && p->value != q->value)
        return p->value > q->value ? -1 : 1;
    return p->at < q->at ? -1 : p->at > q->at;
}

static NB_FALLIBLE forward_topk(NbRun *run, NbNodeId id, NbError *err) {
    const NbNode *node = &run->g->node[id];
    const int axis = node->attr.topk.axis;
    const int64_t k = node->attr.topk.k;
    const float sign = node->attr.topk.smallest ? -1.0F : 1.0F;
    const Fold from = fold_of(nb_in_shape(run->g, node, 0), 1U << axis);
    const Fold to = fold_of(&node->shape, 1U << axis);
    const float *x = NULL;
    NB_TRY(nb_run_real(run, id, 0, &x, err));
    NB_TRY(nb_run_new(run, id, NB_F32, err));
    float *y = nb_f32(&run->value[id].t);
    Ranked *row = NB_NEW(run->arena, Ranked, from.n_inner);
    if (!row)
        return nb_fail_memory(err, "ranking");
    for (size_t i = 0; i < from.n_outer; i++) {
        const float *in = x + nb_view_at(&from.outer, i);
        float *out = y + nb_view_at(&to.outer, i);
        for (size_t j = 0; j < from.n_inner; j++)
            row[j] = (Ranked){sign * in[nb_view_at(&from.inner, j)], (int64_t)j};
        qsort(row, from.n_inner, sizeof *row, compare);
        for (int64_t j = 0; j < k; j++)
            out[nb_view_at(&to.inner, (size_t)j)] =
                node->attr.topk.indices ? (float)row[j].at : sign * row[j].value;
    }
    return NB_OK;
}

const NbOpDef nb_op_reduce = {
    .name = "REDUCE", .min_in = 1, .max_in = 1, .infer = infer_reduce, .forward = forward_reduce};
const NbOpDef nb_op_topk = {
    .name = "TOPK", .min_in = 1, .max_in = 1, .infer = infer_topk, .forward = forward_topk};
