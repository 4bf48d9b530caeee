/* SPDX-License-Identifier: Apache-2.0
 *
 * Operators of integer graphs: THRESHOLD (sums or codes to codes), DEQUANT (to real numbers). */
#include "graph/run.h"

#include <inttypes.h>
#include <math.h>

static NB_FALLIBLE check_integer(const NbGraph *g, const NbNode *node, NbError *err) {
    const NbNode *x = &g->node[node->in[0]];
    if (x->kind == NB_VALUE_REAL)
        return nb_fail(NB_ERR_ARGUMENT, err, "'%s' is real, sums or codes expected", x->name);
    return nb_infer_rank4(g, node, 0, err);
}

static NB_FALLIBLE check_ascending(const NbTensor *thresholds, int64_t levels, NbError *err) {
    const int32_t *t = thresholds->data;
    const int64_t count = t ? (int64_t)nb_tensor_count(thresholds) : 0;
    for (int64_t i = 1; i < count; i++)
        if (i % levels && t[i] < t[i - 1])
            return nb_fail(NB_ERR_ARGUMENT, err,
                           "thresholds of channel %" PRId64 " fall from %" PRId32 " to %" PRId32,
                           i / levels, t[i - 1], t[i]);
    return NB_OK;
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
    return check_ascending(&g->node[node->in[1]].param, levels, err);
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

/* Integer i of a sum or of codes. */
static int32_t integer_at(const NbValue *v, size_t i) {
    if (v->t.dtype == NB_I32)
        return ((const int32_t *)v->t.data)[i];
    return (int32_t)(nb_f32(&v->t)[i] - v->zero);
}

static int64_t count_reached(const int32_t *t, int64_t levels, int32_t x) {
    int64_t reached = 0;
    for (int64_t k = 0; k < levels; k++)
        reached += x >= t[k] && t[k] != INT32_MAX;
    return reached;
}

static NB_FALLIBLE forward_threshold(NbRun *run, NbNodeId id, NbError *err) {
    const NbNode *node = &run->g->node[id];
    const NbGrid grid = node->attr.threshold.grid;
    const int64_t lo = nb_grid_lo(grid);
    const int64_t levels = nb_grid_hi(grid) - lo;
    const size_t channels = (size_t)node->shape.dim[1];
    const size_t pixels = (size_t)(node->shape.dim[2] * node->shape.dim[3]);
    const int32_t *t = nb_run_in(run, id, 1)->t.data;
    NB_TRY(nb_run_new(run, id, NB_F32, err));
    NbValue *v = &run->value[id];
    float *scale = NB_NEW(run->arena, float, 1);
    if (!scale)
        return nb_fail_memory(err, "thresholds");
    *scale = node->attr.threshold.scale;
    v->coded = true;
    v->scale = scale;
    v->n_scale = 1;
    v->grid = grid;
    for (size_t i = 0; i < nb_tensor_count(&v->t); i++) {
        const int32_t *row = t + (int64_t)(i / pixels % channels) * levels;
        const int32_t x = integer_at(nb_run_in(run, id, 0), i);
        nb_f32(&v->t)[i] = (float)(lo + count_reached(row, levels, x));
    }
    return NB_OK;
}

static NB_FALLIBLE forward_dequant(NbRun *run, NbNodeId id, NbError *err) {
    const NbNode *node = &run->g->node[id];
    const size_t channels = (size_t)node->shape.dim[1];
    const size_t pixels = (size_t)(node->shape.dim[2] * node->shape.dim[3]);
    const NbTensor *scales = &nb_run_in(run, id, 1)->t;
    const size_t n_scales = nb_tensor_count(scales);
    const float *bias = node->n_in == 3 ? nb_run_data(run, id, 2) : NULL;
    NB_TRY(nb_run_new(run, id, NB_F32, err));
    float *y = nb_f32(&run->value[id].t);
    for (size_t i = 0; i < nb_shape_count(&node->shape); i++) {
        const size_t c = i / pixels % channels;
        const float scale = nb_f32(scales)[n_scales == 1 ? 0 : c];
        const float scaled = (float)integer_at(nb_run_in(run, id, 0), i) * scale;
        y[i] = bias ? scaled + bias[c] : scaled;
    }
    return NB_OK;
}

const NbOpDef nb_op_threshold = {.name = "THRESHOLD",
                                 .min_in = 2,
                                 .max_in = 2,
                                 .infer = infer_threshold,
                                 .forward = forward_threshold};
const NbOpDef nb_op_dequant = {.name = "DEQUANT",
                               .min_in = 2,
                               .max_in = 3,
                               .infer = infer_dequant,
                               .forward = forward_dequant};
