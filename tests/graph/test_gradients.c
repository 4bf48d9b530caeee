/* SPDX-License-Identifier: Apache-2.0
 *
 * The gradient of every operator that has one against central differences, and the rules of
 * quantizers and coded convolutions against what they are made of. */
#include "graph/help.h"
#include "graph/op.h"

#include <math.h>

enum { MAX_IN = 5 };

typedef struct Case {
    NbOp op;
    NbAttr attr;
    int n_in;
    NbShape in[MAX_IN];
    double lo, hi; /* of the inputs */
    bool kinks;    /* not differentiable everywhere: differences that straddle a kink are skipped */
} Case;

#define S5(a, b, c, d, e)                                                                          \
    {                                                                                              \
        .rank = 5, .dim = { a, b, c, d, e }                                                        \
    }
#define S4(a, b, c, d)                                                                             \
    {                                                                                              \
        .rank = 4, .dim = { a, b, c, d }                                                           \
    }
#define S3(a, b, c)                                                                                \
    {                                                                                              \
        .rank = 3, .dim = { a, b, c }                                                              \
    }
#define S2(a, b)                                                                                   \
    {                                                                                              \
        .rank = 2, .dim = { a, b }                                                                 \
    }
#define S1(a)                                                                                      \
    {                                                                                              \
        .rank = 1, .dim = { a }                                                                    \
    }

static const Case cases[] = {
    {NB_OP_CONV,
     {.conv = {{3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}, 1}},
     3,
     {S4(2, 3, 5, 4), S4(4, 3, 3, 3), S1(4)},
     -1,
     1,
     false},
    {NB_OP_CONV,
     {.conv = {{3, 2}, {2, 3}, {0, 1, 2, 0}, {2, 1}, 2}},
     2,
     {S4(1, 4, 7, 8), S4(6, 2, 3, 2)},
     -1,
     1,
     false},
    {NB_OP_CONV,
     {.conv = {{5, 5}, {1, 1}, {2, 2, 2, 2}, {1, 1}, 3}},
     3,
     {S4(1, 3, 2, 2), S4(3, 1, 5, 5), S1(3)},
     -1,
     1,
     false},
    {NB_OP_BATCHNORM,
     {.batchnorm = {1e-3F, 0.03F}},
     5,
     {S4(3, 2, 3, 4), S1(2), S1(2), S1(2), S1(2)},
     0.5,
     2,
     false},
    {NB_OP_RELU, {.scale = {0}}, 1, {S4(1, 2, 4, 4)}, -1, 1, true},
    {NB_OP_LEAKY_RELU, {.leaky_relu = {0.1F}}, 1, {S4(1, 2, 4, 4)}, -1, 1, true},
    {NB_OP_SILU, {.scale = {0}}, 1, {S4(1, 2, 4, 4)}, -3, 3, false},
    {NB_OP_SIGMOID, {.scale = {0}}, 1, {S4(1, 2, 4, 4)}, -3, 3, false},
    {NB_OP_HARDTANH, {.scale = {0}}, 1, {S4(1, 2, 4, 4)}, -2, 2, true},
    {NB_OP_SCALE, {.scale = {0.5F}}, 1, {S4(1, 2, 4, 4)}, -1, 1, false},
    {NB_OP_ADD, {.scale = {0}}, 3, {S4(1, 2, 3, 4), S4(1, 2, 3, 4), S4(1, 2, 3, 4)}, -1, 1, false},
    {NB_OP_MAXPOOL, {.pool = {{2, 2}, {2, 2}, {0, 0, 0, 0}}}, 1, {S4(2, 2, 5, 4)}, -1, 1, true},
    {NB_OP_MAXPOOL, {.pool = {{5, 3}, {1, 2}, {2, 1, 2, 1}}}, 1, {S4(1, 2, 5, 6)}, -1, 1, true},
    {NB_OP_UPSAMPLE, {.upsample = {3}}, 1, {S4(2, 2, 2, 3)}, -1, 1, false},
    {NB_OP_CONCAT,
     {.concat = {1}},
     3,
     {S4(2, 1, 2, 3), S4(2, 3, 2, 3), S4(2, 2, 2, 3)},
     -1,
     1,
     false},
    {NB_OP_CONCAT, {.concat = {3}}, 2, {S4(2, 1, 2, 3), S4(2, 1, 2, 1)}, -1, 1, false},
    {NB_OP_ADD, {.scale = {0}}, 3, {S1(4), S4(2, 1, 3, 4), S3(2, 1, 1)}, -1, 1, false},
    {NB_OP_SUB, {.scale = {0}}, 2, {S4(2, 3, 1, 4), S3(3, 2, 1)}, -1, 1, false},
    {NB_OP_MUL, {.scale = {0}}, 2, {S2(1, 4), S4(2, 3, 2, 1)}, -1, 1, false},
    {NB_OP_DIV, {.scale = {0}}, 2, {S4(1, 2, 3, 4), S3(2, 1, 1)}, 0.5, 2, false},
    {NB_OP_DIV, {.scale = {0}}, 2, {S1(1), S2(3, 4)}, 0.5, 2, false},
    {NB_OP_MATMUL, {.scale = {0}}, 2, {S2(3, 4), S2(4, 5)}, -1, 1, false},
    {NB_OP_MATMUL, {.scale = {0}}, 2, {S4(2, 1, 3, 4), S3(3, 4, 2)}, -1, 1, false},
    {NB_OP_MATMUL, {.scale = {0}}, 2, {S2(3, 4), S5(2, 1, 2, 4, 2)}, -1, 1, false},
    {NB_OP_SOFTMAX, {.softmax = {3}}, 1, {S4(2, 2, 3, 5)}, -2, 2, false},
    {NB_OP_SOFTMAX, {.softmax = {1}}, 1, {S4(2, 4, 3, 2)}, -2, 2, false},
    {NB_OP_SLICE, {.slice = {1, 1, 6, 2}}, 1, {S4(2, 6, 2, 2)}, -1, 1, false},
    {NB_OP_SLICE, {.slice = {0, 2, 3, 1}}, 1, {S2(4, 12)}, -1, 1, false},
    {NB_OP_TRANSPOSE, {.transpose = {{2, 0, 3, 1}}}, 1, {S4(2, 3, 4, 2)}, -1, 1, false},
    {NB_OP_RESHAPE, {.reshape = {3, {0, -1, 2}}}, 1, {S4(2, 3, 4, 2)}, -1, 1, false},
    {NB_OP_RESHAPE, {.reshape = {4, {0, 3, 0, 0}}}, 2, {S3(2, 6, 4), S4(1, 1, 2, 4)}, -1, 1, false},
    {NB_OP_PAD, {.pad = {{0, 1, 2, 3}}}, 1, {S4(1, 2, 2, 3)}, -1, 1, false},
};

typedef struct Fixture {
    NbArena arena;
    NbGraph g;
    NbNodeId in[MAX_IN];
    NbNodeId out;
    float *weight; /* d loss / d output */
} Fixture;

static void build(Fixture *f, const Case *c, uint32_t number) {
    static const NbParamRole norm[MAX_IN] = {NB_PARAM_WEIGHT, NB_PARAM_GAMMA, NB_PARAM_BETA,
                                             NB_PARAM_MEAN, NB_PARAM_VAR};
    NbRandom r = nb_random(1, NB_RANDOM_TEST, number, 0);
    *f = (Fixture){0};
    nb_graph_init(&f->g, &f->arena);
    for (int i = 0; i < c->n_in; i++) {
        const char name[] = {(char)('a' + i), 0};
        const NbParamRole role = c->op == NB_OP_BATCHNORM ? norm[i] : NB_PARAM_WEIGHT;
        f->in[i] = add_param(&f->g, name, role, NB_F32, c->in[i].rank, c->in[i].dim);
        fill(&f->g, f->in[i], &r, c->lo, c->hi);
    }
    f->out = add(&f->g, c->op, "out", c->n_in, f->in, c->attr);
    outputs(&f->g, f->out);
    infer(&f->g, 1, 1, 1);
    const size_t count = nb_shape_count(&f->g.node[f->out].shape);
    f->weight = NB_NEW(&f->arena, float, count);
    assert_non_null(f->weight);
    for (size_t i = 0; i < count; i++)
        f->weight[i] = (float)nb_random_range(&r, -1, 1);
}

static double loss(Fixture *f) {
    NbError err = {0};
    NbArena arena = {0};
    NbValue *v = NB_NEW(&arena, NbValue, (size_t)f->g.n_nodes);
    must(nb_interpret(&f->g, NULL, NB_RUN_TRAIN, true, &arena, v, &err), &err);
    double sum = 0.0;
    for (size_t i = 0; i < nb_tensor_count(&v[f->out].t); i++)
        sum += (double)f->weight[i] * (double)nb_f32(&v[f->out].t)[i];
    nb_arena_release(&arena);
    return sum;
}

static NbTensor *gradients(Fixture *f, bool quantizers) {
    NbError err = {0};
    NbValue *v = NB_NEW(&f->arena, NbValue, (size_t)f->g.n_nodes);
    NbTensor *d = NB_NEW(&f->arena, NbTensor, (size_t)f->g.n_nodes);
    must(nb_interpret(&f->g, NULL, NB_RUN_TRAIN, quantizers, &f->arena, v, &err), &err);
    const NbTensor dy = {NB_F32, f->g.node[f->out].shape, f->weight};
    must(nb_interpret_backward(&f->g, v, quantizers, &dy, &f->arena, d, &err), &err);
    return d;
}

/* Richardson would hide kinks: one-sided differences that disagree mark them instead. */
static void check_input(Fixture *f, const Case *c, NbNodeId id, const NbTensor *d, int *checked) {
    const double h = 1.0 / 256.0;
    float *x = nb_f32(&f->g.node[id].param);
    for (size_t i = 0; i < nb_tensor_count(&f->g.node[id].param); i++) {
        const float kept = x[i];
        const double middle = loss(f);
        x[i] = kept + (float)h;
        const double above = loss(f);
        x[i] = kept - (float)h;
        const double below = loss(f);
        x[i] = kept;
        if (c->kinks && fabs(above + below - 2.0 * middle) > 1e-3 * h)
            continue;
        const double want = (above - below) / (2.0 * h);
        const double got = (double)nb_f32(d)[i];
        if (fabs(got - want) > 2e-3 * (1.0 + fabs(want)))
            fail_msg("%s, input %d, element %zu: gradient %g, differences say %g",
                     nb_op_name(c->op), (int)id, i, got, want);
        ++*checked;
    }
}

static void gradients_match_central_differences(void **state) {
    (void)state;
    bool seen[NB_OP_COUNT] = {[NB_OP_QUANT] = true}; /* below: straight-through, no derivative */
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        Fixture f;
        int checked = 0;
        build(&f, &cases[k], (uint32_t)k);
        seen[cases[k].op] = true;
        const NbTensor *d = gradients(&f, true);
        for (int i = 0; i < cases[k].n_in; i++)
            if (d[f.in[i]].data)
                check_input(&f, &cases[k], f.in[i], &d[f.in[i]], &checked);
        assert_true(checked > 10);
        nb_arena_release(&f.arena);
    }
    for (int op = 0; op < NB_OP_COUNT; op++)
        if (nb_op_def((NbOp)op)->backward && !seen[op])
            fail_msg("no gradient test for operator %s", nb_op_name((NbOp)op));
}

static const NbQuantSpec weight_spec = {.kind = NB_QUANT_INT,
                                        .grid = {4, true, true},
                                        .scale_from = NB_SCALE_STATS,
                                        .per_channel = true,
                                        .ste_clamp = true,
                                        .scale_min = 2e-16F};
static const NbQuantSpec act_spec = {.kind = NB_QUANT_INT,
                                     .grid = {4, false, false},
                                     .scale_from = NB_SCALE_PARAMETER,
                                     .restrict_to = NB_RESTRICT_LOG_FP,
                                     .lsq_gradient = true,
                                     .zero = 3.0F,
                                     .init = 1.0F};

/* x -> QUANT -> CONV <- QUANT <- w */
static void build_quantized(Fixture *f, bool quantized) {
    NbRandom r = nb_random(2, NB_RANDOM_TEST, 0, 0);
    *f = (Fixture){0};
    NbGraph *g = &f->g;
    nb_graph_init(g, &f->arena);
    f->in[0] = add_param(g, "x", NB_PARAM_WEIGHT, NB_F32, 4, (const int64_t[]){2, 3, 5, 4});
    f->in[1] = add_param(g, "w", NB_PARAM_WEIGHT, NB_F32, 4, (const int64_t[]){4, 3, 3, 3});
    f->in[2] = add_param(g, "v", NB_PARAM_QUANT, NB_F32, 1, (const int64_t[]){1});
    fill(g, f->in[0], &r, -0.3, 1.4);
    fill(g, f->in[1], &r, -1, 1);
    NbNodeId join[2] = {f->in[0], f->in[1]};
    if (quantized) {
        join[0] = add(g, NB_OP_QUANT, "xq", 2, (const NbNodeId[]){f->in[0], f->in[2]},
                      (NbAttr){.quant = act_spec});
        join[1] = add(g, NB_OP_QUANT, "wq", 1, &f->in[1], (NbAttr){.quant = weight_spec});
    }
    f->out = add(g, NB_OP_CONV, "out", 2, join,
                 (NbAttr){.conv = {{3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}, 1}});
    outputs(g, f->out);
    infer(g, 1, 1, 1);
    const size_t count = nb_shape_count(&g->node[f->out].shape);
    f->weight = NB_NEW(&f->arena, float, count);
    for (size_t i = 0; i < count; i++)
        f->weight[i] = (float)nb_random_range(&r, -1, 1);
}

static void near(const float *got, const float *want, size_t n, const char *what) {
    for (size_t i = 0; i < n; i++)
        if (fabsf(got[i] - want[i]) > 1e-5F * (1.0F + fabsf(want[i])))
            fail_msg("%s [%zu]: %g, expected %g", what, i, (double)got[i], (double)want[i]);
}

/* The gradient of a coded convolution is that of the real one of its dequantized inputs, and goes
 * on through nb_quant_backward. */
static void quantized_convolution_passes_straight_through(void **state) {
    (void)state;
    NbError err = {0};
    Fixture q;
    Fixture plain;
    build_quantized(&q, true);
    build_quantized(&plain, false);
    NbValue *v = NB_NEW(&q.arena, NbValue, (size_t)q.g.n_nodes);
    must(nb_interpret(&q.g, NULL, NB_RUN_EVAL, true, &q.arena, v, &err), &err);
    for (int i = 0; i < 2; i++) { /* the plain one convolves what the other dequantizes */
        const NbValue *coded = &v[q.g.node[q.out].in[i]];
        const float *real = NULL;
        assert_true(coded->coded);
        must(nb_value_real(coded, &q.arena, &real, &err), &err);
        memcpy(plain.g.node[plain.in[i]].param.data, real,
               nb_tensor_count(&coded->t) * sizeof *real);
    }
    const NbTensor *dq = gradients(&q, true);
    const NbTensor *dp = gradients(&plain, true);
    const size_t nx = nb_tensor_count(&q.g.node[q.in[0]].param);
    const size_t nw = nb_tensor_count(&q.g.node[q.in[1]].param);
    near(nb_f32(&dq[q.g.node[q.out].in[0]]), nb_f32(&dp[plain.in[0]]), nx, "dx, dequantized");
    near(nb_f32(&dq[q.g.node[q.out].in[1]]), nb_f32(&dp[plain.in[1]]), nw, "dw, dequantized");
    float *dx = NB_NEW(&q.arena, float, nx + nw + 1);
    const float *value = nb_f32(&q.g.node[q.in[2]].param);
    nb_quant_backward(&act_spec, nb_f32(&q.g.node[q.in[0]].param), 1, nx, value,
                      nb_f32(&dp[plain.in[0]]), dx, &dx[nx + nw]);
    nb_quant_backward(&weight_spec, nb_f32(&q.g.node[q.in[1]].param), 4, nw / 4, NULL,
                      nb_f32(&dp[plain.in[1]]), dx + nx, NULL);
    near(nb_f32(&dq[q.in[0]]), dx, nx, "dx");
    near(nb_f32(&dq[q.in[1]]), dx + nx, nw, "dw");
    near(nb_f32(&dq[q.in[2]]), &dx[nx + nw], 1, "d value");
    assert_true(fabsf(dx[nx + nw]) > 1e-4F);
    nb_arena_release(&q.arena);
    nb_arena_release(&plain.arena);
}

/* Without quantizers a quantized graph has the gradients of the plain one. */
static void quantizers_off_is_the_identity(void **state) {
    (void)state;
    Fixture q;
    Fixture plain;
    build_quantized(&q, true);
    build_quantized(&plain, false);
    const NbTensor *dq = gradients(&q, false);
    const NbTensor *dp = gradients(&plain, false);
    near(nb_f32(&dq[q.in[0]]), nb_f32(&dp[plain.in[0]]), 120, "dx");
    near(nb_f32(&dq[q.in[1]]), nb_f32(&dp[plain.in[1]]), 108, "dw");
    nb_arena_release(&q.arena);
    nb_arena_release(&plain.arena);
}

/* What comes after a DETACH learns, what comes before does not. */
static void detached_values_get_no_gradient(void **state) {
    (void)state;
    Fixture f = {0};
    NbRandom r = nb_random(4, NB_RANDOM_TEST, 0, 0);
    nb_graph_init(&f.g, &f.arena);
    const int64_t dim[] = {2, 3};
    f.in[0] = add_param(&f.g, "a", NB_PARAM_WEIGHT, NB_F32, 2, dim);
    f.in[1] = add_param(&f.g, "b", NB_PARAM_WEIGHT, NB_F32, 2, dim);
    fill(&f.g, f.in[0], &r, 1, 2);
    fill(&f.g, f.in[1], &r, 1, 2);
    const NbNodeId cut = add(&f.g, NB_OP_DETACH, "cut", 1, &f.in[0], (NbAttr){.scale = {0}});
    f.out =
        add(&f.g, NB_OP_MUL, "out", 2, (const NbNodeId[]){cut, f.in[1]}, (NbAttr){.scale = {0}});
    outputs(&f.g, f.out);
    infer(&f.g, 1, 1, 1);
    f.weight = (float[]){1, 2, 3, 4, 5, 6};
    const NbTensor *d = gradients(&f, true);
    assert_null(d[cut].data);
    for (int i = 0; i < 6; i++) {
        assert_float_equal(nb_f32(&d[f.in[0]])[i], 0, 0);
        assert_float_equal(nb_f32(&d[f.in[1]])[i],
                           (float)(i + 1) * nb_f32(&f.g.node[f.in[0]].param)[i], 0);
    }
    nb_arena_release(&f.arena);
}

static void only_trained_parameters_get_gradients(void **state) {
    (void)state;
    Fixture f;
    build(&f, &cases[3], 0); /* batch norm: mean and var are state */
    f.g.node[f.in[1]].attr.param.frozen = true;
    const NbTensor *d = gradients(&f, true);
    assert_non_null(d[f.in[0]].data);
    assert_null(d[f.in[1]].data);
    assert_non_null(d[f.in[2]].data);
    assert_null(d[f.in[3]].data);
    assert_null(d[f.in[4]].data);
    nb_arena_release(&f.arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_match_central_differences),
        cmocka_unit_test(quantized_convolution_passes_straight_through),
        cmocka_unit_test(quantizers_off_is_the_identity),
        cmocka_unit_test(detached_values_get_no_gradient),
        cmocka_unit_test(only_trained_parameters_get_gradients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
