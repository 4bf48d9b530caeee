/* SPDX-License-Identifier: Apache-2.0
 *
 * One block for all buffers: two of them share memory when no step needs both. */
#include "nn/float/internal.h"

#include <stdlib.h>

static void use(NbFloatEngine *x, const NbFloatPlace *p, int step) {
    if (p->buffer < 0)
        return;
    NbFloatBuffer *const b = &x->buffer[p->buffer];
    if (b->first < 0 || step < b->first)
        b->first = step;
    if (step > b->last)
        b->last = step;
}

static void find_lifetimes(NbFloatEngine *x) {
    for (int s = 0; s < x->n_steps; s++) {
        const NbFloatStep *const step = &x->step[s];
        for (int i = 0; i < step->n_in; i++)
            use(x, &step->in[i], s);
        use(x, &step->out, s);
    }
    for (int i = 0; i < x->n_outputs; i++) {
        use(x, &x->output[i], x->n_steps);
        if (x->output[i].buffer >= 0)
            x->buffer[x->output[i].buffer].pinned = true;
    }
}

static int larger_first(const void *a, const void *b) {
    const NbFloatBuffer *const *const p = a;
    const NbFloatBuffer *const *const q = b;
    if ((*p)->floats != (*q)->floats)
        return (*p)->floats > (*q)->floats ? -1 : 1;
    return *p < *q ? -1 : 1;
}

static bool meet(const NbFloatBuffer *a, const NbFloatBuffer *b) {
    return a->first <= b->last && b->first <= a->last;
}

static size_t rounded(size_t floats) { return (floats + 15) & ~(size_t)15; }

/* The lowest place that nobody who lives at the same time has. */
static void settle(NbFloatBuffer *const *placed, int n, NbFloatBuffer *b) {
    b->at = 0;
    for (bool moved = true; moved;) {
        moved = false;
        for (int i = 0; i < n; i++) {
            const NbFloatBuffer *const p = placed[i];
            if (meet(p, b) && p->at < b->at + rounded(b->floats) &&
                b->at < p->at + rounded(p->floats)) {
                b->at = p->at + rounded(p->floats);
                moved = true;
            }
        }
    }
}

static void point(const NbFloatEngine *x, NbFloatPlace *p) {
    if (p->buffer >= 0)
        p->data = x->block + x->buffer[p->buffer].at + p->offset;
}

static NB_FALLIBLE take_memory(NbFloatEngine *x, NbError *err) {
    x->block = NB_NEW(&x->arena, float, x->block_floats);
    x->scratch = NB_NEW(&x->arena, float *, (size_t)x->threads);
    if (!x->block || !x->scratch)
        return nb_fail_memory(err, "the values of a network");
    for (int t = 0; t < x->threads; t++) {
        x->scratch[t] = NB_NEW(&x->arena, float, x->scratch_floats);
        if (!x->scratch[t])
            return nb_fail_memory(err, "scratch memory");
    }
    return NB_OK;
}

NbStatus nb_float_plan_memory(NbFloatEngine *x, NbError *err) {
    NbFloatBuffer **const order = NB_NEW(&x->arena, NbFloatBuffer *, (size_t)x->n_buffers);
    if (!order)
        return nb_fail_memory(err, "buffers");
    find_lifetimes(x);
    int n = 0;
    for (int i = 0; i < x->n_buffers; i++)
        if (x->buffer[i].first >= 0)
            order[n++] = &x->buffer[i];
    qsort(order, (size_t)n, sizeof *order, larger_first);
    for (int i = 0; i < n; i++) {
        settle(order, i, order[i]);
        const size_t end = order[i]->at + rounded(order[i]->floats);
        x->block_floats = end > x->block_floats ? end : x->block_floats;
    }
    NB_TRY(take_memory(x, err));
    for (int s = 0; s < x->n_steps; s++) {
        for (int i = 0; i < x->step[s].n_in; i++)
            point(x, &x->step[s].in[i]);
        point(x, &x->step[s].out);
    }
    for (int i = 0; i < x->n_outputs; i++)
        point(x, &x->output[i]);
    return NB_OK;
}
