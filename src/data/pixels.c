/* SPDX-License-Identifier: Apache-2.0 */
#include "data/pixels.h"

#include <assert.h>
#include <string.h>

void nb_pixels_fill(NbPixels p, uint8_t value) {
    for (int y = 0; y < p.height; y++)
        memset(nb_pixels_row(p, y), value, (size_t)p.width * 3);
}

void nb_pixels_copy(NbPixels from, NbPixels to) {
    assert(from.width == to.width && from.height == to.height);
    for (int y = 0; y < from.height; y++)
        memcpy(nb_pixels_row(to, y), nb_pixels_row(from, y), (size_t)from.width * 3);
}

void nb_pixels_flip_lr(NbPixels p) {
    for (int y = 0; y < p.height; y++) {
        uint8_t *left = nb_pixels_row(p, y);
        uint8_t *right = left + (size_t)(p.width - 1) * 3;
        for (; left < right; left += 3, right -= 3) {
            for (int c = 0; c < 3; c++) {
                const uint8_t keep = left[c];
                left[c] = right[c];
                right[c] = keep;
            }
        }
    }
}

void nb_pixels_flip_ud(NbPixels p) {
    const size_t bytes = (size_t)p.width * 3;
    for (int y = 0; y < p.height / 2; y++) {
        uint8_t *const a = nb_pixels_row(p, y);
        uint8_t *const b = nb_pixels_row(p, p.height - 1 - y);
        for (size_t i = 0; i < bytes; i++) {
            const uint8_t keep = a[i];
            a[i] = b[i];
            b[i] = keep;
        }
    }
}

void nb_pixels_blend(NbPixels to, NbPixels other, double r) {
    assert(to.width == other.width && to.height == other.height);
    double mine[256];
    double theirs[256];
    for (int i = 0; i < 256; i++) {
        mine[i] = r * i;
        theirs[i] = (1.0 - r) * i;
    }
    const size_t bytes = (size_t)to.width * 3;
    for (int y = 0; y < to.height; y++) {
        uint8_t *const a = nb_pixels_row(to, y);
        const uint8_t *const b = nb_pixels_row(other, y);
        for (size_t i = 0; i < bytes; i++)
            a[i] = (uint8_t)(mine[a[i]] + theirs[b[i]]);
    }
}
