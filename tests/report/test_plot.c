/* SPDX-License-Identifier: Apache-2.0 */
#include "format/image.h"
#include "report/figures.h"
#include "report/plot.h"
#include "scratch.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void ticks_are_round_and_cover_the_range(void **state) {
    (void)state;
    static const struct {
        double lo, hi;
        int most;
        double want_lo, want_hi, want_step;
    } rows[] = {
        {0.0, 1.0, 5, 0.0, 1.0, 0.2},
        {0.0, 1.0, 10, 0.0, 1.0, 0.1},
        {0.13, 0.87, 5, 0.0, 1.0, 0.2},
        {0.0, 103.0, 4, 0.0, 150.0, 50.0},
        {-3.2, 7.9, 6, -4.0, 8.0, 2.0},
        {1e-5, 9e-5, 5, 0.0, 1e-4, 2e-5},
        {5.0, 5.0, 2, 4.5, 5.5, 0.5},
        {0.0, 0.0, 2, -0.5, 0.5, 0.5},
        {INFINITY, -INFINITY, 4, 0.0, 1.0, 0.5},
        {NAN, 1.0, 4, 0.0, 1.0, 0.5},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        NbRange r = {0};
        double step = 0.0;
        nb_nice_ticks(rows[i].lo, rows[i].hi, rows[i].most, &r, &step);
        if (fabs(step - rows[i].want_step) > 1e-9 * rows[i].want_step ||
            fabs(r.lo - rows[i].want_lo) > 1e-9 * step ||
            fabs(r.hi - rows[i].want_hi) > 1e-9 * step)
            fail_msg("row %zu: %g to %g by %g", i, r.lo, r.hi, step);
    }
}

static void ticks_have_the_decimals_of_their_step(void **state) {
    (void)state;
    static const struct {
        double value, step;
        const char *want;
    } rows[] = {
        {0.0, 0.2, "0"},         {0.2, 0.2, "0.2"},    {1.0, 0.25, "1.0"},
        {0.05, 0.05, "0.05"},    {-4.0, 2.0, "-4"},    {1e-17, 0.1, "0"},
        {1500.0, 500.0, "1.5k"}, {2e6, 1e6, "2M"},     {2e-5, 1e-5, "2e-05"},
        {0.002, 0.001, "0.002"}, {120.0, 20.0, "120"}, {3e9, 1e9, "3e+09"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[32];
        nb_tick_text(rows[i].value, rows[i].step, text, sizeof text);
        assert_string_equal(text, rows[i].want);
    }
}

static void a_canvas_refuses_what_it_cannot_be(void **state) {
    (void)state;
    NbError err = {0};
    NbCanvas *canvas = NULL;
    assert_int_equal(nb_canvas_open("plot.pdf", 100, 100, 1, &canvas, &err), NB_ERR_ARGUMENT);
    assert_string_equal(err.message, "plot.pdf: expected a name in .png, .jpg or .svg");
    assert_int_equal(nb_canvas_open("plot.png", 100, 1e6, 1, &canvas, &err), NB_ERR_ARGUMENT);
    assert_int_equal(nb_canvas_open("plot.png", NAN, 10, 1, &canvas, &err), NB_ERR_ARGUMENT);
    assert_null(canvas);
    assert_int_equal(nb_canvas_open("/nowhere/at/all.png", 10, 10, 1, &canvas, &err), NB_OK);
    assert_int_equal(nb_canvas_commit(canvas, &err), NB_ERR_IO);
}

/* Pixels of exactly this colour. */
static size_t pixels_of(const NbImage *image, NbColor color) {
    size_t n = 0;
    for (size_t i = 0; i < (size_t)image->width * (size_t)image->height; i++) {
        const uint8_t *const p = image->rgb + i * 3;
        n += ((NbColor)p[0] << 16 | (NbColor)p[1] << 8 | p[2]) == color;
    }
    return n;
}

enum { W = 300, H = 200 };

static void draw_line(const double *y, size_t n, NbImage *image) {
    NbError err = {0};
    NbCanvas *canvas = NULL;
    double x[16];
    for (size_t i = 0; i < n; i++)
        x[i] = (double)i / (double)(n - 1);
    memset(image->rgb, 255, (size_t)W * H * 3);
    assert_int_equal(nb_canvas_from_image(image, &canvas, &err), NB_OK);
    const NbSeries series = {.x = x, .y = y, .n = n, .color = 0xFF0000, .width = 4.0};
    nb_plot_lines(canvas, (NbRect){0, 0, W, H},
                  &(NbLines){.series = &series, .n = 1, .x = {0, 1}, .y = {0, 1}});
    nb_canvas_to_image(canvas, image);
    nb_canvas_cancel(canvas);
}

static void a_value_that_is_missing_is_a_gap(void **state) {
    (void)state;
    static uint8_t rgb[W * H * 3];
    NbImage image = {W, H, rgb};
    const double whole[] = {0.5, 0.5, 0.5, 0.5, 0.5};
    const double holed[] = {0.5, 0.5, NAN, 0.5, 0.5};
    draw_line(whole, 5, &image);
    const size_t all = pixels_of(&image, 0xFF0000);
    draw_line(holed, 5, &image);
    const size_t some = pixels_of(&image, 0xFF0000);
    assert_true(all > 600);
    if (some < all * 4 / 10 || some > all * 6 / 10)
        fail_msg("%zu of %zu pixels", some, all);
}

static void heat_runs_from_white_to_dark(void **state) {
    (void)state;
    static uint8_t rgb[W * H * 3];
    NbImage image = {W, H, rgb};
    memset(rgb, 255, sizeof rgb);
    NbError err = {0};
    NbCanvas *canvas = NULL;
    const char *const names[] = {"a", "b"};
    const double values[] = {4.0, 0.0, 0.0, NAN};
    assert_int_equal(nb_canvas_from_image(&image, &canvas, &err), NB_OK);
    nb_plot_heat(
        canvas, (NbRect){0, 0, W, H},
        &(NbHeat){.x_names = names, .y_names = names, .values = values, .rows = 2, .columns = 2});
    nb_canvas_to_image(canvas, &image);
    nb_canvas_cancel(canvas);
    const size_t dark = pixels_of(&image, 0x082A63);
    const size_t white = pixels_of(&image, 0xFFFFFF);
    assert_in_range(dark, W * H / 10, W * H / 4);
    assert_in_range(white, W * H / 2, W * H * 9 / 10);
    const uint8_t *const upper_left = rgb + ((size_t)40 * W + 60) * 3;
    assert_int_equal(upper_left[2], 0x63);
}

static const char csv[] = "epoch,time,train/box_loss,train/cls_loss,metrics/mAP50(B),val/box_loss,"
                          "lr/pg0,lr/pg1,quant/mAP50,train/dfl_loss\n"
                          "1,3.2,2.5,3.1,0.1,2.7,0.01,0.01,0.08,0\n"
                          "2,6.4,2.1,2.6,0.3,2.4,0.009,0.009,,0\n"
                          "3,9.6,1.8,2.2,0.4,2.2,0.008,0.008,0.39,0\n";

static void results_become_one_picture_in_each_format(void **state) {
    (void)state;
    NbError err = {0};
    const char *const table = scratch("results.csv");
    scratch_write(table, csv);
    static const char *const names[] = {"a.png", "a.svg", "a.jpg"};
    static const char *const again[] = {"b.png", "b.svg", "b.jpg"};
    for (int i = 0; i < 3; i++) {
        if (nb_figure_results(table, scratch(names[i]), &err) != NB_OK)
            fail_msg("%s", err.message);
        assert_int_equal(nb_figure_results(table, scratch(again[i]), &err), NB_OK);
        assert_true(scratch_same(scratch(names[i]), scratch(again[i])));
    }
    /* four panels: box_loss, cls_loss, mAP50, learning rate, in one row */
    NbArena arena = {0};
    NbImage image = {0};
    assert_int_equal(nb_image_read(scratch("a.png"), &arena, &image, &err), NB_OK);
    assert_int_equal(image.width, 2 * (4 * 304 + 14));
    assert_int_equal(image.height, 2 * (234 + 14));
    assert_true(pixels_of(&image, nb_palette(0)) > 500);
    assert_true(pixels_of(&image, nb_palette(1)) > 300);
    nb_arena_release(&arena);
}

static void broken_results_say_where(void **state) {
    (void)state;
    static const struct {
        const char *text;
        const char *want;
    } rows[] = {
        {"step,loss\n1,2\n", "no column named epoch"},
        {"epoch,train/loss\n", "no row below the head"},
        {"epoch,train/loss\n1,2\n2\n", "row 2 has 1 cells, expected 2"},
        {"epoch,train/loss\n1,2,3\n", "row 1 has 3 cells, expected 2"},
        {"", "no row below the head"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        NbError err = {0};
        scratch_write(scratch("bad.csv"), rows[i].text);
        assert_int_equal(nb_figure_results(scratch("bad.csv"), scratch("bad.png"), &err),
                         NB_ERR_FORMAT);
        if (!strstr(err.message, rows[i].want))
            fail_msg("row %zu: %s", i, err.message);
        assert_false(nb_path_exists(scratch("bad.png")));
    }
}

static void one_epoch_and_padded_heads_are_enough(void **state) {
    (void)state;
    NbError err = {0};
    scratch_write(scratch("one.csv"),
                  "   epoch,  train/box_loss, x/lr0\r\n  0,  nan, 0.01\r\n\r\n");
    if (nb_figure_results(scratch("one.csv"), scratch("one.png"), &err) != NB_OK)
        fail_msg("%s", err.message);
}

static const char *const classes[] = {"person", "a name that is far too long to stand anywhere",
                                      "\xff\xfe not text <&>"};

static void curves_take_any_name_and_no_class_at_all(void **state) {
    (void)state;
    NbError err = {0};
    double x[50];
    double y[3 * 50];
    for (int i = 0; i < 50; i++) {
        x[i] = i / 49.0;
        for (int k = 0; k < 3; k++)
            y[k * 50 + i] = fmax(0.0, 1.0 - pow(x[i], 2.0 + k));
    }
    const double ap[] = {0.7, 0.6, 0.5};
    NbCurves curves = {.title = "Precision and recall",
                       .x_label = "recall",
                       .y_label = "precision",
                       .x = x,
                       .y = y,
                       .n = 50,
                       .classes = 3,
                       .names = classes,
                       .values = ap,
                       .mean_name = "all classes 0.600 mAP@0.5"};
    assert_int_equal(nb_figure_curves(scratch("pr.png"), &curves, &err), NB_OK);
    assert_int_equal(nb_figure_curves(scratch("pr.svg"), &curves, &err), NB_OK);
    curves.classes = 0;
    assert_int_equal(nb_figure_curves(scratch("none.png"), &curves, &err), NB_OK);
}

static void a_normalized_matrix_does_not_see_how_often_a_class_is(void **state) {
    (void)state;
    NbError err = {0};
    const int64_t counts[16] = {8, 1, 0, 2, 1, 6, 2, 0, 0, 1, 5, 1, 1, 2, 3, 0};
    int64_t scaled[16];
    for (int i = 0; i < 16; i++)
        scaled[i] = counts[i] * (i % 4 == 1 ? 8 : 1);
    assert_int_equal(nb_figure_confusion(scratch("c.png"), counts, 3, classes, false, &err), NB_OK);
    assert_int_equal(nb_figure_confusion(scratch("d.png"), scaled, 3, classes, false, &err), NB_OK);
    assert_false(scratch_same(scratch("c.png"), scratch("d.png")));
    assert_int_equal(nb_figure_confusion(scratch("c.png"), counts, 3, classes, true, &err), NB_OK);
    assert_int_equal(nb_figure_confusion(scratch("d.png"), scaled, 3, classes, true, &err), NB_OK);
    assert_true(scratch_same(scratch("c.png"), scratch("d.png")));
}

static void labels_are_drawn_and_checked(void **state) {
    (void)state;
    NbError err = {0};
    const NbFigureLabel labels[] = {
        {0, 0.5F, 0.5F, 0.2F, 0.4F}, {2, 0.0F, 1.0F, 1.0F, 1.0F}, {1, 0.3F, 0.9F, 0.1F, 0.1F}};
    assert_int_equal(nb_figure_labels(scratch("labels.jpg"), labels, 3, 3, classes, &err), NB_OK);
    assert_int_equal(nb_figure_labels(scratch("labels.png"), labels, 3, 3, NULL, &err), NB_OK);
    assert_int_equal(nb_figure_labels(scratch("labels.png"), labels, 0, 3, NULL, &err), NB_OK);
    assert_int_equal(nb_figure_labels(scratch("labels.png"), labels, 3, 2, classes, &err),
                     NB_ERR_ARGUMENT);
    assert_non_null(strstr(err.message, "label 1 has class 2, expected 0 to 1"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ticks_are_round_and_cover_the_range),
        cmocka_unit_test(ticks_have_the_decimals_of_their_step),
        cmocka_unit_test(a_canvas_refuses_what_it_cannot_be),
        cmocka_unit_test(a_value_that_is_missing_is_a_gap),
        cmocka_unit_test(heat_runs_from_white_to_dark),
        cmocka_unit_test(results_become_one_picture_in_each_format),
        cmocka_unit_test(broken_results_say_where),
        cmocka_unit_test(one_epoch_and_padded_heads_are_enough),
        cmocka_unit_test(curves_take_any_name_and_no_class_at_all),
        cmocka_unit_test(a_normalized_matrix_does_not_see_how_often_a_class_is),
        cmocka_unit_test(labels_are_drawn_and_checked),
    };
    return cmocka_run_group_tests(tests, NULL, scratch_remove);
}
