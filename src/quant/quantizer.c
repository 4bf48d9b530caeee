/* SPDX-License-Identifier: Apache-2.0
 *
 * Codes and values: the forward side of a quantizer. */
#include "quant/quantizer.h"

#include "quant/core.h"

#include <math.h>
#include <string.h>

enum { BLOCK = 1024 };

/* Keeps NaN: both comparisons are then false. */
static inline float clamped(float v, float lo, float hi) {
    v = v > hi ? hi : v;
    return v < lo ? lo : v;
}

/* Half to even by adding and taking away 1.5 * 2^23: the sum of this and |v| <= 2^22 lies where
 * floats are the integers, so the addition itself rounds, ties to the even integer because 1.5 *
 * 2^23 is even, and the subtraction is exact. Clamping first changes nothing: rounding is monotone
 * and keeps integers. Unlike rintf this vectorises on every machine; only the sign of a zero
 * differs. */
static void round_fast(const float *x, size_t n, float scale, float zero, float lo, float hi,
                       float *r) {
    const float shift = 0x1.8p23F;
    for (size_t i = 0; i < n; i++) {
        const float u = x[i] / scale;
        const float v = clamped(u + zero, lo, hi);
        r[i] = (v + shift) - shift;
    }
}

void nb_core_round(NbRound mode, const float *x, size_t n, float scale, float zero, float lo,
                   float hi, float *r) {
    if (mode == NB_ROUND_HALF_EVEN && lo >= -0x1p22F && hi <= 0x1p22F) {
        float block[BLOCK]; /* so that r = x is no obstacle to vectorising */
        for (size_t at = 0; at < n; at += BLOCK) {
            const size_t m = n - at < BLOCK ? n - at : BLOCK;
            round_fast(x + at, m, scale, zero, lo, hi, block);
            memcpy(r + at, block, m * sizeof *block);
        }
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const float u = x[i] / scale;
        r[i] = clamped(nb_round(mode, u + zero), lo, hi);
    }
}

static void binary(const float *x, size_t n, float *q) {
    for (size_t i = 0; i < n; i++) {
        const float below = x[i] < 0.0F ? -1.0F : x[i]; /* NaN stays */
        q[i] = x[i] >= 0.0F ? 1.0F : below;
    }
}

static void ternary(const float *x, size_t n, float cut, float *q) {
    for (size_t i = 0; i < n; i++) {
        const float side = x[i] > 0.0F ? 1.0F : -1.0F;
        const float code = fabsf(x[i]) > cut ? side : 0.0F;
        q[i] = isnan(x[i]) ? x[i] : code;
    }
}

void nb_quant_codes(const NbQuantSpec *spec, const float *x, size_t channels, size_t n,
                    const float *scale, const float *zero, float *q) {
    for (size_t c = 0; c < channels; c++) {
        const float *const row = x + c * n;
        switch (spec->kind) {
        case NB_QUANT_INT:
            nb_core_round(spec->round, row, n, scale[c], zero ? zero[c] : spec->zero,
                          (float)nb_grid_lo(spec->grid), (float)nb_grid_hi(spec->grid), q + c * n);
            break;
        case NB_QUANT_BINARY: binary(row, n, q + c * n); break;
        case NB_QUANT_TERNARY: ternary(row, n, spec->cut * scale[c], q + c * n); break;
        }
    }
}

void nb_quant_values(const float *q, size_t channels, size_t n, const float *scale,
                     const float *zero, float *y) {
    for (size_t c = 0; c < channels; c++) {
        const float s = scale[c];
        const float z = zero ? zero[c] : 0.0F;
        for (size_t i = c * n; i < (c + 1) * n; i++) {
            const float d = q[i] - z;
            y[i] = d * s;
        }
    }
}

void nb_quant_clip(float *x, size_t n, float scale) {
    for (size_t i = 0; i < n; i++)
        x[i] = clamped(x[i], -scale, scale);
}
