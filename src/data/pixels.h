/* SPDX-License-Identifier: Apache-2.0
 *
 * A view of 8-bit pixels with three interleaved channels; owns nothing. The operations on pictures
 * of this folder treat the channels alike, except hsv.h, which wants RGB. */
#ifndef NB_DATA_PIXELS_H
#define NB_DATA_PIXELS_H

#include <stddef.h>
#include <stdint.h>

enum { NB_PIXEL_PAD = 114 }; /* what is outside every picture, in every channel */

typedef struct NbPixels {
    uint8_t *data; /* [height][stride]: rows of width * 3 bytes */
    int width;     /* >= 1 */
    int height;    /* >= 1 */
    size_t stride; /* bytes from row to row, >= 3 * width */
} NbPixels;

/* Dense pixels. */
static inline NbPixels nb_pixels(uint8_t *data, int width, int height) {
    return (NbPixels){data, width, height, (size_t)width * 3};
}

/* The part of `p` that starts at (x, y); must lie inside. */
static inline NbPixels nb_pixels_part(NbPixels p, int x, int y, int width, int height) {
    return (NbPixels){p.data + (size_t)y * p.stride + (size_t)x * 3, width, height, p.stride};
}

static inline uint8_t *nb_pixels_row(NbPixels p, int y) { return p.data + (size_t)y * p.stride; }

void nb_pixels_fill(NbPixels p, uint8_t value);

/* Sizes must agree; the pictures must not overlap. */
void nb_pixels_copy(NbPixels from, NbPixels to);

void nb_pixels_flip_lr(NbPixels p);
void nb_pixels_flip_ud(NbPixels p);

/* to[i] = trunc(r * to[i] + (1 - r) * other[i]) in double, r in [0, 1], as NumPy blends for mixup.
 * Sizes must agree. */
void nb_pixels_blend(NbPixels to, NbPixels other, double r);

#endif
