/* SPDX-License-Identifier: Apache-2.0
 *
 * Convolutions as sums over taps: pointwise, direct and depthwise. A tile's sums go to a small
 * buffer, from there through activation and residual addition to their place. */
#include "nn/float/internal.h"

#include <string.h>

enum { TILE = NB_FLOAT_MAX_PIXELS * NB_FLOAT_MAX_PANELS * NB_FLOAT_PANEL };

/* Where the first pixel of an item is written, and what is added there. */
typedef struct Target {
    float *out;
    size_t ld_out;
    const float *add;
    size_t ld_add;
} Target;

static Target target_of(const NbFloatStep *step, size_t pixel) {
    const NbFloatPlace *const add = &step->in[1];
    return (Target){.out = step->out.data + pixel * step->out.ld,
                    .ld_out = step->out.ld,
                    .add = add->data ? add->data + pixel * add->ld : NULL,
                    .ld_add = add->ld};
}

static void finish(const NbFloatEngine *x, const NbFloatConv *conv, const Target *t, size_t pixel,
                   size_t channel, const NbFloatRows *sums) {
    NbFloatRows r = *sums;
    r.out = t->out + pixel * t->ld_out + channel;
    r.ld_out = t->ld_out;
    r.add = t->add ? t->add + pixel * t->ld_add + channel : NULL;
    r.ld_add = t->ld_add;
    x->k->finish(&conv->post, &r);
}

/* Pixels that lie lda apart, some panels of one group. */
typedef struct Strip {
    size_t group;
    size_t first, panels;
    const float *a;
    size_t lda;
    size_t pixel, pixels;
} Strip;

static void run_strip(const NbFloatEngine *x, const NbFloatConv *conv, const Target *target,
                      const Strip *s) {
    float sums[TILE] __attribute__((aligned(64)));
    const size_t width = s->panels * NB_FLOAT_PANEL;
    const size_t channel = s->first * NB_FLOAT_PANEL;
    const size_t at = s->group * conv->panels + s->first;
    const NbFloatSplit split = nb_float_split(s->pixels, (size_t)x->k->pixels[s->panels]);
    NbFloatTile tile = {.a = s->a,
                        .lda = s->lda,
                        .tap = conv->tap,
                        .taps = conv->taps,
                        .k = conv->k,
                        .w = conv->weights + at * conv->panel,
                        .panel = conv->panel,
                        .bias = conv->bias + at * NB_FLOAT_PANEL,
                        .c = sums,
                        .ldc = width};
    NbFloatRows rows = {.in = sums, .ld_in = width};
    rows.n = conv->cout - channel < width ? conv->cout - channel : width;
    size_t pixel = s->pixel;
    for (size_t i = 0; i < split.count; i++) {
        rows.rows = i < split.full ? split.size : split.size - 1;
        x->k->gemm[s->panels][rows.rows](&tile);
        finish(x, conv, target, pixel, s->group * conv->cout + channel, &rows);
        tile.a += rows.rows * s->lda;
        pixel += rows.rows;
    }
}

void nb_float_run_pointwise(NbFloatEngine *x, const NbFloatStep *step, int item, int worker) {
    (void)worker;
    const NbFloatConv *const conv = step->unit;
    const size_t pixels = conv->oh * conv->ow;
    const size_t first = (size_t)item % conv->per_image * conv->lines;
    const size_t pixel = (size_t)item / conv->per_image * pixels + first;
    const Target target = target_of(step, pixel);
    Strip s = {.a = step->in[0].data + pixel * step->in[0].ld,
               .lda = step->in[0].ld,
               .pixels = pixels - first < conv->lines ? pixels - first : conv->lines};
    for (; s.first < conv->panels; s.first += s.panels) {
        s.panels = nb_float_group(x->k, conv->panels - s.first);
        run_strip(x, conv, &target, &s);
    }
}

/* One row of the input with its border, channels rounded up to conv->padded. */
static void copy_row(const NbFloatEngine *x, const NbFloatConv *conv, const NbFloatPlace *in,
                     size_t row, float *to) {
    const size_t channels = conv->cin * conv->groups;
    const size_t columns = conv->band_row / conv->padded;
    const size_t left = (size_t)conv->a.pad[1];
    const size_t reach = columns > left ? columns - left : 0;
    const size_t n = reach < conv->w ? reach : conv->w;
    memset(to, 0, (left < columns ? left : columns) * conv->padded * sizeof *to);
    to += left * conv->padded;
    if (conv->from_bytes && x->image) {
        x->k->from_bytes(x->image + ((size_t)x->picture * conv->h + row) * conv->w * channels,
                         conv->scale, n * channels, to);
    } else if (in->ld == channels && conv->padded == channels) {
        memcpy(to, in->data + row * conv->w * in->ld, n * channels * sizeof *to);
    } else {
        const float *const from = in->data + row * conv->w * in->ld;
        for (size_t i = 0; i < n; i++) {
            memcpy(to + i * conv->padded, from + i * in->ld, channels * sizeof *to);
            memset(to + i * conv->padded + channels, 0, (conv->padded - channels) * sizeof *to);
        }
    }
    if (left + n < columns)
        memset(to + n * conv->padded, 0, (columns - left - n) * conv->padded * sizeof *to);
}

/* The rows of the input that rows `first` and following of the output need. */
static void copy_band(const NbFloatEngine *x, const NbFloatStep *step, size_t image, size_t first,
                      size_t rows, float *band) {
    const NbFloatConv *const conv = step->unit;
    const size_t needed = (rows - 1) * (size_t)conv->a.stride[0] +
                          (size_t)conv->a.dilation[0] * ((size_t)conv->a.kernel[0] - 1) + 1;
    const int64_t start = (int64_t)first * conv->a.stride[0] - conv->a.pad[0];
    for (size_t i = 0; i < needed; i++) {
        const int64_t row = start + (int64_t)i;
        float *const to = band + i * conv->band_row;
        if (row < 0 || row >= (int64_t)conv->h)
            memset(to, 0, conv->band_row * sizeof *to);
        else
            copy_row(x, conv, &step->in[0], image * conv->h + (size_t)row, to);
    }
}

typedef struct Band {
    size_t image, first, rows;
} Band;

static Band band_of(const NbFloatConv *conv, int item) {
    Band b = {.image = (size_t)item / conv->per_image,
              .first = (size_t)item % conv->per_image * conv->lines,
              .rows = conv->lines};
    if (b.rows > conv->oh - b.first)
        b.rows = conv->oh - b.first;
    return b;
}

void nb_float_run_direct(NbFloatEngine *x, const NbFloatStep *step, int item, int worker) {
    const NbFloatConv *const conv = step->unit;
    const Band b = band_of(conv, item);
    float *const band = x->scratch[worker];
    const size_t row_step = (size_t)conv->a.stride[0] * conv->band_row;
    const Target target = target_of(step, (b.image * conv->oh + b.first) * conv->ow);
    copy_band(x, step, b.image, b.first, b.rows, band);
    Strip s = {.lda = (size_t)conv->a.stride[1] * conv->padded, .pixels = conv->ow};
    for (s.group = 0; s.group < conv->groups; s.group++)
        for (s.first = 0; s.first < conv->panels; s.first += s.panels) {
            s.panels = nb_float_group(x->k, conv->panels - s.first);
            for (size_t r = 0; r < b.rows; r++) {
                s.a = band + r * row_step + s.group * conv->cin;
                s.pixel = r * conv->ow;
                run_strip(x, conv, &target, &s);
            }
        }
}

void nb_float_run_depthwise(NbFloatEngine *x, const NbFloatStep *step, int item, int worker) {
    const NbFloatConv *const conv = step->unit;
    const Band b = band_of(conv, item);
    float *const sums = x->scratch[worker];
    float *const band = sums + conv->ow * conv->padded;
    const Target target = target_of(step, (b.image * conv->oh + b.first) * conv->ow);
    copy_band(x, step, b.image, b.first, b.rows, band);
    NbFloatDepthwise d = {.step = (size_t)conv->a.stride[1] * conv->padded,
                          .tap = conv->tap,
                          .taps = conv->taps,
                          .w = conv->weights,
                          .bias = conv->bias,
                          .channels = conv->padded,
                          .width = conv->ow,
                          .out = sums};
    const NbFloatRows rows = {
        .in = sums, .ld_in = conv->padded, .rows = conv->ow, .n = conv->groups};
    for (size_t r = 0; r < b.rows; r++) {
        d.in = band + r * (size_t)conv->a.stride[0] * conv->band_row;
        x->k->depthwise(&d);
        finish(x, conv, &target, r * conv->ow, 0, &rows);
    }
}
