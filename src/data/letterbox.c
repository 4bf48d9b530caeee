/* SPDX-License-Identifier: Apache-2.0 */
#include "data/letterbox.h"

#include "data/resize.h"

#include <assert.h>
#include <math.h>

/* Python's round: ties to even, of the exact double. */
static int round_even(double v) { return (int)rint(v); }

static int at_least_one(int v) { return v < 1 ? 1 : v; }

NbLetterbox nb_letterbox_plan(int width, int height, const NbLetterboxOptions *o) {
    assert(width > 0 && height > 0 && o->width > 0 && o->height > 0);
    double r = fmin((double)o->height / height, (double)o->width / width);
    if (o->no_upscale)
        r = fmin(r, 1.0);
    NbLetterbox p = {.gain = {r, r}};
    p.size[0] = at_least_one(round_even(width * r));
    p.size[1] = at_least_one(round_even(height * r));
    int pad[2] = {o->width - p.size[0], o->height - p.size[1]};
    if (o->rect) {
        pad[0] %= o->stride;
        pad[1] %= o->stride;
    } else if (o->stretch) {
        p.size[0] = o->width;
        p.size[1] = o->height;
        p.gain[0] = (double)o->width / width;
        p.gain[1] = (double)o->height / height;
        pad[0] = pad[1] = 0;
    }
    int before[2];
    for (int k = 0; k < 2; k++) {
        p.half[k] = pad[k] / 2.0;
        before[k] = round_even(p.half[k] - 0.1);
        p.out[k] = p.size[k] + before[k] + round_even(p.half[k] + 0.1);
    }
    p.left = before[0];
    p.top = before[1];
    return p;
}

static void pad_around(NbPixels to, const NbLetterbox *p) {
    const int right = to.width - p->left - p->size[0];
    const int bottom = to.height - p->top - p->size[1];
    if (p->top)
        nb_pixels_fill(nb_pixels_part(to, 0, 0, to.width, p->top), NB_PIXEL_PAD);
    if (bottom)
        nb_pixels_fill(nb_pixels_part(to, 0, to.height - bottom, to.width, bottom), NB_PIXEL_PAD);
    if (p->left)
        nb_pixels_fill(nb_pixels_part(to, 0, p->top, p->left, p->size[1]), NB_PIXEL_PAD);
    if (right)
        nb_pixels_fill(nb_pixels_part(to, to.width - right, p->top, right, p->size[1]),
                       NB_PIXEL_PAD);
}

NbStatus nb_letterbox(NbPixels from, const NbLetterbox *p, NbPixels to, NbArena *scratch,
                      NbError *err) {
    assert(to.width == p->out[0] && to.height == p->out[1]);
    pad_around(to, p);
    const NbPixels inner = nb_pixels_part(to, p->left, p->top, p->size[0], p->size[1]);
    return nb_resize_linear(from, inner, scratch, err);
}

void nb_load_size(int width, int height, int imgsz, NbLoadRule rule, int out[2]) {
    const int longer = width > height ? width : height;
    const double r = (double)imgsz / longer;
    const int side[2] = {width, height};
    for (int k = 0; k < 2; k++) {
        if (longer == imgsz)
            out[k] = side[k];
        else if (rule == NB_LOAD_YOLOV5)
            out[k] = at_least_one((int)(side[k] * r));
        else if (rule == NB_LOAD_ROUNDED)
            out[k] = at_least_one(round_even(side[k] * r));
        else
            out[k] = at_least_one((int)fmin(ceil(side[k] * r), imgsz));
    }
}

NbStatus nb_load_resize(NbPixels from, NbPixels to, NbLoadRule rule, bool augment, NbArena *scratch,
                        NbError *err) {
    const bool smaller = to.width <= from.width && to.height <= from.height;
    if (rule == NB_LOAD_YOLOV5 && smaller && !augment)
        return nb_resize_area(from, to, scratch, err);
    return nb_resize_linear(from, to, scratch, err);
}
