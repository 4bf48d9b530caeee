/* SPDX-License-Identifier: Apache-2.0
 *
 * ONNX structs to a file: the structs become those of protobuf-c, whose texts and data point into
 * ours, and are packed straight into the writer. */
#include "format/onnx.h"

#include "base/file.h"
#include "base/size.h"

#include <nb_onnx.pb-c.h>
#include <stdint.h>
#include <string.h>

/* One writing. The first failure stays; functions that make a message return NULL then. */
typedef struct Writing {
    NbArena arena;
    NbStatus status;
    NbError *err;
    const char *place; /* the node or tensor at hand, for messages */
} Writing;

static void *failed(Writing *w, NbStatus status, const char *what) {
    if (w->status == NB_OK)
        w->status = nb_fail(status, w->err, "%s: %s", w->place, what);
    return NULL;
}

static void *take(Writing *w, size_t n, size_t size) {
    void *const p = nb_arena_take(&w->arena, n, size);
    return p ? p : failed(w, NB_ERR_NOMEM, "out of memory");
}

/* protobuf-c's structs are not const, though packing changes nothing. */
static char *text(const char *s) { return (char *)(uintptr_t)s; }

/* Optional: "" is not written. */
static char *text_or_none(const char *s) { return s && *s ? text(s) : NULL; }

static ProtobufCBinaryData binary(const void *data, size_t size) {
    return (ProtobufCBinaryData){.len = size, .data = (uint8_t *)(uintptr_t)data};
}

static ProtobufCBinaryData *strings_of(Writing *w, const NbOnnxString *s, size_t n) {
    ProtobufCBinaryData *const list = take(w, n, sizeof *list);
    for (size_t i = 0; list && i < n; i++)
        list[i] = binary(s[i].data, s[i].size);
    return list;
}

static bool fits(const NbOnnxTensor *t, size_t count) {
    const int bits = nb_onnx_type_bits(t->type);
    size_t all = 0;
    if (bits == 0) /* strings, or a type that has no number here: as it is */
        return t->type != NB_ONNX_STRING || t->string || count == 0;
    return nb_mul_size(count, (size_t)bits, &all) && t->size == all / 8 + (all % 8 != 0) &&
           (t->data || t->size == 0);
}

static NbOnnxPb__TensorProto *tensor_of(Writing *w, const NbOnnxTensor *t) {
    size_t count = 0;
    size_t bytes = 0;
    NbOnnxPb__TensorProto *const p = take(w, 1, sizeof *p);
    if (!p)
        return NULL;
    if (!nb_shape_count_checked(&t->shape, 1, &count, &bytes) || !fits(t, count)) {
        w->place = t->name && *t->name ? t->name : w->place;
        return failed(w, NB_ERR_ARGUMENT, "the tensor's data do not have the size of its shape");
    }
    nb_onnx_pb__tensor_proto__init(p);
    p->name = text_or_none(t->name);
    p->doc_string = text_or_none(t->doc);
    p->has_data_type = true;
    p->data_type = t->type;
    p->n_dims = (size_t)t->shape.rank;
    p->dims = take(w, p->n_dims, sizeof *p->dims);
    if (!p->dims)
        return NULL;
    memcpy(p->dims, t->shape.dim, p->n_dims * sizeof *p->dims);
    if (t->type != NB_ONNX_STRING) {
        p->has_raw_data = true;
        p->raw_data = binary(t->data, t->size);
        return p;
    }
    p->n_string_data = count;
    p->string_data = strings_of(w, t->string, count);
    return p->string_data ? p : NULL;
}

static NbOnnxPb__GraphProto *graph_of(Writing *w, const NbOnnxGraph *g);

static NbOnnxPb__AttributeProto *attr_of(Writing *w, const NbOnnxAttr *a) {
    NbOnnxPb__AttributeProto *const p = take(w, 1, sizeof *p);
    if (!p)
        return NULL;
    nb_onnx_pb__attribute_proto__init(p);
    p->name = text(a->name);
    p->ref_attr_name = text_or_none(a->ref);
    p->has_type = true;
    p->type = (NbOnnxPb__AttributeProto__AttributeType)a->kind;
    switch (a->kind) {
    case NB_ONNX_ATTR_FLOAT:
        p->has_f = true;
        p->f = a->f;
        return p;
    case NB_ONNX_ATTR_INT:
        p->has_i = true;
        p->i = a->i;
        return p;
    case NB_ONNX_ATTR_STRING:
        p->has_s = true;
        p->s = binary(a->s.data, a->s.size);
        return p;
    case NB_ONNX_ATTR_TENSOR:
        p->t = a->t ? tensor_of(w, a->t) : failed(w, NB_ERR_ARGUMENT, "a tensor is missing");
        return p->t ? p : NULL;
    case NB_ONNX_ATTR_GRAPH:
        p->g = a->g ? graph_of(w, a->g) : failed(w, NB_ERR_ARGUMENT, "a graph is missing");
        return p->g ? p : NULL;
    case NB_ONNX_ATTR_FLOATS:
        p->n_floats = a->n;
        p->floats = (float *)(uintptr_t)a->floats;
        return p;
    case NB_ONNX_ATTR_INTS:
        p->n_ints = a->n;
        p->ints = (int64_t *)(uintptr_t)a->ints;
        return p;
    case NB_ONNX_ATTR_STRINGS:
        p->n_strings = a->n;
        p->strings = strings_of(w, a->strings, a->n);
        return p->strings ? p : NULL;
    case NB_ONNX_ATTR_UNDEFINED:
    case NB_ONNX_ATTR_OTHER: break;
    }
    return failed(w, NB_ERR_UNSUPPORTED, "an attribute of a kind that is not kept");
}

static char **names_of(Writing *w, const char *const *names, size_t n) {
    char **const list = take(w, n, sizeof *list);
    for (size_t i = 0; list && i < n; i++)
        list[i] = text(names[i]);
    return list;
}

static NbOnnxPb__NodeProto *node_of(Writing *w, const NbOnnxNode *node) {
    w->place = node->name && *node->name ? node->name : node->op;
    NbOnnxPb__NodeProto *const p = take(w, 1, sizeof *p);
    if (!p)
        return NULL;
    nb_onnx_pb__node_proto__init(p);
    p->name = text_or_none(node->name);
    p->op_type = text(node->op);
    p->domain = text_or_none(node->domain);
    p->doc_string = text_or_none(node->doc);
    p->n_input = node->n_in;
    p->input = names_of(w, node->in, node->n_in);
    p->n_output = node->n_out;
    p->output = names_of(w, node->out, node->n_out);
    p->n_attribute = node->n_attrs;
    p->attribute = take(w, node->n_attrs, sizeof *p->attribute);
    if (!p->input || !p->output || !p->attribute)
        return NULL;
    for (size_t i = 0; i < node->n_attrs; i++)
        if (!(p->attribute[i] = attr_of(w, &node->attr[i])))
            return NULL;
    return p;
}

static NbOnnxPb__TensorShapeProto *shape_of(Writing *w, const NbOnnxValue *v) {
    NbOnnxPb__TensorShapeProto *const p = take(w, 1, sizeof *p);
    if (!p)
        return NULL;
    nb_onnx_pb__tensor_shape_proto__init(p);
    p->n_dim = (size_t)v->rank;
    p->dim = take(w, p->n_dim, sizeof(void *));
    for (size_t i = 0; p->dim && i < p->n_dim; i++) {
        NbOnnxPb__TensorShapeProto__Dimension *const d = take(w, 1, sizeof *d);
        if (!d)
            return NULL;
        nb_onnx_pb__tensor_shape_proto__dimension__init(d);
        p->dim[i] = d;
        if (v->dim[i].value >= 0) {
            d->value_case = NB_ONNX_PB__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
            d->dim_value = v->dim[i].value;
        } else if (v->dim[i].param && *v->dim[i].param) {
            d->value_case = NB_ONNX_PB__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
            d->dim_param = text(v->dim[i].param);
        }
    }
    return p->dim ? p : NULL;
}

static NbOnnxPb__ValueInfoProto *value_of(Writing *w, const NbOnnxValue *v) {
    w->place = v->name;
    NbOnnxPb__ValueInfoProto *const p = take(w, 1, sizeof *p);
    if (!p)
        return NULL;
    nb_onnx_pb__value_info_proto__init(p);
    p->name = text(v->name);
    p->doc_string = text_or_none(v->doc);
    if (!v->is_tensor)
        return p;
    NbOnnxPb__TypeProto *const type = take(w, 1, sizeof *type);
    NbOnnxPb__TypeProto__Tensor *const tensor = take(w, 1, sizeof *tensor);
    if (!type || !tensor)
        return NULL;
    nb_onnx_pb__type_proto__init(type);
    nb_onnx_pb__type_proto__tensor__init(tensor);
    type->value_case = NB_ONNX_PB__TYPE_PROTO__VALUE_TENSOR_TYPE;
    type->tensor_type = tensor;
    tensor->has_elem_type = true;
    tensor->elem_type = v->type;
    tensor->shape = v->has_shape ? shape_of(w, v) : NULL;
    p->type = type;
    return v->has_shape && !tensor->shape ? NULL : p;
}

static NbOnnxPb__ValueInfoProto **values_of(Writing *w, const NbOnnxValue *v, size_t n) {
    NbOnnxPb__ValueInfoProto **const list = take(w, n, sizeof *list);
    for (size_t i = 0; list && i < n; i++)
        if (!(list[i] = value_of(w, &v[i])))
            return NULL;
    return list;
}

static NbOnnxPb__StringStringEntryProto **entries_of(Writing *w, const NbOnnxEntry *e, size_t n) {
    NbOnnxPb__StringStringEntryProto **const list = take(w, n, sizeof *list);
    for (size_t i = 0; list && i < n; i++) {
        list[i] = take(w, 1, sizeof *list[i]);
        if (!list[i])
            return NULL;
        nb_onnx_pb__string_string_entry_proto__init(list[i]);
        list[i]->key = text(e[i].key);
        list[i]->value = text(e[i].value);
    }
    return list;
}

static NbOnnxPb__TensorAnnotation **annotations_of(Writing *w, const NbOnnxAnnotation *a,
                                                   size_t n) {
    NbOnnxPb__TensorAnnotation **const list = take(w, n, sizeof *list);
    for (size_t i = 0; list && i < n; i++) {
        list[i] = take(w, 1, sizeof *list[i]);
        if (!list[i])
            return NULL;
        nb_onnx_pb__tensor_annotation__init(list[i]);
        list[i]->tensor_name = text(a[i].tensor);
        list[i]->n_quant_parameter_tensor_names = a[i].n;
        list[i]->quant_parameter_tensor_names = entries_of(w, a[i].entry, a[i].n);
        if (!list[i]->quant_parameter_tensor_names)
            return NULL;
    }
    return list;
}

static NbOnnxPb__GraphProto *graph_of(Writing *w, const NbOnnxGraph *g) {
    NbOnnxPb__GraphProto *const p = take(w, 1, sizeof *p);
    if (!p)
        return NULL;
    nb_onnx_pb__graph_proto__init(p);
    p->name = text(g->name);
    p->doc_string = text_or_none(g->doc);
    p->n_node = g->n_nodes;
    p->node = take(w, g->n_nodes, sizeof *p->node);
    p->n_initializer = g->n_initializers;
    p->initializer = take(w, g->n_initializers, sizeof *p->initializer);
    if (!p->node || !p->initializer)
        return NULL;
    for (size_t i = 0; i < g->n_nodes; i++)
        if (!(p->node[i] = node_of(w, &g->node[i])))
            return NULL;
    for (size_t i = 0; i < g->n_initializers; i++)
        if (!(p->initializer[i] = tensor_of(w, &g->initializer[i])))
            return NULL;
    p->n_input = g->n_inputs;
    p->input = values_of(w, g->input, g->n_inputs);
    p->n_output = g->n_outputs;
    p->output = values_of(w, g->output, g->n_outputs);
    p->n_value_info = g->n_values;
    p->value_info = values_of(w, g->value, g->n_values);
    p->n_quantization_annotation = g->n_annotations;
    p->quantization_annotation = annotations_of(w, g->annotation, g->n_annotations);
    return p->input && p->output && p->value_info && p->quantization_annotation ? p : NULL;
}

static NbOnnxPb__OperatorSetIdProto **opsets_of(Writing *w, const NbOnnxOpset *o, size_t n) {
    NbOnnxPb__OperatorSetIdProto **const list = take(w, n, sizeof *list);
    for (size_t i = 0; list && i < n; i++) {
        list[i] = take(w, 1, sizeof *list[i]);
        if (!list[i])
            return NULL;
        nb_onnx_pb__operator_set_id_proto__init(list[i]);
        list[i]->domain = text(o[i].domain);
        list[i]->has_version = true;
        list[i]->version = o[i].version;
    }
    return list;
}

static NbOnnxPb__ModelProto *model_of(Writing *w, const NbOnnxModel *m) {
    NbOnnxPb__ModelProto *const p = take(w, 1, sizeof *p);
    if (!p)
        return NULL;
    nb_onnx_pb__model_proto__init(p);
    p->has_ir_version = true;
    p->ir_version = m->ir_version;
    p->producer_name = text_or_none(m->producer_name);
    p->producer_version = text_or_none(m->producer_version);
    p->domain = text_or_none(m->domain);
    p->has_model_version = m->model_version != 0;
    p->model_version = m->model_version;
    p->doc_string = text_or_none(m->doc);
    p->n_opset_import = m->n_opsets;
    p->opset_import = opsets_of(w, m->opset, m->n_opsets);
    p->n_metadata_props = m->n_metadata;
    p->metadata_props = entries_of(w, m->metadata, m->n_metadata);
    p->graph = graph_of(w, &m->graph);
    return p->opset_import && p->metadata_props && p->graph ? p : NULL;
}

/* protobuf-c hands out pieces and takes no answer: the first failure is kept. */
typedef struct Sink {
    ProtobufCBuffer base;
    NbWriter *file;
    NbStatus status;
    NbError *err;
} Sink;

static void append(ProtobufCBuffer *buffer, size_t n, const uint8_t *data) {
    Sink *const sink = (Sink *)buffer;
    if (sink->status == NB_OK && n > 0)
        sink->status = nb_writer_put(sink->file, data, n, sink->err);
}

static NB_FALLIBLE put(const NbOnnxPb__ModelProto *p, const char *path, NbError *err) {
    Sink sink = {.base = {.append = append}, .err = err};
    const size_t bytes = nb_onnx_pb__model_proto__get_packed_size(p);
    if (bytes > INT32_MAX)
        return nb_fail(NB_ERR_UNSUPPORTED, err,
                       "%s: %zu bytes, an ONNX file holds at most 2 GiB without external data",
                       path, bytes);
    NB_TRY(nb_writer_open(path, &sink.file, err));
    (void)nb_onnx_pb__model_proto__pack_to_buffer(p, &sink.base);
    if (sink.status != NB_OK) {
        nb_writer_cancel(sink.file);
        return sink.status;
    }
    return nb_writer_commit(sink.file, err);
}

/* The packed message without a file. */
static NB_FALLIBLE pack(const NbOnnxPb__ModelProto *p, NbArena *arena, NbBytes *out, NbError *err) {
    const size_t bytes = nb_onnx_pb__model_proto__get_packed_size(p);
    unsigned char *const data = bytes > INT32_MAX ? NULL : nb_arena_take(arena, bytes + 1, 1);
    if (!data)
        return nb_fail(NB_ERR_NOMEM, err, "out of memory for an ONNX file of %zu bytes", bytes);
    *out = (NbBytes){data, nb_onnx_pb__model_proto__pack(p, data)};
    return NB_OK;
}

NbStatus nb_onnx_pack(const NbOnnxModel *model, NbArena *arena, NbBytes *out, NbError *err) {
    Writing w = {.err = err, .place = "model"};
    const NbOnnxPb__ModelProto *const p = model_of(&w, model);
    const NbStatus status = p ? pack(p, arena, out, err) : w.status;
    nb_arena_release(&w.arena);
    return status;
}

NbStatus nb_onnx_write(const NbOnnxModel *model, const char *path, NbError *err) {
    Writing w = {.err = err, .place = "model"};
    const NbOnnxPb__ModelProto *const p = model_of(&w, model);
    const NbStatus status = p ? put(p, path, err) : nb_fail_in(w.status, err, "%s", path);
    nb_arena_release(&w.arena);
    return status;
}
