/* SPDX-License-Identifier: Apache-2.0
 *
 * Strokes, fills and text for the drawing code of this folder; the only header that shows cairo.
 * None of it fails: a canvas that went wrong says so in nb_canvas_commit. */
#ifndef NB_REPORT_INK_H
#define NB_REPORT_INK_H

#include "report/canvas.h"

#include <cairo.h>
#include <stdbool.h>

typedef enum NbAlign { NB_LEFT, NB_CENTER, NB_RIGHT } NbAlign;

typedef struct NbFont {
    double size; /* units: the height of a line of capitals and descenders, about */
    bool bold;
    NbColor color;
} NbFont;

cairo_t *nb_canvas_cairo(NbCanvas *canvas);
cairo_font_face_t *nb_canvas_face(NbCanvas *canvas, bool bold); /* NULL: no font here */

void nb_ink_color(NbCanvas *canvas, NbColor color, double alpha);
void nb_ink_fill(NbCanvas *canvas, NbRect r, NbColor color, double alpha);
void nb_ink_frame(NbCanvas *canvas, NbRect r, NbColor color, double width);
void nb_ink_line(NbCanvas *canvas, double x1, double y1, double x2, double y2, NbColor color,
                 double width);

/* Draws text with its base line at y; x is its left end, middle or right end. */
void nb_ink_text(NbCanvas *canvas, double x, double y, NbAlign align, NbFont font,
                 const char *text);

/* The same, turned by 90 degrees to read upwards; (x, y) as before, then turned around it. */
void nb_ink_text_up(NbCanvas *canvas, double x, double y, NbAlign align, NbFont font,
                    const char *text);

/* Width of the text in units; 0 without a font. */
double nb_ink_text_width(NbCanvas *canvas, NbFont font, const char *text);

/* Shortens text with "..." so that it is at most `width` units wide. size: bytes of out. */
void nb_ink_fit_text(NbCanvas *canvas, NbFont font, const char *text, double width, char *out,
                     size_t size);

#endif
