/* SPDX-License-Identifier: Apache-2.0
 *
 * Graphs with two heads as YOLOv10 has them: outputs that are not wanted, detached inputs, and what
 * general operators must not do. */
#include "nn/pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

enum { SIDE = 16 };

/* A trunk, and two heads; the second sees it detached. */
typedef struct TwoHeads {
    Pair p;
    NbNodeId trunk_weight;
    NbNodeId first_head;
    NbNodeId first_weight;
} TwoHeads;

static NbNodeId block(Net *net, NbNodeId x, int ic, int oc) {
    const ConvSpec spec = {.oc = oc, .kernel = 3, .stride = 1, .pad = 1};
    return net_unary(net, NB_OP_SILU, net_norm(net, net_conv(net, x, ic, spec), oc));
}

static NbNodeId weight_of(const Net *net, NbNodeId act) {
    const NbNode *const norm = &net->g.node[net->g.node[act].in[0]];
    return net->g.node[norm->in[0]].in[1];
}

static void build(TwoHeads *t) {
    memset(t, 0, sizeof *t);
    Net *const net = &t->p.net;
    net_init(net, 5, false);
    const NbNodeId trunk = block(net, net_input(net, 3), 3, 8);
    t->first_head = block(net, trunk, 8, 6);
    const NbNodeId detached = net_node(net, NB_OP_DETACH, 1, &trunk, NULL);
    const NbNodeId out[2] = {t->first_head, block(net, detached, 8, 4)};
    t->trunk_weight = weight_of(net, trunk);
    t->first_weight = weight_of(net, t->first_head);
    net_outputs(net, 2, out);
}

static bool is_computed(const NbExecutor *x, const char *name) {
    NbExecutorProfile row;
    for (int i = 0; nb_executor_profile(x, i, &row); i++)
        if (strcmp(row.node, name) == 0)
            return true;
    return false;
}

static void outputs_that_are_not_wanted_cost_nothing(void **state) {
    (void)state;
    float want[4 * SIDE * SIDE];
    for (int first = 0; first < 2; first++) {
        TwoHeads t;
        NbError err = {{0}};
        build(&t);
        const NbExecutorOptions o = {
            .batch = 1, .height = SIDE, .width = SIDE, .profile = true, .first_output = first};
        pair_open(&t.p, &o, 1, 1);
        must(nb_executor_forward(t.p.x, t.p.nhwc, 1, false, &err), &err);
        assert_int_equal(nb_executor_output(t.p.x, 0) != NULL, first == 0);
        assert_int_equal(is_computed(t.p.x, t.p.net.g.node[t.first_head].name), first == 0);
        if (first == 0)
            memcpy(want, nb_executor_output(t.p.x, 1), sizeof want);
        else
            assert_memory_equal(want, nb_executor_output(t.p.x, 1), sizeof want);
        pair_close(&t.p);
    }
}

static bool all_zero(const float *x, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (x[i] != 0.0F)
            return false;
    return true;
}

/* With the first head the trunk learns from it alone, without it not at all. */
static void no_gradient_passes_a_detach(void **state) {
    (void)state;
    float learned[8 * 3 * 9];
    for (int run = 0; run < 3; run++) {
        TwoHeads t;
        NbError err = {{0}};
        const float *d[MAX_OUTPUTS];
        NbTensor nchw[MAX_OUTPUTS];
        build(&t);
        const NbExecutorOptions o = {
            .batch = 2, .height = SIDE, .width = SIDE, .training = true, .first_output = run == 2};
        pair_open(&t.p, &o, 2, 2);
        make_gradients(&t.p, d, nchw);
        if (run == 1)
            for (size_t i = 0; i < (size_t)2 * 4 * SIDE * SIDE; i++)
                nb_f32(&nchw[1])[i] = 0.0F;
        if (run == 1)
            d[1] = nb_f32(&nchw[1]);
        if (run == 2)
            d[0] = NULL;
        must(nb_executor_forward(t.p.x, t.p.nhwc, 2, true, &err), &err);
        must(nb_executor_backward(t.p.x, d, &err), &err);
        const float *const trunk = nb_executor_grad(t.p.x, t.trunk_weight);
        assert_int_equal(trunk == NULL, run == 2);
        assert_false(trunk && all_zero(trunk, 8 * 3 * 9));
        assert_int_equal(nb_executor_grad(t.p.x, t.first_weight) == NULL, run == 2);
        if (run == 0)
            memcpy(learned, trunk, sizeof learned);
        if (run == 1)
            assert_memory_equal(learned, trunk, sizeof learned);
        pair_close(&t.p);
    }
}

static void refuse(Net *net, NbNodeId out, const NbExecutorOptions *o, const char *part) {
    NbExecutor *x = NULL;
    NbError err = {{0}};
    net_outputs(net, 1, &out);
    assert_int_not_equal(nb_executor_new(&net->g, o, &x, &err), NB_OK);
    if (!strstr(err.message, part))
        fail_msg("'%s' does not say '%s'", err.message, part);
    net_release(net);
}

static void what_mixes_pictures_is_refused(void **state) {
    (void)state;
    const NbExecutorOptions o = {.batch = 2, .height = 4, .width = 4, .training = true};
    const NbAttr swap = {.transpose = {.perm = {1, 0, 2, 3}}};
    const NbAttr flat = {.reshape = {.n = 1, .dim = {-1}}};
    const NbAttr axis0 = {.softmax = {.axis = 0}};
    const NbAttr part = {.slice = {.axis = 0, .start = 0, .stop = 1, .step = 1}};
    const struct {
        NbOp op;
        const NbAttr *attr;
    } rows[] = {{NB_OP_TRANSPOSE, &swap},
                {NB_OP_RESHAPE, &flat},
                {NB_OP_SOFTMAX, &axis0},
                {NB_OP_SLICE, &part}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Net net;
        net_init(&net, 1, false);
        const NbNodeId x = net_unary(&net, NB_OP_SCALE, net_input(&net, 2));
        refuse(&net, net_node(&net, rows[i].op, 1, &x, rows[i].attr), &o,
               "mixes the pictures of a batch");
    }
    Net net;
    net_init(&net, 1, false);
    const NbExecutorOptions late = {.batch = 2, .height = 4, .width = 4, .first_output = 1};
    refuse(&net, net_unary(&net, NB_OP_SCALE, net_input(&net, 2)), &late, "outputs from 1 on");
}

static void learned_operands_are_refused(void **state) {
    (void)state;
    const NbExecutorOptions o = {.batch = 2, .height = 4, .width = 4, .training = true};
    const NbShape shape = nb_shape(3, (const int64_t[]){2, 1, 1});
    Net net;
    NbError err = {{0}};
    net_init(&net, 1, false);
    NbNodeId in[2] = {net_input(&net, 2), -1};
    must(nb_graph_add_param(&net.g, "gain", NB_PARAM_WEIGHT, NB_F32, &shape, &in[1], &err), &err);
    refuse(&net, net_node(&net, NB_OP_MUL, 2, in, NULL), &o, "a constant expected");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outputs_that_are_not_wanted_cost_nothing),
        cmocka_unit_test(no_gradient_passes_a_detach),
        cmocka_unit_test(what_mixes_pictures_is_refused),
        cmocka_unit_test(learned_operands_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
