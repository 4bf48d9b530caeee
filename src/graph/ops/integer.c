/* SPDX-License-Identifier: Apache-2.0
 *
 * Operators of integer graphs: THRESHOLD (sums or codes to codes), DEQUANT (to real numbers). */
#include "graph/op.h"

#include <inttypes.h>
#include <math.h>

static NB_FALLIBLE check_integer(const NbGraph *g, const NbNode *node, NbError *err) {
    const NbNode *x = &g->node[node->in[0]];
    if (x->kind == NB_VALUE_REAL)
        return nb_fail(NB_ERR_ARGUMENT, err, "'%s' is real, sums or codes expected", x->name);
    return nb_infer_rank4(g, node, 0, err);
}

static NB_FALLIBLE infer_threshold(const NbGraph *g, const NbNode *node, NbShape *out,
                                   NbError *err) {
    const NbGrid grid = node->attr.threshold.grid;
    const float scale = node->attr.threshold.scale;
    NB_TRY(check_integer(g, node, err));
    if (grid.bits < 1 || grid.bits > 8)
        return nb_fail(NB_ERR_ARGUMENT, err, "codes of %d bits, 1 to 8 expected", grid.bits);
    if (!(scale > 0.0F) || !isfinite(scale))
        return nb_fail(NB_ERR_ARGUMENT, err, "scale %g, a positive number expected", (double)scale);
    *out = *nb_in_shape(g, node, 0);
    const int64_t levels = nb_grid_hi(grid) - nb_grid_lo(grid);
    NB_TRY(nb_infer_param(g, node, 1, NB_I32, out->dim[1] * levels, err));
    const NbShape *t = nb_in_shape(g, node, 1);
    if (t->rank != 2 || t->dim[0] != out->dim[1])
        return nb_fail(NB_ERR_ARGUMENT, err,
                       "thresholds [%" PRId64 ", %" PRId64 "] (channels, levels) expected",
                       out->dim[1], levels);
    return NB_OK;
}

static NB_FALLIBLE infer_dequant(const NbGraph *g, const NbNode *node, NbShape *out, NbError *err) {
    NB_TRY(check_integer(g, node, err));
    *out = *nb_in_shape(g, node, 0);
    NB_TRY(nb_infer_param(g, node, 1, NB_F32, 0, err));
    const int64_t scales = (int64_t)nb_shape_count(nb_in_shape(g, node, 1));
    if (scales != 1 && scales != out->dim[1])
        return nb_fail(NB_ERR_ARGUMENT, err,
                       "%" PRId64 " scales for %" PRId64 " channels, one or one each expected",
                       scales, out->dim[1]);
    if (node->n_in == 3)
        NB_TRY(nb_infer_param(g, node, 2, NB_F32, out->dim[1], err));
    return NB_OK;
}

const NbOpDef nb_op_threshold = {
    .name = "THRESHOLD", .min_in = 2, .max_in = 2, .infer = infer_threshold};
const NbOpDef nb_op_dequant = {.name = "DEQUANT", .min_in = 2, .max_in = 3, .infer = infer_dequant};
