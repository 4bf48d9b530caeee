/* SPDX-License-Identifier: Apache-2.0 */
#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

/* Source: Random123 1.09, tests/kat_vectors, "philox4x32 10". */
static void philox_matches_known_answers(void **state) {
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], want[4];
    } rows[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        NbRandom r = {.left = 0};
        memcpy(r.counter, rows[i].counter, sizeof r.counter);
        memcpy(r.key, rows[i].key, sizeof r.key);
        for (int k = 0; k < 4; k++)
            assert_int_equal(nb_random_u32(&r), rows[i].want[k]);
    }
}

static void streams_depend_on_every_part_of_their_name(void **state) {
    (void)state;
    NbRandom all[] = {
        nb_random(1, NB_RANDOM_TEST, 0, 0),          nb_random(2, NB_RANDOM_TEST, 0, 0),
        nb_random(1ULL << 40, NB_RANDOM_TEST, 0, 0), nb_random(1, NB_RANDOM_INIT, 0, 0),
        nb_random(1, NB_RANDOM_TEST, 1, 0),          nb_random(1, NB_RANDOM_TEST, 0, 1),
    };
    uint64_t first[6];
    for (size_t i = 0; i < 6; i++)
        first[i] = (uint64_t)nb_random_u32(&all[i]) << 32 | nb_random_u32(&all[i]);
    for (size_t i = 0; i < 6; i++)
        for (size_t k = 0; k < i; k++)
            assert_true(first[i] != first[k]);
    NbRandom again = nb_random(1, NB_RANDOM_TEST, 1, 0);
    assert_true(((uint64_t)nb_random_u32(&again) << 32 | nb_random_u32(&again)) == first[4]);
}

enum { DRAWS = 100000 };

static void bounded_numbers_are_in_range_and_even(void **state) {
    (void)state;
    static const uint32_t bounds[] = {1, 2, 3, 10, 1000, 0x80000001U, UINT32_MAX};
    NbRandom r = nb_random(5, NB_RANDOM_TEST, 0, 0);
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++) {
        double sum = 0;
        for (int k = 0; k < DRAWS; k++) {
            const uint32_t v = nb_random_below(&r, bounds[i]);
            assert_true(v < bounds[i]);
            sum += v;
        }
        const double mean = (bounds[i] - 1.0) / 2;
        const double deviation = bounds[i] / sqrt(12.0 * DRAWS);
        assert_true(fabs(sum / DRAWS - mean) < 5 * deviation);
    }
}

typedef double Draw(NbRandom *r);

static double unit(NbRandom *r) { return nb_random_unit(r); }
static double range(NbRandom *r) { return nb_random_range(r, -3, 5); }
static double normal(NbRandom *r) { return nb_random_normal(r); }
static double beta(NbRandom *r) { return nb_random_beta(r, 8, 8); }
static double beta2(NbRandom *r) { return nb_random_beta(r, 1, 3); }

static void distributions_have_their_moments(void **state) {
    (void)state;
    static const struct {
        Draw *draw;
        double lo, hi, mean, variance;
    } rows[] = {
        {unit, 0, 1, 0.5, 1.0 / 12},
        {range, -3, 5, 1, 64.0 / 12},
        {normal, -10, 10, 0, 1},
        {beta, 0, 1, 0.5, 64.0 / (256.0 * 17)},
        {beta2, 0, 1, 0.25, 3.0 / (16.0 * 5)},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        NbRandom r = nb_random(7, NB_RANDOM_TEST, (uint32_t)i, 0);
        double sum = 0;
        double squares = 0;
        for (int k = 0; k < DRAWS; k++) {
            const double v = rows[i].draw(&r);
            assert_true(v >= rows[i].lo && v < rows[i].hi);
            sum += v;
            squares += (v - rows[i].mean) * (v - rows[i].mean);
        }
        const double deviation = sqrt(rows[i].variance / DRAWS);
        assert_true(fabs(sum / DRAWS - rows[i].mean) < 5 * deviation);
        assert_true(fabs(squares / DRAWS / rows[i].variance - 1) < 0.03);
    }
}

static void permutations_hold_each_number_once(void **state) {
    (void)state;
    static uint32_t order[1000];
    static int seen[1000];
    NbRandom r = nb_random(3, NB_RANDOM_SHUFFLE, 0, 0);
    for (uint32_t n = 0; n <= 1000; n = n < 5 ? n + 1 : n + 199) {
        memset(seen, 0, sizeof seen);
        nb_random_permutation(&r, order, n);
        for (uint32_t i = 0; i < n; i++) {
            assert_true(order[i] < n);
            assert_int_equal(seen[order[i]]++, 0);
        }
    }
    /* every order of three, about as often */
    int count[27] = {0};
    for (int i = 0; i < 6000; i++) {
        nb_random_permutation(&r, order, 3);
        count[order[0] * 9 + order[1] * 3 + order[2]]++;
    }
    int orders = 0;
    for (int i = 0; i < 27; i++) {
        orders += count[i] > 0;
        assert_true(count[i] == 0 || (count[i] > 850 && count[i] < 1150));
    }
    assert_int_equal(orders, 6);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_matches_known_answers),
        cmocka_unit_test(streams_depend_on_every_part_of_their_name),
        cmocka_unit_test(bounded_numbers_are_in_range_and_even),
        cmocka_unit_test(distributions_have_their_moments),
        cmocka_unit_test(permutations_hold_each_number_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
