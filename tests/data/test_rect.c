/* SPDX-License-Identifier: Apache-2.0
 *
 * Rectangular batches: shapes worked by hand, and the pictures and labels that a loader then gives.
 */
#include "data/loader.h"
#include "data/rect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "data/picture.h"

enum { MOST = 8 };

static void shapes_are_those_of_the_peers(void **state) {
    (void)state;
    static const struct {
        int n, batch, stride;
        double pad;
        int size[MOST][2]; /* width, height */
        uint32_t order[MOST];
        NbRectShape shape[MOST];
    } rows[] = {
        /* 426/640 * 20 + .5 = 13.81 -> 14; 480/640 * 20 + .5 = 15.5 -> 16 */
        {3, 2, 32, 0.5, {{640, 480}, {640, 426}, {480, 640}}, {1, 0, 2}, {{512, 672}, {672, 512}}},
        {3, 2, 32, 0.0, {{640, 480}, {640, 426}, {480, 640}}, {1, 0, 2}, {{480, 640}, {640, 480}}},
        /* wide and high together, and a square one, are square */
        {2, 2, 32, 0.5, {{640, 480}, {480, 640}}, {0, 1}, {{672, 672}}},
        {1, 4, 32, 0.5, {{500, 500}}, {0}, {{672, 672}}},
        {1, 4, 64, 0.5, {{1000, 100}}, {0}, {{128, 704}}},
        /* equal ratios keep their order */
        {4,
         4,
         32,
         0.0,
         {{200, 100}, {100, 50}, {400, 100}, {300, 150}},
         {2, 0, 1, 3},
         {{320, 640}}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        NbSample sample[MOST] = {{0}};
        for (int k = 0; k < rows[i].n; k++) {
            sample[k].width = rows[i].size[k][0];
            sample[k].height = rows[i].size[k][1];
        }
        const NbSamples samples = {.sample = sample, .n = rows[i].n};
        uint32_t order[MOST];
        NbRectShape shape[MOST];
        NbArena arena = {0};
        NbError err = {0};
        const NbRectOptions o = {rows[i].batch, 640, rows[i].stride, rows[i].pad};
        assert_int_equal(nb_rect_plan(&samples, &o, &arena, order, shape, &err), NB_OK);
        nb_arena_release(&arena);
        for (int k = 0; k < rows[i].n; k++)
            assert_int_equal(order[k], rows[i].order[k]);
        for (int b = 0; b * rows[i].batch < rows[i].n; b++) {
            assert_int_equal(shape[b].height, rows[i].shape[b].height);
            assert_int_equal(shape[b].width, rows[i].shape[b].width);
        }
    }
}

typedef struct Seen {
    int sample, height, width;
    float gain, pad[2], box[4];
    uint64_t pixels;
} Seen;

/* All pictures of an epoch as a loader with so many threads gives them. */
static int look(const NbSamples *samples, int workers, size_t cache, Seen *out) {
    const NbLoaderOptions o = {.samples = samples,
                               .batch = 2,
                               .imgsz = 64,
                               .rect_stride = 32,
                               .rect_pad = 0.5,
                               .workers = workers,
                               .cache_limit = cache};
    NbError err = {0};
    NbLoader *l = NULL;
    int n = 0;
    assert_int_equal(nb_loader_new(&o, &l, &err), NB_OK);
    for (int i = 0; i < nb_loader_batches(l); i++) {
        NbBatch b;
        assert_int_equal(nb_loader_next(l, &b, &err), NB_OK);
        assert_int_equal(b.n_targets, b.count);
        const size_t bytes = (size_t)b.height * (size_t)b.width * 3;
        for (int k = 0; k < b.count; k++) {
            Seen *const s = &out[n++];
            *s = (Seen){.sample = b.sample[k],
                        .height = b.height,
                        .width = b.width,
                        .gain = b.gain[k],
                        .pad = {b.pad[k][0], b.pad[k][1]},
                        .pixels = 1};
            memcpy(s->box, b.target[k].xywh, sizeof s->box);
            for (size_t p = 0; p < bytes; p++)
                s->pixels = (s->pixels ^ b.images[(size_t)k * bytes + p]) * 1099511628211ULL;
        }
    }
    assert_int_equal(nb_loader_seek(l, 0, 0, 96, -1.0, &err), NB_ERR_ARGUMENT);
    nb_loader_free(l);
    return n;
}

static void pictures_and_labels_lie_in_their_rectangle(void **state) {
    (void)state;
    Scratch scratch = scratch_new();
    static const struct {
        const char *name;
        int width, height;
    } file[] = {{"a", 128, 64}, {"b", 64, 128}, {"c", 64, 32}, {"d", 30, 60}, {"e", 60, 60}};
    for (size_t i = 0; i < 5; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "images/val/%s.png", file[i].name);
        (void)scratch_picture(&scratch, name, file[i].width, file[i].height, (int)(60 + i));
        (void)snprintf(name, sizeof name, "labels/val/%s.txt", file[i].name);
        (void)scratch_text(&scratch, name, "0 0.5 0.5 1 1\n");
    }
    const char *const yaml = scratch_text(&scratch, "d.yaml", "val: images/val\nnc: 1\n");
    NbDataset d;
    NbSamples samples;
    NbError err = {0};
    assert_int_equal(nb_dataset_read(yaml, &scratch.arena, &d, &err), NB_OK);
    assert_int_equal(nb_dataset_scan(&d, NB_SPLIT_VAL, false, NULL, &scratch.arena, &samples, &err),
                     NB_OK);
    Seen seen[5];
    Seen again[5];
    assert_int_equal(look(&samples, 0, 0, seen), 5);
    /* a and c: 32 x 64; e and b: square; d: 64 x 32; each with half a stride around */
    static const struct {
        int sample, height, width;
        float gain, left, top;
    } want[5] = {{0, 64, 96, 0.5F, 16, 16},
                 {2, 64, 96, 1.0F, 16, 16},
                 {4, 96, 96, 64 / 60.0F, 16, 16},
                 {1, 96, 96, 0.5F, 32, 16},
                 {3, 96, 64, 64 / 60.0F, 16, 16}};
    for (int i = 0; i < 5; i++) {
        const Seen *const s = &seen[i];
        assert_int_equal(s->sample, want[i].sample);
        assert_int_equal(s->height, want[i].height);
        assert_int_equal(s->width, want[i].width);
        assert_true(fabsf(s->gain - want[i].gain) < 1e-6F);
        assert_true(fabsf(s->pad[0] - want[i].left) + fabsf(s->pad[1] - want[i].top) < 1e-6F);
        const NbSample *const of = &samples.sample[s->sample];
        const float box[4] = {0.5F, 0.5F, (float)of->width * s->gain / (float)s->width,
                              (float)of->height * s->gain / (float)s->height};
        for (int k = 0; k < 4; k++)
            assert_true(fabsf(s->box[k] - box[k]) < 1e-5F);
    }
    for (int workers = 0; workers < 4; workers += 3) {
        assert_int_equal(look(&samples, workers, 1 << 20, again), 5);
        for (int i = 0; i < 5; i++)
            assert_true(again[i].pixels == seen[i].pixels && again[i].sample == seen[i].sample);
    }
    scratch_free(&scratch);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes_are_those_of_the_peers),
        cmocka_unit_test(pictures_and_labels_lie_in_their_rectangle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
