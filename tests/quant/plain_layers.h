/* SPDX-License-Identifier: Apache-2.0
 *
 * Convolution and batch norm as plain loops with sums in double: what the reference cases need
 * around a quantizer. NCHW, OIHW, square strides and paddings, no groups. */
#ifndef NB_TESTS_QUANT_PLAIN_LAYERS_H
#define NB_TESTS_QUANT_PLAIN_LAYERS_H

#include <stddef.h>
#include <stdint.h>

typedef struct PlainConv {
    int64_t n, c, h, w; /* input */
    int64_t o, kh, kw;  /* weights */
    int64_t stride, pad;
} PlainConv;

int64_t plain_out_h(const PlainConv *p);
int64_t plain_out_w(const PlainConv *p);
size_t plain_out_count(const PlainConv *p);

/* bias [o] may be NULL. */
void plain_conv(const PlainConv *p, const float *x, const float *w, const float *bias, double *y);

/* dx and dw are WRITTEN. */
void plain_conv_backward(const PlainConv *p, const float *x, const float *w, const float *dy,
                         float *dx, float *dw);

typedef struct PlainNorm {
    int64_t n, c, plane;
    double eps, momentum;
    const float *gamma, *beta;
    float *running_mean, *running_var;
} PlainNorm;

/* Training: batch statistics (kept in mean, inv_std [c]), running ones move. */
void plain_norm_train(const PlainNorm *p, const float *x, float *y, double *mean, double *inv_std);
void plain_norm_infer(const PlainNorm *p, const float *x, float *y);
void plain_norm_backward(const PlainNorm *p, const float *x, const double *mean,
                         const double *inv_std, const float *dy, float *dx, float *d_affine[2]);

#endif
