/* SPDX-License-Identifier: Apache-2.0 */
#include "lower/ptq/columns.h"

#include "base/random.h"

#include <string.h>

static void one_pixel(const NbPtqColumns *c, const float *x, int oy, int ox, size_t row,
                      size_t capacity, float *out) {
    const NbConvAttr *const a = c->conv;
    const int taps = a->kernel[0] * a->kernel[1];
    const int each = c->channels / c->groups;
    for (int g = 0; g < c->groups; g++)
        memset(out + ((size_t)g * capacity + row) * c->stride, 0, c->stride * sizeof *out);
    for (int t = 0; t < taps; t++) {
        const int y = oy * a->stride[0] - a->pad[0] + t / a->kernel[1] * a->dilation[0];
        const int xx = ox * a->stride[1] - a->pad[1] + t % a->kernel[1] * a->dilation[1];
        if (y < 0 || xx < 0 || y >= c->height || xx >= c->width)
            continue;
        const float *const from = x + ((size_t)y * c->width + xx) * c->channels;
        for (int ch = 0; ch < c->channels; ch++) {
            float *const to = out + ((size_t)(ch / each) * capacity + row) * c->stride;
            to[ch % each * taps + t] = from[ch];
        }
    }
}

void nb_ptq_columns(const NbPtqColumns *c, const float *x, const uint32_t *pixel, size_t n,
                    size_t first, size_t capacity, float *out) {
    for (size_t i = 0; i < n; i++)
        one_pixel(c, x, (int)pixel[i] / c->out_width, (int)pixel[i] % c->out_width, first + i,
                  capacity, out);
}

/* Selection sampling: each pixel is taken with the probability that fills the rest (Knuth 3.4.2).
 */
size_t nb_ptq_pixels(uint64_t seed, uint32_t layer, uint32_t picture, size_t count, size_t n,
                     uint32_t *pixel) {
    NbRandom r = nb_random(seed, NB_RANDOM_PTQ, layer, picture);
    size_t taken = 0;
    for (size_t i = 0; i < count && taken < n; i++)
        if (count <= n || nb_random_unit(&r) * (double)(count - i) < (double)(n - taken))
            pixel[taken++] = (uint32_t)i;
    return taken;
}
