/* SPDX-License-Identifier: Apache-2.0
 *
 * Bottleneck, C3, SPPF and QuantBottleneck, QuantC3, QuantSPPF. */
#include "model/block.h"

#include <math.h>
#include <stdio.h>

enum { MAX_PATH = 160 };

NbStatus nb_build_part(NbBuild *b, const NbStyle *style, const char *path, const char *part,
                       const NbConvShape *shape, NbTap x, NbTap *out, NbError *err) {
    char name[MAX_PATH];
    const NbBlock block = {.shape = *shape,
                           .batchnorm = true,
                           .act = style->act,
                           .weight_bits = style->weight_bits,
                           .act_bits = style->act_bits};
    (void)snprintf(name, sizeof name, "%s.%s", path, part);
    if (shape->groups < 1 || x.channels % shape->groups || shape->c2 % shape->groups)
        return nb_fail(NB_ERR_FORMAT, err, "%s: %d groups do not divide %d and %d channels", name,
                       shape->groups, x.channels, shape->c2);
    return nb_build_block(b, name, x, &block, out, err);
}

NbStyle nb_style(const NbBuild *b, bool act) {
    static const NbAct silu = {.kind = NB_ACT_SILU};
    if (!act)
        return (NbStyle){.act = {.kind = NB_ACT_NONE}};
    return (NbStyle){.act = b->act ? *b->act : silu};
}

NbStatus nb_call_channels(const NbBuild *b, const NbCall *call, int *c2, NbError *err) {
    int64_t value = 0;
    NB_TRY(nb_call_int(b, call, 0, 1, 1 << 16, &value, err));
    if (value == 0)
        return nb_call_fail(NB_ERR_FORMAT, err, b, call, "a channel count expected");
    *c2 = (int)value;
    return NB_OK;
}

NbStatus nb_call_expansion(const NbBuild *b, const NbCall *call, int i, double *value,
                           NbError *err) {
    NB_TRY(nb_call_number(b, call, i, value, err));
    if (!(*value > 0.0 && *value <= 16.0))
        return nb_call_fail(NB_ERR_FORMAT, err, b, call,
                            "an expansion of %g, above 0 and at most 16 expected", *value);
    return NB_OK;
}

NbStatus nb_build_residual(NbBuild *b, const NbStyle *style, const char *path, NbTap x, NbTap y,
                           NbTap *out, NbError *err) {
    int weight_bits = style->weight_bits;
    int act_bits = style->act_bits;
    nb_build_bits(b, path, y, false, &weight_bits, &act_bits);
    return nb_build_add(b, path, act_bits, x, y, out, err);
}

NbStatus nb_build_channels(NbBuild *b, const char *path, NbTap x, int first, int count, NbTap *out,
                           NbError *err) {
    const NbAttr attr = {
        .slice = {.axis = 1, .start = first, .stop = (int64_t)first + count, .step = 1}};
    out->channels = count;
    return nb_graph_add(b->g, NB_OP_SLICE, path, 1, &x.node, &attr, &out->node, err);
}

NbStatus nb_build_joined(NbBuild *b, const NbStyle *style, const char *path, const char *part,
                         int c2, NbTaps taps, NbTap *out, NbError *err) {
    char name[MAX_PATH];
    NbTap all = {0};
    const NbConvShape outer = nb_conv_shape(c2, 1, 1);
    (void)snprintf(name, sizeof name, "%s.concat", path);
    NB_TRY(nb_build_concat(b, name, taps.n, taps.tap, &all, err));
    return nb_build_part(b, style, path, part, &outer, all, out, err);
}

NbStatus nb_build_bottleneck(NbBuild *b, const NbStyle *style, const char *path,
                             const NbBottleneck *shape, NbTap x, NbTap *out, NbError *err) {
    char name[MAX_PATH + 8]; /* a path and ".add" */
    const int hidden = (int)trunc(shape->c2 * shape->expansion);
    if (hidden < 1)
        return nb_fail(NB_ERR_FORMAT, err, "%s: no hidden channels remain of %d * %g", path,
                       shape->c2, shape->expansion);
    const NbConvShape first = nb_conv_shape(hidden, shape->kernel, 1);
    NbConvShape second = nb_conv_shape(shape->c2, 3, 1);
    second.groups = shape->groups;
    NbTap at = x;
    NB_TRY(nb_build_part(b, style, path, "cv1", &first, at, &at, err));
    NB_TRY(nb_build_part(b, style, path, "cv2", &second, at, &at, err));
    *out = at;
    if (!shape->shortcut || x.channels != shape->c2)
        return NB_OK;
    if (b->compat && style->weight_bits)
        return nb_fail(NB_ERR_UNSUPPORTED, err,
                       "%s: the peer's residual quantizer (a percentile of its first batches); "
                       "build without compat",
                       path);
    (void)snprintf(name, sizeof name, "%s.add", path);
    return nb_build_residual(b, style, name, x, at, out, err);
}

/* [c2, shortcut=True, g=1, e=0.5] */
static NB_FALLIBLE call_bottleneck(const NbBuild *b, const NbCall *call, NbBottleneck *out,
                                   NbError *err) {
    int64_t groups = 1;
    NbBottleneck shape = {.shortcut = true, .expansion = 0.5, .kernel = 1};
    NB_TRY(nb_call_channels(b, call, &shape.c2, err));
    NB_TRY(nb_call_bool(b, call, 1, &shape.shortcut, err));
    NB_TRY(nb_call_int(b, call, 2, 1, 1 << 16, &groups, err));
    NB_TRY(nb_call_expansion(b, call, 3, &shape.expansion, err));
    shape.groups = (int)groups;
    *out = shape;
    return NB_OK;
}

static NB_FALLIBLE call_style(const NbBuild *b, const NbCall *call, int i, NbStyle *out,
                              NbError *err) {
    *out = (NbStyle){.act = {.kind = NB_ACT_RELU}, .weight_bits = 4, .act_bits = 2};
    NB_TRY(nb_call_bits(b, call, i, &out->weight_bits, err));
    return nb_call_bits(b, call, i + 1, &out->act_bits, err);
}

/* Ultralytics' Bottleneck has kernels in between: [c2, shortcut=True, g=1, k=(3, 3), e=0.5]. The
 * second is 3 wherever it is used. */
static NB_FALLIBLE call_kernels(const NbBuild *b, const NbCall *call, NbBottleneck *out,
                                NbError *err) {
    NbCall rest = *call;
    int64_t k[2] = {3, 3};
    rest.n_args = call->n_args < 3 ? call->n_args : 3;
    NB_TRY(call_bottleneck(b, &rest, out, err));
    NB_TRY(nb_call_expansion(b, call, 4, &out->expansion, err));
    const NbArg *list = call->n_args > 3 ? &call->arg[3] : NULL;
    for (int i = 0; list && list->kind == NB_ARG_LIST && list->count == 2 && i < 2; i++) {
        const NbArg *item = &list->item[i];
        k[i] = item->kind == NB_ARG_LIST && item->count > 0 ? item->item[0].integer : item->integer;
    }
    if (k[1] != 3 || k[0] < 1 || k[0] > 15 || (list && list->kind != NB_ARG_LIST))
        return nb_call_fail(NB_ERR_UNSUPPORTED, err, b, call,
                            "kernels of a Bottleneck: [k, 3] expected");
    out->kernel = (int)k[0];
    return NB_OK;
}

static NB_FALLIBLE build_bottleneck(NbBuild *b, const NbCall *call, NbTap *out, NbError *err) {
    NbBottleneck shape = {0};
    const NbStyle style = nb_style(b, true);
    if (b->anchor_free)
        NB_TRY(call_kernels(b, call, &shape, err));
    else
        NB_TRY(call_bottleneck(b, call, &shape, err));
    return nb_build_bottleneck(b, &style, call->path, &shape, call->in[0], out, err);
}

static NB_FALLIBLE build_quant_bottleneck(NbBuild *b, const NbCall *call, NbTap *out,
                                          NbError *err) {
    NbBottleneck shape = {0};
    NbStyle style = {0};
    NB_TRY(call_bottleneck(b, call, &shape, err));
    NB_TRY(call_style(b, call, 4, &style, err));
    return nb_build_bottleneck(b, &style, call->path, &shape, call->in[0], out, err);
}

/* cv1 -> n bottlenecks, beside cv2; both joined and given to cv3. */
static NB_FALLIBLE c3(NbBuild *b, const NbStyle *style, const NbCall *call, NbTap *out,
                      NbError *err) {
    char name[MAX_PATH];
    NbBottleneck shape = {0};
    NB_TRY(call_bottleneck(b, call, &shape, err));
    const int hidden = (int)trunc(shape.c2 * shape.expansion);
    if (hidden < 1)
        return nb_call_fail(NB_ERR_FORMAT, err, b, call, "no hidden channels remain");
    const NbConvShape inner = nb_conv_shape(hidden, 1, 1);
    const NbBottleneck part = {hidden, shape.shortcut, shape.groups, 1.0, 1};
    NbTap branch[2] = {{0}};
    NB_TRY(nb_build_part(b, style, call->path, "cv1", &inner, call->in[0], &branch[0], err));
    NB_TRY(nb_build_part(b, style, call->path, "cv2", &inner, call->in[0], &branch[1], err));
    for (int i = 0; i < call->repeats; i++) {
        (void)snprintf(name, sizeof name, "%s.m.%d", call->path, i);
        NB_TRY(nb_build_bottleneck(b, style, name, &part, branch[0], &branch[0], err));
    }
    return nb_build_joined(b, style, call->path, "cv3", shape.c2, (NbTaps){2, branch}, out, err);
}

static NB_FALLIBLE build_c3(NbBuild *b, const NbCall *call, NbTap *out, NbError *err) {
    const NbStyle style = nb_style(b, true);
    return c3(b, &style, call, out, err);
}

static NB_FALLIBLE build_quant_c3(NbBuild *b, const NbCall *call, NbTap *out, NbError *err) {
    NbStyle style = {0};
    bool hardtanh = false;
    NB_TRY(call_style(b, call, 4, &style, err));
    NB_TRY(nb_call_bool(b, call, 6, &hardtanh, err));
    NB_TRY(c3(b, &style, call, out, err));
    return hardtanh ? nb_build_hardtanh_quant(b, call->path, *out, out, err) : NB_OK;
}

/* cv1 -> three chained pools; all four joined and given to cv2. [c2, k=5] */
static NB_FALLIBLE sppf(NbBuild *b, const NbStyle *style, const NbCall *call, NbTap *out,
                        NbError *err) {
    char name[MAX_PATH];
    int c2 = 0;
    int64_t k = 5;
    NB_TRY(nb_call_channels(b, call, &c2, err));
    NB_TRY(nb_call_int(b, call, 1, 1, 255, &k, err));
    const int half = (int)k / 2;
    const int hidden = call->in[0].channels / 2;
    if (hidden < 1)
        return nb_call_fail(NB_ERR_FORMAT, err, b, call, "channels expected");
    const NbConvShape inner = nb_conv_shape(hidden, 1, 1);
    const NbPoolAttr pool = {{(int)k, (int)k}, {1, 1}, {half, half, half, half}};
    NbTap tap[4] = {{0}};
    NB_TRY(nb_build_part(b, style, call->path, "cv1", &inner, call->in[0], &tap[0], err));
    for (int i = 0; i < 3; i++) {
        (void)snprintf(name, sizeof name, "%s.m.%d", call->path, i);
        NB_TRY(nb_build_maxpool(b, name, pool, tap[i], &tap[i + 1], err));
    }
    return nb_build_joined(b, style, call->path, "cv2", c2, (NbTaps){4, tap}, out, err);
}

static NB_FALLIBLE build_sppf(NbBuild *b, const NbCall *call, NbTap *out, NbError *err) {
    const NbStyle style = nb_style(b, true);
    return sppf(b, &style, call, out, err);
}

static NB_FALLIBLE build_quant_sppf(NbBuild *b, const NbCall *call, NbTap *out, NbError *err) {
    NbStyle style = {0};
    NB_TRY(call_style(b, call, 2, &style, err));
    return sppf(b, &style, call, out, err);
}

#define COMPOSED(symbol, module_name, inside, most, builder)                                       \
    const NbModule nb_module_##symbol = {.name = (module_name),                                    \
                                         .channels = NB_CHANNELS_SCALED,                           \
                                         .repeats_inside = (inside),                               \
                                         .min_args = 1,                                            \
                                         .max_args = (most),                                       \
                                         .max_in = 1,                                              \
                                         .build = (builder)}

COMPOSED(bottleneck, "Bottleneck", false, 5, build_bottleneck);
COMPOSED(quant_bottleneck, "QuantBottleneck", false, 6, build_quant_bottleneck);
COMPOSED(c3, "C3", true, 4, build_c3);
COMPOSED(quant_c3, "QuantC3", true, 7, build_quant_c3);
COMPOSED(sppf, "SPPF", false, 2, build_sppf);
COMPOSED(quant_sppf, "QuantSPPF", false, 4, build_quant_sppf);
