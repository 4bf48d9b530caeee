/* SPDX-License-Identifier: Apache-2.0
 *
 * COCO, WIDER FACE and YOLO as sets of boxes; VOC is in boxes_voc.c. */
#include "data/boxes_read.h"

#include "format/image.h"
#include "format/wider_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_BYTES_MAX = 1 << 30 };

/* ---- COCO ---- */

/* Something by its id. */
typedef struct ById {
    int64_t id;
    size_t index;
} ById;

static int by_id(const void *a, const void *b) {
    const ById *const x = a;
    const ById *const y = b;
    return (x->id > y->id) - (x->id < y->id);
}

static ById *sorted_ids(const int64_t *id, size_t n, NbArena *arena) {
    ById *const list = NB_NEW(arena, ById, n);
    for (size_t i = 0; list && i < n; i++)
        list[i] = (ById){id[i], i};
    if (list)
        qsort(list, n, sizeof *list, by_id);
    return list;
}

/* Its place in the sorted list; -1: not there. */
static int64_t place_of(const ById *list, size_t n, int64_t id) {
    const ById wanted = {.id = id};
    const ById *const found = bsearch(&wanted, list, n, sizeof *list, by_id);
    return found ? found - list : -1;
}

int nb_class_of_name(char *const *names, int nc, const char *name) {
    for (int i = 0; i < nc; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return -1;
}

/* Fills the classes of `out` and cls: of each category in the order of its ids; -1: not wanted. */
static NbStatus coco_classes(const char *path, const NbCocoSet *coco, const ById *category,
                             char *const *names, int nc, int *cls, NbBoxSet *out, NbError *err) {
    for (int c = 0; names && c < nc; c++)
        out->class_id[c] = -1;
    for (size_t i = 0; i < coco->n_categories; i++) {
        const char *const name = coco->category_name[category[i].index];
        cls[i] = names ? nb_class_of_name(names, nc, name) : (int)i;
        if (cls[i] < 0)
            continue;
        out->class_name[cls[i]] = name;
        out->class_id[cls[i]] = category[i].id;
    }
    for (int c = 0; names && c < nc; c++)
        if (out->class_id[c] < 0)
            return nb_fail(NB_ERR_FORMAT, err, "%s: no category has the name '%.100s'", path,
                           names[c]);
    return NB_OK;
}

static NbStatus coco_images(const char *path, const NbCocoSet *coco, const ById *image,
                            NbBoxSet *out, NbError *err) {
    for (size_t i = 0; i < coco->n_images; i++) {
        const NbCocoImage *const from = &coco->image[image[i].index];
        out->image[i] = (NbBoxImage){.name = from->file_name,
                                     .width = from->width,
                                     .height = from->height,
                                     .id = image[i].id,
                                     .source = path};
        if (!*from->file_name)
            return nb_fail(NB_ERR_FORMAT, err, "%s: images[%zu] has no file_name", path,
                           image[i].index);
        if (!nb_picture_name_is_safe(from->file_name))
            return nb_fail(NB_ERR_FORMAT, err,
                           "%s: images[%zu]: file_name is '%.100s', expected a name below the "
                           "folder of pictures",
                           path, image[i].index, from->file_name);
    }
    return NB_OK;
}

/* Annotations go to their pictures, in file order. */
static NbStatus coco_boxes(const NbCocoSet *coco, const ById *image, const ById *category,
                           const int *cls, NbArena *arena, NbBoxSet *out, NbError *err) {
    int64_t *const at = NB_NEW(arena, int64_t, coco->n_truth);
    if (!at)
        return nb_fail_memory(err, "annotations");
    for (size_t i = 0; i < coco->n_truth; i++) {
        const int64_t k = place_of(category, coco->n_categories, coco->truth[i].category);
        at[i] = k < 0 ? -1 : place_of(image, coco->n_images, coco->truth[i].image);
        if (at[i] < 0)
            out->unlisted++;
        else
            out->image[at[i]].n++;
    }
    for (size_t i = 0; i < out->n; i++) {
        out->image[i].box = NB_NEW(arena, NbLabelBox, out->image[i].n);
        if (!out->image[i].box)
            return nb_fail_memory(err, "annotations");
        out->image[i].n = 0;
    }
    for (size_t i = 0; i < coco->n_truth; i++) {
        if (at[i] < 0)
            continue;
        const NbCocoTruth *const t = &coco->truth[i];
        NbBoxImage *const to = &out->image[at[i]];
        to->box[to->n++] = (NbLabelBox){
            .cls = cls[place_of(category, coco->n_categories, t->category)],
            .xyxy = {t->xywh[0], t->xywh[1], t->xywh[0] + t->xywh[2], t->xywh[1] + t->xywh[3]},
            .area = t->area,
            .crowd = t->crowd};
    }
    return NB_OK;
}

NbStatus nb_boxes_from_coco(const char *path, const NbCocoSet *coco, char *const *names, int nc,
                            NbArena *arena, NbBoxSet *out, NbError *err) {
    *out = (NbBoxSet){.n = coco->n_images};
    if (coco->n_categories == 0 || coco->n_categories > 100000)
        return nb_fail(NB_ERR_FORMAT, err, "%s: %zu categories, expected 1 to 100000", path,
                       coco->n_categories);
    out->nc = names ? nc : (int)coco->n_categories;
    const ById *const image = sorted_ids(coco->image_id, coco->n_images, arena);
    const ById *const category = sorted_ids(coco->category_id, coco->n_categories, arena);
    int *const cls = NB_NEW(arena, int, coco->n_categories);
    out->image = NB_NEW(arena, NbBoxImage, coco->n_images);
    out->class_name = NB_NEW(arena, const char *, (size_t)out->nc);
    out->class_id = NB_NEW(arena, int64_t, (size_t)out->nc);
    if (!image || !category || !cls || !out->image || !out->class_name || !out->class_id)
        return nb_fail_memory(err, path);
    NB_TRY(coco_classes(path, coco, category, names, nc, cls, out, err));
    NB_TRY(coco_images(path, coco, image, out, err));
    return coco_boxes(coco, image, category, cls, arena, out, err);
}

static NbStatus read_coco(const NbBoxSource *s, NbArena *arena, NbBoxSet *out, NbError *err) {
    NbCocoSet coco;
    NB_TRY(nb_coco_read_file(s->path, arena, &coco, err));
    return nb_boxes_from_coco(s->path, &coco, s->names, s->nc, arena, out, err);
}

/* ---- WIDER FACE ---- */

static NbStatus wider_image(const NbWiderImage *from, const char *path, NbArena *arena,
                            NbBoxImage *to, NbError *err) {
    *to = (NbBoxImage){.name = from->name, .id = -1, .source = path, .n = from->n};
    to->box = NB_NEW(arena, NbLabelBox, from->n);
    if (!to->box)
        return nb_fail_memory(err, path);
    if (!nb_picture_name_is_safe(from->name))
        return nb_fail(NB_ERR_FORMAT, err,
                       "%s:%d: '%.100s', expected a name below the folder of pictures", path,
                       from->line, from->name);
    for (size_t k = 0; k < from->n; k++) {
        const double *const b = from->face[k].box;
        to->box[k] = (NbLabelBox){.xyxy = {b[0], b[1], b[0] + b[2], b[1] + b[3]},
                                  .area = -1.0,
                                  .invalid = from->face[k].invalid,
                                  .line = from->face[k].line};
    }
    return NB_OK;
}

static NbStatus read_wider(const NbBoxSource *s, NbArena *arena, NbBoxSet *out, NbError *err) {
    NbBytes bytes;
    NbWiderText text;
    if (s->names && s->nc != 1)
        return nb_fail(NB_ERR_ARGUMENT, err, "names: WIDER FACE has one class, found %d names",
                       s->nc);
    NB_TRY(nb_file_read(s->path, TEXT_BYTES_MAX, arena, &bytes, err));
    NB_TRY(nb_wider_text_read(s->path, bytes, arena, &text, err));
    out->n = text.n;
    out->nc = 1;
    out->image = NB_NEW(arena, NbBoxImage, text.n);
    out->class_name = NB_NEW(arena, const char *, 1);
    if (!out->image || !out->class_name)
        return nb_fail_memory(err, s->path);
    out->class_name[0] = s->names ? s->names[0] : "face";
    for (size_t i = 0; i < text.n; i++)
        NB_TRY(wider_image(&text.image[i], s->path, arena, &out->image[i], err));
    return NB_OK;
}

/* ---- YOLO ---- */

/* A data set YAML; or a folder, whose images/ is every split, of as many classes as labels use. */
static NbStatus open_yolo(const NbBoxSource *s, NbArena *arena, NbDataset *out, NbError *err) {
    if (!nb_path_is_folder(s->path))
        return nb_dataset_read(s->path, arena, out, err);
    static const char images[] = "images";
    char **const path = NB_NEW(arena, char *, 1);
    *out = (NbDataset){.file = s->path, .root = nb_arena_string(arena, s->path)};
    if (!path || !out->root || !(path[0] = nb_arena_string(arena, *s->images ? s->images : images)))
        return nb_fail_memory(err, s->path);
    for (int i = 0; i < 3; i++) {
        out->split_path[i] = path[0];
        out->paths[i] = path;
        out->n_paths[i] = 1;
    }
    return NB_OK;
}

static NbStatus invent_names(const char *const *have, int nc, NbArena *arena, NbBoxSet *out,
                             NbError *err) {
    out->nc = nc;
    out->class_name = NB_NEW(arena, const char *, (size_t)nc);
    if (!out->class_name)
        return nb_fail_memory(err, "names");
    for (int c = 0; c < nc; c++)
        if (!(out->class_name[c] = have ? have[c] : nb_arena_printf(arena, "class%d", c)))
            return nb_fail_memory(err, "names");
    return NB_OK;
}

static NbStatus yolo_image(const NbSample *s, NbArena *arena, NbBoxImage *to, NbError *err) {
    static const char images[] = "/images/";
    const char *name = nb_path_name(s->path); /* or what is below images/ */
    for (const char *at = strstr(s->path, images); at; at = strstr(at + 1, images))
        name = at + sizeof images - 1;
    *to = (NbBoxImage){.name = name,
                       .path = s->path,
                       .width = s->width,
                       .height = s->height,
                       .id = -1,
                       .source = s->path,
                       .n = (size_t)s->n_labels};
    to->box = NB_NEW(arena, NbLabelBox, to->n);
    if (!to->box)
        return nb_fail_memory(err, s->path);
    for (size_t k = 0; k < to->n; k++) {
        const float *const f = s->label[k].xywh;
        const double b[4] = {(double)f[0], (double)f[1], (double)f[2], (double)f[3]};
        to->box[k] =
            (NbLabelBox){.cls = s->label[k].cls,
                         .xyxy = {(b[0] - b[2] / 2) * s->width, (b[1] - b[3] / 2) * s->height,
                                  (b[0] + b[2] / 2) * s->width, (b[1] + b[3] / 2) * s->height},
                         .area = -1.0};
    }
    return NB_OK;
}

/* Names with their split's folder in front lose it, so that the target can put its own. */
static void drop_split_folder(NbBoxSet *set, NbSplit split) {
    const char *const name = nb_split_name(split);
    const size_t n = strlen(name);
    for (size_t i = 0; i < set->n; i++)
        if (strncmp(set->image[i].name, name, n) != 0 || set->image[i].name[n] != '/')
            return;
    for (size_t i = 0; i < set->n; i++)
        set->image[i].name += n + 1;
}

static NbStatus read_yolo(const NbBoxSource *s, NbArena *arena, NbBoxSet *out, NbError *err) {
    NbDataset d;
    NbSamples samples;
    NB_TRY(open_yolo(s, arena, &d, err));
    if (d.nc && s->names && d.nc != s->nc)
        return nb_fail(NB_ERR_ARGUMENT, err, "names: %d names, but %s has %d classes", s->nc,
                       s->path, d.nc);
    d.nc = d.nc || !s->names ? d.nc : s->nc;
    NB_TRY(nb_dataset_scan(&d, s->split, false, s->pool, arena, &samples, err));
    int most = 0;
    for (int i = 0; i < samples.n; i++)
        for (int k = 0; k < samples.sample[i].n_labels; k++)
            if (samples.sample[i].label[k].cls > most)
                most = samples.sample[i].label[k].cls;
    if (most >= 100000)
        return nb_fail(NB_ERR_FORMAT, err, "%s: class %d, expected less than 100000", s->path,
                       most);
    const char *const *const have = (const char *const *)(s->names ? s->names : d.names);
    NB_TRY(invent_names(have, d.nc ? d.nc : most + 1, arena, out, err));
    out->class_id = d.category_id;
    out->n = (size_t)samples.n;
    out->image = NB_NEW(arena, NbBoxImage, out->n);
    if (!out->image)
        return nb_fail_memory(err, s->path);
    for (size_t i = 0; i < out->n; i++)
        NB_TRY(yolo_image(&samples.sample[i], arena, &out->image[i], err));
    drop_split_folder(out, s->split);
    out->problem = samples.problem;
    out->n_problems = (size_t)samples.n_problems;
    return NB_OK;
}

/* ---- all ---- */

NbStatus nb_boxes_problem(NbBoxSet *set, NbProblemKind kind, const char *path, const char *text,
                          NbArena *arena, NbError *err) {
    /* grows by doubling: full when the count is a power of two */
    if ((set->n_problems & (set->n_problems - 1)) == 0) {
        const size_t room = set->n_problems ? 2 * set->n_problems : 1;
        NbProblem *const more = NB_NEW(arena, NbProblem, room);
        if (!more)
            return nb_fail_memory(err, "problems");
        if (set->n_problems)
            memcpy(more, set->problem, set->n_problems * sizeof *more);
        set->problem = more;
    }
    /* what messages begin with, a problem has already: "path: " or "path:line:column: " */
    const size_t n = strlen(path);
    int line = 0;
    if (strncmp(text, path, n) == 0 && text[n] == ':') {
        const char *const end = strstr(text + n, ": ");
        line = (int)strtol(text + n + 1, NULL, 10);
        text = end ? end + 2 : text;
    }
    NbProblem *const p = &set->problem[set->n_problems++];
    *p = (NbProblem){.kind = kind,
                     .path = nb_arena_string(arena, path),
                     .line = line,
                     .text = nb_arena_string(arena, text)};
    return p->path && p->text ? NB_OK : nb_fail_memory(err, "problems");
}

/* The size of the picture itself; what the annotation says otherwise is a remark. */
static NbStatus look_at_picture(NbBoxSet *set, NbBoxImage *image, bool *usable, NbArena *arena,
                                NbError *err) {
    NbBytes bytes;
    NbImageInfo info = {0};
    NbError why = {0};
    NbStatus status = nb_file_map(image->path, &bytes, &why);
    *usable = false;
    if (status == NB_OK) {
        status = nb_image_info(image->path, bytes, &info, &why);
        nb_file_unmap(bytes);
    }
    if (status == NB_ERR_NOMEM)
        return nb_fail_memory(err, image->path);
    if (status != NB_OK)
        return nb_boxes_problem(set, NB_PROBLEM_CORRUPT, image->path, why.message, arena, err);
    *usable = true;
    const bool differs =
        image->width > 0 && (image->width != info.width || image->height != info.height);
    char text[160];
    (void)snprintf(text, sizeof text, "%d x %d pixels, the annotation says %d x %d", info.width,
                   info.height, image->width, image->height);
    image->width = info.width;
    image->height = info.height;
    return differs ? nb_boxes_problem(set, NB_PROBLEM_WARNING, image->path, text, arena, err)
                   : NB_OK;
}

static NbStatus look_at_pictures(NbBoxSet *set, NbArena *arena, NbError *err) {
    size_t kept = 0;
    for (size_t i = 0; i < set->n; i++) {
        bool usable = true;
        if (set->image[i].path)
            NB_TRY(look_at_picture(set, &set->image[i], &usable, arena, err));
        if (usable)
            set->image[kept++] = set->image[i];
    }
    set->n = kept;
    return NB_OK;
}

NbStatus nb_boxes_read(const NbBoxSource *s, NbArena *arena, NbBoxSet *out, NbError *err) {
    *out = (NbBoxSet){0};
    switch (s->form) {
    case NB_FORM_COCO: NB_TRY(read_coco(s, arena, out, err)); break;
    case NB_FORM_VOC: NB_TRY(nb_boxes_read_voc(s, arena, out, err)); break;
    case NB_FORM_WIDERFACE: NB_TRY(read_wider(s, arena, out, err)); break;
    case NB_FORM_YOLO: return read_yolo(s, arena, out, err);
    case NB_FORMS: return nb_fail(NB_ERR_ARGUMENT, err, "no such form of annotations");
    }
    NB_TRY(nb_boxes_find_pictures(out, s->path, s->images, arena, err));
    return s->by_picture ? look_at_pictures(out, arena, err) : NB_OK;
}
