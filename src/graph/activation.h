/* SPDX-License-Identifier: Apache-2.0
 *
 * The one routine for each activation that is not piecewise linear. Interpreter, executor and the
 * tables of the integer engine call these, so that they agree bit for bit: sigmoid and SiLU are
 * computed in double and rounded once to float32; the exponential of softmax is float32 arithmetic
 * of our own, the same on every machine and in vector code. */
#ifndef NB_GRAPH_ACTIVATION_H
#define NB_GRAPH_ACTIVATION_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline float nb_sigmoid(float x) { return (float)(1.0 / (1.0 + exp(-(double)x))); }

/* x * sigmoid(x); Elfwing, Uchibe, Doya, 2018. -0 below the range of exp. */
static inline float nb_silu(float x) { return (float)((double)x / (1.0 + exp(-(double)x))); }

/* 2^k for k of -126 .. 127. */
static inline float nb_power_of_two(uint32_t k) {
    const uint32_t bits = (k + 127U) << 23;
    float out = 0.0F;
    memcpy(&out, &bits, sizeof out);
    return out;
}

/* e^x within 1 unit in the last place where the result is a normal number; 0 below -104, infinite
 * above 88.73, NaN of NaN. No branch, no table, no fused multiply-add: x = k ln 2 + r with |r| <=
 * ln 2 / 2 (ln 2 in two parts, so that r is exact enough), then e^r by a polynomial of degree 6
 * (Cephes, Moshier 1992), then 2^k in two factors, so that subnormal results come out. */
static inline float nb_exp(float x) {
    const float shift = 12582912.0F; /* 1.5 * 2^23: adding it rounds to an integer */
    const float inside = x < -104.0F ? -104.0F : x > 89.0F ? 89.0F : x;
    const float shifted = inside * 1.44269504088896341F + shift;
    const float k = shifted - shift;
    const float r = (inside - k * 0.693359375F) - k * -2.12194440e-4F;
    float p = 1.9875691500e-4F;
    p = p * r + 1.3981999507e-3F;
    p = p * r + 8.3334519073e-3F;
    p = p * r + 4.1665795894e-2F;
    p = p * r + 1.6666665459e-1F;
    p = p * r + 5.0000001201e-1F;
    const float e = p * (r * r) + r + 1.0F;
    uint32_t bits = 0;
    memcpy(&bits, &shifted, sizeof bits);
    const uint32_t whole = bits - 0x4B400000U; /* k as an integer, modulo 2^32 */
    const uint32_t half = (whole + 512U) / 2U - 256U;
    return e * nb_power_of_two(half) * nb_power_of_two(whole - half);
}

/* Softmax of n > 0 numbers that lie `stride` apart, into y in the same places (x may be y): the
 * largest is subtracted, the exponentials are added in order in float32, then each is divided. */
static inline void nb_softmax(const float *x, size_t n, size_t stride, float *y) {
    float largest = x[0];
    float sum = 0.0F;
    for (size_t i = 1; i < n; i++)
        largest = x[i * stride] > largest ? x[i * stride] : largest;
    for (size_t i = 0; i < n; i++) {
        const float e = nb_exp(x[i * stride] - largest);
        y[i * stride] = e;
        sum += e;
    }
    for (size_t i = 0; i < n; i++)
        y[i * stride] /= sum;
}

#endif
