/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include "base/size.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_MIN = 64 * 1024 };

struct NbArenaChunk {
    NbArenaChunk *older;
    size_t size;         /* bytes that can be taken */
    size_t older_used;   /* what was used of the older chunk when this one came */
    unsigned char *data; /* aligned start */
    void *block;         /* what malloc gave */
};

static bool add_chunk(NbArena *arena, size_t need) {
    size_t size = need > CHUNK_MIN ? need : CHUNK_MIN;
    if (arena->chunks && need <= CHUNK_MIN && arena->total > CHUNK_MIN && arena->total < (8U << 20))
        size = arena->total; /* grow with use, so that small takes cost few chunks */
    if (arena->limit && size > arena->limit - arena->total)
        size = need;
    if (arena->limit && size > arena->limit - arena->total)
        return false;
    size_t bytes;
    if (!nb_add_size(size, NB_ARENA_ALIGN, &bytes))
        return false;
    NbArenaChunk *const chunk = malloc(sizeof *chunk);
    if (!chunk)
        return false;
    chunk->block = calloc(1, bytes);
    if (!chunk->block) {
        free(chunk);
        return false;
    }
    const uintptr_t at = (uintptr_t)chunk->block;
    chunk->data =
        (unsigned char *)chunk->block + ((NB_ARENA_ALIGN - at % NB_ARENA_ALIGN) % NB_ARENA_ALIGN);
    chunk->size = size;
    chunk->older = arena->chunks;
    chunk->older_used = arena->used;
    arena->chunks = chunk;
    arena->used = 0;
    arena->total += size;
    return true;
}

void *nb_arena_take(NbArena *arena, size_t count, size_t size) {
    if (arena->fail_at && --arena->fail_at == 0)
        return NULL;
    size_t bytes;
    size_t rounded;
    if (!nb_mul_size(count, size, &bytes) ||
        !nb_add_size(bytes ? bytes : 1, NB_ARENA_ALIGN - 1, &rounded))
        return NULL;
    rounded &= ~(size_t)(NB_ARENA_ALIGN - 1);
    if (!arena->chunks || rounded > arena->chunks->size - arena->used) {
        if (!add_chunk(arena, rounded))
            return NULL;
    }
    void *const out = arena->chunks->data + arena->used;
    arena->used += rounded;
    return out;
}

char *nb_arena_string_n(NbArena *arena, const char *text, size_t n) {
    size_t bytes;
    char *const out = nb_add_size(n, 1, &bytes) ? nb_arena_take(arena, bytes, 1) : NULL;
    if (out)
        memcpy(out, text, n);
    return out;
}

char *nb_arena_string(NbArena *arena, const char *text) {
    return nb_arena_string_n(arena, text, strlen(text));
}

char *nb_arena_printf(NbArena *arena, const char *format, ...) {
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0)
        return NULL;
    char *const out = nb_arena_take(arena, (size_t)n + 1, 1);
    if (!out)
        return NULL;
    va_start(args, format);
    (void)vsnprintf(out, (size_t)n + 1, format, args);
    va_end(args);
    return out;
}

NbArenaMark nb_arena_mark(const NbArena *arena) {
    return (NbArenaMark){.chunk = arena->chunks, .used = arena->used};
}

static void drop_newest(NbArena *arena) {
    NbArenaChunk *const chunk = arena->chunks;
    arena->chunks = chunk->older;
    arena->used = chunk->older_used;
    arena->total -= chunk->size;
    free(chunk->block);
    free(chunk);
}

void nb_arena_rewind(NbArena *arena, NbArenaMark mark) {
    while (arena->chunks != mark.chunk)
        drop_newest(arena);
    if (arena->chunks) /* what is taken again must be zero again */
        memset(arena->chunks->data + mark.used, 0, arena->used - mark.used);
    arena->used = mark.used;
}

void nb_arena_release(NbArena *arena) {
    while (arena->chunks)
        drop_newest(arena);
    arena->used = 0;
}
