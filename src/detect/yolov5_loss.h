/* SPDX-License-Identifier: Apache-2.0
 *
 * YOLOv5's target assignment and loss, value and gradient.
 * Source: quantized-yolov5 utils/loss.py (behaviour), Zheng et al. "Distance-IoU Loss" (CIoU). */
#ifndef NB_DETECT_YOLOV5_LOSS_H
#define NB_DETECT_YOLOV5_LOSS_H

#include "base/arena.h"
#include "base/status.h"
#include "detect/box.h"
#include "detect/level.h"

#include <stdbool.h>

enum { NB_LOSS_MAX_ANCHORS = 16 };

typedef struct NbYolov5Loss {
    int nc;
    int levels;
    int anchors;                                              /* per level */
    float anchor[NB_LOSS_MAX_LEVELS][NB_LOSS_MAX_ANCHORS][2]; /* in cells: pixels / stride */
    double balance[NB_LOSS_MAX_LEVELS]; /* objectness weight of levels; autobalance changes it */
    double box, obj, cls;               /* gains as they enter the loss */
    double obj_pw, cls_pw;              /* weights of positives */
    double anchor_t;
    double fl_gamma;        /* focal; 0: off */
    double label_smoothing; /* epsilon */
    bool class_of_one;      /* one class is trained too; else its output has no gradient, as in the
                             * source, and stays what it was drawn as */
    bool autobalance;
    int stride16_level; /* autobalance: the level that keeps weight 1 */
} NbYolov5Loss;

typedef struct NbMatch {
    int image, anchor, row, column;
    int cls;
    float box[4]; /* x, y relative to the cell, w, h, in cells */
} NbMatch;

/* Matches of one level in the reference order: own cells, then left, up, right, down; within each
 * by anchor, then by target. Targets must be finite
 * (NB_ERR_ARGUMENT names the first that is not). */
NB_FALLIBLE nb_yolov5_assign(const NbYolov5Loss *loss, int level, int ny, int nx,
                             const NbTarget *target, size_t n_targets, NbArena *arena,
                             NbMatch **out, size_t *count, NbError *err);

/* level: [loss->levels], each with gradients wanted or not. items: box, obj, cls after gains (means
 * over the batch); *total = sum * batch, which is what the gradients belong to. Sums are in double,
 * in index order; gradients of cells with several matches add up in match order. What is taken from
 * `scratch` is given back. NB_ERR_ARGUMENT: a target's picture is outside 0..batch-1 or its class
 * outside 0..nc-1, or it is not finite. One pass over the objectness cells; the rest is work per
 * match. */
NB_FALLIBLE nb_yolov5_loss(NbYolov5Loss *loss, const NbHeadLevel *level, int batch,
                           const NbTarget *target, size_t n_targets, NbArena *scratch,
                           double items[3], double *total, NbError *err);

#endif
