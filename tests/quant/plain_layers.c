/* SPDX-License-Identifier: Apache-2.0 */
#include "plain_layers.h"

#include <math.h>
#include <string.h>

int64_t plain_out_h(const PlainConv *p) { return (p->h + 2 * p->pad - p->kh) / p->stride + 1; }

int64_t plain_out_w(const PlainConv *p) { return (p->w + 2 * p->pad - p->kw) / p->stride + 1; }

size_t plain_out_count(const PlainConv *p) {
    return (size_t)(p->n * p->o * plain_out_h(p) * plain_out_w(p));
}

/* Calls `each` for every product of the convolution, in the order of the output. */
typedef struct Product {
    int64_t x, w, y;
    int64_t o;
} Product;

typedef void Each(void *user, const Product *at);

static void taps(const PlainConv *p, int64_t n, int64_t o, int64_t i, Each *each, void *user) {
    const int64_t out_w = plain_out_w(p);
    Product at = {.y = (n * p->o + o) * plain_out_h(p) * out_w + i, .o = o};
    for (int64_t k = 0; k < p->c * p->kh * p->kw; k++) {
        const int64_t c = k / (p->kh * p->kw);
        const int64_t row = i / out_w * p->stride - p->pad + k / p->kw % p->kh;
        const int64_t column = i % out_w * p->stride - p->pad + k % p->kw;
        if (row < 0 || row >= p->h || column < 0 || column >= p->w)
            continue;
        at.x = ((n * p->c + c) * p->h + row) * p->w + column;
        at.w = o * p->c * p->kh * p->kw + k;
        each(user, &at);
    }
}

static void products(const PlainConv *p, Each *each, void *user) {
    for (int64_t n = 0; n < p->n; n++)
        for (int64_t o = 0; o < p->o; o++)
            for (int64_t i = 0; i < plain_out_h(p) * plain_out_w(p); i++)
                taps(p, n, o, i, each, user);
}

typedef struct Forward {
    const float *x, *w;
    double *y;
} Forward;

static void add_product(void *user, const Product *at) {
    const Forward *const f = user;
    f->y[at->y] += (double)f->x[at->x] * (double)f->w[at->w];
}

void plain_conv(const PlainConv *p, const float *x, const float *w, const float *bias, double *y) {
    const size_t plane = (size_t)(plain_out_h(p) * plain_out_w(p));
    for (size_t i = 0; i < plain_out_count(p); i++)
        y[i] = bias ? (double)bias[i / plane % (size_t)p->o] : 0.0;
    Forward f = {.x = x, .w = w, .y = y};
    products(p, add_product, &f);
}

typedef struct Backward {
    const float *x, *w, *dy;
    float *dx, *dw;
} Backward;

static void add_gradient(void *user, const Product *at) {
    const Backward *const b = user;
    b->dx[at->x] += b->dy[at->y] * b->w[at->w];
    b->dw[at->w] += b->dy[at->y] * b->x[at->x];
}

void plain_conv_backward(const PlainConv *p, const float *x, const float *w, const float *dy,
                         float *dx, float *dw) {
    memset(dx, 0, (size_t)(p->n * p->c * p->h * p->w) * sizeof *dx);
    memset(dw, 0, (size_t)(p->o * p->c * p->kh * p->kw) * sizeof *dw);
    Backward b = {.x = x, .w = w, .dy = dy, .dx = dx, .dw = dw};
    products(p, add_gradient, &b);
}

static int64_t place(const PlainNorm *p, int64_t c, int64_t i) {
    return (i / p->plane * p->c + c) * p->plane + i % p->plane;
}

void plain_norm_train(const PlainNorm *p, const float *x, float *y, double *mean, double *inv_std) {
    const int64_t count = p->n * p->plane;
    for (int64_t c = 0; c < p->c; c++) {
        double sum = 0.0;
        double squares = 0.0;
        for (int64_t i = 0; i < count; i++)
            sum += (double)x[place(p, c, i)];
        mean[c] = sum / (double)count;
        for (int64_t i = 0; i < count; i++) {
            const double off = (double)x[place(p, c, i)] - mean[c];
            squares += off * off;
        }
        inv_std[c] = 1.0 / sqrt(squares / (double)count + p->eps);
        for (int64_t i = 0; i < count; i++) {
            const double normal = ((double)x[place(p, c, i)] - mean[c]) * inv_std[c];
            y[place(p, c, i)] = (float)(normal * (double)p->gamma[c] + (double)p->beta[c]);
        }
        const double var = squares / (double)(count - 1);
        const double m = p->momentum;
        p->running_mean[c] = (float)((1.0 - m) * (double)p->running_mean[c] + m * mean[c]);
        p->running_var[c] = (float)((1.0 - m) * (double)p->running_var[c] + m * var);
    }
}

void plain_norm_infer(const PlainNorm *p, const float *x, float *y) {
    for (int64_t c = 0; c < p->c; c++) {
        const double inv_std = 1.0 / sqrt((double)p->running_var[c] + p->eps);
        for (int64_t i = 0; i < p->n * p->plane; i++) {
            const double off = (double)x[place(p, c, i)] - (double)p->running_mean[c];
            y[place(p, c, i)] = (float)(off * inv_std * (double)p->gamma[c] + (double)p->beta[c]);
        }
    }
}

void plain_norm_backward(const PlainNorm *p, const float *x, const double *mean,
                         const double *inv_std, const float *dy, float *dx, float *d_affine[2]) {
    const int64_t count = p->n * p->plane;
    for (int64_t c = 0; c < p->c; c++) {
        double sum = 0.0;
        double along = 0.0;
        for (int64_t i = 0; i < count; i++) {
            const double normal = ((double)x[place(p, c, i)] - mean[c]) * inv_std[c];
            sum += (double)dy[place(p, c, i)];
            along += (double)dy[place(p, c, i)] * normal;
        }
        d_affine[0][c] = (float)along;
        d_affine[1][c] = (float)sum;
        for (int64_t i = 0; i < count; i++) {
            const double normal = ((double)x[place(p, c, i)] - mean[c]) * inv_std[c];
            const double rest = (sum + normal * along) / (double)count;
            const double d = (double)dy[place(p, c, i)] - rest;
            dx[place(p, c, i)] = (float)(d * (double)p->gamma[c] * inv_std[c]);
        }
    }
}
