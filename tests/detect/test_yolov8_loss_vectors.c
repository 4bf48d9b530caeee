/* SPDX-License-Identifier: Apache-2.0
 *
 * Task-aligned assignment, loss and gradient, and box similarity by corners, against the reference
 * vectors: heads as two code bases compute them, "y10" and "ul". */
#include "detect/similarity.h"
#include "detect/yolov8_loss.h"
#include "support/vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* "y10.m_" and "fg" to the name of an array. */
static const char *name(const char *prefix, const char *what) {
    static char text[2][160]; /* two may be in use */
    static int turn;
    turn = !turn;
    (void)snprintf(text[turn], sizeof text[turn], "%s%s", prefix, what);
    return text[turn];
}

static const char *numbered(const char *stem, int i) {
    static char text[64];
    (void)snprintf(text, sizeof text, "%s%d", stem, i);
    return text;
}

static double at(const NbCase *c, const char *key, size_t i) {
    const json_t *const v = json_array_get(json_object_get(c->params, key), i);
    if (!json_is_number(v))
        fail_msg("case %s: no %s[%zu]", c->id, key, i);
    return json_number_value(v);
}

static NbYolov8Loss loss_of(const NbCase *c) {
    NbYolov8Loss loss = {.nc = (int)nb_case_number(c, "nc", 0),
                         .levels = (int)json_array_size(json_object_get(c->params, "strides")),
                         .reg_max = (int)nb_case_number(c, "reg_max", 16),
                         .box = at(c, "gains", 0),
                         .cls = at(c, "gains", 1),
                         .dfl = at(c, "gains", 2),
                         .alpha = nb_case_number(c, "alpha", 0.5),
                         .beta = nb_case_number(c, "beta", 6.0),
                         .topk = (int)nb_case_number(c, "topk", 10),
                         .weight = 1.0};
    assert_in_range(loss.levels, 1, NB_LOSS_MAX_LEVELS);
    for (int i = 0; i < loss.levels; i++)
        loss.stride[i] = (float)at(c, "strides", (size_t)i);
    return loss;
}

static NbLossBatch batch_of(const NbCase *c) {
    size_t values = 0;
    const float *const row = nb_case_f32(c, "targets", &values);
    const size_t n = values / 6;
    NbTarget *const out = NB_NEW(&c->all->arena, NbTarget, n);
    assert_non_null(out);
    for (size_t i = 0; i < n; i++) {
        out[i].image = (int)row[6 * i];
        out[i].cls = (int)row[6 * i + 1];
        memcpy(out[i].xywh, row + 6 * i + 2, sizeof out[i].xywh);
    }
    return (NbLossBatch){(int)nb_case_number(c, "batch", 0), out, n};
}

static void make_levels(const NbCase *c, const char *stem, int n, NbHeadLevel *out) {
    for (int i = 0; i < n; i++) {
        const NbTensor raw = nb_case_array(c, numbered(stem, i));
        const int64_t *const d = raw.shape.dim;
        float *const grad = NB_NEW(&c->all->arena, float, nb_tensor_count(&raw));
        assert_non_null(grad);
        for (size_t k = 0; k < nb_tensor_count(&raw); k++)
            grad[k] = 1e9F; /* must be written */
        out[i] = (NbHeadLevel){.raw = nb_f32(&raw),
                               .grad = grad,
                               .ny = (int)d[2],
                               .nx = (int)d[3],
                               .sx = 1,
                               .sy = d[3],
                               .sc = d[2] * d[3],
                               .sb = d[1] * d[2] * d[3]};
    }
}

/* What the reference tells of an assignment, one array each. */
typedef struct Told {
    float *fg, *gt_idx, *label, *weight, *box;
} Told;

static Told take_told(NbArena *arena, size_t n) {
    const Told t = {NB_NEW(arena, float, n), NB_NEW(arena, float, n), NB_NEW(arena, float, n),
                    NB_NEW(arena, float, n), NB_NEW(arena, float, 4 * n)};
    assert_true(t.fg && t.gt_idx && t.label && t.weight && t.box);
    return t;
}

/* Index of a target within its picture. */
static int index_in_picture(const NbLossBatch *batch, int32_t target) {
    int n = 0;
    for (int32_t i = 0; i < target; i++)
        n += batch->target[i].image == batch->target[target].image;
    return n;
}

static int check_matches(const NbCase *c, const char *prefix, const NbYolov8Loss *loss,
                         const NbHeadLevel *level, const NbLossBatch *batch) {
    NbError err = {0};
    NbTaskMatch *match = NULL;
    size_t cells = 0;
    if (nb_yolov8_assign(loss, level, batch, &c->all->arena, &match, &cells, &err) != NB_OK)
        fail_msg("case %s: %s", c->id, err.message);
    const size_t n = (size_t)batch->pictures * cells;
    const Told told = take_told(&c->all->arena, n);
    for (size_t i = 0; i < n; i++) {
        const int32_t t = match[i].target;
        told.fg[i] = t >= 0 ? 1.0F : 0.0F;
        told.gt_idx[i] = t >= 0 ? (float)index_in_picture(batch, t) : -1.0F;
        told.label[i] = t >= 0 ? (float)batch->target[t].cls : -1.0F;
        told.weight[i] = match[i].weight;
        if (t >= 0)
            nb_target_corners(&batch->target[t], (float)level[0].nx * loss->stride[0],
                              (float)level[0].ny * loss->stride[0], told.box + 4 * i);
    }
    int bad = 0;
    bad += !nb_case_compare(c, name(prefix, "fg"), told.fg, n);
    bad += !nb_case_compare(c, name(prefix, "gt_idx"), told.gt_idx, n);
    bad += !nb_case_compare(c, name(prefix, "label"), told.label, n);
    bad += !nb_case_compare(c, name(prefix, "weight"), told.weight, n);
    bad += !nb_case_compare(c, name(prefix, "box"), told.box, 4 * n);
    return bad;
}

static int check_gradients(const NbCase *c, const char *prefix, int levels,
                           const NbHeadLevel *level, int pictures) {
    int bad = 0;
    for (int i = 0; i < levels; i++) {
        const char *const array = numbered(name(prefix, "grad"), i);
        if (nb_case_has(c, array))
            bad +=
                !nb_case_compare(c, array, level[i].grad, (size_t)pictures * (size_t)level[i].sb);
    }
    return bad;
}

static int check_values(const NbCase *c, const char *array, const double *value, size_t n) {
    float got[6];
    for (size_t i = 0; i < n; i++)
        got[i] = (float)value[i];
    return nb_case_has(c, array) ? !nb_case_compare(c, array, got, n) : 0;
}

/* One head. */
static int check_single(const NbCase *c, const char *impl, float least_side) {
    NbYolov8Loss loss = loss_of(c);
    loss.least_side = least_side;
    const NbLossBatch batch = batch_of(c);
    NbHeadLevel level[NB_LOSS_MAX_LEVELS];
    make_levels(c, "raw", loss.levels, level);
    NbArena scratch = {0};
    NbError err = {0};
    double items[3];
    double total = 0;
    if (nb_yolov8_loss(&loss, level, &batch, &scratch, items, &total, &err) != NB_OK)
        fail_msg("case %s: %s", c->id, err.message);
    nb_arena_release(&scratch);
    char head[16];
    (void)snprintf(head, sizeof head, "%s.m_", impl);
    char all[16];
    (void)snprintf(all, sizeof all, "%s.", impl);
    const double total3[3] = {items[0] * batch.pictures, items[1] * batch.pictures,
                              items[2] * batch.pictures};
    int bad = check_matches(c, head, &loss, level, &batch);
    bad += check_gradients(c, head, loss.levels, level, batch.pictures);
    bad += check_values(c, name(all, "items"), items, 3);
    bad += check_values(c, name(all, "total"), &total, 1);
    bad += check_values(c, name(all, "total3"), total3, 3);
    return bad;
}

/* How the three tells of a pair of heads differ. */
typedef enum Report { SIX_ITEMS, SUMS, SECOND_ONLY } Report;

static int check_pair(const NbCase *c, const char *impl, const NbYolov10Loss *loss, Report report) {
    const NbLossBatch batch = batch_of(c);
    NbHeadLevel many[NB_LOSS_MAX_LEVELS];
    NbHeadLevel one[NB_LOSS_MAX_LEVELS];
    make_levels(c, "raw", loss->many.levels, many);
    make_levels(c, "rawo", loss->one.levels, one);
    NbArena scratch = {0};
    NbError err = {0};
    double items[6];
    double total = 0;
    if (nb_yolov10_loss(loss, many, one, &batch, &scratch, items, &total, &err) != NB_OK)
        fail_msg("case %s: %s", c->id, err.message);
    nb_arena_release(&scratch);
    char m[16];
    (void)snprintf(m, sizeof m, "%s.m_", impl);
    char o[16];
    (void)snprintf(o, sizeof o, "%s.o_", impl);
    char all[16];
    (void)snprintf(all, sizeof all, "%s.", impl);
    double sums[3];
    double total3[3];
    for (int i = 0; i < 3; i++) {
        sums[i] = items[i] + items[3 + i];
        total3[i] =
            (loss->many.weight * items[i] + loss->one.weight * items[3 + i]) * batch.pictures;
    }
    const double *const told = report == SIX_ITEMS ? items : report == SUMS ? sums : items + 3;
    int bad = check_matches(c, m, &loss->many, many, &batch);
    bad += check_matches(c, o, &loss->one, one, &batch);
    bad += check_gradients(c, m, loss->many.levels, many, batch.pictures);
    bad += check_gradients(c, o, loss->one.levels, one, batch.pictures);
    bad += check_values(c, name(all, "items"), told, report == SIX_ITEMS ? 6 : 3);
    bad += check_values(c, name(all, "total"), &total, 1);
    bad += check_values(c, name(all, "total3"), total3, 3);
    const double weights[2] = {loss->many.weight, loss->one.weight};
    bad += check_values(c, name(all, "w_o2m_o2o"), weights, 2);
    return bad;
}

static int check_dual(const NbCase *c) {
    const NbYolov8Loss head = loss_of(c);
    const NbYolov10Loss sum = nb_yolov10_loss_sum(&head);
    const NbYolov10Loss weighted = nb_yolov10_loss_weighted(
        &head, (int)nb_case_number(c, "ul_updates", 0), (int)nb_case_number(c, "ul_epochs", 1));
    NbYolov10Loss widened = sum;
    widened.many.least_side = weighted.many.least_side;
    widened.one.least_side = weighted.one.least_side;
    int bad = check_pair(c, "y10", &sum, SIX_ITEMS);
    if (nb_case_has(c, "ul_plain.total"))
        bad += check_pair(c, "ul_plain", &widened, SUMS);
    if (nb_case_has(c, "ul.total"))
        bad += check_pair(c, "ul", &weighted, SECOND_ONLY);
    return bad;
}

static int check_similarity(const NbCase *c) {
    static const struct {
        NbSimilarity kind;
        const char *name;
    } rows[] = {{NB_IOU, "IoU"}, {NB_GIOU, "GIoU"}, {NB_DIOU, "DIoU"}, {NB_CIOU, "CIoU"}};
    static const char *const impl[] = {"y10.", "ul."};
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
            value[i] =
                nb_box_similarity_xyxy(rows[k].kind, box1 + 4 * i, box2 + 4 * i, grad + 4 * i);
        for (size_t j = 0; j < sizeof impl / sizeof *impl; j++) {
            char array[64];
            (void)snprintf(array, sizeof array, "%s%s", impl[j], rows[k].name);
            if (!nb_case_has(c, array))
                continue;
            bad += !nb_case_compare(c, array, value, n);
            bad += !nb_case_compare(c, name(array, "_grad1"), grad, 4 * n);
        }
    }
    return bad;
}

static void loss_equals_the_reference(void **state) {
    (void)state;
    NbCases *const cases = nb_cases_open("v8_loss");
    int bad = 0;
    for (int i = 0; i < cases->count; i++) {
        const NbCase c = nb_cases_get(cases, i);
        const int before = bad;
        if (strcmp(c.kind, "v8_single") == 0) {
            bad += check_single(&c, "y10", 0.0F);
            if (nb_case_has(&c, "ul.total"))
                bad += check_single(&c, "ul", (float)at(&c, "strides", 1));
        } else if (strcmp(c.kind, "v8_dual") == 0) {
            bad += check_dual(&c);
        } else if (strcmp(c.kind, "box_iou") == 0) {
            bad += check_similarity(&c);
        } else {
            fail_msg("case %s: unknown kind %s", c.id, c.kind);
        }
        if (bad > before)
            print_error("case %s fell short\n", c.id);
    }
    assert_true(cases->count > 0);
    nb_cases_close(cases);
    assert_int_equal(bad, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(loss_equals_the_reference)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
