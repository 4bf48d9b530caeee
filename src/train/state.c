/* SPDX-License-Identifier: Apache-2.0 */
#include "train/state.h"

#include <string.h>

static NbGroup group_of(NbParamRole role) {
    switch (role) {
    case NB_PARAM_GAMMA: return NB_GROUP_NORM;
    case NB_PARAM_WEIGHT: return NB_GROUP_WEIGHT;
    case NB_PARAM_BIAS:
    case NB_PARAM_BETA: return NB_GROUP_BIAS;
    case NB_PARAM_QUANT: return NB_GROUP_QUANT;
    case NB_PARAM_MEAN:
    case NB_PARAM_VAR:
    case NB_PARAM_CONST: break;
    }
    return NB_GROUP_COUNT;
}

static bool is_averaged(const NbNode *node) {
    return node->op == NB_OP_PARAM && node->attr.param.role != NB_PARAM_CONST &&
           node->param.dtype == NB_F32;
}

static NbStatus take_memory(NbTrainState *s, NbTrainParam *p, const NbHyper *h, NbError *err) {
    p->ema = NB_NEW(&s->arena, float, p->n);
    bool full = p->ema != NULL;
    if (p->trained) {
        p->sum = NB_NEW(&s->arena, float, p->n);
        p->first = NB_NEW(&s->arena, float, p->n);
        full = full && p->sum && p->first;
        if (h->optimizer != NB_SGD) {
            p->second = NB_NEW(&s->arena, float, p->n);
            full = full && p->second;
        }
    }
    if (!full)
        return nb_fail_memory(err, p->name);
    memcpy(p->ema, p->value, p->n * sizeof *p->ema);
    return NB_OK;
}

NbStatus nb_train_state_new(NbModel *model, const NbHyper *h, NbTrainState *out, NbError *err) {
    *out = (NbTrainState){.model = model, .last_step = -1, .best_fitness = -1.0, .lr_scale = 1.0};
    const NbGraph *const g = &model->graph;
    out->param = NB_NEW(&out->arena, NbTrainParam, (size_t)g->n_nodes);
    if (!out->param)
        return nb_fail_memory(err, "the training state");
    for (NbNodeId id = 0; id < g->n_nodes; id++) {
        const NbNode *const node = &g->node[id];
        if (!is_averaged(node))
            continue;
        NbTrainParam *const p = &out->param[out->n_params++];
        *p = (NbTrainParam){.node = id,
                            .name = node->name,
                            .n = nb_tensor_count(&node->param),
                            .value = nb_f32(&node->param),
                            .group = group_of(node->attr.param.role)};
        p->trained = p->group != NB_GROUP_COUNT && !node->attr.param.frozen;
        const NbStatus status = take_memory(out, p, h, err);
        if (status != NB_OK) {
            nb_train_state_release(out);
            return status;
        }
    }
    /* YOLOv5: small objects weigh more; three levels have values of their own */
    static const double three[] = {4.0, 1.0, 0.4};
    static const double other[] = {4.0, 1.0, 0.25, 0.06, 0.02};
    for (int i = 0; i < model->head.levels && i < NB_MAX_LEVELS; i++)
        out->balance[i] = model->head.levels == 3 ? three[i] : other[i < 5 ? i : 4];
    return NB_OK;
}

void nb_train_state_release(NbTrainState *s) {
    nb_arena_release(&s->arena);
    *s = (NbTrainState){0};
}

void nb_train_state_swap_ema(NbTrainState *s) {
    for (int i = 0; i < s->n_params; i++) {
        NbTrainParam *const p = &s->param[i];
        for (size_t k = 0; k < p->n; k++) {
            const float value = p->value[k];
            p->value[k] = p->ema[k];
            p->ema[k] = value;
        }
    }
}
