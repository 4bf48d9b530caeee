/* SPDX-License-Identifier: Apache-2.0
 *
 * What operators compute: worked by hand where numbers are few, properties where they are many. */
#include "graph/activation.h"
#include "graph/help.h"

#include <float.h>
#include <math.h>

static const NbQuantSpec weight4 = {.kind = NB_QUANT_INT,
                                    .grid = {4, true, true},
                                    .scale_from = NB_SCALE_STATS,
                                    .per_channel = true,
                                    .scale_min = 2e-16F};
static const NbQuantSpec uint4 = {
    .kind = NB_QUANT_INT, .grid = {4, false, false}, .scale_from = NB_SCALE_CONST, .init = 6.0F};

static NbNodeId input(NbGraph *g, int channels) {
    return add(g, NB_OP_INPUT, "images", 0, NULL,
               (NbAttr){.input = {.scale = 1.0F / 255.0F, .channels = channels}});
}

static NbValue *run(NbGraph *g, NbArena *arena, const uint8_t *images, NbRunMode mode) {
    NbError err = {0};
    NbValue *v = NB_NEW(arena, NbValue, (size_t)g->n_nodes);
    must(nb_interpret(g, images, mode, true, arena, v, &err), &err);
    return v;
}

/* Three inputs 2, 4, 6 pixels; weights 0.3, -0.7 in one channel: codes 3, -7, scale 0.1. */
static void coded_convolution_by_hand(void **state) {
    (void)state;
    NbArena arena = {0};
    NbGraph g;
    nb_graph_init(&g, &arena);
    const NbNodeId x = input(&g, 1);
    const NbNodeId w =
        add_param(&g, "w", NB_PARAM_WEIGHT, NB_F32, 4, (const int64_t[]){1, 1, 1, 2});
    const NbNodeId b = add_param(&g, "b", NB_PARAM_BIAS, NB_F32, 1, (const int64_t[]){1});
    memcpy(g.node[w].param.data, (const float[]){0.30F, -0.70F}, 2 * sizeof(float));
    memcpy(g.node[b].param.data, (const float[]){0.25F}, sizeof(float));
    const NbNodeId q = add(&g, NB_OP_QUANT, "wq", 1, &w, (NbAttr){.quant = weight4});
    const NbNodeId c = add(&g, NB_OP_CONV, "c", 3, (const NbNodeId[]){x, q, b},
                           (NbAttr){.conv = {{1, 2}, {1, 1}, {0, 1, 0, 0}, {1, 1}, 1}});
    outputs(&g, c);
    infer(&g, 1, 1, 3);
    const uint8_t images[] = {2, 4, 6};
    const NbValue *v = run(&g, &arena, images, NB_RUN_EVAL);
    assert_true(v[q].coded);
    assert_float_equal(nb_f32(&v[q].t)[0], 3, 0);
    assert_float_equal(nb_f32(&v[q].t)[1], -7, 0);
    const float scale = (1.0F / 255.0F) * v[q].scale[0];
    const int sums[] = {0 * 3 - 7 * 2, 2 * 3 - 7 * 4, 4 * 3 - 7 * 6};
    for (int i = 0; i < 3; i++) {
        const float scaled = (float)sums[i] * scale;
        assert_true(nb_f32(&v[c].t)[i] == scaled + 0.25F);
    }
    nb_arena_release(&arena);
}

typedef struct Net {
    NbGraph g;
    NbNodeId q, conv;
    NbConvAttr attr;
} Net;

/* A random convolution of pictures: once as the trainer has it, once as integers. */
static void random_net(Net *n, NbArena *arena, NbRandom *r, bool integer, const float *codes,
                       const float *scales) {
    nb_graph_init(&n->g, arena);
    const int64_t out = 4;
    const NbNodeId x = input(&n->g, 2);
    const int64_t dim[] = {out, 2, n->attr.kernel[0], n->attr.kernel[1]};
    const NbNodeId w = add_param(&n->g, "w", integer ? NB_PARAM_CONST : NB_PARAM_WEIGHT,
                                 integer ? NB_I8 : NB_F32, 4, dim);
    NbNodeId bias = add_param(&n->g, "b", NB_PARAM_BIAS, NB_F32, 1, &out);
    for (int i = 0; i < out; i++)
        nb_f32(&n->g.node[bias].param)[i] = 0.125F * (float)i - 0.3F;
    NbNodeId join[3] = {x, w, bias};
    if (!integer) {
        fill(&n->g, w, r, -1, 1);
        n->q = join[1] = add(&n->g, NB_OP_QUANT, "wq", 1, &w, (NbAttr){.quant = weight4});
        n->conv = add(&n->g, NB_OP_CONV, "c", 3, join, (NbAttr){.conv = n->attr});
        outputs(&n->g, n->conv);
        return;
    }
    nb_convert(codes, NB_F32, n->g.node[w].param.data, NB_I8, nb_tensor_count(&n->g.node[w].param));
    const NbNodeId c = add(&n->g, NB_OP_CONV, "c", 2, join, (NbAttr){.conv = n->attr});
    const NbNodeId s = add_param(&n->g, "s", NB_PARAM_CONST, NB_F32, 1, &out);
    for (int i = 0; i < out; i++)
        nb_f32(&n->g.node[s].param)[i] = (1.0F / 255.0F) * scales[i];
    n->conv = add(&n->g, NB_OP_DEQUANT, "d", 3, (const NbNodeId[]){c, s, bias}, (NbAttr){0});
    outputs(&n->g, n->conv);
}

/* CONV(codes) = DEQUANT(integer CONV), bit for bit. */
static void integer_graph_equals_the_coded_one(void **state) {
    (void)state;
    static const NbConvAttr attrs[] = {
        {{3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}, 1},
        {{3, 2}, {2, 1}, {0, 1, 2, 0}, {1, 2}, 1},
        {{1, 1}, {1, 1}, {0, 0, 0, 0}, {1, 1}, 1},
        {{5, 5}, {3, 3}, {2, 2, 2, 2}, {1, 1}, 1},
    };
    for (size_t k = 0; k < sizeof attrs / sizeof *attrs; k++) {
        NbArena arena = {0};
        NbRandom r = nb_random(5, NB_RANDOM_TEST, (uint32_t)k, 0);
        uint8_t images[2 * 2 * 9 * 8];
        for (size_t i = 0; i < sizeof images; i++)
            images[i] = (uint8_t)nb_random_below(&r, 256);
        Net a = {.attr = attrs[k]};
        Net b = {.attr = attrs[k]};
        random_net(&a, &arena, &r, false, NULL, NULL);
        infer(&a.g, 2, 9, 8);
        const NbValue *va = run(&a.g, &arena, images, NB_RUN_EVAL);
        random_net(&b, &arena, &r, true, nb_f32(&va[a.q].t), va[a.q].scale);
        infer(&b.g, 2, 9, 8);
        const NbValue *vb = run(&b.g, &arena, images, NB_RUN_EVAL);
        assert_int_equal(vb[b.conv - 2].t.dtype, NB_I32);
        assert_memory_equal(va[a.conv].t.data, vb[b.conv].t.data,
                            nb_tensor_count(&va[a.conv].t) * sizeof(float));
        nb_arena_release(&arena);
    }
}

static void thresholds_by_hand(void **state) {
    (void)state;
    NbArena arena = {0};
    NbGraph g;
    nb_graph_init(&g, &arena);
    const NbNodeId x = input(&g, 2);
    const NbNodeId t = add_param(&g, "t", NB_PARAM_CONST, NB_I32, 2, (const int64_t[]){2, 3});
    const int32_t levels[] = {INT32_MIN, 10, 10, 0, 255, INT32_MAX};
    memcpy(g.node[t].param.data, levels, sizeof levels);
    const NbNodeId y = add(&g, NB_OP_THRESHOLD, "y", 2, (const NbNodeId[]){x, t},
                           (NbAttr){.threshold = {{2, true, false}, 0.5F}});
    outputs(&g, y);
    infer(&g, 1, 1, 3);
    const uint8_t images[] = {9, 10, 11, 0, 254, 255};
    const NbValue *v = run(&g, &arena, images, NB_RUN_EVAL);
    const float want[] = {-1, 1, 1, -1, -1, 0};
    assert_memory_equal(v[y].t.data, want, sizeof want);
    assert_true(v[y].coded);
    assert_true(v[y].scale[0] == 0.5F);
    ((int32_t *)g.node[t].param.data)[4] = -1; /* falls */
    NbError err = {0};
    assert_int_equal(nb_graph_infer(&g, 1, 1, 3, &err), NB_ERR_ARGUMENT);
    assert_non_null(strstr(err.message, "channel 1 fall from 0 to -1"));
    nb_arena_release(&arena);
}

/* Values checked against the definition of PyTorch: y of the batch, running mean with momentum,
 * running variance with the unbiased one. */
static void batch_norm_by_hand(void **state) {
    (void)state;
    NbArena arena = {0};
    NbGraph g;
    const int64_t one = 1;
    nb_graph_init(&g, &arena);
    NbNodeId in[5];
    in[0] = add_param(&g, "x", NB_PARAM_WEIGHT, NB_F32, 4, (const int64_t[]){2, 1, 1, 2});
    in[1] = add_param(&g, "gamma", NB_PARAM_GAMMA, NB_F32, 1, &one);
    in[2] = add_param(&g, "beta", NB_PARAM_BETA, NB_F32, 1, &one);
    in[3] = add_param(&g, "mean", NB_PARAM_MEAN, NB_F32, 1, &one);
    in[4] = add_param(&g, "var", NB_PARAM_VAR, NB_F32, 1, &one);
    memcpy(g.node[in[0]].param.data, (const float[]){1, 3, 5, 7}, 4 * sizeof(float));
    nb_f32(&g.node[in[1]].param)[0] = 2.0F;
    nb_f32(&g.node[in[2]].param)[0] = 0.5F;
    nb_f32(&g.node[in[3]].param)[0] = 1.0F;
    nb_f32(&g.node[in[4]].param)[0] = 4.0F;
    const NbNodeId y = add(&g, NB_OP_BATCHNORM, "y", 5, in, (NbAttr){.batchnorm = {1e-3F, 0.25F}});
    outputs(&g, y);
    infer(&g, 1, 1, 1);
    const NbValue *v = run(&g, &arena, NULL, NB_RUN_EVAL);
    const float a = 2.0F / sqrtf(4.0F + 1e-3F);
    const float shift = 1.0F * a;
    const float last = 7.0F * a;
    assert_true(nb_f32(&v[y].t)[3] == last + (0.5F - shift));
    v = run(&g, &arena, NULL, NB_RUN_TRAIN);
    assert_float_equal(nb_f32(&v[y].t)[0], (float)(2.0 * (1 - 4) / sqrt(5.001) + 0.5), 1e-6F);
    assert_float_equal(nb_f32(&g.node[in[3]].param)[0], 0.75F * 1 + 0.25F * 4, 1e-7F);
    assert_float_equal(nb_f32(&g.node[in[4]].param)[0], 0.75F * 4 + 0.25F * 20.0F / 3.0F, 1e-6F);
    nb_arena_release(&arena);
}

/* Codes pass through pools, padding, upsampling, concatenation: the result equals moving the real
 * numbers. An addition of one scale adds codes, unless zero points
 * would add up, too. */
static void pass_on(float zero) {
    NbQuantSpec spec = uint4;
    spec.zero = zero;
    NbArena arena = {0};
    NbGraph g;
    NbRandom r = nb_random(6, NB_RANDOM_TEST, 0, 0);
    nb_graph_init(&g, &arena);
    NbNodeId end[2];
    const NbNodeId x =
        add_param(&g, "x", NB_PARAM_WEIGHT, NB_F32, 4, (const int64_t[]){1, 2, 5, 6});
    fill(&g, x, &r, 0.2, 7);
    for (int real = 0; real < 2; real++) {
        char name[16];
        static const char *const stem[] = {"q", "r", "m", "p", "u", "j", "s"};
        NbNodeId at = add(&g, NB_OP_QUANT, real ? "rq" : "q", 1, &x, (NbAttr){.quant = spec});
        if (real) /* an activation that changes nothing here makes the value real */
            at = add(&g, NB_OP_RELU, "real", 1, &at, (NbAttr){0});
        (void)snprintf(name, sizeof name, "%s%d", stem[2], real);
        at = add(&g, NB_OP_MAXPOOL, name, 1, &at, (NbAttr){.pool = {{3, 3}, {2, 2}, {1, 1, 1, 1}}});
        (void)snprintf(name, sizeof name, "%s%d", stem[3], real);
        at = add(&g, NB_OP_PAD, name, 1, &at, (NbAttr){.pad = {{1, 0, 0, 2}}});
        (void)snprintf(name, sizeof name, "%s%d", stem[4], real);
        at = add(&g, NB_OP_UPSAMPLE, name, 1, &at, (NbAttr){.upsample = {2}});
        (void)snprintf(name, sizeof name, "%s%d", stem[5], real);
        at = add(&g, NB_OP_CONCAT, name, 2, (const NbNodeId[]){at, at}, (NbAttr){.concat = {1}});
        end[real] = at;
    }
    const NbNodeId sum =
        add(&g, NB_OP_ADD, "sum", 2, (const NbNodeId[]){end[0], end[0]}, (NbAttr){0});
    outputs(&g, sum);
    infer(&g, 1, 1, 1);
    NbError err = {0};
    const NbValue *v = run(&g, &arena, NULL, NB_RUN_EVAL);
    const float *moved = NULL;
    must(nb_value_real(&v[end[0]], &arena, &moved, &err), &err);
    assert_true(v[end[0]].coded && !v[end[1]].coded && v[sum].coded == (zero == 0.0F));
    const size_t count = nb_tensor_count(&v[end[0]].t);
    assert_memory_equal(moved, v[end[1]].t.data, count * sizeof(float));
    for (size_t i = 0; i < count; i++)
        assert_true(nb_f32(&v[sum].t)[i] ==
                    2.0F * (v[sum].coded ? nb_f32(&v[end[0]].t)[i] : moved[i]));
    nb_arena_release(&arena);
}

static void codes_pass_on(void **state) {
    (void)state;
    pass_on(0.0F);
    pass_on(3.0F);
}

static void activations_at_their_ends(void **state) {
    (void)state;
    assert_true(nb_sigmoid(0.0F) == 0.5F);
    assert_true(nb_sigmoid(-1000.0F) == 0.0F && nb_sigmoid(1000.0F) == 1.0F);
    assert_true(nb_silu(0.0F) == 0.0F && nb_silu(-1000.0F) == 0.0F && nb_silu(1000.0F) == 1000.0F);
    assert_float_equal(nb_silu(1.0F), 0.7310585786F, 1e-7F);
}

/* nb_exp against the double routine over all magnitudes; softmax of ties and of large numbers. */
static void softmax_is_exact_enough(void **state) {
    (void)state;
    for (uint32_t bits = 0; bits < UINT32_MAX - 100003; bits += 100003) {
        float x = 0.0F;
        memcpy(&x, &bits, sizeof x);
        const double want = exp((double)x);
        const double got = (double)nb_exp(x);
        const double unit = want < 0x1p-126 ? 0x1p-149 : want * 0x1p-23;
        if (isnan(x)                 ? !isnan(got)
            : want > (double)FLT_MAX ? x > 88.73F && !isinf(got)
                                     : fabs(got - want) > unit)
            fail_msg("exp(%a) = %a, expected %a", (double)x, got, want);
    }
    assert_true(nb_exp(0.0F) == 1.0F && nb_exp(-INFINITY) == 0.0F && isinf(nb_exp(INFINITY)));
    float x[] = {1000.0F, -3.0F, 1000.0F, 7.0F, -1000.0F, 9.0F};
    nb_softmax(x, 3, 2, x);
    const float want[] = {0.5F, -3.0F, 0.5F, 7.0F, 0.0F, 9.0F};
    assert_memory_equal(x, want, sizeof want);
}

/* Codes 2, 4 / 6, 8 of pictures (scale 1/255) times codes of weights (scale 0.1, zero of both 0).
 */
static void coded_product_by_hand(void **state) {
    (void)state;
    NbArena arena = {0};
    NbGraph g;
    nb_graph_init(&g, &arena);
    NbQuantSpec spec = weight4;
    spec.per_channel = false;
    const NbNodeId x = input(&g, 1);
    const NbNodeId w = add_param(&g, "w", NB_PARAM_WEIGHT, NB_F32, 2, (const int64_t[]){2, 1});
    memcpy(g.node[w].param.data, (const float[]){0.30F, -0.70F}, 2 * sizeof(float));
    const NbNodeId q = add(&g, NB_OP_QUANT, "wq", 1, &w, (NbAttr){.quant = spec});
    const NbNodeId y = add(&g, NB_OP_MATMUL, "y", 2, (const NbNodeId[]){x, q}, (NbAttr){0});
    outputs(&g, y);
    infer(&g, 1, 2, 2);
    const NbValue *v = run(&g, &arena, (const uint8_t[]){2, 4, 6, 8}, NB_RUN_EVAL);
    const float scale = (1.0F / 255.0F) * v[q].scale[0];
    assert_false(v[y].coded);
    assert_true(nb_f32(&v[y].t)[0] == (float)(2 * 3 - 4 * 7) * scale);
    assert_true(nb_f32(&v[y].t)[1] == (float)(6 * 3 - 8 * 7) * scale);
    g.node[q].attr.quant.per_channel = true; /* row k has a scale of its own: no common one */
    NbError err = {0};
    assert_int_equal(nb_graph_infer(&g, 1, 2, 2, &err), NB_ERR_UNSUPPORTED);
    nb_arena_release(&arena);
}

/* Codes of a picture [1, 4, 2, 3] through SLICE, TRANSPOSE and RESHAPE, and back to an image. */
static void views_pass_codes_on(void **state) {
    (void)state;
    NbArena arena = {0};
    NbGraph g;
    nb_graph_init(&g, &arena);
    uint8_t images[24];
    for (size_t i = 0; i < sizeof images; i++)
        images[i] = (uint8_t)i;
    const NbNodeId x = input(&g, 4);
    const NbNodeId flat =
        add(&g, NB_OP_RESHAPE, "flat", 1, &x, (NbAttr){.reshape = {4, {0, 2, 2, -1}}});
    const NbNodeId cut = add(&g, NB_OP_SLICE, "cut", 1, &flat, (NbAttr){.slice = {2, 1, 2, 1}});
    const NbNodeId turned =
        add(&g, NB_OP_TRANSPOSE, "turned", 1, &cut, (NbAttr){.transpose = {{0, 3, 2, 1}}});
    const NbNodeId back = add(&g, NB_OP_RESHAPE, "back", 2, (const NbNodeId[]){cut, x},
                              (NbAttr){.reshape = {4, {0, -1, 0, 0}}});
    const NbNodeId same = add(&g, NB_OP_DETACH, "same", 1, &back, (NbAttr){0});
    outputs(&g, same);
    infer(&g, 1, 2, 3);
    const NbValue *v = run(&g, &arena, images, NB_RUN_EVAL);
    assert_true(v[turned].coded && v[same].coded && v[same].grid.bits == 8);
    assert_true(g.node[same].scale_source == x && v[same].scale[0] == 1.0F / 255.0F);
    const NbShape image = nb_shape(4, (const int64_t[]){1, 2, 2, 3});
    const NbShape wide = nb_shape(4, (const int64_t[]){1, 6, 1, 2});
    assert_true(nb_shape_equal(&g.node[same].shape, &image));
    assert_true(nb_shape_equal(&g.node[turned].shape, &wide));
    for (int c = 0; c < 2; c++)
        for (int p = 0; p < 6; p++) {
            const float want = (float)((2 * c + 1) * 6 + p);
            assert_true(nb_f32(&v[same].t)[c * 6 + p] == want);
            assert_true(nb_f32(&v[turned].t)[p * 2 + c] == want);
        }
    nb_arena_release(&arena);
}

/* A sum outside int32 is an error, not a wrong number. */
static void sums_that_do_not_fit_are_refused(void **state) {
    (void)state;
    NbArena arena = {0};
    NbError err = {0};
    NbGraph g;
    nb_graph_init(&g, &arena);
    enum { C = 4096, K = 17 };
    const NbNodeId x = input(&g, C);
    const NbNodeId w = add_param(&g, "w", NB_PARAM_CONST, NB_I8, 4, (const int64_t[]){1, C, K, 1});
    memset(g.node[w].param.data, 127, (size_t)C * K);
    outputs(&g, add(&g, NB_OP_CONV, "c", 2, (const NbNodeId[]){x, w},
                    (NbAttr){.conv = {{K, 1}, {1, 1}, {0}, {1, 1}, 1}}));
    infer(&g, 1, K, 1);
    uint8_t *images = NB_NEW(&arena, uint8_t, (size_t)C * K);
    NbValue *v = NB_NEW(&arena, NbValue, (size_t)g.n_nodes);
    memset(images, 255, (size_t)C * K);
    assert_int_equal(nb_interpret(&g, images, NB_RUN_EVAL, true, &arena, v, &err), NB_ERR_ARGUMENT);
    assert_non_null(strstr(err.message, "2255032320"));
    nb_arena_release(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(coded_convolution_by_hand),
        cmocka_unit_test(integer_graph_equals_the_coded_one),
        cmocka_unit_test(thresholds_by_hand),
        cmocka_unit_test(batch_norm_by_hand),
        cmocka_unit_test(codes_pass_on),
        cmocka_unit_test(activations_at_their_ends),
        cmocka_unit_test(softmax_is_exact_enough),
        cmocka_unit_test(coded_product_by_hand),
        cmocka_unit_test(views_pass_codes_on),
        cmocka_unit_test(sums_that_do_not_fit_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
