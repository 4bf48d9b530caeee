/* SPDX-License-Identifier: Apache-2.0
 *
 * Raw YOLOv5 head output to candidates: sigmoid, or the HardTanh forms of quantized-yolov5 (Q) and
 * finn-quantized-yolo (F), which leaves confidences in [0, 1]. */
#ifndef NB_DETECT_YOLOV5_DECODE_H
#define NB_DETECT_YOLOV5_DECODE_H

#include "base/arena.h"
#include "base/status.h"
#include "detect/box.h"
#include "detect/nms.h"
#include "detect/yolov5_loss.h"

typedef enum NbDecode { NB_DECODE_SIGMOID, NB_DECODE_HARDTANH_Q, NB_DECODE_HARDTANH_F } NbDecode;

/* Every cell of one picture b of one level: out [anchors * ny * nx][5 + nc], rows in the order
 * anchor, row, column; x, y, w, h in pixels of the input. anchor_px in pixels. Cannot fail. */
void nb_yolov5_decode(NbDecode mode, const NbHeadLevel *level, int b, int anchors, int nc,
                      const float (*anchor_px)[2], float stride, float *out);

/* All levels of a head. */
typedef struct NbYolov5Head {
    NbDecode mode;
    int levels, anchors, nc;
    float anchor_px[NB_LOSS_MAX_LEVELS][NB_LOSS_MAX_ANCHORS][2]; /* pixels of the input */
    float stride[NB_LOSS_MAX_LEVELS];
} NbYolov5Head;

/* The rows of picture b that nb_nms would look at: exactly those that nb_yolov5_decode gives for
 * all levels in order with objectness > conf, the same bits in the same order, but only their cells
 * are decoded. level: [head->levels]. *rows: [*count][5 + nc], in `arena`. */
NB_FALLIBLE nb_yolov5_candidates(const NbYolov5Head *head, const NbHeadLevel *level, int b,
                                 float conf, NbArena *arena, float **rows, size_t *count,
                                 NbError *err);

#endif
