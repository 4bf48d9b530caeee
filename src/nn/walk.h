/* SPDX-License-Identifier: Apache-2.0
 *
 * Elements of several tensors visited together, wherever they lie: each dimension has one count and
 * for each tensor a stride in elements (0: repeated). Tensor 0 is the one whose memory should be
 * walked through from end to end. */
#ifndef NB_NN_WALK_H
#define NB_NN_WALK_H

#include <stdbool.h>
#include <stddef.h>

enum { NB_NN_WALK_SETS = 4, NB_NN_WALK_RANK = 16 };

typedef struct NbNnWalk {
    int rank;
    size_t dim[NB_NN_WALK_RANK];
    ptrdiff_t stride[NB_NN_WALK_SETS][NB_NN_WALK_RANK];
} NbNnWalk;

/* Appends a dimension (none for n == 1); at most NB_NN_WALK_RANK. */
void nb_nn_walk_dim(NbNnWalk *w, size_t n, const ptrdiff_t stride[NB_NN_WALK_SETS]);

/* Sorts dimensions for tensor 0 and joins those that need not be two: after the last dimension was
 * appended. */
void nb_nn_walk_order(NbNnWalk *w);

/* One run of the innermost dimension: first elements, how many, steps. */
typedef void NbNnRow(void *user, const ptrdiff_t *at, size_t n, const ptrdiff_t *stride);

void nb_nn_walk_run(const NbNnWalk *w, NbNnRow *row, void *user);

/* to (tensor 0) = from (tensor 1); the same times scale; and added to what is there. */
void nb_nn_walk_copy(const NbNnWalk *w, const float *from, float *to);
void nb_nn_walk_scale(const NbNnWalk *w, const float *from, float scale, float *to);
void nb_nn_walk_add(const NbNnWalk *w, const float *from, float *to);

#endif
