/* SPDX-License-Identifier: Apache-2.0
 *
 * Which values matter, who reads them, and what each convolution takes in behind it. */
#include "nn/float/internal.h"

#include "graph/activation.h"

#include <string.h>

/* Inputs that are read as numbers: not the second one of RESHAPE, whose shape counts. */
static int inputs_read(const NbNode *node) { return node->op == NB_OP_RESHAPE ? 1 : node->n_in; }

static bool is_identity(const NbNode *node) {
    const NbQuantizeAttr *const q = &node->attr.quantize;
    return node->op == NB_OP_QUANT || node->op == NB_OP_DETACH ||
           (node->op == NB_OP_QUANTIZE && !q->codes && !q->real);
}

static void mark_live(NbFloatEngine *x) {
    const NbGraph *const g = x->g;
    for (int i = 0; i < x->n_outputs; i++)
        x->value[g->output[x->options.first_output + i]].live = true;
    for (NbNodeId id = g->n_nodes - 1; id >= 0; id--) {
        const NbNode *const node = &g->node[id];
        const int n = is_identity(node) ? 1 : inputs_read(node);
        for (int i = 0; x->value[id].live && i < n; i++)
            x->value[node->in[i]].live = true;
    }
}

static NB_FALLIBLE describe(NbFloatEngine *x, NbNodeId id, NbError *err) {
    const NbNode *const node = &x->g->node[id];
    NbFloatValue *const v = &x->value[id];
    v->source = is_identity(node) ? x->value[node->in[0]].source : id;
    v->reader = v->conv = -1;
    v->nhwc.buffer = v->plain.buffer = NB_FLOAT_NOWHERE;
    v->count = nb_shape_count(&node->shape);
    v->image = node->shape.rank == 4;
    if (v->image) {
        v->n = (size_t)node->shape.dim[0];
        v->c = (size_t)node->shape.dim[1];
        v->h = (size_t)node->shape.dim[2];
        v->w = (size_t)node->shape.dim[3];
    }
    if (v->live && node->kind == NB_VALUE_SUM && node->op != NB_OP_PARAM)
        return nb_fail(NB_ERR_UNSUPPORTED, err,
                       "'%s' computes integers, which the float engine does not", node->name);
    if (v->live && node->op == NB_OP_PARAM && !node->param.data)
        return nb_fail(NB_ERR_ARGUMENT, err, "the parameter '%s' has no data", node->name);
    if (node->op == NB_OP_PARAM && node->param.dtype == NB_F32 && node->param.data) {
        v->plain.buffer = NB_FLOAT_FIXED;
        v->plain.data = nb_f32(&node->param);
    }
    return NB_OK;
}

static void count_readers(NbFloatEngine *x) {
    const NbGraph *const g = x->g;
    for (NbNodeId id = 0; id < g->n_nodes; id++) {
        const NbNode *const node = &g->node[id];
        if (!x->value[id].live || x->value[id].constant || is_identity(node))
            continue;
        for (int i = 0; i < inputs_read(node); i++) {
            NbFloatValue *const v = nb_float_value(x, node->in[i]);
            v->readers++;
            v->reader = id;
        }
    }
    for (int i = 0; i < x->n_outputs; i++) {
        NbFloatValue *const v = nb_float_value(x, g->output[x->options.first_output + i]);
        v->readers++;
        v->wanted = true;
    }
}

static bool take_norm(NbFloatEngine *x, NbFloatConv *conv, NbNodeId id) {
    const NbNode *const node = &x->g->node[id];
    if (conv->norm >= 0 || conv->post.before != NB_ACT_NONE || conv->post.add)
        return false;
    for (int i = 1; i < node->n_in; i++)
        if (!nb_float_is_param(x, node->in[i]))
            return false;
    conv->norm = id;
    return true;
}

static bool take_act(NbFloatConv *conv, NbFloatAct act, float slope) {
    NbFloatPost *const p = &conv->post;
    NbFloatAct *const to = p->add ? &p->after : &p->before;
    if (*to != NB_ACT_NONE)
        return false;
    *to = act;
    *(p->add ? &p->after_slope : &p->before_slope) = slope;
    return true;
}

/* The other number of an addition of two equal shapes. */
static bool take_add(NbFloatEngine *x, NbFloatConv *conv, NbNodeId id) {
    const NbNode *const node = &x->g->node[id];
    if (conv->post.add || node->n_in != 2)
        return false;
    const NbNodeId a = x->value[node->in[0]].source;
    const NbNodeId b = x->value[node->in[1]].source;
    const NbNodeId other = a == conv->tail ? b : a;
    if (a == b || !nb_shape_equal(&x->g->node[other].shape, &node->shape))
        return false;
    conv->post.add = true;
    conv->add = other;
    return true;
}

static bool take(NbFloatEngine *x, NbFloatConv *conv, NbNodeId id) {
    const NbNode *const node = &x->g->node[id];
    NbFloatAct act;
    float slope;
    if (nb_float_act(node, &act, &slope))
        return take_act(conv, act, slope);
    if (node->op == NB_OP_BATCHNORM)
        return take_norm(x, conv, id);
    return node->op == NB_OP_ADD && take_add(x, conv, id);
}

static bool is_wanted_conv(const NbFloatEngine *x, NbNodeId id) {
    const NbNode *const node = &x->g->node[id];
    if (!x->value[id].live || x->value[id].constant)
        return false;
    if (node->op != NB_OP_CONV || node->shape.rank != 4 || !nb_float_is_param(x, node->in[1]))
        return false;
    return node->n_in < 3 || nb_float_is_param(x, node->in[2]);
}

/* A residual addition goes to the later of two convolutions: at its place in the order of the graph
 * both inputs are there. The step stands where its last node does. */
static void absorb(NbFloatEngine *x, NbFloatConv *conv) {
    for (;;) {
        const NbFloatValue *const v = &x->value[conv->tail];
        if (v->readers != 1 || v->wanted || x->value[v->reader].absorbed)
            break;
        const NbNodeId next = v->reader;
        if (x->value[next].conv >= 0 || !take(x, conv, next))
            break;
        x->value[conv->tail].absorbed = true;
        conv->tail = next;
    }
    x->value[conv->tail].conv = (int)(conv - x->conv);
}

static NB_FALLIBLE find_convs(NbFloatEngine *x, NbError *err) {
    const NbGraph *const g = x->g;
    int n = 0;
    for (NbNodeId id = 0; id < g->n_nodes; id++)
        n += is_wanted_conv(x, id);
    x->conv = NB_NEW(&x->arena, NbFloatConv, (size_t)n);
    if (!x->conv)
        return nb_fail_memory(err, "convolutions");
    for (NbNodeId id = g->n_nodes - 1; id >= 0; id--) {
        if (!is_wanted_conv(x, id))
            continue;
        NbFloatConv *const conv = &x->conv[x->n_convs++];
        *conv = (NbFloatConv){
            .node = id, .norm = -1, .add = -1, .tail = id, .a = g->node[id].attr.conv};
        absorb(x, conv);
    }
    return NB_OK;
}

NbStatus nb_float_analyse(NbFloatEngine *x, NbError *err) {
    x->value = NB_NEW(&x->arena, NbFloatValue, (size_t)x->g->n_nodes);
    if (!x->value)
        return nb_fail_memory(err, "values");
    mark_live(x);
    for (NbNodeId id = 0; id < x->g->n_nodes; id++)
        NB_TRY(describe(x, id, err));
    NB_TRY(nb_float_fold_constants(x, err));
    count_readers(x);
    return find_convs(x, err);
}
