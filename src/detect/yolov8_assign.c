/* SPDX-License-Identifier: Apache-2.0 */
#include "base/size.h"
#include "detect/dfl.h"
#include "detect/sigmoid.h"
#include "detect/similarity.h"
#include "detect/yolov8_loss.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const float inside_by = 1e-9F; /* pixels */

/* A target in pixels. */
typedef struct Box {
    float xyxy[4];
    float reach[4]; /* the corners that decide what lies inside */
    int32_t target;
    int cls;
} Box;

/* A cell that a target wants or has. */
typedef struct Claim {
    int32_t box;
    uint32_t cell;
    float metric, overlap;
} Claim;

/* The claims of a target, best first. */
typedef struct Best {
    Claim *claim;
    int n;
} Best;

enum { FREE = -1, CONTESTED = -2, SETTLED = -3 };

/* One picture at work. */
typedef struct Picture {
    const NbYolov8Loss *loss;
    const NbHeadLevel *level;
    int image;
    uint32_t first[NB_LOSS_MAX_LEVELS + 1]; /* cell where a level begins */
    const Box *box;
    size_t n_boxes;
    float (*guess)[4]; /* [cells] the boxes that cells predict, in pixels, where `guessed` */
    bool *guessed;
    int32_t *owner; /* [cells] box, or one of the names above */
    Claim *claim;   /* [n_boxes * topk], then what became of them */
    size_t n_claims;
} Picture;

typedef struct Place {
    int level, y, x;
    uint32_t cell;
} Place;

void nb_target_corners(const NbTarget *target, float width, float height, float xyxy[4]) {
    const float size[2] = {width, height};
    for (int i = 0; i < 2; i++) {
        const float centre = target->xywh[i] * size[i];
        const float half = target->xywh[2 + i] * size[i] / 2.0F;
        xyxy[i] = centre - half;
        xyxy[2 + i] = centre + half;
    }
}

/* false: padding, which has no corners. */
static bool make_box(const NbYolov8Loss *loss, const NbHeadLevel *finest, const NbTarget *target,
                     Box *out) {
    float *const p = out->xyxy;
    nb_target_corners(target, (float)finest->nx * loss->stride[0],
                      (float)finest->ny * loss->stride[0], p);
    memcpy(out->reach, p, sizeof out->reach);
    for (int i = 0; i < 2; i++)
        if (p[2 + i] - p[i] < loss->least_side) {
            const float centre = (p[i] + p[2 + i]) / 2.0F;
            out->reach[i] = centre - loss->least_side / 2.0F;
            out->reach[2 + i] = centre + loss->least_side / 2.0F;
        }
    out->cls = target->cls;
    return p[0] + p[1] + p[2] + p[3] > 0.0F;
}

static float centre_of(int i, float stride) { return ((float)i + 0.5F) * stride; }

static bool between(float at, float lo, float hi) {
    return at - lo > inside_by && hi - at > inside_by;
}

/* Indices [*from, *to) of the n centres between lo and hi. */
static void range_between(float lo, float hi, float stride, int n, int *from, int *to) {
    const float most = (float)n;
    *from = (int)fminf(fmaxf(floorf(lo / stride) - 1.0F, 0.0F), most);
    *to = (int)fminf(fmaxf(ceilf(hi / stride) + 1.0F, 0.0F), most);
    while (*from < *to && !between(centre_of(*from, stride), lo, hi))
        ++*from;
    while (*from < *to && !between(centre_of(*to - 1, stride), lo, hi))
        --*to;
}

static const float *values_at(const Picture *p, Place at) {
    const NbHeadLevel *const level = &p->level[at.level];
    return level->raw + p->image * level->sb + at.y * level->sy + at.x * level->sx;
}

/* The box that a cell predicts. */
static const float *guess_at(Picture *p, Place at) {
    float *const out = p->guess[at.cell];
    if (p->guessed[at.cell])
        return out;
    const float *const raw = values_at(p, at);
    const float stride = p->loss->stride[at.level];
    const ptrdiff_t sc = p->level[at.level].sc;
    const int bins = p->loss->reg_max;
    const ptrdiff_t side = bins * sc; /* from one side of the box to the next */
    const float centre[2] = {(float)at.x + 0.5F, (float)at.y + 0.5F};
    for (int i = 0; i < 2; i++) {
        out[i] = (centre[i] - nb_dfl_mean(raw + i * side, sc, NULL, bins)) * stride;
        out[2 + i] = (centre[i] + nb_dfl_mean(raw + (2 + i) * side, sc, NULL, bins)) * stride;
    }
    p->guessed[at.cell] = true;
    return out;
}

static float overlap_at(Picture *p, const Box *box, Place at) {
    const float *const guess = guess_at(p, at);
    if (!(guess[0] < box->xyxy[2] && guess[2] > box->xyxy[0] && guess[1] < box->xyxy[3] &&
          guess[3] > box->xyxy[1]))
        return 0.0F; /* apart: CIoU would be negative */
    return fmaxf(nb_box_similarity_xyxy(NB_CIOU, box->xyxy, guess, NULL), 0.0F);
}

/* The exponents in use without the general power. */
static float power(float x, double exponent) {
    if (exponent == 0.5)
        return sqrtf(x);
    if (exponent == 6.0)
        return x * x * x * (x * x * x);
    return powf(x, (float)exponent);
}

static float metric_at(const Picture *p, const Box *box, Place at, float overlap) {
    const ptrdiff_t channel = 4 * p->loss->reg_max + box->cls;
    const float score = nb_sigmoid(values_at(p, at)[channel * p->level[at.level].sc]);
    return power(score, p->loss->alpha) * power(overlap, p->loss->beta);
}

/* Keeps the best `most`; cells are offered in their order. */
static void offer(Best *best, int most, Claim claim) {
    if (best->n == most && !(claim.metric > best->claim[most - 1].metric))
        return;
    int at = best->n < most ? best->n++ : most - 1;
    for (; at > 0 && claim.metric > best->claim[at - 1].metric; at--)
        best->claim[at] = best->claim[at - 1];
    best->claim[at] = claim;
}

/* Appends what one box claims. */
static void claim_cells(Picture *p, int32_t index) {
    const Box *const box = &p->box[index];
    Best best = {.claim = p->claim + p->n_claims};
    for (int i = 0; i < p->loss->levels; i++) {
        const NbHeadLevel *const level = &p->level[i];
        int x[2];
        int y[2];
        range_between(box->reach[0], box->reach[2], p->loss->stride[i], level->nx, &x[0], &x[1]);
        range_between(box->reach[1], box->reach[3], p->loss->stride[i], level->ny, &y[0], &y[1]);
        for (int row = y[0]; row < y[1]; row++)
            for (int column = x[0]; column < x[1]; column++) {
                const uint32_t cell = p->first[i] + (uint32_t)(row * level->nx + column);
                const Place at = {i, row, column, cell};
                const float overlap = overlap_at(p, box, at);
                if (!(overlap > 0.0F))
                    continue;
                const float metric = metric_at(p, box, at, overlap);
                if (metric > 0.0F)
                    offer(&best, p->loss->topk, (Claim){index, cell, metric, overlap});
            }
    }
    p->n_claims += (size_t)best.n;
}

static Place place_of(const Picture *p, uint32_t cell) {
    Place at = {.cell = cell};
    while (cell >= p->first[at.level + 1])
        at.level++;
    const int in_level = (int)(cell - p->first[at.level]);
    at.y = in_level / p->level[at.level].nx;
    at.x = in_level % p->level[at.level].nx;
    return at;
}

/* The box that a cell overlaps most, of all that it lies inside of, whether it claimed it or not.
 */
static Claim settle(Picture *p, uint32_t cell) {
    const Place at = place_of(p, cell);
    const float stride = p->loss->stride[at.level];
    const float x = centre_of(at.x, stride);
    const float y = centre_of(at.y, stride);
    Claim out = {.box = FREE, .cell = cell};
    for (size_t i = 0; i < p->n_boxes; i++) {
        const float *const reach = p->box[i].reach;
        if (!between(x, reach[0], reach[2]) || !between(y, reach[1], reach[3]))
            continue;
        const float overlap = overlap_at(p, &p->box[i], at);
        if (overlap > out.overlap) {
            out.box = (int32_t)i;
            out.overlap = overlap;
        }
    }
    out.metric = metric_at(p, &p->box[out.box], at, out.overlap);
    return out;
}

/* Claims become holdings: one a cell. */
static void settle_claims(Picture *p) {
    for (size_t i = 0; i < p->n_claims; i++) {
        int32_t *const owner = &p->owner[p->claim[i].cell];
        *owner = *owner == FREE ? p->claim[i].box : CONTESTED;
    }
    size_t n = 0;
    for (size_t i = 0; i < p->n_claims; i++) {
        Claim claim = p->claim[i];
        int32_t *const owner = &p->owner[claim.cell];
        if (*owner == SETTLED)
            continue;
        if (*owner == CONTESTED) {
            claim = settle(p, claim.cell);
            *owner = SETTLED;
        }
        p->claim[n++] = claim;
    }
    p->n_claims = n;
}

/* By box, best metric first, then by cell. */
static int compare_claims(const void *a, const void *b) {
    const Claim *const l = a;
    const Claim *const r = b;
    if (l->box != r->box)
        return l->box < r->box ? -1 : 1;
    if (l->metric != r->metric)
        return l->metric > r->metric ? -1 : 1;
    return l->cell < r->cell ? -1 : l->cell > r->cell;
}

static void weigh(const Picture *p, NbTaskMatch *match) {
    for (size_t from = 0, to; from < p->n_claims; from = to) {
        const Claim *const best = &p->claim[from];
        for (to = from; to < p->n_claims && p->claim[to].box == best->box; to++)
            ;
        const size_t held = to - from;
        const size_t most = (size_t)p->loss->keep;
        const size_t kept = most && held > most ? most : held;
        float overlap = 0.0F;
        for (size_t i = 0; i < kept; i++)
            overlap = fmaxf(overlap, best[i].overlap);
        for (size_t i = 0; i < kept; i++) {
            NbTaskMatch *const m = &match[best[i].cell];
            m->target = p->box[best->box].target;
            m->weight = best[i].metric * overlap / (best->metric + 1e-9F);
        }
    }
}

static NB_FALLIBLE assign_picture(Picture *p, NbArena *scratch, NbTaskMatch *match, NbError *err) {
    const size_t cells = p->first[p->loss->levels];
    size_t most = 0;
    if (!nb_mul_size(p->n_boxes, (size_t)p->loss->topk, &most))
        return nb_fail_memory(err, "claims of targets");
    p->guess = nb_arena_take(scratch, cells, sizeof *p->guess);
    p->guessed = NB_NEW(scratch, bool, cells);
    p->owner = NB_NEW(scratch, int32_t, cells);
    p->claim = NB_NEW(scratch, Claim, most);
    p->n_claims = 0;
    if (!p->guess || !p->guessed || !p->owner || !p->claim)
        return nb_fail_memory(err, "claims of targets");
    for (size_t i = 0; i < cells; i++)
        p->owner[i] = FREE;
    for (size_t i = 0; i < p->n_boxes; i++)
        claim_cells(p, (int32_t)i);
    settle_claims(p);
    if (p->n_claims)
        qsort(p->claim, p->n_claims, sizeof *p->claim, compare_claims);
    weigh(p, match);
    return NB_OK;
}

/* Boxes by picture, in the order of targets; those of picture b end at end[b]. */
static NB_FALLIBLE make_boxes(const NbYolov8Loss *loss, const NbHeadLevel *finest,
                              const NbLossBatch *batch, NbArena *arena, Box **out, size_t **end,
                              NbError *err) {
    const size_t pictures = (size_t)batch->pictures;
    Box *const box = NB_NEW(arena, Box, batch->n_targets);
    size_t *const at = NB_NEW(arena, size_t, pictures + 1);
    if (!box || !at)
        return nb_fail_memory(err, "targets");
    Box made;
    for (size_t i = 0; i < batch->n_targets; i++)
        at[batch->target[i].image + 1] += make_box(loss, finest, &batch->target[i], &made);
    for (size_t b = 0; b < pictures; b++)
        at[b + 1] += at[b];
    for (size_t i = 0; i < batch->n_targets; i++) {
        if (!make_box(loss, finest, &batch->target[i], &made))
            continue;
        made.target = (int32_t)i;
        box[at[batch->target[i].image]++] = made;
    }
    *out = box;
    *end = at;
    return NB_OK;
}

static NB_FALLIBLE check_loss(const NbYolov8Loss *loss, int pictures, NbError *err) {
    if (loss->levels < 1 || loss->levels > NB_LOSS_MAX_LEVELS || loss->nc < 1 || pictures < 1 ||
        loss->reg_max < 2 || loss->reg_max > NB_DFL_MAX_BINS)
        return nb_fail(NB_ERR_ARGUMENT, err,
                       "loss of %d levels, %d classes, %d bins, batch %d: expected 1 to %d levels, "
                       "at least 1 class and picture, 2 to %d bins",
                       loss->levels, loss->nc, loss->reg_max, pictures, NB_LOSS_MAX_LEVELS,
                       NB_DFL_MAX_BINS);
    if (loss->topk < 1 || loss->keep < 0)
        return nb_fail(NB_ERR_ARGUMENT, err,
                       "topk %d, keep %d: expected at least 1 cell a target, and 0 or more kept",
                       loss->topk, loss->keep);
    return NB_OK;
}

static NB_FALLIBLE check_targets(const NbYolov8Loss *loss, const NbLossBatch *batch, NbError *err) {
    if (batch->n_targets > INT32_MAX)
        return nb_fail(NB_ERR_ARGUMENT, err, "%zu targets, at most %d", batch->n_targets,
                       INT32_MAX);
    for (size_t i = 0; i < batch->n_targets; i++) {
        const NbTarget *const t = &batch->target[i];
        if (t->image < 0 || t->image >= batch->pictures)
            return nb_fail(NB_ERR_ARGUMENT, err, "target %zu: picture %d of a batch of %d", i,
                           t->image, batch->pictures);
        if (t->cls < 0 || t->cls >= loss->nc)
            return nb_fail(NB_ERR_ARGUMENT, err, "target %zu: class %d, expected 0 to %d", i,
                           t->cls, loss->nc - 1);
        for (int k = 0; k < 4; k++)
            if (!isfinite(t->xywh[k]))
                return nb_fail(NB_ERR_ARGUMENT, err, "target %zu: a box that is not finite", i);
    }
    return NB_OK;
}

/* Where levels begin; false: too many cells to be counted. */
static bool count_cells(const NbYolov8Loss *loss, const NbHeadLevel *level, Picture *p) {
    size_t cells = 0;
    for (int i = 0; i < loss->levels; i++) {
        p->first[i] = (uint32_t)cells;
        cells += (size_t)level[i].ny * (size_t)level[i].nx;
        if (cells > INT32_MAX)
            return false;
    }
    p->first[loss->levels] = (uint32_t)cells;
    return true;
}

NbStatus nb_yolov8_assign(const NbYolov8Loss *loss, const NbHeadLevel *level,
                          const NbLossBatch *batch, NbArena *arena, NbTaskMatch **match,
                          size_t *cells, NbError *err) {
    NB_TRY(check_loss(loss, batch->pictures, err));
    NB_TRY(check_targets(loss, batch, err));
    Picture p = {.loss = loss, .level = level};
    size_t all = 0;
    if (!count_cells(loss, level, &p) ||
        !nb_mul_size((size_t)batch->pictures, p.first[loss->levels], &all))
        return nb_fail_memory(err, "matches");
    *cells = p.first[loss->levels];
    *match = NB_NEW(arena, NbTaskMatch, all);
    if (!*match)
        return nb_fail_memory(err, "matches");
    for (size_t i = 0; i < all; i++)
        (*match)[i] = (NbTaskMatch){.target = -1};
    const NbArenaMark start = nb_arena_mark(arena);
    Box *box = NULL;
    size_t *end = NULL;
    NB_TRY(make_boxes(loss, &level[0], batch, arena, &box, &end, err));
    for (int b = 0; b < batch->pictures; b++) {
        const NbArenaMark mark = nb_arena_mark(arena);
        const size_t from = b ? end[b - 1] : 0;
        p.image = b;
        p.box = box + from;
        p.n_boxes = end[b] - from;
        if (p.n_boxes)
            NB_TRY(assign_picture(&p, arena, *match + (size_t)b * *cells, err));
        nb_arena_rewind(arena, mark);
    }
    nb_arena_rewind(arena, start);
    return NB_OK;
}
