/* SPDX-License-Identifier: Apache-2.0
 *
 * The inner loops of the integer engine: raw pointers and sizes, one table for each instruction
 * set, the C one being the specification. Every version gives the same bytes.
 *
 * Activations are unsigned bytes. An output pixel is a sum over segments: segment s begins
 * `segment[s]` bytes behind the pixel's first input byte and is 4 * steps bytes long; where a run
 * of inputs ends earlier, the weights behind it are zero, so that reading up to 7 bytes more is
 * harmless. Output channels come in blocks of 8 or 16 lanes. */
#ifndef NB_ENGINE_KERNELS_KERNELS_H
#define NB_ENGINE_KERNELS_KERNELS_H

#include "base/cpu.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    NB_LANES = 16,
    NB_BUCKETS =
        512, /* of NB_EMIT_TABLE: a curved function of 255 steps needs a few more than 255 */
};

/* How weights lie in memory. */
typedef enum NbWeightFormat {
    NB_WEIGHT_C,   /* int16 [segments][4 * steps][lanes] */
    NB_WEIGHT_K4,  /* int8 [segments][steps][lanes][4] */
    NB_WEIGHT_K48, /* the same; blocks of 8 lanes, whose steps are even, [segments][steps / 2][8][8]
                    */
} NbWeightFormat;

/* What a sum becomes. */
typedef enum NbEmit {
    NB_EMIT_MUL32,  /* byte = clamp((sum * mul + add) >> shift, 0, levels); all fits int32 */
    NB_EMIT_MUL64,  /* the same with a 64-bit product and sum */
    NB_EMIT_NEAR,   /* k as MUL64; byte = k + (sum >= threshold[k]) */
    NB_EMIT_TABLE,  /* row as MUL64, of NB_BUCKETS; k = base[row]; byte = k + (sum >= threshold[k])
                     */
    NB_EMIT_LEVELS, /* byte = number of thresholds t with sum >= t */
    NB_EMIT_FLOAT,  /* fl(fl((float)sum * scale) + offset), without the sum where offset is NULL */
} NbEmit;

/* One block of output channels of one convolution. Arrays of [lanes] hold harmless values in lanes
 * that do not exist; they are NULL where `emit` does not use them. */
typedef struct NbConvBlock {
    const uint8_t *src;       /* first input byte of output pixel (0, 0) */
    ptrdiff_t src_row;        /* bytes from one output row to the next, before pooling */
    ptrdiff_t src_col;        /* bytes from one output pixel to the next */
    const ptrdiff_t *segment; /* [segments] */
    int segments;
    int steps;            /* 4 bytes each */
    int lanes;            /* 8 or 16 */
    const void *weight;   /* in the format of the table */
    const int32_t *start; /* [lanes] what sums begin with */
    int run;   /* steps that fit into 16 bits when products are added in pairs (AVX2); 0: none */
    int width; /* output pixels of a row */
    bool pool; /* the maximum of 2x2 sums is emitted; width and rows are those after it */
    NbEmit emit;
    int levels;               /* codes above 0: 1 to 255 */
    const int32_t *mul;       /* [lanes] >= 0 */
    const int64_t *add;       /* [lanes] */
    const int32_t *shift;     /* [lanes] 0 to 31, with 64 bits 0 to 62 */
    const int32_t *threshold; /* [nb_threshold_rows(levels)][lanes], ascending */
    const uint8_t *base;      /* [NB_BUCKETS][lanes] and 3 bytes that may be read */
    int falls;                /* a byte grows by the number of fall[k] with sum <= fall[k] */
    const int32_t *fall;      /* [falls][lanes]; INT32_MIN, which no sum is, for fewer */
    const float *scale;       /* [lanes] */
    const float *offset;      /* [lanes] or NULL */
    void *dst;                /* output pixel (0, 0), first lane: bytes, or floats (FLOAT) */
    ptrdiff_t dst_row;        /* bytes */
    ptrdiff_t dst_col;        /* bytes */
    int live;                 /* lanes to write; the other ones are left alone */
} NbConvBlock;

/* Where the weight of byte k (counted through all segments) of a lane lies. */
static inline size_t nb_weight_at(NbWeightFormat format, int lanes, int k, int lane) {
    if (format == NB_WEIGHT_C)
        return (size_t)k * (size_t)lanes + (size_t)lane;
    const int together = format == NB_WEIGHT_K48 && lanes == NB_LANES / 2 ? 8 : 4;
    const int step = k / together;
    return (size_t)(step * lanes + lane) * (size_t)together + (size_t)(k % together);
}

/* Rows of thresholds: a power of two above levels, so that searches need no bounds. Rows behind the
 * levels hold INT32_MAX, which no sum reaches. */
static inline int nb_threshold_rows(int levels) {
    int rows = 2;
    while (rows <= levels)
        rows *= 2;
    return rows;
}

/* Computes output rows [row, end). */
typedef void NbConvRows(const NbConvBlock *b, int row, int end);

typedef struct NbKernels {
    NbIsa isa;
    NbWeightFormat format;
    NbConvRows *conv_rows;
} NbKernels;

/* The best table for a level. */
const NbKernels *nb_kernels_for(NbIsa isa);

extern const NbKernels nb_kernels_c;
#if defined(__x86_64__)
extern const NbKernels nb_kernels_avx2;
extern const NbKernels nb_kernels_vnni;
#endif

/* to[i] = max(to[i], from[i]) for n bytes. */
void nb_bytes_max(uint8_t *to, const uint8_t *from, size_t n);

#endif
