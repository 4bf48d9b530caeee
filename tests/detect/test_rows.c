/* SPDX-License-Identifier: Apache-2.0
 *
 * Heads that decode themselves: the same three boxes in each of the three layouts. */
#include "detect/picture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 4, NC = 2 };

/* x1 y1 x2 y2 score class; the third overlaps the first of its class, the last scores too little */
static const float truth[ROWS][6] = {{10, 10, 30, 50, 0.9F, 1},
                                     {100, 20, 140, 60, 0.8F, 0},
                                     {11, 10, 30, 50, 0.7F, 1},
                                     {0, 0, 5, 5, 0.2F, 0}};

static void centre(const float *t, float out[4]) {
    for (int k = 0; k < 2; k++) {
        out[k] = (t[k] + t[k + 2]) / 2.0F;
        out[k + 2] = t[k + 2] - t[k];
    }
}

static NbDetectOptions options_of(void) {
    return (NbDetectOptions){.conf = 0.25F, .iou = 0.5, .max_det = 300};
}

static void check(const NbDetections *d, size_t count, const int *rows) {
    assert_int_equal(d->count, count);
    for (size_t i = 0; i < count; i++) {
        const float *const t = truth[rows[i]];
        assert_int_equal(d->item[i].cls, (int)t[5]);
        assert_true(fabsf(d->item[i].conf - t[4]) < 1e-6F);
        for (int c = 0; c < 4; c++)
            assert_true(fabsf(d->item[i].xyxy[c] - t[c]) < 1e-4F);
    }
}

/* Where input and picture are the same. */
static NbStatus detect(const NbHead *head, const NbHeadLevel *l, int b, const NbDetectOptions *o,
                       NbArena *arena, NbDetections *d) {
    NbError err = {0};
    const NbDetectPlace place = {.gain = 1.0F, .width = 200, .height = 200};
    return nb_detect_picture(head, l, b, o, &place, arena, d, &err);
}

static void finished_rows_are_taken_as_they_are(void **state) {
    (void)state;
    NbArena arena = {0};
    NbDetections d;
    const NbHead head = {.kind = NB_HEAD_END2END, .nc = NC, .levels = 1};
    const float swapped[3][6] = {
        {100, 20, 140, 60, 0.8F, 0}, {10, 10, 30, 50, 0.9F, 1}, {11, 10, 30, 50, 0.7F, 1}};
    NbDetectOptions o = options_of();
    NbHeadLevel l = nb_head_level_nhwc(&head, &truth[0][0], NULL, ROWS, 1);
    assert_int_equal(detect(&head, &l, 0, &o, &arena, &d), NB_OK);
    check(&d, 3, (const int[]){0, 1, 2});
    l = nb_head_level_nhwc(&head, &swapped[0][0], NULL, 3, 1);
    o.max_det = 2;
    assert_int_equal(detect(&head, &l, 0, &o, &arena, &d), NB_OK);
    check(&d, 2, (const int[]){0, 1});
    o.classes = (const bool[]){true, false};
    assert_int_equal(detect(&head, &l, 0, &o, &arena, &d), NB_OK);
    check(&d, 1, (const int[]){1});
    const float stranger[6] = {0, 0, 1, 1, 0.9F, 2};
    l = nb_head_level_nhwc(&head, stranger, NULL, 1, 1);
    assert_int_equal(detect(&head, &l, 0, &o, &arena, &d), NB_ERR_FORMAT);
    nb_arena_release(&arena);
}

/* The second picture of a batch; the first is empty. */
static void columns_and_rows_are_suppressed(void **state) {
    (void)state;
    float columns[2][4 + NC][ROWS] = {{{0}}};
    float rows[2][ROWS][5 + NC] = {{{0}}};
    for (int i = 0; i < ROWS; i++) {
        float box[4];
        centre(truth[i], box);
        for (int c = 0; c < 4; c++)
            columns[1][c][i] = rows[1][i][c] = box[c];
        columns[1][4 + (int)truth[i][5]][i] = truth[i][4];
        rows[1][i][4] = 1.0F;
        rows[1][i][5 + (int)truth[i][5]] = truth[i][4];
    }
    NbArena arena = {0};
    NbDetections d;
    const NbDetectOptions o = options_of();
    const NbHead boxes = {.kind = NB_HEAD_BOXES, .nc = NC, .levels = 1};
    NbHeadLevel l = nb_head_level_nhwc(&boxes, &columns[0][0][0], NULL, ROWS, 1);
    assert_int_equal(detect(&boxes, &l, 1, &o, &arena, &d), NB_OK);
    check(&d, 2, (const int[]){0, 1});
    assert_int_equal(detect(&boxes, &l, 0, &o, &arena, &d), NB_OK);
    assert_int_equal(d.count, 0);
    const NbHead anchored = {.kind = NB_HEAD_ROWS, .nc = NC, .levels = 1};
    l = nb_head_level_nhwc(&anchored, &rows[0][0][0], NULL, ROWS, 1);
    assert_int_equal(detect(&anchored, &l, 1, &o, &arena, &d), NB_OK);
    check(&d, 2, (const int[]){0, 1});
    nb_arena_release(&arena);
}

/* With one class the objectness alone counts, unless the class is asked for. */
static void one_class_counts_when_asked_for(void **state) {
    (void)state;
    static const float row[6] = {20, 30, 20, 40, 0.9F, 0.5F};
    NbArena arena = {0};
    NbDetections d;
    const NbHead head = {.kind = NB_HEAD_ROWS, .nc = 1, .levels = 1};
    const NbHeadLevel l = nb_head_level_nhwc(&head, row, NULL, 1, 1);
    NbDetectOptions o = options_of();
    for (int asked = 0; asked < 2; asked++) {
        o.class_of_one = asked;
        assert_int_equal(detect(&head, &l, 0, &o, &arena, &d), NB_OK);
        assert_int_equal(d.count, 1);
        assert_true(fabsf(d.item[0].conf - (asked ? 0.45F : 0.9F)) < 1e-6F);
    }
    nb_arena_release(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finished_rows_are_taken_as_they_are),
        cmocka_unit_test(columns_and_rows_are_suppressed),
        cmocka_unit_test(one_class_counts_when_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
