/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/broadcast.h"

bool nb_broadcast_shape(const NbShape *a, const NbShape *b, NbShape *out) {
    const NbShape *longer = a->rank >= b->rank ? a : b;
    const NbShape *shorter = a->rank >= b->rank ? b : a;
    const int missing = longer->rank - shorter->rank;
    NbShape shape = *longer;
    for (int d = 0; d < shorter->rank; d++) {
        const int64_t x = longer->dim[missing + d];
        const int64_t y = shorter->dim[d];
        if (x != y && x != 1 && y != 1)
            return false;
        shape.dim[missing + d] = x == 1 ? y : x;
    }
    *out = shape;
    return true;
}

NbView nb_view_broadcast(const NbShape *in, const NbShape *out) {
    NbView v = {.shape = *out};
    const int missing = out->rank - in->rank;
    int64_t stride = 1;
    for (int d = in->rank - 1; d >= 0; d--) {
        v.stride[missing + d] = in->dim[d] == 1 ? 0 : stride;
        stride *= in->dim[d];
    }
    return v;
}

int64_t nb_view_at(const NbView *v, size_t i) {
    int64_t at = v->first;
    int64_t rest = (int64_t)i;
    for (int d = v->shape.rank - 1; d >= 0; d--) {
        at += rest % v->shape.dim[d] * v->stride[d];
        rest /= v->shape.dim[d];
    }
    return at;
}
