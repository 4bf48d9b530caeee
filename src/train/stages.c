/* SPDX-License-Identifier: Apache-2.0 */
#include "train/stages.h"

enum { PARTS = 8 }; /* a stage is one of so many parts of the run */

int nb_stage_last_change(const NbHyper *h) { return h->guard.stages ? 2 * (h->epochs / PARTS) : 0; }

int nb_stage_least(const NbHyper *h, int epoch) {
    if (epoch >= nb_stage_last_change(h))
        return 0;
    return epoch < h->epochs / PARTS ? 8 : 6;
}

NbStatus nb_stages_init(NbStages *s, NbModel *model, NbError *err) {
    *s = (NbStages){.model = model};
    const NbGraph *const g = &model->graph;
    s->target = NB_NEW(&s->arena, NbQuantSpec, (size_t)g->n_nodes);
    if (!s->target)
        return nb_fail_memory(err, "staged bit widths");
    for (NbNodeId id = 0; id < g->n_nodes; id++)
        if (g->node[id].op == NB_OP_QUANT)
            s->target[id] = g->node[id].attr.quant;
    return NB_OK;
}

void nb_stages_release(NbStages *s) {
    nb_arena_release(&s->arena);
    *s = (NbStages){0};
}

static NbQuantSpec widened(const NbQuantSpec *target, int least) {
    NbQuantSpec spec = *target;
    if (spec.grid.bits >= least)
        return spec;
    spec.grid.bits = least;
    if (spec.kind !=
        NB_QUANT_INT) { /* binary and ternary weights have no wider form of their own */
        spec.kind = NB_QUANT_INT;
        spec.grid = (NbGrid){.bits = least, .is_signed = true, .narrow = true};
        spec.scale_from = NB_SCALE_STATS;
    }
    return spec;
}

NbStatus nb_stages_set(NbStages *s, int least, int imgsz, NbError *err) {
    NbGraph *const g = &s->model->graph;
    for (NbNodeId id = 0; id < g->n_nodes; id++)
        if (g->node[id].op == NB_OP_QUANT)
            g->node[id].attr.quant = widened(&s->target[id], least);
    s->least = least;
    return nb_graph_infer(g, 1, imgsz, imgsz, err);
}
