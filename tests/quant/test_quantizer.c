/* SPDX-License-Identifier: Apache-2.0
 *
 * What must hold for any quantizer, and tables worked by hand. */
#include "base/random.h"
#include "quant/quantizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <string.h>

static void ranges(void **state) {
    (void)state;
    static const struct {
        NbGrid grid;
        int64_t lo, hi;
    } rows[] = {
        {{1, true, false}, -1, 0},
        {{1, true, true}, 0, 0},
        {{1, false, false}, 0, 1},
        {{2, true, false}, -2, 1},
        {{2, true, true}, -1, 1},
        {{2, false, false}, 0, 3},
        {{2, false, true}, 0, 2},
        {{8, true, false}, -128, 127},
        {{8, true, true}, -127, 127},
        {{8, false, false}, 0, 255},
        {{8, false, true}, 0, 254},
        {{16, true, true}, -32767, 32767},
        {{32, true, false}, INT32_MIN, INT32_MAX},
        {{32, false, false}, 0, UINT32_MAX},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(nb_grid_lo(rows[i].grid), rows[i].lo);
        assert_int_equal(nb_grid_hi(rows[i].grid), rows[i].hi);
    }
}

static void rounding_by_hand(void **state) {
    (void)state;
    static const struct {
        float v, half_even, floor, ceil, to_zero, dpu;
    } rows[] = {
        {0.0F, 0, 0, 0, 0, 0},
        {0.25F, 0, 0, 1, 0, 0},
        {0.5F, 0, 0, 1, 0, 0},
        {0.75F, 1, 0, 1, 0, 1},
        {1.5F, 2, 1, 2, 1, 2},
        {2.5F, 2, 2, 3, 2, 2},
        {3.5F, 4, 3, 4, 3, 4},
        {-0.25F, 0, -1, 0, 0, 0},
        {-0.5F, 0, -1, 0, 0, 0},
        {-0.75F, -1, -1, 0, 0, -1},
        {-1.5F, -2, -2, -1, -1, -1},
        {-2.5F, -2, -3, -2, -2, -2},
        {-3.5F, -4, -4, -3, -3, -3},
        {0.49999997F, 0, 0, 1, 0, 0},
        {-2.5000002F, -3, -3, -2, -2, -3},
        {8388607.5F, 8388608, 8388607, 8388608, 8388607, 8388608},
        {-8388607.5F, -8388608, -8388608, -8388607, -8388607, -8388607},
        {1e20F, 1e20F, 1e20F, 1e20F, 1e20F, 1e20F},
        {INFINITY, INFINITY, INFINITY, INFINITY, INFINITY, INFINITY},
        {1e-40F, 0, 0, 1, 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const float got[5] = {
            nb_round(NB_ROUND_HALF_EVEN, rows[i].v), nb_round(NB_ROUND_FLOOR, rows[i].v),
            nb_round(NB_ROUND_CEIL, rows[i].v), nb_round(NB_ROUND_TO_ZERO, rows[i].v),
            nb_round(NB_ROUND_DPU, rows[i].v)};
        const float want[5] = {rows[i].half_even, rows[i].floor, rows[i].ceil, rows[i].to_zero,
                               rows[i].dpu};
        for (int k = 0; k < 5; k++)
            if (got[k] != want[k])
                fail_msg("%.9g by %s: %.9g, expected %.9g", (double)rows[i].v,
                         nb_round_name((NbRound)k), (double)got[k], (double)want[k]);
    }
    for (int k = 0; k < 5; k++) {
        assert_true(isnan(nb_round((NbRound)k, NAN)));
        assert_true(signbit(nb_round((NbRound)k, -0.0F)));
    }
    assert_true(nb_round_stochastic(2.25F, 0.2) == 3.0F &&
                nb_round_stochastic(2.25F, 0.25) == 2.0F);
    assert_true(nb_round_stochastic(-2.25F, 0.74) == -2.0F &&
                nb_round_stochastic(-2.0F, 0.0) == -2.0F);
}

static void rounding_has_names(void **state) {
    (void)state;
    for (int k = 0; k < 5; k++) {
        NbRound mode = NB_ROUND_FLOOR;
        assert_true(nb_round_parse(nb_round_name((NbRound)k), &mode));
        assert_int_equal(mode, k);
    }
    NbRound mode = NB_ROUND_CEIL;
    assert_false(nb_round_parse("nearest", &mode));
    assert_int_equal(mode, NB_ROUND_CEIL);
    assert_true(nb_round_parse("ROUND_TO_ZERO", &mode) && mode == NB_ROUND_TO_ZERO);
}

/* The vectorised form against the definition, ties and every kind of float included. */
static void fast_codes_equal_the_definition(void **state) {
    (void)state;
    NbRandom random = nb_random(1, NB_RANDOM_TEST, 0, 0);
    enum { N = 4099 };
    static float x[N];
    static float q[N];
    for (int round = 0; round < 400; round++) {
        const NbQuantSpec spec = {.grid = {.bits = 1 + (int)nb_random_below(&random, 24),
                                           .is_signed = nb_random_below(&random, 2) != 0,
                                           .narrow = nb_random_below(&random, 2) != 0},
                                  .round = (NbRound)nb_random_below(&random, 5)};
        const float scale = ldexpf((float)nb_random_range(&random, 0.5, 1.0), round % 40 - 20);
        const float zero = round % 3 ? 0.0F : (float)nb_random_below(&random, 9);
        for (size_t i = 0; i < N; i++) {
            const uint32_t bits = nb_random_u32(&random);
            if (i % 3 == 0)
                memcpy(x + i, &bits, sizeof bits);
            else
                x[i] = scale * 0.5F * (float)((int)(bits % 4096) - 2048);
        }
        nb_quant_codes(&spec, x, 1, N, &scale, &zero, q);
        const float lo = (float)nb_grid_lo(spec.grid);
        const float hi = (float)nb_grid_hi(spec.grid);
        for (size_t i = 0; i < N; i++) {
            const float u = x[i] / scale;
            const float r = nb_round(spec.round, u + zero);
            const float c = r > hi ? hi : r;
            const float want = c < lo ? lo : c;
            if (!(q[i] == want || (isnan(q[i]) && isnan(want))))
                fail_msg("x %.9g scale %.9g: %.9g, expected %.9g", (double)x[i], (double)scale,
                         (double)q[i], (double)want);
        }
        nb_quant_codes(&spec, x, 1, N, &scale, &zero, x); /* in place */
        for (size_t i = 0; i < N; i++)
            assert_true(x[i] == q[i] || isnan(q[i]));
    }
}

/* Codes of values are the codes again, for every code. */
static void quantizing_twice_is_quantizing_once(void **state) {
    (void)state;
    NbRandom random = nb_random(2, NB_RANDOM_TEST, 0, 0);
    for (int round = 0; round < 200; round++) {
        const NbQuantSpec spec = {
            .grid = {.bits = 1 + round % 8, .is_signed = round % 3 != 0, .narrow = round % 2 != 0}};
        const float scale = (float)exp(nb_random_range(&random, -20.0, 10.0));
        for (int64_t code = nb_grid_lo(spec.grid); code <= nb_grid_hi(spec.grid); code++) {
            const float q = (float)code;
            float y;
            nb_quant_values(&q, 1, 1, &scale, NULL, &y);
            nb_quant_codes(&spec, &y, 1, 1, &scale, NULL, &y);
            assert_true(y == q);
        }
    }
}

static void extreme_inputs(void **state) {
    (void)state;
    const float x[] = {INFINITY, -INFINITY, NAN, 1e-40F, -1e-40F, -0.0F, FLT_MAX, -FLT_MAX};
    float q[8];
    const float scale = 0.5F;
    NbQuantSpec spec = {.grid = {.bits = 4, .is_signed = true}};
    nb_quant_codes(&spec, x, 1, 8, &scale, NULL, q);
    assert_true(q[0] == 7 && q[1] == -8 && isnan(q[2]) && q[3] == 0 && q[4] == 0 && q[5] == 0);
    assert_true(q[6] == 7 && q[7] == -8);
    spec.kind = NB_QUANT_BINARY;
    nb_quant_codes(&spec, x, 1, 8, &scale, NULL, q);
    assert_true(q[0] == 1 && q[1] == -1 && isnan(q[2]) && q[3] == 1 && q[4] == -1 && q[5] == 1);
    spec.kind = NB_QUANT_TERNARY;
    spec.cut = 0.5F;
    nb_quant_codes(&spec, x, 1, 8, &scale, NULL, q);
    assert_true(q[0] == 1 && q[1] == -1 && isnan(q[2]) && q[3] == 0 && q[5] == 0);
    const float edge[] = {0.25F, -0.25F, 0.25000003F};
    nb_quant_codes(&spec, edge, 1, 3, &scale, NULL, q);
    assert_true(q[0] == 0 && q[1] == 0 && q[2] == 1); /* |x| > cut * scale is strict */
}

static void scales_are_never_zero(void **state) {
    (void)state;
    const float zeros[8] = {0};
    const float values[4] = {0.0F, -3.0F, -200.0F, 1e-45F};
    static const NbRestrict domains[] = {NB_RESTRICT_FP, NB_RESTRICT_LOG_FP, NB_RESTRICT_POT};
    for (size_t d = 0; d < 3; d++) {
        NbQuantSpec spec = {.grid = {.bits = 4, .is_signed = true, .narrow = true},
                            .scale_from = NB_SCALE_STATS,
                            .restrict_to = domains[d],
                            .ste_clamp = true};
        float scale[4];
        float dx[8];
        const float g[8] = {1, 2, 3, 4, 5, 6, 7, 8};
        nb_quant_scale(&spec, zeros, 2, 4, NULL, scale);
        assert_true(scale[0] >= FLT_MIN && scale[1] >= FLT_MIN);
        spec.scale_min = 1e-10F;
        nb_quant_scale(&spec, zeros, 2, 4, NULL, scale);
        assert_true(scale[0] > 0.9e-11F && scale[0] < 3e-11F);
        nb_quant_backward(&spec, zeros, 2, 4, NULL, g, dx, NULL);
        for (int i = 0; i < 8; i++)
            assert_true(fabsf(dx[i] - g[i]) < 1e-6F);
        spec.scale_min = 0.0F;
        spec.scale_from = NB_SCALE_PARAMETER;
        nb_quant_scale(&spec, NULL, 4, 1, values, scale);
        for (int i = 0; i < 4; i++)
            assert_true(scale[i] >= FLT_MIN && isfinite(scale[i]));
    }
}

/* Scale 0.3 to the bit and zero point 2 of 0 .. 7: real numbers from -0.6 to 1.5. */
static void shifted_by_hand(void **state) {
    (void)state;
    const NbQuantSpec spec = {.grid = {.bits = 3},
                              .scale_from = NB_SCALE_PARAMETER,
                              .restrict_to = NB_RESTRICT_STEP,
                              .zero = 2.0F};
    const float x[] = {-5.0F, -0.61F, -0.29F, 0.0F, 0.16F, 0.45F, 1.4F, 9.0F};
    const float want[] = {0, 0, 1, 2, 3, 4, 7, 7}; /* 0.45 / 0.3 + 2 = 3.5: half to even */
    const float value = 0.3F;
    float scale = 0.0F;
    float q[8];
    nb_quant_scale(&spec, NULL, 1, 8, &value, &scale);
    assert_true(scale == value);
    nb_quant_codes(&spec, x, 1, 8, &scale, NULL, q);
    assert_memory_equal(q, want, sizeof q);
}

static void integer_thresholds(void **state) {
    (void)state;
    static const struct {
        NbQuantSpec spec;
        float want;
    } rows[] = {
        {{.grid = {8, true, true}}, 127},
        {{.grid = {8, true, false}}, 128},
        {{.grid = {8, false, false}}, 255},
        {{.grid = {8, false, true}}, 254},
        {{.grid = {8, true, true}, .restrict_to = NB_RESTRICT_POT}, 128},
        {{.grid = {8, false, false}, .restrict_to = NB_RESTRICT_POT}, 256},
        {{.grid = {8, false, false}, .restrict_to = NB_RESTRICT_LOG_FP}, 255},
        {{.grid = {8, false, false}, .restrict_to = NB_RESTRICT_LOG_FP, .log_int_threshold = true},
         254.99997F},
        {{.grid = {5, false, false}, .restrict_to = NB_RESTRICT_LOG_FP, .log_int_threshold = true},
         31.000004F},
        {{.grid = {8, true, true}, .restrict_to = NB_RESTRICT_STEP}, 1},
        {{.kind = NB_QUANT_BINARY, .grid = {1, true, true}}, 1},
        {{.grid = {1, true, true}}, 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_true(nb_quant_int_threshold(&rows[i].spec) == rows[i].want);
}

/* The numbers that LPYOLO's quantizers gave: clip 6 in the log domain, HardTanh, 4-bit weights. */
static void golden_numbers(void **state) {
    (void)state;
    static const struct {
        int bits;
        float x, y;
    } relu[] = {{2, 1.0F, 0.0F},       {2, 3.0F, 2.0F},      {2, 5.9F, 6.0F},
                {2, 9.0F, 6.0F},       {3, 1.0F, 0.857143F}, {3, 3.0F, 2.571429F},
                {3, 5.9F, 6.0F},       {4, -1.0F, 0.0F},     {4, 0.2F, 0.0F},
                {4, 0.21F, 0.4F},      {4, 0.3F, 0.4F},      {4, 1.0F, 0.8F},
                {4, 3.0F, 2.8F},       {4, 9.0F, 6.0F},      {8, 0.1F, 0.0941176F},
                {8, 0.3F, 0.3058824F}, {8, 1.0F, 0.9882354F}};
    for (size_t i = 0; i < sizeof relu / sizeof *relu; i++) {
        const NbQuantSpec spec = {.grid = {.bits = relu[i].bits},
                                  .scale_from = NB_SCALE_PARAMETER,
                                  .restrict_to = NB_RESTRICT_LOG_FP,
                                  .init = 6.0F};
        const float value = nb_quant_value_of(&spec, spec.init);
        float scale;
        float y;
        nb_quant_scale(&spec, NULL, 1, 1, &value, &scale);
        nb_quant_codes(&spec, &relu[i].x, 1, 1, &scale, NULL, &y);
        nb_quant_values(&y, 1, 1, &scale, NULL, &y);
        assert_true(fabsf(y - relu[i].y) < 2e-6F);
    }
    const NbQuantSpec relu4 = {
        .grid = {.bits = 4}, .scale_from = NB_SCALE_PARAMETER, .restrict_to = NB_RESTRICT_LOG_FP};
    const float x[] = {-1.0F, 0.0F, 0.15F, 0.25F, 2.9F, 5.9F, 6.3F};
    const float want[] = {0, 0, 1, 1, 1, 1, 0};
    const float g[] = {1, 1, 1, 1, 1, 1, 1};
    const float value = nb_quant_value_of(&relu4, 6.0F);
    float dx[7];
    float d_value = 0.0F;
    nb_quant_backward(&relu4, x, 1, 7, &value, g, dx, &d_value);
    for (int i = 2; i < 7; i++) /* the ReLU in front masks the first two */
        assert_true(dx[i] == want[i]);
    assert_true(fabsf(d_value - 4.1588836F) < 1e-5F);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges),
        cmocka_unit_test(rounding_by_hand),
        cmocka_unit_test(rounding_has_names),
        cmocka_unit_test(fast_codes_equal_the_definition),
        cmocka_unit_test(quantizing_twice_is_quantizing_once),
        cmocka_unit_test(extreme_inputs),
        cmocka_unit_test(scales_are_never_zero),
        cmocka_unit_test(shifted_by_hand),
        cmocka_unit_test(integer_thresholds),
        cmocka_unit_test(golden_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
