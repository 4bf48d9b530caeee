/* SPDX-License-Identifier: Apache-2.0
 *
 * Convolutions that oneDNN does not have, or that must be summed in more than float32. Slow. */
#include "nn/conv.h"

#include <string.h>

/* The input pixel of a tap, or false: it lies in the padding. */
static bool tap_at(const NbConvShape *s, const int out[2], const int tap[2], size_t *pixel) {
    const int y = out[0] * s->stride[0] - s->pad[0] + tap[0] * s->dilation[0];
    const int x = out[1] * s->stride[1] - s->pad[1] + tap[1] * s->dilation[1];
    if (y < 0 || x < 0 || y >= s->ih || x >= s->iw)
        return false;
    *pixel = (size_t)y * (size_t)s->iw + (size_t)x;
    return true;
}

/* What is done with one tap of one output pixel: pointers to the input pixel, the output pixel, and
 * to the weights of the tap for output 0, channel 0. */
typedef struct Tap {
    const NbConvShape *s;
    size_t in;   /* first element of the input pixel */
    size_t out;  /* of the output pixel */
    size_t at;   /* offset of the tap within a [kh, kw] plane */
    size_t taps; /* kh * kw */
    const float *src;
    const float *weights;
    const float *d_dst;
    double *sum;
    float *d_src;
    float *dw;
} Tap;

typedef void TapWork(const Tap *t);

static void for_taps(Tap *t, TapWork *work) {
    const NbConvShape *const s = t->s;
    t->taps = (size_t)s->kernel[0] * (size_t)s->kernel[1];
    for (int oy = 0; oy < s->oh; oy++)
        for (int ox = 0; ox < s->ow; ox++)
            for (int ky = 0; ky < s->kernel[0]; ky++)
                for (int kx = 0; kx < s->kernel[1]; kx++) {
                    size_t pixel;
                    if (!tap_at(s, (const int[]){oy, ox}, (const int[]){ky, kx}, &pixel))
                        continue;
                    t->in = pixel * (size_t)s->ic;
                    t->out = ((size_t)oy * (size_t)s->ow + (size_t)ox) * (size_t)s->oc;
                    t->at = (size_t)ky * (size_t)s->kernel[1] + (size_t)kx;
                    work(t);
                }
}

/* Channels of output o: where they start, how many. */
static size_t first_of(const NbConvShape *s, size_t o, size_t *n) {
    *n = (size_t)(s->ic / s->groups);
    return o / (size_t)(s->oc / s->groups) * *n;
}

static void forward_tap(const Tap *t) {
    for (size_t o = 0; o < (size_t)t->s->oc; o++) {
        size_t n;
        const float *const x = t->src + t->in + first_of(t->s, o, &n);
        const float *const w = t->weights + o * n * t->taps + t->at;
        double sum = t->sum[t->out + o];
        for (size_t c = 0; c < n; c++)
            sum += (double)x[c] * (double)w[c * t->taps];
        t->sum[t->out + o] = sum;
    }
}

static void back_data_tap(const Tap *t) {
    for (size_t o = 0; o < (size_t)t->s->oc; o++) {
        size_t n;
        float *const dx = t->d_src + t->in + first_of(t->s, o, &n);
        const float *const w = t->weights + o * n * t->taps + t->at;
        const float g = t->d_dst[t->out + o];
        for (size_t c = 0; c < n; c++)
            dx[c] += g * w[c * t->taps];
    }
}

static void back_weights_tap(const Tap *t) {
    for (size_t o = 0; o < (size_t)t->s->oc; o++) {
        size_t n;
        const float *const x = t->src + t->in + first_of(t->s, o, &n);
        float *const dw = t->dw + o * n * t->taps + t->at;
        const float g = t->d_dst[t->out + o];
        for (size_t c = 0; c < n; c++)
            dw[c * t->taps] += g * x[c];
    }
}

void nb_nn_loops_forward(const NbConvShape *s, const float *src, const float *weights, double *sum,
                         float *dst) {
    const size_t out = (size_t)s->oc * (size_t)s->oh * (size_t)s->ow;
    memset(sum, 0, out * sizeof *sum);
    Tap t = {.s = s, .src = src, .weights = weights, .sum = sum};
    for_taps(&t, forward_tap);
    for (size_t i = 0; i < out; i++)
        dst[i] = (float)sum[i];
}

void nb_nn_loops_back_data(const NbConvShape *s, const float *d_dst, const float *weights,
                           float *d_src) {
    memset(d_src, 0, (size_t)s->ic * (size_t)s->ih * (size_t)s->iw * sizeof *d_src);
    Tap t = {.s = s, .d_dst = d_dst, .weights = weights, .d_src = d_src};
    for_taps(&t, back_data_tap);
}

void nb_nn_loops_back_weights(const NbConvShape *s, const float *src, const float *d_dst,
                              float *dw) {
    const size_t n =
        (size_t)s->oc * (size_t)(s->ic / s->groups) * (size_t)s->kernel[0] * (size_t)s->kernel[1];
    memset(dw, 0, n * sizeof *dw);
    Tap t = {.s = s, .src = src, .d_dst = d_dst, .dw = dw};
    for_taps(&t, back_weights_tap);
}
