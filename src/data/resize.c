/* SPDX-License-Identifier: Apache-2.0
 *
 * The order of every operation follows cv::resize, because rounding depends on it. */
#include "data/resize.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdbool.h>

enum { ONE = 2048, CHANNELS = 3 };

/* One output place of the bilinear rule: source index and the weights of it and the next one. */
typedef struct Tap {
    int at;
    int16_t w0;
    int16_t w1;
} Tap;

/* Source pixels per output pixel, computed as OpenCV does: twice rounded. */
static double scale_of(int from, int to) { return 1.0 / ((double)to / from); }

static Tap tap_at(int i, double scale, float *fraction) {
    float f = (float)((i + 0.5) * scale - 0.5);
    const int at = (int)floorf(f);
    f -= (float)at;
    *fraction = f;
    return (Tap){at, (int16_t)lrintf((1.0F - f) * ONE), (int16_t)lrintf(f * ONE)};
}

/* Columns outside the picture lose their fraction (OpenCV does not do that to rows). */
static void column_taps(int from, int to, Tap *tap) {
    const double scale = scale_of(from, to);
    for (int i = 0; i < to; i++) {
        float f;
        tap[i] = tap_at(i, scale, &f);
        if (tap[i].at < 0)
            tap[i] = (Tap){0, ONE, 0};
        else if (tap[i].at >= from - 1)
            tap[i] = (Tap){from - 1, ONE, 0};
    }
}

/* One source row to the output width; sums in 1/2048, of which the vertical step uses all but the
 * lowest four bits: at most 255 * 2048 / 16 = 32640. */
static void horizontal(const uint8_t *row, const Tap *tap, int width, int16_t *out) {
    for (int i = 0; i < width; i++) {
        const uint8_t *const p = row + (size_t)tap[i].at * CHANNELS;
        const size_t next = tap[i].w1 ? CHANNELS : 0; /* the last column has no neighbour */
        for (int c = 0; c < CHANNELS; c++)
            out[i * CHANNELS + c] =
                (int16_t)((p[c] * tap[i].w0 + p[next + (size_t)c] * tap[i].w1) >> 4);
    }
}

static void vertical(const int16_t *restrict a, const int16_t *restrict b, Tap tap, int n,
                     uint8_t *restrict out) {
    const int16_t w0 = tap.w0;
    const int16_t w1 = tap.w1;
    for (int i = 0; i < n; i++) {
        const int top = (a[i] * w0) >> 16;
        const int bottom = (b[i] * w1) >> 16;
        out[i] = (uint8_t)((top + bottom + 2) >> 2);
    }
}

static int clip_row(int y, int height) { return y < 0 ? 0 : y < height ? y : height - 1; }

static NbStatus linear(NbPixels from, NbPixels to, NbArena *scratch, NbError *err) {
    const size_t n = (size_t)to.width * CHANNELS;
    Tap *const tap = NB_NEW(scratch, Tap, (size_t)to.width);
    int16_t *row[2] = {NB_NEW(scratch, int16_t, n), NB_NEW(scratch, int16_t, n)};
    if (!tap || !row[0] || !row[1])
        return nb_fail_memory(err, "resizing a picture");
    column_taps(from.width, to.width, tap);
    const double scale = scale_of(from.height, to.height);
    int held[2] = {-1, -1}; /* the source rows in row[] */
    for (int y = 0; y < to.height; y++) {
        float f;
        const Tap v = tap_at(y, scale, &f);
        const int want[2] = {clip_row(v.at, from.height), clip_row(v.at + 1, from.height)};
        if (held[1] == want[0]) { /* going down, the lower row becomes the upper one */
            int16_t *const keep = row[0];
            row[0] = row[1];
            row[1] = keep;
            held[1] = held[0];
            held[0] = want[0];
        }
        for (int k = 0; k < 2; k++) {
            if (held[k] != want[k])
                horizontal(nb_pixels_row(from, want[k]), tap, to.width, row[k]);
            held[k] = want[k];
        }
        vertical(row[0], row[1], v, (int)n, nb_pixels_row(to, y));
    }
    return NB_OK;
}

static void half(NbPixels from, NbPixels to) {
    for (int y = 0; y < to.height; y++) {
        const uint8_t *const a = nb_pixels_row(from, 2 * y);
        const uint8_t *const b = nb_pixels_row(from, 2 * y + 1);
        uint8_t *const out = nb_pixels_row(to, y);
        for (int x = 0; x < to.width; x++) {
            for (int c = 0; c < CHANNELS; c++) {
                const int i = 2 * x * CHANNELS + c;
                out[x * CHANNELS + c] =
                    (uint8_t)((a[i] + a[i + CHANNELS] + b[i] + b[i + CHANNELS] + 2) >> 2);
            }
        }
    }
}

/* The whole number of source pixels per output pixel in a direction; 0: not whole. */
static int whole_scale(int from, int to) {
    const double scale = scale_of(from, to);
    const long near = lrint(scale);
    return fabs(scale - (double)near) < DBL_EPSILON ? (int)near : 0;
}

static bool same_size(NbPixels a, NbPixels b) { return a.width == b.width && a.height == b.height; }

NbStatus nb_resize_linear(NbPixels from, NbPixels to, NbArena *scratch, NbError *err) {
    if (same_size(from, to)) {
        nb_pixels_copy(from, to);
        return NB_OK;
    }
    if (whole_scale(from.width, to.width) == 2 && whole_scale(from.height, to.height) == 2) {
        half(from, to);
        return NB_OK;
    }
    const NbArenaMark mark = nb_arena_mark(scratch);
    const NbStatus status = linear(from, to, scratch, err);
    nb_arena_rewind(scratch, mark);
    return status;
}

/* A share of one source pixel in one output pixel. */
typedef struct Share {
    int from;
    int to;
    float weight;
} Share;

/* Writes at most 2 * from + to shares, in order of `to`; returns how many. */
static int area_shares(int from, int to, Share *out) {
    const double scale = scale_of(from, to);
    int n = 0;
    for (int i = 0; i < to; i++) {
        const double begin = i * scale;
        const double end = begin + scale;
        const double cell = fmin(scale, from - begin);
        int last = (int)floor(end);
        int first = (int)ceil(begin);
        last = last < from - 1 ? last : from - 1;
        first = first < last ? first : last;
        if (first - begin > 1e-3)
            out[n++] = (Share){first - 1, i, (float)((first - begin) / cell)};
        for (int s = first; s < last; s++)
            out[n++] = (Share){s, i, (float)(1.0 / cell)};
        if (end - last > 1e-3)
            out[n++] = (Share){last, i, (float)(fmin(fmin(end - last, 1.0), cell) / cell)};
    }
    return n;
}

static uint8_t saturate(float v) {
    const long r = lrintf(v);
    return (uint8_t)(r < 0 ? 0 : r > 255 ? 255 : r);
}

static void area_row(const uint8_t *row, const Share *x, int n_x, float *out) {
    for (int k = 0; k < n_x; k++) {
        float *const o = out + (size_t)x[k].to * CHANNELS;
        const uint8_t *const p = row + (size_t)x[k].from * CHANNELS;
        for (int c = 0; c < CHANNELS; c++)
            o[c] += (float)p[c] * x[k].weight;
    }
}

static NbStatus area(NbPixels from, NbPixels to, NbArena *scratch, NbError *err) {
    const size_t n = (size_t)to.width * CHANNELS;
    Share *const x = NB_NEW(scratch, Share, 2 * (size_t)from.width + (size_t)to.width);
    Share *const y = NB_NEW(scratch, Share, 2 * (size_t)from.height + (size_t)to.height);
    float *const row = NB_NEW(scratch, float, n);
    float *const sum = NB_NEW(scratch, float, n);
    if (!x || !y || !row || !sum)
        return nb_fail_memory(err, "resizing a picture");
    const int n_x = area_shares(from.width, to.width, x);
    const int n_y = area_shares(from.height, to.height, y);
    for (int k = 0; k < n_y; k++) {
        for (size_t i = 0; i < n; i++)
            row[i] = 0.0F;
        area_row(nb_pixels_row(from, y[k].from), x, n_x, row);
        const bool first = k == 0 || y[k - 1].to != y[k].to;
        for (size_t i = 0; i < n; i++)
            sum[i] = first ? y[k].weight * row[i] : sum[i] + y[k].weight * row[i];
        if (k + 1 == n_y || y[k + 1].to != y[k].to) {
            uint8_t *const out = nb_pixels_row(to, y[k].to);
            for (size_t i = 0; i < n; i++)
                out[i] = saturate(sum[i]);
        }
    }
    return NB_OK;
}

/* sx by sy whole pixels for each output pixel. */
static void area_whole(NbPixels from, NbPixels to, int sx, int sy) {
    const float scale = 1.0F / (float)(sx * sy);
    for (int y = 0; y < to.height; y++) {
        uint8_t *const out = nb_pixels_row(to, y);
        for (int i = 0; i < to.width * CHANNELS; i++) {
            const size_t at =
                (size_t)(i / CHANNELS) * (size_t)sx * CHANNELS + (size_t)(i % CHANNELS);
            int sum = 0;
            for (int v = 0; v < sy; v++) {
                const uint8_t *const p = nb_pixels_row(from, y * sy + v) + at;
                for (int u = 0; u < sx; u++)
                    sum += p[(size_t)u * CHANNELS];
            }
            out[i] = saturate((float)sum * scale);
        }
    }
}

NbStatus nb_resize_area(NbPixels from, NbPixels to, NbArena *scratch, NbError *err) {
    if (to.width > from.width || to.height > from.height)
        return nb_fail(NB_ERR_ARGUMENT, err,
                       "area resize makes pictures smaller, not %d x %d to %d x %d", from.width,
                       from.height, to.width, to.height);
    if (same_size(from, to)) {
        nb_pixels_copy(from, to);
        return NB_OK;
    }
    const int sx = whole_scale(from.width, to.width);
    const int sy = whole_scale(from.height, to.height);
    if (sx == 2 && sy == 2) {
        half(from, to);
        return NB_OK;
    }
    if (sx && sy) {
        area_whole(from, to, sx, sy);
        return NB_OK;
    }
    const NbArenaMark mark = nb_arena_mark(scratch);
    const NbStatus status = area(from, to, scratch, err);
    nb_arena_rewind(scratch, mark);
    return status;
}
