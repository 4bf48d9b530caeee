/* SPDX-License-Identifier: Apache-2.0
 *
 * WIDER FACE's score by hand: what counts, what is passed over, how scores are stretched; and the
 * text files of detections. */
#include "base/file.h"
#include "eval/widerface.h"
#include "format/mat.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <math.h>

#define COUNT(rows) (sizeof(rows) / sizeof *(rows))

static NbFaceScore score_of(NbFaceImage *image, size_t n) {
    NbArena arena = {0};
    NbError err = {0};
    NbFaceScore out;
    const NbFaceSet set = {.image = image, .n_images = n};
    if (nb_widerface_score(&set, &arena, &out, &err) != NB_OK)
        fail_msg("%s", err.message);
    nb_arena_release(&arena);
    return out;
}

static void near(double got, double want) {
    if (!(fabs(got - want) < 1e-12))
        fail_msg("%.15g, expected %.15g", got, want);
}

/* Two faces far apart, of which easy counts the first, medium both and hard none. */
static void a_picture_scores_as_by_hand(void **state) {
    (void)state;
    double face[2][4] = {{0, 0, 9, 9}, {100, 100, 9, 9}};
    bool easy[2] = {true, false};
    bool medium[2] = {true, true};
    bool hard[2] = {false, false};
    /* a box on face 0 or 1, or on none, best first */
    static const struct {
        int at[4];
        size_t n;
        double easy, medium;
    } rows[] = {
        {{0, 1}, 2, 1.0, 1.0},
        {{-1, 0}, 2, 0.5, 0.25},            /* a wrong one before */
        {{0, -1}, 2, 1.0, 0.5},             /* and behind */
        {{1, 0}, 2, 1.0, 1.0},              /* face 1 does not count in easy */
        {{0, 0, 1}, 3, 1.0, 0.5 + 1.0 / 3}, /* the second on face 0 is wrong */
        {{1, 1, 0}, 3, 1.0, 0.5 + 1.0 / 3}, /* and is passed over in easy */
        {{-1}, 1, 0.0, 0.0},
    };
    for (size_t k = 0; k < COUNT(rows); k++) {
        NbFaceBox found[4];
        for (size_t i = 0; i < rows[k].n; i++) {
            const int at = rows[k].at[i];
            /* given in rising order of score: sorted inside */
            NbFaceBox *const f = &found[rows[k].n - 1 - i];
            *f = (NbFaceBox){{at < 0 ? 500 : face[at][0], at < 0 ? 500 : face[at][1], 9, 9},
                             -3.0 - (double)i};
        }
        NbFaceImage image = {.event = "e",
                             .name = "n",
                             .face = face,
                             .n_faces = 2,
                             .counts = {easy, medium, hard},
                             .found = found,
                             .n_found = rows[k].n};
        const NbFaceScore s = score_of(&image, 1);
        near(s.ap[NB_FACE_EASY], rows[k].easy);
        near(s.ap[NB_FACE_MEDIUM], rows[k].medium);
        near(s.ap[NB_FACE_HARD], -1.0);
        assert_true(s.faces[0] == 1 && s.faces[1] == 2 && s.faces[2] == 0);
    }
}

/* Half of overlap, the last pixel counting, is enough: 10 x 10 against 10 x 5. */
static void half_of_overlap_is_enough(void **state) {
    (void)state;
    static const struct {
        double height, want;
    } rows[] = {{4, 1.0}, {3.99, 0.0}, {9, 1.0}, {19, 1.0}, {19.01, 0.0}};
    double face[1][4] = {{0, 0, 9, 9}};
    bool counts[1] = {true};
    for (size_t k = 0; k < COUNT(rows); k++) {
        const NbFaceBox found = {{0, 0, 9, rows[k].height}, 0.5};
        NbFaceImage image = {.event = "e",
                             .name = "n",
                             .face = face,
                             .n_faces = 1,
                             .counts = {counts, counts, counts},
                             .found = &found,
                             .n_found = 1};
        near(score_of(&image, 1).ap[NB_FACE_HARD], rows[k].want);
    }
}

/* Detections in pictures without faces are passed over, and missed pictures still count. */
static void pictures_add_up(void **state) {
    (void)state;
    double face[1][4] = {{0, 0, 9, 9}};
    bool counts[1] = {true};
    const NbFaceBox good = {{0, 0, 9, 9}, 0.5};
    const NbFaceBox other = {{0, 0, 9, 9}, 0.9};
    NbFaceImage image[3] = {{.event = "e", .name = "a", .face = face, .n_faces = 1},
                            {.event = "e", .name = "b", .found = &other, .n_found = 1},
                            {.event = "e", .name = "c", .face = face, .n_faces = 1}};
    for (int i = 0; i < 3; i++)
        for (int level = 0; level < NB_FACE_LEVELS; level++)
            image[i].counts[level] = counts;
    image[0].found = &good;
    image[0].n_found = 1;
    near(score_of(image, 3).ap[NB_FACE_EASY], 0.5);
    image[1].found = NULL;
    image[1].n_found = 0;
    image[0].n_found = 0;
    near(score_of(image, 3).ap[NB_FACE_EASY], 0.0); /* no detections at all */
}

static void numbers_must_be_finite(void **state) {
    (void)state;
    NbArena arena = {0};
    NbError err = {0};
    NbFaceScore out;
    double face[1][4] = {{0, 0, 9, 9}};
    bool counts[1] = {true};
    NbFaceBox found = {{0, 0, 9, 9}, (double)NAN};
    NbFaceImage image = {.event = "event",
                         .name = "name",
                         .face = face,
                         .n_faces = 1,
                         .counts = {counts, counts, counts},
                         .found = &found,
                         .n_found = 1};
    const NbFaceSet set = {.image = &image, .n_images = 1};
    assert_int_equal(nb_widerface_score(&set, &arena, &out, &err), NB_ERR_ARGUMENT);
    assert_non_null(strstr(err.message, "event/name"));
    found.score = 0.5;
    face[0][2] = (double)INFINITY;
    assert_int_equal(nb_widerface_score(&set, &arena, &out, &err), NB_ERR_ARGUMENT);
    nb_arena_release(&arena);
}

/* One file of detections of a set of one picture. */
static NbStatus read_text(const char *text, NbArena *arena, NbFaceImage *image, NbError *err) {
    char folder[] = "/tmp/nibble-widerface-XXXXXX";
    assert_non_null(mkdtemp(folder));
    const char *const event = nb_path_join(arena, folder, "0--Parade");
    const char *const path = nb_path_join(arena, event, "a_b_1.txt");
    *image = (NbFaceImage){.event = "0--Parade", .name = "a_b_1"};
    NbFaceSet set = {.image = image, .n_images = 1};
    assert_int_equal(nb_folder_make(event, err), NB_OK);
    if (text)
        assert_int_equal(nb_file_write(path, text, strlen(text), err), NB_OK);
    const NbStatus status = nb_widerface_read_detections(folder, arena, &set, err);
    if (text)
        assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(event), 0);
    assert_int_equal(rmdir(folder), 0);
    return status;
}

static void files_of_detections_are_read(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t n;
        double last; /* score of the last box */
    } rows[] = {{"", 0, 0},
                {"a_b_1\n0\n", 0, 0},
                {"a_b_1\n0", 0, 0},
                {"a_b_1.jpg\n1\n1 2 3.5 4 0.25", 1, 0.25},
                {"x\r\n2\r\n1 2 3 4 0.5 \r\n\r\n  -1 2e0 3 4\t1e-3\r\n", 2, 1e-3}};
    for (size_t k = 0; k < COUNT(rows); k++) {
        NbArena arena = {0};
        NbError err = {0};
        NbFaceImage image;
        if (read_text(rows[k].text, &arena, &image, &err) != NB_OK)
            fail_msg("row %zu: %s", k, err.message);
        assert_int_equal(image.n_found, rows[k].n);
        if (rows[k].n)
            near(image.found[rows[k].n - 1].score, rows[k].last);
        nb_arena_release(&arena);
    }
}

static void bad_files_are_named(void **state) {
    (void)state;
    static const struct {
        const char *text, *says;
    } rows[] = {{NULL, "no file for any of 1 pictures"},
                {"a_b_1\n", "a_b_1.txt: line 2: '', expected the number of boxes"},
                {"a_b_1\nmany\n", "line 2: 'many'"},
                {"a_b_1\n-1\n", "line 2: '-1'"},
                {"a_b_1\n2\n1 2 3 4 0.5\n", "announces 2 boxes, 1 follow"},
                {"a_b_1\n1\n1 2 3 4\n", "line 3: '', expected left top width height score"},
                {"a_b_1\n1\n1 2 x 4 5\n", "line 3: 'x'"},
                {"a_b_1\n1\n1 2 3 4 5 6\n", "line 3: '6' behind the score"},
                {"a_b_1\n1\n1 2 3 4 nan\n", "line 3: 'nan'"}};
    for (size_t k = 0; k < COUNT(rows); k++) {
        NbArena arena = {0};
        NbError err = {0};
        NbFaceImage image;
        assert_int_not_equal(read_text(rows[k].text, &arena, &image, &err), NB_OK);
        if (!strstr(err.message, rows[k].says))
            fail_msg("row %zu: '%s' does not say '%s'", k, err.message, rows[k].says);
        nb_arena_release(&arena);
    }
}

static void missing_ground_truth_is_named(void **state) {
    (void)state;
    NbArena arena = {0};
    NbError err = {0};
    NbFaceSet set;
    const NbStatus status = nb_widerface_read_truth("/nowhere", &arena, &set, &err);
    assert_int_equal(status, nb_mat_available() ? NB_ERR_IO : NB_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "/nowhere"));
    nb_arena_release(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_picture_scores_as_by_hand),
        cmocka_unit_test(half_of_overlap_is_enough),
        cmocka_unit_test(pictures_add_up),
        cmocka_unit_test(numbers_must_be_finite),
        cmocka_unit_test(files_of_detections_are_read),
        cmocka_unit_test(bad_files_are_named),
        cmocka_unit_test(missing_ground_truth_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
