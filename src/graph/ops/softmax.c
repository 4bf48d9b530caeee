/* SPDX-License-Identifier: Apache-2.0
 *
 * SOFTMAX along one axis: nb_softmax. */
#include "graph/activation.h"
#include "graph/run.h"

static NB_FALLIBLE infer(const NbGraph *g, const NbNode *node, NbShape *out, NbError *err) {
    NB_TRY(nb_infer_numbers(g, node, 0, err));
    NB_TRY(nb_infer_axis(g, node, node->attr.softmax.axis, err));
    *out = *nb_in_shape(g, node, 0);
    return NB_OK;
}

/* Rows along the axis: n elements `stride` apart; `stride` rows lie side by side, `blocks` times.
 */
typedef struct Rows {
    size_t n, stride, blocks;
} Rows;

static Rows rows_of(const NbNode *node) {
    const int axis = node->attr.softmax.axis;
    Rows r = {.n = (size_t)node->shape.dim[axis], .stride = 1, .blocks = 1};
    for (int d = 0; d < axis; d++)
        r.blocks *= (size_t)node->shape.dim[d];
    for (int d = axis + 1; d < node->shape.rank; d++)
        r.stride *= (size_t)node->shape.dim[d];
    return r;
}

static NB_FALLIBLE forward(NbRun *run, NbNodeId id, NbError *err) {
    const Rows r = rows_of(&run->g->node[id]);
    const float *x = NULL;
    NB_TRY(nb_run_real(run, id, 0, &x, err));
    NB_TRY(nb_run_new(run, id, NB_F32, err));
    float *y = nb_f32(&run->value[id].t);
    for (size_t b = 0; b < r.blocks; b++)
        for (size_t i = 0; i < r.stride; i++)
            nb_softmax(x + b * r.n * r.stride + i, r.n, r.stride, y + b * r.n * r.stride + i);
    return NB_OK;
}

static NB_FALLIBLE backward(NbRun *run, NbNodeId id, const float *dy, float *const dx[],
                            NbError *err) {
    (void)err;
    const Rows r = rows_of(&run->g->node[id]);
    const float *y = nb_f32(&run->value[id].t);
    const size_t rows = dx[0] ? r.blocks * r.stride : 0;
    for (size_t row = 0; row < rows; row++) {
        const size_t first = row / r.stride * r.n * r.stride + row % r.stride;
        double sum = 0.0;
        for (size_t k = 0; k < r.n; k++)
            sum += (double)dy[first + k * r.stride] * (double)y[first + k * r.stride];
        for (size_t k = 0; k < r.n; k++) {
            const size_t at = first + k * r.stride;
            dx[0][at] += (float)((double)y[at] * ((double)dy[at] - sum));
        }
    }
    return NB_OK;
}

const NbOpDef nb_op_softmax = {.name = "SOFTMAX",
                               .min_in = 1,
                               .max_in = 1,
                               .infer = infer,
                               .forward = forward,
                               .backward = backward};
