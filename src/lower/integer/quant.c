/* SPDX-License-Identifier: Apache-2.0
 *
 * A quantizer becomes thresholds on the integers in front of it. */
#include "lower/integer/lowering.h"

#include <string.h>

enum { MAX_BITS = 8 };

static NB_FALLIBLE unsupported_source(const NbNode *node, const NbNode *quant, NbError *err) {
    if (node->op == NB_OP_ADD || node->op == NB_OP_CONCAT)
        return nb_fail(NB_ERR_UNSUPPORTED, err,
                       "the inputs of %s '%s' do not share one scale; quantize them with one "
                       "quantizer",
                       nb_op_name(node->op), node->name);
    return nb_fail(NB_ERR_UNSUPPORTED, err,
                   "%s '%s' in front of quantizer '%s' works on real numbers; put the quantizer "
                   "in front of it",
                   nb_op_name(node->op), node->name, quant->name);
}

/* Walks from the quantizer back to the integers it depends on. */
static NB_FALLIBLE trace(const NbLowering *l, NbNodeId id, NbChain *chain, NbNodeId *source,
                         NbError *err) {
    const NbGraph *g = l->g;
    NbNodeId at = g->node[id].in[0];
    while (g->node[at].kind == NB_VALUE_REAL && g->node[at].op != NB_OP_CONV) {
        const NbNode *node = &g->node[at];
        if (node->op == NB_OP_PARAM || node->op == NB_OP_ADD || node->op == NB_OP_CONCAT ||
            node->op == NB_OP_MAXPOOL || node->op == NB_OP_UPSAMPLE || node->op == NB_OP_PAD ||
            node->op == NB_OP_DEQUANT)
            return unsupported_source(node, &g->node[id], err);
        NB_TRY(nb_chain_prepend(chain, g, at, l->scratch, err));
        at = node->in[0];
    }
    *source = at;
    return NB_OK;
}

static NB_FALLIBLE start_chain(const NbLowering *l, NbNodeId id, NbChain *chain, NbError *err) {
    const NbNode *node = &l->g->node[id];
    const NbGrid grid = nb_quant_code_grid(&node->attr.quant);
    if (grid.bits > MAX_BITS)
        return nb_fail(NB_ERR_UNSUPPORTED, err, "activations of %d bits; integers go up to %d bits",
                       grid.bits, MAX_BITS);
    *chain = (NbChain){.spec = node->attr.quant,
                       .channels = (size_t)node->shape.dim[1],
                       .lo = nb_grid_lo(grid),
                       .hi = nb_grid_hi(grid)};
    return nb_lowering_scale(l, id, &chain->quant_scale, err);
}

NbStatus nb_lowering_emit_threshold(const NbLowering *l, NbNodeId quant, const char *name,
                                    const NbCodes *codes, NbNodeId x, const int32_t *thresholds,
                                    NbNodeId *id, NbError *err) {
    const NbNode *node = &l->g->node[quant];
    const int64_t levels = nb_grid_hi(codes->grid) - nb_grid_lo(codes->grid);
    const NbShape shape = nb_shape(2, (const int64_t[]){node->shape.dim[1], levels});
    const char *param = nb_lowering_name(l, name, ".thresholds");
    if (!param)
        return nb_fail_memory(err, "a name");
    NbNodeId in[2] = {x, -1};
    NB_TRY(nb_graph_add_param(l->out, param, NB_PARAM_CONST, NB_I32, &shape, &in[1], err));
    memcpy(l->out->node[in[1]].param.data, thresholds, nb_shape_count(&shape) * sizeof *thresholds);
    NbAttr attr = {0};
    attr.threshold.grid = codes->grid;
    attr.threshold.scale = codes->scale;
    NB_TRY(nb_graph_add(l->out, NB_OP_THRESHOLD, name, 2, in, &attr, id, err));
    l->out->node[*id].layer = node->layer;
    return NB_OK;
}

static NB_FALLIBLE after_conv(const NbLowering *l, NbNodeId id, NbNodeId source, NbChain *chain,
                              int32_t *thresholds, NbNodeId *x, NbError *err) {
    NbCodedConv conv;
    NB_TRY(nb_lowering_conv(l, source, &conv, err));
    chain->scale = conv.scale;
    chain->bias = conv.bias;
    const size_t levels = (size_t)(chain->hi - chain->lo);
    for (size_t c = 0; c < conv.outputs; c++) {
        bool falling = false;
        NB_TRY(
            nb_chain_thresholds(chain, c, conv.range[c], thresholds + c * levels, &falling, err));
        int8_t *weight = conv.weight + c * conv.fan_in;
        for (size_t i = 0; falling && i < conv.fan_in; i++) {
            if (weight[i] == INT8_MIN)
                return nb_fail(NB_ERR_UNSUPPORTED, err,
                               "channel %zu of '%s' falls and holds the weight %d, which cannot "
                               "be negated; use a narrow weight grid",
                               c, l->g->node[id].name, INT8_MIN);
            weight[i] = (int8_t)-weight[i];
        }
    }
    return nb_lowering_emit_conv(l, &conv, x, err);
}

static NB_FALLIBLE after_codes(const NbLowering *l, NbNodeId source, NbChain *chain,
                               int32_t *thresholds, NbError *err) {
    const NbGrid grid = l->g->node[source].grid;
    float *scale = NB_NEW(l->scratch, float, chain->channels);
    if (!scale)
        return nb_fail_memory(err, "scales");
    NB_TRY(nb_lowering_scale(l, source, &scale[0], err));
    for (size_t c = 1; c < chain->channels; c++)
        scale[c] = scale[0];
    chain->scale = scale;
    const NbRange range = nb_range_of_grid(grid);
    const size_t levels = (size_t)(chain->hi - chain->lo);
    for (size_t c = 0; c < chain->channels; c++) {
        bool falling = false;
        NB_TRY(nb_chain_thresholds(chain, c, range, thresholds + c * levels, &falling, err));
        if (falling)
            return nb_fail(NB_ERR_UNSUPPORTED, err,
                           "channel %zu falls as the codes of '%s' grow; only behind a "
                           "convolution can the sign be moved into weights",
                           c, l->g->node[source].name);
        if (chain->curved && !nb_chain_check(chain, c, range, thresholds + c * levels))
            return nb_fail(NB_ERR_UNSUPPORTED, err,
                           "'%s' falls and rises over the codes of '%s'; use an unsigned quantizer "
                           "behind it",
                           chain->curved, l->g->node[source].name);
    }
    return NB_OK;
}

NbStatus nb_lowering_quant(const NbLowering *l, NbNodeId id, NbError *err) {
    NbChain chain = {0};
    NbNodeId source = -1;
    NB_TRY(start_chain(l, id, &chain, err));
    NB_TRY(trace(l, id, &chain, &source, err));
    const bool behind_codes = l->g->node[source].kind == NB_VALUE_CODED;
    if (chain.curved && !behind_codes)
        return nb_lowering_curve(l, id, source, &chain, err);
    int32_t *thresholds =
        NB_NEW(l->scratch, int32_t, chain.channels * (size_t)(chain.hi - chain.lo));
    if (!thresholds)
        return nb_fail_memory(err, "thresholds");
    NbNodeId x = l->codes[source];
    if (behind_codes)
        NB_TRY(after_codes(l, source, &chain, thresholds, err));
    else
        NB_TRY(after_conv(l, id, source, &chain, thresholds, &x, err));
    const NbCodes codes = {nb_quant_code_grid(&chain.spec), chain.quant_scale};
    return nb_lowering_emit_threshold(l, id, l->g->node[id].name, &codes, x, thresholds,
                                      &l->codes[id], err);
}
