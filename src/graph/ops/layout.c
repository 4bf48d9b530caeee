/* SPDX-License-Identifier: Apache-2.0
 *
 * What only moves values: UPSAMPLE (nearest), CONCAT, PAD (with real zero). Codes stay codes. */
#include "graph/run.h"

#include <string.h>

enum { MAX_FACTOR = 64, MAX_PAD = 4096 };

static NB_FALLIBLE infer_upsample(const NbGraph *g, const NbNode *node, NbShape *out,
                                  NbError *err) {
    const int factor = node->attr.upsample.factor;
    NB_TRY(nb_infer_rank4(g, node, 0, err));
    if (factor < 1 || factor > MAX_FACTOR)
        return nb_fail(NB_ERR_ARGUMENT, err, "factor %d, 1 to %d expected", factor, MAX_FACTOR);
    *out = *nb_in_shape(g, node, 0);
    out->dim[2] *= factor;
    out->dim[3] *= factor;
    return NB_OK;
}

static NB_FALLIBLE check_join(const NbGraph *g, const NbNode *node, int i, NbError *err) {
    const NbNode *first = &g->node[node->in[0]];
    const NbNode *x = &g->node[node->in[i]];
    char a[96];
    char b[96];
    if (x->kind == NB_VALUE_SUM)
        return nb_fail(NB_ERR_ARGUMENT, err, "'%s' is integers without a scale", x->name);
    if (x->shape.rank != first->shape.rank)
        return nb_fail(NB_ERR_ARGUMENT, err, "'%s' has %d dimensions and '%s' has %d", x->name,
                       x->shape.rank, first->name, first->shape.rank);
    for (int d = 0; d < first->shape.rank; d++)
        if (d != node->attr.concat.axis && x->shape.dim[d] != first->shape.dim[d])
            return nb_fail(NB_ERR_ARGUMENT, err,
                           "'%s' is %s and '%s' is %s: only axis %d may differ", x->name,
                           nb_shape_text(&x->shape, a, sizeof a), first->name,
                           nb_shape_text(&first->shape, b, sizeof b), node->attr.concat.axis);
    if (node->kind == NB_VALUE_CODED && !nb_graph_same_scale(g, node->in[0], node->in[i]))
        return nb_fail(NB_ERR_ARGUMENT, err,
                       "the codes of '%s' and '%s' do not share one scale by construction",
                       first->name, x->name);
    return NB_OK;
}

static NB_FALLIBLE infer_concat(const NbGraph *g, const NbNode *node, NbShape *out, NbError *err) {
    const int axis = node->attr.concat.axis;
    NB_TRY(nb_infer_axis(g, node, axis, err));
    for (int i = 0; i < node->n_in; i++) {
        NB_TRY(check_join(g, node, i, err));
        if (i == 0)
            *out = *nb_in_shape(g, node, 0);
        else
            out->dim[axis] += nb_in_shape(g, node, i)->dim[axis];
    }
    return NB_OK;
}

static NB_FALLIBLE infer_pad(const NbGraph *g, const NbNode *node, NbShape *out, NbError *err) {
    const int *pad = node->attr.pad.pad;
    NB_TRY(nb_infer_rank4(g, node, 0, err));
    for (int i = 0; i < 4; i++)
        if (pad[i] < 0 || pad[i] > MAX_PAD)
            return nb_fail(NB_ERR_ARGUMENT, err, "padding %d, 0 to %d expected", pad[i], MAX_PAD);
    *out = *nb_in_shape(g, node, 0);
    out->dim[2] += pad[0] + pad[2];
    out->dim[3] += pad[1] + pad[3];
    return NB_OK;
}

/* Where output pixel i of a plane comes from; -1: padding. */
static int64_t source_pixel(const NbNode *node, const NbShape *in, int64_t i) {
    const int64_t y = i / node->shape.dim[3];
    const int64_t x = i % node->shape.dim[3];
    if (node->op == NB_OP_UPSAMPLE)
        return y / node->attr.upsample.factor * in->dim[3] + x / node->attr.upsample.factor;
    const int64_t from_y = y - node->attr.pad.pad[0];
    const int64_t from_x = x - node->attr.pad.pad[1];
    const bool inside = from_y >= 0 && from_x >= 0 && from_y < in->dim[2] && from_x < in->dim[3];
    return inside ? from_y * in->dim[3] + from_x : -1;
}

static NB_FALLIBLE forward_move(NbRun *run, NbNodeId id, NbError *err) {
    const NbNode *node = &run->g->node[id];
    const NbShape *in = &run->g->node[node->in[0]].shape;
    const int64_t planes = in->dim[0] * in->dim[1];
    const int64_t pixels = node->shape.dim[2] * node->shape.dim[3];
    NB_TRY(nb_run_new_like(run, id, err));
    const float *x = nb_run_data(run, id, 0);
    float *y = nb_f32(&run->value[id].t);
    for (int64_t p = 0; p < planes; p++)
        for (int64_t i = 0; i < pixels; i++) {
            const int64_t from = source_pixel(node, in, i);
            y[p * pixels + i] =
                from < 0 ? run->value[id].zero : x[p * in->dim[2] * in->dim[3] + from];
        }
    return NB_OK;
}

static NB_FALLIBLE backward_move(NbRun *run, NbNodeId id, const float *dy, float *const dx[],
                                 NbError *err) {
    (void)err;
    const NbNode *node = &run->g->node[id];
    const NbShape *in = &run->g->node[node->in[0]].shape;
    const int64_t planes = dx[0] ? in->dim[0] * in->dim[1] : 0;
    const int64_t pixels = node->shape.dim[2] * node->shape.dim[3];
    for (int64_t p = 0; p < planes; p++)
        for (int64_t i = 0; i < pixels; i++) {
            const int64_t from = source_pixel(node, in, i);
            if (from >= 0)
                dx[0][p * in->dim[2] * in->dim[3] + from] += dy[p * pixels + i];
        }
    return NB_OK;
}

/* Elements of one input that lie together in the output, and how many such runs there are. */
static size_t run_length(const NbShape *s, int axis) {
    size_t n = 1;
    for (int d = axis; d < s->rank; d++)
        n *= (size_t)s->dim[d];
    return n;
}

static NB_FALLIBLE forward_concat(NbRun *run, NbNodeId id, NbError *err) {
    const NbNode *node = &run->g->node[id];
    const int axis = node->attr.concat.axis;
    const size_t stride = run_length(&node->shape, axis);
    const size_t runs = stride ? nb_shape_count(&node->shape) / stride : 0;
    NB_TRY(nb_run_new_like(run, id, err));
    float *y = nb_f32(&run->value[id].t);
    for (int k = 0; k < node->n_in; k++) {
        const size_t n = run_length(nb_in_shape(run->g, node, k), axis);
        const float *x = nb_run_data(run, id, k);
        if (!run->value[id].coded)
            NB_TRY(nb_run_real(run, id, k, &x, err));
        for (size_t r = 0; r < runs; r++)
            memcpy(y + r * stride, x + r * n, n * sizeof *x);
        y += n;
    }
    return NB_OK;
}

static NB_FALLIBLE backward_concat(NbRun *run, NbNodeId id, const float *dy, float *const dx[],
                                   NbError *err) {
    (void)err;
    const NbNode *node = &run->g->node[id];
    const int axis = node->attr.concat.axis;
    const size_t stride = run_length(&node->shape, axis);
    const size_t runs = stride ? nb_shape_count(&node->shape) / stride : 0;
    for (int k = 0; k < node->n_in; k++) {
        const size_t n = run_length(nb_in_shape(run->g, node, k), axis);
        for (size_t r = 0; dx[k] && r < runs; r++)
            for (size_t i = 0; i < n; i++)
                dx[k][r * n + i] += dy[r * stride + i];
        dy += n;
    }
    return NB_OK;
}

const NbOpDef nb_op_upsample = {.name = "UPSAMPLE",
                                .min_in = 1,
                                .max_in = 1,
                                .infer = infer_upsample,
                                .forward = forward_move,
                                .backward = backward_move};
const NbOpDef nb_op_concat = {.name = "CONCAT",
                              .min_in = 1,
                              .max_in = NB_ANY_INPUTS,
                              .infer = infer_concat,
                              .forward = forward_concat,
                              .backward = backward_concat};
const NbOpDef nb_op_pad = {.name = "PAD",
                           .min_in = 1,
                           .max_in = 1,
                           .infer = infer_pad,
                           .forward = forward_move,
                           .backward = backward_move};
