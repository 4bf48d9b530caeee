/* SPDX-License-Identifier: Apache-2.0
 *
 * Where planes lie. First fit in order of their first use, over the planes that are alive at the
 * same time: few, so that comparing all pairs costs nothing. */
#include "engine/plan.h"

#include "base/size.h"

#include <inttypes.h>

static NB_FALLIBLE plane_bytes(NbPlane *p, NbError *err) {
    const size_t rows = (size_t)p->border[0] + (size_t)p->height + (size_t)p->border[2];
    size_t bytes = 0;
    if (!nb_mul_size(rows, nb_plane_row(p), &bytes) ||
        !nb_add_size(bytes, NB_PLANE_SLACK + NB_ARENA_ALIGN - 1, &bytes) ||
        bytes > (size_t)PTRDIFF_MAX / 4)
        return nb_fail(NB_ERR_NOMEM, err, "an activation of %dx%dx%d is too large", p->height,
                       p->width, p->channels);
    p->bytes = bytes / NB_ARENA_ALIGN * NB_ARENA_ALIGN;
    return NB_OK;
}

static bool alive_together(const NbPlane *a, const NbPlane *b) {
    return a->first <= b->last && b->first <= a->last;
}

/* The lowest place where `p` meets none of the planes before it. */
static void place(NbPlane *p, NbPlane *const *placed, int n) {
    p->offset = 0;
    for (int i = 0; i < n; i++) {
        const NbPlane *q = placed[i];
        if (!alive_together(p, q) || p->offset + p->bytes <= q->offset ||
            q->offset + q->bytes <= p->offset)
            continue;
        p->offset = q->offset + q->bytes;
        i = -1; /* from the start again: the new place may meet an earlier one */
    }
}

NbStatus nb_plan_memory(NbEngine *e, NbPlane *const *planes, int n, NbError *err) {
    for (int i = 0; i < n; i++) {
        NB_TRY(plane_bytes(planes[i], err));
        place(planes[i], planes, i);
        const size_t end = planes[i]->offset + planes[i]->bytes;
        e->memory_bytes = end > e->memory_bytes ? end : e->memory_bytes;
    }
    e->memory = NB_NEW(&e->arena, uint8_t, e->memory_bytes);
    if (!e->memory)
        return nb_fail_memory(err, "activations");
    for (int i = 0; i < n; i++) {
        NbPlane *p = planes[i];
        p->at = e->memory + p->offset + (size_t)p->border[0] * nb_plane_row(p) +
                (size_t)p->border[1] * (size_t)p->pixel;
    }
    return NB_OK;
}
