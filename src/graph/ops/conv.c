/* SPDX-License-Identifier: Apache-2.0
 *
 * CONV: x [N,C,H,W], w [O,C/groups,kh,kw] [, bias [O]]. */
#include "graph/op.h"

#include <inttypes.h>

static NB_FALLIBLE check_channels(const NbConvAttr *a, const NbShape *x, const NbShape *w,
                                  NbError *err) {
    if (a->groups < 1)
        return nb_fail(NB_ERR_ARGUMENT, err, "%d groups, at least 1 expected", a->groups);
    if (x->dim[1] != w->dim[1] * a->groups)
        return nb_fail(NB_ERR_ARGUMENT, err,
                       "x has %" PRId64 " channels, weights want %" PRId64 " in each of %d groups",
                       x->dim[1], w->dim[1], a->groups);
    if (w->dim[0] < 1 || w->dim[1] < 1 || w->dim[0] % a->groups)
        return nb_fail(NB_ERR_ARGUMENT, err,
                       "%" PRId64 " output channels cannot be cut into %d groups", w->dim[0],
                       a->groups);
    if (a->kernel[0] != w->dim[2] || a->kernel[1] != w->dim[3])
        return nb_fail(NB_ERR_ARGUMENT, err, "kernel %dx%d, weights of %" PRId64 "x%" PRId64,
                       a->kernel[0], a->kernel[1], w->dim[2], w->dim[3]);
    return NB_OK;
}

static NB_FALLIBLE check_kinds(const NbGraph *g, const NbNode *node, NbError *err) {
    const NbNode *x = &g->node[node->in[0]];
    const NbNode *w = &g->node[node->in[1]];
    if (x->kind == NB_VALUE_SUM)
        return nb_fail(NB_ERR_ARGUMENT, err, "x ('%s') is integers without a scale", x->name);
    if (w->kind != NB_VALUE_SUM)
        return NB_OK;
    if (w->param.dtype != NB_I8)
        return nb_fail(NB_ERR_ARGUMENT, err, "integer weights '%s' are %s, I8 expected", w->name,
                       nb_dtype_name(w->param.dtype));
    if (x->kind != NB_VALUE_CODED)
        return nb_fail(NB_ERR_ARGUMENT, err, "integer weights, but x ('%s') is not coded", x->name);
    if (node->n_in == 3)
        return nb_fail(NB_ERR_ARGUMENT, err, "integer sums take no bias; DEQUANT does");
    return NB_OK;
}

static NB_FALLIBLE infer(const NbGraph *g, const NbNode *node, NbShape *out, NbError *err) {
    const NbConvAttr *a = &node->attr.conv;
    NB_TRY(nb_infer_rank4(g, node, 0, err));
    NB_TRY(nb_infer_rank4(g, node, 1, err));
    const NbShape *x = nb_in_shape(g, node, 0);
    const NbShape *w = nb_in_shape(g, node, 1);
    NB_TRY(check_channels(a, x, w, err));
    NB_TRY(check_kinds(g, node, err));
    if (node->n_in == 3)
        NB_TRY(nb_infer_param(g, node, 2, NB_F32, w->dim[0], err));
    *out = nb_shape(4, (const int64_t[]){x->dim[0], w->dim[0], 0, 0});
    for (int i = 0; i < 2; i++)
        NB_TRY(nb_infer_window(x->dim[2 + i], (const int[]){a->pad[i], a->pad[i + 2]}, a->kernel[i],
                               a->stride[i], a->dilation[i], &out->dim[2 + i], err));
    return NB_OK;
}

const NbOpDef nb_op_conv = {.name = "CONV", .min_in = 2, .max_in = 3, .infer = infer};
