/* SPDX-License-Identifier: Apache-2.0
 *
 * Which class was taken for which. */
#ifndef NB_EVAL_CONFUSION_H
#define NB_EVAL_CONFUSION_H

#include "base/arena.h"
#include "base/status.h"
#include "eval/score.h"

/* Adds one picture to matrix [(nc+1)][(nc+1)] (rows predicted, columns true, last: background):
 * detections with confidence > 0.25; pairs with IoU > 0.45 of any classes, each detection with its
 * best label, then each label with its best detection, of equal ones the most confident. What is
 * taken from `scratch` is given back. */
NB_FALLIBLE nb_confusion_add(const NbYoloImage *image, int nc, NbArena *scratch, int64_t *matrix,
                             NbError *err);

#endif
