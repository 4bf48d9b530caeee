/* SPDX-License-Identifier: Apache-2.0
 *
 * Decoding of detection heads as ONNX nodes (see export.h for the forms). The arithmetic is
 * that of detect/yolov5_decode.h and detect/yolov8_decode.h, in an order that needs few nodes. */
#ifndef NB_MODEL_ONNX_EMIT_HEAD_H
#define NB_MODEL_ONNX_EMIT_HEAD_H

#include "detect/head.h"
#include "model/onnx/emit.h"
#include "model/onnx/export.h"

/* Outputs of the file: at most one a level. */
typedef struct NbOnnxOutputs {
    int n;
    const char *value[NB_MAX_LEVELS];
    NbShape shape[NB_MAX_LEVELS]; /* dimension 0: 1 */
} NbOnnxOutputs;

/* level: values [N, channels, ny, nx] of e->real, one for each level; size[l]: ny, nx. */
void nb_emit_head(NbEmit *e, const NbHead *head, const NbOnnxOptions *options,
                  const char *const *level, const int64_t (*size)[2], NbOnnxOutputs *out);

#endif
