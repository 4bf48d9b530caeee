/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/yolov8_loss.h"

#include "detect/bce.h"
#include "detect/dfl.h"
#include "detect/similarity.h"

#include <math.h>

/* A batch at work. */
typedef struct Work {
    const NbYolov8Loss *loss;
    const NbLossBatch *batch;
    const NbHeadLevel *level; /* the one being summed */
    float size[2];            /* of the input, in its cells */
    float box, cls, dfl;      /* what gradients of the sums are multiplied by */
    double *row;              /* [widest level] */
    double sum[3];            /* box, cls, dfl before gains and division */
} Work;

static float class_term(const Work *w, NbTaskMatch m, int cls, int c, float x, float *grad) {
    float d;
    const float loss = nb_bce((NbBce){1.0F, 0.0F}, x, c == cls ? m.weight : 0.0F, &d);
    if (grad)
        *grad = w->cls * d;
    return loss;
}

/* Class terms of a row of cells. Each cell is summed over its classes in order and the cells then,
 * whichever of both lies closer together in memory. */
static void add_class_row(Work *w, ptrdiff_t at, const NbTaskMatch *match) {
    const NbHeadLevel *const l = w->level;
    const ptrdiff_t from = at + (ptrdiff_t)4 * w->loss->reg_max * l->sc;
    const bool by_cell = l->sc < l->sx;
    const int outer = by_cell ? l->nx : w->loss->nc;
    const int inner = by_cell ? w->loss->nc : l->nx;
    for (int x = 0; x < l->nx; x++)
        w->row[x] = 0.0;
    for (int o = 0; o < outer; o++)
        for (int i = 0; i < inner; i++) {
            const int x = by_cell ? o : i;
            const int c = by_cell ? i : o;
            const ptrdiff_t k = from + x * l->sx + c * l->sc;
            const NbTaskMatch m = match[x];
            const int cls = m.target < 0 ? -1 : w->batch->target[m.target].cls;
            w->row[x] += (double)class_term(w, m, cls, c, l->raw[k], l->grad ? l->grad + k : NULL);
        }
    for (int x = 0; x < l->nx; x++)
        w->sum[1] += w->row[x];
}

/* Box and distribution terms of one match. */
static void add_box(Work *w, ptrdiff_t at, const float centre[2], NbTaskMatch m) {
    const NbHeadLevel *const l = w->level;
    const int bins = w->loss->reg_max;
    const ptrdiff_t side = bins * l->sc;
    NbDfl dfl[4];
    float guess[4];
    float goal[4];
    float d[4];
    nb_target_corners(&w->batch->target[m.target], w->size[0], w->size[1], goal);
    for (int s = 0; s < 4; s++) {
        nb_dfl_fill(l->raw + at + s * side, l->sc, bins, &dfl[s]);
        guess[s] = s < 2 ? centre[s] - dfl[s].mean : centre[s - 2] + dfl[s].mean;
    }
    const float ciou = nb_box_similarity_xyxy(NB_CIOU, guess, goal, d);
    w->sum[0] += (1.0 - (double)ciou) * (double)m.weight;
    double entropy = 0.0;
    for (int s = 0; s < 4; s++) {
        const float distance = s < 2 ? centre[s] - goal[s] : goal[s] - centre[s - 2];
        const NbDflGoal want = nb_dfl_goal(distance, bins);
        entropy += (double)nb_dfl_loss(&dfl[s], l->raw + at + s * side, l->sc, want);
        if (l->grad)
            nb_dfl_backward(&dfl[s], bins, want, w->dfl * m.weight / 4.0F,
                            w->box * m.weight * (s < 2 ? d[s] : -d[s]), l->grad + at + s * side,
                            l->sc);
    }
    w->sum[2] += entropy / 4.0 * (double)m.weight;
}

static void add_row(Work *w, int b, int y, const NbTaskMatch *match) {
    const NbHeadLevel *const l = w->level;
    const ptrdiff_t at = b * l->sb + y * l->sy;
    if (l->grad)
        nb_level_clear_row(l, l->grad + at, 4 * w->loss->reg_max);
    for (int x = 0; x < l->nx; x++)
        if (match[x].target >= 0) {
            const float centre[2] = {(float)x + 0.5F, (float)y + 0.5F};
            add_box(w, at + x * l->sx, centre, match[x]);
        }
    add_class_row(w, at, match);
}

static NB_FALLIBLE sum_up(Work *w, const NbHeadLevel *level, const NbTaskMatch *match,
                          NbArena *scratch, NbError *err) {
    int widest = 0;
    for (int i = 0; i < w->loss->levels; i++)
        widest = level[i].nx > widest ? level[i].nx : widest;
    w->row = NB_NEW(scratch, double, (size_t)widest);
    if (!w->row)
        return nb_fail_memory(err, "class terms");
    for (int b = 0; b < w->batch->pictures; b++)
        for (int i = 0; i < w->loss->levels; i++) {
            w->level = &level[i];
            w->size[0] = (float)level[0].nx * w->loss->stride[0] / w->loss->stride[i];
            w->size[1] = (float)level[0].ny * w->loss->stride[0] / w->loss->stride[i];
            for (int y = 0; y < level[i].ny; y++, match += level[i].nx)
                add_row(w, b, y, match);
        }
    return NB_OK;
}

NbStatus nb_yolov8_loss(const NbYolov8Loss *loss, const NbHeadLevel *level,
                        const NbLossBatch *batch, NbArena *scratch, double items[3], double *total,
                        NbError *err) {
    const NbArenaMark mark = nb_arena_mark(scratch);
    NbTaskMatch *match = NULL;
    size_t cells = 0;
    NB_TRY(nb_yolov8_assign(loss, level, batch, scratch, &match, &cells, err));
    double weights = 0.0;
    for (size_t i = 0; i < (size_t)batch->pictures * cells; i++)
        weights += (double)match[i].weight;
    weights = fmax(weights, 1.0);
    const double scale = loss->weight * batch->pictures / weights;
    Work work = {.loss = loss,
                 .batch = batch,
                 .box = (float)(loss->box * scale),
                 .cls = (float)(loss->cls * scale),
                 .dfl = (float)(loss->dfl * scale)};
    NB_TRY(sum_up(&work, level, match, scratch, err));
    nb_arena_rewind(scratch, mark);
    items[0] = work.sum[0] * loss->box / weights;
    items[1] = work.sum[1] * loss->cls / weights;
    items[2] = work.sum[2] * loss->dfl / weights;
    *total = (items[0] + items[1] + items[2]) * batch->pictures * loss->weight;
    return NB_OK;
}

NbYolov10Loss nb_yolov10_loss_sum(const NbYolov8Loss *head) {
    NbYolov10Loss out = {*head, *head};
    out.one.topk = 1;
    return out;
}

NbYolov10Loss nb_yolov10_loss_weighted(const NbYolov8Loss *head, int epoch, int epochs) {
    NbYolov10Loss out = {*head, *head};
    const double last = epochs > 1 ? epochs - 1 : 1;
    out.many.least_side = head->stride[head->levels > 1 ? 1 : 0];
    out.many.weight = fmax(1.0 - epoch / last, 0.0) * 0.7 + 0.1;
    out.one.least_side = out.many.least_side;
    out.one.weight = 1.0 - out.many.weight;
    out.one.topk = 7;
    out.one.keep = 1;
    return out;
}

NbStatus nb_yolov10_loss(const NbYolov10Loss *loss, const NbHeadLevel *many, const NbHeadLevel *one,
                         const NbLossBatch *batch, NbArena *scratch, double items[6], double *total,
                         NbError *err) {
    double first = 0.0;
    double second = 0.0;
    NB_TRY_IN(nb_yolov8_loss(&loss->many, many, batch, scratch, items, &first, err), err,
              "one-to-many head");
    NB_TRY_IN(nb_yolov8_loss(&loss->one, one, batch, scratch, items + 3, &second, err), err,
              "one-to-one head");
    *total = first + second;
    return NB_OK;
}
