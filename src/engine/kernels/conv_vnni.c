/* SPDX-License-Identifier: Apache-2.0
 *
 * Convolution blocks with AVX-512 VNNI: one instruction adds four byte products to each 32-bit
 * lane, exactly. A tile of output pixels stays in registers while all weights of the block pass;
 * with a pool behind, the tile has two rows and its maximum is emitted. Blocks of 16 lanes take 4
 * bytes at a time, blocks of 8 take 8: each lane then is a pair of partial sums.
 *
 * The hot instructions are written as asm with register constraints: from intrinsics gcc 12 makes
 * memory operands of reused weights, which costs a third of the speed. */
#include "engine/kernels/kernels.h"

#include "engine/kernels/unroll.h"

#include <immintrin.h>
#include <string.h>

enum { MOST_TILE = 26, SEARCH_LEVELS = 24 };

/* dst += four products of unsigned bytes of u and signed bytes of w, in each lane */
#define DOT(dst, u, w) __asm__("vpdpbusd %2, %1, %0" : "+v"(dst) : "v"(u), "v"(w))
/* Keeps a loaded vector in its register. */
#define HOLD(v) __asm__("" : "+v"(v))

static inline __mmask16 live_lanes(const NbConvBlock *b) {
    return (__mmask16)((1U << b->live) - 1);
}

/* What turns sums into codes, loaded once for each tile: stores through char pointers would make
 * the compiler load it again for each pixel. Of MUL32 [0] is used; of MUL64 and NEAR [0] holds the
 * even and [1] the odd lanes as 64-bit numbers, with blocks of 8 lanes [0] holds all. */
typedef struct Constants {
    NbEmit emit;
    __m512i mul[2];
    __m512i add[2];
    __m512i shift[2];
    __m512i top;
} Constants;

static inline __m512i narrow_adds(const NbConvBlock *b) {
    const __m256i low = _mm512_cvtepi64_epi32(_mm512_loadu_si512(b->add));
    const __m256i high = _mm512_cvtepi64_epi32(_mm512_loadu_si512(b->add + 8));
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

/* --- 16 lanes ------------------------------------------------------------------------------- */

static inline Constants constants_16(const NbConvBlock *b) {
    Constants c = {.emit = b->emit, .top = _mm512_set1_epi32(b->levels)};
    if (b->emit == NB_EMIT_LEVELS || b->emit == NB_EMIT_FLOAT)
        return c;
    c.mul[0] = _mm512_loadu_si512(b->mul);
    c.shift[0] = _mm512_loadu_si512(b->shift);
    if (b->emit == NB_EMIT_MUL32) {
        c.add[0] = narrow_adds(b);
        return c;
    }
    const __m512i even = _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14);
    const __m512i odd = _mm512_setr_epi64(1, 3, 5, 7, 9, 11, 13, 15);
    const __m512i low = _mm512_loadu_si512(b->add);
    const __m512i high = _mm512_loadu_si512(b->add + 8);
    c.add[0] = _mm512_permutex2var_epi64(low, even, high);
    c.add[1] = _mm512_permutex2var_epi64(low, odd, high);
    c.mul[1] = _mm512_srli_epi64(c.mul[0], 32);
    c.shift[1] = _mm512_srli_epi64(c.shift[0], 32);
    c.shift[0] = _mm512_and_si512(c.shift[0], _mm512_set1_epi64(UINT32_MAX));
    c.top = _mm512_set1_epi64(b->emit == NB_EMIT_TABLE ? NB_BUCKETS - 1 : b->levels);
    return c;
}

/* The codes of eight sums that lie in the low halves of 64-bit lanes. */
static inline __m512i scale_64(const Constants *c, int i, __m512i v) {
    v = _mm512_add_epi64(_mm512_mul_epi32(v, c->mul[i]), c->add[i]);
    v = _mm512_max_epi64(_mm512_srav_epi64(v, c->shift[i]), _mm512_setzero_si512());
    return _mm512_min_epi64(v, c->top);
}

/* code + (v >= the threshold `ahead` rows on) * ahead, in each lane */
static inline __m512i step_16(const NbConvBlock *b, __m512i v, __m512i code, int ahead) {
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i row = _mm512_add_epi32(code, _mm512_set1_epi32(ahead - 1));
    const __m512i at = _mm512_add_epi32(_mm512_slli_epi32(row, 4), lane);
    const __m512i t = _mm512_i32gather_epi32(at, b->threshold, 4);
    return _mm512_mask_add_epi32(code, _mm512_cmpge_epi32_mask(v, t), code,
                                 _mm512_set1_epi32(ahead));
}

/* The code that the table gives for each row. */
static inline __m512i base_16(const NbConvBlock *b, __m512i row) {
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i at = _mm512_add_epi32(_mm512_slli_epi32(row, 4), lane);
    return _mm512_and_si512(_mm512_i32gather_epi32(at, b->base, 1), _mm512_set1_epi32(UINT8_MAX));
}

static inline __m512i search_16(const NbConvBlock *b, __m512i v) {
    __m512i code = _mm512_setzero_si512();
    for (int ahead = nb_threshold_rows(b->levels) / 2; ahead > 0; ahead /= 2)
        code = step_16(b, v, code, ahead);
    return code;
}

static inline __m512i count_16(const NbConvBlock *b, __m512i v) {
    __m512i count = _mm512_setzero_si512();
    for (int k = 0; k < b->levels; k++) {
        const __m512i t = _mm512_loadu_si512(b->threshold + k * NB_LANES);
        count = _mm512_mask_add_epi32(count, _mm512_cmpge_epi32_mask(v, t), count,
                                      _mm512_set1_epi32(1));
    }
    return count;
}

static inline __m512i codes_16(const NbConvBlock *b, const Constants *c, __m512i v) {
    if (c->emit == NB_EMIT_MUL32) {
        v = _mm512_add_epi32(_mm512_mullo_epi32(v, c->mul[0]), c->add[0]);
        v = _mm512_max_epi32(_mm512_srav_epi32(v, c->shift[0]), _mm512_setzero_si512());
        return _mm512_min_epi32(v, c->top);
    }
    if (c->emit == NB_EMIT_LEVELS)
        return b->levels > SEARCH_LEVELS ? search_16(b, v) : count_16(b, v);
    const __m512i odd = scale_64(c, 1, _mm512_srli_epi64(v, 32));
    const __m512i code = _mm512_or_si512(scale_64(c, 0, v), _mm512_slli_epi64(odd, 32));
    if (c->emit == NB_EMIT_TABLE)
        return step_16(b, v, base_16(b, code), 1);
    return c->emit == NB_EMIT_NEAR ? step_16(b, v, code, 1) : code;
}

static inline void emit_16(const NbConvBlock *b, const Constants *c, __m512i v, char *dst) {
    if (c->emit == NB_EMIT_FLOAT) {
        __m512 y = _mm512_mul_ps(_mm512_cvtepi32_ps(v), _mm512_loadu_ps(b->scale));
        if (b->offset)
            y = _mm512_add_ps(y, _mm512_loadu_ps(b->offset));
        _mm512_mask_storeu_ps(dst, live_lanes(b), y);
        return;
    }
    __m512i code = codes_16(b, c, v);
    for (int k = 0; k < b->falls; k++) {
        const __m512i t = _mm512_loadu_si512(b->fall + k * NB_LANES);
        code =
            _mm512_mask_add_epi32(code, _mm512_cmple_epi32_mask(v, t), code, _mm512_set1_epi32(1));
    }
    const __m128i bytes = _mm512_cvtepi32_epi8(code);
    if (b->live == NB_LANES)
        _mm_storeu_si128((__m128i *)(void *)dst, bytes);
    else
        _mm_mask_storeu_epi8(dst, live_lanes(b), bytes);
}

/* --- 8 lanes -------------------------------------------------------------------------------- */

static inline __m256i load_8(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }

static inline Constants constants_8(const NbConvBlock *b) {
    Constants c = {.emit = b->emit, .top = _mm512_set1_epi32(b->levels)};
    if (b->emit == NB_EMIT_LEVELS || b->emit == NB_EMIT_FLOAT)
        return c;
    c.add[0] = _mm512_loadu_si512(b->add);
    if (b->emit == NB_EMIT_MUL32) {
        c.mul[0] = _mm512_castsi256_si512(load_8(b->mul));
        c.shift[0] = _mm512_castsi256_si512(load_8(b->shift));
        c.add[0] = _mm512_castsi256_si512(_mm512_cvtepi64_epi32(c.add[0]));
        return c;
    }
    c.mul[0] = _mm512_cvtepi32_epi64(load_8(b->mul));
    c.shift[0] = _mm512_cvtepi32_epi64(load_8(b->shift));
    c.top = _mm512_set1_epi64(b->emit == NB_EMIT_TABLE ? NB_BUCKETS - 1 : b->levels);
    return c;
}

static inline __m256i step_8(const NbConvBlock *b, __m256i v, __m256i code, int ahead) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256i row = _mm256_add_epi32(code, _mm256_set1_epi32(ahead - 1));
    const __m256i at = _mm256_add_epi32(_mm256_slli_epi32(row, 3), lane);
    const __m256i t = _mm256_i32gather_epi32(b->threshold, at, 4);
    return _mm256_mask_add_epi32(code, _mm256_cmpge_epi32_mask(v, t), code,
                                 _mm256_set1_epi32(ahead));
}

static inline __m256i base_8(const NbConvBlock *b, __m256i row) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256i at = _mm256_add_epi32(_mm256_slli_epi32(row, 3), lane);
    const __m256i four = _mm256_i32gather_epi32((const int *)(const void *)b->base, at, 1);
    return _mm256_and_si256(four, _mm256_set1_epi32(UINT8_MAX));
}

static inline __m256i search_8(const NbConvBlock *b, __m256i v) {
    __m256i code = _mm256_setzero_si256();
    for (int ahead = nb_threshold_rows(b->levels) / 2; ahead > 0; ahead /= 2)
        code = step_8(b, v, code, ahead);
    return code;
}

static inline __m256i count_8(const NbConvBlock *b, __m256i v) {
    __m256i count = _mm256_setzero_si256();
    for (int k = 0; k < b->levels; k++)
        count = _mm256_mask_add_epi32(
            count, _mm256_cmpge_epi32_mask(v, load_8(b->threshold + k * (NB_LANES / 2))), count,
            _mm256_set1_epi32(1));
    return count;
}

/* wide: the sums v in the low halves of 64-bit lanes. */
static inline __m256i codes_8(const NbConvBlock *b, const Constants *c, __m512i wide, __m256i v) {
    if (c->emit == NB_EMIT_MUL32) {
        __m256i code = _mm256_mullo_epi32(v, _mm512_castsi512_si256(c->mul[0]));
        code = _mm256_add_epi32(code, _mm512_castsi512_si256(c->add[0]));
        code = _mm256_srav_epi32(code, _mm512_castsi512_si256(c->shift[0]));
        code = _mm256_max_epi32(code, _mm256_setzero_si256());
        return _mm256_min_epi32(code, _mm512_castsi512_si256(c->top));
    }
    if (c->emit == NB_EMIT_LEVELS)
        return b->levels > SEARCH_LEVELS ? search_8(b, v) : count_8(b, v);
    const __m256i code = _mm512_cvtepi64_epi32(scale_64(c, 0, wide));
    if (c->emit == NB_EMIT_TABLE)
        return step_8(b, v, base_8(b, code), 1);
    return c->emit == NB_EMIT_NEAR ? step_8(b, v, code, 1) : code;
}

static inline void emit_8(const NbConvBlock *b, const Constants *c, __m512i wide, char *dst) {
    const __m256i v = _mm512_cvtepi64_epi32(wide);
    if (c->emit == NB_EMIT_FLOAT) {
        __m256 y = _mm256_mul_ps(_mm256_cvtepi32_ps(v), _mm256_loadu_ps(b->scale));
        if (b->offset)
            y = _mm256_add_ps(y, _mm256_loadu_ps(b->offset));
        _mm256_mask_storeu_ps(dst, (__mmask8)live_lanes(b), y);
        return;
    }
    __m256i code = codes_8(b, c, wide, v);
    for (int k = 0; k < b->falls; k++) {
        const __m256i t = load_8(b->fall + k * (NB_LANES / 2));
        code =
            _mm256_mask_add_epi32(code, _mm256_cmple_epi32_mask(v, t), code, _mm256_set1_epi32(1));
    }
    const __m128i bytes = _mm256_cvtepi32_epi8(code);
    if (b->live == NB_LANES / 2)
        _mm_storel_epi64((__m128i *)(void *)dst, bytes);
    else
        _mm_mask_storeu_epi8(dst, live_lanes(b), bytes);
}

/* --- tiles ---------------------------------------------------------------------------------- */

/* The bytes a step multiplies, for every lane. */
static inline __m512i spread_4(const uint8_t *p) {
    int32_t v;
    memcpy(&v, p, sizeof v);
    return _mm512_set1_epi32(v);
}

static inline __m512i spread_8(const uint8_t *p) {
    int64_t v;
    memcpy(&v, p, sizeof v);
    return _mm512_set1_epi64(v);
}

/* The sums of all lanes, as they are emitted. */
static inline __m512i whole_16(__m512i v) { return v; }

/* Eight lanes of two partial sums each: the sums, in the low halves. */
static inline __m512i whole_8(__m512i v) { return _mm512_add_epi32(v, _mm512_srli_epi64(v, 32)); }

static inline __m512i start_16(const NbConvBlock *b) { return _mm512_loadu_si512(b->start); }

static inline __m512i start_8(const NbConvBlock *b) {
    return _mm512_cvtepu32_epi64(load_8(b->start));
}

/* One tile of `rows` x `cols` pixels (constants where it is inlined); src is its first pixel.
 * A step multiplies BYTES bytes, a 64-byte vector of weights. */
#define DEFINE_TILE(NAME, LANES, BYTES)                                                            \
    static NB_INLINE void NAME(const NbConvBlock *b, const uint8_t *src, char *dst,                \
                               const int rows, const int cols) {                                   \
        __m512i sum[MOST_TILE];                                                                    \
        const ptrdiff_t col = b->src_col;                                                          \
        const int8_t *weight = b->weight;                                                          \
        const __m512i start = start_##LANES(b);                                                    \
        NB_UNROLL for (int i = 0; i < rows * cols; i++) sum[i] = start;                            \
        for (int s = 0; s < b->segments; s++) {                                                    \
            const uint8_t *p = src + b->segment[s];                                                \
            const uint8_t *q = p + b->src_row;                                                     \
            for (int k = 4 * b->steps; k > 0; k -= BYTES, weight += 64, p += BYTES, q += BYTES) {  \
                __m512i w = _mm512_loadu_si512(weight);                                            \
                HOLD(w);                                                                           \
                NB_UNROLL for (int i = 0; i < cols; i++) {                                         \
                    const __m512i u = spread_##BYTES(p + i * col);                                 \
                    DOT(sum[i], u, w);                                                             \
                }                                                                                  \
                if (rows == 1)                                                                     \
                    continue;                                                                      \
                NB_UNROLL for (int i = 0; i < cols; i++) {                                         \
                    const __m512i u = spread_##BYTES(q + i * col);                                 \
                    DOT(sum[cols + i], u, w);                                                      \
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
        const Constants c = constants_##LANES(b);                                                  \
        const ptrdiff_t dst_col = b->dst_col;                                                      \
        NB_UNROLL for (int i = 0; i < rows * cols; i++) sum[i] = whole_##LANES(sum[i]);            \
        if (rows == 1) {                                                                           \
            NB_UNROLL for (int i = 0; i < cols; i++)                                               \
                emit_##LANES(b, &c, sum[i], dst + i * dst_col);                                    \
            return;                                                                                \
        }                                                                                          \
        NB_UNROLL for (int i = 0; i < cols; i += 2) {                                              \
            const __m512i above = _mm512_max_epi32(sum[i], sum[i + 1]);                            \
            const __m512i below = _mm512_max_epi32(sum[cols + i], sum[cols + i + 1]);              \
            emit_##LANES(b, &c, _mm512_max_epi32(above, below), dst + i / 2 * dst_col);            \
        }                                                                                          \
    }

DEFINE_TILE(tile_16, 16, 4)
DEFINE_TILE(tile_8, 8, 8)

/* Cuts a row into tiles: 13 = 13, 26 = 13 + 13, 20 = 10 + 10, other widths what is left. */
#define DEFINE_ROW(NAME, TILE)                                                                     \
    static void NAME(const NbConvBlock *b, const uint8_t *src, char *dst) {                        \
        for (int left = b->width; left > 0;) {                                                     \
            int n = 1;                                                                             \
            if (left >= 13 && left != 16 && left != 20) {                                          \
                n = 13;                                                                            \
                TILE(b, src, dst, 1, 13);                                                          \
            } else if (left >= 10) {                                                               \
                n = 10;                                                                            \
                TILE(b, src, dst, 1, 10);                                                          \
            } else if (left >= 8) {                                                                \
                n = 8;                                                                             \
                TILE(b, src, dst, 1, 8);                                                           \
            } else if (left >= 4) {                                                                \
                n = 4;                                                                             \
                TILE(b, src, dst, 1, 4);                                                           \
            } else {                                                                               \
                TILE(b, src, dst, 1, 1);                                                           \
            }                                                                                      \
            left -= n;                                                                             \
            src += n * b->src_col;                                                                 \
            dst += n * b->dst_col;                                                                 \
        }                                                                                          \
    }

/* The same for pooled rows; n counts pixels after pooling. */
#define DEFINE_POOLED_ROW(NAME, TILE)                                                              \
    static void NAME(const NbConvBlock *b, const uint8_t *src, char *dst) {                        \
        for (int left = b->width; left > 0;) {                                                     \
            int n = 1;                                                                             \
            if (left == 5 || left >= 9) {                                                          \
                n = 5;                                                                             \
                TILE(b, src, dst, 2, 10);                                                          \
            } else if (left >= 4) {                                                                \
                n = 4;                                                                             \
                TILE(b, src, dst, 2, 8);                                                           \
            } else if (left == 3) {                                                                \
                n = 3;                                                                             \
                TILE(b, src, dst, 2, 6);                                                           \
            } else {                                                                               \
                TILE(b, src, dst, 2, 2);                                                           \
            }                                                                                      \
            left -= n;                                                                             \
            src += 2 * n * b->src_col;                                                             \
            dst += n * b->dst_col;                                                                 \
        }                                                                                          \
    }

DEFINE_ROW(row_16, tile_16)
DEFINE_ROW(row_8, tile_8)
DEFINE_POOLED_ROW(pooled_row_16, tile_16)
DEFINE_POOLED_ROW(pooled_row_8, tile_8)

static void conv_rows(const NbConvBlock *b, int row, int end) {
    const int span = b->pool ? 2 : 1;
    for (int y = row; y < end; y++) {
        const uint8_t *src = b->src + (ptrdiff_t)y * span * b->src_row;
        char *dst = (char *)b->dst + y * b->dst_row;
        if (b->lanes == NB_LANES)
            (b->pool ? pooled_row_16 : row_16)(b, src, dst);
        else
            (b->pool ? pooled_row_8 : row_8)(b, src, dst);
    }
}

const NbKernels nb_kernels_vnni = {
    .isa = NB_ISA_AVX512VNNI, .format = NB_WEIGHT_K48, .conv_rows = conv_rows};
