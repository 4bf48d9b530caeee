/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/dfl.h"

#include <math.h>

static float largest(const float *raw, ptrdiff_t sc, int n) {
    float top = raw[0];
    for (int i = 1; i < n; i++)
        top = fmaxf(top, raw[i * sc]);
    return top;
}

float nb_dfl_mean(const float *raw, ptrdiff_t sc, const float *bin, int reg_max) {
    if (reg_max == 1)
        return raw[0];
    const float top = largest(raw, sc, reg_max);
    float sum = 0.0F;
    float weighted = 0.0F;
    for (int i = 0; i < reg_max; i++) {
        const float e = expf(raw[i * sc] - top);
        sum += e;
        weighted += e * (bin ? bin[i] : (float)i);
    }
    return weighted / sum;
}

void nb_dfl_fill(const float *raw, ptrdiff_t sc, int reg_max, NbDfl *out) {
    const float top = largest(raw, sc, reg_max);
    float sum = 0.0F;
    float weighted = 0.0F;
    for (int i = 0; i < reg_max; i++) {
        out->p[i] = expf(raw[i * sc] - top);
        sum += out->p[i];
        weighted += out->p[i] * (float)i;
    }
    for (int i = 0; i < reg_max; i++)
        out->p[i] /= sum;
    out->mean = weighted / sum;
    out->log_total = top + logf(sum);
}

NbDflGoal nb_dfl_goal(float distance, int reg_max) {
    const float most = (float)(reg_max - 1 - 0.01);
    const float t = fminf(fmaxf(distance, 0.0F), most);
    const int low = (int)t;
    const float low_share = (float)(low + 1) - t;
    return (NbDflGoal){low, low_share, 1.0F - low_share};
}

float nb_dfl_loss(const NbDfl *d, const float *raw, ptrdiff_t sc, NbDflGoal goal) {
    return (d->log_total - raw[goal.low * sc]) * goal.low_share +
           (d->log_total - raw[(goal.low + 1) * sc]) * goal.high_share;
}

void nb_dfl_backward(const NbDfl *d, int reg_max, NbDflGoal goal, float loss_scale,
                     float mean_scale, float *grad, ptrdiff_t sc) {
    for (int i = 0; i < reg_max; i++)
        grad[i * sc] = d->p[i] * (loss_scale + mean_scale * ((float)i - d->mean));
    grad[goal.low * sc] -= loss_scale * goal.low_share;
    grad[(goal.low + 1) * sc] -= loss_scale * goal.high_share;
}
