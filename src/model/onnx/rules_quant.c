/* SPDX-License-Identifier: Apache-2.0
 *
 * Rules for quantizers: ONNX's own, and those of QONNX and FINN (Quant, BipolarQuant,
 * MultiThreshold). Source: github.com/fastmachinelearning/qonnx, docs/qonnx-custom-ops. */
#include "model/onnx/rules_layer.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* What a quantizer's constants say. */
typedef struct Affine {
    NbNodeId x;
    NbNodeId scale; /* as the node has it */
    NbNodeId zero;  /* -1: 0 */
    int axis;
    int64_t block; /* 0: none */
} Affine;

static NB_FALLIBLE read_affine(NbOnnxBuilder *b, Affine *a, NbError *err) {
    *a = (Affine){.x = -1, .scale = -1, .zero = -1};
    NB_TRY(nb_ob_in(b, 0, &a->x, err));
    NB_TRY(nb_ob_in(b, 1, &a->scale, err));
    if (nb_ob_has(b, 2))
        NB_TRY(nb_ob_in(b, 2, &a->zero, err));
    const NbShape s = nb_ob_shape(b, a->x);
    const NbShape scale = nb_ob_shape(b, a->scale);
    a->block = nb_ob_attr_i(b, "block_size", 0);
    if (nb_shape_count(&scale) != 1 || a->block)
        NB_TRY(nb_ob_axis(nb_ob_attr_i(b, "axis", 1), s.rank, &a->axis, err));
    return NB_OK;
}

/* A scale or zero point in a shape that broadcasts against x: along the axis, or each repeated for
 * its block. */
static NB_FALLIBLE beside(NbOnnxBuilder *b, const Affine *a, NbNodeId *id, NbError *err) {
    const NbShape x = nb_ob_shape(b, a->x);
    const NbShape s = nb_ob_shape(b, *id);
    NbShape wide = {.rank = x.rank};
    if (nb_shape_count(&s) == 1 && !a->block)
        return s.rank ? nb_ob_reshape(b, *id, 0, NULL, id, err) : NB_OK;
    if (a->axis < 0 || a->axis >= x.rank || a->block < 0)
        return nb_fail(NB_ERR_FORMAT, err, "%zu scales beside %d dimensions", nb_shape_count(&s),
                       x.rank);
    if (!a->block) {
        for (int d = 0; d < x.rank; d++)
            wide.dim[d] = d == a->axis ? x.dim[d] : 1;
        if (nb_shape_count(&s) != (size_t)x.dim[a->axis])
            return nb_fail(NB_ERR_FORMAT, err, "%zu scales along a dimension of %" PRId64,
                           nb_shape_count(&s), x.dim[a->axis]);
        return nb_ob_reshape(b, *id, wide.rank, wide.dim, id, err);
    }
    NbNodeId index = -1;
    const NbAttr attr = {.gather = {.kind = NB_GATHER_SLICES, .axis = a->axis}};
    const NbShape one = nb_shape(1, &x.dim[a->axis]);
    NB_TRY(nb_ob_const(b, NULL, &one, &index, err));
    for (int64_t i = 0; i < x.dim[a->axis]; i++) {
        const int64_t slice = i / a->block;
        nb_f32(&b->g.node[index].param)[i] = (float)slice;
    }
    return nb_ob_add(b, NB_OP_GATHER, &attr, 2, (const NbNodeId[]){*id, index}, id, err);
}

static NB_FALLIBLE clip(NbOnnxBuilder *b, int type, NbNodeId *y, NbError *err) {
    NbCastAttr c;
    NbAttr attr = {.map = {.kind = NB_MAP_CLIP}};
    if (!nb_onnx_is_integer(type)) {
        NbAttr cast = {0};
        return nb_onnx_cast_attr(type, true, &cast.cast)
                   ? nb_ob_one(b, NB_OP_CAST, &cast, *y, y, err)
                   : NB_OK;
    }
    (void)nb_onnx_cast_attr(type, true, &c);
    attr.map.a = c.is_signed ? -ldexpf(1.0F, c.bits - 1) : 0.0F;
    attr.map.b = ldexpf(1.0F, c.is_signed ? c.bits - 1 : c.bits) - 1.0F;
    return nb_ob_one(b, NB_OP_MAP, &attr, *y, y, err);
}

/* clamp(round(x / scale) + zero) as real numbers. */
static NB_FALLIBLE quantize(NbOnnxBuilder *b, const Affine *a, int type, NbNodeId *y,
                            NbError *err) {
    NbNodeId scale = a->scale;
    NbNodeId zero = a->zero;
    NB_TRY(beside(b, a, &scale, err));
    NB_TRY(nb_ob_real(b, a->x, y, err));
    NB_TRY(nb_ob_two(b, NB_OP_DIV, *y, scale, y, err));
    if (nb_onnx_is_integer(type))
        NB_TRY(nb_ob_map(b, NB_MAP_ROUND, *y, y, err));
    if (zero >= 0) {
        NB_TRY(beside(b, a, &zero, err));
        NB_TRY(nb_ob_two(b, NB_OP_ADD, *y, zero, y, err));
    }
    return clip(b, type, y, err);
}

static NbStatus quantize_rule(NbOnnxBuilder *b, int kind, NbError *err) {
    (void)kind;
    Affine a;
    NbNodeId y = -1;
    int type = (int)nb_ob_attr_i(b, "output_dtype", 0);
    if (!type)
        type = nb_ob_has(b, 2) ? nb_ob_type(b, 2) : NB_ONNX_UINT8;
    NB_TRY(read_affine(b, &a, err));
    NB_TRY(quantize(b, &a, type, &y, err));
    NB_TRY(nb_ob_out(b, 0, y, type, err));
    NbOnnxVal *v = nb_ob_wants(b, 0) ? nb_ob_find(b, b->node->out[0]) : NULL;
    if (!v)
        return NB_OK;
    v->real = a.x;
    v->scale = a.scale;
    v->zero = a.zero;
    return NB_OK;
}

static bool same_constant(const NbOnnxBuilder *b, NbNodeId p, NbNodeId q) {
    if (p == q)
        return true;
    if (p < 0 || q < 0 || !nb_ob_is_const(b, p) || !nb_ob_is_const(b, q))
        return false;
    const NbTensor *x = &b->g.node[p].param;
    const NbTensor *y = &b->g.node[q].param;
    const size_t n = nb_tensor_count(x);
    return n == nb_tensor_count(y) && memcmp(x->data, y->data, n * sizeof(float)) == 0;
}

/* The one number of a constant, or of constants that are all equal; false: there is none. */
static bool one_number(const NbOnnxBuilder *b, NbNodeId id, float *out) {
    *out = 0.0F;
    if (id < 0)
        return true;
    if (!nb_ob_is_const(b, id))
        return false;
    const NbTensor *t = &b->g.node[id].param;
    const size_t n = nb_tensor_count(t);
    for (size_t i = 0; i < n; i++)
        if (nb_f32(t)[i] != nb_f32(t)[0])
            return false;
    *out = n ? nb_f32(t)[0] : 0.0F;
    return n > 0;
}

static NB_FALLIBLE add_codes(NbOnnxBuilder *b, const Affine *a, int type, bool codes, float zero,
                             NbNodeId *id, NbError *err) {
    NbCastAttr c;
    (void)nb_onnx_cast_attr(type, true, &c);
    const NbAttr attr = {.quantize = {.grid = {.bits = c.bits, .is_signed = c.is_signed},
                                      .zero = zero,
                                      .codes = codes,
                                      .real = b->options.reals && !codes}};
    return nb_ob_add(b, NB_OP_QUANTIZE, &attr, 2, (const NbNodeId[]){a->x, a->scale}, id, err);
}

static NB_FALLIBLE dequantize(NbOnnxBuilder *b, const Affine *a, NbNodeId *y, NbError *err) {
    NbNodeId scale = a->scale;
    NbNodeId zero = a->zero;
    NB_TRY(nb_ob_real(b, a->x, y, err));
    NB_TRY(beside(b, a, &scale, err));
    if (zero >= 0) {
        NB_TRY(beside(b, a, &zero, err));
        NB_TRY(nb_ob_two(b, NB_OP_SUB, *y, zero, y, err));
    }
    return nb_ob_two(b, NB_OP_MUL, *y, scale, y, err);
}

static bool is_code_type(int type) {
    return nb_onnx_is_integer(type) && nb_onnx_type_bits(type) <= 16;
}

/* Constants become real numbers, and codes with a scale for convolutions. */
static NB_FALLIBLE dequantize_constant(NbOnnxBuilder *b, Affine *a, int type, NbError *err) {
    NbNodeId y = -1;
    float zero = 0.0F;
    const NbShape scale = nb_ob_shape(b, a->scale);
    NB_TRY(dequantize(b, a, &y, err));
    NB_TRY(nb_ob_out(b, 0, y, nb_ob_type(b, 1), err));
    const bool rows = nb_shape_count(&scale) == 1 || a->axis == 0;
    if (!rows || a->block || b->options.reals || b->options.off || !one_number(b, a->zero, &zero) ||
        !is_code_type(type) || nb_ob_shape(b, a->x).rank < 2 || !nb_ob_wants(b, 0))
        return NB_OK;
    NbOnnxVal *v = nb_ob_find(b, b->node->out[0]);
    return add_codes(b, a, type, true, zero, &v->coded, err);
}

static NbStatus dequantize_rule(NbOnnxBuilder *b, int kind, NbError *err) {
    (void)kind;
    Affine a;
    NbOnnxVal *v = NULL;
    NbNodeId y = -1;
    float zero = 0.0F;
    NB_TRY(read_affine(b, &a, err));
    NB_TRY(nb_ob_val(b, 0, &v, err));
    const NbShape scale = nb_ob_shape(b, a.scale);
    if (nb_ob_is_const(b, a.x) && nb_ob_is_const(b, a.scale))
        return dequantize_constant(b, &a, v->type, err);
    const bool known = v->real >= 0 && nb_ob_is_const(b, a.scale) && nb_shape_count(&scale) == 1 &&
                       is_code_type(v->type) && same_constant(b, v->scale, a.scale) &&
                       one_number(b, a.zero, &zero) &&
                       (same_constant(b, v->zero, a.zero) || (v->zero < 0 && zero == 0.0F));
    if (known && b->options.off) {
        NB_TRY(nb_ob_real(b, v->real, &y, err));
    } else if (known) {
        a.x = v->real;
        NB_TRY(add_codes(b, &a, v->type, false, zero, &y, err));
    } else {
        NB_TRY(dequantize(b, &a, &y, err));
    }
    const int to = (int)nb_ob_attr_i(b, "output_dtype", 0);
    return nb_ob_out(b, 0, y, to ? to : nb_ob_type(b, 1), err);
}

/* Scale (max - min) / 255 over 0 and x, zero point round(-min / scale). */
static NbStatus dynamic_rule(NbOnnxBuilder *b, int kind, NbError *err) {
    (void)kind;
    NbNodeId x = -1;
    NbNodeId hi = -1;
    NbNodeId lo = -1;
    NbNodeId zero = -1;
    NbNodeId n = -1;
    NbNodeId y = -1;
    NB_TRY(nb_ob_in(b, 0, &x, err));
    NB_TRY(nb_ob_real(b, x, &x, err));
    const unsigned all = (1U << nb_ob_shape(b, x).rank) - 1U;
    NB_TRY(nb_ob_scalar(b, 0.0F, &zero, err));
    NB_TRY(nb_ob_scalar(b, 255.0F, &n, err));
    NB_TRY(nb_ob_reduce(b, NB_REDUCE_MAX, x, all, false, &hi, err));
    NB_TRY(nb_ob_combine(b, NB_COMBINE_MAX, hi, zero, &hi, err));
    NB_TRY(nb_ob_reduce(b, NB_REDUCE_MIN, x, all, false, &lo, err));
    NB_TRY(nb_ob_combine(b, NB_COMBINE_MIN, lo, zero, &lo, err));
    NB_TRY(nb_ob_two(b, NB_OP_SUB, hi, lo, &hi, err));
    NB_TRY(nb_ob_two(b, NB_OP_DIV, hi, n, &hi, err)); /* the scale */
    NB_TRY(nb_ob_map(b, NB_MAP_NEG, lo, &lo, err));
    NB_TRY(nb_ob_two(b, NB_OP_DIV, lo, hi, &lo, err));
    NB_TRY(nb_ob_map(b, NB_MAP_ROUND, lo, &lo, err));
    NB_TRY(clip(b, NB_ONNX_UINT8, &lo, err));
    NB_TRY(nb_ob_two(b, NB_OP_DIV, x, hi, &y, err));
    NB_TRY(nb_ob_map(b, NB_MAP_ROUND, y, &y, err));
    NB_TRY(nb_ob_two(b, NB_OP_ADD, y, lo, &y, err));
    NB_TRY(clip(b, NB_ONNX_UINT8, &y, err));
    NB_TRY(nb_ob_out(b, 0, y, NB_ONNX_UINT8, err));
    NB_TRY(nb_ob_out(b, 1, hi, NB_ONNX_FLOAT, err));
    return nb_ob_out(b, 2, lo, NB_ONNX_UINT8, err);
}

/* x less its zero point: one number, or one for each index of `axis`. */
static NB_FALLIBLE centred(NbOnnxBuilder *b, size_t i, size_t zero_at, int axis, NbNodeId *x,
                           NbError *err) {
    NbNodeId zero = -1;
    NB_TRY(nb_ob_in(b, i, x, err));
    NB_TRY(nb_ob_real(b, *x, x, err));
    if (!nb_ob_has(b, zero_at))
        return NB_OK;
    NB_TRY(nb_ob_in(b, zero_at, &zero, err));
    const Affine a = {.x = *x, .axis = axis < 0 ? nb_ob_shape(b, *x).rank + axis : axis};
    NB_TRY(beside(b, &a, &zero, err));
    return nb_ob_two(b, NB_OP_SUB, *x, zero, x, err);
}

static NbStatus integer_rule(NbOnnxBuilder *b, int conv, NbError *err) {
    NbNodeId x = -1;
    NbNodeId w = -1;
    NbNodeId y = -1;
    NB_TRY(centred(b, 0, 2, conv ? 1 : -2, &x, err));
    NB_TRY(centred(b, 1, 3, conv ? 0 : -1, &w, err));
    if (conv)
        NB_TRY(nb_onnx_conv(b, x, w, -1, &y, err));
    else
        NB_TRY(nb_ob_two(b, NB_OP_MATMUL, x, w, &y, err));
    return nb_ob_out(b, 0, y, NB_ONNX_INT32, err);
}

/* QLinearMatMul and QLinearConv: x, scale, zero, w, scale, zero, y scale, y zero [, bias]. */
static NbStatus qlinear_rule(NbOnnxBuilder *b, int conv, NbError *err) {
    NbNodeId in[2] = {-1, -1};
    NbNodeId scale[3] = {-1, -1, -1};
    NbNodeId bias = -1;
    NbNodeId y = -1;
    NB_TRY(centred(b, 0, 2, conv ? 1 : -2, &in[0], err));
    NB_TRY(centred(b, 3, 5, conv ? 0 : -1, &in[1], err));
    for (size_t i = 0; i < 3; i++)
        NB_TRY(nb_ob_in(b, (const size_t[]){1, 4, 6}[i], &scale[i], err));
    if (conv && nb_ob_has(b, 8))
        NB_TRY(nb_ob_in(b, 8, &bias, err));
    if (conv)
        NB_TRY(nb_onnx_conv(b, in[0], in[1], bias, &y, err));
    else
        NB_TRY(nb_ob_two(b, NB_OP_MATMUL, in[0], in[1], &y, err));
    const Affine out = {.x = y, .scale = scale[2], .axis = conv ? 1 : nb_ob_shape(b, y).rank - 1};
    for (int i = 0; i < 3; i++)
        NB_TRY(beside(b, &out, &scale[i], err));
    NB_TRY(nb_ob_two(b, NB_OP_MUL, scale[0], scale[1], &scale[0], err));
    NB_TRY(nb_ob_two(b, NB_OP_DIV, scale[0], scale[2], &scale[0], err));
    NB_TRY(nb_ob_two(b, NB_OP_MUL, y, scale[0], &y, err));
    NB_TRY(nb_ob_map(b, NB_MAP_ROUND, y, &y, err));
    if (nb_ob_has(b, 7)) {
        NbNodeId zero = -1;
        NB_TRY(nb_ob_in(b, 7, &zero, err));
        NB_TRY(beside(b, &out, &zero, err));
        NB_TRY(nb_ob_two(b, NB_OP_ADD, y, zero, &y, err));
    }
    const int type = nb_ob_type(b, 7);
    NB_TRY(clip(b, type, &y, err));
    return nb_ob_out(b, 0, y, type, err);
}

static NB_FALLIBLE round_as(NbOnnxBuilder *b, NbNodeId *y, NbError *err) {
    static const struct {
        const char *name;
        NbMapKind kind;
    } rows[] = {{"ROUND", NB_MAP_ROUND}, {"HALF_EVEN", NB_MAP_ROUND},
                {"FLOOR", NB_MAP_FLOOR}, {"CEIL", NB_MAP_CEIL},
                {"DOWN", NB_MAP_TRUNC},  {"ROUND_TO_ZERO", NB_MAP_TRUNC}};
    const char *mode = nb_ob_attr_s(b, "rounding_mode", "ROUND");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(mode, rows[i].name) == 0)
            return nb_ob_map(b, rows[i].kind, *y, y, err);
    return nb_fail(NB_ERR_UNSUPPORTED, err, "rounding_mode '%s'", mode);
}

/* (clamp(round(x / scale + zero)) - zero) * scale; scale and zero broadcast against x. */
static NbStatus quant_rule(NbOnnxBuilder *b, int kind, NbError *err) {
    (void)kind;
    NbNodeId in[3] = {-1, -1, -1};
    NbNodeId y = -1;
    const float *bits = NULL;
    size_t n = 0;
    for (size_t i = 0; i < 3; i++) {
        NB_TRY(nb_ob_in(b, i, &in[i], err));
        NB_TRY(nb_ob_real(b, in[i], &in[i], err));
    }
    NB_TRY(nb_ob_numbers(b, 3, &bits, &n, err));
    if (n != 1 || !(bits[0] >= 1.0F && bits[0] <= 32.0F))
        return nb_fail(NB_ERR_UNSUPPORTED, err, "a bit width that is not one number of 1 to 32");
    const bool is_signed = nb_ob_attr_i(b, "signed", 1) != 0;
    const bool narrow = nb_ob_attr_i(b, "narrow", 0) != 0;
    NbAttr attr = {.map = {.kind = NB_MAP_CLIP}};
    attr.map.a = is_signed ? -exp2f(bits[0] - 1.0F) + (narrow ? 1.0F : 0.0F) : 0.0F;
    attr.map.b =
        exp2f(is_signed ? bits[0] - 1.0F : bits[0]) - 1.0F - (!is_signed && narrow ? 1.0F : 0.0F);
    NB_TRY(nb_ob_two(b, NB_OP_DIV, in[0], in[1], &y, err));
    NB_TRY(nb_ob_two(b, NB_OP_ADD, y, in[2], &y, err));
    NB_TRY(nb_ob_one(b, NB_OP_MAP, &attr, y, &y, err));
    NB_TRY(round_as(b, &y, err));
    NB_TRY(nb_ob_two(b, NB_OP_SUB, y, in[2], &y, err));
    NB_TRY(nb_ob_two(b, NB_OP_MUL, y, in[1], &y, err));
    return nb_ob_out(b, 0, y, nb_ob_type(b, 0), err);
}

/* x >= 0 ? scale : -scale */
static NbStatus bipolar_rule(NbOnnxBuilder *b, int kind, NbError *err) {
    (void)kind;
    NbNodeId in[2] = {-1, -1};
    NbNodeId zero = -1;
    NbNodeId minus = -1;
    NbNodeId y = -1;
    for (size_t i = 0; i < 2; i++) {
        NB_TRY(nb_ob_in(b, i, &in[i], err));
        NB_TRY(nb_ob_real(b, in[i], &in[i], err));
    }
    NB_TRY(nb_ob_scalar(b, 0.0F, &zero, err));
    NB_TRY(nb_ob_map(b, NB_MAP_NEG, in[1], &minus, err));
    NB_TRY(nb_ob_combine(b, NB_COMBINE_GREATER_EQUAL, in[0], zero, &y, err));
    NB_TRY(nb_ob_add(b, NB_OP_WHERE, NULL, 3, (const NbNodeId[]){y, in[1], minus}, &y, err));
    return nb_ob_out(b, 0, y, nb_ob_type(b, 0), err);
}

/* x [N, C, ...], thresholds [C or 1, T]: how many are reached, times out_scale plus out_bias. With
 * data_layout NHWC and NC the channel is the last dimension. */
static NbStatus threshold_rule(NbOnnxBuilder *b, int kind, NbError *err) {
    (void)kind;
    NbNodeId x = -1;
    NbNodeId t = -1;
    NB_TRY(nb_ob_in(b, 0, &x, err));
    NB_TRY(nb_ob_real(b, x, &x, err));
    NB_TRY(nb_ob_in(b, 1, &t, err));
    const NbShape s = nb_ob_shape(b, x);
    const NbShape ts = nb_ob_shape(b, t);
    const bool last = strcmp(nb_ob_attr_s(b, "data_layout", "NCHW"), "NHWC") == 0;
    const int channel = s.rank < 2 ? 0 : last ? s.rank - 1 : 1;
    if (ts.rank != 2 || s.rank + 1 > NB_MAX_RANK || (ts.dim[0] != 1 && ts.dim[0] != s.dim[channel]))
        return nb_fail(NB_ERR_FORMAT, err, "thresholds for other channels than those of x");
    NbShape wide = {.rank = s.rank + 1};
    NbShape own = {.rank = s.rank + 1};
    for (int d = 0; d < s.rank; d++) {
        wide.dim[d] = s.dim[d];
        own.dim[d] = d == channel ? ts.dim[0] : 1;
    }
    wide.dim[s.rank] = 1;
    own.dim[s.rank] = ts.dim[1];
    NB_TRY(nb_ob_reshape(b, x, wide.rank, wide.dim, &x, err));
    NB_TRY(nb_ob_reshape(b, t, own.rank, own.dim, &t, err));
    NB_TRY(nb_ob_combine(b, NB_COMBINE_GREATER_EQUAL, x, t, &x, err));
    NB_TRY(nb_ob_reduce(b, NB_REDUCE_SUM, x, 1U << s.rank, false, &x, err));
    const NbAttr scale = {.scale = {.factor = nb_ob_attr_f(b, "out_scale", 1.0F)}};
    NbNodeId bias = -1;
    NB_TRY(nb_ob_one(b, NB_OP_SCALE, &scale, x, &x, err));
    NB_TRY(nb_ob_scalar(b, nb_ob_attr_f(b, "out_bias", 0.0F), &bias, err));
    NB_TRY(nb_ob_two(b, NB_OP_ADD, x, bias, &x, err));
    return nb_ob_out(b, 0, x, nb_ob_type(b, 0), err);
}

const NbOnnxOp nb_onnx_quant_ops[] = {
    {"QuantizeLinear", quantize_rule, 0},
    {"DequantizeLinear", dequantize_rule, 0},
    {"DynamicQuantizeLinear", dynamic_rule, 0},
    {"ConvInteger", integer_rule, 1},
    {"MatMulInteger", integer_rule, 0},
    {"QLinearConv", qlinear_rule, 1},
    {"QLinearMatMul", qlinear_rule, 0},
    {"Quant", quant_rule, 0},
    {"IntQuant", quant_rule, 0},
    {"BipolarQuant", bipolar_rule, 0},
    {"MultiThreshold", threshold_rule, 0},
    {"", NULL, 0},
};
