/* SPDX-License-Identifier: Apache-2.0
 *
 * What is done with annotations between reading and writing: pictures are found and chosen, boxes
 * checked. */
#include "data/boxes.h"

#include "base/file.h"
#include "data/ids.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const nb_box_form_names[NB_FORMS] = {"coco", "voc", "widerface", "yolo"};

const char *const nb_skip_names[NB_SKIPS] = {"unlisted", "class",   "crowd", "difficult", "invalid",
                                             "empty",    "outside", "small", "duplicate"};

bool nb_picture_name_is_safe(const char *name) {
    if (!*name || *name == '/')
        return false;
    for (const char *at = name; at; at = strchr(at, '/')) {
        at += *at == '/';
        if (strncmp(at, "..", 2) == 0 && (at[2] == '/' || !at[2]))
            return false;
    }
    return true;
}

/* ---- pictures ---- */

enum { FOLDERS_MAX = 4 };

typedef struct Folders {
    const char *path[FOLDERS_MAX];
    int n;
} Folders;

static bool add_folder(Folders *f, const char *path) {
    if (path && nb_path_is_folder(path))
        f->path[f->n++] = path;
    return path != NULL;
}

/* images/ beside the file, ../NAME and ../images/NAME of instances_NAME.json, the file's folder. */
static bool usual_folders(Folders *f, const char *file, NbArena *arena) {
    static const char instances[] = "instances_";
    char *const folder =
        nb_path_is_folder(file) ? nb_arena_string(arena, file) : nb_path_folder(arena, file);
    char *const stem = nb_path_stem(arena, file);
    if (!folder || !stem || !add_folder(f, nb_path_join(arena, folder, "images")))
        return false;
    if (strncmp(stem, instances, sizeof instances - 1) == 0) {
        const char *const set = stem + sizeof instances - 1;
        if (!add_folder(f, nb_arena_printf(arena, "%s/../%s", folder, set)) ||
            !add_folder(f, nb_arena_printf(arena, "%s/../images/%s", folder, set)))
            return false;
    }
    return add_folder(f, folder);
}

/* *out: the file, by its whole name or its last part; NULL: not there. false: out of memory. */
static bool find_picture(const Folders *f, const char *name, NbArena *arena, const char **out) {
    *out = NULL;
    const char *const tries[2] = {name, nb_path_name(name)};
    for (int k = 0; k < (tries[0] == tries[1] ? 1 : 2); k++)
        for (int i = 0; i < f->n; i++) {
            const NbArenaMark mark = nb_arena_mark(arena);
            const char *const path = nb_path_join(arena, f->path[i], tries[k]);
            if (!path)
                return false;
            if (nb_path_exists(path) && !nb_path_is_folder(path)) {
                *out = path;
                return true;
            }
            nb_arena_rewind(arena, mark);
        }
    return true;
}

NbStatus nb_boxes_find_pictures(NbBoxSet *set, const char *file, const char *images, NbArena *arena,
                                NbError *err) {
    Folders folders = {0};
    if (*images && !nb_path_is_folder(images))
        return nb_fail(NB_ERR_FORMAT, err, "images: %s: expected a folder of pictures, found %s",
                       images, nb_path_exists(images) ? "a file" : "none");
    if (*images ? !add_folder(&folders, images) : !usual_folders(&folders, file, arena))
        return nb_fail_memory(err, file);
    for (size_t i = 0; i < set->n; i++) {
        NbBoxImage *const image = &set->image[i];
        if (!nb_picture_name_is_safe(image->name))
            return nb_fail(NB_ERR_FORMAT, err,
                           "%s: the picture '%.100s': expected a name below the folder of pictures",
                           image->source, image->name);
        if (!image->path && !find_picture(&folders, image->name, arena, &image->path))
            return nb_fail_memory(err, file);
    }
    return NB_OK;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const NbBoxImage *)a)->name, ((const NbBoxImage *)b)->name);
}

NbStatus nb_boxes_select(NbBoxSet *set, const char *ids, int first, NbArena *arena, NbError *err) {
    if (ids) {
        NbIdKey *const key = NB_NEW(arena, NbIdKey, set->n);
        bool *const keep = NB_NEW(arena, bool, set->n);
        if (!key || !keep)
            return nb_fail_memory(err, ids);
        for (size_t i = 0; i < set->n; i++)
            key[i] = (NbIdKey){.id = set->image[i].id, .name = set->image[i].name};
        NB_TRY(nb_ids_select_file(ids, key, set->n, arena, keep, err));
        size_t kept = 0;
        for (size_t i = 0; i < set->n; i++)
            if (keep[i])
                set->image[kept++] = set->image[i];
        set->n = kept;
    }
    if (first > 0 && set->n > (size_t)first) {
        if (set->image[0].id < 0)
            qsort(set->image, set->n, sizeof *set->image, by_name);
        set->n = (size_t)first;
    }
    return NB_OK;
}

/* ---- boxes ---- */

/* true: it reached over the edge by more than labels of six digits are off. */
static bool clip(double box[4], int width, int height) {
    const double limit[4] = {width, height, width, height};
    bool changed = false;
    for (int k = 0; k < 4; k++) {
        const double inside = fmin(fmax(box[k], 0.0), limit[k]);
        changed |= fabs(inside - box[k]) > 0.01;
        box[k] = inside;
    }
    return changed;
}

static bool has_area(const double box[4]) { return box[2] > box[0] && box[3] > box[1]; }

static bool same_box(const NbLabelBox *a, const NbLabelBox *b) {
    if (a->cls != b->cls || a->crowd != b->crowd)
        return false;
    for (int k = 0; k < 4; k++)
        if (a->xyxy[k] < b->xyxy[k] || a->xyxy[k] > b->xyxy[k])
            return false;
    return true;
}

NbSkip nb_box_check(NbLabelBox *box, int width, int height, const NbBoxRules *rules,
                    const NbLabelBox *kept, size_t n_kept, bool *clipped) {
    *clipped = false;
    if (box->cls < 0)
        return NB_SKIP_CLASS;
    if (box->crowd && !rules->keep_crowd)
        return NB_SKIP_CROWD;
    if (box->difficult && !rules->keep_difficult)
        return NB_SKIP_DIFFICULT;
    if (box->invalid && !rules->keep_invalid)
        return NB_SKIP_INVALID;
    for (int k = 0; k < 4; k++)
        if (!isfinite(box->xyxy[k]))
            return NB_SKIP_EMPTY;
    if (!has_area(box->xyxy))
        return NB_SKIP_EMPTY;
    if (width > 0 && height > 0) {
        double inside[4];
        memcpy(inside, box->xyxy, sizeof inside);
        *clipped = clip(inside, width, height) && !rules->keep_overhang;
        if (!has_area(inside))
            return NB_SKIP_OUTSIDE;
        if (!rules->keep_overhang)
            memcpy(box->xyxy, inside, sizeof inside);
    }
    if (box->xyxy[2] - box->xyxy[0] < rules->least_side ||
        box->xyxy[3] - box->xyxy[1] < rules->least_side)
        return NB_SKIP_SMALL;
    for (size_t i = 0; i < n_kept; i++)
        if (same_box(box, &kept[i]))
            return NB_SKIP_DUPLICATE;
    return NB_SKIPS;
}

void nb_boxes_check(NbBoxSet *set, const NbBoxRules *rules, NbBoxCounts *out) {
    *out = (NbBoxCounts){0};
    out->skipped[NB_SKIP_UNLISTED] = set->unlisted;
    for (size_t i = 0; i < set->n; i++) {
        NbBoxImage *const image = &set->image[i];
        size_t kept = 0;
        for (size_t k = 0; k < image->n; k++) {
            NbLabelBox box = image->box[k];
            bool clipped;
            const NbSkip why =
                nb_box_check(&box, image->width, image->height, rules, image->box, kept, &clipped);
            if (why != NB_SKIPS) {
                out->skipped[why]++;
                continue;
            }
            image->box[kept++] = box;
            out->clipped += clipped;
        }
        image->n = kept;
        out->boxes += kept;
        out->backgrounds += kept == 0;
    }
}
