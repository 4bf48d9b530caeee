/* SPDX-License-Identifier: Apache-2.0
 *
 * Where Ultralytics makes other pictures than YOLOv5, and pictures that are kept on disk. */
#include "data/disk_cache.h"
#include "data/loader.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include <cmocka.h>

#include <math.h>

#include "data/mosaic.h"
#include "data/picture.h"
#include "format/npy.h"

enum { SIDE = 64, PICTURES = 8, SHADE = 25 };

typedef struct Set {
    Scratch scratch;
    NbSamples samples;
} Set;

/* Picture i has shades from 25 i on and one box, at its right and lower border. */
static Set *set_new(void) {
    static Set set;
    NbError err = {0};
    NbDataset dataset;
    set = (Set){.scratch = scratch_new()};
    for (int i = 0; i < PICTURES; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "images/train/%d.png", i);
        (void)scratch_picture(&set.scratch, name, SIDE, SIDE, SHADE * i);
        (void)snprintf(name, sizeof name, "labels/train/%d.txt", i);
        (void)scratch_text(&set.scratch, name, "0 .75 .75 .5 .5\n");
    }
    (void)scratch_text(&set.scratch, "data.yaml", "train: images/train\nnc: 1\n");
    const char *const yaml = scratch_path(&set.scratch, "data.yaml");
    assert_int_equal(nb_dataset_read(yaml, &set.scratch.arena, &dataset, &err), NB_OK);
    assert_int_equal(nb_dataset_scan(&dataset, NB_SPLIT_TRAIN, false, NULL, &set.scratch.arena,
                                     &set.samples, &err),
                     NB_OK);
    assert_int_equal(set.samples.n, PICTURES);
    return &set;
}

static NbLoaderOptions options(const Set *set, bool ultralytics) {
    return (NbLoaderOptions){.samples = &set->samples,
                             .batch = PICTURES,
                             .imgsz = SIDE,
                             .augment = true,
                             .ultralytics = ultralytics,
                             .seed = 5};
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

/* Without zoom and shift the middle of the canvas is the result: its first pixel lies in the tile
 * at the top left, unless the centre of the canvas is at its rim, which none of these draws is. */
static int first_tiles_that_are_the_picture(const Set *set, bool ultralytics) {
    NbLoaderOptions o = options(set, ultralytics);
    o.augmentation.mosaic = 1.0;
    NbLoader *const l = loader(&o);
    int same = 0;
    for (int epoch = 0; epoch < 4; epoch++) {
        const NbBatch b = next(l);
        for (int i = 0; i < b.count; i++)
            same += b.images[(size_t)i * SIDE * SIDE * 3] / SHADE == b.sample[i];
    }
    nb_loader_free(l);
    return same;
}

static void the_picture_itself_is_the_first_tile(void **state) {
    (void)state;
    Set *const set = set_new();
    assert_int_equal(first_tiles_that_are_the_picture(set, true), 4 * PICTURES);
    assert_in_range(first_tiles_that_are_the_picture(set, false), 1, 3 * PICTURES);
    scratch_free(&set->scratch);
}

static void boxes_reach_the_border(void **state) {
    (void)state;
    Set *const set = set_new();
    for (int ultralytics = 0; ultralytics < 2; ultralytics++) {
        const NbLoaderOptions o = options(set, ultralytics == 1);
        NbLoader *const l = loader(&o);
        const NbBatch b = next(l);
        assert_int_equal(b.n_targets, PICTURES);
        for (size_t i = 0; i < b.n_targets; i++)
            for (int k = 2; k < 4; k++) {
                const float kept = ultralytics ? 0.5F : (32.0F - NB_BOX_MARGIN) / SIDE;
                assert_true(fabsf(b.target[i].xywh[k] - kept) < 1e-7F);
            }
        nb_loader_free(l);
    }
    scratch_free(&set->scratch);
}

static size_t boxes_of(const Set *set, bool ultralytics, double mosaic, bool closed) {
    NbError err = {0};
    NbLoaderOptions o = options(set, ultralytics);
    o.augmentation.mosaic = mosaic;
    o.augmentation.mixup = 1.0;
    NbLoader *const l = loader(&o);
    if (closed)
        assert_int_equal(nb_loader_seek(l, 0, 0, 0, 0.0, &err), NB_OK);
    const size_t n = next(l).n_targets;
    nb_loader_free(l);
    return n;
}

static void mixup_needs_no_mosaic(void **state) {
    (void)state;
    Set *const set = set_new();
    assert_int_equal(boxes_of(set, false, 0.0, false), PICTURES);
    assert_int_equal(boxes_of(set, true, 0.0, false), 2 * PICTURES);
    assert_int_equal(boxes_of(set, true, 0.0, true), PICTURES); /* close_mosaic ends it */
    assert_int_equal(boxes_of(set, true, 1.0, true), PICTURES);
    assert_in_range(boxes_of(set, true, 1.0, false), 2 * PICTURES, 8 * PICTURES);
    scratch_free(&set->scratch);
}

static uint64_t hash_epochs(const NbLoaderOptions *o) {
    uint64_t h = 1;
    NbLoader *const l = loader(o);
    for (int epoch = 0; epoch < 3; epoch++) {
        const NbBatch b = next(l);
        for (size_t i = 0; i < (size_t)b.count * SIDE * SIDE * 3; i++)
            h = (h ^ b.images[i]) * 1099511628211ULL;
        const unsigned char *const label = (const unsigned char *)b.target;
        for (size_t i = 0; i < b.n_targets * sizeof *b.target; i++)
            h = (h ^ label[i]) * 1099511628211ULL;
    }
    nb_loader_free(l);
    return h;
}

static NbLoaderOptions everything(const Set *set) {
    NbLoaderOptions o = options(set, true);
    o.augmentation = (NbAugment){.hsv_h = 0.015,
                                 .hsv_s = 0.7,
                                 .hsv_v = 0.4,
                                 .translate = 0.1,
                                 .scale = 0.5,
                                 .fliplr = 0.5,
                                 .mosaic = 0.5,
                                 .mixup = 0.5};
    o.shuffle = true;
    return o;
}

static void threads_change_nothing(void **state) {
    (void)state;
    Set *const set = set_new();
    NbLoaderOptions o = everything(set);
    const uint64_t want = hash_epochs(&o);
    for (int workers = 1; workers < 5; workers++) {
        o.workers = workers;
        o.cache_limit = workers % 2 ? 1 << 20 : 0;
        assert_true(hash_epochs(&o) == want);
    }
    scratch_free(&set->scratch);
}

static const char *cache_path(const Set *set, int i) {
    static char path[512];
    (void)snprintf(path, sizeof path, "%s.npy", set->samples.sample[i].path);
    return path;
}

static void write_cache(const Set *set, int i, int height, int width, int value) {
    NbError err = {0};
    static uint8_t pixels[SIDE * SIDE * 3];
    memset(pixels, value, sizeof pixels);
    const NbTensor t = {
        .dtype = NB_U8, .shape = {.rank = 3, .dim = {height, width, 3}}, .data = pixels};
    assert_int_equal(nb_npy_write(cache_path(set, i), &t, &err), NB_OK);
}

static void pictures_on_disk_change_nothing(void **state) {
    (void)state;
    Set *const set = set_new();
    NbError err = {0};
    NbLoaderOptions o = everything(set);
    const uint64_t want = hash_epochs(&o);
    o.disk_cache = true;
    for (int workers = 0; workers < 4; workers += 3) {
        o.workers = workers;
        assert_true(hash_epochs(&o) == want);
    }
    for (int i = 0; i < PICTURES; i++) { /* as they are, RGB, full size */
        NbTensor t;
        NbImage image;
        NbArena *const arena = &set->scratch.arena;
        assert_int_equal(nb_npy_read_file(cache_path(set, i), arena, &t, &err), NB_OK);
        assert_int_equal(nb_image_read(set->samples.sample[i].path, arena, &image, &err), NB_OK);
        assert_memory_equal(t.data, image.rgb, SIDE * SIDE * 3);
    }
    write_cache(set, 0, SIDE, SIDE, 7); /* it is really read */
    assert_true(hash_epochs(&o) != want);
    static const int sizes[][2] = {{SIDE / 2, SIDE}, {SIDE, SIDE / 2}, {SIDE / 2, 2 * SIDE}};
    for (int i = 0; i < 3; i++) { /* another size: made anew */
        write_cache(set, 0, sizes[i][0], sizes[i][1], 7);
        assert_true(hash_epochs(&o) == want);
    }
    (void)scratch_text(&set->scratch, "images/train/0.png.npy", "broken");
    assert_true(hash_epochs(&o) == want);
    write_cache(set, 0, SIDE, SIDE, 7); /* older than the picture: made anew */
    const struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    assert_int_equal(utimensat(AT_FDCWD, cache_path(set, 0), old, 0), 0);
    assert_true(hash_epochs(&o) == want);
    scratch_free(&set->scratch);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_picture_itself_is_the_first_tile),
        cmocka_unit_test(boxes_reach_the_border),
        cmocka_unit_test(mixup_needs_no_mosaic),
        cmocka_unit_test(threads_change_nothing),
        cmocka_unit_test(pictures_on_disk_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
