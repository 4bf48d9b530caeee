/* SPDX-License-Identifier: Apache-2.0
 *
 * Codes, scales, values and gradients against Brevitas 0.12.1. The manifest says which cases there
 * are; a kind that no test knows is a failure. */
#include "brevitas.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

static const struct {
    const char *kind;
    BrevitasCase *run; /* NULL: tests/lower runs it */
} kinds[] = {
    {"weight_stats", brevitas_weight_stats},
    {"weight_stats_transposed", brevitas_weight_transposed},
    {"weight_learned_scale", brevitas_weight_learned},
    {"weight_asym_stats", brevitas_weight_shifted},
    {"weight_mse_grid", brevitas_weight_mse},
    {"weight_binary", brevitas_weight_binary},
    {"weight_ternary_int", brevitas_weight_ternary_int},
    {"weight_ternary_threshold", brevitas_weight_ternary},
    {"weight_learned_round", brevitas_learned_round},
    {"act_parameter_scale", brevitas_act_parameter},
    {"act_binary", brevitas_act_binary},
    {"act_ternary", brevitas_act_ternary},
    {"act_runtime", brevitas_act_runtime},
    {"rounding", brevitas_rounding},
    {"layer_conv", brevitas_layer_conv},
    {"trunc_avgpool", brevitas_trunc_avgpool},
    {"upsample_bilinear", brevitas_upsample},
    {"eltwise_add", brevitas_eltwise_add},
    {"block_conv_bn_relu", brevitas_block},
    {"finn_multithreshold", brevitas_thresholds},
    {"merge_bn", NULL},
    {"cross_layer_equalization", NULL},
    {"ptq_gptq", NULL},
    {"ptq_gpfq", NULL},
    {"bias_correction", NULL},
};

static NbRestrict restriction(const NbCase *c) {
    const char *const name = nb_case_string(c, "restrict", "fp");
    if (strcmp(name, "log_fp") == 0)
        return NB_RESTRICT_LOG_FP;
    if (strcmp(name, "pot") == 0)
        return NB_RESTRICT_POT;
    if (strcmp(name, "fp") != 0)
        fail_msg("case %s: unknown restriction '%s'", c->id, name);
    return NB_RESTRICT_FP;
}

NbQuantSpec brevitas_spec(const NbCase *c, NbScaleFrom from) {
    NbQuantSpec spec = {
        .grid = {.bits = (int)nb_case_number(c, "bit_width", 8),
                 .is_signed = nb_case_bool(c, "signed", true),
                 .narrow = nb_case_bool(c, "narrow", false)},
        .scale_from = from,
        .restrict_to = restriction(c),
        .per_channel = strcmp(nb_case_string(c, "granularity", "tensor"), "channel") == 0,
        .ste_clamp = nb_case_bool(c, "ste_clamp", from != NB_SCALE_PARAMETER),
        .scale_min = (float)nb_case_number(c, "scaling_min_val", 0.0),
        .log_int_threshold = true,
    };
    const char *const round = nb_case_string(c, "rounding", "round");
    if (!nb_round_parse(round, &spec.round))
        fail_msg("case %s: unknown rounding '%s'", c->id, round);
    return spec;
}

float *brevitas_floats(const NbCase *c, size_t n) {
    float *const out = NB_NEW(&c->all->arena, float, n);
    if (!out)
        fail_msg("out of memory");
    return out;
}

BrevitasRows brevitas_rows(const NbCase *c, const char *array, bool per_channel) {
    const NbTensor tensor = nb_case_array(c, array);
    BrevitasRows r;
    r.x = nb_case_f32(c, array, &r.count);
    r.rows = per_channel ? (size_t)tensor.shape.dim[0] : 1;
    r.n = r.count / r.rows;
    return r;
}

const char *brevitas_step(const char *name, int step) {
    static char text[64];
    (void)snprintf(text, sizeof text, "%s%d", name, step);
    return text;
}

bool brevitas_compare_codes(const NbCase *c, const char *array, const float *got, size_t n,
                            double step, double share) {
    size_t count;
    const float *const want = nb_case_f32(c, array, &count);
    assert_int_equal(count, n);
    size_t moved = 0;
    for (size_t i = 0; i < n; i++) {
        const double off = fabs((double)got[i] - (double)want[i]);
        if (off <= 1e-4)
            continue;
        moved++;
        if (!(off <= step + 1e-4)) {
            print_error("%s: %s: at %zu %.9g, expected %.9g: more than a code\n", c->id, array, i,
                        (double)got[i], (double)want[i]);
            return false;
        }
    }
    if ((double)moved <= share * (double)n)
        return true;
    print_error("%s: %s: %zu of %zu codes differ\n", c->id, array, moved, n);
    return false;
}

static void every_case(void **state) {
    (void)state;
    NbCases *const cases = nb_cases_open("brevitas");
    int bad = 0;
    for (int i = 0; i < cases->count; i++) {
        const NbCase c = nb_cases_get(cases, i);
        size_t k = 0;
        while (k < sizeof kinds / sizeof *kinds && strcmp(kinds[k].kind, c.kind) != 0)
            k++;
        if (k == sizeof kinds / sizeof *kinds)
            fail_msg("case %s: unknown kind '%s'", c.id, c.kind);
        if (kinds[k].run && !kinds[k].run(&c)) {
            print_error("%s failed\n", c.id);
            bad++;
        }
    }
    nb_cases_close(cases);
    assert_int_equal(bad, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_case)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
