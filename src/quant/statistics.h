/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers that describe a run of real numbers and from which thresholds are made. Order statistics
 * are found by counting bit patterns, so nothing is sorted or copied. NaN counts as the largest
 * number. Every function wants n >= 1. Source: Brevitas 0.12.1. */
#ifndef NB_QUANT_STATISTICS_H
#define NB_QUANT_STATISTICS_H

#include "quant/quantizer.h"

#include <stdbool.h>
#include <stddef.h>

/* Where a percentile lies among n sorted numbers, counted from 1: floor(percent / 100 * n + 0.5)
 * for upper ones, ceil(percent / 100 * n) for lower ones; both kept within [1, n]. */
size_t nb_stat_rank_upper(double percent, size_t n);
size_t nb_stat_rank_lower(double percent, size_t n);

/* The k-th smallest (from 1) of x, or of |x|. */
float nb_stat_kth(const float *x, size_t n, size_t k, bool of_size);

/* Upper percentile of |x|; 100 gives the maximum. */
float nb_stat_percentile(const float *x, size_t n, double percent);

typedef struct NbInterval {
    float low;  /* <= 0: the lower percentile, or 0 */
    float high; /* the upper percentile */
} NbInterval;

/* Lower percentile 0 and upper percentile 100 give minimum and maximum. The threshold of the
 * interval is |high - low|. */
NbInterval nb_stat_interval(const float *x, size_t n, double low_percent, double high_percent);

/* max |x|, mean |x|, and mean |x| + sigma * sqrt(var(|x|) + 1e-8) with the unbiased variance. */
float nb_stat_max(const float *x, size_t n);
float nb_stat_mean(const float *x, size_t n);
float nb_stat_mean_sigma(const float *x, size_t n, double sigma);

/* How a threshold is searched for. */
typedef struct NbMseGrid {
    int steps;    /* candidates are start * i / steps, i = 2 .. steps; Brevitas: 20 */
    bool shifted; /* the quantizer has a zero point made from min(x) (see zero.h) */
} NbMseGrid;

/* The threshold whose scale gives the smallest sum of squared errors over x: one row, one scale.
 * The search starts at max |x|, or at max(x) - min(min(x), 0) when shifted; of equals the smallest
 * threshold wins. The threshold is not yet restricted (nb_quant_value_of is what to store). */
float nb_stat_mse_threshold(const NbQuantSpec *spec, const float *x, size_t n, NbMseGrid grid);

/* For a given scale: which fraction of min(min(x), 0) makes the best zero point; same grid. */
float nb_stat_mse_low(const NbQuantSpec *spec, const float *x, size_t n, float scale, int steps);

#endif
