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

/* G g G' of one filter; positions `step` apart. */
static void transform(double g[3][3], float *to, size_t step) {
    static const double form[SIDE][3] = {{1.0 / 4, 0, 0},
                                         {-1.0 / 6, -1.0 / 6, -1.0 / 6},
                                         {-1.0 / 6, 1.0 / 6, -1.0 / 6},
                                         {1.0 / 24, 1.0 / 12, 1.0 / 6},
                                         {1.0 / 24, -1.0 / 12, 1.0 / 6},
                                         {0, 0, 1}};
    double half[SIDE][3];
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < 3; j++)
            half[i][j] = form[i][0] * g[0][j] + form[i][1] * g[1][j] + form[i][2] * g[2][j];
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++)
            to[(size_t)(i * SIDE + j) * step] =
                (float)(half[i][0] * form[j][0] + half[i][1] * form[j][1] +
                        half[i][2] * form[j][2]);
}

/* Weights: [36][panels][channels of the input][16]. */
void nb_float_wino_pack(const NbFloatConv *conv, const float *weights, const float *factor,
                        size_t panel) {
    const size_t step = conv->panels * conv->panel;
    for (size_t c = 0; c < conv->cin; c++)
        for (size_t j = 0; j < NB_FLOAT_PANEL; j++) {
            const size_t o = panel * NB_FLOAT_PANEL + j;
            if (o >= conv->cout)
                break;
            const float *const from = weights + (o * conv->cin + c) * 9;
            double g[3][3];
            for (int i = 0; i < 9; i++)
                g[i / 3][i % 3] = (double)(factor ? from[i] * factor[o] : from[i]);
            transform(g, conv->weights + panel * conv->panel + c * NB_FLOAT_PANEL + j, step);
        }
}

typedef struct Layout {
    size_t v_step, m_step; /* from position to position */
    float *v, *m, *patch, *pixels;
} Layout;

static size_t lay_out(const NbFloatConv *conv, float *scratch, Layout *l) {
    const size_t width = NB_FLOAT_MAX_PANELS * NB_FLOAT_PANEL;
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
