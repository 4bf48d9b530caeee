/* SPDX-License-Identifier: Apache-2.0
 *
 * The steps of forward and backward, in order, their phases, and which buffers each step uses. */
#include "nn/internal.h"

#include <string.h>

/* Weight gradients of all shards are summed at the end of the phase; no more than this waits. */
static const size_t MAX_PENDING = (size_t)64 << 20;

static void *grown(NbExecutor *x, void *old, int n, int *capacity, size_t size) {
    if (n < *capacity)
        return old;
    *capacity = *capacity ? *capacity * 2 : 64;
    void *const more = nb_arena_take(&x->arena, (size_t)*capacity, size);
    if (more && n)
        memcpy(more, old, (size_t)n * size);
    return more;
}

static NB_FALLIBLE add_step(NbExecutor *x, const NbNnStep *step, NbError *err) {
    x->step = grown(x, x->step, x->n_steps, &x->step_capacity, sizeof *x->step);
    if (!x->step)
        return nb_fail_memory(err, "the plan of a training graph");
    x->step[x->n_steps++] = *step;
    return NB_OK;
}

static NB_FALLIBLE reduce_after(NbExecutor *x, NbNnReduce *run, int unit, NbError *err) {
    x->reduction =
        grown(x, x->reduction, x->n_reductions, &x->reduction_capacity, sizeof *x->reduction);
    if (!x->reduction)
        return nb_fail_memory(err, "the plan of a training graph");
    x->reduction[x->n_reductions++] = (NbNnReduction){.run = run, .unit = unit};
    return NB_OK;
}

static NB_FALLIBLE end_phase(NbExecutor *x, NbError *err) {
    x->phase = grown(x, x->phase, x->n_phases, &x->phase_capacity, sizeof *x->phase);
    if (!x->phase)
        return nb_fail_memory(err, "the plan of a training graph");
    x->phase[x->n_phases++] = (NbNnPhase){.end = x->n_steps, .reduction_end = x->n_reductions};
    x->pending = 0;
    return NB_OK;
}

/* The step added last uses the buffer. */
static void uses(NbExecutor *x, NbNnBuffer buffer) {
    if (buffer < 0)
        return;
    NbNnMemory *const m = &x->memory[buffer];
    if (m->first < 0)
        m->first = x->n_steps - 1;
    m->last = x->n_steps - 1;
}

static NB_FALLIBLE take_buffer(NbExecutor *x, size_t stride, NbNnCopies copies, NbNnBuffer *out,
                               NbError *err) {
    *out = nb_nn_buffer(x, stride, copies);
    return *out < 0 ? nb_fail_memory(err, "the plan of a training graph") : NB_OK;
}

static NB_FALLIBLE take_value(NbExecutor *x, NbNodeId id, NbError *err) {
    NbNnValue *const v = &x->value[id];
    NB_TRY(take_buffer(x, v->count * sizeof(float), NB_NN_PER_PICTURE, &v->value, err));
    x->memory[v->value].pinned = x->options.keep;
    return NB_OK;
}

static NbNodeId source_of(const NbExecutor *x, NbNodeId id, int i) {
    return x->value[x->g->node[id].in[i]].source;
}

/* A step that computes node `id` from all its activations. */
static NB_FALLIBLE forward_step(NbExecutor *x, NbNnRun *run, NbNodeId id, NbError *err) {
    const int n_in = nb_nn_activations_in(&x->g->node[id]);
    NB_TRY(take_value(x, id, err));
    NB_TRY(add_step(x, &(NbNnStep){.run = run, .node = id, .unit = x->value[id].conv}, err));
    for (int i = 0; i < n_in; i++)
        uses(x, x->value[source_of(x, id, i)].value);
    if (n_in > 0)
        x->step[x->n_steps - 1].a = x->value[source_of(x, id, 0)].value;
    x->step[x->n_steps - 1].b = x->value[id].value;
    uses(x, x->value[id].value);
    return NB_OK;
}

static NB_FALLIBLE chain_forward(NbExecutor *x, int index, NbError *err) {
    NbNnChain *const chain = &x->chain[index];
    const NbNnValue *const in = &x->value[chain->x];
    if (chain->norm >= 0 && x->options.training) {
        NB_TRY(add_step(
            x, &(NbNnStep){.run = nb_nn_chain_statistics, .node = chain->norm, .unit = index},
            err));
        uses(x, in->value);
        NB_TRY(reduce_after(x, nb_nn_chain_reduce_statistics, index, err));
        NB_TRY(end_phase(x, err));
    }
    NB_TRY(take_value(x, chain->tail, err));
    if (chain->pick) {
        const size_t count = x->value[chain->tail].count;
        NB_TRY(take_buffer(x, count, NB_NN_PER_PICTURE, &chain->which, err));
        NB_TRY(take_buffer(x, count * sizeof(float), NB_NN_PER_PICTURE, &chain->top, err));
    }
    NB_TRY(add_step(x, &(NbNnStep){.run = nb_nn_chain_forward, .node = chain->tail, .unit = index},
                    err));
    uses(x, in->value);
    uses(x, chain->which);
    uses(x, chain->top);
    uses(x, x->value[chain->tail].value);
    return NB_OK;
}

static void needs_scratch(NbExecutor *x, size_t bytes) {
    x->scratch_bytes = bytes > x->scratch_bytes ? bytes : x->scratch_bytes;
}

/* An ADD of values that lie in memory in the same way. */
static bool is_plain_sum(const NbExecutor *x, NbNodeId id) {
    const NbNode *const node = &x->g->node[id];
    for (int i = 0; i < node->n_in; i++) {
        const NbNnValue *const in = &x->value[node->in[i]];
        if (!in->is_activation || in->count != x->value[id].count ||
            in->image != x->value[id].image)
            return false;
    }
    return node->op == NB_OP_ADD;
}

/* How nodes outside of chains are computed: by a step over their activations, or as `plan` says. */
typedef struct NodePlan {
    NbNnRun *run;
    NbStatus (*plan)(NbExecutor *x, NbNodeId id, NbError *err);
} NodePlan;

static NB_FALLIBLE pool_forward(NbExecutor *x, NbNodeId id, NbError *err) {
    needs_scratch(x, nb_nn_pool_scratch(&x->value[id]));
    return forward_step(x, nb_nn_pool_forward, id, err);
}

static NB_FALLIBLE arithmetic_forward(NbExecutor *x, NbNodeId id, NbError *err) {
    return forward_step(x, is_plain_sum(x, id) ? nb_nn_add_forward : nb_nn_arithmetic_forward, id,
                        err);
}

static NB_FALLIBLE matmul_forward(NbExecutor *x, NbNodeId id, NbError *err) {
    needs_scratch(x, nb_nn_matmul_scratch(x, id));
    return forward_step(x, nb_nn_matmul_forward, id, err);
}

static NB_FALLIBLE softmax_forward(NbExecutor *x, NbNodeId id, NbError *err) {
    needs_scratch(x, nb_nn_softmax_scratch(x, id));
    return forward_step(x, nb_nn_softmax_forward, id, err);
}

static const NodePlan forward[NB_OP_COUNT] = {
    [NB_OP_INPUT] = {.run = nb_nn_input_forward},
    [NB_OP_CONV] = {.run = nb_nn_conv_forward},
    [NB_OP_MAXPOOL] = {.plan = pool_forward},
    [NB_OP_UPSAMPLE] = {.run = nb_nn_upsample_forward},
    [NB_OP_PAD] = {.run = nb_nn_pad_forward},
    [NB_OP_CONCAT] = {.run = nb_nn_concat_forward},
    [NB_OP_ADD] = {.plan = arithmetic_forward},
    [NB_OP_SUB] = {.plan = arithmetic_forward},
    [NB_OP_MUL] = {.plan = arithmetic_forward},
    [NB_OP_DIV] = {.plan = arithmetic_forward},
    [NB_OP_MATMUL] = {.plan = matmul_forward},
    [NB_OP_SOFTMAX] = {.plan = softmax_forward},
    [NB_OP_SLICE] = {.run = nb_nn_move_forward},
    [NB_OP_TRANSPOSE] = {.run = nb_nn_move_forward},
    [NB_OP_RESHAPE] = {.run = nb_nn_move_forward},
};

static NB_FALLIBLE node_forward(NbExecutor *x, NbNodeId id, NbError *err) {
    const NbNode *const node = &x->g->node[id];
    const NodePlan *const how = &forward[node->op];
    const int chain = x->value[id].chain;
    if (chain >= 0)
        return x->chain[chain].tail == id ? chain_forward(x, chain, err) : NB_OK;
    if (how->plan)
        return how->plan(x, id, err);
    if (how->run)
        return forward_step(x, how->run, id, err);
    return nb_fail(NB_ERR_UNSUPPORTED, err, "node %d (%s '%s'): not an operator of the executor",
                   id, nb_op_name(node->op), node->name);
}

/* Outputs are real numbers that stay until the next call. */
static NB_FALLIBLE make_output(NbExecutor *x, int i, NbError *err) {
    const NbNodeId id = x->value[x->g->output[i]].source;
    const NbNnValue *const v = &x->value[id];
    if (!v->is_activation)
        return nb_fail(NB_ERR_UNSUPPORTED, err, "output %d ('%s') is a parameter", i,
                       x->g->node[id].name);
    x->output[i] = v->value;
    if (v->coded) {
        NB_TRY(take_buffer(x, v->count * sizeof(float), NB_NN_PER_PICTURE, &x->output[i], err));
        NB_TRY(add_step(
            x, &(NbNnStep){.run = nb_nn_real_forward, .node = id, .a = v->value, .b = x->output[i]},
            err));
        uses(x, v->value);
        uses(x, x->output[i]);
    }
    x->memory[x->output[i]].pinned = true;
    return NB_OK;
}

/* The step added last writes the gradient of `id` (*add: adds to what earlier steps wrote). */
static NB_FALLIBLE gives(NbExecutor *x, NbNodeId id, NbError *err) {
    NbNnValue *const v = &x->value[id];
    if (v->grad < 0)
        NB_TRY(take_buffer(x, v->count * sizeof(float), NB_NN_PER_PICTURE, &v->grad, err));
    uses(x, v->grad);
    NbNnStep *const step = &x->step[x->n_steps - 1];
    step->b = v->grad;
    step->add = v->grad_started;
    v->grad_started = true;
    return NB_OK;
}

/* The input of a convolution for its backward. Pictures are made again instead of kept. */
static NB_FALLIBLE input_again(NbExecutor *x, const NbNnConv *conv, NbNnBuffer *source,
                               NbError *err) {
    const NbNnValue *const in = &x->value[conv->x];
    *source = in->value;
    if (conv->x != x->input)
        return NB_OK;
    NB_TRY(take_buffer(x, in->count * sizeof(float), NB_NN_PER_PICTURE, source, err));
    NB_TRY(
        add_step(x, &(NbNnStep){.run = nb_nn_input_forward, .node = conv->x, .b = *source}, err));
    uses(x, *source);
    return NB_OK;
}

/* The step added last makes the gradient of the weights of a shard. */
static NB_FALLIBLE gives_weights(NbExecutor *x, int index, NbNnBuffer source, NbError *err) {
    NbNnConv *const conv = &x->conv[index];
    const size_t bytes = nb_nn_conv_gradient_bytes(conv);
    NB_TRY(take_buffer(x, bytes, NB_NN_PER_SHARD, &conv->dw, err));
    uses(x, source);
    uses(x, conv->dw);
    x->pending += bytes * (size_t)x->shards;
    return reduce_after(x, nb_nn_conv_reduce, index, err);
}

static NB_FALLIBLE conv_backward(NbExecutor *x, int index, NbError *err) {
    const NbNnConv *const conv = &x->conv[index];
    NbNnBuffer source;
    NB_TRY(input_again(x, conv, &source, err));
    NB_TRY(add_step(
        x,
        &(NbNnStep){
            .run = nb_nn_conv_backward, .node = conv->node, .unit = index, .a = source, .b = -1},
        err));
    uses(x, x->value[conv->node].grad);
    if (conv->weight_grad_wanted)
        NB_TRY(gives_weights(x, index, source, err));
    if (conv->input_grad_wanted)
        NB_TRY(gives(x, conv->x, err));
    return x->pending > MAX_PENDING ? end_phase(x, err) : NB_OK;
}

/* Backward of a chain and of the convolution in front of it, together. */
static NB_FALLIBLE band_backward(NbExecutor *x, const NbNnChain *chain, int index, NbError *err) {
    const NbNnConv *const conv = &x->conv[index];
    const size_t scratch = nb_nn_band_scratch(conv, chain);
    NbNnBuffer source;
    x->scratch_bytes = scratch > x->scratch_bytes ? scratch : x->scratch_bytes;
    NB_TRY(input_again(x, conv, &source, err));
    NB_TRY(add_step(
        x,
        &(NbNnStep){
            .run = nb_nn_band_backward, .node = conv->node, .unit = index, .a = source, .b = -1},
        err));
    uses(x, x->value[conv->node].value);
    uses(x, chain->which);
    uses(x, x->value[chain->tail].grad);
    NB_TRY(gives_weights(x, index, source, err));
    return x->pending > MAX_PENDING ? end_phase(x, err) : NB_OK;
}

/* Whether the node is a convolution whose backward goes in bands, with the chain that reads it. */
static bool in_bands(const NbExecutor *x, NbNodeId id) {
    const NbNnValue *const v = &x->value[id];
    if (v->conv < 0 || x->conv[v->conv].n_bands == 0 || v->readers != 1)
        return false;
    for (int i = 0; i < x->n_chains; i++)
        if (x->chain[i].x == id)
            return x->chain[i].norm >= 0 && x->chain[i].input_grad_wanted;
    return false;
}

static NB_FALLIBLE chain_backward(NbExecutor *x, int index, NbError *err) {
    const NbNnChain *const chain = &x->chain[index];
    const NbNnValue *const in = &x->value[chain->x];
    if (chain->norm >= 0) {
        NB_TRY(add_step(x, &(NbNnStep){.run = nb_nn_chain_sums, .node = chain->norm, .unit = index},
                        err));
        uses(x, chain->pool ? chain->top : in->value);
        uses(x, x->value[chain->tail].grad);
        NB_TRY(reduce_after(x, nb_nn_chain_reduce_sums, index, err));
        NB_TRY(end_phase(x, err));
    }
    if (in_bands(x, chain->x))
        return band_backward(x, chain, in->conv, err);
    NB_TRY(add_step(
        x, &(NbNnStep){.run = nb_nn_chain_backward, .node = chain->tail, .unit = index, .b = -1},
        err));
    uses(x, in->value);
    uses(x, chain->which);
    uses(x, x->value[chain->tail].grad);
    return chain->input_grad_wanted ? gives(x, chain->x, err) : NB_OK;
}

/* The step added last reads values of the forward. */
static void uses_values(NbExecutor *x, NbNnRun *run, NbNodeId id) {
    const NbOp op = x->g->node[id].op;
    if (run == nb_nn_pool_backward)
        uses(x, x->value[source_of(x, id, 0)].value);
    else if (op == NB_OP_SOFTMAX)
        uses(x, x->value[id].value);
    else if (op == NB_OP_MUL || op == NB_OP_DIV || op == NB_OP_MATMUL)
        for (int i = 0; i < 2; i++)
            uses(x, x->value[source_of(x, id, i)].value);
}

/* One step for each input of `id` that wants a gradient; step.unit is the number of the input. */
static NB_FALLIBLE inputs_backward(NbExecutor *x, NbNnRun *run, NbNodeId id, NbError *err) {
    const int n_in = nb_nn_activations_in(&x->g->node[id]);
    for (int i = 0; i < n_in; i++) {
        const NbNodeId from = source_of(x, id, i);
        if (!x->value[x->g->node[id].in[i]].needs_grad)
            continue;
        NB_TRY(add_step(x, &(NbNnStep){.run = run, .node = id, .unit = i}, err));
        uses(x, x->value[id].grad);
        uses_values(x, run, id);
        NB_TRY(gives(x, from, err));
    }
    return NB_OK;
}

static NB_FALLIBLE arithmetic_backward(NbExecutor *x, NbNodeId id, NbError *err) {
    const NbNode *const node = &x->g->node[id];
    if (is_plain_sum(x, id))
        return inputs_backward(x, nb_nn_add_backward, id, err);
    for (int i = 0; i < node->n_in; i++)
        needs_scratch(x, nb_nn_arithmetic_scratch(&x->value[node->in[i]]));
    return inputs_backward(x, nb_nn_arithmetic_backward, id, err);
}

/* Some step gave one: not where all readers are detached, nor inside of a chain. */
static bool has_gradient(const NbExecutor *x, NbNodeId id) { return x->value[id].grad >= 0; }

/* Whether all readers of the input of a SLICE are slices that together are the whole of it, each
 * element once: then its gradient is put together, not added up. */
static bool is_cut_up(const NbExecutor *x, NbNodeId id) {
    const NbNodeId from = source_of(x, id, 0);
    const int axis = x->g->node[id].attr.slice.axis;
    int64_t covered = 0;
    int slices = 0;
    for (NbNodeId other = from + 1; other < x->g->n_nodes; other++) {
        const NbNode *const node = &x->g->node[other];
        if (node->op != NB_OP_SLICE || !x->value[other].needs_grad || !has_gradient(x, other) ||
            x->g->node[id].in[0] != node->in[0] || node->attr.slice.axis != axis ||
            node->attr.slice.step != 1)
            continue;
        if (node->attr.slice.start != covered)
            return false; /* in order */
        covered = node->attr.slice.stop;
        slices++;
    }
    return x->g->node[id].in[0] == from && slices == x->value[from].readers &&
           covered == x->g->node[from].shape.dim[axis];
}

static NB_FALLIBLE slice_backward(NbExecutor *x, NbNodeId id, NbError *err) {
    const NbNodeId from = source_of(x, id, 0);
    const bool cut_up = is_cut_up(x, id);
    if (cut_up)
        x->value[from].grad_started = false;
    const int first = x->n_steps;
    NB_TRY(inputs_backward(x, nb_nn_move_backward, id, err));
    if (x->n_steps > first)
        x->step[first].a = cut_up ? NB_NN_PART_OF_WHOLE : -1;
    return NB_OK;
}

static NB_FALLIBLE conv_node_backward(NbExecutor *x, NbNodeId id, NbError *err) {
    return in_bands(x, id) ? NB_OK : conv_backward(x, x->value[id].conv, err);
}

/* The same for gradients: a step for each input, or as `plan` says. Others pass none on. */
static const NodePlan backward[NB_OP_COUNT] = {
    [NB_OP_CONV] = {.plan = conv_node_backward},
    [NB_OP_MAXPOOL] = {.run = nb_nn_pool_backward},
    [NB_OP_UPSAMPLE] = {.run = nb_nn_upsample_backward},
    [NB_OP_PAD] = {.run = nb_nn_pad_backward},
    [NB_OP_CONCAT] = {.run = nb_nn_move_backward},
    [NB_OP_ADD] = {.plan = arithmetic_backward},
    [NB_OP_SUB] = {.plan = arithmetic_backward},
    [NB_OP_MUL] = {.plan = arithmetic_backward},
    [NB_OP_DIV] = {.plan = arithmetic_backward},
    [NB_OP_MATMUL] = {.run = nb_nn_matmul_backward},
    [NB_OP_SOFTMAX] = {.run = nb_nn_softmax_backward},
    [NB_OP_SLICE] = {.plan = slice_backward},
    [NB_OP_TRANSPOSE] = {.run = nb_nn_move_backward},
    [NB_OP_RESHAPE] = {.run = nb_nn_move_backward},
};

static NB_FALLIBLE node_backward(NbExecutor *x, NbNodeId id, NbError *err) {
    const NodePlan *const how = &backward[x->g->node[id].op];
    const int chain = x->value[id].chain;
    if (!has_gradient(x, id))
        return NB_OK;
    if (chain >= 0)
        return chain_backward(x, chain, err);
    if (how->plan)
        return how->plan(x, id, err);
    return how->run ? inputs_backward(x, how->run, id, err) : NB_OK;
}

static bool computed(const NbExecutor *x, NbNodeId id) {
    const NbNnValue *const v = &x->value[id];
    return v->live && v->is_activation && v->source == id;
}

static NB_FALLIBLE make_backward(NbExecutor *x, NbError *err) {
    for (int i = x->options.first_output; i < x->g->n_outputs; i++) {
        const NbNodeId id = x->value[x->g->output[i]].source;
        if (!x->value[x->g->output[i]].needs_grad)
            continue;
        NB_TRY(add_step(x, &(NbNnStep){.run = nb_nn_seed_backward, .node = id, .unit = i}, err));
        NB_TRY(gives(x, id, err));
    }
    for (NbNodeId id = x->g->n_nodes - 1; id >= 0; id--)
        if (computed(x, id) && x->value[id].needs_grad)
            NB_TRY(node_backward(x, id, err));
    return end_phase(x, err);
}

NbStatus nb_nn_make_steps(NbExecutor *x, NbError *err) {
    for (NbNodeId id = 0; id < x->g->n_nodes; id++)
        if (computed(x, id))
            NB_TRY(node_forward(x, id, err));
    for (int i = 0; i < x->g->n_outputs; i++) {
        x->output[i] = -1;
        if (i >= x->options.first_output)
            NB_TRY(make_output(x, i, err));
    }
    NB_TRY(end_phase(x, err));
    x->n_forward_phases = x->n_phases;
    return x->options.training ? make_backward(x, err) : NB_OK;
}
