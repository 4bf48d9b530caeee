/* SPDX-License-Identifier: Apache-2.0 */
#include "eval/yolo_text.h"

#include "base/text.h"
#include "data/labels.h"

#include <math.h>
#include <string.h>

enum { FILES_MAX = 10000000, BYTES_MAX = 1 << 28, CLASSES_MAX = 100000, COLUMNS = 6 };

/* The numbers of a line, cut in place; -1: something else, or too many. */
static int numbers_of(char *line, double v[COLUMNS]) {
    static const char blanks[] = " \t\r";
    int n = 0;
    char *at = line + strspn(line, blanks);
    while (*at) {
        char *const end = at + strcspn(at, blanks);
        const bool last = !*end;
        *end = '\0';
        if (n == COLUMNS || !nb_parse_double(at, &v[n++]))
            return -1;
        at = last ? end : end + 1 + strspn(end + 1, blanks);
    }
    return n;
}

static NB_FALLIBLE read_line(char *line, int most, const double size[2], NbDetection *d,
                             bool *is_box, NbError *err) {
    double v[COLUMNS];
    const int n = numbers_of(line, v);
    *is_box = n > 0;
    if (n == 0)
        return NB_OK;
    if (n != COLUMNS)
        return nb_fail(NB_ERR_FORMAT, err, "expected six numbers: class cx cy w h confidence");
    if (v[0] < 0.0 || v[0] != floor(v[0]) || v[0] > most)
        return nb_fail(NB_ERR_FORMAT, err, "class %g, expected a whole number from 0 to %d", v[0],
                       most);
    d->cls = (int)v[0];
    d->conf = (float)v[5];
    d->xyxy[0] = (float)((v[1] - v[3] / 2) * size[0]);
    d->xyxy[1] = (float)((v[2] - v[4] / 2) * size[1]);
    d->xyxy[2] = (float)((v[1] + v[3] / 2) * size[0]);
    d->xyxy[3] = (float)((v[2] + v[4] / 2) * size[1]);
    bool finite = isfinite(d->conf);
    for (int k = 0; k < 4; k++)
        finite = finite && isfinite(d->xyxy[k]);
    return finite ? NB_OK : nb_fail(NB_ERR_FORMAT, err, "a number is too large");
}

NbStatus nb_yolo_detections_parse(const char *path, NbBytes bytes, int most, const double size[2],
                                  NbArena *arena, NbDetection **out, size_t *n, NbError *err) {
    size_t lines = 1;
    for (size_t i = 0; i < bytes.size; i++)
        lines += bytes.data[i] == '\n';
    char *const text = nb_arena_string_n(arena, (const char *)bytes.data, bytes.size);
    *out = NB_NEW(arena, NbDetection, lines);
    *n = 0;
    if (!text || !*out)
        return nb_fail_memory(err, path);
    if (memchr(text, 0, bytes.size))
        return nb_fail(NB_ERR_FORMAT, err, "%s: a zero byte, expected text", path);
    char *line = text;
    for (size_t number = 1; line; number++) {
        char *const end = strchr(line, '\n');
        bool is_box = false;
        if (end)
            *end = '\0';
        NB_TRY_IN(read_line(line, most, size, &(*out)[*n], &is_box, err), err, "%s:%zu", path,
                  number);
        *n += is_box;
        line = end ? end + 1 : NULL;
    }
    return NB_OK;
}

/* ---- folders ---- */

/* The .txt files of a folder, sorted, and what their paths have in front of the name. */
typedef struct Files {
    char **path;
    size_t n;
    size_t prefix;
} Files;

static NB_FALLIBLE list_files(const char *folder, NbArena *arena, Files *out, NbError *err) {
    char **all = NULL;
    size_t n = 0;
    NB_TRY(nb_folder_list(folder, true, FILES_MAX, arena, &all, &n, err));
    *out = (Files){.path = all, .prefix = strlen(folder) + 1};
    for (size_t i = 0; i < n; i++)
        if (strcmp(nb_path_suffix(all[i]), ".txt") == 0)
            out->path[out->n++] = all[i];
    return NB_OK;
}

static NB_FALLIBLE read_labels(const char *path, NbArena *arena, NbYoloSet *set, NbYoloImage *image,
                               NbError *err) {
    NbBytes bytes;
    NbLabels labels;
    NB_TRY(nb_file_read(path, BYTES_MAX, arena, &bytes, err));
    NB_TRY(nb_labels_parse(bytes, NB_LABELS_YOLOV5, CLASSES_MAX, arena, &labels, err));
    if (labels.status == NB_LABELS_CORRUPT)
        return nb_fail(NB_ERR_FORMAT, err, "%s:%d: %s", path, labels.line, labels.text);
    NbDetection *const box = NB_NEW(arena, NbDetection, (size_t)labels.n);
    if (!box)
        return nb_fail_memory(err, path);
    for (int i = 0; i < labels.n; i++) {
        const float *const b = labels.label[i].xywh;
        box[i] = (NbDetection){
            .xyxy = {b[0] - b[2] / 2, b[1] - b[3] / 2, b[0] + b[2] / 2, b[1] + b[3] / 2},
            .conf = 1.0F,
            .cls = labels.label[i].cls};
        set->nc = box[i].cls >= set->nc ? box[i].cls + 1 : set->nc;
    }
    image->label = box;
    image->n_labels = (size_t)labels.n;
    set->labels += image->n_labels;
    return NB_OK;
}

static NB_FALLIBLE read_found(const char *path, NbArena *arena, NbYoloSet *set, NbYoloImage *image,
                              NbError *err) {
    NbBytes bytes;
    NbDetection *found = NULL;
    NB_TRY(nb_file_read(path, BYTES_MAX, arena, &bytes, err));
    NB_TRY(nb_yolo_detections_parse(path, bytes, CLASSES_MAX - 1, (const double[]){1.0, 1.0}, arena,
                                    &found, &image->n_detections, err));
    for (size_t i = 0; i < image->n_detections; i++)
        set->nc = found[i].cls >= set->nc ? found[i].cls + 1 : set->nc;
    image->detection = found;
    set->detections += image->n_detections;
    return NB_OK;
}

NbStatus nb_yolo_read_folders(const char *labels, const char *detections, NbArena *arena,
                              NbYoloSet *out, NbError *err) {
    Files truth;
    Files found;
    *out = (NbYoloSet){0};
    NB_TRY(list_files(labels, arena, &truth, err));
    NB_TRY(list_files(detections, arena, &found, err));
    if (truth.n == 0)
        return nb_fail(NB_ERR_FORMAT, err, "%s: no .txt file, expected one for each picture",
                       labels);
    out->image = NB_NEW(arena, NbYoloImage, truth.n + found.n);
    if (!out->image)
        return nb_fail_memory(err, labels);
    for (size_t i = 0, k = 0; i < truth.n || k < found.n; out->n++) {
        const int order = i == truth.n ? 1
                          : k == found.n
                              ? -1
                              : strcmp(truth.path[i] + truth.prefix, found.path[k] + found.prefix);
        NbYoloImage *const image = &out->image[out->n];
        out->missing += order < 0;
        out->extra += order > 0;
        if (order <= 0)
            NB_TRY(read_labels(truth.path[i++], arena, out, image, err));
        if (order >= 0)
            NB_TRY(read_found(found.path[k++], arena, out, image, err));
    }
    return NB_OK;
}
