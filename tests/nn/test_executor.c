/* SPDX-License-Identifier: Apache-2.0
 *
 * The executor against the reference interpreter, on random graphs. */
#include "nn/pair.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

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
            const size_t n = nb_shape_count(&p.twin.node[id].shape);
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

/* Whether an output depends on each node; its gradient does not pass a DETACH. */
static bool *ancestors(Pair *p, bool of_gradients) {
    bool *const is = NB_NEW(&p->arena, bool, (size_t)p->twin.n_nodes);
    for (int i = 0; i < p->twin.n_outputs; i++)
        is[p->twin.output[i]] = true;
    for (NbNodeId id = p->twin.n_nodes - 1; id >= 0; id--) {
        const NbNode *const node = &p->twin.node[id];
        const bool on = is[id] && !(of_gradients && node->op == NB_OP_DETACH);
        for (int i = 0; on && i < node->n_in; i++)
            is[node->in[i]] = true;
    }
    return is;
}

/* Largest distance of an output or gradient; running statistics must agree in any case. */
static double training_distance(Pair *p, const NbTensor *d) {
    const bool *const live = ancestors(p, false);
    const bool *const reached = ancestors(p, true);
    double worst = output_distance(p);
    for (NbNodeId id = 0; id < p->twin.n_nodes; id++) {
        const NbNode *const node = &p->twin.node[id];
        if (node->op != NB_OP_PARAM || !live[id])
            continue;
        const size_t n = nb_shape_count(&node->shape);
        const float *const got = nb_executor_grad(p->x, id);
        assert_int_equal(got != NULL, reached[id] && nb_param_trained(node));
        if (got)
            worst = fmax(worst, distance(got, nb_f32(&d[id]), n));
        expect_close(nb_f32(&p->net.g.node[id].param), nb_f32(&node->param), n, 4e-6, "parameter",
                     id);
    }
    return worst;
}

/* Batch statistics are summed in another order than the interpreter does, and differ in the last
 * bit; rarely a code or a ReLU then falls on the other side, which is no error of the executor. So
 * nearly all networks must be close, and none may be far. */
static void training_is_close(int first, bool quantized, bool quantizers, double tolerance) {
    int parted = 0;
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
        const double far = training_distance(&p, d);
        if (!(far <= 10 * tolerance))
            fail_msg("network %d: %g of the largest value (%g allowed)", seed, far, 10 * tolerance);
        parted += far > tolerance;
        pair_close(&p);
    }
    if (parted > 4)
        fail_msg("%d of 60 networks differ by more than %g of the largest value", parted,
                 tolerance);
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

/* Maps too large for a cache: the first layer's backward goes in bands of rows. */
static void training_with_large_maps_is_close_to_the_interpreter(void **state) {
    (void)state;
    static const struct {
        int kernel, stride, pad, dilation;
        bool pool, bias, quantized;
    } rows[] = {{3, 1, 1, 1, true, false, true}, {3, 1, 1, 1, true, true, false},
                {5, 1, 0, 1, false, true, true}, {6, 2, 2, 1, false, false, false},
                {3, 1, 2, 2, true, false, true}, {1, 1, 0, 1, false, false, true}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Pair p;
        memset(&p, 0, sizeof p);
        net_init(&p.net, i, rows[i].quantized);
        const ConvSpec spec = {.oc = 8,
                               .kernel = rows[i].kernel,
                               .stride = rows[i].stride,
                               .pad = rows[i].pad,
                               .dilation = rows[i].dilation,
                               .bias = rows[i].bias};
        NbNodeId x = net_conv(&p.net, net_input(&p.net, 3), 3, spec);
        x = net_unary(&p.net, NB_OP_LEAKY_RELU, net_norm(&p.net, x, 8));
        if (rows[i].pool)
            x = net_pool(&p.net, net_quant(&p.net, x, 4, false, true), 2, 2, 0);
        net_outputs(&p.net, 1, &x);
        const NbExecutorOptions o = {.batch = 3,
                                     .height = 150 * rows[i].stride,
                                     .width = 124 * rows[i].stride,
                                     .training = true,
                                     .quantizers = true};
        pair_open(&p, &o, 3, 2);
        NbTensor *const d = NB_NEW(&p.arena, NbTensor, (size_t)p.twin.n_nodes);
        train_both(&p, true, d);
        const double far = training_distance(&p, d);
        if (!(far <= 2e-3))
            fail_msg("network %zu: differs by %g of the largest value (0.002 allowed)", i, far);
        pair_close(&p);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inference_equals_the_interpreter),
        cmocka_unit_test(every_kept_value_equals_the_interpreter),
        cmocka_unit_test(the_float_twin_is_close_to_the_interpreter),
        cmocka_unit_test(training_with_quantizers_is_close_to_the_interpreter),
        cmocka_unit_test(training_of_the_float_twin_is_close_to_the_interpreter),
        cmocka_unit_test(training_of_mixed_graphs_is_close_to_the_interpreter),
        cmocka_unit_test(training_with_large_maps_is_close_to_the_interpreter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
