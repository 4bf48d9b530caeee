/* SPDX-License-Identifier: Apache-2.0
 *
 * Assignment, loss, gradient and box similarity against the reference vectors. */
#include "detect/similarity.h"
#include "detect/yolov5_loss.h"
#include "support/vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static double hyp(const NbCase *c, const char *key) {
    const json_t *const v = json_object_get(json_object_get(c->params, "hyp"), key);
    if (!json_is_number(v))
        fail_msg("case %s: no hyp.%s", c->id, key);
    return json_number_value(v);
}

static const json_t *list(const NbCase *c, const char *key) {
    const json_t *const v = json_object_get(c->params, key);
    if (!json_is_array(v))
        fail_msg("case %s: no list %s", c->id, key);
    return v;
}

static double at(const json_t *array, size_t i) {
    return json_number_value(json_array_get(array, i));
}

/* The level at stride 16, whose balance autobalance keeps at 1. */
static int stride16(const json_t *strides) {
    for (size_t i = 0; i < json_array_size(strides); i++)
        if (at(strides, i) == 16.0)
            return (int)i;
    return 0;
}

static NbYolov5Loss loss_of(const NbCase *c) {
    const json_t *const anchors = list(c, "anchors");
    const json_t *const strides = list(c, "strides");
    const json_t *const balance = list(c, "balance");
    NbYolov5Loss loss = {
        .nc = (int)nb_case_number(c, "nc", 0),
        .levels = (int)json_array_size(anchors),
        .anchors = (int)json_array_size(json_array_get(anchors, 0)) / 2,
        .box = hyp(c, "box"),
        .obj = hyp(c, "obj"),
        .cls = hyp(c, "cls"),
        .obj_pw = hyp(c, "obj_pw"),
        .cls_pw = hyp(c, "cls_pw"),
        .anchor_t = hyp(c, "anchor_t"),
        .fl_gamma = hyp(c, "fl_gamma"),
        .label_smoothing = hyp(c, "label_smoothing"),
        .autobalance = nb_case_bool(c, "autobalance", false),
        .stride16_level = stride16(strides),
    };
    assert_in_range(loss.levels, 1, NB_LOSS_MAX_LEVELS);
    assert_in_range(loss.anchors, 1, NB_LOSS_MAX_ANCHORS);
    for (int i = 0; i < loss.levels; i++) {
        const json_t *const row = json_array_get(anchors, (size_t)i);
        loss.balance[i] = at(balance, (size_t)i);
        for (int k = 0; k < 2 * loss.anchors; k++)
            loss.anchor[i][k / 2][k % 2] =
                (float)at(row, (size_t)k) / (float)at(strides, (size_t)i);
    }
    return loss;
}

static const char *name(const char *stem, int level) {
    static char text[32];
    (void)snprintf(text, sizeof text, "%s%d", stem, level);
    return text;
}

static NbTarget *targets_of(const NbCase *c, size_t *n) {
    size_t values = 0;
    const float *const row = nb_case_f32(c, "targets", &values);
    *n = values / 6;
    NbTarget *const out = NB_NEW(&c->all->arena, NbTarget, *n);
    assert_non_null(out);
    for (size_t i = 0; i < *n; i++) {
        out[i].image = (int)row[6 * i];
        out[i].cls = (int)row[6 * i + 1];
        memcpy(out[i].xywh, row + 6 * i + 2, sizeof out[i].xywh);
    }
    return out;
}

static NbHeadLevel level_of(const NbCase *c, int i, int *batch) {
    const NbTensor raw = nb_case_array(c, name("raw", i));
    const int64_t *const d = raw.shape.dim;
    *batch = (int)d[0];
    float *const grad = NB_NEW(&c->all->arena, float, nb_tensor_count(&raw));
    assert_non_null(grad);
    for (size_t k = 0; k < nb_tensor_count(&raw); k++)
        grad[k] = 1e9F; /* must be written */
    return (NbHeadLevel){.raw = nb_f32(&raw),
                         .grad = grad,
                         .ny = (int)d[2],
                         .nx = (int)d[3],
                         .sc = 1,
                         .sx = d[4],
                         .sy = d[3] * d[4],
                         .sa = d[2] * d[3] * d[4],
                         .sb = d[1] * d[2] * d[3] * d[4]};
}

static int check_matches(const NbCase *c, const NbYolov5Loss *loss, int i, const NbHeadLevel *head,
                         const NbTarget *target, size_t n_targets) {
    NbError err = {0};
    NbMatch *m = NULL;
    size_t n = 0;
    NbArena *const arena = &c->all->arena;
    if (nb_yolov5_assign(loss, i, head->ny, head->nx, target, n_targets, arena, &m, &n, &err) !=
        NB_OK)
        fail_msg("case %s: %s", c->id, err.message);
    float *const index = NB_NEW(arena, float, 4 * n);
    float *const box = NB_NEW(arena, float, 4 * n);
    float *const cls = NB_NEW(arena, float, n);
    float *const anchor = NB_NEW(arena, float, 2 * n);
    assert_true(index && box && cls && anchor);
    for (size_t k = 0; k < n; k++) {
        const int place[4] = {m[k].image, m[k].anchor, m[k].row, m[k].column};
        for (int j = 0; j < 4; j++)
            index[4 * k + (size_t)j] = (float)place[j];
        memcpy(box + 4 * k, m[k].box, sizeof m[k].box);
        memcpy(anchor + 2 * k, loss->anchor[i][m[k].anchor], 2 * sizeof *anchor);
        cls[k] = (float)m[k].cls;
    }
    int bad = 0;
    bad += !nb_case_compare(c, name("index", i), index, 4 * n);
    bad += !nb_case_compare(c, name("tbox", i), box, 4 * n);
    bad += !nb_case_compare(c, name("tcls", i), cls, n);
    bad += !nb_case_compare(c, name("anch", i), anchor, 2 * n);
    return bad;
}

static int check_loss(const NbCase *c) {
    NbYolov5Loss loss = loss_of(c);
    size_t n_targets = 0;
    const NbTarget *const target = targets_of(c, &n_targets);
    NbHeadLevel head[NB_LOSS_MAX_LEVELS];
    int batch = 0;
    int bad = 0;
    for (int i = 0; i < loss.levels; i++) {
        head[i] = level_of(c, i, &batch);
        bad += check_matches(c, &loss, i, &head[i], target, n_targets);
    }
    NbArena scratch = {0};
    NbError err = {0};
    double items[3];
    double total = 0;
    const int calls = (int)nb_case_number(c, "calls", 1);
    for (int i = 0; i < calls; i++)
        if (nb_yolov5_loss(&loss, head, batch, target, n_targets, &scratch, items, &total, &err) !=
            NB_OK)
            fail_msg("case %s: %s", c->id, err.message);
    nb_arena_release(&scratch);
    const float items32[3] = {(float)items[0], (float)items[1], (float)items[2]};
    const float total32 = (float)total;
    bad += !nb_case_compare(c, "items", items32, 3);
    bad += !nb_case_compare(c, "total", &total32, 1);
    for (int i = 0; i < loss.levels; i++)
        bad +=
            !nb_case_compare(c, name("grad", i), head[i].grad, (size_t)batch * (size_t)head[i].sb);
    if (nb_case_has(c, "balance")) {
        float balance[NB_LOSS_MAX_LEVELS];
        for (int i = 0; i < loss.levels; i++)
            balance[i] = (float)loss.balance[i];
        bad += !nb_case_compare(c, "balance", balance, (size_t)loss.levels);
    }
    return bad;
}

static int check_similarity(const NbCase *c) {
    static const struct {
        NbSimilarity kind;
        const char *value, *grad;
    } rows[] = {{NB_IOU, "IoU", "IoU_grad1"},
                {NB_GIOU, "GIoU", "GIoU_grad1"},
                {NB_DIOU, "DIoU", "DIoU_grad1"},
                {NB_CIOU, "CIoU", "CIoU_grad1"}};
    size_t values = 0;
    const float *const box1 = nb_case_f32(c, "box1", &values);
    const float *const box2 = nb_case_f32(c, "box2", NULL);
    const size_t n = values / 4;
    float *const value = NB_NEW(&c->all->arena, float, n);
    float *const grad = NB_NEW(&c->all->arena, float, 4 * n);
    assert_true(value && grad);
    int bad = 0;
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        for (size_t i = 0; i < n; i++)
            value[i] = nb_box_similarity(rows[k].kind, box1 + 4 * i, box2 + 4 * i, grad + 4 * i);
        bad += !nb_case_compare(c, rows[k].value, value, n);
        bad += !nb_case_compare(c, rows[k].grad, grad, 4 * n);
    }
    return bad;
}

static void loss_equals_the_reference(void **state) {
    (void)state;
    NbCases *const cases = nb_cases_open("yolov5_loss");
    int bad = 0;
    int seen = 0;
    for (int i = 0; i < cases->count; i++) {
        const NbCase c = nb_cases_get(cases, i);
        const int before = bad;
        if (strcmp(c.kind, "yolov5_loss") == 0)
            bad += check_loss(&c);
        else if (strcmp(c.kind, "box_iou") == 0)
            bad += check_similarity(&c);
        else
            fail_msg("case %s: unknown kind %s", c.id, c.kind);
        seen++;
        if (bad > before)
            print_error("case %s fell short\n", c.id);
    }
    nb_cases_close(cases);
    assert_true(seen > 0);
    assert_int_equal(bad, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(loss_equals_the_reference)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
