/* SPDX-License-Identifier: Apache-2.0
 *
 * Learning rates, momenta and accumulation against the original trainers. */
#include "support/vectors.h"
#include "train/recipe.h"
#include "train/schedule.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_near(double got, double want, double most) {
    if (!(fabs(got - want) <= most))
        fail_msg("expected %.9g, got %.9g", want, got);
}

/* The recipe of a peer; false: its rules are those of a later version, and the schedule alone is
 * compared. */
static bool recipe_of(const NbCase *c, NbHyper *out) {
    const char *const kind = nb_case_string(c, "kind", "q");
    *out = strcmp(kind, "q") == 0 ? nb_hyper_default(true) : nb_hyper_ultralytics();
    out->epochs = (int)nb_case_number(c, "epochs", 1);
    out->batch = (int)nb_case_number(c, "batch", 1);
    out->nbs = (int)nb_case_number(c, "nbs", 64);
    out->cos_lr = nb_case_bool(c, "cosine", true);
    out->lr0 = nb_case_number(c, "lr0", 0.01);
    out->lrf = nb_case_number(c, "lrf", 0.1);
    out->momentum = nb_case_number(c, "momentum", 0.937);
    out->warmup_epochs = nb_case_number(c, "warmup_epochs", 3.0);
    out->warmup_momentum = nb_case_number(c, "warmup_momentum", 0.8);
    out->warmup_bias_lr = nb_case_number(c, "warmup_bias_lr", 0.1);
    return strcmp(kind, "ul") != 0;
}

static int check_case(const NbCase *c) {
    size_t n = 0;
    const float *const ni = nb_case_f32(c, "ni", &n);
    NbHyper h;
    const bool known = recipe_of(c, &h);
    NbSchedule s = nb_recipe_schedule(&h, (int)nb_case_number(c, "nb", 1));
    const int warmup = (int)nb_case_number(c, "nw", 0);
    if (known)
        assert_int_equal(s.warmup, warmup);
    else
        s.late = false;
    s.warmup = warmup;
    float *const values = calloc(6 * n, sizeof *values);
    int64_t last_step = -1;
    int64_t iteration = 0;
    for (size_t i = 0; i < n; i++) {
        NbRates r = {0};
        bool stepped = false;
        for (; iteration <= (int64_t)ni[i]; iteration++) { /* all between the recorded ones */
            r = nb_schedule_at(&s, iteration);
            stepped = iteration - last_step >= r.accumulate;
            if (stepped)
                last_step = iteration;
        }
        values[i] = (float)r.lr;
        values[n + i] = (float)r.lr_bias;
        values[2 * n + i] = (float)r.momentum;
        values[3 * n + i] = (float)r.accumulate;
        values[4 * n + i] = (float)((iteration - 1) / s.batches);
        values[5 * n + i] = stepped ? 1.0F : 0.0F;
    }
    static const char *const arrays[] = {"lr",         "lr_bias", "momentum",
                                         "accumulate", "epoch",   "stepped"};
    int bad = 0;
    for (size_t k = 0; k < 6; k++)
        bad += !nb_case_compare(c, arrays[k], values + k * n, n);
    free(values);
    return bad;
}

static void rates_follow_the_original_trainers(void **state) {
    (void)state;
    NbCases *const cases = nb_cases_open("train_steps");
    int bad = 0;
    int seen = 0;
    for (int i = 0; i < cases->count; i++) {
        const NbCase c = nb_cases_get(cases, i);
        if (strcmp(c.kind, "schedule") != 0)
            continue;
        seen++;
        bad += check_case(&c);
    }
    nb_cases_close(cases);
    assert_true(seen > 0);
    assert_int_equal(bad, 0);
}

static void factors_as_worked_by_hand(void **state) {
    (void)state;
    const NbSchedule cosine = {.epochs = 300, .batches = 1, .cosine = true, .lrf = 0.1};
    const int epoch[] = {0, 1, 75, 150, 225, 299};
    const double want[] = {1, 0.999975, 0.868198, 0.55, 0.231802, 0.100025};
    for (int i = 0; i < 6; i++)
        assert_near(nb_schedule_factor(&cosine, epoch[i]), want[i], 1e-6);
    const NbSchedule linear = {.epochs = 11, .batches = 1, .lrf = 0.5, .linear_reaches_end = true};
    assert_near(nb_schedule_factor(&linear, 0), 1.0, 1e-12);
    assert_near(nb_schedule_factor(&linear, 5), 0.75, 1e-12);
    assert_near(nb_schedule_factor(&linear, 10), 0.5, 1e-12);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(factors_as_worked_by_hand),
        cmocka_unit_test(rates_follow_the_original_trainers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
