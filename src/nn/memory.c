/* SPDX-License-Identifier: Apache-2.0
 *
 * Places for buffers: the largest first, each at the lowest offset where nothing lies that is
 * needed at the same time. Source: the greedy-by-size strategy of Pisarchyk, Lee, "Efficient memory
 * management for deep neural net inference", 2020. */
#include "nn/internal.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

NbNnBuffer nb_nn_buffer(NbExecutor *x, size_t stride, NbNnCopies copies) {
    if (x->n_memories == x->memory_capacity) {
        const int capacity = x->memory_capacity ? x->memory_capacity * 2 : 64;
        NbNnMemory *const grown = NB_NEW(&x->arena, NbNnMemory, (size_t)capacity);
        if (!grown)
            return -1;
        if (x->n_memories)
            memcpy(grown, x->memory, (size_t)x->n_memories * sizeof *grown);
        x->memory = grown;
        x->memory_capacity = capacity;
    }
    x->memory[x->n_memories] =
        (NbNnMemory){.stride = stride, .copies = copies, .first = -1, .last = -1};
    return x->n_memories++;
}

static int phase_of(const NbExecutor *x, int step) {
    for (int p = 0; p < x->n_phases; p++)
        if (step < x->phase[p].end)
            return p;
    return x->n_phases;
}

/* A buffer on the time line it is placed on: phases for the batch, steps for a worker. */
typedef struct Slot {
    NbNnMemory *memory;
    size_t bytes;
    int from;
    int to;
} Slot;

static int larger_first(const void *a, const void *b) {
    const Slot *p = a;
    const Slot *q = b;
    if (p->bytes != q->bytes)
        return p->bytes < q->bytes ? 1 : -1;
    return p->memory < q->memory ? -1 : p->memory > q->memory;
}

static bool meets(const Slot *a, const Slot *b) { return a->from <= b->to && b->from <= a->to; }

/* Moves the slot up until it overlaps none of the placed ones that live at the same time. */
static void settle(Slot *slot, const Slot *placed, size_t n) {
    size_t at = 0;
    for (bool moved = true; moved;) {
        moved = false;
        for (size_t i = 0; i < n; i++) {
            const size_t start = placed[i].memory->offset;
            if (meets(slot, &placed[i]) && at < start + placed[i].bytes &&
                start < at + slot->bytes) {
                at = start + placed[i].bytes;
                moved = true;
            }
        }
    }
    slot->memory->offset = at;
}

static size_t place(Slot *slot, size_t n) {
    size_t end = 0;
    qsort(slot, n, sizeof *slot, larger_first);
    for (size_t i = 0; i < n; i++) {
        settle(&slot[i], slot, i);
        if (slot[i].memory->offset + slot[i].bytes > end)
            end = slot[i].memory->offset + slot[i].bytes;
    }
    return end;
}

static size_t rounded(size_t bytes) {
    return (bytes + NB_ARENA_ALIGN - 1) / NB_ARENA_ALIGN * NB_ARENA_ALIGN;
}

static void classify(NbExecutor *x) {
    for (int i = 0; i < x->n_memories; i++) {
        NbNnMemory *const m = &x->memory[i];
        m->local = !m->pinned && m->copies == NB_NN_PER_PICTURE &&
                   phase_of(x, m->first) == phase_of(x, m->last);
    }
}

static size_t collect(NbExecutor *x, bool local, Slot *slot) {
    size_t n = 0;
    for (int i = 0; i < x->n_memories; i++) {
        NbNnMemory *const m = &x->memory[i];
        if (m->first < 0 || m->local != local)
            continue;
        const size_t copies = local                            ? 1
                              : m->copies == NB_NN_PER_PICTURE ? (size_t)x->options.batch
                                                               : (size_t)x->shards;
        slot[n++] = (Slot){.memory = m,
                           .bytes = rounded(m->stride * copies),
                           .from = local ? m->first : phase_of(x, m->first),
                           .to = m->pinned ? x->n_steps
                                 : local   ? m->last
                                           : phase_of(x, m->last)};
    }
    return n;
}

/* Activations are walked through from end to end: large pages save most of the address look-ups
 * (measured: a fifth of a training step). Only an advice; whether it is taken does not matter. */
static void prefer_large_pages(unsigned char *block, size_t bytes) {
    enum { PAGE = 1 << 21 };
    const size_t skip = (PAGE - (uintptr_t)block % PAGE) % PAGE;
    if (bytes > skip + PAGE)
        (void)madvise(block + skip, (bytes - skip) / PAGE * PAGE, MADV_HUGEPAGE);
}

NbStatus nb_nn_place(NbExecutor *x, NbError *err) {
    Slot *const slot = NB_NEW(&x->arena, Slot, (size_t)x->n_memories + 1);
    x->worker_block = NB_NEW(&x->arena, unsigned char *, (size_t)x->workers);
    x->scratch = NB_NEW(&x->arena, unsigned char *, (size_t)x->workers);
    if (!slot || !x->worker_block || !x->scratch)
        return nb_fail_memory(err, "the plan of a training graph");
    classify(x);
    const size_t batch = place(slot, collect(x, false, slot));
    const size_t local = place(slot, collect(x, true, slot));
    x->batch_block = nb_arena_take(&x->arena, batch, 1);
    if (!x->batch_block)
        return nb_fail_memory(err, "the activations of a batch");
    prefer_large_pages(x->batch_block, batch);
    for (int w = 0; w < x->workers; w++) {
        x->worker_block[w] = nb_arena_take(&x->arena, local, 1);
        x->scratch[w] = nb_arena_take(&x->arena, x->scratch_bytes, 1);
        if (!x->worker_block[w] || !x->scratch[w])
            return nb_fail_memory(err, "the activations of a shard");
        prefer_large_pages(x->worker_block[w], local);
    }
    return NB_OK;
}

void *nb_nn_at(const NbNnTask *task, NbNnBuffer buffer) {
    const NbExecutor *const x = task->x;
    const NbNnMemory *const m = &x->memory[buffer];
    if (m->local)
        return x->worker_block[task->worker] + m->offset;
    const int copy = m->copies == NB_NN_PER_SHARD ? task->shard : task->picture;
    return x->batch_block + m->offset + (size_t)copy * m->stride;
}
