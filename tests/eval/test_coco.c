/* SPDX-License-Identifier: Apache-2.0
 *
 * COCO's rules one by one, on cases that can be worked out by hand. */
#include "base/random.h"
#include "eval/score.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#define COUNT(rows) (sizeof(rows) / sizeof *(rows))

enum { AP, AP50, AP75, APS, APM, APL, AR1, AR10, AR100, ARS, ARM, ARL };

static const int64_t images[] = {7, 3, 9};
static const int64_t categories[] = {18, 2};

static NbCocoTruth truth(int64_t image, int64_t category, double x, double y, double side) {
    return (NbCocoTruth){image, category, {x, y, side, side}, side * side, false};
}

static NbCocoDetection found(int64_t image, int64_t category, double x, double y, double side,
                             double score) {
    return (NbCocoDetection){image, category, {x, y, side, side}, score};
}

static NbCocoScore score(const NbCocoTruth *t, size_t nt, const NbCocoDetection *d, size_t nd) {
    NbArena arena = {0};
    NbError err = {0};
    NbCocoScore out;
    if (nb_coco_score(images, COUNT(images), categories, COUNT(categories), t, nt, d, nd, &arena,
                      &out, &err) != NB_OK)
        fail_msg("%s", err.message);
    nb_arena_release(&arena);
    return out;
}

static void is(double got, double want) {
    if (!(fabs(got - want) <= 1e-12))
        fail_msg("%.15g, expected %.15g", got, want);
}

static void all_found_is_one_and_nothing_there_is_minus_one(void **state) {
    (void)state;
    const NbCocoTruth t[] = {truth(7, 18, 10, 10, 20), truth(3, 18, 0, 0, 50),
                             truth(3, 2, 5, 5, 20)};
    const NbCocoDetection d[] = {found(3, 18, 0, 0, 50, 0.3), found(7, 18, 10, 10, 20, 0.9),
                                 found(3, 2, 5, 5, 20, 0.1)};
    const NbCocoScore s = score(t, COUNT(t), d, COUNT(d));
    static const double want[12] = {1, 1, 1, 1, 1, -1, 1, 1, 1, 1, 1, -1};
    for (int i = 0; i < 12; i++)
        is(s.value[i], want[i]);
    const NbCocoScore none = score(t, COUNT(t), NULL, 0);
    for (int i = 0; i < 12; i++)
        is(none.value[i], want[i] < 0 ? -1 : 0);
    const NbCocoScore empty = score(NULL, 0, d, COUNT(d));
    for (int i = 0; i < 12; i++)
        is(empty.value[i], -1);
}

/* A wrong one above the right one: precision 1/2 at every recall. Below it: no harm. */
static void order_of_scores_counts(void **state) {
    (void)state;
    const NbCocoTruth t[] = {truth(7, 18, 10, 10, 20)};
    NbCocoDetection d[] = {found(7, 18, 500, 500, 20, 0.9), found(7, 18, 10, 10, 20, 0.5)};
    is(score(t, 1, d, 2).value[AP], 0.5);
    is(score(t, 1, d, 2).value[AR1], 0.0); /* the best one of the picture only */
    is(score(t, 1, d, 2).value[AR10], 1.0);
    d[0].score = 0.4;
    is(score(t, 1, d, 2).value[AP], 1.0);
    d[0].score = 0.5; /* equal: list order */
    is(score(t, 1, d, 2).value[AP], 0.5);
}

/* Half of the labels found: 51 of the 101 recall points. */
static void recall_points_are_those_of_coco(void **state) {
    (void)state;
    const NbCocoTruth t[] = {truth(7, 18, 10, 10, 20), truth(7, 18, 100, 100, 20)};
    const NbCocoDetection d[] = {found(7, 18, 10, 10, 20, 0.9)};
    is(score(t, 2, d, 1).value[AP], 51.0 / 101.0);
    is(score(t, 2, d, 1).value[AR100], 0.5);
}

/* IoU of a 20 by 20 label with a 20 by 15 detection is 0.75, which counts as reached. */
static void thresholds_are_inclusive(void **state) {
    (void)state;
    const NbCocoTruth t[] = {truth(7, 18, 0, 0, 20)};
    const NbCocoDetection d[] = {{7, 18, {0, 0, 20, 15}, 0.9}};
    const NbCocoScore s = score(t, 1, d, 1);
    is(s.value[AP50], 1);
    is(s.value[AP75], 1);
    is(s.value[AP], 0.6);
}

static void a_label_is_found_once(void **state) {
    (void)state;
    const NbCocoTruth t[] = {truth(7, 18, 0, 0, 20), truth(3, 18, 0, 0, 20)};
    const NbCocoDetection d[] = {found(7, 18, 0, 0, 20, 0.9), found(7, 18, 0, 0, 20, 0.8),
                                 found(3, 18, 0, 0, 20, 0.7)};
    /* precision 1 up to recall 1/2, then 2/3 */
    is(score(t, 2, d, 3).value[AP], (51.0 + 50.0 * 2 / 3) / 101.0);
}

/* Of a crowd the share of the detection counts, any number may match, none is right or wrong. */
static void crowds_swallow_detections(void **state) {
    (void)state;
    NbCocoTruth t[] = {truth(7, 18, 0, 0, 200), truth(7, 18, 500, 500, 20)};
    t[0].crowd = true;
    const NbCocoDetection d[] = {found(7, 18, 10, 10, 20, 0.9), found(7, 18, 60, 60, 20, 0.8),
                                 found(7, 18, 500, 500, 20, 0.7)};
    is(score(t, 2, d, 3).value[AP], 1);
    /* half outside: IoU by its own area 1/2 */
    const NbCocoDetection half[] = {found(7, 18, 190, 0, 20, 0.9), found(7, 18, 500, 500, 20, 0.7)};
    is(score(t, 2, half, 2).value[AP50], 1);
    is(score(t, 2, half, 2).value[AP], 0.1 * 1 + 0.9 * 0.5);
    /* only crowds: nothing to find */
    is(score(t, 1, d, 3).value[AP], -1);
}

/* A real label is preferred to a crowd even when the crowd fits better. */
static void labels_come_before_crowds(void **state) {
    (void)state;
    NbCocoTruth t[] = {truth(7, 18, 0, 0, 200), truth(7, 18, 10, 10, 20)};
    t[0].crowd = true;
    const NbCocoDetection d[] = {{7, 18, {10, 10, 20, 15}, 0.9}};
    const NbCocoScore s = score(t, 2, d, 1);
    is(s.value[AR100], 0.6); /* above 0.75 the crowd takes it */
}

/* Areas: the annotation's for labels, the box's for detections; both bounds inside. */
static void areas_split_small_medium_large(void **state) {
    (void)state;
    NbCocoTruth t[] = {truth(7, 18, 0, 0, 32), truth(7, 18, 300, 300, 96)};
    const NbCocoDetection d[] = {found(7, 18, 0, 0, 32, 0.9), found(7, 18, 300, 300, 96, 0.8)};
    const NbCocoScore s = score(t, 2, d, 2);
    is(s.value[APS], 1); /* 1024 is small and medium */
    is(s.value[APM], 1);
    is(s.value[APL], 1); /* 9216 is medium and large */
    t[0].area = 5000;    /* as a mask might say; the detection outside small is ignored */
    const NbCocoScore m = score(t, 2, d, 2);
    is(m.value[APS], -1);
    is(m.value[APM], 1);
    is(m.value[AP], 1);
    /* an unmatched detection outside the area is no false positive there */
    const NbCocoDetection extra[] = {d[0], d[1], found(7, 18, 600, 0, 10, 0.95)};
    is(score(t, 2, extra, 3).value[APM], 1);
    assert_true(score(t, 2, extra, 3).value[AP] < 1);
}

static void at_most_100_a_picture_and_category(void **state) {
    (void)state;
    NbCocoDetection d[150];
    for (int i = 0; i < 150; i++)
        d[i] = found(7, 18, 1000 + 30 * i, 0, 20, 0.9 - 0.001 * i);
    const NbCocoTruth t[] = {truth(7, 18, 1000 + 30 * 99, 0, 20),
                             truth(7, 18, 1000 + 30 * 100, 0, 20),
                             truth(7, 18, 1000 + 30 * 9, 0, 20), truth(7, 18, 1000, 0, 20)};
    const NbCocoScore s = score(t, 4, d, 150);
    is(s.value[AR1], 0.25);
    is(s.value[AR10], 0.5);
    is(s.value[AR100], 0.75);
}

static void what_is_not_listed_does_not_count(void **state) {
    (void)state;
    const NbCocoTruth t[] = {truth(7, 18, 0, 0, 20), truth(8, 18, 0, 0, 20), truth(7, 5, 0, 0, 20)};
    const NbCocoDetection d[] = {found(7, 18, 0, 0, 20, 0.5), found(8, 18, 9, 9, 20, 0.9),
                                 found(7, 5, 90, 90, 20, 0.9)};
    is(score(t, 3, d, 3).value[AP], 1);
}

static void numbers_must_be_finite(void **state) {
    (void)state;
    NbArena arena = {0};
    NbCocoScore out;
    NbError err = {0};
    const NbCocoTruth t = truth(7, 18, NAN, 0, 20);
    assert_int_equal(nb_coco_score(images, 3, categories, 2, &t, 1, NULL, 0, &arena, &out, &err),
                     NB_ERR_ARGUMENT);
    assert_string_equal(err.message, "truth 0: box or area is not finite");
    const NbCocoDetection d = found(7, 18, 0, 0, 20, NAN);
    assert_int_equal(nb_coco_score(images, 3, categories, 2, NULL, 0, &d, 1, &arena, &out, &err),
                     NB_ERR_ARGUMENT);
    assert_string_equal(err.message, "detection 0: box or score is not finite");
    nb_arena_release(&arena);
}

enum { MANY = 300 };

static void fill_random(NbRandom *r, NbCocoTruth *t, NbCocoDetection *d) {
    for (int i = 0; i < MANY; i++) {
        const int64_t image = images[nb_random_below(r, 3)];
        const int64_t category = categories[nb_random_below(r, 2)];
        const double side = nb_random_range(r, 4, 150);
        t[i] = truth(image, category, nb_random_range(r, 0, 600), nb_random_range(r, 0, 600), side);
        t[i].crowd = nb_random_below(r, 10) == 0;
        d[i] = found(image, category, t[i].xywh[0] + nb_random_range(r, -5, 5),
                     t[i].xywh[1] + nb_random_range(r, -5, 5), side * nb_random_range(r, 0.8, 1.2),
                     nb_random_unit(r));
    }
}

/* Where scores are all different, the order of the lists does not matter. */
static void order_of_the_lists_does_not_matter(void **state) {
    (void)state;
    static NbCocoTruth t[MANY];
    static NbCocoDetection d[MANY];
    static NbCocoDetection shuffled[MANY];
    static uint32_t order[MANY];
    NbRandom r = nb_random(1, NB_RANDOM_TEST, 1, 0);
    for (int round = 0; round < 20; round++) {
        fill_random(&r, t, d);
        nb_random_permutation(&r, order, MANY);
        for (int i = 0; i < MANY; i++)
            shuffled[i] = d[order[i]];
        const NbCocoScore a = score(t, MANY, d, MANY);
        const NbCocoScore b = score(t, MANY, shuffled, MANY);
        assert_memory_equal(&a, &b, sizeof a);
        assert_true(a.value[AP] > 0.02 && a.value[AP] < 0.98);
        for (int i = 0; i < 12; i++)
            assert_true(a.value[i] >= -1 && a.value[i] <= 1);
        assert_true(a.value[AR1] <= a.value[AR10] && a.value[AR10] <= a.value[AR100]);
        assert_true(a.value[AP] <= a.value[AP50]);
    }
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    const NbCocoTruth t[] = {truth(7, 18, 10, 10, 20)};
    const NbCocoDetection d[] = {found(7, 18, 10, 10, 20, 0.3)};
    NbStatus status = NB_ERR_NOMEM;
    size_t takes = 0;
    while (status == NB_ERR_NOMEM) {
        NbArena arena = {.fail_at = ++takes};
        NbError err = {0};
        NbCocoScore out;
        status = nb_coco_score(images, 3, categories, 2, t, 1, d, 1, &arena, &out, &err);
        nb_arena_release(&arena);
    }
    assert_int_equal(status, NB_OK);
    assert_true(takes > 8);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_found_is_one_and_nothing_there_is_minus_one),
        cmocka_unit_test(order_of_scores_counts),
        cmocka_unit_test(recall_points_are_those_of_coco),
        cmocka_unit_test(thresholds_are_inclusive),
        cmocka_unit_test(a_label_is_found_once),
        cmocka_unit_test(crowds_swallow_detections),
        cmocka_unit_test(labels_come_before_crowds),
        cmocka_unit_test(areas_split_small_medium_large),
        cmocka_unit_test(at_most_100_a_picture_and_category),
        cmocka_unit_test(what_is_not_listed_does_not_count),
        cmocka_unit_test(numbers_must_be_finite),
        cmocka_unit_test(order_of_the_lists_does_not_matter),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
