/* SPDX-License-Identifier: Apache-2.0 */
#include "brevitas.h"

#include "quant/learned_round.h"
#include "quant/statistics.h"
#include "quant/zero.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* Compares codes and values made with these scales. */
static bool forward(const NbCase *c, const NbQuantSpec *spec, const BrevitasRows *w,
                    const float *scale, const float *zero) {
    float *const q = brevitas_floats(c, w->count);
    float *const y = brevitas_floats(c, w->count);
    nb_quant_codes(spec, w->x, w->rows, w->n, scale, zero, q);
    nb_quant_values(q, w->rows, w->n, scale, zero, y);
    bool ok = nb_case_compare(c, "y", y, w->count);
    if (nb_case_has(c, "q"))
        ok &= nb_case_compare(c, "q", q, w->count);
    if (nb_case_has(c, "scale"))
        ok &= nb_case_compare(c, "scale", scale, w->rows);
    return ok;
}

static bool gradient(const NbCase *c, const NbQuantSpec *spec, const BrevitasRows *w) {
    float *const dw = brevitas_floats(c, w->count);
    nb_quant_backward(spec, w->x, w->rows, w->n, NULL, nb_case_f32(c, "g", NULL), dw, NULL);
    return nb_case_compare(c, "grad_w", dw, w->count);
}

bool brevitas_weight_stats(const NbCase *c) {
    const NbQuantSpec spec = brevitas_spec(c, NB_SCALE_STATS);
    const BrevitasRows w = brevitas_rows(c, "w", spec.per_channel);
    float *const scale = brevitas_floats(c, w.rows);
    nb_quant_scale(&spec, w.x, w.rows, w.n, NULL, scale);
    const bool ok = forward(c, &spec, &w, scale, NULL);
    return gradient(c, &spec, &w) && ok;
}

/* [A][B][rest] to [B][A][rest]. */
static float *swapped(const NbCase *c, const float *x, size_t a, size_t b, size_t rest) {
    float *const out = brevitas_floats(c, a * b * rest);
    for (size_t i = 0; i < a; i++)
        for (size_t j = 0; j < b; j++)
            memcpy(out + (j * a + i) * rest, x + (i * b + j) * rest, rest * sizeof *x);
    return out;
}

bool brevitas_weight_transposed(const NbCase *c) {
    const NbQuantSpec spec = brevitas_spec(c, NB_SCALE_STATS);
    const NbTensor tensor = nb_case_array(c, "w");
    assert_int_equal((int)nb_case_number(c, "channel_dim", 1), 1);
    const size_t a = (size_t)tensor.shape.dim[0];
    const size_t b = (size_t)tensor.shape.dim[1];
    size_t count;
    const float *const w = nb_case_f32(c, "w", &count);
    const size_t rest = count / (a * b);
    const float *const rows = swapped(c, w, a, b, rest);
    const float *const g = swapped(c, nb_case_f32(c, "g", NULL), a, b, rest);
    float *const scale = brevitas_floats(c, b);
    float *const q = brevitas_floats(c, count);
    float *const y = brevitas_floats(c, count);
    float *const dw = brevitas_floats(c, count);
    nb_quant_scale(&spec, rows, b, count / b, NULL, scale);
    nb_quant_codes(&spec, rows, b, count / b, scale, NULL, q);
    nb_quant_values(q, b, count / b, scale, NULL, y);
    nb_quant_backward(&spec, rows, b, count / b, NULL, g, dw, NULL);
    bool ok = nb_case_compare(c, "scale", scale, b);
    ok &= nb_case_compare(c, "q", swapped(c, q, b, a, rest), count);
    ok &= nb_case_compare(c, "y", swapped(c, y, b, a, rest), count);
    return nb_case_compare(c, "grad_w", swapped(c, dw, b, a, rest), count) && ok;
}

bool brevitas_weight_learned(const NbCase *c) {
    const NbQuantSpec spec = brevitas_spec(c, NB_SCALE_PARAMETER);
    const BrevitasRows w = brevitas_rows(c, "w", spec.per_channel);
    float *const start = brevitas_floats(c, w.rows);
    for (size_t i = 0; i < w.rows; i++) {
        const float most = nb_stat_max(w.x + i * w.n, w.n);
        start[i] = nb_quant_value_of(&spec, nb_quant_bound(most, spec.scale_min));
    }
    bool ok = nb_case_compare_rule(c, "init_value", "ulp 1", start, w.rows);
    const float *const value = nb_case_f32(c, "value", NULL);
    float *const scale = brevitas_floats(c, w.rows);
    nb_quant_scale(&spec, w.x, w.rows, w.n, value, scale);
    ok &= forward(c, &spec, &w, scale, NULL);
    float *const dw = brevitas_floats(c, w.count);
    float *const d_value = brevitas_floats(c, w.rows);
    const float *const g = nb_case_f32(c, "g", NULL);
    nb_quant_backward(&spec, w.x, w.rows, w.n, value, g, dw, d_value);
    ok &= nb_case_compare(c, "grad_w", dw, w.count);
    return nb_case_compare(c, "grad_value", d_value, w.rows) && ok;
}

bool brevitas_weight_shifted(const NbCase *c) {
    const NbQuantSpec spec = brevitas_spec(c, NB_SCALE_STATS);
    const BrevitasRows w = brevitas_rows(c, "w", spec.per_channel);
    float *const scale = brevitas_floats(c, w.rows);
    float *const zero = brevitas_floats(c, w.rows);
    nb_shifted_scale(&spec, w.x, w.rows, w.n, nb_case_bool(c, "quantize_zero_point", true), scale,
                     zero);
    bool ok = forward(c, &spec, &w, scale, zero);
    ok &= nb_case_compare(c, "zero_point", zero, w.rows);
    float *const dw = brevitas_floats(c, w.count);
    nb_shifted_backward(&spec, w.x, w.rows, w.n, nb_case_f32(c, "g", NULL), dw);
    return nb_case_compare(c, "grad_w", dw, w.count) && ok;
}

bool brevitas_weight_mse(const NbCase *c) {
    NbQuantSpec spec = brevitas_spec(c, NB_SCALE_PARAMETER);
    spec.scale_min = 1e-10F;
    const BrevitasRows w = brevitas_rows(c, "w", spec.per_channel);
    const NbMseGrid grid = {.steps = (int)nb_case_number(c, "grid", 20)};
    float *const scale = brevitas_floats(c, w.rows);
    for (size_t i = 0; i < w.rows; i++) {
        const float *const row = w.x + i * w.n;
        const float threshold = nb_stat_mse_threshold(&spec, row, w.n, grid);
        const float value = nb_quant_value_of(&spec, nb_quant_bound(threshold, spec.scale_min));
        nb_quant_scale(&spec, NULL, 1, w.n, &value, scale + i);
    }
    return forward(c, &spec, &w, scale, NULL);
}

static NbQuantSpec constant(const NbCase *c, NbQuantKind kind) {
    NbQuantSpec spec = brevitas_spec(c, NB_SCALE_CONST);
    spec.kind = kind;
    spec.init = (float)nb_case_number(c, "scale", 1.0);
    spec.cut = (float)nb_case_number(c, "threshold", 0.0);
    return spec;
}

bool brevitas_weight_binary(const NbCase *c) {
    const NbQuantSpec spec = constant(c, NB_QUANT_BINARY);
    const BrevitasRows w = brevitas_rows(c, "w", false);
    float scale;
    nb_quant_scale(&spec, NULL, 1, w.n, NULL, &scale);
    bool ok = forward(c, &spec, &w, &scale, NULL);
    ok &= gradient(c, &spec, &w);
    if (nb_case_bool(c, "clips_float_weight_in_place", false))
        nb_quant_clip(w.x, w.n, scale);
    return nb_case_compare(c, "w_after", w.x, w.n) && ok;
}

static bool constant_case(const NbCase *c, NbQuantKind kind) {
    const NbQuantSpec spec = constant(c, kind);
    const BrevitasRows w = brevitas_rows(c, "w", false);
    float scale;
    nb_quant_scale(&spec, NULL, 1, w.n, NULL, &scale);
    const bool ok = forward(c, &spec, &w, &scale, NULL);
    return gradient(c, &spec, &w) && ok;
}

bool brevitas_weight_ternary_int(const NbCase *c) { return constant_case(c, NB_QUANT_INT); }

bool brevitas_weight_ternary(const NbCase *c) { return constant_case(c, NB_QUANT_TERNARY); }

static NbLearnedRound learned_round(const NbCase *c) {
    static const char *const names[] = {
        [NB_LEARNED_HARD_SIGMOID] = "HARD_SIGMOID",
        [NB_LEARNED_SIGMOID] = "SIGMOID",
        [NB_LEARNED_IDENTITY] = "IDENTITY",
    };
    const char *const name = nb_case_string(c, "impl", "");
    NbLearnedRound spec = {.zeta = (float)nb_case_number(c, "zeta", 1.1),
                           .gamma = (float)nb_case_number(c, "gamma", -0.1),
                           .temperature = (float)nb_case_number(c, "temperature", 1.0)};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i]) == 0) {
            spec.kind = (NbLearnedRoundKind)i;
            return spec;
        }
    }
    fail_msg("case %s: unknown form '%s'", c->id, name);
    return spec;
}

bool brevitas_learned_round(const NbCase *c) {
    NbQuantSpec spec = brevitas_spec(c, NB_SCALE_STATS);
    spec.scale_min = 1e-10F;
    const NbLearnedRound round = learned_round(c);
    const BrevitasRows w = brevitas_rows(c, "w", spec.per_channel);
    const float *const v = nb_case_f32(c, "v", NULL);
    const float *const g = nb_case_f32(c, "g", NULL);
    float *const scale = brevitas_floats(c, w.rows);
    float *const soft = brevitas_floats(c, w.count);
    float *const hard = brevitas_floats(c, w.count);
    float *const dv = brevitas_floats(c, w.count);
    nb_quant_scale(&spec, w.x, w.rows, w.n, NULL, scale);
    for (size_t i = 0; i < w.rows; i++) {
        const size_t at = i * w.n;
        const NbLearnedRow row = {.x = w.x + at, .v = v + at, .n = w.n, .scale = scale[i]};
        nb_learned_round_codes(&round, spec.grid, &row, false, soft + at);
        nb_learned_round_codes(&round, spec.grid, &row, true, hard + at);
        nb_learned_round_backward(&round, &spec, &row, g + at, dv + at);
    }
    nb_quant_values(soft, w.rows, w.n, scale, NULL, soft);
    nb_quant_values(hard, w.rows, w.n, scale, NULL, hard);
    bool ok = nb_case_compare(c, "scale", scale, w.rows);
    ok &= nb_case_compare(c, "y_train", soft, w.count);
    ok &= nb_case_compare(c, "y_eval", hard, w.count);
    return nb_case_compare(c, "grad_v", dv, w.count) && ok;
}
