/* SPDX-License-Identifier: Apache-2.0
 *
 * From raw outputs to the detections of a picture, against decoding every cell. */
#include "base/random.h"
#include "detect/picture.h"
#include "detect/yolov8_decode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { BATCH = 2, LEVELS = 2, ANCHORS = 3, SIDE = 8, MAX_NC = 3 };

static NbHead make_head(int nc) {
    NbHead head = {.nc = nc, .levels = LEVELS, .anchors = ANCHORS, .stride = {8.0F, 16.0F}};
    for (int i = 0; i < LEVELS; i++)
        for (int a = 0; a < ANCHORS; a++) {
            head.anchor[i][a][0] = (float)(10 + 7 * a + 20 * i);
            head.anchor[i][a][1] = (float)(14 + 9 * a + 20 * i);
        }
    return head;
}

/* Every cell decoded, one level after the other; the same options as plain code. */
static NbDetections expect(const NbHead *head, const NbHeadLevel *level, int b,
                           const NbDetectOptions *o, const NbDetectPlace *place, NbArena *arena) {
    const size_t length = 5 + (size_t)head->nc;
    size_t n = 0;
    float *const rows = NB_NEW(arena, float, 2 * ANCHORS * SIDE * SIDE * length);
    for (int i = 0; i < LEVELS; i++) {
        nb_yolov5_decode(o->decode, &level[i], b, ANCHORS, head->nc, head->anchor[i],
                         head->stride[i], rows + n * length);
        n += (size_t)ANCHORS * (size_t)level[i].ny * (size_t)level[i].nx;
    }
    for (size_t i = 0; i < n && head->nc == 1 && !o->class_of_one; i++)
        rows[i * length + 5] = 1.0F;
    const NbNmsOptions nms = {.conf = o->conf,
                              .iou = o->iou,
                              .max_det = o->max_det,
                              .multi_label = true,
                              .agnostic = o->agnostic,
                              .classes = o->classes,
                              .has_obj = true};
    NbDetections out = {0};
    NbError err;
    assert_int_equal(nb_nms(rows, n, head->nc, &nms, arena, &out.item, &out.count, &err), NB_OK);
    for (size_t i = 0; i < out.count; i++)
        nb_box_unletterbox(out.item[i].xyxy, place->gain, place->pad, place->width, place->height);
    return out;
}

static void every_picture_is_as_if_all_was_decoded(void **state) {
    (void)state;
    static const bool second[MAX_NC] = {false, true, false};
    static const struct {
        int nc;
        NbDetectOptions options;
    } rows[] = {
        {1, {.conf = 0.3F, .iou = 0.45, .max_det = 300}},
        {1, {.conf = 0.3F, .iou = 0.45, .max_det = 300, .class_of_one = true}},
        {3, {.conf = 0.1F, .iou = 0.6, .max_det = 300}},
        {3, {.conf = 0.1F, .iou = 0.6, .max_det = 5}},
        {3, {.conf = 0.1F, .iou = 0.6, .max_det = 300, .agnostic = true}},
        {3, {.conf = 0.1F, .iou = 0.6, .max_det = 300, .agnostic = true, .classes = second}},
        {3, {.conf = 0.6F, .iou = 0.6, .max_det = 300, .decode = NB_DECODE_HARDTANH_F}},
        {2, {.conf = 0.3F, .iou = 0.6, .max_det = 300, .decode = NB_DECODE_HARDTANH_Q}},
    };
    const NbDetectPlace place = {.gain = 0.5F, .pad = {0.0F, 7.5F}, .width = 100, .height = 80};
    static float raw[LEVELS][BATCH * ANCHORS * (5 + MAX_NC) * SIDE * SIDE];
    NbRandom r = nb_random(4, NB_RANDOM_TEST, 0, 0);
    NbArena arena = {0};
    NbError err;
    for (int i = 0; i < LEVELS; i++)
        for (size_t k = 0; k < sizeof raw[i] / sizeof *raw[i]; k++)
            raw[i][k] = (float)nb_random_range(&r, -1.0, 1.0);
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        const NbHead head = make_head(rows[k].nc);
        const NbDetectOptions *const o = &rows[k].options;
        const NbHeadLevel level[LEVELS] = {nb_head_level_nhwc(&head, raw[0], NULL, SIDE, SIDE),
                                           nb_head_level_nhwc(&head, raw[1], NULL, SIDE / 2, 3)};
        for (int b = 0; b < BATCH; b++) {
            NbDetections got;
            const NbDetections want = expect(&head, level, b, o, &place, &arena);
            assert_int_equal(nb_detect_picture(&head, level, b, o, &place, &arena, &got, &err),
                             NB_OK);
            assert_true(want.count > 4);
            assert_int_equal(got.count, want.count);
            assert_memory_equal(got.item, want.item, want.count * sizeof *want.item);
        }
    }
    nb_arena_release(&arena);
}

/* The same for heads without anchors. */
static NbDetections expect_dfl(const NbHead *head, const NbHeadLevel *level, int b,
                               const NbDetectOptions *o, const NbDetectPlace *place,
                               NbArena *arena) {
    const size_t length = 4 + (size_t)head->nc;
    const bool suppress = head->kind == NB_HEAD_YOLOV8;
    size_t n = 0;
    float *const rows = NB_NEW(arena, float, 2 * SIDE * SIDE * length);
    for (int i = 0; i < LEVELS; i++) {
        const NbHeadLevel *const l = &level[i];
        const NbDflLevel dfl = {.raw = l->raw + b * l->sb,
                                .ny = l->ny,
                                .nx = l->nx,
                                .sc = l->sc,
                                .sy = l->sy,
                                .sx = l->sx,
                                .stride = head->stride[i],
                                .bin = nb_head_bins(head)};
        nb_yolov8_decode(&dfl, head->reg_max, head->nc, !suppress, rows + n * length);
        n += (size_t)l->ny * (size_t)l->nx;
    }
    const NbNmsOptions nms = {.conf = o->conf,
                              .iou = o->iou,
                              .max_det = o->max_det,
                              .multi_label = !o->single_label,
                              .agnostic = o->agnostic,
                              .class_offset = 7680.0F,
                              .classes = o->classes};
    NbDetections out = {0};
    NbDetection *all = NULL;
    size_t count = 0;
    NbError err;
    if (suppress)
        assert_int_equal(nb_nms(rows, n, head->nc, &nms, arena, &all, &count, &err), NB_OK);
    else
        assert_int_equal(nb_yolov10_top(rows, n, head->nc, o->max_det, arena, &all, &count, &err),
                         NB_OK);
    out.item = NB_NEW(arena, NbDetection, count);
    for (size_t i = 0; i < count; i++) {
        nb_box_unletterbox(all[i].xyxy, place->gain, place->pad, place->width, place->height);
        if (suppress || (all[i].conf > o->conf && (!o->classes || o->classes[all[i].cls])))
            out.item[out.count++] = all[i];
    }
    return out;
}

static void heads_without_anchors_too(void **state) {
    (void)state;
    enum { BINS = 4 };
    static const bool second[MAX_NC] = {false, true, false};
    static const struct {
        NbHeadKind kind;
        int nc;
        NbDetectOptions options;
        size_t least;
    } rows[] = {
        {NB_HEAD_YOLOV8, 1, {.conf = 0.3F, .iou = 0.45, .max_det = 300}, 5},
        {NB_HEAD_YOLOV8, 3, {.conf = 0.4F, .iou = 0.6, .max_det = 300}, 5},
        {NB_HEAD_YOLOV8, 3, {.conf = 0.4F, .iou = 0.6, .max_det = 300, .single_label = true}, 5},
        {NB_HEAD_YOLOV8, 3, {.conf = 0.4F, .iou = 0.6, .max_det = 300, .agnostic = true}, 5},
        {NB_HEAD_YOLOV8, 3, {.conf = 0.4F, .iou = 0.6, .max_det = 7, .classes = second}, 5},
        {NB_HEAD_YOLOV10, 1, {.conf = 0.0F, .max_det = 300}, SIDE * SIDE + SIDE / 2 * 3},
        {NB_HEAD_YOLOV10, 3, {.conf = 0.0F, .max_det = 300}, 3 * (SIDE * SIDE + SIDE / 2 * 3)},
        {NB_HEAD_YOLOV10, 3, {.conf = 0.0F, .max_det = 20}, 20},
        {NB_HEAD_YOLOV10, 3, {.conf = 0.6F, .max_det = 50}, 5},
        {NB_HEAD_YOLOV10, 3, {.conf = 0.3F, .max_det = 50, .classes = second}, 5},
    };
    const NbDetectPlace place = {.gain = 0.5F, .pad = {0.0F, 7.5F}, .width = 100, .height = 80};
    static float raw[LEVELS][BATCH * (4 * BINS + MAX_NC) * SIDE * SIDE];
    NbRandom r = nb_random(5, NB_RANDOM_TEST, 0, 0);
    NbArena arena = {0};
    NbError err;
    for (int i = 0; i < LEVELS; i++)
        for (size_t k = 0; k < sizeof raw[i] / sizeof *raw[i]; k++)
            raw[i][k] = (float)nb_random_range(&r, -1.0, 1.0);
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        const NbHead head = {.kind = rows[k].kind,
                             .nc = rows[k].nc,
                             .levels = LEVELS,
                             .reg_max = BINS,
                             .stride = {8.0F, 16.0F}};
        const NbDetectOptions *const o = &rows[k].options;
        const NbHeadLevel level[LEVELS] = {nb_head_level_nhwc(&head, raw[0], NULL, SIDE, SIDE),
                                           nb_head_level_nhwc(&head, raw[1], NULL, SIDE / 2, 3)};
        for (int b = 0; b < BATCH; b++) {
            NbDetections got;
            const NbDetections want = expect_dfl(&head, level, b, o, &place, &arena);
            assert_int_equal(nb_detect_picture(&head, level, b, o, &place, &arena, &got, &err),
                             NB_OK);
            const size_t most = (size_t)o->max_det;
            assert_true(want.count >= (rows[k].least < most ? rows[k].least : most));
            assert_int_equal(got.count, want.count);
            assert_memory_equal(got.item, want.item, want.count * sizeof *want.item);
        }
    }
    nb_arena_release(&arena);
}

static void heads_know_their_outputs(void **state) {
    (void)state;
    static const struct {
        NbHeadKind kind;
        int outputs, first, channels;
        double conf_for_scores;
    } rows[] = {{NB_HEAD_YOLOV5, 2, 0, 3 * 8, 0.001},
                {NB_HEAD_YOLOV8, 2, 0, 4 * 16 + 3, 0.001},
                {NB_HEAD_YOLOV10, 4, 2, 4 * 16 + 3, 0.0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        NbHead head = make_head(3);
        head.kind = rows[i].kind;
        head.reg_max = 16;
        assert_int_equal(nb_head_outputs(&head), rows[i].outputs);
        assert_int_equal(nb_head_first(&head), rows[i].first);
        assert_int_equal(nb_head_channels(&head), rows[i].channels);
        const NbDetectOptions scoring = nb_head_options(&head, true);
        assert_float_equal((double)scoring.conf, rows[i].conf_for_scores, 1e-9);
        assert_float_equal((double)nb_head_options(&head, false).conf, 0.25, 1e-9);
    }
}

static void heads_know_how_they_are_read(void **state) {
    (void)state;
    NbHead head = make_head(3);
    assert_int_equal(nb_head_decode(&head), NB_DECODE_SIGMOID);
    head.hardtanh = true;
    assert_int_equal(nb_head_decode(&head), NB_DECODE_HARDTANH_F);
    static const struct {
        float stride;
        int wanted, side;
    } rows[] = {{16.0F, 1, 32},    {16.0F, 32, 32},   {16.0F, 33, 64},
                {64.0F, 100, 128}, {64.0F, 128, 128}, {32.0F, 416, 416}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        head.stride[1] = rows[i].stride;
        assert_int_equal(nb_head_side(&head, rows[i].wanted), rows[i].side);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_picture_is_as_if_all_was_decoded),
        cmocka_unit_test(heads_without_anchors_too),
        cmocka_unit_test(heads_know_their_outputs),
        cmocka_unit_test(heads_know_how_they_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
