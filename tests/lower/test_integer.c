/* SPDX-License-Identifier: Apache-2.0
 *
 * The lowered graph computes what the float graph computes: every code, every output bit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "graph/interpret.h"
#include "lower/integer/chain.h"
#include "lower/integer/integer.h"
#include "lower/random_net.h"

#include <math.h>

enum { PICTURES = 4, NETS = 300 };

static void compare_node(const NbGraph *a, const NbValue *va, NbNodeId i, const NbGraph *b,
                         const NbValue *vb, NbNodeId j, uint32_t seed) {
    const float *x = nb_f32(&va[i].t);
    const float *y = nb_f32(&vb[j].t);
    (void)b;
    assert_true(nb_shape_equal(&va[i].t.shape, &vb[j].t.shape));
    for (size_t k = 0; k < nb_tensor_count(&va[i].t); k++)
        if (!(x[k] == y[k]))
            fail_msg("net %u, node '%s', value %zu: float graph %.9g, integers %.9g", seed,
                     a->node[i].name, k, (double)x[k], (double)y[k]);
}

/* Codes by name, outputs by number. Returns how many tensors were compared. */
static int compare(const NbGraph *a, const NbValue *va, const NbGraph *b, const NbValue *vb,
                   uint32_t seed, NbArena *arena) {
    int compared = 0;
    for (NbNodeId j = 0; j < b->n_nodes; j++) {
        const NbNodeId i = nb_graph_find(a, b->node[j].name);
        if (i < 0 || b->node[j].op == NB_OP_PARAM || b->node[j].op == NB_OP_DEQUANT)
            continue;
        assert_int_equal(va[i].coded, true);
        assert_int_equal(vb[j].coded, true);
        compare_node(a, va, i, b, vb, j, seed);
        assert_true(*va[i].scale == *vb[j].scale);
        compared++;
    }
    for (int o = 0; o < a->n_outputs; o++) {
        const NbValue *v = &va[a->output[o]];
        float *real = NB_NEW(arena, float, nb_tensor_count(&v->t));
        assert_non_null(real);
        for (size_t k = 0; k < nb_tensor_count(&v->t); k++)
            real[k] = v->coded ? nb_f32(&v->t)[k] * *v->scale : nb_f32(&v->t)[k];
        const NbValue *w = &vb[b->output[o]];
        for (size_t k = 0; k < nb_tensor_count(&v->t); k++)
            if (!(real[k] == nb_f32(&w->t)[k]))
                fail_msg("net %u, output %d, value %zu: %.9g, integers give %.9g", seed, o, k,
                         (double)real[k], (double)nb_f32(&w->t)[k]);
        compared++;
    }
    return compared;
}

/* Convolutions whose code falls and rises (SiLU in front of signed codes). */
static int count_curved(const NbGraph *g) {
    int n = 0;
    for (NbNodeId i = 0; i < g->n_nodes; i++)
        n += g->node[i].op == NB_OP_THRESHOLD && strstr(g->node[i].name, ".down");
    return n;
}

static void every_code_and_output_is_the_same(void **state) {
    (void)state;
    int compared = 0;
    int curved = 0;
    for (uint32_t seed = 0; seed < NETS; seed++) {
        NbArena arena = {0};
        NbError err = {0};
        RandomNet net;
        NbGraph integers;
        random_net(seed, seed % 4 == 0, &arena, &net);
        if (nb_lower_integer(&net.graph, &arena, &integers, &err) != NB_OK)
            fail_msg("net %u: %s", seed, err.message);
        curved += count_curved(&integers);
        for (int i = 0; i < PICTURES; i++) {
            const uint8_t *picture = random_picture(&net, seed, i, &arena);
            NbValue *a = NB_NEW(&arena, NbValue, (size_t)net.graph.n_nodes);
            NbValue *b = NB_NEW(&arena, NbValue, (size_t)integers.n_nodes);
            assert_non_null(a);
            assert_non_null(b);
            if (nb_interpret(&net.graph, picture, NB_RUN_EVAL, true, &arena, a, &err) != NB_OK ||
                nb_interpret(&integers, picture, NB_RUN_EVAL, true, &arena, b, &err) != NB_OK)
                fail_msg("net %u: %s", seed, err.message);
            compared += compare(&net.graph, a, &integers, b, seed, &arena);
        }
        nb_arena_release(&arena);
    }
    print_message("%d tensors of %d networks are equal, %d curves\n", compared, NETS, curved);
    assert_true(curved > NETS / 20);
}

static float any_size(NbRandom *r) {
    return (float)(nb_random_normal(r) * exp(nb_random_range(r, -6, 6)));
}

/* Every sum of a range, not only the steps. */
static void thresholds_count_what_the_float_expression_gives(void **state) {
    (void)state;
    NbRandom r = nb_random(5, NB_RANDOM_TEST, 0, 0);
    int falling_channels = 0;
    for (int round = 0; round < 400; round++) {
        const float scale = (float)exp(nb_random_range(&r, -9, 1));
        const float bias = any_size(&r);
        const float a = any_size(&r);
        const float b = any_size(&r);
        NbChain chain = {.channels = 1, .scale = &scale, .bias = round % 3 ? NULL : &bias, .n = 2};
        chain.step[0] = (NbChainStep){.op = NB_OP_BATCHNORM, .a = &a, .b = &b};
        chain.step[1] = (NbChainStep){.op = round % 2 ? NB_OP_RELU : NB_OP_HARDTANH};
        chain.spec.grid = (NbGrid){.bits = 1 + round % 8, .is_signed = round % 5 == 0};
        chain.quant_scale = (float)exp(nb_random_range(&r, -6, 0));
        chain.lo = nb_grid_lo(chain.spec.grid);
        chain.hi = nb_grid_hi(chain.spec.grid);
        const int64_t base = round % 7 == 0 ? 1 << 27 : 0; /* where float32 skips integers */
        const NbRange range = {.min = base - nb_random_below(&r, 3000),
                               .max = base + nb_random_below(&r, 3000)};
        int32_t t[255];
        bool falling = false;
        NbError err = {0};
        if (nb_chain_thresholds(&chain, 0, range, t, &falling, &err) != NB_OK)
            fail_msg("%s", err.message);
        falling_channels += falling;
        for (int64_t sum = range.min; sum <= range.max; sum++) {
            float code = 0;
            int64_t count = chain.lo;
            nb_chain_codes(&chain, 0, &sum, 1, &code);
            for (int64_t k = 0; k < chain.hi - chain.lo; k++)
                count += t[k] != INT32_MAX && (falling ? -sum : sum) >= t[k];
            if ((float)count != code)
                fail_msg("round %d, sum %lld: code %g, thresholds give %lld", round, (long long)sum,
                         (double)code, (long long)count);
        }
    }
    assert_in_range(falling_channels, 50, 350);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_and_output_is_the_same),
        cmocka_unit_test(thresholds_count_what_the_float_expression_gives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
