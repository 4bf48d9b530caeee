/* SPDX-License-Identifier: Apache-2.0
 *
 * Detect: the anchors, and a 1x1 convolution for each level, or (in_conv false) the features as
 * they come. Arguments (nc, anchors), (nc, anchors, in_conv, use_hardtanh) or these and (inplace,
 * weight bits). With (nc) alone it is YOLOv8's (module_free.c). */
#include "model/block.h"

#include <stdio.h>
#include <string.h>

typedef struct Arguments {
    int64_t nc;
    bool in_conv;
    bool hardtanh;
    int weight_bits;
} Arguments;

static NB_FALLIBLE read_arguments(const NbBuild *b, const NbCall *call, Arguments *out,
                                  NbError *err) {
    bool inplace = true;
    *out = (Arguments){.in_conv = true};
    if (call->n_args != 2 && call->n_args != 4 && call->n_args != 6)
        return nb_call_fail(NB_ERR_FORMAT, err, b, call,
                            "Detect takes 2, 4 or 6 arguments (nc, anchors[, in_conv, use_hardtanh"
                            "[, inplace, weight_bit_width]]), found %d",
                            call->n_args);
    NB_TRY(nb_call_int(b, call, 0, 1, 100000, &out->nc, err));
    if (out->nc == 0)
        return nb_call_fail(NB_ERR_FORMAT, err, b, call, "the number of classes is None");
    NB_TRY(nb_call_bool(b, call, 2, &out->in_conv, err));
    NB_TRY(nb_call_bool(b, call, 3, &out->hardtanh, err));
    NB_TRY(nb_call_bool(b, call, 4, &inplace, err));
    if (call->n_args == 6)
        NB_TRY(nb_call_bits(b, call, 5, &out->weight_bits, err));
    return NB_OK;
}

static NB_FALLIBLE read_level(const NbBuild *b, const NbCall *call, const NbArg *level, int l,
                              NbError *err) {
    NbHead *h = b->head;
    const int most = 2 * NB_MAX_ANCHORS;
    if (level->kind != NB_ARG_LIST || level->count % 2 || level->count < 2 || level->count > most)
        return nb_call_fail(NB_ERR_FORMAT, err, b, call,
                            "level %d of the anchors: a list of up to %d pairs w, h expected", l,
                            NB_MAX_ANCHORS);
    if (l > 0 && level->count != 2 * h->anchors)
        return nb_call_fail(NB_ERR_FORMAT, err, b, call,
                            "level %d has %d anchors, the first has %d", l, level->count / 2,
                            h->anchors);
    h->anchors = level->count / 2;
    for (int i = 0; i < level->count; i++) {
        const NbArg *value = &level->item[i];
        if ((value->kind != NB_ARG_INT && value->kind != NB_ARG_NUMBER) || !(value->number > 0.0) ||
            value->number > 1e6)
            return nb_call_fail(NB_ERR_FORMAT, err, b, call,
                                "level %d of the anchors: positive sizes in pixels expected", l);
        h->anchor[l][i / 2][i % 2] = (float)value->number;
    }
    return NB_OK;
}

/* A list of levels, or the number of anchors a level (placeholders 0, 1, 2, ...). */
static NB_FALLIBLE read_anchors(const NbBuild *b, const NbCall *call, NbError *err) {
    NbHead *h = b->head;
    const NbArg *anchors = &call->arg[1];
    if (anchors->kind == NB_ARG_INT) {
        int64_t n = 0;
        NB_TRY(nb_call_int(b, call, 1, 1, NB_MAX_ANCHORS, &n, err));
        h->anchors = (int)n;
        for (int l = 0; l < h->levels; l++)
            for (int i = 0; i < 2 * h->anchors; i++)
                h->anchor[l][i / 2][i % 2] = (float)i;
        return NB_OK;
    }
    if (anchors->kind != NB_ARG_LIST || anchors->count != h->levels)
        return nb_call_fail(NB_ERR_FORMAT, err, b, call,
                            "anchors for %d levels expected, one for each input of Detect, or the "
                            "number of anchors a level",
                            h->levels);
    for (int l = 0; l < h->levels; l++)
        NB_TRY(read_level(b, call, &anchors->item[l], l, err));
    return NB_OK;
}

static NB_FALLIBLE build_level(NbBuild *b, const NbCall *call, const Arguments *a, int l,
                               NbError *err) {
    char path[160];
    const NbTap x = call->in[l];
    const int outputs = b->head->anchors * (5 + b->head->nc);
    int weight_bits = a->weight_bits;
    int act_bits = 0;
    (void)snprintf(path, sizeof path, "%s.m.%d", call->path, l);
    nb_build_bits(b, path, x, true, &weight_bits, &act_bits);
    /* the peer builds the convolution of an unused in_conv all the same, in float */
    const bool unused = !a->in_conv;
    const NbConvOptions options = {.weight_bits = unused ? 0 : weight_bits,
                                   .bias = !a->weight_bits || b->bias_at_output};
    const NbConvShape shape = nb_conv_shape(outputs, 1, 1);
    if (unused && x.channels != outputs)
        return nb_call_fail(NB_ERR_FORMAT, err, b, call,
                            "level %d has %d channels, %d anchors of %d numbers expected", l,
                            x.channels, b->head->anchors, 5 + b->head->nc);
    b->output[l] = x;
    if (unused && !b->compat)
        return NB_OK;
    NbTap conv = {0};
    NB_TRY(nb_build_conv(b, path, x, &shape, options, &conv, err));
    if (!unused) {
        b->output[l] = conv;
        return NB_OK;
    }
    const NbNode *node = &b->g->node[conv.node];
    for (int i = 1; i < node->n_in; i++)
        b->g->node[node->in[i]].attr.param.frozen = true;
    return NB_OK;
}

static NB_FALLIBLE build_detect(NbBuild *b, const NbCall *call, NbTap *out, NbError *err) {
    Arguments a;
    if (call->n_args == 1)
        return nb_build_detect_free(b, call, out, err);
    NB_TRY(read_arguments(b, call, &a, err));
    if (call->n_in > NB_MAX_LEVELS)
        return nb_call_fail(NB_ERR_FORMAT, err, b, call, "%d levels, 1 to %d expected", call->n_in,
                            NB_MAX_LEVELS);
    *b->head = (NbHead){
        .kind = NB_HEAD_YOLOV5, .nc = (int)a.nc, .levels = call->n_in, .hardtanh = a.hardtanh};
    NB_TRY(read_anchors(b, call, err));
    for (int l = 0; l < call->n_in; l++)
        NB_TRY(build_level(b, call, &a, l, err));
    b->n_outputs = call->n_in;
    *out = b->output[0];
    return NB_OK;
}

const NbModule nb_module_detect = {.name = "Detect",
                                   .channels = NB_CHANNELS_GIVEN,
                                   .min_args = 1,
                                   .max_args = 6,
                                   .max_in = NB_MAX_LEVELS,
                                   .build = build_detect};
