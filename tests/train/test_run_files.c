/* SPDX-License-Identifier: Apache-2.0
 *
 * Run folders and results.csv. */
#include "support/scratch.h"
#include "train/tiny.h"

#include "train/run_files.h"

#include <math.h>

static const char *text_of(Scratch *s, const char *path) {
    return (const char *)scratch_read(s, path).data;
}

static void rows_are_added_and_cut(void **unused) {
    (void)unused;
    Scratch s = scratch_new();
    NbError err = {0};
    double seconds = -1.0;
    const char *const path = scratch_path(&s, "results.csv");
    must(nb_results_begin(path, 0, &seconds, &err), &err);
    assert_true(seconds == 0.0);
    const char *const head = text_of(&s, path);
    assert_int_equal(strncmp(head, "epoch,time,train/box_loss,", 26), 0);
    for (int epoch = 1; epoch <= 4; epoch++) {
        const NbEpochRow row = {.epoch = epoch,
                                .seconds = 1.5 * epoch,
                                .train = {0.1, 0.2, 0.3},
                                .map50 = 0.5,
                                .quant_map50_95 = epoch % 2 ? (double)NAN : 0.25};
        must(nb_results_add(path, &row, &err), &err);
    }
    const char *const all = text_of(&s, path);
    assert_non_null(strstr(all, "\n1,1.5,0.1,0.3,0,0,0,0.5,0,"));
    assert_null(strstr(all, "nan"));
    /* a row that was cut off while it was written, and rows behind the checkpoint, go */
    must(nb_file_append(path, "5,7.5,0.1", 9, &err), &err);
    must(nb_results_begin(path, 9, &seconds, &err), &err);
    assert_true(seconds == 6.0);
    assert_string_equal(text_of(&s, path), all);
    must(nb_results_begin(path, 2, &seconds, &err), &err);
    assert_true(seconds == 3.0);
    const char *const two = text_of(&s, path);
    assert_non_null(strstr(two, "\n2,3,"));
    assert_null(strstr(two, "\n3,"));
    must(nb_results_begin(path, 0, &seconds, &err), &err);
    assert_string_equal(text_of(&s, path), head);
    must(nb_file_write(path, "", 0, &err), &err); /* not ours: begun anew */
    must(nb_results_begin(path, 3, &seconds, &err), &err);
    assert_string_equal(text_of(&s, path), head);
    scratch_free(&s);
}

static void both_heads_of_yolov10_have_columns(void **unused) {
    (void)unused;
    Scratch s = scratch_new();
    NbError err = {0};
    double seconds;
    const char *const path = scratch_path(&s, "results.csv");
    must(nb_results_begin(path, 0, &seconds, &err), &err);
    NbEpochRow row = {.epoch = 1,
                      .train = {0.5, 0.0, 0.25, 1.5, 2.5, 3.5, 4.5},
                      .val = {0.0, 0.0, 0.0, 0.0, 5.5, 6.5, 7.5},
                      .two_heads = true,
                      .quant_map50_95 = (double)NAN,
                      .oscillating = (double)NAN};
    must(nb_results_add(path, &row, &err), &err);
    row.two_heads = false;
    must(nb_results_add(path, &row, &err), &err);
    const char *const all = text_of(&s, path);
    assert_non_null(strstr(all, ",train/box_oo,train/cls_oo,train/dfl_oo,val/box_oo,"));
    assert_non_null(strstr(all, "\n1,0,0.5,0.25,1.5,0,"));
    assert_non_null(strstr(all, ",2.5,3.5,4.5,5.5,6.5,7.5\n"));
    assert_non_null(strstr(all, ",,,,,,\n"));
    scratch_free(&s);
}

static void folders_are_numbered(void **unused) {
    (void)unused;
    Scratch s = scratch_new();
    NbError err = {0};
    char *path = NULL;
    static const char *const want[] = {"train", "train2", "train3"};
    for (size_t i = 0; i < 3; i++) {
        must(nb_run_folder_make(s.folder, "train", false, &s.arena, &path, &err), &err);
        assert_string_equal(path, scratch_path(&s, want[i]));
    }
    must(nb_run_folder_make(s.folder, "train", true, &s.arena, &path, &err), &err);
    assert_string_equal(path, scratch_path(&s, "train"));
    must(nb_file_write(scratch_path(&s, "file"), "", 0, &err), &err);
    assert_int_equal(
        nb_run_folder_make(scratch_path(&s, "file"), "train", false, &s.arena, &path, &err),
        NB_ERR_IO);
    scratch_free(&s);
}

static void the_newest_run_is_found(void **unused) {
    (void)unused;
    Scratch s = scratch_new();
    NbError err = {0};
    char *path = NULL;
    assert_int_equal(
        nb_run_folder_newest(scratch_path(&s, "none"), "w/last", &s.arena, &path, &err),
        NB_ERR_FORMAT);
    static const char *const folders[] = {"b", "a", "c"};
    for (size_t i = 0; i < 3; i++) {
        char *const folder = nb_arena_printf(&s.arena, "%s/%s/w", s.folder, folders[i]);
        must(nb_folder_make(folder, &err), &err);
        if (i < 2)
            must(nb_file_write(nb_path_join(&s.arena, folder, "last"), "", 0, &err), &err);
        (void)usleep(20000);
    }
    must(nb_run_folder_newest(s.folder, "w/last", &s.arena, &path, &err), &err);
    assert_string_equal(path, scratch_path(&s, "a"));
    scratch_free(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(rows_are_added_and_cut),
                                       cmocka_unit_test(both_heads_of_yolov10_have_columns),
                                       cmocka_unit_test(folders_are_numbered),
                                       cmocka_unit_test(the_newest_run_is_found)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
