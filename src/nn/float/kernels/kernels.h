/* SPDX-License-Identifier: Apache-2.0
 *
 * Kernels of the float engine: raw pointers and sizes, one table per instruction set. Strides and
 * sizes count floats. Pictures are NHWC; `ld` is the distance from pixel to pixel. No kernel reads
 * or writes outside of what is named here; pointers need no alignment.
 *
 * Every output element is computed by the same additions in the same order, however the work is cut
 * into tiles, so results do not depend on blocking or on threads. Instruction sets with and without
 * fused multiply-add differ in the last bits. */
#ifndef NB_NN_FLOAT_KERNELS_H
#define NB_NN_FLOAT_KERNELS_H

#include "base/cpu.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    NB_FLOAT_PANEL = 16,      /* output channels that lie together in packed weights */
    NB_FLOAT_MAX_PIXELS = 12, /* of a tile */
    NB_FLOAT_MAX_PANELS = 4,
    NB_FLOAT_WINO = 36, /* positions of a Winograd tile: 6 x 6 */
};

/* Sums of products: c[p][o] = bias[o] + sum over taps t and k of a[p * lda + tap[t] + k] * w, for
 * the `pixels` and panels of the kernel. Weights: panel i at w + i * panel, [taps * k][16]. */
typedef struct NbFloatTile {
    const float *a;
    size_t lda;
    const size_t *tap; /* [taps] */
    size_t taps;
    size_t k;
    const float *w;
    size_t panel;
    const float *bias; /* [panels * 16]; NULL: zero */
    float *c;          /* [pixels][panels * 16] in rows of ldc */
    size_t ldc;
} NbFloatTile;

typedef void NbFloatGemm(const NbFloatTile *t);

typedef enum NbFloatAct {
    NB_ACT_NONE,
    NB_ACT_RELU,
    NB_ACT_LEAKY, /* x > 0 ? x : x * slope */
    NB_ACT_SILU,
    NB_ACT_SIGMOID,
    NB_ACT_HARDTANH,
    NB_ACT_SCALE, /* x * slope */
} NbFloatAct;

/* What follows a sum: y = after(before(x) [+ add]). */
typedef struct NbFloatPost {
    NbFloatAct before;
    float before_slope;
    bool add;
    NbFloatAct after;
    float after_slope;
} NbFloatPost;

/* rows x n numbers; in, add and out have their own distance from row to row. out may be in or add
 * (with the same distance). */
typedef struct NbFloatRows {
    const float *in;
    size_t ld_in;
    const float *add; /* with post.add */
    size_t ld_add;
    float *out;
    size_t ld_out;
    size_t rows;
    size_t n;
} NbFloatRows;

typedef void NbFloatFinish(const NbFloatPost *post, const NbFloatRows *r);

typedef enum NbFloatBinary {
    NB_BINARY_ADD,
    NB_BINARY_SUB,
    NB_BINARY_MUL,
    NB_BINARY_DIV,
} NbFloatBinary;

/* One row of a depthwise convolution: out[x][c] = bias[c] + sum of in[x * step + tap[t] + c] *
 * w[t * channels + c]; channels is a multiple of 16. */
typedef struct NbFloatDepthwise {
    const float *in;
    size_t step; /* from output pixel to output pixel */
    const size_t *tap;
    size_t taps;
    const float *w;
    const float *bias; /* [channels] */
    size_t channels;
    size_t width;
    float *out; /* [width][channels] */
} NbFloatDepthwise;

typedef struct NbFloatKernels {
    NbIsa isa;
    int pixels[NB_FLOAT_MAX_PANELS + 1]; /* most of a tile with so many panels; 0: no such tile */
    NbFloatGemm *gemm[NB_FLOAT_MAX_PANELS + 1][NB_FLOAT_MAX_PIXELS + 1];
    NbFloatFinish *finish;
    void (*depthwise)(const NbFloatDepthwise *d);
    /* F(4x4, 3x3), Lavin and Gray 2016. One tile of 6 x 6 pixels, rows `row` apart, of `channels`
     * (multiple of 16): position i of the transform goes to v + i * stride. */
    void (*wino_in)(const float *x, size_t row, size_t ld, size_t channels, float *v,
                    size_t stride);
    /* The same back: out [4][4][channels] = bias + transform. */
    void (*wino_out)(const float *m, size_t stride, const float *bias, size_t channels, float *out);
    /* out[c] = the largest of kh x kw pixels. */
    void (*maximum)(const float *x, size_t row, size_t ld, int kh, int kw, size_t n, float *out);
    /* out[i] = a[i] op b[i]; scalar: b[0] for all. out may be a or b. */
    void (*binary)(NbFloatBinary op, const float *a, const float *b, bool scalar, size_t n,
                   float *out);
    /* out[i] = a[i] * x[i] + b[i] */
    void (*affine)(const float *x, const float *a, const float *b, size_t n, float *out);
    void (*softmax)(const float *x, size_t n, float *out);
    void (*from_bytes)(const uint8_t *x, float scale, size_t n, float *out);
    /* out [n][m] = x [m][n]; rows ld apart */
    void (*transpose)(const float *x, size_t ld_x, size_t m, size_t n, float *out, size_t ld_out);
} NbFloatKernels;

/* For a level of nb_isa_choose. */
const NbFloatKernels *nb_float_kernels(NbIsa isa);

extern const NbFloatKernels nb_float_kernels_c;
#if defined(__x86_64__)
extern const NbFloatKernels nb_float_kernels_avx2;
extern const NbFloatKernels nb_float_kernels_avx512;
#endif

#endif
