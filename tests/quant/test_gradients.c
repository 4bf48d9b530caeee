/* SPDX-License-Identifier: Apache-2.0
 *
 * Gradients against central differences, where straight-through estimates permit it: with the codes
 * held, y = (q - z) * s is linear in s, and q follows x / s by the straight-through rule. What is
 * differentiated is that surrogate, evaluated in double. */
#include "base/random.h"
#include "quant/learned_round.h"
#include "quant/quantizer.h"
#include "quant/statistics.h"
#include "quant/zero.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <math.h>

enum { ROWS = 3, N = 40, ALL = ROWS * N };

typedef struct Setup {
    NbQuantSpec spec;
    float x[ALL];
    float g[ALL];
    float value[ROWS];
    float code[ALL]; /* at x, before the clamp */
    double u[ALL];   /* x / s there */
} Setup;

/* Threshold for a row as a smooth function: the rounding of an exponent moves along with it. */
static double threshold_of(const Setup *s, double statistic_or_value, double start) {
    const NbRestrict to = s->spec.restrict_to;
    const bool learned = s->spec.scale_from == NB_SCALE_PARAMETER;
    if (to == NB_RESTRICT_FP || to == NB_RESTRICT_STEP)
        return fabs(statistic_or_value);
    const double p = learned ? statistic_or_value : log2(statistic_or_value);
    const double p0 = learned ? start : log2(start);
    const double offset = to == NB_RESTRICT_POT ? ceil((double)(float)p0) - p0 : 0.0;
    return exp2(p + offset);
}

/* The surrogate of one element: the code moves with x / s, and the clamp holds or lets through. */
static double surrogate(const Setup *s, size_t i, double x, double scale) {
    const double lo = (double)nb_grid_lo(s->spec.grid);
    const double hi = (double)nb_grid_hi(s->spec.grid);
    const double r = (double)s->code[i];
    const bool clipped = r < lo || r > hi;
    const double c = r < lo ? lo : r > hi ? hi : r;
    const double moved = clipped && !s->spec.ste_clamp ? 0.0 : x / scale - s->u[i];
    return (c + moved) * scale;
}

/* What the threshold of a row is made from, with one element moved. */
static double measured(const Setup *s, size_t row, size_t moved, double x) {
    double top = 0.0;
    double sum = 0.0;
    for (size_t i = row * N; i < (row + 1) * N; i++) {
        const double size = fabs(i == moved ? x : (double)s->x[i]);
        top = fmax(top, size);
        sum += size;
    }
    return s->spec.scale_from == NB_SCALE_MEAN ? sum / N : top;
}

static double row_loss(const Setup *s, size_t row, size_t moved, double x, double value) {
    const bool learned = s->spec.scale_from == NB_SCALE_PARAMETER;
    const double now = learned ? value : measured(s, row, moved, x);
    const double start = learned ? (double)s->value[row] : measured(s, row, ALL, 0.0);
    const double scale = threshold_of(s, now, start) / (double)nb_quant_int_threshold(&s->spec);
    double loss = 0.0;
    for (size_t i = row * N; i < (row + 1) * N; i++)
        loss += (double)s->g[i] * surrogate(s, i, i == moved ? x : (double)s->x[i], scale);
    return loss;
}

static void fill(Setup *s, NbRandom *random) {
    NbQuantSpec wide = s->spec;
    wide.grid = (NbGrid){.bits = 20, .is_signed = true};
    float scale[ROWS];
    for (size_t i = 0; i < ALL; i++) {
        s->x[i] = (float)nb_random_normal(random);
        s->g[i] = (float)nb_random_normal(random);
    }
    for (size_t r = 0; r < ROWS; r++)
        s->value[r] = nb_quant_value_of(&s->spec, (float)nb_random_range(random, 0.7, 2.5));
    nb_quant_scale(&s->spec, s->x, ROWS, N, s->value, scale);
    nb_quant_codes(&wide, s->x, ROWS, N, scale, NULL, s->code);
    for (size_t i = 0; i < ALL; i++)
        s->u[i] = (double)s->x[i] / (double)scale[i / N];
}

static void check(Setup *s) {
    float dx[ALL];
    float d_value[ROWS] = {0};
    nb_quant_backward(&s->spec, s->x, ROWS, N, s->value, s->g, dx, d_value);
    const double h = 1e-5;
    for (size_t i = 0; i < ALL; i++) {
        const size_t row = i / N;
        const double x = (double)s->x[i];
        const double v = (double)s->value[row];
        const double want =
            (row_loss(s, row, i, x + h, v) - row_loss(s, row, i, x - h, v)) / (2.0 * h);
        if (!(fabs((double)dx[i] - want) < 2e-4 * (1.0 + fabs(want))))
            fail_msg("dx[%zu] %.9g, expected %.9g", i, (double)dx[i], want);
    }
    if (s->spec.scale_from != NB_SCALE_PARAMETER)
        return;
    for (size_t r = 0; r < ROWS; r++) {
        const double v = (double)s->value[r];
        const double want =
            (row_loss(s, r, ALL, 0.0, v + h) - row_loss(s, r, ALL, 0.0, v - h)) / (2.0 * h);
        if (!(fabs((double)d_value[r] - want) < 2e-4 * (1.0 + fabs(want))))
            fail_msg("d_value[%zu] %.9g, expected %.9g", r, (double)d_value[r], want);
    }
}

static void match_central_differences(void **state) {
    (void)state;
    NbRandom random = nb_random(3, NB_RANDOM_TEST, 0, 0);
    for (int from = NB_SCALE_STATS; from <= NB_SCALE_PARAMETER; from++)
        for (int domain = NB_RESTRICT_FP; domain <= NB_RESTRICT_STEP; domain++)
            for (int bits = 2; bits <= 8; bits++)
                for (int variant = 0; variant < 8; variant++) {
                    Setup s = {.spec = {.grid = {.bits = bits,
                                                 .is_signed = variant % 2 == 0,
                                                 .narrow = variant / 2 % 2 == 1},
                                        .scale_from = (NbScaleFrom)from,
                                        .restrict_to = (NbRestrict)domain,
                                        .per_channel = true,
                                        .ste_clamp = variant / 4 == 1,
                                        .scale_min = 1e-10F}};
                    fill(&s, &random);
                    check(&s);
                }
}

/* Shifted quantizers: scale and zero point both follow the ends of the row, and the zero point is
 * straight-through in its own rounding. */
typedef struct Shift {
    double scale, zero_real; /* |low| / scale */
} Shift;

static Shift shift_of(const Setup *s, size_t row, size_t moved, double x) {
    double low = 0.0;
    double high = -HUGE_VAL;
    for (size_t i = row * N; i < (row + 1) * N; i++) {
        const double at = i == moved ? x : (double)s->x[i];
        low = fmin(low, at);
        high = fmax(high, at);
    }
    const double scale = (high - low) / (double)nb_quant_int_threshold(&s->spec);
    return (Shift){scale, -low / scale};
}

static double shifted_loss(const Setup *s, const float *zero, size_t row, size_t moved, double x) {
    const Shift start = shift_of(s, row, ALL, 0.0);
    const Shift now = shift_of(s, row, moved, x);
    const double z = (double)zero[row] + now.zero_real - start.zero_real;
    const double hi = (double)nb_grid_hi(s->spec.grid);
    double loss = 0.0;
    for (size_t i = row * N; i < (row + 1) * N; i++) {
        const double at = i == moved ? x : (double)s->x[i];
        const double r = (double)s->code[i];
        const double c = r < 0.0 ? 0.0 : r > hi ? hi : r;
        const bool follows = s->spec.ste_clamp || c == r;
        const double u = at / now.scale + z - (s->u[i] + (double)zero[row]);
        loss += (double)s->g[i] * (c + (follows ? u : 0.0) - z) * now.scale;
    }
    return loss;
}

static void shifted_ones_match_too(void **state) {
    (void)state;
    NbRandom random = nb_random(13, NB_RANDOM_TEST, 0, 0);
    for (int round = 0; round < 60; round++) {
        Setup s = {.spec = {.grid = {.bits = 2 + round % 4},
                            .scale_from = NB_SCALE_STATS,
                            .per_channel = true,
                            .ste_clamp = round % 2 == 0}};
        fill(&s, &random);
        float scale[ROWS];
        float zero[ROWS];
        float dx[ALL];
        nb_shifted_scale(&s.spec, s.x, ROWS, N, true, scale, zero);
        for (size_t i = 0; i < ALL; i++) {
            s.u[i] = (double)s.x[i] / (double)scale[i / N];
            s.code[i] = rintf(s.x[i] / scale[i / N] + zero[i / N]);
        }
        nb_shifted_backward(&s.spec, s.x, ROWS, N, s.g, dx);
        const double h = 1e-5;
        for (size_t i = 0; i < ALL; i++) {
            const double x = (double)s.x[i];
            const double want = (shifted_loss(&s, zero, i / N, i, x + h) -
                                 shifted_loss(&s, zero, i / N, i, x - h)) /
                                (2.0 * h);
            if (!(fabs((double)dx[i] - want) < 5e-4 * (1.0 + fabs(want))))
                fail_msg("round %d: dx[%zu] %.9g, expected %.9g", round, i, (double)dx[i], want);
        }
    }
}

static void lsq_scales_the_gradient_of_values(void **state) {
    (void)state;
    NbRandom random = nb_random(4, NB_RANDOM_TEST, 0, 0);
    Setup s = {.spec = {.grid = {.bits = 4}, .scale_from = NB_SCALE_PARAMETER}};
    fill(&s, &random);
    float plain[ROWS] = {0};
    float scaled[ROWS] = {0};
    nb_quant_backward(&s.spec, s.x, ROWS, N, s.value, s.g, NULL, plain);
    s.spec.lsq_gradient = true;
    nb_quant_backward(&s.spec, s.x, ROWS, N, s.value, s.g, NULL, scaled);
    for (int r = 0; r < ROWS; r++)
        assert_true(fabs((double)scaled[r] * sqrt(N * 15.0) - (double)plain[r]) < 1e-4);
    const float before = scaled[0]; /* added to, not written */
    nb_quant_backward(&s.spec, s.x, ROWS, N, s.value, s.g, NULL, scaled);
    assert_true(fabsf(scaled[0] - 2.0F * before) < 1e-5F);
}

static void gradients_in_place(void **state) {
    (void)state;
    NbRandom random = nb_random(5, NB_RANDOM_TEST, 0, 0);
    for (int kind = NB_QUANT_INT; kind <= NB_QUANT_TERNARY; kind++) {
        Setup s = {.spec = {.kind = (NbQuantKind)kind,
                            .grid = {.bits = 4, .is_signed = true},
                            .scale_from = NB_SCALE_STATS,
                            .per_channel = true,
                            .cut = 0.3F}};
        fill(&s, &random);
        float dx[ALL];
        nb_quant_backward(&s.spec, s.x, ROWS, N, NULL, s.g, dx, NULL);
        nb_quant_backward(&s.spec, s.x, ROWS, N, NULL, s.g, s.g, NULL);
        assert_memory_equal(dx, s.g, sizeof dx);
    }
}

static void ties_share_or_go_first(void **state) {
    (void)state;
    const float x[] = {0.3F, -2.0F, 1.1F, 2.0F};
    const float g[] = {1, 0, 1, 0};
    float one[4];
    float shared[4];
    NbQuantSpec spec = {.grid = {.bits = 3, .is_signed = true, .narrow = true},
                        .scale_from = NB_SCALE_STATS,
                        .ste_clamp = true,
                        .per_channel = true};
    nb_quant_backward(&spec, x, 1, 4, NULL, g, one, NULL);
    spec.per_channel = false;
    nb_quant_backward(&spec, x, 1, 4, NULL, g, shared, NULL);
    /* s = 2/3, codes 0 and 2: d s = -0.45 + (2 - 1.65) = -0.1; d threshold = -0.1 / 3 */
    assert_true(fabsf(one[1] - 0.1F / 3.0F) < 1e-6F && one[3] == 0.0F);
    assert_true(fabsf(shared[1] - 0.05F / 3.0F) < 1e-6F && fabsf(shared[3] + 0.05F / 3.0F) < 1e-6F);
}

static void learned_rounding_starts_where_it_was(void **state) {
    (void)state;
    NbRandom random = nb_random(6, NB_RANDOM_TEST, 0, 0);
    const NbGrid grid = {.bits = 6, .is_signed = true};
    const NbQuantSpec quant = {.grid = grid, .ste_clamp = true};
    for (int kind = NB_LEARNED_HARD_SIGMOID; kind <= NB_LEARNED_IDENTITY; kind++) {
        const NbLearnedRound spec = {
            .kind = (NbLearnedRoundKind)kind, .zeta = 1.1F, .gamma = -0.1F, .temperature = 1.0F};
        float x[N];
        float v[N];
        float q[N];
        float up[N];
        float dv[N];
        float g[N];
        for (size_t i = 0; i < N; i++) {
            x[i] = (float)nb_random_range(&random, -2.0, 2.0);
            g[i] = 1.0F;
        }
        const float scale = 0.1F;
        nb_learned_round_start(&spec, x, N, scale, v);
        const NbLearnedRow row = {.x = x, .v = v, .n = N, .scale = scale};
        nb_learned_round_codes(&spec, grid, &row, false, q);
        for (size_t i = 0; i < N; i++) {
            const float u = x[i] / scale;
            if (kind == NB_LEARNED_HARD_SIGMOID)
                assert_true(fabsf(q[i] - u) < 1e-4F);
            if (kind == NB_LEARNED_IDENTITY)
                assert_true(q[i] == rintf(u));
        }
        nb_learned_round_codes(&spec, grid, &row, true, q);
        for (size_t i = 0; i < N; i++)
            assert_true(q[i] == floorf(x[i] / scale) || q[i] == ceilf(x[i] / scale));
        if (kind == NB_LEARNED_IDENTITY)
            continue;
        nb_learned_round_codes(&spec, grid, &row, false, q);
        nb_learned_round_backward(&spec, &quant, &row, g, dv);
        for (size_t i = 0; i < N; i++)
            v[i] += 1e-2F;
        nb_learned_round_codes(&spec, grid, &row, false, up);
        for (size_t i = 0; i < N; i++)
            assert_true(fabsf((up[i] - q[i]) * scale / 1e-2F - dv[i]) < 2e-3F);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(match_central_differences),
        cmocka_unit_test(shifted_ones_match_too),
        cmocka_unit_test(lsq_scales_the_gradient_of_values),
        cmocka_unit_test(gradients_in_place),
        cmocka_unit_test(ties_share_or_go_first),
        cmocka_unit_test(learned_rounding_starts_where_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
