/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows are worked on in blocks, unzipped into planes, so that the floating part vectorises. The
 * arithmetic is that of OpenCV's 8-bit code: integers with reciprocal tables one way, float32 with
 * one fused multiply-add per value the other way. */
#include "data/hsv.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

enum { BLOCK = 32, SHIFT = 12, HALF = 1 << (SHIFT - 1), HUES = 180 };

/* Reciprocals: 255 / v and 30 / difference in 1/4096. */
typedef struct Divisors {
    int saturation[256];
    int hue[256];
} Divisors;

/* What the float part needs to know of each byte. */
typedef struct Back {
    float fraction[256]; /* of the hue in its sector */
    uint8_t sector[256];
    float unit[256]; /* byte / 255 */
} Back;

typedef struct Block {
    uint8_t hue[BLOCK];
    uint8_t saturation[BLOCK];
    uint8_t value[BLOCK];
} Block;

static void divisors_init(Divisors *d) {
    d->saturation[0] = d->hue[0] = 0;
    for (int i = 1; i < 256; i++) {
        d->saturation[i] = (int)lrint((255 << SHIFT) / (1.0 * i));
        d->hue[i] = (int)lrint((HUES << SHIFT) / (6.0 * i));
    }
}

static void back_init(Back *b) {
    const float per_hue = 6.0F / (float)HUES;
    for (int i = 0; i < 256; i++) {
        const float h = (float)i * per_hue;
        const int sector = (int)h;
        b->fraction[i] = h - (float)sector;
        b->sector[i] = (uint8_t)(sector % 6);
        b->unit[i] = (float)i * (1.0F / 255.0F);
    }
}

static int max3(int a, int b, int c) {
    const int m = a > b ? a : b;
    return m > c ? m : c;
}

static int min3(int a, int b, int c) {
    const int m = a < b ? a : b;
    return m < c ? m : c;
}

static void to_hsv(const uint8_t *rgb, int n, const Divisors *d, Block *out) {
    for (int i = 0; i < n; i++, rgb += 3) {
        const int r = rgb[0];
        const int g = rgb[1];
        const int b = rgb[2];
        const int v = max3(r, g, b);
        const int diff = v - min3(r, g, b);
        const int not_red = v == g ? b - r + 2 * diff : r - g + 4 * diff;
        const int raw = v == r ? g - b : not_red;
        int h = (raw * d->hue[diff] + HALF) >> SHIFT; /* an arithmetic shift, as in the source */
        h += h < 0 ? HUES : 0;
        out->hue[i] = (uint8_t)h;
        out->saturation[i] = (uint8_t)((diff * d->saturation[v] + HALF) >> SHIFT);
        out->value[i] = (uint8_t)v;
    }
}

/* 1 - a * b with one rounding: the product of two floats is exact in double. */
static float one_minus(float a, float b) { return (float)(1.0 - (double)a * (double)b); }

static uint8_t byte_of(float v, bool truncate) { return (uint8_t)(truncate ? v : rintf(v)); }

/* Writes n <= BLOCK pixels. A whole block is truncated, a shorter one rounded. */
static void to_rgb(const Block *in, int n, const Back *back, uint8_t *rgb) {
    static const uint8_t from[6][3] = {/* which level gives red, green, blue of each sector */
                                       {0, 3, 1}, {2, 0, 1}, {1, 0, 3},
                                       {1, 2, 0}, {3, 1, 0}, {0, 1, 2}};
    float f[BLOCK];
    float s[BLOCK];
    float v[BLOCK];
    uint8_t level[4][BLOCK];
    for (int i = 0; i < n; i++) {
        f[i] = back->fraction[in->hue[i]];
        s[i] = back->unit[in->saturation[i]];
        v[i] = back->unit[in->value[i]];
    }
    const bool whole = n == BLOCK;
    for (int i = 0; i < n; i++) {
        level[0][i] = byte_of(v[i] * 255.0F, whole);
        level[1][i] = byte_of(v[i] * (1.0F - s[i]) * 255.0F, whole);
        level[2][i] = byte_of(v[i] * one_minus(s[i], f[i]) * 255.0F, whole);
        level[3][i] = byte_of(v[i] * one_minus(s[i], 1.0F - f[i]) * 255.0F, whole);
    }
    for (int i = 0; i < n; i++) {
        const uint8_t *const pick = from[back->sector[in->hue[i]]];
        for (int c = 0; c < 3; c++)
            rgb[3 * i + c] = level[pick[c]][i];
    }
}

static int block_at(int x, int width) { return width - x < BLOCK ? width - x : BLOCK; }

void nb_rgb_to_hsv(NbPixels from, NbPixels to) {
    Divisors d;
    divisors_init(&d);
    Block block;
    for (int y = 0; y < from.height; y++) {
        for (int x = 0; x < from.width; x += BLOCK) {
            const int n = block_at(x, from.width);
            to_hsv(nb_pixels_row(from, y) + (size_t)x * 3, n, &d, &block);
            uint8_t *out = nb_pixels_row(to, y) + (size_t)x * 3;
            for (int i = 0; i < n; i++, out += 3) {
                out[0] = block.hue[i];
                out[1] = block.saturation[i];
                out[2] = block.value[i];
            }
        }
    }
}

void nb_hsv_to_rgb(NbPixels from, NbPixels to) {
    Back back;
    back_init(&back);
    Block block;
    for (int y = 0; y < from.height; y++) {
        for (int x = 0; x < from.width; x += BLOCK) {
            const int n = block_at(x, from.width);
            const uint8_t *in = nb_pixels_row(from, y) + (size_t)x * 3;
            for (int i = 0; i < n; i++, in += 3) {
                block.hue[i] = in[0];
                block.saturation[i] = in[1];
                block.value[i] = in[2];
            }
            to_rgb(&block, n, &back, nb_pixels_row(to, y) + (size_t)x * 3);
        }
    }
}

void nb_hsv_tables(const double change[3], NbHsvRule rule, NbHsvTables *out) {
    for (int i = 0; i < 256; i++) {
        double hue;
        if (rule == NB_HSV_YOLOV5)
            hue = fmod(i * (1.0 + change[0]), HUES);
        else
            hue = fmod(i + change[0] * HUES, HUES);
        out->hue[i] = (uint8_t)(hue < 0.0 ? hue + HUES : hue);
        out->saturation[i] = (uint8_t)fmin(fmax(i * (1.0 + change[1]), 0.0), 255.0);
        out->value[i] = (uint8_t)fmin(fmax(i * (1.0 + change[2]), 0.0), 255.0);
    }
}

/* The same as `back` read through a table. */
static void back_through(const Back *back, const NbHsvTables *t, Back *out) {
    for (int i = 0; i < 256; i++) {
        out->fraction[i] = back->fraction[t->hue[i]];
        out->sector[i] = back->sector[t->hue[i]];
    }
}

void nb_hsv_adjust(NbPixels p, const NbHsvTables *t) {
    Divisors d;
    divisors_init(&d);
    Back plain;
    back_init(&plain);
    Back back = plain; /* hues go through the table here, the rest below */
    back_through(&plain, t, &back);
    Block block;
    for (int y = 0; y < p.height; y++) {
        for (int x = 0; x < p.width; x += BLOCK) {
            const int n = block_at(x, p.width);
            uint8_t *const at = nb_pixels_row(p, y) + (size_t)x * 3;
            to_hsv(at, n, &d, &block);
            for (int i = 0; i < n; i++) {
                block.saturation[i] = t->saturation[block.saturation[i]];
                block.value[i] = t->value[block.value[i]];
            }
            to_rgb(&block, n, &back, at);
        }
    }
}
