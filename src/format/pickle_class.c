/* SPDX-License-Identifier: Apache-2.0 */
#include "format/pickle_class.h"

#include "base/size.h"

#include <inttypes.h>
#include <string.h>

/* ---- what the listed functions build ---- */

static NB_FALLIBLE need(const NbPy *args, size_t i, NbPyKind kind, const char *what, NbError *err) {
    if (i < args->count && args->item[i]->kind == kind)
        return NB_OK;
    return nb_fail(NB_ERR_FORMAT, err, "argument %zu: %s expected", i + 1, what);
}

static NB_FALLIBLE read_dims(const NbPy *tuple, int64_t *out, NbError *err) {
    for (size_t i = 0; i < tuple->count; i++) {
        const NbPy *const v = tuple->item[i];
        if (v->kind != NB_PY_INT || v->integer < 0)
            return nb_fail(NB_ERR_FORMAT, err, "sizes and strides: integers of 0 or more expected");
        out[i] = v->integer;
    }
    return NB_OK;
}

/* The last element must lie in the storage, and there must not be more elements than it has: a
 * stride of 0 could make petabytes of one number. */
static NB_FALLIBLE check_view(const NbPyView *v, NbError *err) {
    size_t count = 0;
    size_t bytes = 0;
    char text[128];
    const size_t have = v->storage->count;
    if (!nb_shape_count_checked(&v->shape, 8, &count, &bytes) || count > have)
        return nb_fail(NB_ERR_FORMAT, err, "a tensor of shape %s on a storage of %zu elements",
                       nb_shape_text(&v->shape, text, sizeof text), have);
    int64_t last = v->offset;
    bool fits = true;
    for (int i = 0; count > 0 && i < v->shape.rank; i++) {
        int64_t step = 0;
        fits = fits && !__builtin_mul_overflow(v->shape.dim[i] - 1, v->stride[i], &step) &&
               !__builtin_add_overflow(last, step, &last);
    }
    if (!fits || (count > 0 && (uint64_t)last >= have) || (uint64_t)v->offset > have)
        return nb_fail(NB_ERR_FORMAT, err,
                       "a tensor of shape %s from element %" PRId64
                       " on leaves its storage of %zu elements",
                       nb_shape_text(&v->shape, text, sizeof text), v->offset, have);
    return NB_OK;
}

/* _rebuild_tensor_v2(storage, offset, sizes, strides, ...) */
static NB_FALLIBLE build_tensor(const NbPy *args, NbArena *arena, NbPy *out, NbError *err) {
    NbPyView *const v = NB_NEW(arena, NbPyView, 1);
    if (!v)
        return nb_fail_memory(err, "tensor");
    NB_TRY(need(args, 0, NB_PY_STORAGE, "a storage", err));
    NB_TRY(need(args, 1, NB_PY_INT, "an offset", err));
    NB_TRY(need(args, 2, NB_PY_TUPLE, "a tuple of sizes", err));
    NB_TRY(need(args, 3, NB_PY_TUPLE, "a tuple of strides", err));
    const size_t rank = args->item[2]->count;
    if (rank > NB_MAX_RANK || args->item[3]->count != rank)
        return nb_fail(NB_ERR_UNSUPPORTED, err,
                       "%zu sizes and %zu strides, as many of both and at most %d expected", rank,
                       args->item[3]->count, NB_MAX_RANK);
    v->storage = args->item[0];
    v->offset = args->item[1]->integer;
    v->shape.rank = (int)rank;
    if (v->offset < 0)
        return nb_fail(NB_ERR_FORMAT, err, "offset %" PRId64 ", 0 or more expected", v->offset);
    NB_TRY(read_dims(args->item[2], v->shape.dim, err));
    NB_TRY(read_dims(args->item[3], v->stride, err));
    for (size_t i = 0; i < rank; i++)
        if (v->shape.dim[i] <= 1)
            v->stride[i] = 0; /* never stepped over; files hold any number here */
    NB_TRY(check_view(v, err));
    *out = (NbPy){.kind = NB_PY_TENSOR, .view = v};
    return NB_OK;
}

/* _rebuild_parameter(tensor, ...) is its tensor. */
static NB_FALLIBLE build_parameter(const NbPy *args, NbArena *arena, NbPy *out, NbError *err) {
    (void)arena;
    NB_TRY(need(args, 0, NB_PY_TENSOR, "a tensor", err));
    *out = *args->item[0];
    return NB_OK;
}

static NB_FALLIBLE build_dict(const NbPy *args, NbArena *arena, NbPy *out, NbError *err) {
    (void)arena;
    if (args->count != 0)
        return nb_fail(NB_ERR_UNSUPPORTED, err, "%zu arguments, none expected", args->count);
    *out = (NbPy){.kind = NB_PY_DICT};
    return NB_OK;
}

/* set([...]), frozenset([...]), Size((...)): the items of one container, or none. */
static NB_FALLIBLE build_items(const NbPy *args, NbPyKind kind, NbArena *arena, NbPy *out,
                               NbError *err) {
    *out = (NbPy){.kind = kind};
    if (args->count == 0)
        return NB_OK;
    const NbPy *const from = args->item[0];
    if (args->count != 1 || (from->kind != NB_PY_LIST && from->kind != NB_PY_TUPLE))
        return nb_fail(NB_ERR_FORMAT, err, "one list or tuple expected");
    out->count = out->capacity = from->count;
    out->item = NB_NEW(arena, NbPy *, from->count);
    if (!out->item)
        return nb_fail_memory(err, "pickle");
    if (from->count)
        memcpy(out->item, from->item, from->count * sizeof *from->item);
    return NB_OK;
}

static NB_FALLIBLE build_set(const NbPy *args, NbArena *arena, NbPy *out, NbError *err) {
    return build_items(args, NB_PY_SET, arena, out, err);
}

static NB_FALLIBLE build_size(const NbPy *args, NbArena *arena, NbPy *out, NbError *err) {
    return build_items(args, NB_PY_TUPLE, arena, out, err);
}

/* encode(text, 'latin1'): how protocol 2 writes bytes. They stay as the text has them. */
static NB_FALLIBLE build_encoded(const NbPy *args, NbArena *arena, NbPy *out, NbError *err) {
    (void)arena;
    NB_TRY(need(args, 0, NB_PY_TEXT, "a text", err));
    *out = (NbPy){.kind = NB_PY_BYTES, .text = args->item[0]->text, .count = args->item[0]->count};
    return NB_OK;
}

/* Name and arguments, for what is of no use to a model but lies in its file. */
static NB_FALLIBLE build_record(const NbPy *args, NbArena *arena, NbPy *out, NbError *err) {
    (void)arena;
    (void)err;
    const char *const name = out->text;
    *out = (NbPy){.kind = NB_PY_RECORD, .text = name, .count = args->count};
    out->item = args->item;
    return NB_OK;
}

/* ---- the list ---- */

#define STORAGE(name, type)                                                                        \
    { "torch", name "Storage", type, true, false, NULL }
#define FUNCTION(module, name, function)                                                           \
    { module, name, NB_F32, false, false, function }
#define RECORDS(module, name)                                                                      \
    { module, name, NB_F32, false, true, NULL }
#define NAME(module, name)                                                                         \
    { module, name, NB_F32, false, false, NULL }

static const NbPyClass list[] = {
    STORAGE("Float", NB_F32),
    STORAGE("Double", NB_F64),
    STORAGE("Half", NB_F16),
    STORAGE("BFloat16", NB_BF16),
    STORAGE("Char", NB_I8),
    STORAGE("Byte", NB_U8),
    STORAGE("Short", NB_I16),
    STORAGE("Int", NB_I32),
    STORAGE("Long", NB_I64),
    STORAGE("Bool", NB_BOOL),
    FUNCTION("torch._utils", "_rebuild_tensor_v2", build_tensor),
    FUNCTION("torch._utils", "_rebuild_tensor", build_tensor),
    FUNCTION("torch._utils", "_rebuild_parameter", build_parameter),
    FUNCTION("torch._utils", "_rebuild_parameter_with_state", build_parameter),
    FUNCTION("torch", "Size", build_size),
    FUNCTION("collections", "OrderedDict", build_dict),
    FUNCTION("__builtin__", "dict", build_dict),
    FUNCTION("builtins", "dict", build_dict),
    FUNCTION("__builtin__", "set", build_set),
    FUNCTION("builtins", "set", build_set),
    FUNCTION("__builtin__", "frozenset", build_set),
    FUNCTION("builtins", "frozenset", build_set),
    FUNCTION("_codecs", "encode", build_encoded),
    FUNCTION("torch", "device", build_record),
    FUNCTION("numpy", "dtype", build_record),
    FUNCTION("numpy.core.multiarray", "scalar", build_record),
    FUNCTION("numpy.core.multiarray", "_reconstruct", build_record),
    FUNCTION("numpy._core.multiarray", "scalar", build_record),
    FUNCTION("numpy._core.multiarray", "_reconstruct", build_record),
    FUNCTION("pathlib", "PosixPath", build_record),
    FUNCTION("pathlib", "WindowsPath", build_record),
    NAME("numpy", "ndarray"),
    NAME("torch", "float32"),
    NAME("torch", "float16"),
    NAME("torch", "bfloat16"),
    RECORDS("argparse", "Namespace"),
    RECORDS("torch.nn.modules.*", "*"),
    RECORDS("models.*", "*"),      /* YOLOv5 and its descendants */
    RECORDS("ultralytics.*", "*"), /* YOLOv8 to v10 */
    RECORDS("brevitas.*", "*"),
};

static bool fits(const char *pattern, const char *text) {
    const size_t n = strlen(pattern);
    if (n > 0 && pattern[n - 1] == '*')
        return strncmp(pattern, text, n - 1) == 0;
    return strcmp(pattern, text) == 0;
}

const NbPyClass *nb_py_class_find(const char *module, const char *name) {
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        if (fits(list[i].module, module) && fits(list[i].name, name))
            return &list[i];
    return NULL;
}
