/* SPDX-License-Identifier: Apache-2.0
 *
 * What recipes decide, against rows worked by hand from the rules of the sources; which layers are
 * frozen. */
#include "train/tiny.h"

#include "train/recipe.h"

#include <math.h>

static void auto_chooses_by_length(void **unused) {
    (void)unused;
    static const struct {
        int pictures, batch, nbs, epochs, nc;
        double warmup;
        NbOptimizerKind kind;
        double lr0, momentum;
    } rows[] = {
        /* ceil(118287 / 64) * 500 = 924500 */
        {118287, 16, 64, 500, 80, 3.0, NB_SGD, 0.01, 0.937},
        {118287, 16, 64, 500, 80, 0.0, NB_SGD, 0.01, 0.9}, /* nothing draws it to the setting */
        /* 128 / 64 * 100 = 200: 0.01 / 84 = 0.000119047... */
        {128, 16, 64, 100, 80, 3.0, NB_ADAMW, 0.000119, 0.9},
        {128, 16, 64, 100, 1, 3.0, NB_ADAMW, 0.002, 0.9},
        {128, 16, 64, 100, 2, 3.0, NB_ADAMW, 0.001667, 0.9}, /* 0.0016666... */
        {128, 16, 64, 100, 3, 3.0, NB_ADAMW, 0.001429, 0.9},
        /* exactly 10000 is not above it, 10001 is; one picture more begins a batch */
        {64 * 100, 16, 64, 100, 1, 3.0, NB_ADAMW, 0.002, 0.9},
        {64 * 100 + 1, 16, 64, 100, 1, 3.0, NB_SGD, 0.01, 0.937},
        /* a batch above the nominal one counts itself: ceil(6401 / 256) * 100 */
        {64 * 100 + 1, 256, 64, 100, 1, 3.0, NB_ADAMW, 0.002, 0.9},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        NbHyper h = nb_hyper_ultralytics();
        h.batch = rows[i].batch;
        h.nbs = rows[i].nbs;
        h.epochs = rows[i].epochs;
        h.warmup_epochs = rows[i].warmup;
        h.lr0 = 0.5; /* what the user says about it does not count */
        nb_recipe_auto(&h, rows[i].nc, rows[i].pictures);
        assert_int_equal(h.optimizer, rows[i].kind);
        assert_true(h.lr0 == rows[i].lr0);
        assert_true(h.momentum == rows[i].momentum);
        assert_true(h.warmup_bias_lr == 0.0);
    }
}

static void schedules_follow_the_recipe(void **unused) {
    (void)unused;
    const NbHyper nibble = nb_hyper_default(false);
    const NbHyper peer = nb_hyper_default(true);
    NbHyper ul = nb_hyper_ultralytics();
    assert_int_equal(nb_recipe_schedule(&peer, 10).warmup, 1000);
    assert_int_equal(nb_recipe_schedule(&ul, 10).warmup, 100);
    assert_int_equal(nb_recipe_schedule(&ul, 40).warmup, 120);
    ul.warmup_epochs = 0.5; /* halves are rounded to even */
    assert_int_equal(nb_recipe_schedule(&ul, 201).warmup, 100);
    assert_int_equal(nb_recipe_schedule(&ul, 205).warmup, 102); /* 102.5 */
    assert_int_equal(nb_recipe_schedule(&ul, 203).warmup, 102); /* 101.5 */
    ul.warmup_epochs = 0.0;
    assert_int_equal(nb_recipe_schedule(&ul, 40).warmup, 0);
    ul.warmup_epochs = 3.0;
    assert_true(nb_recipe_schedule(&ul, 1).late && nb_recipe_schedule(&peer, 1).late);
    assert_false(nb_recipe_schedule(&nibble, 1).late);
    assert_true(nb_recipe_schedule(&peer, 1).linear_reaches_end);
    assert_false(nb_recipe_schedule(&ul, 1).linear_reaches_end);
    /* beta1 of Adam does not warm up; momentum does */
    for (int kind = 0; kind < NB_OPTIMIZER_COUNT; kind++) {
        ul.optimizer = (NbOptimizerKind)kind;
        const NbSchedule s = nb_recipe_schedule(&ul, 40);
        const bool warms = kind == NB_SGD || kind == NB_RMSPROP;
        assert_true(fabs(nb_schedule_at(&s, 60).momentum - (warms ? 0.8685 : 0.937)) < 1e-12);
    }
    assert_false(nb_recipe_drops_rest(&nibble));
    assert_true(nb_recipe_drops_rest(&peer) && nb_recipe_drops_rest(&ul));
}

static void mosaics_end_in_time(void **unused) {
    (void)unused;
    static const struct {
        int epochs, close, epoch;
        bool nibble, ultralytics;
    } rows[] = {
        {100, 10, 89, false, false}, {100, 10, 90, true, true},
        {100, 10, 99, true, true},   {10, 10, 0, true, true}, /* from the first epoch on */
        {9, 10, 0, true, false}, /* the source asks for epoch -1, which does not come */
        {9, 10, 8, true, false},     {100, 0, 99, false, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        NbHyper h[] = {nb_hyper_default(false), nb_hyper_ultralytics()};
        for (int k = 0; k < 2; k++) {
            h[k].epochs = rows[i].epochs;
            h[k].close_mosaic = rows[i].close;
            assert_int_equal(nb_recipe_mosaic_closed(&h[k], rows[i].epoch),
                             k ? rows[i].ultralytics : rows[i].nibble);
        }
    }
}

static void epochs_are_scored(void **unused) {
    (void)unused;
    NbHyper h = nb_hyper_ultralytics();
    h.epochs = 40;
    for (int epoch = 0; epoch < 40; epoch++) {
        h.val = true;
        h.val_period = 1;
        assert_true(nb_recipe_scores(&h, epoch));
        h.val_period = 7;
        assert_int_equal(nb_recipe_scores(&h, epoch), (epoch + 1) % 7 == 0 || epoch >= 30);
        h.val = false;
        assert_int_equal(nb_recipe_scores(&h, epoch), epoch == 39);
    }
}

static void ties_are_broken(void **unused) {
    (void)unused;
    const NbHyper nibble = nb_hyper_default(false);
    const NbHyper others[] = {nb_hyper_default(true), nb_hyper_ultralytics()};
    assert_true(nb_recipe_is_better(&nibble, 0.0, -1.0) && nb_recipe_is_better(&nibble, 0.0, 0.0));
    assert_true(nb_recipe_is_better(&nibble, 0.3, 0.2));
    assert_false(nb_recipe_is_better(&nibble, 0.3, 0.3));
    for (int i = 0; i < 2; i++) {
        assert_true(nb_recipe_is_better(&others[i], 0.3, 0.3));
        assert_false(nb_recipe_is_better(&others[i], 0.29, 0.3));
    }
}

static void rates_are_in_the_order_of_groups(void **unused) {
    (void)unused;
    const NbRates r = {.lr = 1.0, .lr_bias = 2.0};
    const NbHyper peer = nb_hyper_default(true);
    const NbHyper ul = nb_hyper_ultralytics();
    double lr[3];
    nb_recipe_group_rates(&peer, &r, lr);
    assert_true(lr[0] == 1.0 && lr[1] == 1.0 && lr[2] == 2.0);
    nb_recipe_group_rates(&ul, &r, lr);
    assert_true(lr[0] == 2.0 && lr[1] == 1.0 && lr[2] == 1.0);
}

static void epochs_fit_into_time(void **unused) {
    (void)unused;
    NbHyper h = nb_hyper_ultralytics();
    assert_int_equal(nb_recipe_epochs_in_time(&h, 50.0, 5), 100); /* no limit */
    h.hours = 1.0;
    assert_int_equal(nb_recipe_epochs_in_time(&h, 0.0, 0), 100); /* nothing to go by */
    assert_int_equal(nb_recipe_epochs_in_time(&h, 500.0, 5), 36);
    assert_int_equal(nb_recipe_epochs_in_time(&h, 490.0, 5), 37); /* 36.7 */
    assert_int_equal(nb_recipe_epochs_in_time(&h, 7200.0, 5), 5); /* time is up */
    assert_int_equal(nb_recipe_epochs_in_time(&h, 1e-9, 5), 1000000);
}

static void defaults_are_those_of_the_source(void **unused) {
    (void)unused;
    const NbHyper h = nb_hyper_ultralytics();
    NbError err = {0};
    must(nb_hyper_check(&h, &err), &err);
    const double got[] = {h.epochs,
                          h.batch,
                          h.imgsz,
                          h.nbs,
                          h.lr0,
                          h.lrf,
                          h.momentum,
                          h.weight_decay,
                          h.warmup_epochs,
                          h.warmup_momentum,
                          h.warmup_bias_lr,
                          h.warmup_min,
                          h.clip_norm,
                          h.ema_decay,
                          h.ema_tau,
                          h.box,
                          h.cls,
                          h.dfl,
                          h.augment.hsv_h,
                          h.augment.hsv_s,
                          h.augment.hsv_v,
                          h.augment.degrees,
                          h.augment.translate,
                          h.augment.scale,
                          h.augment.shear,
                          h.augment.perspective,
                          h.augment.flipud,
                          h.augment.fliplr,
                          h.augment.mosaic,
                          h.augment.mixup,
                          h.close_mosaic,
                          h.patience,
                          h.save_period,
                          h.cos_lr};
    static const double want[] = {100,   16,  640, 64, 0.01,   0.01, 0.937, 0.0005, 3,
                                  0.8,   0.1, 100, 10, 0.9999, 2000, 7.5,   0.5,    1.5,
                                  0.015, 0.7, 0.4, 0,  0.1,    0.5,  0,     0,      0,
                                  0.5,   1,   0,   10, 100,    -1,   0};
    assert_int_equal(sizeof got, sizeof want);
    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        if (got[i] != want[i])
            fail_msg("default %zu is %g, %g expected", i, got[i], want[i]);
}

static void freeze_names_layers(void **unused) {
    (void)unused;
    static const struct {
        const char *text;
        const char *layers; /* those of the first ten that are named; NULL: refused */
    } rows[] = {{"", ""},
                {"0", ""},
                {"3", "012"},
                {"[3]", "3"},
                {"[0]", "0"},
                {"0,2", "02"},
                {"[0, 2,5 ]", "025"},
                {"[]", ""},
                {" 2 ", "01"},
                {"256", "0123456789"},
                {"257", NULL},
                {"[256]", NULL},
                {"1,256", NULL},
                {"-1", NULL},
                {"x", NULL},
                {"[1", NULL},
                {"1]", NULL},
                {"[1] 2", NULL},
                {"1 2", NULL},
                {"[1,,2]", NULL}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        NbError err = {0};
        NbLayers layers;
        char named[16] = "";
        const NbStatus status = nb_layers_parse(rows[i].text, &layers, &err);
        if ((status == NB_OK) != (rows[i].layers != NULL))
            fail_msg("'%s': status %d: %s", rows[i].text, (int)status, err.message);
        for (int k = 0; status == NB_OK && k < 10; k++)
            if (nb_layers_has(&layers, k))
                named[strlen(named)] = (char)('0' + k);
        if (rows[i].layers && strcmp(named, rows[i].layers) != 0)
            fail_msg("'%s': layers %s, expected %s", rows[i].text, named, rows[i].layers);
    }
}

static bool is_frozen(const NbModel *m, const char *name) {
    for (NbNodeId id = 0; id < m->graph.n_nodes; id++)
        if (m->graph.node[id].op == NB_OP_PARAM && strcmp(m->graph.node[id].name, name) == 0)
            return m->graph.node[id].attr.param.frozen;
    fail_msg("no %s", name);
    return false;
}

static void frozen_layers_are_not_trained(void **unused) {
    (void)unused;
    NbError err = {0};
    NbModel m;
    NbLayers layers = {0};
    tiny_model(1, &m);
    must(nb_layers_parse("[2]", &layers, &err), &err);
    must(nb_layers_freeze(&m, &layers, &err), &err);
    assert_false(is_frozen(&m, "model.0.conv.weight"));
    assert_true(is_frozen(&m, "model.2.conv.weight"));
    /* a constant of the head, by its name alone */
    for (NbNodeId id = 0; id < m.graph.n_nodes; id++)
        if (m.graph.node[id].op == NB_OP_PARAM &&
            strcmp(m.graph.node[id].name, "model.0.bn.weight") == 0)
            m.graph.node[id].name = "model.0.dfl.conv.weight";
    layers = (NbLayers){0};
    must(nb_layers_freeze(&m, &layers, &err), &err);
    assert_true(is_frozen(&m, "model.0.dfl.conv.weight"));
    assert_false(is_frozen(&m, "model.0.bn.bias"));
    must(nb_layers_parse("[7]", &layers, &err), &err);
    assert_int_equal(nb_layers_freeze(&m, &layers, &err), NB_ERR_ARGUMENT);
    assert_string_equal(err.message, "freeze: expected layers from 0 to 2, found 7");
    must(nb_layers_parse("3", &layers, &err), &err);
    assert_int_equal(nb_layers_freeze(&m, &layers, &err), NB_ERR_ARGUMENT);
    nb_model_release(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(auto_chooses_by_length),
        cmocka_unit_test(schedules_follow_the_recipe),
        cmocka_unit_test(mosaics_end_in_time),
        cmocka_unit_test(epochs_are_scored),
        cmocka_unit_test(ties_are_broken),
        cmocka_unit_test(rates_are_in_the_order_of_groups),
        cmocka_unit_test(epochs_fit_into_time),
        cmocka_unit_test(defaults_are_those_of_the_source),
        cmocka_unit_test(freeze_names_layers),
        cmocka_unit_test(frozen_layers_are_not_trained),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
