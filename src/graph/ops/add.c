/* SPDX-License-Identifier: Apache-2.0
 *
 * ADD: two or more tensors of one shape. Coded inputs that share one scale give a coded sum; all
 * others are added as real numbers, left to right. */
#include "graph/op.h"

static NB_FALLIBLE infer(const NbGraph *g, const NbNode *node, NbShape *out, NbError *err) {
    char a[96];
    char b[96];
    *out = *nb_in_shape(g, node, 0);
    for (int i = 0; i < node->n_in; i++) {
        const NbNode *x = &g->node[node->in[i]];
        if (x->kind == NB_VALUE_SUM)
            return nb_fail(NB_ERR_ARGUMENT, err, "'%s' is integers without a scale", x->name);
        if (!nb_shape_equal(out, &x->shape))
            return nb_fail(NB_ERR_ARGUMENT, err, "input %d ('%s') is %s, the first is %s", i,
                           x->name, nb_shape_text(&x->shape, a, sizeof a),
                           nb_shape_text(out, b, sizeof b));
    }
    return NB_OK;
}

const NbOpDef nb_op_add = {.name = "ADD", .min_in = 2, .max_in = NB_ANY_INPUTS, .infer = infer};
