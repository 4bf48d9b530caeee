/* SPDX-License-Identifier: Apache-2.0 */
#include "lower/ptq/layers.h"

#include <math.h>
#include <string.h>

static NbNodeId weight_of(const NbGraph *g, const NbNode *conv) {
    const NbNode *const w = &g->node[conv->in[1]];
    return w->op == NB_OP_QUANT ? w->in[0] : conv->in[1];
}

/* The one node that reads this one, when it is a BATCHNORM; -1 else. */
static NbNodeId norm_behind(const NbGraph *g, NbNodeId id) {
    NbNodeId found = -1;
    if (nb_graph_readers(g, id) != 1)
        return -1;
    for (NbNodeId at = id + 1; at < g->n_nodes; at++)
        if (g->node[at].op == NB_OP_BATCHNORM && g->node[at].in[0] == id)
            found = at;
    return found;
}

static void fill_layer(const NbGraph *g, NbNodeId id, NbPtqLayer *l) {
    const NbNode *const conv = &g->node[id];
    const NbNode *const w = &g->node[conv->in[1]];
    const NbNodeId norm = norm_behind(g, id);
    const NbShape *const shape = &g->node[weight_of(g, conv)].param.shape;
    *l = (NbPtqLayer){.conv = id,
                      .x = conv->in[0],
                      .weight = weight_of(g, conv),
                      .quant = -1,
                      .step = -1,
                      .bias = conv->n_in == 3 ? conv->in[2]
                              : norm >= 0     ? g->node[norm].in[2]
                                              : -1,
                      .rows = (size_t)shape->dim[0],
                      .groups = (size_t)conv->attr.conv.groups,
                      .columns = (size_t)(shape->dim[1] * shape->dim[2] * shape->dim[3])};
    if (w->op == NB_OP_QUANT && w->n_in == 2 && w->attr.quant.restrict_to == NB_RESTRICT_STEP) {
        l->quant = conv->in[1];
        l->step = w->in[1];
    }
}

NbStatus nb_ptq_layers(const NbGraph *g, NbArena *arena, NbPtqLayer **out, size_t *n,
                       NbError *err) {
    const size_t nodes = (size_t)g->n_nodes;
    bool *const live = NB_NEW(arena, bool, nodes);
    int *const depth = NB_NEW(arena, int, nodes);
    *out = NB_NEW(arena, NbPtqLayer, nodes);
    *n = 0;
    if (!live || !depth || !*out)
        return nb_fail_memory(err, "layers");
    for (int i = 0; i < g->n_outputs; i++)
        live[g->output[i]] = true;
    for (NbNodeId id = g->n_nodes - 1; id >= 0; id--)
        for (int i = 0; live[id] && i < g->node[id].n_in; i++)
            live[g->node[id].in[i]] = true;
    for (NbNodeId id = 0; id < g->n_nodes; id++) {
        const NbNode *const node = &g->node[id];
        for (int i = 0; i < node->n_in; i++)
            depth[id] = depth[id] > depth[node->in[i]] ? depth[id] : depth[node->in[i]];
        if (node->op != NB_OP_CONV || g->node[weight_of(g, node)].op != NB_OP_PARAM)
            continue;
        fill_layer(g, id, &(*out)[*n]);
        (*out)[*n].live = live[id];
        (*out)[(*n)++].depth = depth[id]++;
    }
    return NB_OK;
}

/* ---- folding ---- */

static float *data_of(NbGraph *g, NbNodeId id) { return nb_f32(&g->node[id].param); }

static void fold_norm(NbGraph *g, NbNodeId norm) {
    const NbNode *const node = &g->node[norm];
    NbNode *const conv = &g->node[node->in[0]];
    if (conv->op != NB_OP_CONV || norm_behind(g, node->in[0]) != norm)
        return;
    NbTensor *const w = &g->node[weight_of(g, conv)].param;
    float *const gamma = data_of(g, node->in[1]);
    float *const beta = data_of(g, node->in[2]);
    float *const mean = data_of(g, node->in[3]);
    float *const var = data_of(g, node->in[4]);
    const size_t rows = (size_t)w->shape.dim[0];
    const size_t columns = nb_tensor_count(w) / rows;
    float *const bias = conv->n_in == 3 ? data_of(g, conv->in[2]) : NULL;
    for (size_t c = 0; c < rows; c++) {
        const float eps = node->attr.batchnorm.eps;
        const float factor = gamma[c] / sqrtf(var[c] + eps);
        for (size_t i = 0; factor != 1.0F && i < columns; i++)
            nb_f32(w)[c * columns + i] *= factor;
        const float moved = ((bias ? bias[c] : 0.0F) - mean[c]) * factor;
        beta[c] += moved;
        if (bias)
            bias[c] = 0.0F;
        mean[c] = 0.0F;
        var[c] = 1.0F - eps;
        gamma[c] = sqrtf(var[c] + eps);
    }
}

/* The convolution behind one side of an addition, through its norm; -1: another node. */
static NbNodeId branch_of(const NbGraph *g, NbNodeId id) {
    if (nb_graph_readers(g, id) != 1 || g->node[id].op != NB_OP_BATCHNORM)
        return -1;
    const NbNodeId conv = g->node[id].in[0];
    return g->node[conv].op == NB_OP_CONV && norm_behind(g, conv) == id ? conv : -1;
}

static bool fits(const NbConvAttr *a, const NbConvAttr *b) {
    for (int i = 0; i < 2; i++) {
        const int before = a->pad[i] - b->pad[i];
        const int after = a->pad[i + 2] - b->pad[i + 2];
        if (a->stride[i] != b->stride[i] || a->dilation[i] != 1 || b->dilation[i] != 1 ||
            before < 0 || after < 0 || before + b->kernel[i] + after != a->kernel[i])
            return false;
    }
    return a->groups == b->groups;
}

/* The kernel of b is added to that of a and becomes 0; so do the betas of their norms. */
static void merge(NbGraph *g, NbNodeId a, NbNodeId b, NbNodeId beta_a, NbNodeId beta_b) {
    const NbConvAttr *const large = &g->node[a].attr.conv;
    const NbConvAttr *const small = &g->node[b].attr.conv;
    NbTensor *const to = &g->node[weight_of(g, &g->node[a])].param;
    NbTensor *const from = &g->node[weight_of(g, &g->node[b])].param;
    const size_t taps[2] = {(size_t)large->kernel[0] * (size_t)large->kernel[1],
                            (size_t)small->kernel[0] * (size_t)small->kernel[1]};
    const int top = large->pad[0] - small->pad[0];
    const int left = large->pad[1] - small->pad[1];
    const size_t planes = nb_tensor_count(to) / taps[0];
    for (size_t p = 0; p < planes; p++)
        for (int y = 0; y < small->kernel[0]; y++)
            for (int x = 0; x < small->kernel[1]; x++)
                nb_f32(to)[p * taps[0] + (size_t)((y + top) * large->kernel[1] + x + left)] +=
                    nb_f32(from)[p * taps[1] + (size_t)(y * small->kernel[1] + x)];
    memset(from->data, 0, nb_tensor_count(from) * sizeof(float));
    for (int64_t c = 0; c < to->shape.dim[0]; c++) {
        data_of(g, beta_a)[c] += data_of(g, beta_b)[c];
        data_of(g, beta_b)[c] = 0.0F;
    }
}

static void merge_branches(NbGraph *g, const NbNode *add) {
    const NbNodeId side[2] = {add->in[0], add->in[1]};
    const NbNodeId a = branch_of(g, side[0]);
    const NbNodeId b = branch_of(g, side[1]);
    if (add->n_in != 2 || a < 0 || b < 0 || a == b || g->node[a].in[0] != g->node[b].in[0])
        return;
    const NbShape *const v = &g->node[weight_of(g, &g->node[a])].param.shape;
    const NbShape *const w = &g->node[weight_of(g, &g->node[b])].param.shape;
    if (v->dim[0] != w->dim[0] || v->dim[1] != w->dim[1])
        return;
    if (fits(&g->node[a].attr.conv, &g->node[b].attr.conv))
        merge(g, a, b, g->node[side[0]].in[2], g->node[side[1]].in[2]);
    else if (fits(&g->node[b].attr.conv, &g->node[a].attr.conv))
        merge(g, b, a, g->node[side[1]].in[2], g->node[side[0]].in[2]);
}

void nb_ptq_fold(NbGraph *g) {
    for (NbNodeId id = 0; id < g->n_nodes; id++)
        if (g->node[id].op == NB_OP_BATCHNORM)
            fold_norm(g, id);
    for (NbNodeId id = 0; id < g->n_nodes; id++)
        if (g->node[id].op == NB_OP_ADD)
            merge_branches(g, &g->node[id]);
}
