/* SPDX-License-Identifier: Apache-2.0
 *
 * How fast the executor trains LPYOLO (ten convolutions, 416x416): milliseconds a picture forward
 * and backward, pictures a second for 1 and 2 threads, quantizers on and off, bytes; then the time
 * of each step.
 *
 * usage: nn_bench [batch] [bits] [repeats]; OMP_WAIT_POLICY and NIBBLE_ISA as always. */
#include "base/clock.h"
#include "base/random.h"
#include "nn/executor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct Layer {
    int oc;
    int kernel;
    bool pool;
} Layer;

static const Layer lpyolo[] = {{8, 3, true},    {8, 3, true},    {16, 3, true},   {32, 3, true},
                               {56, 3, true},   {104, 3, false}, {208, 3, false}, {56, 1, false},
                               {104, 3, false}, {18, 3, false}};

enum { LAYERS = sizeof lpyolo / sizeof *lpyolo, SIZE = 416 };

static void must(NbStatus status, const NbError *err) {
    if (status == NB_OK)
        return;
    fprintf(stderr, "nn_bench: %s\n", err->message);
    exit(1);
}

typedef struct Build {
    NbArena arena;
    NbGraph g;
    NbRandom random;
    int bits;
} Build;

static NbNodeId node(Build *b, NbOp op, int layer, int n_in, const NbNodeId *in, NbAttr attr) {
    char name[64];
    NbNodeId id = -1;
    NbError err = {{0}};
    snprintf(name, sizeof name, "%d.%s.%d", layer, nb_op_name(op), b->g.n_nodes);
    must(nb_graph_add(&b->g, op, name, n_in, in, &attr, &id, &err), &err);
    return id;
}

static NbNodeId param(Build *b, NbParamRole role, int layer, NbShape shape, double lo, double hi) {
    char name[64];
    NbNodeId id = -1;
    NbError err = {{0}};
    snprintf(name, sizeof name, "%d.param.%d", layer, b->g.n_nodes);
    must(nb_graph_add_param(&b->g, name, role, NB_F32, &shape, &id, &err), &err);
    for (size_t i = 0; i < nb_shape_count(&shape); i++)
        nb_f32(&b->g.node[id].param)[i] = (float)nb_random_range(&b->random, lo, hi);
    return id;
}

static NbNodeId weights(Build *b, int layer, int ic, int oc, int kernel) {
    const double bound = 2.0 / (double)(ic * kernel);
    const NbNodeId w = param(b, NB_PARAM_WEIGHT, layer,
                             nb_shape(4, (const int64_t[]){oc, ic, kernel, kernel}), -bound, bound);
    return node(b, NB_OP_QUANT, layer, 1, &w,
                (NbAttr){.quant = {.grid = {.bits = b->bits, .is_signed = true, .narrow = true},
                                   .scale_from = NB_SCALE_STATS,
                                   .per_channel = true,
                                   .ste_clamp = true,
                                   .scale_min = 1e-10F}});
}

static NbNodeId norm_act_quant(Build *b, int layer, NbNodeId x, int c) {
    const NbShape shape = nb_shape(1, (const int64_t[]){c});
    const NbShape one = nb_shape(1, (const int64_t[]){1});
    const NbNodeId in[] = {x, param(b, NB_PARAM_GAMMA, layer, shape, 0.5, 1.5),
                           param(b, NB_PARAM_BETA, layer, shape, -0.2, 0.2),
                           param(b, NB_PARAM_MEAN, layer, shape, 0.0, 0.0),
                           param(b, NB_PARAM_VAR, layer, shape, 1.0, 1.0)};
    const NbNodeId norm = node(b, NB_OP_BATCHNORM, layer, 5, in,
                               (NbAttr){.batchnorm = {.eps = 1e-3F, .momentum = 0.03F}});
    const NbNodeId relu = node(b, NB_OP_RELU, layer, 1, &norm, (NbAttr){0});
    const NbNodeId act[] = {relu, param(b, NB_PARAM_QUANT, layer, one, 1.5, 1.5)};
    return node(b, NB_OP_QUANT, layer, 2, act,
                (NbAttr){.quant = {.grid = {.bits = b->bits},
                                   .scale_from = NB_SCALE_PARAMETER,
                                   .restrict_to = NB_RESTRICT_LOG_FP,
                                   .lsq_gradient = true,
                                   .scale_min = 1e-10F}});
}

static void build(Build *b, int bits) {
    NbError err = {{0}};
    memset(b, 0, sizeof *b);
    b->random = nb_random(1, NB_RANDOM_TEST, 0, 0);
    b->bits = bits;
    nb_graph_init(&b->g, &b->arena);
    NbNodeId x = node(b, NB_OP_INPUT, 0, 0, NULL,
                      (NbAttr){.input = {.scale = 1.0F / 255.0F, .channels = 3}});
    for (int i = 0, ic = 3; i < LAYERS; ic = lpyolo[i++].oc) {
        const int k = lpyolo[i].kernel;
        const int p = k / 2;
        const NbNodeId in[] = {x, weights(b, i, ic, lpyolo[i].oc, k)};
        x = node(b, NB_OP_CONV, i, 2, in,
                 (NbAttr){.conv = {.kernel = {k, k},
                                   .stride = {1, 1},
                                   .pad = {p, p, p, p},
                                   .dilation = {1, 1},
                                   .groups = 1}});
        if (i < LAYERS - 1)
            x = norm_act_quant(b, i, x, lpyolo[i].oc);
        if (lpyolo[i].pool)
            x = node(b, NB_OP_MAXPOOL, i, 1, &x, (NbAttr){.pool = {{2, 2}, {2, 2}, {0}}});
    }
    must(nb_graph_set_outputs(&b->g, 1, &x, &err), &err);
}

static void fill(uint8_t *images, float *gradient, size_t pictures, size_t outputs) {
    NbRandom r = nb_random(2, NB_RANDOM_TEST, 0, 0);
    for (size_t i = 0; i < pictures * SIZE * SIZE * 3; i++)
        images[i] = (uint8_t)(nb_random_u32(&r) >> 24);
    for (size_t i = 0; i < outputs; i++)
        gradient[i] = (float)nb_random_range(&r, -1e-3, 1e-3);
}

static void measure(Build *b, int batch, int threads, bool quantizers, int repeats, bool layers) {
    NbError err = {{0}};
    NbPool *pool = NULL;
    NbExecutor *x = NULL;
    NbArena arena = {0};
    must(nb_pool_new(threads, &pool, &err), &err);
    const NbExecutorOptions o = {.batch = batch,
                                 .height = SIZE,
                                 .width = SIZE,
                                 .training = true,
                                 .quantizers = quantizers,
                                 .profile = layers,
                                 .pool = pool};
    must(nb_executor_new(&b->g, &o, &x, &err), &err);
    const size_t outputs = nb_shape_count(&b->g.node[b->g.output[0]].shape);
    uint8_t *const images = NB_NEW(&arena, uint8_t, (size_t)batch * SIZE * SIZE * 3);
    float *const gradient = NB_NEW(&arena, float, outputs);
    const float *const d[] = {gradient};
    fill(images, gradient, (size_t)batch, outputs);
    double best_f = 1e9;
    double best_b = 1e9;
    double cpu_f = 1e9; /* of all threads: what other programs take from the clock is not in it */
    double cpu_b = 1e9;
    for (int i = 0; i < repeats; i++) {
        const double c0 = (double)clock() / CLOCKS_PER_SEC;
        const double t0 = nb_clock_seconds();
        must(nb_executor_forward(x, images, batch, true, &err), &err);
        const double t1 = nb_clock_seconds();
        const double c1 = (double)clock() / CLOCKS_PER_SEC;
        must(nb_executor_backward(x, d, &err), &err);
        const double t2 = nb_clock_seconds();
        const double c2 = (double)clock() / CLOCKS_PER_SEC;
        cpu_f = c1 - c0 < cpu_f ? c1 - c0 : cpu_f;
        cpu_b = c2 - c1 < cpu_b ? c2 - c1 : cpu_b;
        best_f = t1 - t0 < best_f ? t1 - t0 : best_f;
        best_b = t2 - t1 < best_b ? t2 - t1 : best_b;
    }
    printf(
        "%-6s threads %d: forward %6.3f ms, backward %6.3f ms a picture (CPU time %6.3f, %6.3f), "
        "%6.1f pictures/s, %.0f MiB\n",
        quantizers ? "quant" : "float", threads, best_f * 1e3 / batch, best_b * 1e3 / batch,
        cpu_f * 1e3 / batch, cpu_b * 1e3 / batch, batch / (best_f + best_b),
        (double)nb_executor_bytes(x) / 1048576.0);
    NbExecutorProfile row;
    for (int i = 0; nb_executor_profile(x, i, &row); i++)
        printf("    %-8s %-10s %-20s %7.3f ms a picture\n", row.backward ? "backward" : "forward",
               row.what, row.node, row.seconds * 1e3 / batch / repeats);
    nb_executor_free(x);
    nb_pool_free(pool);
    nb_arena_release(&arena);
}

int main(int argc, char **argv) {
    const int batch = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 16;
    const int bits = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 4;
    const int repeats = argc > 3 ? (int)strtol(argv[3], NULL, 10) : 5;
    Build b;
    build(&b, bits);
    for (int threads = 1; threads <= 2; threads++)
        for (int q = 0; q < 2; q++)
            measure(&b, batch, threads, q == 1, repeats, false);
    measure(&b, batch, 1, true, repeats, true);
    nb_arena_release(&b.arena);
    return 0;
}
