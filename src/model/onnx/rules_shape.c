/* SPDX-License-Identifier: Apache-2.0
 *
 * Rules for ONNX operators that move elements or make constants. */
#include "model/onnx/builder.h"

#include <inttypes.h>
#include <string.h>

enum { MAX_LIST = 4096 };

/* Integers that are at hand as constants, from an input or (in older operator sets) an attribute.
 */
static NB_FALLIBLE listed(NbOnnxBuilder *b, size_t i, const char *attr, int64_t *out, size_t *n,
                          NbError *err) {
    if (nb_ob_has(b, i))
        return nb_ob_ints(b, i, NB_MAX_RANK, out, n, err);
    return nb_ob_attr_ints(b, attr, NB_MAX_RANK, out, n, err);
}

static NbStatus reshape_rule(NbOnnxBuilder *b, int kind, NbError *err) {
    (void)kind;
    NbNodeId x = -1;
    int64_t dim[NB_MAX_RANK] = {0};
    size_t n = 0;
    NB_TRY(nb_ob_in(b, 0, &x, err));
    NB_TRY(listed(b, 1, "shape", dim, &n, err));
    const NbShape s = nb_ob_shape(b, x);
    const int64_t count = (int64_t)nb_shape_count(&s);
    int64_t known = 1;
    size_t rest = n;
    for (size_t d = 0; d < n; d++) {
        if (dim[d] == 0 && !nb_ob_attr_i(b, "allowzero", 0) && (int)d < s.rank)
            dim[d] = s.dim[d];
        if (dim[d] < -1 || (dim[d] == -1 && rest < n))
            return nb_fail(NB_ERR_FORMAT, err, "dimension %zu of the new shape is %" PRId64, d,
                           dim[d]);
        if (dim[d] == -1)
            rest = d;
        else if (__builtin_mul_overflow(known, dim[d], &known))
            return nb_fail(NB_ERR_FORMAT, err, "the new shape is too large");
    }
    if (rest < n)
        dim[rest] = known ? count / known : 0;
    NbShape to = nb_shape((int)n, dim);
    char text[2][96];
    if ((int64_t)nb_shape_count(&to) != count)
        return nb_fail(NB_ERR_FORMAT, err, "%s ('%s') cannot become %s",
                       nb_shape_text(&s, text[0], sizeof text[0]), b->node->in[0],
                       nb_shape_text(&to, text[1], sizeof text[1]));
    NB_TRY(nb_ob_reshape(b, x, (int)n, dim, &x, err));
    return nb_ob_out(b, 0, x, nb_ob_type(b, 0), err);
}

static NbStatus flatten_rule(NbOnnxBuilder *b, int kind, NbError *err) {
    (void)kind;
    NbNodeId x = -1;
    NB_TRY(nb_ob_in(b, 0, &x, err));
    const NbShape s = nb_ob_shape(b, x);
    int64_t axis = nb_ob_attr_i(b, "axis", 1);
    int64_t dim[2] = {1, 1};
    if (axis < -s.rank || axis > s.rank)
        return nb_fail(NB_ERR_FORMAT, err, "axis %" PRId64 " of %d dimensions", axis, s.rank);
    axis = axis < 0 ? axis + s.rank : axis;
    for (int d = 0; d < s.rank; d++)
        dim[d >= axis] *= s.dim[d];
    NB_TRY(nb_ob_reshape(b, x, 2, dim, &x, err));
    return nb_ob_out(b, 0, x, nb_ob_type(b, 0), err);
}

static NbStatus squeeze_rule(NbOnnxBuilder *b, int kind, NbError *err) {
    (void)kind;
    NbNodeId x = -1;
    int64_t axis[NB_MAX_RANK];
    int64_t dim[NB_MAX_RANK] = {0};
    size_t n = 0;
    unsigned axes = 0;
    int rank = 0;
    NB_TRY(nb_ob_in(b, 0, &x, err));
    NB_TRY(listed(b, 1, "axes", axis, &n, err));
    const NbShape s = nb_ob_shape(b, x);
    NB_TRY(nb_ob_axes(axis, n, s.rank, 0, &axes, err));
    for (int d = 0; d < s.rank; d++) {
        const bool gone = n ? axes >> d & 1U : s.dim[d] == 1;
        if (gone && s.dim[d] != 1)
            return nb_fail(NB_ERR_FORMAT, err, "dimension %d is %" PRId64 ", 1 expected", d,
                           s.dim[d]);
        if (!gone)
            dim[rank++] = s.dim[d];
    }
    NB_TRY(nb_ob_reshape(b, x, rank, dim, &x, err));
    return nb_ob_out(b, 0, x, nb_ob_type(b, 0), err);
}

static NbStatus unsqueeze_rule(NbOnnxBuilder *b, int kind, NbError *err) {
    (void)kind;
    NbNodeId x = -1;
    int64_t axis[NB_MAX_RANK];
    int64_t dim[NB_MAX_RANK] = {0};
    size_t n = 0;
    unsigned axes = 0;
    NB_TRY(nb_ob_in(b, 0, &x, err));
    NB_TRY(listed(b, 1, "axes", axis, &n, err));
    const NbShape s = nb_ob_shape(b, x);
    const int rank = s.rank + (int)n;
    if (rank > NB_MAX_RANK)
        return nb_fail(NB_ERR_UNSUPPORTED, err, "%d dimensions, at most %d expected", rank,
                       NB_MAX_RANK);
    NB_TRY(nb_ob_axes(axis, n, rank, 0, &axes, err));
    if (__builtin_popcount(axes) != (int)n)
        return nb_fail(NB_ERR_FORMAT, err, "an axis is named twice");
    for (int d = 0, from = 0; d < rank; d++)
        dim[d] = axes >> d & 1U ? 1 : s.dim[from++];
    NB_TRY(nb_ob_reshape(b, x, rank, dim, &x, err));
    return nb_ob_out(b, 0, x, nb_ob_type(b, 0), err);
}

static NbStatus transpose_rule(NbOnnxBuilder *b, int kind, NbError *err) {
    (void)kind;
    NbNodeId x = -1;
    int64_t perm[NB_MAX_RANK];
    int as_int[NB_MAX_RANK] = {0};
    size_t n = 0;
    NB_TRY(nb_ob_in(b, 0, &x, err));
    NB_TRY(nb_ob_attr_ints(b, "perm", NB_MAX_RANK, perm, &n, err));
    const int rank = nb_ob_shape(b, x).rank;
    if (n && (int)n != rank)
        return nb_fail(NB_ERR_FORMAT, err, "'perm' has %zu numbers, the input %d dimensions", n,
                       rank);
    for (int d = 0; d < rank; d++) {
        if (n && (perm[d] < 0 || perm[d] >= rank))
            return nb_fail(NB_ERR_FORMAT, err, "'perm' names dimension %" PRId64, perm[d]);
        as_int[d] = n ? (int)perm[d] : rank - 1 - d;
    }
    NB_TRY(nb_ob_transpose(b, x, as_int, &x, err));
    return nb_ob_out(b, 0, x, nb_ob_type(b, 0), err);
}

static NbStatus concat_rule(NbOnnxBuilder *b, int kind, NbError *err) {
    (void)kind;
    const size_t n = b->node->n_in;
    NbNodeId *x = NB_NEW(b->arena, NbNodeId, n);
    NbNodeId y = -1;
    NbAttr attr = {0};
    int count = 0;
    bool alike = true;
    if (!x || !n)
        return nb_fail(NB_ERR_FORMAT, err, "no inputs");
    NB_TRY(nb_ob_in(b, 0, &y, err));
    NB_TRY(nb_ob_axis(nb_ob_attr_i(b, "axis", 0), nb_ob_shape(b, y).rank, &attr.concat.axis, err));
    for (size_t i = 0; i < n; i++) {
        NB_TRY(nb_ob_in(b, i, &x[count], err));
        const NbShape s = nb_ob_shape(b, x[count]);
        if (!nb_shape_count(&s) && (i + 1 < n || count)) /* empty parts add nothing */
            continue;
        alike = nb_graph_same_scale(&b->g, x[0], x[count]) && alike;
        count++;
    }
    for (int i = 0; i < count && !alike; i++)
        NB_TRY(nb_ob_real(b, x[i], &x[i], err));
    y = x[0];
    if (count > 1)
        NB_TRY(nb_ob_add(b, NB_OP_CONCAT, &attr, count, x, &y, err));
    return nb_ob_out(b, 0, y, nb_ob_type(b, 0), err);
}

/* Elements start, start + step, ... (`n` of them) along an axis; step may be negative. */
static NB_FALLIBLE take(NbOnnxBuilder *b, NbNodeId x, int axis, const int64_t at[3], NbNodeId *id,
                        NbError *err) {
    const int64_t start = at[0];
    const int64_t step = at[1];
    const int64_t n = at[2];
    NbShape s = nb_ob_shape(b, x);
    *id = x;
    if (n == s.dim[axis] && start == 0 && step == 1)
        return NB_OK;
    if (n == 0) {
        s.dim[axis] = 0;
        return nb_ob_const(b, NULL, &s, id, err);
    }
    if (step > 0) {
        const NbAttr attr = {.slice = {axis, start, start + (n - 1) * step + 1, step}};
        return nb_ob_one(b, NB_OP_SLICE, &attr, x, id, err);
    }
    NbNodeId indices = -1;
    const NbShape shape = nb_shape(1, &n);
    const NbAttr attr = {.gather = {.kind = NB_GATHER_SLICES, .axis = axis}};
    NB_TRY(nb_ob_const(b, NULL, &shape, &indices, err));
    for (int64_t i = 0; i < n; i++)
        nb_f32(&b->g.node[indices].param)[i] = (float)(start + i * step);
    NB_TRY(nb_ob_real(b, x, &x, err));
    return nb_ob_add(b, NB_OP_GATHER, &attr, 2, (const NbNodeId[]){x, indices}, id, err);
}

static int64_t clamp(int64_t v, int64_t lo, int64_t hi) { return v < lo ? lo : v > hi ? hi : v; }

/* One axis of Slice, as NumPy counts. */
static NB_FALLIBLE slice_axis(NbOnnxBuilder *b, NbNodeId *x, int axis, int64_t start, int64_t end,
                              int64_t step, NbError *err) {
    const int64_t n = nb_ob_shape(b, *x).dim[axis];
    if (step == 0)
        return nb_fail(NB_ERR_FORMAT, err, "a step of 0");
    start = start < 0 ? start + n : start;
    end = end < 0 ? (end < -n ? -1 : end + n) : end;
    if (step > 0) {
        start = clamp(start, 0, n);
        end = clamp(end, 0, n);
    } else {
        start = clamp(start, -1, n - 1);
        end = clamp(end, -1, n - 1);
    }
    const int64_t span = step > 0 ? end - start : start - end;
    const int64_t size = step > 0 ? step : step == INT64_MIN ? INT64_MAX : -step;
    const int64_t count = span > 0 ? (span - 1) / size + 1 : 0;
    return take(b, *x, axis, (const int64_t[]){start, count > 1 ? step : 1, count}, x, err);
}

static NbStatus slice_rule(NbOnnxBuilder *b, int kind, NbError *err) {
    (void)kind;
    NbNodeId x = -1;
    int64_t list[4][NB_MAX_RANK] = {{0}};
    size_t n[4] = {0};
    static const char *const names[] = {"starts", "ends", "axes", "steps"};
    NB_TRY(nb_ob_in(b, 0, &x, err));
    for (size_t k = 0; k < 4; k++)
        NB_TRY(listed(b, k + 1, names[k], list[k], &n[k], err));
    if (n[0] != n[1] || (n[2] && n[2] != n[0]) || (n[3] && n[3] != n[0]))
        return nb_fail(NB_ERR_FORMAT, err, "%zu starts, %zu ends, %zu axes, %zu steps", n[0], n[1],
                       n[2], n[3]);
    for (size_t i = 0; i < n[0]; i++) {
        int axis = 0;
        NB_TRY(nb_ob_axis(n[2] ? list[2][i] : (int64_t)i, nb_ob_shape(b, x).rank, &axis, err));
        NB_TRY(slice_axis(b, &x, axis, list[0][i], list[1][i], n[3] ? list[3][i] : 1, err));
    }
    return nb_ob_out(b, 0, x, nb_ob_type(b, 0), err);
}

static NbStatus split_rule(NbOnnxBuilder *b, int kind, NbError *err) {
    (void)kind;
    static const size_t most = MAX_LIST;
    int64_t *part = NB_NEW(b->arena, int64_t, most);
    NbNodeId x = -1;
    size_t n = 0;
    int axis = 0;
    if (!part)
        return nb_fail_memory(err, "parts");
    NB_TRY(nb_ob_in(b, 0, &x, err));
    NB_TRY(nb_ob_axis(nb_ob_attr_i(b, "axis", 0), nb_ob_shape(b, x).rank, &axis, err));
    const int64_t whole = nb_ob_shape(b, x).dim[axis];
    const size_t outputs = b->node->n_out;
    if (nb_ob_has(b, 1))
        NB_TRY(nb_ob_ints(b, 1, most, part, &n, err));
    else
        NB_TRY(nb_ob_attr_ints(b, "split", most, part, &n, err));
    if (outputs > most || (n && n != outputs) || !outputs)
        return nb_fail(NB_ERR_FORMAT, err, "%zu outputs, %zu parts", outputs, n);
    const int64_t each = (whole + (int64_t)outputs - 1) / (int64_t)outputs;
    int64_t start = 0;
    for (size_t k = 0; k < outputs; k++) {
        NbNodeId y = -1;
        const int64_t size = n ? part[k] : clamp(whole - start, 0, each);
        if (size < 0 || size > whole - start)
            return nb_fail(NB_ERR_FORMAT, err, "part %zu of %" PRId64 " elements, %" PRId64 " left",
                           k, size, whole - start);
        NB_TRY(take(b, x, axis, (const int64_t[]){start, 1, size}, &y, err));
        NB_TRY(nb_ob_out(b, k, y, nb_ob_type(b, 0), err));
        start += size;
    }
    if (start != whole)
        return nb_fail(NB_ERR_FORMAT, err, "the parts hold %" PRId64 " of %" PRId64 " elements",
                       start, whole);
    return NB_OK;
}

static NbStatus gather_rule(NbOnnxBuilder *b, int kind, NbError *err) {
    NbNodeId x[2] = {-1, -1};
    NbNodeId y = -1;
    NbAttr attr = {.gather = {.kind = (NbGatherKind)kind}};
    NB_TRY(nb_ob_in(b, 0, &x[0], err));
    NB_TRY(nb_ob_real(b, x[0], &x[0], err));
    NB_TRY(nb_ob_in(b, 1, &x[1], err));
    if (kind == NB_GATHER_ND && nb_ob_attr_i(b, "batch_dims", 0))
        return nb_fail(NB_ERR_UNSUPPORTED, err, "GatherND with batch dimensions");
    if (kind != NB_GATHER_ND)
        NB_TRY(nb_ob_axis(nb_ob_attr_i(b, "axis", 0), nb_ob_shape(b, x[0]).rank, &attr.gather.axis,
                          err));
    NB_TRY(nb_ob_add(b, NB_OP_GATHER, &attr, 2, x, &y, err));
    return nb_ob_out(b, 0, y, nb_ob_type(b, 0), err);
}

static NbStatus shape_rule(NbOnnxBuilder *b, int size, NbError *err) {
    NbNodeId x = -1;
    NbNodeId y = -1;
    NB_TRY(nb_ob_in(b, 0, &x, err));
    const NbShape s = nb_ob_shape(b, x);
    if (size) {
        NB_TRY(nb_ob_scalar(b, (float)nb_shape_count(&s), &y, err));
        return nb_ob_out(b, 0, y, NB_ONNX_INT64, err);
    }
    int64_t start = nb_ob_attr_i(b, "start", 0);
    int64_t end = nb_ob_attr_i(b, "end", s.rank);
    start = clamp(start < 0 ? start + s.rank : start, 0, s.rank);
    end = clamp(end < 0 ? end + s.rank : end, 0, s.rank);
    const NbShape shape = nb_shape(1, (const int64_t[]){end > start ? end - start : 0});
    NB_TRY(nb_ob_const(b, NULL, &shape, &y, err));
    for (int64_t d = start; d < end; d++)
        nb_f32(&b->g.node[y].param)[d - start] = (float)s.dim[d];
    return nb_ob_out(b, 0, y, NB_ONNX_INT64, err);
}

static NB_FALLIBLE constant_list(NbOnnxBuilder *b, const NbOnnxAttr *a, NbNodeId *id, int *type,
                                 NbError *err) {
    const bool floats = a->kind == NB_ONNX_ATTR_FLOATS || a->kind == NB_ONNX_ATTR_FLOAT;
    const bool list = a->kind == NB_ONNX_ATTR_FLOATS || a->kind == NB_ONNX_ATTR_INTS;
    NbShape shape = {.rank = list, .dim = {(int64_t)a->n}};
    NB_TRY(nb_ob_const(b, NULL, &shape, id, err));
    float *to = nb_f32(&b->g.node[*id].param);
    if (!list)
        *to = floats ? a->f : (float)a->i;
    for (size_t i = 0; i < a->n; i++)
        to[i] = floats ? a->floats[i] : (float)a->ints[i];
    *type = floats ? NB_ONNX_FLOAT : NB_ONNX_INT64;
    return NB_OK;
}

static NbStatus constant_rule(NbOnnxBuilder *b, int kind, NbError *err) {
    (void)kind;
    const NbOnnxAttr *a = b->node->n_attrs ? &b->node->attr[0] : NULL;
    NbNodeId y = -1;
    int type = NB_ONNX_FLOAT;
    if (a && a->kind == NB_ONNX_ATTR_TENSOR) {
        NbTensor t;
        type = a->t->type;
        NB_TRY(nb_onnx_real(a->t, b->arena, &t, err));
        NB_TRY(nb_ob_const(b, nb_f32(&t), &t.shape, &y, err));
    } else if (a && (a->kind == NB_ONNX_ATTR_FLOAT || a->kind == NB_ONNX_ATTR_FLOATS ||
                     a->kind == NB_ONNX_ATTR_INT || a->kind == NB_ONNX_ATTR_INTS)) {
        NB_TRY(constant_list(b, a, &y, &type, err));
    } else {
        return nb_fail(NB_ERR_UNSUPPORTED, err, "a constant that is no tensor and no numbers");
    }
    return nb_ob_out(b, 0, y, type, err);
}

/* x broadcast to a shape, which may be empty. */
static NB_FALLIBLE expand(NbOnnxBuilder *b, NbNodeId x, const NbShape *to, NbNodeId *id,
                          NbError *err) {
    NbAttr attr = {.expand = {.n = to->rank}};
    memcpy(attr.expand.dim, to->dim, sizeof to->dim);
    if (nb_shape_count(to) == 0)
        return nb_ob_const(b, NULL, to, id, err);
    NB_TRY(nb_ob_real(b, x, &x, err));
    return nb_ob_one(b, NB_OP_EXPAND, &attr, x, id, err);
}

static NbStatus expand_rule(NbOnnxBuilder *b, int constant, NbError *err) {
    NbNodeId x = -1;
    NbShape to = {0};
    size_t n = 0;
    int type = nb_ob_type(b, 0);
    NB_TRY(nb_ob_ints(b, constant ? 0 : 1, NB_MAX_RANK, to.dim, &n, err));
    to.rank = (int)n;
    for (size_t d = 0; d < n; d++)
        if (to.dim[d] < 0 || to.dim[d] > (int64_t)1 << 32)
            return nb_fail(NB_ERR_FORMAT, err, "dimension %zu is %" PRId64, d, to.dim[d]);
    if (constant) {
        const NbOnnxAttr *a = nb_onnx_attr(b->node, "value");
        NbTensor t = {0};
        float value = 0.0F;
        type = a && a->t ? a->t->type : NB_ONNX_FLOAT;
        if (a && a->t)
            NB_TRY(nb_onnx_real(a->t, b->arena, &t, err));
        if (t.data && nb_tensor_count(&t) == 1)
            value = nb_f32(&t)[0];
        NB_TRY(nb_ob_scalar(b, value, &x, err));
    } else {
        NB_TRY(nb_ob_in(b, 0, &x, err));
    }
    NB_TRY(expand(b, x, &to, &x, err));
    return nb_ob_out(b, 0, x, type, err);
}

/* [d] becomes [1, d], is broadcast to [r, d] and joined. */
static NbStatus tile_rule(NbOnnxBuilder *b, int kind, NbError *err) {
    (void)kind;
    NbNodeId x = -1;
    int64_t repeat[NB_MAX_RANK];
    size_t n = 0;
    NB_TRY(nb_ob_in(b, 0, &x, err));
    NB_TRY(nb_ob_ints(b, 1, NB_MAX_RANK, repeat, &n, err));
    NbShape s = nb_ob_shape(b, x);
    if ((int)n != s.rank)
        return nb_fail(NB_ERR_FORMAT, err, "%zu repeats of %d dimensions", n, s.rank);
    for (int d = 0; d < s.rank; d++) {
        if (repeat[d] == 1)
            continue;
        if (repeat[d] < 0 || s.rank == NB_MAX_RANK)
            return nb_fail(NB_ERR_UNSUPPORTED, err, "%" PRId64 " repeats of dimension %d of %d",
                           repeat[d], d, s.rank);
        NbShape wide = {.rank = s.rank + 1};
        for (int k = 0; k < wide.rank; k++)
            wide.dim[k] = k < d ? s.dim[k] : k == d ? 1 : s.dim[k - 1];
        NB_TRY(nb_ob_reshape(b, x, wide.rank, wide.dim, &x, err));
        wide.dim[d] = repeat[d];
        NB_TRY(expand(b, x, &wide, &x, err));
        s.dim[d] *= repeat[d];
        NB_TRY(nb_ob_reshape(b, x, s.rank, s.dim, &x, err));
    }
    return nb_ob_out(b, 0, x, nb_ob_type(b, 0), err);
}

static NB_FALLIBLE pad_numbers(NbOnnxBuilder *b, int rank, NbPadAttr *a, NbError *err) {
    int64_t pads[2 * NB_MAX_RANK];
    int64_t axis[NB_MAX_RANK];
    size_t n = 0;
    size_t n_axes = 0;
    if (nb_ob_has(b, 1))
        NB_TRY(nb_ob_ints(b, 1, (size_t)2 * NB_MAX_RANK, pads, &n, err));
    else
        NB_TRY(nb_ob_attr_ints(b, "pads", (size_t)2 * NB_MAX_RANK, pads, &n, err));
    if (nb_ob_has(b, 3))
        NB_TRY(nb_ob_ints(b, 3, NB_MAX_RANK, axis, &n_axes, err));
    const size_t dims = n_axes ? n_axes : (size_t)rank;
    if (n != 2 * dims)
        return nb_fail(NB_ERR_FORMAT, err, "%zu numbers to pad %zu dimensions", n, dims);
    for (size_t i = 0; i < dims; i++) {
        int d = (int)i;
        if (n_axes)
            NB_TRY(nb_ob_axis(axis[i], rank, &d, err));
        a->before[d] = pads[i];
        a->after[d] = pads[dims + i];
    }
    return NB_OK;
}

static NbStatus pad_rule(NbOnnxBuilder *b, int kind, NbError *err) {
    (void)kind;
    static const char *const modes[] = {"constant", "edge", "reflect", "wrap"};
    const char *mode = nb_ob_attr_s(b, "mode", "constant");
    NbNodeId x = -1;
    NbAttr attr = {.pad_nd = {.value = nb_ob_attr_f(b, "value", 0.0F)}};
    int found = 4;
    for (int i = 0; i < 4; i++)
        if (strcmp(mode, modes[i]) == 0)
            found = i;
    if (found == 4)
        return nb_fail(NB_ERR_UNSUPPORTED, err, "mode '%s'", mode);
    attr.pad_nd.mode = found == 1   ? NB_PAD_EDGE
                       : found == 2 ? NB_PAD_REFLECT
                       : found == 3 ? NB_PAD_WRAP
                                    : NB_PAD_CONSTANT;
    NB_TRY(nb_ob_in(b, 0, &x, err));
    NB_TRY(nb_ob_real(b, x, &x, err));
    NB_TRY(pad_numbers(b, nb_ob_shape(b, x).rank, &attr.pad_nd, err));
    if (nb_ob_has(b, 2)) {
        const float *value = NULL;
        size_t n = 0;
        NB_TRY(nb_ob_numbers(b, 2, &value, &n, err));
        attr.pad_nd.value = n ? value[0] : 0.0F;
    }
    NB_TRY(nb_ob_one(b, NB_OP_PAD_ND, &attr, x, &x, err));
    return nb_ob_out(b, 0, x, nb_ob_type(b, 0), err);
}

static NbStatus range_rule(NbOnnxBuilder *b, int kind, NbError *err) {
    (void)kind;
    float v[3] = {0};
    NbNodeId y = -1;
    for (size_t i = 0; i < 3; i++) {
        const float *data = NULL;
        size_t n = 0;
        NB_TRY(nb_ob_numbers(b, i, &data, &n, err));
        if (n != 1)
            return nb_fail(NB_ERR_FORMAT, err, "input %zu has %zu numbers, 1 expected", i, n);
        v[i] = data[0];
    }
    const double steps = ((double)v[1] - (double)v[0]) / (double)v[2];
    if (!(steps < 16777216.0))
        return nb_fail(NB_ERR_UNSUPPORTED, err, "%g numbers", steps);
    const int64_t whole = (int64_t)steps;
    const int64_t n = steps > 0.0 ? whole + ((double)whole < steps) : 0;
    const NbShape shape = nb_shape(1, &n);
    NB_TRY(nb_ob_const(b, NULL, &shape, &y, err));
    for (int64_t i = 0; i < n; i++)
        nb_f32(&b->g.node[y].param)[i] = (float)((double)v[0] + (double)i * (double)v[2]);
    return nb_ob_out(b, 0, y, nb_ob_type(b, 0), err);
}

static NbStatus topk_rule(NbOnnxBuilder *b, int kind, NbError *err) {
    (void)kind;
    NbNodeId x = -1;
    NbAttr attr = {
        .topk = {.k = nb_ob_attr_i(b, "k", 0), .smallest = !nb_ob_attr_i(b, "largest", 1)}};
    NB_TRY(nb_ob_in(b, 0, &x, err));
    NB_TRY(nb_ob_real(b, x, &x, err));
    NB_TRY(nb_ob_axis(nb_ob_attr_i(b, "axis", -1), nb_ob_shape(b, x).rank, &attr.topk.axis, err));
    if (nb_ob_has(b, 1)) {
        size_t n = 0;
        NB_TRY(nb_ob_ints(b, 1, 1, &attr.topk.k, &n, err));
    }
    for (size_t k = 0; k < 2; k++) {
        NbNodeId y = -1;
        attr.topk.indices = k == 1;
        if (!nb_ob_wants(b, k))
            continue;
        NB_TRY(nb_ob_one(b, NB_OP_TOPK, &attr, x, &y, err));
        NB_TRY(nb_ob_out(b, k, y, k ? NB_ONNX_INT64 : nb_ob_type(b, 0), err));
    }
    return NB_OK;
}

/* DepthToSpace (DCR and CRD) and SpaceToDepth: cut, swap, join. */
static NbStatus blocks_rule(NbOnnxBuilder *b, int to_depth, NbError *err) {
    const int64_t f = nb_ob_attr_i(b, "blocksize", 0);
    const bool crd = strcmp(nb_ob_attr_s(b, "mode", "DCR"), "CRD") == 0;
    static const int perm[3][6] = {{0, 3, 4, 1, 5, 2}, {0, 1, 4, 2, 5, 3}, {0, 3, 5, 1, 2, 4}};
    NbNodeId x = -1;
    NB_TRY(nb_ob_in(b, 0, &x, err));
    const NbShape s = nb_ob_shape(b, x);
    if (s.rank != 4 || f < 1 || (to_depth ? s.dim[2] % f || s.dim[3] % f : s.dim[1] % (f * f)))
        return nb_fail(NB_ERR_FORMAT, err, "blocks of %" PRId64 " do not fit the input", f);
    const int64_t c = s.dim[1];
    const int64_t h = s.dim[2];
    const int64_t w = s.dim[3];
    const int64_t cut[3][6] = {{s.dim[0], f, f, c / (f * f), h, w},
                               {s.dim[0], c / (f * f), f, f, h, w},
                               {s.dim[0], c, h / f, f, w / f, f}};
    const int how = to_depth ? 2 : crd ? 1 : 0;
    const int64_t joined[4] = {s.dim[0], to_depth ? c * f * f : c / (f * f),
                               to_depth ? h / f : h * f, to_depth ? w / f : w * f};
    NB_TRY(nb_ob_reshape(b, x, 6, cut[how], &x, err));
    NB_TRY(nb_ob_transpose(b, x, perm[how], &x, err));
    NB_TRY(nb_ob_reshape(b, x, 4, joined, &x, err));
    return nb_ob_out(b, 0, x, nb_ob_type(b, 0), err);
}

const NbOnnxOp nb_onnx_shape_ops[] = {
    {"Reshape", reshape_rule, 0},
    {"Flatten", flatten_rule, 0},
    {"Squeeze", squeeze_rule, 0},
    {"Unsqueeze", unsqueeze_rule, 0},
    {"Transpose", transpose_rule, 0},
    {"Concat", concat_rule, 0},
    {"Slice", slice_rule, 0},
    {"Split", split_rule, 0},
    {"Gather", gather_rule, NB_GATHER_SLICES},
    {"GatherElements", gather_rule, NB_GATHER_ELEMENTS},
    {"GatherND", gather_rule, NB_GATHER_ND},
    {"Shape", shape_rule, 0},
    {"Size", shape_rule, 1},
    {"Constant", constant_rule, 0},
    {"ConstantOfShape", expand_rule, 1},
    {"Expand", expand_rule, 0},
    {"Tile", tile_rule, 0},
    {"Pad", pad_rule, 0},
    {"Range", range_rule, 0},
    {"TopK", topk_rule, 0},
    {"DepthToSpace", blocks_rule, 0},
    {"SpaceToDepth", blocks_rule, 1},
    {"", NULL, 0},
};
