/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cpu.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void names_and_levels_belong_together(void **state) {
    (void)state;
    NbError err = {0};
    for (int i = NB_ISA_C; i <= NB_ISA_AVX512VNNI; i++) {
        NbIsa isa = NB_ISA_C;
        assert_int_equal(nb_isa_parse(nb_isa_name((NbIsa)i), &isa, &err), NB_OK);
        assert_int_equal(isa, i);
    }
    NbIsa isa = NB_ISA_C;
    assert_int_equal(nb_isa_parse("mmx", &isa, &err), NB_ERR_ARGUMENT);
    assert_non_null(strstr(err.message, "avx512vnni, found 'mmx'"));
}

static void the_cap_and_the_variable_lower_the_level(void **state) {
    (void)state;
    NbError err = {0};
    NbIsa isa = NB_ISA_C;
    const NbIsa best = nb_isa_detect();
    const char *const before = getenv("NIBBLE_ISA");
    char kept[64] = "";
    if (before)
        (void)strncpy(kept, before, sizeof kept - 1);
    assert_int_equal(unsetenv("NIBBLE_ISA"), 0);
    assert_int_equal(nb_isa_choose(NULL, &isa, &err), NB_OK);
    assert_int_equal(isa, best);
    assert_int_equal(nb_isa_choose("c", &isa, &err), NB_OK);
    assert_int_equal(isa, NB_ISA_C);
    assert_int_equal(nb_isa_choose("avx512vnni", &isa, &err), NB_OK);
    assert_int_equal(isa, best); /* a cap, no wish */
    assert_int_equal(setenv("NIBBLE_ISA", "c", 1), 0);
    assert_int_equal(nb_isa_choose("", &isa, &err), NB_OK);
    assert_int_equal(isa, NB_ISA_C);
    assert_int_equal(nb_isa_choose("avx512vnni", &isa, &err), NB_OK);
    assert_int_equal(isa, best); /* the argument wins */
    assert_int_equal(setenv("NIBBLE_ISA", "sse9", 1), 0);
    assert_int_equal(nb_isa_choose(NULL, &isa, &err), NB_ERR_ARGUMENT);
    if (before)
        assert_int_equal(setenv("NIBBLE_ISA", kept, 1), 0);
    else
        assert_int_equal(unsetenv("NIBBLE_ISA"), 0);
}

static void clocks_go_forward(void **state) {
    (void)state;
    double last = nb_clock_seconds();
    for (int i = 0; i < 1000; i++) {
        const double now = nb_clock_seconds();
        assert_true(now >= last);
        last = now;
    }
    assert_true(nb_clock_unix() > 1.7e9);
    assert_true(nb_peak_memory_mb() > 1 && nb_peak_memory_mb() < 1e6);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_levels_belong_together),
        cmocka_unit_test(the_cap_and_the_variable_lower_the_level),
        cmocka_unit_test(clocks_go_forward),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
