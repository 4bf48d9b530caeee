/* SPDX-License-Identifier: Apache-2.0
 *
 * Binary cross entropy of a logit, with a weight for positives and optionally made focal, value and
 * gradient. Inline, as it is evaluated for every cell of the head.
 * Source: Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017 (alpha 0.25). */
#ifndef NB_DETECT_BCE_H
#define NB_DETECT_BCE_H

#include <math.h>

typedef struct NbBce {
    float positive_weight; /* 1: none */
    float gamma;           /* focal exponent; 0: plain */
} NbBce;

/* Loss of logit x against target y in [0, 1]; *grad = d loss / d x.
 *   plain  = -(w y log(s) + (1 - y) log(1 - s)), s = sigmoid(x)
 *   focal  = plain (0.25 y + 0.75 (1 - y)) (1 - p)^gamma, p = y s + (1 - y)(1 - s) */
static inline float nb_bce(NbBce bce, float x, float y, float *grad) {
    const float e = expf(-fabsf(x)); /* in (0, 1]: nothing overflows or cancels */
    const float small = e / (1.0F + e);
    const float large = 1.0F / (1.0F + e);
    const float s = x >= 0.0F ? large : small;
    const float s_minus = x >= 0.0F ? small : large; /* 1 - s, without its rounding */
    const float log_weight = 1.0F + (bce.positive_weight - 1.0F) * y;
    float loss = (1.0F - y) * x + log_weight * (log1pf(e) + fmaxf(-x, 0.0F));
    float d = (1.0F - y) * s - bce.positive_weight * y * s_minus;
    if (bce.gamma > 0.0F) {
        const float alpha = y * 0.25F + (1.0F - y) * 0.75F;
        const float miss = y * s_minus + (1.0F - y) * s; /* 1 - p */
        const float d_miss = (1.0F - 2.0F * y) * s * s_minus;
        const float factor = powf(miss, bce.gamma);
        const float d_factor = miss > 0.0F ? bce.gamma * factor / miss * d_miss : 0.0F;
        d = alpha * (d * factor + loss * d_factor);
        loss *= alpha * factor;
    }
    *grad = d;
    return loss;
}

#endif
