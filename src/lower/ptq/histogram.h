/* SPDX-License-Identifier: Apache-2.0
 *
 * What an activation looks like, from any number of pictures in constant memory: counts of its
 * values rounded to 11 significant bits (between 2^-14 and 2^17 in size; smaller ones count as 0),
 * and its exact ends. From that the step and the zero point of its quantizer are chosen.
 *
 * Sources: Migacz, "8-bit Inference with TensorRT", GTC 2017 (kl); Banner et al., NeurIPS 2019
 * (clipping by squared error). */
#ifndef NB_LOWER_PTQ_HISTOGRAM_H
#define NB_LOWER_PTQ_HISTOGRAM_H

#include "base/arena.h"
#include "base/status.h"
#include "quant/grid.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NB_PTQ_BINS = 1 << 16 };

typedef struct NbPtqHistogram {
    uint64_t *count; /* [NB_PTQ_BINS] */
    uint64_t total;
    uint64_t odd; /* NaN and infinities, counted nowhere else */
    float low;    /* smallest and largest value, 0 included */
    float high;
} NbPtqHistogram;

NB_FALLIBLE nb_ptq_histogram_new(NbArena *arena, NbPtqHistogram *out, NbError *err);
void nb_ptq_histogram_add(NbPtqHistogram *h, const float *x, size_t n);
/* Everything that `from` counted counts in `to` as well. */
void nb_ptq_histogram_merge(NbPtqHistogram *to, const NbPtqHistogram *from);

typedef enum NbPtqMethod {
    NB_PTQ_MSE,        /* least squared error */
    NB_PTQ_MINMAX,     /* all values fit */
    NB_PTQ_PERCENTILE, /* that share of the values fits */
    NB_PTQ_KL,         /* least divergence between the distributions before and after */
} NbPtqMethod;

/* "mse", "minmax", "percentile", "kl"; false: none of them. */
bool nb_ptq_method_parse(const char *text, NbPtqMethod *out);

typedef struct NbPtqScale {
    float step;       /* > 0 */
    float zero;       /* an integer of the grid: the code of 0 */
    double saturated; /* share of the values that are clipped */
    double sqnr_db;   /* of the values before and after; 0 without values */
} NbPtqScale;

/* Asymmetric step and zero for codes of this grid. percent: of NB_PTQ_PERCENTILE. Of a histogram
 * without any value but 0 the step is 1. Scratch memory comes from the arena. */
NB_FALLIBLE nb_ptq_histogram_scale(const NbPtqHistogram *h, NbGrid grid, NbPtqMethod method,
                                   double percent, NbArena *arena, NbPtqScale *out, NbError *err);

#endif
