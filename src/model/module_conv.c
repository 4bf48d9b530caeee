/* SPDX-License-Identifier: Apache-2.0
 *
 * Convolution modules: Conv, SimpleConv, DWConv and the quantized QuantConv, QuantSimpleConv. */
#include "model/block.h"

#include "base/text.h"

#include <string.h>

/* nn.LeakyReLU() and nn.LeakyReLU(number). */
static bool leaky_slope(const char *text, float *slope) {
    static const char start[] = "nn.LeakyReLU(";
    char number[32];
    double value = 0.01;
    const size_t n = strlen(text);
    const size_t head = sizeof start - 1;
    if (strncmp(text, start, head) != 0 || n <= head || text[n - 1] != ')' ||
        n - head > sizeof number)
        return false;
    memcpy(number, text + head, n - head - 1);
    number[n - head - 1] = '\0';
    if (*number && !nb_parse_double(number, &value))
        return false;
    *slope = (float)value;
    return true;
}

bool nb_act_from_text(const char *text, NbAct *out) {
    static const struct {
        const char *text;
        NbAct act;
    } known[] = {{"nn.SiLU()", {NB_ACT_SILU, 0.0F}},
                 {"nn.ReLU()", {NB_ACT_RELU, 0.0F}},
                 {"nn.Sigmoid()", {NB_ACT_SIGMOID, 0.0F}},
                 {"nn.Identity()", {NB_ACT_NONE, 0.0F}},
                 {"nn.Hardtanh()", {NB_ACT_HARDTANH, 0.0F}}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(text, known[i].text) == 0) {
            *out = known[i].act;
            return true;
        }
    if (!leaky_slope(text, &out->slope))
        return false;
    out->kind = NB_ACT_LEAKY_RELU;
    return true;
}

/* act=True: that of the file, SiLU; a module: itself; anything else: none. */
static NB_FALLIBLE call_act(const NbBuild *b, const NbCall *call, int i, NbAct *out, NbError *err) {
    const bool given = i < call->n_args;
    const NbArg *arg = given ? &call->arg[i] : NULL;
    *out = nb_style(b, !given || (arg->kind == NB_ARG_BOOL && arg->integer)).act;
    if (!given || arg->kind != NB_ARG_TEXT || nb_act_from_text(arg->text, out))
        return NB_OK;
    return nb_call_fail(NB_ERR_UNSUPPORTED, err, b, call,
                        "activation '%s'; known are True (SiLU), False, nn.SiLU(), nn.ReLU(), "
                        "nn.LeakyReLU(x), nn.Sigmoid(), nn.Hardtanh(), nn.Identity()",
                        arg->text);
}

NbStatus nb_call_bits(const NbBuild *b, const NbCall *call, int i, int *bits, NbError *err) {
    int64_t value = *bits;
    if (i < call->n_args && call->arg[i].kind == NB_ARG_NONE)
        value = 0; /* None: not quantized */
    NB_TRY(nb_call_int(b, call, i, 1, 8, &value, err));
    *bits = (int)value;
    return NB_OK;
}

/* Conv(c2, k=1, s=1, p=None, g=1, act=True) */
static NB_FALLIBLE build_conv(NbBuild *b, const NbCall *call, NbTap *out, NbError *err) {
    NbBlock block = {.batchnorm = true, .last = call->feeds_head};
    NB_TRY(nb_call_conv_shape(b, call, &block.shape, err));
    NB_TRY(call_act(b, call, 5, &block.act, err));
    return nb_build_block(b, call->path, call->in[0], &block, out, err);
}

/* SimpleConv(c2, k=1, s=1, p=None, g=1) */
static NB_FALLIBLE build_simple(NbBuild *b, const NbCall *call, NbTap *out, NbError *err) {
    NbBlock block = {.last = call->feeds_head};
    NB_TRY(nb_call_conv_shape(b, call, &block.shape, err));
    return nb_build_block(b, call->path, call->in[0], &block, out, err);
}

static int greatest_divisor(int a, int b) {
    while (b) {
        const int rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* DWConv(c2, k=1, s=1, act=True) */
static NB_FALLIBLE build_dw(NbBuild *b, const NbCall *call, NbTap *out, NbError *err) {
    NbBlock block = {.batchnorm = true, .last = call->feeds_head};
    NbCall head = *call;
    head.n_args = call->n_args < 3 ? call->n_args : 3;
    NB_TRY(nb_call_conv_shape(b, &head, &block.shape, err));
    NB_TRY(call_act(b, call, 3, &block.act, err));
    block.shape.groups = greatest_divisor(call->in[0].channels, block.shape.c2);
    return nb_build_block(b, call->path, call->in[0], &block, out, err);
}

/* QuantConv(c2, k=1, s=1, p=None, g=1, use_act=True, use_bn=True, weight bits=4, act bits=2) */
static NB_FALLIBLE build_quant(NbBuild *b, const NbCall *call, NbTap *out, NbError *err) {
    NbBlock block = {.batchnorm = true, .weight_bits = 4, .act_bits = 2, .last = call->feeds_head};
    bool act = true;
    NB_TRY(nb_call_conv_shape(b, call, &block.shape, err));
    NB_TRY(nb_call_bool(b, call, 5, &act, err));
    NB_TRY(nb_call_bool(b, call, 6, &block.batchnorm, err));
    NB_TRY(nb_call_bits(b, call, 7, &block.weight_bits, err));
    NB_TRY(nb_call_bits(b, call, 8, &block.act_bits, err));
    block.act.kind = act ? NB_ACT_RELU : NB_ACT_NONE;
    block.raw = !act;
    return nb_build_block(b, call->path, call->in[0], &block, out, err);
}

/* QuantSimpleConv(c2, k=1, s=1, p=None, g=1, weight bits=4, act bits=2, use_hardtanh=False) */
static NB_FALLIBLE build_quant_simple(NbBuild *b, const NbCall *call, NbTap *out, NbError *err) {
    NbBlock block = {.weight_bits = 4, .last = call->feeds_head, .raw = true};
    int unused = 2;
    bool hardtanh = false;
    NB_TRY(nb_call_conv_shape(b, call, &block.shape, err));
    NB_TRY(nb_call_bits(b, call, 5, &block.weight_bits, err));
    NB_TRY(nb_call_bits(b, call, 6, &unused, err));
    NB_TRY(nb_call_bool(b, call, 7, &hardtanh, err));
    NB_TRY(nb_build_block(b, call->path, call->in[0], &block, out, err));
    return hardtanh ? nb_build_hardtanh_quant(b, call->path, *out, out, err) : NB_OK;
}

const NbModule nb_module_conv = {.name = "Conv",
                                 .channels = NB_CHANNELS_SCALED,
                                 .min_args = 1,
                                 .max_args = 6,
                                 .max_in = 1,
                                 .build = build_conv};
const NbModule nb_module_simple_conv = {.name = "SimpleConv",
                                        .channels = NB_CHANNELS_SCALED,
                                        .min_args = 1,
                                        .max_args = 5,
                                        .max_in = 1,
                                        .build = build_simple};
const NbModule nb_module_dw_conv = {.name = "DWConv",
                                    .channels = NB_CHANNELS_SCALED,
                                    .min_args = 1,
                                    .max_args = 4,
                                    .max_in = 1,
                                    .build = build_dw};
const NbModule nb_module_quant_conv = {.name = "QuantConv",
                                       .channels = NB_CHANNELS_SCALED,
                                       .min_args = 1,
                                       .max_args = 9,
                                       .max_in = 1,
                                       .build = build_quant};
const NbModule nb_module_quant_simple_conv = {.name = "QuantSimpleConv",
                                              .channels = NB_CHANNELS_SCALED,
                                              .min_args = 1,
                                              .max_args = 8,
                                              .max_in = 1,
                                              .build = build_quant_simple};
