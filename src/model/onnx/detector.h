/* SPDX-License-Identifier: Apache-2.0
 *
 * An ONNX detector as a model: its graph as it stands, with its quantizers, and a head of rows. */
#ifndef NB_MODEL_ONNX_DETECTOR_H
#define NB_MODEL_ONNX_DETECTOR_H

#include "model/model.h"

/* The file must have one picture input [N, 3, H, W], square, and one output:
 *
 *     [N, up to 1000, 6]   x1, y1, x2, y2, score, class     NB_HEAD_END2END
 *     [N, 4 + nc, cells]   x, y, w, h, classes              NB_HEAD_BOXES
 *     [N, cells, 5 + nc]   x, y, w, h, objectness, classes  NB_HEAD_ROWS
 *
 * in pixels of the input. Names, stride and imgsz are read from the metadata that Ultralytics
 * writes; without names classes are "0", "1", .... Such a model is run and scored, not trained. */
NB_FALLIBLE nb_model_from_onnx(const char *path, NbModel *out, NbError *err);

#endif
