/* SPDX-License-Identifier: Apache-2.0 */
#include "report/plot.h"

#include "report/axes.h"

#include <math.h>
#include <stdio.h>

/* Names below the bars: level when they fit, upwards otherwise, every k-th when bars are thin. */
static void bar_names(NbCanvas *canvas, const NbAxes *axes, const NbBars *bars, bool level) {
    const double pitch = axes->plot.w / (double)bars->n;
    const size_t every = (size_t)fmax(1.0, ceil(11.0 / pitch));
    for (size_t i = 0; i < bars->n; i += every) {
        char text[64];
        char number[32];
        (void)snprintf(number, sizeof number, "%zu", i);
        const double x = axes->plot.x + ((double)i + 0.5) * pitch;
        const double y = axes->plot.y + axes->plot.h;
        nb_ink_fit_text(canvas, nb_font_tick(), bars->labels ? bars->labels[i] : number,
                        level ? pitch * 1.5 : 84.0, text, sizeof text);
        if (level)
            nb_ink_text(canvas, x, y + 13.0, NB_CENTER, nb_font_tick(), text);
        else
            nb_ink_text_up(canvas, x + 3.2, y + 5.0, NB_RIGHT, nb_font_tick(), text);
    }
}

void nb_plot_bars(NbCanvas *canvas, NbRect where, const NbBars *bars) {
    const NbRect left = nb_axes_title(canvas, where, bars->title);
    double most = 0.0;
    double widest = 12.0;
    for (size_t i = 0; i < bars->n; i++) {
        most = isfinite(bars->values[i]) ? fmax(most, bars->values[i]) : most;
        if (bars->labels)
            widest = fmax(widest, nb_ink_text_width(canvas, nb_font_tick(), bars->labels[i]));
    }
    const bool level = bars->n == 0 || widest + 4.0 < (left.w - 50.0) / (double)bars->n;
    const double below = level ? 18.0 : fmin(widest, 84.0) + 10.0;
    const NbAxes axes = nb_axes_draw_y(canvas, left, bars->y_label,
                                       (NbRange){0.0, most > 0.0 ? most * 1.04 : 1.0}, below);
    if (bars->n == 0)
        return;
    const double pitch = axes.plot.w / (double)bars->n;
    for (size_t i = 0; i < bars->n; i++) {
        if (!isfinite(bars->values[i]))
            continue;
        const double x = axes.plot.x + ((double)i + 0.14) * pitch;
        const double y = nb_axes_y(&axes, bars->values[i]);
        const NbRect bar = {x, y, pitch * 0.72, axes.plot.y + axes.plot.h - y};
        nb_ink_fill(canvas, bar, nb_palette((int64_t)i), 0.9);
        char text[32];
        nb_number_text(bars->values[i], text, sizeof text);
        if (bars->values_shown && nb_ink_text_width(canvas, nb_font_tick(), text) < pitch)
            nb_ink_text(canvas, x + bar.w / 2.0, y - 3.0, NB_CENTER, nb_font_tick(), text);
    }
    bar_names(canvas, &axes, bars, level);
}
