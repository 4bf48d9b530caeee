/* SPDX-License-Identifier: Apache-2.0
 *
 * What each operator of the graph is in ONNX: one line of the table at the end. Where opsets 13 to
 * 21 agree (all that is used here), one form serves them all. */
#include "model/onnx/emit_operators.h"

#include <string.h>

static const NbNode *node_of(const NbEmit *e, NbNodeId id) { return &e->g->node[id]; }

static const char *input(const NbEmit *e, NbNodeId id, int i) {
    return e->value[e->g->node[id].in[i]];
}

static const char *part(NbEmit *e, NbNodeId id, const char *what) {
    return nb_emit_name(e, "%s/%s", node_of(e, id)->name, what);
}

static void set(NbEmit *e, NbNodeId id, const char *value) { e->value[id] = value; }

static void emit_unary(NbEmit *e, NbNodeId id, const char *op) {
    set(e, id, nb_emit_unary(e, op, node_of(e, id)->name, input(e, id, 0)));
}

static void emit_binary(NbEmit *e, NbNodeId id, const char *op) {
    set(e, id, nb_emit_binary(e, op, node_of(e, id)->name, input(e, id, 0), input(e, id, 1)));
}

/* The caller has named the input; other types of parameters are none of a float network. */
static void emit_param(NbEmit *e, NbNodeId id) {
    const NbNode *node = node_of(e, id);
    if (node->param.dtype != NB_F32 || !node->param.data)
        (void)nb_emit_fail(e, NB_ERR_UNSUPPORTED,
                           "parameter '%s' is %s%s: format=onnx writes float networks", node->name,
                           nb_dtype_name(node->param.dtype),
                           node->param.data ? "" : " without values");
    else
        set(e, id, nb_emit_floats(e, node->name, &node->param.shape, nb_f32(&node->param)));
}

static void ints_of(const int *from, int n, int64_t *to) {
    for (int i = 0; i < n; i++)
        to[i] = from[i];
}

static void emit_conv(NbEmit *e, NbNodeId id) {
    const NbNode *node = node_of(e, id);
    const NbConvAttr *a = &node->attr.conv;
    int64_t kernel[2];
    int64_t stride[2];
    int64_t pad[4];
    int64_t dilation[2];
    ints_of(a->kernel, 2, kernel);
    ints_of(a->stride, 2, stride);
    ints_of(a->pad, 4, pad);
    ints_of(a->dilation, 2, dilation);
    NbEmitNode out = {
        .op = "Conv",
        .name = node->name,
        .n_in = node->n_in,
        .n_attrs = 5,
        .attr = {nb_attr_ints(e, "dilations", 2, dilation), nb_attr_int("group", a->groups),
                 nb_attr_ints(e, "kernel_shape", 2, kernel), nb_attr_ints(e, "pads", 4, pad),
                 nb_attr_ints(e, "strides", 2, stride)}};
    for (int i = 0; i < node->n_in; i++)
        out.in[i] = input(e, id, i);
    set(e, id, nb_emit_node(e, &out));
}

static void emit_batchnorm(NbEmit *e, NbNodeId id) {
    const NbNode *node = node_of(e, id);
    NbEmitNode out = {.op = "BatchNormalization",
                      .name = node->name,
                      .n_in = node->n_in,
                      .n_attrs = 1,
                      .attr = {nb_attr_float("epsilon", node->attr.batchnorm.eps)}};
    for (int i = 0; i < node->n_in; i++)
        out.in[i] = input(e, id, i);
    set(e, id, nb_emit_node(e, &out));
}

static void emit_relu(NbEmit *e, NbNodeId id) { emit_unary(e, id, "Relu"); }
static void emit_sigmoid(NbEmit *e, NbNodeId id) { emit_unary(e, id, "Sigmoid"); }

static void emit_leaky_relu(NbEmit *e, NbNodeId id) {
    const NbOnnxAttr attr = nb_attr_float("alpha", node_of(e, id)->attr.leaky_relu.slope);
    const char *const x = input(e, id, 0);
    set(e, id, nb_emit_list(e, "LeakyRelu", node_of(e, id)->name, 1, &x, &attr));
}

static void emit_silu(NbEmit *e, NbNodeId id) {
    const char *const x = input(e, id, 0);
    const char *const s = nb_emit_unary(e, "Sigmoid", part(e, id, "sigmoid"), x);
    set(e, id, nb_emit_binary(e, "Mul", node_of(e, id)->name, x, s));
}

static void emit_hardtanh(NbEmit *e, NbNodeId id) {
    const char *const in[3] = {input(e, id, 0), nb_emit_float(e, part(e, id, "min"), -1.0F),
                               nb_emit_float(e, part(e, id, "max"), 1.0F)};
    set(e, id, nb_emit_list(e, "Clip", node_of(e, id)->name, 3, in, NULL));
}

static void emit_scale(NbEmit *e, NbNodeId id) {
    const char *const factor =
        nb_emit_float(e, part(e, id, "factor"), node_of(e, id)->attr.scale.factor);
    set(e, id, nb_emit_binary(e, "Mul", node_of(e, id)->name, input(e, id, 0), factor));
}

/* From left to right, as the graph means it. */
static void emit_add(NbEmit *e, NbNodeId id) {
    const NbNode *node = node_of(e, id);
    const char *sum = input(e, id, 0);
    for (int i = 1; i < node->n_in; i++) {
        const bool last = i == node->n_in - 1;
        const char *const name = last ? node->name : nb_emit_name(e, "%s/%d", node->name, i);
        sum = nb_emit_binary(e, "Add", name, sum, input(e, id, i));
    }
    set(e, id, sum);
}

static void emit_sub(NbEmit *e, NbNodeId id) { emit_binary(e, id, "Sub"); }
static void emit_mul(NbEmit *e, NbNodeId id) { emit_binary(e, id, "Mul"); }
static void emit_div(NbEmit *e, NbNodeId id) { emit_binary(e, id, "Div"); }
static void emit_matmul(NbEmit *e, NbNodeId id) { emit_binary(e, id, "MatMul"); }

static void emit_softmax(NbEmit *e, NbNodeId id) {
    const NbOnnxAttr attr = nb_attr_int("axis", node_of(e, id)->attr.softmax.axis);
    const char *const x = input(e, id, 0);
    set(e, id, nb_emit_list(e, "Softmax", node_of(e, id)->name, 1, &x, &attr));
}

static void emit_maxpool(NbEmit *e, NbNodeId id) {
    const NbPoolAttr *a = &node_of(e, id)->attr.pool;
    int64_t kernel[2];
    int64_t stride[2];
    int64_t pad[4];
    ints_of(a->kernel, 2, kernel);
    ints_of(a->stride, 2, stride);
    ints_of(a->pad, 4, pad);
    const NbEmitNode out = {.op = "MaxPool",
                            .name = node_of(e, id)->name,
                            .n_in = 1,
                            .in = {input(e, id, 0)},
                            .n_attrs = 3,
                            .attr = {nb_attr_ints(e, "kernel_shape", 2, kernel),
                                     nb_attr_ints(e, "pads", 4, pad),
                                     nb_attr_ints(e, "strides", 2, stride)}};
    set(e, id, nb_emit_node(e, &out));
}

/* Scales are float32 whatever the values are. */
static void emit_upsample(NbEmit *e, NbNodeId id) {
    const NbNode *node = node_of(e, id);
    const float factor = (float)node->attr.upsample.factor;
    const NbShape shape = nb_shape(1, (const int64_t[]){4});
    float *const scales = NB_NEW(e->arena, float, 4);
    const int real = e->real;
    if (!scales) {
        (void)nb_emit_fail(e, NB_ERR_NOMEM, "out of memory for an ONNX graph");
        return;
    }
    memcpy(scales, (const float[]){1.0F, 1.0F, factor, factor}, 4 * sizeof *scales);
    e->real = NB_ONNX_FLOAT;
    const char *const list = nb_emit_floats(e, part(e, id, "scales"), &shape, scales);
    e->real = real;
    const NbEmitNode out = {.op = "Resize",
                            .name = node->name,
                            .n_in = 3,
                            .in = {input(e, id, 0), "", list},
                            .n_attrs = 3,
                            .attr = {nb_attr_text("coordinate_transformation_mode", "asymmetric"),
                                     nb_attr_text("mode", "nearest"),
                                     nb_attr_text("nearest_mode", "floor")}};
    set(e, id, nb_emit_node(e, &out));
}

static void emit_concat(NbEmit *e, NbNodeId id) {
    const NbNode *node = node_of(e, id);
    const char **const in = NB_NEW(e->arena, const char *, (size_t)node->n_in);
    if (!in) {
        (void)nb_emit_fail(e, NB_ERR_NOMEM, "out of memory for an ONNX graph");
        return;
    }
    for (int i = 0; i < node->n_in; i++)
        in[i] = input(e, id, i);
    set(e, id, nb_emit_concat(e, node->name, node->attr.concat.axis, (size_t)node->n_in, in));
}

static void emit_pad(NbEmit *e, NbNodeId id) {
    const int *p = node_of(e, id)->attr.pad.pad;
    const int64_t pads[8] = {0, 0, p[0], p[1], 0, 0, p[2], p[3]};
    const char *const list = nb_emit_ints(e, part(e, id, "pads"), 8, pads);
    set(e, id, nb_emit_binary(e, "Pad", node_of(e, id)->name, input(e, id, 0), list));
}

static void emit_slice(NbEmit *e, NbNodeId id) {
    const NbNode *node = node_of(e, id);
    set(e, id, nb_emit_slice(e, node->name, input(e, id, 0), &node->attr.slice));
}

static void emit_transpose(NbEmit *e, NbNodeId id) {
    const NbNode *node = node_of(e, id);
    set(e, id,
        nb_emit_transpose(e, node->name, input(e, id, 0), node->shape.rank,
                          node->attr.transpose.perm));
}

/* With a second input height and width are those of this size of picture. */
static void emit_reshape(NbEmit *e, NbNodeId id) {
    const NbNode *node = node_of(e, id);
    int64_t dim[NB_MAX_RANK] = {0};
    for (int i = 0; i < node->attr.reshape.n; i++)
        dim[i] = node->n_in == 2 && i >= 2 ? node->shape.dim[i] : node->attr.reshape.dim[i];
    set(e, id, nb_emit_reshape(e, node->name, input(e, id, 0), node->attr.reshape.n, dim));
}

/* Passes its input on: nothing is written. */
static void emit_detach(NbEmit *e, NbNodeId id) { set(e, id, input(e, id, 0)); }

static void emit_quant(NbEmit *e, NbNodeId id) {
    (void)nb_emit_fail(e, NB_ERR_UNSUPPORTED,
                       "format=onnx carries no quantizers, found '%s': export with quantize=none "
                       "for the float network (formats for quantizers, qcdq and qonnx, are not in "
                       "this build)",
                       node_of(e, id)->name);
}

/* INPUT is written by the exporter. */
static NbEmitRule *const table[NB_OP_COUNT] = {
    [NB_OP_PARAM] = emit_param,       [NB_OP_QUANT] = emit_quant,
    [NB_OP_CONV] = emit_conv,         [NB_OP_BATCHNORM] = emit_batchnorm,
    [NB_OP_RELU] = emit_relu,         [NB_OP_LEAKY_RELU] = emit_leaky_relu,
    [NB_OP_SILU] = emit_silu,         [NB_OP_SIGMOID] = emit_sigmoid,
    [NB_OP_HARDTANH] = emit_hardtanh, [NB_OP_SCALE] = emit_scale,
    [NB_OP_ADD] = emit_add,           [NB_OP_SUB] = emit_sub,
    [NB_OP_MUL] = emit_mul,           [NB_OP_DIV] = emit_div,
    [NB_OP_MATMUL] = emit_matmul,     [NB_OP_SOFTMAX] = emit_softmax,
    [NB_OP_MAXPOOL] = emit_maxpool,   [NB_OP_UPSAMPLE] = emit_upsample,
    [NB_OP_CONCAT] = emit_concat,     [NB_OP_PAD] = emit_pad,
    [NB_OP_SLICE] = emit_slice,       [NB_OP_TRANSPOSE] = emit_transpose,
    [NB_OP_RESHAPE] = emit_reshape,   [NB_OP_DETACH] = emit_detach,
    [NB_OP_MAP] = nb_emit_map,        [NB_OP_COMBINE] = nb_emit_combine,
    [NB_OP_WHERE] = nb_emit_where,    [NB_OP_REDUCE] = nb_emit_reduce,
    [NB_OP_POOL] = nb_emit_pool,      [NB_OP_CONV_TRANSPOSE] = nb_emit_conv_transpose,
    [NB_OP_RESIZE] = nb_emit_resize,  [NB_OP_GATHER] = nb_emit_gather,
    [NB_OP_EXPAND] = nb_emit_expand,  [NB_OP_PAD_ND] = nb_emit_pad_nd,
    [NB_OP_TOPK] = nb_emit_topk,      [NB_OP_CAST] = nb_emit_cast_op,
    [NB_OP_QUANTIZE] = emit_quant,
};

bool nb_onnx_has_operator(NbOp op) {
    return op == NB_OP_INPUT || (table[op] && table[op] != emit_quant);
}

void nb_emit_operator(NbEmit *e, NbNodeId id) {
    const NbNode *node = node_of(e, id);
    if (e->status != NB_OK)
        return;
    if (table[node->op])
        table[node->op](e, id);
    else
        (void)nb_emit_fail(e, NB_ERR_UNSUPPORTED,
                           "no ONNX for operator %s ('%s') in a float network",
                           nb_op_name(node->op), node->name);
}
