/* SPDX-License-Identifier: Apache-2.0
 *
 * One iteration: gradients are gathered and applied when due, broken batches change nothing, sizes
 * are drawn from the place in the run. */
#include "train/tiny.h"

#include "train/sizes.h"
#include "train/step.h"

#include <math.h>

enum { SIDE = 32, COUNT = 2 };

typedef struct Bench {
    NbModel model;
    NbHyper hyper;
    NbTrainState state;
    NbTrainSizes sizes;
    NbStepper stepper;
    uint8_t image[COUNT * 2 * SIDE * 2 * SIDE * 3];
    NbTarget target[COUNT];
} Bench;

static void open_bench(Bench *b, int nbs, bool multi_scale) {
    NbError err = {0};
    *b = (Bench){.hyper = nb_hyper_default(false)};
    b->hyper.batch = COUNT;
    b->hyper.nbs = nbs;
    b->hyper.imgsz = SIDE;
    b->hyper.warmup_epochs = 0.0;
    b->hyper.multi_scale = multi_scale;
    tiny_model(1, &b->model);
    must(nb_train_state_new(&b->model, &b->hyper, &b->state, &err), &err);
    const NbExecutorOptions options = {.batch = COUNT, .training = true, .quantizers = true};
    must(nb_train_sizes_init(&b->sizes, &b->model, &b->hyper, &options, &err), &err);
    b->stepper = (NbStepper){.state = &b->state,
                             .hyper = &b->hyper,
                             .schedule = {.epochs = 10,
                                          .batches = 10,
                                          .batch = COUNT,
                                          .nbs = nbs,
                                          .lr0 = 0.01,
                                          .lrf = 0.1,
                                          .momentum = 0.9}};
    NbRandom r = nb_random(5, NB_RANDOM_TEST, 0, 0);
    for (size_t i = 0; i < sizeof b->image; i++)
        b->image[i] = (uint8_t)nb_random_below(&r, 256);
    for (int i = 0; i < COUNT; i++)
        b->target[i] = (NbTarget){.image = i, .cls = i, .xywh = {0.5F, 0.5F, 0.4F, 0.4F}};
}

static void close_bench(Bench *b) {
    nb_step_release(&b->stepper);
    nb_train_sizes_release(&b->sizes);
    nb_train_state_release(&b->state);
    nb_model_release(&b->model);
}

static NbStepResult step(Bench *b, int side) {
    NbError err = {0};
    NbStepResult result;
    const NbBatch batch = {
        .count = COUNT, .imgsz = side, .images = b->image, .target = b->target, .n_targets = COUNT};
    must(nb_train_executor(&b->sizes, side, &b->stepper.executor, &err), &err);
    must(nb_step_run(&b->stepper, &batch, &result, &err), &err);
    return result;
}

static NbTrainParam *param(Bench *b, const char *name) {
    for (int i = 0; i < b->state.n_params; i++)
        if (strcmp(b->state.param[i].name, name) == 0)
            return &b->state.param[i];
    fail_msg("no parameter %s", name);
    return NULL;
}

static void gradients_are_gathered(void **unused) {
    (void)unused;
    Bench b;
    open_bench(&b, 3 * COUNT, false);
    const float start = param(&b, "model.0.conv.weight")->value[0];
    for (int i = 0; i < 7; i++) {
        const NbStepResult r = step(&b, SIDE);
        assert_int_equal(r.rates.accumulate, 3);
        assert_int_equal(r.stepped, i % 3 == 2);
        assert_int_equal(b.state.updates, (i + 1) / 3);
        assert_true(isfinite(r.total) && !r.broken);
        assert_true((param(&b, "model.0.conv.weight")->value[0] == start) == (i < 2));
    }
    assert_int_equal(b.state.iteration, 7);
    assert_int_equal(b.state.losses, 7);
    close_bench(&b);
}

static void broken_batches_change_nothing_but_the_rate(void **unused) {
    (void)unused;
    Bench b;
    open_bench(&b, COUNT, false);
    (void)step(&b, SIDE);
    NbTrainParam *const gamma = param(&b, "model.0.bn.weight");
    NbTrainParam *const mean = param(&b, "model.0.bn.running_mean");
    NbTrainParam *const weight = param(&b, "model.0.conv.weight");
    float kept[8];
    memcpy(kept, mean->value, sizeof kept);
    const float first = weight->value[0];
    const float good = weight->value[5];
    weight->value[5] = INFINITY; /* forward overflows: loss and statistics are no numbers */
    const NbStepResult r = step(&b, SIDE);
    assert_non_null(r.broken);
    assert_false(r.stepped);
    assert_true(b.state.lr_scale == 0.5 && b.state.rollbacks == 1);
    assert_int_equal(b.state.iteration, 2);
    assert_int_equal(b.state.losses, 1);
    assert_int_equal(b.state.updates, 1);
    assert_memory_equal(mean->value, kept, sizeof kept);
    assert_true(weight->value[0] == first && isfinite(gamma->value[0]));
    weight->value[5] = good;
    assert_null(step(&b, SIDE).broken);
    assert_int_equal(b.state.updates, 2);
    close_bench(&b);
}

static void sizes_depend_on_the_place_alone(void **unused) {
    (void)unused;
    Bench b;
    bool seen[4] = {false};
    open_bench(&b, COUNT, true);
    b.hyper.imgsz = 64; /* sides 32, 64 and 96 */
    for (int epoch = 0; epoch < 10; epoch++)
        for (int batch = 0; batch < 20; batch++) {
            const int side = nb_train_side(&b.sizes, epoch, batch);
            assert_int_equal(side % 32, 0);
            assert_in_range(side, 32, 96);
            assert_int_equal(side, nb_train_side(&b.sizes, epoch, batch));
            seen[side / 32] = true;
        }
    assert_true(seen[1] && seen[2] && seen[3]);
    b.hyper.multi_scale = false;
    assert_int_equal(nb_train_side(&b.sizes, 3, 4), 64);
    close_bench(&b);
}

static void executors_are_kept(void **unused) {
    (void)unused;
    Bench b;
    open_bench(&b, COUNT, true);
    assert_null(step(&b, SIDE).broken);
    const NbExecutor *const small = b.stepper.executor;
    assert_null(step(&b, 2 * SIDE).broken);
    assert_ptr_not_equal(b.stepper.executor, small);
    assert_null(step(&b, SIDE).broken);
    assert_ptr_equal(b.stepper.executor, small);
    assert_int_equal(b.state.updates, 3);
    close_bench(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(gradients_are_gathered),
                                       cmocka_unit_test(broken_batches_change_nothing_but_the_rate),
                                       cmocka_unit_test(sizes_depend_on_the_place_alone),
                                       cmocka_unit_test(executors_are_kept)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
