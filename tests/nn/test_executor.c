/* SPDX-License-Identifier: Apache-2.0
 *
 * The executor against the reference interpreter, on random graphs. */
#include "graph/interpret.h"
#include "nn/executor.h"
#include "nn/nets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_OUTPUTS = 4 };

static void must(NbStatus status, const NbError *err) {
    if (status != NB_OK)
        fail_msg("%s", err->message);
}

/* NHWC of `count` pictures from NCHW. */
static void to_nhwc(const float *from, const NbShape *s, int count, float *to) {
    const int64_t pixels = s->dim[2] * s->dim[3];
    for (int64_t n = 0; n < count; n++)
        for (int64_t p = 0; p < pixels; p++)
            for (int64_t c = 0; c < s->dim[1]; c++)
                *to++ = from[(n * s->dim[1] + c) * pixels + p];
}

static void to_nchw(const float *from, const NbShape *s, int count, float *to) {
    const int64_t pixels = s->dim[2] * s->dim[3];
    for (int64_t n = 0; n < count; n++)
        for (int64_t c = 0; c < s->dim[1]; c++)
            for (int64_t p = 0; p < pixels; p++)
                *to++ = from[(n * pixels + p) * s->dim[1] + c];
}

/* One graph twice: for the executor, and for the interpreter. */
typedef struct Pair {
    Net net;
    NbArena arena; /* of everything else */
    NbGraph twin;
    NbPool *pool;
    NbExecutor *x;
    int count;
    int height;
    int width;
    uint8_t *nhwc;
    uint8_t *nchw;
    NbValue *value;
} Pair;

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
static void pair_open(Pair *p, const NbExecutorOptions *options, int count, int threads) {
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

static void pair_close(Pair *p) {
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
static double distance(const float *got, const float *want, size_t n) {
    double top = 0.5;
    double worst = 0.0;
    for (size_t i = 0; i < n; i++) {
        top = fmax(top, fabs((double)want[i]));
        worst = fmax(worst, fabs((double)got[i] - (double)want[i]));
        if (isnan(got[i]) != isnan(want[i]))
            return INFINITY;
    }
    return worst / top;
}

static void expect_equal(const float *got, const float *want, size_t n, const char *what, int i) {
    for (size_t k = 0; k < n; k++)
        if (!(got[k] == want[k]) && !(isnan(got[k]) && isnan(want[k])))
            fail_msg("%s %d: element %zu of %zu is %.9g, the interpreter has %.9g", what, i, k, n,
                     (double)got[k], (double)want[k]);
}

static void expect_close(const float *got, const float *want, size_t n, double tolerance,
                         const char *what, int i) {
    const double d = distance(got, want, n);
    if (!(d <= tolerance))
        fail_msg("%s %d: differs by %g of the largest (%g allowed)", what, i, d, tolerance);
}

static void compare_outputs(Pair *p, bool exact, double tolerance) {
    for (int i = 0; i < p->twin.n_outputs; i++) {
        const float *const want = real_of(p, p->twin.output[i]);
        const size_t n = nb_shape_count(&p->twin.node[p->twin.output[i]].shape);
        if (exact)
            expect_equal(nb_executor_output(p->x, i), want, n, "output", i);
        else
            expect_close(nb_executor_output(p->x, i), want, n, tolerance, "output", i);
    }
}

static void build_random(Pair *p, int seed, bool quantized) {
    memset(p, 0, sizeof *p);
    net_init(&p->net, (uint64_t)seed, quantized);
    if (seed % 5 == 4)
        p->net.round = NB_ROUND_FLOOR; /* not what the fast loops do */
    net_random(&p->net, 12 + seed % 9, 13 + seed % 4, 4 + seed % 9);
}

static NbExecutorOptions options_of(const Pair *p, int seed) {
    (void)p;
    return (NbExecutorOptions){.batch = 6, .height = 12 + seed % 9, .width = 13 + seed % 4};
}

static void inference_equals_the_interpreter(void **state) {
    (void)state;
    for (int seed = 0; seed < 60; seed++) {
        Pair p;
        NbError err = {{0}};
        build_random(&p, seed, true);
        NbExecutorOptions o = options_of(&p, seed);
        o.quantizers = true;
        o.training = seed % 3 == 0;
        pair_open(&p, &o, 1 + seed % 5, 1 + seed % 3);
        must(nb_executor_forward(p.x, p.nhwc, p.count, false, &err), &err);
        must(nb_interpret(&p.twin, p.nchw, NB_RUN_EVAL, true, &p.arena, p.value, &err), &err);
        compare_outputs(&p, true, 0.0);
        pair_close(&p);
    }
}

static void every_kept_value_equals_the_interpreter(void **state) {
    (void)state;
    for (int seed = 100; seed < 130; seed++) {
        Pair p;
        NbError err = {{0}};
        build_random(&p, seed, true);
        NbExecutorOptions o = options_of(&p, seed);
        o.quantizers = true;
        o.keep = true;
        pair_open(&p, &o, 3, 2);
        must(nb_executor_forward(p.x, p.nhwc, p.count, false, &err), &err);
        must(nb_interpret(&p.twin, p.nchw, NB_RUN_EVAL, true, &p.arena, p.value, &err), &err);
        int kept = 0;
        for (NbNodeId id = 0; id < p.twin.n_nodes; id++) {
            bool coded = false;
            const size_t n =
                p.twin.node[id].shape.rank == 4 ? nb_shape_count(&p.twin.node[id].shape) : 0;
            float *const got = NB_NEW(&p.arena, float, n + 1);
            float *const want = NB_NEW(&p.arena, float, n + 1);
            if (p.twin.node[id].op == NB_OP_PARAM ||
                nb_executor_tap(p.x, id, got, &coded, &err) != NB_OK)
                continue;
            assert_int_equal(coded, p.value[id].coded);
            to_nhwc(nb_f32(&p.value[id].t), &p.twin.node[id].shape, p.count, want);
            expect_equal(got, want, n, "node", id);
            kept++;
        }
        assert_true(kept > 3);
        pair_close(&p);
    }
}

static void the_float_twin_is_close_to_the_interpreter(void **state) {
    (void)state;
    for (int seed = 200; seed < 230; seed++) {
        Pair p;
        NbError err = {{0}};
        build_random(&p, seed, seed % 2 == 0);
        NbExecutorOptions o = options_of(&p, seed);
        pair_open(&p, &o, 2 + seed % 3, 1);
        must(nb_executor_forward(p.x, p.nhwc, p.count, false, &err), &err);
        must(nb_interpret(&p.twin, p.nchw, NB_RUN_EVAL, false, &p.arena, p.value, &err), &err);
        compare_outputs(&p, false, 1e-5);
        pair_close(&p);
    }
}

/* Random d_output for both, in both layouts. */
static void make_gradients(Pair *p, const float **nhwc, NbTensor *nchw) {
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

static void train_both(Pair *p, bool quantizers, NbTensor *d) {
    NbError err = {{0}};
    const float *nhwc[MAX_OUTPUTS];
    NbTensor nchw[MAX_OUTPUTS];
    must(nb_executor_forward(p->x, p->nhwc, p->count, true, &err), &err);
    must(nb_interpret(&p->twin, p->nchw, NB_RUN_TRAIN, quantizers, &p->arena, p->value, &err),
         &err);
    make_gradients(p, nhwc, nchw);
    must(nb_executor_backward(p->x, nhwc, &err), &err);
    must(nb_interpret_backward(&p->twin, p->value, quantizers, nchw, &p->arena, d, &err), &err);
}

/* Whether an output depends on each node. */
static bool *live_nodes(Pair *p) {
    bool *const live = NB_NEW(&p->arena, bool, (size_t)p->twin.n_nodes);
    for (int i = 0; i < p->twin.n_outputs; i++)
        live[p->twin.output[i]] = true;
    for (NbNodeId id = p->twin.n_nodes - 1; id >= 0; id--)
        for (int i = 0; live[id] && i < p->twin.node[id].n_in; i++)
            live[p->twin.node[id].in[i]] = true;
    return live;
}

static void compare_gradients(Pair *p, const NbTensor *d, double tolerance) {
    const bool *const live = live_nodes(p);
    for (NbNodeId id = 0; id < p->twin.n_nodes; id++) {
        const NbNode *const node = &p->twin.node[id];
        if (node->op != NB_OP_PARAM || !live[id])
            continue;
        const size_t n = nb_shape_count(&node->shape);
        const float *const got = nb_executor_grad(p->x, id);
        assert_int_equal(got != NULL, nb_param_trained(node));
        if (got)
            expect_close(got, nb_f32(&d[id]), n, tolerance, "gradient of node", id);
        expect_close(nb_f32(&p->net.g.node[id].param), nb_f32(&node->param), n, 1e-6, "parameter",
                     id);
    }
}

static void training_is_close(int first, bool quantized, bool quantizers, double tolerance) {
    for (int seed = first; seed < first + 60; seed++) {
        Pair p;
        build_random(&p, seed, quantized);
        NbExecutorOptions o = options_of(&p, seed);
        o.training = true;
        o.quantizers = quantizers;
        o.shard = seed % 4;
        pair_open(&p, &o, 2 + seed % 5, 1 + seed % 3);
        NbTensor *const d = NB_NEW(&p.arena, NbTensor, (size_t)p.twin.n_nodes);
        train_both(&p, quantizers, d);
        compare_outputs(&p, false, tolerance);
        compare_gradients(&p, d, tolerance);
        pair_close(&p);
    }
}

static void training_with_quantizers_is_close_to_the_interpreter(void **state) {
    (void)state;
    training_is_close(300, true, true, 2e-3);
}

static void training_of_the_float_twin_is_close_to_the_interpreter(void **state) {
    (void)state;
    training_is_close(400, true, false, 1e-3);
}

static void training_of_mixed_graphs_is_close_to_the_interpreter(void **state) {
    (void)state;
    training_is_close(500, false, true, 2e-3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inference_equals_the_interpreter),
        cmocka_unit_test(every_kept_value_equals_the_interpreter),
        cmocka_unit_test(the_float_twin_is_close_to_the_interpreter),
        cmocka_unit_test(training_with_quantizers_is_close_to_the_interpreter),
        cmocka_unit_test(training_of_the_float_twin_is_close_to_the_interpreter),
        cmocka_unit_test(training_of_mixed_graphs_is_close_to_the_interpreter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
