/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NB_TRAIN_LOSS_H
#define NB_TRAIN_LOSS_H

#include "detect/yolov5_loss.h"
#include "model/model.h"
#include "train/hyper.h"

/* The loss of a head with the gains of `h` scaled by levels, classes and size as YOLOv5 does:
 * box * 3/levels, cls * nc/80 * 3/levels, obj * (imgsz/640)^2 * 3/levels. balance [levels]. */
NbYolov5Loss nb_head_loss(const NbHead *head, const NbHyper *h, const double *balance);

#endif
