/* SPDX-License-Identifier: Apache-2.0
 *
 * Rules for ONNX layers: convolutions, norms, pools, resizing, suppression. */
#include "model/onnx/rules_layer.h"
#include "model/onnx/builder.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { SPATIAL = 6, MOST = 1 << 16 };

/* Whole numbers of an attribute that fit an int; what is missing becomes `otherwise`. */
static NB_FALLIBLE small(NbOnnxBuilder *b, const char *name, int n, int otherwise, int *out,
                         NbError *err) {
    int64_t list[2 * SPATIAL];
    size_t found = 0;
    NB_TRY(nb_ob_attr_ints(b, name, (size_t)2 * SPATIAL, list, &found, err));
    if (found && (int)found != n)
        return nb_fail(NB_ERR_FORMAT, err, "'%s' has %zu numbers, %d expected", name, found, n);
    for (int i = 0; i < n; i++) {
        if (found && (list[i] < -MOST || list[i] > MOST))
            return nb_fail(NB_ERR_FORMAT, err, "'%s' holds %" PRId64, name, list[i]);
        out[i] = found ? (int)list[i] : otherwise;
    }
    return NB_OK;
}

NbStatus nb_onnx_window(NbOnnxBuilder *b, const NbShape *in, const int *kernel, int spatial,
                        NbOnnxWindow *w, NbError *err) {
    const char *how = nb_ob_attr_s(b, "auto_pad", "NOTSET");
    if (spatial < 1 || spatial > SPATIAL)
        return nb_fail(NB_ERR_UNSUPPORTED, err, "%d spatial dimensions", spatial);
    NB_TRY(small(b, "kernel_shape", spatial, 0, w->kernel, err));
    NB_TRY(small(b, "strides", spatial, 1, w->stride, err));
    NB_TRY(small(b, "dilations", spatial, 1, w->dilation, err));
    NB_TRY(small(b, "pads", 2 * spatial, 0, w->pad, err));
    const bool lower = strcmp(how, "SAME_LOWER") == 0;
    const bool same = lower || strcmp(how, "SAME_UPPER") == 0;
    for (int d = 0; d < spatial; d++) {
        if (kernel && w->kernel[d] && w->kernel[d] != kernel[d])
            return nb_fail(NB_ERR_FORMAT, err, "kernel_shape says %d, the weights are %d wide",
                           w->kernel[d], kernel[d]);
        if (kernel)
            w->kernel[d] = kernel[d];
        if (w->kernel[d] < 1 || w->stride[d] < 1 || w->dilation[d] < 1)
            return nb_fail(NB_ERR_FORMAT, err, "kernel %d, stride %d, dilation %d", w->kernel[d],
                           w->stride[d], w->dilation[d]);
        if (!same && strcmp(how, "VALID") == 0)
            w->pad[d] = w->pad[spatial + d] = 0;
        if (!same)
            continue;
        const int64_t n = in->dim[2 + d];
        const int64_t out = (n + w->stride[d] - 1) / w->stride[d];
        const int64_t span = (int64_t)(w->kernel[d] - 1) * w->dilation[d] + 1;
        int64_t total = (out - 1) * w->stride[d] + span - n;
        total = total < 0 ? 0 : total;
        w->pad[d] = (int)(lower ? (total + 1) / 2 : total / 2);
        w->pad[spatial + d] = (int)total - w->pad[d];
    }
    return NB_OK;
}

/* [N, C, L] is seen as [N, C, 1, L]. */
static NB_FALLIBLE lift(NbOnnxBuilder *b, NbNodeId *x, NbError *err) {
    const NbShape s = nb_ob_shape(b, *x);
    const int64_t dim[4] = {s.dim[0], s.dim[1], 1, s.dim[2]};
    return s.rank == 3 ? nb_ob_reshape(b, *x, 4, dim, x, err) : NB_OK;
}

static NB_FALLIBLE lower_rank(NbOnnxBuilder *b, bool lifted, NbNodeId *x, NbError *err) {
    const NbShape s = nb_ob_shape(b, *x);
    const int64_t dim[3] = {s.dim[0], s.dim[1], s.dim[3]};
    return lifted ? nb_ob_reshape(b, *x, 3, dim, x, err) : NB_OK;
}

NbStatus nb_onnx_add_bias(NbOnnxBuilder *b, NbNodeId bias, NbNodeId *y, NbError *err) {
    const NbShape s = nb_ob_shape(b, bias);
    int64_t dim[NB_MAX_RANK] = {1, (int64_t)nb_shape_count(&s), 1, 1, 1, 1, 1, 1};
    NB_TRY(nb_ob_real(b, bias, &bias, err));
    NB_TRY(nb_ob_reshape(b, bias, nb_ob_shape(b, *y).rank, dim, &bias, err));
    return nb_ob_two(b, NB_OP_ADD, *y, bias, y, err);
}

NbStatus nb_onnx_conv(NbOnnxBuilder *b, NbNodeId x, NbNodeId w, NbNodeId bias, NbNodeId *y,
                      NbError *err) {
    const NbShape s = nb_ob_shape(b, x);
    const NbShape k = nb_ob_shape(b, w);
    const int spatial = s.rank - 2;
    const bool lifted = spatial == 1;
    NbOnnxWindow win = {0};
    if (spatial < 1 || spatial > 2 || k.rank != s.rank)
        return nb_fail(NB_ERR_UNSUPPORTED, err,
                       "x of %d and weights of %d dimensions, 3 or 4 of both expected", s.rank,
                       k.rank);
    const int kernel[2] = {(int)k.dim[2], spatial == 2 ? (int)k.dim[3] : 0};
    NB_TRY(nb_onnx_window(b, &s, kernel, spatial, &win, err));
    const int64_t groups = nb_ob_attr_i(b, "group", 1);
    NbAttr attr = {.conv = {.groups = groups < 1 || groups > MOST ? 0 : (int)groups}};
    for (int i = 0; i < 2; i++) { /* the missing first side is one row */
        const int d = lifted ? 0 : i;
        const bool there = !lifted || i == 1;
        attr.conv.kernel[i] = there ? win.kernel[d] : 1;
        attr.conv.stride[i] = there ? win.stride[d] : 1;
        attr.conv.dilation[i] = there ? win.dilation[d] : 1;
        attr.conv.pad[i] = there ? win.pad[d] : 0;
        attr.conv.pad[2 + i] = there ? win.pad[spatial + d] : 0;
    }
    NB_TRY(lift(b, &x, err));
    NB_TRY(lift(b, &w, err));
    const bool inside = bias >= 0 && nb_ob_is_const(b, bias);
    const NbNodeId in[3] = {x, w, bias};
    NB_TRY(nb_ob_add(b, NB_OP_CONV, &attr, inside ? 3 : 2, in, y, err));
    NB_TRY(lower_rank(b, lifted, y, err));
    return bias >= 0 && !inside ? nb_onnx_add_bias(b, bias, y, err) : NB_OK;
}

static NbStatus conv_rule(NbOnnxBuilder *b, int kind, NbError *err) {
    (void)kind;
    NbOnnxVal *w = NULL;
    NbNodeId x = -1;
    NbNodeId bias = -1;
    NbNodeId y = -1;
    NB_TRY(nb_ob_in(b, 0, &x, err));
    NB_TRY(nb_ob_val(b, 1, &w, err));
    if (nb_ob_has(b, 2))
        NB_TRY(nb_ob_in(b, 2, &bias, err));
    const bool codes = w->coded >= 0 && b->g.node[x].kind == NB_VALUE_CODED;
    NB_TRY(nb_onnx_conv(b, x, codes ? w->coded : w->node, bias, &y, err));
    return nb_ob_out(b, 0, y, nb_ob_type(b, 0), err);
}

/* Padding of a transposed convolution from output_shape or auto_pad. */
static void deconv_pads(const NbOnnxBuilder *b, const NbShape *s, const int64_t *want, size_t n,
                        const NbOnnxWindow *w, NbDeconvAttr *a) {
    const char *how = nb_ob_attr_s(b, "auto_pad", "NOTSET");
    const bool same = strncmp(how, "SAME", 4) == 0;
    for (int d = 0; d < 2; d++) {
        const int64_t full = (int64_t)a->stride[d] * (s->dim[2 + d] - 1) + a->extra[d] +
                             (int64_t)(w->kernel[d] - 1) * a->dilation[d] + 1;
        if (!n && !same)
            continue;
        const int64_t size = n ? want[n - 2 + (size_t)d] : s->dim[2 + d] * a->stride[d];
        const int64_t total = full - size;
        const int64_t half = total / 2;
        const bool upper = strcmp(how, "SAME_UPPER") == 0;
        a->pad[d] = (int)(upper ? half : total - half);
        a->pad[2 + d] = (int)(total - a->pad[d]);
        if (total < 0) { /* larger than what is computed: grow at the end */
            a->pad[d] = 0;
            a->pad[2 + d] = 0;
            a->extra[d] += (int)-total;
        }
    }
}

static NbStatus deconv_rule(NbOnnxBuilder *b, int kind, NbError *err) {
    (void)kind;
    NbNodeId in[3] = {-1, -1, -1};
    NbNodeId y = -1;
    int64_t want[4];
    size_t n = 0;
    NbOnnxWindow w = {0};
    NbAttr attr = {0};
    const int64_t groups = nb_ob_attr_i(b, "group", 1);
    for (size_t i = 0; i < 3; i++)
        if (i < 2 || nb_ob_has(b, i)) {
            NB_TRY(nb_ob_in(b, i, &in[i], err));
            NB_TRY(nb_ob_real(b, in[i], &in[i], err));
        }
    const NbShape s = nb_ob_shape(b, in[0]);
    const NbShape k = nb_ob_shape(b, in[1]);
    if (s.rank != 4 || k.rank != 4)
        return nb_fail(NB_ERR_UNSUPPORTED, err,
                       "a transposed convolution of %d dimensions, 4 expected", s.rank);
    NB_TRY(nb_onnx_window(b, &s, (const int[]){(int)k.dim[2], (int)k.dim[3]}, 2, &w, err));
    NB_TRY(small(b, "output_padding", 2, 0, attr.deconv.extra, err));
    NB_TRY(nb_ob_attr_ints(b, "output_shape", 4, want, &n, err));
    if (n == 1 || n == 3)
        return nb_fail(NB_ERR_FORMAT, err, "'output_shape' has %zu numbers", n);
    memcpy(attr.deconv.stride, w.stride, sizeof attr.deconv.stride);
    memcpy(attr.deconv.dilation, w.dilation, sizeof attr.deconv.dilation);
    memcpy(attr.deconv.pad, w.pad, sizeof attr.deconv.pad);
    attr.deconv.groups = groups < 1 || groups > MOST ? 0 : (int)groups;
    deconv_pads(b, &s, want, n, &w, &attr.deconv);
    const bool inside = in[2] >= 0 && nb_ob_is_const(b, in[2]);
    NB_TRY(nb_ob_add(b, NB_OP_CONV_TRANSPOSE, &attr, inside ? 3 : 2, in, &y, err));
    if (in[2] >= 0 && !inside)
        NB_TRY(nb_onnx_add_bias(b, in[2], &y, err));
    return nb_ob_out(b, 0, y, nb_ob_type(b, 0), err);
}

/* [C] as [1, C, 1, ...] beside x. */
static NB_FALLIBLE per_channel(NbOnnxBuilder *b, int rank, NbNodeId *id, NbError *err) {
    const NbShape s = nb_ob_shape(b, *id);
    const int64_t dim[NB_MAX_RANK] = {1, (int64_t)nb_shape_count(&s), 1, 1, 1, 1, 1, 1};
    return nb_ob_reshape(b, *id, rank < 2 ? 2 : rank, dim, id, err);
}

/* (x - mean) / sqrt(var + eps) * gamma + beta, piece by piece. */
static NB_FALLIBLE norm_by_parts(NbOnnxBuilder *b, NbNodeId x, const NbNodeId p[4], float eps,
                                 NbNodeId *y, NbError *err) {
    NbNodeId part[4] = {p[0], p[1], p[2], p[3]};
    NbNodeId e = -1;
    for (int i = 0; i < 4; i++)
        NB_TRY(per_channel(b, nb_ob_shape(b, x).rank, &part[i], err));
    NB_TRY(nb_ob_scalar(b, eps, &e, err));
    NB_TRY(nb_ob_two(b, NB_OP_ADD, part[3], e, &part[3], err));
    NB_TRY(nb_ob_map(b, NB_MAP_SQRT, part[3], &part[3], err));
    NB_TRY(nb_ob_two(b, NB_OP_SUB, x, part[2], y, err));
    NB_TRY(nb_ob_two(b, NB_OP_DIV, *y, part[3], y, err));
    NB_TRY(nb_ob_two(b, NB_OP_MUL, *y, part[0], y, err));
    return nb_ob_two(b, NB_OP_ADD, *y, part[1], y, err);
}

/* running * momentum + now * (1 - momentum) */
static NB_FALLIBLE moved(NbOnnxBuilder *b, size_t k, NbNodeId running, NbNodeId now, float momentum,
                         NbError *err) {
    const NbAttr old = {.scale = {.factor = momentum}};
    const NbAttr fresh = {.scale = {.factor = 1.0F - momentum}};
    NB_TRY(nb_ob_one(b, NB_OP_SCALE, &old, running, &running, err));
    NB_TRY(nb_ob_one(b, NB_OP_SCALE, &fresh, now, &now, err));
    NB_TRY(nb_ob_two(b, NB_OP_ADD, running, now, &running, err));
    return nb_ob_out(b, k, running, nb_ob_type(b, 0), err);
}

static NB_FALLIBLE batch_statistics(NbOnnxBuilder *b, NbNodeId x, NbNodeId p[4], NbError *err) {
    const int rank = nb_ob_shape(b, x).rank;
    const unsigned axes = ((1U << rank) - 1U) & ~2U;
    const float momentum = nb_ob_attr_f(b, "momentum", 0.9F);
    NbNodeId mean = -1;
    NbNodeId wide = -1;
    NbNodeId var = -1;
    NB_TRY(nb_ob_reduce(b, NB_REDUCE_MEAN, x, axes, false, &mean, err));
    NB_TRY(nb_ob_reduce(b, NB_REDUCE_MEAN, x, axes, true, &wide, err));
    NB_TRY(nb_ob_two(b, NB_OP_SUB, x, wide, &wide, err));
    NB_TRY(nb_ob_two(b, NB_OP_MUL, wide, wide, &wide, err));
    NB_TRY(nb_ob_reduce(b, NB_REDUCE_MEAN, wide, axes, false, &var, err));
    NB_TRY(moved(b, 1, p[2], mean, momentum, err));
    NB_TRY(moved(b, 2, p[3], var, momentum, err));
    p[2] = mean;
    p[3] = var;
    return NB_OK;
}

static NbStatus norm_rule(NbOnnxBuilder *b, int kind, NbError *err) {
    (void)kind;
    NbNodeId in[5];
    NbNodeId y = -1;
    bool fixed = true;
    for (size_t i = 0; i < 5; i++) {
        NB_TRY(nb_ob_in(b, i, &in[i], err));
        NB_TRY(nb_ob_real(b, in[i], &in[i], err));
        fixed = fixed && (i == 0 || nb_ob_is_const(b, in[i]));
    }
    const NbAttr attr = {.batchnorm = {.eps = nb_ob_attr_f(b, "epsilon", 1e-5F), .momentum = 0.1F}};
    const bool training = nb_ob_attr_i(b, "training_mode", 0) != 0;
    const NbShape s = nb_ob_shape(b, in[0]);
    if (training)
        NB_TRY(batch_statistics(b, in[0], in + 1, err));
    if (fixed && !training && s.rank == 4 && !nb_ob_is_const(b, in[0]))
        NB_TRY(nb_ob_add(b, NB_OP_BATCHNORM, &attr, 5, in, &y, err));
    else
        NB_TRY(norm_by_parts(b, in[0], in + 1, attr.batchnorm.eps, &y, err));
    return nb_ob_out(b, 0, y, nb_ob_type(b, 0), err);
}

/* A plain 2-D maximum keeps codes; everything else is POOL. */
static bool is_plain(const NbOnnxBuilder *b, const NbWindowAttr *a, int spatial) {
    if (a->average || a->ceil || spatial != 2 || nb_ob_wants(b, 1))
        return false;
    for (int d = 0; d < 2; d++)
        if (a->dilation[d] != 1 || a->before[d] >= a->kernel[d] || a->after[d] >= a->kernel[d])
            return false;
    return true;
}

static NbStatus pool_rule(NbOnnxBuilder *b, int average, NbError *err) {
    NbNodeId x = -1;
    NbNodeId y = -1;
    NbOnnxWindow w = {0};
    NB_TRY(nb_ob_in(b, 0, &x, err));
    const NbShape s = nb_ob_shape(b, x);
    const int spatial = s.rank - 2;
    NB_TRY(nb_onnx_window(b, &s, NULL, spatial, &w, err));
    NbAttr attr = {.window = {.average = average != 0,
                              .ceil = nb_ob_attr_i(b, "ceil_mode", 0) != 0,
                              .by_column = nb_ob_attr_i(b, "storage_order", 0) != 0,
                              .count_padding = nb_ob_attr_i(b, "count_include_pad", 0) != 0}};
    for (int d = 0; d < spatial; d++) {
        attr.window.kernel[d] = w.kernel[d];
        attr.window.stride[d] = w.stride[d];
        attr.window.dilation[d] = w.dilation[d];
        attr.window.before[d] = w.pad[d];
        attr.window.after[d] = w.pad[spatial + d];
    }
    if (is_plain(b, &attr.window, spatial)) {
        NbAttr plain = {.pool = {.pad = {w.pad[0], w.pad[1], w.pad[2], w.pad[3]}}};
        memcpy(plain.pool.kernel, w.kernel, sizeof plain.pool.kernel);
        memcpy(plain.pool.stride, w.stride, sizeof plain.pool.stride);
        NB_TRY(nb_ob_one(b, NB_OP_MAXPOOL, &plain, x, &y, err));
        return nb_ob_out(b, 0, y, nb_ob_type(b, 0), err);
    }
    NB_TRY(nb_ob_one(b, NB_OP_POOL, &attr, x, &y, err));
    NB_TRY(nb_ob_out(b, 0, y, nb_ob_type(b, 0), err));
    if (!nb_ob_wants(b, 1))
        return NB_OK;
    attr.window.indices = true;
    NB_TRY(nb_ob_one(b, NB_OP_POOL, &attr, x, &y, err));
    return nb_ob_out(b, 1, y, NB_ONNX_INT64, err);
}

static NbStatus global_rule(NbOnnxBuilder *b, int kind, NbError *err) {
    NbNodeId x = -1;
    NB_TRY(nb_ob_in(b, 0, &x, err));
    NB_TRY(nb_ob_real(b, x, &x, err));
    const unsigned axes = ((1U << nb_ob_shape(b, x).rank) - 1U) & ~3U;
    NB_TRY(nb_ob_reduce(b, (NbReduceKind)kind, x, axes, true, &x, err));
    return nb_ob_out(b, 0, x, nb_ob_type(b, 0), err);
}

static NbStatus nms_rule(NbOnnxBuilder *b, int kind, NbError *err) {
    (void)kind;
    NbNodeId x[2] = {-1, -1};
    NbNodeId y = -1;
    const float *data = NULL;
    size_t n = 0;
    NbAttr attr = {.nms = {.centre = nb_ob_attr_i(b, "center_point_box", 0) != 0,
                           .any_score = !nb_ob_has(b, 4)}};
    for (size_t i = 0; i < 2; i++) {
        NB_TRY(nb_ob_in(b, i, &x[i], err));
        NB_TRY(nb_ob_real(b, x[i], &x[i], err));
    }
    if (nb_ob_has(b, 2))
        NB_TRY(nb_ob_ints(b, 2, 1, &attr.nms.limit, &n, err));
    for (size_t i = 3; i < 5; i++) {
        if (!nb_ob_has(b, i))
            continue;
        NB_TRY(nb_ob_numbers(b, i, &data, &n, err));
        if (n)
            *(i == 3 ? &attr.nms.iou : &attr.nms.score) = data[0];
    }
    NB_TRY(nb_ob_add(b, NB_OP_NMS, &attr, 2, x, &y, err));
    return nb_ob_out(b, 0, y, NB_ONNX_INT64, err);
}

const NbOnnxOp nb_onnx_layer_ops[] = {
    {"Conv", conv_rule, 0},
    {"ConvTranspose", deconv_rule, 0},
    {"BatchNormalization", norm_rule, 0},
    {"MaxPool", pool_rule, 0},
    {"AveragePool", pool_rule, 1},
    {"GlobalAveragePool", global_rule, NB_REDUCE_MEAN},
    {"GlobalMaxPool", global_rule, NB_REDUCE_MAX},
    {"Resize", nb_onnx_resize_rule, 0},
    {"Upsample", nb_onnx_resize_rule, 1},
    {"NonMaxSuppression", nms_rule, 0},
    {"", NULL, 0},
};
