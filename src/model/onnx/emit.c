/* SPDX-License-Identifier: Apache-2.0 */
#include "model/onnx/emit.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *nb_emit_fail(NbEmit *e, NbStatus status, const char *format, ...) {
    char sentence[sizeof e->err->message];
    va_list args;
    if (e->status != NB_OK)
        return "";
    va_start(args, format);
    (void)vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    e->status = nb_fail(status, e->err, "%s", sentence);
    return "";
}

static void *take(NbEmit *e, size_t n, size_t size) {
    void *const p = nb_arena_take(e->arena, n, size);
    if (!p)
        (void)nb_emit_fail(e, NB_ERR_NOMEM, "out of memory for an ONNX graph");
    return p;
}

const char *nb_emit_name(NbEmit *e, const char *format, ...) {
    char name[512];
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(name, sizeof name, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof name)
        return nb_emit_fail(e, NB_ERR_UNSUPPORTED, "'%.40s...': a name of %d bytes", name, n);
    char *const copy = nb_arena_string(e->arena, name);
    return copy ? copy : nb_emit_fail(e, NB_ERR_NOMEM, "out of memory for an ONNX graph");
}

/* ---- attributes ---- */

NbOnnxAttr nb_attr_int(const char *name, int64_t i) {
    return (NbOnnxAttr){.name = name, .ref = "", .kind = NB_ONNX_ATTR_INT, .i = i};
}

NbOnnxAttr nb_attr_float(const char *name, float f) {
    return (NbOnnxAttr){.name = name, .ref = "", .kind = NB_ONNX_ATTR_FLOAT, .f = f};
}

NbOnnxAttr nb_attr_text(const char *name, const char *text) {
    return (NbOnnxAttr){
        .name = name, .ref = "", .kind = NB_ONNX_ATTR_STRING, .s = {text, strlen(text)}};
}

NbOnnxAttr nb_attr_ints(NbEmit *e, const char *name, int n, const int64_t *ints) {
    int64_t *const copy = take(e, (size_t)n, sizeof *copy);
    if (copy)
        memcpy(copy, ints, (size_t)n * sizeof *copy);
    return (NbOnnxAttr){.name = name,
                        .ref = "",
                        .kind = NB_ONNX_ATTR_INTS,
                        .n = copy ? (size_t)n : 0,
                        .ints = copy};
}

/* ---- lists that grow ---- */

/* Room for one more; false: it failed. */
static bool grow(NbEmit *e, void **list, size_t n, size_t *capacity, size_t size) {
    if (e->status != NB_OK)
        return false;
    if (n < *capacity)
        return true;
    const size_t more = *capacity ? *capacity * 2 : 64;
    void *const larger = take(e, more, size);
    if (!larger)
        return false;
    if (n)
        memcpy(larger, *list, n * size);
    *list = larger;
    *capacity = more;
    return true;
}

static const char *append(NbEmit *e, NbOnnxNode node) {
    void *list = e->graph.node;
    if (!grow(e, &list, e->graph.n_nodes, &e->node_capacity, sizeof node))
        return "";
    e->graph.node = list;
    e->graph.node[e->graph.n_nodes++] = node;
    return node.out[0];
}

/* A node with its lists copied. */
static const char *add_node(NbEmit *e, const NbEmitNode *node, size_t n_in, const char *const *in) {
    const size_t n_out = node->n_out ? (size_t)node->n_out : 1;
    const char **const names = take(e, n_in + n_out, sizeof *names);
    NbOnnxAttr *const attr = take(e, (size_t)node->n_attrs, sizeof *attr);
    if (!names || !attr)
        return "";
    for (size_t i = 0; i < n_in; i++)
        names[i] = in[i];
    for (size_t i = 0; i < n_out; i++)
        names[n_in + i] = i == 0 ? node->name : nb_emit_name(e, "%s:%zu", node->name, i);
    for (int i = 0; i < node->n_attrs; i++)
        attr[i] = node->attr[i];
    return append(e, (NbOnnxNode){.name = node->name,
                                  .op = node->op,
                                  .domain = "",
                                  .n_in = n_in,
                                  .in = names,
                                  .n_out = n_out,
                                  .out = names + n_in,
                                  .n_attrs = (size_t)node->n_attrs,
                                  .attr = attr,
                                  .doc = ""});
}

const char *nb_emit_node(NbEmit *e, const NbEmitNode *node) {
    return add_node(e, node, (size_t)node->n_in, node->in);
}

const char *nb_emit_list(NbEmit *e, const char *op, const char *name, size_t n,
                         const char *const *in, const NbOnnxAttr *attr) {
    NbEmitNode node = {.op = op, .name = name, .n_attrs = attr ? 1 : 0};
    if (attr)
        node.attr[0] = *attr;
    return add_node(e, &node, n, in);
}

const char *nb_emit_unary(NbEmit *e, const char *op, const char *name, const char *x) {
    return nb_emit_list(e, op, name, 1, &x, NULL);
}

const char *nb_emit_binary(NbEmit *e, const char *op, const char *name, const char *x,
                           const char *y) {
    const char *const in[2] = {x, y};
    return nb_emit_list(e, op, name, 2, in, NULL);
}

/* ---- initializers ---- */

static const char *add_tensor(NbEmit *e, NbOnnxTensor tensor) {
    void *list = e->graph.initializer;
    if (!grow(e, &list, e->graph.n_initializers, &e->initializer_capacity, sizeof tensor))
        return "";
    tensor.doc = "";
    e->graph.initializer = list;
    e->graph.initializer[e->graph.n_initializers++] = tensor;
    return tensor.name;
}

const char *nb_emit_floats(NbEmit *e, const char *name, const NbShape *shape, const float *data) {
    const size_t n = nb_shape_count(shape);
    NbOnnxTensor tensor = {
        .name = name, .type = e->real, .shape = *shape, .data = data, .size = n * sizeof *data};
    if (e->real == NB_ONNX_FLOAT16) {
        uint16_t *const half = take(e, n, sizeof *half);
        for (size_t i = 0; half && i < n; i++)
            half[i] = nb_f32_to_f16(data[i]);
        tensor.data = half;
        tensor.size = n * sizeof *half;
    }
    return add_tensor(e, tensor);
}

const char *nb_emit_float(NbEmit *e, const char *name, float value) {
    float *const data = take(e, 1, sizeof *data);
    const NbShape scalar = {0};
    if (!data)
        return "";
    *data = value;
    return nb_emit_floats(e, name, &scalar, data);
}

static const char *integers(NbEmit *e, const char *name, NbShape shape, const int64_t *values) {
    const size_t n = nb_shape_count(&shape);
    int64_t *const data = take(e, n, sizeof *data);
    if (!data)
        return "";
    memcpy(data, values, n * sizeof *data);
    return add_tensor(e, (NbOnnxTensor){.name = name,
                                        .type = NB_ONNX_INT64,
                                        .shape = shape,
                                        .data = data,
                                        .size = n * sizeof *data});
}

const char *nb_emit_ints(NbEmit *e, const char *name, int n, const int64_t *values) {
    return integers(e, name, nb_shape(1, (const int64_t[]){n}), values);
}

const char *nb_emit_int(NbEmit *e, const char *name, int64_t value) {
    return integers(e, name, (NbShape){0}, &value);
}

/* ---- frequent nodes ---- */

const char *nb_emit_reshape(NbEmit *e, const char *name, const char *x, int n, const int64_t *dim) {
    const char *const shape = nb_emit_ints(e, nb_emit_name(e, "%s/shape", name), n, dim);
    return nb_emit_binary(e, "Reshape", name, x, shape);
}

const char *nb_emit_transpose(NbEmit *e, const char *name, const char *x, int n, const int *perm) {
    int64_t order[NB_MAX_RANK] = {0};
    for (int i = 0; i < n; i++)
        order[i] = perm[i];
    const NbOnnxAttr attr = nb_attr_ints(e, "perm", n, order);
    return nb_emit_list(e, "Transpose", name, 1, &x, &attr);
}

const char *nb_emit_slice(NbEmit *e, const char *name, const char *x, const NbSliceAttr *slice) {
    const int64_t axis = slice->axis;
    const char *const in[5] = {
        x, nb_emit_ints(e, nb_emit_name(e, "%s/starts", name), 1, &slice->start),
        nb_emit_ints(e, nb_emit_name(e, "%s/ends", name), 1, &slice->stop),
        nb_emit_ints(e, nb_emit_name(e, "%s/axes", name), 1, &axis),
        slice->step == 1 ? ""
                         : nb_emit_ints(e, nb_emit_name(e, "%s/steps", name), 1, &slice->step)};
    return nb_emit_list(e, "Slice", name, slice->step == 1 ? 4 : 5, in, NULL);
}

const char *nb_emit_concat(NbEmit *e, const char *name, int axis, size_t n, const char *const *in) {
    const NbOnnxAttr attr = nb_attr_int("axis", axis);
    return n == 1 ? in[0] : nb_emit_list(e, "Concat", name, n, in, &attr);
}

const char *nb_emit_cast(NbEmit *e, const char *name, const char *x, int type) {
    const NbOnnxAttr attr = nb_attr_int("to", type);
    return nb_emit_list(e, "Cast", name, 1, &x, &attr);
}

/* ---- values ---- */

NbOnnxValue nb_emit_info(const char *name, int type, const NbShape *shape, const char *batch) {
    NbOnnxValue v = {.name = name,
                     .type = type,
                     .is_tensor = true,
                     .has_shape = true,
                     .rank = shape->rank,
                     .doc = ""};
    for (int i = 0; i < shape->rank; i++) {
        const bool named = i == 0 && *batch;
        v.dim[i] = (NbOnnxDim){.value = named ? -1 : shape->dim[i], .param = named ? batch : ""};
    }
    return v;
}

void nb_emit_value(NbEmit *e, const NbOnnxValue *value) {
    void *list = e->graph.value;
    if (!grow(e, &list, e->graph.n_values, &e->value_capacity, sizeof *value))
        return;
    e->graph.value = list;
    e->graph.value[e->graph.n_values++] = *value;
}

void nb_emit_rename(NbEmit *e, const char *from, const char *to) {
    for (size_t i = 0; i < e->graph.n_nodes; i++) {
        NbOnnxNode *const node = &e->graph.node[i];
        for (size_t k = 0; k < node->n_in; k++)
            if (strcmp(node->in[k], from) == 0)
                node->in[k] = to;
        for (size_t k = 0; k < node->n_out; k++)
            if (strcmp(node->out[k], from) == 0)
                node->out[k] = to;
    }
    for (size_t i = 0; i < e->graph.n_values; i++)
        if (strcmp(e->graph.value[i].name, from) == 0) /* outputs say their own types */
            e->graph.value[i] = e->graph.value[--e->graph.n_values];
}
