/* SPDX-License-Identifier: Apache-2.0 */
#include "api/eval_yolo.h"

#include "api/common.h"
#include "base/file.h"
#include "data/boxes.h"
#include "eval/yolo_text.h"

#include <stdlib.h>
#include <string.h>

enum { BYTES_MAX = 1 << 28 };

/* ---- against a data set ---- */

/* Pictures by the numbers of a result list. */
typedef struct ById {
    int64_t id;
    size_t index;
} ById;

typedef struct Picture {
    int64_t id; /* COCO's, or the number that its name is; -1: none */
    const char *stem;
    int width, height;
} Picture;

typedef struct Against {
    NbJob *job;
    NbDataset dataset;
    Picture *picture; /* [set.n] */
    NbYoloSet set;
} Against;

static NbStatus make_room(Against *a, size_t n, NbError *err) {
    a->set.n = n;
    a->set.nc = a->dataset.nc;
    a->set.image = NB_NEW(&a->job->arena, NbYoloImage, n);
    a->picture = NB_NEW(&a->job->arena, Picture, n);
    return a->set.image && a->picture ? NB_OK : nb_fail_memory(err, "labels");
}

/* *label: room for its labels. */
static NbStatus add_picture(Against *a, size_t i, const char *path, const int64_t *id,
                            size_t n_labels, NbDetection **label, NbError *err) {
    Picture *const p = &a->picture[i];
    p->stem = nb_path_stem(&a->job->arena, path);
    a->set.image[i].label = *label = NB_NEW(&a->job->arena, NbDetection, n_labels);
    if (!p->stem || !*label)
        return nb_fail_memory(err, "labels");
    if (id)
        p->id = *id;
    else if (!nb_parse_i64(p->stem, &p->id))
        p->id = -1;
    a->set.image[i].n_labels = n_labels;
    a->set.labels += n_labels;
    return NB_OK;
}

static NbStatus take_samples(Against *a, const NbSamples *samples, NbError *err) {
    NB_TRY(make_room(a, (size_t)samples->n, err));
    for (size_t i = 0; i < a->set.n; i++) {
        const NbSample *const s = &samples->sample[i];
        NbDetection *box = NULL;
        NB_TRY(
            add_picture(a, i, s->path, s->truth ? &s->id : NULL, (size_t)s->n_labels, &box, err));
        a->picture[i].width = s->width;
        a->picture[i].height = s->height;
        for (int k = 0; k < s->n_labels; k++) {
            const float *const b = s->label[k].xywh;
            const float w = (float)s->width;
            const float h = (float)s->height;
            box[k] = (NbDetection){.xyxy = {(b[0] - b[2] / 2) * w, (b[1] - b[3] / 2) * h,
                                            (b[0] + b[2] / 2) * w, (b[1] + b[3] / 2) * h},
                                   .conf = 1.0F,
                                   .cls = s->label[k].cls};
        }
    }
    return NB_OK;
}

/* COCO annotations, which are scored without their pictures: no crowds. */
static NbStatus take_coco(Against *a, const char *path, NbError *err) {
    NbArena *const arena = &a->job->arena;
    NbCocoSet coco;
    NbBoxSet set;
    NbBoxCounts counts;
    const NbBoxRules rules = {0};
    const char *const ids = nb_job_str(a->job, NB_OPT_ids);
    NB_TRY(nb_coco_read_file(path, arena, &coco, err));
    NB_TRY(nb_boxes_from_coco(path, &coco, NULL, 0, arena, &set, err));
    NB_TRY(nb_boxes_select(&set, *ids ? ids : NULL, nb_job_int(a->job, NB_OPT_images_limit, 0),
                           arena, err));
    nb_boxes_check(&set, &rules, &counts);
    a->dataset = (NbDataset){.file = path, .nc = set.nc, .category_id = set.class_id};
    a->dataset.names = NB_NEW(arena, char *, (size_t)set.nc);
    for (int c = 0; a->dataset.names && c < set.nc; c++)
        if (!(a->dataset.names[c] = nb_arena_string(arena, set.class_name[c])))
            a->dataset.names = NULL;
    if (!a->dataset.names)
        return nb_fail_memory(err, "names");
    NB_TRY(make_room(a, set.n, err));
    for (size_t i = 0; i < set.n; i++) {
        const NbBoxImage *const image = &set.image[i];
        NbDetection *box = NULL;
        NB_TRY(add_picture(a, i, image->name, &image->id, image->n, &box, err));
        a->picture[i].width = image->width;
        a->picture[i].height = image->height;
        for (size_t k = 0; k < image->n; k++) {
            box[k] = (NbDetection){.conf = 1.0F, .cls = image->box[k].cls};
            for (int j = 0; j < 4; j++)
                box[k].xyxy[j] = (float)image->box[k].xyxy[j];
        }
    }
    return NB_OK;
}

/* FOLDER/NAME.txt of each picture. */
static NbStatus take_text(Against *a, const char *folder, NbError *err) {
    NbArena *const arena = &a->job->arena;
    for (size_t i = 0; i < a->set.n; i++) {
        const Picture *const p = &a->picture[i];
        const char *const path = nb_arena_printf(arena, "%s/%s.txt", folder, p->stem);
        if (!path)
            return nb_fail_memory(err, folder);
        if (p->width < 1 || p->height < 1)
            return nb_fail(NB_ERR_FORMAT, err, "%s: the size of %.100s is not said",
                           a->dataset.file, p->stem);
        if (!nb_path_exists(path)) {
            a->set.missing++;
            continue;
        }
        NbBytes bytes;
        NbDetection *found = NULL;
        NB_TRY(nb_file_read(path, BYTES_MAX, arena, &bytes, err));
        const double size[2] = {p->width, p->height};
        NB_TRY(nb_yolo_detections_parse(path, bytes, a->set.nc - 1, size, arena, &found,
                                        &a->set.image[i].n_detections, err));
        a->set.image[i].detection = found;
        a->set.detections += a->set.image[i].n_detections;
    }
    return a->set.missing < a->set.n
               ? NB_OK
               : nb_fail(NB_ERR_FORMAT, err,
                         "%s: no file of detections for any of the %zu pictures", folder, a->set.n);
}

static int by_id(const void *a, const void *b) {
    const ById *const x = a;
    const ById *const y = b;
    return (x->id > y->id) - (x->id < y->id);
}

static ById *numbered(const Against *a) {
    ById *const list = NB_NEW(&a->job->arena, ById, a->set.n);
    for (size_t i = 0; list && i < a->set.n; i++)
        list[i] = (ById){a->picture[i].id, i};
    if (list)
        qsort(list, a->set.n, sizeof *list, by_id);
    return list;
}

static int class_of(const NbDataset *d, int64_t category) {
    if (!d->category_id)
        return category >= 0 && category < d->nc ? (int)category : -1;
    for (int c = 0; c < d->nc; c++)
        if (d->category_id[c] == category)
            return c;
    return -1;
}

/* Sorts the list into pictures; detections of pictures that are not scored are passed over. */
static NbStatus place_results(Against *a, const char *path, const NbCocoDetection *d, size_t n,
                              NbError *err) {
    NbArena *const arena = &a->job->arena;
    const ById *const list = numbered(a);
    size_t *const at = NB_NEW(arena, size_t, n);
    if (!list || !at)
        return nb_fail_memory(err, path);
    for (size_t i = 0; i < n; i++) {
        const ById wanted = {.id = d[i].image};
        const ById *const found = bsearch(&wanted, list, a->set.n, sizeof *list, by_id);
        at[i] = found ? found->index : a->set.n;
        if (class_of(&a->dataset, d[i].category) < 0)
            return nb_fail(NB_ERR_FORMAT, err, "%s: [%zu]: category_id %lld is not a class of %s",
                           path, i, (long long)d[i].category, a->dataset.file);
        if (found)
            a->set.image[found->index].n_detections++;
    }
    NbDetection **const box = NB_NEW(arena, NbDetection *, a->set.n);
    if (!box)
        return nb_fail_memory(err, path);
    for (size_t i = 0; i < a->set.n; i++) {
        NbYoloImage *const image = &a->set.image[i];
        a->set.missing += image->n_detections == 0;
        image->detection = box[i] = NB_NEW(arena, NbDetection, image->n_detections);
        if (!box[i])
            return nb_fail_memory(err, path);
        a->set.detections += image->n_detections;
    }
    for (size_t i = 0; i < n; i++) {
        if (at[i] == a->set.n)
            continue;
        const double *const b = d[i].xywh;
        *box[at[i]]++ = (NbDetection){
            .xyxy = {(float)b[0], (float)b[1], (float)(b[0] + b[2]), (float)(b[1] + b[3])},
            .conf = (float)d[i].score,
            .cls = class_of(&a->dataset, d[i].category)};
    }
    return NB_OK;
}

static NbStatus read_against(Against *a, const char *detections, const char *annotations,
                             NbError *err) {
    NbArena *const arena = &a->job->arena;
    if (strcmp(nb_path_suffix(annotations), ".json") == 0) {
        NB_TRY(take_coco(a, annotations, err));
    } else {
        NbSplit split = NB_SPLIT_VAL;
        NbSamples samples;
        NB_TRY(nb_job_set_from(a->job, "data", annotations, NB_FROM_CALLER, err));
        NB_TRY(nb_job_dataset(a->job, &a->dataset, err));
        NB_TRY(nb_job_split(a->job, &split, err));
        NB_TRY(nb_job_samples(a->job, &a->dataset, split, &samples, err));
        NB_TRY(take_samples(a, &samples, err));
    }
    if (nb_path_is_folder(detections))
        return take_text(a, detections, err);
    NbCocoDetection *found = NULL;
    size_t n = 0;
    NB_TRY(nb_coco_results_read_file(detections, NULL, arena, &found, &n, err));
    return place_results(a, detections, found, n, err);
}

/* ---- all ---- */

static NbStatus name_classes(const Against *a, char ***out, NbError *err) {
    NbArena *const arena = &a->job->arena;
    *out = a->dataset.names;
    if (*out)
        return NB_OK;
    *out = NB_NEW(arena, char *, (size_t)a->set.nc);
    for (int c = 0; *out && c < a->set.nc; c++)
        if (!((*out)[c] = nb_arena_printf(arena, "class%d", c)))
            *out = NULL;
    return *out ? NB_OK : nb_fail_memory(err, "names");
}

NbStatus nb_job_eval_yolo(NbJob *job, const char *detections, const char *annotations,
                          NbError *err) {
    Against a = {.job = job};
    NbYoloScore score;
    char **names = NULL;
    const bool once = nb_job_has(job, NB_OPT_compat); /* as the peer of that key matches */
    if (nb_path_is_folder(annotations) && nb_path_is_folder(detections))
        NB_TRY(nb_yolo_read_folders(annotations, detections, &job->arena, &a.set, err));
    else if (nb_path_is_folder(annotations))
        return nb_fail(NB_ERR_ARGUMENT, err,
                       "detections: a result list needs annotations= a data set YAML or COCO JSON, "
                       "or give a folder of text files");
    else
        NB_TRY(read_against(&a, detections, annotations, err));
    a.set.nc = a.set.nc > 0 ? a.set.nc : 1;
    NB_TRY(name_classes(&a, &names, err));
    NB_TRY(nb_yolo_score(a.set.image, a.set.n, a.set.nc, once ? NB_MATCH_ONCE : NB_MATCH_PER_IOU,
                         &job->arena, &score, err));
    nb_job_put(job, "images", json_integer((json_int_t)a.set.n));
    nb_job_put(job, "annotations", json_integer((json_int_t)a.set.labels));
    nb_job_put(job, "detections", json_integer((json_int_t)a.set.detections));
    nb_job_put(job, "missing", json_integer((json_int_t)a.set.missing));
    nb_job_put(job, "yolo", nb_json_metrics(&score, names));
    nb_job_print(job, "%zu pictures, %zu boxes, %zu detections\n", a.set.n, a.set.labels,
                 a.set.detections);
    nb_job_print_metrics(job, &score, names, (int)a.set.n);
    if (a.set.extra)
        nb_job_say(job, "%zu files of detections have no labels: background pictures", a.set.extra);
    return NB_OK;
}
