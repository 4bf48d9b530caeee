/* SPDX-License-Identifier: Apache-2.0
 *
 * Pools, upsampling, and the picture itself. All in NHWC; an item is a row of the output. */
#include "nn/float/internal.h"

#include <string.h>

typedef struct Pool {
    NbPoolAttr a;
    size_t h, w, c, oh, ow;
    int factor; /* upsampling */
} Pool;

/* Taps of a window that lie inside: first input element and how many. */
static int clip(int at, int kernel, size_t size, size_t *first) {
    const int end = at + kernel < (int)size ? at + kernel : (int)size;
    const int begin = at > 0 ? at : 0;
    *first = (size_t)begin;
    return end - begin;
}

static void run_pool(NbFloatEngine *x, const NbFloatStep *step, int item, int worker) {
    (void)worker;
    const Pool *const p = step->unit;
    const NbFloatPlace *const in = &step->in[0];
    const size_t row = (size_t)item % p->oh;
    const float *const image = in->data + (size_t)item / p->oh * p->h * p->w * in->ld;
    float *const out = step->out.data + (size_t)item * p->ow * step->out.ld;
    size_t y;
    size_t at;
    const int rows = clip((int)row * p->a.stride[0] - p->a.pad[0], p->a.kernel[0], p->h, &y);
    for (size_t i = 0; i < p->ow; i++) {
        const int n = clip((int)i * p->a.stride[1] - p->a.pad[1], p->a.kernel[1], p->w, &at);
        x->k->maximum(image + (y * p->w + at) * in->ld, p->w * in->ld, in->ld, rows, n, p->c,
                      out + i * step->out.ld);
    }
}

static void run_upsample(NbFloatEngine *x, const NbFloatStep *step, int item, int worker) {
    (void)x;
    (void)worker;
    const Pool *const p = step->unit;
    const size_t factor = (size_t)p->factor;
    const NbFloatPlace *const in = &step->in[0];
    const float *const from = in->data + (size_t)item / factor * p->w * in->ld;
    float *const to = step->out.data + (size_t)item * p->ow * step->out.ld;
    for (size_t i = 0; i < p->ow; i++)
        memcpy(to + i * step->out.ld, from + i / factor * in->ld, p->c * sizeof *to);
}

static NB_FALLIBLE add(NbFloatEngine *x, NbFloatRun *run, const char *what, NbNodeId id, Pool **out,
                       NbError *err) {
    const NbNodeId from = x->g->node[id].in[0];
    const NbFloatValue *const v = &x->value[id];
    const NbFloatValue *const u = nb_float_value(x, from);
    NbFloatPlace in;
    NB_TRY(nb_float_nhwc(x, from, &in, err));
    NbFloatStep *const s = nb_float_add_step(x, run, what, id, 1, sizeof(Pool));
    if (!s)
        return nb_fail_memory(err, "steps");
    s->in[0] = in;
    s->items = (int)(v->n * v->h);
    *out = s->unit;
    **out = (Pool){.h = u->h, .w = u->w, .c = v->c, .oh = v->h, .ow = v->w};
    return nb_float_make_nhwc(x, id, &s->out, err);
}

/* A window that lies in the padding alone: only the interpreter says what that is. */
static bool always_inside(const NbPoolAttr *a) {
    for (int i = 0; i < 2; i++)
        if (a->pad[i] >= a->kernel[i] || a->pad[i + 2] >= a->kernel[i])
            return false;
    return true;
}

NbStatus nb_float_add_pool(NbFloatEngine *x, NbNodeId id, NbError *err) {
    const NbPoolAttr *const a = &x->g->node[id].attr.pool;
    Pool *p;
    if (!always_inside(a))
        return nb_float_add_generic(x, id, err);
    NB_TRY(add(x, run_pool, "pool", id, &p, err));
    p->a = *a;
    return NB_OK;
}

NbStatus nb_float_add_upsample(NbFloatEngine *x, NbNodeId id, NbError *err) {
    Pool *p;
    NB_TRY(add(x, run_upsample, "upsample", id, &p, err));
    p->factor = x->g->node[id].attr.upsample.factor;
    return NB_OK;
}

typedef struct Input {
    int number; /* among the inputs */
    float scale;
    size_t rows, n, c, pixels, count;
    bool image;
    bool only_real; /* with a picture, its readers take the bytes themselves */
} Input;

static void run_input(NbFloatEngine *x, const NbFloatStep *step, int item, int worker) {
    (void)worker;
    const Input *const in = step->unit;
    if (x->image) {
        const size_t at = (size_t)item * in->n;
        if (!in->only_real)
            x->k->from_bytes(x->image + (size_t)x->picture * in->count + at, in->scale, in->n,
                             step->out.data + at);
        return;
    }
    const float *const from = x->real[in->number] + (size_t)x->picture * in->count;
    if (item > 0)
        return;
    if (!in->image)
        memcpy(step->out.data, from, in->count * sizeof *from);
    for (size_t b = 0; in->image && b < in->count; b += in->c * in->pixels)
        x->k->transpose(from + b, in->pixels, in->c, in->pixels, step->out.data + b, in->c);
}

/* Whether all readers are convolutions that take bytes. */
static bool read_as_bytes(const NbFloatEngine *x, NbNodeId id) {
    int n = 0;
    for (int i = 0; i < x->n_convs; i++)
        n += x->conv[i].from_bytes && x->value[x->g->node[x->conv[i].node].in[0]].source == id;
    return n == x->value[id].readers;
}

NbStatus nb_float_add_input(NbFloatEngine *x, NbNodeId id, NbError *err) {
    const NbNode *const node = &x->g->node[id];
    const NbFloatValue *const v = &x->value[id];
    NbFloatStep *const s = nb_float_add_step(x, run_input, "input", id, 0, sizeof(Input));
    if (!s)
        return nb_fail_memory(err, "steps");
    Input *const in = s->unit;
    *in = (Input){.scale = node->attr.input.scale,
                  .count = v->count,
                  .n = v->count,
                  .image = v->image,
                  .c = v->c,
                  .pixels = v->h * v->w};
    while (x->input[in->number] != id)
        in->number++;
    if (!v->image)
        return nb_float_make_plain(x, id, &s->out, err);
    s->items = (int)(v->n * v->h);
    in->n = v->w * v->c;
    in->only_real = read_as_bytes(x, id);
    return nb_float_make_nhwc(x, id, &s->out, err);
}
