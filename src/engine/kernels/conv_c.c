/* SPDX-License-Identifier: Apache-2.0
 *
 * Convolution blocks in plain C: what every other version must equal. */
#include "engine/kernels/kernels.h"

#include "quant/requant.h"

#include <string.h>

/* Half-open binary search: thresholds ascend. */
static int count_reached(const NbConvBlock *b, int lane, int32_t sum) {
    int low = 0;
    int high = b->levels;
    while (low < high) {
        const int middle = (low + high) / 2;
        if (sum >= b->threshold[middle * b->lanes + lane])
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int clamp_to(int64_t code, int most) {
    return (int)(code < 0 ? 0 : code > most ? most : code);
}

static uint8_t count_fallen(const NbConvBlock *b, int lane, int32_t sum) {
    int count = 0;
    for (int k = 0; k < b->falls; k++)
        count += sum <= b->fall[k * b->lanes + lane];
    return (uint8_t)count;
}

static void emit_bytes(const NbConvBlock *b, const int32_t *sum, uint8_t *dst) {
    for (int i = 0; i < b->live; i++) {
        const int fallen = count_fallen(b, i, sum[i]);
        if (b->emit == NB_EMIT_LEVELS) {
            dst[i] = (uint8_t)(fallen + count_reached(b, i, sum[i]));
            continue;
        }
        const int64_t scaled = (int64_t)sum[i] * b->mul[i] + b->add[i];
        const bool table = b->emit == NB_EMIT_TABLE;
        int code =
            clamp_to(nb_requant_shift(scaled, b->shift[i]), table ? NB_BUCKETS - 1 : b->levels);
        if (table)
            code = b->base[code * b->lanes + i];
        const bool next =
            (table || b->emit == NB_EMIT_NEAR) && sum[i] >= b->threshold[code * b->lanes + i];
        dst[i] = (uint8_t)(fallen + code + next);
    }
}

static void emit(const NbConvBlock *b, const int32_t *sum, void *dst) {
    if (b->emit != NB_EMIT_FLOAT) {
        emit_bytes(b, sum, dst);
        return;
    }
    float *out = dst;
    for (int i = 0; i < b->live; i++) {
        const float product = (float)sum[i] * b->scale[i];
        out[i] = b->offset ? product + b->offset[i] : product;
    }
}

/* The sums of one pixel. `lanes` is a constant where this is inlined, so that the inner loop
 * becomes vectors. */
static inline void sum_pixel(const NbConvBlock *b, const uint8_t *pixel, int lanes,
                             int32_t *restrict sum) {
    const int16_t *w = b->weight;
    int32_t total[NB_LANES];
    memcpy(total, b->start, (size_t)lanes * sizeof *total);
    for (int s = 0; s < b->segments; s++) {
        const uint8_t *p = pixel + b->segment[s];
        for (int k = 0; k < 4 * b->steps; k++, w += lanes) {
            const int16_t x = p[k];
            for (int i = 0; i < lanes; i++)
                total[i] += x * w[i];
        }
    }
    memcpy(sum, total, (size_t)lanes * sizeof *total);
}

static void sum_one(const NbConvBlock *b, const uint8_t *pixel, int32_t *sum) {
    if (b->lanes == NB_LANES)
        sum_pixel(b, pixel, NB_LANES, sum);
    else
        sum_pixel(b, pixel, NB_LANES / 2, sum);
}

static void sum_window(const NbConvBlock *b, const uint8_t *pixel, int32_t *sum) {
    int32_t other[NB_LANES];
    sum_one(b, pixel, sum);
    for (int i = 1; i < 4; i++) {
        sum_one(b, pixel + (i / 2) * b->src_row + (i % 2) * b->src_col, other);
        for (int lane = 0; lane < b->lanes; lane++)
            sum[lane] = other[lane] > sum[lane] ? other[lane] : sum[lane];
    }
}

static void conv_rows(const NbConvBlock *b, int row, int end) {
    const int span = b->pool ? 2 : 1;
    for (int y = row; y < end; y++) {
        const uint8_t *src = b->src + (ptrdiff_t)y * span * b->src_row;
        char *dst = (char *)b->dst + y * b->dst_row;
        for (int x = 0; x < b->width; x++, src += span * b->src_col, dst += b->dst_col) {
            int32_t sum[NB_LANES];
            if (b->pool)
                sum_window(b, src, sum);
            else
                sum_one(b, src, sum);
            emit(b, sum, dst);
        }
    }
}

void nb_bytes_max(uint8_t *to, const uint8_t *from, size_t n) {
    for (size_t i = 0; i < n; i++)
        to[i] = from[i] > to[i] ? from[i] : to[i];
}

const NbKernels nb_kernels_c = {.isa = NB_ISA_C, .format = NB_WEIGHT_C, .conv_rows = conv_rows};
