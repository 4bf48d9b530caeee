/* SPDX-License-Identifier: Apache-2.0
 *
 * A tensor seen by one of its dimensions. Output channels of a convolution [O, I, kh, kw] are {1,
 * O, I*kh*kw}, its input channels {O, I, kh*kw}; both channels of a depthwise one are {1, C,
 * kh*kw}; the channels of NCHW activations are {N, C, H*W}, of NHWC ones {N*H*W, C, 1}. */
#ifndef NB_LOWER_PTQ_CHANNELS_H
#define NB_LOWER_PTQ_CHANNELS_H

#include <stddef.h>

typedef struct NbChannels {
    float *data; /* [outer][channels][inner] */
    size_t outer;
    size_t channels;
    size_t inner;
} NbChannels;

/* Largest |x| of channel c; 0 for none. */
float nb_channels_max(const NbChannels *t, size_t c);

/* Mean of channel c, summed in double in index order. */
double nb_channels_mean(const NbChannels *t, size_t c);

void nb_channels_multiply(const NbChannels *t, size_t c, float factor);

#endif
