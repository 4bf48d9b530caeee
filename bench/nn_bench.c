/* SPDX-License-Identifier: Apache-2.0
 *
 * How fast the executor trains and infers a model: milliseconds a picture, pictures a second for 1
 * and 2 threads, quantizers on and off, bytes; then the time of each step.
 *
 * usage: nn_bench [model [bits [size [batch [repeats [what]]]]]], by default lpyolo.yaml w4a4 416
 * 16 5 all. what: `all`, or training only with its steps on one thread: `float`, `quant`.
 * NIBBLE_ISA caps the loops of our own, DNNL_MAX_CPU_ISA oneDNN's. */
#include "base/clock.h"
#include "base/random.h"
#include "model/checkpoint.h"
#include "nn/executor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_OUTPUTS = 16 };

static void must(NbStatus status, const NbError *err) {
    if (status == NB_OK)
        return;
    fprintf(stderr, "nn_bench: %s\n", err->message);
    exit(1);
}

typedef struct Setting {
    NbModel model;
    int size;
    int batch;
    int repeats;
} Setting;

static void read_model(Setting *s, const char *path, const char *bits_text) {
    NbError err = {{0}};
    NbArena arena = {0};
    NbBits bits;
    must(nb_bits_parse(bits_text, &arena, &bits, &err), &err);
    must(nb_model_read(path, &(NbModelOptions){.bits = &bits}, 1, &s->model, &err), &err);
    nb_arena_release(&arena);
}

/* What one forward, and one backward if there is any, take: the best of all repeats. */
typedef struct Times {
    double wall[2];
    double cpu[2]; /* of all threads: what other programs take from the clock is not in it */
} Times;

static double cpu_seconds(void) { return (double)clock() / CLOCKS_PER_SEC; }

static void least(double *to, double value) { *to = value < *to ? value : *to; }

static Times time_steps(const Setting *s, NbExecutor *x, const uint8_t *images,
                        const float *const *d, bool train) {
    NbError err = {{0}};
    Times best = {{1e9, 1e9}, {1e9, 1e9}};
    for (int i = 0; i < s->repeats; i++) {
        const double c0 = cpu_seconds();
        const double t0 = nb_clock_seconds();
        must(nb_executor_forward(x, images, s->batch, train, &err), &err);
        const double t1 = nb_clock_seconds();
        const double c1 = cpu_seconds();
        if (train)
            must(nb_executor_backward(x, d, &err), &err);
        least(&best.wall[0], t1 - t0);
        least(&best.cpu[0], c1 - c0);
        least(&best.wall[1], nb_clock_seconds() - t1);
        least(&best.cpu[1], cpu_seconds() - c1);
    }
    return best;
}

static uint8_t *random_images(const Setting *s, NbArena *arena) {
    NbRandom r = nb_random(2, NB_RANDOM_TEST, 0, 0);
    const size_t n = (size_t)s->batch * (size_t)s->size * (size_t)s->size * 3;
    uint8_t *const images = NB_NEW(arena, uint8_t, n);
    for (size_t i = 0; i < n; i++)
        images[i] = (uint8_t)(nb_random_u32(&r) >> 24);
    return images;
}

static void random_gradients(const NbGraph *g, NbArena *arena, const float **d) {
    NbRandom r = nb_random(3, NB_RANDOM_TEST, 0, 0);
    for (int i = 0; i < g->n_outputs; i++) {
        const size_t n = nb_shape_count(&g->node[g->output[i]].shape);
        float *const gradient = NB_NEW(arena, float, n);
        for (size_t k = 0; k < n; k++)
            gradient[k] = (float)nb_random_range(&r, -1e-3, 1e-3);
        d[i] = gradient;
    }
}

static void print_times(const Setting *s, const NbExecutorOptions *o, const NbExecutor *x,
                        int threads, const Times *t) {
    const double n = s->batch;
    printf("%-9s %-5s threads %d: forward %7.3f ms", o->training ? "training" : "inference",
           o->quantizers ? "quant" : "float", threads, t->wall[0] * 1e3 / n);
    if (o->training)
        printf(", backward %7.3f ms", t->wall[1] * 1e3 / n);
    printf(" a picture (CPU time %.3f", t->cpu[0] * 1e3 / n);
    if (o->training)
        printf(", %.3f", t->cpu[1] * 1e3 / n);
    printf("), %.1f pictures/s, %.0f MiB\n", n / (t->wall[0] + (o->training ? t->wall[1] : 0.0)),
           (double)nb_executor_bytes(x) / 1048576.0);
}

/* What each step had taken so far: the first run, which also meets fresh memory, is not counted. */
static double *steps_so_far(const NbExecutor *x, NbArena *arena) {
    NbExecutorProfile row;
    int n = 0;
    while (nb_executor_profile(x, n, &row))
        n++;
    double *const seconds = NB_NEW(arena, double, (size_t)n + 1);
    for (int i = 0; nb_executor_profile(x, i, &row); i++)
        seconds[i] = row.seconds;
    return seconds;
}

/* The time of each step, and of all steps of one kind. */
static void print_steps(const Setting *s, const NbExecutor *x, const double *before) {
    enum { MAX_KINDS = 64 };
    NbExecutorProfile kind[MAX_KINDS] = {{0}};
    NbExecutorProfile row;
    int kinds = 0;
    const double runs = (double)s->batch * s->repeats / 1e3;
    for (int i = 0; nb_executor_profile(x, i, &row); i++) {
        row.seconds -= before[i];
        printf("    %-8s %-10s %-36s %8.3f ms a picture\n", row.backward ? "backward" : "forward",
               row.what, row.node, row.seconds / runs);
        int k = 0;
        while (k < kinds && (strcmp(kind[k].what, row.what) || kind[k].backward != row.backward))
            k++;
        if (k == kinds && kinds < MAX_KINDS)
            kind[kinds++] = (NbExecutorProfile){.what = row.what, .backward = row.backward};
        if (k < kinds)
            kind[k].seconds += row.seconds;
    }
    for (int k = 0; k < kinds; k++)
        printf("    %-8s %-10s %-36s %8.3f ms a picture\n",
               kind[k].backward ? "backward" : "forward", kind[k].what, "all",
               kind[k].seconds / runs);
}

static void measure(Setting *s, bool training, bool quantizers, int threads, bool profile) {
    NbError err = {{0}};
    NbPool *pool = NULL;
    NbExecutor *x = NULL;
    NbArena arena = {0};
    const float *d[MAX_OUTPUTS];
    must(nb_pool_new(threads, &pool, &err), &err);
    const NbExecutorOptions o = {.batch = s->batch,
                                 .height = s->size,
                                 .width = s->size,
                                 .training = training,
                                 .quantizers = quantizers,
                                 .profile = profile,
                                 .pool = pool};
    must(nb_executor_new(&s->model.graph, &o, &x, &err), &err);
    const uint8_t *const images = random_images(s, &arena);
    random_gradients(&s->model.graph, &arena, d);
    Setting once = *s;
    once.repeats = 1;
    (void)time_steps(&once, x, images, d, training);
    const double *const before = steps_so_far(x, &arena);
    const Times best = time_steps(s, x, images, d, training);
    print_times(s, &o, x, threads, &best);
    print_steps(s, x, before);
    nb_executor_free(x);
    nb_pool_free(pool);
    nb_arena_release(&arena);
}

static int number(int argc, char **argv, int i, int otherwise) {
    return argc > i ? (int)strtol(argv[i], NULL, 10) : otherwise;
}

int main(int argc, char **argv) {
    Setting s = {.size = number(argc, argv, 3, 416),
                 .batch = number(argc, argv, 4, 16),
                 .repeats = number(argc, argv, 5, 5)};
    read_model(&s, argc > 1 ? argv[1] : "lpyolo.yaml", argc > 2 ? argv[2] : "w4a4");
    const char *const what = argc > 6 ? argv[6] : "all";
    const bool all = strcmp(what, "all") == 0;
    const bool quantized = strcmp(what, "float") != 0;
    for (int training = all ? 0 : 1; training < 2; training++)
        for (int quantizers = 0; quantizers < 2; quantizers++)
            for (int threads = 1; threads <= 2; threads++)
                if (all || quantizers == (int)quantized)
                    measure(&s, training == 1, quantizers == 1, threads, false);
    measure(&s, true, quantized, 1, true);
    nb_model_release(&s.model);
    return 0;
}
