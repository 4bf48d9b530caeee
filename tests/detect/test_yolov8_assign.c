/* SPDX-License-Identifier: Apache-2.0
 *
 * Task-aligned assignment against the plainest way to compute it, and its corners. */
#include "detect/similarity.h"
#include "detect/yolov8_decode.h"
#include "small_head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(rows) (sizeof(rows) / sizeof *(rows))

/* The definition: every target against every cell. */
typedef struct Plain {
    float centre[CELLS][2];
    float guess[CELLS][4 + NC];
    float overlap[64][CELLS], metric[64][CELLS];
    bool claimed[64][CELLS];
    int owner[CELLS];
} Plain;

static void plain_cells(const NbYolov8Loss *loss, const NbHeadLevel *level, int b, Plain *p) {
    int at = 0;
    for (int i = 0; i < LEVELS; i++) {
        const NbDflLevel l = {.raw = level[i].raw + b * level[i].sb,
                              .ny = level[i].ny,
                              .nx = level[i].nx,
                              .sc = level[i].sc,
                              .sy = level[i].sy,
                              .sx = level[i].sx,
                              .stride = loss->stride[i]};
        nb_yolov8_decode(&l, BINS, NC, true, p->guess[at]);
        for (int k = 0; k < l.ny * l.nx; k++, at++) {
            p->centre[at][0] = ((float)(k % l.nx) + 0.5F) * l.stride;
            p->centre[at][1] = ((float)(k / l.nx) + 0.5F) * l.stride;
        }
    }
}

static void plain_metrics(const NbYolov8Loss *loss, const NbTarget *t, int g, Plain *p) {
    float box[4];
    nb_target_corners(t, 64, 64, box);
    float reach[4] = {box[0], box[1], box[2], box[3]};
    for (int k = 0; k < 2; k++)
        if (box[2 + k] - box[k] < loss->least_side) {
            const float middle = (box[k] + box[2 + k]) / 2.0F;
            reach[k] = middle - loss->least_side / 2.0F;
            reach[2 + k] = middle + loss->least_side / 2.0F;
        }
    for (int a = 0; a < CELLS; a++) {
        float least = INFINITY;
        for (int k = 0; k < 2; k++) {
            least = fminf(least, p->centre[a][k] - reach[k]);
            least = fminf(least, reach[2 + k] - p->centre[a][k]);
        }
        p->overlap[g][a] = 0.0F;
        if (least > 1e-9F && box[0] + box[1] + box[2] + box[3] > 0.0F)
            p->overlap[g][a] = fmaxf(nb_box_similarity_xyxy(NB_CIOU, box, p->guess[a], NULL), 0.0F);
        const float o = p->overlap[g][a];
        p->metric[g][a] = sqrtf(p->guess[a][4 + t->cls]) * (o * o * o * (o * o * o));
    }
}

static void plain_claims(const NbYolov8Loss *loss, int n, Plain *p) {
    for (int g = 0; g < n; g++)
        for (int k = 0; k < loss->topk; k++) {
            int best = -1;
            for (int a = 0; a < CELLS; a++)
                if (!p->claimed[g][a] && p->metric[g][a] > 0.0F &&
                    (best < 0 || p->metric[g][a] > p->metric[g][best]))
                    best = a;
            if (best >= 0)
                p->claimed[g][best] = true;
        }
    for (int a = 0; a < CELLS; a++) {
        int claims = 0;
        int most = 0;
        p->owner[a] = -1;
        for (int g = 0; g < n; g++) {
            claims += p->claimed[g][a];
            p->owner[a] = p->claimed[g][a] ? g : p->owner[a];
            most = p->overlap[g][a] > p->overlap[most][a] ? g : most;
        }
        if (claims > 1)
            p->owner[a] = most;
    }
}

static void plain_weights(const NbYolov8Loss *loss, int g, Plain *p, float *weight) {
    for (int k = 0; loss->keep && k < CELLS; k++) { /* takes the worst away until few are left */
        int held = 0;
        int worst = -1;
        for (int a = 0; a < CELLS; a++) {
            held += p->owner[a] == g;
            if (p->owner[a] == g && (worst < 0 || p->metric[g][a] <= p->metric[g][worst]))
                worst = a;
        }
        if (held > loss->keep)
            p->owner[worst] = -1;
    }
    float metric = 0.0F;
    float overlap = 0.0F;
    for (int a = 0; a < CELLS; a++)
        if (p->owner[a] == g) {
            metric = fmaxf(metric, p->metric[g][a]);
            overlap = fmaxf(overlap, p->overlap[g][a]);
        }
    for (int a = 0; a < CELLS; a++)
        if (p->owner[a] == g)
            weight[a] = p->metric[g][a] * overlap / (metric + 1e-9F);
}

static void check_assignment(const NbYolov8Loss *loss, const NbHeadLevel *level,
                             const NbTarget *target, size_t n) {
    static Plain p;
    NbArena arena = {0};
    NbError err = {0};
    NbTaskMatch *match = NULL;
    size_t cells = 0;
    const NbLossBatch batch = {PICTURES, target, n};
    assert_int_equal(nb_yolov8_assign(loss, level, &batch, &arena, &match, &cells, &err), NB_OK);
    assert_int_equal(cells, CELLS);
    for (int b = 0; b < PICTURES; b++) {
        int index[64];
        int own = 0;
        memset(&p, 0, sizeof p);
        plain_cells(loss, level, b, &p);
        for (size_t i = 0; i < n; i++)
            if (target[i].image == b) {
                plain_metrics(loss, &target[i], own, &p);
                index[own++] = (int)i;
            }
        plain_claims(loss, own, &p);
        float weight[CELLS] = {0};
        for (int g = 0; g < own; g++)
            plain_weights(loss, g, &p, weight);
        for (int a = 0; a < CELLS; a++) {
            const NbTaskMatch m = match[b * CELLS + a];
            assert_int_equal(m.target, p.owner[a] < 0 ? -1 : index[p.owner[a]]);
            assert_memory_equal(&m.weight, &weight[a], sizeof m.weight);
        }
    }
    nb_arena_release(&arena);
}

static void assignment_equals_the_plain_one(void **state) {
    (void)state;
    static const struct {
        int topk, keep;
        float least_side;
    } rows[] = {{10, 0, 0}, {1, 0, 0}, {7, 1, 16}, {10, 0, 16}, {3, 2, 0}, {80, 0, 0}};
    NbArena arena = {0};
    for (uint64_t seed = 0; seed < 20; seed++) {
        NbHeadLevel level[LEVELS];
        NbTarget target[40];
        const size_t n = random_targets(seed, target, 2 + seed * 2);
        make_levels(&arena, seed % 2 ? CELLS_FIRST : CHANNELS_FIRST, seed, level);
        for (size_t k = 0; k < COUNT(rows); k++) {
            NbYolov8Loss loss = small_loss();
            loss.topk = rows[k].topk;
            loss.keep = rows[k].keep;
            loss.least_side = rows[k].least_side;
            check_assignment(&loss, level, target, n);
        }
        nb_arena_release(&arena);
    }
}

static void a_box_that_sticks_out_keeps_its_cells(void **state) {
    (void)state;
    const NbTarget target = {1, 1, {0.05F, 0.05F, 0.6F, 0.6F}};
    NbArena arena = {0};
    NbError err = {0};
    NbHeadLevel level[LEVELS];
    make_levels(&arena, CELLS_FIRST, 11, level);
    const NbYolov8Loss loss = small_loss();
    NbTaskMatch *match = NULL;
    size_t cells = 0;
    const NbLossBatch batch = {PICTURES, &target, 1};
    assert_int_equal(nb_yolov8_assign(&loss, level, &batch, &arena, &match, &cells, &err), NB_OK);
    int held = 0;
    for (size_t i = 0; i < PICTURES * cells; i++)
        held += match[i].target == 0;
    assert_in_range(held, 1, 10); /* 3 x 3 and 1 */
    check_assignment(&loss, level, &target, 1);
    nb_arena_release(&arena);
}

static void broken_logits_do_not_break_the_assignment(void **state) {
    (void)state;
    NbArena arena = {0};
    NbError err = {0};
    NbHeadLevel level[LEVELS];
    NbTarget target[10];
    const size_t n = random_targets(17, target, COUNT(target));
    make_levels(&arena, CELLS_FIRST, 17, level);
    float *const raw = (float *)(uintptr_t)level[0].raw;
    for (ptrdiff_t k = 0; k < PICTURES * level[0].sb; k += 5)
        raw[k] = k % 3 ? NAN : INFINITY;
    const NbYolov8Loss loss = small_loss();
    NbTaskMatch *match = NULL;
    size_t cells = 0;
    const NbLossBatch batch = {PICTURES, target, n};
    assert_int_equal(nb_yolov8_assign(&loss, level, &batch, &arena, &match, &cells, &err), NB_OK);
    for (size_t i = 0; i < PICTURES * cells; i++)
        assert_true(match[i].weight >= 0.0F && match[i].weight <= 1.0F);
    nb_arena_release(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(assignment_equals_the_plain_one),
        cmocka_unit_test(a_box_that_sticks_out_keeps_its_cells),
        cmocka_unit_test(broken_logits_do_not_break_the_assignment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
