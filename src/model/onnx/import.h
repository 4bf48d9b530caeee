/* SPDX-License-Identifier: Apache-2.0
 *
 * From an ONNX model to the graph: operator sets up to 24 of ai.onnx (of those before 7 what did
 * not change since), and the quantizers of QONNX.
 *
 * Every value is real numbers in float32, whatever its element type: integers, truth values (0 and
 * 1) and narrow floats are exact in it, double precision is rounded, and an integer constant that
 * float32 cannot hold (above 2^24) is refused, but for those beyond 2^53, which only ever mean "to
 * the end". Element types are tracked beside the graph and come back at its outputs.
 *
 * Everything that depends on constants alone is computed while importing, by the interpreter's own
 * operators, so that shape arithmetic leaves nothing behind. Where a shape depends on an input, the
 * caller gives that input's value here (bind) and it becomes a constant of the graph.
 *
 * QuantizeLinear followed by DequantizeLinear with the same constants becomes QUANTIZE, and weights
 * behind DequantizeLinear codes with a scale: convolutions then sum codes. */
#ifndef NB_MODEL_ONNX_IMPORT_H
#define NB_MODEL_ONNX_IMPORT_H

#include "format/onnx.h"
#include "graph/graph.h"

typedef struct NbOnnxImportOptions {
    bool
        pictures; /* the one float input [N, 3, H, W] takes uint8 pictures, with a scale of 1/255 */
    bool reals;   /* quantizers give real numbers (for engines that know no codes) */
    bool off; /* pairs of QuantizeLinear and DequantizeLinear are left out; weights stay rounded */
    bool bind_integers;       /* inputs of `bind` of integer types become constants */
    const NbOnnxTensor *bind; /* values of inputs, by name, where they decide a shape */
    size_t n_bind;
    int64_t batch, height, width; /* for dimensions the file leaves open; 0: 1, and 640 x 640 */
} NbOnnxImportOptions;

/* An input or output of the model. */
typedef struct NbOnnxPort {
    const char *name;
    int type; /* NbOnnxType */
    NbShape shape;
    NbNodeId node; /* -1: an input that became a constant */
} NbOnnxPort;

typedef struct NbOnnxNet {
    NbGraph graph; /* its outputs are those of the model, in the same order */
    size_t n_inputs;
    NbOnnxPort *input; /* those that are no initializers; INPUT nodes come in this order */
    size_t n_outputs;
    NbOnnxPort *output;
    int quantizers; /* how many QUANTIZE nodes */
} NbOnnxNet;

/* `path` is for messages. NB_ERR_FORMAT: the file contradicts itself; NB_ERR_UNSUPPORTED: an
 * operator, attribute or type that has no meaning here. Both name the node. */
NB_FALLIBLE nb_onnx_import(const char *path, const NbOnnxModel *model,
                           const NbOnnxImportOptions *options, NbArena *arena, NbOnnxNet *out,
                           NbError *err);

/* The numbers of a tensor as float32 (packed and narrow types unpacked). */
NB_FALLIBLE nb_onnx_real(const NbOnnxTensor *t, NbArena *arena, NbTensor *out, NbError *err);

/* The element type in which a value of this type is written to .npy files: INT64 as I64, 4 and 2
 * bits as 8, types that npy has not as F32. */
NbDtype nb_onnx_npy_type(int type);

#endif
