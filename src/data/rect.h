/* SPDX-License-Identifier: Apache-2.0
 *
 * Rectangular batches: pictures of like proportions together, each batch only as large as they
 * need.
 * Source: YOLOv5 utils/datasets.py LoadImagesAndLabels; Ultralytics 8.1 data/base.py set_rectangle
 * (behaviour; equal). */
#ifndef NB_DATA_RECT_H
#define NB_DATA_RECT_H

#include "data/dataset.h"

#include <stdint.h>

typedef struct NbRectShape {
    int height, width;
} NbRectShape;

/* How batches are cut. */
typedef struct NbRectOptions {
    int batch, imgsz, stride;
    double pad; /* in strides */
} NbRectOptions;

/* order [n samples]: by height / width, equal ones as they were. shape [batches of `batch` of
 * these]: the longer sides become imgsz; sides are multiples of stride after `pad` strides are
 * added and the rest is rounded up (0.5 in validation: 640 becomes 672). Batches with pictures both
 * wide and high are square. */
NB_FALLIBLE nb_rect_plan(const NbSamples *samples, const NbRectOptions *options, NbArena *scratch,
                         uint32_t *order, NbRectShape *shape, NbError *err);

#endif
