/* SPDX-License-Identifier: Apache-2.0
 *
 * Sets of boxes as COCO, VOC, WIDER FACE and YOLO have them. */
#include "base/file.h"
#include "base/text.h"
#include "data/boxes.h"
#include "format/voc_xml.h"
#include "format/wider_text.h"

#include <stdlib.h>
#include <string.h>

typedef struct Writing {
    const NbBoxSet *set;
    const NbBoxTarget *target;
    NbArena *arena;
    const char *folder; /* the target's, also when it names a file */
    char *last_folder;  /* that was made */
    NbError *err;
} Writing;

/* ---- paths ---- */

/* Makes the folder of a file; most files lie where the one before does. */
static NbStatus make_folder_of(Writing *w, const char *path) {
    char *const folder = nb_path_folder(w->arena, path);
    if (!folder)
        return nb_fail_memory(w->err, path);
    if (w->last_folder && strcmp(w->last_folder, folder) == 0)
        return NB_OK;
    w->last_folder = folder;
    return nb_folder_make(folder, w->err);
}

/* FOLDER/KIND[/SPLIT]/NAME, with another suffix unless that is NULL; its folder is there then. */
static NbStatus path_of(Writing *w, const char *kind, bool split, const char *name,
                        const char *suffix, char **out) {
    const size_t n = strlen(name) - (suffix ? strlen(nb_path_suffix(name)) : 0);
    const char *const part = split ? w->target->split : "";
    *out = nb_arena_printf(w->arena, "%s/%s%s%s/%.*s%s", w->folder, kind, *part ? "/" : "", part,
                           (int)n, name, suffix ? suffix : "");
    return *out ? make_folder_of(w, *out) : nb_fail_memory(w->err, name);
}

static NbStatus use_picture(Writing *w, const NbBoxImage *image, const char *kind, bool split) {
    char *path = NULL;
    if (!image->path || w->target->pictures == NB_PICTURES_NONE)
        return NB_OK;
    NB_TRY(path_of(w, kind, split, image->name, NULL, &path));
    return w->target->pictures == NB_PICTURES_LINK ? nb_file_link(image->path, path, w->err)
                                                   : nb_file_copy(image->path, path, w->err);
}

static NbStatus need_size(const Writing *w, const NbBoxImage *image) {
    return image->width > 0 && image->height > 0
               ? NB_OK
               : nb_fail(NB_ERR_FORMAT, w->err,
                         "%s: the size of %.150s is not known: give the folder of pictures with "
                         "images=",
                         image->source, image->name);
}

/* ---- names may come once ---- */

static int compare_text(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* By the name without its suffix: labels of a.jpg and a.png are the same file. */
static NbStatus check_names(const Writing *w) {
    const size_t n = w->set->n;
    char **const stem = NB_NEW(w->arena, char *, n);
    if (!stem)
        return nb_fail_memory(w->err, "names");
    for (size_t i = 0; i < n; i++) {
        const char *const name = w->set->image[i].name;
        if (!nb_picture_name_is_safe(name))
            return nb_fail(NB_ERR_FORMAT, w->err,
                           "%s: the picture '%.100s': expected a name below the folder of pictures",
                           w->set->image[i].source, name);
        stem[i] = nb_arena_string_n(w->arena, name, strlen(name) - strlen(nb_path_suffix(name)));
        if (!stem[i])
            return nb_fail_memory(w->err, "names");
    }
    qsort(stem, n, sizeof *stem, compare_text);
    for (size_t i = 1; i < n; i++)
        if (strcmp(stem[i], stem[i - 1]) == 0)
            return nb_fail(NB_ERR_FORMAT, w->err,
                           "two pictures have the name %.150s: their labels would be one file",
                           stem[i]);
    return NB_OK;
}

/* ---- YOLO ---- */

static NbStatus write_labels(Writing *w, const NbBoxImage *image) {
    NbText t = {0};
    char *path = NULL;
    NB_TRY(need_size(w, image));
    NB_TRY(path_of(w, "labels", true, image->name, ".txt", &path));
    for (size_t k = 0; k < image->n; k++) {
        const double *const b = image->box[k].xyxy;
        nb_text_printf(&t, "%d %g %g %g %g\n", image->box[k].cls,
                       (b[0] + (b[2] - b[0]) / 2) / image->width,
                       (b[1] + (b[3] - b[1]) / 2) / image->height, (b[2] - b[0]) / image->width,
                       (b[3] - b[1]) / image->height);
    }
    const NbStatus status = t.failed ? nb_fail_memory(w->err, path)
                                     : nb_file_write(path, t.data ? t.data : "", t.size, w->err);
    nb_text_release(&t);
    return status;
}

/* A YAML scalar in double quotes. */
static void put_quoted(NbText *t, const char *text) {
    nb_text_put(t, "\"", 1);
    for (; *text; text++) {
        const unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            nb_text_printf(t, "\\%c", c);
        else if (c < 0x20)
            nb_text_printf(t, "\\x%02X", c);
        else
            nb_text_put(t, text, 1);
    }
    nb_text_put(t, "\"", 1);
}

/* The data.yaml that is there, when it has these classes: its other splits stay. */
static NbStatus old_splits(const Writing *w, const char *path, const char *split[3]) {
    NbDataset old;
    if (!nb_path_exists(path) || !*w->target->split)
        return NB_OK;
    NB_TRY_IN(nb_dataset_read(path, w->arena, &old, w->err), w->err,
              "a data set that is there already");
    bool same = old.nc == w->set->nc;
    for (int c = 0; same && c < old.nc; c++)
        same = strcmp(old.names[c], w->set->class_name[c]) == 0;
    if (!same)
        return nb_fail(NB_ERR_FORMAT, w->err,
                       "%s: its classes are not those of the split %s: give both the same names= "
                       "or another out=",
                       path, w->target->split);
    for (int i = 0; i < 3; i++)
        split[i] = old.split_path[i];
    return NB_OK;
}

static NbStatus write_yaml(const Writing *w, const char *path) {
    const char *split[3] = {NULL, NULL, NULL};
    NB_TRY(old_splits(w, path, split));
    const NbBoxSet *const set = w->set;
    NbText t = {0};
    nb_text_printf(&t, "# written by nibble data convert; where from: provenance*.json\npath: .\n");
    for (int i = 0; i < 3; i++) {
        const char *const name = nb_split_name((NbSplit)i);
        if (strcmp(w->target->split, name) == 0)
            split[i] = nb_arena_printf(w->arena, "images/%s", name);
        else if (!*w->target->split && i < 2)
            split[i] = "images"; /* one set only */
        if (split[i]) {
            nb_text_printf(&t, "%s: ", name);
            put_quoted(&t, split[i]);
            nb_text_printf(&t, "\n");
        }
    }
    nb_text_printf(&t, "nc: %d\nnames:\n", set->nc);
    for (int c = 0; c < set->nc; c++) {
        nb_text_printf(&t, "  %d: ", c);
        put_quoted(&t, set->class_name[c]);
        nb_text_printf(&t, "\n");
    }
    for (int c = 0; set->class_id && c < set->nc; c++)
        nb_text_printf(&t, "%s%lld%s", c ? ", " : "category_ids: [", (long long)set->class_id[c],
                       c + 1 == set->nc ? "]\n" : "");
    const NbStatus status =
        t.failed ? nb_fail_memory(w->err, path) : nb_file_write(path, t.data, t.size, w->err);
    nb_text_release(&t);
    return status;
}

static NbStatus write_yolo(Writing *w, const char **file) {
    for (size_t i = 0; i < w->set->n; i++) {
        NB_TRY(write_labels(w, &w->set->image[i]));
        NB_TRY(use_picture(w, &w->set->image[i], "images", true));
    }
    *file = nb_path_join(w->arena, w->folder, "data.yaml");
    return *file ? write_yaml(w, *file) : nb_fail_memory(w->err, "data.yaml");
}

/* ---- COCO ---- */

static const int coco_ids[] = {1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 13, 14, 15, 16, 17,
                               18, 19, 20, 21, 22, 23, 24, 25, 27, 28, 31, 32, 33, 34, 35, 36,
                               37, 38, 39, 40, 41, 42, 43, 44, 46, 47, 48, 49, 50, 51, 52, 53,
                               54, 55, 56, 57, 58, 59, 60, 61, 62, 63, 64, 65, 67, 70, 72, 73,
                               74, 75, 76, 77, 78, 79, 80, 81, 82, 84, 85, 86, 87, 88, 89, 90};

const int *nb_coco_category_ids(const char *const *names, int nc) {
    /* the first, one in the middle and the last tell it from other sets of 80 */
    const bool coco = nc == 80 && strcmp(names[0], "person") == 0 &&
                      strcmp(names[39], "bottle") == 0 && strcmp(names[79], "toothbrush") == 0;
    return coco ? coco_ids : NULL;
}

static bool all_have_ids(const NbBoxSet *set) {
    for (size_t i = 0; i < set->n; i++)
        if (set->image[i].id < 0)
            return false;
    return true;
}

static int compare_ids(const void *a, const void *b) {
    const int64_t x = *(const int64_t *)a;
    const int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The numbers that all names are, when no two are the same. */
static bool ids_from_names(const NbBoxSet *set, NbArena *arena, int64_t *id) {
    int64_t *const sorted = NB_NEW(arena, int64_t, set->n);
    if (!sorted)
        return false;
    for (size_t i = 0; i < set->n; i++) {
        const char *const stem = nb_path_stem(arena, set->image[i].name);
        if (!stem || !nb_parse_i64(stem, &id[i]) || id[i] < 0)
            return false;
        sorted[i] = id[i];
    }
    qsort(sorted, set->n, sizeof *sorted, compare_ids);
    for (size_t i = 1; i < set->n; i++)
        if (sorted[i] == sorted[i - 1])
            return false;
    return true;
}

static NbStatus fill_classes(const Writing *w, NbCocoSet *out) {
    const NbBoxSet *const set = w->set;
    const int *const usual = nb_coco_category_ids(set->class_name, set->nc);
    out->n_categories = (size_t)set->nc;
    out->category_name = set->class_name;
    out->category_id = NB_NEW(w->arena, int64_t, out->n_categories);
    if (!out->category_id)
        return nb_fail_memory(w->err, "categories");
    for (int c = 0; c < set->nc; c++)
        out->category_id[c] = set->class_id ? set->class_id[c] : usual ? usual[c] : c;
    return NB_OK;
}

static NbStatus fill_images(const Writing *w, NbCocoSet *out) {
    const NbBoxSet *const set = w->set;
    out->n_images = set->n;
    out->image = NB_NEW(w->arena, NbCocoImage, set->n);
    out->image_id = NB_NEW(w->arena, int64_t, set->n);
    if (!out->image || !out->image_id)
        return nb_fail_memory(w->err, "pictures");
    const bool own = all_have_ids(set);
    const bool by_name = !own && ids_from_names(set, w->arena, out->image_id);
    for (size_t i = 0; i < set->n; i++) {
        const NbBoxImage *const image = &set->image[i];
        NB_TRY(need_size(w, image));
        out->image[i] =
            (NbCocoImage){.width = image->width, .height = image->height, .file_name = image->name};
        out->n_truth += image->n;
        if (!by_name)
            out->image_id[i] = own ? image->id : (int64_t)i + 1;
    }
    return NB_OK;
}

static NbStatus write_coco(Writing *w, const char **file) {
    NbCocoSet out = {0};
    const NbBoxSet *const set = w->set;
    NB_TRY(fill_classes(w, &out));
    NB_TRY(fill_images(w, &out));
    out.truth = NB_NEW(w->arena, NbCocoTruth, out.n_truth);
    if (!out.truth)
        return nb_fail_memory(w->err, "annotations");
    size_t n = 0;
    for (size_t i = 0; i < set->n; i++) {
        for (size_t k = 0; k < set->image[i].n; k++) {
            const NbLabelBox *const b = &set->image[i].box[k];
            const double width = b->xyxy[2] - b->xyxy[0];
            const double height = b->xyxy[3] - b->xyxy[1];
            out.truth[n++] = (NbCocoTruth){.image = out.image_id[i],
                                           .category = out.category_id[b->cls],
                                           .xywh = {b->xyxy[0], b->xyxy[1], width, height},
                                           .area = b->area >= 0.0 ? b->area : width * height,
                                           .crowd = b->crowd};
        }
        NB_TRY(use_picture(w, &set->image[i], "images", false));
    }
    const char *const split = w->target->split;
    *file = strcmp(nb_path_suffix(w->target->out), ".json") == 0
                ? w->target->out
                : nb_arena_printf(w->arena, "%s/instances%s%s.json", w->folder, *split ? "_" : "",
                                  split);
    return *file ? nb_coco_write(*file, &out, w->err) : nb_fail_memory(w->err, "a path");
}

/* ---- VOC ---- */

static NbStatus write_xml(Writing *w, const NbBoxImage *image) {
    char *path = NULL;
    NbVocXml voc = {.filename = nb_path_name(image->name),
                    .width = image->width,
                    .height = image->height,
                    .n = image->n};
    voc.object = NB_NEW(w->arena, NbVocObject, image->n);
    if (!voc.object)
        return nb_fail_memory(w->err, image->name);
    NB_TRY(need_size(w, image));
    NB_TRY(path_of(w, "Annotations", false, image->name, ".xml", &path));
    const double base = w->target->pixel_base == 1 ? 1.0 : 0.0;
    for (size_t k = 0; k < image->n; k++) {
        const NbLabelBox *const b = &image->box[k];
        voc.object[k] =
            (NbVocObject){.name = w->set->class_name[b->cls],
                          .box = {b->xyxy[0] + base, b->xyxy[1] + base, b->xyxy[2], b->xyxy[3]},
                          .difficult = b->difficult};
    }
    return nb_voc_xml_write(path, &voc, w->err);
}

static NbStatus write_voc(Writing *w, const char **file) {
    NbText list = {0};
    NbStatus status = NB_OK;
    const char *const split = *w->target->split ? w->target->split : "all";
    for (size_t i = 0; i < w->set->n && status == NB_OK; i++) {
        const NbBoxImage *const image = &w->set->image[i];
        const size_t n = strlen(image->name) - strlen(nb_path_suffix(image->name));
        nb_text_printf(&list, "%.*s\n", (int)n, image->name);
        status = write_xml(w, image);
        if (status == NB_OK)
            status = use_picture(w, image, "JPEGImages", false);
    }
    *file = nb_path_join(w->arena, w->folder, "Annotations");
    char *path = NULL;
    if (status == NB_OK)
        status = path_of(w, "ImageSets/Main", false, split, ".txt", &path);
    if (status == NB_OK && (list.failed || !*file))
        status = nb_fail_memory(w->err, "names");
    if (status == NB_OK)
        status = nb_file_write(path, list.data ? list.data : "", list.size, w->err);
    nb_text_release(&list);
    return status;
}

/* ---- WIDER FACE ---- */

static NbStatus write_wider(Writing *w, const char **file) {
    const NbBoxSet *const set = w->set;
    NbWiderText out = {.n = set->n};
    out.image = NB_NEW(w->arena, NbWiderImage, set->n);
    if (!out.image)
        return nb_fail_memory(w->err, "faces");
    for (size_t i = 0; i < set->n; i++) {
        const NbBoxImage *const from = &set->image[i];
        NbWiderImage *const to = &out.image[i];
        *to = (NbWiderImage){.name = from->name, .n = from->n};
        to->face = NB_NEW(w->arena, NbWiderFace, from->n);
        if (!to->face)
            return nb_fail_memory(w->err, "faces");
        for (size_t k = 0; k < from->n; k++) {
            const double *const b = from->box[k].xyxy;
            to->face[k] = (NbWiderFace){.box = {b[0], b[1], b[2] - b[0], b[3] - b[1]},
                                        .invalid = from->box[k].invalid};
        }
        NB_TRY(use_picture(w, from, "images", false));
    }
    const char *const split = w->target->split;
    *file = strcmp(nb_path_suffix(w->target->out), ".txt") == 0
                ? w->target->out
                : nb_arena_printf(w->arena, "%s/wider_face%s%s_bbx_gt.txt", w->folder,
                                  *split ? "_" : "", split);
    return *file ? nb_wider_text_write(*file, &out, w->err) : nb_fail_memory(w->err, "a path");
}

NbStatus nb_boxes_write(const NbBoxSet *set, const NbBoxTarget *target, NbArena *arena,
                        const char **file, NbError *err) {
    Writing w = {.set = set, .target = target, .arena = arena, .err = err};
    const char *const suffix = nb_path_suffix(target->out);
    const bool one_file = (target->form == NB_FORM_COCO && strcmp(suffix, ".json") == 0) ||
                          (target->form == NB_FORM_WIDERFACE && strcmp(suffix, ".txt") == 0);
    w.folder = one_file ? nb_path_folder(arena, target->out) : target->out;
    *file = NULL;
    if (!w.folder)
        return nb_fail_memory(err, target->out);
    if (set->nc < 1)
        return nb_fail(NB_ERR_FORMAT, err, "there is no class: give names=");
    NB_TRY(check_names(&w));
    NB_TRY(nb_folder_make(w.folder, err));
    switch (target->form) {
    case NB_FORM_COCO: return write_coco(&w, file);
    case NB_FORM_VOC: return write_voc(&w, file);
    case NB_FORM_WIDERFACE: return write_wider(&w, file);
    case NB_FORM_YOLO: return write_yolo(&w, file);
    case NB_FORMS: break;
    }
    return nb_fail(NB_ERR_ARGUMENT, err, "no such form of annotations");
}
