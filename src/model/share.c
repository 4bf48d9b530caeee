/* SPDX-License-Identifier: Apache-2.0
 *
 * One quantizer for everything that is added or concatenated, and the removal of what is left over.
 */
#include "model/build.h"

#include <string.h>

/* The learned value behind a coded node, -1 when there is none. */
static NbNodeId value_of(const NbGraph *g, NbNodeId id) {
    const NbNodeId source = g->node[id].scale_source;
    if (source < 0 || g->node[source].op != NB_OP_QUANT || g->node[source].n_in != 2)
        return -1;
    return g->node[source].in[1];
}

static NbGrid widest(NbGrid a, NbGrid b) {
    const bool is_signed = a.is_signed || b.is_signed;
    return (NbGrid){
        .bits = a.bits > b.bits ? a.bits : b.bits, .is_signed = is_signed, .narrow = is_signed};
}

static bool one_of(NbNodeId id, int n, const NbNodeId *list) {
    for (int i = 0; i < n; i++)
        if (list[i] == id)
            return true;
    return false;
}

enum { MAX_SHARED = 64 };

NbStatus nb_build_share(NbBuild *b, int n, const NbTap *in, NbError *err) {
    NbGraph *g = b->g;
    NbNodeId value[MAX_SHARED];
    NbNodeId first = -1;
    if (n > MAX_SHARED)
        return nb_fail(NB_ERR_FORMAT, err, "more than %d values that share one scale", MAX_SHARED);
    for (int i = 0; i < n; i++) {
        value[i] = value_of(g, in[i].node);
        if (value[i] < 0 || b->compat) /* the peer's quantizers stay apart */
            return NB_OK;
        first = first < 0 || value[i] < first ? value[i] : first;
    }
    NbQuantSpec spec = {0};
    bool any = false;
    for (NbNodeId id = 0; id < g->n_nodes; id++) {
        const NbNode *node = &g->node[id];
        if (node->op != NB_OP_QUANT || node->n_in != 2 || !one_of(node->in[1], n, value))
            continue;
        const NbGrid grid = any ? widest(spec.grid, node->attr.quant.grid) : node->attr.quant.grid;
        spec = node->attr.quant;
        spec.grid = grid;
        any = true;
    }
    for (NbNodeId id = 0; id < g->n_nodes; id++) {
        NbNode *node = &g->node[id];
        if (node->op == NB_OP_QUANT && node->n_in == 2 && one_of(node->in[1], n, value)) {
            node->in[1] = first;
            node->attr.quant = spec;
        }
        nb_graph_set_kind(g, id);
    }
    return NB_OK;
}

NbStatus nb_build_sweep(NbGraph *g, bool (*keep)(const NbNode *node), NbError *err) {
    bool *used = NB_NEW(g->arena, bool, (size_t)g->n_nodes);
    NbNodeId *moved = NB_NEW(g->arena, NbNodeId, (size_t)g->n_nodes);
    if (!used || !moved)
        return nb_fail_memory(err, "graph");
    for (int i = 0; i < g->n_outputs; i++)
        used[g->output[i]] = true;
    for (NbNodeId id = g->n_nodes - 1; id >= 0; id--) {
        const NbNode *node = &g->node[id];
        used[id] = used[id] || (keep && node->op == NB_OP_PARAM && keep(node));
        for (int i = 0; used[id] && i < node->n_in; i++)
            used[node->in[i]] = true;
    }
    int n = 0;
    for (NbNodeId id = 0; id < g->n_nodes; id++) {
        if (!used[id])
            continue;
        moved[id] = n;
        g->node[n] = g->node[id];
        for (int i = 0; i < g->node[n].n_in; i++)
            g->node[n].in[i] = moved[g->node[n].in[i]];
        n++;
    }
    g->n_nodes = n;
    for (int i = 0; i < g->n_outputs; i++)
        g->output[i] = moved[g->output[i]];
    for (NbNodeId id = 0; id < n; id++)
        nb_graph_set_kind(g, id);
    return NB_OK;
}
