/* SPDX-License-Identifier: Apache-2.0
 *
 * WIDER FACE's ground truth: MATLAB files with cells by event and picture. */
#include "eval/widerface.h"

#include "base/file.h"
#include "format/mat.h"

#include <math.h>
#include <string.h>

static const char *const level_file[NB_FACE_LEVELS] = {"wider_easy_val.mat", "wider_medium_val.mat",
                                                       "wider_hard_val.mat"};

/* Variables of wider_face_val.mat. */
enum { EVENTS, FILES, FACES, VARIABLES };

static const char *const variable[VARIABLES] = {"event_list", "file_list", "face_bbx_list"};

static size_t length(const NbMat *m) { return m->rows * m->columns; }

static bool is_name(const NbMat *m) {
    return m->kind == NB_MAT_TEXT && m->text[0] != '\0' && !strpbrk(m->text, "/?");
}

static NB_FALLIBLE check_cells(const NbMat *m, const char *what, size_t count, NbError *err) {
    if (m->kind == NB_MAT_CELLS && length(m) == count)
        return NB_OK;
    return nb_fail(NB_ERR_FORMAT, err, "%s: %zu %s, expected %zu cells", what, length(m),
                   m->kind == NB_MAT_CELLS ? "cells" : "values", count);
}

static NB_FALLIBLE take_faces(const NbMat *m, NbArena *arena, NbFaceImage *image, NbError *err) {
    const size_t n = length(m) ? m->rows : 0;
    if (m->kind != NB_MAT_NUMBERS || (n && m->columns != 4))
        return nb_fail(NB_ERR_FORMAT, err, "%s: expected faces of four numbers", image->name);
    image->face = nb_arena_take(arena, n, sizeof *image->face);
    if (!image->face)
        return nb_fail_memory(err, "faces");
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < 4; k++)
            image->face[i][k] = m->number[k * n + i];
    image->n_faces = n;
    return NB_OK;
}

/* The numbers, from 1, of the faces that count. */
static NB_FALLIBLE take_counted(const NbMat *m, NbFaceLevel level, NbArena *arena,
                                NbFaceImage *image, NbError *err) {
    image->counts[level] = NB_NEW(arena, bool, image->n_faces);
    if (!image->counts[level])
        return nb_fail_memory(err, "faces");
    if (m->kind != NB_MAT_NUMBERS)
        return nb_fail(NB_ERR_FORMAT, err, "%s: expected numbers of faces", image->name);
    for (size_t i = 0; i < length(m); i++) {
        const double number = m->number[i];
        if (!(number >= 1.0 && number <= (double)image->n_faces))
            return nb_fail(NB_ERR_FORMAT, err, "%s: face %g of 1 to %zu", image->name, number,
                           image->n_faces);
        image->counts[level][(size_t)number - 1] = true;
    }
    return NB_OK;
}

static NB_FALLIBLE take_event(const NbMat v[VARIABLES], size_t e, NbArena *arena,
                              NbFaceImage *image, NbError *err) {
    const NbMat *const files = &v[FILES].cell[e];
    const NbMat *const faces = &v[FACES].cell[e];
    const char *const event = v[EVENTS].cell[e].text;
    NB_TRY(check_cells(faces, event, length(files), err));
    for (size_t i = 0; i < length(files); i++) {
        if (!is_name(&files->cell[i]))
            return nb_fail(NB_ERR_FORMAT, err, "%s: picture %zu has no name", event, i + 1);
        image[i].event = event;
        image[i].name = files->cell[i].text;
        NB_TRY_IN(take_faces(&faces->cell[i], arena, &image[i], err), err, "%s", event);
    }
    return NB_OK;
}

/* Pictures and their faces; *files: what the lists of levels must be like. */
static NB_FALLIBLE take_pictures(const char *path, NbArena *arena, NbMat *files, NbFaceSet *out,
                                 NbError *err) {
    NbMat v[VARIABLES] = {{0}};
    NB_TRY(nb_mat_read(path, variable, VARIABLES, arena, v, err));
    const size_t events = length(&v[EVENTS]);
    for (int i = 0; i < VARIABLES; i++)
        NB_TRY_IN(check_cells(&v[i], variable[i], events, err), err, "%s", path);
    for (size_t e = 0; e < events; e++) {
        const NbMat *const cells = &v[FILES].cell[e];
        if (!is_name(&v[EVENTS].cell[e]) || cells->kind != NB_MAT_CELLS)
            return nb_fail(NB_ERR_FORMAT, err, "%s: event %zu: expected a name and its pictures",
                           path, e + 1);
        out->n_images += length(cells);
    }
    out->image = NB_NEW(arena, NbFaceImage, out->n_images);
    if (!out->image)
        return nb_fail_memory(err, path);
    NbFaceImage *at = out->image;
    for (size_t e = 0; e < events; e++) {
        NB_TRY_IN(take_event(v, e, arena, at, err), err, "%s", path);
        at += length(&v[FILES].cell[e]);
    }
    *files = v[FILES];
    return NB_OK;
}

static NB_FALLIBLE take_level(const NbMat *list, const NbMat *files, NbFaceLevel level,
                              NbArena *arena, NbFaceSet *out, NbError *err) {
    NB_TRY(check_cells(list, "gt_list", length(files), err));
    NbFaceImage *at = out->image;
    for (size_t e = 0; e < length(files); e++) {
        const size_t n = length(&files->cell[e]);
        NB_TRY(check_cells(&list->cell[e], n ? at->event : "gt_list", n, err));
        for (size_t i = 0; i < n; i++, at++)
            NB_TRY_IN(take_counted(&list->cell[e].cell[i], level, arena, at, err), err, "%s",
                      at->event);
    }
    return NB_OK;
}

NbStatus nb_widerface_read_truth(const char *folder, NbArena *arena, NbFaceSet *out, NbError *err) {
    static const char *const list_name = "gt_list";
    *out = (NbFaceSet){0};
    NbMat files = {0};
    const char *const faces = nb_path_join(arena, folder, "wider_face_val.mat");
    if (!faces)
        return nb_fail_memory(err, folder);
    NB_TRY(take_pictures(faces, arena, &files, out, err));
    for (int level = 0; level < NB_FACE_LEVELS; level++) {
        const char *const path = nb_path_join(arena, folder, level_file[level]);
        if (!path)
            return nb_fail_memory(err, folder);
        NbMat list = {0};
        NB_TRY(nb_mat_read(path, &list_name, 1, arena, &list, err));
        NB_TRY_IN(take_level(&list, &files, (NbFaceLevel)level, arena, out, err), err, "%s", path);
    }
    return NB_OK;
}
