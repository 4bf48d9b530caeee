/* SPDX-License-Identifier: Apache-2.0
 *
 * Element types of ONNX, and looking up by name. */
#include "format/onnx.h"

#include <string.h>

typedef struct Type {
    const char *name;
    int bits; /* 0: no fixed size */
} Type;

static const Type types[NB_ONNX_TYPE_COUNT] = {
    [NB_ONNX_UNDEFINED] = {"UNDEFINED", 0},
    [NB_ONNX_FLOAT] = {"FLOAT", 32},
    [NB_ONNX_UINT8] = {"UINT8", 8},
    [NB_ONNX_INT8] = {"INT8", 8},
    [NB_ONNX_UINT16] = {"UINT16", 16},
    [NB_ONNX_INT16] = {"INT16", 16},
    [NB_ONNX_INT32] = {"INT32", 32},
    [NB_ONNX_INT64] = {"INT64", 64},
    [NB_ONNX_STRING] = {"STRING", 0},
    [NB_ONNX_BOOL] = {"BOOL", 8},
    [NB_ONNX_FLOAT16] = {"FLOAT16", 16},
    [NB_ONNX_DOUBLE] = {"DOUBLE", 64},
    [NB_ONNX_UINT32] = {"UINT32", 32},
    [NB_ONNX_UINT64] = {"UINT64", 64},
    [NB_ONNX_COMPLEX64] = {"COMPLEX64", 64},
    [NB_ONNX_COMPLEX128] = {"COMPLEX128", 128},
    [NB_ONNX_BFLOAT16] = {"BFLOAT16", 16},
    [NB_ONNX_FLOAT8E4M3FN] = {"FLOAT8E4M3FN", 8},
    [NB_ONNX_FLOAT8E4M3FNUZ] = {"FLOAT8E4M3FNUZ", 8},
    [NB_ONNX_FLOAT8E5M2] = {"FLOAT8E5M2", 8},
    [NB_ONNX_FLOAT8E5M2FNUZ] = {"FLOAT8E5M2FNUZ", 8},
    [NB_ONNX_UINT4] = {"UINT4", 4},
    [NB_ONNX_INT4] = {"INT4", 4},
    [NB_ONNX_FLOAT4E2M1] = {"FLOAT4E2M1", 4},
    [NB_ONNX_FLOAT8E8M0] = {"FLOAT8E8M0", 8},
    [NB_ONNX_UINT2] = {"UINT2", 2},
    [NB_ONNX_INT2] = {"INT2", 2},
};

static bool is_known(int type) { return type >= 0 && type < NB_ONNX_TYPE_COUNT; }

const char *nb_onnx_type_name(int type) { return is_known(type) ? types[type].name : "unknown"; }

int nb_onnx_type_bits(int type) { return is_known(type) ? types[type].bits : 0; }

const NbOnnxAttr *nb_onnx_attr(const NbOnnxNode *node, const char *name) {
    for (size_t i = 0; i < node->n_attrs; i++)
        if (strcmp(node->attr[i].name, name) == 0)
            return &node->attr[i];
    return NULL;
}

const char *nb_onnx_metadata(const NbOnnxModel *model, const char *key) {
    for (size_t i = 0; i < model->n_metadata; i++)
        if (strcmp(model->metadata[i].key, key) == 0)
            return model->metadata[i].value;
    return NULL;
}
