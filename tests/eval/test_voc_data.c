/* SPDX-License-Identifier: Apache-2.0
 *
 * The example of Object-Detection-Metrics: its results.txt says the average precision of every
 * class over all points, at an overlap of 0.3, in percent with two places. */
#include "base/file.h"
#include "eval/voc.h"
#include "support/vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

/* The number behind "mAP: " in the results, as a share. */
static double told_map(const char *text) {
    const char *const at = strstr(text, "mAP: ");
    if (!at)
        fail_msg("the results tell no mAP");
    return strtod(at + strlen("mAP: "), NULL) / 100.0;
}

static void check_example(NbArena *arena, const char *folder, const char *results) {
    NbError err = {0};
    NbBytes told;
    NbVocSet set;
    NbVocScore s;
    if (nb_voc_read_folders(nb_path_join(arena, folder, "groundtruths"),
                            nb_path_join(arena, folder, "detections"), arena, &set,
                            &err) != NB_OK ||
        nb_file_read(results, 0, arena, &told, &err) != NB_OK ||
        nb_voc_score(set.image, set.n_images, set.nc, &(NbVocOptions){.iou = 0.3}, arena, &s,
                     &err) != NB_OK)
        fail_msg("%s", err.message);
    const double want = told_map((const char *)told.data);
    if (!(fabs(s.map - want) <= 0.51e-4))
        fail_msg("%s: mAP %.6f, expected %.4f", folder, s.map, want);
    NbVocScore eleven = {0};
    const NbVocOptions options = {.iou = 0.3, .eleven_points = true};
    assert_int_equal(nb_voc_score(set.image, set.n_images, set.nc, &options, arena, &eleven, &err),
                     NB_OK);
    print_message("%s: mAP over all points %.6f, over eleven %.6f\n", folder, s.map, eleven.map);
    assert_true(fabs(eleven.map - s.map) < 0.1 && eleven.map > 0);
}

/* Every results.txt of the data folder that has groundtruths/ and detections/ beside it. */
static void examples_have_their_known_scores(void **state) {
    (void)state;
    NbArena arena = {0};
    NbError err = {0};
    char **path = NULL;
    size_t n = 0;
    int seen = 0;
    const char *const root = nb_arena_string(&arena, nb_test_data(""));
    assert_int_equal(nb_folder_list(root, true, 1000000, &arena, &path, &n, &err), NB_OK);
    for (size_t i = 0; i < n; i++) {
        const char *const folder = nb_path_folder(&arena, path[i]);
        if (strcmp(nb_path_name(path[i]), "results.txt") != 0 ||
            !nb_path_is_folder(nb_path_join(&arena, folder, "groundtruths")))
            continue;
        check_example(&arena, folder, path[i]);
        seen++;
    }
    nb_arena_release(&arena);
    assert_true(seen > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(examples_have_their_known_scores)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
