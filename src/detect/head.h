/* SPDX-License-Identifier: Apache-2.0
 *
 * What a detection head is, for those who turn its raw outputs into boxes or losses: known to
 * models, training and the run time alike. Plain data; owns nothing. */
#ifndef NB_DETECT_HEAD_H
#define NB_DETECT_HEAD_H

#include "detect/dfl.h"

#include <stdbool.h>

enum { NB_MAX_LEVELS = 8, NB_MAX_ANCHORS = 16, NB_MAX_HEAD_OUTPUTS = 2 * NB_MAX_LEVELS };

typedef enum NbHeadKind {
    NB_HEAD_YOLOV5,  /* anchors; per anchor x, y, w, h, objectness, classes */
    NB_HEAD_YOLOV8,  /* per cell four distributions of distances (left, top, right, bottom) over
                      * reg_max bins, then class logits */
    NB_HEAD_YOLOV10, /* two such heads: the first, one-to-many, only teaches; the second,
                      * one-to-one, needs no suppression and is what inference reads */
    /* Of ONNX files, which decode themselves; boxes in pixels of the input. One level, not trained:
     */
    NB_HEAD_END2END, /* [N, rows, 6]: x1, y1, x2, y2, score, class */
    NB_HEAD_BOXES,   /* [N, 4 + nc, cells]: x, y, w, h, classes */
    NB_HEAD_ROWS,    /* [N, cells, 5 + nc]: x, y, w, h, objectness, classes */
} NbHeadKind;

/* What turns raw outputs into boxes. The raw outputs are the outputs of the graph, one a level,
 * [N, nb_head_channels, ny, nx]; of YOLOv10 first those of the one-to-many head, then those of the
 * one-to-one head. */
typedef struct NbHead {
    NbHeadKind kind;
    int nc;
    int levels;
    int anchors;                                    /* per level; YOLOv5 only, else 0 */
    float anchor[NB_MAX_LEVELS][NB_MAX_ANCHORS][2]; /* width, height in pixels of the input */
    float stride[NB_MAX_LEVELS];                    /* pixels a cell */
    bool hardtanh; /* outputs are HardTanh codes, not logits; YOLOv5 only */
    int reg_max;   /* bins a side, 1 to NB_DFL_MAX_BINS, usually 16; 0 with YOLOv5 */
    bool has_bins; /* bins stand for bin[reg_max], as in files that were rounded; else for 0, 1, ...
                    */
    float bin[NB_DFL_MAX_BINS];
} NbHead;

/* "yolov5", "yolov8", "yolov10", as checkpoints have it; "end2end", "boxes", "rows". */
const char *nb_head_name(NbHeadKind kind);

/* What the bins stand for, as nb_dfl_mean takes it: NULL for 0, 1, ... Lives as long as head. */
const float *nb_head_bins(const NbHead *head);

/* bin [reg_max]; NULL: 0, 1, ... */
void nb_head_set_bins(NbHead *head, const float *bin);

/* How many outputs the graph of such a head has: levels, with YOLOv10 twice as many. */
int nb_head_outputs(const NbHead *head);

/* The first output that inference reads; it reads `levels` of them. */
int nb_head_first(const NbHead *head);

/* Whether the outputs are decoded already: END2END, BOXES, ROWS. */
bool nb_head_is_decoded(const NbHead *head);

/* Channels of a level: anchors * (5 + nc), or 4 * reg_max + nc; numbers of a row when decoded. */
int nb_head_channels(const NbHead *head);

#endif
