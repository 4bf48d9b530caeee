/* SPDX-License-Identifier: Apache-2.0 */
#include "api/export_reference.h"

#include <math.h>

/* A NaN is near nothing. */
static bool near(float expected, float found, double tolerance) {
    return fabs((double)expected - (double)found) <= tolerance * (1.0 + fabs((double)expected));
}

/* Probabilities may all be small: what counts is their logit, whose error they have relatively. */
static bool near_score(float expected, float found, double tolerance) {
    const double off = fabs((double)expected - (double)found);
    return off <= tolerance * (5.0 * fabs((double)expected) + 1e-3);
}

static void note(NbExportCount *count, float expected, float found, bool matches) {
    const double off = fabs((double)expected - (double)found);
    count->values++;
    count->mismatches += !matches;
    if (!(off <= count->max_abs))
        count->max_abs = off;
}

/* One picture's detections. */
typedef struct Detections {
    const float *expected; /* [n][6] */
    const float *found;
    int64_t n;
    const float *candidate; /* [cells][4 + nc] */
    int64_t cells;
    int nc;
    bool *taken; /* [cells][nc] */
    double tolerance;
} Detections;

/* The candidate that `row` is, and takes it; NULL: none. */
static const float *candidate_of(const Detections *d, const float *row) {
    const int cls = row[5] >= 0.0F && row[5] < (float)d->nc ? (int)row[5] : -1;
    for (int64_t i = 0; cls >= 0 && (float)cls == row[5] && i < d->cells; i++) {
        const float *const c = d->candidate + i * (4 + d->nc);
        bool same = !d->taken[i * d->nc + cls] && near_score(c[4 + cls], row[4], d->tolerance);
        for (int k = 0; same && k < 4; k++)
            same = near(c[k], row[k], d->tolerance);
        if (same) {
            d->taken[i * d->nc + cls] = true;
            return c;
        }
    }
    return NULL;
}

static void compare_detections(const Detections *d, NbExportCount *count) {
    for (int64_t i = 0; i < d->n; i++) {
        const float *const row = d->found + 6 * i;
        const float *const want = d->expected + 6 * i;
        const float *const c = candidate_of(d, row);
        for (int k = 0; k < 4; k++)
            note(count, c ? c[k] : want[k], row[k], c != NULL);
        note(count, want[4], row[4], near_score(want[4], row[4], d->tolerance));
        note(count, c ? row[5] : want[5], row[5], c != NULL);
    }
}

static NB_FALLIBLE compare_pictures(const NbExportOutputs *expected, const float *found,
                                    double tolerance, NbExportCount *count, NbError *err) {
    const NbTensor *t = &expected->tensor[0];
    const int64_t n = t->shape.dim[1];
    Detections d = {.n = n, .cells = expected->cells, .nc = expected->nc, .tolerance = tolerance};
    for (int64_t b = 0; b < t->shape.dim[0]; b++) {
        NbArena arena = {0};
        d.taken = NB_NEW(&arena, bool, (size_t)(d.cells * d.nc));
        if (!d.taken)
            return nb_fail_memory(err, "a comparison");
        d.expected = nb_f32(t) + b * n * 6;
        d.found = found + b * n * 6;
        d.candidate = expected->candidates + b * d.cells * (4 + d.nc);
        compare_detections(&d, count);
        nb_arena_release(&arena);
    }
    return NB_OK;
}

NbStatus nb_export_compare(const NbExportOutputs *expected, int i, const float *found,
                           double tolerance, NbExportCount *count, NbError *err) {
    const float *const want = nb_f32(&expected->tensor[i]);
    const size_t n = nb_tensor_count(&expected->tensor[i]);
    if (expected->candidates)
        return compare_pictures(expected, found, tolerance, count, err);
    for (size_t k = 0; k < n; k++)
        note(count, want[k], found[k], near(want[k], found[k], tolerance));
    return NB_OK;
}
