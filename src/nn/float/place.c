/* SPDX-License-Identifier: Apache-2.0
 *
 * Where values are written. What a concatenation of channels joins is written into its buffer at
 * once where that is possible; slices of channels are views. */
#include "nn/float/internal.h"

#include <string.h>

int nb_float_buffer(NbFloatEngine *x, size_t floats) {
    if (x->n_buffers == x->buffer_capacity) {
        const int capacity = x->buffer_capacity ? 2 * x->buffer_capacity : 64;
        NbFloatBuffer *const more = NB_NEW(&x->arena, NbFloatBuffer, (size_t)capacity);
        if (!more)
            return NB_FLOAT_NOWHERE;
        if (x->n_buffers)
            memcpy(more, x->buffer, (size_t)x->n_buffers * sizeof *more);
        x->buffer = more;
        x->buffer_capacity = capacity;
    }
    x->buffer[x->n_buffers] = (NbFloatBuffer){.floats = floats, .first = -1, .last = -1};
    return x->n_buffers++;
}

NbStatus nb_float_make_nhwc(NbFloatEngine *x, NbNodeId id, NbFloatPlace *out, NbError *err) {
    NbFloatValue *const v = nb_float_value(x, id);
    if (!nb_float_somewhere(&v->nhwc)) {
        const int buffer = nb_float_buffer(x, v->count);
        if (buffer < 0)
            return nb_fail_memory(err, "buffers");
        v->nhwc = (NbFloatPlace){.buffer = buffer, .ld = v->c};
    }
    v->has_nhwc = true;
    *out = v->nhwc;
    return NB_OK;
}

NbStatus nb_float_make_plain(NbFloatEngine *x, NbNodeId id, NbFloatPlace *out, NbError *err) {
    NbFloatValue *const v = nb_float_value(x, id);
    if (!nb_float_somewhere(&v->plain)) {
        const int buffer = nb_float_buffer(x, v->count);
        if (buffer < 0)
            return nb_fail_memory(err, "buffers");
        v->plain = (NbFloatPlace){.buffer = buffer};
    }
    *out = v->plain;
    return NB_OK;
}

/* Whether both orders are the same memory. */
static bool orders_agree(const NbFloatValue *v, const NbFloatPlace *nhwc) {
    return nhwc->ld == v->c && (v->c == 1 || v->h * v->w == 1);
}

NbStatus nb_float_nhwc(NbFloatEngine *x, NbNodeId id, NbFloatPlace *out, NbError *err) {
    NbFloatValue *const v = nb_float_value(x, id);
    if (v->has_nhwc) {
        *out = v->nhwc;
        return NB_OK;
    }
    const NbFloatPlace from = v->plain;
    if (!nb_float_somewhere(&v->nhwc) && orders_agree(v, &(NbFloatPlace){.ld = v->c})) {
        v->nhwc = from;
        v->nhwc.ld = v->c;
        v->has_nhwc = true;
        *out = v->nhwc;
        return NB_OK;
    }
    NB_TRY(nb_float_make_nhwc(x, id, out, err));
    return nb_float_convert(x, x->value[id].source, false, &from, out, err);
}

NbStatus nb_float_plain(NbFloatEngine *x, NbNodeId id, NbFloatPlace *out, NbError *err) {
    NbFloatValue *const v = nb_float_value(x, id);
    if (!nb_float_somewhere(&v->plain) && v->has_nhwc && orders_agree(v, &v->nhwc))
        v->plain = v->nhwc;
    if (nb_float_somewhere(&v->plain)) {
        *out = v->plain;
        return NB_OK;
    }
    const NbFloatPlace from = v->nhwc;
    NB_TRY(nb_float_make_plain(x, id, out, err));
    return nb_float_convert(x, x->value[id].source, true, &from, out, err);
}

/* Operators whose step can write a range of channels of a wider buffer. */
static bool can_be_placed(const NbFloatEngine *x, NbNodeId id) {
    const NbFloatValue *const v = &x->value[id];
    if (nb_float_somewhere(&v->nhwc) || nb_float_somewhere(&v->plain) || !v->image)
        return false;
    if (v->conv >= 0)
        return true;
    const NbOp op = x->g->node[id].op;
    return op == NB_OP_MAXPOOL || op == NB_OP_UPSAMPLE || op == NB_OP_BATCHNORM ||
           (op == NB_OP_CONCAT && x->g->node[id].attr.concat.axis == 1);
}

static bool is_channel_slice(const NbNode *node) {
    return node->op == NB_OP_SLICE && node->shape.rank == 4 && node->attr.slice.axis == 1 &&
           node->attr.slice.step == 1;
}

/* Whether inputs i, i + 1, ... are slices that give all channels of one value in order; *whole is
 * that value. Returns how many inputs those are, 0: not so. */
static int slices_of_one(const NbFloatEngine *x, const NbNode *concat, int i, NbNodeId *whole) {
    NbNodeId one = -1;
    int64_t at = 0;
    for (int k = i; k < concat->n_in; k++) {
        const NbNode *const part = &x->g->node[x->value[concat->in[k]].source];
        if (!is_channel_slice(part) || part->attr.slice.start != at)
            return 0;
        const NbNodeId from = x->value[part->in[0]].source;
        if (k > i && from != one)
            return 0;
        one = from;
        at = part->attr.slice.stop;
        if (at == x->g->node[from].shape.dim[1]) {
            *whole = one;
            return k - i + 1;
        }
    }
    return 0;
}

static void place_parts(NbFloatEngine *x, const NbNode *concat, const NbFloatPlace *all) {
    size_t offset = all->offset;
    for (int i = 0; i < concat->n_in; i++) {
        NbNodeId id = x->value[concat->in[i]].source;
        const int slices = slices_of_one(x, concat, i, &id);
        if (can_be_placed(x, id)) {
            x->value[id].nhwc = *all;
            x->value[id].nhwc.offset = offset;
        }
        offset += x->value[id].c;
        i += slices > 0 ? slices - 1 : 0;
    }
}

/* From the last to the first, so that the inputs of a concatenation that is itself joined to more
 * go to the final place. */
NbStatus nb_float_place_concats(NbFloatEngine *x, NbError *err) {
    for (NbNodeId id = x->g->n_nodes - 1; id >= 0; id--) {
        const NbNode *const node = &x->g->node[id];
        NbFloatValue *const v = &x->value[id];
        if (!v->live || node->op != NB_OP_CONCAT || !v->image || node->attr.concat.axis != 1)
            continue;
        NbFloatPlace all;
        NB_TRY(nb_float_make_nhwc(x, id, &all, err));
        v->has_nhwc = false;
        place_parts(x, node, &all);
    }
    return NB_OK;
}
