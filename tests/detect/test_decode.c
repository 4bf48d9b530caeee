/* SPDX-License-Identifier: Apache-2.0
 *
 * Decoding, ranking, suppression and selection where no reference folder is needed: golden numbers
 * and comparison with the plainest way to compute the same. */
#include "base/random.h"
#include "detect/dfl.h"
#include "detect/nms.h"
#include "detect/rank.h"
#include "detect/yolov5_decode.h"
#include "detect/yolov8_decode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#define COUNT(rows) (sizeof(rows) / sizeof *(rows))

static const float lpyolo_anchor[3][2] = {{10, 14}, {23, 27}, {37, 58}};

static void near(double got, double want, double tolerance) {
    if (!(fabs(got - want) <= tolerance))
        fail_msg("%.9g, expected %.9g", got, want);
}

/* Cell column 5, row 3 of a 4 by 6 grid; channel j holds 0.1 j - 0.9. */
static void a_cell_decodes_to_the_golden_numbers(void **state) {
    (void)state;
    static const struct {
        NbDecode mode;
        double want[3][6];
    } rows[] = {
        {NB_DECODE_SIGMOID,
         {{162.49924, 99.84163, 4.403975, 7.031330, 0.3775407, 0.4013124},
          {171.23569, 108.81062, 20.759323, 27.0, 0.5249792, 0.5498340},
          {180.76433, 118.31601, 57.343434, 96.714317, 0.6681878, 0.6899745}}},
        {NB_DECODE_HARDTANH_Q,
         {{147.2, 86.4, 0.9, 2.24, -0.5, -0.4},
          {166.4, 105.6, 18.63, 27.0, 0.1, 0.2},
          {185.6, 124.8, 83.25, 148.48, 0.7, 0.8}}},
        {NB_DECODE_HARDTANH_F,
         {{147.2, 86.4, 0.9, 2.24, 0.25, 0.3},
          {166.4, 105.6, 18.63, 27.0, 0.55, 0.6},
          {185.6, 124.8, 83.25, 148.48, 0.85, 0.9}}},
    };
    float raw[18][4][6];
    for (int i = 0; i < 18 * 24; i++)
        raw[i / 24][i / 6 % 4][i % 6] = (float)(0.1 * (i / 24) - 0.9);
    const NbHeadLevel level = {
        .raw = raw[0][0], .ny = 4, .nx = 6, .sa = 6 * 24, .sc = 24, .sy = 6, .sx = 1};
    for (size_t k = 0; k < COUNT(rows); k++) {
        float out[3][4][6][6];
        nb_yolov5_decode(rows[k].mode, &level, 0, 3, 1, lpyolo_anchor, 32.0F, out[0][0][0]);
        for (int a = 0; a < 3; a++)
            for (int i = 0; i < 6; i++)
                near((double)out[a][3][5][i], rows[k].want[a][i], 2e-5);
    }
}

static float random_float(NbRandom *r, double lo, double hi) {
    return (float)nb_random_range(r, lo, hi);
}

/* Logits close to the threshold, and thresholds from nothing to everything. */
static void candidates_are_the_rows_above_conf(void **state) {
    (void)state;
    enum { NC = 2, N = 24, LENGTH = 5 + NC, CELLS = 3 * N * N };
    static const float conf[] = {0.0F, 1e-7F, 0.001F, 0.25F, 0.5F, 0.75F, 0.98F, 0.995F, 1.0F};
    static float raw[CELLS * LENGTH];
    static float full[CELLS * LENGTH];
    NbRandom r = nb_random(1, NB_RANDOM_TEST, 0, 0);
    NbArena arena = {0};
    for (size_t k = 0; k < COUNT(conf); k++) {
        const double p = fmin(fmax((double)conf[k], 1e-6), 1 - 1e-6);
        const double logit = log(p / (1 - p));
        for (size_t i = 0; i < COUNT(raw); i++)
            raw[i] = random_float(&r, -6, 6);
        for (size_t i = 0; i < CELLS; i += 2)
            raw[i * LENGTH + 4] = (float)(logit + nb_random_range(&r, -1, 1) * 1e-6);
        const NbHeadLevel level = {.raw = raw,
                                   .ny = N,
                                   .nx = N,
                                   .sa = N * N * LENGTH,
                                   .sy = N * LENGTH,
                                   .sx = LENGTH,
                                   .sc = 1};
        NbYolov5Head head = {.levels = 1, .anchors = 3, .nc = NC, .stride = {32}};
        memcpy(head.anchor_px[0], lpyolo_anchor, sizeof lpyolo_anchor);
        nb_yolov5_decode(NB_DECODE_SIGMOID, &level, 0, 3, NC, lpyolo_anchor, 32, full);
        float *rows = NULL;
        size_t n = 0;
        NbError err = {0};
        assert_int_equal(nb_yolov5_candidates(&head, &level, 0, conf[k], &arena, &rows, &n, &err),
                         NB_OK);
        size_t at = 0;
        for (size_t i = 0; i < CELLS; i++)
            if (full[i * LENGTH + 4] > conf[k]) {
                assert_true(at < n);
                assert_memory_equal(full + i * LENGTH, rows + at++ * LENGTH, LENGTH * sizeof *rows);
            }
        assert_int_equal(at, n);
    }
    nb_arena_release(&arena);
}

/* Cells of two levels, logits close to the threshold, both layouts. */
static void yolov8_candidates_are_the_rows_above_conf(void **state) {
    (void)state;
    enum { NC = 3, BINS = 4, N = 12, LENGTH = 4 + NC, CHANNELS = 4 * BINS + NC, CELLS = 5 * N * N };
    static const float conf[] = {0.0F, 1e-7F, 0.001F, 0.25F, 0.5F, 0.98F, 0.995F, 1.0F};
    static float raw[2][CELLS * CHANNELS];
    static float full[CELLS * LENGTH];
    NbRandom r = nb_random(3, NB_RANDOM_TEST, 0, 0);
    NbArena arena = {0};
    NbError err = {0};
    for (size_t k = 0; k < 2 * COUNT(conf); k++) {
        const float c = conf[k / 2];
        const double p = fmin(fmax((double)c, 1e-6), 1 - 1e-6);
        const bool by_cell = k % 2;
        NbDflLevel level[2];
        const NbDflHead head = {.levels = 2, .reg_max = BINS, .nc = NC, .xyxy = true};
        for (int i = 0; i < 2; i++) {
            const int n = i ? N : 2 * N;
            for (int j = 0; j < n * n * CHANNELS; j++)
                raw[i][j] = nb_random_below(&r, 4)
                                ? random_float(&r, -9, 2)
                                : (float)(log(p / (1 - p)) + nb_random_range(&r, -1, 1) * 1e-6);
            raw[i][7] = NAN;
            level[i] = (NbDflLevel){.raw = raw[i],
                                    .ny = n,
                                    .nx = n,
                                    .sc = by_cell ? 1 : n * n,
                                    .sy = by_cell ? n * CHANNELS : n,
                                    .sx = by_cell ? CHANNELS : 1,
                                    .stride = (float)(8 << i)};
        }
        nb_yolov8_decode(&level[0], BINS, NC, true, full);
        nb_yolov8_decode(&level[1], BINS, NC, true, full + (ptrdiff_t)4 * N * N * LENGTH);
        float *rows = NULL;
        size_t n = 0;
        assert_int_equal(nb_yolov8_candidates(&head, level, c, 0, &arena, &rows, &n, &err), NB_OK);
        size_t at = 0;
        for (size_t i = 0; i < CELLS; i++) {
            const float *const s = full + i * LENGTH + 4;
            if (!(s[0] > c || s[1] > c || s[2] > c))
                continue;
            assert_true(at < n);
            assert_memory_equal(full + i * LENGTH, rows + at++ * LENGTH, LENGTH * sizeof *rows);
        }
        assert_int_equal(at, n);
    }
    nb_arena_release(&arena);
}

/* What selection finds above conf does not need the other cells. */
static void selection_from_candidates_is_that_from_all(void **state) {
    (void)state;
    enum { NC = 3, BINS = 4, N = 24, LENGTH = 4 + NC, MOST = 40 };
    static float raw[N * N * (4 * BINS + NC)];
    static float full[N * N * LENGTH];
    NbRandom r = nb_random(4, NB_RANDOM_TEST, 0, 0);
    NbArena arena = {0};
    NbError err = {0};
    for (size_t i = 0; i < COUNT(raw); i++)
        raw[i] = roundf(random_float(&r, -9, 1) * 8) / 8; /* ties */
    const NbDflLevel level = {
        .raw = raw, .ny = N, .nx = N, .sc = (ptrdiff_t)N * N, .sy = N, .sx = 1, .stride = 8};
    const NbDflHead head = {.levels = 1, .reg_max = BINS, .nc = NC, .xyxy = true};
    nb_yolov8_decode(&level, BINS, NC, true, full);
    for (int k = 0; k < 16; k++) {
        const float conf = (float)(k / 2) * 0.1F;
        const int most = k % 2 ? MOST : 0;
        float *rows = NULL;
        size_t n_rows = 0;
        NbDetection *all = NULL;
        NbDetection *few = NULL;
        size_t n_all = 0;
        size_t n_few = 0;
        assert_int_equal(
            nb_yolov8_candidates(&head, &level, conf, most, &arena, &rows, &n_rows, &err), NB_OK);
        assert_true(!most || n_rows <= MOST);
        assert_int_equal(nb_yolov10_top(full, (size_t)N * N, NC, MOST, &arena, &all, &n_all, &err),
                         NB_OK);
        assert_int_equal(nb_yolov10_top(rows, n_rows, NC, MOST, &arena, &few, &n_few, &err), NB_OK);
        size_t at = 0;
        for (; at < n_all && all[at].conf > conf; at++) {
            assert_true(at < n_few);
            assert_memory_equal(&all[at], &few[at], sizeof *all);
        }
        assert_true(at == n_few || !(few[at].conf > conf));
    }
    nb_arena_release(&arena);
}

static void ranking_is_stable_and_falling(void **state) {
    (void)state;
    static const size_t sizes[] = {0, 1, 2, 7, 47, 48, 49, 50, 1000, 5000};
    static float score[5000];
    static uint32_t order[5000];
    NbRandom r = nb_random(2, NB_RANDOM_TEST, 0, 0);
    NbArena arena = {0};
    NbError err = {0};
    for (size_t k = 0; k < COUNT(sizes); k++) {
        const size_t n = sizes[k];
        for (size_t i = 0; i < n; i++) {
            /* few values, so that ties are many; both zeros; both infinities */
            const uint32_t v = nb_random_below(&r, 20);
            score[i] = v == 0   ? -0.0F
                       : v == 1 ? INFINITY
                       : v == 2 ? -INFINITY
                                : ((float)v - 10.0F) / 7;
            if (v > 16)
                score[i] = random_float(&r, -1e-3, 1e3);
        }
        assert_int_equal(nb_rank_scores(score, n, order, &arena, &err), NB_OK);
        bool seen[5000] = {false};
        for (size_t i = 0; i < n; i++) {
            assert_true(order[i] < n && !seen[order[i]]);
            seen[order[i]] = true;
            if (i == 0)
                continue;
            const float above = score[order[i - 1]];
            const float below = score[order[i]];
            assert_true(above > below || (above == below && order[i - 1] < order[i]));
        }
    }
    nb_arena_release(&arena);
}

static void suppression_gives_the_golden_rows(void **state) {
    (void)state;
    static const float rows[6][6] = {{100, 100, 40, 60, .9F, .8F}, {102, 101, 42, 58, .85F, .9F},
                                     {200, 150, 30, 30, .5F, .6F}, {300, 300, 50, 80, .3F, .7F},
                                     {101, 99, 38, 62, .7F, .99F}, {50, 50, 10, 10, .2F, .9F}};
    static const struct {
        float conf;
        double iou;
        size_t n;
    } cases[] = {{.25F, .45, 2}, {.02F, .10, 4}};
    static const float want[4][5] = {{81, 72, 123, 130, .765F},
                                     {185, 135, 215, 165, .30F},
                                     {275, 260, 325, 340, .21F},
                                     {45, 45, 55, 55, .18F}};
    NbArena arena = {0};
    for (size_t k = 0; k < COUNT(cases); k++) {
        const NbNmsOptions o = {
            .conf = cases[k].conf, .iou = cases[k].iou, .max_det = 300, .has_obj = true};
        NbDetection *d = NULL;
        size_t n = 0;
        NbError err = {0};
        assert_int_equal(nb_nms(rows[0], 6, 1, &o, &arena, &d, &n, &err), NB_OK);
        assert_int_equal(n, cases[k].n);
        for (size_t i = 0; i < n; i++) {
            for (int j = 0; j < 4; j++)
                near((double)d[i].xyxy[j], (double)want[i][j], 1e-4);
            near((double)d[i].conf, (double)want[i][4], 1e-6);
            assert_int_equal(d[i].cls, 0);
        }
    }
    nb_arena_release(&arena);
}

enum { MAX_ROWS = 400, MAX_NC = 3, MAX_PAIRS = MAX_ROWS * MAX_NC };

typedef struct Pair {
    NbDetection d;
    bool gone;
} Pair;

/* The plainest suppression: pick the best that is left, drop what overlaps it. */
static size_t plain_nms(const float *rows, size_t n, int nc, const NbNmsOptions *o,
                        NbDetection *out) {
    static Pair pair[MAX_PAIRS];
    size_t pairs = 0;
    for (size_t i = 0; i < n; i++) {
        const float *const row = rows + i * (size_t)(5 + nc);
        if (!(row[4] > o->conf))
            continue;
        int best = 0;
        for (int c = 1; c < nc; c++)
            if (row[5 + c] * row[4] > row[5 + best] * row[4])
                best = c;
        for (int c = 0; c < nc; c++) {
            if ((!o->multi_label && c != best) || !(row[5 + c] * row[4] > o->conf))
                continue;
            pair[pairs++] = (Pair){.d = {.xyxy = {row[0] - row[2] / 2, row[1] - row[3] / 2,
                                                  row[0] + row[2] / 2, row[1] + row[3] / 2},
                                         .conf = row[5 + c] * row[4],
                                         .cls = c}};
        }
    }
    size_t kept = 0;
    while (kept < (size_t)o->max_det) {
        size_t best = pairs;
        for (size_t i = 0; i < pairs; i++)
            if (!pair[i].gone && (best == pairs || pair[i].d.conf > pair[best].d.conf))
                best = i;
        if (best == pairs)
            break;
        out[kept++] = pair[best].d;
        pair[best].gone = true;
        for (size_t i = 0; i < pairs; i++)
            if ((o->agnostic || pair[i].d.cls == pair[best].d.cls) &&
                (double)nb_box_iou(pair[i].d.xyxy, pair[best].d.xyxy) > o->iou)
                pair[i].gone = true;
    }
    return kept;
}

/* Coordinates are multiples of 1/4, so that the shift by class rounds nothing away. */
static void suppression_equals_the_plain_one(void **state) {
    (void)state;
    static float rows[MAX_ROWS * (5 + MAX_NC)];
    static NbDetection want[MAX_PAIRS];
    NbRandom r = nb_random(3, NB_RANDOM_TEST, 0, 0);
    NbArena arena = {0};
    for (int round = 0; round < 200; round++) {
        const size_t n = nb_random_below(&r, MAX_ROWS + 1);
        const int nc = 1 + (int)nb_random_below(&r, MAX_NC);
        for (size_t i = 0; i < n * (size_t)(5 + nc); i++) {
            const size_t k = i % (size_t)(5 + nc);
            const uint32_t units = nb_random_below(&r, k < 2 ? 800 : 160);
            rows[i] = k < 4 ? (float)units / 4.0F : (float)nb_random_below(&r, 17) / 16.0F;
            if (k == 2 || k == 3)
                rows[i] = (float)(units / 2 * 2) / 4.0F + 0.5F;
        }
        const NbNmsOptions o = {.conf = random_float(&r, 0, 0.3),
                                .iou = nb_random_range(&r, 0.05, 0.95),
                                .max_det = 1 + (int)nb_random_below(&r, 400),
                                .multi_label = nb_random_below(&r, 2) == 1 && nc > 1,
                                .agnostic = nb_random_below(&r, 2) == 1,
                                .has_obj = true};
        NbDetection *d = NULL;
        size_t count = 0;
        NbError err = {0};
        assert_int_equal(nb_nms(rows, n, nc, &o, &arena, &d, &count, &err), NB_OK);
        assert_int_equal(count, plain_nms(rows, n, nc, &o, want));
        for (size_t i = 0; i < count; i++)
            assert_true(memcmp(&d[i], &want[i], sizeof *d) == 0);
        nb_arena_release(&arena);
    }
}

static void only_the_best_are_looked_at(void **state) {
    (void)state;
    /* far apart, scores rising: with max_nms 2 the last two remain */
    float rows[5][6];
    for (int i = 0; i < 5; i++) {
        const float row[6] = {100.0F * (float)i, 50, 20, 20, 1, 0.1F * (float)(i + 1)};
        memcpy(rows[i], row, sizeof row);
    }
    const bool none[1] = {false};
    NbNmsOptions o = {.conf = 0.05F, .iou = 0.5, .max_det = 10, .max_nms = 2, .has_obj = true};
    NbArena arena = {0};
    NbDetection *d = NULL;
    size_t n = 0;
    NbError err = {0};
    assert_int_equal(nb_nms(rows[0], 5, 1, &o, &arena, &d, &n, &err), NB_OK);
    assert_int_equal(n, 2);
    near((double)d[0].conf, 0.5, 1e-6);
    near((double)d[1].conf, 0.4, 1e-6);
    o.classes = none;
    assert_int_equal(nb_nms(rows[0], 5, 1, &o, &arena, &d, &n, &err), NB_OK);
    assert_int_equal(n, 0);
    o.max_det = 0;
    assert_int_equal(nb_nms(rows[0], 5, 1, &o, &arena, &d, &n, &err), NB_ERR_ARGUMENT);
    nb_arena_release(&arena);
}

/* Sorting every pair by score, row, class gives what the two steps of the selection give. */
static void selection_equals_sorting_all(void **state) {
    (void)state;
    enum { N = 60, NC = 4 };
    static float rows[N * (4 + NC)];
    NbRandom r = nb_random(4, NB_RANDOM_TEST, 0, 0);
    NbArena arena = {0};
    for (int round = 0; round < 50; round++) {
        for (size_t i = 0; i < COUNT(rows); i++)
            rows[i] = random_float(&r, 0, 1);
        const int max_det = 1 + (int)nb_random_below(&r, N);
        NbDetection *d = NULL;
        size_t n = 0;
        NbError err = {0};
        assert_int_equal(nb_yolov10_top(rows, N, NC, max_det, &arena, &d, &n, &err), NB_OK);
        assert_int_equal(n, max_det);
        for (size_t k = 0; k < n; k++) {
            size_t better = 0;
            for (size_t i = 0; i < N * NC; i++)
                better += rows[i / NC * (4 + NC) + 4 + i % NC] > d[k].conf;
            assert_int_equal(better, k); /* scores are all different */
        }
        nb_arena_release(&arena);
    }
    rows[4] = NAN;
    NbDetection *d = NULL;
    size_t n = 0;
    NbError err = {0};
    assert_int_equal(nb_yolov10_top(rows, N, NC, 5, &arena, &d, &n, &err), NB_ERR_ARGUMENT);
    nb_arena_release(&arena);
}

static void boxes_go_back_to_the_picture(void **state) {
    (void)state;
    float box[4] = {60, 120, 200, 300};
    const float pad[2] = {0, 91};
    static const double want[4] = {185, 89, 615, 643};
    nb_box_unletterbox(box, 0.325F, pad, 1280, 720);
    for (int i = 0; i < 4; i++)
        near((double)box[i], want[i], 0.5);
    float outside[4] = {-50, 0, 5000, 5000};
    nb_box_unletterbox(outside, 0.325F, pad, 1280, 720);
    static const float clipped[4] = {0, 0, 1280, 720};
    assert_memory_equal(outside, clipped, sizeof clipped);
}

static void overlap_has_its_plain_cases(void **state) {
    (void)state;
    static const struct {
        float a[4], b[4];
        double want;
    } rows[] = {
        {{0, 0, 10, 10}, {0, 0, 10, 10}, 1},       {{0, 0, 10, 10}, {10, 0, 20, 10}, 0},
        {{0, 0, 10, 10}, {5, 0, 15, 10}, 1.0 / 3}, {{0, 0, 10, 10}, {2, 2, 4, 4}, 0.04},
        {{0, 0, 0, 0}, {0, 0, 0, 0}, 0},           {{0, 0, 1, 1}, {5, 5, 6, 6}, 0},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        near((double)nb_box_iou(rows[i].a, rows[i].b), rows[i].want, 1e-7);
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    static float rows[100 * 6];
    NbRandom r = nb_random(5, NB_RANDOM_TEST, 0, 0);
    for (size_t i = 0; i < COUNT(rows); i++)
        rows[i] = random_float(&r, 0.3, 1);
    const NbNmsOptions o = {.conf = 0.05F, .iou = 0.5, .max_det = 10, .has_obj = true};
    NbStatus status = NB_ERR_NOMEM;
    size_t takes = 0;
    while (status == NB_ERR_NOMEM) {
        NbArena arena = {.fail_at = ++takes};
        NbDetection *d = NULL;
        size_t n = 0;
        NbError err = {0};
        status = nb_nms(rows, 100, 1, &o, &arena, &d, &n, &err);
        nb_arena_release(&arena);
    }
    assert_int_equal(status, NB_OK);
    assert_true(takes > 5);
}

/* Logits of equal bins: the mean of what they stand for. */
static void bins_stand_for_what_they_say(void **state) {
    (void)state;
    const float raw[] = {1.0F, 1.0F, 1.0F, 1.0F};
    const float bin[] = {0.0F, 0.5F, 2.5F, 4.0F};
    assert_true(nb_dfl_mean(raw, 1, NULL, 4) == 1.5F);
    assert_true(nb_dfl_mean(raw, 1, bin, 4) == 1.75F);
    NbDflLevel level = {
        .raw = (float[]){1, 1, 1, 1, 1, 1, 1, 1, 0}, .ny = 1, .nx = 1, .sc = 1, .stride = 8};
    float plain[5];
    float moved[5];
    nb_yolov8_decode(&level, 2, 1, false, plain);
    level.bin = (const float[]){0.0F, 2.0F};
    nb_yolov8_decode(&level, 2, 1, false, moved);
    assert_true(plain[2] == 8.0F && moved[2] == 16.0F);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bins_stand_for_what_they_say),
        cmocka_unit_test(a_cell_decodes_to_the_golden_numbers),
        cmocka_unit_test(candidates_are_the_rows_above_conf),
        cmocka_unit_test(yolov8_candidates_are_the_rows_above_conf),
        cmocka_unit_test(selection_from_candidates_is_that_from_all),
        cmocka_unit_test(ranking_is_stable_and_falling),
        cmocka_unit_test(suppression_gives_the_golden_rows),
        cmocka_unit_test(suppression_equals_the_plain_one),
        cmocka_unit_test(only_the_best_are_looked_at),
        cmocka_unit_test(selection_equals_sorting_all),
        cmocka_unit_test(boxes_go_back_to_the_picture),
        cmocka_unit_test(overlap_has_its_plain_cases),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
