/* SPDX-License-Identifier: Apache-2.0
 *
 * Data set files, the pictures they name, and every problem that a picture or label can have. */
#include "data/dataset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "data/picture.h"

static void expect_in(const char *text, const char *part) {
    if (!strstr(text, part))
        fail_msg("'%s' does not contain '%s'", text, part);
}

static void yaml_keys_are_read(void **state) {
    (void)state;
    static const struct {
        const char *yaml;
        int nc;
        const char *first, *last; /* names */
        int n_train;
    } rows[] = {
        {"train: a\nval: b\nnc: 2\nnames: [cat, dog]\n", 2, "cat", "dog", 1},
        {"train: [a, b]\nval: b\nnames: {0: no, 1: 'on'}\n", 2, "no", "on", 2},
        {"train: a\nvalidation: b\nnames:\n  1: y\n  0: x\n", 2, "x", "y", 1},
        {"train: a\nval:\nnc: 3\n", 3, "class0", "class2", 1},
        {"train: a\nval: b\nnc: 1\nnames: ['a b']\ndownload: |\n  import os\n", 1, "a b", "a b", 1},
        {"\xEF\xBB\xBFtrain: a\nnames: [x]\n", 1, "x", "x", 1},
    };
    Scratch s = scratch_new();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        NbError err = {0};
        NbDataset d;
        const char *const path = scratch_text(&s, "data.yaml", rows[i].yaml);
        if (nb_dataset_read(path, &s.arena, &d, &err) != NB_OK)
            fail_msg("row %zu: %s", i, err.message);
        assert_int_equal(d.nc, rows[i].nc);
        assert_string_equal(d.names[0], rows[i].first);
        assert_string_equal(d.names[d.nc - 1], rows[i].last);
        assert_int_equal(d.n_paths[NB_SPLIT_TRAIN], rows[i].n_train);
        assert_string_equal(d.split_path[NB_SPLIT_TRAIN], "a");
        assert_null(d.split_path[NB_SPLIT_TEST]);
        assert_string_equal(d.root, s.folder);
    }
    scratch_free(&s);
}

static void yaml_faults_are_named(void **state) {
    (void)state;
    static const struct {
        const char *yaml;
        const char *want;
    } rows[] = {
        {"- a\n", "expected a data set"},
        {"nc: 3\n", "none of train, val, test"},
        {"train: a\n", "neither nc nor names"},
        {"train: a\nnc: 0\n", ":2:5: nc: expected 1 to"},
        {"train: a\nnc: many\n", ":2:5:"},
        {"train: a\nnc: 3\nnames: [x, y]\n", "2 names, but nc is 3"},
        {"train: a\nnames: {0: x, 2: y}\n", "class 2, expected every number from 0 to 1"},
        {"train: a\nnames: {0: x, 00: y}\n", "class 0 has two names"},
        {"train: a\nnames: face\n", "expected a list or a map"},
        {"train: a\nnames: [[x]]\n", "names: expected one value, found a list"},
        {"train: {a: b}\nnames: [x]\n", "train: expected one value, found a map"},
        {"train: ''\nnames: [x]\n", "the path is empty"},
        {"train: a\ntrain: b\nnames: [x]\n", "train"},
        {"train: [a\n", "data.yaml"},
    };
    Scratch s = scratch_new();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        NbError err = {0};
        NbDataset d;
        const char *const path = scratch_text(&s, "data.yaml", rows[i].yaml);
        if (nb_dataset_read(path, &s.arena, &d, &err) != NB_ERR_FORMAT)
            fail_msg("row %zu was accepted", i);
        expect_in(err.message, rows[i].want);
    }
    scratch_free(&s);
}

static void labels_lie_beside_pictures(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"/d/images/train/a.b.jpg", "/d/labels/train/a.b.txt"},
        {"/d/images/images/x.png", "/d/images/labels/x.txt"},
        {"images/x.JPG", "labels/x.txt"},
        {"/d/pictures/x.jpg", "/d/pictures/x.txt"},
        {"/images/my.images/x.jpg", "/labels/my.images/x.txt"},
    };
    NbArena arena = {0};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_string_equal(nb_label_path(&arena, rows[i][0]), rows[i][1]);
    nb_arena_release(&arena);
}

/* A split in its usual places. */
static NbStatus scan(Scratch *s, const char *yaml, NbPool *pool, NbSamples *out, NbError *err) {
    NbDataset d;
    assert_int_equal(nb_dataset_read(scratch_text(s, "data.yaml", yaml), &s->arena, &d, err),
                     NB_OK);
    return nb_dataset_scan(&d, NB_SPLIT_TRAIN, false, pool, &s->arena, out, err);
}

static void pictures_are_found_wherever_they_may_lie(void **state) {
    (void)state;
    static const char *const yamls[] = {
        "train: images/t\nnames: [x]\n",
        "path: .\ntrain: images/t\nnames: [x]\n",
        "path: gone\ntrain: images/t\nnames: [x]\n", /* then beside the YAML */
        "train: ../images/t\nnames: [x]\n",          /* means images/t */
        "train: list.txt\nnames: [x]\n",
        "path: images\ntrain: t\nnames: [x]\n",
        "train: [images/t/sub, images/t/a.png]\nnames: [x]\n", /* a picture is no list */
    };
    Scratch s = scratch_new();
    (void)scratch_picture(&s, "images/t/b.png", 20, 12, 10);
    (void)scratch_picture(&s, "images/t/a.png", 20, 12, 20);
    (void)scratch_picture(&s, "images/t/sub/c.JPG", 20, 12, 30);
    (void)scratch_text(&s, "images/t/notes.txt", "not a picture");
    (void)scratch_text(&s, "labels/t/b.txt", "0 0.5 0.5 1 1\n");
    (void)scratch_text(&s, "list.txt",
                       "./images/t/b.png\r\nimages/t/sub/c.JPG\n\n  images/t/a.png");
    const size_t n = sizeof yamls / sizeof *yamls;
    for (size_t i = 0; i < n; i++) {
        NbError err = {0};
        NbSamples got;
        const NbStatus status = scan(&s, yamls[i], NULL, &got, &err);
        if (i + 1 == n) {
            assert_int_equal(status, NB_ERR_FORMAT);
            expect_in(err.message, "is a picture, expected a folder");
            continue;
        }
        if (status != NB_OK)
            fail_msg("%s: %s", yamls[i], err.message);
        assert_int_equal(got.n, 3);
        assert_string_equal(nb_path_name(got.sample[0].path), "a.png");
        assert_string_equal(nb_path_name(got.sample[2].path), "c.JPG");
        assert_int_equal(got.n_labels, 1);
        assert_int_equal(got.sample[1].n_labels, 1);
        assert_int_equal(got.sample[1].width, 20);
        assert_int_equal(got.sample[1].height, 12);
        assert_int_equal(got.n_missing, 2);
    }
    scratch_free(&s);
}

static void what_is_not_there_is_named(void **state) {
    (void)state;
    Scratch s = scratch_new();
    (void)scratch_text(&s, "empty/readme.txt", "nothing");
    NbError err = {0};
    NbSamples got;
    assert_int_equal(scan(&s, "train: nowhere\nnames: [x]\n", NULL, &got, &err), NB_ERR_FORMAT);
    expect_in(err.message, "'nowhere'");
    assert_int_equal(scan(&s, "train: empty\nnames: [x]\n", NULL, &got, &err), NB_ERR_FORMAT);
    expect_in(err.message, "no picture in 'empty'");
    assert_int_equal(scan(&s, "val: empty\nnames: [x]\n", NULL, &got, &err), NB_ERR_FORMAT);
    expect_in(err.message, "there is no 'train'");
    scratch_free(&s);
}

/* One picture with each label file; what must be said about it. */
static const struct {
    const char *labels; /* NULL: no file */
    NbProblemKind kind;
    int line;
    const char *text;
    int n_labels; /* < 0: the picture is left out */
} faults[] = {
    {"0 .5 .5 .2 .2\n1 .5 .5 .2 .2\n", NB_PROBLEM_WARNING, -1, NULL, 2},
    {NULL, NB_PROBLEM_MISSING, 0, "background", 0},
    {"", NB_PROBLEM_EMPTY, 0, "background", 0},
    {"\n \n", NB_PROBLEM_EMPTY, 0, "background", 0},
    {"0 .5 .5 .2 .2\n0 .5 .5 .2 .2\n", NB_PROBLEM_DUPLICATE, 0, "1 duplicate", 1},
    {"0 .5 .5 .2 .2\n2 .5 .5 .2 .2\n", NB_PROBLEM_CORRUPT, 2, "class 2, but the data set has 2",
     -1},
    {"-1 .5 .5 .2 .2\n", NB_PROBLEM_CORRUPT, 1, "class -1 is negative", -1},
    {"0.5 .5 .5 .2 .2\n", NB_PROBLEM_CORRUPT, 1, "class 0.5 is not whole", -1},
    {"0 .5 .5 .2 .2\n\n0 .5 1.5 .2 .2\n", NB_PROBLEM_CORRUPT, 3, "centre y is 1.5", -1},
    {"0 .5 .5 -.2 .2\n", NB_PROBLEM_CORRUPT, 1, "width is -0.2", -1},
    {"0 .5 .5 .2\n", NB_PROBLEM_CORRUPT, 1, "4 numbers, expected 5", -1},
    {"0 .5 .5 .2 .2 .9\n", NB_PROBLEM_CORRUPT, 1, "6 numbers, expected 5", -1},
    {"0 nan .5 .2 .2\n", NB_PROBLEM_CORRUPT, 1, "found 'nan'", -1},
    {"0 .5 .5 inf .2\n", NB_PROBLEM_CORRUPT, 1, "found 'inf'", -1},
    {"0 .5 .5 1e999 .2\n", NB_PROBLEM_CORRUPT, 1, "found '1e999'", -1},
    {"face .5 .5 .2 .2\n", NB_PROBLEM_CORRUPT, 1, "found 'face'", -1},
    {"\xEF\xBB\xBF"
     "0 .5 .5 .2 .2\n",
     NB_PROBLEM_CORRUPT, 1, "byte order mark", -1},
    {"0 .5 .5 .2 .2\n   \n0 .4 .5 .2 .2\n", NB_PROBLEM_CORRUPT, 2, "a line of blanks", -1},
    {"0 .1 .1 .9 .1 .9 .9 .1 .9\n", NB_PROBLEM_WARNING, -1, NULL, 1},
    {"0 .1 .1 .9 .1 .9 .9 .1 .9\n0 .5 .5 .2 .2\n", NB_PROBLEM_WARNING, 2, "its box is wrong", 2},
    {"0 .1 .1 .9 .1 .9 .9 .1 .9 .2\n", NB_PROBLEM_CORRUPT, 1, "10 numbers in a file of polygons",
     -1},
};

static void every_label_fault_is_found_with_its_line(void **state) {
    (void)state;
    enum { N = sizeof faults / sizeof *faults };
    Scratch s = scratch_new();
    for (int i = 0; i < N; i++) {
        (void)scratch_picture(&s, nb_arena_printf(&s.arena, "images/%03d.png", i), 16, 16, i);
        if (faults[i].labels)
            (void)scratch_text(&s, nb_arena_printf(&s.arena, "labels/%03d.txt", i),
                               faults[i].labels);
    }
    NbError err = {0};
    NbSamples got;
    assert_int_equal(scan(&s, "train: images\nnames: [x, y]\n", NULL, &got, &err), NB_OK);
    int sample = 0;
    int problem = 0;
    for (int i = 0; i < N; i++) {
        if (faults[i].text) {
            const NbProblem *const p = &got.problem[problem++];
            assert_int_equal(p->kind, faults[i].kind);
            assert_int_equal(p->line, faults[i].line);
            expect_in(p->text, faults[i].text);
            expect_in(p->path, nb_arena_printf(&s.arena, "labels/%03d.txt", i));
        }
        if (faults[i].n_labels < 0)
            continue;
        const NbSample *const a = &got.sample[sample++];
        expect_in(a->path, nb_arena_printf(&s.arena, "/%03d.png", i));
        assert_int_equal(a->n_labels, faults[i].n_labels);
    }
    assert_int_equal(sample, got.n);
    assert_int_equal(problem, got.n_problems);
    assert_int_equal(got.n_corrupt + got.n, N);
    assert_int_equal(got.n_missing, 1);
    assert_int_equal(got.n_empty, 2);
    scratch_free(&s);
}

static void single_cls_makes_every_class_zero(void **state) {
    (void)state;
    Scratch s = scratch_new();
    (void)scratch_picture(&s, "images/a.png", 16, 16, 1);
    (void)scratch_text(&s, "labels/a.txt", "7 .5 .5 .2 .2\n");
    NbError err = {0};
    NbDataset d;
    NbSamples got;
    const char *const path = scratch_text(&s, "data.yaml", "train: images\nnames: [x]\n");
    assert_int_equal(nb_dataset_read(path, &s.arena, &d, &err), NB_OK);
    assert_int_equal(nb_dataset_scan(&d, NB_SPLIT_TRAIN, true, NULL, &s.arena, &got, &err), NB_OK);
    assert_int_equal(got.n, 1);
    assert_int_equal(got.sample[0].label[0].cls, 0);
    scratch_free(&s);
}

static void picture_faults_are_found(void **state) {
    (void)state;
    Scratch s = scratch_new();
    (void)scratch_picture(&s, "images/a.png", 9, 40, 1);
    (void)scratch_text(&s, "images/b.jpg", "this is text");
    (void)scratch_text(&s, "images/c.png", "");
    const char *const whole = scratch_picture(&s, "images/d.jpg", 40, 30, 1);
    NbError err = {0};
    NbBytes bytes;
    assert_int_equal(nb_file_read(whole, 0, &s.arena, &bytes, &err), NB_OK);
    (void)scratch_file(&s, "images/e.jpg", bytes.data, bytes.size - 2);
    NbSamples got;
    assert_int_equal(scan(&s, "train: images\nnames: [x]\n", NULL, &got, &err), NB_OK);
    assert_int_equal(got.n, 2);
    assert_int_equal(got.n_corrupt, 3);
    expect_in(got.problem[0].text, "9 x 40 pixels, expected at least");
    expect_in(got.problem[0].path, "images/a.png");
    expect_in(got.problem[1].path, "images/b.jpg");
    expect_in(got.problem[2].path, "images/c.png");
    assert_int_equal(got.problem[4].kind, NB_PROBLEM_WARNING);
    expect_in(got.problem[4].text, "FF D9");
    scratch_free(&s);
}

static void threads_change_nothing(void **state) {
    (void)state;
    Scratch s = scratch_new();
    for (int i = 0; i < 60; i++) {
        (void)scratch_picture(&s, nb_arena_printf(&s.arena, "images/%02d.png", i), 16, 16, i);
        (void)scratch_text(&s, nb_arena_printf(&s.arena, "labels/%02d.txt", i),
                           i % 7 == 0 ? "x\n"
                           : i % 2    ? "0 .5 .5 .2 .2\n0 .1 .1 .2 .2\n"
                                      : "0 .1 .1 .9 .1 .9 .9 .1 .9\n");
    }
    NbError err = {0};
    NbSamples one;
    NbSamples many;
    NbPool *pool;
    assert_int_equal(nb_pool_new(4, &pool, &err), NB_OK);
    assert_int_equal(scan(&s, "train: images\nnames: [x]\n", NULL, &one, &err), NB_OK);
    assert_int_equal(scan(&s, "train: images\nnames: [x]\n", pool, &many, &err), NB_OK);
    nb_pool_free(pool);
    assert_int_equal(one.n, many.n);
    assert_int_equal(one.n_problems, many.n_problems);
    for (int i = 0; i < one.n; i++) {
        const NbSample *const a = &one.sample[i];
        const NbSample *const b = &many.sample[i];
        assert_string_equal(a->path, b->path);
        assert_int_equal(a->n_labels, b->n_labels);
        assert_memory_equal(a->label, b->label, (size_t)a->n_labels * sizeof *a->label);
        assert_true(!a->polygon == !b->polygon);
        if (a->polygon)
            assert_memory_equal(a->polygon[0].point, b->polygon[0].point, 8 * sizeof(float));
    }
    for (int i = 0; i < one.n_problems; i++)
        assert_string_equal(one.problem[i].path, many.problem[i].path);
    scratch_free(&s);
}

static void memory_may_end_anywhere(void **state) {
    (void)state;
    Scratch s = scratch_new();
    (void)scratch_picture(&s, "images/a.png", 16, 16, 1);
    (void)scratch_text(&s, "labels/a.txt",
                       "0 .1 .1 .9 .1 .9 .9 .1 .9\n0 .1 .1 .9 .1 .9 .9 .1 .9\n");
    const char *const path = scratch_text(&s, "data.yaml", "train: images\nnames: [x]\n");
    NbStatus status = NB_ERR_NOMEM;
    size_t takes = 0;
    while (status == NB_ERR_NOMEM) {
        NbError err = {0};
        NbArena arena = {.fail_at = ++takes};
        NbDataset d;
        NbSamples got;
        status = nb_dataset_read(path, &arena, &d, &err);
        if (status == NB_OK)
            status = nb_dataset_scan(&d, NB_SPLIT_TRAIN, false, NULL, &arena, &got, &err);
        nb_arena_release(&arena);
    }
    assert_int_equal(status, NB_OK);
    assert_true(takes > 10);
    scratch_free(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(yaml_keys_are_read),
        cmocka_unit_test(yaml_faults_are_named),
        cmocka_unit_test(labels_lie_beside_pictures),
        cmocka_unit_test(pictures_are_found_wherever_they_may_lie),
        cmocka_unit_test(what_is_not_there_is_named),
        cmocka_unit_test(every_label_fault_is_found_with_its_line),
        cmocka_unit_test(single_cls_makes_every_class_zero),
        cmocka_unit_test(picture_faults_are_found),
        cmocka_unit_test(threads_change_nothing),
        cmocka_unit_test(memory_may_end_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
