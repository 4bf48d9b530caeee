/* SPDX-License-Identifier: Apache-2.0
 *
 * Optimizer steps against rows worked by hand. */
#include "nn/optimizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

static void expect_near(float got, double want) {
    if (fabs((double)got - want) > 1e-6 * fmax(1.0, fabs(want)))
        fail_msg("%.9g, %.9g expected", (double)got, want);
}

static void sgd_takes_the_steps_of_its_formula(void **state) {
    (void)state;
    /* value 1, gradient 0.5 twice, lr 0.1, momentum 0.9, decay 0.01:
     * g = 0.51, buffer = 0.51; nesterov: 1 - 0.1 * (0.51 + 0.459) = 0.9031
     * g = 0.509031, buffer = 0.968031; 0.9031 - 0.1 * (0.509031 + 0.8712279) = 0.76507411 */
    static const double nesterov[] = {0.9031, 0.76507411};
    /* without: 1 - 0.051 = 0.949; g = 0.50949, buffer = 0.96849; 0.949 - 0.096849 = 0.852151 */
    static const double plain[] = {0.949, 0.852151};
    for (int n = 0; n < 2; n++) {
        float value = 1.0F;
        float buffer = 77.0F; /* the first step does not read it */
        const float grad = 0.5F;
        for (int i = 0; i < 2; i++) {
            const NbSgd sgd = {.lr = 0.1, .momentum = 0.9, .decay = 0.01, .nesterov = n == 1};
            nb_sgd_step(&sgd, &value, &grad, &buffer, 1, i == 0);
            expect_near(value, n == 1 ? nesterov[i] : plain[i]);
        }
    }
}

static void adam_takes_the_steps_of_its_formula(void **state) {
    (void)state;
    for (int decoupled = 0; decoupled < 2; decoupled++) {
        float value = 1.0F;
        float m = 0.0F;
        float v = 0.0F;
        double x = 1.0;
        double dm = 0.0;
        double dv = 0.0;
        for (int64_t t = 1; t <= 4; t++) {
            const float grad = 0.25F * (float)t - 0.4F;
            const NbAdam adam = {.lr = 0.01,
                                 .beta1 = 0.9,
                                 .beta2 = 0.999,
                                 .epsilon = 1e-8,
                                 .decay = 0.1,
                                 .decoupled = decoupled == 1};
            nb_adam_step(&adam, &value, &grad, &m, &v, 1, t);
            const double g = (double)grad + (decoupled ? 0.0 : 0.1 * x);
            x *= decoupled ? 1.0 - 0.01 * 0.1 : 1.0;
            dm = 0.9 * dm + 0.1 * g;
            dv = 0.999 * dv + 0.001 * g * g;
            x -= 0.01 * (dm / (1.0 - pow(0.9, (double)t))) /
                 (sqrt(dv / (1.0 - pow(0.999, (double)t))) + 1e-8);
            expect_near(value, x);
        }
    }
}

typedef void Step(const NbAdam *o, float *value, const float *grad, float *m, float *v, size_t n,
                  int64_t step);

/* What the papers and torch.optim write, in double. state: value, m, v, product of betas. */
typedef void Formula(double state[4], double g, int64_t t);

static const double rate = 0.01;
static const double beta1 = 0.9;
static const double beta2 = 0.99;

static void moments(double state[4], double g) {
    state[1] = beta1 * state[1] + (1.0 - beta1) * g;
    state[2] = beta2 * state[2] + (1.0 - beta2) * g * g;
}

/* Dozat 2016, as torch has it. */
static void nadam(double state[4], double g, int64_t t) {
    const double mu = beta1 * (1.0 - 0.5 * pow(0.96, 0.004 * (double)t));
    const double next = beta1 * (1.0 - 0.5 * pow(0.96, 0.004 * (double)(t + 1)));
    moments(state, g);
    state[3] = (t == 1 ? 1.0 : state[3]) * mu;
    const double mean =
        next * state[1] / (1.0 - state[3] * next) + (1.0 - mu) * g / (1.0 - state[3]);
    state[0] -= rate * mean / (sqrt(state[2] / (1.0 - pow(beta2, (double)t))) + 1e-8);
}

/* Liu et al. 2020, algorithm 2. */
static void radam(double state[4], double g, int64_t t) {
    const double power = pow(beta2, (double)t);
    const double all = 2.0 / (1.0 - beta2) - 1.0;
    const double rho = all - 2.0 * (double)t * power / (1.0 - power);
    moments(state, g);
    const double mean = state[1] / (1.0 - pow(beta1, (double)t));
    assert_true((t >= 6) == (rho > 5.0)); /* both branches are taken */
    if (rho <= 5.0) {
        state[0] -= rate * mean;
        return;
    }
    const double rectify =
        sqrt((rho - 4.0) * (rho - 2.0) * all / ((all - 4.0) * (all - 2.0) * rho));
    state[0] -= rate * rectify * mean * sqrt(1.0 - power) / (sqrt(state[2]) + 1e-8);
}

/* Kingma, Ba 2015, algorithm 2. */
static void adamax(double state[4], double g, int64_t t) {
    state[1] = beta1 * state[1] + (1.0 - beta1) * g;
    state[2] = fmax(beta2 * state[2], fabs(g) + 1e-8);
    state[0] -= rate / (1.0 - pow(beta1, (double)t)) * state[1] / state[2];
}

static void relatives_of_adam_take_the_steps_of_their_papers(void **unused) {
    (void)unused;
    static const struct {
        Step *step;
        Formula *formula;
    } rows[] = {{nb_nadam_step, nadam}, {nb_radam_step, radam}, {nb_adamax_step, adamax}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        float value = 1.0F;
        float m = 0.0F;
        float v = 0.0F;
        double state[4] = {1.0};
        for (int64_t t = 1; t <= 12; t++) {
            const float grad = t % 3 == 0 ? -0.7F : 0.25F * (float)t - 0.4F;
            const NbAdam o = {
                .lr = rate, .beta1 = beta1, .beta2 = beta2, .epsilon = 1e-8, .decay = 0.1};
            rows[i].step(&o, &value, &grad, &m, &v, 1, t);
            rows[i].formula(state, (double)grad + 0.1 * state[0], t);
            expect_near(value, state[0]);
        }
        /* late in a run: the product of NAdam's betas is 0, all corrections are 1 */
        const float grad = 0.5F;
        const NbAdam o = {.lr = rate, .beta1 = beta1, .beta2 = beta2, .epsilon = 1e-8};
        state[0] = (double)value;
        state[1] = (double)m;
        state[2] = (double)v;
        state[3] = 0.0;
        rows[i].step(&o, &value, &grad, &m, &v, 1, 100000);
        rows[i].formula(state, (double)grad, 100000);
        expect_near(value, state[0]);
    }
}

static void rmsprop_takes_the_steps_of_its_formula(void **unused) {
    (void)unused;
    /* gradient 2, then -1; alpha 0.99, momentum 0.5, no decay:
     * v = 0.04, buffer = 2 / 0.2 = 10, value 1 - 0.01 * 10 = 0.9
     * v = 0.0496, buffer = 5 - 1 / 0.222711 = 0.5098686, value 0.9 - 0.005098686 */
    const NbSgd o = {.lr = 0.01, .momentum = 0.5};
    float value = 1.0F;
    float buffer = 0.0F;
    float v = 0.0F;
    float grad = 2.0F;
    nb_rmsprop_step(&o, &value, &grad, &buffer, &v, 1);
    expect_near(value, 0.9);
    grad = -1.0F;
    nb_rmsprop_step(&o, &value, &grad, &buffer, &v, 1);
    expect_near(value, 0.894901314);
    const NbSgd decays = {.lr = 0.01, .momentum = 0.0, .decay = 0.5};
    value = 4.0F;
    grad = 0.0F;
    buffer = v = 0.0F;
    nb_rmsprop_step(&decays, &value, &grad, &buffer, &v, 1); /* g = 2: 4 - 0.01 * 2 / 0.2 */
    expect_near(value, 3.9);
}

static void the_average_moves_by_its_share(void **state) {
    (void)state;
    float average[] = {1.0F, -2.0F};
    const float value[] = {2.0F, 2.0F};
    nb_ema_update(average, value, 2, 0.75);
    expect_near(average[0], 1.25);
    expect_near(average[1], -1.0);
}

static void squares_are_summed_in_double(void **state) {
    (void)state;
    static const float x[] = {1e10F, 1.0F, 2.0F};
    assert_true(nb_square_sum(x, 0) == 0.0);
    assert_true(nb_square_sum(x + 1, 2) == 5.0);
    assert_true(nb_square_sum(x, 3) == 1e20 + 1.0 + 4.0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sgd_takes_the_steps_of_its_formula),
        cmocka_unit_test(adam_takes_the_steps_of_its_formula),
        cmocka_unit_test(relatives_of_adam_take_the_steps_of_their_papers),
        cmocka_unit_test(rmsprop_takes_the_steps_of_its_formula),
        cmocka_unit_test(the_average_moves_by_its_share),
        cmocka_unit_test(squares_are_summed_in_double),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
