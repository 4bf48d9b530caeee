/* SPDX-License-Identifier: Apache-2.0
 *
 * Shapes, and everything a graph must hold. */
#include "base/size.h"
#include "graph/op.h"

#include <inttypes.h>
#include <string.h>

NbStatus nb_infer_param(const NbGraph *g, const NbNode *node, int i, NbDtype dtype, int64_t count,
                        NbError *err) {
    const NbNode *p = &g->node[node->in[i]];
    if (p->op != NB_OP_PARAM)
        return nb_fail(NB_ERR_ARGUMENT, err, "input %d is %s '%s', a PARAM expected", i,
                       nb_op_name(p->op), p->name);
    if (p->param.dtype != dtype)
        return nb_fail(NB_ERR_ARGUMENT, err, "parameter '%s' is %s, %s expected", p->name,
                       nb_dtype_name(p->param.dtype), nb_dtype_name(dtype));
    const int64_t found = (int64_t)nb_shape_count(&p->param.shape);
    if (count && found != count)
        return nb_fail(NB_ERR_ARGUMENT, err,
                       "parameter '%s' has %" PRId64 " elements, %" PRId64 " expected", p->name,
                       found, count);
    return NB_OK;
}

NbStatus nb_infer_rank4(const NbGraph *g, const NbNode *node, int i, NbError *err) {
    const NbShape *s = nb_in_shape(g, node, i);
    char text[96];
    if (s->rank != 4)
        return nb_fail(NB_ERR_ARGUMENT, err, "input %d ('%s') is %s, [N, C, H, W] expected", i,
                       g->node[node->in[i]].name, nb_shape_text(s, text, sizeof text));
    return NB_OK;
}

NbStatus nb_infer_numbers(const NbGraph *g, const NbNode *node, int i, NbError *err) {
    const NbNode *x = &g->node[node->in[i]];
    if (x->kind == NB_VALUE_SUM)
        return nb_fail(NB_ERR_ARGUMENT, err, "'%s' is integers without a scale", x->name);
    const NbNode *source = x->scale_source < 0 ? x : &g->node[x->scale_source];
    if (source->op == NB_OP_QUANT && source->attr.quant.per_channel)
        return nb_fail(NB_ERR_UNSUPPORTED, err, "'%s' has a scale for each channel, one expected",
                       x->name);
    return NB_OK;
}

NbStatus nb_infer_axis(const NbGraph *g, const NbNode *node, int axis, NbError *err) {
    const NbShape *x = nb_in_shape(g, node, 0);
    char text[96];
    if (axis < 0 || axis >= x->rank)
        return nb_fail(NB_ERR_ARGUMENT, err, "axis %d of %s, 0 to %d expected", axis,
                       nb_shape_text(x, text, sizeof text), x->rank - 1);
    return NB_OK;
}

NbStatus nb_infer_window(int64_t in, const int pads[2], int kernel, int stride, int dilation,
                         int64_t *out, NbError *err) {
    enum { MOST = 1 << 16 };
    if (kernel < 1 || stride < 1 || dilation < 1 || kernel > MOST || stride > MOST ||
        dilation > MOST)
        return nb_fail(NB_ERR_ARGUMENT, err,
                       "kernel %d, stride %d, dilation %d: 1 to %d expected for each", kernel,
                       stride, dilation, MOST);
    if (pads[0] < 0 || pads[1] < 0 || pads[0] > MOST || pads[1] > MOST)
        return nb_fail(NB_ERR_ARGUMENT, err, "padding %d and %d, 0 to %d expected", pads[0],
                       pads[1], MOST);
    const int64_t room = in + pads[0] + pads[1] - (int64_t)dilation * (kernel - 1) - 1;
    if (room < 0)
        return nb_fail(NB_ERR_ARGUMENT, err,
                       "a kernel of %d (dilation %d) does not fit into %" PRId64 " + %d pixels",
                       kernel, dilation, in, pads[0] + pads[1]);
    *out = room / stride + 1;
    return NB_OK;
}

static NB_FALLIBLE check_structure(const NbGraph *g, NbNodeId id, NbError *err) {
    const NbNode *node = &g->node[id];
    const NbOpDef *def = nb_op_def(node->op);
    if (node->n_in < def->min_in || (def->max_in != NB_ANY_INPUTS && node->n_in > def->max_in))
        return nb_fail(NB_ERR_ARGUMENT, err, "%d inputs found, %d to %d expected", node->n_in,
                       def->min_in, def->max_in);
    for (int i = 0; i < node->n_in; i++)
        if (node->in[i] < 0 || node->in[i] >= id)
            return nb_fail(NB_ERR_ARGUMENT, err, "input %d is node %d, an earlier one expected", i,
                           node->in[i]);
    const NbNodeId first = nb_graph_find(g, node->name);
    if (first != id)
        return nb_fail(NB_ERR_ARGUMENT, err, "node %d has the same name", first);
    return NB_OK;
}

static NB_FALLIBLE infer_node(NbGraph *g, NbNodeId id, const NbShape *picture, NbError *err) {
    NB_TRY(check_structure(g, id, err));
    nb_graph_set_kind(g, id);
    NbNode *node = &g->node[id];
    NbShape shape = *picture;
    NB_TRY(nb_op_def(node->op)->infer(g, node, &shape, err));
    size_t count = 0;
    size_t bytes = 0;
    char text[96];
    if (!nb_shape_count_checked(&shape, sizeof(float), &count, &bytes))
        return nb_fail(NB_ERR_ARGUMENT, err, "an output of %s is too large",
                       nb_shape_text(&shape, text, sizeof text));
    node->shape = shape;
    return NB_OK;
}

NbStatus nb_graph_infer(NbGraph *g, int64_t batch, int64_t height, int64_t width, NbError *err) {
    if (batch < 1 || height < 1 || width < 1)
        return nb_fail(NB_ERR_ARGUMENT, err,
                       "%" PRId64 " pictures of %" PRId64 "x%" PRId64 ": each at least 1 expected",
                       batch, height, width);
    const NbShape picture = nb_shape(4, (const int64_t[]){batch, 0, height, width});
    for (int id = 0; id < g->n_nodes; id++)
        NB_TRY_IN(infer_node(g, id, &picture, err), err, "node %d (%s '%s')", id,
                  nb_op_name(g->node[id].op), g->node[id].name);
    for (int i = 0; i < g->n_outputs; i++)
        if (g->output[i] < 0 || g->output[i] >= g->n_nodes ||
            g->node[g->output[i]].op == NB_OP_PARAM)
            return nb_fail(NB_ERR_ARGUMENT, err, "output %d is node %d, which computes nothing", i,
                           g->output[i]);
    return NB_OK;
}
