/* SPDX-License-Identifier: Apache-2.0
 *
 * Charts on a part of a canvas: lines, bars, heat maps, points. Each draws its title, axes, ticks
 * and legend inside `where`. Values that are not finite are left out. Nothing here fails; a canvas
 * that went wrong says so when it is committed. */
#ifndef NB_REPORT_PLOT_H
#define NB_REPORT_PLOT_H

#include "report/canvas.h"

#include <stdbool.h>
#include <stddef.h>

/* lo == hi: taken from the data, widened to round numbers. */
typedef struct NbRange {
    double lo, hi;
} NbRange;

typedef enum NbLegend {
    NB_LEGEND_NONE,
    NB_LEGEND_TOP,   /* one line under the title */
    NB_LEGEND_RIGHT, /* a column beside the plot */
} NbLegend;

typedef struct NbSeries {
    const char *name; /* NULL: not in the legend */
    const double *x;  /* [n] */
    const double *y;  /* [n]; not finite: a gap */
    size_t n;
    NbColor color;
    double width; /* of the line in units; 0: 1.5 */
    bool faint;   /* drawn half transparent, under the others */
    bool marks;   /* a dot at every point */
} NbSeries;

typedef struct NbLines {
    const char *title; /* texts may be NULL */
    const char *x_label;
    const char *y_label;
    const NbSeries *series;
    size_t n;
    NbRange x, y;
    bool x_whole; /* x counts something: no ticks between whole numbers */
    NbLegend legend;
} NbLines;

void nb_plot_lines(NbCanvas *canvas, NbRect where, const NbLines *lines);

typedef struct NbBars {
    const char *title;
    const char *y_label;
    const char *const *labels; /* [n]; NULL: numbers */
    const double *values;      /* [n], >= 0 */
    size_t n;
    bool values_shown; /* above the bars, as far as there is room */
} NbBars;

void nb_plot_bars(NbCanvas *canvas, NbRect where, const NbBars *bars);

typedef struct NbHeat {
    const char *title;
    const char *x_label;
    const char *y_label;
    const char *const *x_names; /* [columns]; NULL: the axes are 0 to 1 */
    const char *const *y_names; /* [rows] */
    const double *values;       /* [rows][columns], row 0 on top */
    size_t rows;
    size_t columns;
    double max;        /* the darkest colour; 0: the largest value */
    bool values_shown; /* in the cells, when these are large enough */
} NbHeat;

void nb_plot_heat(NbCanvas *canvas, NbRect where, const NbHeat *heat);

/* Round numbers for ticks: *step is 1, 2 or 5 times a power of ten, *lo and *hi are multiples of it
 * around the given range, at most `most` steps (>= 2). An empty or not finite range becomes 0..1.
 */
void nb_nice_ticks(double lo, double hi, int most, NbRange *range, double *step);

/* The text of a tick: as few decimals as `step` needs; "1.5k", "2M" for large steps, "1e-05" for
 * small ones. */
void nb_tick_text(double value, double step, char *out, size_t size);

#endif
