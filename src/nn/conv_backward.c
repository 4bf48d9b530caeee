/* SPDX-License-Identifier: Apache-2.0
 *
 * Gradients of convolutions: of the input and, summed over shards in their order, of weights, bias
 * and the weights' quantizer. */
#include "nn/conv.h"

#include <string.h>

static NB_FALLIBLE weights_of_picture(const NbNnTask *task, const NbNnConv *conv, float *src,
                                      float *dy, float *dw, const NbNnConvScratch *s,
                                      NbError *err) {
    if (conv->back_weights)
        return nb_dnnl_conv_run(conv->back_weights, task->worker, src, dw, dy, s->library, err);
    nb_nn_loops_back_weights(&conv->shape, src, dy, dw);
    return NB_OK;
}

static NB_FALLIBLE data_of_picture(const NbNnTask *task, const NbNnConv *conv, float *dx, float *dy,
                                   const NbNnConvScratch *s, NbError *err) {
    if (conv->back_data)
        return nb_dnnl_conv_run(conv->back_data, task->worker, dx, conv->packed_back, dy,
                                s->library, err);
    nb_nn_loops_back_data(&conv->shape, dy, conv->real_weights, dx);
    return NB_OK;
}

/* x is taken as it is stored: of codes, the scale is applied to the sum of all shards. It was
 * written long ago, and oneDNN's order of reading it is one that no prefetcher sees through:
 * fetching it first saves a tenth of all convolutions' time (measured). */
static void add_weights(const NbNnTask *task, const NbNnStep *step, const NbNnConv *conv,
                        const NbNnConvScratch *s, float *dy) {
    float *const dw = nb_nn_at(task, conv->dw);
    float *const src = nb_nn_at(task, step->a);
    task->x->k->fetch(src, task->x->value[conv->x].count);
    NbError err = {{0}};
    nb_nn_failed(task, weights_of_picture(task, conv, src, dy, task->first ? dw : s->dw, s, &err),
                 &err);
    if (!task->first)
        task->x->k->add(s->dw, nb_nn_conv_gradient_bytes(conv) / sizeof *dw, dw);
}

static void give_data(const NbNnTask *task, const NbNnStep *step, const NbNnConv *conv,
                      const NbNnConvScratch *s, float *dy) {
    float *const dx = nb_nn_at(task, step->b);
    NbError err = {{0}};
    nb_nn_failed(task, data_of_picture(task, conv, step->add ? s->picture : dx, dy, s, &err), &err);
    if (step->add)
        task->x->k->add(s->picture, task->x->value[conv->x].count, dx);
}

void nb_nn_conv_backward(const NbNnTask *task, const NbNnStep *step) {
    NbExecutor *const x = task->x;
    NbNnConv *const conv = &x->conv[step->unit];
    const NbNnValue *const out = &x->value[conv->node];
    const NbNnConvScratch s = nb_nn_conv_scratch_at(conv, x->scratch[task->worker]);
    double *const bias = conv->bias_sum + (size_t)task->shard * conv->period;
    if (task->first)
        memset(bias, 0, conv->period * sizeof *bias);
    float *const dy = nb_nn_at(task, out->grad);
    if (conv->bias >= 0 && x->grad[conv->bias])
        x->k->sums(dy, conv->period, out->count, bias, NULL);
    if (conv->weight_grad_wanted)
        add_weights(task, step, conv, &s, dy);
    if (step->b >= 0)
        give_data(task, step, conv, &s, dy);
}

enum { SLICE = 16384 };

typedef struct Combine {
    NbExecutor *x;
    const NbNnConv *conv;
    int shards;
} Combine;

/* Adds elements [index * SLICE, ...) of all shards to those of shard 0. */
static void combine_slice(void *user, int index, int worker) {
    (void)worker;
    const Combine *const c = user;
    const size_t all = nb_nn_conv_gradient_bytes(c->conv) / sizeof(float);
    const size_t from = (size_t)index * SLICE;
    const size_t n = all - from < SLICE ? all - from : SLICE;
    NbNnTask task = {.x = c->x, .shard = 0};
    float *const to = (float *)nb_nn_at(&task, c->conv->dw) + from;
    for (task.shard = 1; task.shard < c->shards; task.shard++)
        c->x->k->add((const float *)nb_nn_at(&task, c->conv->dw) + from, n, to);
}

NbStatus nb_nn_conv_reduce(NbExecutor *x, int unit, NbError *err) {
    const NbNnConv *const conv = &x->conv[unit];
    Combine c = {.x = x, .conv = conv, .shards = nb_nn_shards(x)};
    const size_t all = nb_nn_conv_gradient_bytes(conv) / sizeof(float);
    nb_pool_run(x->options.pool, (int)((all + SLICE - 1) / SLICE), combine_slice, &c);
    const NbNnTask task = {.x = x};
    const float *const sum = nb_nn_at(&task, conv->dw);
    if (conv->back_weights)
        return nb_dnnl_conv_unpack(conv->back_weights, 0, sum, conv->grad, err);
    memcpy(conv->grad, sum, conv->weights * sizeof *sum);
    return NB_OK;
}

/* Through the scale of a coded input and the weights' quantizer. */
static void finish_one(void *user, int index, int worker) {
    (void)worker;
    NbExecutor *const x = user;
    NbNnConv *const conv = &x->conv[index];
    if (!conv->weight_grad_wanted)
        return;
    const NbNnValue *const in = &x->value[conv->x];
    if (in->coded)
        x->k->scale(conv->grad, in->scale, conv->weights, conv->grad);
    if (conv->weight_quant < 0)
        return;
    const NbNode *const node = &x->g->node[conv->weight_quant];
    const NbQuantSpec *const spec = &node->attr.quant;
    const size_t channels = spec->per_channel ? (size_t)conv->shape.oc : 1;
    const float *const value = node->n_in == 2 ? nb_f32(&x->g->node[node->in[1]].param) : NULL;
    memset(conv->value_grad, 0, channels * sizeof *conv->value_grad);
    nb_quant_backward(spec, nb_f32(&x->g->node[conv->weight].param), channels,
                      conv->weights / channels, value, conv->grad, conv->grad, conv->value_grad);
}

static void add_bias(const NbExecutor *x, const NbNnConv *conv) {
    float *const grad = x->grad[conv->bias];
    const size_t oc = (size_t)conv->shape.oc;
    for (size_t o = 0; o < oc; o++) {
        double sum = 0.0;
        for (int s = 0; s < nb_nn_shards(x); s++)
            for (size_t i = o; i < conv->period; i += oc)
                sum += conv->bias_sum[(size_t)s * conv->period + i];
        grad[o] += (float)sum;
    }
}

NbStatus nb_nn_convs_finish(NbExecutor *x, NbError *err) {
    (void)err;
    nb_pool_run(x->options.pool, x->n_convs, finish_one, x);
    for (int i = 0; i < x->n_convs; i++) {
        const NbNnConv *const conv = &x->conv[i];
        const NbNode *const quant =
            conv->weight_quant >= 0 ? &x->g->node[conv->weight_quant] : NULL;
        if (conv->weight_grad_wanted && x->grad[conv->weight])
            x->k->add(conv->grad, conv->weights, x->grad[conv->weight]);
        if (conv->weight_grad_wanted && quant && quant->n_in == 2 && x->grad[quant->in[1]])
            x->k->add(conv->value_grad, quant->attr.quant.per_channel ? (size_t)conv->shape.oc : 1,
                      x->grad[quant->in[1]]);
        if (conv->bias >= 0 && x->grad[conv->bias] && x->value[conv->node].needs_grad)
            add_bias(x, conv);
    }
    return NB_OK;
}
