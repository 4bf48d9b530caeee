/* SPDX-License-Identifier: Apache-2.0
 *
 * A multiplication and one comparison count the thresholds for every sum, or are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/random.h"
#include "engine/near.h"

#include <math.h>

enum { MOST_LEVELS = 255, TABLE_ROWS = 512 };

typedef struct Row {
    int levels;
    int64_t min;
    int64_t max;
    int32_t threshold[MOST_LEVELS + 1]; /* the last one is never reached */
} Row;

static int reached(const Row *row, int64_t sum) {
    int n = 0;
    for (int k = 0; k < row->levels; k++)
        n += row->threshold[k] != INT32_MAX && sum >= row->threshold[k];
    return n;
}

/* base: NULL without a table */
static void check(const Row *row, const NbRequant *r, const uint8_t *base, int64_t sum) {
    if (sum < row->min || sum > row->max)
        return;
    const int32_t k = base ? base[nb_requant_count(r, TABLE_ROWS - 1, (int32_t)sum)]
                           : nb_requant_count(r, row->levels, (int32_t)sum);
    const int32_t t = row->threshold[k];
    const int code = k + (t != INT32_MAX && sum >= t);
    if (code != reached(row, sum))
        fail_msg("%d levels: sum %lld gives %d, thresholds %d", row->levels, (long long)sum, code,
                 reached(row, sum));
}

static void check_all(const Row *row, const NbRequant *r, const uint8_t *base) {
    for (int64_t sum = row->min; sum <= row->max && sum < row->min + 3000; sum++)
        check(row, r, base, sum);
    for (int k = 0; k < row->levels; k++)
        for (int64_t sum = row->threshold[k] - 2LL; sum <= row->threshold[k] + 1LL; sum++)
            check(row, r, base, sum);
    check(row, r, base, row->max);
}

/* Steps that are even but for `jitter` of a step; below `kink` they are `slope` times as wide. */
static void make(NbRandom *r, double jitter, double slope, Row *row) {
    row->levels = 1 + (int)nb_random_below(r, MOST_LEVELS);
    row->max = (int64_t)exp(nb_random_range(r, 10, 20));
    row->min = -(int64_t)exp(nb_random_range(r, 3, 20));
    const double step =
        (double)(row->max - row->min) / row->levels * exp(nb_random_range(r, -2, 1));
    double at = (double)row->min + nb_random_range(r, -0.2, 0.5) * (double)(row->max - row->min);
    double last = -1e30;
    for (int k = 0; k < row->levels; k++) {
        at += at < 0 ? step * slope : step;
        const double t = ceil(at + step * jitter * nb_random_range(r, -0.5, 0.5));
        last = t > last ? t : last;
        row->threshold[k] = last <= (double)row->min  ? INT32_MIN
                            : last > (double)row->max ? INT32_MAX
                                                      : (int32_t)last;
    }
    row->threshold[row->levels] = INT32_MAX;
}

static int solved(double jitter, double slope, int rounds) {
    NbRandom r = nb_random(3, NB_RANDOM_TEST, (uint32_t)(jitter * 100), (uint32_t)slope);
    int n = 0;
    for (int round = 0; round < rounds; round++) {
        Row row;
        NbRequant q;
        make(&r, jitter, slope, &row);
        if (!nb_near_solve(row.threshold, row.levels, row.min, row.max, &q))
            continue;
        n++;
        check_all(&row, &q, NULL);
    }
    return n;
}

/* Every step at least 0.6 of the average, as in a curve that is not too steep. */
static void tables_count_curved_steps(void **state) {
    (void)state;
    NbRandom r = nb_random(4, NB_RANDOM_TEST, 0, 0);
    int solved_tables = 0;
    for (int round = 0; round < 500; round++) {
        Row row;
        NbRequant q;
        uint8_t base[TABLE_ROWS];
        make(&r, round % 2 ? 0.1 : 0.6, 1 + round % 3, &row);
        const NbRange sums = {.min = row.min, .max = row.max};
        if (!nb_near_table(row.threshold, row.levels, sums, TABLE_ROWS, 1, base, &q))
            continue;
        solved_tables++;
        check_all(&row, &q, base);
    }
    print_message("%d of 500 tables\n", solved_tables);
    assert_in_range(solved_tables, 250, 499);
}

static void uneven_steps_are_counted(void **state) {
    (void)state;
    assert_int_equal(solved(0, 1, 500), 500);
    assert_int_equal(solved(0.2, 1, 500), 500);
    const int rough = solved(2, 1, 500);
    const int kinked = solved(0.1, 8, 500);
    print_message("%d of 500 rough ones, %d of 500 with a kink\n", rough, kinked);
    assert_in_range(rough, 5, 499);
    assert_in_range(kinked, 20, 499);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uneven_steps_are_counted),
        cmocka_unit_test(tables_count_curved_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
