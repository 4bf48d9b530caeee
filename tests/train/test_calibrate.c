/* SPDX-License-Identifier: Apache-2.0
 *
 * Where activation scales start. */
#include "train/tiny.h"
#include "train/trainer.h"

#include <math.h>

enum { SIDE = 64, PICTURES = 2 };

static uint8_t images[PICTURES * SIDE * SIDE * 3];

static void draw(void) {
    NbRandom r = nb_random(5, NB_RANDOM_TEST, 0, 0);
    for (size_t i = 0; i < sizeof images; i++)
        images[i] = (uint8_t)nb_random_below(&r, 256);
}

/* Returns how many scales were set. */
static int calibrate(NbModel *m, double percent) {
    NbError err = {0};
    int set = -1;
    must(nb_train_calibrate(m, images, PICTURES, SIDE, SIDE, percent, &set, &err), &err);
    return set;
}

/* The value of the n-th learned activation quantizer; NULL: there are not so many. */
static float *clip(NbModel *m, int n) {
    for (NbNodeId id = 0; id < m->graph.n_nodes; id++) {
        const NbNode *const node = &m->graph.node[id];
        if (node->op == NB_OP_QUANT && node->n_in == 2 && n-- == 0)
            return nb_f32(&m->graph.node[node->in[1]].param);
    }
    return NULL;
}

/* A normalised channel behind a ReLU: its largest value is a few deviations, and a smaller share
 * covers less. */
static void starts_cover_what_is_seen(void **state) {
    (void)state;
    NbModel most;
    NbModel part;
    tiny_model(1, &most);
    tiny_model(1, &part);
    const float before = *clip(&most, 0);
    assert_int_equal(calibrate(&most, 100.0), 1);
    assert_int_equal(calibrate(&most, 50.0), 0); /* set once, it is no start any more */
    calibrate(&part, 90.0);
    const float all = exp2f(*clip(&most, 0));
    const float less = exp2f(*clip(&part, 0));
    assert_true(*clip(&most, 0) != before);
    assert_true(all > 1.5F && all < 8.0F);
    assert_true(less > 0.5F && less < 0.75F * all);
    nb_model_release(&most);
    nb_model_release(&part);
}

static void what_has_learned_stays(void **state) {
    (void)state;
    NbModel m;
    tiny_model(1, &m);
    *clip(&m, 0) = 0.25F;
    assert_int_equal(calibrate(&m, 99.9), 0);
    assert_true(*clip(&m, 0) == 0.25F);
    nb_model_release(&m);
}

static void running_statistics_stay(void **state) {
    (void)state;
    NbModel m;
    tiny_model(1, &m);
    calibrate(&m, 99.9);
    for (NbNodeId id = 0; id < m.graph.n_nodes; id++) {
        const NbNode *const node = &m.graph.node[id];
        if (node->op != NB_OP_PARAM || node->attr.param.role != NB_PARAM_MEAN)
            continue;
        for (size_t i = 0; i < nb_tensor_count(&node->param); i++)
            assert_true(nb_f32(&node->param)[i] == 0.0F);
    }
    nb_model_release(&m);
}

int main(void) {
    draw();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_cover_what_is_seen),
        cmocka_unit_test(what_has_learned_stays),
        cmocka_unit_test(running_statistics_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
