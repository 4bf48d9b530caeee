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

/* The share of beta1 that NAdam uses in a step. */
static double nadam_beta(double beta1, int64_t step) {
    return beta1 * (1.0 - 0.5 * pow(0.96, 0.004 * (double)step));
}

/* Their product over all steps so far; behind some hundred steps it is 0 beside 1. */
static double nadam_product(double beta1, int64_t step) {
    double product = 1.0;
    for (int64_t i = 1; i <= step && product > 1e-30; i++)
        product *= nadam_beta(beta1, i);
    return product;
}

void nb_nadam_step(const NbAdam *o, float *value, const float *grad, float *m, float *v, size_t n,
                   int64_t step) {
    const double mu = nadam_beta(o->beta1, step);
    const double next = nadam_beta(o->beta1, step + 1);
    const double product = nadam_product(o->beta1, step);
    const float correction2 = (float)(1.0 - pow(o->beta2, (double)step));
    const float of_grad = (float)(o->lr * (1.0 - mu) / (1.0 - product));
    const float of_mean = (float)(o->lr * next / (1.0 - product * next));
    const float wd = (float)o->decay;
    const float b1 = (float)(1.0 - o->beta1);
    const float b2 = (float)o->beta2;
    const float c2 = (float)(1.0 - o->beta2);
    const float eps = (float)o->epsilon;
    for (size_t i = 0; i < n; i++) {
        const float g = wd != 0.0F ? grad[i] + wd * value[i] : grad[i];
        m[i] += b1 * (g - m[i]);
        v[i] = b2 * v[i] + c2 * g * g;
        const float root = sqrtf(v[i] / correction2) + eps;
        value[i] = value[i] - of_grad * g / root;
        value[i] = value[i] - of_mean * m[i] / root;
    }
}

void nb_radam_step(const NbAdam *o, float *value, const float *grad, float *m, float *v, size_t n,
                   int64_t step) {
    const double power2 = pow(o->beta2, (double)step);
    const double all = 2.0 / (1.0 - o->beta2) - 1.0;
    const double rho = all - 2.0 * (double)step * power2 / (1.0 - power2);
    const bool known = rho > 5.0;
    const double rectify =
        known ? sqrt((rho - 4.0) * (rho - 2.0) * all / ((all - 4.0) * (all - 2.0) * rho)) : 1.0;
    const float correction1 = (float)(1.0 - pow(o->beta1, (double)step));
    const float root2 = (float)sqrt(1.0 - power2);
    const float rate = (float)o->lr;
    const float factor = (float)rectify;
    const float wd = (float)o->decay;
    const float b1 = (float)(1.0 - o->beta1);
    const float b2 = (float)o->beta2;
    const float c2 = (float)(1.0 - o->beta2);
    const float eps = (float)o->epsilon;
    for (size_t i = 0; i < n; i++) {
        const float g = wd != 0.0F ? grad[i] + wd * value[i] : grad[i];
        m[i] += b1 * (g - m[i]);
        v[i] = b2 * v[i] + c2 * g * g;
        const float mean = m[i] / correction1;
        const float adapt = known ? root2 / (sqrtf(v[i]) + eps) : 1.0F;
        value[i] -= mean * rate * adapt * factor;
    }
}

void nb_adamax_step(const NbAdam *o, float *value, const float *grad, float *m, float *v, size_t n,
                    int64_t step) {
    const float size = (float)(o->lr / (1.0 - pow(o->beta1, (double)step)));
    const float wd = (float)o->decay;
    const float b1 = (float)(1.0 - o->beta1);
    const float b2 = (float)o->beta2;
    const float eps = (float)o->epsilon;
    for (size_t i = 0; i < n; i++) {
        const float g = wd != 0.0F ? grad[i] + wd * value[i] : grad[i];
        m[i] += b1 * (g - m[i]);
        v[i] = fmaxf(b2 * v[i], fabsf(g) + eps);
        value[i] -= size * m[i] / v[i];
    }
}

void nb_rmsprop_step(const NbSgd *o, float *value, const float *grad, float *buffer, float *v,
                     size_t n) {
    const float rate = (float)o->lr;
    const float mu = (float)o->momentum;
    const float wd = (float)o->decay;
    for (size_t i = 0; i < n; i++) {
        const float g = wd != 0.0F ? grad[i] + wd * value[i] : grad[i];
        v[i] = 0.99F * v[i] + 0.01F * g * g;
        buffer[i] = mu * buffer[i] + g / (sqrtf(v[i]) + 1e-8F);
        value[i] -= rate * buffer[i];
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
