/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/optimizer.h"

#include <math.h>

void nb_sgd_step(float *value, const float *grad, float *buffer, size_t n, double lr,
                 double momentum, double decay, bool nesterov, bool first) {
    const float rate = (float)lr;
    const float mu = (float)momentum;
    const float wd = (float)decay;
    for (size_t i = 0; i < n; i++) {
        const float g = wd != 0.0F ? grad[i] + wd * value[i] : grad[i];
        buffer[i] = first ? g : mu * buffer[i] + g;
        value[i] -= rate * (nesterov ? g + mu * buffer[i] : buffer[i]);
    }
}

void nb_adam_step(float *value, const float *grad, float *m, float *v, size_t n, double lr,
                  double beta1, double beta2, double epsilon, double decay, bool decoupled,
                  int64_t step) {
    const double correction1 = 1.0 - pow(beta1, (double)step);
    const double correction2 = 1.0 - pow(beta2, (double)step);
    const float size = (float)(lr / correction1);
    const float root2 = (float)sqrt(correction2);
    const float keep = decoupled ? (float)(1.0 - lr * decay) : 1.0F;
    const float wd = decoupled ? 0.0F : (float)decay;
    const float b1 = (float)(1.0 - beta1);
    const float b2 = (float)beta2;
    const float c2 = (float)(1.0 - beta2);
    const float eps = (float)epsilon;
    for (size_t i = 0; i < n; i++) {
        const float g = wd != 0.0F ? grad[i] + wd * value[i] : grad[i];
        m[i] += b1 * (g - m[i]);       /* PyTorch's lerp */
        v[i] = b2 * v[i] + c2 * g * g; /* addcmul: from left to right, as addcdiv below */
        value[i] = value[i] * keep - size * m[i] / (sqrtf(v[i]) / root2 + eps);
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
