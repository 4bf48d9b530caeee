/* SPDX-License-Identifier: Apache-2.0 */
#include "brevitas.h"

#include "quant/runtime.h"
#include "quant/thresholds.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

static void relu(float *x, size_t n) {
    for (size_t i = 0; i < n; i++)
        x[i] = x[i] > 0.0F ? x[i] : 0.0F;
}

static void relu_backward(const float *y, size_t n, float *dx) {
    for (size_t i = 0; i < n; i++)
        dx[i] = y[i] > 0.0F ? dx[i] : 0.0F;
}

static float *values(const NbCase *c, const NbQuantSpec *spec, const float *x, size_t n,
                     float scale, float zero) {
    float *const y = brevitas_floats(c, n);
    nb_quant_codes(spec, x, 1, n, &scale, &zero, y);
    nb_quant_values(y, 1, n, &scale, &zero, y);
    return y;
}

bool brevitas_act_parameter(const NbCase *c) {
    NbQuantSpec spec = brevitas_spec(c, NB_SCALE_PARAMETER);
    spec.ste_clamp = nb_case_bool(c, "ste_clamp", false);
    const double top = fabs(nb_case_number(c, "max_val", 0.0));
    const double bottom = spec.grid.is_signed ? fabs(nb_case_number(c, "min_val", 0.0)) : 0.0;
    spec.init = (float)(top > bottom ? top : bottom);
    const BrevitasRows x = brevitas_rows(c, "x", false);
    const bool rectified = nb_case_bool(c, "relu", false);
    if (rectified)
        relu(x.x, x.n);
    const float value = nb_quant_value_of(&spec, spec.init);
    float scale;
    nb_quant_scale(&spec, NULL, 1, x.n, &value, &scale);
    float *const q = brevitas_floats(c, x.n);
    float *const y = brevitas_floats(c, x.n);
    float *const dx = brevitas_floats(c, x.n);
    float d_value = 0.0F;
    nb_quant_codes(&spec, x.x, 1, x.n, &scale, NULL, q);
    nb_quant_values(q, 1, x.n, &scale, NULL, y);
    nb_quant_backward(&spec, x.x, 1, x.n, &value, nb_case_f32(c, "g", NULL), dx, &d_value);
    if (rectified)
        relu_backward(x.x, x.n, dx);
    bool ok = nb_case_compare_rule(c, "value", "ulp 1", &value, 1);
    ok &= nb_case_compare(c, "scale", &scale, 1);
    ok &= nb_case_compare(c, "q", q, x.n);
    ok &= nb_case_compare(c, "y", y, x.n);
    ok &= nb_case_compare(c, "grad_x", dx, x.n);
    return nb_case_compare(c, "grad_value", &d_value, 1) && ok;
}

static bool constant_case(const NbCase *c, NbQuantKind kind) {
    NbQuantSpec spec = brevitas_spec(c, NB_SCALE_CONST);
    spec.kind = kind;
    spec.ste_clamp = false;
    spec.init = (float)nb_case_number(c, "scale", 1.0);
    const BrevitasRows x = brevitas_rows(c, "x", false);
    float scale;
    nb_quant_scale(&spec, NULL, 1, x.n, NULL, &scale);
    float *const y = values(c, &spec, x.x, x.n, scale, 0.0F);
    bool ok = nb_case_compare(c, "y", y, x.n);
    if (nb_case_has(c, "scale"))
        ok &= nb_case_compare(c, "scale", &scale, 1);
    float *const dx = brevitas_floats(c, x.n);
    nb_quant_backward(&spec, x.x, 1, x.n, NULL, nb_case_f32(c, "g", NULL), dx, NULL);
    return nb_case_compare(c, "grad_x", dx, x.n) && ok;
}

bool brevitas_act_binary(const NbCase *c) { return constant_case(c, NB_QUANT_BINARY); }

bool brevitas_act_ternary(const NbCase *c) { return constant_case(c, NB_QUANT_INT); }

static NbRuntimeSpec runtime_spec(const NbCase *c) {
    NbRuntimeSpec spec = {
        .quant = brevitas_spec(c, NB_SCALE_PARAMETER),
        .collect = (int64_t)nb_case_number(c, "collect_stats_steps", 300),
        .momentum = 0.1,
        .percentile = nb_case_number(c, "percentile", 99.999),
        .shifted = nb_case_bool(c, "asym", false),
        .low_percentile = nb_case_number(c, "low_percentile", 0.001),
    };
    spec.quant.ste_clamp = false;
    const json_t *const momentum = json_object_get(c->params, "momentum");
    if (momentum)
        spec.momentum = json_is_number(momentum) ? json_number_value(momentum) : -1.0;
    return spec;
}

typedef struct Runtime {
    const NbCase *c;
    NbRuntimeSpec spec;
    NbRuntime state;
    bool relu;
} Runtime;

static bool compare_step(const Runtime *r, const NbRuntimeStep *step, const float *y, size_t n,
                         const char *names[3]) {
    bool ok = nb_case_compare(r->c, names[0], y, n);
    ok &= nb_case_compare(r->c, names[1], &step->scale, 1);
    if (r->spec.shifted)
        ok &= nb_case_compare(r->c, names[2], &step->zero, 1);
    return ok;
}

static char *step_name(const NbCase *c, const char *name, int step) {
    char *const out = nb_arena_printf(&c->all->arena, "%s%d", name, step);
    assert_non_null(out);
    return out;
}

static bool train_step(Runtime *r, int i) {
    const NbCase *const c = r->c;
    const BrevitasRows x = brevitas_rows(c, brevitas_step("x", i), false);
    if (r->relu)
        relu(x.x, x.n);
    const NbRuntimeStep step = nb_runtime_train(&r->spec, &r->state, x.x, x.n);
    const float *const y = values(c, &r->spec.quant, x.x, x.n, step.scale, step.zero);
    const char *names[3] = {step_name(c, "y", i), step_name(c, "scale", i),
                            step_name(c, "zero_point", i)};
    bool ok = compare_step(r, &step, y, x.n, names);
    float *const dx = brevitas_floats(c, x.n);
    float d_values[2] = {0};
    const float *const g = nb_case_f32(c, brevitas_step("g", i), NULL);
    nb_runtime_backward(&r->spec, &r->state, &step, x.x, x.n, g, dx, d_values);
    if (r->relu)
        relu_backward(x.x, x.n, dx);
    ok &= nb_case_compare(c, brevitas_step("grad_x", i), dx, x.n);
    if (nb_case_has(c, brevitas_step("grad_value", i)))
        ok &= nb_case_compare(c, brevitas_step("grad_value", i), &d_values[0], 1);
    if (nb_case_has(c, brevitas_step("grad_zp_value", i)))
        ok &= nb_case_compare(c, brevitas_step("grad_zp_value", i), &d_values[1], 1);
    return ok;
}

bool brevitas_act_runtime(const NbCase *c) {
    Runtime r = {.c = c, .spec = runtime_spec(c), .state = nb_runtime_start()};
    r.relu = nb_case_bool(c, "relu", false);
    bool ok = true;
    const int steps = (int)nb_case_number(c, "train_steps", 0);
    for (int i = 0; i < steps; i++)
        ok &= train_step(&r, i);
    if (nb_case_has(c, "value"))
        ok &= nb_case_compare(c, "value", &r.state.value, 1);
    if (nb_case_has(c, "zp_value"))
        ok &= nb_case_compare(c, "zp_value", &r.state.low_value, 1);
    const BrevitasRows x = brevitas_rows(c, "x_eval", false);
    if (r.relu)
        relu(x.x, x.n);
    const NbRuntimeStep step = nb_runtime_infer(&r.spec, &r.state);
    const float *const y = values(c, &r.spec.quant, x.x, x.n, step.scale, step.zero);
    const char *names[3] = {"y_eval", "scale_eval", "zero_point_eval"};
    return compare_step(&r, &step, y, x.n, names) && ok;
}

bool brevitas_rounding(const NbCase *c) {
    size_t n;
    const float *const x = nb_case_f32(c, "x", &n);
    float *const y = brevitas_floats(c, n);
    const char *name;
    json_t *entry;
    bool ok = true;
    int modes = 0;
    json_object_foreach(json_object_get(c->json, "arrays"), name, entry) {
        NbRound mode;
        if (strcmp(name, "x") == 0)
            continue;
        if (!nb_round_parse(name, &mode))
            fail_msg("case %s: unknown rounding '%s'", c->id, name);
        for (size_t i = 0; i < n; i++)
            y[i] = nb_round(mode, x[i]);
        ok &= nb_case_compare(c, name, y, n);
        modes++;
    }
    assert_true(modes > 0);
    return ok;
}

/* The quantizer that the exporter saw. */
static NbQuantSpec exported(const NbCase *c) {
    const bool rectified = strcmp(nb_case_string(c, "kind", ""), "relu") == 0;
    NbQuantSpec spec = brevitas_spec(c, NB_SCALE_CONST);
    spec.grid.is_signed = !rectified;
    if (strcmp(nb_case_string(c, "out_dtype", ""), "BIPOLAR") == 0)
        spec.kind = NB_QUANT_BINARY;
    return spec;
}

/* y as FINN executes it: count, out_scale and out_bias, then the added number and the scale. */
static bool executed(const NbCase *c, const NbQuantSpec *spec, const float *t, size_t levels,
                     float scale) {
    size_t n;
    const float *const x = nb_case_f32(c, "x", &n);
    float *const y = brevitas_floats(c, n);
    const float out_scale = (float)nb_case_number(c, "out_scale", 1.0);
    const float out_bias = (float)nb_case_number(c, "out_bias", 0.0);
    float add = 0.0F;
    if (nb_case_has(c, "add"))
        add = nb_case_f32(c, "add", NULL)[0];
    const bool scaled = nb_case_bool(c, "has_mul", true);
    for (size_t i = 0; i < n; i++) {
        const float reached = (float)nb_thresholds_reached(t, levels, x[i]);
        const float code = reached * out_scale + out_bias + add;
        y[i] = scaled ? code * scale : code;
    }
    bool ok = nb_case_compare(c, "y", y, n);
    if (spec->kind == NB_QUANT_INT)
        ok &= nb_case_compare(c, "y", values(c, spec, x, n, scale, 0.0F), n);
    return ok;
}

bool brevitas_thresholds(const NbCase *c) {
    const NbQuantSpec spec = exported(c);
    const float scale = nb_case_f32(c, "scale", NULL)[0];
    const NbTensor tensor = nb_case_array(c, "thresholds");
    const size_t rows = (size_t)tensor.shape.dim[0];
    const size_t levels = nb_thresholds_count(&spec);
    float *const t = brevitas_floats(c, rows * levels);
    for (size_t i = 0; i < rows; i++)
        nb_thresholds_of(&spec, scale, t + i * levels);
    bool ok = nb_case_compare_rule(c, "thresholds", "ulp 1", t, rows * levels);
    if (nb_case_has(c, "add")) {
        const float bias = nb_thresholds_bias(&spec);
        ok &= nb_case_compare(c, "add", &bias, 1);
    }
    return executed(c, &spec, t, levels, scale) && ok;
}
