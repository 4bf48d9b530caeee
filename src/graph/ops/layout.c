/* SPDX-License-Identifier: Apache-2.0
 *
 * What only moves values: UPSAMPLE (nearest), CONCAT, PAD (with real zero). Codes stay codes. */
#include "graph/op.h"

enum { MAX_FACTOR = 64, MAX_PAD = 4096 };

static NB_FALLIBLE infer_upsample(const NbGraph *g, const NbNode *node, NbShape *out,
                                  NbError *err) {
    const int factor = node->attr.upsample.factor;
    NB_TRY(nb_infer_rank4(g, node, 0, err));
    if (factor < 1 || factor > MAX_FACTOR)
        return nb_fail(NB_ERR_ARGUMENT, err, "factor %d, 1 to %d expected", factor, MAX_FACTOR);
    *out = *nb_in_shape(g, node, 0);
    out->dim[2] *= factor;
    out->dim[3] *= factor;
    return NB_OK;
}

static NB_FALLIBLE check_join(const NbGraph *g, const NbNode *node, int i, NbError *err) {
    const NbNode *first = &g->node[node->in[0]];
    const NbNode *x = &g->node[node->in[i]];
    char a[96];
    char b[96];
    if (x->kind == NB_VALUE_SUM)
        return nb_fail(NB_ERR_ARGUMENT, err, "'%s' is integers without a scale", x->name);
    for (int d = 0; d < 4; d++)
        if (d != node->attr.concat.axis && x->shape.dim[d] != first->shape.dim[d])
            return nb_fail(NB_ERR_ARGUMENT, err,
                           "'%s' is %s and '%s' is %s: only axis %d may differ", x->name,
                           nb_shape_text(&x->shape, a, sizeof a), first->name,
                           nb_shape_text(&first->shape, b, sizeof b), node->attr.concat.axis);
    if (node->kind == NB_VALUE_CODED && !nb_graph_same_scale(g, node->in[0], node->in[i]))
        return nb_fail(NB_ERR_ARGUMENT, err,
                       "the codes of '%s' and '%s' do not share one scale by construction",
                       first->name, x->name);
    return NB_OK;
}

static NB_FALLIBLE infer_concat(const NbGraph *g, const NbNode *node, NbShape *out, NbError *err) {
    const int axis = node->attr.concat.axis;
    if (axis < 1 || axis > 3)
        return nb_fail(NB_ERR_ARGUMENT, err, "axis %d, 1 to 3 expected", axis);
    for (int i = 0; i < node->n_in; i++) {
        NB_TRY(nb_infer_rank4(g, node, i, err));
        NB_TRY(check_join(g, node, i, err));
        if (i == 0)
            *out = *nb_in_shape(g, node, 0);
        else
            out->dim[axis] += nb_in_shape(g, node, i)->dim[axis];
    }
    return NB_OK;
}

static NB_FALLIBLE infer_pad(const NbGraph *g, const NbNode *node, NbShape *out, NbError *err) {
    const int *pad = node->attr.pad.pad;
    NB_TRY(nb_infer_rank4(g, node, 0, err));
    for (int i = 0; i < 4; i++)
        if (pad[i] < 0 || pad[i] > MAX_PAD)
            return nb_fail(NB_ERR_ARGUMENT, err, "padding %d, 0 to %d expected", pad[i], MAX_PAD);
    *out = *nb_in_shape(g, node, 0);
    out->dim[2] += pad[0] + pad[2];
    out->dim[3] += pad[1] + pad[3];
    return NB_OK;
}

const NbOpDef nb_op_upsample = {
    .name = "UPSAMPLE", .min_in = 1, .max_in = 1, .infer = infer_upsample};
const NbOpDef nb_op_concat = {
    .name = "CONCAT", .min_in = 1, .max_in = NB_ANY_INPUTS, .infer = infer_concat};
const NbOpDef nb_op_pad = {.name = "PAD", .min_in = 1, .max_in = 1, .infer = infer_pad};
