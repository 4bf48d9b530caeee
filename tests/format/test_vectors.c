/* SPDX-License-Identifier: Apache-2.0
 *
 * Every array that a manifest names can be read and has the type and shape stated there. */
#include "base/file.h"
#include "support/vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    const char *name;
    NbDtype dtype;
} dtypes[] = {
    {"float32", NB_F32}, {"float64", NB_F64}, {"float16", NB_F16}, {"int8", NB_I8},
    {"uint8", NB_U8},    {"int16", NB_I16},   {"int32", NB_I32},   {"int64", NB_I64},
    {"bool", NB_BOOL},   {"uint16", NB_U16},
};

static void check_array(const NbCase *c, const char *name, const json_t *entry) {
    const NbTensor t = nb_case_array(c, name);
    const char *const want = json_string_value(json_object_get(entry, "dtype"));
    const json_t *const shape = json_object_get(entry, "shape");
    bool same = false;
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        same = same || (strcmp(dtypes[i].name, want) == 0 && dtypes[i].dtype == t.dtype);
    if (!same)
        fail_msg("%s/%s: type %s, expected %s", c->id, name, nb_dtype_name(t.dtype), want);
    same = json_array_size(shape) == (size_t)t.shape.rank;
    for (int i = 0; same && i < t.shape.rank; i++)
        same = t.shape.dim[i] == json_integer_value(json_array_get(shape, (size_t)i));
    char text[128];
    if (!same)
        fail_msg("%s/%s: shape %s differs", c->id, name,
                 nb_shape_text(&t.shape, text, sizeof text));
    size_t n = 0;
    const float *const values = nb_case_f32(c, name, &n);
    if (!nb_case_compare_rule(c, name, "rel 1e-7", values, n))
        fail_msg("%s/%s differs from itself", c->id, name);
}

static void check_topic(const char *topic) {
    NbCases *const cases = nb_cases_open(topic);
    int arrays = 0;
    for (int i = 0; i < cases->count; i++) {
        const NbCase c = nb_cases_get(cases, i);
        const char *name = NULL;
        json_t *entry = NULL;
        json_object_foreach(json_object_get(c.json, "arrays"), name, entry) {
            check_array(&c, name, entry);
            arrays++;
        }
    }
    print_message("%s: %d cases, %d arrays\n", topic, cases->count, arrays);
    nb_cases_close(cases);
}

static void every_array_has_its_type_and_shape(void **state) {
    (void)state;
    NbArena arena = {0};
    NbError err = {0};
    char **path = NULL;
    size_t n = 0;
    const char *const folder = nb_arena_string(&arena, nb_test_vectors(""));
    assert_int_equal(nb_folder_list(folder, true, 100000, &arena, &path, &n, &err), NB_OK);
    int topics = 0;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(nb_path_name(path[i]), "manifest.json") != 0)
            continue;
        const char *const topic = nb_path_folder(&arena, path[i]) + strlen(folder) + 1;
        check_topic(topic);
        topics++;
    }
    assert_true(topics > 0);
    nb_arena_release(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_array_has_its_type_and_shape)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
