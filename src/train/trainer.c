/* SPDX-License-Identifier: Apache-2.0 */
#include "train/trainer.h"

#include "base/clock.h"
#include "base/file.h"
#include "train/finish.h"
#include "train/loss.h"
#include "train/oscillation.h"
#include "train/recipe.h"
#include "train/sizes.h"
#include "train/stages.h"
#include "train/step.h"
#include "train/unfold.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    MAX_ROLLBACKS = 8,
    CALIBRATION_PICTURES = 4,
    UNFOLD_PICTURES = 64,
};

typedef struct Trainer {
    const NbTrainOptions *options;
    NbHyper hyper;
    NbTrainState state;
    NbStepper stepper;
    NbLoader *loader;
    NbStages stages;
    NbTrainSizes sizes;       /* executors for training */
    NbExecutor *val_executor; /* inference; made when first needed */
    NbArena arena;            /* paths */
    char *csv, *last, *best;
    int batches;
    double started, earlier; /* clock at the start; seconds of earlier parts of the run */
    double trained_s;        /* time in steps */
    int64_t trained;         /* pictures in them */
    double saved;            /* clock when last was written */
    NbEpochRow best_row;
} Trainer;

static void say(const Trainer *t, const char *text) {
    if (t->options->hooks.on_message)
        t->options->hooks.on_message(t->options->hooks.user, text);
}

static bool has_level_outputs(const NbModel *m) {
    return m->graph.n_outputs == nb_head_outputs(&m->head);
}

/* ---- set-up ---- */

static NbStatus make_paths(Trainer *t, NbError *err) {
    const char *const folder = t->options->folder;
    t->csv = nb_path_join(&t->arena, folder, "results.csv");
    t->last = nb_path_join(&t->arena, folder, "weights/last.safetensors");
    t->best = nb_path_join(&t->arena, folder, "weights/best.safetensors");
    return t->csv && t->last && t->best ? NB_OK : nb_fail_memory(err, folder);
}

static NbStatus make_loader(Trainer *t, NbError *err) {
    const NbTrainOptions *const o = t->options;
    if (o->train->n_labels == 0)
        return nb_fail(NB_ERR_FORMAT, err,
                       "training pictures: expected labelled boxes, found none in %d pictures",
                       o->train->n);
    const NbLoaderOptions loading = {.samples = o->train,
                                     .batch = t->hyper.batch,
                                     .imgsz = t->hyper.imgsz,
                                     .augment = true,
                                     .augmentation = t->hyper.augment,
                                     .shuffle = !t->hyper.compat,
                                     .seed = t->hyper.seed,
                                     .workers = o->workers,
                                     .cache_limit = o->cache_limit,
                                     .disk_cache = o->disk_cache,
                                     .compat = t->hyper.compat,
                                     .ultralytics = t->hyper.recipe == NB_RECIPE_ULTRALYTICS};
    NB_TRY(nb_loader_new(&loading, &t->loader, err));
    t->batches = nb_loader_batches(t->loader);
    return NB_OK;
}

static NbStatus calibrate_from_loader(Trainer *t, NbError *err) {
    NbBatch batch;
    NB_TRY(nb_loader_seek(t->loader, 0, 0, 0, -1.0, err));
    NB_TRY(nb_loader_next(t->loader, &batch, err));
    const int count = batch.count < CALIBRATION_PICTURES ? batch.count : CALIBRATION_PICTURES;
    int set = 0;
    char text[128];
    NB_TRY(nb_train_calibrate(t->options->model, batch.images, count, batch.imgsz, batch.imgsz,
                              t->hyper.calibrate, &set, err));
    (void)snprintf(text, sizeof text,
                   "activation scales: %d measured on %d pictures (%g %% of the values)", set,
                   count, t->hyper.calibrate);
    if (set) /* scales that have learned stay */
        say(t, text);
    return NB_OK;
}

/* Norms that an exporter folded away, from batches of up to UNFOLD_PICTURES pictures. */
static NbStatus unfold_from_loader(Trainer *t, NbError *err) {
    char text[96];
    const int folded = nb_folded_norms(&t->options->model->graph);
    const int wanted = (UNFOLD_PICTURES + t->hyper.batch - 1) / t->hyper.batch;
    if (folded == 0)
        return NB_OK;
    NB_TRY(nb_loader_seek(t->loader, 0, 0, 0, -1.0, err));
    NB_TRY(nb_train_unfold(t->options->model, t->loader, wanted < t->batches ? wanted : t->batches,
                           t->options->pool, err));
    (void)snprintf(text, sizeof text, "%d folded batch norms have statistics again", folded);
    say(t, text);
    return NB_OK;
}

static NbExecutorOptions executor_options(const Trainer *t, bool training) {
    return (NbExecutorOptions){.batch = t->hyper.batch,
                               .height = t->hyper.imgsz,
                               .width = t->hyper.imgsz,
                               .training = training,
                               .quantizers = t->options->quantizers,
                               .pool = t->options->pool};
}

/* Loss of the first batch with running statistics, quantizers on or off. */
static NbStatus first_loss(Trainer *t, const NbBatch *batch, bool quantizers, double *out,
                           NbError *err) {
    NbModel *const m = t->options->model;
    NbExecutorOptions options = executor_options(t, false);
    options.quantizers = quantizers;
    NbExecutor *x = NULL;
    NB_TRY(nb_executor_new(&m->graph, &options, &x, err));
    NbArena scratch = {0};
    NbHeadLevel level[NB_MAX_HEAD_OUTPUTS];
    double items[NB_LOSS_ITEMS];
    NbStatus status = nb_executor_forward(x, batch->images, batch->count, false, err);
    for (int i = 0; i < nb_head_outputs(&m->head); i++) {
        const NbShape *const shape = &m->graph.node[m->graph.output[i]].shape;
        level[i] = nb_head_level_nhwc(&m->head, nb_executor_output(x, i), NULL, (int)shape->dim[2],
                                      (int)shape->dim[3]);
    }
    NbLoss loss = nb_head_loss(&m->head, &t->hyper, t->state.balance, 0);
    loss.yolov5.autobalance = false;
    const NbLossBatch targets = {batch->count, batch->target, batch->n_targets};
    if (status == NB_OK)
        status = nb_loss_run(&loss, level, &targets, &scratch, items, out, err);
    nb_arena_release(&scratch);
    nb_executor_free(x);
    return status;
}

/* Quantizers that spoil finished weights show at once: the run says so before it spends hours. */
static NbStatus check_first_loss(Trainer *t, NbError *err) {
    NbBatch batch;
    double with = 0.0;
    double without = 0.0;
    char text[256];
    NB_TRY(nb_loader_seek(t->loader, 0, 0, 0, -1.0, err));
    NB_TRY(nb_loader_next(t->loader, &batch, err));
    NB_TRY(first_loss(t, &batch, true, &with, err));
    NB_TRY(first_loss(t, &batch, false, &without, err));
    (void)snprintf(text, sizeof text, "first loss: %.4g with quantizers, %.4g without%s",
                   with / batch.count, without / batch.count,
                   with > 2.0 * without ? "; the start scales do not fit these weights" : "");
    say(t, text);
    return NB_OK;
}

/* Counters and data must fit: with more or fewer batches in an epoch the state is that of another
 * place in another run. */
static NbStatus resume_state(Trainer *t, NbError *err) {
    const NbTrainOptions *const o = t->options;
    NbTrainState *const s = &t->state;
    NB_TRY(nb_train_state_load(s, &t->hyper, o->resume, o->resume_path, err));
    const int64_t first = (int64_t)s->epochs_done * t->batches;
    const double finished = nb_finish_fitness(t->best); /* what was gained behind the last epoch */
    if (finished > s->best_fitness)
        s->best_fitness = finished;
    if (!nb_path_exists(t->best)) /* a folder of its own: what was best lies elsewhere */
        s->best_fitness = -1.0;
    if (s->iteration < first || s->iteration > first + t->batches)
        return nb_fail(NB_ERR_FORMAT, err,
                       "%s: iteration %lld behind epoch %d does not fit %d batches in an epoch: "
                       "batch= or the training pictures are not those of the run",
                       o->resume_path, (long long)s->iteration, s->epochs_done, t->batches);
    return NB_OK;
}

/* For the bit widths of an epoch. */
static NbStatus make_executors(Trainer *t, int epoch, NbError *err) {
    const NbTrainOptions *const o = t->options;
    const int least = o->quantizers ? nb_stage_least(&t->hyper, epoch) : 0;
    const NbExecutorOptions options = executor_options(t, true);
    nb_train_sizes_release(&t->sizes);
    nb_executor_free(t->val_executor);
    t->val_executor = NULL;
    NB_TRY(nb_stages_set(&t->stages, least, t->hyper.imgsz, err));
    return nb_train_sizes_init(&t->sizes, o->model, &t->hyper, &options, err);
}

/* At the first step of an epoch with other bit widths than the one before. */
static NbStatus change_stage(Trainer *t, int epoch, NbError *err) {
    const int least = nb_stage_least(&t->hyper, epoch);
    const bool begins = t->state.iteration == (int64_t)epoch * t->batches;
    if (!t->options->quantizers || epoch == 0 || !begins ||
        least == nb_stage_least(&t->hyper, epoch - 1))
        return NB_OK;
    char text[64];
    (void)snprintf(text, sizeof text,
                   least ? "bits: at least %d from here on"
                         : "bits: as asked "
                           "for from here on",
                   least);
    say(t, text);
    NB_TRY(make_executors(t, epoch, err));
    nb_oscillation_restart(&t->state); /* codes of other widths cannot be compared */
    return NB_OK;
}

static NbStatus set_up(Trainer *t, NbError *err) {
    const NbTrainOptions *const o = t->options;
    NB_TRY(nb_hyper_check(&t->hyper, err));
    if (!has_level_outputs(o->model))
        return nb_fail(NB_ERR_UNSUPPORTED, err, "the model has no detection head to train");
    NB_TRY(make_paths(t, err));
    NB_TRY(make_loader(t, err));
    NB_TRY(nb_layers_freeze(o->model, &t->hyper.freeze, err));
    if (!o->resume && o->pretrained)
        NB_TRY(unfold_from_loader(t, err));
    if (!o->resume && o->quantizers && t->hyper.calibrate > 0.0)
        NB_TRY(calibrate_from_loader(t, err));
    NB_TRY(nb_stages_init(&t->stages, o->model, err));
    NB_TRY(nb_train_state_new(o->model, &t->hyper, &t->state, err));
    if (o->quantizers)
        NB_TRY(nb_oscillation_new(&t->state, err));
    if (o->resume)
        NB_TRY(resume_state(t, err));
    if (!o->resume && o->quantizers && o->pretrained)
        NB_TRY(check_first_loss(t, err));
    /* not the epoch of the next step: a run may be stopped between the last step of an epoch and
     * its score, for which the bit widths of that epoch count */
    NB_TRY(make_executors(t, t->state.epochs_done, err));
    t->stepper = (NbStepper){.state = &t->state,
                             .hyper = &t->hyper,
                             .schedule = nb_recipe_schedule(&t->hyper, t->batches)};
    return nb_results_begin(t->csv, t->state.epochs_done, &t->earlier, err);
}

static void tear_down(Trainer *t) {
    nb_step_release(&t->stepper);
    nb_stages_release(&t->stages);
    nb_train_sizes_release(&t->sizes);
    nb_executor_free(t->val_executor);
    nb_loader_free(t->loader);
    nb_train_state_release(&t->state);
    nb_arena_release(&t->arena);
}

/* ---- one epoch ---- */

static NbStatus save_last(Trainer *t, NbError *err) {
    t->saved = nb_clock_seconds();
    return nb_train_state_save(&t->state, &t->hyper, t->options->args, t->last, err);
}

static double mosaic_of(const Trainer *t, int epoch) {
    return nb_recipe_mosaic_closed(&t->hyper, epoch) ? 0.0 : -1.0;
}

/* Goes to where the state says the run is, with the side of the batch there. */
static NbStatus seek(Trainer *t, NbError *err) {
    assert(t->batches > 0);
    const int epoch = (int)(t->state.iteration / t->batches);
    const int batch = (int)(t->state.iteration % t->batches);
    const int side = nb_train_side(&t->sizes, epoch, batch);
    NB_TRY(nb_train_executor(&t->sizes, side, &t->stepper.executor, err));
    return nb_loader_seek(t->loader, epoch, batch, side, mosaic_of(t, epoch), err);
}

/* A batch was passed over. Now and then that is an accident; again and again it is divergence. */
static NbStatus note_broken(Trainer *t, const char *broken, NbError *err) {
    const long long at = (long long)t->state.iteration - 1;
    if (t->state.rollbacks > MAX_ROLLBACKS)
        return nb_fail(NB_ERR_CHECK, err,
                       "iteration %lld: %s is not finite, for the %dth time in this run", at,
                       broken, t->state.rollbacks);
    char text[256];
    (void)snprintf(text, sizeof text,
                   "iteration %lld: %s is not finite; the batch is passed over and the rate is "
                   "lowered to %g of its schedule",
                   at, broken, t->state.lr_scale);
    say(t, text);
    return NB_OK;
}

static void report_progress(Trainer *t, int epoch, int batch) {
    const NbTrainHooks *const hooks = &t->options->hooks;
    if (!hooks->on_progress)
        return;
    NbTrainProgress p = {
        .epoch = epoch + 1, .epochs = t->hyper.epochs, .batch = batch + 1, .batches = t->batches};
    for (int i = 0; i < NB_LOSS_ITEMS && t->state.losses; i++)
        p.loss[i] = t->state.loss[i] / (double)t->state.losses;
    if (t->trained_s > 0.0 && t->trained > 0) {
        p.images_per_second = (double)t->trained / t->trained_s;
        const double left = (double)t->hyper.epochs * t->batches - (double)t->state.iteration;
        p.seconds_left = left * t->hyper.batch / p.images_per_second;
    }
    hooks->on_progress(hooks->user, &p);
}

static NbStatus run_one_batch(Trainer *t, int epoch, NbError *err) {
    const double start = nb_clock_seconds();
    const int number = (int)(t->state.iteration % t->batches);
    NbBatch batch;
    if (t->hyper.multi_scale)
        NB_TRY(seek(t, err));
    NB_TRY(nb_loader_next(t->loader, &batch, err));
    if (t->options->hooks.on_batch)
        t->options->hooks.on_batch(t->options->hooks.user, epoch, number, &batch);
    NbStepResult result;
    NB_TRY(nb_step_run(&t->stepper, &batch, &result, err));
    if (result.broken)
        return note_broken(t, result.broken, err);
    t->trained_s += nb_clock_seconds() - start;
    t->trained += batch.count;
    report_progress(t, epoch, number);
    return NB_OK;
}

static bool asked_to_stop(const Trainer *t) {
    return t->options->hooks.should_stop && t->options->hooks.should_stop(t->options->hooks.user);
}

/* ---- time= ---- */

/* Seconds of the whole run, earlier parts included. */
static double elapsed(const Trainer *t) { return t->earlier + nb_clock_seconds() - t->started; }

static bool is_time_up(const Trainer *t) {
    return t->hyper.hours > 0.0 && elapsed(t) >= 3600.0 * t->hyper.hours;
}

static void set_epochs(Trainer *t, int epochs) {
    t->hyper.epochs = epochs;
    t->stepper.schedule.epochs = epochs;
}

/* As many epochs as the time allows, going by the `done` ones. */
static void fit_epochs(Trainer *t, int done) {
    if (t->hyper.hours > 0.0 && done > 0)
        set_epochs(t, is_time_up(t) ? done : nb_recipe_epochs_in_time(&t->hyper, elapsed(t), done));
}

/* Time is up within an epoch, which becomes the last one. */
static void end_epoch_early(Trainer *t, int epoch) {
    char text[96];
    (void)snprintf(text, sizeof text, "time: %g hours are over in epoch %d", t->hyper.hours,
                   epoch + 1);
    say(t, text);
    t->state.iteration = (int64_t)(epoch + 1) * t->batches;
    set_epochs(t, epoch + 1);
}

/* Steps up to the end of the epoch the state is in. */
static NbStatus run_steps(Trainer *t, int epoch, NbError *err) {
    while (t->state.iteration < (int64_t)(epoch + 1) * t->batches) {
        NB_TRY(run_one_batch(t, epoch, err));
        if (asked_to_stop(t)) {
            NB_TRY(save_last(t, err));
            return nb_fail(NB_ERR_STOPPED, err, "stopped in epoch %d; %s continues it", epoch + 1,
                           t->last);
        }
        if (t->options->save_seconds > 0.0 &&
            nb_clock_seconds() - t->saved >= t->options->save_seconds)
            NB_TRY(save_last(t, err));
        if (is_time_up(t) && t->state.iteration < (int64_t)(epoch + 1) * t->batches)
            end_epoch_early(t, epoch);
    }
    return NB_OK;
}

/* ---- the end of an epoch ---- */

static NbStatus run_raw(void *user, const uint8_t *images, int count, NbHeadLevel *level,
                        NbError *err) {
    Trainer *const t = user;
    const NbModel *const m = t->options->model;
    NB_TRY(nb_executor_forward(t->val_executor, images, count, false, err));
    for (int i = 0; i < nb_head_outputs(&m->head); i++) {
        const int cells = nb_head_cells(&m->head, i % m->head.levels, t->hyper.imgsz);
        level[i] = nb_head_level_nhwc(&m->head, nb_executor_output(t->val_executor, i), NULL, cells,
                                      cells);
    }
    return NB_OK;
}

static NbStatus score_average(Trainer *t, NbEpochRow *row, NbError *err) {
    const NbModel *const m = t->options->model;
    const NbExecutorOptions inference = executor_options(t, false);
    if (!t->val_executor)
        NB_TRY(nb_executor_new(&t->options->model->graph, &inference, &t->val_executor, err));
    const int epoch = (int)((t->state.iteration - 1) / t->batches);
    const NbLoss loss = nb_head_loss(&m->head, &t->hyper, t->state.balance, epoch);
    NbDetectOptions detect = nb_head_options(&m->head, true);
    detect.class_of_one = t->hyper.compat;
    const NbValOptions options = {.samples = t->options->val,
                                  .imgsz = t->hyper.imgsz,
                                  .batch = t->hyper.batch,
                                  .workers = t->options->workers,
                                  .detect = detect,
                                  .matching = NB_MATCH_PER_IOU,
                                  .cache_limit = t->options->cache_limit,
                                  .disk_cache = t->options->disk_cache};
    const NbRawRun run = {.user = t, .all = true, .run = run_raw};
    NbValResult result;
    const NbStatus status = nb_validate(&run, &m->head, &loss, &options, &result, err);
    row->precision = result.score.precision;
    row->recall = result.score.recall;
    row->map50 = result.score.map50;
    row->map50_95 = result.score.map50_95;
    memcpy(row->val, result.loss, sizeof row->val);
    nb_val_result_release(&result);
    return status;
}

/* YOLOv5's. */
static double fitness_of(const NbEpochRow *row) { return 0.1 * row->map50 + 0.9 * row->map50_95; }

/* Scores the averaged weights and keeps them when they are the best so far. */
static NbStatus score_epoch(Trainer *t, NbEpochRow *row, bool *best, NbError *err) {
    nb_train_state_swap_ema(&t->state);
    NbStatus status = score_average(t, row, err);
    const double fitness = fitness_of(row);
    *best = status == NB_OK && t->stages.least == 0 &&
            nb_recipe_is_better(&t->hyper, fitness, t->state.best_fitness);
    if (*best) {
        t->state.best_fitness = fitness;
        t->state.best_epoch = row->epoch;
        t->best_row = *row;
        status = nb_train_model_save(t->options->model, t->options->args, NULL, 0, t->best, err);
    }
    nb_train_state_swap_ema(&t->state);
    return status;
}

static NbEpochRow unscored_row(const Trainer *t, int epoch) {
    const double none = (double)NAN;
    NbEpochRow row = {.epoch = epoch + 1,
                      .epochs = t->hyper.epochs,
                      .precision = none,
                      .recall = none,
                      .map50 = none,
                      .map50_95 = none,
                      .two_heads = t->options->model->head.kind == NB_HEAD_YOLOV10,
                      .quant_map50_95 = none,
                      .oscillating = none};
    for (int i = 0; i < NB_LOSS_ITEMS; i++)
        row.val[i] = none;
    return row;
}

static NbStatus finish_epoch(Trainer *t, int epoch, NbError *err) {
    const NbRates rates = nb_schedule_at(&t->stepper.schedule, t->state.iteration - 1);
    NbEpochRow row = unscored_row(t, epoch);
    for (int i = 0; i < NB_LOSS_ITEMS && t->state.losses; i++)
        row.train[i] = t->state.loss[i] / (double)t->state.losses;
    nb_recipe_group_rates(&t->hyper, &rates, row.lr);
    bool best = false;
    if (nb_recipe_scores(&t->hyper, epoch))
        NB_TRY_IN(score_epoch(t, &row, &best, err), err, "epoch %d", epoch + 1);
    if (t->options->quantizers) {
        row.quant_map50_95 = row.map50_95;
        row.oscillating = nb_oscillation_share(&t->state);
    }
    row.images_per_second = t->trained_s > 0.0 ? (double)t->trained / t->trained_s : 0.0;
    row.seconds = elapsed(t);
    if (best)
        t->best_row = row;
    NB_TRY(nb_results_add(t->csv, &row, err));
    memset(t->state.loss, 0, sizeof t->state.loss);
    t->state.losses = 0;
    if (t->state.lr_scale < 1.0) /* an epoch went by: try the schedule's rate again, step by step */
        t->state.lr_scale *= 2.0;
    t->state.epochs_done = epoch + 1;
    NB_TRY(save_last(t, err));
    if (t->hyper.save_period > 0 && (epoch + 1) % t->hyper.save_period == 0) {
        char *const path = nb_arena_printf(&t->arena, "%s/weights/epoch%d.safetensors",
                                           t->options->folder, epoch + 1);
        if (!path)
            return nb_fail_memory(err, "a path");
        NB_TRY(nb_train_state_save(&t->state, &t->hyper, t->options->args, path, err));
    }
    if (t->options->hooks.on_epoch)
        t->options->hooks.on_epoch(t->options->hooks.user, &row, best);
    return NB_OK;
}

/* Asked before an epoch, so that a run that had ended is not continued by resuming it. */
static bool out_of_patience(const Trainer *t) {
    const int first = nb_stage_last_change(&t->hyper); /* no epoch before it can be the best */
    const int best = t->state.best_epoch > first ? t->state.best_epoch : first;
    return t->hyper.patience > 0 && t->hyper.val && t->state.epochs_done > 0 &&
           t->state.epochs_done - best >= t->hyper.patience;
}

static NbStatus score_finished(void *user, double *fitness, NbError *err) {
    Trainer *const t = user;
    NbEpochRow row = {0};
    NB_TRY(score_average(t, &row, err));
    *fitness = fitness_of(&row);
    return NB_OK;
}

static void say_finished(void *user, const char *text) { say(user, text); }

static bool stop_finishing(void *user) { return asked_to_stop(user); }

/* What the safeguards do behind the last epoch. */
static NbStatus finish(Trainer *t, NbError *err) {
    const NbSafeguards *const guard = &t->hyper.guard;
    if (!t->options->quantizers || (!guard->norm && !guard->correct))
        return NB_OK;
    NB_TRY(nb_stages_set(&t->stages, 0, t->hyper.imgsz, err));
    const NbFinish f = {.model = t->options->model,
                        .hyper = &t->hyper,
                        .loader = t->loader,
                        .pool = t->options->pool,
                        .best = t->best,
                        .args = t->options->args,
                        .user = t,
                        .score = score_finished,
                        .say = say_finished,
                        .should_stop = stop_finishing};
    return nb_finish(&f, err);
}

static NbStatus run_epochs(Trainer *t, NbTrainSummary *out, NbError *err) {
    t->started = nb_clock_seconds();
    t->saved = t->started;
    fit_epochs(t, t->state.epochs_done);
    for (int epoch = t->state.epochs_done; epoch < t->hyper.epochs; epoch++) {
        if (out_of_patience(t)) {
            out->stopped_early = true;
            break;
        }
        NB_TRY(change_stage(t, epoch, err));
        NB_TRY(seek(t, err));
        NB_TRY(run_steps(t, epoch, err));
        fit_epochs(t, epoch + 1);
        NB_TRY(finish_epoch(t, epoch, err));
        if (asked_to_stop(t) && epoch + 1 < t->hyper.epochs)
            return nb_fail(NB_ERR_STOPPED, err, "stopped after epoch %d; %s continues it",
                           epoch + 1, t->last);
    }
    return finish(t, err);
}

NbStatus nb_train(const NbTrainOptions *options, NbTrainSummary *out, NbError *err) {
    *out = (NbTrainSummary){0};
    Trainer t = {.options = options, .hyper = options->hyper};
    NbStatus status = set_up(&t, err);
    if (status == NB_OK)
        status = run_epochs(&t, out, err);
    out->epochs = t.state.epochs_done;
    out->seconds = t.started > 0.0 ? elapsed(&t) : t.earlier;
    out->images_per_second = t.trained_s > 0.0 ? (double)t.trained / t.trained_s : 0.0;
    out->loader_share =
        t.loader && t.trained_s > 0.0 ? nb_loader_waited(t.loader) / t.trained_s : 0.0;
    out->best_fitness = t.state.best_fitness;
    out->best_epoch = t.state.best_epoch;
    out->best = t.best_row;
    tear_down(&t);
    return status;
}
