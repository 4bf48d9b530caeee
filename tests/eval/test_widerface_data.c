/* SPDX-License-Identifier: Apache-2.0
 *
 * WIDER FACE's validation set: every packed folder of detections that expected.json names scores as
 * it says, through the library and through the verb. */
#include "base/file.h"
#include "eval/widerface.h"
#include "format/mat.h"
#include "nibble/job.h"
#include "support/vectors.h"

#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include <math.h>

extern char **environ;

static void run(const char *program, ...) {
    char *args[8] = {(char *)(uintptr_t)program};
    va_list list;
    va_start(list, program);
    for (int i = 1; i < 7; i++) {
        args[i] = va_arg(list, char *);
        if (!args[i])
            break;
    }
    va_end(list);
    pid_t child;
    int status = 1;
    assert_int_equal(posix_spawnp(&child, program, NULL, NULL, args, environ), 0);
    assert_true(waitpid(child, &status, 0) == child && status == 0);
}

/* Unpacks NAME.tar.gz, which holds one folder; returns the path of that folder. */
static char *unpack(NbArena *arena, const char *archive, const char *into) {
    run("tar", "xzf", archive, "-C", into, NULL);
    NbError err = {0};
    char **path = NULL;
    size_t n = 0;
    assert_int_equal(nb_folder_list(into, true, 100000, arena, &path, &n, &err), NB_OK);
    assert_true(n > 0);
    const char *const below = path[0] + strlen(into) + 1;
    return nb_arena_printf(arena, "%s/%.*s", into, (int)strcspn(below, "/"), below);
}

static void near(const char *what, double got, double want) {
    if (!(fabs(got - want) <= 1e-6))
        fail_msg("%s: %.9f, expected %.9f", what, got, want);
}

static void check_library(const char *truth, const char *detections, const json_t *told,
                          const json_t *faces) {
    NbArena arena = {0};
    NbError err = {0};
    NbFaceSet set;
    NbFaceScore score;
    if (nb_widerface_read_truth(truth, &arena, &set, &err) != NB_OK ||
        nb_widerface_read_detections(detections, &arena, &set, &err) != NB_OK ||
        nb_widerface_score(&set, &arena, &score, &err) != NB_OK)
        fail_msg("%s", err.message);
    for (int i = 0; i < NB_FACE_LEVELS; i++) {
        const char *const level = nb_face_level_names[i];
        near(level, score.ap[i], json_number_value(json_object_get(told, level)));
        assert_int_equal(score.faces[i], json_integer_value(json_object_get(faces, level)));
    }
    nb_arena_release(&arena);
}

static void check_verb(const char *truth, const char *detections, const json_t *told) {
    NbJob *job = NULL;
    NbError err = {0};
    if (nb_job_new("eval", &job, &err) != NB_OK ||
        nb_job_set(job, "protocol", "widerface", &err) != NB_OK ||
        nb_job_set(job, "annotations", truth, &err) != NB_OK ||
        nb_job_set(job, "detections", detections, &err) != NB_OK ||
        nb_job_run(job, NULL, &err) != NB_OK)
        fail_msg("%s", err.message);
    json_t *const json = json_loads(nb_job_json(job), 0, NULL);
    for (int i = 0; i < NB_FACE_LEVELS; i++) {
        const char *const level = nb_face_level_names[i];
        near(level, json_number_value(json_object_get(json_object_get(json, "widerface"), level)),
             json_number_value(json_object_get(told, level)));
    }
    json_decref(json);
    nb_job_free(job);
}

static void detections_score_as_expected(void **state) {
    (void)state;
    NbArena arena = {0};
    const char *const root = nb_arena_string(&arena, nb_test_data("widerface_eval"));
    if (!nb_mat_available()) {
        nb_arena_release(&arena);
        print_message("not in this build: libmatio\n");
        skip();
    }
    json_t *const expected = json_load_file(nb_path_join(&arena, root, "expected.json"), 0, NULL);
    assert_non_null(expected);
    const char *const truth = nb_path_join(&arena, root, "ground_truth");
    int seen = 0;
    const char *key;
    json_t *told;
    json_object_foreach(expected, key, told) {
        const char *const archive = nb_arena_printf(&arena, "%s/%s.tar.gz", root, key);
        if (!nb_path_exists(archive))
            continue; /* not a folder of detections */
        char folder[] = "/tmp/nibble-widerface-XXXXXX";
        assert_non_null(mkdtemp(folder));
        const char *const detections = unpack(&arena, archive, folder);
        check_library(truth, detections, told, json_object_get(expected, "faces"));
        check_verb(truth, detections, told);
        run("rm", "-r", folder, NULL);
        seen++;
    }
    assert_true(seen > 0);
    json_decref(expected);
    nb_arena_release(&arena);
}

/* A ground truth that is cut off somewhere is refused with its name. */
static void cut_files_are_refused(void **state) {
    (void)state;
    static const double rows[] = {0.0, 0.0001, 0.001, 0.1, 0.4, 0.6, 0.8};
    NbArena arena = {0};
    NbError err = {0};
    NbBytes bytes;
    const char *const name = "gt_list";
    const char *const whole =
        nb_arena_string(&arena, nb_test_data("widerface_eval/ground_truth/wider_easy_val.mat"));
    if (!nb_mat_available()) {
        nb_arena_release(&arena);
        skip();
    }
    char folder[] = "/tmp/nibble-widerface-XXXXXX";
    assert_non_null(mkdtemp(folder));
    const char *const path = nb_path_join(&arena, folder, "cut.mat");
    assert_int_equal(nb_file_read(whole, 0, &arena, &bytes, &err), NB_OK);
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        NbMat list;
        const size_t size = (size_t)((double)bytes.size * rows[k]);
        assert_int_equal(nb_file_write(path, bytes.data, size, &err), NB_OK);
        assert_int_equal(nb_mat_read(path, &name, 1, &arena, &list, &err), NB_ERR_FORMAT);
        assert_non_null(strstr(err.message, "cut.mat"));
    }
    NbMat none;
    const char *const other = "no_list";
    assert_int_equal(nb_mat_read(whole, &other, 1, &arena, &none, &err), NB_ERR_FORMAT);
    assert_non_null(strstr(err.message, "no_list"));
    assert_int_equal(nb_mat_read(folder, &name, 1, &arena, &none, &err), NB_ERR_FORMAT);
    run("rm", "-r", folder, NULL);
    nb_arena_release(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(detections_score_as_expected),
                                       cmocka_unit_test(cut_files_are_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
