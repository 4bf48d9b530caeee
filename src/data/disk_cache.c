/* SPDX-License-Identifier: Apache-2.0 */
#include "data/disk_cache.h"

#include "format/npy.h"

static char *path_of(const NbSample *sample, NbArena *arena) {
    return nb_arena_printf(arena, "%s.npy", sample->path);
}

bool nb_disk_cache_get(const NbSample *sample, NbArena *arena, NbImage *out) {
    NbError unused;
    NbTensor t;
    const char *const path = path_of(sample, arena);
    if (!path)
        return false;
    const double written = nb_file_time(path);
    if (written < 0.0 || written < nb_file_time(sample->path) ||
        nb_npy_read_file(path, arena, &t, &unused) != NB_OK)
        return false;
    const int64_t *const dim = t.shape.dim;
    if (t.dtype != NB_U8 || t.shape.rank != 3 || dim[0] != sample->height ||
        dim[1] != sample->width || dim[2] != 3)
        return false;
    *out = (NbImage){.width = sample->width, .height = sample->height, .rgb = t.data};
    return true;
}

void nb_disk_cache_put(const NbSample *sample, const NbImage *image, NbArena *arena) {
    NbError unused;
    const NbTensor t = {.dtype = NB_U8,
                        .shape = {.rank = 3, .dim = {image->height, image->width, 3}},
                        .data = image->rgb};
    const char *const path = path_of(sample, arena);
    if (path && nb_npy_write(path, &t, &unused) != NB_OK)
        return; /* slower next time, nothing else */
}
