/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/yolov5_loss.h"

#include "base/size.h"
#include "detect/bce.h"
#include "detect/sigmoid.h"
#include "detect/similarity.h"

#include <math.h>
#include <string.h>

enum { OBJ = 4, CLS = 5 }; /* channels: x, y, w, h, obj, classes */

typedef struct Level {
    const NbYolov5Loss *loss;
    const NbHeadLevel *head;
    int index;
    const NbMatch *match;
    size_t n_matches;
    int batch;
    float *obj_target; /* [batch][anchors][ny][nx] */
} Level;

static ptrdiff_t place(const NbHeadLevel *head, const NbMatch *m) {
    return m->image * head->sb + m->anchor * head->sa + m->row * head->sy + m->column * head->sx;
}

/* Every channel but objectness, which is written anyway. */
static void clear_grad(const NbHeadLevel *head, int batch, int anchors, int channels) {
    for (int b = 0; b < batch; b++)
        for (int a = 0; a < anchors; a++)
            for (int y = 0; y < head->ny; y++)
                nb_level_clear_row(head, head->grad + b * head->sb + a * head->sa + y * head->sy,
                                   channels);
}

/* Box term of one match: returns CIoU and adds scale * d(1 - CIoU) to the gradient. */
static float box_term(const Level *l, const NbMatch *m, float scale) {
    const NbHeadLevel *const head = l->head;
    const ptrdiff_t at = place(head, m);
    float s[4];
    for (int i = 0; i < 4; i++)
        s[i] = nb_sigmoid(head->raw[at + i * head->sc]);
    const float *const anchor = l->loss->anchor[l->index][m->anchor];
    float box[4];
    for (int i = 0; i < 2; i++) {
        box[i] = s[i] * 2.0F - 0.5F;
        const float twice = s[2 + i] * 2.0F;
        box[2 + i] = twice * twice * anchor[i];
    }
    float d[4];
    const float ciou = nb_box_similarity(NB_CIOU, box, m->box, d);
    if (head->grad) {
        for (int i = 0; i < 2; i++) {
            head->grad[at + i * head->sc] -= scale * d[i] * 2.0F * (1.0F - s[i]) * s[i];
            head->grad[at + (2 + i) * head->sc] -=
                scale * d[2 + i] * anchor[i] * 8.0F * s[2 + i] * s[2 + i] * (1.0F - s[2 + i]);
        }
    }
    return ciou;
}

/* Mean of 1 - CIoU; also fills the objectness targets: on duplicates the last write stands. */
static double box_loss(const Level *l) {
    const NbHeadLevel *const head = l->head;
    const float scale = (float)(l->loss->box * l->batch / (double)l->n_matches);
    double sum = 0.0;
    for (size_t i = 0; i < l->n_matches; i++) {
        const NbMatch *const m = &l->match[i];
        const float ciou = box_term(l, m, scale);
        sum += 1.0 - (double)ciou;
        const size_t plane = (size_t)m->image * (size_t)l->loss->anchors + (size_t)m->anchor;
        const size_t row = plane * (size_t)head->ny + (size_t)m->row;
        l->obj_target[row * (size_t)head->nx + (size_t)m->column] = fmaxf(ciou, 0.0F);
    }
    return sum / (double)l->n_matches;
}

static double class_loss(const Level *l) {
    const NbYolov5Loss *const loss = l->loss;
    const NbHeadLevel *const head = l->head;
    const NbBce bce = {(float)loss->cls_pw, (float)loss->fl_gamma};
    const float off = (float)(0.5 * loss->label_smoothing);
    const float on = (float)(1.0 - 0.5 * loss->label_smoothing);
    const double terms = (double)l->n_matches * loss->nc;
    const float scale = (float)(loss->cls * l->batch / terms);
    double sum = 0.0;
    for (size_t i = 0; i < l->n_matches; i++) {
        const ptrdiff_t at = place(head, &l->match[i]) + CLS * head->sc;
        for (int c = 0; c < loss->nc; c++) {
            float d;
            const float x = head->raw[at + c * head->sc];
            sum += (double)nb_bce(bce, x, c == l->match[i].cls ? on : off, &d);
            if (head->grad)
                head->grad[at + c * head->sc] += scale * d;
        }
    }
    return sum / terms;
}

/* Mean over all cells; WRITES the objectness gradient. */
static double obj_loss(const Level *l, double balance) {
    const NbHeadLevel *const head = l->head;
    const NbBce bce = {(float)l->loss->obj_pw, (float)l->loss->fl_gamma};
    const double cells = (double)l->batch * l->loss->anchors * head->ny * head->nx;
    const float scale = (float)(l->loss->obj * balance * l->batch / cells);
    const float *target = l->obj_target;
    double sum = 0.0;
    for (int b = 0; b < l->batch; b++)
        for (int a = 0; a < l->loss->anchors; a++)
            for (int y = 0; y < head->ny; y++, target += head->nx) {
                const ptrdiff_t at = b * head->sb + a * head->sa + y * head->sy + OBJ * head->sc;
                for (int x = 0; x < head->nx; x++) {
                    float d;
                    sum += (double)nb_bce(bce, head->raw[at + x * head->sx], target[x], &d);
                    if (head->grad)
                        head->grad[at + x * head->sx] = scale * d;
                }
            }
    return sum / cells;
}

/* Matches the targets and takes room for the objectness targets, all 0. */
static NB_FALLIBLE match_level(Level *l, const NbTarget *target, size_t n_targets, NbArena *scratch,
                               NbError *err) {
    NbMatch *matches = NULL;
    NB_TRY_IN(nb_yolov5_assign(l->loss, l->index, l->head->ny, l->head->nx, target, n_targets,
                               scratch, &matches, &l->n_matches, err),
              err, "level %d", l->index);
    l->match = matches;
    size_t cells;
    if (!nb_mul_size((size_t)l->batch * (size_t)l->loss->anchors,
                     (size_t)l->head->ny * (size_t)l->head->nx, &cells))
        return nb_fail_memory(err, "objectness targets");
    l->obj_target = NB_NEW(scratch, float, cells);
    return l->obj_target ? NB_OK : nb_fail_memory(err, "objectness targets");
}

/* Adds the unweighted terms of a matched level to sums; its balance may change. */
static void level_loss(const Level *l, double *balance, double sums[3]) {
    const NbYolov5Loss *const loss = l->loss;
    if (l->head->grad)
        clear_grad(l->head, l->batch, loss->anchors, CLS + loss->nc);
    if (l->n_matches) {
        sums[0] += box_loss(l);
        if (loss->nc > 1 || loss->class_of_one)
            sums[2] += class_loss(l);
    }
    const double obj = obj_loss(l, *balance);
    sums[1] += obj * *balance;
    if (loss->autobalance)
        *balance = *balance * 0.9999 + 0.0001 / obj;
}

static NB_FALLIBLE check(const NbYolov5Loss *loss, int batch, const NbTarget *target,
                         size_t n_targets, NbError *err) {
    if (loss->levels < 1 || loss->levels > NB_LOSS_MAX_LEVELS || loss->anchors < 1 ||
        loss->anchors > NB_LOSS_MAX_ANCHORS || loss->nc < 1 || batch < 1)
        return nb_fail(NB_ERR_ARGUMENT, err,
                       "loss of %d levels, %d anchors, %d classes, batch %d: expected 1 to %d "
                       "levels, 1 to %d anchors, at least 1 class and picture",
                       loss->levels, loss->anchors, loss->nc, batch, NB_LOSS_MAX_LEVELS,
                       NB_LOSS_MAX_ANCHORS);
    for (size_t i = 0; i < n_targets; i++) {
        if (target[i].image < 0 || target[i].image >= batch)
            return nb_fail(NB_ERR_ARGUMENT, err, "target %zu: picture %d of a batch of %d", i,
                           target[i].image, batch);
        if (target[i].cls < 0 || target[i].cls >= loss->nc)
            return nb_fail(NB_ERR_ARGUMENT, err, "target %zu: class %d, expected 0 to %d", i,
                           target[i].cls, loss->nc - 1);
    }
    return NB_OK;
}

/* NOLINTNEXTLINE(readability-function-size): one call with all that a step has at hand */
NbStatus nb_yolov5_loss(NbYolov5Loss *loss, const NbHeadLevel *level, int batch,
                        const NbTarget *target, size_t n_targets, NbArena *scratch, double items[3],
                        double *total, NbError *err) {
    NB_TRY(check(loss, batch, target, n_targets, err));
    double sums[3] = {0.0, 0.0, 0.0};
    for (int i = 0; i < loss->levels; i++) {
        const NbArenaMark mark = nb_arena_mark(scratch);
        Level l = {.loss = loss, .head = &level[i], .index = i, .batch = batch};
        NB_TRY(match_level(&l, target, n_targets, scratch, err));
        level_loss(&l, &loss->balance[i], sums);
        nb_arena_rewind(scratch, mark);
    }
    if (loss->autobalance) {
        const double keep = loss->balance[loss->stride16_level];
        for (int i = 0; i < loss->levels; i++)
            loss->balance[i] /= keep;
    }
    items[0] = sums[0] * loss->box;
    items[1] = sums[1] * loss->obj;
    items[2] = sums[2] * loss->cls;
    *total = (items[0] + items[1] + items[2]) * batch;
    return NB_OK;
}
