/* SPDX-License-Identifier: Apache-2.0 */
#include "format/npy.h"

#include "base/size.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    MAX_HEADER = 1 << 20, /* bytes of the dictionary; NumPy's own are below 1 KiB */
    ALIGN = 64,
    GROWTH = 21, /* digits for which NumPy leaves room in the first dimension */
};

static const struct {
    const char *npy;
    size_t size;
} types[NB_DTYPE_COUNT] = {
#define NPY_NAME(constant, st, npy, bytes) [constant] = {npy, bytes},
    NB_DTYPES(NPY_NAME)
#undef NPY_NAME
};

/* The header dictionary: a Python literal between `at` and `end`. */
typedef struct Cursor {
    const char *at;
    const char *end;
} Cursor;

typedef struct Header {
    NbDtype dtype;
    bool fortran;
    NbShape shape;
    bool has_dtype, has_order, has_shape;
} Header;

static void skip_blanks(Cursor *c) {
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\n' || *c->at == '\t'))
        c->at++;
}

/* Steps over `want` when it comes next. */
static bool accept(Cursor *c, char want) {
    skip_blanks(c);
    if (c->at == c->end || *c->at != want)
        return false;
    c->at++;
    return true;
}

static NB_FALLIBLE expect(Cursor *c, char want, const char *where, NbError *err) {
    if (accept(c, want))
        return NB_OK;
    if (c->at == c->end)
        return nb_fail(NB_ERR_FORMAT, err, "header: expected '%c' %s, found its end", want, where);
    return nb_fail(NB_ERR_FORMAT, err, "header: expected '%c' %s, found byte 0x%02x", want, where,
                   (unsigned char)*c->at);
}

/* A quoted string without escapes: names and types need none. */
static NB_FALLIBLE read_string(Cursor *c, char *out, size_t size, NbError *err) {
    skip_blanks(c);
    if (c->at == c->end || (*c->at != '\'' && *c->at != '"'))
        return nb_fail(NB_ERR_FORMAT, err, "header: expected a quoted string");
    const char quote = *c->at++;
    const char *const stop = memchr(c->at, quote, (size_t)(c->end - c->at));
    if (!stop)
        return nb_fail(NB_ERR_FORMAT, err, "header: a string has no closing quote");
    const size_t n = (size_t)(stop - c->at);
    if (n >= size)
        return nb_fail(NB_ERR_FORMAT, err, "header: a string of %zu bytes, expected at most %zu", n,
                       size - 1);
    memcpy(out, c->at, n);
    out[n] = '\0';
    c->at = stop + 1;
    return NB_OK;
}

static NB_FALLIBLE read_dtype(Cursor *c, NbDtype *out, NbError *err) {
    skip_blanks(c);
    if (c->at < c->end && *c->at == '[')
        return nb_fail(NB_ERR_UNSUPPORTED, err, "records are not supported, expected one type");
    char text[32] = {0};
    NB_TRY(read_string(c, text, sizeof text, err));
    for (int i = 0; i < NB_DTYPE_COUNT; i++) {
        const char *const name = types[i].npy;
        if (name[0] == '\0' || text[0] == '\0' || strcmp(text + 1, name + 1) != 0)
            continue;
        if (text[0] == '<' || text[0] == '|' || types[i].size == 1) {
            *out = (NbDtype)i;
            return NB_OK;
        }
        return nb_fail(NB_ERR_UNSUPPORTED, err, "type '%s', expected little endian '%s'", text,
                       name);
    }
    return nb_fail(NB_ERR_UNSUPPORTED, err, "type '%s' is not supported", text);
}

static NB_FALLIBLE read_bool(Cursor *c, bool *out, NbError *err) {
    skip_blanks(c);
    const size_t left = (size_t)(c->end - c->at);
    if (left >= 4 && memcmp(c->at, "True", 4) == 0) {
        c->at += 4;
        *out = true;
        return NB_OK;
    }
    if (left >= 5 && memcmp(c->at, "False", 5) == 0) {
        c->at += 5;
        *out = false;
        return NB_OK;
    }
    return nb_fail(NB_ERR_FORMAT, err, "header: 'fortran_order' is neither True nor False");
}

static NB_FALLIBLE read_shape(Cursor *c, NbShape *out, NbError *err) {
    NB_TRY(expect(c, '(', "before the shape", err));
    out->rank = 0;
    while (!accept(c, ')')) {
        if (out->rank == NB_MAX_RANK)
            return nb_fail(NB_ERR_UNSUPPORTED, err, "more than %d dimensions", NB_MAX_RANK);
        int64_t value = 0;
        const char *const from = c->at;
        for (; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++)
            if (__builtin_mul_overflow(value, 10, &value) ||
                __builtin_add_overflow(value, *c->at - '0', &value))
                return nb_fail(NB_ERR_FORMAT, err, "dimension %d does not fit 64 bits", out->rank);
        if (c->at == from)
            return nb_fail(NB_ERR_FORMAT, err, "dimension %d is not a number", out->rank);
        if (c->at < c->end && *c->at == 'L') /* Python 2 */
            c->at++;
        out->dim[out->rank++] = value;
        if (!accept(c, ',')) {
            NB_TRY(expect(c, ')', "after the shape", err));
            return NB_OK;
        }
    }
    return NB_OK;
}

static NB_FALLIBLE read_entry(Cursor *c, Header *h, NbError *err) {
    char key[32];
    NB_TRY(read_string(c, key, sizeof key, err));
    NB_TRY(expect(c, ':', "after a key", err));
    if (strcmp(key, "descr") == 0 && !h->has_dtype) {
        h->has_dtype = true;
        return read_dtype(c, &h->dtype, err);
    }
    if (strcmp(key, "fortran_order") == 0 && !h->has_order) {
        h->has_order = true;
        return read_bool(c, &h->fortran, err);
    }
    if (strcmp(key, "shape") == 0 && !h->has_shape) {
        h->has_shape = true;
        return read_shape(c, &h->shape, err);
    }
    return nb_fail(NB_ERR_FORMAT, err, "header: key '%s' is unknown or there twice", key);
}

static NB_FALLIBLE read_header(Cursor c, Header *h, NbError *err) {
    NB_TRY(expect(&c, '{', "at the start", err));
    while (!accept(&c, '}')) {
        NB_TRY(read_entry(&c, h, err));
        if (!accept(&c, ',')) {
            NB_TRY(expect(&c, '}', "at the end", err));
            break;
        }
    }
    skip_blanks(&c);
    if (c.at != c.end)
        return nb_fail(NB_ERR_FORMAT, err, "header: %td bytes after '}'", c.end - c.at);
    if (!h->has_dtype || !h->has_order || !h->has_shape)
        return nb_fail(NB_ERR_FORMAT, err,
                       "header: expected 'descr', 'fortran_order' and 'shape', '%s' is missing",
                       !h->has_dtype   ? "descr"
                       : !h->has_order ? "fortran_order"
                                       : "shape");
    return NB_OK;
}

/* Finds the dictionary and the data behind it. */
static NB_FALLIBLE split(NbBytes bytes, Cursor *dictionary, NbBytes *data, NbError *err) {
    static const unsigned char magic[6] = {0x93, 'N', 'U', 'M', 'P', 'Y'};
    const unsigned char *const p = bytes.data;
    if (bytes.size < 10 || memcmp(p, magic, sizeof magic) != 0)
        return nb_fail(NB_ERR_FORMAT, err, "not an .npy file: it does not begin with 93 NUMPY");
    const int version = p[6];
    if (version < 1 || version > 3)
        return nb_fail(NB_ERR_UNSUPPORTED, err, "version %d.%d, expected 1 to 3", version, p[7]);
    size_t length = p[8] | (size_t)p[9] << 8;
    size_t start = 10;
    if (version > 1) {
        if (bytes.size < 12)
            return nb_fail(NB_ERR_FORMAT, err, "header length: expected 4 bytes, found %zu",
                           bytes.size - 8);
        length |= (size_t)p[10] << 16 | (size_t)p[11] << 24;
        start = 12;
    }
    if (length > bytes.size - start)
        return nb_fail(NB_ERR_FORMAT, err, "header: %zu bytes announced, %zu left", length,
                       bytes.size - start);
    if (length > MAX_HEADER)
        return nb_fail(NB_ERR_FORMAT, err, "header: %zu bytes, expected at most %d", length,
                       MAX_HEADER);
    dictionary->at = (const char *)p + start;
    dictionary->end = dictionary->at + length;
    *data = (NbBytes){p + start + length, bytes.size - start - length};
    return NB_OK;
}

/* Copies Fortran order (first index fastest) into C order (last index fastest). */
static void to_c_order(const unsigned char *from, const NbShape *shape, size_t size,
                       unsigned char *to) {
    size_t stride[NB_MAX_RANK] = {0};
    int64_t index[NB_MAX_RANK] = {0};
    size_t step = size;
    for (int i = 0; i < shape->rank; i++) {
        stride[i] = step;
        step *= (size_t)shape->dim[i];
    }
    const size_t n = nb_shape_count(shape);
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        memcpy(to + i * size, from + at, size);
        for (int d = shape->rank - 1; d >= 0; d--) {
            at += stride[d];
            if (++index[d] < shape->dim[d])
                break;
            at -= stride[d] * (size_t)shape->dim[d];
            index[d] = 0;
        }
    }
}

static NB_FALLIBLE read_all(NbBytes bytes, NbArena *arena, NbTensor *out, NbError *err) {
    Cursor dictionary = {0};
    NbBytes data = {0};
    NB_TRY(split(bytes, &dictionary, &data, err));
    Header h = {0};
    NB_TRY(read_header(dictionary, &h, err));
    size_t count = 0;
    size_t need = 0;
    if (!nb_shape_count_checked(&h.shape, types[h.dtype].size, &count, &need) ||
        need != data.size) {
        char shape[128];
        return nb_fail(NB_ERR_FORMAT, err, "shape %s of %s does not fit %zu bytes of data",
                       nb_shape_text(&h.shape, shape, sizeof shape), nb_dtype_name(h.dtype),
                       data.size);
    }
    NB_TRY(nb_tensor_new(arena, h.dtype, &h.shape, out, err));
    if (h.fortran)
        to_c_order(data.data, &h.shape, types[h.dtype].size, out->data);
    else if (need > 0)
        memcpy(out->data, data.data, need);
    return NB_OK;
}

NbStatus nb_npy_read(const char *path, NbBytes bytes, NbArena *arena, NbTensor *out, NbError *err) {
    NB_TRY_IN(read_all(bytes, arena, out, err), err, "%s", path);
    return NB_OK;
}

NbStatus nb_npy_read_file(const char *path, NbArena *arena, NbTensor *out, NbError *err) {
    NbBytes bytes;
    NB_TRY(nb_file_map(path, &bytes, err));
    const NbStatus status = nb_npy_read(path, bytes, arena, out, err);
    nb_file_unmap(bytes);
    return status;
}

/* Magic, version, length and dictionary as NumPy writes them; returns the bytes used. */
static size_t make_header(const NbTensor *tensor, char *out, size_t size) {
    static const char magic[8] = {'\x93', 'N', 'U', 'M', 'P', 'Y', 1, 0};
    const NbShape *const shape = &tensor->shape;
    const size_t start = 10;
    size_t n = start;
    n += (size_t)snprintf(out + n, size - n, "{'descr': '%s', 'fortran_order': False, 'shape': (",
                          types[tensor->dtype].npy);
    int growth = 0;
    for (int i = 0; i < shape->rank; i++) {
        const int digits = snprintf(out + n, size - n, "%" PRId64, shape->dim[i]);
        n += (size_t)digits;
        if (i == 0)
            growth = GROWTH - digits;
        if (i + 1 < shape->rank || shape->rank == 1)
            n += (size_t)snprintf(out + n, size - n, i + 1 < shape->rank ? ", " : ",");
    }
    n += (size_t)snprintf(out + n, size - n, "), }%*s", growth, "");
    while ((n + 1) % ALIGN != 0)
        out[n++] = ' ';
    out[n++] = '\n';
    memcpy(out, magic, sizeof magic);
    out[8] = (char)((n - start) & 0xff);
    out[9] = (char)((n - start) >> 8);
    return n;
}

static NB_FALLIBLE write_to(NbWriter *w, const NbTensor *tensor, size_t bytes, NbError *err) {
    char header[512]; /* 8 dimensions of 20 characters and 100 around them */
    NB_TRY(nb_writer_put(w, header, make_header(tensor, header, sizeof header), err));
    if (bytes > 0)
        NB_TRY(nb_writer_put(w, tensor->data, bytes, err));
    return NB_OK;
}

NbStatus nb_npy_write(const char *path, const NbTensor *tensor, NbError *err) {
    if (types[tensor->dtype].npy[0] == '\0')
        return nb_fail(NB_ERR_UNSUPPORTED, err, "%s: npy has no type for %s", path,
                       nb_dtype_name(tensor->dtype));
    size_t count = 0;
    size_t bytes = 0;
    if (tensor->shape.rank < 0 || tensor->shape.rank > NB_MAX_RANK ||
        !nb_shape_count_checked(&tensor->shape, types[tensor->dtype].size, &count, &bytes) ||
        (bytes > 0 && !tensor->data))
        return nb_fail(NB_ERR_ARGUMENT, err, "%s: the tensor has no data or no valid shape", path);
    NbWriter *w = NULL;
    NB_TRY(nb_writer_open(path, &w, err));
    const NbStatus status = write_to(w, tensor, bytes, err);
    if (status != NB_OK) {
        nb_writer_cancel(w);
        return status;
    }
    return nb_writer_commit(w, err);
}
