/* SPDX-License-Identifier: Apache-2.0 */
#include "format/scratch.h"
#include "format/voc_xml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static NbStatus read_text(const char *text, NbArena *arena, NbVocXml *out, NbError *err) {
    return nb_voc_xml_read("a.xml", (NbBytes){(const unsigned char *)text, strlen(text)}, arena,
                           out, err);
}

#define OBJECT(name, rest) "<object><name>" name "</name>" rest "</object>"
#define BOX "<bndbox><xmin>1</xmin><ymin>2.5</ymin><xmax>30</xmax><ymax>4e1</ymax></bndbox>"

static void everything_is_read(void **state) {
    (void)state;
    NbArena arena = {0};
    NbError err = {0};
    NbVocXml voc;
    const char *const text =
        "<?xml version='1.0' encoding='ISO-8859-1'?>\n<!-- a remark -->\n<annotation>\n"
        "<folder>x</folder><filename> caf\xe9.jpg\n</filename><size><width>40</width>\n"
        "<height>50.0</height><depth>3</depth></size>\n"
        /* a part of an object is not an object, nor is its name the object's */
        "<object><part><name>hand</name>" BOX "</part><difficult>1</difficult>"
        "<name>a &amp; b</name>" BOX "<truncated>Unspecified</truncated></object>\n"
        "<object><bndbox><ymax>9</ymax><xmax>8</xmax><ymin>7</ymin><xmin>-6</xmin></bndbox>"
        "<name>dog</name><truncated>1</truncated></object></annotation>\n";
    assert_int_equal(read_text(text, &arena, &voc, &err), NB_OK);
    assert_string_equal(voc.filename, "caf\xc3\xa9.jpg");
    assert_int_equal(voc.width, 40);
    assert_int_equal(voc.height, 50);
    assert_int_equal(voc.n, 2);
    assert_string_equal(voc.object[0].name, "a & b");
    assert_true(voc.object[0].difficult && !voc.object[0].truncated);
    assert_true(!voc.object[1].difficult && voc.object[1].truncated);
    static const double box[2][4] = {{1, 2.5, 30, 40}, {-6, 7, 8, 9}};
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 4; k++)
            assert_true(voc.object[i].box[k] == box[i][k]);
    assert_int_equal(voc.object[1].line, 8);
    nb_arena_release(&arena);
}

static void an_annotation_without_objects_is_read(void **state) {
    (void)state;
    NbArena arena = {0};
    NbError err = {0};
    NbVocXml voc;
    assert_int_equal(read_text("<annotation/>", &arena, &voc, &err), NB_OK);
    assert_int_equal(voc.n, 0);
    assert_int_equal(voc.width, 0);
    assert_string_equal(voc.filename, "");
    nb_arena_release(&arena);
}

static void places_and_reasons_are_named(void **state) {
    (void)state;
    static const struct {
        const char *xml, *want;
    } rows[] = {
        {"", "a.xml:1:1: no element found"},
        {"<annotation>\n<object>", "a.xml:2:9: no element found"}, /* cut off */
        {"<annotation></b>", "a.xml:1:15: mismatched tag"},
        {"<dataset/>", "a.xml:1:1: <dataset>, expected <annotation>"},
        {"<annotation>" OBJECT("", BOX) "</annotation>",
         "a.xml:1:112: the object of line 1 has no name"},
        {"<annotation>" OBJECT("a", "") "</annotation>",
         "a.xml:1:35: the object of line 1 has no xmin"},
        {"<annotation>" OBJECT("a", "<bndbox><xmin>nan</xmin></bndbox>") "</annotation>",
         "a.xml:1:52: xmin is 'nan', expected a number"},
        {"<annotation>" OBJECT("a", "<bndbox><xmin>1e999</xmin></bndbox>") "</annotation>",
         "a.xml:1:54: xmin is '1e999', expected a number"},
        {"<annotation><size><width>-1</width></size></annotation>",
         "a.xml:1:28: width is '-1', expected a number of pixels"},
        {"<annotation>" OBJECT("a", "<difficult>yes</difficult>") "</annotation>",
         "a.xml:1:49: difficult is 'yes', expected 0 or 1"},
        {"<!DOCTYPE a [<!ENTITY x 'y'>]><annotation/>",
         "a.xml:1:25: the document declares the entity 'x': refused"},
        {"<!DOCTYPE a [<!ENTITY x SYSTEM '/etc/passwd'>]><annotation>&x;</annotation>",
         "a.xml:1:45: the document declares the entity 'x': refused"},
        {"<?xml version='1.0' encoding='klingon'?><annotation/>", "a.xml:1:31: unknown encoding"},
        {"<annotation>\xff</annotation>", "a.xml:1:13: not well-formed (invalid token)"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        NbArena arena = {0};
        NbError err = {0};
        NbVocXml voc;
        assert_int_equal(read_text(rows[i].xml, &arena, &voc, &err), NB_ERR_FORMAT);
        assert_string_equal(err.message, rows[i].want);
        assert_int_equal(voc.n, 0);
        nb_arena_release(&arena);
    }
}

static void depth_and_length_have_limits(void **state) {
    (void)state;
    NbArena arena = {0};
    NbError err = {0};
    NbVocXml voc;
    char text[40 * 3 + 5001 + 32] = "<annotation>";
    for (int i = 0; i < 40; i++)
        strcat(text, "<a>");
    assert_int_equal(read_text(text, &arena, &voc, &err), NB_ERR_FORMAT);
    assert_non_null(strstr(err.message, "nested too deeply"));
    strcpy(text, "<annotation><filename>");
    memset(text + strlen(text), 'x', 5000);
    assert_int_equal(read_text(text, &arena, &voc, &err), NB_ERR_FORMAT);
    assert_non_null(strstr(err.message, "more than 4096 characters"));
    nb_arena_release(&arena);
}

static void what_is_written_reads_back(void **state) {
    (void)state;
    NbArena arena = {0};
    NbError err = {0};
    NbVocObject object[2] = {{.name = "a<b>&c", .box = {1, 2.0004, 30.25, 4}, .difficult = true},
                             {.name = "d", .box = {-0.0004, 0, 1, 1}, .truncated = true}};
    const NbVocXml voc = {
        .filename = "x & y.png", .width = 40, .height = 50, .object = object, .n = 2};
    const char *const path = nb_scratch("voc.xml");
    assert_int_equal(nb_voc_xml_write(path, &voc, &err), NB_OK);
    NbBytes bytes;
    NbVocXml back;
    assert_int_equal(nb_file_read(path, 0, &arena, &bytes, &err), NB_OK);
    assert_int_equal(nb_voc_xml_read(path, bytes, &arena, &back, &err), NB_OK);
    assert_string_equal(back.filename, "x & y.png");
    assert_int_equal(back.n, 2);
    assert_string_equal(back.object[0].name, "a<b>&c");
    assert_true(back.object[0].difficult && back.object[1].truncated);
    static const double want[2][4] = {{1, 2, 30.25, 4}, {0, 0, 1, 1}};
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 4; k++)
            assert_true(back.object[i].box[k] == want[i][k]);
    (void)unlink(path);
    nb_arena_release(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_read),
        cmocka_unit_test(an_annotation_without_objects_is_read),
        cmocka_unit_test(places_and_reasons_are_named),
        cmocka_unit_test(depth_and_length_have_limits),
        cmocka_unit_test(what_is_written_reads_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
