/* SPDX-License-Identifier: Apache-2.0
 *
 * MAXPOOL: the largest value of each window, floor mode; the padding never wins. */
#include "graph/op.h"

static NB_FALLIBLE infer(const NbGraph *g, const NbNode *node, NbShape *out, NbError *err) {
    const NbPoolAttr *a = &node->attr.pool;
    NB_TRY(nb_infer_rank4(g, node, 0, err));
    *out = *nb_in_shape(g, node, 0);
    for (int i = 0; i < 2; i++) {
        NB_TRY(nb_infer_window(out->dim[2 + i], (const int[]){a->pad[i], a->pad[i + 2]},
                               a->kernel[i], a->stride[i], 1, &out->dim[2 + i], err));
        if (a->pad[i] >= a->kernel[i] || a->pad[i + 2] >= a->kernel[i])
            return nb_fail(NB_ERR_ARGUMENT, err,
                           "padding %d and %d of a kernel of %d: a window could hold nothing else",
                           a->pad[i], a->pad[i + 2], a->kernel[i]);
    }
    return NB_OK;
}

const NbOpDef nb_op_maxpool = {.name = "MAXPOOL", .min_in = 1, .max_in = 1, .infer = infer};
