/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/graph.h"

#include "base/size.h"
#include "graph/op.h"

#include <string.h>

enum { FIRST_CAPACITY = 64, MAX_NODES = 1 << 20 };

void nb_graph_init(NbGraph *g, NbArena *arena) { *g = (NbGraph){.arena = arena}; }

static NB_FALLIBLE grow(NbGraph *g, NbError *err) {
    if (g->n_nodes < g->capacity)
        return NB_OK;
    if (g->capacity >= MAX_NODES)
        return nb_fail(NB_ERR_FORMAT, err, "more than %d nodes in a graph", MAX_NODES);
    const int capacity = g->capacity ? g->capacity * 2 : FIRST_CAPACITY;
    NbNode *node = NB_NEW(g->arena, NbNode, (size_t)capacity);
    if (!node)
        return nb_fail_memory(err, "graph nodes");
    if (g->n_nodes)
        memcpy(node, g->node, (size_t)g->n_nodes * sizeof *node);
    g->node = node;
    g->capacity = capacity;
    return NB_OK;
}

static NB_FALLIBLE check_new(const NbGraph *g, NbOp op, const char *name, int n_in,
                             const NbNodeId *in, NbError *err) {
    if ((int)op < 0 || op >= NB_OP_COUNT)
        return nb_fail(NB_ERR_ARGUMENT, err, "'%s': no operator has the number %d", name, (int)op);
    if (nb_graph_find(g, name) >= 0)
        return nb_fail(NB_ERR_ARGUMENT, err, "two nodes of the graph are named '%s'", name);
    const NbOpDef *def = nb_op_def(op);
    if (n_in < def->min_in || (def->max_in != NB_ANY_INPUTS && n_in > def->max_in))
        return nb_fail(NB_ERR_ARGUMENT, err, "%s '%s': %d to %d inputs expected, found %d",
                       def->name, name, def->min_in, def->max_in, n_in);
    for (int i = 0; i < n_in; i++)
        if (in[i] < 0 || in[i] >= g->n_nodes)
            return nb_fail(NB_ERR_ARGUMENT, err,
                           "%s '%s': input %d is node %d, an earlier node (0 to %d) expected",
                           def->name, name, i, in[i], g->n_nodes - 1);
    return NB_OK;
}

NbStatus nb_graph_add(NbGraph *g, NbOp op, const char *name, int n_in, const NbNodeId *in,
                      const NbAttr *attr, NbNodeId *id, NbError *err) {
    NB_TRY(check_new(g, op, name, n_in, in, err));
    NB_TRY(grow(g, err));
    NbNode node = {.op = op, .layer = -1, .n_in = n_in};
    node.name = nb_arena_string(g->arena, name);
    node.in = NB_NEW(g->arena, NbNodeId, (size_t)n_in);
    if (!node.name || !node.in)
        return nb_fail_memory(err, name);
    if (n_in)
        memcpy(node.in, in, (size_t)n_in * sizeof *in);
    if (attr)
        node.attr = *attr;
    g->node[g->n_nodes] = node;
    *id = g->n_nodes++;
    nb_graph_set_kind(g, *id);
    return NB_OK;
}

NbStatus nb_graph_add_param(NbGraph *g, const char *name, NbParamRole role, NbDtype dtype,
                            const NbShape *shape, NbNodeId *id, NbError *err) {
    NbTensor tensor = {.dtype = dtype, .shape = *shape};
    NB_TRY_IN(nb_tensor_new(g->arena, dtype, shape, &tensor, err), err, "parameter '%s'", name);
    const NbAttr attr = {.param = {.role = role}};
    NB_TRY(nb_graph_add(g, NB_OP_PARAM, name, 0, NULL, &attr, id, err));
    g->node[*id].param = tensor;
    g->node[*id].shape = *shape;
    nb_graph_set_kind(g, *id);
    return NB_OK;
}

NbStatus nb_graph_set_outputs(NbGraph *g, int n, const NbNodeId *output, NbError *err) {
    for (int i = 0; i < n; i++) {
        if (output[i] < 0 || output[i] >= g->n_nodes)
            return nb_fail(NB_ERR_ARGUMENT, err, "output %d is node %d of a graph of %d nodes", i,
                           output[i], g->n_nodes);
        if (g->node[output[i]].op == NB_OP_PARAM)
            return nb_fail(NB_ERR_ARGUMENT, err, "output %d is the parameter '%s'", i,
                           g->node[output[i]].name);
    }
    NbNodeId *copy = NB_NEW(g->arena, NbNodeId, (size_t)n);
    if (!copy)
        return nb_fail_memory(err, "graph outputs");
    if (n)
        memcpy(copy, output, (size_t)n * sizeof *copy);
    g->output = copy;
    g->n_outputs = n;
    return NB_OK;
}

NbNodeId nb_graph_find(const NbGraph *g, const char *name) {
    for (int i = 0; i < g->n_nodes; i++)
        if (strcmp(g->node[i].name, name) == 0)
            return i;
    return -1;
}

int nb_graph_readers(const NbGraph *g, NbNodeId id) {
    int readers = 0;
    for (int i = 0; i < g->n_nodes; i++)
        for (int k = 0; k < g->node[i].n_in; k++)
            readers += g->node[i].in[k] == id;
    for (int i = 0; i < g->n_outputs; i++)
        readers += g->output[i] == id;
    return readers;
}

static NB_FALLIBLE copy_param(const NbNode *from, NbArena *arena, NbNode *to, NbError *err) {
    to->param = from->param;
    if (!from->param.data)
        return NB_OK;
    NB_TRY_IN(nb_tensor_new(arena, from->param.dtype, &from->param.shape, &to->param, err), err,
              "copy of '%s'", from->name);
    const size_t bytes = nb_tensor_count(&from->param) * nb_dtype_size(from->param.dtype);
    if (bytes)
        memcpy(to->param.data, from->param.data, bytes);
    return NB_OK;
}

NbStatus nb_graph_copy(const NbGraph *from, NbArena *arena, NbGraph *to, NbError *err) {
    nb_graph_init(to, arena);
    for (int i = 0; i < from->n_nodes; i++) {
        const NbNode *node = &from->node[i];
        NbNodeId id = -1;
        NB_TRY(nb_graph_add(to, node->op, node->name, node->n_in, node->in, &node->attr, &id, err));
        NB_TRY(copy_param(node, arena, &to->node[id], err));
        to->node[id].shape = node->shape;
        to->node[id].layer = node->layer;
        nb_graph_set_kind(to, id);
    }
    return nb_graph_set_outputs(to, from->n_outputs, from->output, err);
}

const char *nb_op_name(NbOp op) {
    return (int)op < 0 || op >= NB_OP_COUNT ? "?" : nb_op_def(op)->name;
}

bool nb_param_trained(const NbNode *node) {
    if (node->op != NB_OP_PARAM || node->attr.param.frozen || node->param.dtype != NB_F32)
        return false;
    switch (node->attr.param.role) {
    case NB_PARAM_WEIGHT:
    case NB_PARAM_BIAS:
    case NB_PARAM_GAMMA:
    case NB_PARAM_BETA:
    case NB_PARAM_QUANT: return true;
    case NB_PARAM_MEAN:
    case NB_PARAM_VAR:
    case NB_PARAM_CONST: break;
    }
    return false;
}
