/* SPDX-License-Identifier: Apache-2.0
 *
 * The fit is computed in float32, as the source does; means are summed in double. */
#include "data/anchors.h"

#include "base/random.h"

#include <math.h>
#include <string.h>

enum { GENERATIONS = 1000, RESTARTS = 30 };

NbStatus nb_anchor_sizes(const NbSamples *samples, int imgsz, const float *factor, NbArena *arena,
                         NbSizes *out, NbError *err) {
    size_t n = 0;
    for (int i = 0; i < samples->n; i++)
        n += (size_t)samples->sample[i].n_labels;
    *out = (NbSizes){.wh = nb_arena_take(arena, n, sizeof *out->wh)};
    if (!out->wh)
        return nb_fail_memory(err, "sizes of boxes");
    for (int i = 0; i < samples->n; i++) {
        const NbSample *const s = &samples->sample[i];
        const double longer = s->width > s->height ? s->width : s->height;
        const double f = factor ? (double)factor[i] : 1.0;
        const double w = imgsz * (s->width / longer) * f;
        const double h = imgsz * (s->height / longer) * f;
        for (int k = 0; k < s->n_labels; k++, out->n++) {
            out->wh[out->n][0] = (float)((double)s->label[k].xywh[2] * w);
            out->wh[out->n][1] = (float)((double)s->label[k].xywh[3] * h);
        }
    }
    return NB_OK;
}

NbStatus nb_anchor_sizes_above(NbSizes from, float least, NbArena *arena, NbSizes *out,
                               NbError *err) {
    *out = (NbSizes){.wh = nb_arena_take(arena, from.n, sizeof *out->wh)};
    if (!out->wh)
        return nb_fail_memory(err, "sizes of boxes");
    for (size_t i = 0; i < from.n; i++)
        if (from.wh[i][0] >= least || from.wh[i][1] >= least)
            memcpy(out->wh[out->n++], from.wh[i], sizeof *out->wh);
    return NB_OK;
}

static float fit(const float a[2], const float b[2]) {
    float least = 1.0F;
    for (int k = 0; k < 2; k++) {
        const float r = a[k] / b[k];
        least = fminf(least, fminf(r, 1.0F / r));
    }
    return least;
}

NbAnchorFit nb_anchor_fit(NbSizes sizes, const float (*anchor)[2], int count, double threshold,
                          float *best) {
    const float limit = (float)(1.0 / threshold);
    size_t matched = 0;
    size_t pairs = 0;
    double sum = 0.0;
    for (size_t i = 0; i < sizes.n; i++) {
        float most = 0.0F;
        for (int k = 0; k < count; k++) {
            const float x = fit(sizes.wh[i], anchor[k]);
            pairs += x > limit;
            most = fmaxf(most, x);
        }
        if (best)
            best[i] = most;
        matched += most > limit;
        sum += most > limit ? (double)most : 0.0;
    }
    const double n = sizes.n ? (double)sizes.n : 1.0;
    return (NbAnchorFit){(double)matched / n, (double)pairs / n, sum / n};
}

bool nb_anchor_order(float (*anchor)[2], int levels, int per_level, const float *stride) {
    const int last = levels * per_level - 1;
    const float area = anchor[last][0] * anchor[last][1] - anchor[0][0] * anchor[0][1];
    const float step = stride[levels - 1] - stride[0];
    const int sign_area = (area > 0.0F) - (area < 0.0F);
    const int sign_step = (step > 0.0F) - (step < 0.0F);
    if (sign_area == sign_step)
        return false;
    for (int i = 0; i < levels / 2; i++)
        for (int k = 0; k < per_level; k++)
            for (int c = 0; c < 2; c++) {
                float *const a = &anchor[i * per_level + k][c];
                float *const b = &anchor[(levels - 1 - i) * per_level + k][c];
                const float keep = *a;
                *a = *b;
                *b = keep;
            }
    return true;
}

/* Jitter of the check: each picture's boxes times U(0.9, 1.1). */
static NbStatus jittered(const NbSamples *samples, const NbAnchorOptions *o, NbArena *arena,
                         NbSizes *out, NbError *err) {
    float *const factor = NB_NEW(arena, float, (size_t)samples->n);
    if (!factor)
        return nb_fail_memory(err, "checking anchors");
    NbRandom r = nb_random(o->seed, NB_RANDOM_ANCHORS, 0, 0);
    for (int i = 0; i < samples->n; i++)
        factor[i] = (float)nb_random_range(&r, 0.9, 1.1);
    return nb_anchor_sizes(samples, o->imgsz, factor, arena, out, err);
}

static NbStatus improve(const NbSamples *samples, const NbAnchorOptions *o, NbArena *arena,
                        NbSizes judged, float (*anchor)[2], NbAnchorCheck *out, NbError *err) {
    const int count = o->levels * o->per_level;
    NbSizes all;
    NbSizes sizes;
    NB_TRY(nb_anchor_sizes(samples, o->imgsz, NULL, arena, &all, err));
    NB_TRY(nb_anchor_sizes_above(all, 2.0F, arena, &sizes, err));
    for (size_t i = 0; i < all.n; i++)
        out->tiny += all.wh[i][0] < 3.0F || all.wh[i][1] < 3.0F;
    float found[NB_ANCHORS_MAX][2];
    NbError ignored = {0};
    if (nb_anchor_kmeans(sizes, count, RESTARTS, o->seed, arena, found, &ignored) != NB_OK)
        return NB_OK; /* too few boxes to do better with: the given ones stay */
    nb_anchor_evolve(sizes, count, o->threshold, GENERATIONS, o->seed, found);
    const NbAnchorFit fitted =
        nb_anchor_fit(judged, (const float(*)[2])found, count, o->threshold, NULL);
    if (fitted.bpr > out->before.bpr) {
        memcpy(anchor, found, (size_t)count * sizeof *anchor);
        out->after = fitted;
        out->changed = true;
    }
    return NB_OK;
}

static NbStatus check(const NbSamples *samples, const NbAnchorOptions *o, NbArena *arena,
                      float (*anchor)[2], NbAnchorCheck *out, NbError *err) {
    NbSizes sizes = {0};
    NB_TRY(jittered(samples, o, arena, &sizes, err));
    if (sizes.n == 0)
        return nb_fail(NB_ERR_ARGUMENT, err, "the data set has no boxes to fit anchors to");
    out->before = nb_anchor_fit(sizes, (const float(*)[2])anchor, o->levels * o->per_level,
                                o->threshold, NULL);
    out->after = out->before;
    if (out->before.bpr < NB_ANCHOR_BPR)
        NB_TRY(improve(samples, o, arena, sizes, anchor, out, err));
    (void)nb_anchor_order(anchor, o->levels, o->per_level, o->stride);
    return NB_OK;
}

NbStatus nb_anchor_check(const NbSamples *samples, const NbAnchorOptions *o, float (*anchor)[2],
                         NbAnchorCheck *out, NbError *err) {
    *out = (NbAnchorCheck){0};
    if (o->levels < 1 || o->per_level < 1 || o->levels > NB_ANCHORS_MAX ||
        o->per_level > NB_ANCHORS_MAX / o->levels)
        return nb_fail(NB_ERR_ARGUMENT, err, "%d levels of %d anchors, expected 1 to %d in all",
                       o->levels, o->per_level, NB_ANCHORS_MAX);
    NbArena arena = {0};
    const NbStatus status = check(samples, o, &arena, anchor, out, err);
    nb_arena_release(&arena);
    return status;
}
