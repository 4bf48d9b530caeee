/* SPDX-License-Identifier: Apache-2.0
 *
 * Whole models of the zoo: the executor's inference equals the interpreter, and one training step
 * is close to it. */
#include "model/model.h"
#include "model/zoo.h"
#include "nn/pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

enum { SIZE = 64, COUNT = 2, MOST_MACS = 80000000 }; /* what the interpreter does in a second */

static bool open_model(NbModel *m, const NbZooFile *file) {
    NbError err = {{0}};
    NbArena arena = {0};
    NbBits bits;
    NbModelCost cost;
    must(nb_bits_parse("w4a4", &arena, &bits, &err), &err);
    must(nb_model_from_yaml(file->name, file->text, file->size, &(NbModelOptions){.bits = &bits}, m,
                            &err),
         &err);
    nb_arena_release(&arena);
    must(nb_model_cost(m, SIZE, SIZE, &cost, &err), &err);
    if (cost.macs > MOST_MACS)
        return false;
    must(nb_model_init(m, 7, &err), &err);
    return true;
}

/* Running statistics of random pictures, so that inference sees numbers of the usual size. */
static void settle(NbModel *m) {
    NbError err = {{0}};
    NbExecutor *x = NULL;
    NbRandom r = nb_random(1, NB_RANDOM_TEST, 0, 0);
    static uint8_t images[COUNT * SIZE * SIZE * 3];
    const NbExecutorOptions o = {
        .batch = COUNT, .height = SIZE, .width = SIZE, .training = true, .quantizers = true};
    must(nb_executor_new(&m->graph, &o, &x, &err), &err);
    for (size_t i = 0; i < sizeof images; i++)
        images[i] = (uint8_t)nb_random_below(&r, 256);
    for (int i = 0; i < 40; i++)
        must(nb_executor_forward(x, images, COUNT, true, &err), &err);
    nb_executor_free(x);
}

/* A pair whose graph is a copy of the model's. */
static void open_pair(Pair *p, const NbModel *m, bool training) {
    NbError err = {{0}};
    memset(p, 0, sizeof *p);
    net_init(&p->net, 5, true);
    must(nb_graph_copy(&m->graph, &p->net.arena, &p->net.g, &err), &err);
    const NbExecutorOptions o = {
        .batch = COUNT, .height = SIZE, .width = SIZE, .training = training, .quantizers = true};
    pair_open(p, &o, COUNT, 2);
}

static void inference(const NbModel *m) {
    Pair p;
    NbError err = {{0}};
    open_pair(&p, m, false);
    must(nb_executor_forward(p.x, p.nhwc, COUNT, false, &err), &err);
    must(nb_interpret(&p.twin, p.nchw, NB_RUN_EVAL, true, &p.arena, p.value, &err), &err);
    compare_outputs(&p, true, 0.0);
    pair_close(&p);
}

static void training(const NbModel *m) {
    Pair p;
    NbError err = {{0}};
    open_pair(&p, m, true);
    must(nb_executor_forward(p.x, p.nhwc, COUNT, true, &err), &err);
    must(nb_interpret(&p.twin, p.nchw, NB_RUN_TRAIN, true, &p.arena, p.value, &err), &err);
    compare_outputs(&p, false, 5e-2); /* a code that falls to the other side moves what follows */
    pair_close(&p);
}

static void models_of_the_zoo_equal_the_interpreter(void **state) {
    (void)state;
    int count = 0;
    int seen = 0;
    const NbZooFile *const zoo = nb_zoo(&count);
    for (int i = 0; i < count; i++) {
        NbModel m;
        if (open_model(&m, &zoo[i])) {
            settle(&m);
            inference(&m);
            training(&m);
            seen++;
        }
        nb_model_release(&m);
    }
    assert_true(seen >= 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(models_of_the_zoo_equal_the_interpreter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
