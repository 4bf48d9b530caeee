/* SPDX-License-Identifier: Apache-2.0
 *
 * The sides of training batches and an executor for each of them. With multi_scale a batch gets a
 * side of its own, a multiple of the stride from half to one and a half times imgsz, which depends
 * on (seed, epoch, batch) alone. */
#ifndef NB_TRAIN_SIZES_H
#define NB_TRAIN_SIZES_H

#include "model/model.h"
#include "nn/executor.h"
#include "train/hyper.h"

typedef struct NbTrainSizes {
    NbModel *model; /* not owned */
    const NbHyper *hyper;
    NbExecutorOptions options; /* height and width aside */
    int stride;                /* the largest of the model, 32 at least */
    NbExecutor **executor;     /* by side / stride; NULL: not needed so far */
    int n;
    NbArena arena;
} NbTrainSizes;

/* Makes the executor of the side imgsz. model and hyper must outlive it. */
NB_FALLIBLE nb_train_sizes_init(NbTrainSizes *s, NbModel *model, const NbHyper *hyper,
                                const NbExecutorOptions *options, NbError *err);
void nb_train_sizes_release(NbTrainSizes *s);

/* Source: YOLOv5's train.py draws from [imgsz / 2, 3 imgsz / 2 + stride) and rounds down. */
int nb_train_side(const NbTrainSizes *s, int epoch, int batch);

/* The executor of a side that nb_train_side gave; it is made when there is none yet, and kept. */
NB_FALLIBLE nb_train_executor(NbTrainSizes *s, int side, NbExecutor **out, NbError *err);

#endif
