/* SPDX-License-Identifier: Apache-2.0
 *
 * Every .onnx file below the data folder is intact protobuf: all of them come in. */
#include "format/onnx.h"
#include "support/vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void all_models_are_read(void **state) {
    (void)state;
    NbArena names = {0};
    NbError err = {0};
    char **path = NULL;
    size_t n = 0;
    size_t models = 0;
    size_t bad = 0;
    assert_int_equal(nb_folder_list(nb_test_data("."), true, 100000, &names, &path, &n, &err),
                     NB_OK);
    for (size_t i = 0; i < n; i++) {
        NbArena arena = {0};
        NbOnnxModel m;
        if (strcmp(nb_path_suffix(path[i]), ".onnx") != 0)
            continue;
        models++;
        if (nb_onnx_read_file(path[i], &arena, &m, &err) != NB_OK || !m.graph.n_nodes) {
            print_message("%s\n", err.message);
            bad++;
        }
        nb_arena_release(&arena);
    }
    print_message("%zu models, %zu bad\n", models, bad);
    assert_int_equal(bad, 0);
    assert_true(models > 0);
    nb_arena_release(&names);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_models_are_read)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
