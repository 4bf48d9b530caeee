/* SPDX-License-Identifier: Apache-2.0
 *
 * Data sets: a YAML (Ultralytics' keys), folders or lists of pictures, YOLO labels. Nothing in a
 * file is ever executed. Paths are relative to the YAML (its `path` key applied), then to the
 * working folder. */
#ifndef NB_DATA_DATASET_H
#define NB_DATA_DATASET_H

#include "base/arena.h"
#include "base/parallel.h"
#include "base/status.h"
#include "detect/box.h"

#include <stdbool.h>

typedef struct NbSample {
    const char *path;
    int width; /* after EXIF orientation */
    int height;
    int n_labels;
    NbTarget *label; /* image = 0 */
} NbSample;

typedef enum NbProblemKind {
    NB_PROBLEM_CORRUPT,   /* the picture is left out */
    NB_PROBLEM_DUPLICATE, /* rows that were dropped */
    NB_PROBLEM_MISSING,   /* no label file: a background picture */
    NB_PROBLEM_EMPTY,     /* an empty label file: a background picture */
    NB_PROBLEM_WARNING,   /* used, but look at it */
} NbProblemKind;

typedef struct NbProblem {
    NbProblemKind kind;
    const char *path;
    int line; /* of the label file; 0: the whole file */
    const char *text;
} NbProblem;

typedef struct NbDataset {
    char *root;
    char *split_path[3]; /* as written; NULL: not given. train, val, test */
    int nc;
    char **names; /* [nc] */
} NbDataset;

typedef enum NbSplit { NB_SPLIT_TRAIN, NB_SPLIT_VAL, NB_SPLIT_TEST } NbSplit;

typedef struct NbSamples {
    NbSample *sample; /* sorted by path, usable ones only */
    int n;
    NbProblem *problem;
    int n_problems;
    int n_missing, n_empty, n_corrupt, n_labels;
} NbSamples;

NB_FALLIBLE nb_dataset_read(const char *path, NbArena *arena, NbDataset *out, NbError *err);

/* Finds, checks and reads the pictures (headers only) and labels of a split. single_cls: every
 * class becomes 0. Classes must be < nc. pool may be NULL. */
NB_FALLIBLE nb_dataset_scan(const NbDataset *d, NbSplit split, bool single_cls, NbPool *pool,
                            NbArena *arena, NbSamples *out, NbError *err);

const char *nb_split_name(NbSplit split);

#endif
