/* SPDX-License-Identifier: Apache-2.0
 *
 * Batches: the same for any number of threads, any cache and any place to start; labels that lie on
 * what they label. */
#include "data/loader.h"
#include "data/synth.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "data/picture.h"

enum { SIDE = 64, PICTURES = 22, BATCH = 4 };

typedef struct Set {
    Scratch scratch;
    NbDataset dataset;
    NbSamples train, val;
} Set;

static Set *set_new(void) {
    static Set set;
    NbError err = {0};
    set = (Set){.scratch = scratch_new()};
    const NbSynthOptions o = {.train = PICTURES, .val = 3, .imgsz = 96, .seed = 5};
    assert_int_equal(nb_synth_write(set.scratch.folder, &o, NULL, &err), NB_OK);
    /* one that is not square, and one with polygons */
    (void)scratch_picture(&set.scratch, "images/val/wide.png", 90, 41, 60);
    (void)scratch_text(&set.scratch, "labels/val/wide.txt", "1 0.25 0.5 0.5 1\n");
    (void)scratch_text(&set.scratch, "labels/train/000003.txt",
                       "0 .1 .1 .9 .1 .9 .9 .1 .9\n1 .2 .2 .5 .2 .6 .6 .4 .8 .2 .6\n");
    const char *const yaml = scratch_path(&set.scratch, "data.yaml");
    assert_int_equal(nb_dataset_read(yaml, &set.scratch.arena, &set.dataset, &err), NB_OK);
    assert_int_equal(nb_dataset_scan(&set.dataset, NB_SPLIT_TRAIN, false, NULL, &set.scratch.arena,
                                     &set.train, &err),
                     NB_OK);
    assert_int_equal(nb_dataset_scan(&set.dataset, NB_SPLIT_VAL, false, NULL, &set.scratch.arena,
                                     &set.val, &err),
                     NB_OK);
    assert_int_equal(set.train.n, PICTURES);
    assert_int_equal(set.val.n, 4);
    return &set;
}

static NbLoaderOptions training(const Set *set) {
    return (NbLoaderOptions){.samples = &set->train,
                             .batch = BATCH,
                             .imgsz = SIDE,
                             .augment = true,
                             .augmentation = {.hsv_h = 0.015,
                                              .hsv_s = 0.7,
                                              .hsv_v = 0.4,
                                              .degrees = 5,
                                              .translate = 0.1,
                                              .scale = 0.5,
                                              .shear = 1,
                                              .fliplr = 0.5,
                                              .flipud = 0.1,
                                              .mosaic = 0.7,
                                              .mixup = 0.5},
                             .shuffle = true,
                             .seed = 11};
}

static uint64_t hash(uint64_t h, const void *data, size_t n) {
    const unsigned char *const p = data;
    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * 1099511628211ULL;
    return h;
}

static uint64_t hash_batch(const NbBatch *b) {
    uint64_t h = hash(1, b->images, (size_t)b->count * (size_t)b->imgsz * (size_t)b->imgsz * 3);
    for (size_t i = 0; i < b->n_targets; i++) {
        h = hash(h, &b->target[i].image, sizeof(int));
        h = hash(h, &b->target[i].cls, sizeof(int));
        h = hash(h, b->target[i].xywh, sizeof b->target[i].xywh);
    }
    return hash(h, b->sample, (size_t)b->count * sizeof *b->sample);
}

static NbLoader *loader(const NbLoaderOptions *o) {
    NbError err = {0};
    NbLoader *l;
    if (nb_loader_new(o, &l, &err) != NB_OK)
        fail_msg("%s", err.message);
    return l;
}

static NbBatch next(NbLoader *l) {
    NbError err = {0};
    NbBatch b;
    if (nb_loader_next(l, &b, &err) != NB_OK)
        fail_msg("%s", err.message);
    return b;
}

static void seek(NbLoader *l, int epoch, int batch, int imgsz, double mosaic) {
    NbError err = {0};
    assert_int_equal(nb_loader_seek(l, epoch, batch, imgsz, mosaic, &err), NB_OK);
}

enum { STEPS = 14 };

static void run(const NbLoaderOptions *o, uint64_t out[STEPS]) {
    NbLoader *const l = loader(o);
    for (int i = 0; i < STEPS; i++) {
        const NbBatch b = next(l);
        out[i] = hash_batch(&b);
    }
    nb_loader_free(l);
}

static void threads_and_cache_change_nothing(void **state) {
    (void)state;
    static const struct {
        int workers;
        size_t cache;
    } rows[] = {{1, 0}, {3, 0}, {0, 1 << 30}, {4, 1 << 30}, {2, 60000}, {9, 1 << 30}};
    Set *const set = set_new();
    NbLoaderOptions o = training(set);
    uint64_t want[STEPS];
    run(&o, want);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        o.workers = rows[i].workers;
        o.cache_limit = rows[i].cache;
        uint64_t got[STEPS];
        run(&o, got);
        assert_memory_equal(got, want, sizeof want);
    }
    for (int i = 1; i < STEPS; i++) /* and no two batches are equal */
        for (int k = 0; k < i; k++)
            assert_true(want[i] != want[k]);
    o.seed++;
    uint64_t other[STEPS];
    run(&o, other);
    assert_true(other[0] != want[0]);
    scratch_free(&set->scratch);
}

static uint64_t hash_picture(const NbBatch *b, int i) {
    const size_t bytes = (size_t)b->imgsz * (size_t)b->imgsz * 3;
    uint64_t h = hash(1, b->images + (size_t)i * bytes, bytes);
    for (size_t k = 0; k < b->n_targets; k++)
        if (b->target[k].image == i)
            h = hash(h, b->target[k].xywh, sizeof b->target[k].xywh);
    return h;
}

/* What is drawn for a picture follows from its place in the epoch, however batches are cut. */
static void the_size_of_batches_changes_nothing(void **state) {
    (void)state;
    Set *const set = set_new();
    NbLoaderOptions o = training(set);
    uint64_t want[2 * PICTURES] = {0};
    static const int sizes[] = {1, 4, 7, PICTURES + 3};
    for (int k = 0; k < 4; k++) {
        o.batch = sizes[k];
        NbLoader *const l = loader(&o);
        for (int at = 0; at < 2 * PICTURES;) {
            const NbBatch b = next(l);
            for (int i = 0; i < b.count; i++, at++) {
                const uint64_t h = hash_picture(&b, i);
                assert_true(k == 0 || want[at] == h);
                want[at] = h;
            }
        }
        nb_loader_free(l);
    }
    scratch_free(&set->scratch);
}

static void a_loader_starts_anywhere(void **state) {
    (void)state;
    Set *const set = set_new();
    NbLoaderOptions o = training(set);
    uint64_t want[STEPS];
    run(&o, want);
    o.workers = 2;
    NbLoader *const l = loader(&o);
    const int batches = nb_loader_batches(l);
    assert_int_equal(batches, (PICTURES + BATCH - 1) / BATCH);
    static const int places[] = {7, 0, 13, 6, 5, 12, 12, 3};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        seek(l, places[i] / batches, places[i] % batches, 0, -1);
        NbBatch b = next(l);
        assert_true(hash_batch(&b) == want[places[i]]);
        if (places[i] + 1 < STEPS && i % 2) { /* going on without a seek */
            b = next(l);
            assert_true(hash_batch(&b) == want[places[i] + 1]);
        }
    }
    nb_loader_free(l);
    scratch_free(&set->scratch);
}

static void close_mosaic_holds_until_the_next_seek(void **state) {
    (void)state;
    Set *const set = set_new();
    NbLoaderOptions o = training(set);
    uint64_t mixed[STEPS];
    run(&o, mixed);
    o.augmentation.mosaic = 0;
    uint64_t plain[STEPS];
    run(&o, plain);
    o = training(set);
    o.workers = 3;
    NbLoader *const l = loader(&o);
    NbBatch b = next(l);
    assert_true(hash_batch(&b) == mixed[0]);
    seek(l, 0, 1, 0, 0);
    for (int i = 1; i < 4; i++) {
        b = next(l);
        assert_true(hash_batch(&b) == plain[i]);
    }
    seek(l, 0, 4, 0, -1);
    b = next(l);
    assert_true(hash_batch(&b) == mixed[4]);
    nb_loader_free(l);
    scratch_free(&set->scratch);
}

static void another_size_shows_the_same_pictures(void **state) {
    (void)state;
    Set *const set = set_new();
    NbLoaderOptions o = training(set);
    uint64_t want[STEPS];
    run(&o, want);
    for (int workers = 0; workers < 4; workers += 3) {
        o.workers = workers;
        NbLoader *const l = loader(&o);
        static const int sizes[] = {0, 96, 32, SIDE, 128};
        uint64_t other = 0;
        for (int i = 0; i < 5; i++) {
            seek(l, 0, i, sizes[i], -1);
            const NbBatch b = next(l);
            assert_int_equal(b.imgsz, sizes[i] ? sizes[i] : SIDE);
            if (b.imgsz == SIDE)
                assert_true(hash_batch(&b) == want[i]);
            else
                other = hash_batch(&b);
        }
        seek(l, 0, 4, 32, -1);
        const NbBatch b = next(l);
        /* 2x2 means of a picture that is made at 64 */
        seek(l, 0, 4, 0, -1);
        static uint8_t small[32 * 32 * 3];
        memcpy(small, b.images, sizeof small);
        const NbBatch big = next(l);
        for (int i = 0; i < 32 * 32 * 3; i++) {
            const uint8_t *const p =
                big.images + ((size_t)(i / 96) * 2 * SIDE + (size_t)(i % 96 / 3) * 2) * 3 + i % 3;
            const int sum = p[0] + p[3] + p[SIDE * 3] + p[SIDE * 3 + 3];
            assert_int_equal(small[i], (sum + 2) / 4);
        }
        assert_true(other != 0);
        nb_loader_free(l);
    }
    scratch_free(&set->scratch);
}

static void an_epoch_shows_every_picture_once(void **state) {
    (void)state;
    Set *const set = set_new();
    NbLoaderOptions o = training(set);
    o.workers = 2;
    for (int drop = 0; drop < 2; drop++) {
        o.drop_last = drop;
        NbLoader *const l = loader(&o);
        int first[2] = {0};
        for (int epoch = 0; epoch < 2; epoch++) {
            int seen[PICTURES] = {0};
            int total = 0;
            for (int i = 0; i < nb_loader_batches(l); i++) {
                const NbBatch b = next(l);
                first[epoch] = i == 0 ? b.sample[0] * PICTURES + b.sample[1] : first[epoch];
                total += b.count;
                for (int k = 0; k < b.count; k++)
                    seen[b.sample[k]]++;
            }
            assert_int_equal(total, drop ? PICTURES / BATCH * BATCH : PICTURES);
            for (int i = 0; i < PICTURES; i++)
                assert_true(seen[i] <= 1);
        }
        assert_true(first[0] != first[1]); /* another order each epoch */
        nb_loader_free(l);
    }
    scratch_free(&set->scratch);
}

static void validation_letterboxes_in_order(void **state) {
    (void)state;
    Set *const set = set_new();
    for (int compat = 0; compat < 2; compat++) {
        const NbLoaderOptions o = {
            .samples = &set->val, .batch = 3, .imgsz = SIDE, .workers = 1, .compat = compat != 0};
        NbLoader *const l = loader(&o);
        NbBatch b = next(l);
        assert_int_equal(b.count, 3);
        for (int i = 0; i < 3; i++) {
            assert_int_equal(b.sample[i], i);
            assert_true(b.pad[i][0] == 0.0F && b.pad[i][1] == 0.0F);
            assert_true(fabsf(b.gain[i] - (float)SIDE / 96.0F) < 1e-6F);
        }
        b = next(l);
        assert_int_equal(b.count, 1);
        /* 90 x 41 becomes 64 x 29 (truncated) or 64 x 30 (rounded up); 17.5 or 17 px of padding */
        const float height = compat ? 29.0F : 30.0F;
        const float top = compat ? 17.5F : 17.0F;
        assert_true(b.pad[0][0] == 0.0F && b.pad[0][1] == top);
        assert_true(fabsf(b.gain[0] - height / 41.0F) < 1e-6F);
        assert_int_equal(b.n_targets, 1);
        const float *const box = b.target[0].xywh;
        assert_true(fabsf(box[0] - 0.25F) < 1e-5F && fabsf(box[2] - 0.5F) < 1e-5F);
        assert_true(fabsf(box[1] - (top + height / 2.0F) / SIDE) < 1e-5F);
        assert_true(fabsf(box[3] - height / SIDE) < 1e-5F);
        const uint8_t *const p = b.images;
        assert_int_equal(p[0], 114);
        assert_int_equal(p[(16 * SIDE + 5) * 3], 114);
        assert_true(p[(17 * SIDE + 5) * 3] != 114);
        nb_loader_free(l);
    }
    scratch_free(&set->scratch);
}

/* Circles and squares of one bright colour on black: after any augmentation that keeps colours, the
 * bright pixels of a box must touch its four sides, or the box the picture's. */
static void boxes_stay_on_their_objects(void **state) {
    (void)state;
    enum { W = 120, N = 6 };
    Set set = {.scratch = scratch_new()};
    NbError err = {0};
    for (int i = 0; i < N; i++) {
        NbImage image = {W, W, NB_NEW(&set.scratch.arena, uint8_t, W * W * 3)};
        const int x0 = 12 + 9 * i;
        const int y0 = 50 - 7 * i;
        const int w = 30 + 5 * i;
        const int h = 40 - 3 * i;
        for (int y = y0; y < y0 + h; y++)
            memset(image.rgb + (size_t)(y * W + x0) * 3, 255, (size_t)w * 3);
        const char *const path =
            scratch_path(&set.scratch, nb_arena_printf(&set.scratch.arena, "images/%d.png", i));
        assert_int_equal(nb_folder_make(scratch_path(&set.scratch, "images"), &err), NB_OK);
        assert_int_equal(nb_image_write(path, &image, 0, &err), NB_OK);
        (void)scratch_text(&set.scratch, nb_arena_printf(&set.scratch.arena, "labels/%d.txt", i),
                           nb_arena_printf(&set.scratch.arena, "0 %.7f %.7f %.7f %.7f\n",
                                           (x0 + w / 2.0) / W, (y0 + h / 2.0) / W, (double)w / W,
                                           (double)h / W));
    }
    const char *const yaml = scratch_text(&set.scratch, "data.yaml", "train: images\nnames: [x]\n");
    assert_int_equal(nb_dataset_read(yaml, &set.scratch.arena, &set.dataset, &err), NB_OK);
    assert_int_equal(nb_dataset_scan(&set.dataset, NB_SPLIT_TRAIN, false, NULL, &set.scratch.arena,
                                     &set.train, &err),
                     NB_OK);
    NbLoaderOptions o = training(&set);
    o.augmentation =
        (NbAugment){.translate = 0.1, .scale = 0.4, .fliplr = 0.5, .flipud = 0.5, .mosaic = 0.5};
    NbLoader *const l = loader(&o);
    int boxes = 0;
    for (int k = 0; k < 40; k++) {
        const NbBatch b = next(l);
        for (size_t t = 0; t < b.n_targets; t++) {
            const float *const v = b.target[t].xywh;
            const uint8_t *const p = b.images + (size_t)b.target[t].image * SIDE * SIDE * 3;
            const int mid[2] = {(int)(v[0] * SIDE), (int)(v[1] * SIDE)};
            for (int side = 0; side < 4; side++) {
                const int axis = side % 2;
                const float edge =
                    (v[axis] + (side < 2 ? -v[2 + axis] : v[2 + axis]) / 2.0F) * SIDE;
                const int step = side < 2 ? 1 : -1;
                int at[2] = {mid[0], mid[1]};
                at[axis] = (int)(edge + (float)step * 1.6F); /* just inside: bright */
                assert_true(p[(at[1] * SIDE + at[0]) * 3] > 200);
                at[axis] = (int)floorf(edge - (float)step * 1.6F); /* just outside: dark, or none */
                if (at[axis] >= 0 && at[axis] < SIDE)
                    assert_true(p[(at[1] * SIDE + at[0]) * 3] < 200);
            }
            boxes++;
        }
    }
    assert_true(boxes > 100);
    nb_loader_free(l);
    scratch_free(&set.scratch);
}

static void a_picture_that_is_gone_is_named(void **state) {
    (void)state;
    Set *const set = set_new();
    assert_int_equal(unlink(set->val.sample[1].path), 0);
    for (int workers = 0; workers < 3; workers++) {
        const NbLoaderOptions o = {
            .samples = &set->val, .batch = 2, .imgsz = SIDE, .workers = workers};
        NbLoader *const l = loader(&o);
        NbError err = {0};
        NbBatch b;
        assert_int_equal(nb_loader_next(l, &b, &err), NB_ERR_FORMAT);
        assert_non_null(strstr(err.message, set->val.sample[1].path));
        b = next(l); /* the others still come */
        assert_int_equal(b.sample[0], 2);
        nb_loader_free(l);
    }
    scratch_free(&set->scratch);
}

static void wrong_options_are_refused(void **state) {
    (void)state;
    Set *const set = set_new();
    NbError err = {0};
    NbLoader *l;
    const NbLoaderOptions good = training(set);
    NbLoaderOptions bad[6];
    for (int i = 0; i < 6; i++)
        bad[i] = good;
    const NbSamples none = {0};
    bad[0].samples = &none;
    bad[1].batch = 0;
    bad[2].imgsz = 33;
    bad[3].workers = -1;
    bad[4].imgsz = 1 << 20;
    bad[5].batch = PICTURES + 1;
    bad[5].drop_last = true;
    for (int i = 0; i < 6; i++) {
        assert_int_equal(nb_loader_new(&bad[i], &l, &err), NB_ERR_ARGUMENT);
        assert_null(l);
    }
    l = loader(&good);
    assert_int_equal(nb_loader_seek(l, 0, nb_loader_batches(l), 0, -1, &err), NB_ERR_ARGUMENT);
    assert_int_equal(nb_loader_seek(l, -1, 0, 0, -1, &err), NB_ERR_ARGUMENT);
    assert_int_equal(nb_loader_seek(l, 0, 0, 7, -1, &err), NB_ERR_ARGUMENT);
    nb_loader_free(l);
    nb_loader_free(NULL);
    scratch_free(&set->scratch);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_and_cache_change_nothing),
        cmocka_unit_test(the_size_of_batches_changes_nothing),
        cmocka_unit_test(a_loader_starts_anywhere),
        cmocka_unit_test(close_mosaic_holds_until_the_next_seek),
        cmocka_unit_test(another_size_shows_the_same_pictures),
        cmocka_unit_test(an_epoch_shows_every_picture_once),
        cmocka_unit_test(validation_letterboxes_in_order),
        cmocka_unit_test(boxes_stay_on_their_objects),
        cmocka_unit_test(a_picture_that_is_gone_is_named),
        cmocka_unit_test(wrong_options_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
