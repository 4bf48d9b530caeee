/* SPDX-License-Identifier: Apache-2.0
 *
 * How fast the float engine is: the time to make it, milliseconds a picture for 1 and 2 threads
 * (best and median), then the time of each step on one thread.
 *
 * usage: float_bench [model [size [repeats]]], by default yolov5n.yaml 640 20. NIBBLE_ISA caps the
 * kernels. */
#include "base/clock.h"
#include "base/random.h"
#include "lower/float/fold.h"
#include "model/checkpoint.h"
#include "nn/float/float.h"

#include <stdio.h>
#include <stdlib.h>

static void must(NbStatus status, const NbError *err) {
    if (status == NB_OK)
        return;
    fprintf(stderr, "float_bench: %s\n", err->message);
    exit(1);
}

static int by_size(const void *a, const void *b) {
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void show_steps(const NbFloatEngine *x, int repeats) {
    NbFloatProfile p;
    double total = 0.0;
    for (int i = 0; nb_float_profile(x, i, &p); i++) {
        const double ms = 1e3 * p.seconds / repeats;
        total += ms;
        printf("%-44s %-12s %8.3f ms %8.1f GF/s\n", p.node, p.what, ms,
               ms > 0.0 ? 2e-6 * p.macs / ms : 0.0);
    }
    printf("total %.3f ms\n", total);
}

static void measure(NbGraph *g, NbArena *arena, int size, int threads, int repeats, bool show) {
    NbError err = {{0}};
    NbPool *pool = NULL;
    NbFloatEngine *x = NULL;
    NbFloatOptions o = {.height = size, .width = size, .profile = show};
    must(nb_isa_choose(NULL, &o.isa, &err), &err);
    must(nb_pool_new(threads, &pool, &err), &err);
    o.pool = pool;
    const double start = nb_clock_seconds();
    must(nb_float_new(g, &o, &x, &err), &err);
    const double made = nb_clock_seconds();
    NbRandom random = nb_random(1, NB_RANDOM_TEST, 0, 0);
    const size_t bytes = (size_t)size * (size_t)size * 3;
    uint8_t *const image = NB_NEW(arena, uint8_t, bytes);
    for (size_t i = 0; i < bytes; i++)
        image[i] = (uint8_t)nb_random_below(&random, 256);
    double *const times = NB_NEW(arena, double, (size_t)repeats);
    for (int i = 0; i < repeats; i++) {
        const double t = nb_clock_seconds();
        must(nb_float_run(x, image, 1, &err), &err);
        times[i] = nb_clock_seconds() - t;
    }
    const double first = times[0];
    qsort(times, (size_t)repeats, sizeof *times, by_size);
    if (show)
        show_steps(x, repeats);
    printf("%s, %d threads: %.2f ms best, %.2f median, %.2f first; made in %.1f ms, %.1f MB\n",
           nb_isa_name(o.isa), threads, 1e3 * times[0], 1e3 * times[repeats / 2], 1e3 * first,
           1e3 * (made - start), 1e-6 * (double)nb_float_bytes(x));
    nb_float_free(x);
    nb_pool_free(pool);
}

int main(int argc, char **argv) {
    const int size = argc > 2 ? atoi(argv[2]) : 640;
    const int repeats = argc > 3 ? atoi(argv[3]) : 20;
    NbError err = {{0}};
    NbModel model;
    NbArena arena = {0};
    NbGraph folded;
    must(nb_model_read(argc > 1 ? argv[1] : "yolov5n.yaml", &(NbModelOptions){0}, 1, &model, &err),
         &err);
    NbGraph view = model.graph;
    if (model.head.kind == NB_HEAD_YOLOV10) {
        view.output += nb_head_first(&model.head);
        view.n_outputs = model.head.levels;
    }
    must(nb_fold_twin(&view, &arena, &folded, &err), &err);
    measure(&folded, &arena, size, 1, repeats, true);
    measure(&folded, &arena, size, 1, repeats, false);
    measure(&folded, &arena, size, 2, repeats, false);
    nb_arena_release(&arena);
    nb_model_release(&model);
    return 0;
}
