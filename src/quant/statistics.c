/* SPDX-License-Identifier: Apache-2.0
 *
 * Order statistics by counting. */
#include "quant/statistics.h"

#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

static size_t within(double rank, size_t n) {
    if (!(rank >= 1.0))
        return 1;
    return rank >= (double)n ? n : (size_t)rank;
}

size_t nb_stat_rank_upper(double percent, size_t n) {
    return within(floor(0.01 * percent * (double)n + 0.5), n);
}

size_t nb_stat_rank_lower(double percent, size_t n) {
    return within(ceil(0.01 * percent * (double)n), n);
}

/* A pattern that sorts as the number does: negative ones backwards, below the positive ones. */
static inline uint32_t key_of(float x, bool of_size) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if (of_size || isnan(x))
        return (bits & 0x7fffffffU) | 0x80000000U;
    return bits & 0x80000000U ? ~bits : bits | 0x80000000U;
}

static inline float number_of(uint32_t key) {
    const uint32_t bits = key & 0x80000000U ? key & 0x7fffffffU : ~key;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Three rounds of 11, 11 and 10 bits: count how many of the numbers that agree so far have which
 * next bits, then walk up to the k-th. */
float nb_stat_kth(const float *x, size_t n, size_t k, bool of_size) {
    assert(k >= 1 && k <= n);
    static const struct {
        int shift;
        uint32_t mask;
    } rounds[] = {{21, 0x7ffU}, {10, 0x7ffU}, {0, 0x3ffU}};
    uint32_t found = 0;
    uint32_t known = 0; /* which bits of `found` are decided */
    size_t left = k;
    for (size_t round = 0; round < sizeof rounds / sizeof *rounds; round++) {
        const int shift = rounds[round].shift;
        const uint32_t mask = rounds[round].mask;
        size_t count[2048] = {0};
        for (size_t i = 0; i < n; i++) {
            const uint32_t key = key_of(x[i], of_size);
            if ((key & known) == found)
                count[(key >> shift) & mask]++;
        }
        uint32_t digit = 0;
        while (left > count[digit])
            left -= count[digit++];
        found |= digit << shift;
        known |= mask << shift;
    }
    return number_of(found);
}

float nb_stat_max(const float *x, size_t n) {
    float top = 0.0F;
    for (size_t i = 0; i < n; i++) {
        const float size = fabsf(x[i]);
        top = size > top || isnan(size) ? size : top;
        if (isnan(top))
            break;
    }
    return top;
}

float nb_stat_percentile(const float *x, size_t n, double percent) {
    const size_t k = nb_stat_rank_upper(percent, n);
    return k == n ? nb_stat_max(x, n) : nb_stat_kth(x, n, k, true);
}

static float largest(const float *x, size_t n) {
    float top = x[0];
    for (size_t i = 1; i < n; i++)
        top = x[i] > top || isnan(x[i]) ? x[i] : top;
    return top;
}

static float smallest(const float *x, size_t n) {
    float bottom = x[0];
    for (size_t i = 1; i < n; i++)
        bottom = x[i] < bottom || isnan(bottom) ? x[i] : bottom;
    return bottom;
}

NbInterval nb_stat_interval(const float *x, size_t n, double low_percent, double high_percent) {
    const size_t high = nb_stat_rank_upper(high_percent, n);
    const size_t low = nb_stat_rank_lower(low_percent, n);
    const float bottom = low == 1 ? smallest(x, n) : nb_stat_kth(x, n, low, false);
    return (NbInterval){
        .low = bottom < 0.0F ? bottom : 0.0F,
        .high = high == n ? largest(x, n) : nb_stat_kth(x, n, high, false),
    };
}

static double mean_size(const float *x, size_t n) {
    double sum = 0.0;
    for (size_t i = 0; i < n; i++)
        sum += fabs((double)x[i]);
    return sum / (double)n;
}

float nb_stat_mean(const float *x, size_t n) { return (float)mean_size(x, n); }

float nb_stat_mean_sigma(const float *x, size_t n, double sigma) {
    const double mean = mean_size(x, n);
    double squares = 0.0;
    for (size_t i = 0; i < n; i++) {
        const double off = fabs((double)x[i]) - mean;
        squares += off * off;
    }
    const double variance = n > 1 ? squares / (double)(n - 1) : 0.0;
    return (float)(mean + sigma * sqrt(variance + 1e-8));
}
