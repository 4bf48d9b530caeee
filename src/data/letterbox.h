/* SPDX-License-Identifier: Apache-2.0
 *
 * How a picture of any size becomes one of the network's size.
 * Source: quantized-yolov5 and YOLOv5 utils/augmentations.py letterbox, utils/datasets.py
 * load_image; YOLOv10 (ultralytics 8.1.34) data/augment.py LetterBox, data/base.py load_image. */
#ifndef NB_DATA_LETTERBOX_H
#define NB_DATA_LETTERBOX_H

#include "base/arena.h"
#include "base/status.h"
#include "data/pixels.h"

#include <stdbool.h>

typedef struct NbLetterboxOptions {
    int height; /* wanted */
    int width;
    bool rect;       /* the sources' `auto`: pad only to the next multiple of `stride` */
    bool no_upscale; /* the sources' scaleup=False */
    bool stretch;    /* the sources' scaleFill: no padding, other proportions */
    int stride;      /* for rect */
} NbLetterboxOptions;

/* Where the picture comes to lie. */
typedef struct NbLetterbox {
    double gain[2]; /* x, y: output pixels per input pixel, as asked (before sizes are rounded) */
    double half[2]; /* x, y: half of the padding, not rounded: what the sources call dw, dh */
    int size[2];    /* x, y of the resized picture */
    int left, top;  /* of the resized picture in the output */
    int out[2];     /* x, y of the output */
} NbLetterbox;

/* Cannot fail; sizes are at least 1. */
NbLetterbox nb_letterbox_plan(int width, int height, const NbLetterboxOptions *options);

/* Resizes (bilinear) and pads with NB_PIXEL_PAD. `to` has the size plan->out. */
NB_FALLIBLE nb_letterbox(NbPixels from, const NbLetterbox *plan, NbPixels to, NbArena *scratch,
                         NbError *err);

/* Whose rule for the first resize, which brings the longer side to imgsz. */
typedef enum NbLoadRule {
    NB_LOAD_ULTRALYTICS, /* sides rounded up, bilinear */
    NB_LOAD_ROUNDED,     /* sides rounded half to even, bilinear: a letterbox in one step */
    NB_LOAD_YOLOV5, /* sides truncated; area interpolation when shrinking without augmentation */
} NbLoadRule;

/* The size after that resize; each side at least 1. */
void nb_load_size(int width, int height, int imgsz, NbLoadRule rule, int out[2]);

/* The resize itself, to a picture of that size. */
NB_FALLIBLE nb_load_resize(NbPixels from, NbPixels to, NbLoadRule rule, bool augment,
                           NbArena *scratch, NbError *err);

#endif
