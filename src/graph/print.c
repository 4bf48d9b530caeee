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

static void print_quant(const NbQuantSpec *spec, NbText *out) {
    static const char *const kinds[] = {
        [NB_QUANT_INT] = "", [NB_QUANT_BINARY] = "binary ", [NB_QUANT_TERNARY] = "ternary "};
    static const char *const restricts[] = {[NB_RESTRICT_FP] = "",
                                            [NB_RESTRICT_LOG_FP] = " log",
                                            [NB_RESTRICT_POT] = " pot",
                                            [NB_RESTRICT_STEP] = " step"};
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
}

static void print_window(const int kernel[2], const int stride[2], const int pad[4], NbText *out) {
    nb_text_printf(out, " %dx%d stride %dx%d pad %d,%d,%d,%d", kernel[0], kernel[1], stride[0],
                   stride[1], pad[0], pad[1], pad[2], pad[3]);
}

static void print_conv(const NbConvAttr *a, NbText *out) {
    print_window(a->kernel, a->stride, a->pad, out);
    if (a->dilation[0] != 1 || a->dilation[1] != 1)
        nb_text_printf(out, " dilation %dx%d", a->dilation[0], a->dilation[1]);
    if (a->groups != 1)
        nb_text_printf(out, " groups %d", a->groups);
}

static void print_slice(const NbSliceAttr *a, NbText *out) {
    nb_text_printf(out, " axis %d %" PRId64 ":", a->axis, a->start);
    if (a->stop != NB_SLICE_END)
        nb_text_printf(out, "%" PRId64, a->stop);
    nb_text_printf(out, ":%" PRId64, a->step);
}

static void print_perm(const NbNode *node, NbText *out) {
    for (int d = 0; d < node->shape.rank; d++)
        nb_text_printf(out, "%s%d", d ? "," : " perm ", node->attr.transpose.perm[d]);
}

static void print_reshape(const NbReshapeAttr *a, NbText *out) {
    for (int d = 0; d < a->n && d < NB_MAX_RANK; d++)
        nb_text_printf(out, "%s%" PRId64, d ? "," : " to ", a->dim[d]);
}

static void print_attr(const NbNode *node, NbText *out) {
    const NbAttr *a = &node->attr;
    switch (node->op) {
    case NB_OP_INPUT: nb_text_printf(out, " scale %.9g", (double)a->input.scale); break;
    case NB_OP_PARAM:
        nb_text_printf(out, " %s %s%s", nb_dtype_name(node->param.dtype), role_name(a->param.role),
                       a->param.frozen ? " frozen" : "");
        break;
    case NB_OP_QUANT: print_quant(&a->quant, out); break;
    case NB_OP_CONV: print_conv(&a->conv, out); break;
    case NB_OP_BATCHNORM:
        nb_text_printf(out, " eps %.9g momentum %.9g", (double)a->batchnorm.eps,
                       (double)a->batchnorm.momentum);
        break;
    case NB_OP_LEAKY_RELU: nb_text_printf(out, " slope %.9g", (double)a->leaky_relu.slope); break;
    case NB_OP_SCALE: nb_text_printf(out, " factor %.9g", (double)a->scale.factor); break;
    case NB_OP_MAXPOOL: print_window(a->pool.kernel, a->pool.stride, a->pool.pad, out); break;
    case NB_OP_UPSAMPLE: nb_text_printf(out, " factor %d", a->upsample.factor); break;
    case NB_OP_CONCAT: nb_text_printf(out, " axis %d", a->concat.axis); break;
    case NB_OP_PAD:
        nb_text_printf(out, " pad %d,%d,%d,%d", a->pad.pad[0], a->pad.pad[1], a->pad.pad[2],
                       a->pad.pad[3]);
        break;
    case NB_OP_SOFTMAX: nb_text_printf(out, " axis %d", a->softmax.axis); break;
    case NB_OP_SLICE: print_slice(&a->slice, out); break;
    case NB_OP_TRANSPOSE: print_perm(node, out); break;
    case NB_OP_RESHAPE: print_reshape(&a->reshape, out); break;
    case NB_OP_THRESHOLD: nb_text_printf(out, " scale %.9g", (double)a->threshold.scale); break;
    case NB_OP_RELU:
    case NB_OP_SILU:
    case NB_OP_SIGMOID:
    case NB_OP_HARDTANH:
    case NB_OP_ADD:
    case NB_OP_SUB:
    case NB_OP_MUL:
    case NB_OP_DIV:
    case NB_OP_MATMUL:
    case NB_OP_DETACH:
    case NB_OP_MAP:
    case NB_OP_COMBINE:
    case NB_OP_WHERE:
    case NB_OP_REDUCE:
    case NB_OP_POOL:
    case NB_OP_CONV_TRANSPOSE:
    case NB_OP_RESIZE:
    case NB_OP_GATHER:
    case NB_OP_EXPAND:
    case NB_OP_PAD_ND:
    case NB_OP_TOPK:
    case NB_OP_NMS:
    case NB_OP_CAST:
    case NB_OP_QUANTIZE:
    case NB_OP_DEQUANT:
    case NB_OP_COUNT: break;
    }
}

static void print_node(const NbGraph *g, NbNodeId id, NbText *out) {
    const NbNode *node = &g->node[id];
    char shape[96];
    nb_text_printf(out, "%d %s %s", id, nb_op_name(node->op), node->name);
    for (int i = 0; i < node->n_in; i++)
        nb_text_printf(out, "%s%d", i ? ", " : " (", node->in[i]);
    if (node->n_in)
        nb_text_put(out, ")", 1);
    print_attr(node, out);
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
