/* SPDX-License-Identifier: Apache-2.0
 *
 * Boxes with their names on pictures, and grids of such pictures. */
#ifndef NB_REPORT_DRAW_H
#define NB_REPORT_DRAW_H

#include "base/arena.h"
#include "base/status.h"
#include "format/image.h"

#include <stddef.h>

typedef struct NbDrawBox {
    float x1, y1, x2, y2; /* pixels of the picture; may reach beyond it */
    int class_index;      /* colour, and the name when there is one */
    float confidence;     /* shown behind the name; negative: not shown */
} NbDrawBox;

/* Draws on image in place. Lines and text grow with the picture. The name stands in a bar on the
 * upper edge of its box, inside when there is no room above. names: [n_names], may be NULL; a class
 * beyond it is shown by its number. Boxes that are not finite are left out. */
NB_FALLIBLE nb_draw_boxes(NbImage *image, const NbDrawBox *boxes, size_t n,
                          const char *const *names, size_t n_names, NbError *err);

typedef struct NbDrawTile {
    NbImage image;
    const NbDrawBox *boxes; /* pixels of this image */
    size_t n;
    const char *caption; /* in its corner; NULL: none */
} NbDrawTile;

enum { NB_GRID_TILES = 16, NB_GRID_SIDE = 1920 };

/* A square-ish grid of the first NB_GRID_TILES tiles on grey, scaled down so that it is at most
 * NB_GRID_SIDE pixels wide and high. Cells have the size of the largest picture. The picture lives
 * in the arena. NB_ERR_ARGUMENT: no tiles. */
NB_FALLIBLE nb_draw_grid(const NbDrawTile *tiles, size_t n, const char *const *names,
                         size_t n_names, NbArena *arena, NbImage *out, NbError *err);

#endif
