/* SPDX-License-Identifier: Apache-2.0
 *
 * Float networks as ONNX files that users of YOLO expect: one input `images` [N, 3, H, W] of
 * numbers from 0 to 1, outputs `output0`, `output1`, ..., metadata as Ultralytics writes them.
 *
 * What the outputs are, for a head of A cells in all (levels in order, each row by row):
 *
 *     NB_ONNX_DETECT   YOLOv5: output0 [N, anchors * A, 5 + nc]: x, y, w, h in pixels of the input
 *                      (centre and size), objectness, classes: probabilities; rows by level,
 *                      anchor, row, column.
 *                      YOLOv8: output0 [N, 4 + nc, A]: x, y, w, h, classes.
 *                      YOLOv10: output0 [N, max_det, 6]: x1, y1, x2, y2, score, class; best first,
 *                      no suppression needed, no threshold. Fewer rows where there are fewer.
 *     NB_ONNX_BOXES    YOLOv8, YOLOv10: [N, 4 + nc, A] as YOLOv8 has it (of the one-to-one head)
 *     NB_ONNX_LOGITS   YOLOv8, YOLOv10: [N, 4 * reg_max + nc, A], not decoded
 *     NB_ONNX_LEVELS   the raw outputs of the graph, one for each level: [N, channels, ny, nx]
 *
 * Opsets 13 to 21. half: weights, input and output are float16; the decoding of boxes stays
 * float32 between two casts, since coordinates need more than 11 bits. */
#ifndef NB_MODEL_ONNX_EXPORT_H
#define NB_MODEL_ONNX_EXPORT_H

#include "detect/head.h"
#include "format/onnx.h"
#include "graph/graph.h"

enum { NB_ONNX_OPSET_MIN = 13, NB_ONNX_OPSET_MAX = 21 };

typedef enum NbOnnxForm {
    NB_ONNX_DETECT,
    NB_ONNX_BOXES,
    NB_ONNX_LOGITS,
    NB_ONNX_LEVELS,
} NbOnnxForm;

typedef struct NbOnnxOptions {
    int opset;
    bool half;
    bool dynamic; /* the number of pictures is free: "batch"; their size is not */
    int batch;    /* pictures when not dynamic; the graph is inferred for as many (else for one) */
    int height, width;
    NbOnnxForm form;
    int max_det;              /* rows of YOLOv10 */
    const char *description;  /* metadata; "": none */
    const char *version;      /* of the program */
    char *const *class_names; /* [head->nc]; NULL: none */
} NbOnnxOptions;

/* `g` is folded (lower/float/fold.h) and inferred; its outputs are the levels that inference reads
 * (with head NULL: any; input and output names are then those of the nodes). Everything of `out`
 * lives in the arena or points to the weights of `g`. NB_ERR_UNSUPPORTED: an operator that ONNX or
 * a float network has not, or a form that this head has not; NB_ERR_ARGUMENT: an option. */
NB_FALLIBLE nb_onnx_export(const NbGraph *g, const NbHead *head, const NbOnnxOptions *options,
                           NbArena *arena, NbOnnxModel *out, NbError *err);

#endif
