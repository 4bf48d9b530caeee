/* SPDX-License-Identifier: Apache-2.0
 *
 * Whole runs: one that is stopped behind any of its steps and resumed ends in the same bytes; time
 * ends a run and leaves a score. */
#include "train/tiny.h"

#include "data/synth.h"
#include "support/scratch.h"
#include "train/trainer.h"

#include <math.h>

enum { SIDE = 32, PICTURES = 4, BATCH = 2, EPOCHS = 8, STEPS = EPOCHS * PICTURES / BATCH };

typedef struct Bench {
    Scratch s;
    NbDataset dataset;
    NbSamples train, val;
    NbHyper hyper;
    int steps_left; /* until the run is asked to stop; -1: never */
    int steps;      /* of the last run */
} Bench;

static void open_bench(Bench *b) {
    NbError err = {0};
    *b = (Bench){.s = scratch_new(), .hyper = nb_hyper_default(false), .steps_left = -1};
    const NbSynthOptions o = {.train = PICTURES, .val = 2, .imgsz = SIDE, .seed = 2};
    must(nb_synth_write(b->s.folder, &o, NULL, &err), &err);
    NbArena *const arena = &b->s.arena;
    must(nb_dataset_read(scratch_path(&b->s, "data.yaml"), arena, &b->dataset, &err), &err);
    must(nb_dataset_scan(&b->dataset, NB_SPLIT_TRAIN, false, NULL, arena, &b->train, &err), &err);
    must(nb_dataset_scan(&b->dataset, NB_SPLIT_VAL, false, NULL, arena, &b->val, &err), &err);
    b->hyper.epochs = EPOCHS;
    b->hyper.batch = BATCH;
    b->hyper.imgsz = SIDE;
    b->hyper.nbs = 2 * BATCH;
    b->hyper.guard = (NbSafeguards){.norm = true, .dampen = true, .freeze = true, .stages = true};
}

static bool should_stop(void *user) {
    Bench *const b = user;
    return b->steps_left >= 0 && b->steps_left-- == 0;
}

static void on_progress(void *user, const NbTrainProgress *p) {
    (void)p;
    ((Bench *)user)->steps++;
}

/* The folder of a run; stop: behind so many further steps, -1: not at all. */
static NbStatus run(Bench *b, const char *name, int stop, NbTrainSummary *out) {
    NbError err = {0};
    NbModel m;
    NbSafetensors resume = {0};
    NbBytes bytes;
    const char *const folder = scratch_path(&b->s, name);
    const char *const last = nb_path_join(&b->s.arena, folder, "weights/last.safetensors");
    must(nb_folder_make(nb_path_join(&b->s.arena, folder, "weights"), &err), &err);
    tiny_model(1, &m);
    NbTrainOptions o = {
        .model = &m,
        .train = &b->train,
        .val = &b->val,
        .hyper = b->hyper,
        .quantizers = true,
        .folder = folder,
        .hooks = {.user = b, .should_stop = should_stop, .on_progress = on_progress}};
    if (nb_path_exists(last)) {
        must(nb_file_read(last, 0, &b->s.arena, &bytes, &err), &err);
        must(nb_safetensors_read(last, bytes, &b->s.arena, &resume, &err), &err);
        o.resume = &resume;
        o.resume_path = last;
    }
    b->steps_left = stop;
    b->steps = 0;
    const NbStatus status = nb_train(&o, out, &err);
    if (status != NB_OK && status != NB_ERR_STOPPED)
        fail_msg("%s", err.message);
    nb_model_release(&m);
    return status;
}

static void same_file(Bench *b, const char *one, const char *two, const char *file) {
    NbError err = {0};
    NbBytes bytes[2];
    const char *const folder[] = {one, two};
    for (int i = 0; i < 2; i++) {
        const char *const path = nb_path_join(&b->s.arena, scratch_path(&b->s, folder[i]), file);
        must(nb_file_read(path, 0, &b->s.arena, &bytes[i], &err), &err);
    }
    if (bytes[0].size != bytes[1].size || memcmp(bytes[0].data, bytes[1].data, bytes[0].size) != 0)
        fail_msg("%s of %s is not that of %s", file, two, one);
}

/* Column 12 is val/dfl_loss and always there; time and speed differ and are left out. */
static const char *rows(Bench *b, const char *name) {
    NbError err = {0};
    NbBytes bytes;
    const char *const path = nb_path_join(&b->s.arena, scratch_path(&b->s, name), "results.csv");
    must(nb_file_read(path, 0, &b->s.arena, &bytes, &err), &err);
    char *const text = nb_arena_string(&b->s.arena, (const char *)bytes.data);
    char *out = text;
    int column = 0;
    for (const char *at = text; *at; at++) {
        if (column != 1 && column != 18)
            *out++ = *at;
        column = *at == '\n' ? 0 : column + (*at == ',');
    }
    *out = '\0';
    return text;
}

static void stopping_behind_any_step_changes_nothing(void **unused) {
    (void)unused;
    Bench b;
    NbTrainSummary summary;
    open_bench(&b);
    assert_int_equal(run(&b, "whole", -1, &summary), NB_OK);
    assert_int_equal(summary.epochs, EPOCHS);
    for (int stop = 0; stop < STEPS; stop++) {
        char name[32];
        (void)snprintf(name, sizeof name, "stopped%d", stop);
        assert_int_equal(run(&b, name, stop, &summary), NB_ERR_STOPPED);
        assert_int_equal(run(&b, name, -1, &summary), NB_OK);
        same_file(&b, "whole", name, "weights/last.safetensors");
        same_file(&b, "whole", name, "weights/best.safetensors");
        assert_string_equal(rows(&b, name), rows(&b, "whole"));
    }
    scratch_free(&b.s);
}

static void time_ends_a_run(void **unused) {
    (void)unused;
    Bench b;
    NbTrainSummary summary;
    open_bench(&b);
    b.hyper.guard = (NbSafeguards){0};
    b.hyper.epochs = 100000;
    b.hyper.hours = 1e-9; /* over behind the first step, which makes the epoch the last one */
    b.hyper.val = false;
    assert_int_equal(run(&b, "timed", -1, &summary), NB_OK);
    assert_int_equal(b.steps, 1);
    assert_int_equal(summary.epochs, 1);
    assert_int_equal(summary.best_epoch, 1); /* it was scored, being the last */
    b.hyper.hours = 0.0; /* resumed with epochs it goes on where a whole epoch would have ended */
    b.hyper.epochs = 3;
    assert_int_equal(run(&b, "timed", -1, &summary), NB_OK);
    assert_int_equal(b.steps, 4);
    assert_int_equal(summary.epochs, 3);
    assert_int_equal(summary.best_epoch, 3);
    scratch_free(&b.s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stopping_behind_any_step_changes_nothing),
        cmocka_unit_test(time_ends_a_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
