/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/print.h"

#include <inttypes.h>

static const char *role_name(NbParamRole role) {
    static const char *const names[] = {
        [NB_PARAM_WEIGHT] = "weight", [NB_PARAM_BIAS] = "bias",   [NB_PARAM_GAMMA] = "gamma",
        [NB_PARAM_BETA] = "beta",     [NB_PARAM_MEAN] = "mean",   [NB_PARAM_VAR] = "var",
        [NB_PARAM_QUANT] = "quant",   [NB_PARAM_CONST] = "const",
    };
    return names[role];
}

static void print_grid(NbGrid grid, NbText *out) {
    nb_text_printf(out, "%s%d%s", grid.is_signed ? "int" : "uint", grid.bits,
                   grid.narrow ? " narrow" : "");
}

static void print_quant(const NbNode *node, NbText *out) {
    static const char *const kinds[] = {
        [NB_QUANT_INT] = "", [NB_QUANT_BINARY] = "binary ", [NB_QUANT_TERNARY] = "ternary "};
    static const char *const restricts[] = {[NB_RESTRICT_FP] = "",
                                            [NB_RESTRICT_LOG_FP] = " log",
                                            [NB_RESTRICT_POT] = " pot",
                                            [NB_RESTRICT_STEP] = " step"};
    const NbQuantSpec *const spec = &node->attr.quant;
    nb_text_printf(out, " %s", kinds[spec->kind]);
    print_grid(spec->grid, out);
    if (spec->scale_from == NB_SCALE_CONST)
        nb_text_printf(out, " threshold %.9g", (double)spec->init);
    else
        nb_text_printf(out, "%s",
                       spec->scale_from == NB_SCALE_PARAMETER ? " learned"
                       : spec->scale_from == NB_SCALE_MEAN    ? " mean"
                                                              : " max");
    nb_text_printf(out, "%s%s", restricts[spec->restrict_to],
                   spec->per_channel ? " per channel" : "");
    if (spec->zero != 0.0F)
        nb_text_printf(out, " zero %g", (double)spec->zero);
}

static void print_window(const int kernel[2], const int stride[2], const int pad[4], NbText *out) {
    nb_text_printf(out, " %dx%d stride %dx%d pad %d,%d,%d,%d", kernel[0], kernel[1], stride[0],
                   stride[1], pad[0], pad[1], pad[2], pad[3]);
}

static void print_conv(const NbNode *node, NbText *out) {
    const NbConvAttr *const a = &node->attr.conv;
    print_window(a->kernel, a->stride, a->pad, out);
    if (a->dilation[0] != 1 || a->dilation[1] != 1)
        nb_text_printf(out, " dilation %dx%d", a->dilation[0], a->dilation[1]);
    if (a->groups != 1)
        nb_text_printf(out, " groups %d", a->groups);
}

static void print_slice(const NbNode *node, NbText *out) {
    const NbSliceAttr *const a = &node->attr.slice;
    nb_text_printf(out, " axis %d %" PRId64 ":", a->axis, a->start);
    if (a->stop != NB_SLICE_END)
        nb_text_printf(out, "%" PRId64, a->stop);
    nb_text_printf(out, ":%" PRId64, a->step);
}

static void print_perm(const NbNode *node, NbText *out) {
    for (int d = 0; d < node->shape.rank; d++)
        nb_text_printf(out, "%s%d", d ? "," : " perm ", node->attr.transpose.perm[d]);
}

static void print_reshape(const NbNode *node, NbText *out) {
    const NbReshapeAttr *const a = &node->attr.reshape;
    for (int d = 0; d < a->n && d < NB_MAX_RANK; d++)
        nb_text_printf(out, "%s%" PRId64, d ? "," : " to ", a->dim[d]);
}

static void print_input(const NbNode *node, NbText *out) {
    nb_text_printf(out, " scale %.9g", (double)node->attr.input.scale);
}

static void print_param(const NbNode *node, NbText *out) {
    nb_text_printf(out, " %s %s%s", nb_dtype_name(node->param.dtype),
                   role_name(node->attr.param.role), node->attr.param.frozen ? " frozen" : "");
}

static void print_norm(const NbNode *node, NbText *out) {
    nb_text_printf(out, " eps %.9g momentum %.9g", (double)node->attr.batchnorm.eps,
                   (double)node->attr.batchnorm.momentum);
}

static void print_slope(const NbNode *node, NbText *out) {
    nb_text_printf(out, " slope %.9g", (double)node->attr.leaky_relu.slope);
}

static void print_factor(const NbNode *node, NbText *out) {
    nb_text_printf(out, " factor %.9g", (double)node->attr.scale.factor);
}

static void print_pool(const NbNode *node, NbText *out) {
    print_window(node->attr.pool.kernel, node->attr.pool.stride, node->attr.pool.pad, out);
}

static void print_upsample(const NbNode *node, NbText *out) {
    nb_text_printf(out, " factor %d", node->attr.upsample.factor);
}

static void print_concat(const NbNode *node, NbText *out) {
    nb_text_printf(out, " axis %d", node->attr.concat.axis);
}

static void print_softmax(const NbNode *node, NbText *out) {
    nb_text_printf(out, " axis %d", node->attr.softmax.axis);
}

static void print_pad(const NbNode *node, NbText *out) {
    const int *const pad = node->attr.pad.pad;
    nb_text_printf(out, " pad %d,%d,%d,%d", pad[0], pad[1], pad[2], pad[3]);
}

static void print_threshold(const NbNode *node, NbText *out) {
    nb_text_printf(out, " scale %.9g", (double)node->attr.threshold.scale);
}

/* Attributes; operators that are not here show none. */
static void (*const print_attr[NB_OP_COUNT])(const NbNode *node, NbText *out) = {
    [NB_OP_INPUT] = print_input,       [NB_OP_PARAM] = print_param,
    [NB_OP_QUANT] = print_quant,       [NB_OP_CONV] = print_conv,
    [NB_OP_BATCHNORM] = print_norm,    [NB_OP_LEAKY_RELU] = print_slope,
    [NB_OP_SCALE] = print_factor,      [NB_OP_MAXPOOL] = print_pool,
    [NB_OP_UPSAMPLE] = print_upsample, [NB_OP_CONCAT] = print_concat,
    [NB_OP_PAD] = print_pad,           [NB_OP_SOFTMAX] = print_softmax,
    [NB_OP_SLICE] = print_slice,       [NB_OP_TRANSPOSE] = print_perm,
    [NB_OP_RESHAPE] = print_reshape,   [NB_OP_THRESHOLD] = print_threshold,
};

static void print_node(const NbGraph *g, NbNodeId id, NbText *out) {
    const NbNode *node = &g->node[id];
    char shape[96];
    nb_text_printf(out, "%d %s %s", id, nb_op_name(node->op), node->name);
    for (int i = 0; i < node->n_in; i++)
        nb_text_printf(out, "%s%d", i ? ", " : " (", node->in[i]);
    if (node->n_in)
        nb_text_put(out, ")", 1);
    if (print_attr[node->op])
        print_attr[node->op](node, out);
    nb_text_printf(out, " -> %s", nb_shape_text(&node->shape, shape, sizeof shape));
    if (node->kind == NB_VALUE_CODED) {
        nb_text_put(out, " ", 1);
        print_grid(node->grid, out);
    }
    nb_text_printf(out, "%s\n", node->kind == NB_VALUE_SUM ? " sum" : "");
}

void nb_graph_print(const NbGraph *g, NbText *out) {
    for (NbNodeId id = 0; id < g->n_nodes; id++)
        print_node(g, id, out);
    nb_text_printf(out, "outputs");
    for (int i = 0; i < g->n_outputs; i++)
        nb_text_printf(out, " %d", g->output[i]);
    nb_text_put(out, "\n", 1);
}
