/* SPDX-License-Identifier: Apache-2.0 */
#include "api/train_run.h"

#include "api/batch_size.h"
#include "api/common.h"
#include "api/figures.h"
#include "api/hyper_options.h"
#include "api/load_report.h"
#include "base/file.h"
#include "data/anchors.h"
#include "model/checkpoint.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { BATCHES_TO_DRAW = 3 };

/* ---- resume ---- */

/* Where and how a run is computed, which changes none of its numbers: kept in args.yaml, not in
 * checkpoints. */
static const char *const place_keys[] = {"threads", "workers",  "device",       "project",
                                         "name",    "exist_ok", "save_minutes", "cache_mb",
                                         "cache",   "plots"};

enum { PLACE_KEYS = sizeof place_keys / sizeof *place_keys };

/* resume=: a checkpoint, a run folder, or 1 for the newest run below project=. A checkpoint that
 * does not lie in the weights/ of a run goes on in a folder of its own. */
static NbStatus find_resume(NbTrainRun *run, NbError *err) {
    NbJob *const job = run->job;
    const char *const asked = nb_job_str(job, NB_OPT_resume);
    if (!*asked || strcmp(asked, "0") == 0 || strcasecmp(asked, "false") == 0)
        return NB_OK;
    if (strcmp(asked, "1") == 0 || strcasecmp(asked, "true") == 0) {
        NB_TRY(nb_run_folder_newest(nb_job_str(job, NB_OPT_project), "weights/last.safetensors",
                                    &job->arena, &run->folder, err));
        run->resume_path = nb_path_join(&job->arena, run->folder, "weights/last.safetensors");
    } else if (nb_path_is_folder(asked)) {
        run->folder = nb_arena_string(&job->arena, asked);
        run->resume_path = nb_path_join(&job->arena, asked, "weights/last.safetensors");
    } else {
        run->resume_path = nb_arena_string(&job->arena, asked);
        char *const weights = nb_path_folder(&job->arena, asked);
        if (!weights)
            return nb_fail_memory(err, "a path");
        if (strcmp(nb_path_name(weights), "weights") != 0)
            return run->resume_path ? NB_OK : nb_fail_memory(err, "a path"); /* a new folder */
        run->folder = nb_path_folder(&job->arena, weights);
    }
    return run->folder && run->resume_path ? NB_OK : nb_fail_memory(err, "a path");
}

static NbStatus read_resume(NbTrainRun *run, NbError *err) {
    NbJob *const job = run->job;
    if (run->folder)
        NB_TRY(nb_read_args(job, run->folder, place_keys, PLACE_KEYS, err));
    NB_TRY(nb_file_map(run->resume_path, &run->resume_bytes, err));
    NB_TRY(
        nb_safetensors_read(run->resume_path, run->resume_bytes, &job->arena, &run->resume, err));
    const char *const args = nb_safetensors_metadata(&run->resume, "args");
    json_t *const settings = args ? json_loads(args, JSON_REJECT_DUPLICATES, NULL) : NULL;
    if (!json_is_object(settings)) {
        json_decref(settings);
        return nb_fail(NB_ERR_FORMAT, err,
                       "%s: expected a training checkpoint, found no settings in it",
                       run->resume_path);
    }
    const NbStatus status = nb_job_settings_from_json(job, settings, NB_FROM_MODEL, err);
    json_decref(settings);
    if (status != NB_OK)
        return nb_fail_in(NB_ERR_FORMAT, err, "%s", run->resume_path);
    run->first_model = nb_job_str(job, NB_OPT_model);
    NB_TRY(nb_job_check_settings(job, err));
    return nb_job_set_from(job, "model", run->resume_path, NB_FROM_CALLER, err);
}

/* ---- opening ---- */

/* fraction=: the first pictures. */
static void use_fraction(NbTrainRun *run) {
    const double fraction = nb_job_real(run->job, NB_OPT_fraction, 1.0);
    const double wanted = rint(fraction * run->train.n); /* half to even, as Python rounds */
    if (fraction >= 1.0)
        return;
    run->train.n = wanted > 1.0 ? (int)wanted : 1;
    run->train.n_labels = 0;
    for (int i = 0; i < run->train.n; i++)
        run->train.n_labels += run->train.sample[i].n_labels;
    nb_job_say(run->job, "fraction %g: %d pictures, %d boxes", fraction, run->train.n,
               run->train.n_labels);
}

static NbStatus open_data(NbTrainRun *run, NbError *err) {
    NbJob *const job = run->job;
    NB_TRY(nb_job_dataset(job, &run->dataset, err));
    NB_TRY(nb_job_samples(job, &run->dataset, NB_SPLIT_TRAIN, &run->train, err));
    use_fraction(run);
    return nb_job_samples(job, &run->dataset, NB_SPLIT_VAL, &run->val, err);
}

static bool has_suffix(const char *path, const char *suffix) {
    return strcasecmp(nb_path_suffix(path), suffix) == 0;
}

/* What fits by name and shape: averages where the file has them. */
static NbStatus load_what_fits(NbTrainRun *run, const char *path, NbModel *source,
                               NbLoadReport *report, NbError *err) {
    NbArena *const arena = &run->job->arena;
    NbSafetensors file = {0};
    NbBytes bytes;
    if (has_suffix(path, ".pt")) {
        const NbModelOptions options = {.compat = run->model.compat};
        NB_TRY(nb_model_read(path, &options, 0, source, err));
        NB_TRY(nb_model_to_tensors(source, "", arena, &file, err));
    } else {
        NB_TRY(nb_file_read(path, 0, arena, &bytes, err));
        NB_TRY(nb_safetensors_read(path, bytes, arena, &file, err));
    }
    bool averaged = false;
    for (size_t i = 0; i < file.n_tensors; i++)
        averaged = averaged || strncmp(file.tensor[i].name, "ema/", 4) == 0;
    NB_TRY_IN(nb_model_load_tensors(&run->model, &file, averaged ? "ema/" : "", NB_LOAD_TRANSFER,
                                    arena, report, err),
              err, "%s", path);
    return NB_OK;
}

static NbStatus take_weights(NbTrainRun *run, const char *path, NbError *err) {
    NbJob *const job = run->job;
    NbModel source = {0}; /* of a .pt file */
    NbLoadReport report = {0};
    const NbStatus status = load_what_fits(run, path, &source, &report, err);
    nb_model_release(&source);
    NB_TRY(status);
    nb_job_put_load(job, &report);
    nb_job_say_load(job, path, &report);
    if (report.loaded == 0)
        return nb_fail(NB_ERR_FORMAT, err, "%s: expected weights that fit the model, found none",
                       path);
    run->pretrained = true;
    return NB_OK;
}

/* Ultralytics' pretrained=True or False: the weights of model= are what it says. */
static bool is_yes_or_no(const char *text) {
    return strcasecmp(text, "true") == 0 || strcasecmp(text, "false") == 0 ||
           strcmp(text, "1") == 0 || strcmp(text, "0") == 0;
}

static NbStatus open_model(NbTrainRun *run, NbError *err) {
    NbJob *const job = run->job;
    NbLoadReport loaded = {0};
    NB_TRY(nb_job_import(job, run->dataset.nc, &loaded, &run->model, err));
    if (run->model.head.nc != run->dataset.nc)
        return nb_fail(NB_ERR_FORMAT, err, "%s has %d classes, the model %s has %d",
                       nb_job_str(job, NB_OPT_data), run->dataset.nc, nb_job_str(job, NB_OPT_model),
                       run->model.head.nc);
    if (run->model.head.has_bins)
        nb_job_say(job, "training takes the bins of the head as 0, 1, 2, ...");
    nb_head_set_bins(&run->model.head, NULL);
    const char *const model = nb_job_str(job, NB_OPT_model);
    run->pretrained =
        has_suffix(model, ".safetensors") || has_suffix(model, ".pt") || has_suffix(model, ".onnx");
    if (run->pretrained && !run->resume_path) {
        nb_job_put_load(job, &loaded);
        nb_job_say_load(job, model, &loaded);
        if (loaded.loaded == 0)
            return nb_fail(NB_ERR_FORMAT, err, "%s: nothing in it fits %d classes", model,
                           run->dataset.nc);
    }
    NB_TRY(nb_model_set_names(&run->model, (const char *const *)run->dataset.names, run->dataset.nc,
                              err));
    const char *const start = nb_job_str(job, NB_OPT_pretrained);
    if (!run->resume_path && *start && !is_yes_or_no(start))
        NB_TRY(take_weights(run, start, err));
    return NB_OK;
}

/* Before the first picture is loaded; the batch that was found is the setting from then on. */
static NbStatus choose_batch(NbTrainRun *run, NbError *err) {
    char text[16];
    if (nb_job_int(run->job, NB_OPT_batch, 0) != -1)
        return NB_OK;
    int batch = 0;
    NB_TRY(nb_job_batch_from_memory(run->job, &run->model, run->model.imgsz, run->train.n, &batch,
                                    err));
    (void)snprintf(text, sizeof text, "%d", batch);
    return nb_job_set_from(run->job, "batch", text, NB_FROM_CALLER, err);
}

/* Keys that are understood and change nothing. */
static void say_without_effect(NbJob *job) {
    if (nb_job_bool(job, NB_OPT_amp, false))
        nb_job_say(job, "amp: training computes in float32");
    if (!nb_job_bool(job, NB_OPT_deterministic, true))
        nb_job_say(job, "deterministic=0: training is deterministic in any case");
}

/* How the run trains: what its kind of head takes for granted, and the settings. */
static NbStatus open_hyper(NbTrainRun *run, NbError *err) {
    int imgsz = 0;
    NB_TRY(nb_job_imgsz(run->job, &run->model, &imgsz, err));
    run->model.imgsz = imgsz;
    NB_TRY(choose_batch(run, err));
    NB_TRY(nb_job_hyper(run->job, &run->model, run->train.n, &run->hyper, err));
    run->hyper.imgsz = imgsz;
    say_without_effect(run->job);
    return NB_OK;
}

static NbStatus fit_anchors(NbTrainRun *run, NbError *err) {
    NbHead *const head = &run->model.head;
    if (run->resume_path || run->pretrained || !run->hyper.autoanchor ||
        head->kind != NB_HEAD_YOLOV5)
        return NB_OK;
    float anchor[NB_ANCHORS_MAX][2];
    const NbAnchorOptions options = {.imgsz = run->hyper.imgsz,
                                     .threshold = run->hyper.anchor_t,
                                     .seed = run->hyper.seed,
                                     .levels = head->levels,
                                     .per_level = head->anchors,
                                     .stride = head->stride};
    if (head->levels * head->anchors > NB_ANCHORS_MAX)
        return NB_OK;
    for (int i = 0; i < head->levels * head->anchors; i++)
        memcpy(anchor[i], head->anchor[i / head->anchors][i % head->anchors], sizeof *anchor);
    NbAnchorCheck check;
    NB_TRY_IN(nb_anchor_check(&run->train, &options, anchor, &check, err), err, "anchors");
    for (int i = 0; i < head->levels * head->anchors; i++)
        memcpy(head->anchor[i / head->anchors][i % head->anchors], anchor[i], sizeof *anchor);
    nb_job_say(run->job, "anchors: %.1f %% of the boxes within a factor of %g%s",
               100.0 * check.before.bpr, run->hyper.anchor_t, check.changed ? "; fitted anew" : "");
    return NB_OK;
}

static NbStatus open_folder(NbTrainRun *run, NbError *err) {
    NbJob *const job = run->job;
    if (!run->folder)
        NB_TRY(nb_job_run_folder(job, "train", &run->folder, err));
    char *const weights = nb_path_join(&job->arena, run->folder, "weights");
    if (!weights)
        return nb_fail_memory(err, "a path");
    NB_TRY(nb_folder_make(weights, err));
    if (run->resume_path) {
        NB_TRY(nb_folder_clean(run->folder, err));
        NB_TRY(nb_folder_clean(weights, err));
    }
    NB_TRY(nb_run_log_open(&run->log, job, run->folder, err));
    NB_TRY(nb_write_args(job, run->folder, err));
    json_t *settings = NULL;
    NB_TRY(nb_job_settings_json(job, &settings, err));
    /* what does not change what is computed must not change the bytes of the checkpoint either */
    static const char *const call_keys[] = {"resume",   "json",     "verbose",
                                            "progress", "settings", "cfg"};
    for (size_t i = 0; i < sizeof call_keys / sizeof *call_keys; i++)
        json_object_del(settings, call_keys[i]);
    for (size_t i = 0; i < PLACE_KEYS; i++)
        json_object_del(settings, place_keys[i]);
    if (run->resume_path) /* the model of the start, not the checkpoint */
        json_object_set_new(settings, "model", json_string(run->first_model));
    run->args = json_dumps(settings, JSON_SORT_KEYS);
    json_decref(settings);
    return run->args ? NB_OK : nb_fail_memory(err, "settings");
}

NbStatus nb_train_run_open(NbTrainRun *run, NbError *err) {
    NB_TRY(find_resume(run, err));
    if (run->resume_path)
        NB_TRY(read_resume(run, err));
    NB_TRY(nb_job_check_hyper(run->job, err));
    NB_TRY(nb_job_pool(run->job, &run->pool, err));
    NB_TRY(open_data(run, err));
    NB_TRY(open_model(run, err));
    NB_TRY(open_hyper(run, err));
    NB_TRY(fit_anchors(run, err));
    return open_folder(run, err);
}

void nb_train_run_close(NbTrainRun *run) {
    nb_model_release(&run->model);
    nb_file_unmap(run->resume_bytes);
    free(run->args);
}

/* ---- training ---- */

static void on_message(void *user, const char *text) {
    NbTrainRun *const run = user;
    nb_run_log_line(&run->log, text);
    nb_run_log_event(&run->log, "message", json_pack("{s:o}", "text", nb_json_text(text)));
}

/* "box 0.1  obj 0.2  cls 0.3": the items that the head has. */
static void put_losses(const NbTrainRun *run, const double *loss, const char *between, char *out,
                       size_t size) {
    size_t at = 0;
    out[0] = '\0';
    for (int i = 0; i < NB_LOSS_ITEMS && at < size; i++)
        if (nb_loss_has_item(run->model.head.kind, (NbLossItem)i))
            at += (size_t)snprintf(out + at, size - at, "%s%s %.4f", at ? between : "",
                                   nb_loss_item_name((NbLossItem)i), loss[i]);
}

static json_t *losses_json(const NbTrainRun *run, const double *loss) {
    json_t *const o = json_object();
    for (int i = 0; i < NB_LOSS_ITEMS; i++)
        if (nb_loss_has_item(run->model.head.kind, (NbLossItem)i))
            json_object_set_new(o, nb_loss_item_name((NbLossItem)i), nb_json_real(loss[i]));
    return o;
}

static void on_progress(void *user, const NbTrainProgress *p) {
    NbTrainRun *const run = user;
    if (!run->job->hooks.on_progress)
        return;
    char what[64];
    char detail[160];
    (void)snprintf(what, sizeof what, "epoch %d/%d", p->epoch, p->epochs);
    put_losses(run, p->loss, "  ", detail, sizeof detail);
    const NbJobProgress progress = {.what = what,
                                    .done = p->batch,
                                    .total = p->batches,
                                    .per_second = p->images_per_second,
                                    .seconds_left = p->seconds_left,
                                    .detail = detail};
    run->job->hooks.on_progress(run->job->hooks.user, &progress);
}

static void on_batch(void *user, int epoch, int batch, const NbBatch *pictures) {
    NbTrainRun *const run = user;
    if (epoch > 0 || batch >= BATCHES_TO_DRAW || run->log.status != NB_OK ||
        !nb_job_bool(run->job, NB_OPT_plots, true))
        return;
    char *const path =
        nb_arena_printf(&run->job->arena, "%s/train_batch%d.jpg", run->folder, batch);
    if (path)
        run->log.status = nb_write_batch_figure(path, pictures, run->model.names,
                                                run->model.head.nc, &run->log.error);
}

static void on_epoch(void *user, const NbEpochRow *r, bool best) {
    NbTrainRun *const run = user;
    char text[384];
    char score[96] = "not scored";
    if (isfinite(r->map50))
        (void)snprintf(score, sizeof score, "P %.3f R %.3f mAP50 %.4f mAP50-95 %.4f%s",
                       r->precision, r->recall, r->map50, r->map50_95, best ? " (best)" : "");
    char losses[160];
    put_losses(run, r->train, " ", losses, sizeof losses);
    (void)snprintf(text, sizeof text, "epoch %d/%d  %s  %s  %.1f pictures/s", r->epoch, r->epochs,
                   losses, score, r->images_per_second);
    nb_run_log_line(&run->log, text);
    nb_run_log_event(&run->log, "epoch",
                     json_pack("{s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:o}", "epoch", r->epoch,
                               "loss", losses_json(run, r->train), "val_loss",
                               losses_json(run, r->val), "map50", nb_json_real(r->map50),
                               "map50_95", nb_json_real(r->map50_95), "quant_map50_95",
                               nb_json_real(r->quant_map50_95), "images_per_second",
                               nb_json_real(r->images_per_second), "best", best ? 1 : 0, "seconds",
                               nb_json_real(r->seconds)));
}

static bool should_stop(void *user) { return nb_job_stopped(((NbTrainRun *)user)->job); }

NbStatus nb_train_run_go(NbTrainRun *run, NbError *err) {
    NbJob *const job = run->job;
    const NbTrainOptions options = {.model = &run->model,
                                    .pretrained = run->pretrained,
                                    .train = &run->train,
                                    .val = &run->val,
                                    .hyper = run->hyper,
                                    .quantizers = run->model.bits.quantized,
                                    .pool = run->pool,
                                    .workers = nb_job_workers(job),
                                    .cache_limit = nb_job_cache_limit(job),
                                    .disk_cache = nb_job_cache(job) == NB_CACHE_DISK,
                                    .folder = run->folder,
                                    .args = run->args,
                                    .resume = run->resume_path ? &run->resume : NULL,
                                    .resume_path = run->resume_path,
                                    .save_seconds =
                                        60.0 * nb_job_real(job, NB_OPT_save_minutes, 5.0),
                                    .hooks = {.user = run,
                                              .on_message = on_message,
                                              .on_progress = on_progress,
                                              .on_batch = on_batch,
                                              .on_epoch = on_epoch,
                                              .should_stop = should_stop}};
    nb_run_log_event(&run->log, "start",
                     json_pack("{s:s, s:s, s:i, s:i}", "run", run->folder, "version", nb_version(),
                               "train_images", run->train.n, "val_images", run->val.n));
    nb_job_say(job, "writing to %s", run->folder);
    if (nb_job_bool(job, NB_OPT_plots, true))
        NB_TRY(nb_write_label_figure(run->folder, &run->train, run->model.names, run->model.head.nc,
                                     err));
    NB_TRY(nb_train(&options, &run->summary, err));
    if (run->log.status != NB_OK)
        return nb_fail(run->log.status, err, "%s", run->log.error.message);
    return NB_OK;
}
