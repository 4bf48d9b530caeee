/* SPDX-License-Identifier: Apache-2.0
 *
 * MATLAB files (version 5 and what else libmatio reads), as far as lists of results need them:
 * numbers, text and cells of them. In the build when libmatio is. */
#ifndef NB_FORMAT_MAT_H
#define NB_FORMAT_MAT_H

#include "base/arena.h"
#include "base/status.h"

#include <stdbool.h>

typedef enum NbMatKind {
    NB_MAT_OTHER, /* complex numbers, 64-bit integers, structs, ...: not read */
    NB_MAT_CELLS,
    NB_MAT_NUMBERS,
    NB_MAT_TEXT,
} NbMatKind;

/* A matrix; element (r, c) is at c * rows + r. What has more than two dimensions is "other". */
typedef struct NbMat {
    NbMatKind kind;
    size_t rows, columns;
    struct NbMat *cell; /* [rows * columns] */
    double *number;     /* [rows * columns] */
    char *text;         /* ASCII, terminated; other characters are '?' */
} NbMat;

/* Whether this build reads such files. */
bool nb_mat_available(void);

/* Reads n variables by name; all of it lives in `arena`. NB_ERR_UNSUPPORTED: not in this build;
 * NB_ERR_FORMAT: not such a file, no such variable, cells more than 8 deep. */
NB_FALLIBLE nb_mat_read(const char *path, const char *const *name, size_t n, NbArena *arena,
                        NbMat *out, NbError *err);

#endif
