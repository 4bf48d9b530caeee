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
                           .act = {.kind = style->act},
                           .weight_bits = style->weight_bits,
                           .act_bits = style->act_bits};
    (void)snprintf(name, sizeof name, "%s.%s", path, part);
    if (shape->groups < 1 || x.channels % shape->groups || shape->c2 % shape->groups)
        return nb_fail(NB_ERR_FORMAT, err, "%s: %d groups do not divide %d and %d channels", name,
                       shape->groups, x.channels, shape->c2);
    return nb_build_block(b, name, x, &block, out, err);
}

NbStatus nb_build_bottleneck(NbBuild *b, const NbStyle *style, const char *path,
                             const NbBottleneck *shape, NbTap x, NbTap *out, NbError *err) {
    char name[MAX_PATH + 8]; /* a path and ".add" */
    const int hidden = (int)trunc(shape->c2 * shape->expansion);
    if (hidden < 1)
        return nb_fail(NB_ERR_FORMAT, err, "%s: no hidden channels remain of %d * %g", path,
                       shape->c2, shape->expansion);
    const NbConvShape first = nb_conv_shape(hidden, 1, 1);
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
    int weight_bits = style->weight_bits;
    int act_bits = style->act_bits;
    (void)snprintf(name, sizeof name, "%s.add", path);
    nb_build_bits(b, name, at, false, &weight_bits, &act_bits);
    return nb_build_add(b, name, act_bits, x, at, out, err);
}

/* [c2, shortcut=True, g=1, e=0.5] */
static NB_FALLIBLE call_bottleneck(const NbBuild *b, const NbCall *call, NbBottleneck *out,
                                   NbError *err) {
    int64_t c2 = 0;
    int64_t groups = 1;
    NbBottleneck shape = {.shortcut = true, .expansion = 0.5};
    NB_TRY(nb_call_int(b, call, 0, 1, 1 << 16, &c2, err));
    NB_TRY(nb_call_bool(b, call, 1, &shape.shortcut, err));
    NB_TRY(nb_call_int(b, call, 2, 1, 1 << 16, &groups, err));
    NB_TRY(nb_call_number(b, call, 3, &shape.expansion, err));
    if (c2 == 0 || !(shape.expansion > 0.0 && shape.expansion <= 16.0))
        return nb_call_fail(NB_ERR_FORMAT, err, b, call,
                            "channels and an expansion of at most 16 expected");
    shape.c2 = (int)c2;
    shape.groups = (int)groups;
    *out = shape;
    return NB_OK;
}

static NB_FALLIBLE call_style(const NbBuild *b, const NbCall *call, int i, NbStyle *out,
                              NbError *err) {
    *out = (NbStyle){.act = NB_ACT_RELU, .weight_bits = 4, .act_bits = 2};
    NB_TRY(nb_call_bits(b, call, i, &out->weight_bits, err));
    return nb_call_bits(b, call, i + 1, &out->act_bits, err);
}

static const NbStyle float_style = {.act = NB_ACT_SILU};

static NB_FALLIBLE build_bottleneck(NbBuild *b, const NbCall *call, NbTap *out, NbError *err) {
    NbBottleneck shape = {0};
    NB_TRY(call_bottleneck(b, call, &shape, err));
    return nb_build_bottleneck(b, &float_style, call->path, &shape, call->in[0], out, err);
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
    const NbConvShape outer = nb_conv_shape(shape.c2, 1, 1);
    const NbBottleneck part = {hidden, shape.shortcut, shape.groups, 1.0};
    NbTap branch[2] = {{0}};
    NB_TRY(nb_build_part(b, style, call->path, "cv1", &inner, call->in[0], &branch[0], err));
    NB_TRY(nb_build_part(b, style, call->path, "cv2", &inner, call->in[0], &branch[1], err));
    for (int i = 0; i < call->repeats; i++) {
        (void)snprintf(name, sizeof name, "%s.m.%d", call->path, i);
        NB_TRY(nb_build_bottleneck(b, style, name, &part, branch[0], &branch[0], err));
    }
    (void)snprintf(name, sizeof name, "%s.concat", call->path);
    NB_TRY(nb_build_concat(b, name, 2, branch, out, err));
    return nb_build_part(b, style, call->path, "cv3", &outer, *out, out, err);
}

static NB_FALLIBLE build_c3(NbBuild *b, const NbCall *call, NbTap *out, NbError *err) {
    return c3(b, &float_style, call, out, err);
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
    int64_t c2 = 0;
    int64_t k = 5;
    NB_TRY(nb_call_int(b, call, 0, 1, 1 << 16, &c2, err));
    NB_TRY(nb_call_int(b, call, 1, 1, 255, &k, err));
    const int half = (int)k / 2;
    const int hidden = call->in[0].channels / 2;
    if (c2 == 0 || hidden < 1)
        return nb_call_fail(NB_ERR_FORMAT, err, b, call, "channels expected");
    const NbConvShape inner = nb_conv_shape(hidden, 1, 1);
    const NbConvShape outer = nb_conv_shape((int)c2, 1, 1);
    const NbPoolAttr pool = {{(int)k, (int)k}, {1, 1}, {half, half, half, half}};
    NbTap tap[4] = {{0}};
    NB_TRY(nb_build_part(b, style, call->path, "cv1", &inner, call->in[0], &tap[0], err));
    for (int i = 0; i < 3; i++) {
        (void)snprintf(name, sizeof name, "%s.m.%d", call->path, i);
        NB_TRY(nb_build_maxpool(b, name, pool, tap[i], &tap[i + 1], err));
    }
    (void)snprintf(name, sizeof name, "%s.concat", call->path);
    NB_TRY(nb_build_concat(b, name, 4, tap, out, err));
    return nb_build_part(b, style, call->path, "cv2", &outer, *out, out, err);
}

static NB_FALLIBLE build_sppf(NbBuild *b, const NbCall *call, NbTap *out, NbError *err) {
    return sppf(b, &float_style, call, out, err);
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

COMPOSED(bottleneck, "Bottleneck", false, 4, build_bottleneck);
COMPOSED(quant_bottleneck, "QuantBottleneck", false, 6, build_quant_bottleneck);
COMPOSED(c3, "C3", true, 4, build_c3);
COMPOSED(quant_c3, "QuantC3", true, 7, build_quant_c3);
COMPOSED(sppf, "SPPF", false, 2, build_sppf);
COMPOSED(quant_sppf, "QuantSPPF", false, 4, build_quant_sppf);
