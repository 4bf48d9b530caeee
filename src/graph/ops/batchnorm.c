/* SPDX-License-Identifier: Apache-2.0
 *
 * BATCHNORM: x, gamma, beta, mean, var. Source: Ioffe, Szegedy, ICML 2015; PyTorch's BatchNorm2d.
 */
#include "graph/op.h"

static NB_FALLIBLE infer(const NbGraph *g, const NbNode *node, NbShape *out, NbError *err) {
    NB_TRY(nb_infer_rank4(g, node, 0, err));
    *out = *nb_in_shape(g, node, 0);
    for (int i = 1; i < 5; i++)
        NB_TRY(nb_infer_param(g, node, i, NB_F32, out->dim[1], err));
    if (!(node->attr.batchnorm.eps > 0.0F))
        return nb_fail(NB_ERR_ARGUMENT, err, "eps %g, a positive number expected",
                       (double)node->attr.batchnorm.eps);
    if (!(node->attr.batchnorm.momentum >= 0.0F && node->attr.batchnorm.momentum <= 1.0F))
        return nb_fail(NB_ERR_ARGUMENT, err, "momentum %g, 0 to 1 expected",
                       (double)node->attr.batchnorm.momentum);
    return NB_OK;
}

const NbOpDef nb_op_batchnorm = {.name = "BATCHNORM", .min_in = 5, .max_in = 5, .infer = infer};
