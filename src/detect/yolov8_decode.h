/* SPDX-License-Identifier: Apache-2.0
 *
 * Raw YOLOv8 / YOLOv10 head output to rows, and YOLOv10's selection without suppression.
 * Source: Li et al., "Generalized Focal Loss", NeurIPS 2020 (distribution of distances); Wang et
 * al., "YOLOv10", NeurIPS 2024; behaviour of Ultralytics Detect and ops.v10postprocess. */
#ifndef NB_DETECT_YOLOV8_DECODE_H
#define NB_DETECT_YOLOV8_DECODE_H

#include "base/arena.h"
#include "base/status.h"
#include "detect/box.h"

#include <stdbool.h>

/* One level of one picture, channels first: 4 * reg_max of the box (left, top, right, bottom), then
 * nc class logits: value(c, y, x) = raw[c * sc + y * sy + x * sx]. */
typedef struct NbDflLevel {
    const float *raw;
    int ny, nx;
    ptrdiff_t sc, sy, sx;
    float stride;
    const float *bin; /* what the bins stand for, [reg_max]; NULL: 0, 1, ... */
} NbDflLevel;

/* out [ny * nx][4 + nc], rows in the order row, column; pixels of the input. xyxy: corners instead
 * of centre and size. reg_max 1: the four channels are the distances themselves. Cannot fail. */
void nb_yolov8_decode(const NbDflLevel *level, int reg_max, int nc, bool xyxy, float *out);

typedef struct NbDflHead {
    int levels, reg_max, nc;
    bool xyxy; /* corners instead of centre and size */
} NbDflHead;

/* The rows of all levels, in order, whose best class score is > conf: the same bits in the same
 * order as nb_yolov8_decode gives them, but boxes of other cells are not decoded. Of more than
 * `most` (0: no limit) only those with the best class scores, of equal ones the earlier. level:
 * [head->levels]. *rows: [*count][4 + nc], in `arena`. What nb_nms without such a limit, or
 * nb_yolov10_top with `most` being its max_det, then find above conf is what they would find among
 * all rows. A NaN is never above conf. */
NB_FALLIBLE nb_yolov8_candidates(const NbDflHead *head, const NbDflLevel *level, float conf,
                                 int most, NbArena *arena, float **rows, size_t *count,
                                 NbError *err);

/* Rows [n][4 + nc] with corner boxes to min(max_det, n * nc) detections, best first: the max_det
 * rows with the best class score, then the best of all their scores; a row may appear with several
 * classes. Equal scores: earlier row, lower class first. No threshold: filter by conf if wanted.
 * *out lives in `arena`. NB_ERR_ARGUMENT: a score is NaN. */
NB_FALLIBLE nb_yolov10_top(const float *rows, size_t n, int nc, int max_det, NbArena *arena,
                           NbDetection **out, size_t *count, NbError *err);

#endif
