/* SPDX-License-Identifier: Apache-2.0
 *
 * From the raw outputs of a head to the detections of one picture, in pixels of that picture. */
#ifndef NB_DETECT_PICTURE_H
#define NB_DETECT_PICTURE_H

#include "detect/head.h"
#include "detect/yolov5_decode.h"

/* Which detections are wanted. */
typedef struct NbDetectOptions {
    float conf;
    double iou;
    int max_det;
    bool agnostic; /* boxes of different classes suppress each other */
    NbDecode decode;
    bool single_label;   /* only the best class of a box counts */
    bool class_of_one;   /* one class: its output counts too, trained or not (the peer); else the
                          * confidence is the objectness alone */
    const bool *classes; /* [nc]: keep these only; NULL: all */
} NbDetectOptions;

/* How a picture lies in the network's input, see data/letterbox.h. */
typedef struct NbDetectPlace {
    float gain;   /* input pixels a picture pixel */
    float pad[2]; /* input pixels: left, top */
    int width;    /* of the picture */
    int height;
} NbDetectPlace;

typedef struct NbDetections {
    NbDetection *item; /* best first */
    size_t count;
} NbDetections;

/* How the outputs of this head are read; YOLOv5 only. */
NbDecode nb_head_decode(const NbHead *head);

/* What the authors of a head take for scoring, or for looking at pictures (conf 0.25):
 *   YOLOv5   conf 0.001, IoU 0.6;  0.45 for looking
 *   YOLOv8   conf 0.001, IoU 0.7;  for looking the best class of a box only
 *   BOXES and ROWS as YOLOv8 and YOLOv5; END2END conf 0.001
 *   YOLOv10  conf 0: the best 300 of each picture, whatever their scores */
NbDetectOptions nb_head_options(const NbHead *head, bool scoring);

/* The side of a square input: `wanted` (at least 1), rounded up to a multiple of the largest
 * stride, and of 32. */
int nb_head_side(const NbHead *head, int wanted);

/* Cells in a row of a level when the input is square with this side. */
int nb_head_cells(const NbHead *head, int level, int side);

/* A level over NHWC outputs [count, ny, nx, nb_head_channels], of decoded heads over rows as they
 * stand (ny: how many, nx: 1); grad has the same layout or is NULL.
 */
NbHeadLevel nb_head_level_nhwc(const NbHead *head, const float *raw, float *grad, int ny, int nx);

/* Picture b of a batch: decode, threshold, suppress, back to pixels of the picture. level:
 * [head->levels], those that inference reads. YOLOv10 suppresses nothing: of the max_det best pairs
 * of cell and class, those above conf are kept (and then those of the wanted classes). out->item
 * lives in `arena`. Errors: memory, and what nb_nms or nb_yolov10_top refuse. */
NB_FALLIBLE nb_detect_picture(const NbHead *head, const NbHeadLevel *level, int b,
                              const NbDetectOptions *options, const NbDetectPlace *place,
                              NbArena *arena, NbDetections *out, NbError *err);

#endif
