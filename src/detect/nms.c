/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/nms.h"

#include "base/size.h"
#include "detect/rank.h"

#include <math.h>

enum { MAX_NMS = 30000 };

typedef struct Rows {
    const float *data;
    size_t n;
    int nc;
    const NbNmsOptions *options;
} Rows;

/* Candidates before suppression: which row, which class, what score. */
typedef struct Candidates {
    uint32_t *row;
    int *cls;
    float *score;
    size_t n;
} Candidates;

static size_t row_length(const Rows *r) {
    return (size_t)(r->options->has_obj ? 5 : 4) + (size_t)r->nc;
}

static float class_score(const Rows *r, const float *row, int c) {
    return r->options->has_obj ? row[5 + c] * row[4] : row[4 + c];
}

static bool allowed(const Rows *r, int c) { return !r->options->classes || r->options->classes[c]; }

static int best_class(const Rows *r, const float *row) {
    int best = 0;
    for (int c = 1; c < r->nc; c++)
        if (class_score(r, row, c) > class_score(r, row, best))
            best = c;
    return best;
}

/* Counts candidates, and writes them unless c->row is NULL. */
static void collect(const Rows *r, Candidates *c) {
    const bool multi = r->options->multi_label && r->nc > 1;
    c->n = 0;
    for (size_t i = 0; i < r->n; i++) {
        const float *const row = r->data + i * row_length(r);
        if (r->options->has_obj && !(row[4] > r->options->conf))
            continue;
        const int first = multi ? 0 : best_class(r, row);
        const int last = multi ? r->nc - 1 : first;
        for (int k = first; k <= last; k++) {
            const float score = class_score(r, row, k);
            if (!(score > r->options->conf) || !allowed(r, k))
                continue;
            if (c->row) {
                c->row[c->n] = (uint32_t)i;
                c->cls[c->n] = k;
                c->score[c->n] = score;
            }
            c->n++;
        }
    }
}

/* The boxes kept so far, shifted by class, one array a coordinate so that the compiler can compare
 * several at once. */
typedef struct Kept {
    float *x1, *y1, *x2, *y2, *area;
    size_t n;
} Kept;

static bool overlaps(const Kept *k, const float box[4], float area, float limit) {
    int hit = 0;
    for (size_t i = 0; i < k->n; i++) {
        const float left = k->x1[i] > box[0] ? k->x1[i] : box[0];
        const float top = k->y1[i] > box[1] ? k->y1[i] : box[1];
        const float right = k->x2[i] < box[2] ? k->x2[i] : box[2];
        const float bottom = k->y2[i] < box[3] ? k->y2[i] : box[3];
        const float w = right - left > 0.0F ? right - left : 0.0F;
        const float h = bottom - top > 0.0F ? bottom - top : 0.0F;
        const float inter = w * h;
        hit |= inter / (k->area[i] + area - inter) > limit;
    }
    return hit != 0;
}

static void keep(Kept *k, const float box[4], float area) {
    k->x1[k->n] = box[0];
    k->y1[k->n] = box[1];
    k->x2[k->n] = box[2];
    k->y2[k->n] = box[3];
    k->area[k->n++] = area;
}

/* The largest float that is not above v: x > v holds for a float x just when x > that. */
static float float_below(double v) {
    const float f = (float)v;
    return (double)f > v ? nextafterf(f, -INFINITY) : f;
}

static void corners(const float xywh[4], float xyxy[4]) {
    for (int i = 0; i < 2; i++) {
        xyxy[i] = xywh[i] - xywh[2 + i] / 2.0F;
        xyxy[2 + i] = xywh[i] + xywh[2 + i] / 2.0F;
    }
}

/* Greedy suppression in the given order; writes at most max_det detections, returns how many. */
static size_t suppress(const Rows *r, const Candidates *c, const uint32_t *order, size_t n,
                       Kept *kept, NbDetection *out) {
    const NbNmsOptions *const o = r->options;
    const float offset = o->class_offset > 0.0F ? o->class_offset : 4096.0F;
    const float limit = float_below(o->iou);
    for (size_t i = 0; i < n && kept->n < (size_t)o->max_det; i++) {
        const uint32_t at = order[i];
        NbDetection d = {.conf = c->score[at], .cls = c->cls[at]};
        corners(r->data + c->row[at] * row_length(r), d.xyxy);
        const float shift = o->agnostic ? 0.0F : (float)d.cls * offset;
        float box[4];
        for (int k = 0; k < 4; k++)
            box[k] = d.xyxy[k] + shift;
        const float area = (box[2] - box[0]) * (box[3] - box[1]);
        if (overlaps(kept, box, area, limit))
            continue;
        out[kept->n] = d;
        keep(kept, box, area);
    }
    return kept->n;
}

static NB_FALLIBLE take_candidates(const Rows *r, NbArena *arena, Candidates *c, NbError *err) {
    collect(r, c);
    if (c->n > UINT32_MAX || r->n > UINT32_MAX)
        return nb_fail(NB_ERR_ARGUMENT, err, "%zu candidates of %zu rows are too many", c->n, r->n);
    c->row = NB_NEW(arena, uint32_t, c->n);
    c->cls = NB_NEW(arena, int, c->n);
    c->score = NB_NEW(arena, float, c->n);
    if (!c->row || !c->cls || !c->score)
        return nb_fail_memory(err, "candidates of suppression");
    collect(r, c);
    return NB_OK;
}

NbStatus nb_nms(const float *rows, size_t n_rows, int nc, const NbNmsOptions *options,
                NbArena *arena, NbDetection **out, size_t *count, NbError *err) {
    *out = NULL;
    *count = 0;
    if (nc < 1 || options->max_det < 1)
        return nb_fail(NB_ERR_ARGUMENT, err, "%d classes, max_det %d: both must be at least 1", nc,
                       options->max_det);
    const Rows r = {rows, n_rows, nc, options};
    /* the result is taken first, so that everything behind it can be given back */
    NbDetection *const found = NB_NEW(arena, NbDetection, (size_t)options->max_det);
    if (!found)
        return nb_fail_memory(err, "detections");
    const NbArenaMark mark = nb_arena_mark(arena);
    Candidates c = {0};
    NB_TRY(take_candidates(&r, arena, &c, err));
    uint32_t *const order = NB_NEW(arena, uint32_t, c.n);
    Kept kept = {0};
    float *const room = NB_NEW(arena, float, 5 * (size_t)options->max_det);
    if (!order || !room)
        return nb_fail_memory(err, "suppression");
    float **const part[5] = {&kept.x1, &kept.y1, &kept.x2, &kept.y2, &kept.area};
    for (size_t i = 0; i < 5; i++)
        *part[i] = room + i * (size_t)options->max_det;
    NB_TRY(nb_rank_scores(c.score, c.n, order, arena, err));
    const size_t most = options->max_nms > 0 ? (size_t)options->max_nms : (size_t)MAX_NMS;
    *count = suppress(&r, &c, order, c.n < most ? c.n : most, &kept, found);
    nb_arena_rewind(arena, mark);
    *out = found;
    return NB_OK;
}
