/* SPDX-License-Identifier: Apache-2.0 */
#include "report/axes.h"

#include <math.h>
#include <stdio.h>

NbFont nb_font_title(void) { return (NbFont){.size = 12.0, .bold = true, .color = NB_INK_TEXT}; }
NbFont nb_font_label(void) { return (NbFont){.size = 10.0, .color = NB_INK_SOFT}; }
NbFont nb_font_tick(void) { return (NbFont){.size = 9.0, .color = NB_INK_SOFT}; }

void nb_nice_ticks(double lo, double hi, int most, NbRange *range, double *step) {
    if (!isfinite(lo) || !isfinite(hi) || lo > hi) {
        lo = 0.0;
        hi = 1.0;
    }
    if (hi - lo <= 1e-12 * fmax(fabs(lo), fabs(hi)) || hi == lo) { /* one value: some room */
        const double around = lo == 0.0 ? 0.5 : fabs(lo) * 0.1;
        lo -= around;
        hi += around;
    }
    static const double factors[] = {1.0, 2.0, 5.0, 10.0, 20.0};
    const double power = pow(10.0, floor(log10((hi - lo) / most)));
    for (size_t i = 0; i < sizeof factors / sizeof *factors; i++) {
        *step = factors[i] * power;
        /* a range that ends on a step does not get one more for rounding's sake */
        range->lo = floor(lo / *step + 1e-9) * *step;
        range->hi = ceil(hi / *step - 1e-9) * *step;
        if (range->hi - range->lo <= (most + 1e-9) * *step)
            return;
    }
}

void nb_tick_text(double value, double step, char *out, size_t size) {
    if (fabs(value) < step * 1e-6)
        value = 0.0;
    const double largest = fmax(fabs(value), step);
    if (value == 0.0)
        (void)snprintf(out, size, "0");
    else if (step >= 500000.0 && largest < 1e9)
        (void)snprintf(out, size, "%.3gM", value / 1e6);
    else if (step >= 500.0 && largest < 1e7)
        (void)snprintf(out, size, "%.4gk", value / 1e3);
    else if (largest >= 1e7 || step < 1e-4)
        (void)snprintf(out, size, "%.3g", value);
    else
        (void)snprintf(out, size, "%.*f", (int)fmax(0.0, ceil(-log10(step) - 1e-9)), value);
}

void nb_number_text(double value, char *out, size_t size) {
    if (value == floor(value) && value < 1e6)
        (void)snprintf(out, size, "%.0f", value);
    else
        (void)snprintf(out, size, "%.3g", value);
}

NbRect nb_axes_title(NbCanvas *canvas, NbRect where, const char *title) {
    if (!title)
        return where;
    char text[200];
    nb_ink_fit_text(canvas, nb_font_title(), title, where.w, text, sizeof text);
    nb_ink_text(canvas, where.x, where.y + 13.0, NB_LEFT, nb_font_title(), text);
    return (NbRect){where.x, where.y + 22.0, where.w, where.h - 22.0};
}

double nb_axes_x(const NbAxes *axes, double value) {
    return axes->plot.x + (value - axes->x.lo) / (axes->x.hi - axes->x.lo) * axes->plot.w;
}

double nb_axes_y(const NbAxes *axes, double value) {
    return axes->plot.y + axes->plot.h -
           (value - axes->y.lo) / (axes->y.hi - axes->y.lo) * axes->plot.h;
}

static int tick_count(const NbRange *range, double step) {
    return (int)lround((range->hi - range->lo) / step);
}

/* The widest tick text of a range in units. */
static double tick_width(NbCanvas *canvas, const NbRange *range, double step) {
    double widest = 0.0;
    for (int i = 0; i <= tick_count(range, step); i++) {
        char text[32];
        nb_tick_text(range->lo + i * step, step, text, sizeof text);
        widest = fmax(widest, nb_ink_text_width(canvas, nb_font_tick(), text));
    }
    return widest;
}

static int steps_for(double length, double each) {
    const int n = (int)(length / each);
    return n < 2 ? 2 : n > 10 ? 10 : n;
}

NbAxes nb_axes_draw_y(NbCanvas *canvas, NbRect where, const char *y_label, NbRange y,
                      double below) {
    NbAxes axes = {.x = {0.0, 1.0}, .x_step = 1.0};
    axes.plot = (NbRect){where.x, where.y + 4.0, where.w - 6.0, where.h - below - 4.0};
    nb_nice_ticks(y.lo, y.hi, steps_for(axes.plot.h, 28.0), &axes.y, &axes.y_step);
    const double left = (y_label ? 16.0 : 0.0) + tick_width(canvas, &axes.y, axes.y_step) + 6.0;
    axes.plot.x += left;
    axes.plot.w -= left;
    if (y_label)
        nb_ink_text_up(canvas, where.x + 9.0, axes.plot.y + axes.plot.h / 2.0, NB_CENTER,
                       nb_font_label(), y_label);
    for (int i = 0; i <= tick_count(&axes.y, axes.y_step); i++) {
        const double value = axes.y.lo + i * axes.y_step;
        const double at = nb_axes_y(&axes, value);
        char text[32];
        nb_tick_text(value, axes.y_step, text, sizeof text);
        nb_ink_line(canvas, axes.plot.x, at, axes.plot.x + axes.plot.w, at,
                    i == 0 ? NB_INK_AXIS : NB_INK_GRID, 1.0);
        nb_ink_text(canvas, axes.plot.x - 5.0, at + 3.2, NB_RIGHT, nb_font_tick(), text);
    }
    return axes;
}

NbAxes nb_axes_draw(NbCanvas *canvas, NbRect where, const char *x_label, const char *y_label,
                    NbRange x, bool x_whole, NbRange y) {
    NbAxes axes = nb_axes_draw_y(canvas, where, y_label, y, x_label ? 32.0 : 18.0);
    nb_nice_ticks(x.lo, x.hi, steps_for(axes.plot.w, 44.0), &axes.x, &axes.x_step);
    if (x_whole)
        axes.x_step = fmax(axes.x_step, 1.0);
    axes.x = x;
    if (!(x.hi > x.lo)) {
        const double around = x.lo == 0.0 || !isfinite(x.lo) ? 0.5 : fabs(x.lo) * 0.5;
        const double middle = isfinite(x.lo) ? x.lo : 0.5;
        axes.x = (NbRange){middle - around, middle + around};
    }
    const double bottom = axes.plot.y + axes.plot.h;
    const double first = ceil(axes.x.lo / axes.x_step - 1e-9);
    for (int i = 0; (first + i) * axes.x_step <= axes.x.hi + 1e-9 * axes.x_step; i++) {
        const double value = (first + i) * axes.x_step;
        const double at = nb_axes_x(&axes, value);
        char text[32];
        nb_tick_text(value, axes.x_step, text, sizeof text);
        nb_ink_line(canvas, at, bottom, at, bottom + 3.0, NB_INK_AXIS, 1.0);
        nb_ink_text(canvas, at, bottom + 13.0, NB_CENTER, nb_font_tick(), text);
    }
    if (x_label)
        nb_ink_text(canvas, axes.plot.x + axes.plot.w / 2.0, bottom + 27.0, NB_CENTER,
                    nb_font_label(), x_label);
    return axes;
}
