/* SPDX-License-Identifier: Apache-2.0
 *
 * YOLO's scores: golden numbers and cases that can be worked out by hand. */
#include "base/random.h"
#include "eval/curve.h"
#include "eval/score.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#define COUNT(rows) (sizeof(rows) / sizeof *(rows))

static void near(double got, double want, double tolerance) {
    if (!(fabs(got - want) <= tolerance))
        fail_msg("%.9g, expected %.9g", got, want);
}

static NbDetection box(int cls, float x, float y, float w, float h, float conf) {
    return (NbDetection){.xyxy = {x, y, x + w, y + h}, .conf = conf, .cls = cls};
}

static NbYoloScore score(NbArena *arena, const NbYoloImage *image, size_t n, int nc,
                         NbYoloMatching matching) {
    NbYoloScore out;
    NbError err = {0};
    if (nb_yolo_score(image, n, nc, matching, arena, &out, &err) != NB_OK)
        fail_msg("%s", err.message);
    return out;
}

enum { FOUND = 12, LABELS = 15 };
static const float golden_conf[FOUND] = {.95F, .9F, .85F, .8F, .7F, .65F,
                                         .6F,  .5F, .4F,  .3F, .2F, .1F};
static const float golden_iou[FOUND] = {.91F, .3F,  .77F, .66F, .58F, 0,
                                        .83F, .52F, .2F,  .71F, .96F, .55F};

/* Twelve detections, each inside its own label and covering that share of it. */
static void twelve_detections_give_the_golden_numbers(void **state) {
    (void)state;
    static const double level[10] = {.62625,   .5627619, .4259091, .4259091, .3407633,
                                     .2856082, .2026136, .1496694, .1496694, .0449359};
    NbDetection label[LABELS];
    NbDetection found[FOUND];
    for (int i = 0; i < LABELS; i++)
        label[i] = box(0, 0, 200.0F * (float)i, 1000, 100, 1);
    for (int i = 0; i < FOUND; i++) {
        /* a hair more, so that 0.55 reaches its level however it is rounded */
        const int at = FOUND - 1 - i; /* any order */
        found[at] =
            box(0, 0, 200.0F * (float)i, golden_iou[i] * 1000.0F + 0.01F, 100, golden_conf[i]);
    }
    const NbYoloImage image = {label, LABELS, found, FOUND};
    for (NbYoloMatching m = NB_MATCH_ONCE; m <= NB_MATCH_PER_IOU; m++) {
        NbArena arena = {0};
        const NbYoloScore s = score(&arena, &image, 1, 1, m);
        assert_int_equal(s.n_classes, 1);
        assert_int_equal(s.per_class[0].labels, LABELS);
        near(s.map50, 0.62625, 1e-6);
        near(s.map50_95, 0.3214090, 1e-6);
        for (int t = 0; t < 10; t++)
            near(s.per_class[0].ap[t], level[t], 1e-6);
        if (m == NB_MATCH_ONCE) {
            near(s.precision, 0.75, 1e-4);
            near(s.recall, 0.6, 1e-4);
            near(s.per_class[0].f1, 0.6667, 1e-4);
        }
        nb_arena_release(&arena);
    }
}

/* The confident detection fits worse than the other one: matched once, it keeps the label for all
 * levels; matched at each level, the better one gets the high ones. */
static void the_two_matchings_differ_as_they_should(void **state) {
    (void)state;
    const NbDetection label[] = {box(0, 0, 0, 100, 100, 1)};
    const NbDetection found[] = {box(0, 0, 0, 100, 62, 0.9F), box(0, 0, 0, 100, 97, 0.5F)};
    const NbYoloImage image = {label, 1, found, 2};
    NbArena arena = {0};
    const NbYoloScore once = score(&arena, &image, 1, 1, NB_MATCH_ONCE);
    const NbYoloScore each = score(&arena, &image, 1, 1, NB_MATCH_PER_IOU);
    for (int t = 0; t < 10; t++) {
        const bool low = t < 3; /* 0.50, 0.55, 0.60 */
        near(once.per_class[0].ap[t], low ? 0.995 : 0.0, 1e-9);
        /* the second of two: precision 1/2 at every recall but 1 */
        near(each.per_class[0].ap[t], low ? 0.995 : 0.4975, 1e-9);
    }
    nb_arena_release(&arena);
}

static void classes_without_labels_are_absent(void **state) {
    (void)state;
    const NbDetection label[] = {box(1, 0, 0, 10, 10, 1), box(3, 50, 50, 10, 10, 1)};
    const NbDetection found[] = {box(1, 0, 0, 10, 10, 0.8F), box(2, 50, 50, 10, 10, 0.9F)};
    const NbYoloImage image[] = {{label, 2, found, 2}, {NULL, 0, NULL, 0}};
    NbArena arena = {0};
    const NbYoloScore s = score(&arena, image, 2, 5, NB_MATCH_ONCE);
    assert_int_equal(s.n_classes, 2);
    assert_int_equal(s.per_class[0].cls, 1);
    assert_int_equal(s.per_class[1].cls, 3);
    near(s.per_class[0].ap[0], 0.995, 1e-9);
    near(s.per_class[1].ap[0], 0, 0);
    near(s.map50, 0.995 / 2, 1e-9);
    const NbYoloScore none = score(&arena, image + 1, 1, 5, NB_MATCH_PER_IOU);
    assert_int_equal(none.n_classes, 0);
    near(none.map50, 0, 0);
    nb_arena_release(&arena);
}

static void confusion_counts_each_once(void **state) {
    (void)state;
    enum { NC = 2, SIDE = NC + 1 };
    const NbDetection label[] = {box(0, 0, 0, 10, 10, 1), box(1, 100, 0, 10, 10, 1),
                                 box(1, 200, 0, 10, 10, 1)};
    const NbDetection found[] = {
        box(0, 0, 0, 10, 10, 0.9F),   /* right */
        box(0, 0, 0, 10, 9, 0.95F),   /* the same label, worse: background */
        box(0, 100, 0, 10, 10, 0.8F), /* taken for the other class */
        box(1, 200, 0, 10, 10, 0.2F), /* too unsure: the label is missed */
        box(1, 300, 0, 10, 10, 0.7F), /* nothing there */
        box(1, 0, 0, 10, 10, 0.5F),   /* the first box again, for another class: background */
    };
    const NbDetection alone[] = {box(1, 0, 0, 5, 5, 0.5F)};
    const NbYoloImage image[] = {{label, 3, found, 6}, {NULL, 0, alone, 1}};
    static const int64_t want[SIDE * SIDE] = {1, 1, 1, 0, 0, 2, 0, 1, 0};
    NbArena arena = {0};
    for (NbYoloMatching m = NB_MATCH_ONCE; m <= NB_MATCH_PER_IOU; m++) {
        const NbYoloScore s = score(&arena, image, 2, NC, m);
        for (int i = 0; i < SIDE * SIDE; i++)
            assert_int_equal(s.confusion[i],
                             want[i] + (m == NB_MATCH_PER_IOU && i == SIDE + NC ? 1 : 0));
    }
    nb_arena_release(&arena);
}

static void interpolation_is_numpys(void **state) {
    (void)state;
    static const double xs[] = {0, 1, 1, 2, 4};
    static const double ys[] = {5, 6, 7, 8, 0};
    static const struct {
        double x, want;
    } rows[] = {{-1, 99}, {0, 5}, {0.5, 5.5}, {1, 7}, {1.5, 7.5}, {2, 8}, {3, 4}, {4, 0}, {9, 0}};
    for (size_t i = 0; i < COUNT(rows); i++)
        near(nb_interpolate(rows[i].x, xs, ys, COUNT(xs), 99), rows[i].want, 1e-12);
    near(nb_interpolate(0, xs, ys, 1, 99), 5, 0);
    near(nb_interpolate(3, xs, ys, 1, 99), 5, 0);
}

static void smoothing_is_a_running_mean(void **state) {
    (void)state;
    double in[1000];
    double out[1000];
    for (int i = 0; i < 1000; i++)
        in[i] = i == 500 ? 101.0 : 0.0;
    nb_curve_smooth(in, 1000, out);
    for (int i = 0; i < 1000; i++)
        near(out[i], i >= 450 && i <= 550 ? 1.0 : 0.0, 1e-12);
    for (int i = 0; i < 1000; i++)
        in[i] = 3.0;
    nb_curve_smooth(in, 1000, out);
    near(out[0], 3.0, 1e-12);
    near(out[999], 3.0, 1e-12);
}

/* Curves fall from all to nothing; the best point is on them. */
static void curves_have_their_shape(void **state) {
    (void)state;
    static NbDetection label[200];
    static NbDetection found[200];
    NbRandom r = nb_random(6, NB_RANDOM_TEST, 2, 0);
    for (int i = 0; i < 200; i++) {
        const float x = (float)nb_random_range(&r, 0, 600);
        const float y = (float)nb_random_range(&r, 0, 600);
        label[i] = box((int)nb_random_below(&r, 3), x, y, 40, 40, 1);
        found[i] = box(label[i].cls, x + (float)nb_random_range(&r, -9, 9), y, 40, 40,
                       (float)nb_random_unit(&r));
    }
    const NbYoloImage image = {label, 200, found, 200};
    NbArena arena = {0};
    const NbYoloScore s = score(&arena, &image, 1, 3, NB_MATCH_PER_IOU);
    assert_int_equal(s.n_classes, 3);
    for (int c = 0; c < 3; c++) {
        const double *const recall = s.r_curve + (size_t)c * NB_CURVE;
        const double *const pr = s.pr_curve + (size_t)c * NB_CURVE;
        for (int i = 1; i < NB_CURVE; i++) {
            assert_true(recall[i] <= recall[i - 1] + 1e-12);
            assert_true(pr[i] <= pr[i - 1] + 1e-12);
        }
        for (int t = 1; t < 10; t++)
            assert_true(s.per_class[c].ap[t] <= s.per_class[c].ap[t - 1] + 1e-12);
        const size_t best = (size_t)c * NB_CURVE + (size_t)lround(s.best_conf * (NB_CURVE - 1));
        near(s.per_class[c].precision, s.p_curve[best], 0);
        near(s.per_class[c].recall, s.r_curve[best], 0);
    }
    assert_true(s.map50 > s.map50_95 && s.map50_95 > 0.1);
    nb_arena_release(&arena);
}

static void bad_input_is_named(void **state) {
    (void)state;
    const NbDetection good[] = {box(0, 0, 0, 1, 1, 1)};
    const NbDetection bad[] = {box(2, 0, 0, 1, 1, 1), box(0, NAN, 0, 1, 1, 1),
                               box(0, 0, 0, 1, 1, NAN)};
    const struct {
        NbYoloImage image;
        const char *want;
    } rows[] = {
        {{&bad[0], 1, NULL, 0}, "picture 0: label 0: class 2, expected 0 to 1"},
        {{good, 1, &bad[0], 1}, "picture 0: detection 0: class 2, expected 0 to 1"},
        {{good, 1, &bad[1], 1}, "picture 0: detection 0: box is not finite"},
        {{good, 1, &bad[2], 1}, "picture 0: detection 0: confidence is not finite"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        NbArena arena = {0};
        NbYoloScore out;
        NbError err = {0};
        assert_int_equal(nb_yolo_score(&rows[i].image, 1, 2, NB_MATCH_ONCE, &arena, &out, &err),
                         NB_ERR_ARGUMENT);
        assert_string_equal(err.message, rows[i].want);
        nb_arena_release(&arena);
    }
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    const NbDetection one[] = {box(0, 0, 0, 10, 10, 0.9F)};
    const NbYoloImage image = {one, 1, one, 1};
    NbStatus status = NB_ERR_NOMEM;
    size_t takes = 0;
    while (status == NB_ERR_NOMEM) {
        NbArena arena = {.fail_at = ++takes};
        NbYoloScore out;
        NbError err = {0};
        status = nb_yolo_score(&image, 1, 1, NB_MATCH_ONCE, &arena, &out, &err);
        nb_arena_release(&arena);
    }
    assert_int_equal(status, NB_OK);
    assert_true(takes > 8);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(twelve_detections_give_the_golden_numbers),
        cmocka_unit_test(the_two_matchings_differ_as_they_should),
        cmocka_unit_test(classes_without_labels_are_absent),
        cmocka_unit_test(confusion_counts_each_once),
        cmocka_unit_test(interpolation_is_numpys),
        cmocka_unit_test(smoothing_is_a_running_mean),
        cmocka_unit_test(curves_have_their_shape),
        cmocka_unit_test(bad_input_is_named),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
