/* SPDX-License-Identifier: Apache-2.0 */
#include "format/yaml.h"

#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

static NbBytes bytes_of(const char *text) {
    return (NbBytes){(const unsigned char *)text, strlen(text)};
}

/* The tree as one line: scalars as they are (quoted ones in quotes), lists in [], maps in {}. */
static void show(const NbYaml *y, NbText *out) {
    if (y->kind == NB_YAML_SCALAR) {
        nb_text_printf(out, y->quoted ? "'%s'" : "%s", y->text);
        return;
    }
    nb_text_printf(out, y->kind == NB_YAML_LIST ? "[" : "{");
    for (int i = 0; i < y->count; i++) {
        nb_text_printf(out, i ? ", " : "");
        if (y->kind == NB_YAML_MAP) {
            show(y->key[i], out);
            nb_text_printf(out, ": ");
        }
        show(y->item[i], out);
    }
    nb_text_printf(out, y->kind == NB_YAML_LIST ? "]" : "}");
}

static void trees_are_as_written(void **state) {
    (void)state;
    static const struct {
        const char *yaml;
        const char *want;
    } rows[] = {
        {"", ""},
        {"# only a comment\n", ""},
        {"a: 1\nb: [x, 'no', no]\n", "{a: 1, b: [x, 'no', no]}"},
        {"- 1\n- - 2\n  - 3\n- k: v\n", "[1, [2, 3], {k: v}]"},
        {"a: &x [1, 2]\nb: *x\n", "{a: [1, 2], b: [1, 2]}"},
        {"a: &x 1\nb: &x 2\nc: *x\n", "{a: 1, b: 2, c: 2}"},
        {"a:\nb: ~\n", "{a: , b: ~}"},
        {"a: |\n  two\n  lines\n", "{a: 'two\nlines\n'}"},
        {"a: !!str 12\nb: !!int 12\n", "{a: '12', b: 12}"},
        {"names: {0: person, 1: bicycle}", "{names: {0: person, 1: bicycle}}"},
        {"backbone:\n  # [from, number, module, args]\n  - [-1, 1, Conv, [64, 3, 2]] # 0-P1/2\n",
         "{backbone: [[-1, 1, Conv, [64, 3, 2]]]}"},
        {"---\na: 1\n...\n", "{a: 1}"},
        {"{}", "{}"},
        {"[]", "[]"},
        {"\xef\xbb\xbf"
         "a: \xc3\xa9\n",
         "{a: \xc3\xa9}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        NbError err = {0};
        NbArena arena = {0};
        NbText text = {0};
        const NbYaml *y = NULL;
        if (nb_yaml_parse("t.yaml", bytes_of(rows[i].yaml), &arena, &y, &err) != NB_OK)
            fail_msg("%s: %s", rows[i].yaml, err.message);
        nb_text_put(&text, "", 0);
        show(y, &text);
        assert_string_equal(text.data, rows[i].want);
        nb_text_release(&text);
        nb_arena_release(&arena);
    }
}

static void places_and_reasons_are_named(void **state) {
    (void)state;
    static const struct {
        const char *yaml;
        NbStatus status;
        const char *want;
    } rows[] = {
        {"a: 1\nb: 2\na: 3\n", NB_ERR_FORMAT, "t.yaml:3:1: key 'a' is already there, in line 1"},
        {"a: {x: 1, y: 2, x: 3}", NB_ERR_FORMAT,
         "t.yaml:1:17: key 'x' is already there, in line 1"},
        {"a: [1, 2\nb: 3\n", NB_ERR_FORMAT,
         "t.yaml:2:2: while parsing a flow sequence: did not find expected ',' or ']'"},
        {"a: *x\n", NB_ERR_FORMAT, "t.yaml:1:4: alias of an anchor that is not there (yet)"},
        {"&x [1, *x]\n", NB_ERR_FORMAT, "t.yaml:1:8: alias of an anchor that is not there (yet)"},
        {"a: 1\n---\nb: 2\n", NB_ERR_FORMAT, "t.yaml:2:1: a second document, expected one"},
        {"? [a]\n: 1\n", NB_ERR_UNSUPPORTED, "t.yaml:1:5: a key is a list or a map, expected text"},
        {"a: &x {b: 1}\nc:\n  <<: *x\n", NB_ERR_UNSUPPORTED,
         "t.yaml:3:3: merge keys ('<<') are not supported"},
        {"a: !!python/object:os.system x\n", NB_ERR_UNSUPPORTED,
         "t.yaml:1:4: tag 'tag:yaml.org,2002:python/object:os.system' is not supported"},
        {"a: \"x\\0y\"\n", NB_ERR_FORMAT, "t.yaml:1:4: text holds a zero byte"},
        {"a: \xff\n", NB_ERR_FORMAT, "t.yaml: byte 3: invalid leading UTF-8 octet"},
        {"a:\n\t- 1\n", NB_ERR_FORMAT,
         "t.yaml:2:1: while scanning for the next token: found character that cannot start any "
         "token"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        NbError err = {0};
        NbArena arena = {0};
        const NbYaml *y = NULL;
        assert_int_equal(nb_yaml_parse("t.yaml", bytes_of(rows[i].yaml), &arena, &y, &err),
                         rows[i].status);
        assert_string_equal(err.message, rows[i].want);
        assert_null(y);
        nb_arena_release(&arena);
    }
}

static void check_limit(const char *yaml, const char *want) {
    NbError err = {0};
    NbArena arena = {0};
    const NbYaml *y = NULL;
    const NbStatus status = nb_yaml_parse("t", bytes_of(yaml), &arena, &y, &err);
    if (want) {
        assert_int_equal(status, NB_ERR_FORMAT);
        assert_non_null(strstr(err.message, want));
    } else if (status != NB_OK) {
        fail_msg("%s", err.message);
    }
    nb_arena_release(&arena);
}

static char *repeated(const char *before, const char *part, int n, const char *after) {
    NbText text = {0};
    nb_text_printf(&text, "%s", before);
    for (int i = 0; i < n; i++)
        nb_text_printf(&text, "%s", part);
    nb_text_printf(&text, "%s", after);
    assert_false(text.failed);
    return text.data;
}

static void limits_hold(void **state) {
    (void)state;
    static const struct {
        const char *before, *part;
        int n;
        const char *after, *want;
    } rows[] = {
        {"", "[", 64, "", "did not find expected node"}, /* not the depth, but the end */
        {"", "[", 65, "", "nested deeper than 64 levels"},
        {"[", "1,", 99999, "]", NULL},
        {"[", "1,", 100000, "]", "more than 100000 values"},
        {"a: &x 1\nb: [", "*x,", 100, "]", NULL},
        {"a: &x 1\nb: [", "*x,", 101, "]", "more than 100 aliases"},
        {"a: '", "xxxxxxxxxxxxxxxx", 65536, "'", "1048581 bytes of YAML, expected at most 1048576"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *const yaml = repeated(rows[i].before, rows[i].part, rows[i].n, rows[i].after);
        check_limit(yaml, rows[i].want);
        free(yaml);
    }
    /* a billion laughs: 9 levels of 9 aliases stand for 9^9 nodes */
    NbText laughs = {0};
    nb_text_printf(&laughs, "a0: &a0 [1,1,1,1,1,1,1,1,1]\n");
    for (int i = 1; i < 9; i++) {
        nb_text_printf(&laughs, "a%d: &a%d [", i, i);
        for (int j = 0; j < 9; j++)
            nb_text_printf(&laughs, "*a%d,", i - 1);
        nb_text_printf(&laughs, "]\n");
    }
    check_limit(laughs.data, "more than 100000 values (aliases count in full)");
    nb_text_release(&laughs);
    /* depth through aliases: each is one level above the one before */
    NbText deep = {0};
    nb_text_printf(&deep, "[ &a0 [1]\n");
    for (int i = 1; i < 70; i++)
        nb_text_printf(&deep, ", &a%d [*a%d]\n", i, i - 1);
    nb_text_printf(&deep, "]");
    check_limit(deep.data, "nested deeper than 64 levels");
    nb_text_release(&deep);
}

/* One scalar, written as the value of a key. */
static const NbYaml *scalar(const char *text, NbArena *arena) {
    NbError err = {0};
    const NbYaml *y = NULL;
    char *const yaml = nb_arena_printf(arena, "k: %s\n", text);
    if (nb_yaml_parse("t", bytes_of(yaml), arena, &y, &err) != NB_OK)
        fail_msg("%s: %s", yaml, err.message);
    return nb_yaml_get(y, "k");
}

static void whole_numbers_follow_yaml_1_1(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool ok;
        int64_t want;
    } rows[] = {
        {"0", true, 0},
        {"-7", true, -7},
        {"+7", true, 7},
        {"1_000", true, 1000},
        {"010", true, 8},
        {"0b101", true, 5},
        {"0x_fF", true, 255},
        {"-0x10", true, -16},
        {"1:30", true, 90},
        {"-1:00:01", true, -3601},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775808", false, 0},
        {"08", false, 0},
        {"0o10", false, 0},
        {"1.0", false, 0},
        {"1e2", false, 0},
        {"1:60", false, 0},
        {"1:x", false, 0},
        {"'1'", false, 0},
        {"0x", false, 0},
        {"-x", false, 0},
        {"_1", false, 0},
        {"true", false, 0},
        {"~", false, 0},
        {"[1]", false, 0},
    };
    NbArena arena = {0};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        NbError err = {0};
        int64_t got = 0;
        const NbStatus status = nb_yaml_int("t", scalar(rows[i].text, &arena), &got, &err);
        if ((status == NB_OK) != rows[i].ok || (rows[i].ok && got != rows[i].want))
            fail_msg("%s: %s %lld", rows[i].text, err.message, (long long)got);
    }
    nb_arena_release(&arena);
}

static void numbers_follow_yaml_1_1_and_exponents(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool ok;
        double want;
    } rows[] = {
        {"1", true, 1},
        {"0.01", true, 0.01},
        {"1e-2", true, 0.01},
        {"1E5", true, 1e5},
        {"5.0e+3", true, 5000},
        {".5", true, 0.5},
        {"-.5", true, -0.5},
        {"5.", true, 5},
        {"1_0.2_5", true, 10.25},
        {"5._9", true, 5.9},
        {"012", true, 10},
        {"018", false, 0},
        {"018.5", true, 18.5},
        {"_1.5", false, 0},
        {"1:30.5", true, 90.5},
        {"1:30.5_0", true, 90.5},
        {"-1:30.5", true, -90.5},
        {".inf", true, HUGE_VAL},
        {"-.INF", true, -HUGE_VAL},
        {"12345678901234567890", true, 12345678901234567890.0},
        {"1e999", false, 0},
        {"e5", false, 0},
        {"1e", false, 0},
        {".", false, 0},
        {"inf", false, 0},
        {"nan", false, 0},
        {"0x1p3", false, 0},
        {"1.2.3", false, 0},
        {"'1.5'", false, 0},
        {"1 2", false, 0},
        {"", false, 0},
    };
    NbArena arena = {0};
    NbError err = {0};
    double got = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const NbStatus status = nb_yaml_double("t", scalar(rows[i].text, &arena), &got, &err);
        if ((status == NB_OK) != rows[i].ok || (rows[i].ok && got != rows[i].want))
            fail_msg("%s: %s %.17g", rows[i].text, err.message, got);
    }
    assert_int_equal(nb_yaml_double("t", scalar(".nan", &arena), &got, &err), NB_OK);
    assert_true(isnan(got));
    nb_arena_release(&arena);
}

static void truth_and_null_follow_yaml_1_1(void **state) {
    (void)state;
    static const char *const yes[] = {"yes", "Yes", "YES", "true", "True", "TRUE", "on", "On"};
    static const char *const no[] = {"no", "No", "NO", "false", "False", "FALSE", "off", "OFF"};
    static const char *const neither[] = {"y", "n", "1", "0", "tRue", "'yes'", "", "[]"};
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
    static const char *const somethings[] = {"''", "nULL", "none", "[]", "0"};
    NbArena arena = {0};
    NbError err = {0};
    for (size_t i = 0; i < 8; i++) {
        bool got = false;
        assert_int_equal(nb_yaml_bool("t", scalar(yes[i], &arena), &got, &err), NB_OK);
        assert_true(got);
        assert_int_equal(nb_yaml_bool("t", scalar(no[i], &arena), &got, &err), NB_OK);
        assert_false(got);
        assert_int_equal(nb_yaml_bool("t", scalar(neither[i], &arena), &got, &err), NB_ERR_FORMAT);
    }
    for (size_t i = 0; i < 5; i++) {
        assert_true(nb_yaml_is_null(scalar(nulls[i], &arena)));
        assert_false(nb_yaml_is_null(scalar(somethings[i], &arena)));
    }
    nb_arena_release(&arena);
}

static void wrong_types_are_named(void **state) {
    (void)state;
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"abc", "t:1:4: expected a whole number, found 'abc'"},
        {"'12'", "t:1:4: expected a whole number, found '12' in quotes"},
        {"[1]", "t:1:4: expected a whole number, found a list"},
        {"{a: 1}", "t:1:4: expected a whole number, found a map"},
        {"~", "t:1:4: expected a whole number, found nothing (null)"},
    };
    NbArena arena = {0};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        NbError err = {0};
        int64_t got = 0;
        const NbYaml *const y = scalar(rows[i].text, &arena);
        assert_int_equal(nb_yaml_int("t", y, &got, &err), NB_ERR_FORMAT);
        assert_string_equal(err.message, rows[i].want);
    }
    nb_arena_release(&arena);
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    static const char yaml[] = "a: &x [1, {b: 2}]\nc: *x\nd: 'text'\n";
    NbStatus status = NB_ERR_NOMEM;
    size_t takes = 0;
    while (status == NB_ERR_NOMEM) {
        NbError err = {0};
        NbArena arena = {.fail_at = ++takes};
        const NbYaml *y = NULL;
        status = nb_yaml_parse("t", bytes_of(yaml), &arena, &y, &err);
        nb_arena_release(&arena);
    }
    assert_int_equal(status, NB_OK);
    assert_true(takes > 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trees_are_as_written),
        cmocka_unit_test(places_and_reasons_are_named),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(whole_numbers_follow_yaml_1_1),
        cmocka_unit_test(numbers_follow_yaml_1_1_and_exponents),
        cmocka_unit_test(truth_and_null_follow_yaml_1_1),
        cmocka_unit_test(wrong_types_are_named),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
