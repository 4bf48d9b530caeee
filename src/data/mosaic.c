/* SPDX-License-Identifier: Apache-2.0 */
#include "data/mosaic.h"

#include <assert.h>

static int min_int(int a, int b) { return a < b ? a : b; }
static int max_int(int a, int b) { return a > b ? a : b; }

NbTile nb_mosaic_tile(int k, int size, int xc, int yc, int width, int height) {
    assert(k >= 0 && k < 4);
    NbTile t;
    if (k % 2 == 0) { /* left: its right edge is at the centre */
        t.x = max_int(xc - width, 0);
        t.width = xc - t.x;
        t.from_x = width - t.width;
    } else {
        t.x = xc;
        t.width = min_int(xc + width, 2 * size) - xc;
        t.from_x = 0;
    }
    if (k / 2 == 0) {
        t.y = max_int(yc - height, 0);
        t.height = yc - t.y;
        t.from_y = height - t.height;
    } else {
        t.y = yc;
        t.height = min_int(yc + height, 2 * size) - yc;
        t.from_y = 0;
    }
    return t;
}

void nb_mosaic_copy(const NbTile *t, NbPixels picture, NbPixels canvas, const int part[4]) {
    const int x0 = max_int(t->x, part[0]);
    const int y0 = max_int(t->y, part[1]);
    const int x1 = min_int(t->x + t->width, part[0] + part[2]);
    const int y1 = min_int(t->y + t->height, part[1] + part[3]);
    if (x1 <= x0 || y1 <= y0)
        return;
    const NbPixels from =
        nb_pixels_part(picture, t->from_x + x0 - t->x, t->from_y + y0 - t->y, x1 - x0, y1 - y0);
    nb_pixels_copy(from, nb_pixels_part(canvas, x0, y0, x1 - x0, y1 - y0));
}

void nb_box_place(const float xywh[4], float width, float height, float dx, float dy,
                  float out[4]) {
    out[0] = width * (xywh[0] - xywh[2] / 2.0F) + dx;
    out[1] = height * (xywh[1] - xywh[3] / 2.0F) + dy;
    out[2] = width * (xywh[0] + xywh[2] / 2.0F) + dx;
    out[3] = height * (xywh[1] + xywh[3] / 2.0F) + dy;
}

static float clip(float v, float hi) { return v < 0.0F ? 0.0F : v > hi ? hi : v; }

void nb_box_relative(const float xyxy[4], int width, int height, float margin, float out[4]) {
    const float w = (float)width;
    const float h = (float)height;
    const float x1 = clip(xyxy[0], w - margin);
    const float y1 = clip(xyxy[1], h - margin);
    const float x2 = clip(xyxy[2], w - margin);
    const float y2 = clip(xyxy[3], h - margin);
    out[0] = (x1 + x2) / 2.0F / w;
    out[1] = (y1 + y2) / 2.0F / h;
    out[2] = (x2 - x1) / w;
    out[3] = (y2 - y1) / h;
}
