/* SPDX-License-Identifier: Apache-2.0
 *
 * Parameters and multiply-adds of a model: as it is trained, and as it is deployed. */
#include "model/model.h"

#include <string.h>

/* Products of a convolution: every weight for every output pixel. Of a matrix product: every output
 * from as many as a row is long. */
static int64_t macs_of(const NbGraph *g, const NbNode *node) {
    if (node->op == NB_OP_MATMUL) {
        const NbShape *a = &g->node[node->in[0]].shape;
        return (int64_t)nb_shape_count(&node->shape) * a->dim[a->rank - 1];
    }
    if (node->op != NB_OP_CONV)
        return 0;
    const NbShape *w = &g->node[node->in[1]].shape;
    return node->shape.dim[0] * node->shape.dim[2] * node->shape.dim[3] *
           (int64_t)nb_shape_count(w);
}

static bool is_counted(const NbNode *node) {
    return node->op == NB_OP_PARAM && node->attr.param.role != NB_PARAM_MEAN &&
           node->attr.param.role != NB_PARAM_VAR && node->attr.param.role != NB_PARAM_CONST;
}

static bool is_quantizer(const NbNode *node) { return node->op == NB_OP_QUANT; }

/* The convolution whose sums, normalized or not, are the value of `id`; quantizers are seen
 * through. -1: none. */
static NbNodeId conv_behind(const NbGraph *g, NbNodeId id) {
    while (is_quantizer(&g->node[id]) || g->node[id].op == NB_OP_BATCHNORM)
        id = g->node[id].in[0];
    return g->node[id].op == NB_OP_CONV ? id : -1;
}

static bool is_depthwise(const NbGraph *g, const NbNode *conv) {
    return conv->attr.conv.groups > 1 && g->node[conv->in[1]].shape.dim[1] == 1;
}

/* Of two depthwise convolutions of one value that are added the smaller becomes part of the other
 * (RepVGGDW); -1 when the sum is another one. */
static NbNodeId merged_by(const NbGraph *g, const NbNode *add) {
    if (add->op != NB_OP_ADD || add->n_in != 2)
        return -1;
    const NbNodeId a = conv_behind(g, add->in[0]);
    const NbNodeId b = conv_behind(g, add->in[1]);
    if (a < 0 || b < 0 || a == b || g->node[a].in[0] != g->node[b].in[0] ||
        !is_depthwise(g, &g->node[a]) || !is_depthwise(g, &g->node[b]))
        return -1;
    return g->node[a].attr.conv.kernel[0] < g->node[b].attr.conv.kernel[0] ? a : b;
}

static bool is_normed(const NbGraph *g, NbNodeId conv) {
    for (NbNodeId id = conv + 1; id < g->n_nodes; id++)
        if (g->node[id].op == NB_OP_BATCHNORM && g->node[id].in[0] == conv)
            return true;
    return false;
}

/* What is left for inference: only what its outputs need, norms folded into biases. */
static void count_deployed(const NbModel *m, const NbGraph *g, bool *used, bool *merged,
                           NbModelCost *out) {
    const int first = nb_head_first(&m->head);
    for (int i = first; i < first + m->head.levels && i < g->n_outputs; i++)
        used[g->output[i]] = true;
    for (NbNodeId id = g->n_nodes - 1; id >= 0; id--)
        for (int i = 0; used[id] && i < g->node[id].n_in; i++)
            used[g->node[id].in[i]] = true;
    for (NbNodeId id = 0; id < g->n_nodes; id++) {
        const NbNodeId gone = used[id] ? merged_by(g, &g->node[id]) : -1;
        if (gone >= 0)
            merged[gone] = true;
    }
    for (NbNodeId id = 0; id < g->n_nodes; id++) {
        const NbNode *node = &g->node[id];
        if (!used[id] || merged[id])
            continue;
        out->deploy_macs += macs_of(g, node);
        if (node->op == NB_OP_CONV) {
            const NbShape *w = &g->node[node->in[1]].shape;
            const bool bias = node->n_in == 3 || is_normed(g, id);
            out->deploy_params += (int64_t)nb_shape_count(w) + (bias ? w->dim[0] : 0);
        } else if (is_counted(node) && node->attr.param.role == NB_PARAM_QUANT) {
            out->deploy_params += (int64_t)nb_tensor_count(&node->param);
        }
    }
}

static NB_FALLIBLE count(const NbModel *m, const NbGraph *g, NbArena *scratch, NbModelCost *out,
                         NbError *err) {
    bool *flags = NB_NEW(scratch, bool, 2 * (size_t)g->n_nodes);
    if (!flags)
        return nb_fail_memory(err, "cost");
    /* the peers count the bin numbers of a distribution, a fixed convolution of theirs */
    out->params = out->deploy_params = m->head.reg_max;
    for (NbNodeId id = 0; id < g->n_nodes; id++) {
        const NbNode *node = &g->node[id];
        out->macs += macs_of(g, node);
        out->params += is_counted(node) ? (int64_t)nb_tensor_count(&node->param) : 0;
    }
    count_deployed(m, g, flags, flags + g->n_nodes, out);
    return NB_OK;
}

NbStatus nb_model_cost(const NbModel *m, int height, int width, NbModelCost *out, NbError *err) {
    NbArena scratch = {0};
    NbGraph g = m->graph;
    *out = (NbModelCost){0};
    g.node = NB_NEW(&scratch, NbNode, (size_t)g.n_nodes); /* shapes of the model stay as they are */
    if (!g.node)
        return nb_fail_memory(err, "cost");
    memcpy(g.node, m->graph.node, (size_t)g.n_nodes * sizeof *g.node);
    NbStatus status = nb_graph_infer(&g, 1, height, width, err);
    if (status == NB_OK)
        status = count(m, &g, &scratch, out, err);
    nb_arena_release(&scratch);
    return status;
}
