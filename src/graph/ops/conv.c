/* SPDX-License-Identifier: Apache-2.0
 *
 * CONV: x [N,C,H,W], w [O,C/groups,kh,kw] [, bias [O]]. */
#include "graph/run.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static NB_FALLIBLE check_channels(const NbConvAttr *a, const NbShape *x, const NbShape *w,
                                  NbError *err) {
    if (a->groups < 1)
        return nb_fail(NB_ERR_ARGUMENT, err, "%d groups, at least 1 expected", a->groups);
    if (x->dim[1] != w->dim[1] * a->groups)
        return nb_fail(NB_ERR_ARGUMENT, err,
                       "x has %" PRId64 " channels, weights want %" PRId64 " in each of %d groups",
                       x->dim[1], w->dim[1], a->groups);
    if (w->dim[0] < 1 || w->dim[1] < 1 || w->dim[0] % a->groups)
        return nb_fail(NB_ERR_ARGUMENT, err,
                       "%" PRId64 " output channels cannot be cut into %d groups", w->dim[0],
                       a->groups);
    if (a->kernel[0] != w->dim[2] || a->kernel[1] != w->dim[3])
        return nb_fail(NB_ERR_ARGUMENT, err, "kernel %dx%d, weights of %" PRId64 "x%" PRId64,
                       a->kernel[0], a->kernel[1], w->dim[2], w->dim[3]);
    return NB_OK;
}

static NB_FALLIBLE check_kinds(const NbGraph *g, const NbNode *node, NbError *err) {
    const NbNode *x = &g->node[node->in[0]];
    const NbNode *w = &g->node[node->in[1]];
    if (x->kind == NB_VALUE_SUM)
        return nb_fail(NB_ERR_ARGUMENT, err, "x ('%s') is integers without a scale", x->name);
    if (w->kind != NB_VALUE_SUM)
        return NB_OK;
    if (w->param.dtype != NB_I8)
        return nb_fail(NB_ERR_ARGUMENT, err, "integer weights '%s' are %s, I8 expected", w->name,
                       nb_dtype_name(w->param.dtype));
    if (x->kind != NB_VALUE_CODED)
        return nb_fail(NB_ERR_ARGUMENT, err, "integer weights, but x ('%s') is not coded", x->name);
    if (node->n_in == 3)
        return nb_fail(NB_ERR_ARGUMENT, err, "integer sums take no bias; DEQUANT does");
    return NB_OK;
}

static NB_FALLIBLE infer(const NbGraph *g, const NbNode *node, NbShape *out, NbError *err) {
    const NbConvAttr *a = &node->attr.conv;
    NB_TRY(nb_infer_rank4(g, node, 0, err));
    NB_TRY(nb_infer_rank4(g, node, 1, err));
    const NbShape *x = nb_in_shape(g, node, 0);
    const NbShape *w = nb_in_shape(g, node, 1);
    NB_TRY(check_channels(a, x, w, err));
    NB_TRY(check_kinds(g, node, err));
    if (node->n_in == 3)
        NB_TRY(nb_infer_param(g, node, 2, NB_F32, w->dim[0], err));
    *out = nb_shape(4, (const int64_t[]){x->dim[0], w->dim[0], 0, 0});
    for (int i = 0; i < 2; i++)
        NB_TRY(nb_infer_window(x->dim[2 + i], (const int[]){a->pad[i], a->pad[i + 2]}, a->kernel[i],
                               a->stride[i], a->dilation[i], &out->dim[2 + i], err));
    return NB_OK;
}

/* Everything the loops need; x, w: numbers to multiply (codes less zero, or real). */
typedef struct Loops {
    const NbConvAttr *a;
    const NbShape *in;
    const NbShape *out;
    int64_t group_in;  /* input channels of a group */
    int64_t group_out; /* output channels of a group */
} Loops;

static Loops loops_of(const NbRun *run, NbNodeId id) {
    const NbNode *node = &run->g->node[id];
    const NbShape *w = nb_in_shape(run->g, node, 1);
    return (Loops){.a = &node->attr.conv,
                   .in = nb_in_shape(run->g, node, 0),
                   .out = &node->shape,
                   .group_in = w->dim[1],
                   .group_out = w->dim[0] / node->attr.conv.groups};
}

/* The output positions along one side whose tap k lies inside the picture: [*from, *to). */
static void valid_range(const Loops *l, int side, int64_t k, int64_t *from, int64_t *to) {
    const int64_t stride = l->a->stride[side];
    const int64_t shift = k * l->a->dilation[side] - l->a->pad[side];
    const int64_t in = l->in->dim[2 + side];
    *from = shift >= 0 ? 0 : (-shift + stride - 1) / stride;
    *to = in - 1 - shift < 0 ? 0 : (in - 1 - shift) / stride + 1;
    if (*to > l->out->dim[2 + side])
        *to = l->out->dim[2 + side];
}

/* One tap of one output plane: called for every pair of output row and input row. */
typedef void RowStep(void *user, int64_t out_at, int64_t in_at, int64_t stride, int64_t n);

/* Calls step for the rows that tap (ky, kx) joins. */
static void for_rows(const Loops *l, int64_t ky, int64_t kx, RowStep *step, void *user) {
    int64_t y0 = 0;
    int64_t y1 = 0;
    int64_t x0 = 0;
    int64_t x1 = 0;
    valid_range(l, 0, ky, &y0, &y1);
    valid_range(l, 1, kx, &x0, &x1);
    for (int64_t oy = y0; x0 < x1 && oy < y1; oy++) {
        const int64_t iy = oy * l->a->stride[0] + ky * l->a->dilation[0] - l->a->pad[0];
        const int64_t ix = x0 * l->a->stride[1] + kx * l->a->dilation[1] - l->a->pad[1];
        step(user, oy * l->out->dim[3] + x0, iy * l->in->dim[3] + ix, l->a->stride[1], x1 - x0);
    }
}

typedef struct SumRow {
    double *sum;
    const float *x;
    double w;
} SumRow;

static void sum_row(void *user, int64_t out_at, int64_t in_at, int64_t stride, int64_t n) {
    const SumRow *r = user;
    for (int64_t i = 0; i < n; i++)
        r->sum[out_at + i] += r->w * (double)r->x[in_at + i * stride];
}

/* sum [OH, OW] of picture b, output channel o, in the order input channel, row, column. */
static void sum_plane(const Loops *l, const float *x, const float *w, int64_t b, int64_t o,
                      double *sum) {
    const int64_t plane = l->in->dim[2] * l->in->dim[3];
    const int64_t first = o / l->group_out * l->group_in;
    memset(sum, 0, (size_t)(l->out->dim[2] * l->out->dim[3]) * sizeof *sum);
    for (int64_t c = 0; c < l->group_in; c++)
        for (int64_t ky = 0; ky < l->a->kernel[0]; ky++)
            for (int64_t kx = 0; kx < l->a->kernel[1]; kx++) {
                const int64_t tap =
                    ((o * l->group_in + c) * l->a->kernel[0] + ky) * l->a->kernel[1] + kx;
                SumRow row = {.sum = sum,
                              .x = x + (b * l->in->dim[1] + first + c) * plane,
                              .w = (double)w[tap]};
                for_rows(l, ky, kx, sum_row, &row);
            }
}

/* Codes less their zero, so that padding is 0. */
static NB_FALLIBLE centred(NbRun *run, const NbValue *v, const float **out, NbError *err) {
    const size_t count = nb_tensor_count(&v->t);
    if (v->t.dtype == NB_F32 && v->zero == 0.0F) {
        *out = nb_f32(&v->t);
        return NB_OK;
    }
    float *numbers = NB_NEW(run->arena, float, count);
    if (!numbers)
        return nb_fail_memory(err, "codes of a convolution");
    nb_convert(v->t.data, v->t.dtype, numbers, NB_F32, count);
    for (size_t i = 0; i < count; i++)
        numbers[i] -= v->zero;
    *out = numbers;
    return NB_OK;
}

typedef enum Rule { SUM_OF_REALS, SUM_OF_CODES, INTEGER_SUM } Rule;

static Rule rule_of(const NbRun *run, NbNodeId id) {
    const NbValue *w = nb_run_in(run, id, 1);
    if (w->t.dtype == NB_I8)
        return INTEGER_SUM;
    return nb_run_in(run, id, 0)->coded && w->coded ? SUM_OF_CODES : SUM_OF_REALS;
}

/* From the sums of a plane to its values. */
static void finish_real(const NbRun *run, NbNodeId id, Rule rule, int64_t o, const double *sum,
                        float *y) {
    const NbNode *node = &run->g->node[id];
    const int64_t pixels = node->shape.dim[2] * node->shape.dim[3];
    const float *bias = node->n_in == 3 ? nb_run_data(run, id, 2) + o : NULL;
    if (rule == SUM_OF_REALS) {
        for (int64_t i = 0; i < pixels; i++)
            y[i] = (float)(bias ? sum[i] + (double)*bias : sum[i]);
        return;
    }
    const NbValue *w = nb_run_in(run, id, 1);
    const float scale = nb_run_in(run, id, 0)->scale[0] * w->scale[w->n_scale == 1 ? 0 : o];
    for (int64_t i = 0; i < pixels; i++) {
        const float scaled = (float)sum[i] * scale;
        y[i] = bias ? scaled + *bias : scaled;
    }
}

static NB_FALLIBLE finish_integer(const double *sum, int64_t pixels, int32_t *y, NbError *err) {
    for (int64_t i = 0; i < pixels; i++) {
        if (!(sum[i] >= (double)INT32_MIN && sum[i] <= (double)INT32_MAX))
            return nb_fail(NB_ERR_ARGUMENT, err, "the sum %.0f does not fit into 32 bits", sum[i]);
        y[i] = (int32_t)sum[i];
    }
    return NB_OK;
}

static NB_FALLIBLE forward(NbRun *run, NbNodeId id, NbError *err) {
    const Loops l = loops_of(run, id);
    const Rule rule = rule_of(run, id);
    const int64_t pixels = l.out->dim[2] * l.out->dim[3];
    const float *x = NULL;
    const float *w = NULL;
    if (rule == SUM_OF_REALS) {
        NB_TRY(nb_run_real(run, id, 0, &x, err));
        NB_TRY(nb_run_real(run, id, 1, &w, err));
    } else {
        NB_TRY(centred(run, nb_run_in(run, id, 0), &x, err));
        NB_TRY(centred(run, nb_run_in(run, id, 1), &w, err));
    }
    NB_TRY(nb_run_new(run, id, rule == INTEGER_SUM ? NB_I32 : NB_F32, err));
    double *sum = NB_NEW(run->arena, double, (size_t)pixels);
    if (!sum)
        return nb_fail_memory(err, "sums of a convolution");
    for (int64_t b = 0; b < l.out->dim[0]; b++)
        for (int64_t o = 0; o < l.out->dim[1]; o++) {
            const int64_t at = (b * l.out->dim[1] + o) * pixels;
            sum_plane(&l, x, w, b, o, sum);
            if (rule == INTEGER_SUM)
                NB_TRY(finish_integer(sum, pixels, (int32_t *)run->value[id].t.data + at, err));
            else
                finish_real(run, id, rule, o, sum, nb_f32(&run->value[id].t) + at);
        }
    return NB_OK;
}

typedef struct BackRow {
    const float *dy;
    const float *x;
    double *dx; /* NULL: not wanted */
    double w;
    double dw;
} BackRow;

static void back_row(void *user, int64_t out_at, int64_t in_at, int64_t stride, int64_t n) {
    BackRow *r = user;
    for (int64_t i = 0; i < n; i++) {
        const double g = (double)r->dy[out_at + i];
        r->dw += g * (double)r->x[in_at + i * stride];
        if (r->dx)
            r->dx[in_at + i * stride] += g * r->w;
    }
}

/* Adds what picture b and output channel o contribute to d_xw: dx [C,H,W], which may be NULL, and
 * dw [O,...], in double. */
static void back_plane(const Loops *l, const float *const xw[2], const float *dy, int64_t b,
                       int64_t o, double *const d_xw[2]) {
    const int64_t plane = l->in->dim[2] * l->in->dim[3];
    const int64_t first = o / l->group_out * l->group_in;
    const int64_t pixels = l->out->dim[2] * l->out->dim[3];
    for (int64_t c = 0; c < l->group_in; c++)
        for (int64_t ky = 0; ky < l->a->kernel[0]; ky++)
            for (int64_t kx = 0; kx < l->a->kernel[1]; kx++) {
                const int64_t tap =
                    ((o * l->group_in + c) * l->a->kernel[0] + ky) * l->a->kernel[1] + kx;
                BackRow row = {.dy = dy + (b * l->out->dim[1] + o) * pixels,
                               .x = xw[0] + (b * l->in->dim[1] + first + c) * plane,
                               .dx = d_xw[0] ? d_xw[0] + (first + c) * plane : NULL,
                               .w = (double)xw[1][tap]};
                for_rows(l, ky, kx, back_row, &row);
                d_xw[1][tap] += row.dw;
            }
}

static void add_bias_gradient(const Loops *l, const float *dy, float *d_bias) {
    const int64_t pixels = l->out->dim[2] * l->out->dim[3];
    for (int64_t o = 0; o < l->out->dim[1]; o++) {
        double sum = 0.0;
        for (int64_t b = 0; b < l->out->dim[0]; b++)
            for (int64_t i = 0; i < pixels; i++)
                sum += (double)dy[(b * l->out->dim[1] + o) * pixels + i];
        d_bias[o] += (float)sum;
    }
}

static void add_to(float *to, const double *from, size_t n) {
    for (size_t i = 0; to && i < n; i++)
        to[i] += (float)from[i];
}

static NB_FALLIBLE backward(NbRun *run, NbNodeId id, const float *dy, float *const dx[],
                            NbError *err) {
    const Loops l = loops_of(run, id);
    const float *xw[2] = {NULL, NULL};
    NB_TRY(nb_run_real(run, id, 0, &xw[0], err));
    NB_TRY(nb_run_real(run, id, 1, &xw[1], err));
    const size_t picture = (size_t)(l.in->dim[1] * l.in->dim[2] * l.in->dim[3]);
    const size_t weights = nb_shape_count(nb_in_shape(run->g, &run->g->node[id], 1));
    double *d_picture = NB_NEW(run->arena, double, picture);
    double *dw = NB_NEW(run->arena, double, weights);
    if (!d_picture || !dw)
        return nb_fail_memory(err, "gradient of a convolution");
    for (int64_t b = 0; b < l.out->dim[0]; b++) {
        memset(d_picture, 0, picture * sizeof *d_picture);
        for (int64_t o = 0; o < l.out->dim[1]; o++)
            back_plane(&l, xw, dy, b, o, (double *const[]){dx[0] ? d_picture : NULL, dw});
        add_to(dx[0] ? dx[0] + (size_t)b * picture : NULL, d_picture, picture);
    }
    add_to(dx[1], dw, weights);
    if (run->g->node[id].n_in == 3 && dx[2])
        add_bias_gradient(&l, dy, dx[2]);
    return NB_OK;
}

const NbOpDef nb_op_conv = {.name = "CONV",
                            .min_in = 2,
                            .max_in = 3,
                            .infer = infer,
                            .forward = forward,
                            .backward = backward};
