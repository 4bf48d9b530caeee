/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include "base/size.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool nb_path_exists(const char *path) { return access(path, F_OK) == 0; }

bool nb_path_is_folder(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

double nb_file_time(const char *path) {
    struct stat info;
    if (stat(path, &info) != 0)
        return -1.0;
    return (double)info.st_mtim.tv_sec + 1e-9 * (double)info.st_mtim.tv_nsec;
}

static NbStatus make_one(const char *path, bool *fresh, NbError *err) {
    *fresh = mkdir(path, 0777) == 0;
    if (*fresh || (errno == EEXIST && nb_path_is_folder(path)))
        return NB_OK;
    return nb_fail(NB_ERR_IO, err, "%s: cannot make the folder: %s", path, strerror(errno));
}

NbStatus nb_folder_claim(const char *path, bool *fresh, NbError *err) {
    NbArena arena = {0};
    char *const copy = nb_arena_string(&arena, path);
    NbStatus status = copy ? NB_OK : nb_fail_memory(err, path);
    for (char *at = copy; status == NB_OK && at && (at = strchr(at + 1, '/'));) {
        *at = '\0';
        status = make_one(copy, fresh, err);
        *at = '/';
    }
    if (status == NB_OK)
        status = make_one(path, fresh, err);
    nb_arena_release(&arena);
    return status;
}

NbStatus nb_folder_make(const char *path, NbError *err) {
    bool fresh;
    return nb_folder_claim(path, &fresh, err);
}

typedef struct Listing {
    NbArena *arena;
    bool recursive;
    size_t limit;
    char **path;
    size_t count;
    size_t capacity;
} Listing;

static NbStatus add_path(Listing *l, char *path, const char *root, NbError *err) {
    if (l->count == l->limit)
        return nb_fail(NB_ERR_FORMAT, err, "%s: more than %zu files", root, l->limit);
    if (l->count == l->capacity) {
        const size_t capacity = l->capacity ? 2 * l->capacity : 256;
        char **const grown = NB_NEW(l->arena, char *, capacity);
        if (!grown)
            return nb_fail_memory(err, root);
        if (l->count)
            memcpy(grown, l->path, l->count * sizeof *grown);
        l->path = grown;
        l->capacity = capacity;
    }
    l->path[l->count++] = path;
    return NB_OK;
}

static NbStatus list_entry(Listing *l, const char *folder, const char *name, int depth,
                           NbError *err);

static NbStatus list_folder(Listing *l, const char *folder, int depth, NbError *err) {
    if (depth > 64)
        return nb_fail(NB_ERR_FORMAT, err, "%s: folders nested more than 64 deep", folder);
    DIR *const dir = opendir(folder);
    if (!dir)
        return nb_fail(NB_ERR_IO, err, "%s: cannot open: %s", folder, strerror(errno));
    NbStatus status = NB_OK;
    for (const struct dirent *entry; status == NB_OK && (entry = readdir(dir));)
        if (entry->d_name[0] != '.')
            status = list_entry(l, folder, entry->d_name, depth, err);
    closedir(dir);
    return status;
}

static NbStatus list_entry(Listing *l, const char *folder, const char *name, int depth,
                           NbError *err) {
    char *const path = nb_path_join(l->arena, folder, name);
    if (!path)
        return nb_fail_memory(err, folder);
    struct stat info;
    if (lstat(path, &info) != 0)
        return NB_OK; /* it has just gone */
    if (S_ISDIR(info.st_mode))
        return l->recursive ? list_folder(l, path, depth + 1, err) : NB_OK;
    if (S_ISLNK(info.st_mode) && (stat(path, &info) != 0 || !S_ISREG(info.st_mode)))
        return NB_OK;
    return S_ISREG(info.st_mode) ? add_path(l, path, folder, err) : NB_OK;
}

static int compare_paths(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

NbStatus nb_folder_list(const char *path, bool recursive, size_t limit, NbArena *arena, char ***out,
                        size_t *count, NbError *err) {
    Listing l = {.arena = arena, .recursive = recursive, .limit = limit};
    NB_TRY(list_folder(&l, path, 0, err));
    if (l.count)
        qsort(l.path, l.count, sizeof *l.path, compare_paths);
    *out = l.path;
    *count = l.count;
    return NB_OK;
}

static bool is_left_over(const char *name) {
    static const char mark[] = ".tmp-";
    const size_t n = strlen(name);
    const size_t tail = sizeof mark - 1 + 6; /* what mkostemp fills in has six characters */
    return n > tail && strncmp(name + n - tail, mark, sizeof mark - 1) == 0;
}

NbStatus nb_folder_clean(const char *path, NbError *err) {
    DIR *const folder = opendir(path);
    if (!folder)
        return errno == ENOENT
                   ? NB_OK
                   : nb_fail(NB_ERR_IO, err, "%s: cannot open: %s", path, strerror(errno));
    NbStatus status = NB_OK;
    const struct dirent *entry;
    while (status == NB_OK && (entry = readdir(folder)))
        if (is_left_over(entry->d_name) && unlinkat(dirfd(folder), entry->d_name, 0) != 0)
            status = nb_fail(NB_ERR_IO, err, "%s/%s: cannot remove: %s", path, entry->d_name,
                             strerror(errno));
    (void)closedir(folder);
    return status;
}
