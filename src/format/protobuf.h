/* SPDX-License-Identifier: Apache-2.0
 *
 * Protocol buffers as this project reads them: a message is described by a table of its fields, and
 * one bounded walk fills a struct. Nothing is trusted: every length is compared with what is left
 * before it is used, messages nest at most NB_PB_DEPTH deep, memory comes from one arena.
 * Source: protobuf.dev/programming-guides/encoding. Groups are refused; unknown fields skipped. */
#ifndef NB_FORMAT_PROTOBUF_H
#define NB_FORMAT_PROTOBUF_H

#include "base/arena.h"
#include "base/file.h"
#include "base/status.h"

enum { NB_PB_DEPTH = 24, NB_PB_MAX_REPEAT = 1 << 20, NB_PB_MAX_NUMBERS = 1 << 28 };

/* A message, or what is left of it. */
typedef struct NbPb {
    const unsigned char *at;
    const unsigned char *end;
} NbPb;

/* Where a walk is and what it may use; user belongs to whoever made the tables. */
typedef struct NbPbWalk {
    const unsigned char *start; /* of the file: messages say at which byte */
    NbArena *arena;
    int depth;
    void *user;
} NbPbWalk;

/* What a field becomes in the struct. */
typedef enum NbPbKind {
    NB_PB_I64,     /* int64_t */
    NB_PB_I32,     /* int, from a varint that must fit */
    NB_PB_F32,     /* float */
    NB_PB_TEXT,    /* const char *, a copy in the arena; a zero byte inside is refused */
    NB_PB_BYTES,   /* NbBytes that points into the file */
    NB_PB_MESSAGE, /* T *, taken from the arena */
    NB_PB_INLINE,  /* T */
    NB_PB_COUNT,   /* size_t: how often it occurs; the content is not looked at */
    NB_PB_I64S,    /* int64_t *, size_t count; packed or not; also uint64 and int32 */
    NB_PB_F32S,    /* float *, size_t count */
    NB_PB_F64S,    /* double *, size_t count */
    NB_PB_TEXTS,   /* const char **, size_t count */
    NB_PB_BYTESES, /* NbBytes *, size_t count */
    NB_PB_MESSAGES /* T *, size_t count */
} NbPbKind;

/* Reads one message into the zeroed struct `out`. */
typedef NbStatus NbPbRead(NbPbWalk *walk, NbPb message, void *out, NbError *err);

typedef struct NbPbField {
    const char *name; /* as messages call it */
    int number;       /* 1 to 63 */
    NbPbKind kind;
    size_t offset; /* in the struct */
    size_t count;  /* offset of the count, of what repeats */
    size_t size;   /* of T */
    NbPbRead *read;
} NbPbField;

/* Fills `out` from the message: of a field that does not repeat the last one counts. Texts that do
 * not occur become "". */
NB_FALLIBLE nb_pb_read(NbPbWalk *walk, NbPb message, const NbPbField *field, size_t n_fields,
                       void *out, NbError *err);

#endif
