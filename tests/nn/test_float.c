/* SPDX-License-Identifier: Apache-2.0
 *
 * The float engine computes what the interpreter computes, on every instruction set, whatever is
 * asked for and however many threads there are. */
#include "nn/blocks.h"
#include "nn/float/float.h"
#include "nn/pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

enum { BATCH = 2, OUTPUTS = 3 };

/* One graph, its pictures, and what the interpreter makes of each. */
typedef struct Case {
    Net net;
    NbArena arena;
    int height, width;
    size_t picture; /* bytes of one */
    uint8_t *nhwc;
    float *real; /* NCHW, scaled */
    NbShape shape[OUTPUTS];
    size_t count[OUTPUTS];
    float *want[OUTPUTS]; /* [BATCH][count], as the graph has them */
} Case;

static void interpret(Case *c, int picture, const uint8_t *nchw) {
    NbError err = {{0}};
    NbArena arena = {0};
    NbGraph twin;
    must(nb_graph_copy(&c->net.g, &arena, &twin, &err), &err);
    must(nb_graph_infer(&twin, 1, c->height, c->width, &err), &err);
    NbValue *const value = NB_NEW(&arena, NbValue, (size_t)twin.n_nodes);
    must(nb_interpret(&twin, nchw, NB_RUN_EVAL, false, &arena, value, &err), &err);
    for (int i = 0; i < OUTPUTS; i++) {
        const float *real = NULL;
        must(nb_value_real(&value[twin.output[i]], &arena, &real, &err), &err);
        c->shape[i] = twin.node[twin.output[i]].shape;
        c->count[i] = nb_shape_count(&c->shape[i]);
        if (!c->want[i])
            c->want[i] = NB_NEW(&c->arena, float, BATCH * c->count[i]);
        memcpy(c->want[i] + (size_t)picture * c->count[i], real, c->count[i] * sizeof *real);
    }
    nb_arena_release(&arena);
}

/* c->net is built; the rest is zero. */
static void case_open(Case *c, int height, int width) {
    size_t channels = 0;
    float scale = 0.0F;
    for (int i = 0; i < c->net.g.n_nodes; i++)
        if (c->net.g.node[i].op == NB_OP_INPUT) {
            channels = (size_t)c->net.g.node[i].attr.input.channels;
            scale = c->net.g.node[i].attr.input.scale;
        }
    const size_t pixels = (size_t)height * (size_t)width;
    c->height = height;
    c->width = width;
    c->picture = pixels * channels;
    c->nhwc = NB_NEW(&c->arena, uint8_t, BATCH * c->picture);
    c->real = NB_NEW(&c->arena, float, BATCH * c->picture);
    uint8_t *const nchw = NB_NEW(&c->arena, uint8_t, c->picture);
    for (int b = 0; b < BATCH; b++) {
        uint8_t *const to = c->nhwc + (size_t)b * c->picture;
        for (size_t i = 0; i < c->picture; i++)
            to[i] = (uint8_t)nb_random_below(&c->net.random, 256);
        for (size_t i = 0; i < c->picture; i++)
            nchw[i] = to[i % pixels * channels + i / pixels];
        for (size_t i = 0; i < c->picture; i++)
            c->real[(size_t)b * c->picture + i] = (float)nchw[i] * scale;
        interpret(c, b, nchw);
    }
}

static void case_close(Case *c) {
    nb_arena_release(&c->arena);
    net_release(&c->net);
}

static NbFloatEngine *open_engine(Case *c, const NbFloatOptions *options) {
    NbError err = {{0}};
    NbFloatEngine *x = NULL;
    NbFloatOptions o = *options;
    o.batch = BATCH;
    o.height = c->height;
    o.width = c->width;
    must(nb_float_new(&c->net.g, &o, &x, &err), &err);
    return x;
}

static void compare(Case *c, const NbFloatEngine *x, const NbFloatOptions *o, int seed) {
    const int n = o->n_outputs ? o->n_outputs : OUTPUTS - o->first_output;
    char what[64];
    for (int i = 0; i < n; i++) {
        const int k = o->first_output + i;
        const size_t count = BATCH * c->count[k];
        const float *want = c->want[k];
        if (!o->plain && c->shape[k].rank == 4) {
            float *const turned = NB_NEW(&c->arena, float, count);
            to_nhwc(want, &c->shape[k], BATCH, turned);
            want = turned;
        }
        snprintf(what, sizeof what, "network %d, %s, output", seed, nb_isa_name(o->isa));
        for (int b = 0; b < BATCH; b++)
            expect_close(nb_float_output(x, i) + (size_t)b * c->count[k],
                         want + (size_t)b * c->count[k], c->count[k], 1e-4, what, k);
    }
}

/* On every instruction set of this machine, from bytes and from real numbers. */
static void check(Case *c, const NbFloatOptions *options, int seed) {
    NbError err = {{0}};
    for (NbIsa isa = NB_ISA_C; isa <= nb_isa_detect() && isa <= NB_ISA_AVX512; isa++) {
        NbFloatOptions o = *options;
        o.isa = isa;
        NbFloatEngine *const x = open_engine(c, &o);
        for (int round = 0; round < 2; round++) {
            must(nb_float_run(x, c->nhwc, BATCH, &err), &err);
            compare(c, x, &o, seed);
        }
        must(nb_float_run_real(x, (const float *const[]){c->real}, BATCH, &err), &err);
        compare(c, x, &o, seed);
        nb_float_free(x);
    }
}

static void blocks_are_those_of_the_interpreter(void **state) {
    (void)state;
    for (int seed = 0; seed < 24; seed++) {
        Case c = {0};
        net_init(&c.net, (uint64_t)seed, false);
        net_blocks(&c.net, 3);
        case_open(&c, 24 + seed, 20 + 2 * (seed % 5));
        check(&c, &(NbFloatOptions){.plain = seed % 2}, seed);
        case_close(&c);
    }
}

static void random_networks_are_those_of_the_interpreter(void **state) {
    (void)state;
    for (int seed = 0; seed < 40; seed++) {
        Case c = {0};
        net_init(&c.net, (uint64_t)seed, seed % 2);
        net_random(&c.net, 17, 14, 9);
        case_open(&c, 17, 14);
        check(&c, &(NbFloatOptions){.plain = seed % 3 == 0}, seed);
        case_close(&c);
    }
}

/* One convolution of every kind that planning tells apart. */
static void convolutions_are_those_of_the_interpreter(void **state) {
    (void)state;
    static const struct {
        int c, oc, kernel, stride, pad, groups, dilation, height, width;
    } row[] = {
        {16, 16, 3, 1, 1, 1, 1, 12, 12},  {32, 80, 3, 1, 1, 1, 1, 13, 9},
        {48, 17, 3, 1, 0, 1, 1, 15, 19},  {64, 64, 3, 1, 2, 1, 1, 8, 8},
        {16, 32, 3, 2, 1, 1, 1, 21, 18},  {17, 33, 3, 1, 1, 1, 1, 9, 10},
        {8, 24, 5, 1, 2, 1, 1, 9, 31},    {8, 24, 6, 2, 2, 1, 1, 20, 22},
        {16, 16, 3, 1, 2, 1, 2, 14, 11},  {24, 48, 1, 1, 0, 1, 1, 7, 5},
        {24, 150, 1, 2, 0, 1, 1, 7, 5},   {24, 9, 1, 1, 1, 1, 1, 6, 6},
        {24, 24, 3, 1, 1, 24, 1, 11, 13}, {20, 20, 3, 2, 1, 20, 1, 11, 13},
        {32, 32, 7, 1, 3, 32, 1, 6, 6},   {8, 8, 3, 1, 3, 8, 3, 9, 9},
        {12, 36, 3, 1, 1, 12, 1, 7, 8},   {32, 64, 3, 1, 1, 4, 1, 10, 10},
        {1, 1, 3, 1, 1, 1, 1, 5, 5},      {112, 112, 1, 1, 0, 1, 1, 11, 11},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        Case c = {0};
        net_init(&c.net, i, false);
        const ConvSpec first = {.oc = row[i].c, .kernel = 1, .stride = 1};
        const ConvSpec spec = {.oc = row[i].oc,
                               .kernel = row[i].kernel,
                               .stride = row[i].stride,
                               .pad = row[i].pad,
                               .groups = row[i].groups,
                               .dilation = row[i].dilation,
                               .bias = i % 2};
        const NbNodeId x = net_conv(&c.net, net_input(&c.net, 2), 2, first);
        const NbNodeId y = net_conv(&c.net, x, row[i].c, spec);
        const NbNodeId z = net_unary(&c.net, NB_OP_SILU, y);
        net_outputs(&c.net, 3, (const NbNodeId[]){y, z, x});
        case_open(&c, row[i].height, row[i].width);
        check(&c, &(NbFloatOptions){0}, (int)i);
        case_close(&c);
    }
}

/* PSA: one half as it comes, the other changed; only the first is a slice of what was cut. */
static void a_half_is_joined_to_what_the_other_became(void **state) {
    (void)state;
    for (int order = 0; order < 2; order++) {
        Case c = {0};
        net_init(&c.net, 11, false);
        const ConvSpec spec = {.oc = 16, .kernel = 1, .stride = 1};
        const NbNodeId x = net_conv(&c.net, net_input(&c.net, 2), 2, spec);
        NbNodeId half[2];
        for (int i = 0; i < 2; i++) {
            const NbAttr attr = {
                .slice = {.axis = 1, .start = 8 * i, .stop = 8 * i + 8, .step = 1}};
            half[i] = net_node(&c.net, NB_OP_SLICE, 1, &x, &attr);
        }
        const ConvSpec change = {.oc = 8, .kernel = 3, .stride = 1, .pad = 1};
        half[1 - order] = net_conv(&c.net, half[1 - order], 8, change);
        const NbAttr axis = {.concat = {.axis = 1}};
        const NbNodeId joined = net_node(&c.net, NB_OP_CONCAT, 2, half, &axis);
        const NbNodeId y = net_conv(&c.net, joined, 16, spec);
        net_outputs(&c.net, 3, (const NbNodeId[]){y, joined, half[order]});
        case_open(&c, 9, 7);
        check(&c, &(NbFloatOptions){0}, order);
        case_close(&c);
    }
}

static void only_wanted_outputs_are_computed(void **state) {
    (void)state;
    Case c = {0};
    NbError err = {{0}};
    NbFloatProfile p;
    net_init(&c.net, 3, false);
    net_blocks(&c.net, 4);
    case_open(&c, 32, 32);
    const NbFloatOptions all = {0};
    const NbFloatOptions last = {.first_output = 2, .n_outputs = 1, .profile = true};
    check(&c, &last, 3);
    NbFloatEngine *x = open_engine(&c, &all);
    int n = 0;
    while (nb_float_profile(x, n, &p))
        n++;
    nb_float_free(x);
    x = open_engine(&c, &last);
    must(nb_float_run(x, c.nhwc, 1, &err), &err);
    int few = 0;
    for (; nb_float_profile(x, few, &p); few++)
        assert_true(p.node && p.what && p.seconds >= 0.0);
    assert_true(few <= 3 && few < n);
    nb_float_free(x);
    NbFloatEngine *none = NULL;
    const NbFloatOptions bad = {.first_output = 2, .n_outputs = 2, .height = 32, .width = 32};
    assert_int_equal(nb_float_new(&c.net.g, &bad, &none, &err), NB_ERR_ARGUMENT);
    assert_null(none);
    case_close(&c);
}

static void threads_do_not_change_a_bit(void **state) {
    (void)state;
    static const int threads[] = {1, 2, 3, 5};
    for (int seed = 100; seed < 106; seed++) {
        Case c = {0};
        NbError err = {{0}};
        float *first[OUTPUTS] = {NULL};
        net_init(&c.net, (uint64_t)seed, false);
        net_blocks(&c.net, 4);
        case_open(&c, 64, 48);
        for (size_t t = 0; t < sizeof threads / sizeof *threads; t++) {
            NbPool *pool = NULL;
            must(nb_pool_new(threads[t], &pool, &err), &err);
            NbFloatEngine *const x =
                open_engine(&c, &(NbFloatOptions){.pool = pool, .isa = nb_isa_detect()});
            must(nb_float_run(x, c.nhwc, BATCH, &err), &err);
            for (int i = 0; i < OUTPUTS; i++) {
                const size_t bytes = BATCH * c.count[i] * sizeof(float);
                if (!first[i])
                    first[i] = nb_arena_take(&c.arena, 1, bytes);
                if (t == 0)
                    memcpy(first[i], nb_float_output(x, i), bytes);
                assert_memory_equal(first[i], nb_float_output(x, i), bytes);
            }
            nb_float_free(x);
            nb_pool_free(pool);
        }
        case_close(&c);
    }
}

/* Weights that are computed from parameters are known when the engine is made. */
static void constants_are_computed_once(void **state) {
    (void)state;
    Case c = {0};
    NbFloatProfile p;
    const int64_t one = 1;
    NbNodeId factor = -1;
    NbError err = {{0}};
    const NbShape shape = nb_shape(1, &one);
    net_init(&c.net, 11, false);
    const NbNodeId in = net_input(&c.net, 3);
    const ConvSpec spec = {.oc = 16, .kernel = 3, .stride = 1, .pad = 1};
    const NbNodeId first = net_conv(&c.net, in, 3, spec);
    const NbNodeId weights = c.net.g.node[net_conv(&c.net, first, 16, spec)].in[1];
    must(nb_graph_add_param(&c.net.g, "f", NB_PARAM_CONST, NB_F32, &shape, &factor, &err), &err);
    nb_f32(&c.net.g.node[factor].param)[0] = 0.5F;
    const NbNodeId half = net_node(&c.net, NB_OP_MUL, 2, (const NbNodeId[]){weights, factor}, NULL);
    const NbAttr attr = c.net.g.node[first].attr;
    const NbNodeId y = net_node(&c.net, NB_OP_CONV, 2, (const NbNodeId[]){first, half}, &attr);
    net_outputs(&c.net, 3, (const NbNodeId[]){y, half, first});
    case_open(&c, 9, 12);
    check(&c, &(NbFloatOptions){.plain = true}, 11);
    NbFloatEngine *const x = open_engine(&c, &(NbFloatOptions){.n_outputs = 1});
    for (int i = 0; nb_float_profile(x, i, &p); i++)
        assert_true(strcmp(p.what, "interpreter") != 0 && strcmp(p.what, "arithmetic") != 0);
    nb_float_free(x);
    case_close(&c);
}

/* An INPUT of real numbers of any shape. */
static NbNodeId real_input(Net *net, int rank, const int64_t *dim) {
    const NbNodeId id = net_node(net, NB_OP_INPUT, 0, NULL, &(NbAttr){.input = {.real = true}});
    net->g.node[id].param = (NbTensor){.dtype = NB_F32, .shape = nb_shape(rank, dim)};
    return id;
}

/* Two tensors that are no pictures, through operators with and without kernels here. */
static void tensors_are_taken_as_they_are(void **state) {
    (void)state;
    enum { ROWS = 5, INNER = 37, COLUMNS = 19 };
    Net net;
    NbArena arena = {0};
    NbError err = {{0}};
    NbGraph twin;
    NbFloatEngine *x = NULL;
    net_init(&net, 5, false);
    const NbNodeId a = real_input(&net, 3, (const int64_t[]){2, ROWS, INNER});
    const NbNodeId b = real_input(&net, 2, (const int64_t[]){INNER, COLUMNS});
    const NbNodeId ab = net_node(&net, NB_OP_MATMUL, 2, (const NbNodeId[]){a, b}, NULL);
    const NbNodeId soft = net_node(&net, NB_OP_SOFTMAX, 1, &ab, &(NbAttr){.softmax = {.axis = 1}});
    const NbNodeId sum = net_node(&net, NB_OP_ADD, 2, (const NbNodeId[]){soft, ab}, NULL);
    const NbNodeId y = net_node(&net, NB_OP_MAP, 1, &sum, &(NbAttr){.map = {.kind = NB_MAP_TANH}});
    net_outputs(&net, 1, &y);
    float values[2][2 * ROWS * INNER + INNER * COLUMNS];
    for (int i = 0; i < 2; i++)
        for (size_t k = 0; k < sizeof values[i] / sizeof *values[i]; k++)
            values[i][k] = (float)nb_random_range(&net.random, -0.5, 0.5);
    must(nb_graph_copy(&net.g, &arena, &twin, &err), &err);
    must(nb_graph_infer(&twin, 1, 1, 1, &err), &err);
    const NbTensor inputs[2] = {{NB_F32, twin.node[a].shape, values[0]},
                                {NB_F32, twin.node[b].shape, values[1]}};
    NbValue *const value = NB_NEW(&arena, NbValue, (size_t)twin.n_nodes);
    must(nb_interpret_tensors(&twin, inputs, false, &arena, value, &err), &err);
    const NbFloatOptions o = {.height = 1, .width = 1, .isa = nb_isa_detect()};
    must(nb_float_new(&net.g, &o, &x, &err), &err);
    for (int round = 0; round < 2; round++) {
        must(nb_float_run_real(x, (const float *const[]){values[0], values[1]}, 1, &err), &err);
        expect_close(nb_float_output(x, 0), nb_f32(&value[y].t), 2 * ROWS * COLUMNS, 1e-5, "tensor",
                     round);
    }
    const NbShape shape = nb_float_output_shape(x, 0);
    assert_true(nb_shape_equal(&shape, &twin.node[y].shape));
    assert_int_equal(nb_float_run(x, (const uint8_t[]){0}, 1, &err), NB_ERR_ARGUMENT);
    nb_float_free(x);
    nb_arena_release(&arena);
    net_release(&net);
}

static void integers_are_refused(void **state) {
    (void)state;
    Net net;
    NbError err = {{0}};
    NbFloatEngine *x = NULL;
    net_init(&net, 1, false);
    const NbNodeId in = net_input(&net, 1);
    const int64_t dim[4] = {1, 1, 1, 1};
    NbNodeId w = -1;
    const NbShape shape = nb_shape(4, dim);
    must(nb_graph_add_param(&net.g, "w", NB_PARAM_CONST, NB_I8, &shape, &w, &err), &err);
    const NbAttr attr = {
        .conv = {.kernel = {1, 1}, .stride = {1, 1}, .dilation = {1, 1}, .groups = 1}};
    const NbNodeId y = net_node(&net, NB_OP_CONV, 2, (const NbNodeId[]){in, w}, &attr);
    net_outputs(&net, 1, &y);
    const NbFloatOptions o = {.height = 4, .width = 4};
    assert_int_equal(nb_float_new(&net.g, &o, &x, &err), NB_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "integers"));
    assert_null(x);
    net_release(&net);
}

static void sizes_are_checked(void **state) {
    (void)state;
    Case c = {0};
    NbError err = {{0}};
    net_init(&c.net, 7, false);
    net_blocks(&c.net, 2);
    case_open(&c, 16, 16);
    const NbFloatOptions o = {.height = 16, .width = 16};
    NbFloatEngine *x = NULL;
    must(nb_float_new(&c.net.g, &o, &x, &err), &err);
    assert_true(nb_float_bytes(x) > 1000);
    assert_int_equal(nb_float_run(x, c.nhwc, 0, &err), NB_ERR_ARGUMENT);
    assert_int_equal(nb_float_run(x, c.nhwc, 2, &err), NB_ERR_ARGUMENT);
    nb_float_free(x);
    nb_float_free(NULL);
    case_close(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convolutions_are_those_of_the_interpreter),
        cmocka_unit_test(blocks_are_those_of_the_interpreter),
        cmocka_unit_test(random_networks_are_those_of_the_interpreter),
        cmocka_unit_test(a_half_is_joined_to_what_the_other_became),
        cmocka_unit_test(only_wanted_outputs_are_computed),
        cmocka_unit_test(threads_do_not_change_a_bit),
        cmocka_unit_test(constants_are_computed_once),
        cmocka_unit_test(tensors_are_taken_as_they_are),
        cmocka_unit_test(integers_are_refused),
        cmocka_unit_test(sizes_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
