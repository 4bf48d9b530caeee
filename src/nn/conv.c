/* SPDX-License-Identifier: Apache-2.0
 *
 * Convolutions: what is made once, weights of each forward, and the forward itself. */
#include "nn/conv.h"

#include "base/size.h"
#include "quant/bound.h"

#include <stdlib.h>
#include <string.h>

static size_t round_up(size_t bytes) {
    return (bytes + NB_ARENA_ALIGN - 1) / NB_ARENA_ALIGN * NB_ARENA_ALIGN;
}

/* A primitive, or none when oneDNN cannot do this shape: then loops do it. */
static NB_FALLIBLE try_primitive(NbExecutor *x, const NbConvShape *shape, NbConvPass pass,
                                 NbDnnlConv **out, NbError *err) {
    const NbStatus status = nb_dnnl_conv_new(x->dnnl, shape, pass, out, err);
    return status == NB_ERR_UNSUPPORTED ? NB_OK : status;
}

/* What the codes of a value can be, less their zero point. */
static NbRange centred_codes(const NbGraph *g, NbNodeId id) {
    NbRange range = nb_range_of_grid(g->node[id].grid);
    const int64_t zero = (int64_t)nb_graph_zero(g, id);
    range.min -= zero;
    range.max -= zero;
    return range;
}

/* Parts of the input channels whose sums are exact for all codes there can be. */
static NB_FALLIBLE plan_chunks(NbExecutor *x, NbNnConv *conv, NbError *err) {
    const NbConvShape *const s = &conv->shape;
    if (!conv->coded || !conv->forward)
        return NB_OK;
    const NbRange codes = centred_codes(x->g, conv->x);
    const NbRange weights = centred_codes(x->g, conv->weight_quant);
    const int64_t taps = (int64_t)s->kernel[0] * s->kernel[1];
    const int channels = s->ic / s->groups;
    if (nb_range_fits_f32(nb_range_of_products(codes, weights, taps * channels)))
        return NB_OK;
    conv->may_overflow = true;
    if (!nb_range_fits_f32(nb_range_of_products(codes, weights, taps)) || s->groups > 1)
        return NB_OK; /* loops in double */
    for (conv->n_chunks = 2; !nb_range_fits_f32(
             nb_range_of_products(codes, weights, taps * nb_ceil_div(channels, conv->n_chunks)));)
        conv->n_chunks++;
    conv->chunk_channels = (channels + conv->n_chunks - 1) / conv->n_chunks;
    conv->n_chunks = (channels + conv->chunk_channels - 1) / conv->chunk_channels;
    conv->chunk_packed = NB_NEW(&x->arena, float *, (size_t)conv->n_chunks);
    conv->slice = NB_NEW(&x->arena, float, conv->weights);
    if (!conv->chunk_packed || !conv->slice)
        return nb_fail_memory(err, "a convolution");
    NbConvShape part = *s;
    for (int i = 0; i < 2; i++) {
        part.ic =
            i == 0 ? conv->chunk_channels : channels - (conv->n_chunks - 1) * conv->chunk_channels;
        NB_TRY(try_primitive(x, &part, NB_CONV_FORWARD, &conv->chunk[i], err));
    }
    if (!conv->chunk[0] || !conv->chunk[1])
        conv->n_chunks = 0;
    for (int i = 0; i < conv->n_chunks; i++) {
        const NbDnnlConv *const p = conv->chunk[i == conv->n_chunks - 1];
        conv->chunk_packed[i] = nb_arena_take(&x->arena, nb_dnnl_conv_weight_bytes(p), 1);
        if (!conv->chunk_packed[i])
            return nb_fail_memory(err, "packed weights");
    }
    return NB_OK;
}

static NB_FALLIBLE make_primitives(NbExecutor *x, NbNnConv *conv, NbError *err) {
    NB_TRY(try_primitive(x, &conv->shape, NB_CONV_FORWARD, &conv->forward, err));
    NB_TRY(plan_chunks(x, conv, err));
    if (!x->options.training)
        return NB_OK;
    if (conv->weight_grad_wanted)
        NB_TRY(try_primitive(x, &conv->shape, NB_CONV_BACKWARD_WEIGHTS, &conv->back_weights, err));
    if (conv->input_grad_wanted)
        NB_TRY(try_primitive(x, &conv->shape, NB_CONV_BACKWARD_DATA, &conv->back_data, err));
    return nb_nn_bands_new(x, conv, err);
}

static NB_FALLIBLE take_packed(NbExecutor *x, const NbDnnlConv *p, float **out, NbError *err) {
    *out = p ? nb_arena_take(&x->arena, nb_dnnl_conv_weight_bytes(p), 1) : NULL;
    return p && !*out ? nb_fail_memory(err, "packed weights") : NB_OK;
}

NbStatus nb_nn_conv_new(NbExecutor *x, NbNnConv *conv, NbError *err) {
    const NbConvShape *const s = &conv->shape;
    const size_t oc = (size_t)s->oc;
    conv->weights = nb_tensor_count(&x->g->node[conv->weight].param);
    conv->period = nb_nn_period(oc);
    NB_TRY(make_primitives(x, conv, err));
    NB_TRY(take_packed(x, conv->forward, &conv->packed, err));
    NB_TRY(take_packed(x, conv->back_data, &conv->packed_back, err));
    const bool quantized = conv->weight_quant >= 0;
    conv->code = NB_NEW(&x->arena, float, quantized ? conv->weights : 1);
    conv->real = NB_NEW(&x->arena, float, quantized ? conv->weights : 1);
    conv->grad = NB_NEW(&x->arena, float, conv->weight_grad_wanted ? conv->weights : 1);
    conv->weight_scale = NB_NEW(&x->arena, float, oc);
    conv->value_grad = NB_NEW(&x->arena, float, oc);
    conv->out_scale = NB_NEW(&x->arena, float, conv->period);
    conv->out_bias = NB_NEW(&x->arena, float, conv->period);
    conv->bias_sum = NB_NEW(&x->arena, double, (size_t)x->shards * conv->period);
    if (!conv->code || !conv->real || !conv->grad || !conv->weight_scale || !conv->value_grad ||
        !conv->out_scale || !conv->out_bias || !conv->bias_sum)
        return nb_fail_memory(err, "a convolution");
    const size_t scratch = nb_nn_conv_scratch(conv);
    x->scratch_bytes = scratch > x->scratch_bytes ? scratch : x->scratch_bytes;
    return NB_OK;
}

void nb_nn_conv_free(NbNnConv *conv) {
    nb_dnnl_conv_free(conv->forward);
    nb_dnnl_conv_free(conv->back_data);
    nb_dnnl_conv_free(conv->back_weights);
    for (int i = 0; i < NB_NN_BAND_KINDS; i++)
        nb_dnnl_conv_free(conv->band_weights[i]);
    nb_dnnl_conv_free(conv->chunk[0]);
    nb_dnnl_conv_free(conv->chunk[1]);
}

static size_t most_scratch(const NbNnConv *conv) {
    const NbDnnlConv *const all[] = {conv->forward, conv->back_data, conv->back_weights,
                                     conv->chunk[0], conv->chunk[1]};
    size_t most = 0;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i] && nb_dnnl_conv_scratch_bytes(all[i]) > most)
            most = nb_dnnl_conv_scratch_bytes(all[i]);
    for (int i = 0; i < conv->n_band_kinds; i++)
        if (nb_dnnl_conv_scratch_bytes(conv->band_weights[i]) > most)
            most = nb_dnnl_conv_scratch_bytes(conv->band_weights[i]);
    return round_up(most);
}

size_t nb_nn_conv_gradient_bytes(const NbNnConv *conv) {
    return conv->back_weights ? nb_dnnl_conv_weight_bytes(conv->back_weights)
                              : conv->weights * sizeof(float);
}

enum { PICTURE, PART, SUM, DW, END, PARTS };

static void scratch_offsets(const NbNnConv *conv, size_t at[PARTS]) {
    const size_t in = (size_t)conv->shape.ic * (size_t)conv->shape.ih * (size_t)conv->shape.iw;
    const size_t out = (size_t)conv->shape.oc * (size_t)conv->shape.oh * (size_t)conv->shape.ow;
    const bool sums = conv->may_overflow || !conv->forward;
    at[PICTURE] = most_scratch(conv);
    at[PART] = at[PICTURE] + round_up(in * sizeof(float));
    at[SUM] = at[PART] + (conv->may_overflow ? round_up(out * sizeof(float)) : 0);
    at[DW] = at[SUM] + (sums ? round_up(out * sizeof(double)) : 0);
    at[END] = at[DW] + round_up(nb_nn_conv_gradient_bytes(conv));
}

NbNnConvScratch nb_nn_conv_scratch_at(const NbNnConv *conv, unsigned char *base) {
    size_t at[PARTS];
    scratch_offsets(conv, at);
    return (NbNnConvScratch){.library = base,
                             .picture = (float *)(void *)(base + at[PICTURE]),
                             .part = (float *)(void *)(base + at[PART]),
                             .sum = (double *)(void *)(base + at[SUM]),
                             .dw = (float *)(void *)(base + at[DW])};
}

size_t nb_nn_conv_scratch(const NbNnConv *conv) {
    size_t at[PARTS];
    scratch_offsets(conv, at);
    return at[END];
}

/* Whether every sum of this forward's codes is exact in float32: a bound of the actual weights. */
static bool sums_are_exact(const NbExecutor *x, const NbNnConv *conv) {
    const size_t row = conv->weights / (size_t)conv->shape.oc;
    const NbRange codes = centred_codes(x->g, conv->x);
    for (size_t o = 0; o < (size_t)conv->shape.oc; o++)
        if (!nb_range_fits_f32(nb_range_of_row(codes, conv->code + o * row, row)))
            return false;
    return true;
}

static void quantize_weights(const NbExecutor *x, NbNnConv *conv, const float *w) {
    const NbNode *const node = &x->g->node[conv->weight_quant];
    const NbQuantSpec *const spec = &node->attr.quant;
    const size_t oc = (size_t)conv->shape.oc;
    const size_t channels = spec->per_channel ? oc : 1;
    const size_t n = conv->weights / channels;
    const float *const value = node->n_in == 2 ? nb_f32(&x->g->node[node->in[1]].param) : NULL;
    nb_quant_scale(spec, w, channels, n, value, conv->weight_scale);
    nb_quant_codes(spec, w, channels, n, conv->weight_scale, NULL, conv->code);
    for (size_t i = 0; spec->zero != 0.0F && i < conv->weights; i++)
        conv->code[i] -= spec->zero;
    nb_quant_values(conv->code, channels, n, conv->weight_scale, NULL, conv->real);
    for (size_t o = channels; o < oc; o++)
        conv->weight_scale[o] = conv->weight_scale[0];
}

/* Channels [from, from + n) of every filter, through the first part of the slice buffer. */
static NB_FALLIBLE pack_chunk(const NbNnConv *conv, int worker, int index, float *slice,
                              NbError *err) {
    const size_t taps = (size_t)conv->shape.kernel[0] * (size_t)conv->shape.kernel[1];
    const int from = index * conv->chunk_channels;
    const int left = conv->shape.ic - from;
    const size_t n = (size_t)(left < conv->chunk_channels ? left : conv->chunk_channels) * taps;
    const size_t row = (size_t)conv->shape.ic * taps;
    for (size_t o = 0; o < (size_t)conv->shape.oc; o++)
        memcpy(slice + o * n, conv->code + o * row + (size_t)from * taps, n * sizeof *slice);
    return nb_dnnl_conv_pack(conv->chunk[index == conv->n_chunks - 1], worker, slice,
                             conv->chunk_packed[index], err);
}

static NB_FALLIBLE pack(const NbExecutor *x, NbNnConv *conv, int worker, NbError *err) {
    const float *const w = nb_f32(&x->g->node[conv->weight].param);
    const bool quantized = conv->weight_quant >= 0;
    conv->forward_weights = quantized ? (conv->coded ? conv->code : conv->real) : w;
    conv->real_weights = quantized ? conv->real : w;
    conv->split = conv->may_overflow && !sums_are_exact(x, conv);
    if (conv->forward)
        NB_TRY(nb_dnnl_conv_pack(conv->forward, worker, conv->forward_weights, conv->packed, err));
    for (int i = 0; conv->split && i < conv->n_chunks; i++)
        NB_TRY(pack_chunk(conv, worker, i, conv->slice, err));
    if (conv->back_data && x->train)
        NB_TRY(
            nb_dnnl_conv_pack(conv->back_data, worker, conv->real_weights, conv->packed_back, err));
    return NB_OK;
}

static void prepare_one(void *user, int index, int worker) {
    NbExecutor *const x = user;
    NbNnConv *const conv = &x->conv[index];
    const size_t oc = (size_t)conv->shape.oc;
    nb_dnnl_stay_in_thread(x->dnnl);
    if (conv->weight_quant >= 0)
        quantize_weights(x, conv, nb_f32(&x->g->node[conv->weight].param));
    const float *const bias = conv->bias >= 0 ? nb_f32(&x->g->node[conv->bias].param) : NULL;
    for (size_t i = 0; i < conv->period; i++) {
        conv->out_scale[i] =
            conv->coded ? x->value[conv->x].scale * conv->weight_scale[i % oc] : 1.0F;
        conv->out_bias[i] = bias ? bias[i % oc] : 0.0F;
    }
    const NbNnTask task = {.x = x, .worker = worker};
    NbError err = {{0}};
    nb_nn_failed(&task, pack(x, conv, worker, &err), &err);
}

NbStatus nb_nn_convs_prepare(NbExecutor *x, NbError *err) {
    nb_pool_run(x->options.pool, x->n_convs, prepare_one, x);
    return nb_nn_status(x, err);
}

/* In part by part of the input channels, each exact in float32, summed in double. */
static NB_FALLIBLE forward_split(const NbNnTask *task, const NbNnConv *conv, const float *src,
                                 float *dst, const NbNnConvScratch *s, NbError *err) {
    const size_t pixels = (size_t)conv->shape.ih * (size_t)conv->shape.iw;
    const size_t out = (size_t)conv->shape.oc * (size_t)conv->shape.oh * (size_t)conv->shape.ow;
    const size_t ic = (size_t)conv->shape.ic;
    for (int i = 0; i < conv->n_chunks; i++) {
        const size_t from = (size_t)i * (size_t)conv->chunk_channels;
        const size_t n =
            ic - from < (size_t)conv->chunk_channels ? ic - from : (size_t)conv->chunk_channels;
        for (size_t p = 0; p < pixels; p++)
            memcpy(s->picture + p * n, src + p * ic + from, n * sizeof *src);
        NB_TRY(nb_dnnl_conv_run(conv->chunk[i == conv->n_chunks - 1], task->worker, s->picture,
                                conv->chunk_packed[i], s->part, s->library, err));
        for (size_t j = 0; j < out; j++)
            s->sum[j] = (i == 0 ? 0.0 : s->sum[j]) + (double)s->part[j];
    }
    for (size_t j = 0; j < out; j++)
        dst[j] = (float)s->sum[j];
    return NB_OK;
}

static NB_FALLIBLE forward_picture(const NbNnTask *task, const NbNnConv *conv, float *src,
                                   float *dst, const NbNnConvScratch *s, NbError *err) {
    if (conv->split && conv->n_chunks)
        return forward_split(task, conv, src, dst, s, err);
    if (conv->split || !conv->forward) {
        nb_nn_loops_forward(&conv->shape, src, conv->forward_weights, s->sum, dst);
        return NB_OK;
    }
    return nb_dnnl_conv_run(conv->forward, task->worker, src, conv->packed, dst, s->library, err);
}

void nb_nn_conv_finish_sums(const NbExecutor *x, const NbNnConv *conv, const float *sums, size_t n,
                            float *y) {
    if (conv->bias >= 0)
        x->k->affine(sums, conv->out_scale, conv->out_bias, conv->period, n, y);
    else if (conv->coded)
        x->k->mul(sums, conv->out_scale, conv->period, n, y);
    else if (y != sums)
        memcpy(y, sums, n * sizeof *y);
}

void nb_nn_conv_forward(const NbNnTask *task, const NbNnStep *step) {
    NbExecutor *const x = task->x;
    const NbNnConv *const conv = &x->conv[step->unit];
    const NbNnValue *const in = &x->value[conv->x];
    const NbNnValue *const out = &x->value[conv->node];
    const NbNnConvScratch s = nb_nn_conv_scratch_at(conv, x->scratch[task->worker]);
    NbError err = {{0}};
    float *src = nb_nn_at(task, step->a);
    float *const dst = nb_nn_at(task, out->value);
    if (in->coded && !conv->coded) {
        x->k->scale(src, in->scale, in->count, s.picture);
        src = s.picture;
    }
    nb_nn_failed(task, forward_picture(task, conv, src, dst, &s, &err), &err);
    if (!conv->lazy)
        nb_nn_conv_finish_sums(x, conv, dst, out->count, dst);
}
