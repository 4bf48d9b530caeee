/* SPDX-License-Identifier: Apache-2.0
 *
 * BATCHNORM: x, gamma, beta, mean, var. Source: Ioffe, Szegedy, ICML 2015; PyTorch's BatchNorm2d.
 */
#include "graph/run.h"

#include <math.h>

static NB_FALLIBLE infer(const NbGraph *g, const NbNode *node, NbShape *out, NbError *err) {
    NB_TRY(nb_infer_rank4(g, node, 0, err));
    *out = *nb_in_shape(g, node, 0);
    for (int i = 1; i < 5; i++)
        NB_TRY(nb_infer_param(g, node, i, NB_F32, out->dim[1], err));
    if (!(node->attr.batchnorm.eps > 0.0F))
        return nb_fail(NB_ERR_ARGUMENT, err, "eps %g, a positive number expected",
                       (double)node->attr.batchnorm.eps);
    if (!(node->attr.batchnorm.momentum >= 0.0F && node->attr.batchnorm.momentum <= 1.0F))
        return nb_fail(NB_ERR_ARGUMENT, err, "momentum %g, 0 to 1 expected",
                       (double)node->attr.batchnorm.momentum);
    return NB_OK;
}

void nb_batchnorm_affine(const float *gamma, const float *beta, const float *mean, const float *var,
                         float eps, size_t channels, float *a, float *b) {
    for (size_t c = 0; c < channels; c++) {
        a[c] = gamma[c] / sqrtf(var[c] + eps);
        const float shift = mean[c] * a[c];
        b[c] = beta[c] - shift;
    }
}

typedef struct Moments {
    double mean;
    double var; /* biased */
} Moments;

/* Of one channel over batch and pixels. */
static Moments moments_of(const float *x, const NbShape *s, int64_t c) {
    const int64_t pixels = s->dim[2] * s->dim[3];
    const double n = (double)(s->dim[0] * pixels);
    double sum = 0.0;
    for (int64_t b = 0; b < s->dim[0]; b++)
        for (int64_t p = 0; p < pixels; p++)
            sum += (double)x[(b * s->dim[1] + c) * pixels + p];
    const double mean = sum / n;
    double squares = 0.0;
    for (int64_t b = 0; b < s->dim[0]; b++)
        for (int64_t p = 0; p < pixels; p++) {
            const double d = (double)x[(b * s->dim[1] + c) * pixels + p] - mean;
            squares += d * d;
        }
    return (Moments){.mean = mean, .var = squares / n};
}

/* running = (1 - momentum) * running + momentum * batch, in double, rounded once. */
static void track(float *running, double batch, float momentum) {
    *running = (float)((1.0 - (double)momentum) * (double)*running + (double)momentum * batch);
}

/* The statistics of the batch into mean and var; the running ones follow. */
static void batch_statistics(NbRun *run, NbNodeId id, const float *x, float *mean, float *var) {
    const NbNode *node = &run->g->node[id];
    const NbShape *s = &node->shape;
    const double n = (double)(s->dim[0] * s->dim[2] * s->dim[3]);
    float *running_mean = nb_f32(&run->g->node[node->in[3]].param);
    float *running_var = nb_f32(&run->g->node[node->in[4]].param);
    for (int64_t c = 0; c < s->dim[1]; c++) {
        const Moments m = moments_of(x, s, c);
        mean[c] = (float)m.mean;
        var[c] = (float)m.var;
        track(&running_mean[c], m.mean, node->attr.batchnorm.momentum);
        track(&running_var[c], n > 1.0 ? m.var * n / (n - 1.0) : m.var,
              node->attr.batchnorm.momentum);
    }
}

static NB_FALLIBLE forward(NbRun *run, NbNodeId id, NbError *err) {
    const NbNode *node = &run->g->node[id];
    const size_t channels = (size_t)node->shape.dim[1];
    const size_t pixels = (size_t)(node->shape.dim[2] * node->shape.dim[3]);
    const float *x = NULL;
    NB_TRY(nb_run_real(run, id, 0, &x, err));
    NB_TRY(nb_run_new(run, id, NB_F32, err));
    float *a = NB_NEW(run->arena, float, channels * 4);
    if (!a)
        return nb_fail_memory(err, "batch norm");
    float *b = a + channels;
    const float *mean = nb_run_data(run, id, 3);
    const float *var = nb_run_data(run, id, 4);
    if (run->mode == NB_RUN_TRAIN) {
        batch_statistics(run, id, x, a + 2 * channels, a + 3 * channels);
        mean = a + 2 * channels;
        var = a + 3 * channels;
    }
    nb_batchnorm_affine(nb_run_data(run, id, 1), nb_run_data(run, id, 2), mean, var,
                        node->attr.batchnorm.eps, channels, a, b);
    float *y = nb_f32(&run->value[id].t);
    const size_t rows = (size_t)node->shape.dim[0] * channels;
    for (size_t r = 0; r < rows; r++)
        for (size_t i = r * pixels; i < (r + 1) * pixels; i++) {
            const float scaled = x[i] * a[r % channels];
            y[i] = scaled + b[r % channels];
        }
    return NB_OK;
}

/* One channel; sums in double. */
static void backward_channel(const NbNode *node, int64_t c, float gamma, const float *x,
                             const float *dy, float *const dx[]) {
    const NbShape *s = &node->shape;
    const int64_t pixels = s->dim[2] * s->dim[3];
    const double n = (double)(s->dim[0] * pixels);
    const Moments m = moments_of(x, s, c);
    const double inverse = 1.0 / sqrt(m.var + (double)node->attr.batchnorm.eps);
    double sum = 0.0;
    double product = 0.0;
    for (int64_t b = 0; b < s->dim[0]; b++)
        for (int64_t i = (b * s->dim[1] + c) * pixels, end = i + pixels; i < end; i++) {
            sum += (double)dy[i];
            product += (double)dy[i] * ((double)x[i] - m.mean) * inverse;
        }
    if (dx[1])
        dx[1][c] += (float)product;
    if (dx[2])
        dx[2][c] += (float)sum;
    for (int64_t b = 0; dx[0] && b < s->dim[0]; b++)
        for (int64_t i = (b * s->dim[1] + c) * pixels, end = i + pixels; i < end; i++) {
            const double normal = ((double)x[i] - m.mean) * inverse;
            dx[0][i] +=
                (float)((double)gamma * inverse * ((double)dy[i] - sum / n - normal * product / n));
        }
}

static NB_FALLIBLE backward(NbRun *run, NbNodeId id, const float *dy, float *const dx[],
                            NbError *err) {
    const NbNode *node = &run->g->node[id];
    const float *x = NULL;
    NB_TRY(nb_run_real(run, id, 0, &x, err));
    const float *gamma = nb_run_data(run, id, 1);
    for (int64_t c = 0; c < node->shape.dim[1]; c++)
        backward_channel(node, c, gamma[c], x, dy, dx);
    return NB_OK;
}

const NbOpDef nb_op_batchnorm = {.name = "BATCHNORM",
                                 .min_in = 5,
                                 .max_in = 5,
                                 .infer = infer,
                                 .forward = forward,
                                 .backward = backward};
