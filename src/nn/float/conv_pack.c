/* SPDX-License-Identifier: Apache-2.0
 *
 * Weights in the order the kernels read them: panels of 16 output channels, and the batch norm
 * behind a convolution multiplied in. Convolutions are packed in parallel. */
#include "nn/float/internal.h"

typedef struct Source {
    const float *weights; /* [O, I/groups, kh, kw] */
    const float *bias;    /* NULL: none */
    float *factor;        /* [O] of the batch norm; NULL: none */
    float *shift;
} Source;

static size_t outputs(const NbFloatConv *conv) { return conv->cout * conv->groups; }

static NB_FALLIBLE take(NbFloatEngine *x, NbFloatConv *conv, Source *s, NbError *err) {
    const size_t area = (size_t)conv->a.kernel[0] * (size_t)conv->a.kernel[1];
    size_t weights;
    size_t bias = conv->groups * conv->panels * NB_FLOAT_PANEL;
    if (conv->algorithm == NB_FLOAT_DEPTHWISE) {
        weights = area * conv->padded;
        bias = conv->padded;
    } else {
        const size_t positions = conv->algorithm == NB_FLOAT_WINOGRAD ? NB_FLOAT_WINO : area;
        conv->panel =
            (conv->algorithm == NB_FLOAT_WINOGRAD ? 1 : area) * conv->cin * NB_FLOAT_PANEL;
        weights = conv->groups * conv->panels * positions * conv->cin * NB_FLOAT_PANEL;
    }
    const NbNode *const node = &x->g->node[conv->node];
    s->weights = nb_float_param(x, node->in[1]);
    s->bias = node->n_in > 2 ? nb_float_param(x, node->in[2]) : NULL;
    conv->weights = NB_NEW(&x->arena, float, weights);
    conv->bias = NB_NEW(&x->arena, float, bias);
    bool all = conv->weights && conv->bias;
    if (conv->norm >= 0) {
        s->factor = NB_NEW(&x->arena, float, 2 * outputs(conv));
        s->shift = s->factor ? s->factor + outputs(conv) : NULL;
        all = all && s->factor;
    }
    return all ? NB_OK : nb_fail_memory(err, "packed weights");
}

static void take_norm(const NbFloatEngine *x, const NbFloatConv *conv, const Source *s) {
    const NbNode *const norm = &x->g->node[conv->norm];
    nb_batchnorm_affine(nb_float_param(x, norm->in[1]), nb_float_param(x, norm->in[2]),
                        nb_float_param(x, norm->in[3]), nb_float_param(x, norm->in[4]),
                        norm->attr.batchnorm.eps, outputs(conv), s->factor, s->shift);
}

static float bias_of(const Source *s, size_t o) {
    const float bias = s->bias ? s->bias[o] : 0.0F;
    return s->factor ? bias * s->factor[o] + s->shift[o] : bias;
}

static void pack_bias(const NbFloatConv *conv, const Source *s) {
    const bool one = conv->algorithm == NB_FLOAT_DEPTHWISE;
    const size_t width = one ? 1 : conv->panels * NB_FLOAT_PANEL;
    for (size_t g = 0; g < conv->groups; g++)
        for (size_t o = 0; o < conv->cout; o++)
            conv->bias[g * width + o] = bias_of(s, g * conv->cout + o);
}

static void pack_depthwise(const NbFloatConv *conv, const Source *s) {
    const size_t area = (size_t)conv->a.kernel[0] * (size_t)conv->a.kernel[1];
    for (size_t c = 0; c < conv->groups; c++)
        for (size_t t = 0; t < area; t++)
            conv->weights[t * conv->padded + c] =
                s->weights[c * area + t] * (s->factor ? s->factor[c] : 1.0F);
}

/* One panel: [kh][kw][channel of the input][16]. */
static void pack_panel(const NbFloatConv *conv, const Source *s, size_t group, size_t panel) {
    const size_t area = (size_t)conv->a.kernel[0] * (size_t)conv->a.kernel[1];
    const size_t first = panel * NB_FLOAT_PANEL;
    const size_t left = conv->cout - first;
    const size_t n = left < NB_FLOAT_PANEL ? left : NB_FLOAT_PANEL;
    const float *const from = s->weights + (group * conv->cout + first) * conv->cin * area;
    float *const to = conv->weights + (group * conv->panels + panel) * conv->panel;
    float factor[NB_FLOAT_PANEL];
    for (size_t j = 0; j < n; j++)
        factor[j] = s->factor ? s->factor[group * conv->cout + first + j] : 1.0F;
    for (size_t c = 0; c < conv->cin; c++)
        for (size_t t = 0; t < area; t++) {
            float *const line = to + (t * conv->cin + c) * NB_FLOAT_PANEL;
            const float *const at = from + c * area + t;
            for (size_t j = 0; j < n; j++)
                line[j] = at[j * conv->cin * area] * factor[j];
        }
}

static void pack(const NbFloatEngine *x, const NbFloatConv *conv, const Source *s) {
    if (conv->norm >= 0)
        take_norm(x, conv, s);
    pack_bias(conv, s);
    if (conv->algorithm == NB_FLOAT_DEPTHWISE) {
        pack_depthwise(conv, s);
        return;
    }
    for (size_t g = 0; g < conv->groups; g++)
        for (size_t p = 0; p < conv->panels; p++)
            if (conv->algorithm == NB_FLOAT_WINOGRAD)
                nb_float_wino_pack(conv, s->weights, s->factor, p);
            else
                pack_panel(conv, s, g, p);
}

typedef struct Job {
    const NbFloatEngine *x;
    const Source *source;
} Job;

static void pack_one(void *user, int index, int worker) {
    (void)worker;
    const Job *const job = user;
    pack(job->x, &job->x->conv[index], &job->source[index]);
}

NbStatus nb_float_pack(NbFloatEngine *x, NbError *err) {
    Source *const source = NB_NEW(&x->arena, Source, (size_t)x->n_convs);
    if (!source)
        return nb_fail_memory(err, "packed weights");
    for (int i = 0; i < x->n_convs; i++)
        NB_TRY(take(x, &x->conv[i], &source[i], err));
    Job job = {.x = x, .source = source};
    nb_pool_run(x->options.pool, x->n_convs, pack_one, &job);
    return NB_OK;
}
