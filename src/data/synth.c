/* SPDX-License-Identifier: Apache-2.0
 *
 * Drawing one synthetic picture. Places are in pixels, with pixel centres at .5; edges are smoothed
 * by counting which of 4 x 4 points of a pixel lie inside. */
#include "data/synth.h"
#include "base/random.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

enum {
    CIRCLE,
    SQUARE,
    TRIANGLE,
    CELLS = 6,     /* of the background texture, each way */
    SUB = 4,       /* points of a pixel, each way */
    TRIES = 24,    /* for a free place */
    NOISE = 9,     /* largest change of a value by noise */
    CONTRAST = 70, /* least difference of an object's and the background's brightness */
};

typedef struct Shape {
    int cls;
    double x, y, radius; /* circle; of the others: of the circle around it */
    int corners;
    double corner[4][2]; /* counter-clockwise as seen with y down */
    double box[4];
    double colour[3];
} Shape;

const char *nb_synth_class(int cls) {
    static const char *const name[NB_SYNTH_CLASSES] = {"circle", "square", "triangle"};
    assert(cls >= 0 && cls < NB_SYNTH_CLASSES);
    return name[cls];
}

static uint8_t to_byte(double v) { return (uint8_t)(v < 0.0 ? 0.0 : v > 255.0 ? 255.0 : v); }

static double smooth(double t) { return t * t * (3.0 - 2.0 * t); }

/* Two colours mixed by smooth noise, and sometimes stripes; returns the mean brightness. */
static double draw_background(NbRandom *r, int side, uint8_t *rgb) {
    double colour[2][3];
    for (int i = 0; i < 6; i++)
        colour[i / 3][i % 3] = nb_random_range(r, 30.0, 225.0);
    for (int c = 0; c < 3; c++) /* the two stay near each other: objects must stand out */
        colour[1][c] = 0.65 * colour[0][c] + 0.35 * colour[1][c];
    double cell[CELLS + 1][CELLS + 1];
    for (int i = 0; i < (CELLS + 1) * (CELLS + 1); i++)
        cell[i / (CELLS + 1)][i % (CELLS + 1)] = nb_random_unit(r);
    const int stripe = nb_random_unit(r) < 0.3 ? 3 + (int)nb_random_below(r, 8) : 0;
    const bool across = nb_random_unit(r) < 0.5;
    for (int y = 0; y < side; y++) {
        for (int x = 0; x < side; x++) {
            const double u = (double)x * CELLS / side;
            const double v = (double)y * CELLS / side;
            const int i = (int)u;
            const int k = (int)v;
            const double fu = smooth(u - i);
            const double fv = smooth(v - k);
            const double top = cell[k][i] * (1.0 - fu) + cell[k][i + 1] * fu;
            const double bottom = cell[k + 1][i] * (1.0 - fu) + cell[k + 1][i + 1] * fu;
            double t = top * (1.0 - fv) + bottom * fv;
            if (stripe && ((across ? x : y) / stripe) % 2)
                t = 1.0 - t;
            for (int c = 0; c < 3; c++)
                rgb[(y * side + x) * 3 + c] = to_byte(colour[0][c] * (1.0 - t) + colour[1][c] * t);
        }
    }
    double sum = 0.0;
    for (int c = 0; c < 3; c++)
        sum += (colour[0][c] + colour[1][c]) / 6.0;
    return sum;
}

/* Corners around the centre, turned by up to about 20 degrees. cosine and sine come from half the
 * tangent t, which needs no library function: (1 - t^2, 2 t) / (1 + t^2). */
static void place_corners(NbRandom *r, Shape *s) {
    static const double square[4][2] = {{-0.7071067811865476, -0.7071067811865476},
                                        {-0.7071067811865476, 0.7071067811865476},
                                        {0.7071067811865476, 0.7071067811865476},
                                        {0.7071067811865476, -0.7071067811865476}};
    static const double triangle[3][2] = {
        {0.0, -1.0}, {-0.8660254037844386, 0.5}, {0.8660254037844386, 0.5}};
    const double t = nb_random_range(r, -0.17, 0.17);
    const double cosine = (1.0 - t * t) / (1.0 + t * t);
    const double sine = 2.0 * t / (1.0 + t * t);
    s->corners = s->cls == SQUARE ? 4 : 3;
    for (int i = 0; i < s->corners; i++) {
        const double *const p = s->cls == SQUARE ? square[i] : triangle[i];
        s->corner[i][0] = s->radius * (p[0] * cosine - p[1] * sine);
        s->corner[i][1] = s->radius * (p[0] * sine + p[1] * cosine);
    }
}

/* The box around the shape, relative to its centre. */
static void find_box(Shape *s) {
    if (s->cls == CIRCLE) {
        s->box[0] = s->box[1] = -s->radius;
        s->box[2] = s->box[3] = s->radius;
        return;
    }
    for (int k = 0; k < 2; k++) {
        s->box[k] = s->box[2 + k] = s->corner[0][k];
        for (int i = 1; i < s->corners; i++) {
            const double v = s->corner[i][k];
            s->box[k] = v < s->box[k] ? v : s->box[k];
            s->box[2 + k] = v > s->box[2 + k] ? v : s->box[2 + k];
        }
    }
}

static double overlap(const Shape *a, const Shape *b) {
    double side[2];
    double area[2];
    for (int k = 0; k < 2; k++) {
        const double lo = a->box[k] > b->box[k] ? a->box[k] : b->box[k];
        const double hi = a->box[2 + k] < b->box[2 + k] ? a->box[2 + k] : b->box[2 + k];
        side[k] = hi > lo ? hi - lo : 0.0;
    }
    area[0] = (a->box[2] - a->box[0]) * (a->box[3] - a->box[1]);
    area[1] = (b->box[2] - b->box[0]) * (b->box[3] - b->box[1]);
    return side[0] * side[1] / (area[0] < area[1] ? area[0] : area[1]);
}

static void move(Shape *s, double x, double y) {
    s->x += x;
    s->y += y;
    for (int i = 0; i < s->corners; i++) {
        s->corner[i][0] += x;
        s->corner[i][1] += y;
    }
    for (int k = 0; k < 4; k++)
        s->box[k] += k % 2 == 0 ? x : y;
}

/* Finds a place where no other shape is covered by more than a fifth of the smaller one. */
static bool find_place(NbRandom *r, int side, const Shape *others, int n, Shape *s) {
    for (int tried = 0; tried < TRIES; tried++) {
        const double x = nb_random_range(r, -s->box[0], side - s->box[2]);
        const double y = nb_random_range(r, -s->box[1], side - s->box[3]);
        Shape there = *s;
        move(&there, x, y);
        int i = 0;
        while (i < n && overlap(&there, &others[i]) < 0.2)
            i++;
        if (i == n) {
            *s = there;
            return true;
        }
    }
    return false;
}

static void choose_colour(NbRandom *r, double background, Shape *s) {
    double difference;
    int tried = 0;
    do {
        double sum = 0.0;
        for (int c = 0; c < 3; c++) {
            s->colour[c] = nb_random_range(r, 0.0, 255.0);
            sum += s->colour[c] / 3.0;
        }
        difference = sum > background ? sum - background : background - sum;
    } while (difference < CONTRAST && ++tried < TRIES);
    if (difference < CONTRAST)
        for (int c = 0; c < 3; c++)
            s->colour[c] = background < 128.0 ? 235.0 : 20.0;
}

static bool inside(const Shape *s, double x, double y) {
    if (s->cls == CIRCLE)
        return (x - s->x) * (x - s->x) + (y - s->y) * (y - s->y) <= s->radius * s->radius;
    for (int i = 0; i < s->corners; i++) {
        const double *const a = s->corner[i];
        const double *const b = s->corner[(i + 1) % s->corners];
        if ((b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0]) > 0.0)
            return false;
    }
    return true;
}

static void draw_shape(const Shape *s, int side, uint8_t *rgb) {
    const int x1 = (int)s->box[2] + 1 < side ? (int)s->box[2] + 1 : side;
    const int y1 = (int)s->box[3] + 1 < side ? (int)s->box[3] + 1 : side;
    for (int y = (int)s->box[1]; y < y1; y++) {
        for (int x = (int)s->box[0]; x < x1; x++) {
            int covered = 0;
            for (int v = 0; v < SUB; v++)
                for (int u = 0; u < SUB; u++)
                    covered += inside(s, x + (u + 0.5) / SUB, y + (v + 0.5) / SUB);
            const double t = (double)covered / (SUB * SUB);
            uint8_t *const p = rgb + (size_t)(y * side + x) * 3;
            for (int c = 0; c < 3; c++)
                p[c] = to_byte(p[c] * (1.0 - t) + s->colour[c] * t);
        }
    }
}

static void add_noise(NbRandom *r, size_t n, uint8_t *rgb) {
    for (size_t i = 0; i < n; i += 4) {
        uint32_t bits = nb_random_u32(r);
        for (size_t k = i; k < n && k < i + 4; k++, bits >>= 8)
            rgb[k] = to_byte(rgb[k] + (int)((bits & 255U) * (2 * NOISE + 1) / 256U) - NOISE);
    }
}

static int how_many(NbRandom *r) {
    const double u = nb_random_unit(r);
    return u < 0.08 ? 0 : 1 + (int)nb_random_below(r, NB_SYNTH_OBJECTS);
}

int nb_synth_draw(uint64_t seed, int split, int number, int side, uint8_t *rgb,
                  NbTarget target[NB_SYNTH_OBJECTS]) {
    NbRandom r = nb_random(seed, NB_RANDOM_SYNTH, (uint32_t)split, (uint32_t)number);
    const double brightness = draw_background(&r, side, rgb);
    Shape shape[NB_SYNTH_OBJECTS];
    const int wanted = how_many(&r);
    int n = 0;
    for (int i = 0; i < wanted; i++) {
        Shape *const s = &shape[n];
        memset(s, 0, sizeof *s);
        s->cls = (int)nb_random_below(&r, NB_SYNTH_CLASSES);
        const double size = nb_random_range(&r, 0.08, 0.45) * side; /* side of its box, about */
        s->radius = size * (s->cls == CIRCLE ? 0.5 : s->cls == SQUARE ? 0.65 : 0.58);
        if (s->cls != CIRCLE)
            place_corners(&r, s);
        find_box(s);
        choose_colour(&r, brightness, s);
        n += find_place(&r, side, shape, n, s);
    }
    for (int i = 0; i < n; i++) {
        draw_shape(&shape[i], side, rgb);
        const double *const b = shape[i].box;
        target[i] = (NbTarget){
            .cls = shape[i].cls,
            .xywh = {(float)((b[0] + b[2]) / (2 * side)), (float)((b[1] + b[3]) / (2 * side)),
                     (float)((b[2] - b[0]) / side), (float)((b[3] - b[1]) / side)}};
    }
    add_noise(&r, (size_t)side * (size_t)side * 3, rgb);
    return n;
}
