/* SPDX-License-Identifier: Apache-2.0
 *
 * Arenas: memory with one owner and one end. A function that builds something takes what it needs
 * from the caller's arena and, on failure, just returns; the caller releases the arena.
 * An arena belongs to one thread. */
#ifndef NB_BASE_ARENA_H
#define NB_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

enum { NB_ARENA_ALIGN = 64 }; /* a cache line, and the widest vector */

typedef struct NbArenaChunk NbArenaChunk;

/* Zero-initialise to use: NbArena arena = {0}. */
typedef struct NbArena {
    NbArenaChunk *chunks; /* newest first */
    size_t used;          /* bytes taken from the newest chunk */
    size_t limit;         /* bytes this arena may hold in total; 0: no limit */
    size_t total;         /* bytes held, for reports and for the limit */
    size_t fail_at;       /* tests: this many takes from now fails; 0: none */
} NbArena;

/* A place to go back to. */
typedef struct NbArenaMark {
    NbArenaChunk *chunk;
    size_t used;
} NbArenaMark;

/* Takes count * size zeroed bytes, aligned to NB_ARENA_ALIGN. count * size = 0 takes one byte.
 * Returns NULL when the product overflows, the limit is reached or memory is out. */
void *nb_arena_take(NbArena *arena, size_t count, size_t size);

/* The typed way to call nb_arena_take: NB_NEW(arena, NbNode, 1). */
#define NB_NEW(arena, Type, count) ((Type *)nb_arena_take((arena), (count), sizeof(Type)))

/* Copies a string, or its first n bytes; NULL when memory is out. */
char *nb_arena_string(NbArena *arena, const char *text);
char *nb_arena_string_n(NbArena *arena, const char *text, size_t n);

/* printf into the arena; NULL when memory is out. */
char *nb_arena_printf(NbArena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

NbArenaMark nb_arena_mark(const NbArena *arena);

/* Gives back everything taken since `mark`. */
void nb_arena_rewind(NbArena *arena, NbArenaMark mark);

/* Gives everything back; the arena may be used again. Keeps limit. */
void nb_arena_release(NbArena *arena);

#endif
