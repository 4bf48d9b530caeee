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

/* An integer quantizer that rounds half to even. Codes are kept less their zero point, so that 0
 * stays 0: clamp(round(fl(fl(x / scale) + zero)), lo, hi) - zero, with -2^22 <= lo, hi <= 2^22. */
typedef struct NbNnQuant {
    float scale;
    float lo;
    float hi;
    float zero;
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
    /* Brings x near, line by line. */
    void (*fetch)(const float *x, size_t n);
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
    /* nb_silu and nb_sigmoid to the bit */
    void (*silu)(const float *x, size_t n, float *y);
    void (*sigmoid)(const float *x, size_t n, float *y);
    /* The same to a few units in the last place, and the derivative; either may be NULL. */
    void (*silu_quick)(const float *x, size_t n, float *y, float *slope);
    void (*sigmoid_quick)(const float *x, size_t n, float *y, float *slope);
    /* affine and silu_quick in one pass, and g *= the derivative of the latter */
    void (*norm_silu)(const float *x, const float *a, const float *b, size_t p, size_t n, float *y);
    void (*norm_silu_back)(const float *x, const float *a, const float *b, size_t p, size_t n,
                           float *g);
    /* c [m, n] = a [m, k] * b [k, n] in dense rows, size m, k, n: sums in order of k, in double and
     * rounded once, or in float32. c is neither a nor b. */
    void (*matmul)(const float *a, const float *b, const size_t size[3], float *c);
    void (*matmul_quick)(const float *a, const float *b, const size_t size[3], float *c);
    /* nb_softmax of n > 0 numbers side by side, to the bit */
    void (*softmax)(const float *x, size_t n, float *y);
    /* y *= x */
    void (*times)(const float *x, size_t n, float *y);
    void (*quant)(const float *x, const NbNnQuant *q, size_t n, float *codes);
    /* affine (par: a, b), leaky (slope 0: RELU, 1: nothing) and quant in one pass; codes may be x
     */
    void (*norm_act_quant)(const float *x, const float *const par[2], size_t p, float slope,
                           const NbNnQuant *q, size_t n, float *codes);
    /* g becomes d loss / d x; the answer is d loss / d scale (nb_quant_backward_row) */
    double (*quant_back)(const float *x, const NbNnQuant *q, size_t n, float *g);
    /* dx = a * ((g - m0) - (x - mean) * m1), par: a, mean, m0, m1: batch norm; dx may be g */
    void (*norm_back)(const float *g, const float *x, const float *const par[4], size_t p, size_t n,
                      float *dx);
    /* A row of 2 * pixels pixels to two planes, of the even and the odd ones; and back. */
    void (*split)(const float *row, size_t channels, size_t pixels, float *even, float *odd);
    void (*join)(const float *even, const float *odd, size_t channels, size_t pixels, float *row);
    /* The largest of four planes v[4][n]; with `pick`, x[4][n] where the first largest is, and
     * which it is. */
    void (*pool)(const float *v, size_t n, float *y);
    void (*pool_pick)(const float *v, const float *x, size_t n, float *y, float *top,
                      uint8_t *which);
    /* y = the larger of x and y, NaN the largest of all; and where it was x, which = id. */
    void (*larger)(const float *x, size_t n, float *y);
    void (*larger_pick)(const float *x, int32_t id, size_t n, float *y, int32_t *which);
    /* d[4][n]: g where the first largest is, else 0. */
    void (*pool_back)(const float *v, size_t n, const float *g, float *d);
    /* The two together: norm_back of g at `which` and 0 elsewhere. x and dx are [4][n]. */
    void (*pick_norm_back)(const float *g, const uint8_t *which, const float *x,
                           const float *const par[4], size_t p, size_t n, float *dx);
} NbNnKernels;

/* The best table for this level. Never NULL. */
const NbNnKernels *nb_nn_kernels(NbIsa isa);

extern const NbNnKernels nb_nn_kernels_c;
extern const NbNnKernels nb_nn_kernels_avx2;
extern const NbNnKernels nb_nn_kernels_avx512;

#endif
