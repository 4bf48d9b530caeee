/* SPDX-License-Identifier: Apache-2.0
 *
 * A training run: epochs of steps, a score after each, checkpoints that resume at the very next
 * step. What it computes depends on NbHyper, model and data alone; threads, pauses and kills change
 * nothing. Files it writes below the run folder: weights/last.safetensors,
 * weights/best.safetensors, weights/epochN.safetensors, results.csv. */
#ifndef NB_TRAIN_TRAINER_H
#define NB_TRAIN_TRAINER_H

#include "base/parallel.h"
#include "eval/score.h"
#include "train/hyper.h"
#include "train/run_files.h"
#include "train/state.h"
#include "train/validate.h"

typedef struct NbTrainProgress {
    int epoch, epochs; /* epoch from 1 */
    int batch, batches;
    double loss[NB_LOSS_ITEMS]; /* means of this epoch so far */
    double images_per_second;
    double seconds_left; /* of the whole run, validation not counted */
} NbTrainProgress;

/* All may be NULL. Called on the thread that trains. */
typedef struct NbTrainHooks {
    void *user;
    void (*on_message)(void *user, const char *text);
    void (*on_progress)(void *user, const NbTrainProgress *progress);
    void (*on_batch)(void *user, int epoch, int batch, const NbBatch *pictures);
    void (*on_epoch)(void *user, const NbEpochRow *row, bool best);
    bool (*should_stop)(void *user); /* asked after each step */
} NbTrainHooks;

typedef struct NbTrainOptions {
    NbModel *model;  /* initialised or loaded; trained in place */
    bool pretrained; /* its weights come from somewhere: the first loss is compared with float */
    const NbSamples *train, *val;
    NbHyper hyper;
    bool quantizers; /* false: QUANT nodes are identities for the whole run */
    NbPool *pool;
    int workers;
    size_t cache_limit;
    bool disk_cache;
    const char *folder;          /* exists, with weights/ in it */
    const char *args;            /* JSON text of all settings, kept in checkpoints; may be NULL */
    const NbSafetensors *resume; /* NULL: start */
    const char *resume_path;
    double save_seconds; /* last is also written this often; 0: at the end of epochs only */
    NbTrainHooks hooks;
} NbTrainOptions;

typedef struct NbTrainSummary {
    int epochs; /* run in all, resumed ones included; with hours as many as fitted */
    double seconds;
    double images_per_second; /* training steps only, loader included */
    double loader_share;      /* of that time spent waiting for pictures */
    double best_fitness;
    int best_epoch; /* from 1 */
    NbEpochRow best;
    bool stopped_early; /* patience */
} NbTrainSummary;

/* NB_ERR_STOPPED: should_stop said so; last.safetensors holds the state after the last step. */
NB_FALLIBLE nb_train(const NbTrainOptions *options, NbTrainSummary *out, NbError *err);

/* Sets every learned activation quantizer that is still at the start of its spec to the `percent`
 * percentile of what it sees (the largest where several share one value); one that has learned, in
 * a checkpoint the run starts from, stays. Measured on `count` pictures [count, height, width, 3]
 * with batch statistics and quantizers off. *set: how many scales that changed. */
NB_FALLIBLE nb_train_calibrate(NbModel *model, const uint8_t *images, int count, int height,
                               int width, double percent, int *set, NbError *err);

#endif
