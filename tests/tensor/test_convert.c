/* SPDX-License-Identifier: Apache-2.0 */
#include "tensor/tensor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

static float float_of(uint32_t bits) {
    float out;
    memcpy(&out, &bits, sizeof out);
    return out;
}

/* What a half means, from its three fields. */
static double half_value(unsigned half) {
    const int exponent = half >> 10 & 0x1f;
    const double mantissa = half & 0x3ff;
    const double sign = half & 0x8000 ? -1 : 1;
    if (exponent == 31)
        return mantissa != 0 ? (double)NAN : sign * HUGE_VAL;
    if (exponent == 0)
        return sign * ldexp(mantissa, -24);
    return sign * ldexp(1024 + mantissa, exponent - 25);
}

static void every_half_is_its_value_and_comes_back(void **state) {
    (void)state;
    for (unsigned half = 0; half < 65536; half++) {
        const float got = nb_f16_to_f32((uint16_t)half);
        const double want = half_value(half);
        if (isnan(want)) {
            assert_true(isnan(got));
            const unsigned back = nb_f32_to_f16(got);
            assert_true((back & 0x7c00) == 0x7c00 && (back & 0x3ff) != 0);
            continue;
        }
        assert_true((double)got == want);
        assert_int_equal(signbit(got) != 0, half >> 15);
        assert_int_equal(nb_f32_to_f16(got), half);
    }
}

/* Between two neighbours: the middle goes to the even one, a hair beside it to the nearer one. */
static void halves_round_to_even(void **state) {
    (void)state;
    for (unsigned half = 0; half < 0x7c00; half++) {
        const float low = nb_f16_to_f32((uint16_t)half);
        const double high = half == 0x7bff ? 65536.0 : half_value(half + 1);
        const float middle = (float)(((double)low + high) / 2);
        const unsigned even = half & 1 ? half + 1 : half;
        assert_int_equal(nb_f32_to_f16(middle), even);
        assert_int_equal(nb_f32_to_f16(-middle), even | 0x8000);
        assert_int_equal(nb_f32_to_f16(nextafterf(middle, 0)), half);
        assert_int_equal(nb_f32_to_f16(nextafterf(middle, INFINITY)), half + 1);
    }
    assert_int_equal(nb_f32_to_f16(INFINITY), 0x7c00);
    assert_int_equal(nb_f32_to_f16(3e38F), 0x7c00);
    assert_int_equal(nb_f32_to_f16(float_of(1)), 0);
    assert_int_equal(nb_f32_to_f16(-float_of(1)), 0x8000);
}

/* One value through every pair: each type's own idea of it. */
static void values_convert_between_all_types(void **state) {
    (void)state;
    static const struct {
        double value;
        double want[NB_DTYPE_COUNT]; /* in the order of the list of types */
    } rows[] = {
        /* value       F32   F64   F16   BF16  I8   U8 I16  U16 I32  U32 I64  U64 BOOL */
        {0, {0}},
        {1, {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}},
        {100, {100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 1}},
        {-3, {-3, -3, -3, -3, -3, 0, -3, 0, -3, 0, -3, 0, 1}},
        {0.5, {0.5, 0.5, 0.5, 0.5, 0, 0, 0, 0, 0, 0, 0, 0, 1}},
        {1.5, {1.5, 1.5, 1.5, 1.5, 2, 2, 2, 2, 2, 2, 2, 2, 1}},
        {2.5, {2.5, 2.5, 2.5, 2.5, 2, 2, 2, 2, 2, 2, 2, 2, 1}},
        {-2.5, {-2.5, -2.5, -2.5, -2.5, -2, 0, -2, 0, -2, 0, -2, 0, 1}},
        {300, {300, 300, 300, 300, 127, 255, 300, 300, 300, 300, 300, 300, 1}},
        {-40000, {-40000, -40000, -40000, -39936, -128, 0, -32768, 0, -40000, 0, -40000, 0, 1}},
        {1e30,
         {(double)1e30F, 1e30, HUGE_VAL, 0x1.94p99, 127, 255, 32767, 65535, 2147483647.0,
          4294967295.0, 9223372036854775807.0, 18446744073709551615.0, 1}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (int type = 0; type < NB_DTYPE_COUNT; type++) {
            unsigned char there[8];
            double back = -1;
            nb_convert(&rows[i].value, NB_F64, there, (NbDtype)type, 1);
            nb_convert(there, (NbDtype)type, &back, NB_F64, 1);
            const double want = rows[i].want[type];
            if (!(back == want || fabs(back - want) <= 1e-7 * fabs(want)))
                fail_msg("%g as %s: %.17g, expected %.17g", rows[i].value,
                         nb_dtype_name((NbDtype)type), back, want);
        }
    }
}

static void nan_becomes_zero_in_integers(void **state) {
    (void)state;
    const float nan = NAN;
    for (int type = 0; type < NB_DTYPE_COUNT; type++) {
        unsigned char there[8] = {1, 1, 1, 1, 1, 1, 1, 1};
        double back = -1;
        nb_convert(&nan, NB_F32, there, (NbDtype)type, 1);
        nb_convert(there, (NbDtype)type, &back, NB_F64, 1);
        if (type == NB_F32 || type == NB_F64 || type == NB_F16 || type == NB_BF16)
            assert_true(isnan(back));
        else
            assert_true(back == (type == NB_BOOL ? 1 : 0));
    }
}

static void wide_integers_stay_exact(void **state) {
    (void)state;
    static const int64_t in[] = {INT64_MIN, -1, 0, INT64_MAX, ((int64_t)1 << 53) + 1};
    static const uint64_t want[] = {0, 0, 0, INT64_MAX, ((uint64_t)1 << 53) + 1};
    uint64_t out[5];
    nb_convert(in, NB_I64, out, NB_U64, 5);
    assert_memory_equal(out, want, sizeof out);
    static const uint64_t in2[] = {0, UINT64_MAX, INT64_MAX, ((uint64_t)1 << 63)};
    static const int64_t want2[] = {0, INT64_MAX, INT64_MAX, INT64_MAX};
    int64_t out2[4];
    nb_convert(in2, NB_U64, out2, NB_I64, 4);
    assert_memory_equal(out2, want2, sizeof out2);
    nb_convert(NULL, NB_F32, NULL, NB_I8, 0);
}

static void bfloat_rounds_to_even(void **state) {
    (void)state;
    static const struct {
        uint32_t in;
        uint16_t want;
    } rows[] = {
        {0x3f800000, 0x3f80}, {0x3f808000, 0x3f80}, {0x3f818000, 0x3f82}, {0x3f808001, 0x3f81},
        {0x7f7fffff, 0x7f80}, {0x7f800000, 0x7f80}, {0x7f800001, 0x7fc0}, {0x80000001, 0x8000},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const float in = float_of(rows[i].in);
        uint16_t got = 0;
        nb_convert(&in, NB_F32, &got, NB_BF16, 1);
        assert_int_equal(got, rows[i].want);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_half_is_its_value_and_comes_back),
        cmocka_unit_test(halves_round_to_even),
        cmocka_unit_test(values_convert_between_all_types),
        cmocka_unit_test(nan_becomes_zero_in_integers),
        cmocka_unit_test(wide_integers_stay_exact),
        cmocka_unit_test(bfloat_rounds_to_even),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
