/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/yolov8_decode.h"

#include "base/size.h"
#include "detect/dfl.h"
#include "detect/rank.h"
#include "detect/sigmoid.h"

#include <math.h>
#include <string.h>

static void decode_cell(const NbDflLevel *l, int reg_max, int nc, bool xyxy, int x, int y,
                        float *out) {
    const float *const raw = l->raw + y * l->sy + x * l->sx;
    const float centre[2] = {(float)x + 0.5F, (float)y + 0.5F};
    const ptrdiff_t side = reg_max * l->sc; /* from one side of the box to the next */
    for (int i = 0; i < 2; i++) {
        const float lo = centre[i] - nb_dfl_mean(raw + i * side, l->sc, l->bin, reg_max);
        const float hi = centre[i] + nb_dfl_mean(raw + (2 + i) * side, l->sc, l->bin, reg_max);
        out[i] = (xyxy ? lo : (lo + hi) / 2.0F) * l->stride;
        out[2 + i] = (xyxy ? hi : hi - lo) * l->stride;
    }
    for (int c = 0; c < nc; c++)
        out[4 + c] = nb_sigmoid(raw[(4 * reg_max + c) * l->sc]);
}

void nb_yolov8_decode(const NbDflLevel *level, int reg_max, int nc, bool xyxy, float *out) {
    for (int y = 0; y < level->ny; y++)
        for (int x = 0; x < level->nx; x++, out += 4 + nc)
            decode_cell(level, reg_max, nc, xyxy, x, y, out);
}

/* One bit a cell: whether its best class is above conf. A cell is looked at where it lies: by rows
 * of cells, and within a row whichever of classes and cells lies closer together. */
typedef struct Sieve {
    const NbDflLevel *level;
    int first, nc; /* channels of classes */
    float below;   /* logits that are surely not above conf */
    float conf;
} Sieve;

static void mark_row(const Sieve *s, int y, bool *above) {
    const NbDflLevel *const l = s->level;
    const float *const raw = l->raw + y * l->sy + s->first * l->sc;
    const bool by_cell = l->sc < l->sx;
    const int outer = by_cell ? l->nx : s->nc;
    const int inner = by_cell ? s->nc : l->nx;
    const ptrdiff_t step_outer = by_cell ? l->sx : l->sc;
    const ptrdiff_t step_inner = by_cell ? l->sc : l->sx;
    for (int o = 0; o < outer; o++)
        for (int i = 0; i < inner; i++) {
            const float x = raw[o * step_outer + i * step_inner];
            if (x >= s->below && nb_sigmoid(x) > s->conf)
                above[by_cell ? o : i] = true;
        }
}

/* Marks the cells of all levels; returns how many are above conf. */
static size_t mark_cells(const NbDflHead *head, const NbDflLevel *level, float conf, bool *above) {
    size_t n = 0;
    for (int i = 0; i < head->levels; i++) {
        const Sieve sieve = {&level[i], 4 * head->reg_max, head->nc, nb_logit_below(conf), conf};
        for (int y = 0; y < level[i].ny; y++, above += level[i].nx) {
            mark_row(&sieve, y, above);
            for (int x = 0; x < level[i].nx; x++)
                n += above[x];
        }
    }
    return n;
}

static float best_score(const NbDflLevel *l, const NbDflHead *head, int y, int x) {
    const float *const raw = l->raw + y * l->sy + x * l->sx + (ptrdiff_t)4 * head->reg_max * l->sc;
    float best = -INFINITY;
    for (int c = 0; c < head->nc; c++)
        best = fmaxf(best, raw[c * l->sc]);
    return nb_sigmoid(best);
}

/* Of the n marked cells the `most` with the best scores stay marked. */
static NB_FALLIBLE keep_best(const NbDflHead *head, const NbDflLevel *level, bool *above, size_t n,
                             size_t most, NbArena *arena, NbError *err) {
    const NbArenaMark mark = nb_arena_mark(arena);
    float *const score = NB_NEW(arena, float, n);
    uint32_t *const order = NB_NEW(arena, uint32_t, n);
    bool **const cell = NB_NEW(arena, bool *, n);
    if (!score || !order || !cell || n > UINT32_MAX)
        return nb_fail_memory(err, "candidate cells");
    size_t at = 0;
    for (int i = 0; i < head->levels; i++)
        for (int y = 0; y < level[i].ny; y++)
            for (int x = 0; x < level[i].nx; x++, above++)
                if (*above) {
                    score[at] = best_score(&level[i], head, y, x);
                    cell[at++] = above;
                }
    NB_TRY(nb_rank_scores(score, n, order, arena, err));
    for (size_t i = most; i < n; i++)
        *cell[order[i]] = false;
    nb_arena_rewind(arena, mark);
    return NB_OK;
}

NbStatus nb_yolov8_candidates(const NbDflHead *head, const NbDflLevel *level, float conf, int most,
                              NbArena *arena, float **rows, size_t *count, NbError *err) {
    *rows = NULL;
    *count = 0;
    size_t cells = 0;
    for (int i = 0; i < head->levels; i++)
        cells += (size_t)level[i].ny * (size_t)level[i].nx;
    bool *above = NB_NEW(arena, bool, cells);
    if (!above)
        return nb_fail_memory(err, "candidate cells");
    size_t n = mark_cells(head, level, conf, above);
    if (most > 0 && n > (size_t)most) {
        NB_TRY(keep_best(head, level, above, n, (size_t)most, arena, err));
        n = (size_t)most;
    }
    const size_t length = 4 + (size_t)head->nc;
    size_t values = 0;
    float *const out = nb_mul_size(n, length, &values) ? NB_NEW(arena, float, values) : NULL;
    if (!out)
        return nb_fail_memory(err, "candidate rows");
    float *row = out;
    for (int i = 0; i < head->levels; i++)
        for (int y = 0; y < level[i].ny; y++)
            for (int x = 0; x < level[i].nx; x++)
                if (*above++) {
                    decode_cell(&level[i], head->reg_max, head->nc, head->xyxy, x, y, row);
                    row += length;
                }
    *rows = out;
    *count = n;
    return NB_OK;
}

/* Best score of every row; false when one is NaN. */
static bool row_scores(const float *rows, size_t n, int nc, float *score) {
    for (size_t i = 0; i < n; i++) {
        const float *const row = rows + i * (size_t)(4 + nc) + 4;
        score[i] = row[0];
        for (int c = 0; c < nc; c++) {
            if (isnan(row[c]))
                return false;
            score[i] = fmaxf(score[i], row[c]);
        }
    }
    return true;
}

/* Room for ranking n scores. */
typedef struct Ranking {
    float *score;
    uint32_t *order;
} Ranking;

static NB_FALLIBLE take_ranking(size_t n, NbArena *arena, Ranking *out, NbError *err) {
    out->score = NB_NEW(arena, float, n);
    out->order = NB_NEW(arena, uint32_t, n);
    return out->score && out->order && n <= UINT32_MAX ? NB_OK : nb_fail_memory(err, "top scores");
}

NbStatus nb_yolov10_top(const float *rows, size_t n, int nc, int max_det, NbArena *arena,
                        NbDetection **out, size_t *count, NbError *err) {
    *out = NULL;
    *count = 0;
    if (nc < 1 || max_det < 1)
        return nb_fail(NB_ERR_ARGUMENT, err, "%d classes, max_det %d: both must be at least 1", nc,
                       max_det);
    const size_t length = 4 + (size_t)nc;
    const size_t most = (size_t)max_det;
    const size_t few = n < most ? n : most;
    const size_t pairs = few * (size_t)nc;
    const size_t kept = pairs < most ? pairs : most;
    NbDetection *const found = NB_NEW(arena, NbDetection, kept);
    if (!found)
        return nb_fail_memory(err, "detections");
    const NbArenaMark mark = nb_arena_mark(arena);
    Ranking row;
    Ranking pair;
    NB_TRY(take_ranking(n, arena, &row, err));
    NB_TRY(take_ranking(pairs, arena, &pair, err));
    if (!row_scores(rows, n, nc, row.score))
        return nb_fail(NB_ERR_ARGUMENT, err, "a class score is not a number");
    NB_TRY(nb_rank_scores(row.score, n, row.order, arena, err));
    for (size_t i = 0; i < few; i++)
        memcpy(pair.score + i * (size_t)nc, rows + row.order[i] * length + 4,
               (size_t)nc * sizeof *rows);
    NB_TRY(nb_rank_scores(pair.score, pairs, pair.order, arena, err));
    for (size_t i = 0; i < kept; i++) {
        const uint32_t at = pair.order[i];
        const float *const from = rows + row.order[at / (uint32_t)nc] * length;
        found[i].conf = pair.score[at];
        found[i].cls = (int)(at % (uint32_t)nc);
        memcpy(found[i].xyxy, from, sizeof found[i].xyxy);
    }
    nb_arena_rewind(arena, mark);
    *out = found;
    *count = kept;
    return NB_OK;
}
