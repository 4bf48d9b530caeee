/* SPDX-License-Identifier: Apache-2.0 */
#include "format/zip.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
    END_BYTES = 22, /* end of central directory, without its comment */
    END64_BYTES = 56,
    LOCATOR_BYTES = 20,
    CENTRAL_BYTES = 46,
    LOCAL_BYTES = 30,
    MAX_COMMENT = 65535,
    EXTRA_ZIP64 = 1,
    FLAG_ENCRYPTED = 1,
    STORED = 0,
    DEFLATED = 8,
    MOST_EXPANSION = 1032, /* bytes that deflate makes of one, at most */
    SHOWN = 64,            /* characters of a name that a message shows */
};

static uint16_t u16(const unsigned char *p) { return (uint16_t)(p[0] | p[1] << 8); }
static uint32_t u32(const unsigned char *p) { return u16(p) | (uint32_t)u16(p + 2) << 16; }
static uint64_t u64(const unsigned char *p) { return u32(p) | (uint64_t)u32(p + 4) << 32; }

static bool is_at(NbBytes b, uint64_t at, size_t length, uint32_t signature) {
    return at <= b.size && b.size - at >= length && u32(b.data + at) == signature;
}

typedef struct Directory {
    uint64_t at, size, entries;
} Directory;

/* The last record that says where the directory is, before a comment of any length. */
static NB_FALLIBLE find_end(NbBytes b, size_t *out, NbError *err) {
    if (b.size < END_BYTES)
        return nb_fail(NB_ERR_FORMAT, err, "no ZIP archive: %zu bytes, expected at least %d",
                       b.size, END_BYTES);
    const size_t last = b.size - END_BYTES;
    const size_t first = last > MAX_COMMENT ? last - MAX_COMMENT : 0;
    for (size_t at = last + 1; at-- > first;)
        if (is_at(b, at, END_BYTES, 0x06054b50) && u16(b.data + at + 20) <= last - at) {
            *out = at;
            return NB_OK;
        }
    return nb_fail(NB_ERR_FORMAT, err, "no ZIP archive, or a cut one: it has no directory");
}

static NB_FALLIBLE find_directory(NbBytes b, Directory *out, NbError *err) {
    size_t end = 0;
    NB_TRY(find_end(b, &end, err));
    const unsigned char *p = b.data + end;
    *out = (Directory){u32(p + 16), u32(p + 12), u16(p + 10)};
    if (end >= LOCATOR_BYTES && is_at(b, end - LOCATOR_BYTES, LOCATOR_BYTES, 0x07064b50)) {
        const uint64_t at = u64(b.data + end - LOCATOR_BYTES + 8);
        if (!is_at(b, at, END64_BYTES, 0x06064b50))
            return nb_fail(NB_ERR_FORMAT, err, "zip64 record expected at byte %" PRIu64, at);
        p = b.data + at;
        *out = (Directory){u64(p + 48), u64(p + 40), u64(p + 32)};
    }
    if (out->at > end || out->size > end - out->at)
        return nb_fail(NB_ERR_FORMAT, err,
                       "directory of %" PRIu64 " bytes at %" PRIu64 ", expected before byte %zu",
                       out->size, out->at, end);
    if (out->entries > out->size / CENTRAL_BYTES)
        return nb_fail(NB_ERR_FORMAT, err, "%" PRIu64 " entries do not fit a directory of %" PRIu64,
                       out->entries, out->size);
    return NB_OK;
}

/* Sizes that do not fit 32 bits stand in an extra field, in this order. */
static NB_FALLIBLE read_zip64(const unsigned char *extra, size_t length, NbZipEntry *e,
                              NbError *err) {
    uint64_t *const want[3] = {e->size == UINT32_MAX ? &e->size : NULL,
                               e->packed == UINT32_MAX ? &e->packed : NULL,
                               e->header == UINT32_MAX ? &e->header : NULL};
    if (!want[0] && !want[1] && !want[2])
        return NB_OK;
    while (length >= 4) {
        const size_t n = u16(extra + 2);
        if (n > length - 4)
            break;
        if (u16(extra) != EXTRA_ZIP64) {
            extra += 4 + n;
            length -= 4 + n;
            continue;
        }
        size_t at = 0;
        for (int i = 0; i < 3; i++)
            if (want[i] && n - at >= 8) {
                *want[i] = u64(extra + 4 + at);
                at += 8;
            }
        return NB_OK;
    }
    return nb_fail(NB_ERR_FORMAT, err, "entry '%.*s': its zip64 sizes are missing", SHOWN, e->name);
}

static NB_FALLIBLE read_entry(NbBytes directory, size_t *at, NbArena *arena, NbZipEntry *e,
                              NbError *err) {
    if (!is_at(directory, *at, CENTRAL_BYTES, 0x02014b50))
        return nb_fail(NB_ERR_FORMAT, err, "entry expected at byte %zu of the directory", *at);
    const unsigned char *const p = directory.data + *at;
    const size_t name = u16(p + 28);
    const size_t extra = u16(p + 30);
    const size_t all = CENTRAL_BYTES + name + extra + u16(p + 32);
    if (all > directory.size - *at)
        return nb_fail(NB_ERR_FORMAT, err, "entry at byte %zu ends behind the directory", *at);
    *e = (NbZipEntry){.name = nb_arena_string_n(arena, (const char *)p + CENTRAL_BYTES, name),
                      .header = u32(p + 42),
                      .packed = u32(p + 20),
                      .size = u32(p + 24),
                      .crc = u32(p + 16),
                      .flags = u16(p + 8),
                      .method = u16(p + 10)};
    if (!e->name)
        return nb_fail_memory(err, "names of the archive");
    *at += all;
    return read_zip64(p + CENTRAL_BYTES + name, extra, e, err);
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const NbZipEntry *)a)->name, ((const NbZipEntry *)b)->name);
}

NbStatus nb_zip_open(NbBytes bytes, NbArena *arena, NbZip *out, NbError *err) {
    Directory d = {0};
    *out = (NbZip){.bytes = bytes};
    NB_TRY(find_directory(bytes, &d, err));
    out->n = (size_t)d.entries;
    out->entry = NB_NEW(arena, NbZipEntry, out->n);
    if (!out->entry)
        return nb_fail_memory(err, "directory of the archive");
    const NbBytes directory = {bytes.data + d.at, (size_t)d.size};
    size_t at = 0;
    for (size_t i = 0; i < out->n; i++)
        NB_TRY(read_entry(directory, &at, arena, &out->entry[i], err));
    qsort(out->entry, out->n, sizeof *out->entry, by_name);
    for (size_t i = 1; i < out->n; i++)
        if (strcmp(out->entry[i - 1].name, out->entry[i].name) == 0)
            return nb_fail(NB_ERR_FORMAT, err, "entry '%.*s' is there twice", SHOWN,
                           out->entry[i].name);
    return NB_OK;
}

NbZipEntry *nb_zip_find(const NbZip *zip, const char *name) {
    const NbZipEntry key = {.name = name};
    if (zip->n == 0)
        return NULL;
    return bsearch(&key, zip->entry, zip->n, sizeof key, by_name);
}

/* The bytes as they lie in the archive. */
static NB_FALLIBLE packed_bytes(const NbZip *zip, const NbZipEntry *e, NbBytes *out, NbError *err) {
    const NbBytes b = zip->bytes;
    if (e->flags & FLAG_ENCRYPTED)
        return nb_fail(NB_ERR_UNSUPPORTED, err, "it is encrypted");
    if (!is_at(b, e->header, LOCAL_BYTES, 0x04034b50))
        return nb_fail(NB_ERR_FORMAT, err, "header expected at byte %" PRIu64 " of the archive",
                       e->header);
    const unsigned char *const p = b.data + e->header;
    const uint64_t at = e->header + LOCAL_BYTES + u16(p + 26) + u16(p + 28);
    if (at > b.size || e->packed > b.size - at)
        return nb_fail(NB_ERR_FORMAT, err, "%" PRIu64 " bytes at %" PRIu64 ", the archive has %zu",
                       e->packed, at, b.size);
    *out = (NbBytes){b.data + at, (size_t)e->packed};
    return NB_OK;
}

/* zlib counts in unsigned int: longer data goes in and out in pieces. */
static int inflate_all(z_stream *z, NbBytes packed, unsigned char *to, size_t size) {
    static const size_t piece = (size_t)1 << 30;
    size_t in = 0;
    size_t out = 0;
    int code = Z_OK;
    while (code == Z_OK) {
        const size_t in_now = packed.size - in < piece ? packed.size - in : piece;
        const size_t out_now = size - out < piece ? size - out : piece;
        z->next_in = (z_const Bytef *)(uintptr_t)(packed.data + in); /* zlib only reads it */
        z->avail_in = (uInt)in_now;
        z->next_out = to + out;
        z->avail_out = (uInt)out_now;
        code = inflate(z, Z_NO_FLUSH);
        in += in_now - z->avail_in;
        out += out_now - z->avail_out;
    }
    return code == Z_STREAM_END && out == size ? Z_OK : Z_DATA_ERROR;
}

static NB_FALLIBLE expand(NbBytes packed, size_t size, NbArena *arena, NbBytes *out, NbError *err) {
    if (size / MOST_EXPANSION > packed.size)
        return nb_fail(NB_ERR_FORMAT, err, "%zu bytes cannot expand to %zu", packed.size, size);
    unsigned char *const to = nb_arena_take(arena, size, 1);
    z_stream z = {0};
    if (!to || inflateInit2(&z, -MAX_WBITS) != Z_OK)
        return nb_fail_memory(err, "an entry of the archive");
    const int code = inflate_all(&z, packed, to, size);
    (void)inflateEnd(&z);
    if (code != Z_OK)
        return nb_fail(NB_ERR_FORMAT, err, "its deflated data is damaged or not %zu bytes", size);
    *out = (NbBytes){to, size};
    return NB_OK;
}

static NB_FALLIBLE take(const NbZip *zip, NbZipEntry *e, NbArena *arena, NbError *err) {
    NbBytes packed = {0};
    NB_TRY(packed_bytes(zip, e, &packed, err));
    if (e->size > SIZE_MAX / 2)
        return nb_fail(NB_ERR_FORMAT, err, "%" PRIu64 " bytes do not fit memory", e->size);
    if (e->method == DEFLATED)
        NB_TRY(expand(packed, (size_t)e->size, arena, &e->data, err));
    else if (e->method != STORED)
        return nb_fail(NB_ERR_UNSUPPORTED, err, "packing method %d, stored or deflated expected",
                       e->method);
    else if (e->size != e->packed)
        return nb_fail(NB_ERR_FORMAT, err, "stored as %" PRIu64 " bytes but %" PRIu64 " long",
                       e->packed, e->size);
    else
        e->data = packed;
    const uint32_t crc = (uint32_t)crc32_z(0, e->data.data, e->data.size);
    if (crc != e->crc)
        return nb_fail(NB_ERR_FORMAT, err, "CRC %08" PRIx32 ", expected %08" PRIx32 ": damaged",
                       crc, e->crc);
    e->taken = true;
    return NB_OK;
}

NbStatus nb_zip_take(const NbZip *zip, NbZipEntry *entry, NbArena *arena, NbBytes *out,
                     NbError *err) {
    if (!entry->taken)
        NB_TRY_IN(take(zip, entry, arena, err), err, "entry '%.*s'", SHOWN, entry->name);
    *out = entry->data;
    return NB_OK;
}
