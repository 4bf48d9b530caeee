/* SPDX-License-Identifier: Apache-2.0 */
#include "api/common.h"
#include "api/figures.h"
#include "api/runner.h"
#include "api/sources.h"
#include "api/verbs/verbs.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/size.h"
#include "data/letterbox.h"
#include "report/draw.h"

#include <stdlib.h>
#include <string.h>

typedef struct Predict {
    NbJob *job;
    NbModel *model;
    NbRunner runner;
    NbDetectOptions options;
    char *folder; /* NULL: nothing is written */
    bool save, text, crops;
    json_t *images;
    NbArena scratch; /* of one picture */
} Predict;

/* classes=0,2 */
static NbStatus parse_classes(Predict *p, NbError *err) {
    const char *at = nb_job_str(p->job, NB_OPT_classes);
    if (!*at)
        return NB_OK;
    bool *const classes = NB_NEW(&p->job->arena, bool, (size_t)p->model->head.nc);
    if (!classes)
        return nb_fail_memory(err, "classes");
    p->options.classes = classes;
    for (;;) {
        char *end;
        const long c = strtol(at, &end, 10);
        if (end == at || c < 0 || c >= p->model->head.nc || (*end && *end != ','))
            return nb_fail(NB_ERR_ARGUMENT, err,
                           "classes: expected numbers from 0 to %d with commas, found '%s'",
                           p->model->head.nc - 1, at);
        classes[c] = true;
        if (!*end)
            return NB_OK;
        at = end + 1;
    }
}

static NbStatus detect(Predict *p, const NbImage *image, NbDetection **out, size_t *n,
                       NbError *err) {
    const int side = p->runner.options.height;
    const NbLetterboxOptions how = {.height = side, .width = side};
    const NbLetterbox plan = nb_letterbox_plan(image->width, image->height, &how);
    uint8_t *const input = NB_NEW(&p->scratch, uint8_t, (size_t)side * (size_t)side * 3);
    if (!input)
        return nb_fail_memory(err, "the network's input");
    const NbPixels from = nb_pixels(image->rgb, image->width, image->height);
    NB_TRY(nb_letterbox(from, &plan, nb_pixels(input, side, side), &p->scratch, err));
    NbHeadLevel level[NB_MAX_LEVELS];
    NB_TRY(nb_runner_run(&p->runner, input, 1, level, err));
    const NbDetectPlace place = {.gain = (float)plan.gain[0],
                                 .pad = {(float)plan.half[0], (float)plan.half[1]},
                                 .width = image->width,
                                 .height = image->height};
    NbDetections found;
    NB_TRY(nb_detect_picture(&p->model->head, level, 0, &p->options, &place, &p->scratch, &found,
                             err));
    *out = found.item;
    *n = found.count;
    return NB_OK;
}

static json_t *detections_json(const Predict *p, const NbDetection *d, size_t n) {
    json_t *const list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_pack("{s:i, s:s, s:f, s:[f, f, f, f]}", "class", d[i].cls,
                                              "name", p->model->names[d[i].cls], "conf",
                                              (double)d[i].conf, "xyxy", (double)d[i].xyxy[0],
                                              (double)d[i].xyxy[1], (double)d[i].xyxy[2],
                                              (double)d[i].xyxy[3]));
    return list;
}

/* A class as the name of one folder below crops/, whatever a model file calls it. */
static char *folder_name(const char *class_name, NbArena *arena) {
    char *const out = nb_arena_string(arena, *class_name ? class_name : "_");
    for (char *at = out; at && *at; at++)
        if (*at == '/' || (unsigned char)*at < ' ' || (*at == '.' && at == out))
            *at = '_';
    return out;
}

static NbStatus write_crops(Predict *p, const char *stem, const NbImage *image,
                            const NbDetection *d, size_t n, NbError *err) {
    for (size_t i = 0; i < n; i++) {
        /* a little more than the box, as YOLOv5 cuts it: 2 % and 10 pixels */
        const float w = (d[i].xyxy[2] - d[i].xyxy[0]) * 1.02F + 10.0F;
        const float h = (d[i].xyxy[3] - d[i].xyxy[1]) * 1.02F + 10.0F;
        const float cx = (d[i].xyxy[0] + d[i].xyxy[2]) / 2.0F;
        const float cy = (d[i].xyxy[1] + d[i].xyxy[3]) / 2.0F;
        const int left = (int)nb_max_i64(0, (int64_t)(cx - w / 2.0F));
        const int top = (int)nb_max_i64(0, (int64_t)(cy - h / 2.0F));
        const int right = (int)nb_min_i64(image->width, (int64_t)(cx + w / 2.0F));
        const int bottom = (int)nb_min_i64(image->height, (int64_t)(cy + h / 2.0F));
        if (right <= left || bottom <= top)
            continue;
        NbImage crop = {.width = right - left, .height = bottom - top};
        crop.rgb = NB_NEW(&p->scratch, uint8_t, (size_t)crop.width * (size_t)crop.height * 3);
        char *const name = folder_name(p->model->names[d[i].cls], &p->scratch);
        char *const folder =
            name ? nb_arena_printf(&p->scratch, "%s/crops/%s", p->folder, name) : NULL;
        char *const path =
            folder ? nb_arena_printf(&p->scratch, "%s/%s_%zu.jpg", folder, stem, i) : NULL;
        if (!crop.rgb || !path)
            return nb_fail_memory(err, "a crop");
        for (int y = 0; y < crop.height; y++)
            memcpy(crop.rgb + (size_t)y * (size_t)crop.width * 3,
                   image->rgb + ((size_t)(top + y) * (size_t)image->width + (size_t)left) * 3,
                   (size_t)crop.width * 3);
        NB_TRY(nb_folder_make(folder, err));
        NB_TRY(nb_image_write(path, &crop, 95, err));
    }
    return NB_OK;
}

static NbStatus write_drawn(Predict *p, const char *path, NbImage *image, const NbDetection *d,
                            size_t n, NbError *err) {
    NbDrawBox *const boxes = NB_NEW(&p->scratch, NbDrawBox, n);
    char *const to = nb_path_join(&p->scratch, p->folder, nb_path_name(path));
    if (!boxes || !to)
        return nb_fail_memory(err, "boxes");
    const bool conf = !nb_job_bool(p->job, NB_OPT_hide_conf, false);
    for (size_t i = 0; i < n; i++)
        boxes[i] = (NbDrawBox){.x1 = d[i].xyxy[0],
                               .y1 = d[i].xyxy[1],
                               .x2 = d[i].xyxy[2],
                               .y2 = d[i].xyxy[3],
                               .class_index = d[i].cls,
                               .confidence = conf ? d[i].conf : -1.0F};
    NB_TRY(nb_draw_boxes(image, boxes, n, (const char *const *)p->model->names,
                         (size_t)p->model->head.nc, err));
    return nb_image_write(to, image, 95, err);
}

static NbStatus predict_one(Predict *p, const char *path, NbError *err) {
    nb_arena_release(&p->scratch);
    NbImage image;
    NB_TRY(nb_image_read(path, &p->scratch, &image, err));
    const double start = nb_clock_seconds();
    NbDetection *found = NULL;
    size_t n = 0;
    NB_TRY_IN(detect(p, &image, &found, &n, err), err, "%s", path);
    const double ms = 1e3 * (nb_clock_seconds() - start);
    json_array_append_new(p->images,
                          json_pack("{s:o, s:i, s:i, s:o, s:f}", "path", nb_json_text(path),
                                    "width", image.width, "height", image.height, "detections",
                                    detections_json(p, found, n), "ms", ms));
    nb_job_print(p->job, "%s: %dx%d, %zu detections, %.1f ms\n", path, image.width, image.height, n,
                 ms);
    char *const stem = nb_path_stem(&p->scratch, path);
    if (!stem)
        return nb_fail_memory(err, "a name");
    if (p->text)
        NB_TRY(nb_write_label_file(p->folder, path, image.width, image.height, found, n,
                                   nb_job_bool(p->job, NB_OPT_save_conf, false), err));
    if (p->crops)
        NB_TRY(write_crops(p, stem, &image, found, n, err));
    return p->save ? write_drawn(p, path, &image, found, n, err) : NB_OK;
}

static NbStatus open_outputs(Predict *p, NbError *err) {
    NbJob *const job = p->job;
    p->save = nb_job_bool(job, NB_OPT_save, true);
    p->text = nb_job_bool(job, NB_OPT_save_txt, false);
    p->crops = nb_job_bool(job, NB_OPT_save_crop, false);
    if (!p->save && !p->text && !p->crops)
        return NB_OK;
    if (nb_job_has(job, NB_OPT_out)) {
        p->folder = nb_arena_string(&job->arena, nb_job_str(job, NB_OPT_out));
        if (!p->folder)
            return nb_fail_memory(err, "a path");
        NB_TRY(nb_folder_make(p->folder, err));
    } else {
        NB_TRY(nb_job_run_folder(job, "predict", &p->folder, err));
    }
    nb_job_put(job, "run", nb_json_text(p->folder));
    if (!p->text)
        return NB_OK;
    char *const labels = nb_path_join(&job->arena, p->folder, "labels");
    return labels ? nb_folder_make(labels, err) : nb_fail_memory(err, "a path");
}

static NbStatus open_runner(Predict *p, NbError *err) {
    NbJob *const job = p->job;
    NbRunnerOptions options = {.batch = 1};
    NB_TRY(nb_job_engine(job, p->model, &options.kind, err));
    NB_TRY(nb_job_pool(job, &options.pool, err));
    NB_TRY(nb_isa_choose(nb_job_str(job, NB_OPT_isa), &options.isa, err));
    NB_TRY(nb_job_imgsz(job, p->model, &options.height, err));
    options.width = options.height;
    nb_job_put(job, "engine", json_string(nb_engine_name(options.kind)));
    p->options = nb_job_val_options(job, p->model, false).detect;
    return nb_runner_new(p->model, &options, &p->runner, err);
}

/* A picture that cannot be read is named and passed over; none at all that can is an error. */
static NbStatus predict_all(Predict *p, NbError *err) {
    const char *source = NULL;
    char **path = NULL;
    size_t n = 0;
    NB_TRY(nb_job_need(p->job, NB_OPT_source, &source, err));
    NB_TRY(nb_find_sources(source, &p->job->arena, &path, &n, err));
    NB_TRY(open_runner(p, err));
    NB_TRY(parse_classes(p, err));
    NB_TRY(open_outputs(p, err));
    size_t failed = 0;
    for (size_t i = 0; i < n; i++) {
        const NbStatus status = predict_one(p, path[i], err);
        if (status == NB_ERR_FORMAT || status == NB_ERR_UNSUPPORTED) {
            failed++;
            nb_job_say(p->job, "%s", err->message);
            if (failed == n)
                return status;
        } else if (status != NB_OK) {
            return status;
        }
        if (nb_job_stopped(p->job))
            return nb_fail(NB_ERR_STOPPED, err, "stopped after %zu of %zu pictures", i + 1, n);
    }
    if (p->folder)
        nb_job_print(p->job, "files are in %s\n", p->folder);
    return NB_OK;
}

static NbStatus run(NbJob *job, NbError *err) {
    NbModel model;
    NB_TRY(nb_job_model(job, 0, &model, err));
    Predict p = {.job = job, .model = &model, .images = json_array()};
    const NbStatus status = p.images ? predict_all(&p, err) : nb_fail_memory(err, "results");
    nb_job_put(job, "images", p.images ? p.images : json_null());
    nb_runner_release(&p.runner);
    nb_arena_release(&p.scratch);
    nb_model_release(&model);
    return status;
}

const NbVerb nb_verb_predict = {
    .info = {.name = "predict",
             .aliases = "detect",
             .help = "detects objects in pictures",
             .example = "nibble predict model=best.safetensors source=pictures/ engine=int",
             .keys = "model source engine imgsz conf iou max_det classes agnostic_nms threads isa "
                     "save save_txt save_conf save_crop hide_conf out project name exist_ok "
                     "quantize settings json progress verbose"},
    .run = run};
