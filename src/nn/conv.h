/* SPDX-License-Identifier: Apache-2.0
 *
 * What the forward and the backward half of convolutions share. */
#ifndef NB_NN_CONV_H
#define NB_NN_CONV_H

#include "nn/internal.h"

/* The scratch memory of one run, cut into parts. */
typedef struct NbNnConvScratch {
    void *library;  /* oneDNN's */
    float *picture; /* an input: real numbers of codes, some channels, or a gradient to add */
    float *part;    /* sums of some input channels */
    double *sum;    /* of a picture */
    float *dw;      /* weight gradient of one picture, to be added */
} NbNnConvScratch;

NbNnConvScratch nb_nn_conv_scratch_at(const NbNnConv *conv, unsigned char *base);

/* From sums to the value of the node: scale and bias. y may be sums. */
void nb_nn_conv_finish_sums(const NbExecutor *x, const NbNnConv *conv, const float *sums, size_t n,
                            float *y);

/* loops.c: any convolution of one NHWC picture in plain loops, weights [O, I/groups, kh, kw], sums
 * in double, rounded once. */
void nb_nn_loops_forward(const NbConvShape *s, const float *src, const float *weights, double *sum,
                         float *dst);
void nb_nn_loops_back_data(const NbConvShape *s, const float *d_dst, const float *weights,
                           float *d_src);
/* dw is written */
void nb_nn_loops_back_weights(const NbConvShape *s, const float *src, const float *d_dst,
                              float *dw);

#endif
