/* SPDX-License-Identifier: Apache-2.0 */
#include "base/random.h"
#include "quant/runtime.h"
#include "quant/statistics.h"
#include "quant/thresholds.h"
#include "quant/truncate.h"
#include "quant/zero.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

enum { N = 501 };

static int ascending(const void *a, const void *b) {
    const float x = *(const float *)a;
    const float y = *(const float *)b;
    return (x > y) - (x < y);
}

static void order_statistics_equal_sorting(void **state) {
    (void)state;
    NbRandom random = nb_random(10, NB_RANDOM_TEST, 0, 0);
    for (int round = 0; round < 60; round++) {
        float x[N];
        float sorted[N];
        float sizes[N];
        const size_t n = 1 + nb_random_below(&random, N);
        for (size_t i = 0; i < n; i++) {
            const double v =
                nb_random_normal(&random) * pow(10.0, nb_random_range(&random, -30, 30));
            x[i] = round % 3 == 0 ? (float)((int)nb_random_below(&random, 5) - 2) : (float)v;
            sorted[i] = x[i];
            sizes[i] = fabsf(x[i]);
        }
        qsort(sorted, n, sizeof *sorted, ascending);
        qsort(sizes, n, sizeof *sizes, ascending);
        for (size_t k = 1; k <= n; k += 1 + n / 17) {
            assert_true(nb_stat_kth(x, n, k, false) == sorted[k - 1]);
            assert_true(nb_stat_kth(x, n, k, true) == sizes[k - 1]);
        }
        assert_true(nb_stat_max(x, n) == sizes[n - 1]);
        const NbInterval ends = nb_stat_interval(x, n, 0.0, 100.0);
        assert_true(ends.high == sorted[n - 1] && ends.low == fminf(sorted[0], 0.0F));
    }
    const float odd[] = {INFINITY, -INFINITY, NAN, 1.0F, -0.0F};
    assert_true(nb_stat_kth(odd, 5, 1, false) == -INFINITY && isnan(nb_stat_kth(odd, 5, 5, false)));
    assert_true(nb_stat_kth(odd, 5, 4, false) == INFINITY && isnan(nb_stat_max(odd, 5)));
}

static void ranks_by_hand(void **state) {
    (void)state;
    static const struct {
        double percent;
        size_t n, upper, lower;
    } rows[] = {
        {99.999, 49999, 49999, 49999},
        {99.999, 100000, 99999, 99999},
        {50.0, 4, 2, 2},
        {50.0, 5, 3, 3},
        {0.001, 100000, 1, 1},
        {0.001, 250000, 3, 3},
        {0.0, 10, 1, 1},
        {100.0, 10, 10, 10},
        {75.0, 3, 2, 3},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(nb_stat_rank_upper(rows[i].percent, rows[i].n), rows[i].upper);
        assert_int_equal(nb_stat_rank_lower(rows[i].percent, rows[i].n), rows[i].lower);
    }
}

static void means_by_hand(void **state) {
    (void)state;
    const float x[] = {1, -2, 3, -6}; /* sizes: mean 3, unbiased variance 14 / 3 */
    assert_true(nb_stat_mean(x, 4) == 3.0F);
    assert_true(fabs((double)nb_stat_mean_sigma(x, 4, 2.0) - (3.0 + 2.0 * sqrt(14.0 / 3.0))) <
                1e-6);
    assert_true(fabs((double)nb_stat_mean_sigma(x, 1, 2.0) - (1.0 + 2e-4)) < 1e-6);
}

static double error_of(const NbQuantSpec *spec, const float *x, size_t n, float threshold,
                       float low) {
    const float s = threshold / nb_quant_int_threshold(spec);
    const float z = low < 0.0F ? nb_zero_point(spec, low, s) : 0.0F;
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) {
        float y;
        nb_quant_codes(spec, x + i, 1, 1, &s, &z, &y);
        nb_quant_values(&y, 1, 1, &s, &z, &y);
        sum += pow((double)x[i] - (double)y, 2.0);
    }
    return sum;
}

static void searched_thresholds_are_the_best_on_the_grid(void **state) {
    (void)state;
    NbRandom random = nb_random(11, NB_RANDOM_TEST, 0, 0);
    for (int round = 0; round < 24; round++) {
        float x[N];
        for (size_t i = 0; i < N; i++)
            x[i] = (float)pow(nb_random_normal(&random), 3.0);
        const bool shifted = round % 2 == 1;
        const NbQuantSpec spec = {.grid = {.bits = 2 + round % 5, .is_signed = !shifted}};
        const NbMseGrid grid = {.steps = 20, .shifted = shifted};
        const NbInterval ends = nb_stat_interval(x, N, 0.0, 100.0);
        const float low = shifted ? ends.low : 0.0F;
        const float best = nb_stat_mse_threshold(&spec, x, N, grid);
        const float start = shifted ? ends.high - ends.low : nb_stat_max(x, N);
        const double least = error_of(&spec, x, N, best, low);
        for (int i = 2; i <= 20; i++)
            assert_true(least <= error_of(&spec, x, N, start / 20.0F * (float)i, low) * (1 + 1e-9));
        if (!shifted)
            continue;
        const float scale = best / nb_quant_int_threshold(&spec);
        const float best_low = nb_stat_mse_low(&spec, x, N, scale, 20);
        assert_true(best_low <= 0.0F && best_low >= ends.low * 1.0001F);
        assert_true(error_of(&spec, x, N, best, best_low) <= least * (1 + 1e-9));
    }
    const float zeros[3] = {0};
    const NbQuantSpec spec = {.grid = {.bits = 4, .is_signed = true}};
    assert_true(nb_stat_mse_threshold(&spec, zeros, 3, (NbMseGrid){.steps = 20}) == 0.0F);
}

static void runtime_averages_and_resumes(void **state) {
    (void)state;
    const NbRuntimeSpec spec = {.quant = {.grid = {.bits = 4}, .restrict_to = NB_RESTRICT_LOG_FP},
                                .collect = 3,
                                .momentum = -1.0,
                                .percentile = 100.0};
    const float batches[][2] = {{1, 2}, {3, 6}, {5, 4}, {9, 9}};
    NbRuntime r = nb_runtime_start();
    assert_true(nb_runtime_infer(&spec, &r).scale == 1.0F / 15.0F); /* before any training */
    for (int i = 0; i < 3; i++) {
        const NbRuntimeStep step = nb_runtime_train(&spec, &r, batches[i], 2);
        assert_true(step.measured);
    }
    assert_true(fabsf(r.running - 13.0F / 3.0F) < 1e-6F);
    const NbRuntimeStep before = nb_runtime_infer(&spec, &r);
    const NbRuntimeStep learned = nb_runtime_train(&spec, &r, batches[3], 2);
    assert_true(!learned.measured && learned.scale == before.scale);
    assert_true(fabsf(learned.scale - 13.0F / 45.0F) < 1e-6F);
    const NbRuntime again = nb_runtime_resume(&spec, r.value, r.low_value);
    assert_true(nb_runtime_infer(&spec, &again).scale == learned.scale);
}

static void thresholds_step_where_the_code_does(void **state) {
    (void)state;
    NbRandom random = nb_random(12, NB_RANDOM_TEST, 0, 0);
    for (int round = 0; round < 200; round++) {
        const NbQuantSpec spec = {
            .grid = {.bits = 2 + round % 7, .is_signed = round % 2 == 0, .narrow = round % 3 == 0},
            .round = (NbRound)(round % 5)};
        const float scale = ldexpf(1.0F, round % 9 - 4); /* steps are exact, and so are ties */
        float t[256];
        const size_t count = nb_thresholds_count(&spec);
        nb_thresholds_of(&spec, scale, t);
        for (size_t i = 0; i < 300; i++) {
            float x = scale * (float)(nb_random_range(&random, -0.7, 0.7) * (double)(count + 4));
            if (i < count && fabsf(t[i]) > 1e-30F) /* next to 0 the division itself underflows */
                x = nextafterf(t[i], i % 2 ? INFINITY : -INFINITY);
            float q;
            nb_quant_codes(&spec, &x, 1, 1, &scale, NULL, &q);
            const float stepped =
                (float)nb_thresholds_reached(t, count, x) + nb_thresholds_bias(&spec);
            if (stepped != q)
                fail_msg("%s, %d bits, x / s = %.9g: %g by thresholds, %g by rounding",
                         nb_round_name(spec.round), spec.grid.bits, (double)(x / scale),
                         (double)stepped, (double)q);
        }
    }
}

static void truncation_by_hand(void **state) {
    (void)state;
    NbTruncate spec = {.in_bits = 8, .out = {.bits = 4}, .round = NB_ROUND_FLOOR};
    const float q[] = {0, 15, 16, 24, 255, 40};
    const float want_floor[] = {0, 0, 1, 1, 15, 2};
    const float want_even[] = {0, 1, 1, 2, 15, 2};
    float c[6];
    nb_truncate_codes(&spec, q, 6, c);
    assert_memory_equal(c, want_floor, sizeof c);
    spec.round = NB_ROUND_HALF_EVEN;
    nb_truncate_codes(&spec, q, 6, c);
    assert_memory_equal(c, want_even, sizeof c);
    assert_true(nb_truncate_scale(&spec, 0.5F) == 8.0F && nb_truncate_zero(&spec, 32.0F) == 2.0F);
    assert_int_equal(nb_truncate_sum_bits(4, 16), 8);
    assert_int_equal(nb_truncate_sum_bits(8, 1), 8);
    assert_int_equal(nb_truncate_sum_bits(1, 1), 0);
    const float picture[] = {1, 2, 9, 3, 4, 9, 9, 9, 9}; /* what does not fill a window is left */
    float mean;
    spec = (NbTruncate){.in_bits = 6, .out = {.bits = 4}, .round = NB_ROUND_FLOOR};
    nb_truncate_average(&spec, picture, 1, 3, 3, 2, &mean);
    assert_true(mean == 2.0F);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_statistics_equal_sorting),
        cmocka_unit_test(ranks_by_hand),
        cmocka_unit_test(means_by_hand),
        cmocka_unit_test(searched_thresholds_are_the_best_on_the_grid),
        cmocka_unit_test(runtime_averages_and_resumes),
        cmocka_unit_test(thresholds_step_where_the_code_does),
        cmocka_unit_test(truncation_by_hand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
