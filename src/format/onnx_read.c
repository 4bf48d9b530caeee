/* SPDX-License-Identifier: Apache-2.0
 *
 * The messages of onnx.proto3 as tables of fields. */
#include "format/onnx.h"
#include "format/onnx_tensor.h"
#include "format/protobuf.h"

#include <string.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))
#define ONE(T, name, number, kind, member)                                                         \
    { name, number, kind, offsetof(T, member), 0, 0, NULL }
#define LIST(T, name, number, kind, member, counter)                                               \
    { name, number, kind, offsetof(T, member), offsetof(T, counter), 0, NULL }
#define SUBS(T, name, number, member, counter, Sub, reader)                                        \
    { name, number, NB_PB_MESSAGES, offsetof(T, member), offsetof(T, counter), sizeof(Sub), reader }
#define SUB(T, name, number, kind, member, Sub, reader)                                            \
    { name, number, kind, offsetof(T, member), 0, sizeof(Sub), reader }

static NbStatus read_graph(NbPbWalk *walk, NbPb message, void *out, NbError *err);

/* AttributeProto as it stands in the file. */
typedef struct WireAttr {
    NbOnnxAttr attr;
    int type;
    NbBytes s;
    NbBytes *strings;
    size_t n_strings;
    size_t n_floats;
    size_t n_ints;
    NbOnnxTensor *t;
    NbOnnxGraph *g;
    size_t others;
    bool f, i;
} WireAttr;

/* Files before IR version 2 leave the type out: the field that is there tells. */
static NbOnnxAttrKind guess_kind(const WireAttr *w) {
    if (w->t)
        return NB_ONNX_ATTR_TENSOR;
    if (w->g)
        return NB_ONNX_ATTR_GRAPH;
    if (w->s.data)
        return NB_ONNX_ATTR_STRING;
    if (w->n_floats)
        return NB_ONNX_ATTR_FLOATS;
    if (w->n_ints)
        return NB_ONNX_ATTR_INTS;
    if (w->n_strings)
        return NB_ONNX_ATTR_STRINGS;
    if (w->attr.f != 0.0F)
        return NB_ONNX_ATTR_FLOAT;
    return w->others ? NB_ONNX_ATTR_OTHER : NB_ONNX_ATTR_INT;
}

static NB_FALLIBLE copy_string(NbArena *arena, NbBytes from, NbOnnxString *to, NbError *err) {
    to->size = from.size;
    to->data = nb_arena_string_n(arena, from.size ? (const char *)from.data : "", from.size);
    return to->data ? NB_OK : nb_fail_memory(err, "a string");
}

static NB_FALLIBLE finish_attr(NbArena *arena, const WireAttr *w, NbOnnxAttr *out, NbError *err) {
    *out = w->attr;
    out->kind = w->type < NB_ONNX_ATTR_UNDEFINED || w->type > NB_ONNX_ATTR_OTHER
                    ? NB_ONNX_ATTR_OTHER
                    : (NbOnnxAttrKind)w->type;
    if (w->type == NB_ONNX_ATTR_UNDEFINED && !*out->ref)
        out->kind = guess_kind(w);
    out->t = w->t;
    out->g = w->g;
    out->n = out->kind == NB_ONNX_ATTR_FLOATS    ? w->n_floats
             : out->kind == NB_ONNX_ATTR_INTS    ? w->n_ints
             : out->kind == NB_ONNX_ATTR_STRINGS ? w->n_strings
                                                 : 0;
    NB_TRY(copy_string(arena, w->s, &out->s, err));
    if ((out->kind == NB_ONNX_ATTR_TENSOR && !out->t && !*out->ref) ||
        (out->kind == NB_ONNX_ATTR_GRAPH && !out->g && !*out->ref))
        return nb_fail(NB_ERR_FORMAT, err, "'%s' says type %d and has no such value", out->name,
                       w->type);
    NbOnnxString *strings = NB_NEW(arena, NbOnnxString, w->n_strings);
    if (!strings)
        return nb_fail_memory(err, "strings");
    for (size_t i = 0; i < w->n_strings; i++)
        NB_TRY(copy_string(arena, w->strings[i], &strings[i], err));
    out->strings = strings;
    return NB_OK;
}

static NbStatus read_attr(NbPbWalk *walk, NbPb message, void *out, NbError *err) {
    static const NbPbField fields[] = {
        ONE(WireAttr, "name", 1, NB_PB_TEXT, attr.name),
        ONE(WireAttr, "f", 2, NB_PB_F32, attr.f),
        ONE(WireAttr, "i", 3, NB_PB_I64, attr.i),
        ONE(WireAttr, "s", 4, NB_PB_BYTES, s),
        SUB(WireAttr, "t", 5, NB_PB_MESSAGE, t, NbOnnxTensor, nb_onnx_pb_tensor),
        SUB(WireAttr, "g", 6, NB_PB_MESSAGE, g, NbOnnxGraph, read_graph),
        LIST(WireAttr, "floats", 7, NB_PB_F32S, attr.floats, n_floats),
        LIST(WireAttr, "ints", 8, NB_PB_I64S, attr.ints, n_ints),
        LIST(WireAttr, "strings", 9, NB_PB_BYTESES, strings, n_strings),
        ONE(WireAttr, "tensors", 10, NB_PB_COUNT, others),
        ONE(WireAttr, "graphs", 11, NB_PB_COUNT, others),
        ONE(WireAttr, "type", 20, NB_PB_I32, type),
        ONE(WireAttr, "ref_attr_name", 21, NB_PB_TEXT, attr.ref),
    };
    WireAttr wire = {0};
    NB_TRY_IN(nb_pb_read(walk, message, fields, COUNT(fields), &wire, err), err, "'%s'",
              wire.attr.name ? wire.attr.name : "");
    return finish_attr(walk->arena, &wire, out, err);
}

static NbStatus read_node(NbPbWalk *walk, NbPb message, void *out, NbError *err) {
    static const NbPbField fields[] = {
        LIST(NbOnnxNode, "input", 1, NB_PB_TEXTS, in, n_in),
        LIST(NbOnnxNode, "output", 2, NB_PB_TEXTS, out, n_out),
        ONE(NbOnnxNode, "name", 3, NB_PB_TEXT, name),
        ONE(NbOnnxNode, "op_type", 4, NB_PB_TEXT, op),
        SUBS(NbOnnxNode, "attribute", 5, attr, n_attrs, NbOnnxAttr, read_attr),
        ONE(NbOnnxNode, "doc_string", 6, NB_PB_TEXT, doc),
        ONE(NbOnnxNode, "domain", 7, NB_PB_TEXT, domain),
    };
    NbOnnxNode *node = out;
    NB_TRY_IN(nb_pb_read(walk, message, fields, COUNT(fields), node, err), err, "(%s)",
              node->op ? node->op : "");
    if (strcmp(node->domain, "ai.onnx") == 0)
        node->domain = "";
    return NB_OK;
}

static NbStatus read_dim(NbPbWalk *walk, NbPb message, void *out, NbError *err) {
    static const NbPbField fields[] = {
        ONE(NbOnnxDim, "dim_value", 1, NB_PB_I64, value),
        ONE(NbOnnxDim, "dim_param", 2, NB_PB_TEXT, param),
    };
    ((NbOnnxDim *)out)->value = -1;
    return nb_pb_read(walk, message, fields, COUNT(fields), out, err);
}

typedef struct WireShape {
    NbOnnxDim *dim;
    size_t n;
} WireShape;

static NbStatus read_shape(NbPbWalk *walk, NbPb message, void *out, NbError *err) {
    static const NbPbField fields[] = {
        SUBS(WireShape, "dim", 1, dim, n, NbOnnxDim, read_dim),
    };
    return nb_pb_read(walk, message, fields, COUNT(fields), out, err);
}

typedef struct WireType { /* TypeProto.Tensor */
    int type;
    WireShape *shape;
} WireType;

static NbStatus read_tensor_type(NbPbWalk *walk, NbPb message, void *out, NbError *err) {
    static const NbPbField fields[] = {
        ONE(WireType, "elem_type", 1, NB_PB_I32, type),
        SUB(WireType, "shape", 2, NB_PB_MESSAGE, shape, WireShape, read_shape),
    };
    return nb_pb_read(walk, message, fields, COUNT(fields), out, err);
}

typedef struct WireAnyType { /* TypeProto */
    WireType *tensor;
} WireAnyType;

static NbStatus read_type(NbPbWalk *walk, NbPb message, void *out, NbError *err) {
    static const NbPbField fields[] = {
        SUB(WireAnyType, "tensor_type", 1, NB_PB_MESSAGE, tensor, WireType, read_tensor_type),
    };
    return nb_pb_read(walk, message, fields, COUNT(fields), out, err);
}

typedef struct WireValue {
    const char *name;
    WireAnyType *type;
    const char *doc;
} WireValue;

static NbStatus read_value(NbPbWalk *walk, NbPb message, void *out, NbError *err) {
    static const NbPbField fields[] = {
        ONE(WireValue, "name", 1, NB_PB_TEXT, name),
        SUB(WireValue, "type", 2, NB_PB_MESSAGE, type, WireAnyType, read_type),
        ONE(WireValue, "doc_string", 3, NB_PB_TEXT, doc),
    };
    WireValue wire = {0};
    NbOnnxValue *v = out;
    NB_TRY_IN(nb_pb_read(walk, message, fields, COUNT(fields), &wire, err), err, "'%s'",
              wire.name ? wire.name : "");
    v->name = wire.name;
    v->doc = wire.doc;
    if (!wire.type || !wire.type->tensor)
        return NB_OK;
    v->is_tensor = true;
    v->type = wire.type->tensor->type;
    const WireShape *shape = wire.type->tensor->shape;
    if (!shape)
        return NB_OK;
    if (shape->n > NB_MAX_RANK)
        return nb_fail(NB_ERR_UNSUPPORTED, err, "'%s': %zu dimensions, at most %d expected",
                       v->name, shape->n, NB_MAX_RANK);
    v->has_shape = true;
    v->rank = (int)shape->n;
    for (size_t i = 0; i < shape->n; i++)
        v->dim[i] = shape->dim[i];
    return NB_OK;
}

static NbStatus read_annotation(NbPbWalk *walk, NbPb message, void *out, NbError *err) {
    static const NbPbField fields[] = {
        ONE(NbOnnxAnnotation, "tensor_name", 1, NB_PB_TEXT, tensor),
        SUBS(NbOnnxAnnotation, "quant_parameter_tensor_names", 2, entry, n, NbOnnxEntry,
             nb_onnx_pb_entry),
    };
    return nb_pb_read(walk, message, fields, COUNT(fields), out, err);
}

static NbStatus read_graph(NbPbWalk *walk, NbPb message, void *out, NbError *err) {
    static const NbPbField fields[] = {
        SUBS(NbOnnxGraph, "node", 1, node, n_nodes, NbOnnxNode, read_node),
        ONE(NbOnnxGraph, "name", 2, NB_PB_TEXT, name),
        SUBS(NbOnnxGraph, "initializer", 5, initializer, n_initializers, NbOnnxTensor,
             nb_onnx_pb_tensor),
        ONE(NbOnnxGraph, "doc_string", 10, NB_PB_TEXT, doc),
        SUBS(NbOnnxGraph, "input", 11, input, n_inputs, NbOnnxValue, read_value),
        SUBS(NbOnnxGraph, "output", 12, output, n_outputs, NbOnnxValue, read_value),
        SUBS(NbOnnxGraph, "value_info", 13, value, n_values, NbOnnxValue, read_value),
        SUBS(NbOnnxGraph, "quantization_annotation", 14, annotation, n_annotations,
             NbOnnxAnnotation, read_annotation),
    };
    return nb_pb_read(walk, message, fields, COUNT(fields), out, err);
}

static NbStatus read_opset(NbPbWalk *walk, NbPb message, void *out, NbError *err) {
    static const NbPbField fields[] = {
        ONE(NbOnnxOpset, "domain", 1, NB_PB_TEXT, domain),
        ONE(NbOnnxOpset, "version", 2, NB_PB_I64, version),
    };
    NbOnnxOpset *opset = out;
    NB_TRY(nb_pb_read(walk, message, fields, COUNT(fields), out, err));
    if (strcmp(opset->domain, "ai.onnx") == 0)
        opset->domain = "";
    return NB_OK;
}

static NB_FALLIBLE read_model(NbPbWalk *walk, NbPb message, NbOnnxModel *out, NbError *err) {
    static const NbPbField fields[] = {
        ONE(NbOnnxModel, "ir_version", 1, NB_PB_I64, ir_version),
        ONE(NbOnnxModel, "producer_name", 2, NB_PB_TEXT, producer_name),
        ONE(NbOnnxModel, "producer_version", 3, NB_PB_TEXT, producer_version),
        ONE(NbOnnxModel, "domain", 4, NB_PB_TEXT, domain),
        ONE(NbOnnxModel, "model_version", 5, NB_PB_I64, model_version),
        ONE(NbOnnxModel, "doc_string", 6, NB_PB_TEXT, doc),
        SUB(NbOnnxModel, "graph", 7, NB_PB_INLINE, graph, NbOnnxGraph, read_graph),
        SUBS(NbOnnxModel, "opset_import", 8, opset, n_opsets, NbOnnxOpset, read_opset),
        SUBS(NbOnnxModel, "metadata_props", 14, metadata, n_metadata, NbOnnxEntry,
             nb_onnx_pb_entry),
        ONE(NbOnnxModel, "functions", 25, NB_PB_COUNT, n_functions),
    };
    NB_TRY(nb_pb_read(walk, message, fields, COUNT(fields), out, err));
    if (!out->graph.name)
        return nb_fail(NB_ERR_FORMAT, err, "no graph, a serialized ModelProto with one expected");
    return NB_OK;
}

static NB_FALLIBLE walk_for(const char *path, NbBytes bytes, NbArena *arena, NbOnnxPlace *place,
                            NbPbWalk *walk, NbError *err) {
    *place = (NbOnnxPlace){.folder = nb_path_folder(arena, path)};
    *walk = (NbPbWalk){.start = bytes.data, .arena = arena, .user = place};
    if (!place->folder)
        return nb_fail_memory(err, "path");
    return NB_OK;
}

NbStatus nb_onnx_read(const char *path, NbBytes bytes, NbArena *arena, NbOnnxModel *out,
                      NbError *err) {
    NbOnnxPlace place;
    NbPbWalk walk;
    *out = (NbOnnxModel){0};
    NB_TRY_IN(walk_for(path, bytes, arena, &place, &walk, err), err, "%s", path);
    if (!bytes.size)
        return nb_fail(NB_ERR_FORMAT, err, "%s: an empty file, an ONNX model expected", path);
    const NbPb message = {bytes.data, bytes.data + bytes.size};
    NB_TRY_IN(read_model(&walk, message, out, err), err, "%s", path);
    return NB_OK;
}

NbStatus nb_onnx_read_file(const char *path, NbArena *arena, NbOnnxModel *out, NbError *err) {
    NbBytes bytes = {0};
    NB_TRY(nb_file_read(path, (size_t)1 << 31, arena, &bytes, err));
    return nb_onnx_read(path, bytes, arena, out, err);
}

NbStatus nb_onnx_read_tensor(const char *path, NbBytes bytes, NbArena *arena, NbOnnxTensor *out,
                             NbError *err) {
    NbOnnxPlace place;
    NbPbWalk walk;
    *out = (NbOnnxTensor){0};
    NB_TRY_IN(walk_for(path, bytes, arena, &place, &walk, err), err, "%s", path);
    const NbPb message = {bytes.data, bytes.size ? bytes.data + bytes.size : bytes.data};
    NB_TRY_IN(nb_onnx_pb_tensor(&walk, message, out, err), err, "%s", path);
    return NB_OK;
}
