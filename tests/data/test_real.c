/* SPDX-License-Identifier: Apache-2.0
 *
 * Every data set that the data folder has a YAML for: nothing is left out, and a training and a
 * validation epoch give as many pictures as there are, with boxes inside of them. */
#include "data/loader.h"
#include "data/tools.h"
#include "support/vectors.h"

#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { SIDE = 128, BATCH = 16 };

static void one_epoch(const NbSamples *samples, bool augment) {
    const NbLoaderOptions o = {.samples = samples,
                               .batch = BATCH,
                               .imgsz = SIDE,
                               .augment = augment,
                               .augmentation = {.hsv_h = 0.015,
                                                .hsv_s = 0.7,
                                                .hsv_v = 0.4,
                                                .translate = 0.1,
                                                .scale = 0.5,
                                                .fliplr = 0.5,
                                                .mosaic = 1.0,
                                                .mixup = 0.1},
                               .shuffle = augment,
                               .workers = 2,
                               .cache_limit = 1 << 28};
    NbError err = {0};
    NbLoader *l;
    assert_int_equal(nb_loader_new(&o, &l, &err), NB_OK);
    int pictures = 0;
    size_t boxes = 0;
    for (int i = 0; i < nb_loader_batches(l); i++) {
        NbBatch b;
        if (nb_loader_next(l, &b, &err) != NB_OK)
            fail_msg("%s", err.message);
        pictures += b.count;
        boxes += b.n_targets;
        for (size_t k = 0; k < b.n_targets; k++) {
            const float *const v = b.target[k].xywh;
            assert_in_range(b.target[k].image, 0, b.count - 1);
            for (int d = 0; d < 2; d++)
                assert_true(v[d] - v[2 + d] / 2.0F > -1e-4F && v[d] + v[2 + d] / 2.0F < 1.0001F);
        }
    }
    assert_int_equal(pictures, samples->n);
    assert_true(boxes > (size_t)samples->n_labels / 4);
    if (!augment)
        assert_int_equal(boxes, samples->n_labels);
    nb_loader_free(l);
}

static void look_at(const char *yaml) {
    NbArena arena = {0};
    NbError err = {0};
    NbDataset d;
    if (nb_dataset_read(yaml, &arena, &d, &err) != NB_OK)
        fail_msg("%s", err.message);
    NbPool *pool;
    assert_int_equal(nb_pool_new(2, &pool, &err), NB_OK);
    const NbDataCheckOptions options = {.decode = false};
    NbDataCheck c;
    if (nb_data_check(&d, &options, pool, &arena, &c, &err) != NB_OK)
        fail_msg("%s", err.message);
    nb_pool_free(pool);
    assert_int_equal(c.errors, 0);
    assert_true(c.images > 0 && c.labels > 0);
    for (int k = 0; k < 3; k++) {
        if (!c.given[k])
            continue;
        one_epoch(&c.split[k], true);
        one_epoch(&c.split[k], false);
    }
    print_message("%s: %d pictures, %d labels\n", nb_path_name(yaml), c.images, c.labels);
    nb_arena_release(&arena);
}

static void real_data_sets_load(void **state) {
    (void)state;
    NbArena arena = {0};
    NbError err = {0};
    char *const folder = nb_arena_string(&arena, nb_test_data("."));
    assert_non_null(folder);
    char **file;
    size_t n;
    assert_int_equal(nb_folder_list(folder, true, 1000000, &arena, &file, &n, &err), NB_OK);
    int seen = 0;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(nb_path_suffix(file[i]), ".yaml") != 0)
            continue;
        look_at(file[i]);
        seen++;
    }
    nb_arena_release(&arena);
    assert_true(seen > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(real_data_sets_load)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
