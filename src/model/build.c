/* SPDX-License-Identifier: Apache-2.0
 *
 * The parts that modules are made of. */
#include "model/build.h"

#include <stdio.h>
#include <string.h>

enum { MAX_PATH = 160 };
static const float batchnorm_eps = 1e-3F;
static const float batchnorm_momentum = 0.03F;
static const float first_clip = 6.0F; /* where a learned clip starts */

/* A name that is too long for the buffer would collide: nb_graph_add finds out. */
static const char *join(char out[MAX_PATH], const char *path, const char *part) {
    (void)snprintf(out, MAX_PATH, "%s.%s", path, part);
    return out;
}

static NB_FALLIBLE add_param(NbBuild *b, const char *path, const char *part, NbParamRole role,
                             const NbShape *shape, NbNodeId *id, NbError *err) {
    char name[MAX_PATH];
    return nb_graph_add_param(b->g, join(name, path, part), role, NB_F32, shape, id, err);
}

void nb_build_bits(const NbBuild *b, const char *path, NbTap x, bool last, int *weight,
                   int *activation) {
    if (!b->bits)
        return;
    const NbNodeId source = b->g->node[x.node].scale_source;
    const bool first = source >= 0 && b->g->node[source].op == NB_OP_INPUT;
    nb_bits_for(b->bits, path, first, last, weight, activation);
}

static NbQuantSpec weight_spec(const NbBuild *b, int bits) {
    NbQuantSpec spec = {.kind = bits == 1 ? NB_QUANT_BINARY : NB_QUANT_INT,
                        .grid = {.bits = bits, .is_signed = true, .narrow = true},
                        .scale_from = NB_SCALE_STATS,
                        .per_channel = true,
                        .ste_clamp = true,
                        .scale_min = 2e-16F};
    if (bits > 1 && b->steps) {
        spec.grid.narrow = bits == 8; /* kernels of 8 bits want codes without -128 */
        spec.scale_from = NB_SCALE_PARAMETER;
        spec.restrict_to = NB_RESTRICT_STEP;
        spec.lsq_gradient = true;
        spec.scale_min = 0.0F;
        spec.init = 1.0F;
    }
    if (bits > 1)
        return spec;
    spec.scale_from = b->compat ? NB_SCALE_CONST : NB_SCALE_MEAN;
    spec.per_channel = !b->compat;
    spec.init = 1.0F;
    return spec;
}

static NB_FALLIBLE add_weight(NbBuild *b, const char *path, const NbShape *shape, int bits,
                              NbNodeId *out, NbError *err) {
    char name[MAX_PATH];
    NB_TRY(add_param(b, path, "weight", NB_PARAM_WEIGHT, shape, out, err));
    if (!bits)
        return NB_OK;
    const NbAttr attr = {.quant = weight_spec(b, bits)};
    const bool learned = attr.quant.scale_from == NB_SCALE_PARAMETER;
    const NbShape rows = nb_shape(1, shape->dim);
    NbNodeId in[2] = {*out, -1};
    if (learned)
        NB_TRY(add_param(b, path, "weight_quant.step", NB_PARAM_QUANT, &rows, &in[1], err));
    return nb_graph_add(b->g, NB_OP_QUANT, join(name, path, "weight_quant"), learned ? 2 : 1, in,
                        &attr, out, err);
}

NbStatus nb_build_conv(NbBuild *b, const char *path, NbTap x, const NbConvShape *s,
                       NbConvOptions options, NbTap *out, NbError *err) {
    const NbShape shape =
        nb_shape(4, (const int64_t[]){s->c2, x.channels / s->groups, s->kernel[0], s->kernel[1]});
    const NbShape vector = nb_shape(1, (const int64_t[]){s->c2});
    NbNodeId in[3] = {x.node, -1, -1};
    NB_TRY(add_weight(b, path, &shape, options.weight_bits, &in[1], err));
    if (options.bias)
        NB_TRY(add_param(b, path, "bias", NB_PARAM_BIAS, &vector, &in[2], err));
    const NbAttr attr = {.conv = {.kernel = {s->kernel[0], s->kernel[1]},
                                  .stride = {s->stride[0], s->stride[1]},
                                  .pad = {s->pad[0], s->pad[1], s->pad[0], s->pad[1]},
                                  .dilation = {1, 1},
                                  .groups = s->groups}};
    NB_TRY(nb_graph_add(b->g, NB_OP_CONV, path, options.bias ? 3 : 2, in, &attr, &out->node, err));
    out->channels = s->c2;
    return NB_OK;
}

NbStatus nb_build_batchnorm(NbBuild *b, const char *path, NbTap x, NbTap *out, NbError *err) {
    static const struct {
        const char *part;
        NbParamRole role;
    } parts[4] = {{"weight", NB_PARAM_GAMMA},
                  {"bias", NB_PARAM_BETA},
                  {"running_mean", NB_PARAM_MEAN},
                  {"running_var", NB_PARAM_VAR}};
    const NbShape vector = nb_shape(1, (const int64_t[]){x.channels});
    NbNodeId in[5] = {x.node, -1, -1, -1, -1};
    for (int i = 0; i < 4; i++)
        NB_TRY(add_param(b, path, parts[i].part, parts[i].role, &vector, &in[i + 1], err));
    const NbAttr attr = {.batchnorm = {batchnorm_eps, batchnorm_momentum}};
    out->channels = x.channels;
    return nb_graph_add(b->g, NB_OP_BATCHNORM, path, 5, in, &attr, &out->node, err);
}

NbStatus nb_build_act(NbBuild *b, const char *path, NbAct act, NbTap x, NbTap *out, NbError *err) {
    static const NbOp ops[] = {[NB_ACT_RELU] = NB_OP_RELU,
                               [NB_ACT_SILU] = NB_OP_SILU,
                               [NB_ACT_LEAKY_RELU] = NB_OP_LEAKY_RELU,
                               [NB_ACT_SIGMOID] = NB_OP_SIGMOID,
                               [NB_ACT_HARDTANH] = NB_OP_HARDTANH};
    const NbAttr attr = {.leaky_relu = {act.slope}};
    *out = x;
    if (act.kind == NB_ACT_NONE)
        return NB_OK;
    return nb_graph_add(b->g, ops[act.kind], path, 1, &x.node, &attr, &out->node, err);
}

/* The peer's quantizer of one bit: the sign of what comes behind a ReLU, always +1. */
static NbQuantSpec peer_binary_spec(void) {
    return (NbQuantSpec){.kind = NB_QUANT_BINARY,
                         .grid = {.bits = 1, .is_signed = true},
                         .scale_from = NB_SCALE_CONST,
                         .init = 1.0F};
}

static NbQuantSpec act_spec(const NbBuild *b, int bits, bool is_signed) {
    if (b->steps)
        return (NbQuantSpec){.kind = NB_QUANT_INT,
                             .grid = {.bits = bits},
                             .scale_from = NB_SCALE_PARAMETER,
                             .restrict_to = NB_RESTRICT_STEP,
                             .lsq_gradient = true,
                             .init = first_clip / (float)((1 << bits) - 1)};
    return (NbQuantSpec){.kind = NB_QUANT_INT,
                         .grid = {.bits = bits, .is_signed = is_signed, .narrow = is_signed},
                         .scale_from = NB_SCALE_PARAMETER,
                         .restrict_to = NB_RESTRICT_LOG_FP,
                         .lsq_gradient = !b->compat,
                         .log_int_threshold = b->compat,
                         .init = first_clip};
}

NbStatus nb_build_act_quant(NbBuild *b, const char *path, int bits, bool is_signed, NbTap x,
                            NbTap *out, NbError *err) {
    const NbShape one = nb_shape(1, (const int64_t[]){1});
    NbNodeId in[2] = {x.node, -1};
    *out = x;
    if (!bits)
        return NB_OK;
    if (bits == 1 && b->compat) {
        const NbAttr attr = {.quant = peer_binary_spec()};
        return nb_graph_add(b->g, NB_OP_QUANT, path, 1, in, &attr, &out->node, err);
    }
    if (bits == 1)
        is_signed = false; /* codes 0 and 1: a narrow signed grid of one bit holds nothing */
    const NbAttr attr = {.quant = act_spec(b, bits, is_signed)};
    NB_TRY(add_param(b, path, b->steps ? "step" : "value", NB_PARAM_QUANT, &one, &in[1], err));
    b->g->node[in[1]].attr.param.frozen = b->compat; /* the peer's optimizer never sees it */
    return nb_graph_add(b->g, NB_OP_QUANT, path, 2, in, &attr, &out->node, err);
}

NbStatus nb_build_block(NbBuild *b, const char *path, NbTap x, const NbBlock *block, NbTap *out,
                        NbError *err) {
    char name[MAX_PATH];
    NbConvOptions options = {.weight_bits = block->weight_bits};
    int act_bits = block->act_bits;
    (void)join(name, path, "conv");
    nb_build_bits(b, name, x, block->last, &options.weight_bits, &act_bits);
    if (block->last || block->raw)
        act_bits = 0;
    options.bias = !block->batchnorm && block->last && b->bias_at_output;
    NbTap at = x;
    NB_TRY(nb_build_conv(b, name, at, &block->shape, options, &at, err));
    if (block->batchnorm)
        NB_TRY(nb_build_batchnorm(b, join(name, path, "bn"), at, &at, err));
    NB_TRY(nb_build_act(b, join(name, path, "act"), block->act, at, &at, err));
    const bool is_signed = block->act.kind != NB_ACT_RELU && block->act.kind != NB_ACT_SIGMOID;
    return nb_build_act_quant(b, join(name, path, "act_quant"), act_bits, is_signed, at, out, err);
}

NbStatus nb_build_hardtanh_quant(NbBuild *b, const char *path, NbTap x, NbTap *out, NbError *err) {
    char name[MAX_PATH];
    const NbAttr half = {.scale = {0.5F}};
    const NbAttr quant = {.quant = {.kind = NB_QUANT_INT,
                                    .grid = {.bits = 8, .is_signed = true, .narrow = true},
                                    .scale_from = NB_SCALE_CONST,
                                    .init = 1.0F}};
    NbTap at = x;
    NB_TRY(nb_graph_add(b->g, NB_OP_SCALE, join(name, path, "half"), 1, &x.node, &half, &at.node,
                        err));
    if (!b->compat) /* the peer leaves it out: its gradient reaches half a step further */
        NB_TRY(nb_build_act(b, join(name, path, "hardtanh"), (NbAct){.kind = NB_ACT_HARDTANH}, at,
                            &at, err));
    out->channels = x.channels;
    return nb_graph_add(b->g, NB_OP_QUANT, join(name, path, "hardtanh_quant"), 1, &at.node, &quant,
                        &out->node, err);
}

enum { MAX_JOINED = 64 };

NbStatus nb_build_concat(NbBuild *b, const char *path, int n, const NbTap *in, NbTap *out,
                         NbError *err) {
    NbNodeId node[MAX_JOINED];
    int channels = 0;
    if (n < 1 || n > MAX_JOINED)
        return nb_fail(NB_ERR_FORMAT, err, "%s: %d inputs, 1 to %d expected", path, n, MAX_JOINED);
    NB_TRY(nb_build_share(b, n, in, err));
    for (int i = 0; i < n; i++) {
        node[i] = in[i].node;
        channels += in[i].channels;
    }
    const NbAttr attr = {.concat = {.axis = 1}};
    NB_TRY(nb_graph_add(b->g, NB_OP_CONCAT, path, n, node, &attr, &out->node, err));
    out->channels = channels;
    return NB_OK;
}

NbStatus nb_build_add(NbBuild *b, const char *path, int bits, NbTap x, NbTap y, NbTap *out,
                      NbError *err) {
    char name[MAX_PATH];
    const NbNodeId in[2] = {x.node, y.node};
    if (x.channels != y.channels)
        return nb_fail(NB_ERR_FORMAT, err, "%s: %d channels cannot be added to %d", path,
                       x.channels, y.channels);
    NB_TRY(nb_build_share(b, 2, (const NbTap[]){x, y}, err));
    NB_TRY(nb_graph_add(b->g, NB_OP_ADD, path, 2, in, NULL, &out->node, err));
    out->channels = x.channels;
    const NbNode *sum = &b->g->node[out->node];
    if (sum->kind != NB_VALUE_CODED || b->compat)
        return NB_OK;
    (void)snprintf(name, sizeof name, "%s_quant", path);
    return nb_build_act_quant(b, name, bits, sum->grid.is_signed, *out, out, err);
}

NbStatus nb_build_maxpool(NbBuild *b, const char *path, NbPoolAttr pool, NbTap x, NbTap *out,
                          NbError *err) {
    const NbAttr attr = {.pool = pool};
    out->channels = x.channels;
    return nb_graph_add(b->g, NB_OP_MAXPOOL, path, 1, &x.node, &attr, &out->node, err);
}
