/* SPDX-License-Identifier: Apache-2.0
 *
 * Functions of one number: RELU, LEAKY_RELU, SILU, SIGMOID, HARDTANH (to -1 .. 1), SCALE. */
#include "graph/activation.h"
#include "graph/run.h"

#include <math.h>

static NB_FALLIBLE infer(const NbGraph *g, const NbNode *node, NbShape *out, NbError *err) {
    const NbNode *x = &g->node[node->in[0]];
    if (x->kind == NB_VALUE_SUM)
        return nb_fail(NB_ERR_ARGUMENT, err, "'%s' is integers without a scale", x->name);
    *out = x->shape;
    return NB_OK;
}

static NB_FALLIBLE infer_leaky_relu(const NbGraph *g, const NbNode *node, NbShape *out,
                                    NbError *err) {
    if (!isfinite(node->attr.leaky_relu.slope))
        return nb_fail(NB_ERR_ARGUMENT, err, "the slope is not a finite number");
    return infer(g, node, out, err);
}

static NB_FALLIBLE infer_scale(const NbGraph *g, const NbNode *node, NbShape *out, NbError *err) {
    if (!isfinite(node->attr.scale.factor))
        return nb_fail(NB_ERR_ARGUMENT, err, "the factor is not a finite number");
    return infer(g, node, out, err);
}

/* y and d y / d x of one number. */
typedef float Function(const NbAttr *attr, float x);

static NB_FALLIBLE map(NbRun *run, NbNodeId id, Function *f, NbError *err) {
    const NbNode *node = &run->g->node[id];
    const float *x = NULL;
    NB_TRY(nb_run_real(run, id, 0, &x, err));
    NB_TRY(nb_run_new(run, id, NB_F32, err));
    float *y = nb_f32(&run->value[id].t);
    const size_t count = nb_shape_count(&node->shape);
    for (size_t i = 0; i < count; i++)
        y[i] = f(&node->attr, x[i]);
    return NB_OK;
}

static NB_FALLIBLE map_back(NbRun *run, NbNodeId id, Function *slope, const float *dy, float *dx,
                            NbError *err) {
    const NbNode *node = &run->g->node[id];
    const float *x = NULL;
    NB_TRY(nb_run_real(run, id, 0, &x, err));
    const size_t count = nb_shape_count(&node->shape);
    for (size_t i = 0; dx && i < count; i++)
        dx[i] += dy[i] * slope(&node->attr, x[i]);
    return NB_OK;
}

static float relu(const NbAttr *attr, float x) {
    (void)attr;
    return x > 0.0F ? x : x != x ? x : 0.0F;
}

static float relu_slope(const NbAttr *attr, float x) {
    (void)attr;
    return x > 0.0F ? 1.0F : 0.0F;
}

static float leaky_relu(const NbAttr *attr, float x) {
    return x > 0.0F ? x : x * attr->leaky_relu.slope;
}

static float leaky_relu_slope(const NbAttr *attr, float x) {
    return x > 0.0F ? 1.0F : attr->leaky_relu.slope;
}

static float silu(const NbAttr *attr, float x) {
    (void)attr;
    return nb_silu(x);
}

static float silu_slope(const NbAttr *attr, float x) {
    (void)attr;
    const double s = 1.0 / (1.0 + exp(-(double)x));
    return (float)(s * (1.0 + (double)x * (1.0 - s)));
}

static float sigmoid(const NbAttr *attr, float x) {
    (void)attr;
    return nb_sigmoid(x);
}

static float sigmoid_slope(const NbAttr *attr, float x) {
    (void)attr;
    const double s = 1.0 / (1.0 + exp(-(double)x));
    return (float)(s * (1.0 - s));
}

static float hardtanh(const NbAttr *attr, float x) {
    (void)attr;
    return x < -1.0F ? -1.0F : x > 1.0F ? 1.0F : x;
}

/* 0 at the ends, as PyTorch. */
static float hardtanh_slope(const NbAttr *attr, float x) {
    (void)attr;
    return x > -1.0F && x < 1.0F ? 1.0F : 0.0F;
}

static float scale(const NbAttr *attr, float x) { return x * attr->scale.factor; }

static float scale_slope(const NbAttr *attr, float x) {
    (void)x;
    return attr->scale.factor;
}

#define FUNCTION(constant, symbol, infer_function)                                                 \
    static NB_FALLIBLE forward_##symbol(NbRun *run, NbNodeId id, NbError *err) {                   \
        return map(run, id, (symbol), err);                                                        \
    }                                                                                              \
    static NB_FALLIBLE backward_##symbol(NbRun *run, NbNodeId id, const float *dy,                 \
                                         float *const dx[], NbError *err) {                        \
        return map_back(run, id, symbol##_slope, dy, dx[0], err);                                  \
    }                                                                                              \
    const NbOpDef nb_op_##symbol = {.name = #constant,                                             \
                                    .min_in = 1,                                                   \
                                    .max_in = 1,                                                   \
                                    .infer = (infer_function),                                     \
                                    .forward = forward_##symbol,                                   \
                                    .backward = backward_##symbol}

FUNCTION(RELU, relu, infer);
FUNCTION(LEAKY_RELU, leaky_relu, infer_leaky_relu);
FUNCTION(SILU, silu, infer);
FUNCTION(SIGMOID, sigmoid, infer);
FUNCTION(HARDTANH, hardtanh, infer);
FUNCTION(SCALE, scale, infer_scale);
