/* SPDX-License-Identifier: Apache-2.0
 *
 * Which values of rank 4 are pictures, held NHWC. Convolutions and their like want them so, and so
 * do the callers of outputs; what is between a RESHAPE or MATMUL and the next one is row-major.
 * SLICE, TRANSPOSE, RESHAPE, CONCAT, MATMUL and arithmetic read and write both, element-wise nodes
 * pass on what they get. */
#include "nn/internal.h"

/* Reads and writes pictures. */
static bool wants_image(NbOp op) {
    return op == NB_OP_CONV || op == NB_OP_MAXPOOL || op == NB_OP_UPSAMPLE || op == NB_OP_PAD ||
           op == NB_OP_BATCHNORM;
}

/* Input and output have one layout. */
static bool keeps_layout(NbOp op) {
    return op == NB_OP_RELU || op == NB_OP_LEAKY_RELU || op == NB_OP_SILU || op == NB_OP_SIGMOID ||
           op == NB_OP_HARDTANH || op == NB_OP_SCALE || op == NB_OP_QUANT || op == NB_OP_DETACH ||
           op == NB_OP_SOFTMAX || op == NB_OP_ADD;
}

static bool is_rank4(const NbExecutor *x, NbNodeId id) {
    return x->value[id].is_activation && x->g->node[id].shape.rank == 4;
}

/* Makes a value an image; answers whether that is new. */
static bool make_image(NbExecutor *x, NbNodeId id) {
    const bool news = is_rank4(x, id) && !x->value[id].image;
    x->value[id].image = x->value[id].image || news;
    return news;
}

static bool inputs_are_images(NbExecutor *x, const NbNode *node) {
    bool news = false;
    for (int i = 0; i < node->n_in; i++)
        if (nb_shape_equal(&x->g->node[node->in[i]].shape, &node->shape) || i == 0)
            news = make_image(x, node->in[i]) || news;
    return news;
}

static bool any_input_is_image(const NbExecutor *x, const NbNode *node) {
    for (int i = 0; i < node->n_in; i++)
        if (x->value[node->in[i]].image)
            return true;
    return false;
}

/* What one node says about itself and its inputs; true: something changed. */
static bool settle(NbExecutor *x, NbNodeId id) {
    const NbNode *const node = &x->g->node[id];
    const NbOp op = node->op;
    bool news = false;
    if (op == NB_OP_TRANSPOSE || op == NB_OP_MATMUL)
        return false;
    if (op == NB_OP_INPUT || wants_image(op) || (op == NB_OP_RESHAPE && node->n_in == 2) ||
        (op != NB_OP_RESHAPE && any_input_is_image(x, node)))
        news = make_image(x, id);
    if (x->value[id].image && (wants_image(op) || keeps_layout(op)))
        news = inputs_are_images(x, node) || news;
    return news;
}

void nb_nn_choose_layouts(NbExecutor *x) {
    for (int i = x->options.first_output; i < x->g->n_outputs; i++)
        (void)make_image(x, x->g->output[i]);
    for (bool news = true; news;) {
        news = false;
        for (NbNodeId id = 0; id < x->g->n_nodes; id++)
            if (x->value[id].live && x->value[id].is_activation)
                news = settle(x, id) || news;
    }
    for (NbNodeId id = 0; id < x->g->n_nodes; id++) {
        NbNnValue *const v = &x->value[id];
        const NbShape *const s = &x->g->node[id].shape;
        v->h = v->image ? (int)s->dim[2] : 1;
        v->w = v->image ? (int)s->dim[3] : (int)v->count;
        v->c = v->image ? (int)s->dim[1] : 1;
    }
}
