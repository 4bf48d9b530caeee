/* SPDX-License-Identifier: Apache-2.0
 *
 * A small head without anchors, with random logits and targets, for tests of assignment and loss.
 */
#ifndef NB_TESTS_DETECT_SMALL_HEAD_H
#define NB_TESTS_DETECT_SMALL_HEAD_H

#include "base/random.h"
#include "detect/yolov8_loss.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

enum { LEVELS = 2, PICTURES = 3, NC = 3, BINS = 8, SIDE = 8, CELLS = 80, CHANNELS = 4 * BINS + NC };

/* 64 x 64 pixels: 8 x 8 cells and 4 x 4. */
static inline NbYolov8Loss small_loss(void) {
    return (NbYolov8Loss){.nc = NC,
                          .levels = LEVELS,
                          .reg_max = BINS,
                          .stride = {8, 16},
                          .box = 7.5,
                          .cls = 0.5,
                          .dfl = 1.5,
                          .alpha = 0.5,
                          .beta = 6.0,
                          .topk = 10,
                          .weight = 1.0};
}

typedef enum Layout { CELLS_FIRST, CHANNELS_FIRST, LAYOUTS } Layout;

static inline ptrdiff_t place(const NbHeadLevel *l, int b, int y, int x, int c) {
    return b * l->sb + y * l->sy + x * l->sx + c * l->sc;
}

/* Random logits, the same numbers for each layout. Boxes are a few cells wide. */
static inline void make_levels(NbArena *arena, Layout layout, uint64_t seed, NbHeadLevel *out) {
    NbRandom r = nb_random(seed, NB_RANDOM_TEST, 0, 0);
    for (int i = 0; i < LEVELS; i++) {
        const int n = SIDE >> i;
        const size_t count = (size_t)(PICTURES * n * n * CHANNELS);
        float *const raw = NB_NEW(arena, float, count);
        NbHeadLevel l = {.ny = n, .nx = n, .sb = n * n * CHANNELS};
        l.sc = layout == CHANNELS_FIRST ? n * n : 1;
        l.sx = layout == CHANNELS_FIRST ? 1 : CHANNELS;
        l.sy = n * l.sx;
        l.grad = NB_NEW(arena, float, count);
        assert_true(raw && l.grad);
        for (size_t k = 0; k < count; k++)
            l.grad[k] = NAN; /* must be written */
        for (int b = 0; b < PICTURES; b++)
            for (int y = 0; y < n; y++)
                for (int x = 0; x < n; x++)
                    for (int c = 0; c < CHANNELS; c++)
                        raw[place(&l, b, y, x, c)] =
                            (float)(nb_random_normal(&r) + (c < 4 * BINS && c % BINS == 2) * 2);
        l.raw = raw;
        out[i] = l;
    }
}

static inline size_t random_targets(uint64_t seed, NbTarget *out, size_t n) {
    NbRandom r = nb_random(seed, NB_RANDOM_TEST, 1, 0);
    for (size_t i = 0; i < n; i++) {
        out[i] = (NbTarget){.image = (int)nb_random_below(&r, PICTURES),
                            .cls = (int)nb_random_below(&r, NC)};
        for (int k = 0; k < 2; k++) {
            out[i].xywh[k] = (float)nb_random_range(&r, 0, 1);
            out[i].xywh[2 + k] = (float)nb_random_range(&r, 0.02, 0.9);
        }
    }
    return n;
}

#endif
