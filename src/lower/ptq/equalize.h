/* SPDX-License-Identifier: Apache-2.0
 *
 * Cross-layer equalization: between layers that only scale-invariant operators connect, each
 * channel is multiplied on one side and divided on the other so that both sides use their range
 * alike. Source: Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias
 * Correction", ICCV 2019; Brevitas 0.12.1. */
#ifndef NB_LOWER_PTQ_EQUALIZE_H
#define NB_LOWER_PTQ_EQUALIZE_H

#include "base/arena.h"
#include "base/status.h"
#include "lower/ptq/channels.h"

#include <stdbool.h>
#include <stddef.h>

/* One layer at an end of a region: its channels are those from `first` on (concatenation). */
typedef struct NbEqualizeEnd {
    NbChannels w;
    float *bias; /* sources: [w.channels] or NULL; sinks: not read */
    size_t first;
} NbEqualizeEnd;

typedef struct NbEqualizeRegion {
    NbEqualizeEnd *source; /* by output channels */
    size_t n_sources;
    NbEqualizeEnd *sink; /* by input channels */
    size_t n_sinks;
    size_t channels;
} NbEqualizeRegion;

typedef struct NbEqualizeOptions {
    int sweeps;      /* at most; 20 */
    double alpha;    /* 0.5: both sides alike */
    double stop;     /* a sweep whose factors all lie within 1 +- stop is the last one; 0.05 */
    bool merge_bias; /* sources' biases, shrunk, count as one more column of their weights */
    float shrink;    /* divides the biases then; 0: chosen from the sizes of weights and biases */
} NbEqualizeOptions;

/* The values above: 20 sweeps, 0.5, 0.05, biases merged and shrunk as chosen. */
NbEqualizeOptions nb_ptq_equalize_defaults(void);

/* Multiplies source weights and biases by f = sink^(1-alpha) / source^alpha of the largest sizes
 * and divides sink weights by it, region by region; channels with a side <= 1e-9 are left alone.
 * Sweeps done come back in *sweeps (may be NULL). Scratch memory comes from the arena. */
NB_FALLIBLE nb_ptq_equalize(const NbEqualizeRegion *region, size_t n_regions,
                            const NbEqualizeOptions *options, NbArena *arena, int *sweeps,
                            NbError *err);

#endif
