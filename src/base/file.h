/* SPDX-License-Identifier: Apache-2.0
 *
 * The only place that touches files. Reading maps or copies whole files; writing goes to a
 * temporary file beside the target, is synced and renamed, so that a reader sees the old or the new
 * file and never half of one. Messages name the path and the system's reason. */
#ifndef NB_BASE_FILE_H
#define NB_BASE_FILE_H

#include "base/arena.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct NbBytes {
    const unsigned char *data;
    size_t size;
} NbBytes;

/* Reads the whole file into the arena, followed by one zero byte that `size` does not count.
 * limit: the largest size accepted, 0: none (a larger file is NB_ERR_FORMAT). */
NB_FALLIBLE nb_file_read(const char *path, size_t limit, NbArena *arena, NbBytes *out,
                         NbError *err);

/* Maps the whole file read-only; unmap with nb_file_unmap. An empty file gives {NULL, 0}. */
NB_FALLIBLE nb_file_map(const char *path, NbBytes *out, NbError *err);
void nb_file_unmap(NbBytes bytes);

/* A file that is being written. Nothing appears at `path` before nb_writer_commit succeeds. */
typedef struct NbWriter NbWriter;

NB_FALLIBLE nb_writer_open(const char *path, NbWriter **out, NbError *err);
NB_FALLIBLE nb_writer_put(NbWriter *w, const void *data, size_t size, NbError *err);
NB_FALLIBLE nb_writer_printf(NbWriter *w, NbError *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Syncs, renames to the path, frees the writer (also when it fails). */
NB_FALLIBLE nb_writer_commit(NbWriter *w, NbError *err);
void nb_writer_cancel(NbWriter *w); /* removes the temporary file; NULL is allowed */

/* All of the above in one call. */
NB_FALLIBLE nb_file_write(const char *path, const void *data, size_t size, NbError *err);

/* Makes `path` a symbolic link to the file `target` (its whole path, so that the link may be
 * moved); a link that is there is replaced, anything else is NB_ERR_IO. */
NB_FALLIBLE nb_file_link(const char *target, const char *path, NbError *err);

/* Copies a file, atomically. */
NB_FALLIBLE nb_file_copy(const char *from, const char *to, NbError *err);

/* Appends to a file (created if missing) with one write and no rename: for logs. */
NB_FALLIBLE nb_file_append(const char *path, const void *data, size_t size, NbError *err);

bool nb_path_exists(const char *path);
bool nb_path_is_folder(const char *path);
/* When the file was last written, in seconds since 1970; -1: there is no such file. */
double nb_file_time(const char *path);

/* "a/b" from "a" and "b"; b itself when it is absolute or a is "". NULL: out of memory. */
char *nb_path_join(NbArena *arena, const char *a, const char *b);
/* Folder part ("." when there is none), name part, name without its last suffix, last suffix with
 * its dot ("" when there is none). */
char *nb_path_folder(NbArena *arena, const char *path);
const char *nb_path_name(const char *path);
char *nb_path_stem(NbArena *arena, const char *path);
const char *nb_path_suffix(const char *path);

/* Whether path exists and lies below folder, links followed. */
bool nb_path_inside(const char *folder, const char *path);

/* Makes the folder and its parents; one that exists is fine. */
NB_FALLIBLE nb_folder_make(const char *path, NbError *err);

/* The same, and says whether the folder is new: of several callers exactly one made it. */
NB_FALLIBLE nb_folder_claim(const char *path, bool *fresh, NbError *err);

/* Every file below `path` (recursive when asked; links to folders are not followed), sorted by
 * path bytes; each is path + "/" + what is below. At most `limit` files, more is NB_ERR_FORMAT. */
NB_FALLIBLE nb_folder_list(const char *path, bool recursive, size_t limit, NbArena *arena,
                           char ***out, size_t *count, NbError *err);

/* Removes what writers that were killed left directly in the folder: NAME.tmp-XXXXXX. No such
 * folder is fine. Nobody may be writing there. */
NB_FALLIBLE nb_folder_clean(const char *path, NbError *err);

#endif
