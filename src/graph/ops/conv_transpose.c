/* SPDX-License-Identifier: Apache-2.0
 *
 * CONV_TRANSPOSE: every input pixel spreads its weights over the output. */
#include "graph/run.h"

#include <inttypes.h>

enum { MOST = 1 << 16 };

static NB_FALLIBLE infer(const NbGraph *g, const NbNode *node, NbShape *out, NbError *err) {
    const NbDeconvAttr *a = &node->attr.deconv;
    NB_TRY(nb_infer_rank4(g, node, 0, err));
    NB_TRY(nb_infer_rank4(g, node, 1, err));
    const NbShape *x = nb_in_shape(g, node, 0);
    const NbShape *w = nb_in_shape(g, node, 1);
    if (a->groups < 1 || a->groups > MOST || x->dim[1] != w->dim[0] || w->dim[0] % a->groups)
        return nb_fail(NB_ERR_ARGUMENT, err,
                       "%" PRId64 " channels, weights for %" PRId64 ", %d groups", x->dim[1],
                       w->dim[0], a->groups);
    if (node->n_in == 3)
        NB_TRY(nb_infer_param(g, node, 2, NB_F32, w->dim[1] * a->groups, err));
    *out = nb_shape(4, (const int64_t[]){x->dim[0], w->dim[1] * a->groups, 0, 0});
    for (int i = 0; i < 2; i++) {
        if (a->stride[i] < 1 || a->dilation[i] < 1 || a->stride[i] > MOST ||
            a->dilation[i] > MOST || a->pad[i] < -MOST || a->pad[i + 2] < -MOST ||
            a->pad[i] > MOST || a->pad[i + 2] > MOST || a->extra[i] < 0 || a->extra[i] > MOST)
            return nb_fail(NB_ERR_ARGUMENT, err, "stride %d, dilation %d, padding %d and %d",
                           a->stride[i], a->dilation[i], a->pad[i], a->pad[i + 2]);
        out->dim[2 + i] = a->stride[i] * (x->dim[2 + i] - 1) + a->extra[i] +
                          (w->dim[2 + i] - 1) * a->dilation[i] + 1 - a->pad[i] - a->pad[i + 2];
        if (out->dim[2 + i] < 1)
            return nb_fail(NB_ERR_ARGUMENT, err, "nothing remains of the padded output");
    }
    return NB_OK;
}

/* Adds one input plane times one kernel to sum [OH, OW]. */
static void spread(const NbNode *node, const NbShape *in, const NbShape *kernel, const float *x,
                   const float *w, double *sum) {
    const NbDeconvAttr *a = &node->attr.deconv;
    const int64_t rows = node->shape.dim[2];
    const int64_t columns = node->shape.dim[3];
    for (int64_t y = 0; y < in->dim[2]; y++)
        for (int64_t ky = 0; ky < kernel->dim[2]; ky++) {
            const int64_t oy = y * a->stride[0] + ky * a->dilation[0] - a->pad[0];
            for (int64_t xx = 0; oy >= 0 && oy < rows && xx < in->dim[3]; xx++)
                for (int64_t kx = 0; kx < kernel->dim[3]; kx++) {
                    const int64_t ox = xx * a->stride[1] + kx * a->dilation[1] - a->pad[1];
                    if (ox >= 0 && ox < columns)
                        sum[oy * columns + ox] +=
                            (double)x[y * in->dim[3] + xx] * (double)w[ky * kernel->dim[3] + kx];
                }
        }
}

static NB_FALLIBLE forward(NbRun *run, NbNodeId id, NbError *err) {
    const NbNode *node = &run->g->node[id];
    const NbShape *in = nb_in_shape(run->g, node, 0);
    const NbShape *kernel = nb_in_shape(run->g, node, 1);
    const int64_t group_out = kernel->dim[1];
    const int64_t group_in = kernel->dim[0] / node->attr.deconv.groups;
    const int64_t pixels = node->shape.dim[2] * node->shape.dim[3];
    const int64_t taps = kernel->dim[2] * kernel->dim[3];
    const float *x = NULL;
    const float *w = NULL;
    NB_TRY(nb_run_real(run, id, 0, &x, err));
    NB_TRY(nb_run_real(run, id, 1, &w, err));
    NB_TRY(nb_run_new(run, id, NB_F32, err));
    const float *bias = node->n_in == 3 ? nb_run_data(run, id, 2) : NULL;
    float *y = nb_f32(&run->value[id].t);
    double *sum = NB_NEW(run->arena, double, (size_t)pixels);
    if (!sum)
        return nb_fail_memory(err, "sums");
    for (int64_t b = 0; b < in->dim[0]; b++)
        for (int64_t o = 0; o < node->shape.dim[1]; o++) {
            const int64_t first = o / group_out * group_in;
            for (int64_t i = 0; i < pixels; i++)
                sum[i] = 0.0;
            for (int64_t c = first; c < first + group_in; c++)
                spread(node, in, kernel, x + (b * in->dim[1] + c) * in->dim[2] * in->dim[3],
                       w + (c * group_out + o % group_out) * taps, sum);
            for (int64_t i = 0; i < pixels; i++)
                *y++ = (float)(bias ? sum[i] + (double)bias[o] : sum[i]);
        }
    return NB_OK;
}

const NbOpDef nb_op_conv_transpose = {
    .name = "CONV_TRANSPOSE", .min_in = 2, .max_in = 3, .infer = infer, .forward = forward};
