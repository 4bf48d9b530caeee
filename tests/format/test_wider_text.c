/* SPDX-License-Identifier: Apache-2.0 */
#include "format/scratch.h"
#include "format/wider_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static NbStatus read_text(const char *text, NbArena *arena, NbWiderText *out, NbError *err) {
    return nb_wider_text_read("w.txt", (NbBytes){(const unsigned char *)text, strlen(text)}, arena,
                              out, err);
}

static void pictures_and_faces_are_read(void **state) {
    (void)state;
    NbArena arena = {0};
    NbError err = {0};
    NbWiderText w;
    const char *const text = "0--Parade/a b.jpg\r\n2\r\n1 2 3 4 0 0 0 0 0 0 \r\n"
                             "5 6 7 8 1 1 1 1 1 1\n"
                             "0--Parade/none.jpg\n0\n0 0 0 0 0 0 0 0 0 0 \n"
                             "1--X/bare.jpg\n0\n\n1--X/last.jpg\n1\n9.5 1 2 3";
    assert_int_equal(read_text(text, &arena, &w, &err), NB_OK);
    assert_int_equal(w.n, 4);
    static const struct {
        const char *name;
        size_t n;
        int line;
    } rows[] = {{"0--Parade/a b.jpg", 2, 1},
                {"0--Parade/none.jpg", 0, 5},
                {"1--X/bare.jpg", 0, 8},
                {"1--X/last.jpg", 1, 11}};
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(w.image[i].name, rows[i].name);
        assert_int_equal(w.image[i].n, rows[i].n);
        assert_int_equal(w.image[i].line, rows[i].line);
    }
    assert_true(!w.image[0].face[0].invalid && w.image[0].face[1].invalid);
    assert_true(w.image[0].face[1].box[3] == 8.0 && w.image[3].face[0].box[0] == 9.5);
    assert_int_equal(w.image[3].face[0].line, 13);
    nb_arena_release(&arena);
}

static void places_and_reasons_are_named(void **state) {
    (void)state;
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"", "w.txt: the file is empty"},
        {"a.jpg", "w.txt:1: '', expected the number of faces of a.jpg"},
        {"a.jpg\nb.jpg\n", "w.txt:2: 'b.jpg', expected the number of faces of a.jpg"},
        {"a.jpg\n-1\n", "w.txt:2: '-1', expected the number of faces of a.jpg"},
        {"a.jpg\n1.5\n", "w.txt:2: '1.5', expected the number of faces of a.jpg"},
        {"a.jpg\n99999999999\n1 2 3 4\n",
         "w.txt:2: 99999999999 faces are more than the file has rows"},
        {"a.jpg\n2\n1 2 3 4 0\n", "w.txt:3: the file ends before the faces of a.jpg do"},
        {"a.jpg\n1\n1 2 nan 4\n",
         "w.txt:3: '1 2 nan 4', expected a face: x y w h and up to six attributes"},
        {"a.jpg\n1\n1 2 3\n",
         "w.txt:3: '1 2 3', expected a face: x y w h and up to six attributes"},
        {"a.jpg\n1\n1 2 3 4 5 6 7 8 9 10 11\n",
         "w.txt:3: '1 2 3 4 5 6 7 8 9 10 11', expected a face: x y w h and up to six attributes"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        NbArena arena = {0};
        NbError err = {0};
        NbWiderText w;
        assert_int_equal(read_text(rows[i].text, &arena, &w, &err), NB_ERR_FORMAT);
        assert_string_equal(err.message, rows[i].want);
        nb_arena_release(&arena);
    }
}

static void what_is_written_reads_back(void **state) {
    (void)state;
    NbArena arena = {0};
    NbError err = {0};
    NbWiderFace face[2] = {{.box = {1, 2, 3, 4}}, {.box = {-0.2, 6.4, 7.5, 8}, .invalid = true}};
    NbWiderImage image[2] = {{.name = "a/b.jpg", .face = face, .n = 2}, {.name = "c.jpg"}};
    const NbWiderText out = {.image = image, .n = 2};
    const char *const path = nb_scratch("wider.txt");
    assert_int_equal(nb_wider_text_write(path, &out, &err), NB_OK);
    NbBytes bytes;
    NbWiderText back;
    assert_int_equal(nb_file_read(path, 0, &arena, &bytes, &err), NB_OK);
    assert_int_equal(nb_wider_text_read(path, bytes, &arena, &back, &err), NB_OK);
    assert_int_equal(back.n, 2);
    assert_int_equal(back.image[0].n, 2);
    assert_int_equal(back.image[1].n, 0);
    static const double want[4] = {0, 6, 8, 8};
    for (int k = 0; k < 4; k++)
        assert_true(back.image[0].face[1].box[k] == want[k]);
    assert_true(back.image[0].face[1].invalid);
    (void)unlink(path);
    nb_arena_release(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pictures_and_faces_are_read),
        cmocka_unit_test(places_and_reasons_are_named),
        cmocka_unit_test(what_is_written_reads_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
