/* SPDX-License-Identifier: Apache-2.0
 *
 * Operators without a kernel: computed by the interpreter's definitions, on plain values. */
#include "nn/float/internal.h"

#include <string.h>

static void run_generic(NbFloatEngine *x, const NbFloatStep *step, int item, int worker) {
    (void)item;
    (void)worker;
    const NbNode *const node = &x->g->node[step->node];
    nb_arena_rewind(&x->generic_arena, x->generic_mark);
    memset(x->generic.real, 0, (size_t)x->g->n_nodes * sizeof *x->generic.real);
    for (int i = 0; i < node->n_in; i++) {
        NbValue *const v = &x->generic.value[node->in[i]];
        const NbNode *const from = &x->g->node[x->value[node->in[i]].source];
        *v = (NbValue){.t = {.dtype = NB_F32,
                             .shape = x->g->node[node->in[i]].shape,
                             .data = step->in[i].data}};
        if (from->op == NB_OP_PARAM)
            v->t = from->param;
    }
    x->status = nb_op_def(node->op)->forward(&x->generic, step->node, &x->error);
    if (x->status == NB_OK)
        memcpy(step->out.data, x->generic.value[step->node].t.data,
               x->value[step->node].count * sizeof(float));
}

NbStatus nb_float_add_generic(NbFloatEngine *x, NbNodeId id, NbError *err) {
    const NbNode *const node = &x->g->node[id];
    NbFloatPlace out;
    size_t floats = x->value[id].count;
    for (int i = 0; i < node->n_in; i++) {
        if (x->g->node[x->value[node->in[i]].source].op != NB_OP_PARAM)
            NB_TRY(nb_float_plain(x, node->in[i], &out, err));
        floats += x->value[node->in[i]].count;
    }
    NbFloatStep *const s =
        nb_float_add_step(x, run_generic, "interpreter", id, node->n_in, sizeof(int));
    if (!s)
        return nb_fail_memory(err, "steps");
    for (int i = 0; i < node->n_in; i++)
        s->in[i] = nb_float_value(x, node->in[i])->plain;
    if (2 * floats * sizeof(float) > x->generic_bytes)
        x->generic_bytes = 2 * floats * sizeof(float);
    return nb_float_make_plain(x, id, &s->out, err);
}

NbStatus nb_float_prepare_generic(NbFloatEngine *x, NbError *err) {
    if (!x->generic_bytes)
        return NB_OK;
    x->generic = (NbRun){.g = x->g,
                         .mode = NB_RUN_EVAL,
                         .arena = &x->generic_arena,
                         .value = NB_NEW(&x->arena, NbValue, (size_t)x->g->n_nodes),
                         .real = NB_NEW(&x->arena, const float *, (size_t)x->g->n_nodes)};
    /* one chunk that is never given back: what operators take fits behind it */
    void *const room = nb_arena_take(&x->generic_arena, 1, x->generic_bytes + 4096);
    if (!x->generic.value || !x->generic.real || !room)
        return nb_fail_memory(err, "the interpreter");
    x->generic_mark = nb_arena_mark(&x->generic_arena);
    x->generic_mark.used = 0;
    return NB_OK;
}
