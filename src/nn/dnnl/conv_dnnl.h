/* SPDX-License-Identifier: Apache-2.0
 *
 * The only door to oneDNN: float32 convolution of one picture, forward and both gradients, run by
 * one thread. Pictures are dense NHWC; weights are packed into the layout that oneDNN likes, by
 * nb_dnnl_conv_pack. Works with the interfaces of oneDNN 2 and 3.
 *
 * Objects may be used by several workers at the same time, each worker under its own number. */
#ifndef NB_NN_DNNL_CONV_DNNL_H
#define NB_NN_DNNL_CONV_DNNL_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct NbConvShape {
    int ic, ih, iw;
    int oc, oh, ow;
    int groups;
    int kernel[2]; /* height, width */
    int stride[2];
    int pad[4]; /* top, left, bottom, right */
    int dilation[2];
} NbConvShape;

typedef enum NbConvPass {
    NB_CONV_FORWARD,          /* dst = conv(src, weights) */
    NB_CONV_BACKWARD_DATA,    /* src = gradient of src, from dst (its gradient) and weights */
    NB_CONV_BACKWARD_WEIGHTS, /* weights = gradient of weights, from src and dst (its gradient) */
} NbConvPass;

typedef struct NbDnnl NbDnnl;

/* The engine, and a stream for each of `workers` threads. */
NB_FALLIBLE nb_dnnl_new(int workers, NbDnnl **out, NbError *err);
void nb_dnnl_free(NbDnnl *d); /* NULL is allowed */

/* Tells the OpenMP run-time that oneDNN uses to stay within the calling thread. Every thread calls
 * it before it creates or runs anything here; cheap, and it lasts for the thread. */
void nb_dnnl_stay_in_thread(const NbDnnl *d);

typedef struct NbDnnlConv NbDnnlConv;

NB_FALLIBLE nb_dnnl_conv_new(NbDnnl *d, const NbConvShape *shape, NbConvPass pass, NbDnnlConv **out,
                             NbError *err);
void nb_dnnl_conv_free(NbDnnlConv *conv); /* NULL is allowed */

size_t nb_dnnl_conv_weight_bytes(const NbDnnlConv *conv);  /* packed weights */
size_t nb_dnnl_conv_scratch_bytes(const NbDnnlConv *conv); /* for one run; may be 0 */
const char *nb_dnnl_conv_name(const NbDnnlConv *conv);     /* oneDNN's name of what will run */

/* Whether both pack weights in the same way, so that packed ones can be exchanged or added. */
bool nb_dnnl_conv_same_packing(const NbDnnlConv *a, const NbDnnlConv *b);

/* Weights [oc, ic / groups, kh, kw] to packed ones and back (the packed ones are 64-byte aligned,
 * as all scratch is). */
NB_FALLIBLE nb_dnnl_conv_pack(const NbDnnlConv *conv, int worker, const float *weights,
                              float *packed, NbError *err);
NB_FALLIBLE nb_dnnl_conv_unpack(const NbDnnlConv *conv, int worker, const float *packed,
                                float *weights, NbError *err);

/* One picture. What the pass computes is written, the rest is read. */
NB_FALLIBLE nb_dnnl_conv_run(const NbDnnlConv *conv, int worker, float *src, float *packed,
                             float *dst, void *scratch, NbError *err);

#endif
