/* SPDX-License-Identifier: Apache-2.0 */
#include "format/safetensors.h"

#include "base/size.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum {
    LENGTH_BYTES = 8,
    MAX_HEADER = 100 * 1000 * 1000, /* as the original */
    ALIGN = 64,
    MAX_NAMED = 64, /* characters of a name that a message shows */
};

static const char metadata_key[] = "__metadata__";

static const struct {
    const char *name;
    size_t size;
} types[NB_DTYPE_COUNT] = {
#define ST_NAME(constant, st, npy, bytes) [constant] = {st, bytes},
    NB_DTYPES(ST_NAME)
#undef ST_NAME
};

/* ---- reading ---- */

/* One entry of the header, before the tensors are in file order. */
typedef struct Entry {
    NbNamedTensor named;
    size_t begin, end; /* in the data, which starts behind the header */
    size_t order;      /* place in the header, so that sorting is stable */
} Entry;

static NB_FALLIBLE find_dtype(const char *name, NbDtype *out, NbError *err) {
    for (int i = 0; i < NB_DTYPE_COUNT; i++)
        if (strcmp(types[i].name, name) == 0) {
            *out = (NbDtype)i;
            return NB_OK;
        }
    return nb_fail(NB_ERR_UNSUPPORTED, err, "type %.32s is not supported", name);
}

static NB_FALLIBLE read_size(const json_t *value, const char *what, size_t *out, NbError *err) {
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return nb_fail(NB_ERR_FORMAT, err, "%s: expected a number that is not negative", what);
    *out = (size_t)json_integer_value(value);
    return NB_OK;
}

static NB_FALLIBLE read_shape(const json_t *json, NbShape *out, NbError *err) {
    if (!json_is_array(json))
        return nb_fail(NB_ERR_FORMAT, err, "'shape' is missing or no list");
    const size_t rank = json_array_size(json);
    if (rank > NB_MAX_RANK)
        return nb_fail(NB_ERR_UNSUPPORTED, err, "%zu dimensions, expected at most %d", rank,
                       NB_MAX_RANK);
    out->rank = (int)rank;
    for (size_t i = 0; i < rank; i++) {
        size_t dim = 0;
        NB_TRY(read_size(json_array_get(json, i), "dimension", &dim, err));
        out->dim[i] = (int64_t)dim;
    }
    return NB_OK;
}

static NB_FALLIBLE read_offsets(const json_t *json, size_t available, Entry *out, NbError *err) {
    if (!json_is_array(json) || json_array_size(json) != 2)
        return nb_fail(NB_ERR_FORMAT, err, "'data_offsets' is missing or no list of two");
    NB_TRY(read_size(json_array_get(json, 0), "data_offsets", &out->begin, err));
    NB_TRY(read_size(json_array_get(json, 1), "data_offsets", &out->end, err));
    if (out->begin > out->end || out->end > available)
        return nb_fail(NB_ERR_FORMAT, err, "data_offsets %zu to %zu, expected to lie in 0 to %zu",
                       out->begin, out->end, available);
    return NB_OK;
}

static NB_FALLIBLE read_entry(const json_t *json, size_t available, Entry *out, NbError *err) {
    if (!json_is_object(json))
        return nb_fail(NB_ERR_FORMAT, err, "expected an object");
    const char *const dtype = json_string_value(json_object_get(json, "dtype"));
    if (!dtype)
        return nb_fail(NB_ERR_FORMAT, err, "'dtype' is missing or no text");
    NbTensor *const t = &out->named.tensor;
    NB_TRY(find_dtype(dtype, &t->dtype, err));
    NB_TRY(read_shape(json_object_get(json, "shape"), &t->shape, err));
    NB_TRY(read_offsets(json_object_get(json, "data_offsets"), available, out, err));
    size_t count = 0;
    size_t bytes = 0;
    if (!nb_shape_count_checked(&t->shape, types[t->dtype].size, &count, &bytes) ||
        bytes != out->end - out->begin) {
        char shape[128];
        return nb_fail(NB_ERR_FORMAT, err, "%s of shape %s does not fill its %zu bytes", dtype,
                       nb_shape_text(&t->shape, shape, sizeof shape), out->end - out->begin);
    }
    return NB_OK;
}

static NB_FALLIBLE read_metadata(json_t *json, NbArena *arena, NbSafetensors *out, NbError *err) {
    if (!json_is_object(json))
        return nb_fail(NB_ERR_FORMAT, err, "%s: expected an object", metadata_key);
    out->metadata = NB_NEW(arena, NbMetadata, json_object_size(json));
    if (!out->metadata)
        return nb_fail_memory(err, metadata_key);
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach(json, key, value) {
        if (!json_is_string(value))
            return nb_fail(NB_ERR_FORMAT, err, "%s: '%.*s': expected text", metadata_key, MAX_NAMED,
                           key);
        NbMetadata *const m = &out->metadata[out->n_metadata++];
        m->key = nb_arena_string(arena, key);
        m->value = nb_arena_string(arena, json_string_value(value));
        if (!m->key || !m->value)
            return nb_fail_memory(err, metadata_key);
    }
    return NB_OK;
}

static int by_place(const void *a, const void *b) {
    const Entry *const x = a;
    const Entry *const y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    if (x->end != y->end)
        return x->end < y->end ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

/* Tensors must cover the data without gaps and overlaps. */
static NB_FALLIBLE check_cover(const Entry *entry, size_t n, size_t available, NbError *err) {
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        if (entry[i].begin != at)
            return nb_fail(NB_ERR_FORMAT, err, "tensor '%.*s' begins at %zu, expected %zu (%s)",
                           MAX_NAMED, entry[i].named.name, entry[i].begin, at,
                           entry[i].begin < at ? "overlap" : "gap");
        at = entry[i].end;
    }
    if (at != available)
        return nb_fail(NB_ERR_FORMAT, err, "tensors end at byte %zu of the data, expected %zu", at,
                       available);
    return NB_OK;
}

/* Views where the bytes are aligned, copies elsewhere. */
static NB_FALLIBLE place_data(Entry *entry, NbBytes data, NbArena *arena, NbError *err) {
    NbTensor *const t = &entry->named.tensor;
    const size_t bytes = entry->end - entry->begin;
    if (bytes == 0)
        return NB_OK;
    const unsigned char *const from = data.data + entry->begin;
    if ((uintptr_t)from % types[t->dtype].size == 0) {
        t->data = (void *)(uintptr_t)from; /* a view; nobody writes through it */
        return NB_OK;
    }
    t->data = nb_arena_take(arena, bytes, 1);
    if (!t->data)
        return nb_fail_memory(err, entry->named.name);
    memcpy(t->data, from, bytes);
    return NB_OK;
}

static NB_FALLIBLE read_tensors(json_t *header, NbBytes data, NbArena *arena, NbSafetensors *out,
                                NbError *err) {
    const size_t most = json_object_size(header);
    Entry *const entry = NB_NEW(arena, Entry, most);
    if (!entry)
        return nb_fail_memory(err, "tensor list");
    size_t n = 0;
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach(header, key, value) {
        if (strcmp(key, metadata_key) == 0) {
            NB_TRY(read_metadata(value, arena, out, err));
            continue;
        }
        entry[n].order = n;
        entry[n].named.name = nb_arena_string(arena, key);
        if (!entry[n].named.name)
            return nb_fail_memory(err, "tensor name");
        NB_TRY_IN(read_entry(value, data.size, &entry[n], err), err, "tensor '%.*s'", MAX_NAMED,
                  key);
        n++;
    }
    qsort(entry, n, sizeof *entry, by_place);
    NB_TRY(check_cover(entry, n, data.size, err));
    out->tensor = NB_NEW(arena, NbNamedTensor, n);
    if (!out->tensor)
        return nb_fail_memory(err, "tensor list");
    for (size_t i = 0; i < n; i++) {
        NB_TRY(place_data(&entry[i], data, arena, err));
        out->tensor[i] = entry[i].named;
    }
    out->n_tensors = n;
    return NB_OK;
}

static NB_FALLIBLE read_all(NbBytes bytes, NbArena *arena, NbSafetensors *out, NbError *err) {
    *out = (NbSafetensors){0};
    if (bytes.size < LENGTH_BYTES)
        return nb_fail(NB_ERR_FORMAT, err, "header length: expected 8 bytes, found %zu",
                       bytes.size);
    uint64_t length = 0;
    for (int i = 0; i < LENGTH_BYTES; i++)
        length |= (uint64_t)bytes.data[i] << (8 * i);
    if (length > MAX_HEADER)
        return nb_fail(NB_ERR_FORMAT, err, "header: %" PRIu64 " bytes, expected at most %d", length,
                       MAX_HEADER);
    if (length > bytes.size - LENGTH_BYTES)
        return nb_fail(NB_ERR_FORMAT, err, "header: %" PRIu64 " bytes announced, %zu left", length,
                       bytes.size - LENGTH_BYTES);
    const unsigned char *const text = bytes.data + LENGTH_BYTES;
    if (length == 0 || text[0] != '{')
        return nb_fail(NB_ERR_FORMAT, err, "header: expected '{' first");
    const NbBytes data = {text + length, bytes.size - LENGTH_BYTES - (size_t)length};
    json_error_t why;
    json_t *const header =
        json_loadb((const char *)text, (size_t)length, JSON_REJECT_DUPLICATES, &why);
    if (!header)
        return json_error_code(&why) == json_error_out_of_memory
                   ? nb_fail_memory(err, "header")
                   : nb_fail(NB_ERR_FORMAT, err, "header: byte %d: %s", why.position, why.text);
    const NbStatus status = read_tensors(header, data, arena, out, err);
    json_decref(header);
    return status;
}

NbStatus nb_safetensors_read(const char *path, NbBytes bytes, NbArena *arena, NbSafetensors *out,
                             NbError *err) {
    NB_TRY_IN(read_all(bytes, arena, out, err), err, "%s", path);
    return NB_OK;
}

/* ---- writing ---- */

/* Indices of the tensors, wide elements first, else in the order given: then every tensor is
 * aligned to its element when the data is. */
static size_t *write_order(const NbSafetensors *file) {
    size_t *const order = calloc(file->n_tensors + 1, sizeof *order);
    if (!order)
        return NULL;
    size_t n = 0;
    for (size_t size = 8; size > 0; size /= 2)
        for (size_t i = 0; i < file->n_tensors; i++)
            if (types[file->tensor[i].tensor.dtype].size == size)
                order[n++] = i;
    return order;
}

/* Adds key to object and takes over value; false: duplicate, no UTF-8, or out of memory. */
static bool add(json_t *object, const char *key, json_t *value) {
    if (!value || !key || json_object_get(object, key)) {
        json_decref(value);
        return false;
    }
    return json_object_set_new(object, key, value) == 0;
}

static NB_FALLIBLE add_metadata(json_t *header, const NbSafetensors *file, NbError *err) {
    if (file->n_metadata == 0)
        return NB_OK;
    json_t *const object = json_object();
    if (!add(header, metadata_key, object))
        return nb_fail_memory(err, metadata_key);
    for (size_t i = 0; i < file->n_metadata; i++) {
        const NbMetadata *const m = &file->metadata[i];
        if (!add(object, m->key, json_string(m->value)))
            return nb_fail(NB_ERR_ARGUMENT, err, "metadata '%.*s': there twice or no valid UTF-8",
                           MAX_NAMED, m->key);
    }
    return NB_OK;
}

static NB_FALLIBLE add_tensor(json_t *header, const NbNamedTensor *named, size_t *at,
                              NbError *err) {
    const NbTensor *const t = &named->tensor;
    size_t count = 0;
    size_t bytes = 0;
    size_t end = 0;
    if (t->shape.rank < 0 || t->shape.rank > NB_MAX_RANK ||
        !nb_shape_count_checked(&t->shape, types[t->dtype].size, &count, &bytes) ||
        !nb_add_size(*at, bytes, &end) || end > INT64_MAX || (bytes > 0 && !t->data))
        return nb_fail(NB_ERR_ARGUMENT, err, "tensor '%.*s' has no data or no valid shape",
                       MAX_NAMED, named->name);
    json_t *const shape = json_array();
    for (int i = 0; i < t->shape.rank; i++)
        (void)json_array_append_new(shape, json_integer(t->shape.dim[i]));
    json_t *const entry = json_pack("{s:s, s:o, s:[I, I]}", "dtype", types[t->dtype].name, "shape",
                                    shape, "data_offsets", (json_int_t)*at, (json_int_t)end);
    if (!add(header, named->name, entry))
        return nb_fail(NB_ERR_ARGUMENT, err, "tensor '%.*s': there twice or no valid UTF-8",
                       MAX_NAMED, named->name);
    *at = end;
    return NB_OK;
}

static NB_FALLIBLE put_header(NbWriter *w, const json_t *header, NbError *err) {
    char *const text = json_dumps(header, JSON_COMPACT);
    if (!text)
        return nb_fail_memory(err, "header");
    const size_t length = strlen(text);
    const size_t blanks = (ALIGN - (LENGTH_BYTES + length) % ALIGN) % ALIGN;
    unsigned char prefix[LENGTH_BYTES];
    for (int i = 0; i < LENGTH_BYTES; i++)
        prefix[i] = (unsigned char)((uint64_t)(length + blanks) >> (8 * i));
    static const char padding[ALIGN + 1] =
        "                                                                ";
    NbStatus status = NB_OK;
    if (length + blanks > MAX_HEADER)
        status = nb_fail(NB_ERR_ARGUMENT, err, "header of %zu bytes, expected at most %d", length,
                         MAX_HEADER);
    if (status == NB_OK)
        status = nb_writer_put(w, prefix, sizeof prefix, err);
    if (status == NB_OK)
        status = nb_writer_put(w, text, length, err);
    if (status == NB_OK)
        status = nb_writer_put(w, padding, blanks, err);
    free(text);
    return status;
}

static NB_FALLIBLE put_all(NbWriter *w, const json_t *header, const NbSafetensors *file,
                           const size_t *order, NbError *err) {
    NB_TRY(put_header(w, header, err));
    for (size_t i = 0; i < file->n_tensors; i++) {
        const NbTensor *const t = &file->tensor[order[i]].tensor;
        const size_t bytes = nb_tensor_count(t) * types[t->dtype].size;
        if (bytes > 0)
            NB_TRY(nb_writer_put(w, t->data, bytes, err));
    }
    return NB_OK;
}

static NB_FALLIBLE build_header(json_t *header, const NbSafetensors *file, const size_t *order,
                                NbError *err) {
    NB_TRY(add_metadata(header, file, err));
    size_t at = 0;
    for (size_t i = 0; i < file->n_tensors; i++) {
        const NbNamedTensor *const named = &file->tensor[order[i]];
        if (!named->name || strcmp(named->name, metadata_key) == 0)
            return nb_fail(NB_ERR_ARGUMENT, err, "tensor %zu has no name of its own", order[i]);
        NB_TRY(add_tensor(header, named, &at, err));
    }
    return NB_OK;
}

static NB_FALLIBLE write_all(const char *path, const NbSafetensors *file, json_t *header,
                             const size_t *order, NbError *err) {
    if (!header || !order)
        return nb_fail_memory(err, path);
    NB_TRY_IN(build_header(header, file, order, err), err, "%s", path);
    NbWriter *w = NULL;
    NB_TRY(nb_writer_open(path, &w, err));
    const NbStatus status = put_all(w, header, file, order, err);
    if (status != NB_OK) {
        nb_writer_cancel(w);
        return status;
    }
    return nb_writer_commit(w, err);
}

NbStatus nb_safetensors_write(const char *path, const NbSafetensors *file, NbError *err) {
    size_t *const order = write_order(file);
    json_t *const header = json_object();
    const NbStatus status = write_all(path, file, header, order, err);
    json_decref(header);
    free(order);
    return status;
}

/* ---- looking up ---- */

const NbTensor *nb_safetensors_find(const NbSafetensors *file, const char *name) {
    for (size_t i = 0; i < file->n_tensors; i++)
        if (strcmp(file->tensor[i].name, name) == 0)
            return &file->tensor[i].tensor;
    return NULL;
}

const char *nb_safetensors_metadata(const NbSafetensors *file, const char *key) {
    for (size_t i = 0; i < file->n_metadata; i++)
        if (strcmp(file->metadata[i].key, key) == 0)
            return file->metadata[i].value;
    return NULL;
}
