/* SPDX-License-Identifier: Apache-2.0
 *
 * Operators of any rank, as ONNX nodes. */
#include "model/onnx/emit_operators.h"

#include <math.h>
#include <string.h>

static const NbNode *node_of(const NbEmit *e, NbNodeId id) { return &e->g->node[id]; }

static const char *input(const NbEmit *e, NbNodeId id, int i) {
    return e->value[e->g->node[id].in[i]];
}

static const char *part(NbEmit *e, NbNodeId id, const char *what) {
    return nb_emit_name(e, "%s/%s", node_of(e, id)->name, what);
}

static void refuse(NbEmit *e, NbNodeId id, const char *what) {
    (void)nb_emit_fail(e, NB_ERR_UNSUPPORTED, "%s '%s': %s", nb_op_name(node_of(e, id)->op),
                       node_of(e, id)->name, what);
}

static const char *number(NbEmit *e, NbNodeId id, const char *what, float value) {
    return nb_emit_float(e, part(e, id, what), value);
}

/* The value of the node is `x` of another type, as a real number. */
static void set_real(NbEmit *e, NbNodeId id, const char *x) {
    e->value[id] = nb_emit_cast(e, node_of(e, id)->name, x, e->real);
}

static const char *as(NbEmit *e, NbNodeId id, int i, int type) {
    const char *const name = nb_emit_name(e, "%s/in%d", node_of(e, id)->name, i);
    return nb_emit_cast(e, name, input(e, id, i), type);
}

/* ---- MAP ---- */

typedef struct MapRow {
    const char *op;
    const char *a; /* attributes that the parameters become; NULL: none */
    const char *b;
    int opset; /* the first that has it; 0: all */
} MapRow;

static const MapRow maps[NB_MAP_COUNT] = {
    [NB_MAP_IDENTITY] = {"Identity", NULL, NULL, 0},
    [NB_MAP_ABS] = {"Abs", NULL, NULL, 0},
    [NB_MAP_NEG] = {"Neg", NULL, NULL, 0},
    [NB_MAP_SIGN] = {"Sign", NULL, NULL, 0},
    [NB_MAP_FLOOR] = {"Floor", NULL, NULL, 0},
    [NB_MAP_CEIL] = {"Ceil", NULL, NULL, 0},
    [NB_MAP_ROUND] = {"Round", NULL, NULL, 0},
    [NB_MAP_RECIPROCAL] = {"Reciprocal", NULL, NULL, 0},
    [NB_MAP_SQRT] = {"Sqrt", NULL, NULL, 0},
    [NB_MAP_EXP] = {"Exp", NULL, NULL, 0},
    [NB_MAP_LOG] = {"Log", NULL, NULL, 0},
    [NB_MAP_ERF] = {"Erf", NULL, NULL, 0},
    [NB_MAP_SIN] = {"Sin", NULL, NULL, 0},
    [NB_MAP_COS] = {"Cos", NULL, NULL, 0},
    [NB_MAP_TANH] = {"Tanh", NULL, NULL, 0},
    [NB_MAP_ELU] = {"Elu", "alpha", NULL, 0},
    [NB_MAP_SELU] = {"Selu", "alpha", "gamma", 0},
    [NB_MAP_CELU] = {"Celu", "alpha", NULL, 0},
    [NB_MAP_SOFTPLUS] = {"Softplus", NULL, NULL, 0},
    [NB_MAP_SOFTSIGN] = {"Softsign", NULL, NULL, 0},
    [NB_MAP_HARD_SIGMOID] = {"HardSigmoid", "alpha", "beta", 0},
    [NB_MAP_HARD_SWISH] = {"HardSwish", NULL, NULL, 14},
    [NB_MAP_MISH] = {"Mish", NULL, NULL, 18},
    [NB_MAP_THRESHOLD] = {"ThresholdedRelu", "alpha", NULL, 0},
};

/* min(max(x, a), b), either of which may be infinite. */
static void emit_clip(NbEmit *e, NbNodeId id, float a, float b) {
    const char *in[3] = {input(e, id, 0), "", ""};
    if (a > -INFINITY)
        in[1] = number(e, id, "min", a);
    if (b < INFINITY)
        in[2] = number(e, id, "max", b);
    e->value[id] = nb_emit_list(e, "Clip", node_of(e, id)->name, 3, in, NULL);
}

static void emit_gelu(NbEmit *e, NbNodeId id) {
    const char *const x = input(e, id, 0);
    const char *y =
        nb_emit_binary(e, "Mul", part(e, id, "scaled"), x, number(e, id, "root", 0.70710678F));
    y = nb_emit_unary(e, "Erf", part(e, id, "erf"), y);
    y = nb_emit_binary(e, "Add", part(e, id, "plus_one"), y, number(e, id, "one", 1.0F));
    y = nb_emit_binary(e, "Mul", part(e, id, "twice"), x, y);
    e->value[id] = nb_emit_binary(e, "Mul", node_of(e, id)->name, y, number(e, id, "half", 0.5F));
}

/* Those that older operator sets, or all, lack; false: not among them. */
static bool emit_composed(NbEmit *e, NbNodeId id) {
    const NbNode *node = node_of(e, id);
    const char *const x = input(e, id, 0);
    const char *y = NULL;
    const NbEmitNode hard = {
        .op = "HardSigmoid",
        .name = part(e, id, "gate"),
        .n_in = 1,
        .in = {x},
        .n_attrs = 2,
        .attr = {nb_attr_float("alpha", 1.0F / 6.0F), nb_attr_float("beta", 0.5F)}};
    if (node->attr.map.kind == NB_MAP_HARD_SWISH) {
        y = nb_emit_node(e, &hard);
    } else if (node->attr.map.kind == NB_MAP_MISH) {
        y = nb_emit_unary(e, "Softplus", part(e, id, "softplus"), x);
        y = nb_emit_unary(e, "Tanh", part(e, id, "gate"), y);
    } else if (node->attr.map.kind == NB_MAP_SWISH) {
        y = nb_emit_binary(e, "Mul", part(e, id, "scaled"), x,
                           number(e, id, "alpha", node->attr.map.a));
        y = nb_emit_unary(e, "Sigmoid", part(e, id, "gate"), y);
    } else if (node->attr.map.kind == NB_MAP_TRUNC) {
        y = nb_emit_unary(e, "Abs", part(e, id, "abs"), x);
        y = nb_emit_unary(e, "Floor", part(e, id, "floor"), y);
        e->value[id] = nb_emit_binary(e, "Mul", node->name, y,
                                      nb_emit_unary(e, "Sign", part(e, id, "sign"), x));
        return true;
    } else {
        return false;
    }
    e->value[id] = nb_emit_binary(e, "Mul", node->name, x, y);
    return true;
}

void nb_emit_map(NbEmit *e, NbNodeId id) {
    const NbNode *node = node_of(e, id);
    const MapRow *row = &maps[node->attr.map.kind];
    NbEmitNode out = {.op = row->op, .name = node->name, .n_in = 1, .in = {input(e, id, 0)}};
    if (row->a)
        out.attr[out.n_attrs++] = nb_attr_float(row->a, node->attr.map.a);
    if (row->b)
        out.attr[out.n_attrs++] = nb_attr_float(row->b, node->attr.map.b);
    if (row->op && e->opset >= row->opset)
        e->value[id] = nb_emit_node(e, &out);
    else if (node->attr.map.kind == NB_MAP_CLIP)
        emit_clip(e, id, node->attr.map.a, node->attr.map.b);
    else if (node->attr.map.kind == NB_MAP_GELU)
        emit_gelu(e, id);
    else if (node->attr.map.kind == NB_MAP_NOT)
        set_real(e, id, nb_emit_unary(e, "Not", part(e, id, "not"), as(e, id, 0, NB_ONNX_BOOL)));
    else if (node->attr.map.kind == NB_MAP_IS_NAN)
        set_real(e, id, nb_emit_unary(e, "IsNaN", part(e, id, "nan"), input(e, id, 0)));
    else if (!emit_composed(e, id))
        refuse(e, id, "a function that is not written as ONNX");
}

/* ---- COMBINE and WHERE ---- */

typedef struct CombineRow {
    const char *op;
    int in;  /* type of the inputs; 0: real numbers */
    bool of; /* the result is a truth value or an integer */
} CombineRow;

static const CombineRow combines[NB_COMBINE_COUNT] = {
    [NB_COMBINE_POW] = {"Pow", 0, false},
    [NB_COMBINE_MIN] = {"Min", 0, false},
    [NB_COMBINE_MAX] = {"Max", 0, false},
    [NB_COMBINE_TRUNC_DIV] = {"Div", NB_ONNX_INT64, true},
    [NB_COMBINE_PRELU] = {"PRelu", 0, false},
    [NB_COMBINE_EQUAL] = {"Equal", 0, true},
    [NB_COMBINE_LESS] = {"Less", 0, true},
    [NB_COMBINE_LESS_EQUAL] = {"LessOrEqual", 0, true},
    [NB_COMBINE_GREATER] = {"Greater", 0, true},
    [NB_COMBINE_GREATER_EQUAL] = {"GreaterOrEqual", 0, true},
    [NB_COMBINE_AND] = {"And", NB_ONNX_BOOL, true},
    [NB_COMBINE_OR] = {"Or", NB_ONNX_BOOL, true},
    [NB_COMBINE_XOR] = {"Xor", NB_ONNX_BOOL, true},
};

/* x - floor(x / y) * y: ONNX has it for integers only. */
static void emit_mod(NbEmit *e, NbNodeId id) {
    const char *const x = input(e, id, 0);
    const char *const y = input(e, id, 1);
    const char *q = nb_emit_binary(e, "Div", part(e, id, "quotient"), x, y);
    q = nb_emit_unary(e, "Floor", part(e, id, "floor"), q);
    q = nb_emit_binary(e, "Mul", part(e, id, "whole"), q, y);
    e->value[id] = nb_emit_binary(e, "Sub", node_of(e, id)->name, x, q);
}

void nb_emit_combine(NbEmit *e, NbNodeId id) {
    const NbNode *node = node_of(e, id);
    const CombineRow *row = &combines[node->attr.combine.kind];
    const char *in[2] = {input(e, id, 0), input(e, id, 1)};
    if (node->attr.combine.kind == NB_COMBINE_MOD) {
        emit_mod(e, id);
        return;
    }
    if (node->attr.combine.kind == NB_COMBINE_FMOD) {
        const NbOnnxAttr attr = nb_attr_int("fmod", 1);
        e->value[id] = nb_emit_list(e, "Mod", node->name, 2, in, &attr);
        return;
    }
    if (!row->op) {
        refuse(e, id, "a function that is not written as ONNX");
        return;
    }
    for (int i = 0; row->in && i < 2; i++)
        in[i] = as(e, id, i, row->in);
    if (row->of)
        set_real(e, id, nb_emit_list(e, row->op, part(e, id, "result"), 2, in, NULL));
    else
        e->value[id] = nb_emit_list(e, row->op, node->name, 2, in, NULL);
}

void nb_emit_where(NbEmit *e, NbNodeId id) {
    const char *const in[3] = {as(e, id, 0, NB_ONNX_BOOL), input(e, id, 1), input(e, id, 2)};
    e->value[id] = nb_emit_list(e, "Where", node_of(e, id)->name, 3, in, NULL);
}

/* ---- REDUCE ---- */

static void emit_arg(NbEmit *e, NbNodeId id, const char *op, int64_t axis) {
    const NbReduceAttr *a = &node_of(e, id)->attr.reduce;
    const NbEmitNode out = {.op = op,
                            .name = part(e, id, "index"),
                            .n_in = 1,
                            .in = {input(e, id, 0)},
                            .n_attrs = 3,
                            .attr = {nb_attr_int("axis", axis), nb_attr_int("keepdims", a->keep),
                                     nb_attr_int("select_last_index", a->last)}};
    set_real(e, id, nb_emit_node(e, &out));
}

void nb_emit_reduce(NbEmit *e, NbNodeId id) {
    static const char *const names[] = {
        [NB_REDUCE_SUM] = "ReduceSum",   [NB_REDUCE_MEAN] = "ReduceMean",
        [NB_REDUCE_PROD] = "ReduceProd", [NB_REDUCE_MIN] = "ReduceMin",
        [NB_REDUCE_MAX] = "ReduceMax",   [NB_REDUCE_L1] = "ReduceL1",
        [NB_REDUCE_L2] = "ReduceL2",     [NB_REDUCE_SQUARES] = "ReduceSumSquare",
        [NB_REDUCE_ARGMIN] = "ArgMin",   [NB_REDUCE_ARGMAX] = "ArgMax"};
    const NbNode *node = node_of(e, id);
    const NbReduceAttr *a = &node->attr.reduce;
    int64_t axes[NB_MAX_RANK];
    int n = 0;
    for (int d = 0; d < NB_MAX_RANK; d++)
        if (a->axes >> d & 1U)
            axes[n++] = d;
    if (a->kind == NB_REDUCE_ARGMIN || a->kind == NB_REDUCE_ARGMAX) {
        emit_arg(e, id, names[a->kind], n ? axes[0] : 0);
        return;
    }
    if (n == 0) { /* an empty list would mean all of them */
        refuse(e, id, "no axis to reduce");
        return;
    }
    NbEmitNode out = {.op = names[a->kind],
                      .name = node->name,
                      .n_in = 1,
                      .in = {input(e, id, 0)},
                      .n_attrs = 1,
                      .attr = {nb_attr_int("keepdims", a->keep)}};
    if (e->opset >= 18 || a->kind == NB_REDUCE_SUM)
        out.in[out.n_in++] = nb_emit_ints(e, part(e, id, "axes"), n, axes);
    else
        out.attr[out.n_attrs++] = nb_attr_ints(e, "axes", n, axes);
    e->value[id] = nb_emit_node(e, &out);
}

/* ---- windows ---- */

static NbOnnxAttr ints_attr(NbEmit *e, const char *name, int n, const int *a, const int *b) {
    int64_t list[2 * NB_MAX_RANK] = {0};
    for (int i = 0; i < n; i++)
        list[i] = a[i];
    for (int i = 0; b && i < n; i++)
        list[n + i] = b[i];
    return nb_attr_ints(e, name, b ? 2 * n : n, list);
}

/* ONNX before opset 22 counts a last window that starts in the padding; ours does not. */
static bool counts_agree(const NbEmit *e, NbNodeId id) {
    const NbNode *node = node_of(e, id);
    const NbWindowAttr *a = &node->attr.window;
    const NbShape *from = &e->g->node[node->in[0]].shape;
    for (int i = 0; a->ceil && i < node->shape.rank - 2; i++) {
        const int64_t room = from->dim[i + 2] + a->before[i] + a->after[i] -
                             ((int64_t)a->dilation[i] * (a->kernel[i] - 1) + 1);
        if ((room + a->stride[i] - 1) / a->stride[i] + 1 != node->shape.dim[i + 2])
            return false;
    }
    return true;
}

void nb_emit_pool(NbEmit *e, NbNodeId id) {
    const NbNode *node = node_of(e, id);
    const NbWindowAttr *a = &node->attr.window;
    const int n = node->shape.rank - 2;
    bool dilated = false;
    for (int i = 0; i < n; i++)
        dilated |= a->dilation[i] != 1;
    NbEmitNode out = {.op = a->average ? "AveragePool" : "MaxPool",
                      .name = a->indices ? part(e, id, "pool") : node->name,
                      .n_in = 1,
                      .in = {input(e, id, 0)},
                      .n_attrs = 5,
                      .attr = {ints_attr(e, "kernel_shape", n, a->kernel, NULL),
                               ints_attr(e, "strides", n, a->stride, NULL),
                               ints_attr(e, "pads", n, a->before, a->after),
                               nb_attr_int("ceil_mode", a->ceil),
                               a->average ? nb_attr_int("count_include_pad", a->count_padding)
                                          : nb_attr_int("storage_order", a->by_column)},
                      .n_out = a->indices ? 2 : 1};
    if (dilated)
        out.attr[out.n_attrs++] = ints_attr(e, "dilations", n, a->dilation, NULL);
    if (dilated && a->average && e->opset < 19) {
        refuse(e, id, "an average of a dilated window needs opset 19");
        return;
    }
    if (!counts_agree(e, id)) {
        refuse(e, id, "with ceil_mode the last window would start in the padding");
        return;
    }
    const char *const value = nb_emit_node(e, &out);
    if (a->indices)
        set_real(e, id, nb_emit_name(e, "%s:1", value));
    else
        e->value[id] = value;
}

void nb_emit_conv_transpose(NbEmit *e, NbNodeId id) {
    const NbNode *node = node_of(e, id);
    const NbDeconvAttr *a = &node->attr.deconv;
    NbEmitNode out = {.op = "ConvTranspose",
                      .name = node->name,
                      .n_in = node->n_in,
                      .n_attrs = 5,
                      .attr = {ints_attr(e, "dilations", 2, a->dilation, NULL),
                               nb_attr_int("group", a->groups),
                               ints_attr(e, "output_padding", 2, a->extra, NULL),
                               ints_attr(e, "pads", 2, a->pad, a->pad + 2),
                               ints_attr(e, "strides", 2, a->stride, NULL)}};
    for (int i = 0; i < node->n_in; i++)
        out.in[i] = input(e, id, i);
    e->value[id] = nb_emit_node(e, &out);
}

/* Scales where they give the size, else sizes. */
static const char *resize_scales(NbEmit *e, NbNodeId id, bool *fits) {
    const NbNode *node = node_of(e, id);
    const NbShape *from = &e->g->node[node->in[0]].shape;
    const NbShape shape = nb_shape(1, (const int64_t[]){from->rank});
    float *const scales = NB_NEW(e->arena, float, (size_t)from->rank);
    *fits = scales != NULL;
    for (int d = 0; scales && d < from->rank; d++) {
        scales[d] = node->attr.resize.scale[d];
        *fits &= (int64_t)floorf((float)from->dim[d] * scales[d]) == node->shape.dim[d];
    }
    if (!*fits)
        return "";
    const int real = e->real;
    e->real = NB_ONNX_FLOAT;
    const char *const list = nb_emit_floats(e, part(e, id, "scales"), &shape, scales);
    e->real = real;
    return list;
}

void nb_emit_resize(NbEmit *e, NbNodeId id) {
    static const char *const modes[] = {"nearest", "linear", "cubic"};
    static const char *const places[] = {"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel",
                                         "align_corners", "asymmetric"};
    static const char *const nearest[] = {"floor", "ceil", "round_prefer_floor",
                                          "round_prefer_ceil"};
    const NbNode *node = node_of(e, id);
    const NbResizeAttr *a = &node->attr.resize;
    bool fits = false;
    const char *const scales = resize_scales(e, id, &fits);
    NbEmitNode out = {.op = "Resize",
                      .name = node->name,
                      .n_in = fits ? 3 : 4,
                      .in = {input(e, id, 0), "", scales},
                      .n_attrs = 5,
                      .attr = {nb_attr_text("mode", modes[a->mode]),
                               nb_attr_text("coordinate_transformation_mode", places[a->place]),
                               nb_attr_text("nearest_mode", nearest[a->nearest]),
                               nb_attr_float("cubic_coeff_a", a->cubic),
                               nb_attr_int("exclude_outside", a->exclude_outside)}};
    if (!fits)
        out.in[3] = nb_emit_ints(e, part(e, id, "sizes"), node->shape.rank, node->shape.dim);
    if (a->place == NB_RESIZE_HALF_PIXEL_SYMMETRIC && e->opset < 19)
        refuse(e, id, "half_pixel_symmetric needs opset 19");
    else
        e->value[id] = nb_emit_node(e, &out);
}

/* ---- moving ---- */

void nb_emit_gather(NbEmit *e, NbNodeId id) {
    static const char *const names[] = {[NB_GATHER_SLICES] = "Gather",
                                        [NB_GATHER_ELEMENTS] = "GatherElements",
                                        [NB_GATHER_ND] = "GatherND"};
    const NbNode *node = node_of(e, id);
    const NbOnnxAttr axis = nb_attr_int("axis", node->attr.gather.axis);
    const char *const in[2] = {input(e, id, 0), as(e, id, 1, NB_ONNX_INT64)};
    e->value[id] = nb_emit_list(e, names[node->attr.gather.kind], node->name, 2, in,
                                node->attr.gather.kind == NB_GATHER_ND ? NULL : &axis);
}

void nb_emit_expand(NbEmit *e, NbNodeId id) {
    const NbNode *node = node_of(e, id);
    int64_t dim[NB_MAX_RANK];
    for (int i = 0; i < node->attr.expand.n; i++)
        dim[i] = node->attr.expand.dim[i] == 0 ? 1 : node->attr.expand.dim[i];
    const char *const shape = nb_emit_ints(e, part(e, id, "shape"), node->attr.expand.n, dim);
    e->value[id] = nb_emit_binary(e, "Expand", node->name, input(e, id, 0), shape);
}

void nb_emit_pad_nd(NbEmit *e, NbNodeId id) {
    static const char *const modes[] = {"constant", "edge", "reflect", "wrap"};
    const NbNode *node = node_of(e, id);
    const NbPadAttr *a = &node->attr.pad_nd;
    const int rank = node->shape.rank;
    int64_t pads[2 * NB_MAX_RANK];
    for (int d = 0; d < rank; d++) {
        pads[d] = a->before[d];
        pads[rank + d] = a->after[d];
    }
    const NbOnnxAttr mode = nb_attr_text("mode", modes[a->mode]);
    const char *const in[3] = {input(e, id, 0),
                               nb_emit_ints(e, part(e, id, "pads"), 2 * rank, pads),
                               a->mode == NB_PAD_CONSTANT ? number(e, id, "value", a->value) : ""};
    if (a->mode == NB_PAD_WRAP && e->opset < 19)
        refuse(e, id, "wrapping needs opset 19");
    else
        e->value[id] =
            nb_emit_list(e, "Pad", node->name, a->mode == NB_PAD_CONSTANT ? 3 : 2, in, &mode);
}

void nb_emit_topk(NbEmit *e, NbNodeId id) {
    const NbNode *node = node_of(e, id);
    const bool indices = node->attr.topk.indices;
    const NbEmitNode out = {
        .op = "TopK",
        .name = indices ? part(e, id, "top") : node->name,
        .n_in = 2,
        .in = {input(e, id, 0), nb_emit_ints(e, part(e, id, "k"), 1, &node->attr.topk.k)},
        .n_attrs = 3,
        .attr = {nb_attr_int("axis", node->attr.topk.axis),
                 nb_attr_int("largest", !node->attr.topk.smallest), nb_attr_int("sorted", 1)},
        .n_out = 2};
    const char *const value = nb_emit_node(e, &out);
    if (indices)
        set_real(e, id, nb_emit_name(e, "%s:1", value));
    else
        e->value[id] = value;
}

/* ---- CAST ---- */

/* UNDEFINED: no type that rounds so. */
static int cast_type(const NbCastAttr *a) {
    static const struct {
        int bits, type, unsigned_type;
    } integers[] = {{8, NB_ONNX_INT8, NB_ONNX_UINT8},
                    {16, NB_ONNX_INT16, NB_ONNX_UINT16},
                    {32, NB_ONNX_INT32, NB_ONNX_UINT32},
                    {64, NB_ONNX_INT64, NB_ONNX_UINT64}};
    if (a->kind == NB_CAST_BOOL)
        return NB_ONNX_BOOL;
    if (a->kind == NB_CAST_FLOAT && a->style == NB_CAST_IEEE)
        return a->exponent == 5 && a->mantissa == 10  ? NB_ONNX_FLOAT16
               : a->exponent == 8 && a->mantissa == 7 ? NB_ONNX_BFLOAT16
                                                      : NB_ONNX_UNDEFINED;
    for (size_t i = 0; a->kind == NB_CAST_INTEGER && i < sizeof integers / sizeof *integers; i++)
        if (integers[i].bits == a->bits)
            return a->is_signed ? integers[i].type : integers[i].unsigned_type;
    return NB_ONNX_UNDEFINED;
}

void nb_emit_cast_op(NbEmit *e, NbNodeId id) {
    const int type = cast_type(&node_of(e, id)->attr.cast);
    if (type == NB_ONNX_UNDEFINED)
        refuse(e, id, "a type that is not written as ONNX");
    else
        set_real(e, id, nb_emit_cast(e, part(e, id, "cast"), input(e, id, 0), type));
}
