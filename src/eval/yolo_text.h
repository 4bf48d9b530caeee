/* SPDX-License-Identifier: Apache-2.0
 *
 * Detections as text, as YOLOv5 and Ultralytics write them with save_txt and save_conf: a file for
 * each picture, lines "class cx cy w h confidence" relative to the picture. Overlaps do not change
 * when a picture is stretched, so scores need no sizes. */
#ifndef NB_EVAL_YOLO_TEXT_H
#define NB_EVAL_YOLO_TEXT_H

#include "base/file.h"
#include "eval/score.h"

/* Boxes are corners times size: width, height (1: relative ones). A class above `most` and a number
 * that is not finite are NB_ERR_FORMAT: path:line. */
NB_FALLIBLE nb_yolo_detections_parse(const char *path, NbBytes bytes, int most,
                                     const double size[2], NbArena *arena, NbDetection **out,
                                     size_t *n, NbError *err);

/* What two folders hold, files by their name below each. */
typedef struct NbYoloSet {
    NbYoloImage *image;
    size_t n;       /* pictures that have a file in one of them */
    size_t missing; /* files of labels without one of detections: nothing was found there */
    size_t extra;   /* files of detections without one of labels: background pictures */
    size_t labels, detections;
    int nc; /* one more than the largest class */
} NbYoloSet;

/* Labels are read as YOLOv5 does (data/labels.h); a file that breaks its rules is an error. */
NB_FALLIBLE nb_yolo_read_folders(const char *labels, const char *detections, NbArena *arena,
                                 NbYoloSet *out, NbError *err);

#endif
