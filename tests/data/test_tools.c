/* SPDX-License-Identifier: Apache-2.0
 *
 * The synthetic data set, and checking, counting and dividing one. */
#include "data/anchors.h"
#include "data/synth.h"
#include "data/tools.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "data/picture.h"

enum { SIDE = 128 };

static uint64_t hash(const unsigned char *p, size_t n) {
    uint64_t h = 14695981039346656037ULL;
    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * 1099511628211ULL;
    return h;
}

static void a_drawing_depends_on_its_number_alone(void **state) {
    (void)state;
    static uint8_t a[SIDE * SIDE * 3];
    static uint8_t b[SIDE * SIDE * 3];
    NbTarget ta[NB_SYNTH_OBJECTS];
    NbTarget tb[NB_SYNTH_OBJECTS];
    int objects = 0;
    int backgrounds = 0;
    int classes[NB_SYNTH_CLASSES] = {0};
    float smallest = 1.0F;
    float largest = 0.0F;
    for (int i = 0; i < 120; i++) {
        const int n = nb_synth_draw(3, 0, i, SIDE, a, ta);
        assert_int_equal(nb_synth_draw(3, 0, i, SIDE, b, tb), n);
        assert_memory_equal(a, b, sizeof a);
        assert_memory_equal(ta, tb, (size_t)n * sizeof *ta);
        (void)nb_synth_draw(3, 1, i, SIDE, b, tb);
        assert_true(memcmp(a, b, sizeof a) != 0);
        backgrounds += n == 0;
        objects += n;
        for (int k = 0; k < n; k++) {
            const float *const v = ta[k].xywh;
            assert_in_range(ta[k].cls, 0, NB_SYNTH_CLASSES - 1);
            classes[ta[k].cls]++;
            for (int d = 0; d < 2; d++) {
                assert_true(v[d] - v[2 + d] / 2.0F > -1e-5F && v[d] + v[2 + d] / 2.0F < 1.00001F);
                smallest = fminf(smallest, v[2 + d]);
                largest = fmaxf(largest, v[2 + d]);
            }
        }
    }
    assert_in_range(backgrounds, 3, 25);
    assert_in_range(objects, 240, 420);
    for (int k = 0; k < NB_SYNTH_CLASSES; k++)
        assert_true(classes[k] > objects / 5);
    assert_true(smallest > 0.06F && smallest < 0.11F && largest > 0.4F && largest < 0.55F);
}

/* Pixels are computed with exact arithmetic: any machine gives these. */
static void a_drawing_is_the_same_everywhere(void **state) {
    (void)state;
    static uint8_t rgb[SIDE * SIDE * 3];
    NbTarget target[NB_SYNTH_OBJECTS];
    (void)nb_synth_draw(42, 1, 7, SIDE, rgb, target);
    assert_true(hash(rgb, sizeof rgb) == 0x7cd367d3e5476979ULL);
}

static uint64_t hash_file(Scratch *s, const char *below) {
    NbError err = {0};
    NbBytes bytes;
    assert_int_equal(nb_file_read(scratch_path(s, below), 0, &s->arena, &bytes, &err), NB_OK);
    return hash(bytes.data, bytes.size);
}

static void synthetic_files_are_the_same_for_any_threads(void **state) {
    (void)state;
    Scratch s = scratch_new();
    NbError err = {0};
    NbPool *pool;
    assert_int_equal(nb_pool_new(3, &pool, &err), NB_OK);
    for (int quality = 0; quality < 100; quality += 90) {
        const NbSynthOptions o = {.train = 9, .val = 4, .imgsz = 96, .seed = 8, .quality = quality};
        assert_int_equal(nb_synth_write(scratch_path(&s, "a"), &o, NULL, &err), NB_OK);
        assert_int_equal(nb_synth_write(scratch_path(&s, "b"), &o, pool, &err), NB_OK);
        char **file;
        size_t n;
        assert_int_equal(
            nb_folder_list(scratch_path(&s, "a"), true, 1000, &s.arena, &file, &n, &err), NB_OK);
        for (size_t i = 0; i < n; i++) {
            const char *const below = file[i] + strlen(s.folder) + 3;
            assert_true(hash_file(&s, nb_arena_printf(&s.arena, "a/%s", below)) ==
                        hash_file(&s, nb_arena_printf(&s.arena, "b/%s", below)));
        }
        assert_int_equal(n, quality ? 2 * 13 + 13 + 1 : 2 * 13 + 1);
    }
    nb_pool_free(pool);
    const NbSynthOptions bad[] = {{.train = 0, .val = 1, .imgsz = 96},
                                  {.train = 1, .val = 1, .imgsz = 8},
                                  {.train = 1, .val = 1, .imgsz = 96, .quality = 101}};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(nb_synth_write(s.folder, &bad[i], NULL, &err), NB_ERR_ARGUMENT);
    const NbSynthOptions o = {.train = 1, .val = 1, .imgsz = 96};
    (void)scratch_text(&s, "file", "x");
    assert_int_equal(nb_synth_write(scratch_path(&s, "file"), &o, NULL, &err), NB_ERR_IO);
    scratch_free(&s);
}

static void read_set(Scratch *s, const char *yaml, NbDataset *out) {
    NbError err = {0};
    if (nb_dataset_read(scratch_path(s, yaml), &s->arena, out, &err) != NB_OK)
        fail_msg("%s", err.message);
}

static const NbProblem *find(const NbDataCheck *c, const char *path, const char *text) {
    for (int i = 0; i < c->n_problems; i++)
        if (strstr(c->problem[i].path, path) && strstr(c->problem[i].text, text))
            return &c->problem[i];
    return NULL;
}

static void a_check_sees_the_whole(void **state) {
    (void)state;
    Scratch s = scratch_new();
    NbError err = {0};
    const NbSynthOptions o = {.train = 6, .val = 3, .imgsz = 96, .seed = 2};
    assert_int_equal(nb_synth_write(s.folder, &o, NULL, &err), NB_OK);
    NbDataset d;
    read_set(&s, "data.yaml", &d);
    NbPool *pool;
    assert_int_equal(nb_pool_new(2, &pool, &err), NB_OK);
    NbDataCheckOptions options = {.decode = true};
    NbDataCheck c;
    assert_int_equal(nb_data_check(&d, &options, pool, &s.arena, &c, &err), NB_OK);
    assert_int_equal(c.images, 9);
    assert_int_equal(c.errors, 0);
    assert_true(c.given[0] && c.given[1] && !c.given[2]);
    /* a leak, a broken picture, a class that is never shown */
    NbBytes bytes;
    assert_int_equal(
        nb_file_read(scratch_path(&s, "images/train/000002.png"), 0, &s.arena, &bytes, &err),
        NB_OK);
    (void)scratch_file(&s, "images/val/zz.png", bytes.data, bytes.size);
    (void)scratch_file(&s, "images/val/cut.png", bytes.data, bytes.size / 2);
    (void)scratch_text(&s, "more.yaml",
                       "train: images/train\nval: images/val\nnames: [a, b, c, never]\n");
    read_set(&s, "more.yaml", &d);
    assert_int_equal(nb_data_check(&d, &options, pool, &s.arena, &c, &err), NB_OK);
    const NbProblem *const leak = find(&c, "images/val/zz.png", "the same picture is in train");
    assert_non_null(leak);
    assert_int_equal(leak->kind, NB_PROBLEM_WARNING);
    assert_non_null(find(&c, "images/val/cut.png", ""));
    assert_int_equal(c.errors, 1);
    assert_non_null(find(&c, "more.yaml", "class 3 (never) has no box in train"));
    options.decode = false;
    assert_int_equal(nb_data_check(&d, &options, NULL, &s.arena, &c, &err), NB_OK);
    assert_int_equal(c.errors, 0);
    nb_pool_free(pool);
    scratch_free(&s);
}

static void statistics_count(void **state) {
    (void)state;
    NbTarget label[3] = {{.cls = 0, .xywh = {0.5F, 0.5F, 0.2F, 0.2F}},
                         {.cls = 0, .xywh = {0.5F, 0.5F, 0.4F, 0.1F}},
                         {.cls = 2, .xywh = {0.5F, 0.5F, 1.0F, 1.0F}}};
    NbSample sample[3] = {{.width = 10, .height = 40, .n_labels = 3, .label = label},
                          {.width = 30, .height = 20},
                          {.width = 20, .height = 30, .n_labels = 1, .label = label}};
    const NbSamples samples = {.sample = sample, .n = 3};
    NbArena arena = {0};
    NbError err = {0};
    NbDataStats s;
    assert_int_equal(nb_data_stats(&samples, 3, &arena, &s, &err), NB_OK);
    assert_int_equal(s.images, 3);
    assert_int_equal(s.backgrounds, 1);
    assert_int_equal(s.labels, 4);
    assert_int_equal(s.per_class[0].labels, 3);
    assert_int_equal(s.per_class[0].images, 2);
    assert_int_equal(s.per_class[1].labels, 0);
    assert_int_equal(s.per_class[2].images, 1);
    assert_true(fabs(s.per_class[0].mean_size - 0.2) < 1e-6);
    assert_int_equal(s.size[19], 1);
    assert_int_equal(s.size[3] + s.size[4], 3);
    assert_int_equal(s.boxes[0] + s.boxes[1] + s.boxes[3], 3);
    assert_int_equal(s.most_boxes, 3);
    assert_int_equal(s.width_min, 10);
    assert_int_equal(s.width_max, 30);
    assert_int_equal(s.height_min, 20);
    assert_int_equal(s.height_max, 40);
    assert_true(s.largest == 1.0F && fabsf(s.smallest - 0.2F) < 1e-6F);
    nb_arena_release(&arena);
}

/* The numbers are those of CPython: random.seed(seed);
 * random.choices([0, 1, 2], weights=..., k=12). */
static void splits_equal_those_of_the_source(void **state) {
    (void)state;
    static const struct {
        NbSplitOptions options;
        const char *parts; /* of the pictures in order */
    } rows[] = {{{.weight = {0.9, 0.1, 0.0}, .seed = 0}, "000000000010"},
                {{.weight = {0.5, 0.3, 0.2}, .seed = 7}, "001010010000"},
                {{.weight = {0.5, 0.3, 0.2}, .seed = 0x100000002ULL}, "220021101110"}};
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        Scratch s = scratch_new();
        NbError err = {0};
        int want[3] = {0};
        const char *lists[3] = {"", "", ""};
        for (int i = 0; i < 12; i++) {
            char *const below = nb_arena_printf(&s.arena, "images/%02d.png", i);
            (void)scratch_text(&s, below, "x");
            const int part = rows[r].parts[i] - '0';
            lists[part] = nb_arena_printf(&s.arena, "%s./%s\n", lists[part], below);
            want[part]++;
        }
        (void)scratch_text(&s, "images/notes.txt", "x");
        (void)scratch_text(&s, "autosplit_test.txt", "of an earlier run");
        int got[3];
        assert_int_equal(nb_data_split(scratch_path(&s, "images/"), &rows[r].options, got, &err),
                         NB_OK);
        for (int k = 0; k < 3; k++) {
            assert_int_equal(got[k], want[k]);
            const char *const path = scratch_path(
                &s, nb_arena_printf(&s.arena, "autosplit_%s.txt", nb_split_name((NbSplit)k)));
            assert_int_equal(nb_path_exists(path), want[k] > 0);
            NbBytes bytes;
            if (want[k]) {
                assert_int_equal(nb_file_read(path, 0, &s.arena, &bytes, &err), NB_OK);
                assert_string_equal((const char *)bytes.data, lists[k]);
            }
        }
        NbSplitOptions labelled = rows[r].options;
        labelled.annotated_only = true;
        assert_int_equal(nb_data_split(scratch_path(&s, "images"), &labelled, got, &err),
                         NB_ERR_FORMAT);
        const NbSplitOptions nothing = {.seed = 1};
        assert_int_equal(nb_data_split(scratch_path(&s, "images"), &nothing, got, &err),
                         NB_ERR_ARGUMENT);
        scratch_free(&s);
    }
}

static void poor_anchors_are_replaced(void **state) {
    (void)state;
    enum { N = 60 };
    static NbTarget label[N];
    static NbSample sample[N];
    for (int i = 0; i < N; i++) {
        const float side = 0.02F * powf(45.0F, (float)i / (N - 1));
        label[i] = (NbTarget){.xywh = {0.5F, 0.5F, side, fminf(1.2F * side, 1.0F)}};
        sample[i] = (NbSample){.width = 640, .height = 480, .n_labels = 1, .label = &label[i]};
    }
    const NbSamples samples = {.sample = sample, .n = N};
    const float stride[2] = {16, 32};
    const NbAnchorOptions o = {
        .imgsz = 640, .threshold = 4, .seed = 1, .levels = 2, .per_level = 3, .stride = stride};
    float poor[6][2] = {{4, 4}, {5, 5}, {6, 6}, {7, 7}, {8, 8}, {9, 9}};
    NbError err = {0};
    NbAnchorCheck c;
    assert_int_equal(nb_anchor_check(&samples, &o, poor, &c, &err), NB_OK);
    assert_true(c.before.bpr < 0.6 && c.changed && c.after.bpr > 0.99);
    float again[6][2];
    memcpy(again, poor, sizeof poor);
    assert_int_equal(nb_anchor_check(&samples, &o, again, &c, &err), NB_OK);
    assert_false(c.changed);
    assert_memory_equal(again, poor, sizeof poor);
    float twice[6][2] = {{4, 4}, {5, 5}, {6, 6}, {7, 7}, {8, 8}, {9, 9}};
    assert_int_equal(nb_anchor_check(&samples, &o, twice, &c, &err), NB_OK);
    assert_memory_equal(twice, poor, sizeof poor); /* the seed decides */
    const NbSamples none = {.sample = sample, .n = 0};
    assert_int_equal(nb_anchor_check(&none, &o, twice, &c, &err), NB_ERR_ARGUMENT);
    NbSamples few = samples; /* too few to cluster: the given ones stay */
    few.n = 2;
    float tiny[6][2] = {{1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 1}};
    assert_int_equal(nb_anchor_check(&few, &o, tiny, &c, &err), NB_OK);
    assert_false(c.changed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_drawing_depends_on_its_number_alone),
        cmocka_unit_test(a_drawing_is_the_same_everywhere),
        cmocka_unit_test(synthetic_files_are_the_same_for_any_threads),
        cmocka_unit_test(a_check_sees_the_whole),
        cmocka_unit_test(statistics_count),
        cmocka_unit_test(splits_equal_those_of_the_source),
        cmocka_unit_test(poor_anchors_are_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
