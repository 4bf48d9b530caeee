/* SPDX-License-Identifier: Apache-2.0
 *
 * MATMUL: a [..., M, K] times b [..., K, N]; leading dimensions broadcast. Two coded inputs are
 * multiplied as codes, see interpret.h. */
#include "graph/broadcast.h"
#include "graph/run.h"

static NB_FALLIBLE infer(const NbGraph *g, const NbNode *node, NbShape *out, NbError *err) {
    char text[2][96];
    NbShape lead[2];
    for (int i = 0; i < 2; i++) {
        const NbShape *x = nb_in_shape(g, node, i);
        NB_TRY(nb_infer_numbers(g, node, i, err));
        nb_shape_text(x, text[i], sizeof text[i]);
        if (x->rank < 2)
            return nb_fail(NB_ERR_ARGUMENT, err, "input %d is %s, at least 2 dimensions expected",
                           i, text[i]);
        lead[i] = *x;
        lead[i].rank -= 2;
    }
    const NbShape *a = nb_in_shape(g, node, 0);
    const NbShape *b = nb_in_shape(g, node, 1);
    if (a->dim[a->rank - 1] != b->dim[b->rank - 2] || !nb_broadcast_shape(&lead[0], &lead[1], out))
        return nb_fail(NB_ERR_ARGUMENT, err, "%s times %s: these shapes do not fit", text[0],
                       text[1]);
    out->dim[out->rank++] = a->dim[a->rank - 2];
    out->dim[out->rank++] = b->dim[b->rank - 1];
    return NB_OK;
}

/* What the loops need. */
typedef struct Product {
    size_t matrices;
    NbView lead[2];
    int64_t size[2]; /* elements of one matrix */
    int64_t m, k, n;
} Product;

static Product product_of(const NbGraph *g, const NbNode *node) {
    NbShape lead = node->shape;
    Product p = {.m = lead.dim[lead.rank - 2], .n = lead.dim[lead.rank - 1]};
    lead.rank -= 2;
    p.matrices = nb_shape_count(&lead);
    for (int i = 0; i < 2; i++) {
        NbShape own = *nb_in_shape(g, node, i);
        own.rank -= 2;
        p.lead[i] = nb_view_broadcast(&own, &lead);
        p.size[i] = own.dim[own.rank] * own.dim[own.rank + 1];
    }
    const NbShape *a = nb_in_shape(g, node, 0);
    p.k = a->dim[a->rank - 1];
    return p;
}

static bool by_codes(const NbRun *run, NbNodeId id) {
    const NbValue *a = nb_run_in(run, id, 0);
    const NbValue *b = nb_run_in(run, id, 1);
    return a->coded && b->coded && a->n_scale == 1 && b->n_scale == 1;
}

static double sum_of(const Product *p, const float *a, const float *b, const double zero[2]) {
    double sum = 0.0;
    for (int64_t k = 0; k < p->k; k++)
        sum += ((double)a[k] - zero[0]) * ((double)b[k * p->n] - zero[1]);
    return sum;
}

static NB_FALLIBLE forward(NbRun *run, NbNodeId id, NbError *err) {
    const Product p = product_of(run->g, &run->g->node[id]);
    const bool codes = by_codes(run, id);
    const float *x[2] = {NULL, NULL};
    double zero[2] = {0.0, 0.0};
    float scale = 1.0F;
    for (int i = 0; i < 2; i++) {
        if (!codes) {
            NB_TRY(nb_run_real(run, id, i, &x[i], err));
            continue;
        }
        x[i] = nb_run_data(run, id, i);
        zero[i] = (double)nb_run_in(run, id, i)->zero;
        scale *= nb_run_in(run, id, i)->scale[0];
    }
    NB_TRY(nb_run_new(run, id, NB_F32, err));
    float *y = nb_f32(&run->value[id].t);
    for (size_t i = 0; i < p.matrices; i++) {
        const float *a = x[0] + nb_view_at(&p.lead[0], i) * p.size[0];
        const float *b = x[1] + nb_view_at(&p.lead[1], i) * p.size[1];
        for (int64_t m = 0; m < p.m; m++)
            for (int64_t n = 0; n < p.n; n++) {
                const float sum = (float)sum_of(&p, a + m * p.k, b + n, zero);
                *y++ = codes ? sum * scale : sum;
            }
    }
    return NB_OK;
}

/* Adds what matrix dy gives to da = dy b' and db = a' dy; either may be NULL. */
static void back_matrix(const Product *p, const float *const x[2], const float *dy,
                        double *const d[2]) {
    for (int64_t m = 0; m < p->m; m++)
        for (int64_t n = 0; n < p->n; n++) {
            const double g = (double)dy[m * p->n + n];
            for (int64_t k = 0; k < p->k; k++) {
                if (d[0])
                    d[0][m * p->k + k] += g * (double)x[1][k * p->n + n];
                if (d[1])
                    d[1][k * p->n + n] += g * (double)x[0][m * p->k + k];
            }
        }
}

static NB_FALLIBLE backward(NbRun *run, NbNodeId id, const float *dy, float *const dx[],
                            NbError *err) {
    const NbNode *node = &run->g->node[id];
    const Product p = product_of(run->g, node);
    const float *x[2] = {NULL, NULL};
    double *sum[2] = {NULL, NULL};
    for (int k = 0; k < 2; k++) {
        NB_TRY(nb_run_real(run, id, k, &x[k], err));
        if (dx[k])
            sum[k] = NB_NEW(run->arena, double, nb_shape_count(nb_in_shape(run->g, node, k)));
        if (dx[k] && !sum[k])
            return nb_fail_memory(err, "gradient of a product");
    }
    for (size_t i = 0; i < p.matrices; i++) {
        const int64_t at[2] = {nb_view_at(&p.lead[0], i) * p.size[0],
                               nb_view_at(&p.lead[1], i) * p.size[1]};
        const float *const ab[2] = {x[0] + at[0], x[1] + at[1]};
        double *const d[2] = {sum[0] ? sum[0] + at[0] : NULL, sum[1] ? sum[1] + at[1] : NULL};
        back_matrix(&p, ab, dy + (int64_t)i * p.m * p.n, d);
    }
    for (int k = 0; k < 2; k++) {
        const size_t count = nb_shape_count(nb_in_shape(run->g, node, k));
        for (size_t i = 0; sum[k] && i < count; i++)
            dx[k][i] += (float)sum[k][i];
    }
    return NB_OK;
}

const NbOpDef nb_op_matmul = {.name = "MATMUL",
                              .min_in = 2,
                              .max_in = 2,
                              .infer = infer,
                              .forward = forward,
                              .backward = backward};
