/* SPDX-License-Identifier: Apache-2.0
 *
 * The loss of heads without anchors where no reference folder is needed: against its definition in
 * double, gradients against differences, layouts, what is refused. */
#include "small_head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#define COUNT(rows) (sizeof(rows) / sizeof *(rows))

typedef struct Result {
    double items[3], total;
} Result;

static Result run(const NbYolov8Loss *loss, const NbHeadLevel *level, const NbTarget *target,
                  size_t n) {
    NbArena scratch = {0};
    NbError err = {0};
    Result out;
    const NbLossBatch batch = {PICTURES, target, n};
    if (nb_yolov8_loss(loss, level, &batch, &scratch, out.items, &out.total, &err) != NB_OK)
        fail_msg("%s", err.message);
    nb_arena_release(&scratch);
    return out;
}

/* ---- the loss, from its definition and in double ---- */

/* CIoU with its trade-off factor held: taken from *alpha unless that is NaN, which it then fills.
 */
static double plain_ciou(const double a[4], const double b[4], double *alpha) {
    const double w1 = a[2] - a[0];
    const double h1 = a[3] - a[1] + 1e-7;
    const double w2 = b[2] - b[0];
    const double h2 = b[3] - b[1] + 1e-7;
    const double inter =
        fmax(fmin(a[2], b[2]) - fmax(a[0], b[0]), 0) * fmax(fmin(a[3], b[3]) - fmax(a[1], b[1]), 0);
    const double iou = inter / (w1 * h1 + w2 * h2 - inter + 1e-7);
    const double cw = fmax(a[2], b[2]) - fmin(a[0], b[0]);
    const double ch = fmax(a[3], b[3]) - fmin(a[1], b[1]);
    const double dx = b[0] + b[2] - a[0] - a[2];
    const double dy = b[1] + b[3] - a[1] - a[3];
    const double angle = atan(w2 / h2) - atan(w1 / h1);
    const double v = 4 / (M_PI * M_PI) * angle * angle;
    if (isnan(*alpha))
        *alpha = v / (v - iou + 1 + 1e-7);
    return iou - (dx * dx + dy * dy) / 4 / (cw * cw + ch * ch + 1e-7) - v * *alpha;
}

typedef struct Frozen {
    const NbTaskMatch *match;
    const NbTarget *target;
    double alpha[PICTURES * CELLS];
} Frozen;

static double plain_match(const NbYolov8Loss *loss, const float *raw, const NbHeadLevel *l, int i,
                          const int at[2], Frozen *f, size_t cell, double *dfl) {
    double box[4];
    double goal[4];
    float pixels[4];
    nb_target_corners(&f->target[f->match[cell].target], 64, 64, pixels);
    *dfl = 0.0;
    for (int s = 0; s < 4; s++) {
        double sum = 0;
        double mean = 0;
        for (int k = 0; k < BINS; k++) {
            sum += exp((double)raw[(s * BINS + k) * l->sc]);
            mean += k * exp((double)raw[(s * BINS + k) * l->sc]);
        }
        const double centre = at[s % 2] + 0.5;
        goal[s] = (double)(pixels[s] / loss->stride[i]);
        box[s] = s < 2 ? centre - mean / sum : centre + mean / sum;
        const double t = fmin(fmax(s < 2 ? centre - goal[s] : goal[s] - centre, 0), BINS - 1.01);
        const int low = (int)t;
        const double share = low + 1 - t;
        *dfl += (log(sum) - (double)raw[(s * BINS + low) * l->sc]) * share / 4;
        *dfl += (log(sum) - (double)raw[(s * BINS + low + 1) * l->sc]) * (1 - share) / 4;
    }
    return 1 - plain_ciou(box, goal, &f->alpha[cell]);
}

static double plain_loss(const NbYolov8Loss *loss, const NbHeadLevel *level, Frozen *f,
                         double items[3]) {
    double weights = 0;
    double sum[3] = {0};
    size_t cell = 0;
    for (int b = 0; b < PICTURES; b++)
        for (int i = 0; i < LEVELS; i++)
            for (int k = 0; k < level[i].ny * level[i].nx; k++, cell++) {
                const NbTaskMatch m = f->match[cell];
                const int at[2] = {k % level[i].nx, k / level[i].nx};
                const float *const raw = level[i].raw + place(&level[i], b, at[1], at[0], 0);
                weights += (double)m.weight;
                for (int c = 0; c < NC; c++) {
                    const double x = (double)raw[(4 * BINS + c) * level[i].sc];
                    const bool own = m.target >= 0 && f->target[m.target].cls == c;
                    sum[1] += log1p(exp(x)) - (own ? (double)m.weight * x : 0);
                }
                if (m.target < 0)
                    continue;
                double dfl = 0;
                sum[0] +=
                    (double)m.weight * plain_match(loss, raw, &level[i], i, at, f, cell, &dfl);
                sum[2] += (double)m.weight * dfl;
            }
    weights = fmax(weights, 1);
    items[0] = sum[0] * loss->box / weights;
    items[1] = sum[1] * loss->cls / weights;
    items[2] = sum[2] * loss->dfl / weights;
    return (items[0] + items[1] + items[2]) * PICTURES * loss->weight;
}

static void near(double got, double want, double tolerance) {
    if (!(fabs(got - want) <= tolerance))
        fail_msg("%.9g, expected %.9g", got, want);
}

static void gradients_are_the_differences(void **state) {
    (void)state;
    NbArena arena = {0};
    NbError err = {0};
    NbYolov8Loss loss = small_loss();
    loss.weight = 0.3;
    NbHeadLevel level[LEVELS];
    NbTarget target[9];
    const size_t n = random_targets(5, target, COUNT(target));
    make_levels(&arena, CELLS_FIRST, 5, level);
    static Frozen frozen;
    NbTaskMatch *match = NULL;
    size_t cells = 0;
    const NbLossBatch batch = {PICTURES, target, n};
    assert_int_equal(nb_yolov8_assign(&loss, level, &batch, &arena, &match, &cells, &err), NB_OK);
    frozen.match = match;
    frozen.target = target;
    for (size_t i = 0; i < COUNT(frozen.alpha); i++)
        frozen.alpha[i] = (double)NAN;
    const Result got = run(&loss, level, target, n);
    double items[3];
    near(got.total, plain_loss(&loss, level, &frozen, items), 1e-5);
    for (int i = 0; i < 3; i++) {
        near(got.items[i], items[i], 1e-5);
        assert_true(got.items[i] > 0.01);
    }
    for (int i = 0; i < LEVELS; i++) {
        float *const raw = (float *)(uintptr_t)level[i].raw;
        for (ptrdiff_t k = 0; k < PICTURES * level[i].sb; k += 3) {
            const float keep = raw[k];
            raw[k] = keep + 0.004F;
            const double above = plain_loss(&loss, level, &frozen, items);
            const double step = (double)raw[k];
            raw[k] = keep - 0.004F;
            const double below = plain_loss(&loss, level, &frozen, items);
            near((double)level[i].grad[k], (above - below) / (step - (double)raw[k]), 3e-5);
            raw[k] = keep;
        }
    }
    nb_arena_release(&arena);
}

static void layouts_give_the_same_bits(void **state) {
    (void)state;
    NbArena arena = {0};
    const NbYolov8Loss loss = small_loss();
    NbHeadLevel level[LAYOUTS][LEVELS];
    NbTarget target[12];
    const size_t n = random_targets(7, target, COUNT(target));
    Result got[LAYOUTS];
    for (Layout layout = CELLS_FIRST; layout < LAYOUTS; layout++) {
        make_levels(&arena, layout, 7, level[layout]);
        got[layout] = run(&loss, level[layout], target, n);
    }
    assert_memory_equal(&got[0], &got[1], sizeof got[0]);
    for (int i = 0; i < LEVELS; i++)
        for (int b = 0; b < PICTURES; b++)
            for (int y = 0; y < level[0][i].ny; y++)
                for (int x = 0; x < level[0][i].nx; x++)
                    for (int c = 0; c < CHANNELS; c++)
                        assert_memory_equal(&level[0][i].grad[place(&level[0][i], b, y, x, c)],
                                            &level[1][i].grad[place(&level[1][i], b, y, x, c)],
                                            sizeof(float));
    /* without gradients, and with the pictures' targets in another order */
    NbTarget sorted[COUNT(target)];
    size_t at = 0;
    for (int b = PICTURES - 1; b >= 0; b--)
        for (size_t i = 0; i < n; i++)
            if (target[i].image == b)
                sorted[at++] = target[i];
    for (int i = 0; i < LEVELS; i++)
        level[0][i].grad = NULL;
    const Result again = run(&loss, level[0], sorted, n);
    assert_memory_equal(&got[0], &again, sizeof again);
    nb_arena_release(&arena);
}

static void what_holds_no_centre_counts_as_nothing(void **state) {
    (void)state;
    static const NbTarget rows[] = {
        {0, 0, {0, 0, 0, 0}},                /* padding */
        {0, 1, {0.5F, 0.5F, 0, 0.5F}},       /* a line */
        {1, 1, {0.5F, 0.5F, 0.02F, 0.02F}},  /* between the centres */
        {1, 2, {1.6F, 0.5F, 0.4F, 0.4F}},    /* outside */
        {2, 2, {-0.6F, -0.5F, 0.4F, 0.4F}},  /* outside, with negative corners */
        {2, 0, {0.5F, 0.5F, -0.4F, -0.4F}},  /* inside out */
        {2, 0, {3e37F, 0.5F, 1e37F, 3e37F}}, /* far away */
    };
    NbArena arena = {0};
    NbHeadLevel level[LEVELS];
    make_levels(&arena, CHANNELS_FIRST, 9, level);
    const NbYolov8Loss loss = small_loss();
    const Result none = run(&loss, level, NULL, 0);
    assert_true(none.items[0] == 0.0 && none.items[2] == 0.0 && none.items[1] > 0.0);
    for (size_t k = 0; k <= COUNT(rows); k++) {
        const size_t one = k < COUNT(rows) ? k : 0;
        const Result got = run(&loss, level, rows + one, k < COUNT(rows) ? 1 : COUNT(rows));
        assert_memory_equal(&got, &none, sizeof got);
        for (int i = 0; i < LEVELS; i++)
            for (int b = 0; b < PICTURES; b++)
                for (ptrdiff_t j = 0; j < 4 * BINS * level[i].sc; j++)
                    assert_true(level[i].grad[b * level[i].sb + j] == 0.0F);
    }
    nb_arena_release(&arena);
}

static void two_heads_add_up(void **state) {
    (void)state;
    NbArena arena = {0};
    NbError err = {0};
    NbHeadLevel many[LEVELS];
    NbHeadLevel one[LEVELS];
    NbTarget target[10];
    const size_t n = random_targets(13, target, COUNT(target));
    const NbYolov8Loss head = small_loss();
    const NbYolov10Loss pair[] = {nb_yolov10_loss_sum(&head),
                                  nb_yolov10_loss_weighted(&head, 3, 10)};
    make_levels(&arena, CELLS_FIRST, 13, many);
    make_levels(&arena, CELLS_FIRST, 14, one);
    for (size_t k = 0; k < COUNT(pair); k++) {
        double items[6];
        double total = 0;
        const NbLossBatch batch = {PICTURES, target, n};
        assert_int_equal(nb_yolov10_loss(&pair[k], many, one, &batch, &arena, items, &total, &err),
                         NB_OK);
        const Result a = run(&pair[k].many, many, target, n);
        const Result b = run(&pair[k].one, one, target, n);
        assert_memory_equal(items, a.items, sizeof a.items);
        assert_memory_equal(items + 3, b.items, sizeof b.items);
        assert_true(total == a.total + b.total);
    }
    nb_arena_release(&arena);
}

static void weights_move_to_the_second_head(void **state) {
    (void)state;
    static const struct {
        int epoch, epochs;
        double many;
    } rows[] = {{0, 10, 0.8}, {9, 10, 0.1}, {20, 10, 0.1},
                {0, 1, 0.8},  {1, 1, 0.1},  {50, 101, 0.45}};
    const NbYolov8Loss head = small_loss();
    for (size_t k = 0; k < COUNT(rows); k++) {
        const NbYolov10Loss pair = nb_yolov10_loss_weighted(&head, rows[k].epoch, rows[k].epochs);
        near(pair.many.weight, rows[k].many, 1e-12);
        near(pair.many.weight + pair.one.weight, 1.0, 1e-12);
    }
}

static void bad_arguments_are_refused(void **state) {
    (void)state;
    static const struct {
        NbTarget target;
        const char *says;
    } rows[] = {{{PICTURES, 0, {0.5F, 0.5F, 0.1F, 0.1F}}, "picture 3 of a batch of 3"},
                {{-1, 0, {0.5F, 0.5F, 0.1F, 0.1F}}, "picture -1"},
                {{0, NC, {0.5F, 0.5F, 0.1F, 0.1F}}, "class 3, expected 0 to 2"},
                {{0, 0, {0.5F, NAN, 0.1F, 0.1F}}, "target 0: a box that is not finite"}};
    NbArena arena = {0};
    NbHeadLevel level[LEVELS];
    make_levels(&arena, CELLS_FIRST, 1, level);
    const NbYolov8Loss good = small_loss();
    double items[3];
    double total = 0;
    for (size_t k = 0; k < COUNT(rows); k++) {
        NbError err = {0};
        const NbLossBatch batch = {PICTURES, &rows[k].target, 1};
        assert_int_equal(nb_yolov8_loss(&good, level, &batch, &arena, items, &total, &err),
                         NB_ERR_ARGUMENT);
        assert_non_null(strstr(err.message, rows[k].says));
    }
    NbYolov8Loss bad[] = {good, good, good, good, good};
    bad[0].reg_max = 1;
    bad[1].topk = 0;
    bad[2].levels = NB_LOSS_MAX_LEVELS + 1;
    bad[3].nc = 0;
    bad[4].keep = -1;
    for (size_t k = 0; k < COUNT(bad); k++) {
        NbError err = {0};
        const NbLossBatch batch = {PICTURES, NULL, 0};
        assert_int_equal(nb_yolov8_loss(&bad[k], level, &batch, &arena, items, &total, &err),
                         NB_ERR_ARGUMENT);
    }
    nb_arena_release(&arena);
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    NbArena arena = {0};
    NbHeadLevel level[LEVELS];
    NbTarget target[10];
    const size_t n = random_targets(19, target, COUNT(target));
    make_levels(&arena, CELLS_FIRST, 19, level);
    const NbYolov8Loss loss = small_loss();
    const NbLossBatch batch = {PICTURES, target, n};
    NbStatus status = NB_ERR_NOMEM;
    size_t takes = 0;
    while (status != NB_OK) {
        NbArena scratch = {.fail_at = ++takes};
        NbError err = {0};
        double items[3];
        double total = 0;
        status = nb_yolov8_loss(&loss, level, &batch, &scratch, items, &total, &err);
        assert_true(status == NB_OK || status == NB_ERR_NOMEM);
        nb_arena_release(&scratch);
        assert_true(takes < 100);
    }
    assert_true(takes > 4);
    nb_arena_release(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_are_the_differences),
        cmocka_unit_test(layouts_give_the_same_bits),
        cmocka_unit_test(what_holds_no_centre_counts_as_nothing),
        cmocka_unit_test(two_heads_add_up),
        cmocka_unit_test(weights_move_to_the_second_head),
        cmocka_unit_test(bad_arguments_are_refused),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
