/* SPDX-License-Identifier: Apache-2.0
 *
 * Lists of pictures to take: one a line, by COCO's image id or by file name (with or without its
 * folder and suffix); blank lines and what follows a '#' are passed over. */
#ifndef NB_DATA_IDS_H
#define NB_DATA_IDS_H

#include "base/arena.h"
#include "base/file.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct NbIdKey {
    int64_t id;       /* -1: none; then a number stands for the file whose name it is */
    const char *name; /* path or file name */
} NbIdKey;

/* keep[i]: the list names picture i. A line that names none of the n pictures, and a list that
 * names nothing, are NB_ERR_FORMAT: path:line and the text. */
NB_FALLIBLE nb_ids_select(const char *path, NbBytes bytes, const NbIdKey *key, size_t n,
                          NbArena *scratch, bool *keep, NbError *err);
NB_FALLIBLE nb_ids_select_file(const char *path, const NbIdKey *key, size_t n, NbArena *scratch,
                               bool *keep, NbError *err);

#endif
