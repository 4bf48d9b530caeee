/* SPDX-License-Identifier: Apache-2.0
 *
 * Staged bit widths. */
#include "train/stages.h"
#include "train/tiny.h"

static void wide_first_then_as_asked(void **unused) {
    (void)unused;
    NbHyper h = nb_hyper_default(false);
    h.epochs = 80;
    assert_int_equal(nb_stage_least(&h, 0), 0);
    assert_int_equal(nb_stage_last_change(&h), 0);
    h.guard.stages = true;
    static const int epoch[] = {0, 9, 10, 19, 20, 79};
    static const int least[] = {8, 8, 6, 6, 0, 0};
    for (int i = 0; i < 6; i++)
        assert_int_equal(nb_stage_least(&h, epoch[i]), least[i]);
    assert_int_equal(nb_stage_last_change(&h), 20);
    h.epochs = 7; /* too short for stages */
    assert_int_equal(nb_stage_least(&h, 0), 0);
}

/* Smallest and largest width of the model's quantizers. */
static void widths(const NbModel *m, int out[2]) {
    out[0] = 99;
    out[1] = 0;
    for (NbNodeId id = 0; id < m->graph.n_nodes; id++) {
        const NbNode *const node = &m->graph.node[id];
        if (node->op != NB_OP_QUANT)
            continue;
        const int bits = node->attr.quant.grid.bits;
        out[0] = bits < out[0] ? bits : out[0];
        out[1] = bits > out[1] ? bits : out[1];
    }
}

static void narrow_quantizers_widen_and_come_back(void **unused) {
    (void)unused;
    static const char *const bits[] = {"w4a4", "w1a2:first=w1:last=w1", "w8a8"};
    static const int asked[][2] = {{4, 8}, {1, 2}, {8, 8}};
    for (int i = 0; i < 3; i++) {
        NbError err = {0};
        NbModel m;
        NbArena arena = {0};
        NbBits parsed;
        int got[2];
        must(nb_bits_parse(bits[i], &arena, &parsed, &err), &err);
        const NbModelOptions options = {.bits = &parsed};
        must(nb_model_from_yaml("tiny.yaml", tiny_yaml, sizeof tiny_yaml - 1, &options, &m, &err),
             &err);
        NbStages s;
        must(nb_stages_init(&s, &m, &err), &err);
        must(nb_stages_set(&s, 6, 64, &err), &err);
        widths(&m, got);
        assert_int_equal(got[0], asked[i][0] < 6 ? 6 : asked[i][0]);
        assert_int_equal(got[1], asked[i][1] < 6 ? 6 : asked[i][1]);
        must(nb_stages_set(&s, 0, 64, &err), &err);
        widths(&m, got);
        assert_int_equal(got[0], asked[i][0]);
        assert_int_equal(got[1], asked[i][1]);
        nb_stages_release(&s);
        nb_arena_release(&arena);
        nb_model_release(&m);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wide_first_then_as_asked),
        cmocka_unit_test(narrow_quantizers_widen_and_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
