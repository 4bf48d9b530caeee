/* SPDX-License-Identifier: Apache-2.0 */
#include "base/status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static NB_FALLIBLE inner(int n, NbError *err) {
    if (n < 0)
        return nb_fail(NB_ERR_FORMAT, err, "expected at least 0, found %d", n);
    return NB_OK;
}

static NB_FALLIBLE outer(int n, NbError *err) {
    NB_TRY_IN(inner(n, err), err, "file %s: node %d", "a.onnx", 17);
    return NB_OK;
}

static NB_FALLIBLE passing(int n, NbError *err) {
    NB_TRY(inner(n, err));
    return NB_ERR_IO; /* reached only when inner succeeds */
}

static void context_comes_in_front(void **state) {
    (void)state;
    NbError err = {0};
    assert_int_equal(outer(-3, &err), NB_ERR_FORMAT);
    assert_string_equal(err.message, "file a.onnx: node 17: expected at least 0, found -3");
    assert_int_equal(outer(3, &err), NB_OK);
    assert_int_equal(passing(-1, &err), NB_ERR_FORMAT);
    assert_int_equal(passing(1, &err), NB_ERR_IO);
}

static void nobody_needs_the_sentence(void **state) {
    (void)state;
    assert_int_equal(outer(-3, NULL), NB_ERR_FORMAT);
    assert_int_equal(nb_fail_memory(NULL, "x"), NB_ERR_NOMEM);
}

static void sentences_are_cut_to_fit(void **state) {
    (void)state;
    NbError err = {0};
    char text[2000];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_int_equal(nb_fail(NB_ERR_IO, &err, "%s", text), NB_ERR_IO);
    assert_true(strlen(err.message) == sizeof err.message - 1);
    for (int i = 0; i < 3; i++)
        assert_int_equal(nb_fail_in(NB_ERR_IO, &err, "%s", "context"), NB_ERR_IO);
    assert_true(strlen(err.message) == sizeof err.message - 1);
    assert_true(strncmp(err.message, "context: context: context: aaa", 30) == 0);
    assert_int_equal(nb_fail_in(NB_ERR_IO, &err, "%s", text), NB_ERR_IO);
    assert_true(strlen(err.message) < sizeof err.message);
}

static void memory_names_its_place(void **state) {
    (void)state;
    NbError err = {0};
    assert_int_equal(nb_fail_memory(&err, "tensor list"), NB_ERR_NOMEM);
    assert_non_null(strstr(err.message, "out of memory"));
    assert_non_null(strstr(err.message, "tensor list"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(context_comes_in_front),
        cmocka_unit_test(nobody_needs_the_sentence),
        cmocka_unit_test(sentences_are_cut_to_fit),
        cmocka_unit_test(memory_names_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
