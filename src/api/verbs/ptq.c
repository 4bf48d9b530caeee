/* SPDX-License-Identifier: Apache-2.0 */
#include "api/calibration.h"
#include "api/common.h"
#include "api/runner.h"
#include "api/verbs/verbs.h"

#include "base/clock.h"
#include "base/file.h"
#include "lower/ptq/quantize.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double UNSTABLE = 0.7; /* of the range, seen in the first half of the pictures */

typedef struct Ptq {
    NbJob *job;
    NbModel *model;
    const char *out;
    int imgsz;
    NbDataset dataset; /* when data= is given */
    NbSamples scored;
    NbPtqOptions options;
    NbPtqReport report;
    double seconds;
    json_t *metrics;
    json_t *coco;
} Ptq;

/* out=, or the name of the model with _ptq beside it. */
static NbStatus target(Ptq *p, NbError *err) {
    NbJob *const job = p->job;
    const char *path = NULL;
    NB_TRY(nb_job_need(job, NB_OPT_model, &path, err));
    const char *const folder = nb_path_folder(&job->arena, path);
    const char *const stem = nb_path_stem(&job->arena, path);
    p->out = nb_job_str(job, NB_OPT_out);
    if (!*p->out && folder && stem)
        p->out = nb_path_join(&job->arena, folder,
                              nb_arena_printf(&job->arena, "%s_ptq.safetensors", stem));
    if (!folder || !stem || !p->out)
        return nb_fail_memory(err, "path");
    if (strcmp(nb_path_suffix(p->out), ".safetensors") != 0)
        return nb_fail(NB_ERR_ARGUMENT, err,
                       "out: expected a name that ends in .safetensors, found '%s'", p->out);
    if (strcmp(p->out, path) == 0)
        return nb_fail(NB_ERR_ARGUMENT, err, "out: expected another file than the model '%s'",
                       path);
    return NB_OK;
}

static bool on_progress(void *user, int done, int all) {
    NbJob *const job = user;
    const NbJobProgress progress = {
        .what = "quantizing", .done = done, .total = all, .detail = "passes"};
    if (job->hooks.on_progress)
        job->hooks.on_progress(job->hooks.user, &progress);
    return nb_job_stopped(job);
}

static NbStatus read_options(Ptq *p, NbError *err) {
    NbJob *const job = p->job;
    const char *const method = nb_job_str(job, NB_OPT_method);
    p->options = nb_ptq_defaults();
    if (*method && !nb_ptq_method_parse(method, &p->options.method))
        return nb_fail(NB_ERR_ARGUMENT, err,
                       "method: expected mse, minmax, percentile or kl, found '%s'", method);
    p->options.round =
        strcmp(nb_job_str(job, NB_OPT_round), "nearest") == 0 ? NB_PTQ_NEAREST : p->options.round;
    p->options.percentile = nb_job_real(job, NB_OPT_percentile, p->options.percentile);
    p->options.bias_correction = nb_job_bool(job, NB_OPT_bias_correction, true);
    p->options.passes = nb_job_int(job, NB_OPT_passes, p->options.passes);
    p->options.pixels = nb_job_int(job, NB_OPT_pixels, p->options.pixels);
    p->options.seed = (uint64_t)nb_job_int(job, NB_OPT_seed, 0);
    p->options.on_progress = on_progress;
    p->options.user = job;
    return nb_job_pool(job, &p->options.pool, err);
}

/* Pictures for the score: split= of data=, whose classes must be the model's. */
static NbStatus open_data(Ptq *p, NbError *err) {
    NbSplit split = NB_SPLIT_VAL;
    bool matched = false;
    if (!nb_job_has(p->job, NB_OPT_data))
        return NB_OK;
    NB_TRY(nb_job_dataset(p->job, &p->dataset, err));
    NB_TRY(nb_dataset_match_classes(&p->dataset, p->model->names, p->model->head.nc, &p->job->arena,
                                    &matched, err));
    if (p->dataset.nc != p->model->head.nc)
        return nb_fail(NB_ERR_FORMAT, err, "%s has %d classes, the model %s has %d",
                       nb_job_str(p->job, NB_OPT_data), p->dataset.nc,
                       nb_job_str(p->job, NB_OPT_model), p->model->head.nc);
    NB_TRY(nb_job_split(p->job, &split, err));
    if (!nb_job_bool(p->job, NB_OPT_val, true) || !p->dataset.split_path[split])
        return NB_OK;
    return nb_job_samples(p->job, &p->dataset, split, &p->scored, err);
}

/* Adds the score of one engine to the metrics; nothing without data. */
static NbStatus score(Ptq *p, NbEngineKind kind, const char *key, NbError *err) {
    NbValResult r = {0};
    NbCocoScore coco;
    if (p->scored.n == 0)
        return NB_OK;
    NbStatus status = nb_job_score(p->job, p->model, kind, p->imgsz, &p->scored, &r, err);
    if (status == NB_OK)
        status = nb_val_coco(&r, &p->scored, p->model->head.nc, &coco, err);
    if (status == NB_OK) {
        json_object_set_new(p->metrics, key, nb_json_metrics(&r.score, p->model->names));
        json_object_set_new(p->coco, key, nb_json_coco(&coco));
        nb_job_print(p->job, "%-5s AP %.4f  AP50 %.4f  mAP50-95 %.4f  mAP50 %.4f\n", key,
                     coco.value[0], coco.value[1], r.score.map50_95, r.score.map50);
    }
    nb_val_result_release(&r);
    return status;
}

static json_t *layers_json(const NbPtqReport *r) {
    json_t *const list = json_array();
    for (size_t i = 0; i < r->n_layers; i++)
        json_array_append_new(
            list, json_pack("{s:s, s:i, s:i, s:o, s:o}", "name", r->layer[i].name, "weight_bits",
                            r->layer[i].weight_bits ? r->layer[i].weight_bits : 16, "input_bits",
                            r->layer[i].input_bits ? r->layer[i].input_bits : 16, "weight_sqnr_db",
                            nb_json_real(r->layer[i].weight_sqnr_db), "sqnr_db",
                            nb_json_real(r->layer[i].sqnr_db)));
    return list;
}

static json_t *acts_json(const NbPtqReport *r) {
    json_t *const list = json_array();
    for (size_t i = 0; i < r->n_acts; i++) {
        const NbPtqActReport *const a = &r->act[i];
        json_array_append_new(list, json_pack("{s:s, s:i, s:o, s:o, s:o, s:o, s:o}", "name",
                                              a->name, "bits", a->bits, "step",
                                              nb_json_real((double)a->scale.step), "zero",
                                              nb_json_real((double)a->scale.zero), "saturated",
                                              nb_json_real(a->scale.saturated), "sqnr_db",
                                              nb_json_real(a->scale.sqnr_db), "stability",
                                              nb_json_real(a->stability)));
    }
    return list;
}

/* What calibration makes one doubt, in a few lines. */
static void print_doubts(const Ptq *p) {
    const NbPtqReport *const r = &p->report;
    int unstable = 0;
    double most = 0.0;
    const char *where = "";
    for (size_t i = 0; i < r->n_acts; i++) {
        unstable += r->act[i].stability < UNSTABLE;
        if (r->act[i].scale.saturated > most) {
            most = r->act[i].scale.saturated;
            where = r->act[i].name;
        }
    }
    if (unstable)
        nb_job_print(p->job,
                     "%d of %zu ranges grew by more than %.0f %% in the second half of the "
                     "pictures: more pictures may help\n",
                     unstable, r->n_acts, 100.0 / UNSTABLE - 100.0);
    if (most > 0.0)
        nb_job_print(p->job, "most saturated: %s, %.3f %% of its values\n", where, 100.0 * most);
}

static NbStatus report(Ptq *p, NbError *err) {
    NbJob *const job = p->job;
    NbBytes file = {0};
    const char *const bits = nb_bits_text(&p->model->bits, &job->arena);
    if (!bits)
        return nb_fail_memory(err, "bits");
    NB_TRY(nb_file_read(p->out, 0, &job->arena, &file, err));
    nb_job_put(job, "out", nb_json_text(p->out));
    nb_job_put(job, "quantize", json_string(bits));
    nb_job_put(job, "metrics", p->metrics);
    nb_job_put(job, "coco", p->coco);
    p->metrics = p->coco = NULL;
    nb_job_put(job, "layers", layers_json(&p->report));
    nb_job_put(job, "activations", acts_json(&p->report));
    nb_job_put(job, "seconds", nb_json_real(p->seconds));
    nb_job_put(job, "bytes", json_integer((json_int_t)file.size));
    print_doubts(p);
    nb_job_print(job, "%s: %s, quantized in %.1f s\n", p->out, bits, p->seconds);
    return NB_OK;
}

static NbStatus quantize(Ptq *p, NbError *err) {
    NbCalibration c;
    const double start = nb_clock_seconds();
    NB_TRY(nb_calibration_open(p->job, nb_job_has(p->job, NB_OPT_data) ? &p->dataset : NULL,
                               p->imgsz, &c, err));
    nb_job_put(p->job, "calibration", json_integer(c.pictures.count));
    NbGraph view = nb_model_inference(p->model);
    const NbStatus status =
        nb_ptq_quantize(&view, &c.pictures, &p->options, &p->job->arena, &p->report, err);
    nb_calibration_close(&c);
    p->seconds = nb_clock_seconds() - start;
    return status;
}

static NbStatus run_model(Ptq *p, NbError *err) {
    NB_TRY(nb_job_imgsz(p->job, p->model, &p->imgsz, err));
    NB_TRY(read_options(p, err));
    NB_TRY(open_data(p, err));
    nb_job_put(p->job, "imgsz", json_integer(p->imgsz));
    NB_TRY(score(p, NB_ENGINE_FLOAT, "float", err));
    NB_TRY(quantize(p, err));
    p->model->imgsz = p->imgsz;
    NB_TRY(nb_model_write(p->out, p->model, err));
    if (p->scored.n > 0) {
        const NbEngineKind kind = nb_job_usual_engine(p->job, p->model);
        nb_job_put(p->job, "engine", json_string(nb_engine_name(kind)));
        NB_TRY(score(p, kind, "int", err));
    }
    return report(p, err);
}

static NbStatus run(NbJob *job, NbError *err) {
    NbModel model;
    NbLoadReport loaded;
    Ptq p = {.job = job, .model = &model, .metrics = json_object(), .coco = json_object()};
    if (!nb_job_has(job, NB_OPT_quantize))
        NB_TRY(nb_job_set_from(job, "quantize", "w8a8", NB_FROM_DEFAULT, err));
    NbStatus status = p.metrics && p.coco ? target(&p, err) : nb_fail_memory(err, "the result");
    if (status == NB_OK) {
        status = nb_job_import_steps(job, &loaded, &model, err);
        if (status == NB_OK) {
            status = run_model(&p, err);
            nb_model_release(&model);
        }
    }
    json_decref(p.metrics);
    json_decref(p.coco);
    return status;
}

const NbVerb nb_verb_ptq = {
    .info = {.name = "ptq",
             .aliases = "",
             .help = "quantizes a finished model with some pictures, without training",
             .example = "nibble ptq model=yolov10n.onnx calib=pictures data=coco.yaml "
                        "quantize=w4a8 out=yolov10n_w4a8.safetensors",
             .keys = "model quantize calib data split ids out method percentile round "
                     "bias_correction passes pixels imgsz batch conf iou max_det single_cls images "
                     "threads workers isa cache cache_mb calib_limit images_limit val seed "
                     "settings json progress verbose"},
    .run = run};
