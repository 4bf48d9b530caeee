/* SPDX-License-Identifier: Apache-2.0
 *
 * Detections on a data set and their score, whatever computes the raw outputs. Detections are in
 * pixels of the original pictures. */
#ifndef NB_TRAIN_VALIDATE_H
#define NB_TRAIN_VALIDATE_H

#include "data/loader.h"
#include "detect/picture.h"
#include "eval/score.h"
#include "train/loss.h"

/* Computes raw head outputs of `count` pictures [count, height, width, 3]; fills one level for each
 * output that inference reads. The outputs stay valid until the next call. */
typedef struct NbRawRun {
    void *user;
    bool all; /* one level for each output, as a loss needs them: [nb_head_outputs] */
    NbStatus (*run)(void *user, const uint8_t *images, int count, NbHeadLevel *level, NbError *err);
    /* The pictures of the next calls have this size; NULL: only the size it was made for. */
    NbStatus (*resize)(void *user, int height, int width, NbError *err);
} NbRawRun;

typedef struct NbValOptions {
    const NbSamples *samples;
    int imgsz;
    int batch;
    int workers;
    int rect_stride; /* > 0: rectangular batches of this stride (data/rect.h); run->resize is there
                      */
    double rect_pad;
    NbDetectOptions detect;
    NbYoloMatching matching;
    size_t cache_limit;
    bool disk_cache;
    /* NULL, or called after each batch with its pictures and detections (for sample pictures) */
    void (*on_batch)(void *user, const NbBatch *batch, const NbYoloImage *first);
    bool (*should_stop)(void *user); /* NULL, or asked after each batch: NB_ERR_STOPPED */
    void *user;
} NbValOptions;

typedef struct NbValResult {
    NbArena arena;      /* holds all below */
    NbYoloImage *image; /* [n_images], in the order of the samples */
    int n_images;
    NbYoloScore score;
    double preprocess_s, inference_s, postprocess_s;
    double loss[NB_LOSS_ITEMS]; /* only when a loss was given */
} NbValResult;

/* Runs, post-processes and scores. `loss` may be NULL, else run->all must hold. Release with
 * nb_val_result_release (also after a failure).
 *
 * Square pictures of heads other than YOLOv5's are letterboxed in one step (data/loader.h), as
 * programs around exported networks do it, so that a model and its export score alike. Those of
 * YOLOv5, and rectangular ones, are as the authors' validators have them. */
NB_FALLIBLE nb_validate(const NbRawRun *run, const NbHead *head, const NbLoss *loss,
                        const NbValOptions *options, NbValResult *out, NbError *err);
void nb_val_result_release(NbValResult *r);

/* All detections as COCO has them; the image is the index of the sample, the category the class. */
NB_FALLIBLE nb_val_detections(const NbValResult *r, NbArena *arena, NbCocoDetection **out,
                              size_t *n, NbError *err);

/* The twelve COCO numbers of a result: classes are categories. Samples of a COCO set are scored
 * against its annotations with their areas and crowds, in the order of their ids; others against
 * their labels: box areas are areas, and there are no crowds. */
NB_FALLIBLE nb_val_coco(const NbValResult *r, const NbSamples *samples, int nc, NbCocoScore *out,
                        NbError *err);

#endif
