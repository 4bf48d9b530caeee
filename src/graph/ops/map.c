/* SPDX-License-Identifier: Apache-2.0
 *
 * MAP, COMBINE, WHERE: functions of one, two and three numbers, broadcast. Functions are computed
 * in double and rounded once where float32 alone would not do. */
#include "graph/broadcast.h"
#include "graph/run.h"

#include <math.h>

static NB_FALLIBLE infer_map(const NbGraph *g, const NbNode *node, NbShape *out, NbError *err) {
    NB_TRY(nb_infer_numbers(g, node, 0, err));
    if ((int)node->attr.map.kind < 0 || node->attr.map.kind >= NB_MAP_COUNT)
        return nb_fail(NB_ERR_ARGUMENT, err, "no function has the number %d",
                       (int)node->attr.map.kind);
    *out = *nb_in_shape(g, node, 0);
    return NB_OK;
}

static NB_FALLIBLE infer_broadcast(const NbGraph *g, const NbNode *node, NbShape *out,
                                   NbError *err) {
    char a[96];
    char b[96];
    for (int i = 0; i < node->n_in; i++) {
        const NbShape *x = nb_in_shape(g, node, i);
        NB_TRY(nb_infer_numbers(g, node, i, err));
        if (i == 0)
            *out = *x;
        else if (!nb_broadcast_shape(out, x, out))
            return nb_fail(NB_ERR_ARGUMENT, err, "%s and %s cannot be broadcast to one shape",
                           nb_shape_text(out, a, sizeof a), nb_shape_text(x, b, sizeof b));
    }
    return NB_OK;
}

static double softplus(double x) { return x > 0.0 ? x + log1p(exp(-x)) : log1p(exp(x)); }

static double clip(double x, double lo, double hi) { return x < lo ? lo : x > hi ? hi : x; }

/* Functions whose result is exact or rounded once by nature. */
static float simple(NbMapKind kind, float x, float a, float b) {
    switch (kind) {
    case NB_MAP_ABS: return fabsf(x);
    case NB_MAP_NEG: return -x;
    case NB_MAP_SIGN: return x > 0.0F ? 1.0F : x < 0.0F ? -1.0F : x;
    case NB_MAP_FLOOR: return floorf(x);
    case NB_MAP_CEIL: return ceilf(x);
    case NB_MAP_ROUND: return rintf(x);
    case NB_MAP_TRUNC: return truncf(x);
    case NB_MAP_RECIPROCAL: return 1.0F / x;
    case NB_MAP_SQRT: return sqrtf(x);
    case NB_MAP_CLIP: { /* b wins where b < a */
        const float up = x < a ? a : x;
        return up > b ? b : up;
    }
    case NB_MAP_THRESHOLD: return x > a ? x : 0.0F;
    case NB_MAP_NOT: return x == 0.0F ? 1.0F : 0.0F;
    case NB_MAP_IS_NAN: return isnan(x) ? 1.0F : 0.0F;
    case NB_MAP_IDENTITY:
    case NB_MAP_EXP:
    case NB_MAP_LOG:
    case NB_MAP_ERF:
    case NB_MAP_SIN:
    case NB_MAP_COS:
    case NB_MAP_TANH:
    case NB_MAP_ELU:
    case NB_MAP_SELU:
    case NB_MAP_CELU:
    case NB_MAP_SOFTPLUS:
    case NB_MAP_SOFTSIGN:
    case NB_MAP_HARD_SIGMOID:
    case NB_MAP_HARD_SWISH:
    case NB_MAP_SWISH:
    case NB_MAP_MISH:
    case NB_MAP_GELU:
    case NB_MAP_GELU_TANH:
    case NB_MAP_COUNT: break;
    }
    return x;
}

static double smooth(NbMapKind kind, double x, double a, double b) {
    static const double root_half = 0.70710678118654752440;
    static const double root_two_over_pi = 0.79788456080286535588;
    switch (kind) {
    case NB_MAP_EXP: return exp(x);
    case NB_MAP_LOG: return log(x);
    case NB_MAP_ERF: return erf(x);
    case NB_MAP_SIN: return sin(x);
    case NB_MAP_COS: return cos(x);
    case NB_MAP_TANH: return tanh(x);
    case NB_MAP_ELU: return x >= 0.0 ? x : a * expm1(x);
    case NB_MAP_SELU: return b * (x > 0.0 ? x : a * expm1(x));
    case NB_MAP_CELU: return fmax(0.0, x) + fmin(0.0, a * expm1(x / a));
    case NB_MAP_SOFTPLUS: return softplus(x);
    case NB_MAP_SOFTSIGN: return x / (1.0 + fabs(x));
    case NB_MAP_HARD_SIGMOID: return clip(a * x + b, 0.0, 1.0);
    case NB_MAP_HARD_SWISH: return x * clip(x / 6.0 + 0.5, 0.0, 1.0);
    case NB_MAP_SWISH: return x / (1.0 + exp(-a * x));
    case NB_MAP_MISH: return x * tanh(softplus(x));
    case NB_MAP_GELU: return 0.5 * x * (1.0 + erf(x * root_half));
    case NB_MAP_GELU_TANH:
        return 0.5 * x * (1.0 + tanh(root_two_over_pi * (x + 0.044715 * x * x * x)));
    case NB_MAP_IDENTITY:
    case NB_MAP_ABS:
    case NB_MAP_NEG:
    case NB_MAP_SIGN:
    case NB_MAP_FLOOR:
    case NB_MAP_CEIL:
    case NB_MAP_ROUND:
    case NB_MAP_TRUNC:
    case NB_MAP_RECIPROCAL:
    case NB_MAP_SQRT:
    case NB_MAP_CLIP:
    case NB_MAP_THRESHOLD:
    case NB_MAP_NOT:
    case NB_MAP_IS_NAN:
    case NB_MAP_COUNT: break;
    }
    return x;
}

static bool is_smooth(NbMapKind kind) {
    return (kind >= NB_MAP_EXP && kind <= NB_MAP_TANH) ||
           (kind >= NB_MAP_ELU && kind <= NB_MAP_GELU_TANH);
}

static NB_FALLIBLE forward_map(NbRun *run, NbNodeId id, NbError *err) {
    const NbNode *node = &run->g->node[id];
    const NbMapKind kind = node->attr.map.kind;
    const float a = node->attr.map.a;
    const float b = node->attr.map.b;
    const float *x = NULL;
    NB_TRY(nb_run_real(run, id, 0, &x, err));
    NB_TRY(nb_run_new(run, id, NB_F32, err));
    float *y = nb_f32(&run->value[id].t);
    const size_t count = nb_shape_count(&node->shape);
    for (size_t i = 0; i < count; i++)
        y[i] = is_smooth(kind) ? (float)smooth(kind, (double)x[i], (double)a, (double)b)
                               : simple(kind, x[i], a, b);
    return NB_OK;
}

/* a - b * floor(a / b), exact where fmod is. */
static float python_mod(float a, float b) {
    const float r = fmodf(a, b);
    return r != 0.0F && (r < 0.0F) != (b < 0.0F) ? r + b : r;
}

static float pair(NbCombineKind kind, float a, float b) {
    switch (kind) {
    case NB_COMBINE_POW: return (float)pow((double)a, (double)b);
    case NB_COMBINE_MIN: return isnan(a) || a < b ? a : b;
    case NB_COMBINE_MAX: return isnan(a) || a > b ? a : b;
    case NB_COMBINE_MOD: return python_mod(a, b);
    case NB_COMBINE_FMOD: return fmodf(a, b);
    case NB_COMBINE_TRUNC_DIV: return (float)trunc((double)a / (double)b);
    case NB_COMBINE_PRELU: return a >= 0.0F ? a : a * b;
    case NB_COMBINE_EQUAL: return a == b ? 1.0F : 0.0F;
    case NB_COMBINE_LESS: return a < b ? 1.0F : 0.0F;
    case NB_COMBINE_LESS_EQUAL: return a <= b ? 1.0F : 0.0F;
    case NB_COMBINE_GREATER: return a > b ? 1.0F : 0.0F;
    case NB_COMBINE_GREATER_EQUAL: return a >= b ? 1.0F : 0.0F;
    case NB_COMBINE_AND: return a != 0.0F && b != 0.0F ? 1.0F : 0.0F;
    case NB_COMBINE_OR: return a != 0.0F || b != 0.0F ? 1.0F : 0.0F;
    case NB_COMBINE_XOR: return (a != 0.0F) != (b != 0.0F) ? 1.0F : 0.0F;
    case NB_COMBINE_COUNT: break;
    }
    return a;
}

static NB_FALLIBLE forward_broadcast(NbRun *run, NbNodeId id, NbError *err) {
    const NbNode *node = &run->g->node[id];
    const float *x[3] = {NULL, NULL, NULL};
    NbView v[3];
    const int n_in = node->op == NB_OP_WHERE ? 3 : 2;
    for (int k = 0; k < n_in; k++) {
        NB_TRY(nb_run_real(run, id, k, &x[k], err));
        v[k] = nb_view_broadcast(nb_in_shape(run->g, node, k), &node->shape);
    }
    NB_TRY(nb_run_new(run, id, NB_F32, err));
    float *y = nb_f32(&run->value[id].t);
    const size_t count = nb_shape_count(&node->shape);
    for (size_t i = 0; i < count; i++) {
        const float a = x[0][nb_view_at(&v[0], i)];
        const float b = x[1][nb_view_at(&v[1], i)];
        if (node->op == NB_OP_WHERE)
            y[i] = a != 0.0F ? b : x[2][nb_view_at(&v[2], i)];
        else
            y[i] = pair(node->attr.combine.kind, a, b);
    }
    return NB_OK;
}

const NbOpDef nb_op_map = {
    .name = "MAP", .min_in = 1, .max_in = 1, .infer = infer_map, .forward = forward_map};
const NbOpDef nb_op_combine = {.name = "COMBINE",
                               .min_in = 2,
                               .max_in = 2,
                               .infer = infer_broadcast,
                               .forward = forward_broadcast};
const NbOpDef nb_op_where = {.name = "WHERE",
                             .min_in = 3,
                             .max_in = 3,
                             .infer = infer_broadcast,
                             .forward = forward_broadcast};
