/* SPDX-License-Identifier: Apache-2.0
 *
 * The loops over activations, one table for each ISA. Raw pointers only.
 *
 * Activations are NHWC, so the parameter of element i is that of channel i mod C. Vectors of
 * per-channel parameters come widened: repeated up to a period p, a multiple of C (nb_nn_period),
 * long enough to vectorise; element i uses entry i mod p. n is a multiple of C.
 *
 * All versions of one function give the same bits: every element is computed by the same IEEE
 * operations, and sums are kept per entry of the period, in double, in index order. */
#ifndef NB_NN_KERNELS_KERNELS_H
#define NB_NN_KERNELS_KERNELS_H

#include "base/cpu.h"

#include <stddef.h>
#include <stdint.h>

enum { NB_NN_WIDE = 64 };

/* The period for C channels: the smallest multiple of C that is at least NB_NN_WIDE. */
static inline size_t nb_nn_period(size_t channels) {
    return (NB_NN_WIDE + channels - 1) / channels * channels;
}

/* An integer quantizer that rounds half to even: code = clamp(round(x / scale), lo, hi), with
 * -2^22 <= lo, hi <= 2^22. */
typedef struct NbNnQuant {
    float scale;
    float lo;
    float hi;
    int ste; /* clipped values keep their gradient */
} NbNnQuant;

typedef struct NbNnKernels {
    /* y = fl(x * a); y may be x, here and below */
    void (*mul)(const float *x, const float *a, size_t p, size_t n, float *y);
    /* y = fl(fl(x * a) + b) */
    void (*affine)(const float *x, const float *a, const float *b, size_t p, size_t n, float *y);
    /* y = fl(x * a) for one a */
    void (*scale)(const float *x, float a, size_t n, float *y);
    /* y += x */
    void (*add)(const float *x, size_t n, float *y);
    /* y = x */
    void (*from_u8)(const uint8_t *x, size_t n, float *y);
    /* sum[p] += x, square[p] += x * x; square may be NULL */
    void (*sums)(const float *x, size_t p, size_t n, double *sum, double *square);
    /* sum[p] += g, product[p] += g * x */
    void (*products)(const float *g, const float *x, size_t p, size_t n, double *sum,
                     double *product);
    /* y = x > 0 ? x : x * slope (slope 0: RELU, NaN stays) and its gradient g *= slope of x */
    void (*leaky)(const float *x, float slope, size_t n, float *y);
    void (*leaky_back)(const float *x, float slope, size_t n, float *g);
    void (*hardtanh)(const float *x, size_t n, float *y);
    void (*hardtanh_back)(const float *x, size_t n, float *g);
    void (*quant)(const float *x, const NbNnQuant *q, size_t n, float *codes);
    /* g becomes d loss / d x; the answer is d loss / d scale (nb_quant_backward_row) */
    double (*quant_back)(const float *x, const NbNnQuant *q, size_t n, float *g);
    /* dx = a * (g - m0 - (x - mean) * m1): batch norm; dx may be g */
    void (*batchnorm_back)(const float *g, const float *x, const float *const par[4], size_t p,
                           size_t n, float *dx);
    /* Largest of 2x2: two rows of 2 * width pixels to one of width pixels. */
    void (*pool)(const float *row0, const float *row1, size_t channels, size_t width, float *y);
    /* Hands g to the first largest of each 2x2; d0 and d1 are written. */
    void (*pool_back)(const float *row0, const float *row1, size_t channels, size_t width,
                      const float *g, float *d0, float *d1);
} NbNnKernels;

/* The best table for this level. Never NULL. */
const NbNnKernels *nb_nn_kernels(NbIsa isa);

extern const NbNnKernels nb_nn_kernels_c;
extern const NbNnKernels nb_nn_kernels_avx2;
extern const NbNnKernels nb_nn_kernels_avx512;

#endif
