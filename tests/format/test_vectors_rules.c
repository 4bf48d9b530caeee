/* SPDX-License-Identifier: Apache-2.0
 *
 * The comparison that every vector test relies on must say no when it should. */
#include "format/json.h"
#include "format/npy.h"
#include "support/vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

static char folder[64];

static void put_array(const char *name, NbDtype dtype, void *data, int64_t n) {
    char path[128];
    NbError err = {0};
    const NbTensor t = {dtype, {1, {n}}, data};
    (void)snprintf(path, sizeof path, "%s/topic/%s.npy", folder, name);
    assert_int_equal(nb_npy_write(path, &t, &err), NB_OK);
}

/* A topic with one case. */
static int set_up(void **state) {
    (void)state;
    NbError err = {0};
    char path[128];
    static float a[4] = {1, -2, 0, 1000};
    static int32_t label[4] = {7, 8, 9, 10};
    static float weight[2] = {0, 0.5F};
    (void)snprintf(folder, sizeof folder, "/tmp/nb_rules_XXXXXX");
    if (!mkdtemp(folder) || setenv("NIBBLE_VECTORS", folder, 1))
        return -1;
    (void)snprintf(path, sizeof path, "%s/topic", folder);
    if (nb_folder_make(path, &err) != NB_OK)
        return -1;
    put_array("a", NB_F32, a, 4);
    put_array("m_gt_label", NB_I32, label, 4);
    put_array("m_weight", NB_F32, weight, 2);
    json_t *const manifest = json_pack(
        "{s:f, s:[{s:s, s:s, s:{s:f, s:b, s:s}, s:{s:{s:s}, s:{s:s}, s:{s:s}}, s:{s:s, s:s}}]}",
        "max_floor", 0.25, "cases", "id", "one", "kind", "k", "params", "x", 2.5, "y", 1, "z", "t",
        "arrays", "a", "file", "a.npy", "m_gt_label", "file", "m_gt_label.npy", "m_weight", "file",
        "m_weight.npy", "compare", "a", "abs 1e-3", "m_*", "exact where weight > 0");
    (void)snprintf(path, sizeof path, "%s/topic/manifest.json", folder);
    const NbStatus status = nb_json_write(path, manifest, &err);
    json_decref(manifest);
    return status == NB_OK ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

static void rules_say_yes_and_no(void **state) {
    (void)state;
    static const struct {
        const char *rule;
        float got[4];
        bool want;
    } rows[] = {
        {"exact", {1, -2, 0, 1000}, true},
        {"exact", {1, -2, -0.0F, 1000}, true},
        {"exact", {1, -2, 1e-30F, 1000}, false},
        {"abs 0.1", {1.09F, -2.09F, 0.09F, 1000}, true},
        {"abs 0.1", {1, -2, 0.11F, 1000}, false},
        {"abs 0.1", {1, 2, 0, 1000}, false},
        {"rel 0.01", {1.009F, -2.01F, 0, 1009}, true},
        {"rel 0.01", {1.011F, -2, 0, 1000}, false},
        {"rel 0.01", {1, -2, 1e-6F, 1000}, false},
        {"max 1e-3", {1.99F, -2.99F, 0.99F, 1000.99F}, true}, /* of 1000 */
        {"max 1e-3", {1, -2, 1.01F, 1000}, false},
        {"ulp 1", {1.00000012F, -2, 1e-45F, 1000}, true},
        {"ulp 1", {1, -2, -1e-45F, 1000}, true},
        {"ulp 1", {1.00000024F, -2, 0, 1000}, false},
        {"ulp 1", {-1, -2, 0, 1000}, false},
        {"abs 1e9", {1, -2, NAN, 1000}, false},
        {"max 1e9", {NAN, -2, 0, 1000}, false},
        {"ulp 1e9", {1, -2, NAN, 1000}, false},
        {"rel 1e9", {1, -2, 0, NAN}, false},
        {"rel 1", {1, -2, 0, INFINITY}, false},
    };
    NbCases *const cases = nb_cases_open("topic");
    const NbCase c = nb_cases_get(cases, 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (nb_case_compare_rule(&c, "a", rows[i].rule, rows[i].got, 4) != rows[i].want)
            fail_msg("row %zu: %s", i, rows[i].rule);
    assert_false(nb_case_compare_rule(&c, "a", "exact", rows[0].got, 3)); /* too few */
    nb_cases_close(cases);
}

static void manifests_choose_the_rule(void **state) {
    (void)state;
    NbCases *const cases = nb_cases_open("topic");
    const NbCase c = nb_cases_get(cases, 0);
    assert_true(nb_case_compare(&c, "a", (const float[]){1.0009F, -2, 0, 1000}, 4));
    assert_false(nb_case_compare(&c, "a", (const float[]){1.0011F, -2, 0, 1000}, 4));
    /* two labels to a weight, the first weight is 0 */
    assert_true(nb_case_compare(&c, "m_gt_label", (const float[]){0, 0, 9, 10}, 4));
    assert_false(nb_case_compare(&c, "m_gt_label", (const float[]){7, 8, 9, 11}, 4));
    assert_true(nb_case_number(&c, "x", 0) == 2.5 && nb_case_number(&c, "none", 3) == 3);
    assert_true(nb_case_bool(&c, "y", false) && nb_case_bool(&c, "none", true));
    assert_string_equal(nb_case_string(&c, "z", ""), "t");
    assert_true(nb_case_has(&c, "a") && !nb_case_has(&c, "b"));
    size_t n = 0;
    assert_int_equal(nb_case_i32(&c, "m_gt_label", &n)[3], 10);
    assert_int_equal(n, 4);
    nb_cases_close(cases);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_say_yes_and_no),
        cmocka_unit_test(manifests_choose_the_rule),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
