/* SPDX-License-Identifier: Apache-2.0 */
#include "api/common.h"

#include "base/file.h"
#include "data/ids.h"
#include "model/checkpoint.h"
#include "model/onnx/weights.h"
#include "train/run_files.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LEFT_OUT_SAID = 5 };

json_t *nb_json_text(const char *text) {
    json_t *const exact = json_string(text);
    if (exact)
        return exact;
    NbText shown = {0};
    for (; *text; text++) {
        const bool plain = (unsigned char)*text < 0x80;
        nb_text_put(&shown, plain ? text : "\xef\xbf\xbd", plain ? 1 : 3);
    }
    json_t *const out = shown.failed ? NULL : json_string(shown.data ? shown.data : "");
    nb_text_release(&shown);
    return out;
}

json_t *nb_json_real(double value) { return isfinite(value) ? json_real(value) : json_null(); }

/* quantize=: text, or a file; what a file says replaces its name, so that checkpoints need no file.
 */
static NbStatus read_bits(NbJob *job, NbBits *out, NbError *err) {
    const char *const text = nb_job_str(job, NB_OPT_quantize);
    const bool file = nb_path_exists(text);
    const NbStatus status = nb_bits_read(text, &job->arena, out, err);
    if (status != NB_OK)
        return status == NB_ERR_FORMAT && !file ? NB_ERR_ARGUMENT : status;
    if (!file)
        return NB_OK;
    const char *const meaning = nb_bits_text(out, &job->arena);
    if (!meaning)
        return nb_fail_memory(err, "quantize");
    return nb_job_set_from(job, "quantize", meaning, NB_FROM_CALLER, err);
}

static NbStatus import_onnx(NbJob *job, const char *path, const NbModelOptions *options,
                            NbLoadReport *report, NbModel *out, NbError *err) {
    NbOnnxModel file;
    NB_TRY(nb_onnx_read_file(path, &job->arena, &file, err));
    return nb_model_from_onnx_weights(path, &file, options, &job->arena, report, out, err);
}

static NbStatus import(NbJob *job, int nc, bool steps, NbLoadReport *report, NbModel *out,
                       NbError *err) {
    const char *path = NULL;
    NB_TRY(nb_job_need(job, NB_OPT_model, &path, err));
    NbBits bits = {0};
    NbModelOptions options = {.nc = nc,
                              .steps = steps,
                              .compat = nb_job_has(job, NB_OPT_compat),
                              .transfer = nc > 0 && report};
    const char *const compat = nb_job_str(job, NB_OPT_compat);
    if (options.compat && strcmp(compat, "quantized-yolov5") != 0)
        return nb_fail(NB_ERR_ARGUMENT, err, "compat: expected quantized-yolov5, found '%s'",
                       compat);
    if (nb_job_has(job, NB_OPT_quantize)) {
        NB_TRY(read_bits(job, &bits, err));
        options.bits = &bits;
    }
    if (nb_job_has(job, NB_OPT_hardtanh))
        options.hardtanh = nb_job_bool(job, NB_OPT_hardtanh, false) ? "1" : "0";
    const uint64_t seed = (uint64_t)nb_job_int(job, NB_OPT_seed, 0);
    if (report && strcmp(nb_path_suffix(path), ".onnx") == 0)
        return import_onnx(job, path, &options, report, out, err);
    if (!report)
        return nb_model_read(path, &options, seed, out, err);
    return nb_model_import(path, &options, seed, &job->arena, report, out, err);
}

NbStatus nb_job_import(NbJob *job, int nc, NbLoadReport *report, NbModel *out, NbError *err) {
    return import(job, nc, false, report, out, err);
}

NbStatus nb_job_import_steps(NbJob *job, NbLoadReport *report, NbModel *out, NbError *err) {
    return import(job, 0, true, report, out, err);
}

NbStatus nb_job_model(NbJob *job, int nc, NbModel *out, NbError *err) {
    return nb_job_import(job, nc, NULL, out, err);
}

NbStatus nb_job_imgsz(NbJob *job, const NbModel *model, int *out, NbError *err) {
    const int usual = model->head.kind == NB_HEAD_YOLOV5 ? 416 : 640;
    const int wanted = nb_job_int(job, NB_OPT_imgsz, model->imgsz > 0 ? model->imgsz : usual);
    if (wanted < 32 || wanted > 8192)
        return nb_fail(NB_ERR_ARGUMENT, err, "imgsz: expected 32 to 8192, found %d", wanted);
    *out = nb_head_side(&model->head, wanted);
    if (*out != wanted)
        nb_job_say(job, "imgsz %d is not a multiple of the stride: %d is used", wanted, *out);
    return NB_OK;
}

NbStatus nb_job_dataset(NbJob *job, NbDataset *out, NbError *err) {
    const char *path = NULL;
    NB_TRY(nb_job_need(job, NB_OPT_data, &path, err));
    NB_TRY(nb_dataset_open(path, nb_job_str(job, NB_OPT_images), &job->arena, out, err));
    if (nb_job_bool(job, NB_OPT_single_cls, false) && out->nc != 1) {
        out->nc = 1;
        out->names = NB_NEW(&job->arena, char *, 1);
        if (!out->names || !(out->names[0] = nb_arena_string(&job->arena, "item")))
            return nb_fail_memory(err, "names");
    }
    return NB_OK;
}

/* The first pictures that are not used, and why. */
static void say_left_out(NbJob *job, const NbSamples *s) {
    int said = 0;
    for (int i = 0; i < s->n_problems && said < LEFT_OUT_SAID; i++) {
        const NbProblem *const p = &s->problem[i];
        if (p->kind != NB_PROBLEM_CORRUPT)
            continue;
        said++;
        if (p->line > 0)
            nb_job_say(job, "left out: %s:%d: %s", p->path, p->line, p->text);
        else
            nb_job_say(job, "left out: %s: %s", p->path, p->text);
    }
    if (s->n_corrupt > said)
        nb_job_say(job, "left out: %d more; 'nibble data check' names them", s->n_corrupt - said);
}

/* ids= */
static NbStatus choose_samples(NbJob *job, NbSamples *s, NbError *err) {
    const char *const path = nb_job_str(job, NB_OPT_ids);
    if (!*path)
        return NB_OK;
    NbIdKey *const key = NB_NEW(&job->arena, NbIdKey, (size_t)s->n);
    bool *const keep = NB_NEW(&job->arena, bool, (size_t)s->n);
    if (!key || !keep)
        return nb_fail_memory(err, path);
    for (int i = 0; i < s->n; i++)
        key[i] =
            (NbIdKey){.id = s->sample[i].truth ? s->sample[i].id : -1, .name = s->sample[i].path};
    NB_TRY(nb_ids_select_file(path, key, (size_t)s->n, &job->arena, keep, err));
    int kept = 0;
    s->n_labels = 0;
    for (int i = 0; i < s->n; i++) {
        if (!keep[i])
            continue;
        s->n_labels += s->sample[i].n_labels;
        s->sample[kept++] = s->sample[i];
    }
    s->n = kept;
    return NB_OK;
}

NbStatus nb_job_samples(NbJob *job, const NbDataset *d, NbSplit split, NbSamples *out,
                        NbError *err) {
    NbPool *pool = NULL;
    NB_TRY(nb_job_pool(job, &pool, err));
    NB_TRY(nb_dataset_scan(d, split, nb_job_bool(job, NB_OPT_single_cls, false), pool, &job->arena,
                           out, err));
    say_left_out(job, out);
    NB_TRY(choose_samples(job, out, err));
    const int limit = nb_job_int(job, NB_OPT_images_limit, 0);
    if (limit > 0 && out->n > limit) {
        out->n = limit;
        out->n_labels = 0;
        for (int i = 0; i < limit; i++)
            out->n_labels += out->sample[i].n_labels;
    }
    nb_job_say(job, "%s: %d pictures, %d boxes, %d without labels, %d corrupt",
               nb_split_name(split), out->n, out->n_labels, out->n_missing + out->n_empty,
               out->n_corrupt);
    if (out->n == 0)
        return nb_fail(NB_ERR_FORMAT, err,
                       "%s: expected usable pictures in split %s, found none and %d corrupt",
                       nb_job_str(job, NB_OPT_data), nb_split_name(split), out->n_corrupt);
    return NB_OK;
}

NbStatus nb_job_split(const NbJob *job, NbSplit *out, NbError *err) {
    const char *const name = nb_job_str(job, NB_OPT_split);
    for (int i = 0; i < 3; i++) {
        *out = (NbSplit)i;
        if (strcmp(name, nb_split_name(*out)) == 0)
            return NB_OK;
    }
    return nb_fail(NB_ERR_ARGUMENT, err, "split: expected train, val or test, found '%s'", name);
}

NbStatus nb_job_run_folder(NbJob *job, const char *name, char **out, NbError *err) {
    const char *const asked = nb_job_str(job, NB_OPT_name);
    return nb_run_folder_make(nb_job_str(job, NB_OPT_project), *asked ? asked : name,
                              nb_job_bool(job, NB_OPT_exist_ok, false), &job->arena, out, err);
}

json_t *nb_json_metrics(const NbYoloScore *score, char *const *names) {
    json_t *const classes = json_array();
    for (int i = 0; i < score->n_classes; i++) {
        const NbYoloClass *const c = &score->per_class[i];
        double mean = 0.0;
        for (int k = 0; k < NB_YOLO_IOUS; k++)
            mean += c->ap[k] / NB_YOLO_IOUS;
        json_array_append_new(classes,
                              json_pack("{s:i, s:s, s:I, s:o, s:o, s:o, s:o, s:o}", "class", c->cls,
                                        "name", names[c->cls], "labels", (json_int_t)c->labels,
                                        "precision", nb_json_real(c->precision), "recall",
                                        nb_json_real(c->recall), "f1", nb_json_real(c->f1), "map50",
                                        nb_json_real(c->ap[0]), "map50_95", nb_json_real(mean)));
    }
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "precision", nb_json_real(score->precision),
                     "recall", nb_json_real(score->recall), "map50", nb_json_real(score->map50),
                     "map50_95", nb_json_real(score->map50_95), "per_class", classes);
}

json_t *nb_json_coco(const NbCocoScore *score) {
    json_t *const out = json_object();
    for (int i = 0; i < 12; i++)
        json_object_set_new(out, nb_coco_score_names[i], nb_json_real(score->value[i]));
    return out;
}

void nb_job_print_metrics(NbJob *job, const NbYoloScore *score, char *const *names, int images) {
    nb_job_print(job, "%-20s %8s %8s %8s %8s %8s %9s\n", "class", "images", "labels", "P", "R",
                 "mAP50", "mAP50-95");
    int64_t labels = 0;
    for (int i = 0; i < score->n_classes; i++)
        labels += score->per_class[i].labels;
    nb_job_print(job, "%-20s %8d %8lld %8.3f %8.3f %8.3f %9.3f\n", "all", images, (long long)labels,
                 score->precision, score->recall, score->map50, score->map50_95);
    for (int i = 0; i < score->n_classes && score->n_classes > 1; i++) {
        const NbYoloClass *const c = &score->per_class[i];
        double mean = 0.0;
        for (int k = 0; k < NB_YOLO_IOUS; k++)
            mean += c->ap[k] / NB_YOLO_IOUS;
        nb_job_print(job, "%-20s %8d %8lld %8.3f %8.3f %8.3f %9.3f\n", names[c->cls], images,
                     (long long)c->labels, c->precision, c->recall, c->ap[0], mean);
    }
}

void nb_job_print_coco(NbJob *job, const NbCocoScore *score) {
    for (int i = 0; i < 12; i++)
        nb_job_print(job, "%s %.4f%s", nb_coco_score_names[i], score->value[i],
                     i % 6 == 5 ? "\n" : "  ");
}

NbValOptions nb_job_val_options(const NbJob *job, const NbModel *model, bool scoring) {
    NbDetectOptions detect = nb_head_options(&model->head, scoring);
    detect.conf = (float)nb_job_real(job, NB_OPT_conf, (double)detect.conf);
    detect.iou = nb_job_real(job, NB_OPT_iou, detect.iou);
    detect.max_det = nb_job_int(job, NB_OPT_max_det, detect.max_det);
    detect.agnostic = nb_job_bool(job, NB_OPT_agnostic_nms, false);
    detect.class_of_one = model->compat;
    return (NbValOptions){.batch = nb_job_int(job, NB_OPT_batch, 16),
                          .workers = nb_job_workers(job),
                          .detect = detect,
                          .matching = NB_MATCH_PER_IOU,
                          .cache_limit = nb_job_cache_limit(job),
                          .disk_cache = nb_job_cache(job) == NB_CACHE_DISK};
}
