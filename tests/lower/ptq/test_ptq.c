/* SPDX-License-Identifier: Apache-2.0
 *
 * What calibration algorithms promise, on random layers. */
#include "base/random.h"
#include "lower/ptq/bias_correction.h"
#include "lower/ptq/equalize.h"
#include "lower/ptq/gptq.h"
#include "lower/ptq/gram.h"
#include "quant/statistics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

enum { ROWS = 19, COLUMNS = 37, SAMPLES = 120 };

typedef struct Layer {
    NbArena arena;
    NbQuantSpec spec;
    float x[SAMPLES * COLUMNS];
    float w[ROWS * COLUMNS];
    float scale[ROWS];
    double gram[COLUMNS * COLUMNS];
} Layer;

/* Inputs that depend on each other, some of them never used. */
static void fill(Layer *l, NbRandom *random) {
    memset(l, 0, sizeof *l);
    l->spec = (NbQuantSpec){.grid = {.bits = 3, .is_signed = true, .narrow = true},
                            .scale_from = NB_SCALE_STATS,
                            .per_channel = true};
    for (size_t s = 0; s < SAMPLES; s++) {
        const double common = nb_random_normal(random);
        for (size_t i = 0; i < COLUMNS; i++)
            l->x[s * COLUMNS + i] =
                i % 11 == 5 ? 0.0F : (float)(common + nb_random_normal(random) * (double)(i % 4));
    }
    for (size_t i = 0; i < ROWS * COLUMNS; i++)
        l->w[i] = (float)nb_random_normal(random);
    nb_quant_scale(&l->spec, l->w, ROWS, COLUMNS, NULL, l->scale);
    nb_gram_add(l->gram, l->x, l->x, SAMPLES, COLUMNS);
}

/* Squared error of the layer's outputs. */
static double output_error(const Layer *l, const float *w) {
    double sum = 0.0;
    for (size_t s = 0; s < SAMPLES; s++)
        for (size_t r = 0; r < ROWS; r++) {
            double off = 0.0;
            for (size_t i = 0; i < COLUMNS; i++)
                off += (double)l->x[s * COLUMNS + i] *
                       ((double)l->w[r * COLUMNS + i] - (double)w[r * COLUMNS + i]);
            sum += off * off;
        }
    return sum;
}

static void nearest(const Layer *l, const float *w, float *out) {
    nb_quant_codes(&l->spec, w, ROWS, COLUMNS, l->scale, NULL, out);
    nb_quant_values(out, ROWS, COLUMNS, l->scale, NULL, out);
}

static void expect_on_grid(const Layer *l, const float *w) {
    float again[ROWS * COLUMNS];
    nearest(l, w, again);
    assert_memory_equal(again, w, sizeof again);
}

static void spreading_errors_lowers_the_output_error(void **state) {
    (void)state;
    static Layer l;
    NbRandom random = nb_random(20, NB_RANDOM_TEST, 0, 0);
    for (int round = 0; round < 6; round++) {
        fill(&l, &random);
        float plain[ROWS * COLUMNS];
        float w[ROWS * COLUMNS];
        nearest(&l, l.w, plain);
        const double before = output_error(&l, plain);
        NbError err = {0};
        const NbGptqOptions options = {.damp = 0.01, .act_order = round % 2 == 1};
        NbGptq g;
        assert_int_equal(nb_ptq_gptq_prepare(l.gram, COLUMNS, &options, &l.arena, &g, &err), NB_OK);
        memcpy(w, l.w, sizeof w);
        assert_int_equal(nb_ptq_gptq_rows(&g, &l.spec, l.scale, ROWS, w, &l.arena, &err), NB_OK);
        expect_on_grid(&l, w);
        assert_true(output_error(&l, w) < 0.9 * before);
        float alone[COLUMNS]; /* rows are independent */
        memcpy(alone, l.w + 17 * COLUMNS, sizeof alone);
        assert_int_equal(nb_ptq_gptq_rows(&g, &l.spec, l.scale + 17, 1, alone, &l.arena, &err),
                         NB_OK);
        assert_memory_equal(alone, w + 17 * COLUMNS, sizeof alone);
        const NbGpfq path = {
            .columns = COLUMNS, .h = l.gram, .cross = l.gram, .act_order = options.act_order};
        memcpy(w, l.w, sizeof w);
        assert_int_equal(nb_ptq_gpfq_rows(&path, &l.spec, l.scale, ROWS, w, &l.arena, &err), NB_OK);
        expect_on_grid(&l, w);
        assert_true(output_error(&l, w) < 0.9 * before);
        assert_true(w[5] == 0.0F && w[16] == 0.0F); /* inputs that are never used */
        nb_arena_release(&l.arena);
    }
}

static void impossible_statistics_are_refused(void **state) {
    (void)state;
    const double gram[] = {1.0, 5.0, 5.0, 1.0};
    NbArena arena = {0};
    NbError err = {0};
    NbGptq g;
    const NbGptqOptions options = {.damp = 0.01};
    assert_int_equal(nb_ptq_gptq_prepare(gram, 2, &options, &arena, &g, &err), NB_ERR_ARGUMENT);
    assert_string_equal(err.message, "input statistics of 2 columns are not positive definite");
    nb_arena_release(&arena);
}

static void factor_of_the_inverse(void **state) {
    (void)state;
    static Layer l;
    NbRandom random = nb_random(21, NB_RANDOM_TEST, 0, 0);
    fill(&l, &random);
    static double h[COLUMNS * COLUMNS];
    static double u[COLUMNS * COLUMNS];
    for (size_t i = 0; i < COLUMNS; i++)
        l.gram[i * (COLUMNS + 1)] += 10.0;
    memcpy(h, l.gram, sizeof h);
    assert_true(nb_gram_inverse_factor(h, COLUMNS, u));
    for (size_t i = 0; i < COLUMNS; i++)
        for (size_t j = 0; j < COLUMNS; j++) {
            if (j < i)
                assert_true(u[i * COLUMNS + j] == 0.0);
            double sum = 0.0; /* (u^T u) gram = 1 */
            for (size_t k = 0; k < COLUMNS; k++)
                for (size_t m = 0; m < COLUMNS; m++)
                    sum += u[m * COLUMNS + i] * u[m * COLUMNS + k] * l.gram[k * COLUMNS + j];
            assert_true(fabs(sum - (i == j)) < 1e-9);
        }
}

/* Two sources side by side (concatenation), one sink, then a depthwise layer behind. */
static void equalizing_keeps_products_and_evens_ranges(void **state) {
    (void)state;
    NbRandom random = nb_random(22, NB_RANDOM_TEST, 0, 0);
    float a[3 * 5];
    float b[4 * 6];
    float sink[2 * 7 * 9];
    float bias[4] = {1, 0, -3, 0.1F};
    for (size_t i = 0; i < 15; i++)
        a[i] = (float)(nb_random_normal(&random) * (double)(1 + i));
    for (size_t i = 0; i < 24; i++)
        b[i] = (float)nb_random_normal(&random);
    for (size_t i = 0; i < 126; i++)
        sink[i] = (float)nb_random_normal(&random);
    memset(b + 6, 0, 6 * sizeof *b); /* a dead channel stays as it is */
    const float before = b[0] * sink[3 * 9 + 4];
    const float bias_before = bias[0] * sink[3 * 9 + 4];
    const float dead = sink[4 * 9];
    NbEqualizeEnd sources[] = {{.w = {a, 1, 3, 5}}, {.w = {b, 1, 4, 6}, .bias = bias, .first = 3}};
    NbEqualizeEnd sinks[] = {{.w = {sink, 2, 7, 9}}};
    NbEqualizeRegion region = {sources, 2, sinks, 1, 7};
    NbEqualizeOptions options = nb_ptq_equalize_defaults();
    options.merge_bias = false;
    NbArena arena = {0};
    NbError err = {0};
    int sweeps = 0;
    assert_int_equal(nb_ptq_equalize(&region, 1, &options, &arena, &sweeps, &err), NB_OK);
    assert_true(sweeps == 2); /* the second one finds nothing left to do */
    assert_true(fabsf(b[0] * sink[3 * 9 + 4] - before) < 1e-5F);
    assert_true(fabsf(bias[0] * sink[3 * 9 + 4] - bias_before) < 1e-5F);
    assert_true(sink[4 * 9] == dead);
    for (size_t c = 0; c < 3; c++) {
        const float ratio = nb_channels_max(&sources[0].w, c) / nb_channels_max(&sinks[0].w, c);
        assert_true(fabsf(ratio - 1.0F) < 1e-4F);
    }
    sources[1].first = 4;
    assert_int_equal(nb_ptq_equalize(&region, 1, &options, &arena, NULL, &err), NB_ERR_ARGUMENT);
    assert_string_equal(err.message, "equalization region 0: source with channels 4 to 8 of 7");
    nb_arena_release(&arena);
}

/* The size a channel counts with shows in its factor: the sink's weights are 1. */
static void biases_shrink_by_their_sizes(void **state) {
    (void)state;
    static const struct {
        float bias, weight[3], counts_as;
    } rows[] = {
        {8.0F, {1, 1, 1}, 4.0F},          /* small: 2 */
        {8.0F, {1, 0.01F, 0.01F}, 1.6F},  /* small, but large beside most weights: 5 */
        {8.0F, {1, 1, 0.001F}, 1.6F},     /* the same by the mean */
        {8.0F, {1, 1, 0}, 1.6F},          /* weights of 0 count as 1e-9 */
        {40.0F, {1, 1, 1}, 2.0F},         /* large: 20 */
        {12.0F, {1, 1, 0.005F}, 1.0F},    /* the same by the mean */
        {20.0F, {1, 1, 1}, 2.0F},         /* 10 */
        {12.0F, {1, 1, 0.015F}, 1.2F},    /* the same by the mean */
        {12.0F, {1, 1, 1}, 2.4F},         /* 5 */
        {9.0F, {0.4F, 0.4F, 0.4F}, 0.9F}, /* small, but not beside the largest weight: 10 */
        {-8.0F, {1, 1, 1}, 4.0F},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        float w[3];
        float bias = rows[i].bias;
        float sink[2] = {1, -1};
        memcpy(w, rows[i].weight, sizeof w);
        NbEqualizeEnd source = {.w = {w, 1, 1, 3}, .bias = &bias};
        NbEqualizeEnd sinks = {.w = {sink, 2, 1, 1}};
        const NbEqualizeRegion region = {&source, 1, &sinks, 1, 1};
        NbEqualizeOptions options = nb_ptq_equalize_defaults();
        options.sweeps = 1;
        NbArena arena = {0};
        NbError err = {0};
        assert_int_equal(nb_ptq_equalize(&region, 1, &options, &arena, NULL, &err), NB_OK);
        nb_arena_release(&arena);
        const float counted = 1.0F / powf(w[0] / rows[i].weight[0], 2.0F);
        if (!(fabsf(counted / rows[i].counts_as - 1.0F) < 1e-4F))
            fail_msg("row %zu: counts as %g, expected %g", i, (double)counted,
                     (double)rows[i].counts_as);
    }
}

static void biases_get_back_what_the_mean_lost(void **state) {
    (void)state;
    float real[] = {1, 2, 3, 4, 10, 10, 10, 10}; /* NHWC and NCHW of 2 channels */
    float coded[] = {1, 1, 3, 3, 9, 9, 9, 9};
    double sum[2] = {0};
    NbBiasCorrection state_of = {.sum = sum};
    float bias[2] = {0.5F, 0.5F};
    nb_ptq_bias_correct(&state_of, 2, bias);
    assert_true(bias[0] == 0.5F);
    const NbChannels planes[2] = {{real, 1, 2, 4}, {coded, 1, 2, 4}};
    const NbChannels pixels[2] = {{real, 4, 2, 1}, {coded, 4, 2, 1}};
    nb_ptq_bias_add(&state_of, &planes[0], &planes[1]); /* 0.5, 1 */
    nb_ptq_bias_add(&state_of, &pixels[0], &pixels[1]); /* 0.5, 1 */
    nb_ptq_bias_correct(&state_of, 2, bias);
    assert_true(bias[0] == 1.0F && bias[1] == 1.5F);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spreading_errors_lowers_the_output_error),
        cmocka_unit_test(impossible_statistics_are_refused),
        cmocka_unit_test(factor_of_the_inverse),
        cmocka_unit_test(equalizing_keeps_products_and_evens_ranges),
        cmocka_unit_test(biases_shrink_by_their_sizes),
        cmocka_unit_test(biases_get_back_what_the_mean_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
