/* SPDX-License-Identifier: Apache-2.0
 *
 * GPTQ: second-order error spreading. */
#include "lower/ptq/gptq.h"

#include "lower/ptq/gram.h"

#include <assert.h>
#include <string.h>

enum { GROUP = 16 }; /* rows that share one walk over u: their weights stay in the cache */

static void permuted(const double *gram, const NbGptq *g, double *h) {
    const size_t n = g->columns;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            h[i * n + j] = gram[g->order[i] * n + g->order[j]];
}

static void damp(double *h, const NbGptq *g, double share) {
    const size_t n = g->columns;
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) {
        if (g->dead[g->order[i]])
            h[i * (n + 1)] = 1.0;
        sum += h[i * (n + 1)];
    }
    for (size_t i = 0; i < n; i++)
        h[i * (n + 1)] += share * (sum / (double)n);
}

NbStatus nb_ptq_gptq_prepare(const double *gram, size_t columns, const NbGptqOptions *options,
                             NbArena *arena, NbGptq *out, NbError *err) {
    const size_t n = columns;
    NbGptq g = {.columns = n,
                .order = NB_NEW(arena, size_t, 2 * n),
                .u = NB_NEW(arena, double, n *n),
                .dead = NB_NEW(arena, bool, n)};
    const NbArenaMark mark = nb_arena_mark(arena);
    double *const h = NB_NEW(arena, double, n *n);
    if (!g.order || !g.u || !g.dead || !h)
        return nb_fail_memory(err, "the input statistics of GPTQ");
    for (size_t i = 0; i < n; i++)
        g.dead[i] = gram[i * (n + 1)] == 0.0;
    nb_gram_order(gram, n, options->act_order, g.order);
    permuted(gram, &g, h);
    damp(h, &g, options->damp);
    const bool solved = nb_gram_inverse_factor(h, n, g.u);
    nb_arena_rewind(arena, mark);
    if (!solved)
        return nb_fail(NB_ERR_ARGUMENT, err,
                       "input statistics of %zu columns are not positive definite", n);
    *out = g;
    return NB_OK;
}

static float quantized(const NbQuantSpec *spec, float scale, double x) {
    const float w = (float)x;
    float q;
    nb_quant_codes(spec, &w, 1, 1, &scale, NULL, &q);
    nb_quant_values(&q, 1, 1, &scale, NULL, &q);
    return q;
}

/* v [rows][columns] holds the weights in the order of g. */
static void solve_group(const NbGptq *g, const NbQuantSpec *spec, const float *scale, size_t rows,
                        double *v) {
    const size_t n = g->columns;
    for (size_t i = 0; i < n; i++) {
        const double *const u = g->u + i * n;
        for (size_t r = 0; r < rows; r++) {
            double *const row = v + r * n;
            const double q = (double)quantized(spec, scale[r], row[i]);
            const double error = (row[i] - q) / u[i];
            row[i] = q;
            for (size_t j = i + 1; j < n; j++)
                row[j] -= error * u[j];
        }
    }
}

NbStatus nb_ptq_gptq_rows(const NbGptq *g, const NbQuantSpec *spec, const float *scale, size_t rows,
                          float *w, NbArena *arena, NbError *err) {
    const size_t n = g->columns;
    assert(n > 0);
    const NbArenaMark mark = nb_arena_mark(arena);
    double *const v = NB_NEW(arena, double, GROUP *n);
    if (!v)
        return nb_fail_memory(err, "the rows of GPTQ");
    for (size_t at = 0; at < rows; at += GROUP) {
        const size_t count = rows - at < GROUP ? rows - at : GROUP;
        for (size_t k = 0; k < count * n; k++) {
            const size_t column = g->order[k % n];
            const float x = w[(at + k / n) * n + column];
            v[k] = g->dead[column] ? 0.0 : (double)x;
        }
        solve_group(g, spec, scale + at, count, v);
        for (size_t k = 0; k < count * n; k++)
            w[(at + k / n) * n + g->order[k % n]] = (float)v[k];
    }
    nb_arena_rewind(arena, mark);
    return NB_OK;
}
