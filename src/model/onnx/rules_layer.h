/* SPDX-License-Identifier: Apache-2.0
 *
 * What several files of ONNX rules share: windows, convolutions, resizing. */
#ifndef NB_MODEL_ONNX_RULES_LAYER_H
#define NB_MODEL_ONNX_RULES_LAYER_H

#include "model/onnx/builder.h"

typedef struct NbOnnxWindow {
    int kernel[6], stride[6], dilation[6];
    int pad[12]; /* before each spatial dimension, then after each */
} NbOnnxWindow;

/* Attributes of a window over x of shape `in`, auto_pad resolved. kernel: of the weights; NULL:
 * the attribute says. */
NB_FALLIBLE nb_onnx_window(NbOnnxBuilder *b, const NbShape *in, const int *kernel, int spatial,
                           NbOnnxWindow *w, NbError *err);

/* The convolution of the current node's attributes; bias -1: none. */
NB_FALLIBLE nb_onnx_conv(NbOnnxBuilder *b, NbNodeId x, NbNodeId w, NbNodeId bias, NbNodeId *y,
                         NbError *err);
NB_FALLIBLE nb_onnx_add_bias(NbOnnxBuilder *b, NbNodeId bias, NbNodeId *y, NbError *err);

NbStatus nb_onnx_resize_rule(NbOnnxBuilder *b, int upsample, NbError *err);

#endif
