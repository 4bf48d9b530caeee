/* SPDX-License-Identifier: Apache-2.0
 *
 * A whole training run as a person sees it: data, model, run folder, training, the verdict of the
 * integer engine on the best weights, pictures and curves. */
#ifndef NB_API_TRAIN_RUN_H
#define NB_API_TRAIN_RUN_H

#include "api/job.h"
#include "api/run_log.h"
#include "data/dataset.h"
#include "model/model.h"
#include "train/trainer.h"

typedef struct NbTrainRun {
    NbJob *job;
    NbDataset dataset;
    NbSamples train, val;
    NbModel model;
    NbHyper hyper;
    NbPool *pool;
    char *folder;
    char *resume_path;    /* NULL: a new run */
    NbBytes resume_bytes; /* mapped */
    NbSafetensors resume;
    const char *first_model; /* resumed: what model= named at the start */
    char *args;              /* JSON text of the settings */
    bool pretrained;
    NbRunLog log;
    NbTrainSummary summary;
    int batches_drawn;
} NbTrainRun;

/* Zero-initialise, set job. Close in every case. */
NB_FALLIBLE nb_train_run_open(NbTrainRun *run, NbError *err);
NB_FALLIBLE nb_train_run_go(NbTrainRun *run, NbError *err);
NB_FALLIBLE nb_train_run_report(NbTrainRun *run, NbError *err);
void nb_train_run_close(NbTrainRun *run);

#endif
