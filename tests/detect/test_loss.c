/* SPDX-License-Identifier: Apache-2.0
 *
 * The loss where no reference folder is needed: golden numbers, gradients against differences,
 * layouts, what is refused. */
#include "detect/similarity.h"
#include "detect/yolov5_loss.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

enum { LEVELS = 3, ANCHORS = 3, MAX_CHANNELS = 8 };

#define COUNT(rows) (sizeof(rows) / sizeof *(rows))

static const NbTarget golden_target[] = {
    {0, 0, {0.5F, 0.5F, 0.1F, 0.15F}},  {0, 0, {0.2F, 0.7F, 0.05F, 0.06F}},
    {1, 0, {0.96F, 0.03F, 0.3F, 0.4F}}, {1, 0, {0.31F, 0.33F, 0.02F, 0.02F}},
    {1, 0, {0.5F, 0.5F, 0.9F, 0.9F}},
};

/* One level, one class, the anchors of LPYOLO. */
static NbYolov5Loss lpyolo_loss(void) {
    static const float px[ANCHORS][2] = {{10, 14}, {23, 27}, {37, 58}};
    NbYolov5Loss loss = {.nc = 1,
                         .levels = 1,
                         .anchors = ANCHORS,
                         .balance = {4.0},
                         .box = 0.15,
                         .obj = 1.2675,
                         .cls = 0.01875,
                         .obj_pw = 1,
                         .cls_pw = 1,
                         .anchor_t = 4};
    for (int a = 0; a < ANCHORS; a++)
        for (int i = 0; i < 2; i++)
            loss.anchor[0][a][i] = px[a][i] / 32.0F;
    return loss;
}

/* Three levels, two classes, the anchors of P5. */
static NbYolov5Loss p5_loss(void) {
    static const float px[LEVELS][ANCHORS][2] = {{{10, 13}, {16, 30}, {33, 23}},
                                                 {{30, 61}, {62, 45}, {59, 119}},
                                                 {{116, 90}, {156, 198}, {373, 326}}};
    NbYolov5Loss loss = {.nc = 2,
                         .levels = LEVELS,
                         .anchors = ANCHORS,
                         .balance = {4.0, 1.0, 0.4},
                         .box = 0.05,
                         .obj = 1.0,
                         .cls = 0.5 * 2 / 80,
                         .obj_pw = 1,
                         .cls_pw = 1,
                         .anchor_t = 4,
                         .label_smoothing = 0.1,
                         .stride16_level = 1};
    for (int l = 0; l < LEVELS; l++)
        for (int a = 0; a < ANCHORS; a++)
            for (int i = 0; i < 2; i++)
                loss.anchor[l][a][i] = px[l][a][i] / (float)(8 << l);
    return loss;
}

typedef enum Layout { CELLS_FIRST, CHANNELS_FIRST, LAYOUTS } Layout;

/* Raw output of one level, 1.5 sin(0.37 k) with k counted batch, anchor, row, column, channel. */
static NbHeadLevel make_level(NbArena *arena, Layout layout, int batch, int n, int channels) {
    const ptrdiff_t cells = (ptrdiff_t)n * n;
    const size_t count = (size_t)(batch * ANCHORS * cells * channels);
    float *const raw = NB_NEW(arena, float, count);
    NbHeadLevel head = {.ny = n,
                        .nx = n,
                        .sb = ANCHORS * cells * channels,
                        .sa = cells * channels,
                        .sy = n * channels,
                        .sx = channels,
                        .sc = 1};
    if (layout == CHANNELS_FIRST) {
        head.sy = n;
        head.sx = 1;
        head.sc = cells;
    }
    head.grad = NB_NEW(arena, float, count);
    assert_true(raw && head.grad);
    int k = 0;
    for (int b = 0; b < batch; b++)
        for (int a = 0; a < ANCHORS; a++)
            for (int y = 0; y < n; y++)
                for (int x = 0; x < n; x++)
                    for (int c = 0; c < channels; c++, k++) {
                        const ptrdiff_t at =
                            b * head.sb + a * head.sa + y * head.sy + x * head.sx + c * head.sc;
                        raw[at] = (float)(1.5 * sin(0.37 * k));
                        head.grad[at] = NAN; /* must be written */
                    }
    head.raw = raw;
    return head;
}

static float gradient(const NbHeadLevel *h, int b, int a, int y, int x, int c) {
    return h->grad[b * h->sb + a * h->sa + y * h->sy + x * h->sx + c * h->sc];
}

static void run(NbYolov5Loss *loss, const NbHeadLevel *head, const NbTarget *target, size_t n,
                double items[3], double *total) {
    NbArena scratch = {0};
    NbError err = {0};
    if (nb_yolov5_loss(loss, head, 2, target, n, &scratch, items, total, &err) != NB_OK)
        fail_msg("%s", err.message);
    nb_arena_release(&scratch);
}

static void near(double got, double want, double tolerance) {
    if (!(fabs(got - want) <= tolerance * fmax(fabs(want), 1e-3)))
        fail_msg("%.9g, expected %.9g", got, want);
}

static void one_level_gives_the_golden_numbers(void **state) {
    (void)state;
    static const double norm[6] = {0.0096297, 0.0136189, 0.0065371, 0.0058328, 0.1756532, 0.0};
    NbArena arena = {0};
    for (Layout layout = CELLS_FIRST; layout < LAYOUTS; layout++) {
        NbYolov5Loss loss = lpyolo_loss();
        const NbHeadLevel head = make_level(&arena, layout, 2, 13, 6);
        double items[3];
        double total = 0;
        run(&loss, &head, golden_target, COUNT(golden_target), items, &total);
        near(total, 8.7075424, 1e-6);
        near(items[0], 0.1685807, 1e-6);
        near(items[1], 4.1851907, 1e-6);
        near(items[2], 0.0, 1e-9);
        for (int c = 0; c < 6; c++) {
            double sum = 0;
            for (int i = 0; i < 2 * ANCHORS * 13 * 13; i++) {
                const double g =
                    (double)gradient(&head, i / 507, i / 169 % 3, i / 13 % 13, i % 13, c);
                sum += g * g;
            }
            near(sqrt(sum), norm[c], 1e-4);
        }
    }
    nb_arena_release(&arena);
}

static void matches_are_counted_as_in_the_golden_case(void **state) {
    (void)state;
    NbArena arena = {0};
    NbError err = {0};
    const NbYolov5Loss loss = lpyolo_loss();
    NbMatch *match = NULL;
    size_t n = 0;
    assert_int_equal(nb_yolov5_assign(&loss, 0, 13, 13, golden_target, COUNT(golden_target), &arena,
                                      &match, &n, &err),
                     NB_OK);
    assert_int_equal(n, 19);
    nb_arena_release(&arena);
}

static void three_levels_give_the_golden_numbers(void **state) {
    (void)state;
    static const struct {
        double gamma;
        bool autobalance;
        double total, item[3];
    } rows[] = {
        {0.0, false, 9.2017536, {0.1301814, 4.4392676, 0.0314277}},
        {1.5, false, 3.8384211, {0.1301814, 1.7803283, 0.0087009}},
        {0.0, true, 9.2017536, {0.1301814, 4.4392676, 0.0314277}},
    };
    NbTarget target[COUNT(golden_target)];
    memcpy(target, golden_target, sizeof target);
    target[1].cls = target[2].cls = target[4].cls = 1;
    NbArena arena = {0};
    for (size_t k = 0; k < COUNT(rows); k++) {
        NbHeadLevel head[LEVELS];
        for (int l = 0; l < LEVELS; l++)
            head[l] = make_level(&arena, CHANNELS_FIRST, 2, 8 >> l, 7);
        NbYolov5Loss loss = p5_loss();
        loss.fl_gamma = rows[k].gamma;
        loss.autobalance = rows[k].autobalance;
        double items[3];
        double total = 0;
        run(&loss, head, target, COUNT(target), items, &total);
        near(total, rows[k].total, 1e-6);
        for (int i = 0; i < 3; i++)
            near(items[i], rows[k].item[i], 3e-6);
        near(loss.balance[0], rows[k].autobalance ? 3.9996356 : 4.0, 1e-7);
        near(loss.balance[1], 1.0, 1e-12);
        near(loss.balance[2], rows[k].autobalance ? 0.4000723 : 0.4, 1e-6);
    }
    nb_arena_release(&arena);
}

/* Every option at once. The objectness target follows the box but counts as a constant, so that
 * differences are taken with only one gain at a time. */
static void gradients_match_differences(void **state) {
    (void)state;
    static const NbTarget target[] = {{0, 0, {0.4F, 0.6F, 0.3F, 0.2F}},
                                      {1, 1, {0.55F, 0.1F, 0.2F, 0.5F}}};
    const float step = 1.0F / 64;
    NbArena arena = {0};
    for (int term = 0; term < 3; term++) {
        NbYolov5Loss loss = p5_loss();
        loss.levels = 1;
        memcpy(loss.anchor[0], loss.anchor[1], sizeof loss.anchor[0]);
        loss.fl_gamma = 1.5;
        loss.obj_pw = 1.7;
        loss.cls_pw = 0.6;
        loss.box = term == 0 ? 1.0 : 0.0;
        loss.obj = term == 1 ? 1.0 : 0.0;
        loss.cls = term == 2 ? 1.0 : 0.0;
        NbHeadLevel head = make_level(&arena, CELLS_FIRST, 2, 4, 7);
        float *const raw = (float *)(uintptr_t)head.raw;
        double items[3];
        double total = 0;
        run(&loss, &head, target, COUNT(target), items, &total);
        NbHeadLevel probe = head;
        probe.grad = NULL;
        int moved = 0;
        for (ptrdiff_t i = 0; i < 2 * head.sb; i++) {
            if (term == 1 && i % 7 != 4)
                continue;
            const float keep = raw[i];
            double side[2];
            raw[i] = keep + step;
            run(&loss, &probe, target, COUNT(target), items, &side[0]);
            raw[i] = keep - step;
            run(&loss, &probe, target, COUNT(target), items, &side[1]);
            raw[i] = keep;
            const double want = (side[0] - side[1]) / (2 * (double)step);
            if (fabs(want - (double)head.grad[i]) > 1e-3 * fmax(1e-1, fabs(want)) && term != 0)
                fail_msg("term %d, value %td: %g, differences say %g", term, i,
                         (double)head.grad[i], want);
            /* alpha counts as a constant: only the direction of the box term is comparable */
            if (fabs(want - (double)head.grad[i]) > 0.2 * fmax(1e-1, fabs(want)))
                fail_msg("term %d, value %td: %g, differences say %g", term, i,
                         (double)head.grad[i], want);
            moved += head.grad[i] != 0.0F;
        }
        assert_true(moved >= 6);
    }
    nb_arena_release(&arena);
}

static void layouts_give_the_same_bits(void **state) {
    (void)state;
    NbArena arena = {0};
    double total[LAYOUTS];
    NbHeadLevel head[LAYOUTS];
    for (Layout k = CELLS_FIRST; k < LAYOUTS; k++) {
        NbYolov5Loss loss = lpyolo_loss();
        loss.nc = 3;
        head[k] = make_level(&arena, k, 2, 13, 8);
        double items[3];
        run(&loss, &head[k], golden_target, COUNT(golden_target), items, &total[k]);
    }
    assert_memory_equal(&total[0], &total[1], sizeof total[0]);
    for (int i = 0; i < 2 * ANCHORS * 13 * 13 * 8; i++) {
        float g[LAYOUTS];
        for (Layout k = CELLS_FIRST; k < LAYOUTS; k++)
            g[k] = gradient(&head[k], i / 4056, i / 1352 % 3, i / 104 % 13, i / 8 % 13, i % 8);
        assert_memory_equal(&g[0], &g[1], sizeof g[0]);
    }
    nb_arena_release(&arena);
}

static void targets_that_cannot_be_are_refused(void **state) {
    (void)state;
    static const struct {
        NbTarget target;
        const char *want;
    } rows[] = {
        {{2, 0, {0.5F, 0.5F, 0.1F, 0.1F}}, "target 0: picture 2 of a batch of 2"},
        {{-1, 0, {0.5F, 0.5F, 0.1F, 0.1F}}, "target 0: picture -1 of a batch of 2"},
        {{0, 1, {0.5F, 0.5F, 0.1F, 0.1F}}, "target 0: class 1, expected 0 to 0"},
        {{0, 0, {0.5F, NAN, 0.1F, 0.1F}}, "level 0: target 0: box value 1 is not finite"},
    };
    NbArena arena = {0};
    const NbHeadLevel head = make_level(&arena, CELLS_FIRST, 2, 13, 6);
    for (size_t i = 0; i < COUNT(rows); i++) {
        NbYolov5Loss loss = lpyolo_loss();
        NbError err = {0};
        double items[3];
        double total = 0;
        assert_int_equal(
            nb_yolov5_loss(&loss, &head, 2, &rows[i].target, 1, &arena, items, &total, &err),
            NB_ERR_ARGUMENT);
        assert_string_equal(err.message, rows[i].want);
    }
    nb_arena_release(&arena);
}

/* Far outside, without size, exactly on the border: no crash, cells inside the grid. */
static void odd_targets_stay_inside(void **state) {
    (void)state;
    static const NbTarget target[] = {{0, 0, {1e30F, -1e30F, 0.1F, 0.1F}},
                                      {0, 0, {0.5F, 0.5F, 0.0F, 0.0F}},
                                      {0, 0, {1.0F, 1.0F, 0.1F, 0.1F}},
                                      {1, 0, {0.0F, 0.0F, 0.1F, 0.1F}},
                                      {1, 0, {2.0F / 13, 3.0F / 13, 0.1F, 0.1F}}};
    NbArena arena = {0};
    NbError err = {0};
    const NbYolov5Loss loss = lpyolo_loss();
    NbMatch *m = NULL;
    size_t n = 0;
    assert_int_equal(
        nb_yolov5_assign(&loss, 0, 13, 13, target, COUNT(target), &arena, &m, &n, &err), NB_OK);
    assert_true(n > 0);
    for (size_t i = 0; i < n; i++) {
        assert_in_range(m[i].row, 0, 12);
        assert_in_range(m[i].column, 0, 12);
        assert_true(m[i].box[2] > 0);
    }
    nb_arena_release(&arena);
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    NbArena arena = {0};
    const NbHeadLevel head = make_level(&arena, CELLS_FIRST, 2, 13, 6);
    NbStatus status = NB_ERR_NOMEM;
    size_t takes = 0;
    while (status == NB_ERR_NOMEM) {
        NbYolov5Loss loss = lpyolo_loss();
        NbArena scratch = {.fail_at = ++takes};
        NbError err = {0};
        double items[3];
        double total = 0;
        status = nb_yolov5_loss(&loss, &head, 2, golden_target, COUNT(golden_target), &scratch,
                                items, &total, &err);
        nb_arena_release(&scratch);
    }
    assert_int_equal(status, NB_OK);
    assert_int_equal(takes, 3);
    nb_arena_release(&arena);
}

static void similarity_gives_the_golden_numbers(void **state) {
    (void)state;
    static const float a[4] = {10, 20, 30, 40};
    static const float b[4] = {12, 18, 28, 44};
    static const struct {
        NbSimilarity kind;
        double want;
    } rows[] = {
        {NB_IOU, 0.7988166}, {NB_GIOU, 0.7900189}, {NB_DIOU, 0.7960551}, {NB_CIOU, 0.7960271}};
    for (size_t i = 0; i < COUNT(rows); i++)
        near((double)nb_box_similarity(rows[i].kind, a, b, NULL), rows[i].want, 2e-7);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_level_gives_the_golden_numbers),
        cmocka_unit_test(matches_are_counted_as_in_the_golden_case),
        cmocka_unit_test(three_levels_give_the_golden_numbers),
        cmocka_unit_test(gradients_match_differences),
        cmocka_unit_test(layouts_give_the_same_bits),
        cmocka_unit_test(targets_that_cannot_be_are_refused),
        cmocka_unit_test(odd_targets_stay_inside),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(similarity_gives_the_golden_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
