/* SPDX-License-Identifier: Apache-2.0
 *
 * What has to be computed, and which nodes are computed together. */
#include "nn/internal.h"

static bool is_elementwise(NbOp op) {
    return op == NB_OP_BATCHNORM || op == NB_OP_RELU || op == NB_OP_LEAKY_RELU ||
           op == NB_OP_SILU || op == NB_OP_SIGMOID || op == NB_OP_HARDTANH || op == NB_OP_SCALE ||
           op == NB_OP_QUANT;
}

/* Its inputs are operands: all activations, or constants. */
static bool takes_operands(NbOp op) {
    return op == NB_OP_ADD || op == NB_OP_SUB || op == NB_OP_MUL || op == NB_OP_DIV ||
           op == NB_OP_MATMUL;
}

int nb_nn_activations_in(const NbNode *node) {
    if (node->op == NB_OP_INPUT || node->op == NB_OP_PARAM)
        return 0;
    return takes_operands(node->op) || node->op == NB_OP_CONCAT ? node->n_in : 1;
}

static bool quantizes_weights(const NbGraph *g, const NbNode *node) {
    return node->op == NB_OP_QUANT && g->node[node->in[0]].op == NB_OP_PARAM;
}

/* How many inputs give more than a shape. */
static int inputs_of(const NbNode *node) { return node->op == NB_OP_RESHAPE ? 1 : node->n_in; }

static void mark_live(NbExecutor *x) {
    for (int i = x->options.first_output; i < x->g->n_outputs; i++)
        x->value[x->g->output[i]].live = x->value[x->g->output[i]].reached = true;
    for (NbNodeId id = x->g->n_nodes - 1; id >= 0; id--) {
        const NbNode *const node = &x->g->node[id];
        for (int i = 0; x->value[id].live && i < inputs_of(node); i++) {
            NbNnValue *const in = &x->value[node->in[i]];
            in->live = true;
            in->reached = in->reached || (x->value[id].reached && node->op != NB_OP_DETACH);
        }
    }
}

static NB_FALLIBLE check_weights(const NbExecutor *x, const NbNode *node, NbError *err) {
    const NbNode *w = &x->g->node[node->in[1]];
    const bool plain = w->op == NB_OP_PARAM && w->param.dtype == NB_F32;
    if (!plain && !quantizes_weights(x->g, w))
        return nb_fail(NB_ERR_UNSUPPORTED, err,
                       "the executor wants float weights or quantized ones, '%s' is %s", w->name,
                       nb_op_name(w->op));
    return NB_OK;
}

/* A step computes one picture: dimension 0 must stay the batch. */
static bool stays_in_picture(const NbExecutor *x, const NbNode *node) {
    bool stays = node->shape.rank > 0 && node->shape.dim[0] == x->options.batch;
    if (node->op == NB_OP_TRANSPOSE)
        stays = stays && node->attr.transpose.perm[0] == 0;
    else if (node->op == NB_OP_SLICE)
        stays = stays && node->attr.slice.axis > 0;
    else if (node->op == NB_OP_SOFTMAX)
        stays = stays && node->attr.softmax.axis > 0;
    else if (node->op == NB_OP_CONCAT)
        stays = stays && node->attr.concat.axis > 0;
    else if (node->op == NB_OP_MATMUL)
        stays = stays && node->shape.rank > 2;
    for (int i = 0; stays && takes_operands(node->op) && i < node->n_in; i++) {
        const NbShape *const s = &x->g->node[node->in[i]].shape;
        const bool whole = s->rank == node->shape.rank;
        const bool same = whole && s->dim[0] == x->options.batch;
        stays = x->value[node->in[i]].is_activation ? same : !whole || s->dim[0] == 1;
    }
    return stays;
}

/* Constants may be operands, without a gradient. */
static NB_FALLIBLE check_inputs(const NbExecutor *x, const NbNode *node, NbError *err) {
    for (int i = 0; i < nb_nn_activations_in(node); i++) {
        const NbNode *const in = &x->g->node[node->in[i]];
        const bool constant =
            takes_operands(node->op) && in->op == NB_OP_PARAM && in->param.dtype == NB_F32;
        if (x->value[node->in[i]].is_activation)
            continue;
        if (!constant)
            return nb_fail(NB_ERR_UNSUPPORTED, err, "input %d ('%s') is a parameter", i, in->name);
        if (x->options.training && nb_param_trained(in))
            return nb_fail(NB_ERR_UNSUPPORTED, err,
                           "input %d ('%s') is a parameter that is trained, a constant expected", i,
                           in->name);
    }
    return NB_OK;
}

/* Operators of imported networks: the executor has no step for them. */
static bool has_no_step(const NbNode *node) {
    static const bool missing[NB_OP_COUNT] = {
        [NB_OP_MAP] = true,    [NB_OP_COMBINE] = true, [NB_OP_WHERE] = true,
        [NB_OP_REDUCE] = true, [NB_OP_POOL] = true,    [NB_OP_CONV_TRANSPOSE] = true,
        [NB_OP_RESIZE] = true, [NB_OP_GATHER] = true,  [NB_OP_EXPAND] = true,
        [NB_OP_PAD_ND] = true, [NB_OP_TOPK] = true,    [NB_OP_NMS] = true,
        [NB_OP_CAST] = true,   [NB_OP_QUANTIZE] = true};
    return missing[node->op] || (node->op == NB_OP_INPUT && node->attr.input.real);
}

static NB_FALLIBLE check_node(NbExecutor *x, NbNodeId id, NbError *err) {
    const NbNode *node = &x->g->node[id];
    if (has_no_step(node))
        return nb_fail(NB_ERR_UNSUPPORTED, err, "the training executor does not compute %s",
                       nb_op_name(node->op));
    if (node->op == NB_OP_THRESHOLD || node->op == NB_OP_DEQUANT)
        return nb_fail(NB_ERR_UNSUPPORTED, err,
                       "the executor computes float graphs, this one is of integers");
    if (x->value[id].is_activation) {
        NB_TRY(check_inputs(x, node, err));
        if (!stays_in_picture(x, node))
            return nb_fail(NB_ERR_UNSUPPORTED, err, "%s mixes the pictures of a batch",
                           nb_op_name(node->op));
    }
    if (node->op == NB_OP_INPUT) {
        if (x->input >= 0)
            return nb_fail(NB_ERR_UNSUPPORTED, err, "a second INPUT (the first is '%s')",
                           x->g->node[x->input].name);
        x->input = id;
    }
    if (node->op == NB_OP_PARAM && !node->param.data)
        return nb_fail(NB_ERR_ARGUMENT, err, "the parameter has no data");
    return node->op == NB_OP_CONV ? check_weights(x, node, err) : NB_OK;
}

static bool all_inputs_coded(const NbExecutor *x, const NbNode *node) {
    for (int i = 0; i < inputs_of(node); i++)
        if (!x->value[node->in[i]].coded)
            return false;
    return true;
}

/* As the interpreter tells at run time: kind says what quantizers do when they are on. */
static bool is_coded(const NbExecutor *x, NbNodeId id) {
    const NbNode *node = &x->g->node[id];
    if (node->kind != NB_VALUE_CODED)
        return false;
    if (node->op == NB_OP_QUANT)
        return x->options.quantizers;
    return node->op == NB_OP_INPUT || all_inputs_coded(x, node);
}

static bool wants_gradient(const NbExecutor *x, NbNodeId id) {
    const NbNode *const node = &x->g->node[id];
    if (!x->options.training || node->op == NB_OP_DETACH || !x->value[id].reached)
        return false;
    if (nb_param_trained(node))
        return true;
    for (int i = 0; i < inputs_of(node); i++)
        if (x->value[node->in[i]].needs_grad)
            return true;
    return false;
}

static NB_FALLIBLE describe(NbExecutor *x, NbNodeId id, NbError *err) {
    const NbNode *node = &x->g->node[id];
    NbNnValue *v = &x->value[id];
    v->is_activation = node->op != NB_OP_PARAM && !quantizes_weights(x->g, node);
    NB_TRY(check_node(x, id, err));
    v->source = id;
    v->needs_grad = wants_gradient(x, id);
    if (v->is_activation) {
        v->count = nb_shape_count(&node->shape) / (size_t)x->options.batch;
        v->coded = is_coded(x, id);
        const bool off = node->op == NB_OP_QUANT && !x->options.quantizers;
        if (node->op == NB_OP_DETACH || (off && !x->value[node->in[0]].coded))
            v->source = x->value[node->in[0]].source;
    } else if (node->op == NB_OP_PARAM && v->needs_grad) {
        x->grad[id] = NB_NEW(&x->arena, float, nb_tensor_count(&node->param));
        if (!x->grad[id])
            return nb_fail_memory(err, "a gradient");
    }
    return NB_OK;
}

static void count_readers(NbExecutor *x) {
    for (NbNodeId id = 0; id < x->g->n_nodes; id++) {
        const NbNnValue *v = &x->value[id];
        if (!v->live || !v->is_activation || v->source != id)
            continue;
        for (int i = 0; i < nb_nn_activations_in(&x->g->node[id]); i++)
            x->value[x->value[x->g->node[id].in[i]].source].readers++;
    }
    for (int i = x->options.first_output; i < x->g->n_outputs; i++)
        x->value[x->value[x->g->output[i]].source].readers++;
}

static NbConvShape shape_of(const NbExecutor *x, NbNodeId id) {
    const NbNode *node = &x->g->node[id];
    const NbConvAttr *a = &node->attr.conv;
    const NbNnValue *in = &x->value[node->in[0]];
    const NbNnValue *out = &x->value[id];
    NbConvShape s = {.ic = in->c,
                     .ih = in->h,
                     .iw = in->w,
                     .oc = out->c,
                     .oh = out->h,
                     .ow = out->w,
                     .groups = a->groups};
    for (int i = 0; i < 2; i++) {
        s.kernel[i] = a->kernel[i];
        s.stride[i] = a->stride[i];
        s.dilation[i] = a->dilation[i];
        s.pad[i] = a->pad[i];
        s.pad[i + 2] = a->pad[i + 2];
    }
    return s;
}

static NB_FALLIBLE add_conv(NbExecutor *x, NbNodeId id, NbError *err) {
    const NbNode *node = &x->g->node[id];
    const NbNode *w = &x->g->node[node->in[1]];
    const bool quantized = w->op == NB_OP_QUANT;
    NbNnConv *conv = &x->conv[x->n_convs];
    *conv = (NbNnConv){.node = id,
                       .x = x->value[node->in[0]].source,
                       .weight = quantized ? w->in[0] : node->in[1],
                       .weight_quant = quantized && x->options.quantizers ? node->in[1] : -1,
                       .bias = node->n_in == 3 ? node->in[2] : -1,
                       .shape = shape_of(x, id),
                       .dw = -1};
    conv->coded = conv->weight_quant >= 0 && x->value[conv->x].coded;
    conv->weight_grad_wanted = x->value[node->in[1]].needs_grad;
    conv->input_grad_wanted = x->value[node->in[0]].needs_grad;
    x->value[id].conv = x->n_convs++;
    return nb_nn_conv_new(x, conv, err);
}

/* A pool that a chain can end with. */
static bool is_small_pool(const NbExecutor *x, NbNodeId id) {
    const NbNode *node = &x->g->node[id];
    if (node->op != NB_OP_MAXPOOL)
        return false;
    const NbPoolAttr *a = &node->attr.pool;
    const NbNnValue *in = &x->value[x->value[node->in[0]].source];
    for (int i = 0; i < 2; i++)
        if (a->kernel[i] != 2 || a->stride[i] != 2 || a->pad[i] || a->pad[i + 2])
            return false;
    return in->h % 2 == 0 && in->w % 2 == 0;
}

static bool may_join(const NbExecutor *x, NbNodeId id) {
    const NbNode *node = &x->g->node[id];
    const NbNodeId from = x->value[node->in[0]].source;
    const NbNnValue *in = &x->value[from];
    if (x->options.keep || in->chain < 0 || in->readers != 1)
        return false;
    if (x->value[node->in[0]].needs_grad != in->needs_grad)
        return false; /* a DETACH between the two */
    const NbNnChain *chain = &x->chain[in->chain];
    if (chain->tail != from || chain->pool || chain->n_stages == NB_NN_MAX_STAGES)
        return false;
    return node->op != NB_OP_BATCHNORM || (!x->options.training && chain->norm < 0);
}

static void add_stage(NbExecutor *x, NbNnChain *chain, NbNodeId id) {
    const NbNode *node = &x->g->node[id];
    chain->tail = id;
    if (node->op == NB_OP_MAXPOOL) {
        chain->pool = true;
        return;
    }
    if (node->op == NB_OP_QUANT && !x->options.quantizers)
        return; /* from codes to real numbers: loading does it */
    if (node->op == NB_OP_BATCHNORM)
        chain->norm = id;
    chain->stage[chain->n_stages++] = (NbNnStage){.node = id, .op = node->op};
}

static void add_to_chain(NbExecutor *x, NbNodeId id) {
    const NbNode *node = &x->g->node[id];
    const NbNodeId from = x->value[node->in[0]].source;
    int index = x->value[from].chain;
    if (!may_join(x, id)) {
        index = x->n_chains++;
        x->chain[index] = (NbNnChain){.x = from,
                                      .head = id,
                                      .norm = -1,
                                      .input_grad_wanted = x->value[node->in[0]].needs_grad,
                                      .h = x->value[from].h,
                                      .w = x->value[from].w,
                                      .c = x->value[from].c};
    }
    x->value[id].chain = index;
    add_stage(x, &x->chain[index], id);
}

static NB_FALLIBLE finish_chain(NbExecutor *x, NbNnChain *chain, NbError *err) {
    const int conv = x->value[chain->x].conv;
    chain->which = chain->top = -1;
    chain->pick = chain->pool && chain->norm >= 0 && x->options.training;
    chain->raw = chain->n_stages == 0 && x->value[chain->tail].coded;
    if (conv >= 0 && x->value[chain->x].readers == 1 && !x->options.keep)
        x->conv[conv].lazy = x->conv[conv].coded || x->conv[conv].bias >= 0;
    return nb_nn_chain_new(x, chain, err);
}

static NB_FALLIBLE take_tables(NbExecutor *x, NbError *err) {
    const size_t n = (size_t)x->g->n_nodes;
    x->value = NB_NEW(&x->arena, NbNnValue, n);
    x->conv = NB_NEW(&x->arena, NbNnConv, n);
    x->chain = NB_NEW(&x->arena, NbNnChain, n);
    x->grad = NB_NEW(&x->arena, float *, n);
    x->output = NB_NEW(&x->arena, NbNnBuffer, (size_t)x->g->n_outputs);
    if (x->options.first_output >= x->g->n_outputs)
        return nb_fail(NB_ERR_ARGUMENT, err, "outputs from %d on of a graph that has %d",
                       x->options.first_output, x->g->n_outputs);
    if (!x->value || !x->conv || !x->chain || !x->grad || !x->output)
        return nb_fail_memory(err, "the plan of a training graph");
    for (size_t i = 0; i < n; i++)
        x->value[i] =
            (NbNnValue){.source = (int)i, .conv = -1, .chain = -1, .value = -1, .grad = -1};
    return NB_OK;
}

NbStatus nb_nn_analyse(NbExecutor *x, NbError *err) {
    NB_TRY(take_tables(x, err));
    mark_live(x);
    for (NbNodeId id = 0; id < x->g->n_nodes; id++)
        if (x->value[id].live)
            NB_TRY_IN(describe(x, id, err), err, "node '%s'", x->g->node[id].name);
    nb_nn_choose_layouts(x);
    count_readers(x);
    for (NbNodeId id = 0; id < x->g->n_nodes; id++) {
        const NbNnValue *v = &x->value[id];
        if (!v->live || !v->is_activation || v->source != id)
            continue;
        if (x->g->node[id].op == NB_OP_CONV)
            NB_TRY_IN(add_conv(x, id, err), err, "node '%s'", x->g->node[id].name);
        else if (is_elementwise(x->g->node[id].op) || is_small_pool(x, id))
            add_to_chain(x, id);
    }
    for (int i = 0; i < x->n_chains; i++)
        NB_TRY_IN(finish_chain(x, &x->chain[i], err), err, "node '%s'",
                  x->g->node[x->chain[i].head].name);
    return NB_OK;
}
