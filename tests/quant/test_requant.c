/* SPDX-License-Identifier: Apache-2.0 */
#include "base/random.h"
#include "quant/bound.h"
#include "quant/requant.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <math.h>

static int32_t counted(const int32_t *t, int levels, int32_t sum) {
    int32_t n = 0;
    for (int j = 0; j < levels; j++)
        n += t[j] != INT32_MAX && sum >= t[j];
    return n;
}

static bool same_at(const NbRequant *r, const int32_t *t, int levels, int32_t sum) {
    return nb_requant_count(r, levels, sum) == counted(t, levels, sum);
}

/* Every sum of a short range; otherwise the ends, both sides of each threshold and random ones. */
static void expect_equal(const NbRequant *r, const int32_t *t, int levels, int64_t min, int64_t max,
                         NbRandom *random) {
    if (max - min < 4096) {
        for (int64_t sum = min; sum <= max; sum++)
            assert_true(same_at(r, t, levels, (int32_t)sum));
        return;
    }
    assert_true(same_at(r, t, levels, (int32_t)min) && same_at(r, t, levels, (int32_t)max));
    for (int j = 0; j < levels; j++)
        for (int64_t sum = (int64_t)t[j] - 1; sum <= t[j]; sum++)
            if (sum >= min && sum <= max)
                assert_true(same_at(r, t, levels, (int32_t)sum));
    for (int i = 0; i < 64; i++) {
        const double share = nb_random_unit(random);
        const int64_t sum = min + (int64_t)(share * (double)(max - min));
        assert_true(same_at(r, t, levels, (int32_t)sum));
    }
}

static void expect_word(const NbRequant *r, int64_t min, int64_t max, int bits) {
    assert_true(r->mul >= 0 && r->shift >= 0 && r->shift <= (bits == 32 ? 30 : 50));
    if (bits == 32) {
        assert_true(r->add >= INT32_MIN && r->add <= INT32_MAX);
        assert_true(min * r->mul + r->add >= INT32_MIN && max * r->mul + r->add <= INT32_MAX);
    }
}

static int32_t saturated(double v) {
    return v >= 2147483647.0 ? INT32_MAX : v <= -2147483648.0 ? INT32_MIN : (int32_t)v;
}

/* Thresholds of a uniform quantizer on one channel: its scale and its offset are random. */
static void channel(NbRandom *random, int levels, double reach, int32_t *t) {
    const double step = reach * nb_random_range(random, 0.2, 2.0) / levels;
    const double offset = reach * nb_random_range(random, -1.0, 1.0);
    for (int j = 0; j < levels; j++)
        t[j] = saturated(ceil(offset + (j + 0.5 - levels / 2.0) * step));
}

/* How many of `channels` random channels have constants of that width; each one found is checked.
 */
static int solved_channels(NbRandom *random, int levels, int64_t bound, int bits, int channels) {
    int solved = 0;
    for (int c = 0; c < channels; c++) {
        int32_t t[NB_REQUANT_LEVELS];
        NbRequant r;
        channel(random, levels, (double)bound / nb_random_range(random, 1.0, 40.0), t);
        if (!nb_requant_solve(t, levels, -bound, bound, bits, &r))
            continue;
        solved++;
        expect_word(&r, -bound, bound, bits);
        expect_equal(&r, t, levels, -bound, bound, random);
    }
    return solved;
}

static void uniform_channels_are_solved(void **state) {
    (void)state;
    static const struct {
        int levels;
        int64_t bound; /* of |sum| */
        int least32;   /* of 200 channels that must have constants in 32 bits */
        int least64;
    } rows[] = {
        {1, 936 * 8 * 15, 200, 200},
        {3, 936 * 3 * 2, 200, 200},
        {7, 936 * 8 * 15, 170, 200},
        {15, 72 * 8 * 15, 190, 200},
        {15, 936 * 8 * 15, 150, 200},
        {31, 576 * 16 * 31, 30, 200},
        {63, 576 * 32 * 63, 0, 200},
        {127, 576 * 64 * 127, 0, 200},
        {255, 27 * 128 * 255, 0, 200},
        {255, 2304 * 128 * 255, 0, 195}, /* steps of 10^5 sums and more: mul gets too short */
        {254, 936 * 128 * 255, 0, 200},
    };
    NbRandom random = nb_random(7, NB_RANDOM_TEST, 0, 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const int narrow = solved_channels(&random, rows[i].levels, rows[i].bound, 32, 200);
        const int wide = solved_channels(&random, rows[i].levels, rows[i].bound, 64, 200);
        if (narrow < rows[i].least32 || wide < rows[i].least64)
            fail_msg("row %zu: of 200 channels %d solved in 32 bits, %d in 64", i, narrow, wide);
    }
}

/* Small enough to try every mul and shift: the answer "there is none" must be right too. */
static bool exists(const int32_t *t, int levels, int64_t min, int64_t max, int most_shift) {
    for (int shift = 0; shift <= most_shift; shift++) {
        for (int64_t mul = 0; mul <= (int64_t)(levels + 1) << shift; mul++) {
            int64_t low = -((int64_t)1 << 40);
            int64_t high = (int64_t)1 << 40;
            for (int64_t sum = min; sum <= max; sum++) {
                const int64_t n = counted(t, levels, (int32_t)sum);
                const int64_t least = (n << shift) - sum * mul;
                const int64_t most = ((n + 1) << shift) - 1 - sum * mul;
                low = n > 0 && least > low ? least : low;
                high = n < levels && most < high ? most : high;
            }
            if (low <= high)
                return true;
        }
    }
    return false;
}

static int ascending(const void *a, const void *b) {
    const int32_t x = *(const int32_t *)a;
    const int32_t y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

static void arbitrary_steps_are_solved_or_refused_rightly(void **state) {
    (void)state;
    NbRandom random = nb_random(8, NB_RANDOM_TEST, 0, 0);
    int solved = 0;
    int refused = 0;
    for (int i = 0; i < 400; i++) {
        int32_t t[7];
        const int levels = 1 + (int)nb_random_below(&random, 7);
        for (int j = 0; j < levels; j++) /* some outside of [-10, 10], some equal */
            t[j] = (int32_t)nb_random_below(&random, 29) - 14;
        qsort(t, (size_t)levels, sizeof *t, ascending);
        NbRequant r;
        const bool found = nb_requant_solve(t, levels, -10, 10, 32, &r);
        solved += found;
        refused += !found;
        if (found) {
            expect_word(&r, -10, 10, 32);
            expect_equal(&r, t, levels, -10, 10, &random);
        } else if (exists(t, levels, -10, 10, 6)) {
            fail_msg("channel %d has a solution that was not found", i);
        }
    }
    assert_true(solved > 50 && refused > 20);
}

static void extreme_channels(void **state) {
    (void)state;
    static const struct {
        int32_t t[4];
        int levels;
        int64_t min, max;
        bool solvable;
    } rows[] = {
        {{0}, 0, -5, 5, true},                                      /* one code */
        {{0}, 1, INT32_MIN, INT32_MAX, true},                       /* a sign */
        {{INT32_MIN, INT32_MIN, INT32_MIN}, 3, -9, 9, true},        /* always the last code */
        {{INT32_MAX, INT32_MAX, INT32_MAX}, 3, -9, 9, true},        /* always the first */
        {{INT32_MIN, 3, INT32_MAX}, 3, -9, 9, true},                /* two codes in the middle */
        {{INT32_MIN, 3, INT32_MAX}, 3, INT32_MIN, INT32_MAX, true}, /* INT32_MAX is not reached */
        {{5, 5, 5, 5}, 4, -100, 100, true},                         /* all at once */
        {{-1, 0, 1, 2}, 4, -100, 100, true},                        /* every sum its own code */
        {{0, 0, 100, 100}, 4, -1000, 1000, false},                  /* a staircase of twos */
        {{10, 11, 12}, 3, 11, 11, true},                            /* one sum */
        {{INT32_MAX - 1}, 1, INT32_MAX - 4, INT32_MAX, true},
        {{INT32_MIN + 1}, 1, INT32_MIN, INT32_MIN + 4, true},
        {{-2000000000, -1000000000, 1000000000, 2000000000}, 4, INT32_MIN, INT32_MAX, false},
        {{-2000000000, 0, 2000000000}, 3, INT32_MIN, INT32_MAX, false}, /* the word is too short */
        {{-(1 << 30), 0, 1 << 30}, 3, INT32_MIN, INT32_MAX, true},
    };
    NbRandom random = nb_random(9, NB_RANDOM_TEST, 0, 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        NbRequant r;
        const bool found =
            nb_requant_solve(rows[i].t, rows[i].levels, rows[i].min, rows[i].max, 64, &r);
        if (found != rows[i].solvable)
            fail_msg("row %zu: %s", i, found ? "solved" : "not solved");
        if (found) {
            expect_word(&r, rows[i].min, rows[i].max, 64);
            expect_equal(&r, rows[i].t, rows[i].levels, rows[i].min, rows[i].max, &random);
        }
    }
}

static void shifts_round_down(void **state) {
    (void)state;
    static const struct {
        int64_t value;
        int shift;
        int64_t want;
    } rows[] = {{0, 3, 0},   {7, 3, 0},   {8, 3, 1},           {-1, 3, -1},
                {-8, 3, -1}, {-9, 3, -2}, {INT64_MIN, 62, -2}, {-5, 0, -5}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(nb_requant_shift(rows[i].value, rows[i].shift), rows[i].want);
}

static void bounds_of_sums(void **state) {
    (void)state;
    const NbRange u4 = nb_range_of_grid((NbGrid){.bits = 4});
    const NbRange s4 = nb_range_of_grid((NbGrid){.bits = 4, .is_signed = true});
    assert_true(u4.min == 0 && u4.max == 15 && s4.min == -8 && s4.max == 7);
    const NbRange sum = nb_range_of_products(u4, s4, 9);
    assert_true(sum.min == -8 * 15 * 9 && sum.max == 7 * 15 * 9);
    const NbRange both = nb_range_of_products(s4, s4, 2);
    assert_true(both.min == -7 * 8 * 2 && both.max == 8 * 8 * 2);
    const float w[] = {3, -2, 0, -8};
    const int8_t w8[] = {3, -2, 0, -8};
    const NbRange row = nb_range_of_row((NbRange){-1, 15}, w, 4);
    const NbRange row8 = nb_range_of_row_i8((NbRange){-1, 15}, w8, 4);
    assert_true(row.min == -3 - 30 - 120 && row.max == 45 + 2 + 8);
    assert_true(row.min == row8.min && row.max == row8.max);
    /* codes that never are 0 still meet padding */
    const NbRange padded = nb_range_of_row((NbRange){5, 9}, w, 4);
    assert_true(padded.min == -90 && padded.max == 27);
    assert_true(nb_range_fits_f32((NbRange){-(1 << 24), 1 << 24}));
    assert_false(nb_range_fits_f32((NbRange){-(1 << 24) - 1, 0}));
    assert_true(nb_range_fits_i32((NbRange){0, INT32_MAX}));
    assert_false(nb_range_fits_i32((NbRange){INT32_MIN, 0}));
    const NbRange huge = {INT64_MIN, INT64_MAX};
    assert_true(nb_range_of_products(huge, huge, 3).max == INT64_MAX);
    assert_true(nb_range_size(huge) == INT64_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uniform_channels_are_solved),
        cmocka_unit_test(arbitrary_steps_are_solved_or_refused_rightly),
        cmocka_unit_test(extreme_channels),
        cmocka_unit_test(shifts_round_down),
        cmocka_unit_test(bounds_of_sums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
