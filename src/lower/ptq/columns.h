/* SPDX-License-Identifier: Apache-2.0
 *
 * Some output pixels of a convolution as the rows that its weights are multiplied with. */
#ifndef NB_LOWER_PTQ_COLUMNS_H
#define NB_LOWER_PTQ_COLUMNS_H

#include "graph/graph.h"

#include <stddef.h>
#include <stdint.h>

typedef struct NbPtqColumns {
    const NbConvAttr *conv;
    int height, width, channels; /* of the input */
    int out_height, out_width;
    int groups;
    size_t columns; /* of a group: channels / groups * kernel height * width */
    size_t stride;  /* floats from one row to the next, >= columns; what lies between is 0 */
} NbPtqColumns;

/* x [height, width, channels], pixel [n] (y * out_width + x) -> out [groups][capacity][stride],
 * rows first, first + 1, ... of each group; a row is in the order of the weights [channel, ky, kx].
 */
void nb_ptq_columns(const NbPtqColumns *c, const float *x, const uint32_t *pixel, size_t n,
                    size_t first, size_t capacity, float *out);

/* n different pixels below `count`, ascending, chosen by (seed, layer, picture); all of them when
 * count <= n. Returns how many there are. */
size_t nb_ptq_pixels(uint64_t seed, uint32_t layer, uint32_t picture, size_t count, size_t n,
                     uint32_t *pixel);

#endif
