/* SPDX-License-Identifier: Apache-2.0
 *
 * Data sets: a YAML (Ultralytics' keys), folders or lists of pictures, YOLO labels, or COCO's JSON.
 * Nothing in a file is ever executed. Paths are relative to the YAML (its `path` key applied), then
 * to the working folder. */
#ifndef NB_DATA_DATASET_H
#define NB_DATA_DATASET_H

#include "base/arena.h"
#include "base/file.h"
#include "base/parallel.h"
#include "base/status.h"
#include "data/labels.h"
#include "detect/box.h"
#include "format/coco.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct NbBoxSet NbBoxSet; /* data/boxes.h */

typedef struct NbSample {
    const char *path;
    int width; /* after EXIF orientation */
    int height;
    int n_labels;
    NbTarget *label;          /* image = 0 */
    const NbPolygon *polygon; /* [n_labels]; NULL: plain boxes */
    int64_t id;               /* of a COCO set; only where there is `truth` */
    const NbCocoTruth *truth; /* [n_truth] its annotations: image is id, category the class, areas
                                 and crowds as the JSON says; NULL: not of a COCO set */
    int n_truth;
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
    const char *file;    /* the YAML */
    char *root;          /* its folder, or what its `path` key names */
    char *split_path[3]; /* the first path as written; NULL: not given. train, val, test */
    char **paths[3];     /* all of them: a split may be a list */
    int n_paths[3];
    int nc;
    char **names;         /* [nc] */
    int64_t *category_id; /* [nc] COCO's ids of the classes: those of a JSON, or the YAML's
                             `category_ids`; NULL: none. -1: a class that the set does not have */
    NbBoxSet *coco[3];    /* a split that is a COCO JSON; NULL: files of labels */
} NbDataset;

typedef enum NbSplit { NB_SPLIT_TRAIN, NB_SPLIT_VAL, NB_SPLIT_TEST } NbSplit;

typedef struct NbSamples {
    NbSample *sample; /* sorted by path, those of a COCO JSON by id; usable ones only */
    int n;
    NbProblem *problem;
    int n_problems;
    int n_missing, n_empty, n_corrupt, n_labels;
} NbSamples;

/* Keys: path, train, val, test (a folder, a file that lists pictures, or a list of those), nc,
 * names (a list, or a map from every number below nc); other keys are left alone. nc may be left
 * out when there are names, and names when there is nc ("class0", ...). */
NB_FALLIBLE nb_dataset_read(const char *path, NbArena *arena, NbDataset *out, NbError *err);

/* The same, or a COCO JSON (by its suffix), which then is train, val and test; a YAML's splits may
 * be such files too. images: the folder of their pictures; "": images/ beside the JSON, and other
 * usual places (data/boxes.h). Classes are the names of the YAML, else the categories by id. */
NB_FALLIBLE nb_dataset_open(const char *path, const char *images, NbArena *arena, NbDataset *out,
                            NbError *err);

/* Gives the classes of a data set of COCO JSON the numbers of a model. matched false: a name is not
 * the model's, or there are labels in files; nothing is changed then. */
NB_FALLIBLE nb_dataset_match_classes(NbDataset *d, char *const *names, int nc, NbArena *arena,
                                     bool *matched, NbError *err);

/* The same from memory; path is what messages name and relative paths start from. */
NB_FALLIBLE nb_dataset_parse(const char *path, NbBytes bytes, NbArena *arena, NbDataset *out,
                             NbError *err);

/* Finds, checks and reads the pictures (headers only) and labels of a split. single_cls: every
 * class becomes 0. Classes must be < nc. pool may be NULL.
 *
 * Pictures lie anywhere below a folder, or are named line by line in a file (a leading "./" stands
 * for the folder of the list; other relative paths are tried from the root, that folder and the
 * working folder). Labels: the last "/images/" of the path becomes "/labels/", the suffix ".txt";
 * labels.h says how they are read (the rules of YOLOv5). A picture whose header or labels are
 * wrong, or with a side below 10 pixels, is left out with a problem that says why. Files are never
 * changed. An error: nothing is there at all. The result is the same for any pool. */
NB_FALLIBLE nb_dataset_scan(const NbDataset *d, NbSplit split, bool single_cls, NbPool *pool,
                            NbArena *arena, NbSamples *out, NbError *err);

/* Where the labels of a picture are looked for. NULL: out of memory. */
char *nb_label_path(NbArena *arena, const char *picture);

/* Suffixes that count as pictures: bmp jpg jpeg png tif tiff dng webp mpo, any case. */
bool nb_is_picture_name(const char *path);

/* "train", "val", "test". */
const char *nb_split_name(NbSplit split);

#endif
