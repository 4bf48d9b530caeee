/* SPDX-License-Identifier: Apache-2.0
 *
 * The first layers have maps that no cache holds. Where the input of a convolution wants no
 * gradient and a batch norm follows, its backward goes band by band of rows: the gradient behind
 * the batch norm is made for a band and used at once for that of the weights. */
#include "nn/conv.h"

enum {
    BAND_BYTES = 1 << 18,  /* of the output: a quarter of a usual second-level cache */
    LEAST_BYTES = 1 << 19, /* smaller maps are not cut */
    MOST_WEIGHTS = 1 << 15 /* their gradients are added once a band */
};

/* The shape of a band: the rows of the input that it reads, and what is padding. */
static NbConvShape shape_of_band(const NbConvShape *s, NbNnBand *band) {
    NbConvShape part = *s;
    const int from = band->first * s->stride[0] - s->pad[0];
    const int to =
        (band->end - 1) * s->stride[0] + (s->kernel[0] - 1) * s->dilation[0] + 1 - s->pad[0];
    band->in_first = from < 0 ? 0 : from;
    part.pad[0] = band->in_first - from;
    part.pad[2] = to > s->ih ? to - s->ih : 0;
    part.ih = to - part.pad[2] - band->in_first;
    part.oh = band->end - band->first;
    return part;
}

static bool same_rows(const NbConvShape *a, const NbConvShape *b) {
    return a->ih == b->ih && a->oh == b->oh && a->pad[0] == b->pad[0] && a->pad[2] == b->pad[2];
}

/* Finds or makes the primitive of a band; false: bands do not work out for this convolution. */
static bool find_kind(NbExecutor *x, NbNnConv *conv, NbNnBand *band) {
    const NbConvShape part = shape_of_band(&conv->shape, band);
    NbError err = {{0}};
    for (band->kind = 0; band->kind < conv->n_band_kinds; band->kind++)
        if (same_rows(&part, &conv->band_shape[band->kind]))
            return true;
    if (conv->n_band_kinds == NB_NN_BAND_KINDS || part.ih < 1)
        return false;
    NbDnnlConv **const made = &conv->band_weights[conv->n_band_kinds];
    if (nb_dnnl_conv_new(x->dnnl, &part, NB_CONV_BACKWARD_WEIGHTS, made, &err) != NB_OK)
        return false;
    conv->band_shape[conv->n_band_kinds++] = part;
    return nb_dnnl_conv_same_packing(*made, conv->back_weights);
}

NbStatus nb_nn_bands_new(NbExecutor *x, NbNnConv *conv, NbError *err) {
    const NbConvShape *const s = &conv->shape;
    const size_t row = (size_t)s->ow * (size_t)s->oc * sizeof(float);
    const int rows = (int)(BAND_BYTES / row) / 2 * 2;
    if (!conv->back_weights || conv->input_grad_wanted || x->options.keep || rows < 2 ||
        row * (size_t)s->oh < LEAST_BYTES || conv->weights > MOST_WEIGHTS)
        return NB_OK;
    conv->n_bands = (s->oh + rows - 1) / rows;
    conv->band = NB_NEW(&x->arena, NbNnBand, (size_t)conv->n_bands);
    if (!conv->band)
        return nb_fail_memory(err, "bands of a convolution");
    for (int i = 0; i < conv->n_bands; i++) {
        const int left = s->oh - i * rows;
        NbNnBand *const band = &conv->band[i];
        *band = (NbNnBand){.first = i * rows, .end = i * rows + (left < rows ? left : rows)};
        if (!find_kind(x, conv, band))
            conv->n_bands = 0; /* whole pictures, then */
    }
    return NB_OK;
}

static size_t band_bytes(const NbNnConv *conv) {
    const int rows = conv->band[0].end - conv->band[0].first;
    return (size_t)rows * (size_t)conv->shape.ow * (size_t)conv->shape.oc * sizeof(float);
}

static size_t round_up(size_t bytes) {
    return (bytes + NB_ARENA_ALIGN - 1) / NB_ARENA_ALIGN * NB_ARENA_ALIGN;
}

/* Scratch: the chain's, the convolution's, a band. */
size_t nb_nn_band_scratch(const NbNnConv *conv, const NbNnChain *chain) {
    return round_up(nb_nn_chain_scratch(chain)) + round_up(nb_nn_conv_scratch(conv)) +
           band_bytes(conv);
}

/* The chain that reads a convolution. */
static NbNnChain *chain_of(const NbNnTask *task, const NbNnConv *conv) {
    NbExecutor *const x = task->x;
    for (int i = 0; i < x->n_chains; i++)
        if (x->chain[i].x == conv->node)
            return &x->chain[i];
    return NULL;
}

static NB_FALLIBLE weights_of_band(const NbNnTask *task, const NbNnConv *conv, const NbNnBand *band,
                                   float *src, float *dy, const NbNnConvScratch *s, NbError *err) {
    float *const dw = nb_nn_at(task, conv->dw);
    const bool first = task->first && band == conv->band;
    NB_TRY(nb_dnnl_conv_run(conv->band_weights[band->kind], task->worker, src, first ? dw : s->dw,
                            dy, s->library, err));
    if (!first)
        task->x->k->add(s->dw, nb_nn_conv_gradient_bytes(conv) / sizeof *dw, dw);
    return NB_OK;
}

void nb_nn_band_backward(const NbNnTask *task, const NbNnStep *step) {
    NbExecutor *const x = task->x;
    NbNnConv *const conv = &x->conv[step->unit];
    NbNnChain *const chain = chain_of(task, conv);
    unsigned char *const base = x->scratch[task->worker] + round_up(nb_nn_chain_scratch(chain));
    const NbNnConvScratch s = nb_nn_conv_scratch_at(conv, base);
    float *const dy = (float *)(void *)(base + round_up(nb_nn_conv_scratch(conv)));
    float *const src = nb_nn_at(task, step->a);
    double *const bias = conv->bias_sum + (size_t)task->shard * conv->period;
    const size_t in_row = (size_t)conv->shape.iw * (size_t)conv->shape.ic;
    const size_t out_row = (size_t)conv->shape.ow * (size_t)conv->shape.oc;
    NbError err = {{0}};
    for (size_t i = 0; task->first && i < conv->period; i++)
        bias[i] = 0.0;
    for (int i = 0; i < conv->n_bands; i++) {
        const NbNnBand *const band = &conv->band[i];
        const int rows[2] = {band->first, band->end};
        nb_nn_chain_norm_rows(task, chain, rows, dy);
        if (conv->bias >= 0 && x->grad[conv->bias])
            x->k->sums(dy, conv->period, (size_t)(band->end - band->first) * out_row, bias, NULL);
        nb_nn_failed(
            task,
            weights_of_band(task, conv, band, src + (size_t)band->in_first * in_row, dy, &s, &err),
            &err);
    }
}
