/* SPDX-License-Identifier: Apache-2.0
 *
 * Post-training quantization of a small network, against its own float outputs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../support/scratch.h"
#include "base/random.h"
#include "lower/ptq/layers.h"
#include "lower/ptq/quantize.h"
#include "model/checkpoint.h"
#include "nn/executor.h"

#include <math.h>
#include <string.h>

enum { SIDE = 64, PICTURES = 7, BATCH = 2, PIXELS = SIDE * SIDE * 3 };

static const char yaml[] = "nc: 2\nscales: {n: [1.0, 1.0, 1024]}\n"
                           "backbone:\n"
                           "  - [-1, 1, Conv, [8, 3, 2]]\n"
                           "  - [-1, 1, Conv, [16, 3, 2]]\n"
                           "  - [-1, 1, C2f, [16, True]]\n"
                           "  - [-1, 1, SCDown, [32, 3, 2]]\n"
                           "  - [-1, 1, C2fCIB, [32, True, True]]\n"
                           "head:\n"
                           "  - [[2, 4], 1, v10Detect, [nc]]\n";

/* Blocks of random colours: neighbours are alike, as in pictures. */
static void make_pictures(uint8_t *out) {
    for (uint32_t i = 0; i < PICTURES; i++) {
        NbRandom r = nb_random(3, NB_RANDOM_TEST, i, 0);
        uint8_t colour[8][8][3];
        for (int k = 0; k < 8 * 8 * 3; k++)
            colour[k / 24][k / 3 % 8][k % 3] = (uint8_t)nb_random_below(&r, 256);
        for (int p = 0; p < SIDE * SIDE; p++)
            for (int c = 0; c < 3; c++)
                out[i * PIXELS + (uint32_t)(p * 3 + c)] = colour[p / SIDE / 8][p % SIDE / 8][c];
    }
}

static NbStatus read_pictures(void *user, int first, const uint8_t **images, int *n, NbError *err) {
    (void)err;
    *images = (const uint8_t *)user + (size_t)first * PIXELS;
    *n = PICTURES - first < BATCH ? PICTURES - first : BATCH;
    return NB_OK;
}

/* A model with norms that do something. */
static void make_model(const char *bits_text, NbModel *m) {
    NbError err = {0};
    NbArena arena = {0};
    NbBits bits;
    assert_int_equal(nb_bits_parse(bits_text, &arena, &bits, &err), NB_OK);
    const NbModelOptions options = {.bits = &bits, .steps = true};
    if (nb_model_from_yaml("testn.yaml", yaml, sizeof yaml - 1, &options, m, &err) != NB_OK)
        fail_msg("%s", err.message);
    assert_int_equal(nb_model_init(m, 5, &err), NB_OK);
    for (NbNodeId id = 0; id < m->graph.n_nodes; id++) {
        NbNode *const node = &m->graph.node[id];
        NbRandom r = nb_random(9, NB_RANDOM_TEST, (uint32_t)id, 1);
        const NbParamRole role = node->attr.param.role;
        for (size_t i = 0; node->op == NB_OP_PARAM && i < nb_tensor_count(&node->param); i++) {
            if (role == NB_PARAM_GAMMA)
                nb_f32(&node->param)[i] = (float)nb_random_range(&r, 0.8, 2.5);
            if (role == NB_PARAM_VAR)
                nb_f32(&node->param)[i] = (float)nb_random_range(&r, 0.1, 0.5);
            if (role == NB_PARAM_BETA || role == NB_PARAM_MEAN)
                nb_f32(&node->param)[i] = (float)nb_random_range(&r, -0.3, 0.3);
        }
    }
    nb_arena_release(&arena);
}

/* All outputs for the first two pictures, one behind the other. */
static size_t outputs(NbModel *m, bool quantizers, const uint8_t *images, float *out) {
    NbError err = {0};
    NbExecutor *x = NULL;
    NbGraph view = nb_model_inference(m);
    const NbExecutorOptions options = {
        .batch = 2, .height = SIDE, .width = SIDE, .quantizers = quantizers};
    if (nb_executor_new(&view, &options, &x, &err) != NB_OK)
        fail_msg("%s", err.message);
    assert_int_equal(nb_executor_forward(x, images, 2, false, &err), NB_OK);
    size_t n = 0;
    for (int i = 0; i < view.n_outputs; i++) {
        const size_t count = nb_shape_count(&view.node[view.output[i]].shape);
        memcpy(out + n, nb_executor_output(x, i), count * sizeof *out);
        n += count;
    }
    nb_executor_free(x);
    return n;
}

static double sqnr(const float *real, const float *now, size_t n) {
    double signal = 0.0;
    double noise = 0.0;
    for (size_t i = 0; i < n; i++) {
        signal += (double)real[i] * (double)real[i];
        noise += ((double)real[i] - (double)now[i]) * ((double)real[i] - (double)now[i]);
    }
    return 10.0 * log10(signal / noise);
}

enum { MOST = 1 << 17 };
static const size_t picture_bytes = (size_t)PICTURES * PIXELS;

static NbPtqOptions few_passes(void) {
    NbPtqOptions o = nb_ptq_defaults();
    o.passes = 6;
    o.pixels = 128;
    return o;
}

typedef struct Case {
    uint8_t *images;
    float *real;
    float *now;
    size_t n;
    NbArena arena;
    NbModel model;
    NbPtqReport report;
} Case;

static void start(Case *c, const char *bits) {
    *c = (Case){0};
    c->images = NB_NEW(&c->arena, uint8_t, picture_bytes);
    c->real = NB_NEW(&c->arena, float, MOST);
    c->now = NB_NEW(&c->arena, float, MOST);
    make_pictures(c->images);
    make_model(bits, &c->model);
    c->n = outputs(&c->model, false, c->images, c->real);
    assert_true(c->n < MOST);
}

static NbStatus quantize(Case *c, const NbPtqOptions *options, NbError *err) {
    const NbPtqPictures pictures = {.user = c->images,
                                    .count = PICTURES,
                                    .batch = BATCH,
                                    .height = SIDE,
                                    .width = SIDE,
                                    .read = read_pictures};
    NbGraph view = nb_model_inference(&c->model);
    return nb_ptq_quantize(&view, &pictures, options, &c->arena, &c->report, err);
}

static double quantized_sqnr(Case *c, const NbPtqOptions *options) {
    NbError err = {0};
    if (quantize(c, options, &err) != NB_OK)
        fail_msg("%s", err.message);
    outputs(&c->model, true, c->images, c->now);
    return sqnr(c->real, c->now, c->n);
}

static void finish(Case *c) {
    nb_model_release(&c->model);
    nb_arena_release(&c->arena);
}

static void folding_keeps_the_function(void **state) {
    Case c;
    (void)state;
    start(&c, "w8a8");
    nb_ptq_fold(&c.model.graph);
    outputs(&c.model, false, c.images, c.now);
    assert_true(sqnr(c.real, c.now, c.n) > 100.0);
    memcpy(c.real, c.now, c.n * sizeof(float));
    nb_ptq_fold(&c.model.graph); /* the second time there is nothing to do */
    outputs(&c.model, false, c.images, c.now);
    assert_memory_equal(c.real, c.now, c.n * sizeof(float));
    finish(&c);
}

static void outputs_stay_close(void **state) {
    static const struct {
        const char *bits;
        double least;
    } cases[] = {{"w8a8", 28.0}, {"w4a16", 12.0}, {"w4a8", 12.0}, {"w4a4", 5.0}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Case c;
        start(&c, cases[i].bits);
        const NbPtqOptions options = few_passes();
        const double got = quantized_sqnr(&c, &options);
        if (got < cases[i].least)
            fail_msg("%s: %.1f dB, at least %.1f expected", cases[i].bits, got, cases[i].least);
        assert_true(c.report.n_layers > 20);
        assert_true((c.report.n_acts > 10) == (strcmp(cases[i].bits, "w4a16") != 0));
        finish(&c);
    }
}

/* Each part of the recipe is worth something. */
static void the_recipe_beats_its_parts(void **state) {
    double got[3];
    (void)state;
    for (int i = 0; i < 3; i++) {
        Case c;
        NbPtqOptions options = few_passes();
        start(&c, "w4a8");
        options.adapt = i < 1;
        options.bias_correction = i < 2;
        options.round = i < 2 ? NB_PTQ_GPTQ : NB_PTQ_NEAREST;
        got[i] = quantized_sqnr(&c, &options);
        finish(&c);
    }
    if (!(got[0] > got[1] && got[1] > got[2]))
        fail_msg("all %.2f dB, without adapting %.2f dB, nearest %.2f dB", got[0], got[1], got[2]);
}

/* Layers of one pass must not each make up for the same loss. */
static void few_passes_do_no_harm(void **state) {
    Case c;
    NbPtqOptions options = few_passes();
    (void)state;
    options.passes = 3;
    start(&c, "w4a8:*cv1*=w8a4");
    const double got = quantized_sqnr(&c, &options);
    if (got < 10.0)
        fail_msg("%.1f dB, at least 10 expected", got);
    finish(&c);
}

static void threads_change_nothing(void **state) {
    Case one;
    Case more;
    NbError err = {0};
    NbPtqOptions options = few_passes();
    (void)state;
    start(&one, "w4a4");
    (void)quantized_sqnr(&one, &options);
    start(&more, "w4a4");
    assert_int_equal(nb_pool_new(3, &options.pool, &err), NB_OK);
    (void)quantized_sqnr(&more, &options);
    nb_pool_free(options.pool);
    assert_memory_equal(one.now, more.now, one.n * sizeof(float));
    finish(&one);
    finish(&more);
}

static void a_checkpoint_gives_it_back(void **state) {
    Case c;
    NbModel back;
    NbError err = {0};
    Scratch s = scratch_new();
    const NbPtqOptions options = few_passes();
    (void)state;
    const char *const path = scratch_path(&s, "ptq.safetensors");
    start(&c, "w4a8:last=w8a8");
    (void)quantized_sqnr(&c, &options);
    assert_int_equal(nb_model_write(path, &c.model, &err), NB_OK);
    if (nb_model_read(path, NULL, 0, &back, &err) != NB_OK)
        fail_msg("%s", err.message);
    assert_true(back.steps);
    outputs(&back, true, c.images, c.real);
    assert_memory_equal(c.real, c.now, c.n * sizeof(float));
    nb_model_release(&back);
    scratch_free(&s);
    finish(&c);
}

static void nan_is_refused(void **state) {
    Case c;
    NbError err = {0};
    const NbPtqOptions options = few_passes();
    (void)state;
    start(&c, "w8a8");
    const NbNodeId id = nb_graph_find(&c.model.graph, "model.1.conv.weight");
    assert_true(id >= 0);
    nb_f32(&c.model.graph.node[id].param)[3] = NAN;
    assert_int_equal(quantize(&c, &options, &err), NB_ERR_FORMAT);
    assert_non_null(strstr(err.message, "NaN"));
    finish(&c);
}

/* Values spread evenly from -0.25 to 8, and one far out. */
static void histograms_choose_ranges(void **state) {
    enum { N = 20000 };
    NbArena arena = {0};
    NbError err = {0};
    NbPtqHistogram h;
    NbPtqScale s;
    const NbGrid grid = {.bits = 4};
    float *const x = NB_NEW(&arena, float, N);
    (void)state;
    for (int i = 0; i < N; i++)
        x[i] = -0.25F + 8.25F * (float)i / (float)(N - 1);
    x[7] = 40.0F;
    assert_int_equal(nb_ptq_histogram_new(&arena, &h, &err), NB_OK);
    nb_ptq_histogram_add(&h, x, N);
    for (int m = 0; m < 4; m++) {
        static const double least[] = {0.50, 2.6, 0.50, 0.40};
        static const double most[] = {0.62, 2.7, 0.60, 0.80};
        assert_int_equal(nb_ptq_histogram_scale(&h, grid, (NbPtqMethod)m, 99.9, &arena, &s, &err),
                         NB_OK);
        if ((double)s.step < least[m] || (double)s.step > most[m])
            fail_msg("method %d: step %g, %g to %g expected", m, (double)s.step, least[m], most[m]);
        assert_true(s.zero == rintf(s.zero) && s.zero >= 0.0F && s.zero <= 15.0F);
    }
    nb_arena_release(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(histograms_choose_ranges),   cmocka_unit_test(folding_keeps_the_function),
        cmocka_unit_test(outputs_stay_close),         cmocka_unit_test(the_recipe_beats_its_parts),
        cmocka_unit_test(threads_change_nothing),     cmocka_unit_test(few_passes_do_no_harm),
        cmocka_unit_test(a_checkpoint_gives_it_back), cmocka_unit_test(nan_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
