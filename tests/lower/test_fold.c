/* SPDX-License-Identifier: Apache-2.0
 *
 * Folding keeps what a graph computes, and folds what it should. */
#include "graph/help.h"
#include "lower/float/fold.h"
#include "lower/random_net.h"

#include <math.h>

static int count_of(const NbGraph *g, NbOp op) {
    int n = 0;
    for (int i = 0; i < g->n_nodes; i++)
        n += g->node[i].op == op;
    return n;
}

static const NbValue *run(const NbGraph *g, const uint8_t *picture, bool quantizers,
                          NbArena *arena) {
    NbError err = {0};
    NbValue *value = NB_NEW(arena, NbValue, (size_t)g->n_nodes);
    must(nb_interpret(g, picture, NB_RUN_EVAL, quantizers, arena, value, &err), &err);
    return value;
}

/* Largest difference of an output, of its largest value; 0 where all bits agree. */
static double difference(const NbGraph *a, const NbGraph *b, const uint8_t *picture,
                         bool quantizers, NbArena *arena) {
    const NbValue *x = run(a, picture, quantizers, arena);
    const NbValue *y = run(b, picture, quantizers, arena);
    NbError err = {0};
    double worst = 0.0;
    assert_int_equal(a->n_outputs, b->n_outputs);
    for (int i = 0; i < a->n_outputs; i++) {
        const NbValue *p = &x[a->output[i]];
        const NbValue *q = &y[b->output[i]];
        const float *v = NULL;
        const float *w = NULL;
        must(nb_value_real(p, arena, &v, &err), &err);
        must(nb_value_real(q, arena, &w, &err), &err);
        assert_true(nb_shape_equal(&p->t.shape, &q->t.shape));
        double largest = 1e-30;
        double off = 0.0;
        for (size_t k = 0; k < nb_tensor_count(&p->t); k++) {
            assert_true(isfinite(w[k]));
            largest = fmax(largest, fabs((double)v[k]));
            off = fmax(off, fabs((double)v[k] - (double)w[k]));
        }
        worst = fmax(worst, off / largest);
    }
    return worst;
}

static void networks_keep_their_meaning(void **state) {
    (void)state;
    int folded = 0;
    for (uint32_t seed = 0; seed < 120; seed++) {
        NbArena arena = {0};
        NbError err = {0};
        RandomNet net;
        NbGraph same;
        NbGraph twin;
        random_net(seed, seed % 3 == 0, &arena, &net);
        must(nb_fold(&net.graph, &arena, &same, &err), &err);
        must(nb_fold_twin(&net.graph, &arena, &twin, &err), &err);
        infer(&same, 1, net.height, net.width);
        infer(&twin, 1, net.height, net.width);
        const uint8_t *picture = random_picture(&net, seed, 2, &arena);
        /* quantized weights keep their norms: not a bit changes */
        assert_true(difference(&net.graph, &same, picture, true, &arena) == 0.0);
        assert_int_equal(count_of(&twin, NB_OP_QUANT), 0);
        folded += count_of(&net.graph, NB_OP_BATCHNORM) - count_of(&twin, NB_OP_BATCHNORM);
        const double off = difference(&net.graph, &twin, picture, false, &arena);
        if (!(off < 2e-4))
            fail_msg("network %u: %g of the largest output", seed, off);
        nb_arena_release(&arena);
    }
    assert_true(folded > 100);
}

/* ---- two convolutions of one input ---- */

typedef struct Pair {
    const char *name;
    int kernel[2]; /* of each branch; square, stride 1 */
    int pad[2];
    bool depthwise;
    bool norm[2];
    bool bias[2];
    bool detached; /* the second branch reads its input detached */
    bool shared;   /* somebody else reads the second branch, too */
    int convs;     /* that remain */
    int norms;
} Pair;

static NbNodeId branch(NbGraph *g, NbRandom *r, const Pair *pair, int b, NbNodeId x, int channels) {
    char name[64];
    const int64_t c = channels;
    const int k = pair->kernel[b];
    const int p = pair->pad[b];
    NbNodeId in[5] = {x, -1, -1, -1, -1};
    (void)snprintf(name, sizeof name, "m.%d.weight", b);
    in[1] = add_param(g, name, NB_PARAM_WEIGHT, NB_F32, 4,
                      (const int64_t[]){c, pair->depthwise ? 1 : c, k, k});
    fill(g, in[1], r, -1, 1);
    if (pair->bias[b]) {
        (void)snprintf(name, sizeof name, "m.%d.bias", b);
        in[2] = add_param(g, name, NB_PARAM_BIAS, NB_F32, 1, &c);
        fill(g, in[2], r, -1, 1);
    }
    const NbAttr conv = {.conv = {.kernel = {k, k},
                                  .stride = {1, 1},
                                  .pad = {p, p, p, p},
                                  .dilation = {1, 1},
                                  .groups = pair->depthwise ? channels : 1}};
    (void)snprintf(name, sizeof name, "m.%d", b);
    x = add(g, NB_OP_CONV, name, pair->bias[b] ? 3 : 2, in, conv);
    if (!pair->norm[b])
        return x;
    in[0] = x;
    for (int i = 0; i < 4; i++) {
        (void)snprintf(name, sizeof name, "m.%d.bn.%d", b, i);
        in[i + 1] = add_param(g, name, (NbParamRole)(NB_PARAM_GAMMA + i), NB_F32, 1, &c);
        fill(g, in[i + 1], r, i == 3 ? 0.2 : -1, 2);
    }
    (void)snprintf(name, sizeof name, "m.%d.bn", b);
    return add(g, NB_OP_BATCHNORM, name, 5, in, (NbAttr){.batchnorm = {.eps = 1e-3F}});
}

static void build(NbGraph *g, NbRandom *r, const Pair *pair) {
    const int channels = 5;
    const NbNodeId image = add(g, NB_OP_INPUT, "images", 0, NULL,
                               (NbAttr){.input = {.scale = 1.0F / 255.0F, .channels = channels}});
    const NbNodeId x = add(g, NB_OP_SCALE, "x", 1, &image, (NbAttr){.scale = {.factor = 3.0F}});
    const NbNodeId other = pair->detached ? add(g, NB_OP_DETACH, "d", 1, &x, (NbAttr){0}) : x;
    NbNodeId in[2];
    in[0] = branch(g, r, pair, 0, x, channels);
    in[1] = branch(g, r, pair, 1, other, channels);
    NbNodeId y = add(g, NB_OP_ADD, "sum", 2, in, (NbAttr){0});
    y = add(g, NB_OP_SILU, "act", 1, &y, (NbAttr){0});
    (void)add(g, NB_OP_SIGMOID, "dead", 1, &y, (NbAttr){0});
    NbError err = {0};
    const NbNodeId out[2] = {y, in[1]};
    must(nb_graph_set_outputs(g, pair->shared ? 2 : 1, out, &err), &err);
    infer(g, 1, 9, 8);
}

static void sums_of_convolutions_become_one(void **state) {
    (void)state;
    static const Pair rows[] = {
        {.name = "RepVGGDW",
         .kernel = {7, 3},
         .pad = {3, 1},
         .depthwise = true,
         .norm = {true, true},
         .convs = 1},
        {.name = "the smaller one first",
         .kernel = {3, 7},
         .pad = {1, 3},
         .depthwise = true,
         .norm = {true, true},
         .convs = 1},
        {.name = "full, with biases",
         .kernel = {3, 1},
         .pad = {1, 0},
         .bias = {true, true},
         .convs = 1},
        {.name = "one norm, one bias",
         .kernel = {5, 3},
         .pad = {2, 1},
         .norm = {true, false},
         .bias = {false, true},
         .convs = 1},
        {.name = "norms over biases",
         .kernel = {3, 3},
         .pad = {1, 1},
         .norm = {true, true},
         .bias = {true, true},
         .convs = 1},
        {.name = "detached",
         .kernel = {7, 3},
         .pad = {3, 1},
         .depthwise = true,
         .norm = {true, true},
         .detached = true,
         .convs = 1},
        {.name = "padding wider than the kernel", .kernel = {3, 5}, .pad = {2, 3}, .convs = 1},
        {.name = "a branch that is an output",
         .kernel = {7, 3},
         .pad = {3, 1},
         .depthwise = true,
         .norm = {true, true},
         .shared = true,
         .convs = 2},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        NbArena arena = {0};
        NbError err = {0};
        NbGraph g;
        NbGraph out;
        NbRandom r = nb_random(31, NB_RANDOM_TEST, (uint32_t)i, 0);
        nb_graph_init(&g, &arena);
        build(&g, &r, &rows[i]);
        must(nb_fold(&g, &arena, &out, &err), &err);
        infer(&out, 1, 9, 8);
        uint8_t picture[5 * 9 * 8];
        for (size_t k = 0; k < sizeof picture; k++)
            picture[k] = (uint8_t)nb_random_u32(&r);
        if (count_of(&out, NB_OP_CONV) != rows[i].convs ||
            count_of(&out, NB_OP_BATCHNORM) != rows[i].norms)
            fail_msg("%s: %d convolutions and %d norms remain", rows[i].name,
                     count_of(&out, NB_OP_CONV), count_of(&out, NB_OP_BATCHNORM));
        assert_int_equal(count_of(&out, NB_OP_DETACH), 0);
        assert_int_equal(nb_graph_find(&out, "dead"), -1);
        const double off = difference(&g, &out, picture, true, &arena);
        if (!(off < 1e-6))
            fail_msg("%s: %g of the largest output", rows[i].name, off);
        nb_arena_release(&arena);
    }
}

/* A norm whose convolution is read by others, or that follows something else, stays. */
static void what_others_read_stays(void **state) {
    (void)state;
    NbArena arena = {0};
    NbError err = {0};
    NbGraph g;
    NbGraph out;
    NbRandom r = nb_random(32, NB_RANDOM_TEST, 0, 0);
    nb_graph_init(&g, &arena);
    const Pair pair = {.kernel = {3, 3}, .pad = {1, 1}, .norm = {true, true}};
    const NbNodeId x = add(&g, NB_OP_INPUT, "images", 0, NULL,
                           (NbAttr){.input = {.scale = 1.0F / 255.0F, .channels = 3}});
    const NbNodeId norm = branch(&g, &r, &pair, 0, x, 3);
    const NbNodeId in[2] = {norm, g.node[norm].in[0]};
    const NbNodeId sum = add(&g, NB_OP_ADD, "sum", 2, in, (NbAttr){0});
    const NbNodeId last = branch(&g, &r, &pair, 1, sum, 3);
    const NbNodeId two[2] = {sum, last};
    must(nb_graph_set_outputs(&g, 2, two, &err), &err);
    infer(&g, 1, 8, 8);
    must(nb_fold(&g, &arena, &out, &err), &err);
    assert_int_equal(count_of(&out, NB_OP_BATCHNORM), 1);
    assert_true(nb_graph_find(&out, "m.1.bias") >= 0);
    assert_int_equal(count_of(&g, NB_OP_BATCHNORM), 2);
    NbGraph view = g; /* one output: what only the other needs goes, the input stays */
    view.output += 1;
    view.n_outputs = 1;
    must(nb_fold(&view, &arena, &out, &err), &err);
    assert_int_equal(out.n_outputs, 1);
    assert_string_equal(out.node[out.output[0]].name, "m.1");
    nb_arena_release(&arena);
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    NbArena arena = {0};
    NbError err = {0};
    NbGraph g;
    NbRandom r = nb_random(33, NB_RANDOM_TEST, 0, 0);
    const Pair pair = {.kernel = {7, 3}, .pad = {3, 1}, .depthwise = true, .norm = {true, true}};
    nb_graph_init(&g, &arena);
    build(&g, &r, &pair);
    NbStatus status = NB_ERR_NOMEM;
    size_t takes = 0;
    while (status == NB_ERR_NOMEM) {
        NbArena other = {.fail_at = ++takes};
        NbGraph out;
        status = nb_fold(&g, &other, &out, &err);
        nb_arena_release(&other);
    }
    assert_int_equal(status, NB_OK);
    assert_true(takes > 20);
    nb_arena_release(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(networks_keep_their_meaning),
        cmocka_unit_test(sums_of_convolutions_become_one),
        cmocka_unit_test(what_others_read_stays),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
