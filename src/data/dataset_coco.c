/* SPDX-License-Identifier: Apache-2.0
 *
 * COCO's JSON as a data set, or as one split of it. */
#include "data/dataset_coco.h"

#include "base/file.h"
#include "data/boxes.h"
#include "format/coco.h"

#include <string.h>
#include <strings.h>

bool nb_is_coco_name(const char *path) {
    return path && strcasecmp(nb_path_suffix(path), ".json") == 0;
}

/* Reads the set, numbers its classes as names say (NULL: by their ids) and finds its pictures. */
static NbStatus read_set(const char *path, const char *images, NbDataset *d, NbArena *arena,
                         NbBoxSet **out, NbError *err) {
    NbCocoSet coco;
    NbBoxSet *const set = NB_NEW(arena, NbBoxSet, 1);
    *out = set;
    if (!set)
        return nb_fail_memory(err, path);
    NB_TRY(nb_coco_read_file(path, arena, &coco, err));
    NB_TRY(nb_boxes_from_coco(path, &coco, d->names, d->nc, arena, set, err));
    NB_TRY(nb_boxes_find_pictures(set, path, images, arena, err));
    if (d->names)
        return NB_OK;
    d->nc = set->nc;
    d->names = NB_NEW(arena, char *, (size_t)set->nc);
    if (!d->names)
        return nb_fail_memory(err, path);
    for (int c = 0; c < set->nc; c++)
        if (!(d->names[c] = nb_arena_string(arena, set->class_name[c])))
            return nb_fail_memory(err, path);
    return NB_OK;
}

NbStatus nb_dataset_read_coco(const char *path, const char *images, NbArena *arena, NbDataset *out,
                              NbError *err) {
    char **const paths = NB_NEW(arena, char *, 1);
    *out = (NbDataset){.file = nb_arena_string(arena, path), .root = nb_path_folder(arena, path)};
    if (!paths || !out->file || !out->root || !(paths[0] = nb_arena_string(arena, path)))
        return nb_fail_memory(err, path);
    NbBoxSet *set = NULL;
    NB_TRY(read_set(out->file, images, out, arena, &set, err));
    out->category_id = set->class_id;
    for (int i = 0; i < 3; i++) {
        out->split_path[i] = paths[0];
        out->paths[i] = paths;
        out->n_paths[i] = 1;
        out->coco[i] = set;
    }
    return NB_OK;
}

NbStatus nb_dataset_read_coco_splits(NbDataset *d, const char *images, NbArena *arena,
                                     NbError *err) {
    for (int i = 0; i < 3; i++) {
        if (!nb_is_coco_name(d->split_path[i]))
            continue;
        if (d->n_paths[i] > 1)
            return nb_fail(NB_ERR_FORMAT, err, "%s: %s: expected one COCO JSON, found a list of %d",
                           d->file, nb_split_name((NbSplit)i), d->n_paths[i]);
        char *const path = nb_path_join(arena, d->root, d->split_path[i]);
        if (!path)
            return nb_fail_memory(err, d->file);
        const bool below = nb_path_exists(path);
        NbBoxSet *set = NULL;
        NB_TRY(read_set(below ? path : d->split_path[i], images, d, arena, &set, err));
        d->coco[i] = set;
        if (!d->category_id)
            d->category_id = set->class_id;
    }
    return NB_OK;
}

/* Renumbers the classes of a set that has not been met before. */
static void renumber(NbDataset *d, int split, const int *to) {
    NbBoxSet *const set = d->coco[split];
    for (int i = 0; i < split; i++)
        if (d->coco[i] == set)
            return;
    for (size_t i = 0; set && i < set->n; i++)
        for (size_t k = 0; k < set->image[i].n; k++) {
            int *const cls = &set->image[i].box[k].cls;
            *cls = *cls < 0 ? -1 : to[*cls];
        }
}

static int find(char *const *names, int nc, const char *name) {
    for (int i = 0; i < nc; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return -1;
}

NbStatus nb_dataset_match_classes(NbDataset *d, char *const *names, int nc, NbArena *arena,
                                  bool *matched, NbError *err) {
    int *const to = NB_NEW(arena, int, (size_t)d->nc);
    int64_t *const id = NB_NEW(arena, int64_t, (size_t)nc);
    char **const copy = NB_NEW(arena, char *, (size_t)nc);
    *matched = false;
    if (!to || !id || !copy)
        return nb_fail_memory(err, "classes");
    for (int i = 0; i < 3; i++) /* labels in files cannot be renumbered */
        if (d->split_path[i] && !d->coco[i])
            return NB_OK;
    for (int c = 0; c < nc; c++) {
        copy[c] = names[c];
        id[c] = -1;
    }
    for (int c = 0; c < d->nc; c++) {
        to[c] = find(names, nc, d->names[c]);
        if (to[c] < 0)
            return NB_OK;
        id[to[c]] = d->category_id ? d->category_id[c] : c;
    }
    for (int i = 0; i < 3; i++)
        renumber(d, i, to);
    d->nc = nc;
    d->names = copy;
    d->category_id = id;
    *matched = true;
    return NB_OK;
}

/* ---- samples ---- */

NbStatus nb_coco_sample_labels(const NbBoxSet *set, size_t index, bool single_cls, NbArena *arena,
                               NbSample *out, NbBoxCounts *counts, NbError *err) {
    const NbBoxImage *const image = &set->image[index];
    const NbBoxRules rules = {0};
    NbLabelBox *const kept = NB_NEW(arena, NbLabelBox, image->n);
    out->label = NB_NEW(arena, NbTarget, image->n);
    if (!kept || !out->label)
        return nb_fail_memory(err, "labels");
    size_t n = 0;
    for (size_t k = 0; k < image->n; k++) {
        NbLabelBox box = image->box[k];
        bool clipped;
        const NbSkip why = nb_box_check(&box, out->width, out->height, &rules, kept, n, &clipped);
        if (why != NB_SKIPS) {
            counts->skipped[why]++;
            continue;
        }
        counts->clipped += clipped;
        const double *const b = box.xyxy;
        out->label[n] = (NbTarget){.cls = single_cls ? 0 : box.cls,
                                   .xywh = {(float)((b[0] + b[2]) / 2 / out->width),
                                            (float)((b[1] + b[3]) / 2 / out->height),
                                            (float)((b[2] - b[0]) / out->width),
                                            (float)((b[3] - b[1]) / out->height)}};
        kept[n++] = box;
    }
    out->n_labels = (int)n;
    return NB_OK;
}

NbStatus nb_coco_sample_truth(const NbBoxSet *set, size_t index, bool single_cls, NbArena *arena,
                              NbSample *out, NbError *err) {
    const NbBoxImage *const image = &set->image[index];
    NbCocoTruth *const truth = NB_NEW(arena, NbCocoTruth, image->n);
    if (!truth)
        return nb_fail_memory(err, "annotations");
    for (size_t k = 0; k < image->n; k++) {
        const NbLabelBox *const b = &image->box[k];
        if (b->cls < 0)
            continue;
        const double w = b->xyxy[2] - b->xyxy[0];
        const double h = b->xyxy[3] - b->xyxy[1];
        truth[out->n_truth++] = (NbCocoTruth){.image = image->id,
                                              .category = single_cls ? 0 : b->cls,
                                              .xywh = {b->xyxy[0], b->xyxy[1], w, h},
                                              .area = b->area,
                                              .crowd = b->crowd};
    }
    out->id = image->id;
    out->truth = truth;
    return NB_OK;
}
