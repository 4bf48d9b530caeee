/* SPDX-License-Identifier: Apache-2.0
 *
 * GPFQ: greedy path following. */
#include "lower/ptq/gptq.h"
#include "lower/ptq/gram.h"

/* Everything of one call, in the order in which columns are visited. */
typedef struct Path {
    size_t n;
    size_t *order;
    double *h;     /* [n][n] */
    double *cross; /* [n][n] */
    double *w;     /* [n] one row */
    double *q;     /* [n] */
} Path;

static NB_FALLIBLE take_path(const NbGpfq *g, NbArena *arena, Path *out, NbError *err) {
    const size_t n = g->columns;
    *out = (Path){.n = n,
                  .order = NB_NEW(arena, size_t, 2 * n),
                  .h = NB_NEW(arena, double, n *n),
                  .cross = NB_NEW(arena, double, n *n),
                  .w = NB_NEW(arena, double, n),
                  .q = NB_NEW(arena, double, n)};
    if (!out->order || !out->h || !out->cross || !out->w || !out->q)
        return nb_fail_memory(err, "the input statistics of GPFQ");
    nb_gram_order(g->h, n, g->act_order, out->order);
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++) {
            const size_t from = out->order[i] * n + out->order[j];
            out->h[i * n + j] = g->h[from];
            out->cross[i * n + j] = g->cross[from];
        }
    }
    return NB_OK;
}

static void follow(const Path *p, const NbQuantSpec *spec, float scale) {
    for (size_t t = 0; t < p->n; t++) {
        const double energy = p->h[t * (p->n + 1)];
        if (!(energy > 0.0)) {
            p->q[t] = 0.0;
            continue;
        }
        const double wanted = nb_gram_dot(p->cross + t * p->n, p->w, t + 1);
        const double given = nb_gram_dot(p->h + t * p->n, p->q, t);
        const float target = (float)((wanted - given) / energy);
        float q;
        nb_quant_codes(spec, &target, 1, 1, &scale, NULL, &q);
        nb_quant_values(&q, 1, 1, &scale, NULL, &q);
        p->q[t] = (double)q;
    }
}

NbStatus nb_ptq_gpfq_rows(const NbGpfq *g, const NbQuantSpec *spec, const float *scale, size_t rows,
                          float *w, NbArena *arena, NbError *err) {
    const NbArenaMark mark = nb_arena_mark(arena);
    Path p = {0};
    NB_TRY(take_path(g, arena, &p, err));
    for (size_t r = 0; r < rows; r++) {
        float *const row = w + r * p.n;
        for (size_t i = 0; i < p.n; i++)
            p.w[i] = (double)row[p.order[i]];
        follow(&p, spec, scale[r]);
        for (size_t i = 0; i < p.n; i++)
            row[p.order[i]] = (float)p.q[i];
    }
    nb_arena_rewind(arena, mark);
    return NB_OK;
}
