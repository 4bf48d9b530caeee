/* SPDX-License-Identifier: Apache-2.0
 *
 * A distance as a distribution over reg_max bins 0, 1, ..., reg_max - 1, in cells.
 * Source: Li et al., "Generalized Focal Loss", NeurIPS 2020. */
#ifndef NB_DETECT_DFL_H
#define NB_DETECT_DFL_H

#include <stddef.h>

enum { NB_DFL_MAX_BINS = 64 };

/* A distribution that the logits raw[i * sc] describe. */
typedef struct NbDfl {
    float p[NB_DFL_MAX_BINS]; /* softmax */
    float mean;               /* the distance */
    float log_total;          /* log of the sum of exp(logits) */
} NbDfl;

/* The expectation of bin [reg_max] (NULL: 0, 1, ...); with one bin the logit itself is the
 * distance.
 */
float nb_dfl_mean(const float *raw, ptrdiff_t sc, const float *bin, int reg_max);

/* All of it, 2 <= reg_max <= NB_DFL_MAX_BINS; mean is that of
 * bins 0, 1, ... as above to the bit. */
void nb_dfl_fill(const float *raw, ptrdiff_t sc, int reg_max, NbDfl *out);

/* What the two bins around a distance t >= 0 (below reg_max - 1) should hold. */
typedef struct NbDflGoal {
    int low;
    float low_share, high_share; /* of bins low and low + 1 */
} NbDflGoal;

/* distance: clamped to [0, reg_max - 1.01]. */
NbDflGoal nb_dfl_goal(float distance, int reg_max);

/* Cross entropy of a distribution against a goal. */
float nb_dfl_loss(const NbDfl *d, const float *raw, ptrdiff_t sc, NbDflGoal goal);

/* grad[i * sc] = loss_scale * d loss / d raw + mean_scale * d mean / d raw; WRITTEN. */
void nb_dfl_backward(const NbDfl *d, int reg_max, NbDflGoal goal, float loss_scale,
                     float mean_scale, float *grad, ptrdiff_t sc);

#endif
