/* SPDX-License-Identifier: Apache-2.0
 *
 * YOLO's own scores. Detections of a picture are matched in the order of confidence; then those of
 * a class are taken together, best first, and counted once for each IoU level. */
#include "eval/score.h"

#include "base/size.h"
#include "eval/confusion.h"
#include "eval/curve.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { IOUS = NB_YOLO_IOUS };

/* A detection and at which IoU levels it is right, one bit each. */
typedef struct Found {
    int cls;
    float conf;
    uint16_t right;
    size_t order; /* picture by picture, as the caller gave them */
} Found;

typedef struct Scorer {
    const NbYoloImage *image;
    size_t n_images;
    int nc;
    NbYoloMatching matching;
    float level[IOUS];
    Found *found;
    size_t n_found;
    int64_t *labels; /* [nc] */
    NbArena *arena;
} Scorer;

/* As the tools' float32 linspace has them: counted from both ends. */
static void fill_levels(float level[IOUS]) {
    const float step = (0.95F - 0.5F) / (IOUS - 1);
    for (int i = 0; i < IOUS; i++)
        level[i] = i < IOUS / 2 ? 0.5F + step * (float)i : 0.95F - step * (float)(IOUS - 1 - i);
}

static NB_FALLIBLE check_one(const NbDetection *d, int nc, const char *what, size_t picture,
                             size_t i, NbError *err) {
    if (d->cls < 0 || d->cls >= nc)
        return nb_fail(NB_ERR_ARGUMENT, err, "picture %zu: %s %zu: class %d, expected 0 to %d",
                       picture, what, i, d->cls, nc - 1);
    for (int k = 0; k < 4; k++)
        if (!isfinite(d->xyxy[k]))
            return nb_fail(NB_ERR_ARGUMENT, err, "picture %zu: %s %zu: box is not finite", picture,
                           what, i);
    return NB_OK;
}

/* Also counts the labels of every class and the detections. */
static NB_FALLIBLE check(Scorer *s, NbError *err) {
    if (s->nc < 1)
        return nb_fail(NB_ERR_ARGUMENT, err, "%d classes, expected at least 1", s->nc);
    s->labels = NB_NEW(s->arena, int64_t, (size_t)s->nc);
    if (!s->labels)
        return nb_fail_memory(err, "label counts");
    for (size_t p = 0; p < s->n_images; p++) {
        const NbYoloImage *const image = &s->image[p];
        for (size_t i = 0; i < image->n_labels; i++) {
            NB_TRY(check_one(&image->label[i], s->nc, "label", p, i, err));
            s->labels[image->label[i].cls]++;
        }
        for (size_t i = 0; i < image->n_detections; i++) {
            NB_TRY(check_one(&image->detection[i], s->nc, "detection", p, i, err));
            if (!isfinite(image->detection[i].conf))
                return nb_fail(NB_ERR_ARGUMENT, err,
                               "picture %zu: detection %zu: confidence is not finite", p, i);
        }
        s->n_found += image->n_detections;
    }
    return NB_OK;
}

/* ---- matching ---- */

static int by_conf(const void *a, const void *b) {
    const Found *const x = a;
    const Found *const y = b;
    if (x->conf > y->conf || x->conf < y->conf)
        return x->conf > y->conf ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

static int by_class(const void *a, const void *b) {
    const Found *const x = a;
    const Found *const y = b;
    if (x->cls != y->cls)
        return x->cls < y->cls ? -1 : 1;
    return by_conf(a, b);
}

/* The label of the same class with the largest overlap (of equal ones the last); its overlap. */
static float best_label(const NbYoloImage *image, const NbDetection *d, size_t *label) {
    float best = 0.0F;
    for (size_t i = 0; i < image->n_labels; i++) {
        if (image->label[i].cls != d->cls)
            continue;
        const float iou = nb_box_iou(image->label[i].xyxy, d->xyxy);
        if (iou >= best) {
            best = iou;
            *label = i;
        }
    }
    return best;
}

/* Levels that an overlap reaches. */
static uint16_t reached(const float level[IOUS], float iou) {
    unsigned bits = 0;
    for (int t = 0; t < IOUS; t++)
        if (iou >= level[t])
            bits |= 1U << t;
    return (uint16_t)bits;
}

/* found: the picture's detections, order counted from `first`; sorted by confidence here. */
static NB_FALLIBLE match_picture(const Scorer *s, const NbYoloImage *image, Found *found,
                                 size_t first, NbError *err) {
    const NbArenaMark mark = nb_arena_mark(s->arena);
    uint16_t *const taken = NB_NEW(s->arena, uint16_t, image->n_labels);
    if (!taken)
        return nb_fail_memory(err, "matching");
    qsort(found, image->n_detections, sizeof *found, by_conf);
    for (size_t i = 0; i < image->n_detections; i++) {
        size_t label = 0;
        const float iou = best_label(image, &image->detection[found[i].order - first], &label);
        const uint16_t bits = reached(s->level, iou);
        if (!bits)
            continue;
        if (s->matching == NB_MATCH_ONCE) {
            found[i].right = taken[label] ? 0 : bits;
            taken[label] = 1;
        } else {
            found[i].right = (uint16_t)(bits & ~taken[label]);
            taken[label] |= bits;
        }
    }
    nb_arena_rewind(s->arena, mark);
    return NB_OK;
}

static NB_FALLIBLE match_all(Scorer *s, NbError *err) {
    s->found = NB_NEW(s->arena, Found, s->n_found);
    if (!s->found)
        return nb_fail_memory(err, "detections");
    size_t n = 0;
    for (size_t p = 0; p < s->n_images; p++) {
        const NbYoloImage *const image = &s->image[p];
        for (size_t i = 0; i < image->n_detections; i++)
            s->found[n + i] = (Found){
                .cls = image->detection[i].cls, .conf = image->detection[i].conf, .order = n + i};
        if (image->n_detections)
            NB_TRY(match_picture(s, image, s->found + n, n, err));
        n += image->n_detections;
    }
    qsort(s->found, s->n_found, sizeof *s->found, by_class);
    return NB_OK;
}

/* ---- curves of one class ---- */

static double grid(int i, int points) { return i == points - 1 ? 1.0 : i * (1.0 / (points - 1)); }

/* Precision and recall after each of n detections at one IoU level. */
static void count_level(const Found *found, size_t n, int t, int64_t labels, double *recall,
                        double *precision) {
    double hits = 0.0;
    for (size_t i = 0; i < n; i++) {
        hits += found[i].right >> t & 1;
        recall[i] = hits / ((double)labels + 1e-16);
        precision[i] = hits / (double)(i + 1);
    }
}

/* Rows of one class in the curves of the result. */
typedef struct Rows {
    double *p, *r, *f1, *pr;
} Rows;

/* One row of work space per detection: negated confidence, recall, precision, and the envelope. */
static void class_curves(const Found *found, size_t n, NbYoloClass *c, Rows rows, double *work) {
    double *const conf = work;
    double *const recall = conf + n;
    double *const precision = recall + n;
    NbEnvelope envelope = {.recall = precision + n, .precision = precision + 2 * n + 2};
    for (size_t i = 0; i < n; i++)
        conf[i] = -(double)found[i].conf;
    for (int t = 0; t < IOUS; t++) {
        count_level(found, n, t, c->labels, recall, precision);
        nb_envelope_fill(&envelope, recall, precision, n);
        c->ap[t] = nb_envelope_area(&envelope);
        if (t > 0)
            continue;
        for (int i = 0; i < NB_CURVE; i++) {
            const double at = grid(i, NB_CURVE);
            rows.r[i] = nb_interpolate(-at, conf, recall, n, 0.0);
            rows.p[i] = nb_interpolate(-at, conf, precision, n, 1.0);
            rows.pr[i] = nb_envelope_at(&envelope, at);
        }
    }
}

static Rows rows_of(const NbYoloScore *out, int c) {
    const size_t at = (size_t)c * NB_CURVE;
    return (Rows){out->p_curve + at, out->r_curve + at, out->f1_curve + at, out->pr_curve + at};
}

/* Classes without labels are absent; those without detections have zeros. */
static NB_FALLIBLE score_classes(const Scorer *s, NbYoloScore *out, NbError *err) {
    const NbArenaMark mark = nb_arena_mark(s->arena);
    size_t values;
    double *const work = nb_mul_size(s->n_found, 5, &values) && nb_add_size(values, 4, &values)
                             ? NB_NEW(s->arena, double, values)
                             : NULL;
    if (!work)
        return nb_fail_memory(err, "curves");
    size_t first = 0;
    int k = 0;
    for (int cls = 0; cls < s->nc; cls++) {
        size_t n = 0;
        while (first + n < s->n_found && s->found[first + n].cls == cls)
            n++;
        if (s->labels[cls]) {
            const Rows rows = rows_of(out, k);
            NbYoloClass *const c = &out->per_class[k++];
            c->cls = cls;
            c->labels = s->labels[cls];
            if (n)
                class_curves(s->found + first, n, c, rows, work);
            for (int i = 0; i < NB_CURVE; i++)
                rows.f1[i] = 2 * rows.p[i] * rows.r[i] / (rows.p[i] + rows.r[i] + 1e-16);
        }
        first += n;
    }
    nb_arena_rewind(s->arena, mark);
    return NB_OK;
}

/* ---- the summary ---- */

static int best_point(const NbYoloScore *out, bool smooth) {
    double f1[NB_CURVE];
    double smoothed[NB_CURVE];
    for (int i = 0; i < NB_CURVE; i++) {
        double sum = 0.0;
        for (int c = 0; c < out->n_classes; c++)
            sum += out->f1_curve[(size_t)c * NB_CURVE + (size_t)i];
        f1[i] = sum / out->n_classes;
    }
    nb_curve_smooth(f1, NB_CURVE, smoothed);
    const double *const curve = smooth ? smoothed : f1;
    int best = 0;
    for (int i = 1; i < NB_CURVE; i++)
        if (curve[i] > curve[best])
            best = i;
    return best;
}

static void summarize(NbYoloScore *out, bool smooth) {
    if (out->n_classes == 0)
        return;
    const int best = best_point(out, smooth);
    out->best_conf = grid(best, NB_CURVE);
    for (int k = 0; k < out->n_classes; k++) {
        NbYoloClass *const c = &out->per_class[k];
        const Rows rows = rows_of(out, k);
        c->precision = rows.p[best];
        c->recall = rows.r[best];
        c->f1 = rows.f1[best];
        out->precision += c->precision / out->n_classes;
        out->recall += c->recall / out->n_classes;
        out->map50 += c->ap[0] / out->n_classes;
        for (int t = 0; t < IOUS; t++)
            out->map50_95 += c->ap[t] / IOUS / out->n_classes;
    }
}

static NB_FALLIBLE take_result(const Scorer *s, NbYoloScore *out, NbError *err) {
    *out = (NbYoloScore){0};
    for (int c = 0; c < s->nc; c++)
        out->n_classes += s->labels[c] > 0;
    const size_t n = (size_t)out->n_classes;
    const size_t side = (size_t)s->nc + 1;
    out->per_class = NB_NEW(s->arena, NbYoloClass, n);
    out->p_curve = NB_NEW(s->arena, double, n *NB_CURVE);
    out->r_curve = NB_NEW(s->arena, double, n *NB_CURVE);
    out->f1_curve = NB_NEW(s->arena, double, n *NB_CURVE);
    out->pr_curve = NB_NEW(s->arena, double, n *NB_CURVE);
    out->confusion = NB_NEW(s->arena, int64_t, side * side);
    if (!out->per_class || !out->p_curve || !out->r_curve || !out->f1_curve || !out->pr_curve ||
        !out->confusion)
        return nb_fail_memory(err, "scores");
    return NB_OK;
}

NbStatus nb_yolo_score(const NbYoloImage *image, size_t n_images, int nc, NbYoloMatching matching,
                       NbArena *arena, NbYoloScore *out, NbError *err) {
    Scorer s = {
        .image = image, .n_images = n_images, .nc = nc, .matching = matching, .arena = arena};
    fill_levels(s.level);
    NB_TRY(check(&s, err));
    NB_TRY(take_result(&s, out, err));
    const NbArenaMark mark = nb_arena_mark(arena);
    NB_TRY(match_all(&s, err));
    NB_TRY(score_classes(&s, out, err));
    const bool newer = matching == NB_MATCH_PER_IOU;
    summarize(out, newer);
    for (size_t p = 0; p < n_images; p++)
        if (image[p].n_labels || newer)
            NB_TRY(nb_confusion_add(&image[p], nc, arena, out->confusion, err));
    nb_arena_rewind(arena, mark);
    return NB_OK;
}
