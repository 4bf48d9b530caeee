/* SPDX-License-Identifier: Apache-2.0
 *
 * 3x3 convolutions of stride 1 as F(4x4, 3x3): tiles of 6x6 pixels become 36 numbers a channel,
 * each of the 36 positions is a matrix product over the channels, and 36 sums become 4x4 pixels.
 * Source: Lavin, Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016. */
#include "nn/float/internal.h"

#include <string.h>

enum {
    SIDE = 6,
    OUT = 4,
    SKEW = 16 /* so that positions do not fall on the same lines of cache */
};

enum { LANES = NB_FLOAT_PANEL };

/* Three rows or columns of 16 filters to six, `step` lanes apart: G of the paper. */
static void transform_line(const float *g, size_t g_step, float *to, size_t step) {
    for (size_t j = 0; j < LANES; j++) {
        const float g0 = g[j];
        const float g1 = g[g_step + j];
        const float g2 = g[2 * g_step + j];
        const float even = (g0 + g2) * (-1.0F / 6.0F);
        const float odd = g1 * (1.0F / 6.0F);
        const float far = g0 * (1.0F / 24.0F) + g2 * (1.0F / 6.0F);
        const float farther = g1 * (1.0F / 12.0F);
        to[j] = g0 * 0.25F;
        to[step + j] = even - odd;
        to[2 * step + j] = even + odd;
        to[3 * step + j] = far + farther;
        to[4 * step + j] = far - farther;
        to[5 * step + j] = g2;
    }
}

/* Weights: [36][panels][channels of the input][16]. */
void nb_float_wino_pack(const NbFloatConv *conv, const float *weights, const float *factor,
                        size_t panel) {
    const size_t step = conv->panels * conv->panel;
    const size_t first = panel * LANES;
    const size_t n = conv->cout - first < LANES ? conv->cout - first : LANES;
    for (size_t c = 0; c < conv->cin; c++) {
        float g[9 * LANES] = {0};
        float half[SIDE * 3 * LANES];
        float whole[NB_FLOAT_WINO * LANES];
        for (size_t j = 0; j < n; j++) {
            const float *const from = weights + ((first + j) * conv->cin + c) * 9;
            const float by = factor ? factor[first + j] : 1.0F;
            for (size_t i = 0; i < 9; i++)
                g[i * LANES + j] = from[i] * by;
        }
        for (size_t i = 0; i < 3; i++)
            transform_line(g + i * LANES, (size_t)3 * LANES, half + i * LANES, (size_t)3 * LANES);
        for (size_t i = 0; i < SIDE; i++)
            transform_line(half + i * 3 * LANES, LANES, whole + i * SIDE * LANES, LANES);
        float *const to = conv->weights + panel * conv->panel + c * LANES;
        for (size_t p = 0; p < NB_FLOAT_WINO; p++)
            memcpy(to + p * step, whole + p * LANES, LANES * sizeof *to);
    }
}

typedef struct Layout {
    size_t v_step, m_step; /* from position to position */
    float *v, *m, *patch, *pixels;
} Layout;

static size_t lay_out(const NbFloatConv *conv, float *scratch, Layout *l) {
    const size_t width = (size_t)NB_FLOAT_MAX_PANELS * NB_FLOAT_PANEL;
    l->v_step = conv->tile_step * conv->cin + SKEW;
    l->m_step = conv->tile_step * width + SKEW;
    const size_t sizes[] = {NB_FLOAT_WINO * l->v_step, NB_FLOAT_WINO * l->m_step,
                            NB_FLOAT_WINO * conv->cin, (size_t)OUT * OUT * width};
    float **const parts[] = {&l->v, &l->m, &l->patch, &l->pixels};
    size_t at = 0;
    for (int i = 0; i < 4; i++) {
        if (scratch)
            *parts[i] = scratch + at;
        at += (sizes[i] + 15) & ~(size_t)15;
    }
    return at;
}

size_t nb_float_wino_scratch(const NbFloatConv *conv) {
    Layout l;
    return lay_out(conv, NULL, &l);
}

/* A tile that reaches over the edge, with zeros there. */
static void copy_patch(const NbFloatConv *conv, const NbFloatPlace *in, const float *image,
                       int64_t y, int64_t x, float *patch) {
    memset(patch, 0, NB_FLOAT_WINO * conv->cin * sizeof *patch);
    for (int64_t i = 0; i < SIDE; i++)
        for (int64_t j = 0; j < SIDE; j++)
            if (y + i >= 0 && y + i < (int64_t)conv->h && x + j >= 0 && x + j < (int64_t)conv->w)
                memcpy(patch + (size_t)(i * SIDE + j) * conv->cin,
                       image + ((size_t)(y + i) * conv->w + (size_t)(x + j)) * in->ld,
                       conv->cin * sizeof *patch);
}

static void transform_in(const NbFloatEngine *x, const NbFloatStep *step, const float *image,
                         size_t tile, float *v, const Layout *l) {
    const NbFloatConv *const conv = step->unit;
    const NbFloatPlace *const in = &step->in[0];
    const int64_t y = (int64_t)(tile / conv->tiles_x * OUT) - conv->a.pad[0];
    const int64_t left = (int64_t)(tile % conv->tiles_x * OUT) - conv->a.pad[1];
    if (y >= 0 && left >= 0 && y + SIDE <= (int64_t)conv->h && left + SIDE <= (int64_t)conv->w) {
        x->k->wino_in(image + ((size_t)y * conv->w + (size_t)left) * in->ld, conv->w * in->ld,
                      in->ld, conv->cin, v, l->v_step);
        return;
    }
    copy_patch(conv, in, image, y, left, l->patch);
    x->k->wino_in(l->patch, SIDE * conv->cin, conv->cin, conv->cin, v, l->v_step);
}

static void multiply(const NbFloatEngine *x, const NbFloatConv *conv, const Layout *l, size_t first,
                     size_t panels, size_t tiles) {
    const size_t width = panels * NB_FLOAT_PANEL;
    const NbFloatSplit split = nb_float_split(tiles, (size_t)x->k->pixels[panels]);
    NbFloatTile t = {.lda = conv->cin,
                     .tap = conv->tap,
                     .taps = 1,
                     .k = conv->cin,
                     .panel = conv->panel,
                     .ldc = width};
    for (size_t p = 0; p < NB_FLOAT_WINO; p++) {
        t.a = l->v + p * l->v_step;
        t.c = l->m + p * l->m_step;
        t.w = conv->weights + (p * conv->panels + first) * conv->panel;
        for (size_t i = 0; i < split.count; i++) {
            const size_t n = i < split.full ? split.size : split.size - 1;
            x->k->gemm[panels][n](&t);
            t.a += n * conv->cin;
            t.c += n * width;
        }
    }
}

/* 4x4 pixels, or those of them that exist. */
static void transform_out(const NbFloatEngine *x, const NbFloatStep *step, size_t image,
                          size_t tile, const float *m, const Layout *l, size_t first,
                          size_t panels) {
    const NbFloatConv *const conv = step->unit;
    const size_t width = panels * NB_FLOAT_PANEL;
    const size_t channel = first * NB_FLOAT_PANEL;
    const size_t y = tile / conv->tiles_x * OUT;
    const size_t left = tile % conv->tiles_x * OUT;
    x->k->wino_out(m, l->m_step, conv->bias + channel, width, l->pixels);
    NbFloatRows r = {.ld_in = width,
                     .ld_add = step->in[1].ld,
                     .ld_out = step->out.ld,
                     .rows = conv->ow - left < OUT ? conv->ow - left : OUT,
                     .n = conv->cout - channel < width ? conv->cout - channel : width};
    for (size_t i = 0; i < OUT && y + i < conv->oh; i++) {
        const size_t pixel = (image * conv->oh + y + i) * conv->ow + left;
        r.in = l->pixels + i * OUT * width;
        r.out = step->out.data + pixel * step->out.ld + channel;
        if (conv->post.add)
            r.add = step->in[1].data + pixel * step->in[1].ld + channel;
        x->k->finish(&conv->post, &r);
    }
}

void nb_float_run_winograd(NbFloatEngine *x, const NbFloatStep *step, int item, int worker) {
    const NbFloatConv *const conv = step->unit;
    const size_t image = (size_t)item / conv->per_image;
    const size_t tile = (size_t)item % conv->per_image * conv->tile_step;
    const size_t left = conv->tiles - tile;
    const size_t n = left < conv->tile_step ? left : conv->tile_step;
    const float *const from = step->in[0].data + image * conv->h * conv->w * step->in[0].ld;
    Layout l;
    lay_out(conv, x->scratch[worker], &l);
    for (size_t t = 0; t < n; t++)
        transform_in(x, step, from, tile + t, l.v + t * conv->cin, &l);
    for (size_t p = 0; p < conv->panels;) {
        const size_t panels = nb_float_group(x->k, conv->panels - p);
        multiply(x, conv, &l, p, panels, n);
        for (size_t t = 0; t < n; t++)
            transform_out(x, step, image, tile + t, l.m + t * panels * NB_FLOAT_PANEL, &l, p,
                          panels);
        p += panels;
    }
}
