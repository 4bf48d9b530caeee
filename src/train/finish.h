/* SPDX-License-Identifier: Apache-2.0
 *
 * What is done to the best weights of a quantized run when its epochs are over. Each step is kept
 * only when it scores better, so that nothing is lost.
 *
 *   norm     batch norm statistics are gathered anew over training batches: those of training are
 *            means over weights that were still moving. Source: Nagel et al., ICML 2022, section 3.
 *   correct  one epoch in which nothing but the batch norms' scales and shifts learns, with their
 *            statistics and all weights fixed: equal to a scale and a shift for each channel in
 *            front of the batch norm, folded into it. Source: Gupta et al., "Reducing the
 *            Side-Effects of Oscillations in Training of Quantized YOLO Networks", WACV 2024. */
#ifndef NB_TRAIN_FINISH_H
#define NB_TRAIN_FINISH_H

#include "base/parallel.h"
#include "model/model.h"
#include "train/hyper.h"

typedef struct NbFinish {
    NbModel *model; /* overwritten with the best weights; built as the run's */
    const NbHyper *hyper;
    NbLoader *loader; /* of training pictures */
    NbPool *pool;
    const char *best; /* file; written anew, with what was done as metadata "finished" */
    const char *args; /* as in nb_train_model_save */
    void *user;
    NB_FALLIBLE (*score)(void *user, double *fitness, NbError *err); /* of the model as it is */
    void (*say)(void *user, const char *text);
    bool (*should_stop)(void *user);
} NbFinish;

/* Does nothing to a file that says it is finished. */
NB_FALLIBLE nb_finish(const NbFinish *f, NbError *err);

/* The fitness that a finished file has; -1: there is no such file, or it is not finished. */
double nb_finish_fitness(const char *best);

/* Gathers running statistics of all batch norms over `batches` batches of an epoch, as plain means.
 */
NB_FALLIBLE nb_finish_norm(const NbFinish *f, int epoch, int batches, NbError *err);

/* One epoch for scales and shifts. */
NB_FALLIBLE nb_finish_correct(const NbFinish *f, int epoch, NbError *err);

#endif
