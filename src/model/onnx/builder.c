/* SPDX-License-Identifier: Apache-2.0 */
#include "model/onnx/builder.h"

#include "base/size.h"
#include "graph/run.h"

#include <inttypes.h>
#include <string.h>

static size_t slot_of(const NbOnnxBuilder *b, const char *name) {
    uint64_t h = 1469598103934665603U; /* FNV-1a */
    for (const char *c = name; *c; c++)
        h = (h ^ (unsigned char)*c) * 1099511628211U;
    size_t slot = (size_t)(h % b->slots);
    while (b->table[slot] && strcmp(b->table[slot]->name, name) != 0)
        slot = (slot + 1) % b->slots;
    return slot;
}

NbOnnxVal *nb_ob_find(const NbOnnxBuilder *b, const char *name) {
    return b->table[slot_of(b, name)];
}

NbStatus nb_ob_define(NbOnnxBuilder *b, const char *name, NbOnnxVal **out, NbError *err) {
    const size_t slot = slot_of(b, name);
    if (b->table[slot])
        return nb_fail(NB_ERR_FORMAT, err, "the value '%s' is defined twice", name);
    NbOnnxVal *v = NB_NEW(b->arena, NbOnnxVal, 1);
    if (!v)
        return nb_fail_memory(err, name);
    *v = (NbOnnxVal){.name = name, .node = -1, .coded = -1, .real = -1, .scale = -1, .zero = -1};
    b->table[slot] = *out = v;
    return NB_OK;
}

static NB_FALLIBLE infer_one(NbOnnxBuilder *b, NbNodeId id, NbError *err) {
    NbNode *node = &b->g.node[id];
    NbShape shape = b->picture;
    size_t count = 0;
    size_t bytes = 0;
    NB_TRY(nb_op_def(node->op)->infer(&b->g, node, &shape, err));
    if (!nb_shape_count_checked(&shape, sizeof(double), &count, &bytes) || bytes >> 36)
        return nb_fail(NB_ERR_FORMAT, err, "an output of more than 2^33 elements");
    node->shape = shape;
    nb_graph_set_kind(&b->g, id);
    return NB_OK;
}

/* Whether a node may be computed now. */
static bool is_settled(const NbOnnxBuilder *b, NbNodeId id) {
    const NbNode *node = &b->g.node[id];
    if (node->op == NB_OP_INPUT || node->op == NB_OP_PARAM || node->op == NB_OP_QUANTIZE)
        return false;
    for (int i = 0; i < node->n_in; i++)
        if (!nb_ob_is_const(b, node->in[i]))
            return false;
    return true;
}

/* Replaces a node of constants by its value. */
static NB_FALLIBLE settle(NbOnnxBuilder *b, NbNodeId id, NbError *err) {
    const NbArenaMark mark = nb_arena_mark(&b->scratch);
    NbNode *node = &b->g.node[id];
    NbRun run = {.g = &b->g, .mode = NB_RUN_EVAL, .quantizers = true, .arena = &b->scratch};
    run.value = NB_NEW(&b->scratch, NbValue, (size_t)b->g.n_nodes);
    run.real = NB_NEW(&b->scratch, const float *, (size_t)b->g.n_nodes);
    const float *real = NULL;
    NbTensor param;
    if (!run.value || !run.real)
        return nb_fail_memory(err, "constants");
    for (int i = 0; i < node->n_in; i++)
        run.value[node->in[i]] = (NbValue){.t = b->g.node[node->in[i]].param};
    NB_TRY(nb_op_def(node->op)->forward(&run, id, err));
    NB_TRY(nb_value_real(&run.value[id], &b->scratch, &real, err));
    NB_TRY(nb_tensor_new(b->arena, NB_F32, &run.value[id].t.shape, &param, err));
    if (nb_tensor_count(&param))
        memcpy(param.data, real, nb_tensor_count(&param) * sizeof *real);
    node->op = NB_OP_PARAM;
    node->n_in = 0;
    node->attr = (NbAttr){.param = {.role = NB_PARAM_CONST, .frozen = true}};
    node->param = param;
    node->shape = param.shape;
    nb_graph_set_kind(&b->g, id);
    nb_arena_rewind(&b->scratch, mark);
    return NB_OK;
}

static NB_FALLIBLE fresh_name(NbOnnxBuilder *b, const char **out, NbError *err) {
    const char *base = b->node && b->node->n_out ? b->node->out[0] : "constant";
    *out = nb_arena_printf(b->arena, "%s#%d", base, b->fresh++);
    return *out ? NB_OK : nb_fail_memory(err, "a name");
}

NbStatus nb_ob_add(NbOnnxBuilder *b, NbOp op, const NbAttr *attr, int n, const NbNodeId *in,
                   NbNodeId *id, NbError *err) {
    const char *name = NULL;
    NB_TRY(fresh_name(b, &name, err));
    NB_TRY(nb_graph_add(&b->g, op, name, n, in, attr, id, err));
    NB_TRY(infer_one(b, *id, err));
    for (int i = 0; op == NB_OP_NMS ? false : i < n; i++)
        if (b->g.node[in[i]].op == NB_OP_NMS)
            return nb_fail(NB_ERR_UNSUPPORTED, err,
                           "computing with the result of NonMaxSuppression, whose length is known "
                           "only afterwards");
    return is_settled(b, *id) ? settle(b, *id, err) : NB_OK;
}

NbStatus nb_ob_one(NbOnnxBuilder *b, NbOp op, const NbAttr *attr, NbNodeId x, NbNodeId *id,
                   NbError *err) {
    return nb_ob_add(b, op, attr, 1, &x, id, err);
}

NbStatus nb_ob_two(NbOnnxBuilder *b, NbOp op, NbNodeId x, NbNodeId y, NbNodeId *id, NbError *err) {
    return nb_ob_add(b, op, NULL, 2, (const NbNodeId[]){x, y}, id, err);
}

NbStatus nb_ob_map(NbOnnxBuilder *b, NbMapKind kind, NbNodeId x, NbNodeId *id, NbError *err) {
    const NbAttr attr = {.map = {.kind = kind}};
    return nb_ob_add(b, NB_OP_MAP, &attr, 1, &x, id, err);
}

NbStatus nb_ob_combine(NbOnnxBuilder *b, NbCombineKind kind, NbNodeId x, NbNodeId y, NbNodeId *id,
                       NbError *err) {
    const NbAttr attr = {.combine = {.kind = kind}};
    return nb_ob_add(b, NB_OP_COMBINE, &attr, 2, (const NbNodeId[]){x, y}, id, err);
}

/* A first dimension that stays is written as one that stays, so that other batches fit too. */
NbStatus nb_ob_reshape(NbOnnxBuilder *b, NbNodeId x, int n, const int64_t *dim, NbNodeId *id,
                       NbError *err) {
    const NbShape from = nb_ob_shape(b, x);
    NbAttr attr = {.reshape = {.n = n}};
    bool empty = false;
    if (n > NB_MAX_RANK)
        return nb_fail(NB_ERR_UNSUPPORTED, err, "%d dimensions, at most %d expected", n,
                       NB_MAX_RANK);
    for (int d = 0; d < n; d++) {
        attr.reshape.dim[d] = dim[d];
        empty = empty || dim[d] == 0;
    }
    if (empty || nb_shape_count(&from) == 0) {
        const NbShape to = nb_shape(n, dim);
        return nb_ob_const(b, NULL, &to, id, err);
    }
    if (n > 1 && from.rank > 1 && dim[0] == from.dim[0] && !nb_ob_is_const(b, x))
        attr.reshape.dim[0] = 0;
    return nb_ob_add(b, NB_OP_RESHAPE, &attr, 1, &x, id, err);
}

NbStatus nb_ob_transpose(NbOnnxBuilder *b, NbNodeId x, const int *perm, NbNodeId *id,
                         NbError *err) {
    NbAttr attr = {.transpose = {{0}}};
    bool same = true;
    for (int d = 0; d < nb_ob_shape(b, x).rank; d++) {
        attr.transpose.perm[d] = perm[d];
        same = same && perm[d] == d;
    }
    *id = x;
    return same ? NB_OK : nb_ob_add(b, NB_OP_TRANSPOSE, &attr, 1, &x, id, err);
}

NbStatus nb_ob_reduce(NbOnnxBuilder *b, NbReduceKind kind, NbNodeId x, unsigned axes, bool keep,
                      NbNodeId *id, NbError *err) {
    const NbAttr attr = {.reduce = {.kind = kind, .axes = axes, .keep = keep}};
    return nb_ob_add(b, NB_OP_REDUCE, &attr, 1, &x, id, err);
}

NbStatus nb_ob_real(NbOnnxBuilder *b, NbNodeId x, NbNodeId *id, NbError *err) {
    *id = x;
    return b->g.node[x].kind == NB_VALUE_CODED ? nb_ob_map(b, NB_MAP_IDENTITY, x, id, err) : NB_OK;
}

NbStatus nb_ob_const(NbOnnxBuilder *b, const float *data, const NbShape *shape, NbNodeId *id,
                     NbError *err) {
    const char *name = NULL;
    NB_TRY(fresh_name(b, &name, err));
    NB_TRY(nb_graph_add_param(&b->g, name, NB_PARAM_CONST, NB_F32, shape, id, err));
    b->g.node[*id].attr.param.frozen = true;
    const size_t n = nb_shape_count(shape);
    if (n && data)
        memcpy(b->g.node[*id].param.data, data, n * sizeof *data);
    return NB_OK;
}

NbStatus nb_ob_scalar(NbOnnxBuilder *b, float value, NbNodeId *id, NbError *err) {
    const NbShape shape = {0};
    return nb_ob_const(b, &value, &shape, id, err);
}

bool nb_ob_has(const NbOnnxBuilder *b, size_t i) { return i < b->node->n_in && *b->node->in[i]; }

bool nb_ob_wants(const NbOnnxBuilder *b, size_t k) {
    return k < b->node->n_out && *b->node->out[k];
}

NbStatus nb_ob_val(NbOnnxBuilder *b, size_t i, NbOnnxVal **out, NbError *err) {
    if (!nb_ob_has(b, i))
        return nb_fail(NB_ERR_FORMAT, err, "input %zu is missing", i);
    *out = nb_ob_find(b, b->node->in[i]);
    if (!*out)
        return nb_fail(NB_ERR_FORMAT, err, "input %zu, '%s', comes from no earlier node", i,
                       b->node->in[i]);
    return NB_OK;
}

NbStatus nb_ob_in(NbOnnxBuilder *b, size_t i, NbNodeId *id, NbError *err) {
    NbOnnxVal *v = NULL;
    NB_TRY(nb_ob_val(b, i, &v, err));
    *id = v->node;
    return NB_OK;
}

int nb_ob_type(const NbOnnxBuilder *b, size_t i) {
    const NbOnnxVal *v = nb_ob_has(b, i) ? nb_ob_find(b, b->node->in[i]) : NULL;
    return v ? v->type : NB_ONNX_UNDEFINED;
}

NbShape nb_ob_shape(const NbOnnxBuilder *b, NbNodeId id) { return b->g.node[id].shape; }

bool nb_ob_is_const(const NbOnnxBuilder *b, NbNodeId id) { return b->g.node[id].op == NB_OP_PARAM; }

NbStatus nb_ob_numbers(NbOnnxBuilder *b, size_t i, const float **data, size_t *n, NbError *err) {
    NbOnnxVal *v = NULL;
    NbTensor t;
    NB_TRY(nb_ob_val(b, i, &v, err));
    if (nb_ob_is_const(b, v->node)) {
        t = b->g.node[v->node].param;
    } else if (v->bound) {
        NB_TRY(nb_onnx_real(v->bound, b->arena, &t, err));
    } else {
        return nb_fail(NB_ERR_UNSUPPORTED, err,
                       "input %zu, '%s', decides a shape or an attribute and is not constant", i,
                       v->name);
    }
    *data = nb_f32(&t);
    *n = nb_tensor_count(&t);
    return NB_OK;
}

NbStatus nb_ob_ints(NbOnnxBuilder *b, size_t i, size_t most, int64_t *out, size_t *n,
                    NbError *err) {
    const float *data = NULL;
    NB_TRY(nb_ob_numbers(b, i, &data, n, err));
    if (*n > most)
        return nb_fail(NB_ERR_UNSUPPORTED, err, "input %zu has %zu numbers, at most %zu expected",
                       i, *n, most);
    if (*n)
        nb_convert(data, NB_F32, out, NB_I64, *n);
    return NB_OK;
}

NbStatus nb_ob_out(NbOnnxBuilder *b, size_t k, NbNodeId id, int type, NbError *err) {
    NbOnnxVal *v = NULL;
    if (!nb_ob_wants(b, k))
        return NB_OK;
    NB_TRY(nb_ob_define(b, b->node->out[k], &v, err));
    v->node = id;
    v->type = type;
    return NB_OK;
}

int64_t nb_ob_attr_i(const NbOnnxBuilder *b, const char *name, int64_t otherwise) {
    const NbOnnxAttr *a = nb_onnx_attr(b->node, name);
    return a && a->kind == NB_ONNX_ATTR_INT ? a->i : otherwise;
}

float nb_ob_attr_f(const NbOnnxBuilder *b, const char *name, float otherwise) {
    const NbOnnxAttr *a = nb_onnx_attr(b->node, name);
    return a && a->kind == NB_ONNX_ATTR_FLOAT ? a->f : otherwise;
}

const char *nb_ob_attr_s(const NbOnnxBuilder *b, const char *name, const char *otherwise) {
    const NbOnnxAttr *a = nb_onnx_attr(b->node, name);
    return a && a->kind == NB_ONNX_ATTR_STRING ? a->s.data : otherwise;
}

NbStatus nb_ob_attr_ints(const NbOnnxBuilder *b, const char *name, size_t most, int64_t *out,
                         size_t *n, NbError *err) {
    const NbOnnxAttr *a = nb_onnx_attr(b->node, name);
    *n = 0;
    if (!a || a->kind != NB_ONNX_ATTR_INTS)
        return NB_OK;
    if (a->n > most)
        return nb_fail(NB_ERR_UNSUPPORTED, err, "'%s' has %zu numbers, at most %zu expected", name,
                       a->n, most);
    if (a->n)
        memcpy(out, a->ints, a->n * sizeof *out);
    *n = a->n;
    return NB_OK;
}

NbStatus nb_ob_axis(int64_t axis, int rank, int *out, NbError *err) {
    if (axis < -rank || axis >= rank)
        return nb_fail(NB_ERR_FORMAT, err, "axis %" PRId64 " of %d dimensions", axis, rank);
    *out = (int)(axis < 0 ? axis + rank : axis);
    return NB_OK;
}

NbStatus nb_ob_axes(const int64_t *axis, size_t n, int rank, unsigned otherwise, unsigned *out,
                    NbError *err) {
    *out = n ? 0 : otherwise;
    for (size_t i = 0; i < n; i++) {
        int d = 0;
        NB_TRY(nb_ob_axis(axis[i], rank, &d, err));
        *out |= 1U << d;
    }
    return NB_OK;
}
