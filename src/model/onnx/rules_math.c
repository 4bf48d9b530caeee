/* SPDX-License-Identifier: Apache-2.0
 *
 * Rules for ONNX operators that compute numbers: elementwise, reductions, products. */
#include "model/onnx/builder.h"

#include <math.h>
#include <string.h>

static NB_FALLIBLE in_real(NbOnnxBuilder *b, size_t i, NbNodeId *id, NbError *err) {
    NB_TRY(nb_ob_in(b, i, id, err));
    return nb_ob_real(b, *id, id, err);
}

/* Attributes of functions and what they are by default. */
typedef struct Parameters {
    const char *name[2];
    float otherwise[2];
} Parameters;

static const Parameters parameters[NB_MAP_COUNT] = {
    [NB_MAP_ELU] = {{"alpha"}, {1.0F}},
    [NB_MAP_CELU] = {{"alpha"}, {1.0F}},
    [NB_MAP_SWISH] = {{"alpha"}, {1.0F}},
    [NB_MAP_THRESHOLD] = {{"alpha"}, {1.0F}},
    [NB_MAP_SELU] = {{"alpha", "gamma"}, {1.67326319F, 1.05070102F}},
    [NB_MAP_HARD_SIGMOID] = {{"alpha", "beta"}, {0.2F, 0.5F}},
};

static NbStatus map_rule(NbOnnxBuilder *b, int kind, NbError *err) {
    const Parameters *p = &parameters[kind];
    NbNodeId x = -1;
    NbNodeId y = -1;
    NbAttr attr = {.map = {.kind = (NbMapKind)kind}};
    NB_TRY(in_real(b, 0, &x, err));
    if (p->name[0])
        attr.map.a = nb_ob_attr_f(b, p->name[0], p->otherwise[0]);
    if (p->name[1])
        attr.map.b = nb_ob_attr_f(b, p->name[1], p->otherwise[1]);
    if (kind == NB_MAP_GELU && strcmp(nb_ob_attr_s(b, "approximate", "none"), "tanh") == 0)
        attr.map.kind = NB_MAP_GELU_TANH;
    NB_TRY(nb_ob_one(b, NB_OP_MAP, &attr, x, &y, err));
    const bool truth = kind == NB_MAP_NOT || kind == NB_MAP_IS_NAN;
    return nb_ob_out(b, 0, y, truth ? NB_ONNX_BOOL : nb_ob_type(b, 0), err);
}

/* Operators of the graph with one input. */
static NbStatus direct_rule(NbOnnxBuilder *b, int op, NbError *err) {
    NbNodeId x = -1;
    NbNodeId y = -1;
    NbAttr attr = {0};
    NB_TRY(in_real(b, 0, &x, err));
    if (op == NB_OP_LEAKY_RELU)
        attr.leaky_relu.slope = nb_ob_attr_f(b, "alpha", 0.01F);
    NB_TRY(nb_ob_one(b, (NbOp)op, &attr, x, &y, err));
    return nb_ob_out(b, 0, y, nb_ob_type(b, 0), err);
}

/* Integers of few bits wrap around as in C. */
static NB_FALLIBLE wrap(NbOnnxBuilder *b, int type, NbNodeId *id, NbError *err) {
    NbAttr attr = {0};
    if (!nb_onnx_is_integer(type) || nb_onnx_type_bits(type) > 16 ||
        !nb_onnx_cast_attr(type, false, &attr.cast))
        return NB_OK;
    return nb_ob_one(b, NB_OP_CAST, &attr, *id, id, err);
}

/* x * sigmoid(x) */
static bool is_silu(const NbOnnxBuilder *b, NbNodeId x, NbNodeId s) {
    const NbNode *node = &b->g.node[s];
    return node->op == NB_OP_SIGMOID && node->in[0] == x;
}

static NbStatus arithmetic_rule(NbOnnxBuilder *b, int op, NbError *err) {
    NbNodeId x[2] = {-1, -1};
    NbNodeId y = -1;
    const int type = nb_ob_type(b, 0);
    NB_TRY(in_real(b, 0, &x[0], err));
    NB_TRY(in_real(b, 1, &x[1], err));
    if (op == NB_OP_DIV && nb_onnx_is_integer(type))
        NB_TRY(nb_ob_combine(b, NB_COMBINE_TRUNC_DIV, x[0], x[1], &y, err));
    else if (op == NB_OP_MUL && is_silu(b, x[0], x[1]))
        NB_TRY(nb_ob_one(b, NB_OP_SILU, NULL, x[0], &y, err));
    else if (op == NB_OP_MUL && is_silu(b, x[1], x[0]))
        NB_TRY(nb_ob_one(b, NB_OP_SILU, NULL, x[1], &y, err));
    else
        NB_TRY(nb_ob_two(b, (NbOp)op, x[0], x[1], &y, err));
    NB_TRY(wrap(b, type, &y, err));
    return nb_ob_out(b, 0, y, type, err);
}

/* Before 7 the slopes of PRelu are those of the channels. */
static NB_FALLIBLE old_slope(NbOnnxBuilder *b, NbNodeId x, NbNodeId *slope, NbError *err) {
    const NbShape s = nb_ob_shape(b, *slope);
    const int rank = nb_ob_shape(b, x).rank;
    const int64_t dim[NB_MAX_RANK] = {s.rank ? s.dim[0] : 1, 1, 1, 1, 1, 1, 1, 1};
    return s.rank == 1 && rank > 1 ? nb_ob_reshape(b, *slope, rank - 1, dim, slope, err) : NB_OK;
}

static NbStatus combine_rule(NbOnnxBuilder *b, int kind, NbError *err) {
    NbNodeId x[2] = {-1, -1};
    NbNodeId y = -1;
    int type = nb_ob_type(b, 0);
    NB_TRY(in_real(b, 0, &x[0], err));
    NB_TRY(in_real(b, 1, &x[1], err));
    if (kind == NB_COMBINE_PRELU && b->opset < 7)
        NB_TRY(old_slope(b, x[0], &x[1], err));
    if (kind == NB_COMBINE_MOD && nb_ob_attr_i(b, "fmod", 0))
        kind = NB_COMBINE_FMOD;
    NB_TRY(nb_ob_combine(b, (NbCombineKind)kind, x[0], x[1], &y, err));
    if (kind == NB_COMBINE_POW && nb_onnx_is_integer(type))
        NB_TRY(nb_ob_map(b, NB_MAP_TRUNC, y, &y, err));
    if (kind >= NB_COMBINE_EQUAL)
        type = NB_ONNX_BOOL;
    return nb_ob_out(b, 0, y, type, err);
}

/* Any number of inputs: kind is a combination, or -1 for sums and -2 for means. */
static NbStatus many_rule(NbOnnxBuilder *b, int kind, NbError *err) {
    NbNodeId y = -1;
    NB_TRY(in_real(b, 0, &y, err));
    for (size_t i = 1; i < b->node->n_in; i++) {
        NbNodeId x = -1;
        NB_TRY(in_real(b, i, &x, err));
        if (kind < 0)
            NB_TRY(nb_ob_two(b, NB_OP_ADD, y, x, &y, err));
        else
            NB_TRY(nb_ob_combine(b, (NbCombineKind)kind, y, x, &y, err));
    }
    if (kind == -2) {
        NbNodeId n = -1;
        NB_TRY(nb_ob_scalar(b, (float)b->node->n_in, &n, err));
        NB_TRY(nb_ob_two(b, NB_OP_DIV, y, n, &y, err));
    }
    return nb_ob_out(b, 0, y, nb_ob_type(b, 0), err);
}

static NbStatus clip_rule(NbOnnxBuilder *b, int kind, NbError *err) {
    (void)kind;
    NbNodeId y = -1;
    NbNodeId bound[2] = {-1, -1};
    static const char *const names[] = {"min", "max"};
    static const NbCombineKind how[] = {NB_COMBINE_MAX, NB_COMBINE_MIN};
    NbAttr attr = {.map = {.kind = NB_MAP_CLIP, .a = -INFINITY, .b = INFINITY}};
    bool fixed = true;
    NB_TRY(in_real(b, 0, &y, err));
    for (size_t k = 0; k < 2; k++) {
        float *to = k ? &attr.map.b : &attr.map.a;
        *to = nb_ob_attr_f(b, names[k], *to);
        if (!nb_ob_has(b, k + 1))
            continue;
        NB_TRY(in_real(b, k + 1, &bound[k], err));
        const NbNode *node = &b->g.node[bound[k]];
        if (node->op == NB_OP_PARAM && nb_tensor_count(&node->param) == 1)
            *to = nb_f32(&node->param)[0];
        else
            fixed = false;
    }
    if (fixed)
        NB_TRY(nb_ob_one(b, NB_OP_MAP, &attr, y, &y, err));
    for (size_t k = 0; k < 2 && !fixed; k++)
        if (bound[k] >= 0)
            NB_TRY(nb_ob_combine(b, how[k], y, bound[k], &y, err));
    return nb_ob_out(b, 0, y, nb_ob_type(b, 0), err);
}

static NbStatus where_rule(NbOnnxBuilder *b, int kind, NbError *err) {
    (void)kind;
    NbNodeId x[3] = {-1, -1, -1};
    NbNodeId y = -1;
    for (size_t i = 0; i < 3; i++)
        NB_TRY(in_real(b, i, &x[i], err));
    NB_TRY(nb_ob_add(b, NB_OP_WHERE, NULL, 3, x, &y, err));
    return nb_ob_out(b, 0, y, nb_ob_type(b, 1), err);
}

static NbStatus cast_rule(NbOnnxBuilder *b, int kind, NbError *err) {
    (void)kind;
    NbNodeId y = -1;
    const int from = nb_ob_type(b, 0);
    const bool like = strcmp(b->node->op, "CastLike") == 0;
    const int to = like ? nb_ob_type(b, 1) : (int)nb_ob_attr_i(b, "to", 0);
    const char *round = nb_ob_attr_s(b, "round_mode", "up");
    NbAttr attr = {0};
    NB_TRY(in_real(b, 0, &y, err));
    if (to == NB_ONNX_STRING || from == NB_ONNX_STRING || to == NB_ONNX_COMPLEX64 ||
        to == NB_ONNX_COMPLEX128 || !*nb_onnx_type_name(to) ||
        (!nb_onnx_type_bits(to) && to != NB_ONNX_FLOAT))
        return nb_fail(NB_ERR_UNSUPPORTED, err, "a cast from %s to %s", nb_onnx_type_name(from),
                       nb_onnx_type_name(to));
    if (from != to && nb_onnx_cast_attr(to, nb_ob_attr_i(b, "saturate", 1) != 0, &attr.cast)) {
        attr.cast.round = round[0] == 'd'   ? NB_CAST_DOWN
                          : round[0] == 'n' ? NB_CAST_NEAREST
                                            : NB_CAST_UP;
        NB_TRY(nb_ob_one(b, NB_OP_CAST, &attr, y, &y, err));
    }
    return nb_ob_out(b, 0, y, to, err);
}

/* Axes from an attribute (before 13 or 18) or an input. */
static NB_FALLIBLE reduce_axes(NbOnnxBuilder *b, int rank, unsigned *axes, NbError *err) {
    int64_t axis[NB_MAX_RANK];
    size_t n = 0;
    if (nb_ob_has(b, 1))
        NB_TRY(nb_ob_ints(b, 1, NB_MAX_RANK, axis, &n, err));
    else
        NB_TRY(nb_ob_attr_ints(b, "axes", NB_MAX_RANK, axis, &n, err));
    const unsigned all = nb_ob_attr_i(b, "noop_with_empty_axes", 0) ? 0U : (1U << rank) - 1U;
    return nb_ob_axes(axis, n, rank, all, axes, err);
}

enum { LOG_SUM = 100, LOG_SUM_EXP };

static NbStatus reduce_rule(NbOnnxBuilder *b, int kind, NbError *err) {
    NbNodeId y = -1;
    unsigned axes = 0;
    const bool keep = nb_ob_attr_i(b, "keepdims", 1) != 0;
    NB_TRY(in_real(b, 0, &y, err));
    NB_TRY(reduce_axes(b, nb_ob_shape(b, y).rank, &axes, err));
    if (kind == LOG_SUM_EXP) {
        NbNodeId most = -1;
        NbNodeId flat = -1;
        NB_TRY(nb_ob_reduce(b, NB_REDUCE_MAX, y, axes, true, &most, err));
        NB_TRY(nb_ob_reduce(b, NB_REDUCE_MAX, y, axes, keep, &flat, err));
        NB_TRY(nb_ob_two(b, NB_OP_SUB, y, most, &y, err));
        NB_TRY(nb_ob_map(b, NB_MAP_EXP, y, &y, err));
        NB_TRY(nb_ob_reduce(b, NB_REDUCE_SUM, y, axes, keep, &y, err));
        NB_TRY(nb_ob_map(b, NB_MAP_LOG, y, &y, err));
        NB_TRY(nb_ob_two(b, NB_OP_ADD, y, flat, &y, err));
    } else if (kind == LOG_SUM) {
        NB_TRY(nb_ob_reduce(b, NB_REDUCE_SUM, y, axes, keep, &y, err));
        NB_TRY(nb_ob_map(b, NB_MAP_LOG, y, &y, err));
    } else if (axes || kind >= NB_REDUCE_L1) {
        NB_TRY(nb_ob_reduce(b, (NbReduceKind)kind, y, axes, keep, &y, err));
    } else {
        NB_TRY(nb_ob_map(b, NB_MAP_IDENTITY, y, &y, err));
    }
    return nb_ob_out(b, 0, y, nb_ob_type(b, 0), err);
}

static NbStatus arg_rule(NbOnnxBuilder *b, int kind, NbError *err) {
    NbNodeId y = -1;
    int axis = 0;
    NB_TRY(in_real(b, 0, &y, err));
    NB_TRY(nb_ob_axis(nb_ob_attr_i(b, "axis", 0), nb_ob_shape(b, y).rank, &axis, err));
    const NbAttr attr = {.reduce = {.kind = (NbReduceKind)kind,
                                    .axes = 1U << axis,
                                    .keep = nb_ob_attr_i(b, "keepdims", 1) != 0,
                                    .last = nb_ob_attr_i(b, "select_last_index", 0) != 0}};
    NB_TRY(nb_ob_one(b, NB_OP_REDUCE, &attr, y, &y, err));
    return nb_ob_out(b, 0, y, NB_ONNX_INT64, err);
}

/* Before 13 the input is seen as a matrix: everything from the axis on is one row. */
static NB_FALLIBLE softmax_view(NbOnnxBuilder *b, NbNodeId *x, int *axis, NbError *err) {
    const NbShape s = nb_ob_shape(b, *x);
    NB_TRY(nb_ob_axis(nb_ob_attr_i(b, "axis", b->opset < 13 ? 1 : -1), s.rank, axis, err));
    if (b->opset >= 13 || *axis == s.rank - 1)
        return NB_OK;
    int64_t dim[2] = {1, 1};
    for (int d = 0; d < s.rank; d++)
        dim[d >= *axis] *= s.dim[d];
    *axis = 1;
    return nb_ob_reshape(b, *x, 2, dim, x, err);
}

static NbStatus softmax_rule(NbOnnxBuilder *b, int log, NbError *err) {
    NbNodeId x = -1;
    NbNodeId y = -1;
    int axis = 0;
    NB_TRY(in_real(b, 0, &x, err));
    const NbShape shape = nb_ob_shape(b, x);
    NB_TRY(softmax_view(b, &x, &axis, err));
    if (log) {
        NbNodeId part = -1;
        NB_TRY(nb_ob_reduce(b, NB_REDUCE_MAX, x, 1U << axis, true, &part, err));
        NB_TRY(nb_ob_two(b, NB_OP_SUB, x, part, &x, err));
        NB_TRY(nb_ob_map(b, NB_MAP_EXP, x, &y, err));
        NB_TRY(nb_ob_reduce(b, NB_REDUCE_SUM, y, 1U << axis, true, &part, err));
        NB_TRY(nb_ob_map(b, NB_MAP_LOG, part, &part, err));
        NB_TRY(nb_ob_two(b, NB_OP_SUB, x, part, &y, err));
    } else {
        const NbAttr attr = {.softmax = {.axis = axis}};
        NB_TRY(nb_ob_one(b, NB_OP_SOFTMAX, &attr, x, &y, err));
    }
    const NbShape seen = nb_ob_shape(b, y);
    if (!nb_shape_equal(&seen, &shape))
        NB_TRY(nb_ob_reshape(b, y, shape.rank, shape.dim, &y, err));
    return nb_ob_out(b, 0, y, nb_ob_type(b, 0), err);
}

static NB_FALLIBLE widen(NbOnnxBuilder *b, NbNodeId *x, bool left, NbError *err) {
    const NbShape s = nb_ob_shape(b, *x);
    const int64_t dim[2] = {left ? 1 : s.dim[0], left ? s.dim[0] : 1};
    return s.rank == 1 ? nb_ob_reshape(b, *x, 2, dim, x, err) : NB_OK;
}

static NbStatus matmul_rule(NbOnnxBuilder *b, int kind, NbError *err) {
    (void)kind;
    NbNodeId x[2] = {-1, -1};
    NbNodeId y = -1;
    NB_TRY(nb_ob_in(b, 0, &x[0], err));
    NB_TRY(nb_ob_in(b, 1, &x[1], err));
    const int rank[2] = {nb_ob_shape(b, x[0]).rank, nb_ob_shape(b, x[1]).rank};
    NB_TRY(widen(b, &x[0], true, err));
    NB_TRY(widen(b, &x[1], false, err));
    NB_TRY(nb_ob_two(b, NB_OP_MATMUL, x[0], x[1], &y, err));
    if (rank[0] == 1 || rank[1] == 1) {
        NbShape s = nb_ob_shape(b, y);
        if (rank[0] == 1) {
            s.dim[s.rank - 2] = s.dim[s.rank - 1];
            s.rank--;
        }
        s.rank -= rank[1] == 1;
        NB_TRY(nb_ob_reshape(b, y, s.rank, s.dim, &y, err));
    }
    return nb_ob_out(b, 0, y, nb_ob_type(b, 0), err);
}

static NB_FALLIBLE times(NbOnnxBuilder *b, float factor, NbNodeId *x, NbError *err) {
    const NbAttr attr = {.scale = {.factor = factor}};
    return factor == 1.0F ? NB_OK : nb_ob_one(b, NB_OP_SCALE, &attr, *x, x, err);
}

static NbStatus gemm_rule(NbOnnxBuilder *b, int kind, NbError *err) {
    (void)kind;
    static const int swap[2] = {1, 0};
    NbNodeId x[2] = {-1, -1};
    NbNodeId y = -1;
    for (size_t i = 0; i < 2; i++) {
        NB_TRY(nb_ob_in(b, i, &x[i], err));
        if (nb_ob_shape(b, x[i]).rank != 2)
            return nb_fail(NB_ERR_FORMAT, err, "input %zu has %d dimensions, 2 expected", i,
                           nb_ob_shape(b, x[i]).rank);
        if (nb_ob_attr_i(b, i ? "transB" : "transA", 0))
            NB_TRY(nb_ob_transpose(b, x[i], swap, &x[i], err));
    }
    NB_TRY(nb_ob_two(b, NB_OP_MATMUL, x[0], x[1], &y, err));
    NB_TRY(times(b, nb_ob_attr_f(b, "alpha", 1.0F), &y, err));
    if (nb_ob_has(b, 2)) {
        NbNodeId c = -1;
        NB_TRY(in_real(b, 2, &c, err));
        NB_TRY(times(b, nb_ob_attr_f(b, "beta", 1.0F), &c, err));
        NB_TRY(nb_ob_two(b, NB_OP_ADD, y, c, &y, err));
    }
    return nb_ob_out(b, 0, y, nb_ob_type(b, 0), err);
}

static NbStatus identity_rule(NbOnnxBuilder *b, int kind, NbError *err) {
    (void)kind;
    NbOnnxVal *v = NULL;
    NB_TRY(nb_ob_val(b, 0, &v, err));
    NB_TRY(nb_ob_out(b, 0, v->node, v->type, err));
    NbOnnxVal *out = nb_ob_wants(b, 0) ? nb_ob_find(b, b->node->out[0]) : NULL;
    if (out) {
        const char *name = out->name;
        *out = *v;
        out->name = name;
    }
    if (nb_ob_wants(b, 1)) { /* Dropout's mask: nothing is dropped */
        const NbShape s = nb_ob_shape(b, v->node);
        NbNodeId one = -1;
        NbNodeId mask = -1;
        NbAttr attr = {.expand = {.n = s.rank}};
        memcpy(attr.expand.dim, s.dim, sizeof s.dim);
        NB_TRY(nb_ob_scalar(b, 1.0F, &one, err));
        NB_TRY(nb_ob_one(b, NB_OP_EXPAND, &attr, one, &mask, err));
        NB_TRY(nb_ob_out(b, 1, mask, NB_ONNX_BOOL, err));
    }
    return NB_OK;
}

const NbOnnxOp nb_onnx_math_ops[] = {
    {"Abs", map_rule, NB_MAP_ABS},
    {"Neg", map_rule, NB_MAP_NEG},
    {"Sign", map_rule, NB_MAP_SIGN},
    {"Floor", map_rule, NB_MAP_FLOOR},
    {"Ceil", map_rule, NB_MAP_CEIL},
    {"Round", map_rule, NB_MAP_ROUND},
    {"Reciprocal", map_rule, NB_MAP_RECIPROCAL},
    {"Sqrt", map_rule, NB_MAP_SQRT},
    {"Exp", map_rule, NB_MAP_EXP},
    {"Log", map_rule, NB_MAP_LOG},
    {"Erf", map_rule, NB_MAP_ERF},
    {"Sin", map_rule, NB_MAP_SIN},
    {"Cos", map_rule, NB_MAP_COS},
    {"Tanh", map_rule, NB_MAP_TANH},
    {"Elu", map_rule, NB_MAP_ELU},
    {"Selu", map_rule, NB_MAP_SELU},
    {"Celu", map_rule, NB_MAP_CELU},
    {"Softplus", map_rule, NB_MAP_SOFTPLUS},
    {"Softsign", map_rule, NB_MAP_SOFTSIGN},
    {"HardSigmoid", map_rule, NB_MAP_HARD_SIGMOID},
    {"HardSwish", map_rule, NB_MAP_HARD_SWISH},
    {"Swish", map_rule, NB_MAP_SWISH},
    {"Mish", map_rule, NB_MAP_MISH},
    {"Gelu", map_rule, NB_MAP_GELU},
    {"ThresholdedRelu", map_rule, NB_MAP_THRESHOLD},
    {"Not", map_rule, NB_MAP_NOT},
    {"IsNaN", map_rule, NB_MAP_IS_NAN},
    {"Relu", direct_rule, NB_OP_RELU},
    {"LeakyRelu", direct_rule, NB_OP_LEAKY_RELU},
    {"Sigmoid", direct_rule, NB_OP_SIGMOID},
    {"Add", arithmetic_rule, NB_OP_ADD},
    {"Sub", arithmetic_rule, NB_OP_SUB},
    {"Mul", arithmetic_rule, NB_OP_MUL},
    {"Div", arithmetic_rule, NB_OP_DIV},
    {"Pow", combine_rule, NB_COMBINE_POW},
    {"Mod", combine_rule, NB_COMBINE_MOD},
    {"PRelu", combine_rule, NB_COMBINE_PRELU},
    {"Equal", combine_rule, NB_COMBINE_EQUAL},
    {"Less", combine_rule, NB_COMBINE_LESS},
    {"LessOrEqual", combine_rule, NB_COMBINE_LESS_EQUAL},
    {"Greater", combine_rule, NB_COMBINE_GREATER},
    {"GreaterOrEqual", combine_rule, NB_COMBINE_GREATER_EQUAL},
    {"And", combine_rule, NB_COMBINE_AND},
    {"Or", combine_rule, NB_COMBINE_OR},
    {"Xor", combine_rule, NB_COMBINE_XOR},
    {"Min", many_rule, NB_COMBINE_MIN},
    {"Max", many_rule, NB_COMBINE_MAX},
    {"Sum", many_rule, -1},
    {"Mean", many_rule, -2},
    {"Clip", clip_rule, 0},
    {"Where", where_rule, 0},
    {"Cast", cast_rule, 0},
    {"CastLike", cast_rule, 0},
    {"ReduceSum", reduce_rule, NB_REDUCE_SUM},
    {"ReduceMean", reduce_rule, NB_REDUCE_MEAN},
    {"ReduceProd", reduce_rule, NB_REDUCE_PROD},
    {"ReduceMin", reduce_rule, NB_REDUCE_MIN},
    {"ReduceMax", reduce_rule, NB_REDUCE_MAX},
    {"ReduceL1", reduce_rule, NB_REDUCE_L1},
    {"ReduceL2", reduce_rule, NB_REDUCE_L2},
    {"ReduceSumSquare", reduce_rule, NB_REDUCE_SQUARES},
    {"ReduceLogSum", reduce_rule, LOG_SUM},
    {"ReduceLogSumExp", reduce_rule, LOG_SUM_EXP},
    {"ArgMax", arg_rule, NB_REDUCE_ARGMAX},
    {"ArgMin", arg_rule, NB_REDUCE_ARGMIN},
    {"Softmax", softmax_rule, 0},
    {"LogSoftmax", softmax_rule, 1},
    {"MatMul", matmul_rule, 0},
    {"Gemm", gemm_rule, 0},
    {"Identity", identity_rule, 0},
    {"Dropout", identity_rule, 0},
    {"", NULL, 0},
};
