/* SPDX-License-Identifier: Apache-2.0 */
#include "data/files.h"

#include "base/file.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { FILES_MAX = 50 * 1000 * 1000, LIST_BYTES_MAX = 1 << 30 };

bool nb_is_picture_name(const char *path) {
    static const char *const suffix[] = {".bmp",  ".jpg", ".jpeg", ".png", ".tif",
                                         ".tiff", ".dng", ".webp", ".mpo"};
    const char *const has = nb_path_suffix(path);
    for (size_t i = 0; i < sizeof suffix / sizeof *suffix; i++)
        if (strcasecmp(has, suffix[i]) == 0)
            return true;
    return false;
}

char *nb_label_path(NbArena *arena, const char *picture) {
    static const char images[] = "/images/";
    const size_t step = sizeof images - 1;
    const char *last = NULL;
    for (const char *at = strstr(picture, images); at; at = strstr(at + 1, images))
        last = at;
    const size_t stem = strlen(picture) - strlen(nb_path_suffix(picture));
    if (!last && strncmp(picture, images + 1, step - 1) == 0) /* a relative path */
        return nb_arena_printf(arena, "labels/%.*s.txt", (int)(stem - (step - 1)),
                               picture + step - 1);
    if (!last)
        return nb_arena_printf(arena, "%.*s.txt", (int)stem, picture);
    const size_t before = (size_t)(last - picture);
    return nb_arena_printf(arena, "%.*s/labels/%.*s.txt", (int)before, picture,
                           (int)(stem - before - step), last + step);
}

typedef struct Files {
    const NbDataset *dataset;
    const char *split;
    NbArena *arena;
    char **path;
    size_t n;
    size_t capacity;
    NbError *err;
} Files;

static NbStatus add(Files *f, char *path) {
    if (!path)
        return nb_fail_memory(f->err, "names of pictures");
    if (f->n == f->capacity) {
        const size_t capacity = f->capacity ? 2 * f->capacity : 1024;
        char **const grown = NB_NEW(f->arena, char *, capacity);
        if (!grown)
            return nb_fail_memory(f->err, "names of pictures");
        if (f->n)
            memcpy(grown, f->path, f->n * sizeof *grown);
        f->path = grown;
        f->capacity = capacity;
    }
    f->path[f->n++] = path;
    return NB_OK;
}

static NbStatus add_folder(Files *f, const char *folder) {
    char **file;
    size_t n;
    NB_TRY(nb_folder_list(folder, true, FILES_MAX, f->arena, &file, &n, f->err));
    for (size_t i = 0; i < n; i++)
        if (nb_is_picture_name(file[i]))
            NB_TRY(add(f, file[i]));
    return NB_OK;
}

/* The first of base[i] joined with the path that exists; else the first. */
static char *first_that_exists(Files *f, const char *const *base, int n, const char *path) {
    char *first = NULL;
    for (int i = 0; i < n; i++) {
        char *const joined = nb_path_join(f->arena, base[i], path);
        if (!joined || nb_path_exists(joined))
            return joined;
        first = first ? first : joined;
    }
    return first;
}

static NbStatus add_list(Files *f, const char *list) {
    NbBytes bytes;
    NB_TRY(nb_file_read(list, LIST_BYTES_MAX, f->arena, &bytes, f->err));
    char *const folder = nb_path_folder(f->arena, list);
    if (!folder)
        return nb_fail_memory(f->err, list);
    const char *const base[] = {f->dataset->root, folder, ""};
    const char *at = (const char *)bytes.data;
    const char *const end = at + bytes.size;
    if (bytes.size >= 3 && memcmp(at, "\xEF\xBB\xBF", 3) == 0)
        at += 3;
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        const char *const next = stop ? stop + 1 : end;
        stop = stop ? stop : end;
        while (at < stop && strchr(" \t\r", *at))
            at++;
        while (stop > at && strchr(" \t\r", stop[-1]))
            stop--;
        char *line = stop > at ? nb_arena_string_n(f->arena, at, (size_t)(stop - at)) : NULL;
        if (stop > at && !line)
            return nb_fail_memory(f->err, list);
        at = next;
        if (!line || !nb_is_picture_name(line))
            continue;
        if (strncmp(line, "./", 2) == 0)
            NB_TRY(add(f, nb_path_join(f->arena, folder, line + 2)));
        else
            NB_TRY(add(f, first_that_exists(f, base, 3, line)));
    }
    return NB_OK;
}

static NbStatus add_path(Files *f, const char *path) {
    char *const yaml_folder = nb_path_folder(f->arena, f->dataset->file);
    if (!yaml_folder)
        return nb_fail_memory(f->err, path);
    const char *const base[] = {f->dataset->root, yaml_folder, ""};
    const char *found = first_that_exists(f, base, 3, path);
    /* exports of a well-known service say ../train/images and mean train/images */
    if (found && !nb_path_exists(found) && strncmp(path, "../", 3) == 0)
        found = first_that_exists(f, base, 3, path + 3);
    if (!found)
        return nb_fail_memory(f->err, path);
    if (!nb_path_exists(found))
        return nb_fail(NB_ERR_FORMAT, f->err,
                       "%s: %s: '%s' is neither below %s nor below the working folder "
                       "(a download key is never run: fetch the data first)",
                       f->dataset->file, f->split, path, f->dataset->root);
    if (nb_path_is_folder(found))
        return add_folder(f, found);
    if (nb_is_picture_name(found))
        return nb_fail(NB_ERR_FORMAT, f->err,
                       "%s: %s: '%s' is a picture, expected a folder or a file that lists pictures",
                       f->dataset->file, f->split, path);
    return add_list(f, found);
}

static int compare_paths(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

NbStatus nb_split_files(const NbDataset *d, NbSplit split, NbArena *arena, char ***out,
                        size_t *count, NbError *err) {
    Files f = {.dataset = d, .split = nb_split_name(split), .arena = arena, .err = err};
    *out = NULL;
    *count = 0;
    if (!d->split_path[split])
        return nb_fail(NB_ERR_FORMAT, err, "%s: there is no '%s'", d->file, f.split);
    for (int i = 0; i < d->n_paths[split]; i++)
        NB_TRY(add_path(&f, d->paths[split][i]));
    if (f.n == 0)
        return nb_fail(NB_ERR_FORMAT, err, "%s: %s: no picture in '%s'%s", d->file, f.split,
                       d->split_path[split], d->n_paths[split] > 1 ? " and the others" : "");
    qsort(f.path, f.n, sizeof *f.path, compare_paths);
    *out = f.path;
    *count = f.n;
    return NB_OK;
}
