/* SPDX-License-Identifier: Apache-2.0
 *
 * COCO scores of files whose scores pycocotools has told: every expected.json of the data folder
 * that holds the twelve numbers of result lists lying beside it. */
#include "base/file.h"
#include "eval/score.h"
#include "format/coco.h"
#include "format/json.h"
#include "support/vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

static const char *join(NbArena *arena, const char *a, const char *b) {
    const char *const path = nb_path_join(arena, a, b);
    assert_non_null(path);
    return path;
}

static bool starts_with(const char *text, const char *start) {
    return strncmp(text, start, strlen(start)) == 0;
}

/* The first file of the folder whose name starts so, or NULL. */
static const char *find_file(NbArena *arena, const char *folder, const char *start) {
    char **path = NULL;
    size_t n = 0;
    NbError err = {0};
    if (!nb_path_is_folder(folder))
        return NULL;
    assert_int_equal(nb_folder_list(folder, false, 10000, arena, &path, &n, &err), NB_OK);
    for (size_t i = 0; i < n; i++)
        if (starts_with(nb_path_name(path[i]), start) &&
            strcmp(nb_path_suffix(path[i]), ".json") == 0 && !strstr(path[i], "_results"))
            return path[i];
    return NULL;
}

/* <name>.json or <name>_results.json with instances*.json here or one folder up, or a folder <name>
 * with gt*.json and dt*.json. */
static bool find_pair(NbArena *arena, const char *folder, const char *name, const char **truth,
                      const char **detections) {
    const char *const below = join(arena, folder, name);
    *truth = find_file(arena, below, "gt");
    *detections = find_file(arena, below, "dt");
    if (*truth && *detections)
        return true;
    *truth = find_file(arena, folder, "instances");
    if (!*truth)
        *truth = find_file(arena, nb_path_folder(arena, folder), "instances");
    const char *const one = nb_arena_printf(arena, "%s.json", below);
    const char *const two = nb_arena_printf(arena, "%s_results.json", below);
    *detections = nb_path_exists(one) ? one : nb_path_exists(two) ? two : NULL;
    return *truth && *detections;
}

static void score_pair(NbArena *arena, const char *truth, const char *detections,
                       NbCocoScore *score) {
    NbError err = {0};
    NbCocoSet set;
    NbCocoDetection *d = NULL;
    size_t n = 0;
    if (nb_coco_read_file(truth, arena, &set, &err) != NB_OK ||
        nb_coco_results_read_file(detections, &set, arena, &d, &n, &err) != NB_OK ||
        nb_coco_score(set.image_id, set.n_images, set.category_id, set.n_categories, set.truth,
                      set.n_truth, d, n, arena, score, &err) != NB_OK)
        fail_msg("%s", err.message);
}

static int compare(const char *name, const json_t *want, const NbCocoScore *score) {
    int bad = 0;
    for (int i = 0; i < 12; i++) {
        const json_t *const value = json_object_get(want, nb_coco_score_names[i]);
        if (!json_is_number(value))
            fail_msg("%s: no %s", name, nb_coco_score_names[i]);
        if (!(fabs(score->value[i] - json_number_value(value)) <= 1e-9)) {
            print_error("%s: %s is %.12g, expected %.12g\n", name, nb_coco_score_names[i],
                        score->value[i], json_number_value(value));
            bad++;
        }
    }
    return bad;
}

static int check_folder(NbArena *arena, const char *path, int *seen) {
    NbError err = {0};
    json_t *expected = NULL;
    if (nb_json_read_file(path, &expected, &err) != NB_OK)
        fail_msg("%s", err.message);
    const char *const folder = nb_path_folder(arena, path);
    const char *name = NULL;
    json_t *want = NULL;
    int bad = 0;
    json_object_foreach(expected, name, want) {
        const char *truth = NULL;
        const char *detections = NULL;
        if (!json_object_get(want, "ARl"))
            continue; /* the numbers of another protocol */
        if (!find_pair(arena, folder, name, &truth, &detections))
            fail_msg("%s: no files for '%s'", path, name);
        NbCocoScore score;
        score_pair(arena, truth, detections, &score);
        bad += compare(name, want, &score);
        ++*seen;
    }
    json_decref(expected);
    return bad;
}

static void scores_equal_those_of_pycocotools(void **state) {
    (void)state;
    NbArena arena = {0};
    NbError err = {0};
    char **path = NULL;
    size_t n = 0;
    const char *const root = nb_arena_string(&arena, nb_test_data(""));
    assert_int_equal(nb_folder_list(root, true, 1000000, &arena, &path, &n, &err), NB_OK);
    int bad = 0;
    int seen = 0;
    for (size_t i = 0; i < n; i++)
        if (strcmp(nb_path_name(path[i]), "expected.json") == 0)
            bad += check_folder(&arena, path[i], &seen);
    print_message("%d result lists\n", seen);
    nb_arena_release(&arena);
    assert_true(seen > 0);
    assert_int_equal(bad, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(scores_equal_those_of_pycocotools)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
