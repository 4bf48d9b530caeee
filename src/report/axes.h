/* SPDX-License-Identifier: Apache-2.0
 *
 * What the charts share: fonts and colours, the title, the frame with grid and ticks, and the way
 * from values to units. */
#ifndef NB_REPORT_AXES_H
#define NB_REPORT_AXES_H

#include "report/ink.h"
#include "report/plot.h"

enum {
    NB_INK_TEXT = 0x24292F,
    NB_INK_SOFT = 0x6A737D,
    NB_INK_GRID = 0xE4E7EB,
    NB_INK_AXIS = 0xB4BBC3,
};

typedef struct NbAxes {
    NbRect plot; /* inside the frame */
    NbRange x, y;
    double x_step, y_step;
} NbAxes;

/* A count without decimals, anything else with three digits. */
void nb_number_text(double value, char *out, size_t size);

NbFont nb_font_title(void);
NbFont nb_font_label(void);
NbFont nb_font_tick(void);

/* Draws the title; returns what is left below it. */
NbRect nb_axes_title(NbCanvas *canvas, NbRect where, const char *title);

/* Leaves room for labels and ticks on the left and below, rounds the range of y, draws labels, grid
 * and ticks. The x axis runs from edge to edge; x_whole: its ticks are whole numbers. */
NbAxes nb_axes_draw(NbCanvas *canvas, NbRect where, const char *x_label, const char *y_label,
                    NbRange x, bool x_whole, NbRange y);

/* The same for the y axis alone; `below` units stay free under the plot. */
NbAxes nb_axes_draw_y(NbCanvas *canvas, NbRect where, const char *y_label, NbRange y, double below);

double nb_axes_x(const NbAxes *axes, double value);
double nb_axes_y(const NbAxes *axes, double value);

#endif
