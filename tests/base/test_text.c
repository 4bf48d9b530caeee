/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void whole_numbers_take_the_whole_text(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool ok;
        int64_t want;
    } rows[] = {
        {"0", true, 0},
        {"-12", true, -12},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775808", false, 0},
        {"", false, 0},
        {" 1", false, 0},
        {"1 ", false, 0},
        {"1.0", false, 0},
        {"0x10", false, 0},
        {"-", false, 0},
        {"1e3", false, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t got = 0;
        if (nb_parse_i64(rows[i].text, &got) != rows[i].ok || (rows[i].ok && got != rows[i].want))
            fail_msg("'%s'", rows[i].text);
    }
}

static void numbers_take_the_whole_text(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool ok;
        double want;
    } rows[] = {
        {"0.5", true, 0.5},     {"-1e-3", true, -0.001}, {"5", true, 5},    {".5", true, 0.5},
        {"1e-400", true, 0},    {"1e400", false, 0},     {"nan", false, 0}, {"inf", false, 0},
        {"infinity", false, 0}, {"0x1p3", false, 0},     {"", false, 0},    {" 1", false, 0},
        {"1 ", false, 0},       {"1,5", false, 0},       {"1e", false, 0},  {".", false, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double got = 0;
        if (nb_parse_double(rows[i].text, &got) != rows[i].ok ||
            (rows[i].ok && got != rows[i].want))
            fail_msg("'%s'", rows[i].text);
    }
}

static void patterns_match_the_whole_text(void **state) {
    (void)state;
    static const struct {
        const char *pattern, *text;
        bool want;
    } rows[] = {
        {"", "", true},
        {"", "a", false},
        {"*", "", true},
        {"*", "anything", true},
        {"a*", "b", false},
        {"a?c", "abc", true},
        {"a?c", "ac", false},
        {"*.conv", "model.0.conv", true},
        {"*.conv", "model.0.conv2", false},
        {"model.*.conv.*", "model.12.conv.weight", true},
        {"*ab*ab", "abababab", true},
        {"*ab*abc", "abababab", false},
        {"a**b", "ab", true},
        {"?", "", false},
        {"*a*a*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (nb_glob_match(rows[i].pattern, rows[i].text) != rows[i].want)
            fail_msg("'%s' and '%s'", rows[i].pattern, rows[i].text);
}

static void words_are_whole(void **state) {
    (void)state;
    static const struct {
        const char *words, *word;
        bool want;
    } rows[] = {
        {"img size", "img", true},   {"img size", "size", true}, {"img size", "im", false},
        {"img_size", "size", false}, {"imgs img", "img", true},  {"img", "img size", false},
        {"", "img", false},          {"img", "", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (nb_has_word(rows[i].words, rows[i].word) != rows[i].want)
            fail_msg("'%s' in '%s'", rows[i].word, rows[i].words);
}

static void near_names_come_nearest_first(void **state) {
    (void)state;
    static const char *const names[] = {"epochs", "batch", "patience", "Conv", "conf", "project"};
    static const struct {
        const char *name, *want;
        size_t size;
    } rows[] = {
        {"epoch", "'epochs'", 100}, {"bacth", "'batch'", 100}, {"conv", "'Conv', 'conf'", 100},
        {"zzzzzz", "", 100},        {"epoch", "'epo", 5},      {"", "", 100},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char out[100] = "before";
        nb_nearest_names(rows[i].name, names, 6, out, rows[i].size);
        assert_string_equal(out, rows[i].want);
    }
}

static void text_grows(void **state) {
    (void)state;
    NbText t = {0};
    for (int i = 0; i < 10000; i++)
        nb_text_printf(&t, "%d,", i);
    nb_text_put(&t, "end\0x", 5);
    assert_false(t.failed);
    assert_int_equal(t.size, 10 * 2 + 90 * 3 + 900 * 4 + 9000 * 5 + 5);
    assert_true(strncmp(t.data, "0,1,2,", 6) == 0);
    assert_memory_equal(t.data + t.size - 5, "end\0x", 6);
    nb_text_release(&t);
    assert_null(t.data);
    nb_text_put(&t, "x", 1);
    nb_text_put(&t, "x", SIZE_MAX); /* cannot be */
    nb_text_put(&t, "y", 1);
    assert_true(t.failed);
    assert_string_equal(t.data, "x");
    nb_text_release(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_numbers_take_the_whole_text),
        cmocka_unit_test(numbers_take_the_whole_text),
        cmocka_unit_test(patterns_match_the_whole_text),
        cmocka_unit_test(words_are_whole),
        cmocka_unit_test(near_names_come_nearest_first),
        cmocka_unit_test(text_grows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
