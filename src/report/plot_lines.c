/* SPDX-License-Identifier: Apache-2.0 */
#include "report/plot.h"

#include "report/axes.h"

#include <math.h>
#include <stdio.h>

static NbRange data_range(const NbLines *lines, bool of_x) {
    NbRange r = {INFINITY, -INFINITY};
    for (size_t s = 0; s < lines->n; s++) {
        const NbSeries *const series = &lines->series[s];
        for (size_t i = 0; i < series->n; i++) {
            if (!isfinite(series->x[i]) || !isfinite(series->y[i]))
                continue;
            const double v = of_x ? series->x[i] : series->y[i];
            r.lo = fmin(r.lo, v);
            r.hi = fmax(r.hi, v);
        }
    }
    return r;
}

static void draw_series(NbCanvas *canvas, const NbAxes *axes, const NbSeries *series, bool marks) {
    cairo_t *const cr = nb_canvas_cairo(canvas);
    nb_ink_color(canvas, series->color, series->faint ? 0.5 : 1.0);
    cairo_set_line_width(cr, series->width > 0.0 ? series->width : 1.5);
    cairo_set_line_join(cr, CAIRO_LINE_JOIN_ROUND);
    bool pen_down = false;
    for (size_t i = 0; i < series->n; i++) {
        if (!isfinite(series->x[i]) || !isfinite(series->y[i])) {
            pen_down = false;
            continue;
        }
        const double x = nb_axes_x(axes, series->x[i]);
        const double y = nb_axes_y(axes, series->y[i]);
        if (pen_down)
            cairo_line_to(cr, x, y);
        else
            cairo_move_to(cr, x, y);
        pen_down = true;
    }
    cairo_stroke(cr);
    if (!marks)
        return;
    for (size_t i = 0; i < series->n; i++) {
        if (!isfinite(series->x[i]) || !isfinite(series->y[i]))
            continue;
        cairo_arc(cr, nb_axes_x(axes, series->x[i]), nb_axes_y(axes, series->y[i]), 2.0, 0.0,
                  2.0 * M_PI);
        cairo_fill(cr);
    }
}

/* One line of names under the title; returns what is left below it. */
static NbRect legend_top(NbCanvas *canvas, NbRect where, const NbLines *lines) {
    double x = where.x;
    for (size_t s = 0; s < lines->n; s++) {
        const NbSeries *const series = &lines->series[s];
        if (!series->name)
            continue;
        nb_ink_line(canvas, x, where.y + 4.0, x + 12.0, where.y + 4.0, series->color, 2.0);
        nb_ink_text(canvas, x + 16.0, where.y + 7.2, NB_LEFT, nb_font_tick(), series->name);
        x += 28.0 + nb_ink_text_width(canvas, nb_font_tick(), series->name);
    }
    return (NbRect){where.x, where.y + 14.0, where.w, where.h - 14.0};
}

/* A column of names on the right; returns what is left beside it. Names that do not fit are
 * counted in the last line. */
static NbRect legend_right(NbCanvas *canvas, NbRect where, const NbLines *lines) {
    enum { LINE = 15 };
    double widest = 0.0;
    size_t names = 0;
    for (size_t s = 0; s < lines->n; s++) {
        if (!lines->series[s].name)
            continue;
        names++;
        widest = fmax(widest, nb_ink_text_width(canvas, nb_font_tick(), lines->series[s].name));
    }
    if (names == 0)
        return where;
    const double width = fmin(widest + 24.0, where.w * 0.4);
    const double left = where.x + where.w - width;
    const size_t room = (size_t)fmax(1.0, where.h / LINE);
    size_t at = 0;
    for (size_t s = 0; s < lines->n; s++) {
        const NbSeries *const series = &lines->series[s];
        if (!series->name)
            continue;
        const double y = where.y + 8.0 + (double)at * LINE;
        char text[200];
        if (at + 1 == room && names > room) {
            (void)snprintf(text, sizeof text, "and %zu more", names - at);
            nb_ink_text(canvas, left + 20.0, y + 3.2, NB_LEFT, nb_font_tick(), text);
            break;
        }
        nb_ink_fit_text(canvas, nb_font_tick(), series->name, width - 24.0, text, sizeof text);
        nb_ink_line(canvas, left + 2.0, y, left + 15.0, y, series->color,
                    series->width > 2.0 ? 3.0 : 2.0);
        nb_ink_text(canvas, left + 20.0, y + 3.2, NB_LEFT, nb_font_tick(), text);
        at++;
    }
    return (NbRect){where.x, where.y, where.w - width - 6.0, where.h};
}

void nb_plot_lines(NbCanvas *canvas, NbRect where, const NbLines *lines) {
    NbRect left = nb_axes_title(canvas, where, lines->title);
    if (lines->legend == NB_LEGEND_TOP)
        left = legend_top(canvas, left, lines);
    else if (lines->legend == NB_LEGEND_RIGHT)
        left = legend_right(canvas, left, lines);
    const NbRange x = lines->x.lo == lines->x.hi ? data_range(lines, true) : lines->x;
    const NbRange y = lines->y.lo == lines->y.hi ? data_range(lines, false) : lines->y;
    const NbAxes axes =
        nb_axes_draw(canvas, left, lines->x_label, lines->y_label, x, lines->x_whole, y);
    cairo_t *const cr = nb_canvas_cairo(canvas);
    cairo_save(cr);
    cairo_rectangle(cr, axes.plot.x - 3.0, axes.plot.y - 3.0, axes.plot.w + 6.0, axes.plot.h + 6.0);
    cairo_clip(cr);
    for (int faint = 1; faint >= 0; faint--)
        for (size_t s = 0; s < lines->n; s++)
            if (lines->series[s].faint == (faint == 1))
                draw_series(canvas, &axes, &lines->series[s], lines->series[s].marks);
    cairo_restore(cr);
}
