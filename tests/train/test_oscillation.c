/* SPDX-License-Identifier: Apache-2.0
 *
 * Flips of codes: what counts as one, what dampening pulls, what freezing holds; and the words of
 * safeguards=. */
#include "train/oscillation.h"
#include "train/tiny.h"

#include <math.h>

typedef struct Run {
    NbModel model;
    NbTrainState state;
    NbTrainParam *p; /* of a convolution */
    float hi;        /* its largest code */
} Run;

static void start(Run *r) {
    NbError err = {0};
    const NbHyper h = nb_hyper_default(false);
    tiny_model(3, &r->model);
    must(nb_train_state_new(&r->model, &h, &r->state, &err), &err);
    must(nb_oscillation_new(&r->state, &err), &err);
    r->p = NULL;
    for (int i = 0; i < r->state.n_params && !r->p; i++)
        if (r->state.param[i].code)
            r->p = &r->state.param[i];
    assert_non_null(r->p);
    r->hi = (float)nb_grid_hi(r->model.graph.node[r->p->quant].attr.quant.grid);
}

static void stop(Run *r) {
    nb_train_state_release(&r->state);
    nb_model_release(&r->model);
}

/* The second weight to `steps` of its channel's scale, 0.1; the first carries the largest. */
static void place(Run *r, float steps) {
    r->p->value[0] = 0.1F * r->hi;
    r->p->value[1] = 0.1F * steps;
    for (size_t k = 2; k < r->p->n; k++)
        r->p->value[k] = 0.0F;
}

static void only_a_way_back_is_an_oscillation(void **unused) {
    (void)unused;
    static const struct {
        float steps; /* where the weight goes */
        int turn;
        bool counts;
    } rows[] = {{2.2F, 0, false}, {3.1F, 1, false}, {4.0F, 1, false},
                {4.2F, 1, false}, {2.8F, -1, true}, {2.9F, -1, false},
                {3.9F, 1, true},  {3.0F, -1, true}, {-3.0F, -1, false}};
    Run r;
    start(&r);
    place(&r, 2.0F);
    nb_oscillation_restart(&r.state);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const float before = r.p->rate[1];
        place(&r, rows[i].steps);
        nb_oscillation_track(&r.state, 0.0);
        assert_int_equal(r.p->turn[1], rows[i].turn);
        assert_int_equal(r.p->code[1], (int)rintf(rows[i].steps));
        assert_true((r.p->rate[1] > before) == rows[i].counts);
    }
    assert_true(r.p->rate[0] == 0.0F);
    assert_true(nb_oscillation_share(&r.state) > 0.0);
    nb_oscillation_restart(&r.state);
    assert_true(nb_oscillation_share(&r.state) == 0.0);
    stop(&r);
}

static void frozen_weights_stay_at_their_mean_code(void **unused) {
    (void)unused;
    Run r;
    start(&r);
    place(&r, 3.0F);
    nb_oscillation_restart(&r.state);
    for (int i = 0; i < 40 && !r.p->frozen[1]; i++) {
        place(&r, i % 2 ? 3.1F : 3.9F);
        nb_oscillation_track(&r.state, 0.04);
    }
    assert_int_equal(r.p->frozen[1], 1);
    assert_int_equal(r.p->frozen[0], 0);
    assert_int_equal(r.p->code[1], 3); /* it spent most of its life there */
    place(&r, 6.0F);
    nb_oscillation_track(&r.state, 0.0); /* what is frozen stays so */
    assert_true(fabsf(r.p->value[1] - 0.3F) < 1e-6F);
    stop(&r);
}

/* The gradient is that of strength * sum (w - middle)^2, and none where a weight is clipped. */
static void dampening_pulls_to_the_middle(void **unused) {
    (void)unused;
    Run r;
    start(&r);
    place(&r, 2.3F);
    memset(r.p->sum, 0, r.p->n * sizeof *r.p->sum);
    nb_oscillation_dampen(&r.state, 5.0);
    assert_true(fabsf(r.p->sum[1] - 2.0F * 5.0F * 0.03F) < 1e-5F);
    assert_true(fabsf(r.p->sum[0]) < 1e-5F);
    place(&r, 1.8F);
    memset(r.p->sum, 0, r.p->n * sizeof *r.p->sum);
    nb_oscillation_dampen(&r.state, 5.0);
    assert_true(fabsf(r.p->sum[1] + 2.0F * 5.0F * 0.02F) < 1e-5F);
    stop(&r);
}

static void schedules_begin_late(void **unused) {
    (void)unused;
    static const struct {
        double progress, dampen, freeze;
    } rows[] = {{0.0, 0.0, 0.0},      {0.499, 0.0, 0.0},     {0.5, 0.0, 0.0}, {0.75, 0.5, 0.0},
                {0.874, 0.8513, 0.0}, {0.875, 0.8536, 0.04}, {1.0, 1.0, 0.01}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_true(fabs(nb_dampen_at(rows[i].progress) - rows[i].dampen) < 1e-4);
        assert_true(fabs(nb_freeze_at(rows[i].progress) - rows[i].freeze) < 1e-12);
    }
}

static void safeguards_are_words(void **unused) {
    (void)unused;
    static const struct {
        const char *text;
        NbStatus status;
        NbSafeguards want; /* norm, correct, dampen, freeze, stages */
    } rows[] = {{"none", NB_OK, {0}},
                {"all", NB_OK, {true, true, true, true, true}},
                {"norm", NB_OK, {.norm = true}},
                {"stages,freeze", NB_OK, {.freeze = true, .stages = true}},
                {"norm,correct,dampen", NB_OK, {.norm = true, .correct = true, .dampen = true}},
                {"", NB_ERR_ARGUMENT, {0}},
                {"norm,", NB_ERR_ARGUMENT, {0}},
                {"norms", NB_ERR_ARGUMENT, {0}},
                {"all,norm", NB_ERR_ARGUMENT, {0}}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        NbError err = {0};
        NbSafeguards got = {0};
        if (nb_safeguards_parse(rows[i].text, &got, &err) != rows[i].status ||
            memcmp(&got, &rows[i].want, sizeof got) != 0)
            fail_msg("'%s'", rows[i].text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_a_way_back_is_an_oscillation),
        cmocka_unit_test(frozen_weights_stay_at_their_mean_code),
        cmocka_unit_test(dampening_pulls_to_the_middle),
        cmocka_unit_test(schedules_begin_late),
        cmocka_unit_test(safeguards_are_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
