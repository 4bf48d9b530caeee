/* SPDX-License-Identifier: Apache-2.0
 *
 * OpenCV places output pixels on a grid of 1/32 input pixel and weights the four neighbours with
 * products of that fraction; a neighbour outside the picture is NB_PIXEL_PAD. */
#include "data/warp.h"

#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

enum {
    GRID_BITS = 5,
    GRID = 1 << GRID_BITS,
    PLACE_BITS = 10, /* affine: places are summed in 1/1024 */
    SUM_BITS = 2 * GRID_BITS,
    CHANNELS = 3,
    TILE = 32 /* perspective: OpenCV works on blocks of 32 * 32 pixels */
};

static void multiply(const double a[9], const double b[9], double out[9]) {
    for (int i = 0; i < 9; i++) {
        const int row = i - i % 3;
        const int column = i % 3;
        out[i] = a[row] * b[column] + a[row + 1] * b[3 + column] + a[row + 2] * b[6 + column];
    }
}

static double draw(double unit, double lo, double hi) { return lo + unit * (hi - lo); }

NbWarp nb_warp_draw(const double unit[NB_WARP_DRAWS], const NbWarpRanges *r, int width, int height,
                    int out_width, int out_height) {
    const double radian = M_PI / 180.0;
    const double gain = draw(unit[3], 1.0 - r->scale, 1.0 + r->scale);
    const double angle = draw(unit[2], -r->degrees, r->degrees) * radian;
    const double c = cos(angle) * gain;
    const double s = sin(angle) * gain;
    const double centre[9] = {1, 0, -width / 2.0, 0, 1, -height / 2.0, 0, 0, 1};
    const double perspective[9] = {1,
                                   0,
                                   0,
                                   0,
                                   1,
                                   0,
                                   draw(unit[0], -r->perspective, r->perspective),
                                   draw(unit[1], -r->perspective, r->perspective),
                                   1};
    const double rotation[9] = {c, s, 0, -s, c, 0, 0, 0, 1};
    const double shear[9] = {1, tan(draw(unit[4], -r->shear, r->shear) * radian),
                             0, tan(draw(unit[5], -r->shear, r->shear) * radian),
                             1, 0,
                             0, 0,
                             1};
    const double lo = 0.5 - r->translate;
    const double hi = 0.5 + r->translate;
    const double move[9] = {
        1, 0, draw(unit[6], lo, hi) * out_width, 0, 1, draw(unit[7], lo, hi) * out_height, 0, 0, 1};
    double a[9];
    double b[9];
    multiply(move, shear, a);
    multiply(a, rotation, b);
    multiply(b, perspective, a);
    NbWarp w = {.scale = gain, .perspective = r->perspective != 0.0};
    multiply(a, centre, w.m);
    return w;
}

bool nb_warp_is_identity(const NbWarp *w) {
    for (int i = 0; i < 9; i++)
        if (w->m[i] != (i % 4 == 0 ? 1.0 : 0.0))
            return false;
    return true;
}

/* Output to input, in the order of operations of cv::warpAffine. */
static void invert_affine(const double m[9], double out[6]) {
    double d = m[0] * m[4] - m[1] * m[3];
    d = d != 0.0 ? 1.0 / d : 0.0;
    out[0] = m[4] * d;
    out[1] = m[1] * -d;
    out[3] = m[3] * -d;
    out[4] = m[0] * d;
    out[2] = -out[0] * m[2] - out[1] * m[5];
    out[5] = -out[3] * m[2] - out[4] * m[5];
}

/* The same for cv::invert of a 3 x 3 matrix. */
static void invert(const double m[9], double out[9]) {
    double d = m[0] * (m[4] * m[8] - m[5] * m[7]) - m[1] * (m[3] * m[8] - m[5] * m[6]) +
               m[2] * (m[3] * m[7] - m[4] * m[6]);
    d = d != 0.0 ? 1.0 / d : 0.0;
    out[0] = (m[4] * m[8] - m[5] * m[7]) * d;
    out[1] = (m[2] * m[7] - m[1] * m[8]) * d;
    out[2] = (m[1] * m[5] - m[2] * m[4]) * d;
    out[3] = (m[5] * m[6] - m[3] * m[8]) * d;
    out[4] = (m[0] * m[8] - m[2] * m[6]) * d;
    out[5] = (m[2] * m[3] - m[0] * m[5]) * d;
    out[6] = (m[3] * m[7] - m[4] * m[6]) * d;
    out[7] = (m[1] * m[6] - m[0] * m[7]) * d;
    out[8] = (m[0] * m[4] - m[1] * m[3]) * d;
}

/* Rounds half to even; what does not fit (with room for the sums below) is far outside. */
static int place_of(double v) {
    const double limit = (double)(1 << 29);
    return (int)lrint(fmin(fmax(v, -limit), limit));
}

/* One output pixel from the place (x, y) in 1/32 input pixel. */
static void sample(NbPixels from, int x, int y, uint8_t *out) {
    static const uint8_t outside[CHANNELS] = {NB_PIXEL_PAD, NB_PIXEL_PAD, NB_PIXEL_PAD};
    const int ix = x >> GRID_BITS;
    const int iy = y >> GRID_BITS;
    const int fx = x & (GRID - 1);
    const int fy = y & (GRID - 1);
    const uint8_t *p[4];
    if ((unsigned)ix < (unsigned)(from.width - 1) && (unsigned)iy < (unsigned)(from.height - 1)) {
        p[0] = nb_pixels_row(from, iy) + (size_t)ix * CHANNELS;
        p[1] = p[0] + CHANNELS;
        p[2] = p[0] + from.stride;
        p[3] = p[2] + CHANNELS;
    } else {
        for (int k = 0; k < 4; k++) {
            const int px = ix + (k & 1);
            const int py = iy + (k >> 1);
            const bool in = px >= 0 && px < from.width && py >= 0 && py < from.height;
            p[k] = in ? nb_pixels_row(from, py) + (size_t)px * CHANNELS : outside;
        }
    }
    const int w[4] = {(GRID - fx) * (GRID - fy), fx * (GRID - fy), (GRID - fx) * fy, fx * fy};
    for (int c = 0; c < CHANNELS; c++)
        out[c] = (uint8_t)((p[0][c] * w[0] + p[1][c] * w[1] + p[2][c] * w[2] + p[3][c] * w[3] +
                            (1 << (SUM_BITS - 1))) >>
                           SUM_BITS);
}

/* Where the columns of an affine warp lie. */
typedef struct Columns {
    int *x; /* [width] of the output: m00 * x in 1/1024 */
    int *y; /* m10 * x */
} Columns;

static int row_start(double slope, double offset, int y) {
    return place_of((slope * y + offset) * (1 << PLACE_BITS)) + (1 << (PLACE_BITS - GRID_BITS - 1));
}

static void affine_rows(NbPixels from, const double inverse[6], Columns at, NbPixels to) {
    for (int y = 0; y < to.height; y++) {
        const int x0 = row_start(inverse[1], inverse[2], y);
        const int y0 = row_start(inverse[4], inverse[5], y);
        uint8_t *out = nb_pixels_row(to, y);
        for (int x = 0; x < to.width; x++, out += CHANNELS)
            sample(from, (x0 + at.x[x]) >> (PLACE_BITS - GRID_BITS),
                   (y0 + at.y[x]) >> (PLACE_BITS - GRID_BITS), out);
    }
}

/* Input columns lo to hi of rows iy and iy + 1, mixed in 1/32. */
static void mix_rows(NbPixels from, int iy, int fy, int lo, int hi, uint16_t *out) {
    const uint16_t outside = NB_PIXEL_PAD * GRID;
    const bool in0 = iy >= 0 && iy < from.height;
    const bool in1 = iy + 1 >= 0 && iy + 1 < from.height;
    const int first = lo < 0 ? 0 : lo;
    const int last = hi < from.width ? hi : from.width - 1;
    if (first > last || (!in0 && !in1)) {
        for (int i = 0; i < (hi - lo + 1) * CHANNELS; i++)
            out[i] = outside;
        return;
    }
    for (int i = 0; i < (first - lo) * CHANNELS; i++)
        out[i] = outside;
    for (int i = (last + 1 - lo) * CHANNELS; i < (hi + 1 - lo) * CHANNELS; i++)
        out[i] = outside;
    uint16_t *restrict const mid = out + (size_t)(first - lo) * CHANNELS;
    const size_t skip = (size_t)first * CHANNELS;
    const uint8_t *restrict const a = nb_pixels_row(from, in0 ? iy : iy + 1) + skip;
    const uint8_t *restrict const b = nb_pixels_row(from, in1 ? iy + 1 : iy) + skip;
    /* a row outside has weight 0 for its stand-in, and the pad is added instead */
    const uint16_t w0 = (uint16_t)(in0 ? GRID - fy : 0);
    const uint16_t w1 = (uint16_t)(in1 ? fy : 0);
    const uint16_t pad = (uint16_t)(NB_PIXEL_PAD * (GRID - w0 - w1));
    const int n = (last + 1 - first) * CHANNELS;
    for (int i = 0; i < n; i++)
        mid[i] = (uint16_t)(a[i] * w0 + b[i] * w1 + pad);
}

/* No rotation, no shear: the row of an output pixel fixes its input rows, its column the input
 * columns. The sums are exact, so that mixing rows first changes nothing. */
static NbStatus upright(NbPixels from, const double inverse[6], Columns at, NbPixels to,
                        NbArena *scratch, NbError *err) {
    const int x0 = row_start(0.0, inverse[2], 0);
    int lo = INT32_MAX;
    int hi = INT32_MIN;
    for (int x = 0; x < to.width; x++) {
        at.x[x] = (x0 + at.x[x]) >> (PLACE_BITS - GRID_BITS);
        /* whatever is further out is the pad, like the two columns next to the picture */
        const int ix = at.x[x] >> GRID_BITS;
        if (ix < -2)
            at.x[x] = -2 * GRID;
        else if (ix > from.width)
            at.x[x] = from.width * GRID;
        const int column = at.x[x] >> GRID_BITS;
        lo = column < lo ? column : lo;
        hi = column + 1 > hi ? column + 1 : hi;
    }
    uint16_t *const mixed = NB_NEW(scratch, uint16_t, (size_t)(hi - lo + 1) * CHANNELS);
    if (!mixed)
        return nb_fail_memory(err, "warping a picture");
    for (int y = 0; y < to.height; y++) {
        const int place = row_start(inverse[4], inverse[5], y) >> (PLACE_BITS - GRID_BITS);
        mix_rows(from, place >> GRID_BITS, place & (GRID - 1), lo, hi, mixed);
        uint8_t *out = nb_pixels_row(to, y);
        for (int x = 0; x < to.width; x++, out += CHANNELS) {
            const uint32_t f = (uint32_t)at.x[x] & (GRID - 1);
            const uint16_t *const p = mixed + (size_t)((at.x[x] >> GRID_BITS) - lo) * CHANNELS;
            for (int c = 0; c < CHANNELS; c++)
                out[c] =
                    (uint8_t)((p[c] * (GRID - f) + p[CHANNELS + c] * f + (1U << (SUM_BITS - 1))) >>
                              SUM_BITS);
        }
    }
    return NB_OK;
}

static NbStatus affine(NbPixels from, const NbWarp *w, NbPixels to, NbArena *scratch,
                       NbError *err) {
    double inverse[6];
    invert_affine(w->m, inverse);
    const Columns at = {NB_NEW(scratch, int, (size_t)to.width),
                        NB_NEW(scratch, int, (size_t)to.width)};
    if (!at.x || !at.y)
        return nb_fail_memory(err, "warping a picture");
    for (int x = 0; x < to.width; x++) {
        at.x[x] = place_of(inverse[0] * x * (1 << PLACE_BITS));
        at.y[x] = place_of(inverse[3] * x * (1 << PLACE_BITS));
    }
    if (inverse[1] == 0.0 && inverse[3] == 0.0)
        return upright(from, inverse, at, to, scratch, err);
    affine_rows(from, inverse, at, to);
    return NB_OK;
}

/* The place of an output pixel, as a sum from the start of its block: rounding follows OpenCV. */
static int projected(double start, double slope, int x, double inverse_depth) {
    const double limit = (double)(1 << 30);
    return (int)lrint(fmax(-limit, fmin(limit, (start + slope * x) * inverse_depth)));
}

static void perspective(NbPixels from, const NbWarp *w, NbPixels to) {
    double m[9];
    invert(w->m, m);
    const int half_tile = TILE / 2 < to.height ? TILE / 2 : to.height;
    const int tile_width = TILE * TILE / half_tile < to.width ? TILE * TILE / half_tile : to.width;
    for (int y = 0; y < to.height; y++) {
        uint8_t *out = nb_pixels_row(to, y);
        for (int x = 0; x < to.width; x++, out += CHANNELS) {
            const int x0 = x - x % tile_width;
            const double depth = m[6] * x0 + m[7] * y + m[8] + m[6] * (x - x0);
            const double k = depth != 0.0 ? GRID / depth : 0.0;
            const int px = projected(m[0] * x0 + m[1] * y + m[2], m[0], x - x0, k);
            const int py = projected(m[3] * x0 + m[4] * y + m[5], m[3], x - x0, k);
            sample(from, px, py, out);
        }
    }
}

NbStatus nb_warp_pixels(NbPixels from, const NbWarp *w, NbPixels to, NbArena *scratch,
                        NbError *err) {
    if (w->perspective) {
        perspective(from, w, to);
        return NB_OK;
    }
    const NbArenaMark mark = nb_arena_mark(scratch);
    const NbStatus status = affine(from, w, to, scratch, err);
    nb_arena_rewind(scratch, mark);
    return status;
}

void nb_warp_reads(const NbWarp *w, int width, int height, int out_width, int out_height,
                   int part[4]) {
    part[0] = part[1] = 0;
    part[2] = width;
    part[3] = height;
    if (w->perspective)
        return;
    double inverse[6];
    invert_affine(w->m, inverse);
    const int side[2] = {width, height};
    for (int k = 0; k < 2; k++) {
        const double *const m = k ? inverse + 3 : inverse;
        const double dx = m[0] * (out_width - 1);
        const double dy = m[1] * (out_height - 1);
        /* two pixels of margin: one neighbour, and the rounding of places */
        const double lo = floor(m[2] + fmin(dx, 0.0) + fmin(dy, 0.0)) - 2.0;
        const double hi = ceil(m[2] + fmax(dx, 0.0) + fmax(dy, 0.0)) + 2.0;
        const int first = (int)fmin(fmax(lo, 0.0), side[k]);
        const int end = (int)fmin(fmax(hi + 1.0, 0.0), side[k]);
        part[k] = first;
        part[2 + k] = end > first ? end - first : 0;
    }
}

static void move_point(const NbWarp *w, double x, double y, double out[2]) {
    const double *const m = w->m;
    out[0] = x * m[0] + y * m[1] + m[2];
    out[1] = x * m[3] + y * m[4] + m[5];
    if (w->perspective) {
        const double depth = x * m[6] + y * m[7] + m[8];
        out[0] /= depth;
        out[1] /= depth;
    }
}

static void enclose(double hull[4], const double p[2], bool first) {
    for (int k = 0; k < 2; k++) {
        hull[k] = first ? p[k] : fmin(hull[k], p[k]);
        hull[2 + k] = first ? p[k] : fmax(hull[2 + k], p[k]);
    }
}

/* box_candidates of the source: before in scaled input pixels. */
static bool enough_left(const NbWarp *w, const float before[4], const double after[4],
                        double min_area, double max_aspect) {
    const double tiny = 1e-16;
    const double bw = (double)(before[2] * (float)w->scale - before[0] * (float)w->scale);
    const double bh = (double)(before[3] * (float)w->scale - before[1] * (float)w->scale);
    const double aw = after[2] - after[0];
    const double ah = after[3] - after[1];
    const double aspect = fmax(aw / (ah + tiny), ah / (aw + tiny));
    return aw > 2.0 && ah > 2.0 && aw * ah / (bw * bh + tiny) > min_area && aspect < max_aspect;
}

static void clip_hull(double hull[4], int width, int height) {
    for (int k = 0; k < 4; k++)
        hull[k] = fmin(fmax(hull[k], 0.0), k % 2 == 0 ? width : height);
}

bool nb_warp_box(const NbWarp *w, const float box[4], int out_width, int out_height,
                 double max_aspect, float out[4]) {
    double hull[4] = {0};
    for (int k = 0; k < 4; k++) {
        double p[2];
        move_point(w, (double)box[k & 1 ? 2 : 0], (double)box[k & 2 ? 3 : 1], p);
        enclose(hull, p, k == 0);
    }
    clip_hull(hull, out_width, out_height);
    const bool keep = enough_left(w, box, hull, 0.1, max_aspect);
    for (int k = 0; k < 4; k++) /* only now: out may be box */
        out[k] = (float)hull[k];
    return keep;
}

enum { POLYGON_POINTS = 1000 };

bool nb_warp_polygon(const NbWarp *w, const float (*point)[2], size_t n, const float box[4],
                     int out_width, int out_height, double max_aspect, float out[4]) {
    assert(n >= 1);
    double hull[4] = {0};
    bool first = true;
    for (int i = 0; i < POLYGON_POINTS; i++) {
        /* the closed polygon has n + 1 points; places run evenly over their numbers */
        const double at = (double)n * i / (POLYGON_POINTS - 1);
        const size_t k = (size_t)at < n ? (size_t)at : n - 1;
        const double f = at - (double)k;
        const float *const a = point[k];
        const float *const b = point[(k + 1) % n];
        double p[2];
        move_point(w, (double)a[0] + ((double)b[0] - (double)a[0]) * f,
                   (double)a[1] + ((double)b[1] - (double)a[1]) * f, p);
        if (p[0] < 0.0 || p[1] < 0.0 || p[0] > out_width || p[1] > out_height)
            continue;
        enclose(hull, p, first);
        first = false;
    }
    clip_hull(hull, out_width, out_height);
    const bool keep = !first && enough_left(w, box, hull, 0.01, max_aspect);
    for (int k = 0; k < 4; k++) /* only now: out may be box */
        out[k] = (float)hull[k];
    return keep;
}
