/* SPDX-License-Identifier: Apache-2.0
 *
 * Batches of training or validation pictures, made ahead by threads of its own. A picture depends
 * on (seed, epoch, place in the epoch) alone: not on threads, nor on what was loaded before; so a
 * loader can start anywhere. */
#ifndef NB_DATA_LOADER_H
#define NB_DATA_LOADER_H

#include "data/augment.h"
#include "data/dataset.h"

#include <stdint.h>

typedef struct NbLoaderOptions {
    const NbSamples *samples; /* must outlive the loader */
    int batch;
    int imgsz;       /* square side */
    int rect_stride; /* > 0: rectangular batches of this stride, see rect.h; no augment, no shuffle
                      */
    double rect_pad; /* 0.5 in validation */
    bool augment;    /* false: letterbox only, in order (validation) */
    NbAugment augmentation;
    bool shuffle;
    bool drop_last;
    uint64_t seed;
    int workers;        /* threads; 0: pictures are made in nb_loader_next */
    size_t cache_limit; /* bytes of decoded pictures kept in memory; 0: no cache */
    bool disk_cache;    /* keep them in files beside the pictures; see disk_cache.h */
    bool compat;        /* quantized-yolov5: order and draws as documented there */
    bool ultralytics;   /* Ultralytics 8.1: see picture.h */
    bool one_step;      /* validation: pictures are letterboxed in one step, as programs around
                         * finished networks do it, sides rounded and not rounded up */
} NbLoaderOptions;

typedef struct NbBatch {
    int count; /* pictures */
    int imgsz;
    int height, width;     /* both imgsz unless batches are rectangular */
    const uint8_t *images; /* [count, height, width, 3] RGB */
    const NbTarget *target;
    size_t n_targets;
    const int *sample;     /* [count]: index into samples (mosaic: of the first picture) */
    const float *gain;     /* [count]: letterbox gain; validation only */
    const float (*pad)[2]; /* [count]: letterbox left, top; validation only */
} NbBatch;

typedef struct NbLoader NbLoader;

/* Memory: at most max(3, 2 + 2 * workers / batch) batches of pictures, a canvas of twice the side
 * for each worker, and the cache. */
NB_FALLIBLE nb_loader_new(const NbLoaderOptions *options, NbLoader **out, NbError *err);
void nb_loader_free(NbLoader *l);

/* Batches in one epoch. */
int nb_loader_batches(const NbLoader *l);

/* The next nb_loader_next gives batch `batch` of epoch `epoch`; what was made ahead is dropped
 * unless it is what comes next anyway. imgsz 0: the options'. mosaic < 0: the options'
 * (close_mosaic sets 0, which ends mixup too). Both hold until the next seek.
 *
 * Pictures are always made at the options' size; another imgsz is a bilinear resize of the finished
 * picture, as in YOLOv5's multi-scale training, so that a change of imgsz alone drops nothing. */
NB_FALLIBLE nb_loader_seek(NbLoader *l, int epoch, int batch, int imgsz, double mosaic,
                           NbError *err);

/* The next batch; valid until the next call. After the last batch of an epoch comes the first of
 * the next. A picture that cannot be read any more is an error that names it. */
NB_FALLIBLE nb_loader_next(NbLoader *l, NbBatch *out, NbError *err);

/* Seconds nb_loader_next spent waiting so far. */
double nb_loader_waited(const NbLoader *l);

#endif
