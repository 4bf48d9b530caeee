/* SPDX-License-Identifier: Apache-2.0
 *
 * ONNX files as plain structs: read, and written from the same structs. What stands in the file and
 * nothing else: no operator is known here, names are not resolved, no shape is inferred.
 * Source: github.com/onnx/onnx, onnx.proto3 (IR versions 3 to 13). Not kept: training info, model
 * functions (counted), sparse tensors, sequences, maps and optional types (their kind is kept).
 *
 * Everything lives in the caller's arena or points into the bytes that were read, which must then
 * outlive the structs. Strings end in a zero byte; an absent one is "" (never NULL). */
#ifndef NB_FORMAT_ONNX_H
#define NB_FORMAT_ONNX_H

#include "base/arena.h"
#include "base/file.h"
#include "base/status.h"
#include "tensor/tensor.h"

/* TensorProto.DataType. Numbers not listed here are kept as they are. */
typedef enum NbOnnxType {
    NB_ONNX_UNDEFINED = 0,
    NB_ONNX_FLOAT = 1,
    NB_ONNX_UINT8 = 2,
    NB_ONNX_INT8 = 3,
    NB_ONNX_UINT16 = 4,
    NB_ONNX_INT16 = 5,
    NB_ONNX_INT32 = 6,
    NB_ONNX_INT64 = 7,
    NB_ONNX_STRING = 8,
    NB_ONNX_BOOL = 9,
    NB_ONNX_FLOAT16 = 10,
    NB_ONNX_DOUBLE = 11,
    NB_ONNX_UINT32 = 12,
    NB_ONNX_UINT64 = 13,
    NB_ONNX_COMPLEX64 = 14,
    NB_ONNX_COMPLEX128 = 15,
    NB_ONNX_BFLOAT16 = 16,
    NB_ONNX_FLOAT8E4M3FN = 17,
    NB_ONNX_FLOAT8E4M3FNUZ = 18,
    NB_ONNX_FLOAT8E5M2 = 19,
    NB_ONNX_FLOAT8E5M2FNUZ = 20,
    NB_ONNX_UINT4 = 21,
    NB_ONNX_INT4 = 22,
    NB_ONNX_FLOAT4E2M1 = 23,
    NB_ONNX_FLOAT8E8M0 = 24,
    NB_ONNX_UINT2 = 25,
    NB_ONNX_INT2 = 26,
    NB_ONNX_TYPE_COUNT
} NbOnnxType;

/* Bytes that may hold zeros; data[size] is a zero that does not count. */
typedef struct NbOnnxString {
    const char *data;
    size_t size;
} NbOnnxString;

/* Data is dense, row-major and little endian as raw_data is, whichever field of the file it came
 * from; types of 4 and 2 bits are packed, the first element in the lowest bits. size is checked
 * against shape and type; of strings: string[count], no data. */
typedef struct NbOnnxTensor {
    const char *name;
    int type; /* NbOnnxType */
    NbShape shape;
    const void *data;
    size_t size;
    const NbOnnxString *string;
    const char *doc;
} NbOnnxTensor;

typedef struct NbOnnxGraph NbOnnxGraph;

/* AttributeProto.AttributeType */
typedef enum NbOnnxAttrKind {
    NB_ONNX_ATTR_UNDEFINED = 0,
    NB_ONNX_ATTR_FLOAT = 1,
    NB_ONNX_ATTR_INT = 2,
    NB_ONNX_ATTR_STRING = 3,
    NB_ONNX_ATTR_TENSOR = 4,
    NB_ONNX_ATTR_GRAPH = 5,
    NB_ONNX_ATTR_FLOATS = 6,
    NB_ONNX_ATTR_INTS = 7,
    NB_ONNX_ATTR_STRINGS = 8,
    NB_ONNX_ATTR_OTHER = 9, /* lists of tensors or graphs, sparse tensors, types: not kept */
} NbOnnxAttrKind;

/* Only the field of its kind is meaningful; n counts floats, ints or strings. */
typedef struct NbOnnxAttr {
    const char *name;
    NbOnnxAttrKind kind;
    const char *ref; /* of a function's body: the name of the function's attribute; else "" */
    float f;
    int64_t i;
    NbOnnxString s;
    const NbOnnxTensor *t;
    const NbOnnxGraph *g;
    size_t n;
    const float *floats;
    const int64_t *ints;
    const NbOnnxString *strings;
} NbOnnxAttr;

typedef struct NbOnnxNode {
    const char *name;
    const char *op;     /* op_type */
    const char *domain; /* "": ai.onnx */
    size_t n_in;
    const char **in; /* names of values; "": an optional input that is not there */
    size_t n_out;
    const char **out;
    size_t n_attrs;
    NbOnnxAttr *attr;
    const char *doc;
} NbOnnxNode;

/* value < 0: not known; param is then its name or "". */
typedef struct NbOnnxDim {
    int64_t value;
    const char *param;
} NbOnnxDim;

typedef struct NbOnnxValue {
    const char *name;
    int type;       /* NbOnnxType of a tensor; NB_ONNX_UNDEFINED: no type, or not a tensor */
    bool is_tensor; /* false: sequence, map, optional, sparse, or no type at all */
    bool has_shape; /* false: not even the rank is known */
    int rank;
    NbOnnxDim dim[NB_MAX_RANK];
    const char *doc;
} NbOnnxValue;

typedef struct NbOnnxEntry { /* StringStringEntryProto */
    const char *key;
    const char *value;
} NbOnnxEntry;

/* TensorAnnotation, in which FINN keeps its data types ("finn_datatype"). */
typedef struct NbOnnxAnnotation {
    const char *tensor;
    size_t n;
    NbOnnxEntry *entry;
} NbOnnxAnnotation;

struct NbOnnxGraph {
    const char *name;
    const char *doc;
    size_t n_nodes;
    NbOnnxNode *node; /* in file order, which ONNX promises to be topological */
    size_t n_initializers;
    NbOnnxTensor *initializer;
    size_t n_inputs;
    NbOnnxValue *input; /* IR version 3 lists initializers here as well */
    size_t n_outputs;
    NbOnnxValue *output;
    size_t n_values;
    NbOnnxValue *value; /* value_info */
    size_t n_annotations;
    NbOnnxAnnotation *annotation;
};

typedef struct NbOnnxOpset {
    const char *domain; /* "": ai.onnx */
    int64_t version;
} NbOnnxOpset;

typedef struct NbOnnxModel {
    int64_t ir_version;
    const char *producer_name;
    const char *producer_version;
    const char *domain;
    int64_t model_version;
    const char *doc;
    size_t n_opsets;
    NbOnnxOpset *opset;
    size_t n_metadata;
    NbOnnxEntry *metadata; /* metadata_props */
    size_t n_functions;    /* found in the file, not kept */
    NbOnnxGraph graph;
} NbOnnxModel;

/* Reads a model. `path` is for messages, and its folder is where tensors with external data may
 * have it: a location that is absolute, climbs out of the folder (also through a link) or is longer
 * than the file is NB_ERR_FORMAT. Limits: 24 messages deep (5 graphs inside each other), rank 8,
 * 2^20 of anything that repeats (numbers of typed fields: what the shape says). NaN and infinity
 * are kept: whoever makes weights of them looks. Messages name the path, the place ("node 17
 * (Conv): attribute 'pads'"), what was found and what was expected. */
NB_FALLIBLE nb_onnx_read(const char *path, NbBytes bytes, NbArena *arena, NbOnnxModel *out,
                         NbError *err);

/* Maps nothing: reads the file into the arena first. */
NB_FALLIBLE nb_onnx_read_file(const char *path, NbArena *arena, NbOnnxModel *out, NbError *err);

/* One serialized TensorProto, as ONNX's test data sets hold (input_0.pb). */
NB_FALLIBLE nb_onnx_read_tensor(const char *path, NbBytes bytes, NbArena *arena, NbOnnxTensor *out,
                                NbError *err);

/* Writes atomically; the same structs give the same bytes. Tensors are written as raw_data (strings
 * as string_data) inside the file. (The graph's lists, then metadata, as the schema numbers them.)
 */
NB_FALLIBLE nb_onnx_write(const NbOnnxModel *model, const char *path, NbError *err);

/* The bytes that nb_onnx_write would write, in the arena. */
NB_FALLIBLE nb_onnx_pack(const NbOnnxModel *model, NbArena *arena, NbBytes *out, NbError *err);

/* "FLOAT", "INT64", ...; "type N" never: a number without a name gives "unknown". */
const char *nb_onnx_type_name(int type);

/* Bits of one element: 32, 8, 4, ...; 0: strings and types without a number here. */
int nb_onnx_type_bits(int type);

/* NULL when the node has none of this name. */
const NbOnnxAttr *nb_onnx_attr(const NbOnnxNode *node, const char *name);

/* NULL when the model has none. */
const char *nb_onnx_metadata(const NbOnnxModel *model, const char *key);

#endif
