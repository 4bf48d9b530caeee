/* SPDX-License-Identifier: Apache-2.0
 *
 * RESIZE: ONNX Resize 19: dimension after dimension, each a sum of a few weighted taps.
 * Source: the reference implementation in github.com/onnx/onnx, op_resize.py. */
#include "graph/broadcast.h"
#include "graph/run.h"

#include <math.h>

enum { MAX_TAPS = 4 };

static NB_FALLIBLE infer(const NbGraph *g, const NbNode *node, NbShape *out, NbError *err) {
    const NbResizeAttr *a = &node->attr.resize;
    NB_TRY(nb_infer_numbers(g, node, 0, err));
    *out = *nb_in_shape(g, node, 0);
    for (int d = 0; d < out->rank; d++) {
        if (a->size[d] < 1 || a->size[d] > (int64_t)1 << 31 || !(a->scale[d] > 0.0F) ||
            out->dim[d] < 1)
            return nb_fail(NB_ERR_ARGUMENT, err, "dimension %d: size %lld, scale %g", d,
                           (long long)a->size[d], (double)a->scale[d]);
        out->dim[d] = a->size[d];
    }
    return NB_OK;
}

/* Where output position i of a dimension lies in the input. */
static double place_of(const NbResizeAttr *a, int d, int64_t i, int64_t n_in) {
    const double scale = (double)a->scale[d];
    const double n_out = (double)a->size[d];
    const double x = (double)i;
    switch (a->place) {
    case NB_RESIZE_HALF_PIXEL_SYMMETRIC: {
        const double adjust = n_out / (scale * (double)n_in);
        const double centre = (double)n_in / 2.0;
        return centre * (1.0 - adjust) + (x + 0.5) / scale - 0.5;
    }
    case NB_RESIZE_PYTORCH_HALF_PIXEL: return n_out > 1.0 ? (x + 0.5) / scale - 0.5 : 0.0;
    case NB_RESIZE_ALIGN_CORNERS: return n_out > 1.0 ? x * (double)(n_in - 1) / (n_out - 1.0) : 0.0;
    case NB_RESIZE_ASYMMETRIC: return x / scale;
    case NB_RESIZE_HALF_PIXEL: break;
    }
    return (x + 0.5) / scale - 0.5;
}

static double cubic(double a, double t) {
    t = fabs(t);
    if (t <= 1.0)
        return (a + 2.0) * t * t * t - (a + 3.0) * t * t + 1.0;
    return t < 2.0 ? a * t * t * t - 5.0 * a * t * t + 8.0 * a * t - 4.0 * a : 0.0;
}

static double nearest(const NbResizeAttr *a, double x) {
    switch (a->nearest) {
    case NB_RESIZE_FLOOR: return floor(x);
    case NB_RESIZE_CEIL: return ceil(x);
    case NB_RESIZE_PREFER_CEIL: return floor(x + 0.5);
    case NB_RESIZE_PREFER_FLOOR: break;
    }
    return ceil(x - 0.5);
}

typedef struct Taps {
    int n;
    int64_t at[MAX_TAPS];
    double weight[MAX_TAPS];
} Taps;

static Taps taps_of(const NbResizeAttr *a, int d, int64_t i, int64_t n_in) {
    const double x = place_of(a, d, i, n_in);
    Taps t = {.n = 1, .weight = {1.0}};
    double first = nearest(a, x);
    if (a->mode != NB_RESIZE_NEAREST) {
        t.n = a->mode == NB_RESIZE_LINEAR ? 2 : 4;
        first = floor(x) - (t.n == 4 ? 1.0 : 0.0);
    }
    double total = 0.0;
    for (int k = 0; k < t.n; k++) {
        const double at = first + k;
        const bool outside = at < 0.0 || at > (double)(n_in - 1);
        if (t.n > 1)
            t.weight[k] = t.n == 2 ? 1.0 - fabs(x - at) : cubic((double)a->cubic, x - at);
        if (outside && a->exclude_outside && t.n > 1)
            t.weight[k] = 0.0;
        t.at[k] = at < 0.0 ? 0 : outside ? n_in - 1 : (int64_t)at;
        total += t.weight[k];
    }
    for (int k = 0; k < t.n && a->exclude_outside && total != 0.0; k++)
        t.weight[k] /= total;
    return t;
}

/* Resizes dimension d of x, whose shape is *shape, into y. */
static void resize_side(const NbResizeAttr *a, int d, NbShape *shape, const float *x, float *y) {
    const int64_t n_in = shape->dim[d];
    int64_t inner = 1;
    int64_t outer = 1;
    for (int k = 0; k < d; k++)
        outer *= shape->dim[k];
    for (int k = d + 1; k < shape->rank; k++)
        inner *= shape->dim[k];
    for (int64_t i = 0; i < a->size[d]; i++) {
        const Taps t = taps_of(a, d, i, n_in);
        for (int64_t o = 0; o < outer; o++)
            for (int64_t j = 0; j < inner; j++) {
                double sum = 0.0;
                for (int k = 0; k < t.n; k++)
                    sum += t.weight[k] * (double)x[(o * n_in + t.at[k]) * inner + j];
                y[(o * a->size[d] + i) * inner + j] = (float)sum;
            }
    }
    shape->dim[d] = a->size[d];
}

static NB_FALLIBLE forward(NbRun *run, NbNodeId id, NbError *err) {
    const NbNode *node = &run->g->node[id];
    const NbResizeAttr *a = &node->attr.resize;
    NbShape shape = *nb_in_shape(run->g, node, 0);
    const float *x = NULL;
    NB_TRY(nb_run_real(run, id, 0, &x, err));
    NB_TRY(nb_run_new(run, id, NB_F32, err));
    for (int d = 0; d < shape.rank; d++) {
        NbShape next = shape;
        next.dim[d] = a->size[d];
        if (a->scale[d] == 1.0F && a->size[d] == shape.dim[d])
            continue;
        float *y = NB_NEW(run->arena, float, nb_shape_count(&next));
        if (!y)
            return nb_fail_memory(err, "a resized tensor");
        resize_side(a, d, &shape, x, y);
        x = y;
    }
    const size_t count = nb_shape_count(&node->shape);
    for (size_t i = 0; i < count; i++)
        nb_f32(&run->value[id].t)[i] = x[i];
    return NB_OK;
}

const NbOpDef nb_op_resize = {
    .name = "RESIZE", .min_in = 1, .max_in = 1, .infer = infer, .forward = forward};
