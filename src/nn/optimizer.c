/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/optimizer.h"

#include <math.h>

void nb_sgd_step(const NbSgd *o, float *value, const float *grad, float *buffer, size_t n,
                 bool first) {
    const float rate = (float)o->lr;
    const float mu = (float)o->momentum;
    const float wd = (float)o->decay;
    for (size_t i = 0; i < n; i++) {
        const float g = wd != 0.0F ? grad[i] + wd * value[i] : grad[i];
        buffer[i] = first ? g : mu * buffer[i] + g;
        value[i] -= rate * (o->nesterov ? g + mu * buffer[i] : buffer[i]);
    }
}

void nb_adam_step(const NbAdam *o, float *value, const float *grad, float *m, float *v, size_t n,
                  int64_t step) {
    const double correction1 = 1.0 - pow(o->beta1, (double)step);
    const double correction2 = 1.0 - pow(o->beta2, (double)step);
    const float size = (float)(o->lr / correction1);
    const float root2 = (float)sqrt(correction2);
    const float keep = o->decoupled ? (float)(1.0 - o->lr * o->decay) : 1.0F;
    const float wd = o->decoupled ? 0.0F : (float)o->decay;
    const float b1 = (float)(1.0 - o->beta1);
    const float b2 = (float)o->beta2;
    const float c2 = (float)(1.0 - o->beta2);
    const float eps = (float)o->epsilon;
    for (size_t i = 0; i < n; i++) {
        const float g = wd != 0.0F ? grad[i] + wd * value[i] : grad[i];
        m[i] += b1 * (g - m[i]);       /* PyTorch's lerp */
        v[i] = b2 * v[i] + c2 * g * g; /* addcmul: from left to right */
        value[i] = value[i] * keep - size * m[i] / (sqrtf(v[i]) / root2 + eps); /* addcdiv */
    }
}

void nb_ema_update(float *average, const float *value, size_t n, double decay) {
    const float keep = (float)decay;
    const float take = (float)(1.0 - decay);
    for (size_t i = 0; i < n; i++)
        average[i] = keep * average[i] + take * value[i];
}

double nb_square_sum(const float *x, size_t n) {
    double sum = 0.0;
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    return sum;
}
