/* SPDX-License-Identifier: Apache-2.0
 *
 * What an engine promises beside its numbers: running allocates nothing, engines are independent,
 * what it cannot do it says. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/engine.h"
#include "lower/integer/integer.h"
#include "lower/random_net.h"

/* The linker sends every allocation of this program through these. */
static int allocations;
static int fail_at; /* so many allocations from now one fails; 0: none */

static bool fails(void) {
    allocations++;
    return fail_at > 0 && --fail_at == 0;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__real_aligned_alloc(size_t align, size_t size);
int __real_posix_memalign(void **out, size_t align, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size);
int __wrap_posix_memalign(void **out, size_t align, size_t size);

void *__wrap_malloc(size_t size) { return fails() ? NULL : __real_malloc(size); }

void *__wrap_calloc(size_t n, size_t size) { return fails() ? NULL : __real_calloc(n, size); }

void *__wrap_realloc(void *p, size_t size) { return fails() ? NULL : __real_realloc(p, size); }

void *__wrap_aligned_alloc(size_t align, size_t size) {
    return fails() ? NULL : __real_aligned_alloc(align, size);
}

int __wrap_posix_memalign(void **out, size_t align, size_t size) {
    return fails() ? ENOMEM : __real_posix_memalign(out, align, size);
}

typedef struct Made {
    NbArena arena;
    RandomNet net;
    NbGraph integers;
    uint8_t *image; /* [height][width][channels], any bytes */
} Made;

static void make(Made *m, uint32_t seed) {
    NbError err = {0};
    memset(m, 0, sizeof *m);
    random_net(seed, true, &m->arena, &m->net);
    if (nb_lower_integer(&m->net.graph, &m->arena, &m->integers, &err) != NB_OK)
        fail_msg("%s", err.message);
    const size_t n = (size_t)(m->net.height * m->net.width * m->net.channels);
    m->image = NB_NEW(&m->arena, uint8_t, n);
    assert_non_null(m->image);
    memcpy(m->image, random_picture(&m->net, seed, 2, &m->arena), n);
}

static NbEngine *start(const Made *m, NbPool *pool, bool keep) {
    NbError err = {0};
    NbEngine *e = NULL;
    const NbEngineOptions options = {.height = m->net.height,
                                     .width = m->net.width,
                                     .isa = nb_isa_detect(),
                                     .pool = pool,
                                     .keep = keep};
    if (nb_engine_new(&m->integers, &options, &e, &err) != NB_OK)
        fail_msg("%s", err.message);
    return e;
}

static void running_allocates_nothing(void **state) {
    (void)state;
    NbError err = {0};
    NbPool *pool = NULL;
    Made m;
    make(&m, 3);
    assert_int_equal(nb_pool_new(2, &pool, &err), NB_OK);
    const int before = allocations;
    NbEngine *e = start(&m, pool, false);
    assert_true(allocations > before); /* the counter works */
    const size_t bytes = nb_engine_bytes(e);
    const int made = allocations;
    for (int i = 0; i < 5; i++)
        assert_int_equal(nb_engine_run(e, m.image, &err), NB_OK);
    assert_int_equal(allocations, made);
    assert_int_equal(nb_engine_bytes(e), bytes);
    nb_engine_free(e);
    nb_pool_free(pool);
    nb_arena_release(&m.arena);
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    NbError err = {0};
    NbEngine *e = NULL;
    Made m;
    make(&m, 15);
    const NbEngineOptions options = {
        .height = m.net.height, .width = m.net.width, .isa = nb_isa_detect(), .keep = true};
    NbStatus status = NB_ERR_NOMEM;
    int at = 0;
    while (status == NB_ERR_NOMEM) {
        fail_at = ++at;
        status = nb_engine_new(&m.integers, &options, &e, &err);
        assert_true(status == NB_OK || e == NULL);
    }
    fail_at = 0;
    if (status != NB_OK)
        fail_msg("%s", err.message);
    assert_true(at > 3);
    nb_engine_free(e);
    nb_arena_release(&m.arena);
}

static float *copy_output(const NbEngine *e, size_t *n) {
    int64_t dim[3];
    const float *out = nb_engine_output(e, 0, dim);
    *n = (size_t)(dim[0] * dim[1] * dim[2]);
    float *copy = malloc(*n * sizeof *copy);
    assert_non_null(copy);
    memcpy(copy, out, *n * sizeof *copy);
    return copy;
}

static void engines_do_not_disturb_each_other(void **state) {
    (void)state;
    NbError err = {0};
    Made m[2];
    NbEngine *e[2];
    float *alone[2];
    size_t n[2];
    for (int i = 0; i < 2; i++) {
        make(&m[i], 6U + (uint32_t)i);
        e[i] = start(&m[i], NULL, false);
        assert_int_equal(nb_engine_run(e[i], m[i].image, &err), NB_OK);
        alone[i] = copy_output(e[i], &n[i]);
    }
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < 2; i++)
            assert_int_equal(nb_engine_run(e[i], m[i].image, &err), NB_OK);
    for (int i = 0; i < 2; i++) {
        float *again = copy_output(e[i], &n[i]);
        assert_memory_equal(again, alone[i], n[i] * sizeof *again);
        free(again);
        free(alone[i]);
        nb_engine_free(e[i]);
        nb_arena_release(&m[i].arena);
    }
}

static void sizes_and_graphs_are_checked(void **state) {
    (void)state;
    NbError err = {0};
    NbEngine *e = NULL;
    Made m;
    make(&m, 9);
    NbEngineOptions options = {.height = 0, .width = 5};
    assert_int_equal(nb_engine_new(&m.integers, &options, &e, &err), NB_ERR_ARGUMENT);
    assert_string_equal(err.message, "pictures of 0x5, at least 1x1 expected");
    assert_null(e);
    options = (NbEngineOptions){.height = m.net.height, .width = m.net.width};
    assert_int_equal(nb_engine_new(&m.net.graph, &options, &e, &err), NB_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "lower"));
    assert_null(e);
    nb_engine_free(NULL);
    nb_arena_release(&m.arena);
}

static void taps_say_why_not(void **state) {
    (void)state;
    NbError err = {0};
    int32_t one = 0;
    size_t count = 0;
    Made m;
    make(&m, 12);
    NbEngine *fast = start(&m, NULL, false);
    NbEngine *kept = start(&m, NULL, true);
    assert_int_equal(nb_engine_tap(fast, "image", &one, 1, &count, &err), NB_ERR_UNSUPPORTED);
    assert_string_equal(err.message, "the engine was made without keeping values");
    assert_int_equal(nb_engine_tap(kept, "image", &one, 1, &count, &err), NB_ERR_ARGUMENT);
    assert_string_equal(err.message, "the engine has not run yet");
    assert_int_equal(nb_engine_run(kept, NULL, &err), NB_ERR_ARGUMENT);
    assert_int_equal(nb_engine_run(kept, m.image, &err), NB_OK);
    assert_int_equal(nb_engine_tap(kept, "nobody", &one, 1, &count, &err), NB_ERR_ARGUMENT);
    assert_string_equal(err.message, "the integer graph has no node 'nobody'");
    assert_int_equal(nb_engine_tap(kept, "image0", &one, 1, &count, &err), NB_ERR_ARGUMENT);
    assert_non_null(strstr(err.message, "there is room for 1"));
    nb_engine_free(fast);
    nb_engine_free(kept);
    nb_arena_release(&m.arena);
}

/* 1x1 weights of 127 on 8-bit codes: 66000 of them still fit int32, 67000 do not. */
static void sums_that_could_overflow_are_refused(void **state) {
    (void)state;
    for (int k = 0; k < 2; k++) {
        NbArena arena = {0};
        NbError err = {0};
        NbGraph g;
        NbEngine *e = NULL;
        NbNodeId in[2] = {-1, -1};
        NbNodeId out = -1;
        const int side = k ? 149 : 148; /* 3 * 149 * 149 = 66603 products; 3 * 148 * 148 = 65712 */
        NbAttr attr = {.input = {.scale = 1.0F, .channels = 3}};
        nb_graph_init(&g, &arena);
        assert_int_equal(nb_graph_add(&g, NB_OP_INPUT, "image", 0, NULL, &attr, &in[0], &err),
                         NB_OK);
        const NbShape shape = nb_shape(4, (const int64_t[]){1, 3, side, side});
        assert_int_equal(nb_graph_add_param(&g, "w", NB_PARAM_CONST, NB_I8, &shape, &in[1], &err),
                         NB_OK);
        memset(g.node[in[1]].param.data, 127, nb_shape_count(&shape));
        attr = (NbAttr){
            .conv = {.kernel = {side, side}, .stride = {1, 1}, .dilation = {1, 1}, .groups = 1}};
        assert_int_equal(nb_graph_add(&g, NB_OP_CONV, "conv", 2, in, &attr, &in[0], &err), NB_OK);
        const NbShape single = nb_shape(1, (const int64_t[]){1});
        assert_int_equal(nb_graph_add_param(&g, "s", NB_PARAM_CONST, NB_F32, &single, &in[1], &err),
                         NB_OK);
        nb_f32(&g.node[in[1]].param)[0] = 1.0F;
        assert_int_equal(nb_graph_add(&g, NB_OP_DEQUANT, "out", 2, in, NULL, &out, &err), NB_OK);
        assert_int_equal(nb_graph_set_outputs(&g, 1, &out, &err), NB_OK);
        const NbEngineOptions options = {.height = 149, .width = 149};
        const NbStatus status = nb_engine_new(&g, &options, &e, &err);
        assert_int_equal(status, k ? NB_ERR_UNSUPPORTED : NB_OK);
        if (k)
            assert_non_null(strstr(err.message, "which int32 cannot hold"));
        nb_engine_free(e);
        nb_arena_release(&arena);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(running_allocates_nothing),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(engines_do_not_disturb_each_other),
        cmocka_unit_test(sizes_and_graphs_are_checked),
        cmocka_unit_test(taps_say_why_not),
        cmocka_unit_test(sums_that_could_overflow_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
