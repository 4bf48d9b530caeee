/* SPDX-License-Identifier: Apache-2.0
 *
 * Dropping low bits. */
#include "quant/truncate.h"

#include <assert.h>
#include <math.h>

/* A power of two: multiplying and dividing by it is exact. */
static float step_of(const NbTruncate *spec) {
    return ldexpf(1.0F, spec->in_bits - spec->out.bits);
}

static float truncated(const NbTruncate *spec, float step, float q) {
    const float lo = (float)nb_grid_lo(spec->out);
    const float hi = (float)nb_grid_hi(spec->out);
    const float r = nb_round(spec->round, q / step);
    const float c = r > hi ? hi : r;
    return c < lo ? lo : c;
}

void nb_truncate_codes(const NbTruncate *spec, const float *q, size_t n, float *c) {
    const float step = step_of(spec);
    for (size_t i = 0; i < n; i++)
        c[i] = truncated(spec, step, q[i]);
}

float nb_truncate_scale(const NbTruncate *spec, float scale) { return scale * step_of(spec); }

float nb_truncate_zero(const NbTruncate *spec, float zero) { return zero / step_of(spec); }

int nb_truncate_sum_bits(int bits, int64_t taps) {
    assert(bits >= 1 && bits <= 32 && taps >= 1);
    const uint64_t most = (((uint64_t)1 << bits) - 1) * (uint64_t)taps;
    int needed = 0;
    while (needed < 63 && ((uint64_t)1 << needed) < most)
        needed++;
    return needed;
}

void nb_truncate_average(const NbTruncate *spec, const float *q, size_t planes, int64_t h,
                         int64_t w, int64_t kernel, float *c) {
    const int64_t out_h = h / kernel;
    const int64_t out_w = w / kernel;
    const float step = step_of(spec);
    for (size_t p = 0; p < planes; p++) {
        for (int64_t i = 0; i < out_h * out_w; i++) {
            const int64_t top = i / out_w * kernel;
            const int64_t left = i % out_w * kernel;
            float sum = 0.0F; /* codes and sums below 2^24: exact */
            for (int64_t y = top; y < top + kernel; y++)
                for (int64_t x = left; x < left + kernel; x++)
                    sum += q[((int64_t)p * h + y) * w + x];
            c[(int64_t)p * out_h * out_w + i] = truncated(spec, step, sum);
        }
    }
}
