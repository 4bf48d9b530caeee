/* SPDX-License-Identifier: Apache-2.0
 *
 * Calibration algorithms against Brevitas 0.12.1; tests/quant runs the kinds that are missing here
 * and fails on kinds that neither knows. */
#include "lower/ptq/bias_correction.h"
#include "lower/ptq/equalize.h"
#include "lower/ptq/fold_norm.h"
#include "lower/ptq/gptq.h"
#include "lower/ptq/gram.h"
#include "quant/plain_layers.h"
#include "support/vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

static void *take(const NbCase *c, size_t n, size_t size) {
    void *const out = nb_arena_take(&c->all->arena, n, size);
    assert_non_null(out);
    return out;
}

static float *floats(const NbCase *c, size_t n) { return take(c, n, sizeof(float)); }

static double *doubles(const NbCase *c, size_t n) { return take(c, n, sizeof(double)); }

/* The channels of dimension 0 or 1 of a weight. */
static NbChannels channels_of(const NbCase *c, const char *array, int dim) {
    const NbTensor t = nb_case_array(c, array);
    NbChannels out = {.data = nb_case_f32(c, array, NULL), .outer = 1, .inner = 1};
    out.channels = (size_t)t.shape.dim[dim];
    for (int i = 0; i < t.shape.rank; i++) {
        if (i < dim)
            out.outer *= (size_t)t.shape.dim[i];
        if (i > dim)
            out.inner *= (size_t)t.shape.dim[i];
    }
    return out;
}

static size_t count_of(const NbChannels *t) { return t->outer * t->channels * t->inner; }

static bool merge_bn(const NbCase *c) {
    const NbChannels w = channels_of(c, "w", 0);
    float *bias = floats(c, w.channels);
    if (nb_case_has(c, "b"))
        bias = nb_case_f32(c, "b", NULL);
    const NbNorm norm = {.gamma = nb_case_f32(c, "gamma", NULL),
                         .beta = nb_case_f32(c, "beta", NULL),
                         .mean = nb_case_f32(c, "mean", NULL),
                         .var = nb_case_f32(c, "var", NULL),
                         .eps = (float)nb_case_number(c, "eps", 1e-5)};
    nb_ptq_fold_norm(&norm, &w, bias);
    const bool ok = nb_case_compare(c, "w_out", w.data, count_of(&w));
    return nb_case_compare(c, "b_out", bias, w.channels) && ok;
}

static bool equalization(const NbCase *c) {
    NbEqualizeEnd source = {.w = channels_of(c, "w1", 0)};
    NbEqualizeEnd sink = {.w = channels_of(c, "w2", 1)};
    if (nb_case_has(c, "b1"))
        source.bias = nb_case_f32(c, "b1", NULL);
    const NbEqualizeRegion region = {.source = &source,
                                     .n_sources = 1,
                                     .sink = &sink,
                                     .n_sinks = 1,
                                     .channels = source.w.channels};
    NbEqualizeOptions options = nb_ptq_equalize_defaults();
    options.sweeps = (int)nb_case_number(c, "iterations", 20);
    options.alpha = nb_case_number(c, "alpha", 0.5);
    options.merge_bias = nb_case_bool(c, "merge_bias", true);
    options.shrink = (float)nb_case_number(c, "shrink", 0.0); /* "vaiq" is no number */
    NbError err = {0};
    assert_int_equal(nb_ptq_equalize(&region, 1, &options, &c->all->arena, NULL, &err), NB_OK);
    bool ok = nb_case_compare(c, "w1_out", source.w.data, count_of(&source.w));
    if (source.bias)
        ok &= nb_case_compare(c, "b1_out", source.bias, source.w.channels);
    return nb_case_compare(c, "w2_out", sink.w.data, count_of(&sink.w)) && ok;
}

typedef struct Columns {
    NbQuantSpec spec;
    const float *x;       /* [samples][columns] */
    const float *x_coded; /* the same, quantized */
    size_t samples, columns, rows;
    const float *scale; /* [rows] */
    float *w;
} Columns;

static const float *coded(const NbCase *c, const float *x, size_t n) {
    const NbQuantSpec spec = {
        .grid = {.bits = (int)nb_case_number(c, "input_bits", 8), .is_signed = true}};
    const float scale = nb_case_f32(c, "x_scale", NULL)[0];
    float *const out = floats(c, n);
    nb_quant_codes(&spec, x, 1, n, &scale, NULL, out);
    nb_quant_values(out, 1, n, &scale, NULL, out);
    return out;
}

static Columns columns_of(const NbCase *c) {
    const NbTensor x = nb_case_array(c, "X");
    const NbTensor w = nb_case_array(c, "w");
    Columns out = {.spec = {.grid = {.bits = (int)nb_case_number(c, "bit_width", 4),
                                     .is_signed = true,
                                     .narrow = nb_case_bool(c, "narrow", true)}},
                   .x = nb_case_f32(c, "X", NULL),
                   .samples = (size_t)x.shape.dim[0],
                   .columns = (size_t)x.shape.dim[1],
                   .rows = (size_t)w.shape.dim[0],
                   .w = nb_case_f32(c, "w", NULL)};
    size_t count;
    const float *const given = nb_case_f32(c, "scale", &count);
    float *const scale = floats(c, out.rows);
    for (size_t i = 0; i < out.rows; i++)
        scale[i] = given[count == 1 ? 0 : i];
    out.scale = scale;
    out.x_coded = coded(c, out.x, out.samples * out.columns);
    return out;
}

/* "exact except near-ties": a tie decided otherwise changes what follows in its row, so a row in
 * twenty may differ. */
static bool compare_rows(const NbCase *c, const Columns *m) {
    const float *const want = nb_case_f32(c, "y", NULL);
    size_t bad = 0;
    for (size_t r = 0; r < m->rows; r++)
        for (size_t i = 0; i < m->columns; i++) {
            if (fabsf(m->w[r * m->columns + i] - want[r * m->columns + i]) > 1e-6F) {
                print_error("%s: y: row %zu differs from column %zu on\n", c->id, r, i);
                bad++;
                break;
            }
        }
    return bad <= m->rows / 20;
}

static bool gptq(const NbCase *c) {
    const Columns m = columns_of(c);
    double *const gram = doubles(c, m.columns * m.columns);
    const bool on_codes = nb_case_bool(c, "use_quant_activations", false);
    const float *const x = on_codes ? m.x_coded : m.x;
    nb_gram_add(gram, x, x, m.samples, m.columns);
    const NbGptqOptions options = {.damp = nb_case_number(c, "percdamp", 0.01),
                                   .act_order = nb_case_bool(c, "act_order", false)};
    NbError err = {0};
    NbGptq g;
    NbArena *const arena = &c->all->arena;
    if (nb_ptq_gptq_prepare(gram, m.columns, &options, arena, &g, &err) != NB_OK ||
        nb_ptq_gptq_rows(&g, &m.spec, m.scale, m.rows, m.w, arena, &err) != NB_OK)
        fail_msg("%s", err.message);
    return compare_rows(c, &m);
}

static bool gpfq(const NbCase *c) {
    const Columns m = columns_of(c);
    double *const h = doubles(c, m.columns * m.columns);
    double *const cross = doubles(c, m.columns * m.columns);
    const bool on_codes = nb_case_bool(c, "use_quant_activations", true);
    const float *const x = on_codes ? m.x_coded : m.x;
    nb_gram_add(h, x, x, m.samples, m.columns);
    nb_gram_add(cross, x, m.x, m.samples, m.columns);
    const NbGpfq g = {.columns = m.columns,
                      .h = h,
                      .cross = cross,
                      .act_order = nb_case_bool(c, "act_order", false)};
    NbError err = {0};
    const NbStatus status =
        nb_ptq_gpfq_rows(&g, &m.spec, m.scale, m.rows, m.w, &c->all->arena, &err);
    assert_int_equal(status, NB_OK);
    return compare_rows(c, &m);
}

static NbChannels convolved(const NbCase *c, const PlainConv *p, const float *x, const float *w) {
    const size_t n = plain_out_count(p);
    double *const sums = doubles(c, n);
    float *const y = floats(c, n);
    plain_conv(p, x, w, nb_case_f32(c, "b", NULL), sums);
    for (size_t i = 0; i < n; i++)
        y[i] = (float)sums[i];
    return (NbChannels){.data = y,
                        .outer = (size_t)p->n,
                        .channels = (size_t)p->o,
                        .inner = n / (size_t)(p->n * p->o)};
}

static PlainConv geometry(const NbCase *c, const char *x_name) {
    const NbTensor x = nb_case_array(c, x_name);
    const NbTensor w = nb_case_array(c, "w");
    return (PlainConv){.n = x.shape.dim[0],
                       .c = x.shape.dim[1],
                       .h = x.shape.dim[2],
                       .w = x.shape.dim[3],
                       .o = w.shape.dim[0],
                       .kh = w.shape.dim[2],
                       .kw = w.shape.dim[3],
                       .stride = (int64_t)nb_case_number(c, "stride", 1),
                       .pad = (int64_t)nb_case_number(c, "padding", 0)};
}

static bool bias_correction(const NbCase *c) {
    const bool per_channel =
        strcmp(nb_case_string(c, "weight_granularity", "tensor"), "channel") == 0;
    const NbQuantSpec spec = {.grid = {.bits = (int)nb_case_number(c, "weight_bits", 8),
                                       .is_signed = true,
                                       .narrow = true},
                              .scale_from = NB_SCALE_STATS,
                              .scale_min = 1e-10F};
    const NbChannels w = channels_of(c, "w", 0);
    const size_t rows = per_channel ? w.channels : 1;
    const size_t n = count_of(&w) / rows;
    float *const scale = floats(c, rows);
    float *const values = floats(c, rows * n);
    nb_quant_scale(&spec, w.data, rows, n, NULL, scale);
    nb_quant_codes(&spec, w.data, rows, n, scale, NULL, values);
    nb_quant_values(values, rows, n, scale, NULL, values);
    NbBiasCorrection state = {.sum = doubles(c, w.channels)};
    char name[16];
    for (int i = 0; (void)snprintf(name, sizeof name, "x%d", i), nb_case_has(c, name); i++) {
        const PlainConv p = geometry(c, name);
        size_t count;
        const float *const x = nb_case_f32(c, name, &count);
        const NbChannels real = convolved(c, &p, x, w.data);
        const NbChannels quantized = convolved(c, &p, coded(c, x, count), values);
        nb_ptq_bias_add(&state, &real, &quantized);
    }
    float *const bias = nb_case_f32(c, "b", NULL);
    nb_ptq_bias_correct(&state, w.channels, bias);
    return nb_case_compare(c, "b_out", bias, w.channels);
}

static const struct {
    const char *kind;
    bool (*run)(const NbCase *c);
} kinds[] = {
    {"merge_bn", merge_bn}, {"cross_layer_equalization", equalization}, {"ptq_gptq", gptq},
    {"ptq_gpfq", gpfq},     {"bias_correction", bias_correction},
};

static void every_case(void **state) {
    (void)state;
    NbCases *const cases = nb_cases_open("brevitas");
    int bad = 0;
    int run = 0;
    for (int i = 0; i < cases->count; i++) {
        const NbCase c = nb_cases_get(cases, i);
        for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
            if (strcmp(kinds[k].kind, c.kind) != 0)
                continue;
            run++;
            if (!kinds[k].run(&c)) {
                print_error("%s failed\n", c.id);
                bad++;
            }
        }
    }
    nb_cases_close(cases);
    assert_true(run > 0);
    assert_int_equal(bad, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_case)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
