/* SPDX-License-Identifier: Apache-2.0
 *
 * The loss of a head of any kind: which loss of detect/ it is, with which gains, and where its
 * items go. */
#include "train/tiny.h"

#include "detect/picture.h"
#include "train/loss.h"

#include <string.h>

enum { BINS = 16, NC = 2, SIDE = 4, PICTURES = 2, CHANNELS = 4 * BINS + NC, LEVELS = 2 };

typedef struct Bench {
    NbHead head;
    NbHyper hyper;
    float raw[2 * LEVELS][PICTURES * SIDE * SIDE * CHANNELS];
    float grad[2][2 * LEVELS][PICTURES * SIDE * SIDE * CHANNELS];
    NbHeadLevel level[2][2 * LEVELS]; /* the same outputs with gradients in two places */
    NbTarget target[3];
    NbLossBatch batch;
    NbArena scratch;
} Bench;

static void open_bench(Bench *b, NbHeadKind kind) {
    memset(b, 0, sizeof *b);
    b->head = (NbHead){
        .kind = kind, .nc = NC, .levels = LEVELS, .reg_max = BINS, .stride = {8.0F, 16.0F}};
    b->hyper = nb_hyper_ultralytics();
    b->hyper.epochs = 11;
    NbRandom r = nb_random(3, NB_RANDOM_TEST, 0, 0);
    for (int i = 0; i < 2 * LEVELS; i++) {
        for (size_t k = 0; k < sizeof b->raw[i] / sizeof(float); k++)
            b->raw[i][k] = (float)nb_random_range(&r, -2.0, 2.0);
        const int n = SIDE >> i % LEVELS;
        for (int k = 0; k < 2; k++)
            b->level[k][i] = nb_head_level_nhwc(&b->head, b->raw[i], b->grad[k][i], n, n);
    }
    for (int i = 0; i < 3; i++)
        b->target[i] = (NbTarget){.image = i % PICTURES,
                                  .cls = i % NC,
                                  .xywh = {0.3F + 0.2F * (float)i, 0.5F, 0.5F, 0.4F}};
    b->batch = (NbLossBatch){PICTURES, b->target, 3};
}

static NbYolov8Loss by_hand(void) {
    return (NbYolov8Loss){.nc = NC,
                          .levels = LEVELS,
                          .reg_max = BINS,
                          .stride = {8.0F, 16.0F},
                          .box = 7.5,
                          .cls = 0.5,
                          .dfl = 1.5,
                          .alpha = 0.5,
                          .beta = 6.0,
                          .topk = 10,
                          .weight = 1.0};
}

static void heads_without_anchors_have_the_losses_of_their_authors(void **state) {
    (void)state;
    static const struct {
        NbHeadKind kind;
        NbOneToOne o2o;
        int epoch;
    } rows[] = {{NB_HEAD_YOLOV8, NB_O2O_SUM, 0},
                {NB_HEAD_YOLOV8, NB_O2O_WEIGHTED, 3}, /* no second head: nothing to weigh */
                {NB_HEAD_YOLOV10, NB_O2O_SUM, 3},
                {NB_HEAD_YOLOV10, NB_O2O_WEIGHTED, 0},
                {NB_HEAD_YOLOV10, NB_O2O_WEIGHTED, 4}};
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        static Bench b;
        NbError err = {0};
        const bool two = rows[k].kind == NB_HEAD_YOLOV10;
        open_bench(&b, rows[k].kind);
        b.hyper.o2o = rows[k].o2o;
        NbLoss loss = nb_head_loss(&b.head, &b.hyper, NULL, rows[k].epoch);
        const NbYolov8Loss one = by_hand();
        double items[NB_LOSS_ITEMS];
        double want[6];
        double total = 0.0;
        double want_total = 0.0;
        must(nb_loss_run(&loss, b.level[0], &b.batch, &b.scratch, items, &total, &err), &err);
        const NbYolov10Loss both = rows[k].o2o == NB_O2O_WEIGHTED
                                       ? nb_yolov10_loss_weighted(&one, rows[k].epoch, 11)
                                       : nb_yolov10_loss_sum(&one);
        if (two)
            must(nb_yolov10_loss(&both, b.level[1], b.level[1] + LEVELS, &b.batch, &b.scratch, want,
                                 &want_total, &err),
                 &err);
        else
            must(nb_yolov8_loss(&one, b.level[1], &b.batch, &b.scratch, want, &want_total, &err),
                 &err);
        static const NbLossItem place[] = {NB_LOSS_BOX,     NB_LOSS_CLS,     NB_LOSS_DFL,
                                           NB_LOSS_BOX_ONE, NB_LOSS_CLS_ONE, NB_LOSS_DFL_ONE};
        assert_true(total == want_total && total > 0.0);
        for (int i = 0; i < 6; i++)
            assert_true(items[place[i]] == (i < 3 || two ? want[i] : 0.0));
        assert_true(items[NB_LOSS_OBJ] == 0.0);
        for (int i = 0; i < NB_LOSS_ITEMS; i++)
            assert_int_equal(items[i] != 0.0, nb_loss_has_item(rows[k].kind, (NbLossItem)i));
        assert_memory_equal(b.grad[0], b.grad[1], sizeof b.grad[0]);
        nb_arena_release(&b.scratch);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heads_without_anchors_have_the_losses_of_their_authors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
