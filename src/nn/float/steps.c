/* SPDX-License-Identifier: Apache-2.0
 *
 * From nodes to steps, in the order of the graph. */
#include "nn/float/internal.h"

#include <string.h>

NbFloatStep *nb_float_add_step(NbFloatEngine *x, NbFloatRun *run, const char *what, NbNodeId node,
                               int n_in, size_t unit) {
    if (x->n_steps == x->step_capacity) {
        const int capacity = x->step_capacity ? 2 * x->step_capacity : 128;
        NbFloatStep *const more = NB_NEW(&x->arena, NbFloatStep, (size_t)capacity);
        if (!more)
            return NULL;
        if (x->n_steps)
            memcpy(more, x->step, (size_t)x->n_steps * sizeof *more);
        x->step = more;
        x->step_capacity = capacity;
    }
    NbFloatStep *const s = &x->step[x->n_steps];
    *s = (NbFloatStep){.run = run, .what = what, .node = node, .items = 1, .n_in = n_in};
    s->in = NB_NEW(&x->arena, NbFloatPlace, (size_t)n_in);
    s->unit = nb_arena_take(&x->arena, 1, unit);
    s->out.buffer = NB_FLOAT_NOWHERE;
    for (int i = 0; s->in && i < n_in; i++)
        s->in[i].buffer = NB_FLOAT_NOWHERE;
    if (!s->in || !s->unit)
        return NULL;
    x->n_steps++;
    return s;
}

static NB_FALLIBLE add_concat(NbFloatEngine *x, NbNodeId id, NbError *err) {
    const NbNode *const node = &x->g->node[id];
    const NbFloatValue *const v = &x->value[id];
    if (!v->image || node->attr.concat.axis != 1)
        return nb_float_add_generic(x, id, err);
    NbFloatPlace to;
    NB_TRY(nb_float_make_nhwc(x, id, &to, err));
    for (int i = 0; i < node->n_in; i++) {
        const NbFloatValue *const part = nb_float_value(x, node->in[i]);
        NbFloatPlace from;
        NB_TRY(nb_float_nhwc(x, node->in[i], &from, err));
        if (from.buffer != to.buffer || from.offset != to.offset)
            NB_TRY(nb_float_copy_rows(x, id, &from, &to, v->n * v->h * v->w, part->c, err));
        to.offset += part->c;
    }
    return NB_OK;
}

/* The same memory with another shape. */
static NB_FALLIBLE add_reshape(NbFloatEngine *x, NbNodeId id, NbError *err) {
    return nb_float_plain(x, x->g->node[id].in[0], &x->value[id].plain, err);
}

typedef NbStatus Add(NbFloatEngine *x, NbNodeId id, NbError *err);

/* NULL: the interpreter's definition. */
static Add *const adders[NB_OP_COUNT] = {[NB_OP_INPUT] = nb_float_add_input,
                                         [NB_OP_BATCHNORM] = nb_float_add_norm,
                                         [NB_OP_RELU] = nb_float_add_unary,
                                         [NB_OP_LEAKY_RELU] = nb_float_add_unary,
                                         [NB_OP_SILU] = nb_float_add_unary,
                                         [NB_OP_SIGMOID] = nb_float_add_unary,
                                         [NB_OP_HARDTANH] = nb_float_add_unary,
                                         [NB_OP_SCALE] = nb_float_add_unary,
                                         [NB_OP_ADD] = nb_float_add_binary,
                                         [NB_OP_SUB] = nb_float_add_binary,
                                         [NB_OP_MUL] = nb_float_add_binary,
                                         [NB_OP_DIV] = nb_float_add_binary,
                                         [NB_OP_MATMUL] = nb_float_add_matmul,
                                         [NB_OP_SOFTMAX] = nb_float_add_softmax,
                                         [NB_OP_MAXPOOL] = nb_float_add_pool,
                                         [NB_OP_UPSAMPLE] = nb_float_add_upsample,
                                         [NB_OP_CONCAT] = add_concat,
                                         [NB_OP_SLICE] = nb_float_add_slice,
                                         [NB_OP_TRANSPOSE] = nb_float_add_transpose,
                                         [NB_OP_RESHAPE] = add_reshape};

static NB_FALLIBLE add_node(NbFloatEngine *x, NbNodeId id, NbError *err) {
    Add *const add = adders[x->g->node[id].op];
    return add ? add(x, id, err) : nb_float_add_generic(x, id, err);
}

static NB_FALLIBLE find_outputs(NbFloatEngine *x, NbError *err) {
    for (int i = 0; i < x->n_outputs; i++) {
        const NbNodeId id = x->g->output[x->options.first_output + i];
        const NbFloatValue *const v = nb_float_value(x, id);
        x->output_count[i] = v->count;
        x->output_shape[i] = x->g->node[id].shape;
        if (!v->image || x->options.plain) {
            NB_TRY(nb_float_plain(x, id, &x->output[i], err));
            continue;
        }
        NbFloatPlace from;
        NB_TRY(nb_float_nhwc(x, id, &from, err));
        x->output[i] = from;
        if (from.ld == v->c)
            continue;
        const int buffer = nb_float_buffer(x, v->count);
        if (buffer < 0)
            return nb_fail_memory(err, "outputs");
        x->output[i] = (NbFloatPlace){.buffer = buffer, .ld = v->c};
        NB_TRY(nb_float_copy_rows(x, id, &from, &x->output[i], v->n * v->h * v->w, v->c, err));
    }
    return NB_OK;
}

NbStatus nb_float_make_steps(NbFloatEngine *x, NbError *err) {
    for (NbNodeId id = 0; id < x->g->n_nodes; id++) {
        const NbFloatValue *const v = &x->value[id];
        if (!v->live || v->absorbed || v->constant || v->source != id)
            continue;
        if (v->conv >= 0)
            NB_TRY_IN(nb_float_add_conv(x, &x->conv[v->conv], err), err, "'%s'",
                      x->g->node[id].name);
        else
            NB_TRY_IN(add_node(x, id, err), err, "'%s'", x->g->node[id].name);
    }
    return find_outputs(x, err);
}
