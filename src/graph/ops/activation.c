/* SPDX-License-Identifier: Apache-2.0
 *
 * Functions of one number: RELU, LEAKY_RELU, SILU, SIGMOID, HARDTANH (to -1 .. 1), SCALE. */
#include "graph/op.h"

#include <math.h>

static NB_FALLIBLE infer(const NbGraph *g, const NbNode *node, NbShape *out, NbError *err) {
    const NbNode *x = &g->node[node->in[0]];
    if (x->kind == NB_VALUE_SUM)
        return nb_fail(NB_ERR_ARGUMENT, err, "'%s' is integers without a scale", x->name);
    *out = x->shape;
    return NB_OK;
}

static NB_FALLIBLE infer_leaky_relu(const NbGraph *g, const NbNode *node, NbShape *out,
                                    NbError *err) {
    if (!isfinite(node->attr.leaky_relu.slope))
        return nb_fail(NB_ERR_ARGUMENT, err, "the slope is not a finite number");
    return infer(g, node, out, err);
}

static NB_FALLIBLE infer_scale(const NbGraph *g, const NbNode *node, NbShape *out, NbError *err) {
    if (!isfinite(node->attr.scale.factor))
        return nb_fail(NB_ERR_ARGUMENT, err, "the factor is not a finite number");
    return infer(g, node, out, err);
}

const NbOpDef nb_op_relu = {.name = "RELU", .min_in = 1, .max_in = 1, .infer = infer};
const NbOpDef nb_op_leaky_relu = {
    .name = "LEAKY_RELU", .min_in = 1, .max_in = 1, .infer = infer_leaky_relu};
const NbOpDef nb_op_silu = {.name = "SILU", .min_in = 1, .max_in = 1, .infer = infer};
const NbOpDef nb_op_sigmoid = {.name = "SIGMOID", .min_in = 1, .max_in = 1, .infer = infer};
const NbOpDef nb_op_hardtanh = {.name = "HARDTANH", .min_in = 1, .max_in = 1, .infer = infer};
const NbOpDef nb_op_scale = {.name = "SCALE", .min_in = 1, .max_in = 1, .infer = infer_scale};
