/* SPDX-License-Identifier: Apache-2.0
 *
 * The logistic function as heads use it. Inline, as it is evaluated for every cell. */
#ifndef NB_DETECT_SIGMOID_H
#define NB_DETECT_SIGMOID_H

#include <math.h>

static inline float nb_sigmoid(float x) { return 1.0F / (1.0F + expf(-x)); }

/* A logit whose sigmoid is surely not above conf: lets most cells of a head go without an
 * exponential. Near the threshold, and where the sigmoid is so flat that rounding counts, it says
 * nothing (minus infinity) and the exact comparison decides. */
static inline float nb_logit_below(float conf) {
    return conf > 1e-6F && conf < 0.99F ? logf(conf / (1.0F - conf)) - 0.01F : -INFINITY;
}

#endif
