/* SPDX-License-Identifier: Apache-2.0
 *
 * Task-aligned assignment and loss of heads without anchors (YOLOv8, YOLOv10), value and gradient.
 * A level has 4 * reg_max channels of the box (left, top, right, bottom: distributions over bins)
 * and nc class logits behind them.
 * Source: Feng et al., "TOOD", ICCV 2021 (assignment); Li et al., "Generalized Focal Loss", NeurIPS
 * 2020; Wang et al., "YOLOv10", NeurIPS 2024; behaviour of Ultralytics and THU-MIG. */
#ifndef NB_DETECT_YOLOV8_LOSS_H
#define NB_DETECT_YOLOV8_LOSS_H

#include "base/arena.h"
#include "base/status.h"
#include "detect/box.h"
#include "detect/level.h"

#include <stdint.h>

typedef struct NbYolov8Loss {
    int nc;
    int levels;
    int reg_max;                      /* bins a side, 2 to NB_DFL_MAX_BINS */
    float stride[NB_LOSS_MAX_LEVELS]; /* pixels a cell */
    double box, cls, dfl;             /* gains */
    double alpha, beta;               /* metric = class score^alpha * overlap^beta */
    int topk;                         /* cells a target may claim */
    int keep;         /* of the cells a target holds after conflicts, the best so many; 0: all */
    float least_side; /* where it is asked what lies inside a target, shorter sides count as this
                       * many pixels; 0: as they are */
    double weight;    /* of this head in the total */
} NbYolov8Loss;

/* The targets of a batch. */
typedef struct NbLossBatch {
    int pictures;
    const NbTarget *target; /* any order */
    size_t n_targets;
} NbLossBatch;

/* What a cell is to predict. */
typedef struct NbTaskMatch {
    int32_t target; /* index into the batch's targets; -1: background */
    float weight;   /* what the score of its class should be, in [0, 1]; background: 0 */
} NbTaskMatch;

/* Corners in pixels of a target in a picture of that size. */
void nb_target_corners(const NbTarget *target, float width, float height, float xyxy[4]);

/* *match: [batch->pictures][*cells], cells in the order level, row, column; in `arena`.
 *
 * Each target with a positive sum of corners claims, of the cells whose centre lies inside it (by
 * more than 1e-9 pixels on each side), the topk with the highest metric (overlap: CIoU with the
 * cell's box, at least 0). Equal metrics: the earlier cell first; a metric of 0 claims nothing, as
 * its weight is 0. A cell with several claims goes to the target it overlaps most, the earliest of
 * equals. A cell's weight is metric * best overlap / best metric, the best over all cells of its
 * target. Work: cells inside targets, per picture.
 *
 * NB_ERR_ARGUMENT: the loss is out of the ranges above; a target's picture or class does not exist,
 * or it is not finite. */
NB_FALLIBLE nb_yolov8_assign(const NbYolov8Loss *loss, const NbHeadLevel *level,
                             const NbLossBatch *batch, NbArena *arena, NbTaskMatch **match,
                             size_t *cells, NbError *err);

/* level: [loss->levels], each with gradients wanted or not. items: box, cls, dfl after gains,
 * without `weight`; *total = sum * pictures * weight, which is what the gradients belong to. With W
 * the sum of all weights of matches, at least 1:
 *   cls = BCE of all logits / W, target weight for the class of a match and 0 elsewhere
 *   box = sum over matches of weight * (1 - CIoU) / W
 *   dfl = sum over matches of weight * mean over sides of the cross entropy / W
 * The assignment counts as constant. Sums are in double, in index order, so that layouts give the
 * same bits. What is taken from `scratch` is given back. Errors: as nb_yolov8_assign. */
NB_FALLIBLE nb_yolov8_loss(const NbYolov8Loss *loss, const NbHeadLevel *level,
                           const NbLossBatch *batch, NbArena *scratch, double items[3],
                           double *total, NbError *err);

/* Two heads: one learns from many cells per target, one, that needs no suppression, from one. */
typedef struct NbYolov10Loss {
    NbYolov8Loss many, one;
} NbYolov10Loss;

/* THU-MIG: topk as in `head` and 1, plain sum. */
NbYolov10Loss nb_yolov10_loss_sum(const NbYolov8Loss *head);

/* Ultralytics from 8.4: the one-to-one head claims 7 cells, of which 1 is kept; targets reach at
 * least 2 cells of the finest level (the second stride); its weight grows from 0.2 to 0.9 over
 * `epochs` (>= 1), epoch counting from 0, and that of the other is what is missing to 1. */
NbYolov10Loss nb_yolov10_loss_weighted(const NbYolov8Loss *head, int epoch, int epochs);

/* items: those of `many`, then of `one`; *total: the sum of both totals. Else as nb_yolov8_loss. */
NB_FALLIBLE nb_yolov10_loss(const NbYolov10Loss *loss, const NbHeadLevel *many,
                            const NbHeadLevel *one, const NbLossBatch *batch, NbArena *scratch,
                            double items[6], double *total, NbError *err);

#endif
