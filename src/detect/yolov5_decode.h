/* SPDX-License-Identifier: Apache-2.0
 *
 * Raw YOLOv5 head output to candidates: sigmoid, or the HardTanh forms of quantized-yolov5 (Q) and
 * finn-quantized-yolo (F), which leaves confidences in [0, 1]. */
#ifndef NB_DETECT_YOLOV5_DECODE_H
#define NB_DETECT_YOLOV5_DECODE_H

#include "base/arena.h"
#include "base/status.h"
#include "detect/box.h"
#include "detect/yolov5_loss.h"

typedef enum NbDecode { NB_DECODE_SIGMOID, NB_DECODE_HARDTANH_Q, NB_DECODE_HARDTANH_F } NbDecode;

/* Every cell of one picture b of one level: out [anchors * ny * nx][5 + nc], rows in the order
 * anchor, row, column; x, y, w, h in pixels of the input. anchor_px in pixels. */
void nb_yolov5_decode(NbDecode mode, const NbHeadLevel *level, int b, int anchors, int nc,
                      const float (*anchor_px)[2], float stride, float *out);

typedef struct NbNmsOptions {
    float conf; /* candidates need objectness > conf, and class score > conf */
    float iou;  /* a box is dropped when its IoU with a better one is > iou */
    int max_det;
    int max_nms;         /* best candidates looked at; 0: 30000 */
    bool multi_label;    /* every class above conf is a candidate, not only the best */
    bool agnostic;       /* boxes of different classes suppress each other */
    float class_offset;  /* pixels by which classes are kept apart; 0: 4096 (YOLOv5); 7680 newer */
    const bool *classes; /* [nc]: keep these only; NULL: all */
    bool has_obj;        /* rows are x y w h obj classes...; false: x y w h classes... */
} NbNmsOptions;

/* Rows as nb_yolov5_decode writes them to detections, best first (equal scores: earlier row
 * first). Source: quantized-yolov5 utils/general.py non_max_suppression. */
NB_FALLIBLE nb_nms(const float *rows, size_t n_rows, int nc, const NbNmsOptions *options,
                   NbArena *arena, NbDetection **out, size_t *count, NbError *err);

#endif
