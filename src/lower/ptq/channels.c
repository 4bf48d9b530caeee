/* SPDX-License-Identifier: Apache-2.0
 *
 * Walking over one channel of a tensor. */
#include "lower/ptq/channels.h"

#include <math.h>

static float *run_of(const NbChannels *t, size_t outer, size_t c) {
    return t->data + (outer * t->channels + c) * t->inner;
}

float nb_channels_max(const NbChannels *t, size_t c) {
    float top = 0.0F;
    for (size_t o = 0; o < t->outer; o++) {
        const float *const run = run_of(t, o, c);
        for (size_t i = 0; i < t->inner; i++)
            top = fabsf(run[i]) > top ? fabsf(run[i]) : top;
    }
    return top;
}

double nb_channels_mean(const NbChannels *t, size_t c) {
    double sum = 0.0;
    for (size_t o = 0; o < t->outer; o++) {
        const float *const run = run_of(t, o, c);
        for (size_t i = 0; i < t->inner; i++)
            sum += (double)run[i];
    }
    return sum / (double)(t->outer * t->inner);
}

void nb_channels_multiply(const NbChannels *t, size_t c, float factor) {
    for (size_t o = 0; o < t->outer; o++) {
        float *const run = run_of(t, o, c);
        for (size_t i = 0; i < t->inner; i++)
            run[i] *= factor;
    }
}
