/* SPDX-License-Identifier: Apache-2.0 */
#include "format/onnx_tensor.h"

#include "base/size.h"
#include "base/text.h"

#include <inttypes.h>
#include <string.h>

/* The message as it stands in the file. */
typedef struct Wire {
    int64_t *dim;
    size_t n_dims;
    int type;
    size_t segments;
    float *f32;
    size_t n_f32;
    int64_t *i32;
    size_t n_i32;
    NbBytes *string;
    size_t n_strings;
    int64_t *i64;
    size_t n_i64;
    const char *name;
    NbBytes raw;
    size_t n_raw;
    double *f64;
    size_t n_f64;
    int64_t *u64;
    size_t n_u64;
    const char *doc;
    NbOnnxEntry *external;
    size_t n_external;
    int location;
} Wire;

NbStatus nb_onnx_pb_entry(NbPbWalk *walk, NbPb message, void *out, NbError *err) {
    static const NbPbField fields[] = {
        {"key", 1, NB_PB_TEXT, offsetof(NbOnnxEntry, key), 0, 0, NULL},
        {"value", 2, NB_PB_TEXT, offsetof(NbOnnxEntry, value), 0, 0, NULL},
    };
    return nb_pb_read(walk, message, fields, sizeof fields / sizeof *fields, out, err);
}

static NB_FALLIBLE read_wire(NbPbWalk *walk, NbPb message, Wire *out, NbError *err) {
    static const NbPbField fields[] = {
        {"dims", 1, NB_PB_I64S, offsetof(Wire, dim), offsetof(Wire, n_dims), 0, NULL},
        {"data_type", 2, NB_PB_I32, offsetof(Wire, type), 0, 0, NULL},
        {"segment", 3, NB_PB_COUNT, offsetof(Wire, segments), 0, 0, NULL},
        {"float_data", 4, NB_PB_F32S, offsetof(Wire, f32), offsetof(Wire, n_f32), 0, NULL},
        {"int32_data", 5, NB_PB_I64S, offsetof(Wire, i32), offsetof(Wire, n_i32), 0, NULL},
        {"string_data", 6, NB_PB_BYTESES, offsetof(Wire, string), offsetof(Wire, n_strings), 0,
         NULL},
        {"int64_data", 7, NB_PB_I64S, offsetof(Wire, i64), offsetof(Wire, n_i64), 0, NULL},
        {"name", 8, NB_PB_TEXT, offsetof(Wire, name), 0, 0, NULL},
        {"raw_data", 9, NB_PB_BYTES, offsetof(Wire, raw), 0, 0, NULL},
        {"double_data", 10, NB_PB_F64S, offsetof(Wire, f64), offsetof(Wire, n_f64), 0, NULL},
        {"uint64_data", 11, NB_PB_I64S, offsetof(Wire, u64), offsetof(Wire, n_u64), 0, NULL},
        {"doc_string", 12, NB_PB_TEXT, offsetof(Wire, doc), 0, 0, NULL},
        {"external_data", 13, NB_PB_MESSAGES, offsetof(Wire, external), offsetof(Wire, n_external),
         sizeof(NbOnnxEntry), nb_onnx_pb_entry},
        {"data_location", 14, NB_PB_I32, offsetof(Wire, location), 0, 0, NULL},
    };
    return nb_pb_read(walk, message, fields, sizeof fields / sizeof *fields, out, err);
}

static NB_FALLIBLE set_shape(const Wire *w, NbOnnxTensor *t, size_t *count, NbError *err) {
    size_t bytes = 0;
    char text[128];
    if (w->n_dims > NB_MAX_RANK)
        return nb_fail(NB_ERR_UNSUPPORTED, err, "%zu dimensions, at most %d expected", w->n_dims,
                       NB_MAX_RANK);
    t->shape = nb_shape((int)w->n_dims, w->dim);
    if (!nb_shape_count_checked(&t->shape, 16, count, &bytes))
        return nb_fail(NB_ERR_FORMAT, err, "no tensor can have the shape %s",
                       nb_shape_text(&t->shape, text, sizeof text));
    return NB_OK;
}

static NB_FALLIBLE check_count(const char *field, size_t found, size_t expected, NbError *err) {
    if (found == expected)
        return NB_OK;
    return nb_fail(NB_ERR_FORMAT, err, "%zu numbers in %s, %zu expected", found, field, expected);
}

/* The low bytes of each number, as raw_data has them. */
static NB_FALLIBLE narrow(NbArena *arena, const int64_t *from, size_t n, size_t each,
                          NbOnnxTensor *t, NbError *err) {
    char *to = nb_arena_take(arena, n, each);
    if (!to)
        return nb_fail_memory(err, "numbers of a tensor");
    for (size_t i = 0; i < n; i++)
        memcpy(to + i * each, &from[i], each);
    t->data = to;
    t->size = n * each;
    return NB_OK;
}

static NB_FALLIBLE take_strings(NbArena *arena, const Wire *w, size_t count, NbOnnxTensor *t,
                                NbError *err) {
    NB_TRY(check_count("string_data", w->n_strings, count, err));
    NbOnnxString *s = NB_NEW(arena, NbOnnxString, count);
    for (size_t i = 0; s && i < count; i++) {
        s[i].data = nb_arena_string_n(arena, (const char *)w->string[i].data, w->string[i].size);
        s[i].size = w->string[i].size;
        if (!s[i].data)
            return nb_fail_memory(err, "strings of a tensor");
    }
    t->string = s;
    return s ? NB_OK : nb_fail_memory(err, "strings of a tensor");
}

/* From the field that the schema names for the type. */
static NB_FALLIBLE take_typed(NbArena *arena, const Wire *w, size_t count, NbOnnxTensor *t,
                              NbError *err) {
    const int bits = nb_onnx_type_bits(w->type);
    switch (w->type) {
    case NB_ONNX_FLOAT:
    case NB_ONNX_COMPLEX64:
        count *= w->type == NB_ONNX_FLOAT ? 1 : 2;
        t->data = w->f32;
        t->size = count * sizeof(float);
        return check_count("float_data", w->n_f32, count, err);
    case NB_ONNX_DOUBLE:
    case NB_ONNX_COMPLEX128:
        count *= w->type == NB_ONNX_DOUBLE ? 1 : 2;
        t->data = w->f64;
        t->size = count * sizeof(double);
        return check_count("double_data", w->n_f64, count, err);
    case NB_ONNX_INT64:
        NB_TRY(check_count("int64_data", w->n_i64, count, err));
        return narrow(arena, w->i64, count, 8, t, err);
    case NB_ONNX_UINT32:
    case NB_ONNX_UINT64:
        NB_TRY(check_count("uint64_data", w->n_u64, count, err));
        return narrow(arena, w->u64, count, (size_t)bits / 8, t, err);
    default: break;
    }
    if (bits < 8) { /* each number holds the elements of one byte */
        count = (count * (size_t)bits + 7) / 8;
        NB_TRY(check_count("int32_data", w->n_i32, count, err));
        return narrow(arena, w->i32, count, 1, t, err);
    }
    NB_TRY(check_count("int32_data", w->n_i32, count, err));
    return narrow(arena, w->i32, count, (size_t)bits / 8, t, err);
}

/* Points to the bytes, or copies them when they do not lie at a multiple of their element. */
static NB_FALLIBLE take_raw(NbArena *arena, NbBytes raw, size_t count, NbOnnxTensor *t,
                            NbError *err) {
    const size_t bits = (size_t)nb_onnx_type_bits(t->type);
    const size_t expected = (count * bits + 7) / 8;
    const size_t align = bits <= 8 ? 1 : bits <= 64 ? bits / 8 : 8;
    if (raw.size != expected)
        return nb_fail(NB_ERR_FORMAT, err, "%zu bytes of data, %zu expected for %zu of %s",
                       raw.size, expected, count, nb_onnx_type_name(t->type));
    t->size = raw.size;
    t->data = raw.data;
    if ((uintptr_t)raw.data % align == 0)
        return NB_OK;
    void *copy = nb_arena_take(arena, raw.size, 1);
    if (!copy)
        return nb_fail_memory(err, "numbers of a tensor");
    memcpy(copy, raw.data, raw.size);
    t->data = copy;
    return NB_OK;
}

static NB_FALLIBLE open_external(NbPbWalk *walk, const char *location, NbBytes *out, NbError *err) {
    NbOnnxPlace *place = walk->user;
    for (const NbOnnxExternal *e = place->files; e; e = e->next)
        if (strcmp(e->location, location) == 0) {
            *out = e->bytes;
            return NB_OK;
        }
    NbOnnxExternal *file = NB_NEW(walk->arena, NbOnnxExternal, 1);
    const char *path = nb_path_join(walk->arena, place->folder, location);
    if (!file || !path)
        return nb_fail_memory(err, "external data");
    if (!*location || *location == '/' || !nb_path_inside(place->folder, path))
        return nb_fail(NB_ERR_FORMAT, err,
                       "external data in '%s', a file in the folder of the model expected",
                       location);
    NB_TRY(nb_file_read(path, 0, walk->arena, &file->bytes, err));
    file->location = location;
    file->next = place->files;
    place->files = file;
    *out = file->bytes;
    return NB_OK;
}

static NB_FALLIBLE external_number(const NbOnnxEntry *e, uint64_t *out, NbError *err) {
    int64_t value = 0;
    if (!nb_parse_i64(e->value, &value) || value < 0)
        return nb_fail(NB_ERR_FORMAT, err, "%s of external data is '%s', a number expected", e->key,
                       e->value);
    *out = (uint64_t)value;
    return NB_OK;
}

static NB_FALLIBLE take_external(NbPbWalk *walk, const Wire *w, size_t count, NbOnnxTensor *t,
                                 NbError *err) {
    const char *location = "";
    uint64_t offset = 0;
    uint64_t length = ((uint64_t)count * (uint64_t)nb_onnx_type_bits(t->type) + 7) / 8;
    for (size_t i = 0; i < w->n_external; i++) {
        const NbOnnxEntry *e = &w->external[i];
        if (strcmp(e->key, "location") == 0)
            location = e->value;
        else if (strcmp(e->key, "offset") == 0)
            NB_TRY(external_number(e, &offset, err));
        else if (strcmp(e->key, "length") == 0)
            NB_TRY(external_number(e, &length, err));
    }
    NbBytes file = {0};
    NB_TRY(open_external(walk, location, &file, err));
    if (offset > file.size || length > file.size - offset)
        return nb_fail(NB_ERR_FORMAT, err,
                       "%" PRIu64 " bytes at %" PRIu64 " of '%s', which has %zu bytes", length,
                       offset, location, file.size);
    return take_raw(walk->arena, (NbBytes){file.data + offset, (size_t)length}, count, t, err);
}

static NB_FALLIBLE fill(NbPbWalk *walk, const Wire *w, NbOnnxTensor *t, NbError *err) {
    size_t count = 0;
    t->type = w->type;
    NB_TRY(set_shape(w, t, &count, err));
    if (w->segments)
        return nb_fail(NB_ERR_UNSUPPORTED, err, "a tensor in segments");
    if (w->type == NB_ONNX_STRING)
        return take_strings(walk->arena, w, count, t, err);
    if (!nb_onnx_type_bits(w->type))
        return nb_fail(NB_ERR_UNSUPPORTED, err, "element type %d (%s)", w->type,
                       nb_onnx_type_name(w->type));
    if (w->location == 1)
        return take_external(walk, w, count, t, err);
    if (w->raw.data)
        return take_raw(walk->arena, w->raw, count, t, err);
    return take_typed(walk->arena, w, count, t, err);
}

NbStatus nb_onnx_pb_tensor(NbPbWalk *walk, NbPb message, void *out, NbError *err) {
    NbOnnxTensor *t = out;
    Wire wire = {0};
    NB_TRY(read_wire(walk, message, &wire, err));
    t->name = wire.name;
    t->doc = wire.doc;
    NB_TRY_IN(fill(walk, &wire, t, err), err, "'%s'", t->name);
    return NB_OK;
}
