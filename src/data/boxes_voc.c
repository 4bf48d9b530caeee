/* SPDX-License-Identifier: Apache-2.0
 *
 * PASCAL VOC as a set of boxes. */
#include "data/boxes_read.h"

#include "base/file.h"
#include "format/voc_xml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { FILES_MAX = 10 * 1000 * 1000, XML_MAX = 64 << 20 };

typedef struct Voc {
    const NbBoxSource *source;
    const char *folder; /* of the XML files */
    const char *images; /* of the pictures; NULL: none */
    NbArena *arena;
    NbBoxSet *out;
    const char ***label; /* [n][objects]: class names, by image */
    NbError *err;
} Voc;

/* ---- pictures ---- */

static NbStatus find_folders(Voc *v, bool one_file) {
    static const char *const usual[] = {"JPEGImages", "images"};
    const char *const path = v->source->path;
    v->folder = one_file ? nb_path_folder(v->arena, path) : path;
    if (!v->folder)
        return nb_fail_memory(v->err, path);
    char *const inner = nb_path_join(v->arena, path, "Annotations");
    char *up =
        one_file ? nb_path_join(v->arena, v->folder, "..") : nb_path_join(v->arena, path, "..");
    if (!inner || !up)
        return nb_fail_memory(v->err, path);
    if (!one_file && nb_path_is_folder(inner)) { /* the folder of a whole VOC set */
        up = nb_arena_string(v->arena, path);
        v->folder = inner;
    }
    if (*v->source->images) {
        v->images = v->source->images;
        return NB_OK;
    }
    for (int i = 0; i < 2 && !v->images && up; i++) {
        const char *const folder = nb_path_join(v->arena, up, usual[i]);
        if (!folder)
            return nb_fail_memory(v->err, path);
        v->images = nb_path_is_folder(folder) ? folder : NULL;
    }
    return up ? NB_OK : nb_fail_memory(v->err, path);
}

/* The path below the folder of XML files, without its suffix. */
static char *stem_below(const Voc *v, const char *file) {
    const char *name = file;
    const size_t n = strlen(v->folder);
    if (strncmp(file, v->folder, n) == 0)
        for (name = file + n; *name == '/'; name++) {
        }
    return nb_arena_string_n(v->arena, name, strlen(name) - strlen(nb_path_suffix(name)));
}

/* Sets name and path: what the file says when that picture is there, else the picture that is named
 * as the XML file. */
static NbStatus find_picture(Voc *v, const char *stem, const char *said, NbBoxImage *image) {
    static const char *const suffix[] = {".jpg",  ".jpeg", ".png", ".JPG",
                                         ".JPEG", ".PNG",  ".bmp", ".webp"};
    /* some tools write a whole path, or one of another system */
    const char *const slash = strrchr(said, '\\');
    const char *const last = slash ? slash + 1 : nb_path_name(said);
    const char *const end = strrchr(stem, '/');
    const int folder = end ? (int)(end - stem) + 1 : 0;
    for (int i = -1; i < (int)(sizeof suffix / sizeof *suffix); i++) {
        if (i < 0 && !*last)
            continue;
        char *const name = i < 0 ? nb_arena_printf(v->arena, "%.*s%s", folder, stem, last)
                                 : nb_arena_printf(v->arena, "%s%s", stem, suffix[i]);
        char *const path = name && v->images ? nb_path_join(v->arena, v->images, name) : NULL;
        if (!name || (v->images && !path))
            return nb_fail_memory(v->err, stem);
        if (!image->name)
            image->name = name;
        if (path && nb_path_exists(path)) {
            image->name = name;
            image->path = path;
            return NB_OK;
        }
    }
    return NB_OK;
}

/* ---- annotations ---- */

static NbStatus keep_objects(Voc *v, const NbVocXml *voc, NbBoxImage *image) {
    const char **const label = NB_NEW(v->arena, const char *, voc->n);
    image->box = NB_NEW(v->arena, NbLabelBox, voc->n);
    image->n = voc->n;
    if (!label || !image->box)
        return nb_fail_memory(v->err, image->source);
    /* pixels that are counted from 1 and both belong to the box */
    const double base = v->source->pixel_base == 1 ? 1.0 : 0.0;
    for (size_t k = 0; k < voc->n; k++) {
        const NbVocObject *const o = &voc->object[k];
        label[k] = o->name;
        image->box[k] =
            (NbLabelBox){.xyxy = {o->box[0] - base, o->box[1] - base, o->box[2], o->box[3]},
                         .area = -1.0,
                         .difficult = o->difficult,
                         .line = o->line};
    }
    v->label[v->out->n++] = label;
    return NB_OK;
}

/* A file that cannot be read is a problem. */
static NbStatus read_file(Voc *v, const char *file) {
    NbVocXml voc;
    NbBytes bytes;
    NbError why = {0};
    NbStatus status = nb_file_map(file, &bytes, &why);
    if (status == NB_OK) {
        status = nb_voc_xml_read(file, bytes, v->arena, &voc, &why);
        nb_file_unmap(bytes);
    }
    if (status == NB_ERR_NOMEM)
        return nb_fail_memory(v->err, file);
    if (status != NB_OK)
        return nb_boxes_problem(v->out, NB_PROBLEM_CORRUPT, file, why.message, v->arena, v->err);
    NbBoxImage *const image = &v->out->image[v->out->n];
    *image = (NbBoxImage){.width = voc.width, .height = voc.height, .id = -1};
    image->source = nb_arena_string(v->arena, file);
    const char *const stem = stem_below(v, file);
    if (!stem || !image->source)
        return nb_fail_memory(v->err, file);
    NB_TRY(find_picture(v, stem, voc.filename, image));
    return keep_objects(v, &voc, image);
}

/* ---- classes ---- */

static int compare_text(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* All names there are, sorted, each once. */
static NbStatus gather_names(Voc *v) {
    size_t n = 0;
    for (size_t i = 0; i < v->out->n; i++)
        n += v->out->image[i].n;
    const char **const all = NB_NEW(v->arena, const char *, n);
    if (!all)
        return nb_fail_memory(v->err, "names");
    n = 0;
    for (size_t i = 0; i < v->out->n; i++)
        for (size_t k = 0; k < v->out->image[i].n; k++)
            all[n++] = v->label[i][k];
    qsort(all, n, sizeof *all, compare_text);
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || strcmp(all[i], all[kept - 1]) != 0)
            all[kept++] = all[i];
    if (kept > 100000)
        return nb_fail(NB_ERR_FORMAT, v->err, "%s: %zu class names, expected at most 100000",
                       v->source->path, kept);
    v->out->class_name = all;
    v->out->nc = (int)kept;
    return NB_OK;
}

static NbStatus number_classes(Voc *v) {
    NbBoxSet *const out = v->out;
    if (v->source->names) {
        out->nc = v->source->nc;
        out->class_name = NB_NEW(v->arena, const char *, (size_t)out->nc);
        if (!out->class_name)
            return nb_fail_memory(v->err, "names");
        for (int c = 0; c < out->nc; c++)
            out->class_name[c] = v->source->names[c];
    } else
        NB_TRY(gather_names(v));
    for (size_t i = 0; i < out->n; i++)
        for (size_t k = 0; k < out->image[i].n; k++) {
            const char *const *const at = &v->label[i][k];
            const char *const *const found = v->source->names
                                                 ? NULL
                                                 : bsearch(at, out->class_name, (size_t)out->nc,
                                                           sizeof *out->class_name, compare_text);
            out->image[i].box[k].cls = found ? (int)(found - out->class_name)
                                             : nb_class_of_name(v->source->names, out->nc, *at);
        }
    return NB_OK;
}

NbStatus nb_boxes_read_voc(const NbBoxSource *s, NbArena *arena, NbBoxSet *out, NbError *err) {
    Voc v = {.source = s, .arena = arena, .out = out, .err = err};
    char **file = NULL;
    char *single = nb_arena_string(arena, s->path);
    size_t n = 1;
    const bool one = !nb_path_is_folder(s->path);
    if (!single)
        return nb_fail_memory(err, s->path);
    NB_TRY(find_folders(&v, one));
    if (one)
        file = &single;
    else
        NB_TRY(nb_folder_list(v.folder, true, FILES_MAX, arena, &file, &n, err));
    out->image = NB_NEW(arena, NbBoxImage, n);
    v.label = NB_NEW(arena, const char **, n);
    if (!out->image || !v.label)
        return nb_fail_memory(err, s->path);
    size_t xmls = 0;
    for (size_t i = 0; i < n; i++)
        if (one || strcasecmp(nb_path_suffix(file[i]), ".xml") == 0) {
            xmls++;
            NB_TRY(read_file(&v, file[i]));
        }
    if (xmls == 0)
        return nb_fail(NB_ERR_FORMAT, err, "%s: no XML file below it", v.folder);
    if (out->n == 0)
        return nb_fail(NB_ERR_FORMAT, err, "%s:%d: %s", out->problem[0].path, out->problem[0].line,
                       out->problem[0].text);
    return number_classes(&v);
}
