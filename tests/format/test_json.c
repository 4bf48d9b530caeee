/* SPDX-License-Identifier: Apache-2.0 */
#include "format/json.h"
#include "format/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static NbBytes bytes_of(const char *text) {
    return (NbBytes){(const unsigned char *)text, strlen(text)};
}

static void places_and_reasons_are_named(void **state) {
    (void)state;
    static const struct {
        const char *json, *want;
    } rows[] = {
        {"", "t.json:1:0: '[' or '{' expected near end of file"},
        {"{\"a\": 1,\n \"a\": 2}", "t.json:2:4: duplicate object key near '\"a\"'"},
        {"[NaN]", "t.json:1:4: invalid token near 'NaN'"},
        {"[Infinity]", "t.json:1:9: invalid token near 'Infinity'"},
        {"[1e999]", "t.json:1:6: real number overflow near '1e999'"},
        {"[1, 2", "t.json:1:5: ']' expected near end of file"},
        {"{} x", "t.json:1:4: end of file expected near 'x'"},
        {"[\"\\u0000\"]",
         "t.json:1:9: \\u0000 is not allowed without JSON_ALLOW_NUL near '\"\\u0000\"'"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        NbError err = {0};
        json_t *value = NULL;
        assert_int_equal(nb_json_read("t.json", bytes_of(rows[i].json), 0, &value, &err),
                         NB_ERR_FORMAT);
        assert_string_equal(err.message, rows[i].want);
        assert_null(value);
    }
}

static void limits_hold(void **state) {
    (void)state;
    NbError err = {0};
    json_t *value = NULL;
    assert_int_equal(nb_json_read("t", bytes_of("[1, 2]"), 5, &value, &err), NB_ERR_FORMAT);
    assert_string_equal(err.message, "t: 6 bytes of JSON, expected at most 5");
    assert_int_equal(nb_json_read("t", bytes_of("[1, 2]"), 6, &value, &err), NB_OK);
    json_decref(value);
    static char deep[100001];
    memset(deep, '[', sizeof deep - 1);
    assert_int_equal(nb_json_read("t", bytes_of(deep), 0, &value, &err), NB_ERR_FORMAT);
    assert_non_null(strstr(err.message, "maximum parsing depth reached"));
}

static void files_are_indented_ordered_and_exact(void **state) {
    (void)state;
    NbError err = {0};
    NbArena arena = {0};
    NbBytes got = {0};
    json_t *back = NULL;
    json_t *const value =
        json_pack("{s:i, s:[f, f, b], s:{}}", "z", 1, "a", 0.1, 1e300, 1, "empty");
    const char *const path = nb_scratch("a.json");
    assert_int_equal(nb_json_write(path, value, &err), NB_OK);
    assert_int_equal(nb_file_read(path, 0, &arena, &got, &err), NB_OK);
    assert_string_equal((const char *)got.data,
                        "{\n  \"z\": 1,\n  \"a\": [\n    0.10000000000000001,\n    "
                        "1.0000000000000001e300,\n    true\n  ],\n  \"empty\": {}\n}\n");
    assert_int_equal(nb_json_read_file(path, &back, &err), NB_OK);
    assert_true(json_equal(value, back));
    (void)unlink(path);
    json_decref(back);
    json_decref(value);
    nb_arena_release(&arena);
}

static void files_name_path_and_reason(void **state) {
    (void)state;
    NbError err = {0};
    json_t *value = NULL;
    assert_int_equal(nb_json_read_file("/no/such.json", &value, &err), NB_ERR_FORMAT);
    assert_null(value);
    json_t *const text = json_string("x");
    assert_int_equal(nb_json_write("/tmp/x.json", text, &err), NB_ERR_ARGUMENT);
    json_decref(text);
    json_t *const list = json_array();
    assert_int_equal(nb_json_write("/no/such/x.json", list, &err), NB_ERR_IO);
    json_decref(list);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_and_reasons_are_named),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(files_are_indented_ordered_and_exact),
        cmocka_unit_test(files_name_path_and_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
