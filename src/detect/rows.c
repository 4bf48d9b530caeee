/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/rows.h"

#include "detect/nms.h"

#include <string.h>

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

static NB_FALLIBLE finished_rows(const NbHead *head, const NbHeadLevel *l, int b,
                                 const NbDetectOptions *o, NbArena *arena, NbDetections *out,
                                 NbError *err) {
    out->item = NB_NEW(arena, NbDetection, (size_t)l->ny);
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

NbStatus nb_rows_detect(const NbHead *head, const NbHeadLevel *level, int b,
                        const NbDetectOptions *o, NbArena *arena, NbDetections *out, NbError *err) {
    *out = (NbDetections){0};
    if (head->kind == NB_HEAD_END2END)
        return finished_rows(head, level, b, o, arena, out, err);
    const bool has_obj = head->kind == NB_HEAD_ROWS;
    const size_t channels = (size_t)head->nc + (has_obj ? 5 : 4);
    size_t rows = 0;
    for (int i = 0; i < level->ny; i++)
        rows += is_candidate(head, level, b, i, o->conf);
    float *const row = NB_NEW(arena, float, rows *channels);
    if (!row)
        return nb_fail_memory(err, "candidates");
    float *to = row;
    for (int i = 0; i < level->ny; i++) {
        if (!is_candidate(head, level, b, i, o->conf))
            continue;
        for (size_t c = 0; c < channels; c++)
            *to++ = at(level, b, i, (int)c);
    }
    if (has_obj && head->nc == 1 && !o->class_of_one)
        for (size_t i = 0; i < rows; i++)
            row[i * channels + 5] = 1.0F;
    const NbNmsOptions nms = {.conf = o->conf,
                              .iou = o->iou,
                              .max_det = o->max_det,
                              .multi_label = head->nc > 1 && !o->single_label,
                              .agnostic = o->agnostic,
                              .class_offset = 7680.0F, /* as Ultralytics keeps classes apart */
                              .classes = o->classes,
                              .has_obj = has_obj};
    return nb_nms(row, rows, head->nc, &nms, arena, &out->item, &out->count, err);
}
