/* SPDX-License-Identifier: Apache-2.0
 *
 * Detections as WIDER FACE's evaluation reads them: one text file a picture. */
#include "eval/widerface.h"

#include "base/file.h"
#include "base/text.h"

#include <string.h>

enum { NUMBERS = 5 };

/* The next line, terminated in place; NULL behind the last. *rest moves on. */
static char *next_line(char **rest) {
    char *const line = *rest;
    if (!line || *line == '\0')
        return NULL;
    char *const end = strchr(line, '\n');
    *rest = end ? end + 1 : NULL;
    if (end)
        *end = '\0';
    for (size_t n = strlen(line); n && strchr(" \t\r", line[n - 1]); n--)
        line[n - 1] = '\0';
    return line;
}

static NB_FALLIBLE read_box(char *line, NbFaceBox *out, NbError *err) {
    double v[NUMBERS];
    char *at = line;
    for (int i = 0; i < NUMBERS; i++) {
        at += strspn(at, " \t");
        const size_t n = strcspn(at, " \t");
        char *const end = at + n + (at[n] != '\0');
        at[n] = '\0';
        if (!nb_parse_double(at, &v[i]))
            return nb_fail(NB_ERR_FORMAT, err, "'%s', expected left top width height score", at);
        at = end;
    }
    if (at[strspn(at, " \t")] != '\0')
        return nb_fail(NB_ERR_FORMAT, err, "'%s' behind the score", at);
    memcpy(out->box, v, sizeof out->box);
    out->score = v[4];
    return NB_OK;
}

static NB_FALLIBLE read_boxes(char *text, NbArena *arena, NbFaceImage *image, NbError *err) {
    char *rest = text;
    int64_t want = 0;
    if (!next_line(&rest)) /* the name, which the file's own name says as well */
        return NB_OK;
    const char *const number = next_line(&rest);
    if (!number || !nb_parse_i64(number, &want) || want < 0)
        return nb_fail(NB_ERR_FORMAT, err, "line 2: '%s', expected the number of boxes",
                       number ? number : "");
    size_t lines = 1;
    for (const char *c = rest ? rest : ""; *c; c++)
        lines += *c == '\n';
    NbFaceBox *const box = NB_NEW(arena, NbFaceBox, lines);
    if (!box)
        return nb_fail_memory(err, "detections");
    size_t n = 0;
    int at = 3;
    for (char *line = next_line(&rest); line; line = next_line(&rest), at++)
        if (*line != '\0')
            NB_TRY_IN(read_box(line, &box[n++], err), err, "line %d", at);
    if ((int64_t)n != want)
        return nb_fail(NB_ERR_FORMAT, err, "line 2 announces %lld boxes, %zu follow",
                       (long long)want, n);
    image->found = box;
    image->n_found = n;
    return NB_OK;
}

NbStatus nb_widerface_read_detections(const char *folder, NbArena *arena, NbFaceSet *set,
                                      NbError *err) {
    set->n_missing = 0;
    for (size_t i = 0; i < set->n_images; i++) {
        NbFaceImage *const image = &set->image[i];
        const char *const path =
            nb_arena_printf(arena, "%s/%s/%s.txt", folder, image->event, image->name);
        if (!path)
            return nb_fail_memory(err, folder);
        image->found = NULL;
        image->n_found = 0;
        if (!nb_path_exists(path)) {
            set->n_missing++;
            continue;
        }
        NbBytes bytes;
        NB_TRY(nb_file_read(path, 0, arena, &bytes, err));
        char *const text = nb_arena_string_n(arena, (const char *)bytes.data, bytes.size);
        if (!text)
            return nb_fail_memory(err, path);
        if (strlen(text) != bytes.size)
            return nb_fail(NB_ERR_FORMAT, err, "%s: a zero byte, expected text", path);
        NB_TRY_IN(read_boxes(text, arena, image, err), err, "%s", path);
    }
    if (set->n_images && set->n_missing == set->n_images)
        return nb_fail(NB_ERR_IO, err, "%s: no file for any of %zu pictures, expected %s/%s.txt",
                       folder, set->n_images, set->image[0].event, set->image[0].name);
    return NB_OK;
}
