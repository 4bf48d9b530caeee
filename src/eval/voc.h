/* SPDX-License-Identifier: Apache-2.0
 *
 * Average precision as PASCAL VOC counts it, over all points (2010 on) or eleven (2007).
 * Source: Everingham et al., "The PASCAL Visual Object Classes Challenge", IJCV 2010, and its
 * development kit; github.com/rafaelpadilla/Object-Detection-Metrics (behaviour and text files). */
#ifndef NB_EVAL_VOC_H
#define NB_EVAL_VOC_H

#include "base/arena.h"
#include "base/status.h"
#include "detect/box.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct NbVocImage {
    const NbDetection *label; /* conf is not read */
    const bool *difficult;    /* [n_labels]: neither to be found nor wrong to find; NULL: none */
    size_t n_labels;
    const NbDetection *detection; /* any order */
    size_t n_detections;
} NbVocImage;

typedef struct NbVocOptions {
    double iou;         /* overlap that counts as found, inclusive; 0: 0.5 */
    bool eleven_points; /* mean of the best precision at recall 0, 0.1, ..., 1 */
    bool half_open;     /* boxes end where they say; false: on the last pixel, as VOC's do (+ 1) */
} NbVocOptions;

typedef struct NbVocClass {
    int64_t labels; /* difficult ones do not count */
    int64_t found, wrong;
    double ap; /* -1: no labels */
} NbVocClass;

typedef struct NbVocScore {
    double map;            /* mean over classes with labels; -1: none */
    NbVocClass *per_class; /* [nc] */
} NbVocScore;

/* By confidence (equal ones in the order of pictures and detections) each detection takes the label
 * of its class that it overlaps most; a label that is taken makes it wrong. `out` lives in `arena`.
 * NB_ERR_ARGUMENT: a class outside 0..nc-1, a number that is not finite. */
NB_FALLIBLE nb_voc_score(const NbVocImage *image, size_t n_images, int nc,
                         const NbVocOptions *options, NbArena *arena, NbVocScore *out,
                         NbError *err);

/* What two folders of text files hold, one file a picture with the same name in both. */
typedef struct NbVocSet {
    NbVocImage *image;
    const char **image_name; /* file name without suffix, sorted */
    size_t n_images;
    const char **class_name; /* by first appearance, labels before detections */
    int nc;
} NbVocSet;

/* Lines "class left top width height" in `labels` and "class confidence left top width height" in
 * `detections`, in pixels; a label line may end with "difficult". A picture without a file of
 * detections has none. Messages name file and line. */
NB_FALLIBLE nb_voc_read_folders(const char *labels, const char *detections, NbArena *arena,
                                NbVocSet *out, NbError *err);

#endif
