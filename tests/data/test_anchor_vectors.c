/* SPDX-License-Identifier: Apache-2.0
 *
 * Anchor metrics, clustering and order against autoanchor.py. */
#include "data/anchors.h"
#include "support/vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

static NbSamples samples_of(const NbCase *c) {
    size_t n;
    size_t numbers;
    const float *const shape = nb_case_f32(c, "shapes_wh", &n);
    const float *const row = nb_case_f32(c, "labels", &numbers);
    NbSamples s = {.n = (int)(n / 2)};
    s.sample = NB_NEW(&c->all->arena, NbSample, n / 2);
    NbTarget *const target = NB_NEW(&c->all->arena, NbTarget, numbers / 6);
    assert_non_null(s.sample);
    assert_non_null(target);
    size_t at = 0;
    for (int i = 0; i < s.n; i++) {
        s.sample[i] = (NbSample){
            .width = (int)shape[2 * i], .height = (int)shape[2 * i + 1], .label = target + at};
        for (; at < numbers / 6 && (int)row[6 * at] == i; at++, s.sample[i].n_labels++)
            memcpy(target[at].xywh, row + 6 * at + 2, sizeof target[at].xywh);
    }
    assert_int_equal(at, numbers / 6);
    return s;
}

static int anchors_of(const NbCase *c, float (*anchor)[2]) {
    const json_t *const levels = json_object_get(c->params, "anchors");
    int n = 0;
    for (size_t i = 0; i < json_array_size(levels); i++) {
        const json_t *const level = json_array_get(levels, i);
        for (size_t k = 0; k + 1 < json_array_size(level); k += 2, n++) {
            assert_true(n < NB_ANCHORS_MAX);
            for (size_t d = 0; d < 2; d++)
                anchor[n][d] = (float)json_number_value(json_array_get(level, k + d));
        }
    }
    return n;
}

static bool anchor_metric(const NbCase *c) {
    NbError err = {0};
    const NbSamples s = samples_of(c);
    size_t n;
    NbSizes sizes;
    assert_int_equal(nb_anchor_sizes(&s, (int)nb_case_number(c, "imgsz", 0),
                                     nb_case_f32(c, "scale", &n), &c->all->arena, &sizes, &err),
                     NB_OK);
    float anchor[NB_ANCHORS_MAX][2];
    const int count = anchors_of(c, anchor);
    float *const best = NB_NEW(&c->all->arena, float, sizes.n);
    assert_non_null(best);
    const NbAnchorFit fit =
        nb_anchor_fit(sizes, (const float(*)[2])anchor, count, nb_case_number(c, "thr", 4), best);
    const float bpr = (float)fit.bpr;
    const float aat = (float)fit.aat;
    bool ok = nb_case_compare(c, "wh", &sizes.wh[0][0], 2 * sizes.n);
    ok &= nb_case_compare(c, "best", best, sizes.n);
    ok &= nb_case_compare(c, "bpr", &bpr, 1);
    ok &= nb_case_compare(c, "aat", &aat, 1);
    return ok;
}

static double extreme(const NbCase *c, const char *key, bool largest) {
    const json_t *const list = json_object_get(c->params, key);
    double v = json_number_value(json_array_get(list, 0));
    for (size_t i = 1; i < json_array_size(list); i++) {
        const double x = json_number_value(json_array_get(list, i));
        v = largest ? fmax(v, x) : fmin(v, x);
    }
    return v;
}

static double mean_distance(NbSizes sizes, const float (*anchor)[2], int count) {
    double deviation[2];
    nb_anchor_deviation(sizes, deviation);
    double sum = 0.0;
    for (size_t i = 0; i < sizes.n; i++) {
        double least = 1e9;
        for (int k = 0; k < count; k++)
            least = fmin(least, hypot((double)(sizes.wh[i][0] - anchor[k][0]) / deviation[0],
                                      (double)(sizes.wh[i][1] - anchor[k][1]) / deviation[1]));
        sum += least;
    }
    return sum / (double)sizes.n;
}

static bool good(const NbCase *c, const char *what, bool condition, double got, double limit) {
    if (!condition)
        print_error("%s: %s is %g, limit %g\n", c->id, what, got, limit);
    return condition;
}

static bool kmeans(const NbCase *c) {
    NbError err = {0};
    const NbSamples s = samples_of(c);
    const double thr = nb_case_number(c, "thr", 4);
    const int count = (int)nb_case_number(c, "n", 0);
    NbSizes all;
    NbSizes sizes;
    assert_int_equal(
        nb_anchor_sizes(&s, (int)nb_case_number(c, "imgsz", 0), NULL, &c->all->arena, &all, &err),
        NB_OK);
    assert_int_equal(nb_anchor_sizes_above(all, 2.0F, &c->all->arena, &sizes, &err), NB_OK);
    double deviation[2];
    nb_anchor_deviation(sizes, deviation);
    const float std[2] = {(float)deviation[0], (float)deviation[1]};
    const float used = (float)sizes.n;
    bool ok = nb_case_compare(c, "wh_std", std, 2);
    ok &= nb_case_compare(c, "n_used", &used, 1);
    float anchor[NB_ANCHORS_MAX][2];
    for (uint64_t seed = 0; seed < 3; seed++) {
        assert_int_equal(nb_anchor_kmeans(sizes, count, 30, seed, &c->all->arena, anchor, &err),
                         NB_OK);
        const double distance = mean_distance(sizes, (const float(*)[2])anchor, count);
        const double furthest = 1.03 * extreme(c, "whitened_mean_distance_gen0", true);
        ok &= good(c, "distance", distance <= furthest, distance, furthest);
        const double least0 = extreme(c, "fitness_gen0", false) - 0.01;
        double f = nb_anchor_fit(sizes, (const float(*)[2])anchor, count, thr, NULL).fitness;
        ok &= good(c, "fitness of k-means", f >= least0, f, least0);
        nb_anchor_evolve(sizes, count, thr, 300, seed, anchor);
        const double least = extreme(c, "fitness_gen300", false) - 0.01;
        f = nb_anchor_fit(sizes, (const float(*)[2])anchor, count, thr, NULL).fitness;
        ok &= good(c, "fitness after 300", f >= least, f, least);
        for (int k = 1; k < count; k++)
            ok &= anchor[k - 1][0] * anchor[k - 1][1] <= anchor[k][0] * anchor[k][1];
    }
    return ok;
}

static bool anchor_order(const NbCase *c) {
    size_t n;
    float *const given = nb_case_f32(c, "anchors", &n);
    float(*const anchor)[2] = nb_arena_take(&c->all->arena, n / 2, sizeof *anchor);
    assert_non_null(anchor);
    memcpy(anchor, given, n * sizeof *given);
    const json_t *const strides = json_object_get(c->params, "strides");
    float stride[16];
    const size_t levels = json_array_size(strides);
    assert_in_range(levels, 1, 16);
    for (size_t i = 0; i < levels; i++)
        stride[i] = (float)json_number_value(json_array_get(strides, i));
    const bool message = nb_anchor_order(anchor, (int)levels, (int)(n / 2 / levels), stride);
    assert_int_equal(message, nb_case_bool(c, "message", false));
    return nb_case_compare(c, "out", &anchor[0][0], n);
}

static void anchors_are_as_in_the_source(void **state) {
    (void)state;
    static const struct {
        const char *kind;
        bool (*run)(const NbCase *c);
    } kinds[] = {
        {"anchor_metric", anchor_metric}, {"kmeans", kmeans}, {"anchor_order", anchor_order}};
    NbCases *const cases = nb_cases_open("anchors_labels");
    int bad = 0;
    int seen = 0;
    for (int i = 0; i < cases->count; i++) {
        const NbCase c = nb_cases_get(cases, i);
        for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
            if (strcmp(c.kind, kinds[k].kind) != 0)
                continue;
            seen++;
            if (!kinds[k].run(&c)) {
                print_error("%s differs\n", c.id);
                bad++;
            }
        }
    }
    print_message("%d anchor cases, %d differ\n", seen, bad);
    nb_cases_close(cases);
    assert_true(seen > 0);
    assert_int_equal(bad, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(anchors_are_as_in_the_source)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
