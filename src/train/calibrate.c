/* SPDX-License-Identifier: Apache-2.0 */
#include "train/trainer.h"

#include "graph/interpret.h"
#include "quant/statistics.h"

#include <math.h>

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

/* Still what its spec starts it with: nothing was learned yet. */
static bool is_at_start(const NbNode *quant, const NbTensor *value) {
    const float start = nb_quant_value_of(&quant->attr.quant, quant->attr.quant.init);
    for (size_t i = 0; i < nb_tensor_count(value); i++)
        if (nb_f32(value)[i] != start)
            return false;
    return true;
}

/* threshold [nodes]: for each value's PARAM the largest threshold its quantizers ask for; several
 * share one behind a concatenation or in front of an addition. Returns how many were set. */
static int set_starts(NbModel *model, const float *threshold) {
    NbGraph *const g = &model->graph;
    int set = 0;
    for (NbNodeId id = 0; id < g->n_nodes; id++) {
        const NbNode *const node = &g->node[id];
        if (!is_learned_activation(g, node))
            continue;
        NbTensor *const value = &g->node[node->in[1]].param;
        const float wanted = threshold[node->in[1]];
        if (!(wanted > 0.0F) || !isfinite(wanted) || !is_at_start(node, value))
            continue; /* nothing passes here yet, or it has learned: it stays */
        for (size_t i = 0; i < nb_tensor_count(value); i++)
            nb_f32(value)[i] = nb_quant_value_of(&node->attr.quant, wanted);
        set++;
    }
    return set;
}

static NbStatus calibrate(NbModel *model, const uint8_t *images, const int size[3], double percent,
                          NbArena *arena, int *set, NbError *err) {
    NbGraph copy; /* batch statistics must not touch the model's running ones */
    NB_TRY(nb_graph_copy(&model->graph, arena, &copy, err));
    NB_TRY(nb_graph_infer(&copy, size[0], size[1], size[2], err));
    const uint8_t *const planes = to_planes(arena, images, size[0], size[1], size[2]);
    NbValue *const value = NB_NEW(arena, NbValue, (size_t)copy.n_nodes);
    float *const threshold = NB_NEW(arena, float, (size_t)copy.n_nodes);
    if (!planes || !value || !threshold)
        return nb_fail_memory(err, "calibration");
    NB_TRY(nb_interpret(&copy, planes, NB_RUN_TRAIN, false, arena, value, err));
    for (NbNodeId id = 0; id < copy.n_nodes; id++) {
        const NbNode *const node = &copy.node[id];
        if (!is_learned_activation(&copy, node))
            continue;
        const NbTensor *const seen = &value[node->in[0]].t;
        const float t = nb_stat_percentile(nb_f32(seen), nb_tensor_count(seen), percent);
        threshold[node->in[1]] = fmaxf(threshold[node->in[1]], t);
    }
    *set = set_starts(model, threshold);
    return NB_OK;
}

NbStatus nb_train_calibrate(NbModel *model, const uint8_t *images, int count, int height, int width,
                            double percent, int *set, NbError *err) {
    NbArena arena = {0};
    *set = 0;
    const int size[3] = {count, height, width};
    const NbStatus status = calibrate(model, images, size, percent, &arena, set, err);
    nb_arena_release(&arena);
    if (status != NB_OK)
        return nb_fail_in(status, err, "calibrating activation scales");
    return NB_OK;
}
