/* SPDX-License-Identifier: Apache-2.0
 *
 * Non-maximum suppression: decoded rows to detections.
 * Source: quantized-yolov5 utils/general.py non_max_suppression and torchvision's nms (behaviour);
 * with has_obj off and class_offset 7680 that of Ultralytics. */
#ifndef NB_DETECT_NMS_H
#define NB_DETECT_NMS_H

#include "base/arena.h"
#include "base/status.h"
#include "detect/box.h"

#include <stdbool.h>

typedef struct NbNmsOptions {
    float conf; /* candidates need objectness > conf, and class score > conf */
    double iou; /* a box is dropped when its IoU with a better one is > iou */
    int max_det;
    int max_nms;         /* best candidates looked at; 0: 30000 */
    bool multi_label;    /* every class above conf is a candidate, not only the best; for nc > 1 */
    bool agnostic;       /* boxes of different classes suppress each other */
    float class_offset;  /* pixels by which classes are kept apart; 0: 4096 (YOLOv5); 7680 newer */
    const bool *classes; /* [nc]: keep these only; NULL: all */
    bool has_obj;        /* rows are x y w h obj classes...; false: x y w h classes... */
} NbNmsOptions;

/* Rows [n_rows][4 or 5 + nc], x y w h being the centre and size in pixels, to detections of class
 * 0..nc-1, best first (equal scores: earlier row first, then lower class). Class scores are
 * multiplied by the objectness. Boxes are compared after the shift by class, in float32, as the
 * source does: the steps of float32 at large classes show. *out lives in `arena`. NaN scores are
 * never above conf. */
NB_FALLIBLE nb_nms(const float *rows, size_t n_rows, int nc, const NbNmsOptions *options,
                   NbArena *arena, NbDetection **out, size_t *count, NbError *err);

#endif
