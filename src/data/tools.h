/* SPDX-License-Identifier: Apache-2.0
 *
 * Looking at and dividing data sets: what `nibble data check`, `stats` and `split` say and do. */
#ifndef NB_DATA_TOOLS_H
#define NB_DATA_TOOLS_H

#include "data/dataset.h"

typedef struct NbDataCheckOptions {
    bool decode; /* also decode every picture, not only its header */
    bool single_cls;
} NbDataCheckOptions;

typedef struct NbDataCheck {
    bool given[3]; /* train, val, test */
    NbSamples split[3];
    int images; /* usable ones of all splits */
    int labels;
    int errors;         /* problems of kind NB_PROBLEM_CORRUPT */
    NbProblem *problem; /* of all splits, and what only the whole shows */
    int n_problems;
} NbDataCheck;

/* Scans every split that is given. Beyond what a scan finds: with `decode`, pictures that do not
 * decode; the same picture (by its bytes) in two splits; classes without a box in train; a train
 * split without any label. Problems with the data are results; an error means that a split could
 * not be looked at. pool may be NULL. */
NB_FALLIBLE nb_data_check(const NbDataset *d, const NbDataCheckOptions *options, NbPool *pool,
                          NbArena *arena, NbDataCheck *out, NbError *err);

/* "corrupt", "duplicate", "missing", "empty", "warning". */
const char *nb_problem_name(NbProblemKind kind);

enum {
    NB_STATS_SIZES = 20, /* bins of sqrt(width * height), 5 % of the picture's side each */
    NB_STATS_BOXES = 21, /* bins of boxes per picture: 0, 1, ..., 19, 20 and more */
};

typedef struct NbClassStats {
    int labels;
    int images;       /* with at least one of them */
    double mean_size; /* of sqrt(width * height), relative to the picture */
} NbClassStats;

typedef struct NbDataStats {
    int images;
    int backgrounds; /* without a label */
    int labels;
    int polygons;
    NbClassStats *per_class; /* [nc] */
    int size[NB_STATS_SIZES];
    int boxes[NB_STATS_BOXES];
    int most_boxes; /* of one picture */
    double mean_boxes;
    float smallest, largest; /* side of a box relative to its picture: sqrt(width * height) */
    int width_min, width_max;
    int height_min, height_max;
} NbDataStats;

/* Labels of classes >= nc count in the totals only. */
NB_FALLIBLE nb_data_stats(const NbSamples *samples, int nc, NbArena *arena, NbDataStats *out,
                          NbError *err);

typedef struct NbSplitOptions {
    double weight[3];    /* train, val, test; relative. {0.9, 0.1, 0} in the source */
    uint64_t seed;       /* 0 in the source */
    bool annotated_only; /* only pictures that have a label file */
} NbSplitOptions;

/* Divides the pictures below `folder` at random and writes autosplit_train.txt, autosplit_val.txt
 * and autosplit_test.txt (those that get a picture; the others are removed) into the folder that
 * holds it, with paths "./folder/...". Draws are those of Python's random.choices with the same
 * seed over the sorted paths, so that the lists equal those of YOLOv5's autosplit. count: pictures
 * each. */
NB_FALLIBLE nb_data_split(const char *folder, const NbSplitOptions *options, int count[3],
                          NbError *err);

#endif
