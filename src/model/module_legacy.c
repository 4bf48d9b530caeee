/* SPDX-License-Identifier: Apache-2.0
 *
 * Modules of older model files: SPP, Focus, BottleneckCSP, GhostConv, GhostBottleneck, C3Ghost. */
#include "model/block.h"

#include <math.h>
#include <stdio.h>

enum { MAX_PATH = 160, MAX_POOLS = 8 };

/* SPP(c2, k=(5, 9, 13)): cv1, pools of it beside it, joined, cv2 */
static NB_FALLIBLE build_spp(NbBuild *b, const NbCall *call, NbTap *out, NbError *err) {
    static const int usual[3] = {5, 9, 13};
    char name[MAX_PATH];
    NbTap tap[1 + MAX_POOLS];
    int c2 = 0;
    const NbStyle style = nb_style(b, true);
    const NbArg *list = call->n_args > 1 ? &call->arg[1] : NULL;
    const int n = list ? list->count : 3;
    const int hidden = call->in[0].channels / 2;
    NB_TRY(nb_call_channels(b, call, &c2, err));
    if ((list && list->kind != NB_ARG_LIST) || n < 1 || n > MAX_POOLS || hidden < 1)
        return nb_call_fail(NB_ERR_FORMAT, err, b, call, "a list of up to %d kernels expected",
                            MAX_POOLS);
    const NbConvShape inner = nb_conv_shape(hidden, 1, 1);
    NB_TRY(nb_build_part(b, &style, call->path, "cv1", &inner, call->in[0], &tap[0], err));
    for (int i = 0; i < n; i++) {
        NbCall one = *call;
        int64_t k = list ? 0 : usual[i];
        one.arg = list ? &list->item[i] : NULL;
        one.n_args = list ? 1 : 0;
        NB_TRY(nb_call_int(b, &one, 0, 1, 255, &k, err));
        const int half = (int)k / 2;
        const NbPoolAttr pool = {{(int)k, (int)k}, {1, 1}, {half, half, half, half}};
        (void)snprintf(name, sizeof name, "%s.m.%d", call->path, i);
        NB_TRY(nb_build_maxpool(b, name, pool, tap[0], &tap[i + 1], err));
    }
    return nb_build_joined(b, &style, call->path, "cv2", c2, (NbTaps){n + 1, tap}, out, err);
}

/* Every second row and column, starting at (row, column). */
static NB_FALLIBLE phase(NbBuild *b, const char *path, NbTap x, int row, int column, NbTap *out,
                         NbError *err) {
    char name[MAX_PATH];
    const int first[2] = {row, column};
    *out = x;
    for (int i = 0; i < 2; i++) {
        const NbAttr attr = {.slice = {2 + i, first[i], NB_SLICE_END, 2}};
        (void)snprintf(name, sizeof name, "%s.%s.%d%d", path, i ? "pixels" : "rows", row, column);
        NB_TRY(nb_graph_add(b->g, NB_OP_SLICE, name, 1, &out->node, &attr, &out->node, err));
    }
    return NB_OK;
}

/* Focus(c2, k=1, s=1, p=None, g=1): the four phases of pixels joined, then a convolution */
static NB_FALLIBLE build_focus(NbBuild *b, const NbCall *call, NbTap *out, NbError *err) {
    static const int order[4][2] = {{0, 0}, {1, 0}, {0, 1}, {1, 1}};
    char name[MAX_PATH];
    NbTap tap[4];
    NbTap all = {0};
    NbCall inner = *call;
    NbConvShape shape = {0};
    const NbStyle style = nb_style(b, true);
    for (int i = 0; i < 4; i++)
        NB_TRY(phase(b, call->path, call->in[0], order[i][0], order[i][1], &tap[i], err));
    (void)snprintf(name, sizeof name, "%s.concat", call->path);
    NB_TRY(nb_build_concat(b, name, 4, tap, &all, err));
    inner.in = &all;
    NB_TRY(nb_call_conv_shape(b, &inner, &shape, err));
    return nb_build_part(b, &style, call->path, "conv", &shape, all, out, err);
}

/* BottleneckCSP(c2, shortcut=True, g=1, e=0.5): [cv1, blocks, bare cv3 | bare cv2] -> norm ->
 * LeakyReLU 0.1 (in later releases SiLU) -> cv4 */
static NB_FALLIBLE csp_join(NbBuild *b, const NbCall *call, int hidden, NbTap branch[2], NbTap *out,
                            NbError *err) {
    static const char *const bare[2] = {"cv3", "cv2"};
    char name[MAX_PATH];
    int weight_bits = 0;
    int act_bits = 0;
    for (int i = 0; i < 2; i++) {
        const NbConvShape shape = nb_conv_shape(hidden, 1, 1);
        NbConvOptions options = {0};
        (void)snprintf(name, sizeof name, "%s.%s", call->path, bare[i]);
        nb_build_bits(b, name, branch[i], false, &options.weight_bits, &act_bits);
        NB_TRY(nb_build_conv(b, name, branch[i], &shape, options, &branch[i], err));
    }
    (void)snprintf(name, sizeof name, "%s.concat", call->path);
    NB_TRY(nb_build_concat(b, name, 2, branch, out, err));
    (void)snprintf(name, sizeof name, "%s.bn", call->path);
    NB_TRY(nb_build_batchnorm(b, name, *out, out, err));
    (void)snprintf(name, sizeof name, "%s.act", call->path);
    NB_TRY(nb_build_act(b, name, (NbAct){NB_ACT_LEAKY_RELU, 0.1F}, *out, out, err));
    nb_build_bits(b, name, *out, false, &weight_bits, &act_bits);
    (void)snprintf(name, sizeof name, "%s.act_quant", call->path);
    return nb_build_act_quant(b, name, act_bits, true, *out, out, err);
}

static NB_FALLIBLE build_csp(NbBuild *b, const NbCall *call, NbTap *out, NbError *err) {
    char name[MAX_PATH];
    int c2 = 0;
    bool shortcut = true;
    int64_t groups = 1;
    double expansion = 0.5;
    const NbStyle style = nb_style(b, true);
    NB_TRY(nb_call_channels(b, call, &c2, err));
    NB_TRY(nb_call_bool(b, call, 1, &shortcut, err));
    NB_TRY(nb_call_int(b, call, 2, 1, 1 << 16, &groups, err));
    NB_TRY(nb_call_expansion(b, call, 3, &expansion, err));
    const int hidden = (int)trunc(c2 * expansion);
    if (hidden < 1)
        return nb_call_fail(NB_ERR_FORMAT, err, b, call, "no hidden channels remain");
    const NbConvShape inner = nb_conv_shape(hidden, 1, 1);
    const NbConvShape outer = nb_conv_shape(c2, 1, 1);
    const NbBottleneck part = {hidden, shortcut, (int)groups, 1.0, 1};
    NbTap branch[2] = {{0}, call->in[0]};
    NB_TRY(nb_build_part(b, &style, call->path, "cv1", &inner, call->in[0], &branch[0], err));
    for (int i = 0; i < call->repeats; i++) {
        (void)snprintf(name, sizeof name, "%s.m.%d", call->path, i);
        NB_TRY(nb_build_bottleneck(b, &style, name, &part, branch[0], &branch[0], err));
    }
    NB_TRY(csp_join(b, call, hidden, branch, out, err));
    return nb_build_part(b, &style, call->path, "cv4", &outer, *out, out, err);
}

/* GhostConv: half of the channels by a convolution, the other half from them by a depthwise 5x5. */
typedef struct Ghost {
    int c2;
    int kernel;
    int stride;
    bool act;
} Ghost;

static NB_FALLIBLE ghost_conv(NbBuild *b, const char *path, const Ghost *g, NbTap x, NbTap *out,
                              NbError *err) {
    char name[MAX_PATH];
    NbTap half[2];
    const NbStyle style = nb_style(b, g->act);
    const NbConvShape first = nb_conv_shape(g->c2 / 2, g->kernel, g->stride);
    NbConvShape second = nb_conv_shape(g->c2 / 2, 5, 1);
    second.groups = second.c2;
    if (g->c2 < 2 || g->c2 % 2)
        return nb_fail(NB_ERR_FORMAT, err, "%s: an even number of channels expected, found %d",
                       path, g->c2);
    NB_TRY(nb_build_part(b, &style, path, "cv1", &first, x, &half[0], err));
    NB_TRY(nb_build_part(b, &style, path, "cv2", &second, half[0], &half[1], err));
    (void)snprintf(name, sizeof name, "%s.concat", path);
    return nb_build_concat(b, name, 2, half, out, err);
}

/* GhostConv(c2, k=1, s=1) */
static NB_FALLIBLE build_ghost_conv(NbBuild *b, const NbCall *call, NbTap *out, NbError *err) {
    Ghost g = {.act = true};
    int64_t kernel = 1;
    int64_t stride = 1;
    NB_TRY(nb_call_channels(b, call, &g.c2, err));
    NB_TRY(nb_call_int(b, call, 1, 1, 31, &kernel, err));
    NB_TRY(nb_call_int(b, call, 2, 1, 31, &stride, err));
    g.kernel = (int)kernel;
    g.stride = (int)stride;
    return ghost_conv(b, call->path, &g, call->in[0], out, err);
}

/* A depthwise convolution without activation at path.part. */
static NB_FALLIBLE plain_depthwise(NbBuild *b, const char *path, const char *part, int kernel,
                                   NbTap x, NbTap *out, NbError *err) {
    const NbStyle plain = nb_style(b, false);
    NbConvShape shape = nb_conv_shape(x.channels, kernel, 2);
    shape.groups = x.channels;
    return nb_build_part(b, &plain, path, part, &shape, x, out, err);
}

static NB_FALLIBLE ghost_bottleneck(NbBuild *b, const char *path, int c2, int kernel, int stride,
                                    NbTap x, NbTap *out, NbError *err) {
    char name[MAX_PATH];
    const NbStyle plain = nb_style(b, false);
    const Ghost in = {c2 / 2, 1, 1, true};
    const Ghost last = {c2, 1, 1, false};
    NbTap at = x;
    NbTap side = x;
    (void)snprintf(name, sizeof name, "%s.conv.0", path);
    NB_TRY(ghost_conv(b, name, &in, at, &at, err));
    if (stride == 2) {
        const NbConvShape point = nb_conv_shape(c2, 1, 1);
        NB_TRY(plain_depthwise(b, path, "conv.1", kernel, at, &at, err));
        NB_TRY(plain_depthwise(b, path, "shortcut.0", kernel, x, &side, err));
        NB_TRY(nb_build_part(b, &plain, path, "shortcut.1", &point, side, &side, err));
    }
    (void)snprintf(name, sizeof name, "%s.conv.2", path);
    NB_TRY(ghost_conv(b, name, &last, at, &at, err));
    (void)snprintf(name, sizeof name, "%s.add", path);
    return nb_build_residual(b, &plain, name, side, at, out, err);
}

/* GhostBottleneck(c2, k=3, s=1) */
static NB_FALLIBLE build_ghost_bottleneck(NbBuild *b, const NbCall *call, NbTap *out,
                                          NbError *err) {
    int c2 = 0;
    int64_t kernel = 3;
    int64_t stride = 1;
    NB_TRY(nb_call_channels(b, call, &c2, err));
    NB_TRY(nb_call_int(b, call, 1, 1, 31, &kernel, err));
    NB_TRY(nb_call_int(b, call, 2, 1, 2, &stride, err));
    return ghost_bottleneck(b, call->path, c2, (int)kernel, (int)stride, call->in[0], out, err);
}

/* C3Ghost(c2, shortcut=True, g=1, e=0.5): C3 with GhostBottlenecks */
static NB_FALLIBLE build_c3_ghost(NbBuild *b, const NbCall *call, NbTap *out, NbError *err) {
    char name[MAX_PATH];
    int c2 = 0;
    bool shortcut = true; /* has no effect in the original either */
    int64_t groups = 1;
    double expansion = 0.5;
    const NbStyle style = nb_style(b, true);
    NB_TRY(nb_call_channels(b, call, &c2, err));
    NB_TRY(nb_call_bool(b, call, 1, &shortcut, err));
    NB_TRY(nb_call_int(b, call, 2, 1, 1 << 16, &groups, err));
    NB_TRY(nb_call_expansion(b, call, 3, &expansion, err));
    const int hidden = (int)trunc(c2 * expansion);
    if (hidden < 1)
        return nb_call_fail(NB_ERR_FORMAT, err, b, call, "no hidden channels remain");
    const NbConvShape inner = nb_conv_shape(hidden, 1, 1);
    NbTap branch[2] = {{0}};
    NB_TRY(nb_build_part(b, &style, call->path, "cv1", &inner, call->in[0], &branch[0], err));
    NB_TRY(nb_build_part(b, &style, call->path, "cv2", &inner, call->in[0], &branch[1], err));
    for (int i = 0; i < call->repeats; i++) {
        (void)snprintf(name, sizeof name, "%s.m.%d", call->path, i);
        NB_TRY(ghost_bottleneck(b, name, hidden, 3, 1, branch[0], &branch[0], err));
    }
    return nb_build_joined(b, &style, call->path, "cv3", c2, (NbTaps){2, branch}, out, err);
}

#define LEGACY(symbol, module_name, inside, most, builder)                                         \
    const NbModule nb_module_##symbol = {.name = (module_name),                                    \
                                         .channels = NB_CHANNELS_SCALED,                           \
                                         .repeats_inside = (inside),                               \
                                         .min_args = 1,                                            \
                                         .max_args = (most),                                       \
                                         .max_in = 1,                                              \
                                         .build = (builder)}

LEGACY(spp, "SPP", false, 2, build_spp);
LEGACY(focus, "Focus", false, 5, build_focus);
LEGACY(bottleneck_csp, "BottleneckCSP", true, 4, build_csp);
LEGACY(ghost_conv, "GhostConv", false, 3, build_ghost_conv);
LEGACY(ghost_bottleneck, "GhostBottleneck", false, 3, build_ghost_bottleneck);
LEGACY(c3_ghost, "C3Ghost", true, 4, build_c3_ghost);
