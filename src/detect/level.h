/* SPDX-License-Identifier: Apache-2.0
 *
 * One level of raw head output, in any layout. */
#ifndef NB_DETECT_LEVEL_H
#define NB_DETECT_LEVEL_H

#include <stddef.h>

enum { NB_LOSS_MAX_LEVELS = 8 };

/* value(b, a, y, x, c) is at raw[b * sb + a * sa + y * sy + x * sx + c * sc]. Heads without anchors
 * have a = 0 only. */
typedef struct NbHeadLevel {
    const float *raw;
    float *grad; /* same layout; WRITTEN; NULL: not wanted */
    int ny, nx;
    ptrdiff_t sb, sa, sy, sx, sc;
} NbHeadLevel;

/* Zeroes the gradient of the first `channels` channels of a row of cells that begins at `row`,
 * walking so that what lies together in memory is cleared together. */
void nb_level_clear_row(const NbHeadLevel *level, float *row, int channels);

#endif
