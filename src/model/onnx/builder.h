/* SPDX-License-Identifier: Apache-2.0
 *
 * What the rules for single ONNX operators build with. */
#ifndef NB_MODEL_ONNX_BUILDER_H
#define NB_MODEL_ONNX_BUILDER_H

#include "model/onnx/import.h"

/* A value of the ONNX graph. */
typedef struct NbOnnxVal {
    const char *name;
    NbNodeId node;
    NbNodeId coded; /* a constant behind DequantizeLinear: its codes with their scale; else -1 */
    int type;
    const NbOnnxTensor *bound; /* an input: the value the caller gave; else NULL */
    /* of QuantizeLinear: what was quantized and by which constants; else -1 */
    NbNodeId real, scale, zero;
} NbOnnxVal;

typedef struct NbOnnxBuilder {
    NbGraph g;
    NbArena *arena;
    NbArena scratch;
    const NbOnnxModel *model;
    NbOnnxImportOptions options;
    int64_t opset;
    NbOnnxVal **table; /* open hashing by name */
    size_t slots;
    const NbOnnxNode *node; /* the one that is being turned into nodes of the graph */
    int fresh;              /* helpers of it so far */
    NbShape picture;        /* [batch, 0, height, width] */
} NbOnnxBuilder;

typedef NbStatus NbOnnxRule(NbOnnxBuilder *b, int kind, NbError *err);

typedef struct NbOnnxOp {
    const char *name;
    NbOnnxRule *rule;
    int kind; /* handed to the rule */
} NbOnnxOp;

/* The rules of one file; ends with an empty name. */
extern const NbOnnxOp nb_onnx_math_ops[];
extern const NbOnnxOp nb_onnx_shape_ops[];
extern const NbOnnxOp nb_onnx_layer_ops[];
extern const NbOnnxOp nb_onnx_quant_ops[];

NbOnnxVal *nb_ob_find(const NbOnnxBuilder *b, const char *name);
NB_FALLIBLE nb_ob_define(NbOnnxBuilder *b, const char *name, NbOnnxVal **out, NbError *err);

/* Adds a node, infers its shape, and computes it at once when all its inputs are constants. */
NB_FALLIBLE nb_ob_add(NbOnnxBuilder *b, NbOp op, const NbAttr *attr, int n, const NbNodeId *in,
                      NbNodeId *id, NbError *err);
NB_FALLIBLE nb_ob_one(NbOnnxBuilder *b, NbOp op, const NbAttr *attr, NbNodeId x, NbNodeId *id,
                      NbError *err);
NB_FALLIBLE nb_ob_two(NbOnnxBuilder *b, NbOp op, NbNodeId x, NbNodeId y, NbNodeId *id,
                      NbError *err);
NB_FALLIBLE nb_ob_map(NbOnnxBuilder *b, NbMapKind kind, NbNodeId x, NbNodeId *id, NbError *err);
NB_FALLIBLE nb_ob_combine(NbOnnxBuilder *b, NbCombineKind kind, NbNodeId x, NbNodeId y,
                          NbNodeId *id, NbError *err);
NB_FALLIBLE nb_ob_reshape(NbOnnxBuilder *b, NbNodeId x, int n, const int64_t *dim, NbNodeId *id,
                          NbError *err);
NB_FALLIBLE nb_ob_transpose(NbOnnxBuilder *b, NbNodeId x, const int *perm, NbNodeId *id,
                            NbError *err);
NB_FALLIBLE nb_ob_reduce(NbOnnxBuilder *b, NbReduceKind kind, NbNodeId x, unsigned axes, bool keep,
                         NbNodeId *id, NbError *err);

/* Codes become real numbers; anything else stays. */
NB_FALLIBLE nb_ob_real(NbOnnxBuilder *b, NbNodeId x, NbNodeId *id, NbError *err);

/* Constants. */
NB_FALLIBLE nb_ob_const(NbOnnxBuilder *b, const float *data, const NbShape *shape, NbNodeId *id,
                        NbError *err);
NB_FALLIBLE nb_ob_scalar(NbOnnxBuilder *b, float value, NbNodeId *id, NbError *err);

/* Inputs of the current node. nb_ob_in fails when it is not there; `real` asks for no codes. */
bool nb_ob_has(const NbOnnxBuilder *b, size_t i);
NB_FALLIBLE nb_ob_val(NbOnnxBuilder *b, size_t i, NbOnnxVal **out, NbError *err);
NB_FALLIBLE nb_ob_in(NbOnnxBuilder *b, size_t i, NbNodeId *id, NbError *err);
int nb_ob_type(const NbOnnxBuilder *b, size_t i); /* NB_ONNX_UNDEFINED: not there */
NbShape nb_ob_shape(const NbOnnxBuilder *b, NbNodeId id);
bool nb_ob_is_const(const NbOnnxBuilder *b, NbNodeId id);

/* The numbers of input i, which must be constant (or an input whose value was given). */
NB_FALLIBLE nb_ob_numbers(NbOnnxBuilder *b, size_t i, const float **data, size_t *n, NbError *err);
/* The same as whole numbers, at most `most`. */
NB_FALLIBLE nb_ob_ints(NbOnnxBuilder *b, size_t i, size_t most, int64_t *out, size_t *n,
                       NbError *err);

/* Output k of the current node. */
NB_FALLIBLE nb_ob_out(NbOnnxBuilder *b, size_t k, NbNodeId id, int type, NbError *err);
bool nb_ob_wants(const NbOnnxBuilder *b, size_t k);

/* Attributes of the current node. */
int64_t nb_ob_attr_i(const NbOnnxBuilder *b, const char *name, int64_t otherwise);
float nb_ob_attr_f(const NbOnnxBuilder *b, const char *name, float otherwise);
const char *nb_ob_attr_s(const NbOnnxBuilder *b, const char *name, const char *otherwise);
/* *n is 0 when it is not there. */
NB_FALLIBLE nb_ob_attr_ints(const NbOnnxBuilder *b, const char *name, size_t most, int64_t *out,
                            size_t *n, NbError *err);

/* An axis that counts from the end when negative. */
NB_FALLIBLE nb_ob_axis(int64_t axis, int rank, int *out, NbError *err);
/* The same for all axes of a list, as a bit mask; n 0: `otherwise`. */
NB_FALLIBLE nb_ob_axes(const int64_t *axis, size_t n, int rank, unsigned otherwise, unsigned *out,
                       NbError *err);

bool nb_onnx_is_integer(int type);
/* How a type rounds; false: float32, double and wide integers, which stay. */
bool nb_onnx_cast_attr(int type, bool saturate, NbCastAttr *out);

#endif
