/* SPDX-License-Identifier: Apache-2.0
 *
 * Walks the float graph once: coded values are copied or become thresholds, outputs get a DEQUANT.
 * Real values in between are not lowered by themselves; a quantizer looks back over them. */
#include "lower/integer/integer.h"

#include "lower/integer/lowering.h"

static bool is_weight(const NbGraph *g, NbNodeId id) {
    return g->node[id].op == NB_OP_QUANT && g->node[g->node[id].in[0]].op == NB_OP_PARAM;
}

static void mark_needed(const NbGraph *g, bool *needed) {
    for (int i = 0; i < g->n_outputs; i++)
        needed[g->output[i]] = true;
    for (NbNodeId id = g->n_nodes - 1; id >= 0; id--)
        for (int i = 0; needed[id] && i < g->node[id].n_in; i++)
            needed[g->node[id].in[i]] = true;
}

/* INPUT and what passes codes on keep operator, name and attributes. */
static NB_FALLIBLE copy_node(const NbLowering *l, NbNodeId id, NbError *err) {
    const NbNode *node = &l->g->node[id];
    NbNodeId *in = NB_NEW(l->scratch, NbNodeId, (size_t)node->n_in);
    if (!in)
        return nb_fail_memory(err, "a node");
    for (int i = 0; i < node->n_in; i++)
        in[i] = l->codes[node->in[i]];
    NB_TRY(nb_graph_add(l->out, node->op, node->name, node->n_in, in, &node->attr, &l->codes[id],
                        err));
    l->out->node[l->codes[id]].layer = node->layer;
    return NB_OK;
}

static NB_FALLIBLE add_floats(const NbLowering *l, const char *base, const char *suffix,
                              const float *data, size_t n, NbNodeId *id, NbError *err) {
    const char *name = nb_lowering_name(l, base, suffix);
    const NbShape shape = nb_shape(1, (const int64_t[]){(int64_t)n});
    if (!name)
        return nb_fail_memory(err, "a name");
    NB_TRY(nb_graph_add_param(l->out, name, NB_PARAM_CONST, NB_F32, &shape, id, err));
    float *to = nb_f32(&l->out->node[*id].param);
    for (size_t i = 0; i < n; i++)
        to[i] = data[i];
    return NB_OK;
}

static NB_FALLIBLE conv_output(const NbLowering *l, NbNodeId id, NbNodeId *out, NbError *err) {
    NbCodedConv conv;
    NbNodeId in[3] = {-1, -1, -1};
    NB_TRY(nb_lowering_conv(l, id, &conv, err));
    NB_TRY(nb_lowering_emit_conv(l, &conv, &in[0], err));
    const char *name = nb_lowering_name(l, l->g->node[id].name, "");
    if (!name)
        return nb_fail_memory(err, "a name");
    NB_TRY(add_floats(l, name, ".scale", conv.scale, conv.outputs, &in[1], err));
    if (conv.bias)
        NB_TRY(add_floats(l, name, ".bias", conv.bias, conv.outputs, &in[2], err));
    return nb_graph_add(l->out, NB_OP_DEQUANT, name, conv.bias ? 3 : 2, in, NULL, out, err);
}

static NB_FALLIBLE coded_output(const NbLowering *l, NbNodeId id, NbNodeId *out, NbError *err) {
    NbNodeId in[2] = {l->codes[id], -1};
    float scale = 0.0F;
    NB_TRY(nb_lowering_scale(l, id, &scale, err));
    const char *name = nb_lowering_name(l, l->g->node[id].name, ".real");
    if (!name)
        return nb_fail_memory(err, "a name");
    NB_TRY(add_floats(l, name, ".scale", &scale, 1, &in[1], err));
    return nb_graph_add(l->out, NB_OP_DEQUANT, name, 2, in, NULL, out, err);
}

static NB_FALLIBLE lower_output(const NbLowering *l, NbNodeId id, NbNodeId *out, NbError *err) {
    const NbNode *node = &l->g->node[id];
    if (node->kind == NB_VALUE_CODED)
        NB_TRY(coded_output(l, id, out, err));
    else if (node->op == NB_OP_CONV)
        NB_TRY(conv_output(l, id, out, err));
    else
        return nb_fail(NB_ERR_UNSUPPORTED, err,
                       "the output is real numbers; only a convolution or a quantizer can be an "
                       "output: put a quantizer behind it");
    l->out->node[*out].layer = node->layer;
    return NB_OK;
}

static NB_FALLIBLE lower_node(const NbLowering *l, NbNodeId id, NbError *err) {
    const NbNode *node = &l->g->node[id];
    if (node->op == NB_OP_THRESHOLD || node->op == NB_OP_DEQUANT)
        return nb_fail(NB_ERR_ARGUMENT, err, "the graph is lowered already");
    if (node->kind != NB_VALUE_CODED || is_weight(l->g, id))
        return NB_OK;
    if (node->op == NB_OP_DETACH) { /* matters to gradients only */
        l->codes[id] = l->codes[node->in[0]];
        return NB_OK;
    }
    return node->op == NB_OP_QUANT ? nb_lowering_quant(l, id, err) : copy_node(l, id, err);
}

static NB_FALLIBLE lower(const NbLowering *l, NbError *err) {
    const NbGraph *g = l->g;
    const NbShape *picture = NULL;
    bool *needed = NB_NEW(l->scratch, bool, (size_t)g->n_nodes);
    NbNodeId *output = NB_NEW(l->scratch, NbNodeId, (size_t)g->n_outputs);
    if (!needed || !output)
        return nb_fail_memory(err, "lowering");
    mark_needed(g, needed);
    for (NbNodeId id = 0; id < g->n_nodes; id++) {
        const NbNode *node = &g->node[id];
        l->codes[id] = -1;
        if (node->op == NB_OP_INPUT && !picture)
            picture = &node->shape;
        if (needed[id])
            NB_TRY_IN(lower_node(l, id, err), err, "node %d (%s '%s')", id, nb_op_name(node->op),
                      node->name);
    }
    for (int i = 0; i < g->n_outputs; i++)
        NB_TRY_IN(lower_output(l, g->output[i], &output[i], err), err, "output %d (%s '%s')", i,
                  nb_op_name(g->node[g->output[i]].op), g->node[g->output[i]].name);
    NB_TRY(nb_graph_set_outputs(l->out, g->n_outputs, output, err));
    if (!picture || picture->rank != 4)
        return nb_fail(NB_ERR_ARGUMENT, err, "the graph has no INPUT or was not inferred");
    return nb_graph_infer(l->out, picture->dim[0], picture->dim[2], picture->dim[3], err);
}

NbStatus nb_lower_integer(const NbGraph *g, NbArena *arena, NbGraph *out, NbError *err) {
    NbArena scratch = {0};
    NbLowering l = {.g = g, .out = out, .scratch = &scratch};
    nb_graph_init(out, arena);
    l.codes = NB_NEW(&scratch, NbNodeId, (size_t)g->n_nodes);
    const NbStatus status = l.codes ? lower(&l, err) : nb_fail_memory(err, "lowering");
    nb_arena_release(&scratch);
    return status;
}
