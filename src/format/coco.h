/* SPDX-License-Identifier: Apache-2.0
 *
 * COCO's files: the data set with its annotations, and result lists. Messages name the path and the
 * element. Source: cocodataset.org "Data format" and "Results format"; pycocotools for what is let
 * pass. */
#ifndef NB_FORMAT_COCO_H
#define NB_FORMAT_COCO_H

#include "base/arena.h"
#include "base/file.h"
#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct NbCocoTruth {
    int64_t image;
    int64_t category;
    double xywh[4]; /* left, top, width, height */
    double area;
    bool crowd;
} NbCocoTruth;

typedef struct NbCocoDetection {
    int64_t image;
    int64_t category;
    double xywh[4];
    double score;
} NbCocoDetection;

typedef struct NbCocoImage {
    int width, height;     /* 0: not said */
    const char *file_name; /* "": not said */
} NbCocoImage;

typedef struct NbCocoSet {
    int64_t *image_id; /* [n_images], each once, in file order */
    NbCocoImage *image;
    size_t n_images;
    int64_t *category_id; /* [n_categories], each once, in file order */
    const char **category_name;
    size_t n_categories;
    NbCocoTruth *truth; /* in file order */
    size_t n_truth;
} NbCocoSet;

/* Everything in `out` lives in `arena`. An annotation needs image_id, category_id and bbox; a
 * missing area is that of the box, a missing iscrowd is 0; one whose picture or category is not
 * listed stays (scoring passes over it). `bytes` need not stay. */
NB_FALLIBLE nb_coco_read(const char *path, NbBytes bytes, NbArena *arena, NbCocoSet *out,
                         NbError *err);
NB_FALLIBLE nb_coco_read_file(const char *path, NbArena *arena, NbCocoSet *out, NbError *err);

/* Writes a set, one element a line; annotations are numbered from 1 (0 is a trap in pycocotools).
 * Atomic. NB_ERR_ARGUMENT: a number is not finite, or a name is not UTF-8. */
NB_FALLIBLE nb_coco_write(const char *path, const NbCocoSet *set, NbError *err);

/* A list of {image_id, category_id, bbox, score}; other keys are passed over. set: result pictures
 * must be among its own; NULL: not checked. Read element by element, so that a list of any length
 * needs little more memory than its result. */
NB_FALLIBLE nb_coco_results_read(const char *path, NbBytes bytes, const NbCocoSet *set,
                                 NbArena *arena, NbCocoDetection **out, size_t *count,
                                 NbError *err);
NB_FALLIBLE nb_coco_results_read_file(const char *path, const NbCocoSet *set, NbArena *arena,
                                      NbCocoDetection **out, size_t *count, NbError *err);

/* Writes such a list, one detection a line, numbers with as many digits as bring back the same
 * double: nothing is rounded. image_text: the JSON text of each picture's id, by
 * NbCocoDetection.image; NULL: that number itself. Atomic. NB_ERR_ARGUMENT: a value is not finite.
 */
NB_FALLIBLE nb_coco_results_write(const char *path, const NbCocoDetection *detection, size_t count,
                                  const char *const *image_text, NbError *err);

#endif
