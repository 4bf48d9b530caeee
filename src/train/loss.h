/* SPDX-License-Identifier: Apache-2.0
 *
 * The loss of a detection head, whatever its kind. */
#ifndef NB_TRAIN_LOSS_H
#define NB_TRAIN_LOSS_H

#include "detect/head.h"
#include "detect/yolov5_loss.h"
#include "detect/yolov8_loss.h"
#include "train/hyper.h"
#include "train/items.h"

typedef struct NbLoss {
    NbHeadKind kind;
    int levels;
    NbYolov5Loss yolov5;
    NbYolov10Loss yolov10; /* YOLOv8: `many` alone */
} NbLoss;

/* With the gains of `h`. Those of YOLOv5 are scaled by levels, classes and size as it does:
 * box * 3/levels, cls * nc/80 * 3/levels, obj * (imgsz/640)^2 * 3/levels. YOLOv8 and YOLOv10 take
 * them as they are. balance [levels]: YOLOv5's. epoch, from 0: weighs the heads of YOLOv10 when
 * h->o2o says so. */
NbLoss nb_head_loss(const NbHead *head, const NbHyper *h, const double *balance, int epoch);

/* level: [nb_head_outputs], each with gradients wanted or not. Items that the head does not have
 * are 0; they are means over the batch, after gains and before the weights of heads. Gradients
 * belong to *total, which is summed over the batch. YOLOv5's balance may change. Errors: as
 * nb_yolov5_loss, nb_yolov8_loss. */
NB_FALLIBLE nb_loss_run(NbLoss *loss, const NbHeadLevel *level, const NbLossBatch *batch,
                        NbArena *scratch, double items[NB_LOSS_ITEMS], double *total, NbError *err);

#endif
