/* SPDX-License-Identifier: Apache-2.0
 *
 * MAXPOOL: the largest value of each window, floor mode; the padding never wins. */
#include "graph/run.h"

#include <math.h>

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

/* Index in the plane of the first largest value of the window of output (oy, ox); NaN is larger
 * than everything, as in PyTorch. Every window holds at least one pixel. */
static int64_t winner(const NbPoolAttr *a, const float *plane, const NbShape *in, int64_t oy,
                      int64_t ox) {
    int64_t best = -1;
    for (int64_t ky = 0; ky < a->kernel[0]; ky++) {
        const int64_t y = oy * a->stride[0] - a->pad[0] + ky;
        for (int64_t kx = 0; kx < a->kernel[1]; kx++) {
            const int64_t x = ox * a->stride[1] - a->pad[1] + kx;
            if (y < 0 || x < 0 || y >= in->dim[2] || x >= in->dim[3])
                continue;
            const int64_t at = y * in->dim[3] + x;
            if (best < 0 || plane[at] > plane[best] || isnan(plane[at]))
                best = at;
        }
    }
    return best;
}

static NB_FALLIBLE forward(NbRun *run, NbNodeId id, NbError *err) {
    const NbNode *node = &run->g->node[id];
    const NbShape *in = &run->g->node[node->in[0]].shape;
    const int64_t planes = in->dim[0] * in->dim[1];
    NB_TRY(nb_run_new_like(run, id, err));
    const float *x = nb_run_data(run, id, 0);
    float *y = nb_f32(&run->value[id].t);
    for (int64_t p = 0; p < planes; p++) {
        const float *plane = x + p * in->dim[2] * in->dim[3];
        for (int64_t oy = 0; oy < node->shape.dim[2]; oy++)
            for (int64_t ox = 0; ox < node->shape.dim[3]; ox++)
                *y++ = plane[winner(&node->attr.pool, plane, in, oy, ox)];
    }
    return NB_OK;
}

static NB_FALLIBLE backward(NbRun *run, NbNodeId id, const float *dy, float *const dx[],
                            NbError *err) {
    (void)err;
    const NbNode *node = &run->g->node[id];
    const NbShape *in = &run->g->node[node->in[0]].shape;
    const int64_t planes = dx[0] ? in->dim[0] * in->dim[1] : 0;
    const float *x = nb_run_data(run, id, 0);
    for (int64_t p = 0; p < planes; p++) {
        const int64_t start = p * in->dim[2] * in->dim[3];
        for (int64_t oy = 0; oy < node->shape.dim[2]; oy++)
            for (int64_t ox = 0; ox < node->shape.dim[3]; ox++)
                dx[0][start + winner(&node->attr.pool, x + start, in, oy, ox)] += *dy++;
    }
    return NB_OK;
}

const NbOpDef nb_op_maxpool = {.name = "MAXPOOL",
                               .min_in = 1,
                               .max_in = 1,
                               .infer = infer,
                               .forward = forward,
                               .backward = backward};
