/* SPDX-License-Identifier: Apache-2.0
 *
 * Every convolution kernel against the C one: random and extreme bytes and weights, every width of
 * a row up to several tiles, every way to emit, every number of live lanes, and nothing written
 * outside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "engine/kernels/kernels.h"
#include "engine/plan.h"

enum {
    MOST_STEPS = 40,
    MOST_SEGMENTS = 9,
    MOST_WIDTH = 45,
    MOST_LEVELS = 255,
    MOST_ROWS = 256,
    ROWS = 3,
    SRC = 1 << 16,
    DST = 1 << 15,
    GUARD = 64,
};

/* Everything a block points to. */
typedef struct Data {
    uint8_t src[SRC];
    ptrdiff_t segment[MOST_SEGMENTS];
    int8_t weight_k4[MOST_SEGMENTS * MOST_STEPS * 4 * NB_LANES];
    int8_t weight_k48[MOST_SEGMENTS * MOST_STEPS * 4 * NB_LANES];
    int16_t weight_c[MOST_SEGMENTS * MOST_STEPS * 4 * NB_LANES];
    int32_t start[NB_LANES];
    int32_t mul[NB_LANES];
    int64_t add[NB_LANES];
    int32_t shift[NB_LANES];
    int32_t threshold[MOST_ROWS * NB_LANES];
    int32_t fall[MOST_LEVELS * NB_LANES];
    uint8_t base[NB_BUCKETS * NB_LANES + 3];
    float scale[NB_LANES];
    float offset[NB_LANES];
    uint8_t want[GUARD + DST + GUARD];
    uint8_t got[GUARD + DST + GUARD];
} Data;

static int pick(NbRandom *r, int n) { return (int)nb_random_below(r, (uint32_t)n); }

/* kind 0: random; 1: largest bytes and weights; 2: largest bytes, smallest weights; 3: mixed signs;
 * 4: small weights and codes, as low bits have. */
static void fill_numbers(Data *d, const NbConvBlock *b, NbRandom *r, int kind) {
    for (size_t i = 0; i < SRC; i++) {
        const uint8_t any = (uint8_t)nb_random_u32(r);
        d->src[i] = kind == 4 ? any & 15 : kind ? 255 : any;
    }
    for (int step = 0; step < b->segments * b->steps; step++)
        for (int lane = 0; lane < b->lanes; lane++)
            for (int k = 0; k < 4; k++) {
                const int w = kind == 0   ? (int)pick(r, 256) - 128
                              : kind == 1 ? 127
                              : kind == 2 ? -128
                              : kind == 3 ? (step % 2 ? 127 : -128)
                                          : (int)pick(r, 15) - 7;
                const int byte = 4 * step + k;
                d->weight_k4[nb_weight_at(NB_WEIGHT_K4, b->lanes, byte, lane)] = (int8_t)w;
                d->weight_k48[nb_weight_at(NB_WEIGHT_K48, b->lanes, byte, lane)] = (int8_t)w;
                d->weight_c[nb_weight_at(NB_WEIGHT_C, b->lanes, byte, lane)] = (int16_t)w;
            }
}

static void fill_constants(Data *d, NbConvBlock *b, NbRandom *r) {
    b->levels = 1 + pick(r, pick(r, 2) ? MOST_LEVELS : 16);
    b->emit = (NbEmit)pick(r, NB_EMIT_FLOAT + 1);
    for (int lane = 0; lane < NB_LANES; lane++) {
        d->start[lane] = pick(r, 200001) - 100000;
        d->mul[lane] = b->emit == NB_EMIT_MUL32 ? pick(r, 20) : pick(r, 1 << 30);
        d->shift[lane] = b->emit == NB_EMIT_MUL32 ? 8 + pick(r, 16) : 30 + pick(r, 15);
        d->add[lane] = (int64_t)pick(r, 1 << 20) << (d->shift[lane] > 31 ? 20 : 2);
        d->add[lane] -= d->add[lane] / 2 * (lane % 3);
        d->scale[lane] = (float)nb_random_normal(r);
        d->offset[lane] = (float)nb_random_normal(r);
        int32_t t = -pick(r, 2000000);
        for (int k = 0; k < nb_threshold_rows(b->levels); k++) {
            t += pick(r, 4000000 / b->levels);
            d->threshold[k * b->lanes + lane % b->lanes] = k == 0 && lane % 4 == 0     ? INT32_MIN
                                                           : k > 200 || k >= b->levels ? INT32_MAX
                                                                                       : t;
        }
    }
    b->falls = pick(r, 3) ? 0 : pick(r, 20);
    for (int i = 0; i < b->falls * b->lanes; i++)
        d->fall[i] = pick(r, 5) ? pick(r, 2000000) - 1000000 : INT32_MIN;
    b->fall = d->fall;
    for (int i = 0; i < NB_BUCKETS * b->lanes; i++)
        d->base[i] = (uint8_t)pick(r, b->levels + 1);
    b->base = d->base;
    b->start = d->start;
    b->mul = d->mul;
    b->add = d->add;
    b->shift = d->shift;
    b->threshold = d->threshold;
    b->scale = d->scale;
    b->offset = pick(r, 2) ? d->offset : NULL;
}

static NbConvBlock make(Data *d, NbRandom *r, int width, int kind) {
    NbConvBlock b = {.lanes = pick(r, 2) ? NB_LANES : NB_LANES / 2,
                     .segments = 1 + pick(r, MOST_SEGMENTS),
                     .steps = 1 + pick(r, pick(r, 3) ? 8 : MOST_STEPS),
                     .width = width,
                     .pool = pick(r, 2),
                     .src = d->src + pick(r, 16),
                     .src_col = 1 + pick(r, 24),
                     .segment = d->segment};
    if (b.lanes < NB_LANES)
        b.steps += b.steps % 2;
    b.src_row = pick(r, 4000);
    b.live = pick(r, 2) ? b.lanes : 1 + pick(r, b.lanes);
    for (int s = 0; s < b.segments; s++)
        d->segment[s] = pick(r, 9000);
    fill_numbers(d, &b, r, kind);
    fill_constants(d, &b, r);
    const int size = b.emit == NB_EMIT_FLOAT ? (int)sizeof(float) : 1;
    b.dst_col = (ptrdiff_t)size * (b.live + pick(r, 3));
    b.dst_row = b.dst_col * width + size * pick(r, 5);
    b.run = nb_pack_run(d->weight_k4, b.segments * b.steps, b.lanes, kind == 4 ? 15 : 255);
    return b;
}

static void compare(const NbKernels *k, Data *d, NbConvBlock *b, int kind) {
    memset(d->want, 0xA5, sizeof d->want);
    memset(d->got, 0xA5, sizeof d->got);
    b->weight = d->weight_c;
    b->dst = d->want + GUARD;
    nb_kernels_c.conv_rows(b, 1, ROWS);
    b->weight = k->format == NB_WEIGHT_K48 ? d->weight_k48 : d->weight_k4;
    b->dst = d->got + GUARD;
    k->conv_rows(b, 1, ROWS);
    for (size_t i = 0; i < sizeof d->want; i++)
        if (d->want[i] != d->got[i])
            fail_msg("%s, data %d, width %d, lanes %d, live %d, pool %d, emit %d, levels %d, "
                     "segments %d, steps %d, run %d: byte %zu is %d, C gives %d",
                     nb_isa_name(k->isa), kind, b->width, b->lanes, b->live, b->pool, (int)b->emit,
                     b->levels, b->segments, b->steps, b->run, i - GUARD, d->got[i], d->want[i]);
}

static void check_isa(NbIsa isa) {
    const NbKernels *k = nb_kernels_for(isa);
    if (isa > nb_isa_detect()) {
        print_message("%s: this machine lacks it\n", nb_isa_name(isa));
        skip();
    }
    Data *d = malloc(sizeof *d);
    assert_non_null(d);
    NbRandom r = nb_random(11, NB_RANDOM_TEST, (uint32_t)isa, 0);
    for (int width = 1; width <= MOST_WIDTH; width++)
        for (int kind = 0; kind < 5; kind++)
            for (int round = 0; round < 6; round++) {
                NbConvBlock b = make(d, &r, width, kind);
                compare(k, d, &b, kind);
            }
    free(d);
}

static void avx2_equals_c(void **state) {
    (void)state;
    check_isa(NB_ISA_AVX2);
}

static void avx512vnni_equals_c(void **state) {
    (void)state;
    check_isa(NB_ISA_AVX512VNNI);
}

/* The longest run is one for which the worst bytes do not overflow 16 bits, and twice as long would
 * be too long. */
static void runs_are_proved(void **state) {
    (void)state;
    static const struct {
        int weight[4]; /* of every step and lane */
        int most;
        int steps;
        int run;
    } rows[] = {
        {{7, 7, 7, 7}, 15, 1000, 128},     /* 32767 / 210 = 156 */
        {{-8, -8, -8, -8}, 15, 1000, 128}, /* 32768 / 240 = 136 */
        {{127, 127, 0, 0}, 255, 9, 0},     {{127, 1, 127, 1}, 255, 9, 1},
        {{127, 2, 0, 0}, 255, 9, 0},       {{-127, -1, 0, 0}, 255, 9, 1}, /* -32640 */
        {{-128, 0, 0, 127}, 255, 9, 1},    {{127, -127, 0, 0}, 255, 9, 1},
        {{1, -1, 0, 0}, 255, 90, 90}, /* all of them */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int8_t *weight = malloc((size_t)(rows[i].steps * 8 * 4));
        assert_non_null(weight);
        for (int k = 0; k < rows[i].steps * 8 * 4; k++)
            weight[k] = (int8_t)rows[i].weight[k % 4];
        assert_int_equal(nb_pack_run(weight, rows[i].steps, 8, rows[i].most), rows[i].run);
        free(weight);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(avx2_equals_c),
        cmocka_unit_test(avx512vnni_equals_c),
        cmocka_unit_test(runs_are_proved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
