/* SPDX-License-Identifier: Apache-2.0
 *
 * Convolutions: which algorithm, and how the work is cut into items. */
#include "nn/float/internal.h"

enum {
    BAND_FLOATS = 40960, /* of rows that are copied for an item: they stay in the second cache */
    WINO_FLOATS = 114688,
    MATRIX_FLOATS = 32768,
    ITEMS_A_THREAD = 4, /* so that threads end together */
};

size_t nb_float_group(const NbFloatKernels *k, size_t left) {
    if (!k->pixels[2])
        return 1;
    if (left == 5 || left == 6 || left == 9)
        return 3;
    return left < NB_FLOAT_MAX_PANELS ? left : NB_FLOAT_MAX_PANELS;
}

NbFloatSplit nb_float_split(size_t n, size_t most) {
    NbFloatSplit s = {.count = (n + most - 1) / most};
    s.size = (n + s.count - 1) / s.count;
    s.full = n - s.count * (s.size - 1);
    return s;
}

/* The size of parts of n: at most `most`, so that they stay in cache; several for each thread, but
 * none below `least`, where packed weights would be read for too little. */
static size_t part_of(const NbFloatEngine *x, size_t n, size_t most, size_t least) {
    const size_t threads = (size_t)x->threads;
    const size_t fit = most > least ? (n + most - 1) / most : (n + least - 1) / least;
    size_t parts = n / least < threads * ITEMS_A_THREAD ? n / least : threads * ITEMS_A_THREAD;
    if (threads == 1 || parts < fit)
        parts = fit;
    if (parts > 1)
        parts = (parts + threads - 1) / threads * threads;
    return parts > 1 ? (n + parts - 1) / parts : n;
}

static bool is_depthwise(const NbFloatConv *conv) {
    return conv->groups > 1 && conv->cin == 1 && conv->cout == 1;
}

/* Winograd needs 36 products where the plain sum needs 144, and passes over input and output that
 * few channels do not pay for. */
static bool wants_winograd(const NbFloatConv *conv) {
    const NbConvAttr *const a = &conv->a;
    const bool form = a->kernel[0] == 3 && a->kernel[1] == 3 && a->stride[0] == 1 &&
                      a->stride[1] == 1 && a->dilation[0] == 1 && a->dilation[1] == 1;
    const size_t covered = ((conv->oh + 3) / 4) * ((conv->ow + 3) / 4) * 16;
    return form && conv->groups == 1 && conv->cin % NB_FLOAT_PANEL == 0 && conv->cout >= 8 &&
           2 * covered <= 3 * conv->oh * conv->ow;
}

static bool is_pointwise(const NbFloatConv *conv) {
    const NbConvAttr *const a = &conv->a;
    bool plain = conv->groups == 1 && !conv->from_bytes;
    for (int i = 0; i < 2; i++)
        plain =
            plain && a->kernel[i] == 1 && a->stride[i] == 1 && a->pad[i] == 0 && a->pad[i + 2] == 0;
    return plain;
}

static void shape_pointwise(const NbFloatEngine *x, NbFloatConv *conv) {
    const size_t pixels = conv->oh * conv->ow;
    conv->taps = 1;
    conv->tap[0] = 0;
    conv->k = conv->cin;
    conv->lines = part_of(x, pixels, MATRIX_FLOATS / conv->cin / 24 * 24, 24);
    conv->per_image = (pixels + conv->lines - 1) / conv->lines;
}

static void shape_winograd(const NbFloatEngine *x, NbFloatConv *conv) {
    conv->tiles_x = (conv->ow + 3) / 4;
    conv->tiles = conv->tiles_x * ((conv->oh + 3) / 4);
    conv->tap[0] = 0;
    const size_t fit = WINO_FLOATS / (NB_FLOAT_WINO * conv->cin);
    conv->tile_step = part_of(x, conv->tiles, fit / 12 * 12, 12);
    conv->per_image = (conv->tiles + conv->tile_step - 1) / conv->tile_step;
    conv->tile_step = (conv->tiles + conv->per_image - 1) / conv->per_image;
    conv->scratch = nb_float_wino_scratch(conv);
}

/* Kernel rows of the band lie together where columns are not spread. */
static void shape_band(const NbFloatEngine *x, NbFloatConv *conv) {
    const NbConvAttr *const a = &conv->a;
    const bool wide = conv->groups == 1 && a->dilation[1] == 1;
    const size_t kw = (size_t)a->kernel[1];
    const size_t columns =
        (conv->ow - 1) * (size_t)a->stride[1] + (size_t)a->dilation[1] * (kw - 1) + 1;
    conv->band_row = columns * conv->padded;
    conv->taps = (size_t)a->kernel[0] * (wide ? 1 : kw);
    conv->k = conv->cin * (wide ? kw : 1);
    for (size_t t = 0; t < conv->taps; t++) {
        const size_t i = wide ? t : t / kw;
        const size_t j = wide ? 0 : t % kw;
        conv->tap[t] =
            i * (size_t)a->dilation[0] * conv->band_row + j * (size_t)a->dilation[1] * conv->padded;
    }
    const size_t most = BAND_FLOATS / ((size_t)a->stride[0] * conv->band_row);
    conv->lines = part_of(x, conv->oh, most, 1);
    conv->per_image = (conv->oh + conv->lines - 1) / conv->lines;
    const size_t rows = (conv->lines - 1) * (size_t)a->stride[0] +
                        (size_t)a->dilation[0] * ((size_t)a->kernel[0] - 1) + 1;
    conv->scratch = rows * conv->band_row;
    if (conv->algorithm == NB_FLOAT_DEPTHWISE)
        conv->scratch += conv->ow * conv->padded;
}

static NB_FALLIBLE measure(NbFloatEngine *x, NbFloatConv *conv, NbError *err) {
    const NbNode *const node = &x->g->node[conv->node];
    const NbNode *const from = &x->g->node[x->value[node->in[0]].source];
    const NbShape *const in = &x->g->node[node->in[0]].shape;
    conv->n = (size_t)in->dim[0];
    conv->h = (size_t)in->dim[2];
    conv->w = (size_t)in->dim[3];
    conv->oh = (size_t)node->shape.dim[2];
    conv->ow = (size_t)node->shape.dim[3];
    conv->groups = (size_t)conv->a.groups;
    conv->cin = (size_t)in->dim[1] / conv->groups;
    conv->cout = (size_t)node->shape.dim[1] / conv->groups;
    conv->padded = conv->cin * conv->groups;
    conv->panels = (conv->cout + NB_FLOAT_PANEL - 1) / NB_FLOAT_PANEL;
    conv->from_bytes = from->op == NB_OP_INPUT && !from->attr.input.real;
    conv->scale = from->attr.input.scale;
    conv->macs = (double)(conv->n * conv->oh * conv->ow * conv->cin * conv->cout * conv->groups) *
                 conv->a.kernel[0] * conv->a.kernel[1];
    conv->tap = NB_NEW(&x->arena, size_t, (size_t)(conv->a.kernel[0] * conv->a.kernel[1]));
    return conv->tap ? NB_OK : nb_fail_memory(err, "convolutions");
}

NbStatus nb_float_conv_shape(NbFloatEngine *x, NbFloatConv *conv, NbError *err) {
    NB_TRY(measure(x, conv, err));
    if (is_depthwise(conv)) {
        conv->algorithm = NB_FLOAT_DEPTHWISE;
        conv->from_bytes = false;
        conv->padded = (conv->groups + NB_FLOAT_PANEL - 1) / NB_FLOAT_PANEL * NB_FLOAT_PANEL;
        shape_band(x, conv);
    } else if (is_pointwise(conv)) {
        conv->algorithm = NB_FLOAT_POINTWISE;
        shape_pointwise(x, conv);
    } else if (wants_winograd(conv)) {
        conv->algorithm = NB_FLOAT_WINOGRAD;
        conv->from_bytes = false;
        shape_winograd(x, conv);
    } else {
        conv->algorithm = NB_FLOAT_DIRECT;
        shape_band(x, conv);
    }
    if (conv->scratch > x->scratch_floats)
        x->scratch_floats = conv->scratch;
    return NB_OK;
}

NbStatus nb_float_add_conv(NbFloatEngine *x, NbFloatConv *conv, NbError *err) {
    static NbFloatRun *const runs[NB_FLOAT_ALGORITHMS] = {
        [NB_FLOAT_POINTWISE] = nb_float_run_pointwise,
        [NB_FLOAT_DIRECT] = nb_float_run_direct,
        [NB_FLOAT_DEPTHWISE] = nb_float_run_depthwise,
        [NB_FLOAT_WINOGRAD] = nb_float_run_winograd};
    static const char *const names[NB_FLOAT_ALGORITHMS] = {"pointwise", "direct", "depthwise",
                                                           "winograd"};
    NbFloatPlace in;
    NbFloatPlace add = {.buffer = NB_FLOAT_NOWHERE};
    NB_TRY(nb_float_nhwc(x, x->g->node[conv->node].in[0], &in, err));
    if (conv->add >= 0)
        NB_TRY(nb_float_nhwc(x, conv->add, &add, err));
    NbFloatStep *const s =
        nb_float_add_step(x, runs[conv->algorithm], names[conv->algorithm], conv->tail, 2, 1);
    if (!s)
        return nb_fail_memory(err, "steps");
    s->in[0] = in;
    s->in[1] = add;
    s->unit = conv;
    s->items = (int)(conv->n * conv->per_image);
    return nb_float_make_nhwc(x, conv->tail, &s->out, err);
}
