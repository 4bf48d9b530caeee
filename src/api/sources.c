/* SPDX-License-Identifier: Apache-2.0 */
#include "api/sources.h"

#include "base/file.h"

#include <glob.h>
#include <string.h>
#include <strings.h>

enum { MAX_SOURCES = 10 * 1000 * 1000 };

static bool is_picture(const char *path) {
    const char *const suffix = nb_path_suffix(path);
    return strcasecmp(suffix, ".jpg") == 0 || strcasecmp(suffix, ".jpeg") == 0 ||
           strcasecmp(suffix, ".png") == 0;
}

static NbStatus from_folder(const char *folder, NbArena *arena, char ***out, size_t *count,
                            NbError *err) {
    char **all = NULL;
    size_t n = 0;
    NB_TRY(nb_folder_list(folder, true, MAX_SOURCES, arena, &all, &n, err));
    *count = 0;
    for (size_t i = 0; i < n; i++)
        if (is_picture(all[i]))
            all[(*count)++] = all[i];
    *out = all;
    return NB_OK;
}

static NbStatus from_glob(const char *pattern, NbArena *arena, char ***out, size_t *count,
                          NbError *err) {
    glob_t found;
    const int failed = glob(pattern, 0, NULL, &found);
    if (failed == GLOB_NOMATCH)
        return nb_fail(NB_ERR_FORMAT, err, "%s: matches no file", pattern);
    if (failed)
        return nb_fail(NB_ERR_IO, err, "%s: cannot be searched", pattern);
    char **const paths = NB_NEW(arena, char *, found.gl_pathc);
    bool full = paths != NULL;
    *count = 0;
    for (size_t i = 0; full && i < found.gl_pathc; i++) {
        if (!is_picture(found.gl_pathv[i]))
            continue;
        paths[*count] = nb_arena_string(arena, found.gl_pathv[i]);
        full = paths[(*count)++] != NULL;
    }
    globfree(&found);
    *out = paths;
    return full ? NB_OK : nb_fail_memory(err, "paths");
}

static NbStatus from_list(const char *path, NbArena *arena, char ***out, size_t *count,
                          NbError *err) {
    NbBytes bytes;
    NB_TRY(nb_file_read(path, 1U << 30, arena, &bytes, err));
    size_t lines = 1;
    for (size_t i = 0; i < bytes.size; i++)
        lines += bytes.data[i] == '\n';
    char **const paths = NB_NEW(arena, char *, lines);
    char *const folder = nb_path_folder(arena, path);
    if (!paths || !folder)
        return nb_fail_memory(err, path);
    *count = 0;
    const char *at = (const char *)bytes.data;
    while (*at) {
        size_t n = strcspn(at, "\r\n");
        if (n) {
            char *const line = nb_arena_string_n(arena, at, n);
            char *const beside = line ? nb_path_join(arena, folder, line) : NULL;
            if (!beside)
                return nb_fail_memory(err, path);
            paths[(*count)++] = nb_path_exists(beside) ? beside : line;
        }
        at += n;
        at += strspn(at, "\r\n");
    }
    *out = paths;
    return NB_OK;
}

NbStatus nb_find_sources(const char *source, NbArena *arena, char ***out, size_t *count,
                         NbError *err) {
    if (nb_path_is_folder(source)) {
        NB_TRY(from_folder(source, arena, out, count, err));
    } else if (nb_path_exists(source) && strcasecmp(nb_path_suffix(source), ".txt") == 0) {
        NB_TRY(from_list(source, arena, out, count, err));
    } else if (!nb_path_exists(source) && strpbrk(source, "*?[")) {
        NB_TRY(from_glob(source, arena, out, count, err));
    } else {
        *out = NB_NEW(arena, char *, 1);
        *count = 1;
        if (!*out || !(**out = nb_arena_string(arena, source)))
            return nb_fail_memory(err, "a path");
    }
    if (*count == 0)
        return nb_fail(NB_ERR_FORMAT, err, "%s: expected pictures (.jpg, .jpeg, .png), found none",
                       source);
    return NB_OK;
}
