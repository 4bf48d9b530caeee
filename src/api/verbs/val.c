/* SPDX-License-Identifier: Apache-2.0 */
#include "api/common.h"
#include "api/figures.h"
#include "api/runner.h"
#include "api/verbs/verbs.h"

#include <string.h>

static NbStatus score(NbJob *job, NbModel *model, const NbSamples *samples, NbValResult *result,
                      NbError *err) {
    NbEngineKind kind = NB_ENGINE_FLOAT;
    int imgsz = 0;
    NB_TRY(nb_job_engine(job, model, &kind, err));
    NB_TRY(nb_job_imgsz(job, model, &imgsz, err));
    const NbValOptions used = nb_job_val_options(job, model, true);
    nb_job_put(job, "engine", json_string(nb_engine_name(kind)));
    nb_job_put(job, "imgsz", json_integer(imgsz));
    nb_job_put(job, "conf", nb_json_real((double)used.detect.conf));
    nb_job_put(job, "iou", nb_json_real(used.detect.iou));
    return nb_job_score(job, model, kind, imgsz, samples, result, err);
}

static NbStatus report(NbJob *job, const NbModel *model, const NbSamples *samples,
                       const NbValResult *r, NbError *err) {
    NbCocoScore coco;
    NB_TRY(nb_val_coco(r, samples, model->head.nc, &coco, err));
    const double n = r->n_images > 0 ? r->n_images : 1;
    nb_job_put(job, "images", json_integer(r->n_images));
    nb_job_put(job, "metrics", nb_json_metrics(&r->score, model->names));
    nb_job_put(job, "coco", nb_json_coco(&coco));
    nb_job_put(job, "speed_ms",
               json_pack("{s:o, s:o, s:o}", "preprocess", nb_json_real(1e3 * r->preprocess_s / n),
                         "inference", nb_json_real(1e3 * r->inference_s / n), "postprocess",
                         nb_json_real(1e3 * r->postprocess_s / n)));
    nb_job_print_metrics(job, &r->score, model->names, r->n_images);
    nb_job_print_coco(job, &coco);
    nb_job_print(job, "ms a picture: %.2f preprocess, %.2f inference, %.2f postprocess\n",
                 1e3 * r->preprocess_s / n, 1e3 * r->inference_s / n, 1e3 * r->postprocess_s / n);
    return NB_OK;
}

static NbStatus write_files(NbJob *job, NbModel *model, const NbDataset *dataset,
                            const NbSamples *samples, const NbValResult *r, NbError *err) {
    const bool json = nb_job_bool(job, NB_OPT_save_json, false);
    const bool text = nb_job_bool(job, NB_OPT_save_txt, false);
    const bool plots = nb_job_bool(job, NB_OPT_plots, true);
    if (!json && !text && !plots)
        return NB_OK;
    char *folder = NULL;
    NB_TRY(nb_job_run_folder(job, "val", &folder, err));
    nb_job_put(job, "run", nb_json_text(folder));
    if (json)
        NB_TRY(nb_write_predictions(folder, samples, r, dataset->category_id, err));
    if (text)
        NB_TRY(nb_write_label_files(folder, samples, r, nb_job_bool(job, NB_OPT_save_conf, false),
                                    err));
    if (plots)
        NB_TRY(nb_write_score_figures(folder, model, samples, r, err));
    nb_job_print(job, "files are in %s\n", folder);
    return NB_OK;
}

/* The classes of a COCO JSON are the model's of the same names; else by order, if as many. */
static NbStatus match_classes(NbJob *job, NbDataset *d, const NbModel *model, NbError *err) {
    bool same = d->nc == model->head.nc;
    bool matched = false;
    for (int c = 0; same && c < d->nc; c++)
        same = strcmp(d->names[c], model->names[c]) == 0;
    if (same || nb_job_bool(job, NB_OPT_single_cls, false))
        return NB_OK;
    return nb_dataset_match_classes(d, model->names, model->head.nc, &job->arena, &matched, err);
}

static NbStatus run_model(NbJob *job, NbModel *model, NbError *err) {
    NbDataset dataset;
    NbSamples samples;
    NbSplit split = NB_SPLIT_VAL;
    NB_TRY(nb_job_dataset(job, &dataset, err));
    NB_TRY(match_classes(job, &dataset, model, err));
    if (dataset.nc != model->head.nc)
        return nb_fail(NB_ERR_FORMAT, err, "%s has %d classes, the model %s has %d",
                       nb_job_str(job, NB_OPT_data), dataset.nc, nb_job_str(job, NB_OPT_model),
                       model->head.nc);
    NB_TRY(nb_job_split(job, &split, err));
    NB_TRY(nb_job_samples(job, &dataset, split, &samples, err));
    NbValResult result = {0};
    NbStatus status = score(job, model, &samples, &result, err);
    if (status == NB_OK)
        status = report(job, model, &samples, &result, err);
    if (status == NB_OK)
        status = write_files(job, model, &dataset, &samples, &result, err);
    nb_val_result_release(&result);
    return status;
}

static NbStatus run(NbJob *job, NbError *err) {
    NbModel model;
    NB_TRY(nb_job_model(job, 0, &model, err));
    const NbStatus status = run_model(job, &model, err);
    nb_model_release(&model);
    return status;
}

const NbVerb nb_verb_val = {
    .info = {.name = "val",
             .aliases = "",
             .help = "scores a model on a data set",
             .example =
                 "nibble val model=runs/detect/train/weights/best.safetensors data=data.yaml "
                 "engine=int",
             .keys = "model data images split ids engine imgsz batch rect conf iou max_det "
                     "agnostic_nms single_cls "
                     "threads workers isa cache cache_mb images_limit project name exist_ok plots "
                     "save_json save_txt save_conf quantize settings json progress verbose"},
    .run = run};
