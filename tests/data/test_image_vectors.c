/* SPDX-License-Identifier: Apache-2.0
 *
 * Picture operations against OpenCV and the functions of the sources, byte for byte. The vectors
 * are BGR; only the HSV cases care. */
#include "data/hsv.h"
#include "data/letterbox.h"
#include "data/mosaic.h"
#include "data/resize.h"
#include "data/warp.h"
#include "support/vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

static NbPixels blank(const NbCase *c, int width, int height) {
    uint8_t *const data = NB_NEW(&c->all->arena, uint8_t, (size_t)width * (size_t)height * 3);
    assert_non_null(data);
    return nb_pixels(data, width, height);
}

static NbPixels picture(const NbCase *c, const char *array) {
    const NbTensor t = nb_case_array(c, array);
    assert_int_equal(t.dtype, NB_U8);
    assert_int_equal(t.shape.rank, 3);
    const NbPixels p = blank(c, (int)t.shape.dim[1], (int)t.shape.dim[0]);
    memcpy(p.data, t.data, nb_tensor_count(&t));
    return p;
}

static void swap_channels(NbPixels p) {
    for (size_t i = 0; i < (size_t)p.width * (size_t)p.height; i++) {
        const uint8_t keep = p.data[3 * i];
        p.data[3 * i] = p.data[3 * i + 2];
        p.data[3 * i + 2] = keep;
    }
}

static bool same_bytes(const NbCase *c, const char *array, const uint8_t *got, size_t n) {
    float *const wide = NB_NEW(&c->all->arena, float, n);
    assert_non_null(wide);
    for (size_t i = 0; i < n; i++)
        wide[i] = (float)got[i];
    return nb_case_compare_rule(c, array, "exact", wide, n);
}

static bool same_picture(const NbCase *c, const char *array, NbPixels p) {
    const NbTensor t = nb_case_array(c, array);
    if (t.shape.dim[0] != p.height || t.shape.dim[1] != p.width) {
        print_error("%s: %s is %d x %d, expected %d x %d\n", c->id, array, p.width, p.height,
                    (int)t.shape.dim[1], (int)t.shape.dim[0]);
        return false;
    }
    return same_bytes(c, array, p.data, (size_t)p.width * (size_t)p.height * 3);
}

static double number(const NbCase *c, const char *key, size_t i) {
    return json_number_value(json_array_get(json_object_get(c->params, key), i));
}

static double number_at(const NbCase *c, const char *key, size_t i, size_t j) {
    const json_t *const row = json_array_get(json_object_get(c->params, key), i);
    return json_number_value(json_array_get(row, j));
}

static bool letterbox(const NbCase *c) {
    NbError err = {0};
    const NbPixels from = picture(c, "image");
    const NbLetterboxOptions o = {.height = (int)number(c, "new_shape_hw", 0),
                                  .width = (int)number(c, "new_shape_hw", 1),
                                  .rect = nb_case_bool(c, "auto", false),
                                  .no_upscale = !nb_case_bool(c, "scaleup", true),
                                  .stretch = nb_case_bool(c, "scaleFill", false),
                                  .stride = (int)nb_case_number(c, "stride", 32)};
    const NbLetterbox plan = nb_letterbox_plan(from.width, from.height, &o);
    if (json_object_get(c->params, "ratio")) {
        assert_true(plan.gain[0] == nb_case_number(c, "ratio", 0));
        for (size_t k = 0; k < 2; k++) {
            assert_true(plan.half[k] == number(c, "pad_half_wh", k));
            assert_int_equal(plan.size[k], (int)number(c, "resized_hw", 1 - k));
        }
    }
    const NbPixels to = blank(c, plan.out[0], plan.out[1]);
    memset(to.data, 7, (size_t)to.width * (size_t)to.height * 3);
    assert_int_equal(nb_letterbox(from, &plan, to, &c->all->arena, &err), NB_OK);
    return same_picture(c, "out", to);
}

static bool load_image(const NbCase *c) {
    static const struct {
        const char *array;
        NbLoadRule rule;
    } sources[] = {{"q.out", NB_LOAD_YOLOV5}, {"y10.out", NB_LOAD_ULTRALYTICS}};
    NbError err = {0};
    const NbPixels from = picture(c, "image");
    const int imgsz = (int)nb_case_number(c, "img_size", 0);
    bool ok = true;
    for (size_t i = 0; i < 2; i++) {
        if (!nb_case_has(c, sources[i].array))
            continue;
        int size[2];
        nb_load_size(from.width, from.height, imgsz, sources[i].rule, size);
        const NbPixels to = blank(c, size[0], size[1]);
        assert_int_equal(nb_load_resize(from, to, sources[i].rule,
                                        nb_case_bool(c, "augment", false), &c->all->arena, &err),
                         NB_OK);
        ok &= same_picture(c, sources[i].array, to);
    }
    return ok;
}

static bool hsv_convert(const NbCase *c) {
    const NbPixels p = picture(c, "image");
    swap_channels(p);
    nb_rgb_to_hsv(p, p);
    bool ok = same_picture(c, "hsv", p);
    nb_hsv_to_rgb(p, p);
    swap_channels(p);
    ok &= same_picture(c, "back", p);
    return ok;
}

static bool hsv_to_bgr(const NbCase *c) {
    const NbPixels p = picture(c, "hsv");
    nb_hsv_to_rgb(p, p);
    swap_channels(p);
    return same_picture(c, "bgr", p);
}

static bool augment_hsv(const NbCase *c) {
    static const struct {
        const char *array;
        NbHsvRule rule;
    } sources[] = {{"q.out", NB_HSV_YOLOV5}, {"ul.out", NB_HSV_ULTRALYTICS}};
    static const char *const gain[] = {"hgain", "sgain", "vgain"};
    double change[3];
    for (size_t k = 0; k < 3; k++)
        change[k] = (2.0 * number(c, "u01", k) - 1.0) * nb_case_number(c, gain[k], 0);
    bool ok = true;
    for (size_t i = 0; i < 2; i++) {
        if (!nb_case_has(c, sources[i].array))
            continue;
        NbHsvTables t;
        nb_hsv_tables(change, sources[i].rule, &t);
        if (sources[i].rule == NB_HSV_YOLOV5) {
            uint8_t all[3 * 256];
            memcpy(all, t.hue, 256);
            memcpy(all + 256, t.saturation, 256);
            memcpy(all + 512, t.value, 256);
            ok &= same_bytes(c, "lut", all, sizeof all);
        }
        const NbPixels p = picture(c, "image");
        swap_channels(p);
        nb_hsv_adjust(p, &t);
        swap_channels(p);
        ok &= same_picture(c, sources[i].array, p);
    }
    return ok;
}

/* The matrix of the record, after comparing what our draws make of it: those are float32 there. */
static NbWarp warp_of(const NbCase *c, NbPixels from, const int out[2]) {
    size_t n;
    const float *const u = nb_case_f32(c, "u01", &n);
    assert_int_equal(n, NB_WARP_DRAWS);
    double unit[NB_WARP_DRAWS];
    for (size_t i = 0; i < n; i++)
        unit[i] = (double)u[i];
    const NbWarpRanges ranges = {.degrees = nb_case_number(c, "degrees", 0),
                                 .translate = nb_case_number(c, "translate", 0),
                                 .scale = nb_case_number(c, "scale", 0),
                                 .shear = nb_case_number(c, "shear", 0),
                                 .perspective = nb_case_number(c, "perspective", 0)};
    NbWarp w = nb_warp_draw(unit, &ranges, from.width, from.height, out[0], out[1]);
    const size_t rows = json_array_size(json_object_get(c->params, "M_float64"));
    for (size_t i = 0; i < 3 * rows; i++) {
        const double want = number_at(c, "M_float64", i / 3, i % 3);
        assert_true(fabs(w.m[i] - want) < 1e-5 * fmax(1.0, fabs(want)));
        w.m[i] = want;
    }
    return w;
}

static bool warp_labels(const NbCase *c, const NbWarp *w, const int out[2]) {
    size_t n;
    const float *const row = nb_case_f32(c, "labels", &n);
    float *const got = NB_NEW(&c->all->arena, float, n);
    assert_non_null(got);
    size_t kept = 0;
    for (size_t i = 0; i < n; i += 5) {
        if (!nb_warp_box(w, row + i + 1, out[0], out[1], 20.0, got + kept + 1))
            continue;
        got[kept] = row[i];
        kept += 5;
    }
    const NbTensor want = nb_case_array(c, "labels_out");
    if (kept != nb_tensor_count(&want)) {
        print_error("%s: %zu boxes left, expected %zu\n", c->id, kept / 5,
                    nb_tensor_count(&want) / 5);
        return false;
    }
    return nb_case_compare(c, "labels_out", got, kept);
}

static bool random_perspective(const NbCase *c) {
    NbError err = {0};
    const NbPixels from = picture(c, "image");
    const int out[2] = {from.width + 2 * (int)number(c, "border", 1),
                        from.height + 2 * (int)number(c, "border", 0)};
    const NbWarp w = warp_of(c, from, out);
    const NbPixels to = blank(c, out[0], out[1]);
    if (!nb_case_bool(c, "moved", true))
        assert_true(nb_warp_is_identity(&w));
    assert_int_equal(nb_warp_pixels(from, &w, to, &c->all->arena, &err), NB_OK);
    bool ok = same_picture(c, "out", to);
    /* only what nb_warp_reads names may matter */
    int part[4];
    nb_warp_reads(&w, from.width, from.height, out[0], out[1], part);
    const NbPixels poisoned = blank(c, from.width, from.height);
    memset(poisoned.data, 1, (size_t)from.width * (size_t)from.height * 3);
    nb_pixels_copy(nb_pixels_part(from, part[0], part[1], part[2], part[3]),
                   nb_pixels_part(poisoned, part[0], part[1], part[2], part[3]));
    assert_int_equal(nb_warp_pixels(poisoned, &w, to, &c->all->arena, &err), NB_OK);
    ok &= same_picture(c, "out", to);
    ok &= warp_labels(c, &w, out);
    return ok;
}

/* The labels of a flip: class, cx, cy, w, h. */
static bool flip_labels(const NbCase *c, const char *array, size_t axis) {
    size_t n;
    const float *const row = nb_case_f32(c, "labels", &n);
    float *const got = NB_NEW(&c->all->arena, float, n);
    assert_non_null(got);
    memcpy(got, row, n * sizeof *got);
    for (size_t i = 0; i < n; i += 5)
        nb_box_flip(got + i + 1, (int)axis);
    return nb_case_compare(c, array, got, n);
}

static bool flip(const NbCase *c) {
    const NbPixels lr = picture(c, "image");
    nb_pixels_flip_lr(lr);
    bool ok = same_picture(c, "lr", lr);
    const NbPixels ud = picture(c, "image");
    nb_pixels_flip_ud(ud);
    ok &= same_picture(c, "ud", ud);
    ok &= flip_labels(c, "lr_labels", 0);
    ok &= flip_labels(c, "ud_labels", 1);
    return ok;
}

/* Places one picture and its boxes; returns how many numbers were written. */
static size_t mosaic_tile(const NbCase *c, int k, NbPixels canvas, float *out) {
    NbError err = {0};
    const int size = canvas.width / 2;
    const int all[4] = {0, 0, 2 * size, 2 * size};
    const int source = (int)number(c, "order", (size_t)k);
    char name[32];
    (void)snprintf(name, sizeof name, "image%d", source);
    const NbPixels from = picture(c, name);
    int to[2];
    nb_load_size(from.width, from.height, size, NB_LOAD_YOLOV5, to);
    const NbPixels resized = blank(c, to[0], to[1]);
    assert_int_equal(nb_load_resize(from, resized, NB_LOAD_YOLOV5, true, &c->all->arena, &err),
                     NB_OK);
    const NbTile tile = nb_mosaic_tile(k, size, (int)number(c, "centre_yc_xc", 1),
                                       (int)number(c, "centre_yc_xc", 0), to[0], to[1]);
    nb_mosaic_copy(&tile, resized, canvas, all);
    (void)snprintf(name, sizeof name, "labels%d", source);
    size_t n;
    const float *const row = nb_case_f32(c, name, &n);
    for (size_t i = 0; i < n; i += 5) {
        out[i] = row[i];
        nb_box_place(row + i + 1, (float)to[0], (float)to[1], (float)(tile.x - tile.from_x),
                     (float)(tile.y - tile.from_y), out + i + 1);
        for (size_t j = i + 1; j < i + 5; j++)
            out[j] = fminf(fmaxf(out[j], 0.0F), 2.0F * (float)size);
    }
    return n;
}

static bool mosaic(const NbCase *c) {
    const int size = (int)nb_case_number(c, "img_size", 0);
    const NbPixels canvas = blank(c, 2 * size, 2 * size);
    nb_pixels_fill(canvas, NB_PIXEL_PAD);
    const NbTensor want = nb_case_array(c, "labels_canvas");
    float *const boxes = NB_NEW(&c->all->arena, float, nb_tensor_count(&want) + 5000);
    assert_non_null(boxes);
    size_t used = 0;
    for (int k = 0; k < 4; k++)
        used += mosaic_tile(c, k, canvas, boxes + used);
    const bool ok = same_picture(c, "canvas", canvas);
    assert_int_equal(nb_tensor_count(&want), used);
    return nb_case_compare(c, "labels_canvas", boxes, used) && ok;
}

static void every_case_gives_the_same_bytes(void **state) {
    (void)state;
    static const struct {
        const char *kind;
        bool (*run)(const NbCase *c);
    } kinds[] = {
        {"letterbox", letterbox},
        {"load_image", load_image},
        {"hsv_convert", hsv_convert},
        {"hsv_to_bgr", hsv_to_bgr},
        {"augment_hsv", augment_hsv},
        {"random_perspective", random_perspective},
        {"flip", flip},
        {"mosaic", mosaic},
    };
    NbCases *const cases = nb_cases_open("letterbox");
    int bad = 0;
    for (int i = 0; i < cases->count; i++) {
        const NbCase c = nb_cases_get(cases, i);
        size_t k = 0;
        while (k < sizeof kinds / sizeof *kinds && strcmp(c.kind, kinds[k].kind) != 0)
            k++;
        if (k == sizeof kinds / sizeof *kinds) {
            print_error("%s: unknown kind %s\n", c.id, c.kind);
            bad++;
        } else if (!kinds[k].run(&c)) {
            bad++;
        }
    }
    print_message("%d picture cases, %d differ\n", cases->count, bad);
    nb_cases_close(cases);
    assert_int_equal(bad, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_case_gives_the_same_bytes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
