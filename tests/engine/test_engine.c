/* SPDX-License-Identifier: Apache-2.0
 *
 * The engine computes what the interpreter computes on the same integer graph, on every
 * instruction set of this machine, with any number of threads, fused or not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/engine.h"
#include "graph/interpret.h"
#include "lower/integer/integer.h"
#include "lower/random_net.h"

enum { PICTURES = 3, NETS = 90, MOST_THREADS = 3 };

typedef struct Case {
    NbArena arena;
    uint32_t seed;
    RandomNet net;
    NbGraph integers;
    const uint8_t *picture[PICTURES]; /* NCHW */
    uint8_t *image[PICTURES];         /* NHWC */
    NbValue *value[PICTURES];
} Case;

static void make_case(Case *c, uint32_t seed) {
    NbError err = {0};
    *c = (Case){.seed = seed};
    random_net(seed, seed % 3 == 0, &c->arena, &c->net);
    if (nb_lower_integer(&c->net.graph, &c->arena, &c->integers, &err) != NB_OK)
        fail_msg("net %u: %s", seed, err.message);
    const size_t pixels = (size_t)(c->net.height * c->net.width);
    for (int i = 0; i < PICTURES; i++) {
        c->picture[i] = random_picture(&c->net, seed, i, &c->arena);
        c->image[i] = NB_NEW(&c->arena, uint8_t, pixels * (size_t)c->net.channels);
        c->value[i] = NB_NEW(&c->arena, NbValue, (size_t)c->integers.n_nodes);
        assert_non_null(c->image[i]);
        assert_non_null(c->value[i]);
        for (size_t p = 0; p < pixels; p++)
            for (int k = 0; k < c->net.channels; k++)
                c->image[i][p * (size_t)c->net.channels + (size_t)k] =
                    c->picture[i][(size_t)k * pixels + p];
        if (nb_interpret(&c->integers, c->picture[i], NB_RUN_EVAL, true, &c->arena, c->value[i],
                         &err) != NB_OK)
            fail_msg("net %u: %s", seed, err.message);
    }
}

/* Number k (NHWC order) of a value of the interpreter. */
static double number(const NbValue *v, size_t k) {
    const int64_t *dim = v->t.shape.dim;
    const size_t channels = (size_t)dim[1];
    const size_t pixels = (size_t)(dim[2] * dim[3]);
    const size_t at = k % channels * pixels + k / channels;
    return v->t.dtype == NB_I32 ? (double)((const int32_t *)v->t.data)[at]
                                : (double)nb_f32(&v->t)[at];
}

static void check_outputs(const Case *c, const NbEngine *e, int i, const char *how) {
    for (int o = 0; o < c->integers.n_outputs; o++) {
        int64_t dim[3] = {0};
        const float *out = nb_engine_output(e, o, dim);
        const NbValue *want = &c->value[i][c->integers.output[o]];
        assert_int_equal(dim[0], want->t.shape.dim[2]);
        assert_int_equal(dim[1], want->t.shape.dim[3]);
        assert_int_equal(dim[2], want->t.shape.dim[1]);
        for (size_t k = 0; k < nb_tensor_count(&want->t); k++)
            if ((double)out[k] != number(want, k))
                fail_msg("net %u, %s, picture %d, output %d, value %zu: %.9g, interpreter %.9g",
                         c->seed, how, i, o, k, (double)out[k], number(want, k));
    }
}

static void check_taps(const Case *c, const NbEngine *e, int i, const char *how) {
    int tapped = 0;
    for (NbNodeId id = 0; id < c->integers.n_nodes; id++) {
        const NbNode *node = &c->integers.node[id];
        const NbValue *want = &c->value[i][id];
        NbError err = {0};
        size_t count = 0;
        if (node->op == NB_OP_PARAM || node->op == NB_OP_DEQUANT)
            continue;
        const size_t n = nb_shape_count(&node->shape);
        int32_t *got = malloc(n * sizeof *got);
        assert_non_null(got);
        if (nb_engine_tap(e, node->name, got, n, &count, &err) != NB_OK)
            fail_msg("net %u, %s, '%s': %s", c->seed, how, node->name, err.message);
        assert_int_equal(count, n);
        for (size_t k = 0; k < n; k++)
            if (got[k] != number(want, k))
                fail_msg("net %u, %s, picture %d, '%s', value %zu: %d, interpreter %g", c->seed,
                         how, i, node->name, k, got[k], number(want, k));
        free(got);
        tapped++;
    }
    assert_true(tapped > 0);
}

static void run_case(const Case *c, NbIsa isa, int threads, bool keep) {
    NbError err = {0};
    NbPool *pool = NULL;
    NbEngine *e = NULL;
    char how[64];
    if (threads > 1 && nb_pool_new(threads, &pool, &err) != NB_OK)
        fail_msg("%s", err.message);
    const NbEngineOptions options = {
        .height = c->net.height, .width = c->net.width, .isa = isa, .pool = pool, .keep = keep};
    (void)snprintf(how, sizeof how, "%s, %d threads%s", nb_isa_name(isa), threads,
                   keep ? ", kept" : "");
    if (nb_engine_new(&c->integers, &options, &e, &err) != NB_OK)
        fail_msg("net %u, %s: %s", c->seed, how, err.message);
    for (int i = 0; i < PICTURES; i++) {
        assert_int_equal(nb_engine_run(e, c->image[i], &err), NB_OK);
        check_outputs(c, e, i, how);
        if (keep)
            check_taps(c, e, i, how);
    }
    assert_true(nb_engine_bytes(e) > 0);
    nb_engine_free(e);
    nb_pool_free(pool);
}

static void engine_equals_interpreter(void **state) {
    (void)state;
    for (uint32_t seed = 0; seed < NETS; seed++) {
        Case c;
        make_case(&c, seed);
        for (NbIsa isa = NB_ISA_C; isa <= nb_isa_detect(); isa++) {
            if (isa == NB_ISA_AVX512 && nb_isa_detect() > isa) /* the same kernels as AVX2 */
                continue;
            run_case(&c, isa, 1 + (int)(seed % MOST_THREADS), true);
            for (int threads = 1; threads <= MOST_THREADS; threads++)
                run_case(&c, isa, threads, false);
        }
        nb_arena_release(&c.arena);
    }
    print_message("%d networks, up to %s\n", NETS, nb_isa_name(nb_isa_detect()));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(engine_equals_interpreter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
