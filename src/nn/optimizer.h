/* SPDX-License-Identifier: Apache-2.0
 *
 * Optimizer steps over flat arrays, with PyTorch's formulas and order of float32 operations, so
 * that states can be exchanged. The caller owns all memory; checkpoints hold it.
 * Source: torch.optim SGD, Adam, AdamW, Adamax, NAdam, RAdam, RMSprop (2.x, single tensor form). */
#ifndef NB_NN_OPTIMIZER_H
#define NB_NN_OPTIMIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct NbSgd {
    double lr;
    double momentum;
    double decay;
    bool nesterov;
} NbSgd;

/* g = grad + decay * value; buffer = first ? g : momentum * buffer + g;
 * value -= lr * (nesterov ? g + momentum * buffer : buffer). first: this parameter's first step. */
void nb_sgd_step(const NbSgd *o, float *value, const float *grad, float *buffer, size_t n,
                 bool first);

typedef struct NbAdam {
    double lr;
    double beta1;
    double beta2;
    double epsilon;
    double decay;
    bool decoupled; /* AdamW: value *= 1 - lr * decay; else decay * value is added to grad */
} NbAdam;

/* m and v: the moving averages of grad and of its square, zero before the first step. step counts
 * from 1. */
void nb_adam_step(const NbAdam *o, float *value, const float *grad, float *m, float *v, size_t n,
                  int64_t step);

/* Relatives of Adam with the same arguments; decay * value is always added to grad.
 *
 * NAdam: Nesterov momentum, whose beta1 grows as beta1 * (1 - 0.5 * 0.96^(0.004 step)).
 * RAdam: no second moment until its variance is known well enough (rho > 5).
 * Adamax: v holds the decayed maximum of |grad| + epsilon. */
void nb_nadam_step(const NbAdam *o, float *value, const float *grad, float *m, float *v, size_t n,
                   int64_t step);
void nb_radam_step(const NbAdam *o, float *value, const float *grad, float *m, float *v, size_t n,
                   int64_t step);
void nb_adamax_step(const NbAdam *o, float *value, const float *grad, float *m, float *v, size_t n,
                    int64_t step);

/* RMSprop with alpha 0.99 and epsilon 1e-8, not centred: v = 0.99 * v + 0.01 * g^2,
 * buffer = momentum * buffer + g / (sqrt(v) + epsilon), value -= lr * buffer. buffer and v are zero
 * before the first step. */
void nb_rmsprop_step(const NbSgd *o, float *value, const float *grad, float *buffer, float *v,
                     size_t n);

/* average = decay * average + (1 - decay) * value. */
void nb_ema_update(float *average, const float *value, size_t n, double decay);

/* Sum of squares in index order, in double. */
double nb_square_sum(const float *x, size_t n);

#endif
