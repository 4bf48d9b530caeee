/* SPDX-License-Identifier: Apache-2.0
 *
 * What happens to the best weights when the epochs are over. */
#include "data/synth.h"
#include "support/scratch.h"
#include "train/finish.h"
#include "train/state.h"
#include "train/tiny.h"

#include <string.h>

enum { SIDE = 64 };

typedef struct Bench {
    Scratch s;
    NbDataset dataset;
    NbSamples samples;
    NbModel model;
    NbHyper hyper;
    NbLoader *loader;
    NbFinish f;
    double scores[4]; /* what the n-th call answers */
    int asked, said;
    bool stop;
} Bench;

static NbStatus score(void *user, double *fitness, NbError *err) {
    (void)err;
    Bench *const b = user;
    *fitness = b->scores[b->asked++];
    return NB_OK;
}

static void say(void *user, const char *text) {
    (void)text;
    ((Bench *)user)->said++;
}

static bool should_stop(void *user) { return ((Bench *)user)->stop; }

static void bench_open(Bench *b) {
    NbError err = {0};
    *b = (Bench){.s = scratch_new(), .hyper = nb_hyper_default(false)};
    const NbSynthOptions synth = {.train = 6, .val = 1, .imgsz = SIDE, .seed = 2};
    must(nb_synth_write(b->s.folder, &synth, NULL, &err), &err);
    must(nb_dataset_read(scratch_path(&b->s, "data.yaml"), &b->s.arena, &b->dataset, &err), &err);
    must(nb_dataset_scan(&b->dataset, NB_SPLIT_TRAIN, false, NULL, &b->s.arena, &b->samples, &err),
         &err);
    tiny_model(1, &b->model);
    b->hyper.batch = 2;
    b->hyper.imgsz = SIDE;
    b->hyper.guard = (NbSafeguards){.norm = true, .correct = true};
    const NbLoaderOptions loading = {
        .samples = &b->samples, .batch = 2, .imgsz = SIDE, .augment = true, .shuffle = true};
    must(nb_loader_new(&loading, &b->loader, &err), &err);
    b->f = (NbFinish){.model = &b->model,
                      .hyper = &b->hyper,
                      .loader = b->loader,
                      .best = scratch_path(&b->s, "best.safetensors"),
                      .user = b,
                      .score = score,
                      .say = say,
                      .should_stop = should_stop};
}

static void bench_close(Bench *b) {
    nb_loader_free(b->loader);
    nb_model_release(&b->model);
    scratch_free(&b->s);
}

/* All parameters one after the other. */
static float *values(Bench *b) {
    size_t n = 0;
    for (NbNodeId id = 0; id < b->model.graph.n_nodes; id++)
        if (b->model.graph.node[id].op == NB_OP_PARAM)
            n += nb_tensor_count(&b->model.graph.node[id].param);
    float *const all = NB_NEW(&b->s.arena, float, n);
    float *at = all;
    for (NbNodeId id = 0; id < b->model.graph.n_nodes; id++) {
        const NbNode *const node = &b->model.graph.node[id];
        if (node->op != NB_OP_PARAM)
            continue;
        memcpy(at, node->param.data, nb_tensor_count(&node->param) * sizeof *at);
        at += nb_tensor_count(&node->param);
    }
    return all;
}

/* Which parameters differ from `before`, as a set of roles. */
static unsigned changed(Bench *b, const float *before) {
    unsigned roles = 0;
    for (NbNodeId id = 0; id < b->model.graph.n_nodes; id++) {
        const NbNode *const node = &b->model.graph.node[id];
        if (node->op != NB_OP_PARAM)
            continue;
        const size_t n = nb_tensor_count(&node->param);
        if (memcmp(before, node->param.data, n * sizeof *before) != 0)
            roles |= 1U << node->attr.param.role;
        before += n;
    }
    return roles;
}

static const unsigned statistics = 1U << NB_PARAM_MEAN | 1U << NB_PARAM_VAR;
static const unsigned affine = 1U << NB_PARAM_GAMMA | 1U << NB_PARAM_BETA;

static void statistics_are_means_over_batches(void **unused) {
    (void)unused;
    Bench b;
    NbError err = {0};
    bench_open(&b);
    const float *const start = values(&b);
    must(nb_finish_norm(&b.f, 7, 1, &err), &err);
    assert_int_equal(changed(&b, start), statistics);
    const float *const one = values(&b);
    must(nb_finish_norm(&b.f, 7, 3, &err), &err);
    assert_int_equal(changed(&b, one), statistics);
    const float *const three = values(&b);
    must(nb_finish_norm(&b.f, 7, 3, &err), &err); /* what was there before does not count */
    assert_int_equal(changed(&b, three), 0);
    for (NbNodeId id = 0; id < b.model.graph.n_nodes; id++)
        if (b.model.graph.node[id].op == NB_OP_BATCHNORM)
            assert_true(b.model.graph.node[id].attr.batchnorm.momentum == 0.03F);
    bench_close(&b);
}

static void a_correction_moves_scales_and_shifts_alone(void **unused) {
    (void)unused;
    Bench b;
    NbError err = {0};
    bench_open(&b);
    const float *const start = values(&b);
    must(nb_finish_correct(&b.f, 7, &err), &err);
    assert_int_equal(changed(&b, start), affine);
    for (NbNodeId id = 0; id < b.model.graph.n_nodes; id++)
        if (b.model.graph.node[id].op == NB_OP_PARAM)
            assert_false(b.model.graph.node[id].attr.param.frozen);
    b.stop = true;
    assert_int_equal(nb_finish_correct(&b.f, 7, &err), NB_ERR_STOPPED);
    bench_close(&b);
}

/* Scores of the start, behind the statistics, behind the correction; what is kept. */
static void only_what_is_better_is_kept(void **unused) {
    (void)unused;
    static const struct {
        double scores[3];
        unsigned kept;
        double fitness;
    } rows[] = {{{0.5, 0.4, 0.5}, 0, 0.5},
                {{0.5, 0.6, 0.6}, statistics, 0.6},
                {{0.5, 0.5, 0.7}, affine, 0.7},
                {{0.5, 0.6, 0.7}, statistics | affine, 0.7}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Bench b;
        NbError err = {0};
        bench_open(&b);
        memcpy(b.scores, rows[i].scores, sizeof rows[i].scores);
        must(nb_train_model_save(&b.model, NULL, NULL, 0, b.f.best, &err), &err);
        assert_true(nb_finish_fitness(b.f.best) == -1.0);
        const float *const start = values(&b);
        must(nb_finish(&b.f, &err), &err);
        assert_int_equal(changed(&b, start), rows[i].kept);
        assert_int_equal(b.asked, 3);
        assert_int_equal(b.said, 2);
        assert_true(nb_finish_fitness(b.f.best) == rows[i].fitness);
        const NbBytes once = scratch_read(&b.s, b.f.best);
        must(nb_finish(&b.f, &err), &err); /* finished is finished */
        assert_int_equal(b.asked, 3);
        const NbBytes twice = scratch_read(&b.s, b.f.best);
        assert_int_equal(once.size, twice.size);
        assert_memory_equal(once.data, twice.data, once.size);
        assert_int_equal(changed(&b, start), rows[i].kept); /* the file holds what was kept */
        bench_close(&b);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statistics_are_means_over_batches),
        cmocka_unit_test(a_correction_moves_scales_and_shifts_alone),
        cmocka_unit_test(only_what_is_better_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
