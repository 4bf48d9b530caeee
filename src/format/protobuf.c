/* SPDX-License-Identifier: Apache-2.0 */
#include "format/protobuf.h"

#include <inttypes.h>
#include <limits.h>
#include <string.h>

enum { WIRE_VARINT = 0, WIRE_I64 = 1, WIRE_LEN = 2, WIRE_I32 = 5, MAX_NUMBER = 64 };

/* One field of a message. */
typedef struct Item {
    uint64_t number;
    int wire;
    uint64_t value; /* VARINT, I64, I32 */
    NbPb body;      /* LEN */
} Item;

static NB_FALLIBLE read_varint(NbPb *in, uint64_t *out, NbError *err) {
    uint64_t value = 0;
    for (int shift = 0; shift < 70; shift += 7) {
        if (in->at == in->end)
            return nb_fail(NB_ERR_FORMAT, err, "the message ends inside a number");
        const unsigned char byte = *in->at++;
        if (shift == 63 && byte > 1)
            return nb_fail(NB_ERR_FORMAT, err, "a number of more than 64 bits");
        value |= (uint64_t)(byte & 0x7F) << shift;
        if (!(byte & 0x80)) {
            *out = value;
            return NB_OK;
        }
    }
    return nb_fail(NB_ERR_FORMAT, err, "a number of more than 10 bytes");
}

static NB_FALLIBLE read_fixed(NbPb *in, size_t bytes, uint64_t *out, NbError *err) {
    if ((size_t)(in->end - in->at) < bytes)
        return nb_fail(NB_ERR_FORMAT, err, "%zu bytes expected, %td left", bytes, in->end - in->at);
    *out = 0;
    for (size_t i = 0; i < bytes; i++)
        *out |= (uint64_t)in->at[i] << (8 * i);
    in->at += bytes;
    return NB_OK;
}

static NB_FALLIBLE read_content(NbPb *in, Item *item, NbError *err) {
    uint64_t length = 0;
    switch (item->wire) {
    case WIRE_VARINT: return read_varint(in, &item->value, err);
    case WIRE_I64: return read_fixed(in, 8, &item->value, err);
    case WIRE_I32: return read_fixed(in, 4, &item->value, err);
    case WIRE_LEN:
        NB_TRY(read_varint(in, &length, err));
        if (length > (uint64_t)(in->end - in->at))
            return nb_fail(NB_ERR_FORMAT, err, "%" PRIu64 " bytes announced, %td left", length,
                           in->end - in->at);
        item->body = (NbPb){in->at, in->at + length};
        in->at += length;
        return NB_OK;
    default: break;
    }
    return nb_fail(NB_ERR_FORMAT, err, "wire type %d, 0, 1, 2 or 5 expected", item->wire);
}

static NB_FALLIBLE next_item(const NbPbWalk *walk, NbPb *in, Item *item, NbError *err) {
    const size_t at = (size_t)(in->at - walk->start);
    uint64_t key = 0;
    *item = (Item){0};
    NB_TRY_IN(read_varint(in, &key, err), err, "byte %zu", at);
    item->number = key >> 3;
    item->wire = (int)(key & 7);
    if (item->number == 0)
        return nb_fail(NB_ERR_FORMAT, err, "byte %zu: field 0, 1 or more expected", at);
    NB_TRY_IN(read_content(in, item, err), err, "byte %zu: field %" PRIu64, at, item->number);
    return NB_OK;
}

static int wire_of(NbPbKind kind) {
    switch (kind) {
    case NB_PB_I64:
    case NB_PB_I32:
    case NB_PB_I64S: return WIRE_VARINT;
    case NB_PB_F32:
    case NB_PB_F32S: return WIRE_I32;
    case NB_PB_F64S: return WIRE_I64;
    case NB_PB_TEXT:
    case NB_PB_BYTES:
    case NB_PB_MESSAGE:
    case NB_PB_INLINE:
    case NB_PB_TEXTS:
    case NB_PB_BYTESES:
    case NB_PB_MESSAGES: return WIRE_LEN;
    case NB_PB_COUNT: break;
    }
    return -1;
}

static bool is_numbers(NbPbKind kind) {
    return kind == NB_PB_I64S || kind == NB_PB_F32S || kind == NB_PB_F64S;
}

static bool repeats(NbPbKind kind) {
    return is_numbers(kind) || kind == NB_PB_TEXTS || kind == NB_PB_BYTESES ||
           kind == NB_PB_MESSAGES;
}

static NB_FALLIBLE check_wire(const NbPbField *f, const Item *item, NbError *err) {
    const int expected = wire_of(f->kind);
    if (expected < 0 || item->wire == expected || (item->wire == WIRE_LEN && is_numbers(f->kind)))
        return NB_OK;
    return nb_fail(NB_ERR_FORMAT, err, "%s has wire type %d, %d expected", f->name, item->wire,
                   expected);
}

/* How many elements an item adds to its list. */
static NB_FALLIBLE count_item(const NbPbField *f, const Item *item, size_t *count, NbError *err) {
    if (!is_numbers(f->kind) || item->wire != WIRE_LEN) {
        *count += 1;
    } else if (f->kind == NB_PB_I64S) {
        for (const unsigned char *p = item->body.at; p < item->body.end; p++)
            *count += *p < 0x80;
    } else {
        const size_t each = f->kind == NB_PB_F32S ? 4 : 8;
        const size_t bytes = (size_t)(item->body.end - item->body.at);
        if (bytes % each)
            return nb_fail(NB_ERR_FORMAT, err, "%s: %zu bytes, a multiple of %zu expected", f->name,
                           bytes, each);
        *count += bytes / each;
    }
    const size_t most = is_numbers(f->kind) ? NB_PB_MAX_NUMBERS : NB_PB_MAX_REPEAT;
    if (*count > most)
        return nb_fail(NB_ERR_FORMAT, err, "more than %zu of %s", most, f->name);
    return NB_OK;
}

static const NbPbField *find_field(const NbPbField *field, size_t n, uint64_t number, size_t *at) {
    for (*at = 0; *at < n; ++*at)
        if ((uint64_t)field[*at].number == number)
            return &field[*at];
    return NULL;
}

static size_t element_size(const NbPbField *f) {
    switch (f->kind) {
    case NB_PB_I64S: return sizeof(int64_t);
    case NB_PB_F32S: return sizeof(float);
    case NB_PB_F64S: return sizeof(double);
    case NB_PB_TEXTS: return sizeof(const char *);
    case NB_PB_BYTESES: return sizeof(NbBytes);
    case NB_PB_MESSAGES:
    case NB_PB_MESSAGE:
    case NB_PB_INLINE: return f->size;
    case NB_PB_I64:
    case NB_PB_I32:
    case NB_PB_F32:
    case NB_PB_TEXT:
    case NB_PB_BYTES:
    case NB_PB_COUNT: break;
    }
    return 0;
}

/* First pass: takes every list in its full length and leaves its count at 0. */
static NB_FALLIBLE take_lists(NbPbWalk *walk, NbPb message, const NbPbField *field, size_t n,
                              char *out, NbError *err) {
    size_t count[MAX_NUMBER] = {0};
    for (NbPb in = message; in.at < in.end;) {
        Item item;
        size_t at = 0;
        NB_TRY(next_item(walk, &in, &item, err));
        const NbPbField *f = find_field(field, n, item.number, &at);
        if (!f)
            continue;
        NB_TRY(check_wire(f, &item, err));
        if (repeats(f->kind))
            NB_TRY(count_item(f, &item, &count[at], err));
    }
    for (size_t i = 0; i < n; i++) {
        static const char empty[] = "";
        const char *text = empty;
        void *list = NULL;
        if (field[i].kind == NB_PB_TEXT)
            memcpy(out + field[i].offset, &text, sizeof text);
        if (!count[i])
            continue;
        list = nb_arena_take(walk->arena, count[i], element_size(&field[i]));
        if (!list)
            return nb_fail_memory(err, field[i].name);
        memcpy(out + field[i].offset, &list, sizeof list);
    }
    return NB_OK;
}

static NB_FALLIBLE copy_text(NbPbWalk *walk, const NbPbField *f, const Item *item, void *out,
                             NbError *err) {
    const size_t size = (size_t)(item->body.end - item->body.at);
    if (size && memchr(item->body.at, 0, size))
        return nb_fail(NB_ERR_FORMAT, err, "%s holds a zero byte", f->name);
    const char *text = nb_arena_string_n(walk->arena, (const char *)item->body.at, size);
    if (!text)
        return nb_fail_memory(err, f->name);
    memcpy(out, &text, sizeof text);
    return NB_OK;
}

static void put_number(const NbPbField *f, char *list, size_t *count, uint64_t value) {
    const size_t size = element_size(f);
    /* little endian, as every machine this runs on: the low bytes are the value */
    memcpy(list + *count * size, &value, size);
    *count += 1;
}

static NB_FALLIBLE put_numbers(const NbPbField *f, const Item *item, char *list, size_t *count,
                               NbError *err) {
    if (item->wire != WIRE_LEN) {
        put_number(f, list, count, item->value);
        return NB_OK;
    }
    for (NbPb in = item->body; in.at < in.end;) {
        uint64_t value = 0;
        if (f->kind == NB_PB_I64S)
            NB_TRY_IN(read_varint(&in, &value, err), err, "%s", f->name);
        else
            NB_TRY(read_fixed(&in, element_size(f), &value, err));
        put_number(f, list, count, value);
    }
    return NB_OK;
}

static NB_FALLIBLE put_message(NbPbWalk *walk, const NbPbField *f, const Item *item, char *out,
                               NbError *err) {
    char *to = out + f->offset;
    if (f->kind == NB_PB_INLINE) {
        memset(to, 0, f->size); /* a second one replaces the first, counts and all */
        NB_TRY_IN(f->read(walk, item->body, to, err), err, "%s", f->name);
        return NB_OK;
    }
    if (f->kind == NB_PB_MESSAGE) {
        void *one = nb_arena_take(walk->arena, 1, f->size);
        if (!one)
            return nb_fail_memory(err, f->name);
        memcpy(to, &one, sizeof one);
        NB_TRY_IN(f->read(walk, item->body, one, err), err, "%s", f->name);
        return NB_OK;
    }
    size_t *count = (size_t *)(void *)(out + f->count);
    char *list = NULL;
    memcpy(&list, to, sizeof list);
    const size_t i = (*count)++;
    NB_TRY_IN(f->read(walk, item->body, list + i * f->size, err), err, "%s %zu", f->name, i);
    return NB_OK;
}

static NB_FALLIBLE put_one(NbPbWalk *walk, const NbPbField *f, const Item *item, char *out,
                           NbError *err) {
    char *to = out + f->offset;
    const int64_t number = (int64_t)item->value;
    const NbBytes bytes = {item->body.at, (size_t)(item->body.end - item->body.at)};
    int narrow = 0;
    switch (f->kind) {
    case NB_PB_I64: memcpy(to, &number, sizeof number); break;
    case NB_PB_I32:
        if (number < INT_MIN || number > INT_MAX)
            return nb_fail(NB_ERR_FORMAT, err, "%s is %" PRId64 ", which has more than 32 bits",
                           f->name, number);
        narrow = (int)number;
        memcpy(to, &narrow, sizeof narrow);
        break;
    case NB_PB_F32: memcpy(to, &item->value, sizeof(float)); break;
    case NB_PB_TEXT: return copy_text(walk, f, item, to, err);
    case NB_PB_BYTES: memcpy(to, &bytes, sizeof bytes); break;
    case NB_PB_COUNT: *(size_t *)(void *)to += 1; break;
    case NB_PB_MESSAGE:
    case NB_PB_INLINE:
    case NB_PB_MESSAGES: return put_message(walk, f, item, out, err);
    case NB_PB_I64S:
    case NB_PB_F32S:
    case NB_PB_F64S:
    case NB_PB_TEXTS:
    case NB_PB_BYTESES: break;
    }
    return NB_OK;
}

static NB_FALLIBLE put_item(NbPbWalk *walk, const NbPbField *f, const Item *item, char *out,
                            NbError *err) {
    if (!repeats(f->kind) || f->kind == NB_PB_MESSAGES)
        return put_one(walk, f, item, out, err);
    char *list = NULL;
    size_t *count = (size_t *)(void *)(out + f->count);
    memcpy(&list, out + f->offset, sizeof list);
    if (is_numbers(f->kind))
        return list ? put_numbers(f, item, list, count, err) : NB_OK; /* packed, but empty */
    if (f->kind == NB_PB_TEXTS)
        return copy_text(walk, f, item, list + (*count)++ * sizeof(const char *), err);
    ((NbBytes *)(void *)list)[(*count)++] =
        (NbBytes){item->body.at, (size_t)(item->body.end - item->body.at)};
    return NB_OK;
}

NbStatus nb_pb_read(NbPbWalk *walk, NbPb message, const NbPbField *field, size_t n_fields,
                    void *out, NbError *err) {
    if (walk->depth >= NB_PB_DEPTH)
        return nb_fail(NB_ERR_FORMAT, err, "byte %zu: messages nest more than %d deep",
                       (size_t)(message.at - walk->start), NB_PB_DEPTH);
    NB_TRY(take_lists(walk, message, field, n_fields, out, err));
    walk->depth++;
    for (NbPb in = message; in.at < in.end;) {
        Item item;
        size_t at = 0;
        NB_TRY(next_item(walk, &in, &item, err));
        const NbPbField *f = find_field(field, n_fields, item.number, &at);
        if (f)
            NB_TRY(put_item(walk, f, &item, out, err));
    }
    walk->depth--;
    return NB_OK;
}
