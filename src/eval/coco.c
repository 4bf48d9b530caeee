/* SPDX-License-Identifier: Apache-2.0
 *
 * COCO's twelve numbers. Matching happens per picture and category, counting per category over all
 * pictures; detections of a category are sorted once, every other order is a filter of that one. */
#include "eval/score.h"

#include "base/size.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { IOUS = 10, RECALLS = 101, AREAS = 4, MAX_DET = 100, IOU_75 = 5 };

const char *const nb_coco_score_names[12] = {"AP",  "AP50", "AP75",  "APs", "APm", "APl",
                                             "AR1", "AR10", "AR100", "ARs", "ARm", "ARl"};

/* Bounds of the areas all, small, medium, large; both count as inside. */
static const double area_bounds[AREAS][2] = {
    {0.0, 1e10}, {0.0, 1024.0}, {1024.0, 9216.0}, {9216.0, 1e10}};

/* Which area and how many detections per picture are counted together. */
typedef struct Setting {
    int area;
    unsigned max_det;
} Setting;

enum { SETTINGS = 6, ALL_1 = 0, ALL_10, ALL_100, SMALL, MEDIUM, LARGE };
static const Setting settings[SETTINGS] = {{0, 1}, {0, 10}, {0, 100}, {1, 100}, {2, 100}, {3, 100}};

/* A truth or detection that counts, with the places of its picture and category. */
typedef struct Item {
    uint32_t category, image;
    double score; /* truth: 0 */
    size_t index; /* in the caller's list */
} Item;

/* What matching says of a detection: one bit for each IoU threshold. */
typedef struct Verdict {
    uint16_t hit[AREAS];
    uint16_t ignored[AREAS];
    double score;
    size_t order;  /* by picture, then by score */
    unsigned rank; /* in its picture */
} Verdict;

typedef struct Thresholds {
    double iou[IOUS];
    double recall[RECALLS];
} Thresholds;

/* Sums over categories of one setting. */
typedef struct Sum {
    double precision[IOUS];
    double recall[IOUS];
    int categories;
} Sum;

typedef struct Scorer {
    const NbCocoTruth *truth;
    const NbCocoDetection *detection;
    Thresholds at;
    Sum sum[SETTINGS];
    NbArena *arena;
} Scorer;

/* ---- the order of things ---- */

static int by_id(const void *a, const void *b) {
    const int64_t x = *(const int64_t *)a;
    const int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int by_place(const void *a, const void *b) {
    const Item *const x = a;
    const Item *const y = b;
    if (x->category != y->category)
        return x->category < y->category ? -1 : 1;
    if (x->image != y->image)
        return x->image < y->image ? -1 : 1;
    if (x->score > y->score || x->score < y->score)
        return x->score > y->score ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

static int by_score(const void *a, const void *b) {
    const Verdict *const x = a;
    const Verdict *const y = b;
    if (x->score > y->score || x->score < y->score)
        return x->score > y->score ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

typedef struct Ids {
    int64_t *id; /* sorted, each once */
    size_t n;
} Ids;

static NB_FALLIBLE sort_ids(const int64_t *id, size_t n, NbArena *arena, Ids *out, NbError *err) {
    out->id = NB_NEW(arena, int64_t, n);
    if (!out->id)
        return nb_fail_memory(err, "ids");
    if (n > UINT32_MAX)
        return nb_fail(NB_ERR_ARGUMENT, err, "%zu ids are too many", n);
    if (n > 0) {
        memcpy(out->id, id, n * sizeof *id);
        qsort(out->id, n, sizeof *id, by_id);
    }
    for (size_t i = 0; i < n; i++)
        if (i == 0 || out->id[i] != out->id[i - 1])
            out->id[out->n++] = out->id[i];
    return NB_OK;
}

/* Place of an id; false: not among them. */
static bool find_id(const Ids *ids, int64_t id, uint32_t *place) {
    const int64_t *const at = ids->n ? bsearch(&id, ids->id, ids->n, sizeof *ids->id, by_id) : NULL;
    if (at)
        *place = (uint32_t)(at - ids->id);
    return at != NULL;
}

typedef struct Items {
    Item *item; /* by category, picture, score */
    size_t n;
} Items;

static bool add_item(Items *items, const Ids *images, const Ids *categories, int64_t image,
                     int64_t category) {
    Item *const item = &items->item[items->n];
    if (!find_id(images, image, &item->image) || !find_id(categories, category, &item->category))
        return false;
    items->n++;
    return true;
}

static bool finite_box(const double xywh[4]) {
    return isfinite(xywh[0]) && isfinite(xywh[1]) && isfinite(xywh[2]) && isfinite(xywh[3]);
}

static NB_FALLIBLE take_items(const Ids *images, const Ids *categories, const NbCocoTruth *truth,
                              size_t n, NbArena *arena, Items *out, NbError *err) {
    out->item = NB_NEW(arena, Item, n);
    if (!out->item)
        return nb_fail_memory(err, "truth");
    for (size_t i = 0; i < n; i++) {
        if (!finite_box(truth[i].xywh) || !isfinite(truth[i].area))
            return nb_fail(NB_ERR_ARGUMENT, err, "truth %zu: box or area is not finite", i);
        if (add_item(out, images, categories, truth[i].image, truth[i].category))
            out->item[out->n - 1].index = i;
    }
    qsort(out->item, out->n, sizeof *out->item, by_place);
    return NB_OK;
}

static NB_FALLIBLE take_detections(const Ids *images, const Ids *categories,
                                   const NbCocoDetection *detection, size_t n, NbArena *arena,
                                   Items *out, NbError *err) {
    out->item = NB_NEW(arena, Item, n);
    if (!out->item)
        return nb_fail_memory(err, "detections");
    for (size_t i = 0; i < n; i++) {
        if (!finite_box(detection[i].xywh) || !isfinite(detection[i].score))
            return nb_fail(NB_ERR_ARGUMENT, err, "detection %zu: box or score is not finite", i);
        if (!add_item(out, images, categories, detection[i].image, detection[i].category))
            continue;
        out->item[out->n - 1].index = i;
        out->item[out->n - 1].score = detection[i].score;
    }
    qsort(out->item, out->n, sizeof *out->item, by_place);
    return NB_OK;
}

/* ---- matching in one picture and category ---- */

/* Of a crowd, the share of the detection that it covers. */
static double overlap(const double d[4], const NbCocoTruth *truth) {
    const double *const g = truth->xywh;
    const double w = fmin(d[0] + d[2], g[0] + g[2]) - fmax(d[0], g[0]);
    const double h = fmin(d[1] + d[3], g[1] + g[3]) - fmax(d[1], g[1]);
    if (!(w > 0.0) || !(h > 0.0))
        return 0.0;
    const double inter = w * h;
    const double area = d[2] * d[3];
    return inter / (truth->crowd ? area : area + g[2] * g[3] - inter);
}

typedef struct Pairing {
    const NbCocoTruth **truth; /* [n_truth] counted ones first */
    double *iou;               /* [n_detections][n_truth] */
    bool *taken;               /* [n_truth] */
    size_t n_truth, n_counted;
    size_t n_detections;
} Pairing;

/* The truth that a detection gets: the last of the best ones; n_truth: none. One that counts is not
 * given up for one that is ignored. */
static size_t best_truth(const Pairing *p, const double *iou, double threshold) {
    double best = fmin(threshold, 1.0 - 1e-10);
    size_t found = p->n_truth;
    for (size_t g = 0; g < p->n_truth; g++) {
        if (g == p->n_counted && found < p->n_truth)
            break;
        if ((p->taken[g] && !p->truth[g]->crowd) || iou[g] < best)
            continue;
        best = iou[g];
        found = g;
    }
    return found;
}

static void match_threshold(const Scorer *s, const Pairing *p, int area, int t, Verdict *verdict) {
    memset(p->taken, 0, p->n_truth * sizeof *p->taken);
    for (size_t d = 0; d < p->n_detections; d++) {
        const size_t g = best_truth(p, p->iou + d * p->n_truth, s->at.iou[t]);
        if (g == p->n_truth)
            continue;
        p->taken[g] = true;
        verdict[d].hit[area] |= (uint16_t)(1U << t);
        if (g >= p->n_counted)
            verdict[d].ignored[area] |= (uint16_t)(1U << t);
    }
}

static bool inside(double area, int which) {
    return area >= area_bounds[which][0] && area <= area_bounds[which][1];
}

/* Puts the truth that counts in this area first, both parts in their order. */
static void split_truth(const Scorer *s, const Item *item, size_t n, int area, Pairing *p) {
    p->n_truth = 0;
    for (int ignored = 0; ignored < 2; ignored++) {
        for (size_t i = 0; i < n; i++) {
            const NbCocoTruth *const truth = &s->truth[item[i].index];
            if ((truth->crowd || !inside(truth->area, area)) == (bool)ignored)
                p->truth[p->n_truth++] = truth;
        }
        if (!ignored)
            p->n_counted = p->n_truth;
    }
}

/* Fills the verdicts of at most MAX_DET detections of one picture; adds to counted[area]. */
static NB_FALLIBLE match_picture(const Scorer *s, const Item *truth, size_t n_truth,
                                 const Item *detection, size_t n_detections, Verdict *verdict,
                                 int64_t counted[AREAS], NbError *err) {
    const NbArenaMark mark = nb_arena_mark(s->arena);
    Pairing p = {.n_detections = n_detections};
    p.truth = NB_NEW(s->arena, const NbCocoTruth *, n_truth);
    p.taken = NB_NEW(s->arena, bool, n_truth);
    p.iou = NB_NEW(s->arena, double, n_truth *n_detections); /* at most MAX_DET columns */
    if (!p.truth || !p.taken || !p.iou)
        return nb_fail_memory(err, "matching");
    for (int area = 0; area < AREAS; area++) {
        split_truth(s, truth, n_truth, area, &p);
        counted[area] += (int64_t)p.n_counted;
        for (size_t d = 0; d < n_detections; d++) {
            const double *const box = s->detection[detection[d].index].xywh;
            for (size_t g = 0; g < p.n_truth; g++)
                p.iou[d * p.n_truth + g] = overlap(box, p.truth[g]);
        }
        for (int t = 0; t < IOUS; t++)
            match_threshold(s, &p, area, t, verdict);
        for (size_t d = 0; d < n_detections; d++) {
            const double *const box = s->detection[detection[d].index].xywh;
            if (!inside(box[2] * box[3], area))
                verdict[d].ignored[area] |= (uint16_t)~verdict[d].hit[area];
        }
    }
    nb_arena_rewind(s->arena, mark);
    return NB_OK;
}

/* ---- counting over the pictures of one category ---- */

/* Mean over the recall points of the precision that is reached there or later. */
static double mean_precision(const Thresholds *at, const double *recall, double *precision,
                             size_t n) {
    for (size_t i = n; i-- > 1;)
        if (precision[i] > precision[i - 1])
            precision[i - 1] = precision[i];
    double sum = 0.0;
    size_t i = 0;
    for (int r = 0; r < RECALLS; r++) {
        while (i < n && recall[i] < at->recall[r])
            i++;
        if (i == n)
            break;
        sum += precision[i];
    }
    return sum / RECALLS;
}

static void count_threshold(const Scorer *s, const Setting *setting, int t, int64_t counted,
                            const Verdict *verdict, size_t n, double *curve, Sum *sum) {
    double *const recall = curve;
    double *const precision = curve + n;
    double hits = 0.0;
    double misses = 0.0;
    size_t steps = 0;
    for (size_t i = 0; i < n; i++) {
        const Verdict *const v = &verdict[i];
        if (v->rank >= setting->max_det)
            continue;
        const bool hit = v->hit[setting->area] >> t & 1;
        const bool ignored = v->ignored[setting->area] >> t & 1;
        hits += hit && !ignored;
        misses += !hit && !ignored;
        recall[steps] = hits / (double)counted;
        precision[steps] = hits / (misses + hits + 0x1p-52);
        steps++;
    }
    sum->recall[t] += steps ? recall[steps - 1] : 0.0;
    sum->precision[t] += mean_precision(&s->at, recall, precision, steps);
}

typedef struct Slice {
    const Item *item;
    size_t n;
} Slice;

/* Splits off the items in front that share the picture, or the category. */
static Slice take_image(Slice *rest, uint32_t image) {
    Slice out = {rest->item, 0};
    while (out.n < rest->n && rest->item[out.n].image == image)
        out.n++;
    *rest = (Slice){rest->item + out.n, rest->n - out.n};
    return out;
}

static Slice take_category(Slice *rest, uint32_t category) {
    Slice out = {rest->item, 0};
    while (out.n < rest->n && rest->item[out.n].category == category)
        out.n++;
    *rest = (Slice){rest->item + out.n, rest->n - out.n};
    return out;
}

/* Matches all pictures of a category; verdicts come out by picture and rank. */
static NB_FALLIBLE match_category(const Scorer *s, Slice truth, Slice detection, Verdict *verdict,
                                  size_t *n, int64_t counted[AREAS], NbError *err) {
    while (truth.n || detection.n) {
        uint32_t image = truth.n ? truth.item->image : UINT32_MAX;
        if (detection.n && detection.item->image < image)
            image = detection.item->image;
        const Slice t = take_image(&truth, image);
        Slice d = take_image(&detection, image);
        if (d.n > MAX_DET)
            d.n = MAX_DET;
        NB_TRY(match_picture(s, t.item, t.n, d.item, d.n, verdict + *n, counted, err));
        for (size_t i = 0; i < d.n; i++) {
            Verdict *const v = &verdict[*n + i];
            v->score = d.item[i].score;
            v->order = *n + i;
            v->rank = (unsigned)i;
        }
        *n += d.n;
    }
    return NB_OK;
}

static NB_FALLIBLE score_category(Scorer *s, Slice truth, Slice detection, NbError *err) {
    const NbArenaMark mark = nb_arena_mark(s->arena);
    Verdict *const verdict = NB_NEW(s->arena, Verdict, detection.n);
    double *const curve = NB_NEW(s->arena, double, 2 * detection.n);
    if (!verdict || !curve)
        return nb_fail_memory(err, "verdicts");
    int64_t counted[AREAS] = {0};
    size_t n = 0;
    NB_TRY(match_category(s, truth, detection, verdict, &n, counted, err));
    qsort(verdict, n, sizeof *verdict, by_score);
    for (int k = 0; k < SETTINGS; k++) {
        const int64_t there = counted[settings[k].area];
        if (there == 0)
            continue; /* nothing to find: not part of any mean */
        s->sum[k].categories++;
        for (int t = 0; t < IOUS; t++)
            count_threshold(s, &settings[k], t, there, verdict, n, curve, &s->sum[k]);
    }
    nb_arena_rewind(s->arena, mark);
    return NB_OK;
}

/* ---- all together ---- */

/* As numpy's linspace computes them: equality with a threshold must fall the same way. */
static void fill_thresholds(Thresholds *at) {
    const double step = (0.95 - 0.5) / (IOUS - 1);
    for (int t = 0; t < IOUS; t++)
        at->iou[t] = t == IOUS - 1 ? 0.95 : 0.5 + t * step;
    for (int r = 0; r < RECALLS; r++)
        at->recall[r] = r == RECALLS - 1 ? 1.0 : r * 0.01;
}

static double mean(const double sum[IOUS], int first, int last, int categories) {
    double all = 0.0;
    for (int t = first; t <= last; t++)
        all += sum[t];
    return categories ? all / ((double)categories * (last - first + 1)) : -1.0;
}

static void summarize(const Sum *sum, NbCocoScore *out) {
    static const int precision_of[6] = {ALL_100, ALL_100, ALL_100, SMALL, MEDIUM, LARGE};
    static const int recall_of[6] = {ALL_1, ALL_10, ALL_100, SMALL, MEDIUM, LARGE};
    for (int i = 0; i < 6; i++) {
        const Sum *const p = &sum[precision_of[i]];
        const Sum *const r = &sum[recall_of[i]];
        const int first = i == 2 ? IOU_75 : 0;
        const int last = i == 1 || i == 2 ? first : IOUS - 1;
        out->value[i] = mean(p->precision, first, last, p->categories);
        out->value[6 + i] = mean(r->recall, 0, IOUS - 1, r->categories);
    }
}

static NB_FALLIBLE score(const Ids *images, const Ids *categories, Scorer *s, size_t n_truth,
                         size_t n_detections, NbError *err) {
    Items truth = {0};
    Items detection = {0};
    NB_TRY(take_items(images, categories, s->truth, n_truth, s->arena, &truth, err));
    NB_TRY(
        take_detections(images, categories, s->detection, n_detections, s->arena, &detection, err));
    Slice truth_left = {truth.item, truth.n};
    Slice detection_left = {detection.item, detection.n};
    for (size_t k = 0; k < categories->n; k++) {
        const Slice t = take_category(&truth_left, (uint32_t)k);
        const Slice d = take_category(&detection_left, (uint32_t)k);
        NB_TRY(score_category(s, t, d, err));
    }
    return NB_OK;
}

/* NOLINTNEXTLINE(readability-function-size): four plain lists, each with its length */
NbStatus nb_coco_score(const int64_t *images, size_t n_images, const int64_t *categories,
                       size_t n_categories, const NbCocoTruth *truth, size_t n_truth,
                       const NbCocoDetection *detection, size_t n_detections, NbArena *arena,
                       NbCocoScore *out, NbError *err) {
    const NbArenaMark mark = nb_arena_mark(arena);
    Scorer s = {.truth = truth, .detection = detection, .arena = arena};
    fill_thresholds(&s.at);
    Ids image = {0};
    Ids category = {0};
    NB_TRY(sort_ids(images, n_images, arena, &image, err));
    NB_TRY(sort_ids(categories, n_categories, arena, &category, err));
    NB_TRY(score(&image, &category, &s, n_truth, n_detections, err));
    summarize(s.sum, out);
    nb_arena_rewind(arena, mark);
    return NB_OK;
}
