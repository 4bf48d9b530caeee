/* SPDX-License-Identifier: Apache-2.0
 *
 * TensorProto: from its many fields to one dense block. Used by the reader of ONNX files. */
#ifndef NB_FORMAT_ONNX_TENSOR_H
#define NB_FORMAT_ONNX_TENSOR_H

#include "format/onnx.h"
#include "format/protobuf.h"

/* A file with external data that was read already. */
typedef struct NbOnnxExternal {
    const char *location;
    NbBytes bytes;
    struct NbOnnxExternal *next;
} NbOnnxExternal;

/* What NbPbWalk.user points to. */
typedef struct NbOnnxPlace {
    const char *folder; /* of the model */
    NbOnnxExternal *files;
} NbOnnxPlace;

/* An NbPbRead that fills an NbOnnxTensor. */
NB_FALLIBLE nb_onnx_pb_tensor(NbPbWalk *walk, NbPb message, void *out, NbError *err);

/* An NbPbRead that fills an NbOnnxEntry. */
NB_FALLIBLE nb_onnx_pb_entry(NbPbWalk *walk, NbPb message, void *out, NbError *err);

#endif
