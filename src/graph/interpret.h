/* SPDX-License-Identifier: Apache-2.0
 *
 * The reference interpreter: what every operator means, in plain loops, forward and backward.
 * Slow on purpose; every other way of computing a graph is compared with it.
 *
 * A value is either real or coded. A coded value holds integers (in float32) and what turns them
 * into real numbers: real = (code - zero) * scale. Pools, upsampling, padding and concatenation
 * pass codes on. A convolution of a coded x and a coded w sums codes exactly (zero padding is the
 * code `zero`) and scales once:
 *
 *     y = fl( fl(sum) * fl(scale_x * scale_w[o]) )  [ + bias[o] ]
 *
 * with the sum of (code - zero) products rounded once to float32 (exact below 2^24). Any other
 * convolution is a sum of real products in double in the order input channel, row, column, then
 * the bias, rounded once. An addition of coded values that share one scale adds codes; any other
 * adds real numbers from left to right in float32. SiLU and sigmoid are nb_silu and nb_sigmoid.
 * With I8 weights a convolution is the bare int32 sum of codes (outside int32: an error), which
 * THRESHOLD turns into codes and DEQUANT into real numbers. Batch norm in inference is y = fl(fl(x
 * * a) + b) with a = gamma / sqrt(var + eps), b = beta - fl(mean * a), each step in float32:
 * nb_batchnorm_affine; in training the same with mean and biased variance of the batch (sums in
 * double, then float32).
 *
 * ADD, SUB, MUL and DIV of real numbers broadcast as NumPy does (graph/broadcast.h), in float32.
 * MATMUL is matrix multiplication over the last two dimensions, the leading ones broadcast: of two
 * coded inputs with one scale each the exact sum of products of (code - zero), scaled once as a
 * convolution; else a sum of real products in double, rounded once. SOFTMAX is nb_softmax of
 * activation.h. SLICE, TRANSPOSE, RESHAPE and DETACH pass on what they get; DETACH stops gradients.
 *
 * Gradients: a coded convolution passes those of its real inputs (dequantized x and w); a quantizer
 * passes what nb_quant_backward says. */
#ifndef NB_GRAPH_INTERPRET_H
#define NB_GRAPH_INTERPRET_H

#include "graph/graph.h"

typedef struct NbValue {
    NbTensor t; /* F32; I32 for sums of an integer graph, which are held in F32 only below 2^24 */
    bool coded;
    const float *scale; /* coded: [n_scale] */
    size_t n_scale;     /* 1, or channels (weights: dimension 0) */
    float zero;
    NbGrid grid; /* coded: the range of the codes */
} NbValue;

typedef enum NbRunMode {
    NB_RUN_EVAL,    /* running statistics */
    NB_RUN_OUTPUTS, /* the same, but only nodes that the outputs of the graph are made from; the
                     * values of others stay empty */
    NB_RUN_TRAIN,   /* batch statistics; running ones are updated (with the unbiased variance) */
} NbRunMode;

/* The real numbers of a value: its own data, or (code - zero) * scale in the arena. An integer sum
 * has none: NB_ERR_ARGUMENT. */
NB_FALLIBLE nb_value_real(const NbValue *v, NbArena *arena, const float **out, NbError *err);

/* a[c], b[c] of batch norm in inference, as defined above. */
void nb_batchnorm_affine(const float *gamma, const float *beta, const float *mean, const float *var,
                         float eps, size_t channels, float *a, float *b);

/* Computes every node. images: uint8 [batch, channels, height, width] as
 * the graph was inferred; values [g->n_nodes] is filled, its data lives in `arena`. quantizers =
 * false turns QUANT nodes into identities (the float twin). */
NB_FALLIBLE nb_interpret(const NbGraph *g, const uint8_t *images, NbRunMode mode, bool quantizers,
                         NbArena *arena, NbValue *values, NbError *err);

/* The same (in NB_RUN_EVAL) with one F32 tensor for each INPUT, in the order of the nodes, of the
 * shape that the graph was inferred with. Of a picture INPUT they are the real numbers, codes times
 * scale, and stay real. */
NB_FALLIBLE nb_interpret_tensors(const NbGraph *g, const NbTensor *inputs, bool quantizers,
                                 NbArena *arena, NbValue *values, NbError *err);

/* The gradient of sum(outputs * d_outputs) after nb_interpret in NB_RUN_TRAIN: d [g->n_nodes] gets
 * a tensor (real space, F32) for every node that leads to a trained parameter, data NULL
 * elsewhere. d_outputs: one F32 tensor per graph output. */
NB_FALLIBLE nb_interpret_backward(const NbGraph *g, const NbValue *values, bool quantizers,
                                  const NbTensor *d_outputs, NbArena *arena, NbTensor *d,
                                  NbError *err);

#endif
