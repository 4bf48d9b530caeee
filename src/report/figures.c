/* SPDX-License-Identifier: Apache-2.0 */
#include "report/figures.h"

#include "base/arena.h"
#include "report/ink.h"
#include "report/plot.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LEGEND_CLASSES = 20 };

/* ---- curves ---- */

/* The mean over classes at every x; classes > 0. */
static void mean_curve(const NbCurves *c, double *mean) {
    for (size_t i = 0; i < c->n; i++) {
        double sum = 0.0;
        for (size_t k = 0; k < c->classes; k++)
            sum += c->y[k * c->n + i];
        mean[i] = sum / (double)c->classes;
    }
}

static const char *curve_name(const NbCurves *c, size_t k, NbArena *arena) {
    if (c->classes > LEGEND_CLASSES)
        return NULL;
    if (!c->values)
        return c->names[k];
    return nb_arena_printf(arena, "%s  %.3f", c->names[k], c->values[k]);
}

static NB_FALLIBLE draw_curves(const char *path, const NbCurves *c, NbArena *arena, NbError *err) {
    NbSeries *const series = NB_NEW(arena, NbSeries, c->classes + 1);
    double *const mean = NB_NEW(arena, double, c->n);
    if (!series || !mean)
        return nb_fail_memory(err, path);
    for (size_t k = 0; k < c->classes; k++) {
        series[k] = (NbSeries){.name = curve_name(c, k, arena),
                               .x = c->x,
                               .y = c->y + k * c->n,
                               .n = c->n,
                               .color = nb_palette((int64_t)k + 1),
                               .width = 1.0,
                               .faint = true};
        if (c->classes <= LEGEND_CLASSES && !series[k].name)
            return nb_fail_memory(err, path);
    }
    size_t n = c->classes;
    if (c->classes > 0) {
        mean_curve(c, mean);
        series[n++] = (NbSeries){.name = c->mean_name,
                                 .x = c->x,
                                 .y = mean,
                                 .n = c->n,
                                 .color = nb_palette(0),
                                 .width = 3.0};
    }
    NbCanvas *canvas = NULL;
    NB_TRY(nb_canvas_open(path, 720.0, 480.0, 2.0, &canvas, err));
    nb_plot_lines(
        canvas, (NbRect){14.0, 10.0, 694.0, 460.0},
        &(NbLines){.title = c->classes > 0 ? c->title : "no labels, no curve",
                   .x_label = c->x_label,
                   .y_label = c->y_label,
                   .series = series,
                   .n = n,
                   .x = {0.0, 1.0},
                   .y = {0.0, 1.0},
                   .legend = c->classes > LEGEND_CLASSES ? NB_LEGEND_TOP : NB_LEGEND_RIGHT});
    return nb_canvas_commit(canvas, err);
}

NbStatus nb_figure_curves(const char *path, const NbCurves *curves, NbError *err) {
    NbArena arena = {0};
    const NbStatus status = draw_curves(path, curves, &arena, err);
    nb_arena_release(&arena);
    return status;
}

/* ---- confusion matrix ---- */

static void normalize_columns(double *values, size_t side) {
    for (size_t column = 0; column < side; column++) {
        double sum = 0.0;
        for (size_t row = 0; row < side; row++)
            sum += values[row * side + column];
        for (size_t row = 0; row < side && sum > 0.0; row++)
            values[row * side + column] /= sum;
    }
}

static NB_FALLIBLE draw_confusion(const char *path, const double *values, size_t side,
                                  const char *const *names, bool normalized, NbError *err) {
    const double cell = side <= 12 ? 46.0 : side <= 31 ? 24.0 : 9.0;
    const double size = fmax(360.0, cell * (double)side) + 200.0;
    NbCanvas *canvas = NULL;
    NB_TRY(nb_canvas_open(path, size + 40.0, size, 2.0, &canvas, err));
    nb_plot_heat(canvas, (NbRect){14.0, 10.0, size + 12.0, size - 20.0},
                 &(NbHeat){.title = normalized ? "Confusion matrix, share of each true class"
                                               : "Confusion matrix",
                           .x_label = "true",
                           .y_label = "predicted",
                           .x_names = names,
                           .y_names = names,
                           .values = values,
                           .rows = side,
                           .columns = side,
                           .max = normalized ? 1.0 : 0.0,
                           .values_shown = side <= 31});
    return nb_canvas_commit(canvas, err);
}

NbStatus nb_figure_confusion(const char *path, const int64_t *counts, size_t classes,
                             const char *const *names, bool normalized, NbError *err) {
    const size_t side = classes + 1;
    NbArena arena = {0};
    double *const values = NB_NEW(&arena, double, side *side);
    const char **const all = NB_NEW(&arena, const char *, side);
    NbStatus status = NB_OK;
    if (!values || !all) {
        status = nb_fail_memory(err, path);
    } else {
        for (size_t i = 0; i < side * side; i++)
            values[i] = (double)counts[i];
        for (size_t i = 0; i < classes; i++)
            all[i] = names[i];
        all[classes] = "background";
        if (normalized)
            normalize_columns(values, side);
        status = draw_confusion(path, values, side, all, normalized, err);
    }
    nb_arena_release(&arena);
    return status;
}

/* ---- labels ---- */

enum { MAP = 48, BOXES_SHOWN = 1000 };

typedef struct LabelSums {
    double *per_class;       /* [classes] */
    double place[MAP * MAP]; /* of centres, row 0 on top */
    double size[MAP * MAP];  /* width to the right, height upwards */
} LabelSums;

static size_t bin(float share) {
    const int at = (int)(share * MAP);
    return (size_t)(at < 0 ? 0 : at >= MAP ? MAP - 1 : at);
}

static void sum_labels(const NbFigureLabel *labels, size_t n, LabelSums *sums) {
    for (size_t i = 0; i < n; i++) {
        const NbFigureLabel *const l = &labels[i];
        sums->per_class[l->class_index] += 1.0;
        sums->place[(MAP - 1 - bin(1.0F - l->y)) * MAP + bin(l->x)] += 1.0;
        sums->size[(MAP - 1 - bin(l->h)) * MAP + bin(l->w)] += 1.0;
    }
    for (size_t i = 0; i < (size_t)MAP * MAP; i++) { /* one crowded cell would hide the others */
        sums->place[i] = sqrt(sums->place[i]);
        sums->size[i] = sqrt(sums->size[i]);
    }
}

/* The first boxes, moved to one centre: their shapes show at a glance. */
static void draw_shapes(NbCanvas *canvas, NbRect where, const NbFigureLabel *labels, size_t n) {
    const NbFont title = {.size = 12.0, .bold = true, .color = 0x24292F};
    nb_ink_text(canvas, where.x, where.y + 13.0, NB_LEFT, title, "Shapes");
    const double side = fmin(where.w - 40.0, where.h - 44.0);
    const NbRect plot = {where.x + (where.w - side) / 2.0, where.y + 26.0, side, side};
    nb_ink_frame(canvas, plot, 0xB4BBC3, 1.0);
    cairo_t *const cr = nb_canvas_cairo(canvas);
    cairo_set_line_width(cr, 0.8);
    for (size_t i = 0; i < n && i < BOXES_SHOWN; i++) {
        const double w = (double)labels[i].w * side;
        const double h = (double)labels[i].h * side;
        nb_ink_color(canvas, nb_palette(labels[i].class_index), 0.35);
        cairo_rectangle(cr, plot.x + (side - w) / 2.0, plot.y + (side - h) / 2.0, w, h);
        cairo_stroke(cr);
    }
}

static NB_FALLIBLE draw_labels(const char *path, const NbFigureLabel *labels, size_t n,
                               size_t classes, const char *const *names, NbArena *arena,
                               NbError *err) {
    LabelSums *const sums = NB_NEW(arena, LabelSums, 1);
    if (!sums)
        return nb_fail_memory(err, path);
    sums->per_class = NB_NEW(arena, double, classes);
    if (!sums->per_class)
        return nb_fail_memory(err, path);
    for (size_t i = 0; i < n; i++)
        if (labels[i].class_index < 0 || (size_t)labels[i].class_index >= classes)
            return nb_fail(NB_ERR_ARGUMENT, err, "%s: label %zu has class %d, expected 0 to %zu",
                           path, i, labels[i].class_index, classes - 1);
    sum_labels(labels, n, sums);
    NbCanvas *canvas = NULL;
    NB_TRY(nb_canvas_open(path, 860.0, 800.0, 2.0, &canvas, err));
    char title[64];
    (void)snprintf(title, sizeof title, "Labels: %zu", n);
    nb_plot_bars(canvas, (NbRect){16.0, 12.0, 400.0, 370.0},
                 &(NbBars){.title = title,
                           .labels = names,
                           .values = sums->per_class,
                           .n = classes,
                           .values_shown = classes <= 12});
    draw_shapes(canvas, (NbRect){444.0, 12.0, 400.0, 370.0}, labels, n);
    nb_plot_heat(canvas, (NbRect){16.0, 410.0, 400.0, 376.0},
                 &(NbHeat){.title = "Centres",
                           .x_label = "x",
                           .y_label = "y (from below)",
                           .values = sums->place,
                           .rows = MAP,
                           .columns = MAP});
    nb_plot_heat(canvas, (NbRect){444.0, 410.0, 400.0, 376.0},
                 &(NbHeat){.title = "Sizes",
                           .x_label = "width",
                           .y_label = "height",
                           .values = sums->size,
                           .rows = MAP,
                           .columns = MAP});
    return nb_canvas_commit(canvas, err);
}

NbStatus nb_figure_labels(const char *path, const NbFigureLabel *labels, size_t n, size_t classes,
                          const char *const *names, NbError *err) {
    NbArena arena = {0};
    const NbStatus status = draw_labels(path, labels, n, classes, names, &arena, err);
    nb_arena_release(&arena);
    return status;
}
