/* SPDX-License-Identifier: Apache-2.0 */
#include "eval/voc.h"

#include "base/size.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A detection with its place. */
typedef struct Found {
    int cls;
    float conf;
    size_t image, index; /* in the picture's list */
    size_t order;
} Found;

typedef struct Scorer {
    const NbVocImage *image;
    size_t n_images;
    int nc;
    NbVocOptions options;
    bool **taken; /* [n_images][n_labels] */
    Found *found;
    size_t n_found;
    NbArena *arena;
} Scorer;

static int by_class(const void *a, const void *b) {
    const Found *const x = a;
    const Found *const y = b;
    if (x->cls != y->cls)
        return x->cls < y->cls ? -1 : 1;
    if (x->conf > y->conf || x->conf < y->conf)
        return x->conf > y->conf ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

static bool usable(const NbDetection *d, int nc) {
    return d->cls >= 0 && d->cls < nc && isfinite(d->xyxy[0]) && isfinite(d->xyxy[1]) &&
           isfinite(d->xyxy[2]) && isfinite(d->xyxy[3]);
}

static NB_FALLIBLE check(Scorer *s, NbVocClass *per_class, NbError *err) {
    for (size_t p = 0; p < s->n_images; p++) {
        const NbVocImage *const image = &s->image[p];
        for (size_t i = 0; i < image->n_labels; i++) {
            const NbDetection *const d = &image->label[i];
            if (!usable(d, s->nc))
                return nb_fail(NB_ERR_ARGUMENT, err,
                               "picture %zu: label %zu: class %d, expected 0 to %d, or a box that "
                               "is not finite",
                               p, i, d->cls, s->nc - 1);
            per_class[d->cls].labels += !(image->difficult && image->difficult[i]);
        }
        for (size_t i = 0; i < image->n_detections; i++) {
            const NbDetection *const d = &image->detection[i];
            if (!usable(d, s->nc) || !isfinite(d->conf))
                return nb_fail(NB_ERR_ARGUMENT, err,
                               "picture %zu: detection %zu: class %d, expected 0 to %d, or a box "
                               "or confidence that is not finite",
                               p, i, d->cls, s->nc - 1);
        }
        s->n_found += image->n_detections;
    }
    return NB_OK;
}

static NB_FALLIBLE prepare(Scorer *s, NbError *err) {
    s->taken = NB_NEW(s->arena, bool *, s->n_images);
    s->found = NB_NEW(s->arena, Found, s->n_found);
    if (!s->taken || !s->found)
        return nb_fail_memory(err, "matching");
    size_t n = 0;
    for (size_t p = 0; p < s->n_images; p++) {
        const NbVocImage *const image = &s->image[p];
        s->taken[p] = NB_NEW(s->arena, bool, image->n_labels);
        if (!s->taken[p])
            return nb_fail_memory(err, "matching");
        for (size_t i = 0; i < image->n_detections; i++, n++)
            s->found[n] = (Found){image->detection[i].cls, image->detection[i].conf, p, i, n};
    }
    qsort(s->found, s->n_found, sizeof *s->found, by_class);
    return NB_OK;
}

/* Overlap of boxes that reach to the end of their last pixel when pixel is 1. */
static double overlap(const float a[4], const float b[4], double pixel) {
    const double w = fmin((double)a[2], (double)b[2]) - fmax((double)a[0], (double)b[0]) + pixel;
    const double h = fmin((double)a[3], (double)b[3]) - fmax((double)a[1], (double)b[1]) + pixel;
    if (!(w > 0.0) || !(h > 0.0))
        return 0.0;
    const double area_a =
        ((double)a[2] - (double)a[0] + pixel) * ((double)a[3] - (double)a[1] + pixel);
    const double area_b =
        ((double)b[2] - (double)b[0] + pixel) * ((double)b[3] - (double)b[1] + pixel);
    return w * h / (area_a + area_b - w * h);
}

typedef enum Verdict { WRONG, RIGHT, IGNORED } Verdict;

static Verdict judge(const Scorer *s, const Found *f) {
    const NbVocImage *const image = &s->image[f->image];
    const float *const box = image->detection[f->index].xyxy;
    double best = 0.0;
    size_t label = image->n_labels;
    for (size_t i = 0; i < image->n_labels; i++) {
        if (image->label[i].cls != f->cls)
            continue;
        const double iou = overlap(box, image->label[i].xyxy, s->options.half_open ? 0.0 : 1.0);
        if (iou > best) {
            best = iou;
            label = i;
        }
    }
    if (label == image->n_labels || best < s->options.iou)
        return WRONG;
    if (image->difficult && image->difficult[label])
        return IGNORED;
    if (s->taken[f->image][label])
        return WRONG;
    s->taken[f->image][label] = true;
    return RIGHT;
}

/* recall and precision after each of n detections; precision becomes what is reached later. */
static double average(const double *recall, double *precision, size_t n, bool eleven) {
    for (size_t i = n; i-- > 1;)
        precision[i - 1] = fmax(precision[i - 1], precision[i]);
    double sum = 0.0;
    if (!eleven) {
        for (size_t i = 0; i < n; i++)
            sum += (recall[i] - (i ? recall[i - 1] : 0.0)) * precision[i];
        return sum;
    }
    size_t i = 0;
    for (int k = 0; k <= 10; k++) {
        while (i < n && recall[i] < (k == 10 ? 1.0 : k * 0.1))
            i++;
        sum += i < n ? precision[i] : 0.0;
    }
    return sum / 11.0;
}

static void score_class(const Scorer *s, const Found *found, size_t n, NbVocClass *out,
                        double *work) {
    double *const recall = work;
    double *const precision = work + n;
    size_t steps = 0;
    for (size_t i = 0; i < n; i++) {
        const Verdict v = judge(s, &found[i]);
        if (v == IGNORED)
            continue;
        out->found += v == RIGHT;
        out->wrong += v == WRONG;
        recall[steps] = (double)out->found / (double)out->labels;
        precision[steps++] = (double)out->found / (double)(out->found + out->wrong);
    }
    out->ap = out->labels ? average(recall, precision, steps, s->options.eleven_points) : -1.0;
}

static NB_FALLIBLE score_classes(Scorer *s, NbVocScore *out, NbError *err) {
    size_t values;
    double *const work =
        nb_mul_size(s->n_found, 2, &values) ? NB_NEW(s->arena, double, values) : NULL;
    if (!work)
        return nb_fail_memory(err, "curves");
    size_t first = 0;
    double sum = 0.0;
    int classes = 0;
    for (int c = 0; c < s->nc; c++) {
        size_t n = 0;
        while (first + n < s->n_found && s->found[first + n].cls == c)
            n++;
        score_class(s, s->found + first, n, &out->per_class[c], work);
        first += n;
        if (out->per_class[c].labels) {
            sum += out->per_class[c].ap;
            classes++;
        }
    }
    out->map = classes ? sum / classes : -1.0;
    return NB_OK;
}

NbStatus nb_voc_score(const NbVocImage *image, size_t n_images, int nc, const NbVocOptions *options,
                      NbArena *arena, NbVocScore *out, NbError *err) {
    if (nc < 1)
        return nb_fail(NB_ERR_ARGUMENT, err, "%d classes, expected at least 1", nc);
    Scorer s = {
        .image = image, .n_images = n_images, .nc = nc, .options = *options, .arena = arena};
    if (!(s.options.iou > 0.0))
        s.options.iou = 0.5;
    out->per_class = NB_NEW(arena, NbVocClass, (size_t)nc);
    if (!out->per_class)
        return nb_fail_memory(err, "scores");
    const NbArenaMark mark = nb_arena_mark(arena);
    NB_TRY(check(&s, out->per_class, err));
    NB_TRY(prepare(&s, err));
    NB_TRY(score_classes(&s, out, err));
    nb_arena_rewind(arena, mark);
    return NB_OK;
}
