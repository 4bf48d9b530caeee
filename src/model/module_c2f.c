/* SPDX-License-Identifier: Apache-2.0
 *
 * YOLOv8's C2f and YOLOv10's C2fCIB, CIB, RepVGGDW, SCDown. Source: Wang et al., "YOLOv10", NeurIPS
 * 2024, with the module paths of its checkpoints. */
#include "model/block.h"

#include <math.h>
#include <stdio.h>

enum { MAX_PATH = 160, MAX_REPEATS = 60 };

static NbConvShape depthwise(int channels, int kernel, int stride) {
    NbConvShape shape = nb_conv_shape(channels, kernel, stride);
    shape.groups = channels;
    return shape;
}

/* SiLU(7x7 depthwise + 3x3 depthwise), both with batch norm. Quantized, both results share one
 * scale, so that their sum is codes. */
static NB_FALLIBLE rep_vgg(NbBuild *b, const char *path, NbTap x, NbTap *out, NbError *err) {
    char name[MAX_PATH];
    const NbStyle plain = nb_style(b, false);
    const NbConvShape large = depthwise(x.channels, 7, 1);
    const NbConvShape small = depthwise(x.channels, 3, 1);
    int weight_bits = 0;
    int act_bits = 0;
    NbTap a = {0};
    NbTap c = {0};
    NB_TRY(nb_build_part(b, &plain, path, "conv", &large, x, &a, err));
    NB_TRY(nb_build_part(b, &plain, path, "conv1", &small, x, &c, err));
    (void)snprintf(name, sizeof name, "%s.add", path);
    NB_TRY(nb_build_residual(b, &plain, name, a, c, &a, err));
    (void)snprintf(name, sizeof name, "%s.act", path);
    NB_TRY(nb_build_act(b, name, (NbAct){.kind = NB_ACT_SILU}, a, &a, err));
    nb_build_bits(b, name, a, false, &weight_bits, &act_bits);
    (void)snprintf(name, sizeof name, "%s.act_quant", path);
    return nb_build_act_quant(b, name, act_bits, true, a, out, err);
}

typedef struct Cib {
    int c2;
    bool shortcut;
    double expansion;
    bool large; /* RepVGGDW in place of the middle 3x3 */
} Cib;

/* Depthwise 3x3, 1x1, depthwise 3x3 or RepVGGDW, 1x1, depthwise 3x3. */
static NB_FALLIBLE cib(NbBuild *b, const char *path, const Cib *c, NbTap x, NbTap *out,
                       NbError *err) {
    char name[MAX_PATH];
    const NbStyle style = nb_style(b, true);
    const int hidden = 2 * (int)trunc(c->c2 * c->expansion);
    if (hidden < 1)
        return nb_fail(NB_ERR_FORMAT, err, "%s: no hidden channels remain of %d * %g", path, c->c2,
                       c->expansion);
    const NbConvShape shape[5] = {depthwise(x.channels, 3, 1), nb_conv_shape(hidden, 1, 1),
                                  depthwise(hidden, 3, 1), nb_conv_shape(c->c2, 1, 1),
                                  depthwise(c->c2, 3, 1)};
    NbTap at = x;
    for (int i = 0; i < 5; i++) {
        char part[16];
        (void)snprintf(part, sizeof part, "cv1.%d", i);
        (void)snprintf(name, sizeof name, "%s.%s", path, part);
        if (i == 2 && c->large)
            NB_TRY(rep_vgg(b, name, at, &at, err));
        else
            NB_TRY(nb_build_part(b, &style, path, part, &shape[i], at, &at, err));
    }
    *out = at;
    if (!c->shortcut || x.channels != c->c2)
        return NB_OK;
    (void)snprintf(name, sizeof name, "%s.add", path);
    return nb_build_residual(b, &style, name, x, at, out, err);
}

/* One of the blocks of C2f and C2fCIB, `hidden` channels in and out. */
typedef struct Inner {
    bool is_cib;
    NbBottleneck bottleneck;
    Cib cib;
} Inner;

/* cv1, cut in two; each block reads the one before; all are joined and given to cv2. */
static NB_FALLIBLE c2f(NbBuild *b, const NbCall *call, int c2, int hidden, const Inner *inner,
                       NbTap *out, NbError *err) {
    char name[MAX_PATH];
    NbTap tap[2 + MAX_REPEATS];
    const NbStyle style = nb_style(b, true);
    const NbConvShape first = nb_conv_shape(2 * hidden, 1, 1);
    if (call->repeats > MAX_REPEATS)
        return nb_call_fail(NB_ERR_FORMAT, err, b, call, "%d blocks, at most %d expected",
                            call->repeats, MAX_REPEATS);
    NbTap all = {0};
    NB_TRY(nb_build_part(b, &style, call->path, "cv1", &first, call->in[0], &all, err));
    for (int i = 0; i < 2; i++) {
        (void)snprintf(name, sizeof name, "%s.half.%d", call->path, i);
        NB_TRY(nb_build_channels(b, name, all, i * hidden, hidden, &tap[i], err));
    }
    for (int i = 0; i < call->repeats; i++) {
        (void)snprintf(name, sizeof name, "%s.m.%d", call->path, i);
        if (inner->is_cib)
            NB_TRY(cib(b, name, &inner->cib, tap[i + 1], &tap[i + 2], err));
        else
            NB_TRY(nb_build_bottleneck(b, &style, name, &inner->bottleneck, tap[i + 1], &tap[i + 2],
                                       err));
    }
    return nb_build_joined(b, &style, call->path, "cv2", c2, (NbTaps){2 + call->repeats, tap}, out,
                           err);
}

static NB_FALLIBLE hidden_of(const NbBuild *b, const NbCall *call, int c2, double expansion,
                             int *hidden, NbError *err) {
    *hidden = (int)trunc(c2 * expansion);
    if (*hidden < 1)
        return nb_call_fail(NB_ERR_FORMAT, err, b, call, "no hidden channels remain");
    return NB_OK;
}

/* C2f(c2, shortcut=False, g=1, e=0.5) */
static NB_FALLIBLE build_c2f(NbBuild *b, const NbCall *call, NbTap *out, NbError *err) {
    int c2 = 0;
    int hidden = 0;
    int64_t groups = 1;
    double expansion = 0.5;
    Inner inner = {.bottleneck = {.expansion = 1.0, .kernel = 3}};
    NB_TRY(nb_call_channels(b, call, &c2, err));
    NB_TRY(nb_call_bool(b, call, 1, &inner.bottleneck.shortcut, err));
    NB_TRY(nb_call_int(b, call, 2, 1, 1 << 16, &groups, err));
    NB_TRY(nb_call_expansion(b, call, 3, &expansion, err));
    NB_TRY(hidden_of(b, call, c2, expansion, &hidden, err));
    inner.bottleneck.c2 = hidden;
    inner.bottleneck.groups = (int)groups;
    return c2f(b, call, c2, hidden, &inner, out, err);
}

/* C2fCIB(c2, shortcut=False, lk=False, g=1, e=0.5) */
static NB_FALLIBLE build_c2f_cib(NbBuild *b, const NbCall *call, NbTap *out, NbError *err) {
    int c2 = 0;
    int hidden = 0;
    int64_t groups = 1; /* has no effect in the original either */
    double expansion = 0.5;
    Inner inner = {.is_cib = true, .cib = {.expansion = 1.0}};
    NB_TRY(nb_call_channels(b, call, &c2, err));
    NB_TRY(nb_call_bool(b, call, 1, &inner.cib.shortcut, err));
    NB_TRY(nb_call_bool(b, call, 2, &inner.cib.large, err));
    NB_TRY(nb_call_int(b, call, 3, 1, 1 << 16, &groups, err));
    NB_TRY(nb_call_expansion(b, call, 4, &expansion, err));
    NB_TRY(hidden_of(b, call, c2, expansion, &hidden, err));
    inner.cib.c2 = hidden;
    return c2f(b, call, c2, hidden, &inner, out, err);
}

/* CIB(c2, shortcut=True, e=0.5, lk=False) */
static NB_FALLIBLE build_cib(NbBuild *b, const NbCall *call, NbTap *out, NbError *err) {
    Cib c = {.shortcut = true, .expansion = 0.5};
    NB_TRY(nb_call_channels(b, call, &c.c2, err));
    NB_TRY(nb_call_bool(b, call, 1, &c.shortcut, err));
    NB_TRY(nb_call_expansion(b, call, 2, &c.expansion, err));
    NB_TRY(nb_call_bool(b, call, 3, &c.large, err));
    return cib(b, call->path, &c, call->in[0], out, err);
}

/* RepVGGDW(channels): those of the input */
static NB_FALLIBLE build_rep_vgg_dw(NbBuild *b, const NbCall *call, NbTap *out, NbError *err) {
    int channels = call->in[0].channels;
    if (call->n_args > 0)
        NB_TRY(nb_call_channels(b, call, &channels, err));
    if (channels != call->in[0].channels)
        return nb_call_fail(NB_ERR_FORMAT, err, b, call, "%d channels, those of the input are %d",
                            channels, call->in[0].channels);
    return rep_vgg(b, call->path, call->in[0], out, err);
}

/* SCDown(c2, k, s): 1x1, then depthwise without activation */
static NB_FALLIBLE build_sc_down(NbBuild *b, const NbCall *call, NbTap *out, NbError *err) {
    int c2 = 0;
    int64_t kernel = 0;
    int64_t stride = 0;
    NB_TRY(nb_call_channels(b, call, &c2, err));
    NB_TRY(nb_call_int(b, call, 1, 1, 31, &kernel, err));
    NB_TRY(nb_call_int(b, call, 2, 1, 31, &stride, err));
    if (!kernel || !stride)
        return nb_call_fail(NB_ERR_FORMAT, err, b, call, "kernel and stride expected");
    const NbStyle style = nb_style(b, true);
    const NbStyle plain = nb_style(b, false);
    const NbConvShape first = nb_conv_shape(c2, 1, 1);
    const NbConvShape second = depthwise(c2, (int)kernel, (int)stride);
    NB_TRY(nb_build_part(b, &style, call->path, "cv1", &first, call->in[0], out, err));
    return nb_build_part(b, &plain, call->path, "cv2", &second, *out, out, err);
}

#define MODULE(symbol, module_name, rule, inside, least, most, builder)                            \
    const NbModule nb_module_##symbol = {.name = (module_name),                                    \
                                         .channels = (rule),                                       \
                                         .repeats_inside = (inside),                               \
                                         .min_args = (least),                                      \
                                         .max_args = (most),                                       \
                                         .max_in = 1,                                              \
                                         .build = (builder)}

MODULE(c2f, "C2f", NB_CHANNELS_SCALED, true, 1, 4, build_c2f);
MODULE(c2f_cib, "C2fCIB", NB_CHANNELS_SCALED, true, 1, 5, build_c2f_cib);
MODULE(cib, "CIB", NB_CHANNELS_SCALED, false, 1, 4, build_cib);
MODULE(rep_vgg_dw, "RepVGGDW", NB_CHANNELS_GIVEN, false, 0, 1, build_rep_vgg_dw);
MODULE(sc_down, "SCDown", NB_CHANNELS_SCALED, false, 3, 3, build_sc_down);
