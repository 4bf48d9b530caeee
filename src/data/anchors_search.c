/* SPDX-License-Identifier: Apache-2.0
 *
 * Lloyd's k-means with restarts, as scipy.cluster.vq.kmeans runs it, and the mutations of YOLOv5.
 */
#include "base/random.h"
#include "data/anchors.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS_MAX = 1000, EVOLVE = 1, CLUSTER = 2 };

void nb_anchor_deviation(NbSizes sizes, double out[2]) {
    for (int k = 0; k < 2; k++) {
        const double n = sizes.n ? (double)sizes.n : 1.0;
        double mean = 0.0;
        for (size_t i = 0; i < sizes.n; i++)
            mean += (double)sizes.wh[i][k] / n;
        double sum = 0.0;
        for (size_t i = 0; i < sizes.n; i++) {
            const double d = (double)sizes.wh[i][k] - mean;
            sum += d * d;
        }
        out[k] = sqrt(sum / n);
    }
}

typedef struct Clusters {
    const double (*point)[2];
    size_t n;
    int count;
    double (*centre)[2]; /* [count] */
    double (*sum)[2];
    size_t *members;
} Clusters;

/* Mean distance to the nearest centre; gathers sums for the next centres. */
static double assign(Clusters *c) {
    double total = 0.0;
    memset(c->sum, 0, (size_t)c->count * sizeof *c->sum);
    memset(c->members, 0, (size_t)c->count * sizeof *c->members);
    for (size_t i = 0; i < c->n; i++) {
        int nearest = 0;
        double least = DBL_MAX;
        for (int k = 0; k < c->count; k++) {
            const double dx = c->point[i][0] - c->centre[k][0];
            const double dy = c->point[i][1] - c->centre[k][1];
            const double d = dx * dx + dy * dy;
            if (d < least) {
                least = d;
                nearest = k;
            }
        }
        total += sqrt(least);
        c->sum[nearest][0] += c->point[i][0];
        c->sum[nearest][1] += c->point[i][1];
        c->members[nearest]++;
    }
    return total / (double)c->n;
}

/* Runs until the mean distance stops falling; returns it. An empty cluster keeps its centre. */
static double run(Clusters *c) {
    double before = DBL_MAX;
    for (int round = 0; round < ROUNDS_MAX; round++) {
        const double distance = assign(c);
        if (before - distance <= 1e-5)
            return distance;
        before = distance;
        for (int k = 0; k < c->count; k++)
            if (c->members[k])
                for (int d = 0; d < 2; d++)
                    c->centre[k][d] = c->sum[k][d] / (double)c->members[k];
    }
    return before;
}

/* Different places of `order`, from the front. */
static void choose_starts(NbRandom *r, Clusters *c, uint32_t *order) {
    for (int k = 0; k < c->count; k++) {
        const uint32_t at = (uint32_t)k + nb_random_below(r, (uint32_t)c->n - (uint32_t)k);
        const uint32_t keep = order[k];
        order[k] = order[at];
        order[at] = keep;
        memcpy(c->centre[k], c->point[order[k]], sizeof *c->centre);
    }
}

static int compare_areas(const void *a, const void *b) {
    const float *const x = a;
    const float *const y = b;
    const float d = x[0] * x[1] - y[0] * y[1];
    return (d > 0.0F) - (d < 0.0F);
}

static bool all_used(const Clusters *c) {
    for (int k = 0; k < c->count; k++)
        if (c->members[k] == 0)
            return false;
    return true;
}

static NbStatus too_few(int count, NbError *err) {
    return nb_fail(NB_ERR_ARGUMENT, err, "too few different boxes for %d anchors", count);
}

NbStatus nb_anchor_kmeans(NbSizes sizes, int count, int restarts, uint64_t seed, NbArena *scratch,
                          float (*anchor)[2], NbError *err) {
    double deviation[2];
    nb_anchor_deviation(sizes, deviation);
    if (count < 1 || sizes.n < (size_t)count || sizes.n > UINT32_MAX || deviation[0] <= 0.0 ||
        deviation[1] <= 0.0)
        return too_few(count, err);
    double(*const point)[2] = nb_arena_take(scratch, sizes.n, sizeof *point);
    uint32_t *const order = NB_NEW(scratch, uint32_t, sizes.n);
    Clusters c = {.point = (const double(*)[2])point,
                  .n = sizes.n,
                  .count = count,
                  .centre = nb_arena_take(scratch, (size_t)count, sizeof *c.centre),
                  .sum = nb_arena_take(scratch, (size_t)count, sizeof *c.sum),
                  .members = NB_NEW(scratch, size_t, (size_t)count)};
    if (!point || !order || !c.centre || !c.sum || !c.members)
        return nb_fail_memory(err, "clustering boxes");
    for (size_t i = 0; i < sizes.n; i++) {
        order[i] = (uint32_t)i;
        for (int k = 0; k < 2; k++)
            point[i][k] = (double)sizes.wh[i][k] / deviation[k];
    }
    NbRandom r = nb_random(seed, NB_RANDOM_ANCHORS, CLUSTER, 0);
    double least = DBL_MAX;
    for (int i = 0; i < restarts; i++) {
        choose_starts(&r, &c, order);
        const double distance = run(&c);
        if (distance >= least || !all_used(&c))
            continue;
        least = distance;
        for (int k = 0; k < 2 * count; k++)
            anchor[k / 2][k % 2] = (float)(c.centre[k / 2][k % 2] * deviation[k % 2]);
    }
    if (least == DBL_MAX)
        return too_few(count, err);
    qsort(anchor, (size_t)count, sizeof *anchor, compare_areas);
    return NB_OK;
}

/* One factor for every number of the anchors; false: nothing would change. */
static bool draw_factors(NbRandom *r, int count, float (*factor)[2]) {
    const double probability = 0.9;
    const double sigma = 0.1;
    const double spread = nb_random_unit(r);
    bool changes = false;
    for (int k = 0; k < 2 * count; k++) {
        const bool mutates = nb_random_unit(r) < probability;
        double f = (mutates ? nb_random_normal(r) * spread * sigma : 0.0) + 1.0;
        f = fmin(fmax(f, 0.3), 3.0);
        factor[k / 2][k % 2] = (float)f;
        changes = changes || f != 1.0;
    }
    return changes;
}

void nb_anchor_evolve(NbSizes sizes, int count, double threshold, int generations, uint64_t seed,
                      float (*anchor)[2]) {
    NbRandom r = nb_random(seed, NB_RANDOM_ANCHORS, EVOLVE, 0);
    double best = nb_anchor_fit(sizes, (const float(*)[2])anchor, count, threshold, NULL).fitness;
    float tried[NB_ANCHORS_MAX][2];
    float factor[NB_ANCHORS_MAX][2];
    for (int i = 0; i < generations && count <= NB_ANCHORS_MAX; i++) {
        while (!draw_factors(&r, count, factor))
            continue;
        for (int k = 0; k < 2 * count; k++)
            tried[k / 2][k % 2] = fmaxf(anchor[k / 2][k % 2] * factor[k / 2][k % 2], 2.0F);
        const double fitness =
            nb_anchor_fit(sizes, (const float(*)[2])tried, count, threshold, NULL).fitness;
        if (fitness <= best)
            continue;
        best = fitness;
        memcpy(anchor, tried, (size_t)count * sizeof *anchor);
    }
    qsort(anchor, (size_t)count, sizeof *anchor, compare_areas);
}
