/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

char *nb_path_join(NbArena *arena, const char *a, const char *b) {
    if (!*a || *b == '/')
        return nb_arena_string(arena, b);
    const size_t n = strlen(a);
    return nb_arena_printf(arena, a[n - 1] == '/' ? "%s%s" : "%s/%s", a, b);
}

const char *nb_path_name(const char *path) {
    const char *const slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

char *nb_path_folder(NbArena *arena, const char *path) {
    const char *const slash = strrchr(path, '/');
    if (!slash)
        return nb_arena_string(arena, ".");
    if (slash == path)
        return nb_arena_string(arena, "/");
    return nb_arena_string_n(arena, path, (size_t)(slash - path));
}

const char *nb_path_suffix(const char *path) {
    const char *const name = nb_path_name(path);
    const char *const dot = strrchr(name, '.');
    return dot && dot != name ? dot : name + strlen(name);
}

char *nb_path_stem(NbArena *arena, const char *path) {
    const char *const name = nb_path_name(path);
    return nb_arena_string_n(arena, name, (size_t)(nb_path_suffix(path) - name));
}

bool nb_path_inside(const char *folder, const char *path) {
    char real[2][PATH_MAX];
    if (!realpath(folder, real[0]) || !realpath(path, real[1]))
        return false;
    const size_t n = strcmp(real[0], "/") == 0 ? 0 : strlen(real[0]);
    return strncmp(real[0], real[1], n) == 0 && real[1][n] == '/';
}
