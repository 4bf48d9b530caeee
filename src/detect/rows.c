/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/rows.h"

static float at(const NbHeadLevel *l, int b, int row, int c) {
    return l->raw[b * l->sb + row * l->sy + c * l->sc];
}

/* Rows come sorted; a few that do not are moved up. */
static void insert(NbDetections *out, NbDetection d) {
    size_t i = out->count++;
    for (; i > 0 && out->item[i - 1].conf < d.conf; i--)
        out->item[i] = out->item[i - 1];
    out->item[i] = d;
}

NbStatus nb_rows_finished(const NbHead *head, const NbHeadLevel *l, int b, const NbDetectOptions *o,
                          NbArena *arena, NbDetections *out, NbError *err) {
    *out = (NbDetections){.item = NB_NEW(arena, NbDetection, (size_t)l->ny)};
    if (!out->item)
        return nb_fail_memory(err, "detections");
    for (int i = 0; i < l->ny; i++) {
        const float cls = at(l, b, i, 5);
        NbDetection d = {.conf = at(l, b, i, 4)};
        if (!(d.conf > o->conf))
            continue;
        if (!(cls >= 0.0F && cls < (float)head->nc))
            return nb_fail(NB_ERR_FORMAT, err, "row %d has class %g of %d", i, (double)cls,
                           head->nc);
        d.cls = (int)cls;
        for (int c = 0; c < 4; c++)
            d.xyxy[c] = at(l, b, i, c);
        if (!o->classes || o->classes[d.cls])
            insert(out, d);
    }
    if (out->count > (size_t)o->max_det)
        out->count = (size_t)o->max_det;
    return NB_OK;
}

/* Whether a row can become a detection at all. */
static bool is_candidate(const NbHead *head, const NbHeadLevel *l, int b, int row, float conf) {
    if (head->kind == NB_HEAD_ROWS)
        return at(l, b, row, 4) > conf;
    for (int c = 0; c < head->nc; c++)
        if (at(l, b, row, 4 + c) > conf)
            return true;
    return false;
}

NbStatus nb_rows_candidates(const NbHead *head, const NbHeadLevel *level, int b, float conf,
                            NbArena *arena, float **rows, size_t *count, NbError *err) {
    const size_t channels = (size_t)nb_head_channels(head);
    *rows = NULL;
    *count = 0;
    for (int i = 0; i < level->ny; i++)
        *count += is_candidate(head, level, b, i, conf);
    float *to = NB_NEW(arena, float, *count *channels);
    if (!to)
        return nb_fail_memory(err, "candidate rows");
    *rows = to;
    for (int i = 0; i < level->ny; i++) {
        if (!is_candidate(head, level, b, i, conf))
            continue;
        for (size_t c = 0; c < channels; c++)
            *to++ = at(level, b, i, (int)c);
    }
    return NB_OK;
}
