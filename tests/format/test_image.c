/* SPDX-License-Identifier: Apache-2.0 */
#include "format/image.h"

#include "base/random.h"
#include "format/json.h"
#include "format/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char golden[] = "tests/golden/images";

static uint32_t crc32_of(const uint8_t *bytes, size_t n) {
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < n; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320U : 0);
    }
    return ~crc;
}

static NbBytes load(const char *name, NbArena *arena) {
    NbError err = {0};
    NbBytes bytes = {0};
    const char *const path = nb_path_join(arena, golden, name);
    if (nb_file_read(path, 0, arena, &bytes, &err) != NB_OK)
        fail_msg("%s", err.message);
    return bytes;
}

static void pixels_are_those_of_opencv(void **state) {
    (void)state;
    NbError err = {0};
    json_t *expected = NULL;
    assert_int_equal(nb_json_read_file("tests/golden/images/expected.json", &expected, &err),
                     NB_OK);
    const char *name = NULL;
    json_t *want = NULL;
    assert_true(json_object_size(expected) > 20);
    json_object_foreach(expected, name, want) {
        NbArena arena = {0};
        NbImage image = {0};
        NbImageInfo info = {0};
        const NbBytes bytes = load(name, &arena);
        if (nb_image_info(name, bytes, &info, &err) != NB_OK ||
            nb_image_decode(name, bytes, &arena, &image, &err) != NB_OK)
            fail_msg("%s", err.message);
        assert_int_equal(image.width, json_integer_value(json_object_get(want, "width")));
        assert_int_equal(image.height, json_integer_value(json_object_get(want, "height")));
        assert_int_equal(info.width, image.width);
        assert_int_equal(info.height, image.height);
        const uint32_t crc = crc32_of(image.rgb, 3 * (size_t)image.width * (size_t)image.height);
        if (crc != json_integer_value(json_object_get(want, "crc32")))
            fail_msg("%s: other pixels than OpenCV's", name);
        nb_arena_release(&arena);
    }
    json_decref(expected);
}

static void info_tells_kind_orientation_and_end(void **state) {
    (void)state;
    static const struct {
        const char *name;
        NbImageInfo want;
    } rows[] = {
        {"exif0.jpg", {23, 17, 1, true, false}},  {"exif3.jpg", {23, 17, 3, true, false}},
        {"exif6.jpg", {17, 23, 6, true, false}},  {"exif9.jpg", {23, 17, 1, true, false}},
        {"exif6.png", {17, 23, 6, false, false}}, {"exif_late.png", {17, 23, 6, false, false}},
        {"grey.png", {23, 17, 1, false, false}},  {"truncated.jpg", {23, 17, 1, true, true}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        NbArena arena = {0};
        NbError err = {0};
        NbImageInfo got = {0};
        assert_int_equal(nb_image_info("x", load(rows[i].name, &arena), &got, &err), NB_OK);
        assert_int_equal(got.width, rows[i].want.width);
        assert_int_equal(got.height, rows[i].want.height);
        assert_int_equal(got.orientation, rows[i].want.orientation);
        assert_int_equal(got.jpeg, rows[i].want.jpeg);
        assert_int_equal(got.truncated_jpeg, rows[i].want.truncated_jpeg);
        nb_arena_release(&arena);
    }
}

static void what_is_no_picture_is_named(void **state) {
    (void)state;
#define PNG_START "\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR"
#define PNG_END "\x08\x02\0\0\0\0\0\0\0"
    static const struct {
        const char *bytes;
        size_t n;
        NbStatus status;
        const char *want;
    } rows[] = {
        {"", 0, NB_ERR_FORMAT, "a.jpg: neither JPEG nor PNG (0 bytes)"},
        {"hello", 5, NB_ERR_FORMAT, "a.jpg: neither JPEG nor PNG (5 bytes)"},
        {"BM12", 4, NB_ERR_UNSUPPORTED, "a.jpg: a BMP picture, expected JPEG or PNG"},
        {"RIFF0000WEBP", 12, NB_ERR_UNSUPPORTED, "a.jpg: a WebP picture, expected JPEG or PNG"},
        {"\xff\xd8\xff", 3, NB_ERR_FORMAT,
         "a.jpg: JPEG: no frame header with a size before the picture data"},
        {"\xff\xd8\xff\xc0\x00\x11\x0c\0\1\0\1\3", 12, NB_ERR_FORMAT,
         "a.jpg: JPEG: no frame header with a size before the picture data"},
        {"\xff\xd8\xff\xc0\x00\x08\x0c\0\1\0\1\3", 12, NB_ERR_UNSUPPORTED,
         "a.jpg: JPEG: 12 bits a sample, expected 8"},
        {"\xff\xd8\xff\xc0\x00\x04\x08\0", 8, NB_ERR_FORMAT,
         "a.jpg: JPEG: frame header of 2 bytes, expected at least 6"},
        {"\xff\xd8\xff\xc0\x00\x08\x08\xff\xff\xff\xff\3", 12, NB_ERR_FORMAT,
         "a.jpg: JPEG: 65535 x 65535 pixels, expected at most 100000000"},
        {"\x89PNG\r\n\x1a\n", 8, NB_ERR_FORMAT, "a.jpg: PNG: does not begin with an IHDR chunk"},
        {PNG_START "\0\x10\0\1\0\0\0\1" PNG_END, 33, NB_ERR_FORMAT,
         "a.jpg: PNG: 1048577 x 1 pixels, expected 1 to 1048576 each"},
        {PNG_START "\0\0\0\0\0\0\0\1" PNG_END, 33, NB_ERR_FORMAT,
         "a.jpg: PNG: 0 x 1 pixels, expected 1 to 1048576 each"},
        {PNG_START "\0\1\0\0\0\1\0\0" PNG_END, 33, NB_ERR_FORMAT,
         "a.jpg: PNG: 65536 x 65536 pixels, expected at most 100000000"},
        {PNG_START "\0\0\0\1\0\0\0\1" PNG_END, 33, NB_ERR_FORMAT, "a.jpg: PNG: IHDR: CRC error"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        NbArena arena = {0};
        NbError err = {0};
        NbImage image = {0};
        const NbBytes bytes = {(const unsigned char *)rows[i].bytes, rows[i].n};
        const NbStatus status = nb_image_decode("a.jpg", bytes, &arena, &image, &err);
        assert_string_equal(err.message, rows[i].want);
        assert_int_equal(status, rows[i].status);
        assert_null(image.rgb);
        nb_arena_release(&arena);
    }
}

/* Whatever is cut off, no crash; a JPEG keeps what was there. */
static void cut_pictures_fail_or_decode(void **state) {
    (void)state;
    static const char *const names[] = {"exif6.jpg", "progressive.jpg", "cmyk.jpg", "alpha.png",
                                        "interlaced.png"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        NbArena files = {0};
        const NbBytes whole = load(names[i], &files);
        size_t decoded = 0;
        for (size_t n = 0; n < whole.size; n++) {
            NbArena arena = {.limit = 1 << 20};
            NbError err = {0};
            NbImage image = {0};
            unsigned char *const copy = malloc(n + 1); /* so that reading past n is seen */
            assert_non_null(copy);
            memcpy(copy, whole.data, n);
            const NbBytes cut = {copy, n};
            if (nb_image_decode("x", cut, &arena, &image, &err) == NB_OK)
                decoded++;
            else
                assert_true(strncmp(err.message, "x: ", 3) == 0);
            free(copy);
            nb_arena_release(&arena);
        }
        assert_true(strstr(names[i], ".jpg") ? decoded > whole.size / 10 : decoded < 13);
        nb_arena_release(&files);
    }
}

static void fill(NbImage *image) {
    NbRandom r = nb_random(1, NB_RANDOM_TEST, 0, 0);
    for (int y = 0; y < image->height; y++)
        for (int x = 0; x < image->width; x++)
            for (int c = 0; c < 3; c++)
                image->rgb[3 * (y * image->width + x) + c] =
                    (uint8_t)(4 * x + 2 * y * (c + 1) + (int)nb_random_below(&r, 8));
}

static void written_pictures_come_back(void **state) {
    (void)state;
    static const struct {
        const char *name;
        int quality;
        int allowed; /* mean squared error */
    } rows[] = {{"a.png", 0, 0}, {"a.PNG", 0, 0}, {"a.jpg", 95, 30}, {"a.jpeg", 50, 300}};
    static uint8_t pixels[3 * 37 * 21];
    NbImage image = {37, 21, pixels};
    fill(&image);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        NbArena arena = {0};
        NbError err = {0};
        NbImage back = {0};
        const char *const path = nb_scratch(rows[i].name);
        if (nb_image_write(path, &image, rows[i].quality, &err) != NB_OK ||
            nb_image_read(path, &arena, &back, &err) != NB_OK)
            fail_msg("%s", err.message);
        (void)unlink(path);
        assert_int_equal(back.width, 37);
        assert_int_equal(back.height, 21);
        long sum = 0;
        for (size_t k = 0; k < sizeof pixels; k++)
            sum += (pixels[k] - back.rgb[k]) * (pixels[k] - back.rgb[k]);
        assert_true(sum <= rows[i].allowed * (long)sizeof pixels);
        nb_arena_release(&arena);
    }
}

static void writing_says_why_not(void **state) {
    (void)state;
    static uint8_t pixels[12];
    static const struct {
        const char *path;
        int width, quality;
        NbStatus status;
        const char *want;
    } rows[] = {
        {"/tmp/a.bmp", 2, 90, NB_ERR_UNSUPPORTED,
         "/tmp/a.bmp: expected a name in .jpg, .jpeg or .png"},
        {"/tmp/a.jpg", 2, 0, NB_ERR_ARGUMENT, "/tmp/a.jpg: quality 0, expected 1 to 100"},
        {"/tmp/a.jpg", 2, 101, NB_ERR_ARGUMENT, "/tmp/a.jpg: quality 101, expected 1 to 100"},
        {"/tmp/a.png", 0, 90, NB_ERR_ARGUMENT, "/tmp/a.png: a picture of 0 x 2 pixels"},
        {"/tmp/no/such/folder/a.png", 2, 90, NB_ERR_IO, NULL},
        {"/tmp/no/such/folder/a.jpg", 2, 90, NB_ERR_IO, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        NbError err = {0};
        const NbImage image = {rows[i].width, 2, pixels};
        assert_int_equal(nb_image_write(rows[i].path, &image, rows[i].quality, &err),
                         rows[i].status);
        if (rows[i].want)
            assert_string_equal(err.message, rows[i].want);
    }
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    static const char *const names[] = {"exif6.jpg", "cmyk.jpg", "exif6.png"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        NbArena files = {0};
        const NbBytes bytes = load(names[i], &files);
        NbStatus status = NB_ERR_NOMEM;
        size_t takes = 0;
        while (status == NB_ERR_NOMEM) {
            NbError err = {0};
            NbImage image = {0};
            NbArena arena = {.fail_at = ++takes};
            status = nb_image_decode("x", bytes, &arena, &image, &err);
            assert_int_equal(image.rgb != NULL, status == NB_OK);
            nb_arena_release(&arena);
        }
        assert_int_equal(status, NB_OK);
        assert_int_equal(takes, 3);
        nb_arena_release(&files);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pixels_are_those_of_opencv),
        cmocka_unit_test(info_tells_kind_orientation_and_end),
        cmocka_unit_test(what_is_no_picture_is_named),
        cmocka_unit_test(cut_pictures_fail_or_decode),
        cmocka_unit_test(written_pictures_come_back),
        cmocka_unit_test(writing_says_why_not),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
