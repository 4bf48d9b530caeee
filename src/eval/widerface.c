/* SPDX-License-Identifier: Apache-2.0 */
#include "eval/widerface.h"

#include <math.h>
#include <stdlib.h>

enum { THRESHOLDS = 1000 };

static const double enough = 0.5; /* overlap that counts as found, inclusive */

const char *const nb_face_level_names[NB_FACE_LEVELS] = {"easy", "medium", "hard"};

/* A detection of the picture at work. */
typedef struct Found {
    double score; /* stretched */
    size_t index; /* in the picture */
    size_t face;  /* the one it overlaps most; NONE: none enough */
} Found;

#define NONE SIZE_MAX

/* What was proposed and what of it right, by threshold. */
typedef struct Counts {
    int64_t proposed[THRESHOLDS], right[THRESHOLDS];
} Counts;

typedef struct Scorer {
    double lowest, spread; /* of all scores; spread 0: all are equal */
    Found *found;          /* [largest picture] */
    bool *taken;           /* [most faces] */
    Counts *counts;        /* [NB_FACE_LEVELS] */
} Scorer;

static double overlap(const double a[4], const double b[4]) {
    const double w = fmin(a[0] + a[2], b[0] + b[2]) - fmax(a[0], b[0]) + 1.0;
    const double h = fmin(a[1] + a[3], b[1] + b[3]) - fmax(a[1], b[1]) + 1.0;
    if (w <= 0.0 || h <= 0.0)
        return 0.0;
    return w * h / ((a[2] + 1.0) * (a[3] + 1.0) + (b[2] + 1.0) * (b[3] + 1.0) - w * h);
}

static size_t best_face(const NbFaceImage *image, const double box[4]) {
    size_t best = NONE;
    double most = 0.0;
    for (size_t i = 0; i < image->n_faces; i++) {
        const double o = overlap(box, image->face[i]);
        if (o > most) {
            most = o;
            best = i;
        }
    }
    return most >= enough ? best : NONE;
}

static int by_score(const void *a, const void *b) {
    const Found *const l = a;
    const Found *const r = b;
    if (l->score != r->score)
        return l->score > r->score ? -1 : 1;
    return l->index < r->index ? -1 : 1;
}

static void prepare_picture(const Scorer *s, const NbFaceImage *image) {
    for (size_t i = 0; i < image->n_found; i++) {
        const NbFaceBox *const f = &image->found[i];
        const double score = s->spread > 0.0 ? (f->score - s->lowest) / s->spread : 1.0;
        s->found[i] = (Found){score, i, best_face(image, f->box)};
    }
    qsort(s->found, image->n_found, sizeof *s->found, by_score);
}

/* Adds what each threshold sees of the picture. */
static void count_picture(const Scorer *s, const NbFaceImage *image, NbFaceLevel level) {
    Counts *const counts = &s->counts[level];
    int64_t proposed = 0;
    int64_t right = 0;
    size_t next = 0;
    for (size_t i = 0; i < image->n_faces; i++)
        s->taken[i] = false;
    for (int t = 0; t < THRESHOLDS; t++) {
        const double threshold = 1.0 - (double)(t + 1) / THRESHOLDS;
        for (; next < image->n_found && s->found[next].score >= threshold; next++) {
            const size_t face = s->found[next].face;
            if (face != NONE && !image->counts[level][face])
                continue;
            proposed++;
            if (face != NONE && !s->taken[face]) {
                s->taken[face] = true;
                right++;
            }
        }
        counts->proposed[t] += proposed;
        counts->right[t] += right;
    }
}

/* Area under the envelope of precision over recall, from recall 0 to the last one reached. */
static double area(const Counts *counts, int64_t faces) {
    double sum = 0.0;
    double envelope = 0.0;
    for (int t = THRESHOLDS - 1; t >= 0; t--) {
        const int64_t before = t ? counts->right[t - 1] : 0;
        const double right = (double)counts->right[t];
        if (counts->proposed[t])
            envelope = fmax(envelope, right / (double)counts->proposed[t]);
        sum += (double)(counts->right[t] - before) / (double)faces * envelope;
    }
    return sum;
}

static bool all_finite(const double *v, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!isfinite(v[i]))
            return false;
    return true;
}

/* Checks the numbers; finds the range of scores and the largest picture. */
static NB_FALLIBLE look_over(const NbFaceSet *set, Scorer *s, size_t *most_found,
                             size_t *most_faces, NbError *err) {
    double highest = -(double)INFINITY;
    s->lowest = (double)INFINITY;
    for (size_t i = 0; i < set->n_images; i++) {
        const NbFaceImage *const image = &set->image[i];
        bool good = all_finite(image->n_faces ? image->face[0] : NULL, 4 * image->n_faces);
        for (size_t k = 0; k < image->n_found && good; k++) {
            good = all_finite(image->found[k].box, 4) && isfinite(image->found[k].score);
            highest = fmax(highest, image->found[k].score);
            s->lowest = fmin(s->lowest, image->found[k].score);
        }
        if (!good)
            return nb_fail(NB_ERR_ARGUMENT, err, "%s/%s: a number is not finite", image->event,
                           image->name);
        *most_found = image->n_found > *most_found ? image->n_found : *most_found;
        *most_faces = image->n_faces > *most_faces ? image->n_faces : *most_faces;
    }
    s->spread = highest - s->lowest;
    return NB_OK;
}

NbStatus nb_widerface_score(const NbFaceSet *set, NbArena *arena, NbFaceScore *out, NbError *err) {
    const NbArenaMark mark = nb_arena_mark(arena);
    Scorer s = {0};
    size_t most_found = 0;
    size_t most_faces = 0;
    *out = (NbFaceScore){0};
    NB_TRY(look_over(set, &s, &most_found, &most_faces, err));
    s.found = NB_NEW(arena, Found, most_found);
    s.taken = NB_NEW(arena, bool, most_faces);
    s.counts = NB_NEW(arena, Counts, NB_FACE_LEVELS);
    if (!s.found || !s.taken || !s.counts)
        return nb_fail_memory(err, "counts of faces");
    for (size_t i = 0; i < set->n_images; i++) {
        const NbFaceImage *const image = &set->image[i];
        for (int level = 0; level < NB_FACE_LEVELS; level++)
            for (size_t k = 0; k < image->n_faces; k++)
                out->faces[level] += image->counts[level][k];
        if (image->n_faces == 0 || image->n_found == 0)
            continue; /* the evaluation passes over pictures without faces */
        prepare_picture(&s, image);
        for (int level = 0; level < NB_FACE_LEVELS; level++)
            count_picture(&s, image, (NbFaceLevel)level);
    }
    for (int level = 0; level < NB_FACE_LEVELS; level++)
        out->ap[level] = out->faces[level] ? area(&s.counts[level], out->faces[level]) : -1.0;
    nb_arena_rewind(arena, mark);
    return NB_OK;
}
