/* SPDX-License-Identifier: Apache-2.0 */
#include "api/common.h"
#include "api/figures.h"

#include "base/file.h"
#include "base/text.h"
#include "format/json.h"

NbStatus nb_write_label_file(const char *folder, const char *picture, int width, int height,
                             const NbDetection *d, size_t n, bool conf, NbError *err) {
    NbArena arena = {0};
    NbText text = {0};
    char *const stem = nb_path_stem(&arena, picture);
    char *const path = stem ? nb_arena_printf(&arena, "%s/labels/%s.txt", folder, stem) : NULL;
    for (size_t i = 0; i < n; i++) {
        const double w = (double)d[i].xyxy[2] - (double)d[i].xyxy[0];
        const double h = (double)d[i].xyxy[3] - (double)d[i].xyxy[1];
        nb_text_printf(&text, "%d %.6g %.6g %.6g %.6g", d[i].cls,
                       ((double)d[i].xyxy[0] + w / 2) / width,
                       ((double)d[i].xyxy[1] + h / 2) / height, w / width, h / height);
        if (conf)
            nb_text_printf(&text, " %.6g", (double)d[i].conf);
        nb_text_put(&text, "\n", 1);
    }
    NbStatus status = !path || text.failed ? nb_fail_memory(err, picture) : NB_OK;
    if (status == NB_OK)
        status = nb_file_write(path, text.data ? text.data : "", text.size, err);
    nb_text_release(&text);
    nb_arena_release(&arena);
    return status;
}

static NbStatus make_labels_folder(const char *folder, NbError *err) {
    NbArena arena = {0};
    char *const path = nb_path_join(&arena, folder, "labels");
    const NbStatus status = path ? nb_folder_make(path, err) : nb_fail_memory(err, folder);
    nb_arena_release(&arena);
    return status;
}

NbStatus nb_write_label_files(const char *folder, const NbSamples *samples, const NbValResult *r,
                              bool conf, NbError *err) {
    NB_TRY(make_labels_folder(folder, err));
    for (int i = 0; i < samples->n; i++) {
        const NbSample *const s = &samples->sample[i];
        NB_TRY(nb_write_label_file(folder, s->path, s->width, s->height, r->image[i].detection,
                                   r->image[i].n_detections, conf, err));
    }
    return NB_OK;
}

/* The number that a name is, as COCO's pictures are named; else the name. */
static json_t *image_id(const char *stem) {
    int64_t number;
    return nb_parse_i64(stem, &number) ? json_integer(number) : nb_json_text(stem);
}

static NbStatus add_picture(json_t *list, const NbSample *s, const NbYoloImage *image,
                            NbError *err) {
    NbArena arena = {0};
    char *const stem = nb_path_stem(&arena, s->path);
    bool full = stem != NULL;
    for (size_t i = 0; full && i < image->n_detections; i++) {
        const NbDetection *const d = &image->detection[i];
        const double x = (double)d->xyxy[0];
        const double y = (double)d->xyxy[1];
        json_t *const entry = json_pack(
            "{s:o, s:i, s:[f, f, f, f], s:f}", "image_id", image_id(stem), "category_id", d->cls,
            "bbox", x, y, (double)d->xyxy[2] - x, (double)d->xyxy[3] - y, "score", (double)d->conf);
        full = json_array_append_new(list, entry) == 0;
    }
    nb_arena_release(&arena);
    return full ? NB_OK : nb_fail_memory(err, "predictions.json");
}

NbStatus nb_write_predictions(const char *folder, const NbSamples *samples, const NbValResult *r,
                              NbError *err) {
    NbArena arena = {0};
    json_t *const list = json_array();
    char *const path = nb_path_join(&arena, folder, "predictions.json");
    NbStatus status = list && path ? NB_OK : nb_fail_memory(err, "predictions.json");
    for (int i = 0; status == NB_OK && i < samples->n; i++)
        status = add_picture(list, &samples->sample[i], &r->image[i], err);
    if (status == NB_OK)
        status = nb_json_write(path, list, err);
    json_decref(list);
    nb_arena_release(&arena);
    return status;
}
