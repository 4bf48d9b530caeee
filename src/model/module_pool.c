/* SPDX-License-Identifier: Apache-2.0
 *
 * Modules without parameters: nn.MaxPool2d, nn.Upsample, nn.ZeroPad2d, nn.Identity, Concat. */
#include "model/build.h"

#include <math.h>
#include <string.h>

/* nn.MaxPool2d(kernel, stride=kernel, padding=0) */
static NB_FALLIBLE build_maxpool(NbBuild *b, const NbCall *call, NbTap *out, NbError *err) {
    int kernel[2] = {1, 1};
    int pad[2] = {0, 0};
    NB_TRY(nb_call_pair(b, call, 0, 1, kernel, err));
    int stride[2] = {kernel[0], kernel[1]};
    NB_TRY(nb_call_pair(b, call, 1, 1, stride, err));
    NB_TRY(nb_call_pair(b, call, 2, 0, pad, err));
    const NbPoolAttr pool = {.kernel = {kernel[0], kernel[1]},
                             .stride = {stride[0], stride[1]},
                             .pad = {pad[0], pad[1], pad[0], pad[1]}};
    return nb_build_maxpool(b, call->path, pool, call->in[0], out, err);
}

/* nn.Upsample(size=None, scale_factor=None, mode='nearest') */
static NB_FALLIBLE build_upsample(NbBuild *b, const NbCall *call, NbTap *out, NbError *err) {
    double factor = 0.0;
    if (call->arg[0].kind != NB_ARG_NONE)
        return nb_call_fail(NB_ERR_UNSUPPORTED, err, b, call, "a fixed size; give a factor");
    NB_TRY(nb_call_number(b, call, 1, &factor, err));
    if (!(factor >= 1.0 && factor <= 64.0) || factor != floor(factor))
        return nb_call_fail(NB_ERR_UNSUPPORTED, err, b, call,
                            "factor %g, a whole number of 1 to 64 expected", factor);
    const NbArg *mode = call->n_args > 2 ? &call->arg[2] : NULL;
    if (mode && (mode->kind != NB_ARG_TEXT || strcmp(mode->text, "nearest") != 0))
        return nb_call_fail(NB_ERR_UNSUPPORTED, err, b, call, "only the mode 'nearest' is there");
    const NbAttr attr = {.upsample = {(int)factor}};
    out->channels = call->in[0].channels;
    return nb_graph_add(b->g, NB_OP_UPSAMPLE, call->path, 1, &call->in[0].node, &attr, &out->node,
                        err);
}

/* nn.ZeroPad2d(all) or nn.ZeroPad2d([left, right, top, bottom]) */
static NB_FALLIBLE build_zero_pad(NbBuild *b, const NbCall *call, NbTap *out, NbError *err) {
    int64_t side[4] = {0, 0, 0, 0};
    const NbArg *arg = &call->arg[0];
    if (arg->kind == NB_ARG_LIST && arg->count != 4)
        return nb_call_fail(NB_ERR_FORMAT, err, b, call, "%d numbers, four or one expected",
                            arg->count);
    for (int i = 0; i < 4; i++) {
        NbCall one = *call;
        one.arg = arg->kind == NB_ARG_LIST ? &arg->item[i] : arg;
        one.n_args = 1;
        NB_TRY(nb_call_int(b, &one, 0, 0, 1024, &side[i], err));
    }
    const NbAttr attr = {.pad = {{(int)side[2], (int)side[0], (int)side[3], (int)side[1]}}};
    out->channels = call->in[0].channels;
    return nb_graph_add(b->g, NB_OP_PAD, call->path, 1, &call->in[0].node, &attr, &out->node, err);
}

static NB_FALLIBLE build_identity(NbBuild *b, const NbCall *call, NbTap *out, NbError *err) {
    (void)b;
    (void)err;
    *out = call->in[0];
    return NB_OK;
}

/* Concat(dim=1) */
static NB_FALLIBLE build_concat(NbBuild *b, const NbCall *call, NbTap *out, NbError *err) {
    int64_t axis = 1;
    NB_TRY(nb_call_int(b, call, 0, 1, 1, &axis, err));
    return nb_build_concat(b, call->path, call->n_in, call->in, out, err);
}

const NbModule nb_module_maxpool = {.name = "nn.MaxPool2d",
                                    .channels = NB_CHANNELS_GIVEN,
                                    .min_args = 1,
                                    .max_args = 3,
                                    .max_in = 1,
                                    .build = build_maxpool};
const NbModule nb_module_upsample = {.name = "nn.Upsample",
                                     .channels = NB_CHANNELS_GIVEN,
                                     .min_args = 2,
                                     .max_args = 3,
                                     .max_in = 1,
                                     .build = build_upsample};
const NbModule nb_module_zero_pad = {.name = "nn.ZeroPad2d",
                                     .channels = NB_CHANNELS_GIVEN,
                                     .min_args = 1,
                                     .max_args = 1,
                                     .max_in = 1,
                                     .build = build_zero_pad};
const NbModule nb_module_identity = {.name = "nn.Identity",
                                     .channels = NB_CHANNELS_GIVEN,
                                     .min_args = 0,
                                     .max_args = 0,
                                     .max_in = 1,
                                     .build = build_identity};
const NbModule nb_module_concat = {.name = "Concat",
                                   .channels = NB_CHANNELS_GIVEN,
                                   .min_args = 0,
                                   .max_args = 1,
                                   .max_in = 64,
                                   .build = build_concat};
