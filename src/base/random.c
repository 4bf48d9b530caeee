/* SPDX-License-Identifier: Apache-2.0 */
#include "base/random.h"

#include <math.h>

enum { ROUNDS = 10 };

static void philox(const uint32_t key_in[2], const uint32_t counter[4], uint32_t out[4]) {
    uint32_t key[2] = {key_in[0], key_in[1]};
    uint32_t c[4] = {counter[0], counter[1], counter[2], counter[3]};
    for (int round = 0; round < ROUNDS; round++) {
        const uint64_t p0 = (uint64_t)0xD2511F53U * c[0];
        const uint64_t p1 = (uint64_t)0xCD9E8D57U * c[2];
        const uint32_t next[4] = {(uint32_t)(p1 >> 32) ^ c[1] ^ key[0], (uint32_t)p1,
                                  (uint32_t)(p0 >> 32) ^ c[3] ^ key[1], (uint32_t)p0};
        for (int i = 0; i < 4; i++)
            c[i] = next[i];
        key[0] += 0x9E3779B9U;
        key[1] += 0xBB67AE85U;
    }
    for (int i = 0; i < 4; i++)
        out[i] = c[i];
}

NbRandom nb_random(uint64_t seed, NbRandomUse use, uint32_t a, uint32_t b) {
    return (NbRandom){.key = {(uint32_t)seed, (uint32_t)(seed >> 32)},
                      .counter = {0, a, b, (uint32_t)use}};
}

uint32_t nb_random_u32(NbRandom *r) {
    if (r->left == 0) {
        philox(r->key, r->counter, r->block);
        r->counter[0]++;
        r->left = 4;
    }
    return r->block[4 - r->left--];
}

uint32_t nb_random_below(NbRandom *r, uint32_t n) {
    /* Lemire 2019: multiply, and redraw the few low products that would be favoured */
    uint64_t product = (uint64_t)nb_random_u32(r) * n;
    if ((uint32_t)product < n) {
        const uint32_t cut = (0U - n) % n;
        while ((uint32_t)product < cut)
            product = (uint64_t)nb_random_u32(r) * n;
    }
    return (uint32_t)(product >> 32);
}

double nb_random_unit(NbRandom *r) {
    const uint32_t high = nb_random_u32(r) >> 5;
    const uint32_t low = nb_random_u32(r) >> 6;
    return ((double)high * 67108864.0 + (double)low) / 9007199254740992.0;
}

double nb_random_range(NbRandom *r, double lo, double hi) {
    return lo + (hi - lo) * nb_random_unit(r);
}

double nb_random_normal(NbRandom *r) {
    const double u = 1.0 - nb_random_unit(r); /* in (0, 1] */
    const double v = nb_random_unit(r);
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}

static double draw_gamma(NbRandom *r, double shape) {
    const double d = shape - 1.0 / 3.0;
    const double c = 1.0 / sqrt(9.0 * d);
    for (;;) {
        const double x = nb_random_normal(r);
        const double t = 1.0 + c * x;
        const double u = 1.0 - nb_random_unit(r);
        if (t <= 0.0)
            continue;
        const double v = t * t * t;
        if (log(u) < 0.5 * x * x + d - d * v + d * log(v))
            return d * v;
    }
}

double nb_random_beta(NbRandom *r, double a, double b) {
    const double x = draw_gamma(r, a);
    const double y = draw_gamma(r, b);
    return x / (x + y);
}

void nb_random_permutation(NbRandom *r, uint32_t *order, uint32_t n) {
    for (uint32_t i = 0; i < n; i++)
        order[i] = i;
    for (uint32_t i = n; i > 1; i--) {
        const uint32_t j = nb_random_below(r, i);
        const uint32_t swap = order[i - 1];
        order[i - 1] = order[j];
        order[j] = swap;
    }
}
