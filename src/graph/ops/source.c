/* SPDX-License-Identifier: Apache-2.0
 *
 * INPUT: uint8 pictures, coded with one scale. PARAM: a tensor of the graph. */
#include "graph/op.h"

#include <math.h>

static NB_FALLIBLE infer_input(const NbGraph *g, const NbNode *node, NbShape *out, NbError *err) {
    (void)g;
    const int channels = node->attr.input.channels;
    const float scale = node->attr.input.scale;
    if (channels < 1 || channels > 4096)
        return nb_fail(NB_ERR_ARGUMENT, err, "%d channels, 1 to 4096 expected", channels);
    if (!(scale > 0.0F) || !isfinite(scale))
        return nb_fail(NB_ERR_ARGUMENT, err, "scale %g, a positive number expected", (double)scale);
    out->dim[1] = channels;
    return NB_OK;
}

static NB_FALLIBLE infer_param(const NbGraph *g, const NbNode *node, NbShape *out, NbError *err) {
    (void)g;
    size_t count = 0;
    size_t bytes = 0;
    char text[96];
    if (node->param.shape.rank < 0 || node->param.shape.rank > NB_MAX_RANK ||
        !nb_shape_count_checked(&node->param.shape, sizeof(double), &count, &bytes))
        return nb_fail(NB_ERR_ARGUMENT, err, "no parameter can have the shape %s",
                       nb_shape_text(&node->param.shape, text, sizeof text));
    *out = node->param.shape;
    return NB_OK;
}

const NbOpDef nb_op_input = {.name = "INPUT", .infer = infer_input};
const NbOpDef nb_op_param = {.name = "PARAM", .infer = infer_param};
