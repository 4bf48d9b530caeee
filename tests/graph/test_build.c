/* SPDX-License-Identifier: Apache-2.0
 *
 * Building, checking, copying and printing graphs. */
#include "graph/help.h"
#include "graph/print.h"

static const NbQuantSpec uint4 = {
    .kind = NB_QUANT_INT, .grid = {4, false, false}, .scale_from = NB_SCALE_CONST, .init = 6.0F};
static const NbConvAttr conv3 = {{3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}, 1};

static NbNodeId input(NbGraph *g) {
    return add(g, NB_OP_INPUT, "images", 0, NULL,
               (NbAttr){.input = {.scale = 1.0F / 255.0F, .channels = 3}});
}

static NbNodeId quant(NbGraph *g, const char *name, NbNodeId x, NbQuantSpec spec) {
    return add(g, NB_OP_QUANT, name, 1, &x, (NbAttr){.quant = spec});
}

static void shapes_follow_the_picture(void **state) {
    (void)state;
    NbArena arena = {0};
    NbGraph g;
    nb_graph_init(&g, &arena);
    const NbNodeId x = input(&g);
    const NbNodeId w =
        add_param(&g, "w", NB_PARAM_WEIGHT, NB_F32, 4, (const int64_t[]){8, 3, 3, 3});
    const NbNodeId c = add(&g, NB_OP_CONV, "c", 2, (const NbNodeId[]){x, w},
                           (NbAttr){.conv = {{3, 3}, {2, 2}, {1, 1, 1, 1}, {1, 1}, 1}});
    const NbNodeId p = add(&g, NB_OP_PAD, "p", 1, &c, (NbAttr){.pad = {{0, 0, 1, 1}}});
    const NbNodeId m =
        add(&g, NB_OP_MAXPOOL, "m", 1, &p, (NbAttr){.pool = {{2, 2}, {1, 1}, {0, 0, 0, 0}}});
    const NbNodeId u = add(&g, NB_OP_UPSAMPLE, "u", 1, &m, (NbAttr){.upsample = {2}});
    const NbNodeId j =
        add(&g, NB_OP_CONCAT, "j", 2, (const NbNodeId[]){u, u}, (NbAttr){.concat = {1}});
    outputs(&g, j);
    infer(&g, 2, 33, 64);
    const NbShape want = nb_shape(4, (const int64_t[]){2, 16, 34, 64});
    assert_true(nb_shape_equal(&g.node[j].shape, &want));
    assert_int_equal(nb_graph_readers(&g, u), 2);
    assert_int_equal(nb_graph_readers(&g, j), 1);
    assert_int_equal(nb_graph_find(&g, "m"), m);
    assert_int_equal(nb_graph_find(&g, "nothing"), -1);
    nb_arena_release(&arena);
}

static void kinds_and_scales_follow_the_codes(void **state) {
    (void)state;
    NbArena arena = {0};
    NbGraph g;
    nb_graph_init(&g, &arena);
    const NbNodeId x = input(&g);
    const NbNodeId a = quant(&g, "a", x, uint4);
    const NbNodeId b = quant(&g, "b", x, uint4);
    NbQuantSpec other = uint4;
    other.init = 5.0F;
    const NbNodeId c = quant(&g, "c", x, other);
    const NbNodeId pool =
        add(&g, NB_OP_MAXPOOL, "p", 1, &b, (NbAttr){.pool = {{1, 1}, {1, 1}, {0}}});
    const NbNodeId sum = add(&g, NB_OP_ADD, "sum", 2, (const NbNodeId[]){a, pool}, (NbAttr){0});
    const NbNodeId real = add(&g, NB_OP_ADD, "real", 2, (const NbNodeId[]){a, c}, (NbAttr){0});
    const NbNodeId relu = add(&g, NB_OP_RELU, "relu", 1, &a, (NbAttr){0});
    assert_true(nb_graph_same_scale(&g, a, pool));
    assert_false(nb_graph_same_scale(&g, a, c));
    assert_false(nb_graph_same_scale(&g, a, relu));
    assert_int_equal(g.node[sum].kind, NB_VALUE_CODED);
    assert_int_equal(g.node[sum].scale_source, a);
    assert_int_equal(g.node[sum].grid.bits, 5);
    assert_int_equal(g.node[pool].scale_source, b);
    assert_int_equal(g.node[real].kind, NB_VALUE_REAL);
    assert_int_equal(g.node[relu].kind, NB_VALUE_REAL);
    g.node[c].attr.quant.init = 6.0F; /* changed in place: infer looks again */
    outputs(&g, real);
    infer(&g, 1, 2, 2);
    assert_int_equal(g.node[real].kind, NB_VALUE_CODED);
    nb_arena_release(&arena);
}

/* Each breaks one rule in a graph that is otherwise right; the message must name node and rule. */
typedef struct Broken {
    NbOp op;
    NbAttr attr;
    int n_in;
    int in[3]; /* 0: images, 1: weights [8,3,3,3], 2: vector [8], 3: codes a, 4: codes b, 5: I8 */
    const char *says;
} Broken;

#define CONV(...) .attr.conv = __VA_ARGS__

static const Broken broken[] = {
    {NB_OP_CONV, CONV({{3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}, 3}), 2, {0, 1}, "3 in each of 3"},
    {NB_OP_CONV, CONV({{5, 5}, {1, 1}, {1, 1, 1, 1}, {1, 1}, 1}), 2, {0, 1}, "kernel 5x5"},
    {NB_OP_CONV, CONV({{3, 3}, {0, 1}, {1, 1, 1, 1}, {1, 1}, 1}), 2, {0, 1}, "stride 0"},
    {NB_OP_CONV, CONV({{3, 3}, {1, 1}, {0, 0, 0, 0}, {4, 1}, 1}), 2, {0, 1}, "does not fit"},
    {NB_OP_CONV, CONV({{3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}, 1}), 2, {2, 1}, "[N, C, H, W]"},
    {NB_OP_CONV, CONV({{3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}, 1}), 3, {0, 5, 2}, "no bias"},
    {NB_OP_CONV, CONV({{3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}, 1}), 3, {0, 1, 3}, "PARAM expected"},
    {NB_OP_MAXPOOL, .attr.pool = {{2, 2}, {2, 2}, {2, 0, 0, 0}}, 1, {0}, "nothing else"},
    {NB_OP_UPSAMPLE, .attr.upsample = {0}, 1, {0}, "factor 0"},
    {NB_OP_CONCAT, .attr.concat = {1}, 2, {3, 4}, "do not share one scale"},
    {NB_OP_CONCAT, .attr.concat = {4}, 2, {3, 3}, "axis 4"},
    {NB_OP_PAD, .attr.pad = {{0, -1, 0, 0}}, 1, {0}, "padding -1"},
    {NB_OP_QUANT, .attr.quant = {.grid = {1, true, true}}, 1, {0}, "nothing but 0"},
    {NB_OP_QUANT,
     .attr.quant = {.grid = {4, false, false}, .scale_from = NB_SCALE_STATS},
     1,
     {0},
     "from the activations"},
    {NB_OP_QUANT,
     .attr.quant = {.grid = {4, false, false}, .scale_from = NB_SCALE_PARAMETER},
     1,
     {0},
     "learned value expected"},
    {NB_OP_QUANT,
     .attr.quant = {.grid = {4, false, false}, .init = 1.0F, .zero = 2.5F},
     1,
     {0},
     "zero point 2.5"},
    {NB_OP_QUANT,
     .attr.quant = {.grid = {4, false, false}, .init = 1.0F, .zero = 16.0F},
     1,
     {0},
     "integer of the grid"},
    {NB_OP_THRESHOLD, .attr.threshold = {{4, false, false}, 1.0F}, 2, {0, 2}, "I32 expected"},
    {NB_OP_DEQUANT, .attr.scale = {0}, 2, {0, 2}, "8 scales for 3 channels"},
    {NB_OP_ADD, .attr.scale = {0}, 2, {0, 1}, "the first is"},
    {NB_OP_MUL, .attr.scale = {0}, 2, {0, 1}, "cannot be broadcast"},
    {NB_OP_SUB, .attr.scale = {0}, 2, {0, 5}, "integers without a scale"},
    {NB_OP_MATMUL, .attr.scale = {0}, 2, {0, 1}, "do not fit"},
    {NB_OP_MATMUL, .attr.scale = {0}, 2, {2, 1}, "at least 2 dimensions"},
    {NB_OP_SOFTMAX, .attr.softmax = {4}, 1, {0}, "0 to 3 expected"},
    {NB_OP_SLICE, .attr.slice = {-1, 0, 1, 1}, 1, {0}, "axis -1"},
    {NB_OP_SLICE, .attr.slice = {1, 2, 4, 1}, 1, {0}, "of a dimension of 3"},
    {NB_OP_SLICE, .attr.slice = {1, 2, 2, 1}, 1, {0}, "nothing or too much"},
    {NB_OP_SLICE, .attr.slice = {1, 0, 2, 0}, 1, {0}, "steps of 0"},
    {NB_OP_TRANSPOSE, .attr.transpose = {{0, 1, 1, 3}}, 1, {0}, "once expected"},
    {NB_OP_RESHAPE, .attr.reshape = {2, {-1, -1}}, 1, {0}, "both -1"},
    {NB_OP_RESHAPE, .attr.reshape = {2, {5, -1}}, 1, {0}, "other elements"},
    {NB_OP_RESHAPE, .attr.reshape = {5, {0, 0, 0, 0, 0}}, 1, {0}, "x has 4"},
    {NB_OP_RESHAPE, .attr.reshape = {3, {0, 0, -1}}, 2, {0, 0}, "4 expected"},
    {NB_OP_RESHAPE, .attr.reshape = {4, {0, 3, 0, 0}}, 2, {0, 1}, "other elements"},
    {NB_OP_SCALE, .attr.scale = {(float)(1e30 * 1e30)}, 1, {0}, "finite"},
};

static void broken_graphs_are_named(void **state) {
    (void)state;
    for (size_t k = 0; k < sizeof broken / sizeof *broken; k++) {
        const Broken *b = &broken[k];
        NbArena arena = {0};
        NbError err = {0};
        NbGraph g;
        nb_graph_init(&g, &arena);
        NbNodeId node[6];
        node[0] = input(&g);
        node[1] = add_param(&g, "w", NB_PARAM_WEIGHT, NB_F32, 4, (const int64_t[]){8, 3, 3, 3});
        node[2] = add_param(&g, "v", NB_PARAM_BIAS, NB_F32, 1, (const int64_t[]){8});
        node[3] = quant(&g, "a", node[0], uint4);
        NbQuantSpec other = uint4;
        other.init = 5.0F;
        node[4] = quant(&g, "b", node[0], other);
        node[5] = add_param(&g, "i", NB_PARAM_CONST, NB_I8, 4, (const int64_t[]){8, 3, 3, 3});
        const NbNodeId in[3] = {node[b->in[0]], node[b->in[1]], node[b->in[2]]};
        outputs(&g, add(&g, b->op, "bad one", b->n_in, in, b->attr));
        if (nb_graph_infer(&g, 1, 8, 8, &err) == NB_OK)
            fail_msg("row %zu (%s) was accepted", k, b->says);
        if (!strstr(err.message, b->says) || !strstr(err.message, "'bad one'"))
            fail_msg("row %zu: \"%s\" does not say \"%s\"", k, err.message, b->says);
        nb_arena_release(&arena);
    }
}

static void building_refuses(void **state) {
    (void)state;
    NbArena arena = {0};
    NbError err = {0};
    NbGraph g;
    nb_graph_init(&g, &arena);
    NbNodeId id = input(&g);
    const NbNodeId later = 7;
    assert_int_equal(nb_graph_add(&g, NB_OP_RELU, "images", 1, &id, NULL, &id, &err),
                     NB_ERR_ARGUMENT);
    assert_int_equal(nb_graph_add(&g, NB_OP_RELU, "r", 1, &later, NULL, &id, &err),
                     NB_ERR_ARGUMENT);
    assert_int_equal(nb_graph_add(&g, NB_OP_RELU, "r", 0, NULL, NULL, &id, &err), NB_ERR_ARGUMENT);
    assert_int_equal(nb_graph_set_outputs(&g, 1, &later, &err), NB_ERR_ARGUMENT);
    assert_int_equal(g.n_nodes, 1);
    nb_arena_release(&arena);
}

static void small_net(NbGraph *g, NbArena *arena) {
    nb_graph_init(g, arena);
    NbRandom r = nb_random(3, NB_RANDOM_TEST, 0, 0);
    const NbNodeId x = input(g);
    const NbNodeId w = add_param(g, "w", NB_PARAM_WEIGHT, NB_F32, 4, (const int64_t[]){2, 3, 3, 3});
    fill(g, w, &r, -1, 1);
    const NbNodeId c =
        add(g, NB_OP_CONV, "c", 2, (const NbNodeId[]){x, w}, (NbAttr){.conv = conv3});
    outputs(g, quant(g, "q", c, uint4));
    g->node[c].layer = 5;
}

static void copies_are_independent(void **state) {
    (void)state;
    NbArena a = {0};
    NbArena b = {0};
    NbError err = {0};
    NbGraph g;
    NbGraph copy;
    NbText before = {0};
    NbText after = {0};
    small_net(&g, &a);
    infer(&g, 1, 4, 4);
    nb_graph_print(&g, &before);
    must(nb_graph_copy(&g, &b, &copy, &err), &err);
    assert_memory_equal(copy.node[1].param.data, g.node[1].param.data, 54 * sizeof(float));
    nb_arena_release(&a);
    nb_graph_print(&copy, &after);
    assert_false(before.failed || after.failed);
    assert_string_equal(before.data, after.data);
    assert_non_null(strstr(after.data, "CONV"));
    assert_int_equal(copy.node[2].layer, 5);
    nb_text_release(&before);
    nb_text_release(&after);
    nb_arena_release(&b);
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    NbArena from = {0};
    NbGraph g;
    small_net(&g, &from);
    NbStatus status = NB_ERR_NOMEM;
    size_t takes = 0;
    while (status == NB_ERR_NOMEM) {
        NbArena arena = {.fail_at = ++takes};
        NbError err = {0};
        NbGraph copy;
        status = nb_graph_copy(&g, &arena, &copy, &err);
        nb_arena_release(&arena);
    }
    assert_int_equal(status, NB_OK);
    assert_true(takes > 10);
    nb_arena_release(&from);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes_follow_the_picture),
        cmocka_unit_test(kinds_and_scales_follow_the_codes),
        cmocka_unit_test(broken_graphs_are_named),
        cmocka_unit_test(building_refuses),
        cmocka_unit_test(copies_are_independent),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
