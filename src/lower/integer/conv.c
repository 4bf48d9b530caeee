/* SPDX-License-Identifier: Apache-2.0
 *
 * Convolutions of codes: integer weights, scales, and which sums can occur. */
#include "lower/integer/lowering.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

const char *nb_lowering_name(const NbLowering *l, const char *base, const char *suffix) {
    const char *name = nb_arena_printf(l->scratch, "%s%s", base, suffix);
    for (int i = 2; name && nb_graph_find(l->out, name) >= 0; i++)
        name = nb_arena_printf(l->scratch, "%s%s.%d", base, suffix, i);
    return name;
}

/* The learned value of a QUANT node; NULL when it has none. */
static NB_FALLIBLE value_of(const NbGraph *g, const NbNode *quant, const float **value,
                            NbError *err) {
    *value = NULL;
    if (quant->n_in < 2)
        return NB_OK;
    const NbNode *param = &g->node[quant->in[1]];
    if (!param->param.data)
        return nb_fail(NB_ERR_ARGUMENT, err, "parameter '%s' has no data", param->name);
    *value = nb_f32(&param->param);
    return NB_OK;
}

NbStatus nb_lowering_scale(const NbLowering *l, NbNodeId id, float *scale, NbError *err) {
    const NbNode *source = &l->g->node[l->g->node[id].scale_source];
    if (source->op == NB_OP_INPUT) {
        *scale = source->attr.input.scale;
        return NB_OK;
    }
    if (source->op != NB_OP_QUANT)
        return nb_fail(NB_ERR_UNSUPPORTED, err, "'%s' is a %s: the graph is lowered already",
                       source->name, nb_op_name(source->op));
    const float *value = NULL;
    NB_TRY(value_of(l->g, source, &value, err));
    nb_quant_scale(&source->attr.quant, NULL, 1, 0, value, scale);
    if (!(*scale > 0.0F) || !isfinite(*scale))
        return nb_fail(NB_ERR_FORMAT, err, "the scale of '%s' is %g, a positive number expected",
                       source->name, (double)*scale);
    return NB_OK;
}

static NB_FALLIBLE check_operands(const NbLowering *l, const NbNode *conv, NbError *err) {
    const NbNode *x = &l->g->node[conv->in[0]];
    const NbNode *w = &l->g->node[conv->in[1]];
    if (w->op != NB_OP_QUANT || l->g->node[w->in[0]].op != NB_OP_PARAM)
        return nb_fail(NB_ERR_UNSUPPORTED, err,
                       "the weights of '%s' have no quantizer; give the layer weight bits",
                       conv->name);
    if (x->kind != NB_VALUE_CODED)
        return nb_fail(NB_ERR_UNSUPPORTED, err,
                       "the input of '%s' ('%s') is not quantized; give the layer before it "
                       "activation bits",
                       conv->name, x->name);
    if (nb_graph_zero(l->g, conv->in[0]) != 0.0F || nb_graph_zero(l->g, conv->in[1]) != 0.0F)
        return nb_fail(NB_ERR_UNSUPPORTED, err,
                       "'%s' reads codes with a zero point; integers have none yet", conv->name);
    if (!l->g->node[w->in[0]].param.data)
        return nb_fail(NB_ERR_ARGUMENT, err, "parameter '%s' has no data",
                       l->g->node[w->in[0]].name);
    return NB_OK;
}

static NB_FALLIBLE code_weights(const NbLowering *l, const NbNode *conv, NbCodedConv *out,
                                NbError *err) {
    const NbNode *quant = &l->g->node[conv->in[1]];
    const NbQuantSpec *spec = &quant->attr.quant;
    const float *w = nb_f32(&l->g->node[quant->in[0]].param);
    const size_t count = out->outputs * out->fan_in;
    const size_t rows = spec->per_channel ? out->outputs : 1;
    float *codes = NB_NEW(l->scratch, float, count);
    float *scale = NB_NEW(l->scratch, float, rows);
    if (!codes || !scale)
        return nb_fail_memory(err, "weights");
    const float *value = NULL;
    NB_TRY(value_of(l->g, quant, &value, err));
    nb_quant_scale(spec, w, rows, count / rows, value, scale);
    nb_quant_codes(spec, w, rows, count / rows, scale, NULL, codes);
    for (size_t i = 0; i < count; i++) {
        if (!(codes[i] >= INT8_MIN && codes[i] <= INT8_MAX))
            return nb_fail(isfinite(codes[i]) ? NB_ERR_UNSUPPORTED : NB_ERR_FORMAT, err,
                           "weight %zu of '%s' has the code %g, %d to %d expected; use signed "
                           "weights of at most 8 bits",
                           i, conv->name, (double)codes[i], INT8_MIN, INT8_MAX);
        out->weight[i] = (int8_t)codes[i];
    }
    float x_scale = 0.0F;
    NB_TRY(nb_lowering_scale(l, conv->in[0], &x_scale, err));
    for (size_t c = 0; c < out->outputs; c++)
        out->scale[c] = x_scale * scale[rows == 1 ? 0 : c];
    return NB_OK;
}

static NB_FALLIBLE find_ranges(const NbLowering *l, const NbNode *conv, NbCodedConv *out,
                               NbError *err) {
    const NbGrid grid = l->g->node[conv->in[0]].grid;
    const NbRange x = nb_range_of_grid(grid);
    for (size_t c = 0; c < out->outputs; c++) {
        const NbRange r = nb_range_of_row_i8(x, out->weight + c * out->fan_in, out->fan_in);
        if (nb_range_size(r) >= INT32_MAX) /* INT32_MAX is the threshold that is never reached */
            return nb_fail(NB_ERR_UNSUPPORTED, err,
                           "sums of channel %zu of '%s' lie in %" PRId64 " to %" PRId64
                           ", which int32 cannot hold; use fewer bits or groups",
                           c, conv->name, r.min, r.max);
        out->range[c] = r;
    }
    return NB_OK;
}

NbStatus nb_lowering_conv(const NbLowering *l, NbNodeId id, NbCodedConv *conv, NbError *err) {
    const NbNode *node = &l->g->node[id];
    NB_TRY(check_operands(l, node, err));
    const NbShape *w = &l->g->node[node->in[1]].shape;
    *conv = (NbCodedConv){.id = id, .outputs = (size_t)w->dim[0]};
    conv->fan_in = nb_shape_count(w) / conv->outputs;
    conv->weight = NB_NEW(l->scratch, int8_t, conv->outputs * conv->fan_in);
    conv->scale = NB_NEW(l->scratch, float, conv->outputs);
    conv->range = NB_NEW(l->scratch, NbRange, conv->outputs);
    if (!conv->weight || !conv->scale || !conv->range)
        return nb_fail_memory(err, "a convolution");
    if (node->n_in == 3) {
        const NbNode *bias = &l->g->node[node->in[2]];
        if (bias->op != NB_OP_PARAM || !bias->param.data)
            return nb_fail(NB_ERR_UNSUPPORTED, err, "the bias of '%s' ('%s') is no constant",
                           node->name, bias->name);
        conv->bias = nb_f32(&bias->param);
    }
    NB_TRY(code_weights(l, node, conv, err));
    return find_ranges(l, node, conv, err);
}

NbStatus nb_lowering_emit_conv(const NbLowering *l, const NbCodedConv *conv, NbNodeId *id,
                               NbError *err) {
    const NbNode *node = &l->g->node[conv->id];
    const char *name = nb_lowering_name(l, node->name, ".sum");
    const char *weight = name ? nb_lowering_name(l, name, ".weight") : NULL;
    if (!weight)
        return nb_fail_memory(err, "a name");
    NbNodeId in[2] = {l->codes[node->in[0]], -1};
    NB_TRY(nb_graph_add_param(l->out, weight, NB_PARAM_CONST, NB_I8, &l->g->node[node->in[1]].shape,
                              &in[1], err));
    memcpy(l->out->node[in[1]].param.data, conv->weight, conv->outputs * conv->fan_in);
    NB_TRY(nb_graph_add(l->out, NB_OP_CONV, name, 2, in, &node->attr, id, err));
    l->out->node[*id].layer = node->layer;
    return NB_OK;
}
