/* SPDX-License-Identifier: Apache-2.0
 *
 * PASCAL VOC's average precision: worked by hand, and the example whose numbers are known. */
#include "base/file.h"
#include "eval/voc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <math.h>

#define COUNT(rows) (sizeof(rows) / sizeof *(rows))

static void near(double got, double want, double tolerance) {
    if (!(fabs(got - want) <= tolerance))
        fail_msg("%.9g, expected %.9g", got, want);
}

static NbDetection box(int cls, float x, float y, float side, float conf) {
    return (NbDetection){.xyxy = {x, y, x + side, y + side}, .conf = conf, .cls = cls};
}

static NbVocScore score(NbArena *arena, const NbVocImage *image, size_t n, int nc,
                        NbVocOptions options) {
    NbVocScore out = {0};
    NbError err = {0};
    if (nb_voc_score(image, n, nc, &options, arena, &out, &err) != NB_OK)
        fail_msg("%s", err.message);
    return out;
}

/* right, wrong, right of two labels: precision 1 up to recall 1/2, then 2/3 */
static void both_integrals_are_right(void **state) {
    (void)state;
    const NbDetection label[] = {box(0, 0, 0, 9, 1), box(0, 100, 0, 9, 1)};
    const NbDetection found[] = {box(0, 100, 0, 9, 0.3F), box(0, 50, 50, 9, 0.5F),
                                 box(0, 0, 0, 9, 0.9F)};
    const NbVocImage image = {label, NULL, 2, found, 3};
    NbArena arena = {0};
    const NbVocScore all = score(&arena, &image, 1, 2, (NbVocOptions){0});
    near(all.map, 0.5 + 0.5 * 2 / 3, 1e-12);
    near(all.per_class[1].ap, -1, 0);
    assert_int_equal(all.per_class[0].found, 2);
    assert_int_equal(all.per_class[0].wrong, 1);
    const NbVocScore eleven = score(&arena, &image, 1, 1, (NbVocOptions){.eleven_points = true});
    near(eleven.map, (6 + 5 * 2.0 / 3) / 11, 1e-12);
    nb_arena_release(&arena);
}

/* A label is found once; a difficult one is neither to be found nor wrong. */
static void taken_and_difficult_labels(void **state) {
    (void)state;
    const NbDetection label[] = {box(0, 0, 0, 9, 1), box(0, 100, 0, 9, 1)};
    const NbDetection found[] = {box(0, 100, 0, 9, 0.95F), box(0, 0, 0, 9, 0.9F),
                                 box(0, 0, 0, 9, 0.8F)};
    const bool difficult[] = {false, true};
    NbArena arena = {0};
    const NbVocImage plain = {label, NULL, 2, found, 3};
    const NbVocImage image = {label, difficult, 2, found, 3};
    near(score(&arena, &plain, 1, 1, (NbVocOptions){0}).map, 1, 1e-12);
    const NbVocScore s = score(&arena, &image, 1, 1, (NbVocOptions){0});
    near(s.map, 1, 1e-12);
    assert_int_equal(s.per_class[0].labels, 1);
    assert_int_equal(s.per_class[0].found, 1);
    assert_int_equal(s.per_class[0].wrong, 1);
    nb_arena_release(&arena);
}

/* Pixels 0..9 and 0..4 overlap by 5 of 10 rows with the last pixel, by 4 of 9 without. */
static void the_last_pixel_counts_unless_told(void **state) {
    (void)state;
    const NbDetection label[] = {{.xyxy = {0, 0, 9, 9}}};
    const NbDetection found[] = {{.xyxy = {0, 0, 9, 4}, .conf = 1}};
    const NbVocImage image = {label, NULL, 1, found, 1};
    NbArena arena = {0};
    near(score(&arena, &image, 1, 1, (NbVocOptions){.iou = 0.5}).map, 1, 0);
    near(score(&arena, &image, 1, 1, (NbVocOptions){.iou = 0.5, .half_open = true}).map, 0, 0);
    nb_arena_release(&arena);
}

static void write_file(const char *folder, const char *name, const char *text) {
    char path[128];
    NbError err = {0};
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    if (nb_file_write(path, text, strlen(text), &err) != NB_OK)
        fail_msg("%s", err.message);
}

static void remove_file(const char *folder, const char *name) {
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    (void)unlink(path);
}

static void text_files_are_read_and_bad_ones_named(void **state) {
    (void)state;
    static const struct {
        const char *labels, *found, *want; /* want NULL: good */
    } rows[] = {
        {"dog 1 2 3 4\n\ncat 5 6 7 8 difficult\n", "cat 0.5 1 2 3 4\r\n", NULL},
        {"dog 1 2 3\n", "", "1.txt:1: 4 words, expected class left top width height"},
        {"dog 1 2 3 4\ndog 1 2 x 4", "", "1.txt:2: 'x', expected a number"},
        {"dog 1 2 3 1e60", "", "1.txt:1: '1e60', expected a number"},
        {"dog 1 2 3 4", "dog 1 2 3 4",
         "1.txt:1: 5 words, expected class confidence left top width height"},
    };
    char labels[] = "/tmp/nibble-test-XXXXXX";
    char found[] = "/tmp/nibble-test-XXXXXX";
    assert_true(mkdtemp(labels) && mkdtemp(found));
    for (size_t i = 0; i < COUNT(rows); i++) {
        write_file(labels, "1.txt", rows[i].labels);
        write_file(found, "1.txt", rows[i].found);
        NbArena arena = {0};
        NbError err = {0};
        NbVocSet set;
        const NbStatus status = nb_voc_read_folders(labels, found, &arena, &set, &err);
        assert_int_equal(status, rows[i].want ? NB_ERR_FORMAT : NB_OK);
        if (rows[i].want && !strstr(err.message, rows[i].want))
            fail_msg("'%s', expected '%s'", err.message, rows[i].want);
        if (!rows[i].want) {
            assert_int_equal(set.n_images, 1);
            assert_int_equal(set.nc, 2);
            assert_string_equal(set.class_name[1], "cat");
            assert_int_equal(set.image[0].n_labels, 2);
            assert_true(set.image[0].difficult[1] && !set.image[0].difficult[0]);
            assert_int_equal(set.image[0].n_detections, 1);
            assert_int_equal(set.image[0].detection[0].cls, 1);
            near((double)set.image[0].detection[0].xyxy[3], 6, 0);
        }
        nb_arena_release(&arena);
    }
    write_file(found, "2.txt", "");
    NbArena arena = {0};
    NbError err = {0};
    NbVocSet set;
    write_file(found, "1.txt", "");
    assert_int_equal(nb_voc_read_folders(labels, found, &arena, &set, &err), NB_ERR_FORMAT);
    assert_non_null(strstr(err.message, "2.txt: no file of labels of that name"));
    nb_arena_release(&arena);
    remove_file(labels, "1.txt");
    remove_file(found, "1.txt");
    remove_file(found, "2.txt");
    assert_true(rmdir(labels) == 0 && rmdir(found) == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_integrals_are_right),
        cmocka_unit_test(taken_and_difficult_labels),
        cmocka_unit_test(the_last_pixel_counts_unless_told),
        cmocka_unit_test(text_files_are_read_and_bad_ones_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
