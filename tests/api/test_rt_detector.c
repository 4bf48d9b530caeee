/* SPDX-License-Identifier: Apache-2.0
 *
 * The public detector against what `nibble predict engine=int` printed for the same pictures, and
 * what it refuses. RT_FOLDER is what rt_model made. */
#include "base/file.h"
#include "base/parallel.h"
#include "data/letterbox.h"
#include "format/image.h"
#include "nibble/nibble.h"

#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SIDE = 96 };

static const char model_path[] = RT_FOLDER "/model.safetensors";

/* One thread's worth of everything. No cmocka inside, so that threads may use it. */
typedef struct Bench {
    NbArena arena;
    NbDetector *detector;
    json_t *predictions;
    NbError err;
    int compared;  /* boxes */
    int different; /* boxes, pictures with another count, failures */
} Bench;

static void bench_open(Bench *b, const NbDetectorOptions *options) {
    *b = (Bench){.predictions = json_load_file(RT_FOLDER "/predictions.json", 0, NULL)};
    if (!b->predictions || nb_detector_open(model_path, options, &b->detector, &b->err) != NB_OK)
        b->different++;
}

static void bench_close(Bench *b) {
    nb_detector_free(b->detector);
    json_decref(b->predictions);
    nb_arena_release(&b->arena);
}

static bool same_box(const NbDetector *d, const NbBox *box, const json_t *want) {
    const json_t *const xyxy = json_object_get(want, "xyxy");
    const float got[4] = {box->x1, box->y1, box->x2, box->y2};
    bool same = json_real_value(json_object_get(want, "conf")) == (double)box->conf &&
                json_integer_value(json_object_get(want, "class")) == box->cls &&
                strcmp(json_string_value(json_object_get(want, "name")),
                       nb_detector_class_name(d, box->cls)) == 0;
    for (size_t i = 0; i < 4; i++)
        same = same && json_real_value(json_array_get(xyxy, i)) == (double)got[i];
    return same;
}

static NbImage read_picture(const json_t *entry, NbArena *arena) {
    NbImage image = {0};
    NbError err;
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", RT_FOLDER,
                   json_string_value(json_object_get(entry, "path")));
    if (nb_image_read(path, arena, &image, &err) != NB_OK)
        image.rgb = NULL;
    return image;
}

/* Detects in every picture of the predictions; rows lie `gap` bytes further apart than needed. */
static void bench_compare(Bench *b, size_t gap) {
    size_t i;
    json_t *entry;
    if (!b->detector)
        return;
    json_array_foreach(json_object_get(b->predictions, "images"), i, entry) {
        const json_t *const want = json_object_get(entry, "detections");
        const NbImage image = read_picture(entry, &b->arena);
        const size_t row = (size_t)image.width * 3;
        uint8_t *const rgb = NB_NEW(&b->arena, uint8_t, (row + gap) * (size_t)image.height);
        for (size_t y = 0; rgb && y < (size_t)image.height; y++) {
            memset(rgb + y * (row + gap), 255, row + gap);
            memcpy(rgb + y * (row + gap), image.rgb + y * row, row);
        }
        const NbBox *box = NULL;
        size_t n = 0;
        if (nb_detector_detect(b->detector, rgb, image.width, image.height, gap ? row + gap : 0,
                               &box, &n, &b->err) != NB_OK ||
            n != json_array_size(want))
            b->different++;
        for (size_t k = 0; k < n; k++, b->compared++)
            if (!same_box(b->detector, &box[k], json_array_get(want, k)))
                b->different++;
    }
}

static NbDetectorOptions options_low(void) {
    return (NbDetectorOptions){.size = sizeof(NbDetectorOptions), .conf = 0.01};
}

static void boxes_are_those_of_predict(void **state) {
    (void)state;
    static const struct {
        const char *isa;
        int threads;
        size_t gap;
    } rows[] = {{"c", 1, 0}, {"c", 3, 5}, {NULL, 1, 1}, {NULL, 4, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        NbDetectorOptions o = options_low();
        o.isa = rows[i].isa;
        o.threads = rows[i].threads;
        Bench b;
        bench_open(&b, &o);
        bench_compare(&b, rows[i].gap);
        bench_compare(&b, 0); /* nothing stays from picture to picture */
        assert_string_equal(b.err.message, "");
        assert_int_equal(b.different, 0);
        assert_true(b.compared > 20);
        bench_close(&b);
    }
}

static NbPoolWork compare_in_thread;
static void compare_in_thread(void *user, int index, int worker) {
    (void)worker;
    Bench *const b = (Bench *)user + index;
    NbDetectorOptions o = options_low();
    o.threads = 2;
    bench_open(b, &o);
    for (int i = 0; i < 3; i++)
        bench_compare(b, (size_t)index);
}

static void detectors_are_independent(void **state) {
    (void)state;
    Bench bench[2];
    NbPool *pool = NULL;
    NbError err;
    assert_int_equal(nb_pool_new(2, &pool, &err), NB_OK);
    nb_pool_run(pool, 2, compare_in_thread, bench);
    nb_pool_free(pool);
    for (int i = 0; i < 2; i++) {
        assert_string_equal(bench[i].err.message, "");
        assert_int_equal(bench[i].different, 0);
        assert_true(bench[i].compared > 60);
        bench_close(&bench[i]);
    }
}

static void pictures_differ(void **state) { /* or the comparisons above would show little */
    (void)state;
    Bench b;
    const NbDetectorOptions o = options_low();
    bench_open(&b, &o);
    const json_t *const images = json_object_get(b.predictions, "images");
    const json_t *const first =
        json_array_get(json_object_get(json_array_get(images, 0), "detections"), 0);
    const json_t *const second =
        json_array_get(json_object_get(json_array_get(images, 1), "detections"), 0);
    assert_true(json_real_value(json_object_get(first, "conf")) !=
                json_real_value(json_object_get(second, "conf")));
    bench_close(&b);
}

/* ---- the rest of what it offers ---- */

static NbDetector *open_low(void) {
    NbDetector *d = NULL;
    NbError err = {{0}};
    const NbDetectorOptions o = options_low();
    if (nb_detector_open(model_path, &o, &d, &err) != NB_OK)
        fail_msg("%s", err.message);
    return d;
}

static void raw_outputs_are_those_behind_the_boxes(void **state) {
    (void)state;
    NbArena arena = {0};
    NbError err = {{0}};
    NbDetector *const d = open_low();
    int dim[3];
    assert_null(nb_detector_output(d, 0, dim));
    uint8_t *const rgb = NB_NEW(&arena, uint8_t, 50 * 70 * 3);
    uint8_t *const input = NB_NEW(&arena, uint8_t, SIDE * SIDE * 3);
    for (int i = 0; i < 50 * 70 * 3; i++)
        rgb[i] = (uint8_t)(i * 7919 >> 5);
    const NbBox *box;
    size_t n;
    assert_int_equal(nb_detector_detect(d, rgb, 50, 70, 0, &box, &n, &err), NB_OK);
    const float *const raw = nb_detector_output(d, 0, dim);
    assert_non_null(raw);
    const size_t count = (size_t)dim[0] * (size_t)dim[1] * (size_t)dim[2];
    float *const kept = NB_NEW(&arena, float, count);
    memcpy(kept, raw, count * sizeof *kept);
    const NbLetterboxOptions how = {.height = SIDE, .width = SIDE};
    const NbLetterbox plan = nb_letterbox_plan(50, 70, &how);
    assert_int_equal(
        nb_letterbox(nb_pixels(rgb, 50, 70), &plan, nb_pixels(input, SIDE, SIDE), &arena, &err),
        NB_OK);
    assert_int_equal(nb_detector_run(d, input, SIDE * SIDE * 3, &err), NB_OK);
    assert_memory_equal(nb_detector_output(d, 0, NULL), kept, count * sizeof *kept);
    memset(input, 0, SIDE * SIDE * 3);
    assert_int_equal(nb_detector_run(d, input, SIDE * SIDE * 3, &err), NB_OK);
    assert_memory_not_equal(nb_detector_output(d, 0, NULL), kept, count * sizeof *kept);
    assert_null(nb_detector_output(d, -1, NULL));
    assert_null(nb_detector_output(d, 99, NULL));
    nb_detector_free(d);
    nb_arena_release(&arena);
}

static void info_tells_the_network(void **state) {
    (void)state;
    NbError err = {{0}};
    NbDetectorOptions o = options_low();
    NbDetector *d = NULL;
    NbDetectorInfo info = {.size = sizeof info};
    o.threads = 2;
    o.imgsz = 65;
    o.isa = "c";
    assert_int_equal(nb_detector_open(model_path, &o, &d, &err), NB_OK);
    assert_int_equal(nb_detector_info(d, &info, &err), NB_OK);
    assert_int_equal(info.width, 96); /* the next multiple of 32 */
    assert_int_equal(info.height, 96);
    assert_int_equal(info.classes, 3);
    assert_int_equal(info.outputs, 1);
    assert_int_equal(info.threads, 2);
    assert_string_equal(info.isa, "c");
    assert_true(info.bytes > 10000);
    assert_string_equal(nb_detector_class_name(d, 0), "circle");
    assert_null(nb_detector_class_name(d, 3));
    assert_null(nb_detector_class_name(d, -1));
    assert_null(nb_detector_class_name(NULL, 0));
    nb_detector_free(d);
    nb_detector_free(NULL);
    assert_true(strlen(nb_version()) >= 5);
    assert_string_equal(nb_status_text(NB_ERR_FORMAT), "bad input");
    assert_string_equal(nb_status_text((NbStatus)77), "unknown status");
}

static size_t count_boxes(NbDetector *d, const NbImage *image, const NbBox **box) {
    NbError err = {{0}};
    size_t n = 99999;
    if (nb_detector_detect(d, image->rgb, image->width, image->height, 0, box, &n, &err) != NB_OK)
        fail_msg("%s", err.message);
    return n;
}

static void options_are_obeyed(void **state) {
    (void)state;
    Bench b;
    const NbDetectorOptions low = options_low();
    bench_open(&b, &low);
    const NbImage image =
        read_picture(json_array_get(json_object_get(b.predictions, "images"), 1), &b.arena);
    const NbBox *box = NULL;
    const size_t all = count_boxes(b.detector, &image, &box);
    const int one_class = box[0].cls;
    assert_int_equal(nb_detector_set_thresholds(b.detector, 0.9999, 0.0, &b.err), NB_OK);
    assert_int_equal(count_boxes(b.detector, &image, &box), 0);
    assert_non_null(box);
    assert_int_equal(nb_detector_set_thresholds(b.detector, 0.01, 1.0, &b.err), NB_OK);
    const size_t unsuppressed = count_boxes(b.detector, &image, &box);
    assert_true(unsuppressed > all);
    bench_close(&b);

    NbDetectorOptions o = options_low();
    o.max_det = 2;
    bench_open(&b, &o);
    const NbImage again =
        read_picture(json_array_get(json_object_get(b.predictions, "images"), 1), &b.arena);
    assert_int_equal(count_boxes(b.detector, &again, &box), 2);
    nb_detector_free(b.detector);
    o.max_det = 0;
    o.classes = &one_class;
    o.n_classes = 1;
    assert_int_equal(nb_detector_open(model_path, &o, &b.detector, &b.err), NB_OK);
    const size_t n = count_boxes(b.detector, &again, &box);
    assert_true(n > 0 && n <= all);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(box[i].cls, one_class);
    nb_detector_free(b.detector);
    o.n_classes = 0; /* a list of none */
    assert_int_equal(nb_detector_open(model_path, &o, &b.detector, &b.err), NB_OK);
    assert_int_equal(count_boxes(b.detector, &again, &box), 0);
    bench_close(&b);
}

static void agnostic_boxes_drop_each_other(void **state) {
    (void)state;
    size_t n[2];
    for (int agnostic = 0; agnostic < 2; agnostic++) {
        NbDetectorOptions o = options_low();
        o.conf = 0.0001; /* every class of every box */
        o.agnostic = agnostic;
        Bench b;
        bench_open(&b, &o);
        const NbImage image =
            read_picture(json_array_get(json_object_get(b.predictions, "images"), 1), &b.arena);
        const NbBox *box = NULL;
        n[agnostic] = count_boxes(b.detector, &image, &box);
        bench_close(&b);
    }
    assert_true(n[1] > 0 && n[1] < n[0]);
}

/* ---- callers of other versions ---- */

static void structures_may_grow(void **state) {
    (void)state;
    struct {
        NbDetectorOptions known;
        unsigned char later[16];
    } newer = {.known = options_low()};
    NbError err = {{0}};
    NbDetector *d = NULL;
    newer.known.size = sizeof newer;
    const NbDetectorOptions *const options = &newer.known;
    assert_int_equal(nb_detector_open(model_path, options, &d, &err), NB_OK);
    struct {
        NbDetectorInfo known;
        unsigned char later[16];
    } info;
    memset(&info, 0xAA, sizeof info);
    info.known.size = sizeof info;
    assert_int_equal(nb_detector_info(d, &info.known, &err), NB_OK);
    assert_int_equal(info.known.classes, 3);
    for (size_t i = 0; i < sizeof info.later; i++)
        assert_int_equal(info.later[i], 0);
    memset(&info, 0xAA, sizeof info);
    info.known.size = offsetof(NbDetectorInfo, classes);
    assert_int_equal(nb_detector_info(d, &info.known, &err), NB_OK);
    assert_int_equal(info.known.width, SIDE);
    assert_int_equal((unsigned)info.known.classes, 0xAAAAAAAAU);
    nb_detector_free(d);

    newer.later[9] = 1;
    assert_int_equal(nb_detector_open(model_path, options, &d, &err), NB_ERR_ARGUMENT);
    assert_non_null(strstr(err.message, "does not know"));
    assert_null(d);
    newer.known.size = offsetof(NbDetectorOptions, threads); /* an older caller: the rest is 0 */
    newer.known.threads = -5;
    newer.known.imgsz = 64;
    assert_int_equal(nb_detector_open(model_path, options, &d, &err), NB_OK);
    nb_detector_free(d);
}

/* ---- refusals ---- */

static void options_out_of_range_are_named(void **state) {
    (void)state;
    static const int none = -1;
    static const struct {
        NbDetectorOptions options;
        const char *want;
    } rows[] = {
        {{.size = 0}, "size: sizeof(NbDetectorOptions) expected, found 0"},
        {{.size = 4}, "size: sizeof(NbDetectorOptions) expected, found 4"},
        {{.size = sizeof(NbDetectorOptions), .conf = 1.0}, "conf: 0 to below 1 expected, found 1"},
        {{.size = sizeof(NbDetectorOptions), .conf = -0.1}, "conf: 0 to below 1"},
        {{.size = sizeof(NbDetectorOptions), .conf = NAN},
         "conf: 0 to below 1 expected, found nan"},
        {{.size = sizeof(NbDetectorOptions), .iou = 1.5}, "iou: 0 to 1 expected, found 1.5"},
        {{.size = sizeof(NbDetectorOptions), .max_det = -1}, "max_det: 0 or 1 to 100000 expected"},
        {{.size = sizeof(NbDetectorOptions), .threads = 257}, "threads: 0 or 1 to 256 expected"},
        {{.size = sizeof(NbDetectorOptions), .imgsz = 9000}, "imgsz: 0 or 32 to 8192 expected"},
        {{.size = sizeof(NbDetectorOptions), .imgsz = 31}, "imgsz: 0 or 32 to 8192 expected"},
        {{.size = sizeof(NbDetectorOptions), .isa = "mmx"}, "isa"},
        {{.size = sizeof(NbDetectorOptions), .n_classes = 2},
         "n_classes is 2, but classes is NULL"},
        {{.size = sizeof(NbDetectorOptions), .classes = &none, .n_classes = 1},
         "classes[0]: 0 to 2 expected, found -1"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        NbError err = {{0}};
        NbDetector *d = (NbDetector *)&err;
        assert_int_equal(nb_detector_open(model_path, &rows[i].options, &d, &err), NB_ERR_ARGUMENT);
        assert_null(d);
        if (!strstr(err.message, rows[i].want))
            fail_msg("row %zu: \"%s\" lacks \"%s\"", i, err.message, rows[i].want);
    }
}

static void bad_files_are_named(void **state) {
    (void)state;
    static const struct {
        const char *path;
        NbStatus status;
        const char *want;
    } rows[] = {
        {RT_FOLDER "/none.safetensors", NB_ERR_FORMAT, "none.safetensors"},
        {RT_FOLDER, NB_ERR_FORMAT, RT_FOLDER},
        {RT_FOLDER "/predictions.json", NB_ERR_FORMAT, "predictions.json"},
        {RT_FOLDER "/pictures/0.png", NB_ERR_FORMAT, "0.png"},
        {RT_FOLDER "/float.safetensors", NB_ERR_UNSUPPORTED,
         "float.safetensors: the model has no quantizers"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        NbError err = {{0}};
        NbDetector *d = NULL;
        const NbStatus status = nb_detector_open(rows[i].path, NULL, &d, &err);
        if (status != rows[i].status || d || !strstr(err.message, rows[i].want))
            fail_msg("%s: status %d, \"%s\"", rows[i].path, (int)status, err.message);
        assert_int_equal(nb_detector_open(rows[i].path, NULL, &d, NULL), rows[i].status);
    }
}

static void damaged_bytes_are_refused(void **state) {
    (void)state;
    NbArena arena = {0};
    NbError err = {{0}};
    NbDetector *d = NULL;
    NbBytes file;
    assert_int_equal(nb_file_read(model_path, 0, &arena, &file, &err), NB_OK);
    assert_int_equal(nb_detector_open_memory(file.data, file.size, NULL, &d, &err), NB_OK);
    nb_detector_free(d);
    for (size_t cut = 0; cut < 60; cut++) {
        const size_t size = cut < 20 ? cut : file.size * (cut - 20) / 40;
        uint8_t *const part = malloc(size ? size : 1); /* so that reading behind the end is seen */
        assert_non_null(part);
        memcpy(part, file.data, size);
        err.message[0] = '\0';
        assert_int_equal(nb_detector_open_memory(part, size, NULL, &d, &err), NB_ERR_FORMAT);
        assert_non_null(strstr(err.message, "checkpoint in memory: "));
        assert_null(d);
        free(part);
    }
    nb_arena_release(&arena);
}

static void wrong_use_is_answered(void **state) {
    (void)state;
    static uint8_t rgb[64 * 64 * 3];
    NbError err = {{0}};
    NbDetector *const d = open_low();
    NbDetector *other = NULL;
    NbDetectorInfo info = {0};
    const NbBox *box = NULL;
    size_t n = 0;
    const struct {
        NbStatus got;
        const char *why;
    } rows[] = {
        {nb_detector_open(NULL, NULL, &other, &err), "no path"},
        {nb_detector_open(model_path, NULL, NULL, &err), "no out"},
        {nb_detector_open_memory(NULL, 9, NULL, &other, &err), "no data"},
        {nb_detector_open_memory(rgb, 9, NULL, NULL, &err), "no out for memory"},
        {nb_detector_info(NULL, &info, &err), "info of none"},
        {nb_detector_info(d, NULL, &err), "info into nothing"},
        {nb_detector_info(d, &info, &err), "info of size 0"},
        {nb_detector_set_thresholds(NULL, 0, 0, &err), "thresholds of none"},
        {nb_detector_set_thresholds(d, 2.0, 0, &err), "conf 2"},
        {nb_detector_set_thresholds(d, 0.5, -1.0, &err), "iou -1"},
        {nb_detector_detect(NULL, rgb, 64, 64, 0, &box, &n, &err), "none detects"},
        {nb_detector_detect(d, NULL, 64, 64, 0, &box, &n, &err), "no picture"},
        {nb_detector_detect(d, rgb, 0, 64, 0, &box, &n, &err), "width 0"},
        {nb_detector_detect(d, rgb, 64, -1, 0, &box, &n, &err), "height -1"},
        {nb_detector_detect(d, rgb, 65536, 1, 0, &box, &n, &err), "width 65536"},
        {nb_detector_detect(d, rgb, 64, 64, 191, &box, &n, &err), "rows overlap"},
        {nb_detector_detect(d, rgb, 64, 64, 0, NULL, &n, &err), "no boxes"},
        {nb_detector_detect(d, rgb, 64, 64, 0, &box, NULL, &err), "no count"},
        {nb_detector_run(NULL, rgb, sizeof rgb, &err), "none runs"},
        {nb_detector_run(d, NULL, SIDE * SIDE * 3, &err), "no input"},
        {nb_detector_run(d, rgb, sizeof rgb, &err), "input of another size"},
        {nb_detector_run(d, NULL, 0, NULL), "and nobody listens"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].got != NB_ERR_ARGUMENT)
            fail_msg("%s: status %d", rows[i].why, (int)rows[i].got);
    assert_null(box);
    assert_null(nb_detector_output(NULL, 0, NULL));
    assert_int_equal(nb_detector_run(d, rgb, sizeof rgb, &err), NB_ERR_ARGUMENT);
    assert_string_equal(err.message, "input: 96 x 96 x 3 = 27648 bytes expected, found 12288 at "
                                     "the address given");
    assert_int_equal(nb_detector_detect(d, rgb, 64, 64, 0, &box, &n, &err),
                     NB_OK); /* still works */
    assert_int_equal(nb_detector_detect(d, rgb, 1, 4096, 0, &box, &n, &err), NB_OK);
    nb_detector_free(d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(boxes_are_those_of_predict),
        cmocka_unit_test(detectors_are_independent),
        cmocka_unit_test(pictures_differ),
        cmocka_unit_test(raw_outputs_are_those_behind_the_boxes),
        cmocka_unit_test(info_tells_the_network),
        cmocka_unit_test(options_are_obeyed),
        cmocka_unit_test(agnostic_boxes_drop_each_other),
        cmocka_unit_test(structures_may_grow),
        cmocka_unit_test(options_out_of_range_are_named),
        cmocka_unit_test(bad_files_are_named),
        cmocka_unit_test(damaged_bytes_are_refused),
        cmocka_unit_test(wrong_use_is_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
