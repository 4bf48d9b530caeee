/* SPDX-License-Identifier: Apache-2.0 */
#include "report/plot.h"

#include "report/axes.h"

#include <math.h>
#include <stdio.h>

/* White to dark blue, perceived as even: interpolated between five stops. */
static NbColor heat_color(double share) {
    static const uint8_t stops[5][3] = {
        {255, 255, 255}, {205, 222, 242}, {119, 170, 222}, {38, 106, 183}, {8, 42, 99}};
    const double at = fmin(fmax(share, 0.0), 1.0) * 4.0;
    const int i = at >= 4.0 ? 3 : (int)at;
    const double t = at - i;
    NbColor color = 0;
    for (int k = 0; k < 3; k++) {
        const double mixed = stops[i][k] * (1.0 - t) + stops[i + 1][k] * t;
        color = color << 8 | (NbColor)lround(mixed);
    }
    return color;
}

static void heat_cells(NbCanvas *canvas, NbRect plot, const NbHeat *heat, double max) {
    const double w = plot.w / (double)heat->columns;
    const double h = plot.h / (double)heat->rows;
    cairo_t *const cr = nb_canvas_cairo(canvas);
    cairo_save(cr);
    cairo_set_antialias(cr, CAIRO_ANTIALIAS_NONE); /* no seams between cells */
    for (size_t i = 0; i < heat->rows * heat->columns; i++) {
        const double value = heat->values[i];
        if (!isfinite(value) || value <= 0.0)
            continue;
        const size_t row = i / heat->columns;
        const NbRect cell = {plot.x + (double)(i % heat->columns) * w, plot.y + (double)row * h, w,
                             h};
        nb_ink_fill(canvas, cell, heat_color(value / max), 1.0);
    }
    cairo_restore(cr);
    if (!heat->values_shown || w < 16.0 || h < 10.0)
        return;
    for (size_t i = 0; i < heat->rows * heat->columns; i++) {
        const double value = heat->values[i];
        if (!isfinite(value) || value <= 0.0)
            continue;
        char text[32];
        if (value == floor(value))
            nb_number_text(value, text, sizeof text);
        else
            (void)snprintf(text, sizeof text, "%.2f", value);
        const NbFont font = {.size = fmin(10.0, w / 3.4),
                             .color = value / max > 0.55 ? 0xFFFFFF : NB_INK_TEXT};
        const size_t row = i / heat->columns;
        nb_ink_text(canvas, plot.x + ((double)(i % heat->columns) + 0.5) * w,
                    plot.y + ((double)row + 0.5) * h + font.size * 0.36, NB_CENTER, font, text);
    }
}

/* The scale beside the map: colours from 0 to max with three numbers. */
static void heat_scale(NbCanvas *canvas, NbRect bar, double max) {
    enum { PARTS = 64 };
    for (int i = 0; i < PARTS; i++) {
        const double h = bar.h / PARTS;
        nb_ink_fill(canvas, (NbRect){bar.x, bar.y + bar.h - (i + 1) * h, bar.w, h + 0.3},
                    heat_color((i + 0.5) / PARTS), 1.0);
    }
    nb_ink_frame(canvas, bar, NB_INK_AXIS, 0.7);
    for (int i = 0; i <= 2; i++) {
        char text[32];
        nb_number_text(max * i / 2.0, text, sizeof text);
        nb_ink_text(canvas, bar.x + bar.w + 4.0, bar.y + bar.h * (1.0 - i / 2.0) + 3.2, NB_LEFT,
                    nb_font_tick(), text);
    }
}

static double widest_name(NbCanvas *canvas, const char *const *names, size_t n) {
    double widest = 0.0;
    for (size_t i = 0; i < n; i++)
        widest = fmax(widest, nb_ink_text_width(canvas, nb_font_tick(), names[i]));
    return fmin(widest, 100.0);
}

static void heat_names(NbCanvas *canvas, NbRect plot, const NbHeat *heat, bool level) {
    const double w = plot.w / (double)heat->columns;
    const double h = plot.h / (double)heat->rows;
    const size_t skip_x = (size_t)fmax(1.0, ceil(10.0 / w));
    const size_t skip_y = (size_t)fmax(1.0, ceil(10.0 / h));
    char text[64];
    for (size_t i = 0; i < heat->columns; i += skip_x) {
        const double x = plot.x + ((double)i + 0.5) * w;
        nb_ink_fit_text(canvas, nb_font_tick(), heat->x_names[i], 100.0, text, sizeof text);
        if (level)
            nb_ink_text(canvas, x, plot.y + plot.h + 13.0, NB_CENTER, nb_font_tick(), text);
        else
            nb_ink_text_up(canvas, x + 3.2, plot.y + plot.h + 5.0, NB_RIGHT, nb_font_tick(), text);
    }
    for (size_t i = 0; i < heat->rows; i += skip_y) {
        nb_ink_fit_text(canvas, nb_font_tick(), heat->y_names[i], 100.0, text, sizeof text);
        nb_ink_text(canvas, plot.x - 5.0, plot.y + ((double)i + 0.5) * h + 3.2, NB_RIGHT,
                    nb_font_tick(), text);
    }
}

static double heat_max(const NbHeat *heat) {
    if (heat->max > 0.0)
        return heat->max;
    double max = 0.0;
    for (size_t i = 0; i < heat->rows * heat->columns; i++)
        max = isfinite(heat->values[i]) ? fmax(max, heat->values[i]) : max;
    return max > 0.0 ? max : 1.0;
}

/* A map over the unit square: numbers along two axes. */
static void heat_square(NbCanvas *canvas, NbRect where, const NbHeat *heat) {
    const NbAxes axes = nb_axes_draw(canvas, where, heat->x_label, heat->y_label,
                                     (NbRange){0.0, 1.0}, false, (NbRange){0.0, 1.0});
    nb_ink_fill(canvas, axes.plot, 0xFFFFFF, 1.0); /* over the grid lines */
    heat_cells(canvas, axes.plot, heat, heat_max(heat));
    nb_ink_frame(canvas, axes.plot, NB_INK_AXIS, 1.0);
}

void nb_plot_heat(NbCanvas *canvas, NbRect where, const NbHeat *heat) {
    const NbRect left = nb_axes_title(canvas, where, heat->title);
    if (heat->rows == 0 || heat->columns == 0)
        return;
    if (!heat->x_names || !heat->y_names) {
        heat_square(canvas, left, heat);
        return;
    }
    const double x_names = widest_name(canvas, heat->x_names, heat->columns);
    const double margin = widest_name(canvas, heat->y_names, heat->rows) + 10.0;
    NbRect plot = {left.x + margin + (heat->y_label ? 18.0 : 0.0), left.y + 4.0, 0.0, 0.0};
    plot.w = left.x + left.w - plot.x - 56.0;
    const bool level = x_names + 6.0 < plot.w / (double)heat->columns;
    const double names_below = level ? 18.0 : x_names + 12.0;
    plot.h = left.y + left.h - plot.y - names_below - (heat->x_label ? 18.0 : 0.0);
    const double max = heat_max(heat);
    heat_cells(canvas, plot, heat, max);
    nb_ink_frame(canvas, plot, NB_INK_AXIS, 1.0);
    heat_names(canvas, plot, heat, level);
    heat_scale(canvas, (NbRect){plot.x + plot.w + 14.0, plot.y, 10.0, plot.h}, max);
    if (heat->x_label)
        nb_ink_text(canvas, plot.x + plot.w / 2.0, left.y + left.h - 4.0, NB_CENTER,
                    nb_font_label(), heat->x_label);
    if (heat->y_label)
        nb_ink_text_up(canvas, left.x + 9.0, plot.y + plot.h / 2.0, NB_CENTER, nb_font_label(),
                       heat->y_label);
}
