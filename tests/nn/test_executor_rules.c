/* SPDX-License-Identifier: Apache-2.0
 *
 * What the executor promises beside its numbers: the same bits for any number of threads, no
 * allocation after it was made, exact sums of large codes, gradients that are slopes, clear errors.
 */
#include "nn/pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <malloc.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static void build(Pair *p, int seed, bool quantized) {
    memset(p, 0, sizeof *p);
    net_init(&p->net, (uint64_t)seed, quantized);
    net_random(&p->net, 20, 18, 10);
}

static const NbExecutorOptions training = {
    .batch = 7, .height = 20, .width = 18, .training = true, .quantizers = true};

/* Outputs, gradients and parameters after a step, one after the other. */
static float *everything(Pair *p, size_t *n) {
    const NbGraph *const g = &p->net.g;
    size_t all = 0;
    for (int i = 0; i < g->n_nodes; i++)
        all += nb_shape_count(&p->twin.node[i].shape) * 2;
    float *const out = NB_NEW(&p->arena, float, all);
    *n = 0;
    for (int i = 0; i < g->n_outputs; i++) {
        const size_t count = nb_shape_count(&p->twin.node[g->output[i]].shape);
        memcpy(out + *n, nb_executor_output(p->x, i), count * sizeof *out);
        *n += count;
    }
    for (NbNodeId id = 0; id < g->n_nodes; id++) {
        if (g->node[id].op != NB_OP_PARAM)
            continue;
        const size_t count = nb_tensor_count(&g->node[id].param);
        memcpy(out + *n, nb_f32(&g->node[id].param), count * sizeof *out);
        *n += count;
        if (nb_executor_grad(p->x, id)) {
            memcpy(out + *n, nb_executor_grad(p->x, id), count * sizeof *out);
            *n += count;
        }
    }
    return out;
}

static void step(Pair *p) {
    NbError err = {{0}};
    const float *nhwc[MAX_OUTPUTS];
    NbTensor nchw[MAX_OUTPUTS];
    make_gradients(p, nhwc, nchw);
    must(nb_executor_forward(p->x, p->nhwc, p->count, true, &err), &err);
    must(nb_executor_backward(p->x, nhwc, &err), &err);
}

static void threads_do_not_change_a_bit(void **state) {
    (void)state;
    static const int threads[] = {1, 2, 3, 5};
    for (int seed = 0; seed < 12; seed++) {
        Pair first;
        float *want = NULL;
        size_t n = 0;
        for (size_t t = 0; t < sizeof threads / sizeof *threads; t++) {
            Pair p;
            size_t got_n = 0;
            build(&p, seed, seed % 2 == 0);
            pair_open(&p, &training, 7, threads[t]);
            step(&p);
            float *const got = everything(&p, &got_n);
            if (t == 0) {
                first = p;
                want = got;
                n = got_n;
                continue;
            }
            assert_int_equal(n, got_n);
            assert_memory_equal(got, want, n * sizeof *got);
            pair_close(&p);
        }
        pair_close(&first);
    }
}

static void nothing_is_allocated_after_the_first_step(void **state) {
    (void)state;
    Pair p;
    build(&p, 3, true);
    pair_open(&p, &training, 7, 2);
    const float *nhwc[MAX_OUTPUTS];
    NbTensor nchw[MAX_OUTPUTS];
    NbError err = {{0}};
    make_gradients(&p, nhwc, nchw);
    const size_t bytes = nb_executor_bytes(p.x);
    size_t used = 0;
    for (int i = 0; i < 60; i++) {
        must(nb_executor_forward(p.x, p.nhwc, 1 + i % 7, true, &err), &err);
        must(nb_executor_backward(p.x, nhwc, &err), &err);
        const struct mallinfo2 now = mallinfo2();
        if (i == 5)
            used = now.uordblks + now.hblkhd;
        /* a thread that gets its first work late makes its own small things then */
        if (i > 5 && now.uordblks + now.hblkhd > used + 8192)
            fail_msg("%zu bytes more after step %d", now.uordblks + now.hblkhd - used, i);
    }
    assert_int_equal(nb_executor_bytes(p.x), bytes);
    pair_close(&p);
}

/* All weights positive: sums grow as far as they can. */
static void make_positive(NbGraph *g) {
    for (NbNodeId id = 0; id < g->n_nodes; id++)
        for (size_t i = 0; g->node[id].op == NB_OP_PARAM && i < nb_tensor_count(&g->node[id].param);
             i++)
            nb_f32(&g->node[id].param)[i] = fabsf(nb_f32(&g->node[id].param)[i]);
}

/* Sums of wide codes leave 2^24: cut by input channels, or (groups, 16 bits) summed in double. */
static void large_sums_of_codes_stay_exact(void **state) {
    (void)state;
    static const struct {
        int channels, groups, bits, act_bits;
    } rows[] = {{400, 1, 8, 8}, {600, 2, 8, 8}, {6, 1, 16, 16}, {300, 1, 10, 9}, {64, 1, 8, 8}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Pair p;
        NbError err = {{0}};
        memset(&p, 0, sizeof p);
        net_init(&p.net, i, true);
        NbNodeId x = net_input(&p.net, 3);
        x = net_conv(&p.net, x, 3, (ConvSpec){.oc = rows[i].channels, .kernel = 1, .stride = 1});
        x = net_quant(&p.net, x, rows[i].act_bits, false, false);
        x = net_conv(&p.net, x, rows[i].channels,
                     (ConvSpec){.oc = 10,
                                .kernel = 3,
                                .stride = 1,
                                .pad = 1,
                                .groups = rows[i].groups,
                                .bits = rows[i].bits});
        net_outputs(&p.net, 1, &x);
        make_positive(&p.net.g);
        const NbExecutorOptions o = {.batch = 2, .height = 5, .width = 6, .quantizers = true};
        pair_open(&p, &o, 2, 1);
        must(nb_executor_forward(p.x, p.nhwc, 2, false, &err), &err);
        must(nb_interpret(&p.twin, p.nchw, NB_RUN_EVAL, true, &p.arena, p.value, &err), &err);
        compare_outputs(&p, true, 0.0);
        pair_close(&p);
    }
}

static double loss(Pair *p, const float *d, size_t n) {
    NbError err = {{0}};
    double sum = 0.0;
    must(nb_executor_forward(p->x, p->nhwc, p->count, true, &err), &err);
    for (size_t i = 0; i < n; i++)
        sum += (double)nb_executor_output(p->x, 0)[i] * (double)d[i];
    return sum;
}

static void slopes_with(bool fixed_norm) {
    Pair p;
    memset(&p, 0, sizeof p);
    net_init(&p.net, 9, false);
    NbNodeId x = net_input(&p.net, 2);
    x = net_conv(&p.net, x, 2, (ConvSpec){.oc = 4, .kernel = 3, .stride = 1, .pad = 1});
    x = net_unary(&p.net, NB_OP_SILU, net_norm(&p.net, x, 4));
    const NbNodeId y = net_conv(&p.net, x, 4, (ConvSpec){.oc = 4, .kernel = 1, .stride = 1});
    const NbNodeId both[] = {x, y};
    x = net_node(&p.net, NB_OP_ADD, 2, both, NULL);
    x = net_conv(&p.net, x, 4,
                 (ConvSpec){.oc = 3, .kernel = 3, .stride = 2, .pad = 1, .bias = true});
    net_outputs(&p.net, 1, &x);
    const NbExecutorOptions o = {
        .batch = 3, .height = 8, .width = 6, .training = true, .fixed_norm = fixed_norm};
    pair_open(&p, &o, 3, 1);
    const float *d[MAX_OUTPUTS];
    NbTensor unused[MAX_OUTPUTS];
    NbError err = {{0}};
    make_gradients(&p, d, unused);
    const size_t n = nb_shape_count(&p.twin.node[x].shape);
    for (NbNodeId id = 0; id < p.net.g.n_nodes; id++) {
        if (!nb_param_trained(&p.net.g.node[id]))
            continue;
        float *const w = nb_f32(&p.net.g.node[id].param);
        const float start = w[0];
        const float h = 1.0F / 128.0F;
        w[0] = start + h;
        const double above = loss(&p, d[0], n);
        w[0] = start - h;
        const double below = loss(&p, d[0], n);
        w[0] = start;
        (void)loss(&p, d[0], n);
        must(nb_executor_backward(p.x, d, &err), &err);
        const double slope = (above - below) / (2.0 * (double)h);
        const double got = (double)nb_executor_grad(p.x, id)[0];
        if (fabs(slope - got) > 0.02 * fabs(slope) + 0.02)
            fail_msg("node %d: gradient %g, slope %g", id, got, slope);
    }
    pair_close(&p);
}

static void gradients_are_slopes(void **state) {
    (void)state;
    slopes_with(false);
    slopes_with(true);
}

/* With fixed statistics training computes what inference does and leaves every parameter alone. */
static void fixed_norms_compute_as_inference(void **state) {
    (void)state;
    for (int seed = 0; seed < 20; seed++) {
        Pair p;
        build(&p, seed, true);
        NbExecutorOptions o = training;
        o.fixed_norm = true;
        pair_open(&p, &o, 3, 2);
        NbError err = {{0}};
        must(nb_executor_forward(p.x, p.nhwc, p.count, true, &err), &err);
        must(nb_interpret(&p.twin, p.nchw, NB_RUN_EVAL, true, &p.arena, p.value, &err), &err);
        compare_outputs(&p, true, 0.0);
        for (NbNodeId id = 0; id < p.twin.n_nodes; id++) {
            const NbNode *const node = &p.twin.node[id];
            if (node->op == NB_OP_PARAM)
                assert_memory_equal(p.net.g.node[id].param.data, node->param.data,
                                    nb_tensor_count(&node->param) * sizeof(float));
        }
        pair_close(&p);
    }
}

static void expect_refused(NbStatus got, NbStatus want, const NbError *err, const char *part) {
    assert_int_equal(got, want);
    if (!strstr(err->message, part))
        fail_msg("'%s' does not say '%s'", err->message, part);
}

static void wrong_use_is_refused(void **state) {
    (void)state;
    Pair p;
    NbError err = {{0}};
    build(&p, 1, true);
    NbExecutorOptions o = training;
    o.training = false;
    pair_open(&p, &o, 2, 1);
    const float *d[MAX_OUTPUTS] = {NULL};
    expect_refused(nb_executor_forward(p.x, p.nhwc, 8, false, &err), NB_ERR_ARGUMENT, &err,
                   "8 pictures, 1 to 7 expected");
    expect_refused(nb_executor_forward(p.x, p.nhwc, 2, true, &err), NB_ERR_ARGUMENT, &err,
                   "for inference");
    expect_refused(nb_executor_backward(p.x, d, &err), NB_ERR_ARGUMENT, &err,
                   "without a training forward");
    must(nb_executor_forward(p.x, p.nhwc, 2, false, &err), &err);
    bool coded;
    expect_refused(nb_executor_tap(p.x, 0, NULL, &coded, &err), NB_ERR_UNSUPPORTED, &err,
                   "is not kept");
    expect_refused(nb_executor_tap(p.x, -1, NULL, &coded, &err), NB_ERR_ARGUMENT, &err, "node -1");
    pair_close(&p);
}

static void graphs_outside_of_its_subset_are_refused(void **state) {
    (void)state;
    NbError err = {{0}};
    NbExecutor *x = NULL;
    Net net;
    net_init(&net, 1, false);
    const NbNodeId two[] = {net_input(&net, 2), net_input(&net, 2)};
    const NbNodeId sum = net_node(&net, NB_OP_ADD, 2, two, NULL);
    net_outputs(&net, 1, &sum);
    NbExecutorOptions o = {.batch = 1, .height = 4, .width = 4};
    expect_refused(nb_executor_new(&net.g, &o, &x, &err), NB_ERR_UNSUPPORTED, &err,
                   "a second INPUT");
    assert_null(x);
    o.height = 0;
    expect_refused(nb_executor_new(&net.g, &o, &x, &err), NB_ERR_ARGUMENT, &err, "0x4");
    net_release(&net);
    nb_executor_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_do_not_change_a_bit),
        cmocka_unit_test(nothing_is_allocated_after_the_first_step),
        cmocka_unit_test(large_sums_of_codes_stay_exact),
        cmocka_unit_test(gradients_are_slopes),
        cmocka_unit_test(fixed_norms_compute_as_inference),
        cmocka_unit_test(wrong_use_is_refused),
        cmocka_unit_test(graphs_outside_of_its_subset_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
