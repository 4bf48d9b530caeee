/* SPDX-License-Identifier: Apache-2.0 */
#include "data/tools.h"

#include <math.h>

static int at_most(int v, int limit) { return v < limit ? v : limit; }

static void add_label(NbDataStats *out, int nc, const NbTarget *t, int *seen_in, int picture) {
    const float size = sqrtf(t->xywh[2] * t->xywh[3]);
    out->size[at_most((int)(size * NB_STATS_SIZES), NB_STATS_SIZES - 1)]++;
    out->smallest = out->labels ? fminf(out->smallest, size) : size;
    out->largest = out->labels ? fmaxf(out->largest, size) : size;
    out->labels++;
    if (t->cls >= nc)
        return;
    NbClassStats *const c = &out->per_class[t->cls];
    c->labels++;
    c->mean_size += (double)size; /* divided at the end */
    c->images += seen_in[t->cls] != picture + 1;
    seen_in[t->cls] = picture + 1;
}

static void add_picture(NbDataStats *out, const NbSample *s) {
    const bool first = out->images++ == 0;
    out->width_min = first || s->width < out->width_min ? s->width : out->width_min;
    out->width_max = s->width > out->width_max ? s->width : out->width_max;
    out->height_min = first || s->height < out->height_min ? s->height : out->height_min;
    out->height_max = s->height > out->height_max ? s->height : out->height_max;
    out->backgrounds += s->n_labels == 0;
    out->boxes[at_most(s->n_labels, NB_STATS_BOXES - 1)]++;
    out->most_boxes = s->n_labels > out->most_boxes ? s->n_labels : out->most_boxes;
    for (int i = 0; s->polygon && i < s->n_labels; i++)
        out->polygons += s->polygon[i].n > 0;
}

NbStatus nb_data_stats(const NbSamples *samples, int nc, NbArena *arena, NbDataStats *out,
                       NbError *err) {
    *out = (NbDataStats){.per_class = NB_NEW(arena, NbClassStats, (size_t)nc)};
    int *const seen_in = NB_NEW(arena, int, (size_t)nc); /* 1 + the last picture with the class */
    if (!out->per_class || !seen_in)
        return nb_fail_memory(err, "statistics");
    for (int i = 0; i < samples->n; i++) {
        const NbSample *const s = &samples->sample[i];
        add_picture(out, s);
        for (int k = 0; k < s->n_labels; k++)
            add_label(out, nc, &s->label[k], seen_in, i);
    }
    for (int c = 0; c < nc; c++)
        if (out->per_class[c].labels)
            out->per_class[c].mean_size /= out->per_class[c].labels;
    out->mean_boxes = out->images ? (double)out->labels / out->images : 0.0;
    return NB_OK;
}
