/* SPDX-License-Identifier: Apache-2.0
 *
 * A sheet to draw on that becomes a file: PNG, JPEG or SVG by the name's suffix, from the same
 * drawing code. Lengths are units of 1/96 inch; a raster sheet has `scale` pixels a unit. The same
 * calls give the same bytes. Without any font on the system text is left out and nothing fails.
 * A canvas belongs to one thread; several may be drawn at the same time. */
#ifndef NB_REPORT_CANVAS_H
#define NB_REPORT_CANVAS_H

#include "base/arena.h"
#include "base/status.h"
#include "format/image.h"

#include <stdint.h>

typedef struct NbCanvas NbCanvas;

/* 0xRRGGBB. */
typedef uint32_t NbColor;

typedef struct NbRect {
    double x, y, w, h; /* left, top */
} NbRect;

enum { NB_PALETTE = 20 };

/* Twenty colours that are told apart on white and on photographs; index modulo NB_PALETTE. */
NbColor nb_palette(int64_t index);

/* Black or white, whichever is read more easily on `background`. */
NbColor nb_ink_on(NbColor background);

/* A white sheet of width x height units, 1 to 20000 each. scale: pixels a unit, 0: 2. The suffix
 * of path must be .png, .jpg, .jpeg or .svg (NB_ERR_ARGUMENT). Nothing is written yet. */
NB_FALLIBLE nb_canvas_open(const char *path, double width, double height, double scale,
                           NbCanvas **out, NbError *err);

/* Writes the file atomically and frees the canvas, also when it fails. */
NB_FALLIBLE nb_canvas_commit(NbCanvas *canvas, NbError *err);

void nb_canvas_cancel(NbCanvas *canvas); /* frees without writing; NULL is allowed */

/* A sheet that starts as a picture, one unit a pixel, and the way back: *image gets the pixels
 * that were drawn (the same size). Free with nb_canvas_cancel. */
NB_FALLIBLE nb_canvas_from_image(const NbImage *image, NbCanvas **out, NbError *err);
void nb_canvas_to_image(NbCanvas *canvas, NbImage *image);

#endif
