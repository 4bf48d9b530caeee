/* SPDX-License-Identifier: Apache-2.0 */
#include "api/common.h"
#include "api/figures.h"

#include "base/file.h"
#include "base/text.h"
#include "format/coco.h"

#include <stdlib.h>

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

/* JSON text of a picture's id: COCO's own, or the number that its name is, as COCO's pictures are
 * named; else the name. NULL: out of memory. */
static const char *image_text(NbArena *arena, const NbSample *s) {
    int64_t number;
    if (s->truth)
        return nb_arena_printf(arena, "%lld", (long long)s->id);
    char *const stem = nb_path_stem(arena, s->path);
    if (stem && nb_parse_i64(stem, &number))
        return nb_arena_printf(arena, "%lld", (long long)number);
    json_t *const name = stem ? nb_json_text(stem) : NULL;
    char *const text = name ? json_dumps(name, JSON_ENCODE_ANY) : NULL;
    const char *const copy = text ? nb_arena_string(arena, text) : NULL;
    free(text);
    json_decref(name);
    return copy;
}

/* Classes get their ids; those that a COCO set does not have are left out. */
static size_t to_categories(NbCocoDetection *d, size_t n, const int64_t *category_id) {
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        const int64_t id = category_id ? category_id[d[i].category] : d[i].category;
        if (id < 0)
            continue;
        d[kept] = d[i];
        d[kept++].category = id;
    }
    return kept;
}

static NbStatus write_predictions(const char *folder, const NbSamples *samples,
                                  const NbValResult *r, const int64_t *category_id, NbArena *arena,
                                  NbError *err) {
    NbCocoDetection *found = NULL;
    size_t n = 0;
    NB_TRY(nb_val_detections(r, arena, &found, &n, err));
    n = to_categories(found, n, category_id);
    char *const path = nb_path_join(arena, folder, "predictions.json");
    const char **const text = NB_NEW(arena, const char *, (size_t)samples->n);
    if (!path || !text)
        return nb_fail_memory(err, "predictions.json");
    for (int i = 0; i < samples->n; i++)
        if (!(text[i] = image_text(arena, &samples->sample[i])))
            return nb_fail_memory(err, "predictions.json");
    return nb_coco_results_write(path, found, n, text, err);
}

NbStatus nb_write_predictions(const char *folder, const NbSamples *samples, const NbValResult *r,
                              const int64_t *category_id, NbError *err) {
    NbArena arena = {0};
    const NbStatus status = write_predictions(folder, samples, r, category_id, &arena, err);
    nb_arena_release(&arena);
    return status;
}
