/* SPDX-License-Identifier: Apache-2.0
 *
 * Executes a graph fast, in float32, for training and for engine=float and engine=sim. Pictures
 * are NHWC inside, other values row-major; dimension 0 of every value is the batch. The batch is
 * cut into fixed shards of pictures; each shard is computed by one thread; statistics and gradients
 * are combined in shard order, so that results do not depend on the number of threads. In inference
 * with quantizers on, the result equals the reference interpreter bit for bit.
 *
 * The executor reads the parameters of the graph's PARAM nodes at every call and writes the running
 * statistics of batch norms (training). It allocates in nb_executor_new only. */
#ifndef NB_NN_EXECUTOR_H
#define NB_NN_EXECUTOR_H

#include "base/parallel.h"
#include "graph/graph.h"

typedef struct NbExecutor NbExecutor;

typedef struct NbExecutorOptions {
    int batch; /* most pictures in one call */
    int height;
    int width;
    int shard;       /* pictures in a shard; 0: the default (2) */
    bool training;   /* keep what backward needs */
    bool fixed_norm; /* training: batch norms use their running statistics and leave them alone;
                      * the gradient takes them as constants, the forward is that of inference */
    bool quantizers; /* false: QUANT nodes are identities */
    bool profile;    /* measure every step, for nb_executor_profile */
    bool keep;       /* keep the value of every node apart, for nb_executor_tap; nothing is fused */
    int first_output; /* outputs before this one are not wanted, and what leads only to them is not
                       * computed */
    NbPool *pool;     /* shared, must outlive the executor; NULL: the calling thread */
} NbExecutorOptions;

NB_FALLIBLE nb_executor_new(NbGraph *g, const NbExecutorOptions *options, NbExecutor **out,
                            NbError *err);
void nb_executor_free(NbExecutor *x); /* NULL is allowed */

/* images: uint8 [count, height, width, channels] (RGB). count <= batch; in training count must be
 * the same in forward and backward. train: batch statistics, running ones are updated. */
NB_FALLIBLE nb_executor_forward(NbExecutor *x, const uint8_t *images, int count, bool train,
                                NbError *err);

/* Output i of the graph after forward: [count, height, width, channels], row-major where its rank
 * is not 4; owned by the executor, valid until the next call. NULL: it is not wanted. */
const float *nb_executor_output(const NbExecutor *x, int i);

/* After a training forward: gradients of sum(output * d_output). d_output[i] has the layout of
 * output i (NULL where that is not wanted). Gradients are WRITTEN (not added) to nb_executor_grad
 * of each trained parameter. */
NB_FALLIBLE nb_executor_backward(NbExecutor *x, const float *const d_output[], NbError *err);

/* Gradient of a PARAM node, as many floats as the parameter; NULL when it has none (frozen, state,
 * or no output depends on it, but perhaps through a DETACH). */
float *nb_executor_grad(const NbExecutor *x, NbNodeId param);

/* For parity and reports, after an inference forward: copies the value of a node for all pictures,
 * NHWC (row-major where its rank is not 4); codes when the value is coded (*coded tells). out holds
 * as many floats. NB_ERR_UNSUPPORTED when the node was fused away. */
NB_FALLIBLE nb_executor_tap(NbExecutor *x, NbNodeId node, float *out, bool *coded, NbError *err);

/* One step of the plan, with options.profile. */
typedef struct NbExecutorProfile {
    const char *node; /* the node it works for */
    const char *what; /* "conv", "chain", ... */
    bool backward;
    double seconds; /* CPU time since the executor was made, of all threads */
} NbExecutorProfile;

/* Step i in the order of execution; false: there are no more. */
bool nb_executor_profile(const NbExecutor *x, int i, NbExecutorProfile *out);

/* Bytes the executor holds. */
size_t nb_executor_bytes(const NbExecutor *x);

#endif
