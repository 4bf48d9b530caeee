/* SPDX-License-Identifier: Apache-2.0
 *
 * NumPy's broadcasting: shapes are aligned at their last dimension, a missing dimension counts as
 * 1, and a dimension of 1 is repeated. */
#ifndef NB_GRAPH_BROADCAST_H
#define NB_GRAPH_BROADCAST_H

#include "tensor/tensor.h"

/* The common shape of two; false: they do not fit. out may be a or b. */
bool nb_broadcast_shape(const NbShape *a, const NbShape *b, NbShape *out);

/* Where elements of a tensor lie, seen with another shape. */
typedef struct NbView {
    NbShape shape;
    int64_t first;               /* element number of the first one */
    int64_t stride[NB_MAX_RANK]; /* in elements; 0: repeated */
} NbView;

/* The elements of a dense tensor of shape `in`, broadcast to `out`. */
NbView nb_view_broadcast(const NbShape *in, const NbShape *out);

/* The element number in the tensor behind the view of its element i (row-major). */
int64_t nb_view_at(const NbView *v, size_t i);

#endif
