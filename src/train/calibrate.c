/* SPDX-License-Identifier: Apache-2.0 */
#include "train/trainer.h"

#include "graph/interpret.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int compare_floats(const void *a, const void *b) {
    const float x = *(const float *)a;
    const float y = *(const float *)b;
    return (x > y) - (x < y);
}

/* The percentile of |x| by rank, as Brevitas counts it: k = floor(percent/100 * n + 0.5). */
static float percentile(float *x, size_t n, double percent) {
    for (size_t i = 0; i < n; i++)
        x[i] = fabsf(x[i]);
    qsort(x, n, sizeof *x, compare_floats);
    const double rank = floor(percent / 100.0 * (double)n + 0.5);
    const size_t k = rank < 1.0 ? 0 : rank > (double)n ? n - 1 : (size_t)rank - 1;
    return x[k];
}

static bool is_learned_activation(const NbGraph *g, const NbNode *node) {
    return node->op == NB_OP_QUANT && node->attr.quant.scale_from == NB_SCALE_PARAMETER &&
           node->n_in == 2 && g->node[node->in[0]].op != NB_OP_PARAM;
}

/* NCHW planes of NHWC pictures. */
static uint8_t *to_planes(NbArena *arena, const uint8_t *images, int count, int height, int width) {
    const size_t area = (size_t)height * (size_t)width;
    uint8_t *const planes = NB_NEW(arena, uint8_t, (size_t)count * area * 3);
    for (size_t i = 0; planes && i < (size_t)count; i++)
        for (size_t p = 0; p < area; p++)
            for (size_t c = 0; c < 3; c++)
                planes[(i * 3 + c) * area + p] = images[(i * area + p) * 3 + c];
    return planes;
}

static NbStatus set_start(NbModel *model, NbNodeId id, const NbValue *seen, double percent,
                          NbArena *arena, NbError *err) {
    const NbNode *const node = &model->graph.node[id];
    const size_t n = nb_tensor_count(&seen->t);
    float *const x = NB_NEW(arena, float, n);
    if (!x)
        return nb_fail_memory(err, "calibration");
    memcpy(x, seen->t.data, n * sizeof *x);
    const float threshold = percentile(x, n, percent);
    if (!(threshold > 0.0F) || !isfinite(threshold))
        return NB_OK; /* nothing passes here yet: the default start stays */
    NbTensor *const value = &model->graph.node[node->in[1]].param;
    for (size_t i = 0; i < nb_tensor_count(value); i++)
        nb_f32(value)[i] = nb_quant_value_of(&node->attr.quant, threshold);
    return NB_OK;
}

static NbStatus calibrate(NbModel *model, const uint8_t *images, const int size[3], double percent,
                          NbArena *arena, NbError *err) {
    NbGraph copy; /* batch statistics must not touch the model's running ones */
    NB_TRY(nb_graph_copy(&model->graph, arena, &copy, err));
    NB_TRY(nb_graph_infer(&copy, size[0], size[1], size[2], err));
    const uint8_t *const planes = to_planes(arena, images, size[0], size[1], size[2]);
    NbValue *const value = NB_NEW(arena, NbValue, (size_t)copy.n_nodes);
    if (!planes || !value)
        return nb_fail_memory(err, "calibration");
    NB_TRY(nb_interpret(&copy, planes, NB_RUN_TRAIN, false, arena, value, err));
    for (NbNodeId id = 0; id < copy.n_nodes; id++)
        if (is_learned_activation(&copy, &copy.node[id]))
            NB_TRY(set_start(model, id, &value[copy.node[id].in[0]], percent, arena, err));
    return NB_OK;
}

NbStatus nb_train_calibrate(NbModel *model, const uint8_t *images, int count, int height, int width,
                            double percent, NbError *err) {
    NbArena arena = {0};
    const int size[3] = {count, height, width};
    const NbStatus status = calibrate(model, images, size, percent, &arena, err);
    nb_arena_release(&arena);
    if (status != NB_OK)
        return nb_fail_in(status, err, "calibrating activation scales");
    return NB_OK;
}
