/* SPDX-License-Identifier: Apache-2.0
 *
 * Elements of several tensors visited together, wherever they lie. */
#include "nn/walk.h"

#include <string.h>

void nb_nn_walk_dim(NbNnWalk *w, size_t n, const ptrdiff_t stride[NB_NN_WALK_SETS]) {
    if (n == 1 || w->rank == NB_NN_WALK_RANK)
        return;
    w->dim[w->rank] = n;
    for (int s = 0; s < NB_NN_WALK_SETS; s++)
        w->stride[s][w->rank] = stride[s];
    w->rank++;
}

static void swap_dims(NbNnWalk *w, int a, int b) {
    const size_t n = w->dim[a];
    w->dim[a] = w->dim[b];
    w->dim[b] = n;
    for (int s = 0; s < NB_NN_WALK_SETS; s++) {
        const ptrdiff_t stride = w->stride[s][a];
        w->stride[s][a] = w->stride[s][b];
        w->stride[s][b] = stride;
    }
}

/* Whether `a` belongs outside of `b`: larger steps in the first tensor that tells them apart. */
static bool is_outer(const NbNnWalk *w, int a, int b) {
    for (int s = 0; s < NB_NN_WALK_SETS; s++)
        if (w->stride[s][a] != w->stride[s][b])
            return w->stride[s][a] > w->stride[s][b];
    return true;
}

/* Dimension d continues d + 1 in every tensor. */
static bool continues(const NbNnWalk *w, int d) {
    for (int s = 0; s < NB_NN_WALK_SETS; s++)
        if (w->stride[s][d] != w->stride[s][d + 1] * (ptrdiff_t)w->dim[d + 1])
            return false;
    return true;
}

static void merge(NbNnWalk *w, int d) {
    w->dim[d] *= w->dim[d + 1];
    for (int s = 0; s < NB_NN_WALK_SETS; s++)
        w->stride[s][d] = w->stride[s][d + 1];
    for (int i = d + 1; i + 1 < w->rank; i++) {
        w->dim[i] = w->dim[i + 1];
        for (int s = 0; s < NB_NN_WALK_SETS; s++)
            w->stride[s][i] = w->stride[s][i + 1];
    }
    w->rank--;
}

void nb_nn_walk_order(NbNnWalk *w) {
    for (int i = 1; i < w->rank; i++)
        for (int k = i; k > 0 && !is_outer(w, k - 1, k); k--)
            swap_dims(w, k - 1, k);
    for (int d = w->rank - 2; d >= 0; d--)
        if (continues(w, d))
            merge(w, d);
}

void nb_nn_walk_run(const NbNnWalk *w, NbNnRow *row, void *user) {
    ptrdiff_t at[NB_NN_WALK_SETS] = {0};
    size_t index[NB_NN_WALK_RANK] = {0};
    ptrdiff_t inner[NB_NN_WALK_SETS] = {0};
    const int last = w->rank - 1;
    for (int s = 0; last >= 0 && s < NB_NN_WALK_SETS; s++)
        inner[s] = w->stride[s][last];
    const size_t n = last >= 0 ? w->dim[last] : 1;
    for (;;) {
        row(user, at, n, inner);
        int d = last - 1;
        for (; d >= 0; d--) {
            for (int s = 0; s < NB_NN_WALK_SETS; s++)
                at[s] += w->stride[s][d];
            if (++index[d] < w->dim[d])
                break;
            for (int s = 0; s < NB_NN_WALK_SETS; s++)
                at[s] -= w->stride[s][d] * (ptrdiff_t)w->dim[d];
            index[d] = 0;
        }
        if (d < 0)
            return;
    }
}

typedef struct Move {
    const float *from;
    float *to;
    float scale;
} Move;

static void copy_row(void *user, const ptrdiff_t *at, size_t n, const ptrdiff_t *stride) {
    const Move *const m = user;
    const float *const from = m->from + at[1];
    float *const to = m->to + at[0];
    if (stride[0] == 1 && stride[1] == 1)
        memcpy(to, from, n * sizeof *to);
    else
        for (size_t i = 0; i < n; i++)
            to[(ptrdiff_t)i * stride[0]] = from[(ptrdiff_t)i * stride[1]];
}

static void scale_row(void *user, const ptrdiff_t *at, size_t n, const ptrdiff_t *stride) {
    const Move *const m = user;
    const float *const from = m->from + at[1];
    float *const to = m->to + at[0];
    for (size_t i = 0; i < n; i++)
        to[(ptrdiff_t)i * stride[0]] = from[(ptrdiff_t)i * stride[1]] * m->scale;
}

static void add_row(void *user, const ptrdiff_t *at, size_t n, const ptrdiff_t *stride) {
    const Move *const m = user;
    const float *const from = m->from + at[1];
    float *const to = m->to + at[0];
    if (stride[0] == 1 && stride[1] == 1)
        for (size_t i = 0; i < n; i++)
            to[i] += from[i];
    else
        for (size_t i = 0; i < n; i++)
            to[(ptrdiff_t)i * stride[0]] += from[(ptrdiff_t)i * stride[1]];
}

void nb_nn_walk_copy(const NbNnWalk *w, const float *from, float *to) {
    nb_nn_walk_run(w, copy_row, &(Move){.from = from, .to = to});
}

void nb_nn_walk_scale(const NbNnWalk *w, const float *from, float scale, float *to) {
    nb_nn_walk_run(w, scale_row, &(Move){.from = from, .to = to, .scale = scale});
}

void nb_nn_walk_add(const NbNnWalk *w, const float *from, float *to) {
    nb_nn_walk_run(w, add_row, &(Move){.from = from, .to = to});
}
