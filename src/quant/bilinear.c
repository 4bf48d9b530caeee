/* SPDX-License-Identifier: Apache-2.0
 *
 * Bilinear resizing. */
#include "quant/bilinear.h"

#include <math.h>

/* Two neighbours along one axis and their shares. */
typedef struct Taps {
    int64_t at[2];
    float share[2];
} Taps;

static Taps taps(int64_t i, int64_t in, int factor, bool align_corners) {
    const int64_t out = in * factor;
    float place;
    if (align_corners) {
        const float step = out > 1 ? (float)(in - 1) / (float)(out - 1) : 0.0F;
        place = step * (float)i;
    } else {
        const float step = (float)(1.0 / (double)factor);
        place = step * ((float)i + 0.5F) - 0.5F;
        place = place < 0.0F ? 0.0F : place;
    }
    int64_t first = (int64_t)place;
    first = first < in ? first : in - 1;
    const float high = place - (float)first;
    return (Taps){.at = {first, first + (first < in - 1)}, .share = {1.0F - high, high}};
}

/* PyTorch's compiled kernel fuses the first product of each pair into the sum. */
static float blend(float a, float b, const float share[2]) {
    return fmaf(a, share[0], b * share[1]);
}

static float along(const float *row, const Taps *t) {
    return blend(row[t->at[0]], row[t->at[1]], t->share);
}

void nb_bilinear_upsample(const float *x, size_t planes, int64_t h, int64_t w, int factor,
                          bool align_corners, float *y) {
    for (size_t p = 0; p < planes; p++) {
        const float *const plane = x + (int64_t)p * h * w;
        for (int64_t i = 0; i < h * factor; i++) {
            const Taps vertical = taps(i, h, factor, align_corners);
            for (int64_t j = 0; j < w * factor; j++) {
                const Taps across = taps(j, w, factor, align_corners);
                const float top = along(plane + vertical.at[0] * w, &across);
                const float down = along(plane + vertical.at[1] * w, &across);
                *y++ = blend(top, down, vertical.share);
            }
        }
    }
}

void nb_bilinear_requantize(float *y, size_t n, float scale) {
    for (size_t i = 0; i < n; i++)
        y[i] = rintf(y[i] / scale) * scale;
}
