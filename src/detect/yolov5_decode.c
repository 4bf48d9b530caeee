/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/yolov5_decode.h"

#include "base/size.h"
#include "detect/sigmoid.h"

#include <math.h>

enum { OBJ = 4, CLS = 5 };

static float confidence(NbDecode mode, float raw) {
    switch (mode) {
    case NB_DECODE_SIGMOID: return nb_sigmoid(raw);
    case NB_DECODE_HARDTANH_Q: return raw;
    case NB_DECODE_HARDTANH_F: break;
    }
    return raw / 2.0F + 0.5F;
}

/* What a cell needs to become a row. */
typedef struct Decoder {
    NbDecode mode;
    int nc;
    float stride;
    ptrdiff_t sc;
} Decoder;

static void decode_box(const Decoder *d, const float *raw, const float anchor[2], int column,
                       int row, float *out) {
    const float grid[2] = {(float)column, (float)row};
    for (int i = 0; i < 2; i++) {
        const float xy = raw[i * d->sc];
        const float wh = raw[(2 + i) * d->sc];
        if (d->mode == NB_DECODE_SIGMOID) {
            const float twice = nb_sigmoid(wh) * 2.0F;
            out[i] = (nb_sigmoid(xy) * 2.0F - 0.5F + grid[i]) * d->stride;
            out[2 + i] = twice * twice * anchor[i];
        } else {
            out[i] = (xy + 0.5F + grid[i]) * d->stride;
            out[2 + i] = (wh + 1.0F) * (wh + 1.0F) * anchor[i];
        }
    }
}

static void decode_cell(const Decoder *d, const float *raw, const float anchor[2], int column,
                        int row, float *out) {
    decode_box(d, raw, anchor, column, row, out);
    for (int c = OBJ; c < CLS + d->nc; c++)
        out[c] = confidence(d->mode, raw[c * d->sc]);
}

void nb_yolov5_decode(NbDecode mode, const NbHeadLevel *level, int b, int anchors, int nc,
                      const float (*anchor_px)[2], float stride, float *out) {
    const Decoder d = {mode, nc, stride, level->sc};
    for (int a = 0; a < anchors; a++)
        for (int y = 0; y < level->ny; y++) {
            const float *raw = level->raw + b * level->sb + a * level->sa + y * level->sy;
            for (int x = 0; x < level->nx; x++, raw += level->sx, out += CLS + nc)
                decode_cell(&d, raw, anchor_px[a], x, y, out);
        }
}

/* Counts the rows of one level, and writes them unless out is NULL. */
static size_t level_rows(const NbYolov5Head *head, int i, const NbHeadLevel *level, int b,
                         float conf, float *out) {
    const Decoder d = {head->mode, head->nc, head->stride[i], level->sc};
    const float below = head->mode == NB_DECODE_SIGMOID ? nb_logit_below(conf) : -INFINITY;
    size_t n = 0;
    for (int a = 0; a < head->anchors; a++)
        for (int y = 0; y < level->ny; y++) {
            const float *raw = level->raw + b * level->sb + a * level->sa + y * level->sy;
            for (int x = 0; x < level->nx; x++, raw += level->sx) {
                const float obj = raw[OBJ * level->sc];
                if (obj < below || !(confidence(head->mode, obj) > conf))
                    continue;
                if (out)
                    decode_cell(&d, raw, head->anchor_px[i][a], x, y,
                                out + n * (size_t)(CLS + head->nc));
                n++;
            }
        }
    return n;
}

NbStatus nb_yolov5_candidates(const NbYolov5Head *head, const NbHeadLevel *level, int b, float conf,
                              NbArena *arena, float **rows, size_t *count, NbError *err) {
    size_t n = 0;
    for (int i = 0; i < head->levels; i++)
        n += level_rows(head, i, &level[i], b, conf, NULL);
    const size_t length = (size_t)CLS + (size_t)head->nc;
    size_t values;
    *rows = NULL;
    *count = 0;
    if (!nb_mul_size(n, length, &values))
        return nb_fail_memory(err, "candidate rows");
    float *const out = NB_NEW(arena, float, values);
    if (!out)
        return nb_fail_memory(err, "candidate rows");
    size_t at = 0;
    for (int i = 0; i < head->levels; i++)
        at += level_rows(head, i, &level[i], b, conf, out + at * length);
    *rows = out;
    *count = n;
    return NB_OK;
}
