/* SPDX-License-Identifier: Apache-2.0
 *
 * The grammar of bits and the expressions of model files. */
#include "model/help.h"

#include "base/file.h"
#include "model/argument.h"

typedef struct BitsRow {
    const char *text;
    const char *again; /* what nb_bits_text gives; NULL: an error that says `says` */
    const char *says;
} BitsRow;

static const BitsRow bits_rows[] = {
    {"8", "w8a8", NULL},
    {"w4a4", "w4a4", NULL},
    {"w4", "w4a8", NULL},
    {"a3", "w8a3", NULL},
    {"none", "none", NULL},
    {"w4a16", "w4a16", NULL},
    {"w4a16:last=a8", "w4a16:last=a8", NULL},
    {"w4a8:first=w8a8:last=w8", "w4a8:first=w8a8:last=w8", NULL},
    {"w4a4:model.4.*=8:model.?.conv=a2", "w4a4:model.4.*=w8a8:model.?.conv=a2", NULL},
    {"[8, 4, 2, 8]", "w4a2:first=w8:last=w8", NULL},
    {"[[8,3,5,6]]", "w3a5:first=w8:last=w6", NULL},
    {"8,4,4,8", "w4a4:first=w8:last=w8", NULL},
    {"", NULL, "column 1: bits like 8, w4 or w4a8 expected, found the end"},
    {"w9", NULL, "column 2: 1 to 8 bits expected, found '9'"},
    {"w0a4", NULL, "column 2: 1 to 8 bits"},
    {"w16", NULL, "column 2: 1 to 8 bits"},
    {"w4a17", NULL, "column 4: 1 to 8 bits"},
    {"w4x", NULL, "column 3: ':' and a rule, or the end, expected, found 'x'"},
    {"w4a4:first", NULL, "column 11: '=' and bits expected, found the end"},
    {"w4a4:=w8", NULL, "column 6: first, last or a pattern"},
    {"w4a4:last=b8", NULL, "column 11: bits like"},
    {"[8, 4, 4]", NULL, "column 9: ',' and four numbers in all expected"},
    {"8,4,4,8,8", NULL, "column 8: the end of the list of four expected"},
};

static void bits_are_read_and_printed(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof bits_rows / sizeof *bits_rows; i++) {
        const BitsRow *row = &bits_rows[i];
        NbArena arena = {0};
        NbError err = {0};
        NbBits bits = {0};
        const NbStatus status = nb_bits_parse(row->text, &arena, &bits, &err);
        if (row->again) {
            must(status, &err);
            assert_string_equal(nb_bits_text(&bits, &arena), row->again);
            must(nb_bits_parse(row->again, &arena, &bits, &err), &err);
            assert_string_equal(nb_bits_text(&bits, &arena), row->again);
        } else {
            assert_int_equal(status, NB_ERR_FORMAT);
            if (!strstr(err.message, row->says))
                fail_msg("'%s': \"%s\" does not say \"%s\"", row->text, err.message, row->says);
        }
        nb_arena_release(&arena);
    }
}

typedef struct RuleRow {
    const char *text;
    const char *name;
    bool first, last;
    int weight, activation;
} RuleRow;

static const RuleRow rule_rows[] = {
    {"w4a4", "model.2.conv", false, false, 4, 4},
    {"w4a4", "model.0.conv", true, false, 8, 4},
    {"w4a4", "model.14.conv", false, true, 8, 4},
    {"w4a4:first=w4a8", "model.0.conv", true, false, 4, 8},
    {"w4a4:last=w2", "model.14.conv", false, true, 2, 4},
    {"w4a4:model.4.*=w6a7:model.4.cv2.*=w2", "model.4.cv2.conv", false, false, 2, 7},
    {"w4a4:model.0.*=w3", "model.0.conv", true, false, 3, 4},
    {"none", "model.0.conv", true, false, 0, 0},
};

static void later_rules_win(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof rule_rows / sizeof *rule_rows; i++) {
        const RuleRow *row = &rule_rows[i];
        NbArena arena = {0};
        NbError err = {0};
        NbBits bits = {0};
        int weight = -1;
        int activation = -1;
        must(nb_bits_parse(row->text, &arena, &bits, &err), &err);
        nb_bits_for(&bits, row->name, row->first, row->last, &weight, &activation);
        if (weight != row->weight || activation != row->activation)
            fail_msg("%s for %s: w%da%d", row->text, row->name, weight, activation);
        nb_arena_release(&arena);
    }
}

static void a_file_holds_a_map(void **state) {
    (void)state;
    static const char text[] = "default: w4a4\nfirst: 8\nmodel.4.*: w2\n";
    static const char path[] = "/tmp/nb_test_bits.yaml";
    NbArena arena = {0};
    NbError err = {0};
    NbBits bits = {0};
    must(nb_file_write(path, text, sizeof text - 1, &err), &err);
    must(nb_bits_read(path, &arena, &bits, &err), &err);
    assert_string_equal(nb_bits_text(&bits, &arena), "w4a4:first=w8a8:model.4.*=w2");
    must(nb_file_write(path, "first: w12\n", 11, &err), &err);
    assert_int_equal(nb_bits_read(path, &arena, &bits, &err), NB_ERR_FORMAT);
    assert_non_null(strstr(err.message, "/tmp/nb_test_bits.yaml:1:8: bits like"));
    (void)remove(path);
    nb_arena_release(&arena);
}

typedef struct ExpressionRow {
    const char *text;
    double value;
    bool is_integer;
    const char *says; /* an error */
} ExpressionRow;

static const ExpressionRow expressions[] = {
    {"(nc+5)*3", 18, true, NULL},
    {" ( nc + 5 ) * na ", 18, true, NULL},
    {"7//2", 3, true, NULL},
    {"-7//2", -4, true, NULL},
    {"7/2", 3.5, false, NULL},
    {"6/2", 3, false, NULL},
    {"2*-3", -6, true, NULL},
    {"1-2-3", -4, true, NULL},
    {"0.5*gw", 0.1, false, NULL},
    {"--4", 4, true, NULL},
    {"9007199254740992", 9007199254740992.0, true, NULL},
    {"", 0, false, "a number, a name or '(' expected"},
    {"1+", 0, false, "at column 3"},
    {"(1", 0, false, "')' expected at column 3"},
    {"1 2", 0, false, "an operator or the end expected at column 3"},
    {"1/0", 0, false, "division by zero"},
    {"5//(nc-1)", 0, false, "division by zero"},
    {"nq*2", 0, false, "unknown name at column 1"},
    {"text+1", 0, false, "only numbers"},
    {"2**3", 0, false, "a number, a name or '('"},
    {"__import__(1)", 0, false, "unknown name"},
    {"9007199254740993000", 0, false, "too large"},
    {"9007199254740992*9007199254740992", 0, false, "too large"},
    {"((((((((((((((((((((((((((((((((((1))))))))))))))))))))))))))))))))))", 0, false, "too deep"},
    {"----------------------------------1", 0, false, "too deep"},
};

static void expressions_have_pythons_meaning(void **state) {
    (void)state;
    const NbName name[] = {{"nc", nb_arg_int(1)},
                           {"na", nb_arg_int(3)},
                           {"gw", {.kind = NB_ARG_NUMBER, .number = 0.2}},
                           {"text", {.kind = NB_ARG_TEXT, .text = "x"}}};
    const NbNames names = {.path = "m.yaml", .name = name, .count = 4};
    for (size_t i = 0; i < sizeof expressions / sizeof *expressions; i++) {
        const ExpressionRow *row = &expressions[i];
        NbArg got = {0};
        NbError err = {0};
        const NbStatus status = nb_expression(&names, row->text, &got, &err);
        if (row->says) {
            if (status != NB_ERR_FORMAT || !strstr(err.message, row->says))
                fail_msg("%s: status %d, \"%s\" does not say \"%s\"", row->text, (int)status,
                         err.message, row->says);
            continue;
        }
        must(status, &err);
        if (got.number != row->value || (got.kind == NB_ARG_INT) != row->is_integer)
            fail_msg("%s: %g, expected %g", row->text, got.number, row->value);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bits_are_read_and_printed),
        cmocka_unit_test(later_rules_win),
        cmocka_unit_test(a_file_holds_a_map),
        cmocka_unit_test(expressions_have_pythons_meaning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
