/* SPDX-License-Identifier: Apache-2.0
 *
 * The random affine or perspective step of training, with the bytes of cv::warpAffine and
 * cv::warpPerspective (INTER_LINEAR, constant border NB_PIXEL_PAD) of OpenCV 4.
 * Source: quantized-yolov5 utils/augmentations.py random_perspective. */
#ifndef NB_DATA_WARP_H
#define NB_DATA_WARP_H

#include "base/arena.h"
#include "base/status.h"
#include "data/pixels.h"

#include <stdbool.h>
#include <stddef.h>

/* Ranges of the draws. */
typedef struct NbWarpRanges {
    double degrees;   /* rotation in U(-degrees, degrees) */
    double translate; /* of the centre, as a share of the output: 0.5 + U(-translate, translate) */
    double scale;     /* gain 1 + U(-scale, scale) */
    double shear;     /* degrees, each direction */
    double perspective; /* 0 to 0.001 */
} NbWarpRanges;

/* The draws, in [0, 1), in this order: perspective x, y, angle, scale, shear x, y, translation
 * x, y. */
enum { NB_WARP_DRAWS = 8 };

typedef struct NbWarp {
    double m[9];      /* row-major: output place = m * input place */
    double scale;     /* the drawn gain: what box areas are compared with */
    bool perspective; /* the last row is not 0 0 1 */
} NbWarp;

/* From a picture of width x height to one of out_width x out_height. Cannot fail. */
NbWarp nb_warp_draw(const double unit[NB_WARP_DRAWS], const NbWarpRanges *ranges, int width,
                    int height, int out_width, int out_height);

bool nb_warp_is_identity(const NbWarp *w);

/* Every pixel of `to` from `from`. They must not overlap. Without perspective m is the upper two
 * rows. Errors: memory. */
NB_FALLIBLE nb_warp_pixels(NbPixels from, const NbWarp *w, NbPixels to, NbArena *scratch,
                           NbError *err);

/* The part of a width x height input that nb_warp_pixels reads for an output of the given size: x,
 * y, width, height; an empty part has width or height 0. */
void nb_warp_reads(const NbWarp *w, int width, int height, int out_width, int out_height,
                   int part[4]);

/* One box [left, top, right, bottom] of the input in output pixels: the hull of its four warped
 * corners, clipped to the output. False: too little is left of it (sides over 2 px, area over 0.1
 * of the scaled old one, aspect below max_aspect: 20 in YOLOv5, 100 in YOLOv10). out may be box. */
bool nb_warp_box(const NbWarp *w, const float box[4], int out_width, int out_height,
                 double max_aspect, float out[4]);

/* The same for a polygon of n >= 1 points (x, y): it is resampled to 1000 points, those that fall
 * into the output are enclosed; area limit 0.01, compared with `box`, its hull before the warp. */
bool nb_warp_polygon(const NbWarp *w, const float (*point)[2], size_t n, const float box[4],
                     int out_width, int out_height, double max_aspect, float out[4]);

#endif
