/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading and writing of COCO's files, and what is said about bad ones. */
#include "format/coco.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <math.h>

#define COUNT(rows) (sizeof(rows) / sizeof *(rows))

static NbBytes bytes_of(const char *text) {
    return (NbBytes){(const unsigned char *)text, strlen(text)};
}

static void a_data_set_is_read(void **state) {
    (void)state;
    static const char text[] =
        "{\"info\": {}, \"images\": [{\"id\": 5, \"width\": 640, \"height\": 480, \"file_name\": "
        "\"a.jpg\"}, {\"id\": 3}], \"categories\": [{\"id\": 90, \"name\": \"toothbrush\"}],"
        "\"annotations\": [{\"id\": 1, \"image_id\": 5, \"category_id\": 90, \"bbox\": [1, 2.5, 3, "
        "4], \"area\": 7.5, \"iscrowd\": 1, \"segmentation\": {\"counts\": [1]}},"
        "{\"image_id\": 3.0, \"category_id\": 90, \"bbox\": [0, 0, 3, 4]}]}";
    NbArena arena = {0};
    NbError err = {0};
    NbCocoSet set;
    if (nb_coco_read("x.json", bytes_of(text), &arena, &set, &err) != NB_OK)
        fail_msg("%s", err.message);
    assert_int_equal(set.n_images, 2);
    assert_int_equal(set.image_id[0], 5);
    assert_int_equal(set.image[0].width, 640);
    assert_int_equal(set.image[0].height, 480);
    assert_string_equal(set.image[0].file_name, "a.jpg");
    assert_string_equal(set.image[1].file_name, "");
    assert_int_equal(set.n_categories, 1);
    assert_int_equal(set.category_id[0], 90);
    assert_string_equal(set.category_name[0], "toothbrush");
    assert_int_equal(set.n_truth, 2);
    assert_true(set.truth[0].crowd && !set.truth[1].crowd);
    assert_true(set.truth[0].area == 7.5 && set.truth[1].area == 12.0);
    assert_true(set.truth[0].xywh[1] == 2.5);
    assert_int_equal(set.truth[1].image, 3);
    nb_arena_release(&arena);
}

#define SET(images, annotations)                                                                   \
    "{\"images\": [" images "], \"categories\": [{\"id\": 1}], \"annotations\": [" annotations "]" \
    "}"

static void bad_data_sets_are_named(void **state) {
    (void)state;
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"[]", "x.json: a list, expected an object with images, annotations and categories"},
        {"{}", "x.json: 'images' is missing, expected a list"},
        {"{\"images\": 5}", "x.json: 'images' is a number, expected a list"},
        {SET("7", ""), "x.json: images[0]: a number, expected an object"},
        {SET("{\"id\": \"7\"}", ""),
         "x.json: images[0]: 'id' is a string, expected a whole number"},
        {SET("{\"id\": 7}, {\"id\": 7.5}", ""),
         "x.json: images[1]: 'id' is 7.5, expected a whole number"},
        {SET("{\"id\": 7}, {\"id\": 2}, {\"id\": 7}", ""),
         "x.json: images[0] and images[2] both have id 7"},
        {SET("{\"id\": 7}", "{\"image_id\": 7}"), "x.json: annotations[0]: no 'category_id'"},
        {SET("{\"id\": 7}", "{\"image_id\": 7, \"category_id\": 1}"),
         "x.json: annotations[0]: 'bbox' is missing, a list of 0, expected [left, top, width, "
         "height]"},
        {SET("{\"id\": 7}", "{\"image_id\": 7, \"category_id\": 1, \"bbox\": [1, 2, 3]}"),
         "x.json: annotations[0]: 'bbox' is a list of 3, expected [left, top, width, height]"},
        {SET("{\"id\": 7}", "{\"image_id\": 7, \"category_id\": 1, \"bbox\": [1, 2, null, 4]}"),
         "x.json: annotations[0]: bbox[2] is null, expected a number"},
        {SET("{\"id\": 7}",
             "{\"image_id\": 7, \"category_id\": 1, \"bbox\": [1, 2, 3, 4], \"area\": \"\"}"),
         "x.json: annotations[0]: 'area' is a string, expected a number"},
        {SET("{\"id\": 7}",
             "{\"image_id\": 7, \"category_id\": 1, \"bbox\": [1, 2, 1e300, 1e300]}"),
         "x.json: annotations[0]: the area is not finite"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        NbArena arena = {0};
        NbError err = {0};
        NbCocoSet set;
        assert_int_equal(nb_coco_read("x.json", bytes_of(rows[i].text), &arena, &set, &err),
                         NB_ERR_FORMAT);
        assert_string_equal(err.message, rows[i].want);
        nb_arena_release(&arena);
    }
}

#define RESULT(image, box, score)                                                                  \
    "{\"image_id\": " image ", \"category_id\": 1, \"bbox\": " box ", \"score\": " score "}"

static void bad_result_lists_are_named(void **state) {
    (void)state;
    static const struct {
        const char *text, *want; /* want: how the message starts */
    } rows[] = {
        {"", "x.json: expected a list of detections"},
        {"{}", "x.json: expected a list of detections"},
        {"[", "x.json: [0]: byte 1: "},
        {"[{]", "x.json: [0]: byte "},
        {"[{}]", "x.json: [0]: no 'image_id'"},
        {"[] []", "x.json: byte 3: text after the list"},
        {"[,]", "x.json: [0]: byte "},
        {"[[]]", "x.json: [0]: a list, expected an object"},
        {"[" RESULT("7", "[1,2,3,4]", "0.5") "", "x.json: byte 67: expected ',' or ']' after [0]"},
        {"[" RESULT("7", "[1,2,3,4]", "0.5") " 5]",
         "x.json: byte 68: expected ',' or ']' after [0]"},
        {"[" RESULT("7", "[1,2,3,4]", "0.5") ",]", "x.json: [1]: byte "},
        {"[" RESULT("8", "[1,2,3,4]", "0.5") "]",
         "x.json: [0]: image_id 8 is not among the 1 pictures of the data set"},
        {"[" RESULT("7", "[1,2,3,4]", "null") "]",
         "x.json: [0]: 'score' is null, expected a number"},
        {"[" RESULT("7", "[1,2,3,4]", "0.5") "," RESULT("7", "[1,2,3,4,5]", "0.5") "]",
         "x.json: [1]: 'bbox' is a list of 5, expected [left, top, width, height]"},
        {"[" RESULT("7", "[1,2,3,1e999]", "0.5") "]", "x.json: [0]: byte "},
    };
    int64_t id = 7;
    const NbCocoSet set = {.image_id = &id, .n_images = 1};
    for (size_t i = 0; i < COUNT(rows); i++) {
        NbArena arena = {0};
        NbError err = {0};
        NbCocoDetection *d = NULL;
        size_t n = 0;
        assert_int_equal(
            nb_coco_results_read("x.json", bytes_of(rows[i].text), &set, &arena, &d, &n, &err),
            NB_ERR_FORMAT);
        if (strncmp(err.message, rows[i].want, strlen(rows[i].want)) != 0)
            fail_msg("'%s', expected '%s'", err.message, rows[i].want);
        nb_arena_release(&arena);
    }
}

static void what_is_written_reads_back_the_same(void **state) {
    (void)state;
    static const size_t counts[] = {0, 1, 2, 1000};
    static NbCocoDetection d[1000];
    for (size_t i = 0; i < COUNT(d); i++) {
        d[i] = (NbCocoDetection){.image = (int64_t)i - 5, .category = INT64_MAX - (int64_t)i};
        for (int k = 0; k < 4; k++)
            d[i].xywh[k] = sin((double)i * 4 + k) * pow(10, (double)(i % 40) - 20);
        d[i].score = (double)(float)(1.0 / (double)(i + 3));
    }
    char folder[] = "/tmp/nibble-test-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char path[64];
    (void)snprintf(path, sizeof path, "%s/p.json", folder);
    for (size_t k = 0; k < COUNT(counts); k++) {
        NbArena arena = {0};
        NbError err = {0};
        NbCocoDetection *back = NULL;
        size_t n = 0;
        if (nb_coco_results_write(path, d, counts[k], NULL, &err) != NB_OK ||
            nb_coco_results_read_file(path, NULL, &arena, &back, &n, &err) != NB_OK)
            fail_msg("%s", err.message);
        assert_int_equal(n, counts[k]);
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(back[i].image, d[i].image);
            assert_int_equal(back[i].category, d[i].category);
            assert_memory_equal(back[i].xywh, d[i].xywh, sizeof d[i].xywh);
            assert_memory_equal(&back[i].score, &d[i].score, sizeof d[i].score);
        }
        nb_arena_release(&arena);
    }
    d[1].score = NAN;
    NbError err = {0};
    assert_int_equal(nb_coco_results_write(path, d, 2, NULL, &err), NB_ERR_ARGUMENT);
    (void)unlink(path);
    assert_int_equal(rmdir(folder), 0); /* nothing half-written stays */
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    static const char set_text[] =
        SET("{\"id\": 7}", "{\"image_id\": 7, \"category_id\": 1, \"bbox\": [1, 2, 3, 4]}");
    static const char list_text[] = "[" RESULT("7", "[1,2,3,4]", "0.5") "]";
    NbStatus status = NB_ERR_NOMEM;
    size_t takes = 0;
    while (status == NB_ERR_NOMEM) {
        NbArena arena = {.fail_at = ++takes};
        NbError err = {0};
        NbCocoSet set;
        NbCocoDetection *d = NULL;
        size_t n = 0;
        status = nb_coco_read("x.json", bytes_of(set_text), &arena, &set, &err);
        if (status == NB_OK)
            status =
                nb_coco_results_read("x.json", bytes_of(list_text), &set, &arena, &d, &n, &err);
        nb_arena_release(&arena);
    }
    assert_int_equal(status, NB_OK);
    assert_true(takes > 8);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_data_set_is_read),
        cmocka_unit_test(bad_data_sets_are_named),
        cmocka_unit_test(bad_result_lists_are_named),
        cmocka_unit_test(what_is_written_reads_back_the_same),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
