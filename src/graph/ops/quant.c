/* SPDX-License-Identifier: Apache-2.0
 *
 * QUANT: x [, value]; real numbers to codes of a quantizer (quant/quantizer.h). */
#include "graph/run.h"

#include <math.h>
#include <string.h>

/* Rows of x as the quantizer sees them. */
static size_t channels_of(const NbNode *node, const NbShape *x) {
    return node->attr.quant.per_channel && x->rank > 0 ? (size_t)x->dim[0] : 1;
}

static NB_FALLIBLE check_spec(const NbQuantSpec *spec, NbError *err) {
    const NbGrid grid = spec->grid;
    if (spec->kind == NB_QUANT_INT && (grid.bits < 1 || grid.bits > 32))
        return nb_fail(NB_ERR_ARGUMENT, err, "%d bits, 1 to 32 expected", grid.bits);
    if (spec->kind == NB_QUANT_INT && nb_grid_hi(grid) <= nb_grid_lo(grid))
        return nb_fail(NB_ERR_ARGUMENT, err,
                       "a %s %d-bit grid%s holds nothing but 0; use the binary quantizer",
                       grid.is_signed ? "signed" : "unsigned", grid.bits,
                       grid.narrow ? " (narrow)" : "");
    const bool in_grid = spec->zero == rintf(spec->zero) && spec->zero >= (float)nb_grid_lo(grid) &&
                         spec->zero <= (float)nb_grid_hi(grid);
    if (spec->zero != 0.0F && (spec->kind != NB_QUANT_INT || !in_grid))
        return nb_fail(NB_ERR_ARGUMENT, err, "zero point %g, an integer of the grid expected",
                       (double)spec->zero);
    if (spec->scale_from == NB_SCALE_CONST && !(spec->init > 0.0F))
        return nb_fail(NB_ERR_ARGUMENT, err, "constant threshold %g, a positive number expected",
                       (double)spec->init);
    return NB_OK;
}

static NB_FALLIBLE infer(const NbGraph *g, const NbNode *node, NbShape *out, NbError *err) {
    const NbQuantSpec *spec = &node->attr.quant;
    const NbNode *x = &g->node[node->in[0]];
    NB_TRY(check_spec(spec, err));
    if (x->kind == NB_VALUE_SUM)
        return nb_fail(NB_ERR_ARGUMENT, err, "'%s' is integers without a scale", x->name);
    if (x->op != NB_OP_PARAM && spec->per_channel)
        return nb_fail(NB_ERR_UNSUPPORTED, err, "a scale for each channel of an activation ('%s')",
                       x->name);
    if (x->op != NB_OP_PARAM && spec->scale_from != NB_SCALE_CONST &&
        spec->scale_from != NB_SCALE_PARAMETER)
        return nb_fail(NB_ERR_UNSUPPORTED, err,
                       "a scale computed from the activations of each batch ('%s')", x->name);
    const bool learned = spec->scale_from == NB_SCALE_PARAMETER;
    if (node->n_in != (learned ? 2 : 1))
        return nb_fail(NB_ERR_ARGUMENT, err, "%s value %s, %d inputs found",
                       learned ? "a learned" : "no learned", learned ? "expected" : "allowed",
                       node->n_in);
    if (learned)
        NB_TRY(nb_infer_param(g, node, 1, NB_F32, (int64_t)channels_of(node, &x->shape), err));
    *out = x->shape;
    return NB_OK;
}

static const float *value_of(const NbRun *run, NbNodeId id) {
    return run->g->node[id].n_in == 2 ? nb_run_data(run, id, 1) : NULL;
}

static NB_FALLIBLE forward(NbRun *run, NbNodeId id, NbError *err) {
    const NbNode *node = &run->g->node[id];
    const float *x = NULL;
    NB_TRY(nb_run_real(run, id, 0, &x, err));
    if (!run->quantizers) {
        const NbValue *in = nb_run_in(run, id, 0);
        run->value[id] = (NbValue){.t = in->t};
        if (in->coded) { /* the identity of a coded value is its real value */
            NB_TRY(nb_run_new(run, id, NB_F32, err));
            memcpy(run->value[id].t.data, x, nb_tensor_count(&in->t) * sizeof *x);
        }
        return NB_OK;
    }
    NB_TRY(nb_run_new(run, id, NB_F32, err));
    NbValue *v = &run->value[id];
    const size_t channels = channels_of(node, &node->shape);
    const size_t n = nb_tensor_count(&v->t) / channels;
    float *scale = NB_NEW(run->arena, float, channels);
    if (!scale)
        return nb_fail_memory(err, "scales");
    nb_quant_scale(&node->attr.quant, x, channels, n, value_of(run, id), scale);
    nb_quant_codes(&node->attr.quant, x, channels, n, scale, NULL, nb_f32(&v->t));
    v->coded = true;
    v->scale = scale;
    v->n_scale = channels;
    v->zero = node->attr.quant.zero;
    v->grid = node->grid;
    return NB_OK;
}

static NB_FALLIBLE backward(NbRun *run, NbNodeId id, const float *dy, float *const dx[],
                            NbError *err) {
    const NbNode *node = &run->g->node[id];
    const size_t count = nb_shape_count(&node->shape);
    const float *x = NULL;
    NB_TRY(nb_run_real(run, id, 0, &x, err));
    if (!run->quantizers) {
        for (size_t i = 0; dx[0] && i < count; i++)
            dx[0][i] += dy[i];
        return NB_OK;
    }
    float *part = NB_NEW(run->arena, float, count);
    if (!part)
        return nb_fail_memory(err, "gradient of a quantizer");
    const size_t channels = channels_of(node, &node->shape);
    nb_quant_backward(&node->attr.quant, x, channels, count / channels, value_of(run, id), dy, part,
                      node->n_in == 2 ? dx[1] : NULL);
    for (size_t i = 0; dx[0] && i < count; i++)
        dx[0][i] += part[i];
    return NB_OK;
}

const NbOpDef nb_op_quant = {.name = "QUANT",
                             .min_in = 1,
                             .max_in = 2,
                             .infer = infer,
                             .forward = forward,
                             .backward = backward};
