/* SPDX-License-Identifier: Apache-2.0
 *
 * Convolution blocks with AVX2. vpmaddubsw adds two byte products into a signed 16-bit lane and
 * would saturate; `run` says for how many steps the sums provably stay within 16 bits, after which
 * they are widened and added to the 32-bit totals. Where not even one step is safe (some 8-bit
 * weights on 8-bit codes) the bytes are widened first. */
#include "engine/kernels/kernels.h"

#include "engine/kernels/unroll.h"

#include <immintrin.h>
#include <string.h>

enum { MOST_TILE = 12, HALF = NB_LANES / 2, SEARCH_LEVELS = 24 };

/* Keeps a loaded vector in its register: gcc 12 would load a reused one again and again. */
#define HOLD(v) __asm__("" : "+x"(v))

static inline int32_t four_bytes(const uint8_t *p) {
    int32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline __m256i load(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }

/* --- from sums to codes: 8 lanes, the first of which is `lane` ---------------------------------
 */

/* clamp((v * mul + add) >> shift, 0, levels) in 64-bit lanes. Negative numbers become 0 before the
 * shift, which is a logical one: AVX2 has no other. */
static inline __m256i scale_64(__m256i v, __m256i mul, __m256i add, __m256i shift, int levels) {
    const __m256i top = _mm256_set1_epi64x(levels);
    v = _mm256_add_epi64(_mm256_mul_epi32(v, mul), add);
    v = _mm256_andnot_si256(_mm256_cmpgt_epi64(_mm256_setzero_si256(), v), v);
    v = _mm256_srlv_epi64(v, shift);
    return _mm256_blendv_epi8(v, top, _mm256_cmpgt_epi64(v, top));
}

static inline __m256i codes_64(const NbConvBlock *b, int lane, __m256i v, int most) {
    const __m256i mul = load(b->mul + lane);
    const __m256i shift = load(b->shift + lane);
    const __m256i low = load(b->add + lane);
    const __m256i high = load(b->add + lane + 4);
    /* lanes 0 2 4 6 and 1 3 5 7 */
    const __m256i even = _mm256_permute4x64_epi64(_mm256_unpacklo_epi64(low, high), 0xD8);
    const __m256i odd = _mm256_permute4x64_epi64(_mm256_unpackhi_epi64(low, high), 0xD8);
    const __m256i mask = _mm256_set1_epi64x(UINT32_MAX);
    const __m256i e = scale_64(v, mul, even, _mm256_and_si256(shift, mask), most);
    const __m256i o = scale_64(_mm256_srli_epi64(v, 32), _mm256_srli_epi64(mul, 32), odd,
                               _mm256_srli_epi64(shift, 32), most);
    return _mm256_or_si256(e, _mm256_slli_epi64(o, 32));
}

/* code + (v >= the threshold `ahead` rows on) * ahead, in each lane */
static inline __m256i step(const NbConvBlock *b, int lane, __m256i v, __m256i code, int ahead) {
    const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256i row = _mm256_add_epi32(code, _mm256_set1_epi32(ahead - 1));
    const __m256i at =
        _mm256_add_epi32(_mm256_mullo_epi32(row, _mm256_set1_epi32(b->lanes)), lanes);
    const __m256i t = _mm256_i32gather_epi32(b->threshold + lane, at, 4);
    const __m256i by = _mm256_set1_epi32(ahead);
    return _mm256_add_epi32(code, _mm256_andnot_si256(_mm256_cmpgt_epi32(t, v), by));
}

/* The code that the table gives for each row. */
static inline __m256i base(const NbConvBlock *b, int lane, __m256i row) {
    const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256i at =
        _mm256_add_epi32(_mm256_mullo_epi32(row, _mm256_set1_epi32(b->lanes)), lanes);
    const __m256i four = _mm256_i32gather_epi32((const int *)(const void *)(b->base + lane), at, 1);
    return _mm256_and_si256(four, _mm256_set1_epi32(UINT8_MAX));
}

static inline __m256i search(const NbConvBlock *b, int lane, __m256i v) {
    __m256i code = _mm256_setzero_si256();
    for (int ahead = nb_threshold_rows(b->levels) / 2; ahead > 0; ahead /= 2)
        code = step(b, lane, v, code, ahead);
    return code;
}

/* The low halves of eight 64-bit numbers. */
static inline __m256i narrow(const int64_t *p) {
    const __m256i order = _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6);
    return _mm256_blend_epi32(_mm256_permutevar8x32_epi32(load(p), order),
                              _mm256_permutevar8x32_epi32(load(p + 4), order), 0xF0);
}

static inline __m256i codes(const NbConvBlock *b, int lane, __m256i v) {
    if (b->emit == NB_EMIT_MUL64)
        return codes_64(b, lane, v, b->levels);
    if (b->emit == NB_EMIT_NEAR)
        return step(b, lane, v, codes_64(b, lane, v, b->levels), 1);
    if (b->emit == NB_EMIT_TABLE)
        return step(b, lane, v, base(b, lane, codes_64(b, lane, v, NB_BUCKETS - 1)), 1);
    if (b->emit == NB_EMIT_LEVELS && b->levels > SEARCH_LEVELS)
        return search(b, lane, v);
    if (b->emit == NB_EMIT_MUL32) {
        v = _mm256_add_epi32(_mm256_mullo_epi32(v, load(b->mul + lane)), narrow(b->add + lane));
        v = _mm256_srav_epi32(v, load(b->shift + lane));
        v = _mm256_max_epi32(v, _mm256_setzero_si256());
        return _mm256_min_epi32(v, _mm256_set1_epi32(b->levels));
    }
    __m256i count = _mm256_set1_epi32(b->levels);
    for (int k = 0; k < b->levels; k++) {
        const __m256i t = load(b->threshold + k * b->lanes + lane);
        count = _mm256_add_epi32(count, _mm256_cmpgt_epi32(t, v));
    }
    return count;
}

static inline void emit_real(const NbConvBlock *b, int lane, __m256i v, float *dst) {
    __m256 y = _mm256_mul_ps(_mm256_cvtepi32_ps(v), _mm256_loadu_ps(b->scale + lane));
    if (b->offset)
        y = _mm256_add_ps(y, _mm256_loadu_ps(b->offset + lane));
    const __m256i number = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    _mm256_maskstore_ps(dst + lane, _mm256_cmpgt_epi32(_mm256_set1_epi32(b->live - lane), number),
                        y);
}

static inline void emit(const NbConvBlock *b, int lane, __m256i v, char *dst) {
    if (b->emit == NB_EMIT_FLOAT) {
        emit_real(b, lane, v, (float *)(void *)dst);
        return;
    }
    __m256i code = codes(b, lane, v);
    for (int k = 0; k < b->falls; k++) {
        const __m256i above = _mm256_cmpgt_epi32(v, load(b->fall + k * b->lanes + lane));
        code = _mm256_add_epi32(code, _mm256_add_epi32(above, _mm256_set1_epi32(1)));
    }
    const __m128i words =
        _mm_packs_epi32(_mm256_castsi256_si128(code), _mm256_extracti128_si256(code, 1));
    const __m128i bytes = _mm_packus_epi16(words, words);
    if (b->live >= lane + HALF) {
        _mm_storel_epi64((__m128i *)(void *)(dst + lane), bytes);
        return;
    }
    const int64_t eight = _mm_cvtsi128_si64(bytes);
    if (b->live > lane)
        memcpy(dst + lane, &eight, (size_t)(b->live - lane));
}

/* Emits a tile's sums; of two rows, the maximum of each 2x2. */
static NB_INLINE void emit_tile(const NbConvBlock *b, const __m256i *total, char *dst,
                                const int rows, const int cols, const int vectors,
                                const int first_lane) {
    for (int v = 0; v < vectors; v++)
        for (int i = 0; i < cols; i += rows) {
            __m256i sum = total[i * vectors + v];
            if (rows == 2) {
                const __m256i *below = total + cols * vectors;
                sum = _mm256_max_epi32(sum, total[(i + 1) * vectors + v]);
                sum = _mm256_max_epi32(sum, below[i * vectors + v]);
                sum = _mm256_max_epi32(sum, below[(i + 1) * vectors + v]);
            }
            emit(b, first_lane + HALF * v, sum, dst + i / rows * b->dst_col);
        }
}

/* --- 16-bit sums --------------------------------------------------------------------------------
 */

static NB_INLINE void widen(__m256i *sum, __m256i *total, const int n) {
    const __m256i ones = _mm256_set1_epi16(1);
    NB_UNROLL for (int i = 0; i < n; i++) {
        total[i] = _mm256_add_epi32(total[i], _mm256_madd_epi16(sum[i], ones));
        sum[i] = _mm256_setzero_si256();
    }
}

/* One tile of rows x cols pixels and 8 * vectors lanes, all constants where it is inlined. */
static NB_INLINE void tile(const NbConvBlock *b, const uint8_t *src, char *dst, const int rows,
                           const int cols, const int vectors) {
    __m256i sum[MOST_TILE];
    __m256i total[MOST_TILE];
    const ptrdiff_t col = b->src_col;
    const int8_t *weight = b->weight;
    int left = b->run;
    NB_UNROLL for (int i = 0; i < rows * cols * vectors; i++) {
        sum[i] = _mm256_setzero_si256();
        total[i] = load(b->start + HALF * (i % vectors));
    }
    for (int s = 0; s < b->segments; s++) {
        const uint8_t *p = src + b->segment[s];
        for (int k = b->steps; k > 0; k--, weight += 32 * vectors, p += 4) {
            __m256i w[2];
            NB_UNROLL for (int v = 0; v < vectors; v++) {
                w[v] = load(weight + 32 * v);
                HOLD(w[v]);
            }
            NB_UNROLL for (int i = 0; i < rows * cols; i++) {
                const uint8_t *pixel = p + i / cols * b->src_row + i % cols * col;
                __m256i u = _mm256_set1_epi32(four_bytes(pixel));
                HOLD(u);
                NB_UNROLL for (int v = 0; v < vectors; v++) sum[i * vectors + v] =
                    _mm256_add_epi16(sum[i * vectors + v], _mm256_maddubs_epi16(u, w[v]));
            }
            if (--left == 0) {
                widen(sum, total, rows * cols * vectors);
                left = b->run;
            }
        }
    }
    widen(sum, total, rows * cols * vectors);
    emit_tile(b, total, dst, rows, cols, vectors, 0);
}

/* --- 32-bit sums --------------------------------------------------------------------------------
 */

/* The same for 8 lanes with bytes widened to 16 bits. Lanes 0-3 and 4-7 have a register each, two
 * sums a lane. */
static NB_INLINE void tile_wide(const NbConvBlock *b, const uint8_t *src, char *dst, const int rows,
                                const int cols, const int lane) {
    __m256i low[MOST_TILE / 2];
    __m256i high[MOST_TILE / 2];
    __m256i total[MOST_TILE / 2];
    const int8_t *weight = (const int8_t *)b->weight + 4 * lane;
    NB_UNROLL for (int i = 0; i < rows * cols; i++) {
        low[i] = _mm256_setzero_si256();
        high[i] = _mm256_setzero_si256();
    }
    for (int s = 0; s < b->segments; s++) {
        const uint8_t *p = src + b->segment[s];
        for (int k = b->steps; k > 0; k--, weight += 4 * b->lanes, p += 4) {
            const __m256i w = load(weight);
            const __m256i w_low = _mm256_cvtepi8_epi16(_mm256_castsi256_si128(w));
            const __m256i w_high = _mm256_cvtepi8_epi16(_mm256_extracti128_si256(w, 1));
            NB_UNROLL for (int i = 0; i < rows * cols; i++) {
                const uint8_t *pixel = p + i / cols * b->src_row + i % cols * b->src_col;
                const __m256i u = _mm256_cvtepu8_epi16(_mm_set1_epi32(four_bytes(pixel)));
                low[i] = _mm256_add_epi32(low[i], _mm256_madd_epi16(u, w_low));
                high[i] = _mm256_add_epi32(high[i], _mm256_madd_epi16(u, w_high));
            }
        }
    }
    const __m256i start = load(b->start + lane);
    for (int i = 0; i < rows * cols; i++) {
        const __m256i pairs = _mm256_hadd_epi32(low[i], high[i]); /* lanes 0 1 4 5 2 3 6 7 */
        total[i] = _mm256_add_epi32(_mm256_permute4x64_epi64(pairs, 0xD8), start);
    }
    emit_tile(b, total, dst, rows, cols, 1, lane);
}

/* --- rows ---------------------------------------------------------------------------------------
 */

static void row_16(const NbConvBlock *b, const uint8_t *src, char *dst) {
    for (int left = b->width; left > 0;) {
        const int n = left >= 6 && left != 8 ? 6 : left >= 4 ? 4 : 1;
        if (n == 6)
            tile(b, src, dst, 1, 6, 2);
        else if (n == 4)
            tile(b, src, dst, 1, 4, 2);
        else
            tile(b, src, dst, 1, 1, 2);
        left -= n;
        src += n * b->src_col;
        dst += n * b->dst_col;
    }
}

static void row_8(const NbConvBlock *b, const uint8_t *src, char *dst) {
    for (int left = b->width; left > 0;) {
        const int n = left >= 12 ? 12 : left >= 4 ? 4 : 1;
        if (n == 12)
            tile(b, src, dst, 1, 12, 1);
        else if (n == 4)
            tile(b, src, dst, 1, 4, 1);
        else
            tile(b, src, dst, 1, 1, 1);
        left -= n;
        src += n * b->src_col;
        dst += n * b->dst_col;
    }
}

static void pooled_row_16(const NbConvBlock *b, const uint8_t *src, char *dst) {
    for (int x = 0; x < b->width; x++, src += 2 * b->src_col, dst += b->dst_col)
        tile(b, src, dst, 2, 2, 2);
}

static void pooled_row_8(const NbConvBlock *b, const uint8_t *src, char *dst) {
    for (int left = b->width; left > 0;) {
        const int n = left >= 3 ? 3 : 1;
        if (n == 3)
            tile(b, src, dst, 2, 6, 1);
        else
            tile(b, src, dst, 2, 2, 1);
        left -= n;
        src += 2 * n * b->src_col;
        dst += n * b->dst_col;
    }
}

static void wide_row(const NbConvBlock *b, const uint8_t *src, char *dst) {
    for (int left = b->width; left > 0;) {
        const int n = left >= 4 ? 4 : 1;
        for (int lane = 0; lane < b->lanes; lane += HALF)
            if (n == 4)
                tile_wide(b, src, dst, 1, 4, lane);
            else
                tile_wide(b, src, dst, 1, 1, lane);
        left -= n;
        src += n * b->src_col;
        dst += n * b->dst_col;
    }
}

static void wide_pooled_row(const NbConvBlock *b, const uint8_t *src, char *dst) {
    for (int x = 0; x < b->width; x++, src += 2 * b->src_col, dst += b->dst_col)
        for (int lane = 0; lane < b->lanes; lane += HALF)
            tile_wide(b, src, dst, 2, 2, lane);
}

typedef void Row(const NbConvBlock *b, const uint8_t *src, char *dst);

static void conv_rows(const NbConvBlock *b, int row, int end) {
    const int span = b->pool ? 2 : 1;
    Row *run = b->pool ? wide_pooled_row : wide_row;
    if (b->run > 0 && b->lanes == NB_LANES)
        run = b->pool ? pooled_row_16 : row_16;
    else if (b->run > 0)
        run = b->pool ? pooled_row_8 : row_8;
    for (int y = row; y < end; y++)
        run(b, b->src + (ptrdiff_t)y * span * b->src_row, (char *)b->dst + y * b->dst_row);
}

const NbKernels nb_kernels_avx2 = {
    .isa = NB_ISA_AVX2, .format = NB_WEIGHT_K4, .conv_rows = conv_rows};
