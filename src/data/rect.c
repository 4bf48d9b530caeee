/* SPDX-License-Identifier: Apache-2.0 */
#include "data/rect.h"

#include <math.h>
#include <stdlib.h>

typedef struct Aspect {
    double ratio; /* height / width */
    uint32_t index;
} Aspect;

static int by_ratio(const void *a, const void *b) {
    const Aspect *const x = a;
    const Aspect *const y = b;
    if (x->ratio < y->ratio || x->ratio > y->ratio)
        return x->ratio < y->ratio ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

static int side(const NbRectOptions *o, double share) {
    return (int)ceil(share * o->imgsz / o->stride + o->pad) * o->stride;
}

NbStatus nb_rect_plan(const NbSamples *samples, const NbRectOptions *options, NbArena *scratch,
                      uint32_t *order, NbRectShape *shape, NbError *err) {
    const int batch = options->batch;
    const int n = samples->n;
    Aspect *const all = NB_NEW(scratch, Aspect, (size_t)n);
    if (!all)
        return nb_fail_memory(err, "rectangular batches");
    for (int i = 0; i < n; i++)
        all[i] = (Aspect){.ratio = (double)samples->sample[i].height / samples->sample[i].width,
                          .index = (uint32_t)i};
    qsort(all, (size_t)n, sizeof *all, by_ratio);
    for (int i = 0; i < n; i++)
        order[i] = all[i].index;
    for (int first = 0, b = 0; first < n; first += batch, b++) {
        const int last = first + batch < n ? first + batch - 1 : n - 1;
        double high = 1.0;
        double wide = 1.0;
        if (all[last].ratio < 1.0) /* all are wide */
            high = all[last].ratio;
        else if (all[first].ratio > 1.0) /* all are high */
            wide = 1.0 / all[first].ratio;
        shape[b] = (NbRectShape){.height = side(options, high), .width = side(options, wide)};
    }
    return NB_OK;
}
