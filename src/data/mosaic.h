/* SPDX-License-Identifier: Apache-2.0
 *
 * Four pictures around one point of a canvas of twice the side: where each comes to lie.
 * Source: quantized-yolov5 utils/datasets.py load_mosaic. */
#ifndef NB_DATA_MOSAIC_H
#define NB_DATA_MOSAIC_H

#include "data/pixels.h"

typedef struct NbTile {
    int x, y;           /* on the canvas */
    int width, height;  /* of what is visible; 0: nothing */
    int from_x, from_y; /* in the picture */
} NbTile;

/* Tile k (0 top left, 1 top right, 2 bottom left, 3 bottom right) of a 2 * size canvas with its
 * centre at (xc, yc), for a picture of width x height. A picture's point (px, py) lies on the
 * canvas at (px + x - from_x, py + y - from_y), visible or not. */
NbTile nb_mosaic_tile(int k, int size, int xc, int yc, int width, int height);

/* Copies the visible part of the tile that lies in `part` (x, y, width, height) of the canvas. */
void nb_mosaic_copy(const NbTile *tile, NbPixels picture, NbPixels canvas, const int part[4]);

/* A relative box [cx, cy, w, h] of a width x height picture as [left, top, right, bottom], moved by
 * dx, dy; float32 like the source. */
void nb_box_place(const float xywh[4], float width, float height, float dx, float dy, float out[4]);

/* What YOLOv5 keeps free at the right and lower border. */
#define NB_BOX_MARGIN 1e-3F

/* The way back: clipped to [0, side - margin], relative to the side. */
void nb_box_relative(const float xyxy[4], int width, int height, float margin, float out[4]);

/* A relative box of a picture that was flipped: axis 0 left-right, 1 up-down. */
static inline void nb_box_flip(float xywh[4], int axis) { xywh[axis] = 1.0F - xywh[axis]; }

#endif
