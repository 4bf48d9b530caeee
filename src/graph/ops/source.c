/* SPDX-License-Identifier: Apache-2.0
 *
 * INPUT: uint8 pictures, coded with one scale. PARAM: a tensor of the graph. */
#include "graph/run.h"

#include <math.h>

static NB_FALLIBLE infer_input(const NbGraph *g, const NbNode *node, NbShape *out, NbError *err) {
    (void)g;
    if (node->attr.input.real) {
        const int64_t batch = out->dim[0];
        *out = node->param.shape;
        if (out->rank > 0 && out->dim[0] < 0)
            out->dim[0] = batch;
        for (int d = 0; d < out->rank; d++)
            if (out->dim[d] < 0)
                return nb_fail(NB_ERR_ARGUMENT, err, "dimension %d is not known", d);
        return NB_OK;
    }
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

/* Which of run->inputs an INPUT is. */
static int number_of(const NbGraph *g, NbNodeId id) {
    int n = 0;
    for (NbNodeId i = 0; i < id; i++)
        n += g->node[i].op == NB_OP_INPUT;
    return n;
}

/* The caller's tensor as real numbers. */
static NB_FALLIBLE take_real(NbRun *run, NbNodeId id, NbError *err) {
    const NbNode *node = &run->g->node[id];
    char found[96];
    char wanted[96];
    if (!run->inputs)
        return nb_fail(NB_ERR_ARGUMENT, err, "it wants float numbers, not pictures");
    const NbTensor *t = &run->inputs[number_of(run->g, id)];
    if (t->dtype != NB_F32 || !nb_shape_equal(&t->shape, &node->shape))
        return nb_fail(NB_ERR_ARGUMENT, err, "%s %s found, F32 %s expected",
                       nb_dtype_name(t->dtype), nb_shape_text(&t->shape, found, sizeof found),
                       nb_shape_text(&node->shape, wanted, sizeof wanted));
    run->value[id] = (NbValue){.t = *t};
    return NB_OK;
}

static NB_FALLIBLE forward_input(NbRun *run, NbNodeId id, NbError *err) {
    if (run->g->node[id].attr.input.real || run->inputs)
        return take_real(run, id, err);
    NB_TRY(nb_run_new(run, id, NB_F32, err));
    NbValue *v = &run->value[id];
    float *scale = NB_NEW(run->arena, float, 1);
    if (!scale)
        return nb_fail_memory(err, "input");
    *scale = run->g->node[id].attr.input.scale;
    v->coded = true;
    v->scale = scale;
    v->n_scale = 1;
    v->grid = run->g->node[id].grid;
    nb_convert(run->images, NB_U8, v->t.data, NB_F32, nb_tensor_count(&v->t));
    return NB_OK;
}

static NB_FALLIBLE forward_param(NbRun *run, NbNodeId id, NbError *err) {
    const NbNode *node = &run->g->node[id];
    if (!node->param.data)
        return nb_fail(NB_ERR_ARGUMENT, err, "the parameter has no data");
    run->value[id] = (NbValue){.t = node->param};
    return NB_OK;
}

const NbOpDef nb_op_input = {.name = "INPUT", .infer = infer_input, .forward = forward_input};
const NbOpDef nb_op_param = {.name = "PARAM", .infer = infer_param, .forward = forward_param};
