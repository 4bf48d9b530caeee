/* SPDX-License-Identifier: Apache-2.0
 *
 * Random numbers that depend only on a key and a position (Philox4x32-10), so that any picture of
 * any epoch, and any weight, can be drawn alone, in any order, on any thread.
 * Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011. */
#ifndef NB_BASE_RANDOM_H
#define NB_BASE_RANDOM_H

#include <stdint.h>

typedef struct NbRandom {
    uint32_t key[2];
    uint32_t counter[4];
    uint32_t block[4]; /* the current four numbers */
    int left;          /* how many of them are unused */
} NbRandom;

/* What a stream is for; streams of one seed with different purposes or numbers are independent. */
typedef enum NbRandomUse {
    NB_RANDOM_INIT,    /* start weights: a = tensor number */
    NB_RANDOM_AUGMENT, /* a = epoch, b = sample index */
    NB_RANDOM_SHUFFLE, /* a = epoch */
    NB_RANDOM_SIZE,    /* multi-scale: a = epoch, b = batch */
    NB_RANDOM_SYNTH,   /* synthetic pictures: a = split, b = picture */
    NB_RANDOM_ANCHORS, /* k-means and evolution of anchors */
    NB_RANDOM_TEST,
    NB_RANDOM_PTQ, /* pixels that calibration looks at: a = layer, b = picture */
} NbRandomUse;

NbRandom nb_random(uint64_t seed, NbRandomUse use, uint32_t a, uint32_t b);

uint32_t nb_random_u32(NbRandom *r);

/* Uniform in [0, n), unbiased; n > 0. */
uint32_t nb_random_below(NbRandom *r, uint32_t n);

/* Uniform in [0, 1) with 53 bits. */
double nb_random_unit(NbRandom *r);

/* Uniform in [lo, hi). */
double nb_random_range(NbRandom *r, double lo, double hi);

/* Standard normal (Box-Muller, one value per call). */
double nb_random_normal(NbRandom *r);

/* Beta(a, b) for a, b >= 1 (two gamma variates by Marsaglia and Tsang, 2000). */
double nb_random_beta(NbRandom *r, double a, double b);

/* order[0..n) becomes a random permutation of 0..n-1 (Fisher-Yates). */
void nb_random_permutation(NbRandom *r, uint32_t *order, uint32_t n);

#endif
