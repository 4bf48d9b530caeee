/* SPDX-License-Identifier: Apache-2.0 */
#include "base/thread.h"
#include "data/picture.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct NbPictureCache {
    NbMutex lock;  /* over arena, and over filling a slot */
    NbArena arena; /* its limit is the cache's */
    NbArena fixed;
    _Atomic(uint8_t *) *slot; /* [n]; written once */
    atomic_bool full;
};

NbStatus nb_picture_cache_new(size_t limit, int n, NbPictureCache **out, NbError *err) {
    *out = NULL;
    NbPictureCache *const c = calloc(1, sizeof *c);
    if (!c)
        return nb_fail_memory(err, "the picture cache");
    if (nb_mutex_init(&c->lock, err) != NB_OK) {
        free(c);
        return NB_ERR_IO;
    }
    c->slot = nb_arena_take(&c->fixed, (size_t)n, sizeof *c->slot);
    if (!c->slot) {
        nb_picture_cache_free(c);
        return nb_fail_memory(err, "the picture cache");
    }
    c->arena.limit = limit;
    atomic_store(&c->full, limit == 0);
    *out = c;
    return NB_OK;
}

void nb_picture_cache_free(NbPictureCache *c) {
    if (!c)
        return;
    nb_arena_release(&c->arena);
    nb_arena_release(&c->fixed);
    nb_mutex_release(&c->lock);
    free(c);
}

uint8_t *nb_picture_cache_get(NbPictureCache *c, int sample) {
    return atomic_load_explicit(&c->slot[sample], memory_order_acquire);
}

void nb_picture_cache_put(NbPictureCache *c, int sample, const uint8_t *pixels, size_t bytes) {
    if (atomic_load_explicit(&c->full, memory_order_relaxed))
        return;
    nb_mutex_lock(&c->lock);
    if (!atomic_load_explicit(&c->slot[sample], memory_order_relaxed)) {
        uint8_t *const kept = nb_arena_take(&c->arena, bytes, 1);
        if (kept) {
            memcpy(kept, pixels, bytes);
            atomic_store_explicit(&c->slot[sample], kept, memory_order_release);
        } else {
            atomic_store_explicit(&c->full, true, memory_order_relaxed);
        }
    }
    nb_mutex_unlock(&c->lock);
}
