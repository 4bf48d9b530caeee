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
        cmocka_unit_test(the_average_moves_by_its_share),
        cmocka_unit_test(squares_are_summed_in_double),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
