/* SPDX-License-Identifier: Apache-2.0
 *
 * Steps that move or add values, one picture after the other. */
#include "nn/internal.h"

#include <string.h>

static NbNnValue *input_of(const NbNnTask *task, const NbNnStep *step, int i) {
    NbExecutor *const x = task->x;
    return &x->value[x->value[x->g->node[step->node].in[i]].source];
}

static void put(const NbExecutor *x, bool add, const float *from, size_t n, float *to) {
    if (add)
        x->k->add(from, n, to);
    else
        memcpy(to, from, n * sizeof *to);
}

void nb_nn_input_forward(const NbNnTask *task, const NbNnStep *step) {
    const NbExecutor *const x = task->x;
    const size_t n = x->value[step->node].count;
    x->k->from_u8(x->image_source + (size_t)task->picture * n, n, nb_nn_at(task, step->b));
}

void nb_nn_real_forward(const NbNnTask *task, const NbNnStep *step) {
    const NbExecutor *const x = task->x;
    const NbNnValue *const v = &x->value[step->node];
    x->k->scale(nb_nn_at(task, step->a), v->scale, v->count, nb_nn_at(task, step->b));
}

void nb_nn_seed_backward(const NbNnTask *task, const NbNnStep *step) {
    const NbExecutor *const x = task->x;
    const size_t n = x->value[step->node].count;
    put(x, step->add, x->d_output[step->unit] + (size_t)task->picture * n, n,
        nb_nn_at(task, step->b));
}

/* The pixels of the input that the window of output (oy, ox) covers, row by row. */
typedef struct Window {
    int y[2]; /* first row, row after the last */
    int x[2];
} Window;

static Window window_of(const NbPoolAttr *a, const NbNnValue *in, int oy, int ox) {
    const int y = oy * a->stride[0] - a->pad[0];
    const int x = ox * a->stride[1] - a->pad[1];
    return (Window){.y = {y < 0 ? 0 : y, y + a->kernel[0] < in->h ? y + a->kernel[0] : in->h},
                    .x = {x < 0 ? 0 : x, x + a->kernel[1] < in->w ? x + a->kernel[1] : in->w}};
}

void nb_nn_pool_forward(const NbNnTask *task, const NbNnStep *step) {
    const NbExecutor *const x = task->x;
    const NbNnValue *const in = input_of(task, step, 0);
    const NbNnValue *const out = &x->value[step->node];
    const NbPoolAttr *const a = &x->g->node[step->node].attr.pool;
    const size_t c = (size_t)out->c;
    const float *const from = nb_nn_at(task, in->value);
    float *to = nb_nn_at(task, out->value);
    for (int oy = 0; oy < out->h; oy++)
        for (int ox = 0; ox < out->w; ox++, to += c) {
            const Window w = window_of(a, in, oy, ox);
            memcpy(to, from + ((size_t)w.y[0] * (size_t)in->w + (size_t)w.x[0]) * c,
                   c * sizeof *to);
            for (int iy = w.y[0]; iy < w.y[1]; iy++)
                for (int ix = w.x[0]; ix < w.x[1]; ix++)
                    x->k->larger(from + ((size_t)iy * (size_t)in->w + (size_t)ix) * c, c, to);
        }
}

size_t nb_nn_pool_scratch(const NbNnValue *v) { return (size_t)v->c * 2 * sizeof(float); }

/* Where the first largest pixel of each channel is. */
static void find_largest(const NbNnTask *task, const NbNnValue *in, const float *from, Window w,
                         float *best, int32_t *which) {
    const size_t c = (size_t)in->c;
    const int32_t first = w.y[0] * in->w + w.x[0];
    memcpy(best, from + (size_t)first * c, c * sizeof *best);
    for (size_t i = 0; i < c; i++)
        which[i] = first;
    for (int iy = w.y[0]; iy < w.y[1]; iy++)
        for (int ix = w.x[0]; ix < w.x[1]; ix++) {
            const int32_t id = iy * in->w + ix;
            task->x->k->larger_pick(from + (size_t)id * c, id, c, best, which);
        }
}

void nb_nn_pool_backward(const NbNnTask *task, const NbNnStep *step) {
    const NbExecutor *const x = task->x;
    const NbNnValue *const in = input_of(task, step, 0);
    const NbNnValue *const out = &x->value[step->node];
    const NbPoolAttr *const a = &x->g->node[step->node].attr.pool;
    const size_t c = (size_t)out->c;
    const float *const from = nb_nn_at(task, in->value);
    const float *d = nb_nn_at(task, out->grad);
    float *const to = nb_nn_at(task, step->b);
    float *const best = (float *)(void *)x->scratch[task->worker];
    int32_t *const which = (int32_t *)(void *)(best + c);
    if (!step->add)
        memset(to, 0, in->count * sizeof *to);
    for (int oy = 0; oy < out->h; oy++)
        for (int ox = 0; ox < out->w; ox++, d += c) {
            find_largest(task, in, from, window_of(a, in, oy, ox), best, which);
            for (size_t i = 0; i < c; i++)
                to[(size_t)which[i] * c + i] += d[i];
        }
}

void nb_nn_upsample_forward(const NbNnTask *task, const NbNnStep *step) {
    const NbExecutor *const x = task->x;
    const NbNnValue *const in = input_of(task, step, 0);
    const NbNnValue *const out = &x->value[step->node];
    const int f = x->g->node[step->node].attr.upsample.factor;
    const size_t c = (size_t)in->c;
    const float *const from = nb_nn_at(task, in->value);
    float *to = nb_nn_at(task, out->value);
    for (int oy = 0; oy < out->h; oy++)
        for (int ox = 0; ox < out->w; ox++, to += c)
            memcpy(to, from + ((size_t)(oy / f) * (size_t)in->w + (size_t)(ox / f)) * c,
                   c * sizeof *to);
}

void nb_nn_upsample_backward(const NbNnTask *task, const NbNnStep *step) {
    const NbExecutor *const x = task->x;
    const NbNnValue *const in = input_of(task, step, 0);
    const NbNnValue *const out = &x->value[step->node];
    const int f = x->g->node[step->node].attr.upsample.factor;
    const size_t c = (size_t)in->c;
    const float *d = nb_nn_at(task, out->grad);
    float *const to = nb_nn_at(task, step->b);
    if (!step->add)
        memset(to, 0, in->count * sizeof *to);
    for (int oy = 0; oy < out->h; oy++)
        for (int ox = 0; ox < out->w; ox++, d += c)
            x->k->add(d, c, to + ((size_t)(oy / f) * (size_t)in->w + (size_t)(ox / f)) * c);
}

void nb_nn_pad_forward(const NbNnTask *task, const NbNnStep *step) {
    const NbExecutor *const x = task->x;
    const NbNnValue *const in = input_of(task, step, 0);
    const NbNnValue *const out = &x->value[step->node];
    const int *const pad = x->g->node[step->node].attr.pad.pad;
    const size_t c = (size_t)in->c;
    const size_t row = (size_t)in->w * c;
    const float *const from = nb_nn_at(task, in->value);
    float *const to = nb_nn_at(task, out->value);
    memset(to, 0, out->count * sizeof *to);
    for (size_t y = 0; y < (size_t)in->h; y++)
        memcpy(to + ((y + (size_t)pad[0]) * (size_t)out->w + (size_t)pad[1]) * c, from + y * row,
               row * sizeof *to);
}

void nb_nn_pad_backward(const NbNnTask *task, const NbNnStep *step) {
    const NbExecutor *const x = task->x;
    const NbNnValue *const in = input_of(task, step, 0);
    const NbNnValue *const out = &x->value[step->node];
    const int *const pad = x->g->node[step->node].attr.pad.pad;
    const size_t c = (size_t)in->c;
    const size_t row = (size_t)in->w * c;
    const float *const d = nb_nn_at(task, out->grad);
    float *const to = nb_nn_at(task, step->b);
    for (size_t y = 0; y < (size_t)in->h; y++)
        put(x, step->add, d + ((y + (size_t)pad[0]) * (size_t)out->w + (size_t)pad[1]) * c, row,
            to + y * row);
}

void nb_nn_add_forward(const NbNnTask *task, const NbNnStep *step) {
    const NbExecutor *const x = task->x;
    const NbNnValue *const out = &x->value[step->node];
    float *const real = (float *)(void *)x->scratch[task->worker];
    float *const to = nb_nn_at(task, out->value);
    for (int i = 0; i < x->g->node[step->node].n_in; i++) {
        const NbNnValue *const in = input_of(task, step, i);
        const float *const from = nb_nn_at(task, in->value);
        for (size_t at = 0; at < out->count; at += NB_NN_TILE) {
            const size_t n = out->count - at < NB_NN_TILE ? out->count - at : NB_NN_TILE;
            const bool decode = in->coded && !out->coded;
            if (decode)
                x->k->scale(from + at, in->scale, n, real);
            put(x, i > 0, decode ? real : from + at, n, to + at);
        }
    }
}

void nb_nn_add_backward(const NbNnTask *task, const NbNnStep *step) {
    const NbExecutor *const x = task->x;
    const NbNnValue *const out = &x->value[step->node];
    put(x, step->add, nb_nn_at(task, out->grad), out->count, nb_nn_at(task, step->b));
}
