/* SPDX-License-Identifier: Apache-2.0
 *
 * POOL: maxima, their places, and averages over windows of any rank. */
#include "graph/run.h"

#include <inttypes.h>
#include <math.h>

enum { MAX_SPATIAL = NB_MAX_RANK - 2, MOST = 1 << 16 };

static NB_FALLIBLE infer_side(const NbWindowAttr *a, int d, int64_t *dim, NbError *err) {
    if (a->kernel[d] < 1 || a->stride[d] < 1 || a->dilation[d] < 1 || a->before[d] < 0 ||
        a->after[d] < 0 || a->kernel[d] > MOST || a->stride[d] > MOST || a->dilation[d] > MOST ||
        a->before[d] > MOST || a->after[d] > MOST)
        return nb_fail(NB_ERR_ARGUMENT, err, "kernel %d, stride %d, dilation %d, padding %d and %d",
                       a->kernel[d], a->stride[d], a->dilation[d], a->before[d], a->after[d]);
    const int64_t in = *dim;
    const int64_t room =
        in + a->before[d] + a->after[d] - (int64_t)a->dilation[d] * (a->kernel[d] - 1) - 1;
    if (room < 0)
        return nb_fail(NB_ERR_ARGUMENT, err, "a kernel of %d does not fit into %" PRId64,
                       a->kernel[d], in + a->before[d] + a->after[d]);
    *dim = (a->ceil ? (room + a->stride[d] - 1) / a->stride[d] : room / a->stride[d]) + 1;
    if (a->ceil && (*dim - 1) * a->stride[d] >= in + a->before[d])
        --*dim;
    return NB_OK;
}

static NB_FALLIBLE infer(const NbGraph *g, const NbNode *node, NbShape *out, NbError *err) {
    NB_TRY(nb_infer_numbers(g, node, 0, err));
    *out = *nb_in_shape(g, node, 0);
    if (out->rank < 3)
        return nb_fail(NB_ERR_ARGUMENT, err, "%d dimensions, 3 to 8 expected", out->rank);
    for (int d = 0; d < out->rank - 2; d++)
        NB_TRY(infer_side(&node->attr.window, d, &out->dim[2 + d], err));
    return NB_OK;
}

/* One window: what has been seen of it. */
typedef struct Window {
    const NbWindowAttr *a;
    const NbShape *in;
    const float *plane;
    int64_t start[MAX_SPATIAL]; /* of its first tap */
    double sum;
    int64_t inside;  /* taps on x */
    int64_t covered; /* taps on x and its padding */
    int64_t best;    /* place of the maximum in the plane */
} Window;

static void visit(Window *w, int d, int64_t at, bool on_x, bool on_padding) {
    const int spatial = w->in->rank - 2;
    if (d == spatial) {
        w->covered += on_padding;
        if (!on_x)
            return;
        w->inside++;
        w->sum += (double)w->plane[at];
        if (w->best < 0 || w->plane[at] > w->plane[w->best] || isnan(w->plane[at]))
            w->best = at;
        return;
    }
    const int64_t n = w->in->dim[2 + d];
    for (int64_t k = 0; k < w->a->kernel[d]; k++) {
        const int64_t i = w->start[d] + k * w->a->dilation[d];
        visit(w, d + 1, at * n + i, on_x && i >= 0 && i < n, on_padding && i < n + w->a->after[d]);
    }
}

/* The same place counted with the first spatial dimension fastest. */
static int64_t by_column(const NbShape *in, int64_t at) {
    int64_t out = 0;
    for (int d = in->rank - 1; d >= 2; d--) {
        out = out * in->dim[d] + at % in->dim[d];
        at /= in->dim[d];
    }
    return out;
}

static float result_of(const Window *w, int64_t plane, int64_t size) {
    if (w->a->average) {
        const int64_t n = w->a->count_padding ? w->covered : w->inside;
        return n ? (float)(w->sum / (double)n) : 0.0F;
    }
    if (w->best < 0)
        return w->a->indices ? -1.0F : -INFINITY;
    if (!w->a->indices)
        return w->plane[w->best];
    return (float)(plane * size + (w->a->by_column ? by_column(w->in, w->best) : w->best));
}

static NB_FALLIBLE forward(NbRun *run, NbNodeId id, NbError *err) {
    const NbNode *node = &run->g->node[id];
    const NbShape *in = nb_in_shape(run->g, node, 0);
    const NbShape *out = &node->shape;
    int64_t size = 1;
    int64_t windows = 1;
    for (int d = 2; d < in->rank; d++) {
        size *= in->dim[d];
        windows *= out->dim[d];
    }
    const float *x = NULL;
    NB_TRY(nb_run_real(run, id, 0, &x, err));
    NB_TRY(nb_run_new(run, id, NB_F32, err));
    float *y = nb_f32(&run->value[id].t);
    for (int64_t p = 0; p < in->dim[0] * in->dim[1]; p++)
        for (int64_t i = 0; i < windows; i++) {
            Window w = {.a = &node->attr.window, .in = in, .plane = x + p * size, .best = -1};
            int64_t rest = i;
            for (int d = in->rank - 3; d >= 0; d--) {
                w.start[d] = rest % out->dim[2 + d] * w.a->stride[d] - w.a->before[d];
                rest /= out->dim[2 + d];
            }
            visit(&w, 0, 0, true, true);
            *y++ = result_of(&w, p, size);
        }
    return NB_OK;
}

const NbOpDef nb_op_pool = {
    .name = "POOL", .min_in = 1, .max_in = 1, .infer = infer, .forward = forward};
