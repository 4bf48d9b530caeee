/* SPDX-License-Identifier: Apache-2.0
 *
 * Makes one picture of a batch: loads, augments or letterboxes, and places its labels. */
#ifndef NB_DATA_PICTURE_H
#define NB_DATA_PICTURE_H

#include "base/arena.h"
#include "base/status.h"
#include "data/augment.h"
#include "data/dataset.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decoded and resized pictures in memory; threads may share it. What a picture looks like does not
 * depend on whether it was kept. */
typedef struct NbPictureCache NbPictureCache;

/* limit: bytes; 0: keeps nothing. n: samples. */
NB_FALLIBLE nb_picture_cache_new(size_t limit, int n, NbPictureCache **out, NbError *err);
void nb_picture_cache_free(NbPictureCache *cache);

/* NULL: not kept. Threads share it: it must not be written to. */
uint8_t *nb_picture_cache_get(NbPictureCache *cache, int sample);
/* Keeps a copy unless it is full. */
void nb_picture_cache_put(NbPictureCache *cache, int sample, const uint8_t *pixels, size_t bytes);

typedef struct NbPictureSource {
    const NbSamples *samples;
    int imgsz;
    bool augment;
    bool compat; /* see loader.h */
    /* Ultralytics 8.1 (YOLOv10): the first tile of a mosaic is the picture itself, the others are
     * its partners in the order drawn; mixup blends two pictures of any kind and ends with the
     * mosaics; boxes keep the last 0.001 pixels of their side. */
    bool ultralytics;
    bool one_step; /* letterbox in one step, see loader.h */
    NbAugment augmentation;
    uint64_t seed;
    NbPictureCache *cache;
    bool disk_cache; /* decoded pictures are kept in files, too; see disk_cache.h */
} NbPictureSource;

/* What one thread works in. */
typedef struct NbPictureScratch {
    NbArena fixed;
    NbArena arena;   /* rewound after every picture */
    uint8_t *canvas; /* [2 imgsz, 2 imgsz, 3] */
    uint8_t *second; /* [imgsz, imgsz, 3] for mixup */
} NbPictureScratch;

NB_FALLIBLE nb_picture_scratch_init(NbPictureScratch *s, const NbPictureSource *source,
                                    NbError *err);
void nb_picture_scratch_release(NbPictureScratch *s);

typedef struct NbPictureRequest {
    int epoch;
    int place; /* in the epoch: with the epoch and the seed it decides every draw */
    int sample;
    int height, width; /* of a letterbox without augmentation; 0: imgsz */
    double mosaic;     /* probability */
    double mixup;      /* probability; of mosaics only, unless the source is Ultralytics' */
} NbPictureRequest;

typedef struct NbPicture {
    NbTarget *target; /* in the arena given; image = 0 */
    int n_targets;
    float gain;   /* letterbox: height in the network's picture / original height */
    float pad[2]; /* left, top */
} NbPicture;

/* pixels: [imgsz, imgsz, 3], or [height, width, 3]. Errors name the file. */
NB_FALLIBLE nb_picture_make(const NbPictureSource *source, const NbPictureRequest *request,
                            NbPictureScratch *scratch, uint8_t *pixels, NbArena *arena,
                            NbPicture *out, NbError *err);

#endif
