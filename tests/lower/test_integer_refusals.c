/* SPDX-License-Identifier: Apache-2.0
 *
 * What cannot become integers is refused with the node, the reason and what to do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lower/integer/integer.h"

#include <math.h>

/* image -> CONV 'conv' (one weight) -> middle -> QUANT 'act' -> output */
typedef struct Net {
    NbArena arena;
    NbGraph g;
    NbError err;
    NbNodeId image;
    NbNodeId weight;
    NbNodeId conv;
    NbNodeId end;
} Net;

static NbNodeId add(Net *n, NbOp op, const char *name, NbNodeId a, NbNodeId b, const NbAttr *attr) {
    const NbNodeId in[2] = {a, b};
    NbNodeId id = -1;
    if (nb_graph_add(&n->g, op, name, a < 0 ? 0 : b < 0 ? 1 : 2, in, attr, &id, &n->err) != NB_OK)
        fail_msg("%s", n->err.message);
    return id;
}

static NbNodeId param(Net *n, const char *name, NbParamRole role, const NbShape *shape,
                      float value) {
    NbNodeId id = -1;
    if (nb_graph_add_param(&n->g, name, role, NB_F32, shape, &id, &n->err) != NB_OK)
        fail_msg("%s", n->err.message);
    for (size_t i = 0; i < nb_shape_count(shape); i++)
        nb_f32(&n->g.node[id].param)[i] = value;
    return id;
}

static NbNodeId quant(Net *n, const char *name, NbNodeId x, NbGrid grid, float init) {
    const NbAttr attr = {.quant = {.grid = grid, .scale_from = NB_SCALE_CONST, .init = init}};
    return add(n, NB_OP_QUANT, name, x, -1, &attr);
}

static NbNodeId convolve(Net *n, const char *name, NbNodeId x, NbNodeId w) {
    const NbAttr attr = {
        .conv = {.kernel = {1, 1}, .stride = {1, 1}, .dilation = {1, 1}, .groups = 1}};
    return add(n, NB_OP_CONV, name, x, w, &attr);
}

static void start(Net *n) {
    memset(n, 0, sizeof *n);
    nb_graph_init(&n->g, &n->arena);
    const NbAttr attr = {.input = {.scale = 1.0F / 255.0F, .channels = 1}};
    const NbShape shape = nb_shape(4, (const int64_t[]){1, 1, 1, 1});
    n->image = add(n, NB_OP_INPUT, "image", -1, -1, &attr);
    n->weight = param(n, "w", NB_PARAM_WEIGHT, &shape, -1.0F);
    const NbGrid wide = {.bits = 8, .is_signed = true};
    n->conv = convolve(n, "conv", n->image, quant(n, "wq", n->weight, wide, 1.0F));
    n->end = n->conv;
}

static const NbGrid grid_4 = {.bits = 4};

static void float_weights(Net *n) {
    n->end = quant(n, "act", convolve(n, "bare", n->image, n->weight), grid_4, 1.0F);
}

static void float_input(Net *n) {
    const NbNodeId relu = add(n, NB_OP_RELU, "relu", n->conv, -1, NULL);
    const NbNodeId w = n->g.node[n->conv].in[1];
    n->end = quant(n, "act", convolve(n, "second", relu, w), grid_4, 1.0F);
}

static void steps_behind_silu(Net *n) {
    const NbNodeId silu = add(n, NB_OP_SILU, "silu", n->conv, -1, NULL);
    n->end = quant(n, "act", add(n, NB_OP_RELU, "relu", silu, -1, NULL), grid_4, 1.0F);
}

static void slope(Net *n) {
    const NbAttr attr = {.leaky_relu = {.slope = -0.5F}};
    n->end = quant(n, "act", add(n, NB_OP_LEAKY_RELU, "leaky", n->conv, -1, &attr), grid_4, 1.0F);
}

static void many_bits(Net *n) {
    const NbGrid grid = {.bits = 12};
    n->end = quant(n, "act", n->conv, grid, 1.0F);
}

static void real_output(Net *n) { n->end = add(n, NB_OP_RELU, "relu", n->conv, -1, NULL); }

static void pool_first(Net *n) {
    const NbAttr attr = {.pool = {.kernel = {1, 1}, .stride = {1, 1}}};
    n->end = quant(n, "act", add(n, NB_OP_MAXPOOL, "pool", n->conv, -1, &attr), grid_4, 1.0F);
}

static void different_scales(Net *n) {
    const NbNodeId a = quant(n, "a", n->conv, grid_4, 1.0F);
    const NbNodeId b = quant(n, "b", n->conv, grid_4, 2.0F);
    n->end = quant(n, "act", add(n, NB_OP_ADD, "add", a, b, NULL), grid_4, 1.0F);
}

static NbNodeId normalize(Net *n, float gamma) {
    static const char *const names[] = {"gamma", "beta", "mean", "var"};
    NbNodeId in[5] = {n->conv};
    const NbAttr attr = {.batchnorm = {.eps = 1e-3F, .momentum = 0.1F}};
    const NbShape one = nb_shape(1, (const int64_t[]){1});
    NbNodeId id = -1;
    for (int i = 0; i < 4; i++)
        in[i + 1] = param(n, names[i], (NbParamRole)(NB_PARAM_GAMMA + i), &one,
                          i == 0   ? gamma
                          : i == 3 ? 1.0F
                                   : 0.0F);
    if (nb_graph_add(&n->g, NB_OP_BATCHNORM, "bn", 5, in, &attr, &id, &n->err) != NB_OK)
        fail_msg("%s", n->err.message);
    return id;
}

static void not_a_number(Net *n) { n->end = quant(n, "act", normalize(n, NAN), grid_4, 1.0F); }

static void lowest_weight_falls(Net *n) {
    n->end = quant(n, "act", normalize(n, -1.0F), (NbGrid){.bits = 4, .is_signed = true}, 1.0F);
}

static void falling_codes(Net *n) {
    const NbNodeId a = quant(n, "a", n->conv, (NbGrid){.bits = 4, .is_signed = true}, 1.0F);
    const NbAttr attr = {.scale = {.factor = -1.0F}};
    n->end = quant(n, "act", add(n, NB_OP_SCALE, "minus", a, -1, &attr),
                   (NbGrid){.bits = 4, .is_signed = true}, 1.0F);
}

static void silu_of_codes(Net *n) {
    const NbGrid grid = {.bits = 6, .is_signed = true};
    const NbNodeId a = quant(n, "a", n->conv, grid, 6.0F);
    n->end = quant(n, "act", add(n, NB_OP_SILU, "silu", a, -1, NULL),
                   (NbGrid){.bits = 8, .is_signed = true}, 1.0F);
}

static const struct {
    const char *name;
    void (*build)(Net *n);
    NbStatus status;
    const char *want[3];
} rows[] = {
    {"float weights",
     float_weights,
     NB_ERR_UNSUPPORTED,
     {"QUANT 'act'", "the weights of 'bare' have no quantizer", "give the layer weight bits"}},
    {"float input",
     float_input,
     NB_ERR_UNSUPPORTED,
     {"'second'", "('relu') is not quantized", "activation bits"}},
    {"silu",
     steps_behind_silu,
     NB_ERR_UNSUPPORTED,
     {"QUANT 'act'", "steps between 'silu' and its quantizer", "right behind it"}},
    {"slope", slope, NB_ERR_UNSUPPORTED, {"LEAKY_RELU 'leaky'", "-0.5", "at least 0"}},
    {"12 bits", many_bits, NB_ERR_UNSUPPORTED, {"QUANT 'act'", "12 bits", "up to 8 bits"}},
    {"real output",
     real_output,
     NB_ERR_UNSUPPORTED,
     {"output 0 (RELU 'relu')", "real numbers", "put a quantizer behind it"}},
    {"pool first",
     pool_first,
     NB_ERR_UNSUPPORTED,
     {"MAXPOOL 'pool'", "real numbers", "put the quantizer in front of it"}},
    {"different scales",
     different_scales,
     NB_ERR_UNSUPPORTED,
     {"ADD 'add'", "do not share one scale", "one quantizer"}},
    {"not a number", not_a_number, NB_ERR_FORMAT, {"QUANT 'act'", "channel 0", "not finite"}},
    {"-128 falls",
     lowest_weight_falls,
     NB_ERR_UNSUPPORTED,
     {"QUANT 'act'", "-128, which cannot be negated", "narrow weight grid"}},
    {"silu of codes",
     silu_of_codes,
     NB_ERR_UNSUPPORTED,
     {"'silu' falls and rises", "codes of 'a'", "unsigned quantizer"}},
    {"falling codes",
     falling_codes,
     NB_ERR_UNSUPPORTED,
     {"QUANT 'act'", "falls as the codes of 'a' grow", "behind a convolution"}},
};

static void refusals_name_node_reason_and_remedy(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Net n;
        NbGraph out;
        start(&n);
        rows[i].build(&n);
        assert_int_equal(nb_graph_set_outputs(&n.g, 1, &n.end, &n.err), NB_OK);
        if (nb_graph_infer(&n.g, 1, 4, 4, &n.err) != NB_OK)
            fail_msg("%s: %s", rows[i].name, n.err.message);
        const NbStatus status = nb_lower_integer(&n.g, &n.arena, &out, &n.err);
        if (status != rows[i].status)
            fail_msg("%s: status %d, %d expected", rows[i].name, (int)status, (int)rows[i].status);
        for (int k = 0; k < 3; k++)
            if (!strstr(n.err.message, rows[i].want[k]))
                fail_msg("%s: '%s' does not hold '%s'", rows[i].name, n.err.message,
                         rows[i].want[k]);
        nb_arena_release(&n.arena);
    }
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    NbStatus status = NB_ERR_NOMEM;
    size_t takes = 0;
    while (status == NB_ERR_NOMEM) {
        Net n;
        NbGraph out;
        NbArena arena = {.fail_at = ++takes};
        start(&n);
        n.end = quant(&n, "act", normalize(&n, 1.0F), grid_4, 1.0F);
        assert_int_equal(nb_graph_set_outputs(&n.g, 1, &n.end, &n.err), NB_OK);
        assert_int_equal(nb_graph_infer(&n.g, 1, 4, 4, &n.err), NB_OK);
        status = nb_lower_integer(&n.g, &arena, &out, &n.err);
        nb_arena_release(&arena);
        nb_arena_release(&n.arena);
    }
    assert_int_equal(status, NB_OK);
    assert_true(takes > 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refusals_name_node_reason_and_remedy),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
