/* SPDX-License-Identifier: Apache-2.0
 *
 * What a detection head is, for those who turn its raw outputs into boxes or losses: known to
 * models, training and the run time alike. Plain data; owns nothing. */
#ifndef NB_DETECT_HEAD_H
#define NB_DETECT_HEAD_H

#include <stdbool.h>

enum { NB_MAX_LEVELS = 8, NB_MAX_ANCHORS = 16 };

typedef enum NbHeadKind {
    NB_HEAD_YOLOV5, /* anchors; per anchor x, y, w, h, objectness, classes */
} NbHeadKind;

/* What turns raw outputs into boxes. The raw outputs are the outputs of the graph, one a level,
 * [N, anchors * (5 + nc), ny, nx]. */
typedef struct NbHead {
    NbHeadKind kind;
    int nc;
    int levels;
    int anchors;                                    /* per level */
    float anchor[NB_MAX_LEVELS][NB_MAX_ANCHORS][2]; /* width, height in pixels of the input */
    float stride[NB_MAX_LEVELS];                    /* pixels a cell */
    bool hardtanh;                                  /* outputs are HardTanh codes, not logits */
} NbHead;

#endif
