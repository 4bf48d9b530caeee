/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

void must(NbStatus status, const NbError *err) {
    if (status != NB_OK)
        fail_msg("%s", err->message);
}

/* NHWC of `count` pictures from NCHW. */
void to_nhwc(const float *from, const NbShape *s, int count, float *to) {
    if (s->rank != 4) {
        memcpy(to, from, nb_shape_count(s) / (size_t)s->dim[0] * (size_t)count * sizeof *to);
        return;
    }
    const int64_t pixels = s->dim[2] * s->dim[3];
    for (int64_t n = 0; n < count; n++)
        for (int64_t p = 0; p < pixels; p++)
            for (int64_t c = 0; c < s->dim[1]; c++)
                *to++ = from[(n * s->dim[1] + c) * pixels + p];
}

void to_nchw(const float *from, const NbShape *s, int count, float *to) {
    if (s->rank != 4) {
        to_nhwc(from, s, count, to);
        return;
    }
    const int64_t pixels = s->dim[2] * s->dim[3];
    for (int64_t n = 0; n < count; n++)
        for (int64_t c = 0; c < s->dim[1]; c++)
            for (int64_t p = 0; p < pixels; p++)
                *to++ = from[(n * pixels + p) * s->dim[1] + c];
}

static void fill_images(Pair *p, int channels) {
    const size_t pixels = (size_t)p->height * (size_t)p->width;
    const size_t n = (size_t)p->count * pixels * (size_t)channels;
    p->nhwc = NB_NEW(&p->arena, uint8_t, n);
    p->nchw = NB_NEW(&p->arena, uint8_t, n);
    for (size_t i = 0; i < n; i++)
        p->nhwc[i] = (uint8_t)nb_random_below(&p->net.random, 256);
    for (size_t b = 0; b < (size_t)p->count; b++)
        for (size_t c = 0; c < (size_t)channels; c++)
            for (size_t i = 0; i < pixels; i++)
                p->nchw[(b * (size_t)channels + c) * pixels + i] =
                    p->nhwc[(b * pixels + i) * (size_t)channels + c];
}

static int input_channels(const NbGraph *g) {
    for (int i = 0; i < g->n_nodes; i++)
        if (g->node[i].op == NB_OP_INPUT)
            return g->node[i].attr.input.channels;
    return 0;
}

/* net.g is built; makes everything else. */
void pair_open(Pair *p, const NbExecutorOptions *options, int count, int threads) {
    NbError err = {{0}};
    NbExecutorOptions o = *options;
    p->count = count;
    p->height = o.height;
    p->width = o.width;
    must(nb_graph_copy(&p->net.g, &p->arena, &p->twin, &err), &err);
    if (threads > 1)
        must(nb_pool_new(threads, &p->pool, &err), &err);
    o.pool = p->pool;
    must(nb_executor_new(&p->net.g, &o, &p->x, &err), &err);
    must(nb_graph_infer(&p->twin, count, o.height, o.width, &err), &err);
    p->value = NB_NEW(&p->arena, NbValue, (size_t)p->twin.n_nodes);
    fill_images(p, input_channels(&p->twin));
}

void pair_close(Pair *p) {
    nb_executor_free(p->x);
    nb_pool_free(p->pool);
    nb_arena_release(&p->arena);
    net_release(&p->net);
}

static float *real_of(Pair *p, NbNodeId id) {
    const float *real = NULL;
    NbError err = {{0}};
    must(nb_value_real(&p->value[id], &p->arena, &real, &err), &err);
    const NbShape *const s = &p->twin.node[id].shape;
    float *const out = NB_NEW(&p->arena, float, nb_shape_count(s));
    to_nhwc(real, s, p->count, out);
    return out;
}

/* Largest |got - want| over the largest |want| (or 0.5, if that is more: some gradients are 0 but
 * for rounding, such as that of a bias in front of a batch norm). */
double distance(const float *got, const float *want, size_t n) {
    double top = 0.5;
    double worst = 0.0;
    for (size_t i = 0; i < n; i++) {
        top = fmax(top, fabs((double)want[i]));
        worst = fmax(worst, fabs((double)got[i] - (double)want[i]));
        if ((got[i] != got[i]) != (want[i] != want[i]))
            return (double)INFINITY;
    }
    return worst / top;
}

void expect_equal(const float *got, const float *want, size_t n, const char *what, int i) {
    for (size_t k = 0; k < n; k++)
        if (!(got[k] == want[k]) && !(got[k] != got[k] && want[k] != want[k]))
            fail_msg("%s %d: element %zu of %zu is %.9g, the interpreter has %.9g", what, i, k, n,
                     (double)got[k], (double)want[k]);
}

void expect_close(const float *got, const float *want, size_t n, double tolerance, const char *what,
                  int i) {
    const double d = distance(got, want, n);
    if (!(d <= tolerance))
        fail_msg("%s %d: differs by %g of the largest (%g allowed)", what, i, d, tolerance);
}

void compare_outputs(Pair *p, bool exact, double tolerance) {
    for (int i = 0; i < p->twin.n_outputs; i++) {
        const float *const want = real_of(p, p->twin.output[i]);
        const size_t n = nb_shape_count(&p->twin.node[p->twin.output[i]].shape);
        if (exact)
            expect_equal(nb_executor_output(p->x, i), want, n, "output", i);
        else
            expect_close(nb_executor_output(p->x, i), want, n, tolerance, "output", i);
    }
}

double output_distance(Pair *p) {
    double worst = 0.0;
    for (int i = 0; i < p->twin.n_outputs; i++) {
        const size_t n = nb_shape_count(&p->twin.node[p->twin.output[i]].shape);
        const float *const want = real_of(p, p->twin.output[i]);
        worst = fmax(worst, distance(nb_executor_output(p->x, i), want, n));
    }
    return worst;
}

/* Random d_output for both, in both layouts. */
void make_gradients(Pair *p, const float **nhwc, NbTensor *nchw) {
    for (int i = 0; i < p->twin.n_outputs; i++) {
        const NbShape *const s = &p->twin.node[p->twin.output[i]].shape;
        const size_t n = nb_shape_count(s);
        float *const d = NB_NEW(&p->arena, float, n);
        NbError err = {{0}};
        for (size_t k = 0; k < n; k++)
            d[k] = (float)nb_random_range(&p->net.random, -1.0, 1.0);
        nhwc[i] = d;
        must(nb_tensor_new(&p->arena, NB_F32, s, &nchw[i], &err), &err);
        to_nchw(d, s, p->count, nb_f32(&nchw[i]));
    }
}
